//! Reading and writing the catalog tables through SPI: the worker's side, and what `weir.mirror` writes.
//!
//! Invariants:
//! - Every function needs a transaction with an active snapshot and the rights of the extension's owner.
//! - The worker never waits for the lock of a row that somebody's open transaction holds: it skips it and comes back.

use super::define::Shape;
use super::upgrade;
use pgrx::datum::DatumWithOid;
use pgrx::prelude::*;
use pgrx::spi::SpiTupleTable;
use pgrx::{JsonB, pg_sys};
use weir_plan::manifest::{ColumnDef, FORM, Key, Lsn, ManifestChange, MirrorDef, MirrorState, SegmentMeta};
use weir_plan::protocol::ManifestOutcome;
use weir_plan::{Error, Result};

/// A row of `weir.mirror_table`.
#[derive(Debug, Clone)]
pub struct Row {
    pub def: MirrorDef,
    /// copying, active, resync or error
    pub state: String,
    /// As in [`super::define::Shape`], when the mirror's columns were last compared with the table's.
    pub attributes: Option<i16>,
    /// Why nothing of it can be used: another build has left it.
    pub foreign: Option<&'static str>,
    /// What it is in error for is not looked at again.
    pub for_good: bool,
}

/// How the reason begins when a table has a row that fits into no message.
pub const ROW_TOO_LARGE: &str = "a row of the table is larger than 255 MB";

/// What became of a lock.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    Taken,
    /// The generation is gone.
    Gone,
    /// Somebody changes the mirror: try again later.
    Busy,
}

fn spi_error(e: pgrx::spi::Error) -> Error {
    Error::internal(format!("catalog access failed: {e}"))
}

/// LSNs travel as bigint.
fn lsn_out(lsn: Lsn) -> i64 {
    lsn.cast_signed()
}

const LOAD: &str = "SELECT m.relid, m.generation, m.state, m.columns, m.key, (m.applied_lsn - '0/0'::pg_lsn)::int8, m.poisoned,
        format('%I.%I', n.nspname, c.relname), m.attributes, m.form, m.reason
   FROM weir.mirror_table m JOIN pg_class c ON c.oid = m.relid JOIN pg_namespace n ON n.oid = c.relnamespace
  ORDER BY m.generation";

/// All mirrors, without their segments.
pub fn load() -> Result<Vec<Row>> {
    Spi::connect(|client| rows(client.select(LOAD, None, &[]).map_err(spi_error)?))
}

/// The same under a snapshot of this moment (or the transaction's, if it has only one): that of the statement at hand may have been taken
/// before it waited for a lock.
pub fn load_latest() -> Result<Vec<Row>> {
    Spi::connect_mut(|client| rows(client.update(LOAD, None, &[]).map_err(spi_error)?))
}

fn rows(table: SpiTupleTable<'_>) -> Result<Vec<Row>> {
    let mut rows = Vec::new();
    for r in table {
        let missing = || Error::internal("weir.mirror_table has an unexpected NULL");
        let state: String = r.get(3).map_err(spi_error)?.ok_or_else(missing)?;
        let JsonB(columns) = r.get(4).map_err(spi_error)?.ok_or_else(missing)?;
        let columns: Option<Vec<ColumnDef>> = serde_json::from_value(columns).ok();
        let form: i16 = r.get(10).map_err(spi_error)?.unwrap_or(1);
        let foreign = match &columns {
            None => Some(upgrade::UNREADABLE),
            Some(_) if form != FORM => Some(upgrade::OTHER_FORM),
            Some(_) => None,
        };
        let reason: Option<String> = r.get(11).map_err(spi_error)?;
        let def = MirrorDef {
            relid: r.get::<pg_sys::Oid>(1).map_err(spi_error)?.ok_or_else(missing)?.to_u32(),
            generation: r.get(2).map_err(spi_error)?.ok_or_else(missing)?,
            name: r.get(8).map_err(spi_error)?.ok_or_else(missing)?,
            columns: columns.unwrap_or_default(),
            key: r.get::<Vec<i16>>(5).map_err(spi_error)?.map_or(Key::FullRow, Key::Columns),
            state: if state == "active" { MirrorState::Active } else { MirrorState::Copying },
            applied_lsn: r.get::<i64>(6).map_err(spi_error)?.unwrap_or(0).cast_unsigned(),
            segments: Vec::new(),
            poisoned: r.get(7).map_err(spi_error)?.unwrap_or_default(),
        };
        let for_good = reason.is_some_and(|reason| reason.starts_with(ROW_TOO_LARGE));
        rows.push(Row { def, state, attributes: r.get(9).map_err(spi_error)?, foreign, for_good });
    }
    Ok(rows)
}

