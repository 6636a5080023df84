//! `viking-export`: exports a VikingDB collection and streams its rows as JSON Lines.

#![deny(unsafe_code)]

mod allocator;
mod args;
mod checkpoint;
mod clean;
mod copy;
mod credentials;
mod doctor;
mod download;
#[cfg(feature = "embedded")]
mod embedded;
mod environment;
mod exit;
mod files;
mod help;
mod output;
mod places;
mod plain;
mod printing;
mod proof;
mod question;
mod receipt;
mod remote;
mod report;
mod run;
mod run_folder;
mod settings;
mod settings_file;
mod signals;
mod stdout;
mod task;
mod values;
mod verify;
mod version;
mod versions;

use std::process::ExitCode;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use clap::error::ErrorKind;
use clap::parser::ValueSource;
use clap::{ArgMatches, FromArgMatches};
use tokio::runtime::Handle;
use tokio::sync::oneshot;
use viking_api::Client;

use args::{Cli, Command, ConfigArgs, ConfigCommand, TalkArgs};
use exit::{Exit, Failure, Outcome};
use printing::Stop;
use report::Report;
use settings::Service;
use settings_file::SettingsFile;
use signals::Signals;

/// What every verb may need.
#[derive(Debug, Clone)]
struct Context {
    service: Service,
    report: Arc<Report>,
    stop: Stop,
    detach: Arc<Detach>,
}

impl Context {
    /// A client of VikingDB. Says whom it will ask, since the answer may take a while.
    fn client(&self) -> Outcome<Client> {
        let client = self.service.client()?;
        let url = client.url();
        self.report.note(
            "connect",
            &format!("asking VikingDB at {url}"),
            serde_json::json!({"url": url}),
        );
        Ok(client)
    }
}

/// What to say when the user stops us: what goes on, and how to go on.
#[derive(Debug, Default)]
struct Detach(Mutex<Vec<String>>);

impl Detach {
    fn set(&self, lines: Vec<String>) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = lines;
    }

    fn take(&self) -> Vec<String> {
        std::mem::take(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// Clean-up after a signal takes no longer.
const STOP_LIMIT: Duration = Duration::from_secs(5);

fn main() -> ExitCode {
    allocator::set_up();
    let (cli, matches, file) = match parse() {
        Ok(parsed) => parsed,
        Err(failure) => {
            // Nothing is known yet of how to talk.
            Report::plain().failure(&failure);
            return ExitCode::from(failure.exit.code());
        }
    };
    copy::remember(innermost(&matches));
    let report = Report::new(&cli.talk);
    log_to_stderr(&cli.talk);
    let runtime =
        match tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build() {
            Ok(runtime) => runtime,
            Err(error) => {
                report.failure(&Failure::local("cannot start", error));
                return ExitCode::from(Exit::Local.code());
            }
        };
    let borne = {
        let _runtime = runtime.enter();
        signals::bear_file_size_limit()
    };
    if let Err(failure) = borne {
        report.failure(&failure);
        return ExitCode::from(failure.exit.code());
    }
    let service = Service::new(&cli.service);
    let from_file = Some(ValueSource::DefaultValue);
    let service = match innermost(&matches).value_source("profile") {
        source if source == from_file => service,
        _ => service.asked_for_profile(),
    };
    let context = Arc::new(Context {
        service,
        report: Arc::new(report),
        stop: Stop::default(),
        detach: Arc::default(),
    });
    let outcome = match &cli.command {
        Command::Config(ConfigArgs { command: ConfigCommand::Show(args) }) => {
            settings_file::show(&context, innermost(&matches), &file, args)
        }
        Command::Completions(args) => help::completions(args),
        Command::Man(args) => help::man(args),
        _ => runtime.block_on(until_stopped(Arc::clone(&context), cli)),
    };
    // A write that is stuck in a full pipe must not hold the program.
    runtime.shutdown_background();
    if let Some(file) = context.service.take_open_key_file() {
        let file = file.display();
        context
            .report
            .warn(&format!("{file} holds keys and can be read by others: chmod 600 {file}"));
    }
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            let failure = with_proxy(failure, &context.service);
            context.report.failure(&failure);
            ExitCode::from(failure.exit.code())
        }
    }
}

/// A proxy between us and a service may be what failed.
fn with_proxy(failure: Failure, service: &Service) -> Failure {
    match environment::proxy() {
        Some((variable, address)) if service.is_remote() && failure.may_be_of_proxy() => failure
            .hint(format!(
                "requests go through the proxy {address} ({variable}): it may be what failed"
            )),
        _ => failure,
    }
}

/// Reads the command line, with the user's settings file behind it.
fn parse() -> Outcome<(Cli, ArgMatches, SettingsFile)> {
    let file = SettingsFile::load()?;
    let parsed = file.apply(help::command()).try_get_matches();
    // It says itself what is wrong, and ends the program.
    let matches = parsed.unwrap_or_else(|error| {
        if let (ErrorKind::ValueValidation, Some(path)) = (error.kind(), file.path_of_values()) {
            let text = format!("values that were not typed are those of {}", path.display());
            Report::plain().note("settings", &text, serde_json::json!({}));
        }
        error.exit()
    });
    let cli = Cli::from_arg_matches(&matches).unwrap_or_else(|error| error.exit());
    Ok((cli, matches, file))
}

