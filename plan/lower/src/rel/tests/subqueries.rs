//! EXISTS, IN and its relatives, scalar subqueries: NULLs on either side, in filters and elsewhere.

use super::*;

/// a.x: 10 20 NULL 10 NULL.
fn in_filter(e: Expr) -> Vec<String> {
    ints(filter(a(0), e), &[1])
}

/// The truth value for each row of a.
fn truth(e: Expr) -> Vec<String> {
    rows(project(a(0), vec![(1, c(1)), (90, e)]), &[(1, PgType::INT4), (90, PgType::BOOL)])
        .iter()
        .map(|r| r.split('|').nth(1).unwrap_or("").to_owned())
        .collect()
}

fn any(left: Expr, rel: Rel, column: u32) -> Expr {
    quantified(65, true, left, rel, column)
}

const NONE: [&str; 0] = [];

#[test]
fn in_and_not_in() {
    // b.y: 10 11 12 NULL
    assert_eq!(in_filter(any(c(2), b(100), 103)), ["1", "4"]);
    assert_eq!(in_filter(not(any(c(2), b(100), 103))), NONE);
    assert_eq!(truth(any(c(2), b(100), 103)), ["true", "-", "-", "true", "-"]);
    assert_eq!(truth(not(any(c(2), b(100), 103))), ["false", "-", "-", "false", "-"]);
    // Without NULLs on the right: 10 30
    assert_eq!(in_filter(not(any(c(2), nn(100), 101))), ["2"]);
    assert_eq!(truth(any(c(2), nn(100), 101)), ["true", "false", "-", "true", "-"]);
    // Without NULLs on either side.
    assert_eq!(in_filter(not(any(c(1), nn(100), 101))).len(), 5);
    assert_eq!(truth(any(c(1), nn(100), 101)), ["false"; 5]);
    // Nothing on the right: even NULL is not in it.
    assert_eq!(in_filter(any(c(2), e(100), 101)), NONE);
    assert_eq!(in_filter(not(any(c(2), e(100), 101))).len(), 5);
    assert_eq!(truth(any(c(2), e(100), 101)), ["false"; 5]);
}

#[test]
fn other_comparisons() {
    // x > ANY / ALL (10, 30); y has a NULL.
    assert_eq!(in_filter(quantified(147, true, c(2), nn(100), 101)), ["2"]);
    assert_eq!(in_filter(quantified(66, false, c(2), nn(100), 101)), NONE);
    assert_eq!(in_filter(quantified(149, false, c(2), nn(100), 101)), ["1", "4"]);
    assert_eq!(in_filter(not(quantified(147, true, c(2), nn(100), 101))), ["1", "4"]);
    assert_eq!(in_filter(not(quantified(149, false, c(2), nn(100), 101))), ["2"]);
    assert_eq!(in_filter(quantified(149, false, c(2), e(100), 101)).len(), 5);
    assert_eq!(truth(quantified(149, false, c(2), e(100), 101)), ["true"; 5]);
    assert_eq!(truth(quantified(147, true, c(2), b(100), 103)), ["-", "true", "-", "-", "-"]);
    assert_eq!(truth(quantified(66, false, c(2), b(100), 103)), ["false", "false", "-", "false", "-"]);
    // <> ALL is NOT IN.
    assert_eq!(in_filter(quantified(144, false, c(2), b(100), 103)), NONE);
    assert_eq!(in_filter(quantified(144, false, c(2), nn(100), 101)), ["2"]);
}

#[test]
fn under_or_and_case() {
    let or = Expr::Or(vec![any(c(2), b(100), 103), eq(c(1), int(2))]);
    assert_eq!(in_filter(or), ["1", "2", "4"]);
    let case = Expr::Case { whens: vec![(any(c(2), b(100), 103), int(1))], otherwise: Some(Box::new(int(0))), ty: PgType::INT4 };
    assert_eq!(ints(project(a(0), vec![(1, c(1)), (90, case)]), &[1, 90]), ["1|1", "2|0", "3|0", "4|1", "5|0"]);
}

