//! Values of which a query's conditions say that they are constants, or equal to one another.
//!
//! Before release 18, Postgres does not sort by such a key, or by the second of two equal ones, also where the keys are those of GROUPING SETS
//! and NULL in the sets without them. Its answer then has another order than the keys ask for, other ranks, or DISTINCT rows less. Source:
//! `pathkey_is_redundant` in `pathkeys.c`.

use super::query::entry_of;
use super::tree::{self, list, tag};
use super::{Cx, Result, cte, input_order, param};
use pg_sys::{BoolExprType, Node, NodeTag, Query, RTEKind, RangeTblEntry, SortGroupClause, TargetEntry, WindowClause};
use pgrx::pg_sys;

/// A value of one query level.
#[derive(Clone, Copy)]
enum Value {
    Constant,
    Column(i64, i16),
    Other(*mut Node),
}

/// Values that are equal to each other.
#[derive(Default)]
struct Equal(Vec<Vec<Value>>);

/// Refuses a query with GROUPING SETS that sorts, or compares rows, by what its conditions pin.
pub unsafe fn check(cx: &Cx, query: *mut Query) -> Result<()> {
    let q = &*query;
    let entries = list::<TargetEntry>(q.targetList);
    let windows = list::<WindowClause>(q.windowClause).into_iter().flat_map(|w| [(*w).partitionClause, (*w).orderClause]);
    let mut looked_at: Vec<*mut Node> = Vec::new();
    for clause in [q.sortClause, q.distinctClause].into_iter().chain(windows).flat_map(|clauses| list::<SortGroupClause>(clauses)) {
        let node = (*entries[entry_of(clause, &entries)?]).expr.cast::<Node>();
        let is_constant = matches!(value(node), Value::Constant);
        if !is_constant && !looked_at.iter().any(|known| pg_sys::equal((*known).cast(), node.cast())) {
            looked_at.push(node);
        }
    }
    if looked_at.is_empty() {
        return Ok(());
    }
    let equal = of(cx, query, 0);
    let classes: Vec<usize> = looked_at.iter().filter_map(|node| equal.class(value(*node))).collect();
    let is_pinned = |class: &usize| equal.0[*class].iter().any(|v| matches!(v, Value::Constant));
    let meets_another = |(i, class): (usize, &usize)| classes[..i].contains(class);
    if classes.iter().any(is_pinned) || classes.iter().enumerate().any(meets_another) {
        return Err("GROUPING SETS, in an order of what the conditions make constant or equal to another key".into());
    }
    Ok(())
}

/// What the conditions of a query say, and those of the queries in its FROM that become part of it. `levels_up`: how far it is below the current one.
unsafe fn of(cx: &Cx, query: *mut Query, levels_up: usize) -> Equal {
    pg_sys::check_stack_depth();
    let mut equal = Equal::default();
    conditions(cx, (*query).jointree.cast(), &mut equal);
    for (i, rte) in list::<RangeTblEntry>((*query).rtable).into_iter().enumerate() {
        let below = match (*rte).rtekind {
            RTEKind::RTE_SUBQUERY => (*rte).subquery,
            RTEKind::RTE_CTE => cte::inlined(cx, query, rte, levels_up),
            _ => std::ptr::null_mut(),
        };
        if below.is_null() || !input_order::hands_rows_on(below) {
            continue;
        }
        let Ok(varno) = i64::try_from(i + 1) else { continue };
        let inner = of(cx, below, levels_up + 1);
        let columns: Vec<(i16, Value)> =
            list::<TargetEntry>((*below).targetList).into_iter().filter(|te| !(**te).resjunk).map(|te| ((*te).resno, value((*te).expr.cast()))).collect();
        for (at, (resno, of)) in columns.iter().enumerate() {
            let class = inner.class(*of);
            if matches!(of, Value::Constant) || class.is_some_and(|c| inner.0[c].iter().any(|v| matches!(v, Value::Constant))) {
                equal.add(Value::Column(varno, *resno), Value::Constant);
            }
            for (other, with) in &columns[..at] {
                if same(*of, *with) || (class.is_some() && class == inner.class(*with)) {
                    equal.add(Value::Column(varno, *resno), Value::Column(varno, *other));
                }
            }
        }
    }
    equal
}

