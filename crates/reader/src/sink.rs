//! The push form: [`drive`] feeds the batches of a reader to a [`BatchSink`].

use std::convert::Infallible;
use std::io::Write;
use std::ops::ControlFlow;

use arrow_array::RecordBatch;
use arrow_schema::SchemaRef;

use crate::batch::BatchReader;
use crate::error::{Error, ValueError};
use crate::jsonl::{JsonLines, JsonOptions};
use crate::write::{Frame, RowWriter};

/// Receives the batches of a file in order.
pub trait BatchSink {
    /// What the sink itself can fail with.
    type Error;

    /// Called once, before the first batch.
    fn begin(&mut self, schema: &SchemaRef) -> Result<(), Self::Error> {
        let _ = schema;
        Ok(())
    }

    /// Called for each batch; [`ControlFlow::Break`] ends the reading without an error.
    fn batch(&mut self, batch: &RecordBatch) -> Result<ControlFlow<()>, Self::Error>;

    /// Called once, after the last batch or a break.
    fn finish(&mut self, summary: &Summary) -> Result<(), Self::Error> {
        let _ = summary;
        Ok(())
    }
}

/// What [`drive`] read.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Summary {
    /// Batches handed to the sink.
    pub batches: u64,
    /// Rows in them.
    pub rows: u64,
}

/// Why [`drive`] ended early.
#[derive(Debug, thiserror::Error)]
pub enum DriveError<E> {
    /// The file could not be read.
    #[error(transparent)]
    Read(Error),
    /// The sink failed.
    #[error(transparent)]
    Sink(E),
}

/// Feeds every batch of `reader` to `sink`.
pub fn drive<S: BatchSink>(
    reader: BatchReader,
    sink: &mut S,
) -> Result<Summary, DriveError<S::Error>> {
    let mut summary = Summary::default();
    sink.begin(reader.schema()).map_err(DriveError::Sink)?;
    for batch in reader {
        let batch = batch.map_err(DriveError::Read)?;
        summary.batches += 1;
        summary.rows += batch.num_rows() as u64;
        if sink.batch(&batch).map_err(DriveError::Sink)?.is_break() {
            break;
        }
    }
    sink.finish(&summary).map_err(DriveError::Sink)?;
    Ok(summary)
}

/// A closure as a sink: the callback form.
#[derive(Debug)]
pub struct FnSink<F>(
    /// Called for each batch.
    pub F,
);

impl<F: FnMut(&RecordBatch) -> ControlFlow<()>> BatchSink for FnSink<F> {
    type Error = Infallible;

    fn batch(&mut self, batch: &RecordBatch) -> Result<ControlFlow<()>, Infallible> {
        Ok((self.0)(batch))
    }
}

/// Writes batches as JSON Lines to any [`Write`].
///
/// ```
/// use viking_reader::{BatchReader, JsonLinesSink, JsonOptions, ReadOptions, drive};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../fixtures/collections/example/1.parquet");
/// let mut lines = Vec::new();
/// let mut sink = JsonLinesSink::new(&mut lines, JsonOptions::default());
/// drive(BatchReader::open(path.as_ref(), &ReadOptions::default())?, &mut sink)?;
/// assert!(lines.starts_with(b"{\"id\":"));
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct JsonLinesSink<W: Write> {
    writer: RowWriter<W>,
    options: JsonOptions,
    lines: Option<JsonLines>,
    rows: u64,
}

impl<W: Write> JsonLinesSink<W> {
    /// Writes to `writer` in pieces of about 256 KiB, each a whole number of rows.
    pub fn new(writer: W, options: JsonOptions) -> Self {
        Self { writer: RowWriter::new(writer, Frame::Rows), options, lines: None, rows: 0 }
    }
}

impl<W: Write> BatchSink for JsonLinesSink<W> {
    type Error = Error;

    fn begin(&mut self, schema: &SchemaRef) -> Result<(), Error> {
        self.lines = Some(JsonLines::new("the batches", schema, &self.options)?);
        Ok(())
    }

    fn batch(&mut self, batch: &RecordBatch) -> Result<ControlFlow<()>, Error> {
        if let Some(lines) = &mut self.lines {
            lines
                .encode(batch, self.writer.buffer())
                .map_err(|error| error.in_file("the batches", self.rows))?;
        }
        self.rows += batch.num_rows() as u64;
        self.writer.rows_added()?;
        Ok(ControlFlow::Continue(()))
    }

    fn finish(&mut self, _summary: &Summary) -> Result<(), Error> {
        self.writer.flush()
    }
}

impl ValueError {
    pub(crate) fn in_file(self, file: &str, rows_before: u64) -> Error {
        Error::Value {
            file: file.to_owned(),
            row: rows_before + self.row as u64,
            column: self.column,
            problem: self.problem,
        }
    }
}
