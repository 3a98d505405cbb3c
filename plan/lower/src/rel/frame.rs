//! Window frames: only those that DataFusion computes as Postgres does.
//!
//! RANGE with an offset is computed over a key as Decimal, in which adding the offset cannot overflow: integers and numerics as they
//! are, dates and timestamps in microseconds. Offsets in months are added to timestamps by Arrow, which takes the last day of a shorter
//! month as Postgres does, and fails for infinities. Floats are refused.

use super::Lowerer;
use super::expr::Scope;
use crate::error::{raise, refused};
use crate::udf;
use crate::value::Value;
use arrow::array::{ArrayRef, AsArray, Decimal128Array};
use arrow::datatypes::{DataType, Date32Type, TimeUnit, TimestampMicrosecondType};
use datafusion::common::{Result, ScalarValue, internal_err};
use datafusion::logical_expr::{Expr as DfExpr, WindowFrame, WindowFrameBound, WindowFrameUnits};
use std::sync::Arc;
use weir_plan::ir::{Bound, Exclude, Expr, Frame, FrameUnits, SortKey};

/// ROWS BETWEEN UNBOUNDED PRECEDING AND UNBOUNDED FOLLOWING.
pub(super) fn all_rows() -> WindowFrame {
    WindowFrame::new_bounds(
        WindowFrameUnits::Rows,
        WindowFrameBound::Preceding(ScalarValue::UInt64(None)),
        WindowFrameBound::Following(ScalarValue::UInt64(None)),
    )
}

/// A frame, and the order key that it is measured over if that is not the ordinary one.
pub(super) struct LoweredFrame {
    pub frame: WindowFrame,
    pub key: Option<DfExpr>,
}

impl Lowerer<'_> {
    pub(super) fn frame(&self, frame: &Frame, order_by: &[SortKey], order: &[Value]) -> Result<LoweredFrame> {
        if frame.exclude != Exclude::NoOthers {
            return Err(refused("a window frame with EXCLUDE"));
        }
        let mut units = match frame.units {
            FrameUnits::Rows => WindowFrameUnits::Rows,
            FrameUnits::Range => WindowFrameUnits::Range,
            FrameUnits::Groups => WindowFrameUnits::Groups,
        };
        let has_offset = [&frame.start, &frame.end].into_iter().any(|b| matches!(b, Bound::Preceding(_) | Bound::Following(_)));
        if order_by.is_empty() && frame.units != FrameUnits::Rows && !has_offset {
            // Without an order all rows are peers.
            return Ok(LoweredFrame { frame: all_rows(), key: None });
        }
        let mut measure = None;
        if has_offset && frame.units == FrameUnits::Range {
            let [value] = order else { return Err(refused("a RANGE frame with an offset over several keys")) };
            measure = Some(self.measure(value, [&frame.start, &frame.end])?);
        } else if units == WindowFrameUnits::Range && order.iter().any(|v| matches!(v.arrow, DataType::FixedSizeBinary(_) | DataType::BinaryView)) {
            // The same rows; DataFusion's RANGE does not know these types.
            units = WindowFrameUnits::Groups;
        }
        let start = self.bound(&frame.start, measure.as_ref(), "starting")?;
        let end = self.bound(&frame.end, measure.as_ref(), "ending")?;
        Ok(LoweredFrame { frame: WindowFrame::new_bounds(units, start, end), key: measure.map(|m| m.key) })
    }

    fn bound(&self, bound: &Bound, measure: Option<&Measure>, which: &str) -> Result<WindowFrameBound> {
        let unbounded = ScalarValue::UInt64(None);
        Ok(match bound {
            Bound::UnboundedPreceding => WindowFrameBound::Preceding(unbounded),
            Bound::UnboundedFollowing => WindowFrameBound::Following(unbounded),
            Bound::CurrentRow => WindowFrameBound::CurrentRow,
            Bound::Preceding(e) => WindowFrameBound::Preceding(self.offset(e, measure, which)?),
            Bound::Following(e) => WindowFrameBound::Following(self.offset(e, measure, which)?),
        })
    }

    fn offset(&self, e: &Expr, measure: Option<&Measure>, which: &str) -> Result<ScalarValue> {
        let DfExpr::Literal(value, _) = self.expr(e, &Scope::EMPTY)?.expr else { return Err(refused("a frame offset that is not a constant")) };
        if value.is_null() {
            return Err(raise("22004", format!("frame {which} offset must not be null")));
        }
        if let Some(measure) = measure {
            return measure.offset(&value);
        }
        match value {
            ScalarValue::Int64(Some(n)) => match u64::try_from(n) {
                Ok(n) => Ok(ScalarValue::UInt64(Some(n))),
                Err(_) => Err(raise("22013", format!("frame {which} offset must not be negative"))),
            },
            _ => Err(refused("a frame offset that is not bigint")),
        }
    }

    fn measure(&self, value: &Value, bounds: [&Bound; 2]) -> Result<Measure> {
        let micros = DataType::Decimal128(38, 0);
        let (key, arrow) = match &value.arrow {
            DataType::Int16 | DataType::Int32 | DataType::Int64 => (value.cast_to(&micros), micros),
            DataType::Date32 | DataType::Timestamp(..) if self.has_months(bounds)? => {
                let stamp = DataType::Timestamp(TimeUnit::Microsecond, None);
                (value.cast_to(&stamp), stamp)
            }
            DataType::Date32 | DataType::Timestamp(..) => (time_key(value.expr.clone()), micros),
            DataType::Decimal128(..) | DataType::Decimal256(..) => {
                // The offset's scale may be larger than the column's.
                let mut scale = value.decimal().map_or(0, |d| d.1);
                for b in bounds {
                    if let Bound::Preceding(e) | Bound::Following(e) = b {
                        scale = scale.max(self.expr(e, &Scope::EMPTY)?.decimal().map_or(0, |d| d.1));
                    }
                }
                let wide = DataType::Decimal256(76, scale);
                (value.cast_to(&wide), wide)
            }
            other => return Err(refused(format!("a RANGE frame with an offset over {other}"))),
        };
        // A day is not always 24 hours long where clocks change.
        let fixed_days = !matches!(value.arrow, DataType::Timestamp(_, Some(_))) || matches!(self.session.timezone.as_str(), "UTC" | "GMT" | "Etc/UTC");
        Ok(Measure { key, arrow, fixed_days })
    }

    fn has_months(&self, bounds: [&Bound; 2]) -> Result<bool> {
        for b in bounds {
            if let Bound::Preceding(e) | Bound::Following(e) = b {
                if let DfExpr::Literal(ScalarValue::IntervalMonthDayNano(Some(v)), _) = self.expr(e, &Scope::EMPTY)?.expr {
                    if v.months != 0 {
                        return Ok(true);
                    }
                }
            }
        }
        Ok(false)
    }
}

