//! Subscripts, slices, and arrays made of others: append, cat, remove, replace; the text of an array.
//!
//! Invariants:
//! - An array has one dimension and begins at 1, so a subscript is a place and a slice is a part.
//! - The elements of a numeric array are held as text; a numeric becomes an element by its output function, and comes out by its input.

use super::super::text::lower_call::{make, with_args};
use super::super::text::output::Printer;
use super::super::text::rows::Args;
use crate::error::{raise, refused};
use crate::func;
use crate::udf::{self, Kernel};
use crate::value::{Call, Value};
use arrow::array::{Array, ArrayRef, Int32Builder, ListArray, ListBuilder, RecordBatch, StringViewBuilder, UInt32Array, make_comparator};
use arrow::buffer::{NullBuffer, OffsetBuffer};
use arrow::compute::{SortOptions, interleave, take};
use arrow::datatypes::{DataType, Field, Schema};
use datafusion::common::{Column, DFSchema, Result, internal_err};
use datafusion::logical_expr::execution_props::ExecutionProps;
use datafusion::logical_expr::{Expr, ScalarFunctionArgs};
use datafusion::physical_expr::{PhysicalExpr, create_physical_expr};
use std::ops::Range;
use std::sync::Arc;
use weir_plan::ir::Session;
use weir_plan::types::{PgType, arrow_type, oid};

pub(super) fn lower(call: &Call<'_>) -> Option<Result<Value>> {
    Some(match call.func {
        6179 if call.args.len() == 2 => subscript(call),
        6179 => slice(call),
        378 => joined(call, "array_append", &[Part::Array(0), Part::Element(1)]),
        379 => joined(call, "array_prepend", &[Part::Element(0), Part::Array(1)]),
        383 => joined(call, "array_cat", &[Part::Array(0), Part::Array(1)]),
        3167 => edited(call, "array_remove", |same| (!same).then_some(false)),
        3168 => edited(call, "array_replace", Some),
        3279 => positions(call),
        6172 => trimmed(call),
        _ => return None,
    })
}

/// Where an array's elements stand among the values.
fn span(list: &ListArray, row: usize) -> Range<usize> {
    let at = |i: usize| list.value_offsets().get(i).and_then(|o| usize::try_from(*o).ok()).unwrap_or_default();
    at(row)..at(row + 1)
}

/// A value in the form that elements of an array of its type have.
fn as_element(value: &Value, session: &Session) -> Result<Expr> {
    match value.ty.base {
        oid::NUMERIC => Ok(func::via_text(value, PgType::TEXT, session)?.expr),
        oid::BPCHAR => Err(refused("an array of character values")),
        _ => Ok(value.expr.clone()),
    }
}

/// `array[n]`; NULL where there is none.
fn subscript(call: &Call<'_>) -> Result<Value> {
    let [array, _] = call.args.as_slice() else { return Err(refused("a subscript of nothing")) };
    let DataType::List(field) = &array.arrow else { return Err(refused("a subscript of other than an array")) };
    let item = field.data_type().clone();
    if call.ty.base == oid::BPCHAR {
        return Err(refused("an element of type character"));
    }
    let kernel: Kernel = Arc::new(|call: &ScalarFunctionArgs| {
        let args = Args::new(call)?;
        let (list, at) = (args.list(0)?, args.int4(1)?);
        let places: UInt32Array = (0..args.rows)
            .map(|row| {
                let n = at.opt(row).filter(|_| list.array.is_valid(list.at(row)))?;
                let span = span(list.array, list.at(row));
                let place = span.start + usize::try_from(n).ok()?.checked_sub(1)?;
                if place < span.end { u32::try_from(place).ok() } else { None }
            })
            .collect();
        args.finish(take(list.array.values(), &places, None)?)
    });
    let exprs = call.args.iter().map(|a| a.expr.clone()).collect();
    let expr = udf::call("array_element", item.to_string(), item.clone(), exprs, kernel);
    if call.ty.base == oid::NUMERIC {
        return func::via_text(&Value::new(expr, DataType::Utf8View, PgType::TEXT), call.ty, call.session);
    }
    Ok(Value::new(expr, item, call.ty))
}

/// `array[from:to]`: what there is of it, as an array that begins at 1.
fn slice(call: &Call<'_>) -> Result<Value> {
    let kernel: Kernel = Arc::new(|call: &ScalarFunctionArgs| {
        let args = Args::new(call)?;
        let (list, from, to) = (args.list(0)?, args.int4(1)?, args.int4(2)?);
        let spans = (0..args.rows).map(|row| {
            let (from, to) = (from.opt(row)?, to.opt(row)?);
            if list.array.is_null(list.at(row)) {
                return None;
            }
            let all = span(list.array, list.at(row));
            let from = usize::try_from(i64::from(from).max(1) - 1).unwrap_or(0).min(all.len());
            let to = usize::try_from(i64::from(to).max(0)).unwrap_or(0).min(all.len());
            Some(all.start + from..all.start + to.max(from))
        });
        args.finish(parts(list.array, spans)?)
    });
    make(call, "array_slice", "", kernel)
}

