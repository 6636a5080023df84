//! The objects of an export. A listing is evidence and not truth: what does not look like one is asked for
//! again, each key counts once, and the pages come to an end.

use std::borrow::Cow;
use std::collections::{HashMap, HashSet};

use futures::{StreamExt, TryStreamExt, stream};
use http::Request;
use object_store::aws::AwsAuthorizer;
use object_store::client::{HttpError, HttpRequestBody};
use object_store::path::Path as Key;
use object_store::{GetOptions, GetRange, ObjectMeta, ObjectStoreExt};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};
use serde::Deserialize;

use crate::bucket::Bucket;
use crate::connection::{ErrorBody, limited_body};
use crate::error::{Cause, Error, ErrorClass};
use crate::object::{RemoteObject, file_name, folders_of_others, parse};

/// A page has a thousand keys at most, of a kilobyte each when every byte of one is encoded.
const PAGE_BYTES_MAX: usize = 16 << 20;
/// An export of a billion vectors has about 300,000.
const OBJECTS_MAX: usize = 2_000_000;
/// Pages one after the other that bring nothing new.
const IDLE_PAGES_MAX: usize = 10;

/// Objects that are looked at at once.
const LOOKS: usize = 16;

/// What stays as it is in a query that is signed.
const QUERY: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// The objects below a prefix.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Listing {
    /// Objects with bytes, in number-aware order of their names: `2.parquet` before `10.parquet`.
    pub objects: Vec<RemoteObject>,
    /// Objects with bytes whose keys cannot become files.
    pub refused: Vec<RefusedKey>,
    /// Markers and empty objects, which hold no rows, left out of `objects`.
    pub skipped: usize,
}

/// A key that cannot become a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RefusedKey {
    /// The key.
    pub key: String,
    /// What is wrong with it.
    pub problem: String,
}

impl From<RefusedKey> for Error {
    fn from(RefusedKey { key, problem }: RefusedKey) -> Self {
        Self::Key { key, problem }
    }
}

