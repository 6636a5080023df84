//! Small files, encoded before their turn comes.
//!
//! A file of a block or two gives one thread work. So the files behind the one that is printed are encoded by
//! others, each by one thread as a whole, and wait for their turn as text. Who would wait for a text encodes
//! another file meanwhile. What turns out to be large is left to all threads together.

use std::collections::VecDeque;
use std::fmt;
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, TryRecvError, channel};
use std::thread::JoinHandle;

use arrow_array::RecordBatch;
use parking_lot::{Condvar, Mutex};

use crate::batch::{BatchReader, ReadOptions};
use crate::error::Error;
use crate::footer::Footer;
use crate::guard::guarded;
use crate::jsonl::{Counts, Hints, JsonLines};
use crate::memory::{Excess, Held, Memory, Plan};
use crate::options::{Choice, PrintOptions};
use crate::source::{FileKind, Input};

/// Files that wait for their turn, for each thread.
const FILES_AHEAD: usize = 2;

/// The part of the memory that files ahead may take.
const SHARE: u64 = 2;

/// The part of that which one of them may take.
const SHARE_OF_ONE: u64 = 4;

/// A file whose values take more is not small.
const SMALL_BYTES_MAX: u64 = 2 << 20;

/// A text takes this many times the bytes of its values, or fewer.
const TEXT: u64 = 4;

/// Encodes files on threads of its own, for one printer.
pub(crate) struct Ahead {
    work: Arc<Work>,
    queue: VecDeque<Waiting>,
    threads: Vec<JoinHandle<()>>,
    /// The number of the next file.
    next: u64,
}

/// A file that was given to the threads.
struct Waiting {
    number: u64,
    file: Input,
    encoded: Receiver<Option<Small>>,
}

struct Job {
    number: u64,
    file: Input,
    encoded: Sender<Option<Small>>,
}

/// What the threads share.
struct Work {
    options: PrintOptions,
    row_end: &'static [u8],
    jobs: Mutex<Jobs>,
    added: Condvar,
    /// Counts what files ahead hold.
    memory: Arc<Memory>,
    memory_bytes: u64,
    /// That of the last file, whose columns others may share.
    footer: Mutex<Option<Footer>>,
    /// Buffers to use again.
    spare: Mutex<Vec<Vec<u8>>>,
}

#[derive(Default)]
struct Jobs {
    waiting: VecDeque<Job>,
    is_over: bool,
}

/// A small file, as far as it could be encoded.
pub(crate) struct Small {
    pub(crate) footer: Footer,
    pub(crate) columns: Vec<usize>,
    pub(crate) text: Vec<u8>,
    pub(crate) rows: u64,
    pub(crate) counts: Counts,
    pub(crate) hints: Option<Hints>,
    pub(crate) excess: Option<Excess>,
    /// What ended it early, behind its rows.
    pub(crate) failure: Option<Error>,
    held: Held,
}

impl fmt::Debug for Ahead {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Ahead").field("files", &self.queue.len()).finish_non_exhaustive()
    }
}

impl Ahead {
    /// For files that are printed with `options`, rows ending with `row_end`.
    pub(crate) fn new(options: &PrintOptions, row_end: &'static [u8]) -> Self {
        let memory_bytes = options.memory_bytes / SHARE;
        let work = Work {
            options: options.clone(),
            row_end,
            jobs: Mutex::default(),
            added: Condvar::new(),
            memory: Memory::new(memory_bytes),
            memory_bytes,
            footer: Mutex::default(),
            spare: Mutex::default(),
        };
        Self { work: Arc::new(work), queue: VecDeque::new(), threads: Vec::new(), next: 0 }
    }

    /// Whether it takes another file.
    pub(crate) fn has_room(&self) -> bool {
        self.queue.len() < FILES_AHEAD * self.work.options.threads.get()
    }

    /// Takes the next file.
    pub(crate) fn add(&mut self, file: &Input) {
        if self.threads.is_empty() {
            self.start();
        }
        let (encoded, waiting) = channel();
        let number = self.next;
        self.next += 1;
        self.work.memory.begin(number);
        let job = Job { number, file: file.clone(), encoded };
        self.work.jobs.lock().waiting.push_back(job);
        self.work.added.notify_one();
        self.queue.push_back(Waiting { number, file: file.clone(), encoded: waiting });
    }

    /// The file as it was encoded, if it was given before and is small.
    pub(crate) fn take(&mut self, file: &Input) -> Option<Small> {
        if !self.queue.front().is_some_and(|next| next.file.is_same(file)) {
            return None;
        }
        let Waiting { number, encoded, .. } = self.queue.pop_front()?;
        let small = loop {
            match encoded.try_recv() {
                Ok(small) => break small,
                Err(TryRecvError::Disconnected) => break None,
                Err(TryRecvError::Empty) => {}
            }
            let Some(job) = self.work.jobs.lock().waiting.pop_front() else {
                break encoded.recv().ok().flatten();
            };
            self.work.finish(&job, false);
        };
        self.work.memory.end(number);
        small
    }

    /// Takes a buffer back to use it again.
    pub(crate) fn take_back(&self, mut text: Vec<u8>) {
        text.clear();
        self.work.spare.lock().push(text);
    }

