//! Listing an export.

use viking_api::TosPath;
use viking_fetch::{Bucket, Error, RefusedKey};

use crate::error::Result;
use crate::event::{Event, Listener, Warning};
use crate::record::ObjectRecord;

/// What was listed.
#[derive(Debug)]
pub struct Listed {
    /// Objects, as a receipt begins with them.
    pub objects: Vec<ObjectRecord>,
    /// Objects whose keys cannot be files.
    pub refused: Vec<RefusedKey>,
}

impl Listed {
    /// Whether there is nothing at all.
    pub fn is_empty(&self) -> bool {
        self.objects.is_empty() && self.refused.is_empty()
    }
}

/// Lists the objects below `from`.
pub(crate) async fn list(
    bucket: &Bucket,
    from: &TosPath,
    listener: &dyn Listener,
) -> Result<Listed> {
    tell_listing(from, listener);
    let listing = bucket.list(from.prefix()).await?;
    listener.on_event(&Event::Listed {
        objects: listing.objects.len(),
        bytes: listing.objects.iter().map(|object| object.size).sum(),
        skipped: listing.skipped,
    });
    for key in &listing.refused {
        let problem = Error::from(key.clone()).to_string();
        listener.on_event(&Event::Warning(Warning::RefusedKey { problem }));
    }
    let objects = listing.objects.into_iter().map(ObjectRecord::from).collect();
    Ok(Listed { objects, refused: listing.refused })
}

/// Tells what the wait is for.
pub(crate) fn tell_listing(from: &TosPath, listener: &dyn Listener) {
    listener.on_event(&Event::List { from: from.to_string() });
}
