//! Arrow arrays to typed columns: one downcast for each column of a batch.

use arrow_array::Array;
use arrow_array::cast::AsArray;
use arrow_array::types::{
    ArrowPrimitiveType, Date32Type, Date64Type, Decimal32Type, Decimal64Type, Decimal128Type,
    Decimal256Type, DurationMicrosecondType, DurationMillisecondType, DurationNanosecondType,
    DurationSecondType, Float16Type, Float32Type, Float64Type, Int8Type, Int16Type, Int32Type,
    Int64Type, RunEndIndexType, Time32MillisecondType, Time32SecondType, Time64MicrosecondType,
    Time64NanosecondType, TimestampMicrosecondType, TimestampMillisecondType,
    TimestampNanosecondType, TimestampSecondType, UInt8Type, UInt16Type, UInt32Type, UInt64Type,
};
use arrow_schema::{DataType, TimeUnit};

use super::column::{Bytes, Column, Data, DecimalStyle, Decimals, Spans, Text};
use super::kernel::cell::Cells;
use super::options::{Int64Form, JsonOptions, NonFinite};
use super::plan::Kind;

impl<'a> Column<'a> {
    /// Views `array` as `kind`, with `before` before each value; `None` if it has another type than the
    /// plan was made for.
    pub(super) fn bind(
        kind: &'a Kind,
        before: &'a [u8],
        array: &'a dyn Array,
        options: JsonOptions,
    ) -> Option<Self> {
        let data = match kind {
            Kind::Null => Data::Null,
            Kind::Bool => Data::Bool(array.as_boolean_opt()?),
            Kind::Integer => bind_integer(array, options.int64)?,
            Kind::Float => bind_float(array, options.nonfinite)?,
            Kind::Decimal { scale } => {
                let style = DecimalStyle { scale: *scale, form: options.decimal };
                Data::Decimal(bind_decimal(array)?, style)
            }
            Kind::Text => Data::Text(bind_text(array)?),
            Kind::Binary => Data::Bytes(bind_bytes(array)?, options.binary),
            Kind::Int96 => Data::Int96(array.as_fixed_size_binary_opt()?),
            Kind::Uuid => Data::Uuid(array.as_fixed_size_binary_opt()?),
            Kind::Date32 => Data::Date32(values::<Date32Type>(array)?),
            Kind::Date64 => Data::Date64(values::<Date64Type>(array)?),
            Kind::Time(unit) => bind_time(array, *unit)?,
            Kind::Timestamp { unit, utc } => {
                Data::Timestamp(timestamp_values(array, *unit)?, *unit, *utc)
            }
            Kind::Duration(unit) => Data::Duration(duration_values(array, *unit)?, *unit),
            Kind::List(item) => {
                let (spans, child) = bind_spans(array)?;
                Data::List(spans, Box::new(Self::bind(item, b",", child, options)?))
            }
            Kind::VectorBase64(order) => {
                let (spans, child) = bind_spans(array)?;
                let items = Self::bind(&Kind::Float, b"", child, options)?;
                Data::VectorBase64(spans, Box::new(items), *order)
            }
            Kind::Struct(members) => {
                let array = array.as_struct_opt()?;
                let bound = members
                    .iter()
                    .zip(array.columns())
                    .map(|((key, kind), column)| Self::bind(kind, key, column.as_ref(), options));
                Data::Struct(bound.collect::<Option<_>>()?)
            }
            Kind::Map { key, value } => {
                let array = array.as_map_opt()?;
                let keys = Self::bind(key, b",", array.keys().as_ref(), options)?;
                let values = Self::bind(value, b":", array.values().as_ref(), options)?;
                Data::Map(Spans::Small(array.value_offsets()), Box::new(keys), Box::new(values))
            }
            Kind::Indexed(value) => {
                let (index, child) = bind_indexed(array)?;
                Data::Indexed(index, Box::new(Self::bind(value, b"", child, options)?))
            }
        };
        Some(Self {
            before,
            nulls: array.nulls().cloned(),
            data,
            cells: Box::new(Cells::new(before)),
        })
    }
}

fn values<T: ArrowPrimitiveType>(array: &dyn Array) -> Option<&[T::Native]> {
    Some(array.as_primitive_opt::<T>()?.values())
}

fn bind_integer(array: &dyn Array, form: Int64Form) -> Option<Data<'_>> {
    Some(match array.data_type() {
        DataType::Int8 => Data::I8(values::<Int8Type>(array)?),
        DataType::Int16 => Data::I16(values::<Int16Type>(array)?),
        DataType::Int32 => Data::I32(values::<Int32Type>(array)?),
        DataType::Int64 => Data::I64(values::<Int64Type>(array)?, form),
        DataType::UInt8 => Data::U8(values::<UInt8Type>(array)?),
        DataType::UInt16 => Data::U16(values::<UInt16Type>(array)?),
        DataType::UInt32 => Data::U32(values::<UInt32Type>(array)?),
        DataType::UInt64 => Data::U64(values::<UInt64Type>(array)?, form),
        _ => return None,
    })
}

fn bind_float(array: &dyn Array, form: NonFinite) -> Option<Data<'_>> {
    Some(match array.data_type() {
        DataType::Float16 => Data::F16(values::<Float16Type>(array)?, form),
        DataType::Float32 => Data::F32(values::<Float32Type>(array)?, form),
        DataType::Float64 => Data::F64(values::<Float64Type>(array)?, form),
        _ => return None,
    })
}

