//! The hot code: free functions that append one value, or a run of values, to a buffer.
//!
//! No `self`, no `Result`, no allocation beyond the growth of `out`.

pub(super) mod binary;
pub(super) mod cell;
pub(super) mod decimal;
#[cfg(target_arch = "x86_64")]
mod escape;
pub(super) mod float;
pub(super) mod float32;
pub(super) mod float64;
pub(super) mod int;

pub(super) mod text;
pub(super) mod time;
