//! The row groups of a file: where their column chunks lie, and how much they hold.
//!
//! For each column chunk 48 bytes are kept, since a footer may list hundreds of thousands of them.

use std::io::{self, BufRead};
use std::ops::Range;

use parquet::schema::types::SchemaDescriptor;

use crate::thrift::{Decoder, I32, I64, LIST, STRUCT, invalid};

/// Pages are about this large, or have the whole column chunk.
const PAGE_BYTES: u64 = 1 << 20;

/// Room is made at once for no more row groups and column chunks: their number is only a claim.
const LIKELY_GROUPS_MAX: usize = 1 << 17;
const LIKELY_CHUNKS_MAX: usize = 1 << 18;

/// All row groups, in file order.
#[derive(Debug, Default)]
pub(crate) struct RowGroups {
    /// The number of rows of each.
    rows: Vec<i64>,
    /// The column chunks of all of them, group by group.
    chunks: Vec<Chunk>,
    /// Where the chunks of each group end.
    ends: Vec<usize>,
    total_rows: u64,
    /// Where the last byte ends that they refer to, indexes and filters included.
    data_end: u64,
}

/// One column of one row group.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Chunk {
    start: i64,
    compressed_bytes: i64,
    uncompressed_bytes: i64,
    values: i64,
    /// The bytes of all texts, where the writer noted them.
    text_bytes: i64,
    /// Its number in the format.
    pub(crate) codec: i32,
}

impl Chunk {
    /// The bytes in the file that hold its pages.
    pub(crate) fn bytes(&self) -> Range<u64> {
        let start = size(self.start);
        start..start + size(self.compressed_bytes)
    }

    /// All of its values, nulls among them; `None` if the footer says nothing of use.
    pub(crate) fn values(&self) -> Option<u64> {
        u64::try_from(self.values).ok().filter(|&values| values > 0)
    }

    fn end(&self) -> Option<u64> {
        let (start, bytes) =
            (u64::try_from(self.start).ok()?, u64::try_from(self.compressed_bytes).ok()?);
        start.checked_add(bytes)
    }

    /// What its values take in memory, `width` bytes each, texts where their bytes are known: a dictionary
    /// or runs can make them far smaller in the file.
    fn decoded_bytes(&self, width: u64) -> u64 {
        let values = size(self.values).saturating_mul(width).saturating_add(size(self.text_bytes));
        values.max(size(self.uncompressed_bytes))
    }
}

/// Negative numbers stand for missing ones.
fn size(number: i64) -> u64 {
    u64::try_from(number).unwrap_or(0)
}

impl RowGroups {
    /// Reads the list.
    pub(crate) fn read<R: BufRead>(input: &mut Decoder<R>) -> io::Result<Self> {
        let (count, kind) = input.list()?;
        let mut groups = Self::default();
        let likely = usize::try_from(count).unwrap_or(0).min(LIKELY_GROUPS_MAX);
        groups.rows.reserve_exact(likely);
        groups.ends.reserve_exact(likely);
        for index in 0..count {
            if kind != STRUCT {
                return Err(invalid("its row groups are no structs"));
            }
            let mut rows = 0;
            let mut last = 0;
            while let Some(field) = input.field(&mut last)? {
                match field {
                    (1, LIST) => groups.read_chunks(input)?,
                    (3, I64) => rows = input.integer()?,
                    (_, kind) => input.skip(kind)?,
                }
            }
            if index == 0 {
                // Lists that grew would take twice as much.
                let more = groups.chunks.len().saturating_mul(likely).min(LIKELY_CHUNKS_MAX);
                groups.chunks.reserve_exact(more);
            }
            groups.rows.push(rows);
            groups.ends.push(groups.chunks.len());
        }
        Ok(groups)
    }

    fn read_chunks<R: BufRead>(&mut self, input: &mut Decoder<R>) -> io::Result<()> {
        let (count, kind) = input.list()?;
        for _ in 0..count {
            if kind != STRUCT {
                return Err(invalid("its column chunks are no structs"));
            }
            let mut chunk = None;
            let (mut offset_index, mut column_index) = ((0, 0), (0, 0));
            let mut last = 0;
            while let Some(field) = input.field(&mut last)? {
                match field {
                    (3, STRUCT) => chunk = Some(self.read_chunk(input)?),
                    (4, I64) => offset_index.0 = input.integer()?,
                    (5, I32) => offset_index.1 = input.integer()?,
                    (6, I64) => column_index.0 = input.integer()?,
                    (7, I32) => column_index.1 = input.integer()?,
                    (8, STRUCT) => {
                        return Err(io::Error::new(io::ErrorKind::InvalidData, Encrypted));
                    }
                    (_, kind) => input.skip(kind)?,
                }
            }
            let chunk: Chunk = chunk.ok_or_else(|| invalid("a column chunk has no metadata"))?;
            self.refer((chunk.start, chunk.compressed_bytes));
            self.refer(offset_index);
            self.refer(column_index);
            self.chunks.push(chunk);
        }
        Ok(())
    }

