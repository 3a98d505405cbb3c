//! Equality, containment and sizes of arrays.

use super::super::text::lower_call::make;
use super::super::text::rows::{Args, kernel};
use super::super::text::slice::count;
use crate::error::refused;
use crate::udf::Kernel;
use crate::value::{Call, Value};
use arrow::array::make_comparator;
use arrow::array::{Array, ArrayRef, BooleanBuilder, Int32Builder, ListArray};
use arrow::compute::SortOptions;
use datafusion::common::Result;
use datafusion::logical_expr::ScalarFunctionArgs;
use std::ops::Range;
use std::sync::Arc;

pub(super) fn lower(call: &Call<'_>) -> Option<Result<Value>> {
    Some(match call.func {
        744 => pairs(call, "array_eq", |a, b, same, _| equal(a, b, same)),
        390 => pairs(call, "array_ne", |a, b, same, _| !equal(a, b, same)),
        2748 => pairs(call, "arraycontains", |a, mut b, same, valid| b.all(|j| valid.1(j) && a.clone().any(|i| same(i, j)))),
        2749 => pairs(call, "arraycontained", |mut a, b, same, valid| a.all(|i| valid.0(i) && b.clone().any(|j| same(i, j)))),
        2747 => pairs(call, "arrayoverlap", |mut a, b, same, valid| a.any(|i| valid.0(i) && b.clone().any(|j| same(i, j)))),
        // An empty array has no dimensions.
        2176 | 2092 => make(
            call,
            "array_length",
            "",
            kernel!(Int32Builder::new(), |a: list, dimension: int4| if dimension == 1 && !a.is_empty() { Some(count(a.len())?) } else { None }),
        ),
        2091 => make(call, "array_lower", "", kernel!(Int32Builder::new(), |a: list, dimension: int4| (dimension == 1 && !a.is_empty()).then_some(1))),
        748 => make(call, "array_ndims", "", kernel!(Int32Builder::new(), |a: list| (!a.is_empty()).then_some(1))),
        3179 => make(call, "cardinality", "", kernel!(Int32Builder::new(), |a: list| Some(count(a.len())?))),
        3277 => position(call),
        _ => return None,
    })
}

type Same<'a> = &'a dyn Fn(usize, usize) -> bool;
type Valid<'a> = (&'a dyn Fn(usize) -> bool, &'a dyn Fn(usize) -> bool);

fn equal(a: Range<usize>, b: Range<usize>, same: Same<'_>) -> bool {
    a.len() == b.len() && a.zip(b).all(|(i, j)| same(i, j))
}

/// A predicate over two arrays: the places of their elements, and which of them are equal (NULL to NULL too) and not NULL.
fn pairs(call: &Call<'_>, name: &'static str, f: fn(Range<usize>, Range<usize>, Same<'_>, Valid<'_>) -> bool) -> Result<Value> {
    let [left, right] = call.args.as_slice() else { return Err(refused(format!("{name} wants two arrays"))) };
    if left.arrow != right.arrow {
        return Err(refused(format!("{name} of {} and {}", left.arrow, right.arrow)));
    }
    let kernel: Kernel = Arc::new(move |call: &ScalarFunctionArgs| {
        let args = Args::new(call)?;
        let (left, right) = (args.list(0)?, args.list(1)?);
        let compare = make_comparator(left.array.values(), right.array.values(), SortOptions::default())?;
        let same = |i: usize, j: usize| compare(i, j).is_eq();
        let valid = (|i: usize| left.array.values().is_valid(i), |j: usize| right.array.values().is_valid(j));
        let mut out = BooleanBuilder::with_capacity(args.rows);
        let nulls = args.nulls();
        for row in 0..args.rows {
            match &nulls {
                Ok(nulls) if nulls.as_ref().is_none_or(|n| n.is_valid(row)) => {
                    let (a, b) = (elements(left.array, left.at(row)), elements(right.array, right.at(row)));
                    out.append_value(f(a, b, &same, (&valid.0, &valid.1)));
                }
                _ => out.append_null(),
            }
        }
        args.finish(Arc::new(out.finish()))
    });
    make(call, name, "", kernel)
}

/// Where a list's elements stand among the values.
fn elements(list: &ListArray, row: usize) -> Range<usize> {
    let at = |i: usize| list.value_offsets().get(i).and_then(|o| usize::try_from(*o).ok()).unwrap_or_default();
    at(row)..at(row + 1)
}

/// `array_position`: also finds NULL.
fn position(call: &Call<'_>) -> Result<Value> {
    let kernel: Kernel = Arc::new(|call: &ScalarFunctionArgs| {
        let args = Args::new(call)?;
        let list = args.list(0)?;
        let (wanted, one) = args.arg(1)?;
        let wanted: &ArrayRef = wanted;
        if list.array.value_type() != *wanted.data_type() {
            return Err(refused("array_position of an element of another type"));
        }
        let compare = make_comparator(list.array.values(), wanted, SortOptions::default())?;
        let mut out = Int32Builder::with_capacity(args.rows);
        for row in 0..args.rows {
            let at = list.at(row);
            if list.array.is_null(at) {
                out.append_null();
                continue;
            }
            let j = if *one { 0 } else { row };
            let found = elements(list.array, at).enumerate().find(|(_, i)| compare(*i, j).is_eq());
            out.append_option(found.map(|(n, _)| count(n + 1)).transpose()?);
        }
        args.finish(Arc::new(out.finish()))
    });
    make(call, "array_position", "", kernel)
}
