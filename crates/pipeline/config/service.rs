//! The services: where they are, who asks them, and how patiently.

use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use viking_api::{Api, Client, Endpoint, Owner, Site};
use viking_credentials::CredentialSource;
use viking_fetch::{BucketOptions, byteplus_tos_endpoint, tos_endpoint};

use super::credentials::{CredentialSet, Purpose};
use super::kept::{Kept, oidc_origin};
use super::lookup::{Found, Lookup};
use crate::error::{Error, RequestError, Result, V2Option};

/// How long a service may stay silent before a request counts as failed.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(30);

/// Where the services are and how they are spoken to. Part of a run's request, and kept in its receipt.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Address {
    /// The cloud whose account is used.
    #[serde(default)]
    pub site: Site,
    /// The region, for example `cn-beijing`.
    pub region: String,
    /// The URL of `VikingDB`, if it is not the region's own.
    pub endpoint: Option<String>,
    /// The URL of TOS without the bucket, if it is not the region's own.
    pub tos_endpoint: Option<String>,
    /// The version of `VikingDB`'s interface.
    #[serde(default)]
    pub api: Api,
    /// The collection's project; V2 only.
    #[serde(default)]
    pub project: Option<String>,
    /// The collection's resource id in place of its name; V2 only.
    #[serde(default)]
    pub resource_id: Option<String>,
}

impl Address {
    /// Sets [`site`](Self::site).
    #[must_use]
    pub fn with_site(self, site: Site) -> Self {
        Self { site, ..self }
    }

    /// Sets [`region`](Self::region).
    #[must_use]
    pub fn with_region(self, region: impl Into<String>) -> Self {
        Self { region: region.into(), ..self }
    }

    /// Sets [`endpoint`](Self::endpoint).
    #[must_use]
    pub fn with_endpoint(self, endpoint: impl Into<Option<String>>) -> Self {
        Self { endpoint: endpoint.into(), ..self }
    }

    /// Sets [`tos_endpoint`](Self::tos_endpoint).
    #[must_use]
    pub fn with_tos_endpoint(self, tos_endpoint: impl Into<Option<String>>) -> Self {
        Self { tos_endpoint: tos_endpoint.into(), ..self }
    }

    /// Sets [`api`](Self::api).
    #[must_use]
    pub fn with_api(self, api: Api) -> Self {
        Self { api, ..self }
    }

    /// Sets [`project`](Self::project).
    #[must_use]
    pub fn with_project(self, project: impl Into<Option<String>>) -> Self {
        Self { project: project.into(), ..self }
    }

    /// Sets [`resource_id`](Self::resource_id).
    #[must_use]
    pub fn with_resource_id(self, resource_id: impl Into<Option<String>>) -> Self {
        Self { resource_id: resource_id.into(), ..self }
    }
}

/// Parts of an [`Address`] that hold for a resumed run, whatever its receipt says.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct AddressOverrides {
    /// [`Address::region`].
    pub region: bool,
    /// [`Address::endpoint`].
    pub endpoint: bool,
    /// [`Address::tos_endpoint`].
    pub tos_endpoint: bool,
}

impl AddressOverrides {
    const ALL: Self = Self { region: true, endpoint: true, tos_endpoint: true };
}

/// The services and who asks them. Nothing is sent before a request is made.
#[derive(Debug, Clone)]
pub struct Service {
    address: Address,
    overrides: AddressOverrides,
    is_embedded: bool,
    allow_http: bool,
    request_timeout: Duration,
    retry_for: Option<Duration>,
    credentials: Source,
    open_key_file: Arc<OnceLock<PathBuf>>,
}

#[derive(Debug, Clone)]
enum Source {
    /// Those of the user.
    Lookup(Arc<Sources>),
    Given(CredentialSet),
}

/// Where the credentials for each service come from.
#[derive(Debug)]
struct Sources {
    profile: Profile,
    tos: Kept,
    vikingdb: Kept,
}

/// The profile of the vendor's file, if one is to be taken.
#[derive(Debug, Clone, Default)]
struct Profile {
    name: Option<String>,
    is_asked: bool,
}

