//! The files in which the vendor's tools keep keys.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use serde_json::Value;
use viking_api::Site;

use super::credentials::CredentialSet;
use super::environment::{variable, without_bom};
#[cfg(any(test, fuzzing))]
use super::tos_files::read_file;
use crate::error::{CredentialsError, Result};

/// The file of `ve` and the V2 SDK family, and that of the SDKs of `BytePlus`, which has the same form.
pub(super) fn profile_path(site: Site) -> Option<PathBuf> {
    let (named, usual) = match site {
        Site::Volcengine => ("VOLCENGINE_CLI_CONFIG_FILE", ".volcengine/config.json"),
        Site::BytePlus => ("BYTEPLUS_CLI_CONFIG_FILE", ".byteplus/config.json"),
    };
    match variable(named) {
        Some(path) => Some(PathBuf::from(path)),
        None => home().map(|home| home.join(usual)),
    }
}

pub(super) fn home() -> Option<PathBuf> {
    variable("HOME").or_else(|| variable("USERPROFILE")).map(PathBuf::from)
}

/// A profile of `ve`: the one asked for, the file's current one, or `default`.
pub(super) fn read_profile(
    path: &Path,
    asked: Option<&str>,
) -> Result<Option<CredentialSet>, CredentialsError> {
    let Some(text) = read(path)? else { return Ok(None) };
    let bad = |problem: String| CredentialsError::Profile { path: path.to_owned(), problem };
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
        // A secret that went to the wrong line is not shown: names of modes are words.
        let is_word = mode.len() <= 20 && mode.chars().all(|letter| letter.is_ascii_alphabetic());
        let shown = if is_word { format!("the mode {mode}") } else { "a mode".to_owned() };
        return Err(bad(format!(
            "profile {name:?} has {shown} that is not known here; known are AK and StsToken"
        )));
    }
    let (Some(access_key), Some(secret_key)) = (part("access-key"), part("secret-key")) else {
        return Err(bad(format!("profile {name:?} lacks its access-key or secret-key")));
    };
    let origin = format!("{}, profile {name}", path.display());
    found_in(path, CredentialSet::new(access_key, secret_key, part("session-token"), &origin))
}

/// The files of the V1 SDK in `~/.volc`: `credentials` as INI, then `config` as JSON.
pub(super) fn read_volc() -> Result<Option<CredentialSet>, CredentialsError> {
    let Some(folder) = home().map(|home| home.join(".volc")) else { return Ok(None) };
    match read_volc_ini(&folder.join("credentials"))? {
        None => read_volc_json(&folder.join("config")),
        found => Ok(found),
    }
}

fn read_volc_ini(path: &Path) -> Result<Option<CredentialSet>, CredentialsError> {
    let Some(text) = read(path)? else { return Ok(None) };
    let bad = |problem| CredentialsError::KeyFile { path: path.to_owned(), problem };
    let mut ini = configparser::ini::Ini::new();
    ini.read(text).map_err(|_| bad("it is not a valid INI file"))?;
    let (access, secret) =
        (ini.get("default", "access_key_id"), ini.get("default", "secret_access_key"));
    let (Some(access), Some(secret)) = (access, secret) else {
        return Err(bad("[default] lacks access_key_id or secret_access_key"));
    };
    found_in(path, CredentialSet::new(&access, &secret, None, &path.display().to_string()))
}

fn read_volc_json(path: &Path) -> Result<Option<CredentialSet>, CredentialsError> {
    let Some(text) = read(path)? else { return Ok(None) };
    let bad = |problem| CredentialsError::KeyFile { path: path.to_owned(), problem };
    let config: Value = serde_json::from_str(&text).map_err(|_| bad("it is not valid JSON"))?;
    let (Some(access), Some(secret)) = (config["ak"].as_str(), config["sk"].as_str()) else {
        return Err(bad("it lacks ak or sk"));
    };
    found_in(path, CredentialSet::new(access, secret, None, &path.display().to_string()))
}

/// Reads a file in each of the forms.
#[cfg(any(test, fuzzing))]
pub(crate) fn read_any(path: &Path) -> [Result<Option<CredentialSet>, CredentialsError>; 5] {
    [
        read_profile(path, None),
        read_profile(path, Some("other")),
        read_volc_ini(path),
        read_volc_json(path),
        read_file(path, "default", path),
    ]
}

pub(super) fn found_in(
    path: &Path,
    found: CredentialSet,
) -> Result<Option<CredentialSet>, CredentialsError> {
    Ok(Some(found.checked()?.open_in(open_to_others(path))))
}

/// A file's text, or nothing if there is no such file.
pub(super) fn read(path: &Path) -> Result<Option<String>, CredentialsError> {
    match fs::read_to_string(path) {
        Ok(text) => Ok(Some(without_bom(&text).to_owned())),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(source) => Err(CredentialsError::Read { path: path.to_owned(), source }),
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
