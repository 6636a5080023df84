//! Floats one by one, as `zmij` spells them.
//!
//! Bench: `cargo bench --bench engine`, f64 prices on a CPU without AVX2.

use crate::jsonl::options::{Counts, NonFinite};

use super::cell::Slot;
use super::digits::digits;

/// Longest text of a finite f64 with its comma, as `zmij` spells it.
const F64_TEXT_BYTES: usize = 26;

/// Appends an f32.
pub(crate) fn write_f32(value: f32, form: NonFinite, out: &mut Vec<u8>, counts: &mut Counts) {
    if value.is_finite() {
        out.extend_from_slice(zmij::Buffer::new().format_finite(value).as_bytes());
    } else {
        write_nonfinite(f64::from(value), form, out, counts);
    }
}

/// Appends an f64.
pub(crate) fn write_f64(value: f64, form: NonFinite, out: &mut Vec<u8>, counts: &mut Counts) {
    if value.is_finite() {
        out.extend_from_slice(zmij::Buffer::new().format_finite(value).as_bytes());
    } else {
        write_nonfinite(value, form, out, counts);
    }
}

/// Writes a finite f64 and returns its length; `None` for NaN and infinities.
#[inline(always)]
#[expect(clippy::inline_always, reason = "the body of a column's loop")]
pub(crate) fn f64_cell(value: f64, slot: &mut Slot) -> Option<usize> {
    if let Some(length) = hundredths(value, slot) {
        return Some(length);
    }
    if !value.is_finite() {
        return None;
    }
    let mut buffer = zmij::Buffer::new();
    let text = buffer.format_finite(value).as_bytes();
    slot.get_mut(..text.len())?.copy_from_slice(text);
    Some(text.len())
}

/// Writes values that are whole hundredths, as prices are: two numbers of at most 15 digits never read
/// back to the same f64, so such a number without zeros at its end is the shortest one.
#[inline(always)]
#[expect(clippy::inline_always, reason = "the body of a column's loop")]
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    clippy::cast_precision_loss,
    clippy::float_cmp,
    reason = "whole numbers below 10^15 are exact in both types, and equal is what is asked"
)]
fn hundredths(value: f64, slot: &mut Slot) -> Option<usize> {
    let magnitude = value.abs();
    // NaN is not below anything. Zero has a sign of its own, which the general way keeps.
    if !(magnitude < 1e13 && magnitude > 0.0) {
        return None;
    }
    let count = (magnitude * 100.0 + 0.5) as u64;
    if count as f64 / 100.0 != magnitude {
        return None;
    }
    slot[0] = b'-';
    let at = digits(count / 100, slot, usize::from(value < 0.0));
    let (tens, ones) = ((count / 10 % 10) as u8, (count % 10) as u8);
    slot[at..at + 3].copy_from_slice(&[b'.', b'0' + tens, b'0' + ones]);
    Some(at + 2 + usize::from(ones > 0))
}

/// Appends each value and a comma behind it.
pub(crate) fn write_each_f64(
    values: &[f64],
    form: NonFinite,
    out: &mut Vec<u8>,
    counts: &mut Counts,
) {
    out.reserve(values.len() * F64_TEXT_BYTES);
    for &value in values {
        if value.is_finite() {
            append_text(zmij::Buffer::new().format_finite(value).as_bytes(), out);
        } else {
            write_nonfinite(value, form, out, counts);
        }
        out.push(b',');
    }
}

/// Appends 16 bytes or a little more as stores of a fixed size, which is what nearly all f64 take.
fn append_text(text: &[u8], out: &mut Vec<u8>) {
    match (text.first_chunk::<16>(), text.last_chunk::<8>()) {
        (Some(first), Some(last)) if text.len() <= 24 => {
            let end = out.len() + text.len();
            out.extend_from_slice(first);
            out.truncate(end - 8);
            out.extend_from_slice(last);
        }
        _ => out.extend_from_slice(text),
    }
}

/// Under [`NonFinite::Error`] the batch was checked before, so nothing arrives here.
fn write_nonfinite(value: f64, form: NonFinite, out: &mut Vec<u8>, counts: &mut Counts) {
    let text: &[u8] = match form {
        NonFinite::Null | NonFinite::Error => {
            counts.nonfinite += 1;
            b"null"
        }
        NonFinite::String if value.is_nan() => b"\"NaN\"",
        NonFinite::String if value > 0.0 => b"\"Infinity\"",
        NonFinite::String => b"\"-Infinity\"",
    };
    out.extend_from_slice(text);
}

#[cfg(test)]
mod tests {
    use super::f64_cell;

    #[test]
    #[expect(clippy::cast_precision_loss, reason = "any number will do")]
    fn cells_are_spelled_like_zmij() {
        let mut bits = 1_u64;
        let check = |value: f64| {
            let mut slot = [0; 32];
            let text = f64_cell(value, &mut slot).map(|length| slot[..length].to_vec());
            let expected = value.is_finite().then(|| zmij::Buffer::new().format(value).into());
            assert_eq!(text.map(|text| String::from_utf8(text).unwrap()), expected, "{value:e}");
        };
        for round in 0..500_000_u64 {
            bits = bits.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(round);
            let number = (bits >> (round % 60)) as f64;
            check(f64::from_bits(bits));
            for divisor in [1.0, 10.0, 100.0, 1000.0, 1e15] {
                check(number / divisor);
                check(-number / divisor);
                check(f64::from_bits((number / divisor).to_bits() + 1));
            }
        }
        for value in [0.0, -0.0, 0.005, 0.015, 0.01, 1e13, 9_999_999_999_999.99, f64::NAN] {
            check(value);
        }
        check(f64::INFINITY);
        check(f64::MIN_POSITIVE);
    }
}
