//! How rows are printed, as a receipt keeps it.

use std::num::NonZeroUsize;

use bytesize::ByteSize;
use serde::{Deserialize, Serialize};
use viking_reader::{
    BinaryForm, DecimalForm, Int64Form, JsonOptions, NonFinite, Nulls, PrintFormat, PrintOptions,
    StreamLists, VectorForm,
};

use crate::error::{RequestError, Result};

/// What becomes of top-level lists of floats.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Vectors {
    /// A JSON array.
    #[default]
    Array,
    /// The same; in an Arrow stream as lists of any length, where they have a fixed size otherwise.
    List,
    /// Base64 of the little-endian values at their own width.
    Base64,
    /// Base64 of the big-endian values.
    Base64Be,
    /// They are not read.
    None,
}

/// The width of floats in lists.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Floats {
    /// As they are stored.
    #[default]
    Stored,
    /// 32 bits. A value that needs more is an error.
    F32,
}

impl Floats {
    #[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes fields so")]
    fn are_stored(&self) -> bool {
        *self == Self::Stored
    }
}

/// What is printed of the rows, and how. Its JSON form is part of receipts and checkpoints: fields keep their
/// names there, whatever they are called here.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct RowOptions {
    /// Only these columns, in the file's order; all if there is none. A name that holds commas stands alone,
    /// others may be joined by commas.
    pub columns: Vec<String>,
    /// Not these columns.
    pub drop: Vec<String>,
    /// At most this many rows.
    pub limit: Option<u64>,
    /// Leave out this many rows at the start.
    pub offset: u64,
    /// Lines of JSON objects, one JSON array, or an Arrow IPC stream.
    #[serde(default)]
    pub format: PrintFormat,
    /// Top-level lists of floats.
    pub vectors: Vectors,
    /// Floats in lists.
    #[serde(default, skip_serializing_if = "Floats::are_stored")]
    pub floats: Floats,
    /// 64-bit integers.
    pub int64: Int64Form,
    /// NaN and infinities.
    pub nonfinite: NonFinite,
    /// Binary values.
    pub binary: BinaryForm,
    /// Decimals.
    pub decimal: DecimalForm,
    /// Top-level nulls.
    pub nulls: Nulls,
    /// Rows decoded at a time; 100 unless told otherwise.
    pub batch_rows: Option<NonZeroUsize>,
    /// Threads that decode and encode; all cores unless told otherwise. The rows are the same with any number.
    #[serde(default)]
    pub threads: Option<NonZeroUsize>,
    /// Memory for decoding and printing; 64 MiB unless told otherwise.
    #[serde(default, rename = "memory", with = "memory")]
    pub memory_bytes: Option<u64>,
    /// Continue when a file has other columns than those before it.
    pub allow_schema_change: bool,
}

impl RowOptions {
    /// Sets [`columns`](Self::columns).
    #[must_use]
    pub fn with_columns(self, columns: impl IntoIterator<Item = impl Into<String>>) -> Self {
        Self { columns: columns.into_iter().map(Into::into).collect(), ..self }
    }

    /// Sets [`drop`](Self::drop).
    #[must_use]
    pub fn with_drop(self, drop: impl IntoIterator<Item = impl Into<String>>) -> Self {
        Self { drop: drop.into_iter().map(Into::into).collect(), ..self }
    }

    /// Sets [`limit`](Self::limit).
    #[must_use]
    pub fn with_limit(self, limit: impl Into<Option<u64>>) -> Self {
        Self { limit: limit.into(), ..self }
    }

    /// Sets [`offset`](Self::offset).
    #[must_use]
    pub fn with_offset(self, offset: u64) -> Self {
        Self { offset, ..self }
    }

    /// Sets [`format`](Self::format).
    #[must_use]
    pub fn with_format(self, format: PrintFormat) -> Self {
        Self { format, ..self }
    }

    /// Sets [`vectors`](Self::vectors).
    #[must_use]
    pub fn with_vectors(self, vectors: Vectors) -> Self {
        Self { vectors, ..self }
    }

    /// Sets [`floats`](Self::floats).
    #[must_use]
    pub fn with_floats(self, floats: Floats) -> Self {
        Self { floats, ..self }
    }

    /// Sets [`int64`](Self::int64).
    #[must_use]
    pub fn with_int64(self, int64: Int64Form) -> Self {
        Self { int64, ..self }
    }

    /// Sets [`nonfinite`](Self::nonfinite).
    #[must_use]
    pub fn with_nonfinite(self, nonfinite: NonFinite) -> Self {
        Self { nonfinite, ..self }
    }

    /// Sets [`binary`](Self::binary).
    #[must_use]
    pub fn with_binary(self, binary: BinaryForm) -> Self {
        Self { binary, ..self }
    }

    /// Sets [`decimal`](Self::decimal).
    #[must_use]
    pub fn with_decimal(self, decimal: DecimalForm) -> Self {
        Self { decimal, ..self }
    }

    /// Sets [`nulls`](Self::nulls).
    #[must_use]
    pub fn with_nulls(self, nulls: Nulls) -> Self {
        Self { nulls, ..self }
    }

    /// Sets [`batch_rows`](Self::batch_rows).
    #[must_use]
    pub fn with_batch_rows(self, batch_rows: impl Into<Option<NonZeroUsize>>) -> Self {
        Self { batch_rows: batch_rows.into(), ..self }
    }

