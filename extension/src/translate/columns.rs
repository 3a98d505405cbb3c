//! Questions to a finished part of the plan: which columns it puts out, which columns of enclosing queries it uses.

use std::collections::HashSet;
use weir_plan::ir::{AggCall, Bound, ColId, Expr, JoinKind, Rel, SortKey, WindowCall};
use weir_plan::types::PgType;

/// Appends the ids of the columns that a relation puts out.
pub fn output_columns(rel: &Rel, out: &mut Vec<ColId>) {
    let mut columns = Vec::new();
    typed_columns(rel, &mut columns);
    out.extend(columns.into_iter().map(|(id, _)| id));
}

/// Appends the columns that a relation puts out.
pub fn typed_columns(rel: &Rel, out: &mut Vec<(ColId, PgType)>) {
    match rel {
        Rel::OneRow => {}
        Rel::Scan(scan) => out.extend(scan.columns.iter().map(|c| (c.id, c.ty))),
        Rel::Values { columns, .. } => out.extend(columns.iter().copied()),
        Rel::Project { exprs, .. } => out.extend(exprs.iter().map(|e| (e.id, e.expr.ty()))),
        Rel::Filter { input, .. } | Rel::Sort { input, .. } | Rel::Limit { input, .. } | Rel::Distinct { input } | Rel::DistinctOn { input, .. } => {
            typed_columns(input, out);
        }
        Rel::Join(join) => {
            typed_columns(&join.left, out);
            if !matches!(join.kind, JoinKind::Semi | JoinKind::Anti) {
                typed_columns(&join.right, out);
            }
        }
        Rel::Aggregate(agg) => {
            out.extend(agg.groups.iter().map(|g| (g.id, g.expr.ty())));
            out.extend(agg.calls.iter().map(|c| (c.id, c.expr.ty)));
            out.extend(agg.groupings.iter().map(|g| (g.id, PgType::INT4)));
        }
        Rel::Window { input, functions } => {
            typed_columns(input, out);
            out.extend(functions.iter().map(|f| (f.id, f.expr.ty)));
        }
        Rel::Expand(e) => {
            typed_columns(&e.input, out);
            out.extend(e.functions.iter().map(|call| call.value));
            out.extend(e.ordinal.map(|id| (id, PgType::INT8)));
        }
        Rel::SetOp(op) => out.extend(op.columns.iter().map(|(id, _, _, ty)| (*id, *ty))),
        Rel::With { body, .. } => typed_columns(body, out),
        Rel::CteRef { columns, .. } => out.extend(columns.iter().map(|(id, _, ty)| (*id, *ty))),
        Rel::Remote(remote) => out.extend(remote.columns.iter().map(|c| (c.id, c.ty))),
    }
}

/// Whether there is a subquery in an expression. Such an expression must not be cloned: the ids of its columns would occur twice.
pub fn has_subquery(expr: &Expr) -> bool {
    let mut found = matches!(expr, Expr::Exists { .. } | Expr::ScalarSubquery { .. } | Expr::AnySubquery { .. });
    each_child(expr, &mut |child| found = found || has_subquery(child));
    found
}

/// Collects the ids of all columns that an expression uses, of its own query and of enclosing ones, in its subqueries too.
pub fn used_columns(expr: &Expr, out: &mut HashSet<ColId>) {
    if let Expr::Column { id, .. } = expr {
        out.insert(*id);
    }
    outer_in_expr_itself(expr, out);
    each_child(expr, &mut |child| used_columns(child, out));
}

