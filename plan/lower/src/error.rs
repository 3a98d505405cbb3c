//! Our errors inside DataFusion's, and out again.

use arrow::error::ArrowError;
use datafusion::common::DataFusionError;
use weir_plan::{Error, Kind};

/// An error of the query with Postgres's SQLSTATE, e.g. `("22012", "division by zero")`.
pub fn raise(sqlstate: &str, message: impl Into<String>) -> DataFusionError {
    wrap(Error::query(sqlstate, message))
}

/// The engine cannot answer exactly: the query is to run in Postgres.
pub fn refused(message: impl Into<String>) -> DataFusionError {
    wrap(Error::refused(message))
}

/// Carries our error through DataFusion.
pub fn wrap(error: Error) -> DataFusionError {
    DataFusionError::External(Box::new(error))
}

/// As [`raise`], for code that returns Arrow's error.
pub fn arrow_raise(sqlstate: &str, message: impl Into<String>) -> ArrowError {
    ArrowError::ExternalError(Box::new(Error::query(sqlstate, message)))
}

/// What a DataFusion error means to the caller. Errors that are not ours are `Internal`, except for memory and overflow.
pub fn to_error(e: &DataFusionError) -> Error {
    if let Some(ours) = find(e) {
        return ours;
    }
    match e.find_root() {
        DataFusionError::ResourcesExhausted(m) => Error::new(Kind::OutOfMemory, "out of memory for this query").with_detail(m.clone()),
        DataFusionError::ArrowError(a, _) => match a.as_ref() {
            ArrowError::DivideByZero => Error::query("22012", "division by zero"),
            ArrowError::ArithmeticOverflow(m) => Error::query("22003", format!("value out of range: {m}")),
            other => Error::internal(other.to_string()),
        },
        DataFusionError::NotImplemented(m) => Error::refused(m.clone()),
        other => Error::internal(other.to_string()),
    }
}

fn find(e: &(dyn std::error::Error + 'static)) -> Option<Error> {
    let mut next = Some(e);
    while let Some(e) = next {
        if let Some(ours) = e.downcast_ref::<Error>() {
            return Some(ours.clone());
        }
        // Both wrap a boxed error that `source` skips.
        if let Some(DataFusionError::External(inner)) = e.downcast_ref::<DataFusionError>()
            && let Some(ours) = find(inner.as_ref())
        {
            return Some(ours);
        }
        if let Some(ArrowError::ExternalError(inner)) = e.downcast_ref::<ArrowError>()
            && let Some(ours) = find(inner.as_ref())
        {
            return Some(ours);
        }
        next = e.source();
    }
    None
}
