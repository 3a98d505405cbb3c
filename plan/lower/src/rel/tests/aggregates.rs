//! Groups, grouping sets, DISTINCT.

use super::*;

#[test]
fn groups_and_empty_input() {
    let calls = || vec![(20, count_all()), (21, sum(c(1)))];
    let by_x = aggregate(a(0), vec![(30, c(2))], calls());
    assert_eq!(rows(by_x, &[(30, PgType::INT4), (20, PgType::INT8), (21, PgType::INT8)]), ["-|2|8", "10|2|5", "20|1|2"]);
    let none = filter(a(0), lt(c(1), int(0)));
    assert_eq!(rows(aggregate(none.clone(), vec![], calls()), &[(20, PgType::INT8), (21, PgType::INT8)]), ["0|-"]);
    assert_eq!(rows(aggregate(none, vec![(30, c(2))], calls()), &[(20, PgType::INT8)]).len(), 0);
    // No call at all: GROUP BY () HAVING.
    assert_eq!(rows(project(aggregate(a(0), vec![], vec![]), vec![(9, int(7))]), &[(9, PgType::INT4)]), ["7"]);
    // The same group twice.
    let twice = aggregate(a(0), vec![(30, c(2)), (31, c(2))], vec![(20, count_all())]);
    assert_eq!(rows(twice, &[(30, PgType::INT4), (31, PgType::INT4), (20, PgType::INT8)]), ["-|-|2", "10|10|2", "20|20|1"]);
}

#[test]
fn filter_and_distinct_inside_calls() {
    let filtered = AggCall { filter: Some(gt(c(1), int(1))), ..count_all() };
    let distinct = AggCall { distinct: true, ..agg(2147, vec![c(2)], PgType::INT8) };
    let distinct_sum = AggCall { distinct: true, ..sum(c(2)) };
    let rel = aggregate(a(0), vec![], vec![(20, filtered), (21, distinct), (22, distinct_sum), (23, agg(2147, vec![c(2)], PgType::INT8))]);
    assert_eq!(rows(rel, &[(20, PgType::INT8), (21, PgType::INT8), (22, PgType::INT8), (23, PgType::INT8)]), ["4|2|30|3"]);
}

#[test]
fn groups_by_what_postgres_calls_equal() {
    let by_float = aggregate(a(0), vec![(30, col(6, PgType::FLOAT8))], vec![(20, count_all())]);
    assert_eq!(rows(by_float, &[(20, PgType::INT8)]), ["1", "2", "2"]);
    let by_interval = aggregate(a(0), vec![(30, col(7, PgType::INTERVAL))], vec![(20, count_all())]);
    assert_eq!(rows(by_interval, &[(20, PgType::INT8)]), ["1", "1", "3"]);
    let by_numeric = aggregate(a(0), vec![(30, col(5, PgType::NUMERIC))], vec![(20, count_all())]);
    assert_eq!(rows(by_numeric.clone(), &[(20, PgType::INT8)]), ["1", "1", "3"]);
    assert_eq!(refusal_of(by_numeric, &[(30, PgType::NUMERIC)]), WRITTEN_DIFFERENTLY);
}

fn sets(input: Rel, sets: Vec<Vec<usize>>) -> Rel {
    Rel::Aggregate(Box::new(Aggregate {
        input,
        groups: vec![named(30, c(2)), named(31, col(3, PgType::TEXT))],
        grouping_sets: Some(sets),
        calls: vec![named(20, count_all()), named(21, sum(c(1)))],
        groupings: vec![named(40, vec![0, 1]), named(41, vec![1])],
    }))
}

const SET_OUTPUT: &[(u32, PgType)] = &[(30, PgType::INT4), (31, PgType::TEXT), (20, PgType::INT8), (21, PgType::INT8), (40, PgType::INT4), (41, PgType::INT4)];

#[test]
fn rollup() {
    let rel = sets(a(0), vec![vec![0, 1], vec![0], vec![]]);
    assert_eq!(
        rows(rel, SET_OUTPUT),
        ["-|-|1|3|0|0", "-|-|2|8|1|1", "-|-|5|15|3|1", "-|z|1|5|0|0", "10|-|2|5|1|1", "10|x|2|5|0|0", "20|-|1|2|1|1", "20|y|1|2|0|0"]
    );
}

