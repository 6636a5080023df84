//! Downloads the objects of an export from TOS, Volcengine's object storage, through its S3
//! interface.
//!
//! [`Bucket::open`] is the one place where an address is built: TOS takes buckets in the host
//! name only. [`Bucket::list`] lists an export in number-aware order and does not believe an
//! empty list. [`fetch`] downloads many objects at once; a file stands under its final name only
//! when it is complete, checked and on the disk. An [`Observer`] sees every step.
//!
//! The crate knows nothing of Arrow, and of Parquet only the four bytes at both ends. It never
//! prints and never reads the environment.
//!
//! ```no_run
//! use std::num::NonZeroUsize;
//! use viking_fetch::{Bucket, BucketOptions, Keys, NoObserver, fetch, tos_endpoint};
//!
//! # async fn run() -> Result<(), viking_fetch::Error> {
//! let keys = Keys::new("access key", "secret key".to_owned(), None);
//! let endpoint = tos_endpoint("cn-beijing");
//! let bucket = Bucket::open("bucket", &BucketOptions::new(&endpoint, "cn-beijing", keys))?;
//! let listing = bucket.list("exports/run-1").await?;
//! let jobs = NonZeroUsize::MIN;
//! let report = fetch(&bucket, &listing.objects, "folder".as_ref(), jobs, &NoObserver).await?;
//! assert!(report.failed.is_empty());
//! # Ok(())
//! # }
//! ```

#![forbid(unsafe_code)]

mod bucket;
mod connection;
mod download;
mod error;
mod event;
mod listing;
mod schedule;

pub use bucket::{Bucket, BucketOptions, Keys, tos_endpoint};
pub use error::{Cause, Error, ErrorClass, Refusal};
pub use event::{Event, NoObserver, Observer};
pub use listing::{Listing, RemoteObject};
pub use schedule::{Report, fetch};
