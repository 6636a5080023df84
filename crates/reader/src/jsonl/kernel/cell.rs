//! Cells: the texts of values of bounded length, made a column at a time and put together row by row.
//!
//! A column's loop does one thing to one type, so it has no branch to mispredict and its work overlaps;
//! the rows are then copies of a fixed size. A copy whose length varies would cost a call. What stands
//! before each value, as its key does, is in the cell too, so that there is one copy and one length.
//!
//! Bench: `benches/peers/`, data set scalar: 0.74 of the time of rows written value by value.
//!
//! Invariants: a text is at most [`SLOT`] bytes, and so is what stands before it; a text that may be longer
//! is left to its column, and what is longer and stands before it is appended apart.

use std::ops::Range;

/// Room for the text of one cell: an i64, a float, a timestamp in nanoseconds.
pub(crate) const SLOT: usize = 32;

pub(crate) type Slot = [u8; SLOT];

/// Rows whose cells are made together.
pub(crate) const CELLS: usize = 64;

/// Fewer cells than these are looked at one by one.
const FEW: usize = 8;

/// Appends the first `length` bytes of `slot` as a store of a fixed size.
#[inline(always)]
#[expect(clippy::inline_always, reason = "a call would cost what this saves")]
pub(crate) fn append<const N: usize>(slot: &[u8; N], length: usize, out: &mut Vec<u8>) {
    let end = out.len() + length.min(N);
    out.extend_from_slice(slot);
    out.truncate(end);
}

/// Room for what stands before the text of a cell, and for the text.
const WIDE: usize = 2 * SLOT;

/// Up to [`CELLS`] texts of one column, each behind what stands before every value of it: its key, or the
/// comma between two items. That is put into the cells once, so that a row is one copy for each column.
#[derive(Debug)]
pub(crate) struct Cells {
    texts: [[u8; WIDE]; CELLS],
    /// With what stands before the text.
    lengths: [u8; CELLS],
    /// The length of what stands before each text, at most [`SLOT`].
    before: usize,
    /// Whether that is longer, and not in the cells.
    is_apart: bool,
    /// The row of the first cell, and how many there are.
    first: usize,
    count: usize,
    /// The greatest length.
    longest: u8,
    has_nulls: bool,
}

impl Cells {
    /// The length of a cell that does not fit: its column writes it value by value.
    pub(crate) const LONG: u8 = u8::MAX;

    /// Cells that all begin with `before`.
    pub(crate) fn new(before: &[u8]) -> Self {
        let is_apart = before.len() > SLOT;
        let before = if is_apart { &[] } else { before };
        let mut text = [0; WIDE];
        text[..before.len()].copy_from_slice(before);
        Self {
            texts: [text; CELLS],
            lengths: [Self::LONG; CELLS],
            before: before.len(),
            is_apart,
            first: 0,
            count: 0,
            longest: Self::LONG,
            has_nulls: false,
        }
    }

    /// The cells are those of `rows` from now on, at most [`CELLS`] of them. Some have to be made, by
    /// [`Self::fill`] or a kernel, before [`Self::finish`].
    pub(crate) fn begin(&mut self, rows: &Range<usize>) {
        self.first = rows.start;
        self.count = rows.len().min(CELLS);
        self.lengths = [0; CELLS];
        self.longest = Self::LONG;
    }

    /// Makes the cells of `values` with `write`, which returns a text's length or `None` where it
    /// does not fit.
    #[inline(always)]
    #[expect(clippy::inline_always, reason = "one loop for each type")]
    pub(crate) fn fill<T: Copy>(
        &mut self,
        values: &[T],
        mut write: impl FnMut(T, &mut Slot) -> Option<usize>,
    ) {
        self.block_mut(0).each(values.len(), |index, text| {
            write(values[index], text).map_or(Self::LONG, as_length)
        });
    }

    /// [`Self::fill`] for values that are found by their row.
    #[inline(always)]
    #[expect(clippy::inline_always, reason = "one loop for each type")]
    pub(crate) fn fill_each(
        &mut self,
        rows: Range<usize>,
        mut write: impl FnMut(usize, &mut Slot) -> Option<usize>,
    ) {
        self.block_mut(0).each(rows.len(), |index, text| {
            write(rows.start + index, text).map_or(Self::LONG, as_length)
        });
    }

