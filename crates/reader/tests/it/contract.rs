//! The output contract: against the oracle over random schemas, and against golden files.

use std::sync::Arc;

use arrow_array::{
    ArrayRef, Float32Array, Int64Array, ListArray, RecordBatch, RecordBatchOptions, StringArray,
};
use arrow_schema::{DataType, Field, Schema};
use bytes::Bytes;
use parquet::basic::Compression;
use parquet::data_type::{
    ByteArray, ByteArrayType, FixedLenByteArray, FixedLenByteArrayType, Int96, Int96Type,
};
use parquet::file::writer::SerializedFileWriter;
use parquet::schema::parser::parse_message_type;
use proptest::prelude::*;
use viking_reader::{
    BatchReader, BinaryForm, DecimalForm, Error, Int64Form, JsonLines, JsonOptions, NonFinite,
    Nulls, Problem, ReadOptions, VectorForm,
};

use crate::arrays::{Random, array, data_type};
use crate::oracle;

fn options() -> impl Strategy<Value = JsonOptions> {
    use prop::sample::select;
    (
        select(vec![BinaryForm::Base64, BinaryForm::Hex]),
        select(vec![DecimalForm::Number, DecimalForm::String]),
        select(vec![Int64Form::Number, Int64Form::String]),
        select(vec![NonFinite::Null, NonFinite::String]),
        select(vec![Nulls::Keep, Nulls::Drop]),
    )
        .prop_map(|(binary, decimal, int64, nonfinite, nulls)| {
            JsonOptions::default()
                .with_binary(binary)
                .with_decimal(decimal)
                .with_int64(int64)
                .with_nonfinite(nonfinite)
                .with_nulls(nulls)
                .with_vectors(VectorForm::Array)
        })
}

/// Compares with a golden file, or writes it if compiled with `UPDATE_GOLDEN` set.
fn assert_golden(text: &str, name: &str) {
    let path = format!("{}/../../fixtures/golden/{name}", env!("CARGO_MANIFEST_DIR"));
    if option_env!("UPDATE_GOLDEN").is_some() {
        std::fs::write(&path, text).unwrap();
    }
    assert_eq!(text, std::fs::read_to_string(&path).unwrap());
}

fn encode(batch: &RecordBatch, options: &JsonOptions) -> String {
    let mut out = Vec::new();
    let mut lines = JsonLines::new("test", &batch.schema(), options).unwrap();
    lines.encode(batch, &mut out).unwrap();
    String::from_utf8(out).unwrap()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn the_encoder_agrees_with_the_oracle_on_any_schema(
        types in prop::collection::vec(data_type(), 0..5),
        rows in 0..40_usize,
        seed: u64,
        cut in 0..40_usize,
        options in options(),
    ) {
        let mut random = Random(seed);
        let fields: Vec<Field> = types.iter().enumerate()
            .map(|(index, data_type)| Field::new(format!("c\\{index}"), data_type.clone(), true))
            .collect();
        let columns: Vec<ArrayRef> =
            types.iter().map(|data_type| array(data_type, rows, &mut random)).collect();
        let with_rows = RecordBatchOptions::new().with_row_count(Some(rows));
        let batch = RecordBatch::try_new_with_options(Schema::new(fields).into(), columns, &with_rows).unwrap();
        let expected = oracle::lines(&batch, &options);
        prop_assert_eq!(encode(&batch, &options), expected.clone());
        for line in expected.lines() {
            prop_assert!(serde_json::from_str::<serde_json::Value>(line).is_ok(), "{}", line);
        }
        let cut = cut.min(rows);
        let slice = batch.slice(cut, rows - cut);
        let tail: String = expected.split_inclusive('\n').skip(cut).collect();
        prop_assert_eq!(encode(&slice, &options), tail);
    }

    #[test]
    fn vectors_as_base64_agree_with_the_oracle(width in 0..70_usize, rows in 0..6_usize, seed: u64, double: bool, big: bool) {
        let mut random = Random(seed);
        let kind = if double { DataType::Float64 } else { DataType::Float32 };
        let values = arrow_select::filter::filter(
            &array(&kind, width * rows * 3 + 50, &mut random),
            &(0..width * rows * 3 + 50).map(|_| Some(true)).collect::<arrow_array::BooleanArray>(),
        ).unwrap();
        let valid: Vec<bool> = (0..values.len()).map(|row| values.is_valid(row)).collect();
        let values = arrow_select::filter::filter(&values, &valid.into()).unwrap().slice(0, width * rows);
        let item = Arc::new(Field::new("item", kind, true));
        let offsets = arrow_buffer::OffsetBuffer::from_lengths(vec![width; rows]);
        let list = ListArray::new(item, offsets, values, None);
        let batch = RecordBatch::try_from_iter([("v", Arc::new(list) as ArrayRef)]).unwrap();
        let form = if big { VectorForm::Base64Be } else { VectorForm::Base64 };
        let options = JsonOptions::default().with_vectors(form);
        prop_assert_eq!(encode(&batch, &options), oracle::lines(&batch, &options));
    }
}

