//! A set of credentials, and what it is for.

use std::path::PathBuf;

use secrecy::{ExposeSecret, SecretString};
use viking_credentials::Credentials;

use crate::error::{CredentialsError, Result};

/// A set of credentials and where it was found. `Debug` masks the secrets.
#[derive(Debug, Clone)]
pub struct CredentialSet {
    credentials: Credentials,
    origin: String,
    open_file: Option<PathBuf>,
}

impl CredentialSet {
    /// White space around the parts is dropped. `origin` says in words where they were found.
    pub fn new(access_key: &str, secret_key: &str, token: Option<&str>, origin: &str) -> Self {
        let (secret_key, token) = (secret_key.to_owned(), token.map(str::to_owned));
        Self::of(Credentials::new(access_key, secret_key, token), origin)
    }

    pub(super) fn of(credentials: Credentials, origin: &str) -> Self {
        Self { credentials, origin: origin.to_owned(), open_file: None }
    }

    /// Refuses what no key can have inside: a line end in the middle is a sign of two values in one.
    pub(super) fn checked(self) -> Result<Self, CredentialsError> {
        let has_control = |text: &str| text.chars().any(char::is_control);
        let is_bad = |secret: &SecretString| has_control(secret.expose_secret());
        let token = self.credentials.session_token();
        if has_control(self.credentials.access_key())
            || is_bad(self.credentials.secret_key())
            || token.is_some_and(is_bad)
        {
            return Err(CredentialsError::ControlCharacter { origin: self.origin });
        }
        Ok(self)
    }

    /// Found in this file, which other users can read.
    pub(super) fn open_in(self, open_file: Option<PathBuf>) -> Self {
        Self { open_file, ..self }
    }

    pub(crate) fn credentials(&self) -> &Credentials {
        &self.credentials
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
        self.credentials.session_token().is_some()
    }

    /// As much of the access key as tells it from others.
    pub fn masked(&self) -> String {
        let shown: String = self.credentials.access_key().chars().take(8).collect();
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
