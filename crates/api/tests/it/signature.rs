//! Our signatures are the vendor's, byte by byte.

use jiff::tz::TimeZone;
use jiff::{Timestamp, civil};
use proptest::prelude::*;
use serde_json::Value;
use viking_api::sign::{Request, Scope, sign};
use viking_api::{Credentials, TosPath};
use viking_emulator::{Collections, Emulator, Options};

const VECTORS: &str = include_str!("../../../../fixtures/vectors/volc-signature.json");

/// Ours never sends a body without a content type, for which the vendor's signer puts one in.
const DOES_NOT_APPLY: [&str; 1] = ["post_without_content_type"];

fn vectors() -> Value {
    serde_json::from_str(VECTORS).unwrap()
}

fn pairs(value: &Value) -> Vec<(&str, &str)> {
    let pairs = value.as_array().unwrap().iter();
    pairs.map(|pair| (pair[0].as_str().unwrap(), pair[1].as_str().unwrap())).collect()
}

#[test]
fn every_vector_that_applies_gives_the_vendors_headers() {
    let vectors = vectors();
    let mut checked = 0;
    for vector in vectors["vectors"].as_array().unwrap() {
        let name = vector["name"].as_str().unwrap();
        if DOES_NOT_APPLY.contains(&name) {
            continue;
        }
        let input = &vector["input"];
        let text = |key: &str| input[key].as_str().unwrap_or_default();
        let (query, headers) = (pairs(&input["query"]), pairs(&input["headers"]));
        let request = Request {
            method: text("method"),
            path: text("path"),
            query: &query,
            headers: &headers,
            body: text("body_utf8").as_bytes(),
        };
        let token = input["session_token"].as_str().map(str::to_owned);
        let credentials =
            Credentials::new(text("access_key_id"), text("secret_access_key").to_owned(), token);
        let scope = Scope { region: text("region"), service: text("service") };
        let at = civil::DateTime::strptime("%Y%m%dT%H%M%SZ", text("date")).unwrap();
        let at = TimeZone::UTC.to_timestamp(at).unwrap();
        let added = sign(&request, &credentials, scope, at);
        let mut expected = pairs(&vector["expected"]["added_headers"]);
        let mut ours: Vec<_> = added.iter().map(|(name, value)| (*name, value.as_str())).collect();
        expected.sort_unstable();
        ours.sort_unstable();
        assert_eq!(ours, expected, "{name}");
        checked += 1;
    }
    assert_eq!(checked, 20);
}

#[test]
fn paths_in_object_storage_are_checked() {
    let path = |text: &str| TosPath::parse(text).map(|path| path.to_string());
    assert_eq!(path("tos://bucket/a/b/").unwrap(), "tos://bucket/a/b");
    assert_eq!(path("bucket/a").unwrap(), "tos://bucket/a");
    for bad in [
        "tos://bucket",
        "bucket/",
        "s3://bucket/a",
        "Bucket/a",
        "b/a",
        "bucket//a",
        "bucket/../a",
        "bucket/a\n",
    ] {
        assert!(path(bad).is_err(), "{bad}");
    }
}

/// A request as it goes over the wire.
#[derive(Debug, Clone)]
struct Wire {
    path: String,
    query: String,
    headers: Vec<(String, String)>,
    body: Vec<u8>,
}

/// Whether the service believes who sent it. What it is about does not matter here.
async fn is_believed(http: &reqwest::Client, url: &str, wire: &Wire) -> bool {
    let mut request =
        http.post(format!("{url}{}{}", wire.path, wire.query)).body(wire.body.clone());
    for (name, value) in &wire.headers {
        request = request.header(name, value);
    }
    let answer = request.send().await.unwrap().text().await.unwrap();
    ![
        "1000001",
        "SignatureDoesNotMatch",
        "InvalidAccessKey",
        "MissingRequestInfo",
        "InvalidTimestamp",
    ]
    .iter()
    .any(|code| answer.contains(code))
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, ..ProptestConfig::default() })]

    /// The service's check is written apart from our signer, and over the bytes that really arrive.
    #[test]
    fn any_request_verifies_and_a_changed_one_does_not(
        path in "/[a-zA-Z0-9_~-]{0,20}",
        is_v2 in any::<bool>(),
        body in proptest::collection::vec(any::<u8>(), 0..200),
        extra in "[ -~&&[^ ]]{1,20}",
        place in any::<prop::sample::Index>(),
        which in 0..4,
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let emulator = Emulator::start(Options::new(Collections::folder("none"))).await.unwrap();
            // A client of our own needs to be told.
            drop(rustls::crypto::ring::default_provider().install_default());
            let (ready, http) = (emulator.ready(), reqwest::Client::builder().no_proxy().build().unwrap());
            let host = ready.vikingdb.strip_prefix("http://").unwrap().to_owned();
            let query: &[(&str, &str)] =
                if is_v2 { &[("Action", "GetVikingdbTask"), ("Version", "2025-06-09")] } else { &[] };
            let headers = [("Content-Type", "application/json"), ("Host", &host), ("X-Extra", &extra)];
            let credentials = Credentials::new(&ready.access_key, ready.secret_key.clone(), None);
            let request = Request { method: "POST", path: &path, query, headers: &headers, body: &body };
            let service = if is_v2 { "vikingdb" } else { "air" };
            let added = sign(&request, &credentials, Scope { region: &ready.region, service }, Timestamp::now());
            let given = headers.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
            let added = added.into_iter().map(|(name, value)| (name.to_owned(), value));
            let query = if is_v2 { "?Action=GetVikingdbTask&Version=2025-06-09" } else { "" };
            let wire = Wire { path, query: query.to_owned(), headers: given.chain(added).collect(), body };
            assert!(is_believed(&http, &ready.vikingdb, &wire).await, "{wire:?}");
            let mut changed = wire.clone();
            let flip = |text: &mut String| {
                let at = place.index(text.len());
                let other = if &text[at..=at] == "a" { "b" } else { "a" };
                text.replace_range(at..=at, other);
            };
            let header = |wire: &Wire, wanted: &str| {
                wire.headers.iter().position(|(name, _)| name == wanted).unwrap()
            };
            match which {
                0 if !changed.body.is_empty() => {
                    let at = place.index(changed.body.len());
                    changed.body[at] ^= 1;
                }
                0 | 1 => changed.path.push('x'),
                2 => {
                    let at = header(&changed, "X-Extra");
                    flip(&mut changed.headers[at].1);
                }
                _ => {
                    // Within the signature, which is the header's end.
                    let at = header(&changed, "Authorization");
                    let value = &mut changed.headers[at].1;
                    let mut signature = value.split_off(value.len() - 64);
                    flip(&mut signature);
                    value.push_str(&signature);
                }
            }
            assert!(!is_believed(&http, &ready.vikingdb, &changed).await, "believed: {changed:?}");
        });
    }
}
