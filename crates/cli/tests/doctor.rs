//! `doctor` names what is wrong, `clean` deletes what is proven, keys come from where they should.

use std::fs;

use serde_json::Value;

use crate::program::{Ended, Place, Service, example_rows};

const DOCTOR: [&str; 4] = ["doctor", "example", "--to", "tos://demo/x"];
const RUN: [&str; 7] = ["run", "example", "--all", "--to", "tos://demo/x", "--dir", "run"];

/// The line about one thing.
#[track_caller]
fn line<'a>(ended: &'a Ended, start: &str) -> &'a str {
    let found = ended.stdout.lines().find(|line| line.starts_with(start));
    assert!(found.is_some(), "no line starts with {start:?}: {}", ended.stdout);
    found.unwrap_or_default()
}

#[test]
fn a_sound_set_up_is_ok_from_top_to_bottom() {
    let (_service, place) = Service::with_faults(&[]);
    place.run(&RUN).ok();
    let doctor = place.run(&DOCTOR).ok();
    for what in [
        "keys of VikingDB: ",
        "clock: ",
        "VikingDB: ",
        "collection: example with 21001 rows",
        "grant to write to TOS: ",
        "TOS: ",
        "disk: ",
    ] {
        line(&doctor, &format!("ok      {what}"));
    }
    let json = place.run(&[&DOCTOR[..], &["--json"]].concat()).ok();
    for line in json.stdout.lines() {
        let line: Value = serde_json::from_str(line).unwrap();
        assert_eq!(
            (&line["schema"], &line["state"]),
            (&Value::from(1), &Value::from("ok")),
            "{line}"
        );
    }
}

#[test]
fn eight_broken_set_ups_are_named() {
    let none = Place::new().run(&DOCTOR).fails(3, &[]);
    assert!(line(&none, "failed  keys of VikingDB").contains("no credentials were found"));
    assert!(none.stdout.contains("fix: set VOLCENGINE_ACCESS_KEY"), "{}", none.stdout);

    let (_service, mut place) = Service::with_faults(&[]);
    place.set("VOLCENGINE_SECRET_KEY", "wrong");
    let wrong = place.run(&DOCTOR).fails(3, &[]);
    assert!(line(&wrong, "failed  VikingDB").contains("SignatureDoesNotMatch"));
    assert!(line(&wrong, "failed  TOS").contains("SignatureDoesNotMatch"));

    let (_service, place) = Service::with_faults(&["clock=1530"]);
    let clock = place.run(&DOCTOR).fails(3, &[]);
    assert!(line(&clock, "failed  clock").contains("25 minutes behind"), "{}", clock.stdout);
    assert!(line(&clock, "failed  VikingDB").contains("InvalidTimestamp"));

    let (_service, place) = Service::with_faults(&["denied"]);
    assert!(line(&place.run(&DOCTOR).fails(3, &[]), "failed  VikingDB").contains("1000002"));

    let (_service, place) = Service::with_faults(&[]);
    let missing = place.run(&["doctor", "nope"]).fails(4, &[]);
    assert!(line(&missing, "failed  collection").contains("1000005"));

    let (_service, mut place) = Service::with_faults(&[]);
    place.set("VIKING_EXPORT_ENDPOINT", "http://127.0.0.1:9");
    let away = place.run(&DOCTOR).fails(7, &[]);
    assert!(line(&away, "failed  VikingDB").contains("no answer from 127.0.0.1:9"));
    assert!(away.stdout.contains("fix: check --region and --endpoint"));

    let (_service, mut place) = Service::with_faults(&[]);
    place.set("VIKING_EXPORT_TOS_ENDPOINT", "https://tos-cn-beijing.volces.com");
    let native = place.run(&DOCTOR).fails(2, &[]);
    assert!(
        line(&native, "failed  TOS").contains("take tos-s3-cn-beijing.volces.com"),
        "{}",
        native.stdout
    );

    let (_service, place) =
        Service::with_faults(&["task-fail=no permission to write to the bucket"]);
    place.run(&RUN).fails(5, &[]);
    let grant = place.run(&["doctor", "example"]).fails(5, &[]);
    assert!(line(&grant, "failed  grant to write to TOS").contains("no permission to write"));
    assert!(grant.stdout.contains("fix: most often VikingDB may not write"), "{}", grant.stdout);

    // Half a pair of keys for TOS leaves the rest of the look as it is.
    let (_service, mut place) = Service::with_faults(&[]);
    place.set("TOS_ACCESS_KEY", "AKLTpublic");
    let half = place.run(&DOCTOR).fails(3, &[]);
    assert!(line(&half, "failed  keys of TOS").contains("TOS_SECRET_KEY is not"));
    line(&half, "ok      VikingDB: ");
}

