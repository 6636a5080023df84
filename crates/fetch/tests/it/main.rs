//! Downloads from a local TOS over real HTTP: signatures, virtual hosts, faults.

#![expect(clippy::unwrap_used, reason = "a test may fail where it stands")]

use std::num::{NonZeroU64, NonZeroUsize};
use std::path::Path;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::sync::Notify;
use viking_emulator::{Collections, Emulator, Options};
use viking_fetch::{
    Bucket, BucketOptions, Error, ErrorClass, Event, FetchOptions, Keys, NoObserver, Observer,
    RemoteObject, Report, fetch,
};

const OPTIONS: FetchOptions = FetchOptions {
    jobs: NonZeroUsize::new(3).unwrap(),
    part_bytes: NonZeroU64::new(1_000_000).unwrap(),
};

async fn emulator(faults: &[&str]) -> Emulator {
    let mut options = Options::new(Collections::folder("nowhere"));
    options.faults = faults.iter().map(|fault| fault.parse().unwrap()).collect();
    Emulator::start(options).await.unwrap()
}

fn options(emulator: &Emulator, secret_key: &str) -> BucketOptions {
    let ready = emulator.ready();
    let keys = Keys::new(&ready.access_key, secret_key.to_owned(), None);
    let mut options = BucketOptions::new(&ready.tos, &ready.region, keys);
    options.read_timeout = Duration::from_secs(5);
    options.retries = 3;
    options
}

fn bucket(emulator: &Emulator) -> Bucket {
    Bucket::open("demo", &options(emulator, &emulator.ready().secret_key)).unwrap()
}

/// Bytes that differ from place to place, looking like Parquet at both ends.
fn bytes(length: usize) -> Vec<u8> {
    let mut bytes: Vec<u8> =
        (0..length).map(|place| (place * 31 + place / 251).to_le_bytes()[0]).collect();
    bytes[..4].copy_from_slice(b"PAR1");
    bytes[length - 4..].copy_from_slice(b"PAR1");
    bytes
}

async fn load(bucket: &Bucket, folder: &Path) -> Report {
    let listing = bucket.list("exports/run").await.unwrap();
    fetch(bucket, &listing.objects, folder, &OPTIONS, &NoObserver).await.unwrap()
}

