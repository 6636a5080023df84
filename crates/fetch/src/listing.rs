//! The objects of an export.

use std::path::{Component, Path};

use futures::TryStreamExt;
use object_store::path::Path as Key;
use object_store::{GetOptions, GetRange, ObjectMeta};

use crate::bucket::Bucket;
use crate::error::{Error, refusal_in};

/// An object to download.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RemoteObject {
    /// Its key in the bucket.
    pub key: String,
    /// The file it becomes, relative to the folder, with `/` between parts.
    pub name: String,
    /// Its length in bytes.
    pub size: u64,
    /// Its `ETag` as listed, if the service gave one.
    pub etag: Option<String>,
}

/// The objects below a prefix.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Listing {
    /// Objects with bytes, in number-aware order of their names: `2.parquet` before `10.parquet`.
    pub objects: Vec<RemoteObject>,
    /// Markers and empty objects, which hold no rows, left out of `objects`.
    pub skipped: usize,
}

impl Bucket {
    /// Lists the objects below `prefix`, at any depth. Where there is none, `prefix` itself is
    /// tried as a key, and the answer to that proves that the bucket was really asked.
    pub async fn list(&self, prefix: &str) -> Result<Listing, Error> {
        let key = parse(prefix)?;
        let failed =
            |error: object_store::Error| Error::store("listing", &self.name, prefix, &error);
        let mut found: Vec<ObjectMeta> =
            self.store.list(Some(&key)).try_collect().await.map_err(failed)?;
        if found.is_empty() {
            found.extend(self.probe(&key).await?);
        }
        let mut listing = Listing::default();
        for object in found {
            if object.size == 0 {
                listing.skipped += 1;
                continue;
            }
            let name = file_name(&key, &object.location)?;
            listing.objects.push(RemoteObject {
                key: object.location.to_string(),
                name,
                size: object.size,
                etag: object.e_tag,
            });
        }
        listing.objects.sort_by(|a, b| alphanumeric_sort::compare_str(&a.name, &b.name));
        Ok(listing)
    }

    /// Asks for `key` itself. A list answer that is empty, or not a list at all, looks like an
    /// empty bucket to `object_store`; the answer to a GET cannot.
    async fn probe(&self, key: &Key) -> Result<Option<ObjectMeta>, Error> {
        let options = GetOptions { range: Some(GetRange::Bounded(0..1)), ..GetOptions::default() };
        match self.store.get_opts(key, options).await {
            Ok(result) => Ok(Some(result.meta)),
            Err(error) => {
                let is_no_key =
                    refusal_in(&error).is_some_and(|refusal| refusal.code == "NoSuchKey");
                // An empty object has no first byte.
                let is_empty = refusal_in(&error).is_some_and(|refusal| refusal.status == 416);
                if is_no_key || is_empty {
                    return Ok(None);
                }
                Err(Error::store("reading", &self.name, key.as_ref(), &error))
            }
        }
    }
}

pub(crate) fn parse(key: &str) -> Result<Key, Error> {
    Key::parse(key).map_err(|error| Error::Key { key: key.to_owned(), problem: error.to_string() })
}

/// The relative file name of an object, which never leaves the folder.
fn file_name(prefix: &Key, key: &Key) -> Result<String, Error> {
    let bad = |problem: &str| Error::Key { key: key.to_string(), problem: problem.to_owned() };
    let below: Vec<String> = match key.prefix_match(prefix) {
        Some(parts) => parts.map(|part| part.as_ref().to_owned()).collect(),
        None => return Err(bad("it does not lie below the prefix that was listed")),
    };
    let name = match (below.is_empty(), key.filename()) {
        (false, _) => below.join("/"),
        (true, Some(name)) => name.to_owned(),
        (true, None) => return Err(bad("it has no name")),
    };
    let is_plain = Path::new(&name).components().all(|part| matches!(part, Component::Normal(_)));
    if !is_plain || name.contains('\\') || name.chars().any(char::is_control) {
        return Err(bad("it would leave the folder or hide in it"));
    }
    match name.split('/').next() {
        Some(".partial" | "receipt.json") => Err(bad("the run folder keeps that name for itself")),
        _ => Ok(name),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_stay_below_the_prefix_and_inside_the_folder() {
        let name = |key: &str| file_name(&parse("a/b").unwrap(), &parse(key).unwrap());
        assert_eq!(name("a/b/1.parquet").unwrap(), "1.parquet");
        assert_eq!(name("a/b/c/1.parquet").unwrap(), "c/1.parquet");
        assert_eq!(name("a/b").unwrap(), "b");
        for key in ["a/bc/1.parquet", "a/b/receipt.json", "a/b/.partial/x", "a/b/x\\y"] {
            assert!(matches!(name(key), Err(Error::Key { .. })), "{key}");
        }
        for key in ["a//b", "a/../b", "a/./b"] {
            assert!(matches!(parse(key), Err(Error::Key { .. })), "{key}");
        }
    }
}
