//! Correlated subqueries of engines that join them: the rows of a subquery are found by an equality with the columns of the enclosing query that it
//! uses, of which none holds for NULL.
//!
//! Invariant: such an engine is asked only where Postgres would not find a row for NULL either. What is declared of a column here binds nobody there,
//! so it is the subquery's own conditions that must tell.

use super::Builder;
use crate::dialect::{Form, Result, Term};
use crate::meaning;
use weir_plan::ir::{BoolTest, ColId, Expr, Join, JoinKind, Rel};
use weir_plan::walk::{each_expr_mut, each_input_mut, each_part_mut, subquery_mut};

impl Builder<'_> {
    /// Whether the engine finds for each row of the enclosing queries the rows of this subquery that Postgres finds.
    pub(super) fn found_by_join(&self, rel: &Rel) -> Result<()> {
        let mut used = Vec::new();
        outer_of(&mut rel.clone(), &mut used);
        used.iter().try_for_each(|id| decided(self.enclosing(*id), || is_empty(rel, *id)))
    }

    /// The same of a semi join, as a subquery about these columns of its left side.
    pub(super) fn semi_found_by_join(&self, join: &Join, left: &[(ColId, Term)]) -> Result<()> {
        let mut used = Vec::new();
        outer_of(&mut join.right.clone(), &mut used);
        if let Some(on) = &join.on {
            used_by(&mut on.clone(), &mut used);
        }
        let own = |id| left.iter().find(|(c, _)| *c == id).map(|(_, t)| t);
        let matches_nothing = |id| is_empty(&join.right, id) || join.on.as_ref().is_some_and(|on| never_true(on, id));
        used.iter().try_for_each(|id| decided(own(*id).or_else(|| self.enclosing(*id)), || matches_nothing(*id)))
    }

    fn enclosing(&self, id: ColId) -> Option<&Term> {
        self.outer.iter().rev().find_map(|scope| scope.iter().find(|(c, _)| *c == id).map(|(_, t)| t))
    }
}

/// `None`: a column of the subquery itself.
fn decided(term: Option<&Term>, empty_for_null: impl Fn() -> bool) -> Result<()> {
    match term.map(|t| &t.form) {
        None | Some(Form::Literal(_)) => Ok(()),
        // Of an expression, its columns would have to be known.
        Some(Form::Column) if empty_for_null() => Ok(()),
        _ => Err("a correlated subquery that NULL may match".into()),
    }
}

/// The columns of enclosing queries that a relation uses, or subqueries in it of each other.
fn outer_of(rel: &mut Rel, out: &mut Vec<ColId>) {
    each_expr_mut(rel, &mut |e| outer_in(e, out));
    each_input_mut(rel, &mut |input| outer_of(input, out));
}

fn outer_in(e: &mut Expr, out: &mut Vec<ColId>) {
    if let Expr::Outer { id, .. } = e {
        out.push(*id);
    }
    if let Some(rel) = subquery_mut(e) {
        outer_of(rel, out);
    }
    each_part_mut(e, &mut |part| outer_in(part, out));
}

/// All columns that a condition and its subqueries use, but for the subqueries' own.
fn used_by(e: &mut Expr, out: &mut Vec<ColId>) {
    if let Expr::Column { id, .. } = e {
        out.push(*id);
    }
    outer_in(e, out);
    each_part_mut(e, &mut |part| used_by(part, out));
}

/// Whether a relation has no row where this column of an enclosing query is NULL, nor has an aggregate of it any to aggregate.
fn is_empty(rel: &Rel, id: ColId) -> bool {
    match rel {
        Rel::Filter { input, predicate } => never_true(predicate, id) || is_empty(input, id),
        Rel::Project { input, .. } | Rel::Sort { input, .. } | Rel::Limit { input, .. } | Rel::Distinct { input } | Rel::DistinctOn { input, .. } => {
            is_empty(input, id)
        }
        Rel::Aggregate(a) => is_empty(&a.input, id),
        Rel::Join(join) => {
            let on = || join.on.as_ref().is_some_and(|on| never_true(on, id));
            match join.kind {
                JoinKind::Inner | JoinKind::Semi => on() || is_empty(&join.left, id) || is_empty(&join.right, id),
                JoinKind::Left | JoinKind::Anti => is_empty(&join.left, id),
                JoinKind::Right => is_empty(&join.right, id),
                JoinKind::Full => is_empty(&join.left, id) && is_empty(&join.right, id),
            }
        }
        _ => false,
    }
}

/// Whether a condition is false or NULL where this column is NULL.
fn never_true(e: &Expr, id: ColId) -> bool {
    match e {
        Expr::And(args) => args.iter().any(|a| never_true(a, id)),
        Expr::Or(args) => args.iter().all(|a| never_true(a, id)),
        Expr::IsNotNull(arg) | Expr::BoolTest { test: BoolTest::IsTrue | BoolTest::IsFalse | BoolTest::IsNotUnknown, arg } => is_null(arg, id),
        Expr::Exists { rel } => !has_row_of_nothing(rel) && is_empty(rel, id),
        Expr::AnySubquery { any: true, comparisons, rel } => comparisons.iter().any(|c| is_null(&c.left, id)) || !has_row_of_nothing(rel) && is_empty(rel, id),
        other => is_null(other, id),
    }
}

