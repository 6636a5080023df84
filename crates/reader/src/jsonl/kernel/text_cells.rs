//! Cells of texts on x86-64 CPUs with AVX2: 16 or 32 bytes are looked at and copied in a few steps.
//!
//! Bench: `benches/peers/`, data sets scalar and sparse. Compared with the way for other CPUs,
//! [`super::text_plain::cell`], in the tests.
//!
//! How it works. A view holds its length and, up to twelve bytes, the text itself; else it tells where the
//! text is, and mostly 32 bytes may be read there. What is behind the text is turned into ones, which are
//! nothing to escape, and what is behind a cell's length does not matter.
//!
//! Not here: texts that are long or have escapes, which are left long.

use std::arch::x86_64::{_mm_or_si128, _mm_srli_si128, _mm256_or_si256, _mm256_zextsi128_si256};
use std::ops::Range;

use arrow_array::StringViewArray;

use super::cell::{Cells, Slot, as_length};
use super::escape::{array, find_escapes, half, half_array, vector};
use super::text_plain::{CELL_TEXT, CHUNK, cell};

/// Up to this length a view holds the text itself.
const INLINE: usize = 12;

/// Ones behind as many zeros, from which the ones behind a text of any length are taken.
static BEHIND: [u8; 2 * CHUNK] = {
    let mut behind = [0; 2 * CHUNK];
    let mut index = CHUNK;
    while index < behind.len() {
        behind[index] = u8::MAX;
        index += 1;
    }
    behind
};

/// Makes the cells of `rows` of `texts`.
#[target_feature(enable = "avx2,popcnt")]
#[expect(clippy::cast_possible_truncation, reason = "a view is four numbers of 32 bits")]
pub(super) fn fill_views(texts: &StringViewArray, rows: Range<usize>, cells: &mut Cells) {
    let views = &texts.views()[rows.clone()];
    let buffers = texts.data_buffers();
    let mut cells = cells.block_mut(0);
    let mut cells = cells.first(views.len());
    for (index, view) in views.iter().enumerate() {
        let Some((slot, made)) = cells.cell_mut(index) else { continue };
        let length = *view as u32 as usize;
        *made = if length <= INLINE {
            short(&view.to_le_bytes(), length, slot)
        } else if length > CELL_TEXT {
            Cells::LONG
        } else {
            let (buffer, start) = ((view >> 64) as u32 as usize, (view >> 96) as usize);
            if let Some(buffer) = buffers.get(buffer)
                && let Some(rest) = buffer.as_slice().get(start..)
                && let Some(chunk) = rest.first_chunk()
            {
                middle(chunk, length, slot)
            } else {
                at_the_end(texts.value(rows.start + index), slot)
            }
        };
    }
}

/// Writes a text of at most [`INLINE`] bytes and returns its length, or that it is long.
#[inline]
#[target_feature(enable = "avx2,popcnt")]
fn short(view: &[u8; 16], length: usize, slot: &mut Slot) -> u8 {
    let Some(behind) = BEHIND[CHUNK - length.min(CHUNK)..].first_chunk() else {
        return Cells::LONG;
    };
    let text = _mm_or_si128(_mm_srli_si128::<4>(half(view)), half(behind));
    // The other half of the register is zeros.
    if find_escapes(_mm256_zextsi128_si256(text)) & 0xffff != 0 {
        return Cells::LONG;
    }
    slot[0] = b'"';
    slot[1..17].copy_from_slice(&half_array(text));
    slot[(length + 1) % CHUNK] = b'"';
    as_length(length + 2)
}

/// Writes the first bytes of `chunk`, at most [`CELL_TEXT`], and returns the text's length, or that it is
/// long.
#[inline]
#[target_feature(enable = "avx2,popcnt")]
fn middle(chunk: &[u8; CHUNK], length: usize, slot: &mut Slot) -> u8 {
    let Some(behind) = BEHIND[CHUNK - length.min(CHUNK)..].first_chunk() else {
        return Cells::LONG;
    };
    let text = _mm256_or_si256(vector(chunk), vector(behind));
    if find_escapes(text) != 0 {
        return Cells::LONG;
    }
    slot[0] = b'"';
    slot[1..].copy_from_slice(&array(text)[..CHUNK - 1]);
    slot[(length + 1) % CHUNK] = b'"';
    as_length(length + 2)
}

/// Writes a text behind which there are fewer bytes than [`CHUNK`].
#[cold]
fn at_the_end(text: &str, slot: &mut Slot) -> u8 {
    cell(text.as_bytes(), slot).map_or(Cells::LONG, as_length)
}

#[cfg(test)]
mod tests {
    use arrow_array::Array;

    use super::super::cell::CELLS;
    use super::super::text;
    use super::*;

    #[test]
    fn cells_are_the_same_as_for_any_cpu_whatever_their_neighbours_are() {
        for byte in ['a', '"', '\\', '\0', '\u{1f}', ' ', '\u{7f}', 'é'] {
            let texts = (0..=40).flat_map(|length| {
                (0..40).map(move |place| {
                    let letter = |index| if index == place { byte } else { 'x' };
                    (0..length).map(letter).collect::<String>()
                })
            });
            let array = StringViewArray::from_iter_values(texts);
            for start in (0..array.len()).step_by(CELLS) {
                let rows = start..array.len().min(start + CELLS);
                let mut cells = Cells::new(b"before");
                cells.begin(&rows);
                text::fill_views(&array, rows.clone(), &mut cells);
                cells.finish(0, false);
                for row in rows {
                    let mut slot = [0; 32];
                    let expected = cell(array.value(row).as_bytes(), &mut slot);
                    let made = cells.text(row).map(|(slot, length)| &slot[..length]);
                    assert_eq!(made, expected.map(|length| &slot[..length]));
                }
            }
        }
    }
}
