//! Postgres, in a session whose settings `engines::postgres` has fixed.
//!
//! Functions are called by name in `pg_catalog`, with the arguments' types spelled out: the same function on both sides. What depends on settings
//! (time zone, date style) or on the locale of the remote is not spelled. Text is compared, ordered and grouped under COLLATE "C".

use super::{CommonTable, Dialect, Form, Result, Term, mysql::civil};
use crate::descriptor::Options;
use crate::meaning::{self, AggMeaning, Class, Cmp, Meaning};
use weir_plan::functions::{Needs, row};
use weir_plan::ir::{Collation, Scalar};
use weir_plan::types::{PgType, oid};

pub struct Postgres;

/// Functions of text that ask for equality only, whatever the locale.
const BYTEWISE: &[&str] = &["textlike", "textnlike", "strpos", "replace", "split_part", "starts_with", "btrim", "ltrim", "rtrim", "translate"];

/// Functions whose answer depends on settings, for all that their types are harmless.
const SETTINGS: &[&str] = &["to_char", "to_date", "to_timestamp", "to_number", "concat", "concat_ws", "format", "timezone", "random", "now"];

/// Arithmetic of floats that is the same on every machine.
const FLOATS: &[&str] = &["float8pl", "float8mi", "float8mul", "float8div", "float8um", "float8abs", "float8"];

fn type_name(ty: &PgType) -> Option<&'static str> {
    Some(match ty.base {
        oid::BOOL => "boolean",
        oid::INT2 => "smallint",
        oid::INT4 => "integer",
        oid::INT8 => "bigint",
        oid::FLOAT4 => "real",
        oid::FLOAT8 => "double precision",
        oid::NUMERIC => "numeric",
        oid::TEXT | oid::VARCHAR => "text",
        oid::BPCHAR => "bpchar",
        oid::BYTEA => "bytea",
        oid::DATE => "date",
        oid::TIME => "time",
        oid::TIMESTAMP => "timestamp",
        oid::TIMESTAMPTZ => "timestamptz",
        oid::UUID => "uuid",
        _ => return None,
    })
}

fn quoted(text: &str) -> String {
    let doubled = text.replace('\'', "''");
    if doubled.contains('\\') { format!("E'{}'", doubled.replace('\\', "\\\\")) } else { format!("'{doubled}'") }
}

fn clock(micros: i64) -> String {
    let s = micros / 1_000_000;
    format!("{:02}:{:02}:{:02}.{:06}", s / 3600, s / 60 % 60, s % 60, micros % 1_000_000)
}

fn float(v: f64) -> String {
    match v {
        v if v.is_nan() => "NaN".into(),
        v if v.is_infinite() => (if v > 0.0 { "Infinity" } else { "-Infinity" }).into(),
        v => format!("{v:e}"),
    }
}

/// A value as the input functions read it; `None` is NULL.
///
/// # Errors
/// A value that has no text here.
pub fn stored(value: &Scalar, ty: &PgType) -> Result<Option<String>> {
    Ok(Some(match value {
        Scalar::Null => return Ok(None),
        Scalar::Bool(b) => (if *b { "t" } else { "f" }).into(),
        Scalar::Int2(v) => v.to_string(),
        Scalar::Int4(v) => v.to_string(),
        Scalar::Int8(v) => v.to_string(),
        Scalar::Float4(v) if v.is_finite() => format!("{v:e}"),
        Scalar::Float4(v) => float(f64::from(*v)),
        Scalar::Float8(v) => float(*v),
        Scalar::Numeric(text) | Scalar::Text(text) => text.clone(),
        Scalar::Bytes(b) => format!("\\x{}", b.iter().map(|b| format!("{b:02x}")).collect::<String>()),
        Scalar::Uuid(u) => u.iter().map(|b| format!("{b:02x}")).collect(),
        Scalar::Date(i32::MAX) | Scalar::Timestamp(i64::MAX) => "infinity".into(),
        Scalar::Date(i32::MIN) | Scalar::Timestamp(i64::MIN) => "-infinity".into(),
        Scalar::Date(d) => {
            let (day, era) = with_era(i64::from(*d));
            format!("{day}{era}")
        }
        Scalar::Time(us) => clock(*us),
        Scalar::Timestamp(us) => {
            let zone = if ty.base == oid::TIMESTAMPTZ { "+00" } else { "" };
            let (day, era) = with_era(us.div_euclid(86_400_000_000));
            format!("{day} {}{zone}{era}", clock(us.rem_euclid(86_400_000_000)))
        }
        Scalar::Interval { months, days, micros } => format!("{months} mons {days} days {micros} microseconds"),
        Scalar::Array(items) => {
            let element = ty.element().ok_or("an array of this type")?;
            let items = items.iter().map(|item| Ok(stored(item, &element)?.map_or("NULL".into(), |text| in_array(&text)))).collect::<Result<Vec<_>>>()?;
            format!("{{{}}}", items.join(","))
        }
    }))
}

