//! Credentials of Volcengine.
//!
//! A [`CredentialSource`] is asked before each request. [`Credentials`] themselves are one; [`OidcRole`] and [`EcsRole`] give
//! what the workers of a cluster have, which expires. The crate reads no environment and never prints.

#![forbid(unsafe_code)]

mod ecs;
mod error;
mod given;
mod http;
mod oidc;

use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use jiff::Timestamp;
use secrecy::{ExposeSecret, SecretString};

pub use ecs::EcsRole;
pub use error::{RoleError, Unavailable};
pub use oidc::OidcRole;

/// An access key with its secret and, for temporary credentials, its session token. `Debug` masks the secrets.
#[derive(Clone)]
pub struct Credentials {
    access_key: String,
    secret_key: SecretString,
    session_token: Option<SecretString>,
}

impl Credentials {
    /// White space around the parts is dropped: a newline pasted with a key is a classic.
    pub fn new(access_key: &str, secret_key: String, session_token: Option<String>) -> Self {
        let secret = |text: String| SecretString::from(text.trim().to_owned());
        Self {
            access_key: access_key.trim().to_owned(),
            secret_key: secret(secret_key),
            session_token: session_token.map(secret),
        }
    }

    /// The access key id, which is public.
    pub fn access_key(&self) -> &str {
        &self.access_key
    }

    /// What requests are signed with.
    pub fn secret_key(&self) -> &SecretString {
        &self.secret_key
    }

    /// What goes with each request that is signed with temporary credentials.
    pub fn session_token(&self) -> Option<&SecretString> {
        self.session_token.as_ref()
    }
}

impl PartialEq for Credentials {
    fn eq(&self, other: &Self) -> bool {
        let parts = |credentials: &Self| {
            let token = credentials.session_token().map(|token| token.expose_secret().to_owned());
            (credentials.secret_key.expose_secret().to_owned(), token)
        };
        self.access_key == other.access_key && parts(self) == parts(other)
    }
}

impl Eq for Credentials {}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Credentials")
            .field("access_key", &self.access_key)
            .field("secret_key", &"masked")
            .field("session_token", &self.session_token.as_ref().map(|_| "masked"))
            .finish()
    }
}

/// Credentials that expire by themselves, if it is known when.
#[derive(Debug, Clone)]
pub struct Temporary {
    /// The credentials.
    pub credentials: Credentials,
    /// When they end.
    pub expires: Option<Timestamp>,
}

/// Where credentials come from. `Debug` must mask them.
#[async_trait]
pub trait CredentialSource: fmt::Debug + Send + Sync {
    /// The credentials for the next request. Asked before each: a source that has to look for them keeps them, and renews
    /// them before they expire.
    async fn credentials(&self) -> Result<Credentials, Unavailable>;

    /// Credentials in place of those that were `used`, which the service says have expired; `None` if there are no others.
    async fn renewed(&self, used: &Credentials) -> Option<Credentials>;
}

#[async_trait]
impl<T: CredentialSource + ?Sized> CredentialSource for Arc<T> {
    async fn credentials(&self) -> Result<Credentials, Unavailable> {
        (**self).credentials().await
    }

    async fn renewed(&self, used: &Credentials) -> Option<Credentials> {
        (**self).renewed(used).await
    }
}

/// The same for all requests.
#[async_trait]
impl CredentialSource for Credentials {
    async fn credentials(&self) -> Result<Credentials, Unavailable> {
        Ok(self.clone())
    }

    async fn renewed(&self, _used: &Credentials) -> Option<Credentials> {
        None
    }
}
