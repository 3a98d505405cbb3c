//! MySQL and MariaDB, in a session whose settings `engines::mysql` has fixed: ANSI quotes, no backslash escapes, strict, UTC, utf8mb4.
//!
//! Text is compared as bytes: the collations there ignore case, accents or trailing blanks. A cast to binary keeps an index from being used,
//! so an equality with an ASCII literal is said twice: once in the column's collation, which byte equality implies, and once in bytes.
//! A sort looks at the first `max_sort_length` (1024) bytes of a value only, so that only columns of at most 255 characters are keys.

use super::{Changed, CommonTable, Dialect, Like, Result, Term, like_pattern};
use crate::descriptor::Options;
use crate::meaning::{AggMeaning, Arith, Class, Cmp, Meaning};
use weir_plan::ir::Scalar;
use weir_plan::types::{PgType, oid};

/// What an INSERT leaves as the session's last number where it has passed over a row; no key grows so far.
pub const SKIPPED: u64 = 9_223_372_036_854_774_807;

pub struct MySql;

/// Characters that a key may have: four bytes each fit `max_sort_length`.
const KEY_CHARS: usize = 255;

fn utf8(term: &Term) -> String {
    format!("CONVERT({} USING utf8mb4)", term.sql)
}

fn bytes_of(term: &Term) -> String {
    match &term.form {
        super::Form::Literal(_) => format!("CAST({} AS BINARY)", term.sql),
        _ => format!("CAST({} AS BINARY)", utf8(term)),
    }
}

fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}

fn uuid(bytes: &[u8; 16]) -> String {
    let hex: String = bytes.iter().map(|b| format!("{b:02x}")).collect();
    [0..8, 8..12, 12..16, 16..20, 20..32].into_iter().filter_map(|part| hex.get(part)).collect::<Vec<_>>().join("-")
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|b| format!("{b:02X}")).collect()
}

/// Year, month, day of days since 1970-01-01 (Howard Hinnant's `civil_from_days`).
pub fn civil(days: i64) -> (i64, u32, u32) {
    let z = days + 719_468;
    let era = z.div_euclid(146_097);
    let doe = z.rem_euclid(146_097);
    let yoe = (doe - doe / 1460 + doe / 36_524 - doe / 146_096) / 365;
    let doy = doe - (365 * yoe + yoe / 4 - yoe / 100);
    let mp = (5 * doy + 2) / 153;
    let day = doy - (153 * mp + 2) / 5 + 1;
    let month = if mp < 10 { mp + 3 } else { mp - 9 };
    (yoe + era * 400 + i64::from(month <= 2), month as u32, day as u32)
}

/// Days since 1970-01-01 of a date.
pub fn days(year: i64, month: u32, day: u32) -> i64 {
    let y = if month <= 2 { year - 1 } else { year };
    let era = y.div_euclid(400);
    let yoe = y.rem_euclid(400);
    let m = i64::from(month);
    let doy = (153 * (if m > 2 { m - 3 } else { m + 9 }) + 2) / 5 + i64::from(day) - 1;
    let doe = yoe * 365 + yoe / 4 - yoe / 100 + doy;
    era * 146_097 + doe - 719_468
}

fn date(day: i64) -> Result<String> {
    let (y, m, d) = civil(day);
    if !(1..=9999).contains(&y) {
        return Err("a date outside of the years 1 to 9999".into());
    }
    Ok(format!("{y:04}-{m:02}-{d:02}"))
}

fn clock(micros: i64) -> String {
    let (s, us) = (micros / 1_000_000, micros % 1_000_000);
    let hms = format!("{:02}:{:02}:{:02}", s / 3600, s / 60 % 60, s % 60);
    if us == 0 { hms } else { format!("{hms}.{us:06}") }
}

/// Total digits and digits after the point of a numeric literal.
pub fn digits_of(text: &str) -> Option<(u32, u32)> {
    let unsigned = text.strip_prefix('-').unwrap_or(text);
    let (whole, fraction) = unsigned.split_once('.').unwrap_or((unsigned, ""));
    if !whole.bytes().chain(fraction.bytes()).all(|b| b.is_ascii_digit()) {
        return None;
    }
    let scale = u32::try_from(fraction.len()).ok()?;
    Some((u32::try_from(whole.len()).ok()? + scale, scale))
}

