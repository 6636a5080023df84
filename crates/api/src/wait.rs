//! Following a task to its end.

use std::time::Duration;

use backon::{BackoffBuilder, ExponentialBuilder};
use tokio::time::{Instant, sleep};

use crate::client::Client;
use crate::error::Error;
use crate::task::{Task, TaskId, TaskState};

/// How a task is followed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Poll {
    /// The first pause between two looks; it grows by half each time.
    pub interval_min: Duration,
    /// The longest pause.
    pub interval_max: Duration,
    /// When to give up; `None` waits as long as it takes.
    pub deadline: Option<Duration>,
}

impl Poll {
    /// Sets [`interval_min`](Self::interval_min).
    #[must_use]
    pub fn with_interval_min(self, interval_min: Duration) -> Self {
        Self { interval_min, ..self }
    }

    /// Sets [`interval_max`](Self::interval_max).
    #[must_use]
    pub fn with_interval_max(self, interval_max: Duration) -> Self {
        Self { interval_max, ..self }
    }

    /// Sets [`deadline`](Self::deadline).
    #[must_use]
    pub fn with_deadline(self, deadline: impl Into<Option<Duration>>) -> Self {
        Self { deadline: deadline.into(), ..self }
    }
}

impl Default for Poll {
    fn default() -> Self {
        Self {
            interval_min: Duration::from_secs(1),
            interval_max: Duration::from_secs(30),
            deadline: None,
        }
    }
}

impl Client {
    /// Looks at the task until it is done. `on_task` sees every look. A task that failed, waits
    /// for confirmation, or is still going at the deadline is an error.
    pub async fn wait(
        &self,
        id: &TaskId,
        poll: Poll,
        on_task: &mut (dyn FnMut(&Task) + Send),
    ) -> Result<Task, Error> {
        let start = Instant::now();
        let mut pauses = ExponentialBuilder::new()
            .with_min_delay(poll.interval_min)
            .with_max_delay(poll.interval_max)
            .with_factor(1.5)
            .without_max_times()
            .with_jitter()
            .build();
        loop {
            let task = self.task(id).await?;
            on_task(&task);
            match &task.state {
                TaskState::Done => return Ok(task),
                TaskState::Failed(state) => {
                    let message =
                        task.error.unwrap_or_else(|| "the service gave no reason".to_owned());
                    return Err(Error::Failed { task: task.id, state: state.clone(), message });
                }
                TaskState::Confirm => return Err(Error::NeedsConfirmation { task: task.id }),
                TaskState::Going(state) => {
                    // Jitter adds up to the pause itself, so the cap is applied again here.
                    let pause = pauses.next().unwrap_or(poll.interval_max).min(poll.interval_max);
                    let waited = start.elapsed();
                    let left = poll.deadline.map(|deadline| deadline.saturating_sub(waited));
                    if left == Some(Duration::ZERO) {
                        let state = state.clone();
                        return Err(Error::StillRunning { task: task.id, state, waited });
                    }
                    sleep(left.map_or(pause, |left| left.min(pause))).await;
                }
            }
        }
    }
}
