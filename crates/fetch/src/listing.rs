//! The objects of an export.

use std::path::{Component, Path};

use futures::TryStreamExt;
use object_store::path::Path as Key;
use object_store::{GetOptions, GetRange, ObjectMeta, ObjectStoreExt};

use crate::bucket::Bucket;
use crate::error::{Error, ErrorClass};

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
        let mut found = self.renewing(|| self.objects_below(&key)).await?;
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

    async fn objects_below(&self, prefix: &Key) -> Result<Vec<ObjectMeta>, Error> {
        let listed = self.store.list(Some(prefix)).try_collect().await;
        listed.map_err(|error| self.error("listing", prefix.as_ref(), &error))
    }

    /// Asks for `key` itself. A list answer that is empty, or not a list at all, looks like an
    /// empty bucket to `object_store`; the answer to a GET cannot.
    async fn probe(&self, key: &Key) -> Result<Option<ObjectMeta>, Error> {
        let options = GetOptions { range: Some(GetRange::Bounded(0..1)), ..GetOptions::default() };
        let get = || self.get("reading", key.as_ref(), options.clone());
        match self.renewing(get).await {
            Ok(result) => Ok(Some(result.meta)),
            // An empty object has no first byte.
            Err(error)
                if error
                    .refusal()
                    .is_some_and(|why| why.code == "NoSuchKey" || why.status == 416) =>
            {
                Ok(None)
            }
            Err(error) => Err(error),
        }
    }

    /// Deletes an object, if it still is the version that is given; `false` if it is another one by now, or
    /// gone.
    pub async fn delete(&self, object: &RemoteObject) -> Result<bool, Error> {
        let key = parse(&object.key)?;
        match self.look(object).await {
            Ok(now) if now.etag == object.etag && now.size == object.size => {}
            Ok(_) => return Ok(false),
            Err(error) if error.class() == ErrorClass::NotFound => return Ok(false),
            Err(error) => return Err(error),
        }
        let delete = || async {
            let deleted = self.store.delete(&key).await;
            deleted.map_err(|error| self.error("deleting", &object.key, &error))
        };
        self.renewing(delete).await.map(|()| true)
    }

    /// The object as it is now, which may be another version than the one that was listed.
    pub async fn look(&self, object: &RemoteObject) -> Result<RemoteObject, Error> {
        let head = GetOptions { head: true, ..GetOptions::default() };
        let get = || self.get("looking at", &object.key, head.clone());
        let ObjectMeta { size, e_tag: etag, .. } = self.renewing(get).await?.meta;
        Ok(RemoteObject { size, etag, ..object.clone() })
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
        Some(".lock" | ".partial" | ".printed.json" | "receipt.json") => {
            Err(bad("the run folder keeps that name for itself"))
        }
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
