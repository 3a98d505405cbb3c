//! The table of what may be shipped: a row per Postgres function, operator function, aggregate and window function, by `pg_proc` OID.
//!
//! Invariants:
//! - No row, no shipping. A row promises that `weir_lower` computes the function exactly as Postgres does, or refuses at run time;
//!   a test there checks that every row is implemented.
//! - Conditions on collation and argument types stand in the row, nowhere else.

use crate::ir::{Collation, CtypeId, Fidelity, Session};
use crate::types::PgType;

mod agg;
mod arith;
mod misc;
mod set;
mod text;
mod time;
mod window;

/// Functions and aggregates that make JSON of values of any type, rows included: `to_json`, `json_build_object` and the like.
pub const MAKE_JSON: &[u32] = &[3176, 3787, 3153, 3155, 3198, 3200, 3271, 3273, 3175, 3267, 3197, 3270];

/// `json_to_record`, `json_to_recordset`, and those of jsonb. In a plan, with an object and a name, they are the object's field: as text if
/// of one record, as JSON if of a set; JSON's null is NULL, and what is no object is refused.
pub const JSON_FIELDS: [u32; 4] = [3204, 3205, 3490, 3491];

/// The functions of a jsonpath, `@?` and `@@` among them. In a plan they have the document, the path as `jsonpath_out` prints it, and whether
/// errors are NULL.
pub const JSON_PATHS: &[u32] = &[4005, 4006, 4007, 4008, 4009, 4010, 4011];

/// In a plan, a call of no function, as the whole predicate of a filter: its arguments are computed of all rows of the input, whoever needs
/// them. The first one is a constant, whether conditions from above may leave out rows before. It is not in the table.
pub const EVALUATED: u32 = 1;

/// `network_cmp` and `btarraycmp`. In a plan, with one argument, the bytea whose order is that of the values. They are not in the table.
pub const ORDER_KEYS: [u32; 2] = [926, 382];

/// `bttextcmp`. In a sort key of a plan, with a text and the name of a locale, the place of the text among all of the relation, in the order of
/// that locale. It is not in the table.
pub const TEXT_RANK: u32 = 360;

/// Arrays whose elements are equal, and (but for the collation of text) ordered, as they are held.
pub fn has_plain_elements(ty: &PgType) -> bool {
    ty.element().is_some() && misc::ordered_elements(&[*ty]).is_ok()
}

/// What kind of `pg_proc` entry a row describes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FunctionKind {
    Scalar,
    Aggregate,
    /// A pure window function; aggregates with a row may also be used as window functions if `windowable`.
    Window,
    /// A function that returns a set of rows.
    Set,
}

/// What the function asks of the collation of its inputs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Needs {
    /// The result does not depend on the collation.
    Nothing,
    /// Equality only: any deterministic collation.
    Deterministic,
    /// Order: byte order only (C, POSIX, C.UTF-8).
    ByteOrder,
    /// Case or classes of characters, where ASCII alone does not decide: C, or a locale that can be asked.
    Ctype,
}

/// A condition on argument types and session; the error is the reason for refusal.
pub type Check = fn(&[PgType], &Session) -> Result<(), String>;

/// One row of the table.
#[derive(Debug, Clone, Copy)]
pub struct Row {
    pub oid: u32,
    /// Name and argument types, for messages: `lower(text)`.
    pub name: &'static str,
    pub kind: FunctionKind,
    pub needs: Needs,
    /// Not exact, but close enough for `weir.fidelity = relaxed`.
    pub relaxed: bool,
    /// An aggregate that may be used with OVER.
    pub windowable: bool,
    /// Only some calls are exact (others are refused by the engine), so Postgres does it wherever it can: in the final expressions.
    pub late: bool,
    /// A further condition on argument types (with type modifiers) and session; the error is the reason for refusal.
    pub check: Option<Check>,
}

