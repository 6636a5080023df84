//! What some writers do in their own way, and readers in use take all the same.

use std::ops::ControlFlow;
use std::sync::Arc;

use arrow_array::{
    Array, ArrayRef, Int32Array, ListArray, MapArray, RecordBatch, StructArray,
    Time64MicrosecondArray,
};
use arrow_buffer::OffsetBuffer;
use arrow_ipc::reader::StreamReader;
use arrow_schema::{DataType, Field};
use parquet::basic::Compression;
use viking_reader::{ErrorClass, Input, PrintFormat, PrintOptions, Printer};

use crate::foreign::{
    batch_lines, batches, formatted, from_row, lines, lines_with, number_file, number_rows,
    numbers, print,
};
use crate::handmade::{
    BYTE_ARRAY, CONVERTED, Chunk, Column, Data, FIXED_LEN_BYTE_ARRAY, File, GZIP, INT32, LENGTH,
    LZ4, SNAPPY, UTF8, dictionary, int32s, texts,
};
use crate::parquet;

/// Lists of one to four numbers, where each page but the first begins inside a list.
fn lists_across_pages(threads: usize) {
    let items: Vec<(u8, u8)> =
        (0..400).flat_map(|row| (0..=row % 4).map(|item| (u8::from(item > 0), 3))).collect();
    let values: Vec<i32> = (0..items.len()).map(|value| value.try_into().unwrap()).collect();
    let mut pages = Vec::new();
    let mut start = 0;
    while start < items.len() {
        let mut end = items.len().min(start + 50);
        while end < items.len() && items[end].0 == 0 {
            end += 1;
        }
        let plain = int32s(values[start..end].iter().copied());
        pages.push(Data::plain(end - start, plain).levels(&items[start..end]).v2(SNAPPY));
        start = end;
    }
    assert!(pages.len() > 10);
    let file = File::of(Column::list("v", INT32), Chunk::new(SNAPPY, pages)).bytes();
    let mut rows: Vec<String> = Vec::new();
    for (value, (repetition, _)) in values.iter().zip(&items) {
        match rows.last_mut() {
            Some(row) if *repetition > 0 => row.push_str(&format!(",{value}")),
            _ => rows.push(value.to_string()),
        }
    }
    let rows: Vec<String> = rows.iter().map(|row| format!("{{\"v\":[{row}]}}\n")).collect();
    for offset in [0, 1, 17, 99, 100, 399] {
        let options = from_row(offset).with_threads(threads.try_into().unwrap());
        let first = usize::try_from(offset).unwrap();
        assert_eq!(lines_with(&file, options), rows[first..].concat(), "from row {offset}");
    }
    for batch_rows in [1, 7, 100] {
        assert_eq!(batch_lines(&batches(&file, batch_rows)), rows.concat(), "{batch_rows} rows");
    }
}

#[test]
fn pages_of_version_2_may_begin_inside_a_row() {
    for threads in [1, 2, 8] {
        lists_across_pages(threads);
    }
}

/// Pages of both versions and of a dictionary are read whole.
fn check_pages(codec: i32) {
    let data = numbers(0..1500);
    for page in [data.v1(codec), data.v2(codec)] {
        assert_eq!(lines(&number_file(codec, vec![page]).bytes()), number_rows(0..1500));
    }
    let keys: Vec<u8> = (0..200).collect();
    let pages = vec![dictionary(600, &int32s(0..600), codec), Data::keys(&keys).v1(codec)];
    assert_eq!(lines(&number_file(codec, pages).bytes()), number_rows(0..200));
}

#[test]
fn lz4_pages_of_several_hadoop_blocks_are_read_whole() {
    check_pages(LZ4);
}

#[test]
fn gzip_pages_may_have_the_frame_of_zlib() {
    check_pages(GZIP);
}

#[test]
fn a_logical_type_of_a_later_version_leaves_the_physical_one() {
    let number = Column::required("n", INT32).logical(99);
    let number = File::of(number, Chunk::new(SNAPPY, vec![numbers(0..3).v1(SNAPPY)])).bytes();
    assert_eq!(lines(&number), number_rows(0..3));
    let fixed = Column::required("b", FIXED_LEN_BYTE_ARRAY).with(LENGTH, 2).logical(99);
    let page = Data::plain(1, vec![0, 1]).v1(SNAPPY);
    let fixed = File::of(fixed, Chunk::new(SNAPPY, vec![page])).bytes();
    assert_eq!(lines(&fixed), "{\"b\":\"AAE=\"}\n");
    let bytes = Column::required("b", BYTE_ARRAY).logical(99);
    let page = Data::plain(1, texts(&[[0, 1]])).v1(SNAPPY);
    let bytes = File::of(bytes, Chunk::new(SNAPPY, vec![page])).bytes();
    assert_eq!(lines(&bytes), "{\"b\":\"AAE=\"}\n");
}

