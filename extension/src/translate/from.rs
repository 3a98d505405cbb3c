//! FROM: range table entries and joins.
//!
//! Invariant: when an item has been translated, `Level::columns` has an entry for each of its used columns; a column that cannot be
//! shipped has its reason there and refuses the query only where it is referred to.

use super::query::Needed;
use super::tree::{self, list, tag};
use super::{Cx, Result, columns, cte, encoding, expr, foreign, function_rte, input_order, param, partitioned, query, sink, types, unused};
use pg_sys::{FromExpr, JoinExpr, JoinType, Node, NodeTag, RTEKind, RangeTblEntry, RangeTblRef};
use pgrx::pg_sys;
use std::collections::{BTreeSet, HashSet};
use weir_plan::ir::{ColId, Expand, Expr, Join, JoinKind, Named, Rel, Scalar, Scan, ScanColumn, ServerRef, Source};
use weir_plan::types::{PgType, oid};

/// FROM and WHERE.
pub unsafe fn from_clause(cx: &mut Cx, from: *mut FromExpr) -> Result<Rel> {
    let mut rel: Option<Rel> = None;
    for node in list::<Node>((*from).fromlist) {
        let right = item(cx, node)?;
        rel = Some(match rel {
            None => right,
            Some(left) => join(JoinKind::Inner, left, right, None),
        });
    }
    filter(cx, rel.unwrap_or(Rel::OneRow), (*from).quals)
}

/// A filter by a predicate of the tree, if there is one.
pub unsafe fn filter(cx: &mut Cx, rel: Rel, quals: *mut Node) -> Result<Rel> {
    if quals.is_null() {
        return Ok(rel);
    }
    let quals = param::fold(cx, quals);
    let predicate = expr::translate(cx, quals)?;
    if is_true(&predicate) {
        return Ok(rel);
    }
    Ok(sink::filter(rel, predicate))
}

fn is_true(predicate: &Expr) -> bool {
    matches!(predicate, Expr::Const { value: Scalar::Bool(true), .. })
}

unsafe fn item(cx: &mut Cx, node: *mut Node) -> Result<Rel> {
    pg_sys::check_stack_depth();
    match tag(node) {
        NodeTag::T_RangeTblRef => range_table_entry(cx, (*node.cast::<RangeTblRef>()).rtindex as u32),
        NodeTag::T_JoinExpr => join_expr(cx, node.cast()),
        NodeTag::T_FromExpr => from_clause(cx, node.cast()),
        other => Err(format!("{other:?} in FROM")),
    }
}

unsafe fn join_expr(cx: &mut Cx, j: *mut JoinExpr) -> Result<Rel> {
    let kind = match (*j).jointype {
        JoinType::JOIN_INNER => JoinKind::Inner,
        JoinType::JOIN_LEFT => JoinKind::Left,
        JoinType::JOIN_RIGHT => JoinKind::Right,
        JoinType::JOIN_FULL => JoinKind::Full,
        // Of a part of a query that the planner has seen already.
        JoinType::JOIN_SEMI => JoinKind::Semi,
        JoinType::JOIN_ANTI => JoinKind::Anti,
        other => return Err(format!("join type {other}")),
    };
    let mut left = item(cx, (*j).larg)?;
    let mut right = item(cx, (*j).rarg)?;
    let on = if (*j).quals.is_null() {
        None
    } else {
        let quals = param::fold(cx, (*j).quals);
        Some(expr::translate(cx, quals)?).filter(|e| kind != JoinKind::Inner || !is_true(e))
    };
    let on = match (kind, on) {
        (JoinKind::Left, Some(on)) => Some(pushed_down(on, &left, &mut right)),
        (JoinKind::Right, Some(on)) => Some(pushed_down(on, &right, &mut left)),
        (_, on) => on,
    };
    Ok(join(kind, left, right, on))
}

