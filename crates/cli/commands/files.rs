//! The commands on files, here or in TOS: cat, schema, count.

use serde_json::json;
use viking_export::input::{Place, count as count_files, find, find_remote};
use viking_export::viking_api::TaskId;
use viking_export::viking_reader::{FileKind, Footer};
use viking_export::{Event, Session, Warning};

use super::blocking;
use super::run::output;
use crate::args::{CatArgs, FilesArgs};
use crate::context::Context;
use crate::ui::answer::print_text;
use crate::ui::failure::{Exit, Failure, Outcome};
use crate::ui::plain::one_line;

/// `cat`: the rows of files.
pub(crate) async fn cat(context: &Context, args: &CatArgs) -> Outcome<()> {
    let rows = args.rows.options();
    rows.print_options()?;
    let session = &context.session;
    let places = match &args.task {
        Some(task) => {
            let task = TaskId(task.clone());
            let from = session.written_by(&task, args.patience.options()).await?;
            find_remote(session, &from, None).await?
        }
        None => find(session, &args.paths).await?,
    };
    let output = output(&args.output)?;
    let session = session.clone();
    blocking(move || Ok(session.print(&places, &rows, output).map(drop)?)).await
}

/// `count`: one number, or JSON with every file.
pub(crate) async fn count(context: &Context, args: &FilesArgs) -> Outcome<()> {
    let (places, as_json) = (find(&context.session, &args.paths).await?, args.json);
    let context = context.clone();
    blocking(move || {
        let (mut files, mut all) = (Vec::new(), 0);
        for file in count_files(&places) {
            let file = file?;
            if let Some(total) = file.other_total {
                let (file, rows) = (file.name.clone(), file.rows);
                context.tell(&Event::Warning(Warning::FooterTotal { file, total, rows }));
            }
            all += file.rows;
            files.push(json!({"file": file.name, "rows": file.rows}));
        }
        context.session.tell_traffic(&places);
        if as_json {
            return print_text(&format!("{}\n", json!({"schema": 1, "rows": all, "files": files})));
        }
        print_text(&format!("{all}\n"))
    })
    .await
}

/// `schema`: the columns, or JSON with every file.
pub(crate) async fn schema(context: &Context, args: &FilesArgs) -> Outcome<()> {
    let (places, as_json) = (find(&context.session, &args.paths).await?, args.json);
    let session: Session = context.session.clone();
    blocking(move || {
        let text = describe(&places, as_json)?;
        session.tell_traffic(&places);
        print_text(&text)
    })
    .await
}

fn describe(places: &[Place], as_json: bool) -> Outcome<String> {
    let mut files = Vec::new();
    let mut text = String::new();
    let mut last_columns = String::new();
    for input in Place::open_all(places) {
        let input = input?;
        let name = input.name();
        if FileKind::of(&input)? == FileKind::Json {
            let error = format!("{name} is a JSON export, which has no schema");
            return Err(Failure::say(Exit::Usage, error)
                .hint("export the collection as Parquet to see its columns"));
        }
        let footer = Footer::read(&input)?;
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
                format!("\n{}\n{columns}", one_line(name))
            };
        }
        last_columns = columns;
        let groups: Vec<u64> = footer.row_group_rows().collect();
        files.push(json!({"file": name, "rows": footer.rows(), "row_groups": groups, "columns": described}));
    }
    Ok(if as_json { format!("{}\n", json!({"schema": 1, "files": files})) } else { text })
}
