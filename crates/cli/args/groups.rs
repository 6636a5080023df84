//! Flags that several commands share.

use std::num::{NonZeroU64, NonZeroUsize};
use std::path::PathBuf;
use std::time::Duration;

use bytesize::ByteSize;
use clap::Args;
#[cfg(feature = "embedded")]
use viking_export::config::CredentialSet;
use viking_export::config::{Address, AddressOverrides, Service, site_of_credentials};
use viking_export::viking_api::{Api, Site};
use viking_export::viking_fetch::{Jobs, Verify};
use viking_export::{RowOptions, RunOptions, TransferOptions};

use super::values::{
    ApiArg, BinaryArg, FileTypeArg, FloatsArg, Format, NonFiniteArg, NullsArg, NumberOrString,
    ProgressForm, SiteArg, Trimmed, VectorsArg, VerifyArg, When, jobs, parsed, part_size, size,
    text, time, word,
};

#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Output and logging")]
pub(crate) struct TalkArgs {
    /// Log more: -v for steps, -vv for every request
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
    /// Use colour on stderr
    #[arg(long, global = true, value_name = "WHEN", default_value = "auto")]
    pub(crate) color: When,
    /// Never ask questions; refuse what would need an answer
    #[arg(long, global = true)]
    pub(crate) no_input: bool,
    /// Answer yes to every question
    #[arg(long, global = true)]
    pub(crate) yes: bool,
    /// What to log, instead of -v, for example `viking_api=debug`
    #[arg(long, global = true, hide = true, value_name = "FILTER", value_parser = text(), env = "VIKING_EXPORT_LOG")]
    pub(crate) log: Option<String>,
}

#[derive(Debug, Args)]
#[command(next_help_heading = "Service")]
pub(crate) struct ServiceArgs {
    /// The cloud of the account [default: that of the credentials]
    #[arg(long, global = true, value_name = "SITE", value_parser = word::<SiteArg>(), env = "VIKING_EXPORT_SITE")]
    pub(crate) site: Option<SiteArg>,
    /// The region of the service [default: cn-beijing, or ap-southeast-1 with --site byteplus]
    #[arg(long, global = true, env = "VOLCENGINE_REGION", value_parser = text())]
    pub(crate) region: Option<String>,
    /// The URL of VikingDB [default: that of the region]
    #[arg(
        long,
        global = true,
        value_name = "URL",
        value_parser = text(),
        env = "VIKING_EXPORT_ENDPOINT",
        hide_env_values = true
    )]
    pub(crate) endpoint: Option<String>,
    /// The URL of TOS without the bucket [default: that of the region]
    #[arg(
        long,
        global = true,
        value_name = "URL",
        value_parser = text(),
        env = "VIKING_EXPORT_TOS_ENDPOINT",
        hide_env_values = true
    )]
    pub(crate) tos_endpoint: Option<String>,
    /// The version of VikingDB's interface [default: v1, or v2 with --site byteplus]
    #[arg(
        long,
        global = true,
        value_name = "API",
        value_parser = word::<ApiArg>(),
        env = "VIKING_EXPORT_API"
    )]
    pub(crate) api: Option<ApiArg>,
    /// The collection's project, with --api v2
    #[arg(long, global = true, value_name = "NAME", value_parser = text(), env = "VIKING_EXPORT_PROJECT")]
    pub(crate) project: Option<String>,
    /// The collection's resource id instead of its name, with --api v2
    #[arg(long, global = true, value_name = "ID", value_parser = text())]
    pub(crate) resource_id: Option<String>,
    /// Use the credentials of this profile in ~/.volcengine/config.json or ~/.byteplus/config.json
    #[arg(long, global = true, value_name = "NAME", value_parser = text(), env = "VIKING_EXPORT_PROFILE")]
    pub(crate) profile: Option<String>,
    /// How long a request may go without an answer before it fails
    #[arg(long, global = true, value_name = "TIME", default_value = "30s", value_parser = time)]
    pub(crate) request_timeout: Duration,
    /// How long to retry after transient errors [default: 5m, and 20s before the first answer]
    #[arg(long, global = true, value_name = "TIME", value_parser = Trimmed(time), env = "VIKING_EXPORT_RETRY_FOR", hide_env_values = true)]
    pub(crate) retry_for: Option<Duration>,
    /// Allow plain http to other machines
    #[arg(long, global = true)]
    pub(crate) allow_http: bool,
    /// Use a VikingDB and TOS inside this process, with the collection `example`
    #[cfg(feature = "embedded")]
    #[arg(long, global = true)]
    pub(crate) embedded: bool,
}

