//! Printing files that are not part of a run.

use std::sync::atomic::AtomicU64;

use super::file::{Output, RowOutput};
use super::print::{hint, print, warn_of_files, warn_of_times};
use crate::error::Result;
use crate::input::{Opening, Place};
use crate::record::RowOptions;
use crate::session::Session;

/// What was printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PrintSummary {
    /// Rows that the output took.
    pub rows: u64,
    /// The reader of the output went away, or the session was asked to stop.
    pub is_cut_short: bool,
}

impl Session {
    /// Prints the rows of places in their order. Blocks its thread; places of TOS need the runtime that they were
    /// found in.
    pub fn print(
        &self,
        places: &[Place],
        rows: &RowOptions,
        output: RowOutput,
    ) -> Result<PrintSummary> {
        let options = rows.print_options()?;
        let output = Output::open(output)?;
        let counted = AtomicU64::new(0);
        let ahead = places.iter().all(Place::is_local);
        let inputs = Opening::new(places, Some(&options));
        let mut printed = print(inputs, ahead, options.clone(), output, self.stop(), &counted)?;
        if !printed.is_cut_short {
            printed.output.finish(printed.rows)?;
        }
        self.tell_traffic(places);
        warn_of_files(&printed, self);
        hint(&printed, self);
        warn_of_times(&printed, self);
        Ok(PrintSummary { rows: printed.rows, is_cut_short: printed.is_cut_short })
    }
}
