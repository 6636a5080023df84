//! Asking a run to stop.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use tokio::sync::Notify;

/// Asks everything that prints rows to stop at the end of a row. Clones ask the same work.
#[derive(Debug, Clone, Default)]
pub struct Stop {
    asked: Arc<AtomicBool>,
    call: Arc<Notify>,
    printers: Arc<AtomicUsize>,
}

impl Stop {
    /// Asks all printing to stop.
    pub fn ask(&self) {
        self.asked.store(true, Ordering::SeqCst);
        self.call.notify_one();
    }

    /// Waits until stopping is asked for. One waiter hears of it.
    pub async fn asked(&self) {
        self.call.notified().await;
    }

    /// Waits until nothing prints any more.
    pub async fn wait_until_idle(&self) {
        while self.printers.load(Ordering::SeqCst) > 0 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    /// Whether stopping was asked for.
    pub(crate) fn is_asked(&self) -> bool {
        self.asked.load(Ordering::SeqCst)
    }

    /// Something prints as long as this is held.
    pub(crate) fn printing(&self) -> Printing<'_> {
        self.printers.fetch_add(1, Ordering::SeqCst);
        Printing(self)
    }
}

/// Held while something prints.
#[derive(Debug)]
pub(crate) struct Printing<'a>(&'a Stop);

impl Drop for Printing<'_> {
    fn drop(&mut self) {
        self.0.printers.fetch_sub(1, Ordering::SeqCst);
    }
}