impl ServiceArgs {
    /// The services that were typed. `is_typed` tells which flags stand on the command line, and
    /// `is_profile_asked` whether the profile was asked for, by its flag or variable.
    pub(crate) fn service(
        &self,
        is_typed: impl Fn(&str) -> bool,
        is_profile_asked: bool,
    ) -> Service {
        let overrides = AddressOverrides {
            region: is_typed("region"),
            endpoint: is_typed("endpoint"),
            tos_endpoint: is_typed("tos_endpoint"),
        };
        let asked = self.profile.as_deref().filter(|_| is_profile_asked);
        let site = self.site.map_or_else(|| site_of_credentials(asked), Site::from);
        let service = self
            .patient(Service::new(self.address(site)))
            .with_allow_http(self.allow_http)
            .with_overrides(overrides);
        match &self.profile {
            Some(profile) => service.with_profile(profile, is_profile_asked),
            None => service,
        }
    }

    /// The services inside this process. Credentials and addresses of the user stay out of it.
    #[cfg(feature = "embedded")]
    pub(crate) fn embedded_service(&self, ready: &viking_emulator::Ready) -> Service {
        let address = self
            .address(Site::default())
            .with_region(ready.region.clone())
            .with_endpoint(ready.vikingdb.clone())
            .with_tos_endpoint(ready.tos.clone());
        let (access_key, secret_key) = (&ready.access_key, &ready.secret_key);
        let credentials = CredentialSet::new(access_key, secret_key, None, "the embedded service");
        self.patient(Service::new(address)).with_credentials(credentials).embedded()
    }

    fn address(&self, site: Site) -> Address {
        Address::default()
            .with_site(site)
            .with_region(self.region.as_deref().unwrap_or(site.region()))
            .with_endpoint(self.endpoint.clone())
            .with_tos_endpoint(self.tos_endpoint.clone())
            .with_api(self.api.map_or(site.api(), Api::from))
            .with_project(self.project.clone())
            .with_resource_id(self.resource_id.clone())
    }

    fn patient(&self, service: Service) -> Service {
        let service = service.with_request_timeout(self.request_timeout);
        match self.retry_for {
            Some(time) => service.with_retry_for(time),
            None => service,
        }
    }
}

#[derive(Debug, Args)]
#[command(next_help_heading = "Transfer")]
pub(crate) struct TransferArgs {
    /// Parts to download at once; `auto` finds the fastest number, up to 64
    #[arg(
        short,
        long,
        value_name = "N|auto",
        default_value = "auto",
        value_parser = Trimmed(jobs),
        env = "VIKING_EXPORT_JOBS"
    )]
    pub(crate) jobs: Jobs,
    /// Size of the parts of larger objects; a stop loses at most one per job
    #[arg(long, value_name = "SIZE", default_value = "16MiB", value_parser = part_size)]
    pub(crate) part_size: NonZeroU64,
    /// Maximum bytes per second, for example 20MiB
    #[arg(long, value_name = "SIZE", value_parser = size)]
    pub(crate) limit_rate: Option<NonZeroU64>,
    /// What to verify; `full` reads each file again and compares its MD5
    #[arg(long, value_name = "HOW", default_value = "normal")]
    pub(crate) verify: VerifyArg,
    /// Maximum retries of a request to TOS [default: limited by --retry-for only]
    #[arg(long, value_name = "N")]
    pub(crate) retries: Option<u8>,
}

