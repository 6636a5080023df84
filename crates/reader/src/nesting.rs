//! How deep the columns of a footer are nested, found without recursion.
//!
//! The `parquet` crate builds the schema by recursion, so a footer of a few kilobytes that claims
//! thousands of levels would overflow the stack, which no error can catch. This looks at the flat
//! list of schema elements first. It follows Thrift's compact protocol, in which `FileMetaData` has
//! the list as field 2 and a `SchemaElement` its number of children as field 5.

/// Columns nested deeper than this are refused. Lists and maps take two levels each.
pub(crate) const LEVELS_MAX: usize = 64;

const LIST: u8 = 9;
const STRUCT: u8 = 12;

/// The deepest level of the schema in a footer, or `None` if the bytes are no footer; what exactly
/// is wrong with them, the `parquet` crate says better. Stops counting beyond [`LEVELS_MAX`].
pub(crate) fn levels(footer: &[u8]) -> Option<usize> {
    let mut input = Input { bytes: footer };
    let mut field = 0;
    loop {
        match input.field(&mut field)? {
            (2, LIST) => return input.schema_levels(),
            (_, kind) => input.skip(kind, 0)?,
        }
    }
}

struct Input<'a> {
    bytes: &'a [u8],
}

impl Input<'_> {
    /// Walks the elements, which stand in depth-first order.
    fn schema_levels(&mut self) -> Option<usize> {
        let (count, kind) = self.list()?;
        let (mut deepest, mut open) = (0, Vec::new());
        for _ in 0..count {
            if kind != STRUCT {
                return None;
            }
            let children = self.children()?;
            while open.last() == Some(&0) {
                open.pop();
            }
            if let Some(left) = open.last_mut() {
                *left -= 1;
            }
            open.push(children);
            deepest = deepest.max(open.len());
            if deepest > LEVELS_MAX + 1 {
                break;
            }
        }
        // The root is no column.
        Some(deepest.saturating_sub(1))
    }

    /// Reads one schema element and returns its number of children.
    fn children(&mut self) -> Option<u64> {
        let (mut field, mut children) = (0, 0);
        loop {
            match self.field(&mut field)? {
                (_, 0) => return Some(children),
                // Zigzag: an even code is a positive number.
                (5, 5) => children = self.varint()? >> 1,
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
