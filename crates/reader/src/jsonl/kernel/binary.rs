//! Binary values, UUIDs and vectors as base64.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use super::text;
use crate::jsonl::options::BinaryForm;

/// Appends bytes in quotes. For [`BinaryForm::Utf8`] the batch was checked before.
pub(crate) fn write(bytes: &[u8], form: BinaryForm, out: &mut Vec<u8>) {
    match form {
        BinaryForm::Base64 => {
            out.push(b'"');
            append_base64(bytes, out);
            out.push(b'"');
        }
        BinaryForm::Hex => {
            out.push(b'"');
            append_hex(bytes, out);
            out.push(b'"');
        }
        BinaryForm::Utf8 => text::write_string(bytes, out),
    }
}

/// Appends 16 bytes as hyphenated hexadecimal.
pub(crate) fn write_uuid(bytes: &[u8], out: &mut Vec<u8>) {
    out.push(b'"');
    for (index, group) in [0..4, 4..6, 6..8, 8..10, 10..16].into_iter().enumerate() {
        if index > 0 {
            out.push(b'-');
        }
        append_hex(&bytes[group], out);
    }
    out.push(b'"');
}

/// Which byte of a value comes first.
#[derive(Debug, Clone, Copy)]
pub(crate) enum ByteOrder {
    Little,
    Big,
}

/// Appends the base64 of the bytes of a vector's values.
pub(crate) fn write_vector<const N: usize>(
    values: impl Iterator<Item = [u8; N]>,
    out: &mut Vec<u8>,
) {
    // 48 bytes are whole base64 groups and hold a whole number of 2, 4 or 8 byte values.
    let mut block = [0; 48];
    let mut used = 0;
    out.push(b'"');
    for value in values {
        block[used..used + N].copy_from_slice(&value);
        used += N;
        if used == block.len() {
            append_base64(&block, out);
            used = 0;
        }
    }
    append_base64(&block[..used], out);
    out.push(b'"');
}

fn append_base64(bytes: &[u8], out: &mut Vec<u8>) {
    let start = out.len();
    out.resize(start + bytes.len().div_ceil(3) * 4, 0);
    let written = STANDARD.encode_slice(bytes, &mut out[start..]);
    debug_assert_eq!(written, Ok(out.len() - start), "base64 has one exact length");
}

fn append_hex(bytes: &[u8], out: &mut Vec<u8>) {
    let start = out.len();
    out.resize(start + bytes.len() * 2, 0);
    let written = hex::encode_to_slice(bytes, &mut out[start..]);
    debug_assert_eq!(written, Ok(()), "hexadecimal has one exact length");
}
