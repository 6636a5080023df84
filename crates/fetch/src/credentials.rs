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
    pub(crate) source: Arc<dyn CredentialSource>,
    /// The last ones in both forms.
    last: Mutex<Option<(Credentials, Arc<AwsCredential>)>>,
}

impl Provider {
    pub(crate) fn new(source: Arc<dyn CredentialSource>) -> Self {
        Self { source, last: Mutex::default() }
    }

    /// What a request is signed with.
    pub(crate) async fn credential(&self) -> Result<Arc<AwsCredential>, Error> {
        let credentials = self.source.credentials().await.map_err(Error::NoCredentials)?;
        let mut last = self.last.lock();
        if let Some((known, credential)) = last.as_ref()
            && *known == credentials
        {
            return Ok(Arc::clone(credential));
        }
        let token = credentials.session_token();
        let credential = Arc::new(AwsCredential {
            key_id: credentials.access_key().to_owned(),
            secret_key: credentials.secret_key().expose_secret().to_owned(),
            token: token.map(|token| token.expose_secret().to_owned()),
        });
        *last = Some((credentials, Arc::clone(&credential)));
        Ok(credential)
    }
}

#[async_trait]
impl CredentialProvider for Provider {
    type Credential = AwsCredential;

    async fn get_credential(&self) -> object_store::Result<Arc<AwsCredential>> {
        self.credential()
            .await
            .map_err(|error| object_store::Error::Generic { store: "TOS", source: Box::new(error) })
    }
}
