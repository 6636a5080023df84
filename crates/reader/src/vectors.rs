//! Vectors: lists of floats, narrowed to f32 where they hold nothing else, and of a fixed size where all of
//! them have it.

use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::types::Float64Type;
use arrow_array::{
    Array, ArrayRef, FixedSizeListArray, Float32Array, GenericListArray, OffsetSizeTrait,
    RecordBatch, RecordBatchOptions, make_array,
};
use arrow_data::transform::MutableArrayData;
use arrow_schema::{ArrowError, DataType, Field, FieldRef, Fields, Schema, SchemaRef};

use crate::batch::BatchReader;

/// Why a batch is not narrowed.
pub(crate) enum NotNarrowed {
    /// A value is no f32.
    TooPrecise {
        row: usize,
        column: usize,
    },
    Arrow(ArrowError),
}

impl From<ArrowError> for NotNarrowed {
    fn from(error: ArrowError) -> Self {
        Self::Arrow(error)
    }
}

/// The schema with f32 in the place of f64 in lists.
pub(crate) fn narrowed(schema: &Schema) -> SchemaRef {
    let fields: Fields = schema.fields().iter().map(narrowed_field).collect();
    Arc::new(Schema::new_with_metadata(fields, schema.metadata().clone()))
}

fn narrowed_field(field: &FieldRef) -> FieldRef {
    let data_type = match field.data_type() {
        DataType::List(item) => DataType::List(narrowed_item(item)),
        DataType::LargeList(item) => DataType::LargeList(narrowed_item(item)),
        DataType::FixedSizeList(item, size) => DataType::FixedSizeList(narrowed_item(item), *size),
        _ => return Arc::clone(field),
    };
    Arc::new(Field::clone(field).with_data_type(data_type))
}

fn narrowed_item(item: &FieldRef) -> FieldRef {
    match item.data_type() {
        DataType::Float64 => Arc::new(Field::clone(item).with_data_type(DataType::Float32)),
        _ => narrowed_field(item),
    }
}

/// The batch with its lists of f64 as what the [`narrowed`] schema has.
pub(crate) fn narrow(batch: &RecordBatch, schema: &SchemaRef) -> Result<RecordBatch, NotNarrowed> {
    let narrowed = |(column, (array, field)): (usize, (&ArrayRef, &FieldRef))| {
        narrow_array(array, field.data_type()).map_err(|error| match error {
            Ok(row) => NotNarrowed::TooPrecise { row, column },
            Err(error) => NotNarrowed::Arrow(error),
        })
    };
    let columns = batch.columns().iter().zip(schema.fields()).enumerate().map(narrowed);
    let columns = columns.collect::<Result<_, _>>()?;
    let rows = RecordBatchOptions::new().with_row_count(Some(batch.num_rows()));
    Ok(RecordBatch::try_new_with_options(Arc::clone(schema), columns, &rows)?)
}

/// The array as this type. `Err(Ok(…))` is its first element that holds a value which is no f32.
fn narrow_array(
    array: &ArrayRef,
    narrow: &DataType,
) -> Result<ArrayRef, Result<usize, ArrowError>> {
    if array.data_type() == narrow {
        return Ok(Arc::clone(array));
    }
    match narrow {
        DataType::Float32 => narrow_items(array).map_err(Ok),
        DataType::List(item) => narrow_lists(array.as_list::<i32>(), item),
        DataType::LargeList(item) => narrow_lists(array.as_list::<i64>(), item),
        DataType::FixedSizeList(item, size) => {
            let list = array.as_fixed_size_list();
            let length = usize::try_from(*size).unwrap_or(1).max(1);
            let items = narrow_array(list.values(), item.data_type());
            let items = items.map_err(|error| error.map(|item| item / length))?;
            let nulls = list.nulls().cloned();
            let list = FixedSizeListArray::try_new(Arc::clone(item), *size, items, nulls);
            Ok(Arc::new(list.map_err(Err)?))
        }
        other => Err(Err(ArrowError::CastError(format!("{other} is no list")))),
    }
}

