//! What can go wrong while rows are read and printed.

use std::io;

use arrow_schema::DataType;

/// Who has to act on an [`Error`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ErrorClass {
    /// The file, or a value in it, is damaged or cannot be printed.
    Data,
    /// The local disk or the output failed.
    Local,
    /// The file does not exist.
    NotFound,
    /// The caller asked for something that the file does not have.
    Usage,
}

/// An error of this crate. Messages name the file and leave the cause to `source()`.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The Parquet decoder refused the file, or panicked on it.
    #[error("{file} is damaged: {detail}")]
    Damaged {
        /// The file.
        file: String,
        /// What the decoder said.
        detail: String,
    },
    /// Two columns, or two members of one struct, share a name; JSON could not tell them apart.
    #[error("{file} has two columns named {column:?}; a JSON object cannot hold both")]
    DuplicateColumn {
        /// The file.
        file: String,
        /// The name, with the path to it for members of structs.
        column: String,
    },
    /// The file has no bytes at all.
    #[error("{file} is empty: it has 0 bytes, so it is not a Parquet file")]
    Empty {
        /// The file.
        file: String,
    },
    /// The file uses Parquet modular encryption.
    #[error("{file} is an encrypted Parquet file, which cannot be read")]
    Encrypted {
        /// The file.
        file: String,
    },
    /// The file could not be read.
    #[error("cannot read {file}")]
    Io {
        /// The file.
        file: String,
        /// The cause.
        #[source]
        source: io::Error,
    },
    /// A row of a JSON export is not valid JSON, or not an object.
    #[error("{file}: row {row} of the JSON export cannot be read: {detail}")]
    Json {
        /// The file.
        file: String,
        /// The row, counted from 0.
        row: u64,
        /// What the JSON parser said, with its position.
        detail: String,
    },
    /// An option applies to Parquet files only.
    #[error("the option {option} does not work on the JSON export {file}")]
    ParquetOnly {
        /// The file.
        file: String,
        /// The option, as the command line calls it without its dashes.
        option: &'static str,
    },
    /// The file's columns differ from those of the files before it.
    #[error("{file} has other columns than the files before it: {detail}")]
    SchemaChanged {
        /// The file.
        file: String,
        /// The first difference.
        detail: String,
    },
    /// The file ends before its own structure does.
    #[error("{file} is truncated: {detail}")]
    Truncated {
        /// The file.
        file: String,
        /// What is missing.
        detail: String,
    },
    /// A chosen column does not exist.
    #[error("{file} has no column {column:?}; it has {known}")]
    UnknownColumn {
        /// The file.
        file: String,
        /// The name asked for.
        column: String,
        /// The names there are.
        known: String,
    },
    /// The file is neither Parquet nor JSON.
    #[error(
        "{file} is neither Parquet nor JSON: it starts with {start}, and Parquet starts with PAR1"
    )]
    UnknownKind {
        /// The file.
        file: String,
        /// The first bytes, escaped.
        start: String,
    },
    /// The file's structure is more than is read, or none that Parquet has.
    #[error("{file} cannot be read: {detail}")]
    Unsupported {
        /// The file.
        file: String,
        /// What it has.
        detail: String,
    },
    /// A column has a type that the output contract does not name.
    #[error("{file}: column {column:?} has the type {data_type}, which cannot be printed")]
    UnsupportedType {
        /// The file.
        file: String,
        /// The column, with the path to it for nested types.
        column: String,
        /// Its Arrow type.
        data_type: Box<DataType>,
    },
    /// A value may not be printed under the chosen options.
    #[error("{file}: row {row}, column {column:?}: {problem}")]
    Value {
        /// The file.
        file: String,
        /// The row in the file, counted from 0.
        row: u64,
        /// The top-level column.
        column: String,
        /// What is wrong with it.
        problem: Problem,
    },
    /// The output could not be written.
    #[error("cannot write the output")]
    Write(#[source] io::Error),
}

impl Error {
    /// Who has to act.
    pub fn class(&self) -> ErrorClass {
        match self {
            Self::Io { source, .. } if source.kind() == io::ErrorKind::NotFound => {
                ErrorClass::NotFound
            }
            Self::Io { .. } | Self::Write(_) => ErrorClass::Local,
            Self::ParquetOnly { .. } | Self::UnknownColumn { .. } => ErrorClass::Usage,
            Self::Damaged { .. }
            | Self::DuplicateColumn { .. }
            | Self::Empty { .. }
            | Self::Encrypted { .. }
            | Self::Json { .. }
            | Self::SchemaChanged { .. }
            | Self::Truncated { .. }
            | Self::UnknownKind { .. }
            | Self::Unsupported { .. }
            | Self::UnsupportedType { .. }
            | Self::Value { .. } => ErrorClass::Data,
        }
    }

    /// The file has no such column.
    pub(crate) fn unknown_column<'a>(
        file: &str,
        column: &str,
        known: impl Iterator<Item = &'a str>,
    ) -> Self {
        Self::UnknownColumn {
            file: file.to_owned(),
            column: column.to_owned(),
            known: known.collect::<Vec<_>>().join(", "),
        }
    }

    pub(crate) fn io(file: &str, source: io::Error) -> Self {
        Self::Io { file: file.to_owned(), source }
    }
}

/// What is wrong with a value under the chosen options.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Problem {
    /// The column does not have the type the encoder was built for.
    #[error("the batch has another type than the schema")]
    Type,
    /// Binary printed as text holds other bytes than UTF-8.
    #[error("the value is not valid UTF-8; print it as base64 or hexadecimal")]
    InvalidUtf8,
    /// A text of the file is none.
    #[error("the text is not valid UTF-8, so the file is damaged or the column is binary")]
    NotUtf8,
    /// NaN or an infinity under [`NonFinite::Error`](crate::NonFinite::Error).
    #[error("the value is NaN or infinite")]
    NonFinite,
    /// An f64 in a list under [`narrow_floats`](crate::ReadOptions::narrow_floats) is no f32.
    #[error("the list has a value that is not an f32")]
    TooPrecise,
    /// A list of another length than those before it, in an Arrow stream of lists of a fixed size.
    #[error("the list has another length than those before it")]
    Length,
    /// A null inside a vector under [`VectorForm::Base64`](crate::VectorForm::Base64).
    #[error("the vector has a null item, which base64 cannot hold")]
    NullInVector,
}

/// A value that may not be printed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("row {row}, column {column:?}: {problem}")]
pub struct ValueError {
    /// The row in the batch, counted from 0.
    pub row: usize,
    /// The top-level column.
    pub column: String,
    /// What is wrong.
    pub problem: Problem,
}

const _: () = assert!(size_of::<Error>() <= 96, "errors travel in every result");
