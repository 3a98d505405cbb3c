//! Whether the slot of the database is there and usable, as the catalog views say.

use super::decode::{self, slot_name};
use pgrx::pg_sys;
use pgrx::pg_sys::panic::CaughtError;
use pgrx::prelude::*;
use weir_plan::{Error, Result};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SlotState {
    Missing,
    Usable,
    /// WAL that it needs is gone, or the server has invalidated it.
    Lost,
}

/// Needs a transaction with an active snapshot.
pub fn state(database: pg_sys::Oid) -> Result<SlotState> {
    let name = slot_name(database).to_string_lossy().into_owned();
    let spi_error = |e: pgrx::spi::Error| Error::internal(format!("catalog access failed: {e}"));
    Spi::connect(|client| {
        let mut table = client
            .select(
                "SELECT coalesce(wal_status, '') = 'lost' OR plugin IS DISTINCT FROM 'pgoutput' OR datoid IS DISTINCT FROM $2
                   FROM pg_catalog.pg_replication_slots WHERE slot_name = $1",
                None,
                &[name.into(), database.into()],
            )
            .map_err(spi_error)?;
        let Some(r) = table.next() else { return Ok(SlotState::Missing) };
        let lost: bool = r.get(1).map_err(spi_error)?.unwrap_or(true);
        Ok(if lost { SlotState::Lost } else { SlotState::Usable })
    })
}

/// Creates the slot. Must not run in a transaction.
///
/// # Errors
/// No free slot, `wal_level` too low …
pub fn create(database: pg_sys::Oid) -> Result<()> {
    pgrx::log!("pg_weir: creating the replication slot {:?}", slot_name(database));
    PgTryBuilder::new(|| {
        decode::create_slot(database);
        Ok(())
    })
    .catch_others(|e| {
        let message = match &e {
            CaughtError::PostgresError(r) | CaughtError::ErrorReport(r) => r.message().to_owned(),
            CaughtError::RustPanic { .. } => e.rethrow(),
        };
        // SAFETY: what the error left open: the transaction, and the slot, which is ephemeral until it is persisted.
        unsafe {
            pg_sys::AbortCurrentTransaction();
            if !pg_sys::MyReplicationSlot.is_null() {
                pg_sys::ReplicationSlotRelease();
            }
        }
        Err(Error::internal(message))
    })
    .execute()
}