fn bind_decimal(array: &dyn Array) -> Option<Decimals<'_>> {
    Some(match array.data_type() {
        DataType::Decimal32(..) => Decimals::D32(values::<Decimal32Type>(array)?),
        DataType::Decimal64(..) => Decimals::D64(values::<Decimal64Type>(array)?),
        DataType::Decimal128(..) => Decimals::D128(values::<Decimal128Type>(array)?),
        DataType::Decimal256(..) => Decimals::D256(values::<Decimal256Type>(array)?),
        _ => return None,
    })
}

fn bind_text(array: &dyn Array) -> Option<Text<'_>> {
    Some(match array.data_type() {
        DataType::Utf8 => Text::Small(array.as_string_opt()?),
        DataType::LargeUtf8 => Text::Large(array.as_string_opt()?),
        DataType::Utf8View => Text::View(array.as_string_view_opt()?),
        _ => return None,
    })
}

fn bind_bytes(array: &dyn Array) -> Option<Bytes<'_>> {
    Some(match array.data_type() {
        DataType::Binary => Bytes::Small(array.as_binary_opt()?),
        DataType::LargeBinary => Bytes::Large(array.as_binary_opt()?),
        DataType::BinaryView => Bytes::View(array.as_binary_view_opt()?),
        DataType::FixedSizeBinary(_) => Bytes::Fixed(array.as_fixed_size_binary_opt()?),
        _ => return None,
    })
}

fn bind_time(array: &dyn Array, unit: TimeUnit) -> Option<Data<'_>> {
    Some(match unit {
        TimeUnit::Second => Data::Time32(values::<Time32SecondType>(array)?, unit),
        TimeUnit::Millisecond => Data::Time32(values::<Time32MillisecondType>(array)?, unit),
        TimeUnit::Microsecond => Data::Time64(values::<Time64MicrosecondType>(array)?, unit),
        TimeUnit::Nanosecond => Data::Time64(values::<Time64NanosecondType>(array)?, unit),
    })
}

fn timestamp_values(array: &dyn Array, unit: TimeUnit) -> Option<&[i64]> {
    match unit {
        TimeUnit::Second => values::<TimestampSecondType>(array),
        TimeUnit::Millisecond => values::<TimestampMillisecondType>(array),
        TimeUnit::Microsecond => values::<TimestampMicrosecondType>(array),
        TimeUnit::Nanosecond => values::<TimestampNanosecondType>(array),
    }
}

fn duration_values(array: &dyn Array, unit: TimeUnit) -> Option<&[i64]> {
    match unit {
        TimeUnit::Second => values::<DurationSecondType>(array),
        TimeUnit::Millisecond => values::<DurationMillisecondType>(array),
        TimeUnit::Microsecond => values::<DurationMicrosecondType>(array),
        TimeUnit::Nanosecond => values::<DurationNanosecondType>(array),
    }
}

fn bind_spans(array: &dyn Array) -> Option<(Spans<'_>, &dyn Array)> {
    Some(match array.data_type() {
        DataType::List(_) => {
            let list = array.as_list_opt::<i32>()?;
            (Spans::Small(list.value_offsets()), list.values().as_ref())
        }
        DataType::LargeList(_) => {
            let list = array.as_list_opt::<i64>()?;
            (Spans::Large(list.value_offsets()), list.values().as_ref())
        }
        DataType::ListView(_) => {
            let list = array.as_list_view_opt::<i32>()?;
            (Spans::View(list.value_offsets(), list.value_sizes()), list.values().as_ref())
        }
        DataType::LargeListView(_) => {
            let list = array.as_list_view_opt::<i64>()?;
            (Spans::LargeView(list.value_offsets(), list.value_sizes()), list.values().as_ref())
        }
        DataType::FixedSizeList(_, size) => {
            let list = array.as_fixed_size_list_opt()?;
            (Spans::Fixed(usize::try_from(*size).ok()?), list.values().as_ref())
        }
        _ => return None,
    })
}

fn bind_indexed(array: &dyn Array) -> Option<(Vec<usize>, &dyn Array)> {
    if let Some(dictionary) = array.as_any_dictionary_opt() {
        // Keys of null rows mean nothing, and an empty dictionary has only those.
        if dictionary.values().is_empty() {
            return Some((vec![0; dictionary.len()], dictionary.values().as_ref()));
        }
        return Some((dictionary.normalized_keys(), dictionary.values().as_ref()));
    }
    match array.data_type() {
        DataType::RunEndEncoded(ends, _) => match ends.data_type() {
            DataType::Int16 => bind_runs::<Int16Type>(array),
            DataType::Int32 => bind_runs::<Int32Type>(array),
            DataType::Int64 => bind_runs::<Int64Type>(array),
            _ => None,
        },
        _ => None,
    }
}

fn bind_runs<R: RunEndIndexType>(array: &dyn Array) -> Option<(Vec<usize>, &dyn Array)> {
    let runs = array.as_run_opt::<R>()?;
    let index = (0..runs.len()).map(|row| runs.get_physical_index(row)).collect();
    Some((index, runs.values().as_ref()))
}