unsafe fn conditions(cx: &Cx, node: *mut Node, equal: &mut Equal) {
    if node.is_null() {
        return;
    }
    match tag(node) {
        NodeTag::T_FromExpr => {
            let from = &*node.cast::<pg_sys::FromExpr>();
            list::<Node>(from.fromlist).into_iter().for_each(|n| conditions(cx, n, equal));
            condition(cx, from.quals, equal);
        }
        NodeTag::T_JoinExpr => {
            let join = &*node.cast::<pg_sys::JoinExpr>();
            conditions(cx, join.larg, equal);
            conditions(cx, join.rarg, equal);
            condition(cx, join.quals, equal);
        }
        _ => {}
    }
}

unsafe fn condition(cx: &Cx, quals: *mut Node, equal: &mut Equal) {
    if !quals.is_null() {
        let folded = pg_sys::canonicalize_qual(param::fold(cx, tree::copy(quals)).cast(), false);
        conjuncts(folded.cast(), equal);
    }
}

unsafe fn conjuncts(node: *mut Node, equal: &mut Equal) {
    if node.is_null() {
        return;
    }
    match tag(node) {
        NodeTag::T_List => list::<Node>(node.cast()).into_iter().for_each(|n| conjuncts(n, equal)),
        NodeTag::T_BoolExpr if (*node.cast::<pg_sys::BoolExpr>()).boolop == BoolExprType::AND_EXPR => {
            list::<Node>((*node.cast::<pg_sys::BoolExpr>()).args).into_iter().for_each(|n| conjuncts(n, equal));
        }
        NodeTag::T_OpExpr => {
            let op = &*node.cast::<pg_sys::OpExpr>();
            if let [left, right] = list::<Node>(op.args)[..]
                && pg_sys::op_mergejoinable(op.opno, pg_sys::exprType(left))
            {
                equal.add(value(left), value(right));
            }
        }
        _ => {}
    }
}

unsafe fn value(node: *mut Node) -> Value {
    match tag(node) {
        NodeTag::T_RelabelType => value((*node.cast::<pg_sys::RelabelType>()).arg.cast()),
        NodeTag::T_Var if (*node.cast::<pg_sys::Var>()).varlevelsup == 0 => {
            let var = &*node.cast::<pg_sys::Var>();
            Value::Column(tree::varno(var), var.varattno)
        }
        _ if input_order::is_same_for_all(node) => Value::Constant,
        _ => Value::Other(node),
    }
}

unsafe fn same(a: Value, b: Value) -> bool {
    match (a, b) {
        (Value::Constant, Value::Constant) => true,
        (Value::Column(rel, column), Value::Column(other_rel, other)) => (rel, column) == (other_rel, other),
        (Value::Other(a), Value::Other(b)) => pg_sys::equal(a.cast(), b.cast()),
        _ => false,
    }
}

impl Equal {
    unsafe fn class(&self, of: Value) -> Option<usize> {
        self.0.iter().position(|class| class.iter().any(|v| same(*v, of)))
    }

    unsafe fn add(&mut self, a: Value, b: Value) {
        // Constants differ, and are no reason for which two values are equal.
        let known = |equal: &Self, v: Value| if matches!(v, Value::Constant) { None } else { equal.class(v) };
        let mut class = vec![a, b];
        let mut from: Vec<usize> = [known(self, a), known(self, b)].into_iter().flatten().collect();
        from.sort_unstable();
        from.dedup();
        for at in from.into_iter().rev() {
            class.extend(self.0.swap_remove(at));
        }
        self.0.push(class);
    }
}
