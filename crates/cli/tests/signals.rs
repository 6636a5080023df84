//! Stops: Ctrl-C, SIGTERM, kill -9, a reader that goes away. Each can be gone on with.

use std::fs::File;
use std::io::{BufRead, BufReader, Read};
use std::path::PathBuf;
use std::process::Child;
use std::sync::Arc;
use std::time::Duration;

use arrow_array::{ArrayRef, Int64Array, RecordBatch};
use parquet::arrow::ArrowWriter;
use rustix::process::{Pid, Signal, kill_process};

use serde_json::Value;

use crate::program::{Ended, Place, Service, example, example_rows, until};
use crate::secrets::search;

const RUN: [&str; 7] = ["run", "example", "--all", "--to", "tos://demo/x", "--dir", "run"];

fn send(child: &Child, signal: Signal) {
    kill_process(Pid::from_child(child), signal).unwrap();
}

/// Reads stderr until a line contains `words`.
fn wait_for(stderr: &mut impl BufRead, words: &str) -> String {
    let mut said = String::new();
    while !said.contains(words) {
        assert!(stderr.read_line(&mut said).unwrap() > 0, "{words:?} was never said: {said}");
    }
    said
}

/// Starts a run, sends it a signal once it said `words`, and takes the rest.
fn stop_at(place: &Place, words: &str, signal: Signal) -> Ended {
    let mut child = place.command(&RUN).spawn().unwrap();
    let mut stderr = BufReader::new(child.stderr.take().unwrap());
    let mut said = wait_for(&mut stderr, words);
    send(&child, signal);
    stderr.read_to_string(&mut said).unwrap();
    search(&said);
    let output = child.wait_with_output().unwrap();
    Ended { stderr: said, ..Ended::from(output) }
}

#[test]
fn ctrl_c_while_the_task_runs_detaches_and_resume_goes_on() {
    let service = Service::start(&["--state-time", "700"]);
    let place = Place::at(&service);
    let stopped = stop_at(&place, "waiting for task", Signal::INT).fails(130, &["interrupted"]);
    let task = place.run(&["list", "example"]).ok().stdout;
    let task = task.split_whitespace().next().unwrap();
    assert!(stopped.stderr.contains("viking-export resume run"), "{}", stopped.stderr);
    assert!(stopped.stderr.contains(&format!("viking-export cancel {task}")), "{}", stopped.stderr);
    let resumed = place.run(&["resume", "run"]).ok();
    assert_eq!(resumed.stdout, example_rows());
    assert_eq!(place.run(&["list", "example"]).ok().stdout.lines().count(), 1, "no second export");
}

#[test]
fn sigterm_while_downloading_keeps_what_has_landed() {
    // Long enough for the signal to come before the last object on a machine that does other things too.
    let service = Service::start(&["--fault", "tos-slow=2500"]);
    let place = Place::at(&service);
    let stopped =
        stop_at(&place, "downloaded ", Signal::TERM).fails(143, &["terminated", "resume run"]);
    assert!(stopped.stdout.lines().all(|line| line.ends_with('}')), "whole lines only");
    let resumed = place.run(&["resume", "run"]).ok();
    assert_eq!(resumed.stdout, example_rows());
    let before = stopped.stderr.matches("downloaded ").count();
    let after = resumed.stderr.matches("downloaded ").count();
    assert!(before >= 1 && before + after <= 5, "{before} + {after} of 5 objects were loaded");
}

#[test]
fn kill_9_at_any_step_is_gone_on_with_by_the_same_command() {
    for words in ["submitting", "submitted", "waiting", "listing", "downloaded "] {
        let service = Service::start(&["--fault", "tos-slow=50"]);
        let place = Place::at(&service);
        let killed = stop_at(&place, words, Signal::KILL);
        assert_eq!(killed.code, None, "{words}");
        let again = place.go_on(&RUN).ok();
        assert_eq!(again.stdout, example_rows(), "{words}");
        assert_eq!(
            place.run(&["list", "example"]).ok().stdout.lines().count(),
            1,
            "{words}: one task"
        );
        assert!(!place.path("run/.partial").exists());
    }
}

#[test]
fn a_reader_that_has_seen_enough_is_success_and_silence() {
    let place = Place::new();
    let mut child = place.command(&["cat", example().to_str().unwrap()]).spawn().unwrap();
    let mut stdout = BufReader::new(child.stdout.take().unwrap());
    let mut first = String::new();
    stdout.read_line(&mut first).unwrap();
    drop(stdout);
    let ended: Ended = child.wait_with_output().unwrap().into();
    assert!(first.starts_with("{\"id\":9223372036854775807,"));
    assert_eq!((ended.code, ended.stderr.as_str()), (Some(0), ""));
}

