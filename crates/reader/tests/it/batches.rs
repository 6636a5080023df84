//! Batches have exactly the rows asked for, whatever the file's row groups.

use std::num::NonZeroUsize;

use arrow_select::concat::concat_batches;
use parquet::basic::Compression;
use proptest::prelude::*;
use std::ops::ControlFlow;
use viking_reader::{BatchReader, Error, FnSink, ReadOptions, drive};

use crate::{parquet, simple_rows};

proptest! {
    #![proptest_config(ProptestConfig { cases: 60, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn only_the_last_batch_is_shorter(
        rows in 0..1500_usize,
        group_rows in 1..700_usize,
        batch_rows in prop::sample::select(vec![1_usize, 7, 100, 101, 5000]),
        offset in 0..1600_u64,
        limit in prop::option::of(0..1600_u64),
    ) {
        let all = simple_rows(0, rows);
        let file = parquet(std::slice::from_ref(&all), group_rows, Compression::SNAPPY);
        let options = ReadOptions::default()
            .with_batch_rows(NonZeroUsize::new(batch_rows).unwrap())
            .with_offset(offset)
            .with_limit(limit);
        let reader = BatchReader::from_bytes(file, &options).unwrap();
        let batches: Vec<_> = reader.map(Result::unwrap).collect();
        let start = usize::try_from(offset).unwrap().min(rows);
        let count = limit.map_or(rows - start, |limit| usize::try_from(limit).unwrap().min(rows - start));
        prop_assert_eq!(batches.len(), count.div_ceil(batch_rows));
        for batch in batches.iter().rev().skip(1) {
            prop_assert_eq!(batch.num_rows(), batch_rows);
        }
        let read = concat_batches(&all.schema(), &batches).unwrap();
        prop_assert_eq!(read, all.slice(start, count));
    }
}

#[test]
fn columns_are_chosen_by_name_and_keep_the_files_order() {
    let file = parquet(&[simple_rows(0, 10)], 100, Compression::SNAPPY);
    let read = |columns: &[&str]| {
        let options = ReadOptions::default().with_columns(columns.iter().copied());
        BatchReader::from_bytes(file.clone(), &options)
    };
    let names = |columns: &[&str]| {
        let reader = read(columns).unwrap();
        reader.schema().fields().iter().map(|field| field.name().clone()).collect::<Vec<_>>()
    };
    assert_eq!(names(&["text", "id"]), ["id", "text"]);
    assert_eq!(names(&["text"]), ["text"]);
    let rows: usize = read(&[]).unwrap().map(|batch| batch.unwrap().num_rows()).sum();
    assert_eq!(rows, 10, "rows are counted without columns too");
    let unknown = read(&["txt"]).unwrap_err();
    assert!(
        matches!(&unknown, Error::UnknownColumn { column, .. } if column == "txt"),
        "{unknown}"
    );
}

#[test]
fn a_sink_may_stop_early() {
    let file = parquet(&[simple_rows(0, 1000)], 333, Compression::SNAPPY);
    let mut seen = Vec::new();
    let mut sink = FnSink(|batch: &arrow_array::RecordBatch| {
        seen.push(batch.num_rows());
        if seen.len() == 3 { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    });
    let reader = BatchReader::from_bytes(file, &ReadOptions::default()).unwrap();
    let summary = drive(reader, &mut sink).unwrap();
    assert_eq!((summary.batches, summary.rows), (3, 300));
    assert_eq!(seen, [100, 100, 100]);
}
