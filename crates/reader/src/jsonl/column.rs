//! A typed view of one column of one batch: one downcast per batch, one `match` per cell.

use std::cell::RefCell;
use std::ops::Range;

use arrow_array::cast::AsArray;
use arrow_array::types::{
    ArrowPrimitiveType, Date32Type, Date64Type, Decimal32Type, Decimal64Type, Decimal128Type,
    Decimal256Type, DurationMicrosecondType, DurationMillisecondType, DurationNanosecondType,
    DurationSecondType, Float16Type, Float32Type, Float64Type, Int8Type, Int16Type, Int32Type,
    Int64Type, RunEndIndexType, Time32MillisecondType, Time32SecondType, Time64MicrosecondType,
    Time64NanosecondType, TimestampMicrosecondType, TimestampMillisecondType,
    TimestampNanosecondType, TimestampSecondType, UInt8Type, UInt16Type, UInt32Type, UInt64Type,
};
use arrow_array::{
    Array, BinaryArray, BinaryViewArray, BooleanArray, FixedSizeBinaryArray, LargeBinaryArray,
    LargeStringArray, StringArray, StringViewArray,
};
use arrow_buffer::{NullBuffer, i256};
use arrow_schema::{DataType, TimeUnit};

use super::kernel::float32::Blockwise;
use super::kernel::push::Short;
use super::kernel::{binary, decimal, float, float32, int, text, time};
use super::plan::Kind;
use super::{BinaryForm, Counts, DecimalForm, Int64Form, JsonOptions, NonFinite};

type F16 = <Float16Type as ArrowPrimitiveType>::Native;

/// One column of one batch, ready to print any row of it.
pub(super) struct Column<'a> {
    nulls: Option<NullBuffer>,
    pub(super) data: Data<'a>,
}

