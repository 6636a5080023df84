//! [`BatchReader`]: Arrow record batches of an exact number of rows.

use std::num::NonZeroUsize;
use std::ops::Range;
use std::path::Path;
use std::sync::Arc;

use arrow_array::{RecordBatch, RecordBatchReader};
use arrow_schema::{ArrowError, SchemaRef};
use arrow_select::concat::concat_batches;
use bytes::Bytes;
use parquet::arrow::arrow_reader::RowSelector;
use parquet::errors::ParquetError;

use crate::bounds::{Bounds, GivenUp};
use crate::decoder::Decoder;
use crate::error::{Error, Problem};
use crate::footer::{Footer, damaged, not_read};
use crate::guard::guarded;
use crate::locate;
use crate::memory::Plan;
use crate::part::Part;
use crate::reading::{Block, Reading, SharedPages};
use crate::source::{Input, Source, Watched};
use crate::vectors;

/// Rows of a batch unless asked otherwise: what VikingDB's own recipe hands to user code.
pub const BATCH_ROWS: NonZeroUsize = NonZeroUsize::new(100).unwrap();

/// What to read of a Parquet file.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct ReadOptions {
    /// Rows of each batch; only the last batch of a file may have fewer.
    pub batch_rows: NonZeroUsize,
    /// Top-level columns by exact name; `None` is all. The order stays that of the file.
    pub columns: Option<Vec<String>>,
    /// Rows left out at the start. Row groups that lie before it are not read.
    pub offset: u64,
    /// At most this many rows. Row groups that lie behind it are not read.
    pub limit: Option<u64>,
    /// Hand out lists of f64, of any depth, as lists of f32. A value that is no f32 is an error.
    pub narrow_floats: bool,
}

impl ReadOptions {
    /// Sets [`batch_rows`](Self::batch_rows).
    #[must_use]
    pub fn with_batch_rows(self, batch_rows: NonZeroUsize) -> Self {
        Self { batch_rows, ..self }
    }

    /// Sets [`columns`](Self::columns).
    #[must_use]
    pub fn with_columns(self, columns: impl IntoIterator<Item = impl Into<String>>) -> Self {
        Self { columns: Some(columns.into_iter().map(Into::into).collect()), ..self }
    }

    /// Sets [`offset`](Self::offset).
    #[must_use]
    pub fn with_offset(self, offset: u64) -> Self {
        Self { offset, ..self }
    }

    /// Sets [`limit`](Self::limit).
    #[must_use]
    pub fn with_limit(self, limit: impl Into<Option<u64>>) -> Self {
        Self { limit: limit.into(), ..self }
    }

    /// Sets [`narrow_floats`](Self::narrow_floats).
    #[must_use]
    pub fn with_narrow_floats(self, narrow_floats: bool) -> Self {
        Self { narrow_floats, ..self }
    }
}

impl Default for ReadOptions {
    fn default() -> Self {
        Self { batch_rows: BATCH_ROWS, columns: None, offset: 0, limit: None, narrow_floats: false }
    }
}

/// An iterator of Arrow record batches of exactly [`ReadOptions::batch_rows`] rows across row
/// groups; only the last is shorter. After an error it ends.
///
/// ```
/// use viking_reader::{BatchReader, ReadOptions};
///
/// # fn main() -> Result<(), viking_reader::Error> {
/// # let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../fixtures/collections/example/1.parquet");
/// let options = ReadOptions::default().with_columns(["id", "city"]);
/// for batch in BatchReader::open(path.as_ref(), &options)? {
///     assert!(batch?.num_rows() <= 100);
/// }
/// # Ok(())
/// # }
/// ```
pub struct BatchReader {
    reading: Arc<Reading>,
    pages: SharedPages,
    batch_rows: usize,
    decoder: Option<Decoder>,
    is_started: bool,
    pace: Pace,
    /// Decoded rows not handed out yet, and how many at their start are.
    block: Option<(RecordBatch, usize)>,
    /// The row of the file that is decoded next.
    next_row: u64,
    /// Rows still owed, by the footer.
    rows_left: u64,
}

