//! Downloads as they should be, from any S3 server.

use std::num::NonZeroU64;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use viking_fetch::{
    Bucket, BucketOptions, Credentials, DownloadEvent, Error, ErrorClass, Jobs, Landed, Lead,
    NoObserver, Observer, RemoteObject, Verify, fetch,
};

use crate::server::{Server, bytes, names, options};

#[tokio::test]
async fn objects_arrive_whole_in_order_and_leave_nothing_behind() {
    let server = Server::start().await;
    for number in [10, 9, 2, 1, 0] {
        server.put(&format!("{number}.parquet"), &bytes(100_000 + number)).await;
    }
    server.put("sub/3.parquet", &bytes(3_000_000)).await;
    server.put("", b"").await;
    server.put("_SUCCESS", b"").await;
    // Not below the prefix, though it begins with it.
    server.put_key(&format!("{}er/0.parquet", server.prefix), &bytes(9)).await;
    let bucket = server.bucket();
    let listing = server.list(&bucket).await;
    let listed: Vec<&str> = listing.objects.iter().map(|object| object.name.as_str()).collect();
    let expected =
        ["0.parquet", "1.parquet", "2.parquet", "9.parquet", "10.parquet", "sub/3.parquet"];
    // The way to the other server cannot put a key that ends in a slash.
    let markers = 1 + usize::from(server.emulator.is_some());
    assert_eq!((listed.as_slice(), listing.skipped), (&expected[..], markers));
    let folder = tempfile::tempdir().unwrap();
    let report = server.load(folder.path()).await;
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
    let server = Server::start().await;
    for number in 0..2_100 {
        server.put(&format!("{number}.json"), b"{}").await;
    }
    let listing = server.list(&server.bucket()).await;
    assert_eq!(listing.objects.len(), 2_100);
    assert_eq!(listing.objects[2_099].name, "2099.json");
    assert_eq!(listing.objects[999].name, "999.json");
}

#[tokio::test]
async fn an_empty_list_is_checked_and_a_single_object_is_found() {
    let server = Server::start().await;
    server.put("single.parquet", &bytes(100)).await;
    let bucket = server.bucket();
    let below = |name: &str| format!("{}/{name}", server.prefix);
    let single = bucket.list(&below("single.parquet")).await.unwrap();
    assert_eq!(single.objects.len(), 1);
    assert_eq!((single.objects[0].name.as_str(), single.objects[0].size), ("single.parquet", 100));
    assert!(bucket.list(&below("nothing")).await.unwrap().objects.is_empty());
    let mut other = server.options();
    other.retry.times = Some(0);
    let error = Bucket::open("other", &other).unwrap().list("exports/run").await.unwrap_err();
    assert_eq!(error.class(), ErrorClass::NotFound, "{error}");
    assert_eq!(error.refusal().map(|refusal| refusal.code.as_str()), Some("NoSuchBucket"));
}

#[tokio::test]
async fn an_object_that_changed_after_it_was_listed_is_not_taken() {
    let server = Server::start().await;
    server.put("0.parquet", &bytes(1_000)).await;
    let bucket = server.bucket();
    let listing = server.list(&bucket).await;
    let mut other = bytes(1_000);
    other[500] ^= 1;
    server.put("0.parquet", &other).await;
    let folder = tempfile::tempdir().unwrap();
    let report =
        fetch(&bucket, &listing.objects, folder.path(), &options(), &NoObserver).await.unwrap();
    let (object, error) = &report.failed[0];
    assert!(
        matches!(error, Error::Changed { .. }),
        "of the same length, told by its ETag: {error}"
    );
    assert_eq!(names(folder.path()), [".partial"]);
    let now = bucket.look(object).await.unwrap();
    let report = fetch(&bucket, &[now], folder.path(), &options(), &NoObserver).await.unwrap();
    assert!(report.failed.is_empty(), "{:?}", report.failed);
    assert_eq!(std::fs::read(folder.path().join("0.parquet")).unwrap(), other);
}

#[tokio::test]
async fn half_a_parquet_file_is_noticed() {
    let server = Server::start().await;
    let mut half = bytes(1_000);
    half[996..].copy_from_slice(b"half");
    server.put("0.parquet", &half).await;
    server.put("1.parquet", &bytes(1_000)).await;
    let folder = tempfile::tempdir().unwrap();
    let report = server.load(folder.path()).await;
    let landed: Vec<_> = report.landed.iter().map(|landed| landed.index).collect();
    assert_eq!(landed, [1], "the others are loaded all the same");
    assert!(matches!(&report.failed[0].1, Error::Damaged { .. }), "{:?}", report.failed);
}