impl Source {
    fn lookup(site: Site, profile: Profile) -> Self {
        let kept = |purpose| {
            let Profile { name, is_asked } = profile.clone();
            Kept::new(Lookup { site, purpose, profile: name, is_asked })
        };
        let (tos, vikingdb) = (kept(Purpose::Tos), kept(Purpose::Vikingdb));
        Self::Lookup(Arc::new(Sources { profile, tos, vikingdb }))
    }
}

impl Sources {
    fn of(&self, purpose: Purpose) -> &Kept {
        match purpose {
            Purpose::Tos => &self.tos,
            Purpose::Vikingdb => &self.vikingdb,
        }
    }
}

impl Service {
    /// The services at `address`, asked with the user's credentials from the environment or the files of the
    /// vendor's tools.
    pub fn new(address: Address) -> Self {
        let credentials = Source::lookup(address.site, Profile::default());
        Self {
            address,
            overrides: AddressOverrides::default(),
            is_embedded: false,
            allow_http: false,
            request_timeout: REQUEST_TIMEOUT,
            retry_for: None,
            credentials,
            open_key_file: Arc::default(),
        }
    }

    /// Takes plain http to other machines as well.
    #[must_use]
    pub fn with_allow_http(self, allow_http: bool) -> Self {
        Self { allow_http, ..self }
    }

    /// Lets a service stay silent for this long; 30 s unless told otherwise.
    #[must_use]
    pub fn with_request_timeout(self, request_timeout: Duration) -> Self {
        Self { request_timeout, ..self }
    }

    /// Repeats requests for this long after passing faults; five minutes unless told otherwise, and twenty
    /// seconds before the first answer.
    #[must_use]
    pub fn with_retry_for(self, retry_for: impl Into<Option<Duration>>) -> Self {
        Self { retry_for: retry_for.into(), ..self }
    }

    /// Takes the credentials from this profile of `~/.volcengine/config.json`, or of `~/.byteplus/config.json`: before the environment if it
    /// `is_asked` for, else after it.
    #[must_use]
    pub fn with_profile(self, profile: &str, is_asked: bool) -> Self {
        let profile = Profile { name: Some(profile.to_owned()), is_asked };
        Self { credentials: Source::lookup(self.address.site, profile), ..self }
    }

    /// Asks with these credentials, and looks for no others.
    #[must_use]
    pub fn with_credentials(self, credentials: CredentialSet) -> Self {
        Self { credentials: Source::Given(credentials), ..self }
    }

    /// Keeps these parts of the address when a run is resumed that began elsewhere.
    #[must_use]
    pub fn with_overrides(self, overrides: AddressOverrides) -> Self {
        Self { overrides, ..self }
    }

    /// The services end with this process, and have other addresses at each start.
    #[must_use]
    pub fn embedded(self) -> Self {
        Self { is_embedded: true, overrides: AddressOverrides::ALL, ..self }
    }

    /// Where they are.
    pub fn address(&self) -> &Address {
        &self.address
    }

    /// Whether the services end with this process.
    pub fn is_embedded(&self) -> bool {
        self.is_embedded
    }

    /// Whether one of the services may be behind a proxy: they are not both on this machine.
    pub fn is_remote(&self) -> bool {
        let is_here = |endpoint: &Option<String>| {
            endpoint
                .as_ref()
                .is_some_and(|url| url.contains("localhost") || url.contains("127.0.0.1"))
        };
        !is_here(&self.address.endpoint) || !is_here(&self.address.tos_endpoint)
    }

    /// The services where an earlier attempt of a run went, but for the overrides.
    #[must_use]
    pub(crate) fn at(&self, address: &Address) -> Self {
        let mut service = Self { address: address.clone(), ..self.clone() };
        if let Source::Lookup(sources) = &self.credentials
            && address.site != self.address.site
        {
            service.credentials = Source::lookup(address.site, sources.profile.clone());
        }
        if self.overrides.region {
            service.address.region.clone_from(&self.address.region);
        }
        if self.overrides.endpoint {
            service.address.endpoint.clone_from(&self.address.endpoint);
        }
        if self.overrides.tos_endpoint {
            service.address.tos_endpoint.clone_from(&self.address.tos_endpoint);
        }
        service
    }

