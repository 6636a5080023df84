//! The task of an export: submitted or found, and followed to its end.

use std::time::{Duration, Instant};

use tokio::time::timeout;
use viking_api::{
    Client, Collection, ErrorClass, ExportSpec, Poll, Retry, Task, TaskId, TaskState, TosPath,
};

use super::bucket::LazyBucket;
use super::options::Patience;
use super::submission::{Answer, Known, Step, Submission};
use super::{Run, spec_of};
use crate::error::{Error, RequestError, Result, TaskError, V2Option};
use crate::event::{Event, TaskProgress, Warning};
use crate::input::tell_listing;
use crate::record::{RowOptions, now, run_name};
use crate::session::Session;

/// The rows of an export wait no longer than this for a description of their collection.
const DESCRIBE_WITHIN: Duration = Duration::from_secs(10);
const DESCRIBE_RETRIES: u32 = 3;

impl Session {
    /// Submits an export, each to a folder of its own below `export.to`, and returns its task. Whoever loses the id
    /// finds it in the list of tasks.
    pub async fn submit(&self, export: &ExportSpec) -> Result<TaskId> {
        self.check_api(export)?;
        let run = run_name(&export.collection)?;
        let spec = ExportSpec { to: export.to.below(&run), ..export.clone() };
        let client = self.client().await?;
        let bucket = LazyBucket::new(self, spec.to.bucket(), None);
        check(self, &client, &bucket, &spec).await?;
        create(self, &client, &spec).await
    }

    /// Follows a task to its end, and returns what the service says of it then.
    pub async fn follow(&self, task: &TaskId, patience: Patience) -> Result<Task> {
        let client = self.client().await?;
        follow(self, &client, task, patience).await.map_err(Error::Service)
    }

    /// Where a task wrote, once it is done.
    pub async fn written_by(&self, task: &TaskId, patience: Patience) -> Result<TosPath> {
        let done = self.follow(task, patience).await?;
        match done.tos_path {
            Some(path) => Ok(TosPath::parse(&path)?),
            None => Err(TaskError::NoDestination { task: task.0.clone() }.into()),
        }
    }

    /// Refuses what the interface that is spoken does not know.
    pub(crate) fn check_api(&self, export: &ExportSpec) -> Result<()> {
        let is_v1 = self.service().address().api == viking_api::Api::V1;
        if is_v1 && !export.output_fields.is_empty() {
            return Err(RequestError::V2Only { option: V2Option::OutputFields }.into());
        }
        Ok(())
    }
}

/// What can be known to be wrong before a task is created: the collection is not there, or something is where
/// the export goes.
async fn check(
    session: &Session,
    client: &Client,
    bucket: &LazyBucket,
    spec: &ExportSpec,
) -> Result<Collection> {
    let collection = client.collection(&spec.collection).await?;
    let (name, rows) = (collection.name.clone(), collection.rows);
    session.tell(&Event::Collection { collection: name, rows });
    let bucket = bucket.open().await?;
    tell_listing(&spec.to, session.listener());
    match bucket.list(spec.to.prefix()).await {
        Ok(listing) if listing.objects.is_empty() && listing.refused.is_empty() => Ok(collection),
        Ok(listing) => {
            let count = listing.objects.len() + listing.refused.len();
            Err(RequestError::DestinationUsed { count, to: spec.to.clone() }.into())
        }
        // Whether the bucket has to be there is VikingDB's to say.
        Err(error) if error.class() == viking_fetch::ErrorClass::NotFound => Ok(collection),
        Err(error) => Err(error.into()),
    }
}

/// Creates the task and tells of it.
async fn create(session: &Session, client: &Client, spec: &ExportSpec) -> Result<TaskId> {
    let (collection, to) = (spec.collection.clone(), spec.to.to_string());
    session.tell(&Event::Submit { collection, to });
    let task = client.submit_export(spec).await?;
    session.tell(&Event::Submitted { task: task.0.clone() });
    Ok(task)
}

/// Follows a task to its end and tells of its states.
pub(super) async fn follow(
    session: &Session,
    client: &Client,
    task: &TaskId,
    patience: Patience,
) -> Result<Task, viking_api::Error> {
    let poll = polling(client).with_deadline(patience.timeout);
    let start = Instant::now();
    let (mut last, mut moved, mut is_warned) = (None, start, false);
    session.tell(&Event::Waiting { task: task.0.clone() });
    let mut seen = |task: &Task| {
        session.tell(&Event::Task(progress(task, start.elapsed())));
        let now = Some((task.state.clone(), task.percent, task.counts));
        if now != last {
            (last, moved, is_warned) = (now, Instant::now(), false);
        } else if moved.elapsed() >= patience.stall && !is_warned {
            is_warned = true;
            session.warn(Warning::Stalled {
                task: task.id.0.clone(),
                state: task.state.name().to_owned(),
                seconds: moved.elapsed().as_secs(),
            });
        }
    };
    let done = client.wait(task, poll, &mut seen).await?;
    if let Some(error) = &done.error {
        let (task, error) = (done.id.0.clone(), error.clone());
        session.warn(Warning::TaskDoneWithError { task, error });
    }
    Ok(done)
}

