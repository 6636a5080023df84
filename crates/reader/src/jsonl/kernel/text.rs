//! Strings: runs of plain bytes are copied whole, eight bytes are looked at in one step.

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
    use super::{find_escape, needs_escape, write_string};

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
    fn escapes_are_the_short_ones_and_nothing_else_is_touched() {
        let mut out = Vec::new();
        write_string("\"\\/\u{8}\u{c}\n\r\t\0\u{1f}\u{7f}北京😀\u{2028}".as_bytes(), &mut out);
        let expected = "\"\\\"\\\\/\\b\\f\\n\\r\\t\\u0000\\u001f\u{7f}北京😀\u{2028}\"";
        assert_eq!(String::from_utf8(out).unwrap(), expected);
    }
}
