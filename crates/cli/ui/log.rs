//! What `-v` shows.

use std::io::{self, Write};

use super::plain;
use crate::args::TalkArgs;

/// Logs to stderr as much as was asked for.
pub(crate) fn log_to_stderr(talk: &TalkArgs) {
    let filter = match (&talk.log, talk.verbose) {
        (Some(filter), _) => filter.clone(),
        (None, 0) => return,
        (None, 1) => "viking_api=info,viking_fetch=info,viking_export=info".to_owned(),
        (None, _) => {
            "viking_api=debug,viking_fetch=debug,viking_export=debug,object_store=info".to_owned()
        }
    };
    tracing_subscriber::fmt()
        .with_env_filter(tracing_subscriber::EnvFilter::new(filter))
        .with_writer(|| LogLine)
        .with_ansi(false)
        .log_internal_errors(false)
        .init();
}

/// A line of the log. Where stderr is gone there is nobody left to read it.
struct LogLine;

impl Write for LogLine {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        let text = String::from_utf8_lossy(line);
        let plain = plain::one_line(text.trim_end_matches('\n'));
        io::stderr().write_all(format!("{plain}\n").as_bytes()).unwrap_or(());
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
