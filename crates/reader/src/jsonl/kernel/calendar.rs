//! Days of the proleptic Gregorian calendar, counted from its March of the year 0.

/// Days from 0000-03-01 to 1970-01-01.
pub(super) const DAYS_TO_1970: i64 = 719_468;

/// Days of 400 years.
pub(super) const ERA_DAYS: u32 = 146_097;

/// 9999-12-31, counted from 0000-03-01.
pub(super) const LAST_DAY: u32 = 3_652_364;

pub(super) const SECONDS_PER_DAY: i64 = 86_400;

/// Year, month and day. The year is counted from March, so that the leap day is its last, and in eras
/// of 400 years, which all have the same days.
#[inline(always)]
#[expect(clippy::inline_always, reason = "the body of a column's loop")]
pub(super) fn march_calendar(era: u32, day_of_era: u32) -> (u32, u32, u32) {
    let year_of_era =
        (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = if month_from_march < 10 { month_from_march + 3 } else { month_from_march - 9 };
    (era * 400 + year_of_era + u32::from(month <= 2), month, day)
}
