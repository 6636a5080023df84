//! Decodes and encodes one file on several threads and hands its rows on in order.
//!
//! Every thread does the same: it takes the next block from the reader, which decodes under a lock,
//! encodes it, and waits for its turn to hand it on. So decoding is in order and ahead of the rest by
//! as many blocks as there are threads, encoding is parallel, and memory is bounded by one block and
//! its text for each thread, however large the file or its row groups are. A slow output holds the
//! turn, and with it everything else.

use std::num::NonZeroUsize;
use std::ops::ControlFlow;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, TryLockError};

use arrow_array::RecordBatch;

use crate::batch::BatchReader;
use crate::error::Error;
use crate::jsonl::{Counts, JsonLines};
use crate::pages::Pages;

/// The text of some rows, in their order.
pub(crate) struct Text<'a> {
    pub(crate) block: &'a RecordBatch,
    pub(crate) bytes: &'a [u8],
    pub(crate) counts: Counts,
}

type Hand<'a> = dyn FnMut(Text<'_>) -> Result<ControlFlow<()>, Error> + Send + 'a;

/// Encodes all rows of `reader`, the first of which is row `first_row` of its file, and gives their
/// text to `hand` in order, until that breaks or fails.
pub(crate) fn encode(
    reader: BatchReader,
    lines: &JsonLines,
    first_row: u64,
    threads: NonZeroUsize,
    hand: &mut Hand<'_>,
) -> Result<(), Error> {
    let work = Work {
        file: reader.file().to_owned(),
        pages: reader.pages(),
        lines,
        input: Mutex::new(Input { reader, next: 0, row: first_row, is_done: false }),
        turn: Mutex::new(Turn { next: 0, is_over: false, outcome: Ok(()), hand }),
        turned: Condvar::new(),
    };
    std::thread::scope(|scope| {
        for _ in 1..threads.get() {
            scope.spawn(|| work.run());
        }
        work.run();
    });
    work.turn.into_inner().unwrap_or_else(PoisonError::into_inner).outcome
}

struct Work<'a, 'h> {
    file: String,
    pages: Arc<Pages>,
    lines: &'a JsonLines,
    input: Mutex<Input>,
    turn: Mutex<Turn<'a, 'h>>,
    /// Told when the turn goes to the next block.
    turned: Condvar,
}

struct Input {
    reader: BatchReader,
    /// The number of the next block.
    next: u64,
    /// Its first row in the file.
    row: u64,
    is_done: bool,
}

struct Turn<'a, 'h> {
    /// The block whose turn it is.
    next: u64,
    is_over: bool,
    outcome: Result<(), Error>,
    hand: &'a mut Hand<'h>,
}

impl Work<'_, '_> {
    fn run(&self) {
        let guard = EndOnPanic(self);
        let mut bytes = Vec::new();
        while let Some((number, row, block)) = self.take() {
            bytes.clear();
            let mut counts = Counts::default();
            let encoded = block.and_then(|block| {
                let encoded = self.lines.encode_rows(&block, &mut bytes, &mut counts);
                encoded.map(|()| block).map_err(|error| error.in_file(&self.file, row))
            });
            if self.pass_on(number, encoded, &bytes, counts).is_break() {
                break;
            }
        }
        drop(guard);
    }

    /// The reader, once the pages that it is about to decode are there. A thread that would wait for
    /// it reads pages ahead instead.
    fn input(&self) -> MutexGuard<'_, Input> {
        loop {
            if self.pages.read_one() {
                continue;
            }
            match self.input.try_lock() {
                Ok(input) => return input,
                Err(TryLockError::Poisoned(input)) => return input.into_inner(),
                // Looks for pages again: those that were ready are used up now.
                Err(TryLockError::WouldBlock) => drop(lock(&self.input)),
            }
        }
    }

    /// The next block with its number and its first row, or `None` at the end.
    fn take(&self) -> Option<(u64, u64, Result<RecordBatch, Error>)> {
        let mut input = self.input();
        if input.is_done {
            return None;
        }
        let block = input.reader.next_block().transpose();
        input.is_done = !matches!(block, Some(Ok(_)));
        let block = block?;
        let (number, row) = (input.next, input.row);
        input.next += 1;
        input.row += block.as_ref().map_or(0, |block| block.num_rows() as u64);
        Some((number, row, block))
    }

    /// Waits for the block's turn and hands it on.
    fn pass_on(
        &self,
        number: u64,
        encoded: Result<RecordBatch, Error>,
        bytes: &[u8],
        counts: Counts,
    ) -> ControlFlow<()> {
        let mut turn = lock(&self.turn);
        while turn.next != number && !turn.is_over {
            turn = self.turned.wait(turn).unwrap_or_else(PoisonError::into_inner);
        }
        if turn.is_over {
            return ControlFlow::Break(());
        }
        let handed = encoded.and_then(|block| (turn.hand)(Text { block: &block, bytes, counts }));
        turn.next += 1;
        match handed {
            Ok(ControlFlow::Continue(())) => {}
            Ok(ControlFlow::Break(())) => turn.is_over = true,
            Err(error) => {
                turn.outcome = Err(error);
                turn.is_over = true;
            }
        }
        let flow = if turn.is_over { ControlFlow::Break(()) } else { ControlFlow::Continue(()) };
        drop(turn);
        self.turned.notify_all();
        flow
    }
}

/// A bug on one thread must not leave the others waiting for its turn.
struct EndOnPanic<'w, 'a, 'h>(&'w Work<'a, 'h>);

impl Drop for EndOnPanic<'_, '_, '_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            lock(&self.0.turn).is_over = true;
            self.0.turned.notify_all();
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
