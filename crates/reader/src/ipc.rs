//! Rows as an Arrow IPC stream.

use std::fmt;
use std::sync::Arc;

use arrow_array::{RecordBatch, RecordBatchOptions};
use arrow_ipc::writer::StreamWriter;
use arrow_schema::{Field, Fields, Schema, SchemaRef};

use crate::error::Error;
use crate::footer::damaged;

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
