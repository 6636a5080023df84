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
/// Parts at once that [`Jobs::AUTO`] begins with: as many as are best where answers come at once.
const AUTO_FIRST: usize = 4;
const AUTO_MAX: usize = 64;
/// A rate is measured for so long, and after each change as long is left out of it: connections are made then.
const WINDOW: Duration = Duration::from_millis(200);
/// The same once the best number is found.
const WATCH_WINDOW: Duration = Duration::from_secs(4);
/// Beyond this many parts at once services refuse and nothing gets faster.
const JOBS_MAX: usize = 256;

/// Parts that are on their way at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Jobs(Option<NonZeroUsize>);

impl Jobs {
    /// As many as bring more bytes a second, 64 at most. The default.
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
    fn default() -> Self {
        Self::AUTO
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
    phase: Phase,
    since: Instant,
    /// Bytes since then.
    bytes: u64,
    /// The most bytes a second so far.
    best: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    /// The number has just changed.
    Settling,
    Measuring,
    /// More at once did not bring more.
    Found,
}

impl Climb {
    fn new() -> Self {
        Self { phase: Phase::Settling, since: Instant::now(), bytes: 0, best: 0 }
    }

    fn window(&self) -> Duration {
        if self.phase == Phase::Found { WATCH_WINDOW } else { WINDOW }
    }

    fn begin(&mut self, phase: Phase) {
        (self.phase, self.since, self.bytes) = (phase, Instant::now(), 0);
    }

    /// Takes a window of time in which so many bytes a second came with `limit` parts at once, and gives the
    /// number from now on.
    fn step(&mut self, rate: u64, limit: usize, max: usize) -> usize {
        match self.phase {
            Phase::Settling => {
                self.begin(Phase::Measuring);
                limit
            }
            // A quarter more is worth twice as many requests at once.
            Phase::Measuring if rate / 5 > self.best / 4 => {
                self.best = rate;
                self.begin(if limit < max { Phase::Settling } else { Phase::Found });
                (2 * limit).min(max)
            }
            Phase::Measuring => {
                self.begin(Phase::Found);
                if limit > AUTO_FIRST { limit / 2 } else { limit }
            }
            Phase::Found if rate / 6 < self.best / 10 => {
                // Maybe it is too much now; if not, it grows again.
                *self = Self::new();
                AUTO_FIRST
            }
            Phase::Found => {
                self.begin(Phase::Found);
                limit
            }
        }
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
            climb: (jobs == Jobs::AUTO).then(Climb::new),
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

    /// So many bytes of a part arrived.
    pub(crate) fn received(&self, bytes: usize) {
        let mut state = self.state();
        self.heed(&mut state);
        let (limit, max) = (state.limit, state.max);
        let Some(climb) = &mut state.climb else { return };
        if climb.bytes == 0 {
            // Until now the first bytes were waited for.
            climb.since = Instant::now();
        }
        climb.bytes += bytes as u64;
        let elapsed = climb.since.elapsed();
        if elapsed < climb.window() {
            return;
        }
        let rate = u128::from(climb.bytes) * 1_000_000 / elapsed.as_micros().max(1);
        let now = climb.step(u64::try_from(rate).unwrap_or(u64::MAX), limit, max);
        if now != limit {
            self.change(&mut state, now);
        }
    }

    /// A part arrived.
    pub(crate) fn arrived(&self) {
        let mut state = self.state();
        self.heed(&mut state);
        state.arrived += 1;
        let is_over = state.climb.is_none() && state.was_cut && state.arrived > state.limit;
        if is_over && state.limit < state.max {
            let more = state.limit + 1;
            self.change(&mut state, more);
        }
    }

    /// Parts that may be on their way now.
    pub(crate) fn limit(&self) -> usize {
        self.state().limit
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
        limiter.arrived();
        assert_eq!(limiter.state().limit, 4, "one burst counts once");
        assert_eq!(other.state().limit, 3, "a limit is that of its own download");
        tokio::time::advance(Duration::from_secs(2)).await;
        throttle.too_much(None);
        drop(held);
        assert_eq!(limiter.state().limit, 2);
        assert_eq!(limiter.slots.available_permits(), 2);
        for _ in 0..100 {
            limiter.arrived();
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

    /// Lets so many seconds pass on a link that brings `each` bytes a second for every part, `most` for all.
    async fn pass(limiter: &Limiter, seconds: usize, each: usize, most: usize) {
        for _ in 0..seconds * 100 {
            tokio::time::advance(Duration::from_millis(10)).await;
            limiter.received((limiter.limit() * each).min(most) / 100);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn auto_grows_while_more_at_once_brings_more() {
        for (each, most, found) in
            [(1_000_000, 30_000_000, 32), (1_000_000, 5_000_000, 4), (1_000, usize::MAX, 64)]
        {
            let limiter = Limiter::new(Jobs::AUTO, &Arc::default());
            pass(&limiter, 3, each, most).await;
            assert_eq!(limiter.limit(), found, "{each} each, {most} for all");
            pass(&limiter, 60, each, most).await;
            assert_eq!(limiter.limit(), found, "it stays there");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn auto_goes_back_when_less_comes_and_grows_again() {
        let limiter = Limiter::new(Jobs::AUTO, &Arc::default());
        pass(&limiter, 4, 1_000_000, 64_000_000).await;
        assert_eq!(limiter.limit(), 64);
        pass(&limiter, 30, 1_000_000, 8_000_000).await;
        assert_eq!(limiter.limit(), 8, "8 bring as much as 64");
        // What brings more without more at once is no reason to ask for more.
        pass(&limiter, 30, 4_000_000, 32_000_000).await;
        assert_eq!(limiter.limit(), 8);
    }

    #[test]
    fn jobs_have_their_limits() {
        assert_eq!((Jobs::new(0), Jobs::new(257)), (None, None));
        assert_eq!(Jobs::new(Jobs::MAX).map(Jobs::max), Some(256));
        assert_eq!((Jobs::AUTO.max(), Jobs::default()), (64, Jobs::AUTO));
    }
}
