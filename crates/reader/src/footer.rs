//! The footer of a Parquet file: columns, rows and row groups, before any row is read.

use std::io;
use std::ops::Range;
use std::sync::Arc;

use arrow_schema::{DataType, Field, FieldRef, Fields, Schema, SchemaRef, TimeUnit};
use parquet::arrow::arrow_reader::{ArrowReaderMetadata, ArrowReaderOptions};
use parquet::basic::{ConvertedType, LogicalType, Type as PhysicalType};
use parquet::errors::ParquetError;
use parquet::file::metadata::ColumnChunkMetaData;
use parquet::schema::types::{ColumnDescPtr, SchemaDescriptor};

use crate::error::Error;
use crate::guard::guarded;
use crate::source::{HEADER_READ_BYTES, ParquetInput, Source};
use crate::thrift;

/// Bytes of the closing footer length and magic.
const TAIL_BYTES: u64 = 8;

/// What the end of a Parquet file says of its columns and rows.
#[derive(Debug, Clone)]
pub struct Footer {
    metadata: ArrowReaderMetadata,
    rows: u64,
}

impl Footer {
    /// Reads the footer of `source`; `file` names it in errors.
    pub fn read(file: &str, source: &Arc<dyn Source>) -> Result<Self, Error> {
        let declared_bytes = check_ends(file, source.as_ref())?;
        check_claims(file, source.as_ref(), declared_bytes)?;
        let footer = guarded(|| load(&ParquetInput(Arc::clone(source))))
            .map_err(|panic| damaged(file, panic))?
            .map_err(|error| not_read(file, error))?;
        let data_end = source.size() - TAIL_BYTES - declared_bytes;
        let rows = check_row_groups(&footer, data_end).map_err(|what| damaged(file, what))?;
        Ok(Self { metadata: footer, rows })
    }

    /// The columns with their Arrow types. `INT96` shows as a timestamp in microseconds and an
    /// `ENUM` as text.
    pub fn schema(&self) -> &SchemaRef {
        self.metadata.schema()
    }

    /// All rows of the file.
    pub fn rows(&self) -> u64 {
        self.rows
    }

    /// The rows of each row group, in file order.
    pub fn row_group_rows(&self) -> impl Iterator<Item = u64> + '_ {
        let groups = self.metadata.metadata().row_groups();
        groups.iter().map(|group| u64::try_from(group.num_rows()).unwrap_or(0))
    }

    /// The bytes of an average row of the chosen top-level columns once they are decoded, in the
    /// row group where that is largest.
    pub(crate) fn row_bytes(&self, columns: &[usize]) -> u64 {
        let parquet = self.metadata.metadata();
        let descriptor = parquet.file_metadata().schema_descr();
        let group_row_bytes = parquet.row_groups().iter().map(|group| {
            let chunks = group.columns().iter().enumerate();
            let chosen =
                chunks.filter(|(leaf, _)| columns.contains(&descriptor.get_column_root_idx(*leaf)));
            let bytes = chosen.map(|(_, chunk)| decoded_bytes(chunk)).fold(0, u64::saturating_add);
            bytes / u64::try_from(group.num_rows()).unwrap_or(0).max(1)
        });
        group_row_bytes.max().unwrap_or(0)
    }

    /// What decoding the chosen top-level columns holds of their pages: for each column one page and
    /// what it was before it was decompressed. Pages are about a mebibyte, or the whole column chunk.
    pub(crate) fn page_bytes(&self, columns: &[usize]) -> u64 {
        const PAGE_BYTES: u64 = 1 << 20;
        let parquet = self.metadata.metadata();
        let largest = |leaf: usize| {
            let chunks = parquet.row_groups().iter().map(|group| group.column(leaf));
            let bytes = chunks.map(|chunk| u64::try_from(chunk.uncompressed_size()).unwrap_or(0));
            bytes.max().unwrap_or(0).min(PAGE_BYTES)
        };
        2 * self.leaves(columns).map(largest).sum::<u64>()
    }

    /// The bytes of the column chunks that `columns` take, for each of the row `groups`.
    pub(crate) fn column_chunks(
        &self,
        groups: &[usize],
        columns: &[usize],
    ) -> Vec<Vec<Range<u64>>> {
        let parquet = self.metadata.metadata();
        let chunk_bytes = |group: usize, leaf: usize| {
            let (start, length) = parquet.row_group(group).column(leaf).byte_range();
            // The header of a page is read with a little of what follows it.
            start..start + length + HEADER_READ_BYTES as u64
        };
        let chunks =
            |&group: &usize| self.leaves(columns).map(|leaf| chunk_bytes(group, leaf)).collect();
        groups.iter().map(chunks).collect()
    }

    /// The leaves of the chosen top-level columns.
    fn leaves(&self, columns: &[usize]) -> impl Iterator<Item = usize> {
        let descriptor = self.metadata.metadata().file_metadata().schema_descr();
        (0..descriptor.num_columns())
            .filter(|&leaf| columns.contains(&descriptor.get_column_root_idx(leaf)))
    }

    pub(crate) fn metadata(&self) -> &ArrowReaderMetadata {
        &self.metadata
    }
}

