//! Compares the text of every f32, all 2^32 bit patterns, with the one of `zmij`: as the items of a
//! list, and as values of a column.
//!
//! `cargo run --release -p viking-reader --example all_floats` takes a few minutes on two cores.

mod compared;

use std::sync::atomic::{AtomicU64, Ordering};

use arrow_array::types::Float32Type;

use compared::{Failure, Texts, on_all_threads};

/// Bit patterns compared at a time.
const STEP: u64 = 1 << 16;

const ALL: u64 = 1 << 32;

fn main() -> Result<(), Failure> {
    let next = AtomicU64::new(0);
    on_all_threads(|| compare_steps(&next))?;
    #[expect(clippy::print_stdout, reason = "the result of this program")]
    {
        println!("all {ALL} bit patterns are spelled like zmij");
    }
    Ok(())
}

fn compare_steps(next: &AtomicU64) -> Result<(), Failure> {
    let mut texts = Texts::default();
    loop {
        let start = next.fetch_add(STEP, Ordering::Relaxed);
        if start >= ALL {
            return Ok(());
        }
        let bits = u32::try_from(start)?..=u32::try_from(start + STEP - 1)?;
        let values = bits.map(f32::from_bits).collect();
        texts.compare::<Float32Type>(&format_args!("from {start:#x} on"), values)?;
    }
}
