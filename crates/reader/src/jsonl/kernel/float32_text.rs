//! How the digits of an f32 become its text.
//!
//! A text is made in one step, without a branch: on x86-64 CPUs with AVX2 a shuffle brings the digits, the
//! sign, the point and the zeros in order; elsewhere the digits are one number of 128 bits that is shifted
//! apart where the point comes. Both are equal in the tests of [`super::float32`].
//!
//! Invariants: a text takes at most [`TEXT`] bytes: a sign, `0.0000` and nine digits.

#[cfg(target_arch = "x86_64")]
use std::arch::x86_64::{_mm_add_epi8, _mm_set_epi64x, _mm_set1_epi8, _mm_shuffle_epi8};

#[cfg(target_arch = "x86_64")]
use super::escape::{half, half_array};

/// What a text takes at most.
pub(super) const TEXT: usize = 16;

/// Digits of each value before zeros at its end are cut off.
pub(super) const DIGITS: usize = 9;

/// Digits before the point; none, or fewer for zeros behind it.
pub(super) const FEWEST: i32 = -4;
pub(super) const MOST: i32 = 7;

/// Forms of the values of one sign. Those with a minus come behind those without.
pub(super) const OF_SIGN: usize = (MOST - FEWEST) as usize + 1;

/// By sign and digits before the point, how long a text is.
pub(super) static LENGTHS: [Length; 2 * OF_SIGN] = lengths();

/// By sign and digits before the point, what [`shuffle`] has to do.
#[cfg(target_arch = "x86_64")]
static ORDERS: [[u8; TEXT]; 2 * OF_SIGN] = orders();

/// By sign and digits before the point, what [`shift`] has to do.
static SHIFTS: [Shift; 2 * OF_SIGN] = shifts();

/// The length of a text.
#[derive(Clone, Copy)]
pub(super) struct Length {
    /// With all digits.
    pub(super) whole: u8,
    /// How many zeros at the end may be cut off.
    pub(super) zeros: u8,
}

/// How the number of all digits becomes the text.
#[derive(Clone, Copy)]
struct Shift {
    /// The digits that keep their places.
    kept: u128,
    /// How far the others go.
    others: u8,
    /// How far all of it goes then.
    all: u8,
    /// What comes into the gaps.
    marks: u128,
}

/// The digits of a value.
#[derive(Debug, Clone, Copy)]
pub(super) struct Digits {
    /// The first one.
    pub(super) first: u8,
    /// Those behind it, one in each byte, the first in the lowest.
    pub(super) rest: u64,
}

/// The sign and the digits before the point that an index stands for.
const fn form(index: usize) -> (bool, i32) {
    #[expect(clippy::cast_possible_truncation, clippy::cast_possible_wrap, reason = "few")]
    let before = (index % OF_SIGN) as i32 + FEWEST;
    (index >= OF_SIGN, before)
}

/// What stands before the first digit: the sign, and all up to the last zero behind the point.
const fn head(index: usize) -> usize {
    let (is_negative, before) = form(index);
    let zeros = if before <= 0 { 2 + before.unsigned_abs() as usize } else { 0 };
    is_negative as usize + zeros
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "below 16")]
const fn lengths() -> [Length; 2 * OF_SIGN] {
    let mut lengths = [Length { whole: 0, zeros: 0 }; 2 * OF_SIGN];
    let mut index = 0;
    while index < lengths.len() {
        let (_, before) = form(index);
        let digits = (head(index) + DIGITS) as u8;
        // A whole number keeps one zero behind the point.
        lengths[index] = if before <= 0 {
            Length { whole: digits, zeros: DIGITS as u8 - 1 }
        } else {
            Length { whole: digits + 1, zeros: DIGITS as u8 - 1 - before as u8 }
        };
        index += 1;
    }
    lengths
}

/// Places in what is shuffled, behind the eight digits that follow the first one.
#[cfg(target_arch = "x86_64")]
const FIRST: u8 = 8;
#[cfg(target_arch = "x86_64")]
const MINUS: u8 = 9;
#[cfg(target_arch = "x86_64")]
const POINT: u8 = 10;
/// A place that the shuffle makes zero.
#[cfg(target_arch = "x86_64")]
const ZERO: u8 = 0x80;

/// The minus and the point at their places, less the `0` that all bytes are raised by.
#[cfg(target_arch = "x86_64")]
const MARKS: u64 = (b'-'.wrapping_sub(b'0') as u64) << 8 | (b'.'.wrapping_sub(b'0') as u64) << 16;

#[cfg(target_arch = "x86_64")]
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "below 16")]
const fn orders() -> [[u8; TEXT]; 2 * OF_SIGN] {
    let mut orders = [[ZERO; TEXT]; 2 * OF_SIGN];
    let mut index = 0;
    while index < orders.len() {
        let (is_negative, before) = form(index);
        if is_negative {
            orders[index][0] = MINUS;
        }
        let mut at = head(index);
        if before <= 0 {
            orders[index][is_negative as usize + 1] = POINT;
        }
        let mut digit = 0;
        while digit < DIGITS {
            if before > 0 && digit == before as usize {
                orders[index][at] = POINT;
                at += 1;
            }
            orders[index][at] = if digit == 0 { FIRST } else { digit as u8 - 1 };
            at += 1;
            digit += 1;
        }
        index += 1;
    }
    orders
}

#[expect(clippy::cast_possible_truncation, reason = "below 128")]
const fn shifts() -> [Shift; 2 * OF_SIGN] {
    let mut shifts = [Shift { kept: 0, others: 0, all: 0, marks: 0 }; 2 * OF_SIGN];
    let mut index = 0;
    while index < shifts.len() {
        let (is_negative, before) = form(index);
        let shift = &mut shifts[index];
        if before <= 0 {
            let zeros = 8 * (2 + before.unsigned_abs());
            shift.others = zeros as u8;
            shift.marks = u128::from_le_bytes(*b"0.00000000000000") & ((1 << zeros) - 1);
        } else {
            let bits = 8 * before.unsigned_abs();
            shift.kept = (1 << bits) - 1;
            shift.others = 8;
            shift.marks = (b'.' as u128) << bits;
        }
        if is_negative {
            shift.all = 8;
            shift.marks = shift.marks << 8 | b'-' as u128;
        }
        index += 1;
    }
    shifts
}

/// The text for a sign and a number of digits before the point, and zeros behind it.
#[inline(always)]
#[expect(clippy::inline_always, reason = "compiled once for each set of CPU features")]
pub(super) fn shift(digits: Digits, form: usize) -> [u8; TEXT] {
    let form = &SHIFTS[form];
    let zeros = u128::from_le_bytes([b'0'; TEXT]);
    let all = u128::from(digits.first) | u128::from(digits.rest) << 8 | zeros;
    // Known to be below 128, so that no shift has to be looked at.
    let text = (all & form.kept) | (all & !form.kept) << (form.others & 127);
    (text << (form.all & 127) | form.marks).to_le_bytes()
}

/// [`shift`] in one instruction.
#[cfg(target_arch = "x86_64")]
#[inline]
#[target_feature(enable = "avx2,popcnt")]
pub(super) fn shuffle(digits: Digits, form: usize) -> [u8; TEXT] {
    let first = u64::from(digits.first) | MARKS;
    let source = _mm_set_epi64x(first.cast_signed(), digits.rest.cast_signed());
    let text = _mm_shuffle_epi8(source, half(&ORDERS[form]));
    half_array(_mm_add_epi8(text, _mm_set1_epi8(b'0'.cast_signed())))
}
