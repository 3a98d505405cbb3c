//! Walks over the plan: the direct expressions and inputs of a relation, the direct parts of an expression.

use crate::ir::{Bound, ColId, Expr, Rel, SortKey};

/// Calls `f` for each expression of a relation itself; those of its inputs, and of subqueries within its expressions, are not visited.
pub fn each_expr_mut(rel: &mut Rel, f: &mut dyn FnMut(&mut Expr)) {
    fn keys(keys: &mut [SortKey], f: &mut dyn FnMut(&mut Expr)) {
        keys.iter_mut().for_each(|k| f(&mut k.expr));
    }
    match rel {
        Rel::OneRow | Rel::Scan(_) | Rel::Distinct { .. } | Rel::SetOp(_) | Rel::With { .. } | Rel::CteRef { .. } | Rel::Remote(_) => {}
        Rel::Values { rows, .. } => rows.iter_mut().flatten().for_each(f),
        Rel::Project { exprs, .. } => exprs.iter_mut().for_each(|n| f(&mut n.expr)),
        Rel::Filter { predicate, .. } => f(predicate),
        Rel::Join(join) => join.on.iter_mut().for_each(f),
        Rel::Aggregate(a) => {
            a.groups.iter_mut().for_each(|n| f(&mut n.expr));
            for call in a.calls.iter_mut().map(|n| &mut n.expr) {
                call.direct.iter_mut().chain(&mut call.args).chain(&mut call.filter).for_each(&mut *f);
                keys(&mut call.order_by, f);
            }
        }
        Rel::Window { functions, .. } => {
            for call in functions.iter_mut().map(|n| &mut n.expr) {
                call.args.iter_mut().chain(&mut call.filter).chain(&mut call.partition_by).for_each(&mut *f);
                keys(&mut call.order_by, f);
                for bound in [&mut call.frame.start, &mut call.frame.end] {
                    if let Bound::Preceding(e) | Bound::Following(e) = bound {
                        f(e);
                    }
                }
            }
        }
        Rel::Expand(e) => e.functions.iter_mut().flat_map(|call| &mut call.args).for_each(f),
        Rel::Sort { keys: k, .. } => keys(k, f),
        Rel::Limit { offset, limit, .. } => offset.iter_mut().chain(limit).for_each(f),
        Rel::DistinctOn { on, keys: k, .. } => {
            on.iter_mut().for_each(&mut *f);
            keys(k, f);
        }
    }
}

/// Calls `f` for each direct input of a relation.
pub fn each_input_mut(rel: &mut Rel, f: &mut dyn FnMut(&mut Rel)) {
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
            f(&mut join.left);
            f(&mut join.right);
        }
        Rel::Aggregate(a) => f(&mut a.input),
        Rel::Expand(e) => f(&mut e.input),
        Rel::SetOp(op) => {
            f(&mut op.left);
            f(&mut op.right);
        }
        Rel::With { ctes, body } => {
            ctes.iter_mut().for_each(|(_, r)| f(r));
            f(body);
        }
    }
}

/// Calls `f` for each direct part of an expression; the relation of a subquery is none.
pub fn each_part_mut(expr: &mut Expr, f: &mut dyn FnMut(&mut Expr)) {
    match expr {
        Expr::Column { .. } | Expr::Outer { .. } | Expr::Const { .. } | Expr::Param { .. } | Expr::Exists { .. } | Expr::ScalarSubquery { .. } => {}
        Expr::Call { args, .. }
        | Expr::And(args)
        | Expr::Or(args)
        | Expr::Coalesce { args, .. }
        | Expr::Greatest { args, .. }
        | Expr::Least { args, .. }
        | Expr::Array { elements: args, .. } => args.iter_mut().for_each(f),
        Expr::Not(a)
        | Expr::IsNull(a)
        | Expr::IsNotNull(a)
        | Expr::BoolTest { arg: a, .. }
        | Expr::Relabel { arg: a, .. }
        | Expr::ViaText { arg: a, .. }
        | Expr::EnumRank { arg: a, .. } => f(a),
        Expr::Case { whens, otherwise, .. } => {
            for (when, then) in whens {
                f(when);
                f(then);
            }
            otherwise.iter_mut().for_each(|e| f(e));
        }
        Expr::NullIf { left, right, .. } | Expr::IsDistinct { left, right, .. } | Expr::AnyArray { left, array: right, .. } => {
            f(left);
            f(right);
        }
        Expr::InList { left, list, .. } => {
            f(left);
            list.iter_mut().for_each(f);
        }
        Expr::AnySubquery { comparisons, .. } => comparisons.iter_mut().for_each(|c| f(&mut c.left)),
    }
}

/// The relation of a subquery expression.
pub fn subquery_mut(expr: &mut Expr) -> Option<&mut Rel> {
    match expr {
        Expr::Exists { rel } | Expr::ScalarSubquery { rel, .. } | Expr::AnySubquery { rel, .. } => Some(rel),
        _ => None,
    }
}

/// The columns that a relation puts out.
pub fn output_columns(rel: &Rel, out: &mut Vec<ColId>) {
    match rel {
        Rel::OneRow => {}
        Rel::Scan(scan) => out.extend(scan.columns.iter().map(|c| c.id)),
        Rel::Values { columns, .. } => out.extend(columns.iter().map(|c| c.0)),
        Rel::Project { exprs, .. } => out.extend(exprs.iter().map(|e| e.id)),
        Rel::Filter { input, .. } | Rel::Sort { input, .. } | Rel::Limit { input, .. } | Rel::Distinct { input } | Rel::DistinctOn { input, .. } => {
            output_columns(input, out);
        }
        Rel::Join(join) => {
            output_columns(&join.left, out);
            if !matches!(join.kind, crate::ir::JoinKind::Semi | crate::ir::JoinKind::Anti) {
                output_columns(&join.right, out);
            }
        }
        Rel::Aggregate(a) => {
            out.extend(a.groups.iter().map(|g| g.id));
            out.extend(a.calls.iter().map(|c| c.id));
            out.extend(a.groupings.iter().map(|g| g.id));
        }
        Rel::Window { input, functions } => {
            output_columns(input, out);
            out.extend(functions.iter().map(|f| f.id));
        }
        Rel::Expand(e) => {
            output_columns(&e.input, out);
            out.extend(e.functions.iter().map(|call| call.value.0));
            out.extend(e.ordinal);
        }
        Rel::SetOp(op) => out.extend(op.columns.iter().map(|c| c.0)),
        Rel::With { body, .. } => output_columns(body, out),
        Rel::CteRef { columns, .. } => out.extend(columns.iter().map(|c| c.0)),
        Rel::Remote(remote) => out.extend(remote.columns.iter().map(|c| c.id)),
    }
}
