//! [`JsonLines`]: record batches to lines.

use std::ops::Range;

use arrow_array::RecordBatch;
use arrow_schema::{Schema, SchemaRef};

use super::check;
use super::column::Column;
use super::kernel::cell::{CELLS, Line, Short};
use super::options::{Counts, JsonOptions, Nulls};
use super::plan::{self, ColumnPlan};
use crate::error::{Error, Problem, ValueError};
use crate::vectors::looks_narrow;

/// Encodes record batches of one schema as JSON Lines.
///
/// ```
/// use std::sync::Arc;
/// use arrow_array::{Float32Array, RecordBatch};
/// use viking_reader::{JsonLines, JsonOptions};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let column = Float32Array::from(vec![Some(0.1), None]);
/// let batch = RecordBatch::try_from_iter([("score", Arc::new(column) as _)])?;
/// let mut lines = JsonLines::new("scores", &batch.schema(), &JsonOptions::default())?;
/// let mut out = Vec::new();
/// lines.encode(&batch, &mut out)?;
/// assert_eq!(out, b"{\"score\":0.1}\n{\"score\":null}\n");
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct JsonLines {
    columns: Vec<ColumnPlan>,
    options: JsonOptions,
    needs_check: bool,
    /// `}` and what ends a row.
    row_end: Short,
    counts: Counts,
}

impl JsonLines {
    /// Plans the encoding; every refusal of a schema happens here. `file` names it in errors.
    pub fn new(file: &str, schema: &Schema, options: &JsonOptions) -> Result<Self, Error> {
        let columns = plan::columns(file, schema, options)?;
        Ok(Self {
            needs_check: check::is_needed(&columns, *options),
            columns,
            options: *options,
            row_end: Short::new(b"}\n"),
            counts: Counts::default(),
        })
    }

    /// Ends rows with other bytes than a newline.
    pub(crate) fn with_row_end(self, row_end: &[u8]) -> Self {
        Self { row_end: Short::new(&[b"}", row_end].concat()), ..self }
    }

    /// Appends a line for each row of `batch` to `out`, or nothing at all if it fails.
    pub fn encode(&mut self, batch: &RecordBatch, out: &mut Vec<u8>) -> Result<(), ValueError> {
        let mut counts = Counts::default();
        self.encode_rows(batch, out, &mut counts)?;
        self.counts += counts;
        Ok(())
    }

    /// [`Self::encode`] for several threads, which count for themselves.
    pub(crate) fn encode_rows(
        &self,
        batch: &RecordBatch,
        out: &mut Vec<u8>,
        counts: &mut Counts,
    ) -> Result<(), ValueError> {
        self.bind(batch)?.encode(0..batch.num_rows(), usize::MAX, out, counts);
        Ok(())
    }

    /// The rows of `batch`, all of which can be encoded.
    pub(crate) fn bind<'a>(&'a self, batch: &'a RecordBatch) -> Result<Rows<'a>, ValueError> {
        let columns = bind(&self.columns, self.options, batch)?;
        if self.needs_check {
            self.check(&columns, batch.num_rows())?;
        }
        Ok(Rows { lines: self, columns })
    }

    /// Values of all batches so far that were printed as something else than themselves.
    pub fn counts(&self) -> Counts {
        self.counts
    }

    /// Names of un-annotated binary columns of `batch` that hold only valid UTF-8, and some of it:
    /// worth a hint at [`BinaryForm::Utf8`](crate::BinaryForm::Utf8).
    pub fn text_like_columns(&self, batch: &RecordBatch) -> Vec<String> {
        match bind(&self.columns, self.options, batch) {
            Ok(columns) => Rows { lines: self, columns }.text_like_columns(batch.num_rows()),
            Err(_) => Vec::new(),
        }
    }

