//! Whether stdout was open when the program began.
//!
//! The standard library opens `/dev/null` in the place of a standard stream that is closed, before `main` runs,
//! so that no other file gets its number. Rows would go nowhere with exit 0; so this is looked at before that.

use std::sync::atomic::{AtomicBool, Ordering};

static WAS_CLOSED: AtomicBool = AtomicBool::new(false);

/// Whether it was closed.
pub(crate) fn was_closed() -> bool {
    WAS_CLOSED.load(Ordering::Relaxed)
}

#[cfg(any(target_os = "linux", target_os = "macos"))]
extern "C" fn look() {
    let stdout = rustix::stdio::stdout();
    WAS_CLOSED.store(rustix::io::fcntl_getfd(stdout).is_err(), Ordering::Relaxed);
}

/// Runs `look` when the program is loaded.
#[cfg(any(target_os = "linux", target_os = "macos"))]
#[expect(unsafe_code, reason = "nothing safe runs before the standard library has begun")]
#[cfg_attr(target_os = "linux", unsafe(link_section = ".init_array"))]
#[cfg_attr(target_os = "macos", unsafe(link_section = "__DATA,__mod_init_func"))]
// SAFETY: the section is a list of such functions. `look` takes none of the arguments that some loaders pass,
// and neither allocates nor needs anything of the standard library that is not there yet.
#[used]
static LOOK: extern "C" fn() = look;
