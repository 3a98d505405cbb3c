//! Text input of dates, times and timestamps: the ISO forms, exactly.
//!
//! Invariants: whatever is not of these forms is `None`, which the caller refuses; Postgres knows many more, and its errors are its own.

use super::calendar::*;
use super::zone::Zone;
use datafusion::common::Result;

pub(super) struct Cursor<'a> {
    pub rest: &'a [u8],
}

impl Cursor<'_> {
    /// Exactly `n` digits.
    pub fn digits(&mut self, n: usize) -> Option<i64> {
        let (head, tail) = self.rest.split_at_checked(n)?;
        let mut value = 0_i64;
        for c in head {
            value = value * 10 + i64::from(c.is_ascii_digit().then(|| c - b'0')?);
        }
        self.rest = tail;
        Some(value)
    }

    pub fn eat(&mut self, c: u8) -> Option<()> {
        let (first, tail) = self.rest.split_first()?;
        self.rest = tail;
        (*first == c).then_some(())
    }

    fn next_is_digit(&self) -> bool {
        self.rest.first().is_some_and(u8::is_ascii_digit)
    }

    /// `YYYY-MM-DD`, a day number.
    fn date(&mut self) -> Option<i64> {
        let year = self.digits(4)?;
        self.eat(b'-')?;
        let month = self.digits(2)?;
        self.eat(b'-')?;
        let day = self.digits(2)?;
        checked_day(year, month, day)
    }

    /// `HH:MM[:SS[.ffffff]]`, before 24:00.
    fn time(&mut self) -> Option<i64> {
        let hour = self.digits(2).filter(|h| *h < 24)?;
        self.eat(b':')?;
        let minute = self.digits(2).filter(|m| *m < 60)?;
        let mut time = hour * HOUR_US + minute * MINUTE_US;
        if self.rest.first() == Some(&b':') {
            self.eat(b':')?;
            time += self.digits(2).filter(|s| *s < 60)? * SECOND_US;
            if self.rest.first() == Some(&b'.') {
                self.eat(b'.')?;
                let mut scale = SECOND_US / 10;
                while self.next_is_digit() && scale > 0 {
                    time += self.digits(1)? * scale;
                    scale /= 10;
                }
            }
        }
        Some(time)
    }
}

/// A day of the years 1 to 9999.
pub(super) fn checked_day(year: i64, month: i64, day: i64) -> Option<i64> {
    (year >= 1 && (1..=12).contains(&month) && (1..=days_in_month(year, month)).contains(&day)).then(|| days_from_civil(year, month, day))
}

pub fn date(text: &str) -> Option<i32> {
    match text {
        "infinity" => return Some(DATE_INFINITY),
        "-infinity" => return Some(DATE_MINUS_INFINITY),
        _ => {}
    }
    let mut c = Cursor { rest: text.as_bytes() };
    let days = c.date()?;
    if c.rest.is_empty() { i32::try_from(days).ok() } else { None }
}

pub fn time(text: &str) -> Option<i64> {
    let mut c = Cursor { rest: text.as_bytes() };
    let time = c.time()?;
    c.rest.is_empty().then_some(time)
}

/// A date with or without a time, and what follows.
fn local(text: &str) -> Option<(i64, &[u8])> {
    let mut c = Cursor { rest: text.as_bytes() };
    let midnight = c.date()? * DAY_US;
    if c.rest.is_empty() {
        return Some((midnight, c.rest));
    }
    if !matches!(c.rest.first(), Some(b' ' | b'T')) {
        return None;
    }
    c.rest = c.rest.split_first()?.1;
    Some((midnight + c.time()?, c.rest))
}

fn infinite(text: &str) -> Option<i64> {
    match text {
        "infinity" => Some(INFINITY),
        "-infinity" => Some(MINUS_INFINITY),
        _ => None,
    }
}

pub fn timestamp(text: &str) -> Option<i64> {
    infinite(text).or_else(|| local(text).filter(|(_, rest)| rest.is_empty()).map(|(t, _)| t))
}

/// `None` if the form is not known here.
pub fn timestamptz(text: &str, zone: &Zone) -> Result<Option<i64>> {
    if let Some(t) = infinite(text) {
        return Ok(Some(t));
    }
    let Some((t, rest)) = local(text) else { return Ok(None) };
    if rest.is_empty() {
        return zone.from_timestamp(t).map(Some);
    }
    let Some(offset) = offset(rest) else { return Ok(None) };
    check_timestamp(i128::from(t) - i128::from(offset * SECOND_US)).map(Some)
}

/// `Z`, `±HH` or `±HH:MM`, in seconds east.
fn offset(text: &[u8]) -> Option<i64> {
    if text == b"Z" {
        return Some(0);
    }
    let (sign, rest) = text.split_first()?;
    let sign = match sign {
        b'+' => 1,
        b'-' => -1,
        _ => return None,
    };
    let mut c = Cursor { rest };
    let mut seconds = c.digits(2).filter(|h| *h < 16)? * 3600;
    if !c.rest.is_empty() {
        c.eat(b':')?;
        seconds += c.digits(2).filter(|m| *m < 60)? * 60;
    }
    c.rest.is_empty().then_some(sign * seconds)
}
