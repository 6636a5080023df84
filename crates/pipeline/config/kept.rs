//! Credentials that were found, kept until they are about to expire.

use std::sync::Arc;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use jiff::{SignedDuration, Timestamp};
use parking_lot::Mutex;
use viking_credentials::{
    CredentialSource, Credentials, EcsRole, OidcRole, RoleError, Temporary, Unavailable,
};

use super::credentials::CredentialSet;
use super::lookup::{Found, Lookup};
use crate::error::{CredentialsError, Result};

/// Credentials of roles are renewed so long before they expire.
const RENEW_BEFORE: SignedDuration = SignedDuration::from_mins(5);
/// What is about to expire is not renewed more often.
const RENEW_PAUSE: SignedDuration = SignedDuration::from_secs(5);
/// What has expired and could not be renewed is not tried again for so long.
const FAILED_PAUSE: Duration = Duration::from_secs(2);

/// The credentials for one service. Cheap to clone.
#[derive(Debug, Clone)]
pub(super) struct Kept(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    lookup: Lookup,
    current: Mutex<Option<Current>>,
    /// Held by the one who looks for others; how that failed the last time.
    looking: Arc<tokio::sync::Mutex<Option<Failure>>>,
}

/// Why others were not found.
#[derive(Debug)]
struct Failure {
    at: Instant,
    why: Unavailable,
}

impl Failure {
    /// Whether it answers somebody who has waited since `began`: one look is enough for all who wait for it.
    fn answers(&self, began: Instant) -> bool {
        self.at >= began || self.at.elapsed() < FAILED_PAUSE
    }
}

#[derive(Debug, Clone)]
struct Current {
    set: CredentialSet,
    expires: Option<Timestamp>,
    renew_at: Option<Timestamp>,
}

/// How good the current credentials are.
enum State {
    Good(CredentialSet),
    /// They can be used, and should be renewed.
    Ending(CredentialSet),
    /// They have expired, or there are none yet.
    Over,
}

impl Kept {
    pub(super) fn new(lookup: Lookup) -> Self {
        let looking = Arc::default();
        Self(Arc::new(Inner { lookup, current: Mutex::default(), looking }))
    }

    pub(super) fn lookup(&self) -> &Lookup {
        &self.0.lookup
    }

    /// The credentials as they are now: those of the environment and of files are read again.
    pub(super) async fn find(&self) -> Result<CredentialSet, CredentialsError> {
        match self.0.lookup.find()? {
            Some(Found::Set(set)) => {
                let current = Current { set: set.clone(), expires: None, renew_at: None };
                *self.0.current.lock() = Some(current);
                Ok(set)
            }
            Some(Found::Role(_)) | None => {
                let _looking = self.0.looking.lock().await;
                match self.state() {
                    State::Good(set) | State::Ending(set) => Ok(set),
                    State::Over => self.look().await,
                }
            }
        }
    }

    /// Looks for others and keeps them.
    async fn look(&self) -> Result<CredentialSet, CredentialsError> {
        let found = look(&self.0.lookup).await?;
        Ok(self.0.current.lock().insert(found).set.clone())
    }

    fn state(&self) -> State {
        let now = Timestamp::now();
        let is_before = |time: Option<Timestamp>| time.is_none_or(|time| now < time);
        match &*self.0.current.lock() {
            Some(current) if !is_before(current.expires) => State::Over,
            Some(current) if !is_before(current.renew_at) => State::Ending(current.set.clone()),
            Some(current) => State::Good(current.set.clone()),
            None => State::Over,
        }
    }

    /// Renews what is still good while it is used.
    fn renew_behind(&self) {
        let Ok(looking) = Arc::clone(&self.0.looking).try_lock_owned() else { return };
        let kept = self.clone();
        tokio::spawn(async move {
            let _looking = looking;
            if !matches!(kept.state(), State::Ending(_)) {
                return;
            }
            let found = look(&kept.0.lookup).await;
            let mut current = kept.0.current.lock();
            match found {
                Ok(found) => *current = Some(found),
                Err(error) => {
                    warn(&error, "credentials that expire soon could not be renewed");
                    if let Some(current) = &mut *current {
                        current.renew_at = Some(Timestamp::now() + RENEW_PAUSE);
                    }
                }
            }
        });
    }
}

