//! The verbs on files, here or in TOS: cat, schema, count.

use std::ops::ControlFlow;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use serde_json::json;
use viking_api::TaskId;
use viking_reader::{FileKind, Footer, JsonExport};

use crate::Context;
use crate::args::{CatArgs, FilesArgs};
use crate::exit::{Exit, Failure, Outcome};
use crate::output::{Output, print_text};
use crate::places::{Opening, Place, find, find_remote, report_traffic};
use crate::plain::one_line;
use crate::printing::{Input, print, report_files, report_text_like, report_times};
use crate::settings::print_options;
use crate::task::written_by;

/// Footers that are fetched ahead of the one that is looked at.
const FOOTERS_AHEAD: usize = 16;

/// `cat`: the rows of files.
pub(crate) async fn cat(context: &Arc<Context>, args: &CatArgs) -> Outcome<()> {
    let options = print_options(&args.rows)?;
    let places = match &args.task {
        Some(task) => {
            let from = written_by(context, &TaskId(task.clone()), args.patience).await?;
            find_remote(context, &from, None).await?
        }
        None => find(context, &args.paths).await?,
    };
    let output = Output::open(&args.output)?;
    let shared = Arc::clone(context);
    blocking(move || {
        let rows = AtomicU64::new(0);
        let ahead = places.iter().all(|place| matches!(place, Place::Local(_)));
        let inputs = Opening::new(&places, 1);
        let mut printed = print(inputs, ahead, options, output, &shared.stop, &rows)?;
        if !printed.is_cut_short {
            printed.output.finish(printed.rows)?;
        }
        report_traffic(&places, &shared);
        report_files(&printed, &shared.report);
        report_text_like(&printed, &shared.report);
        report_times(printed.counts.times_out_of_range, &shared.report);
        Ok(())
    })
    .await
}

/// `count`: one number, or JSON with every file.
pub(crate) async fn count(context: &Arc<Context>, args: &FilesArgs) -> Outcome<()> {
    let (places, as_json) = (find(context, &args.paths).await?, args.json);
    let shared = Arc::clone(context);
    blocking(move || {
        let (mut files, mut total) = (Vec::new(), 0);
        for input in Opening::new(&places, FOOTERS_AHEAD) {
            let FileCount { name, rows, other_total } = rows_of(input?)?;
            if let Some(total) = other_total {
                shared.report.warn(&format!(
                    "{} has {rows} rows in its row groups, but its footer states {total} in all",
                    one_line(&name)
                ));
            }
            total += rows;
            files.push(json!({"file": name, "rows": rows}));
        }
        report_traffic(&places, &shared);
        if as_json {
            return print_text(&format!(
                "{}\n",
                json!({"schema": 1, "rows": total, "files": files})
            ));
        }
        print_text(&format!("{total}\n"))
    })
    .await
}

/// The rows of all places together.
pub(crate) async fn count_rows(places: Vec<Place>) -> Outcome<u64> {
    blocking(move || {
        let rows = |input: Outcome<Input>| Ok(rows_of(input?)?.rows);
        Opening::new(&places, FOOTERS_AHEAD).map(rows).sum()
    })
    .await
}

/// The rows of a file.
pub(crate) struct FileCount {
    pub(crate) name: String,
    pub(crate) rows: u64,
    /// What its footer states for the whole file, where that is another number.
    pub(crate) other_total: Option<u64>,
}

/// A file's rows: by its footer, or counted in a JSON export.
pub(crate) fn rows_of((name, source): Input) -> Outcome<FileCount> {
    if FileKind::of(&name, source.as_ref())? != FileKind::Json {
        let footer = Footer::read(&name, &source)?;
        let other_total = footer.other_total();
        return Ok(FileCount { name, rows: footer.rows(), other_total });
    }
    let rows = JsonExport::new(&name, source).for_each_row(|_| Ok(ControlFlow::Continue(())))?;
    Ok(FileCount { name, rows, other_total: None })
}

/// `schema`: the columns, or JSON with every file.
pub(crate) async fn schema(context: &Arc<Context>, args: &FilesArgs) -> Outcome<()> {
    let (places, as_json) = (find(context, &args.paths).await?, args.json);
    let shared = Arc::clone(context);
    blocking(move || {
        let text = describe(&places, as_json)?;
        report_traffic(&places, &shared);
        print_text(&text)
    })
    .await
}

fn describe(places: &[Place], as_json: bool) -> Outcome<String> {
    let mut files = Vec::new();
    let mut text = String::new();
    let mut last_columns = String::new();
    for input in Opening::new(places, FOOTERS_AHEAD) {
        let (name, source) = input?;
        if FileKind::of(&name, source.as_ref())? == FileKind::Json {
            let error = format!("{name} is a JSON export, which has no schema");
            return Err(Failure::say(Exit::Usage, error)
                .hint("export the collection as Parquet to see its columns"));
        }
        let footer = Footer::read(&name, &source)?;
        let mut columns = String::new();
        let mut described = Vec::new();
        for field in footer.schema().fields() {
            let null = if field.is_nullable() { "" } else { " not null" };
            let column = format!("{}: {}{null}", field.name(), field.data_type());
            columns += &format!("{}\n", one_line(&column));
            described.push(json!({"name": field.name(), "type": field.data_type().to_string(),
                "nullable": field.is_nullable()}));
        }
        if columns != last_columns {
            text += &if text.is_empty() {
                columns.clone()
            } else {
                format!("\n{}\n{columns}", one_line(&name))
            };
        }
        last_columns = columns;
        let groups: Vec<u64> = footer.row_group_rows().collect();
        files.push(json!({"file": name, "rows": footer.rows(), "row_groups": groups, "columns": described}));
    }
    Ok(if as_json { format!("{}\n", json!({"schema": 1, "files": files})) } else { text })
}

/// Reading blocks its thread: it is done on one that may.
pub(crate) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Outcome<T> + Send + 'static,
) -> Outcome<T> {
    tokio::task::spawn_blocking(work).await.map_err(|error| Failure::new(Exit::Bug, error))?
}
