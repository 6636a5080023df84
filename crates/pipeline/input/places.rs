//! What the paths on the command line mean: files, folders, patterns, stdin, prefixes of TOS.

use std::collections::{HashSet, VecDeque};
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

use alphanumeric_sort::sort_path_slice;
use viking_api::TosPath;
use viking_fetch::{ObjectReader, RefusedKey, RemoteObject};
use viking_reader::{FileSource, Input, PrintOptions};

use super::listing::{Listed, list};
use super::remote::Remote;
use crate::error::{Error, RequestError, Result};
use crate::event::Warning;
use crate::record::{data_files, read_receipt};
use crate::session::Session;

/// What an export's files are called, in a folder without a receipt that names them.
const EXTENSIONS: [&str; 4] = ["parquet", "json", "jsonl", "ndjson"];

/// Objects that are begun ahead of the one that is read.
const OBJECTS_AHEAD: usize = 32;
/// Bytes of their ends, which is all of small ones.
const ENDS_BYTES: u64 = 16 << 20;

/// One file to read.
#[derive(Debug)]
pub struct Place(Kind);

#[derive(Debug)]
enum Kind {
    Stdin,
    Local(PathBuf),
    Remote(Remote, RemoteObject),
    /// Objects whose keys cannot be read, behind those that can.
    Refused(Vec<RefusedKey>),
}

impl Place {
    /// Standard input. It is copied to a temporary file, since Parquet is read from its end.
    pub fn stdin() -> Self {
        Self(Kind::Stdin)
    }

    /// The object, if it is one of TOS.
    pub fn remote(&self) -> Option<&RemoteObject> {
        match &self.0 {
            Kind::Remote(_, object) => Some(object),
            Kind::Stdin | Kind::Local(_) | Kind::Refused(_) => None,
        }
    }

    /// Whether it can be opened without a wait.
    pub(crate) fn is_local(&self) -> bool {
        matches!(self.0, Kind::Local(_))
    }

    /// Opens it. Blocks its thread.
    pub fn open(&self) -> Result<Input> {
        match &self.0 {
            Kind::Stdin => {
                let spooled = spool(io::stdin().lock());
                let source = spooled.map_err(|error| Error::io("read stdin", error))?;
                Ok(Input::new("stdin", source))
            }
            Kind::Local(path) => open_local(path),
            Kind::Remote(remote, object) => Ok(remote.open(object)),
            Kind::Refused(keys) => Err(Error::RefusedKeys(keys.clone())),
        }
    }
}

impl Place {
    /// Opens places one after the other; both ends of remote objects are fetched a few objects ahead. Blocks its
    /// thread.
    pub fn open_all(places: &[Self]) -> impl Iterator<Item = Result<Input>> + '_ {
        Opening::new(places, None)
    }
}

/// Opens places one after the other. Both ends of remote objects are fetched a few objects ahead, and their rows if
/// they will be printed.
pub(crate) struct Opening<'a> {
    places: std::slice::Iter<'a, Place>,
    opened: VecDeque<(Result<Input>, u64)>,
    /// Bytes of the ends of those that are opened.
    bytes: u64,
    printing: Option<&'a PrintOptions>,
    ahead: usize,
}

impl<'a> Opening<'a> {
    /// Of `places` that are printed with some options, if they are.
    pub(crate) fn new(places: &'a [Place], printing: Option<&'a PrintOptions>) -> Self {
        // Who wants some rows may get them all from the first.
        let is_part = printing.is_some_and(|options| options.limit.is_some() || options.offset > 0);
        let ahead = if is_part { 1 } else { OBJECTS_AHEAD };
        let printing = printing.filter(|_| !is_part);
        Self { places: places.iter(), opened: VecDeque::new(), bytes: 0, printing, ahead }
    }

    fn open_next(&mut self) -> Option<()> {
        let place = self.places.next()?;
        let (input, mut bytes) = (place.open(), 0);
        if let Kind::Remote(remote, object) = &place.0 {
            bytes = ObjectReader::begin_bytes(object.size);
            // Of a small one this is all.
            let is_whole = bytes == object.size;
            if let (Ok(input), Some(options), false) = (&input, self.printing, is_whole) {
                remote.announce(input, options);
            }
        }
        self.bytes += bytes;
        self.opened.push_back((input, bytes));
        Some(())
    }
}

impl Iterator for Opening<'_> {
    type Item = Result<Input>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.opened.is_empty() {
            self.open_next()?;
        }
        while self.opened.len() <= self.ahead
            && self.bytes < ENDS_BYTES
            && self.places.as_slice().first().is_some_and(|place| place.remote().is_some())
        {
            self.open_next();
        }
        let (input, bytes) = self.opened.pop_front()?;
        self.bytes -= bytes;
        Some(input)
    }
}

impl Session {
    /// Tells how much of TOS was read, if anything was.
    pub fn tell_traffic(&self, places: &[Place]) {
        let mut told: Vec<&Remote> = Vec::new();
        for place in places {
            if let Kind::Remote(remote, _) = &place.0
                && !told.iter().any(|other| remote.is_same(other))
            {
                self.tell(&remote.traffic());
                told.push(remote);
            }
        }
    }
}

