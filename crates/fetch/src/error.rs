//! What can go wrong between us, TOS and the local disk.

use std::io;
use std::path::PathBuf;
use std::time::Duration;

use object_store::client::HttpError;
use viking_credentials::Unavailable;

/// Who has to act on an [`Error`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ErrorClass {
    /// A bug on our side.
    Bug,
    /// The bytes are not what they should be, or a key cannot be kept.
    Data,
    /// Keys or permission were refused.
    Denied,
    /// The local disk failed.
    Local,
    /// The bucket or object does not exist.
    NotFound,
    /// TOS or the way to it failed, after all retries.
    Passing,
    /// The settings are wrong.
    Usage,
}

/// TOS's own word on why it did not do what we asked.
#[derive(Debug, Clone, Default, PartialEq, Eq, thiserror::Error)]
#[error("{}", refusal_text(self))]
pub struct Refusal {
    /// The HTTP status.
    pub status: u16,
    /// The code of the XML answer, for example `NoSuchKey`; empty if there was none.
    pub code: String,
    /// The message of the XML answer.
    pub message: String,
    /// The id to quote to the vendor's support.
    pub request_id: Option<String>,
    /// TOS's finer error code, from `x-amz-ec`.
    pub ec: Option<String>,
    /// The host that a redirect says to ask instead. It is never followed: that would take the signature there.
    pub endpoint: Option<String>,
    /// The region that a redirect says the bucket is in.
    pub region: Option<String>,
    /// How long TOS asks us to wait.
    pub retry_after: Option<Duration>,
}

/// An error of this crate. Messages leave the cause to `source()`.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A bug on our side: a thread of ours panicked.
    #[error("work on the disk ended without a result: {0}")]
    Bug(String),
    /// The object is not the version that was listed; [`Bucket::look`](crate::Bucket::look) tells what
    /// it is now.
    #[error("object {key} changed after it was listed")]
    Changed {
        /// The object.
        key: String,
    },
    /// What arrived is not the object that was listed.
    #[error("object {key} is damaged: {detail}")]
    Damaged {
        /// The object.
        key: String,
        /// What is wrong.
        detail: String,
    },
    /// The address of TOS is unusable.
    #[error("the TOS endpoint {endpoint:?} cannot be used: {problem}")]
    Endpoint {
        /// As given.
        endpoint: String,
        /// What is wrong, with the fix.
        problem: String,
    },
    /// There is a file already where an object should go.
    #[error("{} already exists and is not part of this download", path.display())]
    Exists {
        /// The file.
        path: PathBuf,
    },
    /// An object's key cannot become a file name.
    #[error("the object key \"{key}\" cannot be downloaded: {problem}")]
    Key {
        /// The key.
        key: String,
        /// What is wrong with it.
        problem: String,
    },
    /// The local disk failed.
    #[error("cannot {action} {}", path.display())]
    Local {
        /// What we were doing.
        action: &'static str,
        /// The file or folder.
        path: PathBuf,
        /// The cause.
        #[source]
        source: io::Error,
    },
    /// The source of credentials has none.
    #[error("there are no credentials for TOS")]
    NoCredentials(#[source] Unavailable),
    /// The disk has too little room.
    #[error("{} has no room: {needed} bytes are needed, {free} are free", path.display())]
    NoSpace {
        /// The folder.
        path: PathBuf,
        /// Bytes still to be written.
        needed: u64,
        /// Bytes that are free.
        free: u64,
    },
    /// The object or bucket could not be read.
    #[error("{action} tos://{bucket}/{key} failed")]
    Store {
        /// What we were doing.
        action: &'static str,
        /// The bucket.
        bucket: String,
        /// The object or prefix.
        key: String,
        /// The cause.
        #[source]
        source: Box<Cause>,
    },
}

/// Why TOS could not be read.
#[derive(Debug, thiserror::Error)]
pub enum Cause {
    /// TOS answered and refused.
    #[error(transparent)]
    Refused(Refusal),
    /// No whole answer came.
    #[error("no usable answer from TOS: {0}")]
    Transport(String),
    /// An answer came that TOS would not give.
    #[error("no usable answer from TOS: {0}")]
    Unusable(String),
}

impl Error {
    /// Who has to act.
    pub fn class(&self) -> ErrorClass {
        match self {
            Self::Bug(_) => ErrorClass::Bug,
            Self::Changed { .. } | Self::Damaged { .. } | Self::Key { .. } => ErrorClass::Data,
            Self::Endpoint { .. } | Self::Exists { .. } => ErrorClass::Usage,
            Self::Local { .. } | Self::NoSpace { .. } => ErrorClass::Local,
            Self::NoCredentials(why) if why.is_passing() => ErrorClass::Passing,
            Self::NoCredentials(_) => ErrorClass::Denied,
            Self::Store { source, .. } => match source.as_ref() {
                Cause::Refused(refusal) => refusal.class(),
                Cause::Transport(_) | Cause::Unusable(_) => ErrorClass::Passing,
            },
        }
    }

