//! The order in which names get to the disk. A small library is loaded before the program and notes each call
//! that flushes, renames or removes.

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use crate::program::{Place, Service, Tos, example, example_rows};

const NOTING: &str = r#"
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static void note(const char *what, const char *name) {
    char line[2 * PATH_MAX];
    int file = open(getenv("NOTES"), O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0600);
    int length = snprintf(line, sizeof line, "%s %s\n", what, name);
    if (write(file, line, length) != length) abort();
    close(file);
}

static void note_open(const char *what, int file) {
    char link[64], name[PATH_MAX];
    snprintf(link, sizeof link, "/proc/self/fd/%d", file);
    ssize_t length = readlink(link, name, sizeof name - 1);
    if (length < 0) return;
    name[length] = 0;
    note(what, name);
}

int fsync(int file) {
    int (*real)(int) = dlsym(RTLD_NEXT, "fsync");
    int done = real(file);
    note_open("flush", file);
    return done;
}

int fdatasync(int file) {
    int (*real)(int) = dlsym(RTLD_NEXT, "fdatasync");
    int done = real(file);
    note_open("flush", file);
    return done;
}

int rename(const char *from, const char *to) {
    int (*real)(const char *, const char *) = dlsym(RTLD_NEXT, "rename");
    int done = real(from, to);
    note("rename", to);
    return done;
}

int mkdir(const char *name, mode_t mode) {
    int (*real)(const char *, mode_t) = dlsym(RTLD_NEXT, "mkdir");
    int done = real(name, mode);
    if (done == 0) note("mkdir", name);
    return done;
}

int unlink(const char *name) {
    int (*real)(const char *) = dlsym(RTLD_NEXT, "unlink");
    note("unlink", name);
    return real(name);
}
"#;

/// What a command did to the disk, in its order.
fn notes_of(place: &Place, arguments: &[&str]) -> Vec<String> {
    let library = place.path("noting.so");
    if !library.exists() {
        fs::write(place.path("noting.c"), NOTING).unwrap();
        let mut compile = Command::new("cc");
        compile.args(["-shared", "-fPIC", "-O1", "-o"]).arg(&library);
        let compiled = compile.arg(place.path("noting.c")).arg("-ldl").output().unwrap();
        assert!(compiled.status.success(), "{}", String::from_utf8_lossy(&compiled.stderr));
    }
    let notes = place.path("notes");
    drop(fs::remove_file(&notes));
    let mut command = place.command(arguments);
    let output = command.env("LD_PRELOAD", &library).env("NOTES", &notes).output().unwrap();
    crate::program::Ended::from(output).ok();
    let notes = fs::read_to_string(notes).unwrap();
    notes.lines().map(str::to_owned).collect()
}

/// Whether the name was given, and then the folder that holds it flushed, before anything else that matters.
fn is_durable_before(notes: &[String], name: &str, folder: &str, then: &str) -> bool {
    let rename = notes.iter().position(|note| *note == format!("rename {name}")).unwrap();
    let flush = notes[rename..].iter().position(|note| *note == format!("flush {folder}"));
    let then = notes.iter().position(|note| note.starts_with(then));
    flush.is_some_and(|flush| then.is_none_or(|then| rename + flush < then))
}

/// Every name that is given, and every folder that is made, is flushed along with what holds it.
fn all_are_flushed(notes: &[String], folder: &str) {
    for (place, note) in notes.iter().enumerate() {
        let Some((what @ ("rename" | "mkdir"), name)) = note.split_once(' ') else { continue };
        // Journals are compared with the bytes they speak of, and need not survive.
        if name.contains(".journal") {
            continue;
        }
        let name = PathBuf::from(folder).join(name);
        let parent = name.parent().unwrap().display().to_string();
        let parent = parent.trim_end_matches("/.");
        let after = &notes[place..];
        let is_flushed = after.iter().any(|note| *note == format!("flush {parent}"));
        assert!(is_flushed, "{what} {} is not flushed: {notes:#?}", name.display());
    }
}

#[test]
fn nothing_is_deleted_before_what_replaces_it_survives_a_power_cut() {
    let (_service, place) = Service::with_faults(&[]);
    let folder = place.folder.path().canonicalize().unwrap().display().to_string();
    let run = ["run", "example", "--all", "--to", "tos://demo/x", "--dir", "a/b/run"];
    let output = ["-o", "rows.jsonl", "--clean", "--discard"];
    let notes = notes_of(&place, &[&run[..], &output].concat());
    let data = format!("unlink {folder}/a/b/run/0.parquet");
    let data = if notes.contains(&data) { data } else { "unlink a/b/run/0.parquet".to_owned() };
    assert!(notes.contains(&data), "{notes:#?}");
    assert!(is_durable_before(&notes, "rows.jsonl", &folder, &data), "{notes:#?}");
    let receipts: Vec<_> =
        notes.iter().filter(|note| note.ends_with("a/b/run/receipt.json")).collect();
    assert!(receipts.len() >= 3, "{notes:#?}");
    all_are_flushed(&notes, &folder);
    assert!(fs::read_to_string(place.path("rows.jsonl")).unwrap() == example_rows());
}

#[test]
fn landed_files_checkpoints_and_outputs_of_cat_are_durable() {
    let tos = Tos::serving(example().parent().unwrap(), &["tos-slow=500"]);
    let place = tos.place();
    let folder = place.folder.path().canonicalize().unwrap().display().to_string();
    let run = ["run", "example", "--all", "--to", "tos://demo/x", "--dir", "run", "--jobs", "1"];
    let notes = notes_of(&place, &[&run[..], &["-o", "rows.jsonl"]].concat());
    for name in ["run/0.parquet", "run/.printed.json", "run/receipt.json"] {
        let holder = format!("{folder}/run");
        assert!(is_durable_before(&notes, name, &holder, "nothing"), "{name}: {notes:#?}");
    }
    all_are_flushed(&notes, &folder);
    let notes = notes_of(&place, &["cat", "run", "-o", "again.jsonl"]);
    assert!(is_durable_before(&notes, "again.jsonl", &folder, "nothing"), "{notes:#?}");
}
