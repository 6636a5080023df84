//! Thrift's compact protocol, as far as footers and page headers of Parquet need it.
//!
//! They are read here and not by the `parquet` crate for three reasons. That crate builds the schema by
//! recursion and allocates what a header asks for, so a damaged or malicious file of a few kilobytes could
//! overflow the stack or ask for many gigabytes, and both end the process where no error can be caught. It
//! keeps about half a kilobyte for each column chunk, which is 100 MiB for 20,000 row groups of ten columns.
//! And it gives a file up for a damaged statistic that nobody asked for.

use std::io::{self, BufRead};

pub(crate) const BOOL_TRUE: u8 = 1;
pub(crate) const BOOL_FALSE: u8 = 2;
pub(crate) const I32: u8 = 5;
pub(crate) const I64: u8 = 6;
pub(crate) const BINARY: u8 = 8;
pub(crate) const LIST: u8 = 9;
pub(crate) const STRUCT: u8 = 12;

/// Values nested deeper than this are none of Parquet's.
const DEPTH_MAX: usize = 64;

/// Reads values one after the other.
pub(crate) struct Decoder<R> {
    bytes: R,
    /// What was read since [`Self::record`] began.
    recorded: Option<Vec<u8>>,
}

/// The number of a field in its struct, and the type of its value.
pub(crate) type Field = (i64, u8);

impl<R: BufRead> Decoder<R> {
    pub(crate) fn new(bytes: R) -> Self {
        Self { bytes, recorded: None }
    }

    /// What is left.
    pub(crate) fn into_rest(self) -> R {
        self.bytes
    }

    /// The next field of a struct whose field before was `last`, or `None` at its end.
    pub(crate) fn field(&mut self, last: &mut i64) -> io::Result<Option<Field>> {
        let header = self.byte()?;
        let (delta, kind) = (header >> 4, header & 0xf);
        if kind == 0 {
            return Ok(None);
        }
        let number =
            if delta == 0 { Some(self.integer()?) } else { last.checked_add(i64::from(delta)) };
        *last = number.ok_or_else(|| invalid("a field has no number"))?;
        Ok(Some((*last, kind)))
    }

    /// The number and the type of the items of a list.
    pub(crate) fn list(&mut self) -> io::Result<(u64, u8)> {
        let header = self.byte()?;
        let count = if header >> 4 == 15 { self.varint()? } else { u64::from(header >> 4) };
        Ok((count, header & 0xf))
    }

    /// An integer of any width.
    pub(crate) fn integer(&mut self) -> io::Result<i64> {
        self.varint().map(zigzag)
    }

    /// A binary or text of at most `max` bytes.
    pub(crate) fn binary(&mut self, max: usize) -> io::Result<Vec<u8>> {
        let length = usize::try_from(self.varint()?).unwrap_or(usize::MAX);
        if length > max {
            return Err(invalid("a text is longer than any of its kind"));
        }
        let mut text = Vec::new();
        self.consume(length, &mut |piece| text.extend_from_slice(piece))?;
        Ok(text)
    }

    /// A text of at most `max` bytes; `None` if it is longer, or none.
    pub(crate) fn short_text(&mut self, max: usize) -> io::Result<Option<String>> {
        let length = usize::try_from(self.varint()?).unwrap_or(usize::MAX);
        let mut text = Vec::new();
        self.consume(length, &mut |piece| {
            if length <= max {
                text.extend_from_slice(piece);
            }
        })?;
        Ok(if length <= max { String::from_utf8(text).ok() } else { None })
    }

    /// Passes a value over and returns its bytes.
    pub(crate) fn record(&mut self, kind: u8) -> io::Result<Vec<u8>> {
        self.recorded = Some(Vec::new());
        let outcome = self.skip(kind);
        let recorded = self.recorded.take().unwrap_or_default();
        outcome.map(|()| recorded)
    }

    /// Passes a value of a struct's field over.
    pub(crate) fn skip(&mut self, kind: u8) -> io::Result<()> {
        match kind {
            // A bool in a struct is in its type.
            BOOL_TRUE | BOOL_FALSE => Ok(()),
            _ => self.skip_item(kind, 0),
        }
    }

    /// Passes a value over. Only structs and lists go deeper, and those of Parquet by a few levels.
    fn skip_item(&mut self, kind: u8, depth: usize) -> io::Result<()> {
        if depth > DEPTH_MAX {
            return Err(invalid("it is nested deeper than any of its kind"));
        }
        match kind {
            BOOL_TRUE | BOOL_FALSE | 3 => self.pass(1),
            4..=6 => self.varint().map(drop),
            7 => self.pass(8),
            BINARY => {
                let length = usize::try_from(self.varint()?).unwrap_or(usize::MAX);
                self.pass(length)
            }
            LIST | 10 => {
                let (count, kind) = self.list()?;
                (0..count).try_for_each(|_| self.skip_item(kind, depth + 1))
            }
            // A map: the types of keys and values are there unless it is empty.
            11 => {
                let count = self.varint()?;
                let kinds = if count == 0 { 0 } else { self.byte()? };
                (0..count).try_for_each(|_| {
                    self.skip_item(kinds >> 4, depth + 1)?;
                    self.skip_item(kinds & 0xf, depth + 1)
                })
            }
            // A UUID.
            13 => self.pass(16),
            STRUCT => {
                let mut field = 0;
                while let Some((_, kind)) = self.field(&mut field)? {
                    if !matches!(kind, BOOL_TRUE | BOOL_FALSE) {
                        self.skip_item(kind, depth + 1)?;
                    }
                }
                Ok(())
            }
            _ => Err(invalid("a value has a type that Parquet does not use")),
        }
    }

