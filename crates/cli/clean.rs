//! The verb clean: deletes the objects of a proven run or fetch from TOS, and nothing else.

use serde_json::json;
use viking_api::TosPath;
use viking_fetch::RemoteObject;

use crate::Context;
use crate::args::{CleanArgs, TalkArgs};
use crate::exit::{Exit, Failure, Outcome};
use crate::output::print_text;
use crate::places::RETRIES;
use crate::question::ask;
use crate::receipt::{ObjectRecord, Request, now};
use crate::run_folder::RunFolder;

/// `clean`: asks, then deletes exactly the keys of the receipt.
pub(crate) async fn clean(context: &Context, talk: &TalkArgs, args: &CleanArgs) -> Outcome<()> {
    let mut folder = RunFolder::open(&args.dir)?;
    let from = place_of(&folder)?;
    let objects = proven(&folder)?;
    if args.dry_run {
        let lines: String = objects
            .iter()
            .map(|object| format!("tos://{}/{}\n", from.bucket(), object.key))
            .collect();
        return print_text(&lines);
    }
    let count = objects.len();
    ask(talk, &format!("This deletes {count} objects below {from}; what has landed stays here."))?;
    delete(context, &mut folder, &from, &objects).await
}

/// Deletes the objects of a folder whose rows are proven.
pub(crate) async fn delete_proven(context: &Context, folder: &mut RunFolder) -> Outcome<()> {
    let (from, objects) = (place_of(folder)?, proven(folder)?);
    delete(context, folder, &from, &objects).await
}

async fn delete(
    context: &Context,
    folder: &mut RunFolder,
    from: &TosPath,
    objects: &[RemoteObject],
) -> Outcome<()> {
    let mut service = context.service.clone();
    if let Request::Run { address, .. } = &folder.receipt.request {
        service.go_to(address);
    }
    let bucket = service.bucket(from.bucket(), RETRIES)?;
    let count = objects.len();
    let fields = json!({"from": from.to_string(), "objects": count});
    context.report.note("clean", &format!("deleting {count} objects below {from}"), fields);
    let mut left = 0;
    for object in objects {
        if !bucket.delete(object).await? {
            left += 1;
            context
                .report
                .warn(&format!("{} is gone or another one by now, left alone", object.key));
        }
    }
    folder.receipt.cleaned = Some(now());
    folder.save()?;
    let deleted = objects.len() - left;
    let text = format!("{deleted} objects deleted below {from}");
    context.report.note("cleaned", &text, json!({"deleted": deleted, "left": left}));
    Ok(())
}

/// Where the objects of a folder are.
fn place_of(folder: &RunFolder) -> Outcome<TosPath> {
    Ok(match &folder.receipt.request {
        Request::Fetch { from } => TosPath::parse(from)?,
        Request::Run { to, .. } => TosPath::parse(to)?.below(&folder.receipt.run),
    })
}

/// The objects of a folder, if all of them are proven.
fn proven(folder: &RunFolder) -> Outcome<Vec<RemoteObject>> {
    if let (Some(objects), Some(_)) = (&folder.receipt.objects, &folder.receipt.finished) {
        return Ok(objects.iter().map(ObjectRecord::remote).collect());
    }
    let dir = folder.path.display();
    let text = format!("{dir} is not finished, so nothing is deleted");
    Err(Failure::say(Exit::Usage, text)
        .hint(format!("finish it first: viking-export resume {dir}")))
}
