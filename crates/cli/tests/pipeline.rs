//! The main job: whole runs, and the same in separate steps.

use std::io::{BufRead, BufReader};

use serde_json::Value;

use crate::program::{Place, Service, example, example_rows};

const SEED_FILTER: &str = r#"[{"op":"must","field":"city","conds":["beijing"]},{"op":"range","field":"user_id","gt":0,"lt":4}]"#;

#[test]
fn an_embedded_run_prints_every_row_of_the_collection() {
    let place = Place::new();
    let run =
        place.run(&["run", "example", "--all", "--to", "tos://demo/exports", "--embedded"]).ok();
    let footers = place.run(&["count", example().to_str().unwrap()]).ok().stdout;
    assert_eq!(run.stdout.lines().count().to_string(), footers.trim());
    assert!(run.stdout.lines().all(|line| serde_json::from_str::<Value>(line).is_ok()));
    assert_eq!(run.stdout, example_rows(), "row by row, in the collection's order");
    assert!(run.stderr.contains("21001 rows"), "{}", run.stderr);
    let receipt = std::fs::read_to_string(place.run_folder().join("receipt.json")).unwrap();
    let receipt: Value = serde_json::from_str(&receipt).unwrap();
    assert_eq!(receipt["finished"]["rows"], 21_001);
    assert!(!place.run_folder().join(".partial").exists());
}

#[test]
fn a_run_keeps_what_the_service_says_of_the_collection() {
    let service = Service::start(&[]);
    for (api, name, field_type, fields, index) in [
        ("v1", "field_name", "field_type", "fields", "index_name"),
        ("v2", "FieldName", "FieldType", "Fields", "IndexName"),
    ] {
        let place = Place::at(&service);
        let to = format!("tos://demo/{api}");
        place.run(&["run", "example", "--all", "--to", &to, "--api", api, "--dir", "x"]).ok();
        let read = |file: &str| -> Value {
            serde_json::from_slice(&std::fs::read(place.path("x").join(file)).unwrap()).unwrap()
        };
        assert_eq!(read("receipt.json")["description"], "collection.json");
        let described = read("collection.json");
        assert_eq!((&described["schema"], &described["api"]), (&Value::from(1), &Value::from(api)));
        let of_name = |wanted: &str| {
            let fields = described["collection"][fields].as_array().unwrap();
            fields.iter().find(|field| field[name] == wanted).unwrap()[field_type].clone()
        };
        assert_eq!((of_name("vector"), of_name("user_id")), ("vector".into(), "int64".into()));
        assert_eq!(described["indexes"][0][index], "idx");
        // It is no data, whichever way the folder is found.
        for place_of in [".", "x*"] {
            assert_eq!(place.run(&["count", place_of]).ok().stdout, "21001\n");
        }
    }
}

#[test]
fn a_description_that_does_not_come_keeps_no_rows_waiting() {
    let (_service, place) = Service::with_faults(&["index-stuck"]);
    let run = ["run", "example", "--all", "--to", "tos://demo/x", "--dir", "x"];
    let run = place.run_or_hang(&run).ok();
    assert!(run.stdout == example_rows());
    let words = "the description of example for collection.json is not complete: no answer within";
    assert!(run.stderr.contains(words), "{}", run.stderr);
    let described = std::fs::read_to_string(place.path("x/collection.json")).unwrap();
    assert!(described.contains("\"user_id\"") && described.contains("\"indexes\": null"));
}

