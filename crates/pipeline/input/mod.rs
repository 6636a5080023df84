//! What is read: files, folders, patterns and prefixes of TOS.

mod listing;
mod places;
mod remote;
mod rows;

pub use listing::Listed;
pub(crate) use listing::{list, tell_listing};
pub(crate) use places::Opening;
pub use places::{Place, find, find_remote};
pub use rows::{FileCount, count};