impl Dialect for MySql {
    fn ident(&self, name: &str) -> Result<String> {
        if name.is_empty() || name.contains(['\0', '\u{1}']) || name.ends_with(' ') {
            return Err(format!("the identifier \"{name}\""));
        }
        Ok(format!("`{}`", name.replace('`', "``")))
    }

    fn table(&self, server: &Options, table: &[(String, String)], _schema: &str, name: &str) -> Result<String> {
        let own = |n: &str| table.iter().find(|(o, _)| o == n).map(|(_, v)| v.as_str());
        let name = self.ident(own("table_name").unwrap_or(name))?;
        match own("database").or_else(|| server.text("database")) {
            Some(database) => Ok(format!("{}.{name}", self.ident(database)?)),
            None => Err("neither server nor foreign table has the option \"database\"".into()),
        }
    }

    fn literal(&self, value: &Scalar, ty: &PgType) -> Result<String> {
        Ok(match value {
            Scalar::Null => "NULL".into(),
            Scalar::Bool(b) => (if *b { "TRUE" } else { "FALSE" }).into(),
            Scalar::Int2(v) => format!("({v})"),
            Scalar::Int4(v) => format!("({v})"),
            Scalar::Int8(v) => format!("({v})"),
            Scalar::Float8(v) if v.is_finite() => format!("({v:e})"),
            Scalar::Numeric(text) => match digits_of(text) {
                Some((p, s)) if p <= 65 && s <= 30 => format!("({text})"),
                _ => return Err(format!("the number {text}")),
            },
            Scalar::Text(text) if ty.is_text_like() => {
                if text.contains('\0') {
                    return Err("a control character in a literal".into());
                }
                // Whatever the session's mode, a backslash stays one.
                if text.contains('\\') { format!("_utf8mb4 X'{}'", hex(text.as_bytes())) } else { quoted(text) }
            }
            Scalar::Bytes(b) => format!("X'{}'", hex(b)),
            Scalar::Date(d) => format!("DATE'{}'", date(i64::from(*d))?),
            Scalar::Time(us) => format!("TIME'{}'", clock(*us)),
            Scalar::Timestamp(us) => {
                let day = date(us.div_euclid(86_400_000_000))?;
                format!("TIMESTAMP'{day} {}'", clock(us.rem_euclid(86_400_000_000)))
            }
            _ => return Err("a constant of this type".into()),
        })
    }

    fn value(&self, value: &Scalar, ty: &PgType) -> Result<String> {
        Ok(match value {
            Scalar::Float4(v) if v.is_finite() => format!("{:e}", f64::from(*v)),
            Scalar::Uuid(u) => format!("'{}'", uuid(u)),
            // A TIMESTAMP there ends in 2038 or 2106, which the server checks; a literal without a zone is in the session's, UTC.
            other => self.literal(other, ty)?,
        })
    }

    /// The comparison by bytes tells apart what the column's collation does not; the plain one before it can use an index.
    fn key_is(&self, column: &str, value: &Scalar, ty: &PgType) -> Result<String> {
        let literal = self.value(value, ty)?;
        Ok(match value {
            Scalar::Text(text) if ty.base != oid::BPCHAR => {
                let plain = if text.is_ascii() { format!("{column} = {literal} AND ") } else { String::new() };
                format!("{plain}CAST(CONVERT({column} USING utf8mb4) AS BINARY) = X'{}'", hex(text.as_bytes()))
            }
            // Blanks at the end are no part of such a value on either side.
            Scalar::Text(text) => format!("CAST(RTRIM(CONVERT({column} USING utf8mb4)) AS BINARY) = X'{}'", hex(text.as_bytes())),
            Scalar::Float4(_) | Scalar::Float8(_) => return Err("a key of floating point numbers".into()),
            _ => format!("{column} = {literal}"),
        })
    }

    /// Text is compared as bytes, and what stands for a parameter is not known to be ASCII.
    fn finds(&self, ty: &PgType) -> bool {
        !ty.is_collatable()
    }

    fn modifies(&self) -> bool {
        true
    }