    /// Where the cells of a block of values go that a kernel makes together.
    #[inline(always)]
    #[expect(clippy::inline_always, reason = "once for each block")]
    pub(crate) fn block_mut(&mut self, start: usize) -> Block<'_> {
        Block {
            texts: &mut self.texts[start..],
            lengths: &mut self.lengths[start..],
            before: self.before,
        }
    }

    /// Leaves all cells to their column.
    pub(crate) fn clear(&mut self) {
        self.count = 0;
        self.longest = Self::LONG;
    }

    /// Ends what [`Self::begin`] began: cells become `null`, or nothing at all if nulls are `dropped`,
    /// where a bit of `nulls` says so, from the lowest on.
    pub(crate) fn finish(&mut self, nulls: u64, is_dropped: bool) {
        if self.count == 0 {
            return;
        }
        let before = as_length(self.before);
        // No more than `LONG`, which long ones are already.
        let add = |length: &mut u8| *length = length.saturating_add(before);
        if self.count < FEW {
            // One by one, as a vector would wait for the stores just before.
            self.lengths[..self.count].iter_mut().for_each(add);
        } else {
            // All of them, as a loop of known length is a few instructions; the others are short.
            self.lengths.iter_mut().for_each(add);
        }
        self.has_nulls = nulls != 0;
        let mut left = nulls;
        while left != 0 {
            let index = left.trailing_zeros() as usize;
            left &= left - 1;
            self.texts[index][self.before..][..4].copy_from_slice(b"null");
            self.lengths[index] = if is_dropped { 0 } else { before + 4 };
        }
        let longest = |longest: u8, length: &u8| longest.max(*length);
        self.longest = if self.count < FEW {
            self.lengths[..self.count].iter().fold(0, longest)
        } else {
            self.lengths.iter().fold(0, longest)
        };
        if self.is_apart {
            self.longest = Self::LONG;
        }
    }

    /// Whether each row that was filled has a cell with all that is printed for it.
    pub(crate) fn are_whole(&self) -> bool {
        self.longest != Self::LONG
    }

    /// Whether some of the cells are `null`.
    pub(crate) fn has_nulls(&self) -> bool {
        self.has_nulls
    }

    /// Whether what stands before the texts is too long to be in the cells.
    pub(crate) fn is_apart(&self) -> bool {
        self.is_apart
    }

    /// The text of a row's cell, if it has one and that is not long.
    pub(crate) fn text(&self, row: usize) -> Option<(&Slot, usize)> {
        let index = self.index(row)?;
        let length = usize::from(self.lengths[index]) - self.before;
        Some((self.texts[index][self.before..].first_chunk()?, length))
    }

    /// The place of a row's cell, if it has one and that is not long.
    #[inline(always)]
    #[expect(clippy::inline_always, reason = "a few instructions for each cell")]
    fn index(&self, row: usize) -> Option<usize> {
        let index = row.wrapping_sub(self.first);
        (index < self.count.min(CELLS) && self.lengths[index] != Self::LONG).then_some(index)
    }
}

/// The cells of a block of values.
pub(crate) struct Block<'a> {
    texts: &'a mut [[u8; WIDE]],
    lengths: &'a mut [u8],
    before: usize,
}

impl Block<'_> {
    /// The first `count` cells.
    #[inline(always)]
    #[expect(clippy::inline_always, reason = "once for each block")]
    pub(crate) fn first(&mut self, count: usize) -> Block<'_> {
        // Known not to exceed it, so that every slot is found without a check.
        let before = self.before.min(SLOT);
        Block { texts: &mut self.texts[..count], lengths: &mut self.lengths[..count], before }
    }

    /// Where the text of a cell goes, and its length.
    #[inline(always)]
    #[expect(clippy::inline_always, reason = "a few instructions for each cell")]
    pub(crate) fn cell_mut(&mut self, index: usize) -> Option<(&mut Slot, &mut u8)> {
        let text = self.texts.get_mut(index)?[self.before..].first_chunk_mut()?;
        Some((text, self.lengths.get_mut(index)?))
    }

    /// Makes the first `count` cells with `write`, which is told which one it is and returns the length
    /// of its text, or [`Cells::LONG`].
    #[inline(always)]
    #[expect(clippy::inline_always, reason = "one loop for each type")]
    pub(crate) fn each(mut self, count: usize, mut write: impl FnMut(usize, &mut Slot) -> u8) {
        let mut cells = self.first(count);
        for index in 0..count {
            if let Some((text, length)) = cells.cell_mut(index) {
                *length = write(index, text);
            }
        }
    }
}

