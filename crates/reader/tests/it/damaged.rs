//! Damaged files: an error that says so, never a panic, never half a line.

use std::ops::ControlFlow;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use bytes::Bytes;
use parquet::basic::Compression;
use viking_reader::{BatchReader, Error, ErrorClass, Input, PrintOptions, Printer, ReadOptions};

use crate::arrays::{Random, array, data_type};
use crate::{parquet, simple_rows};

/// Prints a file; what came out, and how it ended.
fn print(file: Bytes) -> (Vec<u8>, Result<(), Error>) {
    let mut out = Vec::new();
    let mut printer = Printer::new(&mut out, PrintOptions::default());
    let outcome = printer.print(&Input::new("f.parquet", file), &mut |_| ControlFlow::Continue(()));
    let outcome = outcome.and_then(|_| printer.finish()).map(drop);
    drop(printer);
    (out, outcome)
}

fn check(file: Bytes, what: &str) -> bool {
    let (out, outcome) = print(file);
    assert!(out.is_empty() || out.ends_with(b"\n"), "{what}: half a line");
    for line in out.split(|&byte| byte == b'\n').filter(|line| !line.is_empty()) {
        assert!(serde_json::from_slice::<serde_json::Value>(line).is_ok(), "{what}");
    }
    match outcome {
        Ok(()) => false,
        Err(error) => {
            assert_eq!(error.class(), ErrorClass::Data, "{what}: {error}");
            assert!(error.to_string().contains("f.parquet"), "{what}: {error}");
            true
        }
    }
}

fn nested_file() -> Bytes {
    use proptest::strategy::{Strategy, ValueTree};
    use proptest::test_runner::TestRunner;
    let mut runner = TestRunner::deterministic();
    let mut random = Random(3);
    let mut columns = Vec::new();
    while columns.len() < 12 {
        let kind = data_type().new_tree(&mut runner).unwrap().current();
        let column = array(&kind, 150, &mut random);
        let name = format!("c{}", columns.len());
        let batch = arrow_array::RecordBatch::try_from_iter_with_nullable([(
            name.clone(),
            Arc::clone(&column),
            true,
        )]);
        // Not every Arrow type has a place in Parquet.
        let write = || parquet(&[batch.unwrap()], 60, Compression::SNAPPY);
        let is_writable = catch_unwind(AssertUnwindSafe(write)).is_ok();
        if is_writable {
            columns.push((name, column, true));
        }
    }
    let batch = arrow_array::RecordBatch::try_from_iter_with_nullable(columns).unwrap();
    parquet(&[batch], 60, Compression::SNAPPY)
}

#[test]
fn flipped_bytes_never_panic() {
    let mut random = Random(11);
    let mut refused = 0;
    let files = [nested_file(), parquet(&[simple_rows(0, 400)], 150, Compression::UNCOMPRESSED)];
    for file in &files {
        assert!(!check(file.clone(), "the whole file"));
        for round in 0..1500 {
            let mut bytes = file.to_vec();
            // The footer is small and matters most: every second flip goes there.
            let footer = 1200.min(bytes.len());
            let place = if round % 2 == 0 {
                random.below(bytes.len())
            } else {
                bytes.len() - 1 - random.below(footer)
            };
            bytes[place] ^= 1 << random.below(8);
            if round % 3 == 0 {
                let place = random.below(bytes.len());
                bytes[place] = u8::try_from(random.below(256)).unwrap();
            }
            refused += usize::from(check(bytes.into(), &format!("byte {place}")));
        }
    }
    assert!(refused > 500, "only {refused} of 3000 damaged files were noticed");
}

#[test]
fn a_file_cut_anywhere_is_refused_before_any_row() {
    let file = parquet(&[simple_rows(0, 300)], 100, Compression::SNAPPY);
    for length in (0..file.len()).step_by(7) {
        let (out, outcome) = print(file.slice(0..length));
        assert!(out.is_empty());
        let message = outcome.unwrap_err().to_string();
        let fits = ["truncated", "empty", "neither Parquet nor JSON"]
            .iter()
            .any(|word| message.contains(word));
        assert!(fits, "{length} bytes: {message}");
    }
}

/// A file with page checksums, as pyarrow writes them on request.
const WITH_CHECKSUMS: &[u8] = include_bytes!("../../../../fixtures/parquet/checksums.parquet");

#[test]
fn a_wrong_page_checksum_is_noticed() {
    let (out, outcome) = print(Bytes::from_static(WITH_CHECKSUMS));
    assert!(outcome.is_ok());
    assert!(String::from_utf8(out).unwrap().contains("some text 7"));
    let mut file = WITH_CHECKSUMS.to_vec();
    let place = file.windows(11).position(|window| window == b"some text 7").unwrap();
    file[place] = b'S';
    let message = print(file.into()).1.unwrap_err().to_string();
    assert!(message.contains("CRC") || message.contains("checksum"), "{message}");
}

