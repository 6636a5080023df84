//! When encoded rows leave our buffer.

use std::io::Write;
use std::time::{Duration, Instant};

use crate::error::Error;

/// A buffer this full is written at once.
const WRITE_BYTES: usize = 256 * 1024;

/// No buffer is kept that has become larger.
const BUFFER_BYTES_MAX: usize = 4 << 20;

/// Rows wait no longer than this for the ones behind them.
const WRITE_AFTER: Duration = Duration::from_millis(50);

/// What stands between rows and around all of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Frame {
    /// Nothing: each row ends itself.
    Rows,
    /// A JSON array. Rows end with [`ROW_END_IN_ARRAY`].
    Array,
}

/// The last of these in the whole array is not written.
pub(crate) const ROW_END_IN_ARRAY: &[u8] = b",\n";

/// Collects whole rows and writes them in large pieces: the first batch at once, then when
/// [`WRITE_BYTES`] are there or [`WRITE_AFTER`] has passed.
#[derive(Debug)]
pub(crate) struct RowWriter<W: Write> {
    out: W,
    frame: Frame,
    buffer: Vec<u8>,
    bytes_written: u64,
    last_write: Option<Instant>,
}

impl<W: Write> RowWriter<W> {
    pub(crate) fn new(out: W, frame: Frame) -> Self {
        Self { out, frame, buffer: Vec::new(), bytes_written: 0, last_write: None }
    }

    /// Where whole rows are appended; [`Self::rows_added`] follows.
    pub(crate) fn buffer(&mut self) -> &mut Vec<u8> {
        &mut self.buffer
    }

    /// Writes if it is time to.
    pub(crate) fn rows_added(&mut self) -> Result<(), Error> {
        let due = self.last_write.is_none_or(|last| last.elapsed() >= WRITE_AFTER);
        if self.buffer.len() >= WRITE_BYTES || due {
            self.write_buffer()?;
        }
        Ok(())
    }

    /// Writes what is left and flushes the writer behind.
    pub(crate) fn flush(&mut self) -> Result<(), Error> {
        self.write_buffer()?;
        self.out.flush().map_err(Error::Write)
    }

    /// Writes what is left and what closes the frame.
    pub(crate) fn finish(&mut self) -> Result<(), Error> {
        self.write_buffer()?;
        if self.frame == Frame::Array {
            self.put(if self.bytes_written == 0 { b"[]\n" } else { b"\n]\n" })?;
            self.frame = Frame::Rows;
        }
        self.out.flush().map_err(Error::Write)
    }

    /// Bytes that the writer behind has taken.
    pub(crate) fn bytes_written(&self) -> u64 {
        self.bytes_written
    }

    /// Writes whole rows at once, behind those in the buffer.
    pub(crate) fn write(&mut self, rows: &[u8]) -> Result<(), Error> {
        self.write_buffer()?;
        self.put_rows(rows)
    }

    /// Writes one row, which `each_piece` hands over in pieces without what ends it.
    pub(crate) fn write_long(
        &mut self,
        each_piece: impl FnOnce(&mut dyn FnMut(&[u8])),
    ) -> Result<(), Error> {
        self.write_buffer()?;
        if self.frame == Frame::Array {
            self.begin_in_array()?;
        }
        let mut outcome = Ok(());
        each_piece(&mut |piece| {
            self.buffer.extend_from_slice(if piece.len() < WRITE_BYTES { piece } else { &[] });
            if outcome.is_ok() && (self.buffer.len() >= WRITE_BYTES || piece.len() >= WRITE_BYTES) {
                let buffer = std::mem::take(&mut self.buffer);
                outcome = self.put(&buffer);
                self.buffer = buffer;
                self.buffer.clear();
                if outcome.is_ok() && piece.len() >= WRITE_BYTES {
                    outcome = self.put(piece);
                }
            }
        });
        if self.frame == Frame::Rows {
            self.buffer.push(b'\n');
        }
        let buffer = std::mem::take(&mut self.buffer);
        outcome.and_then(|()| self.put(&buffer))
    }

    fn write_buffer(&mut self) -> Result<(), Error> {
        let buffer = std::mem::take(&mut self.buffer);
        let outcome = self.put_rows(&buffer);
        // A row of many bytes leaves no such buffer behind.
        self.buffer = if buffer.capacity() > BUFFER_BYTES_MAX { Vec::new() } else { buffer };
        self.buffer.clear();
        outcome
    }

    fn put_rows(&mut self, rows: &[u8]) -> Result<(), Error> {
        if rows.is_empty() {
            return Ok(());
        }
        match self.frame {
            Frame::Rows => self.put(rows),
            Frame::Array => {
                self.begin_in_array()?;
                self.put(rows.strip_suffix(ROW_END_IN_ARRAY).unwrap_or(rows))
            }
        }
    }

    /// What stands before a row of an array, or before the first.
    fn begin_in_array(&mut self) -> Result<(), Error> {
        self.put(if self.bytes_written == 0 { b"[\n" } else { ROW_END_IN_ARRAY })
    }

    fn put(&mut self, bytes: &[u8]) -> Result<(), Error> {
        self.out.write_all(bytes).map_err(Error::Write)?;
        self.bytes_written += bytes.len() as u64;
        self.last_write = Some(Instant::now());
        Ok(())
    }
}
