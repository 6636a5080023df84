//! Repetition and definition levels, counted without being decoded into memory: the hybrid of runs and
//! bit-packed values that Parquet calls RLE.

use crate::thrift::take_varint;

/// The levels at the start of a data page of version 1, behind their length.
pub(crate) fn with_length(page: &[u8]) -> Option<&[u8]> {
    let (length, rest) = page.split_first_chunk::<4>()?;
    rest.get(..usize::try_from(u32::from_le_bytes(*length)).ok()?)
}

/// How many of the first `values` levels, none higher than `max`, are `wanted`; `None` if the bytes are
/// damaged.
pub(crate) fn count(
    bytes: &[u8],
    max: i16,
    values: u32,
    wanted: impl Fn(i16) -> bool,
) -> Option<u32> {
    let mut found = 0;
    each_run(bytes, max, values, |level, run| {
        if wanted(level) {
            found += run;
        }
    })?;
    Some(found)
}

/// What the repetition levels of a page say of its rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Rows {
    /// Rows that begin in the page.
    pub(crate) count: u32,
    /// The first value begins a row.
    pub(crate) is_at_start: bool,
    /// The most values that a row has. Those of a row that began in the page before count as one row's.
    pub(crate) longest: u32,
}

/// Follows the levels of a page.
#[derive(Default)]
struct Walk {
    count: u32,
    longest: u32,
    /// Values of the row so far.
    current: u32,
    starts_within: bool,
}

impl Walk {
    fn row(&mut self) {
        self.starts_within |= self.count == 0 && self.current > 0;
        self.longest = self.longest.max(self.current);
        self.current = 1;
        self.count += 1;
    }

    fn run(&mut self, level: i16, run: u32) {
        if level == 0 {
            self.row();
            self.count += run - 1;
        } else {
            self.current += run;
        }
    }

    /// The lowest `bits` of the levels in a word, of one bit each.
    fn word(&mut self, word: u64, bits: u32) {
        let mut at = 0;
        let mut rows = !word & (u64::MAX >> (u64::BITS - bits));
        while rows != 0 {
            let next = rows.trailing_zeros();
            self.current += next - at;
            self.row();
            (at, rows) = (next + 1, rows & (rows - 1));
        }
        self.current += bits - at;
    }

    fn rows(self) -> Rows {
        let longest = self.longest.max(self.current);
        Rows { count: self.count, is_at_start: self.count > 0 && !self.starts_within, longest }
    }
}

/// The rows among the first `values` levels, none higher than `max`; `None` if the bytes are damaged.
pub(crate) fn rows(bytes: &[u8], max: i16, values: u32) -> Option<Rows> {
    let mut walk = Walk::default();
    if max != 1 {
        each_run(bytes, max, values, |level, run| walk.run(level, run))?;
        return Some(walk.rows());
    }
    let (mut rest, mut left) = (bytes, values);
    while left > 0 {
        let header = run_header(&mut rest)?;
        if header & 1 == 0 {
            let run = u32::try_from(header >> 1).ok()?.min(left);
            let level = take(&mut rest, 1)?[0];
            if run > 0 {
                walk.run(i16::from(level), run);
            }
            left -= run;
            continue;
        }
        // Writers may leave out what is behind the last value.
        let length = usize::try_from(header >> 1).ok()?.min(rest.len());
        let packed = take(&mut rest, length)?;
        let mut bits = left.min(u32::try_from(length.checked_mul(8)?).ok()?);
        if bits == 0 {
            return None;
        }
        left -= bits;
        for bytes in packed.chunks(8) {
            let mut word = [0; 8];
            word[..bytes.len()].copy_from_slice(bytes);
            let of_word = bits.min(u64::BITS);
            if of_word > 0 {
                walk.word(u64::from_le_bytes(word), of_word);
            }
            bits -= of_word;
        }
    }
    Some(walk.rows())
}

/// Calls `each` with every level and how often it comes in a row.
fn each_run(bytes: &[u8], max: i16, values: u32, mut each: impl FnMut(i16, u32)) -> Option<()> {
    let bits = (u16::BITS - max.cast_unsigned().leading_zeros()) as usize;
    let (mut rest, mut left) = (bytes, values);
    while left > 0 {
        let header = run_header(&mut rest)?;
        if header & 1 == 0 {
            let run = u32::try_from(header >> 1).ok()?.min(left);
            let level = take(&mut rest, bits.div_ceil(8))?;
            let level = level.iter().rev().fold(0_u16, |level, &byte| level << 8 | u16::from(byte));
            each(i16::try_from(level).ok()?, run);
            left -= run;
            continue;
        }
        let groups = usize::try_from(header >> 1).ok()?;
        // Writers may leave out what is behind the last value.
        let length = groups.checked_mul(bits)?.min(rest.len());
        let packed = take(&mut rest, length)?;
        let count = left.min(u32::try_from(packed.len() * 8 / bits.max(1)).ok()?);
        for index in 0..count as usize {
            each(unpack(packed, index * bits, bits), 1);
        }
        if count == 0 {
            return None;
        }
        left -= count;
    }
    Some(())
}

