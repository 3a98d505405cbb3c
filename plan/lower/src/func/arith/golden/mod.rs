//! Arithmetic and aggregates against what Postgres 15 answered (`generate.py` wrote the tables).
//!
//! Rows of one function and one list of types are computed as columns of one batch, with a NULL row among them. An engine that
//! refuses what Postgres can answer is not wrong, but the number of such rows is bounded here.

mod aggregate;

use crate::error::to_error;
use crate::func::arith::cast;
use crate::func::arith::numeric::{Parsed, parse, pow10};
use crate::value::{Call, DScale, Value};
use arrow::array::{
    Array, ArrayRef, AsArray, BooleanArray, Float32Array, Float64Array, Int16Array, Int32Array, Int64Array, PrimitiveBuilder, RecordBatch, StringViewArray,
};
use arrow::datatypes::{DataType, Decimal128Type, Decimal256Type, Field, Schema, i256};
use datafusion::common::{DFSchema, ScalarValue};
use datafusion::execution::context::ExecutionProps;
use datafusion::logical_expr::{Expr, col, lit};
use datafusion::physical_expr::create_physical_expr;
use std::collections::BTreeMap;
use std::sync::Arc;
use weir_plan::Kind;
use weir_plan::ir::{Collation, Fidelity, Session};
use weir_plan::types::{NumericForm, PgType, arrow_type, oid};

pub(super) fn session() -> Session {
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

pub(super) fn pg_type(name: &str) -> PgType {
    let name = name.trim_start_matches('=');
    if let Some((p, s)) = name.strip_prefix("numeric(").and_then(|n| n.strip_suffix(')')).and_then(|n| n.split_once(',')) {
        let (p, s): (i32, i32) = (p.parse().expect("precision"), s.parse().expect("scale"));
        return PgType::with_typmod(oid::NUMERIC, ((p << 16) | (s & 0x7ff)) + 4);
    }
    PgType::new(match name {
        "bool" | "boolean" => oid::BOOL,
        "int2" | "smallint" => oid::INT2,
        "int4" | "integer" => oid::INT4,
        "int8" | "bigint" => oid::INT8,
        "float4" => oid::FLOAT4,
        "float8" => oid::FLOAT8,
        "numeric" => oid::NUMERIC,
        "text" => oid::TEXT,
        other => panic!("type {other}"),
    })
}

fn float(s: &str) -> f64 {
    match s {
        "Infinity" => f64::INFINITY,
        "-Infinity" => f64::NEG_INFINITY,
        _ => s.parse().expect("float"),
    }
}

/// The physical columns of a logical one; `None` is NULL.
pub(super) fn columns(ty: &PgType, values: &[Option<&str>]) -> Vec<ArrayRef> {
    let each = |f: &dyn Fn(&str) -> i64| values.iter().map(|v| v.map(f)).collect::<Vec<_>>();
    vec![match ty.base {
        oid::BOOL => Arc::new(values.iter().map(|v| v.map(|v| v == "t")).collect::<BooleanArray>()) as ArrayRef,
        oid::INT2 => Arc::new(Int16Array::from(each(&|v| v.parse().expect("int")).iter().map(|v| v.map(|v| v as i16)).collect::<Vec<_>>())),
        oid::INT4 => Arc::new(Int32Array::from(each(&|v| v.parse().expect("int")).iter().map(|v| v.map(|v| v as i32)).collect::<Vec<_>>())),
        oid::INT8 => Arc::new(Int64Array::from(each(&|v| v.parse().expect("int")))),
        oid::FLOAT4 => Arc::new(Float32Array::from(values.iter().map(|v| v.map(|v| v.parse::<f32>().unwrap_or(float(v) as f32))).collect::<Vec<_>>())),
        oid::FLOAT8 => Arc::new(Float64Array::from(values.iter().map(|v| v.map(float)).collect::<Vec<_>>())),
        oid::TEXT => Arc::new(values.iter().copied().collect::<StringViewArray>()),
        oid::NUMERIC => {
            let form = NumericForm::of_column(ty);
            let ty = form.data_type();
            let mut scales = Int16Array::builder(values.len());
            let mut narrow = PrimitiveBuilder::<Decimal128Type>::new();
            let mut wide = PrimitiveBuilder::<Decimal256Type>::new();
            for v in values {
                let unscaled = v.map(|v| match parse(v) {
                    Parsed::Number(n, d) => {
                        scales.append_value(d as i16);
                        n.wrapping_mul(pow10((i32::from(form.scale) - d) as u32))
                    }
                    other => panic!("numeric {v}: {other:?}"),
                });
                if unscaled.is_none() {
                    scales.append_null();
                }
                narrow.append_option(unscaled.and_then(i256::to_i128));
                wide.append_option(unscaled);
            }
            let values: ArrayRef = match ty {
                DataType::Decimal128(..) => Arc::new(narrow.finish().with_data_type(ty)),
                _ => Arc::new(wide.finish().with_data_type(ty)),
            };
            return if form.dynamic { vec![values, Arc::new(scales.finish())] } else { vec![values] };
        }
        other => panic!("type {other}"),
    }]
}

/// The logical column whose physical columns are `name` and `name_s`.
pub(super) fn value(name: &str, ty: PgType) -> Value {
    let arrow = arrow_type(&ty).expect("a supported type");
    if ty.base != oid::NUMERIC {
        return Value::new(col(name), arrow, ty);
    }
    let form = NumericForm::of_column(&ty);
    let dscale = if form.dynamic { DScale::Dynamic(col(format!("{name}_s"))) } else { DScale::Static(form.scale) };
    Value::numeric(col(name), arrow, ty, dscale)
}

/// A logical column by name.
pub(super) fn batch(columns_: &[(String, PgType, Vec<Option<&str>>)]) -> RecordBatch {
    let (mut fields, mut arrays) = (vec![], vec![]);
    for (name, ty, values) in columns_ {
        for (i, array) in columns(ty, values).into_iter().enumerate() {
            fields.push(Field::new(if i == 0 { name.clone() } else { format!("{name}_s") }, array.data_type().clone(), true));
            arrays.push(array);
        }
    }
    fields.push(Field::new("nothing", DataType::Boolean, true));
    let rows = columns_.first().map_or(1, |c| c.2.len());
    arrays.push(Arc::new(BooleanArray::new_null(rows)));
    RecordBatch::try_new(Arc::new(Schema::new(fields)), arrays).expect("batch")
}

/// What Postgres would print of the expression's value in each row.
pub(super) fn printed(value: &Value, batch: &RecordBatch) -> Result<Vec<String>, String> {
    // A cast to text spells booleans out.
    let text = match value.arrow {
        DataType::Boolean => {
            datafusion::logical_expr::when(value.expr.clone().is_true(), lit("true")).when(value.expr.clone().is_false(), lit("false")).end().expect("case")
        }
        DataType::Utf8View => value.expr.clone(),
        _ => cast::output(value, &session()).expect("a type that is printed").map_err(|e| message(&e))?,
    };
    let schema = DFSchema::try_from(batch.schema()).expect("schema");
    let physical = create_physical_expr(&text, &schema, &ExecutionProps::new()).map_err(|e| message(&e))?;
    let result = physical.evaluate(batch).and_then(|v| v.into_array(batch.num_rows())).map_err(|e| message(&e))?;
    let result = arrow::compute::cast(&result, &DataType::Utf8View).expect("text");
    Ok(result.as_string_view().iter().map(|v| v.unwrap_or("\\N").to_owned()).collect())
}

pub(super) fn message(e: &datafusion::common::DataFusionError) -> String {
    let e = to_error(e);
    if e.kind == Kind::Refused { format!("refused: {}", e.message) } else { format!("!{} {}", e.sqlstate, e.message) }
}

struct Case<'a> {
    args: Vec<&'a str>,
    expected: &'a str,
    line: usize,
}

