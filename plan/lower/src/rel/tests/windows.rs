//! Window functions and frames.

use super::*;

fn frame(units: FrameUnits, start: Bound, end: Bound) -> Frame {
    Frame { units, start, end, exclude: Exclude::NoOthers }
}

fn default_frame() -> Frame {
    frame(FrameUnits::Range, Bound::UnboundedPreceding, Bound::CurrentRow)
}

fn over(func: u32, args: Vec<Expr>, partition_by: Vec<Expr>, order_by: Vec<SortKey>, frame: Frame, ty: PgType) -> WindowCall {
    WindowCall { func, args, filter: None, partition_by, order_by, frame, ty }
}

fn windowed(calls: Vec<WindowCall>) -> Rel {
    let functions = calls.into_iter().enumerate().map(|(i, call)| named(50 + i as u32, call)).collect();
    sort(Rel::Window { input: Box::new(a(0)), functions }, vec![key(c(1))])
}

fn shown(calls: Vec<WindowCall>) -> Vec<String> {
    let output: Vec<(u32, PgType)> = std::iter::once((1, PgType::INT4)).chain(calls.iter().enumerate().map(|(i, call)| (50 + i as u32, call.ty))).collect();
    run(windowed(calls), &output).unwrap_or_else(|e| panic!("{}", e.message))
}

#[test]
fn ranks() {
    let by = |func, ty| over(func, vec![], vec![], vec![key(c(2))], default_frame(), ty);
    assert_eq!(
        shown(vec![by(3101, PgType::INT8), by(3102, PgType::INT8), by(3103, PgType::FLOAT8), by(3104, PgType::FLOAT8)]),
        ["1|1|1|0.0|0.4", "2|3|2|0.5|0.6", "3|4|3|0.75|1.0", "4|1|1|0.0|0.4", "5|4|3|0.75|1.0"]
    );
    assert_eq!(shown(vec![over(3100, vec![], vec![c(2)], vec![key(c(1))], default_frame(), PgType::INT8)]), ["1|1", "2|1", "3|1", "4|2", "5|2"]);
}

#[test]
fn ntile_fills_the_first_buckets() {
    let tile = |n: Expr| over(3105, vec![n], vec![], vec![key(c(1))], default_frame(), PgType::INT4);
    assert_eq!(
        shown(vec![tile(int(2)), tile(int(3)), tile(int(4)), tile(int(9)), tile(null(PgType::INT4))]),
        ["1|1|1|1|1|-", "2|1|1|1|2|-", "3|1|2|2|3|-", "4|2|2|3|4|-", "5|2|3|4|5|-"]
    );
    assert_eq!(error_of(windowed(vec![tile(int(0))]), &[50]), "22014");
}

#[test]
fn lag_and_lead() {
    let f = |func, args| over(func, args, vec![], vec![key(c(1))], default_frame(), PgType::INT4);
    assert_eq!(
        shown(vec![
            f(3106, vec![c(2)]),
            f(3107, vec![c(2), int(2)]),
            f(3108, vec![c(2), int(1), c(1)]),
            f(3109, vec![c(2)]),
            f(3111, vec![c(2), int(3), int(-1)]),
            f(3107, vec![c(1), int(-1)]),
            f(3107, vec![c(1), null(PgType::INT4)])
        ]),
        ["1|-|-|1|20|10|2|-", "2|10|-|10|-|-|3|-", "3|20|10|20|10|-1|4|-", "4|-|20|-|-|-1|5|-", "5|10|-|10|-|-1|-|-"]
    );
    let numeric = over(3106, vec![col(5, PgType::NUMERIC)], vec![], vec![key(c(1))], default_frame(), PgType::NUMERIC);
    let with_default = over(3108, vec![col(5, PgType::NUMERIC), int(1), num("0.000")], vec![], vec![key(c(1))], default_frame(), PgType::NUMERIC);
    assert_eq!(shown(vec![numeric, with_default]), ["1|-|0.000", "2|1.0|1.0", "3|1.00|1.00", "4|2.5|2.5", "5|-|-"]);
}

