//! Cells of integers on x86-64 CPUs with AVX2 or AVX-512: 32 at a time.
//!
//! Bench: `cargo bench --bench engine`, i64 and i64 list; `benches/peers/`, data set scalar. Compared with
//! `itoa` in the tests, as is the way for other CPUs in [`super::int`].
//!
//! How it works. The numbers of a block tell how many digits are made for all of them: 8, 16 or 24. Each
//! step is a loop of its own, so that it becomes one of vectors: parts of eight digits, of four, single
//! digits, and how many of them are shown. Only the stores into the cells are made one by one, all of a
//! fixed size, from the first digit that is shown on.
//!
//! Invariants: a text takes at most [`SLOT`](super::cell::SLOT) bytes: a quote, a sign, and 24 bytes.

use crate::jsonl::options::Int64Form;

use super::block::{BLOCK, four_digits};
use super::cell::{Block, Cells, as_length};
use super::digits::{divided_by_ten_to_8, fours};

const ZEROS: u64 = 0x3030_3030_3030_3030;

/// A block of numbers.
struct Numbers {
    magnitudes: [u64; BLOCK],
    /// One for negative numbers.
    minus: [u8; BLOCK],
}

/// Makes the cells of signed integers.
#[inline(always)]
#[expect(clippy::inline_always, reason = "compiled once for each set of CPU features")]
pub(super) fn fill_signed<T: Copy + Into<i64>>(values: &[T], form: Int64Form, cells: &mut Cells) {
    let mut numbers = Numbers { magnitudes: [0; BLOCK], minus: [0; BLOCK] };
    for (number, values) in values.chunks(BLOCK).enumerate() {
        for (place, &value) in numbers.magnitudes.iter_mut().zip(values) {
            *place = value.into().unsigned_abs();
        }
        for (place, &value) in numbers.minus.iter_mut().zip(values) {
            *place = u8::from(value.into() < 0);
        }
        fill_block(&numbers, values.len(), form, cells.block_mut(number * BLOCK));
    }
}

/// Makes the cells of unsigned integers.
#[inline(always)]
#[expect(clippy::inline_always, reason = "compiled once for each set of CPU features")]
pub(super) fn fill_unsigned<T: Copy + Into<u64>>(values: &[T], form: Int64Form, cells: &mut Cells) {
    let mut numbers = Numbers { magnitudes: [0; BLOCK], minus: [0; BLOCK] };
    for (number, values) in values.chunks(BLOCK).enumerate() {
        for (place, &value) in numbers.magnitudes.iter_mut().zip(values) {
            *place = value.into();
        }
        fill_block(&numbers, values.len(), form, cells.block_mut(number * BLOCK));
    }
}

#[inline(always)]
#[expect(clippy::inline_always, reason = "compiled once for each set of CPU features")]
fn fill_block(numbers: &Numbers, count: usize, form: Int64Form, cells: Block<'_>) {
    let bits = numbers.magnitudes.iter().fold(0, |bits, magnitude| bits | magnitude);
    match (form, bits >> 26, bits >> 53) {
        (Int64Form::Number, 0, _) => write_short::<0>(numbers, count, cells),
        (Int64Form::String, 0, _) => write_short::<1>(numbers, count, cells),
        (Int64Form::Number, _, 0) => write_long::<2, 0>(numbers, count, cells),
        (Int64Form::String, _, 0) => write_long::<2, 1>(numbers, count, cells),
        (Int64Form::Number, ..) => write_long::<3, 0>(numbers, count, cells),
        (Int64Form::String, ..) => write_long::<3, 1>(numbers, count, cells),
    }
}

