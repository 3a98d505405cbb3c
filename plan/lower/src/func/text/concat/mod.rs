//! concat, concat_ws, format, quoting, and text to and from arrays: functions that are not strict, or print values of any type.

use super::lower_call::{make, with_args};
use super::output::Printer;
use super::rows::{Args, kernel};
use crate::error::refused;
use crate::func;
use crate::func::misc::elements::Elements;
use crate::udf::Kernel;
use crate::value::{Call, Value};
use arrow::array::{Array, ArrayRef, ListBuilder, StringViewBuilder};
use arrow::datatypes::{DataType, Field};
use datafusion::common::Result;
use datafusion::logical_expr::ScalarFunctionArgs;
use std::borrow::Cow;
use std::sync::Arc;
use weir_plan::types::PgType;

mod format;
mod ident;

pub(super) fn lower(call: &Call<'_>) -> Option<Result<Value>> {
    Some(match call.func {
        3058 => print_all(call, "concat", |printed, _, out| {
            printed.iter().flatten().for_each(|s| out.push_str(s));
            Ok(true)
        }),
        3059 => print_all(call, "concat_ws", |printed, _, out| {
            let Some((Some(separator), rest)) = printed.split_first() else { return Ok(false) };
            let mut first = true;
            for s in rest.iter().flatten() {
                if !std::mem::replace(&mut first, false) {
                    out.push_str(separator);
                }
                out.push_str(s);
            }
            Ok(true)
        }),
        3539 | 3540 => print_all(call, "format", |printed, _, out| {
            let Some((Some(template), rest)) = printed.split_first() else { return Ok(false) };
            format::format(template, rest, out)?;
            Ok(true)
        }),
        1289 => print_all(call, "quote_nullable", |printed, _, out| {
            match printed {
                [Some(s)] => out.push_str(&quote_literal(s)),
                _ => out.push_str("NULL"),
            }
            Ok(true)
        }),
        1283 => make(call, "quote_literal", "", kernel!(StringViewBuilder::new(), |s: text| Some(quote_literal(s)))),
        1282 => make(call, "quote_ident", "", kernel!(StringViewBuilder::new(), |s: text| Some(ident::quote_ident(s)?))),
        394 | 376 => make(call, "string_to_array", "", string_to_array()),
        395 | 384 => array_to_string(call),
        _ => return None,
    })
}

/// Appends the result for the printed arguments (`None` is NULL) of this row; whether it is not NULL.
type Print = fn(&[Option<Cow<'_, str>>], usize, &mut String) -> Result<bool>;

/// A text function over the printed forms of all arguments (`None` is NULL); it answers whether the result is not NULL.
fn print_all(call: &Call<'_>, name: &'static str, f: Print) -> Result<Value> {
    let mut args = Vec::new();
    let mut printers = Vec::new();
    for a in &call.args {
        match Printer::of(&a.ty) {
            Some(p) => {
                args.push(a.expr.clone());
                printers.push(p);
            }
            // A cast to text is the output function, but for bool and bpchar, which are printed above.
            None => {
                args.push(func::via_text(a, PgType::TEXT, call.session)?.expr);
                printers.push(Printer::Text);
            }
        }
    }
    let key = format!("{printers:?}");
    let kernel: Kernel = Arc::new(move |call: &ScalarFunctionArgs| {
        let args = Args::new(call)?;
        let arrays = (0..args.len()).map(|i| args.arg(i)).collect::<Result<Vec<_>>>()?;
        let mut out = StringViewBuilder::with_capacity(args.rows);
        let mut text = String::new();
        for row in 0..args.rows {
            let printed: Vec<_> = printers.iter().zip(&arrays).map(|(p, (array, one))| p.print(array, if *one { 0 } else { row })).collect();
            text.clear();
            if f(&printed, row, &mut text)? { out.append_value(&text) } else { out.append_null() }
        }
        args.finish(Arc::new(out.finish()))
    });
    with_args(call, name, key, args, kernel)
}

/// With `E` in front and backslashes doubled if there are any.
pub(super) fn quote_literal(s: &str) -> String {
    let quoted = s.replace('\'', "''");
    if s.contains('\\') { format!("E'{}'", quoted.replace('\\', "\\\\")) } else { format!("'{quoted}'") }
}

fn string_to_array() -> Kernel {
    Arc::new(|call: &ScalarFunctionArgs| {
        let args = Args::new(call)?;
        let (text, separator) = (args.text(0)?, args.text(1)?);
        let null_string = if args.len() > 2 { Some(args.text(2)?) } else { None };
        let mut out = ListBuilder::new(StringViewBuilder::new()).with_field(Field::new_list_field(DataType::Utf8View, true));
        for row in 0..args.rows {
            let Some(s) = text.opt(row) else {
                out.append_null();
                continue;
            };
            let null = null_string.as_ref().and_then(|n| n.opt(row));
            let mut push = |item: &str| out.values().append_option((Some(item) != null).then_some(item));
            match separator.opt(row) {
                _ if s.is_empty() => {}
                None => s.chars().for_each(|c| push(c.encode_utf8(&mut [0; 4]))),
                Some("") => push(s),
                Some(by) => s.split(by).for_each(push),
            }
            out.append(true);
        }
        args.finish(Arc::new(out.finish()))
    })
}

fn array_to_string(call: &Call<'_>) -> Result<Value> {
    let element = call.args.first().and_then(|a| a.ty.element()).ok_or_else(|| refused("array_to_string of an unknown type"))?;
    let elements = Elements::of(element, call.session)?;
    let key = elements.key();
    let kernel: Kernel = Arc::new(move |call: &ScalarFunctionArgs| {
        let args = Args::new(call)?;
        let (list, separator) = (args.list(0)?, args.text(1)?);
        let null_string = if args.len() > 2 { Some(args.text(2)?) } else { None };
        let mut out = StringViewBuilder::with_capacity(args.rows);
        let mut text = String::new();
        for row in 0..args.rows {
            let (Some(items), Some(separator)) = (list.opt(row), separator.opt(row)) else {
                out.append_null();
                continue;
            };
            let null = null_string.as_ref().and_then(|n| n.opt(row));
            let (items, printer) = elements.prepared(&items)?;
            join(printer, &items, separator, null, &mut text);
            out.append_value(&text);
        }
        args.finish(Arc::new(out.finish()))
    });
    make(call, "array_to_string", key, kernel)
}

/// NULL elements are left out, unless they have a text of their own.
fn join(printer: Printer, items: &ArrayRef, separator: &str, null: Option<&str>, out: &mut String) {
    out.clear();
    let mut first = true;
    for i in 0..items.len() {
        let Some(item) = printer.print(items, i).or(null.map(Cow::Borrowed)) else { continue };
        if !std::mem::replace(&mut first, false) {
            out.push_str(separator);
        }
        out.push_str(&item);
    }
}
