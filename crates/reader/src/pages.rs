//! The pages of the chosen column chunks: read and decompressed once, by whoever wants them first, and shared
//! by all that decode.
//!
//! Each decoder is a lane and has its own place in every chunk. A page is kept until all lanes are past it; a
//! lane that ends counts as past everything.
//!
//! Reading and decompressing are a third of decoding or more, and can be done by threads that have nothing
//! better to do: for the chunks that are being decoded, and for those of the next two row groups, since small
//! row groups have one page a column. A decoder that finds its page not ready reads it itself, so nothing
//! depends on the help.
//!
//! A slot's lock is taken before that of its chunk's state, and the map of chunks is never locked with either
//! of them. Only a slot's is held for long: while its page is decompressed.

use std::collections::{BTreeMap, VecDeque};
use std::io::{self, BufReader};
use std::ops::Range;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};

use bytes::Bytes;
use parking_lot::Mutex;
use parquet::errors::Result;

use crate::codec;
use crate::footer::{self, Footer};
use crate::guard::guarded;
use crate::leaf::Leaf;
use crate::levels::Rows;
use crate::memory::{Held, Memory, Plan};
use crate::page::{Header, Kind, MaxLevels, damage};
use crate::part::Part;
use crate::row_groups::Chunk as Place;
use crate::source::{HEADER_READ_BYTES, Source, SourceReader};
use crate::trace::{self, note, task};

/// Pages of a column chunk that may be ready at a time.
const PAGES_AHEAD: usize = 4;

/// Nothing is read ahead of more columns: looking for what is not read would take longer than reading it.
const LEAVES_AHEAD_MAX: usize = 256;

/// Row groups whose pages may be ready, behind the last that is being decoded.
const GROUPS_AHEAD: usize = 2;

/// What is kept of a page takes about so much beside its bytes, which matters where those are few.
const PAGE_KEPT_BYTES: u64 = 1024;

/// Pages of a column chunk that lanes may have between them. What is kept of each takes memory too, and looking through
/// them takes time, so a lane that is further ahead ends.
const PAGES_BETWEEN_MAX: usize = 256;

/// Pages of more bytes are not held compressed, where their codec allows it.
const STREAMED_BYTES: usize = 2 << 20;

const STREAMED_READ_BYTES: usize = 256 << 10;

/// No header is longer: it may hold two values of any length as statistics.
const HEADER_BYTES_MAX: u64 = 16 << 20;

/// The pages of some row groups of one file.
pub(crate) struct Pages {
    source: Arc<dyn Source>,
    footer: Footer,
    groups: Range<usize>,
    /// In the order of their numbers.
    leaves: Vec<Leaf>,
    memory: Arc<Memory>,
    /// Nothing is read ahead while this many bytes are ready.
    ready_bytes_max: u64,
    ready_bytes: Arc<AtomicU64>,
    is_shared: bool,
    chunks: Mutex<Chunks>,
}

struct Chunks {
    /// Where each lane starts in a chunk that is opened now: behind its end if the lane has ended.
    starts: Vec<usize>,
    /// By row group and leaf.
    open: BTreeMap<(usize, usize), Arc<Chunk>>,
    /// The first row group whose chunks no decoder has come to.
    next_group: usize,
    /// Leaves whose decoders have come to the row group before that.
    leaves_there: usize,
    /// The first row group of which no chunk was opened to be read ahead.
    next_ahead: usize,
}

impl Pages {
    pub(crate) fn new(
        source: Arc<dyn Source>,
        footer: &Footer,
        part: &Part,
        columns: &[usize],
        (plan, lanes): (&Plan, usize),
    ) -> Arc<Self> {
        let (groups, first) = (part.groups.clone(), part.groups.start);
        let leaves = footer::leaves(footer, columns, plan.is_printed);
        let ready_bytes_max = if leaves.len() > LEAVES_AHEAD_MAX { 0 } else { plan.pages_bytes };
        note(trace::Kind::Ready, ready_bytes_max);
        let pages = Self {
            source,
            leaves,
            footer: footer.clone(),
            groups,
            memory: Arc::clone(&plan.memory),
            ready_bytes_max,
            ready_bytes: Arc::default(),
            is_shared: lanes > 1,
            chunks: Mutex::new(Chunks {
                starts: vec![0; lanes],
                open: BTreeMap::new(),
                next_group: first,
                leaves_there: 0,
                next_ahead: first + 1,
            }),
        };
        if part.skip == 0 && ready_bytes_max > 0 {
            // Its pages can be read ahead before the decoder comes to the second column.
            pages.open_wanted(&mut pages.chunks.lock(), first);
        }
        Arc::new(pages)
    }

