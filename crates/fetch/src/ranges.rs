//! Reading ranges of objects without landing them: what will be read is announced, fetched in blocks
//! ahead of the reader, and held within one budget for all objects.

use std::collections::BTreeMap;
use std::iter::successors;
use std::ops::Range;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock, Weak};

use bytes::{Bytes, BytesMut};
use futures::future::{BoxFuture, FutureExt, Shared};
use parking_lot::{Mutex, MutexGuard};
use tokio::task::JoinHandle;

use crate::blocks::{Plan, plan};
use crate::body::{Body, Piece};
use crate::bucket::Bucket;
use crate::error::Error;
use crate::object::RemoteObject;

/// What tells a file's kind.
const HEAD_BYTES: u64 = 64;
/// Footers are mostly shorter than this.
const TAIL_BYTES: u64 = 64 * 1024;
/// An object that is no larger is fetched whole.
const SMALL_BYTES: u64 = 1 << 20;
/// Blocks of a range that are kept behind the one that was begun last, if some of them was not read.
const LAG_BLOCKS: usize = 3;
/// So many times the bytes that were read so far are fetched ahead, as far as the budget goes: who stops soon should
/// not have paid for much.
const AHEAD: u64 = 2;
/// But no less than this: small blocks are waited for more than they are loaded.
const AHEAD_BYTES_MIN: u64 = 2 << 20;

/// Requests made and bytes received by [`ObjectReader`]s.
#[derive(Debug, Default)]
pub struct Traffic {
    bytes: AtomicU64,
    requests: AtomicU64,
}

impl Traffic {
    /// Bytes received.
    pub fn bytes(&self) -> u64 {
        self.bytes.load(Ordering::Relaxed)
    }

    /// Requests made, without those that were repeated after a passing fault.
    pub fn requests(&self) -> u64 {
        self.requests.load(Ordering::Relaxed)
    }
}

type Loading = Shared<BoxFuture<'static, Result<Bytes, Arc<Error>>>>;

/// What is fetched ahead for objects that are read one after the other. Their readers, in the order in which they
/// were made, share its budget.
#[derive(Debug)]
pub struct ReadAhead {
    budget: u64,
    /// Bytes of blocks that are here or on their way.
    held: AtomicU64,
    /// Bytes of blocks of which some were read.
    read: AtomicU64,
    readers: Mutex<Vec<Weak<Object>>>,
}

impl ReadAhead {
    /// Blocks may take about `budget` bytes of memory.
    pub fn new(budget: u64) -> Self {
        let (held, read) = (AtomicU64::new(0), AtomicU64::new(0));
        Self { budget, held, read, readers: Mutex::default() }
    }

    /// All of the objects is wanted, unless who reads them stops early.
    pub fn expect_all(&self) {
        self.read.fetch_max(self.budget, Ordering::Relaxed);
    }

    fn has_room(&self, bytes: u64, limit: u64) -> bool {
        self.held.load(Ordering::Relaxed).saturating_add(bytes) <= limit
    }

    /// Begins blocks in the order in which they will be read, as far as there is room.
    fn begin_more(&self) {
        let mut readers = self.readers.lock();
        readers.retain(|reader| reader.strong_count() > 0);
        let read = self.read.load(Ordering::Relaxed);
        let limit = (AHEAD * read).max(AHEAD_BYTES_MIN).min(self.budget);
        let readers: Vec<_> = readers.iter().filter_map(Weak::upgrade).collect();
        for (place, reader) in readers.iter().enumerate() {
            // What is read first is not known yet, and may need all the room.
            if !reader.is_announced() {
                return;
            }
            while !reader.begin_more(limit) {
                // What was read of the objects before makes room.
                if !readers[..place].iter().any(|before| before.state().drop_passed()) {
                    return;
                }
            }
        }
    }
}

/// Reads ranges of one version of one object. To be used within a Tokio runtime.
#[derive(Debug)]
pub struct ObjectReader(Arc<Object>);

