//! Join keys that are sent with a remote statement: when the other side of a join has been read, its distinct keys are a condition of this side.
//!
//! Invariants:
//! - DataFusion makes such filters for inner joins, `join_keys` for others; one is complete at the time at which the side that is filtered begins
//!   to be read. A condition is looked for when the statement is about to be sent, and waited for no longer than a moment.
//! - A condition may let too much through, never too little: the join is evaluated all the same. NULL among the keys lets NULLs through.

use datafusion::common::ScalarValue;
use datafusion::logical_expr::Operator;
use datafusion::physical_expr::expressions::{BinaryExpr, CaseExpr, CastExpr, Column, DynamicFilterPhysicalExpr, InListExpr, Literal};
use datafusion::physical_expr::{PhysicalExpr, ScalarFunctionExpr};
use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;
use std::time::Duration;
use weir_fdw::dialect::Dialect;
use weir_plan::ir::{Key, Scalar, SqlPart};
use weir_plan::types::oid;

/// Keys that are sent at most. DataFusion is told to make no longer lists.
pub const MAX_KEYS: usize = 1000;
/// Rows of a statement from which on it is worth while to send keys, and how many for each key.
const MIN_ROWS: u64 = 1000;
const ROWS_FOR_A_KEY: u64 = 2;

/// One partition of a join may begin to read while another is still putting the filter together.
const MOMENT: Duration = Duration::from_millis(20);

type Expr = Arc<dyn PhysicalExpr>;
/// By column: the values that it may have.
type Values = BTreeMap<usize, HashSet<ScalarValue>>;

/// A statement that keys can be sent with.
pub struct Keyed {
    pub parts: Vec<SqlPart>,
    pub params: Vec<Scalar>,
    pub keys: Vec<Key>,
    /// For each column of the batches, which one of the statement's it is; `None` for display scales.
    pub places: Vec<Option<usize>>,
    pub rows: Option<u64>,
    pub dialect: &'static dyn Dialect,
}

impl Keyed {
    /// The statement under the conditions that the filters say of its result's columns (`projection`: which of them the filters know), and how
    /// many values are in them; `None` if there are none, or they do not pay.
    pub fn statement(&self, filters: &[Expr], projection: Option<&[usize]>) -> Option<(String, usize)> {
        let mut values = Values::new();
        for filter in filters {
            for (column, found) in known(filter, 0).unwrap_or_default() {
                keep_fewer(&mut values, column, found);
            }
        }
        let (mut conditions, mut count) = (Vec::new(), 0);
        if filters.iter().any(|filter| never(filter, 0)) {
            conditions.push("(1 = 0)".to_owned());
            values.clear();
        }
        for (column, found) in values {
            let place = projection.map_or(Some(column), |p| p.get(column).copied()).and_then(|place| self.places.get(place).copied().flatten());
            if place.is_none() {
                continue;
            }
            let Some(key) = self.keys.iter().find(|k| Some(k.place) == place) else { continue };
            let sent = u64::try_from(found.len()).unwrap_or(u64::MAX);
            if found.len() > MAX_KEYS || self.rows.is_some_and(|rows| rows < MIN_ROWS || rows / ROWS_FOR_A_KEY < sent) {
                continue;
            }
            let Some((list, or_null)) = scalars(&found, key) else { continue };
            if let Ok(condition) = weir_fdw::keys::condition(key, &list, or_null, self.dialect) {
                conditions.push(condition);
                count += found.len();
            }
        }
        if conditions.is_empty() {
            return None;
        }
        let sql = weir_fdw::text_with(&self.parts, Some(&self.params), &conditions, self.dialect).ok()?;
        Some((sql, count))
    }
}

/// Waits until the filters say what they are going to say.
pub async fn settled(filters: &[Expr]) {
    let waits = filters.iter().filter_map(|f| f.as_any().downcast_ref::<DynamicFilterPhysicalExpr>()).map(DynamicFilterPhysicalExpr::wait_complete);
    // What is not known by then is not sent.
    let _ = tokio::time::timeout(MOMENT, futures::future::join_all(waits)).await;
}

