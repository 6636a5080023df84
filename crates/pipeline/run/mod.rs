//! A run: submit → wait → list → download and print → prove. [`Steps`] decides what comes next; here it is done.

mod bucket;
mod delete;
mod download;
mod fetch;
mod meter;
mod options;
mod proof;
mod steps;
mod submission;
mod task;
mod verify;

use std::path::{Path, PathBuf};
use std::sync::{Arc, mpsc};
use std::time::Duration;

use viking_api::{Client, ExportSpec, FileType, Filter, Rows, Task, TosPath};
use viking_fetch::Lead;
use viking_reader::PrintFormat;

pub use delete::Deletion;
pub use fetch::FetchPlan;
pub use options::{Patience, RunOptions, TransferOptions};
pub use verify::VerifiedFile;

use crate::config::{Address, Service};
use crate::error::{Error, ErrorClass, FolderError, ProofError, RequestError, Result, TaskError};
use crate::event::{Event, Warning};
use crate::input::{Listed, list};
use crate::output::{Landing, Output, OutputOfRun, Printed, RowOutput, print};
use crate::record::{RESERVED_IN_RUNS, Receipt, Request, RowOptions, RunFolder, now, run_name};
use crate::session::Session;
use bucket::LazyBucket;
use meter::Meter;
use steps::{Answer, Facts, Refusal, Step, Steps};

/// How long an empty list after a task that exported rows is waited for to fill.
const EMPTY_PAUSES: [Duration; 3] =
    [Duration::from_secs(1), Duration::from_secs(2), Duration::from_secs(4)];

/// Stands in a receipt for the addresses of the embedded services.
const EMBEDDED: &str = "embedded";

/// A run while it is carried through.
pub(crate) struct Run<'a> {
    session: &'a Session,
    folder: &'a mut RunFolder,
    options: &'a RunOptions,
    rows: RowOptions,
    spec: ExportSpec,
    bucket: LazyBucket,
}

impl Session {
    /// Exports a collection, downloads the objects, prints their rows and proves them.
    ///
    /// `export.to` is where runs go; each gets a folder of its own below. `dir` is the run folder, the run's name
    /// in the working directory if `None`; a folder of an equal run is resumed.
    pub async fn run(
        &self,
        export: &ExportSpec,
        rows: &RowOptions,
        dir: Option<&Path>,
        options: &RunOptions,
        output: RowOutput,
    ) -> Result<RunFolder> {
        self.check_run(export, rows, options).await?;
        let request = Request::Run {
            collection: export.collection.clone(),
            filter: match &export.rows {
                Rows::All => None,
                Rows::Filtered(filter) => Some(filter.to_json()),
            },
            to: export.to.to_string(),
            file_type: export.file_type.name().to_owned(),
            output_fields: export.output_fields.clone(),
            address: address_of(self.service()),
        };
        let run = run_name(&export.collection)?;
        let dir = dir.map_or_else(|| PathBuf::from(&run), Path::to_owned);
        let mut folder = RunFolder::create(&dir, &run, request, Some(rows.clone()))?;
        let is_new = folder.receipt.tries == 0;
        let outcome = carry_through(self, &mut folder, options, output).await;
        // What is wrong with a request is mended and asked for anew, and not resumed.
        let is_wrong =
            |error: &Error| matches!(error.class(), ErrorClass::Usage | ErrorClass::NotFound);
        match outcome {
            Ok(()) => Ok(folder),
            Err(error) => {
                if is_new && is_wrong(&error) {
                    folder.remove_unused();
                }
                Err(error)
            }
        }
    }

    /// Refuses what is wrong with a run before anything is made or sent.
    pub async fn check_run(
        &self,
        export: &ExportSpec,
        rows: &RowOptions,
        options: &RunOptions,
    ) -> Result<()> {
        if rows.is_partial() && (options.delete_objects || options.discard_files) {
            return Err(RequestError::PartialRun.into());
        }
        self.check_api(export)?;
        if export.collection.is_empty() {
            return Err(RequestError::NoCollection.into());
        }
        rows.print_options()?;
        if rows.format == PrintFormat::ArrowStream && export.file_type == FileType::Json {
            return Err(RequestError::ArrowOfJson.into());
        }
        self.service().client().await?;
        self.bucket(export.to.bucket(), options.transfer.retries).await?;
        Ok(())
    }

    /// Resumes the run in the folder `dir` where it stopped.
    pub async fn resume(
        &self,
        dir: &Path,
        options: &RunOptions,
        output: RowOutput,
    ) -> Result<RunFolder> {
        let mut folder = RunFolder::open(dir)?;
        carry_through(self, &mut folder, options, output).await?;
        Ok(folder)
    }
}

