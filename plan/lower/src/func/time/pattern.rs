//! The patterns of `to_char`, `to_date` and `to_timestamp`, split as `parse_format` of `formatting.c` splits them.
//!
//! Invariants: a keyword is the first of the table that the rest of the pattern begins with, case included; what is no keyword is literal.

use crate::error::refused;
use datafusion::common::Result;

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Node {
    Literal(char),
    Field(Field),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Field {
    pub keyword: Keyword,
    /// Under `FM`: no padding.
    pub fill: bool,
    /// `TH` (upper case) or `th` follows.
    pub ordinal: Option<bool>,
}

/// How letters of a name are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Case {
    Upper,
    Title,
    Lower,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Keyword {
    Meridiem {
        dots: bool,
        case: Case,
    },
    Era {
        dots: bool,
        case: Case,
    },
    Century,
    Day(Case),
    DayShort(Case),
    DayOfYear,
    DayOfMonth,
    DayOfWeek,
    Fraction(u8),
    Hour24,
    Hour12,
    IsoDayOfYear,
    IsoDayOfWeek,
    IsoWeek,
    /// With the number of digits, 4 to 1.
    IsoYear(u8),
    Julian,
    Minute,
    Month,
    MonthName(Case),
    MonthShort(Case),
    Offset,
    Quarter,
    Roman(Case),
    SecondOfDay,
    Second,
    OffsetHour,
    OffsetMinute,
    ZoneName(Case),
    WeekOfYear,
    WeekOfMonth,
    YearComma,
    Year(u8),
}

const KEYWORDS: &[(&str, Keyword)] = {
    use Case::*;
    use Keyword::*;
    &[
        ("A.D.", Era { dots: true, case: Upper }),
        ("A.M.", Meridiem { dots: true, case: Upper }),
        ("AD", Era { dots: false, case: Upper }),
        ("AM", Meridiem { dots: false, case: Upper }),
        ("B.C.", Era { dots: true, case: Upper }),
        ("BC", Era { dots: false, case: Upper }),
        ("CC", Century),
        ("DAY", Day(Upper)),
        ("DDD", DayOfYear),
        ("DD", DayOfMonth),
        ("DY", DayShort(Upper)),
        ("Day", Day(Title)),
        ("Dy", DayShort(Title)),
        ("D", DayOfWeek),
        ("FF1", Fraction(1)),
        ("FF2", Fraction(2)),
        ("FF3", Fraction(3)),
        ("FF4", Fraction(4)),
        ("FF5", Fraction(5)),
        ("FF6", Fraction(6)),
        ("HH24", Hour24),
        ("HH12", Hour12),
        ("HH", Hour12),
        ("IDDD", IsoDayOfYear),
        ("ID", IsoDayOfWeek),
        ("IW", IsoWeek),
        ("IYYY", IsoYear(4)),
        ("IYY", IsoYear(3)),
        ("IY", IsoYear(2)),
        ("I", IsoYear(1)),
        ("J", Julian),
        ("MI", Minute),
        ("MM", Month),
        ("MONTH", MonthName(Upper)),
        ("MON", MonthShort(Upper)),
        ("MS", Fraction(3)),
        ("Month", MonthName(Title)),
        ("Mon", MonthShort(Title)),
        ("OF", Offset),
        ("P.M.", Meridiem { dots: true, case: Upper }),
        ("PM", Meridiem { dots: false, case: Upper }),
        ("Q", Quarter),
        ("RM", Roman(Upper)),
        ("SSSSS", SecondOfDay),
        ("SSSS", SecondOfDay),
        ("SS", Second),
        ("TZH", OffsetHour),
        ("TZM", OffsetMinute),
        ("TZ", ZoneName(Upper)),
        ("US", Fraction(6)),
        ("WW", WeekOfYear),
        ("W", WeekOfMonth),
        ("Y,YYY", YearComma),
        ("YYYY", Year(4)),
        ("YYY", Year(3)),
        ("YY", Year(2)),
        ("Y", Year(1)),
        ("a.d.", Era { dots: true, case: Lower }),
        ("a.m.", Meridiem { dots: true, case: Lower }),
        ("ad", Era { dots: false, case: Lower }),
        ("am", Meridiem { dots: false, case: Lower }),
        ("b.c.", Era { dots: true, case: Lower }),
        ("bc", Era { dots: false, case: Lower }),
        ("cc", Century),
        ("day", Day(Lower)),
        ("ddd", DayOfYear),
        ("dd", DayOfMonth),
        ("dy", DayShort(Lower)),
        ("d", DayOfWeek),
        ("ff1", Fraction(1)),
        ("ff2", Fraction(2)),
        ("ff3", Fraction(3)),
        ("ff4", Fraction(4)),
        ("ff5", Fraction(5)),
        ("ff6", Fraction(6)),
        ("hh24", Hour24),
        ("hh12", Hour12),
        ("hh", Hour12),
        ("iddd", IsoDayOfYear),
        ("id", IsoDayOfWeek),
        ("iw", IsoWeek),
        ("iyyy", IsoYear(4)),
        ("iyy", IsoYear(3)),
        ("iy", IsoYear(2)),
        ("i", IsoYear(1)),
        ("j", Julian),
        ("mi", Minute),
        ("mm", Month),
        ("month", MonthName(Lower)),
        ("mon", MonthShort(Lower)),
        ("ms", Fraction(3)),
        ("of", Offset),
        ("p.m.", Meridiem { dots: true, case: Lower }),
        ("pm", Meridiem { dots: false, case: Lower }),
        ("q", Quarter),
        ("rm", Roman(Lower)),
        ("sssss", SecondOfDay),
        ("ssss", SecondOfDay),
        ("ss", Second),
        ("tzh", OffsetHour),
        ("tzm", OffsetMinute),
        ("tz", ZoneName(Lower)),
        ("us", Fraction(6)),
        ("ww", WeekOfYear),
        ("w", WeekOfMonth),
        ("y,yyy", YearComma),
        ("yyyy", Year(4)),
        ("yyy", Year(3)),
        ("yy", Year(2)),
        ("y", Year(1)),
    ]
};

/// Splits a pattern.
///
/// # Errors
/// Refused for `TM` (names of the locale), `SP` and `FX`.
pub fn parse(pattern: &str) -> Result<Vec<Node>> {
    let mut nodes = Vec::new();
    let mut rest = pattern;
    while !rest.is_empty() {
        let mut fill = false;
        if let Some(after) = rest.strip_prefix("FM").or_else(|| rest.strip_prefix("fm")) {
            fill = true;
            rest = after;
        } else if rest.starts_with("TM") || rest.starts_with("tm") {
            return Err(refused("a pattern with TM"));
        }
        if rest.starts_with("FX") || rest.starts_with("fx") {
            return Err(refused("a pattern with FX"));
        }
        if let Some((keyword, after)) = KEYWORDS.iter().find_map(|(name, keyword)| Some((*keyword, rest.strip_prefix(name)?))) {
            rest = after;
            let mut ordinal = None;
            if let Some(after) = rest.strip_prefix("TH") {
                ordinal = Some(true);
                rest = after;
            } else if let Some(after) = rest.strip_prefix("th") {
                ordinal = Some(false);
                rest = after;
            } else if rest.starts_with("SP") {
                return Err(refused("a pattern with SP"));
            }
            nodes.push(Node::Field(Field { keyword, fill, ordinal }));
            continue;
        }
        let mut chars = rest.chars();
        match chars.next() {
            None => {}
            Some('"') => quoted(&mut chars, &mut nodes),
            Some('\\') if chars.as_str().starts_with('"') => {
                chars.next();
                nodes.push(Node::Literal('"'));
            }
            Some(c) => nodes.push(Node::Literal(c)),
        }
        rest = chars.as_str();
    }
    Ok(nodes)
}

/// The rest of a double-quoted literal, in which a backslash takes the next character as it is.
fn quoted(chars: &mut std::str::Chars<'_>, nodes: &mut Vec<Node>) {
    while let Some(c) = chars.next() {
        match c {
            '"' => return,
            '\\' => nodes.push(Node::Literal(chars.next().unwrap_or('\\'))),
            c => nodes.push(Node::Literal(c)),
        }
    }
}
