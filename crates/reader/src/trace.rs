//! What the tasks of printing take of a processor, measured for `benches/scaling`, which simulates machines of
//! more of them. Without the feature `trace` nothing is measured.

pub(crate) use task::{note, started, task};

#[cfg(feature = "trace")]
pub use task::{Task, start_at_most, take};

/// The parts of the work.
#[cfg_attr(not(feature = "trace"), expect(unreachable_pub, reason = "public with the feature"))]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Reading and decompressing a page, at this place in the file.
    Page,
    /// Decoding a block, of this number, with the decoder whose number stands for its bytes.
    Decode,
    /// The text of a block.
    Encode,
    /// Handing the text of a block to the output.
    Hand,
    /// A block is the one that is decoded as a page is asked for: the number of the block, and for bytes the place
    /// of the page.
    Need,
    /// No task: the bytes of pages that may be ready ahead.
    Ready,
}

#[cfg(not(feature = "trace"))]
mod task {
    use super::Kind;

    #[inline]
    pub(crate) fn task<T>(_: Kind, _: u64, _: u64, work: impl FnOnce() -> T) -> T {
        work()
    }

    #[inline]
    pub(crate) fn note(_: Kind, _: u64) {}

    #[inline]
    pub(crate) fn started(threads: usize) -> usize {
        threads
    }
}

#[cfg(feature = "trace")]
mod task {
    use std::cell::Cell;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use parking_lot::Mutex;
    use rustix::time::{ClockId, clock_gettime};

    use super::Kind;

    /// A task that was done.
    #[derive(Debug, Clone, Copy)]
    pub struct Task {
        /// What it was.
        pub kind: Kind,
        /// Which of its kind.
        pub number: u64,
        /// What it made.
        pub bytes: u64,
        /// Processor time that it took, in nanoseconds, without that of tasks within it.
        pub nanos: u64,
    }

    static DONE: Mutex<Vec<Task>> = Mutex::new(Vec::new());

    static STARTED_MAX: AtomicUsize = AtomicUsize::new(usize::MAX);

    thread_local! {
        static WITHIN: Cell<u64> = const { Cell::new(0) };
        static BLOCK: Cell<u64> = const { Cell::new(0) };
    }

    /// The tasks that were done since the last call.
    pub fn take() -> Vec<Task> {
        std::mem::take(&mut DONE.lock())
    }

    pub(crate) fn task<T>(kind: Kind, number: u64, bytes: u64, work: impl FnOnce() -> T) -> T {
        if kind == Kind::Decode {
            BLOCK.set(number);
        }
        let outer = WITHIN.replace(0);
        let start = now();
        let made = work();
        let spent = now() - start;
        let nanos = spent - WITHIN.get();
        WITHIN.set(outer + spent);
        DONE.lock().push(Task { kind, number, bytes, nanos });
        made
    }

    /// What is no task, with the block that the thread decodes.
    pub(crate) fn note(kind: Kind, bytes: u64) {
        DONE.lock().push(Task { kind, number: BLOCK.get(), bytes, nanos: 0 });
    }

    /// From now on work that is planned for more threads is done by so many: tasks of threads that share a
    /// processor disturb each other.
    pub fn start_at_most(threads: usize) {
        STARTED_MAX.store(threads, Ordering::Relaxed);
    }

    pub(crate) fn started(threads: usize) -> usize {
        threads.min(STARTED_MAX.load(Ordering::Relaxed))
    }

    /// Nanoseconds that the thread ran.
    fn now() -> u64 {
        let time = clock_gettime(ClockId::ThreadCPUTime);
        time.tv_sec.unsigned_abs() * 1_000_000_000 + time.tv_nsec.unsigned_abs()
    }
}
