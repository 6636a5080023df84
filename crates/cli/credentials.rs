//! Where the user's keys are: the environment, and the files of the vendor's tools. All parts of a set come
//! from one place.

use std::fmt;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use serde_json::Value;
use viking_api::{CredentialSource, Credentials};
use viking_fetch::{KeySource, Keys};

use crate::environment::{variable, without_bom};
use crate::exit::{Exit, Failure, Outcome};

/// Names of one set of keys in the environment: access key, secret key, session token.
type Names = (&'static str, &'static str, Option<&'static str>);

/// The V2 SDK family and the `ve` command line.
const VOLCENGINE: Names =
    ("VOLCENGINE_ACCESS_KEY", "VOLCENGINE_SECRET_KEY", Some("VOLCENGINE_SESSION_TOKEN"));
/// The V1 SDK.
const VOLC: Names = ("VOLC_ACCESSKEY", "VOLC_SECRETKEY", None);
/// The TOS SDKs, for the download alone.
const TOS: Names = ("TOS_ACCESS_KEY", "TOS_SECRET_KEY", Some("TOS_SECURITY_TOKEN"));

/// A set of keys; `Debug` masks it.
#[derive(Clone)]
pub(crate) struct KeySet {
    pub(crate) access_key: String,
    secret_key: String,
    session_token: Option<String>,
    /// Where it was found, in words.
    pub(crate) origin: String,
    /// A file of keys that others may read.
    pub(crate) open_file: Option<PathBuf>,
}

impl KeySet {
    pub(crate) fn new(
        access_key: &str,
        secret_key: &str,
        token: Option<&str>,
        origin: &str,
    ) -> Self {
        Self {
            access_key: access_key.trim().to_owned(),
            secret_key: secret_key.trim().to_owned(),
            session_token: token.map(|token| token.trim().to_owned()),
            origin: origin.to_owned(),
            open_file: None,
        }
    }

    /// Refuses what no key can have inside: a line end in the middle is a sign of two values in one.
    fn checked(self) -> Outcome<Self> {
        let token = self.session_token.as_deref().unwrap_or_default();
        let parts = [self.access_key.as_str(), &self.secret_key, token];
        if parts.iter().any(|part| part.chars().any(char::is_control)) {
            let text = format!("a key of {} has a control character inside", self.origin);
            return Err(Failure::say(Exit::Usage, text).hint("set each part to one line of text"));
        }
        Ok(self)
    }

    /// The keys for VikingDB.
    pub(crate) fn credentials(&self) -> Credentials {
        let (secret_key, token) = (self.secret_key.clone(), self.session_token.clone());
        Credentials::new(&self.access_key, secret_key, token)
    }

    /// The keys for TOS.
    pub(crate) fn keys(&self) -> Keys {
        let (secret_key, token) = (self.secret_key.clone(), self.session_token.clone());
        Keys::new(&self.access_key, secret_key, token)
    }

    /// Whether they end by themselves.
    pub(crate) fn is_temporary(&self) -> bool {
        self.session_token.is_some()
    }

    /// As much of the access key as tells it from others.
    pub(crate) fn masked(&self) -> String {
        let shown: String = self.access_key.chars().take(8).collect();
        format!("{shown}…")
    }
}

impl fmt::Debug for KeySet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KeySet").field("access_key", &self.access_key).finish_non_exhaustive()
    }
}

/// What keys are for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Purpose {
    Tos,
    Vikingdb,
}

/// Looks for keys, anew each time it is asked.
#[derive(Debug, Clone)]
pub(crate) struct Chain {
    pub(crate) purpose: Purpose,
    /// The profile to take of the vendor's file.
    pub(crate) profile: Option<String>,
    /// It was asked for now, so the environment is not looked at.
    pub(crate) is_asked: bool,
}

impl Chain {
    /// The first set in the order of the README.
    pub(crate) fn find(&self) -> Outcome<KeySet> {
        if let Some(profile) = self.profile.as_ref().filter(|_| self.is_asked) {
            let path = config_path().ok_or_else(no_home)?;
            return match read_profile(&path, Some(profile))? {
                Some(keys) => Ok(keys),
                None => Err(Failure::say(
                    Exit::Denied,
                    format!("{} is not there, so there is no profile {profile:?}", path.display()),
                )),
            };
        }
        let names = match self.purpose {
            Purpose::Tos => &[TOS, VOLCENGINE, VOLC][..],
            Purpose::Vikingdb => &[VOLCENGINE, VOLC],
        };
        for names in names {
            if let Some(keys) = from_environment(*names)? {
                return Ok(keys);
            }
        }
        if let Some(path) = config_path()
            && let Some(keys) = read_profile(&path, self.fallback_profile().as_deref())?
        {
            return Ok(keys);
        }
        if let Some(home) = home()
            && let Some(keys) = read_volc(&home.join(".volc"))?
        {
            return Ok(keys);
        }
        let hint = "set VOLCENGINE_ACCESS_KEY and VOLCENGINE_SECRET_KEY, or log in with the vendor's `ve`; \
                    to try it without an account, add --embedded";
        Err(Failure::say(
            Exit::Denied,
            "no keys were found in the environment, ~/.volcengine/config.json or ~/.volc",
        )
        .hint(hint))
    }
}

impl Chain {
    /// The profile to take where the environment has no keys.
    fn fallback_profile(&self) -> Option<String> {
        self.profile.clone().or_else(|| variable("VOLCENGINE_PROFILE"))
    }
}

impl KeySource for Chain {
    fn keys(&self) -> Option<Keys> {
        self.find().ok().map(|keys| keys.keys())
    }
}

