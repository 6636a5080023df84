//! Help, completions and man pages, all from the definitions in `args`.

use clap::CommandFactory;

use crate::args::{Cli, CompletionsArgs, ManArgs};
use crate::ui::answer::print_text;
use crate::ui::failure::{Exit, Failure, Outcome};

/// What a verb's help begins with.
const EXAMPLES: [(&str, &str); 18] = [
    (
        "run",
        "viking-export run docs --all --to tos://bucket/exports | jq .city\n  \
         viking-export run docs --filter @filter.json --to tos://bucket/exports -o rows.jsonl\n  \
         viking-export run example --all --to tos://demo/exports --embedded",
    ),
    ("resume", "viking-export resume docs-20261123T093000Z-3f9a -o rows.jsonl"),
    ("submit", "task=$(viking-export submit docs --all --to tos://bucket/exports)"),
    ("wait", "viking-export wait \"$task\" --timeout 90m"),
    ("status", "viking-export status \"$task\" --json | jq .state"),
    ("list", "viking-export list docs"),
    ("confirm", "viking-export confirm \"$task\" && viking-export wait \"$task\""),
    ("cancel", "viking-export cancel \"$task\" --dry-run"),
    (
        "fetch",
        "viking-export fetch tos://bucket/exports/docs-20261123T093000Z-3f9a --dir files\n  \
         viking-export fetch --task \"$task\" --dir files --jobs auto",
    ),
    (
        "cat",
        "viking-export cat files -c id,city -n 10\n  \
         viking-export cat 'files/*.parquet' --vectors base64 | jq .id\n  \
         viking-export cat tos://bucket/exports/docs-20261123T093000Z-3f9a -c id | head",
    ),
    ("schema", "viking-export schema files/0.parquet"),
    ("count", "viking-export count tos://bucket/exports/docs-20261123T093000Z-3f9a"),
    ("clean", "viking-export clean docs-20261123T093000Z-3f9a --dry-run"),
    ("verify", "viking-export verify docs-20261123T093000Z-3f9a"),
    ("doctor", "viking-export doctor docs --to tos://bucket/exports"),
    ("config", "viking-export config show"),
    (
        "completions",
        "viking-export completions bash > ~/.local/share/bash-completion/completions/viking-export",
    ),
    ("man", "viking-export man run | man -l -"),
];

/// The command line with the examples in its help.
pub(crate) fn command() -> clap::Command {
    EXAMPLES.into_iter().fold(Cli::command(), |command, (verb, examples)| {
        command
            .mut_subcommand(verb, |verb| verb.before_long_help(format!("Examples:\n  {examples}")))
    })
}

/// `completions`.
pub(crate) fn completions(args: &CompletionsArgs) -> Outcome<()> {
    let mut text = Vec::new();
    clap_complete::generate(args.shell, &mut command(), "viking-export", &mut text);
    print_text(&String::from_utf8_lossy(&text))
}

/// `man`: the page of the program, or of one of its verbs.
pub(crate) fn man(args: &ManArgs) -> Outcome<()> {
    let mut command = command();
    command.build();
    let page = match &args.verb {
        None => command,
        Some(verb) => verb_of(&command, verb)?.clone().name(format!("viking-export-{verb}")),
    };
    let mut text = Vec::new();
    clap_mangen::Man::new(page)
        .render(&mut text)
        .map_err(|error| Failure::new(Exit::Bug, error))?;
    print_text(&String::from_utf8_lossy(&text))
}

fn verb_of<'a>(command: &'a clap::Command, verb: &str) -> Outcome<&'a clap::Command> {
    command.find_subcommand(verb).ok_or_else(|| {
        let verbs: Vec<&str> = command.get_subcommands().map(clap::Command::get_name).collect();
        Failure::say(Exit::Usage, format!("there is no command {verb:?}"))
            .hint(format!("choose one of {}", verbs.join(", ")))
    })
}
