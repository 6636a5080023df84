//! The verb doctor: looks at everything a run depends on and says what to do about what is wrong.

use std::path::Path;

use jiff::SignedDuration;
use serde_json::json;
use viking_export::config::Purpose;
use viking_export::viking_api::{Api, Client, TaskState, TosPath};
use viking_export::{Event, viking_fetch};

use crate::args::DoctorArgs;
use crate::context::Context;
use crate::ui::answer::print_text;
use crate::ui::failure::{Exit, Failure, Outcome};
use crate::ui::plain::{json_line, one_line};
use crate::ui::suggest::{GRANT_FIX, complete};

/// Signatures are good for fifteen minutes; a clock this far off deserves a word.
const SKEW_MAX: SignedDuration = SignedDuration::from_mins(5);

/// Exports fail on less free space than this, as most are larger.
const FREE_BYTES_MIN: u64 = 1 << 30;

/// What a look at one thing found.
enum Found {
    /// It is as it should be.
    Ok(String),
    /// It cannot be told, or may be wrong.
    Unknown(String),
    Failed(Failure),
}

/// The lines so far, and the first failure.
struct Findings<'a> {
    context: &'a Context,
    as_json: bool,
    failed: Option<Exit>,
}

impl Findings<'_> {
    fn add(&mut self, what: &str, found: Found) -> Outcome<()> {
        let (state, detail, fixes) = match found {
            Found::Ok(detail) => ("ok", detail, Vec::new()),
            Found::Unknown(detail) => ("unknown", detail, Vec::new()),
            Found::Failed(failure) => {
                let failure = complete(failure, &self.context.commands);
                self.failed.get_or_insert(failure.exit);
                ("failed", format!("{:#}", failure.error), failure.hints)
            }
        };
        if self.as_json {
            let line =
                json!({"schema": 1, "check": what, "state": state, "detail": detail, "fix": fixes});
            return print_text(&format!("{}\n", json_line(&line.to_string())));
        }
        let mut text = format!("{state:<8}{what}: {}\n", one_line(&detail));
        for fix in fixes {
            text += &format!("        fix: {}\n", one_line(&fix));
        }
        print_text(&text)
    }
}

/// `doctor`: a line for each thing that was looked at. Ends like the first that failed.
pub(crate) async fn doctor(context: &Context, args: &DoctorArgs) -> Outcome<()> {
    let mut findings = Findings { context, as_json: args.json, failed: None };
    let has_keys = keys(context, "keys of VikingDB", Purpose::Vikingdb, &mut findings).await?;
    let has_tos_keys = keys(context, "keys of TOS", Purpose::Tos, &mut findings).await?;
    match context.session.client().await.map_err(Failure::from) {
        Ok(client) => {
            let lists_all = context.session.service().address().api == Api::V1;
            vikingdb(&client, args, lists_all, &mut findings).await?;
        }
        Err(failure) if has_keys => findings.add("VikingDB", Found::Failed(failure))?,
        // It was told above what is missing.
        Err(_) => {}
    }
    if let Some(to) = &args.to {
        match TosPath::parse(to) {
            Ok(to) if has_tos_keys => findings.add("TOS", tos(context, &to).await)?,
            Ok(_) => {}
            Err(error) => findings.add("TOS", Found::Failed(error.into()))?,
        }
    }
    findings.add("disk", disk(&args.dir))?;
    match findings.failed {
        None => Ok(()),
        Some(exit) => Err(Failure::say(exit, "a check failed; see the lines above")),
    }
}

/// Whether there are keys for this purpose, and where.
async fn keys(
    context: &Context,
    what: &str,
    purpose: Purpose,
    findings: &mut Findings<'_>,
) -> Outcome<bool> {
    let keys = match context.session.service().credentials(purpose).await {
        Ok(keys) => keys,
        Err(failure) => return findings.add(what, Found::Failed(failure.into())).map(|()| false),
    };
    if let Some(file) = keys.open_file() {
        let text = format!("{} can be read by others", file.display());
        let fix = format!("chmod 600 {}", file.display());
        findings.add("key file", Found::Failed(Failure::say(Exit::Denied, text).hint(fix)))?;
    }
    let end = if keys.is_temporary() { ", temporary" } else { "" };
    let text = format!("{} from {}{end}", keys.masked(), keys.origin());
    findings.add(what, Found::Ok(text)).map(|()| true)
}

