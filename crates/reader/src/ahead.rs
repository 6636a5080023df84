//! Small files, encoded before their turn comes.
//!
//! A file of a block or two gives one thread work. So the files behind the one that is printed are encoded by
//! others, each by one thread as a whole, and wait for their turn as text. What turns out to be large is left
//! to all threads together.

use std::collections::VecDeque;
use std::fmt;
use std::num::NonZeroUsize;
use std::ops::ControlFlow;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread::JoinHandle;

use crate::batch::{BatchReader, ReadOptions};
use crate::error::Error;
use crate::footer::Footer;
use crate::guard::guarded;
use crate::jsonl::{Counts, JsonLines};
use crate::memory::{Excess, Plan};
use crate::parallel;
use crate::print::{Choice, PrintOptions};
use crate::source::{FileKind, Source};

/// Files that wait for their turn, for each thread.
const FILES_AHEAD: usize = 2;

/// The part of the memory that waiting texts may take.
const SHARE: u64 = 4;

/// A file whose values take more is not small.
const SMALL_BYTES_MAX: u64 = 2 << 20;

/// A text takes this many times the bytes of its values, or fewer.
const TEXT: u64 = 4;

/// Encodes files on threads of its own, for one printer.
pub(crate) struct Ahead {
    jobs: Sender<Job>,
    queue: VecDeque<Waiting>,
    threads: Vec<JoinHandle<()>>,
    options: Arc<PrintOptions>,
    row_end: &'static [u8],
}

/// A file that was given to the threads.
struct Waiting {
    file: String,
    source: Arc<dyn Source>,
    encoded: Receiver<Option<Small>>,
}

struct Job {
    file: String,
    source: Arc<dyn Source>,
    encoded: Sender<Option<Small>>,
}

/// A small file, as far as it could be encoded.
pub(crate) struct Small {
    pub(crate) footer: Footer,
    pub(crate) columns: Vec<usize>,
    pub(crate) text: Vec<u8>,
    pub(crate) rows: u64,
    pub(crate) counts: Counts,
    pub(crate) text_like: Option<Vec<String>>,
    pub(crate) excess: Option<Excess>,
    /// What ended it early, behind its rows.
    pub(crate) failure: Option<Error>,
}

impl fmt::Debug for Ahead {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Ahead").field("files", &self.queue.len()).finish_non_exhaustive()
    }
}

impl Ahead {
    /// For files that are printed with `options`, rows ending with `row_end`.
    pub(crate) fn new(options: &PrintOptions, row_end: &'static [u8]) -> Self {
        let (jobs, _) = channel();
        let options = Arc::new(options.clone());
        Self { jobs, queue: VecDeque::new(), threads: Vec::new(), options, row_end }
    }

    /// Whether it takes another file.
    pub(crate) fn has_room(&self) -> bool {
        self.queue.len() < files_ahead(self.options.threads)
    }

    /// Takes the next file.
    pub(crate) fn add(&mut self, file: &str, source: &Arc<dyn Source>) {
        if self.threads.is_empty() {
            self.start();
        }
        let (encoded, waiting) = channel();
        let job = Job { file: file.to_owned(), source: Arc::clone(source), encoded };
        if self.jobs.send(job).is_ok() {
            let (file, source) = (file.to_owned(), Arc::clone(source));
            self.queue.push_back(Waiting { file, source, encoded: waiting });
        }
    }

    /// The file as it was encoded, if it was given before and is small.
    pub(crate) fn take(&mut self, file: &str, source: &Arc<dyn Source>) -> Option<Small> {
        let is_next = |next: &Waiting| next.file == file && Arc::ptr_eq(&next.source, source);
        if !self.queue.front().is_some_and(is_next) {
            return None;
        }
        self.queue.pop_front()?.encoded.recv().ok().flatten()
    }

    /// Whether texts may be waiting.
    pub(crate) fn is_busy(&self) -> bool {
        !self.queue.is_empty()
    }

    fn start(&mut self) {
        let (jobs, taken) = channel();
        self.jobs = jobs;
        let taken = Arc::new(std::sync::Mutex::new(taken));
        for _ in 0..self.options.threads.get() {
            let (taken, options, row_end) =
                (Arc::clone(&taken), Arc::clone(&self.options), self.row_end);
            let work = move || {
                while let Some(Job { file, source, encoded }) = next_job(&taken) {
                    // Whatever is wrong with it is found again when its turn comes.
                    let small = guarded(|| encode(&file, source, &options, row_end));
                    drop(encoded.send(small.unwrap_or_default()));
                }
            };
            // Without a thread the files are printed in their turn.
            if let Ok(thread) = std::thread::Builder::new().spawn(work) {
                self.threads.push(thread);
            }
        }
    }
}

impl Drop for Ahead {
    fn drop(&mut self) {
        self.queue.clear();
        (self.jobs, _) = channel();
        for thread in self.threads.drain(..) {
            drop(thread.join());
        }
    }
}

fn next_job(jobs: &std::sync::Mutex<Receiver<Job>>) -> Option<Job> {
    crate::guard::lock(jobs).recv().ok()
}

fn files_ahead(threads: NonZeroUsize) -> usize {
    FILES_AHEAD * threads.get()
}

/// The memory that is left to a file that is printed meanwhile.
pub(crate) fn memory_beside(bytes: u64) -> u64 {
    bytes - bytes / SHARE * 2
}

/// Encodes a file, or `None` if it is not small, or no Parquet file that can be printed.
fn encode(
    file: &str,
    source: Arc<dyn Source>,
    options: &PrintOptions,
    row_end: &'static [u8],
) -> Option<Small> {
    if !matches!(FileKind::of(file, source.as_ref()), Ok(FileKind::Parquet)) {
        return None;
    }
    // Texts that wait take as much as the threads that work on others.
    let share = options.memory / SHARE / files_ahead(options.threads) as u64;
    let footer = Footer::read(file, &source).ok()?;
    let columns = Choice::of(options).columns(file, footer.schema()).ok()?;
    let bytes = footer.row_bytes(&columns).saturating_mul(footer.rows());
    if bytes > SMALL_BYTES_MAX.min(share / TEXT) {
        return None;
    }
    let rows = footer.rows();
    let plan = Plan::new(&footer, &columns, rows, options.batch_rows, NonZeroUsize::MIN, share * 2);
    let read = ReadOptions { batch_rows: options.batch_rows, ..ReadOptions::default() };
    let memory = Arc::clone(&plan.memory);
    let reader = BatchReader::planned(file, source, footer.clone(), &columns, &read, &plan).ok()?;
    let lines = JsonLines::new(file, reader.schema(), &options.json).ok()?.with_row_end(row_end);
    let mut small = Small {
        footer,
        columns,
        text: Vec::new(),
        rows: 0,
        counts: Counts::default(),
        text_like: None,
        excess: None,
        failure: None,
    };
    let mut is_small = true;
    let outcome = parallel::encode(reader, &lines, NonZeroUsize::MIN, &mut |text| {
        is_small = (small.text.len() + text.bytes.len()) as u64 <= share;
        if !is_small {
            return Ok(ControlFlow::Break(()));
        }
        small.text.extend_from_slice(text.bytes);
        small.rows += text.rows;
        small.counts += text.counts;
        small.text_like = small.text_like.take().or(text.looks_textual);
        Ok(ControlFlow::Continue(()))
    });
    small.excess = memory.excess();
    small.failure = outcome.err();
    is_small.then_some(small)
}
