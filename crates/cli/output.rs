//! Where rows go: stdout, or a file that gets its name only when it is complete.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use memchr::memchr_iter;
use viking_fetch::rename_durably;

use crate::args::{OutputArgs, RowArgs};
use crate::checkpoint::Checkpoint;
use crate::exit::{Exit, Failure, Outcome};
use crate::stdout;
use crate::values::Format;
use crate::versions::Versions;

/// Larger than the 64 KiB of a new pipe: fewer switches between the two programs.
#[cfg(target_os = "linux")]
const PIPE_BYTES: usize = 1 << 20;

/// What file systems take.
const NAME_BYTES_MAX: usize = 255;

impl OutputArgs {
    /// The file that rows go to, if it is not stdout.
    pub(crate) fn file(&self) -> Option<&Path> {
        self.output.as_deref().filter(|path| *path != Path::new("-"))
    }

    /// The file that rows go to, where a link leads if it is one: the link stays.
    fn target(&self) -> Outcome<Option<PathBuf>> {
        let Some(path) = self.file() else { return Ok(None) };
        if !path.is_symlink() {
            return Ok(Some(path.to_owned()));
        }
        path.canonicalize().map(Some).map_err(|_| {
            let text = format!("{} is a link that leads nowhere", path.display());
            Failure::say(Exit::Usage, text).hint("remove it, or take another -o")
        })
    }

    /// What is wrong with the output before anything is written.
    fn check(&self) -> Outcome<()> {
        let Some(path) = &self.target()? else { return check_stdout() };
        if path.exists() && !path.is_file() {
            let text = format!("{} is not a regular file", path.display());
            return Err(Failure::say(Exit::Usage, text).hint("use > for devices and pipes"));
        }
        if path.exists() && !self.force {
            let text = format!("{} exists already", path.display());
            return Err(Failure::say(Exit::Usage, text)
                .hint("take another -o, or add --force to replace it"));
        }
        Ok(())
    }
}

/// An open output.
#[derive(Debug)]
pub(crate) struct Output {
    file: File,
    place: Option<Place>,
    checkpoint: Option<Checkpoint>,
    /// Lines written, where a run has to prove them.
    lines: Option<Arc<AtomicU64>>,
    /// An earlier try has written it all: what is written again goes nowhere.
    is_whole: bool,
    versions: Versions,
}

/// A file while it grows, and its name when it is complete.
#[derive(Debug)]
struct Place {
    part: PathBuf,
    name: PathBuf,
    may_replace: bool,
}

/// The run that an output belongs to.
#[derive(Debug, Clone, Copy)]
pub(crate) struct OutputOfRun<'a> {
    pub(crate) folder: &'a Path,
    pub(crate) run: &'a str,
    pub(crate) rows: &'a RowArgs,
}

impl OutputOfRun<'_> {
    /// The output while it grows. Named after the run: what another one writes to the same place is left
    /// alone. The collection is left out of it: names of files have their limits.
    fn part(&self, name: &Path) -> PathBuf {
        let mut ends = self.run.rsplitn(3, '-');
        let (random, time) = (ends.next().unwrap_or_default(), ends.next().unwrap_or_default());
        part_path(name, &format!(".{time}-{random}"))
    }
}

fn part_path(name: &Path, tag: &str) -> PathBuf {
    let mut part = name.as_os_str().to_owned();
    part.push(format!("{tag}.part"));
    PathBuf::from(part)
}

impl Output {
    /// An output of rows that are not part of a run.
    pub(crate) fn open(args: &OutputArgs) -> Outcome<Self> {
        args.check()?;
        match &args.target()? {
            None => Self::stdout(),
            Some(name) => {
                let (file, place) = Self::part(name, part_path(name, ""), args.force)?;
                let cannot =
                    |error| Failure::local(format!("cannot write {}", name.display()), error);
                file.set_len(0).map_err(cannot)?;
                Ok(Self {
                    file,
                    place: Some(place),
                    checkpoint: None,
                    lines: None,
                    is_whole: false,
                    versions: Versions::default(),
                })
            }
        }
    }

    /// The output of a run, gone on with where an earlier try stopped unless it is to begin `anew`.
    pub(crate) fn of_run(args: &OutputArgs, of: &OutputOfRun<'_>, anew: bool) -> Outcome<Self> {
        let lines = (of.rows.format == Format::Jsonl).then(Arc::default);
        let Some(name) = &args.target()? else {
            check_stdout()?;
            return Ok(Self { lines, ..Self::stdout()? });
        };
        let cannot = |error| Failure::local(format!("cannot write {}", name.display()), error);
        let part = of.part(name);
        let mut checkpoint = Checkpoint::new(of.folder, name, of.rows).map_err(cannot)?;
        // A whole one of this run's own is replaced unasked when its rows are not right any more.
        let is_own = checkpoint.is_whole(name, &part);
        if !anew && checkpoint.take_up_whole(name, &part) {
            let file = File::open(name).map_err(cannot)?;
            let versions = checkpoint.versions();
            let checkpoint = Some(checkpoint);
            return Ok(Self { file, place: None, checkpoint, lines, is_whole: true, versions });
        }
        if !is_own {
            args.check()?;
        }
        let (mut file, place) = Self::part(name, part, args.force || is_own)?;
        if anew {
            file.set_len(0).map_err(cannot)?;
        } else {
            checkpoint.take_up(&mut file).map_err(cannot)?;
        }
        let versions = checkpoint.versions();
        let (place, checkpoint) = (Some(place), Some(checkpoint));
        Ok(Self { file, place, checkpoint, lines, is_whole: false, versions })
    }

