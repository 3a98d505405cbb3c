//! Casts through text: output and input functions.
//!
//! Invariants: output only under DateStyle ISO and IntervalStyle postgres, else the cast is refused.

use super::format::Style;
use super::kernel::{Span, arg};
use super::zone::Zone;
use super::{format, input};
use crate::error::refused;
use crate::udf::{self, Kernel, over_arrays};
use crate::value::Value;
use arrow::array::{Array, ArrayRef, ArrowPrimitiveType, AsArray, PrimitiveBuilder, StringViewBuilder};
use arrow::datatypes::{DataType, Date32Type, IntervalMonthDayNanoType, Time64MicrosecondType, TimestampMicrosecondType};
use datafusion::common::{Result, ScalarValue, internal_datafusion_err};
use datafusion::logical_expr::{ColumnarValue, Expr, ScalarFunctionArgs};
use std::sync::Arc;
use weir_plan::ir::Session;
use weir_plan::types::{PgType, arrow_type, oid};

fn is_ours(ty: &PgType) -> bool {
    matches!(ty.base, oid::DATE | oid::TIME | oid::TIMESTAMP | oid::TIMESTAMPTZ | oid::INTERVAL)
}

/// A cast through text (`CoerceViaIO`) of which one side is a date, time, timestamp or interval; `None` for other types.
pub fn via_text(value: Value, ty: PgType, session: &Session) -> Option<Result<Value>> {
    let is_plain_text = |t: &PgType| matches!(t.base, oid::TEXT | oid::VARCHAR | oid::BPCHAR);
    match (is_ours(&value.ty), is_ours(&ty)) {
        (false, false) => None,
        (true, false) if is_plain_text(&ty) => Some(output(&value, ty, session)),
        (false, true) if is_plain_text(&value.ty) => Some(read(&value, ty, session)),
        _ => Some(Err(refused(format!("cast through text from type {} to {}", value.ty.oid, ty.oid)))),
    }
}

/// The text of a value, as its output function gives it.
fn output(value: &Value, ty: PgType, session: &Session) -> Result<Value> {
    if value.ty.base == oid::INTERVAL && !session.interval_style.eq_ignore_ascii_case("postgres") {
        return Err(refused(format!("text of an interval under IntervalStyle {}", session.interval_style)));
    }
    if matches!(value.ty.base, oid::DATE | oid::TIMESTAMP | oid::TIMESTAMPTZ) && !session.date_style.to_ascii_uppercase().starts_with("ISO") {
        return Err(refused(format!("text of a date under DateStyle {}", session.date_style)));
    }
    let mut key = value.ty.base.to_string();
    let kernel = match value.ty.base {
        oid::DATE => strings::<Date32Type>(|d, out| {
            format::date(d, out);
            Ok(true)
        }),
        oid::TIME => strings::<Time64MicrosecondType>(|t, out| {
            format::time(t, out);
            Ok(true)
        }),
        oid::TIMESTAMP => strings::<TimestampMicrosecondType>(|t, out| {
            format::timestamp(t, Style::Iso, out);
            Ok(true)
        }),
        oid::INTERVAL => strings::<IntervalMonthDayNanoType>(|i, out| {
            format::interval(i.into(), out);
            Ok(true)
        }),
        _ => {
            let zone = Zone::named(&session.timezone)?;
            key = format!("{key} {}", zone.name);
            strings::<TimestampMicrosecondType>(move |t, out| format::timestamptz(t, &zone, Style::Iso, out).map(|()| true))
        }
    };
    Ok(Value::new(udf::call("pg_datetime_out", key, DataType::Utf8View, vec![value.expr.clone()], kernel), DataType::Utf8View, ty))
}

