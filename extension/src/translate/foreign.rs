//! Foreign tables: as relations of a query that is taken over, and each on its own for a foreign scan.

use super::lift::Lifted;
use super::query::Level;
use super::tree;
use super::{Cx, Result, encoding, expr, from, order, param, types};
use pg_sys::{Node, RangeTblEntry};
use pgrx::pg_sys;
use std::cell::RefCell;
use std::collections::{BTreeSet, HashMap};
use weir_plan::ir::{Expr, Plan, Rel, Scan, ScanColumn, ServerRef, Session, SortKey, Source};
use weir_plan::types::PgType;

/// A scan of a foreign table without columns.
pub fn scan_of(relid: pg_sys::Oid, server: ServerRef) -> Scan {
    Scan { source: Source::Foreign { server, relid: relid.to_u32() }, name: String::new(), columns: Vec::new() }
}

/// A foreign table in FROM.
pub unsafe fn relation(cx: &mut Cx, rti: u32, rte: *mut RangeTblEntry, used: &BTreeSet<i16>, server: ServerRef) -> Result<Rel> {
    let relid = (*rte).relid;
    let name = tree::string(pg_sys::get_rel_name(relid));
    if !(*rte).tablesample.is_null() {
        return Err(format!("TABLESAMPLE on {name}"));
    }
    if (*rte).inh && from::has_children(relid) {
        return Err(format!("inheritance children of {name}"));
    }
    let mut columns = Vec::new();
    for &attno in used {
        let column = match attno {
            0 => Err(format!("whole-row reference to {}", from::alias(rte))),
            ..0 => Err(format!("a system column of {name}")),
            _ => scan_column(cx, relid, attno).map(|c| {
                let result = (c.id, c.ty);
                columns.push(c);
                result
            }),
        };
        from::set_column(cx, rti, attno, column);
    }
    Ok(Rel::Scan(Scan { name, columns, ..scan_of(relid, server) }))
}

/// The type of a column of a foreign table.
///
/// # Errors
/// The type is not in the type map.
///
/// # Safety
/// In a transaction; the relation is locked.
pub unsafe fn column_type(relid: pg_sys::Oid, attno: i16) -> Result<PgType> {
    let (mut type_oid, mut typmod, mut collation) = (pg_sys::InvalidOid, -1, pg_sys::InvalidOid);
    pg_sys::get_atttypetypmodcoll(relid, attno, &mut type_oid, &mut typmod, &mut collation);
    types::pg_type(type_oid, typmod).map_err(|_| {
        format!("column \"{}\" has type {}", tree::string(pg_sys::get_attname(relid, attno, true)), types::type_name_with_typmod(type_oid, typmod))
    })
}

unsafe fn scan_column(cx: &mut Cx, relid: pg_sys::Oid, attno: i16) -> Result<ScanColumn> {
    let ty = column_type(relid, attno)?;
    // What is declared here binds nobody there.
    Ok(ScanColumn { id: cx.new_col(), attnum: attno, ty, not_null: false })
}

/// The role as which a relation of a query is read; 0 for whoever runs it.
#[cfg(any(feature = "pg14", feature = "pg15"))]
pub unsafe fn check_as_user(_query: *mut pg_sys::Query, rte: *mut RangeTblEntry) -> u32 {
    (*rte).checkAsUser.to_u32()
}

#[cfg(not(any(feature = "pg14", feature = "pg15")))]
pub unsafe fn check_as_user(query: *mut pg_sys::Query, rte: *mut RangeTblEntry) -> u32 {
    if (*rte).perminfoindex == 0 { 0 } else { (*pg_sys::getRTEPermissionInfo((*query).rteperminfos, rte)).checkAsUser.to_u32() }
}

/// A key of an order that is asked for: an expression of the planner.
#[derive(Clone, Copy)]
pub struct OrderKey {
    pub expr: *mut Node,
    pub sort_op: pg_sys::Oid,
    pub nulls_first: bool,
}

/// What is asked of a foreign table: expressions of the planner.
#[derive(Clone, Copy)]
pub struct Asked<'a> {
    pub quals: &'a [*mut Node],
    /// Over the rows that pass.
    pub values: &'a [*mut Node],
    pub order: &'a [OrderKey],
}

/// One foreign table with some filters over it, which may use columns of other relations.
pub struct Relation {
    pub plan: Plan,
    pub params: Vec<*mut pg_sys::Expr>,
    /// The attribute of each output column.
    pub attnums: Vec<i16>,
    /// Further expressions over its rows.
    pub values: Vec<Expr>,
}

/// A foreign table for a foreign scan: the plan, its parameters, and the attribute of each output column. Its rows come in the order of the
/// keys, if there are any.
///
/// # Errors
/// Why a filter or a column cannot be expressed.
///
/// # Safety
/// `quals` are expressions of the planner over range table entry `rti`, which is `rte`; in a transaction.
pub unsafe fn base_relation(
    rte: *mut RangeTblEntry,
    rti: u32,
    server: ServerRef,
    columns: &BTreeSet<i16>,
    quals: &[*mut Node],
    order: &[OrderKey],
    session: Session,
) -> Result<(Plan, Vec<*mut pg_sys::Expr>, Vec<i16>)> {
    let made = changed_relation(rte, rti, server, columns, &Asked { quals, values: &[], order }, session)?;
    Ok((made.plan, made.params, made.attnums))
}

