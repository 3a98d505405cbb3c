//! A lowered expression with its Postgres type and, for numeric, its display scale.

use arrow::datatypes::DataType;
use datafusion::logical_expr::{Expr, cast, lit};
use weir_plan::ir::{Collation, Session};
use weir_plan::types::PgType;

/// The display scale (`dscale`) of a numeric expression: how many digits Postgres prints after the point.
#[derive(Debug, Clone, PartialEq)]
pub enum DScale {
    /// Every non-null value has this display scale; it equals the physical scale.
    Static(i8),
    /// An Int16 expression; the physical scale is at least as large as any of its values.
    Dynamic(Expr),
}

/// A lowered expression. `arrow` is the exact type of `expr`.
#[derive(Debug, Clone, PartialEq)]
pub struct Value {
    pub expr: Expr,
    pub arrow: DataType,
    pub ty: PgType,
    /// `Some` exactly for scalar numerics.
    pub dscale: Option<DScale>,
}

impl Value {
    /// A value that is not numeric.
    pub fn new(expr: Expr, arrow: DataType, ty: PgType) -> Self {
        Self { expr, arrow, ty, dscale: None }
    }

    pub fn numeric(expr: Expr, arrow: DataType, ty: PgType, dscale: DScale) -> Self {
        Self { expr, arrow, ty, dscale: Some(dscale) }
    }

    pub fn bool(expr: Expr) -> Self {
        Self::new(expr, DataType::Boolean, PgType::BOOL)
    }

    /// Physical precision and scale, if this is a decimal.
    pub fn decimal(&self) -> Option<(u8, i8)> {
        match self.arrow {
            DataType::Decimal128(p, s) | DataType::Decimal256(p, s) => Some((p, s)),
            _ => None,
        }
    }

    /// The display scale as an Int16 expression (not NULL where it is static, even if the value is).
    pub fn dscale_expr(&self) -> Option<Expr> {
        Some(match self.dscale.as_ref()? {
            DScale::Static(s) => lit(i16::from(*s)),
            DScale::Dynamic(e) => e.clone(),
        })
    }

    /// The value cast to another Arrow type; no cast if it has it already.
    pub fn cast_to(&self, to: &DataType) -> Expr {
        if &self.arrow == to { self.expr.clone() } else { cast(self.expr.clone(), to.clone()) }
    }
}

/// A function call to lower: arguments already lowered, of the types of the function's signature.
pub struct Call<'a> {
    /// `pg_proc` OID.
    pub func: u32,
    pub args: Vec<Value>,
    /// The result type the analyser gave it.
    pub ty: PgType,
    pub collation: Collation,
    pub session: &'a Session,
}
