//! Times of day as Arrow has them: a time outside 0–24 h becomes null, in lists and structs too.

use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::types::{
    ArrowPrimitiveType, Time32MillisecondType, Time32SecondType, Time64MicrosecondType,
    Time64NanosecondType,
};
use arrow_array::{
    Array, ArrayRef, FixedSizeListArray, GenericListArray, MapArray, OffsetSizeTrait, StructArray,
};
use arrow_buffer::OffsetBuffer;
use arrow_schema::{ArrowError, DataType, Field, FieldRef, Fields, TimeUnit};

use crate::jsonl::Counts;

/// The field as nullable, and all times in it and what they are in, but for keys of maps, none of which may be null.
///
/// What stands beside a time in a struct becomes nullable too: under a null of a struct further out there are nulls
/// that Arrow takes only so.
pub(crate) fn nullable(field: &FieldRef) -> FieldRef {
    let inner = nullable;
    let data_type = match field.data_type() {
        // Its array stays as it is.
        other if !has_times(other) => other.clone(),
        DataType::List(item) => DataType::List(inner(item)),
        DataType::LargeList(item) => DataType::LargeList(inner(item)),
        DataType::FixedSizeList(item, size) => DataType::FixedSizeList(inner(item), *size),
        DataType::Struct(members) => DataType::Struct(members.iter().map(inner).collect()),
        DataType::Map(entries, sorted) => DataType::Map(with_nullable_values(entries), *sorted),
        other => other.clone(),
    };
    Arc::new(Field::clone(field).with_data_type(data_type).with_nullable(true))
}

/// [`nullable`] for the entries of a map.
fn with_nullable_values(entries: &FieldRef) -> FieldRef {
    let DataType::Struct(members) = entries.data_type() else { return Arc::clone(entries) };
    let mut members: Vec<FieldRef> = members.to_vec();
    if let [_, value] = &mut members[..] {
        *value = nullable(value);
    }
    Arc::new(Field::clone(entries).with_data_type(DataType::Struct(members.into())))
}

/// The column with what is in its [`nullable`] field. Times that become null are counted.
pub(crate) fn times_in_a_day(
    column: &ArrayRef,
    counts: &mut Counts,
) -> Result<ArrayRef, ArrowError> {
    if !has_times(column.data_type()) {
        return Ok(Arc::clone(column));
    }
    Ok(match column.data_type() {
        DataType::Time32(TimeUnit::Second) => below::<Time32SecondType>(column, 86_400, counts),
        DataType::Time32(_) => below::<Time32MillisecondType>(column, 86_400_000, counts),
        DataType::Time64(TimeUnit::Microsecond) => {
            below::<Time64MicrosecondType>(column, 86_400_000_000, counts)
        }
        DataType::Time64(_) => below::<Time64NanosecondType>(column, 86_400_000_000_000, counts),
        DataType::List(item) => in_list::<i32>(item, column, counts)?,
        DataType::LargeList(item) => in_list::<i64>(item, column, counts)?,
        DataType::FixedSizeList(item, size) => {
            let list = column.as_fixed_size_list();
            let items = times_in_a_day(list.values(), counts)?;
            let (item, nulls) = (nullable(item), list.nulls().cloned());
            Arc::new(FixedSizeListArray::try_new(item, *size, items, nulls)?)
        }
        DataType::Struct(fields) => {
            let members = column.as_struct().columns().iter();
            let members = members.map(|member| times_in_a_day(member, counts));
            let members = members.collect::<Result<_, _>>()?;
            let fields: Fields = fields.iter().map(nullable).collect();
            Arc::new(StructArray::try_new(fields, members, column.nulls().cloned())?)
        }
        DataType::Map(entries, sorted) => in_map(entries, *sorted, column, counts)?,
        _ => Arc::clone(column),
    })
}

fn has_times(data_type: &DataType) -> bool {
    match data_type {
        DataType::Time32(_) | DataType::Time64(_) => true,
        DataType::List(item) | DataType::LargeList(item) | DataType::FixedSizeList(item, _) => {
            has_times(item.data_type())
        }
        DataType::Map(entries, _) => has_times(entries.data_type()),
        DataType::Struct(members) => members.iter().any(|member| has_times(member.data_type())),
        _ => false,
    }
}

fn below<T: ArrowPrimitiveType>(column: &ArrayRef, end: T::Native, counts: &mut Counts) -> ArrayRef
where
    T::Native: Default + PartialOrd,
{
    let in_range =
        |value: T::Native| (T::Native::default() <= value && value < end).then_some(value);
    let Some(array) = column.as_primitive_opt::<T>() else { return Arc::clone(column) };
    let times = array.unary_opt::<_, T>(in_range);
    counts.times_out_of_range += (times.null_count() - array.null_count()) as u64;
    Arc::new(times)
}

fn in_list<O: OffsetSizeTrait>(
    item: &FieldRef,
    column: &ArrayRef,
    counts: &mut Counts,
) -> Result<ArrayRef, ArrowError> {
    let list = column.as_list::<O>();
    let (offsets, items) = trimmed(list.offsets(), list.values());
    let items = times_in_a_day(&items, counts)?;
    let (item, nulls) = (nullable(item), list.nulls().cloned());
    Ok(Arc::new(GenericListArray::try_new(item, offsets, items, nulls)?))
}

fn in_map(
    entries: &FieldRef,
    sorted: bool,
    column: &ArrayRef,
    counts: &mut Counts,
) -> Result<ArrayRef, ArrowError> {
    let map = column.as_map();
    let entries = with_nullable_values(entries);
    let DataType::Struct(fields) = entries.data_type() else { return Ok(Arc::clone(column)) };
    let (offsets, keys) = trimmed(map.offsets(), map.keys());
    let (_, values) = trimmed(map.offsets(), map.values());
    let values = times_in_a_day(&values, counts)?;
    let members = StructArray::try_new(fields.clone(), vec![keys, values], None)?;
    let nulls = map.nulls().cloned();
    Ok(Arc::new(MapArray::try_new(entries, offsets, members, nulls, sorted)?))
}

/// The items that the offsets tell of, without those before and behind, which are not counted.
fn trimmed<O: OffsetSizeTrait>(
    offsets: &OffsetBuffer<O>,
    items: &ArrayRef,
) -> (OffsetBuffer<O>, ArrayRef) {
    let first = offsets[0];
    let items = items.slice(first.as_usize(), (offsets[offsets.len() - 1] - first).as_usize());
    (OffsetBuffer::new(offsets.iter().map(|&offset| offset - first).collect()), items)
}
