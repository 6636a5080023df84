//! Which versions of which objects an output has rows of. Rows of two versions never meet in one output.

use std::sync::Arc;

use parking_lot::{Mutex, MutexGuard};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::error::{Error, Result};
use crate::record::ObjectRecord;

/// A version of an object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Version {
    key: String,
    etag: Option<String>,
    size: u64,
    /// The CRC-64 of its file. Without an `ETag` nothing else tells versions of one length apart.
    crc64: Option<String>,
}

impl Version {
    pub(crate) fn of(object: &ObjectRecord) -> Self {
        let ObjectRecord { key, etag, size, crc64, .. } = object.clone();
        Self { key, etag, size, crc64 }
    }

    pub(crate) fn key(&self) -> &str {
        &self.key
    }
}

/// Versions in their order, told from all others by a hash.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Chain {
    objects: usize,
    hash: String,
}

impl Chain {
    pub(crate) fn is_empty(&self) -> bool {
        self.objects == 0
    }

    fn add(&mut self, version: &Version) {
        let Version { key, etag, size, crc64 } = version;
        let mut hash = Sha256::new();
        for part in [Some(&self.hash), Some(key), etag.as_ref(), crc64.as_ref()] {
            // Lengths first: no two lists of parts are the same bytes.
            hash.update([u8::from(part.is_some())]);
            hash.update(part.map_or(0, String::len).to_le_bytes());
            hash.update(part.map_or("", String::as_str));
        }
        hash.update(size.to_le_bytes());
        self.hash = hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect();
        self.objects += 1;
    }
}

#[derive(Debug, Default)]
struct Printed {
    versions: Vec<Version>,
    chain: Chain,
    /// What an earlier attempt left in the output.
    before: Chain,
}

/// The versions of an output, kept up to date by who opens files and noted by who writes rows.
#[derive(Debug, Clone, Default)]
pub(crate) struct Versions(Arc<Mutex<Printed>>);

impl Versions {
    /// Of an output that has rows of `before` already.
    pub(crate) fn behind(before: Chain) -> Self {
        Self(Arc::new(Mutex::new(Printed { before, ..Printed::default() })))
    }

    /// The rows of this version come next, or are in the output already.
    pub(crate) fn begin(&self, version: Version) -> Result<()> {
        let mut printed = self.lock();
        let mut chain = printed.chain.clone();
        chain.add(&version);
        if chain.objects == printed.before.objects && chain != printed.before {
            // The rows that are there stay those of `before`, whatever is noted of them now.
            return Err(Error::Stale);
        }
        printed.chain = chain;
        printed.versions.push(version);
        Ok(())
    }

    /// No more come.
    pub(crate) fn end(&self) -> Result<()> {
        let printed = self.lock();
        if printed.chain.objects < printed.before.objects { Err(Error::Stale) } else { Ok(()) }
    }

    /// What the output has rows of. Until as much was begun as an earlier attempt had, that is its list.
    pub(crate) fn chain(&self) -> Chain {
        let printed = self.lock();
        let is_behind = printed.chain.objects >= printed.before.objects;
        if is_behind { printed.chain.clone() } else { printed.before.clone() }
    }

    /// Those that were begun.
    pub(crate) fn begun(&self) -> Vec<Version> {
        self.lock().versions.clone()
    }

    fn lock(&self) -> MutexGuard<'_, Printed> {
        self.0.lock()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn version(key: &str, etag: Option<&str>, size: u64, crc64: &str) -> Version {
        let (key, etag) = (key.to_owned(), etag.map(str::to_owned));
        Version { key, etag, size, crc64: Some(crc64.to_owned()) }
    }

    #[test]
    fn any_other_version_is_noticed_before_a_row_behind_it_is_printed() {
        let all = [version("a", Some("1"), 7, "x"), version("b", None, 8, "y")];
        let first = Versions::default();
        for version in all.clone() {
            first.begin(version).unwrap();
        }
        let chain = first.chain();
        let again = |versions: &[Version]| {
            let output = Versions::behind(chain.clone());
            let begun = versions.iter().try_for_each(|version| output.begin(version.clone()));
            let ended = begun.and_then(|()| output.end());
            assert!(ended.is_ok() || output.chain() == chain, "noted as what it is not");
            ended
        };
        assert!(again(&all).is_ok());
        let more = [&all[..], &[version("c", None, 1, "z")]].concat();
        assert!(again(&more).is_ok(), "what comes behind is new");
        let others = [
            version("a", Some("2"), 7, "x"),
            version("a", Some("1"), 6, "x"),
            version("a", Some("1"), 7, "w"),
            version("A", Some("1"), 7, "x"),
            version("a", None, 7, "x"),
        ];
        for other in others {
            assert!(matches!(again(&[other, all[1].clone()]), Err(Error::Stale)));
        }
        let swapped = again(&[all[1].clone(), all[0].clone()]);
        assert!(matches!(swapped, Err(Error::Stale)), "another order");
        assert!(matches!(again(&all[..1]), Err(Error::Stale)), "one is gone");
    }

    #[test]
    fn what_is_noted_on_the_way_is_never_less_than_what_is_in_the_output() {
        let first = Versions::default();
        first.begin(version("a", Some("1"), 7, "x")).unwrap();
        first.begin(version("b", Some("1"), 7, "x")).unwrap();
        let again = Versions::behind(first.chain());
        assert_eq!(again.chain(), first.chain());
        again.begin(version("a", Some("1"), 7, "x")).unwrap();
        assert_eq!(again.chain(), first.chain(), "a stop here loses nothing");
    }
}
