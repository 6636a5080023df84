//! Lists of f32 as the shortest text that reads back to the same value: the payload of a vector
//! database.
//!
//! Bench: `cargo bench --bench engine`, f32; `benches/peers/`, data sets vec and sparse.
//!
//! How it works. A value is widened to f64 and scaled by a power of ten to `x` in 10^8..10^9. In f64
//! the scaling is off by less than 1e-6, while half the distance to the next f32, scaled
//! alike, is `half` = 3..60. So the nearest whole number always reads back to the same f32 (9 digits);
//! the nearest multiple of 10 does if it is nearer than `half` (8 digits), and so does that of 100
//! (7 digits or, with zeros at its end, fewer). The most zeros win, and zeros are cut off at the end.
//! [`super::float32_text`] makes the text of the digits.
//!
//! Whatever this arithmetic cannot decide goes to `zmij`: distances within [`EPSILON`] of a border or
//! of a tie, `half` above 50 (two multiples of 100 may fit), powers of two (their interval is not
//! symmetric), values whose power of two is outside 1e-5..1e6, zero, NaN and infinities. For random values
//! that is about one in a thousand.
//!
//! The power of ten is looked up, one gather for each vector of values; the rest is arithmetic, as further
//! gathers would take longer. Digits are made in two bytes each, twice as many at a time as in four.
//!
//! Compiled for AVX-512 the program takes 0.81 to 0.87 of its time for lists of f32 compiled for AVX2, and
//! with blocks of 64 values 0.95 of that with 32; blocks of 128 gain nothing.
//!
//! Equal to `zmij` on all 2^32 bit patterns: `cargo run --release -p viking-reader --example
//! all_floats`, about three minutes. A sample runs with the tests.
//!
//! Not here: a level of multiples of 1,000, which decides nothing once `half` is at most 50.

use std::ops::Range;

use crate::jsonl::options::{Counts, NonFinite};

use super::block::{for_each_cpu, whole_block};
use super::cell::{Cells, as_length};
use super::float::write_f32;
#[cfg(target_arch = "x86_64")]
use super::float32_text::shuffle;
use super::float32_text::{Digits, FEWEST, LENGTHS, MOST, OF_SIGN, TEXT, shift};

/// A value and its comma have about so many bytes.
const TEXT_BYTES: usize = 11;

/// Values that are scaled together.
const BLOCK: usize = 64;

/// Distances closer than this to a border are not decided here. The arithmetic is off by less than 1e-6.
const EPSILON: f64 = 1e-4;

/// Adding and subtracting it rounds an f64 below 2^51 to a whole number.
const ROUND: f64 = 6_755_399_441_055_744.0;

/// 2^52: an f64 from here on has no bits behind the point.
const POWER_52: f64 = 4_503_599_627_370_496.0;

/// For each exponent of an f32 what brings its values to 10^8..10^9, or beyond that those of an exponent
/// that reaches the next power of ten. NaN for exponents that are left to `zmij`.
static POWERS: [f64; 256] = powers();

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_possible_wrap,
    reason = "exponents are below 256"
)]
const fn powers() -> [f64; 256] {
    let mut powers = [f64::NAN; 256];
    let mut exponent = 0;
    while exponent < powers.len() {
        let before = digits_before(exponent as i32);
        // Values above 10^`before` have one digit more.
        if before >= FEWEST && before < MOST {
            powers[exponent] = power_of_ten(9 - before);
        }
        exponent += 1;
    }
    powers
}

/// Digits before the point of the smallest value of an exponent; none, or fewer for zeros behind it.
#[inline(always)]
#[expect(clippy::inline_always, reason = "compiled once for each set of CPU features")]
const fn digits_before(exponent: i32) -> i32 {
    // The logarithm of 2 is 0.30103, and 1,233 / 4,096 near enough for 8 bits.
    (((exponent - 127) * 1_233) >> 12) + 1
}

/// Exact from 10^0 to 10^22.
const fn power_of_ten(exponent: i32) -> f64 {
    let mut power = 1.0;
    let mut left = exponent;
    while left > 0 {
        power *= 10.0;
        left -= 1;
    }
    power
}

