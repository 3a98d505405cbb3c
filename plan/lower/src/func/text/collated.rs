//! Order of text under the collation of a locale, which the translator names as a third argument.

use super::lower_call::{literal_text, with_args};
use crate::error::refused;
use crate::udf;
use crate::value::{Call, Value};
use arrow::array::{Array, ArrayRef, AsArray, BooleanArray};
use datafusion::common::{Result, internal_err};
use datafusion::logical_expr::Operator;
use std::cmp::Ordering;
use std::sync::Arc;
use weir_collate::Collator;

/// The locale that an expression names.
///
/// # Errors
/// It is not constant, or cannot be opened here.
pub(crate) fn collator(value: &Value) -> Result<(String, Arc<Collator>)> {
    let locale = literal_text(value).ok_or_else(|| refused("a locale that is not constant"))?;
    Ok((locale.to_owned(), Collator::open(locale).map_err(refused)?))
}

/// `left op right`, of three arguments.
pub(super) fn compare(call: &Call<'_>, op: Operator) -> Result<Value> {
    let [left, right, locale] = call.args.as_slice() else { return Err(refused("a comparison under a collation of no locale")) };
    let (name, collator) = collator(locale)?;
    let holds = move |order: Ordering| match op {
        Operator::Lt => order.is_lt(),
        Operator::LtEq => order.is_le(),
        Operator::Gt => order.is_gt(),
        _ => order.is_ge(),
    };
    let kernel = udf::over_arrays(move |arrays| {
        let [Some(left), Some(right)] = arrays.iter().map(|a| a.as_string_view_opt()).collect::<Vec<_>>()[..] else {
            return internal_err!("a comparison of something that is no text");
        };
        let mut result = Vec::with_capacity(left.len());
        for pair in left.iter().zip(right) {
            result.push(match pair {
                (Some(l), Some(r)) => Some(holds(collator.compare(l, r).map_err(refused)?)),
                _ => None,
            });
        }
        Ok(Arc::new(BooleanArray::from(result)) as ArrayRef)
    });
    with_args(call, "pg_collated", format!("{op} {name}"), vec![left.expr.clone(), right.expr.clone()], kernel)
}
