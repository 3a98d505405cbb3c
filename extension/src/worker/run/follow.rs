//! The worker follows the catalog: which tables are mirrored, whether their definitions still hold, whether there is a slot.
//!
//! Invariant: only copies that have not begun survive a new slot; everything else is copied again.

use super::Worker;
use crate::catalog::store;
use crate::wal;
use crate::worker::decode::{self, Decoder};
use crate::worker::process::transaction;
use crate::worker::slot::{self, SlotState};
use crate::worker::sync::{self, Wanted};
use crate::worker::timetravel;
use pgrx::pg_sys;
use pgrx::prelude::*;
use std::cell::{Cell, RefCell};
use std::collections::HashSet;
use std::time::{Duration, Instant};
use weir_plan::Result;
use weir_plan::manifest::{MirrorDef, MirrorState};
use weir_plan::protocol::ToEngineControl;

/// How often the catalog is looked at without being told.
const CATALOG_INTERVAL: Duration = Duration::from_secs(1);

/// How often tables are looked at that could not be followed: not everything that helps them is announced.
pub(super) const OBSTACLE_INTERVAL: Duration = Duration::from_secs(60);

/// How long after a failure to create the slot the next attempt comes.
const SLOT_RETRY_INTERVAL: Duration = Duration::from_secs(5);

/// How long after a look at the catalog that found something locked the next one comes.
pub(super) const RETRY_INTERVAL: Duration = Duration::from_millis(100);

thread_local! {
    /// Tables whose definition may have changed since the last look.
    static SUSPECTS: RefCell<HashSet<u32>> = RefCell::default();
    static ALL_SUSPECT: Cell<bool> = const { Cell::new(true) };
}

#[pg_guard]
pub(super) unsafe extern "C-unwind" fn relation_changed(_arg: pg_sys::Datum, relid: pg_sys::Oid) {
    if timetravel::is_switching() {
        return;
    }
    if relid == pg_sys::InvalidOid {
        ALL_SUSPECT.set(true);
    } else {
        SUSPECTS.with_borrow_mut(|s| s.insert(relid.to_u32()));
    }
}

impl Worker {
    /// Follows what the catalog wants. `false`: the extension is gone.
    pub(super) fn follow_catalog(&mut self) -> Result<bool> {
        self.catalog_due = Instant::now() + CATALOG_INTERVAL;
        let database = self.database;
        if Instant::now() >= self.obstacles_due {
            self.obstacles_due = Instant::now() + OBSTACLE_INTERVAL;
            ALL_SUSPECT.set(true);
        }
        let suspects = if ALL_SUSPECT.replace(false) { None } else { Some(SUSPECTS.take()) };
        let wanted = {
            let capture = self.decoder.as_mut().map(Decoder::capture);
            let followed = |relid: u32| capture.as_ref().and_then(|c| c.generation(relid));
            transaction(|| sync::read(database, &followed, suspects.as_ref()))?
        };
        if wanted.unfinished {
            self.catalog_due = Instant::now() + RETRY_INTERVAL;
            // What was locked has to be looked at again.
            match suspects {
                Some(s) => SUSPECTS.with_borrow_mut(|all| all.extend(s)),
                None => ALL_SUSPECT.set(true),
            }
        }
        if !wanted.installed {
            return Ok(self.started.elapsed() < Duration::from_secs(3));
        }
        if std::mem::replace(&mut self.catalog, wanted.catalog) != wanted.catalog && self.decoder.is_some() {
            // Generations are counted from the beginning again: nothing of what is followed is known by them.
            pgrx::log!("pg_weir: the extension was created anew");
            self.restart_engine();
            return Ok(true);
        }
        let Some(engine) = &self.engine else { return Ok(true) };
        if let Some(e) = engine.link.stranger() {
            let text = format!("{e}. {} {}", e.detail.as_deref().unwrap_or_default(), e.hint.as_deref().unwrap_or_default());
            transaction(|| wanted.follow.iter().try_for_each(|d| store::note_error(d.relid, d.generation, &text)))?;
            return Ok(true);
        }
        if !self.have_decoder(&wanted)? {
            return Ok(true);
        }
        self.load_and_drop(wanted)?;
        Ok(true)
    }

