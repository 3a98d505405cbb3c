//! Joins of every kind, with and without equalities.

use super::*;

fn on() -> Option<Expr> {
    Some(eq(c(1), c(102)))
}

#[test]
fn outer_joins_keep_unmatched_rows() {
    assert_eq!(ints(join(JoinKind::Inner, a(0), b(100), on()), &[1, 101]), ["1|1", "1|2", "3|4"]);
    assert_eq!(ints(join(JoinKind::Left, a(0), b(100), on()), &[1, 101]), ["1|1", "1|2", "2|-", "3|4", "4|-", "5|-"]);
    assert_eq!(ints(join(JoinKind::Right, a(0), b(100), on()), &[1, 101]), ["-|3", "1|1", "1|2", "3|4"]);
    assert_eq!(ints(join(JoinKind::Full, a(0), b(100), on()), &[1, 101]), ["-|3", "1|1", "1|2", "2|-", "3|4", "4|-", "5|-"]);
    assert_eq!(ints(join(JoinKind::Semi, a(0), b(100), on()), &[1]), ["1", "3"]);
    assert_eq!(ints(join(JoinKind::Anti, a(0), b(100), on()), &[1]), ["2", "4", "5"]);
    assert_eq!(ints(join(JoinKind::Inner, a(0), b(100), None), &[1, 101]).len(), 20);
}

#[test]
fn conditions_without_equalities() {
    let less = || Some(lt(c(1), c(102)));
    assert_eq!(ints(join(JoinKind::Inner, a(0), b(100), less()), &[1, 101]), ["1|4", "2|4"]);
    assert_eq!(ints(join(JoinKind::Left, a(0), b(100), less()), &[1, 101]), ["1|4", "2|4", "3|-", "4|-", "5|-"]);
    assert_eq!(ints(join(JoinKind::Full, a(0), b(100), less()), &[1, 101]), ["-|1", "-|2", "-|3", "1|4", "2|4", "3|-", "4|-", "5|-"]);
    // A condition on one side only.
    let left_only = Some(Expr::And(vec![eq(c(1), c(102)), gt(c(1), int(1))]));
    assert_eq!(ints(join(JoinKind::Left, a(0), b(100), left_only), &[1, 101]), ["1|-", "2|-", "3|4", "4|-", "5|-"]);
    let never = Some(Expr::Const { value: Scalar::Bool(false), ty: PgType::BOOL });
    assert_eq!(ints(join(JoinKind::Full, nn(0), nn(10), never), &[1, 11]), ["-|10", "-|30", "10|-", "30|-"]);
    assert_eq!(ints(join(JoinKind::Left, nn(0), e(10), None), &[1, 11]), ["10|-", "30|-"]);
}

#[test]
fn floats_and_numerics_as_keys() {
    let floats = call(293, vec![col(6, PgType::FLOAT8), col(106, PgType::FLOAT8)]);
    assert_eq!(ints(join(JoinKind::Inner, a(0), a(100), Some(floats)), &[1, 101]), ["1|1", "1|2", "2|1", "2|2", "3|3", "3|4", "4|3", "4|4"]);
    let numerics = call(1718, vec![col(4, NUMERIC_10_2), col(105, PgType::NUMERIC)]);
    assert_eq!(ints(join(JoinKind::Inner, a(0), a(100), Some(numerics)), &[1, 101]), ["1|1", "1|2", "1|5", "2|3"]);
}

#[test]
fn filters_over_cross_joins_become_equalities() {
    let rel = filter(join(JoinKind::Inner, join(JoinKind::Inner, a(0), b(100), None), nn(200), None), Expr::And(vec![eq(c(1), c(102)), eq(c(103), c(201))]));
    assert_eq!(ints(rel, &[1, 101]), ["1|1"]);
}

fn lateral(kind: JoinKind, left: Rel, right: Rel, on: Option<Expr>) -> Rel {
    Rel::Join(Box::new(Join { kind, left, right, on, lateral: true }))
}

#[test]
fn lateral_joins() {
    let right = || filter(b(100), eq(c(102), outer(1)));
    assert_eq!(ints(lateral(JoinKind::Inner, a(0), right(), None), &[1, 101]), ["1|1", "1|2", "3|4"]);
    assert_eq!(ints(lateral(JoinKind::Left, a(0), right(), None), &[1, 101]), ["1|1", "1|2", "2|-", "3|4", "4|-", "5|-"]);
    // The latest for each row.
    let top =
        Rel::Limit { input: Box::new(sort(right(), vec![SortKey { expr: c(101), descending: true, nulls_first: true }])), offset: None, limit: Some(big(1)) };
    assert_eq!(ints(lateral(JoinKind::Left, a(0), top, Some(Expr::And(vec![]))), &[1, 101]), ["1|2", "2|-", "3|4", "4|-", "5|-"]);
    let counted = aggregate(right(), vec![], vec![(150, count_all())]);
    let rel = lateral(JoinKind::Left, a(0), counted, None);
    assert_eq!(rows(rel, &[(1, PgType::INT4), (150, PgType::INT8)]), ["1|2", "2|0", "3|1", "4|0", "5|0"]);
    // Over a nullable column: NULL is a value of its own.
    let same = project(Rel::OneRow, vec![(150, outer(2))]);
    assert_eq!(ints(lateral(JoinKind::Inner, a(0), same, None), &[1, 150]), ["1|10", "2|20", "3|-", "4|10", "5|-"]);
}

#[test]
fn lateral_of_lateral() {
    let inner = lateral(JoinKind::Inner, filter(b(100), eq(c(102), outer(1))), project(Rel::OneRow, vec![(150, outer(103)), (151, outer(2))]), None);
    let rel = lateral(JoinKind::Left, a(0), inner, None);
    assert_eq!(ints(rel, &[1, 150, 151]), ["1|10|10", "1|11|10", "2|-|-", "3|-|-", "4|-|-", "5|-|-"]);
}

#[test]
fn subqueries_in_the_condition_of_an_outer_join() {
    let with = |e| Some(Expr::And(vec![eq(c(1), c(102)), e]));
    // Of the left side, of the right side, of none.
    let mine = exists(filter(nn(200), eq(c(201), outer(2))));
    assert_eq!(ints(join(JoinKind::Left, a(0), b(100), with(mine)), &[1, 101]), ["1|1", "1|2", "2|-", "3|-", "4|-", "5|-"]);
    let yours = quantified(65, true, c(103), nn(200), 201);
    assert_eq!(ints(join(JoinKind::Left, a(0), b(100), with(yours)), &[1, 101]), ["1|1", "2|-", "3|-", "4|-", "5|-"]);
    let count = scalar(aggregate(nn(200), vec![], vec![(250, count_all())]), 250, PgType::INT8);
    assert_eq!(ints(join(JoinKind::Full, a(0), b(100), with(call(467, vec![count, big(2)]))), &[1, 101]).len(), 7);
}
