//! What a block may take while it is decoded, judged by the pages that the decoder asks for.
//!
//! The `parquet` crate decodes as many rows as it was told to, whatever they take. So the headers of pages, the
//! repetition levels and the lengths of a dictionary's values tell how much a block can become, before it
//! does: a block that would be too large is given up and decoded anew in fewer rows.

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;
use parking_lot::Mutex;
use parquet::errors::Result;

use crate::delta;
use crate::leaf::Leaf;
use crate::memory::{Excess, ExcessKind, Memory};
use crate::page::{Header, damage};
use crate::pages::Slot;

/// No Arrow array of texts with 32-bit offsets holds more than twice this.
const COPIED_TEXT_BYTES_MAX: u64 = 1 << 30;

/// The bounds of one decoder.
pub(crate) struct Bounds {
    memory: Arc<Memory>,
    /// Rows of each block.
    rows: u64,
    least_rows: u64,
    bytes_max: u64,
    /// Texts are copied out of their pages.
    copies_text: bool,
    /// Decoders of the same file at the same time.
    decoders: usize,
    /// Even the first block gets no more than there is room for.
    is_strict: bool,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// The number of the block, for those who wait for others.
    block: u64,
    /// The first row of the block in the file.
    first_row: u64,
    /// Blocks that were decoded.
    decoded: u64,
    /// What the block takes, as far as it is decoded: its values, and pages that only it holds.
    values_bytes: u64,
    pages_bytes: u64,
    leaves: BTreeMap<usize, LeafState>,
    given_up: Option<GivenUp>,
    /// A page had texts behind their lengths.
    has_lengths: bool,
    /// What was held when the first block was decoded, if that was more than there is room for.
    floor: u64,
}

#[derive(Default, Clone, Copy)]
struct LeafState {
    /// Bytes that the values of its page can take of a block.
    share: u64,
    /// Bytes counted for it in this block.
    bytes: u64,
    pages: u64,
    /// The longest value of its dictionary.
    longest_key: u64,
}

/// Why a block was given up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum GivenUp {
    /// It would take too much.
    TooLarge,
    /// There is no room for one of its pages beside what the decoder holds.
    NoRoom,
}

impl Bounds {
    pub(crate) fn new(
        memory: &Arc<Memory>,
        (rows, least_rows): (usize, usize),
        bytes_max: u64,
        copies_text: bool,
        (decoders, is_strict): (usize, bool),
    ) -> Arc<Self> {
        Arc::new(Self {
            memory: Arc::clone(memory),
            rows: rows as u64,
            least_rows: least_rows as u64,
            bytes_max,
            copies_text,
            decoders,
            is_strict,
            state: Mutex::default(),
        })
    }

    pub(crate) fn begin(&self, block: u64, first_row: u64) {
        let state = &mut *self.state.lock();
        (state.block, state.first_row) = (block, first_row);
        state.pages_bytes = 0;
        state.values_bytes = 0;
        for leaf in state.leaves.values_mut() {
            leaf.bytes = leaf.share;
            leaf.pages = 0;
            state.values_bytes += leaf.bytes;
        }
    }

    /// A block is decoded.
    pub(crate) fn end(&self) {
        let state = &mut *self.state.lock();
        state.decoded += 1;
        if state.decoded == 1 && !self.memory.has_room(0) {
            state.floor = self.memory.held() / 4 * 5;
        }
    }

    /// Whether texts were made whose bytes belong to no page, and which nobody checked one by one.
    pub(crate) fn has_lengths(&self) -> bool {
        self.state.lock().has_lengths
    }

    pub(crate) fn given_up(&self) -> Option<GivenUp> {
        self.state.lock().given_up
    }

    /// Whether a page that takes `cost` bytes may be read. Waits for the blocks before, if they hold what
    /// is missing. The first block of a decoder gets all that it needs.
    pub(crate) fn admit_page(&self, leaf: &Leaf, cost: u64) -> Result<()> {
        if cost == 0 || self.memory.has_room(cost) {
            return Ok(());
        }
        let block = self.state.lock().block;
        self.memory.wait_for_those_before(block);
        if self.memory.has_room(cost) {
            return Ok(());
        }
        // Those behind it hold the rest, and wait for it.
        if self.decoders > 1 && self.memory.has_nearly_room(cost) {
            return Ok(());
        }
        let mut state = self.state.lock();
        let is_over = state.decoded > 0 && self.memory.held() + cost > state.floor;
        if is_over || self.is_strict {
            state.given_up = Some(GivenUp::NoRoom);
            return Err(damage("there is no room for a page"));
        }
        self.memory.exceed(Excess {
            column: leaf.path.clone(),
            kind: ExcessKind::Page,
            bytes: cost,
        });
        Ok(())
    }

