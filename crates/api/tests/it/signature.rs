//! Our signatures are the vendor's, byte by byte.

use jiff::civil;
use jiff::tz::TimeZone;
use serde_json::Value;
use viking_api::sign::{Request, Scope, sign};
use viking_api::{Credentials, TosPath};

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

/// The request of the vendor's own example, as its SDK sends it.
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
