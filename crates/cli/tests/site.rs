//! Accounts of `BytePlus`: told from the credentials, and with hosts of their own.

use std::fs;
use std::io::{BufRead, BufReader};
use std::net::TcpListener;

use serde_json::Value;

use crate::program::{Place, Tos, example, example_rows};

/// A place with keys of `BytePlus` whose services are in the test.
fn place(tos: &Tos) -> Place {
    let ready = tos.emulator.ready();
    let mut place = Place::new();
    place.set("BYTEPLUS_ACCESS_KEY", &ready.access_key);
    place.set("BYTEPLUS_SECRET_KEY", &ready.secret_key);
    place.set("VIKING_EXPORT_ENDPOINT", &ready.vikingdb);
    place.set("VIKING_EXPORT_TOS_ENDPOINT", &ready.tos);
    place.set("VOLCENGINE_REGION", &ready.region);
    place
}

#[test]
fn a_run_with_keys_of_byteplus_speaks_v2_and_is_resumed_there() {
    let tos = Tos::serving(example().parent().unwrap(), &[]);
    let place = place(&tos);
    let run = ["run", "example", "--all", "--to", "tos://demo/x", "--dir", "run"];
    place.run(&[&run[..], &["-o", "rows.jsonl"]].concat()).ok();
    assert!(fs::read_to_string(place.path("rows.jsonl")).unwrap() == example_rows());
    let receipt = fs::read(place.path("run/receipt.json")).unwrap();
    let receipt: Value = serde_json::from_slice(&receipt).unwrap();
    assert_eq!(receipt["request"]["site"], "byteplus");
    assert_eq!(receipt["request"]["api"], "v2");
    fs::remove_file(place.path("rows.jsonl")).unwrap();
    place.run(&["resume", "run", "-o", "rows.jsonl"]).ok();
    assert!(fs::read_to_string(place.path("rows.jsonl")).unwrap() == example_rows());
}

#[test]
fn a_profile_of_byteplus_is_found_in_its_file() {
    let tos = Tos::serving(example().parent().unwrap(), &[]);
    let ready = tos.emulator.ready();
    let mut place = Place::new();
    for (name, value) in
        [("VIKING_EXPORT_ENDPOINT", &ready.vikingdb), ("VOLCENGINE_REGION", &ready.region)]
    {
        place.set(name, value);
    }
    fs::create_dir(place.path(".byteplus")).unwrap();
    let profile = format!(
        r#"{{"current":"a","profiles":{{"a":{{"mode":"AK","access-key":"{}","secret-key":"{}"}}}}}}"#,
        ready.access_key, ready.secret_key
    );
    fs::write(place.path(".byteplus/config.json"), profile).unwrap();
    for arguments in [&["list", "example"][..], &["list", "example", "--profile", "a"]] {
        place.run(arguments).ok();
    }
    place.run(&["list", "example", "--site", "volcengine"]).fails(3, &["VOLCENGINE_ACCESS_KEY"]);
}

#[test]
fn each_site_has_its_hosts() {
    let mut place = Place::new();
    place.set("BYTEPLUS_ACCESSKEY", "AKTP");
    place.set("BYTEPLUS_SECRETKEY", "c2VjcmV0");
    place.set("VIKING_EXPORT_RETRY_FOR", "1s");
    let vikingdb = "vikingdb.ap-southeast-1.byteplusapi.com";
    place.run(&["list", "example"]).fails(7, &[vikingdb]);
    // A proxy hears which host is meant.
    let proxy = TcpListener::bind("127.0.0.1:0").unwrap();
    place.set("HTTPS_PROXY", &format!("http://{}", proxy.local_addr().unwrap()));
    let asked = std::thread::spawn(move || {
        let mut line = String::new();
        BufReader::new(proxy.accept().unwrap().0).read_line(&mut line).unwrap();
        line
    });
    place.run(&["count", "tos://demo/x"]).fails(7, &["tos://demo/x"]);
    let asked = asked.join().unwrap();
    assert!(asked.contains("demo.tos-s3-ap-southeast-1.bytepluses.com:443"), "{asked}");
    // With keys of both, Volcengine is asked.
    place.set("VOLCENGINE_ACCESS_KEY", "AKLT");
    place.set("VOLCENGINE_SECRET_KEY", "c2VjcmV0");
    place.run(&["list", "example"]).fails(7, &["api-vikingdb.volces.com"]);
    place.run(&["list", "example", "--site", "byteplus"]).fails(7, &[vikingdb]);
    place
        .run(&["list", "example", "--site", "byteplus", "--region", "cn-beijing"])
        .fails(2, &["ap-southeast-1"]);
}
