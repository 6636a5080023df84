//! Lists and cells of f64 as the shortest text that reads back to the same value.
//!
//! Bench: `cargo bench --bench engine`, f64 list and f64 prices; `benches/peers/`, data set vec64. A long
//! list takes 0.35 to 0.55 of the time of a loop over `zmij` where there is AVX2, or 0.6 to 0.87 on any CPU. Compiled
//! for AVX-512 the program takes 0.96 of its time for them.
//!
//! How it works. A value is `significand` / 2^`down`, where `significand` has 53 bits. `places` is the
//! largest number with 10^`places` < 2^`down`. So `x` = value * 10^`places` is below 10^16, and `step`,
//! the distance between neighbours scaled alike, is between 0.1 and 1. Whatever is nearer to `x` than
//! half a step reads back to the same value. That is one whole number at most, and if there is one, it
//! is the shortest text: 16 digits or, with zeros at its end, fewer. If there is none, one more digit is
//! enough, and the nearest tenth is taken; of two that are as near, the even one.
//!
//! All of this is exact. `step` * 2^64 = 5^`places` * 2^(64 + `places` - `down`) is a whole number below
//! 2^64, so its product with `significand` is `x` with 64 bits behind the point, of which the last 16 are
//! zeros. No whole number is exactly half a step from `x`, as (2 * `significand` ± 1) * `step` is never
//! whole; so it makes no difference whether the significand is even. The neighbour below a power of two
//! is nearer than half a step tells, but here each power of two is a whole number once scaled.
//!
//! Values are taken 32 at a time: first the products, then all that follows from them, then the digits,
//! and last the texts. Only the products and the texts are made one by one.
//!
//! What goes to `zmij`: values below 2^-16 (about 1.5e-5) except zero, or from 2^46 (about 7e13) on;
//! blocks in which more than three quarters are such or zero; and lists, and the rests of lists behind
//! their blocks, of fewer than [`FEW`] values.
//!
//! To compare it with `zmij` on 10^10 values of all kinds: `cargo run --release -p viking-reader --example
//! all_doubles`, about half an hour. A sample runs with the tests.
//!
//! Invariants: each value takes at most [`SLOT`] bytes: a sign, `0.0000`, 17 digits, a comma, and what
//! the fixed-size stores write beyond it.
//!
//! Not here: texts with an exponent, and a way of its own for prices, which would gain nothing.

use crate::jsonl::options::{Counts, NonFinite};

use super::block::{BLOCK, for_each_cpu, four_digits, whole_block};
use super::cell::{Cells, SLOT, Slot};
use super::digits::{divided_by_ten_to_8, fours};
use super::float::{f64_cell, write_each_f64, write_f64};

/// Fewer values than these are faster one by one.
const FEW: usize = 16;

/// Digits that are made for each value, before the last one.
const DIGITS: usize = 16;

const ZEROS: u64 = 0x3030_3030_3030_3030;

const POWER_52: u64 = 1 << 52;

/// 10^15, the smallest number of [`DIGITS`] digits.
const LEAST: u64 = 1_000_000_000_000_000;

/// For each exponent this kernel is for, how its values are scaled.
#[derive(Clone, Copy)]
struct Scale {
    /// The distance between neighbours once they are scaled, times 2^64.
    step: u64,
    /// The power of ten they are scaled by.
    places: u64,
}

/// The exponent of 2^-16, as it stands in the bits.
const LOWEST: u64 = 1023 - 16;

/// The exponents from 2^-16 up to below 2^46.
const EXPONENTS: usize = 62;

/// Behind those of the exponents comes the one for zero, which has one digit behind the point.
const SCALES: [Scale; EXPONENTS + 1] = scales();

#[expect(clippy::cast_possible_truncation, reason = "exponents are below 64")]
const fn scales() -> [Scale; EXPONENTS + 1] {
    let mut scales = [Scale { step: 0, places: DIGITS as u64 - 2 }; EXPONENTS + 1];
    let mut exponent = 0;
    while exponent < EXPONENTS {
        let down = 52 + 16 - exponent as u32;
        let mut places = 0;
        while 10_u128.pow(places + 1) < 1 << down {
            places += 1;
        }
        let step = 5_u64.pow(places) << (64 + places - down);
        scales[exponent] = Scale { step, places: places as u64 };
        exponent += 1;
    }
    scales
}

