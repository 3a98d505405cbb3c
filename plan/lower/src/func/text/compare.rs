//! Comparison of text, bpchar and name: byte by byte, as held. Equality is that of any deterministic collation, order that of C, unless a
//! locale is named.

use super::collated;
use super::lower_call::compare;
use crate::error::refused;
use crate::value::{Call, Value};
use datafusion::common::Result;
use datafusion::logical_expr::Operator;
use weir_plan::ir::Collation;

pub(super) fn lower(call: &Call<'_>) -> Option<Result<Value>> {
    let op = match call.func {
        67 | 1048 | 62 | 240 | 247 => Operator::Eq,
        157 | 1053 | 659 | 245 | 252 => Operator::NotEq,
        740 | 1049 | 655 | 241 | 248 | 2160 | 2174 => Operator::Lt,
        741 | 1050 | 656 | 242 | 249 | 2161 | 2175 => Operator::LtEq,
        742 | 1051 | 657 | 244 | 251 | 2164 | 2178 => Operator::Gt,
        743 | 1052 | 658 | 243 | 250 | 2163 | 2177 => Operator::GtEq,
        _ => return None,
    };
    // Under the collation of a locale.
    if call.args.len() == 3 {
        return Some(collated::compare(call, op));
    }
    if !matches!(op, Operator::Eq | Operator::NotEq) && matches!(call.collation, Collation::Locale(_)) {
        return Some(Err(refused("an order of text under a collation other than C")));
    }
    Some(compare(call, op))
}