/// The address of the embedded services is another one at each start, so it is not part of a request.
fn address_of(service: &Service) -> Address {
    let mut address = service.address().clone();
    if service.is_embedded() {
        address.endpoint = Some(EMBEDDED.to_owned());
        address.tos_endpoint = Some(EMBEDDED.to_owned());
    }
    address
}

/// Does what the receipt says is still to be done.
async fn carry_through(
    session: &Session,
    folder: &mut RunFolder,
    options: &RunOptions,
    mut output: RowOutput,
) -> Result<()> {
    let dir = folder.path.clone();
    let address = match &folder.receipt.request {
        Request::Run { address, .. } => address.clone(),
        Request::Fetch { from } => {
            return Err(FolderError::OfFetch { folder: dir, from: from.clone() }.into());
        }
    };
    let facts = facts(session, folder, options, &address);
    let mut steps = Steps::begin(facts).map_err(|refusal| refused(refusal, folder))?;
    let rows = folder.receipt.rows.clone().unwrap_or_default();
    let of = OutputOfRun { folder: &dir, run: &folder.receipt.run, rows: &rows };
    Output::check(&output, &of)?;
    session.tell(&Event::Run { dir });
    // What is asked from here on is asked where the run began.
    let session = &session.with_service(session.service().at(&address));
    folder.receipt.tries += 1;
    let spec = spec_of(&folder.receipt)?;
    let bucket = LazyBucket::new(session, spec.to.bucket(), options.transfer.retries)
        .reserving(&RESERVED_IN_RUNS);
    let mut run = Run { session, folder, options, rows, spec, bucket };
    run.step_through(&mut steps, &mut output).await
}

fn facts(session: &Session, folder: &RunFolder, options: &RunOptions, address: &Address) -> Facts {
    let Receipt { objects, finished, discarded, cleaned, tries, rows, .. } = &folder.receipt;
    Facts {
        is_listed: objects.is_some(),
        has_all: folder.has_all(),
        is_finished: finished.is_some(),
        is_discarded: discarded.is_some(),
        is_cleaned: cleaned.is_some(),
        is_resumed: *tries > 0,
        was_embedded: address.endpoint.as_deref() == Some(EMBEDDED),
        is_embedded: session.service().is_embedded(),
        is_partial: rows.as_ref().is_some_and(RowOptions::is_partial),
        new_task: options.new_task,
        deletes_objects: options.delete_objects,
        discards_files: options.discard_files,
    }
}

fn refused(refusal: Refusal, run: &RunFolder) -> Error {
    let folder = run.path.clone();
    let time = |time: &Option<String>| time.clone().unwrap_or_default();
    let error = match refusal {
        Refusal::Partial => return RequestError::PartialRun.into(),
        Refusal::NewTaskNotNeeded => return RequestError::NewTaskNotNeeded.into(),
        Refusal::EmbeddedGone => FolderError::EmbeddedGone { folder },
        Refusal::NotEmbedded => FolderError::NotEmbedded { folder },
        Refusal::Discarded => FolderError::Discarded { folder, time: time(&run.receipt.discarded) },
        Refusal::Cleaned => FolderError::Cleaned { folder, time: time(&run.receipt.cleaned) },
    };
    error.into()
}

