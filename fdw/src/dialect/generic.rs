//! Engines whose SQL nobody has told us: what any of them answers as Postgres does, and a little more where the engine is named.
//!
//! - Columns, comparisons of integers, AND, OR, NOT, IS NULL, joins, `count`, `min` and `max` of integers, LIMIT. No subqueries: engines differ
//!   in which correlated ones they know, and in NULLs under NOT IN.
//! - Text is not compared unless the engine is known to compare bytes: many ignore case, accents or trailing blanks.
//! - A literal has no quote and no backslash in it unless the engine is known: `'it''s'` is `its` in Spark, and a backslash is an escape in half of the engines.
//! - An engine whose type character is padded needs that type in the foreign table, too: it is not compared there.

use super::mysql::{civil, digits_of};
use super::{Dialect, Form, Result, Term};
use crate::descriptor::Options;
use crate::meaning::{AggMeaning, Class, Cmp, Meaning};
use weir_plan::ir::Scalar;
use weir_plan::types::{PgType, oid};

/// How text is compared byte by byte.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Bytes {
    /// Nobody knows.
    No,
    /// It always is.
    Always,
    /// `x COLLATE BINARY`
    Collate,
}

/// How a text is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Literals {
    /// Nobody knows: only what needs no escape.
    Plain,
    /// A quote is doubled, and a backslash is itself.
    Standard,
    /// A backslash is an escape, as is `\u0024` (`${name}` would be replaced before the statement is read).
    Backslash,
}

pub struct Generic {
    quote: char,
    literals: Literals,
    text: Bytes,
    /// `DATE 'YYYY-MM-DD'`, compared as days.
    dates: bool,
    /// LIKE tells cases apart, and sums of integers are integers.
    known: bool,
}

/// Double quotes around identifiers.
pub static GENERIC: Generic = Generic { quote: '"', literals: Literals::Plain, text: Bytes::No, dates: false, known: false };
/// The same for engines with backticks (BigQuery, Databricks).
pub static BACKTICK: Generic = Generic { quote: '`', literals: Literals::Plain, text: Bytes::No, dates: false, known: false };
pub static DATAFUSION: Generic = Generic { quote: '"', literals: Literals::Standard, text: Bytes::Always, dates: true, known: true };
pub static SPARK: Generic = Generic { quote: '`', literals: Literals::Backslash, text: Bytes::Always, dates: true, known: true };
/// Its dates are text; LIKE ignores case.
pub static SQLITE: Generic = Generic { quote: '"', literals: Literals::Standard, text: Bytes::Collate, dates: false, known: false };

fn is_int(ty: &PgType) -> bool {
    matches!(ty.base, oid::INT2 | oid::INT4 | oid::INT8)
}

impl Generic {
    fn bytes(&self, term: &Term) -> Result<String> {
        match self.text {
            Bytes::No => Err("a comparison of text, which may ignore case there".into()),
            Bytes::Always => Ok(term.sql.clone()),
            Bytes::Collate => Ok(format!("({} COLLATE BINARY)", term.sql)),
        }
    }
}

impl Dialect for Generic {
    fn ident(&self, name: &str) -> Result<String> {
        if name.is_empty() || name.chars().any(char::is_control) {
            return Err(format!("the identifier \"{name}\""));
        }
        let q = self.quote;
        Ok(format!("{q}{}{q}", name.replace(q, &format!("{q}{q}"))))
    }

    fn table(&self, server: &Options, table: &[(String, String)], _schema: &str, name: &str) -> Result<String> {
        let own = |n: &str| table.iter().find(|(o, _)| o == n).map(|(_, v)| v.as_str());
        let schema = own("schema_name");
        let catalog = own("catalog_name").or_else(|| server.text("catalog")).filter(|_| schema.is_some());
        let parts = [catalog, schema, Some(own("table_name").unwrap_or(name))];
        Ok(parts.into_iter().flatten().map(|p| self.ident(p)).collect::<Result<Vec<_>>>()?.join("."))
    }

