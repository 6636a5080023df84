//! Every stage of a run × everything that may interrupt it: afterwards the run is gone on with, and there is
//! one task, and each row once.

use std::io::{BufRead, BufReader, Read};
use std::process::Child;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

use crate::program::{Place, Tos, example, example_rows};
use crate::secrets::search;

const RUN: [&str; 9] =
    ["run", "example", "--all", "--to", "tos://demo/x", "--dir", "run", "-o", "rows.jsonl"];
const RESUME: [&str; 4] = ["resume", "run", "-o", "rows.jsonl"];
const SLOWLY: [&str; 5] = ["--jobs", "1", "--retries", "1", "-vv"];

#[derive(Debug, Clone, Copy)]
enum Stage {
    /// The task is accepted, and the answer is on its way.
    Submitting,
    /// The task is followed.
    Pending,
    Listing,
    Downloading,
    /// Rows are in the output file, and others are still downloaded.
    Printing,
}

#[derive(Debug, Clone, Copy)]
enum Interruption {
    CtrlC,
    Sigterm,
    Kill9,
    NoNetwork,
    ExpiredToken,
}

impl Interruption {
    fn strike(self, child: &Child, tos: &Tos) {
        let signal = match self {
            Self::CtrlC => Signal::INT,
            Self::Sigterm => Signal::TERM,
            Self::Kill9 => Signal::KILL,
            Self::NoNetwork => return tos.emulator.set_network(false),
            Self::ExpiredToken => return tos.emulator.end_temporary_keys(),
        };
        kill_process(Pid::from_child(child), signal).unwrap();
    }

    /// The exit code, and what is said.
    fn outcome(self) -> (Option<i32>, &'static str) {
        match self {
            Self::CtrlC => (Some(130), "resume run"),
            Self::Sigterm => (Some(143), "resume run"),
            Self::Kill9 => (None, ""),
            Self::NoNetwork => (Some(7), ""),
            Self::ExpiredToken => (Some(3), "temporary credentials have expired"),
        }
    }
}

/// Waits until a run is at a stage; what it said meanwhile.
fn reach(stage: Stage, place: &Place, stderr: &mut impl BufRead) -> String {
    let words: &[&str] = match stage {
        Stage::Submitting => &["submitting"],
        Stage::Pending => &["waiting for task"],
        // The place is listed before the task is created, too.
        Stage::Listing => &["waiting for task", "listing"],
        Stage::Downloading | Stage::Printing => &["downloaded "],
    };
    let mut said = String::new();
    for words in words {
        let before = said.len();
        while !said[before..].contains(words) {
            assert!(stderr.read_line(&mut said).unwrap() > 0, "{stage:?} never came: {said}");
        }
    }
    while matches!(stage, Stage::Printing) && !place.path("run/.printed.json").exists() {
        std::thread::sleep(Duration::from_millis(5));
    }
    said
}

