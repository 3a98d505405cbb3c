//! percentile_disc and mode of numerics whose display scales differ by row, and of several fractions.
//!
//! Invariant: the value chosen is one of the rows, as its text. Of equal values that print differently, which one Postgres takes
//! depends on the order of its input: refused.

use super::collect::{Finish, Spec};
use super::percentile::{Fractions, fractions, picked, range, sorted_value};
use super::single;
use crate::agg::{AggArgs, AggLowered};
use crate::error::refused;
use crate::func;
use crate::value::Value;
use arrow::array::{Array, ArrayRef, AsArray, DynComparator, ListBuilder, StringViewArray, StringViewBuilder, make_comparator};
use arrow::compute::SortOptions;
use arrow::datatypes::DataType;
use datafusion::common::Result;
use std::ops::Range;
use std::sync::Arc;
use weir_plan::types::{PgType, arrow_type};

pub(super) fn disc(args: &AggArgs<'_>) -> Result<AggLowered> {
    let Fractions { many, values: fractions } = fractions(args, "percentile_disc")?;
    let key = format!("{fractions:?}");
    if !many {
        let finish: Finish = Arc::new(move |columns, bounds| {
            let rows = Sorted::new(columns)?;
            let fraction = fractions.iter().flatten().flatten().next();
            let mut out = StringViewBuilder::with_capacity(bounds.len());
            for group in bounds.windows(2) {
                let (start, end) = range(group);
                match fraction {
                    Some(f) if start < end => out.append_value(rows.decided(picked(*f, start, end), start..end)?),
                    _ => out.append_null(),
                }
            }
            Ok(Arc::new(out.finish()))
        });
        return one(args, "percentile_disc", key, finish);
    }
    let result = arrow_type(&args.ty).ok_or_else(|| refused("an array of an unknown type"))?;
    let finish: Finish = Arc::new(move |columns, bounds| {
        let rows = Sorted::new(columns)?;
        let mut out = ListBuilder::new(StringViewBuilder::new());
        for group in bounds.windows(2) {
            let (start, end) = range(group);
            let Some(fractions) = fractions.as_ref().filter(|_| start < end) else {
                out.append_null();
                continue;
            };
            for f in fractions {
                match f {
                    Some(f) => out.values().append_value(rows.decided(picked(*f, start, end), start..end)?),
                    None => out.values().append_null(),
                }
            }
            out.append(true);
        }
        Ok(Arc::new(out.finish()))
    });
    let (udf, exprs) = collect(args, "percentile_disc", key, result.clone(), finish)?;
    single(args, udf, exprs, Value::new(datafusion::logical_expr::lit(0), result, args.ty))
}

pub(super) fn mode(args: &AggArgs<'_>) -> Result<AggLowered> {
    let finish: Finish = Arc::new(|columns, bounds| {
        let rows = Sorted::new(columns)?;
        let mut out = StringViewBuilder::with_capacity(bounds.len());
        for group in bounds.windows(2) {
            let (start, end) = range(group);
            let mut best: Option<Range<usize>> = None;
            let mut at = start;
            while at < end {
                let run = rows.run(at, start..end);
                at = run.end;
                // Of equally frequent values the first in the order is taken.
                if best.as_ref().is_none_or(|b| run.len() > b.len()) {
                    best = Some(run);
                }
            }
            match best {
                Some(run) => out.append_value(rows.decided(run.start, run)?),
                None => out.append_null(),
            }
        }
        Ok(Arc::new(out.finish()))
    });
    one(args, "mode", String::new(), finish)
}

/// The collected values in their order, with their texts.
struct Sorted<'a> {
    compare: DynComparator,
    texts: &'a StringViewArray,
}

impl<'a> Sorted<'a> {
    fn new(columns: &'a [ArrayRef]) -> Result<Sorted<'a>> {
        let [values, texts] = columns else { return Err(refused("an ordered-set aggregate of numerics without their texts")) };
        let texts = texts.as_string_view_opt().ok_or_else(|| refused("numerics without texts"))?;
        Ok(Sorted { compare: make_comparator(values, values, SortOptions::default())?, texts })
    }

    /// The rows whose values are equal to that of one.
    fn run(&self, row: usize, within: Range<usize>) -> Range<usize> {
        let equal = |other: &usize| (self.compare)(row, *other).is_eq();
        let start = (within.start..row).rev().take_while(equal).last().unwrap_or(row);
        let end = (row..within.end).take_while(equal).last().unwrap_or(row) + 1;
        start..end
    }

    /// The text of a row, if equal values have the same.
    fn decided(&self, row: usize, within: Range<usize>) -> Result<&str> {
        let text = self.texts.value(row);
        if self.run(row, within).any(|other| self.texts.is_null(other) || self.texts.value(other) != text) {
            return Err(refused("an ordered-set aggregate over equal numerics of different scales"));
        }
        Ok(text)
    }
}

type Collected = (Arc<datafusion::logical_expr::AggregateUDF>, Vec<datafusion::logical_expr::Expr>);

fn collect(args: &AggArgs<'_>, name: &'static str, key: String, result: DataType, finish: Finish) -> Result<Collected> {
    let value = sorted_value(args)?;
    let text = func::via_text(value, PgType::TEXT, args.session)?.expr;
    let descending = args.order_by.first().is_some_and(|k| !k.asc);
    let spec = Spec {
        name,
        key: format!("{key} {} as text", value.arrow),
        result,
        args: 2,
        sort: vec![(0, SortOptions { descending, nulls_first: false })],
        skip_nulls: true,
        distinct: false,
        decided_by: None,
        finish,
    };
    Ok((spec.udaf(2), vec![value.expr.clone(), text]))
}

/// An aggregate whose result is the text of a numeric.
fn one(args: &AggArgs<'_>, name: &'static str, key: String, finish: Finish) -> Result<AggLowered> {
    let (udf, exprs) = collect(args, name, key, DataType::Utf8View, finish)?;
    let (ty, session) = (args.ty, args.session.clone());
    let AggLowered { parts, finish } = single(args, udf, exprs, Value::new(datafusion::logical_expr::lit(0), DataType::Utf8View, PgType::TEXT))?;
    Ok(AggLowered {
        parts,
        finish: Box::new(move |columns| {
            let text = finish(columns)?;
            func::via_text(&Value { ty: PgType::TEXT, ..text }, ty, &session)
        }),
    })
}