#[test]
fn a_text_that_is_none_is_told_with_its_column_and_row() {
    let words = [b"good".to_vec(), b"caf\xe9 au lait".to_vec()];
    // In row 250; the lists have three items, the second of which it is.
    let keys: Vec<u8> = (0..300).map(|row| u8::from(row == 250)).collect();
    let in_lists: Vec<u8> = keys.iter().flat_map(|key| [0, *key, 0]).collect();
    let plain = |keys: &[u8]| {
        let values: Vec<_> = keys.iter().map(|key| &words[usize::from(*key)]).collect();
        Data::plain(keys.len(), texts(&values))
    };
    let dictionary = || dictionary(2, &texts(&words), SNAPPY);
    let pages = [
        (false, vec![plain(&keys[..200]).v1(SNAPPY)], vec![plain(&keys[200..]).v2(SNAPPY)]),
        (
            false,
            vec![plain(&keys[..200]).v1(SNAPPY)],
            vec![dictionary(), Data::keys(&keys[200..]).v1(SNAPPY)],
        ),
        (
            true,
            vec![plain(&in_lists[..600]).lists(&[3; 200]).v1(SNAPPY)],
            vec![plain(&in_lists[600..]).lists(&[3; 100]).v2(SNAPPY)],
        ),
    ];
    for (is_list, first, second) in pages {
        let column = if is_list { Column::list } else { Column::required };
        let columns =
            vec![Column::required("n", INT32), column("t", BYTE_ARRAY).with(CONVERTED, UTF8)];
        let chunk = |page| Chunk::new(SNAPPY, page);
        let groups = vec![
            vec![chunk(vec![numbers(0..200).v1(SNAPPY)]), chunk(first)],
            vec![chunk(vec![numbers(200..300).v1(SNAPPY)]), chunk(second)],
        ];
        let file = File::new(columns, groups).bytes();
        for format in [PrintFormat::JsonLines, PrintFormat::ArrowStream] {
            for threads in [1, 2, 8] {
                let threads = threads.try_into().unwrap();
                let (_, rows) = print(&file, formatted(format).with_threads(threads));
                let error = rows.unwrap_err();
                assert_eq!(error.class(), ErrorClass::Data);
                let place = "f: row 250, column \"t\": the text is not valid UTF-8";
                assert!(error.to_string().starts_with(place), "{error}");
            }
        }
    }
}

#[test]
fn a_text_of_a_dictionary_that_is_none_is_told_with_the_first_row_that_has_it() {
    let words = [b"good".to_vec(), b"\xff".to_vec()];
    let keys: Vec<u8> = (0..40_000).map(|row| u8::from(row >= 30_000)).collect();
    let mut pages = vec![dictionary(2, &texts(&words), SNAPPY)];
    pages.extend(keys.chunks(5_000).map(|keys| Data::keys(keys).v1(SNAPPY)));
    let column = Column::required("t", BYTE_ARRAY).with(CONVERTED, UTF8);
    let file = File::of(column, Chunk::new(SNAPPY, pages)).bytes();
    let (_, rows) = print(&file, PrintOptions::default());
    let error = rows.unwrap_err().to_string();
    assert!(error.starts_with("f: row 30000, column \"t\""), "{error}");
}

#[test]
fn times_out_of_the_day_are_counted_inside_lists_too() {
    const DAY: i64 = 86_400_000_000;
    let times: ArrayRef =
        Arc::new(Time64MicrosecondArray::from(vec![0, DAY, -1, DAY - 1, DAY + 1]));
    let field = |name| Arc::new(Field::new(name, times.data_type().clone(), false));
    let offsets = || OffsetBuffer::from_lengths([4, 1]);
    let list = ListArray::try_new(field("item"), offsets(), Arc::clone(&times), None).unwrap();
    let members = StructArray::try_new(
        vec![Field::new("key", DataType::Int32, false), Field::clone(&field("value"))].into(),
        vec![Arc::new(Int32Array::from_iter_values(0..5)), Arc::clone(&times)],
        None,
    );
    let members = members.unwrap();
    let entries = Arc::new(Field::new("entries", members.data_type().clone(), false));
    let map = MapArray::try_new(entries, offsets(), members, None, false).unwrap();
    let inside =
        StructArray::try_new(vec![Field::clone(&field("t"))].into(), vec![times.slice(1, 2)], None);
    let inside = Arc::new(inside.unwrap()) as ArrayRef;
    // A null above members that are not nullable.
    let member = |name: &str, array: &ArrayRef| Field::new(name, array.data_type().clone(), false);
    let number = Arc::new(Int32Array::from(vec![1, 2])) as ArrayRef;
    let outer = StructArray::try_new(
        vec![member("inside", &inside), member("n", &number)].into(),
        vec![Arc::clone(&inside), number],
        Some(vec![true, false].into()),
    );
    let outer = Arc::new(outer.unwrap()) as ArrayRef;
    let batch = RecordBatch::try_from_iter([
        ("list", Arc::new(list) as ArrayRef),
        ("map", Arc::new(map)),
        ("struct", inside),
        ("outer", outer),
    ]);
    let batch = batch.unwrap();
    let file = parquet(&[batch], 10, Compression::SNAPPY);
    let count = |format, offset| {
        let options = formatted(format).with_offset(offset);
        let mut printer = Printer::new(std::io::sink(), options);
        let input = Input::new("f", file.clone());
        printer.print(&input, &mut |_| ControlFlow::Continue(())).unwrap();
        printer.finish().unwrap();
        printer.counts().times_out_of_range
    };
    for (offset, expected) in [(0, 9), (1, 3)] {
        for format in [PrintFormat::JsonLines, PrintFormat::ArrowStream] {
            assert_eq!(count(format, offset), expected, "{format:?} from row {offset}");
        }
    }
    let (out, _) = print(&file, formatted(PrintFormat::ArrowStream));
    let read = StreamReader::try_new(out.as_slice(), None).unwrap();
    let read: Vec<_> = read.map(Result::unwrap).collect();
    assert_eq!(batch_lines(&read), lines(&file));
}
