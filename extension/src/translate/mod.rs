//! From the analysed and rewritten `Query` tree to the typed plan that the engine gets.
//!
//! Invariants:
//! - What cannot be expressed exactly is refused with a reason in a Postgres user's words; nothing is approximated.
//! - Functions and operators are looked up by OID only, in `weir_plan::functions`.
//! - The tree that comes in is a copy of ours: it is normalised in place. The caller's permissions, locks and invalidation items are
//!   those of the standard plan; nothing here checks a privilege.
//! - Errors that Postgres raises in here (constant folding, stack depth) pass through as Postgres errors.
//!
//! The whole module reads trees that Postgres built; validity of those pointers is what every function here asks of its caller, so
//! `unsafe` blocks inside the functions would say nothing.
#![allow(unsafe_op_in_unsafe_fn, clippy::missing_safety_doc)]

mod agg;
mod call;
mod collation;
mod columns;
pub mod constant;
mod cte;
mod each;
pub mod encoding;
mod expr;
mod foreign;
mod from;
mod function_rte;
mod hypothetical;
mod input_order;
mod json;
mod labels;
mod lift;
mod normalise;
mod order;
mod param;
mod partitioned;
mod pinned;
mod query;
mod range;
mod record;
mod row;
mod setop;
mod sink;
mod srf;
mod sublink;
mod ties;
mod top;
mod tree;
pub mod types;
mod unused;
mod usage;
mod window;

use crate::translate::query::Level;
use pgrx::pg_sys;
use std::cell::RefCell;
use std::collections::BTreeSet;
use weir_plan::ir::{ColId, CteId, Plan, Rel, Session};
use weir_plan::manifest::ColumnDef;
use weir_plan::types::PgType;

pub use collation::default_is_bytes as default_collation_is_bytes;
pub use collation::is_locale;
pub use foreign::{Asked, OrderKey, base_relation, changed_relation, check_as_user, column_type};
pub use from::rows as table_rows;
pub use function_rte::{inline_functions, is_user_function};
pub use lift::Lifted;
pub use top::FEW_ROWS;
pub use top::adopt_typmods;
#[cfg(feature = "pg18")]
pub use tree::map_children;
pub use tree::{has_executor_param, special_var};

/// Why a query is not shipped, as EXPLAIN prints it.
pub type Refusal = String;

type Result<T, E = Refusal> = std::result::Result<T, E>;

/// What the catalog says of a mirror that may be used.
#[derive(Debug, Clone)]
pub struct MirrorInfo {
    pub generation: i64,
    pub columns: Vec<ColumnDef>,
    /// Attnums of columns that hold a value which their Arrow form cannot hold.
    pub poisoned: Vec<i16>,
}

/// A translated query.
#[derive(Debug)]
pub struct Translated {
    pub plan: Plan,
    /// Expressions that Postgres evaluates when execution starts, in the order of `plan.params`. They hold no Vars, but perhaps
    /// external parameters. Copies of ours, already const-folded.
    pub params: Vec<*mut pg_sys::Expr>,
    /// Some of `params` can raise an error where Postgres perhaps would not evaluate them at all: evaluate in a subtransaction and run
    /// the standard plan if that fails.
    pub params_may_fail: bool,
    pub top: Top,
    /// Values that the engine's scans read if nothing is pruned, by the statistics of `pg_class`; a value of variable length counts twice.
    pub values_read: f64,
    /// Base relations, each partition by itself.
    pub scans: f64,
    /// The tables whose mirrors are scanned.
    pub mirrors: Vec<u32>,
    /// How often a part of it is evaluated nobody knows before.
    pub recursive: bool,
    /// What it calls, by OID: whoever runs it must be allowed to.
    pub functions: Vec<u32>,
}

