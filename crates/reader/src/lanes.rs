//! Several decoders of one file at once. Each is a lane and decodes one block or two in every so many, skipping
//! those between; the pages are shared.
//!
//! Numbers of blocks are given out in their order. A thread that has one takes from its lane the block that
//! comes next there, so that a lane decodes in order whoever comes first, and blocks that are given out are
//! all decoded. A lane takes no more than there is room for: at whatever goes wrong it ends, no more numbers
//! are given out, and what it leaves is read by a reader of its own, which can do with less and tells of
//! errors in their turn.

use std::iter::successors;
use std::ops::Range;
use std::sync::Arc;

use parking_lot::Mutex;

use crate::batch::{BatchReader, select, skip};
use crate::bounds::Bounds;
use crate::decoder::Decoder;
use crate::guard::guarded;
use crate::pages::Pages;
use crate::part::Part;
use crate::reading::{Block, Reading, SharedPages};
use crate::trace::{Kind, task};

/// Blocks that a lane decodes one behind the other where row groups are so small that it would have no more than as many
/// of each: all that it skips of a row group costs it less then. Elsewhere the blocks would only wait longer for it.
const RUN_OF_SMALL_GROUPS: u64 = 2;

/// Blocks of a lane whose places are made at a time.
const STRETCH_BLOCKS: u64 = 8192;

/// The lanes of some rows of a file.
pub(crate) struct Lanes {
    reading: Arc<Reading>,
    rows: Range<u64>,
    blocks: u64,
    /// Blocks of each turn of a lane.
    run: u64,
    all: Vec<Mutex<Lane>>,
    numbers: Mutex<Numbers>,
    /// The pages of the rows that the first of the lanes has come to.
    pages: SharedPages,
    stretch: Mutex<Option<u64>>,
}

/// One decoder.
pub(crate) struct Lane {
    number: usize,
    /// The block that it decodes next.
    next: u64,
    decoder: Option<Decoder>,
    has_ended: bool,
}

struct Numbers {
    next: u64,
    /// No more are given out.
    is_over: bool,
}

impl Lanes {
    /// For all rows that `reader` would read.
    pub(crate) fn of(reader: &BatchReader) -> Self {
        let (reading, rows) = (reader.reading(), reader.rows());
        let (block_rows, lanes) = (reading.plan.block_rows as u64, reading.plan.lanes as u64);
        let groups = Part::of(&reading.footer, rows.clone()).groups.len() as u64;
        let rows_of_all = lanes * block_rows * RUN_OF_SMALL_GROUPS;
        let is_small = (rows.end - rows.start) / groups.max(1) <= rows_of_all;
        let run = if is_small { RUN_OF_SMALL_GROUPS } else { 1 };
        let lane = |number: usize| {
            let next = number as u64 * run;
            Mutex::new(Lane { number, next, decoder: None, has_ended: false })
        };
        Self {
            reading: Arc::clone(reading),
            blocks: (rows.end - rows.start).div_ceil(block_rows),
            rows,
            run,
            all: (0..reading.plan.lanes).map(lane).collect(),
            numbers: Mutex::new(Numbers { next: 0, is_over: false }),
            pages: SharedPages::default(),
            stretch: Mutex::default(),
        }
    }

    /// Their pages, to be read ahead by threads that wait.
    pub(crate) fn pages(&self) -> SharedPages {
        Arc::clone(&self.pages)
    }

    /// The number of the next block, which is in flight from now on; `None` if the lanes have no more.
    pub(crate) fn begin(&self) -> Option<u64> {
        let plan = &self.reading.plan;
        let mut numbers = self.numbers.lock();
        let text_bytes = plan.memory.row_text_bytes().saturating_mul(plan.block_rows as u64);
        numbers.is_over |= text_bytes > plan.text_bytes || numbers.next == self.blocks;
        if numbers.is_over {
            return None;
        }
        let number = numbers.next;
        numbers.next += 1;
        plan.memory.begin(number);
        Some(number)
    }

    /// The lane of a block.
    pub(crate) fn of_block(&self, number: u64) -> Option<&Mutex<Lane>> {
        self.all.get(usize::try_from(number / self.run % self.all.len() as u64).ok()?)
    }

    /// The block that the same lane decodes after a block.
    fn after(&self, number: u64) -> u64 {
        let next = number + 1;
        let others = self.run * (self.all.len() as u64 - 1);
        if next.is_multiple_of(self.run) { next + others } else { next }
    }

