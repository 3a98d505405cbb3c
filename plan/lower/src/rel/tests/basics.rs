//! Scans, projections, expressions, order, limits.

use super::*;

#[test]
fn filters_keep_only_what_is_true() {
    assert_eq!(ints(filter(a(0), eq(c(2), int(10))), &[1]), ["1", "4"]);
    assert_eq!(ints(filter(a(0), not(eq(c(2), int(10)))), &[1]), ["2"]);
    assert_eq!(ints(filter(a(0), Expr::IsNull(Box::new(c(2)))), &[1]), ["3", "5"]);
    let or = Expr::Or(vec![eq(c(2), int(20)), eq(c(1), int(3))]);
    assert_eq!(ints(filter(a(0), Expr::And(vec![or, lt(c(1), int(3))])), &[1]), ["2"]);
    let unknown = Expr::BoolTest { test: BoolTest::IsUnknown, arg: Box::new(eq(c(2), int(10))) };
    assert_eq!(ints(filter(a(0), unknown), &[1]), ["3", "5"]);
    let not_true = Expr::BoolTest { test: BoolTest::IsNotTrue, arg: Box::new(eq(c(2), int(10))) };
    assert_eq!(ints(filter(a(0), not_true), &[1]), ["2", "3", "5"]);
}

#[test]
fn sort_follows_nulls_and_direction() {
    let keys = vec![SortKey { expr: c(2), descending: true, nulls_first: true }, key(c(1))];
    assert_eq!(ordered(sort(a(0), keys), &[1]), ["3", "5", "2", "1", "4"]);
    assert_eq!(ordered(sort(a(0), vec![key(c(2)), SortKey { expr: c(1), descending: true, nulls_first: false }]), &[1]), ["4", "1", "2", "5", "3"]);
    // NaN is the largest, whatever its sign; -0 equals 0.
    let by_float = vec![key(col(6, PgType::FLOAT8)), SortKey { expr: c(1), descending: true, nulls_first: false }];
    assert_eq!(ordered(sort(a(0), by_float), &[1]), ["2", "1", "4", "3", "5"]);
    let by_interval = vec![key(col(7, PgType::INTERVAL)), key(c(1))];
    assert_eq!(ordered(sort(a(0), by_interval), &[1]), ["4", "1", "2", "5", "3"]);
}

fn limited(offset: Option<Expr>, limit: Option<Expr>) -> Rel {
    Rel::Limit { input: Box::new(sort(a(0), vec![key(c(1))])), offset, limit }
}

#[test]
fn limit_and_offset() {
    assert_eq!(ordered(limited(Some(big(1)), Some(big(2))), &[1]), ["2", "3"]);
    assert_eq!(ordered(limited(None, Some(null(PgType::INT8))), &[1]).len(), 5);
    assert_eq!(ordered(limited(Some(null(PgType::INT8)), Some(big(0))), &[1]).len(), 0);
    assert_eq!(error_of(limited(Some(big(-1)), None), &[1]), "2201X");
    assert_eq!(error_of(limited(None, Some(big(-1))), &[1]), "2201W");
    let param = Expr::Param { index: 0, ty: PgType::INT8 };
    let got = run_with(limited(None, Some(param)), &[(1, PgType::INT4)], &[(Scalar::Int8(3), PgType::INT8)]);
    assert_eq!(got.expect("runs"), ["1", "2", "3"]);
}

#[test]
fn parameters_are_constants() {
    let x = Expr::Param { index: 0, ty: PgType::INT4 };
    let n = Expr::Param { index: 1, ty: PgType::NUMERIC };
    let rel = project(filter(a(0), eq(c(1), x)), vec![(20, n)]);
    let params = [(Scalar::Int4(2), PgType::INT4), (Scalar::Numeric("-1.250".into()), PgType::NUMERIC)];
    assert_eq!(run_with(rel, &[(20, PgType::NUMERIC)], &params).expect("runs"), ["-1.250"]);
}

