//! Random columns of every type the contract names.

use std::sync::Arc;

use arrow_array::builder::{BinaryViewBuilder, FixedSizeBinaryBuilder, StringViewBuilder};
use arrow_array::types::{
    ArrowPrimitiveType, Date32Type, Date64Type, Decimal32Type, Decimal64Type, Decimal128Type,
    Decimal256Type, DurationMicrosecondType, DurationMillisecondType, DurationNanosecondType,
    DurationSecondType, Float16Type, Float32Type, Float64Type, Int8Type, Int16Type, Int32Type,
    Int64Type, Time32MillisecondType, Time32SecondType, Time64MicrosecondType,
    Time64NanosecondType, TimestampMicrosecondType, TimestampMillisecondType,
    TimestampNanosecondType, TimestampSecondType, UInt8Type, UInt16Type, UInt32Type, UInt64Type,
};
use arrow_array::{
    ArrayRef, BinaryArray, BooleanArray, DictionaryArray, FixedSizeListArray, Int32Array,
    LargeBinaryArray, LargeListArray, LargeListViewArray, LargeStringArray, ListArray,
    ListViewArray, MapArray, NullArray, PrimitiveArray, RunArray, StringArray, StructArray,
};
use arrow_buffer::{NullBuffer, OffsetBuffer, i256};
use arrow_schema::{DataType, Field, Fields, TimeUnit};
use proptest::prelude::*;

/// `SplitMix64`, so that a failing case is told by its seed.
pub(crate) struct Random(pub(crate) u64);

impl Random {
    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    pub(crate) fn below(&mut self, end: usize) -> usize {
        usize::try_from(self.next() % end as u64).unwrap()
    }

    fn pick<T: Clone>(&mut self, values: &[T]) -> T {
        values[self.below(values.len())].clone()
    }

    /// A number of any size, small ones as likely as large ones.
    fn number(&mut self) -> i64 {
        let bits = self.below(64);
        i64::from_ne_bytes(self.next().to_ne_bytes()) >> bits
    }

    fn text(&mut self) -> String {
        let letters = [
            "a", "é", "北", "😀", "\"", "\\", "\n", "\u{1}", "\u{1f}", "\u{7f}", " ", "/",
            "\u{2028}",
        ];
        (0..self.below(20)).map(|_| self.pick(&letters)).collect()
    }

    fn bytes(&mut self) -> Vec<u8> {
        (0..self.below(9)).map(|_| self.next().to_le_bytes()[0]).collect()
    }
}

/// Any type that can be printed, nested up to three levels.
pub(crate) fn data_type() -> impl Strategy<Value = DataType> {
    let unit = prop::sample::select(vec![
        TimeUnit::Second,
        TimeUnit::Millisecond,
        TimeUnit::Microsecond,
        TimeUnit::Nanosecond,
    ]);
    let plain = prop::sample::select(vec![
        DataType::Null,
        DataType::Boolean,
        DataType::Int8,
        DataType::Int16,
        DataType::Int32,
        DataType::Int64,
        DataType::UInt8,
        DataType::UInt16,
        DataType::UInt32,
        DataType::UInt64,
        DataType::Float16,
        DataType::Float32,
        DataType::Float64,
        DataType::Utf8,
        DataType::LargeUtf8,
        DataType::Utf8View,
        DataType::Binary,
        DataType::LargeBinary,
        DataType::BinaryView,
        DataType::FixedSizeBinary(5),
        DataType::Date32,
        DataType::Date64,
        DataType::Time32(TimeUnit::Second),
        DataType::Time32(TimeUnit::Millisecond),
        DataType::Time64(TimeUnit::Microsecond),
        DataType::Time64(TimeUnit::Nanosecond),
        DataType::Decimal32(7, 2),
        DataType::Decimal64(15, 4),
        DataType::Decimal128(30, 10),
        DataType::Decimal128(20, -3),
        DataType::Decimal128(10, 0),
        DataType::Decimal256(60, 20),
        DataType::Dictionary(Box::new(DataType::Int32), Box::new(DataType::Utf8)),
        DataType::RunEndEncoded(
            Arc::new(Field::new("run_ends", DataType::Int32, false)),
            Arc::new(Field::new("values", DataType::Int64, true)),
        ),
    ]);
    let timed =
        (unit, prop::option::of(prop::sample::select(vec!["UTC", "Asia/Shanghai"])), any::<bool>())
            .prop_map(|(unit, zone, is_duration)| {
                if is_duration {
                    DataType::Duration(unit)
                } else {
                    DataType::Timestamp(unit, zone.map(Into::into))
                }
            });
    let leaf = prop_oneof![5 => plain, 1 => timed];
    leaf.prop_recursive(3, 12, 3, |inner| {
        let item = inner.clone().prop_map(|inner| Arc::new(Field::new("item", inner, true)));
        let key = prop::sample::select(vec![
            DataType::Utf8,
            DataType::Int64,
            DataType::Boolean,
            DataType::Float32,
            DataType::Date32,
        ]);
        let fields = prop::collection::vec(inner.clone(), 0..3).prop_map(|types| {
            let fields = types.into_iter().enumerate();
            fields
                .map(|(index, inner)| Field::new(format!("f\"{index}"), inner, true))
                .collect::<Fields>()
        });
        prop_oneof![
            item.clone().prop_map(DataType::List),
            item.clone().prop_map(DataType::LargeList),
            item.clone().prop_map(DataType::ListView),
            item.clone().prop_map(DataType::LargeListView),
            item.prop_map(|item| DataType::FixedSizeList(item, 2)),
            fields.prop_map(DataType::Struct),
            (key, inner).prop_map(|(key, value)| {
                let entries = Fields::from(vec![
                    Field::new("keys", key, false),
                    Field::new("values", value, true),
                ]);
                DataType::Map(
                    Arc::new(Field::new("entries", DataType::Struct(entries), false)),
                    false,
                )
            }),
        ]
    })
}

