//! What can go wrong, by what it is about.

use std::fmt;
use std::io;
use std::path::PathBuf;

use viking_api::TosPath;
use viking_credentials::RoleError;

/// Why there are no usable credentials.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CredentialsError {
    /// A part has a control character inside, which no key has: two values may have become one.
    #[error("a key of {origin} has a control character inside")]
    ControlCharacter {
        /// Where it was found.
        origin: String,
    },
    /// Only one of two variables is set.
    #[error("{set} is set, but {missing} is not")]
    Incomplete {
        /// The variable that is set.
        set: &'static str,
        /// The variable that is not.
        missing: &'static str,
    },
    /// A key file of the V1 SDK or of `ve-tos-cli` cannot be understood.
    #[error("{}: {problem}", path.display())]
    KeyFile {
        /// The file.
        path: PathBuf,
        /// What is wrong with it. Never its text, which holds secrets.
        problem: &'static str,
    },
    /// There is no home folder to look for key files in.
    #[error("there is no home folder to look for a profile in")]
    NoHome,
    /// The profile that was asked for has no file.
    #[error("{} is not there, so there is no profile {profile:?}", path.display())]
    NoProfileFile {
        /// The file.
        path: PathBuf,
        /// The profile.
        profile: String,
    },
    /// There are none in any of the places where they are looked for.
    #[error(
        "no credentials were found in the environment, ~/.volcengine/config.json, ~/.volc or ~/.tos"
    )]
    NotFound,
    /// A profile of the vendor's command line cannot be used.
    #[error("{}: {problem}", path.display())]
    Profile {
        /// The file.
        path: PathBuf,
        /// What is wrong with it. Never its text, which holds secrets.
        problem: String,
    },
    /// A role gives no credentials.
    #[error("the role {role} gives no credentials")]
    Role {
        /// The role.
        role: String,
        /// Why.
        #[source]
        source: RoleError,
    },
    /// A key file cannot be read.
    #[error("cannot read {}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// The cause.
        #[source]
        source: io::Error,
    },
}

impl CredentialsError {
    /// Whether asking again may help.
    pub(crate) fn is_passing(&self) -> bool {
        matches!(self, Self::Role { source, .. } if source.is_passing())
    }
}

/// Several objects could not be downloaded. The first error stands for all.
#[derive(Debug)]
pub struct DownloadError {
    /// The first error.
    pub first: viking_fetch::Error,
    /// How many more objects failed.
    pub others: usize,
}

impl fmt::Display for DownloadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.first.fmt(f)
    }
}

impl std::error::Error for DownloadError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.first.source()
    }
}

