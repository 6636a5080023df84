//! Where the service is.

use std::net::IpAddr;

use reqwest::Url;
use serde::{Deserialize, Serialize};

use crate::error::Error;
use crate::interface::Api;

/// The cloud whose account is used.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Site {
    /// `volcengine.com`.
    #[default]
    Volcengine,
    /// `byteplus.com`, the international one. It takes signatures of the service `vikingdb` only, which are V2's.
    BytePlus,
}

impl Site {
    /// Its name in one word.
    pub fn name(self) -> &'static str {
        match self {
            Self::Volcengine => "volcengine",
            Self::BytePlus => "byteplus",
        }
    }

    /// The region that is asked unless another is named.
    pub fn region(self) -> &'static str {
        match self {
            Self::Volcengine => "cn-beijing",
            Self::BytePlus => "ap-southeast-1",
        }
    }

    /// The generation of the interface that is spoken unless another is named.
    pub fn api(self) -> Api {
        match self {
            Self::Volcengine => Api::V1,
            Self::BytePlus => Api::V2,
        }
    }

    fn hosts(self) -> &'static [Hosts] {
        match self {
            Self::Volcengine => &VOLCENGINE,
            Self::BytePlus => &BYTEPLUS,
        }
    }
}

/// A region with VikingDB and its hosts in V1 and V2.
type Hosts = (&'static str, &'static str, &'static str);

/// From the vendor's pages 1254488 and 1792715.
const VOLCENGINE: [Hosts; 4] = [
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

/// V1 from the vendor's page 1254488, V2 as public programs of its users have it.
const BYTEPLUS: [Hosts; 1] = [(
    "ap-southeast-1",
    "api-vikingdb.mlp.ap-mya.byteplus.com",
    "vikingdb.ap-southeast-1.byteplusapi.com",
)];

/// A VikingDB service: its address and the region that goes into signatures.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Endpoint {
    url: Url,
    region: String,
}

impl Endpoint {
    /// The public endpoint of a region for one generation of the interface, over https.
    pub fn of_region(site: Site, region: &str, api: Api) -> Result<Self, Error> {
        let known = site.hosts().iter().find(|(name, ..)| *name == region);
        let host = known.map(|(_, v1, v2)| match api {
            Api::V1 => *v1,
            Api::V2 => *v2,
        });
        let host = host.ok_or_else(|| Error::Endpoint {
            endpoint: region.to_owned(),
            problem: match site {
                Site::Volcengine => {
                    "no VikingDB region has this name; known are cn-beijing, cn-guangzhou, \
                     cn-shanghai and ap-southeast-1, others need an explicit endpoint"
                }
                Site::BytePlus => {
                    "no region of BytePlus has this name; known is ap-southeast-1, others need an \
                     explicit endpoint"
                }
            },
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

#[cfg(test)]
mod tests {
    use super::*;

    /// Signatures that fit prove no host: each is written out here with where it is from.
    #[test]
    fn every_host_is_as_its_source_has_it() {
        for (site, region, api, url, _source) in [
            (
                Site::Volcengine,
                "cn-beijing",
                Api::V1,
                "https://api-vikingdb.volces.com",
                "page 1254488",
            ),
            (
                Site::Volcengine,
                "cn-shanghai",
                Api::V1,
                "https://api-vikingdb.mlp.cn-shanghai.volces.com",
                "page 1254488",
            ),
            (
                Site::Volcengine,
                "cn-guangzhou",
                Api::V1,
                "https://api-vikingdb.mlp.cn-guangzhou.volces.com",
                "page 1254488",
            ),
            (
                Site::Volcengine,
                "ap-southeast-1",
                Api::V1,
                "https://api-vikingdb.mlp.ap-mya.byteplus.com",
                "page 1254488",
            ),
            (
                Site::Volcengine,
                "cn-beijing",
                Api::V2,
                "https://vikingdb.cn-beijing.volcengineapi.com",
                "page 1792715",
            ),
            (
                Site::Volcengine,
                "cn-shanghai",
                Api::V2,
                "https://vikingdb.cn-shanghai.volcengineapi.com",
                "page 1792715",
            ),
            (
                Site::Volcengine,
                "cn-guangzhou",
                Api::V2,
                "https://vikingdb.cn-guangzhou.volcengineapi.com",
                "page 1792715",
            ),
            (
                Site::Volcengine,
                "ap-southeast-1",
                Api::V2,
                "https://vikingdb.ap-southeast-1.volcengineapi.com",
                "page 1792715",
            ),
            (
                Site::BytePlus,
                "ap-southeast-1",
                Api::V1,
                "https://api-vikingdb.mlp.ap-mya.byteplus.com",
                "page 1254488",
            ),
            (
                Site::BytePlus,
                "ap-southeast-1",
                Api::V2,
                "https://vikingdb.ap-southeast-1.byteplusapi.com",
                "programs of users",
            ),
        ] {
            let endpoint = Endpoint::of_region(site, region, api).unwrap();
            assert_eq!((endpoint.url(), endpoint.region()), (url, region));
        }
        assert_eq!((Api::V1.service(), Api::V2.service()), ("air", "vikingdb"));
        for site in [Site::Volcengine, Site::BytePlus] {
            assert!(Endpoint::of_region(site, site.region(), site.api()).is_ok());
            assert!(Endpoint::of_region(site, "mars", site.api()).is_err());
        }
        assert!(Endpoint::of_region(Site::BytePlus, "cn-beijing", Api::V2).is_err());
    }
}
