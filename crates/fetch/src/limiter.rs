//! How much is asked of TOS at once: fewer parts at a time after it says that it is too much, more again
//! when it serves.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::{Semaphore, SemaphorePermit};
use tokio::time::Instant;

use crate::retry::DELAY_MAX;
use crate::schedule::Jobs;

/// One burst of refusals is one sign of too much, not many.
const BURST: Duration = Duration::from_secs(1);
/// Parts at once that [`Jobs::Auto`] begins with, and never goes beyond.
const AUTO_FIRST: usize = 4;
pub(crate) const AUTO_MAX: usize = 32;

/// Parts at once, and pauses between requests.
#[derive(Debug)]
pub(crate) struct Limiter {
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
    cut_at: Option<Instant>,
    pause_until: Option<Instant>,
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
    /// Nothing may be on its way yet.
    pub(crate) fn new() -> Self {
        let state = State {
            limit: 0,
            max: 0,
            owed: 0,
            arrived: 0,
            cut_at: None,
            pause_until: None,
            climb: None,
        };
        Self { slots: Semaphore::new(0), state: Mutex::new(state) }
    }

    /// Allows as many parts at once as `jobs` says.
    pub(crate) fn allow(&self, jobs: Jobs) {
        let mut state = self.state();
        let (limit, max) = match jobs {
            Jobs::Fixed(jobs) => (jobs.get(), jobs.get()),
            Jobs::Auto => (AUTO_FIRST, AUTO_MAX),
        };
        state.max = max;
        state.climb = (jobs == Jobs::Auto).then(|| Climb::new(0));
        self.change(&mut state, limit);
    }

    /// Waits for a slot, in the order of the calls.
    pub(crate) async fn slot(&self) -> Slot<'_> {
        // The semaphore is never closed; if it were, nothing would hold us back.
        Slot { limiter: self, permit: self.slots.acquire().await.ok() }
    }

    /// Waits until TOS may be asked again.
    pub(crate) async fn pause(&self) {
        let until = self.state().pause_until;
        if let Some(until) = until {
            tokio::time::sleep_until(until).await;
        }
    }

    /// TOS asks us to wait so long before the next request.
    pub(crate) fn wait_for(&self, pause: Duration) {
        let mut state = self.state();
        state.pause_until = state.pause_until.max(Some(Instant::now() + pause.min(DELAY_MAX)));
    }

    /// TOS says that this is too much, and maybe for how long.
    pub(crate) fn too_much(&self, retry_after: Option<Duration>) {
        if let Some(pause) = retry_after {
            self.wait_for(pause);
        }
        let now = Instant::now();
        let mut state = self.state();
        if state.cut_at.is_some_and(|cut| now.duration_since(cut) < BURST) {
            return;
        }
        state.cut_at = Some(now);
        // Where it is too much there is no more to be found by trying.
        if state.climb.take().is_some() {
            state.max = state.limit;
        }
        let half = (state.limit / 2).max(1);
        self.change(&mut state, half);
        tracing::info!(parts = half, "TOS is busy, asking for less at once");
    }

    /// A part of so many bytes arrived.
    pub(crate) fn arrived(&self, bytes: u64) {
        let mut state = self.state();
        state.arrived += 1;
        if let Some(climb) = &mut state.climb {
            climb.bytes += bytes;
            climb.parts += 1;
            // As many parts again as were on their way: half of them began since the last step.
            if climb.parts >= 2 * state.limit {
                self.step(&mut state);
            }
        } else if state.limit < state.max && state.cut_at.is_some() && state.arrived > state.limit {
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
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Slot<'_> {
    fn drop(&mut self) {
        let mut state = self.limiter.state();
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
    use std::num::NonZeroUsize;

    fn fixed(jobs: usize) -> Limiter {
        let limiter = Limiter::new();
        limiter.allow(Jobs::Fixed(NonZeroUsize::new(jobs).unwrap()));
        limiter
    }

    #[tokio::test(start_paused = true)]
    async fn fewer_parts_after_too_much_and_more_again_when_it_goes_well() {
        let limiter = fixed(8);
        let held: Vec<Slot<'_>> = futures::future::join_all((0..8).map(|_| limiter.slot())).await;
        limiter.too_much(None);
        limiter.too_much(None);
        assert_eq!(limiter.state().limit, 4, "one burst counts once");
        tokio::time::advance(Duration::from_secs(2)).await;
        limiter.too_much(None);
        assert_eq!(limiter.state().limit, 2);
        drop(held);
        assert_eq!(limiter.slots.available_permits(), 2);
        for _ in 0..100 {
            limiter.arrived(1);
        }
        assert_eq!((limiter.state().limit, limiter.slots.available_permits()), (8, 8));
    }

    #[tokio::test(start_paused = true)]
    async fn the_wait_that_tos_asks_for_is_kept_within_reason() {
        let limiter = fixed(2);
        for (asked, waited) in [(3, 3), (100_000, 30)] {
            let start = Instant::now();
            limiter.too_much(Some(Duration::from_secs(asked)));
            limiter.pause().await;
            assert_eq!(start.elapsed().as_secs(), waited);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn auto_goes_on_while_more_at_once_brings_more() {
        let limiter = Limiter::new();
        limiter.allow(Jobs::Auto);
        // Twice as fast from 4 to 8 parts, and no faster with 16.
        for (parts, seconds) in [(8, 8), (16, 8), (32, 16)] {
            tokio::time::advance(Duration::from_secs(seconds)).await;
            (0..parts).for_each(|_| limiter.arrived(1_000));
        }
        assert_eq!(limiter.state().limit, 8, "16 were no better");
        (0..1_000).for_each(|_| limiter.arrived(1_000));
        assert_eq!(limiter.state().limit, 8, "found");
    }
}