#[test]
fn values_of_the_frame() {
    let f = |func, args, frame| over(func, args, vec![], vec![key(c(1))], frame, PgType::INT4);
    let rows = |s, e| frame(FrameUnits::Rows, s, e);
    let whole = || rows(Bound::UnboundedPreceding, Bound::UnboundedFollowing);
    let before = || rows(Bound::Preceding(big(2)), Bound::Preceding(big(1)));
    assert_eq!(
        shown(vec![
            f(3112, vec![c(1)], default_frame()),
            f(3113, vec![c(1)], default_frame()),
            f(3113, vec![c(1)], whole()),
            f(3114, vec![c(1), int(2)], default_frame()),
            f(3112, vec![c(1)], before()),
            f(3113, vec![c(1)], before()),
            f(3114, vec![c(1), int(2)], before())
        ]),
        ["1|1|1|5|-|-|-|-", "2|1|2|5|2|1|1|-", "3|1|3|5|2|1|2|2", "4|1|4|5|2|2|3|3", "5|1|5|5|2|3|4|4"]
    );
    assert_eq!(error_of(windowed(vec![f(3114, vec![c(1), int(0)], default_frame())]), &[50]), "22016");
}

#[test]
fn aggregates_over_frames() {
    let sum_over = |order_by, frame| over(2108, vec![c(1)], vec![], order_by, frame, PgType::INT8);
    let peers = sum_over(vec![key(c(2))], default_frame());
    let rows = sum_over(vec![key(c(1))], frame(FrameUnits::Rows, Bound::Preceding(big(1)), Bound::Following(big(1))));
    let groups = sum_over(vec![key(c(2))], frame(FrameUnits::Groups, Bound::Preceding(big(1)), Bound::CurrentRow));
    let all = sum_over(vec![], default_frame());
    let ahead = sum_over(vec![key(c(1))], frame(FrameUnits::Rows, Bound::Following(big(4)), Bound::Following(big(9))));
    assert_eq!(shown(vec![peers, rows, groups, all, ahead]), ["1|5|3|5|15|5", "2|7|6|7|15|-", "3|15|9|10|15|-", "4|5|12|5|15|-", "5|15|9|10|15|-"]);
    let filtered = WindowCall { filter: Some(gt(c(1), int(2))), ..over(2803, vec![], vec![c(2)], vec![], default_frame(), PgType::INT8) };
    assert_eq!(shown(vec![filtered]), ["1|1", "2|0", "3|2", "4|1", "5|2"]);
}

#[test]
fn frames_that_are_errors() {
    let f = |start| over(2108, vec![c(1)], vec![], vec![key(c(1))], frame(FrameUnits::Rows, start, Bound::CurrentRow), PgType::INT8);
    assert_eq!(error_of(windowed(vec![f(Bound::Preceding(big(-1)))]), &[50]), "22013");
    assert_eq!(error_of(windowed(vec![f(Bound::Preceding(null(PgType::INT8)))]), &[50]), "22004");
}

#[test]
fn partitions_by_what_postgres_calls_equal() {
    let count = |e| over(2803, vec![], vec![e], vec![], default_frame(), PgType::INT8);
    assert_eq!(
        shown(vec![count(col(6, PgType::FLOAT8)), count(col(5, PgType::NUMERIC)), count(col(7, PgType::INTERVAL))]),
        ["1|2|3|3", "2|2|3|3", "3|2|1|1", "4|2|1|1", "5|1|3|3"]
    );
}

#[test]
fn range_frames_with_offsets() {
    let near = over(2108, vec![c(1)], vec![], vec![key(c(2))], frame(FrameUnits::Range, Bound::Preceding(int(10)), Bound::CurrentRow), PgType::INT8);
    assert_eq!(shown(vec![near]), ["1|5", "2|7", "3|8", "4|5", "5|8"]);
}
