//! What is said on stderr, and how.

use serde_json::Value;

use crate::program::{Place, example};

const RUN: [&str; 6] = ["run", "example", "--all", "--to", "tos://demo/x", "--embedded"];

#[test]
fn json_events_carry_their_schema_version() {
    let place = Place::new();
    let run = place.run(&[&RUN[..], &["--progress", "json"]].concat()).ok();
    let events: Vec<Value> =
        run.stderr.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert!(events.iter().all(|event| event["schema"] == 1));
    let names: Vec<&str> = events.iter().map(|event| event["event"].as_str().unwrap()).collect();
    for name in ["run", "submit", "submitted", "task", "listed", "object", "warning", "done"] {
        assert!(names.contains(&name), "{name} is not in {names:?}");
    }
    assert_eq!(events.last().unwrap()["rows"], 21_001);
    let failed = place.run(&["status", "x", "--embedded", "--progress", "json"]);
    let event: Value = serde_json::from_str(failed.stderr.lines().last().unwrap()).unwrap();
    assert_eq!((&event["event"], &event["exit"]), (&Value::from("error"), &Value::from(4)));
}

#[test]
fn off_a_terminal_there_are_plain_lines_without_escapes() {
    let place = Place::new();
    for arguments in [&RUN[..], &[&RUN[..], &["--progress", "bar"]].concat()] {
        let run = place.run(&[arguments, &["-n", "1"]].concat()).ok();
        assert!(
            run.stderr.contains("task ")
                && run.stderr.contains("listed") | run.stderr.contains("objects")
        );
        assert!(!run.stderr.contains(['\u{1b}', '\r']), "{:?}", run.stderr);
    }
    let failed = place.run(&["cat", "missing", "--color", "always"]);
    assert!(failed.stderr.starts_with("\u{1b}[31;1merror:"), "{:?}", failed.stderr);
}

#[test]
fn quiet_says_errors_only_and_local_verbs_say_nothing() {
    let place = Place::new();
    assert_eq!(place.run(&[&RUN[..], &["-q"]].concat()).ok().stderr, "");
    assert_eq!(place.run(&["cat", example().to_str().unwrap()]).ok().stderr, "");
    assert!(place.run(&["cat", "missing", "-q"]).fails(4, &[]).stderr.contains("missing"));
}

#[test]
fn flags_stand_before_or_after_the_verb() {
    let place = Place::new();
    let before = place.run(&["-q", "--embedded", "list", "example"]).ok();
    let after = place.run(&["list", "example", "--embedded", "-q"]).ok();
    assert_eq!((before.stdout, before.stderr), (after.stdout, after.stderr));
}

#[test]
fn help_has_examples_and_the_version_is_told() {
    let place = Place::new();
    assert!(place.run(&["--help"]).ok().stdout.contains("Examples:"));
    assert!(!place.run(&["-h"]).ok().stdout.contains("Examples:"));
    assert!(place.run(&["--version"]).ok().stdout.starts_with("viking-export 0."));
    place.run(&["run", "example", "--al", "--to", "tos://demo/x"]).fails(2, &["--all"]);
}