fn interrupt(stage: Stage, interruption: Interruption, go_on: &[&str]) {
    let case = format!("{stage:?} × {interruption:?}");
    // Lists lie all the while: keys come twice, and one of them is the page of a gateway.
    let faults =
        ["create-slow=300", "tos-slow=400", "tos-page=2", "tos-list-twice", "tos-list-html=1"];
    let tos = Tos::serving(example().parent().unwrap(), &faults);
    let mut place = tos.place();
    tos.lend_keys(&mut place);
    let mut child = place.command(&[&RUN[..], &SLOWLY].concat()).spawn().unwrap();
    let mut stderr = BufReader::new(child.stderr.take().unwrap());
    let mut said = reach(stage, &place, &mut stderr);
    interruption.strike(&child, &tos);
    stderr.read_to_string(&mut said).unwrap();
    search(&said);
    let (code, words) = interruption.outcome();
    assert_eq!(child.wait().unwrap().code(), code, "{case}: {said}");
    assert!(said.contains(words), "{case}: {said}");
    assert!(!place.path("rows.jsonl").exists(), "{case}: it has its name before it is whole");
    tos.emulator.set_network(true);
    tos.lend_keys(&mut place);
    let keys = tos.emulator.keys("demo", "x/");
    if matches!(stage, Stage::Downloading | Stage::Printing) {
        // The last object changes before the run is gone on with.
        let other = tos.emulator.get("demo", &keys[0]).unwrap();
        tos.emulator.put("demo", &keys[4], &other).unwrap();
    }
    let went_on = place.go_on(go_on).ok();
    assert_eq!(went_on.stdout, "", "{case}");
    let was_printing = went_on.stderr.contains("rows are in the output already");
    assert!(was_printing || !matches!(stage, Stage::Printing), "{case}: {}", went_on.stderr);
    let rows = std::fs::read_to_string(place.path("rows.jsonl")).unwrap();
    let wanted: String = rows_of_export(&tos);
    assert!(rows == wanted, "{case}: every row, once and in order");
    let tasks = place.run(&["list", "example"]).ok().stdout;
    assert_eq!(tasks.lines().count(), 1, "{case}: one task");
    assert!(!place.path("run/.partial").exists(), "{case}");
    let receipt = std::fs::read_to_string(place.path("run/receipt.json")).unwrap();
    let receipt: Value = serde_json::from_str(&receipt).unwrap();
    assert_eq!(receipt["finished"]["rows"], wanted.lines().count(), "{case}");
    assert!(receipt["tries"].as_u64() >= Some(2), "{case}");
}

/// The rows of the objects as they are now.
fn rows_of_export(tos: &Tos) -> String {
    let keys = tos.emulator.keys("demo", "x/");
    assert_eq!(keys.len(), 5, "{keys:?}");
    let rows = |key: &String| {
        let bytes = tos.emulator.get("demo", key).unwrap();
        Place::new().run_with_input(&["cat", "-"], &bytes).ok().stdout
    };
    keys.iter().map(rows).collect()
}

fn at_every_stage(interruption: Interruption) {
    let stages =
        [Stage::Submitting, Stage::Pending, Stage::Listing, Stage::Downloading, Stage::Printing];
    let ways = [&RUN[..], &RESUME].into_iter().cycle();
    // Most of the time is spent waiting.
    std::thread::scope(|scope| {
        for (stage, go_on) in stages.into_iter().zip(ways) {
            scope.spawn(move || interrupt(stage, interruption, go_on));
        }
    });
}

#[test]
fn ctrl_c_at_every_stage_is_gone_on_with() {
    at_every_stage(Interruption::CtrlC);
}

#[test]
fn sigterm_at_every_stage_is_gone_on_with() {
    at_every_stage(Interruption::Sigterm);
}

#[test]
fn kill_9_at_every_stage_is_gone_on_with() {
    at_every_stage(Interruption::Kill9);
}

#[test]
fn a_lost_network_at_every_stage_is_gone_on_with() {
    at_every_stage(Interruption::NoNetwork);
}

#[test]
fn keys_that_end_at_every_stage_are_replaced_and_gone_on_with() {
    at_every_stage(Interruption::ExpiredToken);
}

#[test]
fn a_service_that_crashes_behind_an_accepted_task_is_asked_for_it_later() {
    let faults = ["create-crash=12000", "tos-slow=10"];
    let tos = Tos::serving(example().parent().unwrap(), &faults);
    let place = tos.place();
    let mut ended = place.run(&RUN);
    let mut tries = 1;
    while ended.code == Some(7) {
        assert!(tries < 10, "{}", ended.stderr);
        assert!(ended.stderr.contains("hint:"), "{}", ended.stderr);
        tries += 1;
        ended = place.run(&RESUME);
    }
    ended.ok();
    assert!(tries > 1, "it was not gone for long enough");
    let rows = std::fs::read_to_string(place.path("rows.jsonl")).unwrap();
    assert!(rows == example_rows());
    assert_eq!(place.run(&["list", "example"]).ok().stdout.lines().count(), 1, "one task");
}
