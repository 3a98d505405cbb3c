//! Brings the copied tree into the form that the rest reads: references to join aliases (and, from release 18 on, to the RTE of the
//! group keys) are replaced by what they stand for, on every level, whole rows by their columns, and marks of nullability are removed.
//!
//! Why here and not by `flatten_join_alias_vars`: that wants a planner root from release 16 on as soon as a merged column is nullable.

use super::tree::{self, any_child, any_in_query, list, map_children, map_query, tag};
use crate::catalog::define;
use pg_sys::{JoinType, Node, NodeTag, Query, RTEKind, RangeTblEntry, Var};
use pgrx::pg_sys;
use std::collections::HashSet;
use weir_plan::functions::MAKE_JSON;

/// `count(any)`
const COUNT: u32 = 2147;

#[cfg(not(feature = "pg18"))]
const FLAGS: u32 = pg_sys::QTW_IGNORE_JOINALIASES;
#[cfg(feature = "pg18")]
const FLAGS: u32 = pg_sys::QTW_IGNORE_JOINALIASES | pg_sys::QTW_IGNORE_GROUPEXPRS;

/// Normalises a query and all queries in it, in place.
pub unsafe fn normalise(query: *mut Query) {
    pg_sys::check_stack_depth();
    let rtable = list::<RangeTblEntry>((*query).rtable);
    if rtable.iter().any(|rte| alias_vars(*rte).is_some()) {
        map_query(query, FLAGS | pg_sys::QTW_DONT_COPY_QUERY, &mut |node| flatten(node, &rtable, 0));
    }
    let nullable = nullable((*query).jointree.cast());
    let whole = |rti: usize| rtable.get(rti - 1).copied().filter(|rte| has_columns(*rte)).map(|rte| (rte, nullable.contains(&rti)));
    map_query(query, FLAGS | pg_sys::QTW_DONT_COPY_QUERY, &mut |node| whole_rows(node, &whole, 0));
    any_in_query(query, FLAGS, &mut |node| {
        descend(node);
        false
    });
}

/// Range table entries whose columns outer joins may make NULL all at once.
unsafe fn nullable(node: *mut Node) -> HashSet<usize> {
    let mut found = HashSet::new();
    let mut all = HashSet::new();
    items(node, &mut all, &mut found);
    found
}

/// Collects the items of FROM, and those on a nullable side.
unsafe fn items(node: *mut Node, all: &mut HashSet<usize>, nullable: &mut HashSet<usize>) {
    if node.is_null() {
        return;
    }
    match tag(node) {
        NodeTag::T_RangeTblRef => {
            all.extend(usize::try_from((*node.cast::<pg_sys::RangeTblRef>()).rtindex));
        }
        NodeTag::T_FromExpr => list::<Node>((*node.cast::<pg_sys::FromExpr>()).fromlist).into_iter().for_each(|n| items(n, all, nullable)),
        NodeTag::T_JoinExpr => {
            let j = &*node.cast::<pg_sys::JoinExpr>();
            let (mut left, mut right) = (HashSet::new(), HashSet::new());
            items(j.larg, &mut left, nullable);
            items(j.rarg, &mut right, nullable);
            if matches!(j.jointype, JoinType::JOIN_RIGHT | JoinType::JOIN_FULL) {
                nullable.extend(&left);
            }
            if matches!(j.jointype, JoinType::JOIN_LEFT | JoinType::JOIN_FULL) {
                nullable.extend(&right);
            }
            all.extend(left);
            all.extend(right);
        }
        _ => {}
    }
}

unsafe fn has_columns(rte: *mut RangeTblEntry) -> bool {
    matches!((*rte).rtekind, RTEKind::RTE_RELATION | RTEKind::RTE_SUBQUERY | RTEKind::RTE_VALUES | RTEKind::RTE_CTE)
}

