//! Lists of f32 as the shortest text that reads back to the same value: the payload of a vector
//! database.
//!
//! Bench: `cargo bench --bench engine`, f32; `benches/peers/`, data sets vec and sparse. Compiled for AVX2
//! it takes 0.57 of the time of the same code for any CPU (`benches/record/2026-11-23-avx2.json`).
//!
//! How it works. A value is widened to f64 and scaled by a power of ten to `x` in 10^8..10^9. In f64
//! the scaling is off by less than 1e-6, while half the distance to the next f32, scaled
//! alike, is `half` = 3..60. So the nearest whole number always reads back to the same f32 (9 digits);
//! the nearest multiple of 10 does if it is nearer than `half` (8 digits), and so does that of 100
//! (7 digits or, with zeros at its end, fewer). The most zeros win, and zeros are cut off at the end.
//!
//! Whatever this arithmetic cannot decide goes to `zmij`: distances within [`EPSILON`] of a border or
//! of a tie, `half` above 50 (two multiples of 100 may fit), powers of two (their interval is not
//! symmetric), values outside 1e-6..1e6, zero, NaN and infinities. For random values that is about
//! one in a thousand.
//!
//! Equal to `zmij` on all 2^32 bit patterns: `cargo run --release -p viking-reader --example
//! all_floats`, about three minutes. A sample runs with the tests.
//!
//! Invariants: each value takes at most [`SLOT`] bytes: a sign, `0.00000`, nine digits, a comma, and
//! what the fixed-size stores write beyond it.
//!
//! Not here: a level of multiples of 1,000, which decides nothing once `half` is at most 50.

use crate::jsonl::{Counts, NonFinite};

use super::cell::{Cells, SLOT, Slot, as_length};
use super::float::write_f32;

/// A value and its comma have about so many bytes.
const TEXT_BYTES: usize = 11;

/// Values that are scaled together.
pub(super) const BLOCK: usize = 32;

/// Distances closer than this to a border are not decided here. The arithmetic is off by less than 1e-6.
const EPSILON: f64 = 1e-4;

/// Adding and subtracting it rounds an f64 below 2^51 to a whole number.
const ROUND: f64 = 6_755_399_441_055_744.0;

/// 2^52: an f64 from here on has no bits behind the point.
const POWER_52: f64 = 4_503_599_627_370_496.0;

/// For each exponent of an f32 how its values are scaled.
struct Scale {
    /// The power of ten between the values of this exponent, or infinity.
    limit: f64,
    /// Brings values below `limit` to 10^8..10^9, and those above to a tenth of that.
    power: f64,
    /// Digits before the point of values below `limit`; [`FAR`] where this kernel does not apply.
    digits_before: i32,
}

const FAR: i32 = 99;

const SCALES: [Scale; 256] = scales();

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_possible_wrap,
    reason = "exponents are below 256"
)]
const fn scales() -> [Scale; 256] {
    const FAR_SCALE: Scale = Scale { limit: f64::INFINITY, power: 0.0, digits_before: FAR };
    let mut scales = [FAR_SCALE; 256];
    let mut exponent = 0;
    while exponent < 256 {
        // The smallest value of this exponent.
        let low = power_of_two(exponent as i32 - 127);
        let mut digits_before = -5;
        while digits_before <= 6 {
            let (from, to) = (power_of_ten(digits_before - 1), power_of_ten(digits_before));
            if low >= from && low < to {
                // Values of this exponent that reach the next power of ten are scaled by a tenth.
                let limit = if 2.0 * low > to { to } else { f64::INFINITY };
                let power = power_of_ten(9 - digits_before);
                scales[exponent] = Scale { limit, power, digits_before };
            }
            digits_before += 1;
        }
        exponent += 1;
    }
    scales
}

#[expect(clippy::cast_sign_loss, reason = "no exponent of an f32 is below -1023")]
const fn power_of_two(exponent: i32) -> f64 {
    f64::from_bits(((exponent + 1023) as u64) << 52)
}

/// Exact from 10^0 to 10^22; below it the nearest f64, good enough to compare with.
const fn power_of_ten(exponent: i32) -> f64 {
    let mut power = 1.0;
    let mut left = if exponent < 0 { -exponent } else { exponent };
    while left > 0 {
        power *= 10.0;
        left -= 1;
    }
    if exponent < 0 { 1.0 / power } else { power }
}

/// Up to [`BLOCK`] values after scaling.
#[derive(Debug)]
struct Scaled {
    /// The first of nine digits.
    first: [u32; BLOCK],
    /// The next four, one in each byte, and the last four. Zeros at the end are not yet cut off.
    middle: [u32; BLOCK],
    last: [u32; BLOCK],
    /// Digits before the point; negative for zeros behind it.
    digits_before: [i32; BLOCK],
    /// Not zero where nothing is decided here.
    open: [u32; BLOCK],
}

impl Scaled {
    const NONE: Self = Self {
        first: [0; BLOCK],
        middle: [0; BLOCK],
        last: [0; BLOCK],
        digits_before: [0; BLOCK],
        open: [0; BLOCK],
    };
}

