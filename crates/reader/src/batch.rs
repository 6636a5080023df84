//! [`BatchReader`]: Arrow record batches of an exact number of rows.

use std::num::NonZeroUsize;
use std::path::Path;
use std::sync::Arc;

use arrow_array::RecordBatch;
use arrow_schema::{ArrowError, SchemaRef};
use arrow_select::concat::concat_batches;
use bytes::Bytes;
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::{
    ParquetRecordBatchReader, RowGroups, RowSelection, RowSelector,
};
use parquet::arrow::parquet_to_arrow_field_levels;
use parquet::errors::ParquetError;

use crate::error::Error;
use crate::footer::{Footer, damaged, not_read, text_as_views};
use crate::guard::guarded;
use crate::memory::Plan;
use crate::pages::{Groups, Pages};
use crate::source::{FileSource, Source, Watched};

/// Rows of a batch unless asked otherwise: what VikingDB's own recipe hands to user code.
pub const BATCH_ROWS: NonZeroUsize = NonZeroUsize::new(100).unwrap();

/// What to read of a Parquet file.
#[derive(Debug, Clone)]
pub struct ReadOptions {
    /// Rows of each batch; only the last batch of a file may have fewer.
    pub batch_rows: NonZeroUsize,
    /// Top-level columns by exact name; `None` is all. The order stays that of the file.
    pub columns: Option<Vec<String>>,
    /// Rows left out at the start. Row groups that lie before it are not read.
    pub offset: u64,
    /// At most this many rows. Row groups that lie behind it are not read.
    pub limit: Option<u64>,
}

impl Default for ReadOptions {
    fn default() -> Self {
        Self { batch_rows: BATCH_ROWS, columns: None, offset: 0, limit: None }
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
/// let options = ReadOptions {
///     columns: Some(vec!["id".to_owned(), "city".to_owned()]),
///     ..ReadOptions::default()
/// };
/// for batch in BatchReader::open(path.as_ref(), &options)? {
///     assert!(batch?.num_rows() <= 100);
/// }
/// # Ok(())
/// # }
/// ```
pub struct BatchReader {
    file: String,
    footer: Footer,
    schema: SchemaRef,
    source: Arc<Watched>,
    pages: Arc<Pages>,
    batch_rows: usize,
    decoder: Option<ParquetRecordBatchReader>,
    /// Decoded rows not handed out yet, and how many at their start are.
    block: Option<(RecordBatch, usize)>,
    /// Rows still owed, by the footer.
    rows_left: u64,
}

impl std::fmt::Debug for BatchReader {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("BatchReader")
            .field("file", &self.file)
            .field("batch_rows", &self.batch_rows)
            .field("rows_left", &self.rows_left)
            .finish_non_exhaustive()
    }
}

impl BatchReader {
    /// Opens the local file at `path`.
    pub fn open(path: &Path, options: &ReadOptions) -> Result<Self, Error> {
        let source = FileSource::open(path)?;
        Self::from_source(&path.display().to_string(), Arc::new(source), options)
    }

    /// Reads a file that is in memory already.
    pub fn from_bytes(bytes: Bytes, options: &ReadOptions) -> Result<Self, Error> {
        Self::from_source("the file in memory", Arc::new(bytes), options)
    }

    /// Reads any [`Source`]; `file` names it in errors.
    pub fn from_source(
        file: &str,
        source: Arc<dyn Source>,
        options: &ReadOptions,
    ) -> Result<Self, Error> {
        let footer = Footer::read(file, &source)?;
        Self::with_footer(file, source, footer, options)
    }

    /// Reads a [`Source`] whose footer is known.
    pub fn with_footer(
        file: &str,
        source: Arc<dyn Source>,
        footer: Footer,
        options: &ReadOptions,
    ) -> Result<Self, Error> {
        let columns = choose(file, &footer, options.columns.as_deref())?;
        let plan = Plan::one_by_one(&footer, &columns, options.batch_rows);
        Self::planned(file, source, footer, &columns, options, &plan)
    }

