//! Calls of all shippable functions that the dialect spells.

use super::catalog::{Catalog, Column, Function};
use super::constants::{Constant, constants};
use weir_plan::functions::FunctionKind;
use weir_plan::ir::{AggCall, Aggregate, Bound, ColId, Collation, Exclude, Expr, Frame, FrameUnits, Join, JoinKind, Named, Rel, Scalar, SortKey, WindowCall};
use weir_plan::types::{PgType, oid};

/// Calls of one form of a function at most.
const CALLS: usize = 24;
/// The column that a call is.
const CALL: ColId = ColId(5000);
/// `numeric(numeric, type modifier)`
const NUMERIC_CAST: u32 = 1703;

const FIELDS: &[&str] = &[
    "year",
    "month",
    "day",
    "quarter",
    "hour",
    "minute",
    "second",
    "week",
    "doy",
    "dow",
    "isodow",
    "isoyear",
    "decade",
    "century",
    "millennium",
    "epoch",
    "julian",
    "milliseconds",
    "microseconds",
    "timezone",
    "YEAR",
];

pub struct Call {
    /// The function with the types of its arguments, and which are constants.
    pub cell: String,
    pub sql: String,
    /// It is about two rows.
    pub pair: bool,
    pub is_bool: bool,
    /// It is no aggregate and no window function.
    pub is_scalar: bool,
}

#[derive(Default)]
pub struct Calls {
    pub scalars: Vec<Call>,
    pub aggregates: Vec<Call>,
    pub windows: Vec<Call>,
}

/// An argument, as SQL and in the plan, and what is said of it in the name of a cell.
#[derive(Clone)]
struct Arg {
    sql: String,
    expr: Expr,
    kind: String,
}

/// Constants for an argument, of which some functions want certain ones.
fn constants_for(f: &Function, at: usize, ty: PgType) -> Vec<Constant> {
    let exact = |list: &[&str]| list.iter().map(|t| Constant(format!("'{t}'::text"), Scalar::Text((*t).to_owned()))).collect();
    match f.name.as_str() {
        "extract" | "date_part" | "date_trunc" if at == 0 => exact(FIELDS),
        "numeric" if f.oid == NUMERIC_CAST && at == 1 => [(12, 1), (10, 0), (30, 10), (5, 2), (38, 19)]
            .map(|(p, s): (i32, i32)| Constant(format!("'{}'::int4", ((p << 16) | s) + 4), Scalar::Int4(((p << 16) | s) + 4)))
            .into(),
        _ => constants(ty),
    }
}

fn named(ty: PgType) -> &'static str {
    match ty.base {
        oid::BOOL => "boolean",
        oid::INT2 => "smallint",
        oid::INT4 => "integer",
        oid::INT8 => "bigint",
        oid::NUMERIC => "numeric",
        oid::FLOAT4 => "real",
        oid::FLOAT8 => "double precision",
        oid::TEXT => "text",
        oid::VARCHAR => "varchar",
        oid::BPCHAR => "char",
        oid::DATE => "date",
        oid::TIMESTAMP => "timestamp",
        oid::TIMESTAMPTZ => "timestamptz",
        _ => "?",
    }
}

/// The column that makes groups.
pub fn group(catalog: &Catalog) -> &'static str {
    if catalog.columns.iter().any(|c| c.name == "n2") { "n2" } else { "id" }
}

fn collation(args: &[Arg], f: &Function) -> Collation {
    let text = args.iter().zip(&f.args).any(|(_, t)| t.is_collatable());
    if text { Collation::C } else { Collation::None }
}

impl Calls {
    pub fn of(catalog: &Catalog, except: &[String]) -> Calls {
        let mut calls = Calls::default();
        for f in catalog.functions.iter().filter(|f| !except.iter().any(|e| e == f.shown)) {
            match f.kind {
                FunctionKind::Scalar => scalars(catalog, f, &mut calls.scalars),
                FunctionKind::Aggregate => {
                    aggregates(catalog, f, &mut calls.aggregates);
                    windows(catalog, f, &mut calls.windows);
                }
                FunctionKind::Window => windows(catalog, f, &mut calls.windows),
                FunctionKind::Set => {}
            }
        }
        calls
    }
}

