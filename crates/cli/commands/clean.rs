//! `clean`.

use viking_export::Deletion;

use crate::args::CleanArgs;
use crate::context::Context;
use crate::ui::answer::print_text;
use crate::ui::confirm::ask;
use crate::ui::failure::{Failure, Outcome};

/// `clean`: asks, then deletes exactly the keys of the receipt.
pub(crate) async fn clean(context: &Context, args: &CleanArgs) -> Outcome<()> {
    let deletion = Deletion::of(&args.dir)?;
    let from = deletion.from();
    if args.dry_run {
        let line = |key: &str| format!("tos://{}/{key}\n", from.bucket());
        let objects = deletion.objects().iter();
        return print_text(&objects.map(|object| line(&object.key)).collect::<String>());
    }
    let compared = deletion.compare(&context.session).await;
    let here = compared.map_err(|error| {
        let failure = Failure::from(error);
        let is_proof = failure.cause().is_some_and(|error| error.transfer().is_some());
        let hint = "nothing was deleted; download it again with the command that made the folder";
        if is_proof { failure.hint(hint) } else { failure }
    })?;
    let (count, dir) = (deletion.objects().len(), args.dir.display());
    let mut what =
        format!("This deletes {count} objects below {from}; {here} of their files are in {dir}.");
    if here < count {
        what += " What is deleted and not here is lost.";
    }
    ask(&context.talk, &what).await?;
    Ok(deletion.delete(&context.session).await?)
}