/// Up to [`BLOCK`] values after scaling.
#[derive(Debug)]
struct Scaled {
    /// The first digits; there is none of zero at their front, unless the value is zero. One row more is
    /// there for copies of a fixed size.
    digits: [u8; (BLOCK + 1) * DIGITS],
    /// The digit after those. Zeros at the end are not yet cut off.
    last: [u64; BLOCK],
    /// How many of the first digits are behind the point; more than there are for zeros before them.
    behind: [u64; BLOCK],
    /// Not zero where nothing is decided here.
    far: [u64; BLOCK],
}

impl Scaled {
    const NONE: Self = Self {
        digits: [0; (BLOCK + 1) * DIGITS],
        last: [0; BLOCK],
        behind: [0; BLOCK],
        far: [0; BLOCK],
    };
}

for_each_cpu! {
    /// Makes the cells of single values, a column's or a map's.
    ///
    /// Compiled for any CPU the blocks take longer for prices than [`f64_cell`].
    pub(crate) fn fill(values: &[f64], cells: &mut Cells) {
        vectors: fill_blocks(values, cells),
        any: cells.fill(values, f64_cell),
    }
}

#[inline(always)]
#[expect(clippy::inline_always, reason = "compiled once for each set of CPU features")]
fn fill_blocks(values: &[f64], cells: &mut Cells) {
    let mut scaled = Scaled::NONE;
    for (number, block) in values.chunks(BLOCK).enumerate() {
        let is_scaled = scale(block, &mut scaled);
        cells.block_mut(number * BLOCK).each(block.len(), |index, text| {
            let value = block[index];
            let made = if is_scaled && scaled.far[index] == 0 {
                // Without the comma.
                Some(write_digits(&scaled, index, value.is_sign_negative(), text) - 1)
            } else {
                f64_cell(value, text)
            };
            made.map_or(Cells::LONG, super::cell::as_length)
        });
    }
}

/// Appends an array of f64 without nulls.
pub(crate) fn write_f64_list(
    values: &[f64],
    form: NonFinite,
    out: &mut Vec<u8>,
    counts: &mut Counts,
) {
    out.push(b'[');
    if values.len() < FEW {
        // What the blocks need takes longer to clear than these to write.
        write_each_f64(values, form, out, counts);
    } else {
        write_many(values, form, out, counts);
    }
    match out.last_mut() {
        Some(last) if *last == b',' => *last = b']',
        _ => out.push(b']'),
    }
}

for_each_cpu! {
    fn write_many(values: &[f64], form: NonFinite, out: &mut Vec<u8>, counts: &mut Counts) {
        vectors: write_blocks(values, form, out, counts),
        any: write_blocks(values, form, out, counts),
    }
}

#[inline(always)]
#[expect(clippy::inline_always, reason = "compiled once for each set of CPU features")]
fn write_blocks(values: &[f64], form: NonFinite, out: &mut Vec<u8>, counts: &mut Counts) {
    let mut scaled = Scaled::NONE;
    let mut texts = [0; BLOCK * SLOT];
    for block in values.chunks(BLOCK) {
        if scale(block, &mut scaled) {
            write_block(block, &scaled, &mut texts, form, out, counts);
        } else {
            write_each_f64(block, form, out, counts);
        }
    }
}

