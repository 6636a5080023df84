//! Keys that cannot be printed.

use std::fmt;

use secrecy::{ExposeSecret, SecretString};

/// Where keys come from. It is asked once at the start, and once more each time the service says that the
/// keys are over.
pub trait CredentialSource: fmt::Debug + Send + Sync {
    /// The keys as they are now; `None` if there are none any more.
    fn credentials(&self) -> Option<Credentials>;
}

impl CredentialSource for Credentials {
    fn credentials(&self) -> Option<Credentials> {
        Some(self.clone())
    }
}

/// An access key with its secret and, for temporary keys, its session token. `Debug` masks them.
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

    /// Whether these are other keys.
    pub(crate) fn differs(&self, other: &Self) -> bool {
        self.access_key != other.access_key
            || self.secret_key() != other.secret_key()
            || self.session_token() != other.session_token()
    }

    /// The access key id, which is public.
    pub fn access_key(&self) -> &str {
        &self.access_key
    }

    pub(crate) fn secret_key(&self) -> &str {
        self.secret_key.expose_secret()
    }

    pub(crate) fn session_token(&self) -> Option<&str> {
        self.session_token.as_ref().map(ExposeSecret::expose_secret)
    }
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Credentials")
            .field("access_key", &self.access_key)
            .field("secret_key", &"masked")
            .field("session_token", &self.session_token.as_ref().map(|_| "masked"))
            .finish()
    }
}