fn write_profile(place: &Place, keys: (&str, &str)) {
    let folder = place.path(".volcengine");
    fs::create_dir_all(&folder).unwrap();
    let profile = serde_json::json!({"mode": "AK", "access-key": keys.0, "secret-key": keys.1});
    let config = serde_json::json!({"current": "work", "profiles": {"work": profile}});
    fs::write(folder.join("config.json"), config.to_string()).unwrap();
}

/// A place at the service whose environment has no keys.
fn without_keys(service: &Service) -> Place {
    let mut place = Place::new();
    place.set("VIKING_EXPORT_ENDPOINT", service.text("vikingdb"));
    place.set("VIKING_EXPORT_TOS_ENDPOINT", service.text("tos"));
    place
}

#[test]
fn keys_come_from_the_files_of_the_vendors_tools() {
    let service = Service::start(&[]);
    let keys = (service.text("access_key"), service.text("secret_key"));
    let place = without_keys(&service);
    place.run(&["list", "example"]).fails(3, &["no credentials were found"]);
    write_profile(&place, keys);
    place.run(&["list", "example"]).ok();
    place.run(&["list", "example", "--profile", "work"]).ok();
    place.run(&["list", "example", "--profile", "home"]).fails(3, &["no profile \"home\""]);
    let open = place.run(&["doctor"]).fails(3, &[]);
    if cfg!(unix) {
        assert!(line(&open, "failed  key file").contains("config.json can be read by others"));
    }
    assert!(!open.stdout.contains(keys.1) && !open.stderr.contains(keys.1), "a secret shows");

    let place = without_keys(&service);
    let folder = place.path(".volc");
    fs::create_dir(&folder).unwrap();
    let ini = format!("[default]\naccess_key_id = {}\nsecret_access_key = {}\n", keys.0, keys.1);
    fs::write(folder.join("credentials"), ini).unwrap();
    assert_eq!(place.run(&RUN).ok().stdout, example_rows());
    fs::remove_file(folder.join("credentials")).unwrap();
    fs::write(folder.join("config"), serde_json::json!({"ak": keys.0, "sk": keys.1}).to_string())
        .unwrap();
    place.run(&["list", "example"]).ok();
    fs::write(folder.join("config"), "{\"ak\": \"AKLT\", \"sk\": \"hush").unwrap();
    let torn = place.run(&["list", "example"]).fails(3, &[".volc/config", "not valid JSON"]);
    assert!(!torn.stderr.contains("hush"), "{}", torn.stderr);

    let place = without_keys(&service);
    fs::create_dir(place.path(".tos")).unwrap();
    let tos = format!(
        "[default]\nregion = \"x\"\naccess_key_id = {:?}\nsecret_access_key = {:?}\n",
        keys.0, keys.1
    );
    fs::write(place.path(".tos/config.toml"), &tos).unwrap();
    assert_eq!(place.run(&RUN).ok().stdout, example_rows());
    fs::rename(place.path(".tos/config.toml"), place.path(".tos/credentials.toml")).unwrap();
    place.run(&["list", "example"]).ok();
    fs::write(place.path(".tos/credentials.toml"), tos.replace(keys.1, "ENC:aHVzaA==")).unwrap();
    place.run(&["list", "example"]).fails(3, &["cannot read", ".tos/.key"]);

    let mut half = without_keys(&service);
    half.set("VOLCENGINE_ACCESS_KEY", "AKLT");
    half.run(&["list", "example"]).fails(3, &["VOLCENGINE_SECRET_KEY is not"]);
}

