//! How a run or a download is carried through. None of it is part of the receipt.

use std::num::NonZeroU64;
use std::time::Duration;

use viking_fetch::{FetchOptions, Jobs, Lead, Verify};

/// How objects are downloaded.
#[derive(Debug, Clone)]
#[non_exhaustive]
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

impl TransferOptions {
    /// Sets [`bytes_per_second`](Self::bytes_per_second).
    #[must_use]
    pub fn with_bytes_per_second(self, bytes_per_second: impl Into<Option<NonZeroU64>>) -> Self {
        Self { bytes_per_second: bytes_per_second.into(), ..self }
    }

    /// Sets [`jobs`](Self::jobs).
    #[must_use]
    pub fn with_jobs(self, jobs: Jobs) -> Self {
        Self { jobs, ..self }
    }

    /// Sets [`part_bytes`](Self::part_bytes).
    #[must_use]
    pub fn with_part_bytes(self, part_bytes: NonZeroU64) -> Self {
        Self { part_bytes, ..self }
    }

    /// Sets [`verify`](Self::verify).
    #[must_use]
    pub fn with_verify(self, verify: Verify) -> Self {
        Self { verify, ..self }
    }

    /// Sets [`retries`](Self::retries).
    #[must_use]
    pub fn with_retries(self, retries: impl Into<Option<u8>>) -> Self {
        Self { retries: retries.into(), ..self }
    }
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
        FetchOptions::default()
            .with_bytes_per_second(self.bytes_per_second)
            .with_jobs(self.jobs)
            .with_lead(lead)
            .with_part_bytes(self.part_bytes)
            .with_verify(self.verify)
    }
}

/// How long a task is followed, and when it counts as stalled.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Patience {
    /// Give up after this long; never if `None`.
    pub timeout: Option<Duration>,
    /// Warn when the task has not moved for this long.
    pub stall: Duration,
}

impl Patience {
    /// Sets [`timeout`](Self::timeout).
    #[must_use]
    pub fn with_timeout(self, timeout: impl Into<Option<Duration>>) -> Self {
        Self { timeout: timeout.into(), ..self }
    }

    /// Sets [`stall`](Self::stall).
    #[must_use]
    pub fn with_stall(self, stall: Duration) -> Self {
        Self { stall, ..self }
    }
}

impl Default for Patience {
    /// For ever, with a warning after ten minutes.
    fn default() -> Self {
        Self { timeout: None, stall: Duration::from_mins(10) }
    }
}

/// How a run is carried through.
#[derive(Debug, Clone)]
#[non_exhaustive]
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

impl RunOptions {
    /// Sets [`discard_files`](Self::discard_files).
    #[must_use]
    pub fn with_discard_files(self, discard_files: bool) -> Self {
        Self { discard_files, ..self }
    }

    /// Sets [`delete_objects`](Self::delete_objects).
    #[must_use]
    pub fn with_delete_objects(self, delete_objects: bool) -> Self {
        Self { delete_objects, ..self }
    }

    /// Sets [`new_task`](Self::new_task).
    #[must_use]
    pub fn with_new_task(self, new_task: bool) -> Self {
        Self { new_task, ..self }
    }

    /// Sets [`patience`](Self::patience).
    #[must_use]
    pub fn with_patience(self, patience: Patience) -> Self {
        Self { patience, ..self }
    }

    /// Sets [`ahead_bytes`](Self::ahead_bytes).
    #[must_use]
    pub fn with_ahead_bytes(self, ahead_bytes: NonZeroU64) -> Self {
        Self { ahead_bytes, ..self }
    }

    /// Sets [`transfer`](Self::transfer).
    #[must_use]
    pub fn with_transfer(self, transfer: TransferOptions) -> Self {
        Self { transfer, ..self }
    }
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
