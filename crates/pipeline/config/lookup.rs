//! Where the user's credentials are: the environment, and the files of the vendor's tools. All parts of a set
//! come from one place.

use viking_api::{CredentialSource, Credentials};
use viking_fetch::{KeySource, Keys};

use super::credentials::{CredentialSet, Purpose};
use super::environment::variable;
use super::key_files::{profile_path, read_profile, read_volc};
use crate::error::{CredentialsError, Result};

/// Names of one set in the environment: access key, secret key, session token.
type Names = (&'static str, &'static str, Option<&'static str>);

/// The V2 SDK family and the `ve` command line.
const VOLCENGINE: Names =
    ("VOLCENGINE_ACCESS_KEY", "VOLCENGINE_SECRET_KEY", Some("VOLCENGINE_SESSION_TOKEN"));
/// The V1 SDK.
const VOLC: Names = ("VOLC_ACCESSKEY", "VOLC_SECRETKEY", None);
/// The TOS SDKs, for the download alone.
const TOS: Names = ("TOS_ACCESS_KEY", "TOS_SECRET_KEY", Some("TOS_SECURITY_TOKEN"));

/// Looks for credentials, anew each time it is asked.
#[derive(Debug, Clone)]
pub(super) struct Lookup {
    pub(super) purpose: Purpose,
    /// The profile to take of the vendor's file.
    pub(super) profile: Option<String>,
    /// It was asked for now, so the environment is not looked at.
    pub(super) is_asked: bool,
}

impl Lookup {
    /// The first set in the order of the README.
    pub(super) fn find(&self) -> Result<CredentialSet, CredentialsError> {
        if let Some(profile) = self.profile.as_ref().filter(|_| self.is_asked) {
            let path = profile_path().ok_or(CredentialsError::NoHome)?;
            let found = read_profile(&path, Some(profile))?;
            let profile = profile.clone();
            return found.ok_or(CredentialsError::NoProfileFile { path, profile });
        }
        let names = match self.purpose {
            Purpose::Tos => &[TOS, VOLCENGINE, VOLC][..],
            Purpose::Vikingdb => &[VOLCENGINE, VOLC],
        };
        for names in names {
            if let Some(found) = from_environment(*names)? {
                return Ok(found);
            }
        }
        let profile = self.profile.clone().or_else(|| variable("VOLCENGINE_PROFILE"));
        if let Some(path) = profile_path()
            && let Some(found) = read_profile(&path, profile.as_deref())?
        {
            return Ok(found);
        }
        read_volc()?.ok_or(CredentialsError::NotFound)
    }
}

impl KeySource for Lookup {
    fn keys(&self) -> Option<Keys> {
        self.find().ok().map(|found| found.keys())
    }
}

impl CredentialSource for Lookup {
    fn credentials(&self) -> Option<Credentials> {
        self.find().ok().map(|found| found.credentials())
    }
}

fn from_environment(
    (access, secret, token): Names,
) -> Result<Option<CredentialSet>, CredentialsError> {
    match (variable(access), variable(secret)) {
        (Some(access_key), Some(secret_key)) => {
            let token = token.and_then(variable);
            let origin = format!("the environment ({access}, {secret})");
            let found = CredentialSet::new(&access_key, &secret_key, token.as_deref(), &origin);
            found.checked().map(Some)
        }
        (None, None) => Ok(None),
        (Some(_), None) => Err(CredentialsError::Incomplete { set: access, missing: secret }),
        (None, Some(_)) => Err(CredentialsError::Incomplete { set: secret, missing: access }),
    }
}
