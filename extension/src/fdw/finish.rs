//! What is computed here of each row of a statement: averages, of their sums and counts, by the functions with which Postgres ends them.

use pgrx::pg_sys;
use serde::{Deserialize, Serialize};
use weir_plan::ir::{Expr, RemoteColumn};

/// An expression over a statement's columns, of strict functions.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Finish {
    /// By its place.
    Column(usize),
    /// A function by OID, of one or two arguments.
    Call(u32, Vec<Finish>),
}

impl Finish {
    /// What the statement leaves to be done.
    ///
    /// # Errors
    /// Something that cannot be done here.
    pub fn of(exprs: Option<&[Expr]>, columns: &[RemoteColumn]) -> Result<Option<Vec<Finish>>, String> {
        exprs.map(|exprs| exprs.iter().map(|e| Finish::expr(e, columns)).collect()).transpose()
    }

    fn expr(e: &Expr, columns: &[RemoteColumn]) -> Result<Finish, String> {
        Ok(match e {
            Expr::Column { id, .. } => Finish::Column(columns.iter().position(|c| c.id == *id).ok_or("a column that is lost")?),
            Expr::Call { func, args, .. } if matches!(args.len(), 1 | 2) => {
                Finish::Call(*func, args.iter().map(|a| Finish::expr(a, columns)).collect::<Result<_, _>>()?)
            }
            _ => return Err("an expression to finish here".into()),
        })
    }

    /// Its value for a row; `None` is NULL.
    ///
    /// # Safety
    /// The values are of the statement's columns; what is made lives in the current memory context.
    pub unsafe fn value(&self, values: &[pg_sys::Datum], nulls: &[bool]) -> Option<pg_sys::Datum> {
        match self {
            Finish::Column(i) => values.get(*i).copied().filter(|_| nulls.get(*i) == Some(&false)),
            Finish::Call(func, args) => {
                // SAFETY: built-in functions of as many arguments, of the types of the statement's columns; strict, so that NULL is not passed.
                unsafe {
                    let first = args.first()?.value(values, nulls)?;
                    match args.get(1) {
                        None => Some(pg_sys::OidFunctionCall1Coll((*func).into(), pg_sys::InvalidOid, first)),
                        Some(second) => {
                            let second = second.value(values, nulls)?;
                            Some(pg_sys::OidFunctionCall2Coll((*func).into(), pg_sys::InvalidOid, first, second))
                        }
                    }
                }
            }
        }
    }
}
