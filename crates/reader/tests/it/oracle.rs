//! The oracle: a second writer of the output contract, plain and slow, that shares no code with
//! the first.

use arrow_array::cast::AsArray;
use arrow_array::types::{
    Date32Type, Date64Type, Decimal32Type, Decimal64Type, Decimal128Type, Decimal256Type,
    Float16Type, Float32Type, Float64Type, Int32Type,
};
use arrow_array::{Array, ArrayRef, RecordBatch};
use arrow_schema::{DataType, TimeUnit};
use jiff::{SignedDuration, Timestamp, ToSpan, civil};
use viking_reader::{
    BinaryForm, DecimalForm, Int64Form, JsonOptions, NonFinite, Nulls, VectorForm,
};

/// The lines of a batch.
pub(crate) fn lines(batch: &RecordBatch, options: &JsonOptions) -> String {
    let mut lines = String::new();
    for row in 0..batch.num_rows() {
        let mut members = Vec::new();
        for (field, column) in batch.schema().fields().iter().zip(batch.columns()) {
            let text = match vector_base64(column, row, options) {
                Some(text) => text,
                None => value(column, row, options),
            };
            if options.nulls == Nulls::Drop && is_null(column, row) {
                continue;
            }
            members.push(format!("{}:{text}", quoted(field.name())));
        }
        lines += &format!("{{{}}}\n", members.join(","));
    }
    lines
}

fn quoted(text: &str) -> String {
    serde_json::to_string(text).unwrap()
}

fn is_null(array: &ArrayRef, row: usize) -> bool {
    array.logical_nulls().is_some_and(|nulls| nulls.is_null(row))
}

fn vector_base64(array: &ArrayRef, row: usize, options: &JsonOptions) -> Option<String> {
    if options.vectors == VectorForm::Array || array.is_null(row) {
        return None;
    }
    let items = items(array, row).filter(|items| items.data_type().is_floating())?;
    let mut bytes: Vec<u8> = match items.data_type() {
        DataType::Float16 => items
            .as_primitive::<Float16Type>()
            .values()
            .iter()
            .flat_map(|item| item.to_le_bytes())
            .collect(),
        DataType::Float32 => items
            .as_primitive::<Float32Type>()
            .values()
            .iter()
            .flat_map(|item| item.to_le_bytes())
            .collect(),
        _ => items
            .as_primitive::<Float64Type>()
            .values()
            .iter()
            .flat_map(|item| item.to_le_bytes())
            .collect(),
    };
    if options.vectors == VectorForm::Base64Be {
        let width = items.data_type().primitive_width().unwrap();
        bytes.chunks_exact_mut(width).for_each(<[u8]>::reverse);
    }
    Some(format!("\"{}\"", base64(&bytes)))
}

fn items(array: &ArrayRef, row: usize) -> Option<ArrayRef> {
    Some(match array.data_type() {
        DataType::List(_) => array.as_list::<i32>().value(row),
        DataType::LargeList(_) => array.as_list::<i64>().value(row),
        DataType::ListView(_) => array.as_list_view::<i32>().value(row),
        DataType::LargeListView(_) => array.as_list_view::<i64>().value(row),
        DataType::FixedSizeList(..) => array.as_fixed_size_list().value(row),
        _ => return None,
    })
}

