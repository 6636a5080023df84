//! Flags and environment resolved into what the libraries take. The only place that reads the
//! environment by itself; `args.rs` reads it through clap.

use viking_api::{Client, Credentials, Endpoint};
use viking_fetch::{Bucket, BucketOptions, FetchOptions, Keys, Lead, Verify, tos_endpoint};
use viking_reader::{
    BinaryForm, DecimalForm, Int64Form, JsonOptions, NonFinite, Nulls, PrintFormat, PrintOptions,
    VectorForm,
};

use crate::args::{
    BinaryArg, Format, NonFiniteArg, NullsArg, NumberOrString, RowArgs, ServiceArgs, TransferArgs,
    Vectors, VerifyArg,
};
use crate::exit::{Exit, Failure, Outcome};

/// Names of one set of keys in the environment: access key, secret key, session token.
type Names = (&'static str, &'static str, Option<&'static str>);

/// The V2 SDK family and the `ve` command line.
const VOLCENGINE: Names =
    ("VOLCENGINE_ACCESS_KEY", "VOLCENGINE_SECRET_KEY", Some("VOLCENGINE_SESSION_TOKEN"));
/// The V1 SDK.
const VOLC: Names = ("VOLC_ACCESSKEY", "VOLC_SECRETKEY", None);
/// The TOS SDKs, for the download alone.
const TOS: Names = ("TOS_ACCESS_KEY", "TOS_SECRET_KEY", Some("TOS_SECURITY_TOKEN"));

/// Where the services are and who asks.
#[derive(Debug, Clone)]
pub(crate) struct Service {
    pub(crate) region: String,
    pub(crate) endpoint: Option<String>,
    pub(crate) tos_endpoint: Option<String>,
    pub(crate) allow_http: bool,
    keys: KeySource,
}

/// A set of keys; `Debug` masks it.
#[derive(Clone)]
struct KeySet {
    access_key: String,
    secret_key: String,
    session_token: Option<String>,
}

impl std::fmt::Debug for KeySet {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("KeySet").field("access_key", &self.access_key).finish_non_exhaustive()
    }
}

#[derive(Debug, Clone)]
enum KeySource {
    Environment,
    /// The keys of the embedded services.
    #[cfg_attr(not(feature = "embedded"), expect(dead_code, reason = "made by the emulator only"))]
    Given(KeySet),
}

impl Service {
    pub(crate) fn new(args: &ServiceArgs) -> Self {
        Self {
            region: args.region.clone(),
            endpoint: args.endpoint.clone(),
            tos_endpoint: args.tos_endpoint.clone(),
            allow_http: args.allow_http,
            keys: KeySource::Environment,
        }
    }

    /// The services inside this process. Keys and addresses of the user stay out of it.
    #[cfg(feature = "embedded")]
    pub(crate) fn embedded(ready: &viking_emulator::Ready) -> Self {
        Self {
            region: ready.region.clone(),
            endpoint: Some(ready.vikingdb.clone()),
            tos_endpoint: Some(ready.tos.clone()),
            allow_http: false,
            keys: KeySource::Given(KeySet {
                access_key: ready.access_key.clone(),
                secret_key: ready.secret_key.clone(),
                session_token: None,
            }),
        }
    }

    /// Whether the services are inside this process.
    pub(crate) fn is_embedded(&self) -> bool {
        !matches!(self.keys, KeySource::Environment)
    }

    /// Goes where an earlier part of a run went. The embedded services are new at every start.
    pub(crate) fn go_to(
        &mut self,
        region: &str,
        endpoint: Option<&String>,
        tos_endpoint: Option<&String>,
    ) {
        if !self.is_embedded() {
            region.clone_into(&mut self.region);
            self.endpoint = endpoint.cloned();
            self.tos_endpoint = tos_endpoint.cloned();
        }
    }

    /// A client of VikingDB.
    pub(crate) fn client(&self) -> Outcome<Client> {
        let endpoint = match &self.endpoint {
            Some(url) => Endpoint::new(url, &self.region, self.allow_http)?,
            None => Endpoint::of_region(&self.region)?,
        };
        let keys = self.keys(&[VOLCENGINE, VOLC])?;
        let credentials = Credentials::new(&keys.access_key, keys.secret_key, keys.session_token);
        Ok(Client::new(endpoint, credentials, jiff::Timestamp::now)?)
    }

    /// A bucket of TOS.
    pub(crate) fn bucket(&self, name: &str, retries: u8) -> Outcome<Bucket> {
        let endpoint = self.tos_endpoint.clone().unwrap_or_else(|| tos_endpoint(&self.region));
        let keys = self.keys(&[TOS, VOLCENGINE, VOLC])?;
        let keys = Keys::new(&keys.access_key, keys.secret_key, keys.session_token);
        let mut options = BucketOptions::new(&endpoint, &self.region, keys);
        options.allow_http = self.allow_http;
        options.retries = retries.into();
        Ok(Bucket::open(name, &options)?)
    }

    /// The first complete set; parts of two sets are never mixed.
    fn keys(&self, chain: &[Names]) -> Outcome<KeySet> {
        match &self.keys {
            KeySource::Given(keys) => Ok(keys.clone()),
            KeySource::Environment => {
                for (access, secret, token) in chain {
                    if let Some(keys) = key_set(access, secret, *token)? {
                        return Ok(keys);
                    }
                }
                let hint = "set VOLCENGINE_ACCESS_KEY and VOLCENGINE_SECRET_KEY; \
                            to try it without an account, add --embedded";
                Err(Failure::say(Exit::Denied, "no keys were found in the environment").hint(hint))
            }
        }
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

fn key_set(access: &str, secret: &str, token: Option<&str>) -> Outcome<Option<KeySet>> {
    match (variable(access), variable(secret)) {
        (Some(access_key), Some(secret_key)) => {
            let session_token = token.and_then(variable);
            Ok(Some(KeySet { access_key, secret_key, session_token }))
        }
        (None, None) => Ok(None),
        (Some(_), None) => {
            Err(Failure::say(Exit::Denied, format!("{access} is set, but {secret} is not")))
        }
        (None, Some(_)) => {
            Err(Failure::say(Exit::Denied, format!("{secret} is set, but {access} is not")))
        }
    }
}

/// A variable that is set to something.
#[expect(clippy::disallowed_methods, reason = "the one place that reads the environment")]
pub(crate) fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.trim().is_empty())
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
