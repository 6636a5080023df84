//! How the program ends: the one table of exit codes.

use std::fmt;
use std::io;

use viking_export::ErrorClass;

/// Why the program ends as it does. The README prints this table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Exit {
    /// A bug on our side.
    Bug,
    /// Bad data: a count, checksum or schema that differs, a damaged file, a type or key we refuse.
    Data,
    /// Keys or permission were refused.
    Denied,
    /// Stopped by Ctrl-C; resumable.
    Interrupted,
    /// The local disk or the output failed.
    Local,
    /// The task is not finished, or waits for confirmation.
    NotFinished,
    /// The collection, task, object or path does not exist.
    NotFound,
    /// The task ended in `fail`.
    TaskFailed,
    /// Stopped by SIGTERM; resumable.
    Terminated,
    /// The service or the way to it failed after all retries; resumable.
    Transfer,
    /// Wrong usage or settings.
    Usage,
}

impl Exit {
    pub(crate) fn code(self) -> u8 {
        match self {
            Self::Bug => 1,
            Self::Usage => 2,
            Self::Denied => 3,
            Self::NotFound => 4,
            Self::TaskFailed => 5,
            Self::NotFinished => 6,
            Self::Transfer => 7,
            Self::Data => 8,
            Self::Local => 9,
            Self::Interrupted => 130,
            Self::Terminated => 143,
        }
    }
}

impl From<ErrorClass> for Exit {
    fn from(class: ErrorClass) -> Self {
        match class {
            ErrorClass::Bug => Self::Bug,
            ErrorClass::Data => Self::Data,
            ErrorClass::Denied => Self::Denied,
            ErrorClass::Local => Self::Local,
            ErrorClass::NotFinished => Self::NotFinished,
            ErrorClass::NotFound => Self::NotFound,
            ErrorClass::TaskFailed => Self::TaskFailed,
            ErrorClass::Transfer => Self::Transfer,
            ErrorClass::Usage => Self::Usage,
        }
    }
}

/// An error on its way out: what to say, and the exit code.
#[derive(Debug)]
pub(crate) struct Failure {
    pub(crate) exit: Exit,
    pub(crate) error: anyhow::Error,
    pub(crate) hints: Vec<String>,
    /// The command that resumes what failed.
    pub(crate) resume: Option<String>,
}

pub(crate) type Outcome<T> = Result<T, Failure>;

impl Failure {
    pub(crate) fn new(exit: Exit, error: impl Into<anyhow::Error>) -> Self {
        Self { exit, error: error.into(), hints: Vec::new(), resume: None }
    }

    /// A failure that is a sentence of ours.
    pub(crate) fn say(exit: Exit, text: impl fmt::Display) -> Self {
        Self::new(exit, anyhow::anyhow!("{text}"))
    }

    /// A failure of the local disk while doing `what`.
    pub(crate) fn local(what: impl fmt::Display, error: io::Error) -> Self {
        let exit =
            if error.kind() == io::ErrorKind::NotFound { Exit::NotFound } else { Exit::Local };
        Self::new(exit, anyhow::Error::new(error).context(what.to_string()))
    }

    #[must_use]
    pub(crate) fn hint(mut self, hint: impl fmt::Display) -> Self {
        self.hints.push(hint.to_string());
        self
    }

    /// Tells how to resume, where that may help.
    #[must_use]
    pub(crate) fn resumable(self, resume: impl Into<String>) -> Self {
        Self { resume: Some(resume.into()), ..self }
    }

    /// The error of the library, if it is one.
    pub(crate) fn cause(&self) -> Option<&viking_export::Error> {
        self.error.downcast_ref()
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:#}", self.error)
    }
}

impl From<viking_export::Error> for Failure {
    fn from(error: viking_export::Error) -> Self {
        Self::new(error.class().into(), error)
    }
}

impl From<viking_export::viking_api::Error> for Failure {
    fn from(error: viking_export::viking_api::Error) -> Self {
        viking_export::Error::from(error).into()
    }
}

impl From<viking_export::viking_fetch::Error> for Failure {
    fn from(error: viking_export::viking_fetch::Error) -> Self {
        viking_export::Error::from(error).into()
    }
}

impl From<viking_export::viking_reader::Error> for Failure {
    fn from(error: viking_export::viking_reader::Error) -> Self {
        viking_export::Error::from(error).into()
    }
}
