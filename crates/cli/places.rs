//! What the paths on the command line mean: files, folders, patterns, stdin, prefixes of TOS.

use std::collections::{HashSet, VecDeque};
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use alphanumeric_sort::sort_path_slice;
use serde_json::json;
use viking_api::TosPath;
use viking_fetch::{Bucket, Error, RefusedKey, RemoteObject};
use viking_reader::FileSource;

use crate::Context;
use crate::exit::{Exit, Failure, Outcome};
use crate::printing::{Input, open};
use crate::receipt::ObjectRecord;
use crate::remote::Remote;
use crate::report::Report;
use crate::run_folder;

/// What an export's files are called, in a folder without a receipt that names them.
const EXTENSIONS: [&str; 4] = ["parquet", "json", "jsonl", "ndjson"];

/// One file to read.
#[derive(Debug)]
pub(crate) enum Place {
    Stdin,
    Local(PathBuf),
    Remote(Remote, RemoteObject),
    /// Objects whose keys cannot be read, behind those that can.
    Refused(Vec<RefusedKey>),
}

impl Place {
    /// The object, if it is one of TOS.
    pub(crate) fn remote(&self) -> Option<&RemoteObject> {
        match self {
            Self::Remote(_, object) => Some(object),
            Self::Stdin | Self::Local(_) | Self::Refused(_) => None,
        }
    }

    fn open(&self) -> Outcome<Input> {
        match self {
            Self::Stdin => {
                let spooled = spool(io::stdin().lock());
                let source = spooled.map_err(|error| Failure::local("cannot read stdin", error))?;
                Ok(("stdin".to_owned(), Arc::new(source)))
            }
            Self::Local(path) => open_local(path),
            Self::Remote(remote, object) => Ok((remote.name(object), remote.open(object))),
            Self::Refused(keys) => Err(refused_keys(keys)),
        }
    }
}

/// Opens places one after the other. Both ends of remote objects are fetched a few objects ahead.
pub(crate) struct Opening<'a> {
    places: std::slice::Iter<'a, Place>,
    opened: VecDeque<Outcome<Input>>,
    ahead: usize,
}

impl<'a> Opening<'a> {
    pub(crate) fn new(places: &'a [Place], ahead: usize) -> Self {
        Self { places: places.iter(), opened: VecDeque::new(), ahead }
    }
}

impl Iterator for Opening<'_> {
    type Item = Outcome<Input>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.opened.is_empty() {
            self.opened.push_back(self.places.next()?.open());
        }
        while self.opened.len() <= self.ahead
            && let Some(place @ Place::Remote(..)) = self.places.as_slice().first()
        {
            self.opened.push_back(place.open());
            self.places.next();
        }
        self.opened.pop_front()
    }
}

/// Says how much of TOS was read, if anything was.
pub(crate) fn report_traffic(places: &[Place], context: &Context) {
    let mut said = Vec::new();
    for place in places {
        if let Place::Remote(remote, _) = place
            && !said.iter().any(|other| remote.is_same(other))
        {
            remote.report(&context.report);
            said.push(remote.clone());
        }
    }
}

/// The files that the paths name, folders, patterns and prefixes opened up, in number-aware order.
pub(crate) async fn find(context: &Context, paths: &[PathBuf]) -> Outcome<Vec<Place>> {
    let mut places = Vec::new();
    for path in paths {
        let text = path.to_str().unwrap_or_default();
        if text.starts_with("tos://") {
            places.extend(find_remote(context, &TosPath::parse(text)?, None).await?);
        } else if text == "-" {
            places.push(Place::Stdin);
        } else {
            places.extend(find_local(path)?.into_iter().map(Place::Local));
            if let Some(format) = table_format(path) {
                context.report.warn(&format!(
                    "{} is a table of {format}, whose log is not read: rows that it has removed are taken as well",
                    path.display()
                ));
            }
        }
    }
    Ok(places)
}

/// The objects below a prefix.
pub(crate) async fn find_remote(
    context: &Context,
    from: &TosPath,
    retries: Option<u8>,
) -> Outcome<Vec<Place>> {
    let bucket = context.service.bucket(from.bucket(), retries)?;
    let Listed { objects, refused } = list(&bucket, from, &context.report).await?;
    if objects.is_empty() && refused.is_empty() {
        return Err(no_objects(from));
    }
    let remote = Remote::new(bucket);
    let found = objects.iter().map(|object| Place::Remote(remote.clone(), object.remote()));
    Ok(found.chain((!refused.is_empty()).then_some(Place::Refused(refused))).collect())
}

