//! UNION, INTERSECT and EXCEPT.

use super::query::{self, Needed};
use super::tree::{self, list, special_var, tag};
use super::{Cx, Result, cte, expr, from, order, param, types, unused};
use pg_sys::{Node, NodeTag, Query, RangeTblEntry, RangeTblRef, SetOperation, SetOperationStmt, TargetEntry, Var};
use pgrx::pg_sys;
use std::collections::{BTreeMap, BTreeSet};
use weir_plan::ir::{ColId, Expr, Named, Rel, Scalar, SetOp, SetOpKind};
use weir_plan::types::{PgType, oid};

/// A side of a set operation: its columns (those not needed are `None`) with the types Postgres gives them.
struct Side {
    rel: Rel,
    columns: Vec<Option<Column>>,
}

#[derive(Clone, Copy)]
struct Column {
    id: ColId,
    ty: PgType,
    type_oid: pg_sys::Oid,
    typmod: i32,
    collation: pg_sys::Oid,
    /// It has no value but NULL, which has no length either.
    is_null: bool,
}

/// Translates the set operations of the current level and makes their columns known as what the target list refers to.
pub unsafe fn set_operations(cx: &mut Cx, query: *mut Query, entries: &[*mut TargetEntry]) -> Result<Rel> {
    let stmt = (*query).setOperations;
    let wanted = if all_union_all(stmt) {
        let mut resnos: BTreeSet<i16> = entries.iter().map(|te| (**te).resno).collect();
        // As one of several types, or with an order or limit of its own, it stays a query with all its columns.
        let is_query = !(*query).sortClause.is_null() || !(*query).limitCount.is_null() || !(*query).limitOffset.is_null() || !of_one_type(query, stmt);
        let used = is_query.then(|| resnos.clone());
        if resnos.is_empty() {
            // Rows without columns are not a thing that can be appended.
            resnos.insert(1);
        }
        Wanted { needed: Needed::Only(resnos), used }
    } else {
        Wanted::ALL
    };
    let side = operation(cx, query, stmt, &wanted)?;
    for te in list::<TargetEntry>((*query).targetList) {
        if (*te).resjunk || tag((*te).expr) != NodeTag::T_Var {
            return Err("ORDER BY an expression over a set operation".into());
        }
        let var = (*te).expr.cast::<Var>();
        let column = side.columns.get((*te).resno as usize - 1).copied().flatten();
        let column = column.map(|c| (c.id, c.ty)).ok_or_else(|| "a column that is not needed".to_string());
        from::set_column(cx, tree::varno(var) as u32, (*var).varattno, column);
    }
    Ok(side.rel)
}

/// What is asked of the sides of a set operation.
struct Wanted {
    needed: Needed,
    /// The columns that are used, if Postgres computes the others, too.
    used: Option<BTreeSet<i16>>,
}

impl Wanted {
    const ALL: Wanted = Wanted { needed: Needed::All, used: None };
}

/// Whether all sides have the types of the set operation. Source: `is_simple_union_all` in `prepjointree.c`.
unsafe fn of_one_type(query: *mut Query, stmt: *mut Node) -> bool {
    if stmt.is_null() || tag(stmt) != NodeTag::T_SetOperationStmt {
        return true;
    }
    let wanted = tree::oid_list((*stmt.cast::<SetOperationStmt>()).colTypes);
    list::<RangeTblEntry>((*query).rtable).into_iter().filter(|rte| !(**rte).subquery.is_null()).all(|rte| {
        let target = list::<TargetEntry>((*(*rte).subquery).targetList);
        target.into_iter().filter(|te| !(**te).resjunk).map(|te| pg_sys::exprType((*te).expr.cast())).eq(wanted.iter().copied())
    })
}

unsafe fn all_union_all(node: *mut Node) -> bool {
    if tag(node) != NodeTag::T_SetOperationStmt {
        return true;
    }
    let s = &*node.cast::<SetOperationStmt>();
    s.op == SetOperation::SETOP_UNION && s.all && all_union_all(s.larg) && all_union_all(s.rarg)
}