    fn literal(&self, value: &Scalar, ty: &PgType) -> Result<String> {
        Ok(match value {
            Scalar::Null => "NULL".into(),
            Scalar::Bool(b) => (if *b { "TRUE" } else { "FALSE" }).into(),
            Scalar::Int2(v) => format!("({v})"),
            Scalar::Int4(v) => format!("({v})"),
            // Its digits alone are no integer of 64 bits.
            Scalar::Int8(i64::MIN) => "(-9223372036854775807 - 1)".into(),
            Scalar::Int8(v) => format!("({v})"),
            Scalar::Text(text) if ty.is_text_like() => match self.literals {
                _ if text.contains('\0') => return Err("a control character in a literal".into()),
                Literals::Standard => format!("'{}'", text.replace('\'', "''")),
                Literals::Backslash => format!("'{}'", text.replace('\\', "\\\\").replace('\'', "\\'").replace('$', "\\u0024")),
                Literals::Plain if text.contains(['\'', '\\', '"', '$', '?']) || text.chars().any(char::is_control) => {
                    return Err("a character in a literal that not every engine reads as itself".into());
                }
                Literals::Plain => format!("'{text}'"),
            },
            Scalar::Date(d) if self.dates => {
                let (y, m, d) = civil(i64::from(*d));
                if !(1..=9999).contains(&y) {
                    return Err("a date outside of the years 1 to 9999".into());
                }
                format!("DATE '{y:04}-{m:02}-{d:02}'")
            }
            _ => return Err("a constant of this type".into()),
        })
    }

    fn decimal_limits(&self) -> (u32, u32) {
        (0, 0)
    }

    fn modifies(&self) -> bool {
        self.modifies_at_once()
    }

    /// SQLite: one statement is one transaction, and its driver counts.
    fn modifies_at_once(&self) -> bool {
        self.text == Bytes::Collate
    }

    fn holds_any_text(&self) -> bool {
        self.literals != Literals::Plain
    }

    fn subqueries(&self) -> bool {
        false
    }

    fn comparable(&self, class: Class, term: &Term) -> Result<String> {
        Ok(match class {
            Class::Int => term.sql.clone(),
            Class::Date if self.dates => term.sql.clone(),
            Class::Text => self.bytes(term)?,
            _ => return Err("a comparison of this type".into()),
        })
    }

    fn call(&self, meaning: Meaning, args: &[Term], ty: PgType) -> Result<Term> {
        let arg = |i: usize| args.get(i).ok_or_else(|| "an argument that is missing".to_string());
        match meaning {
            Meaning::WidenInt => Ok(Term { ty, ..arg(0)?.clone() }),
            Meaning::Like { negated } if self.known && self.text == Bytes::Always => {
                let (text, pattern) = (arg(0)?, arg(1)?);
                let Some(Scalar::Text(constant)) = pattern.constant() else { return Err("LIKE with a pattern that is not a constant".into()) };
                if text.ty.base == oid::BPCHAR {
                    return Err("LIKE on type character".into());
                }
                if constant.contains('\\') {
                    return Err("LIKE with an escape".into());
                }
                let (not, pattern) = (if negated { "NOT " } else { "" }, self.literal(&Scalar::Text(constant.clone()), &PgType::TEXT)?);
                Ok(Term::computed(format!("({} {not}LIKE {pattern})", text.sql), ty))
            }
            _ => Err("a function of which nobody knows what it is called there".into()),
        }
    }

    fn aggregate(&self, meaning: AggMeaning, arg: Option<&Term>, distinct: bool, ty: PgType) -> Result<Term> {
        let arg = || arg.ok_or_else(|| "an argument that is missing".to_string());
        Ok(Term::computed(
            match meaning {
                AggMeaning::CountStar => "COUNT(*)".into(),
                AggMeaning::Count if distinct => format!("COUNT(DISTINCT {})", self.key(arg()?)?),
                AggMeaning::Count => format!("COUNT({})", arg()?.sql),
                AggMeaning::Min if is_int(&ty) => format!("MIN({})", arg()?.sql),
                AggMeaning::Max if is_int(&ty) => format!("MAX({})", arg()?.sql),
                AggMeaning::SumSmallInt if self.known && !distinct => format!("SUM({})", arg()?.sql),
                _ => return Err("an aggregate of which nobody knows how it counts there".into()),
            },
            ty,
        ))
    }

    fn key(&self, term: &Term) -> Result<String> {
        Ok(match term.ty.base {
            _ if is_int(&term.ty) => term.sql.clone(),
            oid::DATE if self.dates => term.sql.clone(),
            oid::TEXT | oid::VARCHAR => self.bytes(term)?,
            _ => return Err("a key of this type".into()),
        })
    }

