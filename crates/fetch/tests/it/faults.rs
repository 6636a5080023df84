//! What goes wrong on the way, on demand. Each fault has its own test and its own message.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use viking_emulator::Emulator;
use viking_fetch::{
    Bucket, BucketOptions, CredentialSource, Credentials, Error, ErrorClass, NoObserver, Report,
    Unavailable, fetch,
};

use crate::server::{Server, bytes, names, options as parts};

/// One object of five parts and what came of its download past `faults`.
async fn load_past(faults: &[&str]) -> (Report, tempfile::TempDir) {
    let server = Server::with_faults(faults).await;
    server.put("0.parquet", &bytes(5_000_000)).await;
    let folder = tempfile::tempdir().unwrap();
    let report = server.load(folder.path()).await;
    (report, folder)
}

async fn is_got_over(faults: &[&str]) {
    let (report, folder) = load_past(faults).await;
    assert!(report.failed.is_empty(), "{faults:?}: {:?}", report.failed);
    let file = std::fs::read(folder.path().join("0.parquet")).unwrap();
    assert!(file == bytes(5_000_000), "{faults:?}: other bytes");
    assert_eq!(names(folder.path()), ["0.parquet"], "{faults:?}");
}

/// The error that ends the download, which leaves no file behind.
async fn fails(fault: &str, class: ErrorClass, words: &str) -> Error {
    let (mut report, folder) = load_past(&[fault]).await;
    let (_, error) = report.failed.remove(0);
    assert_eq!(error.class(), class, "{fault}: {error}");
    let text = chain(&error);
    assert!(text.contains(words), "{fault}: {words:?} is not in {text}");
    assert!(text.contains("0.parquet"), "{fault}: {text}");
    assert_eq!(names(folder.path()), [".partial"], "{fault}");
    error
}

fn chain(error: &dyn std::error::Error) -> String {
    let cause = error.source().map(|cause| format!(": {}", chain(cause)));
    format!("{error}{}", cause.unwrap_or_default())
}

#[tokio::test]
async fn bodies_that_are_cut_at_any_byte_are_gone_on_with() {
    // Each time elsewhere, also before the first byte.
    let server = Server::with_faults(&["tos-cut=20"]).await;
    server.put("0.parquet", &bytes(9_000_000)).await;
    let mut options = server.options();
    options.retry.times = Some(20);
    let bucket = Bucket::open("demo", &options).unwrap();
    let listing = server.list(&bucket).await;
    let folder = tempfile::tempdir().unwrap();
    let report = fetch(&bucket, &listing.objects, folder.path(), &parts(), &NoObserver).await;
    assert!(report.unwrap().failed.is_empty());
    assert_eq!(std::fs::read(folder.path().join("0.parquet")).unwrap(), bytes(9_000_000));
}

#[tokio::test]
async fn bodies_that_are_cut_for_ever_are_a_passing_fault() {
    fails("tos-cut", ErrorClass::Passing, "no usable answer").await;
}

#[tokio::test]
async fn a_body_that_stalls_is_asked_for_again() {
    let server = Server::with_faults(&["tos-stall=1"]).await;
    server.put("0.parquet", &bytes(2_000_000)).await;
    let mut patient = server.options();
    patient.read_timeout = Duration::from_millis(300);
    let bucket = Bucket::open("demo", &patient).unwrap();
    let listing = server.list(&bucket).await;
    let folder = tempfile::tempdir().unwrap();
    let report = fetch(&bucket, &listing.objects, folder.path(), &parts(), &NoObserver).await;
    assert!(report.unwrap().failed.is_empty());
    assert_eq!(std::fs::read(folder.path().join("0.parquet")).unwrap(), bytes(2_000_000));
}

#[tokio::test]
async fn connections_that_are_reset_are_made_again() {
    is_got_over(&["tos-reset=3"]).await;
}

#[tokio::test]
async fn busy_answers_are_waited_out() {
    is_got_over(&["tos-503=3"]).await;
}

#[tokio::test]
async fn the_wait_that_tos_asks_for_is_kept() {
    let start = Instant::now();
    is_got_over(&["tos-429=1"]).await;
    assert!(start.elapsed() >= Duration::from_secs(1), "Retry-After: 1");
}

