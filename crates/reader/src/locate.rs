//! Finds the text that is not UTF-8, which the `parquet` crate refuses without saying where it stands.

use std::ops::Range;
use std::sync::Arc;

use parquet::basic::ConvertedType;
use parquet::column::page::PageReader;
use parquet::column::reader::ColumnReaderImpl;
use parquet::data_type::{ByteArray, ByteArrayType};
use parquet::schema::types::ColumnDescPtr;

use crate::decoder;
use crate::guard::guarded;
use crate::part::Part;
use crate::reading::Reading;

/// Rows read at a time.
const ROWS: usize = 64;

/// The first of some rows, or of those behind them in their row groups, that has a text in the chosen columns that is
/// not UTF-8, and the top-level column: a dictionary has the texts of later rows too. It must be known to be there,
/// because all of these rows are read again.
pub(crate) fn invalid_text(reading: &Reading, rows: &Range<u64>) -> Option<(u64, String)> {
    let part = Part::of(&reading.footer, rows.clone());
    let start = rows.start - part.skip;
    let pages = reading.pages(&part, 1);
    let descriptor = reading.footer.columns(reading.plan.is_printed).descriptor();
    let texts = pages.leaves().filter(|leaf| {
        let column = descriptor.column(leaf.number);
        leaf.is_text && column.converted_type() == ConvertedType::UTF8
    });
    let found = texts.filter_map(|leaf| {
        let column = descriptor.column(leaf.number);
        let chunks = decoder::column_pages(&pages, leaf);
        let row = guarded(|| first_invalid(&column, chunks, start, rows.start)).ok()??;
        Some((row, column.path().parts().first()?.clone()))
    });
    found.min()
}

/// Reads the chunks of one leaf, which begin with row `start` of the file, and looks at row `first` and those behind it.
fn first_invalid(
    column: &ColumnDescPtr,
    chunks: impl Iterator<Item = Box<dyn PageReader>>,
    start: u64,
    first: u64,
) -> Option<u64> {
    let (mut values, mut def, mut rep) = (Vec::<ByteArray>::new(), Vec::new(), Vec::new());
    let mut row = start;
    for pages in chunks {
        let mut reader = ColumnReaderImpl::<ByteArrayType>::new(Arc::clone(column), pages);
        loop {
            values.clear();
            def.clear();
            rep.clear();
            let (count, ..) =
                reader.read_records(ROWS, Some(&mut def), Some(&mut rep), &mut values).ok()?;
            if count == 0 {
                break;
            }
            let is_valid = |def: &i16| *def == column.max_def_level();
            let mut left = values.iter();
            // The row of each level, or value if there are no levels.
            let mut at = row;
            for index in 0..values.len().max(def.len()) {
                at += u64::from(index > 0 && rep.get(index).is_none_or(|level| *level == 0));
                if def.get(index).is_none_or(is_valid)
                    && let Some(value) = left.next()
                    && at >= first
                    && std::str::from_utf8(value.data()).is_err()
                {
                    return Some(at);
                }
            }
            row += count as u64;
        }
    }
    None
}
