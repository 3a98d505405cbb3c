//! Answers of a real Postgres 15 (`tests/golden/time.tsv`, written by `time.py` beside it), and that every row has an implementation.
//!
//! `WEIR_GOLDEN_TIME` names another file of the same form, for longer runs.

use super::via_text;
use crate::value::{Call, DScale, Value};
use arrow::array::{Array, ArrayRef, AsArray, RecordBatch, RecordBatchOptions};
use arrow::datatypes::{
    DataType, Date32Type, Field, Float64Type, Int32Type, IntervalMonthDayNano, IntervalMonthDayNanoType, Schema, Time64MicrosecondType,
    TimestampMicrosecondType,
};
use datafusion::common::{DFSchema, ScalarValue};
use datafusion::execution::context::ExecutionProps;
use datafusion::logical_expr::{ColumnarValue, Expr, col, lit};
use datafusion::physical_expr::create_physical_expr;
use std::collections::BTreeMap;
use std::sync::Arc;
use weir_plan::Kind;
use weir_plan::ir::{Collation, Fidelity, Session};
use weir_plan::types::{PgType, arrow_type, oid};

const EPOCH_US: i64 = 946_684_800_000_000;

fn session(timezone: &str) -> Session {
    Session {
        timezone: timezone.to_owned(),
        date_style: "ISO, MDY".to_owned(),
        interval_style: "postgres".to_owned(),
        extra_float_digits: 1,
        fidelity: Fidelity::Exact,
        engine: weir_plan::ir::Embedded::DataFusion,
        ctypes: Vec::new(),
        collate_is_bytes: true,
        quote_all_identifiers: false,
        server_version_num: 150_000,
    }
}

fn pg_type(name: &str) -> PgType {
    PgType::new(match name {
        "date" => oid::DATE,
        "time" => oid::TIME,
        "timestamp" => oid::TIMESTAMP,
        "timestamptz" => oid::TIMESTAMPTZ,
        "interval" => oid::INTERVAL,
        "text" => oid::TEXT,
        "int4" => oid::INT4,
        "float8" => oid::FLOAT8,
        "bool" => oid::BOOL,
        "numeric" => oid::NUMERIC,
        other => panic!("type {other}"),
    })
}

/// A golden value as an Arrow scalar; `None` if our form cannot hold it.
fn scalar(ty: &str, text: &str) -> Option<ScalarValue> {
    let arrow = arrow_type(&pg_type(ty)).unwrap();
    if text == "\\N" {
        return Some(ScalarValue::try_new_null(&arrow).unwrap());
    }
    let i64_at =
        |from: usize| i64::from_str_radix(&text[from..from + 16], 16).or_else(|_| u64::from_str_radix(&text[from..from + 16], 16).map(|x| x as i64)).unwrap();
    let i32_at = |from: usize| u32::from_str_radix(&text[from..from + 8], 16).unwrap() as i32;
    Some(match ty {
        "date" => ScalarValue::Date32(Some(match i32_at(0) {
            d @ (i32::MAX | i32::MIN) => d,
            d => d + 10_957,
        })),
        "time" => ScalarValue::Time64Microsecond(Some(i64_at(0))),
        "timestamp" | "timestamptz" => {
            let t = match i64_at(0) {
                t @ (i64::MAX | i64::MIN) => t,
                t => t.checked_add(EPOCH_US)?,
            };
            ScalarValue::TimestampMicrosecond(Some(t), (ty == "timestamptz").then(|| "UTC".into()))
        }
        "interval" => {
            let nanoseconds = i64_at(0).checked_mul(1000)?;
            ScalarValue::IntervalMonthDayNano(Some(IntervalMonthDayNano { months: i32_at(24), days: i32_at(16), nanoseconds }))
        }
        "text" => ScalarValue::Utf8View(Some(text.to_owned())),
        "int4" => ScalarValue::Int32(Some(text.parse().unwrap())),
        "float8" => ScalarValue::Float64(Some(f64::from_bits(i64_at(0) as u64))),
        other => panic!("argument of type {other}"),
    })
}

