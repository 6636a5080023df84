//! Files as other programs write them, and as they should not: what is read all the same, what is refused,
//! and with which words.

use std::ops::{ControlFlow, Range};
use std::slice;
use std::sync::Arc;

use arrow_array::types::Int8Type;
use arrow_array::{
    ArrayRef, DictionaryArray, Int8Array, Int64Array, RecordBatch, StringArray, new_null_array,
};
use arrow_ipc::reader::StreamReader;
use arrow_schema::{DataType, Field, Schema, TimeUnit};
use bytes::Bytes;
use parquet::arrow::encode_arrow_schema;
use parquet::basic::Compression;
use viking_reader::{
    BatchReader, Error, ErrorClass, Excess, ExcessKind, FileRows, Footer, Input, JsonLines,
    JsonOptions, PrintFormat, PrintOptions, Printer, ReadOptions,
};

use crate::handmade::{
    BYTE_ARRAY, CONVERTED, Chunk, Column, DECIMAL, Data, DictionaryOffset, ENUM,
    FIXED_LEN_BYTE_ARRAY, File, INT32, INT64, INT96, JSON, LENGTH, PLAIN_BYTES, PRECISION, Page,
    SNAPPY, Thrift, UTF8, Unknown, dictionary, index_page, int32s, texts,
};
use crate::shapes::{shapes_beyond_memory, shapes_within_memory};
use crate::{parquet, simple_rows};

/// What is printed of some files, and what is told of the last.
fn print_files(files: &[Bytes], options: PrintOptions) -> (Vec<u8>, Result<FileRows, Error>) {
    let mut out = Vec::new();
    let mut printer = Printer::new(&mut out, options);
    let mut print = || {
        let mut last = FileRows::default();
        for file in files {
            last = printer
                .print(&Input::new("f", file.clone()), &mut |_| ControlFlow::Continue(()))?;
        }
        printer.finish().map(|_| last)
    };
    let outcome = print();
    drop(printer);
    (out, outcome)
}

pub(crate) fn print(file: &Bytes, options: PrintOptions) -> (Vec<u8>, Result<FileRows, Error>) {
    print_files(slice::from_ref(file), options)
}

pub(crate) fn lines_with(file: &Bytes, options: PrintOptions) -> String {
    let (out, rows) = print(file, options);
    rows.unwrap();
    String::from_utf8(out).unwrap()
}

pub(crate) fn lines(file: &Bytes) -> String {
    lines_with(file, PrintOptions::default())
}

pub(crate) fn formatted(format: PrintFormat) -> PrintOptions {
    PrintOptions::default().with_format(format)
}

pub(crate) fn from_row(offset: u64) -> PrintOptions {
    PrintOptions::default().with_offset(offset)
}

pub(crate) fn unsupported(file: &Bytes) -> String {
    match print(file, PrintOptions::default()) {
        (out, Err(error @ Error::Unsupported { .. })) if out.is_empty() => error.to_string(),
        (_, other) => panic!("{other:?}"),
    }
}

/// For a column `n`, which has all numbers from one to another.
pub(crate) fn numbers(range: Range<i32>) -> Data {
    Data::plain(range.len(), int32s(range))
}

pub(crate) fn number_rows(range: Range<i32>) -> String {
    range.map(|number| format!("{{\"n\":{number}}}\n")).collect()
}

pub(crate) fn number_file(codec: i32, pages: Vec<Page>) -> File {
    File::of(Column::required("n", INT32), Chunk::new(codec, pages))
}

fn footer(file: &Bytes) -> Footer {
    Footer::read(&Input::new("f", file.clone())).unwrap()
}

pub(crate) fn batches(file: &Bytes, batch_rows: usize) -> Vec<RecordBatch> {
    let batch_rows = batch_rows.try_into().unwrap();
    let options = ReadOptions::default().with_batch_rows(batch_rows);
    BatchReader::from_bytes(file.clone(), &options).unwrap().map(Result::unwrap).collect()
}

pub(crate) fn batch_lines(batches: &[RecordBatch]) -> String {
    let mut out = Vec::new();
    for batch in batches {
        let lines = JsonLines::new("batches", &batch.schema(), &JsonOptions::default());
        lines.unwrap().encode(batch, &mut out).unwrap();
    }
    String::from_utf8(out).unwrap()
}