/// The files that the paths name, folders, patterns and prefixes opened up, in number-aware order. `-` is
/// standard input, and `tos://bucket/prefix` a prefix.
pub async fn find(session: &Session, paths: &[PathBuf]) -> Result<Vec<Place>> {
    let mut places = Vec::new();
    for path in paths {
        let text = path.to_str().unwrap_or_default();
        if text.starts_with("tos://") {
            places.extend(find_remote(session, &TosPath::parse(text)?, None).await?);
        } else if text == "-" {
            places.push(Place::stdin());
        } else {
            places.extend(find_local(path)?.into_iter().map(|path| Place(Kind::Local(path))));
            if let Some(format) = table_format(path) {
                session.warn(Warning::TableFormat { folder: path.clone(), format });
            }
        }
    }
    Ok(places)
}

/// The objects below a prefix. To be called within a runtime of tokio, which must be there as long as they are
/// read.
pub async fn find_remote(
    session: &Session,
    from: &TosPath,
    retries: Option<u8>,
) -> Result<Vec<Place>> {
    let bucket = session.bucket(from.bucket(), retries).await?;
    let listed = list(&bucket, from, session.listener()).await?;
    if listed.is_empty() {
        return Err(RequestError::NoObjects { from: from.clone() }.into());
    }
    let Listed { objects, refused } = listed;
    let remote = Remote::new(bucket);
    let found = objects.iter().map(|object| Place(Kind::Remote(remote.clone(), object.remote())));
    let refused = (!refused.is_empty()).then_some(Place(Kind::Refused(refused)));
    Ok(found.chain(refused).collect())
}

fn find_local(path: &Path) -> Result<Vec<PathBuf>> {
    match path.to_str() {
        Some(pattern) if !path.exists() && pattern.contains(['*', '?', '[']) => expand(pattern),
        _ if path.is_dir() => {
            if let Some(names) = data_files(path)? {
                return Ok(names.into_iter().map(|name| path.join(name)).collect());
            }
            let mut found = Vec::new();
            walk(path, &mut found, &mut HashSet::new())
                .map_err(|error| cannot_read(path, error))?;
            if found.is_empty() {
                return Err(RequestError::NoDataFile { folder: path.to_owned() }.into());
            }
            sort_path_slice(&mut found);
            Ok(found)
        }
        _ => Ok(vec![path.to_owned()]),
    }
}

fn expand(pattern: &str) -> Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    let paths = glob::glob(pattern).map_err(|error| Error::Pattern(error.to_string()))?;
    for path in paths {
        let path = path.map_err(|error| {
            let path = error.path().to_owned();
            cannot_read(&path, error.into())
        })?;
        if path.is_dir() {
            walk(&path, &mut found, &mut HashSet::new())
                .map_err(|error| cannot_read(&path, error))?;
        } else {
            found.push(path);
        }
    }
    if found.is_empty() {
        return Err(RequestError::NoMatch { pattern: pattern.to_owned() }.into());
    }
    sort_path_slice(&mut found);
    Ok(found)
}

/// Files of an export below `folder`, without what the run folder keeps for itself, and without what other
/// programs leave beside their data: to them a name that begins with a dot or an underscore is no data. A
/// folder that links lead to twice is read once.
fn walk(folder: &Path, found: &mut Vec<PathBuf>, walked: &mut HashSet<PathBuf>) -> io::Result<()> {
    if !walked.insert(folder.canonicalize()?) {
        return Ok(());
    }
    // Only where the receipt says so: an object may be called the same.
    let description = read_receipt(folder).ok().and_then(|receipt| receipt.description);
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        let is_ours = name == "receipt.json" || description.as_deref() == Some(name);
        if name.starts_with(['.', '_']) || is_ours {
            continue;
        }
        if path.is_dir() {
            walk(&path, found, walked)?;
        } else if path.extension().is_some_and(|end| EXTENSIONS.iter().any(|known| end == *known)) {
            found.push(path);
        }
    }
    Ok(())
}

/// What a folder is a table of, if a log beside its files says which of their rows count.
fn table_format(folder: &Path) -> Option<&'static str> {
    let has = |name: &str| folder.join(name).is_dir();
    if has("_delta_log") {
        return Some("Delta Lake");
    }
    let metadata = fs::read_dir(folder.join("metadata")).ok()?;
    let is_iceberg = |name: &str| name.ends_with(".metadata.json");
    let mut names = metadata.flatten().map(|entry| entry.file_name());
    names.any(|name| name.to_str().is_some_and(is_iceberg)).then_some("Iceberg")
}

fn open_local(path: &Path) -> Result<Input> {
    let is_stream = fs::metadata(path).is_ok_and(|file| !file.is_file() && !file.is_dir());
    if is_stream {
        let spooled = File::open(path).and_then(spool).map_err(|error| cannot_read(path, error))?;
        return Ok(Input::new(path.display().to_string(), spooled));
    }
    Ok(Input::open(path)?)
}

fn cannot_read(path: &Path, error: io::Error) -> Error {
    Error::io(format!("read {}", path.display()), error)
}

/// Parquet is read from its end, so a stream goes to a temporary file that has no name.
fn spool(mut stream: impl io::Read) -> io::Result<FileSource> {
    let mut file: File = tempfile::tempfile()?;
    io::copy(&mut stream, &mut file)?;
    FileSource::from_file(file)
}