/// Whether an expression is NULL where this column is.
fn is_null(e: &Expr, id: ColId) -> bool {
    match e {
        Expr::Column { id: own, .. } | Expr::Outer { id: own, .. } => *own == id,
        Expr::Relabel { arg, .. } | Expr::Not(arg) => is_null(arg, id),
        // All functions with a meaning are strict.
        Expr::Call { func, args, .. } => meaning::scalar(*func).is_some() && args.iter().any(|a| is_null(a, id)),
        Expr::InList { left, list, .. } => !list.is_empty() && is_null(left, id),
        _ => false,
    }
}

/// Whether a subquery has a row, perhaps, though nothing passes its conditions: an aggregate over everything.
pub(super) fn has_row_of_nothing(rel: &Rel) -> bool {
    match rel {
        Rel::Filter { input, .. }
        | Rel::Project { input, .. }
        | Rel::Sort { input, .. }
        | Rel::Limit { input, .. }
        | Rel::Distinct { input }
        | Rel::DistinctOn { input, .. }
        | Rel::Window { input, .. } => has_row_of_nothing(input),
        Rel::Aggregate(a) => match &a.grouping_sets {
            Some(sets) => sets.iter().any(Vec::is_empty),
            None => a.groups.is_empty(),
        },
        Rel::Join(join) => has_row_of_nothing(&join.left) || has_row_of_nothing(&join.right),
        Rel::Scan(_) | Rel::Values { .. } => false,
        _ => true,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use weir_plan::ir::{Collation, Scalar};
    use weir_plan::types::PgType;

    const OUTER: ColId = ColId(1);

    fn own() -> Expr {
        Expr::Column { id: ColId(2), ty: PgType::INT4 }
    }

    fn outer() -> Expr {
        Expr::Outer { id: OUTER, ty: PgType::INT4 }
    }

    fn equal(l: Expr, r: Expr) -> Expr {
        Expr::Call { func: 65, args: vec![l, r], ty: PgType::BOOL, collation: Collation::None }
    }

    #[test]
    fn what_null_may_pass_is_told_from_what_it_never_does() {
        let one = Expr::Const { value: Scalar::Int4(1), ty: PgType::INT4 };
        let coalesced = Expr::Coalesce { args: vec![outer(), one.clone()], ty: PgType::INT4 };
        let distinct = Expr::IsDistinct { func: 65, left: Box::new(own()), right: Box::new(outer()), collation: Collation::None };
        let never = [
            equal(own(), outer()),
            Expr::And(vec![equal(own(), one.clone()), equal(outer(), own())]),
            Expr::Or(vec![equal(own(), outer()), equal(outer(), one.clone())]),
            Expr::Not(Box::new(equal(own(), outer()))),
            Expr::IsNotNull(Box::new(outer())),
            Expr::BoolTest { test: BoolTest::IsFalse, arg: Box::new(equal(own(), outer())) },
            Expr::InList { func: 65, any: true, left: Box::new(outer()), list: vec![own(), one.clone()], collation: Collation::None },
        ];
        for e in &never {
            assert!(never_true(e, OUTER), "{e:?}");
        }
        let perhaps = [
            equal(own(), coalesced),
            equal(own(), one.clone()),
            Expr::Or(vec![equal(own(), outer()), equal(own(), one.clone())]),
            Expr::IsNull(Box::new(outer())),
            Expr::Not(Box::new(distinct.clone())),
            distinct,
            Expr::BoolTest { test: BoolTest::IsNotTrue, arg: Box::new(equal(own(), outer())) },
            Expr::InList { func: 65, any: true, left: Box::new(one), list: vec![own(), outer()], collation: Collation::None },
        ];
        for e in &perhaps {
            assert!(!never_true(e, OUTER), "{e:?}");
        }
    }

    #[test]
    fn only_conditions_that_drop_rows_tell() {
        let scan = || Rel::Values { columns: vec![(ColId(2), PgType::INT4)], rows: Vec::new() };
        let filter = || Rel::Filter { input: Box::new(scan()), predicate: equal(own(), outer()) };
        let join = |kind, left, right, on| Rel::Join(Box::new(Join { kind, left, right, on, lateral: false }));
        assert!(is_empty(&filter(), OUTER));
        assert!(!is_empty(&scan(), OUTER));
        assert!(is_empty(&join(JoinKind::Inner, scan(), scan(), Some(equal(own(), outer()))), OUTER));
        assert!(!is_empty(&join(JoinKind::Left, scan(), scan(), Some(equal(own(), outer()))), OUTER));
        assert!(is_empty(&join(JoinKind::Left, filter(), scan(), None), OUTER));
        assert!(!is_empty(&join(JoinKind::Left, scan(), filter(), None), OUTER));
        assert!(!is_empty(&join(JoinKind::Anti, scan(), filter(), None), OUTER));
    }
}
