//! Objects that change, files that are damaged, between one try and the next.

use std::fs;
use std::io::{BufRead, BufReader};

use serde_json::Value;

use crate::program::{Ended, Place, Service, Tos, example, example_rows, until};

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
    until(&mut child, || place.path("run/.printed.json").exists());
    child.kill().unwrap();
    child.wait().unwrap();
    place
}

/// The bytes of the objects of the one export, and the rows of each.
fn objects(tos: &Tos) -> Vec<(Vec<u8>, String)> {
    let keys = tos.emulator.keys("demo", "x/");
    let object = |key: &String| {
        let bytes = tos.emulator.get("demo", key).unwrap();
        let rows = Place::new().run_with_input(&["cat", "-"], &bytes).ok().stdout;
        (bytes, rows)
    };
    keys.iter().map(object).collect()
}

fn rows_of(objects: &[(Vec<u8>, String)], places: [usize; 5]) -> String {
    places.iter().map(|&place| objects[place].1.as_str()).collect()
}

#[test]
fn rows_of_two_versions_never_meet_in_one_output() {
    for is_removed in [true, false] {
        let tos = Tos::serving(example().parent().unwrap(), &["tos-slow=500"]);
        let place = killed_while_printing(&tos);
        let (first, objects) = (tos.emulator.keys("demo", "x/").remove(0), objects(&tos));
        // Another version, of another length.
        tos.emulator.put("demo", &first, &objects[4].0).unwrap();
        if is_removed {
            fs::remove_file(place.path("run/0.parquet")).unwrap();
        }
        tos.emulator.set_faults(Vec::new());
        let ended = place.run(&RESUME).ok();
        assert!(ended.stderr.contains("the output starts over"), "{}", ended.stderr);
        let rows = fs::read_to_string(place.path("rows.jsonl")).unwrap();
        let wanted = rows_of(&objects, [4, 1, 2, 3, 4]);
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
    let (last, objects) = (tos.emulator.keys("demo", "x/").pop().unwrap(), objects(&tos));
    tos.emulator.put("demo", &last, &objects[0].0).unwrap();
    tos.emulator.set_faults(Vec::new());
    let ended = place.run(&RESUME).ok();
    assert!(ended.stderr.contains("rows are in the output already"), "{}", ended.stderr);
    assert!(!ended.stderr.contains("starts over"), "{}", ended.stderr);
    let rows = fs::read_to_string(place.path("rows.jsonl")).unwrap();
    let wanted = rows_of(&objects, [0, 1, 2, 3, 0]);
    assert!(rows == wanted);
}

#[test]
fn a_damaged_file_beyond_the_lead_with_a_later_one_missing_does_not_hang() {
    let (_service, place) = Service::with_faults(&[]);
    place.run(&RUN[..7]).ok();
    for is_shorter in [true, false] {
        let file = place.path("run/0.parquet");
        let mut damaged = fs::read(&file).unwrap();
        damaged[20_000] ^= 1;
        damaged.truncate(if is_shorter { 30_000 } else { damaged.len() });
        fs::write(&file, &damaged).unwrap();
        fs::remove_file(place.path("run/3.parquet")).unwrap();
        let ended = place.run_or_hang(&["resume", "run", "--ahead", "1KiB"]).ok();
        assert!(ended.stdout == example_rows());
        assert!(ended.stderr.contains("it is downloaded again"), "{}", ended.stderr);
        place.run(&["verify", "run"]).ok();
    }
}

#[test]
fn a_shortened_file_is_healed_and_a_file_of_the_users_is_left_alone() {
    let tos = Tos::start(&[]);
    let place = tos.place();
    let file = fs::read(example().join("1.parquet")).unwrap();
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
    for (name, mine) in [("1.parquet", "mine".to_owned()), ("2.parquet", "m".repeat(file.len()))] {
        fs::write(place.path("run").join(name), &mine).unwrap();
        tos.emulator.put("demo", &format!("x/{name}"), &file).unwrap();
        for _ in 0..2 {
            place.run(&fetch).fails(2, &[name, "already exists"]);
            assert!(fs::read_to_string(place.path("run").join(name)).unwrap() == mine);
        }
        fs::remove_file(place.path("run").join(name)).unwrap();
        place.run(&fetch).ok();
    }
}

#[test]
fn files_that_landed_just_before_a_kill_are_healed_as_well() {
    let tos = Tos::start(&[]);
    let place = tos.place();
    let file = fs::read(example().join("1.parquet")).unwrap();
    for number in 0..30 {
        tos.emulator.put("demo", &format!("x/{number}.parquet"), &file).unwrap();
    }
    let fetch = ["fetch", "tos://demo/x", "--dir", "run"];
    let mut child = place.command(&fetch).spawn().unwrap();
    until(&mut child, || place.path("run/9.parquet").exists());
    child.kill().unwrap();
    child.wait().unwrap();
    let mut cut = 0;
    for number in 0..30 {
        if let Ok(landed) =
            fs::OpenOptions::new().write(true).open(place.path(&format!("run/{number}.parquet")))
        {
            landed.set_len(number).unwrap();
            cut += 1;
        }
    }
    assert!(cut >= 5, "{cut} have landed");
    place.run(&fetch).ok();
    for number in 0..30 {
        let landed = fs::read(place.path(&format!("run/{number}.parquet"))).unwrap();
        assert!(landed == file, "{number}.parquet");
    }
}

#[test]
fn what_landed_is_in_the_receipt_at_once_and_is_not_read_again() {
    let tos = Tos::start(&["tos-slow=300"]);
    let place = tos.place();
    let file = fs::read(example().join("1.parquet")).unwrap();
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
    until(&mut child, || is_noted(5));
    assert!(!is_noted(7), "it was said at the end");
    child.kill().unwrap();
    child.wait().unwrap();
    let ended = place.run(&fetch).ok();
    let compared = ended.stderr.lines().find(|line| line.starts_with("verifying"));
    assert!(compared.is_none_or(|line| line.contains("verifying 1 files")), "{}", ended.stderr);
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
            // It becomes what another object is.
            let [key, other] = [random, random >> 8]
                .map(|random| &keys[usize::try_from(random % keys.len() as u64).unwrap()]);
            let bytes = tos.emulator.get("demo", other).unwrap();
            tos.emulator.put("demo", key, &bytes).unwrap();
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
    let was_finished = receipt(&place)["finished"].is_object();
    let ended: Ended = place.go_on(&RESUME);
    ended.ok();
    let rows = fs::read_to_string(place.path("rows.jsonl")).unwrap();
    assert!(rows == place.run(&["cat", "run"]).ok().stdout, "rows of the files");
    let keys = tos.emulator.keys("demo", "x/");
    let prefix = keys[0].rsplit_once('/').unwrap().0;
    let now = place.run(&["cat", &format!("tos://demo/{prefix}")]).ok().stdout;
    // A finished run is one of the objects as they were then.
    assert!(was_finished || rows == now, "rows of the objects");
    assert_eq!(place.run(&["list", "example"]).ok().stdout.lines().count(), 1, "one task");
    place.run(&["verify", "run"]).ok();
}

#[test]
fn a_folder_that_is_removed_on_the_way_is_exit_9() {
    let tos = Tos::start(&["tos-slow=100"]);
    let place = tos.place();
    let file = fs::read(example().join("1.parquet")).unwrap();
    for number in 0..12 {
        tos.emulator.put("demo", &format!("x/{number}.parquet"), &file).unwrap();
    }
    let fetch = ["fetch", "tos://demo/x", "--dir", "run", "--jobs", "2"];
    for landed in ["run/0.parquet", "run/2.parquet", "run/5.parquet"] {
        let mut child = place.command(&fetch).spawn().unwrap();
        until(&mut child, || place.path(landed).exists());
        // It may write while it is removed.
        while place.path("run/receipt.json").exists() {
            drop(fs::remove_dir_all(place.path("run")));
        }
        let ended: Ended = child.wait_with_output().unwrap().into();
        ended.fails(9, &["run"]);
    }
    place.run(&fetch).ok();
    place.run(&["verify", "run"]).ok();
}
