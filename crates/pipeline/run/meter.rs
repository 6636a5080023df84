//! How far a download and its printing are.

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use parking_lot::{Mutex, MutexGuard};
use tokio::sync::Notify;
use viking_fetch::Landed;

use crate::event::{Event, Listener, Progress};
use crate::record::RunFolder;

/// The progress bar moves this often.
const TICK: Duration = Duration::from_millis(200);

/// Counts that the download and the printing keep up to date.
#[derive(Debug, Default)]
pub(super) struct Meter {
    pub(super) rows: AtomicU64,
    pub(super) bytes: AtomicU64,
    pub(super) bytes_total: AtomicU64,
    pub(super) objects: AtomicUsize,
    pub(super) objects_total: AtomicUsize,
    is_to_file: bool,
    has_landed: Notify,
    /// Objects that landed, with their places in the receipt.
    landed: Mutex<Vec<(usize, Landed)>>,
}

impl Meter {
    /// `is_to_file` tells that no rows go to stdout meanwhile.
    pub(super) fn new(is_to_file: bool) -> Self {
        Self { is_to_file, ..Self::default() }
    }

    /// An object landed, at this place in the receipt.
    pub(super) fn add(&self, place: usize, landed: Landed) {
        self.landed().push((place, landed));
        self.has_landed.notify_one();
        self.objects.fetch_add(1, Ordering::Relaxed);
    }

    /// Waits until an object has landed.
    pub(super) async fn has_landed(&self) {
        self.has_landed.notified().await;
    }

    fn landed(&self) -> MutexGuard<'_, Vec<(usize, Landed)>> {
        self.landed.lock()
    }

    /// Notes what landed, and how, in the receipt.
    pub(super) fn note(&self, folder: &mut RunFolder) {
        let mut objects = folder.receipt.objects.take();
        for (place, landed) in self.landed().drain(..) {
            if let Some(object) = objects.as_mut().and_then(|objects| objects.get_mut(place)) {
                object.landed = folder.written(object);
                object.crc64 = Some(landed.crc64.to_string());
                object.crc64_compared = landed.is_compared;
                object.md5_compared = landed.is_md5_compared;
            }
        }
        folder.receipt.objects = objects;
    }

    fn progress(&self) -> Progress {
        Progress {
            objects: self.objects.load(Ordering::Relaxed),
            objects_total: self.objects_total.load(Ordering::Relaxed),
            bytes: self.bytes.load(Ordering::Relaxed),
            bytes_total: self.bytes_total.load(Ordering::Relaxed),
            rows: self.rows.load(Ordering::Relaxed),
            is_to_file: self.is_to_file,
        }
    }

    /// Runs `work` and shows how far it is.
    pub(super) async fn show<T>(
        &self,
        listener: &dyn Listener,
        work: impl Future<Output = T>,
    ) -> T {
        let ticks = async {
            let mut ticks = tokio::time::interval(TICK);
            loop {
                ticks.tick().await;
                listener.on_event(&Event::Progress(self.progress()));
            }
        };
        tokio::select! {
            done = work => done,
            () = ticks => std::future::pending().await,
        }
    }
}
