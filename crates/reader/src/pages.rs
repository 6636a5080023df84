//! The pages of the chosen column chunks, decompressed ahead of the decoder by threads that have
//! nothing better to do.
//!
//! Decoding is one thread's work at a time; reading and decompressing are a third of it or more. The pages
//! of a column chunk are read in turn by several lanes, each with a reader of its own that skips the pages of
//! the others, so that more than one page of one column can be decompressed at a time. A decoder that finds
//! its page not ready reads it itself, so nothing depends on the help.

use std::collections::VecDeque;
use std::num::NonZeroUsize;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, TryLockError};

use parquet::arrow::arrow_reader::RowGroups;
use parquet::column::page::{Page, PageIterator, PageMetadata, PageReader};
use parquet::errors::{ParquetError, Result};
use parquet::file::metadata::{ParquetMetaData, RowGroupMetaData};
use parquet::file::serialized_reader::SerializedPageReader;

use crate::guard::{guarded, lock};
use crate::source::{ParquetInput, Source};

/// More lanes would hold more pages and no more threads would find work.
const LANES_MAX: usize = 4;

/// The columns of one file whose pages may be read ahead, and the bytes held ready of them all.
pub(crate) struct Pages {
    columns: Mutex<Vec<Arc<Column>>>,
    lanes: usize,
    ready_bytes: AtomicUsize,
    /// Nothing is read ahead while this many bytes are ready.
    max_bytes: usize,
}

impl Pages {
    /// For `threads` threads, which may hold `max_bytes` of pages ready.
    pub(crate) fn new(threads: NonZeroUsize, max_bytes: usize) -> Arc<Self> {
        let lanes = if max_bytes == 0 { 1 } else { threads.get().clamp(1, LANES_MAX) };
        let ready_bytes = AtomicUsize::new(0);
        Arc::new(Self { columns: Mutex::default(), lanes, ready_bytes, max_bytes })
    }

    /// Reads and decompresses one page that the decoder will want; `false` if there are enough of them.
    pub(crate) fn read_one(&self) -> bool {
        if self.ready_bytes.load(Ordering::Relaxed) >= self.max_bytes {
            return false;
        }
        let columns = lock(&self.columns).clone();
        columns.iter().any(|column| column.read_ahead(self))
    }
}

/// One column: the chunk of it that is being decoded.
struct Column {
    lanes: Vec<Mutex<Lane>>,
    /// The number of the page that the decoder gets next.
    next: AtomicUsize,
}

/// Every so many pages of a column chunk.
#[derive(Default)]
struct Lane {
    reader: Option<SerializedPageReader<ParquetInput>>,
    /// The number of the page that the reader stands at.
    position: usize,
    ready: Option<Ready>,
    /// The decoder has asked for a page, so it is past the rows it may have to skip.
    is_started: bool,
    /// Bytes of the page before, which the next one is expected to have.
    last_bytes: usize,
    /// There is nothing behind that could be read ahead.
    is_stuck: bool,
    is_read: bool,
}

/// A page, and what its header says: a damaged page must not be noticed before it is asked for.
struct Ready {
    header: PageMetadata,
    page: Result<Page>,
}

impl Column {
    fn new(lanes: usize) -> Arc<Self> {
        let lanes = (0..lanes).map(|_| Mutex::default()).collect();
        Arc::new(Self { lanes, next: AtomicUsize::new(0) })
    }

    /// Reads the first page from the decoder's on that is not ready and that nobody reads.
    fn read_ahead(&self, pages: &Pages) -> bool {
        let next = self.next.load(Ordering::Acquire);
        (next..next + self.lanes.len()).any(|page| {
            // Another thread, or the decoder itself, holds the lock of a page that it reads.
            let mut lane = match self.lane(page).try_lock() {
                Ok(lane) => lane,
                Err(TryLockError::Poisoned(lane)) => lane.into_inner(),
                Err(TryLockError::WouldBlock) => return false,
            };
            // The decoder may have gone on meanwhile, or to the next column chunk. It does neither with
            // this lane as long as its lock is held.
            let next = self.next.load(Ordering::Acquire);
            let is_wanted = (next..next + self.lanes.len()).contains(&page);
            is_wanted && lane.read_ahead_within(page, pages)
        })
    }

    fn lane(&self, page: usize) -> &Mutex<Lane> {
        &self.lanes[page % self.lanes.len()]
    }
}

impl Lane {
    /// Goes to `page`, which is not before the position; `false` if the column chunk ends before.
    fn go_to(&mut self, page: usize) -> Result<bool> {
        let Some(reader) = &mut self.reader else { return Ok(false) };
        while self.position < page {
            if reader.peek_next_page()?.is_none() {
                self.is_read = true;
                return Ok(false);
            }
            reader.skip_next_page()?;
            self.position += 1;
        }
        Ok(true)
    }

    fn read(&mut self, page: usize) -> Result<Option<Page>> {
        if self.is_read || !self.go_to(page)? {
            return Ok(None);
        }
        let Some(reader) = &mut self.reader else { return Ok(None) };
        self.position += 1;
        let page = reader.get_next_page()?;
        self.is_read = page.is_none();
        self.last_bytes = page.as_ref().map_or(0, |page| page.buffer().len());
        Ok(page)
    }

