//! JSON exports: lines or one array, each row checked and printed compact.

use std::borrow::Cow;
use std::fmt;
use std::io::{BufRead, BufReader, Read};
use std::ops::ControlFlow;
use std::sync::Arc;

use memchr::memchr2;
use serde::Deserialize;
use serde::de::{Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;

use crate::error::Error;
use crate::jsonl::write_string;
use crate::source::{BYTE_ORDER_MARK, Source, SourceReader, is_json_space};

/// No row of a JSON export may be longer than this.
const ROW_BYTES_MAX: u64 = 64 << 20;

const READ_BYTES: usize = 128 * 1024;

/// A JSON export, lines or one array of objects, read row by row.
pub struct JsonExport {
    file: String,
    input: BufReader<SourceReader>,
    rows: u64,
    in_array: bool,
}

impl fmt::Debug for JsonExport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("JsonExport")
            .field("file", &self.file)
            .field("rows", &self.rows)
            .finish_non_exhaustive()
    }
}

impl JsonExport {
    /// Reads `source`; `file` names it in errors.
    pub fn new(file: &str, source: Arc<dyn Source>) -> Self {
        let whole = 0..source.size();
        source.expect(&[vec![whole.clone()]]);
        Self {
            file: file.to_owned(),
            input: BufReader::with_capacity(READ_BYTES, SourceReader::new(source, whole)),
            rows: 0,
            in_array: false,
        }
    }

    /// Hands the text of each row, a valid JSON object, to `each` until that breaks. Returns the
    /// rows handed over.
    pub fn for_each_row(
        mut self,
        mut each: impl FnMut(&str) -> Result<ControlFlow<()>, Error>,
    ) -> Result<u64, Error> {
        while let Some(row) = self.next_row()? {
            self.rows += 1;
            if each(row.get())?.is_break() {
                return Ok(self.rows);
            }
        }
        Ok(self.rows)
    }

    fn next_row(&mut self) -> Result<Option<Box<RawValue>>, Error> {
        if self.rows == 0 {
            self.skip_mark()?;
            if self.next_byte()? == Some(b'[') {
                self.input.consume(1);
                self.in_array = true;
            }
        }
        match (self.next_byte()?, self.in_array) {
            (None, false) => return Ok(None),
            (None, true) => return Err(self.bad("the array has no closing bracket")),
            (Some(b']'), true) => return self.end_of_array(),
            (Some(b','), true) if self.rows > 0 => self.input.consume(1),
            (Some(_), true) if self.rows > 0 => {
                return Err(self.bad("a comma is missing before it"));
            }
            _ => {}
        }
        if self.next_byte()? != Some(b'{') {
            return Err(self.bad("it is not an object"));
        }
        let mut input = self.input.by_ref().take(ROW_BYTES_MAX);
        let row =
            Box::<RawValue>::deserialize(&mut serde_json::Deserializer::from_reader(&mut input));
        let is_too_long = input.limit() == 0;
        match row {
            Ok(row) => Ok(Some(row)),
            Err(_) if is_too_long => Err(self.bad("it is longer than 64 MiB")),
            Err(error) if error.is_io() => Err(Error::io(&self.file, error.into())),
            Err(error) => Err(self.bad(&error.to_string())),
        }
    }

    fn end_of_array(&mut self) -> Result<Option<Box<RawValue>>, Error> {
        self.input.consume(1);
        match self.next_byte()? {
            None => Ok(None),
            Some(_) => Err(self.bad("there is more text behind the array")),
        }
    }

    /// Goes past a byte order mark.
    fn skip_mark(&mut self) -> Result<(), Error> {
        // The buffer is filled from the start of the file, which has the mark whole or not at all.
        let bytes = self.input.fill_buf().map_err(|error| Error::io(&self.file, error))?;
        if bytes.starts_with(BYTE_ORDER_MARK) {
            self.input.consume(BYTE_ORDER_MARK.len());
        }
        Ok(())
    }

    /// The next byte that is not white space, left in the input.
    fn next_byte(&mut self) -> Result<Option<u8>, Error> {
        loop {
            let bytes = self.input.fill_buf().map_err(|error| Error::io(&self.file, error))?;
            if bytes.is_empty() {
                return Ok(None);
            }
            if let Some(at) = bytes.iter().position(|byte| !is_json_space(*byte)) {
                let byte = bytes[at];
                self.input.consume(at);
                return Ok(Some(byte));
            }
            let length = bytes.len();
            self.input.consume(length);
        }
    }

    fn bad(&self, detail: &str) -> Error {
        Error::Json { file: self.file.clone(), row: self.rows, detail: detail.to_owned() }
    }
}

/// Appends valid JSON without the white space between its tokens; numbers and strings stay as
/// they are spelled.
pub(crate) fn write_compact(json: &str, out: &mut Vec<u8>) {
    let mut rest = json.as_bytes();
    while let Some(at) = rest.iter().position(|byte| *byte == b'"' || byte.is_ascii_whitespace()) {
        out.extend_from_slice(&rest[..at]);
        let end = if rest[at] == b'"' { at + string_length(&rest[at..]) } else { at };
        out.extend_from_slice(&rest[at..end]);
        rest = &rest[end.max(at + 1).min(rest.len())..];
    }
    out.extend_from_slice(rest);
}

