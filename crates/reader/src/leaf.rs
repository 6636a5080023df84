//! A leaf of the schema: a column of values.

use crate::page::MaxLevels;

/// What is to be known of a leaf to judge its pages.
#[derive(Debug, Clone)]
pub(crate) struct Leaf {
    /// Its number in the file.
    pub(crate) number: usize,
    pub(crate) levels: MaxLevels,
    /// Bytes of a value once it is decoded, without those of texts.
    pub(crate) value_bytes: u64,
    pub(crate) is_text: bool,
    /// For messages.
    pub(crate) path: String,
}
