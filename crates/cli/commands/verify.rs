//! `verify`.

use serde_json::{Value, json};
use viking_export::record::ObjectRecord;
use viking_export::{Event, Receipt, VerifiedFile};

use super::blocking;
use crate::args::VerifyArgs;
use crate::context::Context;
use crate::ui::answer::print_text;
use crate::ui::failure::{Exit, Failure, Outcome};
use crate::ui::plain::{json_line, one_line};

/// `verify`: each file of the receipt is compared with what the receipt says of it.
pub(crate) async fn verify(context: &Context, args: &VerifyArgs) -> Outcome<()> {
    let (shared, dir, as_json) = (context.clone(), args.dir.clone(), args.json);
    blocking(move || {
        let (receipt, objects) = Receipt::of_listed(&dir)?;
        let (mut rows, mut failures, mut lines) = (0, Vec::new(), Vec::new());
        for object in &objects {
            let found = VerifiedFile::of(&dir, object).map_err(Failure::from);
            lines.push(line(object, &found, as_json));
            match found {
                Ok(found) => rows += found.rows,
                Err(failure) => failures.push(failure),
            }
        }
        print_text(&lines.concat())?;
        if let Some(failure) = worst(failures, objects.len()) {
            return Err(failure);
        }
        receipt.check_rows(rows)?;
        shared.tell(&Event::Verified { objects: objects.len(), rows });
        Ok(())
    })
    .await
}

fn line(object: &ObjectRecord, found: &Outcome<VerifiedFile>, as_json: bool) -> String {
    if as_json {
        let mut line = json!({"schema": 1, "file": object.name, "ok": found.is_ok()});
        match found {
            Ok(found) => {
                line["rows"] = found.rows.into();
                line["crc64"] = found.crc64.to_string().into();
                line["crc64_compared"] = found.is_crc64_compared.into();
                line["md5_compared"] = found.is_md5_compared.into();
            }
            Err(failure) => line["error"] = Value::from(failure.to_string()),
        }
        return format!("{}\n", json_line(&line.to_string()));
    }
    match found {
        Ok(found) => {
            let mut proofs = vec!["length"];
            proofs.extend(found.is_crc64_compared.then_some("CRC-64"));
            proofs.extend(found.is_md5_compared.then_some("MD5"));
            format!("{}: ok, {} rows, same {}\n", object.name, found.rows, proofs.join(", "))
        }
        Err(failure) => {
            let line = format!("{}: failed: {failure}", object.name);
            one_line(&line).into_owned() + "\n"
        }
    }
}

/// One failure for them all: bad data first, which no second attempt makes good.
fn worst(mut failures: Vec<Failure>, files: usize) -> Option<Failure> {
    let count = failures.len();
    let place = failures.iter().position(|failure| failure.exit == Exit::Data).unwrap_or(0);
    let failure = if failures.is_empty() { return None } else { failures.swap_remove(place) };
    let hint = "remove the files named above, and run the command again that made the folder";
    Some(failure.hint(format!("{count} of {files} files have changed; {hint}")))
}