#[test]
fn rows_compared() {
    // (id, x) IN (select a_id, y): (1,10) matches; (3, NULL) is unknown against (3, NULL) and (NULL, 12).
    let pair = || {
        let comparison = |left, column| SubqueryComparison { func: 65, left, column: ColId(column), column_ty: PgType::INT4, collation: Collation::None };
        Expr::AnySubquery { any: true, comparisons: vec![comparison(c(1), 102), comparison(c(2), 103)], rel: Box::new(b(100)) }
    };
    assert_eq!(in_filter(pair()), ["1"]);
    // (NULL, 12) makes every row unknown except those whose x is neither 12 nor NULL.
    assert_eq!(in_filter(not(pair())), ["2", "4"]);
    assert_eq!(truth(pair()), ["true", "false", "-", "false", "-"]);
}

#[test]
fn exists_without_correlation() {
    assert_eq!(in_filter(exists(b(100))).len(), 5);
    assert_eq!(in_filter(exists(e(100))), NONE);
    assert_eq!(in_filter(not(exists(b(100)))), NONE);
    assert_eq!(in_filter(not(exists(e(100)))).len(), 5);
    assert_eq!(truth(exists(e(100))), ["false"; 5]);
    assert_eq!(truth(exists(b(100))), ["true"; 5]);
    assert_eq!(in_filter(exists(aggregate(e(100), vec![], vec![(150, count_all())]))).len(), 5);
    assert_eq!(in_filter(exists(Rel::Limit { input: Box::new(b(100)), offset: None, limit: Some(big(0)) })), NONE);
    assert_eq!(in_filter(exists(Rel::Limit { input: Box::new(b(100)), offset: Some(big(4)), limit: None })), NONE);
}

#[test]
fn scalar_subqueries() {
    let maximum = |rel, id| aggregate(rel, vec![], vec![(150, agg(2116, vec![c(id)], PgType::INT4))]);
    assert_eq!(in_filter(gt(c(2), scalar(maximum(b(100), 103), 150, PgType::INT4))), ["2"]);
    let value = |rel: Rel, id| project(a(0), vec![(1, c(1)), (90, scalar(rel, id, PgType::INT4))]);
    assert_eq!(ints(value(maximum(e(100), 101), 150), &[1, 90]), ["1|-", "2|-", "3|-", "4|-", "5|-"]);
    assert_eq!(ints(value(e(100), 101), &[1, 90]), ["1|-", "2|-", "3|-", "4|-", "5|-"]);
    assert_eq!(ints(value(filter(b(100), eq(c(101), int(2))), 103), &[1, 90]), ["1|11", "2|11", "3|11", "4|11", "5|11"]);
    assert_eq!(error_of(value(b(100), 103), &[1, 90]), "21000");
    let numeric = scalar(filter(a(100), eq(c(101), int(2))), 105, PgType::NUMERIC);
    assert_eq!(rows(project(Rel::OneRow, vec![(90, numeric)]), &[(90, PgType::NUMERIC)]), ["1.00"]);
}

#[test]
fn subqueries_in_other_places() {
    let count = || scalar(aggregate(b(100), vec![], vec![(150, count_all())]), 150, PgType::INT8);
    let values = Rel::Values { columns: vec![(ColId(1), PgType::INT8)], rows: vec![vec![count()], vec![big(9)]] };
    assert_eq!(rows(values, &[(1, PgType::INT8)]), ["4", "9"]);
    let grouped = aggregate(a(0), vec![(30, exists(e(100)))], vec![(20, AggCall { filter: Some(any(c(2), b(200), 203)), ..count_all() })]);
    assert_eq!(rows(grouped, &[(30, PgType::BOOL), (20, PgType::INT8)]), ["false|2"]);
    let sorted = sort(a(0), vec![key(scalar(aggregate(filter(b(100), eq(c(102), outer(1))), vec![], vec![(150, count_all())]), 150, PgType::INT8)), key(c(1))]);
    assert_eq!(ordered(sorted, &[1]), ["2", "4", "5", "3", "1"]);
    let joined = join(JoinKind::Inner, a(0), nn(100), Some(Expr::And(vec![eq(c(2), c(101)), exists(filter(b(200), eq(c(202), outer(1))))])));
    assert_eq!(ints(joined, &[1, 101]), ["1|10"]);
}