/// The length of the string literal at the start of `json`, with its quotes.
fn string_length(json: &[u8]) -> usize {
    let mut at = 1;
    while let Some(found) = json.get(at..).and_then(|rest| memchr2(b'"', b'\\', rest)) {
        at += found;
        if json[at] == b'"' {
            return at + 1;
        }
        at += 2;
    }
    json.len()
}

/// The members of one row that are printed.
pub(crate) struct Members<'a> {
    pub(crate) columns: Option<&'a [String]>,
    pub(crate) drop: &'a [String],
    pub(crate) keep_nulls: bool,
}

impl Members<'_> {
    /// Whether rows can be printed as they are.
    pub(crate) fn is_all(&self) -> bool {
        self.columns.is_none() && self.drop.is_empty() && self.keep_nulls
    }

    /// Appends the chosen members of `row`, and tells `seen` every key there is.
    pub(crate) fn write(
        &self,
        row: &str,
        out: &mut Vec<u8>,
        mut seen: impl FnMut(&str),
    ) -> serde_json::Result<()> {
        let members: RowMembers<'_> = serde_json::from_str(row)?;
        out.push(b'{');
        let mut first = true;
        for (key, value) in &members.0 {
            seen(key);
            let is_chosen =
                self.columns.is_none_or(|columns| columns.iter().any(|column| column == key));
            let is_left_out = !self.keep_nulls && value.get() == "null";
            if !is_chosen || is_left_out || self.drop.iter().any(|column| column == key) {
                continue;
            }
            if !first {
                out.push(b',');
            }
            first = false;
            write_string(key.as_bytes(), out);
            out.push(b':');
            write_compact(value.get(), out);
        }
        out.push(b'}');
        Ok(())
    }
}

/// Keys and values of an object in their order, duplicates kept.
struct RowMembers<'a>(Vec<(Cow<'a, str>, &'a RawValue)>);

impl<'de> Deserialize<'de> for RowMembers<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct MembersVisitor;
        impl<'de> Visitor<'de> for MembersVisitor {
            type Value = RowMembers<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut members = Vec::new();
                while let Some(Key(key)) = map.next_key()? {
                    members.push((key, map.next_value()?));
                }
                Ok(RowMembers(members))
            }
        }
        deserializer.deserialize_map(MembersVisitor)
    }
}

/// A key, borrowed where it has no escapes.
#[derive(Deserialize)]
struct Key<'a>(#[serde(borrow)] Cow<'a, str>);

#[cfg(test)]
mod tests {
    use super::*;

    fn rows(text: &'static str) -> Result<Vec<String>, Error> {
        let mut rows = Vec::new();
        let export =
            JsonExport::new("x.json", Arc::new(bytes::Bytes::from_static(text.as_bytes())));
        export.for_each_row(|row| {
            let mut out = Vec::new();
            write_compact(row, &mut out);
            rows.push(String::from_utf8(out).unwrap());
            Ok(ControlFlow::Continue(()))
        })?;
        Ok(rows)
    }

    #[test]
    fn lines_and_an_array_give_the_same_rows() {
        let expected = [r#"{"a":1.50,"b":"x \" y"}"#, r#"{"c":[1,{"d":null}]}"#];
        let lines = "{\"a\": 1.50, \"b\": \"x \\\" y\"}\n\n {\"c\":[ 1 , {\"d\" :null}]}\n";
        assert_eq!(rows(lines).unwrap(), expected);
        let array = " [ {\"a\": 1.50, \"b\": \"x \\\" y\"} ,\n{\"c\":[ 1 , {\"d\" :null}]} ] \n";
        assert_eq!(rows(array).unwrap(), expected);
        assert!(rows("[]").unwrap().is_empty());
        assert!(rows(" \n ").unwrap().is_empty());
    }

    #[test]
    fn a_byte_order_mark_is_borne_and_a_form_feed_is_not() {
        for text in ["\u{feff}{\"a\":1}\n", "\u{feff}[{\"a\":1}]", "\u{feff} {\"a\":1}"] {
            assert_eq!(rows(text).unwrap(), [r#"{"a":1}"#], "{text:?}");
        }
        for text in ["{\"a\":1}\u{c}\n", "\u{c}{\"a\":1}", "{\"a\":1}\n\u{feff}{\"a\":2}"] {
            assert!(rows(text).is_err(), "{text:?}");
        }
    }

    #[test]
    fn what_is_not_json_is_an_error_that_names_the_row() {
        let cases = [
            ("{\"a\":1}\n{\"a\":}\n", "row 1"),
            ("{\"a\":1}\n7\n", "not an object"),
            ("[{\"a\":1} {\"a\":2}]", "comma"),
            ("[{\"a\":1}", "closing bracket"),
            ("[{\"a\":1}] x", "behind the array"),
            ("{\"a\":01}", "row 0"),
            ("{\"a\":1", "EOF"),
        ];
        for (text, expected) in cases {
            let message = rows(text).unwrap_err().to_string();
            assert!(message.contains(expected), "{text}: {message}");
        }
    }

    #[test]
    fn chosen_members_keep_their_order_and_spelling() {
        let columns = ["b".to_owned(), "a".to_owned()];
        let members = Members { columns: Some(&columns), drop: &[], keep_nulls: false };
        let mut out = Vec::new();
        members
            .write(r#"{"a" : 1e2, "\u0062": "\u00e9", "c":0, "a":null}"#, &mut out, |_| {})
            .unwrap();
        assert_eq!(String::from_utf8(out).unwrap(), r#"{"a":1e2,"b":"\u00e9"}"#);
    }
}
