//! Compares the texts of f64 of all kinds with those of `zmij`: as the items of a list, and as values of
//! a column.
//!
//! `cargo run --release -p viking-reader --example all_doubles` compares 10^10 values, which takes about
//! half an hour on two cores; `-- COUNT` compares that many, rounded up to whole steps.

#![expect(
    clippy::cast_possible_truncation,
    clippy::cast_precision_loss,
    reason = "made-up numbers of any kind will do"
)]

mod compared;

use std::ops::Range;
use std::sync::atomic::{AtomicU64, Ordering};

use arrow_array::types::Float64Type;

use compared::{Failure, Texts, on_all_threads};

const COUNT: u64 = 10_000_000_000;

/// Values compared at a time, all of one kind.
const STEP: u64 = 1 << 16;

/// Values that the reader takes together, and which of them it spells itself: from 2^-16 to 2^46. Its
/// module `float64` says what it leaves to `zmij`.
const BLOCK: usize = 32;
const OWN: Range<f64> = 1.0 / 65_536.0..70_368_744_177_664.0;

type Kind = (&'static str, fn(&mut Random) -> f64);

const KINDS: [Kind; 5] = [
    ("random bits", |random| f64::from_bits(random.next())),
    ("2^-20 to 2^50", |random| {
        let exponent = 1023 - 20 + random.below(70);
        f64::from_bits(random.next() << 63 | exponent << 52 | random.below(1 << 52))
    }),
    ("short decimals", |random| {
        let bits = random.below(54);
        random.below(1 << bits) as f64 / 10_f64.powi(random.below(17) as i32)
    }),
    ("widened f32", |random| {
        let exponent = 127 - 20 + random.below(70);
        let bits = random.next() << 31 | exponent << 23 | random.below(1 << 23);
        f64::from(f32::from_bits(bits as u32))
    }),
    ("near powers", |random| {
        let power = match random.below(4) {
            0 => 2_f64.powi(random.below(70) as i32 - 20),
            1 => 10_f64.powi(random.below(22) as i32 - 6) * random.below(40) as f64 / 4.0,
            _ => 10_f64.powi(random.below(22) as i32 - 6),
        };
        let distance = random.below(30);
        f64::from_bits(
            (power.to_bits() + random.below(2 << distance)).saturating_sub(1 << distance),
        )
    }),
];

/// The kinds of steps, in turns.
const TURNS: [usize; 8] = [0, 1, 2, 1, 3, 1, 2, 4];

/// Numbers that look random and are the same in every run.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ self.0 >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ mixed >> 31
    }

    fn below(&mut self, end: u64) -> u64 {
        ((u128::from(self.next()) * u128::from(end)) >> 64) as u64
    }
}

/// For each kind, how many values were compared, and how many of them the reader left to `zmij`.
type Tally = [(u64, u64); KINDS.len()];

fn main() -> Result<(), Failure> {
    let count = std::env::args().nth(1).map_or(Ok(COUNT), |count| count.parse())?;
    let steps = count.div_ceil(STEP);
    let next = AtomicU64::new(0);
    let tallies = on_all_threads(|| compare_steps(&next, steps))?;
    #[expect(clippy::print_stdout, reason = "the result of this program")]
    for (kind, (name, _)) in KINDS.iter().enumerate() {
        let compared: u64 = tallies.iter().map(|tally| tally[kind].0).sum();
        let left: u64 = tallies.iter().map(|tally| tally[kind].1).sum();
        println!("{name:<16}{compared:>12} are spelled like zmij, {left:>12} of them by zmij");
    }
    Ok(())
}

fn compare_steps(next: &AtomicU64, steps: u64) -> Result<Tally, Failure> {
    let mut tally = Tally::default();
    let mut texts = Texts::default();
    loop {
        let step = next.fetch_add(1, Ordering::Relaxed);
        if step >= steps {
            return Ok(tally);
        }
        let kind = TURNS[step as usize % TURNS.len()];
        let (name, make) = KINDS[kind];
        let mut random = Random(step << 32);
        let values: Vec<f64> = (0..STEP).map(|_| make(&mut random)).collect();
        tally[kind].0 += STEP;
        tally[kind].1 += values.chunks(BLOCK).map(left_to_zmij).sum::<u64>();
        texts.compare::<Float64Type>(&format_args!("{name}, step {step}"), values)?;
    }
}

fn left_to_zmij(block: &[f64]) -> u64 {
    let others = block.iter().filter(|value| !OWN.contains(&value.abs()));
    if others.clone().count() > BLOCK / 4 * 3 {
        return block.len() as u64;
    }
    others.filter(|value| **value != 0.0).count() as u64
}
