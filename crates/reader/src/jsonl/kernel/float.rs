//! Floats and lists of floats: the payload of a vector database.

use crate::jsonl::{Counts, NonFinite};

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

/// Appends an array of f64 without nulls.
pub(crate) fn write_f64_list(
    values: &[f64],
    form: NonFinite,
    out: &mut Vec<u8>,
    counts: &mut Counts,
) {
    out.reserve(values.len() * F64_TEXT_BYTES + 2);
    out.push(b'[');
    for (index, &value) in values.iter().enumerate() {
        if index > 0 {
            out.push(b',');
        }
        write_f64(value, form, out, counts);
    }
    out.push(b']');
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
