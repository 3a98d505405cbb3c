//! How an engine spells SQL.
//!
//! Invariant: a spelling answers exactly as Postgres does for every value that the types can hold, or it is refused with a reason.
//! What has the same meaning everywhere (AND, CASE, IS NULL) is written by `sql`, not here.

pub mod mysql;
pub mod postgres;

use crate::descriptor::Options;
use crate::meaning::{AggMeaning, Class, Cmp, Meaning};
use weir_plan::ir::{Collation, Scalar};
use weir_plan::types::PgType;

/// Why something is not pushed, as EXPLAIN (VERBOSE) prints it.
pub type Why = String;
pub type Result<T> = std::result::Result<T, Why>;

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
}

pub trait Dialect: Sync {
    /// A quoted identifier.
    fn ident(&self, name: &str) -> Result<String>;

    /// The name of the remote table of a foreign table.
    fn table(&self, server: &Options, table: &[(String, String)], local_schema: &str, local_name: &str) -> Result<String>;

    /// A literal of this type.
    ///
    /// # Errors
    /// A value that the engine cannot hold.
    fn literal(&self, value: &Scalar, ty: &PgType) -> Result<String>;

    /// The digits a decimal can have: in all, and after the point.
    fn decimal_limits(&self) -> (u32, u32);

    /// It is Postgres: numerics have the same scales there, and FULL JOIN is joined.
    fn native(&self) -> bool {
        false
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

    /// The expression as a key: what GROUP BY, DISTINCT and set operations tell apart just as Postgres does.
    fn key(&self, term: &Term) -> Result<String>;

    /// The expressions to order by.
    fn order(&self, term: &Term, descending: bool, nulls_first: bool) -> Result<Vec<String>>;

    /// The expression so that CASE or COALESCE can mix it with others of its type.
    fn branch(&self, term: &Term) -> Result<String>;

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

    /// What ends an INSERT that passes over rows whose key is there; `None`: it cannot be said.
    fn skip_conflicts(&self) -> Option<&'static str> {
        None
    }

    /// What ends a query whose rows are to be locked until the end of the transaction; `share`: against changes only.
    fn lock(&self, _share: bool) -> Option<&'static str> {
        None
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

    /// `LIMIT n OFFSET m`
    fn limit(&self, limit: Option<u64>, offset: Option<u64>) -> String {
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