    fn order(&self, term: &Term, descending: bool, nulls_first: bool) -> Result<Vec<String>> {
        let key = self.key(term)?;
        let (null, value) = if nulls_first { (0, 1) } else { (1, 0) };
        Ok(vec![format!("CASE WHEN {key} IS NULL THEN {null} ELSE {value} END"), format!("{key}{}", if descending { " DESC" } else { "" })])
    }

    fn branch(&self, term: &Term) -> Result<String> {
        match term.ty.base {
            _ if is_int(&term.ty) => Ok(term.sql.clone()),
            oid::DATE if self.dates => Ok(term.sql.clone()),
            oid::TEXT | oid::VARCHAR if self.text == Bytes::Always => Ok(term.sql.clone()),
            _ => Err("CASE of this type".into()),
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
                | oid::TIME
                | oid::TIMESTAMP
                | oid::TIMESTAMPTZ
                | oid::UUID
                | oid::JSON
                | oid::JSONB
        )
    }

    fn value(&self, value: &Scalar, ty: &PgType) -> Result<String> {
        Ok(match value {
            Scalar::Numeric(text) => match digits_of(text) {
                Some((p, s)) if p <= 38 => format!("CAST('{text}' AS DECIMAL({}, {s}))", p.max(1)),
                _ => return Err(format!("the number {text}")),
            },
            // What is read is what was meant if its digits are all there.
            Scalar::Float4(v) if v.is_finite() => format!("CAST('{:e}' AS REAL)", v),
            Scalar::Float8(v) if v.is_finite() => format!("CAST('{v:e}' AS DOUBLE PRECISION)"),
            other => self.literal(other, ty)?,
        })
    }

    fn key_is(&self, column: &str, value: &Scalar, ty: &PgType) -> Result<String> {
        let class = match ty.base {
            oid::INT2 | oid::INT4 | oid::INT8 => Class::Int,
            oid::TEXT | oid::VARCHAR => Class::Text,
            oid::DATE => Class::Date,
            _ => return Err("a key of this type".into()),
        };
        let term = |sql: String, form| Term { form, ..Term::computed(sql, *ty) };
        self.compare(Cmp::Eq, class, &term(column.to_owned(), Form::Column), &term(self.literal(value, ty)?, Form::Literal(value.clone())))
    }

    fn truncate(&self, tables: &[String], restart_identity: bool, cascade: bool) -> Result<Vec<String>> {
        if restart_identity || cascade {
            return Err("TRUNCATE with RESTART IDENTITY or CASCADE".into());
        }
        // A DELETE without a condition is what it means, and every engine with DELETE has it.
        Ok(tables.iter().map(|t| format!("DELETE FROM {t}")).collect())
    }

    fn limit(&self, limit: Option<&str>, offset: Option<&str>) -> String {
        match (limit, offset) {
            (None, None) => String::new(),
            (Some(n), None) => format!(" LIMIT {n}"),
            (n, Some(m)) => format!(" LIMIT {} OFFSET {m}", n.unwrap_or("9223372036854775807")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn literals_are_those_that_every_engine_reads_alike() {
        let lit = |s: &str| GENERIC.literal(&Scalar::Text(s.into()), &PgType::TEXT);
        assert_eq!(lit("plain é").as_deref(), Ok("'plain é'"));
        assert!(lit("it's").is_err() && lit("a\\").is_err() && lit("${x}").is_err() && lit("\n").is_err());
        let spark = SPARK.literal(&Scalar::Text("it's ${a} \\".into()), &PgType::TEXT);
        assert_eq!(spark.as_deref(), Ok("'it\\'s \\u0024{a} \\\\'"));
        assert_eq!(SPARK.ident("a`b").as_deref(), Ok("`a``b`"));
    }

    #[test]
    fn text_is_compared_where_bytes_are() {
        let column = Term { form: Form::Column, ..Term::computed("t.c".into(), PgType::TEXT) };
        assert!(GENERIC.compare(Cmp::Eq, Class::Text, &column, &column).is_err());
        assert_eq!(DATAFUSION.compare(Cmp::Eq, Class::Text, &column, &column).as_deref(), Ok("(t.c = t.c)"));
        assert_eq!(SQLITE.compare(Cmp::Lt, Class::Text, &column, &column).as_deref(), Ok("((t.c COLLATE BINARY) < (t.c COLLATE BINARY))"));
    }
}
