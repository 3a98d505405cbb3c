//! Databases whose encoding is not UTF-8.
//!
//! SQL_ASCII, which a cluster gets where no locale is set, names no encoding. Mirrors hold ASCII only of such a database (any other value
//! poisons its column), and on ASCII every function means the same as in UTF-8. So its queries are routed if nothing in them is, or becomes,
//! anything else. Of other encodings, the order of bytes and the lengths in bytes would differ: those run in Postgres.

use super::Result;
use pgrx::pg_sys;
use weir_plan::ir::Plan;
use weir_plan::types::{PgType, oid};

/// chr, convert_from, normalize, is_normalized and unistr: they make other characters of ASCII, or refuse to work here.
const FUNCTIONS: [u32; 5] = [1621, 1714, 4350, 4351, 6198];

fn encoding() -> i32 {
    // SAFETY: a plain read of what was set when the session connected.
    unsafe { pg_sys::GetDatabaseEncoding() }
}

pub fn is_utf8() -> bool {
    encoding() == pg_sys::pg_enc::PG_UTF8.cast_signed()
}

/// Texts of this database reach the engine only if they are ASCII.
pub fn is_ascii_only() -> bool {
    encoding() == pg_sys::pg_enc::PG_SQL_ASCII.cast_signed()
}

/// Whether queries over mirrors of this database may be routed at all.
pub fn check() -> Result<()> {
    if is_utf8() || is_ascii_only() { Ok(()) } else { Err("the database encoding is neither UTF8 nor SQL_ASCII".into()) }
}

/// What remote servers hold is not only ASCII.
pub fn check_remote() -> Result<()> {
    if is_utf8() { Ok(()) } else { Err("the database encoding is not UTF8".into()) }
}

pub fn check_function(func: u32) -> Result<()> {
    if FUNCTIONS.contains(&func) && is_ascii_only() {
        Err("a function that may give other characters than ASCII, of a SQL_ASCII database".into())
    } else {
        Ok(())
    }
}

/// Escapes in JSON stand for other characters.
pub fn check_cast(to: &PgType) -> Result<()> {
    if matches!(to.base, oid::JSON | oid::JSONB) && is_ascii_only() { Err("text read as JSON, of a SQL_ASCII database".into()) } else { Ok(()) }
}

/// Every text in the plan, whether a constant or a name.
pub fn check_plan(plan: &Plan) -> Result<()> {
    if !is_ascii_only() {
        return Ok(());
    }
    let written = serde_json::to_string(plan).map_err(|e| e.to_string())?;
    if written.is_ascii() && !written.contains(r"\\u") { Ok(()) } else { Err("a text that is not ASCII, of a SQL_ASCII database".into()) }
}
