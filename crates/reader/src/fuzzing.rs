//! What must hold for any bytes. The targets in `fuzz/` try new ones, the test below those that were kept.

use std::num::NonZeroUsize;
use std::ops::ControlFlow;

use arrow_array::Array;
use bytes::Bytes;

use crate::{
    BatchReader, Error, ErrorClass, Footer, Input, PrintFormat, PrintOptions, Printer, ReadOptions,
};

/// What a printer is given; what it takes beyond it is bounded by [`peak_bytes`].
pub const MEMORY_BYTES: u64 = 16 << 20;
/// A few bytes may stand for billions of equal rows.
const ROWS_MAX: u64 = 20_000;
const NAME: &str = "fuzz.parquet";

/// The most bytes that may be allocated while a file of `length` bytes is read, its own bytes not counted.
pub fn peak_bytes(length: usize) -> usize {
    usize::try_from(MEMORY_BYTES).unwrap_or(usize::MAX) + (32 << 20) + length
}

/// A footer: it is read, or refused as damaged.
pub fn footer(data: &[u8]) {
    let mut file = b"PAR1".to_vec();
    file.extend_from_slice(data);
    file.extend_from_slice(&u32::try_from(data.len()).unwrap_or(u32::MAX).to_le_bytes());
    file.extend_from_slice(b"PAR1");
    let input = Input::new(NAME, Bytes::from(file));
    match Footer::read(&input) {
        Ok(footer) => {
            let rows = footer.row_group_rows().fold(0, u64::saturating_add);
            assert_eq!(rows, footer.rows());
            print(&input, 1, PrintFormat::JsonLines);
        }
        Err(error) => is_of_the_file(&error),
    }
}

/// The pages of a file whose footer is in order: those of `sample`, a file with one row group, are replaced
/// from the start on.
pub fn pages(sample: &[u8], data: &[u8]) {
    let mut file = sample.to_vec();
    let Some(&[a, b, c, d, ..]) = file.last_chunk::<8>() else { return };
    let footer = u32::from_le_bytes([a, b, c, d]) as usize + 8;
    let pages = 4..file.len().saturating_sub(footer).max(4);
    let length = data.len().min(pages.len());
    file[pages.start..pages.start + length].copy_from_slice(&data[..length]);
    parquet(&file);
}

/// A whole file: printing it with one thread and with two ends alike, and rows read as batches are as many.
pub fn parquet(data: &[u8]) {
    let input = Input::new(NAME, Bytes::copy_from_slice(data));
    let alone = print(&input, 1, PrintFormat::JsonLines);
    let together = print(&input, 2, PrintFormat::JsonLines);
    if let (Some(alone), Some(together)) = (&alone, &together) {
        assert!(alone == together, "two threads print something else");
    }
    let limit = ReadOptions::default().with_limit(ROWS_MAX);
    let batches = BatchReader::new(&input, &limit).map_err(|error| is_of_the_file(&error));
    // A JSON export has rows and no batches.
    let mut rows = batches.is_ok().then_some(0);
    for batch in batches.into_iter().flatten() {
        match batch {
            Ok(batch) => {
                for column in batch.columns() {
                    let checked = column.to_data().validate_full();
                    assert!(checked.is_ok(), "an array that is not valid: {checked:?}");
                }
                rows = rows.map(|rows| rows + batch.num_rows());
            }
            Err(error) => {
                is_of_the_file(&error);
                rows = None;
            }
        }
    }
    if let (Some(lines), Some(rows)) = (alone, rows) {
        assert_eq!(memchr::memchr_iter(b'\n', &lines).count(), rows);
    }
}

/// A JSON export: each line that is printed is valid, whichever threads print it.
pub fn json(data: &[u8]) {
    let input = Input::new("fuzz.json", Bytes::copy_from_slice(data));
    let alone = print(&input, 1, PrintFormat::JsonLines);
    let together = print(&input, 2, PrintFormat::JsonLines);
    if let (Some(alone), Some(together)) = (alone, together) {
        assert!(alone == together, "two threads print something else");
    }
    print(&input, 1, PrintFormat::JsonArray);
}

/// Prints a file and checks each row; `None` if it ended with an error.
fn print(input: &Input, threads: usize, format: PrintFormat) -> Option<Vec<u8>> {
    let options = PrintOptions::default()
        .with_format(format)
        .with_limit(ROWS_MAX)
        .with_memory_bytes(MEMORY_BYTES)
        .with_threads(NonZeroUsize::new(threads).unwrap_or(NonZeroUsize::MIN));
    let mut out = Vec::new();
    let mut printer = Printer::new(&mut out, options);
    let printed = printer.print(input, &mut |_| ControlFlow::Continue(()));
    let printed = printed.and_then(|_| printer.finish()).map(drop);
    drop(printer);
    if let Err(error) = &printed {
        is_of_the_file(error);
    }
    match format {
        PrintFormat::JsonLines => {
            assert!(out.is_empty() || out.ends_with(b"\n"), "half a line");
            for line in out.split(|&byte| byte == b'\n').filter(|line| !line.is_empty()) {
                is_json(line);
            }
        }
        _ if printed.is_ok() => is_json(&out),
        _ => {}
    }
    printed.is_ok().then_some(out)
}

fn is_json(text: &[u8]) {
    let checked = serde_json::from_slice::<&serde_json::value::RawValue>(text).map(drop);
    // Texts as deep as that cannot be checked with this parser.
    let is_deep = |error: &serde_json::Error| error.to_string().contains("recursion limit");
    assert!(checked.as_ref().err().is_none_or(is_deep), "not JSON: {checked:?}");
}

fn is_of_the_file(error: &Error) {
    let is_expected = matches!(error.class(), ErrorClass::Data | ErrorClass::Usage);
    assert!(is_expected, "an error of the class {:?}: {error}", error.class());
    assert!(error.to_string().contains("fuzz."), "it does not name the file: {error}");
}

#[cfg(test)]
#[path = "../../../fuzz/kept.rs"]
mod kept;

#[cfg(test)]
mod tests {
    use super::kept::each_kept;

    #[test]
    fn what_was_kept_still_holds() {
        let sample = concat!(env!("CARGO_MANIFEST_DIR"), "/../../fuzz/sample.parquet");
        let sample = std::fs::read(sample).unwrap();
        each_kept("footer", super::footer);
        each_kept("pages", |data| super::pages(&sample, data));
        each_kept("parquet", super::parquet);
        each_kept("json", super::json);
    }
}
