//! What every command may need.

use std::sync::Arc;

use parking_lot::Mutex;
use viking_export::{Event, Listener, Session};

use crate::args::TalkArgs;
use crate::ui::copy::Commands;
use crate::ui::report::Report;

/// What every command may need. Cheap to clone.
#[derive(Debug, Clone)]
pub(crate) struct Context {
    pub(crate) session: Session,
    pub(crate) report: Arc<Report>,
    pub(crate) commands: Commands,
    pub(crate) talk: Arc<TalkArgs>,
    pub(crate) detach: Arc<Detach>,
}

impl Context {
    /// A command to copy.
    pub(crate) fn to_copy(&self, words: &[&str]) -> String {
        self.commands.to_copy(words)
    }

    /// Shows an event of a command that is not the library's.
    pub(crate) fn tell(&self, event: &Event) {
        self.report.on_event(event);
    }
}

/// What to say when the user stops us: what goes on, and how to resume.
#[derive(Debug, Default)]
pub(crate) struct Detach(Mutex<Vec<String>>);

impl Detach {
    pub(crate) fn set(&self, lines: Vec<String>) {
        *self.0.lock() = lines;
    }

    pub(crate) fn take(&self) -> Vec<String> {
        std::mem::take(&mut self.0.lock())
    }
}
