//! ClickHouse, in a session whose settings `engines::clickhouse` has fixed.
//!
//! Invariants:
//! - No integer arithmetic: it wraps around there. Decimals are made wide enough for every result before they are computed with; they are widened
//!   by a factor of 1, which neither rounds nor cuts, whatever the remote's type is.
//! - IN is told apart from NULLs by hand: there, NULLs in a list or a subquery match nothing and are forgotten.
//! - A correlated subquery becomes an outer join there, so that one without a row is NULL, also where it counts, and one with several rows is no
//!   error: only what is NULL of nothing, and has one row by nature, is pushed. The join is an equality of the outer columns, which NULL never passes:
//!   only what finds no row for NULL anyway is pushed.
//! - Rows are changed in the background under the settings of the server, not of the session: a condition for that has no subquery, and says
//!   itself what NULL in a list means; nothing in it, and no value, can fail there, since a change that has failed is tried again and again.
//! - A timestamp is an instant there; one without time zone is what the instant is in UTC.

use super::mysql::{civil, digits_of};
use super::{Assigned, Changed, CommonTable, Dialect, Form, Like, Result, Term, float, like_pattern};
use crate::descriptor::Options;
use crate::meaning::{AggMeaning, Class, Cmp, Meaning};
use weir_plan::ir::Scalar;
use weir_plan::types::{PgType, oid};

pub struct ClickHouse;

/// Rows of a table have at most so many digits.
const ROWS_DIGITS: u32 = 19;

pub fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\\', "\\\\").replace('\'', "\\'"))
}

/// Bits of the decimal type that holds so many digits.
fn width(digits: u32) -> Option<u32> {
    match digits {
        0..=18 => Some(64),
        19..=38 => Some(128),
        39..=76 => Some(256),
        _ => None,
    }
}

fn decimal(text: &str, bits: u32) -> Result<String> {
    let (_, scale) = digits_of(text).ok_or_else(|| format!("the number {text}"))?;
    Ok(format!("toDecimal{bits}('{text}', {scale})"))
}

/// The term with at least so many bits.
fn widened(term: &Term, bits: u32) -> Result<String> {
    match (&term.form, term.digits) {
        (Form::Literal(Scalar::Numeric(text)), _) => decimal(text, bits),
        // Integers are no decimals yet.
        (_, Some((p, s))) if s > 0 && width(p).is_some_and(|b| b >= bits) => Ok(term.sql.clone()),
        _ => Ok(format!("({} * toDecimal{bits}('1', 0))", term.sql)),
    }
}

fn special(v: f64) -> &'static str {
    match v {
        v if v.is_nan() => "nan",
        v if v > 0.0 => "inf",
        _ => "-inf",
    }
}

fn utc(term: &Term) -> String {
    format!("toDateTime64({}, 6, 'UTC')", term.sql)
}

fn trimmed(term: &Term) -> String {
    match &term.form {
        Form::Literal(_) => term.sql.clone(),
        _ => format!("trimRight({})", term.sql),
    }
}

/// What Date32 and DateTime64 hold.
fn date(day: i64) -> Result<String> {
    let (y, m, d) = civil(day);
    if !(1900..=2299).contains(&y) {
        return Err("a date outside of the years 1900 to 2299".into());
    }
    Ok(format!("{y:04}-{m:02}-{d:02}"))
}

fn micros_of_day(micros: i64) -> String {
    let s = micros / 1_000_000;
    format!("{:02}:{:02}:{:02}.{:06}", s / 3600, s / 60 % 60, s % 60, micros % 1_000_000)
}

fn numerics(cmp: Cmp, l: &Term, r: &Term) -> Result<String> {
    let (mut a, mut b) = (l.sql.clone(), r.sql.clone());
    if let (Some((lp, ls)), Some((rp, rs))) = (l.digits, r.digits) {
        // Both are brought to the larger scale there, in the wider type; what does not fit is an error.
        let digits = (lp - ls.min(lp)).max(rp - rs.min(rp)) + ls.max(rs);
        let bits = width(digits).ok_or("a comparison of numbers with too many digits")?;
        if r.constant().is_some() {
            b = widened(r, bits)?;
        } else {
            a = widened(l, bits)?;
        }
    }
    Ok(format!("({a} {} {b})", cmp.sql()))
}