/// Up to [`BLOCK`] values after scaling.
#[derive(Debug)]
struct Scaled {
    /// The first of nine digits.
    first: [u32; BLOCK],
    /// The others, one in each byte, two in each word. Zeros at the end are not yet cut off.
    rest: [[u16; 4]; BLOCK],
    /// Sign and digits before the point, as in [`LENGTHS`], or [`OPEN`] where nothing is decided here.
    form: [u32; BLOCK],
}

const OPEN: u32 = u32::MAX;

/// What makes a text from its digits and its form.
trait Arrange: Fn(Digits, usize) -> [u8; TEXT] + Copy {}

impl<F: Fn(Digits, usize) -> [u8; TEXT] + Copy> Arrange for F {}

impl Scaled {
    const NONE: Self = Self { first: [0; BLOCK], rest: [[0; 4]; BLOCK], form: [OPEN; BLOCK] };

    /// The text of a value and its length, if it is decided here.
    #[inline(always)]
    #[expect(clippy::inline_always, reason = "compiled once for each set of CPU features")]
    #[expect(clippy::cast_possible_truncation, reason = "a digit fits a byte")]
    fn text(&self, index: usize, arrange: impl Arrange) -> Option<([u8; TEXT], usize)> {
        let form = self.form[index] as usize;
        let length = LENGTHS.get(form)?;
        let [a, b, c, d] = self.rest[index].map(u64::from);
        let digits =
            Digits { first: self.first[index] as u8, rest: a | b << 16 | c << 32 | d << 48 };
        let zeros = (digits.rest.leading_zeros() / 8).min(u32::from(length.zeros));
        Some((arrange(digits, form), (u32::from(length.whole) - zeros) as usize))
    }
}

for_each_cpu! {
    /// Makes the cells of single values, a column's or a map's; what is not decided here is left long.
    pub(crate) fn fill(values: &[f32], cells: &mut Cells) {
        vectors: fill_blocks(values, cells, |digits, form| shuffle(digits, form)),
        any: fill_blocks(values, cells, shift),
    }
}

#[inline(always)]
#[expect(clippy::inline_always, reason = "compiled once for each set of CPU features")]
fn fill_blocks(values: &[f32], cells: &mut Cells, arrange: impl Arrange) {
    let mut scaled = Scaled::NONE;
    for (number, block) in values.chunks(BLOCK).enumerate() {
        scale(whole_block(block, &mut [0.0; BLOCK]), &mut scaled);
        cells.block_mut(number * BLOCK).each(block.len(), |index, slot| {
            let Some((text, length)) = scaled.text(index, arrange) else { return Cells::LONG };
            slot[..TEXT].copy_from_slice(&text);
            as_length(length)
        });
    }
}

for_each_cpu! {
    /// Appends an array of f32 without nulls.
    pub(crate) fn write_f32_list(
        values: &[f32],
        form: NonFinite,
        out: &mut Vec<u8>,
        counts: &mut Counts,
    ) {
        vectors: write_list(values, form, out, counts, |digits, form| shuffle(digits, form)),
        any: write_list(values, form, out, counts, shift),
    }
}

#[inline(always)]
#[expect(clippy::inline_always, reason = "compiled once for each set of CPU features")]
fn write_list(
    values: &[f32],
    form: NonFinite,
    out: &mut Vec<u8>,
    counts: &mut Counts,
    arrange: impl Arrange,
) {
    // Longer lists than most would make the buffer grow again and again.
    out.reserve(values.len() * TEXT_BYTES + 2);
    out.push(b'[');
    let mut scaled = Scaled::NONE;
    let mut padded = [0.0; BLOCK];
    for block in values.chunks(BLOCK) {
        scale(whole_block(block, &mut padded), &mut scaled);
        let mut from = 0;
        while from < block.len() {
            from = append_decided(&scaled, from..block.len(), out, arrange);
            if let Some(value) = block.get(from) {
                write_f32(*value, form, out, counts);
                out.push(b',');
                from += 1;
            }
        }
    }
    match out.last_mut() {
        Some(last) if *last == b',' => *last = b']',
        _ => out.push(b']'),
    }
}

