//! What can go wrong in a run, and who has to act.

mod kinds;

use std::io;
use std::path::PathBuf;

use viking_fetch::RefusedKey;

pub use kinds::{
    CredentialsError, DownloadError, FolderError, OutputError, ProofError, RequestError, TaskError,
    V2Option,
};

/// A result of this crate.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Who has to act on an [`Error`]. The program has one exit code for each.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ErrorClass {
    /// A bug on our side.
    Bug,
    /// The data is not what it should be: a count, a checksum or a schema differs, or a file is damaged.
    Data,
    /// Credentials or permission were refused.
    Denied,
    /// The local disk or the output failed.
    Local,
    /// The task has not finished, or waits for a person.
    NotFinished,
    /// The collection, task, object or path does not exist.
    NotFound,
    /// The task ended in `fail`.
    TaskFailed,
    /// A service or the network failed, after all retries.
    Transfer,
    /// The request or the settings are wrong.
    Usage,
}

/// An error of this crate. Messages leave the cause to `source()`, and name no command-line flags.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A bug on our side.
    #[error("{0}")]
    Bug(String),
    /// Objects were replaced again and again while they were downloaded.
    #[error("objects changed {times} times while they were downloaded")]
    ChangedTooOften {
        /// How often.
        times: usize,
    },
    /// No usable credentials.
    #[error(transparent)]
    Credentials(#[from] CredentialsError),
    /// Several objects could not be downloaded.
    #[error(transparent)]
    Download(#[from] DownloadError),
    /// The download ended before all files had landed; its own error says why.
    #[error("the download ended early")]
    DownloadEnded,
    /// The run's task could not be followed to its end.
    #[error(transparent)]
    Follow(viking_api::Error),
    /// A run folder cannot be used.
    #[error(transparent)]
    Folder(#[from] FolderError),
    /// The local disk failed.
    #[error("cannot {action}")]
    Io {
        /// What failed, with the path.
        action: String,
        /// The cause.
        #[source]
        source: io::Error,
    },
    /// The output cannot be used.
    #[error(transparent)]
    Output(#[from] OutputError),
    /// A glob pattern is malformed.
    #[error("{0}")]
    Pattern(String),
    /// Rows or files are not what they should be.
    #[error(transparent)]
    Proof(#[from] ProofError),
    /// Rows could not be read or printed.
    #[error(transparent)]
    Reader(#[from] viking_reader::Error),
    /// Objects were left out because their keys cannot become file names. There is at least one.
    #[error("{}", refused_keys_text(.0))]
    RefusedKeys(Vec<RefusedKey>),
    /// The request is wrong.
    #[error(transparent)]
    Request(#[from] RequestError),
    /// The receipt could not be saved.
    #[error("cannot write {}", path.display())]
    Save {
        /// The receipt.
        path: PathBuf,
        /// The cause.
        #[source]
        source: io::Error,
    },
    /// `VikingDB` or the way to it failed.
    #[error(transparent)]
    Service(#[from] viking_api::Error),
    /// The output holds rows of other versions of the objects than those that are here now.
    #[error("objects are not what they were when their rows were printed")]
    Stale,
    /// The task's outcome is unclear.
    #[error(transparent)]
    Task(#[from] TaskError),
    /// TOS or the way to it failed.
    #[error(transparent)]
    Transfer(#[from] viking_fetch::Error),
}

impl Error {
    /// Who has to act.
    pub fn class(&self) -> ErrorClass {
        match self {
            Self::Bug(_) => ErrorClass::Bug,
            Self::ChangedTooOften { .. } | Self::Proof(_) | Self::RefusedKeys(_) | Self::Stale => {
                match self {
                    Self::Proof(ProofError::Missing { .. }) => ErrorClass::NotFound,
                    _ => ErrorClass::Data,
                }
            }
            Self::Credentials(error) if error.is_passing() => ErrorClass::Transfer,
            Self::Credentials(error) => match error {
                CredentialsError::ControlCharacter { .. } | CredentialsError::NoHome => {
                    ErrorClass::Usage
                }
                _ => ErrorClass::Denied,
            },
            Self::Download(error) => of_transfer(&error.first),
            Self::DownloadEnded | Self::Task(_) => ErrorClass::Transfer,
            Self::Folder(error) => of_folder(error),
            Self::Io { source, .. } => of_io(source),
            Self::Output(OutputError::NoFolder { .. }) => ErrorClass::NotFound,
            Self::Output(OutputError::Unavailable { .. }) => ErrorClass::Local,
            Self::Output(_) | Self::Pattern(_) => ErrorClass::Usage,
            Self::Reader(error) => of_reader(error),
            Self::Request(error) => match error {
                RequestError::NoMatch { .. }
                | RequestError::NoDataFile { .. }
                | RequestError::NoObjects { .. } => ErrorClass::NotFound,
                _ => ErrorClass::Usage,
            },
            Self::Save { .. } => ErrorClass::Local,
            Self::Follow(error) | Self::Service(error) => of_service(error),
            Self::Transfer(error) => of_transfer(error),
        }
    }

    /// What TOS refused, wherever that came to light.
    pub fn transfer(&self) -> Option<&viking_fetch::Error> {
        match self {
            Self::Transfer(error) => Some(error),
            Self::Download(error) => Some(&error.first),
            Self::Reader(error) => of_remote(error),
            _ => None,
        }
    }

    /// What `VikingDB` refused.
    pub fn service(&self) -> Option<&viking_api::Error> {
        match self {
            Self::Follow(error) | Self::Service(error) => Some(error),
            _ => None,
        }
    }

    /// An error of the local disk while doing `action`.
    pub(crate) fn io(action: impl Into<String>, source: io::Error) -> Self {
        Self::Io { action: action.into(), source }
    }
}

fn of_folder(error: &FolderError) -> ErrorClass {
    match error {
        FolderError::NotListed { .. }
        | FolderError::Outside { .. }
        | FolderError::Receipt { .. } => ErrorClass::Data,
        FolderError::Cleaned { .. } => ErrorClass::NotFound,
        FolderError::Unreadable { source, .. } => of_io(source),
        _ => ErrorClass::Usage,
    }
}

fn of_io(error: &io::Error) -> ErrorClass {
    if error.kind() == io::ErrorKind::NotFound { ErrorClass::NotFound } else { ErrorClass::Local }
}

fn of_service(error: &viking_api::Error) -> ErrorClass {
    use viking_api::ErrorClass as Class;
    match error.class() {
        Class::Denied => ErrorClass::Denied,
        Class::NotFound => ErrorClass::NotFound,
        Class::NotFinished => ErrorClass::NotFinished,
        Class::Passing => ErrorClass::Transfer,
        Class::TaskFailed => ErrorClass::TaskFailed,
        Class::Usage => ErrorClass::Usage,
    }
}

fn of_transfer(error: &viking_fetch::Error) -> ErrorClass {
    use viking_fetch::ErrorClass as Class;
    match error.class() {
        Class::Bug => ErrorClass::Bug,
        Class::Data => ErrorClass::Data,
        Class::Denied => ErrorClass::Denied,
        Class::Local => ErrorClass::Local,
        Class::NotFound => ErrorClass::NotFound,
        Class::Passing => ErrorClass::Transfer,
        Class::Usage => ErrorClass::Usage,
    }
}

fn of_reader(error: &viking_reader::Error) -> ErrorClass {
    use viking_reader::ErrorClass as Class;
    if let Some(error) = of_remote(error) {
        return of_transfer(error);
    }
    match error.class() {
        Class::Data => ErrorClass::Data,
        Class::Local => ErrorClass::Local,
        Class::NotFound => ErrorClass::NotFound,
        Class::Usage => ErrorClass::Usage,
    }
}

/// What failed in TOS, where rows are read from there.
fn of_remote(error: &viking_reader::Error) -> Option<&viking_fetch::Error> {
    let viking_reader::Error::Io { source, .. } = error else { return None };
    let cause = source.get_ref()?.downcast_ref::<std::sync::Arc<viking_fetch::Error>>()?;
    Some(cause)
}

fn refused_keys_text(keys: &[RefusedKey]) -> String {
    let first = keys.first().map(|key| viking_fetch::Error::from(key.clone()).to_string());
    first.unwrap_or_default()
}
