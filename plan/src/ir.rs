//! The typed plan that a backend sends to the engine.
//!
//! Invariants:
//! - Every column that a [`Rel`] puts out has a [`ColId`] unique within the whole [`Plan`]; two scans of one table have different ids.
//!   An expression may use the columns of its node's input, and those of an enclosing query as [`Expr::Outer`].
//! - Every expression carries the Postgres type that the analyser gave it; no coercion is implicit.
//! - Arguments of a call have exactly the types of the function's signature (the translator keeps Postgres's casts as calls).

use crate::types::{PgType, oid};
use serde::{Deserialize, Serialize};

/// A column's identity within one plan.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct ColId(pub u32);

/// Identity of a common table expression within one plan.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct CteId(pub u32);

/// A whole query: what is sent for preparation and execution.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Plan {
    pub root: Rel,
    /// The columns to return, in this order (a column may be named twice).
    pub output: Vec<(ColId, PgType)>,
    /// Types of the parameters that Postgres evaluates when execution starts; [`Expr::Param`] indexes this.
    pub params: Vec<PgType>,
    pub session: Session,
}

/// The session settings on which shipped functions depend; a plan made under other settings is never reused.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Session {
    /// `TimeZone` as Postgres names it, e.g. `Europe/Berlin`.
    pub timezone: String,
    pub date_style: String,
    pub interval_style: String,
    pub extra_float_digits: i32,
    pub fidelity: Fidelity,
    pub engine: Embedded,
    /// The locales whose case and classes of characters count, by [`CtypeId`], as `weir_collate` opens them.
    pub ctypes: Vec<String>,
    /// The database's own collation orders text by its bytes.
    pub collate_is_bytes: bool,
    /// `quote_all_identifiers`
    pub quote_all_identifiers: bool,
    /// `server_version_num`, for behaviour that differs between releases.
    pub server_version_num: i32,
}

impl Session {
    /// The locale of a collation's letters, unless it is C or cannot be asked.
    pub fn ctype(&self, collation: Collation) -> Option<&str> {
        match collation {
            Collation::Locale(ctype) | Collation::CodePoint(ctype) => self.ctypes.get(usize::from(ctype.0)).map(String::as_str),
            Collation::None | Collation::C | Collation::Nondeterministic => None,
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Fidelity {
    Exact,
    /// Also ship what is marked close enough: float sums in another order.
    Relaxed,
}

/// What runs queries over mirrors.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Embedded {
    DataFusion,
    DuckDb,
}

impl Embedded {
    /// As `weir.engine` calls it.
    pub fn name(self) -> &'static str {
        match self {
            Embedded::DataFusion => "datafusion",
            Embedded::DuckDb => "duckdb",
        }
    }
}

/// A column that a node puts out under a new identity.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Named<T> {
    pub id: ColId,
    pub expr: T,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum Rel {
    /// One row without columns (`SELECT 1`).
    OneRow,
    Scan(Scan),
    Values {
        columns: Vec<(ColId, PgType)>,
        rows: Vec<Vec<Expr>>,
    },
    Project {
        input: Box<Rel>,
        exprs: Vec<Named<Expr>>,
    },
    Filter {
        input: Box<Rel>,
        predicate: Expr,
    },
    Join(Box<Join>),
    Aggregate(Box<Aggregate>),
    /// Adds the window functions' columns to those of the input.
    Window {
        input: Box<Rel>,
        functions: Vec<Named<WindowCall>>,
    },
    Sort {
        input: Box<Rel>,
        keys: Vec<SortKey>,
    },
    /// `offset` and `limit` are bigint expressions of constants and parameters; NULL means none.
    Limit {
        input: Box<Rel>,
        offset: Option<Expr>,
        limit: Option<Expr>,
    },
    /// Distinct over all columns of the input.
    Distinct {
        input: Box<Rel>,
    },
    /// The first row of each group of `on` in the order of `keys` (which begin with `on`); puts out all input columns, ordered by `keys`.
    DistinctOn {
        input: Box<Rel>,
        on: Vec<Expr>,
        keys: Vec<SortKey>,
    },
    SetOp(Box<SetOp>),
    /// Common table expressions, visible in later ones and in the body.
    With {
        ctes: Vec<(CteId, Rel)>,
        body: Box<Rel>,
    },
    /// One use of a CTE; `columns` gives new identities to (some of) its columns.
    CteRef {
        cte: CteId,
        columns: Vec<(ColId, ColId, PgType)>,
    },
    /// A part of the query that a remote engine answers.
    Remote(Box<Remote>),
    Expand(Box<Expand>),
}

/// A statement for a remote engine, and what it returns.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Remote {
    pub server: ServerRef,
    /// Name of the server, for messages and EXPLAIN.
    pub name: String,
    pub sql: Vec<SqlPart>,
    /// In the order of the statement's result.
    pub columns: Vec<RemoteColumn>,
    /// About how many rows, if anything is known of its tables.
    pub rows: Option<u64>,
    /// Columns that can be compared with values known only at run time.
    pub keys: Vec<Key>,
}

