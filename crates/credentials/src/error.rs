//! Why there are no credentials.

use std::error::Error;
use std::fmt;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;

/// Why a role gives no credentials. No message holds a token or a secret.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RoleError {
    /// The file of an OIDC token cannot be read, or is empty.
    #[error("the OIDC token in {} cannot be read", path.display())]
    TokenFile {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The address is none that a secret may be sent to.
    #[error("{url} is no address of https, nor of this machine")]
    Address {
        /// The address.
        url: String,
    },
    /// No answer came.
    #[error("no answer from {host}")]
    Unreachable {
        /// The host.
        host: String,
        /// Why.
        source: reqwest::Error,
    },
    /// The service refused, or answered what makes no sense.
    #[error("{host} answered {status}: {detail}")]
    Answer {
        /// The host.
        host: String,
        /// The status of HTTP.
        status: u16,
        /// What is known of it.
        detail: String,
    },
}

impl RoleError {
    /// Whether nothing answers at the address, or something else than what was looked for.
    pub fn is_elsewhere(&self) -> bool {
        matches!(self, Self::Unreachable { .. } | Self::Answer { status: 404, .. })
    }

    /// Whether the same request may be answered later.
    pub fn is_passing(&self) -> bool {
        match self {
            Self::Unreachable { .. } => true,
            Self::Answer { status, .. } => *status == 429 || *status >= 500,
            _ => false,
        }
    }
}

/// Why a source has no credentials now.
#[derive(Debug, Clone)]
pub struct Unavailable {
    cause: Arc<dyn Error + Send + Sync>,
    is_passing: bool,
}

impl Unavailable {
    /// `is_passing` says that asking again may help.
    pub fn new(cause: impl Into<Box<dyn Error + Send + Sync>>, is_passing: bool) -> Self {
        Self { cause: Arc::from(cause.into()), is_passing }
    }

    /// Whether asking again may help.
    pub fn is_passing(&self) -> bool {
        self.is_passing
    }
}

impl fmt::Display for Unavailable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.cause.fmt(f)
    }
}

impl Error for Unavailable {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.cause.source()
    }
}