    /// Whether texts may be waiting.
    pub(crate) fn is_busy(&self) -> bool {
        !self.queue.is_empty()
    }

    /// Starts the threads, but for the one that prints.
    fn start(&mut self) {
        for _ in 1..self.work.options.threads.get() {
            let work = Arc::clone(&self.work);
            let run = move || {
                while let Some(job) = work.next_job() {
                    work.finish(&job, true);
                }
            };
            // Without a thread the files are encoded by who prints.
            if let Ok(thread) = std::thread::Builder::new().spawn(run) {
                self.threads.push(thread);
            }
        }
    }
}

impl Drop for Ahead {
    fn drop(&mut self) {
        let mut jobs = self.work.jobs.lock();
        (jobs.waiting, jobs.is_over) = (VecDeque::new(), true);
        drop(jobs);
        self.work.added.notify_all();
        self.work.memory.stop_waiting();
        for thread in self.threads.drain(..) {
            drop(thread.join());
        }
    }
}

/// The memory that is left to a file that is printed meanwhile.
pub(crate) fn memory_beside(bytes: u64) -> u64 {
    bytes - bytes / SHARE
}

impl Work {
    fn next_job(&self) -> Option<Job> {
        let mut jobs = self.jobs.lock();
        while jobs.waiting.is_empty() && !jobs.is_over {
            self.added.wait(&mut jobs);
        }
        jobs.waiting.pop_front()
    }

    /// Encodes a file. Whatever is wrong with it is found again when its turn comes.
    fn finish(&self, job: &Job, may_wait: bool) {
        let small = guarded(|| self.encode(job, may_wait));
        drop(job.encoded.send(small.unwrap_or_default()));
    }

    /// Encodes a file, or `None` if it is not small, or no Parquet file that can be printed. If there is no room for
    /// it, it waits for those before it, or is left.
    fn encode(&self, job: &Job, may_wait: bool) -> Option<Small> {
        let file = &job.file;
        let options = &self.options;
        if !matches!(FileKind::of(file), Ok(FileKind::Parquet)) {
            return None;
        }
        let before = self.footer.lock().clone();
        let footer = Footer::read_after(before.as_ref(), file).ok()?;
        *self.footer.lock() = Some(footer.clone());
        let columns = Choice::of(options).columns(file.name(), footer.schema()).ok()?;
        let bytes = footer.row_bytes(&columns).saturating_mul(footer.rows());
        let needed = bytes.saturating_mul(TEXT).saturating_add(footer.page_bytes(&columns));
        let bytes_max = self.memory_bytes / SHARE_OF_ONE;
        if bytes > SMALL_BYTES_MAX || needed > bytes_max {
            return None;
        }
        if !self.memory.has_room(needed) {
            if !may_wait {
                return None;
            }
            self.memory.wait_for_those_before(job.number);
        }
        let held = self.memory.take(needed);
        let (rows, batch_rows) = (footer.rows(), options.batch_rows);
        let plan = Plan::new(&footer, &columns, rows, batch_rows, NonZeroUsize::MIN, bytes_max);
        let memory = Arc::clone(&plan.memory);
        let read = ReadOptions {
            batch_rows,
            narrow_floats: options.narrow_floats,
            ..ReadOptions::default()
        };
        let reader = BatchReader::planned(file, footer.clone(), &columns, &read, &plan).ok()?;
        let lines = JsonLines::new(file.name(), reader.schema(), &options.json).ok()?;
        let lines = lines.with_row_end(self.row_end);
        let mut small = Small {
            footer,
            columns,
            text: self.spare.lock().pop().unwrap_or_default(),
            rows: 0,
            counts: Counts::default(),
            hints: None,
            excess: None,
            failure: None,
            held,
        };
        let is_whole = small.add_rows(
            file.name(),
            reader,
            &lines,
            usize::try_from(bytes_max).unwrap_or(usize::MAX),
        );
        small.held.set(small.text.capacity() as u64);
        small.excess = memory.excess();
        is_whole.then_some(small)
    }
}

impl Small {
    /// Encodes the rows of a file; whether their text is no longer than it may be.
    fn add_rows(
        &mut self,
        file: &str,
        mut reader: BatchReader,
        lines: &JsonLines,
        bytes_max: usize,
    ) -> bool {
        loop {
            let added = reader.next_block(0).and_then(|block| {
                let Some(block) = block else { return Ok(None) };
                self.add(file, &block.batch, lines, bytes_max).map(Some)
            });
            match added {
                Ok(Some(true)) => {}
                Ok(Some(false)) => return false,
                Ok(None) => return true,
                Err(failure) => {
                    self.failure = Some(failure);
                    return true;
                }
            }
        }
    }

    fn add(
        &mut self,
        file: &str,
        batch: &RecordBatch,
        lines: &JsonLines,
        bytes_max: usize,
    ) -> Result<bool, Error> {
        let mut rows = lines.bind(batch).map_err(|error| error.in_file(file, self.rows))?;
        if self.rows == 0 {
            self.hints = Some(rows.hints(batch));
        }
        let all = 0..batch.num_rows();
        let end = rows.encode(all.clone(), bytes_max, &mut self.text, &mut self.counts);
        self.rows += batch.num_rows() as u64;
        self.held.set(self.held.bytes().max(self.text.capacity() as u64));
        Ok(end == all.end)
    }
}
