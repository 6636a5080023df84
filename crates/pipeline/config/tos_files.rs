//! The files of `ve-tos-cli`, in which secrets may be encrypted. Source: its repository
//! `volcengine/ve-storage-uni-cli`, version 1.0.2, `crates/tos-core/src/infra/{config,crypto}.rs`, and its README.

use std::fs;
use std::path::{Path, PathBuf};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use ring::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use toml::{Table, Value};

use super::credentials::CredentialSet;
use super::environment::variable;
use super::key_files::{found_in, home, read};
use crate::error::{CredentialsError, Result};

/// Encrypted values begin so.
const ENCRYPTED: &str = "ENC:";

/// Where a later version keeps credentials alone, and where settings are, with credentials of the first version.
pub(super) fn read_tos() -> Result<Option<CredentialSet>, CredentialsError> {
    let path = |name: &str| variable(name).map(PathBuf::from);
    let config = match (path("TOS_CONFIG_PATH"), home()) {
        (Some(config), _) => config,
        (None, Some(home)) => home.join(".tos/config.toml"),
        (None, None) => return Ok(None),
    };
    let folder = config.parent().unwrap_or(Path::new("")).to_owned();
    let alone = path("TOS_CREDENTIALS_PATH").unwrap_or_else(|| folder.join("credentials.toml"));
    let profile = variable("TOS_PROFILE").unwrap_or_else(|| "default".to_owned());
    for path in [alone, config] {
        if let Some(found) = read_file(&path, &profile, &folder.join(".key"))? {
            return Ok(Some(found));
        }
    }
    Ok(None)
}

/// The credentials of a profile in one of the files. Each of its parts is looked for in the table for this cloud, then
/// among those that all clouds share.
pub(super) fn read_file(
    path: &Path,
    profile: &str,
    key: &Path,
) -> Result<Option<CredentialSet>, CredentialsError> {
    let Some(text) = read(path)? else { return Ok(None) };
    let bad = |problem| CredentialsError::KeyFile { path: path.to_owned(), problem };
    // The parser's quotes of the text may not be shown: it holds secrets.
    let file: Table = text.parse().map_err(|_| bad("it is not valid TOML"))?;
    let Some(shared) = file.get(profile).and_then(Value::as_table) else { return Ok(None) };
    let tables = [shared.get("ve-tos").and_then(Value::as_table), Some(shared)];
    let part = |name: &str| -> Result<Option<String>, CredentialsError> {
        let values = tables.iter().flatten().filter_map(|table| table.get(name)?.as_str());
        match values.map(str::trim).find(|value| is_filled_in(value)) {
            Some(value) => match value.strip_prefix(ENCRYPTED) {
                Some(encrypted) => decrypt(encrypted, key).map(Some),
                None => Ok(Some(value.to_owned())),
            },
            None => Ok(None),
        }
    };
    let (access, secret) = match (part("access_key_id")?, part("secret_access_key")?) {
        (Some(access), Some(secret)) => (access, secret),
        (None, None) => return Ok(None),
        _ => return Err(bad("a profile lacks its access_key_id or secret_access_key")),
    };
    let token = part("security_token")?;
    let origin = format!("{}, profile {profile}", path.display());
    found_in(path, CredentialSet::new(&access, &secret, token.as_deref(), &origin))
}

/// `ve-tos-cli config init` writes `<YOUR_ACCESS_KEY_ID>` and the like where users are to write their own.
fn is_filled_in(value: &str) -> bool {
    let is_template = value.starts_with('<') && value.ends_with('>');
    !value.is_empty() && !is_template
}

/// AES-256-GCM with the key in a file of its own; the text is base64 of nonce, encrypted bytes and tag.
fn decrypt(text: &str, key_path: &Path) -> Result<String, CredentialsError> {
    let bad = |problem| CredentialsError::KeyFile { path: key_path.to_owned(), problem };
    let key = match fs::read(key_path) {
        Ok(key) => key,
        Err(source) => return Err(CredentialsError::Read { path: key_path.to_owned(), source }),
    };
    let key = UnboundKey::new(&AES_256_GCM, &key).map_err(|_| bad("it is no key of 32 bytes"))?;
    let wrong = || bad("it does not decrypt the credentials beside it");
    let mut bytes = STANDARD.decode(text).map_err(|_| wrong())?;
    let (nonce, encrypted) = bytes.split_at_mut_checked(NONCE_LEN).ok_or_else(wrong)?;
    let nonce = Nonce::try_assume_unique_for_key(nonce).map_err(|_| wrong())?;
    let plain = LessSafeKey::new(key).open_in_place(nonce, Aad::empty(), encrypted);
    let plain = plain.map_err(|_| wrong())?;
    Ok(std::str::from_utf8(plain).map_err(|_| wrong())?.to_owned())
}

