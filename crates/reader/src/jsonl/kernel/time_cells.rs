//! Cells of dates and timestamps on x86-64 CPUs with AVX2 or AVX-512: 32 at a time.
//!
//! Bench: `cargo bench --bench engine`, timestamp; `benches/peers/`, data set scalar. Compared with the
//! general way of [`super::time`] in the tests, as is the way for other CPUs there.
//!
//! How it works. Days, seconds of the day and parts of a second are told apart; then the calendar, the
//! digits, and the text as words of eight bytes follow, each in a loop of its own, so that it becomes one
//! of vectors. Each text has the same length, so that it is written in three or four stores.
//!
//! Invariants: a text takes at most [`SLOT`](super::cell::SLOT) bytes. Years outside 0–9999 are left long.

use super::block::{BLOCK, four_digits, whole_block};
use super::calendar::{DAYS_TO_1970, ERA_DAYS, LAST_DAY, SECONDS_PER_DAY, march_calendar};
use super::cell::{Block, Cells};

const ZEROS: u64 = 0x3030_3030;

/// Makes the cells of days counted from 1970-01-01.
#[inline(always)]
#[expect(clippy::inline_always, reason = "compiled once for each set of CPU features")]
pub(super) fn fill_dates(values: &[i32], cells: &mut Cells) {
    for (number, values) in values.chunks(BLOCK).enumerate() {
        write_dates(values, cells.block_mut(number * BLOCK));
    }
}

/// Makes the cells of instants (`utc`) or local dates and times, counted in 1/`PARTS` seconds and shown
/// with `DIGITS` digits behind the point.
#[inline(always)]
#[expect(clippy::inline_always, reason = "compiled once for each set of CPU features")]
pub(super) fn fill_timestamps<const PARTS: i64, const DIGITS: usize>(
    values: &[i64],
    utc: bool,
    cells: &mut Cells,
) {
    for (number, values) in values.chunks(BLOCK).enumerate() {
        write_timestamps::<PARTS, DIGITS>(values, utc, cells.block_mut(number * BLOCK));
    }
}

/// The digits of the years of a block, and of the months and days, one in each byte.
#[inline(always)]
#[expect(clippy::inline_always, reason = "a part of the kernel")]
fn calendar(days: &[u32; BLOCK]) -> [[u32; BLOCK]; 2] {
    let (mut years, mut months_days) = ([0; BLOCK], [0; BLOCK]);
    for index in 0..BLOCK {
        let (era, day_of_era) = (days[index] / ERA_DAYS, days[index] % ERA_DAYS);
        let (year, month, day) = march_calendar(era, day_of_era);
        years[index] = four_digits(year);
        months_days[index] = four_digits(month * 100 + day);
    }
    [years, months_days]
}

/// The quote, the year, and the month.
#[inline(always)]
fn first_word(year: u32, month_day: u32) -> u64 {
    const FIXED: u64 = u64::from_le_bytes(*b"\"0000-00");
    FIXED | u64::from(year) << 8 | u64::from(month_day) << 48
}

#[inline(always)]
#[expect(clippy::cast_possible_truncation, reason = "a small number")]
fn write_dates(values: &[i32], cells: Block<'_>) {
    const FIXED: u64 = u64::from_le_bytes(*b"-00\"\0\0\0\0");
    let mut room = [0; BLOCK];
    let block = whole_block(values, &mut room);
    let (mut days, mut lengths) = ([0; BLOCK], [0; BLOCK]);
    for index in 0..BLOCK {
        let day = block[index].wrapping_add(DAYS_TO_1970 as i32).cast_unsigned();
        let fits = day <= LAST_DAY;
        days[index] = if fits { day } else { 0 };
        lengths[index] = if fits { 12 } else { Cells::LONG };
    }
    let [years, months_days] = calendar(&days);
    let mut words = [[0; BLOCK]; 2];
    for index in 0..BLOCK {
        words[0][index] = first_word(years[index], months_days[index]);
        words[1][index] = FIXED | u64::from(months_days[index] >> 16) << 8;
    }
    cells.each(values.len(), |index, slot| {
        slot[..8].copy_from_slice(&words[0][index].to_le_bytes());
        slot[8..16].copy_from_slice(&words[1][index].to_le_bytes());
        lengths[index]
    });
}

/// A block of timestamps, taken apart.
struct Parts {
    days: [u32; BLOCK],
    seconds: [u32; BLOCK],
    fractions: [u32; BLOCK],
    /// The lengths of the texts.
    lengths: [u8; BLOCK],
}

