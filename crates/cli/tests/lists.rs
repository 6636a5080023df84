//! Listings that lie, keys that cannot be files, services that answer something else for a while.

use std::fs;
use std::io::{BufRead, BufReader, Read};

use serde_json::Value;

use crate::program::{Place, Service, Tos, example, example_rows, until};

const RUN: [&str; 9] =
    ["run", "example", "--all", "--to", "tos://demo/x", "--dir", "run", "-o", "rows.jsonl"];
const RESUME: [&str; 4] = ["resume", "run", "-o", "rows.jsonl"];

fn rows(place: &Place) -> String {
    fs::read_to_string(place.path("rows.jsonl")).unwrap()
}

fn receipt(place: &Place) -> Value {
    serde_json::from_slice(&fs::read(place.path("run/receipt.json")).unwrap()).unwrap()
}

#[test]
fn a_list_that_lies_for_a_while_is_asked_past() {
    for fault in [
        "tos-list-twice",
        "tos-list-html=2",
        "tos-list-error=2",
        "tos-list-cut=2",
        "tos-list-no-token=1",
        "tos-list-circle=1",
        "tos-empty-list=2",
    ] {
        let (_service, place) = Service::with_faults(&["tos-page=2", fault]);
        place.run(&RUN).ok();
        assert!(rows(&place) == example_rows(), "{fault}");
        place.run(&["verify", "run"]).ok();
    }
}

#[test]
fn a_list_that_lies_for_ever_is_exit_7_and_resume_brings_the_rows() {
    for (fault, words) in [
        ("tos-list-html", "502 Bad Gateway"),
        ("tos-list-error", "InternalError"),
        ("tos-list-cut", "it is no list"),
        ("tos-list-no-token", "not how to get them"),
        ("tos-list-circle", "lead in a circle"),
        ("tos-empty-list", "21001 rows"),
    ] {
        let tos = Tos::serving(example().parent().unwrap(), &["tos-page=2"]);
        let mut place = tos.place();
        place.set("VIKING_EXPORT_RETRY_FOR", "1s");
        let child = place.command(&RUN).spawn().unwrap();
        // The place was found empty before the task was made; what is listed then is the export.
        while place.run(&["list", "example"]).ok().stdout.is_empty() {}
        tos.emulator.set_faults(["tos-page=2", fault].map(|fault| fault.parse().unwrap()).into());
        let ended: crate::program::Ended = child.wait_with_output().unwrap().into();
        ended.fails(7, &[words, "resume run"]);
        tos.emulator.set_faults(Vec::new());
        place.run(&RESUME).ok();
        assert!(rows(&place) == example_rows(), "{fault}");
        assert_eq!(place.run(&["list", "example"]).ok().stdout.lines().count(), 1, "{fault}");
    }
}

#[test]
fn nothing_listed_is_right_only_where_nothing_was_to_be_had() {
    let (_service, place) = Service::with_faults(&[]);
    let filter = r#"[{"op":"must","field":"city","conds":["nowhere"]}]"#;
    let none = ["run", "example", "--filter", filter, "--to", "tos://demo/x", "--dir", "none"];
    let ended = place.run(&none).ok();
    assert_eq!(ended.stdout, "");
    assert!(ended.stderr.contains("0 rows of 0 objects"), "{}", ended.stderr);
}

#[test]
fn resume_lists_again_what_was_listed_too_early() {
    let tos = Tos::serving(example().parent().unwrap(), &["tos-list-short=2", "tos-slow=300"]);
    let place = tos.place();
    let run = [&RUN[..], &["--jobs", "1"]].concat();
    let mut child = place.command(&run).spawn().unwrap();
    until(&mut child, || place.path("run/0.parquet").exists());
    child.kill().unwrap();
    child.wait().unwrap();
    assert_eq!(receipt(&place)["objects"].as_array().unwrap().len(), 4, "the last was not shown");
    tos.emulator.set_faults(Vec::new());
    let ended = place.run(&RESUME).ok();
    assert!(ended.stderr.contains("1 objects are listed that were not there"), "{}", ended.stderr);
    assert!(rows(&place) == example_rows());
    assert_eq!(receipt(&place)["objects"].as_array().unwrap().len(), 5);
}

