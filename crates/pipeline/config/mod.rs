//! Where the services are, and who asks them: addresses, credentials, the environment.

mod credentials;
pub mod environment;
mod kept;
mod key_files;
mod lookup;
mod service;
mod tos_files;

pub use credentials::{CredentialSet, Purpose};
#[cfg(any(test, fuzzing))]
pub(crate) use key_files::read_any;
pub use lookup::site_of_credentials;
pub use service::{Address, AddressOverrides, Service};
