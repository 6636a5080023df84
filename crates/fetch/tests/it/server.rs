//! The server that tests download from.

use std::num::NonZeroU64;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use object_store::aws::AmazonS3Builder;
use object_store::{ObjectStoreExt, PutPayload};
use serde::Deserialize;
use viking_emulator::{Collections, Emulator, Options};
use viking_fetch::{
    Bucket, BucketOptions, Credentials, FetchOptions, Jobs, Listing, NoObserver, Report, fetch,
};

/// What a server says of itself.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct Ready {
    pub(crate) tos: String,
    region: String,
    pub(crate) access_key: String,
    secret_key: String,
}

/// A server and a place in its bucket `demo` that no other test uses.
pub(crate) struct Server {
    pub(crate) ready: Ready,
    pub(crate) prefix: String,
    /// Ours, or another one that runs already.
    pub(crate) emulator: Option<Emulator>,
}

impl Server {
    /// The server that the environment names, or a new emulator.
    pub(crate) async fn start() -> Self {
        #[expect(clippy::disallowed_methods, reason = "it chooses the server of the whole suite")]
        let other = std::env::var("VIKING_TEST_S3");
        match other {
            Ok(ready) => Self {
                ready: serde_json::from_str(&ready).unwrap(),
                prefix: unique_prefix(),
                emulator: None,
            },
            Err(_) => Self::with_faults(&[]).await,
        }
    }

    /// An emulator with faults.
    pub(crate) async fn with_faults(faults: &[&str]) -> Self {
        let mut options = Options::new(Collections::folder("nowhere"));
        options.faults = faults.iter().map(|fault| fault.parse().unwrap()).collect();
        let emulator = Emulator::start(options).await.unwrap();
        let ready = emulator.ready().clone();
        let ready = Ready {
            tos: ready.tos,
            region: ready.region,
            access_key: ready.access_key,
            secret_key: ready.secret_key,
        };
        Self { ready, prefix: unique_prefix(), emulator: Some(emulator) }
    }

    /// Puts an object below the prefix.
    pub(crate) async fn put(&self, name: &str, bytes: &[u8]) {
        self.put_key(&format!("{}/{name}", self.prefix), bytes).await;
    }

    pub(crate) async fn put_key(&self, key: &str, bytes: &[u8]) {
        if let Some(emulator) = &self.emulator {
            return emulator.put("demo", key, bytes).unwrap();
        }
        // Its own client needs to be told.
        drop(rustls::crypto::ring::default_provider().install_default());
        let store = AmazonS3Builder::new()
            .with_endpoint(self.ready.tos.replace("tos.localhost", "127.0.0.1"))
            .with_virtual_hosted_style_request(false)
            .with_allow_http(true)
            .with_bucket_name("demo")
            .with_region(&self.ready.region)
            .with_access_key_id(&self.ready.access_key)
            .with_secret_access_key(&self.ready.secret_key);
        let payload = PutPayload::from(bytes.to_vec());
        store.build().unwrap().put(&key.into(), payload).await.unwrap();
    }

    pub(crate) fn keys(&self) -> Credentials {
        Credentials::new(&self.ready.access_key, self.ready.secret_key.clone(), None)
    }

    pub(crate) fn options(&self) -> BucketOptions {
        let mut options = BucketOptions::new(&self.ready.tos, &self.ready.region, self.keys());
        options.read_timeout = Duration::from_secs(5);
        options.retry.times = Some(3);
        options
    }

    pub(crate) fn bucket(&self) -> Bucket {
        Bucket::open("demo", &self.options()).unwrap()
    }

    pub(crate) async fn list(&self, bucket: &Bucket) -> Listing {
        bucket.list(&self.prefix).await.unwrap()
    }

    /// Lists and downloads everything.
    pub(crate) async fn load(&self, folder: &Path) -> Report {
        let bucket = self.bucket();
        let listing = self.list(&bucket).await;
        fetch(&bucket, &listing.objects, folder, &options(), &NoObserver).await.unwrap()
    }
}

fn unique_prefix() -> String {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    format!("exports/{}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed))
}

/// Three small parts at once.
pub(crate) fn options() -> FetchOptions {
    FetchOptions::default()
        .with_jobs(Jobs::new(3).unwrap())
        .with_part_bytes(NonZeroU64::new(PART_BYTES).unwrap())
}

pub(crate) const PART_BYTES: u64 = 1_000_000;

/// Bytes that differ from place to place, looking like Parquet at both ends.
pub(crate) fn bytes(length: usize) -> Vec<u8> {
    let mut bytes: Vec<u8> =
        (0..length).map(|place| (place * 31 + place / 251).to_le_bytes()[0]).collect();
    bytes[..4].copy_from_slice(b"PAR1");
    bytes[length - 4..].copy_from_slice(b"PAR1");
    bytes
}

pub(crate) fn names(folder: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(folder).unwrap();
    let mut names: Vec<_> =
        entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}