impl Dialect for ClickHouse {
    fn ident(&self, name: &str) -> Result<String> {
        if name.is_empty() || name.contains(['\0', '\u{1}']) {
            return Err(format!("the identifier \"{name}\""));
        }
        Ok(format!("`{}`", name.replace('\\', "\\\\").replace('`', "\\`")))
    }

    fn table(&self, server: &Options, table: &[(String, String)], _schema: &str, name: &str) -> Result<String> {
        let own = |n: &str| table.iter().find(|(o, _)| o == n).map(|(_, v)| v.as_str());
        let database = own("database").or_else(|| server.text("database")).unwrap_or("default");
        Ok(format!("{}.{}", self.ident(database)?, self.ident(own("table_name").unwrap_or(name))?))
    }

    fn column(&self, sql: String, ty: PgType, options: &[(String, String)]) -> Term {
        let remote = options.iter().find(|(o, _)| o == "remote_type").map_or("", |(_, v)| v.as_str());
        let sql = match ty.base {
            // An Enum is ordered by its numbers.
            oid::TEXT | oid::VARCHAR | oid::ENUM if remote.contains("Enum") => format!("toString({sql})"),
            // An integer of 128 bits has no type in Arrow.
            oid::NUMERIC if remote.contains("Int128") => format!("({sql} * toDecimal256('1', 0))"),
            _ => sql,
        };
        Term::column(sql, ty)
    }

    fn keeps_type(&self, remote: &str) -> bool {
        remote.contains("Enum") || remote.contains("Int128")
    }

    fn output(&self, term: &Term) -> String {
        match term.ty.base {
            oid::BOOL => format!("toBool({})", term.sql),
            // Fails for what is no timestamp.
            oid::TIMESTAMP | oid::TIMESTAMPTZ => format!("toTimeZone({}, 'UTC')", term.sql),
            oid::UUID => format!("toString({})", term.sql),
            _ => term.sql.clone(),
        }
    }

    fn literal(&self, value: &Scalar, ty: &PgType) -> Result<String> {
        Ok(match value {
            Scalar::Null => "NULL".into(),
            Scalar::Bool(b) => b.to_string(),
            Scalar::Int2(v) => format!("toInt16({v})"),
            Scalar::Int4(v) => format!("toInt32({v})"),
            Scalar::Int8(v) => format!("toInt64({v})"),
            Scalar::Float8(v) if v.is_finite() => format!("toFloat64({v:e})"),
            Scalar::Numeric(text) => {
                let (digits, _) = digits_of(text).ok_or_else(|| format!("the number {text}"))?;
                decimal(text, width(digits).ok_or_else(|| format!("the number {text}"))?)?
            }
            Scalar::Text(text) if ty.is_text_like() => quoted(text),
            Scalar::Bytes(b) => format!("unhex('{}')", b.iter().map(|b| format!("{b:02X}")).collect::<String>()),
            Scalar::Uuid(u) => format!("toUUID('{}')", hyphenated(u)),
            Scalar::Date(d) => format!("toDate32('{}')", date(i64::from(*d))?),
            Scalar::Timestamp(us) => {
                let day = date(us.div_euclid(86_400_000_000))?;
                format!("toDateTime64('{day} {}', 6, 'UTC')", micros_of_day(us.rem_euclid(86_400_000_000)))
            }
            _ => return Err("a constant of this type".into()),
        })
    }

    fn value(&self, value: &Scalar, ty: &PgType) -> Result<String> {
        Ok(match value {
            Scalar::Float4(v) if v.is_finite() => format!("toFloat32({v:e})"),
            Scalar::Float4(v) => format!("toFloat32({})", special(f64::from(*v))),
            Scalar::Float8(v) if !v.is_finite() => special(*v).into(),
            Scalar::Array(items) => {
                let element = ty.element().ok_or("an array of this type")?;
                format!("[{}]", items.iter().map(|item| self.value(item, &element)).collect::<Result<Vec<_>>>()?.join(", "))
            }
            other => self.literal(other, ty)?,
        })
    }