/// The text of one value.
pub(crate) fn value(array: &ArrayRef, row: usize, options: &JsonOptions) -> String {
    if is_null(array, row) {
        return "null".to_owned();
    }
    if let Some(items) = items(array, row) {
        let items: Vec<_> = (0..items.len()).map(|item| value(&items, item, options)).collect();
        return format!("[{}]", items.join(","));
    }
    match array.data_type() {
        DataType::Boolean => array.as_boolean().value(row).to_string(),
        DataType::Float16 => {
            float32(array.as_primitive::<Float16Type>().value(row).to_f32(), options)
        }
        DataType::Float32 => float32(array.as_primitive::<Float32Type>().value(row), options),
        DataType::Float64 => float64(array.as_primitive::<Float64Type>().value(row), options),
        DataType::Utf8 => quoted(array.as_string::<i32>().value(row)),
        DataType::LargeUtf8 => quoted(array.as_string::<i64>().value(row)),
        DataType::Utf8View => quoted(array.as_string_view().value(row)),
        DataType::Binary => binary(array.as_binary::<i32>().value(row), options),
        DataType::LargeBinary => binary(array.as_binary::<i64>().value(row), options),
        DataType::BinaryView => binary(array.as_binary_view().value(row), options),
        DataType::FixedSizeBinary(_) => binary(array.as_fixed_size_binary().value(row), options),
        DataType::Date32 => date(i64::from(array.as_primitive::<Date32Type>().value(row))),
        DataType::Date64 => {
            date(array.as_primitive::<Date64Type>().value(row).div_euclid(86_400_000))
        }
        DataType::Time32(unit) | DataType::Time64(unit) => time(number(array, row), *unit),
        DataType::Timestamp(unit, zone) => timestamp(number(array, row), *unit, zone.is_some()),
        DataType::Duration(unit) => duration(number(array, row), *unit),
        DataType::Decimal32(_, scale) => {
            decimal(&array.as_primitive::<Decimal32Type>().value(row).to_string(), *scale, options)
        }
        DataType::Decimal64(_, scale) => {
            decimal(&array.as_primitive::<Decimal64Type>().value(row).to_string(), *scale, options)
        }
        DataType::Decimal128(_, scale) => {
            decimal(&array.as_primitive::<Decimal128Type>().value(row).to_string(), *scale, options)
        }
        DataType::Decimal256(_, scale) => {
            decimal(&array.as_primitive::<Decimal256Type>().value(row).to_string(), *scale, options)
        }
        DataType::Struct(fields) => {
            let columns = array.as_struct().columns().iter();
            let members = fields.iter().zip(columns).map(|(field, column)| {
                format!("{}:{}", quoted(field.name()), value(column, row, options))
            });
            format!("{{{}}}", members.collect::<Vec<_>>().join(","))
        }
        DataType::Map(..) => {
            let entries = array.as_map().value(row);
            let members = (0..entries.len()).map(|entry| {
                let key = value(entries.column(0), entry, options);
                let key = if key.starts_with('"') { key } else { format!("\"{key}\"") };
                format!("{key}:{}", value(entries.column(1), entry, options))
            });
            format!("{{{}}}", members.collect::<Vec<_>>().join(","))
        }
        DataType::Dictionary(..) => {
            let dictionary = array.as_any_dictionary();
            value(dictionary.values(), dictionary.normalized_keys()[row], options)
        }
        DataType::RunEndEncoded(..) => {
            let runs = array.as_run::<Int32Type>();
            value(runs.values(), runs.get_physical_index(row), options)
        }
        integer if integer.is_integer() => {
            let text = integer_text(array, row);
            let is_wide = matches!(integer, DataType::Int64 | DataType::UInt64);
            if is_wide && options.int64 == Int64Form::String { format!("\"{text}\"") } else { text }
        }
        other => panic!("the oracle does not know {other}"),
    }
}

fn integer_text(array: &ArrayRef, row: usize) -> String {
    use arrow_array::types::{
        Int8Type, Int16Type, Int64Type, UInt8Type, UInt16Type, UInt32Type, UInt64Type,
    };
    match array.data_type() {
        DataType::Int8 => array.as_primitive::<Int8Type>().value(row).to_string(),
        DataType::Int16 => array.as_primitive::<Int16Type>().value(row).to_string(),
        DataType::Int32 => array.as_primitive::<Int32Type>().value(row).to_string(),
        DataType::Int64 => array.as_primitive::<Int64Type>().value(row).to_string(),
        DataType::UInt8 => array.as_primitive::<UInt8Type>().value(row).to_string(),
        DataType::UInt16 => array.as_primitive::<UInt16Type>().value(row).to_string(),
        DataType::UInt32 => array.as_primitive::<UInt32Type>().value(row).to_string(),
        _ => array.as_primitive::<UInt64Type>().value(row).to_string(),
    }
}

/// The integer under a time type of 32 or 64 bits.
fn number(array: &ArrayRef, row: usize) -> i64 {
    let data = array.to_data();
    if data.data_type().primitive_width() == Some(4) {
        i64::from(data.buffer::<i32>(0)[row])
    } else {
        data.buffer::<i64>(0)[row]
    }
}