impl Run<'_> {
    async fn step_through(&mut self, steps: &mut Steps, output: &mut RowOutput) -> Result<()> {
        let mut printed = None;
        loop {
            let missing = || Error::Bug("a step came before the rows were printed".to_owned());
            let answer = match steps.step() {
                Step::Export => {
                    self.export().await?;
                    Answer::Done
                }
                Step::ListAgain => {
                    self.list_again().await?;
                    Answer::Done
                }
                Step::Print { anew } => match self.print(output, anew).await {
                    Ok(now) => {
                        proof::warn(self.session, &now);
                        let is_cut_short = now.is_cut_short;
                        printed = Some(now);
                        let has_refused = !self.folder.refused.is_empty();
                        Answer::Printed { is_cut_short, has_refused }
                    }
                    Err(Error::Stale) if !anew => {
                        self.session.warn(Warning::OutputAnew);
                        Answer::Stale
                    }
                    Err(error) => return Err(error),
                },
                Step::ListMissing => {
                    printed.as_mut().ok_or_else(missing)?.output.keep()?;
                    let answer = self.list_missing(output.path().is_some()).await?;
                    // The file of the output is taken up again.
                    printed.take_if(|_| answer == Answer::New);
                    answer
                }
                Step::RefuseKeys => {
                    self.folder.save()?;
                    return Err(Error::RefusedKeys(self.folder.refused.clone()));
                }
                Step::GiveUp => return Err(Error::Stale),
                Step::End => return Ok(()),
                step => self.conclude(step, printed.as_mut().ok_or_else(missing)?).await?,
            };
            steps.answer(answer);
        }
    }

    /// Does a step that comes after all rows are printed.
    async fn conclude(&mut self, step: Step, printed: &mut Printed) -> Result<Answer> {
        match step {
            Step::Keep => {
                proof::note_rows(self.folder, printed);
                if self.options.delete_objects || self.options.discard_files {
                    self.session.warn(Warning::NothingDeleted);
                }
                self.folder.save()?;
            }
            Step::NamePartial => {
                proof::note_rows(self.folder, printed);
                printed.output.finish(printed.rows)?;
                printed.output.forget();
                self.folder.save()?;
            }
            Step::Prove => {
                proof::prove(self.folder, printed)?;
                if self.folder.receipt.matched.is_some_and(|matched| printed.rows < matched) {
                    return Ok(Answer::TooFew);
                }
            }
            Step::NameOutput => {
                proof::warn_of_count(self.session, self.folder, printed.rows);
                printed.output.finish(printed.rows)?;
            }
            Step::NoteProof => proof::note(self.folder, printed)?,
            Step::DeleteObjects => {
                delete::delete_proven(self.session, self.folder, &self.bucket).await?;
            }
            Step::DiscardFiles => self.folder.discard()?,
            Step::ForgetOutput => {
                printed.output.forget();
                proof::tell_done(self.session, self.folder, printed);
            }
            other => return Err(Error::Bug(format!("{other:?} is not a step of the end"))),
        }
        Ok(Answer::Done)
    }

    /// Lists once more after fewer rows came than the service counted. New objects can be printed if the output
    /// `is_file`.
    async fn list_missing(&mut self, is_file: bool) -> Result<Answer> {
        let objects = self.list_again().await?;
        if !self.folder.refused.is_empty() {
            return Err(Error::RefusedKeys(self.folder.refused.clone()));
        }
        match objects {
            0 => Ok(Answer::Done),
            _ if is_file => Ok(Answer::New),
            // What is printed has left, and the new rows may belong between it.
            _ => Err(ProofError::ListedLate { objects }.into()),
        }
    }

    /// Sees the task through to its end, and lists what it wrote.
    async fn export(&mut self) -> Result<()> {
        let client = self.session.client().await?;
        let task = task::task(self, &client).await?;
        if self.folder.receipt.description.is_none() {
            task::describe(self, &client).await;
        }
        let done = task::follow(self.session, &client, &task, self.options.patience).await;
        self.folder.receipt.retries.vikingdb += client.retries();
        self.count_retries();
        self.folder.save()?;
        let done = done.map_err(Error::Follow)?;
        self.folder.receipt.exported = Some(now());
        let mut listed =
            list(self.bucket.open().await?, &self.spec.to, self.session.listener()).await?;
        let mut pauses = EMPTY_PAUSES.iter();
        while listed.is_empty() {
            let Some(error) = unless_empty(&client, &done, &self.spec).await? else { break };
            let Some(pause) = pauses.next() else { return Err(error) };
            self.session.warn(Warning::Again { problem: error.to_string() });
            tokio::time::sleep(*pause).await;
            listed =
                list(self.bucket.open().await?, &self.spec.to, self.session.listener()).await?;
        }
        let receipt = &mut self.folder.receipt;
        receipt.listed = Some(now());
        receipt.objects = Some(listed.objects);
        receipt.matched = done.counts.matched;
        self.folder.refused = listed.refused;
        self.folder.save()
    }

    /// Lists once more, and tells what is another than before; returns how many objects are new.
    async fn list_again(&mut self) -> Result<usize> {
        let listed =
            list(self.bucket.open().await?, &self.spec.to, self.session.listener()).await?;
        let Listed { objects, refused } = listed;
        self.folder.refused = refused;
        let (new, gone) = self.folder.update_objects(objects)?;
        if new > 0 {
            self.session.warn(Warning::ObjectsNew { objects: new });
        }
        if gone > 0 {
            self.session.warn(Warning::ObjectsGone { objects: gone });
        }
        self.folder.receipt.listed = Some(now());
        self.folder.save()?;
        Ok(new)
    }

    /// Downloads and prints, and keeps in the receipt what is known then.
    async fn print(&mut self, target: &mut RowOutput, anew: bool) -> Result<Printed> {
        let (dir, run) = (self.folder.path.clone(), self.folder.receipt.run.clone());
        let of = OutputOfRun { folder: &dir, run: &run, rows: &self.rows };
        let meter = Arc::new(Meter::new(target.path().is_some()));
        let session = self.session.clone();
        let printed = match Output::of_run(target, &of, anew) {
            Ok(output) => {
                let work = self.load_and_print(output, &meter);
                meter.show(session.listener(), work).await
            }
            Err(error) => Err(error),
        };
        meter.note(self.folder);
        self.count_retries();
        if printed.is_err() {
            // What failed first is what to tell of: a full disk takes no receipt either.
            drop(self.folder.save());
        }
        printed
    }

    /// Downloads and prints at the same time.
    async fn load_and_print(&mut self, output: Output, meter: &Arc<Meter>) -> Result<Printed> {
        let (sender, landed) = mpsc::channel();
        let objects = self.folder.receipt.objects.as_deref().unwrap_or_default();
        let names: Vec<String> = objects.iter().map(|object| object.name.clone()).collect();
        let count = names.len();
        let lead = Lead::new(self.options.ahead_bytes.get());
        let versions = output.versions();
        let landing = Landing::new(self.folder.path.clone(), names, landed, lead.clone(), versions);
        let mut options = self.rows.print_options()?;
        let before = output.rows();
        if before > 0 {
            self.session.tell(&Event::ResumedRows { rows: before });
            options.offset += before;
            options.limit = options.limit.map(|limit| limit.saturating_sub(before));
        }
        let (stop, watched) = (self.session.stop().clone(), Arc::clone(meter));
        let mut printing = tokio::task::spawn_blocking(move || {
            print(landing, false, options, output, &stop, &watched.rows)
        });
        let transfer = self.options.transfer.fetch_options(Some(lead));
        let target = download::Target { session: self.session, bucket: &self.bucket, meter };
        let loading = download::load(target, self.folder, &transfer, Some(sender));
        let mut loading = Box::pin(loading);
        let whole = move |printed: Printed| Printed { rows: printed.rows + before, ..printed };
        let bug = |error: tokio::task::JoinError| Error::Bug(error.to_string());
        tokio::select! {
            printed = &mut printing => {
                let printed = printed.map_err(bug)??;
                // With all rows out, the download has only its last steps to do; cut short, or with
                // the limit reached, the rest of it is of no use.
                if printed.files.len() == count && !printed.is_cut_short {
                    loading.await?;
                }
                Ok(whole(printed))
            }
            loaded = &mut loading => {
                // The sender has to go for the printing to end.
                drop(loading);
                let printed = printing.await.map_err(bug)?;
                loaded?;
                printed.map(whole)
            }
        }
    }

    fn count_retries(&mut self) {
        self.folder.receipt.retries.tos += self.bucket.take_retries();
    }
}

