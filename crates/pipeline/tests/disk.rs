//! A disk that crashes.
//!
//! The calls by which the standard library changes files are defined here, and so take the place of the C library's in
//! this test binary: the program needs no seam for it. Calls on paths below the folder of a [`Disk`] are counted
//! and recorded, all others go through. At a chosen call the process "dies": nothing of it changes the disk any
//! more. A loss of power also takes what was not synced: bytes of files behind their last `fsync`, and names
//! behind the last `fsync` of their folder.

#![expect(
    unsafe_code,
    clippy::cast_possible_truncation,
    clippy::multiple_unsafe_ops_per_block,
    reason = "definitions of functions of the C library, in its types"
)]

use std::cell::Cell;
use std::collections::{BTreeMap, HashMap, HashSet};
use std::ffi::{CStr, OsStr};
use std::fs;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use libc::{c_char, c_int, c_long, c_void, mode_t, off64_t, size_t, ssize_t};
use memchr::memmem;
use parking_lot::{Mutex, RwLock};
use tokio::sync::watch;

/// Bytes that a device writes whole or not at all.
const SECTOR_BYTES: usize = 512;

/// What goes wrong on the disk while a process runs, at which of its changes.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Trouble {
    /// The process is killed.
    Kill(u64),
    /// The power goes; only what was synced is kept, and names up to some point.
    PowerLoss(u64),
    /// The power goes; sectors that were not synced are there or not, each by chance.
    TornWrite(u64),
    /// From here on nothing more fits.
    Full(u64),
}

impl Trouble {
    fn at(self) -> u64 {
        let (Self::Kill(at) | Self::PowerLoss(at) | Self::TornWrite(at) | Self::Full(at)) = self;
        at
    }
}

/// A folder on such a disk. It is removed when this is dropped.
pub(crate) struct Disk {
    shared: Arc<Shared>,
    _folder: tempfile::TempDir,
}

struct Shared {
    root: PathBuf,
    state: Mutex<State>,
    /// The last process that died.
    dead: watch::Sender<u64>,
}

/// A file or folder, however often it is renamed.
type Id = u64;

#[derive(Default)]
struct State {
    trouble: Option<Trouble>,
    seed: u64,
    /// Changes that the process has made.
    changes: u64,
    is_dead: bool,
    /// The number of the process, so that descriptors of a dead one stay dead.
    process: u64,
    last_id: Id,
    folders: HashSet<Id>,
    names: BTreeMap<PathBuf, Id>,
    /// Names that survive any loss of power, and the changes since.
    safe_names: BTreeMap<PathBuf, Id>,
    log: Vec<Logged>,
    /// The bytes of files that survive a loss of power.
    safe_bytes: HashMap<Id, Vec<u8>>,
}

struct Logged {
    change: Change,
    is_synced: bool,
}

#[derive(Clone)]
enum Change {
    Create(PathBuf, Id),
    Rename(PathBuf, PathBuf, Id),
    Remove(PathBuf),
}

impl Change {
    /// Whether syncing `folder` makes it last.
    fn is_in(&self, folder: &Path) -> bool {
        let is_in = |path: &Path| path.parent() == Some(folder);
        match self {
            Self::Create(path, _) | Self::Remove(path) => is_in(path),
            Self::Rename(from, to, _) => is_in(from) || is_in(to),
        }
    }

    fn apply(&self, names: &mut BTreeMap<PathBuf, Id>) {
        match self {
            Self::Create(path, id) => drop(names.insert(path.clone(), *id)),
            Self::Remove(path) => drop(names.remove(path)),
            Self::Rename(from, to, id) => {
                names.remove(from);
                names.insert(to.clone(), *id);
            }
        }
    }
}

/// What a change comes to.
enum Verdict {
    Happens,
    /// The process dies; of bytes that were to be written, some may have been.
    Dies,
    Fails(c_int),
}

impl Disk {
    pub(crate) fn new() -> Self {
        let folder = inside(|| {
            let memory = Path::new("/dev/shm");
            let place = if memory.is_dir() { memory.to_owned() } else { std::env::temp_dir() };
            tempfile::Builder::new().prefix(PREFIX).tempdir_in(place).unwrap()
        });
        let root = folder.path().to_owned();
        let shared = Shared { root, state: Mutex::default(), dead: watch::Sender::new(0) };
        let shared = Arc::new(shared);
        DISKS.write().push(Arc::clone(&shared));
        Self { shared, _folder: folder }
    }