pub(crate) fn damaged(file: &str, detail: impl std::fmt::Display) -> Error {
    Error::Damaged { file: file.to_owned(), detail: detail.to_string() }
}

/// What the values of a column chunk take in memory: a dictionary or runs can make them far smaller
/// in the file.
fn decoded_bytes(chunk: &ColumnChunkMetaData) -> u64 {
    let size = |size: i64| u64::try_from(size).unwrap_or(0);
    let width = match chunk.column_type() {
        PhysicalType::BOOLEAN => 1,
        PhysicalType::INT32 | PhysicalType::FLOAT => 4,
        PhysicalType::INT64 | PhysicalType::DOUBLE | PhysicalType::INT96 => 8,
        PhysicalType::FIXED_LEN_BYTE_ARRAY => size(i64::from(chunk.column_descr().type_length())),
        // Texts: their lengths where the writer noted them.
        PhysicalType::BYTE_ARRAY => 4,
    };
    let texts = chunk.unencoded_byte_array_data_bytes().map_or(0, size);
    let values = size(chunk.num_values()).saturating_mul(width).saturating_add(texts);
    values.max(size(chunk.uncompressed_size()))
}

/// A fault of the disk or the network is told apart from one of the file.
pub(crate) fn not_read(file: &str, error: ParquetError) -> Error {
    match error {
        ParquetError::External(cause) => match cause.downcast::<io::Error>() {
            Ok(cause) if !is_damage(cause.kind()) => Error::io(file, *cause),
            Ok(cause) => damaged(file, cause),
            Err(cause) => damaged(file, cause),
        },
        error => damaged(file, error),
    }
}

/// What only the bytes of a file can cause: an end too early, or a header that claims too much.
fn is_damage(kind: io::ErrorKind) -> bool {
    matches!(kind, io::ErrorKind::UnexpectedEof | io::ErrorKind::InvalidData)
}

/// Checks the magic at both ends and returns the length of the footer in bytes.
fn check_ends(file: &str, source: &dyn Source) -> Result<u64, Error> {
    let truncated = |detail: String| Error::Truncated { file: file.to_owned(), detail };
    let size = source.size();
    if size < 4 + TAIL_BYTES {
        return Err(truncated(format!("{size} bytes are too few for a Parquet file")));
    }
    let tail = source.read(size - TAIL_BYTES..size).map_err(|source| Error::io(file, source))?;
    if tail.ends_with(b"PARE") {
        return Err(Error::Encrypted { file: file.to_owned() });
    }
    if !tail.ends_with(b"PAR1") {
        return Err(truncated("the closing PAR1 is missing".to_owned()));
    }
    let mut length = [0; 4];
    length.copy_from_slice(&tail[..4]);
    let length = u64::from(u32::from_le_bytes(length));
    if length > size - 4 - TAIL_BYTES {
        let detail = format!("the footer says it has {length} bytes, the file has {size}");
        return Err(truncated(detail));
    }
    Ok(length)
}

/// Looks at what the footer claims before it is believed.
fn check_claims(file: &str, source: &dyn Source, footer_bytes: u64) -> Result<(), Error> {
    let end = source.size() - TAIL_BYTES;
    let footer = source.read(end - footer_bytes..end).map_err(|source| Error::io(file, source))?;
    match thrift::schema_problem(&footer) {
        Some(problem) => Err(damaged(file, problem)),
        None => Ok(()),
    }
}

