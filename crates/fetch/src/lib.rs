//! Downloads the objects of an export from TOS, Volcengine's object storage, through its S3
//! interface.
//!
//! [`Bucket::open`] is the one place where an address is built: TOS takes buckets in the host
//! name only. [`Bucket::list`] lists an export in number-aware order and does not believe an
//! empty list. [`fetch`] downloads parts of many objects at once and, after any stop, goes on with the
//! parts that are missing; a file stands under its final name only when it is complete, checked and on
//! the disk. An [`Observer`] sees every step. [`ObjectReader`] reads ranges of objects that do not land.
//!
//! The crate knows nothing of Arrow, and of Parquet only the four bytes at both ends. It never
//! prints and never reads the environment.
//!
//! ```
//! use viking_fetch::{Bucket, BucketOptions, Credentials, FetchOptions, NoObserver, fetch};
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let collections = viking_emulator::Collections::folder("none");
//! # let emulator = viking_emulator::Emulator::start(viking_emulator::Options::new(collections)).await?;
//! # emulator.put("bucket", "exports/run-1/0.json", b"{}\n")?;
//! # let (endpoint, access_key) = (&emulator.ready().tos, &emulator.ready().access_key);
//! # let secret_key = emulator.ready().secret_key.clone();
//! # let folder = tempfile::tempdir()?;
//! let credentials = Credentials::new(access_key, secret_key, None);
//! // The endpoint of a region is `tos_endpoint("cn-beijing")`.
//! let bucket = Bucket::open("bucket", &BucketOptions::new(endpoint, "cn-beijing", credentials))?;
//! let listing = bucket.list("exports/run-1").await?;
//! let options = FetchOptions::default();
//! let report = fetch(&bucket, &listing.objects, folder.path(), &options, &NoObserver).await?;
//! assert!(report.failed.is_empty());
//! assert!(folder.path().join("0.json").exists());
//! # Ok(())
//! # }
//! ```

#![forbid(unsafe_code)]

mod blocks;
mod body;
mod bucket;
mod connection;
mod credentials;
mod disk;
mod download;
mod durable;
mod error;
mod event;
#[cfg(any(test, fuzzing))]
#[doc(hidden)]
pub mod fuzzing;
mod journal;
mod limiter;
mod listing;
mod object;
mod pace;
mod proof;
mod ranges;
mod retry;
mod schedule;

pub use bucket::{Bucket, BucketOptions, byteplus_tos_endpoint, tos_endpoint};
pub use disk::{free_bytes, needed_bytes, remove_partial};
pub use durable::{create_folder_durably, rename_durably, replace_durably};
pub use error::{Cause, Error, ErrorClass, Refusal};
pub use event::{DownloadEvent, NoObserver, Observer};
pub use limiter::Jobs;
pub use listing::{Listing, RefusedKey};
pub use object::{Landed, RemoteObject};
pub use pace::Lead;
pub use proof::{Proof, Verify, prove};
pub use ranges::{ObjectReader, ReadAhead, Traffic};
pub use retry::Retry;
pub use schedule::{FetchOptions, Report, fetch};
pub use viking_credentials::{CredentialSource, Credentials, Unavailable};