fn progress(task: &Task, waited: Duration) -> TaskProgress {
    TaskProgress {
        task: task.id.0.clone(),
        state: task.state.name().to_owned(),
        percent: task.percent,
        scanned: task.counts.scanned,
        matched: task.counts.matched,
        total: task.counts.total,
        ms: u64::try_from(waited.as_millis()).unwrap_or(u64::MAX),
    }
}

/// The embedded service and tests need no polite pauses.
fn polling(client: &Client) -> Poll {
    if client.is_local() {
        Poll::default().with_interval_min(Duration::from_millis(50))
    } else {
        Poll::default()
    }
}

/// The task of a run: the one that is known, the one that an interrupted submit left on the server, or a new
/// one. [`Submission`] decides; here it is done.
pub(super) async fn task(run: &mut Run<'_>, client: &Client) -> Result<TaskId> {
    let mut submission = Submission::new(Known {
        task: run.folder.receipt.task.clone().map(TaskId),
        is_submitted: run.folder.receipt.submitted.is_some(),
        new_task: run.options.new_task,
    });
    let mut failure = None;
    loop {
        let answer = match submission.step().clone() {
            Step::LookAt(task) => Answer::Alive(is_alive(client, &task).await?),
            Step::Find => Answer::Found(client.find_export(&run.spec).await?),
            Step::Rename => rename(run)?,
            Step::Check => {
                let collection = check(run.session, client, &run.bucket, &run.spec).await?;
                warn_of_columns(&collection, run.folder.receipt.rows.as_ref(), run.session);
                Answer::Done
            }
            Step::NoteSubmission => {
                run.folder.receipt.submitted = Some(now());
                run.folder.receipt.task = None;
                // The collection may have changed since the task before.
                run.folder.receipt.description = None;
                run.folder.save()?;
                Answer::Done
            }
            Step::Create => match create(run.session, client, &run.spec).await {
                Ok(task) => Answer::Created(task),
                Err(error) => {
                    let is_unclear =
                        matches!(error, Error::Service(viking_api::Error::Unclear { .. }));
                    failure = Some(error);
                    if is_unclear { Answer::Unclear } else { Answer::Refused }
                }
            },
            Step::ForgetSubmission => {
                run.folder.receipt.submitted = None;
                run.folder.save()?;
                Answer::Done
            }
            Step::NoteTask(task) => {
                run.folder.receipt.task = Some(task.0);
                run.folder.save()?;
                Answer::Done
            }
            Step::Follow(task) => return Ok(task),
            Step::GiveUp => {
                let time = run.folder.receipt.submitted.clone().unwrap_or_default();
                return Err(TaskError::Lost { time }.into());
            }
            Step::Fail => {
                let bug = || Error::Bug("a submission failed without an error".to_owned());
                return Err(failure.unwrap_or_else(bug));
            }
        };
        submission.answer(answer);
    }
}

/// Keeps what the service says of the collection. The rows wait for it a moment, and the run goes on without it.
pub(super) async fn describe(run: &mut Run<'_>, client: &Client) {
    let collection = run.spec.collection.clone();
    let session = run.session;
    let warn = |problem: String| {
        let collection = collection.clone();
        session.warn(Warning::NotDescribed { collection, problem });
    };
    let client = client.clone().retrying(Retry::default().with_times(DESCRIBE_RETRIES));
    let mut description = None;
    let ask = async {
        let described = description.insert(client.describe(&collection).await?);
        client.describe_indexes(described).await
    };
    match timeout(DESCRIBE_WITHIN, ask).await {
        Ok(Ok(())) => {}
        Ok(Err(error)) => warn(error.to_string()),
        Err(_) => warn(format!("no answer within {} s", DESCRIBE_WITHIN.as_secs())),
    }
    if let Some(description) = description {
        let saved = run.folder.describe(session.service().address().api, &description);
        saved.unwrap_or_else(|error| warn(error.to_string()));
    }
}

/// Should the task show up after all that was submitted before, its rows go to another place than those of a
/// new one.
fn rename(run: &mut Run<'_>) -> Result<Answer> {
    let name = run_name(&run.spec.collection)?;
    run.folder.receipt.run.clone_from(&name);
    run.spec = spec_of(&run.folder.receipt)?;
    Ok(Answer::Done)
}

/// Whether a task may still export something.
async fn is_alive(client: &Client, task: &TaskId) -> Result<bool> {
    match client.task(task).await {
        Ok(task) => Ok(!matches!(task.state, TaskState::Failed(_))),
        Err(error) if error.class() == ErrorClass::NotFound => Ok(false),
        Err(error) => Err(error.into()),
    }
}

/// Columns are asked for by names that the files decide on, long after this.
fn warn_of_columns(collection: &Collection, rows: Option<&RowOptions>, session: &Session) {
    let asked = rows.into_iter().flat_map(|rows| rows.columns.iter().chain(&rows.drop));
    let is_known = |column: &str| collection.fields.iter().any(|(name, _)| name == column);
    let whole_or_parts = |asked: &String| {
        let parts = asked.split(',').map(str::to_owned).collect();
        if is_known(asked) { Vec::new() } else { parts }
    };
    for column in asked.flat_map(whole_or_parts).filter(|column| !is_known(column)) {
        session.warn(Warning::NoField { collection: collection.name.clone(), column });
    }
}