#[test]
fn a_reader_that_leaves_during_a_run_ends_the_download_and_keeps_the_folder() {
    let service = Service::start(&["--fault", "tos-slow=300"]);
    let place = Place::at(&service);
    let mut child = place.command(&[&RUN[..], &["--jobs", "1"]].concat()).spawn().unwrap();
    let mut stdout = BufReader::new(child.stdout.take().unwrap());
    stdout.read_line(&mut String::new()).unwrap();
    drop(stdout);
    let ended: Ended = child.wait_with_output().unwrap().into();
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    assert!(!ended.stderr.contains("error"), "{}", ended.stderr);
    assert!(!place.path("run/4.parquet").exists(), "the rest was of no use");
    assert_eq!(place.run(&["resume", "run"]).ok().stdout, example_rows());
}

#[test]
fn ctrl_c_while_printing_ends_at_the_end_of_a_line() {
    let place = Place::new();
    let example = example();
    let path = example.to_str().unwrap();
    let paths: Vec<&str> = ["cat"].into_iter().chain(std::iter::repeat_n(path, 40)).collect();
    let mut child = place.command(&paths).spawn().unwrap();
    let mut stdout = BufReader::new(child.stdout.take().unwrap());
    let mut said = String::new();
    stdout.read_line(&mut said).unwrap();
    send(&child, Signal::INT);
    stdout.read_to_string(&mut said).unwrap();
    assert!(said.ends_with("}\n"));
    assert!(said.lines().count() < 40 * 21_001, "it stopped early");
    assert_eq!(child.wait().unwrap().code(), Some(130));
}

/// One collection of about 30 MB, which the service exports as several objects.
fn large_collection(place: &Place) -> String {
    let folder = place.path("collections/large");
    std::fs::create_dir_all(&folder).unwrap();
    let mut bits = 1_u64;
    let mut numbers = || {
        bits = bits.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        bits.cast_signed()
    };
    let columns = ["id", "a", "b", "c"].map(|name| {
        let values = Int64Array::from_iter_values((0..1_000_000).map(|_| numbers()));
        (name, Arc::new(values) as ArrayRef)
    });
    let batch = RecordBatch::try_from_iter(columns).unwrap();
    let file = File::create(folder.join("0.parquet")).unwrap();
    let mut writer = ArrowWriter::try_new(file, batch.schema(), None).unwrap();
    writer.write(&batch).unwrap();
    writer.close().unwrap();
    place.path("collections").to_str().unwrap().to_owned()
}

#[test]
fn kill_9_again_and_again_loses_only_the_parts_that_were_on_their_way() {
    let shelf = Place::new();
    let collections = large_collection(&shelf);
    let service = Service::start(&[
        "--collections",
        &collections,
        "--object-rows",
        "300000",
        "--fault",
        "tos-slow=20",
    ]);
    let place = Place::at(&service);
    let run = ["run", "large", "--all", "--to", "tos://demo/x", "--dir", "run", "-o", "rows.jsonl"];
    let run = [&run[..], &["--part-size", "1MiB", "--jobs", "3", "--force", "-v"]].concat();
    let (mut kills, mut resumed) = (0_u64, 0);
    loop {
        let mut child = place.command(&run).spawn().unwrap();
        // Longer each time, so that it gets through however slow the machine is; much longer in the end, since a
        // task whose creation was cut off is looked for before another is made.
        let late = 200 * kills.saturating_sub(30);
        std::thread::sleep(Duration::from_millis(60 + 15 * kills + late));
        send(&child, Signal::KILL);
        let mut stderr = String::new();
        child.stderr.take().unwrap().read_to_string(&mut stderr).unwrap();
        resumed += stderr.matches("already on the disk").count();
        if child.wait().unwrap().success() {
            break;
        }
        kills += 1;
        assert!(kills < 100, "no end in sight: {stderr}");
    }
    assert!(kills >= 3 && resumed > 0, "{kills} kills, {resumed} objects gone on with");
    assert!(!place.path("run/.partial").exists());
    let printed = std::fs::read_to_string(place.path("rows.jsonl")).unwrap();
    let source = format!("{collections}/large");
    assert!(printed == place.run(&["cat", &source]).ok().stdout, "every row, once and in order");
    assert_eq!(place.run(&["list", "large"]).ok().stdout.lines().count(), 1, "one task");
    let receipt = std::fs::read_to_string(place.path("run/receipt.json")).unwrap();
    let receipt: Value = serde_json::from_str(&receipt).unwrap();
    assert_eq!(receipt["finished"]["rows"], 1_000_000);
}