/// A row of an array in golden form.
fn golden(ty: &str, dscale: Option<&DScale>, array: &ArrayRef, row: usize) -> String {
    if array.is_null(row) {
        return "\\N".to_owned();
    }
    match ty {
        "date" => format!(
            "{:08x}",
            match array.as_primitive::<Date32Type>().value(row) {
                d @ (i32::MAX | i32::MIN) => d,
                d => d - 10_957,
            }
        ),
        "time" => format!("{:016x}", array.as_primitive::<Time64MicrosecondType>().value(row)),
        "timestamp" | "timestamptz" => format!(
            "{:016x}",
            match array.as_primitive::<TimestampMicrosecondType>().value(row) {
                t @ (i64::MAX | i64::MIN) => t,
                t => t - EPOCH_US,
            }
        ),
        "interval" => {
            let i = array.as_primitive::<IntervalMonthDayNanoType>().value(row);
            format!("{:016x}{:08x}{:08x}", i.nanoseconds / 1000, i.days, i.months)
        }
        "text" => array.as_string_view().value(row).to_owned(),
        "int4" => array.as_primitive::<Int32Type>().value(row).to_string(),
        "float8" => format!("{:016x}", array.as_primitive::<Float64Type>().value(row).to_bits()),
        "bool" => array.as_boolean().value(row).to_string(),
        "numeric" => {
            assert!(matches!(dscale, Some(DScale::Static(_))), "a numeric of dynamic scale");
            arrow::util::display::array_value_to_string(array, row).unwrap()
        }
        other => panic!("result of type {other}"),
    }
}

struct Case<'a> {
    oid: u32,
    zone: &'a str,
    args: Vec<(&'a str, &'a str)>,
    /// (type, value) or an SQLSTATE.
    expected: Result<(&'a str, &'a str), &'a str>,
    line: &'a str,
}

fn cases(text: &str) -> Vec<Case<'_>> {
    text.lines()
        .map(|line| {
            let fields: Vec<&str> = line.split('\t').collect();
            let (last, front) = fields.split_last().unwrap();
            Case {
                oid: front[0].parse().unwrap(),
                zone: front[1],
                args: front[2..].iter().map(|f| f.split_once(':').unwrap()).collect(),
                expected: last.strip_prefix('!').map_or_else(|| Ok(last.split_once(':').unwrap()), Err),
                line,
            }
        })
        .collect()
}

fn lower(oid: u32, args: Vec<Value>, ty: &str, session: &Session) -> datafusion::common::Result<Value> {
    if oid == 0 {
        return via_text(args[0].clone(), pg_type(ty), session).expect("a cast through text");
    }
    super::lower(&Call { func: oid, args, ty: pg_type(ty), collation: Collation::None, session }).expect("a function of this domain")
}

fn evaluate(expr: &Expr, batch: &RecordBatch) -> datafusion::common::Result<ArrayRef> {
    let schema = DFSchema::try_from(batch.schema().as_ref().clone())?;
    let physical = create_physical_expr(expr, &schema, &ExecutionProps::new())?;
    match physical.evaluate(batch)? {
        ColumnarValue::Array(a) => Ok(a),
        scalar => scalar.to_array(batch.num_rows()),
    }
}

fn is_refused(e: &datafusion::common::DataFusionError) -> bool {
    crate::error::to_error(e).kind == Kind::Refused
}

