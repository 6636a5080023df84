//! Parts of many objects at once, in order of their beginning.

use std::num::NonZeroU64;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};

use futures::{StreamExt, stream};

use crate::bucket::Bucket;
use crate::disk::{check_room, needed_bytes, prepare, remove_partial};
use crate::download::{Download, Shared};
use crate::error::{Error, ErrorClass};
use crate::event::{DownloadEvent, Observer};
use crate::limiter::{Jobs, Limiter};
use crate::object::{Landed, RemoteObject};
use crate::pace::{Ahead, Lead, Rate};
use crate::proof::Verify;

/// How objects are downloaded.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct FetchOptions {
    /// Bytes a second of all parts together; no limit if `None`.
    pub bytes_per_second: Option<NonZeroU64>,
    /// Parts that are on their way at once. Together they hold about 16 MiB in memory, or a mebibyte each if
    /// that is less.
    pub jobs: Jobs,
    /// How far objects may be ahead of who uses the files; no limit if `None`.
    pub lead: Option<Lead>,
    /// Bytes of a part; larger objects are loaded in several. What a stop loses is at most this for each
    /// job.
    pub part_bytes: NonZeroU64,
    /// What is compared before a file counts as the object.
    pub verify: Verify,
}

impl FetchOptions {
    /// Sets [`bytes_per_second`](Self::bytes_per_second).
    #[must_use]
    pub fn with_bytes_per_second(self, bytes_per_second: impl Into<Option<NonZeroU64>>) -> Self {
        Self { bytes_per_second: bytes_per_second.into(), ..self }
    }

    /// Sets [`jobs`](Self::jobs).
    #[must_use]
    pub fn with_jobs(self, jobs: Jobs) -> Self {
        Self { jobs, ..self }
    }

    /// Sets [`lead`](Self::lead).
    #[must_use]
    pub fn with_lead(self, lead: impl Into<Option<Lead>>) -> Self {
        Self { lead: lead.into(), ..self }
    }

    /// Sets [`part_bytes`](Self::part_bytes).
    #[must_use]
    pub fn with_part_bytes(self, part_bytes: NonZeroU64) -> Self {
        Self { part_bytes, ..self }
    }

    /// Sets [`verify`](Self::verify).
    #[must_use]
    pub fn with_verify(self, verify: Verify) -> Self {
        Self { verify, ..self }
    }
}

impl Default for FetchOptions {
    /// Parts of 16 MiB, as many and as fast as they come.
    fn default() -> Self {
        Self {
            bytes_per_second: None,
            jobs: Jobs::default(),
            lead: None,
            part_bytes: PART_BYTES,
            verify: Verify::Normal,
        }
    }
}

const PART_BYTES: NonZeroU64 = NonZeroU64::new(16 << 20).unwrap();

/// How a download ended.
#[derive(Debug, Default)]
pub struct Report {
    /// The objects that stand in the folder now.
    pub landed: Vec<Landed>,
    /// Objects that do not, with the reason. Those not begun after a failure that would strike
    /// them all are in neither list.
    pub failed: Vec<(RemoteObject, Error)>,
    /// Parts that were on their way at once in the end, which is what [`Jobs::AUTO`] settled on.
    pub jobs: usize,
}

/// Downloads `objects` into `folder`, their parts begun in order.
///
/// Two calls must not work in one folder, and one that is dropped may still write for a moment.
///
/// Parts that an earlier download of the same objects left in the folder are not loaded again. The
/// failure of one object does not stop the others, unless it would strike them as well: refused keys,
/// a full disk, wrong settings.
pub async fn fetch(
    bucket: &Bucket,
    objects: &[RemoteObject],
    folder: &Path,
    options: &FetchOptions,
    observer: &dyn Observer,
) -> Result<Report, Error> {
    prepare(folder)?;
    check_room(folder, needed_bytes(folder, objects))?;
    let limiter = Limiter::new(options.jobs, &bucket.throttle);
    let shared = Shared {
        bucket,
        limiter: &limiter,
        folder,
        is_hopeless: AtomicBool::new(false),
        observer,
        part_bytes: options.part_bytes.get(),
        rate: options.bytes_per_second.map(Rate::new),
        verify: options.verify,
    };
    let downloads = downloads(&shared, objects);
    let ahead = options.lead.as_ref().map(|lead| Ahead::new(lead, objects));
    let (failed, has_failed) = tokio::sync::watch::channel(false);
    let parts =
        downloads.iter().flat_map(|object| (0..object.parts()).map(move |part| (object, part)));
    let loads = parts.map(|(object, part)| {
        let mut has_failed = has_failed.clone();
        let ahead = ahead.as_ref();
        async move {
            if let Some(ahead) = ahead {
                // Who waits for an object that failed uses nothing up.
                tokio::select! {
                    () = ahead.reached(object.index()) => {}
                    _ = has_failed.wait_for(|has_failed| *has_failed) => {}
                }
            }
            object.load(part).await.map_err(|error| (object.object(), error))
        }
    });
    // While some are flushed to the disk, as many others load.
    let at_once = 2 * options.jobs.max();
    let mut report = Report::default();
    let mut outcomes = stream::iter(loads).buffer_unordered(at_once);
    while let Some(outcome) = outcomes.next().await {
        match outcome {
            Ok(None) => {}
            Ok(Some(landed)) => {
                let object = &objects[landed.index];
                observer.on_event(&DownloadEvent::Finished { landed, object });
                report.landed.push(landed);
            }
            Err((object, error)) => {
                observer.on_event(&DownloadEvent::Failed { object, error: &error });
                failed.send_replace(true);
                shared.is_hopeless.fetch_or(strikes_all(&error), Ordering::Relaxed);
                report.failed.push((object.clone(), error));
            }
        }
    }
    drop(outcomes);
    report.jobs = limiter.limit();
    if report.failed.is_empty() {
        // Parts of objects that are no longer wanted go with it.
        remove_partial(folder)?;
    }
    Ok(report)
}

/// Whether what failed would strike the other objects as well.
fn strikes_all(error: &Error) -> bool {
    !matches!(error.class(), ErrorClass::Data | ErrorClass::NotFound | ErrorClass::Passing)
}

/// The objects in their order.
fn downloads<'a>(shared: &'a Shared<'a>, objects: &'a [RemoteObject]) -> Vec<Download<'a>> {
    let new = |(index, object)| Download::new(shared, index, object);
    objects.iter().enumerate().map(new).collect()
}
