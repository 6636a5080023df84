//! How `cat` prints rows: formats, threads and memory.

use std::fs::File;
use std::io::Read;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use arrow_array::builder::{Float32Builder, ListBuilder};
use arrow_array::types::Float64Type;
use arrow_array::{ArrayRef, Int64Array, ListArray, RecordBatch};
use parquet::arrow::ArrowWriter;
use parquet::file::properties::WriterProperties;
use serde_json::Value;

use crate::program::{Place, example, example_rows};

#[test]
fn one_json_array_holds_all_rows_and_an_empty_one_none() {
    let place = Place::new();
    let example = example();
    let cat = ["cat", example.to_str().unwrap(), "--format", "json"];
    let array = place.run(&cat).ok().stdout;
    let rows: Vec<Value> = serde_json::from_str(&array).unwrap();
    let lines = example_rows();
    assert!(
        rows.iter().eq(lines
            .lines()
            .map(|line| serde_json::from_str(line).unwrap())
            .collect::<Vec<Value>>()
            .iter())
    );
    assert_eq!(place.run(&[&cat[..], &["-n", "0"]].concat()).ok().stdout, "[]\n");
}

#[test]
fn an_arrow_stream_is_binary_and_takes_no_options_for_json() {
    let place = Place::new();
    let example = example();
    let cat = ["cat", example.to_str().unwrap(), "--format", "arrow"];
    let output = place.command(&cat).output().unwrap();
    assert!(output.status.success());
    let stream = arrow_ipc::reader::StreamReader::try_new(output.stdout.as_slice(), None).unwrap();
    let rows: usize = stream.map(|batch| batch.unwrap().num_rows()).sum();
    assert_eq!(rows, 21_001);
    for option in [["--int64", "string"], ["--nulls", "drop"], ["--vectors", "base64"]] {
        place.run(&[&cat[..], &option].concat()).fails(2, &[option[0], "--format arrow", "hint"]);
    }
    let run = ["run", "example", "--all", "--to", "tos://demo/x", "--embedded"];
    place
        .run(&[&run[..], &["--format", "arrow", "--int64", "string"]].concat())
        .fails(2, &["--int64"]);
    place
        .run(&[&run[..], &["--format", "arrow", "--file-type", "json"]].concat())
        .fails(2, &["--format arrow", "Parquet"]);
    assert_eq!(std::fs::read_dir(place.folder.path()).unwrap().count(), 0, "nothing was begun");
}

#[test]
fn sizes_are_checked_like_any_other_option() {
    let place = Place::new();
    let example = example();
    let cat = ["cat", example.to_str().unwrap(), "-n", "2", "--memory"];
    place.run(&[&cat[..], &["much"]].concat()).fails(2, &["--memory", "much"]);
    let little = place.run(&[&cat[..], &["1KiB"]].concat()).ok();
    assert_eq!(little.stdout.lines().count(), 2);
    assert!(little.stderr.contains("is more than --memory allows"), "{}", little.stderr);
    assert_eq!(place.run(&[&cat[..], &["32MB"]].concat()).ok().stderr, "");
}

/// One row group that is far larger than the budgets below.
fn write_large(path: &Path) {
    let mut vectors = ListBuilder::new(Float32Builder::new());
    for row in 0..40_000_u16 {
        (0..256_u16).for_each(|item| vectors.values().append_value(f32::from(row ^ item) * 0.37));
        vectors.append(true);
    }
    let ids = Int64Array::from_iter_values(0..40_000);
    let columns = [("id", Arc::new(ids) as _), ("vector", Arc::new(vectors.finish()) as _)];
    let batch = RecordBatch::try_from_iter(columns).unwrap();
    let properties = WriterProperties::builder().set_dictionary_enabled(false).build();
    let file = File::create(path).unwrap();
    let mut writer = ArrowWriter::try_new(file, batch.schema(), Some(properties)).unwrap();
    writer.write(&batch).unwrap();
    assert_eq!(writer.close().unwrap().num_row_groups(), 1);
}