#[derive(Debug)]
struct Object {
    remote: Arc<Remote>,
    ahead: Arc<ReadAhead>,
    state: Mutex<State>,
}

#[derive(Debug)]
struct Remote {
    bucket: Bucket,
    object: RemoteObject,
    /// Of the first answer.
    etag: OnceLock<String>,
    traffic: Arc<Traffic>,
}

#[derive(Debug, Default)]
struct State {
    head: Option<Block>,
    tail: Option<Block>,
    /// The last range that nobody announced.
    extra: Option<Block>,
    plan: Plan,
    is_announced: bool,
    /// Blocks of the plan that are here or on their way, by their numbers.
    blocks: BTreeMap<usize, Block>,
    /// How far each block of the plan is, whether it is still held or not.
    progress: Vec<Progress>,
    /// All blocks before this place in the order of the plan were begun.
    begun: usize,
    /// Counts uses, to tell the blocks apart that were not used for long.
    clock: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Progress {
    Waiting,
    Begun,
    /// Some of it was read.
    Read,
}

/// Some bytes of the object, here or on their way. What nobody holds or waits for is not fetched to its
/// end.
struct Block {
    range: Range<u64>,
    loading: Loading,
    /// When it was read last; 0 if it was only fetched ahead.
    used: u64,
    /// Bytes that were read of it, twice those that were read twice.
    read: u64,
    _held: Held,
}

/// Counts the bytes of a block as long as it is there.
struct Held {
    ahead: Arc<ReadAhead>,
    bytes: u64,
}

impl Held {
    fn new(ahead: &Arc<ReadAhead>, bytes: u64) -> Self {
        ahead.held.fetch_add(bytes, Ordering::Relaxed);
        Self { ahead: Arc::clone(ahead), bytes }
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.ahead.held.fetch_sub(self.bytes, Ordering::Relaxed);
    }
}

impl std::fmt::Debug for Block {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Block").field("range", &self.range).finish_non_exhaustive()
    }
}

/// Ends a task with whoever waits for it last.
struct Task(JoinHandle<Result<Bytes, Arc<Error>>>);

impl Drop for Task {
    fn drop(&mut self) {
        self.0.abort();
    }
}

impl Block {
    fn holds(&self, range: &Range<u64>) -> bool {
        self.range.start <= range.start && range.end <= self.range.end
    }

    /// It could not be fetched. That may be long ago, so a reader of it tries again.
    fn has_failed(&self) -> bool {
        self.loading.peek().is_some_and(Result::is_err)
    }
}

impl ObjectReader {
    /// Of `object`, which is read after those whose readers `ahead` knows. `traffic` counts what is read.
    pub fn new(
        bucket: &Bucket,
        object: RemoteObject,
        ahead: &Arc<ReadAhead>,
        traffic: Arc<Traffic>,
    ) -> Self {
        let remote =
            Arc::new(Remote { bucket: bucket.clone(), object, etag: OnceLock::new(), traffic });
        let object = Object { remote, ahead: Arc::clone(ahead), state: Mutex::default() };
        let object = Arc::new(object);
        ahead.readers.lock().push(Arc::downgrade(&object));
        Self(object)
    }

    /// The length of the object in bytes.
    pub fn size(&self) -> u64 {
        self.0.size()
    }

    /// Bytes that [`begin`](Self::begin) fetches.
    pub fn begin_bytes(size: u64) -> u64 {
        if size <= SMALL_BYTES { size } else { HEAD_BYTES + TAIL_BYTES }
    }

    /// Begins to fetch both ends of the object, which tell what it is.
    pub fn begin(&self) {
        self.0.begin();
    }

    /// Announces what will be read, in groups that are read one after the other, and begins to fetch it. The ranges of
    /// a group are read at about the same time, each from its start to its end; the ranges at one place in all groups
    /// belong together. What lies beyond the object is left out.
    pub fn prefetch(&self, groups: &[Vec<Range<u64>>]) {
        let size = self.size();
        let clip = |range: &Range<u64>| range.start.min(size)..range.end.min(size);
        let clipped: Vec<Vec<_>> =
            groups.iter().map(|group| group.iter().map(clip).collect()).collect();
        if self.0.announce(plan(&clipped, self.0.ahead.budget)) {
            self.0.ahead.begin_more();
        }
    }

