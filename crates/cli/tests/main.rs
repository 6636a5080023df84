//! End-to-end tests: the real binary against VikingDB and TOS in a process of their own.

#![expect(clippy::unwrap_used, reason = "a test may fail where it stands")]

mod doctor;
mod durable;
mod errors;
mod help;
mod interruptions;
mod kills;
mod lists;
mod network;
mod pipeline;
mod program;
mod remote;
mod roles;
mod rows;
mod safety;
mod secrets;
mod signals;
mod site;
mod streams;
mod talk;
mod terminal;
mod transfer;
mod versions;
