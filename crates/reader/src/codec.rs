//! Decompresses pages.
//!
//! The libraries are called directly, and not through the `parquet` crate, because that crate reads only the
//! first of several blocks that Hadoop puts into an LZ4 page
//! (<https://github.com/apache/arrow-rs/blob/main/parquet/src/compression.rs>).

use std::io::{self, BufRead, Read};

use parquet::errors::{ParquetError, Result};

use crate::page::damage;

/// Numbers of the codecs in the format.
const SNAPPY: i32 = 1;
const GZIP: i32 = 2;
const LZO: i32 = 3;
const BROTLI: i32 = 4;
const LZ4: i32 = 5;
const ZSTD: i32 = 6;
const LZ4_RAW: i32 = 7;

/// The first byte of a file, or a page, of gzip.
const GZIP_FIRST: u8 = 0x1f;

/// Whether pages of the codec can be decompressed without being held compressed.
pub(crate) fn is_stream(codec: i32) -> bool {
    matches!(codec, GZIP | BROTLI | ZSTD)
}

/// Appends `bytes` bytes that `compressed` holds, under the codec that has this number in the format.
pub(crate) fn decompress(
    codec: i32,
    compressed: &[u8],
    bytes: usize,
    out: &mut Vec<u8>,
) -> Result<()> {
    // A page without values may have no bytes at all.
    if bytes == 0 {
        return Ok(());
    }
    let start = out.len();
    match codec {
        SNAPPY => {
            out.resize(start + bytes, 0);
            let written = snap::raw::Decoder::new()
                .decompress(compressed, &mut out[start..])
                .map_err(|error| ParquetError::General(error.to_string()))?;
            out.truncate(start + written);
        }
        LZ4 => {
            out.resize(start + bytes, 0);
            lz4(compressed, &mut out[start..])?;
        }
        LZ4_RAW => {
            out.resize(start + bytes, 0);
            lz4_block(compressed, &mut out[start..])?;
        }
        _ => return decompress_stream(codec, compressed, bytes, out),
    }
    check_length(out.len() - start, bytes)
}

/// [`decompress`] for what is read piece by piece.
pub(crate) fn decompress_stream(
    codec: i32,
    mut compressed: impl BufRead,
    bytes: usize,
    out: &mut Vec<u8>,
) -> Result<()> {
    let start = out.len();
    match codec {
        GZIP => {
            let first = compressed.fill_buf().map_err(|error| not_decompressed(&error))?;
            // Some writers put the frame of zlib around it.
            if first.first() == Some(&GZIP_FIRST) {
                read_all(flate2::bufread::MultiGzDecoder::new(compressed), bytes, out)?;
            } else {
                read_all(flate2::bufread::ZlibDecoder::new(compressed), bytes, out)?;
            }
        }
        BROTLI => read_all(brotli::Decompressor::new(compressed, 4096), bytes, out)?,
        ZSTD => {
            let decoder = zstd::stream::read::Decoder::with_buffer(compressed)
                .map_err(|error| not_decompressed(&error))?;
            read_all(decoder, bytes, out)?;
        }
        LZO => return Err(damage("its pages are compressed with LZO, which is not read")),
        other => return Err(damage(&format!("its pages have an unknown compression ({other})"))),
    }
    check_length(out.len() - start, bytes)
}

fn check_length(written: usize, bytes: usize) -> Result<()> {
    if written == bytes {
        return Ok(());
    }
    Err(damage(&format!("a page has {written} bytes and not {bytes} as its header says")))
}

/// One byte more than there should be is enough to tell.
fn read_all(decoder: impl Read, bytes: usize, out: &mut Vec<u8>) -> Result<()> {
    decoder
        .take(bytes as u64 + 1)
        .read_to_end(out)
        .map(drop)
        .map_err(|error| not_decompressed(&error))
}

fn not_decompressed(error: &io::Error) -> ParquetError {
    ParquetError::General(error.to_string())
}

