//! Many files as one stream.

use std::ops::ControlFlow;

use arrow_ipc::reader::StreamReader;
use arrow_select::concat::concat_batches;
use bytes::Bytes;
use parquet::arrow::ArrowWriter;
use parquet::basic::Compression;
use parquet::file::properties::{WriterProperties, WriterVersion};
use viking_reader::{
    BinaryForm, Error, ErrorClass, Input, JsonOptions, Nulls, PrintFormat, PrintOptions, Printer,
};

use crate::{parquet, simple_rows};

fn print(files: &[(&str, Bytes)], options: PrintOptions) -> (String, Result<u64, Error>) {
    let (out, outcome) = print_bytes(files, options);
    (String::from_utf8(out).unwrap(), outcome)
}

fn print_bytes(files: &[(&str, Bytes)], options: PrintOptions) -> (Vec<u8>, Result<u64, Error>) {
    let mut out = Vec::new();
    let mut printer = Printer::new(&mut out, options);
    let mut print = || {
        for (name, file) in files {
            printer.print(&Input::new(*name, file.clone()), &mut |_| ControlFlow::Continue(()))?;
            if printer.is_done() {
                break;
            }
        }
        printer.finish().map(|progress| progress.rows)
    };
    let outcome = print();
    drop(printer);
    (out, outcome)
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
        let options = PrintOptions::default().with_offset(offset).with_limit(limit);
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
            let json = JsonOptions::default().with_nulls(if drop_nulls {
                Nulls::Drop
            } else {
                Nulls::Keep
            });
            let options =
                PrintOptions::default().with_offset(offset).with_limit(limit).with_json(json);
            let (from_parquet, _) = print(&two_files(), options.clone());
            let (from_json, rows) = print(&json_files(), options);
            assert!(rows.is_ok());
            assert_eq!(from_json, from_parquet);
        }
    }
    let options = PrintOptions::default().with_columns(vec!["text".to_owned()]);
    assert_eq!(print(&json_files(), options.clone()).0, print(&two_files(), options).0);
    let options = PrintOptions::default().with_drop(vec!["text".to_owned()]);
    assert_eq!(print(&json_files(), options.clone()).0, print(&two_files(), options).0);
}

#[test]
fn options_that_need_types_are_refused_on_json() {
    let json = JsonOptions::default().with_binary(BinaryForm::Hex);
    let (out, outcome) = print(&json_files(), PrintOptions::default().with_json(json));
    let error = outcome.unwrap_err();
    assert_eq!((out.as_str(), error.class()), ("", ErrorClass::Usage));
    assert!(error.to_string().contains("the option binary"), "{error}");
}