fn utf8_dictionary() -> DataType {
    DataType::Dictionary(Box::new(DataType::Int32), Box::new(DataType::Utf8))
}

fn list_of(item: DataType) -> DataType {
    DataType::List(Arc::new(Field::new("element", item, true)))
}

/// A text and `x`: as two rows or as one list, and plain or in a dictionary.
fn two_texts(
    kind: Option<&DataType>,
    annotation: Option<i32>,
    (in_list, has_dictionary): (bool, bool),
    text: &[u8],
) -> Bytes {
    let column = if in_list { Column::list } else { Column::required };
    let mut column = column("v", BYTE_ARRAY);
    if let Some(annotation) = annotation {
        column = column.with(CONVERTED, annotation);
    }
    let values = texts(&[text, b"x"]);
    let (mut pages, mut data) = (Vec::new(), Data::plain(2, values.clone()));
    if has_dictionary {
        pages.push(dictionary(2, &values, PLAIN_BYTES));
        data = Data::keys(&[0, 1]);
    }
    pages.push(if in_list { data.lists(&[2]) } else { data }.v1(PLAIN_BYTES));
    let mut file = File::of(column, Chunk::new(PLAIN_BYTES, pages));
    file.arrow_schema = kind.map(|kind| {
        let kind = if in_list { list_of(kind.clone()) } else { kind.clone() };
        encode_arrow_schema(&Schema::new(vec![Field::new("v", kind, in_list)]))
    });
    file.bytes()
}

#[test]
fn texts_that_only_the_arrow_schema_makes_texts_are_checked() {
    const WRONG: &[u8] = b"caf\xe9 au lait";
    let kinds = [DataType::Utf8, DataType::LargeUtf8, utf8_dictionary()];
    let mut cases = vec![(None, Some(ENUM)), (None, Some(JSON))];
    for kind in &kinds {
        cases.extend([None, Some(ENUM), Some(JSON)].map(|annotation| (Some(kind), annotation)));
    }
    for (kind, annotation) in cases {
        for shape in [(false, false), (false, true), (true, false), (true, true)] {
            let case = format!("{kind:?}, annotation {annotation:?}, (list, dictionary) {shape:?}");
            let file = two_texts(kind, annotation, shape, "café".as_bytes());
            let flat = "{\"v\":\"café\"}\n{\"v\":\"x\"}\n";
            let expected = if shape.0 { "{\"v\":[\"café\",\"x\"]}\n" } else { flat };
            assert_eq!(lines(&file), expected, "{case}");
            assert_eq!(batch_lines(&batches(&file, 100)), expected, "{case}");
            let (out, rows) = print(&file, formatted(PrintFormat::ArrowStream));
            assert_eq!(rows.unwrap().printed, if shape.0 { 1 } else { 2 }, "{case}");
            let read = StreamReader::try_new(out.as_slice(), None).unwrap();
            let read: Vec<_> = read.map(Result::unwrap).collect();
            assert_eq!(batch_lines(&read), expected, "{case}");
            let file = two_texts(kind, annotation, shape, WRONG);
            for format in [PrintFormat::JsonLines, PrintFormat::ArrowStream] {
                let (out, rows) = print(&file, formatted(format));
                let error = rows.unwrap_err();
                assert_eq!(error.class(), ErrorClass::Data, "{case}: {error}");
                assert!(!out.windows(WRONG.len()).any(|bytes| bytes == WRONG), "{case}");
            }
            let reader = BatchReader::from_bytes(file, &ReadOptions::default()).unwrap();
            let outcome: Result<Vec<_>, _> = reader.collect();
            assert_eq!(outcome.unwrap_err().class(), ErrorClass::Data, "{case}");
        }
    }
}