/// Parts of the values of a list as lists; `None` is NULL.
fn parts(list: &ListArray, spans: impl Iterator<Item = Option<Range<usize>>>) -> Result<ArrayRef> {
    let (mut places, mut lengths, mut valid) = (Vec::new(), Vec::new(), Vec::new());
    for span in spans {
        valid.push(span.is_some());
        let span = span.unwrap_or_default();
        lengths.push(span.len());
        places.extend(span.map(|i| u32::try_from(i).unwrap_or(u32::MAX)));
    }
    let values = take(list.values(), &UInt32Array::from(places), None)?;
    let DataType::List(field) = list.data_type() else { return internal_err!("a list of type {}", list.data_type()) };
    Ok(Arc::new(ListArray::try_new(Arc::clone(field), OffsetBuffer::from_lengths(lengths), values, Some(NullBuffer::from(valid)))?))
}

#[derive(Clone, Copy)]
enum Part {
    Array(usize),
    Element(usize),
}

/// The parts one after another. A NULL array is left out; two are NULL.
fn joined(call: &Call<'_>, name: &'static str, of: &'static [Part]) -> Result<Value> {
    let arrow = arrow_type(&call.ty).ok_or_else(|| refused("an array of an unknown type"))?;
    let DataType::List(field) = &arrow else { return Err(refused(format!("{name} of other than an array"))) };
    let mut exprs = Vec::new();
    for (part, arg) in of.iter().zip(&call.args) {
        let (expr, data_type) = match part {
            Part::Array(_) => (arg.expr.clone(), arg.arrow.clone()),
            Part::Element(_) => {
                let held = if arg.ty.base == oid::NUMERIC { DataType::Utf8View } else { arg.arrow.clone() };
                (as_element(arg, call.session)?, DataType::List(Arc::new(Field::new_list_field(held, true))))
            }
        };
        if data_type != arrow || call.ty.element().is_some_and(|e| e.base == oid::BPCHAR) {
            return Err(refused(format!("{name} of {}", arg.arrow)));
        }
        exprs.push(expr);
    }
    let field = Arc::clone(field);
    let kernel: Kernel = Arc::new(move |call: &ScalarFunctionArgs| {
        let args = Args::new(call)?;
        let mut values: Vec<ArrayRef> = Vec::new();
        for part in of {
            values.push(match part {
                Part::Array(i) => Arc::clone(args.list(*i)?.array.values()),
                Part::Element(i) => Arc::clone(&args.arg(*i)?.0),
            });
        }
        let (mut places, mut lengths, mut valid) = (Vec::new(), Vec::new(), Vec::new());
        for row in 0..args.rows {
            let (before, mut is_valid) = (places.len(), false);
            for (source, part) in of.iter().enumerate() {
                match part {
                    Part::Array(i) => {
                        let list = args.list(*i)?;
                        if list.array.is_valid(list.at(row)) {
                            is_valid = true;
                            places.extend(span(list.array, list.at(row)).map(|at| (source, at)));
                        }
                    }
                    Part::Element(i) => {
                        is_valid = true;
                        places.push((source, if args.arg(*i)?.1 { 0 } else { row }));
                    }
                }
            }
            valid.push(is_valid);
            lengths.push(places.len() - before);
        }
        let sources: Vec<&dyn Array> = values.iter().map(|v| v.as_ref()).collect();
        let items = interleave(&sources, &places)?;
        let list = ListArray::try_new(Arc::clone(&field), OffsetBuffer::from_lengths(lengths), items, Some(NullBuffer::from(valid)))?;
        args.finish(Arc::new(list))
    });
    with_args(call, name, arrow.to_string(), exprs, kernel)
}