fn keep_fewer(values: &mut Values, column: usize, found: HashSet<ScalarValue>) {
    if values.get(&column).is_none_or(|known| known.len() > found.len()) {
        values.insert(column, found);
    }
}

/// Whether the filter is true of no row.
fn never(filter: &Expr, depth: usize) -> bool {
    let any = filter.as_any();
    if let Some(dynamic) = any.downcast_ref::<DynamicFilterPhysicalExpr>() {
        return depth < 8 && dynamic.current().is_ok_and(|current| never(&current, depth + 1));
    }
    if let Some(binary) = any.downcast_ref::<BinaryExpr>() {
        return depth < 8 && *binary.op() == Operator::And && (never(binary.left(), depth + 1) || never(binary.right(), depth + 1));
    }
    any.downcast_ref::<Literal>().is_some_and(|l| *l.value() == ScalarValue::Boolean(Some(false)))
}

/// What must hold of columns wherever the filter is true; `None` if that cannot be told.
fn known(filter: &Expr, depth: usize) -> Option<Values> {
    if depth > 8 {
        return None;
    }
    let any = filter.as_any();
    if let Some(dynamic) = any.downcast_ref::<DynamicFilterPhysicalExpr>() {
        return known(&dynamic.current().ok()?, depth + 1);
    }
    if let Some(binary) = any.downcast_ref::<BinaryExpr>() {
        if *binary.op() != Operator::And {
            return None;
        }
        let mut all = known(binary.left(), depth + 1).unwrap_or_default();
        for (column, found) in known(binary.right(), depth + 1).unwrap_or_default() {
            keep_fewer(&mut all, column, found);
        }
        return Some(all);
    }
    if let Some(list) = any.downcast_ref::<InListExpr>() {
        return listed(list);
    }
    // Each partition of a join has its own list.
    let case = any.downcast_ref::<CaseExpr>()?;
    let no = case.else_expr()?.as_any().downcast_ref::<Literal>()?;
    if *no.value() != ScalarValue::Boolean(Some(false)) {
        return None;
    }
    let mut all: Option<Values> = None;
    for (_, then) in case.when_then_expr() {
        let one = known(then, depth + 1)?;
        all = Some(match all {
            None => one,
            // What only one of them says does not hold for the others.
            Some(before) => {
                let both = before.into_iter().filter_map(|(column, found)| one.get(&column).map(|more| (column, found.union(more).cloned().collect())));
                both.collect()
            }
        });
    }
    all
}

fn listed(list: &InListExpr) -> Option<Values> {
    if list.negated() || list.len() > MAX_KEYS {
        return None;
    }
    let values = list.list().iter().map(|e| e.as_any().downcast_ref::<Literal>().map(|l| l.value().clone())).collect::<Option<Vec<_>>>()?;
    let of = list.expr().as_any();
    // An integer that was widened is compared as what it was.
    let of = of.downcast_ref::<CastExpr>().map_or(of, |cast| cast.expr().as_any());
    if let Some(column) = of.downcast_ref::<Column>() {
        return Some(Values::from([(column.index(), values.into_iter().collect())]));
    }
    // Several keys are one structure.
    let row = list.expr().as_any().downcast_ref::<ScalarFunctionExpr>().filter(|f| f.name() == "struct")?;
    let mut all = Values::new();
    for (i, arg) in row.args().iter().enumerate() {
        let Some(column) = arg.as_any().downcast_ref::<Column>() else { continue };
        let field = |value: &ScalarValue| match value {
            ScalarValue::Struct(fields) => ScalarValue::try_from_array(fields.columns().get(i)?, 0).ok(),
            _ => None,
        };
        keep_fewer(&mut all, column.index(), values.iter().map(field).collect::<Option<HashSet<_>>>()?);
    }
    Some(all)
}

