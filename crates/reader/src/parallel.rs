//! Decodes and encodes one file on several threads and hands its rows on in order.
//!
//! Every thread does the same: it takes the next block from the reader, which decodes under a lock,
//! encodes it, and puts its text where the texts wait for their turn. Whoever brings the text whose turn
//! it is hands it on, and those that waited for it. So decoding is in order, encoding is parallel, and
//! memory is bounded: no block is more than [`BLOCKS_AHEAD`] for each thread ahead of the output, however
//! large the file or its row groups are, and a text for which there is no room is handed on in pieces when
//! its turn comes. A slow output holds the turn, and with it everything else.

use std::collections::BTreeMap;
use std::num::NonZeroUsize;
use std::ops::{ControlFlow, Range};
use std::sync::Arc;

use parking_lot::{Condvar, Mutex, MutexGuard};

use crate::batch::BatchReader;
use crate::error::Error;
use crate::jsonl::{Counts, Hints, JsonLines, Rows};
use crate::lanes::Lanes;
use crate::memory::{BLOCKS_AHEAD, Excess, ExcessKind, Held, Memory};
use crate::reading::{Block, SharedPages};
use crate::trace::{Kind, started, task};

/// The room that a text gets at a time.
const TEXT_STEP_BYTES: usize = 1 << 18;

/// Blocks of no more rows than these are looked at for long ones.
const FEW_ROWS: usize = 16;

/// The text of a value takes about so many times its bytes: digits of floats, and buffers that grow.
const LIKELY_TEXT: u64 = 2;

/// Buffers that became larger than this for one text are not used again.
const SPARE_BYTES_MAX: usize = 4 << 20;

/// Whole rows of text, in their order.
pub(crate) struct Text<'a> {
    pub(crate) bytes: &'a [u8],
    pub(crate) rows: u64,
    pub(crate) counts: Counts,
    /// Binary columns that hold text, found in the first block.
    pub(crate) hints: Option<Hints>,
}

type Hand<'a> = dyn FnMut(Text<'_>) -> Result<ControlFlow<()>, Error> + Send + 'a;

/// Encodes all rows of `reader`, the first of which is row `first_row` of its file, and gives their
/// text to `hand` in order, until that breaks or fails.
pub(crate) fn encode(
    reader: BatchReader,
    lines: &JsonLines,
    threads: NonZeroUsize,
    hand: &mut Hand<'_>,
) -> Result<(), Error> {
    let plan = &reader.reading().plan;
    let lanes = (plan.lanes > 1).then(|| Lanes::of(&reader));
    let work = Work {
        file: reader.file().into(),
        pages: lanes.as_ref().map_or_else(|| reader.pages(), Lanes::pages),
        memory: Arc::clone(&plan.memory),
        text_bytes: plan.text_bytes,
        lines,
        // Those that wait, and one more with each thread.
        blocks_ahead: (BLOCKS_AHEAD - 1) * threads.get() as u64 + 1,
        input: Mutex::new(Serial {
            next: 0,
            row: reader.rows().start,
            reader: lanes.is_none().then_some(reader),
            is_done: false,
        }),
        lanes,
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
        for _ in 1..started(threads.get()) {
            scope.spawn(|| work.run());
        }
        work.run();
    });
    work.turn.into_inner().outcome
}

struct Work<'a, 'h> {
    file: Arc<str>,
    pages: SharedPages,
    memory: Arc<Memory>,
    /// A text of more bytes is handed on in pieces.
    text_bytes: u64,
    lines: &'a JsonLines,
    blocks_ahead: u64,
    /// Several decoders, if there are threads for them.
    lanes: Option<Lanes>,
    /// The one decoder of what the lanes leave.
    input: Mutex<Serial>,
    turn: Mutex<Turn<'a, 'h>>,
    /// Told when the turn goes to another block.
    turned: Condvar,
}

struct Serial {
    /// Made once the lanes are done.
    reader: Option<BatchReader>,
    /// The number of the next block.
    next: u64,
    /// Its first row in the file.
    row: u64,
    is_done: bool,
}

/// A block on its way to its text.
struct Taken {
    number: u64,
    /// Its first row in the file.
    row: u64,
    /// `None` if its lane could not decode it.
    block: Option<Result<Block, Error>>,
}

