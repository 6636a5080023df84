//! Tests against the vendor's signatures and against a real service on this machine.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a test may fail where it stands")]

mod signature;
mod tasks;
