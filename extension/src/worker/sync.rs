//! What the catalog wants, compared with what the worker follows.
//!
//! Each function here is one transaction of the worker. They decide on values only; the main loop acts on the answer.

use super::slot::{self, SlotState};
use crate::catalog::define::{self, NoKey, Shape};
use crate::catalog::store::{self, Row};
use crate::catalog::{self, upgrade};
use pgrx::pg_sys;
use std::collections::HashSet;
use weir_plan::Result;
use weir_plan::manifest::MirrorDef;

/// The catalog as the worker has to see it.
#[derive(Debug, Default)]
pub struct Wanted {
    /// `false`: the extension is not (or no longer) in this database.
    pub installed: bool,
    /// Mirrors to be followed (active or copying), with their segments.
    pub follow: Vec<MirrorDef>,
    /// Something could not be looked at because it is locked: look again soon.
    pub unfinished: bool,
    pub slot: Option<SlotState>,
    /// The mirrors' table.
    pub catalog: u32,
}

/// Reads the catalog and brings what is out of shape on its way: marked mirrors get their new definition, those that cannot be followed
/// an error, those whose table changed a mark.
///
/// `followed`: generations that are followed already. `suspects`: tables whose definition may have changed; `None` for all.
pub fn read(database: pg_sys::Oid, followed: &dyn Fn(u32) -> Option<i64>, suspects: Option<&HashSet<u32>>) -> Result<Wanted> {
    if !is_installed() {
        return Ok(Wanted::default());
    }
    upgrade::ensure_current()?;
    let mut wanted = Wanted { installed: true, catalog: catalog::mirror_table().to_u32(), ..Wanted::default() };
    store::delete_orphans()?;
    for row in store::load()? {
        let relid = row.def.relid;
        if let Some(reason) = row.foreign.filter(|_| row.state == "active" || row.state == "copying") {
            wanted.unfinished = true;
            if store::lock(relid)? {
                store::mark_resync(relid, Some(row.def.generation), reason)?;
            }
            continue;
        }
        let check = match row.state.as_str() {
            "resync" => true,
            "error" => suspects.is_none_or(|s| s.contains(&relid)),
            _ => followed(relid) != Some(row.def.generation) || suspects.is_none_or(|s| s.contains(&relid)),
        };
        let shape = if check { look_at(relid) } else { Look::NotNeeded };
        // Until the catalog says otherwise, the log may not advance without a mirror.
        let may_be_used = row.state == "active" || row.state == "copying";
        let mut still_followed = false;
        match decide(&row, shape) {
            Decision::Follow => still_followed = true,
            Decision::Wait => wanted.unfinished = true,
            Decision::Leave => {}
            Decision::Mark(reason) => {
                wanted.unfinished = true;
                // The definition may have followed the table's since it was read.
                let same = |latest: &Row| latest.def.relid == relid && latest.def.columns == row.def.columns && latest.state == row.state;
                if store::lock(relid)? && store::load_latest()?.iter().any(same) {
                    store::mark_resync(relid, Some(row.def.generation), &reason)?;
                } else {
                    still_followed = may_be_used;
                }
            }
            Decision::Fail(reason) => {
                if store::lock(relid)? {
                    store::mark_error(relid, row.def.generation, &reason)?;
                } else {
                    wanted.unfinished = true;
                    still_followed = may_be_used;
                }
            }
            Decision::Copy(shape, expected_rows) => {
                wanted.unfinished = true;
                if let (true, Ok(key)) = (store::lock(relid)?, &shape.key) {
                    store::start_copy(relid, row.def.generation, &shape, key, expected_rows)?;
                }
            }
        }
        if still_followed {
            let mut def = row.def;
            if followed(relid) != Some(def.generation) {
                def.segments = store::load_segments(relid, def.generation)?;
            }
            wanted.follow.push(def);
        }
    }
    if !wanted.follow.is_empty() || wanted.unfinished {
        wanted.slot = Some(slot::state(database)?);
    }
    Ok(wanted)
}

/// Whether the extension is in this database. Needs a transaction.
pub fn is_installed() -> bool {
    // SAFETY: catalog look-up in a transaction.
    unsafe { pg_sys::get_extension_oid(c"pg_weir".as_ptr(), true) != pg_sys::InvalidOid }
}

/// What became of a look at a table.
enum Look {
    NotNeeded,
    /// Somebody holds a lock against readers.
    Locked,
    Gone,
    Shape(Shape, Kind, i64),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Ordinary,
    Unlogged,
    Other,
}

enum Decision {
    Follow,
    Leave,
    Wait,
    Mark(String),
    Fail(String),
    Copy(Shape, i64),
}

