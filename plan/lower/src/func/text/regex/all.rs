//! `regexp_matches`: the parts of each match (of the first only, without the option "g"), as an array of arrays.

use super::compiled::{Cache, Compiled};
use super::replace::next_char;
use crate::error::refused;
use crate::func::text::rows::Args;
use crate::udf::{self, Kernel};
use crate::value::{Call, Value};
use arrow::array::{ListBuilder, StringViewBuilder};
use arrow::datatypes::{DataType, Field};
use datafusion::common::Result;
use datafusion::logical_expr::ScalarFunctionArgs;
use std::sync::Arc;

type Rows = ListBuilder<ListBuilder<StringViewBuilder>>;

pub(super) fn lower(call: &Call<'_>) -> Option<Result<Value>> {
    matches!(call.func, 2763 | 2764).then(|| matches(call))
}

fn matches(call: &Call<'_>) -> Result<Value> {
    let settings = super::settings(call, 1, false)?;
    let item = Arc::new(Field::new_list_field(DataType::Utf8View, true));
    let row = Arc::new(Field::new_list_field(DataType::List(Arc::clone(&item)), true));
    let result = DataType::List(Arc::clone(&row));
    let kernel: Kernel = Arc::new(move |call: &ScalarFunctionArgs| {
        let args = Args::new(call)?;
        let (text, pattern) = (args.text(0)?, args.text(1)?);
        let flags = if args.len() > 2 { Some(args.text(2)?) } else { None };
        let mut out = ListBuilder::new(ListBuilder::new(StringViewBuilder::new()).with_field(Arc::clone(&item))).with_field(Arc::clone(&row));
        let nulls = args.nulls();
        let mut cache = Cache::new(settings);
        for row in 0..args.rows {
            match &nulls {
                Ok(nulls) if nulls.as_ref().is_none_or(|n| n.is_valid(row)) => {}
                _ => {
                    out.append_null();
                    continue;
                }
            }
            let flags = flags.as_ref().map_or("", |f| f.get(row));
            let regex = cache.get(pattern.get(row), flags)?;
            each(&regex, text.get(row), &mut out)?;
            out.append(true);
        }
        args.finish(Arc::new(out.finish()))
    });
    let exprs = call.args.iter().map(|a| a.expr.clone()).collect();
    Ok(Value::new(udf::call("regexp_matches", format!("{settings:?}"), result.clone(), exprs, kernel), result, call.ty))
}

fn each(regex: &Compiled, text: &str, out: &mut Rows) -> Result<()> {
    let mut finder = regex.finder();
    finder.check(text)?;
    let mut search = 0;
    loop {
        let (start, end) = if regex.captures == 0 {
            let Some((start, end)) = finder.span(text, search)? else { return Ok(()) };
            out.values().values().append_option(text.get(start..end));
            (start, end)
        } else {
            let Some(found) = finder.captures(text, search)? else { return Ok(()) };
            let Some(whole) = found.get(0) else { return Err(refused("a match without a place")) };
            for i in 1..=regex.captures {
                out.values().values().append_option(found.get(i).map(|m| m.as_str()));
            }
            (whole.start(), whole.end())
        };
        out.values().append(true);
        if !regex.global {
            return Ok(());
        }
        search = if start == end { next_char(text, end) } else { end };
    }
}
