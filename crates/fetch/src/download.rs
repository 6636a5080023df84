//! One object: its parts are written in place, then the whole is checked, put on the disk and renamed.

use std::fs::{self, File};
use std::io::{self, Read, Seek, SeekFrom};
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use crc_fast::Digest;
use futures::TryStreamExt;
use object_store::{GetOptions, GetRange};

use crate::bucket::Bucket;
use crate::connection::ServiceCrc64;
use crate::error::Error;
use crate::event::{Event, Observer};
use crate::journal::{Cut, Journal, digest};
use crate::listing::{RemoteObject, parse};

/// Chunks are gathered to this size before a thread is asked to write them.
const WRITE_BYTES: usize = 1 << 20;

/// Parquet begins and ends with these bytes.
const MAGIC: &[u8; 4] = b"PAR1";

/// The folder for what is not complete.
pub(crate) const PARTIAL: &str = ".partial";

/// An object that stands complete in the folder.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Landed {
    /// Its place in the list of the objects.
    pub index: usize,
    /// The CRC-64/XZ of its bytes.
    pub crc64: u64,
    /// TOS sent a checksum of its own, and it is the same.
    pub is_compared: bool,
}

/// An object on its way.
pub(crate) struct Download<'a> {
    bucket: &'a Bucket,
    object: &'a RemoteObject,
    index: usize,
    cut: Cut,
    place: PathBuf,
    partial: PathBuf,
    observer: &'a dyn Observer,
    /// While parts of it are on their way.
    opened: tokio::sync::Mutex<Option<Arc<Opened>>>,
    parts_left: AtomicUsize,
    has_failed: AtomicBool,
    /// What TOS says the checksum is.
    service_crc64: Mutex<Option<u64>>,
}

/// The part file and its journal.
struct Opened {
    file: Arc<File>,
    journal: Mutex<Journal>,
}

impl<'a> Download<'a> {
    /// Of `object`, the one at `index` of the list, into `folder`, in parts of `part_bytes`.
    pub(crate) fn new(
        bucket: &'a Bucket,
        (index, object): (usize, &'a RemoteObject),
        folder: &Path,
        part_bytes: u64,
        observer: &'a dyn Observer,
    ) -> Self {
        let cut = Cut::new(object, part_bytes);
        Self {
            bucket,
            object,
            index,
            parts_left: AtomicUsize::new(cut.parts()),
            cut,
            place: folder.join(&object.name),
            partial: folder.join(PARTIAL),
            observer,
            opened: tokio::sync::Mutex::default(),
            has_failed: AtomicBool::new(false),
            service_crc64: Mutex::new(None),
        }
    }

    pub(crate) fn object(&self) -> &'a RemoteObject {
        self.object
    }

    pub(crate) fn parts(&self) -> usize {
        self.cut.parts()
    }

    /// Loads one part; the last one to arrive completes the object. Nothing happens for the other parts
    /// of an object of which one has failed.
    pub(crate) async fn load(&self, part: usize) -> Result<Option<Landed>, Error> {
        if self.has_failed.load(Ordering::Relaxed) {
            return Ok(None);
        }
        let loaded = self.load_part(part).await;
        if !matches!(loaded, Ok(None)) {
            // Files are open for the objects that are on their way, not for all that ever were.
            self.opened.lock().await.take();
        }
        if loaded.is_err() && self.has_failed.swap(true, Ordering::Relaxed) {
            // One error for each object.
            return Ok(None);
        }
        loaded
    }

    async fn load_part(&self, part: usize) -> Result<Option<Landed>, Error> {
        let opened = &*self.opened().await?;
        if !lock(&opened.journal).has(part) {
            self.receive(opened, part).await?;
        }
        if self.parts_left.fetch_sub(1, Ordering::AcqRel) > 1 {
            return Ok(None);
        }
        match self.complete(opened).await {
            Err(Error::Damaged { detail, .. }) => {
                // Once more, from the beginning: bytes can be damaged on the way.
                tracing::warn!(key = self.object.key, detail, "damaged, loading it again");
                let journal = || self.journal_path();
                lock(&opened.journal).clear().map_err(|e| Error::local("write", &journal(), e))?;
                for part in 0..self.parts() {
                    self.receive(opened, part).await?;
                }
                let landed = self.complete(opened).await;
                if matches!(landed, Err(Error::Damaged { .. })) {
                    // What is known to be damaged must not be gone on with.
                    let cleared = lock(&opened.journal).clear();
                    cleared.map_err(|error| Error::local("write", &journal(), error))?;
                }
                landed.map(Some)
            }
            landed => landed.map(Some),
        }
    }

    fn part_path(&self) -> PathBuf {
        self.partial.join(format!("{}.part", flat(&self.object.name)))
    }

    fn journal_path(&self) -> PathBuf {
        self.partial.join(format!("{}.journal", flat(&self.object.name)))
    }

    async fn opened(&self) -> Result<Arc<Opened>, Error> {
        let mut opened = self.opened.lock().await;
        if let Some(opened) = &*opened {
            return Ok(Arc::clone(opened));
        }
        let new = Arc::new(self.open().await?);
        *opened = Some(Arc::clone(&new));
        Ok(new)
    }

