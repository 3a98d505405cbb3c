//! How an engine spells SQL.
//!
//! Invariant: a spelling answers exactly as Postgres does for every value that the types can hold, or it is refused with a reason.
//! What has the same meaning everywhere (AND, CASE, IS NULL) is written by `sql`, not here.

pub mod clickhouse;
pub mod duckdb;
mod float;
pub mod generic;
pub mod mysql;
pub mod postgres;
pub mod starrocks;
pub mod trino;

use crate::descriptor::Options;
use crate::meaning::{AggMeaning, Arith, Class, Cmp, Meaning};
use weir_plan::ir::{BoolTest, Collation, Scalar};
use weir_plan::types::PgType;

/// Why something is not pushed, as EXPLAIN (VERBOSE) prints it.
pub type Why = String;
pub type Result<T> = std::result::Result<T, Why>;

/// Around the values of parameters in a statement, for clients that send them apart.
pub const PARAMETER_MARK: char = '\u{1}';

/// What an expression is besides its text.
#[derive(Debug, Clone, PartialEq)]
pub enum Form {
    Column,
    Literal(Scalar),
    Computed,
}

/// An expression in the engine's SQL; whole in itself, so that it can stand as an operand anywhere.
#[derive(Debug, Clone, PartialEq)]
pub struct Term {
    pub sql: String,
    pub ty: PgType,
    pub form: Form,
    /// Bounds of a numeric: (digits in all, digits after the point); every value has the latter as its display scale.
    pub digits: Option<(u32, u32)>,
    /// Bound of a text's length, in characters.
    pub chars: Option<usize>,
}

impl Term {
    /// A column of a remote table, with what its declared type says of its values.
    pub fn column(sql: String, ty: PgType) -> Term {
        let digits = ty.numeric_precision_scale().and_then(|(p, s)| Some((u32::try_from(p).ok()?, u32::try_from(s).ok()?)));
        Term { sql, ty, form: Form::Column, digits, chars: ty.char_length() }
    }

    pub fn computed(sql: String, ty: PgType) -> Term {
        Term { sql, ty, form: Form::Computed, digits: None, chars: ty.char_length() }
    }

    pub fn with_chars(self, chars: Option<usize>) -> Term {
        Term { chars, ..self }
    }

    pub fn with_digits(self, digits: Option<(u32, u32)>) -> Term {
        Term { digits, ..self }
    }

    pub fn constant(&self) -> Option<&Scalar> {
        match &self.form {
            Form::Literal(value) => Some(value),
            _ => None,
        }
    }

    /// A parameter and nothing else, which becomes a literal when the statement is sent.
    pub fn is_parameter(&self) -> bool {
        let within = self.sql.strip_prefix('\u{1}').and_then(|rest| rest.strip_suffix('\u{1}'));
        within.is_some_and(|text| !text.contains('\u{1}'))
    }
}

/// What the option "dialect" can say, of an engine that does not speak one of its own.
pub const NAMES: &[&str] = &["generic", "backtick", "datafusion", "spark", "sqlite", "postgres"];

/// The dialect of a name in [`NAMES`].
pub fn by_name(name: &str) -> Option<&'static dyn Dialect> {
    Some(match name {
        "generic" => &generic::GENERIC,
        "backtick" => &generic::BACKTICK,
        "datafusion" => &generic::DATAFUSION,
        "spark" => &generic::SPARK,
        "sqlite" => &generic::SQLITE,
        "postgres" => &postgres::Postgres,
        _ => return None,
    })
}

/// The window of a function.
#[derive(Debug, Clone, Default)]
pub struct Over {
    /// PARTITION BY and ORDER BY.
    pub order: String,
    pub frame: String,
}

pub trait Dialect: Sync {
    /// A quoted identifier.
    fn ident(&self, name: &str) -> Result<String>;

    /// The name of the remote table of a foreign table.
    fn table(&self, server: &Options, table: &[(String, String)], local_schema: &str, local_name: &str) -> Result<String>;

    /// A column of a remote table, by its name and its foreign table's options for it.
    fn column(&self, sql: String, ty: PgType, _options: &[(String, String)]) -> Term {
        Term::column(sql, ty)
    }

    /// Whether an imported column of this remote type is to have the option `remote_type`, for [`Dialect::column`].
    fn keeps_type(&self, _remote_type: &str) -> bool {
        false
    }

    /// The expression as it is returned.
    fn output(&self, term: &Term) -> String {
        term.sql.clone()
    }

