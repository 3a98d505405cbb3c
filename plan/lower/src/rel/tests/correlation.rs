//! Correlated subqueries of every shape.

use super::*;

fn in_filter(e: Expr) -> Vec<String> {
    ints(filter(a(0), e), &[1])
}

/// b's rows with a_id = a.id.
fn mine(base: u32) -> Rel {
    filter(b(base), eq(c(base + 2), outer(1)))
}

fn values(e: Expr, ty: PgType) -> Vec<String> {
    rows(project(a(0), vec![(1, c(1)), (90, e)]), &[(1, PgType::INT4), (90, ty)])
}

#[test]
fn exists_by_equality_and_otherwise() {
    assert_eq!(in_filter(exists(mine(100))), ["1", "3"]);
    assert_eq!(in_filter(not(exists(mine(100)))), ["2", "4", "5"]);
    assert_eq!(in_filter(exists(filter(b(100), lt(outer(1), c(102))))), ["1", "2"]);
    assert_eq!(in_filter(not(exists(filter(b(100), Expr::And(vec![eq(c(102), outer(1)), gt(c(103), int(10))]))))), ["2", "3", "4", "5"]);
    assert_eq!(values(exists(mine(100)), PgType::BOOL), ["1|true", "2|false", "3|true", "4|false", "5|false"]);
    // Projections, joins and orders on the way.
    let deep = sort(project(join(JoinKind::Inner, mine(100), nn(200), Some(eq(c(103), c(201)))), vec![(300, int(1))]), vec![key(int(1))]);
    assert_eq!(in_filter(exists(deep)), ["1"]);
}

#[test]
fn exists_over_what_has_to_be_grouped() {
    // Having more than one row.
    let grouped = filter(aggregate(mine(100), vec![(150, c(102))], vec![(151, count_all())]), call(470, vec![col(151, PgType::INT8), big(1)]));
    assert_eq!(in_filter(exists(grouped.clone())), ["1"]);
    assert_eq!(in_filter(not(exists(grouped))), ["2", "3", "4", "5"]);
    let second = Rel::Limit { input: Box::new(mine(100)), offset: Some(big(1)), limit: None };
    assert_eq!(in_filter(exists(second)), ["1"]);
}

#[test]
fn correlated_in() {
    let any = |left, rel, column| quantified(65, true, left, rel, column);
    assert_eq!(in_filter(any(c(2), mine(100), 103)), ["1"]);
    // a 1: 10 in (10,11); 2: nothing; 3: NULL in (NULL); 4, 5: nothing.
    assert_eq!(in_filter(not(any(c(2), mine(100), 103))), ["2", "4", "5"]);
    assert_eq!(values(any(c(2), mine(100), 103), PgType::BOOL), ["1|true", "2|false", "3|-", "4|false", "5|false"]);
    assert_eq!(in_filter(quantified(66, false, c(1), mine(100), 103)), ["1", "2", "4", "5"]);
    // The subquery's column depends on the outer row.
    let same = project(nn(100), vec![(150, outer(2))]);
    assert_eq!(in_filter(any(c(2), same, 150)), ["1", "2", "4"]);
}

#[test]
fn aggregates_over_nothing() {
    let of = |call, ty| scalar(aggregate(mine(100), vec![], vec![(150, call)]), 150, ty);
    assert_eq!(values(of(count_all(), PgType::INT8), PgType::INT8), ["1|2", "2|0", "3|1", "4|0", "5|0"]);
    assert_eq!(values(of(sum(c(103)), PgType::INT8), PgType::INT8), ["1|21", "2|-", "3|-", "4|-", "5|-"]);
    // An expression of the aggregate is computed over nothing too, with outer columns.
    let expr = |e| scalar(project(aggregate(mine(100), vec![], vec![(150, sum(c(103))), (152, count_all())]), vec![(151, e)]), 151, PgType::INT8);
    let coalesce = Expr::Coalesce { args: vec![col(150, PgType::INT8), big(-1)], ty: PgType::INT8 };
    assert_eq!(values(expr(coalesce), PgType::INT8), ["1|21", "2|-1", "3|-1", "4|-1", "5|-1"]);
    let outer_too = Expr::Call { func: 1278, args: vec![col(152, PgType::INT8), outer(1)], ty: PgType::INT8, collation: Collation::None };
    assert_eq!(values(expr(outer_too), PgType::INT8), ["1|3", "2|2", "3|4", "4|4", "5|5"]);
}

#[test]
fn aggregates_that_need_the_domain() {
    // Not an equality; a nullable outer column.
    let less = filter(b(100), lt(c(103), outer(2)));
    let counted = scalar(aggregate(less, vec![], vec![(150, count_all())]), 150, PgType::INT8);
    assert_eq!(values(counted.clone(), PgType::INT8), ["1|0", "2|3", "3|0", "4|0", "5|0"]);
    assert_eq!(in_filter(call(467, vec![counted, big(3)])), ["2"]);
    // Outer columns inside the aggregate.
    let shifted =
        aggregate(mine(100), vec![], vec![(150, sum(Expr::Call { func: 177, args: vec![c(103), outer(2)], ty: PgType::INT4, collation: Collation::None }))]);
    assert_eq!(values(scalar(shifted, 150, PgType::INT8), PgType::INT8), ["1|41", "2|-", "3|-", "4|-", "5|-"]);
}

