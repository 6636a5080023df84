//! How far the rows of a run got in a file of the user's, so that printing can go on there.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use memchr::memrchr;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::args::RowArgs;
use crate::values::Format;

/// In the run folder, as long as rows are printed to a file.
pub(crate) const CHECKPOINT: &str = ".printed.json";

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
}

/// Counts what is printed, and notes it on the disk from time to time.
#[derive(Debug)]
pub(crate) struct Checkpoint {
    place: PathBuf,
    /// Whole rows only.
    printed: Printed,
    /// All bytes, those of a row that is not whole yet included.
    bytes: u64,
    saved: Instant,
}

impl Checkpoint {
    /// For rows printed to `output` by a run in `folder`; `None` where the format allows no going on.
    pub(crate) fn new(folder: &Path, output: &Path, options: &RowArgs) -> Option<Self> {
        if options.format != Format::Jsonl {
            return None;
        }
        let output = std::path::absolute(output).ok()?;
        let options = serde_json::to_value(options).ok()?;
        let printed = Printed { output, options, rows: 0, bytes: 0 };
        let place = folder.join(CHECKPOINT);
        Some(Self { place, printed, bytes: 0, saved: Instant::now() })
    }

    /// Takes up what an earlier run noted of the same output, if `part` still has it all. What is behind it
    /// is cut off: it may not be whole.
    pub(crate) fn take_up(&mut self, part: &Path) -> io::Result<Option<File>> {
        let noted = fs::read(&self.place).ok();
        let noted: Option<Printed> = noted.and_then(|text| serde_json::from_slice(&text).ok());
        let Some(noted) = noted.filter(|noted| {
            noted.output == self.printed.output && noted.options == self.printed.options
        }) else {
            return Ok(None);
        };
        let mut file = match File::options().write(true).open(part) {
            Ok(file) if file.metadata()?.len() >= noted.bytes => file,
            Ok(_) => return Ok(None),
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error),
        };
        file.set_len(noted.bytes)?;
        io::Seek::seek(&mut file, io::SeekFrom::End(0))?;
        self.bytes = noted.bytes;
        self.printed = noted;
        Ok(Some(file))
    }

    /// Rows that need not be printed again.
    pub(crate) fn rows(&self) -> u64 {
        self.printed.rows
    }

    /// Counts what was written, with so many ends of lines in it.
    pub(crate) fn wrote(&mut self, file: &File, bytes: &[u8], lines: u64) -> io::Result<()> {
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

    /// Notes on the disk what is there.
    pub(crate) fn save(&mut self, file: &File) -> io::Result<()> {
        self.saved = Instant::now();
        // First the rows are on the disk, then what is said of them.
        file.sync_data()?;
        let part = self.place.with_extension("json.part");
        let note = File::create(&part)?;
        serde_json::to_writer(&note, &self.printed)?;
        note.sync_all()?;
        fs::rename(&part, &self.place)
    }

    /// The output is complete.
    pub(crate) fn remove(&self) {
        // What is left of it speaks of a part file that is gone, and is not believed.
        drop(fs::remove_file(&self.place));
    }
}
