//! JSON exports: lines or one array, each row checked and printed compact.
//!
//! A row is found by its brackets, checked where it lies, and handed over. Only one that is longer than the
//! window of the file that is held takes memory of its own, and that once.

use std::borrow::Cow;
use std::fmt;
use std::io;
use std::ops::{ControlFlow, Range};
use std::sync::Arc;

use bytes::Bytes;
use memchr::{memchr2, memchr3};
use serde_json::value::RawValue;

use crate::error::Error;
use crate::jsonl::write_string;
use crate::names;
use crate::source::{BYTE_ORDER_MARK, Input, Source, is_json_space};

/// No row of a JSON export may be longer than this.
const ROW_BYTES_MAX: u64 = 64 << 20;

/// What is held of the file.
const WINDOW_BYTES: usize = 512 * 1024;

/// A JSON export, lines or one array of objects, read row by row.
pub struct JsonExport {
    file: Arc<str>,
    input: Window,
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

/// The bytes of a row.
enum Row {
    InWindow(Range<usize>),
    Long(Bytes),
}

impl JsonExport {
    /// Reads a JSON export.
    pub fn new(file: &Input) -> Self {
        let source = Arc::clone(file.source());
        let whole = 0..source.size();
        source.prefetch(&[Vec::from([whole])]);
        Self { file: file.name().into(), input: Window::new(source), rows: 0, in_array: false }
    }

    /// Hands the text of each row, a valid JSON object, to `each` until that breaks. Returns the
    /// rows handed over.
    pub fn for_each_row(
        mut self,
        mut each: impl FnMut(&str) -> Result<ControlFlow<()>, Error>,
    ) -> Result<u64, Error> {
        while let Some(row) = self.next_row()? {
            let bytes = match &row {
                Row::InWindow(range) => &self.input.bytes[range.clone()],
                Row::Long(bytes) => bytes,
            };
            let row: &RawValue =
                serde_json::from_slice(bytes).map_err(|error| self.bad(&error.to_string()))?;
            self.rows += 1;
            if each(row.get())?.is_break() {
                return Ok(self.rows);
            }
        }
        Ok(self.rows)
    }

    fn next_row(&mut self) -> Result<Option<Row>, Error> {
        if self.rows == 0 {
            self.input.skip_mark().map_err(|error| Error::io(&self.file, error))?;
            if self.next_byte()? == Some(b'[') {
                self.input.at += 1;
                self.in_array = true;
            }
        }
        match (self.next_byte()?, self.in_array) {
            (None, false) => return Ok(None),
            (None, true) => return Err(self.bad("the array has no closing bracket")),
            (Some(b']'), true) => return self.end_of_array(),
            (Some(b','), true) if self.rows > 0 => self.input.at += 1,
            (Some(_), true) if self.rows > 0 => {
                return Err(self.bad("a comma is missing before it"));
            }
            _ => {}
        }
        if self.next_byte()? != Some(b'{') {
            return Err(self.bad("it is not an object"));
        }
        match self.input.take_object() {
            Ok(Some(row)) => Ok(Some(row)),
            Ok(None) => Err(self.bad("it is longer than 64 MiB")),
            Err(error) => Err(Error::io(&self.file, error)),
        }
    }

    fn end_of_array(&mut self) -> Result<Option<Row>, Error> {
        self.input.at += 1;
        match self.next_byte()? {
            None => Ok(None),
            Some(_) => Err(self.bad("there is more text behind the array")),
        }
    }

    fn next_byte(&mut self) -> Result<Option<u8>, Error> {
        self.input.next_byte().map_err(|error| Error::io(&self.file, error))
    }

    fn bad(&self, detail: &str) -> Error {
        Error::Json { file: self.file.to_string(), row: self.rows, detail: detail.to_owned() }
    }
}

/// A piece of the file, and the place in it.
struct Window {
    source: Arc<dyn Source>,
    bytes: Vec<u8>,
    at: usize,
    /// Where the file goes on behind it.
    next: u64,
}

impl Window {
    fn new(source: Arc<dyn Source>) -> Self {
        Self { source, bytes: Vec::new(), at: 0, next: 0 }
    }

    /// Reads more of the file behind what is left; `false` at its end.
    fn fill(&mut self) -> io::Result<bool> {
        self.bytes.drain(..self.at);
        self.at = 0;
        let room = WINDOW_BYTES.saturating_sub(self.bytes.len()) as u64;
        let end = self.source.size().min(self.next + room);
        let more = self.source.read(self.next..end)?;
        self.bytes.extend_from_slice(&more);
        self.next = end;
        Ok(!more.is_empty())
    }

    /// Goes past a byte order mark, which the window has whole or not at all.
    fn skip_mark(&mut self) -> io::Result<()> {
        if self.bytes.is_empty() {
            self.fill()?;
        }
        if self.bytes.starts_with(BYTE_ORDER_MARK) {
            self.at = BYTE_ORDER_MARK.len();
        }
        Ok(())
    }

