//! StarRocks, from its documentation.
//!
//! - Text is compared, ordered and grouped as bytes; a CHAR is not padded. In a literal the backslash is an escape.
//! - Decimals have 38 digits. What overflows is NULL, unless the mode says otherwise: only what cannot overflow is computed there.
//! - The sum of BIGINTs wraps around: they are summed as LARGEINT.
//! - No subqueries: it knows only some of the correlated ones.

use super::mysql::{civil, digits_of};
use super::{Assigned, Changed, Dialect, Result, Term};
use crate::descriptor::Options;
use crate::meaning::{AggMeaning, Class, Meaning};
use weir_plan::ir::Scalar;
use weir_plan::types::{PgType, oid};

pub struct StarRocks;

/// Digits of a DECIMAL.
const DIGITS: u32 = 38;
/// Decimals of so many digits have a common type, whatever their scales.
const COMPARABLE: u32 = 19;
/// So many rows cannot make a sum overflow: 10 to this.
const ROWS: u32 = 18;

fn quoted(text: &str) -> Result<String> {
    if text.contains('\0') {
        return Err("a control character in a literal".into());
    }
    Ok(format!("'{}'", text.replace('\\', "\\\\").replace('\'', "''")))
}

fn date(day: i64) -> Result<String> {
    let (y, m, d) = civil(day);
    if !(1..=9999).contains(&y) {
        return Err("a date outside of the years 1 to 9999".into());
    }
    Ok(format!("{y:04}-{m:02}-{d:02}"))
}

/// Whether it is known to have few digits.
fn has_digits(term: &Term) -> bool {
    term.digits.is_some_and(|(p, s)| p <= COMPARABLE && s <= COMPARABLE)
}

impl Dialect for StarRocks {
    fn ident(&self, name: &str) -> Result<String> {
        if name.is_empty() || name.contains('`') || name.chars().any(char::is_control) {
            return Err(format!("the identifier \"{name}\""));
        }
        Ok(format!("`{name}`"))
    }

    fn table(&self, server: &Options, table: &[(String, String)], _schema: &str, name: &str) -> Result<String> {
        let own = |n: &str| table.iter().find(|(o, _)| o == n).map(|(_, v)| v.as_str());
        let database = own("database").or_else(|| server.text("database")).ok_or("neither server nor foreign table has the option \"database\"")?;
        let catalog = own("catalog_name").or_else(|| server.text("catalog"));
        let parts = [catalog, Some(database), Some(own("table_name").unwrap_or(name))];
        Ok(parts.into_iter().flatten().map(|p| self.ident(p)).collect::<Result<Vec<_>>>()?.join("."))
    }

    fn literal(&self, value: &Scalar, ty: &PgType) -> Result<String> {
        Ok(match value {
            Scalar::Null => "NULL".into(),
            Scalar::Bool(b) => (if *b { "TRUE" } else { "FALSE" }).into(),
            Scalar::Int2(v) => format!("({v})"),
            Scalar::Int4(v) => format!("({v})"),
            Scalar::Int8(i64::MIN) => "(-9223372036854775807 - 1)".into(),
            Scalar::Int8(v) => format!("({v})"),
            Scalar::Numeric(text) => match digits_of(text) {
                Some((p, s)) if p <= DIGITS => format!("CAST('{text}' AS DECIMAL({}, {s}))", p.max(1)),
                _ => return Err(format!("the number {text}")),
            },
            Scalar::Text(text) if ty.is_text_like() => quoted(text)?,
            Scalar::Date(d) => format!("CAST('{}' AS DATE)", date(i64::from(*d))?),
            Scalar::Timestamp(us) if ty.base == oid::TIMESTAMP => {
                let (day, of_day) = (us.div_euclid(86_400_000_000), us.rem_euclid(86_400_000_000));
                let (s, fraction) = (of_day / 1_000_000, of_day % 1_000_000);
                format!("CAST('{} {:02}:{:02}:{:02}.{fraction:06}' AS DATETIME)", date(day)?, s / 3600, s / 60 % 60, s % 60)
            }
            _ => return Err("a constant of this type".into()),
        })
    }

    fn value(&self, value: &Scalar, ty: &PgType) -> Result<String> {
        match value {
            Scalar::Float4(v) if v.is_finite() => Ok(format!("{v:e}")),
            Scalar::Float8(v) if v.is_finite() => Ok(format!("{v:e}")),
            Scalar::Bytes(b) => Ok(format!("UNHEX('{}')", b.iter().map(|b| format!("{b:02X}")).collect::<String>())),
            other => self.literal(other, ty),
        }
    }

