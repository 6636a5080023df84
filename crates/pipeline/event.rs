//! Every step of a run, as one enum.

use std::fmt;
use std::path::{Path, PathBuf};

use serde::ser::SerializeStruct;
use serde::{Serialize, Serializer};

use crate::record::Retries;

/// Sees the steps of a run, from several threads at once.
pub trait Listener: fmt::Debug + Send + Sync {
    /// Called for each event; it must return soon.
    fn on_event(&self, event: &Event);
}

/// A [`Listener`] that ignores every event.
#[derive(Debug, Clone, Copy, Default)]
pub struct NoListener;

impl Listener for NoListener {
    fn on_event(&self, _event: &Event) {}
}

/// A step. Its JSON form is one object with the name of the step as `event`; later versions only add to it.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(tag = "event", rename_all = "snake_case")]
#[non_exhaustive]
pub enum Event {
    /// A task was cancelled.
    Cancelled {
        /// Its id.
        task: String,
    },
    /// Objects are about to be deleted from TOS.
    Clean {
        /// `tos://bucket/prefix`.
        from: String,
        /// How many.
        objects: usize,
    },
    /// Objects were deleted from TOS.
    Cleaned {
        /// `tos://bucket/prefix`.
        from: String,
        /// How many were deleted.
        deleted: usize,
        /// How many were left alone, because they are gone or others by now.
        left: usize,
    },
    /// The collection exists.
    Collection {
        /// Its name.
        collection: String,
        /// Its rows, an estimate.
        rows: Option<u64>,
    },
    /// Files that are here already are compared with their checksums.
    Compare {
        /// How many.
        files: usize,
    },
    /// A task was confirmed.
    Confirmed {
        /// Its id.
        task: String,
    },
    /// `VikingDB` is about to be asked.
    Connect {
        /// Its address.
        url: String,
    },
    /// All rows are printed and proven.
    Done {
        /// Rows of all objects.
        rows: u64,
        /// Objects.
        objects: usize,
        /// The run folder.
        #[serde(serialize_with = "displayed")]
        dir: PathBuf,
        /// Objects whose CRC-64 was compared with that of TOS.
        crc64_compared: usize,
        /// Requests that were repeated.
        retries: Retries,
    },
    /// All objects of a fetch are in its folder.
    Fetched {
        /// Objects.
        objects: usize,
        /// The folder.
        #[serde(serialize_with = "displayed")]
        dir: PathBuf,
    },
    /// A prefix of TOS is about to be listed.
    List {
        /// `tos://bucket/prefix`.
        from: String,
    },
    /// A prefix was listed.
    Listed {
        /// Objects with bytes.
        objects: usize,
        /// Their bytes.
        bytes: u64,
        /// Objects without bytes, which are left out.
        skipped: usize,
    },
    /// An object stands complete in the folder.
    Object {
        /// Its key.
        key: String,
        /// Its file.
        name: String,
        /// Its length.
        bytes: u64,
    },
    /// How far a download and its printing are; comes a few times a second.
    Progress(Progress),
    /// Rows were read from TOS without landing.
    Read {
        /// Bytes that were transferred.
        bytes: u64,
        /// Requests that were sent.
        requests: u64,
    },
    /// Parts of an object are on the disk from an earlier download.
    Resumed {
        /// Its key.
        key: String,
        /// Its file.
        name: String,
        /// Bytes that need not be transferred again.
        bytes: u64,
    },
    /// Rows are in the output from an earlier attempt.
    #[serde(rename = "resumed rows")]
    ResumedRows {
        /// How many.
        rows: u64,
    },
    /// The run has its folder: from here on it can be resumed.
    Run {
        /// The run folder.
        #[serde(serialize_with = "displayed")]
        dir: PathBuf,
    },
    /// The program was asked to stop, and stops at the end of a row.
    Stopping,
    /// An export is about to be submitted.
    Submit {
        /// The collection.
        collection: String,
        /// Where it goes.
        to: String,
    },
    /// An export was submitted.
    Submitted {
        /// The id of its task.
        task: String,
    },
    /// The state of a task; comes with every poll.
    Task(TaskProgress),
    /// A folder was proven again.
    Verified {
        /// Its files.
        objects: usize,
        /// Their rows.
        rows: u64,
    },
    /// A task is about to be followed to its end.
    Waiting {
        /// Its id.
        task: String,
    },
    /// Something may be wrong.
    Warning(Warning),
}

