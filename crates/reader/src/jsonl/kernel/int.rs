//! Integers.

use crate::jsonl::Int64Form;

/// Appends an integer.
pub(crate) fn write(value: impl itoa::Integer, out: &mut Vec<u8>) {
    out.extend_from_slice(itoa::Buffer::new().format(value).as_bytes());
}

/// Appends a 64-bit integer, quoted if asked for.
pub(crate) fn write_64(value: impl itoa::Integer, form: Int64Form, out: &mut Vec<u8>) {
    match form {
        Int64Form::Number => write(value, out),
        Int64Form::String => {
            out.push(b'"');
            write(value, out);
            out.push(b'"');
        }
    }
}
