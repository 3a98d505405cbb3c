//! substring, regexp_match, regexp_count, regexp_instr, regexp_substr, regexp_split_to_array. Source: `regexp.c`.

use super::compiled::{Cache, Compiled, Settings};
use super::replace::next_char;
use crate::error::{raise, refused};
use crate::func::text::lower_call::make;
use crate::func::text::rows::{Args, Col};
use crate::func::text::slice::{char_count, char_offset, count};
use crate::udf::Kernel;
use crate::value::{Call, Value};
use arrow::array::{Int32Array, Int32Builder, ListBuilder, StringViewArray, StringViewBuilder};
use arrow::datatypes::{DataType, Field};
use datafusion::common::Result;
use datafusion::logical_expr::ScalarFunctionArgs;
use std::sync::Arc;

pub(super) fn lower(call: &Call<'_>) -> Option<Result<Value>> {
    let n = call.args.len();
    // Places of the arguments: start, n, endoption, flags, subexpr.
    let (name, places): (&'static str, [Option<usize>; 5]) = match call.func {
        2073 => ("regexp_substring", [None; 5]),
        3396 | 3397 => ("regexp_match", [None, None, None, Some(2), None]),
        2767 | 2768 => ("regexp_split_to_array", [None, None, None, Some(2), None]),
        6254..=6256 => ("regexp_count", [Some(2), None, None, Some(3), None]),
        6257..=6262 => ("regexp_instr", [Some(2), Some(3), Some(4), Some(5), Some(6)]),
        6265..=6269 => ("regexp_substr", [Some(2), Some(3), None, Some(4), Some(5)]),
        _ => return None,
    };
    let places = places.map(|p| p.filter(|p| *p < n));
    Some(extract(call, name, places))
}

fn extract(call: &Call<'_>, name: &'static str, places: [Option<usize>; 5]) -> Result<Value> {
    let settings = super::settings(call, 1, false)?;
    let key = format!("{places:?}{settings:?}");
    let kernel: Kernel = match name {
        "regexp_substring" => rows(
            settings,
            places,
            StringViewBuilder::new,
            |b| b.append_null(),
            |q, text, out| {
                let part = if q.regex.captures > 0 { Part::Capture(1) } else { Part::Whole };
                out.append_option(nth(q.regex, text, 0, 1, part)?.and_then(|(a, b)| text.get(a..b)));
                Ok(())
            },
        ),
        "regexp_substr" => rows(
            settings,
            places,
            StringViewBuilder::new,
            |b| b.append_null(),
            |q, text, out| {
                out.append_option(q.selected(text)?.and_then(|(a, b)| text.get(a..b)));
                Ok(())
            },
        ),
        "regexp_instr" => rows(
            settings,
            places,
            Int32Builder::new,
            |b| b.append_null(),
            |q, text, out| {
                let place = match q.selected(text)? {
                    Some((a, b)) => count(char_count(text.get(..if q.end { b } else { a }).unwrap_or_default()) + 1)?,
                    None => 0,
                };
                out.append_value(place);
                Ok(())
            },
        ),
        "regexp_count" => rows(
            settings,
            places,
            Int32Builder::new,
            |b| b.append_null(),
            |q, text, out| {
                let mut matches = 0usize;
                each(q.regex, text, q.from(text), |_, _| matches += 1)?;
                out.append_value(count(matches)?);
                Ok(())
            },
        ),
        "regexp_match" => rows(
            settings,
            places,
            list,
            |b| b.append_null(),
            |q, text, out| {
                let finder = q.regex.finder();
                finder.check(text)?;
                if q.regex.captures == 0 {
                    match nth(q.regex, text, 0, 1, Part::Whole)? {
                        None => {
                            return {
                                out.append_null();
                                Ok(())
                            };
                        }
                        Some((a, b)) => out.values().append_option(text.get(a..b)),
                    }
                } else {
                    let Some(found) = finder.captures(text, 0)? else {
                        return {
                            out.append_null();
                            Ok(())
                        };
                    };
                    for i in 1..=q.regex.captures {
                        out.values().append_option(found.get(i).map(|m| m.as_str()));
                    }
                }
                out.append(true);
                Ok(())
            },
        ),
        _ => rows(
            settings,
            places,
            list,
            |b| b.append_null(),
            |q, text, out| {
                let (mut last_end, mut piece) = (0usize, 0usize);
                // Empty matches at the ends of the text, or right after a match, part nothing.
                each(q.regex, text, 0, |start, end| {
                    if start < text.len() && end > last_end {
                        out.values().append_option(text.get(piece..start));
                        piece = end;
                    }
                    last_end = end;
                })?;
                out.values().append_option(text.get(piece..));
                out.append(true);
                Ok(())
            },
        ),
    };
    make(call, name, key, kernel)
}