#[test]
fn a_list_that_was_short_is_noticed_by_the_rows_and_asked_for_again() {
    // The first list is that of the place before the task.
    let (_service, place) = Service::with_faults(&["tos-list-short=2"]);
    let late = "1 objects were listed only after the rows of the others were printed";
    let ended = place.run(&RUN[..7]).fails(8, &[late, "resume"]);
    assert!(ended.stdout.lines().count() < 21_001);
    place.run(&RESUME).ok();
    assert!(rows(&place) == example_rows());

    let (_service, place) = Service::with_faults(&["tos-list-short=2"]);
    let ended = place.run(&RUN).ok();
    assert!(ended.stderr.contains("1 objects are listed that were not there"), "{}", ended.stderr);
    assert!(!ended.stderr.contains("its count is an estimate"), "{}", ended.stderr);
    assert!(rows(&place) == example_rows());
}

#[test]
fn objects_that_are_no_longer_listed_are_taken_as_they_landed() {
    let tos = Tos::serving(example().parent().unwrap(), &["tos-slow=300"]);
    let place = tos.place();
    let run = [&RUN[..], &["--jobs", "1"]].concat();
    let mut child = place.command(&run).spawn().unwrap();
    until(&mut child, || place.path("run/1.parquet").exists());
    child.kill().unwrap();
    child.wait().unwrap();
    // A list without its last two pages, if it is believed, loses rows that are not here.
    tos.emulator.set_faults(vec!["tos-list-short=1".parse().unwrap()]);
    let ended = place.run(&RESUME).ok();
    assert!(ended.stderr.contains("1 objects are no longer listed"), "{}", ended.stderr);
    assert!(rows(&place) == example_rows());
}

#[test]
fn a_key_that_cannot_be_a_file_is_named_and_the_others_land() {
    let tos = Tos::start(&[]);
    let place = tos.place();
    let file = fs::read(example().join("1.parquet")).unwrap();
    for (number, (key, named)) in [
        ("a\tb.parquet", "a\\tb.parquet"),
        ("a\u{1b}[31mb.parquet", "a\\u001b[31mb.parquet"),
        ("a//b.parquet", "a//b.parquet"),
        ("./b.parquet", "./b.parquet"),
        ("b/", "b/\""),
        ("receipt.json.part", "receipt.json.part"),
        ("RECEIPT.JSON", "RECEIPT.JSON"),
        ("ok.parquet/b", "/ok.parquet\""),
    ]
    .into_iter()
    .enumerate()
    {
        let (prefix, dir) = (format!("k{number}"), format!("d{number}"));
        for name in ["ok.parquet", "2.parquet", key] {
            tos.emulator.put("demo", &format!("{prefix}/{name}"), &file).unwrap();
        }
        let from = format!("tos://demo/{prefix}");
        for _ in 0..2 {
            let ended = place.run(&["fetch", &from, "--dir", &dir]).fails(8, &[named]);
            assert!(!ended.stderr.contains('\u{1b}'), "{}", ended.stderr);
            assert!(place.path(&dir).join("2.parquet").exists(), "{key:?}: the others land");
        }
        let ended = place.run(&["cat", &from, "-c", "id"]);
        assert_eq!(ended.code, Some(8), "{}", ended.stderr);
        assert_eq!(ended.stdout.lines().count(), 2 * 7013, "{key:?}: rows of the others");
        place.run(&["count", &from]).fails(8, &[named]);
    }
}

