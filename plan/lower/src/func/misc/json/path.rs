//! jsonpath over jsonb: paths in lax mode of names, `*`, subscripts and filters, and checks of them.
//!
//! Source: `jsonpath_exec.c`, `jsonpath_out`. None of what is read here can raise an error there: arithmetic, methods, variables,
//! regular expressions, `**` and the strict mode are refused.

use super::super::super::text::lower_call::{literal_text, with_args};
use super::super::super::text::rows::kernel;
use super::document::Node;
use super::order::numbers;
use crate::error::refused;
use crate::udf;
use crate::value::{Call, Value};
use arrow::array::{ArrayRef, AsArray, BooleanBuilder, ListBuilder, StringViewBuilder};
use arrow::datatypes::{DataType, Field};
use datafusion::common::{DataFusionError, Result, ScalarValue, internal_err};
use datafusion::logical_expr::Expr;
use std::cmp::Ordering;
use std::sync::Arc;
use weir_plan::types::PgType;

mod read;

/// The whole of a jsonpath.
#[derive(Debug, Clone, PartialEq)]
enum Path {
    Items(Chain),
    /// A predicate, whose value is the only item.
    Check(Predicate),
}

#[derive(Debug, Clone, PartialEq)]
struct Chain {
    /// `@` instead of `$`.
    current: bool,
    steps: Vec<Step>,
}

#[derive(Debug, Clone, PartialEq)]
enum Step {
    Name(String),
    AnyName,
    AnyElement,
    /// From and to, both included.
    Elements(Vec<(Place, Place)>),
    Filter(Predicate),
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Place {
    At(i32),
    Last,
}

#[derive(Debug, Clone, PartialEq)]
enum Operand {
    Items(Chain),
    Value(Node),
}

#[derive(Debug, Clone, PartialEq)]
enum Predicate {
    And(Box<Predicate>, Box<Predicate>),
    Or(Box<Predicate>, Box<Predicate>),
    Not(Box<Predicate>),
    IsUnknown(Box<Predicate>),
    Exists(Chain),
    Compare(Comparison, Operand, Operand),
    StartsWith(Operand, String),
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Comparison {
    Equal,
    NotEqual,
    Less,
    LessEqual,
    Greater,
    GreaterEqual,
}

impl Comparison {
    fn holds(self, order: Ordering) -> bool {
        match self {
            Comparison::Equal => order.is_eq(),
            Comparison::NotEqual => order.is_ne(),
            Comparison::Less => order.is_lt(),
            Comparison::LessEqual => order.is_le(),
            Comparison::Greater => order.is_gt(),
            Comparison::GreaterEqual => order.is_ge(),
        }
    }
}

/// The truth of a predicate; `None` is unknown.
type Truth = Option<bool>;

/// One evaluation: the document, and what `@` is.
#[derive(Clone, Copy)]
struct At<'a> {
    root: &'a Node,
    current: &'a Node,
}

impl Chain {
    fn items<'a>(&self, at: At<'a>) -> Result<Vec<&'a Node>> {
        let mut out = Vec::new();
        follow(&self.steps, if self.current { at.current } else { at.root }, true, at.root, &mut out)?;
        Ok(out)
    }
}

/// Appends the items to which the steps lead. `unwrap`: an array where a member is asked for stands for its elements, one level of them.
fn follow<'a>(steps: &[Step], node: &'a Node, unwrap: bool, root: &'a Node, out: &mut Vec<&'a Node>) -> Result<()> {
    let Some((step, rest)) = steps.split_first() else {
        out.push(node);
        return Ok(());
    };
    match (step, node) {
        (Step::Name(_) | Step::AnyName | Step::Filter(_), Node::Array(items)) if unwrap => {
            items.iter().try_for_each(|item| follow(steps, item, false, root, out))
        }
        (Step::Name(name), Node::Object(members)) => match members.iter().find(|(n, _)| n == name) {
            Some((_, value)) => follow(rest, value, true, root, out),
            None => Ok(()),
        },
        (Step::AnyName, Node::Object(members)) => members.iter().try_for_each(|(_, value)| follow(rest, value, true, root, out)),
        (Step::Name(_) | Step::AnyName, _) => Ok(()),
        (Step::AnyElement, Node::Array(items)) => items.iter().try_for_each(|item| follow(rest, item, true, root, out)),
        (Step::AnyElement, scalar) => follow(rest, scalar, true, root, out),
        (Step::Elements(places), node) => {
            // What is no array is the only element of one.
            let items = if let Node::Array(items) = node { items.as_slice() } else { std::slice::from_ref(node) };
            let size = i64::try_from(items.len()).unwrap_or(i64::MAX);
            let place = |p: Place| match p {
                Place::At(n) => i64::from(n),
                Place::Last => size - 1,
            };
            for (from, to) in places {
                let (from, to) = (place(*from).max(0), place(*to).min(size - 1));
                for i in from..=to {
                    if let Some(item) = usize::try_from(i).ok().and_then(|i| items.get(i)) {
                        follow(rest, item, true, root, out)?;
                    }
                }
            }
            Ok(())
        }
        (Step::Filter(predicate), node) => {
            if predicate.truth(At { root, current: node })? == Some(true) {
                follow(rest, node, true, root, out)?;
            }
            Ok(())
        }
    }
}

