//! What goes to stdout: rows, and the short answers of commands.

use std::fs::File;
use std::io::{self, Write};

use viking_export::RowOutput;

use super::failure::{Exit, Failure, Outcome};
use super::stdout;
use super::suggest::CLOSED_FIX;

/// Larger than the 64 KiB of a new pipe: fewer switches between the two programs.
#[cfg(target_os = "linux")]
const PIPE_BYTES: usize = 1 << 20;

const CLOSED: &str = "stdout is closed";

/// Rows to stdout, without the line buffer of the standard library: they come in large pieces.
pub(crate) fn stdout() -> Outcome<RowOutput> {
    if stdout::was_closed() {
        return Ok(RowOutput::unavailable(CLOSED));
    }
    let file = stdout_file().map_err(|error| Failure::local("cannot write to stdout", error))?;
    Ok(RowOutput::writer(file))
}

/// A stdout that was closed before we began takes no rows. It was replaced by one that takes anything and
/// keeps nothing.
pub(crate) fn check_stdout() -> Outcome<()> {
    if stdout::was_closed() {
        return Err(Failure::say(Exit::Local, CLOSED).hint(CLOSED_FIX));
    }
    Ok(())
}

/// Prints a short answer of a command on stdout. That its reader is gone is no failure.
pub(crate) fn print_text(text: &str) -> Outcome<()> {
    check_stdout()?;
    // Not the standard library's: it takes a stdout that cannot be written to for one that is not wanted.
    let write = || stdout_file()?.write_all(text.as_bytes());
    match write() {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
            Err(Failure::local("cannot write to stdout", error))
        }
        _ => Ok(()),
    }
}

fn stdout_file() -> io::Result<File> {
    #[cfg(unix)]
    {
        use std::os::fd::AsFd;
        let handle = io::stdout().as_fd().try_clone_to_owned()?;
        // Not every stdout is a pipe, and not every pipe may grow.
        #[cfg(target_os = "linux")]
        let _ = rustix::pipe::fcntl_setpipe_size(&handle, PIPE_BYTES);
        Ok(File::from(handle))
    }
    #[cfg(windows)]
    {
        use std::os::windows::io::AsHandle;
        Ok(File::from(io::stdout().as_handle().try_clone_to_owned()?))
    }
}