#[inline(always)]
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    clippy::cast_precision_loss,
    reason = "fractions are below 10^9, and days and seconds are small where they count"
)]
fn take_apart<const PARTS: i64>(values: &[i64; BLOCK], length: u8) -> Parts {
    const INVERSE: f64 = 1.0 / SECONDS_PER_DAY as f64;
    /// 2^52: with its bits around it a smaller number is an f64 that is greater by so much.
    const BIAS: f64 = 4_503_599_627_370_496.0;
    /// Adding it rounds to a whole number, which then stands in the low bits.
    const ROUND: f64 = 6_755_399_441_055_744.0;
    const LOWEST: u64 = 1 << 63;
    const SECONDS_TO_1970: u64 = DAYS_TO_1970 as u64 * SECONDS_PER_DAY as u64;
    const SECONDS: u64 = (LAST_DAY as u64 + 1) * SECONDS_PER_DAY as u64;
    let parts = PARTS as u64;
    let (mut seconds, mut fractions) = ([0; BLOCK], [0; BLOCK]);
    // Counted from the lowest value, and one by one, as there are no vectors of such quotients.
    for index in 0..BLOCK {
        let number = values[index] as u64 ^ LOWEST;
        seconds[index] = number / parts;
        fractions[index] = (number - seconds[index] * parts) as u32;
    }
    let mut apart =
        Parts { days: [0; BLOCK], seconds: [0; BLOCK], fractions: [0; BLOCK], lengths: [0; BLOCK] };
    for index in 0..BLOCK {
        // Counted from 0000-03-01.
        let fraction = fractions[index] + (parts - LOWEST % parts) as u32;
        let is_next = fraction >= PARTS as u32;
        apart.fractions[index] = if is_next { fraction - PARTS as u32 } else { fraction };
        let second = seconds[index]
            .wrapping_sub(LOWEST / parts + 1)
            .wrapping_add(SECONDS_TO_1970 + u64::from(is_next));
        let fits = second < SECONDS;
        let second = if fits { second } else { 0 };
        // The quotient is at least half a second away from the middle of two whole numbers.
        let float = f64::from_bits(second | BIAS.to_bits()) - BIAS;
        let quotient = float * INVERSE + (0.5 * INVERSE - 0.5);
        let day = (quotient + ROUND).to_bits() as u32;
        apart.days[index] = day;
        apart.seconds[index] =
            (second as u32).wrapping_sub(day.wrapping_mul(SECONDS_PER_DAY as u32));
        apart.lengths[index] = if fits { length } else { Cells::LONG };
    }
    apart
}

#[inline(always)]
#[expect(clippy::inline_always, reason = "compiled once for each set of CPU features")]
fn write_timestamps<const PARTS: i64, const DIGITS: usize>(
    values: &[i64],
    utc: bool,
    cells: Block<'_>,
) {
    let end: &[u8] = if utc { b"Z\"" } else { b"\"" };
    let end_word = if utc { u64::from(u16::from_le_bytes(*b"Z\"")) } else { u64::from(b'"') };
    let digits_length = if DIGITS > 0 { DIGITS + 1 } else { 0 };
    let length = super::cell::as_length(20 + digits_length + end.len());
    let apart = take_apart::<PARTS>(whole_block(values, &mut [0; BLOCK]), length);
    let [years, months_days] = calendar(&apart.days);
    let (mut hours_minutes, mut seconds) = ([0; BLOCK], [0; BLOCK]);
    let mut fractions = [[0; BLOCK]; 3];
    for index in 0..BLOCK {
        let second = apart.seconds[index];
        let (hour, rest) = (second / 3600, second % 3600);
        let (minute, second) = (rest / 60, rest % 60);
        hours_minutes[index] = four_digits(hour * 100 + minute);
        seconds[index] = four_digits(second) >> 16;
        let mut fraction = apart.fractions[index];
        for three in (0..DIGITS / 3).rev() {
            fractions[three][index] = four_digits(fraction % 1000) >> 8;
            fraction /= 1000;
        }
    }
    let mut words = [[0; BLOCK]; 4];
    for index in 0..BLOCK {
        const SECOND: u64 = u64::from_le_bytes(*b"-00T00:0");
        const THIRD: u64 = u64::from_le_bytes(*b"0:00\0\0\0\0");
        const POINT: u64 = u64::from_le_bytes(*b"\0\0\0\0.000");
        let (month_day, hour_minute) = (months_days[index], hours_minutes[index]);
        words[0][index] = first_word(years[index], month_day);
        words[1][index] = SECOND
            | u64::from(month_day >> 16) << 8
            | u64::from(hour_minute & 0xffff) << 32
            | u64::from(hour_minute >> 16) << 56;
        let third = THIRD | u64::from(hour_minute >> 24) | u64::from(seconds[index]) << 16;
        words[2][index] = match DIGITS {
            0 => third | end_word << 32,
            _ => third | POINT | u64::from(fractions[0][index]) << 40,
        };
        words[3][index] = match DIGITS {
            0 => 0,
            3 => end_word,
            6 => (ZEROS >> 8) | u64::from(fractions[1][index]) | end_word << 24,
            _ => {
                let six = u64::from(fractions[1][index]) | u64::from(fractions[2][index]) << 24;
                six | (ZEROS | ZEROS << 16) | end_word << 48
            }
        };
    }
    cells.each(values.len(), |index, slot| {
        slot[..8].copy_from_slice(&words[0][index].to_le_bytes());
        slot[8..16].copy_from_slice(&words[1][index].to_le_bytes());
        slot[16..24].copy_from_slice(&words[2][index].to_le_bytes());
        if DIGITS > 0 {
            slot[24..].copy_from_slice(&words[3][index].to_le_bytes());
        }
        apart.lengths[index]
    });
}