/// The text of a block, or of the rest of it.
struct Encoded {
    text: Vec<u8>,
    rows: u64,
    counts: Counts,
    hints: Option<Hints>,
    held: Held,
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
        let mut text = Vec::new();
        while let Some(Taken { number, row, block }) = self.take() {
            let encoded = match block {
                Some(block) => block.and_then(|block| {
                    let encode = || self.encode(number, &block, row, text);
                    task(Kind::Encode, number, 0, encode)
                }),
                None => self.encode_alone(number, row, text),
            };
            match self.pass_on(number, encoded) {
                Some(spare) => text = spare,
                None => break,
            }
        }
        drop(guard);
    }

    /// The text of a block. What there is no room for is handed on before.
    fn encode(
        &self,
        number: u64,
        block: &Block,
        row: u64,
        mut text: Vec<u8>,
    ) -> Result<Encoded, Error> {
        text.clear();
        let batch = &block.batch;
        let bound = self.lines.bind(batch);
        let mut bound = bound.map_err(|error| error.in_file(&self.file, row))?;
        let hints = (number == 0).then(|| bound.hints(batch));
        let mut encoded = Encoded { hints, ..Encoded::new(text, &self.memory) };
        let mut start = 0;
        while start < batch.num_rows() {
            let likely = self.likely_bytes(&bound, start..batch.num_rows());
            encoded.held.set(encoded.text.capacity() as u64 + likely);
            if likely > TEXT_STEP_BYTES as u64 && !self.memory.has_room(0) {
                // The text of a row that there is no room for is made when its turn comes, so that there is one.
                self.hand_on_rows(number, &mut encoded)?;
            }
            let stop_bytes = encoded.text.len() + TEXT_STEP_BYTES;
            let rows = start..batch.num_rows();
            let end = bound.encode(rows, stop_bytes, &mut encoded.text, &mut encoded.counts);
            encoded.rows += (end - start) as u64;
            self.memory.note_text(encoded.rows, encoded.text.len() as u64);
            encoded.held.set(encoded.text.capacity() as u64);
            if end < batch.num_rows() && !self.has_room(&encoded) {
                self.hand_on_rows(number, &mut encoded)?;
            }
            let is_long = encoded.text.len() as u64 > self.memory.long_row_bytes();
            if end == start + 1 && is_long && !self.memory.has_room(0) {
                let (column, bytes) = (bound.longest(start), encoded.text.len() as u64);
                self.memory.exceed(Excess { column, kind: ExcessKind::Row, bytes });
            }
            start = end;
        }
        Ok(encoded)
    }

    /// The rest of the text of a block that its lane could not decode: with a reader of its own, when its turn
    /// comes.
    fn encode_alone(&self, number: u64, mut row: u64, text: Vec<u8>) -> Result<Encoded, Error> {
        let mut encoded = Encoded::new(text, &self.memory);
        let Some(lanes) = &self.lanes else { return Ok(encoded) };
        self.memory.wait_for_those_before(number);
        lanes.free_idle();
        let mut reader = lanes.reader_of(number);
        while let Some(block) = reader.next_block(number)? {
            encoded = self.encode(number, &block, row, encoded.text)?;
            row += block.batch.num_rows() as u64;
            self.hand_on_rows(number, &mut encoded)?;
        }
        Ok(encoded)
    }

    /// What the text of the next row takes, if it may be long.
    fn likely_bytes(&self, bound: &Rows<'_>, rows: Range<usize>) -> u64 {
        let before = self.memory.row_text_bytes();
        // Blocks of long rows have few of them.
        if rows.len() > FEW_ROWS && before < TEXT_STEP_BYTES as u64 {
            return 0;
        }
        before.max(bound.likely_bytes(rows.start) as u64 * LIKELY_TEXT)
    }

    /// Whether a text may become longer. Its buffer grows by doubling.
    fn has_room(&self, encoded: &Encoded) -> bool {
        let (used, capacity) = (encoded.text.len(), encoded.text.capacity());
        let more = if capacity - used < TEXT_STEP_BYTES { capacity } else { 0 };
        (used as u64) < self.text_bytes && self.memory.has_room(more as u64)
    }

    /// Waits for the block's turn and hands on the rows that are encoded.
    fn hand_on_rows(&self, number: u64, encoded: &mut Encoded) -> Result<(), Error> {
        let mut turn = self.turn.lock();
        while turn.next != number && !turn.is_over {
            self.turned.wait(&mut turn);
        }
        if !turn.is_over {
            let flow = turn.hand(encoded)?;
            if flow.is_break() {
                self.end(&mut turn);
            }
        }
        encoded.begin_anew();
        Ok(())
    }

    /// Nothing more is wanted.
    fn end(&self, turn: &mut Turn<'_, '_>) {
        turn.is_over = true;
        self.memory.stop_waiting();
        self.turned.notify_all();
    }

    /// The next block, or `None` at the end.
    fn take(&self) -> Option<Taken> {
        let lane = self.lanes.as_ref().and_then(|lanes| {
            let number = lanes.begin()?;
            self.wait_for_room(number);
            let mut lane = self.lock_or_read_ahead(lanes.of_block(number)?);
            let (number, block) = lanes.next(&mut lane);
            Some(Taken { number, row: lanes.rows_of(number).start, block: block.map(Ok) })
        });
        lane.or_else(|| self.take_from_one())
    }

    fn take_from_one(&self) -> Option<Taken> {
        let mut input = self.lock_or_read_ahead(&self.input);
        let Serial { reader, next, row, is_done } = &mut *input;
        if *is_done {
            return None;
        }
        if let (None, Some(lanes)) = (&reader, &self.lanes) {
            lanes.free_idle();
            let (first, rest) = lanes.reader_of_rest();
            (*next, *row, *is_done) = (first, rest.rows().start, rest.rows().is_empty());
            *reader = Some(rest);
        }
        let (number, first_row) = (*next, *row);
        self.wait_for_room(number);
        let reader = reader.as_mut().filter(|_| !*is_done)?;
        let block = task(Kind::Decode, number, 0, || reader.next_block(number).transpose());
        *is_done = !matches!(block, Some(Ok(_)));
        let block = block?;
        self.memory.begin(number);
        *next += 1;
        *row += block.as_ref().map_or(0, |block| block.batch.num_rows() as u64);
        Some(Taken { number, row: first_row, block: Some(block) })
    }

    /// What is in flight is waited for if there is no room. How much more there must be knows the decoder.
    fn wait_for_room(&self, number: u64) {
        if !self.memory.has_room(0) {
            self.memory.wait_for_those_before(number);
        }
    }

    /// A decoder, once the pages that it is about to decode are there. A thread that would wait for it reads
    /// pages ahead instead.
    fn lock_or_read_ahead<'m, T>(&self, decoder: &'m Mutex<T>) -> MutexGuard<'m, T> {
        loop {
            let pages = self.pages.lock().clone();
            if pages.is_some_and(|pages| pages.read_one()) {
                continue;
            }
            if let Some(decoder) = decoder.try_lock() {
                return decoder;
            }
            // Looks for pages again: those that were ready are used up now.
            drop(decoder.lock());
        }
    }

    /// Puts the block among those that wait for their turn and hands on all whose turn it is. Returns a
    /// buffer for the next block, or `None` if no more are wanted.
    fn pass_on(&self, number: u64, encoded: Result<Encoded, Error>) -> Option<Vec<u8>> {
        let mut turn = self.turn.lock();
        while number >= turn.next + self.blocks_ahead && !turn.is_over {
            self.turned.wait(&mut turn);
        }
        turn.waiting.insert(number, encoded);
        if turn.hand_on(&self.memory) {
            self.turned.notify_all();
        }
        if turn.is_over {
            self.end(&mut turn);
            return None;
        }
        Some(turn.spare.pop().unwrap_or_default())
    }
}

