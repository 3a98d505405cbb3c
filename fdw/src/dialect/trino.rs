//! Trino. Source: the functions, types and language sections of its documentation.
//!
//! Invariants:
//! - Numbers overflow there with an error, as in Postgres. Decimals end at 38 digits: what turns out to need more is an error there, too, after
//!   which Postgres computes it.
//! - varchar is compared by code points, which is byte order, and trailing blanks count; char(n) is compared without them, as varchar here.
//! - A timestamp with time zone is returned in UTC, so that no name of a zone has to be understood, and no hour is there twice.

use super::mysql::{civil, digits_of};
use super::{Assigned, Changed, Dialect, Form, Like, Result, Term, float, like_pattern};
use crate::descriptor::Options;
use crate::meaning::{AggMeaning, Arith, Class, Cmp, Meaning};
use weir_plan::ir::{BoolTest, Scalar};
use weir_plan::types::{PgType, oid};

pub struct Trino;

/// Digits of its decimals.
const DIGITS: u32 = 38;

fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}

fn date(day: i64) -> Result<String> {
    let (y, m, d) = civil(day);
    if !(1..=9999).contains(&y) {
        return Err("a date outside of the years 1 to 9999".into());
    }
    Ok(format!("{y:04}-{m:02}-{d:02}"))
}

fn clock(micros: i64) -> String {
    let s = micros / 1_000_000;
    format!("{:02}:{:02}:{:02}.{:06}", s / 3600, s / 60 % 60, s % 60, micros % 1_000_000)
}

fn special(v: f64) -> &'static str {
    match v {
        v if v.is_nan() => "nan()",
        v if v > 0.0 => "infinity()",
        _ => "-infinity()",
    }
}

/// Elements of arrays that are read and written.
fn element_name(ty: &PgType) -> Option<&'static str> {
    Some(match ty.base {
        oid::BOOL => "boolean",
        oid::INT2 => "smallint",
        oid::INT4 => "integer",
        oid::INT8 => "bigint",
        oid::FLOAT4 => "real",
        oid::FLOAT8 => "double",
        oid::TEXT | oid::VARCHAR => "varchar",
        oid::DATE => "date",
        oid::TIMESTAMP => "timestamp(6)",
        oid::UUID => "uuid",
        _ => return None,
    })
}

/// Without trailing blanks, as varchar.
fn trimmed(term: &Term) -> String {
    match &term.form {
        Form::Literal(_) => term.sql.clone(),
        _ => format!("trim(TRAILING ' ' FROM CAST({} AS varchar))", term.sql),
    }
}

/// Digits that both sides of a comparison need when they are brought to one type.
fn common_digits(l: &Term, r: &Term) -> u32 {
    match (l.digits, r.digits) {
        (Some((lp, ls)), Some((rp, rs))) => (lp - ls.min(lp)).max(rp - rs.min(rp)) + ls.max(rs),
        // One of a type whose digits are not known: the engine's own are.
        _ => 0,
    }
}

/// Whether both fit in what they are compared as, if one is a sum, which by far does not have all the digits it could have: if it has, the cast
/// is an error.
fn has_room(l: &Term, r: &Term) -> bool {
    const WHOLE_DIGITS: u32 = 24;
    let of = |t: &Term| t.digits.is_some_and(|(p, s)| (p == DIGITS && t.form == Form::Computed) || p - s.min(p) <= WHOLE_DIGITS);
    let scale = l.digits.map_or(0, |d| d.1).max(r.digits.map_or(0, |d| d.1));
    scale + WHOLE_DIGITS <= DIGITS && of(l) && of(r)
}

impl Dialect for Trino {
    fn ident(&self, name: &str) -> Result<String> {
        if name.is_empty() || name.contains(['\0', '\u{1}']) {
            return Err(format!("the identifier \"{name}\""));
        }
        Ok(format!("\"{}\"", name.replace('"', "\"\"")))
    }

    fn table(&self, server: &Options, table: &[(String, String)], local_schema: &str, name: &str) -> Result<String> {
        let own = |n: &str| table.iter().find(|(o, _)| o == n).map(|(_, v)| v.as_str());
        let catalog = own("catalog").or_else(|| server.text("catalog")).ok_or("neither server nor foreign table has the option \"catalog\"")?;
        let schema = own("schema").or_else(|| server.text("schema")).unwrap_or(local_schema);
        Ok(format!("{}.{}.{}", self.ident(catalog)?, self.ident(schema)?, self.ident(own("table_name").unwrap_or(name))?))
    }

