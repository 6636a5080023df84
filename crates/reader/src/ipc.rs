//! Rows as an Arrow IPC stream.

use std::fmt;
use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::types::{
    ArrowPrimitiveType, Time32MillisecondType, Time32SecondType, Time64MicrosecondType,
    Time64NanosecondType,
};
use arrow_array::{Array, ArrayRef, RecordBatch, RecordBatchOptions};
use arrow_ipc::writer::StreamWriter;
use arrow_schema::{DataType, Field, Fields, Schema, SchemaRef, TimeUnit};

use crate::error::Error;
use crate::footer::damaged;
use crate::jsonl::Counts;

/// An Arrow IPC stream of one schema, made batch by batch.
pub(crate) struct ArrowStream {
    writer: StreamWriter<Vec<u8>>,
    schema: SchemaRef,
}

impl fmt::Debug for ArrowStream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ArrowStream").field("schema", &self.schema).finish_non_exhaustive()
    }
}

impl ArrowStream {
    /// Begins a stream of batches of `schema`. Its columns may all be null, as those of a later file
    /// may.
    pub(crate) fn new(file: &str, schema: &Schema) -> Result<Self, Error> {
        let nullable = |field: &Arc<Field>| Field::clone(field).with_nullable(true);
        let fields: Fields = schema.fields().iter().map(nullable).collect();
        let schema = Arc::new(Schema::new_with_metadata(fields, schema.metadata().clone()));
        let writer = StreamWriter::try_new(Vec::new(), &schema);
        let writer = writer.map_err(|error| damaged(file, error))?;
        Ok(Self { writer, schema })
    }

    /// Adds a batch of `file`.
    pub(crate) fn add(&mut self, file: &str, batch: &RecordBatch) -> Result<(), Error> {
        // Without columns there is nothing else to tell the rows by.
        let rows = RecordBatchOptions::new().with_row_count(Some(batch.num_rows()));
        let (schema, columns) = (Arc::clone(&self.schema), batch.columns().to_vec());
        let batch = RecordBatch::try_new_with_options(schema, columns, &rows);
        let batch = batch.map_err(|error| Error::SchemaChanged {
            file: file.to_owned(),
            detail: format!("an Arrow stream has one schema ({error})"),
        })?;
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

/// The batch with null for times outside 0–24 h, which no time of Arrow may be, as they print in JSON. Those in
/// lists and structs stay as they are.
pub(crate) fn times_in_a_day(
    file: &str,
    batch: RecordBatch,
    counts: &mut Counts,
) -> Result<RecordBatch, Error> {
    let is_time =
        |field: &Arc<Field>| matches!(field.data_type(), DataType::Time32(_) | DataType::Time64(_));
    if !batch.schema_ref().fields().iter().any(is_time) {
        return Ok(batch);
    }
    let nulls = |columns: &[ArrayRef]| columns.iter().map(Array::null_count).sum::<usize>();
    let columns: Vec<ArrayRef> = batch.columns().iter().map(in_a_day).collect();
    let more = nulls(&columns) - nulls(batch.columns());
    if more == 0 {
        return Ok(batch);
    }
    counts.times_out_of_range += more as u64;
    let nullable = |field: &Arc<Field>| Field::clone(field).with_nullable(true);
    let fields: Fields = batch.schema_ref().fields().iter().map(nullable).collect();
    let schema = Schema::new_with_metadata(fields, batch.schema_ref().metadata().clone());
    RecordBatch::try_new(Arc::new(schema), columns).map_err(|error| damaged(file, error))
}

fn in_a_day(column: &ArrayRef) -> ArrayRef {
    match column.data_type() {
        DataType::Time32(TimeUnit::Second) => below::<Time32SecondType>(column, 86_400),
        DataType::Time32(_) => below::<Time32MillisecondType>(column, 86_400_000),
        DataType::Time64(TimeUnit::Microsecond) => {
            below::<Time64MicrosecondType>(column, 86_400_000_000)
        }
        DataType::Time64(_) => below::<Time64NanosecondType>(column, 86_400_000_000_000),
        _ => Arc::clone(column),
    }
}

fn below<T: ArrowPrimitiveType>(column: &ArrayRef, end: T::Native) -> ArrayRef
where
    T::Native: Default + PartialOrd,
{
    let in_range =
        |value: T::Native| (T::Native::default() <= value && value < end).then_some(value);
    match column.as_primitive_opt::<T>() {
        Some(array) => Arc::new(array.unary_opt::<_, T>(in_range)),
        None => Arc::clone(column),
    }
}
