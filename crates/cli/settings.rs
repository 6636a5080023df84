//! Flags and environment resolved into what the libraries take.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use viking_api::{Api, Client, Endpoint, Owner};
use viking_fetch::{Bucket, BucketOptions, FetchOptions, History, Lead, Verify, tos_endpoint};
use viking_reader::{
    BinaryForm, DecimalForm, Int64Form, JsonOptions, NonFinite, Nulls, PrintFormat, PrintOptions,
    VectorForm,
};

use crate::args::{RowArgs, ServiceArgs, TransferArgs};
use crate::copy::was_typed;
use crate::credentials::{Chain, KeySet, Purpose};
use crate::exit::{Exit, Failure, Outcome};
use crate::values::{
    ApiArg, BinaryArg, Format, NonFiniteArg, NullsArg, NumberOrString, Vectors, VerifyArg,
};

/// Where the services are and how they are spoken to. Part of a run's request.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Address {
    pub(crate) region: String,
    pub(crate) endpoint: Option<String>,
    pub(crate) tos_endpoint: Option<String>,
    #[serde(default)]
    pub(crate) api: ApiArg,
    #[serde(default)]
    pub(crate) project: Option<String>,
    #[serde(default)]
    pub(crate) resource_id: Option<String>,
}

/// The services and who asks them.
#[derive(Debug, Clone)]
pub(crate) struct Service {
    pub(crate) address: Address,
    pub(crate) allow_http: bool,
    request_timeout: Duration,
    /// How long passing faults are borne, if the user says so.
    retry_for: Option<Duration>,
    /// What the requests to TOS have met.
    history: Arc<History>,
    /// A file of keys that others may read, if keys were taken from it.
    open_key_file: Arc<Mutex<Option<PathBuf>>>,
    keys: Source,
}

#[derive(Debug, Clone)]
enum Source {
    /// The user's keys, those of a profile if it is named; then whether the user asked for it now, or keeps it
    /// in the settings file.
    User { profile: Option<String>, is_asked: bool },
    /// The keys of the embedded services.
    #[cfg_attr(not(feature = "embedded"), expect(dead_code, reason = "made by the emulator only"))]
    Given(KeySet),
}

impl Service {
    pub(crate) fn new(args: &ServiceArgs) -> Self {
        Self {
            address: Address {
                region: args.region.clone(),
                endpoint: args.endpoint.clone(),
                tos_endpoint: args.tos_endpoint.clone(),
                api: args.api,
                project: args.project.clone(),
                resource_id: args.resource_id.clone(),
            },
            allow_http: args.allow_http,
            request_timeout: args.request_timeout,
            retry_for: args.retry_for,
            history: Arc::default(),
            open_key_file: Arc::default(),
            keys: Source::User { profile: args.profile.clone(), is_asked: false },
        }
    }

    /// The profile was asked for, by its flag or variable.
    #[must_use]
    pub(crate) fn asked_for_profile(mut self) -> Self {
        if let Source::User { is_asked, .. } = &mut self.keys {
            *is_asked = true;
        }
        self
    }

    /// The services inside this process. Keys and addresses of the user stay out of it.
    #[cfg(feature = "embedded")]
    pub(crate) fn embedded(ready: &viking_emulator::Ready, args: &ServiceArgs) -> Self {
        let address = Address {
            region: ready.region.clone(),
            endpoint: Some(ready.vikingdb.clone()),
            tos_endpoint: Some(ready.tos.clone()),
            ..Self::new(args).address
        };
        let origin = "the embedded service";
        let keys = KeySet::new(&ready.access_key, &ready.secret_key, None, origin);
        Self { address, allow_http: false, keys: Source::Given(keys), ..Self::new(args) }
    }

    /// Whether one of the services may be behind a proxy: they are not both on this machine.
    pub(crate) fn is_remote(&self) -> bool {
        let is_here = |endpoint: &Option<String>| {
            endpoint
                .as_ref()
                .is_some_and(|url| url.contains("localhost") || url.contains("127.0.0.1"))
        };
        !is_here(&self.address.endpoint) || !is_here(&self.address.tos_endpoint)
    }