#[test]
fn collections_of_public_programs_are_exported_as_they_are() {
    let collections = example().parent().unwrap().to_owned();
    let service = Service::start(&["--collections", collections.to_str().unwrap()]);
    for (name, types) in [
        ("openviking", &[("uri", "path"), ("created_at", "date_time"), ("content", "text")][..]),
        ("langchain", &[("primary_key", "string"), ("vector", "vector")]),
    ] {
        let place = Place::at(&service);
        let to = format!("tos://demo/{name}");
        let run = ["run", name, "--all", "--to", &to, "--api", "v2", "--dir", "x"];
        let rows = place.run(&run).ok().stdout;
        let file = collections.join(name).join("0.parquet");
        assert_eq!(rows, place.run(&["cat", file.to_str().unwrap()]).ok().stdout);
        assert_eq!(rows.lines().count(), 230);
        let described = std::fs::read(place.path("x/collection.json")).unwrap();
        let described: Value = serde_json::from_slice(&described).unwrap();
        let fields = described["collection"]["Fields"].as_array().unwrap();
        for (name, field_type) in types {
            let field = fields.iter().find(|field| field["FieldName"] == *name).unwrap();
            assert_eq!(field["FieldType"], *field_type);
        }
        if name == "openviking" {
            let rows: Vec<Value> =
                rows.lines().map(|row| serde_json::from_str(row).unwrap()).collect();
            assert_eq!(rows[26]["created_at"], "2026-11-27T09:30Z", "as it was written");
            assert_eq!(rows[7]["updated_at"], "2026-11-27T09:30:00.007+08:00");
            assert_eq!(rows[42]["content"].as_str().unwrap().len(), 65_535);
            assert_eq!(rows[17]["search_tags"].as_array().unwrap().len(), 20_000);
        }
    }
}

#[test]
fn an_embedded_run_with_a_filter_prints_exactly_the_rows_that_satisfy_it() {
    let place = Place::new();
    let run = place
        .run(&["run", "example", "--filter", SEED_FILTER, "--to", "tos://demo/x", "--embedded"])
        .ok();
    let all = example_rows();
    let satisfies = |line: &&str| {
        let row: Value = serde_json::from_str(line).unwrap();
        row["city"] == "beijing" && row["user_id"].as_i64().is_some_and(|user| 0 < user && user < 4)
    };
    let expected: Vec<&str> = all.lines().filter(satisfies).collect();
    assert!(expected.len() > 100);
    assert_eq!(run.stdout.lines().collect::<Vec<_>>(), expected);
}

#[test]
fn a_filter_is_read_from_a_file_and_from_stdin() {
    let place = Place::new();
    std::fs::write(place.path("filter.json"), SEED_FILTER).unwrap();
    let arguments = ["run", "example", "--to", "tos://demo/x", "--embedded", "--dir"];
    let file = place.run(&[&arguments[..], &["one", "--filter", "@filter.json"]].concat()).ok();
    let stdin = [&arguments[..], &["two", "--filter", "-"]].concat();
    let stdin = place.run_with_input(&stdin, SEED_FILTER.as_bytes()).ok();
    assert_eq!(file.stdout.lines().count(), 250);
    assert_eq!(file.stdout, stdin.stdout);
}

#[test]
fn the_same_in_separate_steps_against_a_service_of_its_own() {
    let service = Service::start(&[]);
    let place = Place::at(&service);
    let task = place.run(&["submit", "example", "--all", "--to", "tos://demo/exports"]).ok().stdout;
    let task = task.trim();
    let wrote = place.run(&["wait", task]).ok().stdout;
    assert!(wrote.starts_with("tos://demo/exports/example-"), "{wrote}");
    let status: Value =
        serde_json::from_str(&place.run(&["status", task, "--json"]).ok().stdout).unwrap();
    assert_eq!(
        (&status["state"], &status["matched"]),
        (&Value::from("done"), &Value::from(21_001))
    );
    assert!(place.run(&["list", "example"]).ok().stdout.contains(task));
    assert_eq!(place.run(&["list", "other"]).ok().stdout, "");
    place.run(&["fetch", wrote.trim(), "--dir", "files"]).ok();
    assert_eq!(place.run(&["cat", "files"]).ok().stdout, example_rows());
    assert_eq!(place.run(&["count", "files"]).ok().stdout, "21001\n");
    assert_eq!(place.run(&["count", "files/*.parquet"]).ok().stdout, "21001\n");
    assert!(place.run(&["schema", "files"]).ok().stdout.contains("user_id: Int64\n"));
    // The same objects by the task's id, and again: nothing is loaded twice.
    place.run(&["fetch", "--task", task, "--dir", "again"]).ok();
    assert_eq!(place.run(&["count", "again"]).ok().stdout, "21001\n");
    let once_more = place.run(&["fetch", "--task", task, "--dir", "again"]).ok();
    assert!(!once_more.stderr.contains("downloaded "), "{}", once_more.stderr);
    place.run(&["cancel", task]).fails(2, &[task, "--yes"]);
    place.run(&["cancel", task, "--yes"]).ok();
    place.run(&["status", task]).fails(4, &["1000035"]);
}

