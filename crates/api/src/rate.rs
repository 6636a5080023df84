//! How often the service is called.

use std::time::Duration;

use parking_lot::Mutex;
use tokio::time::{Instant, sleep_until};

/// The pause between calls in the long run. An account has 50 calls of the control plane a second, which all of its
/// programs share (the vendor's page 1478243).
const INTERVAL: Duration = Duration::from_millis(40);

/// Calls that need no pause after a time without any. With those of the long run they are 49 in any second.
const BURST: u32 = 25;

/// Limits the calls of a client and its clones.
#[derive(Debug)]
pub(crate) struct Rate {
    /// When the next call would be due if there were no bursts.
    due: Mutex<Instant>,
}

impl Default for Rate {
    fn default() -> Self {
        Self { due: Mutex::new(Instant::now()) }
    }
}

impl Rate {
    /// Waits until one more call is allowed.
    pub(crate) async fn take(&self) {
        let until = {
            let mut due = self.due.lock();
            let now = Instant::now();
            let until = due.checked_sub(INTERVAL * (BURST - 1)).unwrap_or(now);
            *due = (*due).max(now) + INTERVAL;
            until
        };
        sleep_until(until).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn no_second_has_more_than_50_calls() {
        let rate = Rate::default();
        let mut calls = Vec::new();
        for pause in [0, 0, 1_000, 3_000] {
            tokio::time::sleep(Duration::from_millis(pause)).await;
            for _ in 0..90 {
                rate.take().await;
                calls.push(Instant::now());
            }
        }
        let most = calls.iter().map(|&start| {
            calls
                .iter()
                .filter(|&&call| start <= call && call < start + Duration::from_secs(1))
                .count()
        });
        assert_eq!(most.max(), Some(49));
        assert_eq!(calls[24], calls[0], "a few at once need no pause");
    }
}