/// The rows of a run until they are complete, named after the run as well.
fn part_of_rows(place: &Place) -> PathBuf {
    let entries = std::fs::read_dir(place.folder.path()).unwrap();
    let is_part = |path: &PathBuf| {
        let name = path.file_name().unwrap().to_str().unwrap();
        name.starts_with("rows.jsonl.2") && path.extension().is_some_and(|end| end == "part")
    };
    entries.map(|entry| entry.unwrap().path()).find(is_part).unwrap()
}

/// Stops a run that prints to a file, by a signal, once some of its rows are noted on the disk.
fn stop_printing_to_a_file(place: &Place, signal: Signal) {
    let run = [&RUN[..], &["-o", "rows.jsonl", "--jobs", "1"]].concat();
    let mut child = place.command(&run).spawn().unwrap();
    until(&mut child, || place.path("run/.printed.json").exists());
    send(&child, signal);
    child.wait_with_output().unwrap();
    assert!(part_of_rows(place).exists() && !place.path("rows.jsonl").exists());
}

#[test]
fn printing_to_a_file_goes_on_at_the_row_where_it_stopped() {
    for signal in [Signal::KILL, Signal::INT, Signal::TERM] {
        let service = Service::start(&["--fault", "tos-slow=600"]);
        let mut place = Place::at(&service);
        stop_printing_to_a_file(&place, signal);
        // Half a row behind what is noted, as a kill may leave it.
        let part = part_of_rows(&place);
        let mut file = File::options().append(true).open(&part).unwrap();
        std::io::Write::write_all(&mut file, b"{\"id\":12").unwrap();
        // How it is done may change; what comes out may not.
        place.set("VIKING_EXPORT_THREADS", "1");
        let again =
            [&RUN[..], &["-o", "rows.jsonl", "--memory", "32MiB", "--batch-rows", "77"]].concat();
        let resumed = place.run(&again).ok();
        assert!(resumed.stderr.contains("rows are in the output already"), "{}", resumed.stderr);
        assert!(std::fs::read_to_string(place.path("rows.jsonl")).unwrap() == example_rows());
        assert!(resumed.stderr.contains("21001 rows of 5 objects"), "{}", resumed.stderr);
        assert!(!part.exists() && !place.path("run/.printed.json").exists());
    }
}

#[test]
fn printing_begins_anew_where_it_would_be_other_rows() {
    let service = Service::start(&["--fault", "tos-slow=600"]);
    let place = Place::at(&service);
    stop_printing_to_a_file(&place, Signal::KILL);
    let other = [&RUN[..], &["-o", "rows.jsonl", "-c", "id"]].concat();
    let other = place.run(&other).ok();
    assert!(!other.stderr.contains("in the output already"), "{}", other.stderr);
    let rows = std::fs::read_to_string(place.path("rows.jsonl")).unwrap();
    assert_eq!(rows.lines().count(), 21_001);
    assert!(rows.starts_with("{\"id\":9223372036854775807}\n"));
}

/// Whether a process has said what is to be done on a signal.
fn hears(child: &Child, signal: Signal) -> bool {
    let status = std::fs::read_to_string(format!("/proc/{}/status", child.id())).unwrap();
    let caught = status.lines().find_map(|line| line.strip_prefix("SigCgt:")).unwrap();
    let caught = u64::from_str_radix(caught.trim(), 16).unwrap();
    caught & (1 << (signal.as_raw() - 1)) != 0
}

#[cfg(target_os = "linux")]
#[test]
fn ctrl_c_while_stdin_says_nothing_is_heard_at_once() {
    let service = Service::start(&[]);
    let place = Place::at(&service);
    let filter = ["run", "example", "--filter", "-", "--to", "tos://demo/x"];
    for arguments in [&["cat", "-"][..], &filter] {
        let mut child =
            place.command(arguments).stdin(std::process::Stdio::piped()).spawn().unwrap();
        while !hears(&child, Signal::INT) {
            std::thread::sleep(Duration::from_millis(5));
        }
        send(&child, Signal::INT);
        let mut stderr = child.stderr.take().unwrap();
        let mut said = String::new();
        stderr.read_to_string(&mut said).unwrap();
        assert_eq!(child.wait().unwrap().code(), Some(130), "{said}");
        // Otherwise it says that something was not done in time.
        assert!(said.contains("error: interrupted\n"), "{said}");
    }
}
