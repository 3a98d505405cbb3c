//! Calls as DuckDB spells them: by OID where it has the very function, else by meaning.

use super::{MAX_DIGITS, decimal_name, trimmed};
use crate::dialect::{Dialect, Like, Result, Term, like_pattern};
use crate::meaning::{self, Meaning};
use weir_plan::ir::{Collation, Scalar};
use weir_plan::types::{PgType, oid};

const LOWER: &str = "abcdefghijklmnopqrstuvwxyz";
const UPPER: &str = "ABCDEFGHIJKLMNOPQRSTUVWXYZ";

/// Raises an error that the client knows, where `when` holds.
fn unless(when: &str, message: &str, sql: &str) -> String {
    format!("(CASE WHEN {when} THEN error('{message}') ELSE {sql} END)")
}

fn cast(sql: &str, ty: &PgType) -> Result<String> {
    Ok(format!("CAST({sql} AS {})", super::type_name(ty).ok_or("a cast to this type")?))
}

fn arg(args: &[Term], i: usize) -> Result<&Term> {
    args.get(i).ok_or_else(|| "an argument that is missing".to_string())
}

fn constant_int(args: &[Term], i: usize) -> Result<i32> {
    match arg(args, i)?.constant() {
        Some(Scalar::Int4(v)) => Ok(*v),
        _ => Err("an argument that is not a constant".into()),
    }
}

fn constant_text(args: &[Term], i: usize) -> Result<&str> {
    match arg(args, i)?.constant() {
        Some(Scalar::Text(text)) => Ok(text),
        _ => Err("an argument that is not a constant".into()),
    }
}

/// A call of this very function; `None` leaves it to its meaning.
pub fn function(mirrors: bool, func: u32, args: &[Term], ty: PgType, collation: Collation) -> Option<Result<Term>> {
    if meaning::scalar(func).is_some() {
        return None;
    }
    Some(by_oid(mirrors, func, args, ty, collation))
}

