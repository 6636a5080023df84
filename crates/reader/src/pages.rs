//! The pages of the chosen column chunks, decompressed ahead of the decoder by threads that have
//! nothing better to do.
//!
//! Decoding is one thread's work at a time; reading and decompressing are a third of it or more, and
//! each column's pages are independent of the others'. A decoder that finds no page ready reads it
//! itself, so nothing depends on the help.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, TryLockError};

use parquet::arrow::arrow_reader::RowGroups;
use parquet::column::page::{Page, PageIterator, PageMetadata, PageReader};
use parquet::errors::{ParquetError, Result};
use parquet::file::metadata::{ParquetMetaData, RowGroupMetaData};
use parquet::file::serialized_reader::SerializedPageReader;

use crate::guard::guarded;
use crate::source::{ParquetInput, Source};

/// No column has more pages ready than this: the one the decoder wants next, and one in the making.
const PAGES_AHEAD: usize = 2;

/// The columns of one file whose pages may be read ahead, and the bytes held ready of them all.
#[derive(Default)]
pub(crate) struct Pages {
    columns: Mutex<Vec<Arc<Mutex<Chunk>>>>,
    ready_bytes: AtomicUsize,
    /// Nothing is read ahead while this many bytes are ready.
    max_bytes: usize,
}

impl Pages {
    pub(crate) fn new(max_bytes: usize) -> Arc<Self> {
        Arc::new(Self { max_bytes, ..Self::default() })
    }

    /// Reads and decompresses one page that the decoder will want, of the column with the fewest
    /// pages ready; `false` if there are enough of them.
    pub(crate) fn read_one(&self) -> bool {
        if self.ready_bytes.load(Ordering::Relaxed) >= self.max_bytes {
            return false;
        }
        let columns = lock(&self.columns).clone();
        // The decoder holds the lock of a column whose page it reads itself.
        let free = columns.iter().filter_map(|column| match column.try_lock() {
            Ok(chunk) => Some(chunk),
            Err(TryLockError::Poisoned(chunk)) => Some(chunk.into_inner()),
            Err(TryLockError::WouldBlock) => None,
        });
        let wanted =
            free.filter(|chunk| chunk.may_read_ahead()).min_by_key(|chunk| chunk.ready.len());
        match wanted {
            Some(mut chunk) => {
                chunk.read_ahead(&self.ready_bytes);
                true
            }
            None => false,
        }
    }
}

/// The column chunk of one column that is being decoded.
#[derive(Default)]
struct Chunk {
    reader: Option<SerializedPageReader<ParquetInput>>,
    ready: VecDeque<Result<Page>>,
    /// The decoder has asked for a page, so it is past the rows it may have to skip.
    is_started: bool,
    is_read: bool,
}

impl Chunk {
    fn may_read_ahead(&self) -> bool {
        self.is_started && !self.is_read && self.ready.len() < PAGES_AHEAD
    }

    fn read_ahead(&mut self, ready_bytes: &AtomicUsize) {
        let Some(reader) = &mut self.reader else { return };
        let page = guarded(|| reader.get_next_page());
        let page = page.unwrap_or_else(|panic| Err(ParquetError::General(panic))).transpose();
        self.is_read = !matches!(page, Some(Ok(_)));
        if let Some(page) = page {
            ready_bytes.fetch_add(length(&page), Ordering::Relaxed);
            self.ready.push_back(page);
        }
    }

    fn pop(&mut self, ready_bytes: &AtomicUsize) -> Option<Result<Page>> {
        let page = self.ready.pop_front()?;
        ready_bytes.fetch_sub(length(&page), Ordering::Relaxed);
        Some(page)
    }
}

fn length(page: &Result<Page>) -> usize {
    page.as_ref().map_or(0, |page| page.buffer().len())
}

/// Hands the decoder the pages of one column chunk.
struct ChunkPages {
    pages: Arc<Pages>,
    chunk: Arc<Mutex<Chunk>>,
}

impl ChunkPages {
    fn with_reader<T>(
        &self,
        work: impl FnOnce(&mut SerializedPageReader<ParquetInput>) -> Result<T>,
    ) -> Result<Option<T>> {
        lock(&self.chunk).reader.as_mut().map(work).transpose()
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
        let mut chunk = lock(&self.chunk);
        chunk.is_started = true;
        if let Some(page) = chunk.pop(&self.pages.ready_bytes) {
            return page.map(Some);
        }
        if chunk.is_read {
            return Ok(None);
        }
        let Some(reader) = &mut chunk.reader else { return Ok(None) };
        reader.get_next_page()
    }

