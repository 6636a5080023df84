//! The command line as it is typed.

mod groups;
mod invocation;
mod settings;
mod typed;
mod values;

#[cfg(feature = "embedded")]
use std::num::NonZeroUsize;
use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};
use viking_export::VERSION;

pub(crate) use groups::{
    ExportArgs, GoingArgs, OutputArgs, Patience, RowArgs, ServiceArgs, TalkArgs, TransferArgs,
};
pub(crate) use invocation::Invocation;
pub(crate) use settings::SettingsFile;
pub(crate) use typed::{is_typed, typed};
use values::text;
pub(crate) use values::{ProgressForm, When};

/// Export a VikingDB collection and stream its rows as JSON Lines.
#[derive(Debug, Parser)]
#[command(name = "viking-export", version = VERSION, arg_required_else_help = true, max_term_width = 100)]
#[command(
    after_help = "Credentials are read from VOLCENGINE_ACCESS_KEY and VOLCENGINE_SECRET_KEY (and VOLCENGINE_SESSION_TOKEN).\n\
    Exit codes: 0 done, 2 usage, 3 credentials or permission, 4 not found, 5 task failed, 6 task not finished,\n\
    7 transfer failed, 8 bad data, 9 local disk or output, 130 interrupted, 143 terminated; 1 is a bug on our side."
)]
#[command(before_long_help = "Examples:\n  \
    viking-export run example --all --to tos://bucket/exports | jq .city\n  \
    viking-export run example --filter '[{\"op\":\"must\",\"field\":\"city\",\"conds\":[\"beijing\"]}]' --to tos://bucket/exports\n  \
    viking-export cat export.parquet -c id,city -n 10\n  \
    viking-export run example --all --to tos://demo/exports --embedded")]
pub(crate) struct Cli {
    #[command(flatten)]
    pub(crate) talk: TalkArgs,
    #[command(flatten)]
    pub(crate) service: ServiceArgs,
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Export a collection, download it and print its rows
    Run(RunArgs),
    /// Resume an interrupted run
    Resume(ResumeArgs),
    /// Create the export task and print its id
    Submit(SubmitArgs),
    /// Wait for a task to finish and print where it wrote
    Wait(TaskArgs),
    /// Show a task
    Status(ShowTaskArgs),
    /// List the tasks of a collection
    List(ListArgs),
    /// Confirm a task that waits for confirmation
    Confirm(ConfirmArgs),
    /// Cancel a task on the server
    Cancel(CancelArgs),
    /// Download the objects of an export
    Fetch(FetchArgs),
    /// Print the rows of local files or of objects in TOS
    Cat(CatArgs),
    /// Show the columns of files
    Schema(FilesArgs),
    /// Count the rows of files
    Count(FilesArgs),
    /// Delete the objects of a finished folder from TOS
    Clean(CleanArgs),
    /// Compare the files of a folder with its receipt, without the network
    Verify(VerifyArgs),
    /// Check credentials, clock, services and disk, and suggest fixes
    Doctor(DoctorArgs),
    /// Show the settings and where each comes from
    Config(ConfigArgs),
    /// Print completions for a shell
    Completions(CompletionsArgs),
    /// Print a man page
    Man(ManArgs),
    /// Serve a local VikingDB and TOS
    #[cfg(feature = "embedded")]
    Emulator(EmulatorArgs),
}

#[derive(Debug, Args)]
pub(crate) struct RunArgs {
    #[command(flatten)]
    pub(crate) export: ExportArgs,
    /// The run folder; the folder of an equal run is resumed
    #[arg(long, value_name = "DIR", help_heading = "Run")]
    pub(crate) dir: Option<PathBuf>,
    /// Only show what would be exported, and where to
    #[arg(long, help_heading = "Run")]
    pub(crate) dry_run: bool,
    #[command(flatten)]
    pub(crate) rows: RowArgs,
    #[command(flatten)]
    pub(crate) going: GoingArgs,
}

#[derive(Debug, Args)]
pub(crate) struct ResumeArgs {
    /// The run folder
    pub(crate) dir: PathBuf,
    #[command(flatten)]
    pub(crate) going: GoingArgs,
}

#[derive(Debug, Args)]
pub(crate) struct SubmitArgs {
    #[command(flatten)]
    pub(crate) export: ExportArgs,
}

#[derive(Debug, Args)]
pub(crate) struct TaskArgs {
    /// The task's id
    #[arg(value_parser = text())]
    pub(crate) task: String,
    #[command(flatten)]
    pub(crate) patience: Patience,
}

#[derive(Debug, Args)]
pub(crate) struct ConfirmArgs {
    /// The task's id
    #[arg(value_parser = text())]
    pub(crate) task: String,
}

#[derive(Debug, Args)]
pub(crate) struct ConfigArgs {
    #[command(subcommand)]
    pub(crate) command: ConfigCommand,
}

#[derive(Debug, Subcommand)]
pub(crate) enum ConfigCommand {
    /// Print each setting with its value and origin; keys are masked
    Show(ConfigShowArgs),
}

