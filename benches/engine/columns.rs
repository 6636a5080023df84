//! One batch for each kind of column, 8,192 values or more.

use std::sync::Arc;

use arrow_array::builder::{
    Float32Builder, Float64Builder, Int64Builder, ListBuilder, MapBuilder, StringBuilder,
    StringDictionaryBuilder, TimestampMillisecondBuilder,
};
use arrow_array::cast::AsArray;
use arrow_array::types::{Float32Type, Int32Type};
use arrow_array::{
    Array, ArrayRef, BooleanArray, Decimal128Array, Float32Array, Float64Array, Int64Array,
    RecordBatch, StructArray,
};
use arrow_schema::{DataType, Field, TimeUnit};

use crate::Outcome;

const ROWS: usize = 8_192;

/// Numbers that look random and are the same in every run.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    fn unit(&mut self) -> f64 {
        (self.next() >> 11) as f64 / (1_u64 << 53) as f64 - 0.5
    }
}

/// Name, values, and the batch.
pub(crate) fn all() -> Outcome<Vec<(&'static str, usize, RecordBatch)>> {
    let mut random = Random(20_261_124);
    let columns: [(&str, usize, ArrayRef); 13] = [
        (
            "f32 list",
            512 * 768,
            lists(512, 768, Float32Builder::new(), &mut random, |list, random| {
                list.append_value(random.unit() as f32);
            }),
        ),
        (
            "f64 list",
            512 * 384,
            lists(512, 384, Float64Builder::new(), &mut random, |list, random| {
                list.append_value(random.unit());
            }),
        ),
        (
            "i64 list",
            2_048 * 64,
            lists(2_048, 64, Int64Builder::new(), &mut random, |list, random| {
                list.append_value((random.next() >> 20) as i64);
            }),
        ),
        (
            "text list",
            2_048 * 16,
            lists(2_048, 16, StringBuilder::new(), &mut random, |list, random| {
                list.append_value(
                    ["red", "green", "blue", "ultramarine"][random.next() as usize % 4],
                );
            }),
        ),
        ("map of text to f32", 512 * 60, map(512, 60, &mut random)),
        ("struct", ROWS * 3, nested(&mut random)),
        (
            "f32",
            ROWS,
            Arc::new(Float32Array::from_iter_values((0..ROWS).map(|_| random.unit() as f32))),
        ),
        (
            "f64 prices",
            ROWS,
            Arc::new(Float64Array::from_iter_values(
                (0..ROWS).map(|_| (random.next() % 1_000_000) as f64 / 100.0),
            )),
        ),
        (
            "i64",
            ROWS,
            Arc::new(Int64Array::from_iter_values((0..ROWS).map(|_| (random.next() >> 20) as i64))),
        ),
        (
            "bool, 1 in 16 null",
            ROWS,
            Arc::new(
                (0..ROWS)
                    .map(|_| {
                        (!random.next().is_multiple_of(16)).then(|| random.next().is_multiple_of(2))
                    })
                    .collect::<BooleanArray>(),
            ),
        ),
        ("timestamp", ROWS, timestamps(&mut random)),
        (
            "decimal",
            ROWS,
            Arc::new(
                Decimal128Array::from_iter_values(
                    (0..ROWS).map(|_| i128::from(random.next() >> 20)),
                )
                .with_precision_and_scale(30, 4)?,
            ),
        ),
        ("dictionary text", ROWS, dictionary(&mut random)),
    ];
    let batch = |(name, values, column): (&'static str, usize, ArrayRef)| {
        Ok((name, values, RecordBatch::try_from_iter([("value", column)])?))
    };
    let mut batches: Vec<_> = columns.into_iter().map(batch).collect::<Outcome<_>>()?;
    let texts = (0..ROWS / 8).map(|row| "the quick brown fox \"jumps\" over ".repeat(row % 40));
    let texts = Arc::new(arrow_array::StringArray::from_iter_values(texts));
    batches.push((
        "text, 600 bytes",
        ROWS / 8,
        RecordBatch::try_from_iter([("value", texts as _)])?,
    ));
    Ok(batches)
}

/// The values of a list of f32.
pub(crate) fn floats(batch: &RecordBatch) -> Option<&[f32]> {
    let items = batch.column(0).as_list_opt::<i32>()?.values();
    Some(items.as_primitive_opt::<Float32Type>()?.values())
}

fn lists<B: arrow_array::builder::ArrayBuilder>(
    rows: usize,
    items: usize,
    builder: B,
    random: &mut Random,
    append: fn(&mut B, &mut Random),
) -> ArrayRef {
    let mut lists = ListBuilder::new(builder);
    for _ in 0..rows {
        for _ in 0..items {
            append(lists.values(), random);
        }
        lists.append(true);
    }
    Arc::new(lists.finish())
}

fn map(rows: usize, entries: usize, random: &mut Random) -> ArrayRef {
    let mut map = MapBuilder::new(None, StringBuilder::new(), Float32Builder::new());
    for _ in 0..rows {
        for entry in 0..entries {
            map.keys().append_value(format!("token{}", entry * 500));
            map.values().append_value(random.unit() as f32);
        }
        map.append(true).expect("as many keys as values");
    }
    Arc::new(map.finish())
}

fn nested(random: &mut Random) -> ArrayRef {
    let ids: ArrayRef = Arc::new(Int64Array::from_iter_values(0..ROWS as i64));
    let scores = (0..ROWS).map(|_| random.unit());
    let scores: ArrayRef = Arc::new(Float64Array::from_iter_values(scores));
    let tags = lists(ROWS, 1, StringBuilder::new(), random, |list, _| list.append_value("tag"));
    let field =
        |name: &str, array: &ArrayRef| Arc::new(Field::new(name, array.data_type().clone(), true));
    Arc::new(StructArray::from(vec![
        (field("id", &ids), ids),
        (field("score", &scores), scores),
        (field("tags", &tags), tags),
    ]))
}

fn timestamps(random: &mut Random) -> ArrayRef {
    let zone = DataType::Timestamp(TimeUnit::Millisecond, Some("+00:00".into()));
    let mut times = TimestampMillisecondBuilder::new().with_data_type(zone);
    (0..ROWS).for_each(|_| times.append_value((random.next() % 4_000_000_000_000) as i64));
    Arc::new(times.finish())
}

fn dictionary(random: &mut Random) -> ArrayRef {
    let mut cities = StringDictionaryBuilder::<Int32Type>::new();
    for _ in 0..ROWS {
        cities.append_value(
            ["Beijing", "Shanghai", "Hangzhou", "Chengdu"][random.next() as usize % 4],
        );
    }
    Arc::new(cities.finish())
}
