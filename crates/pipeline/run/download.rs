//! Downloads the objects of a run folder.

use std::sync::atomic::Ordering;
use std::sync::mpsc::Sender;
use std::time::Instant;

use tokio::sync::Notify;
use viking_fetch::{DownloadEvent, FetchOptions, Observer, RemoteObject, prove};

use super::bucket::LazyBucket;
use super::meter::Meter;
use crate::error::{DownloadError, Error, Result};
use crate::event::{Event, Warning};
use crate::output::{LandedFile, Version};
use crate::record::{ObjectRecord, RunFolder};
use crate::session::Session;

/// An object that changes this often while it is downloaded is not waited for any longer.
const CHANGES_MAX: usize = 3;

/// So many times as long as it takes to save a receipt, none is saved.
const RECORD_PART: u32 = 20;

/// Where objects come from, and who watches.
#[derive(Debug, Clone, Copy)]
pub(super) struct Target<'a> {
    pub(super) session: &'a Session,
    pub(super) bucket: &'a LazyBucket,
    pub(super) meter: &'a Meter,
}

/// Loads the objects of the receipt that are not in the folder yet. `landed` hears of each that is, now or
/// later. Objects that change meanwhile are loaded as they are then.
pub(super) async fn load(
    target: Target<'_>,
    folder: &mut RunFolder,
    options: &FetchOptions,
    landed: Option<Sender<LandedFile>>,
) -> Result<()> {
    let Target { session, bucket, meter } = target;
    compare_landed(folder, session).await?;
    let objects = folder.receipt.objects.as_deref().unwrap_or_default();
    meter.objects_total.store(objects.len(), Ordering::Relaxed);
    for place in (0..objects.len()).filter(|&place| folder.has(&objects[place])) {
        meter.objects.fetch_add(1, Ordering::Relaxed);
        meter.bytes.fetch_add(objects[place].size, Ordering::Relaxed);
        if let Some(landed) = &landed {
            // Where the printing has ended, nobody waits for the file.
            landed.send((place, Version::of(&objects[place]))).unwrap_or(());
        }
    }
    for _ in 0..CHANGES_MAX {
        let objects = folder.receipt.objects.as_deref().unwrap_or_default();
        meter.bytes_total.store(objects.iter().map(|object| object.size).sum(), Ordering::Relaxed);
        let places: Vec<usize> =
            (0..objects.len()).filter(|&place| !folder.has(&objects[place])).collect();
        if places.is_empty() {
            return Ok(viking_fetch::remove_partial(&folder.path)?);
        }
        let wanted: Vec<_> = places.iter().map(|&place| objects[place].remote()).collect();
        folder.begin(&places)?;
        let observer = Watch { meter, session, places: &places, landed: landed.as_ref() };
        let path = folder.path.clone();
        let fetching =
            viking_fetch::fetch(bucket.open().await?, &wanted, &path, options, &observer);
        let fetched = recording(folder, meter, fetching).await?;
        folder.receipt.jobs = Some(fetched.jobs);
        let changed = changed(fetched.failed)?;
        if changed.is_empty() {
            return Ok(());
        }
        for object in changed {
            let now = bucket.open().await?.look(&object).await?;
            session.warn(Warning::Changed { key: object.key.clone() });
            folder.replace(now);
        }
        folder.save()?;
    }
    Err(Error::ChangedTooOften { times: CHANGES_MAX })
}

/// Runs a download, and keeps what has landed in the receipt meanwhile: after a kill it need not be read again.
async fn recording(
    folder: &mut RunFolder,
    meter: &Meter,
    fetching: impl Future<Output = Result<viking_fetch::Report, viking_fetch::Error>>,
) -> Result<viking_fetch::Report> {
    let ended = Notify::new();
    let fetching = async {
        let fetched = fetching.await;
        ended.notify_one();
        fetched
    };
    let recording = async {
        loop {
            tokio::select! {
                () = ended.notified() => return Ok(()),
                () = meter.has_landed() => {}
            }
            let start = Instant::now();
            meter.note(folder);
            let snapshot = folder.snapshot()?;
            // It is not cut short where this ends meanwhile.
            blocking(move || snapshot.save()).await?;
            // A receipt of many objects takes a while to write.
            tokio::select! {
                () = ended.notified() => return Ok(()),
                () = tokio::time::sleep(start.elapsed() * RECORD_PART) => {}
            }
        }
    };
    let (fetched, recorded) = tokio::join!(fetching, recording);
    let fetched = fetched?;
    recorded.map(|()| fetched)
}

