//! Names that survive a power cut.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::Path;

/// Gives the complete `file` at `from` the name `to`. The order is what a power cut may leave: first the bytes
/// are on the disk, then the name, then the folder that holds it.
pub fn rename_durably(file: &File, from: &Path, to: &Path) -> io::Result<()> {
    file.sync_all()?;
    fs::rename(from, to)?;
    sync_folder(parent(to))
}

/// Replaces the file at `path` with `bytes`, which are written to `part` first: the old or the new file is
/// there, never half of one.
pub fn replace_durably(path: &Path, part: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut file = File::create(part)?;
    file.write_all(bytes)?;
    rename_durably(&file, part, path)
}

/// Makes a folder and those above it that are missing, with their names on the disk.
pub fn create_folder_durably(path: &Path) -> io::Result<()> {
    let above = parent(path);
    if path.is_dir() {
        // Who made it may have been killed before its name was on the disk.
        return match sync_folder(above) {
            // A folder may be entered that cannot be opened.
            Err(error) if error.kind() == io::ErrorKind::PermissionDenied => Ok(()),
            synced => synced,
        };
    }
    create_folder_durably(above)?;
    match fs::create_dir(path) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists || !path.is_dir() => {
            return Err(error);
        }
        _ => {}
    }
    sync_folder(above)
}

fn parent(path: &Path) -> &Path {
    match path.parent() {
        Some(parent) if parent != Path::new("") => parent,
        _ => Path::new("."),
    }
}

/// Puts the names in a folder on the disk. Only Unix lets a folder be opened for that.
fn sync_folder(folder: &Path) -> io::Result<()> {
    if cfg!(unix) { File::open(folder)?.sync_all() } else { Ok(()) }
}
