//! Stops, and going on with what is missing.

use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};

use tokio::sync::Notify;
use viking_fetch::{Bucket, DownloadEvent, Observer, Report, fetch};

use crate::server::{PART_BYTES, Server, bytes, names};

/// Counts the bytes that arrive and those that were there.
#[derive(Default)]
struct Bytes {
    received: AtomicU64,
    resumed: AtomicU64,
    arrived: Notify,
}

impl Observer for Bytes {
    fn on_event(&self, event: &DownloadEvent<'_>) {
        match event {
            DownloadEvent::Received { bytes } => self.received.fetch_add(*bytes, Ordering::Relaxed),
            DownloadEvent::Resumed { bytes, .. } => {
                self.resumed.fetch_add(*bytes, Ordering::Relaxed)
            }
            _ => 0,
        };
        self.arrived.notify_one();
    }
}

impl Bytes {
    async fn have_arrived(&self, bytes: u64) {
        while self.received.load(Ordering::Relaxed) < bytes {
            self.arrived.notified().await;
        }
    }
}

/// Loads on a runtime of its own and stops everything once `stop_after` bytes have arrived. Nothing of it
/// is still at work afterwards.
fn load_until(stop_after: u64, server: &Server, folder: &Path) -> (Bytes, Option<Report>) {
    let (folder, address, prefix) = (folder.to_owned(), server.options(), server.prefix.clone());
    let thread = std::thread::spawn(move || {
        let mut runtime = tokio::runtime::Builder::new_multi_thread();
        let runtime = runtime.worker_threads(1).enable_all().build().unwrap();
        let seen = Bytes::default();
        let report = runtime.block_on(async {
            let bucket = Bucket::open("demo", &address).unwrap();
            let mut objects = bucket.list(&prefix).await.unwrap().objects;
            objects.retain(|object| !folder.join(&object.name).exists());
            let options = crate::server::options();
            tokio::select! {
                report = fetch(&bucket, &objects, &folder, &options, &seen) => Some(report.unwrap()),
                () = seen.have_arrived(stop_after) => None,
            }
        });
        drop(runtime);
        (seen, report)
    });
    thread.join().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_download_that_is_stopped_anywhere_goes_on_with_what_is_missing() {
    let server = Server::start().await;
    let (first, second) = (bytes(26_000_000), bytes(2_500_000));
    server.put("0.parquet", &first).await;
    server.put("1.parquet", &second).await;
    let folder = tempfile::tempdir().unwrap();
    let (mut stops, mut received, mut resumed) = (0, 0, 0);
    loop {
        let (seen, report) = load_until(4_000_000, &server, folder.path());
        received += seen.received.load(Ordering::Relaxed);
        resumed = resumed.max(seen.resumed.load(Ordering::Relaxed));
        match report {
            Some(report) => break assert!(report.failed.is_empty(), "{:?}", report.failed),
            None => stops += 1,
        }
        assert!(stops < 100, "no end in sight");
    }
    assert_eq!(std::fs::read(folder.path().join("0.parquet")).unwrap(), first);
    assert_eq!(std::fs::read(folder.path().join("1.parquet")).unwrap(), second);
    assert_eq!(names(folder.path()), ["0.parquet", "1.parquet"]);
    assert!(stops >= 6 && resumed >= 1_000_000, "{stops} stops, {resumed} bytes were there");
    // Each stop loses at most the parts that were on their way.
    let lost = stops * 3 * PART_BYTES;
    assert!(received <= 28_500_000 + lost, "{received} bytes arrived over {stops} stops");
}

#[tokio::test(flavor = "multi_thread")]
async fn parts_of_an_object_that_changed_are_not_mixed_with_the_new_ones() {
    let server = Server::start().await;
    let old = bytes(26_000_000);
    server.put("0.parquet", &old).await;
    let folder = tempfile::tempdir().unwrap();
    let (_, report) = load_until(8_000_000, &server, folder.path());
    assert!(report.is_none());
    let (seen, report) = load_until(8_000_000, &server, folder.path());
    assert!(report.is_none());
    assert!(seen.resumed.load(Ordering::Relaxed) > 0, "there are parts on the disk");
    let mut new = old;
    new.iter_mut().skip(4).step_by(1_000).take(20_000).for_each(|byte| *byte ^= 0x55);
    server.put("0.parquet", &new).await;
    let (seen, report) = load_until(u64::MAX, &server, folder.path());
    assert!(report.unwrap().failed.is_empty());
    assert_eq!(seen.resumed.load(Ordering::Relaxed), 0, "nothing of the old one counts");
    assert_eq!(std::fs::read(folder.path().join("0.parquet")).unwrap(), new);
}