    /// The next byte that is not white space, left in the input.
    fn next_byte(&mut self) -> io::Result<Option<u8>> {
        loop {
            let left = &self.bytes[self.at..];
            if let Some(skipped) = left.iter().position(|byte| !is_json_space(*byte)) {
                self.at += skipped;
                return Ok(Some(self.bytes[self.at]));
            }
            self.at = self.bytes.len();
            if !self.fill()? {
                return Ok(None);
            }
        }
    }

    /// Goes past the object that begins here; `None` if it is too long.
    fn take_object(&mut self) -> io::Result<Option<Row>> {
        let (mut scan, mut seen) = (Scan::default(), 0);
        loop {
            let start = self.at + seen;
            if let Some(length) = scan.end(&self.bytes[start..]) {
                let row = self.at..start + length;
                self.at = row.end;
                return Ok(Some(Row::InWindow(row)));
            }
            seen = self.bytes.len() - self.at;
            if seen >= WINDOW_BYTES {
                return self.take_long_object(scan);
            }
            if !self.fill()? {
                // The file ends within it, which the parser says best.
                let row = self.at..self.bytes.len();
                self.at = row.end;
                return Ok(Some(Row::InWindow(row)));
            }
        }
    }

    /// [`Self::take_object`] for one of which the window holds only the start: its end is looked for first,
    /// so that it is read into as much memory as it takes.
    fn take_long_object(&mut self, mut scan: Scan) -> io::Result<Option<Row>> {
        let start = self.next - self.bytes.len() as u64;
        let end = loop {
            self.at = self.bytes.len();
            if self.next - start > ROW_BYTES_MAX {
                return Ok(None);
            }
            if !self.fill()? {
                break self.next;
            }
            if let Some(length) = scan.end(&self.bytes) {
                self.at = length;
                break self.next - (self.bytes.len() - length) as u64;
            }
        };
        if end - start > ROW_BYTES_MAX {
            return Ok(None);
        }
        Ok(Some(Row::Long(self.source.read(start..end)?)))
    }
}

/// Looks for the end of an object or an array by its brackets, piece by piece. What lies between is for the
/// parser to check.
#[derive(Default)]
struct Scan {
    depth: usize,
    in_string: bool,
    is_escaped: bool,
}

impl Scan {
    /// The length of what belongs to it in `bytes`, if it ends there.
    fn end(&mut self, bytes: &[u8]) -> Option<usize> {
        let mut at = 0;
        while let Some(&byte) = bytes.get(at) {
            at += 1;
            if self.is_escaped {
                self.is_escaped = false;
            } else if self.in_string {
                match byte {
                    b'"' => self.in_string = false,
                    b'\\' => self.is_escaped = true,
                    // No string has one: the quotation marks do not match.
                    b'\n' => return Some(at),
                    _ => {
                        at += memchr3(b'"', b'\\', b'\n', &bytes[at..]).unwrap_or(bytes.len() - at);
                    }
                }
            } else {
                match byte {
                    b'"' => self.in_string = true,
                    b'{' | b'[' => self.depth += 1,
                    b'}' | b']' => {
                        self.depth = self.depth.saturating_sub(1);
                        if self.depth == 0 {
                            return Some(at);
                        }
                    }
                    _ => {}
                }
            }
        }
        None
    }
}

/// Appends valid JSON without the white space between its tokens; numbers and strings stay as
/// they are spelled.
pub(crate) fn write_compact(json: &str, out: &mut Vec<u8>) {
    compact(json, &mut |piece| out.extend_from_slice(piece));
}

/// Hands over the pieces of valid JSON between which there is white space.
pub(crate) fn compact(json: &str, each: &mut dyn FnMut(&[u8])) {
    let mut rest = json.as_bytes();
    while let Some(at) = rest.iter().position(|byte| *byte == b'"' || byte.is_ascii_whitespace()) {
        let end = if rest[at] == b'"' { at + string_length(&rest[at..]) } else { at };
        each(&rest[..end]);
        rest = &rest[end.max(at + 1).min(rest.len())..];
    }
    each(rest);
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

    /// Appends the chosen members of `row`, a valid JSON object, and tells `seen` every key there is.
    pub(crate) fn write(&self, row: &str, out: &mut Vec<u8>, mut seen: impl FnMut(&str)) {
        out.push(b'{');
        let mut first = true;
        for (key, value) in (MembersOf { rest: row }) {
            let name = name_of(key);
            let asked = name.as_deref().unwrap_or(key);
            seen(asked);
            let is_known = |name: &str| MembersOf { rest: row }.any(|(key, _)| is_named(key, name));
            let is_in =
                |names: &[String]| names.iter().any(|name| names::means(name, asked, is_known));
            let is_left_out = !self.keep_nulls && value == "null";
            if !self.columns.is_none_or(is_in) || is_left_out || is_in(self.drop) {
                continue;
            }
            if !first {
                out.push(b',');
            }
            first = false;
            match &name {
                Some(name) => write_string(name.as_bytes(), out),
                None => out.extend_from_slice(key.as_bytes()),
            }
            out.push(b':');
            write_compact(value, out);
        }
        out.push(b'}');
    }
}

/// What a key says, a string literal; `None` for half a surrogate pair, which is no text.
fn name_of(key: &str) -> Option<Cow<'_, str>> {
    match key.get(1..key.len().saturating_sub(1)) {
        Some(plain) if !plain.contains('\\') => Some(Cow::Borrowed(plain)),
        _ => serde_json::from_str(key).ok().map(Cow::Owned),
    }
}

