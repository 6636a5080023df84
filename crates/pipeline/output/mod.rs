//! Where rows go, and how they get there.

mod cat;
mod checkpoint;
mod file;
mod landing;
mod print;
#[cfg(feature = "stream")]
mod stream;
mod versions;

pub use cat::PrintSummary;
#[cfg(any(test, fuzzing))]
pub(crate) use checkpoint::is_taken_up_safely;
pub use file::RowOutput;
pub(crate) use file::{Output, OutputOfRun};
pub(crate) use landing::{LandedFile, Landing};
pub(crate) use print::{Printed, PrintedFile, hint, print, warn_of_files, warn_of_values};
#[cfg(feature = "stream")]
pub use stream::BatchStream;
pub(crate) use versions::Version;