/// The values as the plan has them, in order, and whether NULL is among them.
fn scalars(values: &HashSet<ScalarValue>, key: &Key) -> Option<(Vec<Scalar>, bool)> {
    let mut list = Vec::new();
    for value in values.iter().filter(|v| !v.is_null()) {
        let integer = match value {
            ScalarValue::Int16(Some(v)) => Some(i64::from(*v)),
            ScalarValue::Int32(Some(v)) => Some(i64::from(*v)),
            ScalarValue::Int64(Some(v)) => Some(*v),
            _ => None,
        };
        if let Some(v) = integer {
            // What does not fit the column is no value of it.
            list.extend(match key.ty.base {
                oid::INT2 => i16::try_from(v).ok().map(Scalar::Int2),
                oid::INT4 => i32::try_from(v).ok().map(Scalar::Int4),
                oid::INT8 => Some(Scalar::Int8(v)),
                _ => return None,
            });
            continue;
        }
        list.push(match (key.ty.base, value) {
            (oid::TIMESTAMP, ScalarValue::TimestampMicrosecond(Some(v), None)) => Scalar::Timestamp(*v),
            (oid::TIMESTAMPTZ, ScalarValue::TimestampMicrosecond(Some(v), Some(_))) => Scalar::Timestamp(*v),
            (oid::UUID, ScalarValue::FixedSizeBinary(16, Some(v))) => Scalar::Uuid(v.as_slice().try_into().ok()?),
            (oid::NUMERIC, ScalarValue::Decimal128(Some(v), _, scale)) => Scalar::Numeric(number(&v.to_string(), *scale)?),
            (oid::NUMERIC, ScalarValue::Decimal256(Some(v), _, scale)) => Scalar::Numeric(number(&v.to_string(), *scale)?),
            (oid::DATE, ScalarValue::Date32(Some(v))) => Scalar::Date(*v),
            (oid::TEXT | oid::VARCHAR | oid::BPCHAR, ScalarValue::Utf8(Some(v)) | ScalarValue::Utf8View(Some(v)) | ScalarValue::LargeUtf8(Some(v))) => {
                Scalar::Text(v.clone())
            }
            _ => return None,
        });
    }
    list.sort_by(|a, b| match (a, b) {
        (Scalar::Int2(a), Scalar::Int2(b)) => a.cmp(b),
        (Scalar::Int4(a) | Scalar::Date(a), Scalar::Int4(b) | Scalar::Date(b)) => a.cmp(b),
        (Scalar::Int8(a) | Scalar::Timestamp(a), Scalar::Int8(b) | Scalar::Timestamp(b)) => a.cmp(b),
        (Scalar::Text(a) | Scalar::Numeric(a), Scalar::Text(b) | Scalar::Numeric(b)) => a.cmp(b),
        (Scalar::Uuid(a), Scalar::Uuid(b)) => a.cmp(b),
        _ => std::cmp::Ordering::Equal,
    });
    Some((list, values.iter().any(ScalarValue::is_null)))
}

/// The digits of a decimal with the point at its place, without zeros at the end.
fn number(digits: &str, scale: i8) -> Option<String> {
    let scale = usize::try_from(scale).ok()?;
    let (sign, digits) = digits.strip_prefix('-').map_or(("", digits), |rest| ("-", rest));
    let padded = format!("{digits:0>width$}", width = scale + 1);
    let (whole, fraction) = padded.split_at_checked(padded.len() - scale)?;
    let fraction = fraction.trim_end_matches('0');
    Some(if fraction.is_empty() { format!("{sign}{whole}") } else { format!("{sign}{whole}.{fraction}") })
}

#[cfg(test)]
mod tests {
    use super::*;
    use arrow::array::{ArrayRef, Int32Array};
    use datafusion::physical_expr::expressions::lit;
    use weir_plan::types::PgType;