    pub(crate) fn groups(&self) -> Range<usize> {
        self.groups.clone()
    }

    pub(crate) fn footer(&self) -> &Footer {
        &self.footer
    }

    pub(crate) fn memory(&self) -> &Arc<Memory> {
        &self.memory
    }

    pub(crate) fn leaf(&self, number: usize) -> Option<&Leaf> {
        let found = self.leaves.binary_search_by_key(&number, |leaf| leaf.number);
        found.ok().and_then(|at| self.leaves.get(at))
    }

    pub(crate) fn leaves(&self) -> impl Iterator<Item = &Leaf> {
        self.leaves.iter()
    }

    /// Reads and decompresses one page that the decoder will want; `false` if there are enough of them.
    pub(crate) fn read_one(&self) -> bool {
        if self.ready_bytes.load(Ordering::Relaxed) >= self.ready_bytes_max {
            return false;
        }
        let open: Vec<Arc<Chunk>> = self.chunks.lock().open.values().cloned().collect();
        if open.iter().any(|chunk| chunk.read_ahead(self)) {
            return true;
        }
        // Row groups behind are read only when nothing more is to be read of those before, as they may be far away.
        open.iter().all(|chunk| chunk.is_walked())
            && self.open_ahead().iter().any(|chunk| chunk.read_ahead(self))
    }

    /// Opens the chunks of one more row group.
    fn open_ahead(&self) -> Vec<Arc<Chunk>> {
        let mut chunks = self.chunks.lock();
        let group = chunks.next_ahead.max(chunks.next_group);
        if chunks.leaves_there < self.leaves.len()
            || group >= self.groups.end.min(chunks.next_group + GROUPS_AHEAD)
        {
            return Vec::new();
        }
        chunks.next_ahead = group + 1;
        self.open_wanted(&mut chunks, group)
    }

    /// Opens the chunks of a row group all rows of which are wanted, those at the start too.
    fn open_wanted(&self, chunks: &mut Chunks, group: usize) -> Vec<Arc<Chunk>> {
        self.leaves.iter().map(|leaf| self.chunk(chunks, group, leaf.number, true)).collect()
    }

    fn chunk(&self, chunks: &mut Chunks, group: usize, leaf: usize, is_wanted: bool) -> Arc<Chunk> {
        let Chunks { open, starts, .. } = chunks;
        let place = || self.footer.groups().chunk(group, leaf);
        let new = || Chunk::new(place(), starts.clone(), is_wanted);
        Arc::clone(open.entry((group, leaf)).or_insert_with(new))
    }

    /// The chunk that a decoder comes to.
    pub(crate) fn open(&self, group: usize, leaf: usize) -> Arc<Chunk> {
        let mut chunks = self.chunks.lock();
        if chunks.next_group <= group {
            (chunks.next_group, chunks.leaves_there) = (group + 1, 0);
        }
        chunks.leaves_there += usize::from(chunks.next_group == group + 1);
        self.chunk(&mut chunks, group, leaf, false)
    }

    /// The decoder of a lane needs the chunk no more.
    pub(crate) fn close(&self, lane: usize, group: usize, leaf: usize) {
        let chunk = self.chunks.lock().open.get(&(group, leaf)).map(Arc::clone);
        if chunk.is_some_and(|chunk| chunk.pass(lane, usize::MAX)) {
            self.chunks.lock().open.remove(&(group, leaf));
        }
    }

    /// The decoder of a lane has ended.
    pub(crate) fn leave(&self, lane: usize) {
        let mut chunks = self.chunks.lock();
        if let Some(start) = chunks.starts.get_mut(lane) {
            *start = usize::MAX;
        }
        let open: Vec<(usize, usize)> = chunks.open.keys().copied().collect();
        drop(chunks);
        for (group, leaf) in open {
            self.close(lane, group, leaf);
        }
    }