/// Collects the ids of all [`Expr::Outer`] in a relation.
pub fn outer_columns(rel: &Rel, out: &mut HashSet<ColId>) {
    let mut expr = |e: &Expr| outer_in_expr(e, out);
    match rel {
        Rel::OneRow | Rel::Scan(_) | Rel::CteRef { .. } | Rel::Remote(_) => {}
        Rel::Values { rows, .. } => rows.iter().flatten().for_each(expr),
        Rel::Project { input, exprs } => {
            exprs.iter().for_each(|e| expr(&e.expr));
            outer_columns(input, out);
        }
        Rel::Filter { input, predicate } => {
            expr(predicate);
            outer_columns(input, out);
        }
        Rel::Join(join) => {
            join.on.iter().for_each(expr);
            outer_columns(&join.left, out);
            outer_columns(&join.right, out);
        }
        Rel::Aggregate(agg) => {
            agg.groups.iter().for_each(|g| expr(&g.expr));
            agg.calls.iter().for_each(|c| agg_call(&c.expr, &mut expr));
            outer_columns(&agg.input, out);
        }
        Rel::Window { input, functions } => {
            functions.iter().for_each(|f| window_call(&f.expr, &mut expr));
            outer_columns(input, out);
        }
        Rel::Sort { input, keys } => {
            keys.iter().for_each(|k| expr(&k.expr));
            outer_columns(input, out);
        }
        Rel::Limit { input, offset, limit } => {
            offset.iter().chain(limit).for_each(expr);
            outer_columns(input, out);
        }
        Rel::Distinct { input } => outer_columns(input, out),
        Rel::DistinctOn { input, on, keys } => {
            on.iter().chain(keys.iter().map(|k| &k.expr)).for_each(expr);
            outer_columns(input, out);
        }
        Rel::Expand(e) => {
            e.functions.iter().flat_map(|call| &call.args).for_each(expr);
            outer_columns(&e.input, out);
        }
        Rel::SetOp(op) => {
            outer_columns(&op.left, out);
            outer_columns(&op.right, out);
        }
        Rel::With { ctes, body } => {
            ctes.iter().for_each(|(_, cte)| outer_columns(cte, out));
            outer_columns(body, out);
        }
    }
}

fn agg_call(call: &AggCall, f: &mut dyn FnMut(&Expr)) {
    call.direct.iter().chain(&call.args).chain(&call.filter).for_each(&mut *f);
    sort_keys(&call.order_by, f);
}

fn window_call(call: &WindowCall, f: &mut dyn FnMut(&Expr)) {
    call.args.iter().chain(&call.filter).chain(&call.partition_by).for_each(&mut *f);
    sort_keys(&call.order_by, f);
    for bound in [&call.frame.start, &call.frame.end] {
        if let Bound::Preceding(e) | Bound::Following(e) = bound {
            f(e);
        }
    }
}

fn sort_keys(keys: &[SortKey], f: &mut dyn FnMut(&Expr)) {
    keys.iter().for_each(|k| f(&k.expr));
}

/// Whether an expression uses a column of an enclosing query.
pub fn has_outer(expr: &Expr) -> bool {
    let mut found = HashSet::new();
    outer_in_expr(expr, &mut found);
    !found.is_empty()
}

fn outer_in_expr(expr: &Expr, out: &mut HashSet<ColId>) {
    outer_in_expr_itself(expr, out);
    each_child(expr, &mut |child| outer_in_expr(child, out));
}

fn outer_in_expr_itself(expr: &Expr, out: &mut HashSet<ColId>) {
    match expr {
        Expr::Outer { id, .. } => {
            out.insert(*id);
        }
        Expr::Exists { rel } | Expr::ScalarSubquery { rel, .. } | Expr::AnySubquery { rel, .. } => outer_columns(rel, out),
        _ => {}
    }
}

/// Calls `f` for each expression directly below; those in a subquery's relation are not.
fn each_child(expr: &Expr, f: &mut dyn FnMut(&Expr)) {
    match expr {
        Expr::Column { .. } | Expr::Outer { .. } | Expr::Const { .. } | Expr::Param { .. } | Expr::Exists { .. } | Expr::ScalarSubquery { .. } => {}
        Expr::Call { args, .. }
        | Expr::And(args)
        | Expr::Or(args)
        | Expr::Coalesce { args, .. }
        | Expr::Greatest { args, .. }
        | Expr::Least { args, .. }
        | Expr::Array { elements: args, .. } => args.iter().for_each(f),
        Expr::Not(arg)
        | Expr::IsNull(arg)
        | Expr::IsNotNull(arg)
        | Expr::BoolTest { arg, .. }
        | Expr::Relabel { arg, .. }
        | Expr::ViaText { arg, .. }
        | Expr::EnumRank { arg, .. } => f(arg),
        Expr::Case { whens, otherwise, .. } => {
            for (when, then) in whens {
                f(when);
                f(then);
            }
            otherwise.iter().for_each(|e| f(e));
        }
        Expr::NullIf { left, right, .. } | Expr::IsDistinct { left, right, .. } | Expr::AnyArray { left, array: right, .. } => {
            f(left);
            f(right);
        }
        Expr::InList { left, list, .. } => {
            f(left);
            list.iter().for_each(f);
        }
        Expr::AnySubquery { comparisons, .. } => comparisons.iter().for_each(|c| f(&c.left)),
    }
}