#[test]
fn constants_of_numeric_keep_their_scale() {
    for text in ["0", "0.00", "-12.50", "0.0001", "123456789012345678901234567890123456789012345.5", "1000"] {
        assert_eq!(run(project(Rel::OneRow, vec![(1, num(text))]), &[(1, PgType::NUMERIC)]).expect("runs"), [text]);
    }
    assert!(run(project(Rel::OneRow, vec![(1, num("NaN"))]), &[(1, PgType::NUMERIC)]).is_err());
}

#[test]
fn numerics_of_different_scales_meet() {
    let case = Expr::Case { whens: vec![(eq(c(2), int(10)), col(4, NUMERIC_10_2))], otherwise: Some(Box::new(num("0"))), ty: PgType::NUMERIC };
    assert_eq!(rows(project(a(0), vec![(20, case)]), &[(20, PgType::NUMERIC)]), ["-1.00", "0", "0", "0", "1.00"]);
    let coalesce = Expr::Coalesce { args: vec![col(5, PgType::NUMERIC), col(4, NUMERIC_10_2), num("7")], ty: PgType::NUMERIC };
    assert_eq!(rows(project(a(0), vec![(20, coalesce)]), &[(20, PgType::NUMERIC)]), ["-1.00", "1", "1.0", "1.00", "2.5"]);
    let greatest = Expr::Greatest { args: vec![col(5, PgType::NUMERIC), col(4, NUMERIC_10_2)], ty: PgType::NUMERIC, collation: Collation::None };
    assert_eq!(
        rows(project(a(0), vec![(1, c(1)), (20, greatest)]), &[(1, PgType::INT4), (20, PgType::NUMERIC)]),
        ["1|1.0", "2|2.50", "3|2.5", "4|-1.00", "5|1"]
    );
}

#[test]
fn case_does_not_evaluate_other_branches() {
    // int4div by zero is an error.
    let div = |l, r| Expr::Call { func: 154, args: vec![l, r], ty: PgType::INT4, collation: Collation::None };
    let zero = || Expr::Call { func: 181, args: vec![c(1), int(1)], ty: PgType::INT4, collation: Collation::None };
    let case = Expr::Case { whens: vec![(gt(zero(), int(0)), div(int(12), zero()))], otherwise: Some(Box::new(int(-1))), ty: PgType::INT4 };
    assert_eq!(ints(project(a(0), vec![(20, case)]), &[20]), ["-1", "12", "3", "4", "6"]);
}

#[test]
fn nullif_distinct_greatest() {
    let nullif = Expr::NullIf { func: 65, left: Box::new(c(2)), right: Box::new(int(10)), ty: PgType::INT4, collation: Collation::None };
    assert_eq!(ints(project(a(0), vec![(20, nullif)]), &[20]), ["-", "-", "-", "-", "20"]);
    let distinct = |l, r| Expr::IsDistinct { func: 65, left: Box::new(l), right: Box::new(r), collation: Collation::None };
    assert_eq!(ints(filter(a(0), distinct(c(2), int(10))), &[1]), ["2", "3", "5"]);
    assert_eq!(ints(filter(a(0), not(distinct(c(2), null(PgType::INT4)))), &[1]), ["3", "5"]);
    let least = Expr::Least { args: vec![c(2), int(15)], ty: PgType::INT4, collation: Collation::None };
    assert_eq!(ordered(sort(project(a(0), vec![(1, c(1)), (20, least)]), vec![key(c(1))]), &[20]), ["10", "15", "15", "10", "15"]);
}

