//! The user's environment. clap reads its part of it for `args.rs`; the rest is read here and nowhere else.

/// A variable that is set to something.
#[expect(clippy::disallowed_methods, reason = "the one place that reads the environment")]
pub(crate) fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.trim().is_empty())
}

/// Whether a variable is there, but set to nothing.
#[expect(clippy::disallowed_methods, reason = "the one place that reads the environment")]
pub(crate) fn is_blank(name: &str) -> bool {
    std::env::var_os(name).is_some_and(|value| value.to_string_lossy().trim().is_empty())
}
