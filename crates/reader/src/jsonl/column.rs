//! A typed view of one column of one batch, and how any row of it is written.

use std::ops::Range;

use arrow_array::types::{ArrowPrimitiveType, Float16Type};
use arrow_array::{
    Array, BinaryArray, BinaryViewArray, BooleanArray, FixedSizeBinaryArray, LargeBinaryArray,
    LargeStringArray, StringArray, StringViewArray,
};
use arrow_buffer::{NullBuffer, i256};
use arrow_schema::TimeUnit;

use super::kernel::binary::ByteOrder;
use super::kernel::cell::{CELLS, Cells, Line};
use super::kernel::{binary, decimal, float, float32, float64, int, text, time};
use super::options::{BinaryForm, Counts, DecimalForm, Int64Form, NonFinite, Nulls};

type F16 = <Float16Type as ArrowPrimitiveType>::Native;

/// One column of one batch, ready to print any row of it.
pub(super) struct Column<'a> {
    /// What stands before each value: a key, or the comma between items.
    pub(super) before: &'a [u8],
    pub(super) nulls: Option<NullBuffer>,
    pub(super) data: Data<'a>,
    /// The texts of the rows that are being written, where those are short.
    pub(super) cells: Box<Cells>,
}

pub(super) enum Data<'a> {
    Bool(&'a BooleanArray),
    Bytes(Bytes<'a>, BinaryForm),
    Date32(&'a [i32]),
    Date64(&'a [i64]),
    Decimal(Decimals<'a>, DecimalStyle),
    Duration(&'a [i64], TimeUnit),
    F16(&'a [F16], NonFinite),
    F32(&'a [f32], NonFinite),
    F64(&'a [f64], NonFinite),
    I8(&'a [i8]),
    I16(&'a [i16]),
    I32(&'a [i32]),
    I64(&'a [i64], Int64Form),
    Int96(&'a FixedSizeBinaryArray),
    /// For each row, which of the values it is.
    Indexed(Vec<usize>, Box<Column<'a>>),
    List(Spans<'a>, Box<Column<'a>>),
    Map(Spans<'a>, Box<Column<'a>>, Box<Column<'a>>),
    Null,
    Struct(Vec<Column<'a>>),
    Text(Text<'a>),
    Time32(&'a [i32], TimeUnit),
    Time64(&'a [i64], TimeUnit),
    Timestamp(&'a [i64], TimeUnit, bool),
    U8(&'a [u8]),
    U16(&'a [u16]),
    U32(&'a [u32]),
    U64(&'a [u64], Int64Form),
    Uuid(&'a FixedSizeBinaryArray),
    VectorBase64(Spans<'a>, Box<Column<'a>>, ByteOrder),
}

pub(super) enum Text<'a> {
    Large(&'a LargeStringArray),
    Small(&'a StringArray),
    View(&'a StringViewArray),
}

pub(super) enum Bytes<'a> {
    Fixed(&'a FixedSizeBinaryArray),
    Large(&'a LargeBinaryArray),
    Small(&'a BinaryArray),
    View(&'a BinaryViewArray),
}

pub(super) enum Decimals<'a> {
    D32(&'a [i32]),
    D64(&'a [i64]),
    D128(&'a [i128]),
    D256(&'a [i256]),
}

#[derive(Clone, Copy)]
pub(super) struct DecimalStyle {
    pub(super) scale: i8,
    pub(super) form: DecimalForm,
}

/// Which items of the child belong to a row.
pub(super) enum Spans<'a> {
    Fixed(usize),
    Large(&'a [i64]),
    LargeView(&'a [i64], &'a [i64]),
    Small(&'a [i32]),
    View(&'a [i32], &'a [i32]),
}

impl Spans<'_> {
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "arrow checked the offsets against the child's length"
    )]
    pub(super) fn of(&self, row: usize) -> Range<usize> {
        match self {
            Self::Fixed(size) => row * size..(row + 1) * size,
            Self::Large(offsets) => offsets[row] as usize..offsets[row + 1] as usize,
            Self::LargeView(offsets, sizes) => {
                let start = offsets[row] as usize;
                start..start + sizes[row] as usize
            }
            Self::Small(offsets) => offsets[row] as usize..offsets[row + 1] as usize,
            Self::View(offsets, sizes) => {
                let start = offsets[row] as usize;
                start..start + sizes[row] as usize
            }
        }
    }
}

impl Text<'_> {
    pub(super) fn len(&self) -> usize {
        match self {
            Self::Large(array) => array.len(),
            Self::Small(array) => array.len(),
            Self::View(array) => array.len(),
        }
    }

    pub(super) fn value(&self, row: usize) -> &[u8] {
        match self {
            Self::Large(array) => array.value(row).as_bytes(),
            Self::Small(array) => array.value(row).as_bytes(),
            Self::View(array) => array.value(row).as_bytes(),
        }
    }
}

impl Bytes<'_> {
    pub(super) fn value(&self, row: usize) -> &[u8] {
        match self {
            Self::Fixed(array) => array.value(row),
            Self::Large(array) => array.value(row),
            Self::Small(array) => array.value(row),
            Self::View(array) => array.value(row),
        }
    }
}

impl Column<'_> {
    /// Whether the row prints as `null` because the file says so.
    pub(super) fn is_null(&self, row: usize) -> bool {
        if self.nulls.as_ref().is_some_and(|nulls| nulls.is_null(row)) {
            return true;
        }
        match &self.data {
            Data::Null => true,
            Data::Indexed(index, values) => values.is_null(index[row]),
            _ => false,
        }
    }

    /// About how long the text of a row is, to tell long values from short ones.
    pub(super) fn likely_bytes(&self, row: usize) -> usize {
        if self.is_null(row) {
            return 0;
        }
        match &self.data {
            Data::Bytes(bytes, _) => bytes.value(row).len(),
            Data::Text(text) => text.value(row).len(),
            Data::List(spans, items) | Data::Map(spans, _, items) => {
                spans.of(row).map(|item| items.likely_bytes(item) + 1).sum()
            }
            Data::VectorBase64(spans, ..) => spans.of(row).len() * 8,
            Data::Struct(members) => members.iter().map(|member| member.likely_bytes(row)).sum(),
            Data::Indexed(index, values) => values.likely_bytes(index[row]),
            _ => 8,
        }
    }

    fn has_nulls(&self) -> bool {
        self.nulls.as_ref().is_some_and(|nulls| nulls.null_count() > 0)
    }

    /// Whether this is binary that holds text: all valid UTF-8, and not all empty.
    pub(super) fn is_text_like(&self, rows: usize) -> bool {
        let Data::Bytes(
            bytes @ (Bytes::Small(_) | Bytes::Large(_) | Bytes::View(_)),
            BinaryForm::Base64,
        ) = &self.data
        else {
            return false;
        };
        let mut values = (0..rows).filter(|&row| !self.is_null(row)).map(|row| bytes.value(row));
        let mut some = false;
        values.all(|value| {
            some |= !value.is_empty();
            std::str::from_utf8(value).is_ok()
        }) && some
    }

    /// Appends the value of `row` behind what stands before it: its cell, if it has one.
    #[inline(always)]
    #[expect(clippy::inline_always, reason = "a few instructions for each cell")]
    pub(super) fn put(&mut self, row: usize, line: &mut Line<'_>, counts: &mut Counts) {
        if self.cells.is_apart() {
            line.append(self.before);
            if !line.push_cell(&self.cells, row) {
                self.write(row, line, counts);
            }
        } else if !line.push_cell(&self.cells, row) {
            line.push_before(&self.cells);
            self.write(row, line, counts);
        }
    }

    /// Appends the value of `row`, of any length.
    fn write(&mut self, row: usize, line: &mut Line<'_>, counts: &mut Counts) {
        if self.nulls.as_ref().is_some_and(|nulls| nulls.is_null(row)) {
            line.buffer().extend_from_slice(b"null");
            return;
        }
        match &mut self.data {
            Data::Indexed(index, values) => return values.write(index[row], line, counts),
            Data::List(spans, items) => return items.write_list(spans.of(row), line, counts),
            Data::Map(spans, keys, values) => {
                return write_map(spans.of(row), keys, values, line, counts);
            }
            Data::Struct(members) => return write_struct(members, row, line, counts),
            _ => {}
        }
        let out = line.buffer();
        match &self.data {
            Data::Bool(array) => {
                out.extend_from_slice(if array.value(row) { b"true" } else { b"false" });
            }
            Data::Bytes(bytes, form) => binary::write(bytes.value(row), *form, out),
            Data::Date32(values) => time::write_date_quoted(i64::from(values[row]), out),
            Data::Date64(values) => {
                time::write_date_quoted(values[row].div_euclid(86_400_000), out);
            }
            Data::Decimal(values, style) => write_decimal(values, *style, row, out),
            Data::Duration(values, unit) => time::write_duration(values[row], *unit, out),
            Data::F16(values, form) => float::write_f32(values[row].to_f32(), *form, out, counts),
            Data::F32(values, form) => float::write_f32(values[row], *form, out, counts),
            Data::F64(values, form) => float::write_f64(values[row], *form, out, counts),
            Data::I8(values) => int::write_signed(values[row], Int64Form::Number, out),
            Data::I16(values) => int::write_signed(values[row], Int64Form::Number, out),
            Data::I32(values) => int::write_signed(values[row], Int64Form::Number, out),
            Data::I64(values, form) => int::write_signed(values[row], *form, out),
            Data::Int96(array) => time::write_int96(array.value(row), out),
            Data::Text(values) => text::write_string(values.value(row), out),
            Data::Time32(values, unit) => {
                time::write_time(i64::from(values[row]), *unit, out, counts);
            }
            Data::Time64(values, unit) => time::write_time(values[row], *unit, out, counts),
            Data::Timestamp(values, unit, utc) => {
                time::write_timestamp(values[row], *unit, *utc, out);
            }
            Data::U8(values) => int::write_unsigned(values[row], Int64Form::Number, out),
            Data::U16(values) => int::write_unsigned(values[row], Int64Form::Number, out),
            Data::U32(values) => int::write_unsigned(values[row], Int64Form::Number, out),
            Data::U64(values, form) => int::write_unsigned(values[row], *form, out),
            Data::Uuid(array) => binary::write_uuid(array.value(row), out),
            Data::VectorBase64(spans, items, order) => {
                write_vector(spans.of(row), &items.data, *order, out);
            }
            Data::Indexed(..) | Data::List(..) | Data::Map(..) | Data::Null | Data::Struct(_) => {
                out.extend_from_slice(b"null");
            }
        }
    }
}

impl Column<'_> {
    fn write_list(&mut self, span: Range<usize>, line: &mut Line<'_>, counts: &mut Counts) {
        match &self.data {
            Data::F32(values, form) if !self.has_nulls() => {
                return float32::write_f32_list(&values[span], *form, line.buffer(), counts);
            }
            Data::F64(values, form) if !self.has_nulls() => {
                return float64::write_f64_list(&values[span], *form, line.buffer(), counts);
            }
            _ => {}
        }
        let start = line.len();
        for_each_piece(span, |piece| {
            self.fill(piece.clone(), Nulls::Keep);
            if self.cells.are_whole() {
                for index in 0..piece.len() {
                    line.push_row([&*self.cells].into_iter(), index);
                }
                return;
            }
            for item in piece {
                self.put(item, line, counts);
            }
        });
        line.open(start, b'[');
        line.push_byte(b']');
    }
}

/// Cells are made for this many at a time.
fn for_each_piece(span: Range<usize>, mut each: impl FnMut(Range<usize>)) {
    let mut start = span.start;
    while start < span.end {
        let end = span.end.min(start + CELLS);
        each(start..end);
        start = end;
    }
}

fn write_struct(members: &mut [Column<'_>], row: usize, line: &mut Line<'_>, counts: &mut Counts) {
    let start = line.len();
    for member in members {
        member.put(row, line, counts);
    }
    line.open(start, b'{');
    line.push_byte(b'}');
}

fn write_map(
    span: Range<usize>,
    keys: &mut Column<'_>,
    values: &mut Column<'_>,
    line: &mut Line<'_>,
    counts: &mut Counts,
) {
    let start = line.len();
    for_each_piece(span, |piece| {
        keys.fill(piece.clone(), Nulls::Keep);
        values.fill(piece.clone(), Nulls::Keep);
        let is_quoted = matches!(keys.data, Data::Text(_)) && !keys.cells.has_nulls();
        if is_quoted && keys.cells.are_whole() && values.cells.are_whole() {
            for index in 0..piece.len() {
                line.push_row([&*keys.cells, &*values.cells].into_iter(), index);
            }
            return;
        }
        for entry in piece {
            write_key(keys, entry, line, counts);
            values.put(entry, line, counts);
        }
    });
    line.open(start, b'{');
    line.push_byte(b'}');
}

/// A key is its value's text in quotes; text, dates and the like bring their own.
fn write_key(keys: &mut Column<'_>, entry: usize, line: &mut Line<'_>, counts: &mut Counts) {
    if keys.is_null(entry) {
        counts.null_map_keys += 1;
    }
    line.append(keys.before);
    if let Some((text, length)) = keys.cells.text(entry) {
        let is_quoted = text[0] == b'"';
        if !is_quoted {
            line.push_byte(b'"');
        }
        line.append(&text[..length]);
        if !is_quoted {
            line.push_byte(b'"');
        }
        return;
    }
    let start = line.buffer().len();
    keys.write(entry, line, counts);
    let out = line.buffer();
    if out[start] != b'"' {
        out.insert(start, b'"');
        out.push(b'"');
    }
}

fn write_vector(span: Range<usize>, items: &Data<'_>, order: ByteOrder, out: &mut Vec<u8>) {
    macro_rules! write {
        ($values:expr) => {{
            let values = $values[span].iter();
            match order {
                ByteOrder::Little => binary::write_vector(values.map(|v| v.to_le_bytes()), out),
                ByteOrder::Big => binary::write_vector(values.map(|v| v.to_be_bytes()), out),
            }
        }};
    }
    match items {
        Data::F16(values, _) => write!(values),
        Data::F32(values, ..) => write!(values),
        Data::F64(values, _) => write!(values),
        _ => out.extend_from_slice(b"null"),
    }
}

fn write_decimal(values: &Decimals<'_>, style: DecimalStyle, row: usize, out: &mut Vec<u8>) {
    if style.form == DecimalForm::String {
        out.push(b'"');
    }
    match values {
        Decimals::D32(values) => decimal::write(i128::from(values[row]), style.scale, out),
        Decimals::D64(values) => decimal::write(i128::from(values[row]), style.scale, out),
        Decimals::D128(values) => decimal::write(values[row], style.scale, out),
        Decimals::D256(values) => decimal::write_256(values[row], style.scale, out),
    }
    if style.form == DecimalForm::String {
        out.push(b'"');
    }
}
