//! The bucket of a run, opened when it is needed: what is on the disk already needs neither credentials nor an
//! address.

use tokio::sync::OnceCell;
use viking_fetch::Bucket;

use crate::error::Result;
use crate::record::RESERVED_NAMES;
use crate::session::Session;

/// One bucket, opened at its first use.
#[derive(Debug)]
pub(super) struct LazyBucket {
    session: Session,
    name: String,
    retries: Option<u8>,
    reserved: &'static [&'static str],
    opened: OnceCell<Bucket>,
}

impl LazyBucket {
    pub(super) fn new(session: &Session, name: &str, retries: Option<u8>) -> Self {
        let (session, name) = (session.clone(), name.to_owned());
        Self { session, name, retries, reserved: &RESERVED_NAMES, opened: OnceCell::new() }
    }

    /// The objects become files beside those of the `reserved` names.
    pub(super) fn reserving(self, reserved: &'static [&'static str]) -> Self {
        Self { reserved, ..self }
    }

    pub(super) async fn open(&self) -> Result<&Bucket> {
        let open = || self.session.bucket_for(&self.name, self.retries, self.reserved);
        self.opened.get_or_try_init(open).await
    }

    /// Requests that were repeated since this was asked for the last time.
    pub(super) fn take_retries(&self) -> u64 {
        self.opened.get().map_or(0, Bucket::take_retries)
    }
}
