//! How the program ends: the one table of exit codes.

use std::fmt;
use std::io;
use std::sync::Arc;

use crate::copy::to_copy;

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

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:#}", self.error)
    }
}

/// An error on its way out: what to say, and the exit code.
#[derive(Debug)]
pub(crate) struct Failure {
    pub(crate) exit: Exit,
    pub(crate) error: anyhow::Error,
    pub(crate) hints: Vec<String>,
}

pub(crate) type Outcome<T> = Result<T, Failure>;

impl Failure {
    pub(crate) fn new(exit: Exit, error: impl Into<anyhow::Error>) -> Self {
        Self { exit, error: error.into(), hints: Vec::new() }
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
}

impl Failure {
    /// Whether a proxy between us and a service may be what failed, and not the service.
    pub(crate) fn may_be_of_proxy(&self) -> bool {
        let status = self.error.chain().find_map(|error| {
            match (error.downcast_ref(), error.downcast_ref::<viking_fetch::Error>()) {
                (Some(viking_api::Error::Refused(refusal)), _) => Some(refusal.status),
                (_, Some(error)) => error.refusal().map(|refusal| refusal.status),
                _ => None,
            }
        });
        status == Some(407)
            || (self.exit == Exit::Transfer && status.is_none_or(|status| status >= 500))
    }

    /// Tells how to go on where that may help: not with data or commands that stay as they are.
    pub(crate) fn resumable(self, go_on: &str) -> Self {
        match self.exit {
            _ if self.hints.iter().any(|hint| hint.contains(go_on)) => self,
            Exit::Transfer | Exit::NotFinished | Exit::Denied | Exit::Local => {
                self.hint(format!("go on: {go_on}"))
            }
            _ => self,
        }
    }
}

impl From<viking_api::Error> for Failure {
    fn from(error: viking_api::Error) -> Self {
        use viking_api::{Error, ErrorClass};
        let exit = match error.class() {
            ErrorClass::Denied => Exit::Denied,
            ErrorClass::NotFound => Exit::NotFound,
            ErrorClass::NotFinished => Exit::NotFinished,
            ErrorClass::Passing => Exit::Transfer,
            ErrorClass::TaskFailed => Exit::TaskFailed,
            ErrorClass::Usage => Exit::Usage,
        };
        let hint = match &error {
            Error::Refused(refusal) => refusal_hint(refusal).map(str::to_owned),
            Error::Failed { .. } => Some(GRANT_FIX.to_owned()),
            Error::NeedsConfirmation { task } => {
                Some(format!("look at it, then: {}", to_copy(&["confirm", &task.0])))
            }
            Error::StillRunning { task, .. } => Some(format!(
                "it goes on on the server; follow it again: {}",
                to_copy(&["wait", &task.0])
            )),
            Error::Unclear { .. } => Some(
                "the list of tasks may show it later; look there before you submit it again"
                    .to_owned(),
            ),
            _ => None,
        };
        let failure = Self::new(exit, error);
        hint.into_iter().fold(failure, Self::hint)
    }
}

/// What makes most exports fail.
pub(crate) const GRANT_FIX: &str = "most often VikingDB may not write to the bucket, which must be in the collection's \
    region: grant it once, for exports at \
    https://console.volcengine.com/iam/service/attach_role/?ServiceName=ml_platform and for imports and \
    deletions at https://console.volcengine.com/iam/service/attach_role/?ServiceName=vikingdb";

const RATE_LIMITED: &str = "the service limits the rate of calls; try again in a minute";

/// The fix for what VikingDB refuses most.
fn refusal_hint(refusal: &viking_api::Refusal) -> Option<&'static str> {
    Some(match refusal.code.as_str() {
        "1000001" | "SignatureDoesNotMatch" | "InvalidAccessKey" => {
            "check the access key, the secret key and --region; all parts must come from one key pair"
        }
        "InvalidTimestamp" => "check the clock of this machine: signatures are good for 15 minutes",
        "ExpiredToken" | "InvalidSecurityToken" => {
            "the temporary keys are over; get new ones and go on"
        }
        "1000002" | "LackPolicy" | "AccessDenied" => {
            "the key needs permission for VikingDB on this collection"
        }
        "1000005" | "NotFound.VikingdbCollection" => {
            "check the name of the collection and --region"
        }
        "1000019" | "InvalidParameter.FilterConds" => {
            "the filter names a field the collection does not have, or one of another type"
        }
        "1000029" => RATE_LIMITED,
        _ if refusal.status == 429 => RATE_LIMITED,
        "1000032" => "VikingDB is not activated for this account in this region",
        "1000033" => "the account is overdue",
        "1000035" | "NotFound.VikingdbTask" => "check the id of the task and --region",
        "ServiceNotFound" | "InvalidActionOrVersion" => "check --region and --endpoint",
        _ => return None,
    })
}

impl From<viking_fetch::Error> for Failure {
    fn from(error: viking_fetch::Error) -> Self {
        let (exit, hint) = meaning(&error);
        let failure = Self::new(exit, error);
        hint.into_iter().fold(failure, Self::hint)
    }
}