    /// Counts the values of a page, whose decompressed bytes these are, and whose rows end before row `end` of the
    /// file.
    pub(crate) fn admit_values(
        &self,
        leaf: &Leaf,
        slot: &Slot,
        page: &Bytes,
        end: Option<u64>,
    ) -> Result<()> {
        let header = &slot.header;
        let mut state = self.state.lock();
        let mut counted = state.leaves.get(&leaf.number).copied().unwrap_or_default();
        if header.is_dictionary() {
            let copies = leaf.is_text && self.copies_text;
            counted.longest_key = if copies { longest_text(page) } else { 0 };
            state.leaves.insert(leaf.number, counted);
            return Ok(());
        }
        if end.is_some_and(|end| end <= state.first_row) {
            // Its rows are skipped.
            counted.share = 0;
            state.leaves.insert(leaf.number, counted);
            return Ok(());
        }
        let (value_bytes, page_bytes) =
            self.value_bytes(leaf, header, page, counted.longest_key)?;
        state.has_lengths |= leaf.is_text && header.has_lengths();
        let most = header.values().saturating_mul(value_bytes);
        let row = match leaf.levels.rep {
            0 => 1,
            _ => slot.rows(page, leaf.levels).map_or(header.values(), |rows| rows.longest.into()),
        };
        counted.share = most.min(self.rows.saturating_mul(row * value_bytes));
        let others = state.values_bytes - counted.bytes + state.pages_bytes;
        // The block before may hold the first of them.
        let pages_bytes = if counted.pages > 0 { page_bytes } else { 0 };
        let is_within = |bytes: u64| others + bytes + pages_bytes <= self.bytes_max;
        let bytes = match leaf.levels.rep {
            // All pages together have one value for each row.
            0 => (counted.bytes + counted.share).min(self.rows.saturating_mul(value_bytes)),
            _ => counted.bytes + counted.share,
        };
        let bytes = bytes.max(counted.share);
        state.values_bytes = state.values_bytes - counted.bytes + bytes;
        state.pages_bytes += pages_bytes;
        counted.bytes = bytes;
        counted.pages += 1;
        state.leaves.insert(leaf.number, counted);
        let is_too_large = !is_within(bytes) && self.rows > self.least_rows;
        let is_copied_too_far =
            self.copies_text && leaf.is_text && bytes > COPIED_TEXT_BYTES_MAX && self.rows > 1;
        if is_too_large || is_copied_too_far {
            state.given_up = Some(GivenUp::TooLarge);
            return Err(damage("a block takes more than it may"));
        }
        Ok(())
    }

    /// What a value of the page takes at most, and what the page takes while views refer to it.
    fn value_bytes(
        &self,
        leaf: &Leaf,
        header: &Header,
        page: &Bytes,
        longest_key: u64,
    ) -> Result<(u64, u64)> {
        if header.has_prefixes() {
            let values = header.value_bytes(page, leaf.levels);
            let longest = values.and_then(delta::longest_text);
            let longest = longest.ok_or_else(|| damage("the lengths of a page are damaged"))?;
            return Ok((leaf.value_bytes + longest, 0));
        }
        if !leaf.is_text {
            return Ok((leaf.value_bytes, 0));
        }
        let page_bytes = page.len() as u64;
        Ok(match (self.copies_text, header.has_keys()) {
            (true, true) => (leaf.value_bytes + longest_key, 0),
            // The texts of a page are not longer than the page, which counts once.
            (true, false) => {
                let average = page_bytes / header.values().max(1);
                (leaf.value_bytes + average, 0)
            }
            (false, true) => (leaf.value_bytes, 0),
            (false, false) => (leaf.value_bytes, page_bytes),
        })
    }
}

/// The longest of the texts of a dictionary, each behind its length.
fn longest_text(mut dictionary: &[u8]) -> u64 {
    let mut longest = 0;
    while let Some((length, rest)) = dictionary.split_first_chunk::<4>() {
        let length = u32::from_le_bytes(*length);
        longest = longest.max(u64::from(length));
        dictionary = rest.get(length as usize..).unwrap_or_default();
    }
    longest
}
