//! Prints files in order on a thread of its own, while later ones still download.

use std::collections::{BTreeMap, VecDeque};
use std::io;
use std::ops::ControlFlow;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::mpsc::Receiver;
use std::time::Duration;

use bytesize::ByteSize;
use tokio::sync::Notify;
use viking_fetch::Lead;
use viking_reader::{
    Counts, Error, Excess, ExcessKind, FileRows, FileSource, PrintOptions, Printer, Source,
};

use crate::exit::{Exit, Failure, Outcome};
use crate::output::Output;
use crate::plain::one_line;
use crate::report::Report;
use crate::versions::{Stale, Version, Versions};

/// Told to stop, printing ends at the end of a batch.
#[derive(Debug, Clone, Default)]
pub(crate) struct Stop {
    asked: Arc<AtomicBool>,
    call: Arc<Notify>,
    printers: Arc<AtomicUsize>,
}

impl Stop {
    /// Asks all printing to stop.
    pub(crate) fn ask(&self) {
        self.asked.store(true, Ordering::SeqCst);
        self.call.notify_one();
    }

    /// Waits until stopping is asked for.
    pub(crate) async fn asked(&self) {
        self.call.notified().await;
    }

    fn is_asked(&self) -> bool {
        self.asked.load(Ordering::SeqCst)
    }

    /// Waits until nothing prints any more.
    pub(crate) async fn wait_until_idle(&self) {
        while self.printers.load(Ordering::SeqCst) > 0 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }
}

/// A file to print: its name in messages, and its bytes.
pub(crate) type Input = (String, Arc<dyn Source>);

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
    /// The reader of stdout went away, or we were told to stop.
    pub(crate) is_cut_short: bool,
    /// `--limit` or `--offset` leaves rows out.
    pub(crate) is_partial: bool,
    /// Where they went. A file gets its name when it is finished.
    pub(crate) output: Output,
}

/// Prints `inputs` in their order. `rows` is kept up to date for others to watch.
///
/// `ahead` says whether inputs are there without a wait, so that small ones can be encoded before their turn.
pub(crate) fn print(
    inputs: impl Iterator<Item = Outcome<Input>>,
    ahead: bool,
    options: PrintOptions,
    output: Output,
    stop: &Stop,
    rows: &AtomicU64,
) -> Outcome<Printed> {
    let mut inputs = inputs.peekable();
    // Who stops us while we wait for the first file need not wait for us: nothing is printed yet. From here on
    // either we see that we are to stop, or it is seen that we print.
    inputs.peek();
    stop.printers.fetch_add(1, Ordering::SeqCst);
    let printed = print_all(inputs, ahead, options, output, stop, rows);
    stop.printers.fetch_sub(1, Ordering::SeqCst);
    printed
}