/// Each element that equals the second argument (NULL equals NULL) dropped, or replaced by the third. `f`: drop it, or take the third?
fn edited(call: &Call<'_>, name: &'static str, f: fn(bool) -> Option<bool>) -> Result<Value> {
    for a in call.args.iter().skip(1) {
        if !matches!(&call.args.first().map(|a| &a.arrow), Some(DataType::List(field)) if field.data_type() == &a.arrow) {
            return Err(refused(format!("{name} of an element of another type")));
        }
    }
    let kernel: Kernel = Arc::new(move |call: &ScalarFunctionArgs| {
        let args = Args::new(call)?;
        let (list, wanted) = (args.list(0)?, args.arg(1)?);
        let other = args.arg(if args.len() > 2 { 2 } else { 1 })?;
        let compare = make_comparator(list.array.values(), &wanted.0, SortOptions::default())?;
        let (mut places, mut lengths, mut valid) = (Vec::new(), Vec::new(), Vec::new());
        for row in 0..args.rows {
            let before = places.len();
            let here = list.array.is_valid(list.at(row));
            if here {
                for at in span(list.array, list.at(row)) {
                    let same = compare(at, if wanted.1 { 0 } else { row }).is_eq();
                    match f(same) {
                        None => {}
                        Some(false) => places.push((0, at)),
                        Some(true) => places.push((1, if other.1 { 0 } else { row })),
                    }
                }
            }
            valid.push(here);
            lengths.push(places.len() - before);
        }
        let items = interleave(&[list.array.values().as_ref(), other.0.as_ref()], &places)?;
        let DataType::List(field) = list.array.data_type() else { return internal_err!("a list of no type") };
        let result = ListArray::try_new(Arc::clone(field), OffsetBuffer::from_lengths(lengths), items, Some(NullBuffer::from(valid)))?;
        args.finish(Arc::new(result))
    });
    make(call, name, "", kernel)
}

/// `array_positions`: all places of the wanted element, NULL too.
fn positions(call: &Call<'_>) -> Result<Value> {
    let kernel: Kernel = Arc::new(|call: &ScalarFunctionArgs| {
        let args = Args::new(call)?;
        let (list, wanted) = (args.list(0)?, args.arg(1)?);
        if list.array.value_type() != *wanted.0.data_type() {
            return Err(refused("array_positions of an element of another type"));
        }
        let compare = make_comparator(list.array.values(), &wanted.0, SortOptions::default())?;
        let mut out = ListBuilder::new(Int32Builder::new());
        for row in 0..args.rows {
            let here = list.array.is_valid(list.at(row));
            if here {
                for (place, at) in (1..).zip(span(list.array, list.at(row))) {
                    if compare(at, if wanted.1 { 0 } else { row }).is_eq() {
                        out.values().append_value(place);
                    }
                }
            }
            out.append(here);
        }
        args.finish(Arc::new(out.finish()))
    });
    make(call, "array_positions", "", kernel)
}

/// `trim_array`: without the last n.
fn trimmed(call: &Call<'_>) -> Result<Value> {
    let kernel: Kernel = Arc::new(|call: &ScalarFunctionArgs| {
        let args = Args::new(call)?;
        let (list, count) = (args.list(0)?, args.int4(1)?);
        let mut spans = Vec::with_capacity(args.rows);
        for row in 0..args.rows {
            let Some(n) = count.opt(row).filter(|_| list.array.is_valid(list.at(row))) else {
                spans.push(None);
                continue;
            };
            let all = span(list.array, list.at(row));
            match usize::try_from(n).ok().and_then(|n| all.len().checked_sub(n)) {
                Some(kept) => spans.push(Some(all.start..all.start + kept)),
                None => return Err(raise("2202E", format!("number of elements to trim must be between 0 and {}", all.len()))),
            }
        }
        args.finish(parts(list.array, spans.into_iter())?)
    });
    make(call, "trim_array", "", kernel)
}

/// How the elements of an array are printed, each by its type's output function.
#[derive(Clone)]
pub(in crate::func) enum Elements {
    Printed(Printer),
    Cast(Arc<dyn PhysicalExpr>, Arc<Schema>),
}

impl Elements {
    pub(in crate::func) fn of(element: PgType, session: &Session) -> Result<Elements> {
        if element.base == oid::NUMERIC {
            return Ok(Elements::Printed(Printer::Text));
        }
        if let Some(printer) = Printer::of(&element) {
            return Ok(Elements::Printed(printer));
        }
        let arrow = arrow_type(&element).ok_or_else(|| refused("elements of an unknown type"))?;
        let value = Value::new(Expr::Column(Column::new_unqualified("e")), arrow.clone(), element);
        let text = func::via_text(&value, PgType::TEXT, session)?;
        let schema = Arc::new(Schema::new(vec![Field::new("e", arrow, true)]));
        let physical = create_physical_expr(&text.expr, &DFSchema::try_from(Arc::clone(&schema))?, &ExecutionProps::new())?;
        Ok(Elements::Cast(physical, schema))
    }

    pub(in crate::func) fn key(&self) -> String {
        match self {
            Elements::Printed(p) => format!("{p:?}"),
            Elements::Cast(e, _) => e.to_string(),
        }
    }

    /// The values, printed if they need a cast, and what prints those.
    pub(in crate::func) fn prepared(&self, values: &ArrayRef) -> Result<(ArrayRef, Printer)> {
        match self {
            Elements::Printed(p) => Ok((Arc::clone(values), *p)),
            Elements::Cast(cast, schema) => {
                let batch = RecordBatch::try_new(Arc::clone(schema), vec![Arc::clone(values)])?;
                Ok((cast.evaluate(&batch)?.into_array(values.len())?, Printer::Text))
            }
        }
    }
}