fn list() -> ListBuilder<StringViewBuilder> {
    ListBuilder::new(StringViewBuilder::new()).with_field(Field::new_list_field(DataType::Utf8View, true))
}

/// What one row asks.
struct Query<'a> {
    regex: &'a Compiled,
    start: usize,
    n: usize,
    end: bool,
    subexpr: usize,
}

#[derive(Clone, Copy)]
enum Part {
    Whole,
    Capture(usize),
}

impl Query<'_> {
    /// The offset at which the search starts; beyond the end nothing is found.
    fn from(&self, text: &str) -> usize {
        if self.start > char_count(text) { text.len() + 1 } else { char_offset(text, self.start) }
    }

    fn selected(&self, text: &str) -> Result<Option<(usize, usize)>> {
        let part = match (self.subexpr, self.regex.captures) {
            (0, _) | (1, 0) => Part::Whole,
            (s, captures) if s <= captures => Part::Capture(s),
            _ => {
                self.regex.finder().check(text)?;
                return Ok(None);
            }
        };
        nth(self.regex, text, self.from(text), self.n, part)
    }
}

/// Where the part of the `n`th match (from 1) is.
fn nth(regex: &Compiled, text: &str, from: usize, n: usize, part: Part) -> Result<Option<(usize, usize)>> {
    let mut finder = regex.finder();
    finder.check(text)?;
    let mut search = from;
    for i in 1..=n {
        let (span, selected) = match part {
            Part::Whole => {
                let span = finder.span(text, search)?;
                (span, span)
            }
            Part::Capture(c) => {
                let found = finder.captures(text, search)?;
                let span = |c: usize| found.as_ref().and_then(|f| f.get(c)).map(|m| (m.start(), m.end()));
                (span(0), span(c))
            }
        };
        let Some((start, end)) = span else { return Ok(None) };
        if i == n {
            return Ok(selected);
        }
        search = if start == end { next_char(text, end) } else { end };
    }
    Ok(None)
}

fn each(regex: &Compiled, text: &str, from: usize, mut f: impl FnMut(usize, usize)) -> Result<()> {
    let mut finder = regex.finder();
    finder.check(text)?;
    let mut search = from;
    while let Some((start, end)) = finder.span(text, search)? {
        f(start, end);
        search = if start == end { next_char(text, end) } else { end };
    }
    Ok(())
}

/// A kernel over (text, pattern, …); strict.
fn rows<B: arrow::array::ArrayBuilder>(
    settings: Settings,
    places: [Option<usize>; 5],
    builder: fn() -> B,
    append_null: fn(&mut B),
    f: fn(&Query<'_>, &str, &mut B) -> Result<()>,
) -> Kernel {
    Arc::new(move |call: &ScalarFunctionArgs| {
        let args = Args::new(call)?;
        let (text, pattern) = (args.text(0)?, args.text(1)?);
        let [start, n, end, flags, subexpr] = places;
        let int = |p: Option<usize>| p.map(|p| args.int4(p)).transpose();
        let (start, n, end, subexpr) = (int(start)?, int(n)?, int(end)?, int(subexpr)?);
        let flags: Option<Col<'_, StringViewArray>> = flags.map(|p| args.text(p)).transpose()?;
        let mut out = builder();
        let nulls = args.nulls();
        let mut cache = Cache::new(settings);
        for row in 0..args.rows {
            match &nulls {
                Ok(nulls) if nulls.as_ref().is_none_or(|n| n.is_valid(row)) => {}
                _ => {
                    append_null(&mut out);
                    continue;
                }
            }
            let flags = flags.as_ref().map_or("", |f| f.get(row));
            if flags.contains('g') {
                return Err(refused("the option \"g\" is not allowed here"));
            }
            let at_least = |column: &Option<Col<'_, Int32Array>>, name: &str, min: i32, default: i32| match column.as_ref().map(|c| c.get(row)) {
                Some(v) if v < min => Err(raise("22023", format!("invalid value for parameter \"{name}\": {v}"))),
                v => Ok(v.unwrap_or(default).unsigned_abs() as usize),
            };
            let start = at_least(&start, "start", 1, 1)? - 1;
            let n = at_least(&n, "n", 1, 1)?;
            let endoption = at_least(&end, "endoption", 0, 0)?;
            if endoption > 1 {
                return Err(raise("22023", format!("invalid value for parameter \"endoption\": {endoption}")));
            }
            let subexpr = at_least(&subexpr, "subexpr", 0, 0)?;
            let regex = cache.get(pattern.get(row), flags)?;
            f(&Query { regex: &regex, start, n, end: endoption == 1, subexpr }, text.get(row), &mut out)?;
        }
        let mut out = out;
        args.finish(out.finish())
    })
}
