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

#[test]
fn settings_come_from_flag_environment_file_and_default_in_this_order() {
    let mut place = Place::new();
    let folder = place.path(".config/viking-export");
    std::fs::create_dir_all(&folder).unwrap();
    std::fs::write(
        folder.join("config.toml"),
        "region = \"cn-shanghai\"\njobs = 7\napi = \"v2\"\n",
    )
    .unwrap();
    place.set("VIKING_EXPORT_API", "v1");
    place.set("VOLCENGINE_ACCESS_KEY", "AKLTpublic0000");
    place.set("VOLCENGINE_SECRET_KEY", "hush-secret");
    let show = place.run(&["config", "show", "--progress", "none"]).ok().stdout;
    let line = |name: &str| show.lines().find(|line| line.starts_with(name)).unwrap().to_owned();
    assert!(
        line("region = ").starts_with("region = cn-shanghai  (")
            && line("region").contains("config.toml")
    );
    assert!(line("jobs = ").starts_with("jobs = 7  ("));
    assert_eq!(line("api = "), "api = v1  (the environment (VIKING_EXPORT_API))");
    assert_eq!(line("progress = "), "progress = none  (a flag)");
    assert_eq!(line("memory = "), "memory = 64MiB  (default)");
    assert!(line("keys = ").starts_with("keys = AKLTpubl…  (the environment"));
    assert!(!show.contains("hush"), "{show}");
    // The file's value is really used: no VikingDB is asked in a region that does not exist.
    std::fs::write(folder.join("config.toml"), "region = \"mars\"\n").unwrap();
    place.run(&["list", "example"]).fails(2, &["mars"]);
    place.run(&["list", "example", "--region", "venus"]).fails(2, &["venus"]);
    std::fs::write(folder.join("config.toml"), "regoin = \"mars\"\n").unwrap();
    place.run(&["list", "example"]).fails(2, &["config.toml", "regoin", "region"]);
    std::fs::write(folder.join("config.toml"), "region = [").unwrap();
    place.run(&["list", "example"]).fails(2, &["config.toml"]);
    place.set("VIKING_EXPORT_CONFIG", "missing.toml");
    place.run(&["list", "example"]).fails(4, &["missing.toml", "VIKING_EXPORT_CONFIG"]);
}

#[test]
fn completions_and_the_man_page_come_from_the_same_definitions() {
    let place = Place::new();
    for shell in ["bash", "zsh", "fish", "powershell"] {
        let text = place.run(&["completions", shell]).ok().stdout;
        assert!(text.contains("--part-size") || text.contains("part-size"), "{shell}");
    }
    let man = place.run(&["man"]).ok().stdout;
    assert!(
        man.contains(".TH viking\\-export") || man.contains(".TH viking-export"),
        "{}",
        &man[..200]
    );
    place.run(&["completions", "tcsh"]).fails(2, &["bash"]);
}