/// Replaces references to whole rows by row constructors of their columns: everywhere if the row is there, and in tests for NULL,
/// which look at the columns, also if an outer join may have made it NULL.
unsafe fn whole_rows(node: *mut Node, whole: &dyn Fn(usize) -> Option<(*mut RangeTblEntry, bool)>, levels_up: u32) -> *mut Node {
    match tag(node) {
        NodeTag::T_Var => row_of(node.cast(), whole, levels_up, false).unwrap_or(node),
        NodeTag::T_FuncExpr if MAKE_JSON.contains(&(*node.cast::<pg_sys::FuncExpr>()).funcid.to_u32()) => {
            map_children(node, &mut |child| json_arguments(child, whole, levels_up))
        }
        NodeTag::T_Aggref if MAKE_JSON.contains(&(*node.cast::<pg_sys::Aggref>()).aggfnoid.to_u32()) => {
            map_children(node, &mut |child| json_arguments(child, whole, levels_up))
        }
        NodeTag::T_NullTest => {
            let test = node.cast::<pg_sys::NullTest>();
            let arg = (*test).arg.cast::<Node>();
            if (*test).argisrow
                && tag(arg) == NodeTag::T_Var
                && let Some(row) = row_of(arg.cast(), whole, levels_up, true)
            {
                let test = tree::copy(test);
                (*test).arg = row.cast();
                return test.cast();
            }
            map_children(node, &mut |child| whole_rows(child, whole, levels_up))
        }
        NodeTag::T_Aggref if (*node.cast::<pg_sys::Aggref>()).aggfnoid.to_u32() == COUNT => {
            let agg = tree::copy(node.cast::<pg_sys::Aggref>());
            if let &[te] = list::<pg_sys::TargetEntry>((*agg).args).as_slice()
                && (*agg).aggdistinct.is_null()
                && tag((*te).expr) == NodeTag::T_Var
                && let Some(column) = column_of_row((*te).expr.cast(), whole, levels_up)
            {
                (*te).expr = column.cast();
            }
            map_children(agg.cast(), &mut |child| whole_rows(child, whole, levels_up))
        }
        NodeTag::T_Query => map_query(node.cast(), FLAGS | pg_sys::QTW_DONT_COPY_QUERY, &mut |child| whole_rows(child, whole, levels_up + 1)).cast(),
        _ => map_children(node, &mut |child| whole_rows(child, whole, levels_up)),
    }
}

/// As [`whole_rows`] for the arguments of a function that makes JSON, which can be told whether the row is there.
unsafe fn json_arguments(node: *mut Node, whole: &dyn Fn(usize) -> Option<(*mut RangeTblEntry, bool)>, levels_up: u32) -> *mut Node {
    match tag(node) {
        NodeTag::T_List | NodeTag::T_TargetEntry => map_children(node, &mut |child| json_arguments(child, whole, levels_up)),
        NodeTag::T_Var => row_if_there(node.cast(), whole, levels_up).unwrap_or_else(|| whole_rows(node, whole, levels_up)),
        _ => whole_rows(node, whole, levels_up),
    }
}

/// `CASE WHEN column IS NOT NULL THEN row END`, where a column of the table that is never NULL tells if an outer join made up the row.
unsafe fn row_if_there(var: *mut Var, whole: &dyn Fn(usize) -> Option<(*mut RangeTblEntry, bool)>, levels_up: u32) -> Option<*mut Node> {
    let row = row_of(var, whole, levels_up, true)?;
    let rti = usize::try_from(tree::varno(var)).ok()?;
    let (rte, nullable) = whole(rti)?;
    // Nobody enforces what is said of foreign tables.
    let is_table = (*rte).rtekind == RTEKind::RTE_RELATION && matches!((*rte).relkind as u8, pg_sys::RELKIND_RELATION | pg_sys::RELKIND_PARTITIONED_TABLE);
    if !nullable || !is_table {
        return None;
    }
    let columns = list::<Node>((*row.cast::<pg_sys::RowExpr>()).args);
    let mut place = 1i16..;
    let known = columns.into_iter().find(|column| place.next().is_some_and(|attnum| tag(*column) == NodeTag::T_Var && never_null((*rte).relid, attnum)))?;
    let test = pg_sys::palloc0(size_of::<pg_sys::NullTest>()).cast::<pg_sys::NullTest>();
    test.cast::<Node>().write(Node { type_: NodeTag::T_NullTest });
    (*test).arg = tree::copy(known).cast();
    (*test).nulltesttype = pg_sys::NullTestType::IS_NOT_NULL;
    let when = pg_sys::palloc0(size_of::<pg_sys::CaseWhen>()).cast::<pg_sys::CaseWhen>();
    when.cast::<Node>().write(Node { type_: NodeTag::T_CaseWhen });
    (*when).expr = test.cast();
    (*when).result = row.cast();
    let case = pg_sys::palloc0(size_of::<pg_sys::CaseExpr>()).cast::<pg_sys::CaseExpr>();
    case.cast::<Node>().write(Node { type_: NodeTag::T_CaseExpr });
    (*case).casetype = (*var).vartype;
    (*case).args = pg_sys::lappend(std::ptr::null_mut(), when.cast());
    Some(case.cast())
}

/// A column that is NULL only where an outer join has made its whole row NULL.
unsafe fn column_of_row(var: *mut Var, whole: &dyn Fn(usize) -> Option<(*mut RangeTblEntry, bool)>, levels_up: u32) -> Option<*mut Node> {
    if (*var).varlevelsup != levels_up || (*var).varattno != 0 {
        return None;
    }
    let (rte, nullable) = whole(usize::try_from(tree::varno(var)).ok().filter(|n| *n > 0)?)?;
    // Nobody enforces what is said of foreign tables.
    let is_table = (*rte).rtekind == RTEKind::RTE_RELATION && (*rte).relkind as u8 == pg_sys::RELKIND_RELATION;
    if !nullable || !is_table {
        return None;
    }
    let columns = i16::try_from(tree::length((*(*rte).eref).colnames)).ok()?;
    let attno = (1..=columns).find(|attno| never_null((*rte).relid, *attno))?;
    let (mut type_oid, mut typmod, mut collation) = (pg_sys::InvalidOid, -1, pg_sys::InvalidOid);
    pg_sys::get_atttypetypmodcoll((*rte).relid, attno, &mut type_oid, &mut typmod, &mut collation);
    Some(pg_sys::makeVar((*var).varno, attno, type_oid, typmod, collation, levels_up).cast())
}