    pub(crate) fn root(&self) -> &Path {
        &self.shared.root
    }

    /// Another process begins, after [`end`](Self::end) of the one before.
    pub(crate) fn begin(&self, trouble: Option<Trouble>, seed: u64) {
        let mut state = self.shared.state.lock();
        let process = state.process + 1;
        *state = State { trouble, seed, changes: 0, process, ..std::mem::take(&mut *state) };
    }

    /// Waits until the process dies.
    pub(crate) async fn crashed(&self) {
        let process = self.shared.state.lock().process;
        // The sender is there as long as the disk.
        drop(self.shared.dead.subscribe().wait_for(|dead| *dead == process).await);
    }

    /// The process has ended, and none of its threads is left; what a crash leaves is what the next one finds.
    /// Tells whether it died.
    pub(crate) fn end(&self) -> bool {
        let mut state = self.shared.state.lock();
        if state.is_dead {
            match state.trouble {
                Some(Trouble::PowerLoss(_)) => {
                    inside(|| lose_power(&self.shared.root, &mut state, false));
                }
                Some(Trouble::TornWrite(_)) => {
                    inside(|| lose_power(&self.shared.root, &mut state, true));
                }
                _ => {}
            }
        }
        state.trouble = None;
        std::mem::take(&mut state.is_dead)
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        DISKS.write().retain(|disk| !Arc::ptr_eq(disk, &self.shared));
    }
}

impl Shared {
    /// Counts a change by a process, and tells what becomes of it.
    fn judge(&self, state: &mut State, process: Option<u64>, grows: bool) -> Verdict {
        if state.is_dead || process.is_some_and(|process| process != state.process) {
            return Verdict::Fails(libc::EIO);
        }
        state.changes += 1;
        match state.trouble {
            Some(Trouble::Full(at)) if grows && state.changes >= at => Verdict::Fails(libc::ENOSPC),
            Some(Trouble::Full(_)) | None => Verdict::Happens,
            Some(trouble) if state.changes < trouble.at() => Verdict::Happens,
            Some(_) => {
                state.is_dead = true;
                self.dead.send_replace(state.process);
                Verdict::Dies
            }
        }
    }

    /// Makes a change of names, if it happens at all.
    fn rename(
        &self,
        change: impl FnOnce(&mut State) -> Option<Change>,
        real: impl FnOnce() -> c_long,
    ) -> c_int {
        let mut state = self.state.lock();
        match self.judge(&mut state, None, false) {
            Verdict::Happens => {}
            Verdict::Dies => return fail(libc::EIO),
            Verdict::Fails(error) => return fail(error),
        }
        let done = real();
        if done == 0
            && let Some(change) = change(&mut state)
        {
            change.apply(&mut state.names);
            state.log.push(Logged { change, is_synced: false });
        }
        done as c_int
    }

    fn sync(&self, fd: c_int, open: &Open) -> c_int {
        let mut state = self.state.lock();
        match self.judge(&mut state, Some(open.process), false) {
            Verdict::Happens => {}
            Verdict::Dies => return fail(libc::EIO),
            Verdict::Fails(error) => return fail(error),
        }
        match &open.node {
            Node::File(id) => {
                let bytes = inside(|| fs::read(format!("/proc/self/fd/{fd}")));
                state.safe_bytes.insert(*id, bytes.unwrap());
            }
            Node::Folder(path) => {
                for logged in &mut state.log {
                    logged.is_synced |= logged.change.is_in(path);
                }
            }
        }
        0
    }
}

