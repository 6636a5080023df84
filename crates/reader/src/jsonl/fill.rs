//! The cells of one column: for each type one loop.

use std::ops::Range;

use arrow_array::BooleanArray;
use arrow_buffer::NullBuffer;
use arrow_buffer::bit_chunk_iterator::BitChunks;

use super::column::{Column, Data, Text};
use super::kernel::cell::Cells;
use super::kernel::{float32, float64, int, text, time};
use super::options::{Int64Form, Nulls};

impl Column<'_> {
    /// Makes the cells of `rows`, at most [`CELLS`](super::kernel::cell::CELLS) of them, if the type's
    /// texts are short. Of nulls that are dropped nothing is printed.
    pub(super) fn fill(&mut self, rows: Range<usize>, nulls: Nulls) {
        let cells = &mut *self.cells;
        cells.begin(&rows);
        match &mut self.data {
            Data::Bool(array) => fill_bools(array, rows.clone(), cells),
            Data::Date32(values) => time::fill_dates(&values[rows.clone()], cells),
            Data::F32(values, _) => float32::fill(&values[rows.clone()], cells),
            Data::F64(values, _) => float64::fill(&values[rows.clone()], cells),
            Data::I8(values) => {
                int::fill_signed(&values[rows.clone()], Int64Form::Number, cells);
            }
            Data::I16(values) => {
                int::fill_signed(&values[rows.clone()], Int64Form::Number, cells);
            }
            Data::I32(values) => {
                int::fill_signed(&values[rows.clone()], Int64Form::Number, cells);
            }
            Data::I64(values, form) => int::fill_signed(&values[rows.clone()], *form, cells),
            Data::U8(values) => {
                int::fill_unsigned(&values[rows.clone()], Int64Form::Number, cells);
            }
            Data::U16(values) => {
                int::fill_unsigned(&values[rows.clone()], Int64Form::Number, cells);
            }
            Data::U32(values) => {
                int::fill_unsigned(&values[rows.clone()], Int64Form::Number, cells);
            }
            Data::U64(values, form) => {
                int::fill_unsigned(&values[rows.clone()], *form, cells);
            }
            Data::Text(values) => fill_texts(values, rows.clone(), cells),
            Data::Timestamp(values, unit, utc) => {
                time::fill_timestamps(&values[rows.clone()], *unit, *utc, cells);
            }
            Data::Indexed(index, values) => fill_indexed(index, values, rows.clone(), cells),
            Data::Struct(members) => {
                for member in members {
                    member.fill(rows.clone(), Nulls::Keep);
                }
                cells.clear();
            }
            _ => cells.clear(),
        }
        let null_bits = match &self.nulls {
            Some(nulls) if nulls.null_count() > 0 => null_bits(nulls, rows),
            _ => 0,
        };
        cells.finish(null_bits, nulls == Nulls::Drop);
    }
}

/// A bit for each of at most 64 rows, the first in the lowest, that tells whether it is null.
fn null_bits(nulls: &NullBuffer, rows: Range<usize>) -> u64 {
    let valid = first_bits(nulls.validity(), nulls.offset() + rows.start, rows.len());
    !valid & (u64::MAX >> (64 - rows.len().clamp(1, 64)))
}

/// The `count` bits of `bytes` from `start` on, at most 64.
fn first_bits(bytes: &[u8], start: usize, count: usize) -> u64 {
    BitChunks::new(bytes, start, count).iter_padded().next().unwrap_or(0)
}

/// Texts of a dictionary; other values are written one by one.
fn fill_indexed(index: &[usize], values: &Column<'_>, rows: Range<usize>, cells: &mut Cells) {
    match &values.data {
        Data::Text(texts) => cells.fill_each(rows, |row, slot| {
            let place = index[row];
            // A dictionary without values has only null rows.
            let is_text = place < texts.len() && !values.is_null(place);
            if is_text { text::cell(texts.value(place), slot) } else { None }
        }),
        _ => cells.clear(),
    }
}

fn fill_bools(array: &BooleanArray, rows: Range<usize>, cells: &mut Cells) {
    let values = array.values();
    let mut bits = first_bits(values.values(), values.offset() + rows.start, rows.len());
    cells.block_mut(0).each(rows.len(), |_, slot| {
        let is_true = bits & 1;
        bits >>= 1;
        slot[..8].copy_from_slice(if is_true == 1 { b"true    " } else { b"false   " });
        5 - is_true as u8
    });
}

fn fill_texts(values: &Text<'_>, rows: Range<usize>, cells: &mut Cells) {
    match values {
        Text::View(array) => text::fill_views(array, rows, cells),
        _ => cells.fill_each(rows, |row, slot| text::cell(values.value(row), slot)),
    }
}
