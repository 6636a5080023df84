//! The values that flags take.

use std::ffi::OsStr;
use std::num::NonZeroU64;
use std::str::FromStr;
use std::time::Duration;

use bytesize::ByteSize;
use clap::builder::{EnumValueParser, PossibleValue, StringValueParser, TypedValueParser};
use clap::error::ErrorKind;
use clap::{Arg, ValueEnum};
use jiff::SignedDuration;
use viking_export::record::{Floats, Vectors};
use viking_export::viking_api::{Api, FileType, Site};
use viking_export::viking_fetch::Jobs;
use viking_export::viking_reader::{
    BinaryForm, DecimalForm, Int64Form, NonFinite, Nulls, PrintFormat,
};

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

/// The words of a flag, and what each is to the library.
macro_rules! words {
    ($name:ident => $($type:ty { $($word:ident => $value:ident),+ }),+; $($all:ident),+) => {
        #[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
        pub(crate) enum $name {
            $($all,)+
        }

        $(
            impl From<$name> for $type {
                fn from(word: $name) -> Self {
                    match word {
                        $($name::$word => Self::$value,)+
                    }
                }
            }
        )+
    };
}

words!(ApiArg => Api { V1 => V1, V2 => V2 }; V1, V2);
words!(SiteArg => Site { Volcengine => Volcengine, Byteplus => BytePlus }; Volcengine, Byteplus);
words!(FileTypeArg => FileType { Json => Json, Parquet => Parquet }; Json, Parquet);
words!(Format => PrintFormat { Jsonl => JsonLines, Json => JsonArray, Arrow => ArrowStream }; Jsonl, Json, Arrow);
words!(
    VectorsArg =>
    Vectors { Array => Array, List => List, Base64 => Base64, Base64be => Base64Be, None => None };
    Array, List, Base64, Base64be, None
);
words!(FloatsArg => Floats { Stored => Stored, F32 => F32 }; Stored, F32);
words!(
    NumberOrString =>
    Int64Form { Number => Number, String => String },
    DecimalForm { Number => Number, String => String };
    Number, String
);
words!(NonFiniteArg => NonFinite { Null => Null, String => String, Error => Error }; Null, String, Error);
words!(BinaryArg => BinaryForm { Base64 => Base64, Hex => Hex, Utf8 => Utf8 }; Base64, Hex, Utf8);
words!(NullsArg => Nulls { Keep => Keep, Drop => Drop }; Keep, Drop);

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum VerifyArg {
    Normal,
    Full,
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

pub(crate) fn jobs(text: &str) -> Result<Jobs, String> {
    if text == "auto" {
        return Ok(Jobs::AUTO);
    }
    let jobs = text.parse().ok().and_then(Jobs::new);
    jobs.ok_or_else(|| format!("it must be a number from 1 to {}, or auto", Jobs::MAX))
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
