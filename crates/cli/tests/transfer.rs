//! Downloads end to end: proofs, plans, full disks, changing objects, slow readers.

use std::fs;
use std::io::{BufReader, Read};
use std::process::Command;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::program::{Ended, Place, Service, Tos, example_rows};

const RUN: [&str; 7] = ["run", "example", "--all", "--to", "tos://demo/x", "--dir", "run"];

fn receipt(place: &Place, dir: &str) -> Value {
    let text = fs::read_to_string(place.path(dir).join("receipt.json")).unwrap();
    serde_json::from_str(&text).unwrap()
}

#[test]
fn only_names_of_the_folders_own_files_are_kept_from_objects() {
    let tos = Tos::start(&[]);
    let names = ["collection.json", "collection.jsonl", "receipt.json.gz", ".locked.json"];
    for name in names {
        tos.emulator.put("demo", &format!("x/{name}"), b"{\"id\":1}\n").unwrap();
    }
    let place = tos.place();
    place.run(&["fetch", "tos://demo/x", "--dir", "x"]).ok();
    for name in names {
        assert_eq!(std::fs::read(place.path("x").join(name)).unwrap(), b"{\"id\":1}\n");
    }
    tos.emulator.put("demo", "x/Receipt.json", b"{}").unwrap();
    place.run(&["fetch", "tos://demo/x", "--dir", "y"]).fails(8, &["x/Receipt.json", "for itself"]);
}

#[test]
fn objects_that_change_meanwhile_are_loaded_as_they_are_then() {
    let (_service, place) = Service::with_faults(&["tos-changed=2"]);
    let run = place.run(&RUN).ok();
    assert_eq!(run.stdout, example_rows());
    assert!(run.stderr.contains("changed; downloading its current version"), "{}", run.stderr);
}

#[test]
fn an_object_that_is_written_anew_on_the_way_is_loaded_whole_and_new() {
    let tos = Tos::start(&[]);
    let bytes = |seed: u8| {
        let mut bytes = vec![seed; 9_000_000];
        bytes[..2].copy_from_slice(b"{}");
        bytes
    };
    let place = tos.place();
    let arguments = ["fetch", "tos://demo/x", "--dir", "d", "--part-size", "1MiB", "--jobs", "1"];
    tos.emulator.put("demo", "x/0.json", &bytes(1)).unwrap();
    let child =
        place.command(&[&arguments[..], &["--limit-rate", "6MiB"]].concat()).spawn().unwrap();
    for (seed, after) in [(2, 2_000_000), (3, 5_000_000)] {
        while tos.emulator.bytes_sent() < after {
            std::thread::sleep(Duration::from_millis(5));
        }
        tos.emulator.put("demo", "x/0.json", &bytes(seed)).unwrap();
    }
    let ended: Ended = child.wait_with_output().unwrap().into();
    let ended = ended.ok();
    assert_eq!(
        ended.stderr.matches("downloading its current version").count(),
        2,
        "{}",
        ended.stderr
    );
    assert!(fs::read(place.path("d/0.json")).unwrap() == bytes(3));
}

#[test]
fn a_failure_ends_a_run_whose_rows_wait_for_it() {
    let (_service, place) = Service::with_faults(&["tos-416=1"]);
    // The first object fails, and those behind it are too far ahead to be begun.
    let failed = place.run(&[&RUN[..], &["--ahead", "1KiB", "--jobs", "1"]].concat());
    failed.fails(8, &["InvalidRange"]);
    assert_eq!(place.run(&RUN).ok().stdout, example_rows());
}

#[test]
fn the_receipt_tells_how_each_object_was_proven() {
    let (_service, place) = Service::with_faults(&[]);
    place.run(&[&RUN[..], &["--verify", "full"]].concat()).ok();
    let receipt = receipt(&place, "run");
    let objects = receipt["objects"].as_array().unwrap();
    assert_eq!(objects.len(), 5);
    for object in objects {
        assert!(object["crc64"].as_str().unwrap().parse::<u64>().is_ok(), "{object}");
        assert_eq!(object["crc64_compared"], true, "{object}");
        assert_eq!(object["md5_compared"], true, "{object}");
    }
    place.run(&[&RUN[..6], &["normal"]].concat()).ok();
    let normal = self::receipt(&place, "normal");
    assert_eq!(normal["objects"][0]["md5_compared"], false);
    assert_eq!(normal["objects"][0]["crc64_compared"], true);
}

