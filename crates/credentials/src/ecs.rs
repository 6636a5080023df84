//! The role of an ECS instance. Source: `volcenginesdk-core` 5.0.54 of `PyPI`, `auth/providers/ecs_role_provider.py`.

use std::time::Duration;

use reqwest::{Client, Method};
use serde_json::Value;
use url::Url;

use crate::error::RoleError;
use crate::given::Given;
use crate::{Temporary, http};

/// Where each instance finds what belongs to it.
const METADATA: &str = "http://100.96.0.96";
const TOKEN_PATH: &str = "/latest/api/token";
const TOKEN_TTL: (&str, &str) = ("X-volc-ecs-metadata-token-ttl-seconds", "21600");
const TOKEN: &str = "X-volc-ecs-metadata-token";
const ROLES_PATH: &str = "/volcstack/latest/iam/security_credentials";
/// The metadata are on the instance's own link.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(1);
const ANSWER_TIMEOUT: Duration = Duration::from_secs(2);

/// The role that an ECS instance was given.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct EcsRole {
    /// The name of the role; the instance's first one if it is not given.
    pub name: Option<String>,
    /// The URL of the metadata, if it is not the usual one.
    pub metadata: Option<String>,
}

/// A conversation with the metadata service.
struct Metadata {
    client: Client,
    url: Url,
    host: String,
    /// Somebody said that this is an instance with a role.
    is_sure: bool,
}

impl EcsRole {
    /// Sets [`name`](Self::name).
    #[must_use]
    pub fn with_name(self, name: impl Into<Option<String>>) -> Self {
        Self { name: name.into(), ..self }
    }

    /// Sets [`metadata`](Self::metadata).
    #[must_use]
    pub fn with_metadata(self, metadata: impl Into<Option<String>>) -> Self {
        Self { metadata: metadata.into(), ..self }
    }

    /// The credentials of the role as they are now. Where no such service answers, that is told after a second; one
    /// that somebody named is asked three times.
    pub async fn assume(&self) -> Result<Temporary, RoleError> {
        let metadata = Metadata::open(self)?;
        let token = metadata.ask(Method::PUT, TOKEN_PATH, None, TOKEN_TTL).await?;
        let token = (TOKEN, token.trim());
        let name = match &self.name {
            Some(name) => name.clone(),
            None => metadata.first_role(token).await?,
        };
        let path = format!("{ROLES_PATH}/{name}");
        let answer = metadata.ask(Method::GET, &path, None, token).await?;
        // The parser's quotes of the text may not be shown: it holds secrets.
        let given: Given = serde_json::from_str(&answer)
            .map_err(|_| metadata.bad(format!("there are no credentials for the role {name:?}")))?;
        given.checked().map_err(|problem| metadata.bad(problem.to_owned()))
    }
}

impl Metadata {
    fn open(role: &EcsRole) -> Result<Self, RoleError> {
        let text = role.metadata.as_deref().unwrap_or(METADATA);
        let url: Url =
            text.parse().map_err(|_| RoleError::Address { url: http::without_password(text) })?;
        let host = url.host_str().unwrap_or_default().to_owned();
        let is_sure = role.name.is_some() || role.metadata.is_some();
        match http::client(true, CONNECT_TIMEOUT, ANSWER_TIMEOUT) {
            Ok(client) => Ok(Self { client, url, host, is_sure }),
            Err(source) => Err(RoleError::Unreachable { host, source }),
        }
    }

    async fn ask(
        &self,
        method: Method,
        path: &str,
        query: Option<&str>,
        (header, value): (&str, &str),
    ) -> Result<String, RoleError> {
        let mut url = self.url.clone();
        url.set_path(path);
        url.set_query(query);
        let request = || {
            let request = self.client.request(method.clone(), url.clone()).header(header, value);
            match method {
                // As the SDK sends it.
                Method::PUT => request.header("Content-Type", "application/json").body("{}"),
                _ => request,
            }
        };
        http::ask(&self.host, request, self.is_sure).await
    }

    async fn first_role(&self, token: (&str, &str)) -> Result<String, RoleError> {
        let query = Some("type=user&format=json");
        let answer = self.ask(Method::GET, ROLES_PATH, query, token).await?;
        let roles = match serde_json::from_str(&answer) {
            Ok(Value::Array(roles)) => {
                let names = roles.iter().filter_map(Value::as_str);
                names.map(str::to_owned).collect()
            }
            Ok(_) => Vec::new(),
            // Also seen as plain lines.
            Err(_) => answer.lines().map(str::to_owned).collect::<Vec<String>>(),
        };
        let mut roles = roles.iter().map(|role| role.trim()).filter(|role| !role.is_empty());
        let first = roles.next().map(str::to_owned);
        let none = || RoleError::Answer {
            host: self.host.clone(),
            status: 404,
            detail: "this instance has no role".to_owned(),
        };
        first.ok_or_else(none)
    }

    fn bad(&self, detail: String) -> RoleError {
        RoleError::Answer { host: self.host.clone(), status: 200, detail }
    }
}
