//! What an observer sees of a download.

use crate::error::Error;
use crate::object::{Landed, RemoteObject};

/// A step of a download. `index` is the object's place in the list given to [`crate::fetch`].
#[derive(Debug)]
#[non_exhaustive]
pub enum DownloadEvent<'a> {
    /// An object could not be downloaded.
    Failed {
        /// The object.
        object: &'a RemoteObject,
        /// Why.
        error: &'a Error,
    },
    /// An object stands complete under its final name.
    Finished {
        /// Its place in the list, and its checksum.
        landed: Landed,
        /// The object.
        object: &'a RemoteObject,
    },
    /// Bytes arrived.
    Received {
        /// How many.
        bytes: u64,
    },
    /// Parts of an object are on the disk from an earlier download, and are whole.
    Resumed {
        /// The object.
        object: &'a RemoteObject,
        /// How many bytes they have.
        bytes: u64,
    },
    /// The download of an object begins.
    Started {
        /// The object.
        object: &'a RemoteObject,
    },
}

/// Sees the events of a download, from several tasks at once.
pub trait Observer: Send + Sync {
    /// Called for each event; it must return soon.
    fn on_event(&self, event: &DownloadEvent<'_>);
}

/// An [`Observer`] that ignores every event.
#[derive(Debug, Clone, Copy, Default)]
pub struct NoObserver;

impl Observer for NoObserver {
    fn on_event(&self, _event: &DownloadEvent<'_>) {}
}
