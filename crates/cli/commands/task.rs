//! The commands on tasks: submit, wait, status, list, confirm, cancel.

use serde_json::{Value, json};
use viking_export::Event;
use viking_export::viking_api::{Task, TaskId};

use super::run::export;
use crate::args::{CancelArgs, ConfirmArgs, ListArgs, ShowTaskArgs, SubmitArgs, TaskArgs};
use crate::context::Context;
use crate::ui::answer::{check_stdout, print_text};
use crate::ui::confirm::ask;
use crate::ui::failure::Outcome;
use crate::ui::plain::{self, one_line};

/// `submit`: the task's id on stdout.
pub(crate) async fn submit(context: &Context, args: &SubmitArgs) -> Outcome<()> {
    // An id that goes nowhere would be a task that nobody knows of.
    check_stdout()?;
    let export = export(context, &args.export).await?;
    let list = context.to_copy(&["list", &args.export.collection]);
    context.detach.set(vec![format!("the task may have been created; to look for it: {list}")]);
    let task = context.session.submit(&export).await?;
    print_text(&format!("{task}\n"))
}

/// `wait`: where the task wrote, on stdout.
pub(crate) async fn wait(context: &Context, args: &TaskArgs) -> Outcome<()> {
    let task = TaskId(args.task.clone());
    context.detach.set(vec![
        format!("task {task} continues on the server"),
        format!("to wait for it again: {}", context.to_copy(&["wait", &task.0])),
        format!("to cancel it: {}", context.to_copy(&["cancel", &task.0])),
    ]);
    let done = context.session.follow(&task, args.patience.options()).await?;
    match done.tos_path {
        Some(path) => print_text(&format!("tos://{}\n", path.trim_end_matches('/'))),
        None => Ok(()),
    }
}

/// `status`: one line, or JSON.
pub(crate) async fn status(context: &Context, args: &ShowTaskArgs) -> Outcome<()> {
    let task = context.session.client().await?.task(&TaskId(args.task.clone())).await?;
    show(std::slice::from_ref(&task), args.json)
}

/// `list`: the tasks of one collection.
pub(crate) async fn list(context: &Context, args: &ListArgs) -> Outcome<()> {
    let tasks = context.session.client().await?.tasks(&args.collection).await?;
    show(&tasks, args.json)
}

/// `confirm`.
pub(crate) async fn confirm(context: &Context, args: &ConfirmArgs) -> Outcome<()> {
    let task = TaskId(args.task.clone());
    context.session.client().await?.confirm(&task).await?;
    context.tell(&Event::Confirmed { task: task.0 });
    Ok(())
}

/// `cancel`: asks, then drops the task.
pub(crate) async fn cancel(context: &Context, args: &CancelArgs) -> Outcome<()> {
    let client = context.session.client().await?;
    let task = client.task(&TaskId(args.task.clone())).await?;
    let what = format!(
        "This drops task {} ({}) on the server; a running export ends, and what it wrote stays in TOS.",
        task.id,
        task.state.name()
    );
    if args.dry_run {
        return print_text(&format!("{what}\n"));
    }
    ask(&context.talk, &what).await?;
    client.drop_task(&task.id).await?;
    context.tell(&Event::Cancelled { task: task.id.0 });
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
