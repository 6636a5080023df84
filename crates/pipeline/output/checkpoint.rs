//! How far the rows of a run got in a file of the user's, so that printing can go on there.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use memchr::memrchr;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use viking_fetch::replace_durably;
use viking_reader::PrintFormat;

use super::versions::{Chain, Versions};
use crate::record::{CHECKPOINT, RowOptions};

/// What a stop may lose of the printing: the rows of about this time.
const SAVE_EVERY: Duration = Duration::from_secs(1);

/// What is on the disk of an output.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Printed {
    output: PathBuf,
    /// How rows were printed; with other options nothing is gone on with.
    options: Value,
    rows: u64,
    bytes: u64,
    /// The objects that the rows are of. A checkpoint of before there was this binds nothing.
    #[serde(default)]
    versions: Chain,
    /// All rows are there, and the file has its name or is about to get it.
    #[serde(default)]
    is_whole: bool,
}

/// Counts what is printed, and notes it on the disk from time to time.
#[derive(Debug)]
pub(super) struct Checkpoint {
    place: PathBuf,
    /// Whole rows only.
    printed: Printed,
    /// All bytes, those of a row that is not whole yet included.
    bytes: u64,
    saved: Instant,
    /// Rows are lines, so that they can be told apart in a file.
    can_go_on: bool,
    versions: Versions,
}

impl Checkpoint {
    /// For rows printed to `output` by a run in `folder`.
    pub(super) fn new(folder: &Path, output: &Path, options: &RowOptions) -> io::Result<Self> {
        let options = options.of_output();
        let can_go_on = options.format == PrintFormat::JsonLines;
        let output = spelled_one_way(output)?;
        let options = serde_json::to_value(options)?;
        let versions = Chain::default();
        let printed = Printed { output, options, rows: 0, bytes: 0, versions, is_whole: false };
        let place = folder.join(CHECKPOINT);
        let versions = Versions::default();
        Ok(Self { place, printed, bytes: 0, saved: Instant::now(), can_go_on, versions })
    }

    /// What an earlier attempt noted of the same output.
    fn noted(&self) -> Option<Printed> {
        let noted: Printed = serde_json::from_slice(&fs::read(&self.place).ok()?).ok()?;
        let is_same = noted.output == self.printed.output && noted.options == self.printed.options;
        let is_bound = noted.rows == 0 || !noted.versions.is_empty();
        (is_same && is_bound).then_some(noted)
    }

    /// What an earlier attempt noted when it had put all rows into `output` and given it its name: then `part` is
    /// gone.
    fn noted_whole(&self, output: &Path, part: &Path) -> Option<Printed> {
        let length = fs::metadata(output).map(|file| file.len()).ok();
        let noted = self.noted().filter(|_| !part.exists());
        noted.filter(|noted| noted.is_whole && Some(noted.bytes) == length)
    }

    /// Whether `output` is whole, and was written by this run.
    pub(super) fn is_whole(&self, output: &Path, part: &Path) -> bool {
        self.noted_whole(output, part).is_some()
    }

    /// Takes it as it is, if so.
    pub(super) fn take_up_whole(&mut self, output: &Path, part: &Path) -> bool {
        let Some(noted) = self.noted_whole(output, part) else { return false };
        self.versions = Versions::behind(noted.versions.clone());
        self.printed = noted;
        true
    }

    /// Takes up what an earlier attempt noted of the same output, if `part` still has it all. What is behind it
    /// is cut off: it may not be whole.
    pub(super) fn take_up(&mut self, part: &mut File) -> io::Result<()> {
        let noted = self.noted().filter(|_| self.can_go_on);
        let length = part.metadata()?.len();
        if let Some(noted) = noted.filter(|noted| noted.bytes <= length) {
            self.bytes = noted.bytes;
            self.versions = Versions::behind(noted.versions.clone());
            self.printed = Printed { is_whole: false, ..noted };
        }
        part.set_len(self.bytes)?;
        io::Seek::seek(part, io::SeekFrom::End(0)).map(drop)
    }

    /// The versions that the rows are of, to be kept up to date by who opens their files.
    pub(super) fn versions(&self) -> Versions {
        self.versions.clone()
    }

    /// Rows that need not be printed again.
    pub(super) fn rows(&self) -> u64 {
        self.printed.rows
    }

    /// Counts what was written and is not lines.
    pub(super) fn count(&mut self, bytes: u64) {
        self.bytes += bytes;
    }

    /// Counts what was written, with so many ends of lines in it.
    pub(super) fn wrote(&mut self, file: &File, bytes: &[u8], lines: u64) -> io::Result<()> {
        if let Some(end) = memrchr(b'\n', bytes) {
            self.printed.rows += lines;
            self.printed.bytes = self.bytes + end as u64 + 1;
        }
        self.bytes += bytes.len() as u64;
        if self.saved.elapsed() < SAVE_EVERY {
            return Ok(());
        }
        self.save(file)
    }

    /// Notes that all rows are there.
    pub(super) fn save_whole(&mut self, file: &File, rows: u64) -> io::Result<()> {
        self.printed.is_whole = true;
        (self.printed.rows, self.printed.bytes) = (rows, self.bytes);
        self.save(file)
    }

    /// Notes on the disk what is there.
    pub(super) fn save(&mut self, file: &File) -> io::Result<()> {
        self.saved = Instant::now();
        // First the rows are on the disk, then what is said of them.
        file.sync_data()?;
        self.printed.versions = self.versions.chain();
        let part = self.place.with_extension("json.part");
        replace_durably(&self.place, &part, &serde_json::to_vec(&self.printed)?)
    }

    /// Nothing is left to be done with the output.
    pub(super) fn remove(&self) {
        // What is left of it speaks of a part file that is gone, and is not believed.
        drop(fs::remove_file(&self.place));
    }
}

/// Whether an output of so many bytes keeps no more than it has when it is taken up with the checkpoint `noted`.
#[cfg(any(test, fuzzing))]
pub(crate) fn is_taken_up_safely(length: u64, noted: &[u8]) -> io::Result<bool> {
    let folder = tempfile::tempdir()?;
    let (output, part) = (folder.path().join("rows.jsonl"), folder.path().join("rows.jsonl.part"));
    fs::write(folder.path().join(CHECKPOINT), noted)?;
    let mut file = File::options().read(true).write(true).create_new(true).open(&part)?;
    file.set_len(length)?;
    let mut checkpoint = Checkpoint::new(folder.path(), &output, &RowOptions::default())?;
    let is_whole = checkpoint.is_whole(&output, &part);
    checkpoint.take_up(&mut file)?;
    let kept = file.metadata()?.len();
    Ok(!is_whole && kept <= length && kept == checkpoint.bytes)
}

/// The same file has one name, from wherever and however it is named.
fn spelled_one_way(path: &Path) -> io::Result<PathBuf> {
    let path = std::path::absolute(path)?;
    Ok(match (path.parent().map(Path::canonicalize), path.file_name()) {
        (Some(Ok(folder)), Some(name)) => folder.join(name),
        _ => path,
    })
}