#[test]
fn narrow_keys_become_wide_enough_for_the_dictionaries_of_all_row_groups() {
    let values: Vec<String> = (0..300).map(|number| format!("value {number}")).collect();
    let group = |values: &[String]| {
        let keys = Int8Array::from_iter_values(0..100);
        let values = StringArray::from_iter_values(values);
        let column = DictionaryArray::<Int8Type>::new(keys, Arc::new(values));
        RecordBatch::try_from_iter([("v", Arc::new(column) as ArrayRef)]).unwrap()
    };
    let groups: Vec<_> = values.chunks(100).map(group).collect();
    let file = parquet(&groups, 100, Compression::SNAPPY);
    assert_eq!(footer(&file).row_group_rows().collect::<Vec<_>>(), [100, 100, 100]);
    let expected: String = values.iter().map(|value| format!("{{\"v\":\"{value}\"}}\n")).collect();
    assert_eq!(lines(&file), expected);
    for rows in [100, 150, 300] {
        let batches = batches(&file, rows);
        assert!(batches.iter().all(|batch| batch.num_rows() == rows), "{rows} rows");
        assert_eq!(batches[0].schema().field(0).data_type(), &utf8_dictionary());
        assert_eq!(batch_lines(&batches), expected, "{rows} rows");
    }
}

#[test]
fn a_dictionary_is_found_whatever_the_footer_says_of_its_place() {
    let column = Column::required("t", BYTE_ARRAY).with(CONVERTED, UTF8);
    let values = texts(&["one", "two"]);
    let keys = vec![dictionary(2, &values, SNAPPY), Data::keys(&[0, 1]).v1(SNAPPY)];
    let plain = vec![Data::plain(2, values).v1(SNAPPY)];
    for offset in [DictionaryOffset::Right, DictionaryOffset::Zero, DictionaryOffset::Missing] {
        for (pages, what) in [(&keys, "a dictionary"), (&plain, "none")] {
            let mut chunk = Chunk::new(SNAPPY, pages.clone());
            chunk.dictionary_offset = offset;
            let file = File::of(column.clone(), chunk).bytes();
            let expected = "{\"t\":\"one\"}\n{\"t\":\"two\"}\n";
            assert_eq!(lines(&file), expected, "{offset:?}, {what}");
            assert_eq!(batch_lines(&batches(&file, 100)), expected, "{offset:?}, {what}");
        }
    }
}

#[test]
fn a_decimal_without_a_scale_has_the_scale_0() {
    let fixed = Column::required("d", FIXED_LEN_BYTE_ARRAY).with(LENGTH, 4);
    let (narrow, wide) = ((-7_i32).to_le_bytes().to_vec(), (-7_i64).to_le_bytes().to_vec());
    let cases = [
        (Column::required("d", INT32), narrow),
        (Column::required("d", INT64), wide),
        (fixed, (-7_i32).to_be_bytes().to_vec()),
        (Column::required("d", BYTE_ARRAY), texts(&[[0xf9_u8]])),
    ];
    for (index, (column, value)) in cases.into_iter().enumerate() {
        let column = column.with(CONVERTED, DECIMAL).with(PRECISION, 9);
        let page = Data::plain(1, value).v1(PLAIN_BYTES);
        let file = File::of(column, Chunk::new(PLAIN_BYTES, vec![page])).bytes();
        assert_eq!(footer(&file).schema().field(0).data_type(), &DataType::Decimal128(9, 0));
        assert_eq!(lines(&file), "{\"d\":-7}\n", "case {index}");
    }
}

/// Nanoseconds of the day, Julian day, and what is printed.
const INSTANTS: [(i64, i32, &str); 6] = [
    (1, 1_721_426, "0001-01-01T00:00:00.000000001"),
    (86_399_999_999_999, 5_373_484, "9999-12-31T23:59:59.999999999"),
    (-1, 2_440_588, "1969-12-31T23:59:59.999999999"),
    (86_400_000_000_005, 2_440_588, "1970-01-02T00:00:00.000000005"),
    (i64::MAX, 2_440_588, "2262-04-11T23:47:16.854775807"),
    (i64::MIN, 2_440_588, "1677-09-21T00:12:43.145224192"),
];