/// The condition of an outer join without those conjuncts with a subquery that look at the nullable side only: they filter that side
/// beforehand, which is the same and does not ask for subqueries in a join's condition.
fn pushed_down(on: Expr, kept: &Rel, nullable: &mut Rel) -> Expr {
    let mut kept_columns = Vec::new();
    columns::output_columns(kept, &mut kept_columns);
    let conjuncts = match on {
        Expr::And(args) => args,
        other => vec![other],
    };
    let (down, mut stay): (Vec<Expr>, Vec<Expr>) = conjuncts.into_iter().partition(|c| {
        columns::has_subquery(c) && {
            let mut used = HashSet::new();
            columns::used_columns(c, &mut used);
            !kept_columns.iter().any(|k| used.contains(k))
        }
    });
    if !down.is_empty() {
        let input = std::mem::replace(nullable, Rel::OneRow);
        *nullable = Rel::Filter { input: Box::new(input), predicate: Expr::And(down) };
    }
    match stay.len() {
        0 => Expr::Const { value: Scalar::Bool(true), ty: PgType::BOOL },
        1 => stay.remove(0),
        _ => Expr::And(stay),
    }
}

fn join(kind: JoinKind, left: Rel, right: Rel, on: Option<Expr>) -> Rel {
    let right = match (kind, right) {
        // A function of the row before it needs no join.
        (JoinKind::Inner, Rel::Expand(mut e)) if matches!(e.input, Rel::OneRow) => {
            e.functions.iter_mut().for_each(|call| own_columns(&left, &mut call.args));
            let expanded = Rel::Expand(Box::new(Expand { input: left, ..*e }));
            return match on {
                Some(predicate) => Rel::Filter { input: Box::new(expanded), predicate },
                None => expanded,
            };
        }
        (JoinKind::Left, Rel::Expand(mut e)) if matches!(e.input, Rel::OneRow) && on.as_ref().is_none_or(is_true) => {
            e.functions.iter_mut().for_each(|call| own_columns(&left, &mut call.args));
            return Rel::Expand(Box::new(Expand { input: left, outer: true, ..*e }));
        }
        (_, right) => right,
    };
    let lateral = uses_outer(&left, &right);
    Rel::Join(Box::new(Join { kind, left, right, on, lateral }))
}

/// What were columns of the item before are columns of the input.
fn own_columns(input: &Rel, args: &mut [Expr]) {
    fn own(e: &mut Expr, columns: &[ColId]) {
        if let Expr::Outer { id, ty } = e
            && columns.contains(id)
        {
            *e = Expr::Column { id: *id, ty: *ty };
        }
        weir_plan::walk::each_part_mut(e, &mut |part| own(part, columns));
    }
    let mut columns = Vec::new();
    columns::output_columns(input, &mut columns);
    args.iter_mut().for_each(|e| own(e, &columns));
}

/// Whether `right` uses a column that `left` puts out.
fn uses_outer(left: &Rel, right: &Rel) -> bool {
    let mut outer = HashSet::new();
    columns::outer_columns(right, &mut outer);
    !outer.is_empty() && {
        let mut columns = Vec::new();
        columns::output_columns(left, &mut columns);
        columns.iter().any(|c| outer.contains(c))
    }
}