/// Why a run folder cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FolderError {
    /// Another process works in it.
    #[error("another viking-export works in {}", folder.display())]
    Busy {
        /// The folder.
        folder: PathBuf,
    },
    /// Its files are gone, and its objects were deleted from TOS.
    #[error(
        "files are missing in {}, and their objects were deleted on {time}", folder.display()
    )]
    Cleaned {
        /// The folder.
        folder: PathBuf,
        /// When they were deleted.
        time: String,
    },
    /// It is finished; its files were removed, and its objects deleted from TOS.
    #[error("{} is finished; its files were removed on {time}, its objects too", folder.display())]
    Discarded {
        /// The folder.
        folder: PathBuf,
        /// When the files were removed.
        time: String,
    },
    /// Its run used the embedded services, which ended with their process.
    #[error("{} was a run on the embedded service, which is gone", folder.display())]
    EmbeddedGone {
        /// The folder.
        folder: PathBuf,
    },
    /// Not all of the files of a fetch are in it, so its objects are not deleted.
    #[error("not all files are in {}, so nothing is deleted", folder.display())]
    FilesMissing {
        /// The folder.
        folder: PathBuf,
    },
    /// It was made by a fetch, which prints no rows.
    #[error("{} is a folder of fetch, which prints no rows", folder.display())]
    OfFetch {
        /// The folder.
        folder: PathBuf,
        /// Where its objects are, `tos://bucket/prefix`.
        from: String,
    },
    /// It was made for another request.
    #[error("{} is the folder of another request", folder.display())]
    OfAnotherRequest {
        /// The folder.
        folder: PathBuf,
    },
    /// Its run did not use the embedded services.
    #[error("{} is no run on the embedded service", folder.display())]
    NotEmbedded {
        /// The folder.
        folder: PathBuf,
    },
    /// It is not finished, so its objects are not deleted.
    #[error("{} is not finished, so nothing is deleted", folder.display())]
    NotFinished {
        /// The folder.
        folder: PathBuf,
        /// Where its objects are, if it was made by a fetch.
        fetched_from: Option<String>,
        /// Rows are left out, so that it can never be finished.
        is_partial: bool,
    },
    /// It lists no objects yet.
    #[error("{} lists no objects yet", folder.display())]
    NotListed {
        /// The folder.
        folder: PathBuf,
    },
    /// Its receipt lists what would lead out of the folder, or objects of somebody else.
    #[error("the receipt lists {key:?} as {name:?}, which is outside {place}")]
    Outside {
        /// The object's key.
        key: String,
        /// The file's name.
        name: String,
        /// Where the objects of the receipt are.
        place: TosPath,
    },
    /// Its receipt cannot be understood.
    #[error("{} cannot be understood", path.display())]
    Receipt {
        /// The receipt.
        path: PathBuf,
        /// The cause.
        #[source]
        source: serde_json::Error,
    },
    /// Its receipt was written by a newer version.
    #[error("{} was written by a newer version ({version})", path.display())]
    Newer {
        /// The receipt.
        path: PathBuf,
        /// The version.
        version: String,
    },
    /// Its receipt cannot be read.
    #[error("cannot read {}", path.display())]
    Unreadable {
        /// The receipt.
        path: PathBuf,
        /// The cause.
        #[source]
        source: io::Error,
    },
    /// It is not empty and has no receipt.
    #[error("{} is not empty and has no receipt.json", folder.display())]
    Used {
        /// The folder.
        folder: PathBuf,
    },
}

/// Why the output cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OutputError {
    /// Another process writes to it.
    #[error("another viking-export writes to {}", path.display())]
    Busy {
        /// The file while it grows.
        path: PathBuf,
    },
    /// It exists and may not be replaced.
    #[error("{} already exists", path.display())]
    Exists {
        /// The file.
        path: PathBuf,
    },
    /// It is a dangling symbolic link.
    #[error("{} is a dangling symbolic link", path.display())]
    DanglingLink {
        /// The link.
        path: PathBuf,
    },
    /// It lies in the run folder.
    #[error("{} is in the run folder, which is for files of its own", path.display())]
    InRunFolder {
        /// The file.
        path: PathBuf,
    },
    /// A file of its name appeared while rows were printed.
    #[error("{} was created in the meantime; the rows are in {}", path.display(), part.display())]
    MadeMeanwhile {
        /// The file.
        path: PathBuf,
        /// Where the rows are.
        part: PathBuf,
    },
    /// Its name is longer than file systems take.
    #[error("the name of {} is too long", path.display())]
    NameTooLong {
        /// The file.
        path: PathBuf,
    },
    /// Its folder does not exist.
    #[error("{} is not a folder, so {} cannot be created", folder.display(), path.display())]
    NoFolder {
        /// The folder.
        folder: PathBuf,
        /// The file.
        path: PathBuf,
    },
    /// It is a device or a pipe.
    #[error("{} is not a regular file", path.display())]
    NotRegular {
        /// The path.
        path: PathBuf,
    },
    /// There is nowhere to write to.
    #[error("{problem}")]
    Unavailable {
        /// Why.
        problem: String,
    },
}