#[test]
fn in_lists_have_three_values() {
    let in_list = |any, func, list: Vec<Expr>| Expr::InList { func, any, left: Box::new(c(2)), list, collation: Collation::None };
    assert_eq!(ints(filter(a(0), in_list(true, 65, vec![int(10), int(30)])), &[1]), ["1", "4"]);
    assert_eq!(ints(filter(a(0), not(in_list(true, 65, vec![int(10), int(30)]))), &[1]), ["2"]);
    assert_eq!(ints(filter(a(0), not(in_list(true, 65, vec![int(10), null(PgType::INT4)]))), &[1]), [""; 0]);
    // <> ALL
    assert_eq!(ints(filter(a(0), in_list(false, 144, vec![int(10), int(11)])), &[1]), ["2"]);
    let truth = project(a(0), vec![(1, c(1)), (20, in_list(true, 65, vec![int(10), null(PgType::INT4)]))]);
    assert_eq!(rows(truth, &[(1, PgType::INT4), (20, PgType::BOOL)]), ["1|true", "2|-", "3|-", "4|true", "5|-"]);
    // = ANY ('{10,20}') and over an array that is computed.
    let array = |items: Vec<Scalar>| Expr::Const { value: Scalar::Array(items), ty: PgType::new(1007) };
    let any = |any, func, array| Expr::AnyArray { func, any, left: Box::new(c(2)), array: Box::new(array), collation: Collation::None };
    assert_eq!(ints(filter(a(0), any(true, 65, array(vec![Scalar::Int4(10), Scalar::Int4(20)]))), &[1]), ["1", "2", "4"]);
    assert_eq!(ints(filter(a(0), any(false, 65, array(vec![]))), &[1]).len(), 5);
    let computed = || Expr::Array { elements: vec![int(10), c(1), null(PgType::INT4)], ty: PgType::new(1007) };
    let truth = project(a(0), vec![(1, c(1)), (20, any(true, 65, computed())), (21, any(false, 144, computed()))]);
    let all = rows(truth, &[(1, PgType::INT4), (20, PgType::BOOL), (21, PgType::BOOL)]);
    assert_eq!(all, ["1|true|false", "2|-|-", "3|-|-", "4|true|false", "5|-|-"]);
}

#[test]
fn numeric_in_list_of_mixed_scales() {
    let in_list = Expr::InList { func: 1718, any: true, left: Box::new(col(4, NUMERIC_10_2)), list: vec![num("1"), num("2.500")], collation: Collation::None };
    assert_eq!(ints(filter(a(0), in_list), &[1]), ["1", "2"]);
    let dynamic =
        Expr::InList { func: 1718, any: true, left: Box::new(col(5, PgType::NUMERIC)), list: vec![num("1.000"), num("9")], collation: Collation::None };
    assert_eq!(ints(filter(a(0), dynamic), &[1]), ["1", "2", "5"]);
}

#[test]
fn values_and_projections_without_columns() {
    let columns = vec![(ColId(1), PgType::INT4), (ColId(2), PgType::NUMERIC)];
    let rel = Rel::Values { columns, rows: vec![vec![int(1), num("1.5")], vec![null(PgType::INT4), num("2")]] };
    assert_eq!(rows(rel, &[(1, PgType::INT4), (2, PgType::NUMERIC)]), ["-|2", "1|1.5"]);
    let count = aggregate(project(a(0), vec![]), vec![], vec![(20, count_all())]);
    assert_eq!(rows(count, &[(20, PgType::INT8)]), ["5"]);
    assert_eq!(run(project(a(0), vec![]), &[]).expect("runs").len(), 5);
}

#[test]
fn a_column_may_be_put_out_twice() {
    assert_eq!(ordered(limited(None, Some(big(1))), &[1, 1]), ["1|1"]);
}

#[test]
fn a_cte_is_usable_twice() {
    let cte = CteId(1);
    let used = |base: u32| Rel::CteRef { cte, columns: vec![(ColId(base), ColId(1), PgType::INT4), (ColId(base + 1), ColId(2), PgType::INT4)] };
    let body = join(JoinKind::Inner, used(100), used(200), Some(eq(c(101), c(201))));
    let with = Rel::With { ctes: vec![(cte, a(0))], body: Box::new(body) };
    assert_eq!(ints(with, &[100, 200]), ["1|1", "1|4", "2|2", "4|1", "4|4"]);
}

#[test]
fn an_offset_without_limit_leaves_limits_below_alone() {
    let first = Rel::Limit { input: Box::new(sort(a(0), vec![key(c(1))])), offset: None, limit: Some(big(3)) };
    let pairs = sort(join(JoinKind::Inner, first, nn(100), None), vec![key(c(1)), key(c(101))]);
    let rel = Rel::Limit { input: Box::new(pairs), offset: Some(big(2)), limit: None };
    assert_eq!(ordered(rel, &[1, 101]), ["2|10", "2|30", "3|10", "3|30"]);
}
