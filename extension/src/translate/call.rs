//! The one place where a call is checked against the table of what may be shipped.

use super::{Cx, Result, collation, encoding, types};
use pgrx::pg_sys;
use weir_plan::functions::{self, FunctionKind, Needs};
use weir_plan::ir::{Collation, Expr, Scalar};
use weir_plan::types::{PgType, oid};

/// What is called, for the check and the refusal.
#[derive(Clone, Copy)]
pub struct Callee {
    pub func: pg_sys::Oid,
    /// The operator it was written as, if any.
    pub operator: Option<pg_sys::Oid>,
    pub kind: FunctionKind,
    /// With OVER.
    pub over: bool,
    pub collation: pg_sys::Oid,
}

impl Callee {
    pub fn function(func: pg_sys::Oid, collation: pg_sys::Oid) -> Callee {
        Callee { func, operator: None, kind: FunctionKind::Scalar, over: false, collation }
    }

    pub fn operator(operator: pg_sys::Oid, func: pg_sys::Oid, collation: pg_sys::Oid) -> Callee {
        Callee { operator: Some(operator), ..Callee::function(func, collation) }
    }

    /// `operator <(text,text)`, `function lower(text)`
    unsafe fn name(&self) -> String {
        let noun = match (self.operator, self.kind) {
            (Some(operator), _) => return format!("operator {}", types::operator_name(operator)),
            (None, FunctionKind::Scalar) => "function",
            (None, FunctionKind::Aggregate) => "aggregate",
            (None, FunctionKind::Window) => "window function",
            (None, FunctionKind::Set) => "set-returning function",
        };
        format!("{noun} {}", types::function_name(self.func))
    }
}

/// Checks that the call may be shipped; the answer is what its collation lets an engine do.
pub unsafe fn check(cx: &Cx, callee: Callee, args: &[PgType]) -> Result<Collation> {
    let class = collation::class(callee.collation)?;
    let func = callee.func.to_u32();
    encoding::check_function(func)?;
    if functions::row(func).is_none() {
        return Err(if pg_sys::func_volatile(callee.func) as u8 == pg_sys::PROVOLATILE_VOLATILE {
            format!("{} is volatile", callee.name())
        } else {
            format!("{} is not shipped", callee.name())
        });
    }
    if cx.is_final && functions::row(func).is_some_and(|r| r.late) {
        return Err(format!("{} is left to Postgres", callee.name()));
    }
    // Of operands with different collations, which Postgres reports when it gets there.
    if class == Collation::None && args.iter().any(PgType::is_collatable) && functions::row(func).is_some_and(|r| r.needs != Needs::Nothing) {
        return Err(format!("{} under conflicting collations", callee.name()));
    }
    let row = functions::shippable(func, callee.kind, callee.over, args, class, &cx.session, || types::function_name(callee.func));
    match (row, callee.operator) {
        (Ok(_), _) => {
            cx.called.borrow_mut().insert(func);
            Ok(class)
        }
        (Err(why), None) => Err(why),
        // Users write `<`, not `text_lt`.
        (Err(why), Some(_)) => {
            let name = functions::row(func).map_or("", |r| r.name);
            Err(match why.strip_prefix(name) {
                Some(rest) if !name.is_empty() => format!("{}{rest}", callee.name()),
                _ => why,
            })
        }
    }
}

/// Checks what no engine computes for certain arguments only: where the select list has it, Postgres then does.
pub fn check_arguments(func: u32, args: &[Expr]) -> Result<()> {
    let is_julian = |unit: &str| ["julian", "jd", "j"].iter().any(|name| unit.eq_ignore_ascii_case(name));
    match (func, args) {
        // extract from a timestamp
        (6202 | 6203, [Expr::Const { value: Scalar::Text(unit), .. }, _]) if is_julian(unit) => Err("julian day of a timestamp as numeric".into()),
        // date_trunc and make_timestamptz
        (1284 | 3463, [.., zone]) if !matches!(zone, Expr::Const { .. } | Expr::Param { .. }) => Err("a time zone that is not constant".into()),
        _ => Ok(()),
    }
}

/// The same of casts through text: how a bytea prints is a setting, and an oid may print as a name.
pub unsafe fn check_cast(from: &PgType, to: &PgType) -> Result<()> {
    let is_left = |ty: &PgType| matches!(ty.base, oid::OID | oid::INET | oid::CIDR);
    let prints_bytes = from.base == oid::BYTEA || from.element().is_some_and(|e| e.base == oid::BYTEA);
    if is_left(from) || is_left(to) || to.base == oid::MACADDR || (prints_bytes && to.element().is_none()) {
        return Err(format!("cast from {} to {}", types::type_name(from.oid.into()), types::type_name(to.oid.into())));
    }
    encoding::check_cast(to)
}
