//! Dates, times, timestamps and durations.

use arrow_schema::TimeUnit;

use crate::jsonl::Counts;

const SECONDS_PER_DAY: i64 = 86_400;

/// Parts of a second in the unit, and the digits they take.
fn resolution(unit: TimeUnit) -> (i64, usize) {
    match unit {
        TimeUnit::Second => (1, 0),
        TimeUnit::Millisecond => (1_000, 3),
        TimeUnit::Microsecond => (1_000_000, 6),
        TimeUnit::Nanosecond => (1_000_000_000, 9),
    }
}

/// Appends a day, counted from 1970-01-01, in quotes.
pub(crate) fn write_date_quoted(days: i64, out: &mut Vec<u8>) {
    out.push(b'"');
    append_date(days, out);
    out.push(b'"');
}

/// Appends a time of day in quotes, or `null` for one outside 0–24 h.
pub(crate) fn write_time(value: i64, unit: TimeUnit, out: &mut Vec<u8>, counts: &mut Counts) {
    let (parts, digits) = resolution(unit);
    if !(0..SECONDS_PER_DAY * parts).contains(&value) {
        counts.times_out_of_range += 1;
        out.extend_from_slice(b"null");
        return;
    }
    out.push(b'"');
    append_clock(value / parts, value % parts, digits, out);
    out.push(b'"');
}

/// Appends an instant (`utc`) or a local date and time, in quotes.
pub(crate) fn write_timestamp(value: i64, unit: TimeUnit, utc: bool, out: &mut Vec<u8>) {
    let (parts, digits) = resolution(unit);
    let (seconds, fraction) = (value.div_euclid(parts), value.rem_euclid(parts));
    out.push(b'"');
    append_date(seconds.div_euclid(SECONDS_PER_DAY), out);
    out.push(b'T');
    append_clock(seconds.rem_euclid(SECONDS_PER_DAY), fraction, digits, out);
    if utc {
        out.push(b'Z');
    }
    out.push(b'"');
}

/// Appends a length of time in ISO 8601 seconds, in quotes.
pub(crate) fn write_duration(value: i64, unit: TimeUnit, out: &mut Vec<u8>) {
    let (parts, digits) = resolution(unit);
    let (parts, length) = (parts.unsigned_abs(), value.unsigned_abs());
    out.extend_from_slice(if value < 0 { b"\"-PT" } else { b"\"PT" });
    super::int::write_unsigned(length / parts, out);
    if digits > 0 {
        out.push(b'.');
        append_padded(length % parts, digits, out);
    }
    out.extend_from_slice(b"S\"");
}

fn append_clock(seconds: i64, fraction: i64, digits: usize, out: &mut Vec<u8>) {
    let seconds = seconds.unsigned_abs();
    let hours = two_digits(seconds / 3600);
    let minutes = two_digits(seconds / 60 % 60);
    let seconds = two_digits(seconds % 60);
    out.extend_from_slice(&[
        hours[0], hours[1], b':', minutes[0], minutes[1], b':', seconds[0], seconds[1],
    ]);
    if digits > 0 {
        out.push(b'.');
        append_padded(fraction.unsigned_abs(), digits, out);
    }
}

fn append_date(days: i64, out: &mut Vec<u8>) {
    let (year, month, day) = civil_from_days(days);
    if (0..=9999).contains(&year) {
        let year = year.unsigned_abs();
        out.extend_from_slice(&two_digits(year / 100));
        out.extend_from_slice(&two_digits(year % 100));
    } else {
        // ISO 8601's expanded form: a sign and at least six digits.
        out.push(if year < 0 { b'-' } else { b'+' });
        append_padded(year.unsigned_abs(), 6, out);
    }
    let (month, day) = (two_digits(month), two_digits(day));
    out.extend_from_slice(&[b'-', month[0], month[1], b'-', day[0], day[1]]);
}

/// The digits of a number below 100.
#[expect(clippy::cast_possible_truncation, reason = "a digit fits a byte")]
fn two_digits(value: u64) -> [u8; 2] {
    [b'0' + (value / 10) as u8, b'0' + (value % 10) as u8]
}

/// Appends `value` in at least `digits` digits.
fn append_padded(value: u64, digits: usize, out: &mut Vec<u8>) {
    let shown = value.checked_ilog10().map_or(1, |log| log as usize + 1);
    for _ in shown..digits {
        out.push(b'0');
    }
    super::int::write_unsigned(value, out);
}

/// Year, month and day of the proleptic Gregorian calendar. The year is counted from March, so
/// that the leap day is its last, and in eras of 400 years, which all have 146,097 days.
fn civil_from_days(days: i64) -> (i64, u64, u64) {
    const ERA_DAYS: i64 = 146_097;
    // Days from 0000-03-01 to 1970-01-01.
    let shifted = days + 719_468;
    let era = shifted.div_euclid(ERA_DAYS);
    let day_of_era = shifted.rem_euclid(ERA_DAYS).unsigned_abs();
    let year_of_era =
        (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = if month_from_march < 10 { month_from_march + 3 } else { month_from_march - 9 };
    let year = era * 400 + year_of_era.cast_signed() + i64::from(month <= 2);
    (year, month, day)
}