/// How a RANGE frame with an offset is measured.
struct Measure {
    key: DfExpr,
    arrow: DataType,
    fixed_days: bool,
}

impl Measure {
    fn offset(&self, value: &ScalarValue) -> Result<ScalarValue> {
        let negative = || raise("22013", "invalid preceding or following size in window function");
        let number = match value {
            ScalarValue::IntervalMonthDayNano(Some(v)) => {
                if (v.months != 0 || v.days != 0) && !self.fixed_days {
                    return Err(refused("a RANGE frame with an offset of days in a time zone with changing clocks"));
                }
                let micros = (i128::from(v.months) * 30 + i128::from(v.days)) * 86_400_000_000 + i128::from(v.nanoseconds / 1000);
                if micros < 0 {
                    return Err(negative());
                }
                if matches!(self.arrow, DataType::Timestamp(..)) {
                    return Ok(value.clone());
                }
                ScalarValue::Decimal128(Some(micros), 38, 0)
            }
            other => other.cast_to(&self.arrow)?,
        };
        let zero = ScalarValue::new_zero(&number.data_type())?;
        if number < zero {
            return Err(negative());
        }
        Ok(number)
    }
}

/// Microseconds as Decimal128(38, 0); infinities far beyond every finite value and offset.
fn time_key(expr: DfExpr) -> DfExpr {
    const INFINITY: i128 = 10i128.pow(30);
    let kernel = udf::over_arrays(|arrays| {
        let [array] = arrays else { return internal_err!("time_key takes one argument") };
        let keys: Decimal128Array = if let Some(days) = array.as_primitive_opt::<Date32Type>() {
            days.iter()
                .map(|d| {
                    d.map(|d| match d {
                        i32::MAX => INFINITY,
                        i32::MIN => -INFINITY,
                        d => i128::from(d) * 86_400_000_000,
                    })
                })
                .collect()
        } else if let Some(micros) = array.as_primitive_opt::<TimestampMicrosecondType>() {
            micros
                .iter()
                .map(|t| {
                    t.map(|t| match t {
                        i64::MAX => INFINITY,
                        i64::MIN => -INFINITY,
                        t => i128::from(t),
                    })
                })
                .collect()
        } else {
            return internal_err!("time_key over {}", array.data_type());
        };
        Ok(Arc::new(keys.with_precision_and_scale(38, 0)?) as ArrayRef)
    });
    udf::call("time_key", "", DataType::Decimal128(38, 0), vec![expr], kernel)
}