pub(super) enum Data<'a> {
    Bool(&'a BooleanArray),
    Bytes(Bytes<'a>, BinaryForm),
    Date32(&'a [i32]),
    Date64(&'a [i64]),
    Decimal(Decimals<'a>, DecimalStyle),
    Duration(&'a [i64], TimeUnit),
    F16(&'a [F16], NonFinite),
    F32(&'a [f32], NonFinite, Box<RefCell<Blockwise>>),
    F64(&'a [f64], NonFinite),
    I8(&'a [i8]),
    I16(&'a [i16]),
    I32(&'a [i32]),
    I64(&'a [i64], Int64Form),
    /// For each row, which of the values it is.
    Indexed(Vec<usize>, Box<Column<'a>>),
    List(Spans<'a>, Box<Column<'a>>),
    Map(Spans<'a>, Box<Column<'a>>, Box<Column<'a>>),
    Null,
    Struct(Vec<(&'a Short, Column<'a>)>),
    Text(Text<'a>),
    Time32(&'a [i32], TimeUnit),
    Time64(&'a [i64], TimeUnit),
    Timestamp(&'a [i64], TimeUnit, bool),
    U8(&'a [u8]),
    U16(&'a [u16]),
    U32(&'a [u32]),
    U64(&'a [u64], Int64Form),
    Uuid(&'a FixedSizeBinaryArray),
    VectorBase64(Spans<'a>, Box<Column<'a>>),
}

pub(super) enum Text<'a> {
    Large(&'a LargeStringArray),
    Small(&'a StringArray),
    View(&'a StringViewArray),
}

pub(super) enum Bytes<'a> {
    Fixed(&'a FixedSizeBinaryArray),
    Large(&'a LargeBinaryArray),
    Small(&'a BinaryArray),
    View(&'a BinaryViewArray),
}

pub(super) enum Decimals<'a> {
    D32(&'a [i32]),
    D64(&'a [i64]),
    D128(&'a [i128]),
    D256(&'a [i256]),
}

#[derive(Clone, Copy)]
pub(super) struct DecimalStyle {
    scale: i8,
    form: DecimalForm,
}

/// Which items of the child belong to a row.
pub(super) enum Spans<'a> {
    Fixed(usize),
    Large(&'a [i64]),
    LargeView(&'a [i64], &'a [i64]),
    Small(&'a [i32]),
    View(&'a [i32], &'a [i32]),
}

impl Spans<'_> {
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "arrow checked the offsets against the child's length"
    )]
    pub(super) fn of(&self, row: usize) -> Range<usize> {
        match self {
            Self::Fixed(size) => row * size..(row + 1) * size,
            Self::Large(offsets) => offsets[row] as usize..offsets[row + 1] as usize,
            Self::LargeView(offsets, sizes) => {
                let start = offsets[row] as usize;
                start..start + sizes[row] as usize
            }
            Self::Small(offsets) => offsets[row] as usize..offsets[row + 1] as usize,
            Self::View(offsets, sizes) => {
                let start = offsets[row] as usize;
                start..start + sizes[row] as usize
            }
        }
    }
}

impl Text<'_> {
    fn write(&self, row: usize, out: &mut Vec<u8>) {
        let text = self.value(row);
        // The bytes behind a short text belong to its neighbours: with them it is one fixed size.
        let with_neighbours = match self {
            Self::Small(array) if text.len() <= text::SHORT => {
                let start = usize::try_from(array.value_offsets()[row]).unwrap_or(usize::MAX);
                array.value_data().get(start..).and_then(<[u8]>::first_chunk)
            }
            _ => None,
        };
        match with_neighbours {
            Some(chunk) => text::write_short(chunk, text.len(), out),
            None => text::write_string(text, out),
        }
    }

    pub(super) fn value(&self, row: usize) -> &[u8] {
        match self {
            Self::Large(array) => array.value(row).as_bytes(),
            Self::Small(array) => array.value(row).as_bytes(),
            Self::View(array) => array.value(row).as_bytes(),
        }
    }
}

impl Bytes<'_> {
    pub(super) fn value(&self, row: usize) -> &[u8] {
        match self {
            Self::Fixed(array) => array.value(row),
            Self::Large(array) => array.value(row),
            Self::Small(array) => array.value(row),
            Self::View(array) => array.value(row),
        }
    }
}

impl<'a> Column<'a> {
    /// Views `array` as `kind`; `None` if it has another type than the plan was made for.
    pub(super) fn bind(kind: &'a Kind, array: &'a dyn Array, options: JsonOptions) -> Option<Self> {
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
                Data::List(spans, Box::new(Self::bind(item, child, options)?))
            }
            Kind::VectorBase64 => {
                let (spans, child) = bind_spans(array)?;
                Data::VectorBase64(spans, Box::new(Self::bind(&Kind::Float, child, options)?))
            }
            Kind::Struct(members) => {
                let array = array.as_struct_opt()?;
                let bound = members.iter().zip(array.columns()).map(|((key, kind), column)| {
                    Some((key, Self::bind(kind, column.as_ref(), options)?))
                });
                Data::Struct(bound.collect::<Option<_>>()?)
            }
            Kind::Map { key, value } => {
                let array = array.as_map_opt()?;
                let keys = Self::bind(key, array.keys().as_ref(), options)?;
                let values = Self::bind(value, array.values().as_ref(), options)?;
                Data::Map(Spans::Small(array.value_offsets()), Box::new(keys), Box::new(values))
            }
            Kind::Indexed(value) => {
                let (index, child) = bind_indexed(array)?;
                Data::Indexed(index, Box::new(Self::bind(value, child, options)?))
            }
        };
        Some(Self { nulls: array.nulls().cloned(), data })
    }

    /// Whether the row prints as `null` because the file says so.
    pub(super) fn is_null(&self, row: usize) -> bool {
        if self.nulls.as_ref().is_some_and(|nulls| nulls.is_null(row)) {
            return true;
        }
        match &self.data {
            Data::Null => true,
            Data::Indexed(index, values) => values.is_null(index[row]),
            _ => false,
        }
    }

    fn has_nulls(&self) -> bool {
        self.nulls.as_ref().is_some_and(|nulls| nulls.null_count() > 0)
    }

    /// Whether this is binary that holds text: all valid UTF-8, and not all empty.
    pub(super) fn is_text_like(&self, rows: usize) -> bool {
        let Data::Bytes(
            bytes @ (Bytes::Small(_) | Bytes::Large(_) | Bytes::View(_)),
            BinaryForm::Base64,
        ) = &self.data
        else {
            return false;
        };
        let mut values = (0..rows).filter(|&row| !self.is_null(row)).map(|row| bytes.value(row));
        let mut some = false;
        values.all(|value| {
            some |= !value.is_empty();
            std::str::from_utf8(value).is_ok()
        }) && some
    }

    /// Appends the value of `row`.
    pub(super) fn write(&self, row: usize, out: &mut Vec<u8>, counts: &mut Counts) {
        if self.nulls.as_ref().is_some_and(|nulls| nulls.is_null(row)) {
            out.extend_from_slice(b"null");
            return;
        }
        match &self.data {
            Data::Bool(array) => {
                out.extend_from_slice(if array.value(row) { b"true" } else { b"false" });
            }
            Data::Bytes(bytes, form) => binary::write(bytes.value(row), *form, out),
            Data::Date32(values) => time::write_date_quoted(i64::from(values[row]), out),
            Data::Date64(values) => {
                time::write_date_quoted(values[row].div_euclid(86_400_000), out);
            }
            Data::Decimal(values, style) => write_decimal(values, *style, row, out),
            Data::Duration(values, unit) => time::write_duration(values[row], *unit, out),
            Data::F16(values, form) => float::write_f32(values[row].to_f32(), *form, out, counts),
            Data::F32(values, form, block) => {
                block.borrow_mut().write(values, row, *form, out, counts);
            }
            Data::F64(values, form) => float::write_f64(values[row], *form, out, counts),
            Data::I8(values) => int::write_signed(i64::from(values[row]), out),
            Data::I16(values) => int::write_signed(i64::from(values[row]), out),
            Data::I32(values) => int::write_signed(i64::from(values[row]), out),
            Data::I64(values, form) => int::write_64(values[row], int::write_signed, *form, out),
            Data::Indexed(index, values) => values.write(index[row], out, counts),
            Data::List(spans, items) => items.write_list(spans.of(row), out, counts),
            Data::Map(spans, keys, values) => write_map(spans.of(row), keys, values, out, counts),
            Data::Null => out.extend_from_slice(b"null"),
            Data::Struct(members) => write_struct(members, row, out, counts),
            Data::Text(values) => values.write(row, out),
            Data::Time32(values, unit) => {
                time::write_time(i64::from(values[row]), *unit, out, counts);
            }
            Data::Time64(values, unit) => time::write_time(values[row], *unit, out, counts),
            Data::Timestamp(values, unit, utc) => {
                time::write_timestamp(values[row], *unit, *utc, out);
            }
            Data::U8(values) => int::write_unsigned(u64::from(values[row]), out),
            Data::U16(values) => int::write_unsigned(u64::from(values[row]), out),
            Data::U32(values) => int::write_unsigned(u64::from(values[row]), out),
            Data::U64(values, form) => int::write_64(values[row], int::write_unsigned, *form, out),
            Data::Uuid(array) => binary::write_uuid(array.value(row), out),
            Data::VectorBase64(spans, items) => write_vector(spans.of(row), &items.data, out),
        }
    }

    fn write_list(&self, span: Range<usize>, out: &mut Vec<u8>, counts: &mut Counts) {
        match &self.data {
            Data::F32(values, form, _) if !self.has_nulls() => {
                float32::write_f32_list(&values[span], *form, out, counts);
            }
            Data::F64(values, form) if !self.has_nulls() => {
                float::write_f64_list(&values[span], *form, out, counts);
            }
            _ => {
                out.push(b'[');
                let first = span.start;
                for item in span {
                    if item > first {
                        out.push(b',');
                    }
                    self.write(item, out, counts);
                }
                out.push(b']');
            }
        }
    }
}

fn write_struct(
    members: &[(&Short, Column<'_>)],
    row: usize,
    out: &mut Vec<u8>,
    counts: &mut Counts,
) {
    out.push(b'{');
    for (index, (key, column)) in members.iter().enumerate() {
        if index > 0 {
            out.push(b',');
        }
        key.write(out);
        column.write(row, out, counts);
    }
    out.push(b'}');
}

fn write_map(
    span: Range<usize>,
    keys: &Column<'_>,
    values: &Column<'_>,
    out: &mut Vec<u8>,
    counts: &mut Counts,
) {
    out.push(b'{');
    let first = span.start;
    for entry in span {
        if entry > first {
            out.push(b',');
        }
        write_key(keys, entry, out, counts);
        out.push(b':');
        values.write(entry, out, counts);
    }
    out.push(b'}');
}

/// A key is its value's text in quotes; text, dates and the like bring their own.
fn write_key(keys: &Column<'_>, entry: usize, out: &mut Vec<u8>, counts: &mut Counts) {
    if keys.is_null(entry) {
        counts.null_map_keys += 1;
    }
    let start = out.len();
    keys.write(entry, out, counts);
    if out[start] != b'"' {
        out.insert(start, b'"');
        out.push(b'"');
    }
}

fn write_vector(span: Range<usize>, items: &Data<'_>, out: &mut Vec<u8>) {
    match items {
        Data::F16(values, _) => {
            binary::write_vector(values[span].iter().map(|value| value.to_le_bytes()), out);
        }
        Data::F32(values, ..) => {
            binary::write_vector(values[span].iter().map(|value| value.to_le_bytes()), out);
        }
        Data::F64(values, _) => {
            binary::write_vector(values[span].iter().map(|value| value.to_le_bytes()), out);
        }
        _ => out.extend_from_slice(b"null"),
    }
}

fn write_decimal(values: &Decimals<'_>, style: DecimalStyle, row: usize, out: &mut Vec<u8>) {
    if style.form == DecimalForm::String {
        out.push(b'"');
    }
    match values {
        Decimals::D32(values) => decimal::write(i128::from(values[row]), style.scale, out),
        Decimals::D64(values) => decimal::write(i128::from(values[row]), style.scale, out),
        Decimals::D128(values) => decimal::write(values[row], style.scale, out),
        Decimals::D256(values) => decimal::write_256(values[row], style.scale, out),
    }
    if style.form == DecimalForm::String {
        out.push(b'"');
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
        DataType::Float32 => {
            Data::F32(values::<Float32Type>(array)?, form, Box::new(RefCell::new(Blockwise::new())))
        }
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