#[test]
fn the_receipt_tells_the_whole_story_of_a_run() {
    let faults = ["tos-cut=3", "tos-503=2", "vikingdb-503=2"];
    let (_service, place) = Service::with_faults(&faults);
    let run = place.run(&[&RUN[..], &["-n", "1"]].concat()).ok();
    assert_eq!(run.stdout.lines().count(), 1);
    assert_eq!(receipt(&place, "run")["finished"], Value::Null, "one row is not the whole run");
    let whole = place.run(&RUN).ok();
    assert_eq!(whole.stdout, example_rows());
    let story = receipt(&place, "run");
    assert_eq!((&story["schema"], &story["tries"]), (&Value::from(1), &Value::from(2)));
    let repeated = |service: &str| story["retries"][service].as_u64().unwrap();
    assert!(repeated("vikingdb") == 2 && repeated("tos") == 5, "{}", story["retries"]);
    let all = repeated("vikingdb") + repeated("tos");
    assert!(whole.stderr.contains(&format!("{all} requests repeated")), "{}", whole.stderr);
    let times = ["started", "submitted", "exported", "listed"].map(|key| story[key].to_string());
    assert!(times.is_sorted() && times.iter().all(|time| time.len() == 22), "{times:?}");
    let version = story["finished"]["version"].as_str().unwrap();
    assert!(version.starts_with(env!("CARGO_PKG_VERSION")), "{version}");
    let (mut rows, objects) = (0, story["objects"].as_array().unwrap());
    for object in objects {
        assert!(object["landed"].as_str().unwrap().ends_with('Z'), "{object}");
        assert_eq!(object["rows"], object["rows_decoded"], "{object}");
        assert_eq!(object["rows"], object["rows_written"], "{object}");
        rows += object["rows"].as_u64().unwrap();
    }
    assert_eq!((rows, &story["finished"]["rows"]), (21_001, &Value::from(21_001)));
    assert_eq!(story["finished"]["rows_printed"], 21_001);
    assert_eq!(story["request"]["collection"], "example");
}

#[test]
fn verify_proves_a_folder_again_and_names_what_is_wrong() {
    let place = {
        let (_service, place) = Service::with_faults(&[]);
        place.run(&RUN).ok();
        place
    };
    // The service is gone: nothing is asked of it.
    let verified = place.run(&["verify", "run"]).ok();
    assert_eq!(verified.stdout.lines().count(), 5);
    assert!(verified.stdout.contains("0.parquet: ok, 4999 rows, same length, CRC-64, MD5"));
    assert!(verified.stderr.contains("5 files with 21001 rows"), "{}", verified.stderr);
    let file = place.path("run/3.parquet");
    let whole = fs::read(&file).unwrap();
    let mut flipped = whole.clone();
    flipped[100] ^= 1;
    fs::write(&file, &flipped).unwrap();
    let bad = place.run(&["verify", "run", "--json"]).fails(8, &["3.parquet", "MD5"]);
    let lines: Vec<Value> =
        bad.stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let ok: Vec<bool> = lines.iter().map(|line| line["ok"].as_bool().unwrap()).collect();
    assert_eq!(ok, [true, true, true, false, true]);
    fs::write(&file, &whole[..1_000]).unwrap();
    place.run(&["verify", "run"]).fails(8, &["3.parquet", "1000 bytes"]);
    fs::remove_file(&file).unwrap();
    place.run(&["verify", "run"]).fails(4, &["3.parquet"]);
    fs::write(&file, &whole).unwrap();
    let mut receipt = receipt(&place, "run");
    receipt["objects"][2]["rows"] = 7.into();
    fs::write(place.path("run/receipt.json"), receipt.to_string()).unwrap();
    place.run(&["verify", "run"]).fails(8, &["2.parquet has 4999 rows, the receipt says 7"]);
    place.run(&["verify", "nothing"]).fails(4, &["nothing"]);
}

#[test]
fn dry_runs_tell_what_there_is_and_make_nothing() {
    let (_service, place) = Service::with_faults(&[]);
    let plan = place.run(&[&RUN[..], &["--dry-run"]].concat()).ok().stdout;
    assert!(plan.contains("rows in it (an estimate): 21001"), "{plan}");
    assert!(!place.path("run").exists());
    assert_eq!(place.run(&["list", "example"]).ok().stdout, "", "no task");
    place.run(&RUN).ok();
    let run = receipt(&place, "run")["run"].as_str().unwrap().to_owned();
    let from = format!("tos://demo/x/{run}");
    let plan = place.run(&["fetch", &from, "--dir", "d", "--dry-run"]).ok().stdout;
    assert!(plan.starts_with("objects: 5\nbytes: "), "{plan}");
    assert!(plan.contains("\nrows: 21001\ndisk needed: "), "{plan}");
    assert!(!place.path("d").exists());
    let task = place.run(&["list", "example"]).ok().stdout;
    let task = task.split_whitespace().next().unwrap();
    assert_eq!(place.run(&["cat", "--task", task]).ok().stdout, example_rows());
}

#[test]
fn a_slow_reader_holds_the_download_back() {
    let (_service, place) = Service::with_faults(&[]);
    let ahead = [&RUN[..], &["--ahead", "700KiB", "--jobs", "1"]].concat();
    let mut child = place.command(&ahead).spawn().unwrap();
    let stdout = child.stdout.take().unwrap();
    let landed = || (0..5).filter(|n| place.path(&format!("run/{n}.parquet")).exists()).count();
    // The first is being printed, and no more than the pipe holds of it; what begins within 700 KiB of
    // its start lands, and nothing else.
    let start = Instant::now();
    while landed() < 2 && start.elapsed() < Duration::from_secs(20) {
        std::thread::sleep(Duration::from_millis(10));
    }
    std::thread::sleep(Duration::from_millis(700));
    assert_eq!(landed(), 2);
    let mut rows = String::new();
    BufReader::new(stdout).read_to_string(&mut rows).unwrap();
    let ended: Ended = child.wait_with_output().unwrap().into();
    assert_eq!((ended.code, landed()), (Some(0), 5), "{}", ended.stderr);
    assert_eq!(rows, example_rows());
}

