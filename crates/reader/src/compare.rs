//! Whether the files of one export have the same columns.

use arrow_schema::{DataType, FieldRef, Schema};

/// The first column of `now` that differs from `before` in its name, or that prints in another way; or in
/// its type, if types are handed on.
pub(crate) fn first_difference(before: &Schema, now: &Schema, is_printed: bool) -> Option<String> {
    let columns = before.fields().iter().zip(now.fields());
    for (index, (before, now)) in columns.enumerate() {
        let (old, new) = (before.data_type(), now.data_type());
        let is_same = if is_printed { prints_alike(old, new) } else { is_same_type(old, new) };
        if before.name() != now.name() || !is_same {
            return Some(format!(
                "column {index} is {:?} of type {new} instead of {:?} of type {old}",
                now.name(),
                before.name(),
            ));
        }
    }
    let (before, now) = (before.fields().len(), now.fields().len());
    (before != now).then(|| format!("it has {now} columns instead of {before}"))
}

/// Whether two types are the same but for what an item or a member is called and whether it may be null.
fn is_same_type(before: &DataType, now: &DataType) -> bool {
    match (before, now) {
        (DataType::List(a), DataType::List(b))
        | (DataType::LargeList(a), DataType::LargeList(b)) => {
            is_same_type(a.data_type(), b.data_type())
        }
        (DataType::FixedSizeList(a, size), DataType::FixedSizeList(b, other_size)) => {
            size == other_size && is_same_type(a.data_type(), b.data_type())
        }
        (DataType::Map(a, _), DataType::Map(b, _)) => entries_are(a, b, is_same_type),
        (DataType::Struct(a), DataType::Struct(b)) => members_are(a, b, is_same_type),
        (a, b) => a == b,
    }
}

/// Whether the same value prints as the same text in both types.
fn prints_alike(before: &DataType, now: &DataType) -> bool {
    if let (Some(before), Some(now)) = (list_item(before), list_item(now)) {
        return prints_alike(before.data_type(), now.data_type());
    }
    match (before, now) {
        (DataType::Dictionary(_, before), now) => prints_alike(before, now),
        (before, DataType::Dictionary(_, now)) => prints_alike(before, now),
        (DataType::RunEndEncoded(_, before), now) => prints_alike(before.data_type(), now),
        (before, DataType::RunEndEncoded(_, now)) => prints_alike(before, now.data_type()),
        (DataType::Map(a, _), DataType::Map(b, _)) => entries_are(a, b, prints_alike),
        (DataType::Struct(a), DataType::Struct(b)) => members_are(a, b, prints_alike),
        (DataType::Timestamp(unit, zone), DataType::Timestamp(other, other_zone)) => {
            unit == other && zone.is_some() == other_zone.is_some()
        }
        (before, now) => {
            before == now
                || is_narrow(before) && is_narrow(now)
                || is_wide(before) && is_wide(now)
                || is_text(before) && is_text(now)
                || is_binary(before) && is_binary(now)
                || decimal_scale(before).is_some() && decimal_scale(before) == decimal_scale(now)
        }
    }
}

fn entries_are(a: &FieldRef, b: &FieldRef, same: fn(&DataType, &DataType) -> bool) -> bool {
    match (a.data_type(), b.data_type()) {
        (DataType::Struct(a), DataType::Struct(b)) => {
            a.len() == b.len() && a.iter().zip(b).all(|(a, b)| same(a.data_type(), b.data_type()))
        }
        (a, b) => a == b,
    }
}

fn members_are(a: &[FieldRef], b: &[FieldRef], same: fn(&DataType, &DataType) -> bool) -> bool {
    let mut members = a.iter().zip(b);
    a.len() == b.len()
        && members.all(|(a, b)| a.name() == b.name() && same(a.data_type(), b.data_type()))
}

fn list_item(data_type: &DataType) -> Option<&FieldRef> {
    match data_type {
        DataType::List(item)
        | DataType::LargeList(item)
        | DataType::ListView(item)
        | DataType::LargeListView(item)
        | DataType::FixedSizeList(item, _) => Some(item),
        _ => None,
    }
}

/// Integers that are never quoted.
fn is_narrow(data_type: &DataType) -> bool {
    data_type.is_integer() && !is_wide(data_type)
}

fn is_wide(data_type: &DataType) -> bool {
    matches!(data_type, DataType::Int64 | DataType::UInt64)
}

fn is_text(data_type: &DataType) -> bool {
    matches!(data_type, DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View)
}

fn is_binary(data_type: &DataType) -> bool {
    use DataType::{Binary, BinaryView, FixedSizeBinary, LargeBinary};
    // 16 bytes may be a UUID, which prints in another way.
    matches!(data_type, Binary | LargeBinary | BinaryView)
        || matches!(data_type, FixedSizeBinary(size) if *size != 16)
}

fn decimal_scale(data_type: &DataType) -> Option<i8> {
    match data_type {
        DataType::Decimal32(_, scale)
        | DataType::Decimal64(_, scale)
        | DataType::Decimal128(_, scale)
        | DataType::Decimal256(_, scale) => Some(*scale),
        _ => None,
    }
}
