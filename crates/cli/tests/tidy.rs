//! Rules about the code that lints cannot hold.

#![expect(clippy::unwrap_used, reason = "a test may fail where it stands")]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

const FILE_LINES_MAX: usize = 600;

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// All files of the project with this extension, without what is built.
fn files(extension: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut folders = vec![root().to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            let name = path.file_name().unwrap().to_str().unwrap();
            if path.is_dir() && name != "target" && !name.starts_with('.') {
                folders.push(path);
            } else if path.extension().is_some_and(|end| end == extension) {
                found.push(path);
            }
        }
    }
    assert!(!found.is_empty());
    found
}

/// Direct normal dependencies of each workspace package, by name.
fn dependencies() -> Vec<(String, Vec<String>)> {
    let output = Command::new(env!("CARGO"))
        .args(["metadata", "--format-version", "1", "--no-deps", "--offline"])
        .current_dir(root())
        .output()
        .unwrap();
    let metadata: Value = serde_json::from_slice(&output.stdout).unwrap();
    let packages = metadata["packages"].as_array().unwrap().iter();
    packages
        .map(|package| {
            let all = package["dependencies"].as_array().unwrap().iter();
            let normal = all.filter(|dependency| dependency["kind"].is_null());
            let names = normal.map(|dependency| dependency["name"].as_str().unwrap().to_owned());
            (package["name"].as_str().unwrap().to_owned(), names.collect())
        })
        .collect()
}

#[test]
fn dependencies_point_one_way() {
    let packages = dependencies();
    let of = |name: &str| {
        let found = packages.iter().find(|(package, _)| package == name);
        found.map(|(_, dependencies)| dependencies.clone()).unwrap()
    };
    assert_eq!(packages.len(), 6);
    let ours = ["viking-api", "viking-emulator", "viking-export", "viking-fetch", "viking-reader"];
    for library in
        ["viking-api", "viking-credentials", "viking-emulator", "viking-fetch", "viking-reader"]
    {
        for dependency in of(library) {
            assert!(!ours.contains(&dependency.as_str()), "{library} depends on {dependency}");
        }
    }
    let forbidden = |package: &str, words: &[&str]| {
        for dependency in of(package) {
            let is_forbidden = words.iter().any(|word| dependency.starts_with(word));
            assert!(!is_forbidden, "{package} depends on {dependency}");
        }
    };
    let program = ["anyhow", "clap", "indicatif"];
    forbidden("viking-reader", &["tokio", "reqwest", "object_store", "hyper", "futures", "rustls"]);
    forbidden("viking-fetch", &["arrow", "parquet"]);
    forbidden("viking-api", &["arrow", "parquet", "object_store"]);
    forbidden("viking-credentials", &["viking"]);
    for library in ["viking-api", "viking-fetch", "viking-reader"] {
        forbidden(library, &program);
    }
    for library in ["viking-api", "viking-fetch", "viking-reader"] {
        assert!(of("viking-export").contains(&library.to_owned()));
    }
}

#[test]
fn every_dependency_has_a_reason() {
    for manifest in files("toml") {
        let text = fs::read_to_string(&manifest).unwrap();
        let mut is_listed = false;
        for line in text.lines() {
            if line.starts_with('[') {
                is_listed = line == "[dependencies]" || line.starts_with("[target.");
            } else if is_listed && line.contains("workspace = true") && !line.starts_with("viking-")
            {
                assert!(line.contains('#'), "{}: {line}", manifest.display());
            }
        }
    }
}

#[test]
fn files_stay_short() {
    for path in files("rs") {
        let lines = fs::read_to_string(&path).unwrap().lines().count();
        assert!(lines <= FILE_LINES_MAX, "{} has {lines} lines", path.display());
    }
}

#[test]
fn modules_are_named_after_their_nouns() {
    for path in files("rs") {
        let stem = path.file_stem().unwrap().to_str().unwrap();
        assert!(
            !["util", "utils", "helper", "helpers", "common", "misc"].contains(&stem),
            "{}",
            path.display()
        );
    }
}

#[test]
fn the_exit_codes_of_the_readme_are_those_of_the_program() {
    let readme = fs::read_to_string(root().join("README.md")).unwrap();
    let (_, readme) = readme.split_once("### Exit codes").unwrap();
    let (readme, _) = readme.split_once("\n## ").unwrap();
    let help = fs::read_to_string(root().join("crates/cli/args/mod.rs")).unwrap();
    let (_, help) = help.split_once("Exit codes: ").unwrap();
    let (help, _) = help.split_once('"').unwrap();
    let code = fs::read_to_string(root().join("crates/cli/ui/failure.rs")).unwrap();
    let mut checked = 0;
    for line in code.lines().map(str::trim) {
        let Some((_, number)) = line.strip_prefix("Self::").and_then(|arm| arm.split_once(" => "))
        else {
            continue;
        };
        if let Ok(number) = number.trim_end_matches(',').parse::<u8>() {
            assert!(
                readme.contains(&format!("| {number} |")),
                "exit code {number} is not in the README"
            );
            let is_told = help.split([' ', 'n', '\\']).any(|word| word == number.to_string());
            assert!(is_told, "exit code {number} is not in the help");
            checked += 1;
        }
    }
    assert_eq!(checked, 11);
}

/// What is the program's own: the library under it neither reads a command line nor talks.
#[test]
fn the_pipeline_knows_neither_the_command_line_nor_stderr() {
    let pipeline = root().join("crates/pipeline");
    let files: Vec<PathBuf> =
        files("rs").into_iter().filter(|file| file.starts_with(&pipeline)).collect();
    assert!(files.len() > 30);
    for path in files {
        let text = fs::read_to_string(&path).unwrap();
        for word in
            ["clap::", "anyhow::", "indicatif::", "io::stderr", "io::stdout", "process::exit"]
        {
            assert!(!text.contains(word), "{} has {word}", path.display());
        }
        // A flag in a text, as in "use --force".
        let mut dashes = text.match_indices("--").map(|(at, _)| &text[at + 2..]);
        let names_flag = dashes.any(|rest| rest.starts_with(|c: char| c.is_ascii_lowercase()));
        assert!(!names_flag, "{} names a flag", path.display());
    }
}

#[test]
fn what_is_unfinished_is_not_called_done() {
    let unfinished = [
        concat!("FIX", "ME"),
        concat!("todo", "!"),
        concat!("unimplemented", "!"),
        concat!("#[ign", "ore"),
    ];
    for path in files("rs") {
        let text = fs::read_to_string(&path).unwrap();
        for word in unfinished {
            assert!(!text.contains(word), "{} has {word}", path.display());
        }
    }
}
