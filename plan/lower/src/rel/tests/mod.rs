//! Plans built by hand, run over tables in memory, and their rows as Postgres prints them.

use super::{TableSource, lower_plan};
use crate::error::{refused, to_error};
use arrow::array::{Array, ArrayRef, Decimal128Array, Decimal256Array, Float64Array, Int16Array, Int32Array, Int64Array, RecordBatch, StringViewArray};
use arrow::array::{AsArray, IntervalMonthDayNanoArray};
use arrow::datatypes::{DataType, Field, Int16Type, IntervalMonthDayNano, Schema, i256};
use arrow::util::display::array_value_to_string;
use datafusion::common::Result;
use datafusion::datasource::{MemTable, TableProvider};
use datafusion::prelude::{SessionConfig, SessionContext};
use std::sync::Arc;
use weir_plan::ir::*;
use weir_plan::types::{PgType, oid};

mod aggregates;
mod basics;
mod correlation;
mod joins;
mod sets;
mod subqueries;
mod windows;

pub const NUMERIC_10_2: PgType = PgType::with_typmod(oid::NUMERIC, ((10 << 16) | 2) + 4);

/// `a(id int, x int, s text, n numeric(10,2), d numeric, f float8, i interval)`
/// `b(id int, a_id int, y int)`, `e(v int)` without rows, `nn(v int)` without NULLs.
pub struct Tables;

impl TableSource for Tables {
    fn provider(&self, scan: &Scan) -> Result<Arc<dyn TableProvider>> {
        let columns: Vec<(&str, ArrayRef, bool)> = match scan.name.as_str() {
            "a" => {
                let unit = |v: &str| {
                    let (whole, fraction) = v.split_once('.').unwrap_or((v, ""));
                    let digits = format!("{whole}{fraction:0<36}");
                    i256::from_string(&digits).expect("digits")
                };
                let d = [Some("1.0"), Some("1.00"), Some("2.5"), None, Some("1")];
                let values: Decimal256Array = d.iter().map(|v| v.map(unit)).collect();
                let scales: Int16Array = d.iter().map(|v| v.map(|v| v.split_once('.').map_or(0, |(_, f)| f.len() as i16))).collect();
                let day = |months, days, nanos| Some(IntervalMonthDayNano::new(months, days, nanos));
                vec![
                    ("a1", Arc::new(Int32Array::from(vec![1, 2, 3, 4, 5])), false),
                    ("a2", Arc::new(Int32Array::from(vec![Some(10), Some(20), None, Some(10), None])), true),
                    ("a3", Arc::new(StringViewArray::from(vec![Some("x"), Some("y"), None, Some("x"), Some("z")])), true),
                    (
                        "a4",
                        Arc::new(Decimal128Array::from(vec![Some(100), Some(250), None, Some(-100), Some(0)]).with_precision_and_scale(10, 2).expect("fits")),
                        true,
                    ),
                    ("a5", Arc::new(values.with_precision_and_scale(76, 36).expect("fits")), true),
                    ("a5_s", Arc::new(scales), true),
                    ("a6", Arc::new(Float64Array::from(vec![Some(0.0), Some(-0.0), Some(f64::NAN), Some(-f64::NAN), None])), true),
                    (
                        "a7",
                        Arc::new(IntervalMonthDayNanoArray::from(vec![
                            day(1, 0, 0),
                            day(0, 30, 0),
                            None,
                            day(0, 0, 3_600_000_000_000),
                            day(0, 29, 86_400_000_000_000),
                        ])),
                        true,
                    ),
                ]
            }
            "b" => vec![
                ("a1", Arc::new(Int32Array::from(vec![1, 2, 3, 4])), false),
                ("a2", Arc::new(Int32Array::from(vec![Some(1), Some(1), None, Some(3)])), true),
                ("a3", Arc::new(Int32Array::from(vec![Some(10), Some(11), Some(12), None])), true),
            ],
            "e" => vec![("a1", Arc::new(Int32Array::from(Vec::<Option<i32>>::new())), true)],
            "nn" => vec![("a1", Arc::new(Int32Array::from(vec![10, 30])), false)],
            other => return Err(refused(format!("no table {other}"))),
        };
        let fields: Vec<Field> = columns.iter().map(|(n, a, nullable)| Field::new(*n, a.data_type().clone(), *nullable)).collect();
        let schema = Arc::new(Schema::new(fields));
        let batch = RecordBatch::try_new(Arc::clone(&schema), columns.into_iter().map(|c| c.1).collect())?;
        // Two partitions, so that exchanges take part.
        let half = batch.num_rows() / 2;
        let parts = vec![vec![batch.slice(0, half)], vec![batch.slice(half, batch.num_rows() - half)]];
        Ok(Arc::new(MemTable::try_new(schema, parts)?))
    }
}

