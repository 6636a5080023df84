//! Strings on x86-64 CPUs with AVX2: 32 bytes are looked at, and written, in a few steps.
//!
//! Bench: `cargo bench --bench engine`, the texts; `benches/peers/`, data set text. For plain texts of
//! 600 bytes it takes half the time of the loop for any CPU in [`super::text_plain`], and a third or less where
//! one byte in 32 is escaped: that loop starts anew behind each escape. Both are compared with a loop
//! over single bytes in the tests there.
//!
//! How it works. A chunk with nothing to escape is one store. In any other, the controls that have a
//! letter are replaced by it (a line feed by `n`), so that all that is missing is a backslash before
//! each escaped byte. Eight bytes are put in one half of a register and backslashes in the other, and
//! a shuffle brings them in order: [`SPREAD`] has one for each choice of bytes to escape. All 16 bytes
//! are stored, and those of the next eight go behind the ones that count.
//!
//! A control without a letter (`\u001b`) ends its chunk: what comes before it is kept, it is written by
//! itself, and the next chunk begins behind it. The end of a text is padded to a whole chunk, and the
//! padding taken back.
//!
//! Invariants: a chunk takes at most [`ROOM`] bytes, reserved before it is written. All stores go
//! through slices of that room, so a wrong count would panic and not write elsewhere.
//!
//! Not here: other CPUs. NEON has the shuffle, but no mask of a comparison's results.

use std::arch::x86_64::{
    __m128i, __m256i, _mm_cvtsi128_si64, _mm_extract_epi64, _mm_set_epi64x, _mm_shuffle_epi8,
    _mm256_adds_epu8, _mm256_broadcastsi128_si256, _mm256_castsi256_si128, _mm256_cmpeq_epi8,
    _mm256_extracti128_si256, _mm256_max_epu8, _mm256_min_epu8, _mm256_movemask_epi8,
    _mm256_or_si256, _mm256_set_epi64x, _mm256_set1_epi8, _mm256_shuffle_epi8,
    _mm256_unpackhi_epi64, _mm256_unpacklo_epi64,
};
use std::mem::{self, MaybeUninit};

use super::text_plain::{CHUNK, write_escape};

/// What a chunk takes if every byte of it gets a backslash.
const ROOM: usize = 2 * CHUNK;

/// For each choice of bytes to escape out of eight, where the bytes of the result come from: below 8
/// it is one of the eight, and at 8 there is a backslash. What is behind them does not count.
static SPREAD: [[u8; 16]; 256] = spread();

const fn spread() -> [[u8; 16]; 256] {
    let mut table = [[0; 16]; 256];
    let mut escapes = 0;
    while escapes < table.len() {
        let (mut byte, mut at) = (0, 0);
        while byte < 8 {
            if (escapes >> byte) & 1 == 1 {
                table[escapes][at] = 8;
                at += 1;
            }
            table[escapes][at] = byte;
            at += 1;
            byte += 1;
        }
        escapes += 1;
    }
    table
}

/// Whether the CPU has what [`write_string`] is compiled for.
pub(super) fn is_supported() -> bool {
    std::arch::is_x86_feature_detected!("avx2") && std::arch::is_x86_feature_detected!("popcnt")
}

/// [`super::text::write_string`] for these CPUs.
#[target_feature(enable = "avx2,popcnt")]
pub(super) fn write_string(text: &[u8], out: &mut Vec<u8>) {
    // Enough for a text without escapes.
    out.reserve(text.len() + ROOM);
    out.push(b'"');
    let mut rest = text;
    loop {
        // Most chunks are plain, and a loop of their own spares up to a quarter of the time.
        while let Some((chunk, behind)) = rest.split_first_chunk()
            && find_escapes(vector(chunk)) == 0
        {
            out.extend_from_slice(chunk);
            rest = behind;
        }
        let (chunk, counted) = if let Some(chunk) = rest.first_chunk() {
            (vector(chunk), u32::MAX)
        } else if rest.is_empty() {
            break;
        } else if let Some(last) = text.last_chunk()
            && find_escapes(vector(last)) == 0
        {
            // What stands before the rest was copied as it is, and may be again.
            out.truncate(out.len() - (CHUNK - rest.len()));
            out.extend_from_slice(last);
            break;
        } else {
            (padded(rest), (1 << rest.len()) - 1)
        };
        let used = write_chunk(chunk, counted, out);
        let Some(behind) = rest.get(used..) else {
            out.truncate(out.len() - (used - rest.len()));
            break;
        };
        rest = behind;
    }
    out.push(b'"');
}

