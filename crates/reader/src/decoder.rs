//! The decoder of the `parquet` crate over [`Pages`], within [`Bounds`].

use std::sync::Arc;

use arrow_array::{Array, RecordBatch};
use arrow_schema::ArrowError;
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::{
    ParquetRecordBatchReader, RowGroups, RowSelection, RowSelector,
};
use parquet::arrow::parquet_to_arrow_field_levels;
use parquet::column::page::{Page, PageIterator, PageMetadata, PageReader};
use parquet::errors::{ParquetError, Result};
use parquet::file::metadata::{ParquetMetaData, RowGroupMetaData};

use crate::bounds::Bounds;
use crate::footer::Columns;
use crate::leaf::Leaf;
use crate::levels::Rows;
use crate::memory::Held;
use crate::page::damage;
use crate::pages::{Chunk, Pages, Slot};

/// Decodes rows of the row groups of [`Pages`].
pub(crate) struct Decoder {
    reader: ParquetRecordBatchReader,
    pub(crate) bounds: Arc<Bounds>,
    pages: Arc<Pages>,
    lane: usize,
}

impl Decoder {
    /// For the `selected` rows of `pages`, in blocks of `block_rows`. What begins in a lane belongs to its
    /// decoder.
    pub(crate) fn new(
        (pages, lane): (&Arc<Pages>, usize),
        columns: (&Columns, &[usize]),
        mut selected: Vec<RowSelector>,
        block_rows: usize,
        bounds: Arc<Bounds>,
    ) -> Result<Self> {
        let (columns, chosen) = columns;
        let descriptor = columns.descriptor();
        let mask = ProjectionMask::roots(descriptor, chosen.iter().copied());
        let fields = columns.schema.fields();
        let levels = parquet_to_arrow_field_levels(descriptor, mask, Some(fields))?;
        let groups =
            Groups { pages: Arc::clone(pages), lane, metadata: &columns.parquet, bounds: &bounds };
        selected.retain(|rows| rows.row_count > 0);
        let is_all =
            matches!(selected[..], [one] if !one.skip && one.row_count >= groups.num_rows());
        let selection = (!is_all).then(|| RowSelection::from(selected));
        let block_rows = block_rows.min(groups.num_rows().max(1));
        let reader = ParquetRecordBatchReader::try_new_with_row_groups(
            &levels, &groups, block_rows, selection,
        )?;
        Ok(Self { reader, bounds, pages: Arc::clone(pages), lane })
    }

    /// The next rows, which are block number `block` and begin with row `first_row` of the file.
    pub(crate) fn next(
        &mut self,
        block: u64,
        first_row: u64,
    ) -> std::result::Result<Option<RecordBatch>, ArrowError> {
        self.bounds.begin(block, first_row);
        let batch = self.reader.next().transpose()?;
        self.bounds.end();
        if let Some(batch) = batch.as_ref().filter(|_| self.bounds.has_lengths()) {
            // The `parquet` crate checks the texts of such a page together, so half a character may end one of
            // them and the other half begin the next.
            for column in batch.columns() {
                column.to_data().validate_full()?;
            }
        }
        Ok(batch)
    }
}

impl Drop for Decoder {
    fn drop(&mut self) {
        self.pages.leave(self.lane);
    }
}

/// The chunks of one leaf, to be read by themselves.
pub(crate) fn column_pages(
    pages: &Arc<Pages>,
    leaf: &Leaf,
) -> impl Iterator<Item = Box<dyn PageReader>> {
    let bounds = Bounds::new(pages.memory(), (1, 1), u64::MAX, false, (1, false));
    ColumnChunks::new(pages, 0, leaf, &bounds).map_while(Result::ok)
}

/// Some row groups of a file, for the `parquet` crate.
struct Groups<'a> {
    pages: Arc<Pages>,
    lane: usize,
    metadata: &'a ParquetMetaData,
    bounds: &'a Arc<Bounds>,
}