    /// Whether asking again may help.
    pub(crate) fn is_passing(&self) -> bool {
        self.class() == ErrorClass::Passing
    }

    /// Something answered, but not as TOS does.
    pub(crate) fn is_unusable_answer(&self) -> bool {
        matches!(self, Self::Store { source, .. } if matches!(**source, Cause::Unusable(_)))
    }

    /// What TOS said, if it was TOS who refused.
    pub fn refusal(&self) -> Option<&Refusal> {
        match self {
            Self::Store { source, .. } => match source.as_ref() {
                Cause::Refused(refusal) => Some(refusal),
                Cause::Transport(_) | Cause::Unusable(_) => None,
            },
            _ => None,
        }
    }

    /// What became of a request for `key`.
    pub(crate) fn store(
        action: &'static str,
        bucket: &str,
        key: &str,
        error: &(dyn std::error::Error + 'static),
    ) -> Self {
        if let Some(Self::NoCredentials(why)) = find::<Self>(error) {
            return Self::NoCredentials(why.clone());
        }
        let cause = match find::<Refusal>(error) {
            // We ask for the version that was listed and no other.
            Some(refusal) if refusal.status == 412 => return Self::Changed { key: key.to_owned() },
            Some(refusal) => Cause::Refused(refusal.clone()),
            None if find::<HttpError>(error).is_some() => Cause::Transport(root_of(error)),
            None => Cause::Unusable(root_of(error)),
        };
        Self::caused(action, bucket, key, cause)
    }

    pub(crate) fn caused(action: &'static str, bucket: &str, key: &str, cause: Cause) -> Self {
        Self::Store {
            action,
            bucket: bucket.to_owned(),
            key: key.to_owned(),
            source: Box::new(cause),
        }
    }

    pub(crate) fn local(action: &'static str, path: &std::path::Path, source: io::Error) -> Self {
        Self::Local { action, path: path.to_owned(), source }
    }
}

impl Refusal {
    /// Temporary keys are over, or may be: the answer to a HEAD has no body to say so.
    pub(crate) fn is_expired(&self) -> bool {
        let is_silent = self.status == 403 && self.code.is_empty();
        is_silent || matches!(self.code.as_str(), "ExpiredToken" | "InvalidSecurityToken")
    }

    /// TOS or the way to it is busy or out of order for now, or limits what may be asked of it.
    pub(crate) fn is_passing(&self) -> bool {
        matches!(self.status, 408 | 429 | 500..) || self.is_too_much()
    }

    /// TOS limits what may be asked of it.
    pub(crate) fn is_too_much(&self) -> bool {
        matches!(self.status, 429 | 503) || self.code.starts_with("Exceed")
    }

    /// Who has to act.
    pub fn class(&self) -> ErrorClass {
        if self.is_passing() {
            return ErrorClass::Passing;
        }
        match (self.code.as_str(), self.status) {
            // The address has the wrong form or region: no key would help.
            ("InvalidPathAccess" | "CrossRegionAccessError", _) => ErrorClass::Usage,
            (_, 416) => ErrorClass::Data,
            (_, 401 | 403) => ErrorClass::Denied,
            (_, 404) => ErrorClass::NotFound,
            _ => ErrorClass::Usage,
        }
    }
}

/// What lies somewhere below an error, for example the refusal that our HTTP service put there.
fn find<'a, T: std::error::Error + 'static>(
    error: &'a (dyn std::error::Error + 'static),
) -> Option<&'a T> {
    let mut link = Some(error);
    while let Some(error) = link {
        if let Some(found) = error.downcast_ref() {
            return Some(found);
        }
        link = error.source();
    }
    None
}

/// The innermost cause: every layer above repeats the ones below in its own text.
fn root_of(error: &(dyn std::error::Error + 'static)) -> String {
    let mut link = error;
    while let Some(source) = link.source() {
        link = source;
    }
    link.to_string()
}

fn refusal_text(refusal: &Refusal) -> String {
    let Refusal { status, code, message, request_id, ec, endpoint, region, .. } = refusal;
    let mut text = format!("TOS answered HTTP {status}");
    if !code.is_empty() {
        text += &format!(" {code}");
    }
    if !message.is_empty() {
        text += &format!(": {message}");
    }
    if let Some(endpoint) = endpoint {
        text += &format!(" [endpoint {endpoint}]");
    }
    if let Some(region) = region {
        text += &format!(" [region {region}]");
    }
    if let Some(ec) = ec {
        text += &format!(" [ec {ec}]");
    }
    if let Some(id) = request_id {
        text += &format!(" [request id {id}]");
    }
    text
}

const _: () = assert!(size_of::<Error>() <= 96, "errors travel in every result");