/// Leaves below `root` what was synced, and some of the rest by chance.
fn lose_power(root: &Path, state: &mut State, is_torn: bool) {
    let seed = state.seed;
    let chance = |what: &str, of: u64, choices: usize| {
        let mut hasher = DefaultHasher::new();
        (seed, what, of).hash(&mut hasher);
        (hasher.finish() % choices as u64) as usize
    };
    let mut names = std::mem::take(&mut state.safe_names);
    let log = std::mem::take(&mut state.log);
    // Half of the time no more than it must.
    let cut = if chance("strict", 0, 2) == 0 { 0 } else { chance("cut", 0, log.len() + 1) };
    for (index, Logged { change, is_synced }) in log.iter().enumerate() {
        if *is_synced || index < cut {
            change.apply(&mut names);
        }
    }
    let written: HashMap<Id, Vec<u8>> =
        state.names.iter().filter_map(|(path, id)| Some((*id, fs::read(path).ok()?))).collect();
    let nothing = Vec::new();
    let mut left = BTreeMap::new();
    for (path, id) in &names {
        let old = state.safe_bytes.get(id).unwrap_or(&nothing);
        let new = written.get(id).unwrap_or(old);
        let bytes = if is_torn {
            torn(old, new, |sector| chance("sector", id.wrapping_mul(1 << 20) + sector, 2) == 0)
        } else {
            old.clone()
        };
        left.insert(path.clone(), (*id, bytes));
    }
    for entry in fs::read_dir(root).unwrap().flatten() {
        let path = entry.path();
        if path.is_dir() {
            fs::remove_dir_all(path).unwrap();
        } else {
            fs::remove_file(path).unwrap();
        }
    }
    (state.names, state.safe_bytes) = (BTreeMap::new(), HashMap::new());
    for (path, (id, bytes)) in left {
        // What is in a folder that was lost is lost with it.
        if !path.parent().is_some_and(Path::is_dir) {
            continue;
        }
        if state.folders.contains(&id) {
            fs::create_dir(&path).unwrap();
        } else {
            fs::write(&path, &bytes).unwrap();
            state.safe_bytes.insert(id, bytes);
        }
        state.names.insert(path, id);
    }
    state.safe_names = state.names.clone();
}

/// The bytes of a file of which each sector may be the old one still.
fn torn(old: &[u8], new: &[u8], is_old: impl Fn(u64) -> bool) -> Vec<u8> {
    let mut bytes = if is_old(u64::MAX) { old.to_vec() } else { new.to_vec() };
    for (sector, at) in (0..bytes.len()).step_by(SECTOR_BYTES).enumerate() {
        let from = if is_old(sector as u64) { old } else { new };
        for (index, byte) in bytes.iter_mut().enumerate().skip(at).take(SECTOR_BYTES) {
            // Room that was given to a file and never written is zeros.
            *byte = from.get(index).copied().unwrap_or(0);
        }
    }
    bytes
}

const PREFIX: &str = "viking-histories-";

static DISKS: RwLock<Vec<Arc<Shared>>> = RwLock::new(Vec::new());
static OPEN: RwLock<BTreeMap<c_int, Open>> = RwLock::new(BTreeMap::new());

thread_local! {
    /// The disk itself is at work, and its calls go through.
    static INSIDE: Cell<bool> = const { Cell::new(false) };
}

fn inside<T>(work: impl FnOnce() -> T) -> T {
    let before = INSIDE.replace(true);
    let result = work();
    INSIDE.set(before);
    result
}

/// A descriptor of a file on one of the disks.
#[derive(Clone)]
struct Open {
    disk: Arc<Shared>,
    node: Node,
    process: u64,
}

#[derive(Clone)]
enum Node {
    File(Id),
    Folder(PathBuf),
}

fn open_of(fd: c_int) -> Option<Open> {
    if INSIDE.get() { None } else { OPEN.read().get(&fd).cloned() }
}

/// The disk of a path and the path.
///
/// # Safety
///
/// As for the functions of the C library, `path` is a text that ends with a zero.
unsafe fn place(path: *const c_char) -> Option<(Arc<Shared>, PathBuf)> {
    // SAFETY: the caller has promised it.
    let path = unsafe { CStr::from_ptr(path) }.to_bytes();
    if INSIDE.get() || memmem::find(path, PREFIX.as_bytes()).is_none() {
        return None;
    }
    let path = Path::new(OsStr::from_bytes(path));
    let disks = DISKS.read();
    let disk = disks.iter().find(|disk| path.starts_with(&disk.root))?;
    Some((Arc::clone(disk), path.to_owned()))
}

/// Ends a call with an error.
fn fail(error: c_int) -> c_int {
    // SAFETY: the place of this thread's own error.
    unsafe { *libc::__errno_location() = error };
    -1
}