    /// Whether several lanes want each page.
    pub(crate) fn is_shared(&self) -> bool {
        self.is_shared
    }
}

/// One column of one row group.
pub(crate) struct Chunk {
    codec: i32,
    state: Mutex<State>,
}

struct State {
    /// What is left of it behind the last header that was read.
    rest: Range<u64>,
    /// Values that it has by the footer and that no page has brought yet, if the footer says so.
    values_left: Option<u64>,
    /// Pages from number `first` on whose headers were read.
    slots: VecDeque<Arc<Slot>>,
    first: usize,
    /// The page that each lane wants next; the first of them is `first`.
    lanes: Vec<usize>,
    /// A decoder is past the rows that it may have to skip, so that all that follows is wanted.
    is_wanted: bool,
    /// There is nothing behind that could be read ahead.
    is_stuck: bool,
}

/// A page whose header was read.
pub(crate) struct Slot {
    pub(crate) header: Header,
    /// Where its bytes are in the file.
    place: Range<u64>,
    ready: Mutex<Option<Ready>>,
    rows: OnceLock<Option<Rows>>,
}

/// The bytes of a page, counted as long as they are there for whoever wants them.
struct Ready {
    bytes: Bytes,
    length: u64,
    counter: Arc<AtomicU64>,
}

impl Chunk {
    fn new(place: Place, lanes: Vec<usize>, is_wanted: bool) -> Arc<Self> {
        let state = State {
            rest: place.bytes(),
            values_left: place.values(),
            slots: VecDeque::new(),
            first: 0,
            lanes,
            is_wanted,
            is_stuck: false,
        };
        Arc::new(Self { codec: place.codec, state: Mutex::new(state) })
    }

    /// The page of a number, if there is one.
    pub(crate) fn slot(&self, number: usize, pages: &Pages) -> Result<Option<Arc<Slot>>> {
        self.state.lock().slot(number, pages)
    }

    /// The decoder asks for pages: it is past the rows that it skips.
    pub(crate) fn want(&self) {
        self.state.lock().is_wanted = true;
    }

    /// The decoder of a lane is past the pages before `number`; whether those of all lanes are past all.
    pub(crate) fn pass(&self, lane: usize, number: usize) -> bool {
        let mut state = self.state.lock();
        if let Some(at) = state.lanes.get_mut(lane) {
            *at = number.max(*at);
        }
        let first = state.lanes.iter().copied().min().unwrap_or(usize::MAX);
        let count = first.saturating_sub(state.first).min(state.slots.len());
        state.first = first;
        let passed: Vec<Arc<Slot>> = state.slots.drain(..count).collect();
        drop(state);
        drop(passed);
        first == usize::MAX
    }

    /// The bytes of a page: those that are ready, or else read now.
    pub(crate) fn bytes(&self, slot: &Slot, pages: &Pages) -> Result<Bytes> {
        note(trace::Kind::Need, slot.place.start);
        let mut ready = slot.ready.lock();
        if !pages.is_shared() {
            return match ready.take() {
                Some(ready) => Ok(ready.bytes.clone()),
                None => slot.read(self.codec, pages),
            };
        }
        if let Some(ready) = &*ready {
            return Ok(ready.bytes.clone());
        }
        let bytes = slot.read(self.codec, pages)?;
        *ready = Some(Ready::new(bytes.clone(), &pages.ready_bytes));
        Ok(bytes)
    }

    /// What the repetition levels of a page say, if there is room for it. Whatever is wrong with the page is found
    /// when it is decoded.
    pub(crate) fn rows(&self, slot: &Slot, levels: MaxLevels, pages: &Pages) -> Option<Rows> {
        if let Some(rows) = slot.rows.get() {
            return *rows;
        }
        if !slot.is_ready() && !pages.memory.has_room(self.cost(slot)) {
            return None;
        }
        slot.rows(&self.bytes(slot, pages).ok()?, levels)
    }

    /// Bytes that reading a page takes.
    pub(crate) fn cost(&self, slot: &Slot) -> u64 {
        let header = &slot.header;
        let is_held = self.codec != 0 && !slot.is_streamed(self.codec);
        let compressed = if is_held { header.compressed_bytes } else { 0 };
        (header.uncompressed_bytes + compressed) as u64
    }

