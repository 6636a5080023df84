//! Strings on any CPU: 32 bytes are looked at and copied in one step.

use super::cell::{Slot, append};

/// Bytes that are looked at together.
pub(super) const CHUNK: usize = 32;

/// Texts up to this length may fit a cell with their quotes.
pub(super) const CELL_TEXT: usize = 30;

/// Appends valid UTF-8 as a JSON string.
pub(super) fn write_portable(text: &[u8], out: &mut Vec<u8>) {
    out.reserve(text.len() + CHUNK + 2);
    out.push(b'"');
    let mut rest = text;
    // A chunk is copied whole before it is known to be plain; what follows an escape is taken back.
    while let Some(chunk) = rest.first_chunk::<CHUNK>() {
        let found = find_escape(chunk);
        out.extend_from_slice(chunk);
        let Some(plain) = found else {
            rest = &rest[CHUNK..];
            continue;
        };
        out.truncate(out.len() - CHUNK + plain);
        write_escape(chunk[plain], out);
        rest = &rest[plain + 1..];
    }
    write_tail(rest, out);
    out.push(b'"');
}

/// Appends what is shorter than a chunk.
fn write_tail(mut text: &[u8], out: &mut Vec<u8>) {
    loop {
        let mut chunk = [b' '; CHUNK];
        chunk[..text.len()].copy_from_slice(text);
        let found = find_escape(&chunk);
        append(&chunk, found.unwrap_or(text.len()), out);
        let Some(plain) = found else { return };
        write_escape(text[plain], out);
        text = &text[plain + 1..];
    }
}

/// Writes a text as a JSON string and returns its length, or `None` if it is long or has escapes.
#[inline(always)]
#[expect(clippy::inline_always, reason = "the body of a column's loop")]
pub(crate) fn cell(text: &[u8], slot: &mut Slot) -> Option<usize> {
    if text.len() > CELL_TEXT {
        return None;
    }
    let mut chunk = [b' '; CHUNK];
    chunk[..text.len()].copy_from_slice(text);
    quote(&chunk, text.len(), slot)
}

const SPACES: u128 = u128::from_le_bytes([b' '; 16]);

/// [`cell`] for the first `length` bytes, at most 12, of `text`, with anything behind them.
#[inline(always)]
#[expect(clippy::inline_always, reason = "the body of a column's loop")]
pub(super) fn short_cell(text: u128, length: usize, slot: &mut Slot) -> Option<usize> {
    let behind = u128::MAX << (8 * length);
    let mut chunk = [b' '; CHUNK];
    chunk[..16].copy_from_slice(&((text & !behind) | (SPACES & behind)).to_le_bytes());
    quote(&chunk, length, slot)
}

#[inline(always)]
#[expect(clippy::inline_always, reason = "the body of a column's loop")]
fn quote(chunk: &[u8; CHUNK], length: usize, slot: &mut Slot) -> Option<usize> {
    if find_escape(chunk).is_some() {
        return None;
    }
    slot[0] = b'"';
    slot[1..].copy_from_slice(&chunk[..CHUNK - 1]);
    slot[length + 1] = b'"';
    Some(length + 2)
}

/// Where the first byte stands that may not appear in a JSON string as it is.
#[inline(always)]
#[expect(clippy::inline_always, reason = "a few instructions")]
#[expect(clippy::needless_bitwise_bool, reason = "lazy operators would be branches")]
fn find_escape(chunk: &[u8; CHUNK]) -> Option<usize> {
    // One comparison of many bytes at once; the four words only tell where something was found.
    let mut found = [0; CHUNK];
    for (found, &byte) in found.iter_mut().zip(chunk) {
        *found = u8::from((byte < 0x20) | (byte == b'"') | (byte == b'\\'));
    }
    let words = found.as_chunks::<8>().0;
    let words: [u64; 4] = std::array::from_fn(|index| u64::from_le_bytes(words[index]));
    if words[0] | words[1] | words[2] | words[3] == 0 {
        return None;
    }
    let index = words.iter().position(|&word| word != 0)?;
    Some(index * 8 + words[index].trailing_zeros() as usize / 8)
}

pub(super) fn write_escape(byte: u8, out: &mut Vec<u8>) {
    const HEX: &[u8; 16] = b"0123456789abcdef";
    let short = match byte {
        b'"' | b'\\' => byte,
        0x08 => b'b',
        0x0c => b'f',
        b'\n' => b'n',
        b'\r' => b'r',
        b'\t' => b't',
        _ => {
            let digits = [HEX[usize::from(byte >> 4)], HEX[usize::from(byte & 0xf)]];
            out.extend_from_slice(b"\\u00");
            out.extend_from_slice(&digits);
            return;
        }
    };
    out.extend_from_slice(&[b'\\', short]);
}
