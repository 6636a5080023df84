//! Prints files in order on a thread of its own, while later ones still download.

use std::collections::VecDeque;
use std::io;
use std::ops::ControlFlow;
use std::sync::atomic::{AtomicU64, Ordering};

use viking_reader::{Counts, Excess, ExcessKind, FileRows, Input, PrintOptions, Printer};

use super::file::Output;
use crate::error::{Error, Result};
use crate::event::Warning;
use crate::session::Session;
use crate::stop::Stop;

/// A file whose rows are printed.
#[derive(Debug)]
pub(crate) struct PrintedFile {
    pub(crate) name: String,
    pub(crate) rows: FileRows,
    /// Lines that the output took for it, where they are counted.
    pub(crate) lines: Option<u64>,
}

/// How the printing ended when nothing failed.
#[derive(Debug)]
pub(crate) struct Printed {
    /// The rows of each file that was begun.
    pub(crate) files: Vec<PrintedFile>,
    pub(crate) rows: u64,
    pub(crate) counts: Counts,
    pub(crate) text_like: Vec<String>,
    pub(crate) f32_like: Vec<String>,
    /// The reader of stdout went away, or we were told to stop.
    pub(crate) is_cut_short: bool,
    /// Where they went. A file gets its name when it is finished.
    pub(crate) output: Output,
}

/// Prints `inputs` in their order. `rows` is kept up to date for others to watch.
///
/// `ahead` says whether inputs are there without a wait, so that small ones can be encoded before their turn.
pub(crate) fn print(
    inputs: impl Iterator<Item = Result<Input>>,
    ahead: bool,
    options: PrintOptions,
    output: Output,
    stop: &Stop,
    rows: &AtomicU64,
) -> Result<Printed> {
    let mut inputs = inputs.peekable();
    // Who stops us while we wait for the first file need not wait for us: nothing is printed yet. From here on
    // either we see that we are to stop, or it is seen that we print.
    inputs.peek();
    let _printing = stop.printing();
    print_all(inputs, ahead, options, output, stop, rows)
}

fn print_all(
    inputs: impl Iterator<Item = Result<Input>>,
    ahead: bool,
    options: PrintOptions,
    mut output: Output,
    stop: &Stop,
    rows: &AtomicU64,
) -> Result<Printed> {
    let mut files = Vec::new();
    let lines = output.lines();
    let lines = || lines.as_ref().map(|lines| lines.load(Ordering::Relaxed));
    let mut printer = Printer::new(&mut output, options);
    let mut watch = |progress: viking_reader::Progress| {
        rows.store(progress.rows, Ordering::Relaxed);
        if stop.is_asked() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    };
    let print_inputs = || -> Result<()> {
        let mut inputs = Queue { inputs, waiting: VecDeque::new() };
        while let Some(input) = inputs.next(ahead, &mut printer) {
            if stop.is_asked() {
                break;
            }
            let input = input?;
            let before = lines();
            let rows = printer.print(&input, &mut watch)?;
            // The next file may be long in coming.
            printer.flush()?;
            let lines = lines().zip(before).map(|(now, before)| now - before);
            let name = input.name().to_owned();
            files.push(PrintedFile { name, rows, lines });
            if stop.is_asked() || printer.is_done() {
                break;
            }
        }
        Ok(())
    };
    let outcome = print_inputs();
    // Whole rows before a failure are kept. Only a whole output is closed.
    let flushed = match &outcome {
        Ok(()) if !stop.is_asked() => printer.finish().map(drop),
        _ => printer.flush(),
    };
    let (rows, counts) = (printer.progress().rows, printer.counts());
    let text_like = printer.text_like_columns().to_vec();
    let f32_like = printer.f32_like_columns().to_vec();
    drop(printer);
    let mut is_cut_short = stop.is_asked();
    match outcome.and(flushed.map_err(Error::from)) {
        Err(failure) if is_closed_pipe(&failure) => is_cut_short = true,
        Err(failure) => {
            // What failed first is what to tell of.
            drop(output.keep());
            return Err(failure);
        }
        Ok(()) if is_cut_short => output.keep()?,
        Ok(()) => {}
    }
    Ok(Printed { files, rows, counts, text_like, f32_like, is_cut_short, output })
}

/// The inputs that are printed next.
struct Queue<I> {
    inputs: I,
    waiting: VecDeque<Result<Input>>,
}

impl<I: Iterator<Item = Result<Input>>> Queue<I> {
    /// The next input. Those behind it are shown to the printer, as many as it takes.
    fn next(&mut self, ahead: bool, printer: &mut Printer<&mut Output>) -> Option<Result<Input>> {
        if self.waiting.is_empty() {
            let next = self.inputs.next()?;
            // If it is the only one, all threads are for it.
            self.waiting.push_back(next);
        }
        while ahead && matches!(self.waiting.back(), Some(Ok(_))) && printer.can_prepare() {
            let Some(input) = self.inputs.next() else { break };
            if let Ok(input) = &input {
                printer.prepare(input);
            }
            self.waiting.push_back(input);
        }
        self.waiting.pop_front()
    }
}

/// The program behind the pipe has seen enough: that is success.
fn is_closed_pipe(error: &Error) -> bool {
    match error {
        Error::Reader(viking_reader::Error::Write(error)) => {
            error.kind() == io::ErrorKind::BrokenPipe
        }
        _ => false,
    }
}

/// Warns of what took more memory than it should, and of footers that do not add up.
pub(crate) fn warn_of_files(printed: &Printed, session: &Session) {
    let excesses = printed.files.iter().filter_map(|file| Some((file, file.rows.excess.as_ref()?)));
    if let Some((file, excess)) = excesses.max_by_key(|(_, excess)| excess.bytes) {
        let Excess { column, kind, bytes } = excess;
        session.warn(Warning::Oversize {
            bytes: *bytes,
            is_page: matches!(kind, ExcessKind::Page),
            column: column.clone(),
            file: file.name.clone(),
        });
    }
    let files = printed.files.iter().filter(|file| file.rows.other_total.is_some()).count();
    if files > 0 {
        session.warn(Warning::FooterTotals { files });
    }
}

/// Warns of values that JSON cannot hold.
pub(crate) fn warn_of_values(printed: &Printed, session: &Session) {
    let Counts { nonfinite, null_map_keys, .. } = printed.counts;
    if nonfinite > 0 {
        session.warn(Warning::Nonfinite { values: nonfinite });
    }
    if null_map_keys > 0 {
        session.warn(Warning::NullMapKeys { keys: null_map_keys });
    }
    warn_of_times(printed, session);
}

/// Warns of values that the file has and the output lost: every verb that prints rows does.
pub(crate) fn warn_of_times(printed: &Printed, session: &Session) {
    let values = printed.counts.times_out_of_range;
    if values > 0 {
        session.warn(Warning::TimesOutOfRange { values });
    }
}

/// Hints at columns that may be better printed in another way.
pub(crate) fn hint(printed: &Printed, session: &Session) {
    if !printed.text_like.is_empty() {
        session.warn(Warning::TextLike { columns: printed.text_like.clone() });
    }
    if !printed.f32_like.is_empty() {
        session.warn(Warning::F32Like { columns: printed.f32_like.clone() });
    }
}