/// A path as it is shown: JSON holds no other bytes than UTF-8.
fn displayed<S: Serializer>(path: &Path, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(&path.display())
}

/// How far a download and its printing are.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Progress {
    /// Objects that have landed.
    pub objects: usize,
    /// All objects.
    pub objects_total: usize,
    /// Bytes that have arrived.
    pub bytes: u64,
    /// Bytes of all objects.
    pub bytes_total: u64,
    /// Rows that are printed.
    pub rows: u64,
    /// Rows go to a file, or nowhere.
    #[serde(skip)]
    pub is_to_file: bool,
}

/// The state of a task.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct TaskProgress {
    /// Its id.
    pub task: String,
    /// The state as the service spells it.
    pub state: String,
    /// Progress in percent.
    pub percent: Option<u8>,
    /// Rows looked at, an estimate.
    pub scanned: Option<u64>,
    /// Rows that satisfied the filter, an estimate.
    pub matched: Option<u64>,
    /// Rows to look at, an estimate.
    pub total: Option<u64>,
    /// Milliseconds since it is followed.
    pub ms: u64,
}

/// Something that may be wrong. Its text is what [`Display`](fmt::Display) gives.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Warning {
    /// An object changed while it was downloaded.
    Changed {
        /// Its key.
        key: String,
    },
    /// Files state another number of rows than their row groups have.
    FooterTotals {
        /// How many.
        files: usize,
    },
    /// A file states another number of rows than its row groups have.
    FooterTotal {
        /// The file.
        file: String,
        /// What its footer states.
        total: u64,
        /// What its row groups have.
        rows: u64,
    },
    /// What the service says of a collection and its indexes was not saved, or not all of it.
    NotDescribed {
        /// The collection.
        collection: String,
        /// Why.
        problem: String,
    },
    /// An export may not have a column that was asked for.
    NoField {
        /// The collection.
        collection: String,
        /// The column.
        column: String,
    },
    /// Objects are not listed any more.
    ObjectsGone {
        /// How many.
        objects: usize,
    },
    /// Objects are listed that were not listed before.
    ObjectsNew {
        /// How many.
        objects: usize,
    },
    /// The service's own count of exported rows differs from the rows of the objects.
    MatchedRows {
        /// The service's count.
        matched: u64,
        /// Rows of the objects.
        rows: u64,
    },
    /// NaN or infinite values became null.
    Nonfinite {
        /// How many.
        values: u64,
    },
    /// Objects were not deleted, because not all rows were taken.
    NothingDeleted,
    /// The null keys of maps became `"null"`.
    NullMapKeys {
        /// How many.
        keys: u64,
    },
    /// An object was not deleted.
    NotDeleted {
        /// Its key.
        key: String,
    },
    /// An object could not be downloaded.
    ObjectFailed {
        /// Its key.
        key: String,
        /// Why.
        error: String,
    },
    /// A page or a row took more memory than there should be for it.
    Oversize {
        /// Its bytes.
        bytes: u64,
        /// Whether it was a page; a row otherwise.
        is_page: bool,
        /// The column, if one is to blame.
        column: String,
        /// The file.
        file: String,
    },
    /// A file that is here is not the object, and is loaded again.
    Reload {
        /// What is wrong with it.
        problem: String,
    },
    /// A key cannot become a file name.
    RefusedKey {
        /// What is wrong with it.
        problem: String,
    },
    /// An error that may pass; it is looked at again.
    Again {
        /// The error.
        problem: String,
    },
    /// Credentials were taken from a file that other users of this machine can read.
    OpenKeyFile {
        /// The file.
        file: PathBuf,
    },
    /// The output begins anew, because its rows are of other versions of the objects.
    OutputAnew,
    /// A task has not moved for a while.
    Stalled {
        /// Its id.
        task: String,
        /// Its state.
        state: String,
        /// For how long.
        seconds: u64,
    },
    /// A folder is a table of a format whose log is not read.
    TableFormat {
        /// The folder.
        folder: PathBuf,
        /// The format.
        format: &'static str,
    },
    /// A task is done, but has an error.
    TaskDoneWithError {
        /// Its id.
        task: String,
        /// The error.
        error: String,
    },
    /// Lists of f64 look as if they held f32.
    F32Like {
        /// Their names.
        columns: Vec<String>,
    },
    /// Binary columns look like text.
    TextLike {
        /// Their names.
        columns: Vec<String>,
    },
    /// Times of day outside 0–24 h became null.
    TimesOutOfRange {
        /// How many.
        values: u64,
    },
    /// An operator of a filter is not known here.
    UnknownOperator {
        /// The operator.
        op: String,
    },
}

