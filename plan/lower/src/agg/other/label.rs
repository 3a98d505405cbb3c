//! Order of enums: an enum is held as its label, which is ordered by its place among the labels of its type. The translator sends those.
//! An array of enums is ordered as the array of the places.
//!
//! Invariant: a label that is not among them (added since the plan was made) is `Refused`.

use super::single;
use crate::agg::{AggArgs, AggLowered};
use crate::error::refused;
use crate::udf;
use crate::value::Value;
use arrow::array::{Array, ArrayRef, AsArray, Int32Array, Int32Builder, ListArray, StringViewArray};
use arrow::buffer::OffsetBuffer;
use arrow::datatypes::{DataType, Field, FieldRef, Int32Type};
use datafusion::common::{Result, ScalarValue, internal_err};
use datafusion::logical_expr::{AggregateUDF, Expr};
use std::collections::HashMap;
use std::sync::Arc;
use weir_plan::types::PgType;

const NEWER: &str = "an enum value that is newer than the plan";

/// The place of a label, from 0; of an array of labels, that of their places.
pub fn enum_rank(value: &Value, labels: &[String]) -> Value {
    let places: HashMap<String, i32> = labels.iter().cloned().zip(0..).collect();
    if matches!(value.arrow, DataType::List(_)) {
        return array_of_ranks(value, labels, places);
    }
    let kernel = udf::over_arrays(move |arrays| {
        let Some(labels) = arrays.first().and_then(|a| a.as_string_view_opt()) else { return internal_err!("the rank of something that is no enum") };
        let rank = |l: Option<&str>| l.map(|l| places.get(l).copied().ok_or_else(|| refused(NEWER))).transpose();
        Ok(Arc::new(labels.iter().map(rank).collect::<Result<Int32Array>>()?) as ArrayRef)
    });
    let expr = udf::call("pg_enum_rank", labels.join("\0"), DataType::Int32, vec![value.expr.clone()], kernel);
    Value::new(expr, DataType::Int32, PgType::INT4)
}

fn array_of_ranks(value: &Value, labels: &[String], places: HashMap<String, i32>) -> Value {
    let item = Arc::new(Field::new_list_field(DataType::Int32, true));
    let arrow = DataType::List(Arc::clone(&item));
    let kernel = udf::over_arrays(move |arrays| {
        let Some(lists) = arrays.first().and_then(|a| a.as_list_opt::<i32>()) else { return internal_err!("the ranks of something that is no array") };
        Ok(Arc::new(ranks_of(lists, &places, &item)?) as ArrayRef)
    });
    let expr = udf::call("pg_enum_ranks", labels.join("\0"), arrow.clone(), vec![value.expr.clone()], kernel);
    Value::new(expr, arrow, PgType::INT4_ARRAY)
}

fn ranks_of(lists: &ListArray, places: &HashMap<String, i32>, item: &FieldRef) -> Result<ListArray> {
    let Some(labels) = lists.values().as_string_view_opt() else { return internal_err!("the ranks of an array of no enum") };
    let mut ranks = Int32Builder::with_capacity(labels.len());
    let mut lengths = Vec::with_capacity(lists.len());
    // What lies below a NULL, or in no array at all, is not looked at.
    for (row, span) in lists.value_offsets().windows(2).enumerate() {
        let [start, end] = span else { continue };
        let span = if lists.is_valid(row) { *start..*end } else { 0..0 };
        lengths.push(span.len());
        for at in span.filter_map(|at| usize::try_from(at).ok()) {
            let label = labels.is_valid(at).then(|| labels.value(at));
            ranks.append_option(label.map(|l| places.get(l).copied().ok_or_else(|| refused(NEWER))).transpose()?);
        }
    }
    Ok(ListArray::try_new(Arc::clone(item), OffsetBuffer::from_lengths(lengths), Arc::new(ranks.finish()), lists.nulls().cloned())?)
}

