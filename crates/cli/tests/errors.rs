//! One test for each row of the table of exit codes, and what bad input says.

use std::fs;
use std::process::Stdio;

use crate::program::{Ended, Place, Service, example};

const RUN: [&str; 5] = ["run", "example", "--all", "--to", "tos://demo/x"];

#[test]
fn exit_2_for_wrong_usage() {
    let place = Place::new();
    let filter = ["--filter", "[]"];
    place.run(&[&RUN[..], &filter].concat()).fails(2, &["--all", "--filter"]);
    place.run(&["run", "example", "--to", "tos://demo/x"]).fails(2, &["--filter"]);
    place
        .run(&["run", "example", "--all", "--to", "s3://demo/x", "--embedded"])
        .fails(2, &["tos://bucket/path"]);
    let must_nor = r#"[{"op":"must_nor","field":"city","conds":["x"]}]"#;
    place
        .run(&["run", "example", "--filter", must_nor, "--to", "tos://demo/x", "--embedded"])
        .fails(2, &["must_not"]);
    place.run(&["runn"]).fails(2, &["run"]);
    place.run(&[]).fails(2, &["Usage"]);
    place.run(&["cat", example().to_str().unwrap(), "-c", "town"]).fails(2, &["\"town\"", "city"]);

    fs::create_dir(place.path("used")).unwrap();
    fs::write(place.path("used/file"), "x").unwrap();
    place.run(&[&RUN[..], &["--embedded", "--dir", "used"]].concat()).fails(2, &["not empty"]);
}

#[test]
fn exit_2_for_a_folder_of_another_request() {
    let (_service, place) = Service::with_faults(&[]);
    place.run(&[&RUN[..], &["--dir", "run"]].concat()).ok();
    place
        .run(&["run", "example", "--all", "--to", "tos://demo/y", "--dir", "run"])
        .fails(2, &["another request"]);
    let again = place.run(&[&RUN[..], &["--dir", "run"]].concat()).ok();
    assert_eq!(again.stdout.lines().count(), 21_001, "an equal request prints from row 0");
    assert_eq!(place.run(&["list", "example"]).ok().stdout.lines().count(), 1);
}

#[test]
fn exit_3_for_keys_and_permission() {
    let (service, mut place) = Service::with_faults(&[]);
    place.set("VOLCENGINE_SECRET_KEY", "wrong");
    place.run(&RUN).fails(3, &["SignatureDoesNotMatch", "request id", "log id", "hint:"]);
    place
        .run(&["fetch", "tos://demo/x", "--dir", "d"])
        .fails(3, &["SignatureDoesNotMatch", "request id"]);
    Place::new().run(&RUN).fails(3, &["VOLCENGINE_ACCESS_KEY", "--embedded"]);
    drop(service);
    let (_service, place) = Service::with_faults(&["denied"]);
    place.run(&RUN).fails(3, &["1000002", "permission"]);
    let (_service, place) = Service::with_faults(&["tos-expired"]);
    place.run(&RUN).fails(3, &["ExpiredToken", "temporary credentials"]);
}

#[test]
fn exit_4_for_what_does_not_exist() {
    let (_service, place) = Service::with_faults(&[]);
    place.run(&["run", "nope", "--all", "--to", "tos://demo/x"]).fails(4, &["1000005", "nope"]);
    place.run(&["status", "nope"]).fails(4, &["1000035"]);
    place
        .run(&["fetch", "tos://nobucket/x", "--dir", "d"])
        .fails(4, &["NoSuchBucket", "create the bucket"]);
    place.run(&["cat", "missing.parquet"]).fails(4, &["missing.parquet"]);
    place.run(&["cat", "*.parquet"]).fails(4, &["*.parquet"]);
}

#[test]
fn exit_5_for_a_task_that_fails() {
    let (_service, place) = Service::with_faults(&["task-fail=the bucket is closed"]);
    place.run(&RUN).fails(5, &["`fail`", "the bucket is closed"]);
}

#[test]
fn exit_6_for_a_task_that_does_not_finish() {
    let (_service, place) = Service::with_faults(&["task-stuck"]);
    place
        .run(&[&RUN[..], &["--timeout", "500ms"]].concat())
        .fails(6, &["running", "viking-export wait"]);
    let (_service, place) = Service::with_faults(&["task-confirm"]);
    let waits =
        place.run(&[&RUN[..], &["--dir", "run"]].concat()).fails(6, &["viking-export confirm"]);
    let task = waits.stderr.split("export confirm ").nth(1).unwrap();
    let task = task.split_whitespace().next().unwrap();
    place.run(&["confirm", task]).ok();
    assert_eq!(place.run(&["resume", "run"]).ok().stdout.lines().count(), 21_001);
    let (_service, place) = Service::with_faults(&["task-stuck"]);
    let stalled = place.run(&[&RUN[..], &["--stall", "300ms", "--timeout", "2s"]].concat());
    let stalled = stalled.fails(6, &["is running and has not moved for", "stalled"]);
    assert_eq!(stalled.stderr.matches("has not moved").count(), 1, "said once");
    place.run(&[&RUN[..], &["--embedded", "--stall=-1s"]].concat()).fails(2, &["--stall"]);
}