    /// Reads `columns`, decoded as `plan` says. Those of `options` say nothing here.
    pub(crate) fn planned(
        file: &str,
        source: Arc<dyn Source>,
        footer: Footer,
        columns: &[usize],
        options: &ReadOptions,
        plan: &Plan,
    ) -> Result<Self, Error> {
        let part = Part::of(&footer, options.offset, options.limit);
        let batch_rows = options.batch_rows.get();
        let whole = if plan.text_views {
            &Arc::new(text_as_views(footer.schema()))
        } else {
            footer.schema()
        };
        let schema = Arc::new(whole.project(columns).map_err(|error| damaged(file, error))?);
        let rows_left = part.rows;
        let pages = Pages::new(plan.threads, plan.pages_bytes);
        source.expect(&footer.column_chunks(&part.groups, columns));
        let source = Arc::new(Watched::new(source));
        let input = Arc::clone(&source);
        let decoder =
            guarded(|| build(input, &footer, whole, columns, &part, plan.block_rows, &pages))
                .map_err(|panic| damaged(file, panic))?
                .map_err(|error| not_read(file, error))?;
        Ok(Self {
            file: file.to_owned(),
            footer,
            schema,
            source,
            pages,
            batch_rows,
            decoder: Some(decoder),
            block: None,
            rows_left,
        })
    }

    /// The chosen columns.
    pub fn schema(&self) -> &SchemaRef {
        &self.schema
    }

    /// The footer of the file.
    pub fn footer(&self) -> &Footer {
        &self.footer
    }

    /// Its pages, to be read ahead by other threads.
    pub(crate) fn pages(&self) -> Arc<Pages> {
        Arc::clone(&self.pages)
    }

    /// Names the file in errors.
    pub fn file(&self) -> &str {
        &self.file
    }

    /// The next batch, or `None` at the end of the rows.
    fn next_batch(&mut self) -> Result<Option<RecordBatch>, Error> {
        loop {
            let held = self.block.as_ref().map_or(0, |(block, used)| block.num_rows() - used);
            if held >= self.batch_rows {
                return Ok(Some(self.cut(self.batch_rows)));
            }
            match self.decode()? {
                Some(block) => self.append(block)?,
                None if held > 0 => return Ok(Some(self.cut(held))),
                None => return self.check_end().map(|()| None),
            }
        }
    }

    /// The next rows as they are decoded: a whole number of batches, but for the last block. Not to
    /// be mixed with the iterator.
    pub(crate) fn next_block(&mut self) -> Result<Option<RecordBatch>, Error> {
        let block = self.decode()?;
        if block.is_none() {
            self.check_end()?;
        }
        Ok(block)
    }

    /// The footer promised rows that did not come.
    fn check_end(&self) -> Result<(), Error> {
        match self.rows_left {
            0 => Ok(()),
            left => Err(damaged(&self.file, format!("{left} rows of the footer are missing"))),
        }
    }

    fn decode(&mut self) -> Result<Option<RecordBatch>, Error> {
        let Some(decoder) = &mut self.decoder else { return Ok(None) };
        let decoded = guarded(|| decoder.next().transpose());
        let decoded = decoded.map_err(|panic| damaged(&self.file, panic))?;
        let block = decoded.map_err(|error| self.not_decoded(error))?;
        match &block {
            Some(block) => self.count(block.num_rows() as u64)?,
            None => self.decoder = None,
        }
        Ok(block)
    }

    fn count(&mut self, rows: u64) -> Result<(), Error> {
        let more = || damaged(&self.file, "it has more rows than its footer says");
        self.rows_left = self.rows_left.checked_sub(rows).ok_or_else(more)?;
        Ok(())
    }

    /// A fault of the disk or the network is told apart from one of the file.
    fn not_decoded(&self, error: ArrowError) -> Error {
        match (self.source.failure_behind(&error), error) {
            (Some(failure), _) => Error::io(&self.file, failure),
            (None, ArrowError::ExternalError(cause)) => {
                not_read(&self.file, ParquetError::External(cause))
            }
            (None, error) => damaged(&self.file, plain(&error.to_string())),
        }
    }