    async fn open(&self) -> Result<Opened, Error> {
        self.observer.on_event(&Event::Started { object: self.object });
        if self.place.exists() {
            return Err(Error::Exists { path: self.place.clone() });
        }
        let (path, journal, cut) = (self.part_path(), self.journal_path(), self.cut.clone());
        let opened = blocking(move || {
            let mut how = File::options();
            // Read again when it is complete, through the same handle.
            how.read(true).write(true).create(true).truncate(false);
            let file = how.open(&path).map_err(|error| Error::local("create", &path, error));
            let mut file = file?;
            let opened = Journal::open(&journal, cut, &mut file);
            let journal = opened.map_err(|error| Error::local("read", &journal, error))?;
            Ok(Opened { file: Arc::new(file), journal: Mutex::new(journal) })
        })
        .await?;
        let bytes = lock(&opened.journal).bytes();
        if bytes > 0 {
            self.observer.on_event(&Event::Resumed { object: self.object, bytes });
        }
        Ok(opened)
    }

    /// Streams a part into its place in the file.
    async fn receive(&self, opened: &Opened, part: usize) -> Result<(), Error> {
        let range = self.cut.range(part);
        let crc64 = if range.is_empty() {
            digest().finalize()
        } else {
            self.receive_range(opened, range).await?
        };
        let noted = lock(&opened.journal).finish(part, crc64);
        noted.map_err(|error| Error::local("write", &self.journal_path(), error))
    }

    async fn receive_range(&self, opened: &Opened, range: Range<u64>) -> Result<u64, Error> {
        let key = &self.object.key;
        let failed =
            |error: object_store::Error| Error::store("reading", &self.bucket.name, key, &error);
        // If-Match ties the part to what was listed, also when a cut body is gone on with.
        let options = GetOptions {
            if_match: self.object.etag.clone(),
            range: (self.parts() > 1).then(|| GetRange::Bounded(range.clone())),
            ..GetOptions::default()
        };
        let result = self.bucket.store.get_opts(&parse(key)?, options).await.map_err(failed)?;
        if let Some(ServiceCrc64(crc64)) = result.extensions.get() {
            *lock(&self.service_crc64) = Some(*crc64);
        }
        let mut writing = Writing { offset: range.start, digest: digest() };
        let mut body = result.into_stream();
        let (mut chunks, mut gathered): (Vec<Bytes>, usize) = (Vec::new(), 0);
        loop {
            let chunk = body.try_next().await.map_err(failed)?;
            let is_last = chunk.is_none();
            if let Some(chunk) = chunk {
                self.observer.on_event(&Event::Received { bytes: chunk.len() as u64 });
                gathered += chunk.len();
                chunks.push(chunk);
            }
            if gathered >= WRITE_BYTES || is_last {
                let (chunks, file) = (std::mem::take(&mut chunks), Arc::clone(&opened.file));
                let path = self.part_path();
                writing = blocking(move || {
                    writing
                        .write(&file, &chunks, range.end)
                        .map_err(|error| Error::local("write", &path, error))
                })
                .await?;
                gathered = 0;
            }
            if is_last && writing.offset == range.end {
                return Ok(writing.digest.finalize());
            }
            if is_last {
                let (arrived, wanted) = (writing.offset - range.start, range.end - range.start);
                return Err(self.damaged(format!("{arrived} bytes arrived of {wanted}")));
            }
        }
    }

    /// Checks the complete file and gives it its name.
    async fn complete(&self, opened: &Opened) -> Result<Landed, Error> {
        let Some(crc64) = lock(&opened.journal).crc64() else {
            return Err(self.damaged("a part of it is missing".to_owned()));
        };
        let service = self.service_crc64().await?;
        if service.is_some_and(|service| service != crc64) {
            let service = service.unwrap_or_default();
            return Err(self.damaged(format!("its CRC-64 is {crc64}, and TOS says {service}")));
        }
        let (file, size, key) =
            (Arc::clone(&opened.file), self.object.size, self.object.key.clone());
        let (partial, place) = (self.part_path(), self.place.clone());
        let root = self.partial.parent().unwrap_or(Path::new(".")).to_owned();
        blocking(move || settle(&file, size, &key, &partial, (&root, &place))).await?;
        let removed = lock(&opened.journal).remove();
        removed.map_err(|error| Error::local("remove", &self.journal_path(), error))?;
        Ok(Landed { index: self.index, crc64, is_compared: service.is_some() })
    }

    /// The checksum that TOS has: it came with the body, or is asked for where there were several bodies, or
    /// none because all of it was on the disk.
    async fn service_crc64(&self) -> Result<Option<u64>, Error> {
        if let Some(crc64) = *lock(&self.service_crc64) {
            return Ok(Some(crc64));
        }
        let key = &self.object.key;
        let options =
            GetOptions { if_match: self.object.etag.clone(), head: true, ..GetOptions::default() };
        match self.bucket.store.get_opts(&parse(key)?, options).await {
            Ok(head) => Ok(head.extensions.get().map(|ServiceCrc64(crc64)| *crc64)),
            Err(error) => Err(Error::store("looking at", &self.bucket.name, key, &error)),
        }
    }