/// An outside opinion where the two contracts agree.
#[test]
fn arrow_json_prints_the_same_numbers_texts_and_lists() {
    let mut random = Random(7);
    let list = DataType::List(Arc::new(Field::new("item", DataType::Float32, true)));
    let types = [
        DataType::Int64,
        DataType::UInt64,
        DataType::Utf8,
        DataType::Boolean,
        DataType::Float64,
        list,
    ];
    let columns = types.iter().map(|data_type| array(data_type, 200, &mut random));
    let names = ["a", "b", "c", "d", "e", "f"];
    let batch = RecordBatch::try_from_iter_with_nullable(
        names.iter().zip(columns).map(|(name, column)| (*name, column, true)),
    )
    .unwrap();
    let mut writer = arrow_json::WriterBuilder::new()
        .with_explicit_nulls(true)
        .build::<_, arrow_json::writer::LineDelimited>(Vec::new());
    writer.write(&batch).unwrap();
    writer.finish().unwrap();
    let theirs = String::from_utf8(writer.into_inner()).unwrap();
    let ours = encode(&batch, &JsonOptions::default());
    assert_eq!(ours.lines().count(), theirs.lines().count());
    for (ours, theirs) in ours.lines().zip(theirs.lines()) {
        // It spells exponents in another way, so the parsed lines are compared.
        let parse = |line: &str| serde_json::from_str::<serde_json::Value>(line).unwrap();
        assert_eq!(parse(ours), parse(theirs));
    }
}

#[test]
fn golden_every_type_at_its_edges() {
    let batch = edge_rows();
    let lines = encode(&batch, &JsonOptions::default());
    assert_golden(&lines, "edges.jsonl");
    assert_eq!(lines, oracle_without_far_years(&batch));
}

/// The first rows of the example collection, read from the file.
#[test]
fn golden_example_collection() {
    let path =
        concat!(env!("CARGO_MANIFEST_DIR"), "/../../fixtures/collections/example/10.parquet");
    let options = ReadOptions::default().with_limit(12);
    let mut text = String::new();
    for batch in BatchReader::open(path.as_ref(), &options).unwrap() {
        text += &encode(&batch.unwrap(), &JsonOptions::default());
    }
    assert_golden(&text, "example.jsonl");
}

fn edge_rows() -> RecordBatch {
    use arrow_array::builder::MapBuilder;
    use arrow_array::builder::{Float32Builder, StringBuilder};
    use arrow_array::{
        Date32Array, Decimal128Array, DurationMillisecondArray, Float64Array, Time32SecondArray,
        TimestampMicrosecondArray, TimestampNanosecondArray, UInt64Array,
    };
    let mut map = MapBuilder::new(None, StringBuilder::new(), Float32Builder::new());
    for entries in
        [&[("b", Some(0.5)), ("a\"", None), ("b", Some(1.0))][..], &[], &[("北京", Some(1e20))]]
    {
        for (key, value) in entries {
            map.keys().append_value(key);
            map.values().append_option(*value);
        }
        map.append(true).unwrap();
    }
    let columns: Vec<(&str, ArrayRef)> = vec![
        ("i64", Arc::new(Int64Array::from(vec![i64::MIN, 9_007_199_254_740_993, i64::MAX]))),
        ("u64", Arc::new(UInt64Array::from(vec![0, 1, u64::MAX]))),
        ("f32", Arc::new(Float32Array::from(vec![0.1, -0.0, 16_777_216.0]))),
        ("f32 more", Arc::new(Float32Array::from(vec![f32::MAX, f32::MIN_POSITIVE, 1e-45]))),
        ("f64", Arc::new(Float64Array::from(vec![0.1, 1e16, 1.797_693_134_862_315_7e308]))),
        (
            "f64 not finite",
            Arc::new(Float64Array::from(vec![f64::NAN, f64::INFINITY, f64::NEG_INFINITY])),
        ),
        (
            "text",
            Arc::new(StringArray::from(vec![
                "\"\\\u{8}\u{c}\n\r\t\u{0}\u{1f}",
                "\u{7f}\u{2028}/'",
                "é😀",
            ])),
        ),
        ("date", Arc::new(Date32Array::from(vec![i32::MAX, i32::MIN, -1]))),
        (
            "us",
            Arc::new(
                TimestampMicrosecondArray::from(vec![-1, 0, i64::MAX]).with_timezone("+08:00"),
            ),
        ),
        ("ns", Arc::new(TimestampNanosecondArray::from(vec![i64::MIN, -1, i64::MAX]))),
        ("time", Arc::new(Time32SecondArray::from(vec![86_399, 86_400, -1]))),
        ("duration", Arc::new(DurationMillisecondArray::from(vec![-1, 1_500, i64::MIN]))),
        (
            "decimal",
            Arc::new(
                Decimal128Array::from(vec![-5, 0, i128::from(u64::MAX)])
                    .with_precision_and_scale(38, 2)
                    .unwrap(),
            ),
        ),
        ("map", Arc::new(map.finish())),
    ];
    RecordBatch::try_from_iter_with_nullable(
        columns.into_iter().map(|(name, column)| (name, column, true)),
    )
    .unwrap()
}