#[test]
fn answers_are_those_of_postgres() {
    let text = match std::env::var("WEIR_GOLDEN_TIME") {
        Ok(path) => std::fs::read_to_string(path).unwrap(),
        Err(_) => include_str!("../../../tests/golden/time.tsv").to_owned(),
    };
    let cases = cases(&text);
    let nothing = RecordBatch::try_new_with_options(Arc::new(Schema::empty()), vec![], &RecordBatchOptions::new().with_row_count(Some(1))).unwrap();
    let mut wrong = Vec::new();
    let mut refusals: BTreeMap<(u32, String), usize> = BTreeMap::new();
    // Rows that can be computed, by function, zone, and text arguments: evaluated together as columns.
    let mut batches: BTreeMap<(u32, &str, Vec<String>), Vec<&Case<'_>>> = BTreeMap::new();
    let single = text.len() < 40_000_000;
    for case in &cases {
        let session = session(case.zone);
        let ty = match case.expected {
            Ok((ty, _)) => ty,
            Err(_) => result_type(case),
        };
        let Some(args) = case.args.iter().map(|(t, v)| scalar(t, v)).collect::<Option<Vec<_>>>() else { continue };
        if single {
            if matches!(case.oid, 1159 | 2069) {
                zone_by_row(case, ty, &session, &mut wrong);
            }
            let is_pair = case.oid != 0 && args.len() == 2 && case.args.iter().all(|(t, _)| *t != "text");
            let values = args.into_iter().zip(&case.args).map(|(s, (t, _))| Value::new(lit(s.clone()), s.data_type(), pg_type(t))).collect();
            let result = lower(case.oid, values, ty, &session).and_then(|v| {
                let array = evaluate(&v.expr, &nothing)?;
                assert_eq!(array.data_type(), &v.arrow, "{}", case.line);
                Ok(golden(ty, v.dscale.as_ref(), &array, 0))
            });
            if is_pair {
                mixed(case, ty, &session, &mut wrong);
            }
            match (&result, case.expected) {
                (Ok(got), Ok((_, want))) if got == want => {}
                (Err(e), Ok(_)) if is_refused(e) => {
                    *refusals.entry((case.oid, crate::error::to_error(e).message)).or_default() += 1;
                    continue;
                }
                (Err(e), Err(state)) if is_refused(e) || crate::error::to_error(e).sqlstate == state => continue,
                _ => {
                    wrong.push(format!("{}\n    got {:?}", case.line, result.map_err(|e| e.to_string())));
                    continue;
                }
            }
        }
        if case.expected.is_ok() {
            let key = case.args.iter().filter(|(t, _)| *t == "text" && case.oid != 0).map(|(t, v)| format!("{t}:{v}"));
            let key = key.chain(case.args.iter().filter(|_| case.oid == 0).map(|(t, _)| format!("{t}>{ty}"))).collect();
            batches.entry((case.oid, case.zone, key)).or_default().push(case);
        }
    }
    for ((oid, zone, _), rows) in &batches {
        let Some((ty, _)) = rows.first().and_then(|c| c.expected.ok()) else { continue };
        let mut fields = Vec::new();
        let mut columns = Vec::new();
        let mut values = Vec::new();
        for (i, (t, v)) in rows[0].args.iter().enumerate() {
            let arrow = arrow_type(&pg_type(t)).unwrap();
            if *t == "text" && *oid != 0 {
                let s = scalar(t, v).unwrap();
                values.push(Value::new(lit(s), arrow, pg_type(t)));
                continue;
            }
            columns.push(ScalarValue::iter_to_array(rows.iter().map(|c| scalar(t, c.args[i].1).unwrap())).unwrap());
            fields.push(Field::new(format!("a{i}"), arrow.clone(), true));
            values.push(Value::new(col(format!("a{i}")), arrow, pg_type(t)));
        }
        if columns.is_empty() {
            continue;
        }
        let batch = RecordBatch::try_new(Arc::new(Schema::new(fields)), columns).unwrap();
        let value = match lower(*oid, values, ty, &session(zone)) {
            Ok(v) => v,
            Err(e) if is_refused(&e) => {
                *refusals.entry((*oid, format!("column: {}", crate::error::to_error(&e).message))).or_default() += rows.len();
                continue;
            }
            Err(e) => panic!("{oid}: {e}"),
        };
        match evaluate(&value.expr, &batch) {
            Ok(array) => {
                for (i, case) in rows.iter().enumerate() {
                    let (got, want) = (golden(ty, value.dscale.as_ref(), &array, i), case.expected.unwrap().1);
                    if got != want {
                        wrong.push(format!("{}\n    in a column {got}", case.line));
                    }
                }
            }
            Err(e) => wrong.push(format!("function {oid} in {zone}: {e}")),
        }
    }
    for ((oid, why), count) in &refusals {
        println!("refused {oid} {count} times: {why}");
    }
    println!("{} cases, {} refused", cases.len(), refusals.values().sum::<usize>());
    assert!(wrong.is_empty(), "{} wrong:\n{}", wrong.len(), wrong[..wrong.len().min(40)].join("\n"));
}

/// A call with one constant and one column, which some functions compute otherwise.
fn mixed(case: &Case<'_>, ty: &str, session: &Session, wrong: &mut Vec<String>) {
    let Ok((_, want)) = case.expected else { return };
    for constant in [0, 1] {
        let column = 1 - constant;
        let scalars: Vec<ScalarValue> = case.args.iter().map(|(t, v)| scalar(t, v).unwrap()).collect();
        let value = |i: usize, expr| Value::new(expr, scalars[i].data_type(), pg_type(case.args[i].0));
        let values = (0..2).map(|i| value(i, if i == column { col("a") } else { lit(scalars[i].clone()) })).collect();
        let field = Field::new("a", scalars[column].data_type(), true);
        let batch = RecordBatch::try_new(Arc::new(Schema::new(vec![field])), vec![scalars[column].to_array().unwrap()]).unwrap();
        match lower(case.oid, values, ty, session).and_then(|v| Ok(golden(ty, v.dscale.as_ref(), &evaluate(&v.expr, &batch)?, 0))) {
            Ok(got) if got == want => {}
            Err(e) if is_refused(&e) => {}
            other => wrong.push(format!("{}\n    with argument {constant} constant {:?}", case.line, other.map_err(|e| e.to_string()))),
        }
    }
}