    fn keyed(rows: Option<u64>) -> Keyed {
        let keys = vec![Key { place: 1, sql: "\"t1\".\"a\"".into(), ty: PgType::INT4, is_column: true, chars: None, digits: None }];
        let parts = vec![SqlPart::Text("SELECT x FROM t".into()), SqlPart::Keys { first: true }];
        Keyed { parts, params: Vec::new(), keys, places: vec![None, Some(1), Some(1)], rows, dialect: &weir_fdw::dialect::postgres::Postgres }
    }

    fn in_list(column: usize, values: &[Option<i32>]) -> Expr {
        let array: ArrayRef = Arc::new(Int32Array::from(values.to_vec()));
        Arc::new(InListExpr::try_new_from_array(Arc::new(Column::new("a", column)), array, false).expect("a list of one type"))
    }

    fn dynamic(expr: Expr) -> Expr {
        let filter = DynamicFilterPhysicalExpr::new(vec![Arc::new(Column::new("a", 0))], lit(true));
        filter.update(expr).expect("a filter over its own columns");
        Arc::new(filter)
    }

    #[test]
    fn the_keys_of_a_join_are_a_condition() {
        let sent = keyed(None).statement(&[dynamic(in_list(0, &[Some(2), Some(1), None]))], Some(&[1]));
        let sql = "SELECT x FROM t WHERE ((\"t1\".\"a\" IN ('1'::integer, '2'::integer)) OR (\"t1\".\"a\" IS NULL))";
        assert_eq!(sent, Some((sql.to_owned(), 3)));
    }

    #[test]
    fn nothing_matches_nothing() {
        let sent = keyed(None).statement(&[dynamic(lit(false))], None);
        assert_eq!(sent, Some(("SELECT x FROM t WHERE (1 = 0)".to_owned(), 0)));
    }

    #[test]
    fn what_does_not_fit_the_column_is_not_sent() {
        let array: ArrayRef = Arc::new(arrow::array::Int64Array::from(vec![1, 1 << 40]));
        let wide = Arc::new(CastExpr::new(Arc::new(Column::new("a", 1)), arrow::datatypes::DataType::Int64, None));
        let list: Expr = Arc::new(InListExpr::try_new_from_array(wide, array, false).expect("a list of one type"));
        assert_eq!(keyed(None).statement(&[list], None).map(|s| s.0), Some("SELECT x FROM t WHERE (\"t1\".\"a\" IN ('1'::integer))".to_owned()));
    }

    #[test]
    fn numbers_are_written_without_needless_zeros() {
        let of = |digits: &str, scale| number(digits, scale);
        assert_eq!(of("-1250", 2).as_deref(), Some("-12.5"));
        assert_eq!(of("-5", 3).as_deref(), Some("-0.005"));
        assert_eq!(of("700", 2).as_deref(), Some("7"));
        assert_eq!(of("700", 0).as_deref(), Some("700"));
        assert_eq!(of("0", 2).as_deref(), Some("0"));
    }

    #[test]
    fn what_is_not_known_is_no_condition() {
        assert_eq!(keyed(None).statement(&[dynamic(lit(true))], Some(&[1])), None);
        // Another column, a small statement, a disjunction.
        assert_eq!(keyed(None).statement(&[dynamic(in_list(0, &[Some(1)]))], None), None);
        assert_eq!(keyed(Some(10)).statement(&[dynamic(in_list(0, &[Some(1)]))], Some(&[1])), None);
        let or: Expr = Arc::new(BinaryExpr::new(in_list(0, &[Some(1)]), Operator::Or, lit(true)));
        assert_eq!(keyed(None).statement(&[dynamic(or)], Some(&[1])), None);
    }

    #[test]
    fn the_lists_of_all_partitions_are_one() {
        let branch = |n: u64, values: &[Option<i32>]| (lit(n), in_list(0, values));
        let two = vec![branch(0, &[Some(1)]), branch(1, &[Some(2)])];
        let case: Expr = Arc::new(CaseExpr::try_new(Some(lit(0u64)), two, Some(lit(false))).expect("a CASE"));
        let sent = keyed(None).statement(&[dynamic(case)], Some(&[1]));
        assert_eq!(sent.map(|s| s.1), Some(2));
    }
}
