//! The verbs run and resume: submit → wait → list → download and print → prove.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::mpsc;
use std::time::Duration;

use serde_json::json;
use viking_api::{
    Client, Collection, ErrorClass, ExportSpec, FileType, Filter, Rows, Task, TaskId, TaskState,
    TosPath,
};
use viking_fetch::{Bucket, Lead};

use crate::Context;
use crate::args::{GoingArgs, ResumeArgs, RowArgs, RunArgs};
use crate::copy::{path_to_copy, to_copy};
use crate::download::{Meter, load, same_again};
use crate::exit::{Exit, Failure, Outcome};
use crate::output::{Output, OutputOfRun, print_text};
use crate::places::{Listed, list, refused_keys};
use crate::printing::{Landing, Printed, print};
use crate::proof::prove;
use crate::receipt::{Receipt, Request, now};
use crate::run_folder::{RunFolder, run_name};
use crate::settings::{Address, Service, fetch_options, print_options};
use crate::task::{check, create, file_type, follow, rows};
use crate::values::Format;
use crate::versions::Stale;

/// How long an empty list after a task that exported rows is waited for to fill.
const EMPTY_PAUSES: [Duration; 3] =
    [Duration::from_secs(1), Duration::from_secs(2), Duration::from_secs(4)];

/// Stands in a receipt for the addresses of the embedded services.
const EMBEDDED: &str = "embedded";

