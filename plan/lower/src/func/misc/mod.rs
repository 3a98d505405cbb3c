//! uuid, bytea, json, arrays, enums, addresses of networks and what fits nowhere else.
//!
//! Invariants:
//! - An enum is its label, a jsonb its canonical text: both are equal as held, except numbers in jsonb that differ in trailing
//!   zeros. Neither is ever ordered here.
//! - An array has one dimension with lower bound 1.

use super::text::lower_call::{compare, make};
use super::text::output::uuid as print_uuid;
use super::text::rows::kernel;
use super::text::{encode, strip_blanks};
use crate::error::raise;
use crate::udf;
use crate::value::{Call, Value};
use arrow::array::{BinaryViewBuilder, Int64Builder, StringViewBuilder};
use arrow::datatypes::DataType;
use datafusion::common::Result;
use datafusion::logical_expr::{Operator, lit, when};
use uuid::UuidBuilder;
use weir_plan::ir::Session;
use weir_plan::types::{PgType, oid};

mod array;
mod bytes;
pub(in crate::func) mod elements;
mod json;
mod keyed;
mod network;
mod uuid;

pub(crate) use json::{json_name, json_rows, json_text, jsonb, jsonb_key, jsonb_text, path_rows};
pub(crate) use keyed::from_order_key;
pub(crate) use network::cidr_as_inet;

pub(super) fn lower(call: &Call<'_>) -> Option<Result<Value>> {
    if matches!(call.func, 438 | 440) {
        return Some(count_nulls(call));
    }
    let op = match call.func {
        // uuid, bytea, enum, macaddr (whose text has the order of its bytes), oid
        2956 | 1948 | 3508 | 830 | 184 => Operator::Eq,
        2959 | 1953 | 3509 | 835 | 185 => Operator::NotEq,
        2954 | 1949 | 831 | 716 => Operator::Lt,
        2955 | 1950 | 832 | 717 => Operator::LtEq,
        2958 | 1951 | 833 | 1638 => Operator::Gt,
        2957 | 1952 | 834 | 1639 => Operator::GtEq,
        _ => {
            return bytes::lower(call)
                .or_else(|| json::lower(call))
                .or_else(|| array::lower(call))
                .or_else(|| elements::lower(call))
                .or_else(|| keyed::lower(call))
                .or_else(|| network::lower(call))
                .or_else(|| oids(call));
        }
    };
    Some(compare(call, op))
}

/// Casts of oid, which is held as a bigint.
fn oids(call: &Call<'_>) -> Option<Result<Value>> {
    let [arg] = call.args.as_slice() else { return None };
    match call.func {
        1288 => Some(Ok(Value::new(arg.expr.clone(), DataType::Int64, call.ty))),
        1287 => Some(make(
            call,
            "to_oid",
            "",
            kernel!(Int64Builder::new(), |n: int8| Some(if u32::try_from(n).is_ok() { n } else { return Err(raise("22003", "OID out of range")) })),
        )),
        _ => None,
    }
}

/// `num_nulls` and `num_nonnulls`
fn count_nulls(call: &Call<'_>) -> Result<Value> {
    let mut sum = lit(0i32);
    for a in &call.args {
        let counts = if call.func == 438 { a.expr.clone().is_null() } else { a.expr.clone().is_not_null() };
        sum = sum + when(counts, lit(1i32)).otherwise(lit(0i32))?;
    }
    Ok(Value::new(sum, DataType::Int32, call.ty))
}

/// A cast through output and input functions, of the types that are at home here. `None`: of other types.
pub fn via_text(value: &Value, ty: PgType, session: &Session) -> Option<Result<Value>> {
    let from = value.ty.base;
    let text = |t: u32| matches!(t, oid::TEXT | oid::VARCHAR | oid::BPCHAR | oid::NAME);
    let args = vec![value.expr.clone()];
    if matches!(ty.base, oid::JSON | oid::JSONB) {
        return match from {
            // A jsonb as json is its text.
            oid::JSONB if ty.base == oid::JSON => Some(Ok(Value::new(value.expr.clone(), DataType::Utf8View, ty))),
            oid::JSON => Some(Ok(Value::new(json::jsonb(value.expr.clone()), DataType::Utf8View, ty))),
            oid::TEXT | oid::VARCHAR => Some(Ok(json::read(value.expr.clone(), ty))),
            _ => None,
        };
    }
    let expr = match ty.base {
        // Labels and documents are held as they print.
        to if text(to) && matches!(from, oid::ENUM | oid::JSON | oid::JSONB | oid::TEXT | oid::VARCHAR | oid::MACADDR) && to != oid::NAME => value.expr.clone(),
        _ if value.ty.element().is_some() && ty.element().is_some() => return Some(elements::each_through_text(value, ty, session)),
        oid::TEXT | oid::VARCHAR if value.ty.element().is_some() => return Some(elements::text(value, ty, session)),
        to if text(to) && from == oid::UUID => {
            udf::call("uuid_out", "", DataType::Utf8View, args, kernel!(StringViewBuilder::new(), |u: uuid| Some(print_uuid(u))))
        }
        oid::UUID if matches!(from, oid::TEXT | oid::VARCHAR) => {
            udf::call("uuid_in", "", DataType::FixedSizeBinary(16), args, kernel!(UuidBuilder::new(), |s: text| Some(uuid::parse(s)?)))
        }
        oid::BYTEA if matches!(from, oid::TEXT | oid::VARCHAR) => {
            udf::call("byteain", "", DataType::BinaryView, args, kernel!(BinaryViewBuilder::new(), |s: text| Some(byteain(s)?)))
        }
        // How a bytea prints depends on bytea_output, which no plan carries.
        _ => return None,
    };
    let arrow = weir_plan::types::arrow_type(&ty)?;
    let expr = if ty.base == oid::BPCHAR { strip_blanks(expr) } else { expr };
    Some(Ok(Value::new(expr, arrow, ty)))
}

fn byteain(s: &str) -> Result<Vec<u8>> {
    match s.strip_prefix("\\x") {
        Some(hex) => encode::unhex(hex),
        None => encode::unescape(s),
    }
}
