//! The digits of whole numbers, which integers, floats and times are made of.

use super::cell::Slot;

const ZEROS: u64 = 0x3030_3030_3030_3030;

const EIGHT: u64 = 100_000_000;

/// Writes the digits of a number from `at` on, which is small, and returns their end.
#[inline(always)]
#[expect(clippy::inline_always, reason = "the body of a column's loop")]
pub(super) fn digits(value: u64, slot: &mut Slot, at: usize) -> usize {
    if value < EIGHT {
        return first(value, slot, at);
    }
    let (high, low) = (value / EIGHT, value % EIGHT);
    let at = if high < EIGHT {
        first(high, slot, at)
    } else {
        let at = first(high / EIGHT, slot, at);
        eight(high % EIGHT, slot, at)
    };
    eight(low, slot, at)
}

/// A number below 10^8 without zeros at its front.
#[inline(always)]
#[expect(clippy::inline_always, reason = "the body of a column's loop")]
fn first(number: u64, slot: &mut Slot, at: usize) -> usize {
    let digits = digits_of(number);
    // The last digit is shown even if it is a zero.
    let zeros = (digits | 1 << 56).trailing_zeros() / 8;
    let text = (digits | ZEROS) >> (8 * zeros);
    slot[at..at + 8].copy_from_slice(&text.to_le_bytes());
    at + 8 - zeros as usize
}

/// A number below 10^8 with all its eight digits.
#[inline(always)]
#[expect(clippy::inline_always, reason = "the body of a column's loop")]
fn eight(number: u64, slot: &mut Slot, at: usize) -> usize {
    slot[at..at + 8].copy_from_slice(&eight_digits(number));
    at + 8
}

/// A number below 10^8 as its eight digits.
#[inline(always)]
#[expect(clippy::inline_always, reason = "the body of a column's loop")]
pub(super) fn eight_digits(number: u64) -> [u8; 8] {
    (digits_of(number) | ZEROS).to_le_bytes()
}

/// The eight digits of a number below 10^8, one in each byte, the first in the lowest.
#[inline(always)]
#[expect(clippy::inline_always, reason = "the body of a column's loop")]
fn digits_of(number: u64) -> u64 {
    // Halves of four digits, quarters of two, then single digits, all side by side in one word.
    let fours = (number / 10_000) | ((number % 10_000) << 32);
    let hundreds = ((fours * 10_486) >> 20) & 0x0000_007f_0000_007f;
    let twos = hundreds | (fours - hundreds * 100) << 16;
    let tens = ((twos * 103) >> 10) & 0x000f_000f_000f_000f;
    tens | (twos - tens * 10) << 8
}

/// A number below 10^16 divided by 10^8 = 2^8 * 390,625, in floats, of which there are vectors.
///
/// The quotient by 390,625 is at least half of 1/390,625 away from the middle of two whole numbers, and
/// f64 are off by less than 1e-7 here.
#[inline(always)]
pub(super) fn divided_by_ten_to_8(number: u64) -> u64 {
    const INVERSE: f64 = 1.0 / 390_625.0;
    /// 2^52: with its bits around it a smaller number is an f64 that is greater by so much.
    const BIAS: f64 = 4_503_599_627_370_496.0;
    /// Adding it rounds to a whole number, which then stands in the low bits.
    const ROUND: f64 = 6_755_399_441_055_744.0;
    let float = f64::from_bits((number >> 8) | BIAS.to_bits()) - BIAS;
    let quotient = float * INVERSE + (0.5 * INVERSE - 0.5);
    (quotient + ROUND).to_bits() & 0xffff_ffff
}

/// A number below 10^8 as two of four digits, the first in the lower half.
#[inline(always)]
#[expect(clippy::inline_always, reason = "compiled once for each set of CPU features")]
pub(super) fn fours(number: u64) -> u64 {
    let first = (number * 109_951_163) >> 40;
    first | (number - first * 10_000) << 32
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_divided_by_ten_to_8() {
        const END: u64 = 10_u64.pow(16);
        let mut state = 1_u64;
        // Numbers that have nothing to do with each other (a linear congruence of Knuth's).
        let random = std::iter::repeat_with(move || {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            state % END
        });
        for number in [0, 1, END - 1].into_iter().chain(random.take(100_000)) {
            let multiple = number - number % 100_000_000;
            for number in [number, multiple, multiple + 99_999_999] {
                assert_eq!(divided_by_ten_to_8(number), number / 100_000_000, "{number}");
            }
        }
    }
}