#[test]
fn int96_prints_nine_digits_of_all_years() {
    let mut values: Vec<u8> = Vec::new();
    for (nanos, day, _) in INSTANTS {
        values.extend(nanos.to_le_bytes());
        values.extend(day.to_le_bytes());
    }
    let quoted = INSTANTS.map(|(_, _, text)| format!("\"{text}\""));
    let in_list = format!("{{\"at\":[{}]}}\n", quoted.join(","));
    let rows = quoted.map(|text| format!("{{\"at\":{text}}}\n"));
    let plain = Data::plain(6, values.clone());
    let with_dictionary = |keys: Data| vec![dictionary(6, &values, SNAPPY), keys.v1(SNAPPY)];
    let (flat, list) = (Column::required("at", INT96), Column::list("at", INT96));
    let backwards = with_dictionary(Data::keys(&[5, 4, 3, 2, 1, 0]));
    let keys_in_list = with_dictionary(Data::keys(&[0, 1, 2, 3, 4, 5]).lists(&[6]));
    let optional = plain.clone().optional(&[false, true, true, true, true, true, true]);
    let with_null = format!("{{\"at\":null}}\n{}", rows.concat());
    let cases = [
        (flat.clone(), vec![plain.v1(SNAPPY)], rows.concat()),
        (flat, backwards, rows.iter().rev().cloned().collect()),
        (Column::optional("at", INT96), vec![optional.v2(SNAPPY)], with_null),
        (list.clone(), vec![plain.lists(&[6]).v1(SNAPPY)], in_list.clone()),
        (list, keys_in_list, in_list),
    ];
    for (column, pages, expected) in cases {
        let file = File::of(column, Chunk::new(SNAPPY, pages)).bytes();
        assert_eq!(lines(&file), expected);
        let schema = Arc::clone(footer(&file).schema());
        let kind = match schema.field(0).data_type() {
            DataType::List(item) => item.data_type(),
            other => other,
        };
        assert_eq!(kind, &DataType::Timestamp(TimeUnit::Microsecond, None));
        let batch = &batches(&file, 100)[0];
        assert_eq!(batch.schema().field(0).data_type(), schema.field(0).data_type());
        assert_eq!(batch.num_rows(), expected.lines().count());
    }
}

/// Statistics of the right types that say nothing true.
fn garbage() -> Thrift {
    let values = Thrift::default().binary(1, b"\xff\0\xfe").binary(2, &[]);
    values.i64(3, -1).i64(4, i64::MIN).binary(5, &[0xc3; 41]).binary(6, b"z")
}

#[test]
fn missing_counts_and_damaged_statistics_lose_no_row() {
    let flat = [
        Data::plain(2, int32s([1, 3])).optional(&[true, false, true]),
        Data::plain(1, int32s([5])).optional(&[false, true]),
    ];
    let list = [
        Data::plain(3, int32s([1, 2, 3])).lists(&[2, 0, 1]),
        Data::plain(3, int32s([4, 5, 6])).lists(&[1, 2]),
    ];
    let (items, lists) = (["1", "null", "3", "null", "5"], ["[1,2]", "[]", "[3]", "[4]", "[5,6]"]);
    let cases =
        [(Column::optional("v", INT32), flat, items), (Column::list("v", INT32), list, lists)];
    for (column, pages, values) in cases {
        for codec in [PLAIN_BYTES, SNAPPY] {
            for (count, version) in [(-1, 2), (0, 2), (0, 1)] {
                let mut made = Vec::new();
                for mut data in pages.clone() {
                    data.statistics = Some(garbage());
                    if count < 0 {
                        (data.nulls, data.rows) = (count, count);
                    }
                    made.push(if version == 1 { data.v1(codec) } else { data.v2(codec) });
                }
                let mut chunk = Chunk::new(codec, made);
                chunk.statistics = Some(garbage());
                let file = File::of(column.clone(), chunk).bytes();
                let case = format!("codec {codec}, version {version}, counts {count}");
                let rows = values.map(|value| format!("{{\"v\":{value}}}\n"));
                for skipped in 0..rows.len() {
                    let text = lines_with(&file, from_row(skipped as u64));
                    assert_eq!(text, rows[skipped..].concat(), "{case}, from row {skipped}");
                }
                assert_eq!(batches(&file, 100)[0].num_rows(), 5, "{case}");
            }
        }
    }
}

