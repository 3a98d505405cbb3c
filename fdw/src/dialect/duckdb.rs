//! DuckDB, in a session whose settings `engines::duckdb` has fixed.
//!
//! What it computes otherwise than Postgres raises an error instead of answering, so that Postgres runs the query: overflow of integers and
//! decimals does so by itself, division by zero and infinite years are made to. Literals have their type said. Text is compared under
//! COLLATE C, whatever a column's collation there. Decimals of up to 18 digits multiply within 18, with an error beyond: that is good enough
//! below an aggregate, which fails before it has returned anything; elsewhere one side is widened first.

mod call;
mod window;

use super::{CommonTable, Dialect, Form, Over, Result, Term, mysql::civil, mysql::digits_of};
use crate::descriptor::Options;
use crate::meaning::{AggMeaning, Arith, Class, Meaning};
use weir_plan::ir::{Collation, Scalar};
use weir_plan::types::{PgType, oid};

pub struct DuckDb {
    /// Over mirrors, whose text is in the form of ours: bytes, and no trailing blanks where they do not count.
    mirrors: bool,
}

impl DuckDb {
    pub const OVER_FILES: DuckDb = DuckDb { mirrors: false };
    pub const OVER_MIRRORS: DuckDb = DuckDb { mirrors: true };
}

/// The option under which a mirror has the call that reads it.
pub const SCAN: &str = "scan";

/// What an expression raises that Postgres has an answer to, but a DECIMAL does not.
pub const INFINITE_YEAR: &str = "the year of an infinite date or timestamp is infinite, which its decimals are not";

/// Digits of a DECIMAL at most.
const MAX_DIGITS: u32 = 38;
/// Digits of one that is held in 64 bits: the result of arithmetic on such ones is one of them.
const NARROW_DIGITS: u32 = 18;

/// Around a reference to a column of text.
const BEFORE: &str = "(CAST(";
const AFTER: &str = " AS VARCHAR) COLLATE C)";

fn type_name(ty: &PgType) -> Option<&'static str> {
    Some(match ty.base {
        oid::BOOL => "BOOLEAN",
        oid::INT2 => "SMALLINT",
        oid::INT4 => "INTEGER",
        oid::INT8 => "BIGINT",
        oid::FLOAT4 => "FLOAT",
        oid::FLOAT8 => "DOUBLE",
        oid::TEXT | oid::VARCHAR | oid::BPCHAR => "VARCHAR",
        oid::BYTEA => "BLOB",
        oid::DATE => "DATE",
        oid::TIME => "TIME",
        oid::TIMESTAMP => "TIMESTAMP",
        oid::TIMESTAMPTZ => "TIMESTAMPTZ",
        oid::UUID => "UUID",
        _ => return None,
    })
}

fn decimal_name((p, s): (u32, u32)) -> String {
    format!("DECIMAL({}, {s})", p.max(s).max(1))
}

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

fn float(v: f64) -> String {
    match v {
        v if v.is_nan() => "NaN".into(),
        v if v.is_infinite() => (if v > 0.0 { "Infinity" } else { "-Infinity" }).into(),
        v => format!("{v:e}"),
    }
}

/// Of a product: a sum with fewer digits, so that the product has all it can have, and the other factor. At least as many as this are left in
/// front of the point.
fn narrowed(sum: &Term, factor: &Term) -> Option<(String, String)> {
    const WHOLE_DIGITS: u32 = 24;
    let ((MAX_DIGITS, scale), (digits, _)) = (sum.digits?, factor.digits?) else { return None };
    let rest = MAX_DIGITS.checked_sub(digits).filter(|rest| *rest >= scale + WHOLE_DIGITS)?;
    (sum.form == Form::Computed).then(|| (format!("CAST({} AS {})", sum.sql, decimal_name((rest, scale))), factor.sql.clone()))
}

fn trimmed(term: &Term, mirrors: bool) -> String {
    match &term.form {
        Form::Literal(_) => term.sql.clone(),
        _ if mirrors => term.sql.clone(),
        _ => format!("rtrim({}, ' ')", term.sql),
    }
}

impl Dialect for DuckDb {
    fn ident(&self, name: &str) -> Result<String> {
        if name.is_empty() || name.contains(['\0', '\u{1}']) {
            return Err(format!("the identifier \"{name}\""));
        }
        Ok(format!("\"{}\"", name.replace('"', "\"\"")))
    }