/// What Parquet calls LZ4 is one of three things: blocks with two sizes before each, as Hadoop writes
/// them; a frame; or one block.
fn lz4(compressed: &[u8], out: &mut [u8]) -> Result<()> {
    if lz4_hadoop(compressed, out).is_some() {
        return Ok(());
    }
    if lz4_flex::frame::FrameDecoder::new(compressed).read_exact(out).is_ok() {
        return Ok(());
    }
    lz4_block(compressed, out)
}

fn lz4_hadoop(mut compressed: &[u8], mut out: &mut [u8]) -> Option<()> {
    while !out.is_empty() {
        let (plain_bytes, rest) = compressed.split_first_chunk::<4>()?;
        let mut plain_bytes = usize::try_from(u32::from_be_bytes(*plain_bytes)).ok()?;
        compressed = rest;
        // A block of Hadoop's may be several of LZ4's.
        while plain_bytes > 0 {
            let (block_bytes, rest) = compressed.split_first_chunk::<4>()?;
            let block_bytes = usize::try_from(u32::from_be_bytes(*block_bytes)).ok()?;
            let (block, rest) = rest.split_at_checked(block_bytes)?;
            let room = out.get_mut(..plain_bytes)?;
            let written = lz4_flex::block::decompress_into(block, room).ok()?;
            if written == 0 {
                return None;
            }
            plain_bytes -= written;
            out = &mut std::mem::take(&mut out)[written..];
            compressed = rest;
        }
    }
    // A stream that is ended with nothing left to write gets a block without bytes.
    let (blocks, rest) = compressed.as_chunks::<4>();
    (rest.is_empty() && blocks.iter().all(|bytes| *bytes == [0; 4])).then_some(())
}

fn lz4_block(compressed: &[u8], out: &mut [u8]) -> Result<()> {
    match lz4_flex::block::decompress_into(compressed, out) {
        Ok(written) if written == out.len() => Ok(()),
        Ok(written) => Err(damage(&format!(
            "a page has {written} bytes and not {} as its header says",
            out.len()
        ))),
        Err(error) => Err(ParquetError::General(error.to_string())),
    }
}

#[cfg(test)]
mod tests {
    use super::decompress;

    fn plain(codec: i32, compressed: &[u8], bytes: usize) -> Option<Vec<u8>> {
        let mut out = b"before".to_vec();
        decompress(codec, compressed, bytes, &mut out).ok()?;
        out.strip_prefix(b"before").map(<[u8]>::to_vec)
    }

    #[test]
    fn lz4_is_read_in_the_three_forms_that_it_has() {
        let text: Vec<u8> = (0..100_000_u32).map(|number| (number / 7 % 251) as u8).collect();
        let mut hadoop = Vec::new();
        for block in text.chunks(30_000) {
            let compressed = lz4_flex::block::compress(block);
            hadoop.extend(u32::try_from(block.len()).unwrap().to_be_bytes());
            hadoop.extend(u32::try_from(compressed.len()).unwrap().to_be_bytes());
            hadoop.extend(compressed);
        }
        assert_eq!(plain(5, &hadoop, text.len()).as_deref(), Some(&text[..]));
        let block = lz4_flex::block::compress(&text);
        assert_eq!(plain(5, &block, text.len()).as_deref(), Some(&text[..]));
        assert_eq!(plain(7, &block, text.len()).as_deref(), Some(&text[..]));
        for end in [0, 3, 8, hadoop.len() / 2, hadoop.len() - 1] {
            assert_eq!(plain(5, &hadoop[..end], text.len()), None, "cut at {end}");
        }
        assert_eq!(plain(7, &block, text.len() - 1), None);
        assert_eq!(plain(7, &block, text.len() + 1), None);
    }

    #[test]
    fn a_page_is_as_long_as_its_header_says() {
        let text = vec![7; 1000];
        let snappy = snap::raw::Encoder::new().compress_vec(&text).unwrap();
        let zstd = zstd::stream::encode_all(&text[..], 1).unwrap();
        for (codec, compressed) in [(1, snappy), (6, zstd)] {
            assert_eq!(plain(codec, &compressed, 1000).as_deref(), Some(&text[..]));
            assert_eq!(plain(codec, &compressed, 999), None);
            assert_eq!(plain(codec, &compressed, 1001), None);
        }
    }
}
