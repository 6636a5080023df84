//! Lists of floats: narrowed to f32, and as lists of a fixed size in Arrow streams.

use std::num::NonZeroUsize;
use std::ops::ControlFlow;
use std::slice::from_ref;
use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::types::{Float32Type, Float64Type};
use arrow_array::{Array, ArrayRef, Int64Array, ListArray, RecordBatch};
use arrow_buffer::OffsetBuffer;
use arrow_ipc::reader::StreamReader;
use arrow_schema::{DataType, Field};
use bytes::Bytes;
use parquet::basic::Compression;
use viking_reader::{
    BatchReader, Error, Input, PrintFormat, PrintOptions, Printer, Problem, ReadOptions,
    StreamLists,
};

use crate::parquet;

type Row = Option<Vec<Option<f64>>>;

fn doubles(rows: &[Row]) -> ArrayRef {
    Arc::new(ListArray::from_iter_primitive::<Float64Type, _, _>(rows.iter().cloned()))
}

#[expect(clippy::cast_possible_truncation, reason = "that is what is tested")]
fn floats(rows: &[Row]) -> ArrayRef {
    let rows = rows
        .iter()
        .map(|row| row.as_ref().map(|row| row.iter().map(|value| value.map(|value| value as f32))));
    Arc::new(ListArray::from_iter_primitive::<Float32Type, _, _>(rows))
}

fn file(column: ArrayRef) -> Bytes {
    let ids = Int64Array::from_iter_values(0..i64::try_from(column.len()).unwrap());
    let batch = RecordBatch::try_from_iter([("id", Arc::new(ids) as ArrayRef), ("v", column)]);
    parquet(&[batch.unwrap()], 64, Compression::SNAPPY)
}

fn print(files: &[Bytes], options: PrintOptions) -> (Vec<u8>, Result<Vec<String>, Error>) {
    let mut out = Vec::new();
    let mut printer = Printer::new(&mut out, options);
    let print_all = |printer: &mut Printer<&mut Vec<u8>>| {
        for (number, file) in files.iter().enumerate() {
            let file = Input::new(format!("{number}.parquet"), file.clone());
            printer.print(&file, &mut |_| ControlFlow::Continue(()))?;
        }
        printer.finish()?;
        Ok(printer.f32_like_columns().to_vec())
    };
    let outcome = print_all(&mut printer);
    drop(printer);
    (out, outcome)
}

fn threads(count: usize) -> PrintOptions {
    PrintOptions::default().with_threads(NonZeroUsize::new(count).unwrap())
}

fn stream() -> PrintOptions {
    PrintOptions::default().with_format(PrintFormat::ArrowStream)
}

/// 500 rows of values that were f32 once, some of them null, and rows that are null or empty.
fn once_floats() -> Vec<Row> {
    let value = |number: u32| match number % 41 {
        0 => None,
        1 => Some(f64::INFINITY),
        2 => Some(f64::from(f32::MIN_POSITIVE / 8.0)),
        3 => Some(-0.0),
        _ => Some(f64::from(0.1_f32 * f32::from(u16::try_from(number % 9_973).unwrap()))),
    };
    let row = |row: u32| match row % 29 {
        0 => None,
        1 => Some(Vec::new()),
        length => Some((0..length).map(|item| value(row * 31 + item)).collect()),
    };
    (0..500).map(row).collect()
}

#[test]
fn doubles_that_were_floats_print_as_the_floats_that_they_were() {
    let rows = once_floats();
    let (narrow, wide) = (file(floats(&rows)), file(doubles(&rows)));
    for count in [1, 2, 8] {
        let (expected, _) = print(&[narrow.clone(), narrow.clone()], threads(count));
        let both = [wide.clone(), wide.clone()];
        let (out, hint) = print(&both, threads(count).with_narrow_floats(true));
        assert_eq!(String::from_utf8(out).unwrap(), String::from_utf8(expected.clone()).unwrap());
        assert!(hint.unwrap().is_empty(), "nothing is left to be narrowed");
        let (out, hint) = print(&both, threads(count));
        assert!(
            out.len() > expected.len() * 3 / 2,
            "as they are stored they have twice the digits"
        );
        assert_eq!(hint.unwrap(), ["v"]);
    }
    let (expected, _) = print(&[narrow], stream());
    let (out, hint) = print(from_ref(&wide), stream().with_narrow_floats(true));
    assert_eq!((out, hint.is_ok()), (expected, true));
    let options = ReadOptions::default().with_narrow_floats(true);
    let batches = BatchReader::from_bytes(wide, &options).unwrap();
    let of_batches: Vec<RecordBatch> = batches.map(Result::unwrap).collect();
    let all = arrow_select::concat::concat_batches(&of_batches[0].schema(), &of_batches).unwrap();
    assert_eq!(all.column(1), &floats(&rows));
}