fn float32(value: f32, options: &JsonOptions) -> String {
    if value.is_finite() {
        serde_json::to_string(&value).unwrap()
    } else {
        float64(f64::from(value), options)
    }
}

fn float64(value: f64, options: &JsonOptions) -> String {
    if value.is_finite() {
        return serde_json::to_string(&value).unwrap();
    }
    let name = if value.is_nan() {
        "NaN"
    } else if value > 0.0 {
        "Infinity"
    } else {
        "-Infinity"
    };
    if options.nonfinite == NonFinite::String { quoted(name) } else { "null".to_owned() }
}

fn binary(bytes: &[u8], options: &JsonOptions) -> String {
    match options.binary {
        BinaryForm::Base64 => format!("\"{}\"", base64(bytes)),
        BinaryForm::Hex => {
            let digits: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
            format!("\"{digits}\"")
        }
        BinaryForm::Utf8 => quoted(std::str::from_utf8(bytes).unwrap()),
    }
}

fn base64(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::new();
    for group in bytes.chunks(3) {
        let bits = group.iter().fold(0_u32, |bits, byte| bits << 8 | u32::from(*byte))
            << (8 * (3 - group.len()));
        for digit in 0..4 {
            if digit <= group.len() {
                text.push(char::from(DIGITS[(bits >> (18 - 6 * digit)) as usize & 63]));
            } else {
                text.push('=');
            }
        }
    }
    text
}

fn date(days: i64) -> String {
    format!("\"{}\"", civil::date(1970, 1, 1) + days.days())
}

fn digits(unit: TimeUnit) -> usize {
    match unit {
        TimeUnit::Second => 0,
        TimeUnit::Millisecond => 3,
        TimeUnit::Microsecond => 6,
        TimeUnit::Nanosecond => 9,
    }
}

fn fraction(value: i128, unit: TimeUnit) -> String {
    let width = digits(unit);
    if width == 0 { String::new() } else { format!(".{value:0width$}") }
}

fn per_second(unit: TimeUnit) -> i128 {
    10_i128.pow(u32::try_from(digits(unit)).unwrap())
}

fn time(value: i64, unit: TimeUnit) -> String {
    let (value, parts) = (i128::from(value), per_second(unit));
    if value < 0 || value >= 86_400 * parts {
        return "null".to_owned();
    }
    let seconds = value / parts;
    let clock = format!("{:02}:{:02}:{:02}", seconds / 3600, seconds / 60 % 60, seconds % 60);
    format!("\"{clock}{}\"", fraction(value % parts, unit))
}

fn timestamp(value: i64, unit: TimeUnit, utc: bool) -> String {
    let parts = per_second(unit);
    let seconds = i64::try_from(i128::from(value).div_euclid(parts)).unwrap();
    let instant = Timestamp::UNIX_EPOCH + SignedDuration::from_secs(seconds);
    let local = jiff::tz::TimeZone::UTC.to_datetime(instant);
    let text = format!("{}T{}", local.date(), local.time());
    let fraction = fraction(i128::from(value).rem_euclid(parts), unit);
    format!("\"{text}{fraction}{}\"", if utc { "Z" } else { "" })
}

fn duration(value: i64, unit: TimeUnit) -> String {
    let (length, parts) = (i128::from(value).abs(), per_second(unit));
    let sign = if value < 0 { "-" } else { "" };
    format!("\"{sign}PT{}{}S\"", length / parts, fraction(length % parts, unit))
}

fn decimal(unscaled: &str, scale: i8, options: &JsonOptions) -> String {
    let (sign, digits) = match unscaled.strip_prefix('-') {
        Some(digits) => ("-", digits.to_owned()),
        None => ("", unscaled.to_owned()),
    };
    let text = if scale > 0 {
        let places = usize::try_from(scale).unwrap();
        let padded = format!("{digits:0>width$}", width = places + 1);
        let (whole, fraction) = padded.split_at(padded.len() - places);
        format!("{sign}{whole}.{fraction}")
    } else if digits == "0" {
        digits
    } else {
        format!("{sign}{digits}{}", "0".repeat(usize::from(scale.unsigned_abs())))
    };
    if options.decimal == DecimalForm::String { format!("\"{text}\"") } else { text }
}
