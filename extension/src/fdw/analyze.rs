//! ANALYZE: how many rows the remote table has, and a sample of them.
//!
//! The remote counts and picks by chance, so that about the sample travels; from what comes a random sample is kept.

use super::catalog;
use super::reader::{Reader, Statement, column, numerics_as_stored, remote_of};
use super::target::{engine_of, name_of, remote_names};
use crate::{error, planner, translate};
use pgrx::pg_sys;
use pgrx::prelude::*;
use std::collections::BTreeSet;
use weir_plan::ir::{ColId, Plan, Rel, Remote, ServerRef, SqlPart};
use weir_plan::types::PgType;
use weir_plan::{Error, Result};

/// How many times the rows of the sample are asked for, so that chance does not give too few.
const SPARE: f64 = 1.5;

#[pg_guard]
pub unsafe extern "C-unwind" fn analyze(_rel: pg_sys::Relation, sample: *mut pg_sys::AcquireSampleRowsFunc, pages: *mut pg_sys::BlockNumber) -> bool {
    // SAFETY: Postgres passes places for the answer.
    unsafe {
        *sample = Some(acquire);
        // Nobody here knows pages; it must not look empty.
        *pages = 1;
    }
    true
}

#[pg_guard]
unsafe extern "C-unwind" fn acquire(rel: pg_sys::Relation, level: i32, rows: *mut pg_sys::HeapTuple, wanted: i32, total: *mut f64, dead: *mut f64) -> i32 {
    // SAFETY: Postgres passes an open relation and room for as many rows as it wants.
    unsafe {
        let (kept, all) = collect(rel, rows, usize::try_from(wanted).unwrap_or(0)).unwrap_or_else(|e| error::raise(&e));
        *total = all;
        *dead = 0.0;
        if level > 0 && kept == 0 && all > 0.0 {
            pgrx::debug1!("the sample of a foreign table is empty");
        }
        i32::try_from(kept).unwrap_or(0)
    }
}

/// The sample, in the order of the reading, and how many rows there are.
unsafe fn collect(rel: pg_sys::Relation, rows: *mut pg_sys::HeapTuple, wanted: usize) -> Result<(usize, f64)> {
    // SAFETY: an open relation.
    unsafe {
        let relid = (*rel).rd_id;
        // A query's state, which owns what is read.
        let estate = pg_sys::CreateExecutorState();
        let all = count(relid, estate)?;
        let (statement, attnums) = statement(relid, wanted, all)?;
        let mut reader = Reader::open(&statement, Vec::new(), pg_sys::GetUserId(), estate)?;
        let tupdesc = (*rel).rd_att;
        let natts = usize::try_from((*tupdesc).natts).unwrap_or(0);
        let (mut values, mut nulls) = (vec![pg_sys::Datum::null(); attnums.len()], vec![true; attnums.len()]);
        let (mut kept, mut read) = (0usize, 0u64);
        while reader.next_row(values.as_mut_ptr(), nulls.as_mut_ptr())? {
            pgrx::check_for_interrupts!();
            read += 1;
            // Each row so far is in the sample with the same chance.
            let place = if kept < wanted { kept } else { usize::try_from(random(read)).unwrap_or(usize::MAX) };
            if place >= wanted {
                continue;
            }
            let (mut full, mut full_nulls) = (vec![pg_sys::Datum::null(); natts], vec![true; natts]);
            for ((attnum, value), null) in attnums.iter().zip(&values).zip(&nulls) {
                let at = usize::try_from(*attnum - 1).unwrap_or(usize::MAX);
                if let (Some(v), Some(n)) = (full.get_mut(at), full_nulls.get_mut(at)) {
                    (*v, *n) = (*value, *null);
                }
            }
            if place < kept {
                pg_sys::heap_freetuple(*rows.add(place));
            } else {
                kept += 1;
            }
            rows.add(place).write(pg_sys::heap_form_tuple(tupdesc, full.as_mut_ptr(), full_nulls.as_mut_ptr()));
        }
        reader.close();
        pg_sys::FreeExecutorState(estate);
        Ok((kept, all))
    }
}

/// Below `n`.
fn random(n: u64) -> u64 {
    use std::hash::{BuildHasher, RandomState};
    RandomState::new().hash_one(n) % n.max(1)
}

unsafe fn count(relid: pg_sys::Oid, estate: *mut pg_sys::EState) -> Result<f64> {
    let (server, _, name, table) = remote_names(relid)?;
    let counted = column("count", PgType::INT8);
    let output = vec![(counted.id, counted.ty)];
    let remote =
        Remote { server, name, sql: vec![SqlPart::Text(format!("SELECT count(*) FROM {table}"))], columns: vec![counted], rows: None, keys: Vec::new() };
    let plan = Plan { root: Rel::Remote(Box::new(remote)), output, params: Vec::new(), session: planner::current_session() };
    let statement = Statement { server, relids: vec![relid.to_u32()], output: vec![PgType::INT8], locks: false, plan: plan.encode()? };
    let (mut value, mut null) = (pg_sys::Datum::null(), true);
    // SAFETY: one column, one place; the state is the caller's.
    unsafe {
        let mut reader = Reader::open(&statement, Vec::new(), pg_sys::GetUserId(), estate)?;
        let there = reader.next_row(&raw mut value, &raw mut null)?;
        let n = if there && !null { value.value() as i64 as f64 } else { 0.0 };
        while reader.next_row(&raw mut value, &raw mut null)? {}
        reader.close();
        Ok(n)
    }
}

/// The statement that reads about as many rows as are wanted.
unsafe fn statement(relid: pg_sys::Oid, wanted: usize, all: f64) -> Result<(Statement, Vec<i16>)> {
    let refused = |why: String| Error::refused(format!("foreign table \"{}\" cannot be analysed: {why}", name_of(relid)));
    let tables = catalog::Tables::new();
    let server = ServerRef { server: catalog::server_of(relid).map_or(0, |s| s.to_u32()), user: 0 };
    let engine = engine_of(server)?;
    // SAFETY: a range table entry as the translation reads it; the relation is locked.
    let (mut plan, attnums) = unsafe {
        let rte = pg_sys::palloc0(size_of::<pg_sys::RangeTblEntry>()).cast::<pg_sys::RangeTblEntry>();
        (*rte).type_ = pg_sys::NodeTag::T_RangeTblEntry;
        (*rte).rtekind = pg_sys::RTEKind::RTE_RELATION;
        (*rte).relid = relid;
        (*rte).relkind = pg_sys::RELKIND_FOREIGN_TABLE.cast_signed();
        let readable: BTreeSet<i16> = super::paths::all_columns(relid).into_iter().filter(|c| translate::column_type(relid, *c).is_ok()).collect();
        let (plan, _, attnums) = translate::base_relation(rte, 1, server, &readable, &[], &[], planner::current_session()).map_err(refused)?;
        (plan, attnums)
    };
    weir_fdw::push::push(&mut plan, &|s| tables.get(s)).map_err(refused)?;
    let share = wanted as f64 * SPARE / all.max(1.0);
    if let Rel::Remote(remote) = &mut plan.root
        && share < 0.5
        && let Some(condition) = engine.dialect.by_chance(share)
    {
        remote.sql.push(SqlPart::Text(format!(" WHERE {condition}")));
    }
    numerics_as_stored(&mut plan, engine);
    let encoded = plan.encode()?;
    // It is one statement.
    remote_of(&encoded)?;
    let output = plan.output.iter().map(|(_, ty): &(ColId, PgType)| *ty).collect();
    Ok((Statement { server, relids: vec![relid.to_u32()], output, locks: false, plan: encoded }, attnums))
}