impl Encoded {
    fn new(text: Vec<u8>, memory: &Arc<Memory>) -> Self {
        let held = memory.take(text.capacity() as u64);
        Self { text, rows: 0, counts: Counts::default(), hints: None, held }
    }

    /// The rows so far are handed on.
    fn begin_anew(&mut self) {
        self.text.clear();
        if self.text.capacity() > SPARE_BYTES_MAX {
            self.text = Vec::new();
        }
        self.held.set(self.text.capacity() as u64);
        (self.rows, self.counts, self.hints) = (0, Counts::default(), None);
    }
}

impl Turn<'_, '_> {
    fn hand(&mut self, encoded: &mut Encoded) -> Result<ControlFlow<()>, Error> {
        let Encoded { text, rows, counts, hints, .. } = encoded;
        let (rows, counts, hints) = (*rows, *counts, hints.take());
        (self.hand)(Text { bytes: text, rows, counts, hints })
    }

    /// Hands on the blocks whose turn it is; whether there were any.
    fn hand_on(&mut self, memory: &Memory) -> bool {
        let before = self.next;
        while !self.is_over
            && let Some(encoded) = self.waiting.remove(&self.next)
        {
            let handed = encoded.and_then(|mut encoded| {
                let length = encoded.text.len() as u64;
                let flow = task(Kind::Hand, self.next, length, || self.hand(&mut encoded));
                encoded.begin_anew();
                self.spare.push(encoded.text);
                flow
            });
            memory.end(self.next);
            self.next += 1;
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
            self.0.end(&mut self.0.turn.lock());
        }
    }
}
