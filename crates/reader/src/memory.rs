//! How many rows are decoded at a time, and by how many threads, within a memory budget.

use std::num::NonZeroUsize;

use crate::footer::Footer;

/// Rows are decoded in blocks of about this many bytes of values, then cut into batches. Narrow
/// rows decode fastest in large blocks; wide vectors in blocks that stay in the cache.
const BLOCK_BYTES: u64 = 1 << 18;

/// No block has more rows than this, however narrow they are.
const BLOCK_ROWS_MAX: u64 = 16_384;

/// Blocks for each thread that are encoded or on their way, so that no thread waits for a slower one.
pub(crate) const BLOCKS_AHEAD: u64 = 2;

/// A block and its text take this many times the bytes of its values: four bytes of an f32 print as
/// up to fifteen, and a buffer grows by doubling.
const BLOCK_AND_TEXT: u64 = 8;

/// What a thread takes by itself: its stack, and what the allocator keeps for it.
const THREAD_BYTES: u64 = 1 << 20;

/// Bytes of pages that are held ready for the decoder, if the budget has room for so many.
const PAGES_BYTES_MAX: u64 = 4 << 20;

/// How a file is decoded within a budget.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Plan {
    pub(crate) threads: NonZeroUsize,
    /// Rows of a block: a whole number of batches, or a part of one where rows are wide.
    pub(crate) block_rows: usize,
    /// Bytes of pages that may be read ahead.
    pub(crate) pages_bytes: usize,
    /// Text comes as views into its pages instead of copies.
    pub(crate) text_views: bool,
    /// One page for each column and one batch are more than the budget.
    pub(crate) is_over: bool,
}

impl Plan {
    /// For `rows` rows of `columns` of a file, with up to `threads` threads and `bytes` of memory.
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
        let left = bytes.saturating_sub(footer.page_bytes(columns));
        let row_and_text = row_bytes.saturating_mul(BLOCK_AND_TEXT);
        let is_over = left / row_and_text < batch_rows;
        let threads = (threads.get() as u64).min(left / 2 / THREAD_BYTES);
        let rows_in_flight = (left - threads * THREAD_BYTES) / row_and_text / BLOCKS_AHEAD;
        // Each thread needs a row at least.
        let threads = if is_over { 1 } else { rows_in_flight.min(threads).max(1) };
        let fitting_rows =
            (BLOCK_BYTES / row_bytes).min(BLOCK_ROWS_MAX).min(rows_in_flight / threads);
        let block_rows = match fitting_rows / batch_rows {
            0 if is_over => batch_rows,
            0 => fitting_rows.max(1),
            batches => batches * batch_rows,
        };
        // Threads that find no block would read pages that nobody wants.
        let threads = threads.min(rows.div_ceil(block_rows).max(1));
        let pages_bytes = if threads > 1 { PAGES_BYTES_MAX.min(left / 8) } else { 0 };
        Self {
            threads: usize::try_from(threads)
                .ok()
                .and_then(NonZeroUsize::new)
                .unwrap_or(NonZeroUsize::MIN),
            block_rows: usize::try_from(block_rows).unwrap_or(usize::MAX),
            pages_bytes: usize::try_from(pages_bytes).unwrap_or(0),
            text_views: true,
            is_over,
        }
    }

    /// For one thread that takes its batches one by one, with the types that the file gives them.
    pub(crate) fn one_by_one(footer: &Footer, columns: &[usize], batch_rows: NonZeroUsize) -> Self {
        let plan =
            Self::new(footer, columns, footer.rows(), batch_rows, NonZeroUsize::MIN, u64::MAX);
        // Batches that are cut from one block need no copy.
        let block_rows = plan.block_rows.max(batch_rows.get());
        Self { block_rows, text_views: false, ..plan }
    }
}