/// What Postgres does above the engine.
///
/// `targets` are the final target entries (in order, `resno` from 1; resjunk ones, if any, last) over
/// `Var(varno = INDEX_VAR, varattno = index into engine_columns + 1)`. Above that, if `sort` is set, a Sort on `targets` and then `limit`.
#[derive(Debug)]
pub struct Top {
    pub targets: Vec<*mut pg_sys::TargetEntry>,
    /// In the order of `plan.output`. Never empty.
    pub engine_columns: Vec<EngineColumn>,
    pub sort: Option<Vec<SortSpec>>,
    /// Why the engine does not sort, if Postgres does.
    pub not_sorted: Option<Refusal>,
    pub limit: Option<TopLimit>,
}

/// A column that the engine returns.
#[derive(Debug, Clone)]
pub struct EngineColumn {
    pub id: ColId,
    /// The type with base and type modifier as the engine sees it (a char(n) value has its n, also where Postgres forgets it).
    pub ty: PgType,
    /// Type, type modifier and collation of the Vars in `Top::targets` that name this column.
    pub type_oid: pg_sys::Oid,
    pub typmod: i32,
    pub collation: pg_sys::Oid,
}

/// One key of the Sort above the engine.
#[derive(Debug, Clone, Copy)]
pub struct SortSpec {
    /// Index into `Top::targets`.
    pub target_index: usize,
    pub sort_op: pg_sys::Oid,
    pub collation: pg_sys::Oid,
    pub nulls_first: bool,
}

/// OFFSET and LIMIT as bigint expressions without Vars, each null if absent.
#[derive(Debug, Clone, Copy)]
pub struct TopLimit {
    pub offset: *mut pg_sys::Node,
    pub count: *mut pg_sys::Node,
}

/// The state of one translation.
struct Cx<'a> {
    mirrors: &'a dyn Fn(pg_sys::Oid) -> Option<MirrorInfo>,
    /// The server of a relation that is a foreign table of ours.
    foreign: &'a dyn Fn(pg_sys::Oid) -> Option<pg_sys::Oid>,
    /// Whether the standard plan reads a partition.
    reads: &'a dyn Fn(pg_sys::Oid) -> bool,
    /// Whether what an entry of a query's range table asks for may be read.
    checked: &'a dyn Fn(*mut pg_sys::Query, *mut pg_sys::RangeTblEntry) -> bool,
    session: Session,
    /// A planner root that carries nothing but the parameter values, for constant folding.
    root: *mut pg_sys::PlannerInfo,
    params: Vec<*mut pg_sys::Expr>,
    param_types: Vec<PgType>,
    params_may_fail: bool,
    next_col: u32,
    next_cte: u32,
    /// Enclosing queries, outermost first; the last is the one being translated.
    levels: Vec<Level>,
    /// What `CaseTestExpr` stands for, innermost last. Translated at each use, so that a subquery in it never has two uses of one column id.
    case_args: Vec<*mut pg_sys::Node>,
    /// While the expressions of a VALUES item are translated: the index of its level, whose columns are then outer columns (LATERAL).
    lateral_level: Option<usize>,
    values_read: f64,
    scans: f64,
    /// The tables whose mirrors are scanned.
    scanned: Vec<u32>,
    /// Some part was `WITH RECURSIVE`.
    recursive: bool,
    /// What is being translated is part of the result, which Postgres can finish.
    is_final: bool,
    /// The next query that is translated is to say the order in which it reads its rows.
    keep_order: bool,
    /// A choice among values of char(n) of several lengths is of those without blanks, and so has a length ([`PgType::UNPADDED`]).
    unpadded: bool,
    /// There is such a choice.
    mixes_lengths: bool,
    /// The functions that are shipped, by their OIDs.
    called: RefCell<BTreeSet<u32>>,
}

