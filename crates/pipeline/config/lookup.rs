//! Where the user's credentials are: the environment, and the files of the vendor's tools. All parts of a set
//! come from one place.

use viking_api::{CredentialSource, Credentials, Site};
use viking_fetch::{KeySource, Keys};

use super::credentials::{CredentialSet, Purpose};
use super::environment::variable;
use super::key_files::{profile_path, read_profile, read_volc};
use super::tos_files::read_tos;
use crate::error::{CredentialsError, Result};

/// Names of one set in the environment: access key, secret key, session token.
type Names = (&'static str, &'static str, Option<&'static str>);

/// The V2 SDK family and the `ve` command line.
const VOLCENGINE: Names =
    ("VOLCENGINE_ACCESS_KEY", "VOLCENGINE_SECRET_KEY", Some("VOLCENGINE_SESSION_TOKEN"));
/// The V1 SDK.
const VOLC: Names = ("VOLC_ACCESSKEY", "VOLC_SECRETKEY", None);
/// The SDKs of `BytePlus`, in both spellings.
const BYTEPLUS: Names =
    ("BYTEPLUS_ACCESS_KEY", "BYTEPLUS_SECRET_KEY", Some("BYTEPLUS_SESSION_TOKEN"));
const BYTEPLUS_OLD: Names =
    ("BYTEPLUS_ACCESSKEY", "BYTEPLUS_SECRETKEY", Some("BYTEPLUS_SESSION_TOKEN"));
/// The TOS SDKs, for the download alone.
const TOS: Names = ("TOS_ACCESS_KEY", "TOS_SECRET_KEY", Some("TOS_SECURITY_TOKEN"));

/// Looks for credentials, anew each time it is asked.
#[derive(Debug, Clone)]
pub(super) struct Lookup {
    /// Whose they are.
    pub(super) site: Site,
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
            let path = profile_path(self.site).ok_or(CredentialsError::NoHome)?;
            let found = read_profile(&path, Some(profile))?;
            let profile = profile.clone();
            return found.ok_or(CredentialsError::NoProfileFile { path, profile });
        }
        let names = match (self.site, self.purpose) {
            (Site::Volcengine, Purpose::Tos) => &[TOS, VOLCENGINE, VOLC][..],
            (Site::Volcengine, Purpose::Vikingdb) => &[VOLCENGINE, VOLC],
            (Site::BytePlus, Purpose::Tos) => &[TOS, BYTEPLUS, BYTEPLUS_OLD],
            (Site::BytePlus, Purpose::Vikingdb) => &[BYTEPLUS, BYTEPLUS_OLD],
        };
        for names in names {
            if let Some(found) = from_environment(*names)? {
                return Ok(found);
            }
        }
        let profile = match self.site {
            Site::Volcengine => "VOLCENGINE_PROFILE",
            Site::BytePlus => "BYTEPLUS_PROFILE",
        };
        let profile = self.profile.clone().or_else(|| variable(profile));
        if let Some(path) = profile_path(self.site)
            && let Some(found) = read_profile(&path, profile.as_deref())?
        {
            return Ok(found);
        }
        match self.site {
            Site::Volcengine => match read_volc()? {
                Some(found) => Ok(found),
                None => read_tos()?.ok_or(CredentialsError::NotFound),
            },
            Site::BytePlus => Err(CredentialsError::NotFound),
        }
    }
}

/// Where the user has an account: at `BytePlus` if there are credentials of it and none of Volcengine. `profile` is
/// looked for first, if it is asked for.
pub fn site_of_credentials(profile: Option<&str>) -> Site {
    let has = |site| {
        let (profile, is_asked) = (profile.map(str::to_owned), profile.is_some());
        Lookup { site, purpose: Purpose::Vikingdb, profile, is_asked }.find().is_ok()
    };
    if !has(Site::Volcengine) && has(Site::BytePlus) { Site::BytePlus } else { Site::Volcengine }
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