#[expect(clippy::cast_possible_truncation, reason = "no text is longer than its slot")]
pub(crate) fn as_length(length: usize) -> u8 {
    length as u8
}

/// Bytes that are collected before they are appended.
const STAGED: usize = 4096;

/// Rows on their way to a buffer: cells are collected where the room is known to be there.
#[derive(Debug)]
pub(crate) struct Line<'a> {
    out: &'a mut Vec<u8>,
    staged: [u8; STAGED],
    used: usize,
}

impl<'a> Line<'a> {
    pub(crate) fn new(out: &'a mut Vec<u8>) -> Self {
        Self { out, staged: [0; STAGED], used: 0 }
    }

    /// Appends one cell of each of `columns`, all of which are whole.
    #[inline(always)]
    #[expect(clippy::inline_always, reason = "a call would cost what this saves")]
    pub(crate) fn push_row<'c>(&mut self, columns: impl Iterator<Item = &'c Cells>, index: usize) {
        let index = index % CELLS;
        let mut used = self.used;
        for cells in columns {
            if used > STAGED - WIDE {
                used = self.flush_all(used);
            }
            let text = &cells.texts[index];
            self.staged[used..used + SLOT].copy_from_slice(&text[..SLOT]);
            if usize::from(cells.longest) > SLOT {
                self.staged[used + SLOT..used + WIDE].copy_from_slice(&text[SLOT..]);
            }
            used += usize::from(cells.lengths[index]);
        }
        self.used = used;
    }

    /// Appends the cell of `row`, with what stands before its text; false if there is none.
    #[inline(always)]
    #[expect(clippy::inline_always, reason = "a few instructions for each cell")]
    pub(crate) fn push_cell(&mut self, cells: &Cells, row: usize) -> bool {
        let Some(index) = cells.index(row) else { return false };
        if self.used > STAGED - WIDE {
            self.flush();
        }
        self.staged[self.used..self.used + WIDE].copy_from_slice(&cells.texts[index]);
        self.used += usize::from(cells.lengths[index]).min(WIDE);
        true
    }

    /// Appends what stands before the text of each cell, without a text.
    #[inline(always)]
    #[expect(clippy::inline_always, reason = "once for each long value")]
    pub(crate) fn push_before(&mut self, cells: &Cells) {
        if self.used > STAGED - SLOT {
            self.flush();
        }
        self.staged[self.used..self.used + SLOT].copy_from_slice(&cells.texts[0][..SLOT]);
        self.used += cells.before.min(SLOT);
    }

    /// Appends a few bytes that are known before.
    #[inline(always)]
    #[expect(clippy::inline_always, reason = "once for each row")]
    pub(crate) fn push(&mut self, short: &Short) {
        if self.used > STAGED - SLOT {
            self.flush();
        }
        self.staged[self.used..self.used + SLOT].copy_from_slice(&short.slot);
        self.used += short.length.min(SLOT);
    }

    /// Appends a few bytes, or many.
    pub(crate) fn append(&mut self, bytes: &[u8]) {
        if bytes.len() > STAGED - self.used {
            self.flush();
        }
        match self.staged.get_mut(self.used..self.used + bytes.len()) {
            Some(place) => {
                place.copy_from_slice(bytes);
                self.used += bytes.len();
            }
            None => self.out.extend_from_slice(bytes),
        }
    }

    /// Appends one byte.
    #[inline(always)]
    #[expect(clippy::inline_always, reason = "a call would cost what this saves")]
    pub(crate) fn push_byte(&mut self, byte: u8) {
        if self.used == STAGED {
            self.flush();
        }
        self.staged[self.used] = byte;
        self.used += 1;
    }

    /// Puts the bracket of an object or array over the comma of its first member or item, which stands
    /// at `start`; appends it if there is none.
    #[inline(always)]
    #[expect(clippy::inline_always, reason = "once for each row")]
    pub(crate) fn open(&mut self, start: usize, bracket: u8) {
        if start == self.len() {
            self.push_byte(bracket);
        } else if let Some(first) = self.out.get_mut(start) {
            *first = bracket;
        } else {
            self.staged[start - self.out.len()] = bracket;
        }
    }

    /// The length of the buffer, with everything that was appended so far.
    #[inline(always)]
    #[expect(clippy::inline_always, reason = "once for each row")]
    pub(crate) fn len(&self) -> usize {
        self.out.len() + self.used
    }

    /// The buffer, with everything that was appended so far.
    pub(crate) fn buffer(&mut self) -> &mut Vec<u8> {
        self.flush();
        self.out
    }

    fn flush(&mut self) {
        self.out.extend_from_slice(&self.staged[..self.used]);
        self.used = 0;
    }

    /// Appends the first `used` staged bytes, and returns how many are staged then.
    #[cold]
    fn flush_all(&mut self, used: usize) -> usize {
        self.used = used;
        self.flush();
        0
    }
}

