//! The hot code: free functions that append one value, or a run of values, to a buffer.
//!
//! No `self`, no `Result`, no allocation beyond the growth of `out`.

pub(super) mod binary;
mod block;
mod calendar;
pub(super) mod cell;
pub(super) mod decimal;
mod digits;
#[cfg(target_arch = "x86_64")]
mod escape;
pub(super) mod float;
pub(super) mod float32;
mod float32_text;
pub(super) mod float64;
pub(super) mod int;
#[cfg(target_arch = "x86_64")]
mod int_cells;
pub(super) mod text;
#[cfg(target_arch = "x86_64")]
mod text_cells;
mod text_plain;
pub(super) mod time;
#[cfg(target_arch = "x86_64")]
mod time_cells;