/// Runs a shell script that may mount file systems of its own.
#[cfg(target_os = "linux")]
fn run_with_mounts(place: &Place, script: &str) -> Option<Ended> {
    let mut command = Command::new("unshare");
    let program = place.command(&[]);
    command.args(["--user", "--map-root-user", "--mount", "sh", "-c", script]);
    command.env_clear().current_dir(place.folder.path());
    command.envs(program.get_envs().filter_map(|(name, value)| Some((name, value?))));
    command.env("PROGRAM", env!("CARGO_BIN_EXE_viking-export"));
    let ended: Ended = command.output().unwrap().into();
    if ended.stderr.starts_with("unshare:") {
        // Containers and some systems allow nobody to. Where everything is checked, they must.
        #[expect(clippy::disallowed_methods, reason = "CI says that it is one this way")]
        let is_ci = std::env::var("CI").is_ok();
        assert!(!is_ci, "no mounts here: {}", ended.stderr);
        return None;
    }
    Some(ended)
}

#[cfg(target_os = "linux")]
#[test]
fn a_disk_that_is_too_small_is_noticed_before_anything_is_loaded() {
    let tos = Tos::start(&[]);
    tos.emulator.put("demo", "x/0.json", &vec![b' '; 12_000_000]).unwrap();
    let place = tos.place();
    fs::create_dir(place.path("small")).unwrap();
    let script = "mount -t tmpfs -o size=8m none small && \
                  exec $PROGRAM fetch tos://demo/x --dir small/d";
    let Some(ended) = run_with_mounts(&place, script) else { return };
    ended.fails(9, &["has no room", "12000000 bytes", "hint: free some space"]);
    assert_eq!(tos.emulator.bytes_sent(), 0);
}

#[cfg(target_os = "linux")]
#[test]
fn a_disk_that_fills_up_on_the_way_keeps_what_is_finished() {
    let tos = Tos::start(&[]);
    tos.emulator.put("demo", "x/0.json", &vec![b' '; 12_000_000]).unwrap();
    let place = tos.place();
    fs::create_dir(place.path("small")).unwrap();
    let script = "mount -t tmpfs -o size=16m none small || exit 99
        $PROGRAM fetch tos://demo/x --dir small/d --part-size 1MiB --jobs 1 --limit-rate 6MiB &
        until grep -qs part.:[0-9] small/d/.partial/*.journal; do sleep 0.05; done; head -c 30m /dev/zero >small/filler 2>/dev/null
        wait $!; code=$?
        test -e small/d/0.json && exit 98
        rm small/filler
        $PROGRAM fetch tos://demo/x --dir small/d --part-size 1MiB || exit 97
        test $(wc -c <small/d/0.json) = 12000000 || exit 96
        exit $code";
    let Some(ended) = run_with_mounts(&place, script) else { return };
    let ended = ended.fails(9, &["hint: free some space", "already on the disk"]);
    let is_named =
        ["has no room", "No space left"].iter().any(|words| ended.stderr.contains(words));
    assert!(is_named, "{}", ended.stderr);
    assert!(tos.emulator.bytes_sent() < 16_000_000, "finished parts were not loaded again");
}

#[cfg(target_os = "linux")]
#[test]
fn a_folder_that_cannot_be_written_is_named() {
    let tos = Tos::start(&[]);
    tos.emulator.put("demo", "x/0.json", b"{}\n").unwrap();
    let place = tos.place();
    fs::create_dir(place.path("fixed")).unwrap();
    let script =
        "mount -t tmpfs -o ro none fixed && exec $PROGRAM fetch tos://demo/x --dir fixed/d";
    place.run(&["fetch", "tos://demo/x", "--dir", "/dev/null/d"]).fails(9, &["/dev/null/d"]);
    let Some(ended) = run_with_mounts(&place, script) else { return };
    ended.fails(9, &["fixed/d", "Read-only file system"]);
}

#[test]
fn wrong_sizes_and_numbers_are_refused() {
    let place = Place::new();
    let fetch = ["fetch", "tos://demo/x", "--dir", "d"];
    for (flag, value, words) in [
        ("--part-size", "1KiB", "1MiB or more"),
        ("--limit-rate", "0", "more than nothing"),
        ("--jobs", "0", "from 1 to 256, or auto"),
        ("--jobs", "many", "from 1 to 256, or auto"),
        ("--verify", "never", "full"),
    ] {
        place.run(&[&fetch[..], &[flag, value]].concat()).fails(2, &[words]);
    }
}
