//! Strings: on most x86-64 CPUs by `escape` and `text_cells`, on others by `text_plain`.
//!
//! Bench: `cargo bench --bench engine`, the texts; `benches/peers/`, data set text. Compared with a loop
//! over single bytes in the tests.

use std::ops::Range;

use arrow_array::StringViewArray;

use super::cell::Cells;
pub(crate) use super::text_plain::cell;
use super::text_plain::{short_cell, write_portable};
#[cfg(target_arch = "x86_64")]
use super::{escape, text_cells};

/// Appends valid UTF-8 as a JSON string, escaping only what RFC 8259 requires.
pub(crate) fn write_string(text: &[u8], out: &mut Vec<u8>) {
    #[cfg(target_arch = "x86_64")]
    if escape::is_supported() {
        #[expect(unsafe_code, reason = "texts take half the time, or a third with many escapes")]
        // SAFETY: the CPU has what the function is compiled for, as was asked just now.
        unsafe {
            escape::write_string(text, out);
        }
        return;
    }
    write_portable(text, out);
}

/// Makes the cells of `rows` of `texts`.
pub(crate) fn fill_views(texts: &StringViewArray, rows: Range<usize>, cells: &mut Cells) {
    #[cfg(target_arch = "x86_64")]
    if escape::is_supported() {
        #[expect(unsafe_code, reason = "these take half the instructions")]
        // SAFETY: the CPU has what the function is compiled for, as was asked just now.
        unsafe {
            text_cells::fill_views(texts, rows, cells);
        }
        return;
    }
    fill_views_portable(texts, rows, cells);
}

/// [`fill_views`] for any CPU.
fn fill_views_portable(texts: &StringViewArray, rows: Range<usize>, cells: &mut Cells) {
    let views = texts.views();
    cells.fill_each(rows, |row, slot| {
        // A view holds its length and, up to twelve bytes, the text itself.
        let view = views[row];
        match usize::try_from(view & u128::from(u32::MAX)) {
            Ok(length @ 0..=12) => short_cell(view >> 32, length, slot),
            _ => cell(texts.value(row).as_bytes(), slot),
        }
    });
}

#[cfg(test)]
mod tests {
    use super::super::text_plain::{cell, short_cell, write_portable};
    use super::write_string;

    /// A byte at a time, as one would do it without caring for speed.
    fn plain(text: &[u8]) -> Vec<u8> {
        let mut out = vec![b'"'];
        for &byte in text {
            match byte {
                b'"' | b'\\' => out.extend([b'\\', byte]),
                ..0x20 => super::super::text_plain::write_escape(byte, &mut out),
                _ => out.push(byte),
            }
        }
        out.push(b'"');
        out
    }

    /// As this CPU does it and as any would, behind something that has to stay as it is.
    fn check(text: &[u8], what: std::fmt::Arguments<'_>) {
        let expected = [b"before", &plain(text)[..]].concat();
        for write in [write_string, write_portable] {
            let mut out = b"before".to_vec();
            write(text, &mut out);
            assert_eq!(out, expected, "{what}");
        }
    }

    #[test]
    fn every_byte_at_every_place_is_escaped_like_by_hand() {
        for byte in 0..=u8::MAX {
            for place in 0..70 {
                for filler in [b'a', 0x21, 0x80, 0xff, b'"'] {
                    let mut text = [filler; 70];
                    text[place] = byte;
                    for length in [place + 1, 70] {
                        check(&text[..length], format_args!("{byte} at {place} in {filler}"));
                    }
                }
            }
        }
    }

    #[test]
    fn texts_of_every_length_with_few_and_many_escapes_are_written_like_by_hand() {
        const SHORT: &[u8] = b"\"\\\x08\x0c\n\r\t";
        const ANY: &[u8] = b"\"\\\x08\n\t\0\x01\x07\x0b\x0e\x0f\x10\x1b\x1f";
        let mut state = 1_u64;
        let mut random = |below: usize| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            usize::try_from(state >> 33).unwrap() % below
        };
        for length in 0..300 {
            for one_in in [1, 2, 5, 32, 150, usize::MAX] {
                for escapes in [SHORT, ANY] {
                    let others = b" !#[]az\x7f\x80\x88\xa2\xdc\xff";
                    let mut byte = || match random(one_in) {
                        0 => escapes[random(escapes.len())],
                        _ => others[random(others.len())],
                    };
                    let text: Vec<u8> = (0..length).map(|_| byte()).collect();
                    check(&text, format_args!("{}", text.escape_ascii()));
                }
            }
        }
    }

    #[test]
    fn cells_are_written_like_long_texts_whatever_their_neighbours_are() {
        for length in 0..=40 {
            for place in 0..40 {
                for byte in [b'a', b'"', b'\\', 0, 0x1f, 0x20, 0x7f] {
                    let mut text = [b'"'; 40];
                    text[..length].fill(b'x');
                    text[place] = byte;
                    let text = &text[..];
                    let expected = plain(&text[..length]);
                    let fits = length <= 30 && expected.len() == length + 2;
                    let mut slot = [0; 32];
                    let written = cell(&text[..length], &mut slot);
                    assert_eq!(written, fits.then_some(length + 2));
                    assert!(written.is_none_or(|length| slot[..length] == expected));
                    if length <= 12 {
                        let word = u128::from_le_bytes(*text.first_chunk().unwrap());
                        let written = short_cell(word, length, &mut slot);
                        assert_eq!(written, fits.then_some(length + 2));
                        assert!(written.is_none_or(|length| slot[..length] == expected));
                    }
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
