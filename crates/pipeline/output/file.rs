//! Where rows go: a writer, or a file that gets its name only when it is complete.

use std::fmt;
use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use memchr::memchr_iter;
use viking_fetch::rename_durably;
use viking_reader::PrintFormat;

use super::checkpoint::Checkpoint;
use super::versions::Versions;
use crate::error::{Error, OutputError, Result};
use crate::record::RowOptions;

/// What file systems take.
const NAME_BYTES_MAX: usize = 255;

/// Where rows are to go.
pub struct RowOutput(Target);

enum Target {
    /// Taken when rows begin to go there.
    Writer(Option<Box<dyn Write + Send>>),
    File {
        path: PathBuf,
        may_replace: bool,
    },
    Unavailable(String),
}

impl RowOutput {
    /// Rows go to `writer` as they are printed. That it is closed early, as by a pipe whose reader has seen enough,
    /// is no failure. A run that is resumed prints all rows again.
    pub fn writer(writer: impl Write + Send + 'static) -> Self {
        Self(Target::Writer(Some(Box::new(writer))))
    }

    /// Rows go to a file, which gets its name when it is complete. A run that is resumed continues behind the rows
    /// that are there.
    pub fn file(path: impl Into<PathBuf>) -> Self {
        Self(Target::File { path: path.into(), may_replace: false })
    }

    /// There is nowhere to write to, as where stdout is closed. A run fails with this `problem` once it has a folder,
    /// before a task is created, and can be resumed with another output.
    pub fn unavailable(problem: impl Into<String>) -> Self {
        Self(Target::Unavailable(problem.into()))
    }

    /// Replaces the file if it exists; otherwise that is refused.
    #[must_use]
    pub fn replacing(mut self, replace: bool) -> Self {
        if let Target::File { may_replace, .. } = &mut self.0 {
            *may_replace = replace;
        }
        self
    }

    /// The file, if it is one.
    pub fn path(&self) -> Option<&Path> {
        match &self.0 {
            Target::Writer(_) | Target::Unavailable(_) => None,
            Target::File { path, .. } => Some(path),
        }
    }

    fn may_replace(&self) -> bool {
        matches!(self.0, Target::File { may_replace: true, .. })
    }

    /// The writer; once, since what was written cannot be taken back.
    fn take_writer(&mut self) -> Result<Box<dyn Write + Send>> {
        match &mut self.0 {
            Target::Writer(writer) => writer.take().ok_or(Error::Stale),
            Target::Unavailable(problem) => {
                Err(OutputError::Unavailable { problem: problem.clone() }.into())
            }
            Target::File { .. } => Err(Error::Bug("rows for a file went to a writer".to_owned())),
        }
    }

    /// The file that rows go to, where a link leads if it is one: the link stays.
    fn target(&self) -> Result<Option<PathBuf>> {
        let Some(path) = self.path() else { return Ok(None) };
        if !path.is_symlink() {
            return Ok(Some(path.to_owned()));
        }
        let dangling = |_| OutputError::DanglingLink { path: path.to_owned() }.into();
        path.canonicalize().map(Some).map_err(dangling)
    }

    /// What is wrong with the output before anything is written.
    fn check(&self) -> Result<()> {
        if let Target::Unavailable(problem) = &self.0 {
            return Err(OutputError::Unavailable { problem: problem.clone() }.into());
        }
        let Some(path) = self.target()? else { return Ok(()) };
        if path.exists() && !path.is_file() {
            return Err(OutputError::NotRegular { path }.into());
        }
        if path.exists() && !self.may_replace() {
            return Err(OutputError::Exists { path }.into());
        }
        Ok(())
    }
}

impl fmt::Debug for RowOutput {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RowOutput").field("path", &self.path()).finish_non_exhaustive()
    }
}

/// An open output.
pub(crate) struct Output {
    sink: Sink,
    place: Option<Place>,
    checkpoint: Option<Checkpoint>,
    /// Lines written, where a run has to prove them.
    lines: Option<Arc<AtomicU64>>,
    /// An earlier attempt has written it all: what is written again goes nowhere.
    is_whole: bool,
    versions: Versions,
}

enum Sink {
    Writer(Box<dyn Write + Send>),
    File(File),
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
    pub(crate) rows: &'a RowOptions,
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

impl fmt::Debug for Output {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Output").field("place", &self.place).finish_non_exhaustive()
    }
}

impl Output {
    fn new(sink: Sink) -> Self {
        Self {
            sink,
            place: None,
            checkpoint: None,
            lines: None,
            is_whole: false,
            versions: Versions::default(),
        }
    }

    /// An output of rows that are not part of a run.
    pub(crate) fn open(mut target: RowOutput) -> Result<Self> {
        target.check()?;
        let Some(name) = target.target()? else {
            return Ok(Self::new(Sink::Writer(target.take_writer()?)));
        };
        let (file, place) = Self::part(&name, part_path(&name, ""), target.may_replace())?;
        let cannot = |error| Error::io(format!("write {}", name.display()), error);
        file.set_len(0).map_err(cannot)?;
        Ok(Self { place: Some(place), ..Self::new(Sink::File(file)) })
    }

