//! Aggregates: over one group and over several, in several partitions.

use super::values::{array_items, pg_type, scalar, session};
use arrow::array::{ArrayRef, Int32Array, RecordBatch};
use arrow::compute::concat_batches;
use arrow::datatypes::{DataType, Field, Schema};
use datafusion::common::ScalarValue;
use datafusion::datasource::MemTable;
use datafusion::logical_expr::expr::AggregateFunction;
use datafusion::logical_expr::{Expr, SortExpr, col, lit};
use datafusion::prelude::{SessionConfig, SessionContext};
use serde_json::Value as Json;
use std::sync::Arc;
use weir_lower::agg::{self, AggArgs};
use weir_lower::error::to_error;
use weir_lower::value::{DScale, Value};
use weir_plan::ir::Collation;
use weir_plan::types::{PgType, arrow_type};
use weir_plan::{Error, Kind};

/// Rows in two partitions, with a group `g`: each row in groups 1 and 2, group 3 empty but for a FILTER.
fn table(types: &[PgType], rows: &[Vec<ScalarValue>]) -> MemTable {
    let mut fields = vec![Field::new("g", DataType::Int32, false)];
    fields.extend(types.iter().enumerate().map(|(i, t)| Field::new(format!("c{i}"), arrow_type(t).unwrap(), true)));
    let schema = Arc::new(Schema::new(fields));
    let part = |rows: &[&Vec<ScalarValue>]| {
        let groups: ArrayRef = Arc::new(Int32Array::from_iter_values(rows.iter().flat_map(|_| [1, 2])));
        let mut arrays = vec![groups];
        for (i, t) in types.iter().enumerate() {
            let values = rows.iter().flat_map(|r| [r[i].clone(), r[i].clone()]);
            arrays.push(if rows.is_empty() { arrow::array::new_empty_array(&arrow_type(t).unwrap()) } else { ScalarValue::iter_to_array(values).unwrap() });
        }
        RecordBatch::try_new(schema.clone(), arrays).unwrap()
    };
    let half = |n: usize| part(&rows.iter().skip(n).step_by(2).collect::<Vec<_>>());
    let (even, odd) = (half(0), half(1));
    MemTable::try_new(schema, vec![vec![even], vec![odd]]).unwrap()
}

async fn run(line: &Json, grouped: bool) -> Result<Vec<ScalarValue>, Error> {
    let types: Vec<PgType> = line["t"].as_array().unwrap().iter().map(|t| pg_type(t.as_str().unwrap())).collect();
    let rows: Vec<Vec<ScalarValue>> =
        line["rows"].as_array().unwrap().iter().map(|r| types.iter().zip(r.as_array().unwrap()).map(|(t, v)| scalar(t, v.as_str())).collect()).collect();
    let context = SessionContext::new_with_config(SessionConfig::new().with_target_partitions(2));
    let frame = context.read_table(Arc::new(table(&types, &rows))).unwrap();
    let session = session();
    let func = u32::try_from(line["f"].as_u64().unwrap()).unwrap();
    let sort: Vec<SortExpr> =
        line["sort"].as_array().unwrap().iter().map(|k| SortExpr::new(col(format!("c{}", k[0])), !k[1].as_bool().unwrap(), k[2].as_bool().unwrap())).collect();
    let direct_type = match func {
        3974 | 3972 => Some(PgType::FLOAT8),
        3980 | 3978 => Some(PgType::new(1022)),
        _ => None,
    };
    let args = usize::try_from(line["n"].as_u64().unwrap()).unwrap();
    let agg_args = AggArgs {
        func,
        direct: direct_type.iter().map(|t| Value::new(lit(scalar(t, line["direct"].as_str())), arrow_type(t).unwrap(), *t)).collect(),
        args: (0..args).map(|i| Value::new(col(format!("c{i}")), arrow_type(&types[i]).unwrap(), types[i])).collect(),
        distinct: line["distinct"].as_bool().unwrap(),
        order_by: sort,
        windowed: false,
        ty: result_type(func, types[0]),
        collation: Collation::None,
        session: &session,
    };
    let lowered = agg::lower(&agg_args).map_err(|e| to_error(&e))?;
    let parts: Vec<Expr> = lowered
        .parts
        .into_iter()
        .enumerate()
        .map(|(i, p)| {
            let call = Expr::AggregateFunction(AggregateFunction::new_udf(p.udf, p.args, p.distinct, None, p.order_by, None));
            call.alias(format!("p{i}"))
        })
        .collect();
    let columns = (0..parts.len()).map(|i| col(format!("p{i}"))).collect();
    let finish = (lowered.finish)(columns).map_err(|e| to_error(&e))?;
    let groups = if grouped { vec![col("g")] } else { vec![] };
    let frame = if grouped { frame } else { frame.filter(col("g").eq(lit(1))).unwrap() };
    let result = frame.aggregate(groups, parts).and_then(|f| f.select(vec![finish.expr.alias("r")])).map_err(|e| to_error(&e))?;
    let schema = Arc::new(result.schema().as_arrow().clone());
    let batches = result.collect().await.map_err(|e| to_error(&e))?;
    let batch = concat_batches(&schema, &batches).unwrap();
    assert_eq!(batch.column(0).data_type(), &finish.arrow, "{line}");
    Ok((0..batch.num_rows()).map(|r| ScalarValue::try_from_array(batch.column(0), r).unwrap()).collect())
}

fn result_type(func: u32, arg: PgType) -> PgType {
    match func {
        2335 | 3978 | 3980 => PgType::new(weir_plan::types::oid::ARRAYS.iter().find(|(_, e)| *e == arg.oid).map(|(a, _)| *a).unwrap()),
        _ => arg,
    }
}

