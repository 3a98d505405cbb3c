//! UNION, INTERSECT, EXCEPT.

use super::*;

fn op(kind: SetOpKind, all: bool, left: Rel, right: Rel, columns: Vec<(u32, u32, u32, PgType)>) -> Rel {
    let columns = columns.into_iter().map(|(n, l, r, t)| (ColId(n), ColId(l), ColId(r), t)).collect();
    Rel::SetOp(Box::new(SetOp { kind, all, left, right, columns, recursion: None }))
}

fn x_and_y(kind: SetOpKind, all: bool) -> Vec<String> {
    // x: 10 20 NULL 10 NULL; y: 10 11 12 NULL
    ints(op(kind, all, a(0), b(100), vec![(200, 2, 103, PgType::INT4)]), &[200])
}

#[test]
fn sets_and_multisets() {
    assert_eq!(x_and_y(SetOpKind::Union, true), ["-", "-", "-", "10", "10", "10", "11", "12", "20"]);
    assert_eq!(x_and_y(SetOpKind::Union, false), ["-", "10", "11", "12", "20"]);
    assert_eq!(x_and_y(SetOpKind::Intersect, false), ["-", "10"]);
    assert_eq!(x_and_y(SetOpKind::Intersect, true), ["-", "10"]);
    assert_eq!(x_and_y(SetOpKind::Except, false), ["20"]);
    assert_eq!(x_and_y(SetOpKind::Except, true), ["-", "10", "20"]);
}

#[test]
fn numerics_of_different_forms() {
    let got = rows(op(SetOpKind::Union, true, a(0), a(100), vec![(200, 4, 105, PgType::NUMERIC)]), &[(200, PgType::NUMERIC)]);
    assert_eq!(got, ["-", "-", "-1.00", "0.00", "1", "1.0", "1.00", "1.00", "2.5", "2.50"]);
    let union = op(SetOpKind::Union, false, a(0), a(100), vec![(200, 4, 105, PgType::NUMERIC)]);
    assert_eq!(count_of(union.clone()), "5");
    assert_eq!(refusal_of(union, &[(200, PgType::NUMERIC)]), WRITTEN_DIFFERENTLY);
    let got = rows(op(SetOpKind::Except, false, a(0), a(100), vec![(200, 5, 104, PgType::NUMERIC)]), &[(200, PgType::NUMERIC)]);
    assert_eq!(got, [""; 0]);
}

#[test]
fn floats_by_value() {
    let intersect = op(SetOpKind::Intersect, false, a(0), a(100), vec![(200, 6, 106, PgType::FLOAT8)]);
    assert_eq!(count_of(intersect.clone()), "3");
    assert_eq!(refusal_of(intersect, &[(200, PgType::FLOAT8)]), WRITTEN_DIFFERENTLY);
    let except = op(SetOpKind::Except, true, a(0), filter(a(100), lt(c(101), int(3))), vec![(200, 6, 106, PgType::FLOAT8)]);
    // Copies of whichever Postgres read first.
    assert_eq!(refusal_of(except, &[(200, PgType::FLOAT8)]), "INTERSECT or EXCEPT ALL of values whose equals may be written differently");
}