impl<'a> Cx<'a> {
    unsafe fn new(
        bound_params: pg_sys::ParamListInfo,
        mirrors: &'a dyn Fn(pg_sys::Oid) -> Option<MirrorInfo>,
        foreign: &'a dyn Fn(pg_sys::Oid) -> Option<pg_sys::Oid>,
        reads: &'a dyn Fn(pg_sys::Oid) -> bool,
        checked: &'a dyn Fn(*mut pg_sys::Query, *mut pg_sys::RangeTblEntry) -> bool,
        session: Session,
    ) -> Self {
        Self {
            mirrors,
            foreign,
            reads,
            checked,
            session,
            root: param::folding_root(bound_params),
            params: Vec::new(),
            param_types: Vec::new(),
            params_may_fail: false,
            next_col: 0,
            next_cte: 0,
            levels: Vec::new(),
            case_args: Vec::new(),
            lateral_level: None,
            values_read: 0.0,
            scans: 0.0,
            scanned: Vec::new(),
            recursive: false,
            is_final: false,
            keep_order: false,
            unpadded: false,
            mixes_lengths: false,
            called: RefCell::default(),
        }
    }

    unsafe fn translated(self, (root, top): (Rel, Top)) -> Result<Translated> {
        let output = top.engine_columns.iter().map(|c| (c.id, c.ty)).collect();
        let plan = Plan { root, output, params: self.param_types, session: Session { ctypes: collation::ctypes(), ..self.session } };
        encoding::check_plan(&plan)?;
        Ok(Translated {
            plan,
            params: self.params,
            params_may_fail: self.params_may_fail,
            top,
            values_read: self.values_read,
            scans: self.scans,
            mirrors: self.scanned,
            recursive: self.recursive,
            functions: self.called.into_inner().into_iter().collect(),
        })
    }

    fn new_col(&mut self) -> ColId {
        self.next_col += 1;
        ColId(self.next_col)
    }

    fn new_cte(&mut self) -> CteId {
        self.next_cte += 1;
        CteId(self.next_cte)
    }
}

/// Translates a query.
///
/// `query` is analysed and rewritten, not yet planned, and ours to scribble on. `mirrors` answers for a relation whether it has a mirror
/// that may be used, `foreign` whether it is a foreign table of ours, and of which server, `reads` whether the standard plan reads a partition,
/// `checked` whether the rights that an entry of a query's range table asks for are checked.
///
/// # Errors
/// The reason for which the query cannot be shipped.
///
/// # Safety
/// `query` is a valid Query node and `bound_params` null or valid, on the main thread, inside a transaction.
pub unsafe fn translate(
    query: *mut pg_sys::Query,
    bound_params: pg_sys::ParamListInfo,
    mirrors: &dyn Fn(pg_sys::Oid) -> Option<MirrorInfo>,
    foreign: &dyn Fn(pg_sys::Oid) -> Option<pg_sys::Oid>,
    reads: &dyn Fn(pg_sys::Oid) -> bool,
    checked: &dyn Fn(*mut pg_sys::Query, *mut pg_sys::RangeTblEntry) -> bool,
    session: Session,
) -> Result<Translated> {
    // The first attempt changes it.
    let again = tree::copy(query);
    let mut cx = Cx::new(bound_params, mirrors, foreign, reads, checked, session.clone());
    match whole(&mut cx, query) {
        // Whoever asks for the length of a choice of several gets it if no value has blanks, which the engine finds out.
        Err(why) if cx.mixes_lengths => {
            let mut cx = Cx { unpadded: true, ..Cx::new(bound_params, mirrors, foreign, reads, checked, session) };
            whole(&mut cx, again).and_then(|found| cx.translated(found)).map_err(|_| why)
        }
        found => found.and_then(|found| cx.translated(found)),
    }
}

/// The plan of a whole query, and what is done above it.
unsafe fn whole(cx: &mut Cx, query: *mut pg_sys::Query) -> Result<(Rel, Top)> {
    if (*query).commandType != pg_sys::CmdType::CMD_SELECT || !(*query).utilityStmt.is_null() {
        return Err("not a SELECT".into());
    }
    encoding::check()?;
    normalise::normalise(query);
    top::top_query(cx, query)
}