#[tokio::test]
async fn aggregates_answer_as_postgres() {
    let text = std::fs::read_to_string(format!("{}/tests/golden/aggregates.jsonl", env!("CARGO_MANIFEST_DIR"))).unwrap();
    let (mut total, mut refused, mut wrong) = (0usize, 0usize, Vec::new());
    for line in text.lines() {
        let json: Json = serde_json::from_str(line).unwrap();
        let func = u32::try_from(json["f"].as_u64().unwrap()).unwrap();
        let ty = result_type(func, pg_type(json["t"][0].as_str().unwrap()));
        let want = scalar(&ty, json["v"].as_str());
        for grouped in [false, true] {
            total += 1;
            match run(&json, grouped).await {
                Ok(got) if json["e"].is_null() => {
                    let groups = if grouped && !json["rows"].as_array().unwrap().is_empty() { 2 } else { usize::from(!grouped) };
                    if got.len() != groups || got.iter().any(|g| *g != want) {
                        wrong.push(format!("{line} got {got:?}"));
                    }
                }
                // Without groups there is nobody to raise it.
                Ok(got) if got.is_empty() => {}
                Ok(got) => wrong.push(format!("{line} got {got:?}")),
                Err(e) if e.kind == Kind::Refused => {
                    refused += 1;
                    if std::env::var_os("GOLDEN_SHOW_REFUSED").is_some() {
                        println!("refused: {line} {e}");
                    }
                }
                Err(e) if json["e"].as_str() == Some(&e.sqlstate) => {}
                Err(e) => wrong.push(format!("{line} got error {} {e}", e.sqlstate)),
            }
        }
    }
    println!("aggregates.jsonl: {total} values, {refused} refused");
    assert!(wrong.is_empty(), "{} wrong:\n{}", wrong.len(), wrong.iter().take(30).cloned().collect::<Vec<_>>().join("\n"));
    assert!(refused * 10 <= total, "{refused} of {total} refused");
    assert_eq!(array_items("{a,NULL}").len(), 2);
}

/// Rows that the ORDER BY leaves undecided, and no ORDER BY at all.
#[tokio::test]
async fn undecided_order_is_refused() {
    let undecided = r#"{"f": 3538, "n": 2, "t": ["text", "text", "integer"], "rows": [["a", ",", "1"], ["b", ",", "1"]], "sort": [[2, false, false]], "direct": null, "distinct": false}"#;
    let unordered = r#"{"f": 2335, "n": 1, "t": ["integer"], "rows": [["1"], ["2"]], "sort": [], "direct": null, "distinct": false}"#;
    let text = r#"{"f": 2335, "n": 1, "t": ["text"], "rows": [["1"], ["2"]], "sort": [], "direct": null, "distinct": true}"#;
    for line in [undecided, unordered, text] {
        let refused = run(&serde_json::from_str(line).unwrap(), true).await;
        assert_eq!(refused.map_err(|e| e.kind), Err(Kind::Refused), "{line}");
    }
    let same = r#"{"f": 3538, "n": 2, "t": ["text", "text", "integer"], "rows": [["a", ",", "1"], ["a", ",", "1"]], "sort": [[2, false, false]], "direct": null, "distinct": false}"#;
    let answer = run(&serde_json::from_str(same).unwrap(), false).await;
    assert_eq!(answer, Ok(vec![ScalarValue::Utf8View(Some("a,a".into()))]));
}

/// Elements of a numeric array are text with their display scale; percentile_disc and mode keep the column's.
#[tokio::test]
async fn numerics_keep_their_display_scale() {
    let ty = PgType::with_typmod(weir_plan::types::oid::NUMERIC, ((10 << 16) | 2) + 4);
    let values: ArrayRef = Arc::new(arrow::array::Decimal128Array::from(vec![Some(150), Some(-25), None, Some(150)]).with_precision_and_scale(10, 2).unwrap());
    let batch = RecordBatch::try_from_iter([("c0", values)]).unwrap();
    let session = session();
    let context = SessionContext::new();
    for (func, ty_out, want) in [(2335, PgType::new(1231), "[-0.25, 1.50, 1.50, ]"), (3972, PgType::NUMERIC, "1.50"), (3984, PgType::NUMERIC, "1.50")] {
        let direct = if func == 3972 { vec![Value::new(lit(0.9f64), DataType::Float64, PgType::FLOAT8)] } else { vec![] };
        let value = Value::numeric(col("c0"), DataType::Decimal128(10, 2), ty, DScale::Static(2));
        let args = AggArgs {
            func,
            direct,
            args: vec![value],
            distinct: false,
            order_by: vec![SortExpr::new(col("c0"), true, false)],
            windowed: false,
            ty: ty_out,
            collation: Collation::None,
            session: &session,
        };
        let lowered = agg::lower(&args).unwrap();
        let part = lowered.parts.into_iter().next().unwrap();
        let call = Expr::AggregateFunction(AggregateFunction::new_udf(part.udf, part.args, part.distinct, None, part.order_by, None)).alias("p");
        let finish = (lowered.finish)(vec![col("p")]).unwrap();
        assert_eq!(finish.dscale.is_some(), func != 2335);
        let frame = context.read_batch(batch.clone()).unwrap().aggregate(vec![], vec![call]).unwrap().select(vec![finish.expr.alias("r")]).unwrap();
        let batches = frame.collect().await.unwrap();
        let shown = arrow::util::display::array_value_to_string(batches[0].column(0), 0).unwrap();
        assert_eq!(shown, want);
    }
}