    /// Reads the first page from the decoder's on that is not ready and that nobody reads.
    fn read_ahead(&self, pages: &Pages) -> bool {
        let Some(mut wanted) = self.wanted() else { return false };
        wanted.any(|number| {
            let found = guarded(|| self.slot(number, pages));
            let Ok(Ok(Some(slot))) = found else {
                // The end, or an error that the decoder finds by itself when it comes here.
                self.state.lock().is_stuck = true;
                return false;
            };
            // Another thread, or the decoder itself, holds the lock of a page that it reads.
            let Some(mut ready) = slot.ready.try_lock() else { return false };
            ready.is_none() && self.is_ahead(number) && self.fill(&slot, &mut ready, pages)
        })
    }

    /// Whether the headers of all its pages were read.
    fn is_walked(&self) -> bool {
        let state = self.state.lock();
        state.rest.is_empty() || state.is_stuck
    }

    /// The numbers of the pages that may be read: those that some lane has not come to, and some more.
    fn wanted(&self) -> Option<Range<usize>> {
        let state = self.state.lock();
        let last = state.lanes.iter().copied().filter(|&at| at < usize::MAX).max()?;
        (state.is_wanted && !state.is_stuck).then(|| state.first..last + PAGES_AHEAD)
    }

    /// The decoder may have gone on since the slot was found. It does not take this page as long as the lock
    /// of its slot is held.
    fn is_ahead(&self, number: usize) -> bool {
        self.state.lock().first <= number
    }

    fn fill(&self, slot: &Slot, ready: &mut Option<Ready>, pages: &Pages) -> bool {
        let length = slot.header.uncompressed_bytes as u64;
        // Counted before it is read, as others read meanwhile.
        let mut filling = Ready::new(Bytes::new(), &pages.ready_bytes);
        let before = filling.count(length);
        let has_room =
            before + length <= pages.ready_bytes_max && pages.memory.has_room(self.cost(slot));
        if !has_room {
            return false;
        }
        let Ok(Ok(bytes)) = guarded(|| slot.read(self.codec, pages)) else {
            // A damaged page must not be noticed before it is asked for.
            self.state.lock().is_stuck = true;
            return false;
        };
        filling.bytes = bytes;
        *ready = Some(filling);
        true
    }
}

impl Ready {
    fn new(bytes: Bytes, counter: &Arc<AtomicU64>) -> Self {
        let length = bytes.len() as u64;
        counter.fetch_add(length, Ordering::Relaxed);
        Self { bytes, length, counter: Arc::clone(counter) }
    }

    /// Counts more bytes; returns those that all have without them.
    fn count(&mut self, more: u64) -> u64 {
        self.length += more;
        self.counter.fetch_add(more, Ordering::Relaxed)
    }
}

impl Drop for Ready {
    fn drop(&mut self) {
        self.counter.fetch_sub(self.length, Ordering::Relaxed);
    }
}

impl State {
    fn slot(&mut self, number: usize, pages: &Pages) -> Result<Option<Arc<Slot>>> {
        loop {
            if let Some(slot) = number.checked_sub(self.first).and_then(|at| self.slots.get(at)) {
                return Ok(Some(Arc::clone(slot)));
            }
            let Some(slot) = self.next_slot(pages)? else { return Ok(None) };
            self.slots.push_back(Arc::new(slot));
            if self.lanes.len() > 1 && self.slots.len() > PAGES_BETWEEN_MAX {
                return Err(damage("there are too many pages between the decoders"));
            }
        }
    }

    /// Reads the next header of a page that holds values.
    fn next_slot(&mut self, pages: &Pages) -> Result<Option<Slot>> {
        while self.rest.start < self.rest.end {
            let read = self.read_header(pages.source.as_ref()).and_then(|(header, length)| {
                let start = self.rest.start + length as u64;
                let end = start + header.compressed_bytes as u64;
                let is_inside = end <= self.rest.end;
                is_inside
                    .then_some((header, start, end))
                    .ok_or_else(|| damage("a page is longer than its column chunk"))
            });
            let (header, start, end) = match read {
                // What stands behind the last page is none.
                Err(_) if self.values_left == Some(0) => {
                    self.rest.start = self.rest.end;
                    return Ok(None);
                }
                read => read?,
            };
            self.values_left = self.values_left.map(|left| left.saturating_sub(header.values()));
            self.rest.start = end;
            if !matches!(header.kind, Kind::Other) {
                return Ok(Some(Slot {
                    header,
                    place: start..end,
                    ready: Mutex::default(),
                    rows: OnceLock::new(),
                }));
            }
        }
        Ok(None)
    }

