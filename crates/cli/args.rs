//! The command line as it is typed.

use std::num::{NonZeroU64, NonZeroUsize};
use std::path::PathBuf;
use std::time::Duration;

use bytesize::ByteSize;
use clap::{Args, Parser, Subcommand};
use serde::{Deserialize, Serialize};
use viking_fetch::Jobs;

use crate::values::{
    ApiArg, BinaryArg, FileTypeArg, Format, NonFiniteArg, NullsArg, NumberOrString, ProgressForm,
    Trimmed, Vectors, VerifyArg, When, jobs, parsed, part_size, size, text, time, word,
};
use crate::version::VERSION;

/// Export a VikingDB collection and stream its rows as JSON Lines.
#[derive(Debug, Parser)]
#[command(name = "viking-export", version = VERSION, arg_required_else_help = true, max_term_width = 100)]
#[command(
    after_help = "Keys are read from VOLCENGINE_ACCESS_KEY and VOLCENGINE_SECRET_KEY (and VOLCENGINE_SESSION_TOKEN).\n\
    Exit codes: 0 done, 2 usage, 3 keys or permission, 4 not found, 5 task failed, 6 task not finished,\n\
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
    /// Go on with an interrupted run
    Resume(ResumeArgs),
    /// Create the export task and print its id
    Submit(SubmitArgs),
    /// Follow a task to its end and print where it wrote
    Wait(TaskArgs),
    /// Show a task
    Status(ShowTaskArgs),
    /// List the tasks of a collection
    List(ListArgs),
    /// Confirm a task that waits for it
    Confirm(ConfirmArgs),
    /// End a task on the server
    Cancel(CancelArgs),
    /// Download the objects of an export
    Fetch(FetchArgs),
    /// Print the rows of files, here or in TOS
    Cat(CatArgs),
    /// Show the columns of files
    Schema(FilesArgs),
    /// Count the rows of files
    Count(FilesArgs),
    /// Delete the objects of a finished folder from TOS
    Clean(CleanArgs),
    /// Prove the files of a folder again, without the network
    Verify(VerifyArgs),
    /// Look at keys, clock, services and disk, and say what to do about what is wrong
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
#[command(next_help_heading = "Talk")]
pub(crate) struct TalkArgs {
    /// Show more: -v what happens, -vv every request
    #[arg(short, long, global = true, action = clap::ArgAction::Count)]
    pub(crate) verbose: u8,
    /// Show errors only
    #[arg(short, long, global = true)]
    pub(crate) quiet: bool,
    /// How progress is shown on stderr
    #[arg(
        long,
        global = true,
        value_name = "FORM",
        default_value = "auto",
        value_parser = word::<ProgressForm>(),
        env = "VIKING_EXPORT_PROGRESS"
    )]
    pub(crate) progress: ProgressForm,
    /// Colour on stderr
    #[arg(long, global = true, value_name = "WHEN", default_value = "auto")]
    pub(crate) color: When,
    /// Never ask; what would be asked is refused
    #[arg(long, global = true)]
    pub(crate) no_input: bool,
    /// Answer every question with yes
    #[arg(long, global = true)]
    pub(crate) yes: bool,
    /// What to log, instead of -v, for example `viking_api=debug`
    #[arg(long, global = true, hide = true, value_name = "FILTER", value_parser = text(), env = "VIKING_EXPORT_LOG")]
    pub(crate) log: Option<String>,
}

#[derive(Debug, Args)]
#[command(next_help_heading = "Service")]
pub(crate) struct ServiceArgs {
    /// The region of the service
    #[arg(
        long,
        global = true,
        env = "VOLCENGINE_REGION",
        value_parser = text(),
        default_value = "cn-beijing"
    )]
    pub(crate) region: String,
    /// The address of VikingDB, if it is not the region's own
    #[arg(
        long,
        global = true,
        value_name = "URL",
        value_parser = text(),
        env = "VIKING_EXPORT_ENDPOINT",
        hide_env_values = true
    )]
    pub(crate) endpoint: Option<String>,
    /// The address of TOS without the bucket, if it is not the region's own
    #[arg(
        long,
        global = true,
        value_name = "URL",
        value_parser = text(),
        env = "VIKING_EXPORT_TOS_ENDPOINT",
        hide_env_values = true
    )]
    pub(crate) tos_endpoint: Option<String>,
    /// The generation of VikingDB's interface
    #[arg(
        long,
        global = true,
        value_name = "API",
        value_parser = word::<ApiArg>(),
        env = "VIKING_EXPORT_API",
        default_value = "v1"
    )]
    pub(crate) api: ApiArg,
    /// The collection's project, with --api v2
    #[arg(long, global = true, value_name = "NAME", value_parser = text(), env = "VIKING_EXPORT_PROJECT")]
    pub(crate) project: Option<String>,
    /// The collection's resource id in place of its name, with --api v2
    #[arg(long, global = true, value_name = "ID", value_parser = text())]
    pub(crate) resource_id: Option<String>,
    /// Take the keys from this profile of ~/.volcengine/config.json
    #[arg(long, global = true, value_name = "NAME", value_parser = text(), env = "VIKING_EXPORT_PROFILE")]
    pub(crate) profile: Option<String>,
    /// How long VikingDB or TOS may stay silent before a request counts as failed
    #[arg(long, global = true, value_name = "TIME", default_value = "30s", value_parser = time)]
    pub(crate) request_timeout: Duration,
    /// How long requests are repeated after passing faults [default: 5m, and 20s before the first answer]
    #[arg(long, global = true, value_name = "TIME", value_parser = Trimmed(time), env = "VIKING_EXPORT_RETRY_FOR", hide_env_values = true)]
    pub(crate) retry_for: Option<Duration>,
    /// Use plain http to other machines as well
    #[arg(long, global = true)]
    pub(crate) allow_http: bool,
    /// Use a VikingDB and TOS inside this process, with the collection `example`
    #[cfg(feature = "embedded")]
    #[arg(long, global = true)]
    pub(crate) embedded: bool,
}

