//! Credentials of roles, which machines of a cluster have in place of keys.

use std::fs;
use std::time::Duration;

use viking_emulator::ROLE;

use crate::program::{Place, Tos, example, example_rows};
use crate::secrets;

const RUN: [&str; 7] = ["run", "example", "--all", "--to", "tos://demo/x", "--dir", "run"];
const TRN: &str = "trn:iam::2100000000:role/exporter";

fn service(faults: &[&str]) -> Tos {
    Tos::serving(example().parent().unwrap(), faults)
}

/// A place that knows the services, and no keys.
fn without_keys(tos: &Tos) -> Place {
    let mut place = Place::new();
    place.set("VIKING_EXPORT_ENDPOINT", &tos.emulator.ready().vikingdb);
    place.set("VIKING_EXPORT_TOS_ENDPOINT", &tos.emulator.ready().tos);
    place
}

/// The same with a token for the role.
fn with_token(tos: &Tos, token: &str) -> Place {
    let mut place = without_keys(tos);
    fs::create_dir(place.path(".volc")).unwrap();
    fs::write(place.path(".volc/token"), format!("{token}\n")).unwrap();
    place.set("VOLCENGINE_OIDC_ROLE_TRN", TRN);
    place.set("VOLCENGINE_OIDC_TOKEN_FILE", ".volc/token");
    place.set("VOLCENGINE_OIDC_STS_ENDPOINT", &tos.emulator.ready().vikingdb);
    secrets::learn(token);
    place
}

#[test]
fn a_token_takes_a_role_and_the_run_needs_no_keys() {
    let tos = service(&[]);
    let place = with_token(&tos, &tos.emulator.oidc_token());
    assert!(place.run(&RUN).ok().stdout == example_rows());
    assert_eq!(tos.emulator.roles_taken(), 2, "once for each service");
    let words = format!("from the role {TRN} (OIDC), temporary");
    let told = place.run(&["doctor", "example", "--to", "tos://demo/y"]).ok();
    assert_eq!(told.stdout.matches(&words).count(), 2, "{}", told.stdout);
}

#[test]
fn credentials_of_a_role_are_renewed_before_they_expire() {
    let tos = service(&["tos-slow=1500"]);
    // They are renewed five minutes before, and not more often than every five seconds.
    tos.emulator.set_role_lifetime(Duration::from_secs(301));
    let place = with_token(&tos, &tos.emulator.oidc_token());
    assert!(place.run(&[&RUN[..], &["-j", "1"]].concat()).ok().stdout == example_rows());
    assert!(tos.emulator.roles_taken() > 2, "{} times", tos.emulator.roles_taken());
}

#[test]
fn a_role_that_expired_unseen_is_taken_again() {
    let tos = service(&["tos-slow=200"]);
    let place = with_token(&tos, &tos.emulator.oidc_token());
    let child = place.command(&[&RUN[..], &["-j", "1"]].concat()).spawn().unwrap();
    while tos.emulator.bytes_sent() == 0 {
        std::thread::sleep(Duration::from_millis(5));
    }
    tos.emulator.end_temporary_keys();
    let ended = child.wait_with_output().unwrap();
    assert_eq!(ended.status.code(), Some(0), "{}", String::from_utf8_lossy(&ended.stderr));
    assert!(String::from_utf8(ended.stdout).unwrap() == example_rows());
    assert!(tos.emulator.roles_taken() > 2);
}

#[test]
fn a_service_of_roles_that_is_out_of_order_is_asked_as_patiently_as_any_other() {
    let tos = service(&["roles-503=7"]);
    let place = with_token(&tos, &tos.emulator.oidc_token());
    assert!(place.run(&RUN).ok().stdout == example_rows());
    let mut place = with_token(&tos, &tos.emulator.oidc_token());
    place.set("VOLCENGINE_OIDC_STS_ENDPOINT", "http://127.0.0.1:9");
    place.set("VIKING_EXPORT_RETRY_FOR", "1s");
    place.run(&RUN).fails(7, &[TRN, "no answer from 127.0.0.1"]);
}