    fn read_header(&self, source: &dyn Source) -> Result<(Header, usize)> {
        let start = self.rest.start;
        let mut length = HEADER_READ_BYTES as u64;
        loop {
            let end = source.size().min(start + length);
            let bytes = source.read(start..end)?;
            match Header::read(&bytes) {
                Err(error)
                    if error.kind() == io::ErrorKind::UnexpectedEof
                        && end < source.size()
                        && length < HEADER_BYTES_MAX =>
                {
                    length *= 16;
                }
                read => return Ok(read?),
            }
        }
    }
}

impl Slot {
    /// Whether the page is ready, so that it takes no more memory than it does.
    pub(crate) fn is_ready(&self) -> bool {
        self.ready.lock().is_some()
    }

    /// What the levels of the page say of its rows, whose bytes these are; `None` where that cannot be told.
    pub(crate) fn rows(&self, page: &[u8], levels: MaxLevels) -> Option<Rows> {
        *self.rows.get_or_init(|| self.header.rows(page, levels))
    }

    /// Reads and decompresses the page.
    fn read(&self, codec: i32, pages: &Pages) -> Result<Bytes> {
        let length = self.header.uncompressed_bytes as u64;
        task(trace::Kind::Page, self.place.start, length, || self.read_whole(codec, pages))
    }

    fn read_whole(&self, codec: i32, pages: &Pages) -> Result<Bytes> {
        let header = &self.header;
        if self.is_streamed(codec) {
            return self.read_streamed(codec, pages);
        }
        let mut held = pages.memory.take(0);
        held.set(header.compressed_bytes as u64);
        let compressed = pages.source.read(self.place.clone())?;
        if header.crc.is_some_and(|crc| crc != crc32fast::hash(&compressed)) {
            return Err(damage("the checksum of a page does not match its bytes"));
        }
        let (plain, is_compressed) = header.plain_start();
        if codec == 0 || !is_compressed {
            held.set(header.compressed_bytes as u64 + PAGE_KEPT_BYTES);
            return Ok(Bytes::from_owner(Counted { bytes: compressed, _held: held }));
        }
        let bytes = header.uncompressed_bytes;
        held.set((header.compressed_bytes + bytes) as u64);
        if plain > compressed.len() || plain > bytes {
            return Err(damage("the levels of a page are longer than the page"));
        }
        let mut page = Vec::with_capacity(bytes);
        page.extend_from_slice(&compressed[..plain]);
        codec::decompress(codec, &compressed[plain..], bytes - plain, &mut page)?;
        drop(compressed);
        held.set(page.capacity() as u64 + PAGE_KEPT_BYTES);
        Ok(Bytes::from_owner(Counted { bytes: page.into(), _held: held }))
    }
}

impl Slot {
    /// Whether it is decompressed as it is read: it has many bytes, all of them compressed, and no checksum.
    fn is_streamed(&self, codec: i32) -> bool {
        let header = &self.header;
        let is_plain = header.plain_start() == (0, true) && header.crc.is_none();
        header.compressed_bytes > STREAMED_BYTES && codec::is_stream(codec) && is_plain
    }

    fn read_streamed(&self, codec: i32, pages: &Pages) -> Result<Bytes> {
        let bytes = self.header.uncompressed_bytes;
        let held = pages.memory.take(bytes as u64);
        let reader = SourceReader::new(Arc::clone(&pages.source), self.place.clone());
        let mut page = Vec::with_capacity(bytes);
        let compressed = BufReader::with_capacity(STREAMED_READ_BYTES, reader);
        codec::decompress_stream(codec, compressed, bytes, &mut page)?;
        Ok(Bytes::from_owner(Counted { bytes: page.into(), _held: held }))
    }
}

/// Bytes that are counted as long as anything refers to them.
struct Counted {
    bytes: Bytes,
    _held: Held,
}

impl AsRef<[u8]> for Counted {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}