#[cfg(test)]
mod tests {
    use secrecy::ExposeSecret;

    use super::*;

    /// Made with the package `cryptography` of Python: key of bytes 0 to 31, nonce of bytes 1 to 12.
    const KEY_ID: &str = "ENC:AQIDBAUGBwgJCgsMRKEWgcHxnuU+2xMzdXfHQSYIrsPalLKRmsEK0aW4Jyku";
    const SECRET: &str = "ENC:AQIDBAUGBwgJCgsMbZ8pvYThg+4EXErmH5YpFP/JJgYu7Jfo";

    fn read(text: &str, key: &[u8]) -> Result<Option<CredentialSet>, CredentialsError> {
        let place = tempfile::tempdir().unwrap();
        let (file, key_file) = (place.path().join("config.toml"), place.path().join(".key"));
        fs::write(&file, text).unwrap();
        fs::write(&key_file, key).unwrap();
        read_file(&file, "default", &key_file)
    }

    #[test]
    fn encrypted_credentials_are_read_with_the_key_beside_them() {
        let key: Vec<u8> = (0..32).collect();
        let text = format!(
            "[default]\nregion = \"cn-beijing\"\naccess_key_id = \"other\"\nsecret_access_key = \"x\"\n\
             [default.ve-tos]\naccess_key_id = \"{KEY_ID}\"\nsecret_access_key = \"{SECRET}\"\n"
        );
        let found = read(&text, &key).unwrap().unwrap();
        assert_eq!(found.masked(), "AKLT-enc…");
        assert_eq!(found.credentials().access_key(), "AKLT-encrypted-id");
        assert_eq!(found.credentials().secret_key().expose_secret(), "hushhush");
        assert!(found.credentials().session_token().is_none());
        let wrong = read(&text, &[7; 32]).unwrap_err().to_string();
        assert!(wrong.contains("does not decrypt") && !wrong.contains(SECRET), "{wrong}");
        let short = read(&text, &[7; 31]).unwrap_err().to_string();
        assert!(short.contains("no key of 32 bytes"), "{short}");
        let cut = text.replace(SECRET, "ENC:AAAA");
        assert!(read(&cut, &key).is_err());
    }

    #[test]
    fn plain_credentials_are_read_and_other_files_are_named_or_passed_over() {
        let plain = "[default]\naccess_key_id = \"AKLT\"\nsecret_access_key = \"hush\"\nsecurity_token = \"t\"\n";
        assert!(read(plain, &[]).unwrap().unwrap().is_temporary());
        assert!(read("[default]\nregion = \"cn-beijing\"\n", &[]).unwrap().is_none());
        assert!(read("[other]\naccess_key_id = \"AKLT\"\n", &[]).unwrap().is_none());
        let template = "[default]\naccess_key_id = \"<YOUR_ACCESS_KEY_ID>\"\n\
             secret_access_key = \"<YOUR_SECRET_ACCESS_KEY>\"\n[default.ve-tos]\naccess_key_id = \"\"\n";
        assert!(read(template, &[]).unwrap().is_none());
        let shared = plain.to_owned()
            + "[default.ve-tos]\naccess_key_id = \" \"\nsecret_access_key = \"own\"\n";
        let found = read(&shared, &[]).unwrap().unwrap();
        assert_eq!(found.credentials().access_key(), "AKLT");
        assert_eq!(found.credentials().secret_key().expose_secret(), "own");
        assert_eq!(found.credentials().session_token().unwrap().expose_secret(), "t");
        for text in ["[default]\naccess_key_id = \"hush", "[default]\naccess_key_id = \"hush\"\n"] {
            let error = read(text, &[]).unwrap_err().to_string();
            assert!(error.contains("config.toml") && !error.contains("hush"), "{error}");
        }
    }
}