/// The labels that have these places.
fn with_labels(ranks: Expr, labels: Vec<String>, arrow: &DataType) -> Expr {
    let key = labels.join("\0");
    let label = move |ranks: &ArrayRef| {
        let Some(ranks) = ranks.as_primitive_opt::<Int32Type>() else { return internal_err!("a label of no rank") };
        let label = |r: Option<i32>| r.and_then(|r| labels.get(usize::try_from(r).ok()?).map(String::as_str));
        Ok(Arc::new(ranks.iter().map(label).collect::<StringViewArray>()) as ArrayRef)
    };
    let item = if let DataType::List(item) = arrow { Some(Arc::clone(item)) } else { None };
    let kernel = udf::over_arrays(move |arrays| {
        let Some(ranks) = arrays.first() else { return internal_err!("the labels of nothing") };
        let Some(item) = &item else { return label(ranks) };
        let Some(lists) = ranks.as_list_opt::<i32>() else { return internal_err!("the labels of something that is no array") };
        Ok(Arc::new(ListArray::try_new(Arc::clone(item), lists.offsets().clone(), label(lists.values())?, lists.nulls().cloned())?) as ArrayRef)
    });
    udf::call("pg_enum_label", key, arrow.clone(), vec![ranks], kernel)
}

/// min and max of arrays; the labels are the direct argument.
pub(super) fn extreme_array(args: &AggArgs<'_>, udf: Arc<AggregateUDF>) -> Result<AggLowered> {
    let ([arg], [direct]) = (args.args.as_slice(), args.direct.as_slice()) else { return Err(refused("min or max of enums without their labels")) };
    let labels = labels_of(&direct.expr)?;
    let ranks = AggArgs { args: vec![enum_rank(arg, &labels)], direct: vec![], order_by: vec![], ty: PgType::INT4_ARRAY, ..*args };
    let AggLowered { parts, finish } = super::keyed::extreme(&ranks, udf)?;
    let (arrow, ty) = (arg.arrow.clone(), args.ty);
    Ok(AggLowered { parts, finish: Box::new(move |columns| Ok(Value::new(with_labels(finish(columns)?.expr, labels, &arrow), arrow, ty))) })
}

/// min and max; the labels are the direct argument.
pub(super) fn extreme(args: &AggArgs<'_>, udf: Arc<AggregateUDF>) -> Result<AggLowered> {
    let ([arg], [direct]) = (args.args.as_slice(), args.direct.as_slice()) else { return Err(refused("min or max of enums without their labels")) };
    let labels = labels_of(&direct.expr)?;
    let rank = enum_rank(arg, &labels);
    let AggLowered { parts, finish } = single(args, udf, vec![rank.expr.clone()], rank)?;
    let (arrow, ty) = (arg.arrow.clone(), args.ty);
    Ok(AggLowered { parts, finish: Box::new(move |columns| Ok(Value::new(with_labels(finish(columns)?.expr, labels, &arrow), arrow, ty))) })
}

fn labels_of(e: &Expr) -> Result<Vec<String>> {
    let Expr::Literal(ScalarValue::List(list), _) = e else { return Err(refused("labels that are not constant")) };
    if list.is_empty() || list.is_null(0) {
        return Err(refused("labels that are not constant"));
    }
    let values = list.value(0);
    let Some(values) = values.as_string_view_opt() else { return internal_err!("labels that are not text") };
    Ok(values.iter().map(|l| l.unwrap_or_default().to_string()).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use arrow::buffer::NullBuffer;

    /// The third array is NULL, over a label that no plan knows.
    fn lists(labels: &[Option<&str>]) -> ListArray {
        let item = Arc::new(Field::new_list_field(DataType::Utf8View, true));
        let values: StringViewArray = labels.iter().collect();
        let nulls = NullBuffer::from(vec![true, true, false, true]);
        ListArray::new(item, OffsetBuffer::from_lengths([2, 0, 1, 1]), Arc::new(values), Some(nulls))
    }

    #[test]
    fn ranks_of_arrays_are_those_of_their_elements() {
        let places: HashMap<String, i32> = [("z".to_string(), 0), ("a".to_string(), 1)].into();
        let item = Arc::new(Field::new_list_field(DataType::Int32, true));
        let ranks = ranks_of(&lists(&[Some("a"), None, Some("gone"), Some("z")]), &places, &item).expect("labels that are known");
        let of = |row: usize| ranks.value(row).as_primitive::<Int32Type>().iter().collect::<Vec<_>>();
        assert_eq!((of(0), of(1), of(3)), (vec![Some(1), None], vec![], vec![Some(0)]));
        assert!(ranks.is_null(2));
        // Also where it is a part of a larger array.
        assert_eq!(
            ranks_of(&lists(&[Some("a"), None, Some("gone"), Some("z")]).slice(3, 1), &places, &item).expect("labels that are known").value_length(0),
            1
        );
        assert!(ranks_of(&lists(&[Some("new"), None, None, None]), &places, &item).is_err());
    }
}