    fn output(&self, term: &Term) -> String {
        match term.ty.base {
            oid::TIMESTAMPTZ => format!("at_timezone({}, 'UTC')", term.sql),
            _ => term.sql.clone(),
        }
    }

    fn literal(&self, value: &Scalar, ty: &PgType) -> Result<String> {
        Ok(match value {
            Scalar::Null => "NULL".into(),
            Scalar::Bool(b) => b.to_string(),
            Scalar::Int2(v) => format!("SMALLINT '{v}'"),
            Scalar::Int4(v) => format!("INTEGER '{v}'"),
            Scalar::Int8(v) => format!("BIGINT '{v}'"),
            Scalar::Float8(v) if v.is_finite() => format!("DOUBLE '{v:e}'"),
            Scalar::Numeric(text) => match digits_of(text) {
                Some((p, s)) if p <= DIGITS && s <= p => format!("DECIMAL '{text}'"),
                _ => return Err(format!("the number {text}")),
            },
            // The character that marks parameters, by its code.
            Scalar::Text(text) if ty.is_text_like() && text.contains(super::PARAMETER_MARK) => {
                format!("U&{}", quoted(&text.replace('\\', "\\\\").replace(super::PARAMETER_MARK, "\\0001")))
            }
            Scalar::Text(text) if ty.is_text_like() => quoted(text),
            Scalar::Date(d) => format!("DATE '{}'", date(i64::from(*d))?),
            Scalar::Timestamp(us) => {
                let zone = if ty.base == oid::TIMESTAMPTZ { " UTC" } else { "" };
                format!("TIMESTAMP '{} {}{zone}'", date(us.div_euclid(86_400_000_000))?, clock(us.rem_euclid(86_400_000_000)))
            }
            _ => return Err("a constant of this type".into()),
        })
    }

    fn value(&self, value: &Scalar, ty: &PgType) -> Result<String> {
        Ok(match value {
            Scalar::Float4(v) if v.is_finite() => format!("REAL '{v:e}'"),
            Scalar::Float4(v) => format!("CAST({} AS real)", special(f64::from(*v))),
            Scalar::Float8(v) if !v.is_finite() => special(*v).into(),
            Scalar::Text(text) if matches!(ty.base, oid::JSON | oid::JSONB) => format!("JSON {}", quoted(text)),
            Scalar::Bytes(b) => format!("X'{}'", b.iter().map(|b| format!("{b:02X}")).collect::<String>()),
            Scalar::Uuid(u) => format!("UUID '{}'", super::clickhouse::hyphenated(u)),
            Scalar::Time(86_400_000_000..) => return Err("the time 24:00".into()),
            Scalar::Time(us) => format!("TIME '{}'", clock(*us)),
            Scalar::Array(items) => {
                let element = ty.element().ok_or("an array of this type")?;
                let name = element_name(&element).ok_or("an array of this type")?;
                let items = items.iter().map(|item| self.value(item, &element)).collect::<Result<Vec<_>>>()?;
                format!("CAST(ARRAY[{}] AS array({name}))", items.join(", "))
            }
            other => self.literal(other, ty)?,
        })
    }

    fn key_is(&self, column: &str, value: &Scalar, ty: &PgType) -> Result<String> {
        match value {
            Scalar::Float4(_) | Scalar::Float8(_) => Err("a key of floating point numbers".into()),
            Scalar::Text(text) if ty.base == oid::BPCHAR => Ok(format!("trim(TRAILING ' ' FROM CAST({column} AS varchar)) = {}", quoted(text))),
            _ => Ok(format!("{column} = {}", self.value(value, ty)?)),
        }
    }

    fn modifies(&self) -> bool {
        true
    }

    fn modifies_at_once(&self) -> bool {
        true
    }

    fn changed_columns(&self) -> Changed {
        Changed::Bare
    }

    /// Of any two integers of one type, or an error.
    fn checked_int(&self, op: Arith, left: &Term, right: &Term, ty: &PgType) -> Result<String> {
        let same = left.ty.base == ty.base && right.ty.base == ty.base;
        if same { Ok(format!("({} {} {})", left.sql, op.sign(), right.sql)) } else { Err("arithmetic of two types in an assignment".into()) }
    }