#[test]
fn a_task_is_taken_up_on_another_machine() {
    for api in ["v1", "v2"] {
        let service = Service::start(&["--state-time", "200"]);
        let place = || {
            let mut place = Place::at(&service);
            place.set("VIKING_EXPORT_API", api);
            place
        };
        let submitted =
            place().run(&["submit", "example", "--all", "--to", "tos://demo/exports"]).ok();
        let task = submitted.stdout.trim();
        let waiting = place().run(&["status", task, "--json"]).ok().stdout;
        let waiting: Value = serde_json::from_str(&waiting).unwrap();
        assert_ne!(waiting["state"], "done", "it goes on by itself");
        // Each of these is a machine of its own, which knows the task by its id and nothing else.
        let wrote = place().run(&["wait", task]).ok().stdout;
        assert_eq!(place().run(&["cat", "--task", task]).ok().stdout, example_rows());
        let there = place();
        there.run(&["fetch", "--task", task, "--dir", "files"]).ok();
        assert_eq!(there.run(&["cat", "files"]).ok().stdout, example_rows());
        assert_eq!(place().run(&["count", wrote.trim()]).ok().stdout, "21001\n");
        let tasks = place().run(&["list", "example", "--json"]).ok().stdout;
        assert_eq!(tasks.lines().count(), 1, "{api}: {tasks}");
    }
}

#[test]
fn a_json_export_goes_the_same_way_to_the_same_rows() {
    let place = Place::new();
    let arguments =
        ["run", "example", "--all", "--to", "tos://demo/x", "--embedded", "--file-type", "json"];
    let run = place.run(&arguments).ok();
    let rows = example_rows();
    assert_eq!(run.stdout.lines().count(), rows.lines().count());
    for (from_json, from_parquet) in run.stdout.lines().zip(rows.lines()) {
        let parse = |line: &str| serde_json::from_str::<Value>(line).unwrap();
        assert!(is_same(&parse(from_json), &parse(from_parquet)), "{from_json}\n{from_parquet}");
    }
    let folder = place.run_folder();
    assert!(folder.join("0.json").exists());
    assert_eq!(place.run(&["count", folder.to_str().unwrap()]).ok().stdout, "21001\n");
}

/// Whether two values are the same. All floats of the collection are f32, and two programs may
/// take different ones of the shortest texts that read back to the same f32.
fn is_same(a: &Value, b: &Value) -> bool {
    match (a, b) {
        (Value::Number(a), Value::Number(b)) if a.is_f64() && b.is_f64() => {
            let single = |number: &serde_json::Number| number.to_string().parse::<f32>().unwrap();
            single(a).to_bits() == single(b).to_bits()
        }
        (Value::Array(a), Value::Array(b)) => {
            a.len() == b.len() && a.iter().zip(b).all(|(a, b)| is_same(a, b))
        }
        (Value::Object(a), Value::Object(b)) => {
            a.len() == b.len() && a.iter().all(|(key, a)| b.get(key).is_some_and(|b| is_same(a, b)))
        }
        (a, b) => a == b,
    }
}

