//! Names of fields, as `extract`, `date_part` and `date_trunc` take them.

use super::kernel::constant_text;
use crate::error::refused;
use crate::value::Value;
use datafusion::common::Result;

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Unit {
    Microsecond,
    Millisecond,
    Second,
    Minute,
    Hour,
    Day,
    Week,
    Month,
    Quarter,
    Year,
    Decade,
    Century,
    Millennium,
    IsoYear,
    Dow,
    IsoDow,
    Doy,
    Epoch,
    Julian,
    Timezone,
    TimezoneHour,
    TimezoneMinute,
}

impl Unit {
    /// A unit by any of its names; Postgres compares the first ten letters (`deltatktbl` and `datetktbl` of `datetime.c`).
    pub fn named(name: &str) -> Option<Unit> {
        use Unit::*;
        let lower = name.to_ascii_lowercase();
        let key = lower.get(..10).unwrap_or(&lower);
        Some(match key {
            "microsecon" | "us" | "usec" | "usecond" | "useconds" | "usecs" => Microsecond,
            "millisecon" | "ms" | "msec" | "msecond" | "mseconds" | "msecs" => Millisecond,
            "s" | "sec" | "second" | "seconds" | "secs" => Second,
            "m" | "min" | "mins" | "minute" | "minutes" => Minute,
            "h" | "hour" | "hours" | "hr" | "hrs" => Hour,
            "d" | "day" | "days" => Day,
            "w" | "week" | "weeks" => Week,
            "mon" | "mons" | "month" | "months" => Month,
            "qtr" | "quarter" => Quarter,
            "y" | "year" | "years" | "yr" | "yrs" => Year,
            "dec" | "decade" | "decades" | "decs" => Decade,
            "c" | "cent" | "centuries" | "century" => Century,
            "mil" | "millennia" | "millennium" | "mils" => Millennium,
            "isoyear" => IsoYear,
            "dow" => Dow,
            "isodow" => IsoDow,
            "doy" => Doy,
            "epoch" => Epoch,
            "julian" | "j" | "jd" => Julian,
            "timezone" => Timezone,
            "timezone_h" => TimezoneHour,
            "timezone_m" => TimezoneMinute,
            _ => return None,
        })
    }

    /// The unit that a constant argument names. `None` for NULL.
    ///
    /// # Errors
    /// Refused if it is not constant or no unit, which is for Postgres to complain of.
    pub fn constant(v: &Value) -> Result<Option<Unit>> {
        match constant_text(v) {
            None => Err(refused("a field name that is not constant")),
            Some(None) => Ok(None),
            Some(Some(name)) => Unit::named(name).map(Some).ok_or_else(|| refused(format!("unit \"{name}\""))),
        }
    }

    /// Grows with time, so that infinity has it too (as infinity); of the others infinity has none (NULL).
    pub fn is_monotonic(self) -> bool {
        matches!(self, Unit::Year | Unit::Decade | Unit::Century | Unit::Millennium | Unit::IsoYear | Unit::Epoch | Unit::Julian)
    }
}