/// A few bytes, at most [`SLOT`], that are appended often.
#[derive(Debug)]
pub(crate) struct Short {
    slot: Slot,
    length: usize,
}

impl Short {
    pub(crate) fn new(bytes: &[u8]) -> Self {
        let mut slot = [0; SLOT];
        slot[..bytes.len()].copy_from_slice(bytes);
        Self { slot, length: bytes.len() }
    }
}

#[cfg(test)]
mod tests {
    use super::{CELLS, Cells, Line, SLOT, STAGED};

    /// Cells of one letter each, from `a` on, but none for `b`.
    fn letters(before: &[u8], nulls: u64, is_dropped: bool) -> Cells {
        let mut cells = Cells::new(before);
        cells.begin(&(10..13));
        cells.fill(b"abc", |value, slot| {
            slot[0] = value;
            (value != b'b').then_some(1)
        });
        cells.finish(nulls, is_dropped);
        cells
    }

    fn pushed(cells: &Cells, row: usize) -> Option<Vec<u8>> {
        let mut out = Vec::new();
        let mut line = Line::new(&mut out);
        let is_pushed = line.push_cell(cells, row);
        line.buffer();
        is_pushed.then_some(out)
    }

    #[test]
    fn what_is_collected_comes_out_in_order_and_whole() {
        let cells = letters(b"before ", 0b10, false);
        let (mut out, mut expected) = (b"start".to_vec(), b"start".to_vec());
        let mut line = Line::new(&mut out);
        for round in 0..STAGED {
            line.push_row([&cells, &cells].into_iter(), round % 3);
            line.push_byte(b';');
            let text = ["a", "null", "c"][round % 3];
            expected.extend_from_slice(format!("before {text}before {text};").as_bytes());
            if round % 7 == 0 {
                let long = vec![b'l'; round * 2];
                line.append(&long);
                expected.extend_from_slice(&long);
            }
        }
        line.buffer();
        assert!(out == expected);
    }

    #[test]
    fn brackets_stand_where_the_first_comma_stood_or_alone() {
        for start in [0, 1, STAGED - 1, STAGED] {
            let mut out = b"out".to_vec();
            let mut line = Line::new(&mut out);
            line.append(&vec![b' '; start]);
            let first = line.len();
            line.append(b",1,2");
            line.open(first, b'[');
            line.push_byte(b']');
            let second = line.len();
            line.open(second, b'{');
            line.push_byte(b'}');
            line.buffer();
            assert!(out.ends_with(b" [1,2]{}") || start == 0 && out == b"out[1,2]{}");
        }
    }

    #[test]
    fn cells_are_texts_nulls_or_long() {
        let longest = [b'k'; SLOT];
        for before in [&b""[..], b",", &longest] {
            let with = |text: &[u8]| Some([before, text].concat());
            let cells = letters(before, 0b100, false);
            assert_eq!(pushed(&cells, 10), with(b"a"));
            assert_eq!(pushed(&cells, 11), None);
            assert_eq!(pushed(&cells, 12), with(b"null"));
            assert_eq!(cells.text(10).map(|(slot, length)| &slot[..length]), Some(&b"a"[..]));
            assert!(cells.has_nulls() && !cells.are_whole());
            for row in [0, 9, 13, 10 + CELLS, usize::MAX] {
                assert_eq!(pushed(&cells, row), None, "never filled");
            }
            let cells = letters(before, 0b010, true);
            assert_eq!(pushed(&cells, 11), Some(Vec::new()));
            assert!(cells.are_whole());
        }
    }

    #[test]
    fn what_is_too_long_to_stand_before_a_text_stands_apart() {
        let cells = letters(&[b'k'; SLOT + 1], 0b010, false);
        assert!(cells.is_apart() && !cells.are_whole());
        assert_eq!(pushed(&cells, 12), Some(b"c".to_vec()));
    }
}