#[test]
fn a_landed_file_is_printed_while_later_ones_download() {
    let service = Service::start(&["--fault", "tos-slow=400"]);
    let place = Place::at(&service);
    let arguments =
        ["run", "example", "--all", "--to", "tos://demo/x", "--dir", "run", "--jobs", "1"];
    let mut child = place.command(&arguments).spawn().unwrap();
    let mut stdout = BufReader::new(child.stdout.take().unwrap());
    let mut first = String::new();
    stdout.read_line(&mut first).unwrap();
    let landed = std::fs::read_dir(place.path("run")).unwrap();
    let landed = landed.filter(|entry| {
        entry.as_ref().unwrap().path().extension().is_some_and(|end| end == "parquet")
    });
    let landed = landed.count();
    assert!((1..5).contains(&landed), "{landed} of 5 files had landed at the first row");
    assert_eq!(first.lines().next(), example_rows().lines().next());
    let rest = stdout.lines().count();
    assert_eq!(rest, 21_000);
    assert!(child.wait().unwrap().success());
}

#[test]
fn markers_and_empty_objects_are_skipped() {
    let service = Service::start(&["--fault", "tos-markers"]);
    let run = Place::at(&service).run(&["run", "example", "--all", "--to", "tos://demo/x"]).ok();
    assert_eq!(run.stdout.lines().count(), 21_001);
}

#[test]
fn faults_that_pass_do_not_show_in_the_rows() {
    let service = Service::start(&[
        "--fault",
        "tos-cut=3",
        "--fault",
        "tos-503=2",
        "--fault",
        "vikingdb-503=0",
        "--fault",
        "create-lost=1",
    ]);
    let place = Place::at(&service);
    let run = place.run(&["run", "example", "--all", "--to", "tos://demo/x"]).ok();
    assert_eq!(run.stdout, example_rows());
    assert_eq!(
        place.run(&["list", "example"]).ok().stdout.lines().count(),
        1,
        "one task, whatever was lost"
    );
}

#[test]
fn a_filter_that_matches_nothing_is_no_rows_and_no_error() {
    let place = Place::new();
    let none = r#"[{"op":"must","field":"city","conds":["atlantis"]}]"#;
    let run =
        place.run(&["run", "example", "--filter", none, "--to", "tos://demo/x", "--embedded"]).ok();
    assert_eq!(run.stdout, "");
    assert!(run.stderr.contains("0 rows of 0 objects"), "{}", run.stderr);
}

#[test]
fn an_output_file_gets_its_name_at_the_end_and_is_not_replaced_unasked() {
    let place = Place::new();
    let arguments =
        ["run", "example", "--all", "--to", "tos://demo/x", "--embedded", "-o", "rows.jsonl"];
    let run = place.run(&[&arguments[..], &["--dir", "one"]].concat()).ok();
    assert_eq!(run.stdout, "");
    assert_eq!(std::fs::read_to_string(place.path("rows.jsonl")).unwrap(), example_rows());
    assert!(!place.path("rows.jsonl.part").exists());
    place.run(&[&arguments[..], &["--dir", "two"]].concat()).fails(2, &["rows.jsonl", "--force"]);
    assert!(!place.path("two").exists(), "refused before anything was done");
    place.run(&[&arguments[..], &["--dir", "two", "--force", "-n", "3"]].concat()).ok();
    assert_eq!(std::fs::read_to_string(place.path("rows.jsonl")).unwrap().lines().count(), 3);
}

#[test]
fn discard_removes_the_files_of_a_proven_run_only() {
    let place = Place::new();
    let arguments = ["run", "example", "--all", "--to", "tos://demo/x", "--embedded", "--discard"];
    place.run(&[&arguments[..], &["--dir", "whole"]].concat()).ok();
    let partial = [&arguments[..], &["--dir", "part", "-n", "5"]].concat();
    place.run(&partial).fails(2, &["--discard need all rows"]);
    assert!(!place.path("whole/0.parquet").exists());
    assert!(place.path("whole/receipt.json").exists());
    place.run(&[&arguments[..6], &["--dir", "part", "-n", "5"]].concat()).ok();
    let resumed = place.run(&["resume", "part", "--discard"]);
    resumed.fails(2, &["--discard need all rows"]);
    let receipt = std::fs::read_to_string(place.path("part/receipt.json")).unwrap();
    let receipt: Value = serde_json::from_str(&receipt).unwrap();
    assert_eq!(receipt["finished"], Value::Null);
    assert!(place.path("part/0.parquet").exists());
}

