//! Downloading objects that exist already into a folder.

use std::fs;
use std::path::Path;

use viking_api::TosPath;
use viking_fetch::RemoteObject;

use super::bucket::LazyBucket;
use super::download::{Target, blocking, load};
use super::meter::Meter;
use super::options::TransferOptions;
use crate::error::{Error, RequestError, Result};
use crate::event::Event;
use crate::input::{Listed, Place, count, find_remote, list};
use crate::record::{Finished, Request, RunFolder, now};
use crate::session::Session;

/// What a download would take.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FetchPlan {
    /// Objects.
    pub objects: usize,
    /// Their bytes.
    pub bytes: u64,
    /// Their rows.
    pub rows: u64,
    /// Bytes that are still to be written.
    pub needed_bytes: u64,
    /// Bytes that are free on the disk of the folder, where that is known.
    pub free_bytes: Option<u64>,
}

impl Session {
    /// Downloads the objects below `from` into the folder `dir`. Called again, it downloads what is missing.
    pub async fn fetch(
        &self,
        from: &TosPath,
        dir: &Path,
        options: &TransferOptions,
    ) -> Result<RunFolder> {
        let request = Request::Fetch { from: from.to_string() };
        let mut folder = RunFolder::create(dir, &from.to_string(), request, None)?;
        self.tell(&Event::Run { dir: dir.to_owned() });
        let bucket = LazyBucket::new(self, from.bucket(), options.retries);
        let listed = list(bucket.open().await?, from, self.listener()).await?;
        if listed.is_empty() {
            return Err(RequestError::NoObjects { from: from.clone() }.into());
        }
        let Listed { objects, refused } = listed;
        folder.forget_changed(&objects)?;
        folder.set_objects(objects);
        folder.receipt.listed = Some(now());
        folder.receipt.tries += 1;
        folder.save()?;
        let meter = Meter::new(true);
        let target = Target { session: self, bucket: &bucket, meter: &meter };
        let options = options.fetch_options(None);
        let loading = load(target, &mut folder, &options, None);
        let loaded = meter.show(self.listener(), loading).await;
        meter.note(&mut folder);
        folder.receipt.retries.tos += bucket.take_retries();
        if loaded.is_ok() && refused.is_empty() {
            folder.receipt.finished = Some(Finished::now(None, None));
        }
        let saved = folder.save();
        // What failed first is what to tell of: a full disk takes no receipt either.
        loaded.and(saved)?;
        let objects = folder.receipt.objects.as_ref().map_or(0, Vec::len);
        self.tell(&Event::Fetched { objects, dir: dir.to_owned() });
        if refused.is_empty() { Ok(folder) } else { Err(Error::RefusedKeys(refused)) }
    }

    /// What [`fetch`](Self::fetch) would take.
    pub async fn plan_fetch(
        &self,
        from: &TosPath,
        dir: &Path,
        options: &TransferOptions,
    ) -> Result<FetchPlan> {
        let places = find_remote(self, from, options.retries).await?;
        let objects: Vec<RemoteObject> = places.iter().filter_map(Place::remote).cloned().collect();
        let is_missing = |object: &&RemoteObject| {
            fs::metadata(dir.join(&object.name)).map_or(0, |file| file.len()) != object.size
        };
        let missing: Vec<RemoteObject> = objects.iter().filter(is_missing).cloned().collect();
        let listed = places.len();
        let rows = blocking(move || count(&places).map(|file| Ok(file?.rows)).sum()).await?;
        // The folder may have to be made yet.
        let there = dir.ancestors().find(|folder| folder.is_dir()).unwrap_or(Path::new("."));
        Ok(FetchPlan {
            objects: listed,
            bytes: objects.iter().map(|object| object.size).sum(),
            rows,
            needed_bytes: viking_fetch::needed_bytes(dir, &missing),
            free_bytes: viking_fetch::free_bytes(there)?,
        })
    }
}
