//! How a run or a download is carried through. None of it is part of the receipt.

use std::num::NonZeroU64;
use std::time::Duration;

use viking_fetch::{FetchOptions, Jobs, Lead, Verify};

/// How objects are downloaded.
#[derive(Debug, Clone)]
pub struct TransferOptions {
    /// Bytes a second of all parts together; no limit if `None`.
    pub bytes_per_second: Option<NonZeroU64>,
    /// Parts that are on their way at once.
    pub jobs: Jobs,
    /// Bytes of a part.
    pub part_bytes: NonZeroU64,
    /// What is compared before a file counts as the object.
    pub verify: Verify,
    /// How often a request to TOS is repeated at most; without it the time decides.
    pub retries: Option<u8>,
}

impl Default for TransferOptions {
    /// That of [`FetchOptions`].
    fn default() -> Self {
        let FetchOptions { bytes_per_second, jobs, part_bytes, verify, .. } =
            FetchOptions::default();
        Self { bytes_per_second, jobs, part_bytes, verify, retries: None }
    }
}

impl TransferOptions {
    pub(crate) fn fetch_options(&self, lead: Option<Lead>) -> FetchOptions {
        FetchOptions {
            bytes_per_second: self.bytes_per_second,
            jobs: self.jobs,
            lead,
            part_bytes: self.part_bytes,
            verify: self.verify,
        }
    }
}

/// How long a task is followed, and when it counts as stalled.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Patience {
    /// Give up after this long; never if `None`.
    pub timeout: Option<Duration>,
    /// Warn when the task has not moved for this long.
    pub stall: Duration,
}

impl Default for Patience {
    /// For ever, with a warning after ten minutes.
    fn default() -> Self {
        Self { timeout: None, stall: Duration::from_mins(10) }
    }
}

/// How a run is carried through.
#[derive(Debug, Clone)]
pub struct RunOptions {
    /// Remove the files once their rows are printed and proven.
    pub discard_files: bool,
    /// Delete the objects from TOS once their rows are printed and proven.
    pub delete_objects: bool,
    /// Create a new task if the run's own failed, was dropped, or was never found.
    pub new_task: bool,
    /// How long the task is followed.
    pub patience: Patience,
    /// How far objects are downloaded ahead of the rows that are printed.
    pub ahead_bytes: NonZeroU64,
    /// How objects are downloaded.
    pub transfer: TransferOptions,
}

impl Default for RunOptions {
    /// Everything is kept, and 1 GiB is downloaded ahead.
    fn default() -> Self {
        const AHEAD_BYTES: NonZeroU64 = NonZeroU64::new(1 << 30).unwrap();
        Self {
            discard_files: false,
            delete_objects: false,
            new_task: false,
            patience: Patience::default(),
            ahead_bytes: AHEAD_BYTES,
            transfer: TransferOptions::default(),
        }
    }
}
