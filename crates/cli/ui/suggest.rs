//! What to do about a failure, in terms of the command line.

use std::io;

use viking_export::error::{
    CredentialsError, FolderError, OutputError, ProofError, RequestError, TaskError, V2Option,
};
use viking_export::viking_reader::Problem;
use viking_export::{Error, viking_api, viking_fetch, viking_reader};

use super::copy::{Commands, path_to_copy};
use super::failure::{Exit, Failure};

/// What makes most exports fail.
pub(crate) const GRANT_FIX: &str = "most often VikingDB may not write to the bucket, which must be in the collection's \
    region: grant it once, for exports at \
    https://console.volcengine.com/iam/service/attach_role/?ServiceName=ml_platform and for imports and \
    deletions at https://console.volcengine.com/iam/service/attach_role/?ServiceName=vikingdb";

/// What to do where stdout is closed.
pub(crate) const CLOSED_FIX: &str = "redirect it, or write the rows to a file with -o";

const RATE_LIMITED: &str = "the service limits the rate of calls; try again in a minute";
const EXPIRED: &str = "the temporary credentials have expired; get new ones and resume";

/// The failure with its message and its hints as the user of the command line needs them.
pub(crate) fn complete(failure: Failure, commands: &Commands) -> Failure {
    let resume = failure.resume.clone();
    let Some(error) = failure.cause() else { return with_resume(failure, resume.as_deref()) };
    let mut hints = hints(error, commands, resume.as_deref());
    let text = in_flags(error);
    let Failure { exit, error, hints: own, .. } = failure;
    hints.extend(own);
    let error = text.map_or(error, |text| anyhow::anyhow!("{text}"));
    with_resume(Failure { exit, error, hints, resume: None }, resume.as_deref())
}

/// Tells how to resume where that may help: not with data or commands that stay as they are.
fn with_resume(failure: Failure, resume: Option<&str>) -> Failure {
    let Some(resume) = resume else { return failure };
    let may_help =
        matches!(failure.exit, Exit::Transfer | Exit::NotFinished | Exit::Denied | Exit::Local);
    if may_help && !failure.hints.iter().any(|hint| hint.contains(resume)) {
        return failure.hint(format!("to resume: {resume}"));
    }
    failure
}

/// The message, where the command line has its own words for it.
fn in_flags(error: &Error) -> Option<String> {
    Some(match error {
        Error::Request(RequestError::PartialRun) => {
            "--clean and --discard need all rows, and -n and --offset leave some out".to_owned()
        }
        Error::Request(RequestError::ArrowOfJson) => {
            "--format arrow needs an export as Parquet".to_owned()
        }
        Error::Request(RequestError::ArrowOption { option }) => {
            format!("--{option} does not work with --format arrow")
        }
        Error::Request(RequestError::V2Only { option }) => match option {
            V2Option::OutputFields => "--output-fields needs --api v2".to_owned(),
            _ => "--project and --resource-id need --api v2".to_owned(),
        },
        Error::Reader(viking_reader::Error::ParquetOnly { file, option }) => {
            format!("--{option} does not work on the JSON export {file}")
        }
        _ => return None,
    })
}

fn hints(error: &Error, commands: &Commands, resume: Option<&str>) -> Vec<String> {
    let one = |hint: &str| vec![hint.to_owned()];
    match error {
        Error::ChangedTooOften { .. } => one("wait until nothing is written there any more"),
        Error::Credentials(error) => of_credentials(error).map(one).unwrap_or_default(),
        Error::Download(error) => {
            let mut hints: Vec<String> =
                of_transfer(&error.first).map(str::to_owned).into_iter().collect();
            hints.push(format!("{} more objects failed as well", error.others));
            hints
        }
        Error::Folder(error) => of_folder(error, commands),
        Error::Output(error) => of_output(error).map(one).unwrap_or_default(),
        Error::Proof(ProofError::Version { .. } | ProofError::ListedLate { .. }) => {
            one("resume the run")
        }
        Error::Reader(cause) => {
            let hint = error.transfer().and_then(of_transfer).or_else(|| of_reader(cause));
            hint.map(one).unwrap_or_default()
        }
        Error::RefusedKeys(keys) => {
            let mut hints =
                one("the others are complete; rename it in TOS, or download it with another tool");
            if keys.len() > 1 {
                hints.push(format!("{} more keys cannot be kept", keys.len() - 1));
            }
            hints
        }
        Error::Request(error) => of_request(error).map(one).unwrap_or_default(),
        Error::Follow(error) => {
            let mut hints = of_service(error, commands);
            if let Some(resume) = resume
                && matches!(
                    error.class(),
                    viking_api::ErrorClass::TaskFailed | viking_api::ErrorClass::NotFound
                )
            {
                hints.push(format!("once that is fixed, with a new task: {resume} --new-task"));
            }
            hints
        }
        Error::Service(error) => of_service(error, commands),
        Error::Task(error) => of_task(error, resume),
        Error::Transfer(error) => of_transfer(error).map(one).unwrap_or_default(),
        _ => Vec::new(),
    }
}

