//! GREATEST, LEAST and `op ANY/ALL (array)`.

use super::expr::Scope;
use super::{Lowerer, consts, keys, unify};
use crate::error::refused;
use crate::func;
use crate::udf;
use crate::value::{DScale, Value};
use arrow::array::{Array, ArrayRef, AsArray, BooleanBuilder, RecordBatch, UInt32Array, make_comparator};
use arrow::compute::{SortOptions, interleave, take};
use arrow::datatypes::{DataType, Field, Schema};
use datafusion::common::{DFSchema, Result, ScalarValue, internal_err};
use datafusion::logical_expr::Expr as DfExpr;
use datafusion::logical_expr::execution_props::ExecutionProps;
use datafusion::physical_expr::create_physical_expr;
use std::cmp::Ordering;
use std::sync::Arc;
use weir_collate::Collator;
use weir_plan::ir::{Collation, Expr, Scalar};
use weir_plan::types::{PgType, oid};

impl Lowerer<'_> {
    /// The first of the largest (or smallest) of the non-NULL arguments.
    pub(super) fn extreme(&self, args: &[Expr], ty: PgType, collation: Collation, greatest: bool, scope: &Scope<'_>) -> Result<Value> {
        // The locale, if there is one, is the last argument.
        let (args, locale) = match (collation, args) {
            (Collation::Locale(_), [args @ .., locale]) if ty.is_collatable() => (args, Some(func::collator(&self.expr(locale, scope)?)?)),
            _ if ty.is_collatable() && !matches!(collation, Collation::C | Collation::CodePoint(_)) => {
                return Err(refused("GREATEST or LEAST under a collation other than C"));
            }
            _ => (args, None),
        };
        let args = self.exprs(args, scope)?;
        let form = unify::form(&args.iter().collect::<Vec<_>>(), ty)?;
        let args: Vec<Value> = args.iter().map(|v| form.apply(v)).collect();
        let keys = args.iter().map(keys::order_key).collect::<Result<Vec<_>>>()?;
        let pick = |of: Vec<DfExpr>, arrow: DataType| {
            let n = of.len();
            let (locale, collator) = locale.clone().unzip();
            let kernel = udf::over_arrays(move |arrays| picked(arrays, n, greatest, collator.as_deref()));
            let name = if greatest { "pg_greatest" } else { "pg_least" };
            udf::call(name, format!("{n} {}", locale.unwrap_or_default()), arrow, of.into_iter().chain(keys.iter().cloned()).collect(), kernel)
        };
        let value = pick(args.iter().map(|v| v.expr.clone()).collect(), form.arrow.clone());
        let scales: Vec<DfExpr> = args.iter().filter_map(|v| matches!(v.dscale, Some(DScale::Dynamic(_))).then(|| v.dscale_expr()).flatten()).collect();
        let scale = (!scales.is_empty()).then(|| pick(scales, DataType::Int16));
        Ok(form.value(value, scale))
    }

    /// `left op ANY/ALL (array)`: NULL for a NULL array; else as over the list of its elements.
    pub(super) fn any_array(&self, func: u32, any: bool, left: &Expr, array: &Expr, collation: Collation, scope: &Scope<'_>) -> Result<Value> {
        let element = array.ty().element().ok_or_else(|| refused("ANY over something that is not an array"))?;
        let left = self.expr(left, scope)?;
        if let Some(items) = self.constant_array(array)? {
            let Some(items) = items else { return Ok(Value::bool(DfExpr::Literal(ScalarValue::Boolean(None), None))) };
            let list = items.iter().map(|i| consts::constant(i, element)).collect::<Result<Vec<_>>>()?;
            return self.in_list(func, any, left, list, collation);
        }
        if element.base == oid::NUMERIC || left.ty.base == oid::NUMERIC {
            return Err(refused("ANY over an array of numeric"));
        }
        let array = self.expr(array, scope)?;
        let DataType::List(field) = &array.arrow else { return Err(refused("ANY over something that is not an array")) };
        // The comparison runs over the elements, each beside its row's left value.
        let (l, e) = (super::node::column("l"), super::node::column("e"));
        let sides = vec![Value::new(l, left.arrow.clone(), left.ty), Value::new(e, field.data_type().clone(), element)];
        let compared = self.call(func, sides, PgType::BOOL, collation)?.expr;
        let schema = Arc::new(Schema::new(vec![Field::new("l", left.arrow.clone(), true), Field::new("e", field.data_type().clone(), true)]));
        let physical = create_physical_expr(&compared, &DFSchema::try_from(Arc::clone(&schema))?, &ExecutionProps::new())?;
        let kernel = udf::over_arrays(move |arrays| {
            let [left, array] = arrays else { return internal_err!("ANY takes two arguments") };
            let Some(lists) = array.as_list_opt::<i32>() else { return internal_err!("ANY over {}", array.data_type()) };
            let mut rows = Vec::with_capacity(lists.values().len());
            let mut elements = Vec::with_capacity(lists.values().len());
            for (row, span) in lists.value_offsets().windows(2).enumerate() {
                let [start, end] = span else { continue };
                for i in *start..*end {
                    rows.push(u32::try_from(row).unwrap_or(0));
                    elements.push(u32::try_from(i).unwrap_or(0));
                }
            }
            let batch = RecordBatch::try_new(
                Arc::clone(&schema),
                vec![take(left, &UInt32Array::from(rows.clone()), None)?, take(lists.values(), &UInt32Array::from(elements), None)?],
            )?;
            let results = physical.evaluate(&batch)?.into_array(batch.num_rows())?;
            let Some(results) = results.as_boolean_opt() else { return internal_err!("a comparison that is not boolean") };
            let mut states: Vec<Option<bool>> = vec![Some(!any); lists.len()];
            for (row, result) in rows.iter().zip(results.iter()) {
                let Some(state) = states.get_mut(*row as usize) else { continue };
                *state = combine(*state, result, any);
            }
            let mut out = BooleanBuilder::with_capacity(lists.len());
            for (row, state) in states.into_iter().enumerate() {
                out.append_option(if lists.is_null(row) { None } else { state });
            }
            Ok(Arc::new(out.finish()) as ArrayRef)
        });
        let key = format!("{func} {any} {} {}", left.arrow, array.arrow);
        Ok(Value::bool(udf::call("any_all", key, DataType::Boolean, vec![left.expr, array.expr], kernel)))
    }

    /// The elements of an array that is constant; `Some(None)` for a NULL array.
    fn constant_array<'e>(&'e self, array: &'e Expr) -> Result<Option<Option<&'e [Scalar]>>> {
        let value = match array {
            Expr::Const { value, .. } => value,
            Expr::Relabel { arg, .. } => return self.constant_array(arg),
            Expr::Param { index, .. } => match self.params.and_then(|p| p.get(*index as usize)) {
                Some(value) => value,
                None => return Ok(None),
            },
            _ => return Ok(None),
        };
        match value {
            Scalar::Null => Ok(Some(None)),
            Scalar::Array(items) => Ok(Some(Some(items))),
            _ => Err(refused("an array constant of another type")),
        }
    }
}

