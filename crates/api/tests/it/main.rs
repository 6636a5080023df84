//! Tests against the vendor's signatures and against a real service on this machine.

mod signature;
mod tasks;
