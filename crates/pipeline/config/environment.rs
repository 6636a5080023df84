//! The user's environment. What is not read as the default of a flag is read here and nowhere else.

/// A variable that is set to something, without white space around it: files of variables with line ends of
/// other systems leave some there.
#[expect(clippy::disallowed_methods, reason = "the one place that reads the environment")]
pub fn variable(name: &str) -> Option<String> {
    let value = std::env::var(name).ok()?;
    let value = value.trim();
    (!value.is_empty()).then(|| value.to_owned())
}

/// Whether a variable is there, but set to nothing.
#[expect(clippy::disallowed_methods, reason = "the one place that reads the environment")]
pub fn is_blank(name: &str) -> bool {
    std::env::var_os(name).is_some_and(|value| value.to_string_lossy().trim().is_empty())
}

/// The proxy that requests to other machines go through: its variable, and its address without what may be a
/// password.
pub fn proxy() -> Option<(&'static str, String)> {
    let names =
        ["HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy", "HTTP_PROXY", "http_proxy"];
    let (name, value) = names.iter().find_map(|name| variable(name).map(|value| (*name, value)))?;
    let address = value.rsplit('@').next().unwrap_or_default().trim_end_matches('/');
    Some((name, address.to_owned()))
}

/// A text of a file, without the mark that some editors put before it.
pub fn without_bom(text: &str) -> &str {
    text.strip_prefix('\u{feff}').unwrap_or(text)
}