    /// What is wrong with the output of a run before anything is done.
    pub(crate) fn check(args: &OutputArgs, of: &OutputOfRun<'_>) -> Outcome<()> {
        let Some(name) = &args.target()? else { return check_stdout() };
        let part = of.part(name);
        let folder = match name.parent() {
            Some(folder) if folder != Path::new("") => folder,
            _ => Path::new("."),
        };
        let is_same = |a: &Path, b: &Path| match (a.canonicalize(), b.canonicalize()) {
            (Ok(a), Ok(b)) => a == b,
            _ => false,
        };
        if !folder.is_dir() {
            let text =
                format!("{} is no folder, so {} cannot be made", folder.display(), name.display());
            return Err(Failure::say(Exit::NotFound, text));
        }
        if is_same(folder, of.folder) {
            let text =
                format!("{} is in the run folder, which is for files of its own", name.display());
            return Err(Failure::say(Exit::Usage, text).hint("take an -o outside of it"));
        }
        if part.file_name().is_some_and(|name| name.len() > NAME_BYTES_MAX) {
            let text = format!("the name of {} is too long", name.display());
            return Err(Failure::say(Exit::Usage, text).hint("take a shorter -o"));
        }
        let checkpoint = Checkpoint::new(of.folder, name, of.rows);
        if checkpoint.is_ok_and(|checkpoint| checkpoint.is_whole(name, &part)) {
            return Ok(());
        }
        args.check()
    }

    /// The file while it grows, held by this process alone.
    fn part(name: &Path, part: PathBuf, may_replace: bool) -> Outcome<(File, Place)> {
        let cannot = |error| Failure::local(format!("cannot create {}", part.display()), error);
        let mut how = File::options();
        let file = how.read(true).write(true).create(true).truncate(false).open(&part);
        let file = file.map_err(cannot)?;
        match file.try_lock() {
            Ok(()) => {}
            Err(fs::TryLockError::WouldBlock) => {
                let text = format!("another viking-export writes to {}", part.display());
                return Err(Failure::say(Exit::Usage, text).hint("take another -o"));
            }
            Err(fs::TryLockError::Error(error)) => return Err(cannot(error)),
        }
        Ok((file, Place { part, name: name.to_owned(), may_replace }))
    }

    /// Notes what is printed so far, since the printing ends here.
    pub(crate) fn keep(&mut self) -> Outcome<()> {
        let kept = self.checkpoint.as_mut().filter(|_| !self.is_whole);
        let kept = kept.map(|checkpoint| checkpoint.save(&self.file));
        kept.transpose()
            .map(drop)
            .map_err(|error| Failure::local("cannot note what is printed", error))
    }

    /// Counts the lines that are written from now on.
    pub(crate) fn lines(&self) -> Option<Arc<AtomicU64>> {
        self.lines.clone()
    }

    /// The versions that the rows are of.
    pub(crate) fn versions(&self) -> Versions {
        self.versions.clone()
    }

    /// Rows that an earlier run printed here.
    pub(crate) fn rows(&self) -> u64 {
        self.checkpoint.as_ref().map_or(0, Checkpoint::rows)
    }

    /// Stdout without the line buffer of the standard library: rows come in large pieces.
    fn stdout() -> Outcome<Self> {
        let file =
            stdout_file().map_err(|error| Failure::local("cannot write to stdout", error))?;
        let versions = Versions::default();
        Ok(Self { file, place: None, checkpoint: None, lines: None, is_whole: false, versions })
    }

    /// Puts a complete file on the disk under its name. Until it is [forgotten](Self::forget), a run that
    /// stops knows that all `rows` are there.
    pub(crate) fn finish(&mut self, rows: u64) -> Outcome<()> {
        let Some(Place { part, name, may_replace }) = self.place.take() else { return Ok(()) };
        let cannot = |error| Failure::local(format!("cannot finish {}", name.display()), error);
        if name.exists() && !may_replace {
            let text = format!(
                "{} was made meanwhile; the rows are in {}",
                name.display(),
                part.display()
            );
            let hint = "move it away and go on, or go on with another -o";
            return Err(Failure::say(Exit::Usage, text).hint(hint));
        }
        let noted = self.checkpoint.as_mut().map(|note| note.save_whole(&self.file, rows));
        noted
            .unwrap_or(Ok(()))
            .and_then(|()| rename_durably(&self.file, &part, &name))
            .map_err(cannot)
    }

    /// Nothing is left to be done for which it would have to be known again.
    pub(crate) fn forget(&self) {
        if let Some(checkpoint) = &self.checkpoint {
            checkpoint.remove();
        }
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

impl Write for Output {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.is_whole {
            return Ok(bytes.len());
        }
        let written = self.file.write(bytes)?;
        if let Some(lines) = &self.lines {
            let new = memchr_iter(b'\n', &bytes[..written]).count() as u64;
            lines.fetch_add(new, Ordering::Relaxed);
            if let Some(checkpoint) = &mut self.checkpoint {
                checkpoint.wrote(&self.file, &bytes[..written], new)?;
            }
        } else if let Some(checkpoint) = &mut self.checkpoint {
            checkpoint.count(written as u64);
        }
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

/// A stdout that was closed before we began takes no rows. It was replaced by one that takes anything and
/// keeps nothing.
pub(crate) fn check_stdout() -> Outcome<()> {
    if stdout::was_closed() {
        return Err(Failure::say(Exit::Local, "stdout is closed")
            .hint("let it go somewhere, or write the rows to a file with -o"));
    }
    Ok(())
}

/// Prints a short answer of a verb on stdout. That its reader is gone is no failure.
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
