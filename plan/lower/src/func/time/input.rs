//! Text input of dates, times and timestamps: the ISO forms, exactly.
//!
//! Invariants: whatever is not of these forms is `None`, which the caller refuses; Postgres knows many more, and its errors are its own.

use super::calendar::*;
use super::kernel::Span;
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

    /// One to six digits, and after a point up to six more as millionths.
    fn decimal(&mut self) -> Option<(i64, Option<i64>)> {
        let length = self.rest.iter().take_while(|c| c.is_ascii_digit()).count();
        let whole = if (1..=6).contains(&length) { self.digits(length)? } else { return None };
        if self.rest.is_empty() {
            return Some((whole, None));
        }
        self.eat(b'.')?;
        let length = self.rest.len();
        let millionths = if (1..=6).contains(&length) { self.digits(length)? } else { return None };
        Some((whole, Some(millionths * 10_i64.pow(6 - length as u32))))
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

/// `[±]n unit …` with whole numbers, each unit once, and an optional `[±]HH:MM[:SS[.ffffff]]`; seconds may have a fraction.
pub fn interval(text: &str) -> Option<Span> {
    let mut words = text.split(' ').filter(|w| !w.is_empty()).peekable();
    words.peek()?;
    let mut seen = 0_u32;
    let (mut months, mut days, mut micros) = (0_i64, 0_i64, 0_i64);
    let mut once = |bits: u32| {
        let fresh = seen & bits == 0;
        seen |= bits;
        fresh.then_some(())
    };
    while let Some(word) = words.next() {
        let (sign, magnitude) = match word.as_bytes().split_first()? {
            (b'-', rest) => (-1, rest),
            (b'+', rest) => (1, rest),
            _ => (1, word.as_bytes()),
        };
        let mut c = Cursor { rest: magnitude };
        if magnitude.contains(&b':') {
            // Hour, minute and second at once; it must come last.
            once(0b111_0000)?;
            micros += sign * c.time()?;
            return (c.rest.is_empty() && words.next().is_none()).then_some(()).and_then(|()| Span::checked(months, days, micros.into()).ok());
        }
        let (number, fraction) = c.decimal()?;
        let (bit, months_each, days_each, micros_each) = match words.next()?.to_ascii_lowercase().as_str() {
            "year" | "years" => (1, 12, 0, 0),
            "month" | "months" | "mon" | "mons" => (1 << 1, 1, 0, 0),
            "week" | "weeks" => (1 << 2, 0, 7, 0),
            "day" | "days" => (1 << 3, 0, 1, 0),
            "hour" | "hours" => (1 << 4, 0, 0, HOUR_US),
            "minute" | "minutes" | "min" | "mins" => (1 << 5, 0, 0, MINUTE_US),
            "second" | "seconds" | "sec" | "secs" => (1 << 6, 0, 0, SECOND_US),
            _ => return None,
        };
        once(bit)?;
        if fraction.is_some() && micros_each != SECOND_US {
            return None;
        }
        months += sign * number * months_each;
        days += sign * number * days_each;
        micros += sign * (number * micros_each + fraction.unwrap_or(0));
    }
    Span::checked(months, days, micros.into()).ok()
}
