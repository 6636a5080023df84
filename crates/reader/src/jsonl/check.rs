//! Finds values that the options forbid, before a batch is written.

use super::column::{Column, Data};
use super::options::{BinaryForm, JsonOptions, NonFinite};
use super::plan::{ColumnPlan, Kind};
use crate::error::Problem;

/// Whether any value of these columns can be forbidden.
pub(super) fn is_needed(columns: &[ColumnPlan], options: JsonOptions) -> bool {
    columns.iter().any(|column| kind_needs_check(&column.kind, options))
}

fn kind_needs_check(kind: &Kind, options: JsonOptions) -> bool {
    match kind {
        Kind::Binary => options.binary == BinaryForm::Utf8,
        Kind::Float => options.nonfinite == NonFinite::Error,
        Kind::VectorBase64(_) => true,
        Kind::Indexed(child) | Kind::List(child) => kind_needs_check(child, options),
        Kind::Map { key, value } => {
            kind_needs_check(key, options) || kind_needs_check(value, options)
        }
        Kind::Struct(members) => members.iter().any(|(_, kind)| kind_needs_check(kind, options)),
        _ => false,
    }
}

/// What forbids printing `row` of `column`, if anything does.
pub(super) fn problem(column: &Column<'_>, row: usize, options: JsonOptions) -> Option<Problem> {
    if column.is_null(row) {
        return None;
    }
    let nonfinite = |finite: bool| {
        (options.nonfinite == NonFinite::Error && !finite).then_some(Problem::NonFinite)
    };
    match &column.data {
        Data::F16(values, _) => nonfinite(values[row].is_finite()),
        Data::F32(values, _) => nonfinite(values[row].is_finite()),
        Data::F64(values, _) => nonfinite(values[row].is_finite()),
        Data::Bytes(bytes, BinaryForm::Utf8) => {
            std::str::from_utf8(bytes.value(row)).is_err().then_some(Problem::InvalidUtf8)
        }
        Data::VectorBase64(spans, items, _) => {
            spans.of(row).any(|item| items.is_null(item)).then_some(Problem::NullInVector)
        }
        Data::Indexed(index, values) => problem(values, index[row], options),
        Data::List(spans, items) => spans.of(row).find_map(|item| problem(items, item, options)),
        Data::Map(spans, keys, values) => spans.of(row).find_map(|entry| {
            problem(keys, entry, options).or_else(|| problem(values, entry, options))
        }),
        Data::Struct(members) => members.iter().find_map(|member| problem(member, row, options)),
        _ => None,
    }
}
