//! The folder of a download: files that are not complete, room on the disk, and the last step, after
//! which a file has its name.

use std::fs::{self, File};
use std::io;
use std::path::Path;

use crate::durable::{create_folder_durably, rename_durably};
use crate::error::Error;
use crate::object::{PARTIAL, RemoteObject};
use crate::proof::{check_shape, digest, prove_file};

/// Makes the folders of a download. What an earlier one left is kept, to be gone on with.
pub(crate) fn prepare(folder: &Path) -> Result<(), Error> {
    let partial = folder.join(PARTIAL);
    create_folder_durably(&partial).map_err(|error| Error::local("create", &partial, error))
}

/// Removes what downloads left in `folder` of objects that are not wanted any more, or are complete.
pub fn remove_partial(folder: &Path) -> Result<(), Error> {
    let partial = folder.join(PARTIAL);
    match fs::remove_dir_all(&partial) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            Err(Error::local("remove", &partial, error))
        }
        _ => Ok(()),
    }
}

/// The name of an object as one of a file in one folder, another one for each object.
pub(crate) fn flat(name: &str) -> String {
    // Names may be as long as keys, file names may not; the journal says which key it is about.
    let mut crc = digest();
    crc.update(name.as_bytes());
    let plain = |letter: char| if letter.is_ascii_alphanumeric() { letter } else { '_' };
    let start: String = name.chars().take(60).map(plain).collect();
    format!("{start}-{:016x}", crc.finalize())
}

/// Bytes that a download of `objects` into `folder` still takes on the disk: less by the parts that an
/// earlier one left there.
pub fn needed_bytes(folder: &Path, objects: &[RemoteObject]) -> u64 {
    let wanted = objects.iter().map(|object| object.size).fold(0, u64::saturating_add);
    let Ok(entries) = fs::read_dir(folder.join(PARTIAL)) else { return wanted };
    let files = entries.flatten().filter_map(|entry| entry.metadata().ok());
    wanted.saturating_sub(files.map(|file| file.len()).sum())
}

/// Bytes that are free on the disk of `folder` for this user; `None` where the system is not asked, which is
/// beyond Unix.
pub fn free_bytes(folder: &Path) -> Result<Option<u64>, Error> {
    #[cfg(unix)]
    {
        let failed =
            |error| Error::local("look at the free space of", folder, io::Error::from(error));
        let disk = rustix::fs::statvfs(folder).map_err(failed)?;
        Ok(Some(disk.f_bavail.saturating_mul(disk.f_frsize)))
    }
    #[cfg(not(unix))]
    {
        let _ = folder;
        Ok(None)
    }
}

/// Whether `needed` more bytes fit on the disk of `folder`.
pub(crate) fn check_room(folder: &Path, needed: u64) -> Result<(), Error> {
    if let Some(free) = free_bytes(folder)?
        && free < needed
    {
        return Err(Error::NoSpace { path: folder.to_owned(), needed, free });
    }
    Ok(())
}

#[cfg(unix)]
pub(crate) fn write_all_at(file: &File, bytes: &[u8], offset: u64) -> io::Result<()> {
    std::os::unix::fs::FileExt::write_all_at(file, bytes, offset)
}

#[cfg(windows)]
pub(crate) fn write_all_at(file: &File, mut bytes: &[u8], mut offset: u64) -> io::Result<()> {
    while !bytes.is_empty() {
        let written = std::os::windows::fs::FileExt::seek_write(file, bytes, offset)?;
        if written == 0 {
            return Err(io::ErrorKind::WriteZero.into());
        }
        bytes = &bytes[written..];
        offset += written as u64;
    }
    Ok(())
}

/// A complete file that is still to get its name.
pub(crate) struct Settling<'a> {
    pub(crate) file: &'a File,
    /// Its path so far.
    pub(crate) partial: &'a Path,
    /// Its path from now on, in the folder of the download or below.
    pub(crate) place: &'a Path,
    pub(crate) object: &'a RemoteObject,
    /// Its checksum as it arrived, if the file is to be read again and compared.
    pub(crate) again: Option<u64>,
}

impl Settling<'_> {
    /// Checks the file and gives it its name; tells whether its MD5 was compared.
    pub(crate) fn settle(self) -> Result<bool, Error> {
        let Self { file, partial, place, object, again } = self;
        let local = |action, path: &Path| {
            let path = path.to_owned();
            move |error| Error::local(action, &path, error)
        };
        let is_md5_compared = match again {
            Some(crc64) => prove_file(file, partial, object, Some(crc64))?.is_md5_compared,
            None => check_shape(file, partial, object).map(|()| false)?,
        };
        let folder = place.parent().unwrap_or(Path::new("."));
        create_folder_durably(folder).map_err(local("create", folder))?;
        rename_durably(file, partial, place).map_err(local("rename to", place))?;
        Ok(is_md5_compared)
    }
}
