//! `fetch`.

use std::path::Path;
use std::sync::Arc;

use viking_export::viking_api::{TaskId, TosPath};
use viking_export::{Event, FetchPlan, Listener};

use crate::args::FetchArgs;
use crate::context::Context;
use crate::ui::answer::print_text;
use crate::ui::copy::path_to_copy;
use crate::ui::failure::{Exit, Failure, Outcome};

/// `fetch`: objects into a folder.
pub(crate) async fn fetch(context: &Context, args: &FetchArgs) -> Outcome<()> {
    let from = match (&args.from, &args.task) {
        (Some(from), _) => TosPath::parse(from)?,
        (None, Some(task)) => {
            let task = TaskId(task.clone());
            context.session.written_by(&task, args.patience.options()).await?
        }
        (None, None) => {
            return Err(Failure::say(Exit::Usage, "tos://BUCKET/PREFIX or --task is needed"));
        }
    };
    let transfer = args.transfer.options();
    if args.dry_run {
        let plan = context.session.plan_fetch(&from, &args.dir, &transfer).await?;
        return show(&plan, &args.dir);
    }
    let (place, dir) = (from.to_string(), path_to_copy(&args.dir));
    let mut words = vec!["fetch", &place, "--dir", &dir];
    let flags = args.transfer.same_again();
    words.extend(flags.iter().map(String::as_str));
    let resume = context.to_copy(&words);
    let watch = Watch { context: context.clone(), dir, resume: resume.clone() };
    let session = context.session.clone().with_listener(Arc::new(watch));
    let fetched = session.fetch(&from, &args.dir, &transfer).await;
    fetched.map(drop).map_err(|error| Failure::from(error).resumable(resume))
}

/// Follows a download: once there is a folder, it can be resumed.
#[derive(Debug)]
struct Watch {
    context: Context,
    dir: String,
    resume: String,
}

impl Listener for Watch {
    fn on_event(&self, event: &Event) {
        if matches!(event, Event::Run { .. }) {
            let Self { context, dir, resume } = self;
            let ways = [format!("downloaded files stay in {dir}"), format!("to resume: {resume}")];
            return context.detach.set(ways.to_vec());
        }
        self.context.report.on_event(event);
    }
}

/// Tells what a download would take.
fn show(plan: &FetchPlan, dir: &Path) -> Outcome<()> {
    let FetchPlan { objects, bytes, rows, needed_bytes: needed, free_bytes: free } = plan;
    let shown = free.map_or("unknown".to_owned(), |free| free.to_string());
    print_text(&format!(
        "objects: {objects}\nbytes: {bytes}\nrows: {rows}\ndisk needed: {needed}\ndisk free: {shown}\n"
    ))?;
    if let Some(free) = free
        && free < needed
    {
        let there = dir.ancestors().find(|folder| folder.is_dir()).unwrap_or(Path::new("."));
        let text = format!("{} has room for {free} bytes, {needed} are needed", there.display());
        return Err(Failure::say(Exit::Local, text));
    }
    Ok(())
}
