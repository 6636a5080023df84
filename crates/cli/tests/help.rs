//! Help, completions, man pages and errors as they were agreed on.
//!
//! After a change on purpose: `INSTA_UPDATE=always cargo test --release --test cli help`.

use crate::program::{Place, example};

const VERBS: [&str; 19] = [
    "run",
    "resume",
    "submit",
    "wait",
    "status",
    "list",
    "confirm",
    "cancel",
    "fetch",
    "cat",
    "schema",
    "count",
    "clean",
    "verify",
    "doctor",
    "config",
    "completions",
    "man",
    "emulator",
];

/// The part of a verb's help that is its own, not that of every verb.
fn own_part(help: &str) -> &str {
    let end = help.find("\nOutput and logging:").unwrap_or(help.len());
    &help[..end]
}

#[test]
fn the_help_of_every_verb_is_as_agreed() {
    let place = Place::new();
    insta::assert_snapshot!("help_long", place.run(&["--help"]).ok().stdout);
    insta::assert_snapshot!("help_short", place.run(&["-h"]).ok().stdout);
    let mut all = String::new();
    for verb in VERBS {
        let (short, long) =
            (place.run(&[verb, "-h"]).ok().stdout, place.run(&[verb, "--help"]).ok().stdout);
        assert_eq!(long, place.run(&["help", verb]).ok().stdout, "{verb}");
        assert!(
            short.contains("\nOutput and logging:") && short.contains("\nService:"),
            "{verb}: flags go behind it too"
        );
        assert!(verb == "emulator" || long.starts_with("Examples:\n  "), "{verb}: {long}");
        assert!(!short.contains("Examples:"), "{verb}");
        all += &format!("== {verb}\n{}\n", own_part(&short));
    }
    insta::assert_snapshot!("help_of_verbs", all);
}

#[test]
fn no_verb_is_missing_here_and_none_is_guessed() {
    let place = Place::new();
    let help = place.run(&["-h"]).ok().stdout;
    let listed = help.lines().skip_while(|line| *line != "Commands:").skip(1);
    let listed = listed.take_while(|line| !line.is_empty());
    let mut listed: Vec<&str> = listed.filter_map(|line| line.split_whitespace().next()).collect();
    listed.retain(|verb| *verb != "help");
    assert_eq!(listed, VERBS);
    place.run(&["ru", "example"]).fails(2, &["unrecognized subcommand", "run"]);
    place.run(&["example"]).fails(2, &["unrecognized subcommand"]);
    place.run(&["cat", "x", "--colums", "id"]).fails(2, &["--columns"]);
    let none = place.run(&[]).fails(2, &["Usage: viking-export"]);
    assert_eq!((none.stdout.as_str(), none.stderr.contains("Examples:")), ("", false));
}

#[test]
fn every_short_flag_has_a_long_one() {
    let place = Place::new();
    for verb in VERBS {
        let help = place.run(&[verb, "-h"]).ok().stdout;
        for line in help.lines().filter(|line| line.trim_start().starts_with('-')) {
            assert!(line.contains("--"), "{verb}: {line}");
            // Whatever is typed can be read by everybody on the machine.
            let may_be_secret = ["secret", "token", "password", "access-key"];
            assert!(!may_be_secret.iter().any(|word| line.contains(word)), "{verb}: {line}");
        }
    }
}

#[test]
fn the_version_tells_the_commit_and_the_target() {
    let place = Place::new();
    let version = place.run(&["--version"]).ok().stdout;
    assert_eq!(version, place.run(&["-V"]).ok().stdout);
    let rest =
        version.strip_prefix(concat!("viking-export ", env!("CARGO_PKG_VERSION"), " (")).unwrap();
    let (commit, target) = rest.trim_end().strip_suffix(')').unwrap().split_once(", ").unwrap();
    assert!(commit == "release" || commit.bytes().all(|byte| byte.is_ascii_hexdigit()), "{commit}");
    assert!(target.contains(std::env::consts::ARCH), "{target}");
}

#[test]
fn completions_and_man_pages_come_from_the_same_definitions() {
    let place = Place::new();
    for shell in ["bash", "zsh", "fish", "powershell"] {
        let text = place.run(&["completions", shell]).ok().stdout;
        assert!(text.contains("part-size") && text.contains("resume"), "{shell}");
    }
    place.run(&["completions", "tcsh"]).fails(2, &["bash"]);
    let man = place.run(&["man"]).ok().stdout;
    assert!(man.contains(".TH viking-export 1"), "{}", &man[..200]);
    for verb in VERBS {
        let man = place.run(&["man", verb]).ok().stdout;
        assert!(man.contains(&format!(".TH viking-export-{verb} 1")), "{}", &man[..200]);
    }
    assert!(place.run(&["man", "run"]).ok().stdout.contains("part\\-size"));
    place.run(&["man", "nope"]).fails(2, &["nope", "doctor"]);
}

#[test]
fn errors_say_what_failed_why_and_what_to_do() {
    let place = Place::new();
    std::fs::create_dir(place.path("files")).unwrap();
    std::fs::copy(example().join("1.parquet"), place.path("files/1.parquet")).unwrap();
    let whole = std::fs::read(place.path("files/1.parquet")).unwrap();
    std::fs::write(place.path("cut.parquet"), &whole[..1_000]).unwrap();
    std::fs::write(place.path("text"), "neither this nor that").unwrap();
    std::fs::write(place.path("empty.parquet"), "").unwrap();
    let filter = r#"[{"op":"must_nor","field":"city","conds":["x"]}]"#;
    let run = ["run", "example", "--to", "tos://demo/x", "--embedded"];
    let cases: [&[&str]; 22] = [
        &["runn"],
        &["run", "example", "--all", "--to", "s3://demo/x", "--embedded"],
        &["run", "example", "--to", "tos://demo/x"],
        &["run", "example", "--all", "--filter", "[]", "--to", "tos://demo/x"],
        &[&run[..], &["--filter", filter]].concat(),
        &[&run[..], &["--filter", "[{"]].concat(),
        &[&run[..], &["--filter", "@missing.json"]].concat(),
        &[&run[..], &["--all", "--jobs", "0"]].concat(),
        &[&run[..], &["--all", "--part-size", "1KiB"]].concat(),
        &[&run[..], &["--all", "--timeout", "soon"]].concat(),
        &[&run[..], &["--all", "--format", "arrow", "--int64", "string"]].concat(),
        &["run", "example", "--all", "--to", "tos://demo/x"],
        &["list", "example", "--region", "mars", "--profile", "work"],
        &["cat", "missing"],
        &["cat", "files", "-c", "town"],
        &["cat", "cut.parquet"],
        &["cat", "text"],
        &["cat", "empty.parquet"],
        &["cat", "files/*.json"],
        &["resume", "missing"],
        &["verify", "files"],
        &["fetch", "--dir", "d"],
    ];
    let mut all = String::new();
    for arguments in cases {
        let ended = place.run(arguments);
        assert_eq!(ended.stdout, "", "{arguments:?}");
        all += &format!(
            "$ viking-export {}\n{}[exit {}]\n\n",
            arguments.join(" "),
            ended.stderr,
            ended.code.unwrap()
        );
    }
    insta::assert_snapshot!("errors", all);
}