#[derive(Debug, Args)]
#[command(next_help_heading = "Transfer")]
pub(crate) struct TransferArgs {
    /// Parts of objects downloaded at once, or `auto` to find how many bring most
    #[arg(
        short,
        long,
        value_name = "N|auto",
        default_value = "4",
        value_parser = Trimmed(jobs),
        env = "VIKING_EXPORT_JOBS"
    )]
    pub(crate) jobs: Jobs,
    /// Larger objects are downloaded in parts of this size; a stop loses at most one for each job
    #[arg(long, value_name = "SIZE", default_value = "16MiB", value_parser = part_size)]
    pub(crate) part_size: NonZeroU64,
    /// Bytes a second at most, for example 20MiB
    #[arg(long, value_name = "SIZE", value_parser = size)]
    pub(crate) limit_rate: Option<NonZeroU64>,
    /// What is compared: `full` reads each file again and compares its MD5
    #[arg(long, value_name = "HOW", default_value = "normal")]
    pub(crate) verify: VerifyArg,
    /// How often a request to TOS is repeated at most; left out, --retry-for alone decides
    #[arg(long, value_name = "N")]
    pub(crate) retries: Option<u8>,
}

/// Positional arguments stay with those that have no heading, whatever stands around them.
const ARGUMENTS: Option<&str> = None;

/// What to export.
#[derive(Debug, Args)]
#[command(next_help_heading = "Export")]
#[command(group(clap::ArgGroup::new("which").args(["all", "filter"]).required(true)))]
pub(crate) struct ExportArgs {
    /// The collection
    #[arg(help_heading = ARGUMENTS, value_parser = text())]
    pub(crate) collection: String,
    /// Export every row
    #[arg(long)]
    pub(crate) all: bool,
    /// Export the rows that satisfy these conditions: JSON, @FILE, or - for stdin
    #[arg(long, value_name = "JSON")]
    pub(crate) filter: Option<String>,
    /// Where in TOS the export goes; each run gets a folder of its own below
    #[arg(long, value_name = "tos://BUCKET/PREFIX", value_parser = text(), env = "VIKING_EXPORT_TO")]
    pub(crate) to: String,
    /// The files that are written
    #[arg(long, value_name = "TYPE", default_value = "parquet")]
    pub(crate) file_type: FileTypeArg,
    /// Export these fields only, with --api v2
    #[arg(long, value_name = "NAMES", value_delimiter = ',')]
    pub(crate) output_fields: Vec<String>,
}

/// What is printed of the rows, and how.
#[derive(Debug, Clone, Default, Args, Serialize, Deserialize)]
#[command(next_help_heading = "Rows")]
pub(crate) struct RowArgs {
    /// Only these columns, in the file's order; a name that holds commas is given by itself
    #[arg(short, long, value_name = "NAMES")]
    pub(crate) columns: Vec<String>,
    /// Not these columns
    #[arg(long, value_name = "NAMES")]
    pub(crate) drop: Vec<String>,
    /// At most this many rows
    #[arg(short = 'n', long, value_name = "ROWS")]
    pub(crate) limit: Option<u64>,
    /// Leave out this many rows at the start
    #[arg(long, value_name = "ROWS", default_value_t = 0)]
    pub(crate) offset: u64,
    /// Lines of JSON objects, one JSON array, or an Arrow IPC stream
    #[arg(long, value_name = "FORMAT", default_value = "jsonl")]
    #[serde(default)]
    pub(crate) format: Format,
    /// Top-level lists of floats
    #[arg(long, value_name = "FORM", default_value = "array")]
    pub(crate) vectors: Vectors,
    /// 64-bit integers; `string` for readers that lose digits beyond 2^53
    #[arg(long, value_name = "FORM", default_value = "number")]
    pub(crate) int64: NumberOrString,
    /// NaN and infinities
    #[arg(long, value_name = "FORM", default_value = "null")]
    pub(crate) nonfinite: NonFiniteArg,
    /// Binary values
    #[arg(long, value_name = "FORM", default_value = "base64")]
    pub(crate) binary: BinaryArg,
    /// Decimals
    #[arg(long, value_name = "FORM", default_value = "number")]
    pub(crate) decimal: NumberOrString,
    /// Top-level nulls
    #[arg(long, value_name = "FORM", default_value = "keep")]
    pub(crate) nulls: NullsArg,
    /// Rows decoded at a time
    #[arg(long, value_name = "ROWS", default_value = "100")]
    pub(crate) batch_rows: Option<NonZeroUsize>,
    /// Threads that decode and encode; all cores if left out. The rows are the same with any number
    #[arg(long, value_parser = Trimmed(parsed::<NonZeroUsize>), env = "VIKING_EXPORT_THREADS")]
    #[serde(default)]
    pub(crate) threads: Option<NonZeroUsize>,
    /// Memory for decoding and printing, for example 256MiB
    #[arg(long, value_name = "SIZE", value_parser = Trimmed(parsed::<ByteSize>), env = "VIKING_EXPORT_MEMORY", default_value = "64MiB")]
    #[serde(default)]
    pub(crate) memory: Option<ByteSize>,
    /// Go on when a file has other columns than those before it
    #[arg(long)]
    pub(crate) allow_schema_change: bool,
}

