//! Window frames: as DataFusion's where it computes them as Postgres does, and as our own ([`super::framed`]) otherwise.

use super::expr::Scope;
use super::framed::{Edge, Spec};
use super::keys::{float_key, interval_key};
use super::{Lowerer, unify};
use crate::error::{raise, refused};
use crate::value::Value;
use arrow::datatypes::DataType;
use datafusion::common::{Result, ScalarValue};
use datafusion::logical_expr::{Expr as DfExpr, WindowFrame, WindowFrameBound, WindowFrameUnits, cast};
use weir_plan::ir::{Bound, Collation, Exclude, Expr, Frame, FrameUnits, SortKey};
use weir_plan::types::{PgType, oid};

/// ROWS BETWEEN UNBOUNDED PRECEDING AND UNBOUNDED FOLLOWING.
pub(super) fn all_rows() -> WindowFrame {
    WindowFrame::new_bounds(
        WindowFrameUnits::Rows,
        WindowFrameBound::Preceding(ScalarValue::UInt64(None)),
        WindowFrameBound::Following(ScalarValue::UInt64(None)),
    )
}

/// ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW.
pub(super) fn rows_so_far() -> WindowFrame {
    WindowFrame::new_bounds(WindowFrameUnits::Rows, WindowFrameBound::Preceding(ScalarValue::UInt64(None)), WindowFrameBound::CurrentRow)
}

/// A frame in both forms.
pub(super) struct Framing {
    /// `None`: DataFusion has not got it, or leaves out the peers of a NULL (RANGE with an offset).
    pub datafusion: Option<WindowFrame>,
    pub own: Spec,
    /// The columns that `own` wants behind the function's arguments and the keys of ORDER BY.
    pub columns: Vec<DfExpr>,
}

impl Framing {
    /// Rows may leave the frame from one row to the next.
    pub fn slides(&self) -> bool {
        self.own.start != Edge::UnboundedPreceding
    }
}

/// An end of the frame is found by adding to the one key of its order.
pub(super) fn counts_from_key(frame: &Frame) -> bool {
    frame.units == FrameUnits::Range && [&frame.start, &frame.end].into_iter().any(|b| matches!(b, Bound::Preceding(_) | Bound::Following(_)))
}