/// An element in the text of an array. Source: `array_in`.
fn in_array(text: &str) -> String {
    format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""))
}

/// A day as text, and what follows it if it is before the year 1.
fn with_era(day: i64) -> (String, &'static str) {
    let (y, m, d) = civil(day);
    if y < 1 { (format!("{:04}-{m:02}-{d:02}", 1 - y), " BC") } else { (format!("{y:04}-{m:02}-{d:02}"), "") }
}

fn in_c(term: &Term) -> String {
    if term.ty.is_collatable() { format!("({} COLLATE \"C\")", term.sql) } else { term.sql.clone() }
}

impl Dialect for Postgres {
    fn ident(&self, name: &str) -> Result<String> {
        if name.is_empty() || name.contains(['\0', '\u{1}']) {
            return Err(format!("the identifier \"{name}\""));
        }
        Ok(format!("\"{}\"", name.replace('"', "\"\"")))
    }

    fn table(&self, _server: &Options, table: &[(String, String)], schema: &str, name: &str) -> Result<String> {
        let own = |n: &str| table.iter().find(|(o, _)| o == n).map(|(_, v)| v.as_str());
        Ok(format!("{}.{}", self.ident(own("schema_name").unwrap_or(schema))?, self.ident(own("table_name").unwrap_or(name))?))
    }

    fn literal(&self, value: &Scalar, ty: &PgType) -> Result<String> {
        let name = type_name(ty).ok_or("a constant of this type")?;
        let text = match value {
            Scalar::Null => return Ok(format!("NULL::{name}")),
            Scalar::Bool(b) => return Ok((if *b { "TRUE" } else { "FALSE" }).into()),
            Scalar::Int2(v) => v.to_string(),
            Scalar::Int4(v) => v.to_string(),
            Scalar::Int8(v) => v.to_string(),
            Scalar::Float4(v) => float(f64::from(*v)),
            Scalar::Float8(v) => float(*v),
            Scalar::Numeric(text) => text.clone(),
            Scalar::Text(text) if ty.is_text_like() => text.clone(),
            Scalar::Bytes(b) => format!("\\x{}", b.iter().map(|b| format!("{b:02x}")).collect::<String>()),
            Scalar::Uuid(u) => u.iter().map(|b| format!("{b:02x}")).collect(),
            Scalar::Date(i32::MAX) | Scalar::Timestamp(i64::MAX) => "infinity".into(),
            Scalar::Date(i32::MIN) | Scalar::Timestamp(i64::MIN) => "-infinity".into(),
            Scalar::Date(_) | Scalar::Time(_) | Scalar::Timestamp(_) => stored(value, ty)?.unwrap_or_default(),
            _ => return Err("a constant of this type".into()),
        };
        Ok(format!("{}::{name}", quoted(&text)))
    }

    fn holds(&self, ty: &PgType) -> bool {
        type_name(ty).is_some()
    }

    /// Without a type: the column's own input function reads it.
    fn value(&self, value: &Scalar, ty: &PgType) -> Result<String> {
        Ok(stored(value, ty)?.map_or_else(|| "NULL".into(), |text| quoted(&text)))
    }