impl RowArgs {
    /// Whether rows are left out.
    pub(crate) fn is_partial(&self) -> bool {
        self.limit.is_some() || self.offset > 0
    }
}

/// Where rows go.
#[derive(Debug, Args)]
#[command(next_help_heading = "Output")]
pub(crate) struct OutputArgs {
    /// Write the rows to this file; - is stdout
    #[arg(short, long, value_name = "FILE")]
    pub(crate) output: Option<PathBuf>,
    /// Replace the output file if it exists
    #[arg(long)]
    pub(crate) force: bool,
}

#[derive(Debug, Args)]
pub(crate) struct RunArgs {
    #[command(flatten)]
    pub(crate) export: ExportArgs,
    /// The run folder; a folder of an equal run is gone on with
    #[arg(long, value_name = "DIR", help_heading = "Run")]
    pub(crate) dir: Option<PathBuf>,
    /// Only tell what would be exported, and where to
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

/// How a run is carried through, apart from what is in its receipt.
#[derive(Debug, Args)]
pub(crate) struct GoingArgs {
    /// Remove the data files once their rows are printed and proven
    #[arg(long, help_heading = "Run")]
    pub(crate) discard: bool,
    /// Delete the objects from TOS once their rows are printed and proven
    #[arg(long, help_heading = "Run")]
    pub(crate) clean: bool,
    /// Create a new task if the run's own failed, was dropped, or was never found
    #[arg(long, help_heading = "Run")]
    pub(crate) new_task: bool,
    #[command(flatten)]
    pub(crate) patience: Patience,
    /// How far objects are downloaded ahead of the rows that are printed
    #[arg(
        long,
        value_name = "SIZE",
        default_value = "1GiB",
        value_parser = size,
        help_heading = "Transfer"
    )]
    pub(crate) ahead: NonZeroU64,
    #[command(flatten)]
    pub(crate) output: OutputArgs,
    #[command(flatten)]
    pub(crate) transfer: TransferArgs,
}

/// How long a task is followed, and when it counts as stalled.
#[derive(Debug, Clone, Copy, Args)]
#[command(next_help_heading = "Task")]
pub(crate) struct Patience {
    /// Give up following the task after this long, for example 90m
    #[arg(long, value_name = "TIME", value_parser = time)]
    pub(crate) timeout: Option<Duration>,
    /// Warn when the task has not moved for this long
    #[arg(long, value_name = "TIME", default_value = "10m", value_parser = time)]
    pub(crate) stall: Duration,
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
    /// The page of this verb; of the whole program if left out
    pub(crate) verb: Option<String>,
}

#[derive(Debug, Args)]
pub(crate) struct DoctorArgs {
    /// A collection to look at
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
    /// Only tell what would be done
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
    /// Only tell how many objects, bytes and rows there are, and whether they fit on the disk
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
    /// A folder of collections, each a folder of Parquet files; otherwise the collection `example`
    #[arg(long, value_name = "DIR")]
    pub(crate) collections: Option<PathBuf>,
    /// The port of VikingDB; the system picks one if left out
    #[arg(long, default_value_t = 0)]
    pub(crate) port: u16,
    /// The port of TOS; the system picks one if left out
    #[arg(long, default_value_t = 0)]
    pub(crate) tos_port: u16,
    /// What goes wrong, for example tos-cut=2
    #[arg(long, value_name = "SPEC")]
    pub(crate) fault: Vec<viking_emulator::Fault>,
    /// Milliseconds a task stays in each of its states
    #[arg(long, value_name = "MS", default_value_t = 100)]
    pub(crate) state_time: u64,
    /// Rows of each exported object
    #[arg(long, value_name = "ROWS", default_value = "4999")]
    pub(crate) object_rows: NonZeroUsize,
}
