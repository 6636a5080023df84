//! The row groups that hold some rows.

use std::ops::Range;

use crate::footer::Footer;

/// The row groups to read, and the rows to skip among theirs.
pub(crate) struct Part {
    pub(crate) groups: Range<usize>,
    pub(crate) skip: u64,
}

impl Part {
    /// For some rows of the file.
    pub(crate) fn of(footer: &Footer, wanted: Range<u64>) -> Self {
        let mut part = Self { groups: 0..0, skip: 0 };
        let mut start = 0;
        for (index, rows) in footer.row_group_rows().enumerate() {
            if start + rows > wanted.start && start < wanted.end {
                if part.groups.is_empty() {
                    part = Self { groups: index..index, skip: wanted.start - start };
                }
                part.groups.end = index + 1;
            }
            start += rows;
        }
        part
    }
}
