//! Rows, columns and counts of objects in TOS that do not land.

use std::io::{BufRead, BufReader};
use std::sync::Arc;

use arrow_array::builder::{Float32Builder, ListBuilder};
use arrow_array::{ArrayRef, Int64Array, RecordBatch, StringArray};
use parquet::arrow::ArrowWriter;
use parquet::basic::Compression;
use parquet::file::properties::WriterProperties;
use serde_json::Value;

use crate::program::{Ended, Place, Tos};

const ROWS: i64 = 60_000;
const DIMENSIONS: i64 = 96;

/// Three row groups of ids, vectors and texts: 24 MB, nearly all of it vectors.
fn export() -> Vec<u8> {
    let id: ArrayRef = Arc::new(Int64Array::from_iter_values((0..ROWS).map(|row| row * 7_919)));
    let mut vectors = ListBuilder::new(Float32Builder::new());
    for row in 0..ROWS {
        for place in 0..DIMENSIONS {
            let value = u16::try_from((row * 31 + place * 17) % 65_521).unwrap();
            vectors.values().append_value(f32::from(value) / 7.0);
        }
        vectors.append(true);
    }
    let vector: ArrayRef = Arc::new(vectors.finish());
    let text: ArrayRef =
        Arc::new(StringArray::from_iter_values((0..ROWS).map(|row| format!("text of row {row}"))));
    let batch =
        RecordBatch::try_from_iter([("id", id), ("vector", vector), ("text", text)]).unwrap();
    let properties = WriterProperties::builder()
        .set_max_row_group_row_count(Some(25_000))
        .set_dictionary_enabled(false)
        .set_compression(Compression::UNCOMPRESSED)
        .build();
    let mut file = Vec::new();
    let mut writer = ArrowWriter::try_new(&mut file, batch.schema(), Some(properties)).unwrap();
    writer.write(&batch).unwrap();
    writer.close().unwrap();
    file
}

/// Bytes and requests that a command says it read.
fn read(ended: &Ended) -> (u64, u64) {
    let mut events = ended.stderr.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    let event = events.find(|event| event["event"] == "read").unwrap();
    (event["bytes"].as_u64().unwrap(), event["requests"].as_u64().unwrap())
}

fn served(faults: &[&str]) -> (Tos, Place, Vec<u8>) {
    let tos = Tos::start(faults);
    let file = export();
    tos.emulator.put("demo", "x/0.parquet", &file).unwrap();
    let place = tos.place();
    (tos, place, file)
}

#[test]
fn schema_and_count_of_a_large_object_are_a_few_small_requests() {
    let (_tos, place, file) = served(&[]);
    assert!(file.len() > 20_000_000);
    let count = place.run(&["count", "tos://demo/x", "--progress", "json"]).ok();
    assert_eq!(count.stdout, format!("{ROWS}\n"));
    let schema = place.run(&["schema", "tos://demo/x", "--progress", "json"]).ok();
    assert!(schema.stdout.contains("id: Int64"), "{}", schema.stdout);
    for ended in [count, schema] {
        let (bytes, requests) = read(&ended);
        assert!(bytes < 100_000 && requests <= 3, "{bytes} bytes in {requests} requests");
    }
}

#[test]
fn rows_are_those_of_the_file_and_are_fetched_once() {
    let (tos, place, file) = served(&[]);
    std::fs::write(place.path("local.parquet"), &file).unwrap();
    let local = place.run(&["cat", "local.parquet"]).ok().stdout;
    for threads in ["1", "2", "5"] {
        let before = tos.emulator.bytes_sent();
        let remote =
            place.run(&["cat", "tos://demo/x", "--threads", threads, "--progress", "json"]).ok();
        assert!(remote.stdout == local, "{threads} threads: other rows");
        let (bytes, requests) = read(&remote);
        let most = file.len() as u64 + 100_000;
        assert!(bytes <= most, "{bytes} bytes for {}", file.len());
        assert!(tos.emulator.bytes_sent() - before <= most, "as the service counts them");
        assert!(requests <= 40, "{requests} requests");
    }
}

