//! What standard streams, links and limits do to the rows.

use std::fs;
use std::os::unix::fs::symlink;
use std::process::Command;

use crate::program::{Ended, Place, Service, example, example_rows};

/// Runs a command in a shell, where `$ve` is the program.
fn shell(place: &Place, script: &str) -> Ended {
    let as_program = place.command(&[]);
    let mut command = Command::new("bash");
    command.args(["-c", script]).current_dir(place.folder.path()).env_clear();
    for (name, value) in as_program.get_envs() {
        command.env(name, value.unwrap_or_default());
    }
    command.env("ve", env!("CARGO_BIN_EXE_viking-export"));
    command.output().unwrap().into()
}

const RUN: &str = "$ve run example --all --to tos://demo/x";

#[test]
fn rows_for_a_closed_stdout_are_exit_9_and_no_task_is_made() {
    let (_service, place) = Service::with_faults(&[]);
    for closed in [">&-", "<&- >&- ", "<&- >&- 2>/dev/null"] {
        let ended = shell(&place, &format!("{RUN} --dir run {closed}"));
        assert_eq!(ended.code, Some(9), "{closed}: {}", ended.stderr);
        let ended = shell(&place, &format!("$ve submit example --all --to tos://demo/x {closed}"));
        assert_eq!(ended.code, Some(9), "{closed}: {}", ended.stderr);
    }
    assert_eq!(place.run(&["list", "example"]).ok().stdout, "", "no task");
    // Rows that go to a file need no stdout.
    shell(&place, &format!("{RUN} --dir run -o rows.jsonl <&- >&- 2>&-")).ok();
    assert!(fs::read_to_string(place.path("rows.jsonl")).unwrap() == example_rows());
    for (verb, code) in [("cat run >&-", 9), ("cat run >/dev/full", 9), ("cat run 1</dev/null", 9)]
    {
        assert_eq!(shell(&place, &format!("$ve {verb}")).code, Some(code), "{verb}");
    }
    for (verb, code) in
        [("count run >&-", 9), ("count run >/dev/full", 9), ("count run 1</dev/null", 9)]
    {
        assert_eq!(shell(&place, &format!("$ve {verb}")).code, Some(code), "{verb}");
    }
    for fine in ["cat run >/dev/null", "count run >/dev/null", "cat run -n 1 | true"] {
        shell(&place, &format!("$ve {fine}")).ok();
    }
}

/// The run has its folder then, and prints its rows elsewhere later.
#[test]
fn a_run_whose_stdout_is_closed_is_resumed() {
    let (_service, place) = Service::with_faults(&[]);
    shell(&place, &format!("{RUN} --dir run >&-")).fails(9, &["stdout is closed", "-o"]);
    place.run(&["verify", "run"]).fails(8, &["lists no objects yet"]);
    assert_eq!(place.run(&["list", "example"]).ok().stdout, "", "before a task is made");
    assert!(place.run(&["resume", "run"]).ok().stdout == example_rows());
}

#[test]
fn a_reader_of_stderr_that_leaves_ends_nothing() {
    let (_service, place) = Service::with_faults(&[]);
    let script =
        format!("set -o pipefail; {{ {RUN} --dir run -vv 2>&1 >rows.jsonl; }} | head -n 1");
    let ended = shell(&place, &script).ok();
    assert_eq!(ended.stdout.lines().count(), 1);
    assert!(fs::read_to_string(place.path("rows.jsonl")).unwrap() == example_rows());
}

#[test]
fn a_limit_of_the_size_of_files_is_exit_9_and_gone_on_with() {
    let (_service, place) = Service::with_faults(&[]);
    // In blocks of 1,024 bytes: the objects fit, the rows do not.
    let limited = format!("ulimit -f 2000; {RUN} --dir run -o rows.jsonl");
    let ended = shell(&place, &limited).fails(9, &["resume run"]);
    assert!(ended.stderr.contains("File too large"), "{}", ended.stderr);
    place.run(&["resume", "run", "-o", "rows.jsonl"]).ok();
    assert!(fs::read_to_string(place.path("rows.jsonl")).unwrap() == example_rows());
    // Nor do the objects.
    let limited = "ulimit -f 100; $ve fetch tos://demo/x --dir files";
    shell(&place, limited).fails(9, &["File too large", "fetch tos://demo/x"]);
    place.run(&["fetch", "tos://demo/x", "--dir", "files"]).ok();
}

#[test]
fn an_output_behind_a_link_is_written_where_the_link_leads() {
    let (_service, place) = Service::with_faults(&[]);
    fs::create_dir(place.path("elsewhere")).unwrap();
    fs::write(place.path("elsewhere/rows.jsonl"), "old\n").unwrap();
    symlink("elsewhere/rows.jsonl", place.path("link")).unwrap();
    symlink("nowhere/rows.jsonl", place.path("dangling")).unwrap();
    let files = example();
    let files = files.to_str().unwrap();
    let run = |dir: &str, output: &str, force: bool| {
        let mut words =
            vec!["run", "example", "--all", "--to", "tos://demo/x", "--dir", dir, "-o", output];
        words.extend(force.then_some("--force"));
        place.run(&words)
    };
    run("a", "link", false).fails(2, &["already exists"]);
    place.run(&["cat", files, "-o", "link"]).fails(2, &["already exists"]);
    for force in [false, true] {
        run("a", "dangling", force).fails(2, &["dangling"]);
    }
    assert_eq!(place.run(&["list", "example"]).ok().stdout, "", "said before a task is made");
    assert_eq!(fs::read_to_string(place.path("elsewhere/rows.jsonl")).unwrap(), "old\n");
    run("a", "link", true).ok();
    assert!(place.path("link").is_symlink());
    assert!(fs::read_to_string(place.path("elsewhere/rows.jsonl")).unwrap() == example_rows());
    place.run(&["cat", files, "-o", "link", "--force", "-n", "1"]).ok();
    assert!(place.path("link").is_symlink());
    assert_eq!(fs::read_to_string(place.path("elsewhere/rows.jsonl")).unwrap().lines().count(), 1);
}

