//! The files of apache/parquet-testing: each is read, or refused by name.

use std::fmt::Write as _;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

use viking_reader::{Error, FileSource, Input, PrintOptions, Printer};

const FOLDER: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../fixtures/parquet-testing");

fn files(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "parquet") {
            found.push(path);
        }
    }
}

fn print(path: &Path, threads: usize) -> (Vec<u8>, Result<u64, Error>) {
    let options = PrintOptions::default().with_threads(threads.try_into().unwrap());
    let mut out = Vec::new();
    let mut printer = Printer::new(&mut out, options);
    let outcome = FileSource::open(path)
        .and_then(|source| {
            printer.print(&Input::new("f", source), &mut |_| ControlFlow::Continue(()))?;
            printer.finish()
        })
        .map(|progress| progress.rows);
    drop(printer);
    (out, outcome)
}

#[test]
fn each_file_is_read_or_refused_by_name() {
    let mut found = Vec::new();
    files(FOLDER.as_ref(), &mut found);
    found.sort();
    assert!(found.len() > 200, "{}", found.len());
    let mut told = String::new();
    for path in found {
        let name = path.strip_prefix(FOLDER).unwrap().display();
        let (text, outcome) = print(&path, 1);
        let (other, _) = print(&path, 8);
        assert!(text.starts_with(&other) || other.starts_with(&text), "{name}");
        for line in text.split_inclusive(|&byte| byte == b'\n') {
            assert!(serde_json::from_slice::<serde_json::Value>(line).is_ok(), "{name}");
        }
        match outcome {
            Ok(rows) => {
                writeln!(told, "{name}: {rows} rows, CRC-32 {:08x}", crc32fast::hash(&text))
            }
            Err(error) => writeln!(told, "{name}: {error}"),
        }
        .unwrap();
    }
    // What it is after a change is looked through before it is committed.
    let expected = Path::new(FOLDER).join("expected.txt");
    if option_env!("UPDATE_GOLDEN").is_some() {
        std::fs::write(&expected, &told).unwrap();
    }
    let expected = std::fs::read_to_string(expected).unwrap();
    for (told, expected) in told.lines().zip(expected.lines()) {
        assert_eq!(told, expected);
    }
    assert_eq!(told.lines().count(), expected.lines().count());
}