pub fn session() -> Session {
    Session {
        timezone: "UTC".into(),
        date_style: "ISO, MDY".into(),
        interval_style: "postgres".into(),
        extra_float_digits: 1,
        fidelity: Fidelity::Exact,
        engine: weir_plan::ir::Embedded::DataFusion,
        ctypes: Vec::new(),
        collate_is_bytes: true,
        quote_all_identifiers: false,
        server_version_num: 150_000,
    }
}

fn scan_of(name: &str, base: u32, columns: &[(i16, PgType, bool)]) -> Rel {
    let columns = columns.iter().map(|&(attnum, ty, not_null)| ScanColumn { id: ColId(base + attnum as u32), attnum, ty, not_null }).collect();
    Rel::Scan(Scan { source: Source::Mirror { relid: 1, generation: 1 }, name: name.into(), columns })
}

/// Table a; its columns are `base + attnum`.
pub fn a(base: u32) -> Rel {
    let (int, text, float) = (PgType::INT4, PgType::TEXT, PgType::FLOAT8);
    scan_of(
        "a",
        base,
        &[
            (1, int, true),
            (2, int, false),
            (3, text, false),
            (4, NUMERIC_10_2, false),
            (5, PgType::NUMERIC, false),
            (6, float, false),
            (7, PgType::INTERVAL, false),
        ],
    )
}

pub fn b(base: u32) -> Rel {
    scan_of("b", base, &[(1, PgType::INT4, true), (2, PgType::INT4, false), (3, PgType::INT4, false)])
}

pub fn e(base: u32) -> Rel {
    scan_of("e", base, &[(1, PgType::INT4, false)])
}

pub fn nn(base: u32) -> Rel {
    scan_of("nn", base, &[(1, PgType::INT4, true)])
}

pub fn col(id: u32, ty: PgType) -> Expr {
    Expr::Column { id: ColId(id), ty }
}

/// An int4 column.
pub fn c(id: u32) -> Expr {
    col(id, PgType::INT4)
}

/// An int4 column of an enclosing query.
pub fn outer(id: u32) -> Expr {
    Expr::Outer { id: ColId(id), ty: PgType::INT4 }
}

pub fn int(v: i32) -> Expr {
    Expr::Const { value: Scalar::Int4(v), ty: PgType::INT4 }
}

pub fn big(v: i64) -> Expr {
    Expr::Const { value: Scalar::Int8(v), ty: PgType::INT8 }
}

pub fn num(v: &str) -> Expr {
    Expr::Const { value: Scalar::Numeric(v.into()), ty: PgType::NUMERIC }
}

pub fn null(ty: PgType) -> Expr {
    Expr::Const { value: Scalar::Null, ty }
}

pub fn call(func: u32, args: Vec<Expr>) -> Expr {
    Expr::Call { func, args, ty: PgType::BOOL, collation: Collation::None }
}

/// int4eq
pub fn eq(l: Expr, r: Expr) -> Expr {
    call(65, vec![l, r])
}

/// int4lt
pub fn lt(l: Expr, r: Expr) -> Expr {
    call(66, vec![l, r])
}

/// int4gt
pub fn gt(l: Expr, r: Expr) -> Expr {
    call(147, vec![l, r])
}

pub fn not(e: Expr) -> Expr {
    Expr::Not(Box::new(e))
}

pub fn named<T>(id: u32, expr: T) -> Named<T> {
    Named { id: ColId(id), expr }
}

pub fn filter(input: Rel, predicate: Expr) -> Rel {
    Rel::Filter { input: Box::new(input), predicate }
}

pub fn project(input: Rel, exprs: Vec<(u32, Expr)>) -> Rel {
    Rel::Project { input: Box::new(input), exprs: exprs.into_iter().map(|(id, e)| named(id, e)).collect() }
}

pub fn key(expr: Expr) -> SortKey {
    SortKey { expr, descending: false, nulls_first: false }
}

pub fn sort(input: Rel, keys: Vec<SortKey>) -> Rel {
    Rel::Sort { input: Box::new(input), keys }
}

pub fn join(kind: JoinKind, left: Rel, right: Rel, on: Option<Expr>) -> Rel {
    Rel::Join(Box::new(Join { kind, left, right, on, lateral: false }))
}

pub fn agg(func: u32, args: Vec<Expr>, ty: PgType) -> AggCall {
    AggCall { func, direct: vec![], args, distinct: false, order_by: vec![], filter: None, ty }
}

pub fn count_all() -> AggCall {
    agg(2803, vec![], PgType::INT8)
}

pub fn sum(e: Expr) -> AggCall {
    agg(2108, vec![e], PgType::INT8)
}

pub fn aggregate(input: Rel, groups: Vec<(u32, Expr)>, calls: Vec<(u32, AggCall)>) -> Rel {
    Rel::Aggregate(Box::new(Aggregate {
        input,
        groups: groups.into_iter().map(|(id, e)| named(id, e)).collect(),
        grouping_sets: None,
        calls: calls.into_iter().map(|(id, e)| named(id, e)).collect(),
        groupings: vec![],
    }))
}