#[tokio::test]
async fn busy_for_ever_is_a_passing_fault_that_names_the_code() {
    for (fault, code) in [("tos-503", "SlowDown"), ("tos-429", "ExceedBucketRateLimit")] {
        let server = Server::with_faults(&[fault]).await;
        let error = server.bucket().list(&server.prefix).await.unwrap_err();
        assert_eq!(error.class(), ErrorClass::Passing, "{error}");
        assert_eq!(error.refusal().map(|refusal| refusal.code.as_str()), Some(code), "{error}");
    }
}

#[tokio::test]
async fn an_answer_of_another_length_is_not_taken() {
    fails("tos-short", ErrorClass::Passing, "no usable answer").await;
}

#[tokio::test]
async fn the_whole_object_instead_of_a_part_is_not_taken() {
    fails("tos-no-ranges", ErrorClass::Passing, "partial").await;
}

#[tokio::test]
async fn a_range_that_tos_does_not_have_is_bad_data() {
    let error = fails("tos-416", ErrorClass::Data, "416").await;
    assert_eq!(error.refusal().map(|refusal| refusal.code.as_str()), Some("InvalidRange"));
}

#[tokio::test]
async fn an_object_that_changes_between_two_parts_is_not_mixed() {
    let error = fails("tos-changed=1", ErrorClass::Data, "changed after it was listed").await;
    assert!(matches!(error, Error::Changed { .. }), "{error}");
}

#[tokio::test]
async fn a_wrong_clock_is_refused_by_name() {
    let server = Server::with_faults(&["tos-skewed"]).await;
    let error = server.bucket().list(&server.prefix).await.unwrap_err();
    assert_eq!(error.class(), ErrorClass::Denied, "{error}");
    let code = error.refusal().map(|refusal| refusal.code.as_str());
    assert_eq!(code, Some("RequestTimeTooSkewed"));
}

#[tokio::test]
async fn a_name_that_does_not_resolve_is_a_passing_fault_that_says_so() {
    let keys = Credentials::new("AKLTnobody", "secret".to_owned(), None);
    let mut options = BucketOptions::new("https://tos-s3.invalid", "cn-beijing", keys);
    options.retry.times = Some(1);
    let error = Bucket::open("demo", &options).unwrap().list("exports").await.unwrap_err();
    assert_eq!(error.class(), ErrorClass::Passing, "{error}");
    let text = chain(&error);
    assert!(text.contains("lookup") || text.contains("resolve"), "{text}");
}

#[tokio::test]
async fn another_region_is_refused() {
    let server = Server::with_faults(&[]).await;
    let mut elsewhere = server.options();
    elsewhere.region = "cn-shanghai".to_owned();
    let bucket = Bucket::open("demo", &elsewhere).unwrap();
    let error = bucket.list(&server.prefix).await.unwrap_err();
    assert_eq!(error.class(), ErrorClass::Usage, "{error}");
}

#[tokio::test]
async fn damage_on_the_way_is_noticed_and_the_object_loaded_once_again() {
    for (length, name) in [(5_000_000, "several parts"), (500_000, "one part")] {
        let server = Server::with_faults(&["tos-corrupt=1"]).await;
        server.put("0.parquet", &bytes(length)).await;
        let folder = tempfile::tempdir().unwrap();
        let report = server.load(folder.path()).await;
        assert!(report.failed.is_empty(), "{name}: {:?}", report.failed);
        assert_eq!(std::fs::read(folder.path().join("0.parquet")).unwrap(), bytes(length));
    }
    for length in [5_000_000, 500_000] {
        let server = Server::with_faults(&["tos-corrupt"]).await;
        server.put("0.parquet", &bytes(length)).await;
        let folder = tempfile::tempdir().unwrap();
        // The second time as well: what was damaged must not pass for a finished part.
        for time in ["first", "second"] {
            let report = server.load(folder.path()).await;
            let (object, error) = &report.failed[0];
            assert_eq!((object.name.as_str(), error.class()), ("0.parquet", ErrorClass::Data));
            assert!(error.to_string().contains("CRC-64"), "{time} time: {error}");
            assert!(!folder.path().join("0.parquet").exists());
        }
    }
}

/// Lends keys for a moment, and as many more as the test allows.
#[derive(Debug)]
struct Lending {
    emulator: Arc<Emulator>,
    lifetime: Duration,
    left: AtomicUsize,
    lent: Mutex<Option<Credentials>>,
}