/// What is wrong with finding nothing after a task is done; nothing, if there was nothing to be had.
async fn unless_empty(client: &Client, done: &Task, spec: &ExportSpec) -> Result<Option<Error>> {
    let matched = done.counts.matched;
    let (is_empty, rows) = match &spec.rows {
        Rows::Filtered(_) => (matched == Some(0), matched),
        // A service need not count what matches where nothing was filtered.
        Rows::All => {
            let known = [client.collection(&spec.collection).await?.rows, done.counts.total];
            let rows = known.iter().chain([&matched]).flatten().copied().max();
            (rows == Some(0) && known.contains(&Some(0)), rows)
        }
    };
    if is_empty {
        return Ok(None);
    }
    let (task, to) = (done.id.0.clone(), spec.to.clone());
    Ok(Some(TaskError::Empty { task, rows, to }.into()))
}

/// The export of a receipt.
fn spec_of(receipt: &Receipt) -> Result<ExportSpec> {
    let Request::Run { collection, filter, to, file_type, output_fields, .. } = &receipt.request
    else {
        return Err(Error::Bug("only runs have an export".to_owned()));
    };
    let rows = match filter {
        Some(filter) => {
            Rows::Filtered(Filter::parse(&filter.to_string()).map_err(viking_api::Error::from)?)
        }
        None => Rows::All,
    };
    Ok(ExportSpec {
        collection: collection.clone(),
        rows,
        to: TosPath::parse(to)?.below(&receipt.run),
        file_type: if file_type == FileType::Json.name() {
            FileType::Json
        } else {
            FileType::Parquet
        },
        output_fields: output_fields.clone(),
    })
}
