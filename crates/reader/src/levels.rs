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

/// The first of the levels, none higher than `max`.
pub(crate) fn first(bytes: &[u8], max: i16) -> Option<i16> {
    let mut first = None;
    each_run(bytes, max, 1, |level, _| first = Some(level))?;
    first
}

/// How many rows begin among the first `values` levels.
pub(crate) fn rows(bytes: &[u8], max: i16, values: u32) -> Option<u32> {
    if max != 1 {
        return count(bytes, max, values, |level| level == 0);
    }
    let (mut rest, mut left, mut found) = (bytes, values, 0);
    while left > 0 {
        let header = run_header(&mut rest)?;
        if header & 1 == 0 {
            let run = u32::try_from(header >> 1).ok()?.min(left);
            found += if take(&mut rest, 1)?[0] == 0 { run } else { 0 };
            left -= run;
            continue;
        }
        let length = usize::try_from(header >> 1).ok()?.min(rest.len());
        let packed = take(&mut rest, length)?;
        let bits = left.min(u32::try_from(length.checked_mul(8)?).ok()?);
        let (whole, last) = packed.split_at_checked(bits as usize / 8)?;
        let ones: u32 = whole.iter().map(|byte| byte.count_ones()).sum();
        let more = bits % 8;
        let last = last.first().map_or(0, |byte| (byte & ((1 << more) - 1)).count_ones());
        found += bits - ones - last;
        if bits == 0 {
            return None;
        }
        left -= bits;
    }
    Some(found)
}

/// The most values that a row of a page has, by its repetition levels. Those of a row that began in the page
/// before count as one row's.
pub(crate) fn longest_row(bytes: &[u8], max: i16, values: u32) -> Option<u32> {
    let (mut longest, mut current) = (0, 0);
    each_run(bytes, max, values, |level, run| {
        if level == 0 {
            longest = longest.max(current).max(1);
            current = 1;
        } else {
            current += run;
        }
    })?;
    Some(longest.max(current))
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
    use super::{count, first, longest_row, rows};

    #[test]
    fn runs_and_packed_levels_are_counted() {
        // Five times 0, then eight packed in one bit each: 1 1 0 1 0 0 1 1, then three times 1.
        let levels = [5 << 1, 0, (1 << 1) | 1, 0b1100_1011, 3 << 1, 1];
        assert_eq!(count(&levels, 1, 16, |level| level == 0), Some(8));
        assert_eq!(count(&levels, 1, 7, |level| level == 0), Some(5));
        for values in 0..=16 {
            assert_eq!(rows(&levels, 1, values), count(&levels, 1, values, |level| level == 0));
        }
        assert_eq!(longest_row(&levels, 1, 16), Some(6));
        assert_eq!(longest_row(&levels, 1, 13), Some(3));
        assert_eq!(longest_row(&levels, 1, 17), None, "there are no more");
        for end in 0..levels.len() {
            assert_eq!(count(&levels[..end], 1, 16, |_| true), None, "cut at {end}");
        }
    }

    #[test]
    fn the_first_level_is_read_from_a_run_and_from_packed_ones() {
        assert_eq!(first(&[5 << 1, 0], 1), Some(0));
        assert_eq!(first(&[5 << 1, 1], 1), Some(1));
        assert_eq!(first(&[(1 << 1) | 1, 0b1100_1010], 1), Some(0));
        assert_eq!(first(&[(1 << 1) | 1, 0b1110_0111], 3), Some(3));
        assert_eq!(first(&[], 1), None);
    }

    #[test]
    fn levels_of_more_bits_are_counted() {
        // Eight values of two bits: 0 1 2 3 0 0 1 2; then a run of 2.
        let levels = [(1 << 1) | 1, 0b1110_0100, 0b1001_0000, 4 << 1, 2];
        assert_eq!(count(&levels, 3, 12, |level| level == 2), Some(6));
        assert_eq!(longest_row(&levels, 3, 12), Some(7));
    }
}