/// The oracle's calendar ends at the year 9999; the far years are checked in the golden file only.
fn oracle_without_far_years(batch: &RecordBatch) -> String {
    let near = |name: &str| !["date", "us"].contains(&name);
    let schema = batch.schema();
    let kept: Vec<usize> =
        (0..batch.num_columns()).filter(|&index| near(schema.field(index).name())).collect();
    let near_lines = oracle::lines(&batch.project(&kept).unwrap(), &JsonOptions::default());
    let far: Vec<usize> = (0..batch.num_columns()).filter(|index| !kept.contains(index)).collect();
    let far_lines = encode(&batch.project(&far).unwrap(), &JsonOptions::default());
    // The far columns stand together, before "ns".
    let lines = near_lines.lines().zip(far_lines.lines());
    lines
        .map(|(near, far)| {
            near.replacen("\"ns\":", &format!("{},\"ns\":", &far[1..far.len() - 1]), 1) + "\n"
        })
        .collect()
}

#[test]
fn parquet_types_without_an_arrow_schema() {
    let file = low_level_file();
    let reader = BatchReader::from_bytes(file, &ReadOptions::default()).unwrap();
    let schema = Arc::clone(reader.schema());
    let batches: Vec<_> = reader.map(Result::unwrap).collect();
    let mut lines = JsonLines::new("test", &schema, &JsonOptions::default()).unwrap();
    let mut out = Vec::new();
    lines.encode(&batches[0], &mut out).unwrap();
    let expected = concat!(
        r#"{"at":"3000-01-01T00:00:00.000001","kind":"RED","id":"00010203-0405-0607-0809-0a0b0c0d0e0f","raw":"/wA="}"#,
        "\n"
    );
    assert_eq!(String::from_utf8(out).unwrap(), expected);
    assert!(lines.text_like_columns(&batches[0]).is_empty());
}

/// `INT96`, `ENUM`, `UUID` and an un-annotated `BYTE_ARRAY`, as other programs write them.
fn low_level_file() -> Bytes {
    let message = "message m { required int96 at; required binary kind (ENUM);
        required fixed_len_byte_array(16) id (UUID); required binary raw; }";
    let schema = Arc::new(parse_message_type(message).unwrap());
    let mut writer = SerializedFileWriter::new(Vec::new(), schema, Arc::default()).unwrap();
    let mut group = writer.next_row_group().unwrap();
    // 3000-01-01 is Julian day 2816788, beyond what nanoseconds in 64 bits can hold.
    let mut at = Int96::new();
    at.set_data(1_000, 0, 2_816_788);
    let mut column = group.next_column().unwrap().unwrap();
    column.typed::<Int96Type>().write_batch(&[at], None, None).unwrap();
    column.close().unwrap();
    let mut column = group.next_column().unwrap().unwrap();
    column.typed::<ByteArrayType>().write_batch(&[ByteArray::from("RED")], None, None).unwrap();
    column.close().unwrap();
    let mut column = group.next_column().unwrap().unwrap();
    let id = FixedLenByteArray::from((0..16).collect::<Vec<u8>>());
    column.typed::<FixedLenByteArrayType>().write_batch(&[id], None, None).unwrap();
    column.close().unwrap();
    let mut column = group.next_column().unwrap().unwrap();
    column
        .typed::<ByteArrayType>()
        .write_batch(&[ByteArray::from(vec![0xff, 0])], None, None)
        .unwrap();
    column.close().unwrap();
    group.close().unwrap();
    writer.into_inner().unwrap().into()
}

fn refusal(batch: &RecordBatch, options: JsonOptions) -> (Problem, usize, String, usize) {
    let mut lines = JsonLines::new("test", &batch.schema(), &options).unwrap();
    let mut out = b"before".to_vec();
    let error = lines.encode(batch, &mut out).unwrap_err();
    (error.problem, error.row, error.column, out.len() - 6)
}

