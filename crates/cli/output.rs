//! Where rows go: stdout, or a file that gets its name only when it is complete.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use crate::args::OutputArgs;
use crate::exit::{Exit, Failure, Outcome};

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
}

impl Output {
    pub(crate) fn open(args: &OutputArgs) -> Outcome<Self> {
        match &args.output {
            Some(path) if args.is_file() => Self::open_file(path, args.force),
            _ => Self::stdout().map_err(|error| Failure::local("cannot write to stdout", error)),
        }
    }

    fn open_file(path: &Path, force: bool) -> Outcome<Self> {
        if path.exists() && !path.is_file() {
            let text = format!("{} is not a regular file", path.display());
            return Err(Failure::say(Exit::Usage, text).hint("use > for devices and pipes"));
        }
        if path.exists() && !force {
            let text = format!("{} exists already", path.display());
            return Err(Failure::say(Exit::Usage, text)
                .hint("take another -o, or add --force to replace it"));
        }
        let mut part = path.as_os_str().to_owned();
        part.push(".part");
        let part = PathBuf::from(part);
        let file = File::create(&part)
            .map_err(|error| Failure::local(format!("cannot create {}", part.display()), error))?;
        Ok(Self { file, places: Some((part, path.to_owned())) })
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
        Ok(Self { file, places: None })
    }

    /// Puts a complete file on the disk under its name.
    pub(crate) fn finish(self) -> Outcome<()> {
        let Some((part, place)) = self.places else { return Ok(()) };
        self.file
            .sync_all()
            .and_then(|()| fs::rename(&part, &place))
            .map_err(|error| Failure::local(format!("cannot finish {}", place.display()), error))
    }
}

impl Write for Output {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.file.write(bytes)
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