    /// The reference in what [`Dialect::column`] made of it.
    fn reference<'a>(&self, sql: &'a str) -> &'a str {
        sql
    }

    /// A literal of this type.
    ///
    /// # Errors
    /// A value that the engine cannot hold.
    fn literal(&self, value: &Scalar, ty: &PgType) -> Result<String>;

    /// Whether every value of this type has a literal.
    fn holds(&self, ty: &PgType) -> bool {
        use weir_plan::types::oid;
        matches!(ty.base, oid::BOOL | oid::INT2 | oid::INT4 | oid::INT8 | oid::TEXT | oid::VARCHAR | oid::BPCHAR)
    }

    /// The digits a decimal can have: in all, and after the point.
    fn decimal_limits(&self) -> (u32, u32);

    /// Exact arithmetic of decimals, and the digits of its result, which cannot need more than `digits`. `folded`: below an aggregate, which
    /// returns nothing if a step of it fails.
    fn decimal(&self, op: Arith, l: &Term, r: &Term, digits: (u32, u32), _folded: bool) -> Result<(String, (u32, u32))> {
        let (precision, scale) = self.decimal_limits();
        if digits.0 > precision || digits.1 > scale {
            return Err("arithmetic of more digits than its decimals have".into());
        }
        let sign = op.sign();
        let (l, r) = self.operands(l, r, digits)?;
        Ok((format!("({l} {sign} {r})"), digits))
    }

    /// It is Postgres: numerics have the same scales there, and FULL JOIN is joined.
    fn native(&self) -> bool {
        false
    }

    /// The operands of arithmetic whose result has so many digits, in forms for which the engine computes it exactly.
    fn operands(&self, left: &Term, right: &Term, _digits: (u32, u32)) -> Result<(String, String)> {
        Ok((left.sql.clone(), right.sql.clone()))
    }

    fn negated(&self, term: &Term) -> Result<String> {
        Ok(format!("(-{})", term.sql))
    }

    /// `IS TRUE` and its relatives.
    fn bool_test(&self, test: BoolTest, arg: &str) -> String {
        match test {
            BoolTest::IsTrue => format!("({arg} IS TRUE)"),
            BoolTest::IsNotTrue => format!("({arg} IS NOT TRUE)"),
            BoolTest::IsFalse => format!("({arg} IS FALSE)"),
            BoolTest::IsNotFalse => format!("({arg} IS NOT FALSE)"),
            BoolTest::IsUnknown => format!("({arg} IS NULL)"),
            BoolTest::IsNotUnknown => format!("({arg} IS NOT NULL)"),
        }
    }

    /// A join may stand in parentheses, as a side of another.
    fn nests_joins(&self) -> bool {
        true
    }

    /// Whether the condition of a join may have a subquery.
    fn joins_by_subqueries(&self) -> bool {
        true
    }

    /// Whether it has outer joins with conditions like this: with or without an equality between columns of both sides.
    fn outer_join(&self, _has_equality: bool) -> Result<()> {
        Ok(())
    }

    /// A correlated subquery is an outer join there, by an equality of the columns that it uses: NULL where a scalar one finds no row, as it does for
    /// a column that is NULL, and no error where it finds several.
    fn correlates_by_join(&self) -> bool {
        false
    }

    /// `left = ANY (items)` if `any`, else `left <> ALL (items)`.
    fn in_list(&self, any: bool, class: Class, left: &Term, items: &[Term]) -> Result<String> {
        let items = items.iter().map(|item| self.comparable(class, item)).collect::<Result<Vec<_>>>()?;
        Ok(format!("({} {}IN ({}))", self.comparable(class, left)?, if any { "" } else { "NOT " }, items.join(", ")))
    }

    /// `left = ANY (subquery)` if `any`, else `left <> ALL (subquery)`, over rows if there are several; both sides are comparable.
    /// `render` gives the subquery with a select list.
    fn in_subquery(
        &self,
        any: bool,
        _classes: &[Class],
        left: &[String],
        _correlated: bool,
        list: &[String],
        render: &dyn Fn(&[String]) -> Result<String>,
    ) -> Result<String> {
        let left = if let [one] = left { one.clone() } else { format!("({})", left.join(", ")) };
        Ok(format!("({left} {}IN ({}))", if any { "" } else { "NOT " }, render(list)?))
    }

    /// Every text has a literal.
    fn holds_any_text(&self) -> bool {
        true
    }

    /// Subqueries in expressions, and semi joins as EXISTS, mean the same there.
    fn subqueries(&self) -> bool {
        true
    }

    /// A call of this very function, where that can be said; `None` leaves it to the meaning.
    fn function(&self, _func: u32, _args: &[Term], _ty: PgType, _collation: Collation) -> Option<Result<Term>> {
        None
    }

    /// The expression in a form whose comparison by the engine is that of Postgres.
    fn comparable(&self, class: Class, term: &Term) -> Result<String>;

    fn compare(&self, cmp: Cmp, class: Class, left: &Term, right: &Term) -> Result<String> {
        Ok(format!("({} {} {})", self.comparable(class, left)?, cmp.sql(), self.comparable(class, right)?))
    }

    /// A call of a function that is neither a comparison nor arithmetic.
    fn call(&self, meaning: Meaning, args: &[Term], ty: PgType) -> Result<Term>;

    /// An aggregate over one argument (or none for `count(*)`), of which the filter has been made part.
    fn aggregate(&self, meaning: AggMeaning, arg: Option<&Term>, distinct: bool, ty: PgType) -> Result<Term>;

    /// Whether set operations, common table expressions, window functions, GREATEST and LEAST mean there what they mean here.
    fn has_constructs(&self) -> bool {
        false
    }

    /// Whether GROUPING SETS and GROUPING mean there what they mean here.
    fn has_grouping_sets(&self) -> bool {
        self.has_constructs()
    }

    /// Whether the keys of GROUPING SETS must be columns.
    fn sets_of_columns(&self) -> bool {
        false
    }

    /// What stands between AS and a common table expression, if there are any; all that read one in a statement see the same rows.
    fn common_table(&self) -> Option<CommonTable> {
        None
    }

    /// What ends a statement with common table expressions.
    fn after_common_tables(&self) -> &'static str {
        ""
    }

    /// Whether `(a, b) IN (SELECT ...)` is false, not NULL, where some pair differs and another has a NULL.
    fn compares_rows(&self) -> bool {
        true
    }

    /// Whether the argument of an aggregate, or its filter, may have a subquery.
    fn aggregates_subqueries(&self) -> bool {
        true
    }

    /// Whether of `a AND b` and `a OR b`, what can fail is not computed where the part before it has decided.
    fn keeps_order(&self) -> bool {
        true
    }

    /// Whether `row_number`, `rank` and `dense_rank` mean there what they mean here.
    fn ranks(&self) -> bool {
        false
    }

    /// A window function, or an aggregate as one; `over`: what stands after OVER, `frame` its frame.
    fn window(&self, func: u32, _args: &[Term], over: &Over, ty: PgType) -> Result<Term> {
        let name = match func {
            3100 => "row_number",
            3101 => "rank",
            3102 => "dense_rank",
            _ => return Err("a window function".into()),
        };
        if self.ranks() { Ok(Term::computed(format!("{name}() OVER ({})", over.order), ty)) } else { Err("a window function".into()) }
    }

    /// The aggregate where it may have no rows at all, of which it is then NULL (a count is 0).
    fn of_nothing(&self, aggregate: Term) -> Term {
        aggregate
    }

    /// The expression as a key: what GROUP BY, DISTINCT and set operations tell apart just as Postgres does.
    fn key(&self, term: &Term) -> Result<String>;

    /// The expressions to order by.
    fn order(&self, term: &Term, descending: bool, nulls_first: bool) -> Result<Vec<String>>;

    /// The expression so that CASE or COALESCE can mix it with others of its type.
    fn branch(&self, term: &Term) -> Result<String>;

    /// Whether an index finds the rows in which a column of this type equals a parameter, as it is spelled.
    fn finds(&self, _ty: &PgType) -> bool {
        true
    }

    /// Whether the client returns values of this type exactly.
    fn returns(&self, ty: &PgType) -> bool;

    /// A literal of a value that is to be stored, in any column that can hold it.
    ///
    /// # Errors
    /// A value that the engine cannot hold.
    fn value(&self, value: &Scalar, ty: &PgType) -> Result<String> {
        self.literal(value, ty)
    }

    /// That a column of the key has this value, and no other that the engine takes for equal.
    fn key_is(&self, column: &str, value: &Scalar, ty: &PgType) -> Result<String> {
        Ok(format!("{column} = {}", self.value(value, ty)?))
    }

    /// Whether the client sends values of parameters apart: they stand between marks, which no literal contains.
    fn marks_parameters(&self) -> bool {
        false
    }

    /// Whether UPDATE and DELETE mean by a condition what a query means by it.
    fn modifies(&self) -> bool {
        false
    }

    /// Whether that is so without a transaction around it, too, and the engine tells how many rows were changed.
    fn modifies_at_once(&self) -> bool {
        false
    }

    /// Whether what is assigned may be any expression that can be returned: it has the declared type by itself, or it is an error.
    fn computes_alike(&self) -> bool {
        false
    }

    /// Arithmetic of two integers, which ends in an error where the result does not fit the type.
    fn checked_int(&self, _op: Arith, _left: &Term, _right: &Term, _ty: &PgType) -> Result<String> {
        Err("arithmetic in an assignment".into())
    }

    /// How UPDATE and DELETE call the columns of the table that they change.
    fn changed_columns(&self) -> Changed {
        Changed::Alias
    }

    /// Whether rows are changed later, in the background, under other settings than the session's: a condition must not depend on them.
    fn changes_later(&self) -> bool {
        false
    }

    /// The statement that assigns (`column = value`) to rows of a table, with its alias if it has one.
    fn update(&self, table: &str, set: &[String], filter: Option<&str>) -> Result<String> {
        Ok(format!("UPDATE {table} SET {}{}", set.join(", "), filter.map(|f| format!(" WHERE {f}")).unwrap_or_default()))
    }

    /// The statement that deletes rows of a table.
    fn delete(&self, table: &str, filter: Option<&str>) -> Result<String> {
        Ok(format!("DELETE FROM {table}{}", filter.map(|f| format!(" WHERE {f}")).unwrap_or_default()))
    }

    /// Whether the engine tells how many rows such a statement has changed.
    fn tells_changed(&self) -> bool {
        true
    }

    /// A query for the number of rows that such a statement is about to change, where the engine itself may not tell; it fails if a value
    /// does not fit its column.
    fn count_changed(&self, _table: &str, _filter: Option<&str>, _set: &[Assigned]) -> Result<Option<String>> {
        Ok(None)
    }

    /// Rows that one DELETE names at most.
    fn deleted_rows(&self) -> usize {
        100
    }

    /// That a column, which is the whole key, has one of these values, where this is shorter than one [`Dialect::key_is`] for each.
    fn key_in(&self, _column: &str, _values: &[Scalar], _ty: &PgType) -> Option<Result<String>> {
        None
    }

    /// What ends an INSERT into these columns that passes over rows whose key is there; `None`: it cannot be said.
    fn skip_conflicts(&self, _columns: &[String]) -> Option<String> {
        None
    }

    /// What ends a query whose rows are to be locked until the end of the transaction; `share`: against changes only.
    fn lock(&self, _share: bool) -> Option<&'static str> {
        None
    }

    /// As [`Dialect::lock`], for rows that the same transaction is about to change: they must be read in it.
    fn lock_changed(&self) -> Option<&'static str> {
        self.lock(false)
    }

    /// A condition that holds for this share of the rows, by chance.
    fn by_chance(&self, _share: f64) -> Option<String> {
        None
    }

    /// Statements that empty these tables.
    fn truncate(&self, tables: &[String], restart_identity: bool, cascade: bool) -> Result<Vec<String>> {
        if restart_identity || cascade {
            return Err("TRUNCATE with RESTART IDENTITY or CASCADE".into());
        }
        Ok(tables.iter().map(|t| format!("TRUNCATE TABLE {t}")).collect())
    }

    /// `LIMIT n OFFSET m`; both are numbers, or stand for some in EXPLAIN.
    fn limit(&self, limit: Option<&str>, offset: Option<&str>) -> String {
        let mut sql = String::new();
        if let Some(n) = limit {
            sql.push_str(&format!(" LIMIT {n}"));
        }
        if let Some(n) = offset {
            sql.push_str(&format!(" OFFSET {n}"));
        }
        sql
    }
}

