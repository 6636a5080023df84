//! Columns as they are asked for: by name, or by several names with commas between them. A name that holds
//! commas itself is meant where there is such a column.

/// Whether `asked` means the column `name` of those that `is_known` knows.
pub(crate) fn means(asked: &str, name: &str, is_known: impl Fn(&str) -> bool) -> bool {
    asked == name
        || asked.contains(',') && asked.split(',').any(|part| part == name) && !is_known(asked)
}

/// The columns of `known` that `asked` means, or the first name that none has.
pub(crate) fn resolve<'a, 'k>(
    asked: impl IntoIterator<Item = &'a String>,
    known: &[&'k str],
) -> Result<Vec<&'k str>, &'a str> {
    let mut found = Vec::new();
    for asked in asked {
        let find = |name: &str| known.iter().find(|known| **known == name);
        if let Some(name) = find(asked) {
            found.push(*name);
            continue;
        }
        for part in asked.split(',') {
            found.push(*find(part).ok_or(part)?);
        }
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::resolve;

    #[test]
    fn a_name_with_commas_is_meant_where_there_is_one() {
        let known = ["id", "von, bis", "a", "b"];
        let asked = |names: &[&str]| {
            let names: Vec<String> = names.iter().map(|&name| name.to_owned()).collect();
            resolve(&names, &known).map(|found| found.join("|")).map_err(str::to_owned)
        };
        assert_eq!(asked(&["id,a"]), Ok("id|a".to_owned()));
        assert_eq!(asked(&["von, bis", "b"]), Ok("von, bis|b".to_owned()));
        assert_eq!(asked(&["id,c"]), Err("c".to_owned()));
        assert_eq!(asked(&["von, bis,b"]), Err("von".to_owned()));
        assert_eq!(asked(&[""]), Err(String::new()));
    }
}
