//! Where bytes come from: a length and reads of ranges.

use std::fs::File;
use std::io::{self, Read};
use std::ops::Range;
use std::path::Path;
use std::sync::Arc;

use crate::error::Error;
use bytes::Bytes;
use parking_lot::Mutex;

/// Random access to the bytes of one file or object.
pub trait Source: Send + Sync {
    /// The length in bytes.
    fn size(&self) -> u64;

    /// The bytes of `range`, all of them: less is an [`io::ErrorKind::UnexpectedEof`] error.
    fn read(&self, range: Range<u64>) -> io::Result<Bytes>;

    /// Called before rows are read with the ranges that they take: for each row group those of its column
    /// chunks, in the same order of columns. The chunks of a group are read at about the same time, each from
    /// its start. A source that is far away can fetch them ahead; by default nothing happens.
    fn prefetch(&self, _groups: &[Vec<Range<u64>>]) {}
}

/// A file to read: its name in messages, and its bytes. Cheap to clone.
#[derive(Clone)]
pub struct Input {
    name: Arc<str>,
    source: Arc<dyn Source>,
}

impl Input {
    /// `name` stands for the file in messages.
    pub fn new(name: impl Into<Arc<str>>, source: impl Source + 'static) -> Self {
        Self { name: name.into(), source: Arc::new(source) }
    }

    /// Opens the local file at `path`.
    pub fn open(path: &Path) -> Result<Self, Error> {
        Ok(Self::new(path.display().to_string(), FileSource::open(path)?))
    }

    /// The name in messages.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The bytes.
    pub fn source(&self) -> &Arc<dyn Source> {
        &self.source
    }

    /// Whether both are clones of one.
    pub(crate) fn is_same(&self, other: &Self) -> bool {
        self.name == other.name && Arc::ptr_eq(&self.source, &other.source)
    }
}

impl std::fmt::Debug for Input {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Input").field("name", &self.name).finish_non_exhaustive()
    }
}

/// What the Parquet decoder is told when the source fails, and what its own error then has in its text.
const SOURCE_FAILED: &str = "the source of the file failed";

/// Keeps the error with which reading failed: what comes out of the Parquet decoder is only a text, and a
/// fault of the disk or the network must not pass for damage.
pub(crate) struct Watched {
    source: Arc<dyn Source>,
    failure: Mutex<Option<io::Error>>,
}

impl Watched {
    pub(crate) fn new(source: Arc<dyn Source>) -> Self {
        Self { source, failure: Mutex::default() }
    }

    /// The failure that an error of the decoder comes from, if it comes from one.
    pub(crate) fn failure_behind(&self, error: &impl std::fmt::Display) -> Option<io::Error> {
        let is_ours = error.to_string().contains(SOURCE_FAILED);
        self.failure.lock().take().filter(|_| is_ours)
    }
}

impl Source for Watched {
    fn size(&self) -> u64 {
        self.source.size()
    }

    fn read(&self, range: Range<u64>) -> io::Result<Bytes> {
        self.source.read(range).map_err(|error| {
            // Beyond the end is where only a damaged file points.
            if error.kind() == io::ErrorKind::UnexpectedEof {
                return error;
            }
            *self.failure.lock() = Some(error);
            io::Error::other(SOURCE_FAILED)
        })
    }

    fn prefetch(&self, groups: &[Vec<Range<u64>>]) {
        self.source.prefetch(groups);
    }
}

impl Source for Bytes {
    fn size(&self) -> u64 {
        self.len() as u64
    }

    fn read(&self, range: Range<u64>) -> io::Result<Bytes> {
        let start = usize::try_from(range.start).ok();
        let end = usize::try_from(range.end).ok();
        match (start, end) {
            (Some(start), Some(end)) if start <= end && end <= self.len() => {
                Ok(self.slice(start..end))
            }
            _ => Err(io::ErrorKind::UnexpectedEof.into()),
        }
    }
}

/// A local file, read by position.
#[derive(Debug)]
pub struct FileSource {
    file: File,
    size: u64,
}

impl FileSource {
    /// Opens the regular file at `path`.
    pub fn open(path: &Path) -> Result<Self, Error> {
        Self::new(path).map_err(|source| Error::io(&path.display().to_string(), source))
    }

    fn new(path: &Path) -> io::Result<Self> {
        let file = File::open(path)?;
        if file.metadata()?.is_dir() {
            return Err(io::ErrorKind::IsADirectory.into());
        }
        Self::from_file(file)
    }

    /// Takes a file that is open already, such as a temporary file without a name.
    pub fn from_file(file: File) -> io::Result<Self> {
        let size = file.metadata()?.len();
        Ok(Self { file, size })
    }

