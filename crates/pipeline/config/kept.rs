//! Credentials that were found, kept until they are about to expire.

use async_trait::async_trait;
use jiff::{SignedDuration, Timestamp};
use tokio::sync::Mutex;
use viking_credentials::{
    CredentialSource, Credentials, OidcRole, RoleError, Temporary, Unavailable,
};

use super::credentials::CredentialSet;
use super::lookup::{Found, Lookup};
use crate::error::{CredentialsError, Result};

/// Credentials of roles are renewed so long before they expire.
const RENEW_BEFORE: SignedDuration = SignedDuration::from_mins(5);
/// What cannot be renewed is tried again after so long, as long as it is good.
const RENEW_AGAIN: SignedDuration = SignedDuration::from_secs(30);

/// The credentials for one service.
#[derive(Debug)]
pub(super) struct Kept {
    pub(super) lookup: Lookup,
    current: Mutex<Option<Current>>,
}

#[derive(Debug, Clone)]
struct Current {
    set: CredentialSet,
    expires: Option<Timestamp>,
    renew_at: Option<Timestamp>,
}

impl Kept {
    pub(super) fn new(lookup: Lookup) -> Self {
        Self { lookup, current: Mutex::default() }
    }

    /// The credentials as they are now.
    pub(super) async fn find(&self) -> Result<CredentialSet, CredentialsError> {
        let mut kept = self.current.lock().await;
        let now = Timestamp::now();
        match &mut *kept {
            Some(current) if current.renew_at.is_none_or(|time| now < time) => {
                Ok(current.set.clone())
            }
            Some(current) if current.expires.is_some_and(|time| now < time) => {
                match look(&self.lookup).await {
                    Ok(renewed) => *current = renewed,
                    Err(error) => {
                        tracing::warn!(%error, "credentials that expire soon could not be renewed");
                        current.renew_at = Some(now + RENEW_AGAIN);
                    }
                }
                Ok(current.set.clone())
            }
            _ => Ok(kept.insert(look(&self.lookup).await?).set.clone()),
        }
    }
}

#[async_trait]
impl CredentialSource for Kept {
    async fn credentials(&self) -> Result<Credentials, Unavailable> {
        Ok(self.find().await?.credentials().clone())
    }

    async fn renewed(&self, used: &Credentials) -> Option<Credentials> {
        let mut kept = self.current.lock().await;
        if kept.as_ref().is_none_or(|current| current.set.credentials() == used) {
            match look(&self.lookup).await {
                Ok(found) => *kept = Some(found),
                Err(error) => tracing::warn!(%error, "expired credentials could not be renewed"),
            }
        }
        let current = kept.as_ref()?.set.credentials();
        (current != used).then(|| current.clone())
    }
}

/// Where credentials come from, in words.
pub(super) fn oidc_origin(role: &OidcRole) -> String {
    format!("the role {} (OIDC)", role.role_trn)
}

/// Looks for credentials, in the environment, in files, and at the services that give them to roles.
async fn look(lookup: &Lookup) -> Result<Current, CredentialsError> {
    let of_role = |origin: String, temporary: Temporary| {
        let Temporary { credentials, expires } = temporary;
        let renew_at = expires.map(|time| time - RENEW_BEFORE);
        let set = CredentialSet::of(credentials, &origin).checked()?;
        Ok(Current { set, expires, renew_at })
    };
    let failed = |role: &str, source: RoleError| {
        let role = role.to_owned();
        CredentialsError::Role { role, source }
    };
    match lookup.find()? {
        Some(Found::Set(set)) => Ok(Current { set, expires: None, renew_at: None }),
        Some(Found::Role(role)) => match role.assume().await {
            Ok(temporary) => of_role(oidc_origin(&role), temporary),
            Err(error) => Err(failed(&role.role_trn, error)),
        },
        None => {
            let role = lookup.ecs_role().ok_or(CredentialsError::NotFound)?;
            let name = role.name.as_deref();
            match (role.assume().await, name) {
                (Ok(temporary), Some(name)) => {
                    of_role(format!("the role {name} of this ECS instance"), temporary)
                }
                (Ok(temporary), None) => {
                    of_role("the role of this ECS instance".to_owned(), temporary)
                }
                (Err(error), Some(name)) => Err(failed(name, error)),
                // Most machines are no such instance.
                (Err(error), None) => {
                    tracing::debug!(%error, "no role of an ECS instance");
                    Err(CredentialsError::NotFound)
                }
            }
        }
    }
}