impl Row {
    /// A scalar function whose result does not depend on a collation.
    pub const fn scalar(oid: u32, name: &'static str) -> Row {
        Row { oid, name, kind: FunctionKind::Scalar, needs: Needs::Nothing, relaxed: false, windowable: false, late: false, check: None }
    }

    /// An aggregate that may also be used as a window function.
    pub const fn aggregate(oid: u32, name: &'static str) -> Row {
        Row { kind: FunctionKind::Aggregate, windowable: true, ..Row::scalar(oid, name) }
    }

    pub const fn window(oid: u32, name: &'static str) -> Row {
        Row { kind: FunctionKind::Window, ..Row::scalar(oid, name) }
    }

    /// A set-returning function.
    pub const fn set(oid: u32, name: &'static str) -> Row {
        Row { kind: FunctionKind::Set, ..Row::scalar(oid, name) }
    }

    pub const fn needs(self, needs: Needs) -> Row {
        Row { needs, ..self }
    }

    pub const fn relaxed(self) -> Row {
        Row { relaxed: true, ..self }
    }

    pub const fn late(self) -> Row {
        Row { late: true, ..self }
    }

    pub const fn not_windowable(self) -> Row {
        Row { windowable: false, ..self }
    }

    pub const fn when(self, check: fn(&[PgType], &Session) -> Result<(), String>) -> Row {
        Row { check: Some(check), ..self }
    }
}

/// All rows, by domain.
pub fn rows() -> impl Iterator<Item = &'static Row> {
    [arith::ROWS, text::ROWS, time::ROWS, misc::ROWS, agg::ROWS, window::ROWS, set::ROWS].into_iter().flatten()
}

/// The row of a function, if it has one.
pub fn row(oid: u32) -> Option<&'static Row> {
    use std::collections::HashMap;
    use std::sync::OnceLock;
    static INDEX: OnceLock<HashMap<u32, &'static Row>> = OnceLock::new();
    INDEX.get_or_init(|| rows().map(|r| (r.oid, r)).collect()).get(&oid).copied()
}

/// Whether a call may be shipped. The error is the reason, as EXPLAIN prints it; `name` is used where there is no row.
pub fn shippable(
    oid: u32,
    kind: FunctionKind,
    over: bool,
    args: &[PgType],
    collation: Collation,
    session: &Session,
    name: impl FnOnce() -> String,
) -> Result<&'static Row, String> {
    let Some(row) = row(oid).filter(|r| r.kind == kind || (over && r.kind == FunctionKind::Aggregate)) else {
        return Err(format!("function {} is not shipped", name()));
    };
    if over && row.kind == FunctionKind::Aggregate && !row.windowable {
        return Err(format!("{} is not shipped as a window function", row.name));
    }
    if row.relaxed && session.fidelity == Fidelity::Exact {
        return Err(format!("{} is not exact (weir.fidelity = exact)", row.name));
    }
    if collation == Collation::Nondeterministic {
        return Err(format!("{} under a nondeterministic collation", row.name));
    }
    let ok = match row.needs {
        Needs::Nothing | Needs::Deterministic => true,
        Needs::ByteOrder => matches!(collation, Collation::C | Collation::CodePoint(_) | Collation::None),
        Needs::Ctype => match collation {
            Collation::C | Collation::None => true,
            Collation::Locale(ctype) | Collation::CodePoint(ctype) => ctype != CtypeId::ASCII,
            Collation::Nondeterministic => false,
        },
    };
    if !ok {
        return Err(format!("{} depends on a collation other than C", row.name));
    }
    if let Some(check) = row.check {
        check(args, session).map_err(|why| format!("{}: {why}", row.name))?;
    }
    Ok(row)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_function_has_two_rows() {
        let mut seen = std::collections::HashMap::new();
        for r in rows() {
            assert_eq!(seen.insert(r.oid, r.name), None, "two rows for {} {}", r.oid, r.name);
        }
    }
}