fn run(func: &str, types: &[&str], cases: &[&Case<'_>]) -> Result<Vec<String>, String> {
    let mut data = vec![];
    let mut args = vec![];
    for (i, ty) in types.iter().enumerate() {
        let pg = pg_type(ty);
        let name = format!("c{i}");
        // The last row is NULL.
        let values: Vec<Option<&str>> = cases.iter().map(|c| Some(c.args[i])).chain([None]).collect();
        if ty.starts_with('=') {
            args.push(Value::new(Expr::Literal(ScalarValue::Int32(Some(cases[0].args[i].parse().expect("int4 constant"))), None), DataType::Int32, pg));
        } else {
            args.push(value(&name, pg));
            data.push((name, pg, values));
        }
    }
    let session = session();
    let result = if let Some(to) = func.strip_prefix('>') {
        cast::via_text(args.remove(0), pg_type(to), &session).expect("a cast through text")
    } else {
        let func: u32 = func.parse().expect("oid");
        let row = weir_plan::functions::row(func).expect("a row");
        crate::func::lower(&Call { func, args, ty: result_type(row.oid, types), collation: Collation::None, session: &session })
    };
    let mut results = printed(&result.map_err(|e| message(&e))?, &batch(&data))?;
    if !data.is_empty() {
        assert_eq!(results.pop().as_deref(), Some("\\N"), "{func}({types:?}) of NULL");
    }
    Ok(results)
}

/// The result types that lowering cannot tell from the arguments.
fn result_type(func: u32, types: &[&str]) -> PgType {
    let widest = types.iter().map(|t| pg_type(t)).max_by_key(|t| match t.base {
        oid::INT2 => 0,
        oid::INT4 => 1,
        _ => 2,
    });
    match func {
        314 | 714 | 237 | 238 | 1783 => PgType::INT2,
        313 | 317 | 319 | 480 | 1744 | 2558 | 3281 | 5042 => PgType::INT4,
        481 | 483 | 653 | 754 | 1779 => PgType::INT8,
        236 | 318 | 652 | 312 | 1745 => PgType::FLOAT4,
        235 | 316 | 482 | 311 | 1746 => PgType::FLOAT8,
        2971 => PgType::TEXT,
        1896 | 1897 | 1902 | 1903 | 1908 | 1909 => pg_type(types[0]),
        279..=286 => PgType::FLOAT8,
        _ => widest.unwrap_or(PgType::FLOAT8),
    }
}

#[test]
fn functions_answer_as_postgres_did() {
    let path = std::env::var("WEIR_GOLDEN").map(|dir| format!("{dir}/scalar.txt"));
    let text = path.map_or_else(|_| include_str!("scalar.txt").to_owned(), |p| std::fs::read_to_string(p).expect("golden table"));
    let mut groups: BTreeMap<(&str, &str, String), Vec<Case<'_>>> = BTreeMap::new();
    for (line, l) in text.lines().enumerate() {
        let mut fields: Vec<&str> = l.split('\t').collect();
        // A text argument may contain tabs.
        if fields[1] == "text" && fields.len() > 4 {
            let end = l.rfind('\t').expect("result");
            fields = vec![fields[0], fields[1], &l[fields[0].len() + 6..end], &l[end + 1..]];
        }
        let types: Vec<&str> = if fields[1].is_empty() { vec![] } else { fields[1].split(';').collect() };
        let args = fields[2..2 + types.len()].to_vec();
        let constants: String = types.iter().zip(&args).filter(|(t, _)| t.starts_with('=')).map(|(_, a)| *a).collect();
        groups.entry((fields[0], fields[1], constants)).or_default().push(Case { args, expected: fields[2 + types.len()], line: line + 1 });
    }
    let (mut wrong, mut refused, mut total) = (vec![], vec![], 0);
    for ((func, types, _), cases) in &groups {
        let types: Vec<&str> = if types.is_empty() { vec![] } else { types.split(';').collect() };
        let mut check = |case: &Case<'_>, got: &str| {
            total += 1;
            if got.starts_with("refused: ") {
                refused.push(format!("{}: {func}({}) {:?}", case.line, types.join(","), case.args));
            } else if got != case.expected {
                wrong.push(format!("{}: {func}({}) {:?} = {}, not {got}", case.line, types.join(","), case.args, case.expected));
            }
        };
        let (fails, works): (Vec<&Case<'_>>, Vec<&Case<'_>>) = cases.iter().partition(|c| c.expected.starts_with('!'));
        match run(func, &types, &works) {
            Ok(results) => works.iter().zip(&results).for_each(|(c, r)| check(c, r)),
            // One row spoils the batch: each for itself.
            Err(_) => works.iter().for_each(|c| check(c, &run(func, &types, &[c]).map_or_else(|e| e, |r| r[0].clone()))),
        }
        for case in fails {
            check(case, &run(func, &types, &[case]).map_or_else(|e| e, |r| r[0].clone()));
        }
    }
    assert!(wrong.is_empty(), "{} of {total} wrong:\n{}", wrong.len(), wrong.iter().take(60).cloned().collect::<Vec<_>>().join("\n"));
    if std::env::var("WEIR_GOLDEN").is_ok() {
        println!("{} of {total} refused:\n{}", refused.len(), refused.join("\n"));
    }
    assert!(refused.len() * 20 < total, "{} of {total} refused:\n{}", refused.len(), refused.join("\n"));
}

/// The types in parentheses of a row's name.
pub(super) fn types_of(name: &str) -> Vec<&str> {
    let inner = name.split_once('(').and_then(|(_, rest)| rest.strip_suffix(')')).expect("a name with types");
    if inner.is_empty() || inner == "*" { vec![] } else { inner.split(',').collect() }
}

/// A row without a lowering would be refused by the engine after having been promised.
#[test]
fn every_row_is_lowered() {
    let session = session();
    // Up to the last row of `functions/arith.rs`.
    for row in weir_plan::functions::rows().take_while(|r| r.oid != 2971) {
        let types = types_of(row.name);
        let mut args: Vec<Value> = types.iter().enumerate().map(|(i, t)| value(&format!("c{i}"), pg_type(t))).collect();
        if row.oid == 1703 {
            args[1] = Value::new(lit(655_366_i32), DataType::Int32, PgType::INT4);
        }
        let ty = result_type(row.oid, &types);
        if let Err(e) = crate::func::lower(&Call { func: row.oid, args, ty, collation: Collation::None, session: &session }) {
            panic!("{}: {e}", row.name);
        }
    }
}