/// Appends the texts of values, a comma behind each, up to the first that is not decided here. Returns
/// its index, or the end.
#[inline(always)]
fn append_decided(
    scaled: &Scaled,
    values: Range<usize>,
    out: &mut Vec<u8>,
    arrange: impl Arrange,
) -> usize {
    const ROOM: usize = BLOCK * (TEXT + 1);
    out.reserve(ROOM);
    let room = &mut out.spare_capacity_mut()[..ROOM];
    let mut filled = 0;
    let mut index = values.start;
    while index < values.end
        && let Some((text, length)) = scaled.text(index, arrange)
    {
        room[filled..filled + TEXT].write_copy_of_slice(&text);
        room[filled + length].write(b',');
        filled += length + 1;
        index += 1;
    }
    #[expect(unsafe_code, reason = "a buffer between would be copied once more")]
    // SAFETY: each text begins where the one before it ends, so that all up to `filled` is written.
    unsafe {
        out.set_len(out.len() + filled);
    }
    index
}

/// The part that is the same for every value, without a branch.
#[inline(always)]
#[expect(clippy::inline_always, reason = "compiled once for each set of CPU features")]
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_possible_wrap,
    clippy::cast_sign_loss,
    clippy::needless_bitwise_bool,
    clippy::neg_cmp_op_on_partial_ord,
    reason = "digits are below 10^9, or else the value is open; lazy operators would be branches; and NaN \
              is open"
)]
fn scale(values: &[f32; BLOCK], scaled: &mut Scaled) {
    let mut power = [0.0_f64; BLOCK];
    let mut number = [0_u32; BLOCK];
    for index in 0..BLOCK {
        power[index] = POWERS[(values[index].to_bits() >> 23) as usize & 0xff];
    }
    for index in 0..BLOCK {
        let bits = values[index].to_bits() & 0x7fff_ffff;
        let exponent = bits >> 23;
        let x = f64::from(f32::from_bits(bits)) * power[index];
        // Half the distance between two f32 of this exponent, scaled: 2^(exponent - 127 - 24).
        let half = f64::from_bits(u64::from(exponent + 1023 - 127 - 24) << 52) * power[index];
        let is_above = x >= 1e9;
        let (x, half) = if is_above { (x * 0.1, half * 0.1) } else { (x, half) };
        let nine = (x + ROUND) - ROUND;
        let eight = ((x * 0.1 + ROUND) - ROUND) * 10.0;
        let seven = ((x * 0.01 + ROUND) - ROUND) * 100.0;
        let (off_9, off_8, off_7) = ((x - nine).abs(), (x - eight).abs(), (x - seven).abs());
        let longer = if off_8 < half { eight } else { nine };
        let digits = if off_7 < half { seven } else { longer };
        let is_open = ((off_7 - half).abs() < EPSILON)
            | ((off_8 - half).abs() < EPSILON)
            | (off_8 > 5.0 - EPSILON)
            | !(off_9 <= 0.5 - EPSILON)
            | (half > 50.0 - EPSILON)
            | (digits >= 1e9)
            | (bits << 9 == 0);
        // The whole number stands in the low bits once 2^52 is added.
        number[index] = (digits + POWER_52).to_bits() as u32;
        let before = digits_before(exponent as i32) - FEWEST + i32::from(is_above);
        let sign = (values[index].to_bits() >> 31) * OF_SIGN as u32;
        scaled.form[index] = if is_open { OPEN } else { before as u32 + sign };
    }
    // Two of four digits for each value.
    let mut fours = [0_u16; 2 * BLOCK];
    for index in 0..BLOCK {
        let first = number[index] / 100_000_000;
        let rest = number[index] - first * 100_000_000;
        let high = rest / 10_000;
        scaled.first[index] = first;
        fours[2 * index] = high as u16;
        fours[2 * index + 1] = (rest - high * 10_000) as u16;
    }
    let mut hundreds = [0_u16; 2 * BLOCK];
    for (hundreds, four) in hundreds.iter_mut().zip(&mut fours) {
        *hundreds = high_half(*four, 10_486) >> 4;
        *four = four.wrapping_sub(hundreds.wrapping_mul(100));
    }
    let twos = scaled.rest.as_flattened_mut();
    for index in 0..2 * BLOCK {
        twos[2 * index] = two_digits(hundreds[index]);
        twos[2 * index + 1] = two_digits(fours[index]);
    }
}