/// The part that is the same for every value, without a branch. Scales nothing and returns false where
/// it would not pay.
#[inline(always)]
#[expect(clippy::inline_always, reason = "compiled once for each set of CPU features")]
#[expect(
    clippy::cast_possible_truncation,
    clippy::needless_bitwise_bool,
    reason = "halves of a product and small indexes; and lazy operators would be branches"
)]
fn scale(values: &[f64], scaled: &mut Scaled) -> bool {
    if values.len() < FEW {
        return false;
    }
    let mut room = [0.0; BLOCK];
    let values = whole_block(values, &mut room);
    let (mut rows, mut significands) = ([0; BLOCK], [0; BLOCK]);
    let mut others = 0;
    for index in 0..BLOCK {
        let bits = values[index].abs().to_bits();
        rows[index] = (bits >> 52).wrapping_sub(LOWEST).min(EXPONENTS as u64);
        significands[index] = (bits & (POWER_52 - 1)) | POWER_52;
        let is_other = rows[index] == EXPONENTS as u64;
        scaled.far[index] = u64::from(is_other & (bits != 0));
        others += u64::from(is_other);
    }
    if others > BLOCK as u64 / 4 * 3 {
        return false;
    }
    let (mut wholes, mut fractions, mut steps) = ([0; BLOCK], [0; BLOCK], [0; BLOCK]);
    // One by one, as there are no vectors of such products.
    for index in 0..BLOCK {
        let scale = &SCALES[rows[index] as usize];
        let product = u128::from(scale.step) * u128::from(significands[index]);
        wholes[index] = (product >> 64) as u64;
        fractions[index] = product as u64;
        steps[index] = scale.step;
        scaled.behind[index] = scale.places;
    }
    for index in 0..BLOCK {
        // With 63 bits behind the point, the highest bit tells whether a sum or difference leaves 0..1.
        let fraction = fractions[index] >> 1;
        let half = steps[index] >> 2;
        let is_up = (fraction + half) >> 63;
        let is_down = fraction.wrapping_sub(half) >> 63;
        let whole = wholes[index] + is_up;
        // With 60 bits behind the point; a quarter is the tie that rounds down.
        let is_quarter = u64::from(fraction == 1 << 61);
        let tenths = ((fraction >> 2) * 5 + (1 << 59) - is_quarter) >> 60;
        let last = tenths & (is_up | is_down).wrapping_sub(1);
        // A number of 15 digits takes in the last one.
        let is_short = whole.wrapping_sub(LEAST) >> 63;
        let short = is_short.wrapping_neg();
        let number = whole + ((whole * 9 + last) & short);
        scaled.last[index] = last & !short;
        scaled.behind[index] += is_short;
        let high = divided_by_ten_to_8(number);
        let low = number - high * 100_000_000;
        let at = index * DIGITS;
        scaled.digits[at..at + 8].copy_from_slice(&fours(high).to_le_bytes());
        scaled.digits[at + 8..at + 16].copy_from_slice(&fours(low).to_le_bytes());
    }
    for four in scaled.digits[..BLOCK * DIGITS].as_chunks_mut().0 {
        *four = (four_digits(u32::from_le_bytes(*four)) | ZEROS as u32).to_le_bytes();
    }
    true
}

