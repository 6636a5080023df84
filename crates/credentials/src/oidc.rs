//! A role that is taken with an OIDC token. Source: `volcenginesdk-core` 5.0.54 of `PyPI`, `auth/providers/sts_oidc_provider.py`
//! and `api_client.py`.

use std::io;
use std::path::PathBuf;
use std::time::Duration;

use serde::Deserialize;
use url::Url;
use url::form_urlencoded::Serializer;

use crate::error::RoleError;
use crate::given::Given;
use crate::{Temporary, http};

/// Where roles are taken.
const STS: &str = "sts.volcengineapi.com";
const QUERY: &str = "Action=AssumeRoleWithOIDC&Version=2018-01-01";
/// How long the credentials are asked for, in seconds.
const DURATION: &str = "3600";

/// A role of Volcengine for whoever shows a token of an identity provider, as the workers of a cluster do.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct OidcRole {
    /// The resource name of the role, `trn:iam::ACCOUNT:role/NAME`.
    pub role_trn: String,
    /// The file with the token, read each time the role is taken: clusters replace it.
    pub token_file: PathBuf,
    /// What the session is called in logs of the cloud.
    pub session_name: String,
    /// A policy that narrows what the role may do.
    pub policy: Option<String>,
    /// The host of STS, or its URL.
    pub sts_endpoint: Option<String>,
}

#[derive(Deserialize)]
struct Answer {
    #[serde(rename = "Result")]
    result: Assumed,
}

#[derive(Deserialize)]
struct Assumed {
    #[serde(rename = "Credentials")]
    credentials: Given,
}

impl OidcRole {
    /// The role `role_trn` for who shows the token in `token_file`.
    pub fn new(role_trn: impl Into<String>, token_file: impl Into<PathBuf>) -> Self {
        Self {
            role_trn: role_trn.into(),
            token_file: token_file.into(),
            session_name: "viking-export".to_owned(),
            policy: None,
            sts_endpoint: None,
        }
    }

    /// Sets [`session_name`](Self::session_name).
    #[must_use]
    pub fn with_session_name(self, session_name: impl Into<String>) -> Self {
        Self { session_name: session_name.into(), ..self }
    }

    /// Sets [`policy`](Self::policy).
    #[must_use]
    pub fn with_policy(self, policy: impl Into<Option<String>>) -> Self {
        Self { policy: policy.into(), ..self }
    }

    /// Sets [`sts_endpoint`](Self::sts_endpoint).
    #[must_use]
    pub fn with_sts_endpoint(self, sts_endpoint: impl Into<Option<String>>) -> Self {
        Self { sts_endpoint: sts_endpoint.into(), ..self }
    }

    /// Takes the role: new credentials, which end after an hour.
    pub async fn assume(&self) -> Result<Temporary, RoleError> {
        let token = self.token().await?;
        let (url, is_local) = self.url()?;
        let host = url.host_str().unwrap_or_default().to_owned();
        let form = self.form(&token);
        let client = http::client(is_local, Duration::from_secs(10), Duration::from_secs(30));
        let client =
            client.map_err(|source| RoleError::Unreachable { host: host.clone(), source })?;
        let request = || {
            let request = client.post(url.clone()).header("Accept", "application/json");
            request.header("Content-Type", "application/x-www-form-urlencoded").body(form.clone())
        };
        let answer = http::ask(&host, request, true).await?;
        // The parser's quotes of the text may not be shown: it holds secrets.
        let bad = |detail: &str| {
            let (host, detail) = (host.clone(), detail.to_owned());
            RoleError::Answer { host, status: 200, detail }
        };
        if let Some(code) = http::refusal(&answer) {
            return Err(bad(&code));
        }
        let answer: Answer =
            serde_json::from_str(&answer).map_err(|_| bad("it holds no credentials"))?;
        answer.result.credentials.checked().map_err(bad)
    }

    fn form(&self, token: &str) -> String {
        let mut form = Serializer::new(String::new());
        form.append_pair("DurationSeconds", DURATION)
            .append_pair("RoleSessionName", &self.session_name)
            .append_pair("RoleTrn", &self.role_trn)
            .append_pair("OIDCToken", token);
        if let Some(policy) = &self.policy {
            form.append_pair("Policy", policy);
        }
        form.finish()
    }

    async fn token(&self) -> Result<String, RoleError> {
        let path = self.token_file.clone();
        let read = tokio::task::spawn_blocking(move || std::fs::read_to_string(path)).await;
        let read = read.unwrap_or_else(|error| Err(io::Error::other(error)));
        let token = match read.as_deref().map(str::trim) {
            Ok("") => Err(io::Error::new(io::ErrorKind::InvalidData, "it is empty")),
            _ => read,
        };
        let path = self.token_file.clone();
        let token = token.map_err(|source| RoleError::TokenFile { path, source })?;
        Ok(token.trim().to_owned())
    }

    /// The URL of STS, and whether it is on this machine. The token goes over https anywhere else.
    fn url(&self) -> Result<(Url, bool), RoleError> {
        let endpoint = self.sts_endpoint.as_deref().unwrap_or(STS);
        let text = if endpoint.contains("://") {
            endpoint.to_owned()
        } else {
            format!("https://{endpoint}")
        };
        let bad = || RoleError::Address { url: http::without_password(endpoint) };
        let mut url: Url = text.parse().map_err(|_| bad())?;
        let is_local = http::is_local(&url);
        if url.scheme() != "https" && !(is_local && url.scheme() == "http") {
            return Err(bad());
        }
        url.set_query(Some(QUERY));
        Ok((url, is_local))
    }
}
