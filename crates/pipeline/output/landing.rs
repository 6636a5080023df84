//! Files of a folder in order, each as soon as it has landed.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::mpsc::Receiver;

use viking_fetch::Lead;
use viking_reader::Input;

use super::versions::{Version, Versions};
use crate::error::{Error, Result};

/// A file that has landed: its place in the receipt, and what it is.
pub(crate) type LandedFile = (usize, Version);

/// Files of a folder in order, each as soon as it has landed.
pub(crate) struct Landing {
    folder: PathBuf,
    names: Vec<String>,
    landed: Receiver<LandedFile>,
    waiting: BTreeMap<usize, Version>,
    next: usize,
    lead: Lead,
    versions: Versions,
    /// The file that is printed.
    current: Option<Version>,
}

impl Landing {
    /// `landed` brings files of `names` as they land, in any order; when it is closed, nothing more will.
    /// `lead` and `versions` are told what becomes of them.
    pub(crate) fn new(
        folder: PathBuf,
        names: Vec<String>,
        landed: Receiver<LandedFile>,
        lead: Lead,
        versions: Versions,
    ) -> Self {
        let waiting = BTreeMap::new();
        Self { folder, names, landed, waiting, next: 0, lead, versions, current: None }
    }

    fn open_next(&mut self, version: Version) -> Result<Input> {
        self.versions.begin(version.clone())?;
        let path = self.folder.join(&self.names[self.next]);
        self.next += 1;
        self.current = Some(version);
        Ok(Input::open(&path)?)
    }
}

impl Iterator for Landing {
    type Item = Result<Input>;

    fn next(&mut self) -> Option<Self::Item> {
        // The file before is printed.
        if let Some(before) = self.current.take() {
            self.lead.set_used(before.key());
        }
        if self.next == self.names.len() {
            return self.versions.end().err().map(Err);
        }
        let version = loop {
            if let Some(version) = self.waiting.remove(&self.next) {
                break version;
            }
            match self.landed.recv() {
                Ok((place, version)) => drop(self.waiting.insert(place, version)),
                // The download says why; here it matters that this is no end of the rows.
                Err(_) => {
                    return Some(Err(Error::DownloadEnded));
                }
            }
        };
        Some(self.open_next(version))
    }
}
