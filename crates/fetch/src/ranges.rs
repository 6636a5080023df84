//! Reading ranges of an object without landing it: what will be read is announced, fetched in blocks
//! ahead of the reader, and held within a budget.

use std::ops::Range;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};

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
/// So many times the bytes of the block that is read are fetched ahead.
const AHEAD: u64 = 2;
/// But no less than this: small blocks are waited for more than they are loaded.
const AHEAD_BYTES_MIN: u64 = 1 << 20;

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

/// Reads ranges of one version of one object. To be used within a Tokio runtime.
#[derive(Debug)]
pub struct ObjectReader {
    remote: Arc<Remote>,
    budget: u64,
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
    /// For each range of the plan, the block if it is here or on its way.
    blocks: Vec<Option<Block>>,
    /// Counts uses, to tell the blocks apart that were not used for long.
    clock: u64,
}

/// Some bytes of the object, here or on their way. What nobody holds or waits for is not fetched to its
/// end.
struct Block {
    range: Range<u64>,
    loading: Loading,
    /// When it was read last; 0 if it was only fetched ahead.
    used: u64,
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
    /// Of `object`; blocks of it may take about `budget` bytes of memory. `traffic` counts what is read.
    pub fn new(bucket: &Bucket, object: RemoteObject, budget: u64, traffic: Arc<Traffic>) -> Self {
        let remote =
            Arc::new(Remote { bucket: bucket.clone(), object, etag: OnceLock::new(), traffic });
        Self { remote, budget, state: Mutex::default() }
    }

    /// The length of the object in bytes.
    pub fn size(&self) -> u64 {
        self.remote.object.size
    }

    /// Begins to fetch both ends of the object, which tell what it is.
    pub fn begin(&self) {
        let mut state = self.state();
        let (head, tail) = self.ends();
        if state.tail.is_none() {
            state.head = (!head.is_empty()).then(|| self.block(head));
            state.tail = Some(self.block(tail));
        }
    }

    /// Announces what will be read, in groups that are read one after the other. The ranges of a group are
    /// read at about the same time, each from its start to its end; the ranges at one place in all groups
    /// belong together. What lies beyond the object is left out.
    pub fn prefetch(&self, groups: &[Vec<Range<u64>>]) {
        let size = self.size();
        let clip = |range: &Range<u64>| range.start.min(size)..range.end.min(size);
        let clipped: Vec<Vec<_>> =
            groups.iter().map(|group| group.iter().map(clip).collect()).collect();
        let mut state = self.state();
        state.plan = plan(&clipped, self.budget);
        state.blocks = (0..state.plan.len()).map(|_| None).collect();
    }

    /// The bytes of `range`, which has to lie within the object.
    pub async fn read(&self, range: Range<u64>) -> Result<Bytes, Arc<Error>> {
        self.begin();
        let mut parts = Vec::new();
        let mut position = range.start;
        while position < range.end {
            let (block, loading) = self.covering(position..range.end);
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

    /// A block that holds the start of `range`, here or on its way, with those behind it begun.
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
            return self.planned(&mut state, number);
        }
        state.extra.take_if(|block| !block.holds(&range) || block.has_failed());
        let block = state.extra.get_or_insert_with(|| self.block(range));
        (block.range.clone(), block.loading.clone())
    }

    /// A block of the plan. Those behind it are begun as far as there is room.
    fn planned(&self, state: &mut State, number: usize) -> (Range<u64>, Loading) {
        state.clock += 1;
        let clock = state.clock;
        let range = state.plan.range(number);
        state.blocks[number].take_if(|block| block.has_failed());
        if state.blocks[number].is_none() {
            // What is read now goes before the budget: less than a block of each range does not do.
            while state.held_bytes() + length(&range) > self.budget && state.drop_passed() {}
        }
        let block = state.blocks[number].get_or_insert_with(|| self.block(range));
        block.used = clock;
        let found = (block.range.clone(), block.loading.clone());
        let mut ahead = (AHEAD * length(&found.0)).max(AHEAD_BYTES_MIN);
        let mut last = number;
        while let Some(next) = state.plan.next(last)
            && let Some(left) = ahead.checked_sub(length(&state.plan.range(next)))
        {
            if state.blocks[next].is_none() {
                let range = state.plan.range(next);
                while state.held_bytes() + length(&range) > self.budget && state.drop_passed() {}
                if state.held_bytes() + length(&range) > self.budget {
                    break;
                }
                state.blocks[next] = Some(self.block(range));
            }
            (last, ahead) = (next, left);
        }
        found
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
        Block { range, loading: loading.boxed().shared(), used: 0 }
    }

    /// The ranges of both ends; a small object is all tail.
    fn ends(&self) -> (Range<u64>, Range<u64>) {
        let size = self.size();
        if size <= SMALL_BYTES { (0..0, 0..size) } else { (0..HEAD_BYTES, size - TAIL_BYTES..size) }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock()
    }
}

impl State {
    fn held_bytes(&self) -> u64 {
        self.blocks.iter().flatten().map(|block| length(&block.range)).sum()
    }

    /// Drops the block that was read longest ago among those whose readers are past them.
    fn drop_passed(&mut self) -> bool {
        let used = |number: usize| self.blocks[number].as_ref().map_or(0, |block| block.used);
        let is_passed = |number: &usize| {
            let next = self.plan.next(*number);
            used(*number) > 0 && next.is_some_and(|next| used(next) > 0)
        };
        let oldest = (0..self.blocks.len()).filter(is_passed).min_by_key(|&number| used(number));
        oldest.map(|number| self.blocks[number] = None).is_some()
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
