//! Casts through text.

use super::values::{pg_type, print, scalar, session};
use arrow::array::{RecordBatch, RecordBatchOptions};
use arrow::datatypes::Schema;
use datafusion::common::DFSchema;
use datafusion::execution::context::ExecutionProps;
use datafusion::logical_expr::lit;
use datafusion::physical_expr::create_physical_expr;
use serde_json::Value as Json;
use std::sync::Arc;
use weir_lower::error::to_error;
use weir_lower::func;
use weir_lower::value::Value;
use weir_plan::types::arrow_type;
use weir_plan::{Error, Kind};

fn cast(json: &Json) -> Result<Option<String>, Error> {
    let (source, target) = (pg_type(json["s"].as_str().unwrap()), pg_type(json["t"].as_str().unwrap()));
    let value = Value::new(lit(scalar(&source, json["a"].as_str())), arrow_type(&source).unwrap(), source);
    let lowered = func::via_text(&value, target, &session()).map_err(|e| to_error(&e))?;
    let physical = create_physical_expr(&lowered.expr, &DFSchema::empty(), &ExecutionProps::new()).map_err(|e| to_error(&e))?;
    let options = RecordBatchOptions::new().with_row_count(Some(1));
    let row = RecordBatch::try_new_with_options(Arc::new(Schema::empty()), vec![], &options).unwrap();
    let answer = physical.evaluate(&row).and_then(|v| v.into_array(1)).map_err(|e| to_error(&e))?;
    assert_eq!(answer.data_type(), &arrow_type(&target).unwrap());
    Ok(print(&answer, 0))
}

#[test]
fn casts_through_text_answer_as_postgres() {
    let text = std::fs::read_to_string(format!("{}/tests/golden/casts.jsonl", env!("CARGO_MANIFEST_DIR"))).unwrap();
    for line in text.lines() {
        let json: Json = serde_json::from_str(line).unwrap();
        match cast(&json) {
            Ok(got) => {
                assert!(json["e"].is_null(), "{line} got {got:?}");
                assert_eq!(got.as_deref(), json["v"].as_str(), "{line}");
            }
            Err(e) => assert!(!json["e"].is_null() && (e.kind == Kind::Refused || json["e"].as_str() == Some(&e.sqlstate)), "{line} got {e}"),
        }
    }
}
