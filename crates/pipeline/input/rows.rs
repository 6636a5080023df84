//! Counting rows without printing them.

use std::ops::ControlFlow;

use viking_reader::{FileKind, Footer, Input, JsonExport};

use super::places::Place;
use crate::error::Result;

/// The rows of a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileCount {
    /// Its name in messages.
    pub name: String,
    /// Its rows.
    pub rows: u64,
    /// What its footer states for the whole file, where that is another number.
    pub other_total: Option<u64>,
}

impl FileCount {
    /// A file's rows: by its footer, or counted in a JSON export.
    pub(crate) fn of(input: &Input) -> Result<Self> {
        let name = input.name().to_owned();
        if FileKind::of(input)? != FileKind::Json {
            let footer = Footer::read(input)?;
            let other_total = footer.other_total();
            return Ok(Self { name, rows: footer.rows(), other_total });
        }
        let rows = JsonExport::new(input).for_each_row(|_| Ok(ControlFlow::Continue(())))?;
        Ok(Self { name, rows, other_total: None })
    }
}

/// The rows of each place. Blocks its thread.
pub fn count(places: &[Place]) -> impl Iterator<Item = Result<FileCount>> + '_ {
    Place::open_all(places).map(|input| FileCount::of(&input?))
}