#[tokio::test]
async fn what_stands_in_the_folder_already_is_not_touched() {
    let server = Server::start().await;
    server.put("0.parquet", &bytes(1_000)).await;
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("0.parquet"), "mine").unwrap();
    let report = server.load(folder.path()).await;
    assert!(matches!(&report.failed[0].1, Error::Exists { .. }), "{:?}", report.failed);
    assert_eq!(std::fs::read(folder.path().join("0.parquet")).unwrap(), b"mine");
}

#[tokio::test]
async fn a_folder_that_cannot_be_made_is_a_local_fault() {
    let server = Server::start().await;
    server.put("0.parquet", &bytes(1_000)).await;
    let bucket = server.bucket();
    let listing = server.list(&bucket).await;
    let file = tempfile::NamedTempFile::new().unwrap();
    let folder = file.path().join("below a file");
    let error =
        fetch(&bucket, &listing.objects, &folder, &options(), &NoObserver).await.unwrap_err();
    assert_eq!(error.class(), ErrorClass::Local, "{error}");
}

#[tokio::test]
async fn the_observer_sees_every_step() {
    #[derive(Default)]
    struct Steps(Mutex<(Vec<String>, u64)>);
    impl Observer for Steps {
        fn on_event(&self, event: &DownloadEvent<'_>) {
            let mut steps = self.0.lock().unwrap();
            match event {
                DownloadEvent::Started { object } => {
                    steps.0.push(format!("started {}", object.name));
                }
                DownloadEvent::Finished { landed, object } => {
                    steps.0.push(format!("finished {} {}", landed.index, object.name));
                }
                DownloadEvent::Received { bytes } => steps.1 += bytes,
                _ => steps.0.push("other".to_owned()),
            }
        }
    }
    let server = Server::start().await;
    server.put("0.parquet", &bytes(70_000)).await;
    let bucket = server.bucket();
    let listing = server.list(&bucket).await;
    let folder = tempfile::tempdir().unwrap();
    let steps = Steps::default();
    fetch(&bucket, &listing.objects, folder.path(), &options(), &steps).await.unwrap();
    let steps = steps.0.lock().unwrap();
    assert_eq!(steps.0, ["started 0.parquet", "finished 0 0.parquet"]);
    assert_eq!(steps.1, 70_000);
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn files_are_open_for_the_objects_on_their_way_and_no_others() {
    #[derive(Default)]
    struct Open(AtomicU64);
    impl Observer for Open {
        fn on_event(&self, event: &DownloadEvent<'_>) {
            if let DownloadEvent::Finished { .. } = event {
                let files = std::fs::read_dir("/proc/self/fd").unwrap().flatten();
                let ours = files.filter_map(|file| std::fs::read_link(file.path()).ok());
                let ours = ours.filter(|path| path.to_string_lossy().contains("many-objects"));
                self.0.fetch_max(ours.count() as u64, Ordering::Relaxed);
            }
        }
    }
    let server = Server::start().await;
    for number in 0..60 {
        server.put(&format!("{number}.parquet"), &bytes(1_000)).await;
    }
    let bucket = server.bucket();
    let listing = server.list(&bucket).await;
    let folder = tempfile::Builder::new().prefix("many-objects").tempdir().unwrap();
    let open = Open::default();
    let report = fetch(&bucket, &listing.objects, folder.path(), &options(), &open).await.unwrap();
    assert_eq!(report.landed.len(), 60);
    let most = open.0.load(Ordering::Relaxed);
    // A part file and a journal for each of three objects that load and three that are flushed.
    assert!(most <= 2 * (3 + 3 + 1), "{most} files were open at once");
}

#[tokio::test]
async fn parts_arrive_in_their_places_and_their_checksum_is_compared() {
    let server = Server::start().await;
    for (name, length) in [("0", 999_999), ("1", 1_000_000), ("2", 1_000_001), ("3", 7_654_321)] {
        server.put(&format!("{name}.parquet"), &bytes(length)).await;
    }
    let folder = tempfile::tempdir().unwrap();
    let report = server.load(folder.path()).await;
    assert!(report.failed.is_empty(), "{:?}", report.failed);
    let sends_crc64 = server.emulator.is_some();
    let is_right = |landed: &Landed| landed.is_compared == sends_crc64;
    assert!(report.landed.iter().all(is_right), "{:?}", report.landed);
    assert_eq!(std::fs::read(folder.path().join("2.parquet")).unwrap(), bytes(1_000_001));
    assert_eq!(std::fs::read(folder.path().join("3.parquet")).unwrap(), bytes(7_654_321));
    assert!(!names(folder.path()).contains(&".partial".to_owned()));
}

#[test]
fn secrets_do_not_show_in_debug_output() {
    let keys =
        Credentials::new("AKLTpublic", "hush-secret".to_owned(), Some("hush-token".to_owned()));
    let options = BucketOptions::new("https://tos-s3-cn-beijing.volces.com", "cn-beijing", keys);
    let bucket = Bucket::open("demo", &options).unwrap();
    let text = format!(
        "{options:?} {bucket:?} {:?}",
        RemoteObject { key: String::new(), name: String::new(), size: 0, etag: None }
    );
    assert!(text.contains("AKLTpublic"));
    assert!(!text.contains("hush"), "{text}");
}

#[tokio::test]
async fn full_verification_compares_the_md5_that_an_etag_is() {
    let server = Server::start().await;
    server.put("0.parquet", &bytes(2_500_000)).await;
    let bucket = server.bucket();
    let listing = server.list(&bucket).await;
    let full = options().with_verify(Verify::Full);
    let folder = tempfile::tempdir().unwrap();
    let report = fetch(&bucket, &listing.objects, folder.path(), &full, &NoObserver).await.unwrap();
    assert!(report.landed[0].is_md5_compared, "{report:?}");
    let normal = tempfile::tempdir().unwrap();
    assert!(!server.load(normal.path()).await.landed[0].is_md5_compared);
    // An ETag that looks like an MD5 and is not that of the bytes.
    let mut wrong = listing.objects[0].clone();
    wrong.etag = None;
    let prove =
        |object: &RemoteObject| viking_fetch::prove(&folder.path().join("0.parquet"), object, None);
    assert!(prove(&wrong).is_ok());
    wrong.etag = Some("00000000000000000000000000000000".to_owned());
    assert!(prove(&wrong).unwrap_err().to_string().contains("MD5"));
}

#[tokio::test]
async fn a_limited_rate_is_kept() {
    let server = Server::start().await;
    server.put("0.parquet", &bytes(3_000_000)).await;
    let bucket = server.bucket();
    let listing = server.list(&bucket).await;
    let limited = options().with_bytes_per_second(NonZeroU64::new(2_000_000));
    let folder = tempfile::tempdir().unwrap();
    let start = Instant::now();
    fetch(&bucket, &listing.objects, folder.path(), &limited, &NoObserver).await.unwrap();
    assert!(start.elapsed() >= Duration::from_millis(1_400), "{:?}", start.elapsed());
}

#[tokio::test]
async fn a_download_waits_for_who_uses_its_files() {
    let server = Server::start().await;
    for number in 0..6 {
        server.put(&format!("{number}.parquet"), &bytes(1_000_000)).await;
    }
    let bucket = server.bucket();
    let listing = server.list(&bucket).await;
    let lead = Lead::new(2_000_000);
    let options = options().with_lead(lead.clone());
    let folder = tempfile::tempdir().unwrap();
    let loading = fetch(&bucket, &listing.objects, folder.path(), &options, &NoObserver);
    let mut loading = Box::pin(loading);
    let waits = tokio::time::timeout(Duration::from_millis(700), &mut loading).await;
    assert!(waits.is_err(), "it goes no further");
    let landed = || names(folder.path()).iter().filter(|name| name.ends_with("parquet")).count();
    assert_eq!(landed(), 3, "those that begin within two million bytes");
    listing.objects[..3].iter().for_each(|object| lead.set_used(&object.key));
    assert!(loading.await.unwrap().failed.is_empty());
    assert_eq!(landed(), 6);
}

#[tokio::test]
async fn auto_finds_a_number_of_parts_and_loads_everything() {
    let server = Server::start().await;
    server.put("0.parquet", &bytes(40_000_000)).await;
    let bucket = server.bucket();
    let listing = server.list(&bucket).await;
    let options = options().with_jobs(Jobs::AUTO);
    let folder = tempfile::tempdir().unwrap();
    let report =
        fetch(&bucket, &listing.objects, folder.path(), &options, &NoObserver).await.unwrap();
    assert!(report.failed.is_empty(), "{:?}", report.failed);
    assert_eq!(std::fs::read(folder.path().join("0.parquet")).unwrap(), bytes(40_000_000));
}

#[tokio::test]
async fn a_wrong_secret_is_refused_with_the_services_words() {
    let server = Server::start().await;
    server.put("0.parquet", &bytes(100)).await;
    let mut options = server.options();
    options.credentials =
        Arc::new(Credentials::new(&server.ready.access_key, "wrong".to_owned(), None));
    let wrong = Bucket::open("demo", &options).unwrap();
    let error = wrong.list(&server.prefix).await.unwrap_err();
    assert_eq!(error.class(), ErrorClass::Denied, "{error}");
    let refusal = error.refusal().unwrap();
    assert_eq!(refusal.code, "SignatureDoesNotMatch");
    assert!(refusal.request_id.is_some());
}