/// Appends a chunk up to its first control without a letter, or all of it, and returns how many of its
/// bytes that were. Only bytes in `counted` may be escaped.
#[inline]
#[target_feature(enable = "avx2,popcnt")]
fn write_chunk(chunk: __m256i, counted: u32, out: &mut Vec<u8>) -> usize {
    out.reserve(ROOM);
    let (length, used) = fill(chunk, counted, &mut out.spare_capacity_mut()[..ROOM]);
    #[expect(unsafe_code, reason = "with a buffer between, escapes take 1.5 to 1.9 of the time")]
    // SAFETY: `fill` has written so many bytes of the room behind those that were there.
    unsafe {
        out.set_len(out.len() + length);
    }
    if used == CHUNK {
        return CHUNK;
    }
    write_escape(array(chunk)[used], out);
    used + 1
}

/// Writes a chunk up to its first control without a letter, or all of it. Returns how many bytes are
/// written from the start of `room` on, and how many of the chunk's they stand for.
#[inline]
#[target_feature(enable = "avx2,popcnt")]
fn fill(chunk: __m256i, counted: u32, room: &mut [MaybeUninit<u8>]) -> (usize, usize) {
    let escapes = find_escapes(chunk) & counted;
    if escapes == 0 {
        room[..CHUNK].write_copy_of_slice(&array(chunk));
        return (CHUNK, CHUNK);
    }
    let letters = with_letters(chunk);
    let backslashes = _mm256_set1_epi8(b'\\'.cast_signed());
    let even = _mm256_unpacklo_epi64(letters, backslashes);
    let odd = _mm256_unpackhi_epi64(letters, backslashes);
    let groups = [
        _mm256_castsi256_si128(even),
        _mm256_castsi256_si128(odd),
        _mm256_extracti128_si256::<1>(even),
        _mm256_extracti128_si256::<1>(odd),
    ];
    let mut at = 0;
    for (group, escapes) in groups.into_iter().zip(escapes.to_le_bytes()) {
        let group = _mm_shuffle_epi8(group, half(&SPREAD[usize::from(escapes)]));
        room[at..at + 16].write_copy_of_slice(&half_array(group));
        at += 8 + escapes.count_ones() as usize;
    }
    let long = _mm256_movemask_epi8(find_controls(letters)).cast_unsigned() & escapes;
    if long == 0 {
        // Not `at`: the next chunk waits for this, and it is known before.
        return (CHUNK + escapes.count_ones() as usize, CHUNK);
    }
    let used = long.trailing_zeros();
    let before = escapes & ((1 << used) - 1);
    ((used + before.count_ones()) as usize, used as usize)
}

/// A bit for each byte that may not appear in a JSON string as it is.
#[inline]
#[target_feature(enable = "avx2,popcnt")]
pub(super) fn find_escapes(bytes: __m256i) -> u32 {
    let quotes = _mm256_cmpeq_epi8(bytes, _mm256_set1_epi8(b'"'.cast_signed()));
    let backslashes = _mm256_cmpeq_epi8(bytes, _mm256_set1_epi8(b'\\'.cast_signed()));
    let found = _mm256_or_si256(find_controls(bytes), _mm256_or_si256(quotes, backslashes));
    _mm256_movemask_epi8(found).cast_unsigned()
}

