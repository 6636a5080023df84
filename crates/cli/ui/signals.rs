//! Ctrl-C and SIGTERM.

use super::failure::{Exit, Failure, Outcome};

/// Waits for the signals that end a program politely.
pub(crate) struct Signals {
    #[cfg(unix)]
    interrupt: tokio::signal::unix::Signal,
    #[cfg(unix)]
    terminate: tokio::signal::unix::Signal,
}

impl Signals {
    pub(crate) fn new() -> Outcome<Self> {
        #[cfg(unix)]
        {
            use tokio::signal::unix::{SignalKind, signal};
            let listen = |kind| signal(kind).map_err(|error| Failure::new(Exit::Local, error));
            Ok(Self {
                interrupt: listen(SignalKind::interrupt())?,
                terminate: listen(SignalKind::terminate())?,
            })
        }
        #[cfg(not(unix))]
        Ok(Self {})
    }

    /// The next signal, as the exit it asks for.
    pub(crate) async fn next(&mut self) -> Exit {
        #[cfg(unix)]
        {
            tokio::select! {
                _ = self.interrupt.recv() => Exit::Interrupted,
                _ = self.terminate.recv() => Exit::Terminated,
            }
        }
        #[cfg(not(unix))]
        match tokio::signal::ctrl_c().await {
            Ok(()) => Exit::Interrupted,
            Err(_) => std::future::pending().await,
        }
    }
}

/// A write behind the limit of a file's size fails from now on, as one to a full disk does. Without this the
/// system would end the program.
pub(crate) fn bear_file_size_limit() -> Outcome<()> {
    #[cfg(unix)]
    {
        use tokio::signal::unix::{SignalKind, signal};
        let number = rustix::process::Signal::XFSZ.as_raw();
        // What listens to it once stays there for the whole process.
        let listened = signal(SignalKind::from_raw(number));
        drop(listened.map_err(|error| Failure::new(Exit::Local, error))?);
    }
    Ok(())
}