fn load(input: &ParquetInput) -> Result<ArrowReaderMetadata, ParquetError> {
    let options = ArrowReaderOptions::new();
    let loaded = ArrowReaderMetadata::load(input, options.clone())?;
    let descriptor = loaded.metadata().file_metadata().schema_descr();
    let wanted = wanted_schema(loaded.schema(), descriptor);
    if &wanted == loaded.schema().as_ref() {
        return Ok(loaded);
    }
    let options = options.with_schema(Arc::new(wanted));
    ArrowReaderMetadata::try_new(Arc::clone(loaded.metadata()), options)
}

/// Everything the row count and the reads rely on, checked once.
fn check_row_groups(footer: &ArrowReaderMetadata, data_end: u64) -> Result<u64, String> {
    let parquet = footer.metadata();
    let mut rows = 0_u64;
    for (index, group) in parquet.row_groups().iter().enumerate() {
        let group_rows = u64::try_from(group.num_rows())
            .map_err(|_| format!("row group {index} has a negative number of rows"))?;
        rows = rows
            .checked_add(group_rows)
            .ok_or_else(|| "its row groups have more rows than can be counted".to_owned())?;
        for chunk in group.columns() {
            let start = chunk.dictionary_page_offset().unwrap_or(chunk.data_page_offset());
            let inside = u64::try_from(start)
                .ok()
                .zip(u64::try_from(chunk.compressed_size()).ok())
                .and_then(|(start, bytes)| start.checked_add(bytes))
                .is_some_and(|end| end <= data_end);
            if !inside || chunk.uncompressed_size() < 0 {
                let path = chunk.column_path().string();
                return Err(format!(
                    "row group {index}, column {path}: the column chunk lies outside the file"
                ));
            }
        }
    }
    let declared = parquet.file_metadata().num_rows();
    if u64::try_from(declared) != Ok(rows) {
        return Err(format!("the footer says {declared} rows, its row groups have {rows}"));
    }
    Ok(rows)
}

/// The file's Arrow schema with two changes: `INT96` is read as microseconds, because nanoseconds
/// in 64 bits end in 2262, and `ENUM` as the text it is.
fn wanted_schema(schema: &Schema, descriptor: &SchemaDescriptor) -> Schema {
    let mut leaves = descriptor.columns().iter();
    with_leaves(schema, &mut |data_type| match leaves.next() {
        Some(leaf) => wanted_leaf(data_type, leaf),
        None => data_type.clone(),
    })
}

/// The schema with `change` made to the type of each leaf, in their order.
fn with_leaves(schema: &Schema, change: &mut dyn FnMut(&DataType) -> DataType) -> Schema {
    let fields: Fields =
        schema.fields().iter().map(|field| with_field_leaves(field, change)).collect();
    Schema::new_with_metadata(fields, schema.metadata().clone())
}

fn with_field_leaves(field: &FieldRef, change: &mut dyn FnMut(&DataType) -> DataType) -> FieldRef {
    let mut inner = |field: &FieldRef| with_field_leaves(field, change);
    let data_type = match field.data_type() {
        DataType::List(item) => DataType::List(inner(item)),
        DataType::LargeList(item) => DataType::LargeList(inner(item)),
        DataType::ListView(item) => DataType::ListView(inner(item)),
        DataType::LargeListView(item) => DataType::LargeListView(inner(item)),
        DataType::FixedSizeList(item, size) => DataType::FixedSizeList(inner(item), *size),
        DataType::Map(entries, sorted) => DataType::Map(inner(entries), *sorted),
        DataType::Struct(fields) => DataType::Struct(fields.iter().map(inner).collect()),
        leaf => change(leaf),
    };
    if &data_type == field.data_type() {
        return Arc::clone(field);
    }
    Arc::new(Field::clone(field).with_data_type(data_type))
}

/// The schema with every text column as views into the pages it was read from.
pub(crate) fn text_as_views(schema: &Schema) -> Schema {
    with_leaves(schema, &mut |data_type| match data_type {
        DataType::Utf8 => DataType::Utf8View,
        other => other.clone(),
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
        other => other.clone(),
    }
}