    /// [`Self::read_ahead`], if a page like the one before fits what may be ready.
    fn read_ahead_within(&mut self, page: usize, pages: &Pages) -> bool {
        let expected = self.last_bytes;
        let ready = pages.ready_bytes.fetch_add(expected, Ordering::Relaxed);
        let is_read =
            ready + expected <= pages.max_bytes && self.read_ahead(page, &pages.ready_bytes);
        pages.ready_bytes.fetch_sub(expected, Ordering::Relaxed);
        is_read
    }

    fn read_ahead(&mut self, page: usize, ready_bytes: &AtomicUsize) -> bool {
        if !self.is_started
            || self.is_stuck
            || self.is_read
            || self.ready.is_some()
            || self.position > page
        {
            return false;
        }
        let header = match guarded(|| self.header(page)) {
            Ok(Ok(Some(header))) => header,
            // The end, or an error that the decoder finds by itself when it comes here.
            Ok(_) => {
                self.is_stuck = true;
                return false;
            }
            Err(_) => PageMetadata { num_rows: None, num_levels: None, is_dict: false },
        };
        let read = guarded(|| self.read(page));
        let read = read.unwrap_or_else(|panic| Err(ParquetError::General(panic))).transpose();
        let Some(page) = read else { return false };
        self.is_stuck = page.is_err();
        ready_bytes.fetch_add(length(&page), Ordering::Relaxed);
        self.ready = Some(Ready { header, page });
        true
    }

    /// What the header of a page says.
    fn header(&mut self, page: usize) -> Result<Option<PageMetadata>> {
        if self.is_read || !self.go_to(page)? {
            return Ok(None);
        }
        self.reader.as_mut().map_or(Ok(None), PageReader::peek_next_page)
    }

    fn take_ready(&mut self, ready_bytes: &AtomicUsize) -> Option<Result<Page>> {
        let page = self.ready.take()?.page;
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
    column: Arc<Column>,
}

impl ChunkPages {
    fn next_page(&self) -> usize {
        self.column.next.load(Ordering::Acquire)
    }

    fn go_on(&self) {
        self.column.next.fetch_add(1, Ordering::AcqRel);
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
        let number = self.next_page();
        if number == 0 {
            for lane in &self.column.lanes {
                lock(lane).is_started = true;
            }
        }
        let mut lane = lock(self.column.lane(number));
        lane.is_started = true;
        let page = match lane.take_ready(&self.pages.ready_bytes) {
            Some(page) => page.map(Some),
            None => lane.read(number),
        };
        self.go_on();
        page
    }

    fn peek_next_page(&mut self) -> Result<Option<PageMetadata>> {
        let number = self.next_page();
        let mut lane = lock(self.column.lane(number));
        match &lane.ready {
            Some(ready) => Ok(Some(ready.header.clone())),
            None => lane.header(number),
        }
    }

    fn skip_next_page(&mut self) -> Result<()> {
        let number = self.next_page();
        let mut lane = lock(self.column.lane(number));
        if let Some(page) = lane.take_ready(&self.pages.ready_bytes) {
            page?;
        } else if lane.go_to(number)? {
            lane.position += 1;
            lane.reader.as_mut().map_or(Ok(()), PageReader::skip_next_page)?;
        }
        self.go_on();
        Ok(())
    }

    fn supports_deferred_dictionary(&self) -> bool {
        let lane = lock(&self.column.lanes[0]);
        lane.reader.as_ref().is_some_and(PageReader::supports_deferred_dictionary)
    }

    fn take_deferred_dictionary(&mut self) -> Result<Option<Page>> {
        // A dictionary is the first page, so the first lane is the one that skipped it.
        let mut lane = lock(&self.column.lanes[0]);
        lane.reader.as_mut().map_or(Ok(None), PageReader::take_deferred_dictionary)
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
        let lanes = Column::new(self.pages.lanes);
        lock(&self.pages.columns).push(Arc::clone(&lanes));
        Ok(Box::new(ColumnChunks {
            input: Arc::new(ParquetInput(Arc::clone(&self.source))),
            metadata: Arc::clone(self.metadata),
            groups: VecDeque::from(self.numbers.to_vec()),
            column,
            pages: Arc::clone(self.pages),
            lanes,
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
    lanes: Arc<Column>,
}

impl ColumnChunks {
    fn open(&self, group: usize) -> Result<Box<dyn PageReader>> {
        let group = self.metadata.row_group(group);
        let rows = usize::try_from(group.num_rows()).unwrap_or(0);
        let column = group.column(self.column);
        for lane in &self.lanes.lanes {
            let reader = SerializedPageReader::new(Arc::clone(&self.input), column, rows, None)?;
            let mut lane = lock(lane);
            lane.take_ready(&self.pages.ready_bytes);
            *lane = Lane { reader: Some(reader), ..Lane::default() };
        }
        self.lanes.next.store(0, Ordering::Release);
        let column = Arc::clone(&self.lanes);
        Ok(Box::new(ChunkPages { pages: Arc::clone(&self.pages), column }))
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