unsafe fn never_null(relid: pg_sys::Oid, attnum: i16) -> bool {
    let rel = pg_sys::RelationIdGetRelation(relid);
    if rel.is_null() {
        return false;
    }
    let known = attnum > 0 && i32::from(attnum) <= (*(*rel).rd_att).natts && define::never_null((*rel).rd_att, i32::from(attnum) - 1);
    pg_sys::RelationClose(rel);
    known
}

unsafe fn row_of(var: *mut Var, whole: &dyn Fn(usize) -> Option<(*mut RangeTblEntry, bool)>, levels_up: u32, or_null: bool) -> Option<*mut Node> {
    if (*var).varlevelsup != levels_up || (*var).varattno != 0 {
        return None;
    }
    let rti = usize::try_from(tree::varno(var)).ok().filter(|n| *n > 0)?;
    let (rte, nullable) = whole(rti)?;
    if nullable && !or_null {
        return None;
    }
    let (mut names, mut columns) = (std::ptr::null_mut(), std::ptr::null_mut());
    let (index, levels) = (i32::try_from(rti).ok()?, levels_up.cast_signed());
    #[cfg(not(feature = "pg18"))]
    pg_sys::expandRTE(rte, index, levels, (*var).location, true, &mut names, &mut columns);
    #[cfg(feature = "pg18")]
    pg_sys::expandRTE(rte, index, levels, pg_sys::VarReturningType::VAR_RETURNING_DEFAULT, (*var).location, true, &mut names, &mut columns);
    let row = pg_sys::palloc0(size_of::<pg_sys::RowExpr>()).cast::<pg_sys::RowExpr>();
    row.cast::<Node>().write(Node { type_: NodeTag::T_RowExpr });
    (*row).args = columns;
    (*row).row_typeid = (*var).vartype;
    (*row).row_format = pg_sys::CoercionForm::COERCE_IMPLICIT_CAST;
    (*row).colnames = names;
    (*row).location = (*var).location;
    Some(row.cast())
}

unsafe fn descend(node: *mut Node) {
    match tag(node) {
        NodeTag::T_Query => normalise(node.cast()),
        #[cfg(not(any(feature = "pg14", feature = "pg15")))]
        NodeTag::T_Var => (*node.cast::<Var>()).varnullingrels = std::ptr::null_mut(),
        _ => {
            any_child(node, &mut |child| {
                descend(child);
                false
            });
        }
    }
}

/// The expressions that the columns of a join or of the group keys stand for.
unsafe fn alias_vars(rte: *mut RangeTblEntry) -> Option<*mut pg_sys::List> {
    if (*rte).rtekind == RTEKind::RTE_JOIN {
        return Some((*rte).joinaliasvars);
    }
    #[cfg(feature = "pg18")]
    if (*rte).rtekind == RTEKind::RTE_GROUP {
        return Some((*rte).groupexprs);
    }
    None
}

unsafe fn flatten(node: *mut Node, rtable: &[*mut RangeTblEntry], levels_up: u32) -> *mut Node {
    match tag(node) {
        NodeTag::T_Var => {
            let var = node.cast::<Var>();
            resolve(var, rtable, levels_up).map_or(node, |alias| {
                pg_sys::check_stack_depth();
                flatten(alias, rtable, levels_up)
            })
        }
        NodeTag::T_Query => map_query(node.cast(), FLAGS | pg_sys::QTW_DONT_COPY_QUERY, &mut |child| flatten(child, rtable, levels_up + 1)).cast(),
        _ => map_children(node, &mut |child| flatten(child, rtable, levels_up)),
    }
}

/// A copy of what a Var of the level `levels_up` above stands for, if that is an alias.
unsafe fn resolve(var: *mut Var, rtable: &[*mut RangeTblEntry], levels_up: u32) -> Option<*mut Node> {
    if (*var).varlevelsup != levels_up || (*var).varattno <= 0 {
        return None;
    }
    let rte = *rtable.get(usize::try_from(tree::varno(var)).ok()?.checked_sub(1)?)?;
    let alias = *list::<Node>(alias_vars(rte)?).get((*var).varattno as usize - 1)?;
    if alias.is_null() {
        return None;
    }
    let alias = tree::copy(alias);
    if levels_up > 0 {
        pg_sys::IncrementVarSublevelsUp(alias, levels_up as i32, 0);
    }
    Some(alias)
}
