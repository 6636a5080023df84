//! How much is asked of TOS at once: fewer parts at a time after it says that it is too much, more again
//! when it serves.

use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::{Mutex, MutexGuard};
use tokio::sync::{Semaphore, SemaphorePermit};
use tokio::time::Instant;

use crate::retry::DELAY_MAX;

/// One burst of refusals is one sign of too much, not many.
const BURST: Duration = Duration::from_secs(1);
/// Parts at once that [`Jobs::Auto`] begins with, and never goes beyond.
const AUTO_FIRST: usize = 4;
const AUTO_MAX: usize = 32;
/// Beyond this many parts at once services refuse and nothing gets faster.
const JOBS_MAX: usize = 256;

/// Parts that are on their way at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Jobs(Option<NonZeroUsize>);

impl Jobs {
    /// As many as bring more bytes a second, 32 at most.
    pub const AUTO: Self = Self(None);
    /// The largest fixed number.
    pub const MAX: usize = JOBS_MAX;

    /// A fixed number, from 1 to [`MAX`](Self::MAX), and fewer for a while when TOS says that it is too much.
    pub const fn new(jobs: usize) -> Option<Self> {
        match NonZeroUsize::new(jobs) {
            Some(fixed) if jobs <= JOBS_MAX => Some(Self(Some(fixed))),
            _ => None,
        }
    }

    /// The most that may be on their way.
    pub(crate) fn max(self) -> usize {
        self.0.map_or(AUTO_MAX, NonZeroUsize::get)
    }
}

impl Default for Jobs {
    /// Four.
    fn default() -> Self {
        Self(NonZeroUsize::new(4))
    }
}

/// What TOS says of all requests to one bucket: to wait, and that it is too much.
#[derive(Debug, Default)]
pub(crate) struct Throttle(Mutex<Refusals>);

#[derive(Debug, Default)]
struct Refusals {
    /// Bursts of refusals so far.
    bursts: u64,
    last: Option<Instant>,
    pause_until: Option<Instant>,
}

impl Throttle {
    /// Waits until TOS may be asked again.
    pub(crate) async fn pause(&self) {
        let until = self.refusals().pause_until;
        if let Some(until) = until {
            tokio::time::sleep_until(until).await;
        }
    }

    /// TOS asks us to wait so long before the next request.
    pub(crate) fn wait_for(&self, pause: Duration) {
        let mut refusals = self.refusals();
        let until = Instant::now() + pause.min(DELAY_MAX);
        refusals.pause_until = refusals.pause_until.max(Some(until));
    }

    /// TOS says that this is too much, and maybe for how long.
    pub(crate) fn too_much(&self, retry_after: Option<Duration>) {
        if let Some(pause) = retry_after {
            self.wait_for(pause);
        }
        let now = Instant::now();
        let mut refusals = self.refusals();
        if refusals.last.is_none_or(|last| now.duration_since(last) >= BURST) {
            refusals.last = Some(now);
            refusals.bursts += 1;
        }
    }

    fn bursts(&self) -> u64 {
        self.refusals().bursts
    }

    fn refusals(&self) -> MutexGuard<'_, Refusals> {
        self.0.lock()
    }
}

/// The parts at once of one download.
#[derive(Debug)]
pub(crate) struct Limiter {
    throttle: Arc<Throttle>,
    slots: Semaphore,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    /// Parts that may be on their way.
    limit: usize,
    /// What the limit grows to again.
    max: usize,
    /// Slots to take away as they come back.
    owed: usize,
    /// Parts that arrived since the limit was changed.
    arrived: usize,
    /// Bursts of refusals that the limit was cut for, and those before the download.
    bursts: u64,
    was_cut: bool,
    climb: Option<Climb>,
}

/// How the best number of parts at once is looked for.
#[derive(Debug)]
struct Climb {
    since: Instant,
    bytes: u64,
    parts: usize,
    /// Bytes a second before the last step.
    best: u64,
}

impl Climb {
    fn new(best: u64) -> Self {
        Self { since: Instant::now(), bytes: 0, parts: 0, best }
    }

    /// Bytes a second since the last step.
    fn rate(&self) -> u64 {
        let microseconds = self.since.elapsed().as_micros().max(1);
        let rate = u128::from(self.bytes) * 1_000_000 / microseconds;
        u64::try_from(rate).unwrap_or(u64::MAX)
    }
}

/// One part may be on its way as long as this is held.
#[derive(Debug)]
pub(crate) struct Slot<'a> {
    limiter: &'a Limiter,
    permit: Option<SemaphorePermit<'a>>,
}

impl Limiter {
    /// Allows as many parts at once as `jobs` says, and fewer when the bucket's `throttle` hears that it is too
    /// much.
    pub(crate) fn new(jobs: Jobs, throttle: &Arc<Throttle>) -> Self {
        let limit = jobs.0.map_or(AUTO_FIRST, NonZeroUsize::get);
        let state = State {
            limit,
            max: jobs.max(),
            owed: 0,
            arrived: 0,
            bursts: throttle.bursts(),
            was_cut: false,
            climb: (jobs == Jobs::AUTO).then(|| Climb::new(0)),
        };
        let throttle = Arc::clone(throttle);
        Self { throttle, slots: Semaphore::new(limit), state: Mutex::new(state) }
    }