/// A cast of an array: of each element through its text.
pub(super) fn each_through_text(value: &Value, ty: PgType, session: &Session) -> Result<Value> {
    let (Some(from), Some(to), DataType::List(field)) = (value.ty.element(), ty.element(), &value.arrow) else {
        return Err(refused("a cast of other than arrays"));
    };
    if [from.base, to.base].contains(&oid::BPCHAR) || to.typmod >= 0 {
        return Err(refused(format!("a cast from type {} to type {}", value.ty.oid, ty.oid)));
    }
    let element = Expr::Column(Column::new_unqualified("e"));
    // The elements of a numeric array are held as text.
    let text = match from.base {
        oid::NUMERIC => Value::new(element, DataType::Utf8View, PgType::TEXT),
        _ => {
            let value = Value::new(element, field.data_type().clone(), from);
            if matches!(from.base, oid::TEXT | oid::VARCHAR) { value } else { func::via_text(&value, PgType::TEXT, session)? }
        }
    };
    let cast = match to.base {
        oid::TEXT | oid::VARCHAR => text,
        // Read, and printed as the type prints it.
        oid::NUMERIC => func::via_text(&func::via_text(&text, PgType::NUMERIC, session)?, PgType::TEXT, session)?,
        _ => func::via_text(&text, to, session)?,
    };
    let arrow = arrow_type(&ty).ok_or_else(|| refused("an array of an unknown type"))?;
    let DataType::List(result) = arrow.clone() else { return Err(refused("a cast to other than an array")) };
    let schema = Arc::new(Schema::new(vec![Field::new("e", field.data_type().clone(), true)]));
    let physical = create_physical_expr(&cast.expr, &DFSchema::try_from(Arc::clone(&schema))?, &ExecutionProps::new())?;
    let key = format!("{} {} {}", from.oid, to.oid, cast.expr);
    let kernel: Kernel = Arc::new(move |call: &ScalarFunctionArgs| {
        let args = Args::new(call)?;
        let list = args.list(0)?;
        // Elements of rows that are NULL, or not of this part of the array, are not looked at: they could be unreadable.
        let spans = (0..args.rows).map(|row| list.array.is_valid(list.at(row)).then(|| span(list.array, list.at(row))));
        let own = parts(list.array, spans)?;
        let Some(own) = own.as_any().downcast_ref::<ListArray>() else { return internal_err!("an array that is no list") };
        let batch = RecordBatch::try_new(Arc::clone(&schema), vec![Arc::clone(own.values())])?;
        let items = physical.evaluate(&batch)?.into_array(own.values().len())?;
        args.finish(Arc::new(ListArray::try_new(Arc::clone(&result), own.offsets().clone(), items, own.nulls().cloned())?))
    });
    Ok(Value::new(udf::call("array_cast", key, arrow.clone(), vec![value.expr.clone()], kernel), arrow, ty))
}

/// `array_out`.
pub(super) fn text(value: &Value, ty: PgType, session: &Session) -> Result<Value> {
    let element = value.ty.element().ok_or_else(|| refused("the text of an array of an unknown type"))?;
    let elements = Elements::of(element, session)?;
    let key = elements.key();
    let kernel: Kernel = Arc::new(move |call: &ScalarFunctionArgs| {
        let args = Args::new(call)?;
        let list = args.list(0)?;
        let (values, printer) = elements.prepared(list.array.values())?;
        let mut out = StringViewBuilder::with_capacity(args.rows);
        let mut text = String::new();
        for row in 0..args.rows {
            if list.array.is_null(list.at(row)) {
                out.append_null();
                continue;
            }
            text.clear();
            text.push('{');
            for (n, at) in span(list.array, list.at(row)).enumerate() {
                if n > 0 {
                    text.push(',');
                }
                match printer.print(&values, at) {
                    Some(item) => quoted(&item, &mut text),
                    None => text.push_str("NULL"),
                }
            }
            text.push('}');
            out.append_value(&text);
        }
        args.finish(Arc::new(out.finish()))
    });
    Ok(Value::new(udf::call("array_out", key, DataType::Utf8View, vec![value.expr.clone()], kernel), DataType::Utf8View, ty))
}

/// An element in quotes where it would not be read back without.
fn quoted(item: &str, out: &mut String) {
    let plain = !item.is_empty()
        && !item.eq_ignore_ascii_case("null")
        && !item.bytes().any(|b| matches!(b, b'"' | b'\\' | b'{' | b'}' | b',' | b' ' | b'\t' | b'\n' | b'\r' | 0x0b | 0x0c));
    if plain {
        out.push_str(item);
        return;
    }
    out.push('"');
    for c in item.chars() {
        if matches!(c, '"' | '\\') {
            out.push('\\');
        }
        out.push(c);
    }
    out.push('"');
}