#[test]
fn a_run_with_such_a_key_is_not_finished() {
    let tos = Tos::serving(example().parent().unwrap(), &["tos-slow=300"]);
    let place = tos.place();
    let mut child =
        place.command(&[&RUN[..], &["--jobs", "1", "--clean"]].concat()).spawn().unwrap();
    until(&mut child, || place.path("run/0.parquet").exists());
    let first = tos.emulator.keys("demo", "x/").remove(0);
    let folder = first.rsplit_once('/').unwrap().0;
    drop(child.wait_with_output().unwrap());
    let odd = format!("{folder}/a\u{7}.parquet");
    // It finished before it was there; a second run lists it.
    let place = tos.place();
    let mut child = place.command(&[&RUN[..], &["--jobs", "1"]].concat()).spawn().unwrap();
    until(&mut child, || place.path("run/0.parquet").exists());
    child.kill().unwrap();
    child.wait().unwrap();
    let first = tos.emulator.keys("demo", "x/").into_iter().find(|key| !key.starts_with(folder));
    let folder = first.unwrap().rsplit_once('/').unwrap().0.to_owned();
    tos.emulator
        .put("demo", &odd.replacen(odd.rsplit_once('/').unwrap().0, &folder, 1), b"{}")
        .unwrap();
    place.run(&[&RESUME[..], &["--clean", "--discard"]].concat()).fails(8, &["a\\u0007.parquet"]);
    assert_eq!(receipt(&place)["finished"], Value::Null);
    assert!(place.path("run/0.parquet").exists(), "nothing was removed");
    assert_eq!(tos.emulator.keys("demo", &folder).len(), 6, "nothing was deleted");
    assert!(!place.path("rows.jsonl").exists());
}

#[test]
fn answers_that_are_none_are_asked_past_and_one_task_is_made() {
    for faults in [
        &["vikingdb-html=2"][..],
        &["vikingdb-null=2"],
        &["create-busy=2"],
        &["create-blank=1"],
        &["vikingdb-503=2", "create-busy=1", "create-lost=1"],
    ] {
        for api in ["v1", "v2"] {
            let (_service, mut place) = Service::with_faults(faults);
            place.set("VIKING_EXPORT_API", api);
            place.set("VIKING_EXPORT_RETRY_FOR", "1m");
            place.run(&RUN).ok();
            assert!(rows(&place) == example_rows(), "{faults:?} {api}");
            let tasks = place.run(&["list", "example"]).ok().stdout;
            assert_eq!(tasks.lines().count(), 1, "{faults:?} {api}");
        }
    }
}

#[test]
fn an_outage_that_takes_more_than_a_few_attempts_ends_nothing() {
    let tos = Tos::serving(example().parent().unwrap(), &["tos-slow=200"]);
    let mut place = tos.place();
    // As long as it is for a user who says nothing.
    place.set("VIKING_EXPORT_RETRY_FOR", "");
    let run = [&RUN[..], &["--jobs", "1", "-v"]].concat();
    let mut child = place.command(&run).spawn().unwrap();
    let mut stderr = BufReader::new(child.stderr.take().unwrap());
    let mut said = String::new();
    while !said.contains("downloaded ") {
        assert!(stderr.read_line(&mut said).unwrap() > 0, "{said}");
    }
    tos.emulator.set_network(false);
    while said.matches("trying again").count() < 7 {
        assert!(stderr.read_line(&mut said).unwrap() > 0, "{said}");
    }
    tos.emulator.set_network(true);
    stderr.read_to_string(&mut said).unwrap();
    assert!(child.wait().unwrap().success(), "{said}");
    assert!(rows(&place) == example_rows());
}

#[test]
fn what_a_done_task_says_is_shown_on_one_line() {
    let (_service, place) = Service::with_faults(&["task-note=12 rows\nwere \u{1b}[31mskipped"]);
    let ended = place.run(&RUN).ok();
    let words = "the service says: 12 rows\\nwere \\u001b[31mskipped";
    assert!(ended.stderr.contains(words), "{}", ended.stderr);
    let listed = place.run(&["list", "example"]).ok().stdout;
    assert!(listed.lines().count() == 1 && !listed.contains('\u{1b}'), "{listed}");
}

#[test]
fn a_redirect_says_where_the_bucket_is() {
    let (_service, place) = Service::with_faults(&["tos-redirect"]);
    let words = ["demo.tos-s3-cn-shanghai.volces.com", "region cn-shanghai", "set --region"];
    place.run(&["fetch", "tos://demo/x", "--dir", "d"]).fails(2, &words);
}

#[test]
fn objects_land_where_head_is_refused_and_the_receipt_says_so() {
    let (_service, place) = Service::with_faults(&["tos-head-refused=403"]);
    place.run(&[&RUN[..], &["--part-size", "1MiB"]].concat()).ok();
    assert!(rows(&place) == example_rows());
    let receipt = receipt(&place);
    let objects = receipt["objects"].as_array().unwrap();
    assert!(objects.iter().all(|object| object["crc64"].is_string()));
}
