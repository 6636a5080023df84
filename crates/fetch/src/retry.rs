//! How long TOS is asked again after a passing fault. Every retry of this crate is made here; the ones of
//! `object_store` are switched off.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use backon::{BackoffBuilder, ExponentialBackoff, ExponentialBuilder};
use tokio::time::{Instant, sleep};

use crate::error::Error;

/// No two attempts are further apart, whatever the service asks for.
pub(crate) const DELAY_MAX: Duration = Duration::from_secs(30);
/// An answer that makes no sense comes from something that stands in the way of the service. That rarely
/// passes, and a user can mend it.
const UNUSABLE_WITHIN: Duration = Duration::from_secs(15);
/// So many bytes are progress. Fewer would let a service that sends one byte a request keep us for ever.
const PROGRESS_BYTES: u64 = 64 * 1024;

/// Jitter adds up to the delay itself, so this keeps below [`DELAY_MAX`].
const BACKOFF: ExponentialBuilder = ExponentialBuilder::new()
    .with_min_delay(Duration::from_millis(100))
    .with_max_delay(Duration::from_secs(15))
    .without_max_times()
    .with_jitter();

/// How long and how often requests are repeated after passing faults.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Retry {
    /// From the first sign of a fault to the last attempt. Progress starts it anew.
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

/// What the requests to a bucket have met.
#[derive(Debug, Default)]
pub(crate) struct History {
    pub(crate) has_answered: AtomicBool,
    retries: AtomicU64,
}

impl History {
    /// Requests that were repeated since this was asked for the last time.
    pub(crate) fn take_retries(&self) -> u64 {
        self.retries.swap(0, Ordering::Relaxed)
    }
}

/// The attempts at one thing.
#[derive(Debug)]
pub(crate) struct Attempts {
    retry: Retry,
    history: Arc<History>,
    /// Since when it fails.
    since: Option<Instant>,
    repeats: u32,
    bytes: u64,
    delays: ExponentialBackoff,
}

impl Attempts {
    pub(crate) fn new(retry: Retry, history: Arc<History>) -> Self {
        Self { retry, history, since: None, repeats: 0, bytes: 0, delays: BACKOFF.build() }
    }

    /// Waits for the next attempt, or hands the error back where there is none.
    pub(crate) async fn again(&mut self, error: Error) -> Result<(), Error> {
        if !error.is_passing() {
            return Err(error);
        }
        let since = *self.since.get_or_insert_with(Instant::now);
        let mut within = self.retry.within;
        if !self.history.has_answered.load(Ordering::Relaxed) {
            within = within.min(self.retry.first_within);
        }
        if error.is_unusable_answer() {
            within = within.min(UNUSABLE_WITHIN);
        }
        let left = within.saturating_sub(since.elapsed());
        let is_last = self.retry.times.is_some_and(|times| self.repeats >= times);
        if left.is_zero() || is_last {
            return Err(error);
        }
        self.repeats += 1;
        self.history.retries.fetch_add(1, Ordering::Relaxed);
        let asked = error.refusal().and_then(|refusal| refusal.retry_after).unwrap_or_default();
        let delay = self.delays.next().unwrap_or(DELAY_MAX).max(asked).min(DELAY_MAX).min(left);
        tracing::info!(%error, ?delay, "trying again");
        sleep(delay).await;
        Ok(())
    }

    /// Something went well: what fails from here on is another fault.
    pub(crate) fn succeeded(&mut self) {
        if self.since.take().is_some() {
            (self.repeats, self.bytes, self.delays) = (0, 0, BACKOFF.build());
        }
    }

    /// Bytes arrived.
    pub(crate) fn received(&mut self, bytes: u64) {
        self.bytes += bytes;
        if self.bytes >= PROGRESS_BYTES {
            self.bytes = 0;
            self.succeeded();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::{Cause, Refusal};

    fn error(cause: Cause) -> Error {
        Error::Store {
            action: "reading",
            bucket: "demo".to_owned(),
            key: "a".to_owned(),
            source: Box::new(cause),
        }
    }

    fn busy(retry_after: Option<Duration>) -> Error {
        error(Cause::Refused(Refusal { status: 503, retry_after, ..Refusal::default() }))
    }

    /// How long a fault that does not pass is borne, and over how many attempts.
    async fn borne(retry: Retry, has_answered: bool, fault: impl Fn() -> Error) -> (u64, u64) {
        let history = Arc::new(History::default());
        history.has_answered.store(has_answered, Ordering::Relaxed);
        let mut attempts = Attempts::new(retry, Arc::clone(&history));
        let start = Instant::now();
        let mut last = start;
        while attempts.again(fault()).await.is_ok() {
            assert!(last.elapsed() <= DELAY_MAX, "{:?}", last.elapsed());
            last = Instant::now();
        }
        (start.elapsed().as_secs(), history.take_retries())
    }

    #[tokio::test(start_paused = true)]
    async fn a_fault_is_borne_for_as_long_as_it_says_and_no_longer() {
        let retry = Retry::default();
        let (seconds, times) = borne(retry, true, || busy(None)).await;
        assert_eq!(seconds, 300);
        assert!((15..50).contains(&times), "{times}");
        assert_eq!(borne(retry, false, || busy(None)).await.0, 20, "it never answered");
        let nonsense = || error(Cause::Unusable("it is HTML".to_owned()));
        assert_eq!(borne(retry, true, nonsense).await.0, 15);
        let times = Retry { times: Some(3), ..retry };
        assert_eq!(borne(times, true, || busy(None)).await.1, 3);
        let definite = || error(Cause::Refused(Refusal { status: 403, ..Refusal::default() }));
        assert_eq!(borne(retry, true, definite).await, (0, 0));
    }

    #[tokio::test(start_paused = true)]
    async fn the_wait_that_is_asked_for_is_kept_up_to_a_limit() {
        let retry = Retry { times: Some(1), ..Retry::default() };
        for (asked, waited) in [(7, 7), (3_600, 30)] {
            let fault = || busy(Some(Duration::from_secs(asked)));
            assert_eq!(borne(retry, true, fault).await, (waited, 1));
        }
    }

    #[tokio::test(start_paused = true)]
    async fn progress_starts_the_clock_anew_and_single_bytes_do_not() {
        for (bytes, is_borne) in [(PROGRESS_BYTES, true), (1, false)] {
            let history = Arc::new(History::default());
            history.has_answered.store(true, Ordering::Relaxed);
            let mut attempts = Attempts::new(Retry::default(), history);
            let start = Instant::now();
            let mut outcome = Ok(());
            while outcome.is_ok() && start.elapsed() < Duration::from_mins(30) {
                attempts.received(bytes);
                outcome = attempts.again(busy(None)).await;
            }
            assert_eq!(outcome.is_ok(), is_borne, "{bytes} bytes a request");
        }
    }
}
