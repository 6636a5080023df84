//! Nothing is deleted, mixed, doubled or believed that should not be.

use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

use crate::program::{Ended, Place, Service, Tos, example, example_rows, until};

const RUN: [&str; 7] = ["run", "example", "--all", "--to", "tos://demo/x", "--dir", "run"];

fn receipt(place: &Place, dir: &str) -> Value {
    serde_json::from_slice(&fs::read(place.path(dir).join("receipt.json")).unwrap()).unwrap()
}

/// The words of the last command that a message tells to copy.
fn copied(said: &str) -> Vec<String> {
    let command = said.rsplit("resume it with: viking-export ").next().unwrap();
    shlex::split(command.lines().next().unwrap()).unwrap()
}

fn run_copied(place: &Place, said: &str) -> Ended {
    let words = copied(said);
    place.run(&words.iter().map(String::as_str).collect::<Vec<_>>())
}

#[test]
fn clean_deletes_nothing_that_has_not_landed() {
    let tos = Tos::start(&[]);
    let place = tos.place();
    let file = fs::read(example().join("1.parquet")).unwrap();
    tos.emulator.put("demo", "x/0.parquet", &file).unwrap();
    let fetch = ["fetch", "tos://demo/x", "--dir", "d"];
    place.run(&fetch).ok();
    tos.emulator.put("demo", "x/1.parquet", &file).unwrap();
    // A second fetch, stopped once it knows of the new object and before that has landed.
    let mut child =
        place.command(&[&fetch[..], &["--limit-rate", "10KiB"]].concat()).spawn().unwrap();
    while receipt(&place, "d")["objects"].as_array().unwrap().len() < 2 {
        std::thread::sleep(Duration::from_millis(5));
    }
    child.kill().unwrap();
    child.wait().unwrap();
    place.run(&["clean", "d", "--yes"]).fails(2, &["not finished", "viking-export fetch"]);
    assert_eq!(place.run(&["count", "tos://demo/x"]).ok().stdout, "14026\n", "nothing was deleted");
    place.run(&fetch).ok();
    // What was fetched and is not here is nowhere else.
    fs::rename(place.path("d/1.parquet"), place.path("away")).unwrap();
    place.run(&["clean", "d", "--yes"]).fails(2, &["not all files are in d"]);
    fs::rename(place.path("away"), place.path("d/1.parquet")).unwrap();
    // A damaged file is no copy.
    let mut damaged = file.clone();
    damaged[100] ^= 1;
    fs::write(place.path("d/0.parquet"), &damaged).unwrap();
    place.run(&["clean", "d", "--yes"]).fails(8, &["x/0.parquet", "nothing was deleted"]);
    assert_eq!(place.run(&["count", "tos://demo/x"]).ok().stdout, "14026\n", "nothing was deleted");
    fs::write(place.path("d/0.parquet"), &file).unwrap();
    place.run(&["clean", "d", "--yes"]).ok();
    place.run(&["count", "tos://demo/x"]).fails(4, &[]);
}

#[test]
fn two_runs_with_one_output_do_not_mix() {
    let (_service, place) = Service::with_faults(&["tos-slow=500"]);
    let first = [&RUN[..], &["-o", "rows.jsonl", "--jobs", "1"]].concat();
    let mut child = place.command(&first).spawn().unwrap();
    let mut stderr = BufReader::new(child.stderr.take().unwrap());
    let mut said = String::new();
    while !said.contains("downloaded ") {
        stderr.read_line(&mut said).unwrap();
    }
    let second = [&RUN[..6], &["other", "-o", "rows.jsonl", "-c", "id"]].concat();
    place.run(&second).ok();
    let ids = fs::read_to_string(place.path("rows.jsonl")).unwrap();
    stderr.read_to_string(&mut said).unwrap();
    let first = Ended { stderr: said, ..child.wait_with_output().unwrap().into() };
    first.fails(2, &["rows.jsonl was created in the meantime", "rows.jsonl.2"]);
    assert!(fs::read_to_string(place.path("rows.jsonl")).unwrap() == ids, "it was replaced");
    assert_eq!(ids.lines().count(), 21_001);
    // With the other one out of the way it is taken up where it was.
    fs::remove_file(place.path("rows.jsonl")).unwrap();
    place.run(&["resume", "run", "-o", "rows.jsonl"]).ok();
    assert!(fs::read_to_string(place.path("rows.jsonl")).unwrap() == example_rows());
}