fn column(of: &Column, second: bool, ty: PgType) -> Arg {
    Arg { sql: format!("{}.{}", if second { "b" } else { "a" }, of.name), expr: Catalog::argument(of, second, ty), kind: named(of.ty).to_owned() }
}

/// The arguments of calls: columns in all places, of two rows; and in each place a column, with constants in the others.
fn arguments(catalog: &Catalog, f: &Function) -> Vec<(Vec<Arg>, bool)> {
    let mut out = Vec::new();
    if f.args.is_empty() {
        return out;
    }
    let constant = |at: usize, ty: PgType| -> Vec<Arg> {
        constants_for(f, at, ty)
            .into_iter()
            .map(|Constant(sql, value)| Arg { sql, expr: Expr::Const { value, ty: PgType::new(ty.base) }, kind: format!("constant {}", named(ty)) })
            .collect()
    };
    let places = |fixed: Option<usize>| -> Vec<Vec<Arg>> {
        let of = |(at, ty): (usize, &PgType)| match fixed {
            Some(p) if p != at => constant(at, *ty),
            _ => catalog.of_type(*ty).map(|c| column(c, fixed.is_none() && at > 0, *ty)).collect(),
        };
        f.args.iter().enumerate().map(of).collect()
    };
    for fixed in (0..f.args.len()).map(Some).chain([None]) {
        if f.args.len() == 1 && fixed.is_none() {
            continue;
        }
        let lists = places(fixed);
        let all: usize = lists.iter().map(Vec::len).product();
        // Other places than the first: some.
        let most = all.min(if fixed.is_some_and(|p| p > 0) { CALLS / 4 } else { CALLS });
        for n in 0..most {
            // Spread over all combinations, so that each constant is met.
            let mut at = n * all / most;
            let mut chosen = Vec::new();
            for list in &lists {
                chosen.extend(list.get(at % list.len()).cloned());
                at /= list.len();
            }
            out.push((chosen, fixed.is_none()));
        }
    }
    out
}

fn cell(f: &Function, args: &[Arg]) -> String {
    let kinds: Vec<&str> = args.iter().map(|a| a.kind.as_str()).collect();
    format!("{} of ({})", f.shown, kinds.join(", "))
}

fn scalars(catalog: &Catalog, f: &Function, out: &mut Vec<Call>) {
    for (args, pair) in arguments(catalog, f) {
        let call = Expr::Call { func: f.oid, args: args.iter().map(|a| a.expr.clone()).collect(), ty: f.ty, collation: collation(&args, f) };
        let first = catalog.scan(false);
        let input =
            if pair { Rel::Join(Box::new(Join { kind: JoinKind::Inner, left: first, right: catalog.scan(true), on: None, lateral: false })) } else { first };
        let rel = Rel::Project { input: Box::new(input), exprs: vec![Named { id: CALL, expr: call }] };
        if !catalog.spells(&rel, CALL) {
            continue;
        }
        let list: Vec<&str> = args.iter().map(|a| a.sql.as_str()).collect();
        out.push(Call {
            cell: cell(f, &args),
            sql: format!("pg_catalog.\"{}\"({})", f.name, list.join(", ")),
            pair,
            is_bool: f.ty.base == oid::BOOL,
            is_scalar: true,
        });
    }
}

/// Arguments that are columns; constants follow where there are more.
fn aggregated(catalog: &Catalog, f: &Function) -> Vec<(Vec<Arg>, PgType)> {
    let Some(first) = f.args.first() else { return vec![(Vec::new(), f.ty)] };
    let mut out = Vec::new();
    for c in catalog.of_type(*first) {
        let ty = if first.base == c.ty.base {
            *first
        } else if first.base == oid::TEXT {
            PgType::TEXT
        } else {
            c.ty
        };
        let result = if matches!(f.ty.base, 2283 | 5077) { ty } else { f.ty };
        match f.args.get(1) {
            None => out.push((vec![column(c, false, ty)], result)),
            Some(second) if f.args.len() == 2 => {
                for Constant(sql, value) in constants(*second).into_iter().take(3) {
                    let constant = Arg { sql, expr: Expr::Const { value, ty: *second }, kind: format!("constant {}", named(*second)) };
                    out.push((vec![column(c, false, ty), constant], result));
                }
            }
            Some(_) => {}
        }
    }
    out
}

