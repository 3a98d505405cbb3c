//! One physical form for values that meet in one column: branches of CASE, sides of UNION, rows of VALUES.
//!
//! Numerics of one static scale stay static; others become dynamic, with a physical scale that holds all of them.

use crate::error::refused;
use crate::value::{DScale, Value};
use arrow::datatypes::DataType;
use datafusion::common::Result;
use datafusion::logical_expr::Expr;
use weir_plan::types::{DYNAMIC_PRECISION, PgType, arrow_type, oid};

/// A physical form; `scale` is set for numerics.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Form {
    pub arrow: DataType,
    pub ty: PgType,
    /// `Some(None)`: the display scale is dynamic.
    pub scale: Option<Option<i8>>,
}

pub(crate) fn is_null_literal(expr: &Expr) -> bool {
    matches!(expr, Expr::Literal(v, _) if v.is_null())
}

/// The form that holds all of the values, whose Postgres type is `ty`.
pub(crate) fn form(values: &[&Value], ty: PgType) -> Result<Form> {
    if ty.base == oid::NUMERIC {
        return numeric_form(values, ty);
    }
    let Some(arrow) = arrow_type(&ty) else { return Err(refused(format!("type {} is not supported", ty.oid))) };
    for v in values {
        if v.arrow != arrow {
            return Err(refused(format!("a value of type {} where {} is expected", v.arrow, arrow)));
        }
    }
    if ty.base == oid::BPCHAR {
        // Blanks are not stored but added for the declared length, which the value must have. (What sees them asks for a length.)
        let mixed = values.iter().any(|v| !is_null_literal(&v.expr) && v.ty.typmod != ty.typmod);
        if mixed && ty.char_length().is_some() {
            return Err(refused("values of char(n) types of different lengths in one column"));
        }
    }
    Ok(Form { arrow, ty, scale: None })
}

fn numeric_form(values: &[&Value], ty: PgType) -> Result<Form> {
    let (mut scale, mut whole) = (0i8, 1u8);
    let mut static_scale: Option<i8> = None;
    let mut dynamic = false;
    for v in values.iter().filter(|v| !is_null_literal(&v.expr)) {
        let Some((p, s)) = v.decimal() else { return Err(refused(format!("a value of type {} where numeric is expected", v.arrow))) };
        scale = scale.max(s);
        whole = whole.max(p.saturating_sub_signed(s));
        match v.dscale {
            Some(DScale::Static(d)) if static_scale.is_none_or(|known| known == d) => static_scale = Some(d),
            _ => dynamic = true,
        }
    }
    let precision = whole.saturating_add_signed(scale).min(DYNAMIC_PRECISION);
    let arrow = if precision <= 38 { DataType::Decimal128(precision, scale) } else { DataType::Decimal256(precision, scale) };
    Ok(Form { arrow, ty, scale: Some(if dynamic { None } else { Some(scale) }) })
}

impl Form {
    /// The value in this form: its expression, and that of its display scale if the form's is dynamic.
    pub fn of(&self, value: &Value) -> (Expr, Option<Expr>) {
        let expr = value.cast_to(&self.arrow);
        let scale = match self.scale {
            Some(None) => value.dscale_expr(),
            _ => None,
        };
        (expr, scale)
    }

    /// A value of this form.
    pub fn value(&self, expr: Expr, scale: Option<Expr>) -> Value {
        let dscale = match (self.scale, scale) {
            (Some(Some(s)), _) => Some(DScale::Static(s)),
            (Some(None), Some(e)) => Some(DScale::Dynamic(e)),
            _ => None,
        };
        Value { expr, arrow: self.arrow.clone(), ty: self.ty, dscale }
    }

    pub fn apply(&self, value: &Value) -> Value {
        let (expr, scale) = self.of(value);
        self.value(expr, scale)
    }
}