/// A column of a remote statement that a condition of [`SqlPart::Keys`] can be about.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Key {
    /// Its place in the statement's result.
    pub place: usize,
    /// What it is inside of the statement.
    pub sql: String,
    pub ty: PgType,
    /// It is a column of a table there.
    pub is_column: bool,
    /// The most characters it can have.
    pub chars: Option<usize>,
    /// Of a number: digits in all, and after the point.
    pub digits: Option<(u32, u32)>,
}

/// A foreign server as one user reaches it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct ServerRef {
    /// `pg_foreign_server` OID.
    pub server: u32,
    /// The role whose user mapping is taken; 0: whoever runs the query.
    pub user: u32,
}

/// A piece of a remote statement.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum SqlPart {
    Text(String),
    /// The value of a parameter, written as a literal of the dialect when execution starts.
    Param {
        index: u32,
        ty: PgType,
    },
    /// Where conditions on [`Remote::keys`] go; `first`: there is no WHERE before.
    Keys {
        first: bool,
    },
    /// `LIMIT … OFFSET …`, of which at least one is a parameter.
    Limit {
        limit: Option<RowCount>,
        offset: Option<RowCount>,
    },
}

/// How many rows; a parameter is a bigint, of which NULL means none said.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum RowCount {
    Rows(u64),
    Param(u32),
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RemoteColumn {
    pub id: ColId,
    pub ty: PgType,
    /// For messages.
    pub name: String,
}

