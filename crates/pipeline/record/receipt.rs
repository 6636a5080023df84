//! `receipt.json`: what was asked for, what became of each object, and the proof at the end.

use std::path::{Component, Path};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use viking_api::TosPath;
use viking_fetch::RemoteObject;

use super::options::RowOptions;
use crate::config::Address;
use crate::error::{FolderError, Result};
use crate::version::VERSION;

/// The version of the receipt. Changes only add to it.
pub(super) const RECEIPT_SCHEMA: u32 = 1;

/// What a folder was made for. Two equal requests may share a folder.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "verb")]
#[expect(clippy::large_enum_variant, reason = "there is one in a process")]
pub enum Request {
    /// Objects that exist already.
    Fetch {
        /// `tos://bucket/prefix`.
        from: String,
    },
    /// An export.
    Run {
        /// The collection.
        collection: String,
        /// The conditions; none exports every row.
        filter: Option<serde_json::Value>,
        /// Where runs go, without the run's own folder.
        to: String,
        /// What is written, `parquet` or `json`.
        file_type: String,
        /// The fields that are exported; all if there is none here.
        #[serde(default)]
        output_fields: Vec<String>,
        /// Where the services are.
        #[serde(flatten)]
        address: Address,
    },
}

/// One object and what became of it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ObjectRecord {
    /// Its key in the bucket.
    pub key: String,
    /// Its file, relative to the folder.
    pub name: String,
    /// Its length in bytes.
    pub size: u64,
    /// Its `ETag` as listed.
    pub etag: Option<String>,
    /// Its place was empty when its download began: a file that stands there is of our making.
    #[serde(default)]
    pub begun: bool,
    /// The CRC-64/XZ of its bytes, spelled as TOS does.
    #[serde(default)]
    pub crc64: Option<String>,
    /// TOS sent a checksum, and it was the same.
    #[serde(default)]
    pub crc64_compared: bool,
    /// The file was read again, and its MD5 is the `ETag`.
    #[serde(default)]
    pub md5_compared: bool,
    /// When its file was written, as the disk has it: a file with another time is compared again.
    #[serde(default)]
    pub landed: Option<String>,
    /// Rows by its footer, once they were counted.
    #[serde(default)]
    pub rows: Option<u64>,
    /// Rows decoded by a whole run; those that an earlier attempt wrote to the output file are among them.
    #[serde(default)]
    pub rows_decoded: Option<u64>,
    /// Lines that went to the output for them, where rows are lines.
    #[serde(default)]
    pub rows_written: Option<u64>,
}

impl ObjectRecord {
    /// The object as it is downloaded.
    pub fn remote(&self) -> RemoteObject {
        RemoteObject {
            key: self.key.clone(),
            name: self.name.clone(),
            size: self.size,
            etag: self.etag.clone(),
        }
    }

    /// Whether a file that stands in its place is of our making.
    pub fn is_ours(&self) -> bool {
        self.begun || self.crc64.is_some()
    }

    /// The CRC-64 that its file should have, if that is known.
    pub fn known_crc64(&self) -> Option<u64> {
        self.crc64.as_ref().and_then(|crc64| crc64.parse().ok())
    }
}

impl From<RemoteObject> for ObjectRecord {
    fn from(object: RemoteObject) -> Self {
        let RemoteObject { key, name, size, etag } = object;
        Self {
            key,
            name,
            size,
            etag,
            begun: false,
            crc64: None,
            crc64_compared: false,
            md5_compared: false,
            landed: None,
            rows: None,
            rows_decoded: None,
            rows_written: None,
        }
    }
}

/// What `receipt.json` holds.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Receipt {
    /// The version of this form.
    pub schema: u32,
    /// The program's version.
    pub version: String,
    /// The run's name, which is also its folder in TOS.
    pub run: String,
    /// What the folder was made for.
    pub request: Request,
    /// How rows are printed by `resume`.
    pub rows: Option<RowOptions>,
    /// When the folder was made.
    pub started: String,
    /// How many attempts there were: processes that worked on it.
    #[serde(default)]
    pub tries: u32,
    /// Requests that were repeated after passing faults, over all attempts that ended by themselves.
    #[serde(default)]
    pub retries: Retries,
    /// Parts of the download that were on their way at once in the end.
    #[serde(default)]
    pub jobs: Option<usize>,
    /// Set just before the task is submitted: from here on there may be one.
    pub submitted: Option<String>,
    /// The file in the folder that says what the service said of the collection while the task was followed.
    #[serde(default)]
    pub description: Option<String>,
    /// The id of the task.
    pub task: Option<String>,
    /// When the task was seen to be done.
    #[serde(default)]
    pub exported: Option<String>,
    /// Rows that the service says it exported, once the task is done.
    #[serde(default)]
    pub matched: Option<u64>,
    /// Listed once the task is done.
    #[serde(default)]
    pub listed: Option<String>,
    /// What was listed.
    pub objects: Option<Vec<ObjectRecord>>,
    /// Set when all rows are printed and proven; of a fetch, when all objects have landed.
    pub finished: Option<Finished>,
    /// Set when the data files were removed after the proof.
    #[serde(default)]
    pub discarded: Option<String>,
    /// Set when the objects were deleted from TOS.
    #[serde(default)]
    pub cleaned: Option<String>,
}

/// How often the services were asked again.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub struct Retries {
    /// Requests to `VikingDB`.
    pub vikingdb: u64,
    /// Requests to TOS.
    pub tos: u64,
}

impl Receipt {
    /// Of a folder in which nothing was done yet.
    pub(super) fn new(run: &str, request: Request, rows: Option<RowOptions>) -> Self {
        Self {
            schema: RECEIPT_SCHEMA,
            version: VERSION.to_owned(),
            run: run.to_owned(),
            request,
            rows,
            started: now(),
            tries: 0,
            retries: Retries::default(),
            jobs: None,
            submitted: None,
            description: None,
            task: None,
            exported: None,
            matched: None,
            listed: None,
            objects: None,
            finished: None,
            discarded: None,
            cleaned: None,
        }
    }

    /// Where the objects are.
    pub fn place(&self) -> Result<TosPath> {
        Ok(match &self.request {
            Request::Fetch { from } => TosPath::parse(from)?,
            Request::Run { to, .. } => TosPath::parse(to)?.below(&self.run),
        })
    }

    /// Refuses what would lead out of the folder, or to objects of somebody else.
    pub(super) fn check(&self) -> Result<()> {
        let place = self.place()?;
        for ObjectRecord { key, name, .. } in self.objects.iter().flatten() {
            let mut parts = Path::new(name).components().peekable();
            let is_inside =
                parts.peek().is_some() && parts.all(|part| matches!(part, Component::Normal(_)));
            let below = key.strip_prefix(place.prefix());
            let is_below = below.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'));
            if !is_inside || !is_below {
                let (key, name) = (key.clone(), name.clone());
                return Err(FolderError::Outside { key, name, place }.into());
            }
        }
        Ok(())
    }
}

/// The proof at the end of a run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Finished {
    /// When.
    pub at: String,
    /// The version of the program that finished it.
    #[serde(default)]
    pub version: String,
    /// Rows of all objects.
    pub rows: Option<u64>,
    /// Rows printed.
    pub rows_printed: Option<u64>,
}

impl Finished {
    /// As of now.
    pub(crate) fn now(rows: Option<u64>, rows_printed: Option<u64>) -> Self {
        Self { at: now(), version: VERSION.to_owned(), rows, rows_printed }
    }
}

/// The time of this moment for a receipt.
pub(crate) fn now() -> String {
    Timestamp::now().strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}