impl fmt::Display for Warning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Changed { key } => write!(f, "{key} changed; downloading its current version"),
            Self::FooterTotals { files } => write!(
                f,
                "{files} files state another number of rows than their row groups have; all rows were printed"
            ),
            Self::FooterTotal { file, total, rows } => write!(
                f,
                "{file} has {rows} rows in its row groups, but its footer states {total} in all"
            ),
            Self::NotDescribed { collection, problem } => write!(
                f,
                "the description of {collection} for collection.json is not complete: {problem}"
            ),
            Self::NoField { collection, column } => write!(
                f,
                "collection {collection} has no field {column:?}, so its export may have no such column"
            ),
            Self::ObjectsGone { objects } => write!(
                f,
                "{objects} objects are no longer listed; files that were downloaded are kept"
            ),
            Self::ObjectsNew { objects } => {
                write!(f, "{objects} objects are listed that were not there before")
            }
            Self::MatchedRows { matched, rows } => write!(
                f,
                "the service says it exported {matched} rows, the objects have {rows}; its count is an estimate"
            ),
            Self::Nonfinite { values } => {
                write!(f, "{values} NaN or infinite values were printed as null")
            }
            Self::NothingDeleted => f.write_str("not all rows were printed, so nothing was deleted"),
            Self::NullMapKeys { keys } => {
                write!(f, "{keys} null map keys were printed as \"null\"")
            }
            Self::NotDeleted { key } => {
                write!(f, "{key} is gone or has changed, so it is not deleted")
            }
            Self::ObjectFailed { key, error } => write!(f, "{key}: {error}"),
            Self::Oversize { bytes, is_page, column, file } => {
                let what = if *is_page { "a page" } else { "a row" };
                let size = bytesize::ByteSize(*bytes).display().iec();
                write!(f, "{what} of {size}")?;
                if !column.is_empty() {
                    write!(f, " in column {column:?}")?;
                }
                write!(f, " of {file} is more than the memory limit allows; it was read all the same")
            }
            Self::Reload { problem } => write!(f, "{problem}; it is downloaded again"),
            Self::RefusedKey { problem } => write!(f, "{problem}; the others are kept"),
            Self::Again { problem } => write!(f, "{problem}; listing again"),
            Self::OpenKeyFile { file } => {
                let file = file.display();
                write!(f, "{file} holds keys and can be read by others: chmod 600 {file}")
            }
            Self::OutputAnew => f.write_str(
                "objects are not what they were when their rows were printed, so the output starts over",
            ),
            Self::Stalled { task, state, seconds } => write!(
                f,
                "task {task} is {state} and has not moved for {seconds} s; it may be stalled on the server"
            ),
            Self::TableFormat { folder, format } => write!(
                f,
                "{} is a table of {format}, whose log is not read: rows that it has deleted are included",
                folder.display()
            ),
            Self::TaskDoneWithError { task, error } => {
                write!(f, "task {task} is done, but the service says: {error}")
            }
            Self::F32Like { columns } => {
                write!(f, "lists of f64 whose values are f32: {}", columns.join(", "))
            }
            Self::TextLike { columns } => {
                write!(f, "binary columns that look like text: {}", columns.join(", "))
            }
            Self::TimesOutOfRange { values } => {
                write!(f, "{values} times of day outside 0–24 h were printed as null")
            }
            Self::UnknownOperator { op } => write!(
                f,
                "the operator {op:?} is not known here; the service decides what it means"
            ),
        }
    }
}

