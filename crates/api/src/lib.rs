//! Client for the export tasks of VikingDB, Volcengine's vector database.
//!
//! [`Client`] creates an export task, reads and lists tasks, confirms and drops them, and follows
//! one to its end ([`Client::wait`]). Requests are signed with HMAC-SHA256 by the pure function
//! [`sign::sign`]; the clock is given by the caller. Reads are repeated after passing faults;
//! a task is never created twice: after an unclear answer the list of tasks is searched for the
//! export's own path ([`Client::submit_export`]).
//!
//! The crate speaks the V1 interface (`/api/task/*`). It knows nothing of object storage or
//! Parquet, never prints and never reads the environment.
//!
//! ```no_run
//! use viking_api::{Client, Credentials, Endpoint, ExportSpec, FileType, Poll, Rows, TosPath};
//!
//! # async fn export() -> Result<(), viking_api::Error> {
//! let credentials = Credentials::new("access key", "secret key".to_owned(), None);
//! let client = Client::new(Endpoint::of_region("cn-beijing")?, credentials, jiff::Timestamp::now)?;
//! let spec = ExportSpec {
//!     collection: "example".to_owned(),
//!     rows: Rows::All,
//!     to: TosPath::parse("tos://bucket/exports/run-1")?,
//!     file_type: FileType::Parquet,
//! };
//! let task = client.submit_export(&spec).await?;
//! client.wait(&task, Poll::default(), &mut |task| tracing::info!(state = task.state.name())).await?;
//! # Ok(())
//! # }
//! ```

#![forbid(unsafe_code)]

mod answer;
mod client;
mod credentials;
mod endpoint;
mod error;
mod export;
mod filter;
pub mod sign;
mod task;
mod wait;

pub use client::Client;
pub use credentials::Credentials;
pub use endpoint::Endpoint;
pub use error::{Error, ErrorClass, Refusal};
pub use export::{ExportSpec, FileType, Rows, TosPath};
pub use filter::{Filter, FilterError};
pub use task::{Collection, Task, TaskCounts, TaskId, TaskState};
pub use wait::Poll;