/// AT TIME ZONE with the name in a column.
fn zone_by_row(case: &Case<'_>, ty: &str, session: &Session, wrong: &mut Vec<String>) {
    let Ok((_, want)) = case.expected else { return };
    let scalars: Vec<ScalarValue> = case.args.iter().map(|(t, v)| scalar(t, v).unwrap()).collect();
    let fields: Vec<Field> = scalars.iter().enumerate().map(|(i, s)| Field::new(format!("a{i}"), s.data_type(), true)).collect();
    let batch = RecordBatch::try_new(Arc::new(Schema::new(fields)), scalars.iter().map(|s| s.to_array().unwrap()).collect()).unwrap();
    let values = (0..2).map(|i| Value::new(col(format!("a{i}")), scalars[i].data_type(), pg_type(case.args[i].0))).collect();
    match lower(case.oid, values, ty, session).and_then(|v| Ok(golden(ty, None, &evaluate(&v.expr, &batch)?, 0))) {
        Ok(got) if got == want => {}
        Err(e) if is_refused(&e) => {}
        other => wrong.push(format!("{}\n    with the zone in a column {:?}", case.line, other.map_err(|e| e.to_string()))),
    }
}

/// The result type of a case that raised an error.
fn result_type(case: &Case<'_>) -> &'static str {
    let args: Vec<&str> = case.args.iter().map(|(t, _)| *t).collect();
    match (case.oid, args.as_slice()) {
        (1141 | 1142 | 2550 | 3846 | 1780 | 2029 | 1178, _) => "date",
        (1140, _) => "int4",
        (1384 | 1385 | 2021 | 1171 | 1172, _) => "float8",
        (6199..=6204, _) => "numeric",
        (2031 | 1188 | 1169 | 1170 | 1168 | 1618 | 1624 | 1326 | 1295 | 1175 | 2711 | 1200 | 1370 | 2058 | 1199 | 1218 | 3464, _) => "interval",
        (1189 | 1190 | 2549 | 1174 | 2028 | 1176 | 1217 | 1284 | 6178 | 2069 | 2070 | 3462 | 3463 | 1967 | 1158 | 1778, _) => "timestamptz",
        (3847 | 1968 | 1747 | 1748 | 1848, _) => "time",
        (1304..=1311 | 2041..=2044, _) => "bool",
        (2049 | 1770, _) => "text",
        _ => "timestamp",
    }
}

#[test]
fn every_row_has_an_implementation() {
    let session = session("Europe/Berlin");
    // The rows of this domain are not public: read them where they stand.
    let ours: Vec<u32> = include_str!("../../../../src/functions/time.rs")
        .lines()
        .filter_map(|l| l.trim().strip_prefix("Row::scalar(")?.split_once(',')?.0.parse().ok())
        .collect();
    assert!(ours.len() > 150, "{} rows", ours.len());
    for row in ours.iter().map(|oid| weir_plan::functions::row(*oid).unwrap()) {
        let arguments = row.name.split_once('(').unwrap().1.trim_end_matches(')');
        let args: Vec<Value> = arguments
            .split(", ")
            .enumerate()
            .map(|(i, t)| {
                if t == "text" {
                    let text = match (row.oid, i) {
                        (1159 | 2069, 0) | (1284, 2) | (3463, 6) => "Europe/Berlin",
                        (2049 | 1770 | 1778 | 1780, 1) => "YYYY-MM-DD",
                        (1778 | 1780, 0) => "2024-01-01",
                        _ => "hour",
                    };
                    let text = if matches!(row.oid, 6199) { "year" } else { text };
                    return Value::new(lit(ScalarValue::Utf8View(Some(text.to_owned()))), DataType::Utf8View, PgType::TEXT);
                }
                let ty = pg_type(t);
                Value::new(col(format!("a{i}")), arrow_type(&ty).unwrap(), ty)
            })
            .collect();
        let case = Case { oid: row.oid, zone: "UTC", args: arguments.split(", ").map(|t| (t, "")).collect(), expected: Err(""), line: "" };
        let ty = result_type(&case);
        let lowered = super::lower(&Call { func: row.oid, args, ty: pg_type(ty), collation: Collation::None, session: &session });
        assert!(matches!(lowered, Some(Ok(_))), "{} {} is not implemented: {lowered:?}", row.oid, row.name);
    }
}