/// How many rows are decoded at a time: fewer after a block that was too large, and more again when many
/// were small.
struct Pace {
    rows: usize,
    /// Blocks in a row that were small.
    small: u32,
    /// So many of them make the blocks larger.
    patience: u32,
}

/// Two runs of rows that have 32 on average.
const CHECKED_ROWS_MIN: u64 = 64;

/// What [`Pace::patience`] begins with.
const PATIENCE: u32 = 16;

/// A block is small if this many times its bytes are within the bounds.
const SMALL: u64 = 16;

/// By how much blocks become smaller or larger.
const STEP: usize = 8;

impl Reading {
    /// Why rows that begin with `first` were not decoded, `count` of them at most. A fault of the disk or the network
    /// is told apart from one of the file.
    fn not_decoded(&self, error: ArrowError, first: u64, count: usize) -> Error {
        match (self.source.failure_behind(&error), error) {
            (Some(failure), _) => Error::io(&self.file, failure),
            (None, ArrowError::ExternalError(cause)) => {
                not_read(&self.file, ParquetError::External(cause))
            }
            (None, error) => {
                let message = error.to_string();
                let rows = first..(first + count as u64).min(self.footer.rows());
                let is_text = message.to_ascii_lowercase().contains("utf");
                match is_text.then(|| locate::invalid_text(self, &rows)).flatten() {
                    Some((row, column)) => {
                        let (file, problem) = (self.file.to_string(), Problem::NotUtf8);
                        Error::Value { file, row, column, problem }
                    }
                    None => damaged(&self.file, plain(&message)),
                }
            }
        }
    }
}

/// Skips so many rows.
pub(crate) fn skip(rows: u64) -> RowSelector {
    RowSelector::skip(count(rows))
}

pub(crate) fn select(rows: u64) -> RowSelector {
    RowSelector::select(count(rows))
}

/// No machine whose words are shorter gets to rows beyond.
fn count(rows: u64) -> usize {
    usize::try_from(rows).unwrap_or(usize::MAX)
}

impl std::fmt::Debug for BatchReader {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("BatchReader")
            .field("file", &self.reading.file)
            .field("batch_rows", &self.batch_rows)
            .field("rows_left", &self.rows_left)
            .finish_non_exhaustive()
    }
}

impl BatchReader {
    /// Opens the local file at `path`.
    pub fn open(path: &Path, options: &ReadOptions) -> Result<Self, Error> {
        Self::new(&Input::open(path)?, options)
    }

    /// Reads a file that is in memory already.
    pub fn from_bytes(bytes: Bytes, options: &ReadOptions) -> Result<Self, Error> {
        Self::new(&Input::new("the file in memory", bytes), options)
    }

    /// Reads a Parquet file.
    pub fn new(file: &Input, options: &ReadOptions) -> Result<Self, Error> {
        Self::with_footer(file, Footer::read(file)?, options)
    }

    /// Reads a file whose footer is known.
    pub fn with_footer(file: &Input, footer: Footer, options: &ReadOptions) -> Result<Self, Error> {
        let columns = choose(file.name(), &footer, options.columns.as_deref())?;
        let plan = Plan::one_by_one(&footer, &columns, options.batch_rows);
        Self::planned(file, footer, &columns, options, &plan)
    }