#[test]
fn v2_of_the_interface_does_a_whole_run() {
    let (_service, mut place) = Service::with_faults(&[]);
    place.set("VIKING_EXPORT_API", "v2");
    let run = place.run(&[&RUN[..], &["--output-fields", "id,city"]].concat()).ok();
    assert_eq!(run.stdout.lines().count(), 21_001);
    assert!(run.stdout.starts_with("{\"id\":9223372036854775807,\"city\":\"guangzhou\"}\n"));
    let unknown = [&RUN[..6], &["other", "--output-fields", "town"]].concat();
    place.run(&unknown).fails(2, &["no field town", "InvalidParameter"]);
    assert!(!place.path("other").exists(), "nothing was begun");
    assert!(run.stderr.contains("collection example has 21001 rows"), "{}", run.stderr);
    assert_eq!(place.run(&["list", "example"]).ok().stdout.lines().count(), 1);
    place.run(&["doctor", "example"]).ok();
    line(&place.run(&["doctor"]).ok(), "unknown VikingDB: name a collection");
    place.run(&["status", "nope"]).fails(4, &["NotFound.VikingdbTask", "request id", "log id"]);
    place
        .run(&["run", "nope", "--all", "--to", "tos://demo/x"])
        .fails(4, &["NotFound.VikingdbCollection"]);
    place.run(&["resume", "run", "--api", "v1"]).ok();
    let (_service, place) = Service::with_faults(&[]);
    place.run(&[&RUN[..], &["--output-fields", "id"]].concat()).fails(2, &["--api v2"]);
    place.run(&["list", "example", "--project", "p"]).fails(2, &["--api v2"]);
}

#[test]
fn clean_deletes_the_keys_of_a_finished_folder_and_no_others() {
    let (_service, place) = Service::with_faults(&[]);
    place.run(&RUN).ok();
    let receipt = fs::read_to_string(place.path("run/receipt.json")).unwrap();
    let receipt: Value = serde_json::from_str(&receipt).unwrap();
    let from = format!("tos://demo/x/{}", receipt["run"].as_str().unwrap());
    place.run(&["clean", "run"]).fails(2, &["5 objects", "--yes"]);
    let listed = place.run(&["clean", "run", "--dry-run"]).ok().stdout;
    assert_eq!(listed.lines().count(), 5);
    assert!(listed.starts_with(&format!("{from}/0.parquet\n")), "{listed}");
    assert_eq!(place.run(&["count", &from]).ok().stdout, "21001\n", "nothing is gone yet");
    let cleaned = place.run(&["clean", "run", "--yes"]).ok();
    assert!(cleaned.stderr.contains("5 objects deleted"), "{}", cleaned.stderr);
    place.run(&["count", &from]).fails(4, &[]);
    place.run(&["verify", "run"]).ok();
    let again = [&RUN[..6], &["other", "--clean"]].concat();
    assert_eq!(place.run(&again).ok().stdout, example_rows());
    let receipt = fs::read_to_string(place.path("other/receipt.json")).unwrap();
    let receipt: Value = serde_json::from_str(&receipt).unwrap();
    assert!(receipt["cleaned"].is_string());
    place
        .run(&["count", &format!("tos://demo/x/{}", receipt["run"].as_str().unwrap())])
        .fails(4, &[]);
    // What is not proven is not touched.
    place.run(&[&RUN[..6], &["part", "-n", "5"]].concat()).ok();
    place.run(&["clean", "part", "--yes"]).fails(2, &["not finished"]);
}

#[test]
fn a_place_that_is_taken_is_not_exported_to() {
    let (_service, place) = Service::with_faults(&[]);
    place.run(&RUN).ok();
    let path = place.path("run/receipt.json");
    let mut receipt: Value = serde_json::from_str(&fs::read_to_string(&path).unwrap()).unwrap();
    for key in ["task", "submitted", "objects", "finished"] {
        receipt[key] = Value::Null;
    }
    fs::write(&path, receipt.to_string()).unwrap();
    place.run(&["resume", "run"]).fails(2, &["5 objects below", "already"]);
    assert_eq!(place.run(&["list", "example"]).ok().stdout.lines().count(), 1, "no second task");
    let dry = place.run(&["cancel", "x"]).fails(4, &[]);
    assert!(dry.stdout.is_empty());
}