    fn modifies(&self) -> bool {
        true
    }

    fn computes_alike(&self) -> bool {
        true
    }

    fn skip_conflicts(&self, _columns: &[String]) -> Option<String> {
        Some(" ON CONFLICT DO NOTHING".into())
    }

    fn lock(&self, share: bool) -> Option<&'static str> {
        Some(if share { " FOR SHARE" } else { " FOR UPDATE" })
    }

    fn by_chance(&self, share: f64) -> Option<String> {
        Some(format!("pg_catalog.random() < {share:e}"))
    }

    fn truncate(&self, tables: &[String], restart_identity: bool, cascade: bool) -> Result<Vec<String>> {
        let identity = if restart_identity { "RESTART" } else { "CONTINUE" };
        let behaviour = if cascade { "CASCADE" } else { "RESTRICT" };
        Ok(vec![format!("TRUNCATE {} {identity} IDENTITY {behaviour}", tables.join(", "))])
    }

    fn decimal_limits(&self) -> (u32, u32) {
        (1000, 1000)
    }

    /// What is read once may be merged, what is read twice is not.
    fn common_table(&self) -> Option<CommonTable> {
        Some(CommonTable::Once(""))
    }

    fn native(&self) -> bool {
        true
    }

    fn has_grouping_sets(&self) -> bool {
        true
    }

    fn ranks(&self) -> bool {
        true
    }

    fn function(&self, func: u32, args: &[Term], ty: PgType, collation: Collation) -> Option<Result<Term>> {
        if matches!(meaning::scalar(func), Some(Meaning::Compare(..))) {
            return None;
        }
        Some(self.by_name(func, args, ty, collation))
    }

    fn comparable(&self, class: Class, term: &Term) -> Result<String> {
        Ok(match class {
            Class::Text => in_c(term),
            Class::Bpchar => format!("({}::bpchar COLLATE \"C\")", term.sql),
            _ => term.sql.clone(),
        })
    }

    fn compare(&self, cmp: Cmp, class: Class, left: &Term, right: &Term) -> Result<String> {
        let plain = format!("({} {} {})", self.comparable(class, left)?, cmp.sql(), self.comparable(class, right)?);
        let pair = |a: &Term, b: &Term| a.form == Form::Column && (b.constant().is_some() || b.is_parameter());
        // An index is of the column's own collation, under which what is equal byte by byte is equal, too.
        if cmp == Cmp::Eq && class == Class::Text && (pair(left, right) || pair(right, left)) {
            return Ok(format!("({} = {} AND {plain})", left.sql, right.sql));
        }
        Ok(plain)
    }

    /// No index is of `character` as it is compared.
    fn finds(&self, ty: &PgType) -> bool {
        ty.base != oid::BPCHAR
    }

    fn call(&self, _: Meaning, _: &[Term], _: PgType) -> Result<Term> {
        Err("a function without a name".into())
    }

    fn aggregate(&self, meaning: AggMeaning, arg: Option<&Term>, distinct: bool, ty: PgType) -> Result<Term> {
        let name = match meaning {
            AggMeaning::CountStar => return Ok(Term::computed("pg_catalog.count(*)".into(), ty)),
            AggMeaning::Count => "count",
            AggMeaning::SumSmallInt | AggMeaning::SumInt | AggMeaning::SumNumeric => "sum",
            AggMeaning::Min => "min",
            AggMeaning::Max => "max",
            AggMeaning::AvgSmallInt | AggMeaning::AvgInt | AggMeaning::AvgNumeric => "avg",
        };
        let arg = arg.ok_or("an argument that is missing")?;
        Ok(Term::computed(format!("pg_catalog.{name}({}{})", if distinct { "DISTINCT " } else { "" }, in_c(arg)), ty))
    }

    fn key(&self, term: &Term) -> Result<String> {
        match term.ty.base {
            oid::BPCHAR => Ok(format!("({}::bpchar COLLATE \"C\")", term.sql)),
            oid::JSON | oid::JSONB | oid::ENUM => Err("a key of this type".into()),
            _ if term.ty.element().is_some() => Err("a key of this type".into()),
            _ => Ok(in_c(term)),
        }
    }

    fn order(&self, term: &Term, descending: bool, nulls_first: bool) -> Result<Vec<String>> {
        let direction = if descending { " DESC" } else { "" };
        Ok(vec![format!("{}{direction} NULLS {}", self.key(term)?, if nulls_first { "FIRST" } else { "LAST" })])
    }

    fn branch(&self, term: &Term) -> Result<String> {
        Ok(in_c(term))
    }

    fn returns(&self, ty: &PgType) -> bool {
        match ty.element() {
            Some(element) => element.base == oid::ENUM || (element.base != oid::BPCHAR && type_name(&element).is_some()),
            None => type_name(ty).is_some() || matches!(ty.base, oid::JSON | oid::JSONB | oid::ENUM),
        }
    }
}