    /// Puts a block behind the rows that are left of the one before.
    fn append(&mut self, block: RecordBatch) -> Result<(), Error> {
        let block = match self.block.take() {
            Some((held, used)) if used < held.num_rows() => {
                let tail = held.slice(used, held.num_rows() - used);
                concat_batches(&self.schema, [&tail, &block])
                    .map_err(|error| damaged(&self.file, error))?
            }
            _ => block,
        };
        self.block = Some((block, 0));
        Ok(())
    }

    /// Takes `rows` rows off the held block, without copying them.
    fn cut(&mut self, rows: usize) -> RecordBatch {
        let Some((block, used)) = &mut self.block else {
            return RecordBatch::new_empty(Arc::clone(&self.schema));
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
}

/// The row groups to read, and the rows to skip and take among theirs.
struct Part {
    groups: Vec<usize>,
    skip: u64,
    rows: u64,
}

impl Part {
    fn of(footer: &Footer, offset: u64, limit: Option<u64>) -> Self {
        let end = limit.map_or(u64::MAX, |limit| offset.saturating_add(limit)).min(footer.rows());
        let mut part = Self { groups: Vec::new(), skip: 0, rows: end.saturating_sub(offset) };
        let mut start = 0;
        for (index, rows) in footer.row_group_rows().enumerate() {
            if start + rows > offset && start < end {
                if part.groups.is_empty() {
                    part.skip = offset - start;
                }
                part.groups.push(index);
            }
            start += rows;
        }
        part
    }
}

fn choose(file: &str, footer: &Footer, columns: Option<&[String]>) -> Result<Vec<usize>, Error> {
    let fields = footer.schema().fields();
    let Some(columns) = columns else { return Ok((0..fields.len()).collect()) };
    for column in columns {
        if fields.iter().all(|field| field.name() != column) {
            return Err(unknown_column(
                file,
                column,
                fields.iter().map(|field| field.name().as_str()),
            ));
        }
    }
    Ok((0..fields.len()).filter(|&index| columns.contains(fields[index].name())).collect())
}

pub(crate) fn unknown_column<'a>(
    file: &str,
    column: &str,
    known: impl Iterator<Item = &'a str>,
) -> Error {
    Error::UnknownColumn {
        file: file.to_owned(),
        column: column.to_owned(),
        known: known.collect::<Vec<_>>().join(", "),
    }
}

fn build(
    source: Arc<Watched>,
    footer: &Footer,
    schema: &SchemaRef,
    columns: &[usize],
    part: &Part,
    block_rows: usize,
    pages: &Arc<Pages>,
) -> Result<ParquetRecordBatchReader, ParquetError> {
    let metadata = footer.metadata().metadata();
    let descriptor = metadata.file_metadata().schema_descr();
    let mask = ProjectionMask::roots(descriptor, columns.iter().copied());
    let levels = parquet_to_arrow_field_levels(descriptor, mask, Some(schema.fields()))?;
    let groups = Groups { source, metadata, numbers: &part.groups, pages };
    let too_many = |_| ParquetError::General("more rows than this machine can count".to_owned());
    let selection = RowSelection::from(vec![
        RowSelector::skip(usize::try_from(part.skip).map_err(too_many)?),
        RowSelector::select(usize::try_from(part.rows).map_err(too_many)?),
    ]);
    let is_all = part.skip == 0 && groups.num_rows() as u64 == part.rows;
    let selection = (!is_all).then_some(selection);
    let block_rows = block_rows.min(groups.num_rows().max(1));
    ParquetRecordBatchReader::try_new_with_row_groups(&levels, &groups, block_rows, selection)
}

/// Errors of the decoder come wrapped in one or two prefixes that say nothing to a user.
fn plain(text: &str) -> String {
    let text = text.strip_prefix("Parquet argument error: ").unwrap_or(text);
    text.strip_prefix("Parquet error: ").unwrap_or(text).to_owned()
}
