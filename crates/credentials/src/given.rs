//! Credentials as the services of roles spell them.

use serde::Deserialize;

use crate::{Credentials, Temporary};

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct Given {
    access_key_id: String,
    secret_access_key: String,
    session_token: Option<String>,
    /// STS says `Expiration`, the metadata of an instance `ExpiredTime`.
    #[serde(alias = "ExpiredTime")]
    expiration: Option<String>,
}

impl Given {
    /// `Err` says what is wrong, and shows nothing of it.
    pub(crate) fn checked(self) -> Result<Temporary, &'static str> {
        let is_filled = |text: &String| !text.trim().is_empty();
        if !is_filled(&self.access_key_id) || !is_filled(&self.secret_access_key) {
            return Err("it holds no credentials");
        }
        let expires = match self.expiration.filter(is_filled).map(|time| time.trim().parse()) {
            Some(Err(_)) => return Err("when the credentials expire is no time"),
            Some(Ok(time)) => Some(time),
            None => None,
        };
        let token = self.session_token.filter(is_filled);
        let credentials = Credentials::new(&self.access_key_id, self.secret_access_key, token);
        Ok(Temporary { credentials, expires })
    }
}

#[cfg(test)]
mod tests {
    use secrecy::ExposeSecret;

    use super::*;

    fn checked(text: &str) -> Result<Temporary, &'static str> {
        serde_json::from_str::<Given>(text).unwrap().checked()
    }

    #[test]
    fn both_spellings_are_read_and_blanks_are_nothing() {
        let sts = r#"{"AccessKeyId": "a", "SecretAccessKey": "s", "SessionToken": "t",
            "Expiration": "2026-11-27T09:30:00+08:00", "CurrentTime": "x"}"#;
        let found = checked(sts).unwrap();
        assert_eq!(found.expires.unwrap().to_string(), "2026-11-27T01:30:00Z");
        assert_eq!(found.credentials.session_token().unwrap().expose_secret(), "t");
        let metadata = r#"{"AccessKeyId": "a", "SecretAccessKey": "s", "SessionToken": " ", "ExpiredTime": ""}"#;
        let found = checked(metadata).unwrap();
        assert!(found.expires.is_none() && found.credentials.session_token().is_none());
        for (text, words) in [
            (r#"{"AccessKeyId": " ", "SecretAccessKey": "s"}"#, "no credentials"),
            (r#"{"AccessKeyId": "a", "SecretAccessKey": ""}"#, "no credentials"),
            (r#"{"AccessKeyId": "a", "SecretAccessKey": "s", "ExpiredTime": "soon"}"#, "no time"),
        ] {
            assert!(checked(text).unwrap_err().contains(words), "{text}");
        }
    }
}
