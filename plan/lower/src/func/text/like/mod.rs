//! LIKE, ILIKE and their negations.
//!
//! A constant pattern that amounts to a comparison with a fixed string is DataFusion's own `Like`, which optimiser and scan
//! know; everything else is matched by our own code.

use super::case::{Letters, letters};
use super::cast::padded_first;
use super::lower_call::{literal_text, make, with_args};
use super::rows::{Args, kernel};
use crate::udf::Kernel;
use crate::value::{Call, Value};
use arrow::array::{BooleanBuilder, StringViewBuilder};
use datafusion::common::Result;
use datafusion::logical_expr::{Expr, Like, ScalarFunctionArgs};
use std::sync::Arc;
use weir_collate::Case;
use weir_plan::types::oid;

mod pattern;

use pattern::Pattern;

pub(super) fn lower(call: &Call<'_>) -> Option<Result<Value>> {
    Some(match call.func {
        850 | 1569 | 1631 | 858 | 1571 => like(call, false),
        851 | 1570 | 1632 | 859 | 1572 => like(call, true),
        1633 | 1660 | 1635 => letters(call).and_then(|letters| matched(call, "ilike", false, Some(letters))),
        1634 | 1661 | 1636 => letters(call).and_then(|letters| matched(call, "ilike", true, Some(letters))),
        1637 => make(call, "like_escape", "", kernel!(StringViewBuilder::new(), |p: text, e: text| Some(pattern::like_escape(p, e)?))),
        _ => return None,
    })
}

fn like(call: &Call<'_>, negated: bool) -> Result<Value> {
    if let [text, pattern] = call.args.as_slice() {
        let padded = text.ty.base == oid::BPCHAR;
        if literal_text(pattern).is_some_and(|p| is_fixed_string(p, padded)) {
            let like = Like::new(negated, Box::new(text.expr.clone()), Box::new(pattern.expr.clone()), None, false);
            return Ok(Value::bool(Expr::Like(like)));
        }
    }
    matched(call, "like", negated, None)
}

/// Equality, prefix, suffix or substring. For a padded value only where the padding cannot take part in the match.
fn is_fixed_string(pattern: &str, padded: bool) -> bool {
    let body = pattern.strip_prefix('%').unwrap_or(pattern);
    let body = body.strip_suffix('%').unwrap_or(body);
    !body.contains(['%', '_', '\\']) && (!padded || (pattern.ends_with('%') && !body.is_empty() && !body.ends_with(' ')))
}

/// `fold`: compare without case, of these letters.
fn matched(call: &Call<'_>, name: &'static str, negated: bool, fold: Option<Letters>) -> Result<Value> {
    let kernel: Kernel = Arc::new(move |call: &ScalarFunctionArgs| {
        let args = Args::new(call)?;
        let (text, pattern) = (args.text(0)?, args.text(1)?);
        let mut out = BooleanBuilder::with_capacity(args.rows);
        let Ok(nulls) = args.nulls() else {
            out.append_nulls(args.rows);
            return args.finish(Arc::new(out.finish()));
        };
        let mut compiled: Option<(&str, Pattern)> = None;
        let mut folded = String::new();
        for row in 0..args.rows {
            if nulls.as_ref().is_some_and(|n| n.is_null(row)) {
                out.append_null();
                continue;
            }
            let source = pattern.get(row);
            let compiled = match &mut compiled {
                Some((of, p)) if *of == source => p,
                other => {
                    let p = match fold {
                        None => Pattern::new(source)?,
                        Some(letters) => Pattern::new(&letters.converted(Case::Lower, source)?)?,
                    };
                    &mut other.insert((source, p)).1
                }
            };
            let mut s = text.get(row);
            if let Some(letters) = fold {
                folded.clear();
                letters.convert(Case::Lower, s, &mut folded)?;
                s = &folded;
            }
            out.append_value(compiled.matches(s) != negated);
        }
        args.finish(Arc::new(out.finish()))
    });
    let key = format!("{negated}{fold:?}");
    with_args(call, name, key, padded_first(call)?, kernel)
}