fn of_credentials(error: &CredentialsError) -> Option<&'static str> {
    Some(match error {
        CredentialsError::ControlCharacter { .. } => "set each part to one line of text",
        CredentialsError::Incomplete { .. } => {
            "set both, or neither: all parts of a key come from one place"
        }
        CredentialsError::NotFound => {
            "set VOLCENGINE_ACCESS_KEY and VOLCENGINE_SECRET_KEY, or log in with the vendor's `ve`; \
             to try it without an account, add --embedded"
        }
        CredentialsError::Profile { .. } => {
            "write it anew with the vendor's `ve configure`, or set VOLCENGINE_ACCESS_KEY"
        }
        CredentialsError::Role { .. } => {
            "check the variables VOLCENGINE_OIDC_* or VOLCENGINE_ECS_METADATA, and who may take the role"
        }
        _ => return None,
    })
}

fn of_folder(error: &FolderError, commands: &Commands) -> Vec<String> {
    let hint = match error {
        FolderError::Busy { .. } => "wait for it to finish, or stop it".to_owned(),
        FolderError::Cleaned { .. } | FolderError::Discarded { .. } => {
            "start a new run to get the rows again".to_owned()
        }
        FolderError::EmbeddedGone { .. } => {
            "start a new run with `run … --embedded` and another --dir".to_owned()
        }
        FolderError::FilesMissing { .. } => "download them again with the same fetch".to_owned(),
        FolderError::NotEmbedded { .. } => "leave out --embedded".to_owned(),
        FolderError::NotFinished { folder, fetched_from, is_partial } => {
            let dir = path_to_copy(folder);
            let way = match fetched_from {
                Some(from) => commands.to_copy(&["fetch", from, "--dir", &dir]),
                None if *is_partial => "the same run again, without -n and --offset".to_owned(),
                None => commands.to_copy(&["resume", &dir]),
            };
            format!("finish it first: {way}")
        }
        FolderError::NotListed { folder } => {
            format!("to resume: {}", commands.to_copy(&["resume", &path_to_copy(folder)]))
        }
        FolderError::OfFetch { folder, from } => {
            let fetch = commands.to_copy(&["fetch", from, "--dir", &path_to_copy(folder)]);
            format!("to continue: {fetch}")
        }
        FolderError::OfAnotherRequest { folder } => format!(
            "choose another --dir, or resume that one: {}",
            commands.to_copy(&["resume", &path_to_copy(folder)])
        ),
        FolderError::Unreadable { .. } => "name the folder that a run or a fetch made".to_owned(),
        FolderError::Used { .. } => "choose an empty or new folder for --dir".to_owned(),
        _ => return Vec::new(),
    };
    vec![hint]
}

fn of_output(error: &OutputError) -> Option<&'static str> {
    Some(match error {
        OutputError::Busy { .. } => "choose another -o",
        OutputError::Exists { .. } => "choose another -o, or add --force to replace it",
        OutputError::DanglingLink { .. } => "remove it, or choose another -o",
        OutputError::InRunFolder { .. } => "choose an -o outside of it",
        OutputError::MadeMeanwhile { .. } => "move it away and resume, or resume with another -o",
        OutputError::NameTooLong { .. } => "choose a shorter -o",
        OutputError::NotRegular { .. } => "use > for devices and pipes",
        OutputError::Unavailable { .. } => CLOSED_FIX,
        _ => return None,
    })
}

fn of_request(error: &RequestError) -> Option<&'static str> {
    Some(match error {
        RequestError::ArrowOption { .. } => "leave it out, or use --format jsonl",
        RequestError::DestinationUsed { .. } => "export to another place",
        RequestError::NewTaskNotNeeded => "leave out --new-task, or start a new run",
        RequestError::NoObjects { .. } => "check the path, and that the task is done",
        RequestError::PartialRun => "leave out one or the other",
        RequestError::V2Only { option: V2Option::OutputFields } => {
            "or choose columns while printing: -c"
        }
        _ => return None,
    })
}

fn of_task(error: &TaskError, resume: Option<&str>) -> Vec<String> {
    match (error, resume) {
        (TaskError::Empty { .. }, _) => {
            vec!["check --tos-endpoint and --region: they must be those of the bucket".to_owned()]
        }
        (TaskError::Lost { .. }, Some(resume)) => vec![
            format!("it may show up later; to look again: {resume}"),
            format!("if you are sure that there is none: {resume} --new-task"),
        ],
        _ => Vec::new(),
    }
}

