//! What is known of an object that is not complete yet: its parts that are on the disk.
//!
//! The journal is a file of JSON lines beside the part file: first which object it is, then one line for
//! each finished part with its CRC-64. A line may have got to the disk before the bytes it speaks of, so
//! every part is read again and compared before it is believed.

use std::fs::{self, File};
use std::io::{self, BufRead, BufReader, Read, Seek, SeekFrom, Write};
use std::ops::Range;
use std::path::{Path, PathBuf};

use crc_fast::checksum_combine;
use serde::{Deserialize, Serialize};

use crate::object::RemoteObject;
use crate::proof::{CRC_64, READ_BYTES, digest};

/// How an object is cut into parts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Cut {
    key: String,
    size: u64,
    etag: Option<String>,
    part_bytes: u64,
}

impl Cut {
    pub(crate) fn new(object: &RemoteObject, part_bytes: u64) -> Self {
        let RemoteObject { key, size, etag, .. } = object.clone();
        // Without an ETag nothing tells the parts of two versions apart.
        let part_bytes = if etag.is_some() { part_bytes.max(1) } else { u64::MAX };
        Self { key, size, etag, part_bytes }
    }

    /// An object without bytes has one part without bytes.
    pub(crate) fn parts(&self) -> usize {
        usize::try_from(self.size.div_ceil(self.part_bytes).max(1)).unwrap_or(usize::MAX)
    }

    /// The bytes of a part.
    pub(crate) fn range(&self, part: usize) -> Range<u64> {
        let start = (part as u64).saturating_mul(self.part_bytes).min(self.size);
        start..start.saturating_add(self.part_bytes).min(self.size)
    }
}

/// A line of the journal behind the first.
#[derive(Debug, Serialize, Deserialize)]
struct Line {
    part: usize,
    crc64: u64,
}

/// The finished parts of one object.
#[derive(Debug)]
pub(crate) struct Journal {
    path: PathBuf,
    file: File,
    cut: Cut,
    crcs: Vec<Option<u64>>,
}

impl Journal {
    /// Takes the journal at `path` if it is about the same object, cut alike, and those parts of it that
    /// are whole in `part_file`; otherwise begins a new one.
    pub(crate) fn open(path: &Path, cut: Cut, part_file: &mut File) -> io::Result<Self> {
        let mut crcs = vec![None; cut.parts()];
        for Line { part, crc64 } in read(path, &cut).unwrap_or_default() {
            if part < crcs.len() && crc_of(part_file, cut.range(part))? == Some(crc64) {
                crcs[part] = Some(crc64);
            }
        }
        if crcs.iter().all(Option::is_none) {
            part_file.set_len(0)?;
        }
        let file = write_new(path, &cut, &crcs)?;
        Ok(Self { path: path.to_owned(), file, cut, crcs })
    }

    /// Notes a finished part. One write, so that a kill leaves the whole line or none of it.
    pub(crate) fn finish(&mut self, part: usize, crc64: u64) -> io::Result<()> {
        self.crcs[part] = Some(crc64);
        let mut line = serde_json::to_vec(&Line { part, crc64 })?;
        line.push(b'\n');
        self.file.write_all(&line)
    }

    /// Forgets all parts.
    pub(crate) fn clear(&mut self) -> io::Result<()> {
        self.crcs.fill(None);
        self.file = write_new(&self.path, &self.cut, &self.crcs)?;
        Ok(())
    }

    pub(crate) fn has(&self, part: usize) -> bool {
        self.crcs[part].is_some()
    }

    /// Bytes of the finished parts.
    pub(crate) fn bytes(&self) -> u64 {
        let finished = (0..self.crcs.len()).filter(|&part| self.has(part));
        finished.map(|part| self.cut.range(part)).map(|range| range.end - range.start).sum()
    }

    /// The checksum of the whole object, once all parts are there.
    pub(crate) fn crc64(&self) -> Option<u64> {
        let mut whole = digest().finalize();
        for (part, crc) in self.crcs.iter().enumerate() {
            let range = self.cut.range(part);
            whole = checksum_combine(CRC_64, whole, (*crc)?, range.end - range.start);
        }
        Some(whole)
    }

    /// Removes the journal of an object that is complete.
    pub(crate) fn remove(&self) -> io::Result<()> {
        fs::remove_file(&self.path)
    }
}

/// Writes a whole journal and puts it in the place of the old one: a kill leaves one of the two. Returns
/// the new one, open at its end.
fn write_new(path: &Path, cut: &Cut, crcs: &[Option<u64>]) -> io::Result<File> {
    let mut text = serde_json::to_vec(cut)?;
    text.push(b'\n');
    for (part, crc) in crcs.iter().enumerate() {
        if let Some(crc64) = *crc {
            serde_json::to_writer(&mut text, &Line { part, crc64 })?;
            text.push(b'\n');
        }
    }
    let new = path.with_extension("journal.new");
    let mut file = File::create(&new)?;
    file.write_all(&text)?;
    fs::rename(&new, path)?;
    Ok(file)
}

