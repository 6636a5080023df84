//! Dates, times, timestamps and durations.
//!
//! Bench: `cargo bench --bench engine`, timestamp. Cells hold the years 0 to 9999; the general way, which
//! they are compared with in the tests, all others.

use arrow_schema::TimeUnit;

use crate::jsonl::options::{Counts, Int64Form};

use super::block::for_each_cpu;
use super::calendar::{DAYS_TO_1970, ERA_DAYS, LAST_DAY, SECONDS_PER_DAY, march_calendar};
use super::cell::{Cells, Slot, append};
use super::digits::eight_digits;
use super::int::write_unsigned;
#[cfg(target_arch = "x86_64")]
use super::time_cells;

/// Parts of a second in the unit, and the digits they take.
fn resolution(unit: TimeUnit) -> (i64, usize) {
    match unit {
        TimeUnit::Second => (1, 0),
        TimeUnit::Millisecond => (1_000, 3),
        TimeUnit::Microsecond => (1_000_000, 6),
        TimeUnit::Nanosecond => (1_000_000_000, 9),
    }
}

/// Fewer values than these are faster one by one.
#[cfg(target_arch = "x86_64")]
const FEW: usize = 6;

for_each_cpu! {
    /// Makes the cells of days counted from 1970-01-01.
    pub(crate) fn fill_dates(values: &[i32], cells: &mut Cells) {
        when: values.len() >= FEW,
        vectors: time_cells::fill_dates(values, cells),
        any: cells.fill(values, |days, slot| date(i64::from(days), slot)),
    }
}

/// Makes the cells of instants (`utc`) or local dates and times.
pub(crate) fn fill_timestamps(values: &[i64], unit: TimeUnit, utc: bool, cells: &mut Cells) {
    match unit {
        TimeUnit::Second => fill_parts::<1, 0>(values, utc, cells),
        TimeUnit::Millisecond => fill_parts::<1_000, 3>(values, utc, cells),
        TimeUnit::Microsecond => fill_parts::<1_000_000, 6>(values, utc, cells),
        TimeUnit::Nanosecond => fill_parts::<1_000_000_000, 9>(values, utc, cells),
    }
}

for_each_cpu! {
    fn fill_parts[const PARTS: i64, const DIGITS: usize][PARTS, DIGITS](
        values: &[i64],
        utc: bool,
        cells: &mut Cells,
    ) {
        when: values.len() >= FEW,
        vectors: time_cells::fill_timestamps::<PARTS, DIGITS>(values, utc, cells),
        any: cells.fill(values, |value, slot| timestamp::<PARTS, DIGITS>(value, utc, slot)),
    }
}

/// Appends a day, counted from 1970-01-01, in quotes.
pub(crate) fn write_date_quoted(days: i64, out: &mut Vec<u8>) {
    let mut slot = [0; 32];
    if let Some(length) = date(days, &mut slot) {
        return append(&slot, length, out);
    }
    out.push(b'"');
    append_date(days, out);
    out.push(b'"');
}

/// Writes a day in quotes and returns its length, or `None` for years outside 0–9999.
#[inline(always)]
#[expect(clippy::inline_always, reason = "the body of a column's loop")]
fn date(days: i64, slot: &mut Slot) -> Option<usize> {
    let digits = eight_digits(u64::from(common_date(days)?));
    slot[..12].copy_from_slice(b"\"yyyy-mm-dd\"");
    slot[1..5].copy_from_slice(&digits[..4]);
    slot[6..8].copy_from_slice(&digits[4..6]);
    slot[9..11].copy_from_slice(&digits[6..]);
    Some(12)
}

/// Writes an instant (`utc`) or a local date and time in quotes, counted in 1/`PARTS` seconds and shown
/// with `DIGITS` digits behind the point, and returns its length, or `None` for years outside 0–9999.
#[inline(always)]
#[expect(clippy::inline_always, reason = "the body of a column's loop")]
fn timestamp<const PARTS: i64, const DIGITS: usize>(
    value: i64,
    utc: bool,
    slot: &mut Slot,
) -> Option<usize> {
    let days = value.div_euclid(PARTS * SECONDS_PER_DAY);
    let parts = value.rem_euclid(PARTS * SECONDS_PER_DAY).unsigned_abs();
    let (seconds, fraction) = (parts / PARTS.unsigned_abs(), parts % PARTS.unsigned_abs());
    date(days, slot)?;
    let clock = seconds / 3600 * 10_000 + seconds / 60 % 60 * 100 + seconds % 60;
    let digits = eight_digits(clock);
    slot[11..20].copy_from_slice(b"Thh:mm:ss");
    slot[12..14].copy_from_slice(&digits[2..4]);
    slot[15..17].copy_from_slice(&digits[4..6]);
    slot[18..20].copy_from_slice(&digits[6..]);
    let mut end = 20;
    if DIGITS > 0 {
        slot[20] = b'.';
        // Nine digits are eight and one.
        let shown = if DIGITS > 8 { 8 } else { DIGITS };
        let digits = eight_digits(if DIGITS > 8 { fraction / 10 } else { fraction });
        slot[21..21 + shown].copy_from_slice(&digits[8 - shown..]);
        if DIGITS > 8 {
            slot[29] = b'0' + (fraction % 10) as u8;
        }
        end = 21 + DIGITS;
    }
    slot[end] = if utc { b'Z' } else { b'"' };
    end += usize::from(utc);
    slot[end] = b'"';
    Some(end + 1)
}

