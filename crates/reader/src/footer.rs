//! The footer of a Parquet file: columns, rows and row groups, before any row is read.

use std::io::{self, BufRead, BufReader};
use std::ops::Range;
use std::sync::Arc;

use arrow_schema::SchemaRef;
use parquet::arrow::arrow_reader::{ArrowReaderMetadata, ArrowReaderOptions};
use parquet::basic::Type as PhysicalType;
use parquet::errors::ParquetError;
use parquet::file::metadata::{ParquetMetaData, ParquetMetaDataReader};
use parquet::schema::types::SchemaDescriptor;

use crate::error::Error;
use crate::guard::guarded;
use crate::leaf::Leaf;
use crate::page::MaxLevels;
use crate::row_groups::{Encrypted, RowGroups};
use crate::schema::{self, Elements, Refusal};
use crate::source::{HEADER_READ_BYTES, Input, Source, SourceReader};
use crate::thrift::{self, BINARY, Decoder, I64, LIST, Output, STRUCT};

/// Bytes of the closing footer length and magic.
const TAIL_BYTES: u64 = 8;

/// So far before its likely place the joint of two files is looked for.
const JOINT_BYTES: u64 = 64 << 10;

/// Footers are read in pieces of this size: nearly all of them at once.
const READ_BYTES: usize = 1 << 20;

/// The key of the Arrow schema in a footer's metadata.
const ARROW_SCHEMA: &str = "ARROW:schema";

/// No Arrow schema that is longer is believed to be one.
const SCHEMA_BYTES_MAX: usize = 16 << 20;

/// All other metadata together that are kept.
const METADATA_BYTES_MAX: usize = 1 << 20;

/// Numbers of the fields of `FileMetaData`.
const SCHEMA: i64 = 2;
const ROWS: i64 = 3;
const ROW_GROUPS: i64 = 4;
const KEY_VALUES: i64 = 5;

/// What the end of a Parquet file says of its columns and rows.
#[derive(Debug, Clone)]
pub struct Footer(Arc<Parts>);

#[derive(Debug)]
struct Parts {
    columns: Arc<BothColumns>,
    groups: RowGroups,
    declared_rows: Option<u64>,
}

#[derive(Debug)]
struct BothColumns {
    /// For readers of Arrow batches.
    batches: Columns,
    /// For those who print.
    printed: Columns,
    /// What they were made from.
    elements: Vec<u8>,
    key_values: Vec<u8>,
}

/// The columns in the way that they are decoded.
#[derive(Debug)]
pub(crate) struct Columns {
    pub(crate) schema: SchemaRef,
    /// Without row groups.
    pub(crate) parquet: Arc<ParquetMetaData>,
}

impl Columns {
    pub(crate) fn descriptor(&self) -> &SchemaDescriptor {
        self.parquet.file_metadata().schema_descr()
    }
}

impl Footer {
    /// Reads the footer of a Parquet file.
    pub fn read(file: &Input) -> Result<Self, Error> {
        Self::read_after(None, file)
    }

    /// Reads the footer of a file that may have the same columns as one `before`, which are then shared.
    pub(crate) fn read_after(before: Option<&Self>, file: &Input) -> Result<Self, Error> {
        let (file, source) = (file.name(), file.source());
        let declared_bytes = check_ends(file, source.as_ref())?;
        let data_end = source.size() - TAIL_BYTES - declared_bytes;
        let reader = SourceReader::new(Arc::clone(source), data_end..data_end + declared_bytes);
        let read_bytes = usize::try_from(declared_bytes).unwrap_or(READ_BYTES).min(READ_BYTES);
        let mut input = Decoder::new(BufReader::with_capacity(read_bytes.max(1), reader));
        let mut raw = Raw::read(&mut input).map_err(|error| not_parsed(file, error))?;
        raw.elements.check().map_err(|refusal| refused(file, refusal))?;
        let (elements, key_values) = (raw.elements.encode(), raw.others.encode());
        let is_same = |columns: &&Arc<BothColumns>| {
            columns.elements == elements && columns.key_values == key_values
        };
        let columns = if let Some(same) = before.map(|before| &before.0.columns).filter(is_same) {
            Arc::clone(same)
        } else {
            let (batches, printed) = guarded(|| columns(raw.elements, &mut raw.others))
                .map_err(|panic| damaged(file, panic))?
                .map_err(|error| not_read(file, error))?;
            Arc::new(BothColumns { batches, printed, elements, key_values })
        };
        let checked = raw.groups.check(columns.batches.descriptor(), data_end);
        checked.map_err(|what| damaged(file, what))?;
        check_joint(file, source.as_ref(), data_end.saturating_sub(raw.groups.data_end().max(4)))?;
        Ok(Self(Arc::new(Parts { columns, groups: raw.groups, declared_rows: raw.declared_rows })))
    }