    /// Whether the services are inside this process.
    pub(crate) fn is_embedded(&self) -> bool {
        matches!(self.keys, Source::Given(_))
    }

    /// Goes where an earlier try of a run went, but for the addresses that were typed now. The embedded
    /// services are new at every start.
    pub(crate) fn go_to(&mut self, address: &Address) {
        let own = std::mem::replace(&mut self.address, address.clone());
        let is_own = |flag: &str| self.is_embedded() || was_typed(flag);
        let (region, endpoint, tos) =
            (is_own("--region"), is_own("--endpoint"), is_own("--tos-endpoint"));
        if region {
            self.address.region = own.region;
        }
        if endpoint {
            self.address.endpoint = own.endpoint;
        }
        if tos {
            self.address.tos_endpoint = own.tos_endpoint;
        }
    }

    /// A client of VikingDB.
    pub(crate) fn client(&self) -> Outcome<Client> {
        let Address { region, endpoint, api, project, resource_id, .. } = &self.address;
        let api = match api {
            ApiArg::V1 => Api::V1,
            ApiArg::V2 => Api::V2,
        };
        if api == Api::V1 && (project.is_some() || resource_id.is_some()) {
            let text = "--project and --resource-id are known to --api v2 only";
            return Err(Failure::say(Exit::Usage, text));
        }
        let endpoint = match endpoint {
            Some(url) => Endpoint::new(url, region, self.allow_http)?,
            None => Endpoint::of_region(region, api)?,
        };
        let owner = Owner { project: project.clone(), resource_id: resource_id.clone() };
        // It says what is wrong; the client only hears that there is nothing.
        let keys = self.keys(Purpose::Vikingdb)?;
        let client = match &self.keys {
            Source::Given(_) => Client::new(endpoint, keys.credentials(), jiff::Timestamp::now),
            Source::User { .. } => {
                Client::new(endpoint, self.chain(Purpose::Vikingdb), jiff::Timestamp::now)
            }
        };
        let retry = viking_api::Retry::default();
        let retry = viking_api::Retry {
            within: self.retry_for.unwrap_or(retry.within),
            first_within: self.retry_for.unwrap_or(retry.first_within),
            ..retry
        };
        let client = client?.speaking(api, owner).answered_within(self.request_timeout);
        Ok(client.retrying(retry))
    }

    /// A bucket of TOS. `retries` says how often a request is repeated at most, if the user says so.
    pub(crate) fn bucket(&self, name: &str, retries: Option<u8>) -> Outcome<Bucket> {
        let Address { region, tos_endpoint: endpoint, .. } = &self.address;
        let endpoint = endpoint.clone().unwrap_or_else(|| tos_endpoint(region));
        let keys = self.keys(Purpose::Tos)?;
        let mut options = match &self.keys {
            Source::Given(_) => BucketOptions::new(&endpoint, region, keys.keys()),
            Source::User { .. } => BucketOptions::new(&endpoint, region, self.chain(Purpose::Tos)),
        };
        options.allow_http = self.allow_http;
        options.read_timeout = self.request_timeout;
        let retry = options.retry;
        options.retry = viking_fetch::Retry {
            within: self.retry_for.unwrap_or(retry.within),
            first_within: self.retry_for.unwrap_or(retry.first_within),
            times: retries.map(u32::from),
        };
        options.history = Arc::clone(&self.history);
        Ok(Bucket::open(name, &options)?)
    }

    /// How many requests to TOS were repeated since this was asked for the last time.
    pub(crate) fn take_retries(&self) -> u64 {
        self.history.take_retries()
    }

    /// The keys as they are now.
    pub(crate) fn keys(&self, purpose: Purpose) -> Outcome<KeySet> {
        match &self.keys {
            Source::Given(keys) => Ok(keys.clone()),
            Source::User { .. } => {
                let keys = self.chain(purpose).find()?;
                // Keys of the other service may come from elsewhere: what was seen once is told.
                if keys.open_file.is_some() {
                    self.open_file().clone_from(&keys.open_file);
                }
                Ok(keys)
            }
        }
    }