unsafe fn operation(cx: &mut Cx, query: *mut Query, node: *mut Node, needed: &Wanted) -> Result<Side> {
    pg_sys::check_stack_depth();
    if tag(node) == NodeTag::T_RangeTblRef {
        return leaf(cx, query, (*node.cast::<RangeTblRef>()).rtindex, needed);
    }
    let s = &*node.cast::<SetOperationStmt>();
    let (kind, name) = match s.op {
        SetOperation::SETOP_UNION => (SetOpKind::Union, "UNION"),
        SetOperation::SETOP_INTERSECT => (SetOpKind::Intersect, "INTERSECT"),
        SetOperation::SETOP_EXCEPT => (SetOpKind::Except, "EXCEPT"),
        other => return Err(format!("set operation {other}")),
    };
    let left = operation(cx, query, s.larg, needed)?;
    let right = operation(cx, query, s.rarg, needed)?;
    let left = coerced(cx, left, s, name)?;
    let right = coerced(cx, right, s, name)?;
    let typmods = tree::int_list(s.colTypmods);
    let collations = tree::oid_list(s.colCollations);
    let mut columns = Vec::new();
    let mut out = Vec::new();
    for (i, type_oid) in tree::oid_list(s.colTypes).into_iter().enumerate() {
        let (Some(Some(l)), Some(Some(r))) = (left.columns.get(i), right.columns.get(i)) else {
            out.push(None);
            continue;
        };
        let typmod = typmods.get(i).copied().unwrap_or(-1);
        let collation = collations.get(i).copied().unwrap_or(pg_sys::InvalidOid);
        let mut ty = types::pg_type(type_oid, typmod)?;
        if ty.base == oid::BPCHAR && ty.typmod < 0 {
            ty.typmod = match () {
                () if l.is_null => r.ty.typmod,
                () if r.is_null || l.ty.typmod == r.ty.typmod => l.ty.typmod,
                () => {
                    cx.mixes_lengths = true;
                    if cx.unpadded { PgType::UNPADDED.typmod } else { -1 }
                }
            };
        }
        if !(s.all && kind == SetOpKind::Union) {
            order::check_equality(&ty, collation, name)?;
        }
        let id = cx.new_col();
        columns.push((id, l.id, r.id, ty));
        out.push(Some(Column { id, ty, type_oid, typmod, collation, is_null: l.is_null && r.is_null }));
    }
    let left = lengthened(cx, left, &mut columns, |c| &mut c.1);
    let right = lengthened(cx, right, &mut columns, |c| &mut c.2);
    let rel = Rel::SetOp(Box::new(SetOp { kind, all: s.all, left, right, columns, recursion: None }));
    Ok(Side { rel, columns: out })
}

/// A side in which the NULLs that a char(n) of the other side gave a length are of that type, and so are values of another length.
fn lengthened(cx: &mut Cx, side: Side, columns: &mut [Pair], own: impl Fn(&mut Pair) -> &mut ColId) -> Rel {
    let known: Vec<Column> = side.columns.iter().flatten().copied().collect();
    let mut renamed = Vec::new();
    for column in columns.iter_mut() {
        let (ty, id) = (column.3, own(column));
        let Some(c) = known.iter().find(|c| c.id == *id) else { continue };
        if ty.base == oid::BPCHAR && c.ty.typmod != ty.typmod {
            let expr = match () {
                () if c.is_null => Expr::Const { value: Scalar::Null, ty },
                () if ty.typmod == PgType::UNPADDED.typmod => Expr::Relabel { arg: Box::new(Expr::Column { id: c.id, ty: c.ty }), ty },
                () => continue,
            };
            let new = cx.new_col();
            renamed.push(Named { id: new, expr });
            *id = new;
        }
    }
    if renamed.is_empty() {
        return side.rel;
    }
    let exprs = known.iter().map(|c| Named { id: c.id, expr: Expr::Column { id: c.id, ty: c.ty } }).chain(renamed).collect();
    Rel::Project { input: Box::new(side.rel), exprs }
}

/// A column of a set operation, that of the left side, that of the right, and the type.
type Pair = (ColId, ColId, ColId, PgType);

/// Where the columns of a query are found, by the number of the target.
type Targets = BTreeMap<i16, (ColId, PgType)>;

/// Translates the definition of a recursive common table expression, the `index`-th of level `owner`: the current level is the
/// definition's own. What it puts out is found by the numbers of its columns.
pub unsafe fn recursive(cx: &mut Cx, query: *mut Query, owner: usize, index: usize) -> Result<(Rel, Targets)> {
    let stmt = (*query).setOperations;
    if stmt.is_null() || tag(stmt) != NodeTag::T_SetOperationStmt {
        return Err("WITH RECURSIVE that is no UNION".into());
    }
    let s = &*stmt.cast::<SetOperationStmt>();
    if s.op != SetOperation::SETOP_UNION || !(*query).sortClause.is_null() || !(*query).limitCount.is_null() || !(*query).limitOffset.is_null() {
        return Err("WITH RECURSIVE of an unusual form".into());
    }
    let left = operation(cx, query, s.larg, &Wanted::ALL)?;
    let typmods = tree::int_list(s.colTypmods);
    let collations = tree::oid_list(s.colCollations);
    let mut outputs = BTreeMap::new();
    for (i, type_oid) in tree::oid_list(s.colTypes).into_iter().enumerate() {
        let ty = types::pg_type(type_oid, typmods.get(i).copied().unwrap_or(-1))?;
        if ty.base == oid::BPCHAR && ty.typmod < 0 {
            return Err("WITH RECURSIVE over a character value whose length is not known".into());
        }
        if !s.all {
            order::check_equality(&ty, collations.get(i).copied().unwrap_or(pg_sys::InvalidOid), "UNION")?;
        }
        outputs.insert(i16::try_from(i + 1).map_err(|e| e.to_string())?, (cx.new_col(), ty));
    }
    let id = cx.new_cte();
    cx.levels[owner].ctes[index] = cte::Slot::Recursing { id, columns: outputs.clone() };
    let right = operation(cx, query, s.rarg, &Wanted::ALL);
    cx.levels[owner].ctes[index] = cte::Slot::Unused;
    let right = right?;
    let mut columns = Vec::new();
    for ((l, r), (id, ty)) in left.columns.iter().zip(&right.columns).zip(outputs.values()) {
        let (Some(l), Some(r)) = (l, r) else { return Err("a column of WITH RECURSIVE that is not computed".into()) };
        columns.push((*id, l.id, r.id, *ty));
    }
    let rel = Rel::SetOp(Box::new(SetOp { kind: SetOpKind::Union, all: s.all, left: left.rel, right: right.rel, columns, recursion: Some(id) }));
    cx.recursive = true;
    Ok((rel, outputs))
}

