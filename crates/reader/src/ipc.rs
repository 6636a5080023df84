//! Rows as an Arrow IPC stream.

use std::fmt;
use std::sync::Arc;

use arrow_array::{RecordBatch, RecordBatchOptions};
use arrow_ipc::writer::StreamWriter;
use arrow_schema::{DataType, Field, FieldRef, Fields, Schema, SchemaRef};

use crate::error::{Error, Problem};
use crate::footer::damaged;
use crate::jsonl::Counts;
use crate::times::{nullable, times_in_a_day};
use crate::vectors::as_vectors;

/// The field, with lists of this size.
fn sized(field: &FieldRef, size: Option<i32>) -> FieldRef {
    match (field.data_type(), size) {
        (DataType::List(item) | DataType::LargeList(item), Some(size)) => {
            let data_type = DataType::FixedSizeList(Arc::clone(item), size);
            Arc::new(Field::clone(field).with_data_type(data_type))
        }
        _ => Arc::clone(field),
    }
}

/// An Arrow IPC stream of one schema, made batch by batch.
pub(crate) struct ArrowStream {
    writer: StreamWriter<Vec<u8>>,
    schema: SchemaRef,
    /// The size of the lists of each column that has one.
    sizes: Vec<Option<i32>>,
    /// No batch was added yet.
    pub(crate) is_empty: bool,
}

impl fmt::Debug for ArrowStream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ArrowStream").field("schema", &self.schema).finish_non_exhaustive()
    }
}

impl ArrowStream {
    /// Begins a stream of batches of `schema`. Its columns may all be null, as those of a later file
    /// may. Lists of columns with `sizes` have a fixed size.
    pub(crate) fn new(file: &str, schema: &Schema, sizes: Vec<Option<i32>>) -> Result<Self, Error> {
        let fields = schema.fields().iter().zip(&sizes);
        let fields: Fields = fields.map(|(field, size)| nullable(&sized(field, *size))).collect();
        let schema = Arc::new(Schema::new_with_metadata(fields, schema.metadata().clone()));
        let writer = StreamWriter::try_new(Vec::new(), &schema);
        let writer = writer.map_err(|error| damaged(file, error))?;
        Ok(Self { writer, schema, sizes, is_empty: true })
    }

    /// Adds a batch of `file`, with null for times outside 0–24 h, which no time of Arrow may be, as they print in
    /// JSON. Its first row is `first` of the file.
    pub(crate) fn add(
        &mut self,
        (file, first): (&str, u64),
        batch: &RecordBatch,
        counts: &mut Counts,
    ) -> Result<(), Error> {
        // Without columns there is nothing else to tell the rows by.
        let rows = RecordBatchOptions::new().with_row_count(Some(batch.num_rows()));
        let mut columns = Vec::with_capacity(batch.num_columns());
        for (index, column) in batch.columns().iter().enumerate() {
            let size = self.sizes.get(index).copied().flatten();
            columns.push(match size.and_then(|size| as_vectors(column, size)) {
                Some(Ok(vectors)) => vectors,
                Some(Err(row)) => {
                    let (file, row) = (file.to_owned(), first + row as u64);
                    let column = batch.schema_ref().field(index).name().clone();
                    return Err(Error::Value { file, row, column, problem: Problem::Length });
                }
                None => times_in_a_day(column, counts).map_err(|error| damaged(file, error))?,
            });
        }
        let schema = Arc::clone(&self.schema);
        let batch = RecordBatch::try_new_with_options(schema, columns, &rows);
        let batch = batch.map_err(|error| Error::SchemaChanged {
            file: file.to_owned(),
            detail: format!("an Arrow stream has one schema ({error})"),
        })?;
        self.is_empty = false;
        self.writer.write(&batch).map_err(|error| damaged(file, error))
    }

    /// Ends the stream.
    pub(crate) fn finish(&mut self) -> Result<(), Error> {
        self.writer.finish().map_err(|error| damaged("the Arrow stream", error))
    }

    /// The bytes that are not written yet.
    pub(crate) fn bytes(&mut self) -> &mut Vec<u8> {
        self.writer.get_mut()
    }
}
