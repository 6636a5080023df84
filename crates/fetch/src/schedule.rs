//! Many objects at once, in order of their beginning.

use std::fs;
use std::num::NonZeroUsize;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};

use futures::{StreamExt, stream};

use crate::bucket::Bucket;
use crate::download::{download, prepare};
use crate::error::{Error, ErrorClass};
use crate::event::{Event, Observer};
use crate::listing::RemoteObject;

/// How a download ended.
#[derive(Debug, Default)]
pub struct Report {
    /// Places in the list of the objects that stand in the folder now.
    pub finished: Vec<usize>,
    /// Objects that do not, with the reason. Those not begun after a failure that would strike
    /// them all are in neither list.
    pub failed: Vec<(RemoteObject, Error)>,
}

/// Downloads `objects` into `folder`, at most `jobs` of them at once and begun in their order.
///
/// The failure of one object does not stop the others, unless it would strike them as well:
/// refused keys, a full disk, wrong settings.
pub async fn fetch(
    bucket: &Bucket,
    objects: &[RemoteObject],
    folder: &Path,
    jobs: NonZeroUsize,
    observer: &dyn Observer,
) -> Result<Report, Error> {
    let partial = prepare(folder)?;
    let is_hopeless = AtomicBool::new(false);
    let downloads = objects.iter().enumerate().map(|(index, object)| {
        let is_hopeless = &is_hopeless;
        async move {
            if is_hopeless.load(Ordering::Relaxed) {
                return None;
            }
            observer.on_event(&Event::Started { object });
            let outcome = download(bucket, object, index, folder, observer).await;
            match &outcome {
                Ok(()) => observer.on_event(&Event::Finished { index, object }),
                Err(error) => {
                    observer.on_event(&Event::Failed { object, error });
                    let strikes_all = !matches!(
                        error.class(),
                        ErrorClass::Data | ErrorClass::NotFound | ErrorClass::Passing
                    );
                    is_hopeless.fetch_or(strikes_all, Ordering::Relaxed);
                }
            }
            Some((index, outcome))
        }
    });
    let mut report = Report::default();
    let mut outcomes = stream::iter(downloads).buffer_unordered(jobs.get());
    while let Some(outcome) = outcomes.next().await {
        match outcome {
            Some((index, Ok(()))) => report.finished.push(index),
            Some((index, Err(error))) => report.failed.push((objects[index].clone(), error)),
            None => {}
        }
    }
    drop(outcomes);
    if report.failed.is_empty() {
        fs::remove_dir(&partial).map_err(|error| Error::local("remove", &partial, error))?;
    }
    Ok(report)
}
