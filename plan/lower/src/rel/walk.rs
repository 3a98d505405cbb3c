//! Walks over the plan's expressions and relations.

use std::collections::{HashMap, HashSet};
use weir_plan::ir::{Aggregate, Bound, ColId, CteId, Expr, Join, Rel, SortKey, WindowCall};

/// Calls `f` for an expression and all below it, without going into subqueries' relations.
pub(super) fn expr(e: &Expr, f: &mut impl FnMut(&Expr)) {
    f(e);
    each_child(e, &mut |c| expr(c, f));
}

/// The direct subexpressions.
pub(super) fn each_child(e: &Expr, f: &mut impl FnMut(&Expr)) {
    match e {
        Expr::Column { .. } | Expr::Outer { .. } | Expr::Const { .. } | Expr::Param { .. } | Expr::Exists { .. } | Expr::ScalarSubquery { .. } => {}
        Expr::Call { args, .. }
        | Expr::And(args)
        | Expr::Or(args)
        | Expr::Coalesce { args, .. }
        | Expr::Greatest { args, .. }
        | Expr::Least { args, .. }
        | Expr::Array { elements: args, .. } => args.iter().for_each(f),
        Expr::Not(a)
        | Expr::IsNull(a)
        | Expr::IsNotNull(a)
        | Expr::BoolTest { arg: a, .. }
        | Expr::Relabel { arg: a, .. }
        | Expr::ViaText { arg: a, .. }
        | Expr::EnumRank { arg: a, .. } => f(a),
        Expr::Case { whens, otherwise, .. } => {
            for (c, r) in whens {
                f(c);
                f(r);
            }
            if let Some(o) = otherwise {
                f(o);
            }
        }
        Expr::NullIf { left, right, .. } | Expr::IsDistinct { left, right, .. } => {
            f(left);
            f(right);
        }
        Expr::InList { left, list, .. } => {
            f(left);
            list.iter().for_each(f);
        }
        Expr::AnyArray { left, array, .. } => {
            f(left);
            f(array);
        }
        Expr::AnySubquery { comparisons, .. } => comparisons.iter().for_each(|c| f(&c.left)),
    }
}

/// The expression with each direct subexpression replaced.
pub(super) fn map_children<E>(e: &Expr, f: &mut impl FnMut(&Expr) -> Result<Expr, E>) -> Result<Expr, E> {
    let mut e = e.clone();
    match &mut e {
        Expr::Column { .. } | Expr::Outer { .. } | Expr::Const { .. } | Expr::Param { .. } | Expr::Exists { .. } | Expr::ScalarSubquery { .. } => {}
        Expr::Call { args, .. }
        | Expr::And(args)
        | Expr::Or(args)
        | Expr::Coalesce { args, .. }
        | Expr::Greatest { args, .. }
        | Expr::Least { args, .. }
        | Expr::Array { elements: args, .. } => {
            for a in args {
                *a = f(a)?;
            }
        }
        Expr::Not(a)
        | Expr::IsNull(a)
        | Expr::IsNotNull(a)
        | Expr::BoolTest { arg: a, .. }
        | Expr::Relabel { arg: a, .. }
        | Expr::ViaText { arg: a, .. }
        | Expr::EnumRank { arg: a, .. } => **a = f(a)?,
        Expr::Case { whens, otherwise, .. } => {
            for (c, r) in whens {
                *c = f(c)?;
                *r = f(r)?;
            }
            if let Some(o) = otherwise {
                **o = f(o)?;
            }
        }
        Expr::NullIf { left, right, .. } | Expr::IsDistinct { left, right, .. } => {
            **left = f(left)?;
            **right = f(right)?;
        }
        Expr::InList { left, list, .. } => {
            **left = f(left)?;
            for i in list {
                *i = f(i)?;
            }
        }
        Expr::AnyArray { left, array, .. } => {
            **left = f(left)?;
            **array = f(array)?;
        }
        Expr::AnySubquery { comparisons, .. } => {
            for c in comparisons {
                c.left = f(&c.left)?;
            }
        }
    }
    Ok(e)
}

/// The relation of a subquery expression.
pub(super) fn subquery_rel(e: &Expr) -> Option<&Rel> {
    match e {
        Expr::Exists { rel } | Expr::ScalarSubquery { rel, .. } | Expr::AnySubquery { rel, .. } => Some(rel),
        _ => None,
    }
}

/// The columns that a relation or expression uses and defines.
#[derive(Default)]
pub(super) struct Columns {
    pub used: HashSet<ColId>,
    pub defined: HashSet<ColId>,
    /// Common table expressions used, whose own columns are not counted: how often, and which of their columns.
    pub ctes: HashMap<CteId, (usize, HashSet<ColId>)>,
}

impl Columns {
    pub fn of_rel(rel: &Rel) -> Self {
        let mut c = Columns::default();
        c.add_rel(rel);
        c
    }

