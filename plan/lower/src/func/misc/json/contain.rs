//! `@>` of jsonb. Source: `JsonbDeepContains`.

use super::number::shortest;
use super::scan::{Kind, elements, kind, members, trim, unquote};
use crate::error::refused;
use datafusion::common::Result;
use std::borrow::Cow;
use std::collections::HashMap;

#[derive(PartialEq)]
enum Node<'a> {
    Object(HashMap<Cow<'a, str>, Node<'a>>),
    Array(Vec<Node<'a>>),
    String(Cow<'a, str>),
    /// In shortest form.
    Number(&'a str),
    Bool(bool),
    Null,
}

/// More levels than this are left to Postgres.
const MAX_DEPTH: usize = 200;

fn read(j: &str, depth: usize) -> Result<Node<'_>> {
    if depth > MAX_DEPTH {
        return Err(refused("a deeply nested jsonb"));
    }
    let j = trim(j);
    Ok(match kind(j)? {
        Kind::Object => {
            let mut map = HashMap::new();
            for (key, value) in members(j)? {
                map.insert(unquote(key)?, read(value, depth + 1)?);
            }
            Node::Object(map)
        }
        Kind::Array => Node::Array(elements(j)?.into_iter().map(|e| read(e, depth + 1)).collect::<Result<_>>()?),
        Kind::String => Node::String(unquote(j)?),
        Kind::Number => Node::Number(shortest(j)),
        Kind::Bool => Node::Bool(j == "true"),
        Kind::Null => Node::Null,
    })
}

pub(super) fn contains(whole: &str, part: &str) -> Result<bool> {
    let (whole, part) = (read(whole, 0)?, read(part, 0)?);
    Ok(match (&whole, &part) {
        // An array contains a scalar that is one of its elements.
        (Node::Array(items), p) if is_scalar(p) => items.contains(p),
        (w, p) => deep(w, p),
    })
}

fn is_scalar(n: &Node<'_>) -> bool {
    !matches!(n, Node::Object(_) | Node::Array(_))
}

fn deep(whole: &Node<'_>, part: &Node<'_>) -> bool {
    match (whole, part) {
        (Node::Object(w), Node::Object(p)) => p.iter().all(|(key, p)| w.get(key).is_some_and(|w| deep(w, p))),
        (Node::Array(w), Node::Array(p)) => p.iter().all(|p| if is_scalar(p) { w.contains(p) } else { w.iter().any(|w| !is_scalar(w) && deep(w, p)) }),
        (w, p) => is_scalar(w) && w == p,
    }
}