    /// For connectors that delete without counting; what others report is what counts.
    fn count_changed(&self, table: &str, filter: Option<&str>, _set: &[Assigned]) -> Result<Option<String>> {
        Ok(Some(format!("SELECT count(*) FROM {table}{}", filter.map(|f| format!(" WHERE {f}")).unwrap_or_default())))
    }

    fn marks_parameters(&self) -> bool {
        true
    }

    fn by_chance(&self, share: f64) -> Option<String> {
        Some(format!("random() < DOUBLE '{share:e}'"))
    }

    fn decimal_limits(&self) -> (u32, u32) {
        (DIGITS, DIGITS)
    }

    /// Exact, or an error where the result needs more digits than there are.
    fn decimal(&self, op: Arith, l: &Term, r: &Term, digits: (u32, u32), _folded: bool) -> Result<(String, (u32, u32))> {
        if digits.1 > DIGITS {
            return Err("arithmetic of more digits than its decimals have".into());
        }
        let sign = op.sign();
        Ok((format!("({} {sign} {})", l.sql, r.sql), (digits.0.min(DIGITS), digits.1)))
    }

    fn bool_test(&self, test: BoolTest, arg: &str) -> String {
        match test {
            BoolTest::IsTrue => format!("({arg} IS NOT DISTINCT FROM true)"),
            BoolTest::IsNotTrue => format!("({arg} IS DISTINCT FROM true)"),
            BoolTest::IsFalse => format!("({arg} IS NOT DISTINCT FROM false)"),
            BoolTest::IsNotFalse => format!("({arg} IS DISTINCT FROM false)"),
            BoolTest::IsUnknown => format!("({arg} IS NULL)"),
            BoolTest::IsNotUnknown => format!("({arg} IS NOT NULL)"),
        }
    }

    fn has_grouping_sets(&self) -> bool {
        true
    }

    /// "Only column names are allowed."
    fn sets_of_columns(&self) -> bool {
        true
    }

    fn ranks(&self) -> bool {
        true
    }

    fn comparable(&self, class: Class, term: &Term) -> Result<String> {
        Ok(match class {
            Class::Bool | Class::Int | Class::Numeric | Class::Date | Class::Timestamp | Class::Timestamptz | Class::Text => term.sql.clone(),
            Class::DateTimestamp => format!("CAST({} AS timestamp(6))", term.sql),
            Class::Bpchar => trimmed(term),
            Class::Float8 | Class::Bytes | Class::Time | Class::Uuid => return Err("a comparison of this type".into()),
        })
    }

    fn compare(&self, cmp: Cmp, class: Class, left: &Term, right: &Term) -> Result<String> {
        match class {
            Class::Float8 => return Ok(float::compare(cmp, left, right, "is_nan")),
            Class::Numeric if common_digits(left, right) > DIGITS && !has_room(left, right) => {
                return Err("a comparison of numbers with too many digits".into());
            }
            _ => {}
        }
        Ok(format!("({} {} {})", self.comparable(class, left)?, cmp.sql(), self.comparable(class, right)?))
    }

    fn in_list(&self, any: bool, class: Class, left: &Term, items: &[Term]) -> Result<String> {
        if class == Class::Numeric {
            // All are brought to one type, whatever their number.
            let scale = items.iter().chain([left]).filter_map(|t| t.digits).map(|(_, s)| s).max().unwrap_or(0);
            let whole = items.iter().chain([left]).filter_map(|t| t.digits).map(|(p, s)| p - s.min(p)).max().unwrap_or(0);
            if whole + scale > DIGITS {
                return Err("a comparison of numbers with too many digits".into());
            }
        }
        let items = items.iter().map(|item| self.comparable(class, item)).collect::<Result<Vec<_>>>()?;
        Ok(format!("({} {}IN ({}))", self.comparable(class, left)?, if any { "" } else { "NOT " }, items.join(", ")))
    }

    fn in_subquery(
        &self,
        any: bool,
        classes: &[Class],
        left: &[String],
        _correlated: bool,
        list: &[String],
        render: &dyn Fn(&[String]) -> Result<String>,
    ) -> Result<String> {
        if classes.contains(&Class::Numeric) {
            return Err("IN with a subquery of numbers".into());
        }
        let left = if let [one] = left { one.clone() } else { format!("({})", left.join(", ")) };
        Ok(format!("({left} {}IN ({}))", if any { "" } else { "NOT " }, render(list)?))
    }