#[cfg(test)]
mod tests {
    use arrow_schema::TimeUnit;

    use super::super::block::tested::on_each_cpu;
    use super::super::cell::CELLS;
    use super::super::time::{fill_dates, fill_timestamps, write_date_quoted, write_timestamp};
    use super::{Cells, LAST_DAY, SECONDS_PER_DAY};

    const UNITS: [TimeUnit; 4] =
        [TimeUnit::Second, TimeUnit::Millisecond, TimeUnit::Microsecond, TimeUnit::Nanosecond];

    /// Each text is the general way's, or none where the year does not fit.
    fn check(count: usize, cells: &Cells, general: impl Fn(usize, &mut Vec<u8>)) {
        for row in 0..count {
            let mut expected = Vec::new();
            general(row, &mut expected);
            match cells.text(row) {
                Some((slot, length)) => assert_eq!(slot[..length], expected),
                // The general way prints two more months.
                None => assert!(
                    !expected[1].is_ascii_digit() || expected.starts_with(b"\"0000-0"),
                    "{}",
                    String::from_utf8_lossy(&expected)
                ),
            }
        }
    }

    fn check_timestamps(values: &[i64]) {
        on_each_cpu(|| check_timestamps_on_this(values));
    }

    fn check_timestamps_on_this(values: &[i64]) {
        for values in values.chunks(CELLS) {
            for (unit, utc) in UNITS.into_iter().zip([true, false, true, false]) {
                for utc in [utc, !utc] {
                    let mut cells = Cells::new(b"");
                    cells.begin(&(0..values.len()));
                    fill_timestamps(values, unit, utc, &mut cells);
                    cells.finish(0, false);
                    check(values.len(), &cells, |row, out| {
                        write_timestamp(values[row], unit, utc, out);
                    });
                }
            }
        }
    }

    fn check_dates(values: &[i32]) {
        on_each_cpu(|| check_dates_on_this(values));
    }

    fn check_dates_on_this(values: &[i32]) {
        for values in values.chunks(CELLS) {
            let mut cells = Cells::new(b"");
            cells.begin(&(0..values.len()));
            fill_dates(values, &mut cells);
            cells.finish(0, false);
            check(values.len(), &cells, |row, out| {
                write_date_quoted(i64::from(values[row]), out);
            });
        }
    }

    #[test]
    fn every_day_and_what_lies_around_the_borders_is_spelled_like_the_general_way() {
        let first = -719_468;
        let last = first + LAST_DAY.cast_signed();
        check_dates(&(first - 1_000..=last + 1_000).collect::<Vec<_>>());
        check_dates(&[i32::MIN, i32::MAX, i32::MAX - 719_468, i32::MAX - 719_467].repeat(4));
        let days = (first - 2..first + 200).chain(last - 200..last + 3).chain(-800..800);
        for per_second in [1, 1_000, 1_000_000, 1_000_000_000] {
            let per_day = SECONDS_PER_DAY * per_second;
            let around = days.clone().flat_map(|day| {
                [-1, 0, 1, per_second - 1, per_day / 2]
                    .map(|part| i64::from(day).saturating_mul(per_day).saturating_add(part))
            });
            check_timestamps(&around.collect::<Vec<_>>());
        }
        let ends = [i64::MIN, i64::MIN + 1, i64::MAX - 1, i64::MAX, 0, -1, 1];
        check_timestamps(&ends.repeat(3));
    }

    #[test]
    fn timestamps_of_any_size_are_spelled_like_the_general_way() {
        let mut value = 1_i64;
        let values = (0..200_000_i64).map(|round| {
            value = value.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(round);
            value >> (round % 60)
        });
        check_timestamps(&values.collect::<Vec<_>>());
        for count in 0..=CELLS {
            check_timestamps(&vec![1_735_689_600_123; count]);
        }
    }
}