unsafe fn range_table_entry(cx: &mut Cx, rti: u32) -> Result<Rel> {
    let (rte, used) = {
        let level = cx.levels.last().ok_or("no query level")?;
        let rtable = list::<RangeTblEntry>((*level.query).rtable);
        let rte = *rtable.get(rti as usize - 1).ok_or("a range table index out of range")?;
        (rte, level.used.get(&rti).cloned().unwrap_or_default())
    };
    // Without quals the user may see all rows; that the plan then depends on the role is known of the standard plan.
    if !(*rte).securityQuals.is_null() {
        return Err("row-level security or a security-barrier view".into());
    }
    match (*rte).rtekind {
        RTEKind::RTE_RELATION => relation(cx, rti, rte, &used),
        RTEKind::RTE_SUBQUERY => {
            if (*rte).security_barrier {
                return Err(format!("security-barrier view {}", alias(rte)));
            }
            subquery(cx, rti, rte, &used)
        }
        RTEKind::RTE_VALUES => values(cx, rti, rte, &used),
        RTEKind::RTE_CTE => cte::reference(cx, rti, rte, &used),
        RTEKind::RTE_RESULT => Ok(Rel::OneRow),
        RTEKind::RTE_FUNCTION => function_rte::function(cx, rti, rte, &used),
        RTEKind::RTE_TABLEFUNC => Err("XMLTABLE or JSON_TABLE".into()),
        RTEKind::RTE_NAMEDTUPLESTORE => Err(format!("transition table {}", alias(rte))),
        other => Err(format!("range table entry of kind {other}")),
    }
}

/// The name under which a query sees a range table entry.
pub unsafe fn alias(rte: *mut RangeTblEntry) -> String {
    if (*rte).eref.is_null() { String::new() } else { tree::string((*(*rte).eref).aliasname) }
}

/// Records what a column is.
pub fn set_column(cx: &mut Cx, rti: u32, attno: i16, column: Result<(ColId, PgType)>) {
    if let Some(level) = cx.levels.last_mut() {
        level.columns.insert((rti, attno), column);
    }
}

unsafe fn relation(cx: &mut Cx, rti: u32, rte: *mut RangeTblEntry, used: &BTreeSet<i16>) -> Result<Rel> {
    let relid = (*rte).relid;
    let name = tree::string(pg_sys::get_rel_name(relid));
    if !(*rte).tablesample.is_null() {
        return Err(format!("TABLESAMPLE on {name}"));
    }
    let query = cx.levels.last().ok_or("no query level")?.query;
    if let Some(server) = (cx.foreign)(relid) {
        encoding::check_remote()?;
        let server = ServerRef { server: server.to_u32(), user: foreign::check_as_user(query, rte) };
        return foreign::relation(cx, rti, rte, used, server);
    }
    if (*rte).relkind == pg_sys::RELKIND_PARTITIONED_TABLE as std::ffi::c_char {
        return partitioned::relation(cx, rti, rte, used, &name);
    }
    if (*rte).inh && has_children(relid) {
        return partitioned::with_children(cx, rti, rte, used, &name);
    }
    let mirror = (cx.mirrors)(relid).ok_or_else(|| format!("table {name} has no mirror in use"))?;
    let mut columns = Vec::new();
    let mut tableoid = None;
    for &attno in used {
        let column = if attno == 0 {
            Err(format!("whole-row reference to {}", alias(rte)))
        } else if attno == TABLEOID {
            Ok(*tableoid.insert((cx.new_col(), PgType::new(oid::OID))))
        } else if attno < 0 {
            Err(format!("system column {} of {name}", system_column(attno)))
        } else {
            scan_column(cx, relid, &mirror, attno).map(|c| {
                let result = (c.id, c.ty);
                columns.push(c);
                result
            })
        };
        set_column(cx, rti, attno, column);
    }
    let widths: f64 = columns.iter().map(|c| if pg_sys::get_typlen(pg_sys::Oid::from(c.ty.oid)) < 0 { 2.0 } else { 1.0 }).sum();
    cx.scans += 1.0;
    cx.scanned.push(relid.to_u32());
    cx.values_read += rows(relid) * widths;
    let scan = Scan { source: Source::Mirror { relid: relid.to_u32(), generation: mirror.generation }, name, columns };
    Ok(match tableoid {
        Some((id, _)) => with_tableoid(scan, relid, id),
        None => Rel::Scan(scan),
    })
}

/// The attribute number of `tableoid`.
pub const TABLEOID: i16 = pg_sys::TableOidAttributeNumber as i16;

