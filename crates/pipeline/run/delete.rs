//! Deletes the objects of a proven run or fetch from TOS, and nothing else.

use std::path::Path;

use viking_api::TosPath;
use viking_fetch::{RemoteObject, prove};

use super::bucket::LazyBucket;
use super::download::blocking;
use crate::error::{FolderError, Result};
use crate::event::{Event, Warning};
use crate::record::{ObjectRecord, Receipt, Request, RowOptions, RunFolder, now};
use crate::session::Session;

/// The objects of a finished folder, before they are deleted.
#[derive(Debug)]
pub struct Deletion {
    folder: RunFolder,
    from: TosPath,
    objects: Vec<RemoteObject>,
}

impl Deletion {
    /// Opens the folder, and refuses one that is not finished.
    pub fn of(dir: &Path) -> Result<Self> {
        let folder = RunFolder::open(dir)?;
        let from = folder.receipt.place()?;
        let objects = finished(&folder)?;
        Ok(Self { folder, from, objects })
    }

    /// Where the objects are.
    pub fn from(&self) -> &TosPath {
        &self.from
    }

    /// The objects.
    pub fn objects(&self) -> &[RemoteObject] {
        &self.objects
    }

    /// Compares the files that are here with their checksums once more, before there is nothing else; how many
    /// there are.
    pub async fn compare(&self, session: &Session) -> Result<usize> {
        let folder = &self.folder;
        let mut here = 0;
        session.tell(&Event::Compare { files: self.objects.len() });
        for object in folder.receipt.objects.iter().flatten() {
            let path = folder.path.join(&object.name);
            if path.exists() {
                let (remote, known) = (object.remote(), object.known_crc64());
                blocking(move || Ok(prove(&path, &remote, known)?)).await?;
                here += 1;
            }
        }
        // The rows of a run were printed. What a fetch loaded is nowhere else.
        let is_fetch = matches!(folder.receipt.request, Request::Fetch { .. });
        if is_fetch && !folder.has_all() {
            return Err(FolderError::FilesMissing { folder: folder.path.clone() }.into());
        }
        Ok(here)
    }

    /// Deletes exactly these objects, where the run put them.
    pub async fn delete(mut self, session: &Session) -> Result<()> {
        let service = match &self.folder.receipt.request {
            Request::Run { address, .. } => session.service().at(address),
            Request::Fetch { .. } => session.service().clone(),
        };
        let session = &session.with_service(service);
        let bucket = LazyBucket::new(session, self.from.bucket(), None);
        delete(session, &mut self.folder, &bucket, &self.from, &self.objects).await
    }
}

/// Deletes the objects of a folder whose rows were proven just now.
pub(super) async fn delete_proven(
    session: &Session,
    folder: &mut RunFolder,
    bucket: &LazyBucket,
) -> Result<()> {
    let (from, objects) = (folder.receipt.place()?, finished(folder)?);
    delete(session, folder, bucket, &from, &objects).await
}

async fn delete(
    session: &Session,
    folder: &mut RunFolder,
    bucket: &LazyBucket,
    from: &TosPath,
    objects: &[RemoteObject],
) -> Result<()> {
    let bucket = bucket.open().await?;
    session.tell(&Event::Clean { from: from.to_string(), objects: objects.len() });
    let mut left = 0;
    for object in objects {
        if !bucket.delete(object).await? {
            left += 1;
            session.warn(Warning::NotDeleted { key: object.key.clone() });
        }
    }
    folder.receipt.cleaned = Some(now());
    folder.save()?;
    let deleted = objects.len() - left;
    session.tell(&Event::Cleaned { from: from.to_string(), deleted, left });
    Ok(())
}

/// The objects of a folder, if all of them landed and all its rows are proven.
fn finished(folder: &RunFolder) -> Result<Vec<RemoteObject>> {
    let Receipt { objects, finished, rows, request, .. } = &folder.receipt;
    let has_landed = |object: &ObjectRecord| object.crc64.is_some();
    if let (Some(objects), Some(_)) = (objects, finished)
        && objects.iter().all(has_landed)
    {
        return Ok(objects.iter().map(ObjectRecord::remote).collect());
    }
    Err(FolderError::NotFinished {
        folder: folder.path.clone(),
        fetched_from: match request {
            Request::Fetch { from } => Some(from.clone()),
            Request::Run { .. } => None,
        },
        is_partial: rows.as_ref().is_some_and(RowOptions::is_partial),
    }
    .into())
}