fn names(folder: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(folder).unwrap();
    let mut names: Vec<_> =
        entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

#[tokio::test]
async fn objects_arrive_whole_in_order_and_leave_nothing_behind() {
    let emulator = emulator(&[]).await;
    for number in [10, 9, 2, 1, 0] {
        emulator
            .put("demo", &format!("exports/run/{number}.parquet"), &bytes(100_000 + number))
            .unwrap();
    }
    emulator.put("demo", "exports/run/sub/3.parquet", &bytes(3_000_000)).unwrap();
    emulator.put("demo", "exports/run/", b"").unwrap();
    emulator.put("demo", "exports/run/_SUCCESS", b"").unwrap();
    emulator.put("demo", "exports/runner/0.parquet", &bytes(9)).unwrap();
    let bucket = bucket(&emulator);
    let listing = bucket.list("exports/run").await.unwrap();
    let listed: Vec<&str> = listing.objects.iter().map(|object| object.name.as_str()).collect();
    let expected =
        ["0.parquet", "1.parquet", "2.parquet", "9.parquet", "10.parquet", "sub/3.parquet"];
    assert_eq!((listed.as_slice(), listing.skipped), (&expected[..], 2));
    let folder = tempfile::tempdir().unwrap();
    let report = load(&bucket, folder.path()).await;
    assert!(report.failed.is_empty());
    assert_eq!(report.landed.len(), 6);
    for number in [0, 1, 2, 9, 10] {
        let file = std::fs::read(folder.path().join(format!("{number}.parquet"))).unwrap();
        assert_eq!(file, bytes(100_000 + number));
    }
    assert_eq!(std::fs::read(folder.path().join("sub/3.parquet")).unwrap(), bytes(3_000_000));
    assert!(!names(folder.path()).contains(&".partial".to_owned()));
}

#[tokio::test]
async fn lists_are_paged() {
    let emulator = emulator(&[]).await;
    for number in 0..2_100 {
        emulator.put("demo", &format!("exports/run/{number}.json"), b"{}").unwrap();
    }
    let listing = bucket(&emulator).list("exports/run").await.unwrap();
    assert_eq!(listing.objects.len(), 2_100);
    assert_eq!(listing.objects[2_099].name, "2099.json");
    assert_eq!(listing.objects[999].name, "999.json");
}

#[tokio::test]
async fn cut_bodies_and_busy_answers_are_got_over() {
    let emulator = emulator(&["tos-cut=2", "tos-503=2"]).await;
    for number in 0..3 {
        emulator.put("demo", &format!("exports/run/{number}.parquet"), &bytes(5_000_000)).unwrap();
    }
    let folder = tempfile::tempdir().unwrap();
    let report = load(&bucket(&emulator), folder.path()).await;
    assert!(report.failed.is_empty(), "{:?}", report.failed);
    for number in 0..3 {
        assert_eq!(
            std::fs::read(folder.path().join(format!("{number}.parquet"))).unwrap(),
            bytes(5_000_000)
        );
    }
}

#[tokio::test]
async fn busy_for_ever_is_a_passing_fault_that_names_the_code() {
    let emulator = emulator(&["tos-503"]).await;
    let error = bucket(&emulator).list("exports/run").await.unwrap_err();
    assert_eq!(error.class(), ErrorClass::Passing);
    assert_eq!(error.refusal().map(|refusal| refusal.code.as_str()), Some("SlowDown"), "{error}");
}

#[tokio::test]
async fn wrong_keys_and_regions_are_refused_with_the_services_words() {
    let emulator = emulator(&[]).await;
    emulator.put("demo", "exports/run/0.parquet", &bytes(100)).unwrap();
    let wrong = Bucket::open("demo", &options(&emulator, "wrong")).unwrap();
    let error = wrong.list("exports/run").await.unwrap_err();
    assert_eq!(error.class(), ErrorClass::Denied, "{error}");
    let refusal = error.refusal().unwrap();
    assert_eq!(refusal.code, "SignatureDoesNotMatch");
    assert!(refusal.request_id.is_some());
    let mut elsewhere = options(&emulator, &emulator.ready().secret_key);
    elsewhere.region = "cn-shanghai".to_owned();
    let error = Bucket::open("demo", &elsewhere).unwrap().list("exports/run").await.unwrap_err();
    assert_eq!(error.class(), ErrorClass::Usage, "{error}");
}

#[tokio::test]
async fn an_empty_list_is_checked_and_a_single_object_is_found() {
    let emulator = emulator(&[]).await;
    emulator.put("demo", "exports/single.parquet", &bytes(100)).unwrap();
    let bucket = bucket(&emulator);
    let single = bucket.list("exports/single.parquet").await.unwrap();
    assert_eq!(single.objects.len(), 1);
    assert_eq!((single.objects[0].name.as_str(), single.objects[0].size), ("single.parquet", 100));
    assert!(bucket.list("exports/nothing").await.unwrap().objects.is_empty());
    let mut other = options(&emulator, &emulator.ready().secret_key);
    other.retries = 0;
    let error = Bucket::open("other", &other).unwrap().list("exports/run").await.unwrap_err();
    assert_eq!(error.class(), ErrorClass::NotFound, "{error}");
    assert_eq!(error.refusal().map(|refusal| refusal.code.as_str()), Some("NoSuchBucket"));
}

#[tokio::test]
async fn an_object_that_changed_after_it_was_listed_is_not_taken() {
    let emulator = emulator(&[]).await;
    emulator.put("demo", "exports/run/0.parquet", &bytes(1_000)).unwrap();
    let bucket = bucket(&emulator);
    let listing = bucket.list("exports/run").await.unwrap();
    let mut other = bytes(1_000);
    other[500] ^= 1;
    emulator.put("demo", "exports/run/0.parquet", &other).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let report =
        fetch(&bucket, &listing.objects, folder.path(), &OPTIONS, &NoObserver).await.unwrap();
    let (object, error) = &report.failed[0];
    assert_eq!((object.name.as_str(), error.class()), ("0.parquet", ErrorClass::Data), "{error}");
    let code = error.refusal().map(|refusal| refusal.code.as_str());
    assert_eq!(code, Some("PreconditionFailed"), "of the same length, told by its ETag");
    assert_eq!(names(folder.path()), [".partial"]);
}

#[tokio::test]
async fn half_a_parquet_file_is_noticed() {
    let emulator = emulator(&[]).await;
    let mut half = bytes(1_000);
    half[996..].copy_from_slice(b"half");
    emulator.put("demo", "exports/run/0.parquet", &half).unwrap();
    emulator.put("demo", "exports/run/1.parquet", &bytes(1_000)).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let report = load(&bucket(&emulator), folder.path()).await;
    let landed: Vec<_> = report.landed.iter().map(|landed| landed.index).collect();
    assert_eq!(landed, [1], "the others are loaded all the same");
    assert!(matches!(&report.failed[0].1, Error::Damaged { .. }), "{:?}", report.failed);
}

#[tokio::test]
async fn what_stands_in_the_folder_already_is_not_touched() {
    let emulator = emulator(&[]).await;
    emulator.put("demo", "exports/run/0.parquet", &bytes(1_000)).unwrap();
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("0.parquet"), "mine").unwrap();
    let report = load(&bucket(&emulator), folder.path()).await;
    assert!(matches!(&report.failed[0].1, Error::Exists { .. }), "{:?}", report.failed);
    assert_eq!(std::fs::read(folder.path().join("0.parquet")).unwrap(), b"mine");
}

