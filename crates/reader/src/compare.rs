//! Whether the files of one export have the same columns.

use arrow_schema::{DataType, SchemaRef};

/// The first column of `now` that differs from `before` in its name or type.
pub(crate) fn first_difference(before: &SchemaRef, now: &SchemaRef) -> Option<String> {
    let columns = before.fields().iter().zip(now.fields());
    for (index, (before, now)) in columns.enumerate() {
        if before.name() != now.name() || !is_same_type(before.data_type(), now.data_type()) {
            return Some(format!(
                "column {index} is {:?} of type {} instead of {:?} of type {}",
                now.name(),
                now.data_type(),
                before.name(),
                before.data_type()
            ));
        }
    }
    let (before, now) = (before.fields().len(), now.fields().len());
    (before != now).then(|| format!("it has {now} columns instead of {before}"))
}

/// Whether two types print alike: whether an item or a member may be null does not matter, nor
/// what the items of a list are called.
fn is_same_type(before: &DataType, now: &DataType) -> bool {
    match (before, now) {
        (DataType::List(a), DataType::List(b))
        | (DataType::LargeList(a), DataType::LargeList(b)) => {
            is_same_type(a.data_type(), b.data_type())
        }
        (DataType::FixedSizeList(a, size), DataType::FixedSizeList(b, other_size)) => {
            size == other_size && is_same_type(a.data_type(), b.data_type())
        }
        (DataType::Map(a, _), DataType::Map(b, _)) => match (a.data_type(), b.data_type()) {
            (DataType::Struct(a), DataType::Struct(b)) => {
                a.len() == b.len()
                    && a.iter().zip(b).all(|(a, b)| is_same_type(a.data_type(), b.data_type()))
            }
            (a, b) => a == b,
        },
        (DataType::Struct(a), DataType::Struct(b)) => {
            let mut members = a.iter().zip(b);
            a.len() == b.len()
                && members.all(|(a, b)| {
                    a.name() == b.name() && is_same_type(a.data_type(), b.data_type())
                })
        }
        (a, b) => a == b,
    }
}
