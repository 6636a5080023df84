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
    std::fs::write(folder.join("config.toml"), "jobs = 0\n").unwrap();
    let jobs = place.run(&["fetch", "tos://demo/x", "--dir", "d"]);
    jobs.fails(2, &["'0' for '--jobs", "config.toml"]);
    // Keys of the environment go before a profile that the file names, and not before one that is typed.
    std::fs::write(folder.join("config.toml"), "profile = \"p\"\n").unwrap();
    std::fs::create_dir(place.path(".volcengine")).unwrap();
    let profile =
        r#"{"profiles": {"p": {"access-key": "AKofProfile", "secret-key": "hush-profile"}}}"#;
    std::fs::write(place.path(".volcengine/config.json"), profile).unwrap();
    let show = place.run(&["config", "show"]).ok().stdout;
    assert!(show.contains("keys = AKLTpubl…  (the environment"), "{show}");
    let typed = place.run(&["config", "show", "--profile", "p"]).ok().stdout;
    assert!(typed.contains("keys = AKofProf…  ("), "{typed}");
    place.set("VIKING_EXPORT_ENDPOINT", "https://user:hush-password@host");
    for format in [&["config", "show"][..], &["config", "show", "--json"], &["list", "--help"]] {
        let show = place.run(format).ok().stdout;
        assert!(!show.contains("hush"), "{show}");
    }
    place.set("VIKING_EXPORT_CONFIG", ".");
    place.run(&["list", "example"]).fails(2, &["cannot read ."]);
    place.set("VIKING_EXPORT_CONFIG", "missing.toml");
    place.run(&["list", "example"]).fails(4, &["missing.toml", "VIKING_EXPORT_CONFIG"]);
}

#[test]
fn more_is_said_when_asked_and_debug_detail_only_then() {
    let (_service, place) = crate::program::Service::with_faults(&["tos-503=1"]);
    let run = ["run", "example", "--all", "--to", "tos://demo/x"];
    let plain = place.run(&run).ok().stderr;
    let more = place.run(&[&run[..], &["-v"]].concat()).ok().stderr;
    let most = place.run(&[&run[..], &["-vv"]].concat()).ok().stderr;
    assert!(!plain.contains("viking_api") && !plain.contains("DEBUG"), "{plain}");
    assert!(!more.contains("DEBUG"), "{more}");
    assert!(most.contains("DEBUG viking_api::client: request call=\"task/create\""), "{most}");
    let quiet = place.run(&["run", "nope", "--all", "--to", "tos://demo/x", "-q"]);
    let quiet = quiet.fails(4, &["error: ", "nope", "request id"]).stderr;
    assert!(quiet.starts_with("error: "), "{quiet}");
}

#[test]
fn answers_for_programs_carry_their_schema_version() {
    let (_service, place) = crate::program::Service::with_faults(&[]);
    place.run(&["run", "example", "--all", "--to", "tos://demo/x", "--dir", "run"]).ok();
    let task = place.run(&["list", "example"]).ok().stdout;
    let task = task.split_whitespace().next().unwrap();
    let verbs: [&[&str]; 8] = [
        &["status", task],
        &["list", "example"],
        &["schema", "run"],
        &["count", "run"],
        &["verify", "run"],
        &["doctor", "example"],
        &["config", "show"],
        &["count", "tos://demo/x"],
    ];
    for verb in verbs {
        let said = place.run(&[verb, &["--json"]].concat()).ok().stdout;
        assert!(!said.is_empty(), "{verb:?}");
        for line in said.lines() {
            let line: Value = serde_json::from_str(line).unwrap();
            assert_eq!(line["schema"], 1, "{verb:?}: {line}");
        }
    }
}

#[cfg(unix)]
#[test]
fn a_file_of_keys_that_others_may_read_is_a_warning() {
    use std::os::unix::fs::PermissionsExt;
    let service = crate::program::Service::start(&[]);
    let mut place = Place::at(&service);
    let keys = (service.text("access_key"), service.text("secret_key"));
    place.set("VOLCENGINE_ACCESS_KEY", "");
    place.set("VOLCENGINE_SECRET_KEY", "");
    let file = place.path(".volc/credentials");
    std::fs::create_dir(place.path(".volc")).unwrap();
    let ini = format!("[default]\naccess_key_id = {}\nsecret_access_key = {}\n", keys.0, keys.1);
    std::fs::write(&file, ini).unwrap();
    for (mode, is_warned) in [(0o644, true), (0o640, true), (0o600, false)] {
        std::fs::set_permissions(&file, std::fs::Permissions::from_mode(mode)).unwrap();
        let said = place.run(&["list", "example"]).ok().stderr;
        let warned = said.contains("warning:") && said.contains("chmod 600");
        assert_eq!(warned, is_warned, "{mode:o}: {said}");
    }
}

#[test]
fn a_task_that_does_not_move_is_named_as_stalled_and_can_be_given_up() {
    let (_service, place) = crate::program::Service::with_faults(&["task-stuck"]);
    let task = place.run(&["submit", "example", "--all", "--to", "tos://demo/x"]).ok().stdout;
    let task = task.trim();
    let patience = ["--stall", "200ms", "--timeout", "1s"];
    for verb in
        [&["wait", task][..], &["fetch", "--task", task, "--dir", "d"], &["cat", "--task", task]]
    {
        let stalled = place.run(&[verb, &patience].concat());
        let stalled = stalled.fails(6, &["warning:", "has not moved for", "viking-export wait"]);
        assert_eq!(stalled.stderr.matches("has not moved").count(), 1, "{}", stalled.stderr);
    }
    let quiet = place.run(&["wait", task, "--stall", "10m", "--timeout", "300ms"]).fails(6, &[]);
    assert!(!quiet.stderr.contains("moved"), "{}", quiet.stderr);
    place.run(&["wait", task, "--stall", "0s"]).fails(2, &["--stall", "90s"]);
    place.run(&["wait", task, "--timeout=-3s"]).fails(2, &["--timeout"]);
}

#[test]
fn a_task_that_waits_for_a_yes_tells_the_command_for_it() {
    let (_service, place) = crate::program::Service::with_faults(&["task-confirm"]);
    let run = ["run", "example", "--all", "--to", "tos://demo/x", "--dir", "run"];
    let waiting = place.run(&run).fails(6, &["confirm"]).stderr;
    let task = place.run(&["list", "example"]).ok().stdout;
    let task = task.split_whitespace().next().unwrap();
    assert!(waiting.contains(&format!("viking-export confirm {task}")), "{waiting}");
    place.run(&["wait", task]).fails(6, &[&format!("viking-export confirm {task}")]);
    place.run(&["confirm", task]).ok();
    place.run(&["confirm", task]).fails(2, &["1000006"]);
    assert_eq!(place.run(&["resume", "run"]).ok().stdout.lines().count(), 21_001);
    assert_eq!(place.run(&["list", "example"]).ok().stdout.lines().count(), 1);
}
