//! Exports VikingDB collections: submits the export task on Volcengine, follows it, downloads the objects from
//! TOS, prints their rows in order and proves that none is missing. It is the library under the program
//! `viking-export`.
//!
//! Everything begins with a [`Session`]: the [`Service`](config::Service) that is asked, a
//! [`Listener`] that sees every step as an [`Event`], and a [`Stop`] that ends it politely.
//!
//! - [`Session::run`] and [`Session::resume`] carry a whole run through, into a [`RowOutput`];
//! - [`Session::submit`] and [`Session::follow`] do it for the task alone, [`Session::fetch`] for the objects;
//! - [`Session::print`] prints the rows of files, here or in TOS, found by [`input::find`];
//! - with the feature `stream`, `Session::batches` gives Arrow batches as an async stream;
//! - [`Deletion`] deletes the objects of a finished run.
//!
//! The crate never prints, exits or asks; it names no command-line flags; it reads the environment for
//! credentials and proxies only ([`config`]). Methods that are `async` need a runtime of tokio with several
//! threads. The rows themselves are those of [`viking_reader`], whose
//! [contract](viking_reader::contract) holds here.

#![forbid(unsafe_code)]

pub mod config;
pub mod error;
pub mod event;
#[cfg(any(test, fuzzing))]
#[doc(hidden)]
pub mod fuzzing;
pub mod input;
mod output;
pub mod record;
mod run;
mod session;
mod stop;
mod version;

pub use error::{Error, ErrorClass};
pub use event::{Event, Listener, NoListener, Warning};
#[cfg(feature = "stream")]
pub use output::BatchStream;
pub use output::{PrintSummary, RowOutput};
pub use record::{Receipt, RowOptions, RunFolder};
pub use run::{Deletion, FetchPlan, Patience, RunOptions, TransferOptions, VerifiedFile};
pub use session::Session;
pub use stop::Stop;
pub use version::VERSION;
pub use {viking_api, viking_fetch, viking_reader};