impl TransferArgs {
    /// The same for the library.
    pub(crate) fn options(&self) -> TransferOptions {
        let verify = match self.verify {
            VerifyArg::Normal => Verify::Normal,
            VerifyArg::Full => Verify::Full,
        };
        TransferOptions::default()
            .with_bytes_per_second(self.limit_rate)
            .with_jobs(self.jobs)
            .with_part_bytes(self.part_size)
            .with_verify(verify)
            .with_retries(self.retries)
    }

    /// The flags that a command to resume the download has to repeat.
    pub(crate) fn same_again(&self) -> Vec<String> {
        let mut words = Vec::new();
        if self.part_size != TransferOptions::default().part_bytes {
            words.extend(["--part-size".to_owned(), self.part_size.to_string()]);
        }
        if self.verify == VerifyArg::Full {
            words.extend(["--verify".to_owned(), "full".to_owned()]);
        }
        words
    }
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
    /// Where to export to; each run gets its own folder below
    #[arg(long, value_name = "tos://BUCKET/PREFIX", value_parser = text(), env = "VIKING_EXPORT_TO")]
    pub(crate) to: String,
    /// The type of the exported files
    #[arg(long, value_name = "TYPE", default_value = "parquet")]
    pub(crate) file_type: FileTypeArg,
    /// Export only these fields, with --api v2
    #[arg(long, value_name = "NAMES", value_delimiter = ',')]
    pub(crate) output_fields: Vec<String>,
}

/// What is printed of the rows, and how.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Rows")]
pub(crate) struct RowArgs {
    /// Print only these columns, in the order of the file; a name that contains commas needs its own -c
    #[arg(short, long, value_name = "NAMES")]
    pub(crate) columns: Vec<String>,
    /// Leave out these columns
    #[arg(long, value_name = "NAMES")]
    pub(crate) drop: Vec<String>,
    /// Print at most this many rows
    #[arg(short = 'n', long, value_name = "ROWS")]
    pub(crate) limit: Option<u64>,
    /// Skip this many rows
    #[arg(long, value_name = "ROWS", default_value_t = 0)]
    pub(crate) offset: u64,
    /// JSON Lines, one JSON array, or an Arrow IPC stream
    #[arg(long, value_name = "FORMAT", default_value = "jsonl")]
    pub(crate) format: Format,
    /// Format of top-level lists of floats; `base64` is little-endian, `base64be` big-endian; in an Arrow stream `list`
    /// keeps lists where `array` gives lists of a fixed size
    #[arg(long, value_name = "FORM", default_value = "array")]
    pub(crate) vectors: VectorsArg,
    /// Width of floats in lists and lists of lists; `f32` prints f64 that hold only f32 as the f32 that they are, and ends with
    /// exit code 8 at a value that is none
    #[arg(long, value_name = "WIDTH", default_value = "stored")]
    pub(crate) floats: FloatsArg,
    /// Format of 64-bit integers; `string` for readers that lose digits beyond 2^53
    #[arg(long, value_name = "FORM", default_value = "number")]
    pub(crate) int64: NumberOrString,
    /// Format of NaN and infinities
    #[arg(long, value_name = "FORM", default_value = "null")]
    pub(crate) nonfinite: NonFiniteArg,
    /// Format of binary values
    #[arg(long, value_name = "FORM", default_value = "base64")]
    pub(crate) binary: BinaryArg,
    /// Format of decimals
    #[arg(long, value_name = "FORM", default_value = "number")]
    pub(crate) decimal: NumberOrString,
    /// Whether top-level nulls are printed
    #[arg(long, value_name = "FORM", default_value = "keep")]
    pub(crate) nulls: NullsArg,
    /// Rows to decode at a time
    #[arg(long, value_name = "ROWS", default_value = "100")]
    pub(crate) batch_rows: Option<NonZeroUsize>,
    /// Threads for decoding and encoding; the output does not depend on it [default: all cores]
    #[arg(long, value_parser = Trimmed(parsed::<NonZeroUsize>), env = "VIKING_EXPORT_THREADS")]
    pub(crate) threads: Option<NonZeroUsize>,
    /// Memory budget for decoding and printing, for example 256MiB
    #[arg(long, value_name = "SIZE", value_parser = Trimmed(parsed::<ByteSize>), env = "VIKING_EXPORT_MEMORY", default_value = "64MiB")]
    pub(crate) memory: Option<ByteSize>,
    /// Continue when a file has different columns
    #[arg(long)]
    pub(crate) allow_schema_change: bool,
}