    /// Reads `columns`, decoded as `plan` says. Those of `options` say nothing here.
    pub(crate) fn planned(
        file: &Input,
        footer: Footer,
        columns: &[usize],
        options: &ReadOptions,
        plan: &Plan,
    ) -> Result<Self, Error> {
        let end = options.limit.map_or(u64::MAX, |limit| options.offset.saturating_add(limit));
        let end = end.min(footer.rows());
        let whole = &footer.columns(plan.is_printed).schema;
        let schema = Arc::new(whole.project(columns).map_err(|error| damaged(file.name(), error))?);
        let schema = if options.narrow_floats { vectors::narrowed(&schema) } else { schema };
        let reading = Reading {
            file: file.name().into(),
            footer,
            schema,
            narrows: options.narrow_floats,
            source: Arc::new(Watched::new(Arc::clone(file.source()))),
            columns: columns.to_vec(),
            plan: plan.clone(),
        };
        let rows = options.offset..end.max(options.offset);
        let part = Part::of(&reading.footer, rows.clone());
        reading.source.prefetch(&reading.footer.column_chunks(part.groups, columns));
        let mut reader = Self::of_rows(&Arc::new(reading), rows, SharedPages::default());
        reader.batch_rows = options.batch_rows.get();
        reader.start()?;
        Ok(reader)
    }

    /// Reads some rows of a file, and makes nothing for it before they are asked for.
    pub(crate) fn of_rows(reading: &Arc<Reading>, rows: Range<u64>, pages: SharedPages) -> Self {
        let plan = &reading.plan;
        Self {
            reading: Arc::clone(reading),
            pages,
            batch_rows: plan.block_rows,
            decoder: None,
            is_started: false,
            pace: Pace { rows: plan.block_rows, small: 0, patience: PATIENCE },
            block: None,
            next_row: rows.start,
            rows_left: rows.end - rows.start,
        }
    }

    /// Makes a decoder for the rows that are left.
    fn start(&mut self) -> Result<(), Error> {
        let reading = &self.reading;
        let part = Part::of(&reading.footer, self.rows());
        let pages = reading.pages(&part, 1);
        // More rows, so that those that the footer does not have are noticed. Of few rows the `parquet` crate makes
        // a mask, which must fit.
        let is_checked = self.rows().end == reading.footer.rows()
            && part.skip + self.rows_left >= CHECKED_ROWS_MIN;
        let more = if is_checked { self.pace.rows as u64 } else { 0 };
        let selected = vec![skip(part.skip), select(self.rows_left + more)];
        let plan = &reading.plan;
        let bounds = Bounds::new(
            &plan.memory,
            (self.pace.rows, plan.least_rows),
            plan.block_bytes,
            !plan.is_printed,
            (plan.lanes, false),
        );
        self.decoder = Some(reading.decoder((&pages, 0), selected, self.pace.rows, bounds)?);
        (self.is_started, *self.pages.lock()) = (true, Some(pages));
        Ok(())
    }

    /// The rows of the file that are left.
    pub(crate) fn rows(&self) -> Range<u64> {
        self.next_row..self.next_row + self.rows_left
    }

    pub(crate) fn reading(&self) -> &Arc<Reading> {
        &self.reading
    }

    /// The chosen columns.
    pub fn schema(&self) -> &SchemaRef {
        &self.reading.schema
    }

    /// The footer of the file.
    pub fn footer(&self) -> &Footer {
        &self.reading.footer
    }

    /// Its pages, to be read ahead by other threads.
    pub(crate) fn pages(&self) -> SharedPages {
        Arc::clone(&self.pages)
    }

    /// Names the file in errors.
    pub fn file(&self) -> &str {
        &self.reading.file
    }

    /// The next batch, or `None` at the end of the rows.
    fn next_batch(&mut self) -> Result<Option<RecordBatch>, Error> {
        loop {
            let held = self.block.as_ref().map_or(0, |(block, used)| block.num_rows() - used);
            if held >= self.batch_rows {
                return Ok(Some(self.cut(self.batch_rows)));
            }
            match self.decode(0)? {
                // A batch for which there is no room, or that Arrow could not hold, is handed out in pieces.
                Some(block) if held == 0 && block.batch.num_rows() < self.batch_rows => {
                    let is_cut = self.pace.rows < self.batch_rows;
                    self.block = Some((block.batch, 0));
                    if is_cut {
                        let rows = self.block.as_ref().map_or(0, |(block, _)| block.num_rows());
                        return Ok(Some(self.cut(rows)));
                    }
                }
                Some(block) => self.append(block.batch)?,
                None if held > 0 => return Ok(Some(self.cut(held))),
                None => return self.check_end().map(|()| None),
            }
        }
    }

