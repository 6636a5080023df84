//! The run folder: data files, and `receipt.json`, which says what they are and how far we got.

use std::collections::{HashMap, HashSet};
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use jiff::Timestamp;
use parking_lot::Mutex;
use serde::Serialize;
use viking_api::{Api, Description};
use viking_fetch::{RefusedKey, RemoteObject, create_folder_durably, replace_durably};

use super::options::RowOptions;
use super::receipt::{ObjectRecord, RECEIPT_SCHEMA, Receipt, Request, now};
use crate::error::{Error, FolderError, RequestError, Result};

/// No object becomes a file of such a name: what a folder keeps for itself.
pub(crate) const RESERVED_NAMES: [&str; 3] = [LOCK, CHECKPOINT, RECEIPT];
/// What the folder of a run keeps for itself.
pub(crate) const RESERVED_IN_RUNS: [&str; 4] = [LOCK, CHECKPOINT, RECEIPT, DESCRIPTION];

/// How far the rows are, as long as they are printed to a file.
pub(crate) const CHECKPOINT: &str = ".printed.json";
const RECEIPT: &str = "receipt.json";
/// The receipt while it is written.
const RECEIPT_PART: &str = "receipt.json.part";
/// What the service says of the collection.
const DESCRIPTION: &str = "collection.json";
const DESCRIPTION_PART: &str = "collection.json.part";
/// The version of that file's form.
const DESCRIPTION_SCHEMA: u32 = 1;
/// Of a collection's name in that of a run: names of files have their limits.
const NAME_LETTERS_MAX: usize = 100;
/// Held by the one process that works in the folder.
const LOCK: &str = ".lock";

/// A run folder with its receipt. No other process can open it meanwhile.
#[derive(Debug)]
pub struct RunFolder {
    pub(crate) path: PathBuf,
    pub(crate) receipt: Receipt,
    /// Objects of the last listing whose keys cannot be files.
    pub(crate) refused: Vec<RefusedKey>,
    saves: Arc<Saves>,
    /// Unlocked when the process ends, however it does.
    _lock: File,
}

impl RunFolder {
    /// Makes the folder at `path`, or takes the one that is there if it was made for an equal
    /// request.
    pub(crate) fn create(
        path: &Path,
        run: &str,
        request: Request,
        rows: Option<RowOptions>,
    ) -> Result<Self> {
        if path.join(RECEIPT).exists() {
            let mut folder = Self::open(path)?;
            if folder.receipt.request != request {
                return Err(FolderError::OfAnotherRequest { folder: path.to_owned() }.into());
            }
            folder.receipt.rows = rows;
            return Ok(folder);
        }
        if is_used(path) {
            return Err(FolderError::Used { folder: path.to_owned() }.into());
        }
        create_folder_durably(path).map_err(|error| cannot("create", path, error))?;
        let folder = Self {
            path: path.to_owned(),
            _lock: lock(path)?,
            receipt: Receipt::new(run, request, rows),
            saves: Arc::default(),
            refused: Vec::new(),
        };
        folder.save()?;
        Ok(folder)
    }

