//! How much is decoded at a time, by how many threads, and what all of it holds.
//!
//! A plan is made from what the footer says, which is an estimate. What is really held is counted in one
//! [`Memory`], by whatever holds it: pages, decoded dictionaries, blocks and text. Who wants more than there
//! is room for waits for the blocks before its own; what does not fit even then is decoded in smaller blocks,
//! and what one page or one value takes by itself is taken and told of.

use std::collections::BTreeSet;
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use parking_lot::{Condvar, Mutex};

use crate::footer::Footer;

/// Rows are decoded in blocks of about this many bytes of values, then cut into batches. Narrow
/// rows decode fastest in large blocks; wide vectors in blocks that stay in the cache.
const BLOCK_BYTES: u64 = 1 << 18;

/// Blocks of more columns are larger, since each column of a block takes time and memory by itself.
const MANY_COLUMNS: usize = 256;
const MANY_MORE: u64 = 4;

/// No block has more rows than this, however narrow they are.
const BLOCK_ROWS_MAX: u64 = 16_384;

/// Blocks for each thread that are encoded or on their way, so that no thread waits for a slower one.
pub(crate) const BLOCKS_AHEAD: u64 = 2;

/// A block and its text take this many times the bytes of its values: four bytes of an f32 print as
/// up to fifteen, and a buffer grows by doubling.
const BLOCK_AND_TEXT: u64 = 8;

/// The part of the memory that blocks get however much is expected to be taken by pages.
const LEAST_SHARE: u64 = 32;

/// What a thread takes by itself: its stack, and what the allocator keeps for it.
const THREAD_BYTES: u64 = 3 << 19;

/// What a column takes of each thread that encodes it: the cells of its rows.
const THREAD_COLUMN_BYTES: u64 = 6 << 10;

/// Bytes of pages that are held ready for the decoder, if the budget has room for so many.
const PAGES_BYTES_MAX: u64 = 4 << 20;

/// With fewer threads one decoder keeps all of them busy.
const LANES_FROM_THREADS: u64 = 4;

const LANES_MAX: u64 = 8;

/// The `parquet` crate decodes all rows to choose among them if those that are skipped and read are fewer than
/// 32 on average.
const LANE_RUN_ROWS_MIN: u64 = 64;

/// The part of the memory that is kept for what decoders take by themselves.
const LANES_SHARE: u64 = 2;

/// Pages are shared, and most have no dictionary of which each decoder has its own values: so many take as much
/// as one in each decoder.
const LANE_PAGES: u64 = 4;

/// What a column takes of each decoder: buffers, and a part of a dictionary.
const LANE_COLUMN_BYTES: u64 = 64 << 10;

/// What a block takes in its decoder, its levels among it.
const LANE_BLOCKS: u64 = 3;

/// A block that would decode to more is cut, however much room there is.
const BLOCK_BYTES_MAX: u64 = 8 << 20;

/// A text that becomes longer is handed on in pieces.
const TEXT_BYTES_MAX: u64 = 4 << 20;

/// No row that takes less is told of.
const LONG_ROW_BYTES_MIN: u64 = 1 << 18;

/// How a file is decoded within a budget.
#[derive(Debug, Clone)]
pub(crate) struct Plan {
    pub(crate) threads: NonZeroUsize,
    /// Decoders that work at the same time.
    pub(crate) lanes: usize,
    /// Rows of a block: a whole number of batches, or a part of one where rows are wide.
    pub(crate) block_rows: usize,
    /// No block has fewer, except for what no batch could hold.
    pub(crate) least_rows: usize,
    /// A block that would decode to more bytes is decoded in fewer rows.
    pub(crate) block_bytes: u64,
    /// Blocks whose text would have more bytes become smaller.
    pub(crate) text_bytes: u64,
    /// Bytes of pages that may be read ahead.
    pub(crate) pages_bytes: u64,
    /// Decoded as it is printed, see [`crate::schema::printed_schema`].
    pub(crate) is_printed: bool,
    pub(crate) memory: Arc<Memory>,
}

