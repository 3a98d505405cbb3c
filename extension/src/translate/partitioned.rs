//! A partitioned table in FROM: all rows of its leaves, whose columns are found by name, as Postgres finds them. So is a table that others
//! inherit from: its own rows and theirs.
//!
//! Invariant: only leaves are read that the standard plan reads, which has excluded those whose bounds contradict the query. These are
//! locked, and a new one makes Postgres plan the query anew.

use super::from::{TABLEOID, alias, rows, scan_column, set_column, system_column, with_tableoid};
use super::{Cx, Result, function_rte, types};
use crate::partition;
use pg_sys::RangeTblEntry;
use pgrx::pg_sys;
use std::collections::BTreeSet;
use weir_plan::ir::{ColId, Rel, Scan, ScanColumn, SetOp, SetOpKind, Source};
use weir_plan::types::{PgType, oid};

/// A relation and the columns that it puts out.
type Side = (Rel, Vec<(ColId, PgType)>);

pub unsafe fn relation(cx: &mut Cx, rti: u32, rte: *mut RangeTblEntry, used: &BTreeSet<i16>, name: &str) -> Result<Rel> {
    if !(*rte).inh {
        return Err(format!("ONLY on partitioned table {name}"));
    }
    let leaves = partition::leaves((*rte).relid, pg_sys::NoLock as pg_sys::LOCKMODE).unwrap_or_default();
    all_of(cx, rti, rte, used, Parts { relids: leaves, noun: "partition", of: name })
}

/// A table that is no partitioned one, and what inherits from it.
pub unsafe fn with_children(cx: &mut Cx, rti: u32, rte: *mut RangeTblEntry, used: &BTreeSet<i16>, name: &str) -> Result<Rel> {
    let relids = partition::with_children((*rte).relid, pg_sys::NoLock as pg_sys::LOCKMODE);
    all_of(cx, rti, rte, used, Parts { relids, noun: "child table", of: name })
}

/// The tables whose rows are one table's.
struct Parts<'a> {
    relids: Vec<pg_sys::Oid>,
    noun: &'static str,
    of: &'a str,
}

unsafe fn all_of(cx: &mut Cx, rti: u32, rte: *mut RangeTblEntry, used: &BTreeSet<i16>, parts: Parts) -> Result<Rel> {
    let Parts { relids: mut leaves, noun, of: name } = parts;
    leaves.retain(|leaf| (cx.reads)(*leaf));
    let mut wanted = Vec::new();
    let has_tableoid = used.contains(&TABLEOID);
    for &attno in used {
        if attno == TABLEOID {
            // The last of the columns.
        } else if attno > 0 {
            wanted.push(attno);
        } else {
            let why = if attno == 0 { format!("whole-row reference to {}", alias(rte)) } else { format!("system column {} of {name}", system_column(attno)) };
            set_column(cx, rti, attno, Err(why));
        }
    }
    let mut sides = Vec::new();
    for leaf in leaves {
        if pg_sys::get_rel_relkind(leaf).cast_unsigned() == pg_sys::RELKIND_FOREIGN_TABLE {
            return Err(format!("{noun} {} of {name}, a foreign table", types::relation_name(leaf)));
        }
        let mirror = (cx.mirrors)(leaf).ok_or_else(|| format!("{noun} {} of {name} has no mirror in use", types::relation_name(leaf)))?;
        let mut columns: Vec<ScanColumn> = Vec::new();
        for &attno in &wanted {
            let column_name = pg_sys::get_attname((*rte).relid, attno, false);
            columns.push(scan_column(cx, leaf, &mirror, pg_sys::get_attnum(leaf, column_name))?);
        }
        let widths: f64 = columns.iter().map(|c| if pg_sys::get_typlen(pg_sys::Oid::from(c.ty.oid)) < 0 { 2.0 } else { 1.0 }).sum();
        cx.scans += 1.0;
        cx.scanned.push(leaf.to_u32());
        cx.values_read += rows(leaf) * widths;
        let mut out: Vec<(ColId, PgType)> = columns.iter().map(|c| (c.id, c.ty)).collect();
        let source = Source::Mirror { relid: leaf.to_u32(), generation: mirror.generation };
        let scan = Scan { source, name: types::relation_name(leaf), columns };
        if has_tableoid {
            let id = cx.new_col();
            out.push((id, PgType::new(oid::OID)));
            sides.push((with_tableoid(scan, leaf, id), out));
        } else {
            sides.push((Rel::Scan(scan), out));
        }
    }
    if sides.is_empty() {
        let mut out = Vec::new();
        for &attno in &wanted {
            let (mut type_oid, mut typmod, mut collation) = (pg_sys::InvalidOid, -1, pg_sys::InvalidOid);
            pg_sys::get_atttypetypmodcoll((*rte).relid, attno, &mut type_oid, &mut typmod, &mut collation);
            out.push((cx.new_col(), types::pg_type(type_oid, typmod)?));
        }
        if has_tableoid {
            out.push((cx.new_col(), PgType::new(oid::OID)));
        }
        sides.push((Rel::Values { columns: out.clone(), rows: vec![] }, out));
    }
    let (rel, out) = appended(cx, sides);
    wanted.extend(has_tableoid.then_some(TABLEOID));
    for (attno, column) in wanted.iter().zip(&out) {
        set_column(cx, rti, *attno, Ok(*column));
    }
    Ok(rel)
}

/// The rows of all sides. Their tree is as flat as it can be: what walks plans recurses.
fn appended(cx: &mut Cx, mut sides: Vec<Side>) -> Side {
    while sides.len() > 1 {
        let mut pairs = Vec::new();
        let mut rest = sides.into_iter();
        while let Some(left) = rest.next() {
            pairs.push(match rest.next() {
                Some(right) => union(cx, left, right),
                None => left,
            });
        }
        sides = pairs;
    }
    sides.pop().unwrap_or((Rel::OneRow, Vec::new()))
}

fn union(cx: &mut Cx, left: Side, right: Side) -> Side {
    // Rows without columns cannot be appended.
    let (left, left_columns) = if left.1.is_empty() { with_column(cx, left.0) } else { left };
    let (right, right_columns) = if right.1.is_empty() { with_column(cx, right.0) } else { right };
    let columns: Vec<_> = left_columns.iter().zip(&right_columns).map(|((l, ty), (r, _))| (cx.new_col(), *l, *r, *ty)).collect();
    let out = columns.iter().map(|(id, _, _, ty)| (*id, *ty)).collect();
    (Rel::SetOp(Box::new(SetOp { kind: SetOpKind::Union, all: true, left, right, columns, recursion: None })), out)
}

/// The relation with a column that nobody looks at.
fn with_column(cx: &mut Cx, rel: Rel) -> Side {
    let (column, expr) = function_rte::some_column(cx);
    let exprs = vec![weir_plan::ir::Named { id: column.0, expr }];
    (Rel::Project { input: Box::new(rel), exprs }, vec![column])
}