/// A column of `rows` random values.
pub(crate) fn array(data_type: &DataType, rows: usize, random: &mut Random) -> ArrayRef {
    match data_type {
        DataType::Null => Arc::new(NullArray::new(rows)),
        DataType::Boolean => Arc::new(
            (0..rows)
                .map(|_| some(random, |random| random.below(2) == 0))
                .collect::<BooleanArray>(),
        ),
        DataType::Utf8 => {
            Arc::new((0..rows).map(|_| some(random, Random::text)).collect::<StringArray>())
        }
        DataType::LargeUtf8 => {
            Arc::new((0..rows).map(|_| some(random, Random::text)).collect::<LargeStringArray>())
        }
        DataType::Utf8View => {
            let mut builder = StringViewBuilder::new();
            (0..rows).for_each(|_| builder.append_option(some(random, Random::text)));
            Arc::new(builder.finish())
        }
        DataType::Binary => {
            Arc::new((0..rows).map(|_| some(random, Random::bytes)).collect::<BinaryArray>())
        }
        DataType::LargeBinary => {
            Arc::new((0..rows).map(|_| some(random, Random::bytes)).collect::<LargeBinaryArray>())
        }
        DataType::BinaryView => {
            let mut builder = BinaryViewBuilder::new();
            (0..rows).for_each(|_| builder.append_option(some(random, Random::bytes)));
            Arc::new(builder.finish())
        }
        DataType::FixedSizeBinary(size) => {
            let mut builder = FixedSizeBinaryBuilder::new(*size);
            for _ in 0..rows {
                match some(random, Random::next) {
                    Some(value) => builder
                        .append_value(&value.to_le_bytes()[..usize::try_from(*size).unwrap()])
                        .unwrap(),
                    None => builder.append_null(),
                }
            }
            Arc::new(builder.finish())
        }
        DataType::Dictionary(..) => {
            let values = array(&DataType::Utf8, 5, random);
            let keys: Int32Array = (0..rows)
                .map(|_| some(random, |random| i32::try_from(random.below(5)).unwrap()))
                .collect();
            Arc::new(DictionaryArray::try_new(keys, values).unwrap())
        }
        DataType::RunEndEncoded(..) => runs(rows, random),
        DataType::Struct(fields) => {
            let columns =
                fields.iter().map(|field| array(field.data_type(), rows, random)).collect();
            let nulls = nulls(rows, random);
            Arc::new(
                StructArray::try_new_with_length(fields.clone(), columns, nulls, rows).unwrap(),
            )
        }
        nested if nested.is_nested() => list(nested, rows, random),
        other => primitive(other, rows, random),
    }
}

fn some<T>(random: &mut Random, value: impl FnOnce(&mut Random) -> T) -> Option<T> {
    (random.below(5) > 0).then(|| value(random))
}

fn nulls(rows: usize, random: &mut Random) -> Option<NullBuffer> {
    (random.below(3) > 0).then(|| (0..rows).map(|_| random.below(5) > 0).collect())
}

