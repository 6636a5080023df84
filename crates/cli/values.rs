//! The values that flags take.

use std::ffi::OsStr;
use std::num::{NonZeroU64, NonZeroUsize};
use std::str::FromStr;
use std::time::Duration;

use bytesize::ByteSize;
use clap::builder::{EnumValueParser, PossibleValue, StringValueParser, TypedValueParser};
use clap::error::ErrorKind;
use clap::{Arg, ValueEnum};
use jiff::SignedDuration;
use serde::{Deserialize, Serialize};
use viking_fetch::Jobs;

/// Parses a value that may come from a file or the environment: white space around it is dropped, and control
/// characters inside are refused.
#[derive(Debug, Clone)]
pub(crate) struct Trimmed<P>(pub(crate) P);

impl<P: TypedValueParser> TypedValueParser for Trimmed<P> {
    type Value = P::Value;

    fn parse_ref(
        &self,
        command: &clap::Command,
        argument: Option<&Arg>,
        value: &OsStr,
    ) -> Result<P::Value, clap::Error> {
        let Some(text) = value.to_str().map(str::trim) else {
            return self.0.parse_ref(command, argument, value);
        };
        if !text.chars().any(char::is_control) {
            return self.0.parse_ref(command, argument, OsStr::new(text));
        }
        let flag = argument.and_then(Arg::get_long).unwrap_or_default();
        let variable = argument.and_then(Arg::get_env).and_then(OsStr::to_str);
        let variable = variable.map_or(String::new(), |name| format!(" ({name})"));
        let text = format!("the value {text:?} of --{flag}{variable} has a control character\n");
        Err(clap::Error::raw(ErrorKind::ValueValidation, text).with_cmd(command))
    }

    fn possible_values(&self) -> Option<Box<dyn Iterator<Item = PossibleValue> + '_>> {
        self.0.possible_values()
    }
}

/// A text on one line.
pub(crate) fn text() -> Trimmed<StringValueParser> {
    Trimmed(StringValueParser::new())
}

/// One of a few words.
pub(crate) fn word<T: ValueEnum + Clone + Send + Sync + 'static>() -> Trimmed<EnumValueParser<T>> {
    Trimmed(EnumValueParser::new())
}

/// What its type says how to read.
pub(crate) fn parsed<T: FromStr<Err: std::fmt::Display>>(text: &str) -> Result<T, String> {
    text.parse().map_err(|error: T::Err| error.to_string())
}

macro_rules! value_enum {
    ($name:ident, $default:ident $(, $other:ident)+) => {
        #[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum, Serialize, Deserialize)]
        #[serde(rename_all = "lowercase")]
        pub(crate) enum $name {
            #[default]
            $default,
            $($other,)+
        }
    };
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum ProgressForm {
    /// A bar on a terminal, plain lines elsewhere
    Auto,
    Bar,
    Plain,
    Json,
    None,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum When {
    Auto,
    Always,
    Never,
}

value_enum!(ApiArg, V1, V2);
value_enum!(VerifyArg, Normal, Full);

/// Beyond this many parts at once services refuse and nothing gets faster.
const JOBS_MAX: usize = 256;

pub(crate) fn jobs(text: &str) -> Result<Jobs, String> {
    if text == "auto" {
        return Ok(Jobs::Auto);
    }
    let number = text.parse().ok().filter(|jobs: &NonZeroUsize| jobs.get() <= JOBS_MAX);
    number
        .map(Jobs::Fixed)
        .ok_or_else(|| format!("it must be a number from 1 to {JOBS_MAX}, or auto"))
}

pub(crate) fn size(text: &str) -> Result<NonZeroU64, String> {
    let size: ByteSize = text.parse()?;
    NonZeroU64::new(size.as_u64()).ok_or_else(|| "it must be more than nothing".to_owned())
}

pub(crate) fn time(text: &str) -> Result<Duration, String> {
    let time = text.parse().ok().and_then(|time: SignedDuration| Duration::try_from(time).ok());
    let time = time.filter(|time| !time.is_zero());
    time.ok_or_else(|| "it must be a time such as 90s, 15m or 2h".to_owned())
}

/// Parts below a mebibyte would be mostly requests.
pub(crate) fn part_size(text: &str) -> Result<NonZeroU64, String> {
    let size = size(text)?;
    if size.get() >= 1 << 20 { Ok(size) } else { Err("it must be 1MiB or more".to_owned()) }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum FileTypeArg {
    Json,
    Parquet,
}

value_enum!(Format, Jsonl, Json, Arrow);
value_enum!(Vectors, Array, Base64, None);
value_enum!(NumberOrString, Number, String);
value_enum!(NonFiniteArg, Null, String, Error);
value_enum!(BinaryArg, Base64, Hex, Utf8);
value_enum!(NullsArg, Keep, Drop);