impl Lending {
    fn lend(&self) -> Option<Credentials> {
        let left = &self.left;
        left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(1)).ok()?;
        let keys = self.emulator.temporary_keys(self.lifetime).unwrap();
        let token = Some(keys.session_token);
        let lent = Credentials::new(&keys.access_key, keys.secret_key, token);
        *self.lent.lock().unwrap() = Some(lent.clone());
        Some(lent)
    }
}

#[async_trait]
impl CredentialSource for Lending {
    async fn credentials(&self) -> Result<Credentials, Unavailable> {
        let lent = self.lent.lock().unwrap().clone();
        lent.or_else(|| self.lend()).ok_or_else(|| Unavailable::new("none are left", false))
    }

    async fn renewed(&self, used: &Credentials) -> Option<Credentials> {
        let lent = self.lent.lock().unwrap().clone();
        lent.filter(|lent| lent != used).or_else(|| self.lend())
    }
}

#[tokio::test]
async fn keys_that_end_on_the_way_are_read_again() {
    let mut server = Server::with_faults(&["tos-slow=40"]).await;
    server.put("0.parquet", &bytes(20_000_000)).await;
    let emulator = Arc::new(server.emulator.take().unwrap());
    let load = async |times: usize| {
        let lifetime = Duration::from_millis(150);
        let left = AtomicUsize::new(times);
        let mut options = server.options();
        let (emulator, lent) = (Arc::clone(&emulator), Mutex::default());
        options.credentials = Arc::new(Lending { emulator, lifetime, left, lent });
        let bucket = Bucket::open("demo", &options).unwrap();
        let listing = bucket.list(&server.prefix).await.unwrap();
        let folder = tempfile::tempdir().unwrap();
        let fetched = fetch(&bucket, &listing.objects, folder.path(), &parts(), &NoObserver).await;
        (fetched.unwrap(), folder)
    };
    let (report, folder) = load(100).await;
    assert!(report.failed.is_empty(), "{:?}", report.failed);
    assert_eq!(std::fs::read(folder.path().join("0.parquet")).unwrap(), bytes(20_000_000));
    let (report, _folder) = load(1).await;
    let error = &report.failed[0].1;
    assert_eq!(error.class(), ErrorClass::Denied, "{error}");
    assert_eq!(error.refusal().map(|refusal| refusal.code.as_str()), Some("ExpiredToken"));
}

#[tokio::test]
async fn keys_that_would_leave_the_folder_are_never_written() {
    let server = Server::with_faults(&[]).await;
    let emulator = server.emulator.as_ref().unwrap();
    let cases = [
        ("dots", "../x.parquet", ".."),
        ("dots-inside", "a/../../x.parquet", ".."),
        ("here", "./x.parquet", "."),
        ("absolute", "/etc/x.parquet", "//"),
        ("marker", "a/", "a/"),
        ("both", "ok.parquet/b", "ok.parquet"),
        ("part", "Receipt.json.part", "Receipt.json.part"),
        ("empty", "a//x.parquet", "//"),
        ("control", "a\u{7}x.parquet", "a"),
        ("windows", "a\\..\\x.parquet", "\\"),
        ("hidden", ".partial/x.parquet", ".partial"),
        ("receipt", "receipt.json", "receipt.json"),
    ];
    let options = server.options().with_reserved_names(vec!["receipt.json".to_owned()]);
    let bucket = Bucket::open("demo", &options).unwrap();
    for (name, tail, words) in cases {
        emulator.put("demo", &format!("keys/{name}/{tail}"), &bytes(100)).unwrap();
        emulator.put("demo", &format!("keys/{name}/ok.parquet"), &bytes(100)).unwrap();
        emulator.put("demo", &format!("keys/{name}/z.parquet"), &bytes(100)).unwrap();
        let listing = bucket.list(&format!("keys/{name}")).await.unwrap();
        let names: Vec<_> = listing.objects.iter().map(|object| object.name.as_str()).collect();
        assert_eq!(names.last(), Some(&"z.parquet"), "{name}: the others are there");
        assert_eq!(listing.refused.len(), 1, "{name}: {listing:?}");
        let error = Error::from(listing.refused[0].clone());
        assert_eq!(error.class(), ErrorClass::Data, "{name}: {error}");
        assert!(error.to_string().contains(words), "{name}: {error}");
    }
}

