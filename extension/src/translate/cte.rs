//! Common table expressions: translated when first used; one that is used once is translated in place, with only the columns that are used.

use super::from::{alias, order_is_visible, set_column};
use super::query::{self, Needed, Output};
use super::tree::{list, string};
use super::{Cx, Result, input_order, setop, unused, usage};
use pg_sys::{CommonTableExpr, Query, RangeTblEntry};
use pgrx::pg_sys;
use std::collections::{BTreeMap, BTreeSet};
use weir_plan::ir::{ColId, CteId, Expr, Rel};
use weir_plan::types::PgType;

/// The state of one entry of a `cteList`.
#[derive(Clone)]
pub enum Slot {
    Unused,
    /// It stands in `Level::with`.
    Shared {
        id: CteId,
        columns: BTreeMap<i16, (ColId, PgType)>,
    },
    /// Its recursive term is being translated; it reads the rows that came last.
    Recursing {
        id: CteId,
        columns: BTreeMap<i16, (ColId, PgType)>,
    },
}

pub unsafe fn slots(query: *mut Query) -> Vec<Slot> {
    vec![Slot::Unused; super::tree::length((*query).cteList)]
}

/// One use of a common table expression in FROM of the current level.
pub unsafe fn reference(cx: &mut Cx, rti: u32, rte: *mut RangeTblEntry, used: &BTreeSet<i16>) -> Result<Rel> {
    let name = string((*rte).ctename);
    let owner = cx.levels.len().checked_sub(1 + (*rte).ctelevelsup as usize).ok_or("a WITH query of an unknown level")?;
    let query = cx.levels[owner].query;
    let (index, definition) = list::<CommonTableExpr>((*query).cteList)
        .into_iter()
        .enumerate()
        .find(|(_, c)| string((**c).ctename) == name)
        .ok_or_else(|| format!("WITH query {name} not found"))?;
    if (*rte).self_reference {
        let Some(Slot::Recursing { id, columns }) = cx.levels[owner].ctes.get(index).cloned() else {
            return Err("WITH RECURSIVE of an unusual form".into());
        };
        return Ok(read(cx, rti, rte, used, id, &columns));
    }
    if (*definition).cterefcount <= 1 {
        let ordered = order_is_visible(cx);
        let query = (*definition).ctequery.cast::<Query>();
        let asked = if (*definition).cterecursive { used.clone() } else { input_order::asked(cx, query, used) };
        let output = at_level(cx, owner, |cx| define(cx, definition, Wanted { needed: asked, used: used.clone() }, ordered, (owner, index)))?;
        if !(*definition).cterecursive {
            input_order::note(cx, query, &output.columns);
        }
        for &attno in used {
            let column = output.columns.get(&attno).copied().ok_or_else(|| format!("whole-row reference to {}", alias(rte)));
            set_column(cx, rti, attno, column);
        }
        return Ok(output.rel);
    }
    let (id, defined) = match cx.levels[owner].ctes.get(index).cloned() {
        Some(Slot::Shared { id, columns }) => (id, columns),
        _ => {
            let mut used = BTreeSet::new();
            usage::of_cte(query, 0, &name, &mut used);
            let needed = if used.is_empty() { all_columns((*definition).ctequery.cast()) } else { used.clone() };
            let output = at_level(cx, owner, |cx| define(cx, definition, Wanted { needed, used }, false, (owner, index)))?;
            let id = cx.new_cte();
            cx.levels[owner].with.push((id, output.rel));
            cx.levels[owner].ctes[index] = Slot::Shared { id, columns: output.columns.clone() };
            (id, output.columns)
        }
    };
    Ok(read(cx, rti, rte, used, id, &defined))
}