/// Writes numbers below 2^26, which is less than 10^8.
#[inline(always)]
#[expect(clippy::inline_always, reason = "a part of the kernel")]
#[expect(clippy::cast_possible_truncation, reason = "numbers below 2^26")]
fn write_short<const QUOTE: usize>(numbers: &Numbers, count: usize, cells: Block<'_>) {
    let (mut high, mut low, mut shown) = ([0; BLOCK], [0; BLOCK], [0; BLOCK]);
    for index in 0..BLOCK {
        let number = numbers.magnitudes[index] as u32;
        shown[index] = decimal_length(number);
        let first = number / 10_000;
        high[index] = four_digits(first);
        low[index] = four_digits(number - first * 10_000);
    }
    let mut texts = [0; BLOCK];
    for index in 0..BLOCK {
        let digits = u64::from(high[index]) | u64::from(low[index]) << 32 | ZEROS;
        texts[index] = digits >> ((64 - 8 * shown[index]) & 63);
    }
    cells.each(count, |index, slot| {
        slot[0] = b'"';
        slot[QUOTE] = b'-';
        let start = QUOTE + usize::from(numbers.minus[index] & 1);
        slot[start..start + 8].copy_from_slice(&texts[index].to_le_bytes());
        let end = start + (shown[index] & 15) as usize;
        if QUOTE > 0 {
            slot[end] = b'"';
        }
        as_length(end + QUOTE)
    });
}

/// Writes numbers of up to eight digits for each of two or three words; below 2^53 if there are two.
#[inline(always)]
#[expect(clippy::cast_possible_truncation, reason = "parts of a number are below 10^8")]
fn write_long<const WORDS: usize, const QUOTE: usize>(
    numbers: &Numbers,
    count: usize,
    cells: Block<'_>,
) {
    const TEN_TO_16: u64 = 10_000_000_000_000_000;
    /// A power of two, so that a mask keeps places in it, and behind it room for copies of a fixed size.
    const PLACES: usize = 1024;
    let mut digits = [0; PLACES + 24];
    let mut rests = numbers.magnitudes;
    let (mut parts, mut before) = ([0; BLOCK], [0_u32; BLOCK]);
    if WORDS == 3 {
        // One by one, as there are no vectors of such quotients.
        for index in 0..BLOCK {
            let first = rests[index] / TEN_TO_16;
            rests[index] -= first * TEN_TO_16;
            parts[index] = first as u32;
        }
        for (index, &part) in parts.iter().enumerate() {
            let at = index * WORDS * 8;
            digits[at..at + 8].copy_from_slice(&fours(u64::from(part)).to_le_bytes());
        }
    }
    for index in 0..BLOCK {
        let high = divided_by_ten_to_8(rests[index]);
        let low = rests[index] - high * 100_000_000;
        let at = (index + 1) * WORDS * 8 - 16;
        digits[at..at + 8].copy_from_slice(&fours(high).to_le_bytes());
        digits[at + 8..at + 16].copy_from_slice(&fours(low).to_le_bytes());
        // The first part that is not zero, and the digits behind it.
        let (part, behind) = if high > 0 { (high, 8) } else { (low, 0) };
        let is_first = WORDS == 3 && parts[index] > 0;
        parts[index] = if is_first { parts[index] } else { part as u32 };
        before[index] = if is_first { 16 } else { behind };
    }
    for index in 0..BLOCK {
        before[index] += decimal_length(parts[index]);
    }
    for four in digits[..BLOCK * WORDS * 8].as_chunks_mut().0 {
        *four = (four_digits(u32::from_le_bytes(*four)) | ZEROS as u32).to_le_bytes();
    }
    cells.each(count, |index, slot| {
        let shown = before[index] as usize & 31;
        let at = ((index + 1) * WORDS * 8 - shown) % PLACES;
        slot[0] = b'"';
        slot[QUOTE] = b'-';
        let start = QUOTE + usize::from(numbers.minus[index] & 1);
        slot[start..start + 16].copy_from_slice(&digits[at..at + 16]);
        if WORDS == 3 {
            slot[start + 16..start + 24].copy_from_slice(&digits[at + 16..at + 24]);
        }
        let end = start + shown;
        if QUOTE > 0 {
            slot[end & 31] = b'"';
        }
        as_length(end + QUOTE)
    });
}

/// The digits of a number below 10^8, at least one.
#[inline(always)]
#[expect(clippy::inline_always, reason = "a part of the kernel")]
fn decimal_length(number: u32) -> u32 {
    // Comparisons of signed numbers are one instruction.
    let number = number.cast_signed();
    let powers = [9, 99, 999, 9_999, 99_999, 999_999, 9_999_999];
    powers.into_iter().fold(1, |length, power| length + u32::from(number > power))
}

