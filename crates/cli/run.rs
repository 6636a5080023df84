//! The verbs run and resume: submit → wait → list → download and print → prove.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc;

use serde_json::json;
use viking_api::{Client, ExportSpec, FileType, Filter, Rows, Task, TaskId, TosPath};
use viking_fetch::{Bucket, Lead};

use crate::Context;
use crate::args::{GoingArgs, ResumeArgs, RowArgs, RunArgs};
use crate::download::{Meter, list, load, same_again};
use crate::exit::{Exit, Failure, Outcome};
use crate::output::{Output, print_text};
use crate::printing::{Landing, Printed, print};
use crate::proof::prove;
use crate::receipt::{ObjectRecord, Request, now};
use crate::run_folder::{RunFolder, run_name};
use crate::settings::{Address, Service, fetch_options, print_options};
use crate::task::{check, create, file_type, follow, rows};
use crate::values::Format;

/// Stands in a receipt for the addresses of the embedded services.
const EMBEDDED: &str = "embedded";

/// `run`.
pub(crate) async fn run(context: &Context, args: &RunArgs) -> Outcome<()> {
    let filter = match rows(&args.export, context)? {
        Rows::All => None,
        Rows::Filtered(filter) => Some(filter.to_json()),
    };
    let request = Request::Run {
        collection: args.export.collection.clone(),
        filter,
        to: TosPath::parse(&args.export.to)?.to_string(),
        file_type: file_type(&args.export).name().to_owned(),
        output_fields: args.export.output_fields.clone(),
        address: address_of(&context.service),
    };
    let run = run_name(&args.export.collection)?;
    // What is wrong with the settings is said before anything is made.
    print_options(&args.rows)?;
    if args.rows.format == Format::Arrow && file_type(&args.export) == FileType::Json {
        return Err(Failure::say(Exit::Usage, "--format arrow needs an export as Parquet"));
    }
    let to = TosPath::parse(&args.export.to)?;
    context.service.client()?;
    context.service.bucket(to.bucket(), args.going.transfer.retries)?;
    if args.dry_run {
        return plan(context, args, &to).await;
    }
    Output::check(&args.going.output)?;
    let dir = args.dir.clone().unwrap_or_else(|| PathBuf::from(&run));
    let folder = RunFolder::create(&dir, &run, request, Some(args.rows.clone()))?;
    go_on(context, folder, &args.going).await
}

/// Tells what would be exported.
async fn plan(context: &Context, args: &RunArgs, to: &TosPath) -> Outcome<()> {
    let collection = context.client()?.collection(&args.export.collection).await?;
    let rows = collection.rows.map_or("unknown".to_owned(), |rows| rows.to_string());
    let which = if args.export.all { "all" } else { "those that satisfy the filter" };
    let type_ = file_type(&args.export).name();
    print_text(&format!(
        "collection: {}\nrows in it (an estimate): {rows}\nrows to export: {which}\nto: {to}/RUN\nas: {type_}\n",
        collection.name
    ))
}

/// `resume`.
pub(crate) async fn resume(context: &Context, args: &ResumeArgs) -> Outcome<()> {
    let folder = RunFolder::open(&args.dir)?;
    go_on(context, folder, &args.going).await
}

/// The address of the embedded services is another one at each start, so it is not part of a request.
fn address_of(service: &Service) -> Address {
    let mut address = service.address.clone();
    if service.is_embedded() {
        address.endpoint = Some(EMBEDDED.to_owned());
        address.tos_endpoint = Some(EMBEDDED.to_owned());
    }
    address
}

/// The command that goes on with a run as it was begun.
fn resume_command(context: &Context, dir: &Path, going: &GoingArgs) -> String {
    let mut words = vec!["viking-export".into(), "resume".into(), dir.display().to_string()];
    if let Some(output) = &going.output.output {
        words.extend(["-o".into(), output.display().to_string()]);
    }
    if going.discard {
        words.push("--discard".into());
    }
    if going.clean {
        words.push("--clean".into());
    }
    let quoted = words.iter().map(|word| shlex::try_quote(word).unwrap_or(word.into()));
    quoted.collect::<Vec<_>>().join(" ") + &same_again(context, &going.transfer)
}

