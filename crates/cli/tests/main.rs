//! End-to-end tests: the real binary against VikingDB and TOS in a process of their own.

mod errors;
mod pipeline;
mod program;
mod signals;
mod talk;
