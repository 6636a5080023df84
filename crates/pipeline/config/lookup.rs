//! Where the user's credentials are: the environment, and the files of the vendor's tools. All parts of a set
//! come from one place.

use viking_api::Site;
use viking_credentials::{EcsRole, OidcRole};

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

/// What is found without asking any service.
pub(super) enum Found {
    Set(CredentialSet),
    Role(OidcRole),
}

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
    /// The first in the order of the README; `None` leaves the role of the instance.
    pub(super) fn find(&self) -> Result<Option<Found>, CredentialsError> {
        if let Some(profile) = self.profile.as_ref().filter(|_| self.is_asked) {
            let path = profile_path(self.site).ok_or(CredentialsError::NoHome)?;
            let found = read_profile(&path, Some(profile))?;
            let profile = profile.clone();
            let found = found.ok_or(CredentialsError::NoProfileFile { path, profile })?;
            return Ok(Some(Found::Set(found)));
        }
        let names = match (self.site, self.purpose) {
            (Site::Volcengine, Purpose::Tos) => &[TOS, VOLCENGINE, VOLC][..],
            (Site::Volcengine, Purpose::Vikingdb) => &[VOLCENGINE, VOLC],
            (Site::BytePlus, Purpose::Tos) => &[TOS, BYTEPLUS, BYTEPLUS_OLD],
            (Site::BytePlus, Purpose::Vikingdb) => &[BYTEPLUS, BYTEPLUS_OLD],
        };
        for names in names {
            if let Some(found) = from_environment(*names)? {
                return Ok(Some(Found::Set(found)));
            }
        }
        let is_volcengine = self.site == Site::Volcengine;
        let role = if is_volcengine { oidc_role() } else { Ok(None) };
        if let Ok(Some(role)) = role {
            return Ok(Some(Found::Role(role)));
        }
        match self.in_files(is_volcengine)? {
            Some(set) => Ok(Some(Found::Set(set))),
            // Half a role is an error where there is nothing else.
            None => role.map(|_| None),
        }
    }

    fn in_files(&self, is_volcengine: bool) -> Result<Option<CredentialSet>, CredentialsError> {
        let profile = if is_volcengine { "VOLCENGINE_PROFILE" } else { "BYTEPLUS_PROFILE" };
        let profile = self.profile.clone().or_else(|| variable(profile));
        if let Some(path) = profile_path(self.site)
            && let Some(found) = read_profile(&path, profile.as_deref())?
        {
            return Ok(Some(found));
        }
        if !is_volcengine {
            return Ok(None);
        }
        match read_volc()? {
            None => read_tos(),
            found => Ok(found),
        }
    }

    /// The role of the instance that this may be, unless nobody wants to know.
    pub(super) fn ecs_role(&self) -> Option<EcsRole> {
        let is_off = variable("VOLCENGINE_ECS_METADATA_DISABLED")
            .is_some_and(|value| value.eq_ignore_ascii_case("true"));
        let is_wanted = self.site == Site::Volcengine && !self.is_asked && !is_off;
        is_wanted.then(|| {
            EcsRole::default()
                .with_name(variable("VOLCENGINE_ECS_METADATA"))
                .with_metadata(variable("VIKING_EXPORT_ECS_ENDPOINT"))
        })
    }
}

/// Where the user has an account: at `BytePlus` if there are credentials of it and none of Volcengine. `profile` is
/// looked for first, if it is asked for.
pub fn site_of_credentials(profile: Option<&str>) -> Site {
    let has = |site| {
        let (profile, is_asked) = (profile.map(str::to_owned), profile.is_some());
        Lookup { site, purpose: Purpose::Vikingdb, profile, is_asked }
            .find()
            .is_ok_and(|found| found.is_some())
    };
    if !has(Site::Volcengine) && has(Site::BytePlus) { Site::BytePlus } else { Site::Volcengine }
}

/// The role that the environment names, as the SDKs read it.
fn oidc_role() -> Result<Option<OidcRole>, CredentialsError> {
    const ROLE: &str = "VOLCENGINE_OIDC_ROLE_TRN";
    const FILE: &str = "VOLCENGINE_OIDC_TOKEN_FILE";
    let (role, file) = match (variable(ROLE), variable(FILE)) {
        (Some(role), Some(file)) => (role, file),
        (None, None) => return Ok(None),
        (Some(_), None) => return Err(CredentialsError::Incomplete { set: ROLE, missing: FILE }),
        (None, Some(_)) => return Err(CredentialsError::Incomplete { set: FILE, missing: ROLE }),
    };
    let mut role = OidcRole::new(role, file)
        .with_policy(variable("VOLCENGINE_OIDC_ROLE_POLICY"))
        .with_sts_endpoint(variable("VOLCENGINE_OIDC_STS_ENDPOINT"));
    if let Some(name) = variable("VOLCENGINE_OIDC_ROLE_SESSION_NAME") {
        role = role.with_session_name(name);
    }
    Ok(Some(role))
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
