//! Runs of the library as histories: services that lie, processes that die, disks that lose what was not synced.

#![cfg(all(target_os = "linux", target_env = "gnu", feature = "embedded"))]
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod disk;
mod histories;
