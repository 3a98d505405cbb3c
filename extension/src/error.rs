//! Our errors as Postgres reports them: the one place that calls ereport for them.

use pgrx::PgLogLevel;
use pgrx::pg_sys::errcodes::PgSqlErrorCode;
use pgrx::pg_sys::panic::ErrorReport;
use weir_plan::{Error, Kind};

/// Raises the error in the current session. Does not return.
pub fn raise(error: &Error) -> ! {
    let code = sqlstate(&error.sqlstate).unwrap_or(PgSqlErrorCode::ERRCODE_INTERNAL_ERROR);
    let mut report = ErrorReport::new(code, error.message.clone(), "pg_weir");
    if let Some(detail) = &error.detail {
        report = report.set_detail(detail.clone());
    }
    if let Some(hint) = &error.hint {
        report = report.set_hint(hint.clone());
    }
    report.report(PgLogLevel::ERROR);
    unreachable!("ereport(ERROR) does not return")
}

/// Whether Postgres should run the query itself after this error, as long as no row has been returned.
pub fn falls_back(error: &Error) -> bool {
    !matches!(error.kind, Kind::Cancelled | Kind::OutOfMemory | Kind::Remote | Kind::Auth)
}

/// Packs five characters as `MAKE_SQLSTATE` does.
fn sqlstate(text: &str) -> Option<PgSqlErrorCode> {
    let bytes = text.as_bytes();
    if bytes.len() != 5 {
        return None;
    }
    let packed = bytes.iter().enumerate().fold(0i32, |acc, (i, b)| acc | ((i32::from(*b) - 0x30) & 0x3f) << (6 * i));
    Some(PgSqlErrorCode::from(packed))
}
