//! The run folder: data files, and `receipt.json`, which says what they are and how far we got.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use viking_fetch::RemoteObject;

use crate::args::RowArgs;
use crate::exit::{Exit, Failure, Outcome};

const RECEIPT: &str = "receipt.json";
/// The version of the receipt. Changes only add to it.
const RECEIPT_SCHEMA: u32 = 1;

/// What a folder was made for. Two equal requests may share a folder.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "verb")]
pub(crate) enum Request {
    /// Objects that exist already.
    Fetch {
        /// `tos://bucket/prefix`.
        from: String,
    },
    /// An export.
    Run {
        collection: String,
        /// The conditions; none exports every row.
        filter: Option<serde_json::Value>,
        /// Where runs go, without the run's own folder.
        to: String,
        file_type: String,
        region: String,
        endpoint: Option<String>,
        tos_endpoint: Option<String>,
    },
}

/// One object and what became of it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct ObjectRecord {
    pub(crate) key: String,
    pub(crate) name: String,
    pub(crate) size: u64,
    pub(crate) etag: Option<String>,
    /// Rows, once they were counted.
    #[serde(default)]
    pub(crate) rows: Option<u64>,
}

impl ObjectRecord {
    pub(crate) fn remote(&self) -> RemoteObject {
        RemoteObject {
            key: self.key.clone(),
            name: self.name.clone(),
            size: self.size,
            etag: self.etag.clone(),
        }
    }
}

impl From<RemoteObject> for ObjectRecord {
    fn from(object: RemoteObject) -> Self {
        let RemoteObject { key, name, size, etag } = object;
        Self { key, name, size, etag, rows: None }
    }
}

/// What `receipt.json` holds.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Receipt {
    pub(crate) schema: u32,
    /// The program's version.
    pub(crate) version: String,
    /// The run's name, which is also its folder in TOS.
    pub(crate) run: String,
    pub(crate) request: Request,
    /// How rows are printed by `resume`.
    pub(crate) rows: Option<RowArgs>,
    pub(crate) started: String,
    /// Set just before the task is submitted: from here on there may be one.
    pub(crate) submitted: Option<String>,
    pub(crate) task: Option<String>,
    /// Listed once the task is done.
    pub(crate) objects: Option<Vec<ObjectRecord>>,
    /// Set when all rows are printed and proven.
    pub(crate) finished: Option<Finished>,
}

/// The proof at the end of a run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Finished {
    pub(crate) at: String,
    /// Rows of all objects.
    pub(crate) rows: Option<u64>,
    /// Rows printed.
    pub(crate) rows_printed: Option<u64>,
}

/// A folder with its receipt.
#[derive(Debug)]
pub(crate) struct RunFolder {
    pub(crate) path: PathBuf,
    pub(crate) receipt: Receipt,
}

impl RunFolder {
    /// Makes the folder at `path`, or takes the one that is there if it was made for an equal
    /// request.
    pub(crate) fn create(
        path: &Path,
        run: &str,
        request: Request,
        rows: Option<RowArgs>,
    ) -> Outcome<Self> {
        if path.join(RECEIPT).exists() {
            let mut folder = Self::open(path)?;
            if folder.receipt.request != request {
                let text = format!("{} is the folder of another request", path.display());
                return Err(Failure::say(Exit::Usage, text)
                    .hint("take another --dir, or go on with that one: viking-export resume DIR"));
            }
            folder.receipt.rows = rows;
            return Ok(folder);
        }
        let is_used = fs::read_dir(path).is_ok_and(|mut entries| entries.next().is_some());
        if is_used {
            let text = format!("{} is not empty and has no {RECEIPT}", path.display());
            return Err(
                Failure::say(Exit::Usage, text).hint("take an empty or a new folder for --dir")
            );
        }
        fs::create_dir_all(path).map_err(|error| cannot("create", path, error))?;
        let folder = Self {
            path: path.to_owned(),
            receipt: Receipt {
                schema: RECEIPT_SCHEMA,
                version: env!("CARGO_PKG_VERSION").to_owned(),
                run: run.to_owned(),
                request,
                rows,
                started: now(),
                submitted: None,
                task: None,
                objects: None,
                finished: None,
            },
        };
        folder.save()?;
        Ok(folder)
    }

    /// Opens a folder that has a receipt.
    pub(crate) fn open(path: &Path) -> Outcome<Self> {
        let file = path.join(RECEIPT);
        let text = fs::read(&file).map_err(|error| cannot("read", &file, error))?;
        let receipt: Receipt = serde_json::from_slice(&text).map_err(|error| {
            Failure::new(Exit::Data, error)
                .context(format!("{} cannot be understood", file.display()))
        })?;
        if receipt.schema > RECEIPT_SCHEMA {
            let text =
                format!("{} was written by a newer version ({})", file.display(), receipt.version);
            return Err(Failure::say(Exit::Usage, text));
        }
        Ok(Self { path: path.to_owned(), receipt })
    }

    /// Replaces the receipt on the disk: the old or the new one is there, never half of one.
    pub(crate) fn save(&self) -> Outcome<()> {
        let place = self.path.join(RECEIPT);
        let write = || -> io::Result<()> {
            let mut part = tempfile::NamedTempFile::new_in(&self.path)?;
            serde_json::to_writer_pretty(&mut part, &self.receipt)?;
            part.write_all(b"\n")?;
            part.as_file().sync_all()?;
            part.persist(&place).map_err(|error| error.error)?;
            if cfg!(unix) { File::open(&self.path)?.sync_all() } else { Ok(()) }
        };
        write().map_err(|error| cannot("write", &place, error))
    }

    /// Whether the complete file of this object stands in the folder. Files get their names only
    /// when they are complete.
    pub(crate) fn has(&self, object: &ObjectRecord) -> bool {
        fs::metadata(self.path.join(&object.name)).is_ok_and(|file| file.len() == object.size)
    }

    /// Removes the data files of a finished run.
    pub(crate) fn discard(&self) -> Outcome<()> {
        for object in self.receipt.objects.iter().flatten() {
            let path = self.path.join(&object.name);
            fs::remove_file(&path).map_err(|error| cannot("remove", &path, error))?;
        }
        Ok(())
    }
}

impl Failure {
    fn context(mut self, text: String) -> Self {
        self.error = self.error.context(text);
        self
    }
}

fn cannot(what: &str, path: &Path, error: io::Error) -> Failure {
    Failure::local(format!("cannot {what} {}", path.display()), error)
}

/// The time of this moment for a receipt.
pub(crate) fn now() -> String {
    jiff::Timestamp::now().strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}

/// A new name for a run of `collection`, which no other run has.
pub(crate) fn run_name(collection: &str) -> Outcome<String> {
    let mut random = [0; 2];
    getrandom::fill(&mut random).map_err(|error| Failure::new(Exit::Bug, error))?;
    let plain = |letter: char| if letter.is_ascii_alphanumeric() { letter } else { '_' };
    let collection: String = collection.chars().map(plain).collect();
    let time = jiff::Timestamp::now().strftime("%Y%m%dT%H%M%SZ");
    Ok(format!("{collection}-{time}-{:04x}", u16::from_be_bytes(random)))
}