    fn call(&self, meaning: Meaning, args: &[Term], ty: PgType) -> Result<Term> {
        let arg = |i: usize| args.get(i).ok_or_else(|| "an argument that is missing".to_string());
        let int = |i: usize| match arg(i)?.constant() {
            Some(Scalar::Int4(v)) => Ok(*v),
            _ => Err("an argument that is not a constant".to_string()),
        };
        Ok(match meaning {
            Meaning::WidenInt => Term::computed(format!("CAST({} AS {})", arg(0)?.sql, if ty.base == oid::INT8 { "bigint" } else { "integer" }), ty),
            Meaning::IntToNumeric => {
                let of = arg(0)?;
                let digits = match of.ty.base {
                    oid::INT2 => 5,
                    oid::INT4 => 10,
                    _ => 19,
                };
                Term::computed(format!("CAST({} AS decimal({digits}, 0))", of.sql), ty).with_digits(Some((digits, 0)))
            }
            Meaning::Like { negated } => {
                let (text, pattern) = (arg(0)?, arg(1)?);
                let Some(Scalar::Text(pattern)) = pattern.constant() else { return Err("LIKE with a pattern that is not a constant".into()) };
                if text.ty.base == oid::BPCHAR {
                    return Err("LIKE on type character".into());
                }
                let (mut ours, mut escaped) = (String::new(), false);
                for part in like_pattern(pattern)? {
                    match part {
                        Like::Any => ours.push('%'),
                        Like::One => ours.push('_'),
                        Like::Char(c @ ('%' | '_' | '|')) => {
                            escaped = true;
                            ours.extend(['|', c]);
                        }
                        Like::Char(c) => ours.push(c),
                    }
                }
                let escape = if escaped { " ESCAPE '|'" } else { "" };
                let not = if negated { "NOT " } else { "" };
                Term::computed(format!("({} {not}LIKE {}{escape})", text.sql, quoted(&ours)), ty)
            }
            Meaning::ExtractDate | Meaning::ExtractTimestamp => {
                let Some(Scalar::Text(field)) = arg(0)?.constant() else { return Err("extract with a field that is not a constant".into()) };
                let (function, digits) = match (field.to_ascii_lowercase().as_str(), meaning) {
                    // A year before 1 is counted in another way.
                    ("month", _) => ("month", 2),
                    ("day", _) => ("day", 2),
                    ("quarter", _) => ("quarter", 1),
                    ("hour", Meaning::ExtractTimestamp) => ("hour", 2),
                    ("minute", Meaning::ExtractTimestamp) => ("minute", 2),
                    ("year", _) => {
                        let year = format!("year({})", arg(1)?.sql);
                        let sql = format!("CAST(CASE WHEN {year} < 1 THEN {year} - 1 ELSE {year} END AS decimal(10, 0))");
                        return Ok(Term::computed(sql, ty).with_digits(Some((10, 0))));
                    }
                    _ => return Err(format!("extract(\"{field}\")")),
                };
                Term::computed(format!("CAST({function}({}) AS decimal({digits}, 0))", arg(1)?.sql), ty).with_digits(Some((digits, 0)))
            }
            Meaning::Substring => {
                let (start, count) = (int(1)?, int(2)?);
                if start < 1 || count < 0 || arg(0)?.ty.base == oid::BPCHAR {
                    return Err("substring that begins before the text".into());
                }
                Term::computed(format!("substring({}, {start}, {count})", arg(0)?.sql), ty).with_chars(usize::try_from(count).ok())
            }
            Meaning::BpcharToText => Term::computed(trimmed(arg(0)?), ty).with_chars(arg(0)?.chars),
            Meaning::DateToTimestamp => Term::computed(format!("CAST({} AS timestamp(6))", arg(0)?.sql), ty),
            Meaning::Compare(..) | Meaning::NumericArith(_) | Meaning::NumericNegate => return Err("an operator as a function".into()),
        })
    }

