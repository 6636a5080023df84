//! When encoded rows leave our buffer.

use std::io::Write;
use std::time::{Duration, Instant};

use crate::error::Error;

/// A buffer this full is written at once.
const WRITE_BYTES: usize = 256 * 1024;

/// Rows wait no longer than this for the ones behind them.
const WRITE_AFTER: Duration = Duration::from_millis(50);

/// Collects whole rows and writes them in large pieces: the first batch at once, then when
/// [`WRITE_BYTES`] are there or [`WRITE_AFTER`] has passed.
#[derive(Debug)]
pub(crate) struct RowWriter<W: Write> {
    out: W,
    buffer: Vec<u8>,
    bytes_written: u64,
    last_write: Option<Instant>,
}

impl<W: Write> RowWriter<W> {
    pub(crate) fn new(out: W) -> Self {
        Self {
            out,
            buffer: Vec::with_capacity(2 * WRITE_BYTES),
            bytes_written: 0,
            last_write: None,
        }
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

    /// Bytes that the writer behind has taken.
    pub(crate) fn bytes_written(&self) -> u64 {
        self.bytes_written
    }

    /// Writes whole rows at once, behind those in the buffer.
    pub(crate) fn write(&mut self, rows: &[u8]) -> Result<(), Error> {
        self.write_buffer()?;
        self.out.write_all(rows).map_err(Error::Write)?;
        self.bytes_written += rows.len() as u64;
        self.last_write = Some(Instant::now());
        Ok(())
    }

    fn write_buffer(&mut self) -> Result<(), Error> {
        if self.buffer.is_empty() {
            return Ok(());
        }
        self.out.write_all(&self.buffer).map_err(Error::Write)?;
        self.bytes_written += self.buffer.len() as u64;
        self.last_write = Some(Instant::now());
        self.buffer.clear();
        Ok(())
    }
}