#[test]
fn another_total_in_the_footer_is_told_and_changes_nothing() {
    let chunk = |range| vec![Chunk::new(PLAIN_BYTES, vec![numbers(range).v1(PLAIN_BYTES)])];
    let mut file = File::new(vec![Column::required("n", INT32)], vec![chunk(0..3), chunk(3..5)]);
    let declared = [Some(5), Some(7), Some(3), Some(0), Some(-1), Some(i64::MIN), None];
    let other_totals = [None, Some(7), Some(3), Some(0), None, None, None];
    for (declared, other_total) in declared.into_iter().zip(other_totals) {
        file.rows = declared;
        let bytes = file.bytes();
        let (out, rows) = print(&bytes, PrintOptions::default());
        assert_eq!(out, number_rows(0..5).as_bytes());
        let rows = rows.unwrap();
        let told = (rows.rows, rows.printed, rows.other_total);
        assert_eq!(told, (Some(5), 5, other_total), "{declared:?}");
        let footer = footer(&bytes);
        assert_eq!((footer.rows(), footer.other_total()), (5, other_total), "{declared:?}");
    }
}

#[test]
fn what_is_not_read_is_refused_by_name() {
    let deep = unsupported(&File::new(vec![Column::nested(70)], Vec::new()).bytes());
    assert!(deep.contains("\"c65\" is nested deeper than 64 levels"), "{deep}");
    let columns = vec![Column::required("n", INT32), Column::group_without_members("none")];
    let group = unsupported(&File::new(columns, Vec::new()).bytes());
    assert!(group.contains("\"none\" is a group without members"), "{group}");
    let mut chunk = Chunk::new(PLAIN_BYTES, vec![numbers(0..1).v1(PLAIN_BYTES)]);
    chunk.is_encrypted = true;
    let encrypted = File::of(Column::required("n", INT32), chunk).bytes();
    let error = print(&encrypted, PrintOptions::default()).1.unwrap_err();
    assert!(matches!(error, Error::Encrypted { .. }), "{error}");
}

#[test]
fn joined_files_are_refused_and_a_gap_before_the_footer_is_not() {
    let mut made = number_file(PLAIN_BYTES, vec![numbers(0..2).v1(PLAIN_BYTES)]);
    let by_hand = made.bytes();
    let written = parquet(&[simple_rows(0, 10)], 4, Compression::SNAPPY);
    let empty = File::new(vec![Column::required("n", INT32)], Vec::new()).bytes();
    for (first, last) in
        [(&by_hand, &written), (&written, &by_hand), (&by_hand, &by_hand), (&written, &empty)]
    {
        let message = unsupported(&Bytes::from([&first[..], &last[..]].concat()));
        assert!(message.contains("several Parquet files one behind the other"), "{message}");
    }
    for gap in [1, 11, 12, 64] {
        made.gap = gap;
        assert_eq!(lines(&made.bytes()), number_rows(0..2), "{gap} bytes");
    }
}

#[test]
fn pages_of_an_index_are_passed_over_and_headers_may_be_long() {
    for bytes in [1, 600, 9_000, 200_000] {
        let (mut first, mut second) = (numbers(0..2), numbers(2..4));
        for data in [&mut first, &mut second] {
            data.statistics = Some(garbage().binary(5, &vec![b'z'; bytes]));
        }
        let (first, second) = (first.v1(PLAIN_BYTES), second.v2(PLAIN_BYTES));
        let pages = vec![first, index_page(), index_page(), second, index_page()];
        let file = number_file(PLAIN_BYTES, pages).bytes();
        assert_eq!(lines(&file), number_rows(0..4), "{bytes} bytes");
        assert_eq!(lines_with(&file, from_row(3)), number_rows(3..4), "{bytes} bytes");
        assert_eq!(batch_lines(&batches(&file, 100)), number_rows(0..4), "{bytes} bytes");
    }
}