/// A base relation: a mirror or a foreign table.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Scan {
    pub source: Source,
    /// For messages and EXPLAIN.
    pub name: String,
    pub columns: Vec<ScanColumn>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Source {
    /// A mirrored table. The engine answers only if it holds this very generation.
    Mirror { relid: u32, generation: i64 },
    /// A foreign table of ours. The backend turns it into a [`Rel::Remote`] before the plan is sent.
    Foreign { server: ServerRef, relid: u32 },
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ScanColumn {
    pub id: ColId,
    /// `pg_attribute.attnum`.
    pub attnum: i16,
    pub ty: PgType,
    pub not_null: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum JoinKind {
    Inner,
    Left,
    Right,
    Full,
    /// Rows of the left side that have a match; puts out the left columns only.
    Semi,
    /// Rows of the left side that have no match; puts out the left columns only.
    Anti,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Join {
    pub kind: JoinKind,
    pub left: Rel,
    pub right: Rel,
    /// `None` is a cross join.
    pub on: Option<Expr>,
    /// The right side uses columns of the left one (as [`Expr::Outer`]).
    pub lateral: bool,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Aggregate {
    pub input: Rel,
    pub groups: Vec<Named<Expr>>,
    /// Indexes into `groups`, one list per grouping set, when there is more than the plain set of all groups.
    /// A group that is not in the current set is NULL in the output.
    pub grouping_sets: Option<Vec<Vec<usize>>>,
    pub calls: Vec<Named<AggCall>>,
    /// `GROUPING(…)`: indexes into `groups`, most significant bit first; int4.
    pub groupings: Vec<Named<Vec<usize>>>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct AggCall {
    /// `pg_proc` OID of the aggregate.
    pub func: u32,
    /// Direct arguments of an ordered-set aggregate (`percentile_cont(0.5)`), else empty.
    pub direct: Vec<Expr>,
    /// Arguments; for an ordered-set aggregate the sorted expressions. Empty for `count(*)`.
    pub args: Vec<Expr>,
    pub distinct: bool,
    pub order_by: Vec<SortKey>,
    pub filter: Option<Expr>,
    pub ty: PgType,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct WindowCall {
    /// `pg_proc` OID of the window function or aggregate.
    pub func: u32,
    pub args: Vec<Expr>,
    pub filter: Option<Expr>,
    pub partition_by: Vec<Expr>,
    pub order_by: Vec<SortKey>,
    pub frame: Frame,
    pub ty: PgType,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Frame {
    pub units: FrameUnits,
    pub start: Bound,
    pub end: Bound,
    pub exclude: Exclude,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum FrameUnits {
    Rows,
    Range,
    Groups,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum Bound {
    UnboundedPreceding,
    Preceding(Expr),
    CurrentRow,
    Following(Expr),
    UnboundedFollowing,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Exclude {
    NoOthers,
    CurrentRow,
    Group,
    Ties,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SortKey {
    pub expr: Expr,
    pub descending: bool,
    pub nulls_first: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum SetOpKind {
    Union,
    Intersect,
    Except,
}

/// For each row of the input, the rows of set-returning functions side by side, as many as the longest has (the others have NULL then):
/// adds their columns (and the row's number) to those of the input.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Expand {
    pub input: Rel,
    /// At least one.
    pub functions: Vec<SetCall>,
    pub ordinal: Option<ColId>,
    /// An input row for which there are none stays, with NULL.
    pub outer: bool,
}

/// A call of a set-returning function with one column.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SetCall {
    /// `pg_proc` OID.
    pub func: u32,
    pub args: Vec<Expr>,
    pub collation: Collation,
    pub value: (ColId, PgType),
}

/// Both sides put out columns of the same types in the order of `columns`: (new identity, left column, right column, type).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SetOp {
    pub kind: SetOpKind,
    pub all: bool,
    pub left: Rel,
    pub right: Rel,
    pub columns: Vec<(ColId, ColId, ColId, PgType)>,
    /// `WITH RECURSIVE`: the right side of this UNION is evaluated again and again, until it gives no (new) rows. A [`Rel::CteRef`] in it
    /// to this identity reads the rows that came last, by the identities in `columns`.
    pub recursion: Option<CteId>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum Expr {
    Column {
        id: ColId,
        ty: PgType,
    },
    /// A column of an enclosing query (correlation).
    Outer {
        id: ColId,
        ty: PgType,
    },
    Const {
        value: Scalar,
        ty: PgType,
    },
    /// A value that Postgres evaluates when execution starts.
    Param {
        index: u32,
        ty: PgType,
    },
    /// A function or operator by OID, with the collation that the analyser derived for its inputs.
    Call {
        func: u32,
        args: Vec<Expr>,
        ty: PgType,
        collation: Collation,
    },
    And(Vec<Expr>),
    Or(Vec<Expr>),
    Not(Box<Expr>),
    IsNull(Box<Expr>),
    IsNotNull(Box<Expr>),
    /// `IS TRUE` and its five relatives; never NULL.
    BoolTest {
        test: BoolTest,
        arg: Box<Expr>,
    },
    /// `CASE`; a simple CASE has been rewritten to comparisons.
    Case {
        whens: Vec<(Expr, Expr)>,
        otherwise: Option<Box<Expr>>,
        ty: PgType,
    },
    Coalesce {
        args: Vec<Expr>,
        ty: PgType,
    },
    /// `NULLIF`; `func` is the equality function.
    NullIf {
        func: u32,
        left: Box<Expr>,
        right: Box<Expr>,
        ty: PgType,
        collation: Collation,
    },
    Greatest {
        args: Vec<Expr>,
        ty: PgType,
        collation: Collation,
    },
    Least {
        args: Vec<Expr>,
        ty: PgType,
        collation: Collation,
    },
    /// `IS DISTINCT FROM`; `func` is the equality function. Never NULL.
    IsDistinct {
        func: u32,
        left: Box<Expr>,
        right: Box<Expr>,
        collation: Collation,
    },
    /// `left op ANY (list)` if `any`, else `ALL`, with three-valued logic over the list.
    InList {
        func: u32,
        any: bool,
        left: Box<Expr>,
        list: Vec<Expr>,
        collation: Collation,
    },
    /// `left op ANY/ALL (array)` over one array value.
    AnyArray {
        func: u32,
        any: bool,
        left: Box<Expr>,
        array: Box<Expr>,
        collation: Collation,
    },
    /// Binary-compatible relabelling, e.g. varchar to text.
    Relabel {
        arg: Box<Expr>,
        ty: PgType,
    },
    /// A cast through text output and input functions.
    ViaText {
        arg: Box<Expr>,
        ty: PgType,
    },
    Array {
        elements: Vec<Expr>,
        ty: PgType,
    },
    /// The place of an enum's label among all labels of its type, which are in their order; int4. Of an array of enums, the array of places.
    EnumRank {
        arg: Box<Expr>,
        labels: Vec<String>,
    },
    /// An `EXISTS` sublink.
    Exists {
        rel: Box<Rel>,
    },
    /// A scalar sublink; more than one row is error 21000.
    ScalarSubquery {
        rel: Box<Rel>,
        column: ColId,
        ty: PgType,
    },
    /// `(left…) op ANY/ALL (subquery)`: `comparisons` combine `left` with the columns of `rel`, pairwise, ANDed.
    AnySubquery {
        any: bool,
        comparisons: Vec<SubqueryComparison>,
        rel: Box<Rel>,
    },
}

/// One pair of a quantified comparison: `left func column`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SubqueryComparison {
    pub func: u32,
    pub left: Expr,
    pub column: ColId,
    pub column_ty: PgType,
    pub collation: Collation,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum BoolTest {
    IsTrue,
    IsNotTrue,
    IsFalse,
    IsNotFalse,
    IsUnknown,
    IsNotUnknown,
}

/// Place in [`Session::ctypes`] of the locale that says which letters are a pair, and which characters are letters, digits and so on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct CtypeId(u8);

impl CtypeId {
    /// Of a locale that cannot be asked: only what is ASCII is known.
    pub const ASCII: CtypeId = CtypeId(u8::MAX);

    /// A place beyond what fits is one that nothing is known of.
    pub fn new(place: usize) -> CtypeId {
        u8::try_from(place).map_or(Self::ASCII, CtypeId)
    }
}

/// What a collation lets an engine do with text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Collation {
    /// The type is not collatable.
    None,
    /// C or POSIX: byte order, ASCII case.
    C,
    /// Deterministic, some locale's order: equality is byte equality, order is not known to an engine.
    Locale(CtypeId),
    /// Byte order, but case follows a Unicode locale (C.UTF-8 of libc, or `ucs_basic`).
    CodePoint(CtypeId),
    /// Equality is not byte equality: nothing is shipped.
    Nondeterministic,
}

/// A value of a constant or parameter, in the physical form of `types::arrow_type`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum Scalar {
    Null,
    Bool(bool),
    Int2(i16),
    Int4(i32),
    Int8(i64),
    Float4(f32),
    Float8(f64),
    /// Text form of `numeric_out`, e.g. `-12.50`, which carries the display scale; `NaN`, `Infinity`, `-Infinity` too.
    Numeric(String),
    /// text, varchar, bpchar (without trailing blanks), json, jsonb, enum label, name.
    Text(String),
    Bytes(Vec<u8>),
    Uuid([u8; 16]),
    /// Days since 1970-01-01; `i32::MAX`/`MIN` are ±infinity.
    Date(i32),
    /// Microseconds since midnight.
    Time(i64),
    /// Microseconds since 1970-01-01 (UTC for timestamptz); `i64::MAX`/`MIN` are ±infinity.
    Timestamp(i64),
    Interval {
        months: i32,
        days: i32,
        micros: i64,
    },
    /// A one-dimensional array with lower bound 1.
    Array(Vec<Scalar>),
}

impl Expr {
    /// The Postgres type of the expression's value.
    pub fn ty(&self) -> PgType {
        match self {
            Expr::Column { ty, .. }
            | Expr::Outer { ty, .. }
            | Expr::Const { ty, .. }
            | Expr::Param { ty, .. }
            | Expr::Call { ty, .. }
            | Expr::Case { ty, .. }
            | Expr::Coalesce { ty, .. }
            | Expr::NullIf { ty, .. }
            | Expr::Greatest { ty, .. }
            | Expr::Least { ty, .. }
            | Expr::Relabel { ty, .. }
            | Expr::ViaText { ty, .. }
            | Expr::Array { ty, .. }
            | Expr::ScalarSubquery { ty, .. } => *ty,
            Expr::And(_)
            | Expr::Or(_)
            | Expr::Not(_)
            | Expr::IsNull(_)
            | Expr::IsNotNull(_)
            | Expr::BoolTest { .. }
            | Expr::IsDistinct { .. }
            | Expr::InList { .. }
            | Expr::AnyArray { .. }
            | Expr::Exists { .. }
            | Expr::AnySubquery { .. } => PgType::BOOL,
            Expr::EnumRank { arg, .. } if arg.ty().base == oid::ENUM_ARRAY => PgType::INT4_ARRAY,
            Expr::EnumRank { .. } => PgType::INT4,
        }
    }
}

impl Plan {
    /// The bytes that cross the socket.
    ///
    /// # Errors
    /// [`crate::Kind::Internal`] if serialisation fails, which the types here do not let happen.
    pub fn encode(&self) -> crate::Result<Vec<u8>> {
        postcard::to_stdvec(self).map_err(|e| crate::Error::internal(format!("could not encode the plan: {e}")))
    }

    /// # Errors
    /// [`crate::Kind::Internal`] if the bytes are not a plan of this version.
    pub fn decode(bytes: &[u8]) -> crate::Result<Plan> {
        postcard::from_bytes(bytes).map_err(|e| crate::Error::internal(format!("could not decode the plan: {e}")))
    }
}
