//! What is read of one file, and how.

use std::sync::Arc;

use arrow_array::{Array, ArrayRef, RecordBatch};
use arrow_buffer::Buffer;
use arrow_data::ArrayData;
use arrow_schema::{DataType, SchemaRef};
use parking_lot::Mutex;
use parquet::arrow::arrow_reader::RowSelector;

use crate::bounds::Bounds;
use crate::decoder::Decoder;
use crate::error::{Error, Problem};
use crate::footer::{Footer, damaged, not_read};
use crate::guard::guarded;
use crate::memory::{Held, Plan};
use crate::pages::Pages;
use crate::part::Part;
use crate::source::{Source, Watched};
use crate::vectors::{self, NotNarrowed};

/// What is read of one file, and how.
pub(crate) struct Reading {
    pub(crate) file: Arc<str>,
    pub(crate) footer: Footer,
    pub(crate) schema: SchemaRef,
    /// The schema has f32 where the file has f64 in lists.
    pub(crate) narrows: bool,
    pub(crate) source: Arc<Watched>,
    pub(crate) columns: Vec<usize>,
    pub(crate) plan: Plan,
}

/// The pages that are being decoded, for threads that read ahead.
pub(crate) type SharedPages = Arc<Mutex<Option<Arc<Pages>>>>;

/// Some rows as they are decoded, counted as long as they are held.
pub(crate) struct Block {
    pub(crate) batch: RecordBatch,
    pub(crate) held: Held,
}

impl Reading {
    /// The pages of some row groups, for so many decoders.
    pub(crate) fn pages(&self, part: &Part, lanes: usize) -> Arc<Pages> {
        let source: Arc<dyn Source> = Arc::clone(&self.source) as _;
        Pages::new(source, &self.footer, part, &self.columns, (&self.plan, lanes))
    }

    /// A decoder of the `selected` rows of `pages`.
    pub(crate) fn decoder(
        &self,
        pages: (&Arc<Pages>, usize),
        selected: Vec<RowSelector>,
        block_rows: usize,
        bounds: Arc<Bounds>,
    ) -> Result<Decoder, Error> {
        let columns = (self.footer.columns(self.plan.is_printed), &self.columns[..]);
        let decoder = guarded(|| Decoder::new(pages, columns, selected, block_rows, bounds));
        let decoder = decoder.map_err(|panic| damaged(&self.file, panic))?;
        decoder.map_err(|error| not_read(&self.file, error))
    }

    /// A batch as the schema has it, whose first row is `first` of the file.
    pub(crate) fn narrow(&self, batch: RecordBatch, first: u64) -> Result<RecordBatch, Error> {
        if !self.narrows {
            return Ok(batch);
        }
        vectors::narrow(&batch, &self.schema).map_err(|error| match error {
            NotNarrowed::TooPrecise { row, column } => Error::Value {
                file: self.file.to_string(),
                row: first + row as u64,
                column: self.schema.field(column).name().clone(),
                problem: Problem::TooPrecise,
            },
            NotNarrowed::Arrow(error) => damaged(&self.file, error),
        })
    }

    pub(crate) fn block(&self, batch: RecordBatch, has_texts: bool) -> Block {
        let own = |column: &ArrayRef| own_bytes(&column.to_data(), has_texts);
        let bytes = batch.columns().iter().map(own).sum();
        Block { batch, held: self.plan.memory.take(bytes) }
    }
}

/// The bytes of an array, without the pages that its views refer to: those are counted by themselves, but for
/// texts that were made for it.
fn own_bytes(array: &ArrayData, has_texts: bool) -> u64 {
    let is_view = matches!(array.data_type(), DataType::Utf8View | DataType::BinaryView);
    let own = if is_view && !has_texts { 1 } else { usize::MAX };
    let buffers: usize = array.buffers().iter().take(own).map(Buffer::capacity).sum();
    let nulls = array.nulls().map_or(0, |nulls| nulls.buffer().capacity());
    let children: u64 = array.child_data().iter().map(|child| own_bytes(child, has_texts)).sum();
    (buffers + nulls) as u64 + children
}
