//! Opening a bucket of TOS: the one place where its address is built.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use object_store::aws::{AmazonS3Builder, S3ConditionalPut};
use object_store::client::HttpClient;
use object_store::{BackoffConfig, GetOptions, GetResult, ObjectStore, RetryConfig};
use reqwest::Url;
use viking_credentials::CredentialSource;

use crate::connection::{Connector, Service, client};
use crate::credentials::Provider;
use crate::error::{Error, Refusal};
use crate::limiter::Throttle;
use crate::object::parse;
use crate::retry::{Attempts, History, Retry};

/// How often credentials are renewed for one request.
const RENEWALS_MAX: usize = 2;

/// The public S3 endpoint of TOS in a region.
pub fn tos_endpoint(region: &str) -> String {
    format!("https://tos-s3-{region}.volces.com")
}

/// The same at `BytePlus`, from its page on the S3 protocol.
pub fn byteplus_tos_endpoint(region: &str) -> String {
    format!("https://tos-s3-{region}.bytepluses.com")
}

/// How a bucket is reached.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct BucketOptions {
    /// Take plain http beyond this machine.
    pub allow_http: bool,
    /// The service's address without the bucket, as [`tos_endpoint`] gives it.
    pub endpoint: String,
    /// Where the credentials come from.
    pub credentials: Arc<dyn CredentialSource>,
    /// How long the other side may stay silent.
    pub read_timeout: Duration,
    /// The region that goes into signatures.
    pub region: String,
    /// How long requests are repeated after passing faults.
    pub retry: Retry,
    /// No file may have one of these names, nor one of them with `.part` at its end, in whatever case: the caller's
    /// own files in the folder of a download. In lower case.
    pub reserved_names: Vec<String>,
}

impl BucketOptions {
    /// Sets [`allow_http`](Self::allow_http).
    #[must_use]
    pub fn with_allow_http(self, allow_http: bool) -> Self {
        Self { allow_http, ..self }
    }

    /// Sets [`read_timeout`](Self::read_timeout).
    #[must_use]
    pub fn with_read_timeout(self, read_timeout: Duration) -> Self {
        Self { read_timeout, ..self }
    }

    /// Sets [`retry`](Self::retry).
    #[must_use]
    pub fn with_retry(self, retry: Retry) -> Self {
        Self { retry, ..self }
    }

    /// Sets [`reserved_names`](Self::reserved_names).
    #[must_use]
    pub fn with_reserved_names(
        self,
        reserved_names: impl IntoIterator<Item = impl Into<String>>,
    ) -> Self {
        Self { reserved_names: reserved_names.into_iter().map(Into::into).collect(), ..self }
    }
}

impl BucketOptions {
    /// 30 s of silence, https, [`Retry::default`].
    pub fn new(endpoint: &str, region: &str, credentials: impl CredentialSource + 'static) -> Self {
        Self {
            allow_http: false,
            endpoint: endpoint.to_owned(),
            credentials: Arc::new(credentials),
            read_timeout: Duration::from_secs(30),
            region: region.to_owned(),
            retry: Retry::default(),
            reserved_names: Vec::new(),
        }
    }
}

/// One bucket of TOS.
#[derive(Debug, Clone)]
pub struct Bucket {
    pub(crate) name: String,
    pub(crate) store: Arc<dyn ObjectStore>,
    pub(crate) throttle: Arc<Throttle>,
    pub(crate) http: HttpClient,
    /// The address of the bucket, without a slash at the end.
    pub(crate) url: String,
    pub(crate) region: String,
    pub(crate) credentials: Arc<Provider>,
    retry: Retry,
    history: Arc<History>,
    pub(crate) reserved_names: Vec<String>,
}