/// Appends the texts of a block, a comma behind each.
#[inline(always)]
#[expect(clippy::inline_always, reason = "compiled once for each set of CPU features")]
fn write_block(
    values: &[f64],
    scaled: &Scaled,
    texts: &mut [u8; BLOCK * SLOT],
    form: NonFinite,
    out: &mut Vec<u8>,
    counts: &mut Counts,
) {
    let mut end = 0;
    for (index, &value) in values.iter().enumerate() {
        if scaled.far[index] != 0 {
            out.extend_from_slice(&texts[..end]);
            end = 0;
            write_f64(value, form, out, counts);
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
#[expect(clippy::inline_always, reason = "compiled once for each set of CPU features")]
#[expect(clippy::cast_possible_truncation, reason = "digits and their counts are small")]
fn write_digits(scaled: &Scaled, index: usize, is_negative: bool, slot: &mut Slot) -> usize {
    let digits = &scaled.digits[index * DIGITS..];
    let (last, behind) = (scaled.last[index], scaled.behind[index] as usize);
    // Without zeros at the end: mostly some of the last eight digits are none.
    let (eights, _) = digits.as_chunks();
    let [first, second] = [eights[0], eights[1]].map(|eight| u64::from_le_bytes(eight) ^ ZEROS);
    let rest = second >> 8 | last << 56;
    let shown = if rest == 0 {
        9 - (first >> 8 | second << 56).leading_zeros() as usize / 8
    } else {
        17 - rest.leading_zeros() as usize / 8
    };
    let last = last as u8 | b'0';
    slot[0] = b'-';
    let start = usize::from(is_negative);
    if behind >= DIGITS {
        // 0.00123: the first digit comes behind the point and the zeros.
        let zeros = (behind - DIGITS) & 7;
        slot[start..start + 8].copy_from_slice(b"0.000000");
        let at = start + 2 + zeros;
        slot[at..at + 16].copy_from_slice(&digits[..16]);
        slot[at + 16] = last;
        let end = at + shown;
        slot[end] = b',';
        return end + 1;
    }
    // 12.3: all digits, then those behind the point once more, one place further.
    let before = (DIGITS - behind) & 15;
    slot[start..start + 16].copy_from_slice(&digits[..16]);
    slot[start + before] = b'.';
    let at = start + before + 1;
    slot[at..at + 16].copy_from_slice(&digits[before..before + 16]);
    slot[start + 17] = last;
    let end = start + shown.max(before + 1) + 1;
    slot[end] = b',';
    end + 1
}

#[cfg(test)]
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_precision_loss,
    reason = "made-up numbers of any kind will do"
)]
mod tests {
    use super::super::block::tested::on_each_cpu;
    use super::super::cell::CELLS;
    use super::*;

    fn check(values: &[f64]) {
        on_each_cpu(|| check_on_this(values));
    }

    fn check_on_this(values: &[f64]) {
        let mut buffer = zmij::Buffer::new();
        let mut text = |value: &f64| {
            if value.is_finite() { buffer.format_finite(*value).to_owned() } else { "null".into() }
        };
        let texts: Vec<String> = values.iter().map(&mut text).collect();
        let nonfinite = values.iter().filter(|value| !value.is_finite()).count() as u64;
        let expected = format!("[{}]", texts.join(","));
        let (mut out, mut counts) = (Vec::new(), Counts::default());
        write_f64_list(values, NonFinite::Null, &mut out, &mut counts);
        assert_eq!(String::from_utf8_lossy(&out), expected);
        assert_eq!(counts.nonfinite, nonfinite);
        for (values, texts) in values.chunks(CELLS).zip(texts.chunks(CELLS)) {
            let mut cells = Cells::new(b"");
            cells.begin(&(0..values.len()));
            fill(values, &mut cells);
            cells.finish(0, false);
            for (index, text) in texts.iter().enumerate() {
                let cell = cells.text(index).map(|(slot, length)| &slot[..length]);
                assert_eq!(cell, values[index].is_finite().then_some(text.as_bytes()), "{text}");
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

    fn with_exponent(exponent: u64, bits: u64) -> f64 {
        f64::from_bits((bits & (1 << 63 | (POWER_52 - 1))) | exponent << 52)
    }

    #[test]
    fn values_of_all_kinds_are_spelled_like_zmij() {
        let mut values: Vec<f64> = random(50_000).map(f64::from_bits).collect();
        for (round, bits) in (0..).zip(random(500_000)) {
            // Two more exponents on both sides than are decided here.
            values.push(with_exponent(LOWEST - 2 + round % (EXPONENTS as u64 + 4), bits));
            let number = (bits >> (11 + bits % 53)) as f64;
            values.push(number / 10_f64.powi((round % 17) as i32));
            values.push(f64::from(number as f32 / 1e9));
        }
        check(&values);
    }

    #[test]
    fn every_exponent_and_what_lies_around_powers_and_ties_are_spelled_like_zmij() {
        let mut values = Vec::new();
        for exponent in 0..2048 {
            for bits in [0, 1, 2, POWER_52 / 2, POWER_52 - 1, 1 << 63, u64::MAX] {
                values.push(with_exponent(exponent, bits));
            }
        }
        for power in -20..=20 {
            let ten = 10_f64.powi(power);
            for around in [ten, ten * 2.5, ten * 7.5, 2_f64.powi(power)] {
                let bits = around.to_bits();
                values.extend((bits - 100..bits + 100).map(f64::from_bits));
            }
        }
        for (row, scale) in (0..).zip(&SCALES[..EXPONENTS]) {
            // Odd numbers of quarters once they are scaled.
            let zeros = (52 + 16 - row) - scale.places - 2;
            let quarters = random(1_000).map(|bits| (bits >> zeros | 1) << zeros);
            values.extend(quarters.map(|bits| with_exponent(LOWEST + row, bits)));
        }
        check(&values);
        // By themselves, as blocks in which few values are decided are written one by one.
        check(&(-16..46).map(|power| 2_f64.powi(power)).collect::<Vec<_>>());
    }

    #[test]
    fn lists_of_every_length_end_well_whatever_stands_in_them() {
        for other in [0.3, 0.0, -0.0, f64::NAN, f64::INFINITY, 1e300, 5e-324, -1e-9] {
            for length in 0..100_usize {
                let value =
                    |index| if index % 7 < length % 6 { other } else { -3.7 * index as f64 };
                check(&(0..length).map(value).collect::<Vec<_>>());
            }
        }
    }
}
