//! What must hold for any bytes. The targets in `fuzz/` try new ones, the test below those that were kept.

use std::io::{self, Write};

use crate::journal::{Cut, Journal};
use crate::listing::is_listed_safely;
use crate::object::RemoteObject;
use crate::proof::digest;

/// The size of the object that journals are about, and of its parts.
const SIZE: u64 = 1 << 12;
const PART_BYTES: u64 = 1 << 9;

/// Lists of objects are refused, or lead to names below the folder, each once.
pub fn listing(data: &[u8]) {
    assert!(is_listed_safely(data), "a name that leads elsewhere, or twice the same");
}

/// A journal: a part counts only if the bytes on the disk are those that it was written for. The first byte says
/// how much of `data` is the part file; the rest is the journal.
pub fn journal(data: &[u8]) -> io::Result<()> {
    let Some((&length, data)) = data.split_first() else { return Ok(()) };
    let (on_disk, journal) = data.split_at(data.len().min(usize::from(length) * 16));
    let folder = tempfile::tempdir()?;
    let path = folder.path().join("journal");
    std::fs::write(&path, journal)?;
    let mut part_file = tempfile::tempfile()?;
    part_file.write_all(on_disk)?;
    let object = RemoteObject {
        key: "a/1.parquet".to_owned(),
        name: "1.parquet".to_owned(),
        size: SIZE,
        etag: Some("e".to_owned()),
    };
    let cut = Cut::new(&object, PART_BYTES);
    let opened = Journal::open(&path, cut.clone(), &mut part_file)?;
    for part in (0..cut.parts()).filter(|&part| opened.has(part)) {
        let range = cut.range(part);
        let place = |offset: u64| usize::try_from(offset).unwrap_or(usize::MAX);
        let bytes = on_disk.get(place(range.start)..place(range.end));
        let mut crc64 = digest();
        crc64.update(bytes.unwrap_or_default());
        let noted = format!("\"crc64\":{}", crc64.finalize());
        let is_noted = String::from_utf8_lossy(journal).replace(' ', "").contains(&noted);
        assert!(bytes.is_some() && is_noted, "part {part} is believed, and was not noted");
    }
    assert!(opened.bytes() <= SIZE);
    assert_eq!(opened.crc64().is_some(), opened.bytes() == SIZE);
    // What was believed once is believed again: it was written by us now.
    let again = Journal::open(&path, cut, &mut part_file)?;
    assert_eq!(again.bytes(), opened.bytes());
    Ok(())
}

#[cfg(test)]
#[path = "../../../fuzz/kept.rs"]
mod kept;

#[cfg(test)]
mod tests {
    use super::kept::each_kept;

    #[test]
    fn what_was_kept_still_holds() {
        each_kept("listing", super::listing);
        each_kept("journal", |data| super::journal(data).unwrap());
    }
}
