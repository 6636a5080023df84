//! The peer `arrow-json`: prints a Parquet file and says how long that took, in seconds.
//!
//! `cargo run --release --example arrow_json -- FILE BATCH_ROWS OUTPUT`

use std::error::Error;
use std::fs::File;
use std::sync::Arc;
use std::time::Instant;

use arrow_array::RecordBatch;
use arrow_cast::cast;
use arrow_json::WriterBuilder;
use arrow_json::writer::LineDelimited;
use arrow_schema::{ArrowError, DataType};
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [file, batch_rows, output] = &arguments[..] else {
        return Err("usage: arrow_json FILE BATCH_ROWS OUTPUT".into());
    };
    let start = Instant::now();
    let reader = ParquetRecordBatchReaderBuilder::try_new(File::open(file)?)?
        .with_batch_size(batch_rows.parse()?)
        .build()?;
    let mut writer = WriterBuilder::new()
        .with_explicit_nulls(true)
        .with_timestamp_tz_format("%Y-%m-%dT%H:%M:%S%.3fZ".to_owned())
        .build::<_, LineDelimited>(File::create(output)?);
    for batch in reader {
        writer.write(&in_utc(&batch?)?)?;
    }
    writer.finish()?;
    #[expect(clippy::print_stdout, reason = "the result of this program")]
    {
        println!("{}", start.elapsed().as_secs_f64());
    }
    Ok(())
}

/// Without a database of zones it prints offsets only; this changes no value.
fn in_utc(batch: &RecordBatch) -> Result<RecordBatch, ArrowError> {
    let schema = batch.schema();
    let columns = batch.columns().iter().map(|column| match column.data_type() {
        DataType::Timestamp(unit, Some(_)) => {
            cast(column, &DataType::Timestamp(*unit, Some("+00:00".into())))
        }
        _ => Ok(Arc::clone(column)),
    });
    let columns = columns.collect::<Result<Vec<_>, _>>()?;
    let names = schema.fields().iter().map(|field| field.name());
    RecordBatch::try_from_iter_with_nullable(
        names.zip(columns).map(|(name, column)| (name, column, true)),
    )
}