    /// The columns with their Arrow types. `INT96` shows as a timestamp in microseconds, an `ENUM` as text,
    /// and dictionaries have keys of 32 bits.
    pub fn schema(&self) -> &SchemaRef {
        &self.0.columns.batches.schema
    }

    /// All rows of the file: those of its row groups.
    pub fn rows(&self) -> u64 {
        self.0.groups.rows()
    }

    /// The number of rows that the footer states for the whole file, where that is not the sum of its row
    /// groups. Such a file was written wrongly, or was put together from others.
    pub fn other_total(&self) -> Option<u64> {
        self.0.declared_rows.filter(|declared| *declared != self.rows())
    }

    /// The rows of each row group, in file order.
    pub fn row_group_rows(&self) -> impl Iterator<Item = u64> + '_ {
        self.0.groups.each_rows()
    }

    pub(crate) fn groups(&self) -> &RowGroups {
        &self.0.groups
    }

    /// The columns as Arrow batches hand them out, or as they are printed.
    pub(crate) fn columns(&self, is_printed: bool) -> &Columns {
        let BothColumns { batches, printed, .. } = self.0.columns.as_ref();
        if is_printed { printed } else { batches }
    }

    /// The bytes of an average row of the chosen top-level columns once they are decoded, in the
    /// row group where that is largest.
    pub(crate) fn row_bytes(&self, columns: &[usize]) -> u64 {
        let descriptor = self.0.columns.batches.descriptor();
        let widths: Vec<(usize, u64)> =
            self.leaves(columns).map(|leaf| (leaf, width(descriptor, leaf))).collect();
        self.0.groups.most_row_bytes(&widths)
    }

    /// What decoding the chosen top-level columns holds of their pages: for each column one page and
    /// what it was before it was decompressed. Pages are about a mebibyte, or the whole column chunk.
    pub(crate) fn page_bytes(&self, columns: &[usize]) -> u64 {
        2 * self.leaves(columns).map(|leaf| self.0.groups.likely_page_bytes(leaf)).sum::<u64>()
    }

    /// The bytes of the column chunks that `columns` take, for each of the row `groups`.
    pub(crate) fn column_chunks(
        &self,
        groups: Range<usize>,
        columns: &[usize],
    ) -> Vec<Vec<Range<u64>>> {
        let leaves: Vec<usize> = self.leaves(columns).collect();
        let chunk_bytes = |group: usize, leaf: usize| {
            let bytes = self.0.groups.chunk(group, leaf).bytes();
            // The header of a page is read with a little of what follows it.
            bytes.start..bytes.end + HEADER_READ_BYTES as u64
        };
        groups.map(|group| leaves.iter().map(|&leaf| chunk_bytes(group, leaf)).collect()).collect()
    }

    /// The values of a top-level column that has one leaf, nulls and empty lists among them.
    pub(crate) fn values(&self, column: usize) -> Option<u64> {
        let mut leaves = self.leaves(std::slice::from_ref(&column));
        let (leaf, None) = (leaves.next()?, leaves.next()) else { return None };
        let groups = &self.0.groups;
        // What a footer says may be anything.
        let mut values = (0..groups.len()).map(|group| groups.chunk(group, leaf).values());
        values.try_fold(0_u64, |sum, values| sum.checked_add(values?))
    }

    /// The leaves of the chosen top-level columns.
    fn leaves(&self, columns: &[usize]) -> impl Iterator<Item = usize> {
        let descriptor = self.0.columns.batches.descriptor();
        let mut chosen = vec![false; self.schema().fields().len()];
        for &column in columns {
            if let Some(chosen) = chosen.get_mut(column) {
                *chosen = true;
            }
        }
        (0..descriptor.num_columns()).filter(move |&leaf| {
            chosen.get(descriptor.get_column_root_idx(leaf)).copied().unwrap_or_default()
        })
    }
}

/// A footer as it stands in the file.
struct Raw {
    elements: Elements,
    groups: RowGroups,
    declared_rows: Option<u64>,
    others: KeyValues,
}

/// The encoded entries of a footer's metadata that are kept.
#[derive(Default)]
struct KeyValues {
    /// The Arrow schema that the writer had.
    schema: Option<Vec<u8>>,
    /// What others have put there, which an Arrow stream hands on.
    others: Vec<Vec<u8>>,
}

