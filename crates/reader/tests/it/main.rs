//! Tests of the reader through its public interface.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a test may fail where it stands")]

mod arrays;
mod batches;
mod contract;
mod damaged;
mod foreign;
mod handmade;
mod lanes;
mod oracle;
mod parquet_testing;
mod printer;
mod shapes;
mod vectors;
mod writers;

use std::sync::Arc;

use arrow_array::RecordBatch;
use bytes::Bytes;
use parquet::arrow::ArrowWriter;
use parquet::basic::Compression;
use parquet::file::properties::WriterProperties;

/// Writes batches as a Parquet file in memory with row groups of `group_rows` rows.
pub(crate) fn parquet(batches: &[RecordBatch], group_rows: usize, codec: Compression) -> Bytes {
    let properties = WriterProperties::builder()
        .set_max_row_group_row_count(Some(group_rows))
        .set_data_page_row_count_limit(37)
        .set_write_batch_size(16)
        .set_compression(codec)
        .build();
    let schema = batches[0].schema();
    let mut writer = ArrowWriter::try_new(Vec::new(), schema, Some(properties)).unwrap();
    for batch in batches {
        writer.write(batch).unwrap();
    }
    writer.into_inner().unwrap().into()
}

/// `rows` rows of an id and a text.
pub(crate) fn simple_rows(first: i64, rows: usize) -> RecordBatch {
    use arrow_array::{Int64Array, StringArray};
    let ids = first..first + i64::try_from(rows).unwrap();
    let texts = ids.clone().map(|id| (id % 7 != 0).then(|| format!("row \"{id}\"")));
    RecordBatch::try_from_iter_with_nullable([
        ("id", Arc::new(Int64Array::from_iter_values(ids.clone())) as _, false),
        ("text", Arc::new(texts.collect::<StringArray>()) as _, true),
    ])
    .unwrap()
}
