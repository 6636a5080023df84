//! Decodes and encodes one file on several threads and hands its rows on in order.
//!
//! Every thread does the same: it takes the next block from the reader, which decodes under a lock,
//! encodes it, and puts its text where the texts wait for their turn. Whoever brings the text whose turn
//! it is hands it on, and those that waited for it. So decoding is in order, encoding is parallel, and
//! memory is bounded: no block is more than [`BLOCKS_AHEAD`] for each thread ahead of the output, however
//! large the file or its row groups are. A slow output holds the turn, and with it everything else.

use std::collections::BTreeMap;
use std::num::NonZeroUsize;
use std::ops::ControlFlow;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, TryLockError};

use arrow_array::RecordBatch;

use crate::batch::BatchReader;
use crate::error::Error;
use crate::guard::lock;
use crate::jsonl::{Counts, JsonLines};
use crate::memory::BLOCKS_AHEAD;
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
        // Those that wait, and one more with each thread.
        blocks_ahead: (BLOCKS_AHEAD - 1) * threads.get() as u64 + 1,
        input: Mutex::new(Input { reader, next: 0, row: first_row, is_done: false }),
        turn: Mutex::new(Turn {
            next: 0,
            waiting: BTreeMap::new(),
            spare: Vec::new(),
            is_over: false,
            outcome: Ok(()),
            hand,
        }),
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
    blocks_ahead: u64,
    input: Mutex<Input>,
    turn: Mutex<Turn<'a, 'h>>,
    /// Told when the turn goes to another block.
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

/// A block whose text waits for its turn.
struct Encoded {
    block: RecordBatch,
    bytes: Vec<u8>,
    counts: Counts,
}

struct Turn<'a, 'h> {
    /// The block whose turn it is.
    next: u64,
    waiting: BTreeMap<u64, Result<Encoded, Error>>,
    /// Buffers to use again.
    spare: Vec<Vec<u8>>,
    is_over: bool,
    outcome: Result<(), Error>,
    hand: &'a mut Hand<'h>,
}

impl Work<'_, '_> {
    fn run(&self) {
        let guard = EndOnPanic(self);
        let mut bytes = Vec::new();
        while let Some((number, row, block)) = self.take() {
            let encoded = block.and_then(|block| self.encode(block, row, bytes));
            match self.pass_on(number, encoded) {
                Some(spare) => bytes = spare,
                None => break,
            }
        }
        drop(guard);
    }

    fn encode(&self, block: RecordBatch, row: u64, mut bytes: Vec<u8>) -> Result<Encoded, Error> {
        bytes.clear();
        let mut counts = Counts::default();
        let encoded = self.lines.encode_rows(&block, &mut bytes, &mut counts);
        encoded.map_err(|error| error.in_file(&self.file, row))?;
        Ok(Encoded { block, bytes, counts })
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

    /// Puts the block among those that wait for their turn and hands on all whose turn it is. Returns a
    /// buffer for the next block, or `None` if no more are wanted.
    fn pass_on(&self, number: u64, encoded: Result<Encoded, Error>) -> Option<Vec<u8>> {
        let mut turn = lock(&self.turn);
        while number >= turn.next + self.blocks_ahead && !turn.is_over {
            turn = self.turned.wait(turn).unwrap_or_else(PoisonError::into_inner);
        }
        turn.waiting.insert(number, encoded);
        if turn.hand_on() {
            self.turned.notify_all();
        }
        if turn.is_over { None } else { Some(turn.spare.pop().unwrap_or_default()) }
    }
}

impl Turn<'_, '_> {
    /// Hands on the blocks whose turn it is; whether there were any.
    fn hand_on(&mut self) -> bool {
        let before = self.next;
        while !self.is_over
            && let Some(encoded) = self.waiting.remove(&self.next)
        {
            self.next += 1;
            let handed = encoded.and_then(|Encoded { block, bytes, counts }| {
                let flow = (self.hand)(Text { block: &block, bytes: &bytes, counts });
                self.spare.push(bytes);
                flow
            });
            self.is_over = !matches!(handed, Ok(ControlFlow::Continue(())));
            if let Err(error) = handed {
                self.outcome = Err(error);
            }
        }
        self.next > before
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