/// The segments of one mirror.
pub fn load_segments(relid: u32, generation: i64) -> Result<Vec<SegmentMeta>> {
    Spi::connect(|client| {
        let table = client
            .select(
                "SELECT segment_id, path, rows, size_bytes, deletes FROM weir.mirror_segment
                  WHERE relid = $1 AND generation = $2 ORDER BY segment_id",
                None,
                &[pg_sys::Oid::from(relid).into(), generation.into()],
            )
            .map_err(spi_error)?;
        let mut segments = Vec::new();
        for r in table {
            let missing = || Error::internal("weir.mirror_segment has an unexpected NULL");
            segments.push(SegmentMeta {
                id: r.get(1).map_err(spi_error)?.ok_or_else(missing)?,
                path: r.get(2).map_err(spi_error)?.ok_or_else(missing)?,
                rows: r.get::<i64>(3).map_err(spi_error)?.unwrap_or(0).cast_unsigned(),
                size_bytes: r.get::<i64>(4).map_err(spi_error)?.unwrap_or(0).cast_unsigned(),
                deletes: r.get(5).map_err(spi_error)?.unwrap_or_default(),
            });
        }
        Ok(segments)
    })
}

/// Runs a statement.
fn run(sql: &str, args: &[DatumWithOid<'_>]) -> Result<usize> {
    Spi::connect_mut(|client| client.update(sql, None, args).map(|t| t.len()).map_err(spi_error))
}

/// Lets every backend read the row of this table anew, and plan its queries anew.
pub fn invalidate(relid: u32) {
    // SAFETY: in a transaction. Does nothing if the table is gone by now.
    unsafe {
        let exists = pg_sys::SearchSysCacheExists(
            pg_sys::SysCacheIdentifier::RELOID.cast_signed(),
            pg_sys::Datum::from(pg_sys::Oid::from(relid)),
            pg_sys::Datum::null(),
            pg_sys::Datum::null(),
            pg_sys::Datum::null(),
        );
        if exists {
            pg_sys::CacheInvalidateRelcacheByRelid(relid.into());
        }
    }
}

/// Writes what the engine wants committed; the caller commits the transaction.
pub fn apply_manifest(changes: &[ManifestChange]) -> Result<ManifestOutcome> {
    // All rows are locked first, so that nothing is written if one is busy.
    for c in changes {
        match lock_generation(c.relid)? {
            Locked::Is { generation, followed: true } if generation == c.generation => {}
            Locked::Busy => return Ok(ManifestOutcome::Busy { relid: c.relid }),
            _ => return Ok(ManifestOutcome::Refused),
        }
    }
    for c in changes {
        write_change(c)?;
    }
    Ok(ManifestOutcome::Committed)
}

/// Locks the row of a mirror. `false`: somebody else has, or it is gone.
pub fn lock(relid: u32) -> Result<bool> {
    Ok(matches!(lock_generation(relid)?, Locked::Is { .. }))
}

/// Locks the row of a mirror of this generation: `Gone` if it has another one, too.
pub fn lock_state(relid: u32, generation: i64) -> Result<Outcome> {
    Ok(match lock_generation(relid)? {
        Locked::Is { generation: g, .. } if g == generation => Outcome::Taken,
        Locked::Busy => Outcome::Busy,
        _ => Outcome::Gone,
    })
}

/// Marks every mirror to be copied again.
pub fn mark_all_resync(reason: &str) -> Result<()> {
    for row in load()? {
        if row.state != "error" {
            mark_resync(row.def.relid, None, reason)?;
        }
    }
    Ok(())
}

/// Removes what is left of tables that were dropped while the event triggers were off.
pub fn delete_orphans() -> Result<()> {
    let orphaned = Spi::connect(|client| -> Result<bool> {
        let table =
            client.select("SELECT FROM weir.mirror_table m WHERE NOT EXISTS (SELECT FROM pg_class WHERE oid = m.relid)", Some(1), &[]).map_err(spi_error)?;
        Ok(!table.is_empty())
    })?;
    if orphaned {
        run("DELETE FROM weir.mirror_segment s WHERE NOT EXISTS (SELECT FROM pg_class WHERE oid = s.relid)", &[])?;
        run("DELETE FROM weir.mirror_table m WHERE NOT EXISTS (SELECT FROM pg_class WHERE oid = m.relid)", &[])?;
    }
    Ok(())
}

enum Locked {
    Is {
        generation: i64,
        /// It is followed, not marked or in error.
        followed: bool,
    },
    Busy,
    Gone,
}

fn lock_generation(relid: u32) -> Result<Locked> {
    let oid = pg_sys::Oid::from(relid);
    Spi::connect_mut(|client| {
        let table = client
            .update("SELECT generation, state IN ('active', 'copying') FROM weir.mirror_table WHERE relid = $1 FOR UPDATE SKIP LOCKED", None, &[oid.into()])
            .map_err(spi_error)?;
        for r in table {
            if let Some(generation) = r.get(1).map_err(spi_error)? {
                return Ok(Locked::Is { generation, followed: r.get(2).map_err(spi_error)?.unwrap_or(false) });
            }
        }
        let there = client.select("SELECT FROM weir.mirror_table WHERE relid = $1", None, &[oid.into()]).map_err(spi_error)?;
        Ok(if there.is_empty() { Locked::Gone } else { Locked::Busy })
    })
}

fn write_change(c: &ManifestChange) -> Result<()> {
    let oid = pg_sys::Oid::from(c.relid);
    for s in &c.add {
        run(
            "INSERT INTO weir.mirror_segment (relid, generation, segment_id, path, rows, size_bytes, deletes) VALUES ($1, $2, $3, $4, $5, $6, $7)",
            &[
                oid.into(),
                c.generation.into(),
                s.id.into(),
                s.path.as_str().into(),
                s.rows.cast_signed().into(),
                s.size_bytes.cast_signed().into(),
                s.deletes.as_slice().into(),
            ],
        )?;
    }
    if !c.remove.is_empty() {
        run(
            "DELETE FROM weir.mirror_segment WHERE relid = $1 AND generation = $2 AND segment_id = ANY ($3)",
            &[oid.into(), c.generation.into(), c.remove.clone().into()],
        )?;
    }
    for (id, deletes) in &c.deletes {
        run(
            "UPDATE weir.mirror_segment SET deletes = $4 WHERE relid = $1 AND generation = $2 AND segment_id = $3",
            &[oid.into(), c.generation.into(), (*id).into(), deletes.as_slice().into()],
        )?;
    }
    let state = match c.state {
        MirrorState::Active => "active",
        MirrorState::Copying => "copying",
    };
    let visible = Spi::connect_mut(|client| -> Result<bool> {
        let mut table = client
            .update(
                "UPDATE weir.mirror_table m
                    SET state = $3, applied_lsn = '0/0'::pg_lsn + $4::numeric, live_rows = $5, size_bytes = $6, poisoned = $7,
                        reason = CASE WHEN $3 = 'active' THEN NULL ELSE m.reason END,
                        last_error = CASE WHEN $3 = 'active' AND m.state <> 'active' THEN NULL ELSE m.last_error END,
                        copied_at = CASE WHEN $3 = 'active' AND m.state <> 'active' THEN clock_timestamp() ELSE m.copied_at END
                   FROM (SELECT state, poisoned FROM weir.mirror_table WHERE relid = $1) was
                  WHERE m.relid = $1 AND m.generation = $2
              RETURNING was.state <> m.state OR was.poisoned <> m.poisoned",
                None,
                &[
                    oid.into(),
                    c.generation.into(),
                    state.into(),
                    lsn_out(c.applied_lsn).into(),
                    c.live_rows.cast_signed().into(),
                    c.size_bytes.cast_signed().into(),
                    c.poisoned.clone().into(),
                ],
            )
            .map_err(spi_error)?;
        match table.next() {
            Some(r) => Ok(r.get(1).map_err(spi_error)?.unwrap_or(true)),
            None => Ok(true),
        }
    })?;
    if visible {
        invalidate(c.relid);
    }
    Ok(())
}

/// Marks a mirror to be copied again, if it still has this generation. The new generation makes files and messages of the old one void.
pub fn mark_resync(relid: u32, generation: Option<i64>, reason: &str) -> Result<()> {
    let oid = pg_sys::Oid::from(relid);
    let marked = run(
        "UPDATE weir.mirror_table SET state = 'resync', reason = $2, generation = nextval('weir.mirror_generation'),
                last_error = CASE WHEN state <> 'error' THEN last_error END
          WHERE relid = $1 AND ($3 IS NULL OR generation = $3)",
        &[oid.into(), reason.into(), generation.into()],
    )?;
    if marked > 0 {
        run("DELETE FROM weir.mirror_segment WHERE relid = $1", &[oid.into()])?;
        invalidate(relid);
    }
    Ok(())
}

/// Starts the (next) copy of a mirror that is marked: its present shape is what will be copied.
pub fn start_copy(relid: u32, generation: i64, shape: &Shape, key: &Key, expected_rows: i64) -> Result<()> {
    run(
        "UPDATE weir.mirror_table
            SET state = 'copying', columns = $3, key = $4, expected_rows = $5, poisoned = '{}', applied_lsn = '0/0', live_rows = NULL,
                size_bytes = NULL, copy_started_at = NULL, copied_at = NULL, attributes = $6, form = $7, last_error = NULL
          WHERE relid = $1 AND generation = $2",
        &[
            pg_sys::Oid::from(relid).into(),
            generation.into(),
            JsonB(columns_json(&shape.columns)?).into(),
            key_array(key).into(),
            expected_rows.into(),
            shape.attributes.into(),
            FORM.into(),
        ],
    )?;
    invalidate(relid);
    Ok(())
}

/// Gives a mirror that is followed the columns that were added to its table. `false`: it is not followed (any more) in this generation.
///
/// The worker learns of it from the change stream, where this stands between the changes of rows without and of rows with the columns.
pub fn add_columns(relid: u32, generation: i64, columns: &[ColumnDef], attributes: i16) -> Result<bool> {
    let added = run(
        "UPDATE weir.mirror_table SET columns = $3, attributes = $4 WHERE relid = $1 AND generation = $2 AND state = 'active'",
        &[pg_sys::Oid::from(relid).into(), generation.into(), JsonB(columns_json(columns)?).into(), attributes.into()],
    )?;
    invalidate(relid);
    Ok(added > 0)
}

/// Notes that the table has attributes that the mirror does not hold.
pub fn note_attributes(relid: u32, generation: i64, attributes: i16) -> Result<()> {
    run(
        "UPDATE weir.mirror_table SET attributes = $3 WHERE relid = $1 AND generation = $2 AND attributes < $3",
        &[pg_sys::Oid::from(relid).into(), generation.into(), attributes.into()],
    )
    .map(|_| ())
}

/// Notes that a copy worker has begun.
pub fn note_copy_started(relid: u32, generation: i64, expected_rows: i64) -> Result<()> {
    run(
        "UPDATE weir.mirror_table SET copy_started_at = clock_timestamp(), expected_rows = $3 WHERE relid = $1 AND generation = $2",
        &[pg_sys::Oid::from(relid).into(), generation.into(), expected_rows.into()],
    )
    .map(|_| ())
}

/// A mirror that can't be followed until something changes.
pub fn mark_error(relid: u32, generation: i64, reason: &str) -> Result<()> {
    run(
        "UPDATE weir.mirror_table SET state = 'error', reason = $3, last_error = $3 WHERE relid = $1 AND generation = $2 AND state <> 'error'",
        &[pg_sys::Oid::from(relid).into(), generation.into(), reason.into()],
    )?;
    invalidate(relid);
    Ok(())
}

/// As [`mark_error`], whatever its generation.
pub fn mark_error_any(relid: u32, reason: &str) -> Result<()> {
    match load()?.into_iter().find(|r| r.def.relid == relid) {
        Some(row) => mark_error(relid, row.def.generation, reason),
        None => Ok(()),
    }
}

/// Notes an error that is being retried.
pub fn note_error(relid: u32, generation: i64, error: &str) -> Result<()> {
    let noted = run(
        "UPDATE weir.mirror_table SET last_error = $3 WHERE relid = $1 AND generation = $2 AND last_error IS DISTINCT FROM $3",
        &[pg_sys::Oid::from(relid).into(), generation.into(), error.into()],
    )?;
    if noted > 0 {
        invalidate(relid);
    }
    Ok(())
}

/// The same for all mirrors that are followed.
pub fn note_error_of_active(error: &str) -> Result<()> {
    run("UPDATE weir.mirror_table SET last_error = $1 WHERE state = 'active' AND last_error IS DISTINCT FROM $1", &[error.into()]).map(|_| ())
}

/// Forgets noted errors that begin so.
pub fn forget_errors(beginning: &str) -> Result<()> {
    run("UPDATE weir.mirror_table SET last_error = NULL WHERE starts_with(last_error, $1)", &[beginning.into()]).map(|_| ())
}

/// Adds a mirror. `false`: there is one already.
pub fn insert(relid: pg_sys::Oid, shape: &Shape, key: &Key, expected_rows: i64) -> Result<bool> {
    let added = run(
        "INSERT INTO weir.mirror_table (relid, generation, state, columns, key, expected_rows, attributes, form)
         VALUES ($1, nextval('weir.mirror_generation'), 'copying', $2, $3, $4, $5, $6) ON CONFLICT (relid) DO NOTHING",
        &[relid.into(), JsonB(columns_json(&shape.columns)?).into(), key_array(key).into(), expected_rows.into(), shape.attributes.into(), FORM.into()],
    )?;
    invalidate(relid.to_u32());
    Ok(added > 0)
}

/// Ends a mirror. `false`: there is none.
pub fn delete(relid: pg_sys::Oid) -> Result<bool> {
    run("DELETE FROM weir.mirror_segment WHERE relid = $1", &[relid.into()])?;
    let deleted = run("DELETE FROM weir.mirror_table WHERE relid = $1", &[relid.into()])?;
    invalidate(relid.to_u32());
    Ok(deleted > 0)
}

fn columns_json(columns: &[ColumnDef]) -> Result<serde_json::Value> {
    serde_json::to_value(columns).map_err(|e| Error::internal(format!("could not encode the columns: {e}")))
}

fn key_array(key: &Key) -> Option<Vec<i16>> {
    match key {
        Key::Columns(columns) => Some(columns.clone()),
        Key::FullRow => None,
    }
}
