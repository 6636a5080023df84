//! Who asks: keys, where they come from, and what happens when they are over.

use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use object_store::CredentialProvider;
use object_store::aws::AwsCredential;
use parking_lot::Mutex;
use secrecy::{ExposeSecret, SecretString};

/// The access key, secret and, for temporary keys, session token of TOS. `Debug` masks them.
#[derive(Clone)]
pub struct Keys {
    access_key: String,
    secret_key: SecretString,
    session_token: Option<SecretString>,
}

impl Keys {
    /// White space around the parts is dropped.
    pub fn new(access_key: &str, secret_key: String, session_token: Option<String>) -> Self {
        let secret = |text: String| SecretString::from(text.trim().to_owned());
        Self {
            access_key: access_key.trim().to_owned(),
            secret_key: secret(secret_key),
            session_token: session_token.map(secret),
        }
    }
}

impl fmt::Debug for Keys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Keys").field("access_key", &self.access_key).finish_non_exhaustive()
    }
}

/// Where keys come from. It is asked once at the start, and once more each time TOS says that the keys
/// are over.
pub trait KeySource: fmt::Debug + Send + Sync {
    /// The keys as they are now; `None` if there are none any more.
    fn keys(&self) -> Option<Keys>;
}

impl KeySource for Keys {
    fn keys(&self) -> Option<Keys> {
        Some(self.clone())
    }
}

/// Hands `object_store` the keys of a source.
#[derive(Debug)]
pub(crate) struct Provider {
    source: Arc<dyn KeySource>,
    current: Mutex<Arc<AwsCredential>>,
}

impl Provider {
    /// `None` if the source has no keys.
    pub(crate) fn new(source: Arc<dyn KeySource>) -> Option<Self> {
        let current = credential(&source.keys()?);
        Some(Self { source, current: Mutex::new(Arc::new(current)) })
    }

    /// The keys that requests are signed with now.
    pub(crate) fn current(&self) -> Arc<AwsCredential> {
        Arc::clone(&self.current.lock())
    }

    /// Reads the keys again after those that were `used` are over; `false` if there are no other ones.
    pub(crate) fn renew(&self, used: &Arc<AwsCredential>) -> bool {
        let mut current = self.current.lock();
        if *current == *used
            && let Some(keys) = self.source.keys()
        {
            *current = Arc::new(credential(&keys));
        }
        *current != *used
    }
}

#[async_trait]
impl CredentialProvider for Provider {
    type Credential = AwsCredential;

    async fn get_credential(&self) -> object_store::Result<Arc<AwsCredential>> {
        Ok(self.current())
    }
}

fn credential(keys: &Keys) -> AwsCredential {
    let token = keys.session_token.as_ref();
    AwsCredential {
        key_id: keys.access_key.clone(),
        secret_key: keys.secret_key.expose_secret().to_owned(),
        token: token.map(|token| token.expose_secret().to_owned()),
    }
}