fn print_all(
    inputs: impl Iterator<Item = Outcome<Input>>,
    ahead: bool,
    options: PrintOptions,
    mut output: Output,
    stop: &Stop,
    rows: &AtomicU64,
) -> Outcome<Printed> {
    let is_partial = options.limit.is_some() || options.offset > 0;
    let mut files = Vec::new();
    let lines = output.lines();
    let lines = || lines.as_ref().map(|lines| lines.load(Ordering::Relaxed));
    let mut printer = Printer::new(&mut output, options);
    let mut watch = |progress: viking_reader::Progress| {
        rows.store(progress.rows, Ordering::Relaxed);
        if stop.is_asked() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    };
    let print_inputs = || -> Outcome<()> {
        let mut inputs = Queue { inputs, waiting: VecDeque::new() };
        while let Some(input) = inputs.next(ahead, &mut printer) {
            if stop.is_asked() {
                break;
            }
            let (name, source) = input?;
            let before = lines();
            let rows = printer.print(&name, source, &mut watch)?;
            // The next file may be long in coming.
            printer.flush()?;
            let lines = lines().zip(before).map(|(now, before)| now - before);
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
    drop(printer);
    let mut is_cut_short = stop.is_asked();
    match outcome.and(flushed.map_err(Failure::from)) {
        Err(failure) if is_closed_pipe(&failure) => is_cut_short = true,
        Err(failure) => {
            // What failed first is what to tell of.
            drop(output.keep());
            return Err(failure);
        }
        Ok(()) if is_cut_short => output.keep()?,
        Ok(()) => {}
    }
    Ok(Printed { files, rows, counts, text_like, is_cut_short, is_partial, output })
}

/// The inputs that are printed next.
struct Queue<I> {
    inputs: I,
    waiting: VecDeque<Outcome<Input>>,
}

impl<I: Iterator<Item = Outcome<Input>>> Queue<I> {
    /// The next input. Those behind it are shown to the printer, as many as it takes.
    fn next(&mut self, ahead: bool, printer: &mut Printer<&mut Output>) -> Option<Outcome<Input>> {
        if self.waiting.is_empty() {
            let next = self.inputs.next()?;
            // If it is the only one, all threads are for it.
            self.waiting.push_back(next);
        }
        while ahead && matches!(self.waiting.back(), Some(Ok(_))) && printer.can_prepare() {
            let Some(input) = self.inputs.next() else { break };
            if let Ok((name, source)) = &input {
                printer.prepare(name, source);
            }
            self.waiting.push_back(input);
        }
        self.waiting.pop_front()
    }
}

/// The program behind the pipe has seen enough: that is success.
fn is_closed_pipe(failure: &Failure) -> bool {
    match failure.error.downcast_ref::<Error>() {
        Some(Error::Write(error)) => error.kind() == io::ErrorKind::BrokenPipe,
        _ => false,
    }
}

/// A file that has landed: its place in the receipt, and what it is.
pub(crate) type LandedFile = (usize, Version);

/// Files of a folder in order, each as soon as it has landed.
pub(crate) struct Landing {
    folder: PathBuf,
    names: Vec<String>,
    landed: Receiver<LandedFile>,
    waiting: BTreeMap<usize, Version>,
    next: usize,
    lead: Lead,
    versions: Versions,
    /// The file that is printed.
    current: Option<Version>,
}

impl Landing {
    /// `landed` brings files of `names` as they land, in any order; when it is closed, nothing more will.
    /// `lead` and `versions` are told what becomes of them.
    pub(crate) fn new(
        folder: PathBuf,
        names: Vec<String>,
        landed: Receiver<LandedFile>,
        lead: Lead,
        versions: Versions,
    ) -> Self {
        let waiting = BTreeMap::new();
        Self { folder, names, landed, waiting, next: 0, lead, versions, current: None }
    }

    fn open_next(&mut self, version: Version) -> Outcome<Input> {
        let stale = |stale: Stale| Failure::new(Exit::Data, stale);
        self.versions.begin(version.clone()).map_err(stale)?;
        let path = self.folder.join(&self.names[self.next]);
        self.next += 1;
        self.current = Some(version);
        open(&path.display().to_string(), &path)
    }
}

impl Iterator for Landing {
    type Item = Outcome<Input>;

    fn next(&mut self) -> Option<Self::Item> {
        // The file before is printed.
        if let Some(before) = self.current.take() {
            self.lead.set_used(before.key());
        }
        if self.next == self.names.len() {
            let ended = self.versions.end().err();
            return ended.map(|stale| Err(Failure::new(Exit::Data, stale)));
        }
        let version = loop {
            if let Some(version) = self.waiting.remove(&self.next) {
                break version;
            }
            match self.landed.recv() {
                Ok((place, version)) => drop(self.waiting.insert(place, version)),
                // The download says why; here it matters that this is no end of the rows.
                Err(_) => {
                    return Some(Err(Failure::say(Exit::Transfer, "the download ended early")));
                }
            }
        };
        Some(self.open_next(version))
    }
}

/// Opens a local file under the name it has in messages.
pub(crate) fn open(name: &str, path: &std::path::Path) -> Outcome<Input> {
    Ok((name.to_owned(), Arc::new(FileSource::open(path)?)))
}

/// Says what was larger than `--memory`, and whose footer does not add up.
pub(crate) fn report_files(printed: &Printed, report: &Report) {
    let excesses = printed.files.iter().filter_map(|file| Some((file, file.rows.excess.as_ref()?)));
    if let Some((file, excess)) = excesses.max_by_key(|(_, excess)| excess.bytes) {
        let Excess { column, kind, bytes } = excess;
        let what = match kind {
            ExcessKind::Page => "a page",
            _ => "a row",
        };
        let place =
            if column.is_empty() { String::new() } else { format!(" in column {column:?}") };
        report.warn(&format!(
            "{what} of {}{place} of {} is more than --memory had room for, and was taken all the same",
            ByteSize(*bytes).display().iec(),
            one_line(&file.name)
        ));
    }
    let others = printed.files.iter().filter(|file| file.rows.other_total.is_some()).count();
    if others > 0 {
        report.warn(&format!(
            "{others} files state another number of rows than their row groups have; all rows were printed"
        ));
    }
}

/// Says what became of values that JSON cannot hold.
pub(crate) fn report_values(printed: &Printed, report: &Report) {
    let Counts { nonfinite, null_map_keys, times_out_of_range } = printed.counts;
    if nonfinite > 0 {
        report.warn(&format!(
            "{nonfinite} NaN or infinite values were printed as null (--nonfinite)"
        ));
    }
    if null_map_keys > 0 {
        report.warn(&format!("{null_map_keys} null map keys were printed as \"null\""));
    }
    report_times(times_out_of_range, report);
}

/// Says that values are lost which the file has: every verb that prints rows does.
pub(crate) fn report_times(times_out_of_range: u64, report: &Report) {
    if times_out_of_range > 0 {
        report.warn(&format!(
            "{times_out_of_range} times of day outside 0–24 h were printed as null"
        ));
    }
}

/// Hints at text in binary columns.
pub(crate) fn report_text_like(printed: &Printed, report: &Report) {
    if !printed.text_like.is_empty() {
        let columns = printed.text_like.join(", ");
        report.warn(&format!(
            "binary columns that look like text: {columns}; --binary utf8 prints them as text"
        ));
    }
}