/// A date or timestamp as JSON has it, whatever the DateStyle. Source: `JsonEncodeDateTime`.
pub(in crate::func) fn iso_text(value: &Value, session: &Session) -> Result<Expr> {
    let mut key = value.ty.base.to_string();
    let kernel = match value.ty.base {
        oid::DATE => strings::<Date32Type>(|d, out| {
            format::date(d, out);
            Ok(true)
        }),
        oid::TIMESTAMP => strings::<TimestampMicrosecondType>(|t, out| {
            format::timestamp(t, Style::Xsd, out);
            Ok(true)
        }),
        oid::TIMESTAMPTZ => {
            let zone = Zone::named(&session.timezone)?;
            key = format!("{key} {}", zone.name);
            strings::<TimestampMicrosecondType>(move |t, out| format::timestamptz(t, &zone, Style::Xsd, out).map(|()| true))
        }
        other => return Err(refused(format!("JSON of type {other} as a date"))),
    };
    Ok(udf::call("pg_datetime_json", key, DataType::Utf8View, vec![value.expr.clone()], kernel))
}

/// A kernel that writes each value's text; `false` from `f` is NULL.
pub(super) fn strings<A: ArrowPrimitiveType>(f: impl Fn(A::Native, &mut String) -> Result<bool> + Send + Sync + 'static) -> Kernel {
    over_arrays(move |arrays| {
        let array = arrays.first().and_then(|a| a.as_primitive_opt::<A>()).ok_or_else(|| internal_datafusion_err!("expected {}", A::DATA_TYPE))?;
        let mut builder = StringViewBuilder::with_capacity(array.len());
        let mut text = String::new();
        for i in 0..array.len() {
            text.clear();
            if array.is_valid(i) && f(array.value(i), &mut text)? { builder.append_value(&text) } else { builder.append_null() }
        }
        Ok(Arc::new(builder.finish()) as ArrayRef)
    })
}

fn read(value: &Value, ty: PgType, session: &Session) -> Result<Value> {
    let out = arrow_type(&ty).ok_or_else(|| refused("a type without Arrow form"))?;
    let mut key = ty.base.to_string();
    let kernel = match ty.base {
        oid::DATE => parsed::<Date32Type>(out.clone(), |s| Ok(input::date(s))),
        oid::TIME => parsed::<Time64MicrosecondType>(out.clone(), |s| Ok(input::time(s))),
        oid::TIMESTAMP => parsed::<TimestampMicrosecondType>(out.clone(), |s| Ok(input::timestamp(s))),
        oid::TIMESTAMPTZ => {
            let zone = Zone::named(&session.timezone)?;
            key = format!("{key} {}", zone.name);
            parsed::<TimestampMicrosecondType>(out.clone(), move |s| input::timestamptz(s, &zone))
        }
        _ if !session.interval_style.eq_ignore_ascii_case("postgres") => return Err(refused("reading an interval under another IntervalStyle than postgres")),
        _ => parsed::<IntervalMonthDayNanoType>(out.clone(), |s| input::interval(s).map(Span::arrow).transpose()),
    };
    Ok(Value::new(udf::call("pg_datetime_in", key, out.clone(), vec![value.expr.clone()], kernel), out, ty))
}

/// A kernel over the texts of the first argument; a text for which `f` knows nothing is refused.
pub(super) fn parsed<O: ArrowPrimitiveType>(out: DataType, f: impl Fn(&str) -> Result<Option<O::Native>> + Send + Sync + 'static) -> Kernel {
    Arc::new(move |args: &ScalarFunctionArgs| {
        let (scalar, array) = match arg(args, 0)? {
            ColumnarValue::Scalar(s) => (true, s.to_array()?),
            ColumnarValue::Array(a) => (false, Arc::clone(a)),
        };
        let texts = array.as_string_view_opt().ok_or_else(|| internal_datafusion_err!("expected text, got {}", array.data_type()))?;
        let mut builder = PrimitiveBuilder::<O>::with_capacity(texts.len()).with_data_type(out.clone());
        for text in texts {
            builder.append_option(match text {
                None => None,
                Some(text) => Some(f(text)?.ok_or_else(|| refused(format!("date or time \"{text}\" in a form that is not read here")))?),
            });
        }
        let result = builder.finish();
        Ok(if scalar { ColumnarValue::Scalar(ScalarValue::try_from_array(&result, 0)?) } else { ColumnarValue::Array(Arc::new(result)) })
    })
}
