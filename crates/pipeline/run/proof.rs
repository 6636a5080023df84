//! The proof at the end of a run: rows by the footers = rows decoded = lines written.

use crate::error::{ProofError, Result};
use crate::event::{Event, Warning};
use crate::output::{Printed, PrintedFile, Version, hint, warn_of_files, warn_of_values};
use crate::record::{Finished, ObjectRecord, RunFolder};
use crate::session::Session;

/// Warns of what was noticed while rows were printed.
pub(super) fn warn(session: &Session, printed: &Printed) {
    warn_of_files(printed, session);
    warn_of_values(printed, session);
    hint(printed, session);
}

/// Takes the rows by the footers of the files that were printed into the receipt.
pub(super) fn note_rows(folder: &mut RunFolder, printed: &Printed) {
    let objects = folder.receipt.objects.iter_mut().flatten();
    for (file, object) in printed.files.iter().zip(objects) {
        object.rows = file.rows.rows;
    }
}

/// Compares the rows of all objects. What was counted is saved, above all if it differs.
pub(super) fn prove(folder: &mut RunFolder, printed: &Printed) -> Result<()> {
    note_rows(folder, printed);
    let objects: Vec<&mut ObjectRecord> = folder.receipt.objects.iter_mut().flatten().collect();
    let begun = printed.output.versions().begun();
    let other =
        begun.iter().zip(&objects).find(|(version, object)| **version != Version::of(object));
    if let Some((version, _)) = other {
        return Err(ProofError::Version { key: version.key().to_owned() }.into());
    }
    let (landed, of_files) = (objects.len(), printed.files.len());
    if landed != of_files || landed != begun.len() {
        return Err(ProofError::Unprinted { landed, printed: of_files }.into());
    }
    let compared = printed.files.iter().zip(objects).map(|(file, object)| compare(file, object));
    let rows = compared.sum::<Result<u64>>();
    folder.save()?;
    let rows = rows?;
    if rows != printed.rows {
        return Err(ProofError::RowsPrinted { rows, printed: printed.rows }.into());
    }
    Ok(())
}

/// Warns where the service counted another number of rows.
pub(super) fn warn_of_count(session: &Session, folder: &RunFolder, rows: u64) {
    if let Some(matched) = folder.receipt.matched.filter(|&matched| matched != rows) {
        session.warn(Warning::MatchedRows { matched, rows });
    }
}

/// Saves that the run is proven.
pub(super) fn note(folder: &mut RunFolder, printed: &Printed) -> Result<()> {
    folder.receipt.finished = Some(Finished::now(Some(printed.rows), Some(printed.rows)));
    folder.save()
}

/// Tells how the run went.
pub(super) fn tell_done(session: &Session, folder: &RunFolder, printed: &Printed) {
    let objects = folder.receipt.objects.iter().flatten();
    session.tell(&Event::Done {
        rows: printed.rows,
        objects: printed.files.len(),
        dir: folder.path.clone(),
        crc64_compared: objects.filter(|object| object.crc64_compared).count(),
        retries: folder.receipt.retries,
    });
}

/// The rows of an object, if all of them were decoded and written. What an earlier attempt wrote to the same
/// output counts as both.
fn compare(file: &PrintedFile, object: &mut ObjectRecord) -> Result<u64> {
    let before = file.rows.skipped;
    let decoded = before + file.rows.printed;
    let written = file.lines.map(|lines| before + lines);
    object.rows_decoded = Some(decoded);
    object.rows_written = written;
    let name = || object.name.clone();
    if let Some(total) = file.rows.other_total {
        return Err(ProofError::FooterTotal { file: name(), total, rows: decoded }.into());
    }
    let stated = file.rows.rows;
    if stated == Some(decoded) && written.is_none_or(|written| written == decoded) {
        return Ok(decoded);
    }
    Err(ProofError::Rows { file: name(), stated, decoded, written }.into())
}

#[cfg(test)]
mod tests {
    use viking_reader::FileRows;

    use super::*;
    use crate::error::ErrorClass;

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
        assert!(refused.to_string().contains("states 11"), "{refused:?}");
        for (rows, skipped, printed, lines, is_proven) in cases {
            let rows = FileRows { rows, printed, skipped, ..FileRows::default() };
            let mut object = an_object();
            let compared = compare(
                &PrintedFile { name: String::new(), rows: rows.clone(), lines },
                &mut object,
            );
            assert_eq!(compared.is_ok(), is_proven, "{rows:?}, {lines:?}");
            assert_eq!(object.rows_decoded, Some(skipped + printed));
            if let Err(error) = compared {
                assert_eq!(error.class(), ErrorClass::Data);
                assert!(error.to_string().starts_with("0.parquet has "), "{error:?}");
            }
        }
    }
}
