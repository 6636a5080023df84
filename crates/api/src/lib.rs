//! Client for the export tasks of VikingDB, Volcengine's vector database.
//!
//! [`Client`] creates an export task, reads and lists tasks, confirms and drops them, and follows
//! one to its end ([`Client::wait`]). Requests are signed with HMAC-SHA256 by the pure function
//! [`sign::sign`]; the clock is given by the caller. Reads are repeated after passing faults;
//! a task is never created twice: after an unclear answer the list of tasks is searched for the
//! export's own path ([`Client::submit_export`]).
//!
//! Both generations of the interface are behind one client: [`Api::V1`] (`/api/task/*`) and [`Api::V2`]
//! (`Action=…VikingdbTask`). The crate knows nothing of object storage or
//! Parquet, never prints and never reads the environment.
//!
//! ```
//! use viking_api::{Client, Credentials, Endpoint, ExportSpec, FileType, Poll, Rows, TosPath};
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../../fixtures/collections");
//! # let collections = viking_emulator::Collections::folder(folder);
//! # let emulator = viking_emulator::Emulator::start(viking_emulator::Options::new(collections)).await?;
//! # let (url, access_key) = (&emulator.ready().vikingdb, &emulator.ready().access_key);
//! # let secret_key = emulator.ready().secret_key.clone();
//! let endpoint = Endpoint::new(url, "cn-beijing", false)?; // or Endpoint::of_region(Site::Volcengine, "cn-beijing", Api::V1)
//! let credentials = Credentials::new(access_key, secret_key, None);
//! let client = Client::new(endpoint, credentials, jiff::Timestamp::now)?;
//! let spec = ExportSpec {
//!     collection: "example".to_owned(),
//!     rows: Rows::All,
//!     to: TosPath::parse("tos://bucket/exports/run-1")?,
//!     file_type: FileType::Parquet,
//!     output_fields: Vec::new(),
//! };
//! let task = client.submit_export(&spec).await?;
//! let done = client.wait(&task, Poll::default(), &mut |task| println!("{}", task.state.name())).await?;
//! assert_eq!(done.tos_path.as_deref(), Some("bucket/exports/run-1"));
//! # Ok(())
//! # }
//! ```

#![forbid(unsafe_code)]

mod answer;
mod client;
mod endpoint;
mod error;
mod export;
mod filter;
#[cfg(any(test, fuzzing))]
#[doc(hidden)]
pub mod fuzzing;
mod interface;
mod rate;
mod retry;
pub mod sign;
mod task;
mod wait;

/// The crates whose types this one speaks, in the versions that it speaks.
pub use {jiff, reqwest, serde_json};

pub use client::Client;
pub use endpoint::{Endpoint, Site};
pub use error::{Error, ErrorClass, Refusal};
pub use export::{ExportSpec, FileType, Rows, TosPath};
pub use filter::{Filter, FilterError};
pub use interface::{Api, Owner};
pub use retry::Retry;
pub use task::{Collection, Description, Task, TaskCounts, TaskId, TaskState};
pub use viking_credentials::{CredentialSource, Credentials, Unavailable};
pub use wait::Poll;
