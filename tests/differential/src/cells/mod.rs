//! Every cell of a dialect against its real counterpart.
//!
//! What a dialect spells is asked of the dialect itself: for each function, aggregate and window function of the table of shippable ones, calls over the
//! columns of a remote table and over constants at the edges of their types. Each call that it spells is sent to the remote, and the answer compared
//! with that of Postgres over a local table with the same rows.
//!
//! Invariants:
//! - A call passes only if it was sent: its plan has one remote statement and leaves nothing out, and the engine has not fallen back to Postgres.
//! - A cell is a function with the types of its arguments, and which of them are constants. One of which no call was ever answered at the remote fails.

mod calls;
mod catalog;
mod constants;
mod constructs;
mod judge;

use crate::wire::{Address, Session};
use calls::Calls;
use catalog::Catalog;
use judge::Judge;

/// The counterpart.
#[derive(Debug, Clone, Default)]
pub struct Options {
    /// Schema of the foreign table and of the local one; the table's name.
    pub remote: String,
    pub local: String,
    pub table: String,
    /// Functions of which the counterpart is known to be another than the engine that the dialect is of.
    pub except: Vec<String>,
}

/// Prints "ok" and "not ok" lines.
///
/// # Errors
/// What kept it from comparing anything.
pub fn run(address: &Address, options: &Options) -> Result<(), String> {
    let open = |schema: &str, route: &str| -> Result<Session, String> {
        let mut session = Session::connect(address).map_err(|e| e.to_string())?;
        catalog::rows(
            &mut session,
            &format!(
                "SET statement_timeout = '60s'; SET jit = off; SET timezone = 'America/New_York'; SET weir.route = {route}; SET search_path = {schema}, public"
            ),
        )?;
        Ok(session)
    };
    let (mut here, there, scans) = (open(&options.local, "off")?, open(&options.remote, "force")?, open(&options.remote, "off")?);
    let catalog = Catalog::read(&mut here, &options.remote, &options.table)?;
    let calls = Calls::of(&catalog, &options.except);
    let mut judge = Judge::new(here, there, scans, &options.table, calls::group(&catalog));
    judge.scalars(&calls.scalars)?;
    judge.aggregates(&calls.aggregates)?;
    judge.windows(&calls.windows)?;
    judge.unanswered();
    constructs::run(&catalog, &mut judge)?;
    judge.finish();
    Ok(())
}
