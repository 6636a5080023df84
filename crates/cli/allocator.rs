//! How the allocator of the system keeps what is freed.

/// With one, threads that read many small files wait for each other; with more, each keeps what others could use.
#[cfg(all(target_os = "linux", target_env = "gnu"))]
const ARENAS: libc::c_int = 3;

/// What is as large is given back to the kernel at once, as the blocks of objects that are read without landing are.
#[cfg(all(target_os = "linux", target_env = "gnu"))]
const LARGE_BYTES: libc::c_int = 2 << 20;

/// So much is kept to be used again.
#[cfg(all(target_os = "linux", target_env = "gnu"))]
const KEPT_BYTES: libc::c_int = 16 << 20;

/// Blocks are freed by other threads than those that made them, and come and go by the mebibyte: with an arena for
/// each thread, or what glibc keeps by itself, the peak is half as high again, and with less kept each block costs
/// a page fault for every 4 KiB. Called before there are other threads.
#[cfg(all(target_os = "linux", target_env = "gnu"))]
pub(crate) fn set_up() {
    let settings = [
        (libc::M_ARENA_MAX, ARENAS),
        (libc::M_MMAP_THRESHOLD, LARGE_BYTES),
        (libc::M_TRIM_THRESHOLD, KEPT_BYTES),
    ];
    for (setting, value) in settings {
        // What is refused stays as it was.
        #[expect(unsafe_code, reason = "there is no other way to the settings")]
        // SAFETY: it takes two numbers and has no other effect than on the allocator, which allows it at any time.
        let _is_set = unsafe { libc::mallopt(setting, value) };
    }
}

/// Other allocators are left as they are.
#[cfg(not(all(target_os = "linux", target_env = "gnu")))]
pub(crate) fn set_up() {}
