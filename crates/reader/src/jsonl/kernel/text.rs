//! Strings: runs of plain bytes are copied whole, eight bytes are looked at in one step.

use super::push::padded;

const LOW_BITS: u64 = 0x0101_0101_0101_0101;
const HIGH_BITS: u64 = 0x8080_8080_8080_8080;

/// Appends valid UTF-8 as a JSON string, escaping only what RFC 8259 requires.
pub(crate) fn write_string(text: &[u8], out: &mut Vec<u8>) {
    out.push(b'"');
    let mut rest = text;
    while let Some(at) = find_escape(rest) {
        out.extend_from_slice(&rest[..at]);
        write_escape(rest[at], out);
        rest = &rest[at + 1..];
    }
    out.extend_from_slice(rest);
    out.push(b'"');
}

/// Texts up to this length may be written with [`write_short`].
pub(crate) const SHORT: usize = 16;

/// Appends the first `length` bytes of `chunk` as a JSON string.
pub(crate) fn write_short(chunk: &[u8; SHORT], length: usize, out: &mut Vec<u8>) {
    let (words, _) = chunk.as_chunks::<8>();
    let found = u128::from(escapes_in(u64::from_le_bytes(words[0])))
        | u128::from(escapes_in(u64::from_le_bytes(words[1]))) << 64;
    // Of the neighbours' bytes behind the text nothing is asked.
    let within = if length == SHORT { u128::MAX } else { (1 << (8 * length)) - 1 };
    if found & within != 0 {
        return write_string(&chunk[..length], out);
    }
    out.push(b'"');
    padded(chunk, length, out);
    out.push(b'"');
}

/// Where the first byte stands that may not appear in a JSON string as it is.
fn find_escape(text: &[u8]) -> Option<usize> {
    let (words, tail) = text.as_chunks::<8>();
    for (index, word) in words.iter().enumerate() {
        let found = escapes_in(u64::from_le_bytes(*word));
        if found != 0 {
            return Some(index * 8 + found.trailing_zeros() as usize / 8);
        }
    }
    let at = tail.iter().position(|&byte| needs_escape(byte))?;
    Some(words.len() * 8 + at)
}

fn needs_escape(byte: u8) -> bool {
    byte < 0x20 || byte == b'"' || byte == b'\\'
}

/// The high bit of each byte that needs an escape; above the first such byte bits may be set in
/// error, since the subtractions borrow.
fn escapes_in(word: u64) -> u64 {
    let zero_bytes = |word: u64| word.wrapping_sub(LOW_BITS) & !word;
    let controls = word.wrapping_sub(LOW_BITS * 0x20) & !word;
    let quotes = zero_bytes(word ^ (LOW_BITS * u64::from(b'"')));
    let backslashes = zero_bytes(word ^ (LOW_BITS * u64::from(b'\\')));
    (controls | quotes | backslashes) & HIGH_BITS
}

fn write_escape(byte: u8, out: &mut Vec<u8>) {
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

#[cfg(test)]
mod tests {
    use super::{find_escape, needs_escape, write_short, write_string};

    #[test]
    fn every_byte_at_every_place_is_found_like_by_hand() {
        for byte in 0..=u8::MAX {
            for place in 0..20 {
                for filler in [b'a', 0x21, 0x80, 0xff] {
                    let mut text = vec![filler; 20];
                    text[place] = byte;
                    let by_hand = text.iter().position(|&byte| needs_escape(byte));
                    assert_eq!(find_escape(&text), by_hand, "{byte} at {place} in {filler}");
                }
            }
        }
    }

    #[test]
    fn short_texts_are_written_like_long_ones_whatever_their_neighbours_are() {
        for length in 0..=16 {
            for place in 0..16 {
                for byte in [b'a', b'"', b'\\', 0, 0x1f, 0x20, 0x7f] {
                    let mut chunk = [b'"'; 16];
                    chunk[..length].fill(b'x');
                    chunk[place] = byte;
                    let (mut short, mut long) = (Vec::new(), Vec::new());
                    write_short(&chunk, length, &mut short);
                    write_string(&chunk[..length], &mut long);
                    assert_eq!(short, long);
                }
            }
        }
    }

    #[test]
    fn escapes_are_the_short_ones_and_nothing_else_is_touched() {
        let mut out = Vec::new();
        write_string("\"\\/\u{8}\u{c}\n\r\t\0\u{1f}\u{7f}北京😀\u{2028}".as_bytes(), &mut out);
        let expected = "\"\\\"\\\\/\\b\\f\\n\\r\\t\\u0000\\u001f\u{7f}北京😀\u{2028}\"";
        assert_eq!(String::from_utf8(out).unwrap(), expected);
    }
}