fn by_oid(mirrors: bool, func: u32, args: &[Term], ty: PgType, collation: Collation) -> Result<Term> {
    let sql = |i: usize| arg(args, i).map(|a| a.sql.as_str());
    let done = |sql: String| Ok(Term::computed(sql, ty));
    // By their names: what is written with an operator is moved to the other side of a comparison, where it does not overflow.
    let integer = |name: &str| -> Result<Term> { done(format!("{name}({}, {})", cast(sql(0)?, &ty)?, cast(sql(1)?, &ty)?)) };
    let quotient = |sign: &str| -> Result<Term> {
        let (l, r) = (cast(sql(0)?, &ty)?, cast(sql(1)?, &ty)?);
        let call = format!("({l} {sign} {r})");
        match arg(args, 1)?.constant() {
            Some(Scalar::Int2(1..) | Scalar::Int4(1..) | Scalar::Int8(1..)) => done(call),
            // Of the least integer, -1 is no divisor there.
            _ => {
                let zero = cast("0", &ty)?;
                let opposite = if sign == "%" { zero } else { format!("subtract({zero}, {l})") };
                let whole = format!("(CASE WHEN {r} = -1 AND {l} IS NOT NULL THEN {opposite} ELSE {call} END)");
                done(unless(&format!("{r} = 0 AND {l} IS NOT NULL"), "division by zero", &whole))
            }
        }
    };
    let compare = |sign: &str| -> Result<Term> { Ok(Term::computed(format!("({} {sign} {})", sql(0)?, sql(1)?), PgType::BOOL)) };
    let is_text = |t: &Term| matches!(t.ty.base, oid::TEXT | oid::VARCHAR);
    let case = |from: &str, to: &str| -> Result<Term> {
        if collation != Collation::C {
            return Err("upper or lower under a collation other than C".into());
        }
        Ok(Term::computed(format!("translate({}, '{from}', '{to}')", sql(0)?), ty).with_chars(arg(args, 0)?.chars))
    };
    match func {
        176..=179 | 463 | 841 | 1278 | 837 | 1274 => integer("add"),
        180..=183 | 464 | 942 | 1279 | 838 | 1275 => integer("subtract"),
        152 | 141 | 170 | 171 | 465 | 943 | 1280 | 839 | 1276 => integer("multiply"),
        153 | 154 | 172 | 173 | 466 | 948 | 1281 | 840 | 1277 => quotient("//"),
        155 | 156 | 940 | 941 | 945 | 947 => quotient("%"),
        212 | 213 | 462 => done(format!("(- {})", cast(sql(0)?, &ty)?)),
        1910..=1912 => done(sql(0)?.to_owned()),
        1253 | 1251 | 1230 | 1398 | 1397 | 1396 => done(format!("abs({})", cast(sql(0)?, &ty)?)),
        // Narrower integers: a cast that is compared would be moved to the other side, where nothing is out of range.
        314 | 480 | 714 => {
            let (least, greatest) = crate::sql::int_bounds(&ty).ok_or("a cast to this type")?;
            let name = if ty.base == oid::INT2 { "smallint" } else { "integer" };
            done(unless(&format!("NOT ({} BETWEEN {least} AND {greatest})", sql(0)?), &format!("{name} out of range"), &cast(sql(0)?, &ty)?))
        }
        // Integers as floats, and floats as wider ones: rounded to the nearest by the processor, there and here.
        235 | 316 | 482 | 236 | 318 | 652 | 311 => done(cast(sql(0)?, &ty)?),
        // Decimals are rounded half away from zero.
        1744 | 1779 | 1783 if arg(args, 0)?.digits.is_some() => done(cast(sql(0)?, &ty)?),
        56 => compare("<"),
        1691 => compare("<="),
        57 => compare(">"),
        1692 => compare(">="),
        287 | 299 | 305 => compare("="),
        288 | 300 | 306 => compare("<>"),
        289 | 301 | 307 => compare("<"),
        290 | 302 | 308 => compare("<="),
        291 | 303 | 309 => compare(">"),
        292 | 304 | 310 => compare(">="),
        1704 | 1705 => {
            let of = arg(args, 0)?;
            Ok(Term::computed(format!("abs({})", of.sql), ty).with_digits(Some(of.digits.ok_or("a numeric without a declared scale")?)))
        }
        1915 => Ok(Term { ty, ..arg(args, 0)?.clone() }),
        // round(numeric), round(numeric, n): never to more digits than there are.
        1708 => rounded(arg(args, 0)?, 0, ty),
        1707 => rounded(arg(args, 0)?, u32::try_from(constant_int(args, 1)?).map_err(|_| "round to the left of the point")?, ty),
        // numeric(numeric, type modifier)
        1703 => {
            let modifier = constant_int(args, 1)?;
            let to = PgType::with_typmod(oid::NUMERIC, modifier).numeric_precision_scale().ok_or("a cast to numeric without precision")?;
            let (p, s) = (u32::try_from(to.0).unwrap_or(u32::MAX), u32::try_from(to.1).map_err(|_| "a cast to a negative scale")?);
            if p > MAX_DIGITS || s > p || arg(args, 0)?.digits.is_none() {
                return Err("a cast to a numeric of more digits than its decimals have".into());
            }
            Ok(Term::computed(format!("CAST({} AS {})", sql(0)?, decimal_name((p, s))), ty).with_digits(Some((p, s))))
        }
        // text
        1258 => {
            let chars = arg(args, 0)?.chars.zip(arg(args, 1)?.chars).map(|(a, b)| a + b);
            Ok(Term::computed(format!("({} || {})", sql(0)?, sql(1)?), ty).with_chars(chars))
        }
        1257 | 1317 | 1381 | 1369 => done(format!("CAST(length({}) AS INTEGER)", sql(0)?)),
        1318 | 1372 | 1367 => done(format!("CAST(length({}) AS INTEGER)", trimmed(arg(args, 0)?, mirrors))),
        1374 => done(format!("CAST(strlen({}) AS INTEGER)", sql(0)?)),
        870 => case(UPPER, LOWER),
        871 => case(LOWER, UPPER),
        868 | 849 => done(format!("CAST(strpos({}, {}) AS INTEGER)", sql(0)?, sql(1)?)),
        3060 => Ok(Term::computed(format!("left({}, {})", sql(0)?, constant_int(args, 1)?), ty).with_chars(arg(args, 0)?.chars)),
        // Postgres negates the number, which of the least one is itself: then it is the whole text.
        3061 => match constant_int(args, 1)? {
            i32::MIN => Err("right of the least number".into()),
            n => Ok(Term::computed(format!("right({}, {n})", sql(0)?), ty).with_chars(arg(args, 0)?.chars)),
        },
        883 | 937 => {
            let start = constant_int(args, 1)?.max(1);
            Ok(Term::computed(format!("substring({}, {start})", sql(0)?), ty).with_chars(arg(args, 0)?.chars))
        }
        2087 => done(format!("replace({}, {}, {})", sql(0)?, sql(1)?, sql(2)?)),
        884 => Ok(Term::computed(format!("trim({}, {})", sql(0)?, sql(1)?), ty).with_chars(arg(args, 0)?.chars)),
        875 => Ok(Term::computed(format!("ltrim({}, {})", sql(0)?, sql(1)?), ty).with_chars(arg(args, 0)?.chars)),
        876 => Ok(Term::computed(format!("rtrim({}, {})", sql(0)?, sql(1)?), ty).with_chars(arg(args, 0)?.chars)),
        885 => Ok(Term::computed(format!("trim({}, ' ')", sql(0)?), ty).with_chars(arg(args, 0)?.chars)),
        881 => Ok(Term::computed(format!("ltrim({}, ' ')", sql(0)?), ty).with_chars(arg(args, 0)?.chars)),
        882 => Ok(Term::computed(format!("rtrim({}, ' ')", sql(0)?), ty).with_chars(arg(args, 0)?.chars)),
        3696 => Ok(Term::computed(format!("starts_with({}, {})", sql(0)?, sql(1)?), PgType::BOOL)),
        2311 => done(format!("md5({})", sql(0)?)),
        3058 if args.iter().all(is_text) && !args.is_empty() => done(format!("concat({})", args.iter().map(|a| a.sql.as_str()).collect::<Vec<_>>().join(", "))),
        // dates
        1140 => {
            let (l, r) = (sql(0)?, sql(1)?);
            done(unless(&format!("NOT isfinite({l}) OR NOT isfinite({r})"), "cannot subtract infinite dates", &format!("CAST(({l} - {r}) AS INTEGER)")))
        }
        1141 | 2550 => {
            let (d, n) = if func == 1141 { (sql(0)?, sql(1)?) } else { (sql(1)?, sql(0)?) };
            done(moved(d, "+", n))
        }
        1142 => done(moved(sql(0)?, "-", sql(1)?)),
        2020 => {
            let field = constant_text(args, 0)?.to_ascii_lowercase();
            if !matches!(field.as_str(), "year" | "quarter" | "month" | "week" | "day" | "hour" | "minute" | "second") {
                return Err(format!("date_trunc(\"{field}\")"));
            }
            let of = sql(1)?;
            done(format!("(CASE WHEN isfinite({of}) THEN CAST(date_trunc('{field}', {of}) AS TIMESTAMP) ELSE {of} END)"))
        }
        2029 => {
            let of = sql(0)?;
            let infinite = format!("WHEN {of} > '2000-01-01'::TIMESTAMP THEN 'infinity'::DATE WHEN {of} < '2000-01-01'::TIMESTAMP THEN '-infinity'::DATE");
            done(format!("(CASE WHEN isfinite({of}) THEN CAST({of} AS DATE) {infinite} END)"))
        }
        _ => Err(match weir_plan::functions::row(func) {
            Some(row) => format!("function {}", row.name),
            None => format!("function with OID {func}"),
        }),
    }
}

