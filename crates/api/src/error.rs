//! What can go wrong between us and VikingDB.

use std::time::Duration;

use viking_credentials::Unavailable;

use crate::filter::FilterError;
use crate::task::TaskId;

/// Who has to act on an [`Error`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ErrorClass {
    /// Keys or permission were refused.
    Denied,
    /// The collection or task does not exist.
    NotFound,
    /// The task has not finished, or waits for a person.
    NotFinished,
    /// The service or the way to it failed for now.
    Passing,
    /// The task ended in `fail`.
    TaskFailed,
    /// The request was wrong.
    Usage,
}

/// The service's own word on why it did not do what we asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// The call, for example `task/create`.
    pub call: &'static str,
    /// The HTTP status.
    pub status: u16,
    /// The service's code: a number in V1, words in V2 and from the gateway; empty if it gave none.
    pub code: String,
    /// The service's message.
    pub message: String,
    /// The id to quote to the vendor's support.
    pub request_id: Option<String>,
    /// `X-Tt-Logid`, the other id the vendor's support asks for.
    pub log_id: Option<String>,
    /// How long the service asks us to wait.
    pub retry_after: Option<Duration>,
}

/// An error of this crate. Messages leave the cause to `source()`.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The answer was not what the interface promises.
    #[error("{call}: the answer of the service cannot be understood: {detail}")]
    Answer {
        /// The call.
        call: &'static str,
        /// What is wrong with it.
        detail: String,
    },
    /// The address of the service is unusable.
    #[error("the endpoint {endpoint:?} cannot be used: {problem}")]
    Endpoint {
        /// As given.
        endpoint: String,
        /// What is wrong with it.
        problem: &'static str,
    },
    /// The task ended without a result.
    #[error("task {task} ended in `{state}`: {message}")]
    Failed {
        /// The task.
        task: TaskId,
        /// The state as the service spells it.
        state: String,
        /// The service's reason.
        message: String,
    },
    /// The filter is malformed.
    #[error("the filter is not valid")]
    Filter(#[from] FilterError),
    /// The task waits for a person to confirm it.
    #[error("task {task} waits for confirmation")]
    NeedsConfirmation {
        /// The task.
        task: TaskId,
    },
    /// The source of credentials has none.
    #[error("there are no credentials for VikingDB")]
    NoCredentials(#[source] Unavailable),
    /// The service refused.
    #[error("{}", refusal_text(.0))]
    Refused(Box<Refusal>),
    /// The deadline of a wait passed first.
    #[error("task {task} is still `{state}` after {} s", waited.as_secs())]
    StillRunning {
        /// The task.
        task: TaskId,
        /// Its last state.
        state: String,
        /// How long we waited.
        waited: Duration,
    },
    /// The path in object storage is malformed.
    #[error("{path:?} is not a path in object storage: {problem}")]
    TosPath {
        /// As given.
        path: String,
        /// What is wrong with it.
        problem: &'static str,
    },
    /// The request did not arrive, or its answer did not.
    #[error("{call}: no answer from {host}")]
    Transport {
        /// The call.
        call: &'static str,
        /// The host.
        host: String,
        /// The cause, without the URL.
        #[source]
        source: Box<reqwest::Error>,
    },
    /// Whether the task was created is not known, and it is not in the list of tasks.
    #[error(
        "the task may or may not have been created: no clear answer came, and the list of tasks shows none that writes to {tos_path}"
    )]
    Unclear {
        /// Where it would write.
        tos_path: String,
        /// What happened to the request.
        #[source]
        source: Box<Error>,
    },
}

impl Error {
    /// Who has to act.
    pub fn class(&self) -> ErrorClass {
        match self {
            Self::Endpoint { .. } | Self::Filter(_) | Self::TosPath { .. } => ErrorClass::Usage,
            Self::Failed { .. } => ErrorClass::TaskFailed,
            Self::NoCredentials(why) if why.is_passing() => ErrorClass::Passing,
            Self::NoCredentials(_) => ErrorClass::Denied,
            Self::NeedsConfirmation { .. } | Self::StillRunning { .. } => ErrorClass::NotFinished,
            Self::Answer { .. } | Self::Transport { .. } | Self::Unclear { .. } => {
                ErrorClass::Passing
            }
            Self::Refused(refusal) => refusal.class(),
        }
    }

