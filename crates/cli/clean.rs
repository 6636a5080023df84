//! The verb clean: deletes the objects of a proven run or fetch from TOS, and nothing else.

use serde_json::json;
use viking_api::TosPath;
use viking_fetch::{RemoteObject, prove};

use crate::Context;
use crate::args::{CleanArgs, RowArgs, TalkArgs};
use crate::copy::{path_to_copy, to_copy};
use crate::exit::{Exit, Failure, Outcome};
use crate::files::blocking;
use crate::output::print_text;
use crate::question::ask;
use crate::receipt::{ObjectRecord, Receipt, Request, now};
use crate::run_folder::RunFolder;

/// `clean`: asks, then deletes exactly the keys of the receipt.
pub(crate) async fn clean(context: &Context, talk: &TalkArgs, args: &CleanArgs) -> Outcome<()> {
    let mut folder = RunFolder::open(&args.dir)?;
    let from = folder.receipt.place()?;
    let objects = finished(&folder)?;
    if args.dry_run {
        let lines: String = objects
            .iter()
            .map(|object| format!("tos://{}/{}\n", from.bucket(), object.key))
            .collect();
        return print_text(&lines);
    }
    let here = compare(context, &folder).await?;
    let (count, dir) = (objects.len(), folder.path.display());
    let mut what =
        format!("This deletes {count} objects below {from}; {here} of their files are in {dir}.");
    if here < count {
        what += " What is deleted and not there is gone.";
    }
    ask(talk, &what).await?;
    delete(context, &mut folder, &from, &objects).await
}

/// Deletes the objects of a folder whose rows were proven just now.
pub(crate) async fn delete_proven(context: &Context, folder: &mut RunFolder) -> Outcome<()> {
    let (from, objects) = (folder.receipt.place()?, finished(folder)?);
    delete(context, folder, &from, &objects).await
}

/// Compares the files that are here with their checksums once more, before there is nothing else; how many
/// there are.
async fn compare(context: &Context, folder: &RunFolder) -> Outcome<usize> {
    let mut here = 0;
    let text = format!("comparing the files of {}", folder.path.display());
    context.report.note("compare", &text, json!({}));
    for object in folder.receipt.objects.iter().flatten() {
        let path = folder.path.join(&object.name);
        if path.exists() {
            let (remote, known) = (object.remote(), object.known_crc64());
            blocking(move || Ok(prove(&path, &remote, known)?)).await.map_err(|failure| {
                failure.hint(
                    "nothing was deleted; load it again with the command that made the folder",
                )
            })?;
            here += 1;
        }
    }
    // The rows of a run were printed. What a fetch loaded is nowhere else.
    let is_fetch = matches!(folder.receipt.request, Request::Fetch { .. });
    if is_fetch && !folder.has_all() {
        let text = format!("not all files are in {}, so nothing is deleted", folder.path.display());
        return Err(Failure::say(Exit::Usage, text).hint("load them again with the same fetch"));
    }
    Ok(here)
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
    let bucket = service.bucket(from.bucket(), None)?;
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

/// The objects of a folder, if all of them landed and all its rows are proven.
fn finished(folder: &RunFolder) -> Outcome<Vec<RemoteObject>> {
    let Receipt { objects, finished, rows, .. } = &folder.receipt;
    let has_landed = |object: &ObjectRecord| object.crc64.is_some();
    if let (Some(objects), Some(_)) = (objects, finished)
        && objects.iter().all(has_landed)
    {
        return Ok(objects.iter().map(ObjectRecord::remote).collect());
    }
    let dir = path_to_copy(&folder.path);
    let text = format!("{dir} is not finished, so nothing is deleted");
    let is_partial = rows.as_ref().is_some_and(RowArgs::is_partial);
    let way = match (&folder.receipt.request, is_partial) {
        (Request::Fetch { from }, _) => to_copy(&["fetch", from, "--dir", &dir]),
        (_, false) => to_copy(&["resume", &dir]),
        (_, true) => "the same run again, without -n and --offset".to_owned(),
    };
    Err(Failure::say(Exit::Usage, text).hint(format!("finish it first: {way}")))
}
