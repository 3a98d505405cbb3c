//! TZif files (RFC 8536) and the POSIX rule at their end.
//!
//! Invariants:
//! - Files with leap seconds, and rules in forms that no compiled zone has, give `None`: the zone is not known.
//! - The table is extended with 400 years of the rule, so that it can be repeated from there on.

use super::calendar::{days_from_civil, days_in_month, is_leap};
use super::zone::{LocalType, Zone};

struct Reader<'a> {
    bytes: &'a [u8],
}

impl<'a> Reader<'a> {
    fn take(&mut self, n: usize) -> Option<&'a [u8]> {
        let (head, tail) = self.bytes.split_at_checked(n)?;
        self.bytes = tail;
        Some(head)
    }
    fn u8(&mut self) -> Option<u8> {
        self.take(1)?.first().copied()
    }
    fn u32(&mut self) -> Option<u32> {
        Some(u32::from_be_bytes(self.take(4)?.try_into().ok()?))
    }
    fn i64(&mut self) -> Option<i64> {
        Some(i64::from_be_bytes(self.take(8)?.try_into().ok()?))
    }
}

struct Header {
    version: u8,
    ut_count: usize,
    std_count: usize,
    leap_count: usize,
    time_count: usize,
    type_count: usize,
    char_count: usize,
}

fn header(r: &mut Reader<'_>) -> Option<Header> {
    if r.take(4)? != b"TZif" {
        return None;
    }
    let version = r.u8()?;
    r.take(15)?;
    let mut count = || r.u32().map(|n| n as usize);
    let (ut_count, std_count, leap_count, time_count, type_count, char_count) = (count()?, count()?, count()?, count()?, count()?, count()?);
    Some(Header { version, ut_count, std_count, leap_count, time_count, type_count, char_count })
}

/// A zone from the bytes of its file; `None` if the file is not understood.
pub fn parse(name: String, bytes: &[u8]) -> Option<Zone> {
    let mut r = Reader { bytes };
    let first = header(&mut r)?;
    if first.version < b'2' {
        return None;
    }
    // The first block has 32-bit times: skip it.
    r.take(first.time_count * 5 + first.type_count * 6 + first.char_count + first.leap_count * 8 + first.std_count + first.ut_count)?;
    let h = header(&mut r)?;
    if h.leap_count != 0 || h.type_count == 0 || h.type_count > 256 {
        return None;
    }
    let transitions = (0..h.time_count).map(|_| r.i64()).collect::<Option<Vec<_>>>()?;
    let kinds = r.take(h.time_count)?.to_vec();
    let raw = (0..h.type_count).map(|_| Some((r.u32()? as i32, r.u8()? != 0, usize::from(r.u8()?)))).collect::<Option<Vec<_>>>()?;
    let chars = r.take(h.char_count)?;
    r.take(h.std_count + h.ut_count)?;
    let types = raw
        .into_iter()
        .map(|(offset, is_dst, at)| {
            let abbreviation = chars.get(at..)?.split(|&c| c == 0).next()?;
            Some(LocalType { offset, is_dst, abbreviation: String::from_utf8(abbreviation.to_vec()).ok()? })
        })
        .collect::<Option<Vec<_>>>()?;
    if kinds.iter().any(|&k| usize::from(k) >= types.len()) {
        return None;
    }
    let footer = r.bytes.strip_prefix(b"\n")?;
    let rule = std::str::from_utf8(footer.split(|&c| c == b'\n').next()?).ok()?;
    let mut zone = Zone { name, transitions, kinds, types, repeats: false, early: 0 };
    zone.early = early_type(&zone);
    // As Postgres does: transitions at the end that change nothing are dropped before the rule is appended.
    while let [.., a, b] = zone.kinds.as_slice() {
        if a != b {
            break;
        }
        zone.kinds.pop();
        zone.transitions.pop();
    }
    if !rule.is_empty() {
        extend(&mut zone, &posix(rule)?)?;
    }
    Some(zone)
}

/// The type before the first transition, by the heuristics of `tzload`.
fn early_type(zone: &Zone) -> u8 {
    if !zone.kinds.contains(&0) {
        return 0;
    }
    let is_standard = |i: &u8| zone.types.get(usize::from(*i)).is_some_and(|t| !t.is_dst);
    if let Some(first) = zone.kinds.first().filter(|k| !is_standard(k))
        && let Some(before) = (0..*first).rev().find(is_standard)
    {
        return before;
    }
    (0..=u8::MAX).take(zone.types.len()).find(is_standard).unwrap_or(0)
}

/// Appends the transitions of a rule after those of the table.
fn extend(zone: &mut Zone, rule: &Posix) -> Option<()> {
    let standard = position(zone, &rule.standard)?;
    let Some((summer, start, end)) = &rule.summer else {
        // The last transition of the table leads to this very type.
        return Some(());
    };
    let summer_kind = position(zone, summer)?;
    let last = zone.transitions.last().copied();
    let first_year = last.map_or(1970, |t| super::calendar::civil_from_days(t.div_euclid(86_400)).0);
    for year in first_year..first_year + 402 {
        let midnight = days_from_civil(year, 1, 1) * 86_400;
        let mut pair = [
            (midnight + start.seconds_into(year)? - i64::from(rule.standard.offset), summer_kind),
            (midnight + end.seconds_into(year)? - i64::from(summer.offset), standard),
        ];
        pair.sort_unstable();
        for (t, kind) in pair {
            if last.is_none_or(|l| t > l) {
                zone.transitions.push(t);
                zone.kinds.push(kind);
            }
        }
    }
    zone.repeats = true;
    Some(())
}