#[tokio::test]
async fn what_is_no_list_is_asked_for_again() {
    let names: Vec<String> = (0..7).map(|number| format!("{number}.json")).collect();
    let faults = [
        "tos-list-html=2",
        "tos-list-error=2",
        "tos-list-cut=2",
        "tos-list-no-token=2",
        "tos-list-circle=2",
        "tos-list-twice",
        "tos-503=2",
        "tos-reset=2",
    ];
    for fault in faults {
        let server = Server::with_faults(&[fault, "tos-page=2"]).await;
        for name in &names {
            server.put(name, b"{}").await;
        }
        let listing = server.bucket().list(&server.prefix).await.unwrap();
        let listed: Vec<_> = listing.objects.iter().map(|object| object.name.clone()).collect();
        assert_eq!(listed, names, "{fault}");
    }
}

#[tokio::test]
async fn what_never_is_a_list_is_a_passing_fault_that_says_what_came() {
    for (fault, words) in [
        ("tos-list-html", "502 Bad Gateway"),
        ("tos-list-error", "InternalError"),
        ("tos-list-cut", "it is no list"),
        ("tos-list-no-token", "not how to get them"),
        ("tos-list-circle", "lead in a circle"),
    ] {
        let server = Server::with_faults(&[fault, "tos-page=1"]).await;
        server.put("0.json", b"{}").await;
        server.put("1.json", b"{}").await;
        server.put("2.json", b"{}").await;
        let error = server.bucket().list(&server.prefix).await.unwrap_err();
        assert_eq!(error.class(), ErrorClass::Passing, "{fault}: {error}");
        assert!(chain(&error).contains(words), "{fault}: {}", chain(&error));
    }
}

#[tokio::test]
async fn what_is_listed_without_bytes_is_looked_at() {
    for faults in [&["tos-list-blank=1"][..], &["tos-list-blank=1", "tos-head-refused=405"]] {
        let server = Server::with_faults(faults).await;
        server.put("0.json", b"{}\n").await;
        server.put("_SUCCESS", b"").await;
        server.put("marker/", b"").await;
        let listing = server.bucket().list(&server.prefix).await.unwrap();
        let listed: Vec<_> =
            listing.objects.iter().map(|object| (object.name.as_str(), object.size)).collect();
        assert_eq!(listed, [("0.json", 3)], "{faults:?}");
        assert_eq!(listing.skipped, 2);
    }
}

#[tokio::test]
async fn a_redirect_is_not_followed_and_says_where_to() {
    let server = Server::with_faults(&["tos-redirect"]).await;
    let error = server.bucket().list(&server.prefix).await.unwrap_err();
    assert_eq!(error.class(), ErrorClass::Usage, "{error}");
    let text = chain(&error);
    assert!(text.contains("demo.tos-s3-cn-shanghai.volces.com"), "{text}");
    assert!(text.contains("region cn-shanghai"), "{text}");
}

#[tokio::test]
async fn objects_land_where_only_head_is_refused() {
    for status in ["403", "405", "501"] {
        let fault = format!("tos-head-refused={status}");
        let server = Server::with_faults(&[&fault]).await;
        server.put("0.parquet", &bytes(5_000_000)).await;
        let folder = tempfile::tempdir().unwrap();
        let report = server.load(folder.path()).await;
        assert!(report.failed.is_empty(), "{status}: {:?}", report.failed);
        assert!(!report.landed[0].is_compared, "{status}: there was nothing to compare with");
        let listing = server.list(&server.bucket()).await;
        let now = server.bucket().look(&listing.objects[0]).await.unwrap();
        assert_eq!(now, listing.objects[0], "{status}");
    }
}

#[tokio::test]
async fn a_hundred_thousand_objects_are_listed_in_order() {
    let server = Server::with_faults(&[]).await;
    let emulator = server.emulator.as_ref().unwrap();
    let names = (0..100_000).map(|number| format!("many/{number}.json"));
    emulator.put_copies("demo", names, b"{}").unwrap();
    let listing = server.bucket().list("many").await.unwrap();
    assert_eq!(listing.objects.len(), 100_000);
    assert_eq!(listing.objects[99_999].name, "99999.json");
    assert_eq!(listing.objects[9_999].name, "9999.json");
}