    /// Opens a folder that has a receipt.
    pub fn open(path: &Path) -> Result<Self> {
        read_receipt(path)?;
        let lock = lock(path)?;
        // Read once more: it may have changed before the lock was ours.
        let receipt = read_receipt(path)?;
        let (path, saves) = (path.to_owned(), Arc::default());
        Ok(Self { path, receipt, refused: Vec::new(), saves, _lock: lock })
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Its receipt.
    pub fn receipt(&self) -> &Receipt {
        &self.receipt
    }

    /// Replaces the receipt on the disk: the old or the new one is there, never half of one.
    pub(crate) fn save(&self) -> Result<()> {
        self.snapshot()?.save()
    }

    /// Saves what the service, spoken to as `api`, says of the collection. An export cannot be restored faithfully
    /// without it.
    pub(crate) fn describe(&mut self, api: Api, description: &Description) -> Result<()> {
        let described = Described { schema: DESCRIPTION_SCHEMA, api, at: now(), description };
        let text = as_text(&described)?;
        let place = self.path.join(DESCRIPTION);
        let saved = replace_durably(&place, &self.path.join(DESCRIPTION_PART), &text);
        saved.map_err(|source| Error::Save { path: place, source })?;
        self.receipt.description = Some(DESCRIPTION.to_owned());
        self.save()
    }

    /// The receipt as it is now, to be saved while others go on with it.
    pub(crate) fn snapshot(&self) -> Result<Snapshot> {
        let text = as_text(&self.receipt)?;
        let number = self.saves.taken.fetch_add(1, Ordering::Relaxed) + 1;
        Ok(Snapshot { folder: self.path.clone(), text, number, saves: Arc::clone(&self.saves) })
    }

    /// Takes a new list of objects; what is known of those that are still the same is kept.
    pub(crate) fn set_objects(&mut self, mut now: Vec<ObjectRecord>) {
        let before = self.receipt.objects.iter().flatten();
        let before: HashMap<&str, &ObjectRecord> =
            before.map(|object| (object.key.as_str(), object)).collect();
        for object in &mut now {
            if let Some(before) = before.get(object.key.as_str())
                && before.remote() == object.remote()
            {
                *object = ObjectRecord::clone(before);
            }
        }
        self.receipt.objects = Some(now);
        if !self.has_all() {
            self.receipt.finished = None;
        }
    }

    /// Takes a listing that was made anew. Objects that it does not show any more stay: their files may be all
    /// that is left of them. Returns how many are new, and how many are no longer there.
    pub(crate) fn update_objects(&mut self, now: Vec<ObjectRecord>) -> Result<(usize, usize)> {
        self.forget_changed(&now)?;
        let listed: HashSet<&str> = now.iter().map(|object| object.key.as_str()).collect();
        let before = self.receipt.objects.as_deref().unwrap_or_default();
        let known: HashSet<&str> = before.iter().map(|object| object.key.as_str()).collect();
        let gone: Vec<ObjectRecord> =
            before.iter().filter(|object| !listed.contains(object.key.as_str())).cloned().collect();
        let counts = (listed.difference(&known).count(), gone.len());
        let mut all = [now, gone].concat();
        all.sort_by(|a, b| alphanumeric_sort::compare_str(&a.name, &b.name));
        self.set_objects(all);
        Ok(counts)
    }

    /// Removes what stands in the place of an object and is not as long as it should be, if an earlier attempt
    /// put it there; tells its length.
    pub(crate) fn remove_misfit(&self, object: &ObjectRecord) -> Result<Option<u64>> {
        let length = match fs::metadata(self.path.join(&object.name)) {
            Ok(file) if file.is_file() && file.len() != object.size => file.len(),
            _ => return Ok(None),
        };
        if !object.is_ours() {
            return Ok(None);
        }
        self.remove(object).map(|()| Some(length))
    }

    /// Notes the objects whose downloads begin with nothing in their places.
    pub(crate) fn begin(&mut self, places: &[usize]) -> Result<()> {
        let objects = self.receipt.objects.as_deref_mut().unwrap_or_default();
        for &place in places {
            let Some(object) = objects.get_mut(place) else { continue };
            object.begun |= !self.path.join(&object.name).exists();
        }
        self.save()
    }

    /// Takes an object as it is now in the place of what it was.
    pub(crate) fn replace(&mut self, now: RemoteObject) {
        let mut objects = self.receipt.objects.iter_mut().flatten();
        if let Some(object) = objects.find(|object| object.key == now.key) {
            *object = now.into();
        }
    }

    /// Whether the complete file of this object stands in the folder. Files get their names only
    /// when they are complete.
    pub(crate) fn has(&self, object: &ObjectRecord) -> bool {
        let file = fs::metadata(self.path.join(&object.name));
        file.is_ok_and(|file| file.is_file() && file.len() == object.size)
    }

    /// When the file of this object was written.
    pub(crate) fn written(&self, object: &ObjectRecord) -> Option<String> {
        let written = fs::metadata(self.path.join(&object.name)).and_then(|file| file.modified());
        Timestamp::try_from(written.ok()?).ok().map(|time| time.to_string())
    }

    /// Removes the file of an object that is not what it should be.
    pub(crate) fn remove(&self, object: &ObjectRecord) -> Result<()> {
        let path = self.path.join(&object.name);
        match fs::remove_file(&path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                Err(cannot("remove", &path, error))
            }
            _ => Ok(()),
        }
    }

    /// Removes the files of objects that are not what they were when they landed.
    pub(crate) fn forget_changed(&self, now: &[ObjectRecord]) -> Result<()> {
        let now: HashMap<&str, &ObjectRecord> =
            now.iter().map(|object| (object.key.as_str(), object)).collect();
        for before in self.receipt.objects.iter().flatten() {
            let is_same =
                |object: &&ObjectRecord| object.etag == before.etag && object.size == before.size;
            let found = now.get(before.key.as_str());
            if found.is_some_and(|object| !is_same(object)) && before.is_ours() {
                self.remove(before)?;
            }
        }
        Ok(())
    }

    /// Whether nothing is left to be loaded.
    pub(crate) fn has_all(&self) -> bool {
        let objects = self.receipt.objects.as_ref();
        objects.is_some_and(|objects| objects.iter().all(|object| self.has(object)))
    }

    /// Removes the data files of a finished run. Said first: a stop in between leaves files of no use.
    pub(crate) fn discard(&mut self) -> Result<()> {
        self.receipt.discarded = Some(now());
        self.save()?;
        self.receipt.objects.iter().flatten().try_for_each(|object| self.remove(object))
    }

    /// Removes a folder in which nothing was begun.
    pub(crate) fn remove_unused(self) {
        let Receipt { submitted, objects, .. } = &self.receipt;
        if submitted.is_none() && objects.is_none() {
            drop(fs::remove_file(self.path.join(RECEIPT)));
            drop(fs::remove_file(self.path.join(LOCK)));
            // It may have been there before, with something of the user's.
            drop(fs::remove_dir(&self.path));
        }
    }
}