fn aggregates(catalog: &Catalog, f: &Function, out: &mut Vec<Call>) {
    for (args, ty) in aggregated(catalog, f) {
        for (distinct, filtered) in [(false, false), (true, false), (false, true)] {
            let even = catalog.columns.iter().find(|c| c.name == "id").map(|c| Catalog::argument(c, false, c.ty));
            let filter = even.filter(|_| filtered).map(|id| Expr::Call {
                func: 147,
                args: vec![id, Expr::Const { value: Scalar::Int4(5), ty: PgType::INT4 }],
                ty: PgType::BOOL,
                collation: Collation::None,
            });
            let call =
                AggCall { func: f.oid, direct: Vec::new(), args: args.iter().map(|a| a.expr.clone()).collect(), distinct, order_by: Vec::new(), filter, ty };
            let rel = Rel::Aggregate(Box::new(Aggregate {
                input: catalog.scan(false),
                groups: Vec::new(),
                grouping_sets: None,
                calls: vec![Named { id: CALL, expr: call }],
                groupings: Vec::new(),
            }));
            if (distinct && args.is_empty()) || !catalog.spells(&rel, CALL) {
                continue;
            }
            let list: Vec<&str> = args.iter().map(|a| a.sql.as_str()).collect();
            let list = if list.is_empty() { "*".into() } else { list.join(", ") };
            let sql = format!(
                "pg_catalog.\"{}\"({}{list}){}",
                f.name,
                if distinct { "DISTINCT " } else { "" },
                if filtered { " FILTER (WHERE a.id > 5)" } else { "" }
            );
            let kind = if distinct {
                ", distinct"
            } else if filtered {
                ", filtered"
            } else {
                ""
            };
            out.push(Call { cell: format!("{}{kind}", cell(f, &args)), sql, pair: false, is_bool: false, is_scalar: false });
        }
    }
}

fn windows(catalog: &Catalog, f: &Function, out: &mut Vec<Call>) {
    let by = |name: &str| catalog.columns.iter().find(|c| c.name == name).map(|c| Catalog::argument(c, false, c.ty));
    let (Some(id), Some(group)) = (by("id"), by(group(catalog))) else { return };
    let over = format!("PARTITION BY a.{} ORDER BY a.id", self::group(catalog));
    let rows = |start: Bound, end: Bound, units: FrameUnits| Frame { units, start, end, exclude: Exclude::NoOthers };
    let two = || Expr::Const { value: Scalar::Int8(2), ty: PgType::INT8 };
    let frames = [
        (rows(Bound::UnboundedPreceding, Bound::CurrentRow, FrameUnits::Range), ""),
        (rows(Bound::Preceding(two()), Bound::CurrentRow, FrameUnits::Rows), " ROWS BETWEEN 2 PRECEDING AND CURRENT ROW"),
        (rows(Bound::CurrentRow, Bound::UnboundedFollowing, FrameUnits::Rows), " ROWS BETWEEN CURRENT ROW AND UNBOUNDED FOLLOWING"),
    ];
    for (args, ty) in aggregated(catalog, f) {
        for (n, (frame, said)) in frames.iter().enumerate() {
            let call = WindowCall {
                func: f.oid,
                args: args.iter().map(|a| a.expr.clone()).collect(),
                filter: None,
                partition_by: vec![group.clone()],
                order_by: vec![SortKey { expr: id.clone(), descending: false, nulls_first: false }],
                frame: frame.clone(),
                ty,
            };
            let rel = Rel::Window { input: Box::new(catalog.scan(false)), functions: vec![Named { id: CALL, expr: call }] };
            if !catalog.spells(&rel, CALL) {
                continue;
            }
            let list: Vec<&str> = args.iter().map(|a| a.sql.as_str()).collect();
            let list = if list.is_empty() && f.kind == FunctionKind::Aggregate { "*".into() } else { list.join(", ") };
            let sql = format!("pg_catalog.\"{}\"({list}) OVER ({over}{said})", f.name);
            out.push(Call { cell: format!("{} over frame {n}", cell(f, &args)), sql, pair: false, is_bool: false, is_scalar: false });
        }
    }
}