impl Operand {
    /// The values on one side; `unwrap`: arrays stand for their elements.
    fn values<'a>(&'a self, at: At<'a>, unwrap: bool) -> Result<Vec<&'a Node>> {
        match self {
            Operand::Value(value) => Ok(vec![value]),
            Operand::Items(chain) => {
                let items = chain.items(at)?;
                if !unwrap {
                    return Ok(items);
                }
                let mut out = Vec::with_capacity(items.len());
                for item in items {
                    match item {
                        Node::Array(elements) => out.extend(elements),
                        other => out.push(other),
                    }
                }
                Ok(out)
            }
        }
    }
}

impl Predicate {
    fn truth(&self, at: At<'_>) -> Result<Truth> {
        Ok(match self {
            Predicate::And(left, right) => match left.truth(at)? {
                Some(false) => Some(false),
                left => match right.truth(at)? {
                    Some(true) => left,
                    right => right,
                },
            },
            Predicate::Or(left, right) => match left.truth(at)? {
                Some(true) => Some(true),
                left => match right.truth(at)? {
                    Some(false) => left,
                    right => right,
                },
            },
            Predicate::Not(inner) => inner.truth(at)?.map(|t| !t),
            Predicate::IsUnknown(inner) => Some(inner.truth(at)?.is_none()),
            Predicate::Exists(chain) => Some(!chain.items(at)?.is_empty()),
            Predicate::Compare(how, left, right) => {
                let (lefts, rights) = (left.values(at, true)?, right.values(at, true)?);
                let pairs = lefts.iter().flat_map(|l| rights.iter().map(move |r| compared(*how, l, r)));
                any(pairs)?
            }
            Predicate::StartsWith(left, start) => any(left.values(at, true)?.into_iter().map(|value| {
                Ok(match value {
                    Node::String(s) => Some(s.starts_with(start.as_str())),
                    _ => None,
                })
            }))?,
        })
    }
}

/// Whether it holds for any; if for none, unknown if it is for some.
fn any(truths: impl Iterator<Item = Result<Truth>>) -> Result<Truth> {
    let mut result = Some(false);
    for truth in truths {
        match truth? {
            Some(true) => return Ok(Some(true)),
            Some(false) => {}
            None => result = None,
        }
    }
    Ok(result)
}

/// Source: `compareItems`.
fn compared(how: Comparison, left: &Node, right: &Node) -> Result<Truth> {
    let order = match (left, right) {
        (Node::Null, Node::Null) => Ordering::Equal,
        (Node::Null, _) | (_, Node::Null) => return Ok(Some(how == Comparison::NotEqual)),
        (Node::Bool(l), Node::Bool(r)) => l.cmp(r),
        (Node::Number(l), Node::Number(r)) => numbers(l, r)?,
        (Node::String(l), Node::String(r)) => l.as_bytes().cmp(r.as_bytes()),
        _ => return Ok(None),
    };
    Ok(Some(how.holds(order)))
}

/// What a path finds in one document.
enum Found<'a> {
    Items(Vec<&'a Node>),
    Truth(Truth),
}

impl Path {
    fn found<'a>(&self, document: &'a Node) -> Result<Found<'a>> {
        let at = At { root: document, current: document };
        Ok(match self {
            Path::Items(chain) => Found::Items(chain.items(at)?),
            Path::Check(predicate) => Found::Truth(predicate.truth(at)?),
        })
    }
}

impl Found<'_> {
    fn texts(&self) -> Vec<String> {
        match self {
            Found::Items(items) => items.iter().map(|i| i.text()).collect(),
            Found::Truth(truth) => vec![truth.map_or("null", |t| if t { "true" } else { "false" }).to_owned()],
        }
    }

    fn exists(&self) -> bool {
        match self {
            Found::Items(items) => !items.is_empty(),
            Found::Truth(_) => true,
        }
    }

    /// The only item as a predicate's value. Source: `jsonb_path_match`.
    fn matches(&self, silent: bool) -> Result<Option<bool>> {
        match self {
            Found::Truth(truth) => Ok(*truth),
            Found::Items(items) => match items.as_slice() {
                [Node::Bool(b)] => Ok(Some(*b)),
                [Node::Null] => Ok(None),
                _ if silent => Ok(None),
                _ => Err(refused("a jsonpath whose result is not boolean")),
            },
        }
    }
}

/// Document, path and silence of a call.
fn parts(args: &[Value]) -> Result<(&Value, &str, Arc<Path>, bool)> {
    let [document, path, silent] = args else { return Err(refused("a jsonpath function of other arguments")) };
    let text = literal_text(path).ok_or_else(|| refused("a jsonpath that is not constant"))?;
    let Expr::Literal(ScalarValue::Boolean(Some(silent)), _) = silent.expr else { return Err(refused("a jsonpath function of other arguments")) };
    Ok((document, text, Arc::new(read::path(text)?), silent))
}