    /// `ColumnMetaData`, without its statistics.
    fn read_chunk<R: BufRead>(&mut self, input: &mut Decoder<R>) -> io::Result<Chunk> {
        let mut chunk = Chunk { compressed_bytes: -1, text_bytes: 0, ..Chunk::default() };
        let (mut data_page, mut dictionary_page) = (0, 0);
        let mut filter = (0, 0);
        let mut last = 0;
        while let Some(field) = input.field(&mut last)? {
            match field {
                (4, I32) => chunk.codec = i32::try_from(input.integer()?).unwrap_or(-1),
                (5, I64) => chunk.values = input.integer()?,
                (6, I64) => chunk.uncompressed_bytes = input.integer()?,
                (7, I64) => chunk.compressed_bytes = input.integer()?,
                (9, I64) => data_page = input.integer()?,
                (11, I64) => dictionary_page = input.integer()?,
                (14, I64) => filter.0 = input.integer()?,
                (15, I32) => filter.1 = input.integer()?,
                (16, STRUCT) => chunk.text_bytes = read_text_bytes(input)?,
                (_, kind) => input.skip(kind)?,
            }
        }
        self.refer(filter);
        // Some writers state a dictionary page at 0 where there is none, or where it is the first page.
        let has_dictionary = dictionary_page > 0 && (dictionary_page < data_page || data_page <= 0);
        chunk.start = if has_dictionary { dictionary_page } else { data_page };
        Ok(chunk)
    }

    fn refer(&mut self, (start, bytes): (i64, i64)) {
        self.data_end = self.data_end.max(size(start).saturating_add(size(bytes)));
    }

    /// Where the last byte ends that they refer to.
    pub(crate) fn data_end(&self) -> u64 {
        self.data_end
    }

    /// Everything the row count and the reads rely on, checked once.
    pub(crate) fn check(
        &mut self,
        descriptor: &SchemaDescriptor,
        data_end: u64,
    ) -> Result<(), String> {
        let leaves = descriptor.num_columns();
        let mut start = 0;
        for (index, (&rows, &end)) in self.rows.iter().zip(&self.ends).enumerate() {
            let rows = u64::try_from(rows)
                .map_err(|_| format!("row group {index} has a negative number of rows"))?;
            self.total_rows = self
                .total_rows
                .checked_add(rows)
                .ok_or_else(|| "its row groups have more rows than can be counted".to_owned())?;
            if end - start != leaves {
                let columns = end - start;
                return Err(format!(
                    "row group {index} has {columns} columns, its schema {leaves}"
                ));
            }
            for (leaf, chunk) in self.chunks[start..end].iter().enumerate() {
                if chunk.end().is_none_or(|end| end > data_end) {
                    let path = descriptor.column(leaf).path().string();
                    return Err(format!(
                        "row group {index}, column {path}: the column chunk lies outside the file"
                    ));
                }
            }
            start = end;
        }
        Ok(())
    }

    pub(crate) fn len(&self) -> usize {
        self.rows.len()
    }

    /// All rows.
    pub(crate) fn rows(&self) -> u64 {
        self.total_rows
    }

    /// The rows of one row group.
    pub(crate) fn rows_of(&self, group: usize) -> u64 {
        self.rows.get(group).map_or(0, |&rows| size(rows))
    }

    /// The rows of each row group.
    pub(crate) fn each_rows(&self) -> impl Iterator<Item = u64> + '_ {
        self.rows.iter().map(|&rows| size(rows))
    }

    /// The column chunk of a leaf.
    pub(crate) fn chunk(&self, group: usize, leaf: usize) -> Chunk {
        let leaves = self.ends.first().copied().unwrap_or(0);
        self.chunks.get(group * leaves + leaf).copied().unwrap_or_default()
    }

    /// The bytes of an average row of the leaves, with the width of each, in the group where that is most.
    pub(crate) fn most_row_bytes(&self, leaves: &[(usize, u64)]) -> u64 {
        let row_bytes = self.each_rows().enumerate().map(|(group, rows)| {
            let bytes =
                leaves.iter().map(|&(leaf, width)| self.chunk(group, leaf).decoded_bytes(width));
            bytes.fold(0, u64::saturating_add) / rows.max(1)
        });
        row_bytes.max().unwrap_or(0)
    }

    /// What a page of a leaf has at most, if it is as large as writers make them.
    pub(crate) fn likely_page_bytes(&self, leaf: usize) -> u64 {
        let bytes = (0..self.len()).map(|group| size(self.chunk(group, leaf).uncompressed_bytes));
        bytes.max().unwrap_or(0).min(PAGE_BYTES)
    }

    /// What the list takes in memory.
    pub(crate) fn memory_bytes(&self) -> u64 {
        (self.chunks.capacity() * size_of::<Chunk>()
            + self.rows.capacity() * size_of::<i64>()
            + self.ends.capacity() * size_of::<usize>()) as u64
    }
}

/// `SizeStatistics`, of which one is of use.
fn read_text_bytes<R: BufRead>(input: &mut Decoder<R>) -> io::Result<i64> {
    let (mut bytes, mut last) = (0, 0);
    while let Some(field) = input.field(&mut last)? {
        match field {
            (1, I64) => bytes = input.integer()?,
            (_, kind) => input.skip(kind)?,
        }
    }
    Ok(bytes)
}

/// A column of the file is encrypted.
#[derive(Debug, thiserror::Error)]
#[error("a column is encrypted")]
pub(crate) struct Encrypted;