    /// Sets [`threads`](Self::threads).
    #[must_use]
    pub fn with_threads(self, threads: impl Into<Option<NonZeroUsize>>) -> Self {
        Self { threads: threads.into(), ..self }
    }

    /// Sets [`memory_bytes`](Self::memory_bytes).
    #[must_use]
    pub fn with_memory_bytes(self, memory_bytes: impl Into<Option<u64>>) -> Self {
        Self { memory_bytes: memory_bytes.into(), ..self }
    }

    /// Sets [`allow_schema_change`](Self::allow_schema_change).
    #[must_use]
    pub fn with_allow_schema_change(self, allow_schema_change: bool) -> Self {
        Self { allow_schema_change, ..self }
    }
}

/// Receipts hold it as a text such as `64.0 MiB`.
mod memory {
    use super::{ByteSize, Deserialize, Serialize};

    #[expect(clippy::ref_option, reason = "serde passes fields so")]
    pub(super) fn serialize<S: serde::Serializer>(
        bytes: &Option<u64>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        bytes.map(ByteSize).serialize(serializer)
    }

    pub(super) fn deserialize<'de, D: serde::Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Option<u64>, D::Error> {
        Ok(Option::<ByteSize>::deserialize(deserializer)?.map(|size| size.as_u64()))
    }
}

impl RowOptions {
    /// Whether rows are left out.
    pub fn is_partial(&self) -> bool {
        self.limit.is_some() || self.offset > 0
    }

    /// The same, without what changes how it is done but not what comes out.
    pub(crate) fn of_output(&self) -> Self {
        Self { threads: None, memory_bytes: None, batch_rows: None, ..self.clone() }
    }

    /// The reader's options. What JSON values look like cannot be chosen for an Arrow stream.
    pub fn print_options(&self) -> Result<PrintOptions> {
        if self.format == PrintFormat::ArrowStream
            && let Some(option) = self.json_option()
        {
            return Err(RequestError::ArrowOption { option }.into());
        }
        let vectors = match self.vectors {
            Vectors::Base64 => VectorForm::Base64,
            Vectors::Base64Be => VectorForm::Base64Be,
            Vectors::Array | Vectors::List | Vectors::None => VectorForm::Array,
        };
        let lists = match self.vectors {
            Vectors::List => StreamLists::Variable,
            _ => StreamLists::FixedSize,
        };
        let json = JsonOptions::default()
            .with_binary(self.binary)
            .with_decimal(self.decimal)
            .with_int64(self.int64)
            .with_nonfinite(self.nonfinite)
            .with_nulls(self.nulls)
            .with_vectors(vectors);
        let mut options = PrintOptions::default()
            .with_allow_schema_change(self.allow_schema_change)
            .with_drop(self.drop.iter().cloned())
            .with_format(self.format)
            .with_json(json)
            .with_limit(self.limit)
            .with_offset(self.offset)
            .with_narrow_floats(self.floats == Floats::F32)
            .with_stream_lists(lists)
            .with_skip_vectors(self.vectors == Vectors::None);
        if !self.columns.is_empty() {
            options = options.with_columns(self.columns.iter().cloned());
        }
        options.batch_rows = self.batch_rows.unwrap_or(options.batch_rows);
        options.memory_bytes = self.memory_bytes.unwrap_or(options.memory_bytes);
        options.threads = self.threads.unwrap_or(options.threads);
        Ok(options)
    }

    /// The first choice that only JSON has.
    fn json_option(&self) -> Option<&'static str> {
        let used = [
            (self.vectors == Vectors::Base64, "vectors base64"),
            (self.vectors == Vectors::Base64Be, "vectors base64be"),
            (self.int64 != Int64Form::default(), "int64"),
            (self.nonfinite != NonFinite::default(), "nonfinite"),
            (self.binary != BinaryForm::default(), "binary"),
            (self.decimal != DecimalForm::default(), "decimal"),
            (self.nulls != Nulls::default(), "nulls"),
            (self.allow_schema_change, "allow-schema-change"),
        ];
        used.into_iter().find(|(is_used, _)| *is_used).map(|(_, option)| option)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_receipt_of_before_says_the_same_today() {
        let written = r#"{"columns":["id"],"drop":[],"limit":null,"offset":0,"format":"arrow",
            "vectors":"none","int64":"string","nonfinite":"error","binary":"utf8","decimal":"string",
            "nulls":"drop","batch_rows":77,"threads":null,"memory":"64.0 MiB","allow_schema_change":true}"#;
        let options: RowOptions = serde_json::from_str(written).unwrap();
        let expected = RowOptions {
            columns: vec!["id".to_owned()],
            format: PrintFormat::ArrowStream,
            vectors: Vectors::None,
            int64: Int64Form::String,
            nonfinite: NonFinite::Error,
            binary: BinaryForm::Utf8,
            decimal: DecimalForm::String,
            nulls: Nulls::Drop,
            batch_rows: NonZeroUsize::new(77),
            memory_bytes: Some(64 << 20),
            allow_schema_change: true,
            ..RowOptions::default()
        };
        assert_eq!(options, expected);
        let again = serde_json::to_value(&options).unwrap();
        assert_eq!(again, serde_json::from_str::<serde_json::Value>(written).unwrap());
        // The first version knew neither of these.
        let mut first = again;
        for later in ["format", "threads", "memory"] {
            first.as_object_mut().unwrap().remove(later);
        }
        let options: RowOptions = serde_json::from_value(first).unwrap();
        assert_eq!((options.format, options.memory_bytes), (PrintFormat::JsonLines, None));
    }
}
