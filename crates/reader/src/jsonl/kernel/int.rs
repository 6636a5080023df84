//! Integers: eight digits in one word, zeros at the front shifted out.
//!
//! For columns on most x86-64 CPUs there is `int_cells` beside it.
//!
//! Bench: `cargo bench --bench engine`, i64 and i64 list. Compared with `itoa` in the tests.

use crate::jsonl::options::Int64Form;

use super::block::for_each_cpu;
use super::cell::{Cells, Slot, append};
use super::digits::digits;
#[cfg(target_arch = "x86_64")]
use super::int_cells;

/// Appends a signed integer.
pub(crate) fn write_signed(value: impl Into<i64>, form: Int64Form, out: &mut Vec<u8>) {
    let mut slot = [0; 32];
    let length = signed(value, &mut slot, form);
    append(&slot, length, out);
}

/// Appends an unsigned integer.
pub(crate) fn write_unsigned(value: impl Into<u64>, form: Int64Form, out: &mut Vec<u8>) {
    let mut slot = [0; 32];
    let length = unsigned(value, &mut slot, form);
    append(&slot, length, out);
}

/// Fewer values than these are faster one by one.
#[cfg(target_arch = "x86_64")]
const FEW: usize = 6;

for_each_cpu! {
    /// Makes the cells of signed integers.
    pub(crate) fn fill_signed[T: Copy + Into<i64>][T](
        values: &[T],
        form: Int64Form,
        cells: &mut Cells,
    ) {
        when: values.len() >= FEW,
        vectors: int_cells::fill_signed(values, form, cells),
        any: fill_each_signed(values, form, cells),
    }
}

fn fill_each_signed<T: Copy + Into<i64>>(values: &[T], form: Int64Form, cells: &mut Cells) {
    match form {
        Int64Form::Number => {
            cells.fill(values, |value, slot| Some(signed(value, slot, Int64Form::Number)));
        }
        Int64Form::String => {
            cells.fill(values, |value, slot| Some(signed(value, slot, Int64Form::String)));
        }
    }
}

for_each_cpu! {
    /// Makes the cells of unsigned integers.
    pub(crate) fn fill_unsigned[T: Copy + Into<u64>][T](
        values: &[T],
        form: Int64Form,
        cells: &mut Cells,
    ) {
        when: values.len() >= FEW,
        vectors: int_cells::fill_unsigned(values, form, cells),
        any: cells.fill(values, |value, slot| Some(unsigned(value, slot, form))),
    }
}

/// Writes a signed integer and returns its length.
#[inline(always)]
#[expect(clippy::inline_always, reason = "the body of a column's loop")]
fn signed(value: impl Into<i64>, slot: &mut Slot, form: Int64Form) -> usize {
    let value = value.into();
    let quote = usize::from(form == Int64Form::String);
    slot[0] = b'"';
    slot[quote] = b'-';
    let end = digits(value.unsigned_abs(), slot, quote + usize::from(value < 0));
    slot[end] = b'"';
    end + quote
}

/// Writes an unsigned integer and returns its length.
#[inline(always)]
#[expect(clippy::inline_always, reason = "the body of a column's loop")]
fn unsigned(value: impl Into<u64>, slot: &mut Slot, form: Int64Form) -> usize {
    let quote = usize::from(form == Int64Form::String);
    slot[0] = b'"';
    let end = digits(value.into(), slot, quote);
    slot[end] = b'"';
    end + quote
}

#[cfg(test)]
mod tests {
    use super::{Int64Form, write_signed, write_unsigned};

    #[test]
    fn integers_are_spelled_like_itoa() {
        let mut value = 1_u64;
        let mut out = Vec::new();
        for round in 0..200_000_u64 {
            value = value.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(round);
            for value in
                [value >> (round % 64), 10_u64.pow((round % 20) as u32).wrapping_sub(round % 3)]
            {
                out.clear();
                write_unsigned(value, Int64Form::Number, &mut out);
                assert_eq!(out, itoa::Buffer::new().format(value).as_bytes());
                out.clear();
                write_signed(value.cast_signed(), Int64Form::Number, &mut out);
                assert_eq!(out, itoa::Buffer::new().format(value.cast_signed()).as_bytes());
            }
        }
        for value in [0, 1, 9, 10, 99_999_999, 100_000_000, u64::MAX, i64::MAX.cast_unsigned() + 1]
        {
            out.clear();
            write_unsigned(value, Int64Form::Number, &mut out);
            assert_eq!(out, value.to_string().as_bytes());
        }
        out.clear();
        write_signed(i64::MIN, Int64Form::Number, &mut out);
        assert_eq!(out, i64::MIN.to_string().as_bytes());
    }
}
