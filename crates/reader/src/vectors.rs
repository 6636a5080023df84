//! Vectors: top-level lists of floats, narrowed to f32 where they hold nothing else, and of a fixed size where all of
//! them have it.

use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::types::{Float32Type, Float64Type};
use arrow_array::{
    Array, ArrayRef, FixedSizeListArray, Float32Array, GenericListArray, OffsetSizeTrait,
    PrimitiveArray, RecordBatch, RecordBatchOptions,
};
use arrow_schema::{ArrowError, DataType, Field, FieldRef, Fields, Schema, SchemaRef};

use crate::batch::BatchReader;

/// A value that keeps a column from being narrowed: its row in the batch, and the column.
pub(crate) struct TooPrecise {
    pub(crate) row: usize,
    pub(crate) column: usize,
}

/// The schema with f32 in the place of f64 in lists.
pub(crate) fn narrowed(schema: &Schema) -> SchemaRef {
    let fields: Fields = schema.fields().iter().map(narrowed_field).collect();
    Arc::new(Schema::new_with_metadata(fields, schema.metadata().clone()))
}

fn narrowed_field(field: &FieldRef) -> FieldRef {
    let narrow = |item: &FieldRef| -> Option<FieldRef> {
        let is_double = *item.data_type() == DataType::Float64;
        is_double.then(|| Arc::new(Field::clone(item).with_data_type(DataType::Float32)))
    };
    let data_type = match field.data_type() {
        DataType::List(item) => narrow(item).map(DataType::List),
        DataType::LargeList(item) => narrow(item).map(DataType::LargeList),
        DataType::FixedSizeList(item, size) => {
            narrow(item).map(|item| DataType::FixedSizeList(item, *size))
        }
        _ => None,
    };
    match data_type {
        Some(data_type) => Arc::new(Field::clone(field).with_data_type(data_type)),
        None => Arc::clone(field),
    }
}

/// The batch with its lists of f64 as what the [`narrowed`] schema has.
pub(crate) fn narrow(
    batch: &RecordBatch,
    schema: &SchemaRef,
) -> Result<Result<RecordBatch, TooPrecise>, ArrowError> {
    let mut columns = Vec::with_capacity(batch.num_columns());
    for (column, (array, field)) in batch.columns().iter().zip(schema.fields()).enumerate() {
        if array.data_type() == field.data_type() {
            columns.push(Arc::clone(array));
            continue;
        }
        match narrow_list(array, field.data_type())? {
            Ok(narrowed) => columns.push(narrowed),
            Err(row) => return Ok(Err(TooPrecise { row, column })),
        }
    }
    let rows = RecordBatchOptions::new().with_row_count(Some(batch.num_rows()));
    RecordBatch::try_new_with_options(Arc::clone(schema), columns, &rows).map(Ok)
}

/// `Err` is the row of a value that is no f32.
fn narrow_list(array: &ArrayRef, wanted: &DataType) -> Result<Result<ArrayRef, usize>, ArrowError> {
    let (values, row_of): (&ArrayRef, Box<dyn Fn(usize) -> usize>) = match array.data_type() {
        DataType::List(_) => (array.as_list::<i32>().values(), row_in(array.as_list::<i32>())),
        DataType::LargeList(_) => (array.as_list::<i64>().values(), row_in(array.as_list::<i64>())),
        DataType::FixedSizeList(_, size) => {
            let size = usize::try_from(*size).unwrap_or(1).max(1);
            (array.as_fixed_size_list().values(), Box::new(move |item| item / size))
        }
        other => return Err(ArrowError::CastError(format!("{other} is no list"))),
    };
    let items = match narrow_items(values.as_primitive::<Float64Type>()) {
        Ok(items) => Arc::new(items),
        Err(item) => return Ok(Err(row_of(item))),
    };
    let nulls = array.nulls().cloned();
    Ok(Ok(match wanted {
        DataType::List(item) => {
            let offsets = array.as_list::<i32>().offsets().clone();
            Arc::new(GenericListArray::try_new(Arc::clone(item), offsets, items, nulls)?)
        }
        DataType::LargeList(item) => {
            let offsets = array.as_list::<i64>().offsets().clone();
            Arc::new(GenericListArray::try_new(Arc::clone(item), offsets, items, nulls)?)
        }
        DataType::FixedSizeList(item, size) => {
            Arc::new(FixedSizeListArray::try_new(Arc::clone(item), *size, items, nulls)?)
        }
        other => return Err(ArrowError::CastError(format!("{other} is no list"))),
    }))
}