/// A date so many days later or earlier. There are dates there before the first one of Postgres and after its last one: days since 1970.
fn moved(d: &str, sign: &str, n: &str) -> String {
    let days = format!("CAST({d} - '1970-01-01'::DATE AS BIGINT) {sign} {n}");
    let finite = unless(&format!("NOT ({days} BETWEEN -2440588 AND 2145042905)"), "date out of range", &format!("({d} {sign} {n})"));
    format!("(CASE WHEN isfinite({d}) OR {n} IS NULL THEN {finite} ELSE {d} END)")
}

fn rounded(of: &Term, to: u32, ty: PgType) -> Result<Term> {
    let (p, s) = of.digits.ok_or("a numeric without a declared scale")?;
    if to > s {
        return Err("round to more digits than there are".into());
    }
    let digits = ((p - s.min(p) + 1 + to).min(MAX_DIGITS), to);
    Ok(Term::computed(format!("CAST({} AS {})", of.sql, decimal_name(digits)), ty).with_digits(Some(digits)))
}

/// A call of a function that is neither a comparison nor arithmetic.
pub fn meaning(mirrors: bool, meaning: Meaning, args: &[Term], ty: PgType) -> Result<Term> {
    Ok(match meaning {
        Meaning::WidenInt => Term::computed(cast(&arg(args, 0)?.sql, &ty)?, ty),
        Meaning::IntToNumeric => {
            let of = arg(args, 0)?;
            let constant = match of.constant() {
                Some(Scalar::Int2(v)) => Some(v.to_string()),
                Some(Scalar::Int4(v)) => Some(v.to_string()),
                Some(Scalar::Int8(v)) => Some(v.to_string()),
                _ => None,
            };
            if let Some(text) = constant {
                let digits = super::digits_of(&text);
                return Ok(Term::computed(super::DuckDb::OVER_FILES.literal(&Scalar::Numeric(text), &ty)?, ty).with_digits(digits));
            }
            let digits = match of.ty.base {
                oid::INT2 => (5, 0),
                oid::INT4 => (10, 0),
                _ => (19, 0),
            };
            Term::computed(format!("CAST({} AS {})", of.sql, decimal_name(digits)), ty).with_digits(Some(digits))
        }
        Meaning::Like { negated } => {
            let (text, pattern) = (arg(args, 0)?, constant_text(args, 1)?);
            if text.ty.base == oid::BPCHAR {
                return Err("LIKE on type character".into());
            }
            let parts = like_pattern(pattern)?;
            // Without an escape character it finds prefixes and parts faster.
            let escaped = parts.iter().any(|p| matches!(p, Like::Char('%' | '_')));
            let mut ours = String::new();
            for part in parts {
                match part {
                    Like::Any => ours.push('%'),
                    Like::One => ours.push('_'),
                    Like::Char(c @ ('%' | '_' | '|')) if escaped => ours.extend(['|', c]),
                    Like::Char(c) => ours.push(c),
                }
            }
            let escape = if escaped { " ESCAPE '|'" } else { "" };
            let pattern = super::DuckDb::OVER_FILES.literal(&Scalar::Text(ours), &PgType::TEXT)?;
            Term::computed(format!("({} {}LIKE {pattern}{escape})", text.sql, if negated { "NOT " } else { "" }), ty)
        }
        Meaning::ExtractDate | Meaning::ExtractTimestamp => {
            let field = constant_text(args, 0)?.to_ascii_lowercase();
            let of = arg(args, 1)?.sql.as_str();
            let (call, digits) = match (field.as_str(), meaning) {
                // There is a year 0 there, and none is infinite.
                ("year", _) => {
                    let year = format!("(CASE WHEN year({of}) < 1 THEN year({of}) - 1 ELSE year({of}) END)");
                    (unless(&format!("NOT isfinite({of})"), crate::dialect::duckdb::INFINITE_YEAR, &year), 7)
                }
                ("quarter" | "isodow", _) => (format!("{field}({of})"), 1),
                ("dow", _) => (format!("dayofweek({of})"), 1),
                ("month" | "day", _) => (format!("{field}({of})"), 2),
                ("doy", _) => (format!("dayofyear({of})"), 3),
                ("hour" | "minute", Meaning::ExtractTimestamp) => (format!("{field}({of})"), 2),
                _ => return Err(format!("extract(\"{field}\")")),
            };
            Term::computed(format!("CAST({call} AS {})", decimal_name((digits, 0))), ty).with_digits(Some((digits, 0)))
        }
        Meaning::Substring => {
            let (start, count) = (i64::from(constant_int(args, 1)?), i64::from(constant_int(args, 2)?));
            if count < 0 || arg(args, 0)?.ty.base == oid::BPCHAR {
                return Err("substring of a negative length".into());
            }
            // What lies before the text counts.
            let (from, n) = if start < 1 { (1, (start + count - 1).max(0)) } else { (start, count) };
            Term::computed(format!("substring({}, {from}, {n})", arg(args, 0)?.sql), ty).with_chars(usize::try_from(n).ok())
        }
        Meaning::BpcharToText => Term::computed(trimmed(arg(args, 0)?, mirrors), ty).with_chars(arg(args, 0)?.chars),
        Meaning::DateToTimestamp => Term::computed(format!("CAST({} AS TIMESTAMP)", arg(args, 0)?.sql), ty),
        Meaning::Compare(..) | Meaning::NumericArith(_) | Meaning::NumericNegate => return Err("an operator as a function".into()),
    })
}