impl RowGroups for Groups<'_> {
    fn num_rows(&self) -> usize {
        let groups = self.pages.groups();
        let rows = self.pages.footer().row_group_rows().skip(groups.start).take(groups.len());
        rows.fold(0, |sum, rows| {
            usize::try_from(rows).map_or(usize::MAX, |rows| sum.saturating_add(rows))
        })
    }

    fn column_chunks(&self, leaf: usize) -> Result<Box<dyn PageIterator>> {
        let found = self.pages.leaf(leaf);
        let leaf = found.ok_or_else(|| ParquetError::General("a column is missing".to_owned()))?;
        Ok(Box::new(ColumnChunks::new(&self.pages, self.lane, leaf, self.bounds)))
    }

    /// Only the number of a row is read from it, and that is never asked for.
    fn row_groups(&self) -> Box<dyn Iterator<Item = &RowGroupMetaData> + '_> {
        Box::new(self.metadata.row_groups().iter())
    }

    fn metadata(&self) -> &ParquetMetaData {
        self.metadata
    }
}

/// The chunks of one column, one after the other.
struct ColumnChunks {
    pages: Arc<Pages>,
    lane: usize,
    leaf: Arc<Leaf>,
    bounds: Arc<Bounds>,
    next_group: usize,
    /// The first row of that group in the file.
    next_row: u64,
}

impl ColumnChunks {
    fn new(pages: &Arc<Pages>, lane: usize, leaf: &Leaf, bounds: &Arc<Bounds>) -> Self {
        let groups = pages.groups();
        Self {
            pages: Arc::clone(pages),
            lane,
            leaf: Arc::new(leaf.clone()),
            bounds: Arc::clone(bounds),
            next_group: groups.start,
            next_row: pages.footer().row_group_rows().take(groups.start).sum(),
        }
    }
}

impl Iterator for ColumnChunks {
    type Item = Result<Box<dyn PageReader>>;

    fn next(&mut self) -> Option<Self::Item> {
        let group = self.next_group;
        if group >= self.pages.groups().end {
            return None;
        }
        let first_row = self.next_row;
        self.next_group += 1;
        self.next_row += self.pages.footer().groups().rows_of(group);
        Some(Ok(Box::new(ChunkPages {
            chunk: self.pages.open(group, self.leaf.number),
            pages: Arc::clone(&self.pages),
            lane: self.lane,
            leaf: Arc::clone(&self.leaf),
            bounds: Arc::clone(&self.bounds),
            group,
            first_row,
            next: 0,
            is_at_row: true,
            skipped_dictionary: None,
            dictionary: None,
            lengths: None,
            rows: Some(0),
        })))
    }
}

impl PageIterator for ColumnChunks {}

/// Hands the `parquet` crate the pages of one column chunk.
struct ChunkPages {
    pages: Arc<Pages>,
    lane: usize,
    chunk: Arc<Chunk>,
    leaf: Arc<Leaf>,
    bounds: Arc<Bounds>,
    group: usize,
    /// The first row of the group in the file.
    first_row: u64,
    /// The number of the next page.
    next: usize,
    /// The decoder knows that the next page starts with a row.
    is_at_row: bool,
    skipped_dictionary: Option<Arc<Slot>>,
    /// What its dictionary takes once it is decoded, and the lengths of its texts.
    dictionary: Option<Held>,
    lengths: Option<Held>,
    /// Rows of the pages so far, where they can be told.
    rows: Option<u64>,
}

impl ChunkPages {
    fn slot(&self) -> Result<Option<Arc<Slot>>> {
        self.chunk.slot(self.next, &self.pages)
    }

    fn go_on(&mut self) {
        self.next += 1;
        self.chunk.pass(self.lane, self.next);
    }

    /// What the decoder is told of the next page. Where several lanes skip most pages of lists, it is worth
    /// looking into the page for its rows, which must all end there. A header is not believed: if it says another
    /// number, rows of one column would stand beside those of others.
    fn metadata(&self, slot: &Slot) -> Result<PageMetadata> {
        let mut metadata = slot.header.metadata(self.leaf.levels);
        if self.leaf.levels.rep > 0 && self.pages.is_shared() && !metadata.is_dict {
            let rows = if self.is_at_row { self.page_rows(slot) } else { None };
            let is_whole = rows.is_some() && self.starts_a_row_at(self.next + 1)?;
            let rows = rows.filter(|rows| is_whole && rows.is_at_start);
            metadata.num_rows = rows.and_then(|rows| usize::try_from(rows.count).ok());
        }
        Ok(metadata)
    }

    fn page_rows(&self, slot: &Slot) -> Option<Rows> {
        self.chunk.rows(slot, self.leaf.levels, &self.pages)
    }

