//! Many files as one stream.

use std::ops::ControlFlow;
use std::sync::Arc;

use bytes::Bytes;
use parquet::basic::Compression;
use viking_reader::{BinaryForm, Error, ErrorClass, JsonOptions, Nulls, PrintOptions, Printer};

use crate::{parquet, simple_rows};

fn print(files: &[(&str, Bytes)], options: PrintOptions) -> (String, Result<u64, Error>) {
    let mut out = Vec::new();
    let mut printer = Printer::new(&mut out, options);
    let mut print = || {
        for (name, file) in files {
            if printer.is_done() {
                break;
            }
            printer.print(name, Arc::new(file.clone()), &mut |_| ControlFlow::Continue(()))?;
        }
        printer.finish().map(|progress| progress.rows)
    };
    let outcome = print();
    drop(printer);
    (String::from_utf8(out).unwrap(), outcome)
}

fn two_files() -> [(&'static str, Bytes); 2] {
    [
        ("1.parquet", parquet(&[simple_rows(0, 250)], 90, Compression::SNAPPY)),
        ("2.parquet", parquet(&[simple_rows(250, 130)], 90, Compression::SNAPPY)),
    ]
}

#[test]
fn limit_and_offset_count_over_all_files() {
    let (all, rows) = print(&two_files(), PrintOptions::default());
    assert_eq!(rows.unwrap(), 380);
    let lines: Vec<&str> = all.split_inclusive('\n').collect();
    for (offset, limit) in
        [(0, 1), (10, 100), (240, 20), (250, 5), (300, 500), (380, 1), (1000, 1), (0, 0)]
    {
        let options = PrintOptions { offset, limit: Some(limit), ..PrintOptions::default() };
        let (text, rows) = print(&two_files(), options);
        let start = usize::try_from(offset).unwrap().min(380);
        let end = (start + usize::try_from(limit).unwrap()).min(380);
        assert_eq!(text, lines[start..end].concat(), "offset {offset} limit {limit}");
        assert_eq!(rows.unwrap(), (end - start) as u64);
    }
}

/// A JSON export of the same rows, spaced as other programs do.
fn json_files() -> [(&'static str, Bytes); 2] {
    let (all, _) = print(&two_files(), PrintOptions::default());
    let spaced = all.replace(':', ": ").replace(",\"", ", \"");
    let lines: Vec<&str> = spaced.lines().collect();
    let array = format!("[\n{}\n]\n", lines[250..].join(",\n"));
    [("0.json", Bytes::from(lines[..250].join("\n"))), ("1.json", Bytes::from(array))]
}

#[test]
fn json_exports_print_the_same_rows() {
    for (offset, limit) in [(0, None), (200, Some(100)), (0, Some(0)), (379, None)] {
        for drop_nulls in [false, true] {
            let json = JsonOptions {
                nulls: if drop_nulls { Nulls::Drop } else { Nulls::Keep },
                ..JsonOptions::default()
            };
            let options = PrintOptions { offset, limit, json, ..PrintOptions::default() };
            let (from_parquet, _) = print(&two_files(), options.clone());
            let (from_json, rows) = print(&json_files(), options);
            assert!(rows.is_ok());
            assert_eq!(from_json, from_parquet);
        }
    }
    let options =
        PrintOptions { columns: Some(vec!["text".to_owned()]), ..PrintOptions::default() };
    assert_eq!(print(&json_files(), options.clone()).0, print(&two_files(), options).0);
    let options = PrintOptions { drop: vec!["text".to_owned()], ..PrintOptions::default() };
    assert_eq!(print(&json_files(), options.clone()).0, print(&two_files(), options).0);
}

#[test]
fn options_that_need_types_are_refused_on_json() {
    let json = JsonOptions { binary: BinaryForm::Hex, ..JsonOptions::default() };
    let (out, outcome) = print(&json_files(), PrintOptions { json, ..PrintOptions::default() });
    let error = outcome.unwrap_err();
    assert_eq!((out.as_str(), error.class()), ("", ErrorClass::Usage));
    assert!(error.to_string().contains("--binary"), "{error}");
}

#[test]
fn an_unknown_column_is_a_mistake_of_the_caller_in_both_kinds() {
    for files in [two_files(), json_files()] {
        for options in [
            PrintOptions { columns: Some(vec!["txt".to_owned()]), ..PrintOptions::default() },
            PrintOptions { drop: vec!["txt".to_owned()], ..PrintOptions::default() },
        ] {
            let error = print(&files, options).1.unwrap_err();
            assert!(
                matches!(&error, Error::UnknownColumn { column, .. } if column == "txt"),
                "{error}"
            );
            assert_eq!(error.class(), ErrorClass::Usage);
        }
    }
}

#[test]
fn a_file_with_other_columns_ends_the_stream_before_its_first_row() {
    let [one, _] = two_files();
    let other = simple_rows(0, 5).project(&[0]).unwrap();
    let files = [one, ("2.parquet", parquet(&[other], 90, Compression::SNAPPY))];
    let (out, outcome) = print(&files, PrintOptions::default());
    let error = outcome.unwrap_err();
    assert!(matches!(error, Error::SchemaChanged { .. }), "{error}");
    assert_eq!(out.lines().count(), 250, "the rows before it are kept");
    let allowed = PrintOptions { allow_schema_change: true, ..PrintOptions::default() };
    assert_eq!(print(&files, allowed).1.unwrap(), 255);
}

#[test]
fn a_bad_row_of_json_ends_the_stream_after_the_rows_before_it() {
    let file = Bytes::from_static(b"{\"a\":1}\n{\"a\":2}\n{\"a\":\n");
    let (out, outcome) = print(&[("x.json", file)], PrintOptions::default());
    let error = outcome.unwrap_err();
    assert_eq!(out, "{\"a\":1}\n{\"a\":2}\n");
    assert!(matches!(error, Error::Json { row: 2, .. }), "{error}");
}

#[test]
fn an_export_without_bytes_has_no_rows_and_a_parquet_file_without_bytes_is_broken() {
    assert_eq!(print(&[("0.json", Bytes::new())], PrintOptions::default()).1.unwrap(), 0);
    let error = print(&[("0.parquet", Bytes::new())], PrintOptions::default()).1.unwrap_err();
    assert!(matches!(error, Error::Empty { .. }), "{error}");
}