/// A file without rows whose one column is nested `levels` deep.
fn nested_levels(levels: usize) -> Bytes {
    use parquet::basic::{Repetition, Type as Physical};
    use parquet::file::writer::SerializedFileWriter;
    use parquet::schema::types::Type;
    let leaf = Type::primitive_type_builder("x", Physical::INT32);
    let mut column = Arc::new(leaf.with_repetition(Repetition::OPTIONAL).build().unwrap());
    for level in 1..levels {
        let name = format!("g{level}");
        let group = Type::group_type_builder(&name).with_repetition(Repetition::OPTIONAL);
        column = Arc::new(group.with_fields(vec![column]).build().unwrap());
    }
    let root = Type::group_type_builder("m").with_fields(vec![column]).build().unwrap();
    let writer = SerializedFileWriter::new(Vec::new(), Arc::new(root), Arc::default()).unwrap();
    writer.into_inner().unwrap().into()
}

#[test]
fn nesting_is_read_to_a_limit_and_refused_beyond_it() {
    assert!(print(nested_levels(64)).1.is_ok());
    for levels in [65, 500, 5_000] {
        // Building such a file takes a deep stack too; reading it must not.
        let build = std::thread::Builder::new().stack_size(256 << 20);
        let file = build.spawn(move || nested_levels(levels)).unwrap().join().unwrap();
        let message = print(file).1.unwrap_err().to_string();
        assert!(message.contains("nested deeper than 64"), "{levels}: {message}");
    }
}

/// A page header that asks for more memory than there is, in front of a whole file.
#[test]
fn claims_of_a_page_header_are_not_believed() {
    let file = WITH_CHECKSUMS.to_vec();
    // Field 2 of the first header, after the magic and field 1: uncompressed size, zigzag.
    assert_eq!(file[4..7], [0x15, 0x00, 0x15], "the header does not begin as expected");
    let size_bytes = file[7..].iter().take_while(|byte| **byte >= 0x80).count() + 1;
    let mut huge = file.clone();
    huge.splice(7..7 + size_bytes, [0xfe, 0xff, 0xff, 0xff, 0x0f]);
    // The header is longer now: what follows it moves, the footer is found from the end.
    let message = print(huge.into()).1.unwrap_err().to_string();
    assert!(message.contains("claims to have 2147483647 bytes"), "{message}");
}

/// The same pages behind a footer that says the first row group has so many rows.
fn with_rows_of_first_group(file: &Bytes, rows: i64) -> Bytes {
    use parquet::file::metadata::{FileMetaData, ParquetMetaDataReader, ParquetMetaDataWriter};
    let metadata = ParquetMetaDataReader::new().parse_and_finish(file).unwrap();
    let old = metadata.file_metadata();
    let mut groups = metadata.row_groups().to_vec();
    let all = old.num_rows() - groups[0].num_rows() + rows;
    groups[0] = groups[0].clone().into_builder().set_num_rows(rows).build().unwrap();
    let (keys, created_by) = (old.key_value_metadata().cloned(), old.created_by().map(Into::into));
    let schema = old.schema_descr_ptr();
    let new = FileMetaData::new(old.version(), all, created_by, keys, schema, None);
    let new = parquet::file::metadata::ParquetMetaDataBuilder::new(new).set_row_groups(groups);
    let footer_bytes = u32::from_le_bytes(file[file.len() - 8..][..4].try_into().unwrap());
    let mut changed = file[..file.len() - 8 - footer_bytes as usize].to_vec();
    ParquetMetaDataWriter::new(&mut changed, &new.build()).finish().unwrap();
    changed.into()
}

#[test]
fn rows_that_the_footer_does_not_know_and_rows_that_only_it_knows_are_damage() {
    let file = parquet(&[simple_rows(0, 300)], 100, Compression::SNAPPY);
    assert!(print(with_rows_of_first_group(&file, 100)).1.is_ok());
    for (rows, words) in [(99, "more rows than its footer says"), (101, "are missing")] {
        let file = with_rows_of_first_group(&file, rows);
        let message = print(file.clone()).1.unwrap_err().to_string();
        assert!(message.contains(words), "{rows}: {message}");
        let reader = BatchReader::new(&Input::new("f", file), &ReadOptions::default());
        let batches: Result<Vec<_>, _> = reader.unwrap().collect();
        assert!(batches.unwrap_err().to_string().contains(words));
    }
}