/// Two vectors of a row each as one tensor.
fn tensors(vectors: &ArrayRef) -> ArrayRef {
    let offsets = (0..=vectors.len() / 2).map(|row| i32::try_from(row * 2).unwrap());
    let item = Arc::new(Field::new_list_field(vectors.data_type().clone(), true));
    let offsets = OffsetBuffer::new(offsets.collect());
    Arc::new(ListArray::new(item, offsets, Arc::clone(vectors), None))
}

#[test]
fn tensors_of_doubles_are_narrowed_as_vectors_are() {
    let mut rows = once_floats();
    let narrow = file(tensors(&floats(&rows)));
    let wide = file(tensors(&doubles(&rows)));
    for options in [threads(1), threads(2), stream()] {
        let (expected, _) = print(from_ref(&narrow), options.clone());
        let (out, hint) = print(from_ref(&wide), options.clone().with_narrow_floats(true));
        assert_eq!((out, hint.unwrap()), (expected, Vec::new()));
    }
    assert_eq!(print(&[wide], threads(2)).1.unwrap(), ["v"]);
    rows[333] = Some(vec![Some(0.5), Some(0.1)]);
    let wrong = file(tensors(&doubles(&rows)));
    let (_, outcome) = print(&[wrong], threads(2).with_narrow_floats(true));
    let Err(Error::Value { row, column, problem, .. }) = outcome else { panic!("{outcome:?}") };
    assert_eq!((row, &*column, problem), (166, "v", Problem::TooPrecise));
}

#[test]
fn a_double_that_is_no_float_is_an_error_that_names_it() {
    let mut rows = once_floats();
    rows[333] = Some(vec![Some(0.5), Some(0.1)]);
    let file = file(doubles(&rows));
    for count in [1, 2, 8] {
        let (_, outcome) = print(from_ref(&file), threads(count).with_narrow_floats(true));
        let Err(Error::Value { row, column, problem, .. }) = outcome else { panic!("{outcome:?}") };
        assert_eq!((row, &*column, problem), (333, "v", Problem::TooPrecise));
    }
}

#[test]
fn only_doubles_that_gain_from_it_are_hinted_at() {
    let hint = |rows: &[Row]| print(&[file(doubles(rows))], threads(2)).1.unwrap();
    assert!(hint(&[Some(vec![Some(0.5), Some(1024.0)])]).is_empty(), "short either way");
    assert!(hint(&[Some(vec![Some(f64::from(0.1_f32)), Some(0.1)])]).is_empty());
    assert!(hint(&[]).is_empty() && hint(&[None, Some(vec![None])]).is_empty());
}

fn schema_and_rows(stream: &[u8]) -> (DataType, ArrayRef) {
    let reader = StreamReader::try_new(stream, None).unwrap();
    let schema = reader.schema();
    let batches: Vec<RecordBatch> = reader.map(Result::unwrap).collect();
    let all = arrow_select::concat::concat_batches(&schema, &batches).unwrap();
    (schema.field(1).data_type().clone(), Arc::clone(all.column(1)))
}

fn of_lengths(lengths: impl IntoIterator<Item = usize>) -> Vec<Row> {
    let row = |(row, length): (usize, usize)| {
        Some(
            (0..length)
                .map(|item| Some(f64::from(u32::try_from(row * 7 + item).unwrap())))
                .collect(),
        )
    };
    lengths.into_iter().enumerate().map(row).collect()
}

/// The values of a list of f32 of either kind.
fn items(list: &dyn Array) -> Vec<f32> {
    let items = match list.data_type() {
        DataType::List(_) => list.as_list::<i32>().values(),
        _ => list.as_fixed_size_list().values(),
    };
    items.as_primitive::<Float32Type>().values().to_vec()
}

#[test]
fn vectors_of_one_length_are_lists_of_a_fixed_size_in_a_stream() {
    let rows = floats(&of_lengths([4; 250]));
    let one = file(Arc::clone(&rows));
    let (out, outcome) = print(&[one.clone(), one.clone()], stream());
    outcome.unwrap();
    let (data_type, values) = schema_and_rows(&out);
    assert!(matches!(data_type, DataType::FixedSizeList(_, 4)), "{data_type}");
    assert_eq!(items(&values), [items(&rows), items(&rows)].concat());
    // Rows from the middle have it as well.
    let (out, _) = print(from_ref(&one), stream().with_offset(101).with_limit(7));
    let (data_type, values) = schema_and_rows(&out);
    assert!(matches!(data_type, DataType::FixedSizeList(_, 4)), "{data_type}");
    assert_eq!(items(&values), items(&rows)[4 * 101..4 * 108]);
    let (out, _) = print(&[one], stream().with_stream_lists(StreamLists::Variable));
    assert_eq!(schema_and_rows(&out).1.as_ref(), rows.as_ref());
}