impl CredentialSource for Chain {
    fn credentials(&self) -> Option<Credentials> {
        self.find().ok().map(|keys| keys.credentials())
    }
}

fn from_environment((access, secret, token): Names) -> Outcome<Option<KeySet>> {
    match (variable(access), variable(secret)) {
        (Some(access_key), Some(secret_key)) => {
            let token = token.and_then(variable);
            let origin = format!("the environment ({access}, {secret})");
            KeySet::new(&access_key, &secret_key, token.as_deref(), &origin).checked().map(Some)
        }
        (None, None) => Ok(None),
        (Some(_), None) => {
            Err(Failure::say(Exit::Denied, format!("{access} is set, but {secret} is not"))
                .hint("set both, or neither: all parts of a key come from one place"))
        }
        (None, Some(_)) => {
            Err(Failure::say(Exit::Denied, format!("{secret} is set, but {access} is not"))
                .hint("set both, or neither: all parts of a key come from one place"))
        }
    }
}

/// The file of `ve` and the V2 SDK family.
fn config_path() -> Option<PathBuf> {
    match variable("VOLCENGINE_CLI_CONFIG_FILE") {
        Some(path) => Some(PathBuf::from(path)),
        None => home().map(|home| home.join(".volcengine/config.json")),
    }
}

pub(crate) fn home() -> Option<PathBuf> {
    variable("HOME").or_else(|| variable("USERPROFILE")).map(PathBuf::from)
}

fn no_home() -> Failure {
    Failure::say(Exit::Usage, "there is no home folder to look for a profile in")
}

/// A profile of `ve`: the one asked for, the file's current one, or `default`.
fn read_profile(path: &Path, asked: Option<&str>) -> Outcome<Option<KeySet>> {
    let Some(text) = read(path)? else { return Ok(None) };
    let bad = |problem: String| {
        Failure::say(Exit::Denied, format!("{}: {problem}", path.display()))
            .hint("write it anew with the vendor's `ve configure`, or set VOLCENGINE_ACCESS_KEY")
    };
    // Neither the text nor the parser's quotes of it may be shown: it holds secrets.
    let config: Value =
        serde_json::from_str(&text).map_err(|_| bad("it is not valid JSON".to_owned()))?;
    let name = asked.or(config["current"].as_str()).unwrap_or("default");
    let profile = &config["profiles"][name];
    if !profile.is_object() {
        return match asked {
            Some(_) => Err(bad(format!("it has no profile {name:?}"))),
            None => Ok(None),
        };
    }
    let part = |key: &str| profile[key].as_str().filter(|value| !value.trim().is_empty());
    let mode = part("mode").unwrap_or("AK");
    if !["ak", "ststoken"].contains(&mode.to_ascii_lowercase().as_str()) {
        return Err(bad(format!(
            "profile {name:?} has the mode {mode}; only AK and StsToken are known"
        )));
    }
    let (Some(access_key), Some(secret_key)) = (part("access-key"), part("secret-key")) else {
        return Err(bad(format!("profile {name:?} lacks its access-key or secret-key")));
    };
    let origin = format!("{}, profile {name}", path.display());
    let keys = KeySet::new(access_key, secret_key, part("session-token"), &origin);
    KeySet { open_file: open_to_others(path), ..keys }.checked().map(Some)
}

/// The files of the V1 SDK: `credentials` as INI, then `config` as JSON.
fn read_volc(folder: &Path) -> Outcome<Option<KeySet>> {
    let path = folder.join("credentials");
    if let Some(text) = read(&path)? {
        let mut ini = configparser::ini::Ini::new();
        let bad = |what: &str| Failure::say(Exit::Denied, format!("{}: {what}", path.display()));
        ini.read(text).map_err(|_| bad("it is not a valid INI file"))?;
        let (access, secret) =
            (ini.get("default", "access_key_id"), ini.get("default", "secret_access_key"));
        let (Some(access), Some(secret)) = (access, secret) else {
            return Err(bad("[default] lacks access_key_id or secret_access_key"));
        };
        let keys = KeySet::new(&access, &secret, None, &path.display().to_string());
        return KeySet { open_file: open_to_others(&path), ..keys }.checked().map(Some);
    }
    let path = folder.join("config");
    let Some(text) = read(&path)? else { return Ok(None) };
    let bad = |what: &str| Failure::say(Exit::Denied, format!("{}: {what}", path.display()));
    let config: Value = serde_json::from_str(&text).map_err(|_| bad("it is not valid JSON"))?;
    let (Some(access), Some(secret)) = (config["ak"].as_str(), config["sk"].as_str()) else {
        return Err(bad("it lacks ak or sk"));
    };
    let keys = KeySet::new(access, secret, None, &path.display().to_string());
    KeySet { open_file: open_to_others(&path), ..keys }.checked().map(Some)
}

/// A file's text, or nothing if there is no such file.
pub(crate) fn read(path: &Path) -> Outcome<Option<String>> {
    match fs::read_to_string(path) {
        Ok(text) => Ok(Some(without_bom(&text).to_owned())),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(Failure::new(
            Exit::Denied,
            anyhow::Error::new(error).context(format!("cannot read {}", path.display())),
        )),
    }
}

fn open_to_others(path: &Path) -> Option<PathBuf> {
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        let mode = fs::metadata(path).ok()?.permissions().mode();
        (mode & 0o077 != 0).then(|| path.to_owned())
    }
    #[cfg(not(unix))]
    {
        let _ = path;
        None
    }
}
