//! Arithmetic of numeric.
//!
//! Invariants:
//! - Value and display scale are exactly Postgres's (`numeric.c` of release 15).
//! - Sums, differences and products whose form is a 128-bit decimal are computed in 128 bits, with each value checked against the
//!   form's precision where that is not proven to suffice.

mod basic;
mod divide;
mod fixed;
mod form;
mod root;
mod text;
mod transcendental;
mod unary;
mod wide;

use crate::value::{Call, Value};
use arrow::datatypes::i256;
use datafusion::common::Result;
use datafusion::logical_expr::{Expr, Operator, lit};

pub use divide::divide;
pub(crate) use divide::{Decimals, div_scale, divide_big};
pub use form::align;
pub(crate) use form::{decimal_parts, parts, too_large};
pub(crate) use root::rounded_root;
pub(crate) use text::{Parsed, append, is_space, parse};
pub(crate) use wide::{digits, from_big, pow10, to_big};

pub(super) fn lower(call: &Call<'_>) -> Option<Result<Value>> {
    None.or_else(|| basic::lower(call))
        .or_else(|| unary::lower(call))
        .or_else(|| divide::lower(call))
        .or_else(|| root::lower(call))
        .or_else(|| transcendental::lower(call))
}

/// Both sides of a comparison in one type, and the operator, which may change when a constant is rounded to its column's scale.
pub(super) fn comparison(op: Operator, left: &Value, right: &Value) -> Result<(Operator, Expr, Expr)> {
    if let Some((op, constant)) = constant_side(op, left, right) {
        return Ok((op, left.expr.clone(), constant));
    }
    if let Some((op, constant)) = op.swap().and_then(|op| constant_side(op, right, left)) {
        return Ok((op, right.expr.clone(), constant));
    }
    if form::has_common(&left.arrow, &right.arrow)? {
        let (l, r) = align(left, right)?;
        return Ok((op, l, r));
    }
    Ok((op, form::order(left, right)?, lit(0_i16)))
}

/// `column op constant` with the constant in the column's type, if there is an equivalent one.
fn constant_side(op: Operator, column: &Value, constant: &Value) -> Option<(Operator, Expr)> {
    let Expr::Literal(scalar, _) = &constant.expr else { return None };
    if matches!(column.expr, Expr::Literal(..)) {
        return None;
    }
    let v = form::literal_value(scalar)?;
    let ((precision, scale), (_, constant_scale)) = (parts(&column.arrow).ok()?, parts(&constant.arrow).ok()?);
    let (op, v) = if constant_scale <= scale {
        if digits(v) + scale - constant_scale > 76 {
            return None;
        }
        (op, v.wrapping_mul(pow10((scale - constant_scale) as u32)))
    } else {
        let unit = pow10((constant_scale - scale) as u32);
        let (quotient, remainder) = (v.wrapping_div(unit), v.wrapping_rem(unit));
        if remainder == i256::ZERO {
            (op, quotient)
        } else {
            // The constant lies between two values of the column: compare to the lower one.
            let floor = if remainder < i256::ZERO { quotient.wrapping_sub(i256::ONE) } else { quotient };
            match op {
                Operator::Lt | Operator::LtEq => (Operator::LtEq, floor),
                Operator::Gt | Operator::GtEq => (Operator::Gt, floor),
                _ => return None,
            }
        }
    };
    (digits(v) <= precision).then(|| form::decimal_literal(v, &column.arrow).ok()).flatten().map(|c| (op, c))
}

/// The integer nearest to an unscaled value, half away from zero.
pub(crate) fn round_to_integer(v: i256, scale: i32) -> i256 {
    unary::drop_digits(v, scale.max(0) as u32, unary::Mode::Round)
}
