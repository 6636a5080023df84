//! JSON Lines: the encoder that keeps the [contract](crate::contract).

mod bind;
mod check;
mod column;
mod encoder;
mod fill;
mod kernel;
mod options;
mod plan;

pub use encoder::JsonLines;
pub(crate) use encoder::{Hints, Rows, without_vectors};
pub(crate) use kernel::text::write_string;
pub use options::{
    BinaryForm, Counts, DecimalForm, Int64Form, JsonOptions, NonFinite, Nulls, VectorForm,
};