impl Plan {
    /// For printing `rows` rows of `columns` of a file, with up to `threads` threads and `bytes` of memory.
    pub(crate) fn new(
        footer: &Footer,
        columns: &[usize],
        rows: u64,
        batch_rows: NonZeroUsize,
        threads: NonZeroUsize,
        bytes: u64,
    ) -> Self {
        let batch_rows = batch_rows.get() as u64;
        let row_bytes = footer.row_bytes(columns).max(1);
        let bytes = bytes.saturating_sub(footer.groups().memory_bytes());
        let left = bytes.saturating_sub(footer.page_bytes(columns));
        let row_and_text = row_bytes.saturating_mul(BLOCK_AND_TEXT);
        let thread_bytes = THREAD_BYTES + columns.len() as u64 * THREAD_COLUMN_BYTES;
        let threads = (threads.get() as u64).min(left / 2 / thread_bytes);
        // Where pages take everything, blocks of one row would take a thousand times as long.
        let least = bytes / LEAST_SHARE;
        let rows_in_flight =
            (left - threads * thread_bytes).max(least) / row_and_text / BLOCKS_AHEAD;
        // Each thread needs a row at least.
        let threads = rows_in_flight.min(threads).max(1);
        let bytes_of_block =
            if columns.len() > MANY_COLUMNS { BLOCK_BYTES * MANY_MORE } else { BLOCK_BYTES };
        let fitting_rows =
            (bytes_of_block / row_bytes).min(BLOCK_ROWS_MAX).min(rows_in_flight / threads);
        let block_rows = match fitting_rows / batch_rows {
            0 => fitting_rows.max(1),
            batches => batches * batch_rows,
        };
        // Threads that find no block would read pages that nobody wants.
        let threads = threads.min(rows.div_ceil(block_rows).max(1));
        // The first is there anyway.
        let limit = bytes.saturating_sub((threads - 1) * thread_bytes);
        let lane_bytes = footer.page_bytes(columns) / LANE_PAGES
            + columns.len() as u64 * LANE_COLUMN_BYTES
            + LANE_BLOCKS * block_rows.saturating_mul(row_bytes);
        let lanes =
            lanes(threads, rows / block_rows, block_rows, limit / LANES_SHARE / lane_bytes.max(1));
        // As many blocks are decoded at a time, or one that only its turn brings.
        let decoders = if lanes > 1 { lanes as u64 } else { threads };
        // A page is kept until all lanes are past it.
        let pages_bytes = PAGES_BYTES_MAX * lanes as u64;
        Self {
            threads: usize::try_from(threads)
                .ok()
                .and_then(NonZeroUsize::new)
                .unwrap_or(NonZeroUsize::MIN),
            lanes,
            block_rows: usize::try_from(block_rows).unwrap_or(usize::MAX),
            least_rows: 1,
            block_bytes: (limit / 4 / decoders).min(BLOCK_BYTES_MAX),
            text_bytes: (limit / 4 / threads).min(TEXT_BYTES_MAX),
            pages_bytes: if threads > 1 {
                pages_bytes.min(left / if lanes > 1 { 4 } else { 8 })
            } else {
                0
            },
            is_printed: true,
            memory: Memory::new(limit),
        }
    }

    /// For one thread that takes its batches one by one, with the types that the file gives them. Batches
    /// have the rows that were asked for, whatever those take.
    pub(crate) fn one_by_one(footer: &Footer, columns: &[usize], batch_rows: NonZeroUsize) -> Self {
        let plan =
            Self::new(footer, columns, footer.rows(), batch_rows, NonZeroUsize::MIN, u64::MAX);
        // Batches that are cut from one block need no copy.
        let block_rows = plan.block_rows.max(batch_rows.get());
        Self { block_rows, least_rows: batch_rows.get(), is_printed: false, ..plan }
    }

    /// [`Self::one_by_one`] for a stream that may have shorter batches: those of many bytes are cut.
    pub(crate) fn stream(
        footer: &Footer,
        columns: &[usize],
        batch_rows: NonZeroUsize,
        bytes: u64,
    ) -> Self {
        let within =
            Self::new(footer, columns, footer.rows(), batch_rows, NonZeroUsize::MIN, bytes);
        let plan = Self::one_by_one(footer, columns, batch_rows);
        let block_rows = plan.block_rows.min(within.block_rows);
        Self { block_rows, is_printed: false, ..within }
    }
}

/// How many decoders work at the same time. Each skips what the others decode, which takes time too, so there is
/// one for every two threads, from four threads on.
fn lanes(threads: u64, blocks: u64, block_rows: u64, fitting: u64) -> usize {
    let lanes = (threads / 2).min(LANES_MAX).min(blocks).min(fitting).max(1);
    if threads < LANES_FROM_THREADS || lanes * block_rows < LANE_RUN_ROWS_MIN {
        return 1;
    }
    usize::try_from(lanes).unwrap_or(1)
}

/// What a value or a page took although the budget had no room for it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Excess {
    /// The column, with the path to it for nested types.
    pub column: String,
    /// What it is.
    pub kind: ExcessKind,
    /// Its size in memory.
    pub bytes: u64,
}

/// What cannot be divided.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum ExcessKind {
    /// A page of the file, which is decompressed as a whole.
    Page,
    /// A row, which is written as a whole.
    Row,
}

/// The numbers of blocks that are decoded and not yet handed on.
#[derive(Debug, Default)]
struct InFlight {
    blocks: BTreeSet<u64>,
    /// None of them will be handed on.
    is_over: bool,
}