#[async_trait]
impl CredentialSource for Kept {
    async fn credentials(&self) -> Result<Credentials, Unavailable> {
        match self.state() {
            State::Good(set) => return Ok(set.credentials().clone()),
            State::Ending(set) => {
                self.renew_behind();
                return Ok(set.credentials().clone());
            }
            State::Over => {}
        }
        let began = Instant::now();
        let mut failed = self.0.looking.lock().await;
        if let State::Good(set) | State::Ending(set) = self.state() {
            return Ok(set.credentials().clone());
        }
        if let Some(failure) = failed.as_ref().filter(|failure| failure.answers(began)) {
            return Err(failure.why.clone());
        }
        match self.look().await {
            Ok(set) => Ok(set.credentials().clone()),
            Err(error) => Err(note(&mut failed, error)),
        }
    }

    async fn renewed(&self, used: &Credentials) -> Option<Credentials> {
        let began = Instant::now();
        let mut failed = self.0.looking.lock().await;
        let other = || {
            let current = self.0.current.lock();
            let credentials = current.as_ref()?.set.credentials();
            (credentials != used).then(|| credentials.clone())
        };
        if let Some(other) = other() {
            return Some(other);
        }
        if failed.as_ref().is_some_and(|failure| failure.answers(began)) {
            return None;
        }
        if let Err(error) = self.look().await {
            warn(&error, "expired credentials could not be renewed");
            note(&mut failed, error);
        }
        other()
    }
}

/// Notes that there are no others.
fn note(failed: &mut Option<Failure>, error: CredentialsError) -> Unavailable {
    let is_passing = error.is_passing();
    let why = Unavailable::new(error, is_passing);
    *failed = Some(Failure { at: Instant::now(), why: why.clone() });
    why
}

fn warn(error: &CredentialsError, what: &'static str) {
    tracing::warn!(error = error as &dyn std::error::Error, "{what}");
}

/// Where credentials come from, in words.
pub(super) fn oidc_origin(role: &OidcRole) -> String {
    format!("the role {} (OIDC)", role.role_trn)
}

/// Looks for credentials, in the environment, in files, and at the services that give them to roles.
async fn look(lookup: &Lookup) -> Result<Current, CredentialsError> {
    match lookup.find()? {
        Some(Found::Set(set)) => Ok(Current { set, expires: None, renew_at: None }),
        Some(Found::Role(role)) => {
            let assumed = role.assume().await;
            of_role(&oidc_origin(&role), &role.role_trn, assumed)
        }
        None => {
            let role = lookup.ecs_role().ok_or(CredentialsError::NotFound)?;
            let EcsRole { name, metadata, .. } = &role;
            match (role.assume().await, name) {
                (assumed, Some(name)) => {
                    of_role(&format!("the role {name} of this ECS instance"), name, assumed)
                }
                // Most machines are no such instance.
                (Err(error), None) if metadata.is_none() && error.is_elsewhere() => {
                    Err(CredentialsError::NotFound)
                }
                (assumed, None) => {
                    of_role("the role of this ECS instance", "of this ECS instance", assumed)
                }
            }
        }
    }
}

fn of_role(
    origin: &str,
    name: &str,
    assumed: Result<Temporary, RoleError>,
) -> Result<Current, CredentialsError> {
    let failed = |source| CredentialsError::Role { role: name.to_owned(), source };
    let Temporary { credentials, expires } = assumed.map_err(failed)?;
    let soonest = Timestamp::now() + RENEW_PAUSE;
    let renew_at = expires.map(|time| (time - RENEW_BEFORE).max(soonest));
    // By a clock that is wrong they may seem to be over at once; whether they are is for the service to say.
    let expires = expires.map(|time| time.max(soonest));
    let set = CredentialSet::of(credentials, origin).checked()?;
    Ok(Current { set, expires, renew_at })
}