/// The highest memory of a running process, in KiB.
#[cfg(target_os = "linux")]
fn peak(process: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{process}/status")).unwrap();
    let line = status.lines().find(|line| line.starts_with("VmHWM")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}

#[cfg(target_os = "linux")]
#[test]
fn memory_stays_within_the_budget_and_32_mib_however_slow_the_reader_is() {
    let place = Place::new();
    let file = place.path("large.parquet");
    write_large(&file);
    let path = file.to_str().unwrap();
    let expected = place.run(&["cat", path]).ok().stdout;
    assert!(expected.len() > 60 << 20);
    for (budget, options) in
        [(64, &["--threads", "2"][..]), (64, &["--threads", "12"]), (8, &["--memory", "8MiB"])]
    {
        let mut child = place.command(&[&["cat", path], options].concat()).spawn().unwrap();
        let mut stdout = child.stdout.take().unwrap();
        // A slow start fills every queue and buffer there is.
        std::thread::sleep(Duration::from_millis(300));
        let mut printed = vec![0; expected.len()];
        let mut highest = 0;
        for chunk in printed.chunks_mut(8 << 20) {
            // More than a pipe holds is still to come, so the process is there.
            highest = peak(child.id()) / 1024;
            stdout.read_exact(chunk).unwrap();
        }
        assert!(child.wait().unwrap().success());
        assert!(printed == expected.as_bytes(), "{options:?}");
        assert!(highest <= budget + 32, "{highest} MiB with {options:?}");
    }
}

/// The body of a page must not be taken for a header: this value looks like one that claims too much.
#[test]
fn values_that_look_like_a_page_header_are_values() {
    let place = Place::new();
    let values: arrow_array::ArrayRef = Arc::new(Int64Array::from(vec![136_572; 900_000]));
    let batch = RecordBatch::try_from_iter_with_nullable([("id", values, false)]).unwrap();
    let properties = WriterProperties::builder()
        .set_dictionary_enabled(false)
        .set_compression(parquet::basic::Compression::UNCOMPRESSED)
        .build();
    let file = File::create(place.path("ids.parquet")).unwrap();
    let mut writer = ArrowWriter::try_new(file, batch.schema(), Some(properties)).unwrap();
    writer.write(&batch).unwrap();
    writer.close().unwrap();
    for threads in ["1", "2", "4"] {
        let rows = place.run(&["cat", "ids.parquet", "--threads", threads]).ok().stdout;
        assert_eq!(rows.lines().count(), 900_000, "{threads} threads");
    }
}

#[test]
fn what_other_programs_leave_beside_their_data_is_none() {
    let place = Place::new();
    let file = example().join("1.parquet");
    for name in ["_temporary/0", ".staging", "_delta_log", "y=1", "deep/er"] {
        std::fs::create_dir_all(place.path("d").join(name)).unwrap();
    }
    for name in [
        "0.parquet",
        "_temporary/0/0.parquet",
        ".staging/0.parquet",
        "y=1/0.parquet",
        "_metadata.parquet",
    ] {
        std::fs::copy(&file, place.path("d").join(name)).unwrap();
    }
    std::fs::write(place.path("d/_delta_log/0.json"), "{\"commitInfo\":{}}\n").unwrap();
    // Links that lead back, and one that leads to the same folder again.
    std::os::unix::fs::symlink("../..", place.path("d/deep/er/up")).unwrap();
    std::os::unix::fs::symlink("y=1", place.path("d/z=1")).unwrap();
    for what in ["d", "d*", "d/"] {
        let ended = place.run(&["count", what]).ok();
        assert_eq!(ended.stdout, "14026\n", "{what}: {}", ended.stderr);
        let is_named = ended.stderr.contains("is a table of Delta Lake");
        assert!(is_named || what == "d*", "{what}: {}", ended.stderr);
    }
}

#[test]
fn text_of_other_encodings_is_named_and_a_byte_order_mark_is_borne() {
    let place = Place::new();
    std::fs::write(place.path("x.json"), "\u{feff}{\"a\":1}\n").unwrap();
    assert_eq!(place.run(&["cat", "x.json"]).ok().stdout, "{\"a\":1}\n");
    let utf16: Vec<u8> = "{\"a\":1}\n".encode_utf16().flat_map(u16::to_le_bytes).collect();
    for (bytes, words) in [
        (&b"\x1f\x8b\x08\0\0\0\0\0"[..], "as gzip does"),
        (b"\x28\xb5\x2f\xfd\0\0\0\0", "as Zstandard does"),
        (&utf16, "as UTF-16 does"),
    ] {
        std::fs::write(place.path("y.json"), bytes).unwrap();
        place.run(&["cat", "y.json"]).fails(8, &[words]);
    }
}

#[test]
fn doubles_that_were_floats_are_hinted_at_and_printed_as_floats() {
    let place = Place::new();
    let rows = [Some(vec![Some(f64::from(0.1_f32)), Some(2.5)]), Some(vec![Some(1.0), None])];
    let lists = ListArray::from_iter_primitive::<Float64Type, _, _>(rows);
    let batch = RecordBatch::try_from_iter([("vector", Arc::new(lists) as ArrayRef)]).unwrap();
    let file = File::create(place.path("v.parquet")).unwrap();
    let mut writer = ArrowWriter::try_new(file, batch.schema(), None).unwrap();
    writer.write(&batch).unwrap();
    writer.close().unwrap();

    let stored = place.run(&["cat", "v.parquet"]).ok();
    assert!(stored.stdout.starts_with("{\"vector\":[0.10000000149011612,2.5]}\n"));
    assert!(stored.stderr.contains("f64 whose values are f32: vector; --floats f32"));
    let narrow = place.run(&["cat", "v.parquet", "--floats", "f32"]).ok();
    assert_eq!(narrow.stdout, "{\"vector\":[0.1,2.5]}\n{\"vector\":[1.0,null]}\n");
    assert!(!narrow.stderr.contains("f32"), "{}", narrow.stderr);

    let arrow = |vectors: &str| {
        let form = ["--format", "arrow", "--floats", "f32", "--vectors", vectors];
        let arguments = [&["cat", "v.parquet"], &form[..]].concat();
        let ended = place.command(&arguments).output().unwrap().stdout;
        let stream = arrow_ipc::reader::StreamReader::try_new(&ended[..], None).unwrap();
        stream.schema().field(0).data_type().to_string()
    };
    assert!(arrow("array").starts_with("FixedSizeList(2 x "), "{}", arrow("array"));
    assert!(arrow("list").starts_with("List("), "{}", arrow("list"));
}