/// There is nothing to read or download.
pub(crate) fn no_objects(from: &TosPath) -> Failure {
    let text = format!("there is no object with bytes below {from}");
    Failure::say(Exit::NotFound, text).hint("check the path, and that the task is done")
}

fn find_local(path: &Path) -> Outcome<Vec<PathBuf>> {
    match path.to_str() {
        Some(pattern) if !path.exists() && pattern.contains(['*', '?', '[']) => expand(pattern),
        _ if path.is_dir() => {
            if let Some(names) = run_folder::names(path)? {
                return Ok(names.into_iter().map(|name| path.join(name)).collect());
            }
            let mut found = Vec::new();
            walk(path, &mut found, &mut HashSet::new()).map_err(|error| {
                Failure::local(format!("cannot read {}", path.display()), error)
            })?;
            if found.is_empty() {
                let text = format!("{} has no Parquet or JSON file", path.display());
                return Err(Failure::say(Exit::NotFound, text));
            }
            sort_path_slice(&mut found);
            Ok(found)
        }
        _ => Ok(vec![path.to_owned()]),
    }
}

fn expand(pattern: &str) -> Outcome<Vec<PathBuf>> {
    let paths = glob::glob(pattern).map_err(|error| Failure::new(Exit::Usage, error))?;
    let mut found = Vec::new();
    for path in paths {
        let path = path.map_err(|error| Failure::new(Exit::Local, error))?;
        if path.is_dir() {
            walk(&path, &mut found, &mut HashSet::new()).map_err(|error| {
                Failure::local(format!("cannot read {}", path.display()), error)
            })?;
        } else {
            found.push(path);
        }
    }
    if found.is_empty() {
        return Err(Failure::say(Exit::NotFound, format!("no file matches {pattern}")));
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
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        if name.starts_with(['.', '_']) || name == "receipt.json" {
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

fn open_local(path: &Path) -> Outcome<Input> {
    let name = path.display().to_string();
    let is_stream = fs::metadata(path).is_ok_and(|file| !file.is_file() && !file.is_dir());
    if is_stream {
        let spooled = File::open(path).and_then(spool);
        let spooled =
            spooled.map_err(|error| Failure::local(format!("cannot read {name}"), error))?;
        return Ok((name, Arc::new(spooled)));
    }
    open(&name, path)
}

/// Parquet is read from its end, so a stream goes to a temporary file that has no name.
fn spool(mut stream: impl io::Read) -> io::Result<FileSource> {
    let mut file: File = tempfile::tempfile()?;
    io::copy(&mut stream, &mut file)?;
    FileSource::from_file(file)
}

/// Says what the wait is for.
pub(crate) fn note_listing(from: &TosPath, report: &Report) {
    report.note("list", &format!("listing {from}"), json!({"from": from.to_string()}));
}

/// What was listed.
#[derive(Debug)]
pub(crate) struct Listed {
    pub(crate) objects: Vec<ObjectRecord>,
    /// Objects whose keys cannot be files.
    pub(crate) refused: Vec<RefusedKey>,
}

/// Lists the objects below `from`.
pub(crate) async fn list(bucket: &Bucket, from: &TosPath, report: &Report) -> Outcome<Listed> {
    note_listing(from, report);
    let listing = bucket.list(from.prefix()).await?;
    let bytes: u64 = listing.objects.iter().map(|object| object.size).sum();
    let count = listing.objects.len();
    let empty = match listing.skipped {
        0 => String::new(),
        skipped => format!(", {skipped} empty ones left out"),
    };
    report.note(
        "listed",
        &format!("{count} objects, {}{empty}", indicatif::HumanBytes(bytes)),
        json!({"objects": count, "bytes": bytes, "skipped": listing.skipped}),
    );
    for key in &listing.refused {
        report.warn(&format!("{}, the others are taken", Error::from(key.clone())));
    }
    let objects = listing.objects.into_iter().map(ObjectRecord::from).collect();
    Ok(Listed { objects, refused: listing.refused })
}

/// Objects are missing whose keys cannot be files.
pub(crate) fn refused_keys(keys: &[RefusedKey]) -> Failure {
    let hint = "the others are complete; rename it in TOS, or load it with another tool";
    let Some(first) = keys.first() else { return Failure::say(Exit::Bug, "no key was refused") };
    let failure = Failure::from(Error::from(first.clone())).hint(hint);
    match keys.len() {
        1 => failure,
        more => failure.hint(format!("{} more keys cannot be kept either", more - 1)),
    }
}
