//! Downloads over real HTTP on loopback: signatures, virtual hosts, faults.
//!
//! Where `VIKING_TEST_S3` holds the address and keys of another S3 server, as `fixtures/seaweedfs/serve.py`
//! prints them, everything but the faults runs against that one.

#![expect(clippy::unwrap_used, reason = "a test may fail where it stands")]

mod faults;
mod ranges;
mod resume;
mod server;
mod transfer;
