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

/// The memory that printing takes unless asked otherwise.
const MEMORY_BYTES: u64 = 64 << 20;

/// What to print of the files, and how.
#[derive(Debug, Clone)]
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
    pub memory: u64,
    /// Rows left out at the start, over all files.
    pub offset: u64,
    /// Threads that decode and encode. The output is the same with any number.
    pub threads: NonZeroUsize,
    /// Leave top-level lists of floats unread.
    pub without_vectors: bool,
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
            memory: MEMORY_BYTES,
            offset: 0,
            threads: std::thread::available_parallelism().unwrap_or(NonZeroUsize::MIN),
            without_vectors: false,
        }
    }
}

/// Which columns are printed.
pub(crate) struct Choice<'a> {
    columns: Option<&'a [String]>,
    drop: &'a [String],
    without_vectors: bool,
}

impl<'a> Choice<'a> {
    pub(crate) fn of(options: &'a PrintOptions) -> Self {
        let PrintOptions { columns, drop, without_vectors, .. } = options;
        Self { columns: columns.as_deref(), drop, without_vectors: *without_vectors }
    }

    /// The numbers of the columns to read, in the file's order.
    pub(crate) fn columns(&self, file: &str, schema: &SchemaRef) -> Result<Vec<usize>, Error> {
        let known: Vec<&str> = schema.fields().iter().map(|field| field.name().as_str()).collect();
        let unknown = |column: &str| Error::unknown_column(file, column, known.iter().copied());
        let columns = self.columns.map(|asked| names::resolve(asked, &known).map_err(unknown));
        let columns = columns.transpose()?;
        let drop = names::resolve(self.drop, &known).map_err(unknown)?;
        let kept = self.without_vectors.then(|| jsonl::without_vectors(schema));
        let is_chosen = |name: &str| {
            kept.as_ref().is_none_or(|kept| kept.iter().any(|kept| kept == name))
                && columns.as_ref().is_none_or(|columns| columns.contains(&name))
                && !drop.contains(&name)
        };
        let chosen = known.iter().enumerate().filter(|(_, name)| is_chosen(name));
        Ok(chosen.map(|(index, _)| index).collect())
    }
}