fn of_service(error: &viking_api::Error, commands: &Commands) -> Vec<String> {
    use viking_api::Error;
    let hint = match error {
        Error::Refused(refusal) => {
            return of_refusal(refusal).map(str::to_owned).into_iter().collect();
        }
        Error::Failed { .. } => GRANT_FIX.to_owned(),
        Error::NeedsConfirmation { task } => {
            format!("look at it, then: {}", commands.to_copy(&["confirm", &task.0]))
        }
        Error::StillRunning { task, .. } => format!(
            "it continues on the server; to wait for it again: {}",
            commands.to_copy(&["wait", &task.0])
        ),
        Error::Unclear { .. } => {
            "the list of tasks may show it later; look there before you submit it again".to_owned()
        }
        _ => return Vec::new(),
    };
    vec![hint]
}

/// The fix for what VikingDB refuses most.
fn of_refusal(refusal: &viking_api::Refusal) -> Option<&'static str> {
    Some(match refusal.code.as_str() {
        "1000001" | "SignatureDoesNotMatch" | "InvalidAccessKey" => {
            "check the access key, the secret key and --region; all parts must come from one key pair"
        }
        "InvalidTimestamp" => "check the clock of this machine: signatures are good for 15 minutes",
        "ExpiredToken" | "InvalidSecurityToken" => EXPIRED,
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

/// The fix for an error of the download.
fn of_transfer(error: &viking_fetch::Error) -> Option<&'static str> {
    let refusal = error.refusal();
    let is_redirect = refusal.is_some_and(|refusal| (300..400).contains(&refusal.status));
    match refusal.map(|refusal| refusal.code.as_str()) {
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
        Some("ExpiredToken" | "InvalidSecurityToken") => Some(EXPIRED),
        Some("RequestTimeTooSkewed") => Some("check the clock of this machine"),
        Some("NoSuchBucket") => Some("create the bucket, or check its name and --region"),
        Some("CrossRegionAccessError") => Some("the bucket is in another region; check --region"),
        _ if is_full(error) => Some(
            "free some space, or choose a --dir on another disk, and run the same command again",
        ),
        _ => None,
    }
}

fn is_full(error: &viking_fetch::Error) -> bool {
    match error {
        viking_fetch::Error::NoSpace { .. } => true,
        viking_fetch::Error::Local { source, .. } => source.kind() == io::ErrorKind::StorageFull,
        _ => false,
    }
}

fn of_reader(error: &viking_reader::Error) -> Option<&'static str> {
    use viking_reader::Error as Reader;
    match error {
        Reader::SchemaChanged { .. } => Some(
            "-c NAMES prints the columns that they share, --allow-schema-change all of them as they are",
        ),
        Reader::ParquetOnly { .. } => Some("export the collection as Parquet to use it"),
        Reader::Value { problem: Problem::InvalidUtf8, .. } => {
            Some("--binary base64 or hex prints any value")
        }
        Reader::Value { problem: Problem::NonFinite, .. } => {
            Some("--nonfinite null or string prints it")
        }
        Reader::Value { problem: Problem::TooPrecise, .. } => {
            Some("without --floats f32 it is printed as it is stored")
        }
        Reader::Value { problem: Problem::Length, .. } => {
            Some("--vectors list takes lists of any length")
        }
        Reader::Value { problem: Problem::NullInVector, .. } => Some("--vectors array prints it"),
        _ => None,
    }
}

/// Whether a proxy between us and a service may be what failed, and not the service.
pub(crate) fn may_be_of_proxy(failure: &Failure) -> bool {
    let status = failure.cause().and_then(|error| match (error.service(), error.transfer()) {
        (Some(viking_api::Error::Refused(refusal)), _) => Some(refusal.status),
        (_, Some(error)) => error.refusal().map(|refusal| refusal.status),
        _ => None,
    });
    status == Some(407)
        || (failure.exit == Exit::Transfer && status.is_none_or(|status| status >= 500))
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
            ("ExpiredToken", 403, Exit::Denied, "temporary credentials have expired"),
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
            let error = viking_api::Error::Refused(Box::new(refusal));
            let failure = complete(Failure::from(error), &Commands::default());
            assert_eq!(failure.exit, exit, "{code}");
            assert!(failure.hints.iter().any(|hint| hint.contains(words)), "{code}: {failure:?}");
            let text = failure.error.to_string();
            for part in [code, "r-1", "l-1"] {
                assert!(text.contains(part), "{code}: {text}");
            }
        }
    }
}
