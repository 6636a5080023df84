//! `viking-export`: exports a VikingDB collection and streams its rows as JSON Lines.

#![deny(unsafe_code)]

mod allocator;
mod args;
mod commands;
mod context;
mod process;
mod ui;

use std::process::ExitCode;
use std::sync::Arc;

use viking_export::{Event, Listener, Session, Warning};

use args::Invocation;
use context::Context;
use ui::copy::Commands;
use ui::log::log_to_stderr;
use ui::report::Report;
use ui::suggest;

fn main() -> ExitCode {
    allocator::set_up();
    let invocation = match Invocation::read(commands::command_line()) {
        Ok(invocation) => invocation,
        Err(failure) => {
            // Nothing is known yet of how to talk.
            Report::plain().failure(&failure);
            return ExitCode::from(failure.exit.code());
        }
    };
    let report = Arc::new(Report::new(&invocation.cli.talk));
    log_to_stderr(&invocation.cli.talk);
    let session = Session::new(invocation.service()).with_listener(Arc::clone(&report) as _);
    let context = Context {
        session,
        report: Arc::clone(&report),
        commands: Commands::after(invocation.innermost()),
        talk: Arc::new(invocation.cli.talk.clone()),
        detach: Arc::default(),
    };
    let tells_of_key_file = invocation.tells_of_key_file();
    let outcome = process::run(&context, invocation);
    report.clear();
    if let (Some(file), false) = (context.session.service().open_key_file(), tells_of_key_file) {
        report.on_event(&Event::Warning(Warning::OpenKeyFile { file: file.to_owned() }));
    }
    let Err(failure) = outcome else { return ExitCode::SUCCESS };
    let failure = suggest::complete(failure, &context.commands);
    report.failure(&failure);
    ExitCode::from(failure.exit.code())
}
