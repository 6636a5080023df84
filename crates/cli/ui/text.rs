//! Events as a line for a person.

use indicatif::HumanBytes;
use viking_export::event::{Progress, TaskProgress};
use viking_export::{Event, Warning};

/// The line of an event that is not a warning.
pub(crate) fn text(event: &Event) -> String {
    match event {
        Event::Cancelled { task } => format!("task {task} dropped"),
        Event::Clean { from, objects } => format!("deleting {objects} objects below {from}"),
        Event::Cleaned { from, deleted, .. } => format!("{deleted} objects deleted below {from}"),
        Event::Collection { collection, rows } => {
            let rows = rows.map_or("an unknown number of".to_owned(), |rows| rows.to_string());
            format!("collection {collection} has {rows} rows (an estimate)")
        }
        Event::Compare { files } => format!("verifying {files} files that are already here"),
        Event::Confirmed { task } => format!("task {task} confirmed"),
        Event::Connect { url } => format!("connecting to VikingDB at {url}"),
        Event::Done { rows, objects, .. } => format!("{rows} rows of {objects} objects"),
        Event::Fetched { objects, dir } => format!("{objects} objects in {}", dir.display()),
        Event::List { from } => format!("listing {from}"),
        Event::Listed { objects, bytes, skipped } => {
            let empty = match skipped {
                0 => String::new(),
                skipped => format!(", {skipped} empty ones skipped"),
            };
            format!("{objects} objects, {}{empty}", HumanBytes(*bytes))
        }
        Event::Object { name, bytes, .. } => format!("downloaded {name} ({})", HumanBytes(*bytes)),
        Event::Progress(progress) => of_progress(progress),
        Event::Read { bytes, requests } => {
            format!("read {} in {requests} requests", HumanBytes(*bytes))
        }
        Event::Resumed { name, bytes, .. } => {
            format!("{} of {name} are already on the disk", HumanBytes(*bytes))
        }
        Event::ResumedRows { rows } => {
            format!("{rows} rows are in the output already, continuing after them")
        }
        Event::Run { dir } => format!("the run folder is {}", dir.display()),
        Event::Stopping => "stopping after the current row".to_owned(),
        Event::Submit { collection, to } => {
            format!("submitting the export of {collection} to {to}")
        }
        Event::Submitted { task } => format!("task {task} submitted"),
        Event::Task(task) => of_task(task),
        Event::Verified { objects, rows } => {
            format!("{objects} files with {rows} rows match the receipt")
        }
        Event::Waiting { task } => format!("waiting for task {task}"),
        Event::Warning(warning) => of_warning(warning),
        // Events of a later library are shown in their JSON form.
        other => serde_json::to_string(other).unwrap_or_default(),
    }
}

/// A warning, with the flag that has a say in it.
pub(crate) fn of_warning(warning: &Warning) -> String {
    match warning {
        Warning::Nonfinite { .. } => format!("{warning} (--nonfinite)"),
        Warning::Oversize { bytes, is_page, column, file } => {
            let what = if *is_page { "a page" } else { "a row" };
            let size = bytesize::ByteSize(*bytes).display().iec();
            let column =
                if column.is_empty() { String::new() } else { format!(" in column {column:?}") };
            format!(
                "{what} of {size}{column} of {file} is more than --memory allows; it was read all the same"
            )
        }
        Warning::F32Like { .. } => format!("{warning}; --floats f32 prints them as f32"),
        Warning::TextLike { .. } => format!("{warning}; --binary utf8 prints them as text"),
        _ => warning.to_string(),
    }
}

fn of_progress(progress: &Progress) -> String {
    let Progress { objects, objects_total, bytes, bytes_total, rows, .. } = progress;
    format!(
        "download objects={objects}/{objects_total} bytes={}/{} rows={rows}",
        HumanBytes(*bytes),
        HumanBytes(*bytes_total)
    )
}

fn of_task(task: &TaskProgress) -> String {
    let percent = task.percent.map_or_else(String::new, |percent| format!(" {percent}%"));
    format!("task {} {}{percent} after {} s", task.task, task.state, task.ms / 1000)
}