    fn table(&self, server: &Options, table: &[(String, String)], _schema: &str, name: &str) -> Result<String> {
        let own = |n: &str| table.iter().find(|(o, _)| o == n).map(|(_, v)| v.as_str());
        if let Some(call) = own(SCAN).filter(|_| self.mirrors) {
            return Ok(call.to_owned());
        }
        let schema = own("schema_name").or_else(|| server.text("schema")).unwrap_or("main");
        let path = format!("{}.{}", self.ident(schema)?, self.ident(own("table_name").unwrap_or(name))?);
        // The database is named after its file; where a schema has the same name, both have to be said.
        let file = server.text("database").and_then(|path| path.rsplit('/').next()).unwrap_or_default();
        let database = file.split('.').next().unwrap_or_default();
        if database.eq_ignore_ascii_case(schema) { Ok(format!("{}.{path}", self.ident(database)?)) } else { Ok(path) }
    }

    /// What is declared as text may be an enum there, which is ordered otherwise, or have a collation that ignores case.
    fn column(&self, sql: String, ty: PgType, _options: &[(String, String)]) -> Term {
        Term::column(if ty.is_collatable() && !self.mirrors { format!("{BEFORE}{sql}{AFTER}") } else { sql }, ty)
    }

    fn reference<'a>(&self, sql: &'a str) -> &'a str {
        sql.strip_prefix(BEFORE).and_then(|s| s.strip_suffix(AFTER)).unwrap_or(sql)
    }

    fn literal(&self, value: &Scalar, ty: &PgType) -> Result<String> {
        if let Scalar::Numeric(text) = value {
            return match digits_of(text) {
                Some((p, s)) if p <= MAX_DIGITS => Ok(format!("{}::{}", quoted(text), decimal_name((p, s)))),
                _ => Err(format!("the number {text}")),
            };
        }
        if matches!(value, Scalar::Null) && ty.base == oid::NUMERIC {
            let digits = ty.numeric_precision_scale().and_then(|(p, s)| Some((u32::try_from(p).ok()?, u32::try_from(s).ok()?)));
            return Ok(digits.filter(|d| d.0 <= MAX_DIGITS && d.1 <= d.0).map_or("NULL".into(), |d| format!("NULL::{}", decimal_name(d))));
        }
        let name = type_name(ty).ok_or("a constant of this type")?;
        let text = match value {
            Scalar::Null => return Ok(format!("NULL::{name}")),
            Scalar::Bool(b) => return Ok((if *b { "TRUE" } else { "FALSE" }).into()),
            Scalar::Int2(v) => return Ok(format!("({v})::{name}")),
            Scalar::Int4(v) => return Ok(format!("({v})::{name}")),
            Scalar::Int8(v) => return Ok(format!("({v})::{name}")),
            Scalar::Float4(v) => float(f64::from(*v)),
            Scalar::Float8(v) => float(*v),
            Scalar::Text(text) if ty.is_collatable() => {
                if text.contains('\0') {
                    return Err("a control character in a literal".into());
                }
                text.clone()
            }
            Scalar::Bytes(b) => b.iter().map(|b| format!("\\x{b:02X}")).collect(),
            Scalar::Uuid(u) => u.iter().map(|b| format!("{b:02x}")).collect(),
            Scalar::Date(i32::MAX) | Scalar::Timestamp(i64::MAX) => "infinity".into(),
            Scalar::Date(i32::MIN) | Scalar::Timestamp(i64::MIN) => "-infinity".into(),
            Scalar::Date(d) => date(i64::from(*d))?,
            Scalar::Time(us) if *us < 86_400_000_000 => clock(*us),
            Scalar::Timestamp(us) => {
                let zone = if ty.base == oid::TIMESTAMPTZ { "+00" } else { "" };
                format!("{} {}{zone}", date(us.div_euclid(86_400_000_000))?, clock(us.rem_euclid(86_400_000_000)))
            }
            _ => return Err("a constant of this type".into()),
        };
        Ok(format!("{}::{name}", quoted(&text)))
    }

    fn value(&self, value: &Scalar, ty: &PgType) -> Result<String> {
        match value {
            Scalar::Null => Ok("NULL".into()),
            // The column's own type reads it, be it an enum or JSON.
            Scalar::Text(text) if !text.contains('\0') => Ok(quoted(text)),
            Scalar::Array(items) => {
                let element = ty.element().ok_or("an array of this type")?;
                let name = type_name(&element).ok_or("an array of this type")?;
                let items = items.iter().map(|item| self.value(item, &element)).collect::<Result<Vec<_>>>()?;
                Ok(format!("[{}]::{name}[]", items.join(", ")))
            }
            other => self.literal(other, ty),
        }
    }

    /// What is equal under the column's collation and is the same text; the first can use an index.
    fn key_is(&self, column: &str, value: &Scalar, ty: &PgType) -> Result<String> {
        let literal = self.value(value, ty)?;
        Ok(match value {
            Scalar::Text(_) if ty.base == oid::BPCHAR => format!("rtrim({BEFORE}{column}{AFTER}, ' ') = {literal}"),
            Scalar::Text(_) => format!("{column} = {literal} AND {BEFORE}{column}{AFTER} = {literal}"),
            Scalar::Float4(_) | Scalar::Float8(_) => return Err("a key of floating point numbers".into()),
            _ => format!("{column} = {literal}"),
        })
    }

    fn modifies(&self) -> bool {
        true
    }

    fn skip_conflicts(&self, _columns: &[String]) -> Option<String> {
        Some(" ON CONFLICT DO NOTHING".into())
    }

    /// An overflow is an error there, too.
    fn checked_int(&self, op: Arith, left: &Term, right: &Term, ty: &PgType) -> Result<String> {
        let name = type_name(ty).filter(|_| crate::sql::int_bounds(ty).is_some()).ok_or("arithmetic of this type")?;
        Ok(format!("CAST({} {} {} AS {name})", left.sql, op.sign(), right.sql))
    }

    /// It has no locks: who writes what another has changed since fails, if it has read within the transaction.
    fn lock_changed(&self) -> Option<&'static str> {
        Some("")
    }

    fn decimal_limits(&self) -> (u32, u32) {
        (MAX_DIGITS, MAX_DIGITS)
    }

    fn decimal(&self, op: Arith, l: &Term, r: &Term, (p, s): (u32, u32), folded: bool) -> Result<(String, (u32, u32))> {
        // A sum has by far not all the digits it could have: if it has, the cast fails, and Postgres answers.
        if let (Arith::Mul, true, false) = (op, p > MAX_DIGITS, folded)
            && let Some((l, r)) = narrowed(l, r).or_else(|| narrowed(r, l).map(|(r, l)| (l, r)))
        {
            return Ok((format!("({} * {})", l, r), (MAX_DIGITS, s)));
        }
        if s > MAX_DIGITS || (p > MAX_DIGITS && !folded) {
            return Err("arithmetic of more digits than its decimals have".into());
        }
        let widest = l.digits.map_or(0, |d| d.0).max(r.digits.map_or(0, |d| d.0));
        let mut left = l.sql.clone();
        if !folded && p > NARROW_DIGITS && widest <= NARROW_DIGITS {
            left = format!("CAST({left} AS {})", decimal_name((NARROW_DIGITS + 1, l.digits.map_or(0, |d| d.1))));
        }
        let sign = op.sign();
        Ok((format!("({left} {sign} {})", r.sql), (p.min(MAX_DIGITS), s)))
    }

    fn function(&self, func: u32, args: &[Term], ty: PgType, collation: Collation) -> Option<Result<Term>> {
        call::function(self.mirrors, func, args, ty, collation)
    }

    fn comparable(&self, class: Class, term: &Term) -> Result<String> {
        Ok(match class {
            Class::Bpchar => trimmed(term, self.mirrors),
            Class::DateTimestamp => format!("CAST({} AS TIMESTAMP)", term.sql),
            Class::Bytes | Class::Time | Class::Uuid => return Err("a comparison of this type".into()),
            _ => term.sql.clone(),
        })
    }

    fn call(&self, meaning: Meaning, args: &[Term], ty: PgType) -> Result<Term> {
        call::meaning(self.mirrors, meaning, args, ty)
    }

    fn aggregate(&self, meaning: AggMeaning, arg: Option<&Term>, distinct: bool, ty: PgType) -> Result<Term> {
        let distinct_word = if distinct { "DISTINCT " } else { "" };
        let arg = || arg.ok_or_else(|| "an argument that is missing".to_string());
        Ok(match meaning {
            AggMeaning::CountStar => Term::computed("count(*)".into(), ty),
            AggMeaning::Count if distinct => Term::computed(format!("count(DISTINCT {})", self.key(arg()?)?), ty),
            AggMeaning::Count => Term::computed(format!("count({})", arg()?.sql), ty),
            AggMeaning::SumSmallInt => Term::computed(format!("CAST(sum({distinct_word}{}) AS BIGINT)", arg()?.sql), ty),
            AggMeaning::SumInt => Term::computed(format!("CAST(sum({distinct_word}{}) AS DECIMAL(38, 0))", arg()?.sql), ty).with_digits(Some((MAX_DIGITS, 0))),
            AggMeaning::SumNumeric => match arg()?.digits {
                Some((_, s)) => Term::computed(format!("CAST(sum({distinct_word}{}) AS {})", arg()?.sql, decimal_name((MAX_DIGITS, s))), ty)
                    .with_digits(Some((MAX_DIGITS, s))),
                None => return Err("sum of a numeric without a declared scale".into()),
            },
            AggMeaning::Min | AggMeaning::Max => {
                let of = arg()?;
                let name = if meaning == AggMeaning::Min { "min" } else { "max" };
                Term::computed(format!("{name}({})", self.key(of)?), ty).with_digits(of.digits).with_chars(of.chars)
            }
            AggMeaning::AvgSmallInt | AggMeaning::AvgInt | AggMeaning::AvgNumeric => return Err("an average, which has another scale there".into()),
        })
    }

    fn common_table(&self) -> Option<CommonTable> {
        Some(CommonTable::Once(" MATERIALIZED"))
    }

    fn has_constructs(&self) -> bool {
        true
    }

    fn compares_rows(&self) -> bool {
        false
    }

    /// "Cannot copy BoundSubqueryExpression"
    fn aggregates_subqueries(&self) -> bool {
        false
    }

    /// Conditions change places while a filter runs, and those in other expressions are all computed. Over mirrors, Postgres answers what fails.
    fn keeps_order(&self) -> bool {
        self.mirrors
    }

    fn window(&self, func: u32, args: &[Term], over: &Over, ty: PgType) -> Result<Term> {
        window::window(self, func, args, over, ty)
    }

    fn key(&self, term: &Term) -> Result<String> {
        Ok(match term.ty.base {
            oid::NUMERIC if term.digits.is_none() && term.form != Form::Column => return Err("a key of numerics of different scales".into()),
            oid::BPCHAR => trimmed(term, self.mirrors),
            // What is sorted, windows too, has its values from the keys of the sort, which know no -0.
            oid::FLOAT4 | oid::FLOAT8 => return Err("a key of floats, of which -0 would become 0".into()),
            _ if type_name(&term.ty).is_some() || term.ty.base == oid::NUMERIC => term.sql.clone(),
            _ => return Err("a key of this type".into()),
        })
    }

    fn order(&self, term: &Term, descending: bool, nulls_first: bool) -> Result<Vec<String>> {
        if matches!(term.ty.base, oid::UUID | oid::BYTEA) {
            return Err("an order of this type".into());
        }
        let direction = if descending { "DESC" } else { "ASC" };
        Ok(vec![format!("{} {direction} NULLS {}", self.key(term)?, if nulls_first { "FIRST" } else { "LAST" })])
    }

    fn branch(&self, term: &Term) -> Result<String> {
        match term.ty.base {
            oid::BPCHAR => Err("CASE of type character".into()),
            _ => Ok(term.sql.clone()),
        }
    }

    fn returns(&self, ty: &PgType) -> bool {
        match ty.element() {
            Some(element) => !matches!(element.base, oid::BPCHAR | oid::TIME) && type_name(&element).is_some(),
            None => type_name(ty).is_some() || matches!(ty.base, oid::NUMERIC | oid::JSON | oid::JSONB | oid::ENUM),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn literals_cannot_be_left() {
        let lit = |s: &str| DuckDb::OVER_FILES.literal(&Scalar::Text(s.into()), &PgType::TEXT);
        assert_eq!(lit("it's").as_deref(), Ok("'it''s'::VARCHAR"));
        assert_eq!(lit("\\' OR 1=1").as_deref(), Ok("'\\'' OR 1=1'::VARCHAR"));
        assert_eq!(DuckDb::OVER_FILES.literal(&Scalar::Int2(-1), &PgType::INT2).as_deref(), Ok("(-1)::SMALLINT"));
        assert_eq!(DuckDb::OVER_FILES.literal(&Scalar::Numeric("0.05".into()), &PgType::NUMERIC).as_deref(), Ok("'0.05'::DECIMAL(3, 2)"));
        assert!(DuckDb::OVER_FILES.literal(&Scalar::Numeric("NaN".into()), &PgType::NUMERIC).is_err());
        assert_eq!(DuckDb::OVER_FILES.literal(&Scalar::Bytes(vec![0, 39]), &PgType::new(oid::BYTEA)).as_deref(), Ok("'\\x00\\x27'::BLOB"));
    }
}