#[cfg(test)]
#[expect(clippy::cast_possible_truncation, reason = "made-up numbers of any kind will do")]
mod tests {
    use super::super::block::tested::on_each_cpu;
    use super::super::cell::CELLS;
    use super::super::int::{fill_signed, fill_unsigned};
    use super::{Cells, Int64Form};

    fn texts(count: usize, fill: impl Fn(Int64Form, &mut Cells)) -> [Vec<String>; 2] {
        [Int64Form::Number, Int64Form::String].map(|form| {
            let mut cells = Cells::new(b"");
            cells.begin(&(0..count));
            fill(form, &mut cells);
            cells.finish(0, false);
            let text = |row| {
                let (slot, length) = cells.text(row).unwrap();
                String::from_utf8(slot[..length].to_vec()).unwrap()
            };
            (0..count).map(text).collect()
        })
    }

    fn check_unsigned(values: &[u64]) {
        on_each_cpu(|| check_unsigned_on_this(values));
    }

    fn check_unsigned_on_this(values: &[u64]) {
        for values in values.chunks(CELLS) {
            let [numbers, strings] =
                texts(values.len(), |form, cells| fill_unsigned(values, form, cells));
            for (index, &value) in values.iter().enumerate() {
                let mut buffer = itoa::Buffer::new();
                assert_eq!(numbers[index], buffer.format(value));
                assert_eq!(strings[index], format!("\"{value}\""));
            }
        }
    }

    fn check_signed(values: &[i64]) {
        on_each_cpu(|| check_signed_on_this(values));
    }

    fn check_signed_on_this(values: &[i64]) {
        for values in values.chunks(CELLS) {
            let [numbers, strings] =
                texts(values.len(), |form, cells| fill_signed(values, form, cells));
            for (index, &value) in values.iter().enumerate() {
                let mut buffer = itoa::Buffer::new();
                assert_eq!(numbers[index], buffer.format(value));
                assert_eq!(strings[index], format!("\"{value}\""));
            }
        }
    }

    /// Numbers that look random and are the same in every run.
    fn random(count: usize) -> impl Iterator<Item = u64> {
        let mut bits = 20_261_124_u64;
        std::iter::repeat_with(move || {
            bits = bits.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            bits ^ bits >> 29
        })
        .take(count)
    }

    #[test]
    fn blocks_of_numbers_of_every_length_are_spelled_like_itoa() {
        for bits in 0..64 {
            // Blocks in which all numbers have about as many digits, and ones in which few do.
            let values: Vec<u64> = random(2_000).map(|value| value >> bits).collect();
            check_unsigned(&values);
            check_signed(&values.iter().map(|value| value.cast_signed()).collect::<Vec<_>>());
            let values: Vec<u64> =
                random(2_000).map(|value| value >> (value % (bits + 1))).collect();
            check_unsigned(&values);
            check_signed(&values.iter().map(|value| value.cast_signed()).collect::<Vec<_>>());
        }
    }

    #[test]
    fn numbers_around_powers_are_spelled_like_itoa() {
        let mut values = vec![0, u64::MAX, i64::MAX.cast_unsigned(), i64::MIN.cast_unsigned()];
        let powers = (0..20).map(|power| 10_u64.pow(power)).chain((0..64).map(|bit| 1 << bit));
        for power in powers {
            let around = [power - 1, power, power.saturating_add(1)];
            // By themselves, and with all the others.
            check_unsigned(&around.repeat(7));
            check_signed(&around.map(|value| value.cast_signed().wrapping_neg()).repeat(7));
            values.extend(around);
        }
        check_unsigned(&values);
        check_signed(&values.iter().map(|value| value.cast_signed()).collect::<Vec<_>>());
    }

    #[test]
    fn few_numbers_and_narrow_ones_are_spelled_alike() {
        for count in 0..=CELLS {
            let values: Vec<i8> = random(count).map(|value| value as i8).collect();
            let [numbers, _] = texts(count, |form, cells| fill_signed(&values, form, cells));
            assert_eq!(numbers, values.iter().map(ToString::to_string).collect::<Vec<_>>());
            let values: Vec<u32> = random(count).map(|value| value as u32).collect();
            let [numbers, _] = texts(count, |form, cells| fill_unsigned(&values, form, cells));
            assert_eq!(numbers, values.iter().map(ToString::to_string).collect::<Vec<_>>());
        }
    }
}