/// The rows of a table with its OID.
pub fn with_tableoid(scan: Scan, relid: pg_sys::Oid, id: ColId) -> Rel {
    let mut exprs: Vec<_> = scan.columns.iter().map(|c| Named { id: c.id, expr: Expr::Column { id: c.id, ty: c.ty } }).collect();
    exprs.push(Named { id, expr: Expr::Const { value: Scalar::Int8(i64::from(relid.to_u32())), ty: PgType::new(oid::OID) } });
    Rel::Project { input: Box::new(Rel::Scan(scan)), exprs }
}

/// Rows of a relation at its last ANALYZE or VACUUM; 0 if there was none.
pub unsafe fn rows(relid: pg_sys::Oid) -> f64 {
    let tuple = pg_sys::SearchSysCache1(pg_sys::SysCacheIdentifier::RELOID as i32, pg_sys::Datum::from(relid));
    if tuple.is_null() {
        return 0.0;
    }
    let rows = (*pg_sys::GETSTRUCT(tuple).cast::<pg_sys::FormData_pg_class>()).reltuples;
    pg_sys::ReleaseSysCache(tuple);
    f64::from(rows).max(0.0)
}

pub unsafe fn scan_column(cx: &mut Cx, relid: pg_sys::Oid, mirror: &super::MirrorInfo, attno: i16) -> Result<ScanColumn> {
    let column_name = || tree::string(pg_sys::get_attname(relid, attno, true));
    #[cfg(feature = "pg18")]
    if pg_sys::get_attgenerated(relid, attno) as u8 == b'v' {
        return Err(format!("column \"{}\" is a virtual generated column", column_name()));
    }
    if mirror.poisoned.contains(&attno) {
        return Err(format!("column \"{}\" holds a value that the mirror cannot hold exactly", column_name()));
    }
    let (mut type_oid, mut typmod, mut collation) = (pg_sys::InvalidOid, -1, pg_sys::InvalidOid);
    pg_sys::get_atttypetypmodcoll(relid, attno, &mut type_oid, &mut typmod, &mut collation);
    let not_mirrored = || format!("column \"{}\" has type {}, which is not mirrored", column_name(), types::type_name_with_typmod(type_oid, typmod));
    let ty = types::pg_type(type_oid, typmod).map_err(|_| not_mirrored())?;
    let def = mirror.columns.iter().find(|c| c.attnum == attno).ok_or_else(not_mirrored)?;
    if def.ty != ty {
        return Err(format!("column \"{}\" changed its type", column_name()));
    }
    Ok(ScanColumn { id: cx.new_col(), attnum: attno, ty, not_null: def.not_null })
}

pub fn system_column(attno: i16) -> &'static str {
    match i32::from(attno) {
        pg_sys::SelfItemPointerAttributeNumber => "ctid",
        pg_sys::MinTransactionIdAttributeNumber => "xmin",
        pg_sys::MinCommandIdAttributeNumber => "cmin",
        pg_sys::MaxTransactionIdAttributeNumber => "xmax",
        pg_sys::MaxCommandIdAttributeNumber => "cmax",
        pg_sys::TableOidAttributeNumber => "tableoid",
        _ => "?",
    }
}

/// Whether the catalog says that the table has (or had) inheritance children.
pub unsafe fn has_children(relid: pg_sys::Oid) -> bool {
    let tuple = pg_sys::SearchSysCache1(pg_sys::SysCacheIdentifier::RELOID as i32, pg_sys::Datum::from(relid));
    if tuple.is_null() {
        return true;
    }
    let header = (*tuple).t_data;
    let form = header.cast::<u8>().add((*header).t_hoff as usize).cast::<pg_sys::FormData_pg_class>();
    let has = (*form).relhassubclass;
    pg_sys::ReleaseSysCache(tuple);
    has
}