/// `run`.
pub(crate) async fn run(context: &Context, args: &RunArgs) -> Outcome<()> {
    refuse_partial(&args.going, &args.rows)?;
    let filter = match rows(&args.export, context).await? {
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
    let dir = args.dir.clone().unwrap_or_else(|| PathBuf::from(&run));
    let mut folder = RunFolder::create(&dir, &run, request, Some(args.rows.clone()))?;
    let is_new = folder.receipt.tries == 0;
    let outcome = go_on(context, &mut folder, &args.going).await;
    // A wrong word is typed again, and not gone on with.
    let is_wrong = |failure: &Failure| matches!(failure.exit, Exit::Usage | Exit::NotFound);
    if is_new && outcome.as_ref().is_err_and(is_wrong) {
        folder.remove_unused();
    }
    outcome
}

/// What is removed at the end must have been printed whole.
fn refuse_partial(going: &GoingArgs, rows: &RowArgs) -> Outcome<()> {
    if rows.is_partial() && (going.clean || going.discard) {
        let text = "--clean and --discard need all rows, and -n and --offset leave some out";
        return Err(Failure::say(Exit::Usage, text).hint("leave out the one or the other"));
    }
    Ok(())
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
    let mut folder = RunFolder::open(&args.dir)?;
    if let Some(rows) = &folder.receipt.rows {
        refuse_partial(&args.going, rows)?;
    }
    go_on(context, &mut folder, &args.going).await
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
fn resume_command(dir: &str, going: &GoingArgs) -> String {
    let output = going.output.output.as_ref().map(|path| path_to_copy(path));
    let mut words = vec!["resume", dir];
    if let Some(output) = &output {
        words.extend(["-o", output]);
    }
    let flags =
        [(going.output.force, "--force"), (going.discard, "--discard"), (going.clean, "--clean")];
    words.extend(flags.iter().filter(|(is_set, _)| *is_set).map(|(_, flag)| *flag));
    let transfer = same_again(&going.transfer);
    words.extend(transfer.iter().map(String::as_str));
    to_copy(&words)
}

/// Does what the receipt says is still to be done.
async fn go_on(context: &Context, folder: &mut RunFolder, going: &GoingArgs) -> Outcome<()> {
    let dir = path_to_copy(&folder.path);
    let service = service_of(context, folder, going)?;
    refuse_gone(folder, &dir)?;
    let rows = folder.receipt.rows.clone().unwrap_or_default();
    let of = OutputOfRun { folder: &folder.path, run: &folder.receipt.run, rows: &rows };
    Output::check(&going.output, &of)?;
    let command = resume_command(&dir, going);
    let resume = format!("go on: {command}");
    let text = format!("the run folder is {dir}; after a stop {resume}");
    context.report.note("run", &text, json!({"dir": dir}));
    context.detach.set(vec![resume.clone()]);
    // What is asked from here on is asked where the run began.
    let context = &Context { service, ..context.clone() };
    folder.receipt.tries += 1;
    let outcome = all_steps(context, folder, going, &command).await;
    outcome.map_err(|failure| failure.resumable(&command))
}

/// The services where a run began, but for the addresses that are typed now.
fn service_of(context: &Context, folder: &RunFolder, going: &GoingArgs) -> Outcome<Service> {
    let dir = path_to_copy(&folder.path);
    let mut service = context.service.clone();
    match &folder.receipt.request {
        Request::Fetch { from } => {
            let text = format!("{dir} is a folder of fetch, which prints no rows");
            let fetch = to_copy(&["fetch", from, "--dir", &dir]);
            Err(Failure::say(Exit::Usage, text).hint(format!("go on with: {fetch}")))
        }
        Request::Run { address, .. } => {
            let was_embedded = address.endpoint.as_deref() == Some(EMBEDDED);
            let is_gone = was_embedded && folder.receipt.tries > 0;
            if is_gone && (!folder.has_all() || going.clean) {
                let text = format!("{dir} was a run on the embedded service, which is gone");
                let hint = "start it anew with `run … --embedded` and another --dir";
                return Err(Failure::say(Exit::Usage, text).hint(hint));
            }
            if service.is_embedded() && !was_embedded {
                let text = format!("{dir} is no run on the embedded service");
                return Err(Failure::say(Exit::Usage, text).hint("leave out --embedded"));
            }
            service.go_to(address);
            Ok(service)
        }
    }
}

/// A run whose files were removed at its end has nothing left to print.
fn refuse_gone(folder: &RunFolder, dir: &str) -> Outcome<()> {
    let Receipt { discarded, cleaned, .. } = &folder.receipt;
    match (discarded.as_ref(), cleaned.as_ref()) {
        _ if folder.has_all() => Ok(()),
        (Some(time), Some(_)) => {
            let text =
                format!("{dir} is finished; its files were removed on {time}, its objects too");
            Err(Failure::say(Exit::Usage, text).hint("start a new run to have the rows again"))
        }
        (None, Some(time)) => {
            let text =
                format!("files are missing in {dir}, and their objects were deleted on {time}");
            Err(Failure::say(Exit::NotFound, text).hint("start a new run to have the rows again"))
        }
        // They are loaded again.
        (_, None) => Ok(()),
    }
}

async fn all_steps(
    context: &Context,
    folder: &mut RunFolder,
    going: &GoingArgs,
    resume: &str,
) -> Outcome<()> {
    let service = &context.service;
    let mut spec = spec(&folder.receipt.request, &folder.receipt.run)?;
    let name = spec.to.bucket().to_owned();
    let open = || service.bucket(&name, going.transfer.retries);
    if going.new_task && folder.receipt.objects.is_some() {
        let text = "the task of this run is done, and its objects are listed";
        return Err(
            Failure::say(Exit::Usage, text).hint("leave out --new-task, or start a new run")
        );
    }
    if folder.receipt.objects.is_none() {
        export(context, &mut spec, folder, going, &open, resume).await?;
        context.detach.set(vec![format!("go on: {resume}")]);
    } else if is_to_be_listed(folder) {
        list_again(context, folder, &spec.to, &open).await?;
    }
    let printed = print_current(context, folder, going, &open).await;
    folder.receipt.retries.tos += service.take_retries();
    match printed {
        Ok(_) if !folder.refused.is_empty() => {
            folder.save()?;
            Err(refused_keys(&folder.refused))
        }
        Ok(printed) => prove(context, folder, printed, going).await,
        Err(failure) => {
            // What failed first is what to tell of: a full disk takes no receipt either.
            drop(folder.save());
            Err(failure)
        }
    }
}

/// Whether a listing of before may have been incomplete, or not be true any more.
fn is_to_be_listed(folder: &RunFolder) -> bool {
    let Receipt { request, finished, cleaned, discarded, tries, .. } = &folder.receipt;
    // The embedded service of an earlier try is gone.
    let is_gone = matches!(request, Request::Run { address, .. }
        if address.endpoint.as_deref() == Some(EMBEDDED) && *tries > 1);
    let is_done = finished.is_some() && (folder.has_all() || discarded.is_some());
    cleaned.is_none() && !is_gone && !is_done
}

/// Lists once more, and says what is another than before.
async fn list_again(
    context: &Context,
    folder: &mut RunFolder,
    from: &TosPath,
    open: &(dyn Fn() -> Outcome<Bucket> + Sync),
) -> Outcome<()> {
    let Listed { objects, refused } = list(&open()?, from, &context.report).await?;
    folder.refused = refused;
    let (new, gone) = folder.update_objects(objects)?;
    if new > 0 {
        context.report.warn(&format!("{new} objects are there that were not listed before"));
    }
    if gone > 0 {
        context.report.warn(&format!(
            "{gone} objects are not listed any more; those that have landed are taken as they are"
        ));
    }
    folder.receipt.listed = Some(now());
    folder.save()
}

/// Downloads and prints, once more from the first row if the rows in the output turn out to be of other versions.
async fn print_current(
    context: &Context,
    folder: &mut RunFolder,
    going: &GoingArgs,
    open: &(dyn Fn() -> Outcome<Bucket> + Sync),
) -> Outcome<Printed> {
    let rows = folder.receipt.rows.clone().unwrap_or_default();
    let (path, run) = (folder.path.clone(), folder.receipt.run.clone());
    let of = OutputOfRun { folder: &path, run: &run, rows: &rows };
    for is_again in [false, true] {
        let output = Output::of_run(&going.output, &of, is_again)?;
        let meter = Arc::new(Meter::new(going.output.file().is_some()));
        let work = load_and_print(context, folder, open, going, output, &meter);
        let printed = meter.show(&context.report, work).await;
        meter.note(folder);
        match printed {
            Err(failure) if !is_again && failure.error.is::<Stale>() => {
                context.report.warn(&format!("{failure}, so the output begins anew"));
            }
            printed => return printed,
        }
    }
    Err(Failure::say(Exit::Data, "objects change faster than they are printed"))
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
    let task = task(&client, spec, folder, context, going).await?;
    let ways = if context.service.is_embedded() {
        vec!["the embedded service ended as well: start the run anew".to_owned()]
    } else {
        let cancel = to_copy(&["cancel", &task.0]);
        vec![
            format!("task {task} goes on on the server"),
            format!("go on: {resume}"),
            format!("end it: {cancel}"),
        ]
    };
    context.detach.set(ways);
    let done = follow(&client, &task, patience, report).await;
    folder.receipt.retries.vikingdb += client.retries();
    folder.receipt.retries.tos += context.service.take_retries();
    folder.save()?;
    let done = done.map_err(|failure| match failure.exit {
        Exit::TaskFailed | Exit::NotFound => {
            failure.hint(format!("with a new task, once that is mended: {resume} --new-task"))
        }
        _ => failure,
    })?;
    folder.receipt.exported = Some(now());
    let mut listed = list(&open()?, &spec.to, report).await?;
    let mut pauses = EMPTY_PAUSES.iter();
    while listed.objects.is_empty() && listed.refused.is_empty() {
        let Some(failure) = unless_empty(&client, &done, spec).await? else { break };
        let Some(pause) = pauses.next() else { return Err(failure) };
        report.warn(&format!("{failure}; looking again"));
        tokio::time::sleep(*pause).await;
        listed = list(&open()?, &spec.to, report).await?;
    }
    folder.receipt.listed = Some(now());
    folder.receipt.objects = Some(listed.objects);
    folder.refused = listed.refused;
    folder.receipt.matched = done.counts.matched;
    folder.save()
}

/// The task of this run: the one that is known, the one that an interrupted submit left on the
/// server, or a new one. There is never a second one unless the user asks for it.
async fn task(
    client: &Client,
    spec: &mut ExportSpec,
    folder: &mut RunFolder,
    context: &Context,
    going: &GoingArgs,
) -> Outcome<TaskId> {
    let known = match folder.receipt.task.clone().map(TaskId) {
        Some(task) if !going.new_task || is_alive(client, &task).await? => Some(task),
        Some(_) => None,
        None if folder.receipt.submitted.is_some() => match client.find_export(spec).await? {
            Some(task) if !going.new_task || is_alive(client, &task).await? => Some(task),
            _ => None,
        },
        None => None,
    };
    let task = match (known, &folder.receipt.submitted) {
        (Some(task), _) => task,
        (None, Some(time)) if !going.new_task => {
            let text =
                format!("a task was submitted on {time}, and the list of tasks does not show it");
            let way = resume_command(&path_to_copy(&folder.path), going);
            return Err(Failure::say(Exit::Transfer, text)
                .hint(format!("it may show up later: {way}"))
                .hint(format!("if you are sure that there is none: {way} --new-task")));
        }
        (None, _) => submit(client, spec, folder, context).await?,
    };
    folder.receipt.task = Some(task.0.clone());
    folder.save()?;
    Ok(task)
}

/// Columns are asked for by names that the files decide on, long after this.
fn warn_of_columns(collection: &Collection, rows: Option<&RowArgs>, context: &Context) {
    let asked = rows.into_iter().flat_map(|rows| rows.columns.iter().chain(&rows.drop));
    let is_known = |column: &str| collection.fields.iter().any(|(name, _)| name == column);
    let whole_or_parts = |asked: &String| {
        let parts = asked.split(',').map(str::to_owned).collect();
        if is_known(asked) { Vec::new() } else { parts }
    };
    for column in asked.flat_map(whole_or_parts).filter(|column| !is_known(column)) {
        context.report.warn(&format!(
            "collection {} has no field {column:?}, so its export may have no such column",
            collection.name
        ));
    }
}

/// Whether a task may still export something.
async fn is_alive(client: &Client, task: &TaskId) -> Outcome<bool> {
    match client.task(task).await {
        Ok(task) => Ok(!matches!(task.state, TaskState::Failed(_))),
        Err(error) if error.class() == ErrorClass::NotFound => Ok(false),
        Err(error) => Err(error.into()),
    }
}

/// Creates the task. The receipt says so before and after: a stop in between leaves a task that is
/// looked for. Should it show up after all, its rows go to another place than those of a new one.
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
    let collection = check(context, client, spec).await?;
    warn_of_columns(&collection, folder.receipt.rows.as_ref(), context);
    folder.receipt.submitted = Some(now());
    folder.receipt.task = None;
    folder.save()?;
    let created = create(client, spec, &context.report).await;
    let is_unclear = |failure: &Failure| {
        matches!(failure.error.downcast_ref(), Some(viking_api::Error::Unclear { .. }))
    };
    if created.as_ref().is_err_and(|failure| !is_unclear(failure)) {
        folder.receipt.submitted = None;
        folder.save()?;
    }
    created
}

/// What is wrong with finding nothing after a task is done; nothing, if there was nothing to be had.
async fn unless_empty(client: &Client, done: &Task, spec: &ExportSpec) -> Outcome<Option<Failure>> {
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
    let rows = rows.map_or("an unknown number of".to_owned(), |rows| rows.to_string());
    let text = format!("task {} is done with {rows} rows, but {} is empty", done.id, spec.to);
    Ok(Some(
        Failure::say(Exit::Transfer, text)
            .hint("check --tos-endpoint and --region: they must be those of the bucket"),
    ))
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
    let versions = output.versions();
    let landing = Landing::new(folder.path.clone(), names, landed, lead.clone(), versions);
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
    let mut printing = tokio::task::spawn_blocking(move || {
        print(landing, false, options, output, &stop, &watched.rows)
    });
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