#[test]
fn forbidden_values_name_their_row_and_write_nothing() {
    let floats = Float32Array::from(vec![Some(1.0), None, Some(f32::NAN)]);
    let batch = RecordBatch::try_from_iter([("x", Arc::new(floats) as ArrayRef)]).unwrap();
    let options = JsonOptions::default().with_nonfinite(NonFinite::Error);
    assert_eq!(refusal(&batch, options), (Problem::NonFinite, 2, "x".to_owned(), 0));

    let bytes = arrow_array::BinaryArray::from(vec![&b"ok"[..], b"\xff"]);
    let batch = RecordBatch::try_from_iter([("b", Arc::new(bytes) as ArrayRef)]).unwrap();
    let options = JsonOptions::default().with_binary(BinaryForm::Utf8);
    assert_eq!(refusal(&batch, options), (Problem::InvalidUtf8, 1, "b".to_owned(), 0));

    let vectors = ListArray::from_iter_primitive::<arrow_array::types::Float32Type, _, _>(vec![
        Some(vec![Some(1.0)]),
        Some(vec![None]),
    ]);
    let batch = RecordBatch::try_from_iter([("v", Arc::new(vectors) as ArrayRef)]).unwrap();
    let options = JsonOptions::default().with_vectors(VectorForm::Base64);
    assert_eq!(refusal(&batch, options), (Problem::NullInVector, 1, "v".to_owned(), 0));
}

#[test]
fn vectors_as_base64_are_of_either_byte_order() {
    let vectors = ListArray::from_iter_primitive::<arrow_array::types::Float32Type, _, _>(vec![
        Some(vec![Some(1.0), Some(-2.0)]),
    ]);
    let batch = RecordBatch::try_from_iter([("v", Arc::new(vectors) as ArrayRef)]).unwrap();
    // 1.0 is 3f800000 and -2.0 is c0000000.
    for (form, text) in
        [(VectorForm::Base64, "AACAPwAAAMA="), (VectorForm::Base64Be, "P4AAAMAAAAA=")]
    {
        let lines = encode(&batch, &JsonOptions::default().with_vectors(form));
        assert_eq!(lines, format!("{{\"v\":\"{text}\"}}\n"));
    }
}

#[test]
fn schemas_that_json_cannot_hold_are_refused_by_name() {
    let plan = |fields: Vec<Field>| {
        JsonLines::new("f.parquet", &Schema::new(fields), &JsonOptions::default())
    };
    let int = |name: &str| Field::new(name, DataType::Int64, true);
    let twice = plan(vec![int("a"), int("b"), int("a")]).unwrap_err();
    assert!(matches!(&twice, Error::DuplicateColumn { column, .. } if column == "a"), "{twice}");
    let inside = Field::new("s", DataType::Struct(vec![int("x"), int("x")].into()), true);
    let inside = plan(vec![inside]).unwrap_err();
    assert!(
        matches!(&inside, Error::DuplicateColumn { column, .. } if column == "s.x"),
        "{inside}"
    );
    let interval = DataType::Interval(arrow_schema::IntervalUnit::DayTime);
    let interval = plan(vec![Field::new("i", interval, true)]).unwrap_err();
    assert!(interval.to_string().contains("\"i\""), "{interval}");
    let list = DataType::List(Arc::new(int("item")));
    let entries = DataType::Struct(vec![Field::new("keys", list, false), int("values")].into());
    let map = DataType::Map(Arc::new(Field::new("entries", entries, false)), false);
    let map = plan(vec![Field::new("m", map, true)]).unwrap_err();
    assert!(matches!(map, Error::UnsupportedType { .. }), "{map}");
}

#[test]
fn every_codec_is_read() {
    let codecs = [
        Compression::UNCOMPRESSED,
        Compression::SNAPPY,
        Compression::GZIP(parquet::basic::GzipLevel::default()),
        Compression::BROTLI(parquet::basic::BrotliLevel::default()),
        Compression::ZSTD(parquet::basic::ZstdLevel::default()),
        Compression::LZ4,
        Compression::LZ4_RAW,
    ];
    let rows = crate::simple_rows(0, 500);
    for codec in codecs {
        let file = crate::parquet(std::slice::from_ref(&rows), 200, codec);
        let reader = BatchReader::from_bytes(file, &ReadOptions::default()).unwrap();
        let batches: Vec<_> = reader.map(Result::unwrap).collect();
        let read = arrow_select::concat::concat_batches(&rows.schema(), &batches).unwrap();
        assert_eq!(read, rows, "{codec:?}");
    }
}
