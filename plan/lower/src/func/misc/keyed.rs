//! Keys of values whose order is not that of what they are held as: addresses of networks, and arrays.
//!
//! Invariant: keys compare, byte by byte, as the values do in Postgres, and have all of the value in them.
//!
//! Source: `network_cmp_internal` in `network.c`, `array_cmp` in `arrayfuncs.c`: elements one after the other, NULL behind all others, and
//! what ends first before what goes on.

use super::super::text::lower_call::{binary, with_args};
use super::super::text::rows::kernel;
use super::network;
use crate::error::refused;
use crate::udf;
use crate::value::{Call, Value};
use arrow::array::{Array, ArrayRef, AsArray, BinaryViewBuilder, StringViewBuilder};
use arrow::compute::SortOptions;
use arrow::datatypes::DataType;
use arrow::row::{RowConverter, SortField};
use datafusion::common::{Result, internal_datafusion_err, internal_err};
use datafusion::logical_expr::{Expr, Operator};
use std::sync::Arc;
use weir_plan::types::{PgType, oid};

pub(super) fn lower(call: &Call<'_>) -> Option<Result<Value>> {
    let op = match call.func {
        926 | 382 => return Some(key(call)),
        391 => Operator::Lt,
        392 => Operator::Gt,
        393 => Operator::LtEq,
        396 => Operator::GtEq,
        _ => return None,
    };
    let [left, right] = call.args.as_slice() else { return Some(Err(refused("a comparison of other than two arrays"))) };
    if left.arrow != right.arrow {
        return Some(Err(refused(format!("comparison of {} with {}", left.arrow, right.arrow))));
    }
    Some(array_key(left).and_then(|left| Ok(Value::bool(binary(left, op, array_key(right)?)))))
}

fn key(call: &Call<'_>) -> Result<Value> {
    let [arg] = call.args.as_slice() else { return Err(refused("a comparison as a number")) };
    if call.func == 382 {
        return Ok(Value::new(array_key(arg)?, DataType::BinaryView, call.ty));
    }
    let kernel = kernel!(BinaryViewBuilder::new(), |s: text| Some(network::key(s)?));
    with_args(call, "inet_key", "", vec![arg.expr.clone()], kernel)
}

fn converter(list: &DataType) -> Result<RowConverter> {
    let ascending = SortOptions { descending: false, nulls_first: false };
    Ok(RowConverter::new(vec![SortField::new_with_options(list.clone(), ascending)])?)
}

fn array_key(array: &Value) -> Result<Expr> {
    if !matches!(array.arrow, DataType::List(_)) {
        return Err(refused("the order of other than arrays"));
    }
    let kernel = udf::over_arrays(|arrays| {
        let Some(list) = arrays.first() else { return internal_err!("a key of nothing") };
        let rows = converter(list.data_type())?.convert_columns(std::slice::from_ref(list))?;
        let mut keys = BinaryViewBuilder::with_capacity(list.len());
        for (i, row) in rows.iter().enumerate() {
            if list.is_null(i) { keys.append_null() } else { keys.append_value(row.as_ref()) }
        }
        Ok(Arc::new(keys.finish()) as ArrayRef)
    });
    Ok(udf::call("array_key", array.arrow.to_string(), DataType::BinaryView, vec![array.expr.clone()], kernel))
}

/// The value, of a type and form, of which this is the key.
pub(crate) fn from_order_key(key: Expr, arrow: &DataType, ty: PgType) -> Expr {
    if matches!(ty.base, oid::INET | oid::CIDR) {
        let kernel = kernel!(StringViewBuilder::new(), |k: bytes| Some(network::of_key(k)?));
        return udf::call("inet_of_key", "", DataType::Utf8View, vec![key], kernel);
    }
    let list = arrow.clone();
    let kernel = udf::over_arrays(move |arrays| {
        let Some(keys) = arrays.first().and_then(|a| a.as_binary_view_opt()) else { return internal_err!("an array of no key") };
        let converter = converter(&list)?;
        let parser = converter.parser();
        // NULL as a row is the key of a list that is NULL.
        let none = converter.convert_columns(&[arrow::array::new_null_array(&list, 1)])?;
        let null = none.iter().next().ok_or_else(|| internal_datafusion_err!("a row without a key"))?;
        let rows = keys.iter().map(|k| parser.parse(k.unwrap_or(null.as_ref())));
        converter.convert_rows(rows)?.into_iter().next().ok_or_else(|| internal_datafusion_err!("keys without a column"))
    });
    udf::call("array_of_key", arrow.to_string(), arrow.clone(), vec![key], kernel)
}
