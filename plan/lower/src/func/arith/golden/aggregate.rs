//! Aggregates: each case alone, all cases of one type as groups, and frames of three rows.

use super::{batch, message, pg_type, printed, session, types_of, value};
use crate::agg::{AggArgs, lower};
use crate::value::Value;
use arrow::array::{ArrayRef, Int32Array, RecordBatch};
use arrow::compute::concat_batches;
use arrow::datatypes::{DataType, Field, Schema};
use datafusion::common::DataFusionError;
use datafusion::datasource::MemTable;
use datafusion::logical_expr::expr::{AggregateFunction, AggregateFunctionParams, WindowFunction, WindowFunctionParams};
use datafusion::logical_expr::{Expr, LogicalPlanBuilder, WindowFrame, WindowFrameBound, WindowFrameUnits, WindowFunctionDefinition, col};
use datafusion::prelude::{SessionConfig, SessionContext};
use std::collections::BTreeMap;
use std::sync::Arc;
use weir_plan::ir::Collation;
use weir_plan::types::PgType;

struct Case<'a> {
    values: Vec<Option<&'a str>>,
    expected: &'a str,
    line: usize,
}

fn result_type(func: u32, argument: PgType) -> PgType {
    match func {
        2108 | 2109 | 2147 | 2803 => PgType::INT8,
        2115..=2136 | 2236..=2241 | 6164..=6166 => argument,
        _ => PgType::NUMERIC,
    }
}