    /// Smaller integers become larger ones there before anything overflows: what does not fit is made to overflow the largest.
    fn checked_int(&self, op: Arith, left: &Term, right: &Term, ty: &PgType) -> Result<String> {
        let (least, greatest) = crate::sql::int_bounds(ty).ok_or("arithmetic of this type")?;
        let value = format!("({} {} {})", left.sql, op.sign(), right.sql);
        Ok(format!("IF({value} BETWEEN ({least}) AND {greatest}, {value}, {} + ABS({value}))", i64::MAX))
    }

    /// A DELETE has none in older versions; in the form that has one always, it is looked for in the session's database.
    fn changed_columns(&self) -> Changed {
        Changed::Table
    }

    /// The row that is there is given a value that it has, and leaves a number behind. IGNORE would pass over other errors, too.
    fn skip_conflicts(&self, columns: &[String]) -> Option<String> {
        let column = columns.first()?;
        Some(format!(" ON DUPLICATE KEY UPDATE {column} = IF(LAST_INSERT_ID({SKIPPED}) = 0, {column}, {column})"))
    }

    fn lock(&self, share: bool) -> Option<&'static str> {
        Some(if share { " LOCK IN SHARE MODE" } else { " FOR UPDATE" })
    }

    fn by_chance(&self, share: f64) -> Option<String> {
        Some(format!("RAND() < {share:e}"))
    }

    /// MySQL from 8.0, MariaDB from 10.2 on; a statement reads of one moment.
    fn common_table(&self) -> Option<CommonTable> {
        Some(CommonTable::Each)
    }

    /// TRUNCATE there commits what the transaction has done, and cannot be rolled back.
    fn truncate(&self, tables: &[String], restart_identity: bool, cascade: bool) -> Result<Vec<String>> {
        if restart_identity || cascade {
            return Err("TRUNCATE with RESTART IDENTITY or CASCADE".into());
        }
        Ok(tables.iter().map(|t| format!("DELETE FROM {t}")).collect())
    }

    fn decimal_limits(&self) -> (u32, u32) {
        (65, 30)
    }

    fn comparable(&self, class: Class, term: &Term) -> Result<String> {
        Ok(match class {
            Class::Bool | Class::Int | Class::Numeric | Class::Float8 | Class::Date | Class::Timestamp => term.sql.clone(),
            Class::DateTimestamp => format!("CAST({} AS DATETIME(6))", term.sql),
            Class::Text => bytes_of(term),
            Class::Bpchar => match &term.form {
                super::Form::Literal(_) => bytes_of(term),
                _ => format!("CAST(RTRIM({}) AS BINARY)", utf8(term)),
            },
            // A TIMESTAMP there has another range than a literal, and compares in its own way.
            Class::Timestamptz => format!("CAST({} AS DATETIME(6))", term.sql),
            Class::Bytes | Class::Time | Class::Uuid => return Err("a comparison of this type".into()),
        })
    }

    fn compare(&self, cmp: Cmp, class: Class, left: &Term, right: &Term) -> Result<String> {
        let plain = format!("({} {} {})", self.comparable(class, left)?, cmp.sql(), self.comparable(class, right)?);
        let ascii = |t: &Term| matches!(t.constant(), Some(Scalar::Text(s)) if s.is_ascii());
        let column = |t: &Term| t.form == super::Form::Column;
        if cmp == Cmp::Eq && class == Class::Text && ((column(left) && ascii(right)) || (ascii(left) && column(right))) {
            return Ok(format!("({} = {} AND {plain})", left.sql, right.sql));
        }
        Ok(plain)
    }

    fn call(&self, meaning: Meaning, args: &[Term], ty: PgType) -> Result<Term> {
        let arg = |i: usize| args.get(i).ok_or_else(|| "an argument that is missing".to_string());
        let int = |i: usize| match arg(i)?.constant() {
            Some(Scalar::Int4(v)) => Ok(*v),
            _ => Err("an argument that is not a constant".to_string()),
        };
        Ok(match meaning {
            Meaning::WidenInt => Term { ty, ..arg(0)?.clone() },
            Meaning::IntToNumeric => {
                let of = arg(0)?;
                let digits = match of.constant() {
                    Some(Scalar::Int2(v)) => digits_of(&v.to_string()),
                    Some(Scalar::Int4(v)) => digits_of(&v.to_string()),
                    Some(Scalar::Int8(v)) => digits_of(&v.to_string()),
                    _ => Some(match of.ty.base {
                        oid::INT2 => (5, 0),
                        oid::INT4 => (10, 0),
                        _ => (19, 0),
                    }),
                };
                Term { ty, digits, ..of.clone() }
            }
            Meaning::Like { negated } => {
                let (text, pattern) = (arg(0)?, arg(1)?);
                let Some(Scalar::Text(pattern)) = pattern.constant() else { return Err("LIKE with a pattern that is not a constant".into()) };
                if text.ty.base == oid::BPCHAR {
                    return Err("LIKE on type character".into());
                }
                let mut ours = String::new();
                for part in like_pattern(pattern)? {
                    match part {
                        Like::Any => ours.push('%'),
                        Like::One => ours.push('_'),
                        Like::Char(c @ ('%' | '_' | '|')) => ours.extend(['|', c]),
                        Like::Char(c) => ours.push(c),
                    }
                }
                let pattern = self.literal(&Scalar::Text(ours), &PgType::TEXT)?;
                let not = if negated { "NOT " } else { "" };
                Term::computed(format!("({} COLLATE utf8mb4_bin {not}LIKE {pattern} ESCAPE '|')", utf8(text)), ty)
            }
            Meaning::ExtractDate | Meaning::ExtractTimestamp => {
                let Some(Scalar::Text(field)) = arg(0)?.constant() else { return Err("extract with a field that is not a constant".into()) };
                let (function, digits) = match (field.to_ascii_lowercase().as_str(), meaning) {
                    ("year", _) => ("YEAR", 4),
                    ("month", _) => ("MONTH", 2),
                    ("day", _) => ("DAYOFMONTH", 2),
                    ("quarter", _) => ("QUARTER", 1),
                    ("hour", Meaning::ExtractTimestamp) => ("HOUR", 2),
                    ("minute", Meaning::ExtractTimestamp) => ("MINUTE", 2),
                    _ => return Err(format!("extract(\"{field}\")")),
                };
                Term::computed(format!("{function}({})", arg(1)?.sql), ty).with_digits(Some((digits, 0)))
            }
            Meaning::Substring => {
                let (start, count) = (int(1)?, int(2)?);
                if start < 1 || count < 0 || arg(0)?.ty.base == oid::BPCHAR {
                    return Err("substring that begins before the text".into());
                }
                Term::computed(format!("SUBSTRING({}, {start}, {count})", utf8(arg(0)?)), ty).with_chars(usize::try_from(count).ok())
            }
            Meaning::BpcharToText => Term::computed(format!("RTRIM({})", utf8(arg(0)?)), ty).with_chars(arg(0)?.chars),
            Meaning::DateToTimestamp => Term::computed(format!("CAST({} AS DATETIME)", arg(0)?.sql), ty),
            Meaning::Compare(..) | Meaning::NumericArith(_) | Meaning::NumericNegate => return Err("an operator as a function".into()),
        })
    }

    fn aggregate(&self, meaning: AggMeaning, arg: Option<&Term>, distinct: bool, ty: PgType) -> Result<Term> {
        let distinct_word = if distinct { "DISTINCT " } else { "" };
        let arg = || arg.ok_or_else(|| "an argument that is missing".to_string());
        Ok(match meaning {
            AggMeaning::CountStar => Term::computed("COUNT(*)".into(), ty),
            AggMeaning::Count if distinct => Term::computed(format!("COUNT(DISTINCT {})", self.key(arg()?)?), ty),
            AggMeaning::Count => Term::computed(format!("COUNT({})", arg()?.sql), ty),
            AggMeaning::SumSmallInt => Term::computed(format!("SUM({distinct_word}{})", arg()?.sql), ty),
            AggMeaning::SumInt => Term::computed(format!("SUM({distinct_word}{})", arg()?.sql), ty).with_digits(Some((41, 0))),
            AggMeaning::SumNumeric => match arg()?.digits {
                Some((p, s)) if p <= 43 => Term::computed(format!("SUM({distinct_word}{})", arg()?.sql), ty).with_digits(Some((p + 22, s))),
                _ => return Err("sum of a numeric without a declared scale".into()),
            },
            AggMeaning::Min | AggMeaning::Max => {
                let of = arg()?;
                if of.ty.base == oid::NUMERIC && of.digits.is_none() && of.form != super::Form::Column {
                    return Err("the least or greatest of numerics of different scales".into());
                }
                let name = if meaning == AggMeaning::Min { "MIN" } else { "MAX" };
                Term::computed(format!("{name}({})", self.key(of)?), ty).with_digits(of.digits).with_chars(of.chars)
            }
            AggMeaning::AvgSmallInt | AggMeaning::AvgInt | AggMeaning::AvgNumeric => return Err("an average, which has another scale there".into()),
        })
    }

    fn key(&self, term: &Term) -> Result<String> {
        Ok(match term.ty.base {
            oid::BOOL | oid::INT2 | oid::INT4 | oid::INT8 | oid::DATE | oid::TIMESTAMP | oid::TIMESTAMPTZ => term.sql.clone(),
            oid::NUMERIC if term.digits.is_some() || term.form == super::Form::Column => term.sql.clone(),
            oid::TEXT | oid::VARCHAR if short(term) => bytes_of(term),
            oid::BPCHAR if short(term) => format!("CAST(RTRIM({}) AS BINARY)", utf8(term)),
            oid::TEXT | oid::VARCHAR | oid::BPCHAR => return Err(format!("a key of text that may be longer than {KEY_CHARS} characters")),
            _ => return Err("a key of this type".into()),
        })
    }

    fn order(&self, term: &Term, descending: bool, nulls_first: bool) -> Result<Vec<String>> {
        let key = self.key(term)?;
        let mut keys = Vec::new();
        // NULLs are the least there.
        if nulls_first == descending {
            keys.push(format!("({key} IS NULL){}", if nulls_first { " DESC" } else { "" }));
        }
        keys.push(format!("{key}{}", if descending { " DESC" } else { "" }));
        Ok(keys)
    }

    fn branch(&self, term: &Term) -> Result<String> {
        Ok(match term.ty.base {
            oid::TEXT | oid::VARCHAR => format!("{} COLLATE utf8mb4_bin", utf8(term)),
            oid::BPCHAR => return Err("CASE of type character".into()),
            _ => term.sql.clone(),
        })
    }

    fn returns(&self, ty: &PgType) -> bool {
        matches!(
            ty.base,
            oid::BOOL
                | oid::INT2
                | oid::INT4
                | oid::INT8
                | oid::FLOAT4
                | oid::FLOAT8
                | oid::NUMERIC
                | oid::TEXT
                | oid::VARCHAR
                | oid::BPCHAR
                | oid::BYTEA
                | oid::DATE
                | oid::TIME
                | oid::TIMESTAMP
                | oid::TIMESTAMPTZ
                | oid::UUID
                | oid::JSON
                | oid::JSONB
                | oid::ENUM
        )
    }

    fn limit(&self, limit: Option<&str>, offset: Option<&str>) -> String {
        match (limit, offset) {
            (None, None) => String::new(),
            (Some(n), None) => format!(" LIMIT {n}"),
            (n, Some(m)) => format!(" LIMIT {} OFFSET {m}", n.unwrap_or("18446744073709551615")),
        }
    }
}

/// Whether the bytes of any value fit a sort key.
fn short(term: &Term) -> bool {
    term.chars.is_some_and(|n| n <= KEY_CHARS)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_are_counted_as_postgres_counts() {
        for (day, ymd) in [(0, (1970, 1, 1)), (-1, (1969, 12, 31)), (19_782, (2024, 2, 29)), (-719_162, (1, 1, 1)), (2_932_896, (9999, 12, 31))] {
            assert_eq!(civil(day), ymd);
            assert_eq!(days(ymd.0, ymd.1, ymd.2), day);
        }
    }

    #[test]
    fn literals_cannot_be_left() {
        let lit = |s: &str| MySql.literal(&Scalar::Text(s.into()), &PgType::TEXT);
        assert_eq!(lit("it's").as_deref(), Ok("'it''s'"));
        assert_eq!(lit("\\").as_deref(), Ok("_utf8mb4 X'5C'"));
        assert_eq!(lit("\\' OR 1=1 -- ").as_deref().map(|s| s.contains("OR")), Ok(false));
        assert!(MySql.literal(&Scalar::Float8(f64::NAN), &PgType::FLOAT8).is_err());
        assert_eq!(MySql.ident("a`b").as_deref(), Ok("`a``b`"));
    }
}
