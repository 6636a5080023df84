//! What to print of files, and how.

use std::num::NonZeroUsize;

use arrow_schema::SchemaRef;

use crate::batch::BATCH_ROWS;
use crate::error::Error;
use crate::jsonl::{self, JsonOptions};
use crate::names;

/// What rows are printed as.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub enum PrintFormat {
    /// One JSON object on each line.
    #[default]
    #[cfg_attr(feature = "serde", serde(rename = "jsonl"))]
    JsonLines,
    /// One JSON array of objects, one on each line.
    #[cfg_attr(feature = "serde", serde(rename = "json"))]
    JsonArray,
    /// An Arrow IPC stream with the columns' own types. [`PrintOptions::json`] says nothing here, and
    /// JSON exports are refused.
    #[cfg_attr(feature = "serde", serde(rename = "arrow"))]
    ArrowStream,
}

/// What becomes of top-level lists of floats in an Arrow stream.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum StreamLists {
    /// Lists of a fixed size if all of the first file have one length, by its footer and its first batch; a list of
    /// another length is an error then. Otherwise lists of any length.
    #[default]
    FixedSize,
    /// Lists of any length.
    Variable,
}

/// The memory that printing takes unless asked otherwise.
const MEMORY_BYTES: u64 = 64 << 20;

/// What to print of the files, and how.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct PrintOptions {
    /// Go on when a file has other columns than those before it.
    pub allow_schema_change: bool,
    /// Rows decoded and encoded at a time.
    pub batch_rows: NonZeroUsize,
    /// Top-level columns by name, or by several names with commas between them; `None` is all. A name with
    /// commas is meant as a whole where a column has it.
    pub columns: Option<Vec<String>>,
    /// Top-level columns left out, named in the same way.
    pub drop: Vec<String>,
    /// What rows are printed as.
    pub format: PrintFormat,
    /// The output contract's choices.
    pub json: JsonOptions,
    /// At most this many rows, over all files.
    pub limit: Option<u64>,
    /// Bytes that decoding, encoding and what waits between them may take. Fewer threads and smaller
    /// blocks are used to keep within it, down to one page for each column and one batch.
    pub memory_bytes: u64,
    /// Rows left out at the start, over all files.
    pub offset: u64,
    /// Threads that decode and encode. The output is the same with any number.
    pub threads: NonZeroUsize,
    /// Leave top-level lists of floats unread.
    pub skip_vectors: bool,
    /// Print lists of f64, of any depth, as lists of f32. A value that is no f32 is an error.
    pub narrow_floats: bool,
    /// Top-level lists of floats in an Arrow stream.
    pub stream_lists: StreamLists,
}

impl PrintOptions {
    /// Sets [`allow_schema_change`](Self::allow_schema_change).
    #[must_use]
    pub fn with_allow_schema_change(self, allow_schema_change: bool) -> Self {
        Self { allow_schema_change, ..self }
    }

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

    /// Sets [`drop`](Self::drop).
    #[must_use]
    pub fn with_drop(self, drop: impl IntoIterator<Item = impl Into<String>>) -> Self {
        Self { drop: drop.into_iter().map(Into::into).collect(), ..self }
    }

    /// Sets [`format`](Self::format).
    #[must_use]
    pub fn with_format(self, format: PrintFormat) -> Self {
        Self { format, ..self }
    }

    /// Sets [`json`](Self::json).
    #[must_use]
    pub fn with_json(self, json: JsonOptions) -> Self {
        Self { json, ..self }
    }

    /// Sets [`limit`](Self::limit).
    #[must_use]
    pub fn with_limit(self, limit: impl Into<Option<u64>>) -> Self {
        Self { limit: limit.into(), ..self }
    }

    /// Sets [`memory_bytes`](Self::memory_bytes).
    #[must_use]
    pub fn with_memory_bytes(self, memory_bytes: u64) -> Self {
        Self { memory_bytes, ..self }
    }

    /// Sets [`offset`](Self::offset).
    #[must_use]
    pub fn with_offset(self, offset: u64) -> Self {
        Self { offset, ..self }
    }

    /// Sets [`threads`](Self::threads).
    #[must_use]
    pub fn with_threads(self, threads: NonZeroUsize) -> Self {
        Self { threads, ..self }
    }

    /// Sets [`skip_vectors`](Self::skip_vectors).
    #[must_use]
    pub fn with_skip_vectors(self, skip_vectors: bool) -> Self {
        Self { skip_vectors, ..self }
    }

    /// Sets [`narrow_floats`](Self::narrow_floats).
    #[must_use]
    pub fn with_narrow_floats(self, narrow_floats: bool) -> Self {
        Self { narrow_floats, ..self }
    }

    /// Sets [`stream_lists`](Self::stream_lists).
    #[must_use]
    pub fn with_stream_lists(self, stream_lists: StreamLists) -> Self {
        Self { stream_lists, ..self }
    }
}

impl Default for PrintOptions {
    fn default() -> Self {
        Self {
            allow_schema_change: false,
            batch_rows: BATCH_ROWS,
            columns: None,
            drop: Vec::new(),
            format: PrintFormat::default(),
            json: JsonOptions::default(),
            limit: None,
            memory_bytes: MEMORY_BYTES,
            offset: 0,
            threads: std::thread::available_parallelism().unwrap_or(NonZeroUsize::MIN),
            skip_vectors: false,
            narrow_floats: false,
            stream_lists: StreamLists::default(),
        }
    }
}

/// Which columns are printed.
pub(crate) struct Choice<'a> {
    columns: Option<&'a [String]>,
    drop: &'a [String],
    skip_vectors: bool,
}

impl<'a> Choice<'a> {
    pub(crate) fn of(options: &'a PrintOptions) -> Self {
        let PrintOptions { columns, drop, skip_vectors, .. } = options;
        Self { columns: columns.as_deref(), drop, skip_vectors: *skip_vectors }
    }

    /// The numbers of the columns to read, in the file's order.
    pub(crate) fn columns(&self, file: &str, schema: &SchemaRef) -> Result<Vec<usize>, Error> {
        let known: Vec<&str> = schema.fields().iter().map(|field| field.name().as_str()).collect();
        let unknown = |column: &str| Error::unknown_column(file, column, known.iter().copied());
        let columns = self.columns.map(|asked| names::resolve(asked, &known).map_err(unknown));
        let columns = columns.transpose()?;
        let drop = names::resolve(self.drop, &known).map_err(unknown)?;
        let kept = self.skip_vectors.then(|| jsonl::without_vectors(schema));
        let is_chosen = |name: &str| {
            kept.as_ref().is_none_or(|kept| kept.iter().any(|kept| kept == name))
                && columns.as_ref().is_none_or(|columns| columns.contains(&name))
                && !drop.contains(&name)
        };
        let chosen = known.iter().enumerate().filter(|(_, name)| is_chosen(name));
        Ok(chosen.map(|(index, _)| index).collect())
    }
}
