//! Objects, the keys that can be kept, and the files that they become.

use std::collections::HashSet;
use std::path::{Component, Path};

use object_store::path::Path as Key;

use crate::error::Error;

/// What file systems take as one name.
const NAME_BYTES_MAX: usize = 255;

/// The folder for what is not complete.
pub(crate) const PARTIAL: &str = ".partial";

/// An object to download.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RemoteObject {
    /// Its key in the bucket.
    pub key: String,
    /// The file it becomes, relative to the folder, with `/` between parts.
    pub name: String,
    /// Its length in bytes.
    pub size: u64,
    /// Its `ETag` as listed, if the service gave one.
    pub etag: Option<String>,
}

/// An object that stands complete in the folder.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Landed {
    /// Its place in the list of the objects.
    pub index: usize,
    /// The CRC-64/XZ of its bytes.
    pub crc64: u64,
    /// TOS sent a checksum of its own, and it is the same.
    pub is_compared: bool,
    /// The file was read again, and its MD5 is the object's `ETag`.
    pub is_md5_compared: bool,
}

/// A key in the form of `object_store`. One that would be changed by it is not taken: another object would be
/// read.
pub(crate) fn parse(key: &str) -> Result<Key, Error> {
    let bad = |problem: String| Error::Key { key: key.to_owned(), problem };
    let parsed = Key::parse(key).map_err(|_| bad(problem_of(key).to_owned()))?;
    if parsed.as_ref() != key {
        return Err(bad(problem_of(key).to_owned()));
    }
    Ok(parsed)
}

/// Why `object_store` cannot hold a key.
fn problem_of(key: &str) -> &'static str {
    if key.chars().any(char::is_control) {
        "it has a control character"
    } else if key.split('/').any(|segment| matches!(segment, "." | "..")) {
        "it has a `.` or `..` between its slashes"
    } else {
        "it has a slash at an end, or nothing between two slashes"
    }
}

/// The relative file name of an object below `prefix`, which never leaves the folder and is none of the
/// `reserved` names.
pub(crate) fn file_name(prefix: &Key, key: &str, reserved: &[String]) -> Result<String, Error> {
    let bad = |problem: &str| Error::Key { key: key.to_owned(), problem: problem.to_owned() };
    let parsed = parse(key)?;
    let below: Vec<String> = match parsed.prefix_match(prefix) {
        Some(parts) => parts.map(|part| part.as_ref().to_owned()).collect(),
        None => return Err(bad("it does not lie below the prefix that was listed")),
    };
    let name = match (below.is_empty(), parsed.filename()) {
        (false, _) => below.join("/"),
        (true, Some(name)) => name.to_owned(),
        (true, None) => return Err(bad("it has no name")),
    };
    let is_plain = Path::new(&name).components().all(|part| matches!(part, Component::Normal(_)));
    if !is_plain || name.contains('\\') || name.chars().any(char::is_control) {
        return Err(bad("it would leave the folder or hide in it"));
    }
    if name.split('/').any(|part| part.len() > NAME_BYTES_MAX) {
        return Err(bad("a name in it is longer than the 255 bytes that file systems take"));
    }
    if name.split('/').next().is_some_and(|name| is_reserved(name, reserved)) {
        return Err(bad("the folder keeps that name for itself"));
    }
    Ok(name)
}

/// Whether a name may be taken for a reserved one, or for its file in the making, by some file system: there are
/// those that ignore case, characters without width, dots and spaces at the end, or take a colon for the end.
fn is_reserved(name: &str, reserved: &[String]) -> bool {
    let is_seen = |letter: &char| !matches!(letter, '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}');
    let upper = name.chars().filter(is_seen).flat_map(char::to_uppercase);
    let folded: String = upper.flat_map(char::to_lowercase).collect();
    let name = folded.split(':').next().unwrap_or_default().trim_end_matches(['.', ' ']);
    let is = |own: &str| name == own || name.strip_suffix(".part") == Some(own);
    is(PARTIAL) || reserved.iter().any(|own| is(own))
}

/// Those of `names` that cannot be files, because another one needs a folder of that name.
pub(crate) fn folders_of_others(names: &[&str]) -> HashSet<String> {
    let parents = names.iter().flat_map(|name| {
        name.match_indices('/').map(|(end, _)| &name[..end]).collect::<Vec<&str>>()
    });
    let folders: HashSet<&str> = parents.collect();
    let taken = names.iter().filter(|name| folders.contains(**name));
    taken.map(|name| (*name).to_owned()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_stay_below_the_prefix_and_inside_the_folder() {
        let name = |key: &str| file_name(&parse("a/b").unwrap(), key, &[]);
        assert_eq!(name("a/b/1.parquet").unwrap(), "1.parquet");
        assert_eq!(name("a/b/c/1.parquet").unwrap(), "c/1.parquet");
        assert_eq!(name("a/b").unwrap(), "b");
        assert_eq!(name("a/b/c/receipt.json").unwrap(), "c/receipt.json");
        let long = format!("a/b/{}", "n".repeat(256));
        for key in
            ["a/bc/1.parquet", "a/b/x\\y", &long, "a//b", "a/../b", "a/./b", "a/b/", "/a/b/c"]
        {
            assert!(matches!(name(key), Err(Error::Key { key: named, .. }) if named == key));
        }
    }

    #[test]
    fn our_own_names_are_nobody_elses_on_any_file_system() {
        let reserved = [".lock", ".printed.json", "receipt.json"].map(str::to_owned);
        for own in [
            "receipt.json",
            "receipt.json.part",
            "Receipt.JSON",
            "receipt.json ",
            "receipt.json. .",
            "receipt.json.part ",
            "rece\u{200c}ipt.json",
            "receipt.json::$DATA",
            ".partial/x",
            ".PARTIAL/x",
            ".lock",
            ".Loc\u{212a}",
            ".printed.json",
            ".printed.json.part",
        ] {
            let named = file_name(&parse("a").unwrap(), &format!("a/{own}"), &reserved);
            assert!(matches!(named, Err(Error::Key { .. })), "{own}");
        }
        for other in [
            ".hidden.parquet",
            "receipt.parquet",
            "x/receipt.json",
            "receipt.jsonl",
            "receipt.json.gz",
        ] {
            let named = file_name(&parse("a").unwrap(), &format!("a/{other}"), &reserved);
            assert!(named.is_ok(), "{other}");
        }
    }

    #[test]
    fn a_name_is_a_file_or_a_folder_and_not_both() {
        let taken = folders_of_others(&["a", "a/b", "c/d/e", "c/d", "c.parquet"]);
        let mut taken: Vec<_> = taken.into_iter().collect();
        taken.sort();
        assert_eq!(taken, ["a", "c/d"]);
    }
}
