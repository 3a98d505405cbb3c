//! jsonb made of jsonb: `||`, `-`, `#-`, `jsonb_set`, `jsonb_insert`, `jsonb_strip_nulls`, `jsonb_pretty`.
//!
//! Source: `jsonfuncs.c`. What Postgres complains about (deleting from a scalar, a path that is no number in an array) is refused.

use super::document::{Node, object};
use super::scan::subscript;
use super::strings;
use crate::error::refused;
use crate::func::text::lower_call::make;
use crate::func::text::rows::kernel;
use crate::value::{Call, Value};
use arrow::array::{Array, ArrayRef, StringViewBuilder};
use datafusion::common::Result;

pub(super) fn lower(call: &Call<'_>) -> Option<Result<Value>> {
    let out = StringViewBuilder::new;
    Some(match call.func {
        3301 => make(call, "jsonb_concat", "", kernel!(out(), |a: text, b: text| Some(concat(a, b)?))),
        3302 => make(call, "jsonb_delete_key", "", kernel!(out(), |j: text, key: text| Some(without_keys(j, &[Some(key)])?))),
        3343 => make(call, "jsonb_delete_keys", "", kernel!(out(), |j: text, keys: list| Some(without_keys(j, &strings(&keys)?.iter().collect::<Vec<_>>())?))),
        3303 => make(call, "jsonb_delete_place", "", kernel!(out(), |j: text, n: int4| Some(without_place(j, n)?))),
        3304 => make(call, "jsonb_delete_path", "", kernel!(out(), |j: text, path: list| Some(at_path(j, &path, None, Mode::Delete)?))),
        3305 => make(
            call,
            "jsonb_set",
            "",
            kernel!(out(), |j: text, path: list, new: text, create: bool| Some(at_path(j, &path, Some(new), if create { Mode::Set } else { Mode::Replace })?)),
        ),
        3579 => make(
            call,
            "jsonb_insert",
            "",
            kernel!(out(), |j: text, path: list, new: text, after: bool| Some(at_path(
                j,
                &path,
                Some(new),
                if after { Mode::InsertAfter } else { Mode::InsertBefore }
            )?)),
        ),
        3262 => make(call, "jsonb_strip_nulls", "", kernel!(out(), |j: text| Some(Node::read(j)?.without_nulls().text()))),
        3306 => make(
            call,
            "jsonb_pretty",
            "",
            kernel!(out(), |j: text| Some({
                let mut text = String::new();
                Node::read(j)?.pretty(0, &mut text);
                text
            })),
        ),
        _ => return None,
    })
}

/// Objects are merged; everything else is an array or becomes one.
fn concat(a: &str, b: &str) -> Result<String> {
    let joined = match (Node::read(a)?, Node::read(b)?) {
        (Node::Object(mut a), Node::Object(b)) => {
            a.extend(b);
            object(a)
        }
        (a, b) => {
            let items = |node| match node {
                Node::Array(items) => items,
                other => vec![other],
            };
            let mut all = items(a);
            all.extend(items(b));
            Node::Array(all)
        }
    };
    Ok(joined.text())
}

/// Without these names, or without the strings that are equal to them. NULL names are passed over.
fn without_keys(j: &str, keys: &[Option<&str>]) -> Result<String> {
    let is = |s: &str| keys.contains(&Some(s));
    let node = match Node::read(j)? {
        Node::Object(mut members) => {
            members.retain(|(name, _)| !is(name));
            Node::Object(members)
        }
        Node::Array(mut items) => {
            items.retain(|item| !matches!(item, Node::String(s) if is(s)));
            Node::Array(items)
        }
        _ => return Err(refused("deleting from a jsonb scalar")),
    };
    Ok(node.text())
}

/// The place that an index means, counted from the end if it is negative.
fn place(n: i32, length: usize) -> i64 {
    let length = i64::try_from(length).unwrap_or(i64::MAX);
    if n < 0 { length + i64::from(n) } else { i64::from(n) }
}

fn without_place(j: &str, n: i32) -> Result<String> {
    let Node::Array(mut items) = Node::read(j)? else { return Err(refused("deleting an element of a jsonb that is no array")) };
    if let Some(at) = usize::try_from(place(n, items.len())).ok().filter(|at| *at < items.len()) {
        items.remove(at);
    }
    Ok(Node::Array(items).text())
}

#[derive(Clone, Copy, PartialEq)]
enum Mode {
    Delete,
    /// The value at the path, or a new one.
    Set,
    Replace,
    InsertBefore,
    InsertAfter,
}

fn at_path(j: &str, path: &ArrayRef, new: Option<&str>, mode: Mode) -> Result<String> {
    let path = strings(path)?;
    if path.null_count() > 0 {
        return Err(refused("a path with a NULL element"));
    }
    let path: Vec<&str> = path.iter().flatten().collect();
    let node = Node::read(j)?;
    if node.is_scalar() {
        return Err(refused("a path into a jsonb scalar"));
    }
    let new = new.map(Node::read).transpose()?;
    Ok(changed(node, &path, new.as_ref(), mode)?.text())
}

/// Source: `setPath`. A path that leads through a scalar or a missing member changes nothing.
fn changed(node: Node, path: &[&str], new: Option<&Node>, mode: Mode) -> Result<Node> {
    let Some((step, rest)) = path.split_first() else { return Ok(node) };
    let last = rest.is_empty();
    Ok(match node {
        Node::Object(mut members) => {
            match members.iter().position(|(name, _)| name == step) {
                Some(at) if last && mode == Mode::Delete => {
                    members.remove(at);
                }
                Some(_) if last && matches!(mode, Mode::InsertBefore | Mode::InsertAfter) => return Err(refused("jsonb_insert of a member that is there")),
                Some(at) => {
                    if let Some((_, value)) = members.get_mut(at) {
                        let old = std::mem::replace(value, Node::Null);
                        *value = match new {
                            Some(new) if last => new.clone(),
                            _ => changed(old, rest, new, mode)?,
                        };
                    }
                }
                None => {
                    if let (true, Some(new), false) = (last, new, matches!(mode, Mode::Replace | Mode::Delete)) {
                        members.push(((*step).to_string(), new.clone()));
                    }
                }
            }
            object(members)
        }
        Node::Array(mut items) => {
            let n = subscript(step).ok_or_else(|| refused("a path element that is no index of an array"))?;
            let at = place(n, items.len());
            match usize::try_from(at).ok().filter(|at| *at < items.len()) {
                Some(at) if last => match (mode, new) {
                    (Mode::Delete, _) => {
                        items.remove(at);
                    }
                    (Mode::Set | Mode::Replace, Some(new)) => {
                        if let Some(item) = items.get_mut(at) {
                            *item = new.clone();
                        }
                    }
                    (Mode::InsertBefore, Some(new)) => items.insert(at, new.clone()),
                    (_, Some(new)) => items.insert(at + 1, new.clone()),
                    (_, None) => {}
                },
                Some(at) => {
                    if let Some(item) = items.get_mut(at) {
                        let old = std::mem::replace(item, Node::Null);
                        *item = changed(old, rest, new, mode)?;
                    }
                }
                None => {
                    if let (true, Some(new), false) = (last, new, matches!(mode, Mode::Replace | Mode::Delete)) {
                        let to = if at < 0 { 0 } else { items.len() };
                        items.insert(to, new.clone());
                    }
                }
            }
            Node::Array(items)
        }
        scalar => scalar,
    })
}