#[test]
fn parts_on_their_way_wait_for_one_answer_when_a_role_is_gone() {
    let tos = service(&["tos-slow=200"]);
    for number in 0..16 {
        tos.emulator.put("demo", &format!("many/{number}.json"), &vec![b' '; 3 << 20]).unwrap();
    }
    let mut place = with_token(&tos, &tos.emulator.oidc_token());
    place.set("VIKING_EXPORT_RETRY_FOR", "5s");
    let fetch =
        ["fetch", "tos://demo/many", "--dir", "many", "--jobs", "16", "--part-size", "1MiB"];
    let child = place.command(&fetch).spawn().unwrap();
    while tos.emulator.bytes_sent() == 0 {
        std::thread::sleep(Duration::from_millis(5));
    }
    tos.emulator
        .set_faults(["roles-503", "tos-slow=200"].map(|fault| fault.parse().unwrap()).to_vec());
    tos.emulator.end_temporary_keys();
    let ended = child.wait_with_output().unwrap();
    assert_ne!(ended.status.code(), Some(0));
    // Three to a look, and a look every two seconds.
    assert!(tos.emulator.roles_asked() <= 20, "{} requests", tos.emulator.roles_asked());
}

#[test]
fn credentials_that_always_end_soon_are_not_asked_for_with_each_request() {
    let tos = service(&[]);
    tos.emulator.set_role_lifetime(Duration::from_secs(200));
    let place = with_token(&tos, &tos.emulator.oidc_token());
    assert!(place.run(&RUN).ok().stdout == example_rows());
    assert_eq!(tos.emulator.roles_taken(), 2, "once for each service");
}

#[test]
fn a_role_that_is_not_given_is_named_and_its_token_is_not_shown() {
    let tos = service(&[]);
    let place = with_token(&tos, "another token");
    place.run(&RUN).fails(3, &[TRN, "127.0.0.1", "400", "InvalidIdentityToken"]);
    let mut place = with_token(&tos, " ");
    place.run(&RUN).fails(3, &["OIDC token in .volc/token", "empty"]);
    fs::remove_file(place.path(".volc/token")).unwrap();
    place.run(&RUN).fails(3, &["OIDC token in .volc/token"]);
    place.set("VOLCENGINE_OIDC_STS_ENDPOINT", "http://user:hush-password@sts.example.com");
    secrets::learn("hush-password");
    fs::write(place.path(".volc/token"), "x").unwrap();
    place.run(&RUN).fails(3, &["sts.example.com is no address of https"]);
    place.set("VOLCENGINE_OIDC_TOKEN_FILE", "");
    place.run(&RUN).fails(3, &["VOLCENGINE_OIDC_ROLE_TRN is set, but VOLCENGINE_OIDC_TOKEN_FILE"]);
    fs::create_dir(place.path(".volcengine")).unwrap();
    let profile = r#"{"profiles": {"default": {"access-key": "AKLTprofile", "secret-key": "x"}}}"#;
    fs::write(place.path(".volcengine/config.json"), profile).unwrap();
    assert!(place.run(&["doctor"]).stdout.contains("AKLTprof"), "half a role hides no keys");
    assert_eq!(tos.emulator.roles_taken(), 0);
}

#[test]
fn keys_in_the_environment_come_before_a_role_and_a_role_before_files() {
    let tos = service(&[]);
    let mut place = with_token(&tos, &tos.emulator.oidc_token());
    fs::create_dir(place.path(".volcengine")).unwrap();
    let profile = r#"{"profiles": {"default": {"access-key": "AKLTprofile", "secret-key": "x"}}}"#;
    fs::write(place.path(".volcengine/config.json"), profile).unwrap();
    assert!(place.run(&["doctor"]).stdout.contains("(OIDC)"));
    place.set("VOLCENGINE_ACCESS_KEY", "AKLTmine");
    place.set("VOLCENGINE_SECRET_KEY", "mine-and-hidden");
    let told = place.run(&["doctor"]).stdout;
    assert!(told.contains("AKLTmine") && !told.contains("(OIDC)"), "{told}");
}

#[test]
fn an_instance_finds_its_own_role() {
    let tos = service(&[]);
    let mut place = without_keys(&tos);
    place.set("VIKING_EXPORT_ECS_ENDPOINT", &tos.emulator.ready().vikingdb);
    assert!(place.run(&RUN).ok().stdout == example_rows());
    place.set("VOLCENGINE_ECS_METADATA", ROLE);
    let told = place.run(&["doctor", "example"]).ok().stdout;
    assert!(told.contains(&format!("the role {ROLE} of this ECS instance, temporary")), "{told}");
    place.set("VOLCENGINE_ECS_METADATA", "other");
    place.run(&["status", "1"]).fails(3, &["the role other gives no credentials", "404"]);
    place.set("VOLCENGINE_ECS_METADATA_DISABLED", "true");
    place.run(&["status", "1"]).fails(3, &["no credentials were found", "--embedded"]);
}
