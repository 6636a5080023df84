//! `kill -9`, again and again, over one download.

use std::fs;
use std::path::Path;
use std::process::Child;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

use serde_json::Value;

use crate::program::{Place, Tos};

const MIB: u64 = 1 << 20;

/// Bytes that differ from place to place.
fn bytes(seed: u64, length: u64) -> Vec<u8> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut bytes = Vec::with_capacity(usize::try_from(length).unwrap() + 8);
    while (bytes.len() as u64) < length {
        // xorshift: fast, and no two places alike.
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        bytes.extend(state.to_le_bytes());
    }
    bytes.truncate(usize::try_from(length).unwrap());
    bytes[..4].copy_from_slice(b"PAR1");
    let end = bytes.len();
    bytes[end - 4..].copy_from_slice(b"PAR1");
    bytes
}

/// Bytes that the next run need not load: files with their names, and parts in the journals.
fn safe_bytes(dir: &Path, object_bytes: u64) -> u64 {
    let size = |path: &Path| fs::metadata(path).map_or(0, |file| file.len());
    let files = fs::read_dir(dir).into_iter().flatten().flatten().map(|entry| entry.path());
    let landed: u64 = files
        .filter(|path| path.extension().is_some_and(|end| end == "parquet"))
        .map(|path| size(&path))
        .sum();
    let journals = fs::read_dir(dir.join(".partial")).into_iter().flatten().flatten();
    let journals = journals.map(|entry| entry.path());
    let journals = journals.filter(|path| path.extension().is_some_and(|end| end == "journal"));
    let parts = journals.map(|path| {
        let text = fs::read_to_string(path).unwrap_or_default();
        // A line that was torn by a kill is no JSON.
        let lines = text.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
        let parts = lines.filter_map(|line| line["part"].as_u64());
        parts.map(|part| MIB.min(object_bytes - part * MIB)).sum::<u64>()
    });
    landed + parts.sum::<u64>()
}

struct Killing {
    objects: u64,
    object_bytes: u64,
    kills: u32,
    jobs: u64,
    rate: &'static str,
    /// After so many kills an object changes.
    change_every: u32,
    /// Milliseconds after its start at which a run is killed: the least and the most.
    after: (u64, u64),
}

/// Kills one download again and again, lets it end, and returns what was sent in all.
fn kill_again_and_again(how: &Killing) -> u64 {
    // Lists that lie, as well as the kills.
    let tos = Tos::start(&["tos-page=3", "tos-list-twice"]);
    let mut originals: Vec<_> =
        (0..how.objects).map(|seed| bytes(seed + 1, how.object_bytes)).collect();
    for (number, bytes) in originals.iter().enumerate() {
        tos.emulator.put("demo", &format!("x/{number}.parquet"), bytes).unwrap();
    }
    let place = tos.place();
    let dir = place.path("d");
    let jobs = how.jobs.to_string();
    let arguments = ["fetch", "tos://demo/x", "--dir", "d", "--part-size", "1MiB", "--jobs", &jobs];
    let limited = [&arguments[..], &["--limit-rate", how.rate]].concat();
    let (mut killed, mut random) = (0, 0x2545_f491_4f6c_dd1d_u64);
    let (mut safe, mut sent) = (0, 0);
    while killed < how.kills {
        let mut child: Child = place.command(&limited).spawn().unwrap();
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        let (least, most) = how.after;
        std::thread::sleep(Duration::from_millis(least + random % (most - least)));
        kill_process(Pid::from_child(&child), Signal::KILL).unwrap();
        let ended = child.wait().unwrap();
        assert_eq!(ended.code(), None, "it ended before kill {killed}: {ended}");
        killed += 1;
        if killed % how.change_every == 0 {
            // Another version of it, of which nothing is here yet.
            let number = u64::from(killed / how.change_every) % how.objects;
            let place = usize::try_from(number).unwrap();
            originals[place] = bytes(u64::from(killed) + 1_000, how.object_bytes);
            let key = format!("x/{number}.parquet");
            tos.emulator.put("demo", &key, &originals[place]).unwrap();
            safe = 0;
            sent = settled(&tos);
            continue;
        }
        let (sent_now, safe_now) = (settled(&tos), safe_bytes(&dir, how.object_bytes));
        let lost = (sent_now - sent).saturating_sub(safe_now.saturating_sub(safe));
        assert!(safe_now >= safe, "kill {killed}: {safe} bytes were safe, {safe_now} are");
        assert!(lost <= how.jobs * MIB, "kill {killed} lost {lost} bytes");
        (sent, safe) = (sent_now, safe_now);
    }
    place.run(&arguments).ok();
    for (number, original) in originals.iter().enumerate() {
        let file = fs::read(dir.join(format!("{number}.parquet"))).unwrap();
        assert!(&file == original, "{number}.parquet has other bytes");
    }
    assert!(!dir.join(".partial").exists());
    settled(&tos)
}

/// What was sent, once connections that broke are noticed.
fn settled(tos: &Tos) -> u64 {
    let (mut sent, start) = (tos.emulator.bytes_sent(), Instant::now());
    loop {
        std::thread::sleep(Duration::from_millis(20));
        let now = tos.emulator.bytes_sent();
        if now == sent || start.elapsed() > Duration::from_secs(2) {
            return now;
        }
        sent = now;
    }
}

#[test]
fn two_hundred_kills_lose_no_more_than_was_on_its_way() {
    let how = Killing {
        objects: 10,
        object_bytes: 32 * MIB + 12_345,
        kills: 200,
        jobs: 2,
        rate: "24MiB",
        change_every: 50,
        after: (20, 140),
    };
    let sent = kill_again_and_again(&how);
    // Those that changed are loaded twice.
    let size = (how.objects + 4) * how.object_bytes;
    assert!(sent <= size + u64::from(how.kills) * how.jobs * MIB, "{sent} bytes sent for {size}");
    assert!(sent > how.objects * how.object_bytes, "kills that lose nothing hit nothing");
}

#[test]
fn twenty_kills_of_a_gibibyte_load_less_than_a_third_more() {
    let how = Killing {
        objects: 1,
        object_bytes: 1024 * MIB,
        kills: 20,
        jobs: 4,
        rate: "100MiB",
        change_every: u32::MAX,
        after: (100, 500),
    };
    let sent = kill_again_and_again(&how);
    assert!(sent <= 1024 * MIB * 13 / 10, "{sent} bytes sent");
}

#[test]
fn a_place_is_taken_by_one_process_at_a_time() {
    let tos = Tos::start(&["tos-slow=400"]);
    tos.emulator.put("demo", "x/0.parquet", &bytes(1, MIB)).unwrap();
    let place: Place = tos.place();
    let arguments = ["fetch", "tos://demo/x", "--dir", "d"];
    let first = place.command(&arguments).spawn().unwrap();
    while !place.path("d/receipt.json").exists() {
        std::thread::sleep(Duration::from_millis(5));
    }
    place.run(&arguments).fails(2, &["another viking-export works in d"]);
    assert!(first.wait_with_output().unwrap().status.success());
}