fn narrow_lists<O: OffsetSizeTrait>(
    list: &GenericListArray<O>,
    item: &FieldRef,
) -> Result<ArrayRef, Result<usize, ArrowError>> {
    let of_item = |item: usize| {
        let behind = list.value_offsets().partition_point(|offset| offset.as_usize() <= item);
        behind.saturating_sub(1)
    };
    let items = narrow_array(list.values(), item.data_type());
    let items = items.map_err(|error| error.map(of_item))?;
    let (offsets, nulls) = (list.offsets().clone(), list.nulls().cloned());
    let list = GenericListArray::try_new(Arc::clone(item), offsets, items, nulls);
    Ok(Arc::new(list.map_err(Err)?))
}

/// `Err` is the first item that is no f32.
fn narrow_items(values: &ArrayRef) -> Result<ArrayRef, usize> {
    let values = values.as_primitive::<Float64Type>();
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
    Ok(Arc::new(Float32Array::new(items.into(), values.nulls().cloned())))
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
    if values.data_type().is_list() {
        return looks_narrow(values);
    }
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

/// For each column, the length that all of its lists of floats have, by the footer and by these rows.
pub(crate) fn list_sizes(reader: &BatchReader, first: &RecordBatch) -> Vec<Option<i32>> {
    let footer = reader.footer();
    let mean = |column: usize| {
        let values = footer.values(column)?;
        let is_whole = footer.rows() > 0 && values % footer.rows() == 0;
        i32::try_from(values / footer.rows().max(1)).ok().filter(|&mean| is_whole && mean > 0)
    };
    let size = |(array, &column): (&ArrayRef, &usize)| {
        // Many columns are no lists.
        float_items(array.data_type())?;
        // A list that is null counts as a value there, so that the mean says nothing.
        let mean = mean(column).filter(|_| array.null_count() == 0)?;
        matches!(as_vectors(array, mean), Some(Ok(_))).then_some(mean)
    };
    first.columns().iter().zip(&reader.reading().columns).map(size).collect()
}

/// What the lists of a column hold, if they are of any length and hold floats.
fn float_items(data_type: &DataType) -> Option<&FieldRef> {
    let (DataType::List(item) | DataType::LargeList(item)) = data_type else { return None };
    matches!(item.data_type(), DataType::Float32 | DataType::Float64).then_some(item)
}

/// Lists of floats as lists of a fixed size, without a copy if none is null; `Err` is the first row that has another.
/// `None` if these are no such lists.
pub(crate) fn as_vectors(array: &ArrayRef, dimension: i32) -> Option<Result<ArrayRef, usize>> {
    let item = float_items(array.data_type())?;
    let vectors = match array.as_list_opt::<i32>() {
        Some(list) => fixed(list, item, dimension),
        None => fixed(array.as_list_opt::<i64>()?, item, dimension),
    };
    Some(vectors.map(|vectors| Arc::new(vectors) as ArrayRef))
}

fn fixed<O: OffsetSizeTrait>(
    list: &GenericListArray<O>,
    item: &FieldRef,
    dimension: i32,
) -> Result<FixedSizeListArray, usize> {
    let size = usize::try_from(dimension).unwrap_or_default();
    let is_other = |&row: &usize| list.is_valid(row) && list.value_length(row).as_usize() != size;
    if let Some(row) = (0..list.len()).find(is_other) {
        return Err(row);
    }
    let (start, nulls) = (list.value_offsets()[0].as_usize(), list.nulls().cloned());
    let items = match list.null_count() {
        0 => list.values().slice(start, list.len() * size),
        _ => padded(list, size).map_err(|_| 0_usize)?,
    };
    FixedSizeListArray::try_new_with_length(Arc::clone(item), dimension, items, nulls, list.len())
        .map_err(|_| 0)
}

/// The items of all lists, with `size` nulls for each list that is null.
fn padded<O: OffsetSizeTrait>(
    list: &GenericListArray<O>,
    size: usize,
) -> Result<ArrayRef, ArrowError> {
    let items = list.values().to_data();
    let mut padded = MutableArrayData::new(vec![&items], true, list.len() * size);
    for (row, offsets) in list.value_offsets().windows(2).enumerate() {
        if list.is_null(row) {
            padded.try_extend_nulls(size)?;
        } else {
            padded.try_extend(0, offsets[0].as_usize(), offsets[1].as_usize())?;
        }
    }
    Ok(make_array(padded.freeze()))
}