/// Reads a file in which every struct of the format comes twice, with these fields in each.
fn check_all_structs(unknown: Unknown) {
    let mut text = Data::keys(&[0, 1, 0]);
    let mut number = Data::plain(2, int32s([1, 3])).optional(&[true, false, true]);
    let mut list = Data::plain(3, int32s([10, 20, 30])).lists(&[2, 0, 1]);
    for data in [&mut text, &mut number, &mut list] {
        data.statistics = Some(garbage());
    }
    let words = dictionary(2, &texts(&["a", "b"]), SNAPPY);
    let mut chunks = vec![
        Chunk::new(SNAPPY, vec![words, text.v1(SNAPPY)]),
        Chunk::new(SNAPPY, vec![number.v2(SNAPPY)]),
        Chunk::new(PLAIN_BYTES, vec![index_page(), list.v2(PLAIN_BYTES)]),
    ];
    for chunk in &mut chunks {
        chunk.statistics = Some(garbage());
    }
    let text = Column::required("t", BYTE_ARRAY).with(CONVERTED, UTF8);
    let columns = vec![text, Column::optional("n", INT32), Column::list("l", INT32)];
    let mut file = File::new(columns, vec![chunks.clone(), chunks]);
    let fields = vec![
        Field::new("t", DataType::LargeUtf8, false),
        Field::new("n", DataType::Int32, true),
        Field::new("l", list_of(DataType::Int32), true),
    ];
    file.arrow_schema = Some(encode_arrow_schema(&Schema::new(fields)));
    file.unknown = unknown;
    let file = file.bytes();
    let group = concat!(
        "{\"t\":\"a\",\"n\":1,\"l\":[10,20]}\n",
        "{\"t\":\"b\",\"n\":null,\"l\":[]}\n",
        "{\"t\":\"a\",\"n\":3,\"l\":[30]}\n",
    );
    assert_eq!(footer(&file).schema().field(0).data_type(), &DataType::LargeUtf8);
    assert_eq!(lines(&file), group.repeat(2));
    assert_eq!(batch_lines(&batches(&file, 100)), group.repeat(2));
}

#[test]
fn unknown_fields_of_all_structs_are_passed_over() {
    check_all_structs(Unknown::None);
    check_all_structs(Unknown::Values);
}

#[test]
fn unknown_flags_of_all_structs_are_passed_over() {
    check_all_structs(Unknown::Flags);
}

/// A Parquet file and a JSON export of one row with these columns, each of which holds 1.
fn ones(names: &[&str]) -> [Bytes; 2] {
    let one = || Arc::new(Int64Array::from(vec![1])) as ArrayRef;
    let batch = RecordBatch::try_from_iter(names.iter().map(|name| (*name, one()))).unwrap();
    let members: Vec<String> = names.iter().map(|name| format!("\"{name}\": 1")).collect();
    let json = format!("{{{}}}\n", members.join(", "));
    [parquet(&[batch], 10, Compression::SNAPPY), json.into()]
}

fn chosen(columns: &[&str], drop: &[&str]) -> PrintOptions {
    let options = PrintOptions::default().with_drop(drop.iter().copied());
    if columns.is_empty() { options } else { options.with_columns(columns.iter().copied()) }
}