async fn vikingdb(
    client: &Client,
    args: &DoctorArgs,
    // V2 lists the tasks of one collection only.
    lists_all: bool,
    findings: &mut Findings<'_>,
) -> Outcome<()> {
    let time = match client.server_time().await {
        Err(error) => {
            let failure = Failure::from(error);
            let fix = "check --region and --endpoint, the network, and HTTPS_PROXY";
            return findings.add("VikingDB", Found::Failed(failure.hint(fix)));
        }
        Ok(time) => time,
    };
    findings.add("address", Found::Ok(client.url().to_owned()))?;
    findings.add("clock", clock(time))?;
    let collection = args.collection.as_deref();
    if collection.is_none() && !lists_all {
        let text = "name a collection to see whether it takes these keys";
        return findings.add("VikingDB", Found::Unknown(text.to_owned()));
    }
    let tasks = match client.tasks(collection.unwrap_or_default()).await {
        Err(error) => return findings.add("VikingDB", Found::Failed(error.into())),
        Ok(tasks) => tasks,
    };
    findings.add("VikingDB", Found::Ok("answers, and takes these keys".to_owned()))?;
    let Some(collection) = collection else { return Ok(()) };
    let found = match client.collection(collection).await {
        Err(error) => Found::Failed(error.into()),
        Ok(found) => {
            let rows =
                found.rows.map_or("an unknown number of".to_owned(), |rows| rows.to_string());
            Found::Ok(format!("{} with {rows} rows", found.name))
        }
    };
    findings.add("collection", found)?;
    // Whether VikingDB may write to TOS shows only in what became of earlier exports.
    let ended = tasks.iter().filter(|task| task.tos_path.is_some() && task.state.is_final());
    // A list is in any order; times are spelled so that the later one sorts behind.
    let found = match ended.max_by_key(|task| task.updated.as_ref().or(task.created.as_ref())) {
        Some(task) if task.state == TaskState::Done => {
            Found::Ok(format!("task {} wrote to TOS", task.id))
        }
        Some(task) => {
            let why = task.error.as_deref().unwrap_or("no reason is given");
            let text = format!("the last export, task {}, failed: {why}", task.id);
            Found::Failed(Failure::say(Exit::TaskFailed, text).hint(GRANT_FIX))
        }
        None => Found::Unknown("no export has ended yet, so it cannot be told".to_owned()),
    };
    findings.add("grant to write to TOS", found)
}

fn clock(time: Option<jiff::Timestamp>) -> Found {
    let Some(time) = time else {
        return Found::Unknown("the service does not say what time it is".to_owned());
    };
    let skew = jiff::Timestamp::now().duration_since(time);
    if skew.abs() <= SKEW_MAX {
        return Found::Ok(format!("{} s from the service's", skew.as_secs()));
    }
    let (minutes, side) =
        (skew.abs().as_mins(), if skew.is_negative() { "behind" } else { "ahead" });
    let text = format!("this machine is {minutes} minutes {side}; signatures are good for 15");
    Found::Failed(Failure::say(Exit::Denied, text).hint("set the clock, for example with NTP"))
}

async fn tos(context: &Context, to: &TosPath) -> Found {
    let looked = async {
        let bucket = context.session.bucket(to.bucket(), Some(1)).await?;
        context.tell(&Event::List { from: to.to_string() });
        let listing = bucket.list(to.prefix()).await?;
        Ok(match listing.objects.first() {
            None => Found::Unknown(format!(
                "{} can be listed; nothing is below {} yet, so reading could not be tried",
                to.bucket(),
                to.prefix()
            )),
            Some(object) => {
                // A list alone does not prove that objects can be read.
                bucket.look(object).await?;
                let count = listing.objects.len();
                Found::Ok(format!("{count} objects below {to}, and they can be read"))
            }
        })
    };
    match looked.await {
        Ok(found) => found,
        Err(failure) => Found::Failed(failure),
    }
}

fn disk(dir: &Path) -> Found {
    let there = dir.ancestors().find(|folder| folder.is_dir()).unwrap_or(Path::new("."));
    match viking_fetch::free_bytes(there) {
        Err(error) => Found::Failed(error.into()),
        Ok(None) => Found::Unknown("how much is free cannot be told on this system".to_owned()),
        Ok(Some(free)) if free < FREE_BYTES_MIN => {
            let text = format!("only {} are free", indicatif::HumanBytes(free));
            let fix = "free some space, or choose a --dir on another disk";
            Found::Failed(Failure::say(Exit::Local, text).hint(fix))
        }
        Ok(Some(free)) => Found::Ok(format!("{} are free", indicatif::HumanBytes(free))),
    }
}
