//! What a run folder keeps: the receipt, and the choices that a resumed run repeats.

mod folder;
mod options;
mod receipt;

pub(crate) use folder::{CHECKPOINT, RESERVED_IN_RUNS, RESERVED_NAMES, data_files, run_name};
pub use folder::{RunFolder, read_receipt};
pub use options::{Floats, RowOptions, Vectors};
pub(crate) use receipt::now;
pub use receipt::{Finished, ObjectRecord, Receipt, Request, Retries};
