//! The verbs on tasks: submit, wait, status, list, confirm, cancel.

use std::io;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use viking_api::{
    Client, Collection, ExportSpec, FileType, Filter, Poll, Rows, Task, TaskId, TosPath,
};

use crate::Context;
use crate::args::{
    CancelArgs, ConfirmArgs, ExportArgs, ListArgs, Patience, ShowTaskArgs, SubmitArgs, TalkArgs,
    TaskArgs,
};
use crate::copy::to_copy;
use crate::environment::without_bom;
use crate::exit::{Exit, Failure, Outcome};
use crate::output::{check_stdout, print_text};
use crate::places::note_listing;
use crate::plain::{self, one_line};
use crate::question::ask;
use crate::report::Report;
use crate::run_folder::run_name;
use crate::values::{ApiArg, FileTypeArg};

/// Reads the rows to export from `--all` or `--filter`.
pub(crate) async fn rows(args: &ExportArgs, context: &Context) -> Outcome<Rows> {
    if !args.output_fields.is_empty() && context.service.address.api == ApiArg::V1 {
        let text = "--output-fields is known to --api v2 only";
        return Err(Failure::say(Exit::Usage, text).hint("or leave columns out while printing: -c"));
    }
    let Some(filter) = &args.filter else { return Ok(Rows::All) };
    let text = match (filter.as_str(), filter.strip_prefix('@')) {
        ("-", _) => {
            // Waiting for it must not keep a signal from being heard.
            let read = tokio::task::spawn_blocking(|| io::read_to_string(io::stdin()));
            let read = read.await.map_err(|error| Failure::new(Exit::Bug, error))?;
            read.map_err(|error| Failure::local("cannot read the filter from stdin", error))?
        }
        (_, Some(path)) => std::fs::read_to_string(path).map_err(|error| {
            Failure::local(format!("cannot read the filter from {path}"), error)
        })?,
        (json, None) => json.to_owned(),
    };
    let filter = Filter::parse(without_bom(&text)).map_err(viking_api::Error::from)?;
    for op in filter.unknown_operators() {
        context.report.warn(&format!(
            "the operator {op:?} is not known here; the service decides what it means"
        ));
    }
    Ok(Rows::Filtered(filter))
}

pub(crate) fn file_type(args: &ExportArgs) -> FileType {
    match args.file_type {
        FileTypeArg::Json => FileType::Json,
        FileTypeArg::Parquet => FileType::Parquet,
    }
}

/// `submit`: the task's id on stdout.
pub(crate) async fn submit(context: &Context, args: &SubmitArgs) -> Outcome<()> {
    // An id that goes nowhere would be a task that nobody knows of.
    check_stdout()?;
    let run = run_name(&args.export.collection)?;
    let spec = ExportSpec {
        collection: args.export.collection.clone(),
        rows: rows(&args.export, context).await?,
        to: TosPath::parse(&args.export.to)?.below(&run),
        file_type: file_type(&args.export),
        output_fields: args.export.output_fields.clone(),
    };
    let client = context.client()?;
    let list = to_copy(&["list", &args.export.collection]);
    context.detach.set(vec![format!("the task may have been created: {list}")]);
    check(context, &client, &spec).await?;
    let task = create(&client, &spec, &context.report).await?;
    print_text(&format!("{task}\n"))
}

/// What can be known to be wrong before a task is created: the collection is not there, or something is where
/// the export goes.
pub(crate) async fn check(
    context: &Context,
    client: &Client,
    spec: &ExportSpec,
) -> Outcome<Collection> {
    let collection = client.collection(&spec.collection).await?;
    let rows = collection.rows.map_or("an unknown number of".to_owned(), |rows| rows.to_string());
    let text = format!("collection {} has {rows} rows (an estimate)", collection.name);
    let fields = json!({"collection": collection.name, "rows": collection.rows});
    context.report.note("collection", &text, fields);
    let bucket = context.service.bucket(spec.to.bucket(), None)?;
    note_listing(&spec.to, &context.report);
    match bucket.list(spec.to.prefix()).await {
        Ok(listing) if listing.objects.is_empty() && listing.refused.is_empty() => Ok(collection),
        Ok(listing) => {
            let count = listing.objects.len() + listing.refused.len();
            let text = format!("there are {count} objects below {} already", spec.to);
            Err(Failure::say(Exit::Usage, text).hint("export to another place"))
        }
        // Whether the bucket has to be there is VikingDB's to say.
        Err(error) if error.class() == viking_fetch::ErrorClass::NotFound => Ok(collection),
        Err(error) => Err(error.into()),
    }
}

/// Creates the task and says so.
pub(crate) async fn create(client: &Client, spec: &ExportSpec, report: &Report) -> Outcome<TaskId> {
    let ExportSpec { collection, to, .. } = spec;
    let fields = json!({"collection": collection, "to": to.to_string()});
    report.note("submit", &format!("submitting the export of {collection} to {to}"), fields);
    let task = client.submit_export(spec).await?;
    report.note("submitted", &format!("task {task} submitted"), json!({"task": task.0}));
    Ok(task)
}