#[test]
fn one_row_or_an_error() {
    let value = |rel| scalar(rel, 103, PgType::INT4);
    assert_eq!(values(value(filter(b(100), eq(c(101), outer(1)))), PgType::INT4), ["1|10", "2|11", "3|12", "4|-", "5|-"]);
    assert_eq!(error_of(project(a(0), vec![(90, value(mine(100)))]), &[90]), "21000");
    // Only the rows that are asked for count.
    assert_eq!(ints(project(filter(a(0), gt(c(1), int(1))), vec![(1, c(1)), (90, value(mine(100)))]), &[1, 90]), ["2|-", "3|-", "4|-", "5|-"]);
    let first = Rel::Limit {
        input: Box::new(sort(mine(100), vec![SortKey { expr: c(103), descending: true, nulls_first: false }])),
        offset: None,
        limit: Some(big(1)),
    };
    assert_eq!(values(value(first), PgType::INT4), ["1|11", "2|-", "3|-", "4|-", "5|-"]);
}

#[test]
fn set_operations_windows_distinct() {
    let set = |kind, all| {
        Rel::SetOp(Box::new(SetOp {
            kind,
            all,
            left: mine(100),
            right: project(nn(200), vec![(250, outer(2))]),
            columns: vec![(ColId(300), ColId(103), ColId(250), PgType::INT4)],
            recursion: None,
        }))
    };
    let count = |rel| scalar(aggregate(rel, vec![], vec![(350, count_all())]), 350, PgType::INT8);
    assert_eq!(values(count(set(SetOpKind::Union, true)), PgType::INT8), ["1|4", "2|2", "3|3", "4|2", "5|2"]);
    assert_eq!(values(count(set(SetOpKind::Union, false)), PgType::INT8), ["1|2", "2|1", "3|1", "4|1", "5|1"]);
    assert_eq!(values(count(set(SetOpKind::Except, false)), PgType::INT8), ["1|1", "2|0", "3|0", "4|0", "5|0"]);
    assert_eq!(values(count(set(SetOpKind::Intersect, true)), PgType::INT8), ["1|1", "2|0", "3|1", "4|0", "5|0"]);
    let distinct = Rel::Distinct { input: Box::new(project(mine(100), vec![(150, c(102))])) };
    assert_eq!(values(count(distinct), PgType::INT8), ["1|1", "2|0", "3|1", "4|0", "5|0"]);
    let frame = Frame { units: FrameUnits::Range, start: Bound::UnboundedPreceding, end: Bound::CurrentRow, exclude: Exclude::NoOthers };
    let number = WindowCall { func: 3100, args: vec![], filter: None, partition_by: vec![], order_by: vec![key(c(101))], frame, ty: PgType::INT8 };
    let numbered = filter(Rel::Window { input: Box::new(mine(100)), functions: vec![named(150, number)] }, call(467, vec![col(150, PgType::INT8), big(2)]));
    assert_eq!(values(scalar(numbered, 103, PgType::INT4), PgType::INT4), ["1|11", "2|-", "3|-", "4|-", "5|-"]);
}

#[test]
fn joins_inside_and_two_levels_out() {
    let left = join(JoinKind::Left, mine(100), nn(200), Some(eq(c(103), c(201))));
    let count = |rel, call| scalar(aggregate(rel, vec![], vec![(350, call)]), 350, PgType::INT8);
    assert_eq!(values(count(left, agg(2147, vec![c(201)], PgType::INT8)), PgType::INT8), ["1|1", "2|0", "3|0", "4|0", "5|0"]);
    let right = join(JoinKind::Left, nn(200), mine(100), Some(eq(c(103), c(201))));
    assert_eq!(values(count(right, count_all()), PgType::INT8), ["1|2", "2|2", "3|2", "4|2", "5|2"]);
    // A subquery of a subquery that looks at the outermost row.
    let inner = exists(filter(nn(200), Expr::And(vec![eq(c(201), outer(103)), eq(c(201), outer(2))])));
    assert_eq!(values(count(filter(mine(100), inner.clone()), count_all()), PgType::INT8), ["1|1", "2|0", "3|0", "4|0", "5|0"]);
    assert_eq!(in_filter(exists(filter(b(100), inner))), ["1", "4"]);
    let inner_scalar = scalar(aggregate(filter(nn(200), eq(c(201), outer(2))), vec![], vec![(250, count_all())]), 250, PgType::INT8);
    assert_eq!(in_filter(exists(filter(mine(100), call(467, vec![inner_scalar, big(1)])))), ["1"]);
}

#[test]
fn rows_that_are_not_determined_are_computed_once() {
    let limited = Rel::Limit { input: Box::new(a(0)), offset: None, limit: Some(big(3)) };
    let less = scalar(aggregate(filter(b(100), lt(c(102), outer(1))), vec![], vec![(150, count_all())]), 150, PgType::INT8);
    assert_eq!(rows(project(limited, vec![(90, less)]), &[(90, PgType::INT8)]).len(), 3);
}
