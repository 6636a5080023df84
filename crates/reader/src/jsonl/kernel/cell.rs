//! Cells: the texts of values of bounded length, made a column at a time and put together row by row.
//!
//! A column's loop does one thing to one type, so it has no branch to mispredict and its work overlaps;
//! the rows are then copies of a fixed size. A copy whose length varies would cost a call.
//!
//! Bench: `benches/peers/`, data set scalar: 0.74 of the time of rows written value by value.
//!
//! Invariants: a cell is at most [`SLOT`] bytes; what may be longer is left to its column.

use std::ops::Range;

/// Room for the text of one cell: an i64, a float, a timestamp in nanoseconds.
pub(crate) const SLOT: usize = 32;

pub(crate) type Slot = [u8; SLOT];

/// Rows whose cells are made together.
pub(crate) const CELLS: usize = 64;

/// Appends the first `length` bytes of `slot` as a store of a fixed size.
#[inline(always)]
#[expect(clippy::inline_always, reason = "a call would cost what this saves")]
pub(crate) fn append<const N: usize>(slot: &[u8; N], length: usize, out: &mut Vec<u8>) {
    let end = out.len() + length.min(N);
    out.extend_from_slice(slot);
    out.truncate(end);
}

/// Up to [`CELLS`] texts of one column.
#[derive(Debug)]
pub(crate) struct Cells {
    texts: [Slot; CELLS],
    lengths: [u8; CELLS],
    /// The row of the first cell, and how many there are.
    first: usize,
    count: usize,
}

impl Cells {
    /// The length of a cell that does not fit: its column writes it value by value.
    pub(crate) const LONG: u8 = u8::MAX;

    pub(crate) fn new() -> Self {
        Self { texts: [[0; SLOT]; CELLS], lengths: [Self::LONG; CELLS], first: 0, count: 0 }
    }

    /// The cells are those of `rows` from now on, at most [`CELLS`] of them.
    pub(crate) fn begin(&mut self, rows: &Range<usize>) {
        self.first = rows.start;
        self.count = rows.len().min(CELLS);
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
        let cells = self.texts.iter_mut().zip(&mut self.lengths);
        for (&value, (text, length)) in values.iter().zip(cells) {
            *length = write(value, text).map_or(Self::LONG, as_length);
        }
    }

    /// [`Self::fill`] for values that are found by their row.
    #[inline(always)]
    #[expect(clippy::inline_always, reason = "one loop for each type")]
    pub(crate) fn fill_each(
        &mut self,
        rows: Range<usize>,
        mut write: impl FnMut(usize, &mut Slot) -> Option<usize>,
    ) {
        let cells = self.texts.iter_mut().zip(&mut self.lengths);
        for (row, (text, length)) in rows.zip(cells) {
            *length = write(row, text).map_or(Self::LONG, as_length);
        }
    }

    /// Leaves all cells to their column.
    pub(crate) fn clear(&mut self) {
        self.count = 0;
    }

    /// Where the cells of a block of values go that a kernel makes together.
    pub(crate) fn block_mut(&mut self, start: usize) -> (&mut [Slot], &mut [u8]) {
        (&mut self.texts[start..], &mut self.lengths[start..])
    }

    /// Turns a cell into `null` if `is_null`, without a branch: nulls come at random.
    #[inline(always)]
    #[expect(clippy::inline_always, reason = "a few instructions for each cell")]
    pub(crate) fn set_null(&mut self, index: usize, is_null: bool) {
        let text = &mut self.texts[index];
        let start = [text[0], text[1], text[2], text[3]];
        let start = if is_null { *b"null" } else { start };
        text[..4].copy_from_slice(&start);
        self.lengths[index] = if is_null { 4 } else { self.lengths[index] };
    }

    /// The text of a row's cell and its length, if it has one and that is not long.
    #[inline(always)]
    #[expect(clippy::inline_always, reason = "a few instructions for each cell")]
    pub(crate) fn get(&self, row: usize) -> Option<(&Slot, usize)> {
        let index = row.wrapping_sub(self.first);
        if index >= self.count.min(CELLS) {
            return None;
        }
        let length = self.lengths[index];
        (length != Self::LONG).then(|| (&self.texts[index], usize::from(length)))
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

    /// Appends the first `length` bytes of `slot`.
    #[inline(always)]
    #[expect(clippy::inline_always, reason = "a call would cost what this saves")]
    pub(crate) fn push(&mut self, slot: &Slot, length: usize) {
        if self.used > STAGED - SLOT {
            self.flush();
        }
        self.staged[self.used..self.used + SLOT].copy_from_slice(slot);
        self.used += length.min(SLOT);
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
}

/// Bytes that are appended often and mostly fit a [`Slot`].
#[derive(Debug)]
pub(crate) struct Short {
    slot: Slot,
    /// All of them, for those that do not fit.
    bytes: Vec<u8>,
}

impl Short {
    pub(crate) fn new(bytes: Vec<u8>) -> Self {
        let mut slot = [0; SLOT];
        let length = bytes.len().min(SLOT);
        slot[..length].copy_from_slice(&bytes[..length]);
        Self { slot, bytes }
    }

    #[inline(always)]
    #[expect(clippy::inline_always, reason = "once for each cell")]
    pub(crate) fn write(&self, line: &mut Line<'_>) {
        if self.bytes.len() <= SLOT {
            line.push(&self.slot, self.bytes.len());
        } else {
            line.buffer().extend_from_slice(&self.bytes);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{CELLS, Cells, Line, STAGED, Short};

    #[test]
    fn what_is_collected_comes_out_in_order_and_whole() {
        let (short, long) = (Short::new(b"short".to_vec()), Short::new(vec![b'l'; 40]));
        let (mut out, mut expected) = (Vec::new(), Vec::new());
        let mut line = Line::new(&mut out);
        for round in 0..STAGED {
            short.write(&mut line);
            line.push_byte(b',');
            expected.extend_from_slice(b"short,");
            if round % 7 == 0 {
                long.write(&mut line);
                expected.extend_from_slice(&[b'l'; 40]);
            }
        }
        line.buffer();
        assert!(out == expected);
    }

    #[test]
    fn cells_are_texts_nulls_or_long() {
        let mut cells = Cells::new();
        cells.begin(&(10..13));
        cells.fill(&[1_u8, 2, 3], |value, slot| {
            slot[0] = b'0' + value;
            (value != 2).then_some(1)
        });
        cells.set_null(0, false);
        cells.set_null(2, true);
        let text = |row: usize| cells.get(row).map(|(slot, length)| slot[..length].to_vec());
        assert_eq!(text(10), Some(b"1".to_vec()));
        assert_eq!(text(11), None);
        assert_eq!(text(12), Some(b"null".to_vec()));
        for row in [0, 9, 13, 10 + CELLS, usize::MAX] {
            assert_eq!(text(row), None, "never filled");
        }
    }
}