/// A day of the years 0 to 9999 as the number yyyymmdd.
#[inline(always)]
#[expect(clippy::inline_always, reason = "the body of a column's loop")]
fn common_date(days: i64) -> Option<u32> {
    // Days from 0000-03-01, and up to 9999-12-31.
    let shifted = u32::try_from(days + DAYS_TO_1970).ok().filter(|&shifted| shifted <= LAST_DAY)?;
    let (year, month, day) = march_calendar(shifted / ERA_DAYS, shifted % ERA_DAYS);
    Some(year * 10_000 + month * 100 + day)
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
    out.extend_from_slice(if utc { b"Z\"" } else { b"\"" });
}

/// Appends an `INT96`: nanoseconds of a day and the Julian day, little-endian.
pub(crate) fn write_int96(bytes: &[u8], out: &mut Vec<u8>) {
    const NANOS_PER_DAY: i64 = SECONDS_PER_DAY * 1_000_000_000;
    /// 1970-01-01.
    const JULIAN_1970: i64 = 2_440_588;
    let (Some(nanos), Some(day)) = (bytes.first_chunk(), bytes.last_chunk()) else {
        return out.extend_from_slice(b"null");
    };
    let (nanos, day) = (i64::from_le_bytes(*nanos), i64::from(i32::from_le_bytes(*day)));
    let day = day - JULIAN_1970 + nanos.div_euclid(NANOS_PER_DAY);
    let nanos = nanos.rem_euclid(NANOS_PER_DAY);
    out.push(b'"');
    append_date(day, out);
    out.push(b'T');
    append_clock(nanos / 1_000_000_000, nanos % 1_000_000_000, 9, out);
    out.push(b'"');
}

/// Appends a length of time in ISO 8601 seconds, in quotes.
pub(crate) fn write_duration(value: i64, unit: TimeUnit, out: &mut Vec<u8>) {
    let (parts, digits) = resolution(unit);
    let (parts, length) = (parts.unsigned_abs(), value.unsigned_abs());
    out.extend_from_slice(if value < 0 { b"\"-PT" } else { b"\"PT" });
    write_unsigned(length / parts, Int64Form::Number, out);
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
    write_unsigned(value, Int64Form::Number, out);
}

/// Year, month and day of the proleptic Gregorian calendar, in eras of 400 years.
#[expect(clippy::cast_possible_truncation, reason = "a day within an era")]
fn civil_from_days(days: i64) -> (i64, u64, u64) {
    let shifted = days + DAYS_TO_1970;
    let day_of_era = shifted.rem_euclid(i64::from(ERA_DAYS)) as u32;
    let (year, month, day) = march_calendar(0, day_of_era);
    let era = shifted.div_euclid(i64::from(ERA_DAYS));
    (era * 400 + i64::from(year), u64::from(month), u64::from(day))
}

#[cfg(test)]
mod tests {
    use arrow_schema::TimeUnit;

    use super::{date, timestamp, write_timestamp};

    #[test]
    fn cells_say_the_same_as_the_general_way_or_nothing() {
        let mut value = 1_i64;
        for round in 0..200_000_i64 {
            value = value.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(round);
            let some = value >> (round % 60);
            let mut slot = [0; 32];
            let cells = [
                (TimeUnit::Second, timestamp::<1, 0>(some, true, &mut slot), slot),
                (TimeUnit::Millisecond, timestamp::<1_000, 3>(some, false, &mut slot), slot),
                (TimeUnit::Microsecond, timestamp::<1_000_000, 6>(some, true, &mut slot), slot),
                (TimeUnit::Nanosecond, timestamp::<1_000_000_000, 9>(some, true, &mut slot), slot),
            ];
            for (unit, length, slot) in cells {
                let mut general = Vec::new();
                write_timestamp(some, unit, unit != TimeUnit::Millisecond, &mut general);
                match length {
                    Some(length) => assert_eq!(slot[..length], general, "{some} {unit:?}"),
                    None => assert!(!general[1].is_ascii_digit(), "{some} {unit:?}"),
                }
            }
        }
    }

    #[test]
    fn days_at_the_borders_of_what_fits() {
        let text = |days: i64| {
            let mut slot = [0; 32];
            date(days, &mut slot).map(|length| String::from_utf8(slot[..length].to_vec()).unwrap())
        };
        assert_eq!(text(0).as_deref(), Some("\"1970-01-01\""));
        assert_eq!(text(-719_468).as_deref(), Some("\"0000-03-01\""));
        assert_eq!(text(2_932_896).as_deref(), Some("\"9999-12-31\""));
        assert_eq!(text(2_932_897), None);
        assert_eq!(text(-719_469), None, "two months that the general way prints");
        assert_eq!(text(i64::MAX / 2), None);
    }
}
