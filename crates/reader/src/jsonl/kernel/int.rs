//! Integers: eight digits in one word, zeros at the front shifted out.
//!
//! Bench: `benches/peers/`, data sets scalar and ints. Compared with `itoa` in the tests.

use crate::jsonl::Int64Form;

use super::push::padded;

const ZEROS: u64 = 0x3030_3030_3030_3030;
const EIGHT: u64 = 100_000_000;

/// Appends a signed integer.
pub(crate) fn write_signed(value: i64, out: &mut Vec<u8>) {
    if value < 0 {
        out.push(b'-');
    }
    write_unsigned(value.unsigned_abs(), out);
}

/// Appends an unsigned integer.
pub(crate) fn write_unsigned(value: u64, out: &mut Vec<u8>) {
    let (high, low) = (value / EIGHT, value % EIGHT);
    if high == 0 {
        return write_first(low, out);
    }
    let (top, middle) = (high / EIGHT, high % EIGHT);
    if top > 0 {
        write_first(top, out);
        write_eight(middle, out);
    } else {
        write_first(middle, out);
    }
    write_eight(low, out);
}

/// Appends a 64-bit integer with `write`, quoted if asked for.
pub(crate) fn write_64<T>(
    value: T,
    write: fn(T, &mut Vec<u8>),
    form: Int64Form,
    out: &mut Vec<u8>,
) {
    match form {
        Int64Form::Number => write(value, out),
        Int64Form::String => {
            out.push(b'"');
            write(value, out);
            out.push(b'"');
        }
    }
}

/// A number below 10^8 without zeros at its front.
fn write_first(number: u64, out: &mut Vec<u8>) {
    let digits = digits_of(number);
    // The last digit is shown even if it is a zero.
    let zeros = (digits | 1 << 56).trailing_zeros() / 8;
    let text = (digits | ZEROS) >> (8 * zeros);
    padded(&text.to_le_bytes(), 8 - zeros as usize, out);
}

/// A number below 10^8 with all its eight digits.
fn write_eight(number: u64, out: &mut Vec<u8>) {
    out.extend_from_slice(&(digits_of(number) | ZEROS).to_le_bytes());
}

/// The eight digits of a number below 10^8, one in each byte, the first in the lowest.
fn digits_of(number: u64) -> u64 {
    // Halves of four digits, quarters of two, then single digits, all side by side in one word.
    let fours = (number / 10_000) | ((number % 10_000) << 32);
    let hundreds = ((fours * 10_486) >> 20) & 0x0000_007f_0000_007f;
    let twos = hundreds | (fours - hundreds * 100) << 16;
    let tens = ((twos * 103) >> 10) & 0x000f_000f_000f_000f;
    tens | (twos - tens * 10) << 8
}

#[cfg(test)]
mod tests {
    use super::{write_signed, write_unsigned};

    #[test]
    fn integers_are_spelled_like_itoa() {
        let mut value = 1_u64;
        let mut out = Vec::new();
        for round in 0..200_000_u64 {
            value = value.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(round);
            for value in
                [value >> (round % 64), 10_u64.pow((round % 20) as u32).wrapping_sub(round % 3)]
            {
                out.clear();
                write_unsigned(value, &mut out);
                assert_eq!(out, itoa::Buffer::new().format(value).as_bytes());
                out.clear();
                write_signed(value.cast_signed(), &mut out);
                assert_eq!(out, itoa::Buffer::new().format(value.cast_signed()).as_bytes());
            }
        }
        for value in [0, 1, 9, 10, 99_999_999, 100_000_000, u64::MAX, i64::MAX.cast_unsigned() + 1]
        {
            out.clear();
            write_unsigned(value, &mut out);
            assert_eq!(out, value.to_string().as_bytes());
        }
        out.clear();
        write_signed(i64::MIN, &mut out);
        assert_eq!(out, i64::MIN.to_string().as_bytes());
    }
}