fn position(zone: &mut Zone, wanted: &LocalType) -> Option<u8> {
    let at = match zone.types.iter().position(|t| t == wanted) {
        Some(at) => at,
        None => {
            zone.types.push(wanted.clone());
            zone.types.len() - 1
        }
    };
    u8::try_from(at).ok()
}

/// A POSIX zone without summer time, e.g. `<+05>-05`: what `SET TIME ZONE 5` makes of `TimeZone`.
pub fn posix_fixed(spec: &str) -> Option<Zone> {
    if !spec.starts_with('<') {
        return None;
    }
    let rule = posix(spec)?;
    rule.summer.is_none().then(|| Zone::fixed(spec, rule.standard.offset, rule.standard.abbreviation))
}

struct Posix {
    standard: LocalType,
    /// The summer type, its first and its last day.
    summer: Option<(LocalType, Change, Change)>,
}

enum Day {
    /// `Jn`: 1..=365, 29 February is never counted.
    Julian(i64),
    /// `n`: 0..=365, counted with leap days.
    Counted(i64),
    /// `Mm.w.d`: the w-th (5 = last) weekday d (0 = Sunday) of the month.
    Weekday { month: i64, week: i64, weekday: i64 },
}

struct Change {
    day: Day,
    /// Seconds of local time after midnight; may be negative or beyond the day.
    seconds: i64,
}

impl Change {
    fn seconds_into(&self, year: i64) -> Option<i64> {
        let first = days_from_civil(year, 1, 1);
        let day = match self.day {
            Day::Julian(n) => n - 1 + i64::from(is_leap(year) && n >= 60),
            Day::Counted(n) => n,
            Day::Weekday { month, week, weekday } => {
                let month_start = days_from_civil(year, month, 1);
                let start_weekday = (month_start + 4).rem_euclid(7);
                let mut day = (weekday - start_weekday).rem_euclid(7) + (week - 1) * 7;
                if day >= days_in_month(year, month) {
                    day -= 7;
                }
                month_start - first + day
            }
        };
        Some(day * 86_400 + self.seconds)
    }
}

/// Reads a POSIX TZ string: `EST5EDT,M3.2.0,M11.1.0`.
fn posix(spec: &str) -> Option<Posix> {
    let mut p = Text { rest: spec };
    let abbreviation = p.abbreviation()?;
    let standard = LocalType { offset: i32::try_from(-p.clock()?).ok()?, is_dst: false, abbreviation };
    if p.rest.is_empty() {
        return Some(Posix { standard, summer: None });
    }
    let abbreviation = p.abbreviation()?;
    let offset = if p.rest.starts_with(',') { standard.offset + 3600 } else { i32::try_from(-p.clock()?).ok()? };
    let summer = LocalType { offset, is_dst: true, abbreviation };
    let start = p.change()?;
    let end = p.change()?;
    p.rest.is_empty().then_some(Posix { standard, summer: Some((summer, start, end)) })
}

struct Text<'a> {
    rest: &'a str,
}

impl Text<'_> {
    fn abbreviation(&mut self) -> Option<String> {
        if let Some(quoted) = self.rest.strip_prefix('<') {
            let (name, rest) = quoted.split_once('>')?;
            self.rest = rest;
            return Some(name.to_owned());
        }
        let end = self.rest.find(|c: char| !c.is_ascii_alphabetic()).unwrap_or(self.rest.len());
        let (name, rest) = self.rest.split_at_checked(end)?;
        self.rest = rest;
        (!name.is_empty()).then(|| name.to_owned())
    }

    fn eat(&mut self, c: char) -> bool {
        match self.rest.strip_prefix(c) {
            Some(rest) => {
                self.rest = rest;
                true
            }
            None => false,
        }
    }

    fn number(&mut self) -> Option<i64> {
        let end = self.rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(self.rest.len());
        let (digits, rest) = self.rest.split_at_checked(end)?;
        self.rest = rest;
        digits.parse().ok()
    }

    /// `[+-]h[:m[:s]]` in seconds.
    fn clock(&mut self) -> Option<i64> {
        let negative = self.eat('-');
        if !negative {
            self.eat('+');
        }
        let mut seconds = self.number()? * 3600;
        if self.eat(':') {
            seconds += self.number()? * 60;
            if self.eat(':') {
                seconds += self.number()?;
            }
        }
        Some(if negative { -seconds } else { seconds })
    }

    /// `,date[/time]`.
    fn change(&mut self) -> Option<Change> {
        if !self.eat(',') {
            return None;
        }
        let day = if self.eat('M') {
            let month = self.number().filter(|m| (1..=12).contains(m))?;
            let week = self.eat('.').then(|| self.number())?.filter(|w| (1..=5).contains(w))?;
            let weekday = self.eat('.').then(|| self.number())?.filter(|d| (0..=6).contains(d))?;
            Day::Weekday { month, week, weekday }
        } else if self.eat('J') {
            Day::Julian(self.number()?)
        } else {
            Day::Counted(self.number()?)
        };
        let seconds = if self.eat('/') { self.clock()? } else { 7200 };
        Some(Change { day, seconds })
    }
}