/// What the proof of a run or of a folder found to be different. No retry makes it good.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ProofError {
    /// A footer states another number of rows than its row groups have.
    #[error("{file} has {rows} rows in its row groups, but its footer states {total}")]
    FooterTotal {
        /// The file.
        file: String,
        /// What the footer states.
        total: u64,
        /// What the row groups have.
        rows: u64,
    },
    /// Objects were listed only after the rows of the others had left.
    #[error("{objects} objects were listed only after the rows of the others were printed")]
    ListedLate {
        /// How many.
        objects: usize,
    },
    /// The file of an object is not there.
    #[error("{} is not there", path.display())]
    Missing {
        /// The file.
        path: PathBuf,
    },
    /// Rows by the footer, decoded rows and written lines differ.
    #[error(
        "{file} has {} rows by its footer, {decoded} were decoded and {} written",
        number(*stated), number(*written)
    )]
    Rows {
        /// The file.
        file: String,
        /// Rows by the footer.
        stated: Option<u64>,
        /// Decoded rows.
        decoded: u64,
        /// Written lines, where rows are lines.
        written: Option<u64>,
    },
    /// The files have another number of rows than were printed.
    #[error("the files have {rows} rows, {printed} were printed")]
    RowsPrinted {
        /// Rows of the files.
        rows: u64,
        /// Printed rows.
        printed: u64,
    },
    /// A file has another number of rows than the receipt says.
    #[error("{file} has {rows} rows, the receipt says {recorded}")]
    RowsRecorded {
        /// The file.
        file: String,
        /// Its rows.
        rows: u64,
        /// What the receipt says.
        recorded: u64,
    },
    /// Not every object that landed was printed.
    #[error("{landed} objects landed, {printed} were printed")]
    Unprinted {
        /// Objects that landed.
        landed: usize,
        /// Objects that were printed.
        printed: usize,
    },
    /// The printed rows are of another version than the receipt has.
    #[error("the rows of {key} are not of the version in the receipt")]
    Version {
        /// The object.
        key: String,
    },
}

/// What is wrong with a request.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RequestError {
    /// An Arrow stream of a JSON export, which has no schema.
    #[error("an Arrow stream needs an export as Parquet")]
    ArrowOfJson,
    /// An option on JSON values does nothing to an Arrow stream.
    #[error("the option {option} does not work with an Arrow stream")]
    ArrowOption {
        /// The option.
        option: &'static str,
    },
    /// There are objects already where an export should go.
    #[error("there are already {count} objects below {to}")]
    DestinationUsed {
        /// How many.
        count: usize,
        /// The destination.
        to: TosPath,
    },
    /// No file matches a pattern.
    #[error("no file matches {pattern}")]
    NoMatch {
        /// The pattern.
        pattern: String,
    },
    /// A folder has no file of an export.
    #[error("{} has no Parquet or JSON file", folder.display())]
    NoDataFile {
        /// The folder.
        folder: PathBuf,
    },
    /// A collection without a name.
    #[error("a collection must be named")]
    NoCollection,
    /// There is no object to read or download.
    #[error("there is no object with bytes below {from}")]
    NoObjects {
        /// Where.
        from: TosPath,
    },
    /// A new task for a run whose task is done.
    #[error("the task of this run is done, and its objects are listed")]
    NewTaskNotNeeded,
    /// What would be deleted at the end is not printed whole.
    #[error("files and objects are deleted only when all rows are printed, and some are left out")]
    PartialRun,
    /// V1 of the interface does not know an option.
    #[error("{option} needs version 2 of the interface")]
    V2Only {
        /// The option.
        option: V2Option,
    },
}

/// An option that only V2 of `VikingDB`'s interface knows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum V2Option {
    /// Fields to export.
    OutputFields,
    /// The collection's project or resource id.
    Owner,
}

impl fmt::Display for V2Option {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::OutputFields => "a choice of output fields",
            Self::Owner => "a project or a resource id",
        })
    }
}

/// Why the outcome of a task is unclear.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TaskError {
    /// It is done and exported rows, but nothing is listed.
    #[error("task {task} is done with {} rows, but {to} is empty", number(*rows))]
    Empty {
        /// The task.
        task: String,
        /// Rows that the service says it exported.
        rows: Option<u64>,
        /// Where they should be.
        to: TosPath,
    },
    /// It was submitted, and the list of tasks does not show it.
    #[error("a task was submitted on {time}, and the list of tasks does not show it")]
    Lost {
        /// When.
        time: String,
    },
    /// The service does not say where it wrote.
    #[error("the service does not say where task {task} wrote")]
    NoDestination {
        /// The task.
        task: String,
    },
}

fn number(rows: Option<u64>) -> String {
    rows.map_or("an unknown number of".to_owned(), |rows| rows.to_string())
}