    fn aggregate(&self, meaning: AggMeaning, arg: Option<&Term>, distinct: bool, ty: PgType) -> Result<Term> {
        let distinct_word = if distinct { "DISTINCT " } else { "" };
        let arg = || arg.ok_or_else(|| "an argument that is missing".to_string());
        Ok(match meaning {
            AggMeaning::CountStar => Term::computed("count(*)".into(), ty),
            AggMeaning::Count if distinct => Term::computed(format!("count(DISTINCT {})", self.key(arg()?)?), ty),
            AggMeaning::Count => Term::computed(format!("count({})", arg()?.sql), ty),
            AggMeaning::SumSmallInt => Term::computed(format!("sum({distinct_word}{})", arg()?.sql), ty),
            AggMeaning::SumInt => Term::computed(format!("sum({distinct_word}CAST({} AS decimal(19, 0)))", arg()?.sql), ty).with_digits(Some((DIGITS, 0))),
            // The sum has 38 digits there and the scale of its argument; what needs more is an error.
            AggMeaning::SumNumeric => match arg()?.digits {
                Some((p, s)) if p <= DIGITS => Term::computed(format!("sum({distinct_word}{})", arg()?.sql), ty).with_digits(Some((DIGITS, s))),
                _ => return Err("sum of a numeric without a declared scale".into()),
            },
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
        Ok(match term.ty.base {
            oid::BPCHAR => return Err("CASE of type character".into()),
            // A literal has the length of its text, a column that of its declaration.
            oid::TEXT | oid::VARCHAR if term.constant().is_some() => format!("CAST({} AS varchar)", term.sql),
            _ => term.sql.clone(),
        })
    }

    fn returns(&self, ty: &PgType) -> bool {
        if let Some(element) = ty.element() {
            return element_name(&element).is_some();
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
                | oid::TIME
                | oid::TIMESTAMP
                | oid::TIMESTAMPTZ
                | oid::UUID
                | oid::JSON
                | oid::JSONB
                | oid::ENUM
        )
    }

    /// OFFSET comes first.
    fn limit(&self, limit: Option<&str>, offset: Option<&str>) -> String {
        let mut sql = String::new();
        if let Some(n) = offset {
            sql.push_str(&format!(" OFFSET {n} ROWS"));
        }
        if let Some(n) = limit {
            sql.push_str(&format!(" LIMIT {n}"));
        }
        sql
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn literals_cannot_be_left() {
        let lit = |s: &str| Trino.literal(&Scalar::Text(s.into()), &PgType::TEXT);
        assert_eq!(lit("it's").as_deref(), Ok("'it''s'"));
        assert_eq!(lit("\\' OR 1=1").as_deref(), Ok("'\\'' OR 1=1'"));
        assert_eq!(Trino.ident("a\"b").as_deref(), Ok("\"a\"\"b\""));
        assert_eq!(Trino.literal(&Scalar::Timestamp(1), &PgType::TIMESTAMPTZ).as_deref(), Ok("TIMESTAMP '1970-01-01 00:00:00.000001 UTC'"));
        assert_eq!(Trino.literal(&Scalar::Int8(i64::MIN), &PgType::INT8).as_deref(), Ok("BIGINT '-9223372036854775808'"));
        assert!(Trino.literal(&Scalar::Date(i32::MAX), &PgType::DATE).is_err());
        assert!(Trino.literal(&Scalar::Numeric("123456789012345678901234567890123456789".into()), &PgType::NUMERIC).is_err());
    }

    #[test]
    fn offset_comes_before_limit() {
        assert_eq!(Trino.limit(Some("3"), Some("2")), " OFFSET 2 ROWS LIMIT 3");
        assert_eq!(Trino.limit(None, None), "");
    }

    #[test]
    fn values_are_written_in_their_types() {
        let value = |v: Scalar, ty: u32| Trino.value(&v, &PgType::new(ty));
        assert_eq!(value(Scalar::Float4(0.1), oid::FLOAT4).as_deref(), Ok("REAL '1e-1'"));
        assert_eq!(value(Scalar::Float8(f64::NEG_INFINITY), oid::FLOAT8).as_deref(), Ok("-infinity()"));
        assert_eq!(value(Scalar::Text("{\"a\": 'x'}".into()), oid::JSONB).as_deref(), Ok("JSON '{\"a\": ''x''}'"));
        assert_eq!(value(Scalar::Bytes(vec![0, 255]), oid::BYTEA).as_deref(), Ok("X'00FF'"));
        let array = Scalar::Array(vec![Scalar::Text("it's".into()), Scalar::Null]);
        assert_eq!(value(array, 1009).as_deref(), Ok("CAST(ARRAY['it''s', NULL] AS array(varchar))"));
    }
}
