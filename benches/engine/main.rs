//! Times the reader inside one process: its kernels beside `arrow-json` and `zmij`, and the ways into a
//! file beside the bare `parquet` reader.
//!
//! ```text
//! cargo bench --bench engine -- [--sets DIR] [--rounds N] [--record NAME]
//! ```
//!
//! What is compared runs in turns, and medians and ratios are printed. `DIR` holds the data sets that
//! `benches/peers/run.py` makes; without it only the kernels are timed. `--record` writes
//! `benches/record/NAME.json`.

#![expect(
    clippy::cast_possible_truncation,
    clippy::cast_possible_wrap,
    clippy::cast_precision_loss,
    clippy::expect_used,
    clippy::print_stdout,
    reason = "made-up values of any kind will do, and this program prints its results"
)]

use std::error::Error;
use std::fs::File;
use std::hint::black_box;
use std::num::NonZeroUsize;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::time::Instant;

use arrow_array::RecordBatch;
use arrow_json::LineDelimitedWriter;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use serde_json::{Value, json};
use viking_reader::{
    BatchReader, FnSink, Input, JsonLines, JsonOptions, PrintOptions, Printer, ReadOptions, drive,
};

mod columns;

type Outcome<T> = Result<T, Box<dyn Error>>;

const SETS: [&str; 4] = ["vec", "text", "scalar", "sparse"];

/// One of the things that are compared.
type Variant<'a> = (&'static str, Box<dyn FnMut() -> Outcome<usize> + 'a>);

fn main() -> Outcome<()> {
    let mut arguments = std::env::args().skip(1);
    let (mut sets, mut rounds, mut record) = (None, 9, None);
    while let Some(argument) = arguments.next() {
        let mut value = || arguments.next().ok_or(format!("{argument} needs a value"));
        match argument.as_str() {
            "--sets" => sets = Some(PathBuf::from(value()?)),
            "--rounds" => rounds = value()?.parse()?,
            "--record" => record = Some(value()?),
            // Cargo adds it.
            "--bench" => {}
            _ => return Err(format!("unknown argument {argument}").into()),
        }
    }
    let mut results = json!({"rounds": rounds, "cores": std::thread::available_parallelism()?});
    results["kernels"] = time_kernels(rounds)?;
    if let Some(sets) = &sets {
        results["sets"] = time_sets(sets, rounds)?;
    }
    if let Some(name) = record {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("benches/record");
        let text = serde_json::to_string_pretty(&results)?;
        std::fs::write(folder.join(format!("{name}.json")), text + "\n")?;
    }
    Ok(())
}

/// Runs the variants in turns and returns the median seconds of each.
fn in_turns(rounds: usize, variants: &mut [Variant<'_>]) -> Outcome<Vec<f64>> {
    let mut times = vec![Vec::new(); variants.len()];
    // The first round fills caches and buffers and is not counted.
    for round in 0..=rounds {
        for ((_, run), times) in variants.iter_mut().zip(&mut times) {
            let start = Instant::now();
            black_box(run()?);
            if round > 0 {
                times.push(start.elapsed().as_secs_f64());
            }
        }
    }
    let median = |times: &mut Vec<f64>| {
        times.sort_by(f64::total_cmp);
        times[times.len() / 2]
    };
    Ok(times.iter_mut().map(median).collect())
}

/// Each kind of column: our encoder beside arrow-json, and for f32 beside a loop over zmij.
fn time_kernels(rounds: usize) -> Outcome<Value> {
    let mut results = json!({});
    println!("{:<22}{:>12}{:>12}{:>12}", "kernel", "ns a value", "arrow-json", "zmij loop");
    for (name, values, batch) in columns::all()? {
        let mut lines = JsonLines::new(name, &batch.schema(), &JsonOptions::default())?;
        let (mut ours, mut theirs, mut by_zmij) = (Vec::new(), Vec::new(), Vec::new());
        let mut variants: Vec<Variant<'_>> = vec![
            (
                "viking-reader",
                Box::new(|| {
                    ours.clear();
                    lines.encode(&batch, &mut ours)?;
                    Ok(ours.len())
                }),
            ),
            ("arrow-json", Box::new(|| arrow_json(&batch, &mut theirs))),
        ];
        if let Some(floats) = columns::floats(&batch) {
            variants.push(("zmij loop", Box::new(|| Ok(zmij_loop(floats, &mut by_zmij)))));
        }
        let seconds = in_turns(rounds, &mut variants)?;
        let ratios: Vec<f64> = seconds.iter().map(|other| other / seconds[0]).collect();
        let nanoseconds = seconds[0] * 1e9 / values as f64;
        let shown: String = ratios[1..].iter().map(|ratio| format!("{ratio:>11.2}x")).collect();
        println!("{name:<22}{nanoseconds:>12.2}{shown}");
        results[name] = json!({"nanoseconds_a_value": rounded(nanoseconds),
            "arrow_json": rounded(ratios[1]), "zmij_loop": ratios.get(2).copied().map(rounded)});
    }
    Ok(results)
}

