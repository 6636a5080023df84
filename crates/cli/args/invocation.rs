//! The command line of this process, with the user's settings file behind it.

use clap::error::ErrorKind;
use clap::parser::ValueSource;
use clap::{ArgMatches, FromArgMatches};
use viking_export::config::Service;

use super::settings::SettingsFile;
use super::typed::{innermost, is_typed};
use super::{Cli, Command};
use crate::ui::failure::Outcome;
use crate::ui::report::Report;

/// What was typed, read.
#[derive(Debug)]
pub(crate) struct Invocation {
    pub(crate) cli: Cli,
    pub(crate) settings: SettingsFile,
    matches: ArgMatches,
}

impl Invocation {
    /// Reads it by the definitions of `command`. What is wrong with it ends the program.
    pub(crate) fn read(command: clap::Command) -> Outcome<Self> {
        let settings = SettingsFile::load()?;
        let parsed = settings.apply(command).try_get_matches();
        let matches = parsed.unwrap_or_else(|error| {
            if let (ErrorKind::ValueValidation, Some(path)) =
                (error.kind(), settings.path_of_values())
            {
                let text =
                    format!("values that are not on the command line come from {}", path.display());
                Report::plain().hint(&text);
            }
            error.exit()
        });
        let cli = Cli::from_arg_matches(&matches).unwrap_or_else(|error| error.exit());
        Ok(Self { cli, settings, matches })
    }

    /// What was typed behind the last command, flags before it included.
    pub(crate) fn innermost(&self) -> &ArgMatches {
        innermost(&self.matches)
    }

    /// The services that were asked for.
    pub(crate) fn service(&self) -> Service {
        let matches = self.innermost();
        let is_from_file = matches.value_source("profile") == Some(ValueSource::DefaultValue);
        self.cli.service.service(|flag| is_typed(matches, flag), !is_from_file)
    }

    /// Whether the command has told already who else can read the file of keys.
    pub(crate) fn tells_of_key_file(&self) -> bool {
        matches!(self.cli.command, Command::Doctor(_))
    }
}