    /// Waits for a slot, in the order of the calls.
    pub(crate) async fn slot(&self) -> Slot<'_> {
        self.heed(&mut self.state());
        // The semaphore is never closed; if it were, nothing would hold us back.
        Slot { limiter: self, permit: self.slots.acquire().await.ok() }
    }

    /// Halves the limit if TOS has said since the last time that it is too much.
    fn heed(&self, state: &mut State) {
        let bursts = self.throttle.bursts();
        if bursts == state.bursts {
            return;
        }
        (state.bursts, state.was_cut) = (bursts, true);
        // Where it is too much there is no more to be found by trying.
        if state.climb.take().is_some() {
            state.max = state.limit;
        }
        let half = (state.limit / 2).max(1);
        self.change(state, half);
        tracing::info!(parts = half, "TOS is busy, asking for less at once");
    }

    /// A part of so many bytes arrived.
    pub(crate) fn arrived(&self, bytes: u64) {
        let mut state = self.state();
        self.heed(&mut state);
        state.arrived += 1;
        if let Some(climb) = &mut state.climb {
            climb.bytes += bytes;
            climb.parts += 1;
            // As many parts again as were on their way: half of them began since the last step.
            if climb.parts >= 2 * state.limit {
                self.step(&mut state);
            }
        } else if state.limit < state.max && state.was_cut && state.arrived > state.limit {
            let more = state.limit + 1;
            self.change(&mut state, more);
        }
    }

    /// Doubles the parts at once as long as that brings more bytes a second.
    fn step(&self, state: &mut State) {
        let Some(climb) = state.climb.take() else { return };
        let rate = climb.rate();
        // A tenth more is worth twice as many requests at once.
        let is_worth_it = rate / 11 > climb.best / 10;
        if is_worth_it && state.limit < state.max {
            let more = (state.limit * 2).min(state.max);
            self.change(state, more);
            state.climb = Some(Climb::new(rate));
        } else if !is_worth_it && state.limit > AUTO_FIRST {
            self.change(state, state.limit / 2);
        }
    }

    fn change(&self, state: &mut State, limit: usize) {
        if limit > state.limit {
            let more = limit - state.limit;
            let kept = more.min(state.owed);
            state.owed -= kept;
            self.slots.add_permits(more - kept);
        } else {
            let fewer = state.limit - limit;
            state.owed += fewer - self.slots.forget_permits(fewer);
        }
        state.limit = limit;
        state.arrived = 0;
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock()
    }
}

impl Drop for Slot<'_> {
    fn drop(&mut self) {
        let mut state = self.limiter.state();
        self.limiter.heed(&mut state);
        if state.owed > 0
            && let Some(permit) = self.permit.take()
        {
            state.owed -= 1;
            permit.forget();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn fewer_parts_after_too_much_and_more_again_when_it_goes_well() {
        let throttle = Arc::<Throttle>::default();
        let limiter = Limiter::new(Jobs::new(8).unwrap(), &throttle);
        let other = Limiter::new(Jobs::new(3).unwrap(), &throttle);
        let held: Vec<Slot<'_>> = futures::future::join_all((0..8).map(|_| limiter.slot())).await;
        throttle.too_much(None);
        throttle.too_much(None);
        limiter.arrived(1);
        assert_eq!(limiter.state().limit, 4, "one burst counts once");
        assert_eq!(other.state().limit, 3, "a limit is that of its own download");
        tokio::time::advance(Duration::from_secs(2)).await;
        throttle.too_much(None);
        drop(held);
        assert_eq!(limiter.state().limit, 2);
        assert_eq!(limiter.slots.available_permits(), 2);
        for _ in 0..100 {
            limiter.arrived(1);
        }
        assert_eq!((limiter.state().limit, limiter.slots.available_permits()), (8, 8));
        let later = Limiter::new(Jobs::new(8).unwrap(), &throttle);
        drop(later.slot().await);
        assert_eq!(later.state().limit, 8, "what was before a download is no sign for it");
    }

    #[tokio::test(start_paused = true)]
    async fn the_wait_that_tos_asks_for_is_kept_within_reason() {
        let throttle = Throttle::default();
        for (asked, waited) in [(3, 3), (100_000, 30)] {
            let start = Instant::now();
            throttle.too_much(Some(Duration::from_secs(asked)));
            throttle.pause().await;
            assert_eq!(start.elapsed().as_secs(), waited);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn auto_goes_on_while_more_at_once_brings_more() {
        let limiter = Limiter::new(Jobs::AUTO, &Arc::default());
        // Twice as fast from 4 to 8 parts, and no faster with 16.
        for (parts, seconds) in [(8, 8), (16, 8), (32, 16)] {
            tokio::time::advance(Duration::from_secs(seconds)).await;
            (0..parts).for_each(|_| limiter.arrived(1_000));
        }
        assert_eq!(limiter.state().limit, 8, "16 were no better");
        (0..1_000).for_each(|_| limiter.arrived(1_000));
        assert_eq!(limiter.state().limit, 8, "found");
    }

    #[test]
    fn jobs_have_their_limits() {
        assert_eq!((Jobs::new(0), Jobs::new(257)), (None, None));
        assert_eq!(Jobs::new(Jobs::MAX).map(Jobs::max), Some(256));
        assert_eq!((Jobs::AUTO.max(), Jobs::default().max()), (32, 4));
    }
}