    pub fn of_expr(e: &Expr) -> Self {
        let mut c = Columns::default();
        c.expr(e);
        c
    }

    /// Columns of enclosing queries.
    pub fn free(&self) -> impl Iterator<Item = ColId> + '_ {
        self.used.difference(&self.defined).copied()
    }

    fn expr(&mut self, e: &Expr) {
        expr(e, &mut |e| match e {
            Expr::Column { id, .. } | Expr::Outer { id, .. } => {
                self.used.insert(*id);
            }
            other => {
                if let Some(rel) = subquery_rel(other) {
                    self.add_rel(rel);
                }
            }
        });
    }

    fn keys(&mut self, keys: &[SortKey]) {
        keys.iter().for_each(|k| self.expr(&k.expr));
    }

    pub fn add_rel(&mut self, rel: &Rel) {
        each_input(rel, &mut |r| self.add_rel(r));
        match rel {
            Rel::OneRow | Rel::Distinct { .. } | Rel::With { .. } => {}
            Rel::Scan(scan) => self.defined.extend(scan.columns.iter().map(|c| c.id)),
            Rel::Values { columns, rows } => {
                self.defined.extend(columns.iter().map(|c| c.0));
                rows.iter().flatten().for_each(|e| self.expr(e));
            }
            Rel::Project { exprs, .. } => {
                self.defined.extend(exprs.iter().map(|n| n.id));
                exprs.iter().for_each(|n| self.expr(&n.expr));
            }
            Rel::Filter { predicate, .. } => self.expr(predicate),
            Rel::Join(join) => join.on.iter().for_each(|e| self.expr(e)),
            Rel::Aggregate(a) => self.aggregate(a),
            Rel::Window { functions, .. } => {
                self.defined.extend(functions.iter().map(|n| n.id));
                functions.iter().for_each(|n| self.window(&n.expr));
            }
            Rel::Expand(e) => {
                self.defined.extend(e.functions.iter().map(|call| call.value.0));
                self.defined.extend(e.ordinal);
                e.functions.iter().flat_map(|call| &call.args).for_each(|a| self.expr(a));
            }
            Rel::Sort { keys, .. } => self.keys(keys),
            Rel::Limit { offset, limit, .. } => offset.iter().chain(limit).for_each(|e| self.expr(e)),
            Rel::DistinctOn { on, keys, .. } => {
                on.iter().for_each(|e| self.expr(e));
                self.keys(keys);
            }
            Rel::SetOp(op) => self.defined.extend(op.columns.iter().map(|c| c.0)),
            Rel::CteRef { cte, columns } => {
                let (uses, of) = self.ctes.entry(*cte).or_default();
                *uses += 1;
                of.extend(columns.iter().map(|c| c.1));
                self.defined.extend(columns.iter().map(|c| c.0));
            }
            Rel::Remote(remote) => self.defined.extend(remote.columns.iter().map(|c| c.id)),
        }
    }

    fn aggregate(&mut self, a: &Aggregate) {
        self.defined.extend(a.groups.iter().map(|n| n.id));
        self.defined.extend(a.calls.iter().map(|n| n.id));
        self.defined.extend(a.groupings.iter().map(|n| n.id));
        a.groups.iter().for_each(|n| self.expr(&n.expr));
        for c in a.calls.iter().map(|n| &n.expr) {
            c.direct.iter().chain(&c.args).chain(&c.filter).for_each(|e| self.expr(e));
            self.keys(&c.order_by);
        }
    }

    fn window(&mut self, w: &WindowCall) {
        w.args.iter().chain(&w.filter).chain(&w.partition_by).for_each(|e| self.expr(e));
        self.keys(&w.order_by);
        for bound in [&w.frame.start, &w.frame.end] {
            if let Bound::Preceding(e) | Bound::Following(e) = bound {
                self.expr(e);
            }
        }
    }
}

/// The direct inputs of a relation (not those of subqueries in its expressions).
pub(super) fn each_input(rel: &Rel, f: &mut impl FnMut(&Rel)) {
    match rel {
        Rel::OneRow | Rel::Scan(_) | Rel::Values { .. } | Rel::CteRef { .. } | Rel::Remote(_) => {}
        Rel::Project { input, .. }
        | Rel::Filter { input, .. }
        | Rel::Window { input, .. }
        | Rel::Sort { input, .. }
        | Rel::Limit { input, .. }
        | Rel::Distinct { input }
        | Rel::DistinctOn { input, .. } => f(input),
        Rel::Join(join) => {
            let Join { left, right, .. } = join.as_ref();
            f(left);
            f(right);
        }
        Rel::Aggregate(a) => f(&a.input),
        Rel::Expand(e) => f(&e.input),
        Rel::SetOp(op) => {
            f(&op.left);
            f(&op.right);
        }
        Rel::With { ctes, body } => {
            ctes.iter().for_each(|(_, r)| f(r));
            f(body);
        }
    }
}
