//! `format`: `%s`, `%I`, `%L` and `%%` with position and constant width. What Postgres would complain about is refused.

use super::ident::quote_ident;
use super::quote_literal;
use crate::error::refused;
use crate::func::text::slice::char_count;
use datafusion::common::Result;
use std::borrow::Cow;

pub(super) fn format(template: &str, args: &[Option<Cow<'_, str>>], out: &mut String) -> Result<()> {
    let mut rest = template;
    let mut next = 0usize;
    while let Some(at) = rest.find('%') {
        let (before, spec) = rest.split_at(at);
        out.push_str(before);
        let spec = spec.strip_prefix('%').unwrap_or(spec);
        if let Some(after) = spec.strip_prefix('%') {
            out.push('%');
            rest = after;
            continue;
        }
        let (first, after_first) = number(spec)?;
        let (position, after) = match (first, after_first.strip_prefix('$')) {
            (Some(n), Some(after)) => (Some(n), after),
            _ => (None, spec),
        };
        let (left, after) = after.strip_prefix('-').map_or((false, after), |after| (true, after));
        let (width, after) = number(after)?;
        let kind = after.chars().next();
        let index = match position {
            None => next,
            Some(n) => n.checked_sub(1).ok_or_else(unusual)?,
        };
        next = index + 1;
        let arg = args.get(index).ok_or_else(unusual)?;
        let text = match (kind, arg) {
            (Some('s'), arg) => arg.as_deref().unwrap_or_default().into(),
            (Some('L'), Some(arg)) => Cow::Owned(quote_literal(arg)),
            (Some('I'), Some(arg)) => Cow::Owned(quote_ident(arg)?),
            (Some('L'), None) => Cow::Borrowed("NULL"),
            _ => return Err(unusual()),
        };
        let padding = width.unwrap_or(0).saturating_sub(char_count(&text));
        if !left {
            out.extend(std::iter::repeat_n(' ', padding));
        }
        out.push_str(&text);
        if left {
            out.extend(std::iter::repeat_n(' ', padding));
        }
        rest = after.get(1..).unwrap_or_default();
    }
    out.push_str(rest);
    Ok(())
}

fn unusual() -> datafusion::common::DataFusionError {
    refused("unusual format specification")
}

fn number(s: &str) -> Result<(Option<usize>, &str)> {
    let digits = s.bytes().take_while(u8::is_ascii_digit).count();
    let (number, rest) = s.split_at(digits);
    if digits == 0 {
        return Ok((None, rest));
    }
    // Absurd widths are left to Postgres.
    number.parse().ok().filter(|n| *n <= 1_000_000).map(|n| (Some(n), rest)).ok_or_else(unusual)
}