    fn key_is(&self, column: &str, value: &Scalar, ty: &PgType) -> Result<String> {
        match value {
            Scalar::Float4(_) | Scalar::Float8(_) => Err("a key of floating point numbers".into()),
            Scalar::Array(_) => Err("a key of arrays".into()),
            _ if ty.base == oid::BPCHAR => Ok(format!("trimRight({column}) = {}", self.value(value, ty)?)),
            _ => Ok(format!("{column} = {}", self.value(value, ty)?)),
        }
    }

    fn key_in(&self, column: &str, values: &[Scalar], ty: &PgType) -> Option<Result<String>> {
        if !matches!(ty.base, oid::INT2 | oid::INT4 | oid::INT8 | oid::TEXT | oid::VARCHAR | oid::UUID) {
            return None;
        }
        let list = values.iter().map(|v| self.value(v, ty)).collect::<Result<Vec<_>>>();
        Some(list.map(|list| format!("{column} IN ({})", list.join(", "))))
    }

    fn modifies(&self) -> bool {
        true
    }

    fn modifies_at_once(&self) -> bool {
        true
    }

    fn tells_changed(&self) -> bool {
        false
    }

    fn changes_later(&self) -> bool {
        true
    }

    fn changed_columns(&self) -> Changed {
        Changed::Table
    }

    /// Ends with a condition, to which the client adds what tells one change from others.
    fn update(&self, table: &str, set: &[String], filter: Option<&str>) -> Result<String> {
        Ok(format!("ALTER TABLE {table} UPDATE {} WHERE ({})", set.join(", "), filter.unwrap_or("true")))
    }

    fn delete(&self, table: &str, filter: Option<&str>) -> Result<String> {
        Ok(format!("DELETE FROM {table} WHERE ({})", filter.unwrap_or("true")))
    }

    /// Values are cast to the column's type there, whatever is lost: what is lost is found before.
    fn count_changed(&self, table: &str, filter: Option<&str>, set: &[Assigned]) -> Result<Option<String>> {
        let mut holds = Vec::new();
        for a in set {
            let (value, cast) = (&a.value, format!("CAST({}, toTypeName({table}.{}))", a.value, a.ident));
            let same = format!("{cast} IS NOT DISTINCT FROM {value}");
            let same = match a.ty.base {
                oid::FLOAT4 | oid::FLOAT8 => format!("({same} OR isNaN({value}))"),
                // A string of fixed length fills up with zero bytes.
                oid::BYTEA => format!("({same} AND length({cast}) IS NOT DISTINCT FROM length({value}))"),
                _ if a.ty.is_text_like() => format!("({same} AND position(toTypeName({table}.{}), 'FixedString') = 0)", a.ident),
                _ if a.ty.element().is_some() => return Err("an array that is assigned".into()),
                _ => format!("({same})"),
            };
            holds.push(format!("NOT throwIf(NOT {same}, {})", quoted(&format!("a value of column \"{}\" does not fit its remote type", a.name))));
        }
        let count = if holds.is_empty() { "count()".into() } else { format!("countIf({})", holds.join(" AND ")) };
        Ok(Some(format!("SELECT {count} FROM {table}{}", filter.map(|f| format!(" WHERE {f}")).unwrap_or_default())))
    }

    /// Each DELETE writes parts of the table anew.
    fn deleted_rows(&self) -> usize {
        1000
    }

    fn by_chance(&self, share: f64) -> Option<String> {
        Some(format!("(rand() < {})", (share * 4_294_967_296.0) as u64))
    }

    fn decimal_limits(&self) -> (u32, u32) {
        (76, 76)
    }