/// Counts the bytes that are held.
#[derive(Debug)]
pub(crate) struct Memory {
    limit: u64,
    held: AtomicU64,
    /// What the text of a row takes, by the last that was encoded.
    row_text_bytes: AtomicU64,
    in_flight: Mutex<InFlight>,
    landed: Condvar,
    excess: Mutex<Option<Excess>>,
}

impl Memory {
    pub(crate) fn new(limit: u64) -> Arc<Self> {
        Arc::new(Self {
            limit,
            held: AtomicU64::new(0),
            row_text_bytes: AtomicU64::new(0),
            in_flight: Mutex::default(),
            landed: Condvar::new(),
            excess: Mutex::default(),
        })
    }

    /// Whether `bytes` more are within the limit.
    pub(crate) fn has_room(&self, bytes: u64) -> bool {
        self.held().saturating_add(bytes) <= self.limit
    }

    /// Whether `bytes` more are beyond the limit by an eighth at most.
    pub(crate) fn has_nearly_room(&self, bytes: u64) -> bool {
        self.held().saturating_add(bytes) <= self.limit.saturating_add(self.limit / 8)
    }

    /// A row whose text takes more is told of if there is no room for it.
    pub(crate) fn long_row_bytes(&self) -> u64 {
        (self.limit / 4).max(LONG_ROW_BYTES_MIN)
    }

    pub(crate) fn held(&self) -> u64 {
        self.held.load(Ordering::Relaxed)
    }

    /// Counts `bytes` until what is returned is dropped.
    pub(crate) fn take(self: &Arc<Self>, bytes: u64) -> Held {
        self.held.fetch_add(bytes, Ordering::Relaxed);
        Held { memory: Arc::clone(self), bytes }
    }

    /// Some rows were encoded to so many bytes.
    pub(crate) fn note_text(&self, rows: u64, bytes: u64) {
        self.row_text_bytes.store(bytes / rows.max(1), Ordering::Relaxed);
    }

    pub(crate) fn row_text_bytes(&self) -> u64 {
        self.row_text_bytes.load(Ordering::Relaxed)
    }

    /// A block is on its way.
    pub(crate) fn begin(&self, block: u64) {
        self.in_flight.lock().blocks.insert(block);
    }

    /// A block is handed on, or will never be.
    pub(crate) fn end(&self, block: u64) {
        self.in_flight.lock().blocks.remove(&block);
        self.landed.notify_all();
    }

    /// Nothing more is handed on, so nobody needs to wait.
    pub(crate) fn stop_waiting(&self) {
        self.in_flight.lock().is_over = true;
        self.landed.notify_all();
    }

    /// Waits until all blocks before this one are handed on.
    pub(crate) fn wait_for_those_before(&self, block: u64) {
        let mut in_flight = self.in_flight.lock();
        while !in_flight.is_over && in_flight.blocks.first().is_some_and(|first| *first < block) {
            self.landed.wait(&mut in_flight);
        }
    }

    /// Keeps what was taken beyond the limit, if it is the largest so far.
    pub(crate) fn exceed(&self, excess: Excess) {
        let mut largest = self.excess.lock();
        if largest.as_ref().is_none_or(|largest| largest.bytes < excess.bytes) {
            *largest = Some(excess);
        }
    }

    pub(crate) fn excess(&self) -> Option<Excess> {
        self.excess.lock().clone()
    }
}

/// Bytes that are counted.
#[derive(Debug)]
pub(crate) struct Held {
    memory: Arc<Memory>,
    bytes: u64,
}

impl Held {
    pub(crate) fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Counts another number instead.
    pub(crate) fn set(&mut self, bytes: u64) {
        if bytes > self.bytes {
            self.memory.held.fetch_add(bytes - self.bytes, Ordering::Relaxed);
        } else {
            self.memory.held.fetch_sub(self.bytes - bytes, Ordering::Relaxed);
        }
        self.bytes = bytes;
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.memory.held.fetch_sub(self.bytes, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::Memory;

    #[test]
    fn what_is_held_is_counted_until_it_is_dropped() {
        let memory = Memory::new(100);
        let mut first = memory.take(60);
        assert!(memory.has_room(40) && !memory.has_room(41));
        let second = memory.take(60);
        assert_eq!(memory.held(), 120);
        first.set(10);
        assert_eq!(memory.held(), 70);
        drop((first, second));
        assert_eq!(memory.held(), 0);
        assert!(!memory.has_room(u64::MAX));
    }

    #[test]
    fn a_block_waits_for_those_before_it_and_for_no_other() {
        let memory = Memory::new(0);
        for block in [3, 4, 7] {
            memory.begin(block);
        }
        memory.wait_for_those_before(3);
        std::thread::scope(|scope| {
            let waiting = scope.spawn(|| memory.wait_for_those_before(7));
            memory.end(4);
            assert!(!waiting.is_finished());
            memory.end(3);
            assert!(waiting.join().is_ok());
        });
    }
}