    /// The bytes of `range`, which has to lie within the object.
    pub async fn read(&self, range: Range<u64>) -> Result<Bytes, Arc<Error>> {
        self.begin();
        let mut parts = Vec::new();
        let mut position = range.start;
        while position < range.end {
            let (block, loading) = self.0.covering(position..range.end);
            self.0.ahead.begin_more();
            let end = block.end.min(range.end);
            let bytes = loading.await?;
            let within = |place: u64| usize::try_from(place - block.start).unwrap_or(usize::MAX);
            parts.push(bytes.slice(within(position)..within(end)));
            position = end;
        }
        Ok(match parts.len() {
            1 => parts.remove(0),
            _ => parts
                .iter()
                .fold(BytesMut::new(), |mut all, part| {
                    all.extend_from_slice(part);
                    all
                })
                .freeze(),
        })
    }
}

impl Object {
    fn size(&self) -> u64 {
        self.remote.object.size
    }

    fn begin(&self) {
        let mut state = self.state();
        let (head, tail) = self.ends();
        if state.tail.is_none() {
            state.head = (!head.is_empty()).then(|| self.block(head));
            state.tail = Some(self.block(tail));
        }
    }

    /// Whether it is known what will be read. Of a small object that is all.
    fn is_announced(&self) -> bool {
        self.is_small() || self.state().is_announced
    }

    fn is_small(&self) -> bool {
        self.size() <= SMALL_BYTES
    }

    /// Takes a plan, if it is another than that which is known.
    fn announce(&self, plan: Plan) -> bool {
        let mut state = self.state();
        let is_first = !std::mem::replace(&mut state.is_announced, true);
        if self.is_small() || state.plan == plan {
            return is_first;
        }
        state.blocks.clear();
        state.progress = vec![Progress::Waiting; plan.len()];
        (state.plan, state.begun) = (plan, 0);
        true
    }

    /// Begins blocks of the plan as long as less than `limit` bytes are held; tells whether all were begun.
    fn begin_more(&self, limit: u64) -> bool {
        let mut state = self.state();
        while let Some(number) = state.plan.at(state.begun) {
            if state.progress[number] == Progress::Waiting {
                let range = state.plan.range(number);
                while !self.ahead.has_room(length(&range), limit) {
                    if !state.drop_passed() {
                        return false;
                    }
                }
                state.blocks.insert(number, self.block(range));
                state.progress[number] = Progress::Begun;
            }
            state.begun += 1;
        }
        true
    }

    /// A block that holds the start of `range`, here or on its way.
    fn covering(&self, range: Range<u64>) -> (Range<u64>, Loading) {
        let mut state = self.state();
        let first = range.start..range.start + 1;
        let State { head, tail, .. } = &mut *state;
        for end in [head, tail] {
            if let Some(block) = end.as_mut().filter(|block| block.holds(&first)) {
                if block.has_failed() {
                    *block = self.block(block.range.clone());
                }
                return (block.range.clone(), block.loading.clone());
            }
        }
        if let Some(number) = state.plan.find(range.start) {
            return self.planned(&mut state, number, &range);
        }
        state.extra.take_if(|block| !block.holds(&range) || block.has_failed());
        let block = state.extra.get_or_insert_with(|| self.block(range));
        (block.range.clone(), block.loading.clone())
    }