impl Bucket {
    /// Builds the address and the client; nothing is sent yet.
    pub fn open(name: &str, options: &BucketOptions) -> Result<Self, Error> {
        let address = Address::new(name, options)?;
        let bad = |problem: String| Error::Endpoint {
            endpoint: without_password(&options.endpoint).to_owned(),
            problem,
        };
        let allow_http = options.allow_http || address.is_loopback;
        let http = client(&address.host, address.is_loopback, allow_http, options.read_timeout)
            .map_err(|error| bad(error.to_string()))?;
        // `retry.rs` owns all of them.
        let no_retry = RetryConfig {
            backoff: BackoffConfig::default(),
            max_retries: 0,
            retry_timeout: Duration::ZERO,
        };
        // Not `from_env`: variables of AWS tools must not redirect or sign these requests.
        let credentials = Arc::new(Provider::new(Arc::clone(&options.credentials)));
        let (throttle, history) = (Arc::<Throttle>::default(), Arc::<History>::default());
        let http = HttpClient::new(Service {
            client: HttpClient::new(http),
            throttle: Arc::clone(&throttle),
            history: Arc::clone(&history),
        });
        let builder = AmazonS3Builder::new()
            .with_endpoint(&address.url)
            .with_virtual_hosted_style_request(true)
            .with_bucket_name(name)
            .with_region(&options.region)
            .with_credentials(Arc::clone(&credentials) as _)
            .with_allow_http(allow_http)
            .with_conditional_put(S3ConditionalPut::Disabled)
            // One request for each key says what became of it.
            .with_disable_bulk_delete(true)
            .with_retry(no_retry)
            .with_http_connector(Connector(http.clone()));
        let store = builder.build().map_err(|error| bad(error.to_string()))?;
        Ok(Self {
            name: name.to_owned(),
            store: Arc::new(store),
            throttle,
            http,
            url: address.url,
            region: options.region.clone(),
            credentials,
            retry: options.retry,
            history,
            reserved_names: options.reserved_names.clone(),
        })
    }

    /// The attempts at one thing.
    pub(crate) fn attempts(&self) -> Attempts {
        Attempts::new(self.retry, Arc::clone(&self.history))
    }

    /// Does what `ask` does until it succeeds, or what fails does not pass.
    pub(crate) async fn retrying<T, F: Future<Output = Result<T, Error>>>(
        &self,
        ask: impl Fn() -> F + Sync,
    ) -> Result<T, Error> {
        let mut attempts = self.attempts();
        loop {
            match self.renewing(&ask).await {
                Err(error) => attempts.again(error).await?,
                answer => return answer,
            }
        }
    }

    /// Does what `ask` does, and again with other credentials if those that it used have expired.
    pub(crate) async fn renewing<T, F: Future<Output = Result<T, Error>>>(
        &self,
        ask: impl Fn() -> F,
    ) -> Result<T, Error> {
        let source = &self.credentials.source;
        // Others may renew them at the same time, so that those that were used are not known for sure.
        for _ in 0..RENEWALS_MAX {
            let used = source.credentials().await.map_err(Error::NoCredentials)?;
            match ask().await {
                Err(error)
                    if error.refusal().is_some_and(Refusal::is_expired)
                        && source.renewed(&used).await.is_some() => {}
                answer => return answer,
            }
            tracing::info!("the credentials had expired and were renewed");
        }
        ask().await
    }

    /// Asks for the object `key`; `action` is what failed if it does.
    pub(crate) async fn get(
        &self,
        action: &'static str,
        key: &str,
        options: GetOptions,
    ) -> Result<GetResult, Error> {
        let answer = self.store.get_opts(&parse(key)?, options).await;
        answer.map_err(|error| self.error(action, key, &error))
    }