    /// The next rows as they are decoded, which are block `number` of the file. Not to be mixed with the
    /// iterator.
    pub(crate) fn next_block(&mut self, number: u64) -> Result<Option<Block>, Error> {
        let block = self.decode(number)?;
        if block.is_none() {
            self.check_end()?;
        }
        Ok(block)
    }

    /// The footer promised rows that did not come.
    fn check_end(&self) -> Result<(), Error> {
        match self.rows_left {
            0 => Ok(()),
            left => {
                Err(damaged(&self.reading.file, format!("{left} rows of the footer are missing")))
            }
        }
    }

    fn decode(&mut self, number: u64) -> Result<Option<Block>, Error> {
        if self.decoder.is_some() && self.pace.shrinks_for_text(&self.reading.plan) {
            self.restart(number)?;
        }
        loop {
            let Some(decoder) = &mut self.decoder else {
                if self.is_started {
                    return Ok(None);
                }
                self.start()?;
                continue;
            };
            let decoded = guarded(|| decoder.next(number, self.next_row));
            if let Some(why) = decoder.bounds.given_up() {
                self.pace.give_up(why);
                self.restart(number)?;
                continue;
            }
            let has_texts = decoder.bounds.has_lengths();
            let decoded = decoded.map_err(|panic| damaged(&self.reading.file, panic))?;
            let Some(batch) = decoded
                .map_err(|error| self.reading.not_decoded(error, self.next_row, self.pace.rows))?
            else {
                self.decoder = None;
                return Ok(None);
            };
            let batch = self.reading.narrow(batch, self.next_row)?;
            let block = self.reading.block(batch, has_texts);
            self.count(block.batch.num_rows() as u64)?;
            if self.pace.grows_after(block.held.bytes(), &self.reading.plan) {
                self.restart(number)?;
            }
            return Ok(Some(block));
        }
    }

    /// Begins anew at the next row, once nothing is held that could be let go.
    fn restart(&mut self, number: u64) -> Result<(), Error> {
        self.decoder = None;
        *self.pages.lock() = None;
        self.reading.plan.memory.wait_for_those_before(number);
        self.start()
    }

    fn count(&mut self, rows: u64) -> Result<(), Error> {
        let more = || damaged(&self.reading.file, "it has more rows than its footer says");
        self.rows_left = self.rows_left.checked_sub(rows).ok_or_else(more)?;
        self.next_row += rows;
        Ok(())
    }

    /// Puts a block behind the rows that are left of the one before.
    fn append(&mut self, block: RecordBatch) -> Result<(), Error> {
        let block = match self.block.take() {
            Some((held, used)) if used < held.num_rows() => {
                let tail = held.slice(used, held.num_rows() - used);
                concat_batches(&self.reading.schema, [&tail, &block])
                    .map_err(|error| damaged(&self.reading.file, error))?
            }
            _ => block,
        };
        self.block = Some((block, 0));
        Ok(())
    }

    /// Takes `rows` rows off the held block, without copying them.
    fn cut(&mut self, rows: usize) -> RecordBatch {
        let Some((block, used)) = &mut self.block else {
            return RecordBatch::new_empty(Arc::clone(&self.reading.schema));
        };
        let batch = block.slice(*used, rows);
        *used += rows;
        batch
    }
}

impl Iterator for BatchReader {
    type Item = Result<RecordBatch, Error>;

    fn next(&mut self) -> Option<Self::Item> {
        let next = self.next_batch();
        if next.is_err() {
            self.decoder = None;
            self.block = None;
            self.rows_left = 0;
        }
        next.transpose()
    }

