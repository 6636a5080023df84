//! What an export task is asked to do.

use std::fmt;

use crate::error::Error;
use crate::filter::Filter;

/// The files an export writes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum FileType {
    /// JSON objects.
    Json,
    /// Parquet files.
    #[default]
    Parquet,
}

impl FileType {
    /// As the interface spells it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Json => "json",
            Self::Parquet => "parquet",
        }
    }
}

/// Which rows are exported. The service ignores a filter in silence when it is told to export
/// all, so the two exclude each other here.
#[derive(Debug, Clone, PartialEq)]
pub enum Rows {
    /// Every row.
    All,
    /// The rows that satisfy every condition.
    Filtered(Filter),
}

/// A bucket and a path in it, without slashes around the path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TosPath {
    bucket: String,
    prefix: String,
}

impl TosPath {
    /// Reads `tos://bucket/path` or `bucket/path`.
    pub fn parse(text: &str) -> Result<Self, Error> {
        let bad = |problem| Error::TosPath { path: text.to_owned(), problem };
        let path = text.strip_prefix("tos://").unwrap_or(text);
        if path.contains("://") {
            return Err(bad("it must look like tos://bucket/path"));
        }
        let (bucket, prefix) = path.split_once('/').unwrap_or((path, ""));
        let prefix = prefix.trim_end_matches('/');
        let bucket_fits = (3..=63).contains(&bucket.len())
            && bucket.bytes().all(|byte| {
                byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-' || byte == b'_'
            });
        if !bucket_fits {
            return Err(bad("a bucket name has 3 to 63 lower-case letters, digits and hyphens"));
        }
        if prefix.is_empty() {
            return Err(bad("a path behind the bucket is needed"));
        }
        if prefix.split('/').any(|segment| matches!(segment, "" | "." | "..")) {
            return Err(bad("its path has an empty, `.` or `..` segment"));
        }
        if prefix.chars().any(char::is_control) {
            return Err(bad("its path has a control character"));
        }
        Ok(Self { bucket: bucket.to_owned(), prefix: prefix.to_owned() })
    }

    /// The path `name` below this one.
    #[must_use]
    pub fn below(&self, name: &str) -> Self {
        Self { bucket: self.bucket.clone(), prefix: format!("{}/{name}", self.prefix) }
    }

    /// The bucket.
    pub fn bucket(&self) -> &str {
        &self.bucket
    }

    /// The path in the bucket.
    pub fn prefix(&self) -> &str {
        &self.prefix
    }

    /// `bucket/path`, as the interface wants it.
    pub fn as_task_param(&self) -> String {
        format!("{}/{}", self.bucket, self.prefix)
    }
}

impl fmt::Display for TosPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "tos://{}/{}", self.bucket, self.prefix)
    }
}

/// An export task before it is created.
#[derive(Debug, Clone, PartialEq)]
pub struct ExportSpec {
    /// The collection.
    pub collection: String,
    /// Which of its rows.
    pub rows: Rows,
    /// Where the objects go. Give each export a path of its own: the service does not say what
    /// becomes of objects that are there, and an unclear answer is cleared up by this path.
    pub to: TosPath,
    /// What is written.
    pub file_type: FileType,
    /// In V2 the fields that are exported, all if there is none here. V1 knows no such choice.
    pub output_fields: Vec<String>,
}