#[tokio::test]
async fn a_folder_that_cannot_be_made_is_a_local_fault() {
    let emulator = emulator(&[]).await;
    emulator.put("demo", "exports/run/0.parquet", &bytes(1_000)).unwrap();
    let bucket = bucket(&emulator);
    let listing = bucket.list("exports/run").await.unwrap();
    let file = tempfile::NamedTempFile::new().unwrap();
    let folder = file.path().join("below a file");
    let error = fetch(&bucket, &listing.objects, &folder, &OPTIONS, &NoObserver).await.unwrap_err();
    assert_eq!(error.class(), ErrorClass::Local, "{error}");
}

#[tokio::test]
async fn the_observer_sees_every_step() {
    #[derive(Default)]
    struct Steps(Mutex<(Vec<String>, u64)>);
    impl Observer for Steps {
        fn on_event(&self, event: &Event<'_>) {
            let mut steps = self.0.lock().unwrap();
            match event {
                Event::Started { object } => steps.0.push(format!("started {}", object.name)),
                Event::Finished { landed, object } => {
                    steps.0.push(format!("finished {} {}", landed.index, object.name));
                }
                Event::Received { bytes } => steps.1 += bytes,
                _ => steps.0.push("other".to_owned()),
            }
        }
    }
    let emulator = emulator(&[]).await;
    emulator.put("demo", "exports/run/0.parquet", &bytes(70_000)).unwrap();
    let bucket = bucket(&emulator);
    let listing = bucket.list("exports/run").await.unwrap();
    let folder = tempfile::tempdir().unwrap();
    let steps = Steps::default();
    fetch(&bucket, &listing.objects, folder.path(), &OPTIONS, &steps).await.unwrap();
    let steps = steps.0.lock().unwrap();
    assert_eq!(steps.0, ["started 0.parquet", "finished 0 0.parquet"]);
    assert_eq!(steps.1, 70_000);
}

#[tokio::test]
async fn names_that_would_leave_the_folder_are_never_asked_for() {
    let emulator = emulator(&[]).await;
    emulator.put("demo", "exports/run/receipt.json", b"{}").unwrap();
    let error = bucket(&emulator).list("exports/run").await.unwrap_err();
    assert!(matches!(&error, Error::Key { .. }), "{error}");
    emulator.put("demo", "exports/dots/../x.parquet", &bytes(100)).unwrap();
    let error = bucket(&emulator).list("exports/dots").await.unwrap_err();
    assert_eq!(error.class(), ErrorClass::Data, "{error}");
    assert!(error.to_string().contains(".."), "{error}");
}