fn decide(row: &Row, look: Look) -> Decision {
    let (shape, kind, expected_rows) = match look {
        Look::NotNeeded if row.state == "error" => return Decision::Leave,
        Look::NotNeeded => return Decision::Follow,
        Look::Locked | Look::Gone if row.state == "active" || row.state == "copying" => return Decision::Follow,
        Look::Locked => return Decision::Wait,
        Look::Gone => return Decision::Leave,
        Look::Shape(shape, kind, expected_rows) => (shape, kind, expected_rows),
    };
    let obstacle = match kind {
        Kind::Unlogged => Some("the table is unlogged, so its changes cannot be followed".to_owned()),
        Kind::Other => Some("the relation is not an ordinary table".to_owned()),
        Kind::Ordinary => obstacle(&shape),
    };
    match (row.state.as_str(), obstacle) {
        ("error", _) if row.for_good => Decision::Leave,
        ("error", Some(_)) => Decision::Leave,
        (_, Some(obstacle)) => Decision::Fail(obstacle),
        ("error", None) => Decision::Mark(OBSTACLE_GONE.into()),
        ("resync", None) => Decision::Copy(shape, expected_rows),
        (_, None) if shape.fits(&row.def.columns, &row.def.key) => Decision::Follow,
        (_, None) => Decision::Mark("the definition of the table changed".into()),
    }
}

/// Why a mirror that was in error is copied again.
pub const OBSTACLE_GONE: &str = "the obstacle is gone";

/// Why an ordinary table of this shape cannot be followed, if so.
pub fn obstacle(shape: &Shape) -> Option<String> {
    match &shape.key {
        Err(e) => Some(explain(e)),
        Ok(_) => shape.columns.is_empty().then(|| "no column of the table has a type that can be mirrored".to_owned()),
    }
}

/// Why a table has no key, as a user is told.
pub fn explain(e: &NoKey) -> String {
    match e {
        NoKey::NoPrimaryKey => "the table has no primary key and REPLICA IDENTITY is not FULL".into(),
        NoKey::Deferrable => "the primary key of the table is deferrable and REPLICA IDENTITY is not FULL".into(),
        NoKey::Nothing { .. } => "REPLICA IDENTITY of the table is NOTHING".into(),
        NoKey::NoIndex => "the index that was the replica identity of the table is gone".into(),
        NoKey::Unsupported(column) => format!("column \"{column}\" of the key has a type that cannot be mirrored"),
    }
}

fn look_at(relid: u32) -> Look {
    let oid = pg_sys::Oid::from(relid);
    let share = pg_sys::AccessShareLock.cast_signed();
    // SAFETY: in a transaction. The lock is taken only if nobody has to be waited for, and given back at once.
    unsafe {
        if !pg_sys::ConditionalLockRelationOid(oid, share) {
            return Look::Locked;
        }
        let rel = pg_sys::try_relation_open(oid, pg_sys::NoLock.cast_signed());
        if rel.is_null() {
            pg_sys::UnlockRelationOid(oid, share);
            return Look::Gone;
        }
        let form = (*rel).rd_rel;
        let kind = match ((*form).relkind.cast_unsigned(), (*form).relpersistence.cast_unsigned()) {
            (pg_sys::RELKIND_RELATION, pg_sys::RELPERSISTENCE_PERMANENT) => Kind::Ordinary,
            (pg_sys::RELKIND_RELATION, _) => Kind::Unlogged,
            _ => Kind::Other,
        };
        let look = Look::Shape(define::shape(rel), kind, if kind == Kind::Other { 0 } else { expected_rows(rel) });
        pg_sys::relation_close(rel, share);
        look
    }
}

/// About how many rows an open table has. Of a table that was never analysed Postgres plans with ten pages at least, as if it were about to grow; here it is
/// as full as its rows, of their width, would be in the pages that it has.
///
/// # Safety
/// An open heap.
pub unsafe fn expected_rows(rel: pg_sys::Relation) -> i64 {
    let (mut pages, mut tuples, mut all_visible) = (0, 0.0, 0.0);
    // SAFETY: as promised by the caller.
    let there = unsafe {
        pg_sys::estimate_rel_size(rel, std::ptr::null_mut(), &raw mut pages, &raw mut tuples, &raw mut all_visible);
        pg_sys::RelationGetNumberOfBlocksInFork(rel, pg_sys::ForkNumber::MAIN_FORKNUM)
    };
    if there < pages {
        tuples *= f64::from(there) / f64::from(pages);
    }
    #[allow(clippy::cast_possible_truncation, reason = "an estimate")]
    let rows = tuples.max(0.0) as i64;
    rows
}
