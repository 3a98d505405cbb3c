//! Window functions as DuckDB spells them.

use super::{DuckDb, MAX_DIGITS, decimal_name};
use crate::dialect::{Dialect, Over, Result, Term};
use crate::meaning::{self, AggMeaning};
use weir_plan::ir::Scalar;
use weir_plan::types::PgType;

/// A number that is a constant and at least this.
fn count(term: Option<&Term>, least: i32) -> Result<i32> {
    match term.and_then(Term::constant) {
        Some(Scalar::Int4(n)) if *n >= least => Ok(*n),
        _ => Err("a window function with an argument that is not a constant".into()),
    }
}

pub fn window(dialect: &DuckDb, func: u32, args: &[Term], over: &Over, ty: PgType) -> Result<Term> {
    // These look at the whole partition whatever the frame is.
    let ranking = |call: &str| Ok(Term::computed(format!("{call} OVER ({})", over.order), ty));
    let framed = |call: &str| format!("{call} OVER ({}{}{})", over.order, if over.order.is_empty() { "" } else { " " }, over.frame);
    let value = || args.first().ok_or_else(|| "an argument that is missing".to_string());
    let same = |call: String| Ok(Term { sql: call, ty, form: super::Form::Computed, ..value()?.clone() });
    match func {
        3100 => ranking("row_number()"),
        3101 => ranking("rank()"),
        3102 => ranking("dense_rank()"),
        3103 => ranking("percent_rank()"),
        3104 => ranking("cume_dist()"),
        3105 => Ok(Term::computed(format!("CAST(ntile({}) OVER ({}) AS INTEGER)", count(args.first(), 1)?, over.order), ty)),
        3106 | 3109 => same(format!("{}({}) OVER ({})", if func == 3106 { "lag" } else { "lead" }, value()?.sql, over.order)),
        3107 | 3110 => {
            let n = count(args.get(1), 0)?;
            same(format!("{}({}, {n}) OVER ({})", if func == 3107 { "lag" } else { "lead" }, value()?.sql, over.order))
        }
        3112 => same(framed(&format!("first_value({})", value()?.sql))),
        3113 => same(framed(&format!("last_value({})", value()?.sql))),
        3114 => same(framed(&format!("nth_value({}, {})", value()?.sql, count(args.get(1), 1)?))),
        _ => aggregate(dialect, meaning::aggregate(func).ok_or("a window function that it does not have")?, args.first(), &framed, ty),
    }
}

fn aggregate(dialect: &DuckDb, meaning: AggMeaning, arg: Option<&Term>, framed: &dyn Fn(&str) -> String, ty: PgType) -> Result<Term> {
    let arg = || arg.ok_or_else(|| "an argument that is missing".to_string());
    Ok(match meaning {
        AggMeaning::CountStar => Term::computed(framed("count(*)"), ty),
        AggMeaning::Count => Term::computed(framed(&format!("count({})", arg()?.sql)), ty),
        AggMeaning::SumSmallInt => Term::computed(format!("CAST({} AS BIGINT)", framed(&format!("sum({})", arg()?.sql))), ty),
        AggMeaning::SumInt | AggMeaning::SumNumeric => {
            let scale = if meaning == AggMeaning::SumInt { 0 } else { arg()?.digits.ok_or("sum of a numeric without a declared scale")?.1 };
            let digits = (MAX_DIGITS, scale);
            Term::computed(format!("CAST({} AS {})", framed(&format!("sum({})", arg()?.sql)), decimal_name(digits)), ty).with_digits(Some(digits))
        }
        AggMeaning::Min | AggMeaning::Max => {
            let name = if meaning == AggMeaning::Min { "min" } else { "max" };
            let of = arg()?;
            Term::computed(framed(&format!("{name}({})", dialect.key(of)?)), ty).with_digits(of.digits).with_chars(of.chars)
        }
        _ => return Err("an average, which has another scale there".into()),
    })
}