/// Makes the cells of single values, a column's or a map's; what is not decided here is left long.
pub(crate) fn fill(values: &[f32], cells: &mut Cells) {
    let mut scaled = Scaled::NONE;
    for (number, block) in values.chunks(BLOCK).enumerate() {
        let start = number * BLOCK;
        #[cfg(target_arch = "x86_64")]
        if has_avx2() {
            #[expect(unsafe_code, reason = "the same code compiled for AVX2 takes half the time")]
            // SAFETY: the CPU has what the function is compiled for, as was asked just now.
            unsafe {
                fill_block_avx2(block, &mut scaled, cells, start);
            }
            continue;
        }
        fill_block(block, &mut scaled, cells, start);
    }
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2,bmi2,lzcnt")]
fn fill_block_avx2(values: &[f32], scaled: &mut Scaled, cells: &mut Cells, start: usize) {
    fill_block(values, scaled, cells, start);
}

#[inline(always)]
#[expect(clippy::inline_always, reason = "compiled once for each set of CPU features")]
fn fill_block(values: &[f32], scaled: &mut Scaled, cells: &mut Cells, start: usize) {
    scale(whole_block(values, &mut [0.0; BLOCK]), scaled);
    cells.block_mut(start).each(values.len(), |index, text| {
        // Without the comma.
        let digits = write_digits(scaled, index, values[index].is_sign_negative(), text) - 1;
        if scaled.open[index] == 0 { as_length(digits) } else { Cells::LONG }
    });
}

/// The first [`BLOCK`] values, or fewer in `room` with something harmless behind them.
pub(super) fn whole_block<'a, T: Copy>(
    values: &'a [T],
    room: &'a mut [T; BLOCK],
) -> &'a [T; BLOCK] {
    if let Some(block) = values.first_chunk() {
        return block;
    }
    room[..values.len()].copy_from_slice(values);
    room
}

#[cfg(target_arch = "x86_64")]
pub(super) fn has_avx2() -> bool {
    std::arch::is_x86_feature_detected!("avx2")
        && std::arch::is_x86_feature_detected!("bmi2")
        && std::arch::is_x86_feature_detected!("lzcnt")
}

/// Appends an array of f32 without nulls.
pub(crate) fn write_f32_list(
    values: &[f32],
    form: NonFinite,
    out: &mut Vec<u8>,
    counts: &mut Counts,
) {
    #[cfg(target_arch = "x86_64")]
    if has_avx2() {
        #[expect(unsafe_code, reason = "the same code compiled for AVX2 takes about half the time")]
        // SAFETY: the CPU has what the function is compiled for, as was asked just now.
        unsafe {
            write_list_avx2(values, form, out, counts);
        }
        return;
    }
    write_list(values, form, out, counts);
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2,bmi2,lzcnt")]
fn write_list_avx2(values: &[f32], form: NonFinite, out: &mut Vec<u8>, counts: &mut Counts) {
    write_list(values, form, out, counts);
}

#[inline(always)]
#[expect(clippy::inline_always, reason = "compiled once for each set of CPU features")]
fn write_list(values: &[f32], form: NonFinite, out: &mut Vec<u8>, counts: &mut Counts) {
    // Longer lists than most would make the buffer grow again and again.
    out.reserve(values.len() * TEXT_BYTES + 2);
    out.push(b'[');
    let mut scaled = Scaled::NONE;
    let mut padded = [0.0; BLOCK];
    let mut texts = [0; BLOCK * SLOT];
    for block in values.chunks(BLOCK) {
        let block_values = whole_block(block, &mut padded);
        scale(block_values, &mut scaled);
        write_block(block, &scaled, &mut texts, form, out, counts);
    }
    match out.last_mut() {
        Some(last) if *last == b',' => *last = b']',
        _ => out.push(b']'),
    }
}

/// The part that is the same for every value, without a branch.
#[inline(always)]
#[expect(clippy::inline_always, reason = "compiled once for each set of CPU features")]
#[expect(
    clippy::cast_possible_truncation,
    clippy::needless_bitwise_bool,
    reason = "digits are below 10^9, or else the value is open; and lazy operators would be branches"
)]
fn scale(values: &[f32; BLOCK], scaled: &mut Scaled) {
    let (mut power, mut limit) = ([0.0_f64; BLOCK], [0.0_f64; BLOCK]);
    let mut number = [0_u32; BLOCK];
    for index in 0..BLOCK {
        let scale = &SCALES[(values[index].to_bits() >> 23) as usize & 0xff];
        power[index] = scale.power;
        limit[index] = scale.limit;
        scaled.digits_before[index] = scale.digits_before;
    }
    for index in 0..BLOCK {
        let bits = values[index].to_bits() & 0x7fff_ffff;
        let magnitude = f64::from(f32::from_bits(bits));
        let is_above = magnitude >= limit[index];
        let power = if is_above { power[index] * 0.1 } else { power[index] };
        // Half the distance between two f32 of this exponent, scaled: 2^(exponent - 127 - 24).
        let half = f64::from_bits((u64::from(bits >> 23) + 1023 - 127 - 24) << 52) * power;
        let x = magnitude * power;
        let nine = (x + ROUND) - ROUND;
        let eight = ((x * 0.1 + ROUND) - ROUND) * 10.0;
        let seven = ((x * 0.01 + ROUND) - ROUND) * 100.0;
        let (off_9, off_8, off_7) = ((x - nine).abs(), (x - eight).abs(), (x - seven).abs());
        let longer = if off_8 < half { eight } else { nine };
        let digits = if off_7 < half { seven } else { longer };
        let is_open = ((off_7 - half).abs() < EPSILON)
            | ((off_8 - half).abs() < EPSILON)
            | (off_8 > 5.0 - EPSILON)
            | (off_9 > 0.5 - EPSILON)
            | (half > 50.0 - EPSILON)
            | (digits >= 1e9)
            | (bits << 9 == 0)
            | (scaled.digits_before[index] == FAR);
        // The whole number stands in the low bits once 2^52 is added.
        number[index] = (digits + POWER_52).to_bits() as u32;
        scaled.digits_before[index] += i32::from(is_above);
        scaled.open[index] = u32::from(is_open);
    }
    for (index, number) in number.into_iter().enumerate() {
        let (first, rest) = (number / 100_000_000, number % 100_000_000);
        scaled.first[index] = first;
        scaled.middle[index] = four_digits(rest / 10_000);
        scaled.last[index] = four_digits(rest % 10_000);
    }
}