/// Follows a task to its end and shows its states.
pub(crate) async fn follow(
    client: &Client,
    task: &TaskId,
    patience: Patience,
    report: &Report,
) -> Outcome<Task> {
    let poll = Poll { deadline: patience.timeout, ..client_poll(client) };
    let start = Instant::now();
    let (mut last, mut moved, mut is_warned) = (None, start, false);
    report.note("waiting", &format!("waiting for task {task}"), json!({"task": task.0}));
    let mut seen = |task: &Task| {
        report.task(task, start.elapsed());
        let now = Some((task.state.clone(), task.percent, task.counts));
        if now != last {
            (last, moved, is_warned) = (now, Instant::now(), false);
        } else if moved.elapsed() >= patience.stall && !is_warned {
            is_warned = true;
            let (state, seconds) = (task.state.name(), moved.elapsed().as_secs());
            report.warn(&format!(
                "task {} is {state} and has not moved for {seconds} s; it may be stalled on the server",
                task.id
            ));
        }
    };
    let done = client.wait(task, poll, &mut seen).await;
    report.clear();
    let done = done?;
    if let Some(error) = &done.error {
        report.warn(&format!("task {} is done, but the service says: {error}", done.id));
    }
    Ok(done)
}

/// The embedded service and tests need no polite pauses.
fn client_poll(client: &Client) -> Poll {
    if client.is_local() {
        Poll { interval_min: Duration::from_millis(50), ..Poll::default() }
    } else {
        Poll::default()
    }
}

/// `wait`: where the task wrote, on stdout.
pub(crate) async fn wait(context: &Context, args: &TaskArgs) -> Outcome<()> {
    let client = context.client()?;
    let task = TaskId(args.task.clone());
    context.detach.set(vec![
        format!("task {task} goes on on the server"),
        format!("follow it again: {}", to_copy(&["wait", &task.0])),
        format!("end it: {}", to_copy(&["cancel", &task.0])),
    ]);
    let patience = args.patience;
    let done = follow(&client, &task, patience, &context.report).await?;
    match done.tos_path {
        Some(path) => print_text(&format!("tos://{}\n", path.trim_end_matches('/'))),
        None => Ok(()),
    }
}

/// Where a task writes, once it is done.
pub(crate) async fn written_by(
    context: &Context,
    task: &TaskId,
    patience: Patience,
) -> Outcome<TosPath> {
    let client = context.client()?;
    let done = follow(&client, task, patience, &context.report).await?;
    match done.tos_path {
        Some(path) => Ok(TosPath::parse(&path)?),
        None => Err(Failure::say(
            Exit::Transfer,
            format!("the service does not say where task {task} wrote"),
        )),
    }
}

/// `status`: one line, or JSON.
pub(crate) async fn status(context: &Context, args: &ShowTaskArgs) -> Outcome<()> {
    let task = context.client()?.task(&TaskId(args.task.clone())).await?;
    show(std::slice::from_ref(&task), args.json)
}

/// `list`: the tasks of one collection.
pub(crate) async fn list(context: &Context, args: &ListArgs) -> Outcome<()> {
    let tasks = context.client()?.tasks(&args.collection).await?;
    show(&tasks, args.json)
}

/// `confirm`.
pub(crate) async fn confirm(context: &Context, args: &ConfirmArgs) -> Outcome<()> {
    let task = TaskId(args.task.clone());
    context.client()?.confirm(&task).await?;
    context.report.note("confirmed", &format!("task {task} confirmed"), json!({"task": task.0}));
    Ok(())
}

/// `cancel`: asks, then drops the task.
pub(crate) async fn cancel(context: &Context, talk: &TalkArgs, args: &CancelArgs) -> Outcome<()> {
    let client = context.client()?;
    let task = client.task(&TaskId(args.task.clone())).await?;
    let what = format!(
        "This drops task {} ({}) on the server; a running export ends, and what it wrote stays in TOS.",
        task.id,
        task.state.name()
    );
    if args.dry_run {
        return print_text(&format!("{what}\n"));
    }
    ask(talk, &what).await?;
    client.drop_task(&task.id).await?;
    context.report.note(
        "cancelled",
        &format!("task {} dropped", task.id),
        json!({"task": task.id.0}),
    );
    Ok(())
}

fn show(tasks: &[Task], as_json: bool) -> Outcome<()> {
    let lines = tasks.iter().map(|task| if as_json { json_line(task) } else { text_line(task) });
    print_text(&lines.collect::<String>())
}

fn text_line(task: &Task) -> String {
    let unknown = || "-".to_owned();
    let text = |value: &Option<String>| value.clone().unwrap_or_else(unknown);
    let percent = task.percent.map_or_else(unknown, |percent| format!("{percent}%"));
    let mut line = format!(
        "{}  {}  {percent}  {}  {}  {}",
        task.id,
        task.state.name(),
        text(&task.collection),
        text(&task.created),
        task.tos_path.as_ref().map_or_else(unknown, |path| format!("tos://{path}")),
    );
    if let Some(error) = &task.error {
        line += &format!("  {error}");
    }
    one_line(&line).into_owned() + "\n"
}

fn json_line(task: &Task) -> String {
    let line: Value = json!({
        "schema": 1,
        "task": task.id.0,
        "state": task.state.name(),
        "type": task.task_type,
        "collection": task.collection,
        "tos_path": task.tos_path,
        "file_type": task.file_type,
        "percent": task.percent,
        "scanned": task.counts.scanned,
        "matched": task.counts.matched,
        "total": task.counts.total,
        "error": task.error,
        "created": task.created,
        "updated": task.updated,
    });
    format!("{}\n", plain::json_line(&line.to_string()))
}