#[test]
fn only_the_columns_that_are_asked_for_are_fetched() {
    let (tos, place, _) = served(&[]);
    let ids = place.run(&["cat", "tos://demo/x", "-c", "id", "--progress", "json"]).ok();
    assert_eq!(ids.stdout.lines().count(), usize::try_from(ROWS).unwrap());
    let (bytes, requests) = read(&ids);
    let ids_bytes = u64::try_from(ROWS * 8).unwrap();
    assert!(bytes < ids_bytes + 200_000, "{bytes} bytes for {ids_bytes} of ids");
    assert!(requests <= 8, "{requests} requests");
    assert!(tos.emulator.bytes_sent() < ids_bytes + 200_000);
}

#[test]
fn a_reader_that_has_seen_enough_stops_the_fetching() {
    let (tos, place, file) = served(&[]);
    for number in 1..4 {
        tos.emulator.put("demo", &format!("x/{number}.parquet"), &file).unwrap();
    }
    let mut child = place.command(&["cat", "tos://demo/x"]).spawn().unwrap();
    let mut stdout = BufReader::new(child.stdout.take().unwrap());
    for _ in 0..5 {
        stdout.read_line(&mut String::new()).unwrap();
    }
    drop(stdout);
    let ended: Ended = child.wait_with_output().unwrap().into();
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    let head = place.run(&["cat", "tos://demo/x", "-n", "5", "--progress", "json"]).ok();
    assert_eq!(head.stdout.lines().count(), 5);
    assert!(read(&head).0 < 5_000_000, "{} bytes for five rows", read(&head).0);
    // What is fetched ahead is 32 MiB at most.
    let sent = tos.emulator.bytes_sent();
    assert!(sent < 50_000_000, "{sent} of {}", 4 * file.len());
}

#[test]
fn objects_are_read_in_order_with_one_offset_and_limit() {
    let (tos, place, file) = served(&[]);
    tos.emulator.put("demo", "x/2.parquet", &file).unwrap();
    tos.emulator.put("demo", "x/10.json", b"{\"id\":1}\n{\"id\":2}\n").unwrap();
    assert_eq!(place.run(&["count", "tos://demo/x"]).ok().stdout, format!("{}\n", 2 * ROWS + 2));
    let offset = (ROWS - 1).to_string();
    let rows = place.run(&["cat", "tos://demo/x", "-c", "id", "--offset", &offset, "-n", "2"]).ok();
    assert_eq!(rows.stdout, format!("{{\"id\":{}}}\n{{\"id\":0}}\n", (ROWS - 1) * 7_919));
    let all = place.run(&["cat", "tos://demo/x", "-c", "id"]).ok();
    assert!(all.stdout.ends_with("{\"id\":1}\n{\"id\":2}\n"));
}

#[test]
fn a_fault_of_the_network_is_not_taken_for_damage() {
    let (_tos, place, _) = served(&["tos-cut"]);
    place.run(&["cat", "tos://demo/x"]).fails(7, &["tos://demo/x/0.parquet", "no usable answer"]);
    let (_tos, place, _) = served(&["tos-changed"]);
    place.run(&["cat", "tos://demo/x"]).fails(8, &["changed after it was listed"]);
    let (_tos, place, _) = served(&[]);
    place.run(&["cat", "tos://demo/nothing"]).fails(4, &["tos://demo/nothing"]);
    let (_tos, place, file) = served(&["tos-cut=4", "tos-503=2"]);
    std::fs::write(place.path("local.parquet"), &file).unwrap();
    let local = place.run(&["cat", "local.parquet"]).ok().stdout;
    assert!(place.run(&["cat", "tos://demo/x"]).ok().stdout == local);
}