#[test]
fn an_unknown_column_is_a_mistake_of_the_caller_in_both_kinds() {
    for files in [two_files(), json_files()] {
        for options in [
            PrintOptions::default().with_columns(vec!["txt".to_owned()]),
            PrintOptions::default().with_drop(vec!["txt".to_owned()]),
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
    let allowed = PrintOptions::default().with_allow_schema_change(true);
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

#[test]
fn a_json_array_holds_the_same_rows_with_commas_between_them() {
    for (files, kind) in [(two_files(), "Parquet"), (json_files(), "JSON")] {
        for limit in [None, Some(0), Some(1), Some(300)] {
            let lines = PrintOptions::default().with_limit(limit);
            let array = lines.clone().with_format(PrintFormat::JsonArray);
            let (lines, _) = print(&files, lines);
            let (array, rows) = print(&files, array);
            let joined = lines.trim_end().replace('\n', ",\n");
            let expected =
                if joined.is_empty() { "[]\n".to_owned() } else { format!("[\n{joined}\n]\n") };
            assert_eq!(array, expected, "{kind} with limit {limit:?}");
            assert_eq!(rows.unwrap(), lines.lines().count() as u64);
        }
    }
    let array = PrintOptions::default().with_format(PrintFormat::JsonArray);
    assert_eq!(print(&[], array).0, "[]\n");
}

#[test]
fn an_arrow_stream_holds_the_files_batches() {
    let options = PrintOptions::default()
        .with_format(PrintFormat::ArrowStream)
        .with_offset(10)
        .with_limit(320);
    let (bytes, rows) = print_bytes(&two_files(), options.clone());
    assert_eq!(rows.unwrap(), 320);
    let stream = StreamReader::try_new(bytes.as_slice(), None).unwrap();
    let batches: Vec<_> = stream.map(Result::unwrap).collect();
    let rows: Vec<_> = batches.iter().map(arrow_array::RecordBatch::num_rows).collect();
    assert_eq!(rows, [100, 100, 40, 80], "100 rows but at the end of a file");
    let read = concat_batches(&batches[0].schema(), &batches).unwrap();
    assert_eq!(read.columns(), simple_rows(0, 380).slice(10, 320).columns());

    let (bytes, _) = print_bytes(&two_files(), options.clone().with_limit(0));
    let stream = StreamReader::try_new(bytes.as_slice(), None).unwrap();
    assert_eq!(stream.count(), 0, "a stream without rows still has its schema");

    let (_, outcome) = print_bytes(&json_files(), options);
    let message = outcome.unwrap_err().to_string();
    assert!(message.contains("format arrow") && message.contains("JSON export"), "{message}");
}

#[test]
fn any_memory_and_any_threads_print_the_same_and_too_little_is_told() {
    let wide = two_files();
    let (expected, _) = print(&wide, PrintOptions::default());
    for memory in [0, 1, 100_000, 3 << 20, u64::MAX] {
        for threads in [1, 2, 7] {
            let threads = threads.try_into().unwrap();
            let options = PrintOptions::default().with_memory_bytes(memory).with_threads(threads);
            let mut out = Vec::new();
            let mut printer = Printer::new(&mut out, options);
            for (name, file) in &wide {
                let input = Input::new(*name, file.clone());
                let rows = printer.print(&input, &mut |_| ControlFlow::Continue(())).unwrap();
                assert_eq!(rows.excess.is_some(), memory <= 1, "{memory} bytes");
            }
            printer.finish().unwrap();
            drop(printer);
            assert!(out == expected.as_bytes(), "{memory} bytes, {threads} threads");
        }
    }
}

#[test]
fn many_small_pages_are_read_in_order_by_any_number_of_threads() {
    for version in [WriterVersion::PARQUET_1_0, WriterVersion::PARQUET_2_0] {
        let properties = WriterProperties::builder()
            .set_writer_version(version)
            .set_compression(Compression::SNAPPY)
            .set_data_page_row_count_limit(100)
            .set_write_batch_size(50)
            .set_max_row_group_row_count(Some(9_000))
            .build();
        let rows = simple_rows(0, 60_000);
        let mut file = Vec::new();
        let mut writer = ArrowWriter::try_new(&mut file, rows.schema(), Some(properties)).unwrap();
        writer.write(&rows).unwrap();
        writer.close().unwrap();
        let files = [("pages.parquet", Bytes::from(file))];
        for (offset, limit) in [(0, None), (1, None), (6_500, Some(9_000)), (33_333, Some(20_000))]
        {
            let options = |threads: usize| {
                let options = PrintOptions::default().with_offset(offset).with_limit(limit);
                // Small blocks, so that there are many.
                let options = options.with_memory_bytes(1_000_000 + 2_200_000 * threads as u64);
                options.with_threads(threads.try_into().unwrap())
            };
            let (expected, rows) = print(&files, options(1));
            assert_eq!(rows.unwrap(), limit.unwrap_or(60_000 - offset));
            for threads in [2, 3, 4, 6] {
                for _ in 0..4 {
                    let (text, _) = print(&files, options(threads));
                    assert!(text == expected, "{threads} threads, offset {offset}");
                }
            }
        }
    }
}
