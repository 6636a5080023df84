//! One object: its parts are written in place, then the whole is checked, put on the disk and renamed.

use std::fs::File;
use std::io;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use bytes::Bytes;
use crc_fast::Digest;
use object_store::GetOptions;
use parking_lot::Mutex;

use crate::body::{Body, Piece};
use crate::bucket::Bucket;
use crate::connection::ServiceCrc64;
use crate::disk::{Settling, check_room, flat, write_all_at};
use crate::error::Error;
use crate::event::{DownloadEvent, Observer};
use crate::journal::{Cut, Journal};
use crate::limiter::Limiter;
use crate::listing::is_head_refused;
use crate::object::{Landed, PARTIAL, RemoteObject};
use crate::pace::Rate;
use crate::proof::{Verify, digest};

/// Chunks are gathered to this size before a thread is asked to write them, and to less where many parts are on
/// their way.
const WRITE_BYTES: usize = 1 << 20;
/// Of all parts together.
const WRITE_BYTES_ALL: usize = 16 << 20;

/// What all downloads of one call share.
pub(crate) struct Shared<'a> {
    pub(crate) bucket: &'a Bucket,
    pub(crate) limiter: &'a Limiter,
    pub(crate) folder: &'a Path,
    /// Something failed that would strike every part.
    pub(crate) is_hopeless: AtomicBool,
    pub(crate) observer: &'a dyn Observer,
    pub(crate) part_bytes: u64,
    pub(crate) rate: Option<Rate>,
    pub(crate) verify: Verify,
}

