//! The columns of a Parquet file: its schema as the footer has it, repaired where the `parquet` crate would
//! refuse it or read it wrongly, and the Arrow types that follow from it.

use std::io::{self, BufRead};
use std::ops::RangeInclusive;
use std::sync::Arc;

use arrow_schema::{DataType, Field, FieldRef, Fields, Schema, TimeUnit};
use parquet::basic::{ConvertedType, LogicalType, Type as PhysicalType};
use parquet::schema::types::{ColumnDescPtr, SchemaDescriptor};

use crate::thrift::{self, Decoder, I32, Output, STRUCT, invalid};

/// Columns nested deeper than this are refused: the `parquet` crate goes down by recursion. Lists and maps
/// take two levels each.
pub(crate) const LEVELS_MAX: usize = 64;

/// No name of a column is longer.
const NAME_BYTES_MAX: usize = 1 << 20;

/// Numbers of the fields of a `SchemaElement`.
const TYPE: i64 = 1;
const LENGTH: i64 = 2;
const NAME: i64 = 4;
const CHILDREN: i64 = 5;
const CONVERTED: i64 = 6;
const SCALE: i64 = 7;
const PRECISION: i64 = 8;
const LOGICAL: i64 = 10;

/// `ConvertedType` of texts and of decimals.
const UTF8: i64 = 0;
const DECIMAL: i64 = 5;

/// Members of the union `LogicalType` of the format's version 2.12.
const LOGICAL_TYPES: RangeInclusive<i64> = 1..=18;

/// Physical types.
const INT96: i64 = 3;
const FIXED_LEN_BYTE_ARRAY: i64 = 7;

/// Bytes of an `INT96`.
const INT96_BYTES: i32 = 12;

/// Marks what is an `INT96`, in the metadata of a field.
const INT96_MARK: &str = "viking.int96";

/// The schema elements of a footer, depth first.
#[derive(Debug, Clone)]
pub(crate) struct Elements(Vec<Element>);

#[derive(Debug, Clone)]
struct Element {
    name: String,
    /// Groups have none.
    is_leaf: bool,
    children: u64,
    /// All fields, encoded.
    fields: Vec<(thrift::Field, Vec<u8>)>,
}

/// Why a schema is not read: it is damaged, or it is more than we or Parquet allow.
pub(crate) enum Refusal {
    Damaged(String),
    Unsupported(String),
}

impl Elements {
    /// Reads the list.
    pub(crate) fn read<R: BufRead>(input: &mut Decoder<R>) -> io::Result<Self> {
        let (count, kind) = input.list()?;
        if kind != STRUCT {
            return Err(invalid("its schema is no list of columns"));
        }
        let mut elements = Vec::new();
        for _ in 0..count {
            elements.push(Element::read(input)?);
        }
        Ok(Self(elements))
    }

    /// Looks at what the elements claim of each other.
    pub(crate) fn check(&self) -> Result<(), Refusal> {
        let mut open: Vec<u64> = Vec::new();
        let count = self.0.len() as u64;
        for (index, element) in self.0.iter().enumerate() {
            let Element { name, children, .. } = element;
            if *children > count {
                let claim = format!("column {name:?} claims to have {children} members of {count}");
                return Err(Refusal::Damaged(claim));
            }
            if !element.is_leaf && *children == 0 && index > 0 {
                let group = format!("column {name:?} is a group without members");
                return Err(Refusal::Unsupported(group));
            }
            while open.last() == Some(&0) {
                open.pop();
            }
            if let Some(left) = open.last_mut() {
                *left -= 1;
            }
            open.push(*children);
            // The root is no column.
            if open.len() > LEVELS_MAX + 1 {
                return Err(Refusal::Unsupported(format!(
                    "column {name:?} is nested deeper than {LEVELS_MAX} levels"
                )));
            }
        }
        Ok(())
    }

    /// A decimal without a scale has the scale 0, which the `parquet` crate takes for an error; and one that only
    /// its logical type makes a decimal has scale and precision there.
    pub(crate) fn add_scales(&mut self) {
        for element in &mut self.0 {
            if let Some((scale, precision)) = element.logical_decimal() {
                element.set(SCALE, I32, integer(scale));
                element.set(PRECISION, I32, integer(precision));
            }
            if element.integer(CONVERTED) == Some(DECIMAL) && element.integer(SCALE).is_none() {
                element.set(SCALE, I32, integer(0));
            }
        }
    }

    /// A logical type that a later version of the format brings leaves the values as they are stored. The
    /// `parquet` crate would refuse the column.
    pub(crate) fn forget_later_types(&mut self) {
        for element in &mut self.0 {
            if element.logical_type().is_some_and(|kind| !LOGICAL_TYPES.contains(&kind)) {
                element.fields.retain(|((number, _), _)| *number != LOGICAL);
            }
        }
    }

