//! The proof at the end of a run: rows by the footers = rows decoded = lines written.

use serde_json::json;

use crate::Context;
use crate::args::GoingArgs;
use crate::clean::delete_proven;
use crate::copy::{path_to_copy, to_copy};
use crate::exit::{Exit, Failure, Outcome};
use crate::printing::{Printed, PrintedFile, report_files, report_text_like, report_values};
use crate::receipt::{Finished, ObjectRecord};
use crate::run_folder::RunFolder;
use crate::versions::Version;

/// Compares rows, finishes the receipt, says how it went.
pub(crate) async fn prove(
    context: &Context,
    folder: &mut RunFolder,
    mut printed: Printed,
    going: &GoingArgs,
) -> Outcome<()> {
    let report = &context.report;
    report_files(&printed, report);
    report_values(&printed, report);
    report_text_like(&printed, report);
    let mut objects: Vec<&mut ObjectRecord> = folder.receipt.objects.iter_mut().flatten().collect();
    for (file, object) in printed.files.iter().zip(&mut objects) {
        object.rows = file.rows.rows;
    }
    if printed.is_cut_short {
        if going.clean || going.discard {
            report.warn("not all rows were taken, so nothing was deleted");
        }
        return folder.save();
    }
    if printed.is_partial {
        printed.output.finish(printed.rows)?;
        printed.output.forget();
        return folder.save();
    }
    let begun = printed.output.versions().begun();
    let other =
        begun.iter().zip(&objects).find(|(version, object)| **version != Version::of(object));
    if let Some((version, _)) = other {
        let text = format!("the rows of {} are not of the version in the receipt", version.key());
        return Err(Failure::say(Exit::Data, text).hint("resume the run"));
    }
    if objects.len() != printed.files.len() || objects.len() != begun.len() {
        let text =
            format!("{} objects landed, {} were printed", objects.len(), printed.files.len());
        return Err(Failure::say(Exit::Data, text));
    }
    let compared = printed.files.iter().zip(objects).map(|(file, object)| compare(file, object));
    let rows = compared.sum::<Outcome<u64>>();
    // What was counted is kept, above all if it differs.
    folder.save()?;
    let dir = path_to_copy(&folder.path);
    let verify = || format!("compare the folder with its receipt: {}", to_copy(&["verify", &dir]));
    let rows = rows.map_err(|failure| failure.hint(verify()))?;
    if rows != printed.rows {
        let text = format!("the objects have {rows} rows, {} were printed", printed.rows);
        return Err(Failure::say(Exit::Data, text));
    }
    if let Some(matched) = folder.receipt.matched.filter(|&matched| matched != rows) {
        report.warn(&format!(
            "the service says it exported {matched} rows, the objects have {rows}; its count is an estimate"
        ));
    }
    printed.output.finish(rows)?;
    folder.receipt.finished = Some(Finished::now(Some(rows), Some(printed.rows)));
    folder.save()?;
    if going.clean {
        delete_proven(context, folder).await?;
    }
    if going.discard {
        folder.discard()?;
    }
    printed.output.forget();
    say_done(context, folder, &printed, going);
    Ok(())
}

/// The rows of an object, if all of them were decoded and written. What an earlier try wrote to the same
/// output counts as both.
fn compare(file: &PrintedFile, object: &mut ObjectRecord) -> Outcome<u64> {
    let before = file.rows.skipped;
    let decoded = before + file.rows.printed;
    let written = file.lines.map(|lines| before + lines);
    object.rows_decoded = Some(decoded);
    object.rows_written = written;
    if let Some(total) = file.rows.other_total {
        let text = format!(
            "{} has a footer that states {total} rows in all, and {decoded} in its row groups",
            object.name
        );
        return Err(Failure::say(Exit::Data, text));
    }
    if file.rows.rows == Some(decoded) && written.is_none_or(|written| written == decoded) {
        return Ok(decoded);
    }
    let number =
        |rows: Option<u64>| rows.map_or("an unknown number of".to_owned(), |rows| rows.to_string());
    let text = format!(
        "{} has {} rows by its footer, {decoded} were decoded and {} written",
        object.name,
        number(file.rows.rows),
        number(written)
    );
    Err(Failure::say(Exit::Data, text))
}

fn say_done(context: &Context, folder: &RunFolder, printed: &Printed, going: &GoingArgs) {
    let seconds = context.report.elapsed().as_secs_f64();
    let (rows, objects) = (printed.rows, printed.files.len());
    let to =
        going.output.output.as_ref().map_or("stdout".to_owned(), |path| path.display().to_string());
    let retries = folder.receipt.retries;
    let again = match retries.vikingdb + retries.tos {
        0 => String::new(),
        1 => ", 1 request repeated".to_owned(),
        again => format!(", {again} requests repeated"),
    };
    let compared = folder.receipt.objects.iter().flatten();
    let compared = compared.filter(|object| object.crc64_compared).count();
    context.report.note(
        "done",
        &format!(
            "{rows} rows of {objects} objects to {to} in {seconds:.1} s; footers, decoded and written rows \
             agree, {compared} CRC-64 compared{again}"
        ),
        json!({"rows": rows, "objects": objects, "dir": folder.path.display().to_string(),
            "crc64_compared": compared,
            "retries": {"vikingdb": retries.vikingdb, "tos": retries.tos}}),
    );
}

#[cfg(test)]
mod tests {
    use super::*;
    use viking_reader::FileRows;

    fn an_object() -> ObjectRecord {
        ObjectRecord::from(viking_fetch::RemoteObject {
            key: "x/0.parquet".to_owned(),
            name: "0.parquet".to_owned(),
            size: 1,
            etag: None,
        })
    }

    #[test]
    fn a_difference_of_one_row_is_noticed_wherever_it_is() {
        let cases = [
            (Some(10), 0, 10, Some(10), true),
            (Some(10), 4, 6, Some(6), true),
            (Some(10), 0, 10, None, true),
            (Some(10), 0, 9, Some(9), false),
            (Some(10), 0, 10, Some(9), false),
            (Some(10), 4, 6, Some(7), false),
            (None, 0, 10, Some(10), false),
        ];
        let doubtful =
            FileRows { rows: Some(10), printed: 10, other_total: Some(11), ..FileRows::default() };
        let mut object = an_object();
        let file = PrintedFile { name: String::new(), rows: doubtful, lines: Some(10) };
        let refused = compare(&file, &mut object).unwrap_err();
        assert!(refused.error.to_string().contains("11 rows"), "{refused:?}");
        for (rows, skipped, printed, lines, is_proven) in cases {
            let rows = FileRows { rows, printed, skipped, ..FileRows::default() };
            let mut object = an_object();
            let compared = compare(
                &PrintedFile { name: String::new(), rows: rows.clone(), lines },
                &mut object,
            );
            assert_eq!(compared.is_ok(), is_proven, "{rows:?}, {lines:?}");
            assert_eq!(object.rows_decoded, Some(skipped + printed));
            if let Err(failure) = compared {
                assert_eq!(failure.exit, Exit::Data);
                assert!(failure.error.to_string().starts_with("0.parquet has "), "{failure:?}");
            }
        }
    }
}
