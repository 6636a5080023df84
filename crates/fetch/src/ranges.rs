//! Reading ranges of an object without landing it: what will be read is announced, fetched in blocks
//! ahead of the reader, and held within a budget.

use std::ops::Range;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::{Bytes, BytesMut};
use futures::future::{BoxFuture, FutureExt, Shared};
use object_store::{GetOptions, GetRange};
use tokio::task::AbortHandle;

use crate::blocks::{Plan, plan};
use crate::bucket::Bucket;
use crate::error::Error;
use crate::listing::RemoteObject;

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

/// Some bytes of the object, here or on their way.
struct Block {
    range: Range<u64>,
    loading: Loading,
    task: AbortHandle,
    used: u64,
}

impl std::fmt::Debug for Block {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Block").field("range", &self.range).finish_non_exhaustive()
    }
}

impl Drop for Block {
    /// What nobody reads is not fetched to its end.
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Block {
    fn holds(&self, range: &Range<u64>) -> bool {
        self.range.start <= range.start && range.end <= self.range.end
    }
}

impl ObjectReader {
    /// Of `object`; blocks of it may take about `budget` bytes of memory. `traffic` counts what is read.
    pub fn new(bucket: &Bucket, object: RemoteObject, budget: u64, traffic: Arc<Traffic>) -> Self {
        let remote = Arc::new(Remote { bucket: bucket.clone(), object, traffic });
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
    pub fn expect(&self, groups: &[Vec<Range<u64>>]) {
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
        state.clock += 1;
        let clock = state.clock;
        let first = range.start..range.start + 1;
        let ends = [&state.head, &state.tail];
        if let Some(block) = ends.into_iter().flatten().find(|block| block.holds(&first)) {
            return (block.range.clone(), block.loading.clone());
        }
        if let Some(number) = state.plan.find(range.start) {
            return self.planned(&mut state, number, clock);
        }
        let is_held = state.extra.as_ref().is_some_and(|block| block.holds(&range));
        if !is_held {
            state.extra = None;
        }
        let block = state.extra.get_or_insert_with(|| self.block(range));
        (block.range.clone(), block.loading.clone())
    }

    /// A block of the plan.
    fn planned(&self, state: &mut State, number: usize, clock: u64) -> (Range<u64>, Loading) {
        let length = |range: Range<u64>| range.end - range.start;
        let (mut wanted, mut last) = (vec![number], number);
        let mut ahead = (AHEAD * length(state.plan.range(number))).max(AHEAD_BYTES_MIN);
        while let Some(next) = state.plan.next(last)
            && let Some(left) = ahead.checked_sub(length(state.plan.range(next)))
        {
            wanted.push(next);
            (last, ahead) = (next, left);
        }
        for &number in &wanted {
            let range = state.plan.range(number);
            let block = state.blocks[number].get_or_insert_with(|| self.block(range));
            block.used = clock;
        }
        while state.held_bytes() > self.budget && state.drop_oldest(&wanted) {}
        let range = state.plan.range(number);
        let block = state.blocks[number].get_or_insert_with(|| self.block(range));
        (block.range.clone(), block.loading.clone())
    }

    /// Begins to fetch a range.
    fn block(&self, range: Range<u64>) -> Block {
        let (remote, wanted) = (Arc::clone(&self.remote), range.clone());
        let task = tokio::spawn(async move { remote.get(wanted).await.map_err(Arc::new) });
        let (abort, key) = (task.abort_handle(), self.remote.object.key.clone());
        let loading = async move {
            let stopped =
                |_| Arc::new(Error::Damaged { key, detail: "reading it was stopped".to_owned() });
            task.await.unwrap_or_else(|error| Err(stopped(error)))
        };
        Block { range, loading: loading.boxed().shared(), task: abort, used: 0 }
    }

    /// The ranges of both ends; a small object is all tail.
    fn ends(&self) -> (Range<u64>, Range<u64>) {
        let size = self.size();
        if size <= SMALL_BYTES { (0..0, 0..size) } else { (0..HEAD_BYTES, size - TAIL_BYTES..size) }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn held_bytes(&self) -> u64 {
        let held = self.blocks.iter().flatten().map(|block| &block.range);
        held.map(|range| range.end - range.start).sum()
    }

    /// Drops the block that was not used for longest, but none of `wanted`.
    fn drop_oldest(&mut self, wanted: &[usize]) -> bool {
        let held = self.blocks.iter().enumerate();
        let held = held.filter_map(|(number, block)| Some((number, block.as_ref()?.used)));
        let oldest =
            held.filter(|(number, _)| !wanted.contains(number)).min_by_key(|(_, used)| *used);
        oldest.map(|(number, _)| self.blocks[number] = None).is_some()
    }
}

impl Remote {
    async fn get(&self, range: Range<u64>) -> Result<Bytes, Error> {
        let (bucket, key) = (&self.bucket, &self.object.key);
        let wanted = range.end - range.start;
        if wanted == 0 {
            return Ok(Bytes::new());
        }
        let options = GetOptions {
            if_match: self.object.etag.clone(),
            range: Some(GetRange::Bounded(range)),
            ..GetOptions::default()
        };
        let get = async || {
            let result = bucket.get("reading", key, options.clone()).await?;
            result.bytes().await.map_err(|error| bucket.error("reading", key, &error))
        };
        let bytes = bucket.renewing(get).await?;
        self.traffic.requests.fetch_add(1, Ordering::Relaxed);
        self.traffic.bytes.fetch_add(bytes.len() as u64, Ordering::Relaxed);
        if bytes.len() as u64 != wanted {
            let detail = format!("{} bytes arrived of {wanted}", bytes.len());
            return Err(Error::Damaged { key: key.clone(), detail });
        }
        Ok(bytes)
    }
}