pub unsafe fn subquery(cx: &mut Cx, rti: u32, rte: *mut RangeTblEntry, used: &BTreeSet<i16>) -> Result<Rel> {
    let ordered = order_is_visible(cx);
    let needed = Needed::Only(input_order::asked(cx, (*rte).subquery, used));
    cx.keep_order = input_order::is_wanted(cx);
    let output = query::subquery(cx, (*rte).subquery, &needed, ordered);
    cx.keep_order = false;
    let output = output?;
    input_order::note(cx, (*rte).subquery, &output.columns);
    input_order::note_handed_on(cx, output.order);
    for &attno in used {
        let column = output.columns.get(&attno).copied().ok_or_else(|| format!("whole-row reference to {}", alias(rte)));
        set_column(cx, rti, attno, column);
    }
    let mut rel = output.rel;
    let is_alone =
        cx.levels.last().is_some_and(|l| (*(*l.query).jointree).quals.is_null() && tree::length((*(*l.query).jointree).fromlist) == 1) && order_is_visible(cx);
    // (A remote server computes what it is asked for.)
    if !is_alone && unused::keeps_conditions_out((*rte).subquery, used) && !weir_fdw::push::has_foreign(&mut rel) {
        rel = unused::fenced(rel, Vec::new(), false);
    }
    Ok(rel)
}

/// Whether a user could expect to see the order of a subquery in FROM of the current level: it is the only item, and nothing
/// there brings the rows into another order. (Aggregates whose result depends on the order of rows without saying so are refused anyway.)
pub unsafe fn order_is_visible(cx: &Cx) -> bool {
    let Some(level) = cx.levels.last() else { return true };
    let q = &*level.query;
    q.setOperations.is_null()
        && q.sortClause.is_null()
        && q.groupClause.is_null()
        && q.groupingSets.is_null()
        && q.distinctClause.is_null()
        && !q.hasAggs
        && tree::length((*q.jointree).fromlist) == 1
        && list::<Node>((*q.jointree).fromlist).first().is_some_and(|n| tag(*n) == NodeTag::T_RangeTblRef)
}

unsafe fn values(cx: &mut Cx, rti: u32, rte: *mut RangeTblEntry, used: &BTreeSet<i16>) -> Result<Rel> {
    let types_of = tree::oid_list((*rte).coltypes);
    let typmods = tree::int_list((*rte).coltypmods);
    let mut columns = Vec::new();
    let mut attnos = Vec::new();
    for &attno in used {
        let column = match usize::try_from(attno - 1).ok().and_then(|i| Some((*types_of.get(i)?, *typmods.get(i)?))) {
            None => Err(format!("whole-row reference to {}", alias(rte))),
            Some((type_oid, typmod)) => types::pg_type(type_oid, typmod).map(|ty| (cx.new_col(), ty)),
        };
        if let Ok(c) = &column {
            columns.push(*c);
            attnos.push(attno as usize - 1);
        }
        set_column(cx, rti, attno, column);
    }
    let before = cx.lateral_level;
    cx.lateral_level = Some(cx.levels.len() - 1);
    let rows = value_rows(cx, rte, &attnos);
    cx.lateral_level = before;
    let mut rows = rows?;
    if columns.is_empty() {
        let (column, value) = function_rte::some_column(cx);
        columns.push(column);
        rows.iter_mut().for_each(|row| row.push(value.clone()));
    }
    Ok(Rel::Values { columns, rows })
}

unsafe fn value_rows(cx: &mut Cx, rte: *mut RangeTblEntry, attnos: &[usize]) -> Result<Vec<Vec<Expr>>> {
    let mut rows = Vec::new();
    for row in list::<pg_sys::List>((*rte).values_lists) {
        let row = list::<Node>(row);
        let mut exprs = Vec::with_capacity(attnos.len());
        for &i in attnos {
            let node = *row.get(i).ok_or("a VALUES row that is too short")?;
            let node = param::fold(cx, node);
            exprs.push(expr::translate(cx, node)?);
        }
        rows.push(exprs);
    }
    Ok(rows)
}