impl Lowerer<'_> {
    /// `order` are the values of `order_by`.
    pub(super) fn frame(&self, frame: &Frame, order_by: &[SortKey], order: &[Value]) -> Result<Framing> {
        let mut own = Spec {
            units: frame.units,
            start: Edge::UnboundedPreceding,
            end: Edge::UnboundedFollowing,
            exclude: frame.exclude,
            order_keys: order_by.len(),
            descending: order_by.first().is_some_and(|k| k.descending),
            nulls_first: order_by.first().is_some_and(|k| k.nulls_first),
        };
        let mut columns = Vec::new();
        if counts_from_key(frame) {
            let [key] = order else { return Err(refused("RANGE with an offset over other than one column")) };
            columns.push(self.range_key(key)?);
            own.start = self.range_edge(&frame.start, key, own.descending, &mut columns)?;
            own.end = self.range_edge(&frame.end, key, own.descending, &mut columns)?;
            return Ok(Framing { datafusion: None, own, columns });
        }
        own.start = self.edge(&frame.start, "starting")?;
        own.end = self.edge(&frame.end, "ending")?;
        let mut units = match frame.units {
            FrameUnits::Rows => WindowFrameUnits::Rows,
            FrameUnits::Range => WindowFrameUnits::Range,
            FrameUnits::Groups => WindowFrameUnits::Groups,
        };
        if units == WindowFrameUnits::Range
            && order.iter().any(|v| matches!(v.arrow, DataType::FixedSizeBinary(_) | DataType::BinaryView | DataType::Time64(_)))
        {
            // The same rows; DataFusion's RANGE does not know these types.
            units = WindowFrameUnits::Groups;
        }
        let datafusion = if frame.exclude != Exclude::NoOthers {
            None
        } else if order_by.is_empty() && frame.units == FrameUnits::Range {
            // Without an order all rows are peers.
            Some(all_rows())
        } else if order_by.is_empty() && frame.units == FrameUnits::Groups {
            None
        } else {
            Some(WindowFrame::new_bounds(units, bound(own.start), bound(own.end)))
        };
        Ok(Framing { datafusion, own, columns })
    }

    /// An end of a frame of ROWS or GROUPS, or of RANGE without an offset.
    fn edge(&self, bound: &Bound, which: &str) -> Result<Edge> {
        Ok(match bound {
            Bound::UnboundedPreceding => Edge::UnboundedPreceding,
            Bound::UnboundedFollowing => Edge::UnboundedFollowing,
            Bound::CurrentRow => Edge::CurrentRow,
            Bound::Preceding(e) => Edge::Preceding(self.offset(e, which)?),
            Bound::Following(e) => Edge::Following(self.offset(e, which)?),
        })
    }

    fn offset(&self, e: &Expr, which: &str) -> Result<u64> {
        match self.expr(e, &Scope::EMPTY)?.expr {
            DfExpr::Literal(v, _) if v.is_null() => Err(raise("22004", format!("frame {which} offset must not be null"))),
            DfExpr::Literal(ScalarValue::Int64(Some(n)), _) => match u64::try_from(n) {
                Ok(n) => Ok(n),
                Err(_) => Err(raise("22013", format!("frame {which} offset must not be negative"))),
            },
            _ => Err(refused("a frame offset that is not a constant")),
        }
    }

    /// The key of ORDER BY in the form in which it is compared with the bounds of RANGE.
    fn range_key(&self, key: &Value) -> Result<DfExpr> {
        Ok(match key.ty.base {
            oid::INT2 | oid::INT4 | oid::INT8 | oid::TIME => key.cast_to(&DataType::Int64),
            oid::FLOAT4 | oid::FLOAT8 => cast(float_key(key.expr.clone(), &key.arrow), DataType::Float64),
            oid::DATE => self.as_timestamp(key)?.expr,
            oid::TIMESTAMP | oid::TIMESTAMPTZ => key.expr.clone(),
            oid::INTERVAL => interval_key(key.expr.clone()),
            // Both in a form that holds them.
            oid::NUMERIC => cast(key.expr.clone(), RANGE_NUMERIC),
            _ => return Err(refused("RANGE with an offset over this type")),
        })
    }

    /// `timestamp(date)`
    fn as_timestamp(&self, key: &Value) -> Result<Value> {
        self.call(2024, vec![key.clone()], PgType::TIMESTAMP, Collation::None)
    }

    /// Source: the `in_range` functions. A bad offset is an error only if there are rows: Postgres decides.
    fn range_edge(&self, bound: &Bound, key: &Value, descending: bool, columns: &mut Vec<DfExpr>) -> Result<Edge> {
        let (e, preceding) = match bound {
            Bound::UnboundedPreceding => return Ok(Edge::UnboundedPreceding),
            Bound::UnboundedFollowing => return Ok(Edge::UnboundedFollowing),
            // The peers.
            Bound::CurrentRow => return Ok(Edge::CurrentRow),
            Bound::Preceding(e) => (e, true),
            Bound::Following(e) => (e, false),
        };
        let subtract = preceding != descending;
        let offset = self.expr(e, &Scope::EMPTY)?;
        let DfExpr::Literal(literal, _) = &offset.expr else { return Err(refused("a frame offset that is not a constant")) };
        if literal.is_null() {
            return Err(raise("22004", "frame offset must not be null"));
        }
        let negative = || raise("22013", "invalid preceding or following size in window function");
        let integer = match literal {
            ScalarValue::Int16(Some(n)) => Some(i128::from(*n)),
            ScalarValue::Int32(Some(n)) => Some(i128::from(*n)),
            ScalarValue::Int64(Some(n)) => Some(i128::from(*n)),
            _ => None,
        };
        let bound = match (key.ty.base, literal) {
            (oid::INT2 | oid::INT4 | oid::INT8, _) => {
                let n = integer.ok_or_else(|| refused("RANGE with an offset of another type"))?;
                if n < 0 {
                    return Err(negative());
                }
                return Ok(Edge::Plus(if subtract { -n } else { n }));
            }
            (oid::FLOAT4 | oid::FLOAT8, ScalarValue::Float64(Some(f))) => {
                if f.is_nan() || *f < 0.0 {
                    return Err(negative());
                }
                if f.is_infinite() {
                    return Err(refused("RANGE with an infinite offset"));
                }
                return Ok(Edge::PlusFloat((if subtract { -*f } else { *f }).to_bits()));
            }
            // Months and days do not count, and midnight is no end.
            (oid::TIME, ScalarValue::IntervalMonthDayNano(Some(i))) => {
                let n = i128::from(i.nanoseconds / 1000);
                if n < 0 {
                    return Err(negative());
                }
                return Ok(Edge::Plus(if subtract { -n } else { n }));
            }
            (oid::NUMERIC, ScalarValue::Decimal128(Some(n), ..)) if *n < 0 => return Err(negative()),
            (oid::NUMERIC, ScalarValue::Decimal256(Some(n), ..)) if n.is_negative() => return Err(negative()),
            (oid::NUMERIC, ScalarValue::Decimal128(..) | ScalarValue::Decimal256(..)) => {
                let sum = self.call(if subtract { 1725 } else { 1724 }, vec![key.clone(), offset], PgType::NUMERIC, Collation::None)?;
                unify::form(&[&sum], PgType::NUMERIC)?;
                cast(sum.expr, RANGE_NUMERIC)
            }
            (base @ (oid::DATE | oid::TIMESTAMP | oid::TIMESTAMPTZ | oid::INTERVAL), ScalarValue::IntervalMonthDayNano(Some(i))) => {
                let span = (i128::from(i.months) * 30 + i128::from(i.days)) * 86_400_000_000 + i128::from(i.nanoseconds / 1000);
                if span < 0 {
                    return Err(negative());
                }
                let (func, key, ty) = match (base, subtract) {
                    (oid::DATE, false) => (2032, self.as_timestamp(key)?, PgType::TIMESTAMP),
                    (oid::DATE, true) => (2033, self.as_timestamp(key)?, PgType::TIMESTAMP),
                    (oid::TIMESTAMP, false) => (2032, key.clone(), PgType::TIMESTAMP),
                    (oid::TIMESTAMP, true) => (2033, key.clone(), PgType::TIMESTAMP),
                    (oid::TIMESTAMPTZ, false) => (1189, key.clone(), PgType::TIMESTAMPTZ),
                    (oid::TIMESTAMPTZ, true) => (1190, key.clone(), PgType::TIMESTAMPTZ),
                    (_, false) => (1169, key.clone(), PgType::INTERVAL),
                    (_, true) => (1170, key.clone(), PgType::INTERVAL),
                };
                let sum = self.call(func, vec![key, offset.clone()], ty, Collation::None)?;
                if base == oid::INTERVAL { interval_key(sum.expr) } else { sum.expr }
            }
            _ => return Err(refused("RANGE with an offset of this type")),
        };
        columns.push(bound);
        Ok(Edge::Key)
    }
}

/// What does not fit is an error, and then Postgres answers.
const RANGE_NUMERIC: DataType = DataType::Decimal256(76, 36);

fn bound(edge: Edge) -> WindowFrameBound {
    let at = |n: Option<u64>| ScalarValue::UInt64(n);
    match edge {
        Edge::UnboundedPreceding => WindowFrameBound::Preceding(at(None)),
        Edge::Preceding(n) => WindowFrameBound::Preceding(at(Some(n))),
        Edge::Following(n) => WindowFrameBound::Following(at(Some(n))),
        Edge::UnboundedFollowing => WindowFrameBound::Following(at(None)),
        Edge::CurrentRow | Edge::Plus(_) | Edge::PlusFloat(_) | Edge::Key => WindowFrameBound::CurrentRow,
    }
}