/// Looks at the files that are here. Those that are not as long as they should be, or not what they were when
/// somebody wrote to them, are removed to be loaded again. Files that landed just before a stop may have no
/// checksum in the receipt; then that of their `ETag` must tell.
async fn compare_landed(folder: &mut RunFolder, session: &Session) -> Result<()> {
    let mut objects = folder.receipt.objects.clone().unwrap_or_default();
    for object in &mut objects {
        if let Some(length) = folder.remove_misfit(object)? {
            let ObjectRecord { key, size, .. } = &object;
            let problem = format!("the file of {key} has {length} bytes and should have {size}");
            session.warn(Warning::Reload { problem });
            *object = object.remote().into();
        }
    }
    let here = objects.iter_mut().filter(|object| folder.has(object));
    let timed = here.map(|object| (folder.written(object), object));
    let is_doubted = |(written, object): &(Option<String>, &mut ObjectRecord)| {
        object.crc64.is_none() || written.is_none() || object.landed != *written
    };
    let doubted: Vec<_> = timed.filter(is_doubted).collect();
    if !doubted.is_empty() {
        session.tell(&Event::Compare { files: doubted.len() });
    }
    for (written, object) in doubted {
        let (path, remote) = (folder.path.join(&object.name), object.remote());
        let known = object.known_crc64();
        let problem = match blocking(move || Ok(prove(&path, &remote, known))).await? {
            Ok(proof) if known.is_some() || proof.is_md5_compared => {
                object.crc64 = Some(proof.crc64.to_string());
                object.md5_compared = proof.is_md5_compared;
                object.landed = written;
                continue;
            }
            Ok(_) => format!("nothing tells whether the file of {} is whole", object.key),
            Err(error @ viking_fetch::Error::Damaged { .. }) => error.to_string(),
            Err(error) => return Err(error.into()),
        };
        if !object.is_ours() {
            let path = folder.path.join(&object.name);
            return Err(viking_fetch::Error::Exists { path }.into());
        }
        session.warn(Warning::Reload { problem });
        folder.remove(object)?;
        *object = object.remote().into();
    }
    folder.receipt.objects = Some(objects);
    // What was removed once is here again, or about to be.
    folder.receipt.discarded = None;
    if !folder.has_all() {
        // What was proven is not what is here any more.
        folder.receipt.finished = None;
    }
    folder.save()
}

/// The objects that failed because they changed, if that is all that failed.
fn changed(failed: Vec<(RemoteObject, viking_fetch::Error)>) -> Result<Vec<RemoteObject>> {
    let is_change =
        |error: &viking_fetch::Error| matches!(error, viking_fetch::Error::Changed { .. });
    let (changed, mut failed): (Vec<_>, Vec<_>) =
        failed.into_iter().partition(|(_, error)| is_change(error));
    if failed.is_empty() {
        return Ok(changed.into_iter().map(|(object, _)| object).collect());
    }
    let (first, others) = (failed.swap_remove(0).1, failed.len());
    Err(if others == 0 { first.into() } else { DownloadError { first, others }.into() })
}

/// Reading and writing block their thread: they are done on one that may.
pub(super) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T> + Send + 'static,
) -> Result<T> {
    let done = tokio::task::spawn_blocking(work).await;
    done.map_err(|error| Error::Bug(error.to_string()))?
}

/// Passes the events of a download on to the session and the printing.
struct Watch<'a> {
    meter: &'a Meter,
    session: &'a Session,
    /// For each object of the download, its place in the receipt.
    places: &'a [usize],
    landed: Option<&'a Sender<LandedFile>>,
}

impl Observer for Watch<'_> {
    fn on_event(&self, event: &DownloadEvent<'_>) {
        match event {
            DownloadEvent::Received { bytes } => {
                self.meter.bytes.fetch_add(*bytes, Ordering::Relaxed);
            }
            DownloadEvent::Resumed { object, bytes } => {
                self.meter.bytes.fetch_add(*bytes, Ordering::Relaxed);
                let (key, name) = (object.key.clone(), object.name.clone());
                self.session.tell(&Event::Resumed { key, name, bytes: *bytes });
            }
            DownloadEvent::Finished { landed, object } => {
                let place = self.places[landed.index];
                self.meter.add(place, *landed);
                let (key, name) = (object.key.clone(), object.name.clone());
                self.session.tell(&Event::Object { key, name, bytes: object.size });
                if let Some(files) = self.landed {
                    let object = ObjectRecord {
                        crc64: Some(landed.crc64.to_string()),
                        ..ObjectRecord::from((*object).clone())
                    };
                    files.send((place, Version::of(&object))).unwrap_or(());
                }
            }
            // It is loaded again.
            DownloadEvent::Failed { error: viking_fetch::Error::Changed { .. }, .. } => {}
            DownloadEvent::Failed { object, error } => {
                let (key, error) = (object.key.clone(), error.to_string());
                self.session.warn(Warning::ObjectFailed { key, error });
            }
            _ => {}
        }
    }
}
