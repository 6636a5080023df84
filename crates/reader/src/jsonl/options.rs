//! The choices of the output contract, and counts of what it changed.

/// How NaN and infinities are printed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[cfg_attr(
    feature = "serde",
    derive(serde::Serialize, serde::Deserialize),
    serde(rename_all = "lowercase")
)]
pub enum NonFinite {
    /// An error that names the row, before the batch is written.
    Error,
    /// `null`, counted in [`Counts::nonfinite`].
    #[default]
    Null,
    /// `"NaN"`, `"Infinity"`, `"-Infinity"`.
    String,
}

/// How 64-bit integers are printed, signed and unsigned, at any depth.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[cfg_attr(
    feature = "serde",
    derive(serde::Serialize, serde::Deserialize),
    serde(rename_all = "lowercase")
)]
pub enum Int64Form {
    /// As JSON numbers.
    #[default]
    Number,
    /// Quoted, for readers that hold numbers as f64.
    String,
}

/// How binary values are printed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[cfg_attr(
    feature = "serde",
    derive(serde::Serialize, serde::Deserialize),
    serde(rename_all = "lowercase")
)]
pub enum BinaryForm {
    /// Standard base64 with padding.
    #[default]
    Base64,
    /// Lower-case hexadecimal.
    Hex,
    /// As text; bytes that are not UTF-8 are an error that names the row.
    Utf8,
}

/// How decimals are printed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[cfg_attr(
    feature = "serde",
    derive(serde::Serialize, serde::Deserialize),
    serde(rename_all = "lowercase")
)]
pub enum DecimalForm {
    /// As JSON numbers with all their digits.
    #[default]
    Number,
    /// The same digits in quotes.
    String,
}

/// What becomes of top-level nulls.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[cfg_attr(
    feature = "serde",
    derive(serde::Serialize, serde::Deserialize),
    serde(rename_all = "lowercase")
)]
pub enum Nulls {
    /// The key is left out.
    Drop,
    /// `"key":null`.
    #[default]
    Keep,
}

/// How top-level lists of floats are printed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[cfg_attr(
    feature = "serde",
    derive(serde::Serialize, serde::Deserialize),
    serde(rename_all = "lowercase")
)]
pub enum VectorForm {
    /// A JSON array.
    #[default]
    Array,
    /// Base64 of the little-endian values at their own width; a null item is an error. `OpenSearch` and VikingDB take
    /// vectors so.
    Base64,
    /// The same of the big-endian values, as Elasticsearch takes them from 9.3 on.
    Base64Be,
}

/// The choices of the output contract.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct JsonOptions {
    /// Binary values.
    pub binary: BinaryForm,
    /// Decimals.
    pub decimal: DecimalForm,
    /// 64-bit integers.
    pub int64: Int64Form,
    /// NaN and infinities.
    pub nonfinite: NonFinite,
    /// Top-level nulls.
    pub nulls: Nulls,
    /// Top-level lists of floats.
    pub vectors: VectorForm,
}

impl JsonOptions {
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

    /// Sets [`nulls`](Self::nulls).
    #[must_use]
    pub fn with_nulls(self, nulls: Nulls) -> Self {
        Self { nulls, ..self }
    }

    /// Sets [`vectors`](Self::vectors).
    #[must_use]
    pub fn with_vectors(self, vectors: VectorForm) -> Self {
        Self { vectors, ..self }
    }
}

/// Values that were printed as something else than themselves.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counts {
    /// NaN and infinities printed as `null`.
    pub nonfinite: u64,
    /// Null map keys printed as `"null"`.
    pub null_map_keys: u64,
    /// Times of day outside 0–24 h printed as `null`.
    pub times_out_of_range: u64,
}

impl std::ops::AddAssign for Counts {
    fn add_assign(&mut self, other: Self) {
        self.nonfinite += other.nonfinite;
        self.null_map_keys += other.null_map_keys;
        self.times_out_of_range += other.times_out_of_range;
    }
}