/// The lines of a journal about the same object; `None` if there is no such journal.
fn read(path: &Path, cut: &Cut) -> Option<Vec<Line>> {
    let mut lines = BufReader::new(File::open(path).ok()?).lines();
    let head: Cut = serde_json::from_str(&lines.next()?.ok()?).ok()?;
    if &head != cut || cut.etag.is_none() {
        return None;
    }
    // A torn line, of a kill or a full disk, says nothing.
    Some(
        lines
            .map_while(io::Result::ok)
            .filter_map(|line| serde_json::from_str(&line).ok())
            .collect(),
    )
}

/// The checksum of a range of a file; `None` if the file ends before.
fn crc_of(file: &mut File, range: Range<u64>) -> io::Result<Option<u64>> {
    file.seek(SeekFrom::Start(range.start))?;
    let (mut digest, mut left) = (digest(), range.end - range.start);
    let mut buffer = vec![0; READ_BYTES];
    while left > 0 {
        let wanted = usize::try_from(left).unwrap_or(READ_BYTES).min(READ_BYTES);
        let read = file.read(&mut buffer[..wanted])?;
        if read == 0 {
            return Ok(None);
        }
        digest.update(&buffer[..read]);
        left -= read as u64;
    }
    Ok(Some(digest.finalize()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cut(size: u64, part_bytes: u64) -> Cut {
        Cut::new(&object(size), part_bytes)
    }

    fn object(size: u64) -> RemoteObject {
        let (key, name) = ("a/1.parquet".to_owned(), "1.parquet".to_owned());
        RemoteObject { key, name, size, etag: Some("e".to_owned()) }
    }

    fn crc(bytes: &[u8]) -> u64 {
        let mut digest = digest();
        digest.update(bytes);
        digest.finalize()
    }

    #[test]
    fn parts_cover_an_object_without_gaps() {
        for (size, part_bytes, parts) in [(0, 4, 1), (1, 4, 1), (4, 4, 1), (5, 4, 2), (12, 4, 3)] {
            let cut = cut(size, part_bytes);
            assert_eq!(cut.parts(), parts);
            let mut end = 0;
            for part in 0..parts {
                assert_eq!(cut.range(part).start, end);
                end = cut.range(part).end;
            }
            assert_eq!(end, size);
        }
    }

    #[test]
    fn the_checksum_of_parts_is_that_of_the_whole() {
        // The check value of CRC-64/XZ.
        assert_eq!(crc(b"123456789"), 0x995d_c9bb_df19_39fa);
        let folder = tempfile::tempdir().unwrap();
        let mut part_file = tempfile::tempfile().unwrap();
        let path = folder.path().join("journal");
        let mut journal = Journal::open(&path, cut(9, 4), &mut part_file).unwrap();
        for (part, bytes) in b"123456789".chunks(4).enumerate().rev() {
            assert_eq!(journal.crc64(), None);
            journal.finish(part, crc(bytes)).unwrap();
        }
        assert_eq!(journal.crc64(), Some(0x995d_c9bb_df19_39fa));
    }

    #[test]
    fn only_parts_that_are_whole_on_the_disk_are_believed() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("journal");
        let mut part_file = tempfile::tempfile().unwrap();
        part_file.write_all(b"0123xxxx89").unwrap();
        let mut journal = Journal::open(&path, cut(10, 4), &mut part_file).unwrap();
        assert_eq!(journal.bytes(), 0);
        part_file.rewind().unwrap();
        part_file.write_all(b"0123xxxx89").unwrap();
        for (part, bytes) in b"0123456789".chunks(4).enumerate() {
            journal.finish(part, crc(bytes)).unwrap();
        }
        // Half a line, as a kill may leave it.
        journal.file.write_all(b"{\"part\":1,\"crc").unwrap();
        let again = Journal::open(&path, cut(10, 4), &mut part_file).unwrap();
        assert_eq!([again.has(0), again.has(1), again.has(2)], [true, false, true]);
        assert_eq!(again.bytes(), 6);
        // Without an ETag it might be another version.
        let unknown = RemoteObject { etag: None, ..object(10) };
        assert_eq!(Cut::new(&unknown, 4).parts(), 1);
        // Another size, other parts, another version: nothing of it counts.
        let other = Cut { etag: Some("f".to_owned()), ..cut(10, 4) };
        for other in [cut(11, 4), cut(10, 5), other] {
            let kept = fs::read(&path).unwrap();
            assert_eq!(Journal::open(&path, other, &mut part_file).unwrap().bytes(), 0);
            fs::write(&path, kept).unwrap();
            part_file.rewind().unwrap();
            part_file.write_all(b"0123xxxx89").unwrap();
        }
    }
}
