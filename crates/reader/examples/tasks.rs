//! Prints a Parquet file as JSON Lines into nothing and tells what each task of it took, for `benches/scaling`:
//! `tasks FILE THREADS MEMORY`, memory in bytes. The work is planned for so many threads, and done by as many as
//! there are processors. One JSON object a line: the kind of the task, which of its
//! kind it was, the bytes that it made, and nanoseconds of a processor.

use std::error::Error;
use std::io::{BufWriter, Write, stdout};
use std::ops::ControlFlow;

use viking_reader::{Input, PrintOptions, Printer, trace};

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [file, threads, memory] = &arguments[..] else {
        return Err("usage: tasks FILE THREADS MEMORY".into());
    };
    let options =
        PrintOptions::default().with_threads(threads.parse()?).with_memory_bytes(memory.parse()?);
    trace::start_at_most(std::thread::available_parallelism()?.get());
    let input = Input::open(file.as_ref())?;
    let nothing = std::fs::File::options().write(true).open("/dev/null")?;
    let mut printer = Printer::new(nothing, options);
    printer.print(&input, &mut |_| ControlFlow::Continue(()))?;
    printer.finish()?;
    let mut out = BufWriter::new(stdout().lock());
    for trace::Task { kind, number, bytes, nanos } in trace::take() {
        let kind = format!("{kind:?}").to_lowercase();
        writeln!(out, r#"{{"kind":"{kind}","number":{number},"bytes":{bytes},"nanos":{nanos}}}"#)?;
    }
    Ok(())
}
