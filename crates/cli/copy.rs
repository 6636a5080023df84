//! Commands that we print for the user to copy.

use std::path::Path;
use std::sync::OnceLock;

use clap::ArgMatches;
use clap::parser::ValueSource;

/// Flags that say where and as whom to ask. What one command was told, the next one has to be told too.
const FLAGS: [&str; 7] =
    ["region", "endpoint", "tos_endpoint", "api", "project", "resource_id", "profile"];

static TYPED: OnceLock<Vec<String>> = OnceLock::new();

/// Keeps those of the typed flags that each command to copy repeats.
pub(crate) fn remember(matches: &ArgMatches) {
    let mut typed = Vec::new();
    for name in FLAGS {
        if let Some(value) = self::typed(matches, name) {
            typed.extend([format!("--{}", name.replace('_', "-")), value]);
        }
    }
    if is_typed(matches, "allow_http") {
        typed.push("--allow-http".to_owned());
    }
    // There is one command line in a process.
    TYPED.set(typed).unwrap_or(());
}

/// Whether this flag is one of those.
pub(crate) fn was_typed(flag: &str) -> bool {
    TYPED.get().is_some_and(|typed| typed.iter().any(|word| word == flag))
}

/// What was typed for a flag. Not every verb has every flag.
pub(crate) fn typed(matches: &ArgMatches, name: &str) -> Option<String> {
    let raw = is_typed(matches, name).then(|| matches.try_get_raw(name).ok().flatten()?.next());
    raw.flatten().map(|raw| raw.to_string_lossy().into_owned())
}

fn is_typed(matches: &ArgMatches, name: &str) -> bool {
    let has = matches.try_contains_id(name).unwrap_or(false);
    has && matches.value_source(name) == Some(ValueSource::CommandLine)
}

/// A path that is not taken for a flag.
pub(crate) fn path_to_copy(path: &Path) -> String {
    let text = path.display().to_string();
    if text.starts_with('-') && text != "-" { format!("./{text}") } else { text }
}

/// A command as it is typed in a shell.
pub(crate) fn to_copy(words: &[&str]) -> String {
    let typed = TYPED.get().map(Vec::as_slice).unwrap_or_default();
    let words = words.iter().copied().chain(typed.iter().map(String::as_str));
    // What cannot be quoted has a zero byte, and could not be typed either.
    let quoted = words.map(|word| shlex::try_quote(word).unwrap_or(word.into()));
    quoted.fold("viking-export".to_owned(), |command, word| command + " " + &word)
}
