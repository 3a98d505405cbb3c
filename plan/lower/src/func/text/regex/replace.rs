//! regexp_replace. Source: `replace_text_regexp` in `varlena.c`.

use super::compiled::{Cache, Compiled};
use crate::error::{raise, refused};
use crate::func::text::lower_call::make;
use crate::func::text::rows::Args;
use crate::func::text::slice::{char_count, char_offset};
use crate::udf::Kernel;
use crate::value::{Call, Value};
use arrow::array::StringViewBuilder;
use datafusion::common::Result;
use datafusion::logical_expr::ScalarFunctionArgs;
use std::sync::Arc;

pub(super) fn lower(call: &Call<'_>) -> Result<Value> {
    let settings = super::settings(call, 1, false)?;
    let func = call.func;
    let kernel: Kernel = Arc::new(move |call: &ScalarFunctionArgs| {
        let args = Args::new(call)?;
        let (text, pattern, by) = (args.text(0)?, args.text(1)?, args.text(2)?);
        // (text, pattern, by [, flags]) or (text, pattern, by, start [, n [, flags]])
        let start = if matches!(func, 6251..=6253) { Some(args.int4(3)?) } else { None };
        let nth = if matches!(func, 6251 | 6252) { Some(args.int4(4)?) } else { None };
        let flags = match func {
            2285 => Some(args.text(3)?),
            6251 => Some(args.text(5)?),
            _ => None,
        };
        let mut out = StringViewBuilder::with_capacity(args.rows);
        let nulls = args.nulls();
        let mut cache = Cache::new(settings);
        let mut current: Option<Arc<Compiled>> = None;
        let mut result = String::new();
        for row in 0..args.rows {
            match &nulls {
                Ok(nulls) if nulls.as_ref().is_none_or(|n| n.is_valid(row)) => {}
                _ => {
                    out.append_null();
                    continue;
                }
            }
            let flags = flags.as_ref().map_or("", |f| f.get(row));
            if func == 2285 && flags.starts_with(|c: char| c.is_ascii_digit()) {
                return Err(refused("a number among the options of a regular expression"));
            }
            let compiled = &*current.insert(cache.get(pattern.get(row), flags)?);
            let from = match start.as_ref().map(|s| s.get(row)) {
                Some(n) if n <= 0 => return Err(raise("22023", format!("invalid value for parameter \"start\": {n}"))),
                Some(n) => n.unsigned_abs() as usize - 1,
                None => 0,
            };
            let nth = match nth.as_ref().map(|n| n.get(row)) {
                Some(n) if n < 0 => return Err(raise("22023", format!("invalid value for parameter \"n\": {n}"))),
                Some(n) => n.unsigned_abs() as usize,
                // All of them with "g", unless their number is given.
                None => usize::from(!compiled.global),
            };
            replace(compiled, text.get(row), from, nth, by.get(row), &mut result)?;
            out.append_value(&result);
        }
        args.finish(Arc::new(out.finish()))
    });
    make(call, "regexp_replace", format!("{func}{settings:?}"), kernel)
}

/// `from`: in characters. `nth`: which match to replace; 0 is all.
fn replace(compiled: &Compiled, text: &str, from: usize, nth: usize, by: &str, out: &mut String) -> Result<()> {
    out.clear();
    let mut finder = compiled.finder();
    finder.check(text)?;
    let needs_parts = by.as_bytes().windows(2).any(|w| matches!(w, [b'\\', b'1'..=b'9']));
    let mut copied = 0usize;
    // Beyond the end nothing is found, not even an empty match.
    let mut search = if from > char_count(text) { text.len() + 1 } else { char_offset(text, from) };
    let mut matches = 0usize;
    while search <= text.len() {
        let found = if needs_parts { finder.captures(text, search)? } else { None };
        let span = match &found {
            Some(c) => c.get(0).map(|m| (m.start(), m.end())),
            None if needs_parts => None,
            None => finder.span(text, search)?,
        };
        let Some((start, end)) = span else { break };
        matches += 1;
        if nth == 0 || matches == nth {
            out.push_str(text.get(copied..start).unwrap_or_default());
            push_replacement(by, text.get(start..end).unwrap_or_default(), found.as_ref(), out);
            copied = end;
            if nth > 0 {
                break;
            }
        }
        search = if start == end { next_char(text, end) } else { end };
    }
    out.push_str(text.get(copied..).unwrap_or_default());
    Ok(())
}

/// The offset after the character at `at`; beyond the end if there is none.
pub(super) fn next_char(text: &str, at: usize) -> usize {
    at + text.get(at..).and_then(|t| t.chars().next()).map_or(1, char::len_utf8)
}

/// `\1` to `\9` are parts, `\&` is the whole match, `\\` a backslash; any other backslash is itself.
fn push_replacement(by: &str, whole: &str, parts: Option<&regex::Captures<'_>>, out: &mut String) {
    let mut rest = by;
    while let Some((before, after)) = rest.split_once('\\') {
        out.push_str(before);
        match after.as_bytes().first() {
            Some(d @ b'1'..=b'9') => {
                if let Some(part) = parts.and_then(|p| p.get(usize::from(d - b'0'))) {
                    out.push_str(part.as_str());
                }
            }
            Some(b'&') => out.push_str(whole),
            Some(b'\\') => out.push('\\'),
            _ => {
                out.push('\\');
                rest = after;
                continue;
            }
        }
        rest = after.get(1..).unwrap_or_default();
    }
    out.push_str(rest);
}
