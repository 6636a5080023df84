//! Stops: Ctrl-C, SIGTERM, kill -9, a reader that goes away. Each can be gone on with.

use std::io::{BufRead, BufReader, Read};
use std::process::Child;

use rustix::process::{Pid, Signal, kill_process};

use crate::program::{Ended, Place, Service, example, example_rows};

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
    let service = Service::start(&["--fault", "tos-slow=300"]);
    let place = Place::at(&service);
    let stopped = stop_at(&place, "landed", Signal::TERM).fails(143, &["terminated", "resume run"]);
    assert!(stopped.stdout.lines().all(|line| line.ends_with('}')), "whole lines only");
    let resumed = place.run(&["resume", "run"]).ok();
    assert_eq!(resumed.stdout, example_rows());
    let before = stopped.stderr.matches("landed").count();
    let after = resumed.stderr.matches("landed").count();
    assert!(before >= 1 && before + after <= 5, "{before} + {after} of 5 objects were loaded");
}

#[test]
fn kill_9_at_any_step_is_gone_on_with_by_the_same_command() {
    for words in ["submitting", "submitted", "waiting", "listing", "landed"] {
        let service = Service::start(&["--fault", "tos-slow=50"]);
        let place = Place::at(&service);
        let killed = stop_at(&place, words, Signal::KILL);
        assert_eq!(killed.code, None, "{words}");
        let again = place.run(&RUN).ok();
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