/// As [`base_relation`], with expressions over the rows that pass the filters.
///
/// # Errors
/// Why something cannot be expressed.
///
/// # Safety
/// As for [`base_relation`].
pub unsafe fn changed_relation(
    rte: *mut RangeTblEntry,
    rti: u32,
    server: ServerRef,
    columns: &BTreeSet<i16>,
    asked: &Asked,
    session: Session,
) -> Result<Relation> {
    let Asked { quals, values, order } = *asked;
    encoding::check_remote()?;
    let query = pg_sys::palloc0(size_of::<pg_sys::Query>()).cast::<pg_sys::Query>();
    (*query).type_ = pg_sys::NodeTag::T_Query;
    (*query).commandType = pg_sys::CmdType::CMD_SELECT;
    (*query).rtable = pg_sys::lappend(std::ptr::null_mut(), rte.cast());
    let (mut filters, mut others) = (Vec::new(), Vec::new());
    let mut used = columns.clone();
    let mut lifted = Lifted::default();
    for (i, qual) in quals.iter().chain(values).enumerate() {
        let qual: *mut Node = lifted.lift(tree::copy(*qual), &|n| n == i64::from(rti))?;
        own_columns(qual, rti, &mut used);
        if i < quals.len() { filters.push(qual) } else { others.push(qual) }
    }
    let mut keys = Vec::new();
    for key in order {
        let expr = tree::copy(key.expr);
        own_columns(expr, rti, &mut used);
        keys.push(OrderKey { expr, ..*key });
    }
    let mut cx = Cx {
        mirrors: &|_| None,
        foreign: &|_| None,
        reads: &|_| true,
        checked: &|_, _| true,
        session,
        root: param::folding_root(std::ptr::null_mut()),
        params: Vec::new(),
        param_types: Vec::new(),
        params_may_fail: false,
        next_col: 0,
        next_cte: 0,
        levels: vec![Level {
            query,
            columns: HashMap::new(),
            marks: Vec::new(),
            ctes: Vec::new(),
            with: Vec::new(),
            used: HashMap::new(),
            keep_order: false,
            input_order: None,
            ordinal: None,
        }],
        case_args: Vec::new(),
        lateral_level: None,
        values_read: 0.0,
        scans: 0.0,
        scanned: Vec::new(),
        recursive: false,
        is_final: false,
        keep_order: false,
        unpadded: false,
        mixes_lengths: false,
        called: RefCell::default(),
    };
    let mut rel = relation(&mut cx, 1, rte, &used, server)?;
    let mut predicates = Vec::new();
    for qual in filters {
        predicates.push(expr::translate(&mut cx, qual)?);
    }
    let mut translated = Vec::new();
    for value in others {
        translated.push(expr::translate(&mut cx, value)?);
    }
    if !predicates.is_empty() {
        let predicate = if predicates.len() == 1 { predicates.remove(0) } else { Expr::And(predicates) };
        rel = Rel::Filter { input: Box::new(rel), predicate };
    }
    if !keys.is_empty() {
        let mut sort = Vec::new();
        for key in keys {
            let expr = expr::translate(&mut cx, key.expr)?;
            order::check_order(&expr.ty(), pg_sys::exprCollation(key.expr), "ORDER BY")?;
            let descending = order::is_descending(key.sort_op, pg_sys::exprType(key.expr))?;
            sort.push(SortKey { expr: order::order_key(expr)?, descending, nulls_first: key.nulls_first });
        }
        rel = Rel::Sort { input: Box::new(rel), keys: sort };
    }
    let (mut output, mut attnums) = (Vec::new(), Vec::new());
    for attno in columns {
        let column = cx.levels.first().and_then(|l| l.columns.get(&(1, *attno)).cloned()).ok_or("a column that is lost")?;
        output.push(column?);
        attnums.push(*attno);
    }
    let params = cx.params.iter().map(|p| lifted.lower((*p).cast()).cast()).collect();
    let plan = Plan { root: rel, output, params: cx.param_types, session: cx.session };
    Ok(Relation { plan, params, attnums, values: translated })
}

/// Makes range table entry `rti` of an expression the first, and notes its columns.
unsafe fn own_columns(node: *mut Node, rti: u32, used: &mut BTreeSet<i16>) {
    pg_sys::ChangeVarNodes(node, rti as i32, 1, 0);
    let mut set: *mut pg_sys::Bitmapset = std::ptr::null_mut();
    pg_sys::pull_varattnos(node, 1, &raw mut set);
    let mut member = -1;
    loop {
        member = pg_sys::bms_next_member(set, member);
        if member < 0 {
            return;
        }
        used.insert((member + pg_sys::FirstLowInvalidHeapAttributeNumber) as i16);
    }
}
