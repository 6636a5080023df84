//! Reads the files of a VikingDB export, Parquet or JSON, as Arrow record batches or JSON Lines.
//!
//! - [`BatchReader`] is an iterator of Arrow record batches of exactly 100 rows; only the last
//!   batch of a file may be shorter, whatever the sizes of the file's row groups.
//!   [`BatchReader::into_record_batches`] makes an `arrow_array::RecordBatchReader` of it.
//! - [`drive`] pushes the same batches into a [`BatchSink`]; [`FnSink`] wraps a closure and
//!   [`JsonLinesSink`] any [`std::io::Write`].
//! - [`JsonLines`] turns one batch into JSON Lines in a byte buffer; [`contract`] says how each value
//!   is printed.
//! - [`Printer`] prints many files, Parquet and JSON exports alike, as one ordered stream with
//!   a limit, an offset and a choice of columns: on all cores, within a memory budget, as JSON Lines,
//!   one JSON array or an Arrow IPC stream.
//!
//! Each of them has an example that runs.
//!
//! The crate is synchronous. It reads through the small [`Source`] trait, which files and
//! [`bytes::Bytes`] implement, and knows no network. It never prints, exits or reads the
//! environment. Damaged files become errors, panics inside the Parquet decoder included: the
//! first use installs a panic hook that stays silent for those and hands every other panic to
//! the hook that was there before.
//!
//! ```
//! use std::ops::ControlFlow;
//! use viking_reader::{BatchReader, FnSink, ReadOptions, drive};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../fixtures/collections/example/1.parquet");
//! let reader = BatchReader::open(path.as_ref(), &ReadOptions::default())?;
//! let mut rows = 0;
//! let mut sink = FnSink(|batch: &arrow_array::RecordBatch| {
//!     rows += batch.num_rows();
//!     ControlFlow::Continue(())
//! });
//! let summary = drive(reader, &mut sink)?;
//! assert_eq!(summary.rows, rows as u64);
//! # Ok(())
//! # }
//! ```

mod ahead;
mod batch;
mod bounds;
mod codec;
mod compare;
pub mod contract;
mod decoder;
mod delta;
mod error;
mod footer;
#[cfg(any(test, fuzzing))]
#[doc(hidden)]
pub mod fuzzing;
mod guard;
mod ipc;
mod json;
mod jsonl;
mod lanes;
mod leaf;
mod levels;
mod locate;
mod memory;
mod names;
mod options;
mod page;
mod pages;
mod parallel;
mod part;
mod print;
mod reading;
mod row_groups;
mod schema;
mod sink;
mod source;
mod thrift;
mod times;
#[cfg(feature = "trace")]
pub mod trace;
#[cfg(not(feature = "trace"))]
mod trace;
mod vectors;
mod write;

// Depended on for its `std` feature alone: without it parquet validates text without CPU detection.
use simdutf8 as _;

/// The crates whose types this one speaks, in the versions that it speaks.
pub use {arrow_array, arrow_schema, bytes};

pub use batch::{BATCH_ROWS, BatchReader, ReadOptions, RecordBatches};
pub use error::{Error, ErrorClass, Problem, ValueError};
pub use footer::Footer;
pub use json::JsonExport;
pub use jsonl::{
    BinaryForm, Counts, DecimalForm, Int64Form, JsonLines, JsonOptions, NonFinite, Nulls,
    VectorForm,
};
pub use memory::{Excess, ExcessKind};
pub use options::{PrintFormat, PrintOptions, StreamLists};
pub use print::{FileRows, Printer, Progress, announce};
pub use sink::{BatchSink, DriveError, FnSink, JsonLinesSink, Summary, drive};
pub use source::{FileKind, FileSource, Input, Source};