    fn operands(&self, left: &Term, right: &Term, digits: (u32, u32)) -> Result<(String, String)> {
        let bits = width(digits.0).ok_or("arithmetic of more digits than its decimals have")?;
        // The result has the wider type of both.
        if right.constant().is_some() { Ok((left.sql.clone(), widened(right, bits)?)) } else { Ok((widened(left, bits)?, right.sql.clone())) }
    }

    fn negated(&self, term: &Term) -> Result<String> {
        Ok(format!("(-{})", widened(term, term.digits.and_then(|(p, _)| width(p)).ok_or("a numeric with too many digits")?)?))
    }

    /// It is put in wherever it is read.
    fn common_table(&self) -> Option<CommonTable> {
        Some(CommonTable::Each)
    }

    /// So that all read the same parts of a table. An old server does not know it, which is an error.
    fn after_common_tables(&self) -> &'static str {
        " SETTINGS enable_shared_storage_snapshot_in_query = 1"
    }

    fn nests_joins(&self) -> bool {
        false
    }

    /// "Correlated subqueries in aggregate function argument are not supported."
    fn aggregates_subqueries(&self) -> bool {
        false
    }

    /// "Correlated subqueries in join expression are not supported."
    fn joins_by_subqueries(&self) -> bool {
        false
    }

    fn correlates_by_join(&self) -> bool {
        true
    }

    fn outer_join(&self, has_equality: bool) -> Result<()> {
        if has_equality { Ok(()) } else { Err("an outer join without an equality".into()) }
    }

    /// With `group_by_use_nulls`, what a set does not group by is NULL.
    fn has_grouping_sets(&self) -> bool {
        true
    }

    fn ranks(&self) -> bool {
        true
    }

    fn comparable(&self, class: Class, term: &Term) -> Result<String> {
        Ok(match class {
            Class::Bool | Class::Int | Class::Numeric | Class::Date | Class::Timestamp | Class::Timestamptz | Class::Text => term.sql.clone(),
            Class::DateTimestamp => utc(term),
            Class::Bpchar => trimmed(term),
            Class::Float8 | Class::Bytes | Class::Time | Class::Uuid => return Err("a comparison of this type".into()),
        })
    }

    fn compare(&self, cmp: Cmp, class: Class, left: &Term, right: &Term) -> Result<String> {
        match class {
            Class::Float8 => Ok(float::compare(cmp, left, right, "isNaN")),
            Class::Numeric => numerics(cmp, left, right),
            _ => Ok(format!("({} {} {})", self.comparable(class, left)?, cmp.sql(), self.comparable(class, right)?)),
        }
    }

    fn in_list(&self, any: bool, class: Class, left: &Term, items: &[Term]) -> Result<String> {
        let (cmp, with, not) = if any { (Cmp::Eq, " OR ", "") } else { (Cmp::Ne, " AND ", "NOT ") };
        let is_null = |t: &&Term| matches!(t.constant(), Some(Scalar::Null));
        let (nulls, values): (Vec<&Term>, Vec<&Term>) = items.iter().partition(is_null);
        let mut parts = Vec::new();
        if matches!(class, Class::Int | Class::Text) && values.len() > 3 && values.iter().all(|t| t.constant().is_some()) {
            let list = values.iter().map(|t| self.comparable(class, t)).collect::<Result<Vec<_>>>()?;
            parts.push(format!("{} {not}IN ({})", self.comparable(class, left)?, list.join(", ")));
        } else {
            for item in values {
                parts.push(self.compare(cmp, class, left, item)?);
            }
        }
        if !nulls.is_empty() {
            parts.push("NULL".into());
        }
        Ok(format!("({})", parts.join(with)))
    }

    fn in_subquery(
        &self,
        any: bool,
        classes: &[Class],
        left: &[String],
        correlated: bool,
        list: &[String],
        render: &dyn Fn(&[String]) -> Result<String>,
    ) -> Result<String> {
        let ([class], [left], [item]) = (classes, left, list) else { return Err("IN with several columns".into()) };
        if correlated || !matches!(class, Class::Int | Class::Text | Class::Bpchar | Class::Date) {
            return Err("IN with such a subquery".into());
        }
        let rows = render(std::slice::from_ref(item))?;
        let named = render(&[format!("{item} AS v")])?;
        let (yes, no) = if any { ("true", "false") } else { ("false", "true") };
        Ok(format!(
            "(CASE WHEN {left} IN ({rows}) THEN {yes} WHEN EXISTS (SELECT 1 FROM ({named}) AS s WHERE s.v IS NULL) OR ({left} IS NULL AND EXISTS ({rows})) THEN NULL ELSE {no} END)"
        ))
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
                let digits = match of.ty.base {
                    oid::INT2 => (5, 0),
                    oid::INT4 => (10, 0),
                    _ => (19, 0),
                };
                Term { ty, digits: Some(digits), form: Form::Computed, ..of.clone() }
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
                        Like::Char(c @ ('%' | '_' | '\\')) => ours.extend(['\\', c]),
                        Like::Char(c) => ours.push(c),
                    }
                }
                let not = if negated { "NOT " } else { "" };
                Term::computed(format!("({} {not}LIKE {})", text.sql, quoted(&ours)), ty)
            }
            Meaning::ExtractDate | Meaning::ExtractTimestamp => {
                let Some(Scalar::Text(field)) = arg(0)?.constant() else { return Err("extract with a field that is not a constant".into()) };
                let (function, digits) = match (field.to_ascii_lowercase().as_str(), meaning) {
                    ("year", _) => ("toYear", 4),
                    ("month", _) => ("toMonth", 2),
                    ("day", _) => ("toDayOfMonth", 2),
                    ("quarter", _) => ("toQuarter", 1),
                    ("hour", Meaning::ExtractTimestamp) => ("toHour", 2),
                    ("minute", Meaning::ExtractTimestamp) => ("toMinute", 2),
                    _ => return Err(format!("extract(\"{field}\")")),
                };
                let of = if meaning == Meaning::ExtractTimestamp { utc(arg(1)?) } else { arg(1)?.sql.clone() };
                Term::computed(format!("{function}({of})"), ty).with_digits(Some((digits, 0)))
            }
            Meaning::Substring => {
                let (start, count) = (int(1)?, int(2)?);
                if start < 1 || count < 0 || arg(0)?.ty.base == oid::BPCHAR {
                    return Err("substring that begins before the text".into());
                }
                Term::computed(format!("substringUTF8({}, {start}, {count})", arg(0)?.sql), ty).with_chars(usize::try_from(count).ok())
            }
            Meaning::BpcharToText => Term::computed(trimmed(arg(0)?), ty).with_chars(arg(0)?.chars),
            Meaning::DateToTimestamp => Term::computed(utc(arg(0)?), ty),
            Meaning::Compare(..) | Meaning::NumericArith(_) | Meaning::NumericNegate => return Err("an operator as a function".into()),
        })
    }

    fn aggregate(&self, meaning: AggMeaning, arg: Option<&Term>, distinct: bool, ty: PgType) -> Result<Term> {
        let distinct_word = if distinct { "DISTINCT " } else { "" };
        let arg = || arg.ok_or_else(|| "an argument that is missing".to_string());
        Ok(match meaning {
            AggMeaning::CountStar => Term::computed("count()".into(), ty),
            AggMeaning::Count if distinct => Term::computed(format!("count(DISTINCT {})", self.key(arg()?)?), ty),
            AggMeaning::Count => Term::computed(format!("count({})", arg()?.sql), ty),
            // As many int2 as overflow 64 bits are in no table; of int4, there may be.
            AggMeaning::SumSmallInt if arg()?.ty.base == oid::INT2 => Term::computed(format!("sum({distinct_word}{})", arg()?.sql), ty),
            AggMeaning::SumSmallInt | AggMeaning::SumInt => {
                let digits = if meaning == AggMeaning::SumInt { Some((38, 0)) } else { None };
                Term::computed(format!("sum({distinct_word}toDecimal128({}, 0))", arg()?.sql), ty).with_digits(digits)
            }
            AggMeaning::SumNumeric => {
                let of = arg()?;
                let Some((p, s)) = of.digits.filter(|(p, _)| p + ROWS_DIGITS <= 76) else { return Err("sum of a numeric without a declared scale".into()) };
                // A decimal of 64 bits is summed up in 128.
                let enough = s > 0 && p + ROWS_DIGITS <= 38;
                let sql = if enough { of.sql.clone() } else { widened(of, width(p + ROWS_DIGITS).unwrap_or(256))? };
                Term::computed(format!("sum({distinct_word}{sql})"), ty).with_digits(Some((p + ROWS_DIGITS, s)))
            }
            AggMeaning::Min | AggMeaning::Max => {
                let of = arg()?;
                if of.ty.base == oid::NUMERIC && of.digits.is_none() && of.form != Form::Column {
                    return Err("the least or greatest of numerics of different scales".into());
                }
                let name = if meaning == AggMeaning::Min { "min" } else { "max" };
                Term::computed(format!("{name}({})", self.key(of)?), ty).with_digits(of.digits).with_chars(of.chars)
            }
            AggMeaning::AvgSmallInt | AggMeaning::AvgInt | AggMeaning::AvgNumeric => return Err("an average, which has another scale there".into()),
        })
    }

    /// What has rows for certain needs no flag for each group that tells whether it had any: to set it takes a tenth of an aggregation's time.
    fn of_nothing(&self, aggregate: Term) -> Term {
        match aggregate.sql.split_once('(') {
            Some((name @ ("sum" | "min" | "max"), rest)) => Term { sql: format!("{name}OrNull({rest}"), ..aggregate },
            _ => aggregate,
        }
    }

    fn key(&self, term: &Term) -> Result<String> {
        Ok(match term.ty.base {
            oid::BOOL | oid::INT2 | oid::INT4 | oid::INT8 | oid::DATE | oid::TIMESTAMP | oid::TIMESTAMPTZ | oid::TEXT | oid::VARCHAR => term.sql.clone(),
            oid::NUMERIC if term.digits.is_some() || term.form == Form::Column => term.sql.clone(),
            oid::BPCHAR => trimmed(term),
            _ => return Err("a key of this type".into()),
        })
    }

    fn order(&self, term: &Term, descending: bool, nulls_first: bool) -> Result<Vec<String>> {
        let direction = if descending { "DESC" } else { "ASC" };
        Ok(vec![format!("{} {direction} NULLS {}", self.key(term)?, if nulls_first { "FIRST" } else { "LAST" })])
    }

    fn branch(&self, term: &Term) -> Result<String> {
        match (term.ty.base, &term.form) {
            (oid::BPCHAR, _) => Err("CASE of type character".into()),
            // Signed and unsigned integers of 64 bits have no type in common, nor have integers and wide decimals.
            (oid::INT8, Form::Computed) => Ok(format!("toInt64({})", term.sql)),
            (oid::NUMERIC, form) if !matches!(form, Form::Literal(_)) && matches!(term.digits, Some((_, 0))) => {
                widened(term, term.digits.and_then(|(p, _)| width(p)).ok_or("a numeric with too many digits")?)
            }
            _ => Ok(term.sql.clone()),
        }
    }

    fn returns(&self, ty: &PgType) -> bool {
        if let Some(element) = ty.element() {
            return matches!(element.base, oid::BOOL | oid::INT2 | oid::INT4 | oid::INT8 | oid::FLOAT4 | oid::FLOAT8 | oid::TEXT);
        }
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
                | oid::TIMESTAMP
                | oid::TIMESTAMPTZ
                | oid::UUID
                | oid::JSON
                | oid::JSONB
                | oid::ENUM
        )
    }
}