/// # Safety
///
/// That of `open`.
#[unsafe(no_mangle)]
unsafe extern "C" fn open64(path: *const c_char, flags: c_int, mode: mode_t) -> c_int {
    // SAFETY: the caller's promise.
    let real = || unsafe { libc::syscall(libc::SYS_openat, libc::AT_FDCWD, path, flags, mode) };
    // SAFETY: the caller's promise.
    let Some((disk, path)) = (unsafe { place(path) }) else { return real() as c_int };
    let mut state = disk.state.lock();
    let is_new = flags & libc::O_CREAT != 0 && !state.names.contains_key(&path);
    if is_new || flags & libc::O_TRUNC != 0 {
        match disk.judge(&mut state, None, is_new) {
            Verdict::Happens => {}
            Verdict::Dies => return fail(libc::EIO),
            Verdict::Fails(error) => return fail(error),
        }
    }
    let fd = real() as c_int;
    if fd < 0 {
        return fd;
    }
    if is_new {
        state.last_id += 1;
        let change = Change::Create(path.clone(), state.last_id);
        change.apply(&mut state.names);
        state.log.push(Logged { change, is_synced: false });
    }
    let node = match state.names.get(&path) {
        Some(id) if !state.folders.contains(id) => Node::File(*id),
        _ => Node::Folder(path),
    };
    let process = state.process;
    drop(state);
    OPEN.write().insert(fd, Open { disk, node, process });
    fd
}

/// # Safety
///
/// That of `close`.
#[unsafe(no_mangle)]
unsafe extern "C" fn close(fd: c_int) -> c_int {
    // Before another file can get the number.
    if !INSIDE.get() && OPEN.read().contains_key(&fd) {
        OPEN.write().remove(&fd);
    }
    // SAFETY: the caller's promise.
    unsafe { libc::syscall(libc::SYS_close, fd) as c_int }
}

/// Writes with `real`, which takes how many of the bytes.
fn written(open: &Open, length: size_t, real: impl FnOnce(size_t) -> c_long) -> ssize_t {
    let mut state = open.disk.state.lock();
    match open.disk.judge(&mut state, Some(open.process), true) {
        Verdict::Happens => real(length) as ssize_t,
        Verdict::Dies => {
            if matches!(state.trouble, Some(Trouble::TornWrite(_))) && length > 1 {
                real(1 + state.seed as usize % (length - 1));
            }
            fail(libc::EIO) as ssize_t
        }
        Verdict::Fails(error) => fail(error) as ssize_t,
    }
}

/// # Safety
///
/// That of `write`.
#[unsafe(no_mangle)]
unsafe extern "C" fn write(fd: c_int, bytes: *const c_void, length: size_t) -> ssize_t {
    // SAFETY: the caller's promise.
    let real = |length: size_t| unsafe { libc::syscall(libc::SYS_write, fd, bytes, length) };
    match open_of(fd) {
        Some(open) => written(&open, length, real),
        None => real(length) as ssize_t,
    }
}

/// # Safety
///
/// That of `pwrite`.
#[unsafe(no_mangle)]
unsafe extern "C" fn pwrite64(
    fd: c_int,
    bytes: *const c_void,
    length: size_t,
    offset: off64_t,
) -> ssize_t {
    let real = |length: size_t| {
        // SAFETY: the caller's promise.
        unsafe { libc::syscall(libc::SYS_pwrite64, fd, bytes, length, offset) }
    };
    match open_of(fd) {
        Some(open) => written(&open, length, real),
        None => real(length) as ssize_t,
    }
}

/// # Safety
///
/// That of `ftruncate`.
#[unsafe(no_mangle)]
unsafe extern "C" fn ftruncate64(fd: c_int, length: off64_t) -> c_int {
    // SAFETY: the caller's promise.
    let real = || unsafe { libc::syscall(libc::SYS_ftruncate, fd, length) as c_int };
    let Some(open) = open_of(fd) else { return real() };
    let mut state = open.disk.state.lock();
    match open.disk.judge(&mut state, Some(open.process), false) {
        Verdict::Happens => real(),
        Verdict::Dies => fail(libc::EIO),
        Verdict::Fails(error) => fail(error),
    }
}

