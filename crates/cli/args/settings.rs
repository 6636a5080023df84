//! The user's settings file, and where each setting comes from: flag, environment, file, default.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use clap::ArgMatches;
use etcetera::BaseStrategy;
use viking_export::config::environment::{is_blank, variable, without_bom};
use viking_export::viking_api::{Api, Site};

use super::typed::typed;
use crate::ui::failure::{Exit, Failure, Outcome};

/// A setting: its name in the file, which is that of its flag with `_`, its variable and its default.
struct Setting {
    name: &'static str,
    variable: &'static str,
    default: &'static str,
}

const fn setting(name: &'static str, variable: &'static str, default: &'static str) -> Setting {
    Setting { name, variable, default }
}

const SETTINGS: [Setting; 13] = [
    setting("site", "VIKING_EXPORT_SITE", ""),
    setting("region", "VOLCENGINE_REGION", ""),
    setting("endpoint", "VIKING_EXPORT_ENDPOINT", "the region's"),
    setting("api", "VIKING_EXPORT_API", ""),
    setting("project", "VIKING_EXPORT_PROJECT", "the account's default"),
    setting("profile", "VIKING_EXPORT_PROFILE", "none"),
    setting("tos_endpoint", "VIKING_EXPORT_TOS_ENDPOINT", "the region's"),
    setting("to", "VIKING_EXPORT_TO", "none"),
    setting("jobs", "VIKING_EXPORT_JOBS", "auto"),
    setting("memory", "VIKING_EXPORT_MEMORY", "64MiB"),
    setting("retry_for", "VIKING_EXPORT_RETRY_FOR", "5m"),
    setting("threads", "VIKING_EXPORT_THREADS", "all cores"),
    setting("progress", "VIKING_EXPORT_PROGRESS", "auto"),
];

/// What the user's file sets.
#[derive(Debug, Default)]
pub(crate) struct SettingsFile {
    path: PathBuf,
    values: BTreeMap<String, String>,
}

impl SettingsFile {
    /// Reads the file that `VIKING_EXPORT_CONFIG` names, or else `viking-export/config.toml` in the user's
    /// folder for settings, which may be missing.
    pub(crate) fn load() -> Outcome<Self> {
        let named = variable("VIKING_EXPORT_CONFIG").map(PathBuf::from);
        let Some(path) = named.clone().or_else(default_path) else { return Ok(Self::default()) };
        let bad =
            |problem: String| Failure::say(Exit::Usage, format!("{}: {problem}", path.display()));
        let text = read(&path)?;
        let Some(text) = text else {
            return match named {
                Some(_) => Err(Failure::say(
                    Exit::NotFound,
                    format!("{}, named by VIKING_EXPORT_CONFIG, is not there", path.display()),
                )),
                None => Ok(Self { path, ..Self::default() }),
            };
        };
        let table: toml::Table = text.parse().map_err(|error: toml::de::Error| {
            let line = error.span().map(|span| text[..span.start].lines().count().max(1));
            let line = line.map_or(String::new(), |line| format!("line {line}: "));
            bad(format!("{line}{}", error.message()))
        })?;
        let mut values = BTreeMap::new();
        for (name, value) in table {
            if SETTINGS.iter().all(|setting| setting.name != name) {
                let known: Vec<&str> = SETTINGS.iter().map(|setting| setting.name).collect();
                return Err(bad(format!("there is no setting {name:?}"))
                    .hint(format!("known are {}; keys are not kept here", known.join(", "))));
            }
            let text = match value {
                toml::Value::String(text) => text,
                toml::Value::Integer(number) => number.to_string(),
                _ => return Err(bad(format!("{name} must be a text or a number"))),
            };
            values.insert(name, text);
        }
        Ok(Self { path, values })
    }

    /// Where a value that was not typed may come from, if the file sets any.
    pub(crate) fn path_of_values(&self) -> Option<&Path> {
        (!self.values.is_empty()).then_some(&self.path)
    }

    /// The command line with the file's values as defaults: flags and variables go before them.
    pub(crate) fn apply(&self, command: clap::Command) -> clap::Command {
        let command = command.mut_args(|argument| {
            let is_blank = argument.get_env().and_then(OsStr::to_str).is_some_and(is_blank);
            // A variable that is set to nothing sets nothing.
            let argument = if is_blank { argument.env(None::<&str>) } else { argument };
            match self.values.get(argument.get_id().as_str()) {
                Some(value) => argument.default_value(value.clone()).required(false),
                None => argument,
            }
        });
        command.mut_subcommands(|command| self.apply(command))
    }
}

fn default_path() -> Option<PathBuf> {
    let folders = etcetera::choose_base_strategy().ok()?;
    Some(folders.config_dir().join("viking-export/config.toml"))
}

/// A file's text, or nothing if there is no such file.
fn read(path: &Path) -> Outcome<Option<String>> {
    match fs::read_to_string(path) {
        Ok(text) => Ok(Some(without_bom(&text).to_owned())),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => {
            let text = format!("cannot read {}", path.display());
            Err(Failure::new(Exit::Usage, anyhow::Error::new(error).context(text)))
        }
    }
}

/// A setting with its value, and where that comes from.
#[derive(Debug)]
pub(crate) struct Resolved {
    pub(crate) name: &'static str,
    pub(crate) value: String,
    pub(crate) origin: String,
}

impl SettingsFile {
    /// Where each setting comes from: flag, environment, file, default. Some defaults are those of the `site`.
    pub(crate) fn origins(&self, matches: &ArgMatches, site: Site) -> Vec<Resolved> {
        let default_of = |name: &str, default: &'static str| match (name, site.api()) {
            ("site", _) => site.name(),
            ("region", _) => site.region(),
            ("api", Api::V1) => "v1",
            ("api", Api::V2) => "v2",
            _ => default,
        };
        let origin = |Setting { name, variable: from, default }: &Setting| {
            let values = (typed(matches, name), variable(from), self.values.get(*name));
            let (value, origin) = match values {
                (Some(value), ..) => (value, "a flag".to_owned()),
                (None, Some(value), _) => (value, format!("the environment ({from})")),
                (None, None, Some(value)) => (value.clone(), self.path.display().to_string()),
                (None, None, None) => (default_of(name, default).to_owned(), "default".to_owned()),
            };
            // An address may come with a password, which is not taken, but not told either.
            let value = match value.rsplit_once('@') {
                Some((_, rest)) if name.ends_with("endpoint") => format!("…@{rest}"),
                _ => value,
            };
            Resolved { name, value, origin }
        };
        SETTINGS.iter().map(origin).collect()
    }
}