#[derive(Debug, Args)]
pub(crate) struct ConfigShowArgs {
    /// Print JSON Lines
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Args)]
pub(crate) struct CompletionsArgs {
    /// The shell
    pub(crate) shell: clap_complete::Shell,
}

#[derive(Debug, Args)]
pub(crate) struct ManArgs {
    /// The page of this command; of the whole program if omitted
    pub(crate) verb: Option<String>,
}

#[derive(Debug, Args)]
pub(crate) struct DoctorArgs {
    /// A collection to check
    #[arg(value_parser = text())]
    pub(crate) collection: Option<String>,
    /// Where exports go
    #[arg(long, value_name = "tos://BUCKET/PREFIX", value_parser = text(), env = "VIKING_EXPORT_TO")]
    pub(crate) to: Option<String>,
    /// Where files go
    #[arg(long, value_name = "DIR", default_value = ".")]
    pub(crate) dir: PathBuf,
    /// Print JSON Lines
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Args)]
pub(crate) struct CancelArgs {
    /// The task's id
    #[arg(value_parser = text())]
    pub(crate) task: String,
    /// Only show what would be done
    #[arg(long)]
    pub(crate) dry_run: bool,
}

#[derive(Debug, Args)]
pub(crate) struct CleanArgs {
    /// The folder of a finished run or fetch
    pub(crate) dir: PathBuf,
    /// Only list what would be deleted
    #[arg(long)]
    pub(crate) dry_run: bool,
}

#[derive(Debug, Args)]
pub(crate) struct ShowTaskArgs {
    /// The task's id
    #[arg(value_parser = text())]
    pub(crate) task: String,
    /// Print JSON
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Args)]
pub(crate) struct ListArgs {
    /// The collection
    #[arg(value_parser = text())]
    pub(crate) collection: String,
    /// Print JSON Lines
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Args)]
pub(crate) struct FetchArgs {
    /// Where the objects are
    #[arg(
        value_name = "tos://BUCKET/PREFIX",
        value_parser = text(),
        required_unless_present = "task",
        conflicts_with = "task"
    )]
    pub(crate) from: Option<String>,
    /// The task that wrote them
    #[arg(long, value_name = "ID", value_parser = text())]
    pub(crate) task: Option<String>,
    /// The folder for the files
    #[arg(long, value_name = "DIR")]
    pub(crate) dir: PathBuf,
    /// Only show how many objects, bytes and rows there are, and whether they fit on the disk
    #[arg(long)]
    pub(crate) dry_run: bool,
    #[command(flatten)]
    pub(crate) transfer: TransferArgs,
    #[command(flatten)]
    pub(crate) patience: Patience,
}

#[derive(Debug, Args)]
pub(crate) struct CatArgs {
    /// Files, folders, patterns, prefixes of TOS, or - for stdin
    #[arg(required_unless_present = "task", conflicts_with = "task", value_name = "PATH")]
    pub(crate) paths: Vec<PathBuf>,
    /// The objects that this task wrote, once it is done
    #[arg(long, value_name = "ID", value_parser = text())]
    pub(crate) task: Option<String>,
    #[command(flatten)]
    pub(crate) rows: RowArgs,
    #[command(flatten)]
    pub(crate) output: OutputArgs,
    #[command(flatten)]
    pub(crate) patience: Patience,
}

#[derive(Debug, Args)]
pub(crate) struct FilesArgs {
    /// Files, folders, patterns, prefixes of TOS, or - for stdin
    #[arg(required = true, value_name = "PATH")]
    pub(crate) paths: Vec<PathBuf>,
    /// Print JSON
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Args)]
pub(crate) struct VerifyArgs {
    /// The folder of a run or a fetch
    pub(crate) dir: PathBuf,
    /// Print JSON Lines
    #[arg(long)]
    pub(crate) json: bool,
}

#[cfg(feature = "embedded")]
#[derive(Debug, Args)]
pub(crate) struct EmulatorArgs {
    /// A folder of collections, each a folder of Parquet files [default: the collection `example`]
    #[arg(long, value_name = "DIR")]
    pub(crate) collections: Option<PathBuf>,
    /// The port of VikingDB; chosen by the system if omitted
    #[arg(long, default_value_t = 0)]
    pub(crate) port: u16,
    /// The port of TOS; chosen by the system if omitted
    #[arg(long, default_value_t = 0)]
    pub(crate) tos_port: u16,
    /// A fault to inject, for example tos-cut=2
    #[arg(long, value_name = "SPEC")]
    pub(crate) fault: Vec<viking_emulator::Fault>,
    /// Milliseconds that a task spends in each state
    #[arg(long, value_name = "MS", default_value_t = 100)]
    pub(crate) state_time: u64,
    /// Rows per exported object
    #[arg(long, value_name = "ROWS", default_value = "4999")]
    pub(crate) object_rows: NonZeroUsize,
}