/// What was typed behind the last verb, flags before it included.
fn innermost(matches: &ArgMatches) -> &ArgMatches {
    matches.subcommand().map_or(matches, |(_, inner)| innermost(inner))
}

/// Does the work until it is done or a signal comes.
async fn until_stopped(context: Arc<Context>, cli: Cli) -> Outcome<()> {
    #[cfg(feature = "embedded")]
    if let Command::Emulator(args) = &cli.command {
        return embedded::serve(args).await;
    }
    let mut signals = Signals::new()?;
    // A thread of its own: whatever it waits for, signals are heard.
    let (done, mut outcome) = oneshot::channel();
    let (handle, worker) = (Handle::current(), Arc::clone(&context));
    std::thread::spawn(move || {
        let stop = worker.stop.clone();
        let outcome = handle.block_on(async {
            tokio::select! {
                outcome = dispatch(&worker, cli) => Some(outcome),
                () = stop.asked() => None,
            }
        });
        // Nobody listens any more after a second signal.
        done.send(outcome).unwrap_or(());
    });
    let exit = tokio::select! {
        outcome = &mut outcome => match outcome {
            Ok(Some(outcome)) => return outcome,
            Ok(None) | Err(_) => return Err(Failure::say(Exit::Bug, "the work ended without an outcome")),
        },
        exit = signals.next() => exit,
    };
    context.stop.ask();
    context.report.clear();
    context.report.note("stopping", "stopping at the end of a line", serde_json::json!({}));
    let mut word = if exit == Exit::Interrupted { "interrupted" } else { "terminated" };
    let clean_up = async {
        // Nothing more is to be learned from it.
        drop(outcome.await);
        context.stop.wait_until_idle().await;
    };
    tokio::select! {
        done = tokio::time::timeout(STOP_LIMIT, clean_up) => if done.is_err() {
            word = "stopped, though the output did not take the rows that were on their way";
        },
        _ = signals.next() => word = "stopped at once by a second signal",
    }
    Err(context.detach.take().into_iter().fold(Failure::say(exit, word), Failure::hint))
}

async fn dispatch(context: &Arc<Context>, cli: Cli) -> Outcome<()> {
    #[cfg(feature = "embedded")]
    if cli.service.embedded {
        let emulator = embedded::start().await?;
        let service = Service::embedded(emulator.ready(), &cli.service);
        let context = Context { service, ..context.as_ref().clone() };
        return verb(&Arc::new(context), cli).await;
    }
    verb(context, cli).await
}

async fn verb(context: &Arc<Context>, cli: Cli) -> Outcome<()> {
    match &cli.command {
        Command::Run(args) => run::run(context, args).await,
        Command::Resume(args) => run::resume(context, args).await,
        Command::Submit(args) => task::submit(context, args).await,
        Command::Wait(args) => task::wait(context, args).await,
        Command::Status(args) => task::status(context, args).await,
        Command::List(args) => task::list(context, args).await,
        Command::Confirm(args) => task::confirm(context, args).await,
        Command::Cancel(args) => task::cancel(context, &cli.talk, args).await,
        Command::Fetch(args) => download::fetch(context, args).await,
        Command::Cat(args) => files::cat(context, args).await,
        Command::Schema(args) => files::schema(context, args).await,
        Command::Count(args) => files::count(context, args).await,
        Command::Clean(args) => clean::clean(context, &cli.talk, args).await,
        Command::Doctor(args) => doctor::doctor(context, args).await,
        Command::Verify(args) => verify::verify(context, args).await,
        // These need no services, and were answered before.
        Command::Config(_) | Command::Completions(_) | Command::Man(_) => Ok(()),
        #[cfg(feature = "embedded")]
        Command::Emulator(args) => embedded::serve(args).await,
    }
}

fn log_to_stderr(talk: &TalkArgs) {
    let filter = match (&talk.log, talk.verbose) {
        (Some(filter), _) => filter.clone(),
        (None, 0) => return,
        (None, 1) => "viking_api=info,viking_fetch=info,viking_export=info".to_owned(),
        (None, _) => {
            "viking_api=debug,viking_fetch=debug,viking_export=debug,object_store=info".to_owned()
        }
    };
    tracing_subscriber::fmt()
        .with_env_filter(tracing_subscriber::EnvFilter::new(filter))
        .with_writer(|| LogLine)
        .with_ansi(false)
        .log_internal_errors(false)
        .init();
}

/// A line of the log. Where stderr is gone there is nobody left to read it.
struct LogLine;

impl std::io::Write for LogLine {
    fn write(&mut self, line: &[u8]) -> std::io::Result<usize> {
        let text = String::from_utf8_lossy(line);
        let plain = plain::one_line(text.trim_end_matches('\n'));
        std::io::stderr().write_all(format!("{plain}\n").as_bytes()).unwrap_or(());
        Ok(line.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}