/// A file of the folder as text for people.
fn as_text(file: &impl Serialize) -> Result<Vec<u8>> {
    let text = serde_json::to_vec_pretty(file);
    let mut text = text.map_err(|error| Error::Bug(error.to_string()))?;
    text.push(b'\n');
    Ok(text)
}

/// What `collection.json` holds.
#[derive(Debug, Serialize)]
struct Described<'a> {
    schema: u32,
    /// The version of the interface whose words it is in.
    api: Api,
    at: String,
    #[serde(flatten)]
    description: &'a Description,
}

/// Who saved what of a receipt. A save that nobody waits for any more still goes on.
#[derive(Debug, Default)]
struct Saves {
    taken: AtomicU64,
    /// The number of the latest snapshot on the disk.
    saved: Mutex<u64>,
}

/// A receipt on its way to the disk.
#[derive(Debug)]
pub(crate) struct Snapshot {
    folder: PathBuf,
    text: Vec<u8>,
    number: u64,
    saves: Arc<Saves>,
}

impl Snapshot {
    /// Saves it, unless a later one is there already.
    pub(crate) fn save(&self) -> Result<()> {
        let mut saved = self.saves.saved.lock();
        if *saved > self.number {
            return Ok(());
        }
        *saved = self.number;
        let place = self.folder.join(RECEIPT);
        let saved = replace_durably(&place, &self.folder.join(RECEIPT_PART), &self.text);
        // A folder that was removed meanwhile is no path that the user got wrong.
        saved.map_err(|source| Error::Save { path: place, source })
    }
}

/// The receipt of a folder as it is on the disk.
pub fn read_receipt(folder: &Path) -> Result<Receipt> {
    let path = folder.join(RECEIPT);
    let text = match fs::read(&path) {
        Ok(text) => text,
        Err(source) => return Err(FolderError::Unreadable { path, source }.into()),
    };
    let receipt: Receipt = match serde_json::from_slice(&text) {
        Ok(receipt) => receipt,
        Err(source) => return Err(FolderError::Receipt { path, source }.into()),
    };
    if receipt.schema > RECEIPT_SCHEMA {
        return Err(FolderError::Newer { path, version: receipt.version }.into());
    }
    receipt.check()?;
    Ok(receipt)
}

/// The data files of a folder, if it has a receipt that lists them, in their order.
pub(crate) fn data_files(path: &Path) -> Result<Option<Vec<String>>> {
    if !path.join(RECEIPT).exists() {
        return Ok(None);
    }
    let receipt = read_receipt(path)?;
    Ok(receipt.objects.map(|objects| objects.into_iter().map(|object| object.name).collect()))
}

/// Whether a folder holds something else than what an interrupted start leaves in it.
fn is_used(path: &Path) -> bool {
    let Ok(entries) = fs::read_dir(path) else { return false };
    let ours = |name: &std::ffi::OsStr| name == RECEIPT_PART || name == LOCK;
    entries.flatten().any(|entry| !ours(&entry.file_name()))
}

/// Takes the folder for this process alone.
fn lock(path: &Path) -> Result<File> {
    let place = path.join(LOCK);
    let file = File::create(&place).map_err(|error| cannot("create", &place, error))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(fs::TryLockError::WouldBlock) => {
            Err(FolderError::Busy { folder: path.to_owned() }.into())
        }
        Err(fs::TryLockError::Error(error)) => Err(cannot("lock", &place, error)),
    }
}

fn cannot(what: &str, path: &Path, error: io::Error) -> Error {
    Error::io(format!("{what} {}", path.display()), error)
}

/// A new name for a run of `collection`, which no other run has.
pub(crate) fn run_name(collection: &str) -> Result<String> {
    let mut random = [0; 2];
    getrandom::fill(&mut random).map_err(|error| Error::Bug(error.to_string()))?;
    if collection.is_empty() {
        return Err(RequestError::NoCollection.into());
    }
    let plain = |letter: char| if letter.is_ascii_alphanumeric() { letter } else { '_' };
    let collection: String = collection.chars().take(NAME_LETTERS_MAX).map(plain).collect();
    let time = Timestamp::now().strftime("%Y%m%dT%H%M%SZ");
    Ok(format!("{collection}-{time}-{:04x}", u16::from_be_bytes(random)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn saves_at_once_leave_the_latest_receipt() {
        let place = tempfile::tempdir().unwrap();
        let request = Request::Fetch { from: "tos://bucket/x".to_owned() };
        let dir = place.path().join("run");
        let mut folder = RunFolder::create(&dir, "x", request, None).unwrap();
        for round in 0..20 {
            let snapshots: Vec<_> = (0..8)
                .map(|number| {
                    folder.receipt.tries = round * 8 + number;
                    folder.snapshot().unwrap()
                })
                .collect();
            std::thread::scope(|scope| {
                for snapshot in &snapshots {
                    scope.spawn(|| snapshot.save().unwrap());
                }
            });
            assert_eq!(read_receipt(&dir).unwrap().tries, round * 8 + 7);
        }
    }
}