    /// A client of `VikingDB`.
    pub async fn client(&self) -> Result<Client> {
        let Address { site, region, endpoint, api, project, resource_id, .. } = &self.address;
        if *api == Api::V1 && (project.is_some() || resource_id.is_some()) {
            return Err(RequestError::V2Only { option: V2Option::Owner }.into());
        }
        let endpoint = match endpoint {
            Some(url) => Endpoint::new(url, region, self.allow_http)?,
            None => Endpoint::of_region(*site, region, *api)?,
        };
        let owner =
            Owner::default().with_project(project.clone()).with_resource_id(resource_id.clone());
        let source = self.source(Purpose::Vikingdb).await?;
        let client = Client::new(endpoint, source, jiff::Timestamp::now);
        let mut retry = viking_api::Retry::default();
        if let Some(time) = self.retry_for {
            retry = retry.with_within(time).with_first_within(time);
        }
        let client = client?.speaking(*api, owner).answered_within(self.request_timeout);
        Ok(client.retrying(retry))
    }

    /// How buckets of TOS are reached. `retries` says how often a request is repeated at most; without it the time
    /// decides.
    pub(crate) async fn bucket_options(&self, retries: Option<u8>) -> Result<BucketOptions> {
        let Address { site, region, tos_endpoint: endpoint, .. } = &self.address;
        let endpoint = endpoint.clone().unwrap_or_else(|| match site {
            Site::Volcengine => tos_endpoint(region),
            Site::BytePlus => byteplus_tos_endpoint(region),
        });
        let source = self.source(Purpose::Tos).await?;
        let options = BucketOptions::new(&endpoint, region, source);
        let mut retry = options.retry.with_times(retries.map(u32::from));
        if let Some(time) = self.retry_for {
            retry = retry.with_within(time).with_first_within(time);
        }
        let options = options.with_allow_http(self.allow_http);
        Ok(options.with_read_timeout(self.request_timeout).with_retry(retry))
    }

    /// Where requests find their credentials. That there are none is told here, before the first request, unless that
    /// may pass: then it is asked again as patiently as for anything else.
    async fn source(&self, purpose: Purpose) -> Result<Arc<dyn CredentialSource>> {
        match (self.credentials(purpose).await, &self.credentials) {
            (Err(Error::Credentials(error)), Source::Lookup(_)) if error.is_passing() => {}
            (found, _) => drop(found?),
        }
        Ok(match &self.credentials {
            Source::Given(given) => Arc::new(given.credentials().clone()),
            Source::Lookup(sources) => Arc::new(sources.of(purpose).clone()),
        })
    }

    /// The credentials as they are now.
    pub async fn credentials(&self, purpose: Purpose) -> Result<CredentialSet> {
        let found = match &self.credentials {
            Source::Given(given) => return Ok(given.clone()),
            Source::Lookup(sources) => sources.of(purpose).find().await?,
        };
        if let Some(file) = found.open_file() {
            // One is enough to tell.
            self.open_key_file.set(file.clone()).unwrap_or(());
        }
        Ok(found)
    }

    /// As much of the access key as tells it from others, and where it was found, without asking any service. `None`
    /// leaves the role of an ECS instance.
    pub fn locate_credentials(&self, purpose: Purpose) -> Option<(String, String)> {
        let found = match &self.credentials {
            Source::Given(given) => Found::Set(given.clone()),
            Source::Lookup(sources) => sources.of(purpose).lookup().find().ok()??,
        };
        Some(match found {
            Found::Set(set) => (set.masked(), set.origin().to_owned()),
            Found::Role(role) => ("temporary".to_owned(), oidc_origin(&role)),
        })
    }

    /// A file of keys that other users of this machine can read, if credentials were taken from it.
    pub fn open_key_file(&self) -> Option<&Path> {
        self.open_key_file.get().map(PathBuf::as_path)
    }
}
