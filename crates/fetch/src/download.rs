//! One object: loaded into a temporary file, checked, put on the disk, renamed.

use std::fs::{self, File};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use bytes::Bytes;
use futures::TryStreamExt;
use object_store::GetOptions;

use crate::bucket::Bucket;
use crate::error::Error;
use crate::event::{Event, Observer};
use crate::listing::{RemoteObject, parse};

/// Chunks are gathered to this size before a thread is asked to write them.
const WRITE_BYTES: usize = 1 << 20;

/// Parquet begins and ends with these bytes.
const MAGIC: &[u8; 4] = b"PAR1";

/// The folder for what is not complete.
pub(crate) const PARTIAL: &str = ".partial";

/// Loads `object`, the one at `index` of this download, into `folder`.
pub(crate) async fn download(
    bucket: &Bucket,
    object: &RemoteObject,
    index: usize,
    folder: &Path,
    observer: &dyn Observer,
) -> Result<(), Error> {
    let place = folder.join(&object.name);
    if place.exists() {
        return Err(Error::Exists { path: place });
    }
    let partial = folder.join(PARTIAL).join(format!("{index}.part"));
    let part = receive(bucket, object, &partial, observer).await?;
    let (size, key) = (object.size, object.key.clone());
    blocking(move || settle(part, size, &key, &partial, &place)).await
}

/// Streams the body into the file at `path`.
async fn receive(
    bucket: &Bucket,
    object: &RemoteObject,
    path: &Path,
    observer: &dyn Observer,
) -> Result<File, Error> {
    let failed =
        |error: object_store::Error| Error::store("reading", &bucket.name, &object.key, &error);
    // If-Match ties the body to what was listed, also when a cut body is resumed.
    let options = GetOptions { if_match: object.etag.clone(), ..GetOptions::default() };
    let result = bucket.store.get_opts(&parse(&object.key)?, options).await.map_err(failed)?;
    let created = path.to_owned();
    let mut file = blocking(move || {
        let mut how = File::options();
        // Read again when it is complete, through the same handle.
        how.read(true).write(true).create(true).truncate(true);
        how.open(&created).map_err(|error| Error::local("create", &created, error))
    })
    .await?;
    let mut body = result.into_stream();
    let (mut chunks, mut gathered): (Vec<Bytes>, usize) = (Vec::new(), 0);
    loop {
        let chunk = body.try_next().await.map_err(failed)?;
        let is_last = chunk.is_none();
        if let Some(chunk) = chunk {
            observer.on_event(&Event::Received { bytes: chunk.len() as u64 });
            gathered += chunk.len();
            chunks.push(chunk);
        }
        if gathered >= WRITE_BYTES || is_last {
            file = write(file, std::mem::take(&mut chunks), path).await?;
            gathered = 0;
        }
        if is_last {
            return Ok(file);
        }
    }
}

async fn write(mut file: File, chunks: Vec<Bytes>, path: &Path) -> Result<File, Error> {
    let path = path.to_owned();
    blocking(move || {
        for chunk in chunks {
            file.write_all(&chunk).map_err(|error| Error::local("write", &path, error))?;
        }
        Ok(file)
    })
    .await
}

/// Checks the complete file and gives it its name. The order survives a power cut: first the
/// bytes are on the disk, then the name is, then the folder.
fn settle(mut part: File, size: u64, key: &str, partial: &Path, place: &Path) -> Result<(), Error> {
    let local = |action, path: &Path| {
        let path = path.to_owned();
        move |error| Error::local(action, &path, error)
    };
    let damaged = |detail: String| Error::Damaged { key: key.to_owned(), detail };
    let length = part.metadata().map_err(local("look at", partial))?.len();
    if length != size {
        return Err(damaged(format!("{length} bytes arrived of {size}")));
    }
    let ends = read_ends(&mut part).map_err(local("read", partial))?;
    if ends.is_some_and(|(head, tail)| &head == MAGIC && &tail != MAGIC) {
        return Err(damaged("it begins like a Parquet file and does not end like one".to_owned()));
    }
    part.flush().and_then(|()| part.sync_all()).map_err(local("flush", partial))?;
    let folder = place.parent().unwrap_or(Path::new("."));
    fs::create_dir_all(folder).map_err(local("create", folder))?;
    fs::rename(partial, place).map_err(local("rename to", place))?;
    sync_folder(folder).map_err(local("flush", folder))
}

fn read_ends(file: &mut File) -> io::Result<Option<([u8; 4], [u8; 4])>> {
    if file.metadata()?.len() < 8 {
        return Ok(None);
    }
    let (mut head, mut tail) = ([0; 4], [0; 4]);
    file.seek(SeekFrom::Start(0))?;
    file.read_exact(&mut head)?;
    file.seek(SeekFrom::End(-4))?;
    file.read_exact(&mut tail)?;
    Ok(Some((head, tail)))
}

/// Makes a rename durable. Only Unix lets a folder be opened for that.
pub(crate) fn sync_folder(folder: &Path) -> io::Result<()> {
    if cfg!(unix) { File::open(folder)?.sync_all() } else { Ok(()) }
}

/// Makes the folders of a download; what an earlier one left half done goes.
pub(crate) fn prepare(folder: &Path) -> Result<PathBuf, Error> {
    let partial = folder.join(PARTIAL);
    if partial.exists() {
        fs::remove_dir_all(&partial).map_err(|error| Error::local("clear", &partial, error))?;
    }
    fs::create_dir_all(&partial).map_err(|error| Error::local("create", &partial, error))?;
    Ok(partial)
}

async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, Error> + Send + 'static,
) -> Result<T, Error> {
    match tokio::task::spawn_blocking(work).await {
        Ok(done) => done,
        Err(error) => Err(Error::local("work in", Path::new(PARTIAL), io::Error::other(error))),
    }
}