fn arrow_json(batch: &RecordBatch, out: &mut Vec<u8>) -> Outcome<usize> {
    out.clear();
    let mut writer = LineDelimitedWriter::new(&mut *out);
    writer.write(batch)?;
    writer.finish()?;
    Ok(out.len())
}

fn zmij_loop(values: &[f32], out: &mut Vec<u8>) -> usize {
    out.clear();
    let mut buffer = zmij::Buffer::new();
    for &value in values {
        out.extend_from_slice(buffer.format(value).as_bytes());
        out.push(b',');
    }
    out.len()
}

/// Each data set: the callback beside the bare reader, and printing beside the limits of what is
/// possible.
fn time_sets(sets: &Path, rounds: usize) -> Outcome<Value> {
    let mut results = json!({});
    for name in SETS {
        let path = sets.join(format!("{name}.parquet"));
        let mut text = Vec::new();
        print(&path, 1, &mut text)?;
        let mut copy = Vec::with_capacity(text.len());
        let mut variants: Vec<Variant<'_>> = vec![
            ("callback, batches of 100", Box::new(|| callback(&path))),
            ("parquet, batches of 100", Box::new(|| bare(&path, 100))),
            ("parquet, batches of 8192", Box::new(|| bare(&path, 8_192))),
            ("JSON Lines, 1 thread", Box::new(|| print(&path, 1, std::io::sink()))),
            ("JSON Lines, 2 threads", Box::new(|| print(&path, 2, std::io::sink()))),
            (
                "copying the output",
                Box::new(|| {
                    copy.clear();
                    copy.extend_from_slice(black_box(&text));
                    Ok(copy.len())
                }),
            ),
        ];
        let seconds = in_turns(rounds, &mut variants)?;
        let bare = seconds[1].min(seconds[2]);
        println!("\n{name}: {} bytes of JSON Lines", text.len());
        for ((variant, _), seconds) in variants.iter().zip(&seconds) {
            println!("  {variant:<28}{:>9.1} ms{:>9.2} of decoding", seconds * 1e3, seconds / bare);
        }
        results[name] = json!({
            "json_bytes": text.len(),
            "decode_seconds": bare,
            "callback_of_decode": rounded(seconds[0] / bare),
            "callback_goal": 1.3,
            "print_of_decode_1_thread": rounded(seconds[3] / bare),
            "print_of_decode_2_threads": rounded(seconds[4] / bare),
            "two_threads_gain": rounded(seconds[3] / seconds[4]),
            "copy_of_decode": rounded(seconds[5] / bare),
        });
    }
    Ok(results)
}

fn callback(path: &Path) -> Outcome<usize> {
    let mut rows = 0;
    let mut sink = FnSink(|batch: &RecordBatch| {
        rows += batch.num_rows();
        ControlFlow::Continue(())
    });
    drive(BatchReader::open(path, &ReadOptions::default())?, &mut sink)?;
    Ok(rows)
}

fn bare(path: &Path, batch_rows: usize) -> Outcome<usize> {
    let builder = ParquetRecordBatchReaderBuilder::try_new(File::open(path)?)?;
    let mut rows = 0;
    for batch in builder.with_batch_size(batch_rows).build()? {
        rows += black_box(batch?).num_rows();
    }
    Ok(rows)
}

fn print(path: &Path, threads: usize, out: impl std::io::Write + Send) -> Outcome<usize> {
    let threads = NonZeroUsize::new(threads).ok_or("no threads")?;
    let mut printer = Printer::new(out, PrintOptions::default().with_threads(threads));
    printer.print(&Input::open(path)?, &mut |_| ControlFlow::Continue(()))?;
    Ok(usize::try_from(printer.finish()?.bytes_written)?)
}

fn rounded(value: f64) -> f64 {
    (value * 100.0).round() / 100.0
}