#[test]
fn names_of_columns_do_not_reach_a_terminal_raw() {
    let place = Place::new();
    fs::write(place.path("rows.json"), "{\"a\u{7f}\":1}\n").unwrap();
    let odd = "missing\u{1b}(B.parquet";
    let ended = place.run(&["cat", odd]).fails(4, &["missing\\u001b(B.parquet"]);
    assert!(!ended.stderr.contains('\u{1b}'), "{}", ended.stderr);
    let json = place.run(&["cat", "missing\u{9b}2J.parquet", "--progress", "json"]).fails(4, &[]);
    assert!(json.stderr.contains("missing\\u009b2J.parquet"), "{}", json.stderr);
}

#[test]
fn white_space_around_settings_is_dropped_and_controls_inside_are_refused_by_name() {
    let (service, plain) = Service::with_faults(&[]);
    plain.run(&["list", "example"]).ok();
    for tail in ["\r", " ", "\n", "\t\r\n"] {
        let mut place = Place::new();
        let values = [
            ("VOLCENGINE_ACCESS_KEY", service.text("access_key")),
            ("VOLCENGINE_SECRET_KEY", service.text("secret_key")),
            ("VOLCENGINE_REGION", "cn-beijing"),
            ("VIKING_EXPORT_ENDPOINT", service.text("vikingdb")),
            ("VIKING_EXPORT_TOS_ENDPOINT", service.text("tos")),
            ("VIKING_EXPORT_API", "v1"),
            ("VIKING_EXPORT_TO", "tos://demo/x"),
            ("VIKING_EXPORT_JOBS", "16"),
            ("VIKING_EXPORT_MEMORY", "32MiB"),
            ("VIKING_EXPORT_THREADS", "16"),
            ("VIKING_EXPORT_PROGRESS", "plain"),
            ("VIKING_EXPORT_RETRY_FOR", "3s"),
        ];
        for (name, value) in values {
            place.set(name, &format!(" {value}{tail}"));
        }
        let rows = place.run(&["run", "example", "--all", "--dir", "run"]).ok().stdout;
        assert!(rows == example_rows(), "{tail:?}");
        let receipt = fs::read_to_string(place.path("run/receipt.json")).unwrap();
        assert!(!receipt.contains("\\r") && !receipt.contains("\\n"), "{receipt}");
        for (name, value) in values {
            let mut place = Place::at(&service);
            place.set("VIKING_EXPORT_TO", "tos://demo/x");
            let (start, end) = value.split_at(1);
            place.set(name, &format!("{start}\n{end}"));
            let ended = place.run(&["run", "example", "--all", "--dir", "run"]);
            assert_eq!(ended.code, Some(2), "{name}: {}", ended.stderr);
            assert!(ended.stderr.contains(name), "{name}: {}", ended.stderr);
            assert!(!place.path("run").exists(), "{name}");
        }
    }
}

#[test]
fn a_byte_order_mark_is_borne_in_every_file() {
    let (service, mut place) = Service::with_faults(&[]);
    let keys = format!(
        "\u{feff}{{\"current\":\"p\",\"profiles\":{{\"p\":{{\"access-key\":\"{}\",\"secret-key\":\"{}\\r\"}}}}}}",
        service.text("access_key"),
        service.text("secret_key")
    );
    place.set("VOLCENGINE_ACCESS_KEY", "");
    place.set("VOLCENGINE_SECRET_KEY", "");
    fs::create_dir(place.path(".volcengine")).unwrap();
    fs::write(place.path(".volcengine/config.json"), keys).unwrap();
    fs::write(place.path("settings.toml"), "\u{feff}region = \"cn-beijing\"\r\n").unwrap();
    place.set("VIKING_EXPORT_CONFIG", "settings.toml");
    let filter = "\u{feff}[{\"op\":\"must\",\"field\":\"city\",\"conds\":[\"beijing\"]}]\r\n";
    fs::write(place.path("filter.json"), filter).unwrap();
    let run = ["run", "example", "--filter", "@filter.json", "--to", "tos://demo/x"];
    let ended = place.run(&run).ok();
    assert!(ended.stdout.lines().count() > 100);
    // The file is open to others, and the keys of TOS come from elsewhere.
    place.set("TOS_ACCESS_KEY", service.text("access_key"));
    place.set("TOS_SECRET_KEY", service.text("secret_key"));
    let ended = place.run(&run).ok();
    assert!(ended.stderr.contains("can be read by others"), "{}", ended.stderr);
    fs::remove_dir_all(place.path(".volcengine")).unwrap();
}
