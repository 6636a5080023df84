//! The lengths in pages of `DELTA_LENGTH_BYTE_ARRAY` and `DELTA_BYTE_ARRAY`, to know what their texts take before
//! the `parquet` crate makes them: a page of few bytes may stand for many and long ones.

use crate::thrift::{take_varint, zigzag};

/// What the numbers of a `DELTA_BINARY_PACKED` run add up to.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Sums {
    largest: u64,
    /// Bytes of the run.
    length: usize,
}

/// The longest text of a page of `DELTA_BYTE_ARRAY`, as the prefixes and suffixes have it; `None` if the page is
/// damaged.
pub(crate) fn longest_text(values: &[u8]) -> Option<u64> {
    let prefixes = sums(values)?;
    let suffixes = sums(values.get(prefixes.length..)?)?;
    Some(prefixes.largest.saturating_add(suffixes.largest))
}

/// Walks one run: blocks of miniblocks, each of differences of its own number of bits.
fn sums(bytes: &[u8]) -> Option<Sums> {
    let mut rest = bytes;
    let block = usize::try_from(take_varint(&mut rest)?).ok()?;
    let miniblocks = usize::try_from(take_varint(&mut rest)?).ok()?;
    let mut left = take_varint(&mut rest)?;
    let mut value = zigzag(take_varint(&mut rest)?);
    let per_miniblock = block.checked_div(miniblocks)?;
    let mut largest = if left > 0 { value } else { 0 };
    left = left.saturating_sub(1);
    while left > 0 {
        let least = zigzag(take_varint(&mut rest)?);
        let (widths, behind) = rest.split_at_checked(miniblocks)?;
        rest = behind;
        for &width in widths {
            if left == 0 {
                break;
            }
            let width = usize::from(width);
            let packed_bytes = per_miniblock.checked_mul(width)?.div_ceil(8);
            let (packed, behind) = rest.split_at_checked(packed_bytes.min(rest.len()))?;
            rest = behind;
            let count = left.min(per_miniblock as u64);
            if width == 0 {
                // The same difference again and again: the last or the first is the largest.
                value = value.saturating_add(least.saturating_mul(i64::try_from(count).ok()?));
                largest = largest.max(value);
            } else {
                for index in 0..usize::try_from(count).ok()? {
                    let delta = unpack(packed, index * width, width)?;
                    value = value.saturating_add(least).saturating_add(delta);
                    largest = largest.max(value);
                }
            }
            left -= count;
        }
        if per_miniblock == 0 {
            return None;
        }
    }
    Some(Sums { largest: u64::try_from(largest).unwrap_or(0), length: bytes.len() - rest.len() })
}

/// The number of `width` bits at a bit of `packed`.
fn unpack(packed: &[u8], at: usize, width: usize) -> Option<i64> {
    let from = packed.get(at / 8..)?;
    let mut word = [0; 16];
    let length = from.len().min(16);
    word[..length].copy_from_slice(&from[..length]);
    let value = u128::from_le_bytes(word) >> (at % 8);
    let mask = if width >= 64 { u128::from(u64::MAX) } else { (1 << width) - 1 };
    i64::try_from(value & mask).ok()
}

#[cfg(test)]
mod tests {
    use super::{Sums, longest_text, sums};

    /// 128 in a block of four miniblocks, as writers make them.
    fn run(first: u64, count: u8, least: u8, widths: [u8; 4], packed: &[u8]) -> Vec<u8> {
        let mut bytes = vec![0x80, 1, 4, count];
        bytes.push(u8::try_from(first * 2).unwrap());
        if count > 1 {
            bytes.push(least);
            bytes.extend(widths);
            bytes.extend(packed);
        }
        bytes
    }

    #[test]
    fn the_largest_number_is_found_and_the_end_of_the_run() {
        assert_eq!(sums(&run(7, 1, 0, [0; 4], &[])), Some(Sums { largest: 7, length: 5 }));
        // Each is two more than the one before.
        let rising = run(1, 33, 4, [0; 4], &[]);
        assert_eq!(sums(&rising), Some(Sums { largest: 65, length: rising.len() }));
        // Differences 3, 0, 1 of two bits: 5, 8, 8, 9; the rest of the miniblock is padding.
        let packed = run(5, 4, 0, [2, 0, 0, 0], &[0b01_0011, 0, 0, 0, 0, 0, 0, 0]);
        assert_eq!(sums(&packed), Some(Sums { largest: 9, length: packed.len() }));
        let both = [packed, run(40, 1, 0, [0; 4], &[])].concat();
        assert_eq!(longest_text(&both), Some(49));
        for end in 0..both.len() - 1 {
            let _: Option<u64> = longest_text(&both[..end]);
        }
    }
}