#[inline]
#[target_feature(enable = "avx2,popcnt")]
fn find_controls(bytes: __m256i) -> __m256i {
    // There is no comparison of unsigned bytes.
    _mm256_cmpeq_epi8(_mm256_min_epu8(bytes, _mm256_set1_epi8(0x1f)), bytes)
}

/// The bytes, with its letter in place of each control that has one.
#[inline]
#[target_feature(enable = "avx2,popcnt")]
fn with_letters(bytes: __m256i) -> __m256i {
    const LETTERS: [u8; 16] = *b"\0\0\0\0\0\0\0\0btn\0fr\0\0";
    let letters = _mm256_broadcastsi128_si256(half(&LETTERS));
    // A shuffle gives 0 for places of 0x80 and above; 0x70 more brings all bytes but the first 16 there.
    let places = _mm256_adds_epu8(bytes, _mm256_set1_epi8(0x70));
    _mm256_max_epu8(bytes, _mm256_shuffle_epi8(letters, places))
}

/// Less than a chunk, with zeros behind it. It is put together in registers, because a load waits for
/// stores that each wrote a part of what it reads.
#[inline]
#[target_feature(enable = "avx2,popcnt")]
fn padded(text: &[u8]) -> __m256i {
    let words = text.as_chunks().0;
    let word = |index: usize| i64::from_le_bytes(words[index]);
    let last = last_word(text).cast_signed();
    match words.len() {
        0 => _mm256_set_epi64x(0, 0, 0, last),
        1 => _mm256_set_epi64x(0, 0, last, word(0)),
        2 => _mm256_set_epi64x(0, last, word(1), word(0)),
        _ => _mm256_set_epi64x(last, word(2), word(1), word(0)),
    }
}

/// The bytes behind the last whole word, with zeros behind them. Parts that overlap are the same there.
#[inline]
fn last_word(text: &[u8]) -> u64 {
    let length = text.len() % 8;
    if let Some(last) = text.last_chunk() {
        // In two steps, because it may be all 64 bits.
        u64::from_le_bytes(*last) >> 8 >> (8 * (7 - length))
    } else if let (Some(first), Some(last)) = (text.first_chunk(), text.last_chunk()) {
        let (first, last) = (u32::from_le_bytes(*first), u32::from_le_bytes(*last));
        u64::from(first) | u64::from(last) << (8 * (length - 4))
    } else {
        // One to three bytes, some of them twice.
        let byte = |index: usize| u64::from(text[index]) << (8 * index);
        byte(0) | byte(length / 2) | byte(length - 1)
    }
}

#[inline]
#[target_feature(enable = "avx2,popcnt")]
#[expect(unsafe_code, reason = "put together from its parts it would not always be one load")]
pub(super) fn vector(bytes: &[u8; CHUNK]) -> __m256i {
    // SAFETY: both types have 32 bytes, and any bytes are a vector.
    unsafe { mem::transmute::<[u8; CHUNK], __m256i>(*bytes) }
}

#[inline]
#[target_feature(enable = "avx2,popcnt")]
pub(super) fn array(vector: __m256i) -> [u8; CHUNK] {
    let mut bytes = [0; CHUNK];
    bytes[..16].copy_from_slice(&half_array(_mm256_castsi256_si128(vector)));
    bytes[16..].copy_from_slice(&half_array(_mm256_extracti128_si256::<1>(vector)));
    bytes
}

#[inline]
#[target_feature(enable = "avx2,popcnt")]
pub(super) fn half(bytes: &[u8; 16]) -> __m128i {
    let words = bytes.as_chunks().0;
    _mm_set_epi64x(i64::from_le_bytes(words[1]), i64::from_le_bytes(words[0]))
}

#[inline]
#[target_feature(enable = "avx2,popcnt")]
pub(super) fn half_array(vector: __m128i) -> [u8; 16] {
    let mut bytes = [0; 16];
    bytes[..8].copy_from_slice(&_mm_cvtsi128_si64(vector).to_le_bytes());
    bytes[8..].copy_from_slice(&_mm_extract_epi64::<1>(vector).to_le_bytes());
    bytes
}