    /// The request id to quote to the vendor's support.
    pub fn request_id(&self) -> Option<&str> {
        match self {
            Self::Refused(refusal) => refusal.request_id.as_deref(),
            _ => None,
        }
    }

    /// Whether asking again may help.
    pub(crate) fn is_passing(&self) -> bool {
        match self {
            Self::Answer { .. } | Self::Transport { .. } => true,
            Self::NoCredentials(why) => why.is_passing(),
            Self::Refused(refusal) => refusal.class() == ErrorClass::Passing,
            _ => false,
        }
    }

    /// The service wants to be told more.
    pub(crate) fn is_missing_parameter(&self) -> bool {
        matches!(self, Self::Refused(refusal) if refusal.code.starts_with("MissingParameter"))
    }

    /// Something answered with HTTP 200, but not as a service does that works.
    pub(crate) fn is_unusable_answer(&self) -> bool {
        match self {
            Self::Answer { .. } => true,
            Self::Refused(refusal) => {
                (200..300).contains(&refusal.status) && !refusal.is_rate_limited()
            }
            _ => false,
        }
    }

    /// Whether the service may have acted on the request all the same.
    pub(crate) fn is_unclear(&self) -> bool {
        match self {
            // Before a connection stands nothing can have been accepted.
            Self::Transport { source, .. } => !source.is_connect(),
            Self::Answer { .. } => true,
            // A limited rate is refused before anything is done.
            Self::Refused(refusal) if refusal.is_rate_limited() => false,
            Self::Refused(refusal) => {
                refusal.status >= 500 || refusal.class() == ErrorClass::Passing
            }
            _ => false,
        }
    }
}

impl Refusal {
    /// The rate of calls is limited: nothing was done.
    fn is_rate_limited(&self) -> bool {
        self.code == "1000029" || self.status == 429
    }

    /// Temporary keys are over.
    pub(crate) fn is_expired(&self) -> bool {
        matches!(self.code.as_str(), "ExpiredToken" | "InvalidSecurityToken")
    }

    /// Who has to act. The service's code decides; the HTTP status only where there is none that
    /// is known, since the statuses of V1 are not documented.
    pub fn class(&self) -> ErrorClass {
        match self.code.as_str() {
            // Not authenticated, no permission, token mismatch, not activated, overdue.
            "1000001" | "1000002" | "1000015" | "1000032" | "1000033" => ErrorClass::Denied,
            "InvalidTimestamp"
            | "InvalidAccessKey"
            | "SignatureDoesNotMatch"
            | "LackPolicy"
            | "AccessDenied"
            | "ExpiredToken"
            | "InvalidSecurityToken" => ErrorClass::Denied,
            // Collection, alias, index, task.
            "1000005" | "1000008" | "1000031" | "1000035" => ErrorClass::NotFound,
            // Internal, rate limited, HTTP error inside the service.
            "1000028" | "1000029" | "1000034" => ErrorClass::Passing,
            "InternalError" | "InternalServiceTimeout" => ErrorClass::Passing,
            "ServiceNotFound" | "InvalidActionOrVersion" => ErrorClass::Usage,
            code if code.starts_with("NotFound.") => ErrorClass::NotFound,
            code if code.len() == 7 && code.starts_with("10000") => ErrorClass::Usage,
            _ => match self.status {
                401 | 403 => ErrorClass::Denied,
                404 => ErrorClass::NotFound,
                408 | 429 | 500.. => ErrorClass::Passing,
                _ => ErrorClass::Usage,
            },
        }
    }
}

fn refusal_text(refusal: &Refusal) -> String {
    let Refusal { call, status, code, message, .. } = refusal;
    let mut text = format!("VikingDB refused {call} (HTTP {status}");
    if !code.is_empty() {
        text += &format!(", code {code}");
    }
    text += &format!("): {message}");
    if let Some(id) = &refusal.request_id {
        text += &format!(" [request id {id}]");
    }
    if let Some(id) = &refusal.log_id {
        text += &format!(" [log id {id}]");
    }
    text
}

const _: () = assert!(size_of::<Error>() <= 80, "errors travel in every result");