/// A table of `g` (the case), `i` (the position) and the argument `v`.
fn table(cases: &[&Case<'_>], ty: PgType) -> RecordBatch {
    let values: Vec<Option<&str>> = cases.iter().flat_map(|c| c.values.iter().copied()).collect();
    let places: Vec<(i32, i32)> = cases.iter().enumerate().flat_map(|(g, c)| (0..c.values.len()).map(move |i| (g as i32, i as i32))).collect();
    let data = batch(&[("v".into(), ty, values)]);
    let mut fields: Vec<Field> = data.schema().fields().iter().map(|f| f.as_ref().clone()).collect();
    let mut arrays: Vec<ArrayRef> = data.columns().to_vec();
    fields.push(Field::new("g", DataType::Int32, false));
    arrays.push(Arc::new(Int32Array::from_iter_values(places.iter().map(|p| p.0))));
    fields.push(Field::new("i", DataType::Int32, false));
    arrays.push(Arc::new(Int32Array::from_iter_values(places.iter().map(|p| p.1))));
    RecordBatch::try_new(Arc::new(Schema::new(fields)), arrays).expect("table")
}

#[derive(Clone, Copy, PartialEq)]
enum Shape {
    All,
    Groups,
    Frame,
}

/// The printed results, with the group or position that they belong to.
async fn run(func: u32, ty: PgType, distinct: bool, cases: &[&Case<'_>], shape: Shape) -> Result<Vec<(i32, String)>, String> {
    let session = session();
    let args = if func == 2803 { vec![] } else { vec![value("v", ty)] };
    let windowed = shape == Shape::Frame;
    let lowered = lower(&AggArgs {
        func,
        direct: vec![],
        args,
        distinct,
        order_by: vec![],
        windowed,
        ty: result_type(func, ty),
        collation: Collation::None,
        session: &session,
    })
    .map_err(|e| message(&e))?;
    let result: Result<(Value, RecordBatch), DataFusionError> = async {
        let data = table(cases, ty);
        // Two partitions and small batches, so that states are merged.
        let half = data.num_rows() / 2;
        let partitions = if windowed { vec![vec![data.clone()]] } else { vec![vec![data.slice(0, half)], vec![data.slice(half, data.num_rows() - half)]] };
        let context = SessionContext::new_with_config(SessionConfig::new().with_target_partitions(2).with_batch_size(16));
        let table = Arc::new(MemTable::try_new(data.schema(), partitions)?);
        let scan = context.read_table(table)?.into_unoptimized_plan();
        let mut columns = vec![];
        let mut exprs = vec![];
        for (n, p) in lowered.parts.into_iter().enumerate() {
            let name = format!("p{n}");
            columns.push(col(&name));
            exprs.push(if windowed {
                let frame = WindowFrame::new_bounds(
                    WindowFrameUnits::Rows,
                    WindowFrameBound::Preceding(datafusion::common::ScalarValue::UInt64(Some(2))),
                    WindowFrameBound::CurrentRow,
                );
                Expr::WindowFunction(Box::new(WindowFunction {
                    fun: WindowFunctionDefinition::AggregateUDF(p.udf),
                    params: WindowFunctionParams {
                        args: p.args,
                        partition_by: vec![],
                        order_by: vec![col("i").sort(true, false)],
                        window_frame: frame,
                        filter: None,
                        null_treatment: None,
                        distinct: p.distinct,
                    },
                }))
                .alias(name)
            } else {
                Expr::AggregateFunction(AggregateFunction {
                    func: p.udf,
                    params: AggregateFunctionParams { args: p.args, distinct: p.distinct, filter: None, order_by: p.order_by, null_treatment: None },
                })
                .alias(name)
            });
        }
        let plan = LogicalPlanBuilder::from(scan);
        let plan = match shape {
            Shape::All => plan.aggregate(Vec::<Expr>::new(), exprs)?.build()?,
            Shape::Groups => plan.aggregate(vec![col("g")], exprs)?.build()?,
            Shape::Frame => plan.window(exprs)?.build()?,
        };
        let batches = context.execute_logical_plan(plan).await?.collect().await?;
        let schema = batches.first().map(RecordBatch::schema).ok_or_else(|| DataFusionError::Internal("no result".into()))?;
        Ok(((lowered.finish)(columns)?, concat_batches(&schema, &batches)?))
    }
    .await;
    let (value, batch) = result.map_err(|e| message(&e))?;
    let texts = printed(&value, &batch)?;
    let key = match shape {
        Shape::All => return Ok(texts.into_iter().map(|t| (0, t)).collect()),
        Shape::Groups => "g",
        Shape::Frame => "i",
    };
    let keys = batch.column_by_name(key).and_then(|c| c.as_any().downcast_ref::<Int32Array>().cloned()).expect("key");
    Ok(keys.iter().flatten().zip(texts).collect())
}

#[tokio::test]
async fn aggregates_answer_as_postgres_did() {
    let path = std::env::var("WEIR_GOLDEN").map(|dir| format!("{dir}/aggregate.txt"));
    let text = path.map_or_else(|_| include_str!("aggregate.txt").to_owned(), |p| std::fs::read_to_string(p).expect("golden table"));
    let mut groups: BTreeMap<(u32, &str, &str), Vec<Case<'_>>> = BTreeMap::new();
    for (line, l) in text.lines().enumerate() {
        let fields: Vec<&str> = l.split('\t').collect();
        let values: Vec<Option<&str>> = fields[3].split(' ').filter(|v| !v.is_empty()).map(|v| (v != "\\N").then_some(v)).collect();
        groups.entry((fields[0].parse().expect("oid"), fields[1], fields[2])).or_default().push(Case { values, expected: fields[4], line: line + 1 });
    }
    let (mut wrong, mut refused, mut total) = (vec![], vec![], 0);
    for ((func, ty, mode), cases) in &groups {
        let pg = pg_type(ty);
        let mut check = |case: &Case<'_>, shape: &str, got: &str| {
            total += 1;
            if got.starts_with("refused: ") {
                refused.push(format!("{}: {func}({ty}) {mode} {shape} {:?} {got}", case.line, case.values));
            } else if got != case.expected {
                wrong.push(format!("{}: {func}({ty}) {mode} {shape} {:?} = {}, not {got}", case.line, case.values, case.expected));
            }
        };
        for case in cases {
            let shape = if *mode == "W" { Shape::Frame } else { Shape::All };
            // A frame over no rows has no result; the table says NULL.
            if shape == Shape::Frame && case.values.is_empty() {
                continue;
            }
            let got = match run(*func, pg, *mode == "D", &[case], shape).await {
                Ok(mut results) => {
                    results.sort_by_key(|r| r.0);
                    results.into_iter().map(|r| r.1).collect::<Vec<_>>().join("|")
                }
                Err(e) => e,
            };
            check(case, "alone", &got);
        }
        if *mode != "W" {
            let good: Vec<&Case<'_>> = cases.iter().filter(|c| !c.expected.starts_with('!') && !c.values.is_empty()).collect();
            match run(*func, pg, *mode == "D", &good, Shape::Groups).await {
                Ok(results) => results.iter().for_each(|(g, got)| check(good[*g as usize], "group", got)),
                Err(e) => good.iter().take(1).for_each(|c| check(c, "group", &e)),
            }
        }
    }
    assert!(wrong.is_empty(), "{} of {total} wrong:\n{}", wrong.len(), wrong.iter().take(60).cloned().collect::<Vec<_>>().join("\n"));
    if std::env::var("WEIR_GOLDEN").is_ok() {
        println!("{} of {total} refused:\n{}", refused.len(), refused.join("\n"));
    }
    assert!(refused.len() * 10 < total, "{} of {total} refused:\n{}", refused.len(), refused.join("\n"));
}

/// A row without a lowering would be refused by the engine after having been promised.
#[test]
fn every_row_is_lowered() {
    let session = session();
    let numeric = |t: &str| matches!(t, "boolean" | "smallint" | "integer" | "bigint" | "float4" | "float8" | "numeric");
    for row in weir_plan::functions::rows() {
        let types = types_of(row.name);
        if row.kind != weir_plan::functions::FunctionKind::Aggregate || types.is_empty() || !types.iter().all(|t| numeric(t)) || types == ["boolean"] {
            continue;
        }
        let args: Vec<Value> = types.iter().enumerate().map(|(i, t)| value(&format!("c{i}"), pg_type(t))).collect();
        let ty = result_type(row.oid, pg_type(types[0]));
        let call = AggArgs {
            func: row.oid,
            direct: vec![],
            args,
            distinct: false,
            order_by: vec![],
            windowed: false,
            ty,
            collation: Collation::None,
            session: &session,
        };
        match lower(&call) {
            Ok(lowered) => {
                let columns = (0..lowered.parts.len()).map(|n| col(format!("p{n}"))).collect();
                if let Err(e) = (lowered.finish)(columns) {
                    panic!("{}: {e}", row.name);
                }
            }
            Err(e) => panic!("{}: {e}", row.name),
        }
    }
}
