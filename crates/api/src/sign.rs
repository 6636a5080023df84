//! Volcengine's request signature, a close relative of AWS Signature Version 4.
//!
//! Differences to AWS: the label is `HMAC-SHA256`, the scope ends in `request`, the secret is
//! used as it is, and the headers are `X-Date`, `X-Content-Sha256` and `X-Security-Token`.
//! Sources: the vendor's pages 6469/1121980 and 6971/174333, and `SignerV4.py` of the official
//! Python SDK 1.0.229, whose output the tests compare with byte by byte.

use hmac::{Hmac, KeyInit, Mac};
use jiff::Timestamp;
use secrecy::ExposeSecret;
use sha2::{Digest, Sha256};

use viking_credentials::Credentials;

const ALGORITHM: &str = "HMAC-SHA256";

/// What of a request goes into its signature.
#[derive(Debug, Clone, Copy)]
pub struct Request<'a> {
    /// The method in capitals.
    pub method: &'a str,
    /// The path, not percent-encoded; empty means `/`.
    pub path: &'a str,
    /// Query pairs, not percent-encoded.
    pub query: &'a [(&'a str, &'a str)],
    /// Headers to be sent, `Host` included. Of these `Content-Type`, `Content-Md5`, `Host` and
    /// `X-*` are signed.
    pub headers: &'a [(&'a str, &'a str)],
    /// The exact bytes of the body.
    pub body: &'a [u8],
}

/// Region and service of the credential scope.
#[derive(Debug, Clone, Copy)]
pub struct Scope<'a> {
    /// For example `cn-beijing`.
    pub region: &'a str,
    /// `air` for V1 of VikingDB, `vikingdb` for V2.
    pub service: &'a str,
}

/// Returns the headers to add to the request so that it is signed at the time `at`.
pub fn sign(
    request: &Request<'_>,
    credentials: &Credentials,
    scope: Scope<'_>,
    at: Timestamp,
) -> Vec<(&'static str, String)> {
    let date_time = at.strftime("%Y%m%dT%H%M%SZ").to_string();
    let body_hash = sha256_hex(request.body);
    let mut added = vec![("X-Date", date_time), ("X-Content-Sha256", body_hash)];
    if let Some(token) = credentials.session_token() {
        added.push(("X-Security-Token", token.expose_secret().to_owned()));
    }
    let authorization = authorization(request, credentials, scope, &added);
    added.push(("Authorization", authorization));
    added
}

fn authorization(
    request: &Request<'_>,
    credentials: &Credentials,
    scope: Scope<'_>,
    added: &[(&'static str, String)],
) -> String {
    let (date_time, body_hash) = (added[0].1.as_str(), added[1].1.as_str());
    let date = &date_time[..8];
    let headers = signed_headers(request, added);
    let names: Vec<&str> = headers.iter().map(|(name, _)| name.as_str()).collect();
    let names = names.join(";");
    let lines: String = headers.iter().map(|(name, value)| format!("{name}:{value}\n")).collect();
    let canonical = [
        request.method,
        &canonical_path(request.path),
        &canonical_query(request.query),
        &lines,
        &names,
        body_hash,
    ]
    .join("\n");
    let credential_scope = format!("{date}/{}/{}/request", scope.region, scope.service);
    let hash = sha256_hex(canonical.as_bytes());
    let to_sign = [ALGORITHM, date_time, &credential_scope, &hash].join("\n");
    let mut key = hmac(credentials.secret_key().expose_secret().as_bytes(), date.as_bytes());
    for part in [scope.region, scope.service, "request"] {
        key = hmac(&key, part.as_bytes());
    }
    let signature = hex::encode(hmac(&key, to_sign.as_bytes()));
    let access_key = credentials.access_key();
    format!(
        "{ALGORITHM} Credential={access_key}/{credential_scope}, SignedHeaders={names}, Signature={signature}"
    )
}

/// Lower-cased names with their values, sorted by name.
fn signed_headers(
    request: &Request<'_>,
    added: &[(&'static str, String)],
) -> Vec<(String, String)> {
    let given = request.headers.iter().copied();
    let added = added.iter().map(|(name, value)| (*name, value.as_str()));
    let mut headers: Vec<(String, String)> = given
        .chain(added)
        .filter(|(name, _)| is_signed(name))
        .map(|(name, value)| {
            let name = name.to_ascii_lowercase();
            let value = if name == "host" { without_default_port(value) } else { value };
            (name, value.to_owned())
        })
        .collect();
    headers.sort();
    headers
}

/// As the vendor's signer has it: a capital `X-`, and three more in any spelling.
fn is_signed(name: &str) -> bool {
    let always = ["content-md5", "content-type", "host"];
    name.starts_with("X-") || always.iter().any(|always| name.eq_ignore_ascii_case(always))
}

fn without_default_port(host: &str) -> &str {
    host.strip_suffix(":80").or_else(|| host.strip_suffix(":443")).unwrap_or(host)
}

fn canonical_path(path: &str) -> String {
    if path.is_empty() { "/".to_owned() } else { percent_encode(path, b"/") }
}

/// Sorted by key; repeated keys keep their order, as in the vendor's signer.
pub(crate) fn canonical_query(query: &[(&str, &str)]) -> String {
    let mut sorted = query.to_vec();
    sorted.sort_by_key(|(key, _)| *key);
    let pairs = sorted
        .iter()
        .map(|(key, value)| format!("{}={}", percent_encode(key, b""), percent_encode(value, b"")));
    pairs.collect::<Vec<_>>().join("&")
}

/// Encodes every byte but the unreserved ones of RFC 3986 and those in `also_plain`.
fn percent_encode(text: &str, also_plain: &[u8]) -> String {
    let mut encoded = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-_.~".contains(&byte) || also_plain.contains(&byte) {
            encoded.push(char::from(byte));
        } else {
            encoded.push('%');
            encoded.push_str(&hex::encode_upper([byte]));
        }
    }
    encoded
}

fn sha256_hex(bytes: &[u8]) -> String {
    hex::encode(Sha256::digest(bytes))
}

fn hmac(key: &[u8], message: &[u8]) -> [u8; 32] {
    #[expect(clippy::expect_used, reason = "HMAC takes keys of any length")]
    let mut mac = Hmac::<Sha256>::new_from_slice(key).expect("HMAC takes keys of any length");
    mac.update(message);
    mac.finalize().into_bytes().into()
}