pub fn scalar(rel: Rel, column: u32, ty: PgType) -> Expr {
    Expr::ScalarSubquery { rel: Box::new(rel), column: ColId(column), ty }
}

pub fn exists(rel: Rel) -> Expr {
    Expr::Exists { rel: Box::new(rel) }
}

/// `left op ANY/ALL (rel)` over int4.
pub fn quantified(func: u32, any: bool, left: Expr, rel: Rel, column: u32) -> Expr {
    let comparison = SubqueryComparison { func, left, column: ColId(column), column_ty: PgType::INT4, collation: Collation::None };
    Expr::AnySubquery { any, comparisons: vec![comparison], rel: Box::new(rel) }
}

/// The rows of a plan; columns separated by `|`, NULL as `-`.
pub fn run(root: Rel, output: &[(u32, PgType)]) -> std::result::Result<Vec<String>, weir_plan::Error> {
    run_with(root, output, &[])
}

pub fn run_with(root: Rel, output: &[(u32, PgType)], params: &[(Scalar, PgType)]) -> std::result::Result<Vec<String>, weir_plan::Error> {
    let plan =
        Plan { root, output: output.iter().map(|(id, ty)| (ColId(*id), *ty)).collect(), params: params.iter().map(|p| p.1).collect(), session: session() };
    let values: Vec<Scalar> = params.iter().map(|p| p.0.clone()).collect();
    // What can be executed can be prepared.
    let prepared = lower_plan(&plan, None, &Tables).map_err(|e| to_error(&e));
    let lowered = lower_plan(&plan, Some(&values), &Tables).map_err(|e| to_error(&e))?;
    prepared?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let ctx = SessionContext::new_with_config(SessionConfig::new().with_target_partitions(3).with_batch_size(2));
    let shown = format!("{}", lowered.plan.display_indent());
    let batches = runtime
        .block_on(async { ctx.execute_logical_plan(lowered.plan).await?.collect().await })
        .map_err(|e| weir_plan::Error { message: format!("{}\n{shown}", to_error(&e).message), ..to_error(&e) })?;
    let mut rows = Vec::new();
    for batch in batches {
        for row in 0..batch.num_rows() {
            let cells: Vec<String> = lowered.columns.iter().map(|(v, s)| cell(&batch, row, *v, *s)).collect();
            rows.push(cells.join("|"));
        }
    }
    Ok(rows)
}

fn cell(batch: &RecordBatch, row: usize, value: u32, scale: Option<u32>) -> String {
    let array = batch.column(value as usize);
    if array.is_null(row) {
        return "-".into();
    }
    let shown = array_value_to_string(array, row).expect("a value");
    let Some(scale) = scale else { return shown };
    let scale = batch.column(scale as usize).as_primitive::<Int16Type>().value(row) as usize;
    match shown.split_once('.') {
        Some((whole, fraction)) if scale == 0 => format!("{whole}{}", fraction.trim_end_matches('0')),
        Some((whole, fraction)) => {
            assert!(fraction[scale..].bytes().all(|b| b == b'0'), "more digits than the display scale");
            format!("{whole}.{}", &fraction[..scale])
        }
        None => shown,
    }
}

/// As [`run`], with the rows sorted.
pub fn rows(root: Rel, output: &[(u32, PgType)]) -> Vec<String> {
    let mut rows = run(root, output).unwrap_or_else(|e| panic!("{}", e.message));
    rows.sort();
    rows
}

/// Rows of int4 columns, sorted.
pub fn ints(root: Rel, output: &[u32]) -> Vec<String> {
    rows(root, &output.iter().map(|id| (*id, PgType::INT4)).collect::<Vec<_>>())
}

/// Rows of int4 columns, in their order.
pub fn ordered(root: Rel, output: &[u32]) -> Vec<String> {
    run(root, &output.iter().map(|id| (*id, PgType::INT4)).collect::<Vec<_>>()).unwrap_or_else(|e| panic!("{}", e.message))
}

pub fn error_of(root: Rel, output: &[u32]) -> String {
    let output: Vec<(u32, PgType)> = output.iter().map(|id| (*id, PgType::INT4)).collect();
    match run(root, &output) {
        Ok(rows) => panic!("rows instead of an error: {rows:?}"),
        Err(e) => e.sqlstate.to_string(),
    }
}

/// Why a query is not answered: the first line of the error, which the plan follows.
pub fn refusal_of(root: Rel, output: &[(u32, PgType)]) -> String {
    match run(root, output) {
        Ok(rows) => panic!("rows instead of a refusal: {rows:?}"),
        Err(e) => e.message.lines().next().unwrap_or_default().to_owned(),
    }
}

/// How many rows a relation has.
pub fn count_of(root: Rel) -> String {
    rows(aggregate(root, vec![], vec![(9999, count_all())]), &[(9999, PgType::INT8)]).concat()
}

pub const WRITTEN_DIFFERENTLY: &str = "equal values of a group that are written differently";

#[allow(unused)]
fn unused(_: Int64Array, _: DataType) {}
