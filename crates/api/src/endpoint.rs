//! Where the service is.

use std::net::IpAddr;

use reqwest::Url;

use crate::error::Error;
use crate::interface::Api;

/// Regions with VikingDB and their hosts in V1 and V2, from the vendor's pages 1254488 and 1792715.
const HOSTS: [(&str, &str, &str); 4] = [
    ("cn-beijing", "api-vikingdb.volces.com", "vikingdb.cn-beijing.volcengineapi.com"),
    (
        "cn-guangzhou",
        "api-vikingdb.mlp.cn-guangzhou.volces.com",
        "vikingdb.cn-guangzhou.volcengineapi.com",
    ),
    (
        "cn-shanghai",
        "api-vikingdb.mlp.cn-shanghai.volces.com",
        "vikingdb.cn-shanghai.volcengineapi.com",
    ),
    (
        "ap-southeast-1",
        "api-vikingdb.mlp.ap-mya.byteplus.com",
        "vikingdb.ap-southeast-1.volcengineapi.com",
    ),
];

/// A VikingDB service: its address and the region that goes into signatures.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Endpoint {
    url: Url,
    region: String,
}

impl Endpoint {
    /// The public endpoint of a region for one generation of the interface, over https.
    pub fn of_region(region: &str, api: Api) -> Result<Self, Error> {
        let known = HOSTS.iter().find(|(name, ..)| *name == region);
        let host = known.map(|(_, v1, v2)| match api {
            Api::V1 => *v1,
            Api::V2 => *v2,
        });
        let host = host.ok_or_else(|| Error::Endpoint {
            endpoint: region.to_owned(),
            problem: "no VikingDB region has this name; known are cn-beijing, cn-guangzhou, \
                      cn-shanghai and ap-southeast-1, others need an explicit endpoint",
        })?;
        Self::new(&format!("https://{host}"), region, false)
    }

    /// An explicit address such as `https://api-vikingdb.volces.com`. Plain http is taken for
    /// loopback addresses, and elsewhere only with `allow_http`.
    pub fn new(url: &str, region: &str, allow_http: bool) -> Result<Self, Error> {
        // What stands before an @ may be a password.
        let shown = url.rsplit('@').next().unwrap_or_default();
        let bad = |problem| Error::Endpoint { endpoint: shown.to_owned(), problem };
        let with_scheme =
            if url.contains("://") { url.to_owned() } else { format!("https://{url}") };
        let parsed = Url::parse(&with_scheme).map_err(|_| bad("it is not a URL"))?;
        let is_bare =
            parsed.path() == "/" && parsed.query().is_none() && parsed.fragment().is_none();
        if !is_bare || !parsed.username().is_empty() || parsed.password().is_some() {
            return Err(bad("it must be a scheme and a host, with nothing behind"));
        }
        if parsed.host_str().is_none_or(str::is_empty) {
            return Err(bad("it has no host"));
        }
        let endpoint = Self { url: parsed, region: region.to_owned() };
        match endpoint.url.scheme() {
            "https" => Ok(endpoint),
            "http" if allow_http || endpoint.is_loopback() => Ok(endpoint),
            "http" => Err(bad("plain http would send the rows and the token in the clear; \
                               use https, or allow http for a private link")),
            _ => Err(bad("its scheme must be https")),
        }
    }

    /// The region that goes into signatures.
    pub fn region(&self) -> &str {
        &self.region
    }

    /// The address, without a trailing slash.
    pub fn url(&self) -> &str {
        self.url.as_str().trim_end_matches('/')
    }

    /// Whether the service runs on this machine.
    pub fn is_loopback(&self) -> bool {
        let host = self.url.host_str().unwrap_or_default();
        let address = host.trim_start_matches('[').trim_end_matches(']');
        host == "localhost"
            || host.ends_with(".localhost")
            || address.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
    }

    /// The `Host` header: with the port unless it is the scheme's own.
    pub(crate) fn host(&self) -> String {
        let host = self.url.host_str().unwrap_or_default();
        self.url.port().map_or_else(|| host.to_owned(), |port| format!("{host}:{port}"))
    }
}
