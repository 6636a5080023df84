//! Parts of many objects at once, in order of their beginning.

use std::num::{NonZeroU64, NonZeroUsize};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};

use futures::{StreamExt, stream};

use crate::bucket::Bucket;
use crate::download::{Download, Landed, prepare, remove_partial};
use crate::error::{Error, ErrorClass};
use crate::event::{Event, Observer};
use crate::listing::RemoteObject;

/// How objects are downloaded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FetchOptions {
    /// Parts that are on their way at once. Each holds about a mebibyte in memory.
    pub jobs: NonZeroUsize,
    /// Bytes of a part; larger objects are loaded in several. What a stop loses is at most this for each
    /// job.
    pub part_bytes: NonZeroU64,
}

impl Default for FetchOptions {
    /// Four parts of 16 MiB.
    fn default() -> Self {
        Self { jobs: NonZeroUsize::new(4).unwrap_or(NonZeroUsize::MIN), part_bytes: PART_BYTES }
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
    let is_hopeless = AtomicBool::new(false);
    let part_bytes = options.part_bytes.get();
    let new = |object| Download::new(bucket, object, folder, part_bytes, observer);
    let downloads: Vec<_> = objects.iter().enumerate().map(new).collect();
    let parts =
        downloads.iter().flat_map(|object| (0..object.parts()).map(move |part| (object, part)));
    let loads = parts.map(|(object, part)| {
        let is_hopeless = &is_hopeless;
        async move {
            if is_hopeless.load(Ordering::Relaxed) {
                return Ok(None);
            }
            object.load(part).await.map_err(|error| (object.object(), error))
        }
    });
    let mut report = Report::default();
    let mut outcomes = stream::iter(loads).buffer_unordered(options.jobs.get());
    while let Some(outcome) = outcomes.next().await {
        match outcome {
            Ok(None) => {}
            Ok(Some(landed)) => {
                let object = &objects[landed.index];
                observer.on_event(&Event::Finished { landed, object });
                report.landed.push(landed);
            }
            Err((object, error)) => {
                observer.on_event(&Event::Failed { object, error: &error });
                let strikes_all = !matches!(
                    error.class(),
                    ErrorClass::Data | ErrorClass::NotFound | ErrorClass::Passing
                );
                is_hopeless.fetch_or(strikes_all, Ordering::Relaxed);
                report.failed.push((object.clone(), error));
            }
        }
    }
    drop(outcomes);
    if report.failed.is_empty() {
        // Parts of objects that are no longer wanted go with it.
        remove_partial(folder)?;
    }
    Ok(report)
}