/// An answer to a list request, told by its root element.
#[derive(Debug, Deserialize)]
enum Answer {
    Error(ErrorBody),
    ListBucketResult(Page),
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Page {
    #[serde(default)]
    contents: Vec<Entry>,
    #[serde(default)]
    encoding_type: Option<String>,
    #[serde(default)]
    is_truncated: bool,
    #[serde(default)]
    next_continuation_token: Option<String>,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Entry {
    key: String,
    size: u64,
    #[serde(default, rename = "ETag")]
    etag: Option<String>,
}

/// What was listed so far.
#[derive(Debug, Default)]
struct Listed {
    entries: HashMap<String, Entry>,
    tokens: HashSet<String>,
    idle_pages: usize,
    pages: usize,
    token: Option<String>,
}

impl Listed {
    /// Takes a page; tells whether it was the last one, or what is wrong with it.
    fn take(&mut self, page: Page) -> Result<bool, String> {
        let is_encoded = page.encoding_type.as_deref() == Some("url");
        let before = self.entries.len();
        for mut entry in page.contents {
            if is_encoded {
                entry.key = decode(&entry.key)?;
            }
            // Of an object that was written anew between two pages the later version is there.
            self.entries.insert(entry.key.clone(), entry);
        }
        self.pages += 1;
        if !page.is_truncated {
            return Ok(true);
        }
        let token = page.next_continuation_token.filter(|token| !token.is_empty());
        let token = token.ok_or("a page says that there are more, but not how to get them")?;
        self.idle_pages = if self.entries.len() > before { 0 } else { self.idle_pages + 1 };
        if !self.tokens.insert(token.clone()) || self.idle_pages > IDLE_PAGES_MAX {
            return Err("its pages lead in a circle".to_owned());
        }
        self.token = Some(token);
        Ok(false)
    }
}

/// As S3 encodes keys: a form, where a plus is a space.
fn decode(key: &str) -> Result<String, String> {
    let key = key.replace('+', " ");
    let decoded = percent_decode_str(&key).decode_utf8();
    decoded.map(Cow::into_owned).map_err(|_| format!("the key {key:?} is not UTF-8"))
}

impl Bucket {
    /// Lists the objects below `prefix`, at any depth, each key once. Where there is none, `prefix` itself is
    /// tried as a key, and the answer to that proves that the bucket was really asked.
    pub async fn list(&self, prefix: &str) -> Result<Listing, Error> {
        let key = parse(prefix)?;
        let mut found = self.objects_below(prefix).await?;
        if found.is_empty() {
            found.extend(self.probe(&key).await?);
        }
        self.check_empty(&mut found).await?;
        Ok(listing(&key, found, &self.reserved_names))
    }

    async fn objects_below(&self, prefix: &str) -> Result<Vec<Entry>, Error> {
        let (mut listed, mut attempts, mut furthest) = (Listed::default(), self.attempts(), 0);
        loop {
            let page = self.renewing(|| self.page(prefix, listed.token.as_deref())).await;
            let page = match page {
                Ok(page) => page,
                Err(error) => {
                    attempts.again(error).await?;
                    continue;
                }
            };
            match listed.take(page) {
                Ok(true) => return Ok(listed.entries.into_values().collect()),
                Ok(false) if listed.entries.len() > OBJECTS_MAX => {
                    let problem = format!("there are more than {OBJECTS_MAX} objects below it");
                    return Err(Error::Key { key: prefix.to_owned(), problem });
                }
                Ok(false) if listed.pages > furthest => {
                    furthest = listed.pages;
                    attempts.succeeded();
                }
                Ok(false) => {}
                // Nothing of it can be believed.
                Err(problem) => {
                    listed = Listed::default();
                    attempts.again(self.unusable(prefix, problem)).await?;
                }
            }
        }
    }

    /// One page, behind the one that gave the token.
    async fn page(&self, prefix: &str, token: Option<&str>) -> Result<Page, Error> {
        let encoded = |text: &str| utf8_percent_encode(text, QUERY).to_string();
        let token = token.map(|token| format!("continuation-token={}&", encoded(token)));
        // Keys may have characters that XML cannot hold.
        let query = format!(
            "{}encoding-type=url&list-type=2&prefix={}",
            token.unwrap_or_default(),
            encoded(&format!("{prefix}/")),
        );
        let request = Request::get(format!("{}/?{query}", self.url));
        let mut request = request
            .body(HttpRequestBody::empty())
            .map_err(|error| self.unusable(prefix, error.to_string()))?;
        let credential = self.credentials.credential().await?;
        AwsAuthorizer::new(&credential, "s3", &self.region)
            .try_authorize(&mut request, None)
            .map_err(|error| self.error("listing", prefix, &error))?;
        let failed = |error: HttpError| self.error("listing", prefix, &error);
        let response = self.http.execute(request).await.map_err(failed)?;
        let (body, end) = limited_body(response, PAGE_BYTES_MAX).await;
        end.map_err(failed)?;
        let text = String::from_utf8(body)
            .map_err(|_| self.unusable(prefix, "a list that is not UTF-8".to_owned()))?;
        match quick_xml::de::from_str(text.trim_start_matches('\u{feff}')) {
            Ok(Answer::ListBucketResult(page)) => Ok(page),
            Ok(Answer::Error(ErrorBody { code, message, .. })) => {
                let what = format!("HTTP 200 with the error {code}: {message}");
                Err(self.unusable(prefix, what))
            }
            Err(error) => {
                tracing::debug!(%error, "an answer that is no list");
                Err(self.unusable(prefix, format!("it is no list: {}", beginning(&text))))
            }
        }
    }

    fn unusable(&self, prefix: &str, what: String) -> Error {
        Error::caused("listing", self.name(), prefix, Cause::Unusable(what))
    }

    /// Asks for `key` itself. The answer to a GET cannot be taken for that of an empty bucket.
    async fn probe(&self, key: &Key) -> Result<Option<Entry>, Error> {
        let options = GetOptions { range: Some(GetRange::Bounded(0..1)), ..GetOptions::default() };
        let get = || self.get("reading", key.as_ref(), options.clone());
        match self.retrying(get).await {
            Ok(result) => {
                let ObjectMeta { size, e_tag: etag, .. } = result.meta;
                Ok(Some(Entry { key: key.to_string(), size, etag }))
            }
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

    /// Looks at what is listed without bytes, but for markers of folders: it will not be downloaded, so nothing
    /// else would notice that it has some.
    async fn check_empty(&self, found: &mut [Entry]) -> Result<(), Error> {
        let is_doubted = |entry: &&mut Entry| {
            entry.size == 0 && !entry.key.ends_with('/') && parse(&entry.key).is_ok()
        };
        let looks = found.iter_mut().filter(is_doubted).map(async |entry| {
            let Entry { key, size, etag } = entry.clone();
            match self.look(&RemoteObject { name: key.clone(), key, size, etag }).await {
                Ok(now) => (entry.size, entry.etag) = (now.size, now.etag),
                Err(error) if error.class() == ErrorClass::NotFound => {}
                Err(error) => return Err(error),
            }
            Ok(())
        });
        stream::iter(looks).buffer_unordered(LOOKS).try_collect().await
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
        self.retrying(delete).await.map(|()| true)
    }

    /// The object as it is now, which may be another version than the one that was listed.
    pub async fn look(&self, object: &RemoteObject) -> Result<RemoteObject, Error> {
        let head = GetOptions { head: true, ..GetOptions::default() };
        let get = || self.get("looking at", &object.key, head.clone());
        let looked = match self.retrying(get).await {
            // What may not be asked for by HEAD may well be read.
            Err(error) if is_head_refused(&error) => {
                let first = Some(GetRange::Bounded(0..1));
                let first = GetOptions { range: first, ..GetOptions::default() };
                let get = || self.get("looking at", &object.key, first.clone());
                match self.retrying(get).await {
                    // An empty object has no first byte.
                    Err(error) if error.refusal().is_some_and(|why| why.status == 416) => {
                        return Ok(RemoteObject { size: 0, ..object.clone() });
                    }
                    looked => looked,
                }
            }
            looked => looked,
        };
        let ObjectMeta { size, e_tag: etag, .. } = looked?.meta;
        Ok(RemoteObject { size, etag, ..object.clone() })
    }
}

/// Whether it is the method of the request that is refused.
pub(crate) fn is_head_refused(error: &Error) -> bool {
    error.refusal().is_some_and(|refusal| matches!(refusal.status, 403 | 405 | 501))
}

/// Sorts out what was found below `prefix`.
fn listing(prefix: &Key, found: Vec<Entry>, reserved: &[String]) -> Listing {
    let mut listing = Listing::default();
    for Entry { key, size, etag } in found {
        match file_name(prefix, &key, reserved) {
            _ if size == 0 => listing.skipped += 1,
            Ok(name) => listing.objects.push(RemoteObject { key, name, size, etag }),
            Err(Error::Key { key, problem }) => listing.refused.push(RefusedKey { key, problem }),
            Err(error) => listing.refused.push(RefusedKey { key, problem: error.to_string() }),
        }
    }
    let names: Vec<&str> = listing.objects.iter().map(|object| object.name.as_str()).collect();
    let taken = folders_of_others(&names);
    for object in listing.objects.extract_if(.., |object| taken.contains(&object.name)) {
        let problem = "other objects need a folder of that name".to_owned();
        listing.refused.push(RefusedKey { key: object.key, problem });
    }
    listing.objects.sort_by(|a, b| alphanumeric_sort::compare_str(&a.name, &b.name));
    listing.refused.sort_by(|a, b| a.key.cmp(&b.key));
    listing
}

/// Whether the pages in `text`, parted by zero bytes, become names that stay in a folder, each once.
#[cfg(any(test, fuzzing))]
pub(crate) fn is_listed_safely(text: &[u8]) -> bool {
    let mut listed = Listed::default();
    for text in text.split(|&byte| byte == 0) {
        let Ok(text) = std::str::from_utf8(text) else { continue };
        if let Ok(Answer::ListBucketResult(page)) = quick_xml::de::from_str(text)
            && listed.take(page).is_err()
        {
            listed = Listed::default();
        }
    }
    let Ok(prefix) = parse("a") else { return false };
    let listing = listing(&prefix, listed.entries.into_values().collect(), &[]);
    let mut names = HashSet::new();
    listing.objects.iter().all(|object| {
        let mut parts = std::path::Path::new(&object.name).components();
        parts.all(|part| matches!(part, std::path::Component::Normal(_)))
            && object.size > 0
            && names.insert(object.name.clone())
    })
}

/// As much of a text as tells what it is.
fn beginning(text: &str) -> String {
    let start: String = text.trim_start().chars().take(60).collect();
    if start.is_empty() { "it is empty".to_owned() } else { format!("{start:?}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn page(keys: &[&str], token: Option<&str>) -> Page {
        let entry = |key: &&str| Entry { key: (*key).to_owned(), size: 1, etag: None };
        Page {
            contents: keys.iter().map(entry).collect(),
            encoding_type: None,
            is_truncated: token.is_some(),
            next_continuation_token: token.map(str::to_owned),
        }
    }

    #[test]
    fn only_a_whole_list_is_a_list() {
        let parse = |text: &str| quick_xml::de::from_str::<Answer>(text);
        let list = "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<ListBucketResult xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\">\
            <Name>demo</Name><IsTruncated>false</IsTruncated><CommonPrefixes><Prefix>x/</Prefix></CommonPrefixes>\
            <Contents><Key>a&amp;b</Key><Size>7</Size><ETag>&quot;e&quot;</ETag><Owner><ID>x</ID></Owner></Contents>\
            <MaxKeys>2</MaxKeys><Contents><Key>c</Key><Size>8</Size></Contents></ListBucketResult>";
        let Ok(Answer::ListBucketResult(page)) = parse(list) else { panic!("{:?}", parse(list)) };
        let keys: Vec<_> = page.contents.iter().map(|entry| entry.key.as_str()).collect();
        assert_eq!(keys, ["a&b", "c"]);
        assert_eq!(page.contents[0].etag.as_deref(), Some("\"e\""));
        let empty = "<ListBucketResult/>";
        assert!(matches!(parse(empty), Ok(Answer::ListBucketResult(_))));
        assert!(matches!(parse("<Error><Code>X</Code></Error>"), Ok(Answer::Error(_))));
        for cut in 1..list.len() {
            assert!(parse(&list[..cut]).is_err(), "{}", &list[..cut]);
        }
        for other in ["", " ", "<html><body/></html>", "<ListAllMyBucketsResult/>", "{}", "null"] {
            assert!(parse(other).is_err(), "{other}");
        }
    }

    #[test]
    fn pages_must_lead_on() {
        let mut listed = Listed::default();
        assert_eq!(listed.take(page(&["a", "b"], Some("1"))), Ok(false));
        assert_eq!(listed.take(page(&["b", "c"], Some("2"))), Ok(false));
        assert_eq!(listed.entries.len(), 3, "each key once");
        assert!(listed.take(page(&["d"], Some("1"))).is_err(), "the same token again");
        assert!(Listed::default().take(page(&["a"], Some(""))).is_err(), "no token");
        let mut idle = Listed::default();
        let pages = (0..100).map(|number| idle.take(page(&["a"], Some(&number.to_string()))));
        assert_eq!(pages.take_while(Result::is_ok).count(), IDLE_PAGES_MAX + 1);
    }

    #[test]
    fn keys_are_decoded_as_they_were_encoded() {
        let mut listed = Listed::default();
        let encoded = Page {
            encoding_type: Some("url".to_owned()),
            ..page(&["a%2Bb+c%0A%25/%F0%9F%98%80"], None)
        };
        assert_eq!(listed.take(encoded), Ok(true));
        assert!(listed.entries.contains_key("a+b c\n%/😀"));
        let mut plain = Listed::default();
        assert_eq!(plain.take(page(&["a%2Bb+c"], None)), Ok(true));
        assert!(plain.entries.contains_key("a%2Bb+c"), "nothing says that it is encoded");
    }
}