#[test]
fn rows_can_be_chosen_and_spelled() {
    let place = Place::new();
    let file = example().join("1.parquet");
    let file = file.to_str().unwrap();
    let cat = |arguments: &[&str]| place.run(&[&["cat", file][..], arguments].concat()).ok().stdout;
    assert_eq!(
        cat(&["-c", "city,id", "-n", "1"]),
        "{\"id\":9223372036854775807,\"city\":\"guangzhou\"}\n"
    );
    let string = cat(&["-c", "id", "-n", "2", "--int64", "string"]);
    assert_eq!(string, "{\"id\":\"9223372036854775807\"}\n{\"id\":\"1\"}\n");
    assert_eq!(cat(&["-c", "id", "--offset", "7010"]).lines().count(), 3);
    let row: Value =
        serde_json::from_str(&cat(&["-n", "1", "--vectors", "none", "--drop", "text"])).unwrap();
    assert!(row.get("vector").is_none() && row.get("text").is_none() && row.get("tags").is_some());
    let base64: Value = serde_json::from_str(&cat(&["-n", "1", "--vectors", "base64"])).unwrap();
    assert_eq!(base64["vector"].as_str().unwrap().len(), 88, "16 values of 4 bytes");
    let other: Value = serde_json::from_str(&cat(&["-n", "1", "--vectors", "base64be"])).unwrap();
    assert_eq!(other["vector"].as_str().unwrap().len(), 88);
    assert_ne!(other["vector"], base64["vector"], "the bytes of each value the other way round");
    let dropped: Value = serde_json::from_str(&cat(&["-n", "1", "--nulls", "drop"])).unwrap();
    assert!(dropped.get("score").is_none());
    assert!(cat(&["-c", "score", "-n", "10", "--nonfinite", "string"]).contains("\"NaN\""));
}

#[test]
fn stdin_is_read_as_a_file() {
    let place = Place::new();
    let file = std::fs::read(example().join("1.parquet")).unwrap();
    assert_eq!(
        place.run_with_input(&["cat", "-", "-c", "id"], &file).ok().stdout.lines().count(),
        7_013
    );
    assert_eq!(place.run_with_input(&["count", "-"], &file).ok().stdout, "7013\n");
    assert_eq!(place.run_with_input(&["cat", "-"], b"[{\"a\": 1}]").ok().stdout, "{\"a\":1}\n");
}

#[cfg(unix)]
#[test]
fn a_pipe_with_a_name_is_read_like_stdin() {
    let place = Place::new();
    let file = example().join("1.parquet");
    let script = format!("{} count <(cat {})", env!("CARGO_BIN_EXE_viking-export"), file.display());
    let mut shell = std::process::Command::new("bash");
    let output = shell.args(["-c", &script]).current_dir(place.folder.path()).output().unwrap();
    assert_eq!(String::from_utf8(output.stdout).unwrap(), "7013\n");
}

#[test]
fn an_embedded_run_in_the_same_folder_prints_what_has_landed() {
    let place = Place::new();
    let run = ["run", "example", "--all", "--to", "tos://demo/x", "--embedded", "--dir", "run"];
    place.run(&run).ok();
    assert_eq!(place.run(&run).ok().stdout, example_rows());
    assert_eq!(place.run(&["resume", "run"]).ok().stdout, example_rows());
    std::fs::remove_file(place.path("run/2.parquet")).unwrap();
    place.run(&["resume", "run"]).fails(2, &["embedded"]);
}