/// OR (for ANY) or AND (for ALL) in three-valued logic.
fn combine(state: Option<bool>, next: Option<bool>, any: bool) -> Option<bool> {
    match (state, next) {
        (Some(s), _) if s == any => Some(any),
        (_, Some(n)) if n == any => Some(any),
        (None, _) | (_, None) => None,
        _ => Some(!any),
    }
}

/// The order of two keys in a row; neither is NULL there.
type Compare<'a> = Box<dyn Fn(usize) -> Result<Ordering> + 'a>;

/// For each row, that of the first `n` arrays whose key (the arrays after them) is the first extreme one; NULL if all are NULL.
fn picked(arrays: &[ArrayRef], n: usize, greatest: bool, collator: Option<&Collator>) -> Result<ArrayRef> {
    let (Some(values), Some(keys)) = (arrays.get(..n), arrays.get(n..)) else { return internal_err!("GREATEST without keys") };
    let mut comparators: Vec<Compare<'_>> = Vec::with_capacity(n * n);
    for a in keys {
        for b in keys {
            comparators.push(match (collator, a.as_string_view_opt(), b.as_string_view_opt()) {
                (None, ..) => {
                    let compare = make_comparator(a, b, SortOptions::default())?;
                    Box::new(move |row| Ok(compare(row, row)))
                }
                (Some(collator), Some(a), Some(b)) => Box::new(move |row| collator.compare(a.value(row), b.value(row)).map_err(refused)),
                _ => return internal_err!("GREATEST of something that is no text"),
            });
        }
    }
    let rows = keys.first().map_or(0, |k| k.len());
    let mut indices = Vec::with_capacity(rows);
    for row in 0..rows {
        let mut best: Option<usize> = None;
        for (i, key) in keys.iter().enumerate() {
            if key.is_null(row) {
                continue;
            }
            let better = match best.and_then(|b| comparators.get(i * keys.len() + b)) {
                None => true,
                Some(compare) => {
                    let order = compare(row)?;
                    if greatest { order.is_gt() } else { order.is_lt() }
                }
            };
            if better {
                best = Some(i);
            }
        }
        indices.push((best.unwrap_or(0), row));
    }
    let values: Vec<&dyn Array> = values.iter().map(|v| v.as_ref()).collect();
    Ok(interleave(&values, &indices)?)
}
