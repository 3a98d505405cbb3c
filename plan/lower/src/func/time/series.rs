//! `generate_series` of timestamps, as arrays.

use super::arith::{add, add_in_zone};
use super::kernel::Span;
use super::zone::Zone;
use crate::error::{raise, refused};
use crate::func::time::interval::span;
use crate::udf;
use crate::value::Value;
use arrow::array::{Array, ArrayRef, AsArray, ListBuilder, TimestampMicrosecondBuilder};
use arrow::datatypes::{DataType, Field, IntervalMonthDayNanoType, TimestampMicrosecondType};
use datafusion::common::{Result, internal_err};
use std::sync::Arc;
use weir_plan::ir::Session;
use weir_plan::types::{PgType, arrow_type};

const MAX_ROWS: usize = 20_000_000;

/// `session` for timestamptz, whose days depend on the time zone.
pub(crate) fn timestamps(args: Vec<Value>, ty: PgType, session: Option<&Session>) -> Result<Value> {
    let Some(item) = arrow_type(&ty) else { return internal_err!("generate_series of type {}", ty.oid) };
    let zone = session.map(|s| Zone::named(&s.timezone)).transpose()?;
    let key = zone.as_ref().map_or_else(String::new, |z| z.name.clone());
    let result = DataType::List(Arc::new(Field::new_list_field(item.clone(), true)));
    let kernel = udf::over_arrays(move |arrays| {
        let [start, stop, step] = arrays else { return internal_err!("generate_series takes three arguments") };
        let times = |a: &ArrayRef| a.as_primitive_opt::<TimestampMicrosecondType>().cloned();
        let (Some(start), Some(stop), Some(step)) = (times(start), times(stop), step.as_primitive_opt::<IntervalMonthDayNanoType>()) else {
            return internal_err!("generate_series of other types");
        };
        let field = Arc::new(Field::new_list_field(item.clone(), true));
        let mut out = ListBuilder::new(TimestampMicrosecondBuilder::new().with_data_type(item.clone())).with_field(field);
        let mut rows = 0;
        for row in 0..start.len() {
            if start.is_null(row) || stop.is_null(row) || step.is_null(row) {
                out.append_null();
                continue;
            }
            let by = Span::from(step.value(row));
            let (up, stop) = match span(by) {
                0 => return Err(raise("22023", "step size cannot equal zero")),
                n => (n > 0, stop.value(row)),
            };
            let mut current = start.value(row);
            while if up { current <= stop } else { current >= stop } {
                rows += 1;
                if rows > MAX_ROWS {
                    return Err(refused("generate_series of too many rows"));
                }
                out.values().append_value(current);
                current = match &zone {
                    Some(zone) => add_in_zone(zone, current, by)?,
                    None => add(current, by)?,
                };
            }
            out.append(true);
        }
        Ok(Arc::new(out.finish()) as ArrayRef)
    });
    let exprs = args.into_iter().map(|v| v.expr).collect();
    Ok(Value::new(udf::call("pg_time_series", key, result.clone(), exprs, kernel), result, ty))
}