#[test]
fn a_run_that_never_began_leaves_nothing_behind() {
    let (_service, place) = Service::with_faults(&[]);
    fs::write(place.path("rows.jsonl.part"), "mine").unwrap();
    let nope = ["run", "nope", "--all", "--to", "tos://demo/x", "-o", "rows.jsonl"];
    place.run(&nope).fails(4, &["1000005"]);
    assert_eq!(fs::read_dir(place.folder.path()).unwrap().count(), 1, "only what was there");
    assert_eq!(fs::read_to_string(place.path("rows.jsonl.part")).unwrap(), "mine");
    place.run(&["run", "", "--all", "--to", "tos://demo/x"]).fails(2, &["must be named"]);
    let long = "n".repeat(300);
    place.run(&["run", &long, "--all", "--to", "tos://demo/x"]).fails(4, &["1000005"]);
}

#[test]
fn a_file_that_was_changed_since_it_landed_is_not_believed() {
    let (_service, place) = Service::with_faults(&[]);
    place.run(&RUN).ok();
    let file = place.path("run/0.parquet");
    let mut damaged = fs::read(&file).unwrap();
    damaged[20_000] ^= 1;
    fs::write(&file, &damaged).unwrap();
    let again = place.run(&RUN).ok();
    assert!(again.stdout == example_rows());
    assert!(again.stderr.contains("it is downloaded again"), "{}", again.stderr);
    place.run(&["verify", "run"]).ok();
    // Nobody wrote to the files since: nothing is read twice.
    let quiet = place.run(&RUN).ok();
    assert!(!quiet.stderr.contains("downloaded "), "{}", quiet.stderr);
}

#[test]
fn a_receipt_does_not_lead_out_of_its_folder() {
    let (_service, place) = Service::with_faults(&[]);
    place.run(&RUN).ok();
    fs::write(place.path("mine.parquet"), "mine").unwrap();
    let whole = receipt(&place, "run");
    let absolute = place.path("mine.parquet").to_str().unwrap().to_owned();
    for (key, value) in [
        ("name", "../mine.parquet"),
        ("name", absolute.as_str()),
        ("name", ""),
        ("key", "elsewhere/0.parquet"),
    ] {
        let mut changed = whole.clone();
        changed["objects"][0][key] = value.into();
        fs::write(place.path("run/receipt.json"), changed.to_string()).unwrap();
        for verb in [
            &["resume", "run", "--discard"][..],
            &["verify", "run"],
            &["cat", "run"],
            &["clean", "run", "--yes"],
        ] {
            place.run(verb).fails(8, &["outside tos://demo/x"]);
        }
    }
    assert_eq!(fs::read_to_string(place.path("mine.parquet")).unwrap(), "mine");
}

#[test]
fn a_task_that_shows_up_late_is_waited_for_and_never_doubled() {
    let (_service, place) = Service::with_faults(&["create-late=20000"]);
    let mut ended = place.run(&[&RUN[..], &["--request-timeout", "1s"]].concat());
    let mut refusals = 0;
    while ended.code == Some(7) {
        assert!(refusals < 20, "{}", ended.stderr);
        refusals += 1;
        ended = place.run(&["resume", "run"]);
    }
    assert!(ended.ok().stdout == example_rows());
    assert!(refusals > 1, "it was found at once, so nothing was tried");
    assert_eq!(place.run(&["list", "example"]).ok().stdout.lines().count(), 1, "one task");
}

#[test]
fn a_run_whose_task_is_gone_takes_a_new_one_when_told_to() {
    let (_service, place) = Service::with_faults(&["task-stuck=1"]);
    place.run(&[&RUN[..], &["--timeout", "500ms"]].concat()).fails(6, &["resume run"]);
    let task = place.run(&["list", "example"]).ok().stdout;
    let task = task.split_whitespace().next().unwrap();
    // It is still there, so it is the one.
    place.run(&["resume", "run", "--new-task", "--timeout", "500ms"]).fails(6, &[task]);
    assert_eq!(place.run(&["list", "example"]).ok().stdout.lines().count(), 1);
    place.run(&["cancel", task, "--yes"]).ok();
    let described = place.path("run/collection.json");
    fs::write(&described, "of the task before").unwrap();
    place.run(&["resume", "run"]).fails(4, &["1000035", "resume run --new-task"]);
    assert_eq!(fs::read_to_string(&described).unwrap(), "of the task before");
    assert!(place.run(&["resume", "run", "--new-task"]).ok().stdout == example_rows());
    assert!(fs::read_to_string(&described).unwrap().contains("\"user_id\""), "of the new one");
    let tasks = place.run(&["list", "example"]).ok().stdout;
    assert!(tasks.lines().count() == 1 && !tasks.contains(task), "{tasks}");
    let (_service, place) = Service::with_faults(&["task-fail=AccessDenied"]);
    place.run(&RUN).fails(5, &["grant it once", "resume run --new-task"]);
}