    /// A block of the plan, of which the start of `wanted` is read.
    fn planned(
        &self,
        state: &mut State,
        number: usize,
        wanted: &Range<u64>,
    ) -> (Range<u64>, Loading) {
        state.clock += 1;
        let clock = state.clock;
        let range = state.plan.range(number);
        if state.blocks.get(&number).is_some_and(Block::has_failed) {
            state.blocks.remove(&number);
        }
        if !state.blocks.contains_key(&number) {
            // What is read now goes before the budget: less than a block of each range does not do.
            let bytes = length(&range);
            while !self.ahead.has_room(bytes, self.ahead.budget) && state.drop_passed() {}
        }
        if state.progress[number] != Progress::Read {
            self.ahead.read.fetch_add(length(&range), Ordering::Relaxed);
            state.progress[number] = Progress::Read;
        }
        let block = state.blocks.entry(number).or_insert_with(|| self.block(range));
        block.used = clock;
        block.read += wanted.end.min(block.range.end) - wanted.start;
        (block.range.clone(), block.loading.clone())
    }

    /// Begins to fetch a range.
    fn block(&self, range: Range<u64>) -> Block {
        let (remote, wanted) = (Arc::clone(&self.remote), range.clone());
        let task = tokio::spawn(async move { remote.get(wanted).await.map_err(Arc::new) });
        let (mut task, key) = (Task(task), self.remote.object.key.clone());
        let loading = async move {
            let stopped =
                |_| Arc::new(Error::Damaged { key, detail: "reading it was stopped".to_owned() });
            (&mut task.0).await.unwrap_or_else(|error| Err(stopped(error)))
        };
        let held = Held::new(&self.ahead, length(&range));
        Block { range, loading: loading.boxed().shared(), used: 0, read: 0, _held: held }
    }

    /// The ranges of both ends; a small object is all tail.
    fn ends(&self) -> (Range<u64>, Range<u64>) {
        let size = self.size();
        if self.is_small() { (0..0, 0..size) } else { (0..HEAD_BYTES, size - TAIL_BYTES..size) }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock()
    }
}

impl State {
    /// Drops the block that was read longest ago among those that were read to the end, or whose readers are far
    /// behind it: several share a range, and go through it at their own pace.
    fn drop_passed(&mut self) -> bool {
        let passed = self.blocks.iter().filter(|(number, block)| {
            let behind = successors(self.plan.next(**number), |&next| self.plan.next(next));
            let mut near = behind.take(LAG_BLOCKS).peekable();
            let is_last = near.peek().is_none();
            block.read >= length(&block.range)
                || block.used > 0
                    && !is_last
                    && near.all(|next| self.progress[next] == Progress::Read)
        });
        let oldest = passed.min_by_key(|(_, block)| block.used).map(|(number, _)| *number);
        oldest.is_some_and(|number| self.blocks.remove(&number).is_some())
    }
}

fn length(range: &Range<u64>) -> u64 {
    range.end - range.start
}

impl Remote {
    async fn get(&self, range: Range<u64>) -> Result<Bytes, Error> {
        let (bucket, key) = (&self.bucket, &self.object.key);
        let wanted = range.end - range.start;
        if wanted == 0 {
            return Ok(Bytes::new());
        }
        // Where the list had none, the first answer says which version this is.
        let etag = self.object.etag.clone().or_else(|| self.etag.get().cloned());
        let mut body = Body::new(bucket, key, etag, range, false);
        let mut bytes = BytesMut::with_capacity(usize::try_from(wanted).unwrap_or_default());
        while let Some(piece) = body.next().await? {
            match piece {
                Piece::Bytes(chunk) => bytes.extend_from_slice(&chunk),
                Piece::Restart => bytes.clear(),
            }
        }
        let bytes = bytes.freeze();
        if let Some(etag) = body.etag()
            && self.etag.get_or_init(|| etag.clone()) != etag
        {
            return Err(Error::Changed { key: key.clone() });
        }
        self.traffic.requests.fetch_add(1, Ordering::Relaxed);
        self.traffic.bytes.fetch_add(bytes.len() as u64, Ordering::Relaxed);
        if bytes.len() as u64 != wanted {
            let detail = format!("{} bytes arrived of {wanted}", bytes.len());
            return Err(Error::Damaged { key: key.clone(), detail });
        }
        Ok(bytes)
    }
}
