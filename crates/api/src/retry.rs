//! How long VikingDB is asked again after a passing fault. Every retry of this crate is made here.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use backon::{BackoffBuilder, ExponentialBackoff, ExponentialBuilder};
use tokio::time::{Instant, sleep};

use crate::error::Error;

/// No two attempts are further apart, whatever the service asks for.
const DELAY_MAX: Duration = Duration::from_secs(30);
/// An answer that makes no sense comes from something that stands in the way of the service, or from a
/// service that is broken. That rarely passes, and a user can mend it.
const UNUSABLE_WITHIN: Duration = Duration::from_secs(15);

/// Jitter adds up to the delay itself, so this keeps below [`DELAY_MAX`].
const BACKOFF: ExponentialBuilder = ExponentialBuilder::new()
    .with_min_delay(Duration::from_millis(300))
    .with_max_delay(Duration::from_secs(15))
    .without_max_times()
    .with_jitter();

/// How long and how often requests are repeated after passing faults.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Retry {
    /// From the first sign of a fault to the last attempt.
    pub within: Duration,
    /// The same as long as the service has not answered at all: then the address or a proxy may be wrong.
    pub first_within: Duration,
    /// Attempts after the first; `None` leaves it to the time.
    pub times: Option<u32>,
}

impl Retry {
    /// Sets [`within`](Self::within).
    #[must_use]
    pub fn with_within(self, within: Duration) -> Self {
        Self { within, ..self }
    }

    /// Sets [`first_within`](Self::first_within).
    #[must_use]
    pub fn with_first_within(self, first_within: Duration) -> Self {
        Self { first_within, ..self }
    }

    /// Sets [`times`](Self::times).
    #[must_use]
    pub fn with_times(self, times: impl Into<Option<u32>>) -> Self {
        Self { times: times.into(), ..self }
    }
}

impl Default for Retry {
    /// Five minutes, and twenty seconds where the service never answered.
    fn default() -> Self {
        Self { within: Duration::from_mins(5), first_within: Duration::from_secs(20), times: None }
    }
}

/// What the requests of a client have met.
#[derive(Debug, Default)]
pub(crate) struct History {
    has_answered: AtomicBool,
    retries: AtomicU64,
}

impl History {
    /// The service has answered.
    pub(crate) fn note_answer(&self) {
        self.has_answered.store(true, Ordering::Relaxed);
    }

    /// Requests that were repeated.
    pub(crate) fn retries(&self) -> u64 {
        self.retries.load(Ordering::Relaxed)
    }
}

/// The attempts at one call.
pub(crate) struct Attempts<'a> {
    retry: Retry,
    history: &'a History,
    start: Instant,
    repeats: u32,
    delays: ExponentialBackoff,
}

impl<'a> Attempts<'a> {
    pub(crate) fn new(retry: Retry, history: &'a History) -> Self {
        Self { retry, history, start: Instant::now(), repeats: 0, delays: BACKOFF.build() }
    }

    /// Waits for the next attempt, or hands the error back where there is none.
    pub(crate) async fn again(&mut self, error: Error) -> Result<(), Error> {
        let retry = self.retry;
        let mut within = retry.within;
        if !self.history.has_answered.load(Ordering::Relaxed) {
            within = within.min(retry.first_within);
        }
        if error.is_unusable_answer() {
            within = within.min(UNUSABLE_WITHIN);
        }
        let left = within.saturating_sub(self.start.elapsed());
        let is_last = retry.times.is_some_and(|times| self.repeats >= times);
        if left.is_zero() || is_last {
            return Err(error);
        }
        self.repeats += 1;
        self.history.retries.fetch_add(1, Ordering::Relaxed);
        let asked = match &error {
            Error::Refused(refusal) => refusal.retry_after.unwrap_or_default(),
            _ => Duration::ZERO,
        };
        let delay = self.delays.next().unwrap_or(DELAY_MAX).max(asked).min(DELAY_MAX).min(left);
        tracing::info!(%error, ?delay, "trying again");
        sleep(delay).await;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Refusal;

    fn refused(status: u16, code: &str, retry_after: Option<Duration>) -> Error {
        Error::Refused(Box::new(Refusal {
            call: "task/info",
            status,
            code: code.to_owned(),
            message: String::new(),
            request_id: None,
            log_id: None,
            retry_after,
        }))
    }

    /// How long a fault that does not pass is borne, and over how many attempts.
    async fn borne(retry: Retry, has_answered: bool, fault: impl Fn() -> Error) -> (u64, u64) {
        let history = History::default();
        if has_answered {
            history.note_answer();
        }
        let mut attempts = Attempts::new(retry, &history);
        let start = Instant::now();
        let mut last = start;
        while attempts.again(fault()).await.is_ok() {
            assert!(last.elapsed() <= DELAY_MAX, "{:?}", last.elapsed());
            last = Instant::now();
        }
        (start.elapsed().as_secs(), history.retries())
    }

    #[tokio::test(start_paused = true)]
    async fn a_fault_is_borne_for_as_long_as_it_says_and_no_longer() {
        let retry = Retry::default();
        let busy = || refused(503, "", None);
        let (seconds, times) = borne(retry, true, busy).await;
        assert_eq!(seconds, 300);
        assert!((12..50).contains(&times), "{times}");
        assert_eq!(borne(retry, false, busy).await.0, 20, "it never answered");
        let broken = || refused(200, "1000028", None);
        assert_eq!(borne(retry, true, broken).await.0, 15);
        let limited = || refused(200, "1000029", None);
        assert_eq!(borne(retry, true, limited).await.0, 300, "a limited rate passes");
        let times = Retry { times: Some(3), ..retry };
        assert_eq!(borne(times, true, busy).await.1, 3);
        let asked = || refused(503, "", Some(Duration::from_hours(1)));
        assert_eq!(borne(Retry { times: Some(1), ..retry }, true, asked).await.0, 30);
    }
}