unsafe fn leaf(cx: &mut Cx, query: *mut Query, rti: i32, wanted: &Wanted) -> Result<Side> {
    let rtable = list::<RangeTblEntry>((*query).rtable);
    let rte = *rtable.get(rti as usize - 1).ok_or("a range table index out of range")?;
    if !(*rte).securityQuals.is_null() || (*rte).security_barrier {
        return Err("row-level security or a security-barrier view".into());
    }
    let subquery = (*rte).subquery;
    let Wanted { needed, used } = wanted;
    let mut output = match (needed, used) {
        (Needed::Only(resnos), Some(used)) => {
            let unused = unused::columns_that_can_fail(subquery, used);
            let all = Needed::Only(resnos.union(&unused).copied().collect());
            let output = query::subquery(cx, subquery, &all, false)?;
            let exprs = unused.iter().filter_map(|resno| output.columns.get(resno)).map(|&(id, ty)| Expr::Column { id, ty }).collect();
            query::Output { rel: unused::computed(output.rel, exprs), ..output }
        }
        _ => query::subquery(cx, subquery, needed, false)?,
    };
    output.columns.retain(|resno, _| needed.has(*resno));
    let mut columns = Vec::new();
    for te in list::<TargetEntry>((*subquery).targetList) {
        if (*te).resjunk {
            continue;
        }
        let node = (*te).expr.cast::<Node>();
        columns.push(output.columns.get(&(*te).resno).filter(|_| needed.has((*te).resno)).map(|&(id, ty)| Column {
            id,
            ty,
            type_oid: pg_sys::exprType(node),
            typmod: pg_sys::exprTypmod(node),
            collation: pg_sys::exprCollation(node),
            is_null: is_null(node),
        }));
    }
    Ok(Side { rel: output.rel, columns })
}

unsafe fn is_null(node: *mut Node) -> bool {
    tag(node) == NodeTag::T_Const && (*node.cast::<pg_sys::Const>()).constisnull
}

/// The side with its columns coerced to the types of the set operation, as Postgres's planner does it.
unsafe fn coerced(cx: &mut Cx, side: Side, s: &SetOperationStmt, name: &str) -> Result<Side> {
    let wanted = tree::oid_list(s.colTypes);
    if side.columns.iter().zip(&wanted).all(|(c, w)| c.is_none_or(|c| c.type_oid == *w)) {
        return Ok(side);
    }
    let context = std::ffi::CString::new(name).map_err(|e| e.to_string())?;
    let mut named = Vec::new();
    let mut columns = Vec::new();
    for (column, type_oid) in side.columns.iter().zip(&wanted) {
        let Some(c) = column else {
            columns.push(None);
            continue;
        };
        let id = cx.new_col();
        if c.type_oid == *type_oid {
            named.push(Named { id, expr: Expr::Column { id: c.id, ty: c.ty } });
            columns.push(Some(Column { id, ..*c }));
            continue;
        }
        let level = cx.levels.last_mut().ok_or("no query level")?;
        level.marks.push((c.id, c.ty));
        let mark = special_var(pg_sys::OUTER_VAR as i64, level.marks.len() - 1, c.type_oid, c.typmod, c.collation, 0);
        let cast = pg_sys::coerce_to_common_type(std::ptr::null_mut(), mark, *type_oid, context.as_ptr());
        let cast = param::fold(cx, cast);
        let e = expr::translate(cx, cast)?;
        let (typmod, collation) = (pg_sys::exprTypmod(cast), pg_sys::exprCollation(cast));
        columns.push(Some(Column { id, ty: e.ty(), type_oid: *type_oid, typmod, collation, is_null: c.is_null }));
        named.push(Named { id, expr: e });
    }
    Ok(Side { rel: Rel::Project { input: Box::new(side.rel), exprs: named }, columns })
}