    fn check(&self, columns: &[Column<'_>], rows: usize) -> Result<(), ValueError> {
        for row in 0..rows {
            for (plan, column) in self.columns.iter().zip(columns) {
                if let Some(problem) = check::problem(column, row, self.options) {
                    return Err(plan.value_error(row, problem));
                }
            }
        }
        Ok(())
    }
}

/// Columns of the first rows that may be better printed in another way.
#[derive(Debug, Clone, Default)]
pub(crate) struct Hints {
    /// Binary columns that hold text.
    pub(crate) text_like: Vec<String>,
    /// Lists of f64 that hold f32.
    pub(crate) f32_like: Vec<String>,
}

/// The rows of one batch, ready to be encoded.
pub(crate) struct Rows<'a> {
    lines: &'a JsonLines,
    columns: Vec<Column<'a>>,
}

impl Rows<'_> {
    /// Appends a line for each row of `rows`, until `out` has `stop_bytes` or more. Returns the first row
    /// that was left.
    pub(crate) fn encode(
        &mut self,
        rows: Range<usize>,
        stop_bytes: usize,
        out: &mut Vec<u8>,
        counts: &mut Counts,
    ) -> usize {
        let mut line = Line::new(out);
        let mut start = rows.start;
        while start < rows.end {
            let cells = start..rows.end.min(start + CELLS);
            for column in &mut self.columns {
                column.fill(cells.clone(), self.lines.options.nulls);
            }
            let are_whole = self.columns.iter().all(|column| column.cells.are_whole());
            for row in cells.clone() {
                let row_start = line.len();
                if are_whole {
                    let columns = self.columns.iter().map(|column| &*column.cells);
                    line.push_row(columns, row - cells.start);
                } else {
                    self.put_row(row, &mut line, counts);
                }
                line.open(row_start, b'{');
                line.push(&self.lines.row_end);
                start = row + 1;
                if line.len() >= stop_bytes {
                    line.buffer();
                    return start;
                }
            }
        }
        line.buffer();
        start
    }

    /// Appends the values of a row, some of which are long.
    fn put_row(&mut self, row: usize, line: &mut Line<'_>, counts: &mut Counts) {
        for column in &mut self.columns {
            if self.lines.options.nulls == Nulls::Drop && column.is_null(row) {
                continue;
            }
            column.put(row, line, counts);
        }
    }

    fn text_like_columns(&self, rows: usize) -> Vec<String> {
        let named = self.lines.columns.iter().zip(&self.columns);
        let text_like = named.filter(|(_, column)| column.is_text_like(rows));
        text_like.map(|(plan, _)| plan.name.clone()).collect()
    }

    /// What is worth a hint in a batch of so many rows.
    pub(crate) fn hints(&self, batch: &RecordBatch) -> Hints {
        let named = self.lines.columns.iter().zip(batch.columns());
        let f32_like = named.filter(|(_, array)| looks_narrow(array));
        Hints {
            text_like: self.text_like_columns(batch.num_rows()),
            f32_like: f32_like.map(|(plan, _)| plan.name.clone()).collect(),
        }
    }

    /// About how long the values of a row are.
    pub(crate) fn likely_bytes(&self, row: usize) -> usize {
        self.columns.iter().map(|column| column.likely_bytes(row)).sum()
    }

    /// The column that has most of a row.
    pub(crate) fn longest(&self, row: usize) -> String {
        let named = self.lines.columns.iter().zip(&self.columns);
        let longest = named.max_by_key(|(_, column)| column.likely_bytes(row));
        longest.map(|(plan, _)| plan.name.clone()).unwrap_or_default()
    }
}

fn bind<'a>(
    plans: &'a [ColumnPlan],
    options: JsonOptions,
    batch: &'a RecordBatch,
) -> Result<Vec<Column<'a>>, ValueError> {
    let bound = plans.iter().enumerate().map(|(index, plan)| {
        let array = batch.columns().get(index).map(AsRef::as_ref);
        let column = array.and_then(|array| Column::bind(&plan.kind, &plan.key, array, options));
        column.ok_or_else(|| plan.value_error(0, Problem::Type))
    });
    bound.collect()
}

/// The schema left after `--vectors none`: without top-level lists of floats.
pub(crate) fn without_vectors(schema: &SchemaRef) -> Vec<String> {
    let kept = schema.fields().iter().filter(|field| !plan::is_vector(field.data_type()));
    kept.map(|field| field.name().clone()).collect()
}
