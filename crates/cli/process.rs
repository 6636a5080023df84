//! The process around a command: its runtime, and what signals do to it.

use std::sync::Arc;
use std::time::Duration;

use tokio::runtime::{Builder, Handle};
use tokio::sync::oneshot;
use viking_export::Event;
use viking_export::config::environment;

use crate::args::{Cli, Invocation};
use crate::commands;
use crate::context::Context;
use crate::ui::failure::{Exit, Failure, Outcome};
use crate::ui::signals::{Signals, bear_file_size_limit};
use crate::ui::suggest::may_be_of_proxy;

/// Clean-up after a signal takes no longer.
const STOP_LIMIT: Duration = Duration::from_secs(5);

/// Does what was asked for.
pub(crate) fn run(context: &Context, invocation: Invocation) -> Outcome<()> {
    let runtime = Builder::new_multi_thread().worker_threads(2).enable_all().build();
    let runtime = runtime.map_err(|error| Failure::local("cannot start", error))?;
    {
        let _runtime = runtime.enter();
        bear_file_size_limit()?;
    }
    let outcome = match commands::at_once(context, &invocation) {
        Some(outcome) => outcome,
        None => runtime.block_on(until_stopped(context, invocation.cli)),
    };
    // A write that is stuck in a full pipe must not hold the program.
    runtime.shutdown_background();
    outcome.map_err(|failure| with_proxy(failure, context))
}

/// A proxy between us and a service may be what failed.
fn with_proxy(failure: Failure, context: &Context) -> Failure {
    let is_remote = context.session.service().is_remote();
    match environment::proxy() {
        Some((variable, address)) if is_remote && may_be_of_proxy(&failure) => {
            let text = format!(
                "requests go through the proxy {address} ({variable}): it may be the cause"
            );
            failure.hint(text)
        }
        _ => failure,
    }
}

/// Does the work until it is done or a signal comes.
async fn until_stopped(context: &Context, cli: Cli) -> Outcome<()> {
    #[cfg(feature = "embedded")]
    if let crate::args::Command::Emulator(_) = &cli.command {
        return commands::run(context, &cli).await;
    }
    let mut signals = Signals::new()?;
    // A thread of its own: whatever it waits for, signals are heard.
    let (done, mut outcome) = oneshot::channel();
    let (handle, worker) = (Handle::current(), Arc::new(context.clone()));
    std::thread::spawn(move || {
        let stop = worker.session.stop().clone();
        let outcome = handle.block_on(async {
            tokio::select! {
                outcome = commands::run(&worker, &cli) => Some(outcome),
                () = stop.asked() => None,
            }
        });
        // Nobody listens any more after a second signal.
        done.send(outcome).unwrap_or(());
    });
    let exit = tokio::select! {
        outcome = &mut outcome => match outcome {
            Ok(Some(outcome)) => return outcome,
            Ok(None) | Err(_) => return Err(Failure::say(Exit::Bug, "the command ended without an outcome")),
        },
        exit = signals.next() => exit,
    };
    let stop = context.session.stop();
    stop.ask();
    context.report.clear();
    context.tell(&Event::Stopping);
    let mut word = if exit == Exit::Interrupted { "interrupted" } else { "terminated" };
    let clean_up = async {
        // Nothing more is to be learned from it.
        drop(outcome.await);
        stop.wait_until_idle().await;
    };
    tokio::select! {
        done = tokio::time::timeout(STOP_LIMIT, clean_up) => if done.is_err() {
            word = "stopped, but the output did not accept the rows in flight";
        },
        _ = signals.next() => word = "stopped at once by a second signal",
    }
    Err(context.detach.take().into_iter().fold(Failure::say(exit, word), Failure::hint))
}