    /// Annotates leaves as text, so that the `parquet` crate checks their bytes: it does so for none that
    /// are made text by another annotation or by the file's own Arrow schema.
    pub(crate) fn annotate_as_text(&mut self, leaves: &[usize]) {
        let elements = self.0.iter_mut().filter(|element| element.is_leaf);
        for (_, element) in elements.enumerate().filter(|(leaf, _)| leaves.contains(leaf)) {
            element.fields.retain(|((number, _), _)| *number != LOGICAL);
            element.set(CONVERTED, I32, integer(UTF8));
        }
    }

    /// Leaves `INT96` to us, as 12 bytes: a timestamp of 64 bits holds either all of its years or all of its
    /// nine digits.
    pub(crate) fn keep_int96(&mut self) {
        for element in &mut self.0 {
            if element.integer(TYPE) == Some(INT96) {
                element.fields.retain(|((number, _), _)| !matches!(*number, CONVERTED | LOGICAL));
                element.set(TYPE, I32, integer(FIXED_LEN_BYTE_ARRAY));
                element.set(LENGTH, I32, integer(INT96_BYTES.into()));
            }
        }
    }

    /// The list, encoded.
    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut bytes = Vec::new();
        thrift::push_list(self.0.len(), STRUCT, &mut bytes);
        for element in &self.0 {
            let mut output = Output::default();
            for (field, value) in &element.fields {
                output.field(*field, value);
            }
            bytes.append(&mut output.end());
        }
        bytes
    }
}

impl Element {
    fn read<R: BufRead>(input: &mut Decoder<R>) -> io::Result<Self> {
        let mut element =
            Self { name: String::new(), is_leaf: false, children: 0, fields: Vec::new() };
        let mut last = 0;
        while let Some(field) = input.field(&mut last)? {
            let value = input.record(field.1)?;
            // The `parquet` crate need not know how to pass over what later versions bring.
            if (TYPE..=LOGICAL).contains(&field.0) {
                element.fields.push((field, value));
            }
        }
        element.fields.sort_by_key(|((number, _), _)| *number);
        element.is_leaf = element.integer(TYPE).is_some();
        // A negative number stands for a missing one.
        element.children =
            element.integer(CHILDREN).and_then(|count| u64::try_from(count).ok()).unwrap_or(0);
        if let Some((_, name)) = element.fields.iter().find(|((number, _), _)| *number == NAME) {
            let name = Decoder::new(&name[..]).binary(NAME_BYTES_MAX)?;
            element.name = String::from_utf8_lossy(&name).into_owned();
        }
        Ok(element)
    }

    /// The logical type, encoded.
    fn logical(&self) -> Option<&[u8]> {
        let mut fields = self.fields.iter();
        fields.find(|(field, _)| *field == (LOGICAL, STRUCT)).map(|(_, value)| &value[..])
    }

    /// Which logical type it has.
    fn logical_type(&self) -> Option<i64> {
        Decoder::new(self.logical()?).field(&mut 0).ok()?.map(|(number, _)| number)
    }

    /// The scale and the precision of a decimal by its logical type.
    fn logical_decimal(&self) -> Option<(i64, i64)> {
        const DECIMAL_TYPE: thrift::Field = (5, STRUCT);
        let mut input = Decoder::new(self.logical()?);
        if input.field(&mut 0).ok()?? != DECIMAL_TYPE {
            return None;
        }
        let (mut scale, mut precision, mut last) = (0, None, 0);
        while let Some(field) = input.field(&mut last).ok()? {
            match field {
                (1, I32) => scale = input.integer().ok()?,
                (2, I32) => precision = Some(input.integer().ok()?),
                (_, kind) => input.skip(kind).ok()?,
            }
        }
        Some((scale, precision?))
    }

    fn integer(&self, wanted: i64) -> Option<i64> {
        let (_, value) =
            self.fields.iter().find(|((number, kind), _)| *number == wanted && *kind == I32)?;
        Decoder::new(&value[..]).integer().ok()
    }

    fn set(&mut self, number: i64, kind: u8, value: Vec<u8>) {
        self.fields.retain(|((known, _), _)| *known != number);
        let at = self.fields.partition_point(|((known, _), _)| *known < number);
        self.fields.insert(at, ((number, kind), value));
    }
}

fn integer(value: i64) -> Vec<u8> {
    let mut bytes = Vec::new();
    thrift::push_integer(value, &mut bytes);
    bytes
}

/// The leaves that Arrow takes for text and whose bytes nobody would check.
pub(crate) fn unchecked_texts(schema: &Schema, descriptor: &SchemaDescriptor) -> Vec<usize> {
    let mut unchecked = Vec::new();
    let mut leaf = 0;
    with_leaves(schema, &mut |data_type| {
        let is_checked = descriptor
            .columns()
            .get(leaf)
            .is_none_or(|column| column.converted_type() == ConvertedType::UTF8);
        if is_text(data_type) && !is_checked {
            unchecked.push(leaf);
        }
        leaf += 1;
        data_type.clone()
    });
    unchecked
}