/// How an engine takes a common table expression.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CommonTable {
    /// It is computed once if this is said.
    Once(&'static str),
    /// Perhaps wherever it is read, out of the same rows.
    Each,
}

/// How columns of a table that is changed are called.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Changed {
    /// By an alias of the table.
    Alias,
    /// By the name of the table.
    Table,
    /// By themselves: then there are no subqueries.
    Bare,
}

/// A value that is assigned to a column.
#[derive(Debug, Clone)]
pub struct Assigned {
    /// The column, as messages call it and as SQL does.
    pub name: String,
    pub ident: String,
    pub ty: PgType,
    pub value: String,
}

/// A pattern of LIKE, taken apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Like {
    Char(char),
    One,
    Any,
}

/// Reads a pattern with the backslash as its escape character, as Postgres does.
///
/// # Errors
/// A pattern that ends with the escape character, which Postgres reports.
pub fn like_pattern(pattern: &str) -> Result<Vec<Like>> {
    let mut out = Vec::new();
    let mut chars = pattern.chars();
    while let Some(c) = chars.next() {
        out.push(match c {
            '\\' => Like::Char(chars.next().ok_or("a LIKE pattern that ends with its escape character")?),
            '%' => Like::Any,
            '_' => Like::One,
            c => Like::Char(c),
        });
    }
    Ok(out)
}