    /// The next block of a lane with its number, if the lane can decode it.
    pub(crate) fn next(&self, lane: &mut Lane) -> (u64, Option<Block>) {
        let number = lane.next;
        lane.next = self.after(number);
        let of_lane = lane.number as u64;
        let decode =
            |lane: &mut Lane| task(Kind::Decode, number, of_lane, || self.decode(lane, number));
        let block = if lane.has_ended { None } else { decode(lane) };
        if block.is_none() {
            (lane.decoder, lane.has_ended) = (None, true);
            self.numbers.lock().is_over = true;
        }
        (number, block)
    }

    /// Lets go what the lanes hold that have no block left to decode, now that no more numbers are given out.
    pub(crate) fn free_idle(&self) {
        let next = self.numbers.lock().next;
        for lane in &self.all {
            // One that is locked has a block to decode.
            if let Some(mut lane) = lane.try_lock()
                && lane.next >= next
            {
                lane.decoder = None;
            }
        }
    }

    /// The rows of a block.
    pub(crate) fn rows_of(&self, number: u64) -> Range<u64> {
        let rows = self.reading.plan.block_rows as u64;
        let start = self.rows.start + number * rows;
        start..self.rows.end.min(start + rows)
    }

    /// Reads the rows of a block by itself.
    pub(crate) fn reader_of(&self, number: u64) -> BatchReader {
        BatchReader::of_rows(&self.reading, self.rows_of(number), SharedPages::default())
    }

    /// Reads all blocks whose numbers were not given out, the first of which is returned with it.
    pub(crate) fn reader_of_rest(&self) -> (u64, BatchReader) {
        let next = self.numbers.lock().next;
        let start = self.rows_of(next).start.min(self.rows.end);
        (next, BatchReader::of_rows(&self.reading, start..self.rows.end, self.pages()))
    }

    fn decode(&self, lane: &mut Lane, number: u64) -> Option<Block> {
        if lane.decoder.is_none() {
            lane.decoder = Some(self.decoder(lane.number, number)?);
        }
        let rows = self.rows_of(number);
        let decoder = lane.decoder.as_mut()?;
        let batch = guarded(|| decoder.next(number, rows.start)).ok()?.ok()??;
        let is_whole = batch.num_rows() as u64 == rows.end - rows.start;
        let is_last = rows.end == self.reading.footer.rows();
        // There may be more rows than the footer says.
        let has_ended =
            !is_last || matches!(guarded(|| decoder.next(number, rows.start)), Ok(Ok(None)));
        // What is wrong is told by the reader that takes the lane's place.
        let batch = self.reading.narrow(batch, rows.start).ok()?;
        let block = self.reading.block(batch, decoder.bounds.has_lengths());
        if lane.next >= self.stretch_blocks(number).end {
            lane.decoder = None;
        }
        (is_whole && has_ended).then_some(block)
    }

    /// The blocks whose places are made together with those of block `number`.
    fn stretch_blocks(&self, number: u64) -> Range<u64> {
        let blocks = STRETCH_BLOCKS * self.all.len() as u64;
        let start = number - number % blocks;
        start..self.blocks.min(start + blocks)
    }

    /// The decoder of a lane from block `number` on.
    fn decoder(&self, lane: usize, number: u64) -> Option<Decoder> {
        let (reading, plan) = (&self.reading, &self.reading.plan);
        let blocks = self.stretch_blocks(number);
        let rows = self.rows_of(blocks.start).start..self.rows_of(blocks.end - 1).end;
        let part = Part::of(&reading.footer, rows.clone());
        let mut end = rows.start - part.skip;
        let mut selected = Vec::new();
        let of_lane = successors(Some(number), |&block| Some(self.after(block)));
        for block in of_lane.take_while(|&block| block < blocks.end) {
            let rows = self.rows_of(block);
            selected.push(skip(rows.start - end));
            end = rows.end;
            // More rows, so that those that the footer does not have are noticed.
            let is_last = rows.end == reading.footer.rows();
            let more = if is_last { plan.block_rows as u64 } else { 0 };
            selected.push(select(rows.end - rows.start + more));
        }
        let pages = self.pages_of(blocks.start, &part)?;
        let rows = (plan.block_rows, plan.least_rows);
        let bounds = Bounds::new(&plan.memory, rows, plan.block_bytes, false, (plan.lanes, true));
        reading.decoder((&pages, lane), selected, plan.block_rows, bounds).ok()
    }

    /// The pages of a stretch, made by the lane that comes to it first. No lane is a whole stretch behind another.
    fn pages_of(&self, stretch: u64, part: &Part) -> Option<Arc<Pages>> {
        let mut current = self.stretch.lock();
        let mut pages = self.pages.lock();
        if *current != Some(stretch) {
            *current = Some(stretch);
            *pages = Some(self.reading.pages(part, self.all.len()));
        }
        pages.clone()
    }
}