/// The query of a common table expression in FROM of `query`, if Postgres puts it in its place; else null. `levels_up`: how far `query` is below the
/// current level; of one that is defined between the two nothing is said.
pub unsafe fn inlined(cx: &Cx, query: *mut Query, rte: *mut RangeTblEntry, levels_up: usize) -> *mut Query {
    let up = (*rte).ctelevelsup as usize;
    let owner = match up {
        0 => Some(query),
        _ => up.checked_sub(levels_up).and_then(|up| cx.levels.iter().rev().nth(up)).map(|level| level.query),
    };
    let Some(owner) = owner else { return std::ptr::null_mut() };
    let name = string((*rte).ctename);
    let is_it = |c: &*mut CommonTableExpr| {
        let c = &**c;
        string(c.ctename) == name && c.cterefcount <= 1 && !c.cterecursive && c.ctematerialized != pg_sys::CTEMaterialize::CTEMaterializeAlways
    };
    list::<CommonTableExpr>((*owner).cteList).into_iter().find(is_it).map_or(std::ptr::null_mut(), |c| (*c).ctequery.cast())
}

/// The columns of a definition that are asked for, and those that are used.
struct Wanted {
    needed: BTreeSet<i16>,
    used: BTreeSet<i16>,
}

/// The definition, translated; it is the `index`-th of level `owner`.
unsafe fn define(cx: &mut Cx, definition: *mut CommonTableExpr, wanted: Wanted, ordered: bool, (owner, index): (usize, usize)) -> Result<Output> {
    let query = (*definition).ctequery.cast::<Query>();
    let Wanted { mut needed, used } = wanted;
    if !(*definition).cterecursive {
        let is_forced = (*definition).ctematerialized == pg_sys::CTEMaterialize::CTEMaterializeAlways;
        let may_be = (*definition).ctematerialized != pg_sys::CTEMaterialize::CTEMaterializeNever;
        let is_materialised = is_forced || (may_be && (*definition).cterefcount > 1);
        if !is_materialised {
            return query::subquery(cx, query, &Needed::Only(needed), ordered);
        }
        let unused = unused::columns_that_can_fail(query, &used);
        needed.extend(&unused);
        let output = query::subquery(cx, query, &Needed::Only(needed), ordered)?;
        let exprs: Vec<Expr> = unused.iter().filter_map(|resno| output.columns.get(resno)).map(|&(id, ty)| Expr::Column { id, ty }).collect();
        // Conditions do not enter it. (Where it is used several times only because nobody said otherwise, they do, unless that shows.)
        let shows = !exprs.is_empty() || (is_forced && !unused::columns_that_can_fail(query, &BTreeSet::new()).is_empty());
        let rel = if shows { unused::fenced(output.rel, exprs, false) } else { output.rel };
        return Ok(Output { rel, ..output });
    }
    let entries = query::entries(query, &Needed::All);
    let (rel, columns) = query::in_level(cx, query, &entries, |cx| setop::recursive(cx, query, owner, index))?;
    Ok(Output { rel, columns, order: Vec::new() })
}

/// The numbers of all columns of a query.
unsafe fn all_columns(query: *mut Query) -> BTreeSet<i16> {
    list::<pg_sys::TargetEntry>((*query).targetList).into_iter().filter(|te| !(**te).resjunk).map(|te| (*te).resno).collect()
}

/// Reads a relation that is defined elsewhere.
unsafe fn read(cx: &mut Cx, rti: u32, rte: *mut RangeTblEntry, used: &BTreeSet<i16>, id: CteId, defined: &BTreeMap<i16, (ColId, PgType)>) -> Rel {
    let mut columns = Vec::new();
    for &attno in used {
        let column = match defined.get(&attno) {
            None => Err(format!("whole-row reference to {}", alias(rte))),
            Some(&(old, ty)) => {
                let new = cx.new_col();
                columns.push((new, old, ty));
                Ok((new, ty))
            }
        };
        set_column(cx, rti, attno, column);
    }
    if columns.is_empty()
        && let Some(&(old, ty)) = defined.values().next()
    {
        columns.push((cx.new_col(), old, ty));
    }
    Rel::CteRef { cte: id, columns }
}

/// Runs `f` as if the level `owner` were the current one.
fn at_level<T>(cx: &mut Cx, owner: usize, f: impl FnOnce(&mut Cx) -> T) -> T {
    let inner = cx.levels.split_off(owner + 1);
    let lateral = cx.lateral_level.take();
    let result = f(cx);
    cx.lateral_level = lateral;
    cx.levels.extend(inner);
    result
}
