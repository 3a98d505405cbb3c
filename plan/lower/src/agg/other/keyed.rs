//! min and max of addresses and arrays, by keys that are ordered as they are and have all of them.

use super::single;
use crate::agg::{AggArgs, AggLowered};
use crate::error::refused;
use crate::func;
use crate::value::{Call, Value};
use datafusion::common::Result;
use datafusion::logical_expr::AggregateUDF;
use std::sync::Arc;
use weir_plan::functions::ORDER_KEYS;
use weir_plan::types::{PgType, oid};

pub(super) fn extreme(args: &AggArgs<'_>, udf: Arc<AggregateUDF>) -> Result<AggLowered> {
    let [arg] = args.args.as_slice() else { return Err(refused("min or max of other than one value")) };
    let [network, array] = ORDER_KEYS;
    let func = if arg.ty.element().is_some() { array } else { network };
    let call = Call { func, args: vec![arg.clone()], ty: PgType::new(oid::BYTEA), collation: args.collation, session: args.session };
    let key = func::lower(&call)?;
    let AggLowered { parts, finish } = single(args, udf, vec![key.expr.clone()], key)?;
    let (arrow, ty) = (arg.arrow.clone(), args.ty);
    Ok(AggLowered {
        parts,
        finish: Box::new(move |columns| {
            let key = finish(columns)?;
            Ok(Value::new(func::from_order_key(key.expr, &arrow, ty), arrow, ty))
        }),
    })
}