    fn key_is(&self, column: &str, value: &Scalar, ty: &PgType) -> Result<String> {
        match value {
            Scalar::Float4(_) | Scalar::Float8(_) => Err("a key of floating point numbers".into()),
            _ if ty.base == oid::BPCHAR => Ok(format!("RTRIM({column}) = {}", self.value(value, ty)?)),
            _ => Ok(format!("{column} = {}", self.value(value, ty)?)),
        }
    }

    /// A DELETE from a table that is none with a primary key knows IN, and no OR.
    fn key_in(&self, column: &str, values: &[Scalar], ty: &PgType) -> Option<Result<String>> {
        if !matches!(ty.base, oid::INT2 | oid::INT4 | oid::INT8 | oid::TEXT | oid::VARCHAR | oid::DATE) {
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

    fn changed_columns(&self) -> Changed {
        Changed::Bare
    }

    /// Both want a condition.
    fn update(&self, table: &str, set: &[String], filter: Option<&str>) -> Result<String> {
        Ok(format!("UPDATE {table} SET {} WHERE {}", set.join(", "), filter.ok_or("an UPDATE without a condition")?))
    }

    fn delete(&self, table: &str, filter: Option<&str>) -> Result<String> {
        Ok(format!("DELETE FROM {table} WHERE {}", filter.ok_or("a DELETE without a condition")?))
    }

    /// What it says of a DELETE is not documented to be a number of rows.
    fn count_changed(&self, table: &str, filter: Option<&str>, _set: &[Assigned]) -> Result<Option<String>> {
        Ok(Some(format!("SELECT count(*) FROM {table}{}", filter.map(|f| format!(" WHERE {f}")).unwrap_or_default())))
    }

    fn deleted_rows(&self) -> usize {
        1000
    }

    fn decimal_limits(&self) -> (u32, u32) {
        (DIGITS, DIGITS)
    }

    fn subqueries(&self) -> bool {
        false
    }

    fn comparable(&self, class: Class, term: &Term) -> Result<String> {
        Ok(match class {
            Class::Bool | Class::Int | Class::Date | Class::Timestamp | Class::Text => term.sql.clone(),
            Class::Numeric if has_digits(term) => term.sql.clone(),
            Class::Numeric => return Err("a comparison of decimals that may have no type in common".into()),
            Class::Bpchar => format!("RTRIM({})", term.sql),
            Class::DateTimestamp => format!("CAST({} AS DATETIME)", term.sql),
            Class::Float8 | Class::Timestamptz | Class::Bytes | Class::Time | Class::Uuid => return Err("a comparison of this type".into()),
        })
    }

    fn call(&self, meaning: Meaning, args: &[Term], ty: PgType) -> Result<Term> {
        let arg = |i: usize| args.get(i).ok_or_else(|| "an argument that is missing".to_string());
        Ok(match meaning {
            Meaning::WidenInt => Term { ty, ..arg(0)?.clone() },
            Meaning::IntToNumeric => {
                let of = arg(0)?;
                let digits = match (of.constant(), of.ty.base) {
                    (Some(Scalar::Int2(v)), _) => digits_of(&v.to_string()),
                    (Some(Scalar::Int4(v)), _) => digits_of(&v.to_string()),
                    (Some(Scalar::Int8(v)), _) => digits_of(&v.to_string()),
                    (_, oid::INT2) => Some((5, 0)),
                    (_, oid::INT4) => Some((10, 0)),
                    _ => Some((19, 0)),
                };
                let (p, _) = digits.ok_or("a number without digits")?;
                Term { sql: format!("CAST({} AS DECIMAL({p}, 0))", of.sql), ty, digits, ..of.clone() }
            }
            Meaning::Like { negated } => {
                let (text, pattern) = (arg(0)?, arg(1)?);
                let Some(Scalar::Text(constant)) = pattern.constant() else { return Err("LIKE with a pattern that is not a constant".into()) };
                if text.ty.base == oid::BPCHAR || constant.contains('\\') {
                    return Err("LIKE on type character, or with an escape".into());
                }
                Term::computed(format!("({} {}LIKE {})", text.sql, if negated { "NOT " } else { "" }, quoted(constant)?), ty)
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
            Meaning::DateToTimestamp => Term::computed(format!("CAST({} AS DATETIME)", arg(0)?.sql), ty),
            Meaning::BpcharToText => Term::computed(format!("RTRIM({})", arg(0)?.sql), ty).with_chars(arg(0)?.chars),
            Meaning::Substring => return Err("substring".into()),
            Meaning::Compare(..) | Meaning::NumericArith(_) | Meaning::NumericNegate => return Err("an operator as a function".into()),
        })
    }

    fn aggregate(&self, meaning: AggMeaning, arg: Option<&Term>, distinct: bool, ty: PgType) -> Result<Term> {
        let word = if distinct { "DISTINCT " } else { "" };
        let arg = || arg.ok_or_else(|| "an argument that is missing".to_string());
        Ok(match meaning {
            AggMeaning::CountStar => Term::computed("COUNT(*)".into(), ty),
            AggMeaning::Count if distinct => Term::computed(format!("COUNT(DISTINCT {})", self.key(arg()?)?), ty),
            AggMeaning::Count => Term::computed(format!("COUNT({})", arg()?.sql), ty),
            AggMeaning::SumSmallInt => Term::computed(format!("SUM({word}{})", arg()?.sql), ty),
            AggMeaning::SumInt => Term::computed(format!("SUM({word}CAST({} AS LARGEINT))", arg()?.sql), ty).with_digits(Some((39, 0))),
            AggMeaning::SumNumeric => match arg()?.digits {
                Some((p, s)) if p + ROWS <= DIGITS => Term::computed(format!("SUM({word}{})", arg()?.sql), ty).with_digits(Some((DIGITS, s))),
                _ => return Err("sum of a numeric that might have more than 38 digits".into()),
            },
            AggMeaning::Min | AggMeaning::Max => {
                let of = arg()?;
                let name = if meaning == AggMeaning::Min { "MIN" } else { "MAX" };
                Term::computed(format!("{name}({})", self.key(of)?), ty).with_digits(of.digits).with_chars(of.chars)
            }
            AggMeaning::AvgSmallInt | AggMeaning::AvgInt | AggMeaning::AvgNumeric => return Err("an average, which has another scale there".into()),
        })
    }

    fn key(&self, term: &Term) -> Result<String> {
        Ok(match term.ty.base {
            oid::BOOL | oid::INT2 | oid::INT4 | oid::INT8 | oid::DATE | oid::TIMESTAMP | oid::TEXT | oid::VARCHAR => term.sql.clone(),
            oid::NUMERIC if term.digits.is_some() => term.sql.clone(),
            oid::BPCHAR => format!("RTRIM({})", term.sql),
            _ => return Err("a key of this type".into()),
        })
    }

    fn order(&self, term: &Term, descending: bool, nulls_first: bool) -> Result<Vec<String>> {
        let key = self.key(term)?;
        let (null, value) = if nulls_first { (0, 1) } else { (1, 0) };
        // The mode decides otherwise where NULLs come.
        Ok(vec![format!("CASE WHEN {key} IS NULL THEN {null} ELSE {value} END"), format!("{key}{}", if descending { " DESC" } else { "" })])
    }

    fn branch(&self, term: &Term) -> Result<String> {
        match term.ty.base {
            oid::BPCHAR => Err("CASE of type character".into()),
            oid::NUMERIC if !has_digits(term) => Err("CASE of decimals that may have no type in common".into()),
            _ => Ok(term.sql.clone()),
        }
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
                | oid::TIMESTAMP
                | oid::JSON
                | oid::JSONB
        )
    }

    fn limit(&self, limit: Option<&str>, offset: Option<&str>) -> String {
        match (limit, offset) {
            (None, None) => String::new(),
            (Some(n), None) => format!(" LIMIT {n}"),
            // It has no OFFSET alone.
            (n, Some(m)) => format!(" LIMIT {} OFFSET {m}", n.unwrap_or("9223372036854775807")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::meaning::Cmp;

    #[test]
    fn literals_cannot_be_left() {
        let lit = |s: &str| StarRocks.literal(&Scalar::Text(s.into()), &PgType::TEXT);
        assert_eq!(lit("it's").as_deref(), Ok("'it''s'"));
        assert_eq!(lit("\\' OR 1=1").as_deref(), Ok("'\\\\'' OR 1=1'"));
        assert!(StarRocks.ident("a`b").is_err());
        assert_eq!(StarRocks.literal(&Scalar::Timestamp(1), &PgType::TIMESTAMP).as_deref(), Ok("CAST('1970-01-01 00:00:00.000001' AS DATETIME)"));
    }

    #[test]
    fn decimals_are_compared_where_they_have_a_type_in_common() {
        let of = |digits| Term::computed("x".into(), PgType::NUMERIC).with_digits(digits);
        assert!(StarRocks.compare(Cmp::Eq, Class::Numeric, &of(Some((19, 19))), &of(Some((19, 0)))).is_ok());
        assert!(StarRocks.compare(Cmp::Eq, Class::Numeric, &of(Some((20, 0))), &of(Some((5, 2)))).is_err());
        assert!(StarRocks.aggregate(AggMeaning::SumNumeric, Some(&of(Some((21, 2)))), false, PgType::NUMERIC).is_err());
    }
}
