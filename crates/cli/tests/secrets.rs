//! The secrets of the whole suite, searched for in every output and in every file that is left behind.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::sync::{Mutex, PoisonError};

use serde_json::{Value, json};

use crate::program::{Place, Service, Tos, example, example_rows, until};

/// Larger files are objects as they came from the service.
const BYTES_MAX: u64 = 16 << 20;

static KNOWN: Mutex<BTreeSet<String>> = Mutex::new(BTreeSet::new());

/// From now on nothing may show this.
pub(crate) fn learn(secret: &str) {
    // Shorter ones are words of tests that show up by chance.
    if secret.len() >= 8 {
        KNOWN.lock().unwrap_or_else(PoisonError::into_inner).insert(secret.to_owned());
    }
}

/// Whether a text holds a secret, or a signature made with one.
fn shows_secret(text: &str) -> bool {
    let known = KNOWN.lock().unwrap_or_else(PoisonError::into_inner);
    known.iter().any(|secret| text.contains(secret)) || text.contains("Signature=")
}

#[track_caller]
pub(crate) fn search(text: &str) {
    // The text itself would only spread it.
    assert!(!shows_secret(text), "an output of {} bytes shows a secret", text.len());
}

/// Searches all files below a folder but those that hold keys by their nature; how many there are.
#[track_caller]
pub(crate) fn search_files(folder: &Path) -> usize {
    let mut files = 0;
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        let path = entry.path();
        let is_of_keys = [".volcengine", ".volc"].iter().any(|name| path.ends_with(name));
        if path.is_dir() && !is_of_keys {
            files += search_files(&path);
        } else if path.metadata().is_ok_and(|file| file.len() < BYTES_MAX)
            && let Ok(bytes) = fs::read(&path)
        {
            assert!(
                !shows_secret(&String::from_utf8_lossy(&bytes)),
                "{} shows a secret",
                path.display()
            );
            files += 1;
        }
    }
    files
}

const RUN: [&str; 7] = ["run", "example", "--all", "--to", "tos://demo/x", "--dir", "run"];
const LOUD: [&[&str]; 3] = [&["-vv"], &["-vv", "--progress", "json"], &["--log", "trace"]];

#[test]
fn the_search_finds_what_it_looks_for() {
    learn("hush-the-search-is-tested");
    assert!(shows_secret("… hush-the-search-is-tested …"));
    assert!(shows_secret("Authorization: … Signature=00"));
    let place = Place::new();
    fs::create_dir(place.path("deep")).unwrap();
    fs::write(place.path("deep/file"), "hush-the-search-is-tested").unwrap();
    let found = std::panic::catch_unwind(|| search_files(place.folder.path()));
    assert!(found.is_err(), "a file with a secret was passed over");
    fs::remove_file(place.path("deep/file")).unwrap();
}

#[test]
fn refused_keys_and_the_loudest_logs_show_no_secret() {
    let (service, mut place) = Service::with_faults(&["tos-503=2", "tos-cut=1"]);
    for (api, talk) in ["v1", "v2"].into_iter().flat_map(|api| LOUD.map(|talk| (api, talk))) {
        place.set("VIKING_EXPORT_API", api);
        // The services know no such token.
        place.set("VOLCENGINE_SESSION_TOKEN", "hush-session-token");
        for verb in [&RUN[..5], &["fetch", "tos://demo/x", "--dir", "d"], &["status", "nope"]] {
            let refused = place.run(&[verb, talk].concat());
            assert!(refused.code == Some(3), "{}", refused.stderr);
            assert!(
                refused.stderr.contains("DEBUG") || refused.stderr.contains("TRACE"),
                "nothing was said: {}",
                refused.stderr
            );
        }
        place.set("VOLCENGINE_SESSION_TOKEN", "");
        place.run(&[&RUN[..5], talk].concat()).ok();
        place.set("VOLCENGINE_SECRET_KEY", "hush-wrong-secret");
        place.run(&[&RUN[..5], talk].concat()).fails(3, &[]);
        place.run(&[&["doctor", "example", "--to", "tos://demo/x"], talk].concat()).fails(3, &[]);
        place.run(&[&["config", "show"], talk].concat()).ok();
        place.set("VOLCENGINE_SECRET_KEY", service.text("secret_key"));
    }
    assert!(search_files(place.folder.path()) > 10, "nothing was searched");
}

/// A profile of temporary keys, as the vendor's tool writes it.
fn write_profile(
    place: &Place,
    tos: &Tos,
    lifetime: std::time::Duration,
) -> viking_emulator::TemporaryKeys {
    let keys = tos.emulator.temporary_keys(lifetime).unwrap();
    learn(&keys.secret_key);
    learn(&keys.session_token);
    let profile = json!({"mode": "StsToken", "access-key": keys.access_key,
        "secret-key": keys.secret_key, "session-token": keys.session_token});
    let config = json!({"current": "work", "profiles": {"work": profile}});
    fs::create_dir_all(place.path(".volcengine")).unwrap();
    // Replaced at once: it may be read meanwhile.
    fs::write(place.path(".volcengine/new"), config.to_string()).unwrap();
    fs::rename(place.path(".volcengine/new"), place.path(".volcengine/config.json")).unwrap();
    keys
}

#[test]
fn temporary_keys_of_a_file_are_renewed_during_a_run_and_do_not_show() {
    let tos = Tos::serving(example().parent().unwrap(), &["tos-slow=300"]);
    let mut place = tos.place();
    place.set("VOLCENGINE_ACCESS_KEY", "");
    place.set("VOLCENGINE_SECRET_KEY", "");
    let hour = std::time::Duration::from_hours(1);
    write_profile(&place, &tos, hour);
    let mut child = place.command(&[&RUN[..], &["--jobs", "1", "-vv"]].concat()).spawn().unwrap();
    // The file is written anew, and the old keys end, while the task runs and while objects are loaded.
    for landmark in ["run/receipt.json", "run/0.parquet", "run/2.parquet"] {
        until(&mut child, || place.path(landmark).exists());
        // The other order would leave a moment in which the file has keys that are over.
        let keys = write_profile(&place, &tos, hour);
        tos.emulator.end_other_temporary_keys(&keys);
    }
    let ended = crate::program::Ended::from(child.wait_with_output().unwrap()).ok();
    assert_eq!(ended.stdout, example_rows());
    assert!(
        ended.stderr.contains("the credentials had expired and were renewed"),
        "{}",
        ended.stderr
    );
    let receipt: Value =
        serde_json::from_slice(&fs::read(place.path("run/receipt.json")).unwrap()).unwrap();
    assert_eq!(receipt["tries"], 1);
}