impl KeyValues {
    fn encode(&self) -> Vec<u8> {
        let entries = || self.schema.iter().chain(&self.others);
        let mut bytes = Vec::new();
        thrift::push_list(entries().count(), STRUCT, &mut bytes);
        bytes.extend(entries().flatten());
        bytes
    }
}

/// Entries that are no text are left out, and so is what is longer than metadata is.
fn read_key_values<R: BufRead>(input: &mut Decoder<R>) -> io::Result<KeyValues> {
    let (count, kind) = input.list()?;
    let (mut kept, mut kept_bytes) = (KeyValues::default(), 0);
    for _ in 0..count {
        if kind != STRUCT {
            return Err(thrift::invalid("its metadata are no pairs of keys and values"));
        }
        let (mut key, mut value, mut last) = (None, None, 0);
        while let Some(field) = input.field(&mut last)? {
            match field {
                (1, BINARY) => key = input.short_text(METADATA_BYTES_MAX)?,
                (2, BINARY) => {
                    let is_schema = key.as_deref() == Some(ARROW_SCHEMA);
                    let max = if is_schema { SCHEMA_BYTES_MAX } else { METADATA_BYTES_MAX };
                    value = input.short_text(max)?;
                }
                (_, kind) => input.skip(kind)?,
            }
        }
        let (Some(key), Some(value)) = (key, value) else { continue };
        let mut entry = Output::default();
        entry.field((1, BINARY), &thrift::encoded_binary(key.as_bytes()));
        entry.field((2, BINARY), &thrift::encoded_binary(value.as_bytes()));
        let entry = entry.end();
        if key == ARROW_SCHEMA {
            kept.schema = Some(entry);
        } else if kept_bytes + entry.len() <= METADATA_BYTES_MAX {
            kept_bytes += entry.len();
            kept.others.push(entry);
        }
    }
    Ok(kept)
}

impl Raw {
    fn read<R: BufRead>(input: &mut Decoder<R>) -> io::Result<Self> {
        let mut elements = None;
        let (mut groups, mut declared_rows, mut others) =
            (RowGroups::default(), None, KeyValues::default());
        let mut last = 0;
        while let Some(field) = input.field(&mut last)? {
            match field {
                (SCHEMA, LIST) => elements = Some(Elements::read(input)?),
                (ROWS, I64) => declared_rows = u64::try_from(input.integer()?).ok(),
                (ROW_GROUPS, LIST) => groups = RowGroups::read(input)?,
                (KEY_VALUES, LIST) => others = read_key_values(input)?,
                (_, kind) => input.skip(kind)?,
            }
        }
        let mut elements = elements.ok_or_else(|| thrift::invalid("its footer has no schema"))?;
        elements.add_scales();
        elements.forget_later_types();
        Ok(Self { elements, groups, declared_rows, others })
    }
}

/// The columns in both ways, by the `parquet` crate from a footer without row groups.
fn columns(
    mut elements: Elements,
    others: &mut KeyValues,
) -> Result<(Columns, Columns), ParquetError> {
    let mut loaded = match load(&elements, others) {
        Ok(loaded) => loaded,
        // The Arrow schema is advice, and may be that of other columns.
        Err(error) if others.schema.take().is_none() => return Err(error),
        Err(_) => load(&elements, others)?,
    };
    let descriptor =
        |loaded: &ArrowReaderMetadata| loaded.metadata().file_metadata().schema_descr_ptr();
    let wanted = schema::wanted_schema(loaded.schema(), &descriptor(&loaded));
    let unchecked = schema::unchecked_texts(&wanted, &descriptor(&loaded));
    if !unchecked.is_empty() {
        elements.annotate_as_text(&unchecked);
        loaded = load(&elements, others)?;
    }
    if &wanted != loaded.schema().as_ref() {
        let options = ArrowReaderOptions::new().with_schema(Arc::new(wanted));
        loaded = ArrowReaderMetadata::try_new(Arc::clone(loaded.metadata()), options)?;
    }
    let columns =
        Columns { schema: Arc::clone(loaded.schema()), parquet: Arc::clone(loaded.metadata()) };
    let schema = schema::printed_schema(&columns.schema, columns.descriptor());
    elements.keep_int96();
    let parquet = Arc::new(parse(&elements, &KeyValues::default())?);
    Ok((columns, Columns { schema: Arc::new(schema), parquet }))
}

fn load(elements: &Elements, others: &KeyValues) -> Result<ArrowReaderMetadata, ParquetError> {
    ArrowReaderMetadata::try_new(Arc::new(parse(elements, others)?), ArrowReaderOptions::new())
}