#[test]
fn commas_are_part_of_a_name_where_a_column_has_them() {
    let cases: [(&[&str], &[&str], &str); 6] = [
        (&["a, b"], &[], r#"{"a, b":1}"#),
        (&[], &["a, b"], r#"{"c":1,"x":1,"y":1}"#),
        (&["x,y"], &[], r#"{"x":1,"y":1}"#),
        (&[], &["x,y"], r#"{"a, b":1,"c":1}"#),
        (&["y,x", "a, b"], &[], r#"{"a, b":1,"x":1,"y":1}"#),
        (&["a, b", "x,y"], &["y"], r#"{"a, b":1,"x":1}"#),
    ];
    for file in ones(&["a, b", "c", "x", "y"]) {
        for (columns, drop, expected) in cases {
            let text = lines_with(&file, chosen(columns, drop));
            assert_eq!(text, format!("{expected}\n"), "{columns:?} without {drop:?}");
        }
        for options in [chosen(&["x,z"], &[]), chosen(&[], &["x,z"])] {
            let error = print(&file, options).1.unwrap_err();
            assert!(matches!(&error, Error::UnknownColumn { column, .. } if column == "z"));
        }
    }
}

#[test]
fn a_name_with_commas_does_not_mean_its_parts_too() {
    for file in ones(&["a", "a,b", "b"]) {
        assert_eq!(lines_with(&file, chosen(&["a,b"], &[])), "{\"a,b\":1}\n");
        assert_eq!(lines_with(&file, chosen(&[], &["a,b"])), "{\"a\":1,\"b\":1}\n");
    }
}

/// A row of two nulls: `v`, and a column that has another name for each type.
fn null_of(kind: &DataType) -> Bytes {
    let (name, column) = (format!("only {kind}"), new_null_array(kind, 1));
    let columns = [("v", Arc::clone(&column), true), (name.as_str(), column, true)];
    let batch = RecordBatch::try_from_iter_with_nullable(columns).unwrap();
    parquet(&[batch], 10, Compression::SNAPPY)
}

#[test]
fn files_differ_where_their_values_would_print_in_another_way() {
    use DataType::{Decimal128, Float32, Float64, Int16, Int32, Int64, LargeUtf8, Utf8};
    let (list, item) = (|| list_of(Int32), || Arc::new(Field::new("element", Int32, true)));
    let (large, fixed) = (DataType::LargeList(item()), DataType::FixedSizeList(item(), 1));
    let cases = [
        (Utf8, LargeUtf8, true),
        (Utf8, utf8_dictionary(), true),
        (utf8_dictionary(), LargeUtf8, true),
        (list(), large.clone(), true),
        (list(), fixed.clone(), true),
        (large, fixed, true),
        (list_of(Utf8), list_of(utf8_dictionary()), true),
        (Int16, Int32, true),
        (Decimal128(10, 2), Decimal128(12, 2), true),
        (Decimal128(10, 2), Decimal128(10, 3), false),
        (Int32, Int64, false),
        (Float32, Float64, false),
        (list(), list_of(Int64), false),
    ];
    let is_change = |outcome: Result<FileRows, Error>| match outcome {
        Ok(_) => false,
        Err(Error::SchemaChanged { .. }) => true,
        Err(other) => panic!("{other}"),
    };
    for (one, two, is_alike) in cases {
        let (case, one, two) = (format!("{one} and {two}"), null_of(&one), null_of(&two));
        for files in [[one.clone(), two.clone()], [two, one]] {
            let (out, outcome) = print_files(&files, chosen(&["v"], &[]));
            let rows = if is_alike { 2 } else { 1 };
            assert_eq!(out, "{\"v\":null}\n".repeat(rows).as_bytes(), "{case}");
            assert_eq!(is_change(outcome), !is_alike, "{case}");
            // The other column is not chosen above.
            assert!(is_change(print_files(&files, PrintOptions::default()).1), "{case}");
            let stream = chosen(&["v"], &[]).with_format(PrintFormat::ArrowStream);
            assert!(is_change(print_files(&files, stream).1), "{case}");
        }
    }
}

fn within(memory: u64, threads: usize) -> PrintOptions {
    PrintOptions::default().with_memory_bytes(memory).with_threads(threads.try_into().unwrap())
}

#[test]
fn rows_that_grow_as_they_are_read_stay_within_the_memory() {
    for (what, file, expected) in shapes_within_memory() {
        for memory in [4 << 20, 16 << 20, u64::MAX] {
            for threads in [1, 2, 8] {
                let case = format!("{what}, {memory} bytes, {threads} threads");
                let (out, rows) = print(&file, within(memory, threads));
                assert!(out == expected.as_bytes(), "{case}");
                assert_eq!(rows.unwrap().excess, None, "{case}");
            }
        }
    }
}

#[test]
fn a_page_or_a_row_beyond_the_memory_is_printed_and_told() {
    for (what, file, expected) in shapes_beyond_memory() {
        for threads in [1, 2, 8] {
            let (out, rows) = print(&file, within(u64::MAX, threads));
            assert!(out == expected.as_bytes(), "{what}");
            assert_eq!(rows.unwrap().excess, None, "{what}");
            let (out, rows) = print(&file, within(1 << 20, threads));
            assert!(out == expected.as_bytes(), "{what}, {threads} threads");
            let row = (ExcessKind::Row, expected.len() as u64);
            let (kind, bytes) =
                if what == "a long page" { (ExcessKind::Page, 3 << 20) } else { row };
            let excess = Excess { column: "t".to_owned(), kind, bytes };
            assert_eq!(rows.unwrap().excess, Some(excess), "{what}, {threads} threads");
        }
    }
}

#[test]
fn batches_have_100_rows_whatever_those_take() {
    for (what, file, expected) in shapes_within_memory().into_iter().chain(shapes_beyond_memory()) {
        let batches = batches(&file, 100);
        let rows = expected.lines().count();
        assert_eq!(batches.len(), rows.div_ceil(100), "{what}");
        for (index, batch) in batches.iter().enumerate() {
            assert_eq!(batch.num_rows(), (rows - index * 100).min(100), "{what}, batch {index}");
        }
        assert!(batch_lines(&batches) == expected, "{what}");
    }
}
