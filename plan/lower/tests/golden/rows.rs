//! Every row of these domains is lowered: nothing is promised that is not there.

use super::values::session;
use datafusion::logical_expr::{SortExpr, col};
use weir_lower::agg::{self, AggArgs};
use weir_lower::error::to_error;
use weir_lower::func;
use weir_lower::value::{Call, DScale, Value};
use weir_plan::functions::{FunctionKind, rows};
use weir_plan::ir::Collation;
use weir_plan::types::{PgType, arrow_type, oid};

/// The types of a row's signature, as its name spells them.
fn types(name: &str) -> Option<Vec<PgType>> {
    let (_, args) = name.strip_suffix(')')?.split_once('(')?;
    if args.is_empty() || args == "*" {
        return Some(Vec::new());
    }
    args.split(',').map(ty).collect()
}

fn ty(name: &str) -> Option<PgType> {
    let base = name.trim().trim_end_matches("[]");
    let element = match base {
        "text" | "any" | "\"any\"" | "anynonarray" | "anyelement" | "anycompatible" => oid::TEXT,
        "anyenum" => return Some(PgType { oid: 100_000, base: oid::ENUM, typmod: -1 }),
        "character varying" | "varchar" => oid::VARCHAR,
        "character" | "bpchar" => return Some(PgType::with_typmod(oid::BPCHAR, 9)),
        "name" => oid::NAME,
        "boolean" | "bool" => oid::BOOL,
        "bytea" => oid::BYTEA,
        "smallint" | "int2" => oid::INT2,
        "integer" | "int4" => oid::INT4,
        "bigint" | "int8" => oid::INT8,
        "real" | "float4" => oid::FLOAT4,
        "double precision" | "float8" => oid::FLOAT8,
        "numeric" => oid::NUMERIC,
        "date" => oid::DATE,
        "time" => oid::TIME,
        "timestamp" => oid::TIMESTAMP,
        "timestamptz" => oid::TIMESTAMPTZ,
        "interval" => oid::INTERVAL,
        "uuid" => oid::UUID,
        "oid" => oid::OID,
        "inet" => oid::INET,
        "macaddr" => oid::MACADDR,
        "json" => oid::JSON,
        "jsonb" => oid::JSONB,
        "anyarray" | "anycompatiblearray" => return Some(PgType::new(1009)),
        _ => return None,
    };
    if !name.ends_with("[]") {
        return Some(PgType::new(element));
    }
    oid::ARRAYS.iter().find(|(_, e)| *e == element).map(|(a, _)| PgType::new(*a))
}

fn column(i: usize, ty: PgType) -> Value {
    let ty = if ty.base == oid::NUMERIC { PgType::with_typmod(oid::NUMERIC, ((15 << 16) | 2) + 4) } else { ty };
    let arrow = arrow_type(&ty).unwrap();
    let dscale = (ty.base == oid::NUMERIC).then_some(DScale::Static(2));
    Value { expr: col(format!("c{i}")), arrow, ty, dscale }
}

#[test]
fn every_row_is_lowered() {
    let session = session();
    let mut missing = Vec::new();
    for row in rows() {
        // Rows of other domains are spelled otherwise, or need arguments of special values; those are tested there.
        let Some(types) = types(row.name) else { continue };
        let args: Vec<Value> = types.iter().enumerate().map(|(i, t)| column(i, *t)).collect();
        let error = match row.kind {
            FunctionKind::Scalar => {
                let call = Call { func: row.oid, args, ty: PgType::TEXT, collation: Collation::C, session: &session };
                func::lower(&call).err()
            }
            FunctionKind::Aggregate => {
                let ordered_set = matches!(row.oid, 3972 | 3974 | 3978 | 3980 | 3984);
                let direct = usize::from(ordered_set && row.oid != 3984);
                let agg = AggArgs {
                    func: row.oid,
                    direct: args.iter().take(direct).cloned().collect(),
                    args: args.into_iter().skip(direct).collect(),
                    distinct: false,
                    order_by: vec![SortExpr::new(col("c0"), true, false)],
                    windowed: false,
                    ty: if row.oid == 2335 { PgType::new(1009) } else { PgType::TEXT },
                    collation: Collation::C,
                    session: &session,
                };
                agg::lower(&agg).err()
            }
            FunctionKind::Window | FunctionKind::Set => None,
        };
        if let Some(e) = error.map(|e| to_error(&e)).filter(|e| e.message.ends_with("is not implemented")) {
            missing.push(format!("{} {}: {e}", row.oid, row.name));
        }
    }
    assert!(missing.is_empty(), "rows without a lowering:\n{}", missing.join("\n"));
}
