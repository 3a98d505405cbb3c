//! Window frames: only those that DataFusion computes as Postgres does.

use super::Lowerer;
use super::expr::Scope;
use crate::error::{raise, refused};
use crate::value::Value;
use arrow::datatypes::DataType;
use datafusion::common::{Result, ScalarValue};
use datafusion::logical_expr::{Expr as DfExpr, WindowFrame, WindowFrameBound, WindowFrameUnits};
use weir_plan::ir::{Bound, Exclude, Expr, Frame, FrameUnits, SortKey};

/// ROWS BETWEEN UNBOUNDED PRECEDING AND UNBOUNDED FOLLOWING.
pub(super) fn all_rows() -> WindowFrame {
    WindowFrame::new_bounds(
        WindowFrameUnits::Rows,
        WindowFrameBound::Preceding(ScalarValue::UInt64(None)),
        WindowFrameBound::Following(ScalarValue::UInt64(None)),
    )
}

impl Lowerer<'_> {
    pub(super) fn frame(&self, frame: &Frame, order_by: &[SortKey], order: &[Value]) -> Result<WindowFrame> {
        if frame.exclude != Exclude::NoOthers {
            return Err(refused("a window frame with EXCLUDE"));
        }
        let mut units = match frame.units {
            FrameUnits::Rows => WindowFrameUnits::Rows,
            FrameUnits::Range => WindowFrameUnits::Range,
            FrameUnits::Groups => WindowFrameUnits::Groups,
        };
        let has_offset = [&frame.start, &frame.end].into_iter().any(|b| matches!(b, Bound::Preceding(_) | Bound::Following(_)));
        if has_offset && frame.units == FrameUnits::Range {
            // DataFusion leaves the peers of a NULL out of such a frame.
            return Err(refused("a RANGE frame with an offset"));
        }
        if order_by.is_empty() && frame.units != FrameUnits::Rows {
            // Without an order all rows are peers.
            return Ok(all_rows());
        }
        if units == WindowFrameUnits::Range && order.iter().any(|v| matches!(v.arrow, DataType::FixedSizeBinary(_) | DataType::BinaryView)) {
            // The same rows; DataFusion's RANGE does not know these types.
            units = WindowFrameUnits::Groups;
        }
        let start = self.bound(&frame.start, "starting")?;
        let end = self.bound(&frame.end, "ending")?;
        Ok(WindowFrame::new_bounds(units, start, end))
    }

    fn bound(&self, bound: &Bound, which: &str) -> Result<WindowFrameBound> {
        let unbounded = ScalarValue::UInt64(None);
        Ok(match bound {
            Bound::UnboundedPreceding => WindowFrameBound::Preceding(unbounded),
            Bound::UnboundedFollowing => WindowFrameBound::Following(unbounded),
            Bound::CurrentRow => WindowFrameBound::CurrentRow,
            Bound::Preceding(e) => WindowFrameBound::Preceding(self.offset(e, which)?),
            Bound::Following(e) => WindowFrameBound::Following(self.offset(e, which)?),
        })
    }

    fn offset(&self, e: &Expr, which: &str) -> Result<ScalarValue> {
        match self.expr(e, &Scope::EMPTY)?.expr {
            DfExpr::Literal(v, _) if v.is_null() => Err(raise("22004", format!("frame {which} offset must not be null"))),
            DfExpr::Literal(ScalarValue::Int64(Some(n)), _) => match u64::try_from(n) {
                Ok(n) => Ok(ScalarValue::UInt64(Some(n))),
                Err(_) => Err(raise("22013", format!("frame {which} offset must not be negative"))),
            },
            _ => Err(refused("a frame offset that is not a constant")),
        }
    }
}