impl Serialize for Warning {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut object = serializer.serialize_struct("Warning", 1)?;
        object.serialize_field("message", &self.to_string())?;
        object.end()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The JSON form is read by others: it may grow, and nothing in it may change.
    #[test]
    fn events_have_the_json_form_that_was_agreed_on() {
        let task = || "t".to_owned();
        let (from, key, name) = (|| "tos://b/x".to_owned(), || "x/0".to_owned(), || "0".to_owned());
        let dir = || PathBuf::from("run");
        let events = [
            Event::Cancelled { task: task() },
            Event::Clean { from: from(), objects: 5 },
            Event::Cleaned { from: from(), deleted: 4, left: 1 },
            Event::Collection { collection: "c".to_owned(), rows: None },
            Event::Compare { files: 2 },
            Event::Confirmed { task: task() },
            Event::Connect { url: "https://v".to_owned() },
            Event::Done {
                rows: 7,
                objects: 5,
                dir: dir(),
                crc64_compared: 3,
                retries: Retries { vikingdb: 1, tos: 2 },
            },
            Event::Fetched { objects: 5, dir: dir() },
            Event::List { from: from() },
            Event::Listed { objects: 5, bytes: 100, skipped: 1 },
            Event::Object { key: key(), name: name(), bytes: 20 },
            Event::Progress(Progress {
                objects: 1,
                objects_total: 5,
                bytes: 20,
                bytes_total: 100,
                rows: 7,
                is_to_file: true,
            }),
            Event::Read { bytes: 20, requests: 2 },
            Event::Resumed { key: key(), name: name(), bytes: 20 },
            Event::ResumedRows { rows: 7 },
            Event::Run { dir: dir() },
            Event::Stopping,
            Event::Submit { collection: "c".to_owned(), to: from() },
            Event::Submitted { task: task() },
            Event::Task(TaskProgress {
                task: task(),
                state: "running".to_owned(),
                percent: Some(50),
                scanned: None,
                matched: Some(7),
                total: None,
                ms: 1_500,
            }),
            Event::Verified { objects: 5, rows: 7 },
            Event::Waiting { task: task() },
            Event::Warning(Warning::NothingDeleted),
        ];
        let lines: Vec<String> =
            events.iter().map(|event| serde_json::to_string(event).unwrap()).collect();
        let expected = [
            r#"{"event":"cancelled","task":"t"}"#,
            r#"{"event":"clean","from":"tos://b/x","objects":5}"#,
            r#"{"event":"cleaned","from":"tos://b/x","deleted":4,"left":1}"#,
            r#"{"event":"collection","collection":"c","rows":null}"#,
            r#"{"event":"compare","files":2}"#,
            r#"{"event":"confirmed","task":"t"}"#,
            r#"{"event":"connect","url":"https://v"}"#,
            r#"{"event":"done","rows":7,"objects":5,"dir":"run","crc64_compared":3,"retries":{"vikingdb":1,"tos":2}}"#,
            r#"{"event":"fetched","objects":5,"dir":"run"}"#,
            r#"{"event":"list","from":"tos://b/x"}"#,
            r#"{"event":"listed","objects":5,"bytes":100,"skipped":1}"#,
            r#"{"event":"object","key":"x/0","name":"0","bytes":20}"#,
            r#"{"event":"progress","objects":1,"objects_total":5,"bytes":20,"bytes_total":100,"rows":7}"#,
            r#"{"event":"read","bytes":20,"requests":2}"#,
            r#"{"event":"resumed","key":"x/0","name":"0","bytes":20}"#,
            r#"{"event":"resumed rows","rows":7}"#,
            r#"{"event":"run","dir":"run"}"#,
            r#"{"event":"stopping"}"#,
            r#"{"event":"submit","collection":"c","to":"tos://b/x"}"#,
            r#"{"event":"submitted","task":"t"}"#,
            r#"{"event":"task","task":"t","state":"running","percent":50,"scanned":null,"matched":7,"total":null,"ms":1500}"#,
            r#"{"event":"verified","objects":5,"rows":7}"#,
            r#"{"event":"waiting","task":"t"}"#,
            r#"{"event":"warning","message":"not all rows were printed, so nothing was deleted"}"#,
        ];
        assert_eq!(lines, expected);
    }

    #[cfg(unix)]
    #[test]
    fn a_folder_whose_name_is_not_utf8_is_an_event_as_well() {
        use std::os::unix::ffi::OsStrExt;
        let dir = PathBuf::from(std::ffi::OsStr::from_bytes(b"run\xff"));
        let line = serde_json::to_string(&Event::Run { dir }).unwrap();
        assert_eq!(line, "{\"event\":\"run\",\"dir\":\"run\u{fffd}\"}");
    }
}
