//! The verb verify: proves a folder again, without the network.

use std::path::Path;
use std::sync::Arc;

use serde_json::{Value, json};
use viking_fetch::prove;

use crate::Context;
use crate::args::VerifyArgs;
use crate::copy::{path_to_copy, to_copy};
use crate::exit::{Exit, Failure, Outcome};
use crate::files::{FileCount, blocking, rows_of};
use crate::output::print_text;
use crate::plain::{json_line, one_line};
use crate::printing::open;
use crate::receipt::ObjectRecord;
use crate::run_folder;

/// What a file was found to be.
struct Found {
    rows: u64,
    crc64: u64,
    is_md5_compared: bool,
    /// The receipt knows what its CRC-64 was when it landed.
    is_crc64_compared: bool,
}

/// `verify`: each file of the receipt is compared with what the receipt says of it.
pub(crate) async fn verify(context: &Arc<Context>, args: &VerifyArgs) -> Outcome<()> {
    let (shared, dir, as_json) = (Arc::clone(context), args.dir.clone(), args.json);
    blocking(move || {
        // Nothing is written, so the folder may be one that nobody can write to.
        let receipt = run_folder::read(&dir)?;
        let Some(objects) = &receipt.objects else {
            let text = format!("{} lists no objects yet", dir.display());
            return Err(Failure::say(Exit::Data, text)
                .hint(format!("go on with it: {}", to_copy(&["resume", &path_to_copy(&dir)]))));
        };
        let (mut rows, mut failures, mut lines) = (0, Vec::new(), Vec::new());
        for object in objects {
            let found = look(&dir, object);
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
        let finished = receipt.finished.as_ref();
        let printed = finished.and_then(|finished| finished.rows_printed);
        if let Some(printed) = printed.filter(|&printed| printed != rows) {
            let text = format!("the files have {rows} rows, {printed} were printed");
            return Err(Failure::say(Exit::Data, text));
        }
        let count = objects.len();
        let text = format!("{count} files with {rows} rows are as the receipt says");
        shared.report.note("verified", &text, json!({"objects": count, "rows": rows}));
        Ok(())
    })
    .await
}

fn look(dir: &Path, object: &ObjectRecord) -> Outcome<Found> {
    let path = dir.join(&object.name);
    if !path.exists() {
        return Err(Failure::say(Exit::NotFound, format!("{} is not there", path.display())));
    }
    let known = object.known_crc64();
    let proof = prove(&path, &object.remote(), known)?;
    let FileCount { rows, other_total, .. } = rows_of(open(&object.name, &path)?)?;
    if let Some(total) = other_total {
        let name = &object.name;
        let text =
            format!("{name} has {rows} rows in its row groups, but its footer states {total}");
        return Err(Failure::say(Exit::Data, text));
    }
    if let Some(wanted) = object.rows.filter(|&wanted| wanted != rows) {
        let text = format!("{} has {rows} rows, the receipt says {wanted}", object.name);
        return Err(Failure::say(Exit::Data, text));
    }
    let (crc64, is_md5_compared) = (proof.crc64, proof.is_md5_compared);
    Ok(Found { rows, crc64, is_md5_compared, is_crc64_compared: known.is_some() })
}

fn line(object: &ObjectRecord, found: &Outcome<Found>, as_json: bool) -> String {
    if as_json {
        let mut line = json!({"schema": 1, "file": object.name, "ok": found.is_ok()});
        match found {
            Ok(found) => {
                line["rows"] = found.rows.into();
                line["crc64"] = found.crc64.to_string().into();
                line["crc64_compared"] = found.is_crc64_compared.into();
                line["md5_compared"] = found.is_md5_compared.into();
            }
            Err(failure) => line["error"] = Value::from(format!("{:#}", failure.error)),
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

/// One failure for them all: bad data first, which no second try makes good.
fn worst(mut failures: Vec<Failure>, files: usize) -> Option<Failure> {
    let count = failures.len();
    let place = failures.iter().position(|failure| failure.exit == Exit::Data).unwrap_or(0);
    let failure = if failures.is_empty() { return None } else { failures.swap_remove(place) };
    let hint = "remove those that are named, and run the command again that made the folder";
    Some(failure.hint(format!("{count} of {files} files are not as they were; {hint}")))
}