/// The digits of a number below 10^4, one in each byte, the first in the lowest.
#[inline(always)]
#[expect(clippy::inline_always, reason = "compiled once for each set of CPU features")]
pub(super) fn four_digits(number: u32) -> u32 {
    let hundreds = (number * 10_486) >> 20;
    let twos = hundreds | (number - hundreds * 100) << 16;
    let tens = ((twos * 103) >> 10) & 0x000f_000f;
    tens | (twos - tens * 10) << 8
}

/// Appends the texts of a block, a comma behind each.
#[inline(always)]
#[expect(clippy::inline_always, reason = "compiled once for each set of CPU features")]
fn write_block(
    values: &[f32],
    scaled: &Scaled,
    texts: &mut [u8; BLOCK * SLOT],
    form: NonFinite,
    out: &mut Vec<u8>,
    counts: &mut Counts,
) {
    let mut end = 0;
    for (index, &value) in values.iter().enumerate() {
        if scaled.open[index] != 0 {
            out.extend_from_slice(&texts[..end]);
            end = 0;
            write_f32(value, form, out, counts);
            out.push(b',');
            continue;
        }
        if let Some(slot) = texts[end..].first_chunk_mut::<SLOT>() {
            end += write_digits(scaled, index, value.is_sign_negative(), slot);
        }
    }
    out.extend_from_slice(&texts[..end]);
}

/// Writes one value and a comma, and returns their length. All stores have fixed sizes.
#[inline(always)]
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a digit fits a byte, and counts of digits are small and checked for their sign"
)]
fn write_digits(scaled: &Scaled, index: usize, is_negative: bool, slot: &mut Slot) -> usize {
    const ZEROS: u64 = 0x3030_3030_3030_3030;
    let digits_before = scaled.digits_before[index];
    let rest = u64::from(scaled.middle[index]) | u64::from(scaled.last[index]) << 32;
    let shown = 9 - rest.leading_zeros() as usize / 8;
    let (first, rest) = (scaled.first[index] as u8 | b'0', rest | ZEROS);
    slot[0] = b'-';
    let start = usize::from(is_negative);
    if digits_before <= 0 {
        // 0.00123: the first digit comes behind the point and the zeros.
        let zeros = digits_before.unsigned_abs() as usize & 7;
        slot[start..start + 8].copy_from_slice(b"0.000000");
        let at = start + 2 + zeros;
        slot[at] = first;
        slot[at + 1..at + 9].copy_from_slice(&rest.to_le_bytes());
        let end = at + shown;
        slot[end] = b',';
        return end + 1;
    }
    // 12.3: all digits, then those behind the point once more, one place further.
    let before = digits_before as usize & 7;
    let all = u128::from(first) | u128::from(rest) << 8 | u128::from(ZEROS) << 72;
    slot[start..start + 16].copy_from_slice(&all.to_le_bytes());
    slot[start + before] = b'.';
    let behind = (all >> (8 * before)) as u64;
    let at = start + before + 1;
    slot[at..at + 8].copy_from_slice(&behind.to_le_bytes());
    let end = start + shown.max(before + 1) + 1;
    slot[end] = b',';
    end + 1
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(values: &[f32], write: fn(&[f32], NonFinite, &mut Vec<u8>, &mut Counts)) -> String {
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
        let expected = by_zmij(values);
        assert_eq!(text(values, write_f32_list), expected);
        assert_eq!(text(values, write_list), expected, "compiled for any CPU");
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
