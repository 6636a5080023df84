//! Where rows go: stdout, or a file that gets its name only when it is complete.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use memchr::memchr_iter;

use crate::args::{OutputArgs, RowArgs};
use crate::checkpoint::Checkpoint;
use crate::exit::{Exit, Failure, Outcome};
use crate::values::Format;

/// Larger than the 64 KiB of a new pipe: fewer switches between the two programs.
#[cfg(target_os = "linux")]
const PIPE_BYTES: usize = 1 << 20;

impl OutputArgs {
    /// Whether rows go to a file and not to stdout.
    pub(crate) fn is_file(&self) -> bool {
        self.output.as_ref().is_some_and(|path| path != Path::new("-"))
    }
}

/// An open output.
#[derive(Debug)]
pub(crate) struct Output {
    file: File,
    /// The file while it grows, and its name when it is complete.
    places: Option<(PathBuf, PathBuf)>,
    checkpoint: Option<Checkpoint>,
    /// Lines written, where a run has to prove them.
    lines: Option<Arc<AtomicU64>>,
}

impl Output {
    pub(crate) fn open(args: &OutputArgs) -> Outcome<Self> {
        Self::of_run(args, None)
    }

    /// The output of a run in a folder, gone on with where an earlier one stopped.
    pub(crate) fn of_run(args: &OutputArgs, run: Option<(&Path, &RowArgs)>) -> Outcome<Self> {
        let is_lines = run.is_some_and(|(_, rows)| rows.format == Format::Jsonl);
        let lines = is_lines.then(Arc::default);
        let Some(path) = args.output.as_ref().filter(|_| args.is_file()) else {
            let stdout = Self::stdout().map(|stdout| Self { lines, ..stdout });
            return stdout.map_err(|error| Failure::local("cannot write to stdout", error));
        };
        Self::check(args)?;
        let mut part = path.as_os_str().to_owned();
        part.push(".part");
        let part = PathBuf::from(part);
        let cannot = |error| Failure::local(format!("cannot create {}", part.display()), error);
        let mut checkpoint = run.and_then(|(folder, rows)| Checkpoint::new(folder, path, rows));
        let taken_up = checkpoint.as_mut().map(|checkpoint| checkpoint.take_up(&part)).transpose();
        let file = match taken_up.map_err(cannot)?.flatten() {
            Some(file) => file,
            None => File::create(&part).map_err(cannot)?,
        };
        Ok(Self { file, places: Some((part, path.clone())), checkpoint, lines })
    }

    /// What is wrong with the output before anything is written.
    pub(crate) fn check(args: &OutputArgs) -> Outcome<()> {
        let Some(path) = args.output.as_ref().filter(|_| args.is_file()) else { return Ok(()) };
        if path.exists() && !path.is_file() {
            let text = format!("{} is not a regular file", path.display());
            return Err(Failure::say(Exit::Usage, text).hint("use > for devices and pipes"));
        }
        if path.exists() && !args.force {
            let text = format!("{} exists already", path.display());
            return Err(Failure::say(Exit::Usage, text)
                .hint("take another -o, or add --force to replace it"));
        }
        Ok(())
    }

    /// Notes what is printed so far, since the printing ends here.
    pub(crate) fn keep(&mut self) -> Outcome<()> {
        let kept = self.checkpoint.as_mut().map(|checkpoint| checkpoint.save(&self.file));
        kept.transpose()
            .map(drop)
            .map_err(|error| Failure::local("cannot note what is printed", error))
    }

    /// Counts the lines that are written from now on.
    pub(crate) fn lines(&self) -> Option<Arc<AtomicU64>> {
        self.lines.clone()
    }

    /// Rows that an earlier run printed here.
    pub(crate) fn rows(&self) -> u64 {
        self.checkpoint.as_ref().map_or(0, Checkpoint::rows)
    }

    /// Stdout without the line buffer of the standard library: rows come in large pieces.
    fn stdout() -> io::Result<Self> {
        #[cfg(unix)]
        let file = {
            use std::os::fd::AsFd;
            let handle = io::stdout().as_fd().try_clone_to_owned()?;
            // Not every stdout is a pipe, and not every pipe may grow.
            #[cfg(target_os = "linux")]
            let _ = rustix::pipe::fcntl_setpipe_size(&handle, PIPE_BYTES);
            File::from(handle)
        };
        #[cfg(windows)]
        let file = {
            use std::os::windows::io::AsHandle;
            File::from(io::stdout().as_handle().try_clone_to_owned()?)
        };
        Ok(Self { file, places: None, checkpoint: None, lines: None })
    }

    /// Puts a complete file on the disk under its name.
    pub(crate) fn finish(self) -> Outcome<()> {
        let Some((part, place)) = self.places else { return Ok(()) };
        self.file
            .sync_all()
            .and_then(|()| fs::rename(&part, &place))
            .map_err(|error| Failure::local(format!("cannot finish {}", place.display()), error))?;
        if let Some(checkpoint) = self.checkpoint {
            checkpoint.remove();
        }
        Ok(())
    }
}

impl Write for Output {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.file.write(bytes)?;
        if let Some(lines) = &self.lines {
            let new = memchr_iter(b'\n', &bytes[..written]).count() as u64;
            lines.fetch_add(new, Ordering::Relaxed);
            if let Some(checkpoint) = &mut self.checkpoint {
                checkpoint.wrote(&self.file, &bytes[..written], new)?;
            }
        }
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

/// Prints a short answer of a verb on stdout. That its reader is gone is no failure.
pub(crate) fn print_text(text: &str) -> Outcome<()> {
    let mut stdout = io::stdout().lock();
    match stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush()) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
            Err(Failure::local("cannot write to stdout", error))
        }
        _ => Ok(()),
    }
}