/// Does what the receipt says is still to be done.
async fn go_on(context: &Context, mut folder: RunFolder, going: &GoingArgs) -> Outcome<()> {
    let rows = folder.receipt.rows.clone().unwrap_or_default();
    let output = Output::of_run(&going.output, Some((&folder.path, &rows)))?;
    let report = &context.report;
    let dir = folder.path.display().to_string();
    let resume = format!("go on: {}", resume_command(context, &folder.path, going));
    let text = format!("the run folder is {dir}; after a stop {resume}");
    report.note("run", &text, json!({"dir": dir}));
    context.detach.set(vec![resume.clone()]);
    let (mut spec, service) = match &folder.receipt.request {
        Request::Fetch { from } => {
            let text = format!("{dir} is a folder of fetch, which prints no rows");
            return Err(Failure::say(Exit::Usage, text)
                .hint(format!("go on with: viking-export fetch {from} --dir {dir}")));
        }
        request @ Request::Run { address, .. } => {
            let mut service = context.service.clone();
            service.go_to(address);
            let is_over = address.endpoint.as_deref() == Some(EMBEDDED) && !service.is_embedded();
            if is_over && !folder.has_all() {
                let text = format!("{dir} was a run on the embedded service, which is gone");
                return Err(
                    Failure::say(Exit::Usage, text).hint("start it anew with `run … --embedded`")
                );
            }
            (spec(request, &folder.receipt.run)?, service)
        }
    };
    // What is asked from here on is asked where the run began.
    let context = &Context { service, ..context.clone() };
    let service = &context.service;
    let name = spec.to.bucket().to_owned();
    let open = || service.bucket(&name, going.transfer.retries);
    folder.receipt.tries += 1;
    if folder.receipt.objects.is_none() {
        export(context, &mut spec, &mut folder, going, &open, &resume).await?;
        context.detach.set(vec![resume]);
    }
    let meter = Arc::new(Meter::new(going.output.is_file()));
    let work = load_and_print(context, &mut folder, &open, going, output, &meter);
    let printed = meter.show(report, work).await;
    meter.note(&mut folder);
    folder.receipt.retries.tos += service.take_retries();
    match printed {
        Ok(printed) => prove(context, &mut folder, &printed, going).await,
        Err(failure) => {
            // What failed first is what to tell of: a full disk takes no receipt either.
            drop(folder.save());
            Err(failure)
        }
    }
}

/// Sees the task through to its end, and lists what it wrote.
async fn export(
    context: &Context,
    spec: &mut ExportSpec,
    folder: &mut RunFolder,
    going: &GoingArgs,
    open: &(dyn Fn() -> Outcome<Bucket> + Sync),
    resume: &str,
) -> Outcome<()> {
    let patience = going.patience;
    let report = &context.report;
    let client = context.service.client()?;
    let url = client.url();
    report.note("connect", &format!("asking VikingDB at {url}"), json!({"url": url}));
    let task = task(&client, spec, folder, context).await?;
    context.detach.set(vec![
        format!("task {task} goes on on the server"),
        resume.to_owned(),
        format!("end it: viking-export cancel {task}"),
    ]);
    let done = follow(&client, &task, patience, report).await;
    folder.receipt.retries.vikingdb += client.retries();
    folder.receipt.retries.tos += context.service.take_retries();
    folder.save()?;
    let done = done?;
    folder.receipt.exported = Some(now());
    let objects = list(&open()?, &spec.to, report).await?;
    if objects.is_empty() {
        refuse_empty(&done, &spec.to)?;
    }
    folder.receipt.listed = Some(now());
    folder.receipt.objects = Some(objects);
    folder.receipt.matched = done.counts.matched;
    folder.save()
}

/// The task of this run: the one that is known, the one that an interrupted submit left on the
/// server, or a new one.
async fn task(
    client: &Client,
    spec: &mut ExportSpec,
    folder: &mut RunFolder,
    context: &Context,
) -> Outcome<TaskId> {
    if let Some(task) = &folder.receipt.task {
        return Ok(TaskId(task.clone()));
    }
    let left = match folder.receipt.submitted {
        Some(_) => client.find_export(spec).await?,
        None => None,
    };
    let task = match left {
        Some(task) => task,
        None => submit(client, spec, folder, context).await?,
    };
    folder.receipt.task = Some(task.0.clone());
    folder.save()?;
    Ok(task)
}