impl RowArgs {
    /// The same for the library.
    pub(crate) fn options(&self) -> RowOptions {
        RowOptions::default()
            .with_columns(self.columns.iter().cloned())
            .with_drop(self.drop.iter().cloned())
            .with_limit(self.limit)
            .with_offset(self.offset)
            .with_format(self.format.into())
            .with_vectors(self.vectors.into())
            .with_floats(self.floats.into())
            .with_int64(self.int64.into())
            .with_nonfinite(self.nonfinite.into())
            .with_binary(self.binary.into())
            .with_decimal(self.decimal.into())
            .with_nulls(self.nulls.into())
            .with_batch_rows(self.batch_rows)
            .with_threads(self.threads)
            .with_memory_bytes(self.memory.map(|size| size.as_u64()))
            .with_allow_schema_change(self.allow_schema_change)
    }
}

/// Where rows go.
#[derive(Debug, Args)]
#[command(next_help_heading = "Output file")]
pub(crate) struct OutputArgs {
    /// Write the rows to this file; - is stdout
    #[arg(short, long, value_name = "FILE")]
    pub(crate) output: Option<PathBuf>,
    /// Replace the output file if it exists
    #[arg(long)]
    pub(crate) force: bool,
}

/// How a run is carried through, apart from what is in its receipt.
#[derive(Debug, Args)]
pub(crate) struct GoingArgs {
    /// Remove the data files after their rows are printed and proven
    #[arg(long, help_heading = "Run")]
    pub(crate) discard: bool,
    /// Delete the objects from TOS after their rows are printed and proven
    #[arg(long, help_heading = "Run")]
    pub(crate) clean: bool,
    /// Create a new task if the run's own failed, was dropped, or was never found
    #[arg(long, help_heading = "Run")]
    pub(crate) new_task: bool,
    #[command(flatten)]
    pub(crate) patience: Patience,
    /// How far to download ahead of the printed rows
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

impl GoingArgs {
    /// The same for the library.
    pub(crate) fn options(&self) -> RunOptions {
        RunOptions::default()
            .with_discard_files(self.discard)
            .with_delete_objects(self.clean)
            .with_new_task(self.new_task)
            .with_patience(self.patience.options())
            .with_ahead_bytes(self.ahead)
            .with_transfer(self.transfer.options())
    }
}

/// How long a task is followed, and when it counts as stalled.
#[derive(Debug, Clone, Copy, Args)]
#[command(next_help_heading = "Task")]
pub(crate) struct Patience {
    /// Stop waiting for the task after this long, for example 90m
    #[arg(long, value_name = "TIME", value_parser = time)]
    pub(crate) timeout: Option<Duration>,
    /// Warn when the task makes no progress for this long
    #[arg(long, value_name = "TIME", default_value = "10m", value_parser = time)]
    pub(crate) stall: Duration,
}

impl Patience {
    /// The same for the library.
    pub(crate) fn options(self) -> viking_export::Patience {
        viking_export::Patience::default().with_timeout(self.timeout).with_stall(self.stall)
    }
}