/// The digits of a number below 100, one in each byte, the first in the lower one.
#[inline(always)]
#[expect(clippy::inline_always, reason = "compiled once for each set of CPU features")]
fn two_digits(number: u16) -> u16 {
    let tens = high_half(number, 6_554);
    // tens + 2^8 * (number - 10 * tens)
    (number << 8).wrapping_sub(tens.wrapping_mul(2_559))
}

/// The upper half of a product: one instruction for as many u16 as a vector has, twice as many as of u32.
#[inline(always)]
#[expect(clippy::inline_always, reason = "compiled once for each set of CPU features")]
fn high_half(a: u16, b: u16) -> u16 {
    ((u32::from(a) * u32::from(b)) >> 16) as u16
}

#[cfg(test)]
mod tests {
    use super::super::block::tested::on_each_cpu;
    use super::*;

    fn text(
        values: &[f32],
        write: impl Fn(&[f32], NonFinite, &mut Vec<u8>, &mut Counts),
    ) -> String {
        let mut out = Vec::new();
        write(values, NonFinite::Null, &mut out, &mut Counts::default());
        String::from_utf8(out).unwrap()
    }

    fn by_zmij(values: &[f32]) -> String {
        let mut buffer = zmij::Buffer::new();
        let texts = values.iter().map(|value| {
            let text = if value.is_finite() { buffer.format_finite(*value) } else { "null" };
            text.to_owned()
        });
        format!("[{}]", texts.collect::<Vec<_>>().join(","))
    }

    fn check(values: &[f32]) {
        on_each_cpu(|| check_on_this(values));
    }

    fn check_on_this(values: &[f32]) {
        let expected = by_zmij(values);
        assert_eq!(text(values, write_f32_list), expected);
        for block in values.chunks(super::super::cell::CELLS) {
            let mut cells = Cells::new(b"");
            cells.begin(&(0..block.len()));
            fill(block, &mut cells);
            cells.finish(0, false);
            for (index, value) in block.iter().enumerate() {
                if let Some((text, length)) = cells.text(index) {
                    let expected = zmij::Buffer::new().format_finite(*value).to_owned();
                    assert_eq!(std::str::from_utf8(&text[..length]), Ok(&expected[..]));
                }
            }
        }
    }

    #[test]
    fn a_sample_of_all_bit_patterns_is_spelled_like_zmij() {
        // A step that is prime reaches every exponent and all kinds of mantissas.
        let mut bits: u32 = 0;
        let mut values = Vec::with_capacity(1_000);
        for _ in 0..4_000 {
            values.clear();
            for _ in 0..1_000 {
                values.push(f32::from_bits(bits));
                bits = bits.wrapping_add(1_073_741_827).rotate_left(1);
            }
            check(&values);
        }
    }

    #[test]
    fn every_exponent_and_the_neighbours_of_powers_are_spelled_like_zmij() {
        let mut values = Vec::new();
        for exponent in 0..=255_u32 {
            for mantissa in [0, 1, 2, 0x3f_ffff, 0x40_0000, 0x7f_fffe, 0x7f_ffff] {
                values.push(f32::from_bits(exponent << 23 | mantissa));
                values.push(f32::from_bits(1 << 31 | exponent << 23 | mantissa));
            }
        }
        for power in -10..10 {
            let around = 10_f32.powi(power).to_bits();
            values.extend((around - 40..around + 40).map(f32::from_bits));
        }
        // Here two multiples of 100 may be near enough.
        let (from, to) = (0.000_976_562_5_f32.to_bits(), 0.001_f32.to_bits());
        values.extend((from..to).step_by(3).map(f32::from_bits));
        for thousandth in 0..=20_000_i16 {
            values.push(f32::from(thousandth) / 1000.0);
        }
        check(&values);
    }

    #[test]
    fn lists_of_every_length_end_well() {
        let values: Vec<f32> = (0..100_i16).map(|index| f32::from(index) * 0.37 - 11.0).collect();
        for length in 0..=values.len() {
            check(&values[..length]);
        }
    }
}
