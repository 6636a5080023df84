//! Schema to column plan. Every reason not to print a schema is found here.

use std::collections::HashSet;

use arrow_schema::{DataType, Field, Fields, Schema, TimeUnit};

use super::kernel::binary::ByteOrder;
use super::kernel::text;
use super::options::{JsonOptions, VectorForm};
use crate::error::{Error, Problem, ValueError};
use crate::schema::is_int96;

/// A key, escaped, with what stands around it: `,"name":`. The comma of the first one is replaced.
fn key(name: &str) -> Vec<u8> {
    let mut key = vec![b','];
    text::write_string(name.as_bytes(), &mut key);
    key.push(b':');
    key
}

/// One top-level column.
#[derive(Debug)]
pub(super) struct ColumnPlan {
    pub(super) name: String,
    /// As [`key`] makes it.
    pub(super) key: Vec<u8>,
    pub(super) kind: Kind,
}

impl ColumnPlan {
    pub(super) fn value_error(&self, row: usize, problem: Problem) -> ValueError {
        ValueError { row, column: self.name.clone(), problem }
    }
}

/// How the values of one type are printed.
#[derive(Debug)]
pub(super) enum Kind {
    Binary,
    Bool,
    Date32,
    Date64,
    Decimal {
        scale: i8,
    },
    Duration(TimeUnit),
    Float,
    /// A dictionary or run-end column: its values.
    Indexed(Box<Kind>),
    Int96,
    Integer,
    List(Box<Kind>),
    Map {
        key: Box<Kind>,
        value: Box<Kind>,
    },
    Null,
    /// The members' keys, as [`key`] makes them, and kinds.
    Struct(Vec<(Vec<u8>, Kind)>),
    Text,
    Time(TimeUnit),
    Timestamp {
        unit: TimeUnit,
        utc: bool,
    },
    Uuid,
    /// A top-level list of floats printed as base64 of their bytes.
    VectorBase64(ByteOrder),
}

/// Plans every column of `schema`; `file` names it in errors.
pub(super) fn columns(
    file: &str,
    schema: &Schema,
    options: &JsonOptions,
) -> Result<Vec<ColumnPlan>, Error> {
    let planner = Planner { file };
    planner.distinct(schema.fields(), "")?;
    let order = match options.vectors {
        VectorForm::Array => None,
        VectorForm::Base64 => Some(ByteOrder::Little),
        VectorForm::Base64Be => Some(ByteOrder::Big),
    };
    let plans = schema.fields().iter().map(|field| {
        let kind = match order.filter(|_| is_vector(field.data_type())) {
            Some(order) => Kind::VectorBase64(order),
            None => planner.field(field, field.name())?,
        };
        Ok(ColumnPlan { name: field.name().clone(), key: key(field.name()), kind })
    });
    plans.collect()
}

/// Whether `--vectors` applies: a list of floats.
pub(super) fn is_vector(data_type: &DataType) -> bool {
    match data_type {
        DataType::List(item)
        | DataType::LargeList(item)
        | DataType::ListView(item)
        | DataType::LargeListView(item)
        | DataType::FixedSizeList(item, _) => item.data_type().is_floating(),
        _ => false,
    }
}

struct Planner<'a> {
    file: &'a str,
}

impl Planner<'_> {
    fn distinct(&self, fields: &Fields, path: &str) -> Result<(), Error> {
        let mut seen = HashSet::new();
        match fields.iter().find(|field| !seen.insert(field.name())) {
            Some(field) => Err(Error::DuplicateColumn {
                file: self.file.to_owned(),
                column: format!("{path}{}", field.name()),
            }),
            None => Ok(()),
        }
    }

    fn field(&self, field: &Field, path: &str) -> Result<Kind, Error> {
        let is_uuid = field.extension_type_name() == Some("arrow.uuid");
        match field.data_type() {
            DataType::FixedSizeBinary(16) if is_uuid => Ok(Kind::Uuid),
            DataType::FixedSizeBinary(_) if is_int96(field) => Ok(Kind::Int96),
            other => self.data_type(other, path),
        }
    }

    fn boxed(&self, field: &Field, path: &str) -> Result<Box<Kind>, Error> {
        self.field(field, path).map(Box::new)
    }

    fn data_type(&self, data_type: &DataType, path: &str) -> Result<Kind, Error> {
        Ok(match data_type {
            DataType::Null => Kind::Null,
            DataType::Boolean => Kind::Bool,
            DataType::Float16 | DataType::Float32 | DataType::Float64 => Kind::Float,
            integer if integer.is_integer() => Kind::Integer,
            DataType::Decimal32(_, scale)
            | DataType::Decimal64(_, scale)
            | DataType::Decimal128(_, scale)
            | DataType::Decimal256(_, scale) => Kind::Decimal { scale: *scale },
            DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View => Kind::Text,
            DataType::Binary
            | DataType::LargeBinary
            | DataType::BinaryView
            | DataType::FixedSizeBinary(_) => Kind::Binary,
            DataType::Date32 => Kind::Date32,
            DataType::Date64 => Kind::Date64,
            DataType::Time32(unit) | DataType::Time64(unit) => Kind::Time(*unit),
            DataType::Timestamp(unit, zone) => Kind::Timestamp { unit: *unit, utc: zone.is_some() },
            DataType::Duration(unit) => Kind::Duration(*unit),
            DataType::List(item)
            | DataType::LargeList(item)
            | DataType::ListView(item)
            | DataType::LargeListView(item)
            | DataType::FixedSizeList(item, _) => Kind::List(self.boxed(item, path)?),
            DataType::Struct(fields) => self.members(fields, path)?,
            DataType::Map(entries, _) => self.map(entries, path)?,
            DataType::Dictionary(_, value) => Kind::Indexed(Box::new(self.data_type(value, path)?)),
            DataType::RunEndEncoded(_, values) => Kind::Indexed(self.boxed(values, path)?),
            other => return Err(self.unsupported(other, path)),
        })
    }

    fn members(&self, fields: &Fields, path: &str) -> Result<Kind, Error> {
        self.distinct(fields, &format!("{path}."))?;
        let members = fields.iter().map(|field| {
            let kind = self.field(field, &format!("{path}.{}", field.name()))?;
            Ok((key(field.name()), kind))
        });
        Ok(Kind::Struct(members.collect::<Result<_, Error>>()?))
    }

    fn map(&self, entries: &Field, path: &str) -> Result<Kind, Error> {
        let DataType::Struct(fields) = entries.data_type() else {
            return Err(self.unsupported(entries.data_type(), path));
        };
        let [key, value] = &fields[..] else {
            return Err(self.unsupported(entries.data_type(), path));
        };
        if is_nested_key(key.data_type()) {
            return Err(self.unsupported(key.data_type(), &format!("{path} (map key)")));
        }
        Ok(Kind::Map { key: self.boxed(key, path)?, value: self.boxed(value, path)? })
    }

    fn unsupported(&self, data_type: &DataType, path: &str) -> Error {
        Error::UnsupportedType {
            file: self.file.to_owned(),
            column: path.to_owned(),
            data_type: Box::new(data_type.clone()),
        }
    }
}

fn is_nested_key(data_type: &DataType) -> bool {
    match data_type {
        DataType::Dictionary(_, value) => is_nested_key(value),
        DataType::RunEndEncoded(_, values) => is_nested_key(values.data_type()),
        other => other.is_nested(),
    }
}