fn runs(rows: usize, random: &mut Random) -> ArrayRef {
    let mut ends = Vec::new();
    let mut end = 0;
    while end < rows {
        end = (end + 1 + random.below(4)).min(rows);
        ends.push(i32::try_from(end).unwrap());
    }
    let values = array(&DataType::Int64, ends.len(), random);
    Arc::new(RunArray::try_new(&Int32Array::from(ends), values.as_ref()).unwrap())
}

fn list(data_type: &DataType, rows: usize, random: &mut Random) -> ArrayRef {
    let lengths: Vec<usize> = (0..rows).map(|_| random.below(4)).collect();
    let total: usize = lengths.iter().sum();
    let nulls = nulls(rows, random);
    match data_type {
        DataType::List(item) => {
            let child = array(item.data_type(), total, random);
            Arc::new(ListArray::new(
                Arc::clone(item),
                OffsetBuffer::from_lengths(lengths),
                child,
                nulls,
            ))
        }
        DataType::LargeList(item) => {
            let child = array(item.data_type(), total, random);
            Arc::new(LargeListArray::new(
                Arc::clone(item),
                OffsetBuffer::from_lengths(lengths),
                child,
                nulls,
            ))
        }
        DataType::ListView(item) => {
            let child = array(item.data_type(), 9, random);
            let starts: Vec<i32> =
                lengths.iter().map(|_| i32::try_from(random.below(6)).unwrap()).collect();
            let sizes: Vec<i32> =
                lengths.iter().map(|length| i32::try_from(*length).unwrap()).collect();
            Arc::new(ListViewArray::new(
                Arc::clone(item),
                starts.into(),
                sizes.into(),
                child,
                nulls,
            ))
        }
        DataType::LargeListView(item) => {
            let child = array(item.data_type(), 9, random);
            let starts: Vec<i64> =
                lengths.iter().map(|_| i64::try_from(random.below(6)).unwrap()).collect();
            let sizes: Vec<i64> =
                lengths.iter().map(|length| i64::try_from(*length).unwrap()).collect();
            Arc::new(LargeListViewArray::new(
                Arc::clone(item),
                starts.into(),
                sizes.into(),
                child,
                nulls,
            ))
        }
        DataType::FixedSizeList(item, size) => {
            let child = array(item.data_type(), rows * usize::try_from(*size).unwrap(), random);
            Arc::new(FixedSizeListArray::new(Arc::clone(item), *size, child, nulls))
        }
        DataType::Map(entries, sorted) => {
            let DataType::Struct(fields) = entries.data_type() else { unreachable!() };
            let keys = without_nulls(fields[0].data_type(), total, random);
            let values = array(fields[1].data_type(), total, random);
            let entries_array = StructArray::new(fields.clone(), vec![keys, values], None);
            Arc::new(MapArray::new(
                Arc::clone(entries),
                OffsetBuffer::from_lengths(lengths),
                entries_array,
                nulls,
                *sorted,
            ))
        }
        other => panic!("no list is built for {other}"),
    }
}

fn without_nulls(data_type: &DataType, rows: usize, random: &mut Random) -> ArrayRef {
    let keys = array(data_type, rows, random);
    if keys.null_count() == 0 {
        return keys;
    }
    // Drawn again for the nulls: a fifth of the values or so.
    let is_valid: BooleanArray = (0..rows).map(|row| Some(keys.is_valid(row))).collect();
    let kept = arrow_select::filter::filter(keys.as_ref(), &is_valid).unwrap();
    let rest = without_nulls(data_type, rows - kept.len(), random);
    arrow_select::concat::concat(&[kept.as_ref(), rest.as_ref()]).unwrap()
}