fn parse(elements: &Elements, others: &KeyValues) -> Result<ParquetMetaData, ParquetError> {
    let (mut one, mut none, mut no_groups) = (Vec::new(), Vec::new(), Vec::new());
    thrift::push_integer(1, &mut one);
    thrift::push_integer(0, &mut none);
    thrift::push_list(0, STRUCT, &mut no_groups);
    let mut footer = Output::default();
    footer.field((1, thrift::I32), &one);
    footer.field((SCHEMA, LIST), &elements.encode());
    footer.field((ROWS, I64), &none);
    footer.field((ROW_GROUPS, LIST), &no_groups);
    footer.field((KEY_VALUES, LIST), &others.encode());
    ParquetMetaDataReader::decode_metadata(&footer.end())
}

/// The leaves of the chosen top-level columns.
pub(crate) fn leaves(footer: &Footer, columns: &[usize], is_printed: bool) -> Vec<Leaf> {
    let descriptor = footer.columns(is_printed).descriptor();
    let leaf = |number: usize| {
        let column = descriptor.column(number);
        Leaf {
            number,
            levels: MaxLevels { def: column.max_def_level(), rep: column.max_rep_level() },
            value_bytes: value_bytes(descriptor, number),
            is_text: column.physical_type() == PhysicalType::BYTE_ARRAY,
            path: column.path().string(),
        }
    };
    footer.leaves(columns).map(leaf).collect()
}

/// What one value of a leaf takes once it is decoded, its levels included. Texts are views.
fn value_bytes(descriptor: &SchemaDescriptor, leaf: usize) -> u64 {
    let column = descriptor.column(leaf);
    let width = match column.physical_type() {
        PhysicalType::BYTE_ARRAY => 16,
        _ => width(descriptor, leaf),
    };
    let level = |max: i16| if max > 0 { size_of::<i16>() as u64 } else { 0 };
    width + level(column.max_def_level()) + level(column.max_rep_level())
}

/// The bytes of one value as its text is made from it.
fn width(descriptor: &SchemaDescriptor, leaf: usize) -> u64 {
    let column = descriptor.column(leaf);
    match column.physical_type() {
        PhysicalType::BOOLEAN => 1,
        PhysicalType::INT32 | PhysicalType::FLOAT => 4,
        PhysicalType::INT64 | PhysicalType::DOUBLE | PhysicalType::INT96 => 8,
        PhysicalType::FIXED_LEN_BYTE_ARRAY => u64::try_from(column.type_length()).unwrap_or(0),
        // Texts: their lengths where the writer noted them.
        PhysicalType::BYTE_ARRAY => 4,
    }
}

pub(crate) fn damaged(file: &str, detail: impl std::fmt::Display) -> Error {
    Error::Damaged { file: file.to_owned(), detail: detail.to_string() }
}

fn refused(file: &str, refusal: Refusal) -> Error {
    match refusal {
        Refusal::Damaged(detail) => damaged(file, detail),
        Refusal::Unsupported(detail) => Error::Unsupported { file: file.to_owned(), detail },
    }
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

fn not_parsed(file: &str, error: io::Error) -> Error {
    match error.kind() {
        io::ErrorKind::UnexpectedEof => damaged(file, "its footer ends too early"),
        io::ErrorKind::InvalidData if is_encrypted(&error) => {
            Error::Encrypted { file: file.to_owned() }
        }
        io::ErrorKind::InvalidData => damaged(file, error),
        _ => Error::io(file, error),
    }
}

fn is_encrypted(error: &io::Error) -> bool {
    error.get_ref().and_then(|cause| cause.downcast_ref::<Encrypted>()).is_some()
}

/// What only the bytes of a file can cause: an end too early, or a header that claims too much.
fn is_damage(kind: io::ErrorKind) -> bool {
    matches!(kind, io::ErrorKind::UnexpectedEof | io::ErrorKind::InvalidData)
}

/// Files joined one behind the other have the footer of the last at their end, whose places are counted from
/// its own start: behind `gap` bytes that nothing refers to.
fn check_joint(file: &str, source: &dyn Source, gap: u64) -> Result<(), Error> {
    if gap < 4 + TAIL_BYTES {
        return Ok(());
    }
    // The last file may have a gap of its own, for which a little is looked at.
    let start = gap.saturating_sub(JOINT_BYTES);
    let joint = source.read(start..gap + 4).map_err(|source| Error::io(file, source))?;
    if memchr::memmem::find(&joint, b"PAR1PAR1").is_none() {
        return Ok(());
    }
    let detail =
        "it is several Parquet files one behind the other, and its footer is that of the last; \
                  print the files by themselves"
            .to_owned();
    Err(Error::Unsupported { file: file.to_owned(), detail })
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
