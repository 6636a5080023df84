//! How fast a download may go, and how far ahead of who uses its files.

use std::collections::HashSet;
use std::num::NonZeroU64;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::time::Instant;

use crate::object::RemoteObject;

/// Bytes a second, over all parts.
#[derive(Debug)]
pub(crate) struct Rate {
    bytes_per_second: NonZeroU64,
    /// When all bytes that were let through are paid for.
    paid: Mutex<Instant>,
}

impl Rate {
    pub(crate) fn new(bytes_per_second: NonZeroU64) -> Self {
        Self { bytes_per_second, paid: Mutex::new(Instant::now()) }
    }

    /// Waits until `bytes` more are allowed.
    pub(crate) async fn take(&self, bytes: usize) {
        let until = {
            let mut paid = self.paid.lock();
            let nanoseconds =
                bytes as u128 * 1_000_000_000 / u128::from(self.bytes_per_second.get());
            let cost = Duration::from_nanos(u64::try_from(nanoseconds).unwrap_or(u64::MAX));
            *paid = (*paid).max(Instant::now()) + cost;
            *paid
        };
        tokio::time::sleep_until(until).await;
    }
}

/// How far a download may be ahead of who uses its files.
///
/// Who uses them says which objects are done with. How far ahead the others are is counted by the download
/// itself, over its own list: an object that is waited for has nothing unused before it, and is never held up.
#[derive(Debug, Clone)]
pub struct Lead {
    bytes: u64,
    used: Arc<tokio::sync::watch::Sender<HashSet<String>>>,
}

impl Lead {
    /// No object is begun while more than `bytes` of those before it are unused.
    pub fn new(bytes: u64) -> Self {
        Self { bytes, used: Arc::new(tokio::sync::watch::channel(HashSet::new()).0) }
    }

    /// The object of this key is done with.
    pub fn set_used(&self, key: &str) {
        self.used.send_if_modified(|used| used.insert(key.to_owned()));
    }
}

/// A [`Lead`] over the objects of one download.
#[derive(Debug)]
pub(crate) struct Ahead<'a> {
    lead: &'a Lead,
    objects: &'a [RemoteObject],
    /// Bytes of the objects before each.
    starts: Vec<u64>,
    /// How many at the start are used.
    used: Mutex<usize>,
}

impl<'a> Ahead<'a> {
    pub(crate) fn new(lead: &'a Lead, objects: &'a [RemoteObject]) -> Self {
        let starts = objects.iter().scan(0_u64, |end, object| {
            let start = *end;
            *end = end.saturating_add(object.size);
            Some(start)
        });
        Self { lead, objects, starts: starts.collect(), used: Mutex::new(0) }
    }

    /// Waits until the object at `index` may be begun.
    pub(crate) async fn reached(&self, index: usize) {
        let mut used = self.lead.used.subscribe();
        // The sender is ours, so it is there as long as we wait.
        drop(used.wait_for(|used| self.is_near(index, used)).await);
    }

    fn is_near(&self, index: usize, used_keys: &HashSet<String>) -> bool {
        let mut used = self.used.lock();
        while self.objects.get(*used).is_some_and(|object| used_keys.contains(&object.key)) {
            *used += 1;
        }
        let start = |index: usize| self.starts.get(index).copied().unwrap_or(u64::MAX);
        index <= *used || start(index) - start(*used) <= self.lead.bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn bytes_pass_at_the_rate_and_no_faster() {
        let rate = Rate::new(NonZeroU64::new(1_000_000).unwrap());
        let start = Instant::now();
        for _ in 0..50 {
            rate.take(100_000).await;
        }
        assert_eq!(start.elapsed().as_secs(), 5);
    }

    #[test]
    fn what_is_waited_for_is_never_too_far_ahead() {
        let object = |number: u64| RemoteObject {
            key: format!("x/{number}"),
            name: number.to_string(),
            size: 100,
            etag: None,
        };
        let objects: Vec<_> = (0..5).map(object).collect();
        let lead = Lead::new(150);
        let near = |ahead: &Ahead<'_>| -> Vec<bool> {
            let used = lead.used.borrow();
            (0..ahead.objects.len()).map(|index| ahead.is_near(index, &used)).collect()
        };
        let ahead = Ahead::new(&lead, &objects);
        assert_eq!(near(&ahead), [true, true, false, false, false]);
        // A key that is not of this download changes nothing.
        lead.set_used("x/elsewhere");
        lead.set_used("x/0");
        assert_eq!(near(&ahead), [true, true, true, false, false]);
        // A second download, of what the first one left over, counts for itself.
        assert_eq!(near(&Ahead::new(&lead, &objects[3..])), [true, true]);
        // Used out of order: nothing before the first unused one is in the way of that one.
        lead.set_used("x/2");
        assert_eq!(near(&ahead), [true, true, true, false, false]);
        lead.set_used("x/1");
        assert_eq!(near(&ahead), [true; 5]);
    }
}