fn row_in<O: OffsetSizeTrait>(list: &GenericListArray<O>) -> Box<dyn Fn(usize) -> usize + '_> {
    Box::new(|item| {
        let offsets = list.value_offsets();
        offsets.partition_point(|offset| offset.as_usize() <= item).saturating_sub(1)
    })
}

/// `Err` is the first item that is no f32.
fn narrow_items(values: &PrimitiveArray<Float64Type>) -> Result<Float32Array, usize> {
    // One pass without branches tells of most columns that all is well.
    let mut differs = false;
    let items: Vec<f32> = values
        .values()
        .iter()
        .map(|&value| {
            let item = narrow_value(value);
            differs |= !is_same(value, item);
            item
        })
        .collect();
    if differs {
        let is_wrong =
            |&item: &usize| values.is_valid(item) && !is_same(values.value(item), items[item]);
        if let Some(wrong) = (0..values.len()).find(is_wrong) {
            return Err(wrong);
        }
    }
    Ok(Float32Array::new(items.into(), values.nulls().cloned()))
}

#[expect(clippy::cast_possible_truncation, reason = "what is lost is looked for")]
fn narrow_value(value: f64) -> f32 {
    value as f32
}

fn is_same(value: f64, item: f32) -> bool {
    f64::from(item).to_bits() == value.to_bits() || value.is_nan()
}

/// Whether a list of f64 looks as if its values had been f32 once: each is one, and some would have fewer digits.
pub(crate) fn looks_narrow(array: &dyn Array) -> bool {
    let values = match array.data_type() {
        DataType::List(_) => array.as_list::<i32>().values(),
        DataType::LargeList(_) => array.as_list::<i64>().values(),
        DataType::FixedSizeList(..) => array.as_fixed_size_list().values(),
        _ => return false,
    };
    let Some(values) = values.as_primitive_opt::<Float64Type>() else { return false };
    let mut values = values.iter().flatten();
    let mut is_shorter = false;
    values.all(|value| {
        let item = narrow_value(value);
        is_shorter =
            is_shorter || (item.is_finite() && item.to_string().len() < value.to_string().len());
        is_same(value, item)
    }) && is_shorter
}

/// For each column of `first`, the length that all of its lists of floats have, by the footer and by these rows.
pub(crate) fn list_sizes(reader: &BatchReader, first: &RecordBatch) -> Vec<Option<i32>> {
    let footer = reader.footer();
    let mean = |column: usize| {
        let values = footer.values(column)?;
        let is_whole = footer.rows() > 0 && values % footer.rows() == 0;
        i32::try_from(values / footer.rows().max(1)).ok().filter(|&mean| is_whole && mean > 0)
    };
    let size = |(array, &column): (&ArrayRef, &usize)| {
        // Many columns are no lists.
        let is_list = matches!(array.data_type(), DataType::List(_) | DataType::LargeList(_));
        let mean = is_list.then(|| mean(column)).flatten()?;
        matches!(as_vectors(array, mean), Some(Ok(_))).then_some(mean)
    };
    first.columns().iter().zip(&reader.reading().columns).map(size).collect()
}

/// Lists of floats as lists of a fixed size, without a copy; `Err` is the first row that has another. `None` if these
/// are no such lists.
pub(crate) fn as_vectors(array: &ArrayRef, dimension: i32) -> Option<Result<ArrayRef, usize>> {
    let vectors = match array.data_type() {
        DataType::List(item) => fixed(array.as_list::<i32>(), item, dimension),
        DataType::LargeList(item) => fixed(array.as_list::<i64>(), item, dimension),
        _ => return None,
    };
    let is_float = vectors.as_ref().is_ok_and(|vectors| {
        vectors.values().as_primitive_opt::<Float32Type>().is_some()
            || vectors.values().as_primitive_opt::<Float64Type>().is_some()
    });
    if vectors.is_ok() && !is_float {
        return None;
    }
    Some(vectors.map(|vectors| Arc::new(vectors) as ArrayRef))
}

fn fixed<O: OffsetSizeTrait>(
    list: &GenericListArray<O>,
    item: &FieldRef,
    dimension: i32,
) -> Result<FixedSizeListArray, usize> {
    let size = usize::try_from(dimension).unwrap_or_default();
    let is_other = |&row: &usize| list.is_null(row) || list.value_length(row).as_usize() != size;
    if let Some(row) = (0..list.len()).find(is_other) {
        return Err(row);
    }
    let start = list.value_offsets().first().map_or(0, |offset| offset.as_usize());
    let items = list.values().slice(start, list.len() * size);
    FixedSizeListArray::try_new_with_length(Arc::clone(item), dimension, items, None, list.len())
        .map_err(|_| 0)
}