pub(super) fn lower(call: &Call<'_>) -> Option<Result<Value>> {
    matches!(call.func, 4005 | 4007..=4011).then(|| path_call(call))
}

fn path_call(call: &Call<'_>) -> Result<Value> {
    let (document, text, path, silent) = parts(&call.args)?;
    let (name, kernel) = match call.func {
        4005 | 4010 => ("jsonb_path_exists", kernel!(BooleanBuilder::new(), |j: text| Some(path.found(&Node::read(j)?)?.exists())) as udf::Kernel),
        4009 | 4011 => ("jsonb_path_match", kernel!(BooleanBuilder::new(), |j: text| path.found(&Node::read(j)?)?.matches(silent)?) as udf::Kernel),
        4007 => (
            "jsonb_path_query_array",
            kernel!(StringViewBuilder::new(), |j: text| Some(format!("[{}]", path.found(&Node::read(j)?)?.texts().join(", ")))) as udf::Kernel,
        ),
        _ => ("jsonb_path_query_first", kernel!(StringViewBuilder::new(), |j: text| path.found(&Node::read(j)?)?.texts().into_iter().next()) as udf::Kernel),
    };
    with_args(call, name, format!("{silent} {text}"), vec![document.expr.clone()], kernel)
}

/// `jsonb_path_query` as an array of its items.
pub(crate) fn path_rows(args: &[Value], ty: PgType) -> Result<Value> {
    let (document, text, path, _) = parts(args)?;
    let result = DataType::List(Arc::new(Field::new_list_field(DataType::Utf8View, true)));
    let kernel = udf::over_arrays(move |arrays| {
        let Some(documents) = arrays.first().and_then(|a| a.as_string_view_opt()) else { return internal_err!("a path of other than JSON") };
        let mut out = ListBuilder::new(StringViewBuilder::new());
        for document in documents {
            let Some(j) = document else {
                out.append_null();
                continue;
            };
            for item in path.found(&Node::read(j)?)?.texts() {
                out.values().append_value(item);
            }
            out.append(true);
        }
        Ok(Arc::new(out.finish()) as ArrayRef)
    });
    Ok(Value::new(udf::call("jsonb_path_query", text.to_owned(), result.clone(), vec![document.expr.clone()], kernel), result, ty))
}

fn unknown() -> DataFusionError {
    refused("a jsonpath with more than names, places and filters")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn query(path: &str, document: &str) -> Vec<String> {
        let document = Node::read(document).unwrap();
        read::path(path).unwrap().found(&document).unwrap().texts()
    }

    #[test]
    fn arrays_are_unwrapped_one_level_and_scalars_wrapped() {
        let j = r#"{"a": [{"b": 1}, [{"b": 2}], {"b": [3, 4]}], "c": 5}"#;
        assert_eq!(query("$.\"a\".\"b\"", j), ["1", "[3, 4]"]);
        assert_eq!(query("$.\"a\"[*].\"b\"", j), ["1", "2", "[3, 4]"]);
        assert_eq!(query("$.\"a\"[1 to last].\"b\"[*]", j), ["2", "3", "4"]);
        assert_eq!(query("$.\"c\"[0]", j), ["5"]);
        assert_eq!(query("$.\"c\"[last]", j), ["5"]);
        assert_eq!(query("$.\"c\"[1]", j), Vec::<String>::new());
        assert_eq!(query("$.*", r#"[{"x": 1}, {"y": 2}, 3]"#), ["1", "2"]);
    }

    #[test]
    fn predicates_have_three_values() {
        assert_eq!(query("($.\"a\" > 1)", r#"{"a": [0, 2]}"#), ["true"]);
        assert_eq!(query("($.\"a\" > 1)", r#"{"a": ["x", 0]}"#), ["null"]);
        assert_eq!(query("($.\"a\" > 1)", r#"{}"#), ["false"]);
        assert_eq!(query("($.\"a\" != null)", r#"{"a": 1}"#), ["true"]);
        assert_eq!(query("($.\"a\" < null)", r#"{"a": 1}"#), ["false"]);
        assert_eq!(query("(($.\"a\" > 1) is unknown || $.\"b\" == 1)", r#"{"a": "x"}"#), ["true"]);
        assert_eq!(query("$?(@.\"a\" == 1.0 && @.\"b\" starts with \"x\")", r#"{"a": 1, "b": "xy"}"#).len(), 1);
    }

    #[test]
    fn what_is_not_known_is_refused() {
        for path in
            ["strict $.\"a\"", "$.**", "$.\"a\".size()", "($.\"a\" + 1)", "$[1.5]", "$[last - 1]", "$\"x\"", "1", "($.\"a\" like_regex \"x\")", "-$.\"a\""]
        {
            assert!(read::path(path).is_err(), "{path}");
        }
    }
}
