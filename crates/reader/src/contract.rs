//! The output contract: how rows are printed as JSON.
//!
//! One row is one object on one line, `\n` at the end of each, no spaces, UTF-8, keys in schema
//! order, always valid RFC 8259.
//!
//! | Arrow type | Printed as |
//! |---|---|
//! | null | `null`; [`Nulls::Drop`](crate::Nulls::Drop) leaves top-level keys out |
//! | bool, integers | literals, all 64-bit values exact; [`Int64Form::String`](crate::Int64Form::String) quotes signed and unsigned 64-bit at any depth |
//! | f16, f32, f64 | the shortest digits that read back to the same f32 or f64 (f16 is widened to f32), spelled `1.0`, `-0.0`, `1e-7`; NaN and infinities by [`NonFinite`](crate::NonFinite) |
//! | decimals | exact digits with the column's scale; a negative scale prints the integer |
//! | text | a string; only `"`, `\` and control characters are escaped |
//! | binary | base64 with padding, lower-case hex, or text, by [`BinaryForm`](crate::BinaryForm); UUID as hyphenated text |
//! | date | `2026-11-23`; years outside 0000–9999 as `+010000-01-01` |
//! | time | `09:30:00.123`; outside 0–24 h `null`, counted |
//! | timestamp | `2026-11-23T09:30:00.123Z`; fraction digits by unit; `Z` if adjusted to UTC; nine digits for `INT96` |
//! | duration | ISO 8601, `PT1.500S` |
//! | list | array |
//! | struct | object |
//! | map | object in file order, duplicates kept; the key is its value's text; a null key is `"null"`, counted |
//! | dictionary, run-end | their values |
//!
//! Two columns of one name, intervals, unions and maps with nested keys are refused when the
//! encoder is built. With [`narrow_floats`](crate::PrintOptions::narrow_floats) a top-level list of f64 is printed as a
//! list of f32; a value that is no f32 is an error then. Values that the options forbid are found before a batch is written.