#[test]
fn a_clean_up_that_is_stopped_is_gone_on_with_by_the_command_that_was_told() {
    let service = Service::start(&["--object-rows", "60"]);
    let place = Place::at(&service);
    let run = [&RUN[..], &["-o", "my rows.jsonl", "--clean", "--discard", "--jobs", "16"]].concat();
    let mut child = place.command(&run).spawn().unwrap();
    let mut stderr = BufReader::new(child.stderr.take().unwrap());
    let mut said = String::new();
    while !said.contains("deleting 351 objects") {
        assert!(stderr.read_line(&mut said).unwrap() > 0, "{said}");
    }
    kill_process(Pid::from_child(&child), Signal::INT).unwrap();
    stderr.read_to_string(&mut said).unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(130), "{said}");
    assert_eq!(receipt(&place, "run")["cleaned"], Value::Null);
    run_copied(&place, &said).ok();
    assert!(fs::read_to_string(place.path("my rows.jsonl")).unwrap() == example_rows());
    assert_ne!(receipt(&place, "run")["cleaned"], Value::Null);
    place
        .run(&[
            "count",
            &format!("tos://demo/x/{}", receipt(&place, "run")["run"].as_str().unwrap()),
        ])
        .fails(4, &[]);
    assert!(!place.path("run/0.parquet").exists() && !place.path("run/.printed.json").exists());
    // There is nothing left to go on with, and that is said.
    place.run(&["resume", "run"]).fails(2, &["run is finished", "removed on"]);
}

#[test]
fn commands_to_copy_work_where_nothing_is_set() {
    let service = Service::start(&["--fault", "task-confirm=1"]);
    let full = Place::at(&service);
    let mut place = Place::new();
    place.set("VOLCENGINE_ACCESS_KEY", service.text("access_key"));
    place.set("VOLCENGINE_SECRET_KEY", service.text("secret_key"));
    let address = [
        "--endpoint",
        service.text("vikingdb"),
        "--tos-endpoint",
        service.text("tos"),
        "--api",
        "v2",
    ];
    fs::write(place.path("rows.jsonl"), "old").unwrap();
    let run = [&RUN[..], &["-o", "rows.jsonl", "--force"], &address].concat();
    let waits = place.run(&run).fails(6, &["--api v2"]);
    let confirm = waits.stderr.split("then: viking-export ").nth(1).unwrap();
    let confirm = shlex::split(confirm.lines().next().unwrap()).unwrap();
    place.run(&confirm.iter().map(String::as_str).collect::<Vec<_>>()).ok();
    run_copied(&place, &waits.stderr).ok();
    assert!(fs::read_to_string(place.path("rows.jsonl")).unwrap() == example_rows());
    drop(full);
}

#[test]
fn an_address_that_is_typed_goes_before_the_one_of_the_receipt() {
    let service = Service::start(&[]);
    let place = Place::at(&service);
    let wrong =
        [&RUN[..], &["--tos-endpoint", "http://tos.localhost:9", "--retries", "0"]].concat();
    place.run(&wrong).fails(7, &["resume run"]);
    assert!(
        place.run(&["resume", "run", "--tos-endpoint", service.text("tos")]).ok().stdout
            == example_rows()
    );
    let begun = receipt(&place, "run")["request"]["tos_endpoint"].clone();
    assert_eq!(begun, "http://tos.localhost:9", "a word for once is not kept");
    place.run(&["resume", "run", "--embedded"]).fails(2, &["no run on the embedded service"]);
}