/// # Safety
///
/// That of `fsync`.
#[unsafe(no_mangle)]
unsafe extern "C" fn fsync(fd: c_int) -> c_int {
    match open_of(fd) {
        Some(open) => open.disk.sync(fd, &open),
        // SAFETY: the caller's promise.
        None => unsafe { libc::syscall(libc::SYS_fsync, fd) as c_int },
    }
}

/// # Safety
///
/// That of `fdatasync`.
#[unsafe(no_mangle)]
unsafe extern "C" fn fdatasync(fd: c_int) -> c_int {
    match open_of(fd) {
        Some(open) => open.disk.sync(fd, &open),
        // SAFETY: the caller's promise.
        None => unsafe { libc::syscall(libc::SYS_fdatasync, fd) as c_int },
    }
}

/// # Safety
///
/// That of `rename`.
#[unsafe(no_mangle)]
unsafe extern "C" fn rename(from: *const c_char, to: *const c_char) -> c_int {
    // SAFETY: the caller's promise.
    let real = || unsafe {
        libc::syscall(libc::SYS_renameat2, libc::AT_FDCWD, from, libc::AT_FDCWD, to, 0)
    };
    // SAFETY: the caller's promise.
    let (from, to) = unsafe { (place(from), place(to)) };
    let (Some((disk, from)), Some((_, to))) = (from, to) else { return real() as c_int };
    let change =
        |state: &mut State| Some(Change::Rename(from.clone(), to, *state.names.get(&from)?));
    disk.rename(change, real)
}

/// # Safety
///
/// That of `unlink`.
#[unsafe(no_mangle)]
unsafe extern "C" fn unlink(path: *const c_char) -> c_int {
    // SAFETY: the caller's promise.
    let real = || unsafe { libc::syscall(libc::SYS_unlinkat, libc::AT_FDCWD, path, 0) };
    // SAFETY: the caller's promise.
    let Some((disk, path)) = (unsafe { place(path) }) else { return real() as c_int };
    disk.rename(|_| Some(Change::Remove(path)), real)
}

/// # Safety
///
/// That of `rmdir`.
#[unsafe(no_mangle)]
unsafe extern "C" fn rmdir(path: *const c_char) -> c_int {
    // SAFETY: the caller's promise.
    let real =
        || unsafe { libc::syscall(libc::SYS_unlinkat, libc::AT_FDCWD, path, libc::AT_REMOVEDIR) };
    // SAFETY: the caller's promise.
    let Some((disk, path)) = (unsafe { place(path) }) else { return real() as c_int };
    disk.rename(|_| Some(Change::Remove(path)), real)
}

/// Called where a folder is removed with all that is in it.
///
/// # Safety
///
/// That of `unlinkat`.
#[unsafe(no_mangle)]
unsafe extern "C" fn unlinkat(folder: c_int, name: *const c_char, flags: c_int) -> c_int {
    // SAFETY: the caller's promise.
    let real = || unsafe { libc::syscall(libc::SYS_unlinkat, folder, name, flags) };
    // SAFETY: the caller's promise.
    let name = unsafe { CStr::from_ptr(name) };
    let name = Path::new(OsStr::from_bytes(name.to_bytes()));
    let folder = if folder == libc::AT_FDCWD {
        PathBuf::new()
    } else {
        inside(|| fs::read_link(format!("/proc/self/fd/{folder}"))).unwrap_or_default()
    };
    let path = folder.join(name);
    let disk = DISKS.read().iter().find(|disk| path.starts_with(&disk.root)).cloned();
    match disk.filter(|_| !INSIDE.get()) {
        Some(disk) => disk.rename(|_| Some(Change::Remove(path)), real),
        None => real() as c_int,
    }
}

/// # Safety
///
/// That of `mkdir`.
#[unsafe(no_mangle)]
unsafe extern "C" fn mkdir(path: *const c_char, mode: mode_t) -> c_int {
    // SAFETY: the caller's promise.
    let real = || unsafe { libc::syscall(libc::SYS_mkdirat, libc::AT_FDCWD, path, mode) };
    // SAFETY: the caller's promise.
    let Some((disk, path)) = (unsafe { place(path) }) else { return real() as c_int };
    let change = |state: &mut State| {
        state.last_id += 1;
        state.folders.insert(state.last_id);
        Some(Change::Create(path, state.last_id))
    };
    disk.rename(change, real)
}