fn is_named(key: &str, name: &str) -> bool {
    name_of(key).is_some_and(|known| known == name)
}

/// Keys and values of a valid JSON object in their order, as they are spelled, duplicates kept.
struct MembersOf<'a> {
    rest: &'a str,
}

impl<'a> Iterator for MembersOf<'a> {
    type Item = (&'a str, &'a str);

    fn next(&mut self) -> Option<Self::Item> {
        // What stands before it: the bracket or a comma.
        let is_between = |char: char| char == '{' || char == ',' || char.is_ascii_whitespace();
        let rest = self.rest.trim_start_matches(is_between);
        if !rest.starts_with('"') {
            return None;
        }
        let (key, rest) = rest.split_at_checked(string_length(rest.as_bytes()))?;
        let rest = rest.trim_start_matches(|char: char| char == ':' || char.is_ascii_whitespace());
        let length = match rest.as_bytes().first()? {
            b'"' => string_length(rest.as_bytes()),
            b'{' | b'[' => Scan::default().end(rest.as_bytes())?,
            _ => rest.find(|char: char| matches!(char, ',' | '}') || char.is_ascii_whitespace())?,
        };
        let (value, rest) = rest.split_at_checked(length)?;
        self.rest = rest;
        Some((key, value))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rows(text: &'static str) -> Result<Vec<String>, Error> {
        let mut rows = Vec::new();
        let export = JsonExport::new(&Input::new("x.json", Bytes::from_static(text.as_bytes())));
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
        members.write(r#"{"a" : 1e2, "\u0062": "\u00e9", "c":0, "a":null}"#, &mut out, |_| {});
        assert_eq!(String::from_utf8(out).unwrap(), r#"{"a":1e2,"b":"\u00e9"}"#);
    }

    #[test]
    fn half_a_surrogate_pair_is_no_reason_to_leave_a_row_out() {
        let row = r#"{"\ud800":1,"a":"\udfff","b":[{"c":"}"},2] , "d" : {}}"#;
        let text = |columns: Option<&[String]>, drop: &[String]| {
            let mut out = Vec::new();
            Members { columns, drop, keep_nulls: true }.write(row, &mut out, |_| {});
            String::from_utf8(out).unwrap()
        };
        assert_eq!(text(Some(&["a".to_owned()]), &[]), r#"{"a":"\udfff"}"#);
        let all = r#"{"\ud800":1,"a":"\udfff","b":[{"c":"}"},2],"d":{}}"#;
        assert_eq!(text(None, &["none".to_owned()]), all);
        assert_eq!(text(Some(&["b,d".to_owned()]), &[]), r#"{"b":[{"c":"}"},2],"d":{}}"#);
    }

    #[test]
    fn rows_of_any_length_are_found_wherever_the_window_ends() {
        for length in [10, WINDOW_BYTES - 20, WINDOW_BYTES - 9, WINDOW_BYTES, 3 * WINDOW_BYTES] {
            let long = format!("{{\"a\":\"{}\\\"\"}}", "x{[".repeat(length / 3));
            let text = format!("{{\"b\":1}}\n{long}\n{{\"c\":{{}}}}\n{long}");
            let mut rows = Vec::new();
            let export = JsonExport::new(&Input::new("x", Bytes::from(text.clone())));
            let count = export.for_each_row(|row| {
                rows.push(row.to_owned());
                Ok(ControlFlow::Continue(()))
            });
            assert_eq!(count.unwrap(), 4);
            assert!(rows.join("\n") == text, "{length}");
        }
    }

    #[test]
    fn a_row_that_is_too_long_is_refused() {
        let long = format!("{{\"a\":\"{}\"}}", "x".repeat(65 << 20));
        let export = JsonExport::new(&Input::new("x", Bytes::from(long)));
        let message = export.for_each_row(|_| Ok(ControlFlow::Continue(()))).unwrap_err();
        assert!(message.to_string().contains("64 MiB"), "{message}");
    }
}