#[test]
fn the_empty_grouping_set_has_a_row_without_input() {
    let none = filter(a(0), lt(c(1), int(0)));
    assert_eq!(rows(sets(none.clone(), vec![vec![0, 1], vec![0], vec![]]), SET_OUTPUT), ["-|-|0|-|3|1"]);
    assert_eq!(rows(sets(none.clone(), vec![vec![0, 1]]), SET_OUTPUT).len(), 0);
    assert_eq!(rows(sets(none, vec![vec![]]), SET_OUTPUT), ["-|-|0|-|3|1"]);
    assert_eq!(rows(sets(a(0), vec![vec![]]), SET_OUTPUT), ["-|-|5|15|3|1"]);
}

#[test]
fn a_grouping_set_given_twice_has_its_rows_twice() {
    let rel = sets(a(0), vec![vec![0], vec![], vec![0], vec![1, 1]]);
    assert_eq!(
        rows(rel, SET_OUTPUT),
        [
            "-|-|1|3|2|0",
            "-|-|2|8|1|1",
            "-|-|2|8|1|1",
            "-|-|5|15|3|1",
            "-|x|2|5|2|0",
            "-|y|1|2|2|0",
            "-|z|1|5|2|0",
            "10|-|2|5|1|1",
            "10|-|2|5|1|1",
            "20|-|1|2|1|1",
            "20|-|1|2|1|1"
        ]
    );
    let none = filter(a(0), lt(c(1), int(0)));
    assert_eq!(rows(sets(none, vec![vec![], vec![]]), SET_OUTPUT), ["-|-|0|-|3|1", "-|-|0|-|3|1"]);
}

#[test]
fn grouping_sets_over_floats_and_dynamic_numerics() {
    let rel = Rel::Aggregate(Box::new(Aggregate {
        input: a(0),
        groups: vec![named(30, col(5, PgType::NUMERIC)), named(31, col(6, PgType::FLOAT8))],
        grouping_sets: Some(vec![vec![0], vec![1], vec![]]),
        calls: vec![named(20, count_all())],
        groupings: vec![],
    }));
    let output = [(30, PgType::NUMERIC), (20, PgType::INT8)];
    assert_eq!(refusal_of(rel.clone(), &output), WRITTEN_DIFFERENTLY);
    assert_eq!(refusal_of(rel.clone(), &[(31, PgType::FLOAT8)]), WRITTEN_DIFFERENTLY);
    assert_eq!(
        rows(project(rel, vec![(1, Expr::IsNull(Box::new(col(30, PgType::NUMERIC)))), (3, col(20, PgType::INT8))]), &[(1, PgType::BOOL), (3, PgType::INT8)]),
        ["false|1", "false|3", "true|1", "true|1", "true|2", "true|2", "true|5"]
    );
}

#[test]
fn distinct_rows() {
    let distinct = |exprs| Rel::Distinct { input: Box::new(project(a(0), exprs)) };
    assert_eq!(ints(distinct(vec![(20, c(2))]), &[20]), ["-", "10", "20"]);
    // 1, 1.0 and 1.00, or 0 and -0, are one value: which of them is shown is not determined.
    for (id, ty) in [(5, PgType::NUMERIC), (6, PgType::FLOAT8)] {
        assert_eq!(count_of(distinct(vec![(20, col(id, ty))])), "3");
        assert_eq!(refusal_of(distinct(vec![(20, col(id, ty))]), &[(20, ty)]), WRITTEN_DIFFERENTLY);
    }
}

#[test]
fn distinct_on_takes_the_first() {
    let keys = vec![key(c(2)), SortKey { expr: c(1), descending: true, nulls_first: true }];
    let rel = Rel::DistinctOn { input: Box::new(a(0)), on: vec![c(2)], keys };
    assert_eq!(ordered(rel, &[2, 1]), ["10|4", "20|2", "-|5"]);
}

#[test]
fn sums_of_numeric() {
    let rel = aggregate(
        a(0),
        vec![],
        vec![(20, agg(2114, vec![col(4, NUMERIC_10_2)], PgType::NUMERIC)), (21, agg(2114, vec![col(5, PgType::NUMERIC)], PgType::NUMERIC))],
    );
    assert_eq!(rows(rel, &[(20, PgType::NUMERIC), (21, PgType::NUMERIC)]), ["2.50|5.50"]);
}
