//! Objects that change, files that are damaged, between one try and the next.

use std::fs;
use std::io::{BufRead, BufReader};
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::program::{Ended, Place, Service, Tos, example, example_rows};

const RUN: [&str; 9] =
    ["run", "example", "--all", "--to", "tos://demo/x", "--dir", "run", "-o", "rows.jsonl"];
const RESUME: [&str; 4] = ["resume", "run", "-o", "rows.jsonl"];

fn receipt(place: &Place) -> Value {
    serde_json::from_slice(&fs::read(place.path("run/receipt.json")).unwrap()).unwrap()
}

/// A run that is killed when rows of its first object are in the output.
fn killed_while_printing(tos: &Tos) -> Place {
    let place = tos.place();
    let mut child = place.command(&[&RUN[..], &["--jobs", "1"]].concat()).spawn().unwrap();
    while !place.path("run/.printed.json").exists() {
        std::thread::sleep(Duration::from_millis(5));
    }
    child.kill().unwrap();
    child.wait().unwrap();
    place
}

/// Rows of these files of the example, in this order.
fn rows_of(files: &[&str]) -> String {
    let rows = |file: &&str| {
        let path = example().join(file);
        Place::new().run(&["cat", path.to_str().unwrap()]).ok().stdout
    };
    files.iter().map(rows).collect()
}

#[test]
fn rows_of_two_versions_never_meet_in_one_output() {
    for is_removed in [true, false] {
        let tos = Tos::serving(example().parent().unwrap(), &["tos-slow=500"]);
        let place = killed_while_printing(&tos);
        let first = tos.emulator.keys("demo", "x/").remove(0);
        // Another version, of another length; and another one of what nobody printed yet.
        let other = fs::read(example().join("4.parquet")).unwrap();
        tos.emulator.put("demo", &first, &other).unwrap();
        if is_removed {
            fs::remove_file(place.path("run/0.parquet")).unwrap();
        }
        tos.emulator.set_faults(Vec::new());
        let ended = place.run(&RESUME).ok();
        assert!(ended.stderr.contains("the output begins anew"), "{}", ended.stderr);
        let rows = fs::read_to_string(place.path("rows.jsonl")).unwrap();
        let wanted = rows_of(&["4.parquet", "1.parquet", "2.parquet", "3.parquet", "4.parquet"]);
        assert!(rows == wanted, "removed: {is_removed}");
        place.run(&["verify", "run"]).ok();
        assert_eq!(
            receipt(&place)["finished"]["rows_printed"],
            receipt(&place)["finished"]["rows"]
        );
    }
}

#[test]
fn what_was_printed_is_kept_where_only_later_objects_changed() {
    let tos = Tos::serving(example().parent().unwrap(), &["tos-slow=500"]);
    let place = killed_while_printing(&tos);
    let last = tos.emulator.keys("demo", "x/").pop().unwrap();
    tos.emulator.put("demo", &last, &fs::read(example().join("0.parquet")).unwrap()).unwrap();
    tos.emulator.set_faults(Vec::new());
    let ended = place.run(&RESUME).ok();
    assert!(ended.stderr.contains("rows are in the output already"), "{}", ended.stderr);
    assert!(!ended.stderr.contains("begins anew"), "{}", ended.stderr);
    let rows = fs::read_to_string(place.path("rows.jsonl")).unwrap();
    let wanted = rows_of(&["0.parquet", "1.parquet", "2.parquet", "3.parquet", "0.parquet"]);
    assert!(rows == wanted);
}

#[test]
fn a_damaged_file_beyond_the_lead_with_a_later_one_missing_does_not_hang() {
    let (_service, place) = Service::with_faults(&[]);
    place.run(&[&RUN[..7], &["--retry-for", "3s"]].concat()).ok();
    for is_shorter in [true, false] {
        let file = place.path("run/0.parquet");
        let mut damaged = fs::read(&file).unwrap();
        damaged[20_000] ^= 1;
        damaged.truncate(if is_shorter { 30_000 } else { damaged.len() });
        fs::write(&file, &damaged).unwrap();
        fs::remove_file(place.path("run/3.parquet")).unwrap();
        let start = Instant::now();
        let ended = place.run(&["resume", "run", "--ahead", "1KiB"]).ok();
        assert!(ended.stdout == example_rows());
        assert!(ended.stderr.contains("it is loaded again"), "{}", ended.stderr);
        assert!(start.elapsed() < Duration::from_secs(60));
        place.run(&["verify", "run"]).ok();
    }
}

#[test]
fn a_shortened_file_is_healed_and_a_file_of_the_users_is_left_alone() {
    let tos = Tos::start(&[]);
    let place = tos.place();
    let file = fs::read(example().join("4.parquet")).unwrap();
    tos.emulator.put("demo", "x/0.parquet", &file).unwrap();
    let fetch = ["fetch", "tos://demo/x", "--dir", "run"];
    place.run(&fetch).ok();
    for length in [0, 1, 1_000, file.len() * 2] {
        let mut bytes = file.clone();
        bytes.resize(length, 0);
        fs::write(place.path("run/0.parquet"), &bytes).unwrap();
        place.run(&fetch).ok();
        assert!(fs::read(place.path("run/0.parquet")).unwrap() == file, "{length} bytes");
    }
    for mine in ["mine", &"m".repeat(file.len())] {
        fs::write(place.path("run/1.parquet"), mine).unwrap();
        tos.emulator.put("demo", "x/1.parquet", &file).unwrap();
        let ended = place.run(&fetch);
        assert!(matches!(ended.code, Some(2)), "{}", ended.stderr);
        assert_eq!(fs::read_to_string(place.path("run/1.parquet")).unwrap(), mine);
        break;
    }
}