    /// Sees to it that there is a slot and a decoder if something is to be followed, and none if not. `false`: not yet.
    fn have_decoder(&mut self, wanted: &Wanted) -> Result<bool> {
        match wanted.slot {
            None => {
                self.end_decoding()?;
                return Ok(false);
            }
            Some(SlotState::Usable) => {}
            Some(state) => {
                // Only copies that have not begun survive a new slot.
                if self.decoder.is_some() || wanted.follow.iter().any(|d| d.state == MirrorState::Active) {
                    self.reset_all(if state == SlotState::Lost { "WAL that the mirror needs was removed" } else { "the replication slot is gone" })?;
                    return Ok(false);
                }
                if state == SlotState::Lost {
                    decode::drop_slot(self.database);
                }
                self.slot_may_exist = true;
                if let Err(e) = slot::create(self.database) {
                    self.catalog_due = Instant::now() + SLOT_RETRY_INTERVAL;
                    pgrx::warning!("pg_weir: could not create the replication slot: {e}");
                    transaction(|| wanted.follow.iter().try_for_each(|d| store::note_error(d.relid, d.generation, &e.message)))?;
                    return Ok(false);
                }
            }
        }
        if self.decoder.is_none() {
            self.slot_may_exist = true;
            let decoder = Decoder::open(self.database);
            let is_ours = if wanted.follow.iter().any(|d| d.state == MirrorState::Active) { decoder.is_where_we_left_it() } else { decoder.accept() };
            if !is_ours {
                decoder.close();
                self.reset_all("the replication slot was moved")?;
                return Ok(false);
            }
            self.decoder = Some(decoder);
        }
        Ok(true)
    }

    /// Tells the engine of new and of ended mirrors.
    fn load_and_drop(&mut self, wanted: Wanted) -> Result<()> {
        let Some(decoder) = &mut self.decoder else { return Ok(()) };
        decoder.capture().set_catalog(wanted.catalog);
        let gone: Vec<u32> = decoder
            .capture()
            .tables()
            .into_iter()
            .filter(|relid| {
                let generation = decoder.capture().generation(*relid);
                !wanted.follow.iter().any(|d| d.relid == *relid && Some(d.generation) == generation)
            })
            .collect();
        if !gone.is_empty() {
            // The slot must not be further, after a crash, than a catalog in which they are still there.
            wal::flush(wal::inserted());
        }
        for relid in gone {
            decoder.capture().untrack(relid);
            self.copies.forget(relid);
            if let Some(engine) = &mut self.engine {
                engine.link.send(&ToEngineControl::Drop { relid });
            }
        }
        let new: Vec<MirrorDef> = wanted.follow.into_iter().filter(|d| decoder.capture().generation(d.relid) != Some(d.generation)).collect();
        if new.is_empty() {
            return Ok(());
        }
        let (active, copying): (Vec<_>, Vec<_>) = new.into_iter().partition(|d| d.state == MirrorState::Active);
        if !active.is_empty() && decoder.has_decoded() {
            // Some of its changes may have gone by: start from the confirmed position again.
            self.restart_engine();
            return Ok(());
        }
        self.load(active);
        if !copying.is_empty() {
            self.decode_all()?;
            self.load(copying);
        }
        Ok(())
    }

    fn load(&mut self, mirrors: Vec<MirrorDef>) {
        let (Some(decoder), Some(engine)) = (&mut self.decoder, &mut self.engine) else { return };
        for def in mirrors {
            decoder.capture().track(def.clone());
            if def.state == MirrorState::Copying {
                self.copies.want(def.relid, def.generation);
            }
            engine.link.send(&ToEngineControl::Load { lsn: decoder.position(), mirror: Box::new(def) });
        }
    }

    /// Nothing is mirrored any more: WAL need not be kept.
    pub(super) fn end_decoding(&mut self) -> Result<()> {
        if !std::mem::take(&mut self.slot_may_exist) {
            return Ok(());
        }
        if let Some(mut decoder) = self.decoder.take() {
            for relid in decoder.capture().tables() {
                self.send(&ToEngineControl::Drop { relid });
            }
            decoder.close();
        }
        self.copies.forget_all();
        let state = transaction(|| slot::state(self.database))?;
        if state != SlotState::Missing {
            decode::drop_slot(self.database);
        }
        Ok(())
    }

    /// Starts over: every mirror is copied again through a new slot, by a new engine.
    pub(super) fn reset_all(&mut self, reason: &str) -> Result<()> {
        pgrx::log!("pg_weir: all mirrors are copied again: {reason}");
        self.stop_engine();
        let state = transaction(|| -> Result<SlotState> {
            if sync::is_installed() {
                store::mark_all_resync(reason)?;
            }
            slot::state(self.database)
        })?;
        if state != SlotState::Missing {
            decode::drop_slot(self.database);
        }
        self.catalog_due = Instant::now();
        Ok(())
    }
}
