//! What was typed, as opposed to what comes from the environment, a file or a default.

use clap::ArgMatches;
use clap::parser::ValueSource;

/// What was typed behind the last command, flags before it included.
pub(crate) fn innermost(matches: &ArgMatches) -> &ArgMatches {
    matches.subcommand().map_or(matches, |(_, inner)| innermost(inner))
}

/// What was typed for a flag. Not every command has every flag.
pub(crate) fn typed(matches: &ArgMatches, name: &str) -> Option<String> {
    let raw = is_typed(matches, name).then(|| matches.try_get_raw(name).ok().flatten()?.next());
    raw.flatten().map(|raw| raw.to_string_lossy().into_owned())
}

/// Whether a flag was typed.
pub(crate) fn is_typed(matches: &ArgMatches, name: &str) -> bool {
    let has = matches.try_contains_id(name).unwrap_or(false);
    has && matches.value_source(name) == Some(ValueSource::CommandLine)
}