#[test]
fn what_landed_is_in_the_receipt_at_once_and_is_not_read_again() {
    let tos = Tos::start(&["tos-slow=300"]);
    let place = tos.place();
    let file = fs::read(example().join("4.parquet")).unwrap();
    for number in 0..8 {
        tos.emulator.put("demo", &format!("x/{number}.parquet"), &file).unwrap();
    }
    let fetch = ["fetch", "tos://demo/x", "--dir", "run", "--jobs", "1"];
    let mut child = place.command(&fetch).spawn().unwrap();
    let is_noted = |number: usize| {
        let receipt = fs::read(place.path("run/receipt.json")).unwrap_or_default();
        let receipt: Value = serde_json::from_slice(&receipt).unwrap_or_default();
        receipt["objects"][number]["crc64"].is_string()
            && receipt["objects"][number]["landed"].is_string()
    };
    while !is_noted(5) {
        assert!(child.try_wait().unwrap().is_none(), "it ended, and said nothing on the way");
        std::thread::sleep(Duration::from_millis(5));
    }
    child.kill().unwrap();
    child.wait().unwrap();
    let ended = place.run(&fetch).ok();
    let compared = ended.stderr.lines().find(|line| line.starts_with("comparing"));
    assert!(compared.is_none_or(|line| line.contains("comparing 1 files")), "{}", ended.stderr);
    place.run(&["verify", "run"]).ok();
}

#[test]
fn a_folder_of_the_version_before_is_gone_on_with() {
    let tos = Tos::serving(example().parent().unwrap(), &["tos-slow=500"]);
    let place = killed_while_printing(&tos);
    // That one knew nothing of versions, and kept checksums to the end.
    let note = place.path("run/.printed.json");
    let mut printed: Value = serde_json::from_slice(&fs::read(&note).unwrap()).unwrap();
    printed.as_object_mut().unwrap().remove("versions");
    fs::write(&note, printed.to_string()).unwrap();
    let mut receipt = receipt(&place);
    for object in receipt["objects"].as_array_mut().unwrap() {
        (object["crc64"], object["landed"]) = (Value::Null, Value::Null);
    }
    fs::write(place.path("run/receipt.json"), receipt.to_string()).unwrap();
    tos.emulator.set_faults(Vec::new());
    place.run(&RESUME).ok();
    assert!(fs::read_to_string(place.path("rows.jsonl")).unwrap() == example_rows());
}

#[test]
fn a_receipt_of_somebody_elses_run_is_refused() {
    let (_service, place) = Service::with_faults(&[]);
    place.run(&RUN).ok();
    let mut receipt = receipt(&place);
    let key = receipt["objects"][0]["key"].as_str().unwrap().to_owned();
    let (run, name) = key.rsplit_once('/').unwrap();
    receipt["objects"][0]["key"] = format!("{run}-of-somebody-else/{name}").into();
    fs::write(place.path("run/receipt.json"), receipt.to_string()).unwrap();
    for verb in [&["clean", "run", "--yes"][..], &["verify", "run"], &["resume", "run"]] {
        place.run(verb).fails(8, &["outside tos://demo/x"]);
    }
}

#[test]
fn kills_while_objects_change_and_lists_lie_end_in_the_rows_of_the_receipt() {
    let tos = Tos::serving(example().parent().unwrap(), &["tos-slow=120", "tos-page=2"]);
    let place = tos.place();
    let run = [&RUN[..], &["--jobs", "1"]].concat();
    let contents = ["4.parquet", "0.parquet"].map(|file| fs::read(example().join(file)).unwrap());
    let (mut random, mut changes) = (0x2545_f491_4f6c_dd1d_u64, 0_usize);
    let lies = ["tos-list-twice=9", "tos-list-short=1", "tos-list-html=1", "tos-list-circle=1"];
    for kill in 0..40 {
        let mut child = place.command(&run).stdout(std::process::Stdio::null()).spawn().unwrap();
        let mut stderr = BufReader::new(child.stderr.take().unwrap());
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        // Killed behind one of the lines that it says.
        let mut said = String::new();
        for _ in 0..3 + random % 9 {
            if stderr.read_line(&mut said).unwrap() == 0 {
                break;
            }
        }
        child.kill().unwrap();
        child.wait().unwrap();
        let keys = tos.emulator.keys("demo", "x/");
        if kill % 3 == 0 && !keys.is_empty() {
            let key = &keys[usize::try_from(random % 5).unwrap() % keys.len()];
            tos.emulator.put("demo", key, &contents[changes % 2]).unwrap();
            changes += 1;
        }
        let faults = ["tos-slow=120", "tos-page=2", lies[kill % lies.len()]];
        tos.emulator.set_faults(faults.map(|fault| fault.parse().unwrap()).into());
        if place.path("rows.jsonl").exists() {
            fs::remove_file(place.path("rows.jsonl")).unwrap();
        }
    }
    assert!(changes > 5, "nothing changed");
    tos.emulator.set_faults(Vec::new());
    let ended: Ended = place.go_on(&RESUME);
    ended.ok();
    let keys = tos.emulator.keys("demo", "x/");
    let prefix = keys[0].rsplit_once('/').unwrap().0;
    let now = place.run(&["cat", &format!("tos://demo/{prefix}")]).ok().stdout;
    assert!(fs::read_to_string(place.path("rows.jsonl")).unwrap() == now, "rows of the objects");
    assert_eq!(place.run(&["list", "example"]).ok().stdout.lines().count(), 1, "one task");
    place.run(&["verify", "run"]).ok();
}