    /// A file of keys that others may read, if keys were taken from it.
    pub(crate) fn take_open_key_file(&self) -> Option<PathBuf> {
        self.open_file().take()
    }

    fn open_file(&self) -> MutexGuard<'_, Option<PathBuf>> {
        self.open_key_file.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn chain(&self, purpose: Purpose) -> Chain {
        let (profile, is_asked) = match &self.keys {
            Source::User { profile, is_asked } => (profile.clone(), *is_asked),
            Source::Given(_) => (None, false),
        };
        Chain { purpose, profile, is_asked }
    }
}

/// The downloader's options for the typed ones.
pub(crate) fn fetch_options(args: &TransferArgs, lead: Option<Lead>) -> FetchOptions {
    FetchOptions {
        bytes_per_second: args.limit_rate,
        jobs: args.jobs,
        lead,
        part_bytes: args.part_size,
        verify: match args.verify {
            VerifyArg::Normal => Verify::Normal,
            VerifyArg::Full => Verify::Full,
        },
    }
}

/// The reader's options for the typed ones.
pub(crate) fn print_options(rows: &RowArgs) -> Outcome<PrintOptions> {
    if rows.format == Format::Arrow {
        refuse_json_options(rows)?;
    }
    let default = PrintOptions::default();
    Ok(PrintOptions {
        allow_schema_change: rows.allow_schema_change,
        batch_rows: rows.batch_rows.unwrap_or(default.batch_rows),
        columns: (!rows.columns.is_empty()).then(|| rows.columns.clone()),
        drop: rows.drop.clone(),
        format: match rows.format {
            Format::Jsonl => PrintFormat::JsonLines,
            Format::Json => PrintFormat::JsonArray,
            Format::Arrow => PrintFormat::ArrowStream,
        },
        json: JsonOptions {
            binary: match rows.binary {
                BinaryArg::Base64 => BinaryForm::Base64,
                BinaryArg::Hex => BinaryForm::Hex,
                BinaryArg::Utf8 => BinaryForm::Utf8,
            },
            decimal: match rows.decimal {
                NumberOrString::Number => DecimalForm::Number,
                NumberOrString::String => DecimalForm::String,
            },
            int64: match rows.int64 {
                NumberOrString::Number => Int64Form::Number,
                NumberOrString::String => Int64Form::String,
            },
            nonfinite: match rows.nonfinite {
                NonFiniteArg::Null => NonFinite::Null,
                NonFiniteArg::String => NonFinite::String,
                NonFiniteArg::Error => NonFinite::Error,
            },
            nulls: match rows.nulls {
                NullsArg::Keep => Nulls::Keep,
                NullsArg::Drop => Nulls::Drop,
            },
            vectors: match rows.vectors {
                Vectors::Base64 => VectorForm::Base64,
                Vectors::Array | Vectors::None => VectorForm::Array,
            },
        },
        limit: rows.limit,
        memory: rows.memory.map_or(default.memory, |size| size.as_u64()),
        offset: rows.offset,
        threads: rows.threads.unwrap_or(default.threads),
        without_vectors: rows.vectors == Vectors::None,
    })
}

/// An Arrow stream keeps the columns' own types, so options on JSON say nothing there.
fn refuse_json_options(rows: &RowArgs) -> Outcome<()> {
    let used = [
        (rows.vectors == Vectors::Base64, "--vectors base64"),
        (rows.int64 != NumberOrString::default(), "--int64"),
        (rows.nonfinite != NonFiniteArg::default(), "--nonfinite"),
        (rows.binary != BinaryArg::default(), "--binary"),
        (rows.decimal != NumberOrString::default(), "--decimal"),
        (rows.nulls != NullsArg::default(), "--nulls"),
        (rows.allow_schema_change, "--allow-schema-change"),
    ];
    match used.into_iter().find(|(is_used, _)| *is_used) {
        Some((_, option)) => {
            let text = format!("{option} does not work with --format arrow");
            Err(Failure::say(Exit::Usage, text).hint("leave it out, or take --format jsonl"))
        }
        None => Ok(()),
    }
}
