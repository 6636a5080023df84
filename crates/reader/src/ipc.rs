//! Rows as an Arrow IPC stream.

use std::fmt;
use std::sync::Arc;

use arrow_array::{RecordBatch, RecordBatchOptions};
use arrow_ipc::writer::StreamWriter;
use arrow_schema::{Fields, Schema, SchemaRef};

use crate::error::Error;
use crate::footer::damaged;
use crate::jsonl::Counts;
use crate::times::{nullable, times_in_a_day};

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
        let fields: Fields = schema.fields().iter().map(nullable).collect();
        let schema = Arc::new(Schema::new_with_metadata(fields, schema.metadata().clone()));
        let writer = StreamWriter::try_new(Vec::new(), &schema);
        let writer = writer.map_err(|error| damaged(file, error))?;
        Ok(Self { writer, schema })
    }

    /// Adds a batch of `file`, with null for times outside 0–24 h, which no time of Arrow may be, as they print in
    /// JSON.
    pub(crate) fn add(
        &mut self,
        file: &str,
        batch: &RecordBatch,
        counts: &mut Counts,
    ) -> Result<(), Error> {
        // Without columns there is nothing else to tell the rows by.
        let rows = RecordBatchOptions::new().with_row_count(Some(batch.num_rows()));
        let columns = batch.columns().iter().map(|column| times_in_a_day(column, counts));
        let columns = columns.collect::<Result<_, _>>().map_err(|error| damaged(file, error))?;
        let schema = Arc::clone(&self.schema);
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