/// The value of `bits` bits, at most 16, at a bit of `packed`.
#[expect(clippy::cast_possible_truncation, reason = "masked to 15 bits")]
fn unpack(packed: &[u8], at: usize, bits: usize) -> i16 {
    let mut word = [0; 4];
    let from = &packed[at / 8..packed.len().min(at / 8 + 4)];
    word[..from.len()].copy_from_slice(from);
    let value = u32::from_le_bytes(word) >> (at % 8);
    (value & ((1 << bits.min(15)) - 1)) as i16
}

fn take<'a>(rest: &mut &'a [u8], length: usize) -> Option<&'a [u8]> {
    let (taken, behind) = rest.split_at_checked(length)?;
    *rest = behind;
    Some(taken)
}

/// Whether what follows is a run or packed is in the lowest bit.
fn run_header(rest: &mut &[u8]) -> Option<u64> {
    take_varint(rest).filter(|header| header >> 63 == 0)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{Rows, count, each_run, rows};

    #[test]
    fn runs_and_packed_levels_are_counted() {
        // Five times 0, then eight packed in one bit each: 1 1 0 1 0 0 1 1, then three times 1.
        let levels = [5 << 1, 0, (1 << 1) | 1, 0b1100_1011, 3 << 1, 1];
        assert_eq!(count(&levels, 1, 16, |level| level == 0), Some(8));
        assert_eq!(count(&levels, 1, 7, |level| level == 0), Some(5));
        assert_eq!(rows(&levels, 1, 16), Some(Rows { count: 8, is_at_start: true, longest: 6 }));
        assert_eq!(rows(&levels, 1, 13), Some(Rows { count: 8, is_at_start: true, longest: 3 }));
        assert_eq!(rows(&levels, 1, 17), None, "there are no more");
        for end in 0..levels.len() {
            assert_eq!(count(&levels[..end], 1, 16, |_| true), None, "cut at {end}");
            assert_eq!(rows(&levels[..end], 1, 16), None, "cut at {end}");
        }
        let within = rows(&levels[2..], 1, 8);
        assert_eq!(within, Some(Rows { count: 3, is_at_start: false, longest: 3 }));
        assert_eq!(
            rows(&[3 << 1, 1], 1, 3),
            Some(Rows { count: 0, is_at_start: false, longest: 3 })
        );
    }

    #[test]
    fn levels_of_more_bits_are_counted() {
        // Eight values of two bits: 0 1 2 3 0 0 1 2; then a run of 2.
        let levels = [(1 << 1) | 1, 0b1110_0100, 0b1001_0000, 4 << 1, 2];
        assert_eq!(count(&levels, 3, 12, |level| level == 2), Some(6));
        assert_eq!(rows(&levels, 3, 12), Some(Rows { count: 3, is_at_start: true, longest: 7 }));
    }

    /// Levels of one bit: runs of one level, and packed ones.
    fn levels() -> impl Strategy<Value = Vec<u8>> {
        let run = (1_u8..60, 0_u8..2).prop_map(|(length, level)| vec![length << 1, level]);
        let packed = prop::collection::vec(any::<u8>(), 1..40).prop_map(|mut bytes| {
            let header = u8::try_from(bytes.len()).unwrap_or(1) << 1 | 1;
            bytes.insert(0, header);
            bytes
        });
        prop::collection::vec(prop_oneof![run, packed], 1..6).prop_map(|runs| runs.concat())
    }

    proptest! {
        #[test]
        fn words_of_levels_say_what_each_level_says(levels in levels(), values in 1_u32..900) {
            let mut each = Vec::new();
            let whole = each_run(&levels, 1, values, |level, run| {
                each.extend(std::iter::repeat_n(level, run as usize));
            });
            let rows = rows(&levels, 1, values);
            prop_assert_eq!(rows.is_some(), whole.is_some());
            if let Some(rows) = rows {
                let starts = each.iter().filter(|&&level| level == 0).count();
                prop_assert_eq!(rows.count as usize, starts);
                prop_assert_eq!(rows.is_at_start, each[0] == 0);
                let longest = each.split(|&level| level == 0).enumerate();
                // A row has its first value too, but for the one that began before.
                let longest = longest.map(|(index, row)| row.len() + usize::from(index > 0));
                prop_assert_eq!(rows.longest as usize, longest.max().unwrap_or(0));
            }
        }
    }
}
