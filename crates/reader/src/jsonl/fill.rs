//! The cells of one column: for each type one loop.

use std::ops::Range;

use arrow_array::BooleanArray;
use arrow_schema::TimeUnit;

use super::Int64Form;
use super::column::{Column, Data, Text};
use super::kernel::cell::Cells;
use super::kernel::{float32, float64, int, text, time};

impl Column<'_> {
    /// Makes the cells of `rows`, at most [`CELLS`](super::kernel::cell::CELLS) of them, if the type's
    /// texts are short.
    pub(super) fn fill(&mut self, rows: Range<usize>) {
        let cells = &mut *self.cells;
        cells.begin(&rows);
        match &mut self.data {
            Data::Bool(array) => fill_bools(array, rows.clone(), cells),
            Data::Date32(values) => {
                cells.fill(&values[rows.clone()], |days, slot| time::date(i64::from(days), slot));
            }
            Data::F32(values, _) => float32::fill(&values[rows.clone()], cells),
            Data::F64(values, _) => float64::fill(&values[rows.clone()], cells),
            Data::I8(values) => fill_signed(&values[rows.clone()], Int64Form::Number, cells),
            Data::I16(values) => fill_signed(&values[rows.clone()], Int64Form::Number, cells),
            Data::I32(values) => fill_signed(&values[rows.clone()], Int64Form::Number, cells),
            Data::I64(values, form) => fill_signed(&values[rows.clone()], *form, cells),
            Data::U8(values) => fill_unsigned(&values[rows.clone()], Int64Form::Number, cells),
            Data::U16(values) => fill_unsigned(&values[rows.clone()], Int64Form::Number, cells),
            Data::U32(values) => fill_unsigned(&values[rows.clone()], Int64Form::Number, cells),
            Data::U64(values, form) => fill_unsigned(&values[rows.clone()], *form, cells),
            Data::Text(values) => fill_texts(values, rows.clone(), cells),
            Data::Timestamp(values, unit, utc) => {
                fill_timestamps(&values[rows.clone()], *unit, *utc, cells);
            }
            Data::Indexed(index, values) => fill_indexed(index, values, rows.clone(), cells),
            Data::Struct(members) => {
                for (_, member) in members {
                    member.fill(rows.clone());
                }
                cells.clear();
            }
            _ => cells.clear(),
        }
        if let Some(nulls) = &self.nulls {
            for (index, row) in rows.enumerate() {
                cells.set_null(index, nulls.is_null(row));
            }
        }
    }
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
    let mut values = [false; super::kernel::cell::CELLS];
    for (value, row) in values.iter_mut().zip(rows.clone()) {
        *value = array.value(row);
    }
    cells.fill(&values[..rows.len()], |value, slot| {
        slot[..5].copy_from_slice(if value { b"true " } else { b"false" });
        Some(5 - usize::from(value))
    });
}

fn fill_signed<T: Copy + Into<i64>>(values: &[T], form: Int64Form, cells: &mut Cells) {
    match form {
        Int64Form::Number => {
            cells.fill(values, |value, slot| Some(int::signed(value, slot, Int64Form::Number)));
        }
        Int64Form::String => {
            cells.fill(values, |value, slot| Some(int::signed(value, slot, Int64Form::String)));
        }
    }
}

fn fill_unsigned<T: Copy + Into<u64>>(values: &[T], form: Int64Form, cells: &mut Cells) {
    cells.fill(values, |value, slot| Some(int::unsigned(value, slot, form)));
}

fn fill_texts(values: &Text<'_>, rows: Range<usize>, cells: &mut Cells) {
    let Text::View(array) = values else {
        return cells.fill_each(rows, |row, slot| text::cell(values.value(row), slot));
    };
    let views = array.views();
    cells.fill_each(rows, |row, slot| {
        // A view holds its length and, up to twelve bytes, the text itself.
        let view = views[row];
        match usize::try_from(view & u128::from(u32::MAX)) {
            Ok(length @ 0..=12) => text::short_cell(view >> 32, length, slot),
            _ => text::cell(array.value(row).as_bytes(), slot),
        }
    });
}

fn fill_timestamps(values: &[i64], unit: TimeUnit, utc: bool, cells: &mut Cells) {
    match unit {
        TimeUnit::Second => {
            cells.fill(values, |value, slot| time::timestamp::<1, 0>(value, utc, slot));
        }
        TimeUnit::Millisecond => {
            cells.fill(values, |value, slot| time::timestamp::<1_000, 3>(value, utc, slot));
        }
        TimeUnit::Microsecond => {
            cells.fill(values, |value, slot| time::timestamp::<1_000_000, 6>(value, utc, slot));
        }
        TimeUnit::Nanosecond => {
            cells.fill(values, |value, slot| time::timestamp::<1_000_000_000, 9>(value, utc, slot));
        }
    }
}
