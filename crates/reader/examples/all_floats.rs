//! Compares the text of every f32, all 2^32 bit patterns, with the one of `zmij`: as the items of a
//! list, and as values of a column.
//!
//! `cargo run --release -p viking-reader --example all_floats` takes a few minutes on two cores.

use std::error::Error;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use arrow_array::{ArrayRef, Float32Array, ListArray, RecordBatch};
use arrow_buffer::OffsetBuffer;
use arrow_schema::{DataType, Field};
use viking_reader::{JsonLines, JsonOptions};

/// Bit patterns compared at a time.
const STEP: u64 = 1 << 16;

const ALL: u64 = 1 << 32;

type Failure = Box<dyn Error + Send + Sync>;

fn main() -> Result<(), Failure> {
    let threads = std::thread::available_parallelism()?.get();
    let next = AtomicU64::new(0);
    std::thread::scope(|scope| {
        let workers: Vec<_> = (0..threads).map(|_| scope.spawn(|| compare_steps(&next))).collect();
        workers.into_iter().try_for_each(|worker| match worker.join() {
            Ok(outcome) => outcome,
            Err(_) => Err("a thread panicked".into()),
        })
    })?;
    #[expect(clippy::print_stdout, reason = "the result of this program")]
    {
        println!("all {ALL} bit patterns are spelled like zmij");
    }
    Ok(())
}

fn compare_steps(next: &AtomicU64) -> Result<(), Failure> {
    let (mut ours, mut theirs) = (Vec::new(), Vec::new());
    loop {
        let start = next.fetch_add(STEP, Ordering::Relaxed);
        if start >= ALL {
            return Ok(());
        }
        let bits = u32::try_from(start)?..=u32::try_from(start + STEP - 1)?;
        let values: Vec<f32> = bits.map(f32::from_bits).collect();
        let items = Float32Array::from(values.clone());
        let item = Arc::new(Field::new("item", DataType::Float32, false));
        let offsets = OffsetBuffer::from_lengths([values.len()]);
        let list = ListArray::try_new(item, offsets, Arc::new(items.clone()), None)?;
        encode(Arc::new(list), &mut ours)?;
        by_zmij(&values, &mut theirs, ("{\"v\":[", ",", "]}\n"));
        same(start, &ours, &theirs)?;
        encode(Arc::new(items), &mut ours)?;
        by_zmij(&values, &mut theirs, ("{\"v\":", "}\n{\"v\":", "}\n"));
        same(start, &ours, &theirs)?;
    }
}

fn encode(column: ArrayRef, out: &mut Vec<u8>) -> Result<(), Failure> {
    out.clear();
    let batch = RecordBatch::try_from_iter([("v", column)])?;
    JsonLines::new("all floats", &batch.schema(), &JsonOptions::default())?.encode(&batch, out)?;
    Ok(())
}

fn by_zmij(values: &[f32], out: &mut Vec<u8>, (start, between, end): (&str, &str, &str)) {
    out.clear();
    out.extend_from_slice(start.as_bytes());
    for (index, value) in values.iter().enumerate() {
        if index > 0 {
            out.extend_from_slice(between.as_bytes());
        }
        if value.is_finite() {
            out.extend_from_slice(zmij::Buffer::new().format_finite(*value).as_bytes());
        } else {
            out.extend_from_slice(b"null");
        }
    }
    out.extend_from_slice(end.as_bytes());
}

fn same(start: u64, ours: &[u8], theirs: &[u8]) -> Result<(), Failure> {
    if ours == theirs {
        return Ok(());
    }
    let place = ours.iter().zip(theirs).position(|(a, b)| a != b).unwrap_or(0);
    let near = |text: &[u8]| {
        String::from_utf8_lossy(&text[place.saturating_sub(20)..(place + 20).min(text.len())])
            .into_owned()
    };
    Err(format!("from {start:#x} on: ours {:?}, theirs {:?}", near(ours), near(theirs)).into())
}