impl Postgres {
    /// The very function, if nothing but its arguments decides.
    fn by_name(&self, func: u32, args: &[Term], ty: PgType, collation: Collation) -> Result<Term> {
        let row = row(func).ok_or_else(|| format!("function with OID {func}"))?;
        let name = row.name.split('(').next().unwrap_or_default();
        let refused = || format!("function {}", row.name);
        if SETTINGS.contains(&name) {
            return Err(refused());
        }
        for t in args.iter().map(|a| &a.ty).chain([&ty]) {
            let harmless = match t.base {
                oid::FLOAT4 | oid::FLOAT8 => FLOATS.contains(&name),
                oid::TIMESTAMPTZ | oid::UUID | oid::BYTEA => false,
                _ => type_name(t).is_some(),
            };
            if !harmless {
                return Err(refused());
            }
        }
        if row.needs != Needs::Nothing && collation != Collation::C && !BYTEWISE.contains(&name) {
            return Err(refused());
        }
        if args.iter().any(|a| a.ty.base == oid::BPCHAR) && name.ends_with("like") {
            // The pattern meets the padding, which a remote column of another type does not have.
            return Err(refused());
        }
        let list: Vec<String> = args.iter().map(|a| if row.needs == Needs::Nothing { a.sql.clone() } else { in_c(a) }).collect();
        Ok(Term::computed(format!("pg_catalog.\"{name}\"({})", list.join(", ")), ty))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn literals_cannot_be_left() {
        let lit = |s: &str| Postgres.literal(&Scalar::Text(s.into()), &PgType::TEXT);
        assert_eq!(lit("it's").as_deref(), Ok("'it''s'::text"));
        assert_eq!(lit("\\' OR 1=1").as_deref(), Ok("E'\\\\'' OR 1=1'::text"));
        assert_eq!(Postgres.literal(&Scalar::Int2(-1), &PgType::INT2).as_deref(), Ok("'-1'::smallint"));
        assert_eq!(Postgres.literal(&Scalar::Timestamp(1), &PgType::TIMESTAMPTZ).as_deref(), Ok("'1970-01-01 00:00:00.000001+00'::timestamptz"));
    }

    #[test]
    fn text_is_looked_up_by_an_index_of_any_collation() {
        let term = |sql: &str, form| Term { sql: sql.into(), ty: PgType::TEXT, form, digits: None, chars: None };
        let (column, parameter, computed) =
            (term("t.a", Form::Column), term("\u{1}0:25:25:-1\u{1}", Form::Computed), term("lower(\u{1}0:25:25:-1\u{1})", Form::Computed));
        let equal = |other| Postgres.compare(Cmp::Eq, Class::Text, &column, other).expect("compared");
        assert!(equal(&parameter).starts_with("(t.a = \u{1}0:25:25:-1\u{1} AND "), "{}", equal(&parameter));
        // Whose collation it has is not known.
        assert!(!equal(&computed).contains(" AND "), "{}", equal(&computed));
    }
}