    fn byte(&mut self) -> io::Result<u8> {
        let Some(&byte) = self.bytes.fill_buf()?.first() else {
            return Err(io::ErrorKind::UnexpectedEof.into());
        };
        self.bytes.consume(1);
        if let Some(recorded) = &mut self.recorded {
            recorded.push(byte);
        }
        Ok(byte)
    }

    fn pass(&mut self, length: usize) -> io::Result<()> {
        self.consume(length, &mut |_| {})
    }

    fn consume(&mut self, mut length: usize, each: &mut dyn FnMut(&[u8])) -> io::Result<()> {
        while length > 0 {
            let bytes = self.bytes.fill_buf()?;
            if bytes.is_empty() {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            let piece = &bytes[..bytes.len().min(length)];
            each(piece);
            if let Some(recorded) = &mut self.recorded {
                recorded.extend_from_slice(piece);
            }
            let piece = piece.len();
            self.bytes.consume(piece);
            length -= piece;
        }
        Ok(())
    }

    fn varint(&mut self) -> io::Result<u64> {
        let mut value = 0;
        for shift in (0..64).step_by(7) {
            let byte = self.byte()?;
            value |= u64::from(byte & 0x7f) << shift;
            if byte < 0x80 {
                return Ok(value);
            }
        }
        Err(invalid("a number has more than 64 bits"))
    }
}

/// Reads a number of up to 64 bits off the start of `rest`, as Parquet's encodings have them too.
pub(crate) fn take_varint(rest: &mut &[u8]) -> Option<u64> {
    let mut input = Decoder::new(*rest);
    let value = input.varint().ok()?;
    *rest = input.into_rest();
    Some(value)
}

/// Reads a number with a sign, which is in its lowest bit.
pub(crate) fn zigzag(code: u64) -> i64 {
    (code >> 1).cast_signed() ^ -(code & 1).cast_signed()
}

pub(crate) fn invalid(what: impl Into<String>) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, what.into())
}

/// Writes a struct from values that are encoded already.
#[derive(Default)]
pub(crate) struct Output {
    bytes: Vec<u8>,
    last: i64,
}

impl Output {
    /// Adds a field; its number is higher than that of the field before.
    pub(crate) fn field(&mut self, (number, kind): Field, value: &[u8]) {
        if let Ok(delta @ 1..=15) = u8::try_from(number - self.last) {
            self.bytes.push(delta << 4 | kind);
        } else {
            self.bytes.push(kind);
            push_integer(number, &mut self.bytes);
        }
        self.bytes.extend_from_slice(value);
        self.last = number;
    }

    pub(crate) fn end(mut self) -> Vec<u8> {
        self.bytes.push(0);
        self.bytes
    }
}

/// Encodes an integer of any width.
pub(crate) fn push_integer(value: i64, out: &mut Vec<u8>) {
    push_varint(((value << 1) ^ (value >> 63)).cast_unsigned(), out);
}

/// Encodes a binary or a text.
pub(crate) fn encoded_binary(bytes: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(bytes.len() + 5);
    push_varint(bytes.len() as u64, &mut out);
    out.extend_from_slice(bytes);
    out
}

/// Encodes the start of a list.
pub(crate) fn push_list(count: usize, kind: u8, out: &mut Vec<u8>) {
    out.push(0xf0 | kind);
    push_varint(count as u64, out);
}

#[expect(clippy::cast_possible_truncation, reason = "seven bits")]
fn push_varint(mut value: u64, out: &mut Vec<u8>) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_and_recorded() {
        let numbers = [0, 1, -1, 63, 64, -65, i64::from(i32::MAX), i64::MAX, i64::MIN];
        let mut output = Output::default();
        for (index, number) in (0..).zip(numbers) {
            let mut value = Vec::new();
            push_integer(number, &mut value);
            output.field((1 + index * index * 3, I64), &value);
        }
        let bytes = output.end();
        let mut input = Decoder::new(&bytes[..]);
        let mut last = 0;
        for (index, number) in (0..).zip(numbers) {
            assert_eq!(input.field(&mut last).unwrap(), Some((1 + index * index * 3, I64)));
            assert_eq!(input.integer().unwrap(), number);
        }
        assert_eq!(input.field(&mut last).unwrap(), None);
        assert_eq!(Decoder::new(&bytes[..]).record(STRUCT).unwrap(), bytes);
        for end in 0..bytes.len() {
            let cut = Decoder::new(&bytes[..end]).skip(STRUCT).unwrap_err();
            assert_eq!(cut.kind(), io::ErrorKind::UnexpectedEof);
        }
    }

    #[test]
    fn what_is_nested_without_end_is_refused() {
        let lists = vec![0x19; 10_000];
        assert!(Decoder::new(&lists[..]).skip(LIST).is_err());
        let structs = vec![0x1c; 10_000];
        assert!(Decoder::new(&structs[..]).skip(STRUCT).is_err());
    }
}
