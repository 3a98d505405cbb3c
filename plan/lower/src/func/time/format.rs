//! Text output of dates, times and intervals, DateStyle ISO and IntervalStyle postgres.

use super::calendar::*;
use super::kernel::Span;
use super::zone::Zone;
use datafusion::common::Result;
use std::fmt::Write;

/// Writing to a `String` cannot fail.
macro_rules! put {
    ($out:expr, $($arg:tt)*) => { let _ = write!($out, $($arg)*); };
}
pub(super) use put;

fn infinite(positive: bool, out: &mut String) {
    out.push_str(if positive { "infinity" } else { "-infinity" });
}

fn put_date(year: i64, month: i64, day: i64, out: &mut String) {
    put!(out, "{:04}-{month:02}-{day:02}", if year > 0 { year } else { 1 - year });
}

fn put_era(year: i64, out: &mut String) {
    if year <= 0 {
        out.push_str(" BC");
    }
}

/// Seconds' fraction without trailing zeros.
fn put_fraction(micros: i64, out: &mut String) {
    if micros != 0 {
        let digits = format!("{micros:06}");
        out.push('.');
        out.push_str(digits.trim_end_matches('0'));
    }
}

fn put_time(t: i64, out: &mut String) {
    put!(out, "{:02}:{:02}:{:02}", t / HOUR_US, t % HOUR_US / MINUTE_US, t % MINUTE_US / SECOND_US);
    put_fraction(t % SECOND_US, out);
}

pub fn date(d: i32, out: &mut String) {
    if date_is_infinite(d) {
        return infinite(d > 0, out);
    }
    let (year, month, day) = civil_from_days(d.into());
    put_date(year, month, day, out);
    put_era(year, out);
}

pub fn time(t: i64, out: &mut String) {
    put_time(t, out);
}

/// What stands between date and time, and how an offset is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Style {
    Iso,
    /// With a T, and always with the minutes of the offset: what JSON has.
    Xsd,
}

impl Style {
    fn separator(self) -> char {
        if self == Style::Iso { ' ' } else { 'T' }
    }
}

pub fn timestamp(t: i64, style: Style, out: &mut String) {
    if is_infinite(t) {
        return infinite(t > 0, out);
    }
    let c = Civil::from_timestamp(t);
    put_date(c.year, c.month, c.day, out);
    out.push(style.separator());
    put_time(c.time, out);
    put_era(c.year, out);
}

pub fn timestamptz(t: i64, zone: &Zone, style: Style, out: &mut String) -> Result<()> {
    if is_infinite(t) {
        infinite(t > 0, out);
        return Ok(());
    }
    let c = zone.civil(t)?;
    put_date(c.year, c.month, c.day, out);
    out.push(style.separator());
    put_time(c.time, out);
    let offset = zone.at(t.div_euclid(SECOND_US)).offset;
    let seconds = offset.abs();
    put!(out, "{}{:02}", if offset < 0 { '-' } else { '+' }, seconds / 3600);
    if seconds % 3600 != 0 || style == Style::Xsd {
        put!(out, ":{:02}", seconds % 3600 / 60);
    }
    if seconds % 60 != 0 {
        put!(out, ":{:02}", seconds % 60);
    }
    put_era(c.year, out);
    Ok(())
}

pub fn interval(s: Span, out: &mut String) {
    let mut first = true;
    let mut after_negative = false;
    for (value, unit) in [(s.months / 12, "year"), (s.months % 12, "mon"), (s.days, "day")] {
        if value != 0 {
            let sign = if after_negative && value > 0 { "+" } else { "" };
            let (gap, plural) = (if first { "" } else { " " }, if value == 1 { "" } else { "s" });
            put!(out, "{gap}{sign}{value} {unit}{plural}");
            first = false;
            // Only the next part shows its sign.
            after_negative = value < 0;
        }
    }
    if first || s.micros != 0 {
        let sign = if s.micros < 0 {
            "-"
        } else if after_negative {
            "+"
        } else {
            ""
        };
        out.push_str(if first { "" } else { " " });
        out.push_str(sign);
        let t = s.micros.unsigned_abs() as i64;
        put_time(t, out);
    }
}