    /// Whether a row is known to start with page `number`, or with the end of the chunk.
    fn starts_a_row_at(&self, number: usize) -> Result<bool> {
        let Some(slot) = self.chunk.slot(number, &self.pages)? else { return Ok(true) };
        // Looking into pages is worth it only where some are skipped.
        Ok(self.pages.is_shared() && self.page_rows(&slot).is_some_and(|rows| rows.is_at_start))
    }

    fn read(&mut self, slot: &Slot) -> Result<Page> {
        let header = &slot.header;
        let decoded = header.decoded_bytes(self.leaf.value_bytes);
        let cost = if slot.is_ready() { 0 } else { self.chunk.cost(slot) };
        self.bounds.admit_page(&self.leaf, cost + decoded)?;
        let bytes = self.chunk.bytes(slot, &self.pages)?;
        if !header.is_dictionary() {
            let rows = slot.rows(&bytes, self.leaf.levels);
            if rows.is_none() && header.tells_rows() {
                // The `parquet` crate skips them without a word.
                return Err(damage("the levels of a page are damaged"));
            }
            self.add_rows(rows.map(|rows| rows.count.into()))?;
        }
        let end = self.rows.map(|rows| self.first_row + rows);
        self.bounds.admit_values(&self.leaf, slot, &bytes, end)?;
        let page = header.page(bytes, self.leaf.levels)?;
        let held = if header.is_dictionary() { &mut self.dictionary } else { &mut self.lengths };
        *held = Some(self.pages.memory().take(decoded));
        Ok(page)
    }

    /// Counts the rows of another page. The columns of a row group have the same rows, or values of one would stand
    /// beside those of other rows.
    fn add_rows(&mut self, rows: Option<u64>) -> Result<()> {
        self.rows = self.rows.zip(rows).map(|(sum, rows)| sum + rows);
        let wanted = self.pages.footer().groups().rows_of(self.group);
        match self.rows {
            Some(rows) if rows > wanted => Err(ParquetError::General(format!(
                "it has more rows than its footer says: column {} has {rows} or more in row group {}, which has {wanted}",
                self.leaf.path, self.group
            ))),
            _ => Ok(()),
        }
    }

    /// All pages are used up.
    fn check_rows(&self) -> Result<()> {
        let wanted = self.pages.footer().groups().rows_of(self.group);
        match self.rows {
            Some(rows) if rows < wanted => Err(ParquetError::General(format!(
                "{} rows of the footer are missing in column {} of row group {}",
                wanted - rows,
                self.leaf.path,
                self.group
            ))),
            _ => Ok(()),
        }
    }
}

impl Drop for ChunkPages {
    fn drop(&mut self) {
        self.pages.close(self.lane, self.group, self.leaf.number);
    }
}

impl Iterator for ChunkPages {
    type Item = Result<Page>;

    fn next(&mut self) -> Option<Self::Item> {
        self.get_next_page().transpose()
    }
}

impl PageReader for ChunkPages {
    fn get_next_page(&mut self) -> Result<Option<Page>> {
        self.chunk.want();
        let Some(slot) = self.slot()? else {
            self.check_rows()?;
            return Ok(None);
        };
        let page = self.read(&slot)?;
        self.go_on();
        Ok(Some(page))
    }

    fn peek_next_page(&mut self) -> Result<Option<PageMetadata>> {
        let Some(slot) = self.slot()? else {
            self.check_rows()?;
            return Ok(None);
        };
        self.metadata(&slot).map(Some)
    }

    fn skip_next_page(&mut self) -> Result<()> {
        if let Some(slot) = self.slot()? {
            if slot.header.is_dictionary() {
                self.skipped_dictionary = Some(slot);
            } else {
                let page = self.metadata(&slot)?;
                let is_flat = self.leaf.levels.rep == 0;
                let rows = page.num_rows.or(page.num_levels.filter(|_| is_flat));
                self.add_rows(rows.map(|rows| rows as u64))?;
            }
            self.go_on();
        }
        Ok(())
    }

    fn at_record_boundary(&mut self) -> Result<bool> {
        self.is_at_row = self.starts_a_row_at(self.next)?;
        Ok(self.is_at_row)
    }

    fn supports_deferred_dictionary(&self) -> bool {
        true
    }

    fn take_deferred_dictionary(&mut self) -> Result<Option<Page>> {
        let Some(slot) = self.skipped_dictionary.take() else { return Ok(None) };
        self.read(&slot).map(Some)
    }
}
