//! Scalar functions.

use super::values::{pg_type, print, scalar, session};
use arrow::array::{ArrayRef, RecordBatch};
use arrow::datatypes::{Field, Schema};
use datafusion::common::{DFSchema, ScalarValue};
use datafusion::execution::context::ExecutionProps;
use datafusion::logical_expr::{Expr, col, lit};
use datafusion::physical_expr::create_physical_expr;
use serde_json::Value as Json;
use std::collections::BTreeMap;
use std::sync::Arc;
use weir_lower::error::to_error;
use weir_lower::func;
use weir_lower::value::{Call, Value};
use weir_plan::ir::{Collation, CtypeId};
use weir_plan::types::{PgType, arrow_type};
use weir_plan::{Error, Kind};

struct Case {
    args: Vec<ScalarValue>,
    want: Result<Option<String>, String>,
    line: String,
}

/// Runs a call over rows of arguments.
fn run(call: &Call<'_>, schema: &Schema, batch: &RecordBatch) -> Result<ArrayRef, Error> {
    let lowered = func::lower(call).map_err(|e| to_error(&e))?;
    let df_schema = DFSchema::try_from(schema.clone()).unwrap();
    let physical = create_physical_expr(&lowered.expr, &df_schema, &ExecutionProps::new()).map_err(|e| to_error(&e))?;
    let answer = physical.evaluate(batch).and_then(|v| v.into_array(batch.num_rows())).map_err(|e| to_error(&e))?;
    assert_eq!(answer.data_type(), &lowered.arrow, "function {}", call.func);
    Ok(answer)
}

fn check(file: &str, max_refused_percent: usize) {
    let text = std::fs::read_to_string(std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden").join(file)).unwrap();
    let mut groups: BTreeMap<(u32, Vec<String>, String, String), Vec<Case>> = BTreeMap::new();
    for line in text.lines() {
        let json: Json = serde_json::from_str(line).unwrap();
        let types: Vec<String> = json["t"].as_array().unwrap().iter().map(|t| t.as_str().unwrap().to_owned()).collect();
        let args = types.iter().zip(json["a"].as_array().unwrap()).map(|(t, a)| scalar(&pg_type(t), a.as_str())).collect();
        let want = match json["e"].as_str() {
            Some(state) => Err(state.to_owned()),
            None => Ok(json["v"].as_str().map(|v| if json["r"] == "character" { v.trim_end_matches(' ').to_owned() } else { v.to_owned() })),
        };
        let f = u32::try_from(json["f"].as_u64().unwrap()).unwrap();
        let key = (f, types, json["r"].as_str().unwrap().to_owned(), json["c"].as_str().unwrap().to_owned());
        groups.entry(key).or_default().push(Case { args, want, line: line.to_owned() });
    }
    let (mut total, mut refused, mut wrong) = (0usize, 0usize, Vec::new());
    for ((f, types, ret, coll), cases) in &groups {
        let c = coll == "C";
        let session = session();
        let types: Vec<PgType> = types.iter().map(|t| pg_type(t)).collect();
        let fields: Vec<Field> = types.iter().enumerate().map(|(i, t)| Field::new(format!("c{i}"), arrow_type(t).unwrap(), true)).collect();
        let schema = Schema::new(fields);
        let call = |constant: Option<&Case>| Call {
            func: *f,
            args: types
                .iter()
                .enumerate()
                .map(|(i, ty)| {
                    let expr: Expr = match constant {
                        Some(case) => lit(case.args[i].clone()),
                        None => col(format!("c{i}")),
                    };
                    Value::new(expr, arrow_type(ty).unwrap(), *ty)
                })
                .collect(),
            ty: pg_type(ret),
            collation: if c { Collation::C } else { Collation::Locale(CtypeId::ASCII) },
            session: &session,
        };
        let batch = |cases: &[&Case]| {
            let arrays = (0..types.len()).map(|i| ScalarValue::iter_to_array(cases.iter().map(|c| c.args[i].clone())).unwrap()).collect();
            RecordBatch::try_new(Arc::new(schema.clone()), arrays).unwrap()
        };
        // Rows that Postgres answers, as columns of one batch.
        let good: Vec<&Case> = cases.iter().filter(|c| c.want.is_ok()).collect();
        if !good.is_empty() {
            match run(&call(None), &schema, &batch(&good)) {
                Ok(answer) => {
                    for (row, case) in good.iter().enumerate() {
                        if case.want != Ok(print(&answer, row)) {
                            wrong.push(format!("columns: {} got {:?}", case.line, print(&answer, row)));
                        }
                    }
                }
                Err(e) if e.kind == Kind::Refused => {}
                Err(e) => wrong.push(format!("columns: function {f}: {e}")),
            }
        }
        // Each row alone, as constants; and with the first argument as a column.
        for case in cases {
            total += 1;
            let one = batch(&[case]);
            let mut mixed = call(Some(case));
            mixed.args[0].expr = col("c0");
            for (how, call) in [("constants", call(Some(case))), ("mixed", mixed)] {
                match (run(&call, &schema, &one), &case.want) {
                    (Ok(answer), Ok(want)) if *want == print(&answer, 0) => {}
                    (Ok(answer), _) => wrong.push(format!("{how}: {} got {:?}", case.line, print(&answer, 0))),
                    (Err(e), _) if e.kind == Kind::Refused => {
                        refused += usize::from(how == "mixed");
                        if std::env::var_os("GOLDEN_SHOW_REFUSED").is_some() {
                            println!("refused: {} {e}", case.line);
                        }
                    }
                    (Err(e), Err(state)) if e.sqlstate == *state => {}
                    (Err(e), _) => wrong.push(format!("{how}: {} got error {} {e}", case.line, e.sqlstate)),
                }
            }
        }
    }
    println!("{file}: {total} values, {refused} refused");
    assert!(wrong.is_empty(), "{} wrong:\n{}", wrong.len(), wrong.iter().take(40).cloned().collect::<Vec<_>>().join("\n"));
    assert!(refused * 100 <= total * max_refused_percent, "{refused} of {total} refused");
}

#[test]
fn text_functions_answer_as_postgres() {
    check("text.jsonl", 5);
}

#[test]
fn other_functions_answer_as_postgres() {
    check("misc.jsonl", 5);
}

/// Where Postgres takes the longest match, or patterns go beyond what is understood here, much is refused.
#[test]
fn regular_expressions_answer_as_postgres() {
    check("regex.jsonl", 25);
}

/// Values from elsewhere, e.g. random ones: set GOLDEN_FILE.
#[test]
fn values_of_a_file_answer_as_postgres() {
    if let Ok(file) = std::env::var("GOLDEN_FILE") {
        check(&file, 100);
    }
}
