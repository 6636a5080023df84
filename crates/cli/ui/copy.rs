//! Commands that we print for the user to copy.

use std::path::Path;

use clap::ArgMatches;

use crate::args::{is_typed, typed};

/// Flags that say where and as whom to ask. What one command was told, the next one has to be told too.
const FLAGS: [&str; 8] =
    ["site", "region", "endpoint", "tos_endpoint", "api", "project", "resource_id", "profile"];

/// Writes commands to copy.
#[derive(Debug, Clone, Default)]
pub(crate) struct Commands {
    /// Flags that each of them repeats.
    typed: Vec<String>,
}

impl Commands {
    /// After what was typed.
    pub(crate) fn after(matches: &ArgMatches) -> Self {
        let mut words = Vec::new();
        for name in FLAGS {
            if let Some(value) = typed(matches, name) {
                words.extend([format!("--{}", name.replace('_', "-")), value]);
            }
        }
        if is_typed(matches, "allow_http") {
            words.push("--allow-http".to_owned());
        }
        Self { typed: words }
    }

    /// A command as it is typed in a shell.
    pub(crate) fn to_copy(&self, words: &[&str]) -> String {
        let words = words.iter().copied().chain(self.typed.iter().map(String::as_str));
        // What cannot be quoted has a zero byte, and could not be typed either.
        let quoted = words.map(|word| shlex::try_quote(word).unwrap_or(word.into()));
        quoted.fold("viking-export".to_owned(), |command, word| command + " " + &word)
    }
}

/// A path that is not taken for a flag.
pub(crate) fn path_to_copy(path: &Path) -> String {
    let text = path.display().to_string();
    if text.starts_with('-') && text != "-" { format!("./{text}") } else { text }
}