    /// The output of a run, continued where an earlier attempt stopped unless it is to begin `anew`.
    pub(crate) fn of_run(target: &mut RowOutput, of: &OutputOfRun<'_>, anew: bool) -> Result<Self> {
        let lines = (of.rows.format == PrintFormat::JsonLines).then(Arc::default);
        let Some(name) = &target.target()? else {
            return Ok(Self { lines, ..Self::new(Sink::Writer(target.take_writer()?)) });
        };
        let cannot = |error| Error::io(format!("write {}", name.display()), error);
        let part = of.part(name);
        let mut checkpoint = Checkpoint::new(of.folder, name, of.rows).map_err(cannot)?;
        // A whole one of this run's own is replaced unasked when its rows are not right any more.
        let is_own = checkpoint.is_whole(name, &part);
        if !anew && checkpoint.take_up_whole(name, &part) {
            let file = File::open(name).map_err(cannot)?;
            let versions = checkpoint.versions();
            let checkpoint = Some(checkpoint);
            let output = Self::new(Sink::File(file));
            return Ok(Self { checkpoint, lines, is_whole: true, versions, ..output });
        }
        if !is_own {
            target.check()?;
        }
        let (mut file, place) = Self::part(name, part, target.may_replace() || is_own)?;
        if anew {
            file.set_len(0).map_err(cannot)?;
        } else {
            checkpoint.take_up(&mut file).map_err(cannot)?;
        }
        let versions = checkpoint.versions();
        let (place, checkpoint) = (Some(place), Some(checkpoint));
        Ok(Self { place, checkpoint, lines, versions, ..Self::new(Sink::File(file)) })
    }

    /// What is wrong with the output of a run before anything is done.
    pub(crate) fn check(target: &RowOutput, of: &OutputOfRun<'_>) -> Result<()> {
        let Some(name) = target.target()? else { return target.check() };
        let part = of.part(&name);
        let folder = match name.parent() {
            Some(folder) if folder != Path::new("") => folder,
            _ => Path::new("."),
        };
        let is_same = |a: &Path, b: &Path| match (a.canonicalize(), b.canonicalize()) {
            (Ok(a), Ok(b)) => a == b,
            _ => false,
        };
        if !folder.is_dir() {
            let folder = folder.to_owned();
            return Err(OutputError::NoFolder { folder, path: name }.into());
        }
        if is_same(folder, of.folder) {
            return Err(OutputError::InRunFolder { path: name }.into());
        }
        if part.file_name().is_some_and(|name| name.len() > NAME_BYTES_MAX) {
            return Err(OutputError::NameTooLong { path: name }.into());
        }
        let checkpoint = Checkpoint::new(of.folder, &name, of.rows);
        if checkpoint.is_ok_and(|checkpoint| checkpoint.is_whole(&name, &part)) {
            return Ok(());
        }
        target.check()
    }

    /// The file while it grows, held by this process alone.
    fn part(name: &Path, part: PathBuf, may_replace: bool) -> Result<(File, Place)> {
        let cannot = |error| Error::io(format!("create {}", part.display()), error);
        let mut how = File::options();
        let file = how.read(true).write(true).create(true).truncate(false).open(&part);
        let file = file.map_err(cannot)?;
        match file.try_lock() {
            Ok(()) => {}
            Err(fs::TryLockError::WouldBlock) => {
                return Err(OutputError::Busy { path: part }.into());
            }
            Err(fs::TryLockError::Error(error)) => return Err(cannot(error)),
        }
        Ok((file, Place { part, name: name.to_owned(), may_replace }))
    }

    /// Notes what is printed so far, since the printing ends here.
    pub(crate) fn keep(&mut self) -> Result<()> {
        let (Some(checkpoint), Sink::File(file), false) =
            (&mut self.checkpoint, &self.sink, self.is_whole)
        else {
            return Ok(());
        };
        checkpoint.save(file).map_err(|error| Error::io("note what is printed", error))
    }

    /// Counts the lines that are written from now on.
    pub(crate) fn lines(&self) -> Option<Arc<AtomicU64>> {
        self.lines.clone()
    }

    /// The versions that the rows are of.
    pub(crate) fn versions(&self) -> Versions {
        self.versions.clone()
    }

    /// Rows that an earlier attempt printed here.
    pub(crate) fn rows(&self) -> u64 {
        self.checkpoint.as_ref().map_or(0, Checkpoint::rows)
    }

    /// Puts a complete file on the disk under its name. Until it is [forgotten](Self::forget), a run that
    /// stops knows that all `rows` are there.
    pub(crate) fn finish(&mut self, rows: u64) -> Result<()> {
        let (Some(Place { part, name, may_replace }), Sink::File(file)) =
            (self.place.take(), &self.sink)
        else {
            return Ok(());
        };
        if name.exists() && !may_replace {
            return Err(OutputError::MadeMeanwhile { path: name, part }.into());
        }
        let noted = self.checkpoint.as_mut().map(|note| note.save_whole(file, rows));
        noted
            .unwrap_or(Ok(()))
            .and_then(|()| rename_durably(file, &part, &name))
            .map_err(|error| Error::io(format!("finish {}", name.display()), error))
    }

    /// Nothing is left to be done for which it would have to be known again.
    pub(crate) fn forget(&self) {
        if let Some(checkpoint) = &self.checkpoint {
            checkpoint.remove();
        }
    }
}

impl Write for Output {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.is_whole {
            return Ok(bytes.len());
        }
        let written = match &mut self.sink {
            Sink::Writer(writer) => writer.write(bytes)?,
            Sink::File(file) => file.write(bytes)?,
        };
        let new = self.lines.as_ref().map(|lines| {
            let new = memchr_iter(b'\n', &bytes[..written]).count() as u64;
            lines.fetch_add(new, Ordering::Relaxed);
            new
        });
        if let (Some(checkpoint), Sink::File(file)) = (&mut self.checkpoint, &self.sink) {
            match new {
                Some(new) => checkpoint.wrote(file, &bytes[..written], new)?,
                None => checkpoint.count(written as u64),
            }
        }
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        match &mut self.sink {
            Sink::Writer(writer) => writer.flush(),
            Sink::File(file) => file.flush(),
        }
    }
}