#[test]
fn other_lists_keep_their_type_in_a_stream() {
    let mut with_null = of_lengths([4; 250]);
    with_null[240] = None;
    let mut with_empty = of_lengths([4; 250]);
    with_empty[240] = Some(Vec::new());
    // The mean is a whole number, and even the length of many.
    let uneven = of_lengths([[4; 40].as_slice(), &[3, 5]].concat());
    let half_null = [vec![None; 150], of_lengths([3; 150])].concat();
    for rows in [with_null, with_empty, uneven, half_null, of_lengths([0; 9]), Vec::new()] {
        let (out, outcome) = print(&[file(floats(&rows))], stream());
        outcome.unwrap();
        let (data_type, values) = schema_and_rows(&out);
        assert!(matches!(data_type, DataType::List(_)), "{data_type}");
        assert_eq!(values.as_ref(), floats(&rows).as_ref());
    }
}

#[test]
fn a_stream_begins_with_the_first_file_that_gives_a_row() {
    let rows = floats(&of_lengths([4; 250]));
    let files = [file(Arc::clone(&rows)), file(Arc::clone(&rows))];
    let (out, outcome) = print(&files, stream().with_offset(300));
    outcome.unwrap();
    let (data_type, values) = schema_and_rows(&out);
    assert!(matches!(data_type, DataType::FixedSizeList(_, 4)), "{data_type}");
    assert_eq!(items(&values), items(&rows)[4 * 50..]);
    let (out, outcome) = print(&files, stream().with_limit(0));
    outcome.unwrap();
    assert!(matches!(schema_and_rows(&out).0, DataType::List(_)), "no row says how long they are");
}

#[test]
fn a_vector_of_a_later_file_may_be_null() {
    let mut later = of_lengths([4; 250]);
    later[0] = None;
    later[249] = None;
    let files = [file(floats(&of_lengths([4; 250]))), file(floats(&later))];
    let (out, outcome) = print(&files, stream());
    outcome.unwrap();
    let (data_type, values) = schema_and_rows(&out);
    assert!(matches!(data_type, DataType::FixedSizeList(_, 4)), "{data_type}");
    let nulls: Vec<usize> = (0..500).filter(|&row| values.is_null(row)).collect();
    assert_eq!((values.len(), nulls), (500, vec![250, 499]));
    let values = values.as_fixed_size_list();
    for (row, expected) in later.iter().enumerate().filter(|(_, row)| row.is_some()) {
        let found = floats(from_ref(expected));
        assert_eq!(values.value(250 + row).as_ref(), found.as_list::<i32>().value(0).as_ref());
    }
}

#[test]
fn a_first_file_whose_vectors_are_all_null_says_nothing_of_their_length() {
    let files = [file(floats(&vec![None; 250])), file(floats(&of_lengths([3; 250])))];
    let (out, outcome) = print(&files, stream());
    outcome.unwrap();
    let (data_type, values) = schema_and_rows(&out);
    assert!(matches!(data_type, DataType::List(_)), "{data_type}");
    assert_eq!((values.len(), values.null_count()), (500, 250));
}

#[test]
fn narrowed_doubles_and_floats_are_columns_of_one_kind() {
    let rows = once_floats();
    let (narrow, wide) = (file(floats(&rows)), file(doubles(&rows)));
    for options in [threads(1), threads(2), stream()] {
        let (expected, outcome) = print(&[narrow.clone(), narrow.clone()], options.clone());
        outcome.unwrap();
        for files in [[narrow.clone(), wide.clone()], [wide.clone(), narrow.clone()]] {
            let (out, outcome) = print(&files, options.clone().with_narrow_floats(true));
            outcome.unwrap();
            assert_eq!(out, expected);
            let (_, outcome) = print(&files, options.clone());
            assert!(matches!(outcome, Err(Error::SchemaChanged { .. })), "{outcome:?}");
        }
    }
}

#[test]
fn a_list_of_another_length_ends_a_stream_of_fixed_sizes_with_its_row() {
    let late = of_lengths([[4; 640].as_slice(), &[3, 5]].concat());
    let (four, five) = (of_lengths([4; 250]), of_lengths([5; 250]));
    let file_of = |rows: &[Row]| file(floats(rows));
    for (files, at) in [(vec![file_of(&late)], 640), (vec![file_of(&four), file_of(&five)], 0)] {
        let (_, outcome) = print(&files, stream());
        let Err(Error::Value { row, column, problem, .. }) = outcome else { panic!("{outcome:?}") };
        assert_eq!((row, &*column, problem), (at, "v", Problem::Length));
        let (out, outcome) = print(&files, stream().with_stream_lists(StreamLists::Variable));
        outcome.unwrap();
        assert!(matches!(schema_and_rows(&out).0, DataType::List(_)));
    }
}