    fn damaged(&self, detail: String) -> Error {
        Error::Damaged { key: self.object.key.clone(), detail }
    }
}

/// Where a part is written next, and what it was so far.
struct Writing {
    offset: u64,
    digest: Digest,
}

impl Writing {
    fn write(mut self, file: &File, chunks: &[Bytes], end: u64) -> io::Result<Self> {
        for chunk in chunks {
            // What is too much is noticed by its length and never written over the next part.
            let room = usize::try_from(end.saturating_sub(self.offset)).unwrap_or(usize::MAX);
            let kept = &chunk[..chunk.len().min(room)];
            write_all_at(file, kept, self.offset)?;
            self.digest.update(kept);
            self.offset += chunk.len() as u64;
        }
        Ok(self)
    }
}

#[cfg(unix)]
fn write_all_at(file: &File, bytes: &[u8], offset: u64) -> io::Result<()> {
    std::os::unix::fs::FileExt::write_all_at(file, bytes, offset)
}

#[cfg(windows)]
fn write_all_at(file: &File, mut bytes: &[u8], mut offset: u64) -> io::Result<()> {
    while !bytes.is_empty() {
        let written = std::os::windows::fs::FileExt::seek_write(file, bytes, offset)?;
        if written == 0 {
            return Err(io::ErrorKind::WriteZero.into());
        }
        bytes = &bytes[written..];
        offset += written as u64;
    }
    Ok(())
}

/// Checks the complete file and gives it its name. The order survives a power cut: first the
/// bytes are on the disk, then the name is, then the folder.
fn settle(
    mut part: &File,
    size: u64,
    key: &str,
    partial: &Path,
    (root, place): (&Path, &Path),
) -> Result<(), Error> {
    let local = |action, path: &Path| {
        let path = path.to_owned();
        move |error| Error::local(action, &path, error)
    };
    let damaged = |detail: String| Error::Damaged { key: key.to_owned(), detail };
    let length = part.metadata().map_err(local("look at", partial))?.len();
    if length != size {
        return Err(damaged(format!("{length} bytes arrived of {size}")));
    }
    let ends = read_ends(&mut part).map_err(local("read", partial))?;
    if ends.is_some_and(|(head, tail)| &head == MAGIC && &tail != MAGIC) {
        return Err(damaged("it begins like a Parquet file and does not end like one".to_owned()));
    }
    part.sync_all().map_err(local("flush", partial))?;
    let folder = place.parent().unwrap_or(Path::new("."));
    fs::create_dir_all(folder).map_err(local("create", folder))?;
    fs::rename(partial, place).map_err(local("rename to", place))?;
    // Folders between the file and the run folder may be new as well.
    for folder in folder.ancestors() {
        sync_folder(folder).map_err(local("flush", folder))?;
        if folder == root {
            break;
        }
    }
    Ok(())
}

fn read_ends(file: &mut &File) -> io::Result<Option<([u8; 4], [u8; 4])>> {
    if file.metadata()?.len() < 8 {
        return Ok(None);
    }
    let (mut head, mut tail) = ([0; 4], [0; 4]);
    file.seek(SeekFrom::Start(0))?;
    file.read_exact(&mut head)?;
    file.seek(SeekFrom::End(-4))?;
    file.read_exact(&mut tail)?;
    Ok(Some((head, tail)))
}

/// Makes a rename durable. Only Unix lets a folder be opened for that.
fn sync_folder(folder: &Path) -> io::Result<()> {
    if cfg!(unix) { File::open(folder)?.sync_all() } else { Ok(()) }
}

/// The name of an object as one of a file in one folder, another one for each object.
fn flat(name: &str) -> String {
    // Names may be as long as keys, file names may not; the journal says which key it is about.
    let mut crc = digest();
    crc.update(name.as_bytes());
    let plain = |letter: char| if letter.is_ascii_alphanumeric() { letter } else { '_' };
    let start: String = name.chars().take(60).map(plain).collect();
    format!("{start}-{:016x}", crc.finalize())
}

/// Makes the folders of a download. What an earlier one left is kept, to be gone on with.
pub(crate) fn prepare(folder: &Path) -> Result<(), Error> {
    let partial = folder.join(PARTIAL);
    fs::create_dir_all(&partial).map_err(|error| Error::local("create", &partial, error))
}

/// Removes what downloads left in `folder` of objects that are not wanted any more, or are complete.
pub fn remove_partial(folder: &Path) -> Result<(), Error> {
    let partial = folder.join(PARTIAL);
    match fs::remove_dir_all(&partial) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            Err(Error::local("remove", &partial, error))
        }
        _ => Ok(()),
    }
}

async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, Error> + Send + 'static,
) -> Result<T, Error> {
    match tokio::task::spawn_blocking(work).await {
        Ok(done) => done,
        Err(error) => Err(Error::local("work in", Path::new(PARTIAL), io::Error::other(error))),
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
