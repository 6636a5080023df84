//! The values that flags take.

use std::num::{NonZeroU64, NonZeroUsize};
use std::time::Duration;

use bytesize::ByteSize;
use clap::ValueEnum;
use jiff::SignedDuration;
use serde::{Deserialize, Serialize};
use viking_fetch::Jobs;

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