fn is_text(data_type: &DataType) -> bool {
    match data_type {
        DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View => true,
        DataType::Dictionary(_, value) => is_text(value),
        DataType::RunEndEncoded(_, values) => is_text(values.data_type()),
        _ => false,
    }
}

fn is_binary(data_type: &DataType) -> bool {
    matches!(data_type, DataType::Binary | DataType::LargeBinary | DataType::BinaryView)
}

/// The file's Arrow schema with three changes: `INT96` is read as microseconds, because nanoseconds
/// in 64 bits end in 2262, and `ENUM` as the text it is; and keys of dictionaries are wide enough for the
/// values of all row groups, each of which may have a dictionary of its own.
pub(crate) fn wanted_schema(schema: &Schema, descriptor: &SchemaDescriptor) -> Schema {
    let mut leaves = descriptor.columns().iter();
    with_leaves(schema, &mut |data_type| match leaves.next() {
        Some(leaf) => wanted_leaf(data_type, leaf),
        None => data_type.clone(),
    })
}

fn wanted_leaf(data_type: &DataType, leaf: &ColumnDescPtr) -> DataType {
    match data_type {
        DataType::Timestamp(TimeUnit::Nanosecond, zone)
            if leaf.physical_type() == PhysicalType::INT96 =>
        {
            DataType::Timestamp(TimeUnit::Microsecond, zone.clone())
        }
        DataType::Binary
            if matches!(leaf.logical_type_ref(), Some(LogicalType::Enum))
                || leaf.converted_type() == ConvertedType::ENUM =>
        {
            DataType::Utf8
        }
        // The `parquet` crate makes dictionaries of texts and bytes only.
        DataType::Dictionary(_, value) => match leaf.physical_type() {
            PhysicalType::BYTE_ARRAY if is_text(value) || is_binary(value) => {
                DataType::Dictionary(Box::new(DataType::Int32), value.clone())
            }
            _ => wanted_leaf(value, leaf),
        },
        other => other.clone(),
    }
}

/// The schema as it is printed: text and binary as views into their pages, dictionaries as their values, and
/// `INT96` as the bytes that [`Elements::keep_int96`] leaves.
pub(crate) fn printed_schema(schema: &Schema, descriptor: &SchemaDescriptor) -> Schema {
    let mut leaves = descriptor.columns().iter();
    with_leaf_fields(schema, &mut |field| {
        let is_int96 =
            leaves.next().is_some_and(|leaf| leaf.physical_type() == PhysicalType::INT96);
        if !is_int96 {
            return Field::clone(field).with_data_type(printed_leaf(field.data_type()));
        }
        let mut metadata = field.metadata().clone();
        metadata.insert(INT96_MARK.to_owned(), String::new());
        let bytes = DataType::FixedSizeBinary(INT96_BYTES);
        Field::clone(field).with_data_type(bytes).with_metadata(metadata)
    })
}

/// Whether [`printed_schema`] made the field of an `INT96`.
pub(crate) fn is_int96(field: &Field) -> bool {
    field.data_type() == &DataType::FixedSizeBinary(INT96_BYTES)
        && field.metadata().contains_key(INT96_MARK)
}

fn printed_leaf(data_type: &DataType) -> DataType {
    match data_type {
        DataType::Utf8 | DataType::LargeUtf8 => DataType::Utf8View,
        DataType::Binary | DataType::LargeBinary => DataType::BinaryView,
        DataType::Dictionary(_, value) => printed_leaf(value),
        other => other.clone(),
    }
}

/// The schema with `change` made to the type of each leaf, in their order.
fn with_leaves(schema: &Schema, change: &mut dyn FnMut(&DataType) -> DataType) -> Schema {
    with_leaf_fields(schema, &mut |field| {
        Field::clone(field).with_data_type(change(field.data_type()))
    })
}

/// The schema with `change` made to each leaf, in their order.
fn with_leaf_fields(schema: &Schema, change: &mut dyn FnMut(&FieldRef) -> Field) -> Schema {
    let fields: Fields =
        schema.fields().iter().map(|field| with_field_leaves(field, change)).collect();
    Schema::new_with_metadata(fields, schema.metadata().clone())
}

fn with_field_leaves(field: &FieldRef, change: &mut dyn FnMut(&FieldRef) -> Field) -> FieldRef {
    let mut inner = |field: &FieldRef| with_field_leaves(field, change);
    let data_type = match field.data_type() {
        DataType::List(item) => DataType::List(inner(item)),
        DataType::LargeList(item) => DataType::LargeList(inner(item)),
        DataType::ListView(item) => DataType::ListView(inner(item)),
        DataType::LargeListView(item) => DataType::LargeListView(inner(item)),
        DataType::FixedSizeList(item, size) => DataType::FixedSizeList(inner(item), *size),
        DataType::Map(entries, sorted) => DataType::Map(inner(entries), *sorted),
        DataType::Struct(fields) => DataType::Struct(fields.iter().map(inner).collect()),
        _ => return Arc::new(change(field)),
    };
    Arc::new(Field::clone(field).with_data_type(data_type))
}