    /// Exact where the footer tells the truth: what it says of the file may be wrong, and then the last item is an
    /// error.
    fn size_hint(&self) -> (usize, Option<usize>) {
        let held = self.block.as_ref().map_or(0, |(block, given)| block.num_rows() - given);
        let rows = usize::try_from(self.rows_left).unwrap_or(usize::MAX).saturating_add(held);
        let batches = rows.div_ceil(self.batch_rows);
        (usize::from(batches > 0), batches.checked_add(1))
    }
}

/// A [`BatchReader`] as Arrow's own crates take it: `DataFusion`, an FFI stream, a bridge to Python.
///
/// ```
/// use arrow_array::RecordBatchReader;
/// use viking_reader::{BatchReader, ReadOptions};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../fixtures/collections/example/1.parquet");
/// let reader = BatchReader::open(path.as_ref(), &ReadOptions::default())?;
/// let stream: Box<dyn RecordBatchReader + Send> = Box::new(reader.into_record_batches());
/// assert_eq!(stream.schema().field(0).name(), "id");
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct RecordBatches(BatchReader);

impl BatchReader {
    /// The same batches, whose errors are Arrow's: each is an [`ArrowError::ExternalError`] with an [`Error`] in it.
    pub fn into_record_batches(self) -> RecordBatches {
        RecordBatches(self)
    }
}

impl Iterator for RecordBatches {
    type Item = Result<RecordBatch, ArrowError>;

    fn next(&mut self) -> Option<Self::Item> {
        let batch = self.0.next()?;
        Some(batch.map_err(|error| ArrowError::ExternalError(Box::new(error))))
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        self.0.size_hint()
    }
}

impl RecordBatchReader for RecordBatches {
    fn schema(&self) -> SchemaRef {
        Arc::clone(self.0.schema())
    }
}

impl Pace {
    fn give_up(&mut self, why: GivenUp) {
        if why == GivenUp::TooLarge {
            self.rows = (self.rows / STEP).max(1);
            self.patience = self.patience.saturating_mul(2);
        }
        self.small = 0;
    }

    /// Whether blocks become smaller because their text is long.
    fn shrinks_for_text(&mut self, plan: &Plan) -> bool {
        let row_bytes = plan.memory.row_text_bytes();
        let fitting = plan.text_bytes / row_bytes.max(1) / 2;
        let rows = usize::try_from(fitting).unwrap_or(usize::MAX).max(plan.least_rows);
        if row_bytes == 0 || rows >= self.rows / 2 {
            return false;
        }
        (self.rows, self.small) = (rows, 0);
        true
    }

    /// Whether blocks become larger after one of so many bytes.
    fn grows_after(&mut self, bytes: u64, plan: &Plan) -> bool {
        if self.rows >= plan.block_rows {
            return false;
        }
        let text_bytes = plan.memory.row_text_bytes().saturating_mul(self.rows as u64);
        let is_small = bytes.saturating_mul(SMALL) < plan.block_bytes
            && text_bytes.saturating_mul(SMALL) < plan.text_bytes;
        self.small = if is_small { self.small + 1 } else { 0 };
        if self.small < self.patience {
            return false;
        }
        self.small = 0;
        self.rows = self.rows.saturating_mul(STEP).min(plan.block_rows);
        true
    }
}

fn choose(file: &str, footer: &Footer, columns: Option<&[String]>) -> Result<Vec<usize>, Error> {
    let fields = footer.schema().fields();
    let Some(columns) = columns else { return Ok((0..fields.len()).collect()) };
    for column in columns {
        if fields.iter().all(|field| field.name() != column) {
            return Err(Error::unknown_column(
                file,
                column,
                fields.iter().map(|field| field.name().as_str()),
            ));
        }
    }
    Ok((0..fields.len()).filter(|&index| columns.contains(fields[index].name())).collect())
}

/// Errors of the decoder come wrapped in one or two prefixes that say nothing to a user.
fn plain(text: &str) -> String {
    let text = text.strip_prefix("Parquet argument error: ").unwrap_or(text);
    let text = text.strip_prefix("Parquet error: ").unwrap_or(text);
    text.strip_prefix("External: ").unwrap_or(text).to_owned()
}