/// The exit code and the fix of an error of the download.
fn meaning(error: &viking_fetch::Error) -> (Exit, Option<&'static str>) {
    use viking_fetch::ErrorClass;
    let exit = match error.class() {
        ErrorClass::Data => Exit::Data,
        ErrorClass::Denied => Exit::Denied,
        ErrorClass::Local => Exit::Local,
        ErrorClass::NotFound => Exit::NotFound,
        ErrorClass::Passing => Exit::Transfer,
        ErrorClass::Usage => Exit::Usage,
    };
    let refusal = error.refusal();
    let is_redirect = refusal.is_some_and(|refusal| (300..400).contains(&refusal.status));
    let hint = match refusal.map(|refusal| refusal.code.as_str()) {
        _ if is_redirect => {
            Some("the bucket is elsewhere: set --region, or --tos-endpoint without the bucket")
        }
        Some("InvalidPathAccess") => {
            Some("leave the bucket out of --tos-endpoint, or leave --tos-endpoint out")
        }
        Some("SignatureDoesNotMatch" | "InvalidAccessKeyId") => {
            Some("check the keys of TOS and --region")
        }
        Some("AccessDenied") => Some("the key needs permission to list and read the bucket"),
        Some("ExpiredToken" | "InvalidSecurityToken") => {
            Some("the temporary keys are over; get new ones and go on")
        }
        Some("RequestTimeTooSkewed") => Some("check the clock of this machine"),
        Some("NoSuchBucket") => Some("make the bucket, or check its name and --region"),
        Some("CrossRegionAccessError") => Some("the bucket is in another region; check --region"),
        _ if is_full(error) => {
            Some("make room, or take a --dir on another disk, and run the same command again")
        }
        _ => None,
    };
    (exit, hint)
}

fn is_full(error: &viking_fetch::Error) -> bool {
    match error {
        viking_fetch::Error::NoSpace { .. } => true,
        viking_fetch::Error::Local { source, .. } => source.kind() == io::ErrorKind::StorageFull,
        _ => false,
    }
}

impl From<viking_reader::Error> for Failure {
    fn from(error: viking_reader::Error) -> Self {
        use viking_reader::ErrorClass;
        if let viking_reader::Error::Io { source, .. } = &error
            && let Some(cause) = source.get_ref()
            && let Some(cause) = cause.downcast_ref::<Arc<viking_fetch::Error>>()
        {
            let (exit, hint) = meaning(cause);
            return hint.into_iter().fold(Self::new(exit, error), Self::hint);
        }
        let hint = matches!(error, viking_reader::Error::SchemaChanged { .. }).then_some(
            "-c NAMES prints the columns that they share, --allow-schema-change all of them as they are",
        );
        let exit = match error.class() {
            ErrorClass::Data => Exit::Data,
            ErrorClass::Local => Exit::Local,
            ErrorClass::NotFound => Exit::NotFound,
            ErrorClass::Usage => Exit::Usage,
        };
        hint.into_iter().fold(Self::new(exit, error), Self::hint)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_refused_most_comes_with_its_fix_in_both_generations() {
        let cases = [
            ("1000001", 401, Exit::Denied, "one key pair"),
            ("SignatureDoesNotMatch", 401, Exit::Denied, "--region"),
            ("InvalidTimestamp", 400, Exit::Denied, "clock"),
            ("ExpiredToken", 403, Exit::Denied, "temporary keys are over"),
            ("1000002", 403, Exit::Denied, "permission"),
            ("AccessDenied", 403, Exit::Denied, "permission"),
            ("1000005", 404, Exit::NotFound, "name of the collection"),
            ("NotFound.VikingdbCollection", 404, Exit::NotFound, "name of the collection"),
            ("1000035", 404, Exit::NotFound, "id of the task"),
            ("NotFound.VikingdbTask", 404, Exit::NotFound, "id of the task"),
            ("1000029", 400, Exit::Transfer, "rate of calls"),
            ("AccountFlowLimitExceeded", 429, Exit::Transfer, "rate of calls"),
            ("1000032", 400, Exit::Denied, "not activated"),
            ("1000033", 400, Exit::Denied, "overdue"),
            ("ServiceNotFound", 404, Exit::Usage, "--endpoint"),
        ];
        for (code, status, exit, words) in cases {
            let refusal = viking_api::Refusal {
                call: "task/create",
                status,
                code: code.to_owned(),
                message: "no".to_owned(),
                request_id: Some("r-1".to_owned()),
                log_id: Some("l-1".to_owned()),
                retry_after: None,
            };
            let failure = Failure::from(viking_api::Error::Refused(Box::new(refusal)));
            assert_eq!(failure.exit, exit, "{code}");
            assert!(failure.hints.iter().any(|hint| hint.contains(words)), "{code}: {failure:?}");
            let text = failure.error.to_string();
            for part in [code, "r-1", "l-1"] {
                assert!(text.contains(part), "{code}: {text}");
            }
        }
    }
}