#[test]
fn secrets_do_not_show_in_debug_output() {
    let keys = Keys::new("AKLTpublic", "hush-secret".to_owned(), Some("hush-token".to_owned()));
    let options = BucketOptions::new("https://tos-s3-cn-beijing.volces.com", "cn-beijing", keys);
    let bucket = Bucket::open("demo", &options).unwrap();
    let text = format!(
        "{options:?} {bucket:?} {:?}",
        RemoteObject { key: String::new(), name: String::new(), size: 0, etag: None }
    );
    assert!(text.contains("AKLTpublic"));
    assert!(!text.contains("hush"), "{text}");
}

/// Counts the bytes that arrive and those that were there.
#[derive(Default)]
struct Bytes {
    received: AtomicU64,
    resumed: AtomicU64,
    arrived: Notify,
}

impl Observer for Bytes {
    fn on_event(&self, event: &Event<'_>) {
        match event {
            Event::Received { bytes } => self.received.fetch_add(*bytes, Ordering::Relaxed),
            Event::Resumed { bytes, .. } => self.resumed.fetch_add(*bytes, Ordering::Relaxed),
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
fn load_until(stop_after: u64, options: BucketOptions, folder: &Path) -> (Bytes, Option<Report>) {
    let folder = folder.to_owned();
    let thread = std::thread::spawn(move || {
        let mut runtime = tokio::runtime::Builder::new_multi_thread();
        let runtime = runtime.worker_threads(1).enable_all().build().unwrap();
        let seen = Bytes::default();
        let report = runtime.block_on(async {
            let bucket = Bucket::open("demo", &options).unwrap();
            let mut objects = bucket.list("exports/run").await.unwrap().objects;
            objects.retain(|object| !folder.join(&object.name).exists());
            tokio::select! {
                report = fetch(&bucket, &objects, &folder, &OPTIONS, &seen) => Some(report.unwrap()),
                () = seen.have_arrived(stop_after) => None,
            }
        });
        drop(runtime);
        (seen, report)
    });
    thread.join().unwrap()
}

#[tokio::test]
async fn parts_arrive_in_their_places_and_their_checksum_is_compared() {
    let emulator = emulator(&[]).await;
    for (name, length) in [("0", 999_999), ("1", 1_000_000), ("2", 1_000_001), ("3", 7_654_321)] {
        emulator.put("demo", &format!("exports/run/{name}.parquet"), &bytes(length)).unwrap();
    }
    let folder = tempfile::tempdir().unwrap();
    let report = load(&bucket(&emulator), folder.path()).await;
    assert!(report.failed.is_empty(), "{:?}", report.failed);
    assert!(report.landed.iter().all(|landed| landed.is_compared), "{:?}", report.landed);
    assert_eq!(std::fs::read(folder.path().join("2.parquet")).unwrap(), bytes(1_000_001));
    assert_eq!(std::fs::read(folder.path().join("3.parquet")).unwrap(), bytes(7_654_321));
    assert!(!names(folder.path()).contains(&".partial".to_owned()));
}

#[tokio::test]
async fn damage_on_the_way_is_noticed_and_the_object_loaded_once_again() {
    for (length, name) in [(5_000_000, "several parts"), (500_000, "one part")] {
        let emulator = emulator(&["tos-corrupt=1"]).await;
        emulator.put("demo", "exports/run/0.parquet", &bytes(length)).unwrap();
        let folder = tempfile::tempdir().unwrap();
        let report = load(&bucket(&emulator), folder.path()).await;
        assert!(report.failed.is_empty(), "{name}: {:?}", report.failed);
        assert_eq!(std::fs::read(folder.path().join("0.parquet")).unwrap(), bytes(length));
    }
    for length in [5_000_000, 500_000] {
        let emulator = emulator(&["tos-corrupt"]).await;
        emulator.put("demo", "exports/run/0.parquet", &bytes(length)).unwrap();
        let folder = tempfile::tempdir().unwrap();
        // The second time as well: what was damaged must not pass for a finished part.
        for time in ["first", "second"] {
            let report = load(&bucket(&emulator), folder.path()).await;
            let (object, error) = &report.failed[0];
            assert_eq!((object.name.as_str(), error.class()), ("0.parquet", ErrorClass::Data));
            assert!(error.to_string().contains("CRC-64"), "{time} time: {error}");
            assert!(!folder.path().join("0.parquet").exists());
        }
    }
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn files_are_open_for_the_objects_on_their_way_and_no_others() {
    #[derive(Default)]
    struct Open(AtomicU64);
    impl Observer for Open {
        fn on_event(&self, event: &Event<'_>) {
            if let Event::Finished { .. } = event {
                let files = std::fs::read_dir("/proc/self/fd").unwrap().flatten();
                let ours = files.filter_map(|file| std::fs::read_link(file.path()).ok());
                let ours = ours.filter(|path| path.to_string_lossy().contains("many-objects"));
                self.0.fetch_max(ours.count() as u64, Ordering::Relaxed);
            }
        }
    }
    let emulator = emulator(&[]).await;
    for number in 0..60 {
        emulator.put("demo", &format!("exports/run/{number}.parquet"), &bytes(1_000)).unwrap();
    }
    let bucket = bucket(&emulator);
    let listing = bucket.list("exports/run").await.unwrap();
    let folder = tempfile::Builder::new().prefix("many-objects").tempdir().unwrap();
    let open = Open::default();
    let report = fetch(&bucket, &listing.objects, folder.path(), &OPTIONS, &open).await.unwrap();
    assert_eq!(report.landed.len(), 60);
    let most = open.0.load(Ordering::Relaxed);
    assert!(most <= 2 * 4, "{most} files were open at once");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_download_that_is_stopped_anywhere_goes_on_with_what_is_missing() {
    let emulator = emulator(&[]).await;
    let (first, second) = (bytes(26_000_000), bytes(2_500_000));
    emulator.put("demo", "exports/run/0.parquet", &first).unwrap();
    emulator.put("demo", "exports/run/1.parquet", &second).unwrap();
    let options = options(&emulator, &emulator.ready().secret_key);
    let folder = tempfile::tempdir().unwrap();
    let (mut stops, mut received, mut resumed) = (0, 0, 0);
    loop {
        let (seen, report) = load_until(4_000_000, options.clone(), folder.path());
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
    let lost = stops * 3 * OPTIONS.part_bytes.get();
    assert!(received <= 28_500_000 + lost, "{received} bytes arrived over {stops} stops");
}

#[tokio::test(flavor = "multi_thread")]
async fn parts_of_an_object_that_changed_are_not_mixed_with_the_new_ones() {
    let emulator = emulator(&[]).await;
    let old = bytes(26_000_000);
    emulator.put("demo", "exports/run/0.parquet", &old).unwrap();
    let options = options(&emulator, &emulator.ready().secret_key);
    let folder = tempfile::tempdir().unwrap();
    let (_, report) = load_until(8_000_000, options.clone(), folder.path());
    assert!(report.is_none());
    let (seen, report) = load_until(8_000_000, options.clone(), folder.path());
    assert!(report.is_none());
    assert!(seen.resumed.load(Ordering::Relaxed) > 0, "there are parts on the disk");
    let mut new = old;
    new.iter_mut().skip(4).step_by(1_000).take(20_000).for_each(|byte| *byte ^= 0x55);
    emulator.put("demo", "exports/run/0.parquet", &new).unwrap();
    let (seen, report) = load_until(u64::MAX, options, folder.path());
    assert!(report.unwrap().failed.is_empty());
    assert_eq!(seen.resumed.load(Ordering::Relaxed), 0, "nothing of the old one counts");
    assert_eq!(std::fs::read(folder.path().join("0.parquet")).unwrap(), new);
}