/// A UUID in its usual form.
pub fn hyphenated(uuid: &[u8; 16]) -> String {
    let mut text = String::new();
    for (i, b) in uuid.iter().enumerate() {
        if matches!(i, 4 | 6 | 8 | 10) {
            text.push('-');
        }
        text.push_str(&format!("{b:02x}"));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn column(ty: PgType, digits: Option<(u32, u32)>) -> Term {
        Term { sql: "t.`a`".into(), ty, form: Form::Column, digits, chars: None }
    }

    fn constant(value: Scalar, ty: PgType) -> Term {
        let digits = if let Scalar::Numeric(t) = &value { digits_of(t) } else { None };
        Term { sql: ClickHouse.literal(&value, &ty).expect("a literal"), ty, form: Form::Literal(value), digits, chars: None }
    }

    #[test]
    fn literals_cannot_be_left() {
        let lit = |s: &str| ClickHouse.literal(&Scalar::Text(s.into()), &PgType::TEXT);
        assert_eq!(lit("it's").as_deref(), Ok("'it\\'s'"));
        assert_eq!(lit("\\' OR 1=1").as_deref(), Ok("'\\\\\\' OR 1=1'"));
        assert_eq!(ClickHouse.ident("a`b\\").as_deref(), Ok("`a\\`b\\\\`"));
        assert_eq!(ClickHouse.literal(&Scalar::Timestamp(1), &PgType::TIMESTAMPTZ).as_deref(), Ok("toDateTime64('1970-01-01 00:00:00.000001', 6, 'UTC')"));
        assert!(ClickHouse.literal(&Scalar::Date(i32::MAX), &PgType::DATE).is_err());
        assert!(ClickHouse.literal(&Scalar::Float8(f64::NAN), &PgType::FLOAT8).is_err());
    }

    #[test]
    fn of_nothing_aggregates_are_null_but_for_counts() {
        let n = column(PgType::INT8, None);
        let of = |meaning, arg, distinct| ClickHouse.aggregate(meaning, arg, distinct, PgType::INT8).map(|t| ClickHouse.of_nothing(t).sql);
        assert_eq!(of(AggMeaning::SumInt, Some(&n), true).as_deref(), Ok("sumOrNull(DISTINCT toDecimal128(t.`a`, 0))"));
        assert_eq!(of(AggMeaning::Min, Some(&n), false).as_deref(), Ok("minOrNull(t.`a`)"));
        assert_eq!(of(AggMeaning::Max, Some(&n), false).as_deref(), Ok("maxOrNull(t.`a`)"));
        assert_eq!(of(AggMeaning::CountStar, None, false).as_deref(), Ok("count()"));
        assert_eq!(of(AggMeaning::Count, Some(&n), true).as_deref(), Ok("count(DISTINCT t.`a`)"));
    }

    #[test]
    fn decimals_are_as_wide_as_their_results() {
        let (a, one) = (column(PgType::NUMERIC, Some((12, 2))), constant(Scalar::Numeric("1".into()), PgType::NUMERIC));
        assert_eq!(ClickHouse.operands(&a, &one, (15, 2)), Ok(("t.`a`".into(), "toDecimal64('1', 0)".into())));
        assert_eq!(ClickHouse.operands(&one, &a, (24, 4)), Ok(("toDecimal128('1', 0)".into(), "t.`a`".into())));
        assert_eq!(ClickHouse.operands(&a, &a, (24, 4)), Ok(("(t.`a` * toDecimal128('1', 0))".into(), "t.`a`".into())));
        let far = constant(Scalar::Numeric("0.00000000000000000001".into()), PgType::NUMERIC);
        assert_eq!(numerics(Cmp::Eq, &a, &far).as_deref(), Ok("(t.`a` = toDecimal128('0.00000000000000000001', 20))"));
    }

    #[test]
    fn nulls_in_lists_are_kept() {
        let (a, five) = (column(PgType::INT4, None), constant(Scalar::Int4(5), PgType::INT4));
        let null = Term { form: Form::Literal(Scalar::Null), sql: "NULL".into(), ..five.clone() };
        assert_eq!(ClickHouse.in_list(true, Class::Int, &a, &[five.clone(), null.clone()]).as_deref(), Ok("((t.`a` = toInt32(5)) OR NULL)"));
        assert_eq!(ClickHouse.in_list(false, Class::Int, &a, &[five, null]).as_deref(), Ok("((t.`a` <> toInt32(5)) AND NULL)"));
    }
}