/// Creates the task. The receipt says so before and after: a stop in between leaves a task that is
/// looked for, and should it show up late, its rows go to another place than those of a new one.
async fn submit(
    client: &Client,
    spec: &mut ExportSpec,
    folder: &mut RunFolder,
    context: &Context,
) -> Outcome<TaskId> {
    if folder.receipt.submitted.is_some() {
        let run = run_name(&spec.collection)?;
        folder.receipt.run.clone_from(&run);
        *spec = self::spec(&folder.receipt.request, &run)?;
    }
    check(context, client, spec).await?;
    folder.receipt.submitted = Some(now());
    folder.save()?;
    let created = client_error(create(client, spec, &context.report).await);
    if let Err((true, _)) = &created {
        folder.receipt.submitted = None;
        folder.save()?;
    }
    created.map_err(|(_, failure)| failure)
}

/// Whether a failure is the service's clear word that there is no task.
fn client_error(created: Outcome<TaskId>) -> Result<TaskId, (bool, Failure)> {
    created.map_err(|failure| {
        let error = failure.error.downcast_ref();
        (matches!(error, Some(viking_api::Error::Refused(_))), failure)
    })
}

/// An empty list after a finished task is right only where no row matched.
fn refuse_empty(done: &Task, to: &TosPath) -> Outcome<()> {
    match done.counts.matched {
        Some(0) => Ok(()),
        matched => {
            let rows = matched.map_or("an unknown number of".to_owned(), |rows| rows.to_string());
            let text = format!("task {} is done with {rows} rows, but {to} is empty", done.id);
            Err(Failure::say(Exit::NotFound, text)
                .hint("check --tos-endpoint and --region: they must be those of the bucket"))
        }
    }
}

/// Downloads and prints at the same time.
async fn load_and_print(
    context: &Context,
    folder: &mut RunFolder,
    open: &(dyn Fn() -> Outcome<Bucket> + Sync),
    going: &GoingArgs,
    output: Output,
    meter: &Arc<Meter>,
) -> Outcome<Printed> {
    let (sender, landed) = mpsc::channel();
    let objects = folder.receipt.objects.as_deref().unwrap_or_default();
    let names: Vec<String> = objects.iter().map(|object| object.name.clone()).collect();
    let count = names.len();
    let lead = Lead::new(going.ahead.get());
    let missing = |object: &ObjectRecord| if folder.has(object) { 0 } else { object.size };
    let missing = objects.iter().map(missing).collect();
    let landing = Landing::new(folder.path.clone(), names, landed, lead.clone(), missing);
    let mut options = print_options(folder.receipt.rows.as_ref().unwrap_or(&RowArgs::default()))?;
    let is_partial = options.limit.is_some() || options.offset > 0;
    let before = output.rows();
    if before > 0 {
        let text = format!("{before} rows are in the output already, going on behind them");
        context.report.note("resumed rows", &text, json!({"rows": before}));
        options.offset += before;
        options.limit = options.limit.map(|limit| limit.saturating_sub(before));
    }
    let (stop, watched) = (context.stop.clone(), Arc::clone(meter));
    let mut printing =
        tokio::task::spawn_blocking(move || print(landing, options, output, &stop, &watched.rows));
    let transfer = fetch_options(&going.transfer, Some(lead));
    let loading = load(open, folder, &transfer, meter, &context.report, Some(sender));
    let mut loading = Box::pin(loading);
    let whole =
        move |printed: Printed| Printed { rows: printed.rows + before, is_partial, ..printed };
    let bug = |error| Failure::new(Exit::Bug, error);
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

/// The export of a receipt.
fn spec(request: &Request, run: &str) -> Outcome<ExportSpec> {
    let Request::Run { collection, filter, to, file_type, output_fields, .. } = request else {
        return Err(Failure::say(Exit::Bug, "only runs have an export"));
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
        to: TosPath::parse(to)?.below(run),
        file_type: if file_type == FileType::Json.name() {
            FileType::Json
        } else {
            FileType::Parquet
        },
        output_fields: output_fields.clone(),
    })
}