    /// Reads `length` bytes at `offset`, into memory that need not be cleared before.
    #[cfg(unix)]
    fn read_at(&self, offset: u64, length: usize) -> io::Result<Vec<u8>> {
        use rustix::buffer::spare_capacity;
        use rustix::io::{Errno, pread};

        let mut bytes = Vec::with_capacity(length);
        while bytes.len() < length {
            let at = offset + bytes.len() as u64;
            match pread(&self.file, spare_capacity(&mut bytes), at) {
                Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
                Ok(_) | Err(Errno::INTR) => {}
                Err(error) => return Err(error.into()),
            }
        }
        // There may be room for more than was asked for.
        bytes.truncate(length);
        Ok(bytes)
    }

    #[cfg(windows)]
    fn read_at(&self, offset: u64, length: usize) -> io::Result<Vec<u8>> {
        let mut bytes = vec![0; length];
        let mut done = 0;
        while done < length {
            let at = offset + done as u64;
            match std::os::windows::fs::FileExt::seek_read(&self.file, &mut bytes[done..], at)? {
                0 => return Err(io::ErrorKind::UnexpectedEof.into()),
                read => done += read,
            }
        }
        Ok(bytes)
    }
}

impl Source for FileSource {
    fn size(&self) -> u64 {
        self.size
    }

    fn read(&self, range: Range<u64>) -> io::Result<Bytes> {
        if range.start > range.end || range.end > self.size {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        let length = usize::try_from(range.end - range.start).map_err(io::Error::other)?;
        Ok(self.read_at(range.start, length)?.into())
    }
}

/// What a file holds, told by its first bytes. Only a file without bytes is told by its name:
/// `.json`, `.jsonl` and `.ndjson` are exports without rows, anything else is a broken Parquet file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum FileKind {
    /// A JSON export: lines, or one array.
    Json,
    /// A Parquet file.
    Parquet,
}

impl FileKind {
    /// Looks at the first bytes.
    pub fn of(input: &Input) -> Result<Self, Error> {
        let (file, source) = (input.name(), input.source());
        let size = source.size();
        if size == 0 {
            return match file.rsplit('.').next() {
                Some("json" | "jsonl" | "ndjson") => Ok(Self::Json),
                _ => Err(Error::Empty { file: file.to_owned() }),
            };
        }
        let head = source.read(0..size.min(64)).map_err(|source| Error::io(file, source))?;
        if head.starts_with(b"PAR1") {
            return Ok(Self::Parquet);
        }
        if head.starts_with(b"PARE") {
            return Err(Error::Encrypted { file: file.to_owned() });
        }
        let (text, known) =
            (head.strip_prefix(BYTE_ORDER_MARK).unwrap_or(&head), known_start(&head));
        match text.iter().find(|byte| !is_json_space(**byte)) {
            // All white space is an export without rows.
            Some(b'{' | b'[') | None if known.is_empty() => Ok(Self::Json),
            _ => Err(Error::UnknownKind {
                file: file.to_owned(),
                start: format!("\"{}\"{known}", head[..head.len().min(8)].escape_ascii()),
            }),
        }
    }
}

/// May stand before a text (RFC 8259, 8.1, lets a reader ignore it).
pub(crate) const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

/// What JSON takes for white space, which is less than ASCII has.
pub(crate) fn is_json_space(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'\n' | b'\r')
}

/// What a file is that we do not read, told by its first bytes.
fn known_start(head: &[u8]) -> &'static str {
    match head {
        [0x1f, 0x8b, ..] => " as gzip does (unpack it first)",
        [0x28, 0xb5, 0x2f, 0xfd, ..] => " as Zstandard does (unpack it first)",
        [0xff, 0xfe, ..] | [0xfe, 0xff, ..] | [b'{' | b'[', 0, ..] | [0, b'{' | b'[', ..] => {
            " as UTF-16 does (write it as UTF-8)"
        }
        _ => "",
    }
}

/// Page headers are a few dozen bytes; one small read nearly always holds them.
pub(crate) const HEADER_READ_BYTES: usize = 512;

/// Reads a range of a [`Source`] from its start onwards.
pub(crate) struct SourceReader {
    source: Arc<dyn Source>,
    left: Range<u64>,
}

impl SourceReader {
    pub(crate) fn new(source: Arc<dyn Source>, range: Range<u64>) -> Self {
        Self { source, left: range }
    }
}

impl Read for SourceReader {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let left = self.left.end.saturating_sub(self.left.start);
        let length = left.min(buffer.len() as u64);
        let bytes = self.source.read(self.left.start..self.left.start + length)?;
        buffer[..bytes.len()].copy_from_slice(&bytes);
        self.left.start += length;
        Ok(bytes.len())
    }
}
