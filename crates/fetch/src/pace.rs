//! How fast a download may go, and how far ahead of who uses its files.

use std::num::NonZeroU64;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

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
            let mut paid = self.paid.lock().unwrap_or_else(PoisonError::into_inner);
            let nanoseconds =
                bytes as u128 * 1_000_000_000 / u128::from(self.bytes_per_second.get());
            let cost = Duration::from_nanos(u64::try_from(nanoseconds).unwrap_or(u64::MAX));
            *paid = (*paid).max(Instant::now()) + cost;
            *paid
        };
        tokio::time::sleep_until(until).await;
    }
}

/// How far a download may be ahead of who uses its files, counted in bytes of objects in their order.
#[derive(Debug, Clone)]
pub struct Lead {
    bytes: u64,
    used: Arc<tokio::sync::watch::Sender<u64>>,
}

impl Lead {
    /// No object is begun that starts more than `bytes` behind what is used up.
    pub fn new(bytes: u64) -> Self {
        Self { bytes, used: Arc::new(tokio::sync::watch::channel(0).0) }
    }

    /// This many bytes are used up, counted from the first object's start.
    pub fn set_used(&self, bytes: u64) {
        self.used.send_replace(bytes);
    }

    /// Waits until an object that starts at this place may be begun.
    pub(crate) async fn reached(&self, start: u64) {
        let mut used = self.used.subscribe();
        let is_near = |used: &u64| start <= used.saturating_add(self.bytes);
        // The sender is ours, so it is there as long as we wait.
        drop(used.wait_for(is_near).await);
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
}
