//! `run` and `resume`.

use std::io;
use std::path::Path;
use std::sync::{Arc, OnceLock};

use viking_export::config::environment::without_bom;
use viking_export::error::ProofError;
use viking_export::viking_api::{ExportSpec, Filter, Rows, TosPath};
use viking_export::{Error, Event, Listener, RowOutput, Warning};

use crate::args::{ExportArgs, GoingArgs, OutputArgs, ResumeArgs, RunArgs};
use crate::context::Context;
use crate::ui::answer::{print_text, stdout};
use crate::ui::copy::path_to_copy;
use crate::ui::failure::{Exit, Failure, Outcome};
use crate::ui::text::text;

/// `run`.
pub(crate) async fn run(context: &Context, args: &RunArgs) -> Outcome<()> {
    let (rows, options) = (args.rows.options(), args.going.options());
    let export = export(context, &args.export).await?;
    if args.dry_run {
        context.session.check_run(&export, &rows, &options).await?;
        return plan(context, &export).await;
    }
    let output = output(&args.going.output)?;
    let watch = Watch::new(context, &args.going);
    let session = context.session.clone().with_listener(Arc::clone(&watch) as _);
    let run = session.run(&export, &rows, args.dir.as_deref(), &options, output).await;
    run.map(drop).map_err(|error| watch.failure(error))
}

/// `resume`.
pub(crate) async fn resume(context: &Context, args: &ResumeArgs) -> Outcome<()> {
    let output = output(&args.going.output)?;
    let watch = Watch::new(context, &args.going);
    let session = context.session.clone().with_listener(Arc::clone(&watch) as _);
    let run = session.resume(&args.dir, &args.going.options(), output).await;
    run.map(drop).map_err(|error| watch.failure(error))
}

/// What is to be exported, and to where runs go. Reads the filter.
pub(crate) async fn export(context: &Context, args: &ExportArgs) -> Outcome<ExportSpec> {
    let spec = ExportSpec {
        collection: args.collection.clone(),
        rows: Rows::All,
        to: TosPath::parse(&args.to)?,
        file_type: args.file_type.into(),
        output_fields: args.output_fields.clone(),
    };
    let Some(filter) = &args.filter else { return Ok(spec) };
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
    let filter =
        Filter::parse(without_bom(&text)).map_err(viking_export::viking_api::Error::from)?;
    for op in filter.unknown_operators() {
        context.tell(&Event::Warning(Warning::UnknownOperator { op: op.to_owned() }));
    }
    Ok(ExportSpec { rows: Rows::Filtered(filter), ..spec })
}

/// Where rows go.
pub(crate) fn output(args: &OutputArgs) -> Outcome<RowOutput> {
    match &args.output {
        Some(path) if path != Path::new("-") => Ok(RowOutput::file(path).replacing(args.force)),
        _ => stdout(),
    }
}

/// Tells what would be exported.
async fn plan(context: &Context, export: &ExportSpec) -> Outcome<()> {
    let collection = context.session.client().await?.collection(&export.collection).await?;
    let rows = collection.rows.map_or("unknown".to_owned(), |rows| rows.to_string());
    let which = match export.rows {
        Rows::All => "all",
        Rows::Filtered(_) => "those that satisfy the filter",
    };
    let (to, file_type) = (&export.to, export.file_type.name());
    print_text(&format!(
        "collection: {}\nrows in it (an estimate): {rows}\nrows to export: {which}\nto: {to}/RUN\nas: {file_type}\n",
        collection.name
    ))
}

/// Follows a run: what to say when it stops depends on how far it is.
#[derive(Debug)]
struct Watch {
    context: Context,
    is_embedded: bool,
    /// Where its rows go, in words.
    to: String,
    /// What the command to resume repeats behind the folder.
    flags: Vec<String>,
    /// The run folder, as it is typed.
    dir: OnceLock<String>,
}

impl Watch {
    fn new(context: &Context, going: &GoingArgs) -> Arc<Self> {
        let mut flags = Vec::new();
        if let Some(path) = &going.output.output {
            flags.extend(["-o".to_owned(), path_to_copy(path)]);
        }
        let set = [
            (going.output.force, "--force"),
            (going.discard, "--discard"),
            (going.clean, "--clean"),
        ];
        flags.extend(set.iter().filter(|(is_set, _)| *is_set).map(|(_, flag)| (*flag).to_owned()));
        flags.extend(going.transfer.same_again());
        let output = going.output.output.as_ref();
        Arc::new(Self {
            context: context.clone(),
            is_embedded: context.session.service().is_embedded(),
            to: output.map_or("stdout".to_owned(), |path| path.display().to_string()),
            flags,
            dir: OnceLock::new(),
        })
    }

    /// The command that resumes the run as it was begun, once it has a folder.
    fn resume(&self) -> Option<String> {
        let words = ["resume", self.dir.get()?.as_str()];
        let words: Vec<&str> =
            words.into_iter().chain(self.flags.iter().map(String::as_str)).collect();
        Some(self.context.to_copy(&words))
    }

    fn begun(&self, dir: &Path) -> String {
        let dir = self.dir.get_or_init(|| path_to_copy(dir)).clone();
        let resume = self.resume().unwrap_or_default();
        self.context.detach.set(vec![format!("to resume: {resume}")]);
        format!("the run folder is {dir}; if it stops, resume it with: {resume}")
    }

    fn waits(&self, task: &str) {
        let ways = if self.is_embedded {
            vec!["the embedded service has ended as well: start a new run".to_owned()]
        } else {
            vec![
                format!("task {task} continues on the server"),
                format!("to resume: {}", self.resume().unwrap_or_default()),
                format!("to cancel it: {}", self.context.to_copy(&["cancel", task])),
            ]
        };
        self.context.detach.set(ways);
    }

    fn done(&self, event: &Event) -> String {
        let Event::Done { crc64_compared, retries, .. } = event else { return text(event) };
        let again = match retries.vikingdb + retries.tos {
            0 => String::new(),
            1 => ", 1 request repeated".to_owned(),
            again => format!(", {again} requests repeated"),
        };
        format!(
            "{} to {} in {:.1} s; footers, decoded rows and written rows agree, {crc64_compared} CRC-64 compared{again}",
            text(event),
            self.to,
            self.context.report.elapsed().as_secs_f64()
        )
    }

    fn failure(&self, error: Error) -> Failure {
        let verify =
            matches!(error, Error::Proof(ProofError::Rows { .. } | ProofError::FooterTotal { .. }));
        let mut failure = Failure::from(error);
        if let (true, Some(dir)) = (verify, self.dir.get()) {
            let verify = self.context.to_copy(&["verify", dir]);
            failure = failure.hint(format!("compare the folder with its receipt: {verify}"));
        }
        match self.resume() {
            Some(resume) => failure.resumable(resume),
            None => failure,
        }
    }
}

impl Listener for Watch {
    fn on_event(&self, event: &Event) {
        let report = &self.context.report;
        match event {
            Event::Run { dir } => report.say(event, &self.begun(dir)),
            Event::Done { .. } => report.say(event, &self.done(event)),
            _ => {
                match (event, self.resume()) {
                    (Event::Waiting { task }, _) => self.waits(task),
                    (Event::List { .. }, Some(resume)) => {
                        self.context.detach.set(vec![format!("to resume: {resume}")]);
                    }
                    _ => {}
                }
                report.on_event(event);
            }
        }
    }
}
