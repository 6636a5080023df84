//! Damages files at random and prints them: there must be no panic, no line that is not JSON, and the same rows
//! with one thread as with eight.
//!
//! `cargo run --release -p viking-reader --example damaged -- COUNT FILE...` damages the files in turns, COUNT times
//! in all: bits are flipped, bytes are set, pieces are cut out, doubled or made zero, in half of the cases near the
//! footer.

#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a program that tells what it found"
)]

use std::error::Error;
use std::ops::ControlFlow;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};

use bytes::Bytes;
use viking_reader::{Input, PrintOptions, Printer};

/// No piece that is cut, doubled or made zero is longer.
const PIECE_BYTES: usize = 64;

/// Half of the damage is done so near the end.
const FOOTER_BYTES: usize = 2000;

/// The reader makes errors of panics, so they are noticed here.
static PANICKED: AtomicBool = AtomicBool::new(false);

type Outcome<T> = Result<T, Box<dyn Error>>;

/// `SplitMix64`.
struct Random(u64);

impl Random {
    fn below(&mut self, end: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        usize::try_from((mixed ^ (mixed >> 31)) % end.max(1) as u64).unwrap_or(0)
    }

    fn damage(&mut self, file: &[u8]) -> Vec<u8> {
        let mut bytes = file.to_vec();
        for _ in 0..=self.below(3) {
            let from = self.below(2) * bytes.len().saturating_sub(FOOTER_BYTES);
            let place = from + self.below(bytes.len() - from);
            let piece = place..(place + self.below(PIECE_BYTES)).min(bytes.len());
            match self.below(5) {
                0 => bytes[place] ^= 1 << self.below(8),
                1 => bytes[place] = [0, 1, 0x7f, 0x80, 0xff][self.below(5)],
                2 => drop(bytes.drain(piece)),
                3 => {
                    let copy = bytes[piece].to_vec();
                    bytes.splice(place..place, copy);
                }
                _ => bytes[piece].fill(0),
            }
        }
        bytes
    }
}

fn print(file: Bytes, threads: usize) -> Outcome<(Vec<u8>, bool)> {
    let options = PrintOptions::default().with_threads(threads.try_into()?);
    let mut out = Vec::new();
    let mut printer = Printer::new(&mut out, options);
    let printed = printer.print(&Input::new("damaged", file), &mut |_| ControlFlow::Continue(()));
    let is_read = printed.and_then(|_| printer.finish()).is_ok();
    drop(printer);
    Ok((out, is_read))
}

fn main() -> Outcome<()> {
    let mut arguments = std::env::args().skip(1);
    let count: usize = arguments.next().ok_or("usage: damaged COUNT FILE...")?.parse()?;
    let files: Vec<String> = arguments.collect();
    let read = |name: &String| std::fs::read(Path::new(name));
    let contents = files.iter().map(read).collect::<Result<Vec<_>, _>>()?;
    std::panic::set_hook(Box::new(|panic| {
        PANICKED.store(true, Ordering::Relaxed);
        eprintln!("{panic}");
    }));
    let (mut random, mut refused, mut wrong) = (Random(1), 0, 0);
    for round in 0..count {
        let (name, file) = (&files[round % files.len()], &contents[round % files.len()]);
        let bytes = Bytes::from(random.damage(file));
        let (one, is_read) = print(bytes.clone(), 1)?;
        let (eight, is_read_by_eight) = print(bytes.clone(), 8)?;
        let is_json = |line: &[u8]| serde_json::from_slice::<serde_json::Value>(line).is_ok();
        let mut lines = one.split_inclusive(|&byte| byte == b'\n');
        let is_right = is_read == is_read_by_eight
            && (one.starts_with(&eight) || eight.starts_with(&one))
            && lines.all(|line| line.ends_with(b"\n") && is_json(line));
        if !is_right || PANICKED.swap(false, Ordering::Relaxed) {
            let kept = std::env::temp_dir().join(format!("damaged-{round}.parquet"));
            std::fs::write(&kept, &bytes)?;
            println!("{name} in round {round}: see {}", kept.display());
            wrong += 1;
        }
        refused += usize::from(!is_read);
    }
    println!("{count} damaged files: {refused} refused, {wrong} wrong");
    if wrong > 0 { Err("see above".into()) } else { Ok(()) }
}