#[test]
fn variables_that_are_set_to_nothing_set_nothing() {
    let mut place = Place::new();
    for name in [
        "VOLCENGINE_REGION",
        "VOLCENGINE_SESSION_TOKEN",
        "VIKING_EXPORT_ENDPOINT",
        "VIKING_EXPORT_TOS_ENDPOINT",
        "VIKING_EXPORT_API",
        "VIKING_EXPORT_PROJECT",
        "VIKING_EXPORT_PROFILE",
        "VIKING_EXPORT_JOBS",
        "VIKING_EXPORT_MEMORY",
        "VIKING_EXPORT_THREADS",
        "VIKING_EXPORT_PROGRESS",
        "VIKING_EXPORT_TO",
        "VIKING_EXPORT_CONFIG",
    ] {
        place.set(name, "");
    }
    assert!(place.run(&[&RUN[..], &["--embedded"]].concat()).ok().stdout == example_rows());
    let show = place.run(&["config", "show"]).ok().stdout;
    assert!(show.contains("region = cn-beijing  (default)"), "{show}");
}

#[test]
fn an_old_file_is_not_taken_for_the_rows() {
    let (_service, place) = Service::with_faults(&["tos-slow=500"]);
    let run = [&RUN[..], &["-o", "rows.jsonl", "--force", "--clean", "--jobs", "1"]].concat();
    let mut child = place.command(&run).spawn().unwrap();
    let note = place.path("run/.printed.json");
    until(&mut child, || note.exists());
    child.kill().unwrap();
    child.wait().unwrap();
    // As long as the rows are, and something else.
    let old = "x".repeat(example_rows().len());
    fs::write(place.path("rows.jsonl"), &old).unwrap();
    // What a stop between the last row and the name leaves: the note that all is there, and the part.
    let run_name = receipt(&place, "run")["run"].as_str().unwrap().to_owned();
    let tag = run_name.strip_prefix("example-").unwrap();
    let part = place.path(&format!("rows.jsonl.{tag}.part"));
    fs::write(&part, example_rows()).unwrap();
    let mut whole: Value = serde_json::from_slice(&fs::read(&note).unwrap()).unwrap();
    (whole["rows"], whole["bytes"]) = (21_001.into(), old.len().into());
    whole["is_whole"] = true.into();
    fs::write(&note, whole.to_string()).unwrap();
    let again = place.run(&run).ok();
    assert!(again.stderr.contains("21001 rows are in the output already"), "{}", again.stderr);
    assert!(fs::read_to_string(place.path("rows.jsonl")).unwrap() == example_rows());
    assert!(!part.exists());
}

#[test]
fn what_is_wrong_with_an_output_is_said_before_the_export() {
    let (_service, place) = Service::with_faults(&[]);
    let long = "n".repeat(240);
    for (output, code, words) in [
        ("nowhere/rows.jsonl", 4, "nowhere is not a folder"),
        ("run/receipt.json", 2, "in the run folder"),
        ("./run/../run/rows.jsonl", 2, "in the run folder"),
        (long.as_str(), 2, "too long"),
    ] {
        place.run(&[&RUN[..], &["-o", output, "--force"]].concat()).fails(code, &[words]);
        assert!(!place.path("run").exists(), "{output}");
    }
    assert_eq!(place.run(&["list", "example"]).ok().stdout, "", "no task was created");
}

#[test]
fn files_that_were_discarded_and_loaded_again_are_kept() {
    let (_service, place) = Service::with_faults(&[]);
    place.run(&[&RUN[..], &["--discard"]].concat()).ok();
    place.run(&["resume", "run"]).ok();
    assert_eq!(receipt(&place, "run")["discarded"], Value::Null);
    place.run(&["clean", "run", "--yes"]).ok();
    fs::remove_file(place.path("run/2.parquet")).unwrap();
    place.run(&["resume", "run"]).fails(4, &["files are missing", "objects were deleted"]);
    assert!(place.path("run/0.parquet").exists());
    place.run(&["resume", "run", "--new-task"]).fails(4, &["files are missing"]);
}

#[test]
fn a_folder_that_looks_like_a_flag_is_told_as_a_folder() {
    let (_service, place) = Service::with_faults(&["task-stuck=1"]);
    let run =
        ["run", "example", "--all", "--to", "tos://demo/x", "--dir=-my run", "--timeout", "300ms"];
    let stuck = place.run(&run).fails(6, &["resume './-my run'"]);
    let task = place.run(&["list", "example"]).ok().stdout;
    place.run(&["cancel", task.split_whitespace().next().unwrap(), "--yes"]).ok();
    run_copied(&place, &stuck.stderr).fails(4, &["--new-task"]);
    let done = place.run(&["resume", "./-my run", "--new-task"]).ok();
    assert!(done.stdout == example_rows());
    place.run(&["resume", "./-my run", "--new-task"]).fails(2, &["objects are listed"]);
}
