//! The commands, a file for each or for those that belong together.

mod clean;
mod config;
mod doctor;
#[cfg(feature = "embedded")]
mod embedded;
mod fetch;
mod files;
mod help;
mod run;
mod task;
mod verify;

use crate::args::{Cli, Command, ConfigArgs, ConfigCommand, Invocation};
use crate::context::Context;
use crate::ui::failure::{Exit, Failure, Outcome};

pub(crate) use help::command as command_line;

/// A command that needs neither a runtime nor signals, done at once.
pub(crate) fn at_once(context: &Context, invocation: &Invocation) -> Option<Outcome<()>> {
    match &invocation.cli.command {
        Command::Config(ConfigArgs { command: ConfigCommand::Show(args) }) => {
            Some(config::show(context, invocation.innermost(), &invocation.settings, args))
        }
        Command::Completions(args) => Some(help::completions(args)),
        Command::Man(args) => Some(help::man(args)),
        _ => None,
    }
}

/// Does what was asked for, with the services inside this process if that was asked for.
pub(crate) async fn run(context: &Context, cli: &Cli) -> Outcome<()> {
    #[cfg(feature = "embedded")]
    if cli.service.embedded {
        let emulator = embedded::start().await?;
        let service = cli.service.embedded_service(emulator.ready());
        let session = context.session.with_service(service);
        return dispatch(&Context { session, ..context.clone() }, cli).await;
    }
    dispatch(context, cli).await
}

async fn dispatch(context: &Context, cli: &Cli) -> Outcome<()> {
    match &cli.command {
        Command::Run(args) => run::run(context, args).await,
        Command::Resume(args) => run::resume(context, args).await,
        Command::Submit(args) => task::submit(context, args).await,
        Command::Wait(args) => task::wait(context, args).await,
        Command::Status(args) => task::status(context, args).await,
        Command::List(args) => task::list(context, args).await,
        Command::Confirm(args) => task::confirm(context, args).await,
        Command::Cancel(args) => task::cancel(context, args).await,
        Command::Fetch(args) => fetch::fetch(context, args).await,
        Command::Cat(args) => files::cat(context, args).await,
        Command::Schema(args) => files::schema(context, args).await,
        Command::Count(args) => files::count(context, args).await,
        Command::Clean(args) => clean::clean(context, args).await,
        Command::Doctor(args) => doctor::doctor(context, args).await,
        Command::Verify(args) => verify::verify(context, args).await,
        // These need no services, and were answered before.
        Command::Config(_) | Command::Completions(_) | Command::Man(_) => Ok(()),
        #[cfg(feature = "embedded")]
        Command::Emulator(args) => embedded::serve(args).await,
    }
}

/// Reading blocks its thread: it is done on one that may.
async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Outcome<T> + Send + 'static,
) -> Outcome<T> {
    tokio::task::spawn_blocking(work).await.map_err(|error| Failure::new(Exit::Bug, error))?
}