    fn peek_next_page(&mut self) -> Result<Option<PageMetadata>> {
        let mut chunk = lock(&self.chunk);
        match chunk.ready.front() {
            Some(Ok(page)) => Ok(Some(metadata(page))),
            // The error itself comes when the page is asked for.
            Some(Err(error)) => Err(ParquetError::General(error.to_string())),
            None if chunk.is_read => Ok(None),
            None => chunk.reader.as_mut().map_or(Ok(None), PageReader::peek_next_page),
        }
    }

    fn skip_next_page(&mut self) -> Result<()> {
        let mut chunk = lock(&self.chunk);
        match chunk.pop(&self.pages.ready_bytes) {
            Some(page) => page.map(drop),
            None => chunk.reader.as_mut().map_or(Ok(()), PageReader::skip_next_page),
        }
    }

    fn supports_deferred_dictionary(&self) -> bool {
        lock(&self.chunk).reader.as_ref().is_some_and(PageReader::supports_deferred_dictionary)
    }

    fn take_deferred_dictionary(&mut self) -> Result<Option<Page>> {
        self.with_reader(PageReader::take_deferred_dictionary).map(Option::flatten)
    }
}

/// What the header of a page says of it.
fn metadata(page: &Page) -> PageMetadata {
    let levels = usize::try_from(page.num_values()).ok();
    match page {
        Page::DataPage { .. } => {
            PageMetadata { num_rows: None, num_levels: levels, is_dict: false }
        }
        Page::DataPageV2 { num_rows, .. } => PageMetadata {
            num_rows: usize::try_from(*num_rows).ok(),
            num_levels: levels,
            is_dict: false,
        },
        Page::DictionaryPage { .. } => {
            PageMetadata { num_rows: None, num_levels: None, is_dict: true }
        }
    }
}

/// Some row groups of a file, for the decoder.
pub(crate) struct Groups<'a> {
    pub(crate) source: Arc<dyn Source>,
    pub(crate) metadata: &'a Arc<ParquetMetaData>,
    /// Their numbers in the file.
    pub(crate) numbers: &'a [usize],
    pub(crate) pages: &'a Arc<Pages>,
}

impl RowGroups for Groups<'_> {
    fn num_rows(&self) -> usize {
        let rows = self.row_groups().map(|group| usize::try_from(group.num_rows()).unwrap_or(0));
        rows.fold(0, usize::saturating_add)
    }

    fn column_chunks(&self, column: usize) -> Result<Box<dyn PageIterator>> {
        let chunk = Arc::default();
        lock(&self.pages.columns).push(Arc::clone(&chunk));
        Ok(Box::new(ColumnChunks {
            input: Arc::new(ParquetInput(Arc::clone(&self.source))),
            metadata: Arc::clone(self.metadata),
            groups: VecDeque::from(self.numbers.to_vec()),
            column,
            pages: Arc::clone(self.pages),
            chunk,
        }))
    }

    fn row_groups(&self) -> Box<dyn Iterator<Item = &RowGroupMetaData> + '_> {
        Box::new(self.numbers.iter().map(|&group| self.metadata.row_group(group)))
    }

    fn metadata(&self) -> &ParquetMetaData {
        self.metadata
    }
}

/// The chunks of one column, one after the other.
struct ColumnChunks {
    input: Arc<ParquetInput>,
    metadata: Arc<ParquetMetaData>,
    groups: VecDeque<usize>,
    column: usize,
    pages: Arc<Pages>,
    chunk: Arc<Mutex<Chunk>>,
}

impl ColumnChunks {
    fn open(&self, group: usize) -> Result<Box<dyn PageReader>> {
        let group = self.metadata.row_group(group);
        let rows = usize::try_from(group.num_rows()).unwrap_or(0);
        let column = group.column(self.column);
        let reader = SerializedPageReader::new(Arc::clone(&self.input), column, rows, None)?;
        let mut chunk = lock(&self.chunk);
        while chunk.pop(&self.pages.ready_bytes).is_some() {}
        *chunk = Chunk { reader: Some(reader), ..Chunk::default() };
        Ok(Box::new(ChunkPages { pages: Arc::clone(&self.pages), chunk: Arc::clone(&self.chunk) }))
    }
}

impl Iterator for ColumnChunks {
    type Item = Result<Box<dyn PageReader>>;

    fn next(&mut self) -> Option<Self::Item> {
        let group = self.groups.pop_front()?;
        Some(self.open(group))
    }
}

impl PageIterator for ColumnChunks {}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
