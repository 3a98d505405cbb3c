//! Regular expressions: the part of Postgres's AREs whose meaning the `regex` crate shares.
//!
//! Invariants:
//! - Whether there is a match does not depend on which one is taken; where and what it is does. Postgres takes the longest (or
//!   shortest) of the leftmost matches and the longest left parts of it, `regex` the first that its branches and quantifiers
//!   prefer. Positions and parts are answered only for patterns for which both are proven to be the same (`shape`).
//! - Everything else is refused: back-references, look-around, mixed greediness, classes of unknown locales and ends of words in text beyond ASCII,
//!   and patterns that are invalid (Postgres says why).

use super::case::letters;
use super::cast::padded_first;
use super::lower_call::{literal_text, with_args};
use super::rows::Args;
use crate::error::refused;
use crate::udf::Kernel;
use crate::value::{Call, Value};
use arrow::array::BooleanBuilder;
use datafusion::common::Result;
use datafusion::logical_expr::ScalarFunctionArgs;
use std::sync::Arc;

mod all;
mod charset;
mod compiled;
mod extract;
mod parse;
mod replace;
mod shape;

use compiled::{Cache, Settings};

pub(super) fn lower(call: &Call<'_>) -> Option<Result<Value>> {
    Some(match call.func {
        1254 | 1658 | 79 => matches(call, false, false),
        1256 | 1659 | 1252 => matches(call, true, false),
        1238 | 1656 | 1240 => matches(call, false, true),
        1239 | 1657 | 1241 => matches(call, true, true),
        6263 | 6264 => matches(call, false, false),
        2284 | 2285 | 6251 | 6252 | 6253 => replace::lower(call),
        _ => return extract::lower(call).or_else(|| all::lower(call)),
    })
}

/// How patterns of this call are read, after checking the pattern if it is constant: so that a refusal comes early.
fn settings(call: &Call<'_>, pattern: usize, ignore_case: bool) -> Result<Settings> {
    let settings = Settings { ignore_case, letters: letters(call)? };
    if let Some(p) = call.args.get(pattern).and_then(literal_text) {
        Cache::new(settings).get(p, "")?;
    }
    Ok(settings)
}

fn matches(call: &Call<'_>, negated: bool, ignore_case: bool) -> Result<Value> {
    let settings = settings(call, 1, ignore_case)?;
    let kernel: Kernel = Arc::new(move |call: &ScalarFunctionArgs| {
        let args = Args::new(call)?;
        let (text, pattern) = (args.text(0)?, args.text(1)?);
        let flags = if args.len() > 2 { Some(args.text(2)?) } else { None };
        let mut out = BooleanBuilder::with_capacity(args.rows);
        let Ok(nulls) = args.nulls() else {
            out.append_nulls(args.rows);
            return args.finish(Arc::new(out.finish()));
        };
        let mut cache = Cache::new(settings);
        for row in 0..args.rows {
            if nulls.as_ref().is_some_and(|n| n.is_null(row)) {
                out.append_null();
                continue;
            }
            let flags = flags.as_ref().map_or("", |f| f.get(row));
            if flags.contains('g') {
                return Err(refused("regexp_like does not support the global option"));
            }
            let compiled = cache.get(pattern.get(row), flags)?;
            out.append_value(compiled.is_match(text.get(row))? != negated);
        }
        args.finish(Arc::new(out.finish()))
    });
    with_args(call, "regexp_like", format!("{negated}{settings:?}"), padded_first(call)?, kernel)
}