    pub(crate) fn error(
        &self,
        action: &'static str,
        key: &str,
        error: &(dyn std::error::Error + 'static),
    ) -> Error {
        Error::store(action, &self.name, key, error)
    }

    /// Requests that were repeated since this was asked for the last time. Clones count together.
    pub fn take_retries(&self) -> u64 {
        self.history.take_retries()
    }

    /// The name of the bucket.
    pub fn name(&self) -> &str {
        &self.name
    }
}

/// The root of a bucket: `scheme://bucket.host[:port]`, without a slash at the end.
struct Address {
    url: String,
    host: String,
    is_loopback: bool,
}

impl Address {
    fn new(bucket: &str, options: &BucketOptions) -> Result<Self, Error> {
        let given = &options.endpoint;
        let bad = |problem: &str| Error::Endpoint {
            endpoint: without_password(given).to_owned(),
            problem: problem.to_owned(),
        };
        let with_scheme =
            if given.contains("://") { given.clone() } else { format!("https://{given}") };
        let url = Url::parse(&with_scheme).map_err(|_| bad("it is not a URL"))?;
        let host = url.host_str().unwrap_or_default();
        if host.is_empty()
            || url.path() != "/"
            || url.query().is_some()
            || !url.username().is_empty()
        {
            return Err(bad(
                "it must be a scheme and a host, with nothing behind; the bucket goes before the host",
            ));
        }
        if host.parse::<IpAddr>().is_ok() || host.starts_with('[') {
            return Err(bad(
                "TOS takes the bucket in the host name, which a bare address does not have",
            ));
        }
        if host.starts_with(&format!("{bucket}.")) {
            return Err(bad("it has the bucket in its host name already; leave it out"));
        }
        if let Some(region) = native_region(host) {
            let fix = host.replacen("tos-", "tos-s3-", 1);
            return Err(bad(&format!(
                "it is the native endpoint of {region}, which S3 clients cannot use; take {fix}"
            )));
        }
        let is_loopback = host == "localhost" || host.ends_with(".localhost");
        match url.scheme() {
            "https" => {}
            "http" if is_loopback || options.allow_http => {}
            "http" => {
                return Err(bad(
                    "plain http would send the rows in the clear; use https, or allow http",
                ));
            }
            _ => return Err(bad("its scheme must be https")),
        }
        let host = format!("{bucket}.{host}");
        let port = url.port().map_or_else(String::new, |port| format!(":{port}"));
        Ok(Self { url: format!("{}://{host}{port}", url.scheme()), host, is_loopback })
    }
}

/// An address without what may be a password.
fn without_password(endpoint: &str) -> &str {
    endpoint.rsplit('@').next().unwrap_or_default()
}

/// The region in the host of TOS's own protocol, `tos-REGION.volces.com`.
fn native_region(host: &str) -> Option<&str> {
    let rest = host.strip_prefix("tos-").filter(|rest| !rest.starts_with("s3-"))?;
    let (region, domain) = rest.split_once('.')?;
    let domains = ["volces.com", "ivolces.com", "bytepluses.com", "ibytepluses.com"];
    domains.contains(&domain).then_some(region)
}

#[cfg(test)]
mod tests {
    use super::*;
    use viking_credentials::Credentials;

    fn address(endpoint: &str) -> Result<String, String> {
        let options =
            BucketOptions::new(endpoint, "cn-beijing", Credentials::new("a", String::new(), None));
        Address::new("demo", &options).map(|address| address.url).map_err(|error| error.to_string())
    }

    #[test]
    fn the_bucket_goes_into_the_host_name() {
        let expected = "https://demo.tos-s3-cn-beijing.volces.com";
        assert_eq!(address(&tos_endpoint("cn-beijing")).unwrap(), expected);
        assert_eq!(address("tos-s3-cn-beijing.volces.com/").unwrap(), expected);
        let expected = "https://demo.tos-s3-ap-southeast-1.bytepluses.com";
        assert_eq!(address(&byteplus_tos_endpoint("ap-southeast-1")).unwrap(), expected);
        assert_eq!(address("http://tos.localhost:81").unwrap(), "http://demo.tos.localhost:81");
    }

    #[test]
    fn addresses_that_would_list_nothing_are_refused_with_the_fix() {
        let cases = [
            ("https://demo.tos-s3-cn-beijing.volces.com", "leave it out"),
            ("https://tos-cn-beijing.volces.com", "tos-s3-cn-beijing.volces.com"),
            ("tos-ap-southeast-1.ibytepluses.com", "tos-s3-ap-southeast-1.ibytepluses.com"),
            ("https://tos-s3-cn-beijing.volces.com/demo", "nothing behind"),
            ("http://tos-s3-cn-beijing.volces.com", "https"),
            ("http://127.0.0.1:80", "bare address"),
            ("ftp://tos-s3-cn-beijing.volces.com", "scheme"),
        ];
        for (endpoint, expected) in cases {
            let message = address(endpoint).unwrap_err();
            assert!(message.contains(expected), "{endpoint}: {message}");
        }
    }
}
