//! A set of credentials, and what it is for.

use std::path::PathBuf;

use secrecy::{ExposeSecret, SecretString};
use viking_api::Credentials;
use viking_fetch::Keys;

use crate::error::{CredentialsError, Result};

/// A set of credentials and where it was found. `Debug` masks the secrets.
#[derive(Debug, Clone)]
pub struct CredentialSet {
    access_key: String,
    secret_key: SecretString,
    session_token: Option<SecretString>,
    origin: String,
    open_file: Option<PathBuf>,
}

impl CredentialSet {
    /// White space around the parts is dropped. `origin` says in words where they were found.
    pub fn new(access_key: &str, secret_key: &str, token: Option<&str>, origin: &str) -> Self {
        let secret = |text: &str| SecretString::from(text.trim().to_owned());
        Self {
            access_key: access_key.trim().to_owned(),
            secret_key: secret(secret_key),
            session_token: token.map(secret),
            origin: origin.to_owned(),
            open_file: None,
        }
    }

    /// Refuses what no key can have inside: a line end in the middle is a sign of two values in one.
    pub(super) fn checked(self) -> Result<Self, CredentialsError> {
        let token = self.session_token.as_ref().map_or("", |token| token.expose_secret());
        let parts = [self.access_key.as_str(), self.secret_key.expose_secret(), token];
        if parts.iter().any(|part| part.chars().any(char::is_control)) {
            return Err(CredentialsError::ControlCharacter { origin: self.origin });
        }
        Ok(self)
    }

    /// Found in this file, which other users can read.
    pub(super) fn open_in(self, open_file: Option<PathBuf>) -> Self {
        Self { open_file, ..self }
    }

    /// For `VikingDB`.
    pub(crate) fn credentials(&self) -> Credentials {
        let (secret_key, token) = self.secrets();
        Credentials::new(&self.access_key, secret_key, token)
    }

    /// For TOS.
    pub(crate) fn keys(&self) -> Keys {
        let (secret_key, token) = self.secrets();
        Keys::new(&self.access_key, secret_key, token)
    }

    pub(super) fn secrets(&self) -> (String, Option<String>) {
        let plain = |secret: &SecretString| secret.expose_secret().to_owned();
        (plain(&self.secret_key), self.session_token.as_ref().map(plain))
    }

    /// Where it was found, in words.
    pub fn origin(&self) -> &str {
        &self.origin
    }

    /// The file that it was found in, if other users of this machine can read it.
    pub fn open_file(&self) -> Option<&PathBuf> {
        self.open_file.as_ref()
    }

    /// Whether it expires by itself.
    pub fn is_temporary(&self) -> bool {
        self.session_token.is_some()
    }

    /// As much of the access key as tells it from others.
    pub fn masked(&self) -> String {
        let shown: String = self.access_key.chars().take(8).collect();
        format!("{shown}…")
    }
}

/// What credentials are for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Purpose {
    /// Listing and reading objects.
    Tos,
    /// Export tasks.
    Vikingdb,
}
