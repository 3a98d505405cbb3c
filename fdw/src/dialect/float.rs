//! Comparison of floats by engines that follow IEEE 754, where NaN is equal to nothing.

use super::Term;
use crate::meaning::Cmp;
use weir_plan::ir::Scalar;

fn is_finite_constant(term: &Term) -> bool {
    matches!(term.constant(), Some(Scalar::Float8(v)) if v.is_finite())
}

/// The comparison in the order of Postgres, in which NaN is equal to itself and above all others; NULL if one side is.
pub fn compare(cmp: Cmp, l: &Term, r: &Term, is_nan: &str) -> String {
    let (a, b) = (&l.sql, &r.sql);
    let less = |a: &str, b: &str| format!("({a} < {b} OR (NOT {is_nan}({a}) AND {is_nan}({b})))");
    let equal = format!("({a} = {b} OR ({is_nan}({a}) AND {is_nan}({b})))");
    match (cmp, is_finite_constant(l), is_finite_constant(r)) {
        // IEEE 754 says the same of NaN here.
        (Cmp::Eq | Cmp::Ne | Cmp::Gt | Cmp::Ge, true, _) | (Cmp::Eq | Cmp::Ne | Cmp::Lt | Cmp::Le, _, true) => format!("({a} {} {b})", cmp.sql()),
        (Cmp::Eq, ..) => equal,
        (Cmp::Ne, ..) => format!("(NOT {equal})"),
        (Cmp::Lt, ..) => less(a, b),
        (Cmp::Gt, ..) => less(b, a),
        (Cmp::Le, ..) => format!("(NOT {})", less(b, a)),
        (Cmp::Ge, ..) => format!("(NOT {})", less(a, b)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dialect::Form;
    use weir_plan::types::PgType;

    #[test]
    fn nan_is_above_all() {
        let term = |sql: &str, form| Term { sql: sql.into(), ty: PgType::FLOAT8, form, digits: None, chars: None };
        let (a, c) = (term("a", Form::Column), term("1.5", Form::Literal(Scalar::Float8(1.5))));
        assert_eq!(compare(Cmp::Lt, &a, &c, "nan"), "(a < 1.5)");
        assert_eq!(compare(Cmp::Ne, &c, &a, "nan"), "(1.5 <> a)");
        assert_eq!(compare(Cmp::Gt, &a, &c, "nan"), "(1.5 < a OR (NOT nan(1.5) AND nan(a)))");
        assert_eq!(compare(Cmp::Le, &c, &a, "nan"), "(NOT (a < 1.5 OR (NOT nan(a) AND nan(1.5))))");
        assert_eq!(compare(Cmp::Ge, &a, &a, "nan"), "(NOT (a < a OR (NOT nan(a) AND nan(a))))");
    }
}