#[expect(clippy::too_many_lines, reason = "one arm for each type")]
fn primitive(data_type: &DataType, rows: usize, random: &mut Random) -> ArrayRef {
    fn build<T: ArrowPrimitiveType>(
        data_type: &DataType,
        rows: usize,
        random: &mut Random,
        value: impl Fn(&mut Random) -> T::Native,
    ) -> ArrayRef {
        let values = (0..rows).map(|_| some(random, &value));
        Arc::new(values.collect::<PrimitiveArray<T>>().with_data_type(data_type.clone()))
    }
    macro_rules! integer {
        ($kind:ident, $native:ty) => {
            build::<$kind>(data_type, rows, random, |random| {
                <$native>::from_le_bytes(*random.number().to_le_bytes().first_chunk().unwrap())
            })
        };
    }
    // Four years around the epoch to a few thousand, within what the oracle's calendar knows.
    let seconds = |random: &mut Random| random.number() % 200_000_000_000;
    let nanos_max = i64::MAX;
    match data_type {
        DataType::Int8 => integer!(Int8Type, i8),
        DataType::Int16 => integer!(Int16Type, i16),
        DataType::Int32 => integer!(Int32Type, i32),
        DataType::Int64 => integer!(Int64Type, i64),
        DataType::UInt8 => integer!(UInt8Type, u8),
        DataType::UInt16 => integer!(UInt16Type, u16),
        DataType::UInt32 => integer!(UInt32Type, u32),
        DataType::UInt64 => integer!(UInt64Type, u64),
        DataType::Float16 => build::<Float16Type>(data_type, rows, random, |random| {
            <Float16Type as ArrowPrimitiveType>::Native::from_bits(
                u16::try_from(random.below(65_536)).unwrap(),
            )
        }),
        DataType::Float32 => build::<Float32Type>(data_type, rows, random, |random| {
            f32::from_bits(u32::try_from(random.next() >> 32).unwrap())
        }),
        DataType::Float64 => {
            build::<Float64Type>(data_type, rows, random, |random| f64::from_bits(random.next()))
        }
        DataType::Date32 => build::<Date32Type>(data_type, rows, random, |random| {
            i32::try_from(random.number() % 2_900_000).unwrap()
        }),
        DataType::Date64 => build::<Date64Type>(data_type, rows, random, |random| {
            random.number() % 200_000_000_000_000
        }),
        DataType::Time32(TimeUnit::Second) => {
            build::<Time32SecondType>(data_type, rows, random, |random| {
                i32::try_from(random.number() % 100_000).unwrap()
            })
        }
        DataType::Time32(_) => build::<Time32MillisecondType>(data_type, rows, random, |random| {
            i32::try_from(random.number() % 100_000_000).unwrap()
        }),
        DataType::Time64(TimeUnit::Microsecond) => {
            build::<Time64MicrosecondType>(data_type, rows, random, |random| {
                random.number() % 100_000_000_000
            })
        }
        DataType::Time64(_) => build::<Time64NanosecondType>(data_type, rows, random, |random| {
            random.number() % 100_000_000_000_000
        }),
        DataType::Timestamp(TimeUnit::Second, _) => {
            build::<TimestampSecondType>(data_type, rows, random, seconds)
        }
        DataType::Timestamp(TimeUnit::Millisecond, _) => {
            build::<TimestampMillisecondType>(data_type, rows, random, |random| {
                random.number() % 200_000_000_000_000
            })
        }
        DataType::Timestamp(TimeUnit::Microsecond, _) => {
            build::<TimestampMicrosecondType>(data_type, rows, random, |random| {
                random.number() % 200_000_000_000_000_000
            })
        }
        DataType::Timestamp(TimeUnit::Nanosecond, _) => {
            build::<TimestampNanosecondType>(data_type, rows, random, |random| {
                random.number() % nanos_max
            })
        }
        DataType::Duration(TimeUnit::Second) => {
            build::<DurationSecondType>(data_type, rows, random, Random::number)
        }
        DataType::Duration(TimeUnit::Millisecond) => {
            build::<DurationMillisecondType>(data_type, rows, random, Random::number)
        }
        DataType::Duration(TimeUnit::Microsecond) => {
            build::<DurationMicrosecondType>(data_type, rows, random, Random::number)
        }
        DataType::Duration(TimeUnit::Nanosecond) => {
            build::<DurationNanosecondType>(data_type, rows, random, Random::number)
        }
        DataType::Decimal32(..) => build::<Decimal32Type>(data_type, rows, random, |random| {
            i32::try_from(random.number() % 10_000_000).unwrap()
        }),
        DataType::Decimal64(..) => build::<Decimal64Type>(data_type, rows, random, |random| {
            random.number() % 1_000_000_000_000_000
        }),
        DataType::Decimal128(..) => build::<Decimal128Type>(data_type, rows, random, |random| {
            i128::from(random.number()) * 7
        }),
        DataType::Decimal256(..) => build::<Decimal256Type>(data_type, rows, random, |random| {
            i256::from_i128(i128::from(random.number()) << 60)
                .wrapping_mul(i256::from_i128(1_000_003))
        }),
        other => panic!("no array is built for {other}"),
    }
}
