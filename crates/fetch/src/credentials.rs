//! Who asks: the credentials of a source, in the form of `object_store`.

use std::sync::Arc;

use async_trait::async_trait;
use object_store::CredentialProvider;
use object_store::aws::AwsCredential;
use parking_lot::Mutex;
use secrecy::ExposeSecret;
use viking_credentials::{CredentialSource, Credentials};

use crate::error::Error;

/// Hands `object_store` the credentials of a source.
#[derive(Debug)]
pub(crate) struct Provider {
    source: Arc<dyn CredentialSource>,
    current: Mutex<Option<(Credentials, Arc<AwsCredential>)>>,
}

impl Provider {
    pub(crate) fn new(source: Arc<dyn CredentialSource>) -> Self {
        Self { source, current: Mutex::default() }
    }

    /// Asks the source. What it says holds for the requests that follow.
    pub(crate) async fn refresh(&self) -> Result<Credentials, Error> {
        let credentials = self.source.credentials().await.map_err(Error::NoCredentials)?;
        self.set(&credentials);
        Ok(credentials)
    }

    /// Whether there are other credentials than those that were `used` and have expired.
    pub(crate) async fn renew(&self, used: &Credentials) -> bool {
        let renewed = self.source.renewed(used).await;
        renewed.inspect(|credentials| self.set(credentials)).is_some()
    }

    fn set(&self, credentials: &Credentials) {
        let mut current = self.current.lock();
        if current.as_ref().is_none_or(|(known, _)| known != credentials) {
            let token = credentials.session_token();
            let credential = AwsCredential {
                key_id: credentials.access_key().to_owned(),
                secret_key: credentials.secret_key().expose_secret().to_owned(),
                token: token.map(|token| token.expose_secret().to_owned()),
            };
            *current = Some((credentials.clone(), Arc::new(credential)));
        }
    }
}

#[async_trait]
impl CredentialProvider for Provider {
    type Credential = AwsCredential;

    async fn get_credential(&self) -> object_store::Result<Arc<AwsCredential>> {
        let current = self.current.lock().as_ref().map(|(_, current)| Arc::clone(current));
        current.ok_or(object_store::Error::NotImplemented {
            operation: "a request before the credentials were asked for".to_owned(),
            implementer: "viking-fetch".to_owned(),
        })
    }
}