#[test]
fn exit_7_for_a_transfer_that_fails_and_can_go_on() {
    let (service, place) = Service::with_faults(&["tos-503"]);
    place.run(&[&RUN[..], &["--retries", "1", "--dir", "run"]].concat()).fails(7, &["SlowDown"]);
    drop(service);
    let gone = place.run(&["list", "example"]);
    gone.fails(7, &["no answer from 127.0.0.1"]);
}

#[test]
fn exit_8_for_bad_data() {
    let place = Place::new();
    let whole = fs::read(example().join("1.parquet")).unwrap();
    let file = |name: &str, bytes: &[u8]| fs::write(place.path(name), bytes).unwrap();
    file("truncated.parquet", &whole[..whole.len() / 2]);
    file("text.parquet", b"these are words\n");
    file("empty.parquet", b"");
    let mut flipped = whole.clone();
    // The header of the first page.
    flipped[4..68].fill(0xff);
    file("flipped.parquet", &flipped);
    file("row.json", b"{\"a\":1}\n{\"a\":\n");
    let one_line = |ended: &Ended| assert_eq!(ended.stderr.lines().count(), 1, "{}", ended.stderr);
    one_line(
        &place.run(&["cat", "truncated.parquet"]).fails(8, &["truncated.parquet", "truncated"]),
    );
    one_line(&place.run(&["cat", "text.parquet"]).fails(8, &["text.parquet", "these"]));
    one_line(&place.run(&["cat", "empty.parquet"]).fails(8, &["empty.parquet", "0 bytes"]));
    one_line(&place.run(&["cat", "flipped.parquet"]).fails(8, &["flipped.parquet", "damaged"]));
    let row = place.run(&["cat", "row.json"]).fails(8, &["row.json", "row 1"]);
    assert_eq!(row.stdout, "{\"a\":1}\n", "the rows before it are kept");
    let nan = example().join("1.parquet");
    place
        .run(&["cat", nan.to_str().unwrap(), "--nonfinite", "error"])
        .fails(8, &["row 5", "\"score\""]);
    let (_service, place) = Service::with_faults(&["tos-changed"]);
    place.run(&RUN).fails(8, &["changed 3 times"]);
}

#[cfg(target_os = "linux")]
#[test]
fn exit_9_for_a_full_disk_or_an_output_that_cannot_be_made() {
    let place = Place::new();
    let file = example().join("1.parquet");
    let full = fs::OpenOptions::new().write(true).open("/dev/full").unwrap();
    let mut command = place.command(&["cat", file.to_str().unwrap()]);
    let ended: Ended = command.stdout(Stdio::from(full)).output().unwrap().into();
    ended.fails(9, &["cannot write the output", "space"]);
    fs::write(place.path("file"), "x").unwrap();
    place.run(&["cat", file.to_str().unwrap(), "-o", "file/rows"]).fails(9, &["file/rows"]);
}

/// Every file below the place, and everything that was said.
#[test]
fn an_output_file_keeps_its_part_name_when_the_download_fails() {
    let (_service, place) = Service::with_faults(&["tos-416=1"]);
    let arguments = [&RUN[..], &["--dir", "run", "-o", "rows.jsonl", "--jobs", "1"]].concat();
    let failed = place.run(&arguments).fails(8, &["InvalidRange"]);
    assert!(failed.stderr.contains("resume run -o rows.jsonl"), "{}", failed.stderr);
    assert!(!place.path("rows.jsonl").exists());
    place.run(&["resume", "run", "-o", "rows.jsonl"]).ok();
    assert_eq!(fs::read_to_string(place.path("rows.jsonl")).unwrap().lines().count(), 21_001);
}

#[test]
fn two_processes_never_work_in_one_folder() {
    let (_service, place) = Service::with_faults(&["tos-slow=300"]);
    let arguments = [&RUN[..], &["--dir", "run"]].concat();
    let mut first = place.command(&arguments).stdout(Stdio::null()).spawn().unwrap();
    while !place.path("run/receipt.json").exists() {
        assert_eq!(first.try_wait().unwrap(), None);
        std::thread::yield_now();
    }
    place.run(&arguments).fails(2, &["another viking-export works in run"]);
    place.run(&["resume", "run"]).fails(2, &["another viking-export works in run"]);
    assert!(first.wait().unwrap().success());
}

#[test]
fn passwords_in_addresses_are_not_repeated() {
    let mut place = Place::new();
    place.set("VOLCENGINE_ACCESS_KEY", "a");
    place.set("VOLCENGINE_SECRET_KEY", "b");
    for flag in ["--endpoint", "--tos-endpoint"] {
        let address = [flag, "https://user:hush@example.com"];
        let refused =
            place.run(&[&RUN[..], &["--dir", "run"], &address].concat()).fails(2, &["example.com"]);
        assert!(!refused.stderr.contains("hush"), "{}", refused.stderr);
        assert!(!place.path("run").exists(), "refused before anything was made");
    }
}
