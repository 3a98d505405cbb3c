//! The proleptic Gregorian calendar and the ranges of Postgres's date and timestamp types.
//!
//! Invariants:
//! - Days count from 1970-01-01, microseconds from its midnight. Years are astronomical: 0 is 1 BC.
//! - Infinite values never come in here; the caller has answered them.
//! - A timestamp after 294247-01-10 is valid in Postgres (until 294276) but has no Arrow form: such a result is refused, not an error.

use crate::error::{raise, refused};
use datafusion::common::{DataFusionError, Result};

pub const DAY_US: i64 = 86_400_000_000;
pub const HOUR_US: i64 = 3_600_000_000;
pub const MINUTE_US: i64 = 60_000_000;
pub const SECOND_US: i64 = 1_000_000;
/// Julian day number of 1970-01-01.
pub const UNIX_JULIAN: i64 = 2_440_588;
/// Days from 1970-01-01 to 2000-01-01, Postgres's own epoch.
pub const PG_EPOCH_DAYS: i64 = 10_957;

/// 4714-11-24 BC, the first day of both types.
const MIN_DATE: i64 = -UNIX_JULIAN;
/// First day after the last date: 5874898-01-01.
const END_DATE: i64 = 2_147_483_494 - UNIX_JULIAN;
const MIN_TIMESTAMP: i128 = MIN_DATE as i128 * DAY_US as i128;
/// 294277-01-01, which only fits 64 bits when counted from 2000.
const END_TIMESTAMP: i128 = 9_223_371_331_200_000_000 + PG_EPOCH_DAYS as i128 * DAY_US as i128;

pub const DATE_INFINITY: i32 = i32::MAX;
pub const DATE_MINUS_INFINITY: i32 = i32::MIN;
pub const INFINITY: i64 = i64::MAX;
pub const MINUS_INFINITY: i64 = i64::MIN;

pub fn date_is_infinite(d: i32) -> bool {
    d == DATE_INFINITY || d == DATE_MINUS_INFINITY
}

pub fn is_infinite(t: i64) -> bool {
    t == INFINITY || t == MINUS_INFINITY
}

pub fn date_out_of_range() -> DataFusionError {
    raise("22008", "date out of range")
}

pub fn timestamp_out_of_range() -> DataFusionError {
    raise("22008", "timestamp out of range")
}

pub fn interval_out_of_range() -> DataFusionError {
    raise("22008", "interval out of range")
}

/// A day number as a finite date.
pub fn check_date(days: i64) -> Result<i32> {
    if !(MIN_DATE..END_DATE).contains(&days) {
        return Err(date_out_of_range());
    }
    i32::try_from(days).map_err(|_| date_out_of_range())
}

/// Microseconds as a finite timestamp.
pub fn check_timestamp(us: i128) -> Result<i64> {
    if !(MIN_TIMESTAMP..END_TIMESTAMP).contains(&us) {
        return Err(timestamp_out_of_range());
    }
    match i64::try_from(us) {
        Ok(t) if t != INFINITY => Ok(t),
        _ => Err(refused("a timestamp after the year 294246")),
    }
}

/// Midnight of a date; infinity stays.
pub fn date_to_timestamp(d: i32) -> Result<i64> {
    match d {
        DATE_INFINITY => Ok(INFINITY),
        DATE_MINUS_INFINITY => Ok(MINUS_INFINITY),
        d => check_timestamp(i128::from(d) * i128::from(DAY_US)).map_err(|e| match i128::from(d) * i128::from(DAY_US) < END_TIMESTAMP {
            true => e,
            false => raise("22008", "date out of range for timestamp"),
        }),
    }
}

/// The date of a timestamp; infinity stays.
pub fn timestamp_to_date(t: i64) -> i32 {
    match t {
        INFINITY => DATE_INFINITY,
        MINUS_INFINITY => DATE_MINUS_INFINITY,
        // At most 106751991 days either way.
        t => t.div_euclid(DAY_US) as i32,
    }
}

pub fn is_leap(year: i64) -> bool {
    year % 4 == 0 && (year % 100 != 0 || year % 400 == 0)
}

pub fn days_in_month(year: i64, month: i64) -> i64 {
    match month {
        2 => 28 + i64::from(is_leap(year)),
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

/// Day number of a civil date; the month is in 1..=12, the day may lie outside its month.
pub fn days_from_civil(year: i64, month: i64, day: i64) -> i64 {
    let y = if month <= 2 { year - 1 } else { year };
    let era = y.div_euclid(400);
    let year_of_era = y.rem_euclid(400);
    let day_of_year = (153 * (if month > 2 { month - 3 } else { month + 9 }) + 2) / 5 + day - 1;
    era * 146_097 + year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year - 719_468
}

/// (year, month, day) of a day number.
pub fn civil_from_days(days: i64) -> (i64, i64, i64) {
    let z = days + 719_468;
    let era = z.div_euclid(146_097);
    let day_of_era = z.rem_euclid(146_097);
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let m = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * m + 2) / 5 + 1;
    let month = if m < 10 { m + 3 } else { m - 9 };
    (year_of_era + era * 400 + i64::from(month <= 2), month, day)
}

/// Monday = 1 … Sunday = 7.
pub fn iso_weekday(days: i64) -> i64 {
    (days + 3).rem_euclid(7) + 1
}

/// ISO year (astronomical) and week of a day.
pub fn iso_week(days: i64) -> (i64, i64) {
    let thursday = days - iso_weekday(days) + 4;
    let (year, _, _) = civil_from_days(thursday);
    (year, (thursday - days_from_civil(year, 1, 1)) / 7 + 1)
}

/// Monday of the first ISO week of a year.
pub fn iso_year_start(year: i64) -> i64 {
    let fourth = days_from_civil(year, 1, 4);
    fourth - (iso_weekday(fourth) - 1)
}

/// A moment of a calendar without zone, taken apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Civil {
    pub year: i64,
    pub month: i64,
    pub day: i64,
    /// Microseconds since midnight.
    pub time: i64,
}

impl Civil {
    pub fn from_timestamp(t: i64) -> Civil {
        let (year, month, day) = civil_from_days(t.div_euclid(DAY_US));
        Civil { year, month, day, time: t.rem_euclid(DAY_US) }
    }

    pub fn days(&self) -> i64 {
        days_from_civil(self.year, self.month, self.day)
    }

    /// Microseconds, not checked for range.
    pub fn micros(&self) -> i128 {
        i128::from(self.days()) * i128::from(DAY_US) + i128::from(self.time)
    }

    /// Moves by months, clamping the day to the end of the month.
    pub fn add_months(self, months: i64) -> Civil {
        let total = self.year * 12 + (self.month - 1) + months;
        let (year, month) = (total.div_euclid(12), total.rem_euclid(12) + 1);
        Civil { year, month, day: self.day.min(days_in_month(year, month)), time: self.time }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn civil_dates_round_trip_over_the_whole_range() {
        for days in (MIN_DATE..END_DATE).step_by(9973) {
            let (y, m, d) = civil_from_days(days);
            assert_eq!(days_from_civil(y, m, d), days);
        }
        assert_eq!(civil_from_days(MIN_DATE), (-4713, 11, 24));
        assert_eq!(civil_from_days(END_DATE), (5_874_898, 1, 1));
    }

    #[test]
    fn iso_weeks_at_year_boundaries() {
        assert_eq!(iso_week(days_from_civil(2021, 1, 3)), (2020, 53));
        assert_eq!(iso_week(days_from_civil(2024, 12, 30)), (2025, 1));
        assert_eq!(iso_year_start(2025), days_from_civil(2024, 12, 30));
    }
}
