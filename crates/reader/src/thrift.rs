//! What footers and page headers claim, looked at before the `parquet` crate believes it.
//!
//! That crate builds the schema by recursion and allocates what a header asks for. A damaged or
//! malicious file of a few kilobytes could so overflow the stack or ask for many gigabytes, and both
//! end the process where no error can be caught. The structures are Thrift's compact protocol:
//! `FileMetaData` has the schema as field 2, a `SchemaElement` its number of children as field 5; a
//! `PageHeader` has the uncompressed size as field 2 and the `DictionaryPageHeader`, whose field 1 is
//! its number of values, as field 7.

/// Columns nested deeper than this are refused. Lists and maps take two levels each.
pub(crate) const LEVELS_MAX: usize = 64;

/// Larger pages are refused; writers make them of about a mebibyte.
const PAGE_BYTES_MAX: u64 = 512 << 20;

const I32: u8 = 5;
const LIST: u8 = 9;
const STRUCT: u8 = 12;

/// What is wrong with the schema of a footer. Bytes that are no footer pass: what exactly is wrong
/// with those, the `parquet` crate says better.
pub(crate) fn schema_problem(footer: &[u8]) -> Option<String> {
    let mut input = Input { bytes: footer };
    let mut field = 0;
    loop {
        match input.field(&mut field)? {
            (_, 0) => return None,
            (2, LIST) => return input.schema(),
            (_, kind) => input.skip(kind, 0)?,
        }
    }
}

/// What is wrong with the sizes in a page header. Bytes that are no header pass, as above.
pub(crate) fn page_problem(header: &[u8]) -> Option<String> {
    let mut input = Input { bytes: header };
    let (mut field, mut page_bytes) = (0, 0);
    loop {
        match input.field(&mut field)? {
            (_, 0) => return None,
            (2, I32) => {
                page_bytes = input.varint()? >> 1;
                if page_bytes > PAGE_BYTES_MAX {
                    return Some(format!("a page claims to have {page_bytes} bytes"));
                }
            }
            (7, STRUCT) => {
                let mut inner = 0;
                if let (1, I32) = input.field(&mut inner)? {
                    let values = input.varint()? >> 1;
                    // Every value of a dictionary takes a byte at least.
                    return (values > page_bytes).then(|| {
                        format!("a dictionary claims to have {values} values in {page_bytes} bytes")
                    });
                }
                return None;
            }
            (_, kind) => input.skip(kind, 0)?,
        }
    }
}

struct Input<'a> {
    bytes: &'a [u8],
}

impl Input<'_> {
    /// Walks the elements, which stand in depth-first order.
    fn schema(&mut self) -> Option<String> {
        let (count, kind) = self.list()?;
        let mut open = Vec::new();
        for _ in 0..count {
            if kind != STRUCT {
                return None;
            }
            let children = self.children()?;
            if children > count {
                return Some(format!("a column claims to have {children} members of {count}"));
            }
            while open.last() == Some(&0) {
                open.pop();
            }
            if let Some(left) = open.last_mut() {
                *left -= 1;
            }
            open.push(children);
            // The root is no column.
            if open.len() > LEVELS_MAX + 1 {
                return Some(format!("its columns are nested deeper than {LEVELS_MAX} levels"));
            }
        }
        None
    }

    /// Reads one schema element and returns its number of children.
    fn children(&mut self) -> Option<u64> {
        let (mut field, mut children) = (0, 0);
        loop {
            match self.field(&mut field)? {
                (_, 0) => return Some(children),
                // Zigzag: an even code is a positive number.
                (5, I32) => children = self.varint()? >> 1,
                (_, kind) => self.skip(kind, 0)?,
            }
        }
    }

    /// The id and the type of the next field; type 0 ends the struct.
    fn field(&mut self, last: &mut i64) -> Option<(i64, u8)> {
        let header = self.byte()?;
        let (delta, kind) = (header >> 4, header & 0xf);
        if kind == 0 {
            return Some((0, 0));
        }
        *last = if delta == 0 {
            let code = self.varint()?;
            (code >> 1).cast_signed() ^ -(code & 1).cast_signed()
        } else {
            last.checked_add(i64::from(delta))?
        };
        Some((*last, kind))
    }

    fn list(&mut self) -> Option<(u64, u8)> {
        let header = self.byte()?;
        let count = if header >> 4 == 15 { self.varint()? } else { u64::from(header >> 4) };
        Some((count, header & 0xf))
    }

    /// Passes a value over. Only structs and lists go deeper, and those of a footer by a few levels.
    fn skip(&mut self, kind: u8, depth: usize) -> Option<()> {
        match kind {
            1 | 2 if depth == 0 => Some(()), // A bool in a struct is in its type.
            1..=3 => self.take(1),
            4..=6 => self.varint().map(drop),
            7 => self.take(8),
            8 => {
                let length = usize::try_from(self.varint()?).ok()?;
                self.take(length)
            }
            9 | 10 if depth < LEVELS_MAX => {
                let (count, kind) = self.list()?;
                (0..count).try_for_each(|_| self.skip(kind, depth + 1))
            }
            STRUCT if depth < LEVELS_MAX => {
                let mut field = 0;
                loop {
                    match self.field(&mut field)? {
                        (_, 0) => return Some(()),
                        (_, 1 | 2) => {}
                        (_, kind) => self.skip(kind, depth + 1)?,
                    }
                }
            }
            _ => None,
        }
    }

    fn byte(&mut self) -> Option<u8> {
        let (first, rest) = self.bytes.split_first()?;
        self.bytes = rest;
        Some(*first)
    }

    fn take(&mut self, length: usize) -> Option<()> {
        self.bytes = self.bytes.get(length..)?;
        Some(())
    }

    fn varint(&mut self) -> Option<u64> {
        let mut value = 0;
        for shift in (0..64).step_by(7) {
            let byte = self.byte()?;
            value |= u64::from(byte & 0x7f) << shift;
            if byte < 0x80 {
                return Some(value);
            }
        }
        None
    }
}