/// An object on its way.
pub(crate) struct Download<'a> {
    shared: &'a Shared<'a>,
    object: &'a RemoteObject,
    index: usize,
    cut: Cut,
    place: PathBuf,
    partial: PathBuf,
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
    /// Of `object`, the one at `index` of the list.
    pub(crate) fn new(shared: &'a Shared<'a>, index: usize, object: &'a RemoteObject) -> Self {
        let cut = Cut::new(object, shared.part_bytes);
        Self {
            shared,
            object,
            index,
            parts_left: AtomicUsize::new(cut.parts()),
            cut,
            place: shared.folder.join(&object.name),
            partial: shared.folder.join(PARTIAL),
            opened: tokio::sync::Mutex::default(),
            has_failed: AtomicBool::new(false),
            service_crc64: Mutex::new(None),
        }
    }

    /// Its place in the list of the objects.
    pub(crate) fn index(&self) -> usize {
        self.index
    }

    pub(crate) fn object(&self) -> &'a RemoteObject {
        self.object
    }

    pub(crate) fn parts(&self) -> usize {
        self.cut.parts()
    }

    /// Loads one part while it has a slot; the last one to arrive completes the object. Nothing happens for
    /// the other parts of an object of which one has failed.
    pub(crate) async fn load(&self, part: usize) -> Result<Option<Landed>, Error> {
        if self.has_failed.load(Ordering::Relaxed)
            || self.shared.is_hopeless.load(Ordering::Relaxed)
        {
            return Ok(None);
        }
        let loaded = self.load_part(part).await;
        // Before the files are closed: a part that begins now must not open them again.
        let is_first_failure = loaded.is_err() && !self.has_failed.swap(true, Ordering::Relaxed);
        if !matches!(loaded, Ok(None)) {
            // Files are open for the objects that are on their way, not for all that ever were.
            self.opened.lock().await.take();
        }
        // One error for each object.
        if loaded.is_ok() || is_first_failure { loaded } else { Ok(None) }
    }

    async fn load_part(&self, part: usize) -> Result<Option<Landed>, Error> {
        // No more files are open than parts are on their way.
        let slot = self.shared.limiter.slot().await;
        if self.shared.is_hopeless.load(Ordering::Relaxed) {
            return Ok(None);
        }
        let Some(opened) = &self.opened().await? else { return Ok(None) };
        if !opened.journal.lock().has(part) {
            self.receive(opened, part).await?;
        }
        // Others load while this one's object is flushed to the disk.
        drop(slot);
        if self.parts_left.fetch_sub(1, Ordering::AcqRel) > 1 {
            return Ok(None);
        }
        match self.complete(opened).await {
            Err(Error::Damaged { detail, .. }) => {
                // Once more, from the beginning: bytes can be damaged on the way.
                tracing::warn!(key = self.object.key, detail, "damaged, loading it again");
                let journal = || self.journal_path();
                opened.journal.lock().clear().map_err(|e| Error::local("write", &journal(), e))?;
                for part in 0..self.parts() {
                    let _slot = self.shared.limiter.slot().await;
                    self.receive(opened, part).await?;
                }
                let landed = self.complete(opened).await;
                if matches!(landed, Err(Error::Damaged { .. })) {
                    // What is known to be damaged must not be gone on with.
                    let cleared = opened.journal.lock().clear();
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

    /// The open files, or nothing if a part has failed meanwhile.
    async fn opened(&self) -> Result<Option<Arc<Opened>>, Error> {
        let mut opened = self.opened.lock().await;
        if self.has_failed.load(Ordering::Relaxed) {
            return Ok(None);
        }
        if let Some(opened) = &*opened {
            return Ok(Some(Arc::clone(opened)));
        }
        let new = Arc::new(self.open().await?);
        *opened = Some(Arc::clone(&new));
        Ok(Some(new))
    }

    async fn open(&self) -> Result<Opened, Error> {
        self.shared.observer.on_event(&DownloadEvent::Started { object: self.object });
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
        let bytes = opened.journal.lock().bytes();
        if bytes > 0 {
            self.shared.observer.on_event(&DownloadEvent::Resumed { object: self.object, bytes });
        }
        Ok(opened)
    }

    /// Streams a part into its place in the file.
    async fn receive(&self, opened: &Opened, part: usize) -> Result<(), Error> {
        let range = self.cut.range(part);
        let crc64 = if range.is_empty() {
            digest().finalize()
        } else {
            let length = range.end - range.start;
            let folder = self.partial.clone();
            blocking(move || check_room(&folder, length)).await?;
            let crc64 = self.receive_range(opened, range).await?;
            self.shared.limiter.arrived();
            crc64
        };
        let noted = opened.journal.lock().finish(part, crc64);
        noted.map_err(|error| Error::local("write", &self.journal_path(), error))
    }

    async fn receive_range(&self, opened: &Opened, range: Range<u64>) -> Result<u64, Error> {
        let (object, bucket) = (self.object, self.shared.bucket);
        let (start, end, is_whole) = (range.start, range.end, self.parts() == 1);
        let mut body = Body::new(bucket, &object.key, object.etag.clone(), range, is_whole);
        let mut writing = Writing { offset: start, digest: digest() };
        let (mut chunks, mut gathered): (Vec<Bytes>, usize) = (Vec::new(), 0);
        loop {
            let piece = body.next().await?;
            let is_last = piece.is_none();
            match piece {
                None => {}
                Some(Piece::Restart) => {
                    (writing, gathered) = (Writing { offset: start, digest: digest() }, 0);
                    chunks.clear();
                    continue;
                }
                Some(Piece::Bytes(chunk)) => {
                    if let Some(rate) = &self.shared.rate {
                        rate.take(chunk.len()).await;
                    }
                    self.shared
                        .observer
                        .on_event(&DownloadEvent::Received { bytes: chunk.len() as u64 });
                    self.shared.limiter.received(chunk.len());
                    gathered += chunk.len();
                    chunks.push(chunk);
                }
            }
            if gathered >= WRITE_BYTES.min(WRITE_BYTES_ALL / self.shared.limiter.limit()) || is_last
            {
                let (chunks, file) = (std::mem::take(&mut chunks), Arc::clone(&opened.file));
                let path = self.part_path();
                let write = move || writing.write(&file, &chunks, end);
                let failed = move |error| Error::local("write", &path, error);
                writing = blocking(move || write().map_err(failed)).await?;
                gathered = 0;
            }
            if is_last {
                break;
            }
        }
        if let Some(crc64) = body.service_crc64() {
            *self.service_crc64.lock() = Some(crc64);
        }
        if writing.offset != end {
            let (arrived, wanted) = (writing.offset - start, end - start);
            return Err(self.damaged(format!("{arrived} bytes arrived of {wanted}")));
        }
        Ok(writing.digest.finalize())
    }

    /// Checks the complete file and gives it its name.
    async fn complete(&self, opened: &Opened) -> Result<Landed, Error> {
        let Some(crc64) = opened.journal.lock().crc64() else {
            return Err(self.damaged("a part of it is missing".to_owned()));
        };
        let service = self.service_crc64().await?;
        if service.is_some_and(|service| service != crc64) {
            let service = service.unwrap_or_default();
            return Err(self.damaged(format!("its CRC-64 is {crc64}, and TOS says {service}")));
        }
        let (file, object) = (Arc::clone(&opened.file), self.object.clone());
        let (partial, place) = (self.part_path(), self.place.clone());
        let again = (self.shared.verify == Verify::Full).then_some(crc64);
        let settle = move || {
            Settling { file: &file, partial: &partial, place: &place, object: &object, again }
                .settle()
        };
        let is_md5_compared = blocking(settle).await?;
        let removed = opened.journal.lock().remove();
        removed.map_err(|error| Error::local("remove", &self.journal_path(), error))?;
        Ok(Landed { index: self.index, crc64, is_compared: service.is_some(), is_md5_compared })
    }

    /// The checksum that TOS has: it came with the body, or is asked for where there were several bodies, or
    /// none because all of it was on the disk.
    async fn service_crc64(&self) -> Result<Option<u64>, Error> {
        if let Some(crc64) = *self.service_crc64.lock() {
            return Ok(Some(crc64));
        }
        let key = &self.object.key;
        let options =
            GetOptions { if_match: self.object.etag.clone(), head: true, ..GetOptions::default() };
        let bucket = self.shared.bucket;
        match bucket.retrying(|| bucket.get("looking at", key, options.clone())).await {
            Ok(head) => Ok(head.extensions.get().map(|ServiceCrc64(crc64)| *crc64)),
            // The object itself could be read. That it was not compared stands in the outcome.
            Err(error) if is_head_refused(&error) => {
                tracing::info!(key, %error, "the checksum cannot be asked for");
                Ok(None)
            }
            Err(error) => Err(error),
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

async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, Error> + Send + 'static,
) -> Result<T, Error> {
    match tokio::task::spawn_blocking(work).await {
        Ok(done) => done,
        Err(error) => Err(Error::Bug(error.to_string())),
    }
}
