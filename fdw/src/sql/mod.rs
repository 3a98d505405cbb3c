//! A part of the plan as one SELECT.
//!
//! Invariants:
//! - Operators are folded into one SELECT as long as its clauses allow (FROM, WHERE, GROUP BY, DISTINCT, ORDER BY, LIMIT, in this order); what comes
//!   out of order makes the SELECT a derived table.
//! - A correlated subquery never becomes a derived table: not every engine lets one see the outer query.
//! - Parameters stand in the text as `\u{1}index\u{1}` until the end, a LIMIT of parameters likewise; literals and identifiers hold no such character.

mod construct;
mod correlation;
mod estimate;
mod expr;
mod modify;
mod rel;

pub use modify::{Assignment, Modification, int_bounds, modification};

use crate::descriptor::Options;
use crate::dialect::{Changed, Dialect, Form, PARAMETER_MARK, Result, Term};
use std::collections::HashMap;
use weir_plan::ir::{ColId, CteId, Key, Rel, Remote, RemoteColumn, RowCount, Scalar, Scan, ServerRef, SqlPart};
use weir_plan::types::PgType;

/// What the catalogs say of a foreign table.
#[derive(Debug, Clone)]
pub struct ForeignTable {
    pub engine: &'static str,
    pub server: ServerRef,
    pub server_name: String,
    pub server_options: Vec<(String, String)>,
    pub table_options: Vec<(String, String)>,
    pub schema: String,
    pub name: String,
    /// How many rows it has, if somebody said.
    pub rows: Option<f64>,
    /// By attribute number: the column's name, and its options.
    pub columns: HashMap<i16, (String, Vec<(String, String)>)>,
}

/// Knows the foreign tables of a plan.
pub type Tables<'a> = &'a dyn Fn(&Scan) -> Option<std::rc::Rc<ForeignTable>>;

/// The columns in sight of an expression.
type Scope = Vec<(ColId, Term)>;

/// One SELECT under construction.
#[derive(Debug, Clone, Default)]
struct Select {
    from: String,
    filter: Vec<String>,
    /// GROUP BY keys; `None` if there is no grouping.
    group: Option<Vec<String>>,
    distinct: bool,
    order: Vec<String>,
    limit: Option<RowCount>,
    offset: Option<RowCount>,
    columns: Scope,
    /// Uses columns of an enclosing query.
    correlated: bool,
    /// Some columns are window functions: nothing but the select list may hold them.
    windowed: bool,
    /// Its WHERE has a place for conditions that are known only at run time.
    keyed: bool,
}

impl Select {
    /// Only FROM and WHERE so far.
    fn is_plain(&self) -> bool {
        self.group.is_none() && !self.windowed && !self.distinct && self.order.is_empty() && self.limit.is_none() && self.offset.is_none()
    }

    fn get(&self, id: ColId) -> Option<&Term> {
        self.columns.iter().find(|(c, _)| *c == id).map(|(_, t)| t)
    }
}

struct Builder<'a> {
    tables: Tables<'a>,
    /// Of the first table met; all others must be on it.
    site: Option<Site>,
    aliases: u32,
    /// Enclosing queries' columns, outermost first.
    outer: Vec<Scope>,
    /// The outermost of them of which the subquery that is being built uses a column.
    reached: usize,
    /// The table is to be changed.
    changes: bool,
    /// Below an aggregate of the query itself.
    folded: bool,
    /// Common table expressions, which stand before the whole statement: their names and columns, and their SQL.
    ctes: HashMap<CteId, (String, Scope)>,
    before: Vec<String>,
}

struct Site {
    dialect: &'static dyn Dialect,
    server: ServerRef,
    name: String,
}

/// The statement that answers a relation, with the columns asked for.
///
/// # Errors
/// Why the relation's server cannot answer it exactly.
pub fn statement(rel: &Rel, wanted: &[ColId], tables: Tables) -> Result<Remote> {
    let mut builder = Builder::new(tables);
    let select = builder.rel(rel)?;
    if select.correlated {
        return Err("a correlated part of a query on its own".into());
    }
    let dialect = builder.dialect()?;
    let (mut columns, mut list) = (Vec::new(), Vec::new());
    for id in wanted {
        let term = select.get(*id).ok_or("a column that is lost")?;
        if !dialect.returns(&term.ty) {
            return Err("a result of this type".into());
        }
        if weir_plan::types::arrow_type(&term.ty).is_none() {
            return Err("a result of an unknown type".into());
        }
        columns.push(RemoteColumn { id: *id, ty: term.ty, name: plain_name(dialect.reference(&term.sql)) });
        // Not every engine takes what is there twice, as the sum of an average may be, without a name of its own.
        let (sql, place) = (dialect.output(term), list.len());
        list.push(if list.contains(&sql) { format!("{sql} AS {}", dialect.ident(&format!("again{place}"))?) } else { sql });
    }
    if list.is_empty() {
        list.push("1".into());
    }
    if select.distinct && select.columns.iter().any(|(c, _)| !wanted.contains(c)) {
        return Err("DISTINCT over columns that are not asked for".into());
    }
    let keys = keys(&select, wanted, dialect);
    let select = Select { keyed: !keys.is_empty(), ..select };
    let mut sql = builder.render(&select, &list)?;
    if !builder.before.is_empty() {
        sql = format!("WITH {} {sql}{}", builder.before.join(", "), dialect.after_common_tables());
    }
    let site = builder.site.ok_or("no remote table")?;
    Ok(Remote { server: site.server, name: site.name, sql: parts(&sql)?, columns, rows: estimate::rows(rel, tables), keys })
}

/// The columns of a statement whose rows can be chosen by their values in its WHERE.
fn keys(select: &Select, wanted: &[ColId], dialect: &dyn Dialect) -> Vec<Key> {
    if select.limit.is_some() || select.offset.is_some() || select.windowed || select.from.is_empty() {
        return Vec::new();
    }
    let of = |(place, id): (usize, &ColId)| {
        let term = select.get(*id)?;
        let class = crate::keys::class(&term.ty)?;
        // Of a grouped result, the groups are chosen by their keys.
        let is_key = select.group.as_ref().is_none_or(|group| group.contains(&term.sql));
        let usable = is_key && term.constant().is_none() && !term.sql.contains('\u{1}') && dialect.comparable(class, term).is_ok();
        usable.then(|| Key { place, sql: term.sql.clone(), ty: term.ty, is_column: term.form == Form::Column, chars: term.chars, digits: term.digits })
    };
    wanted.iter().enumerate().filter_map(of).collect()
}

/// What a column of a statement is called that is none of a table.
pub const COMPUTED: &str = "?column?";

/// The last identifier of a column reference, else [`COMPUTED`], for messages.
fn plain_name(sql: &str) -> String {
    let quote = |c: char| c == '`' || c == '"';
    let mut pieces = sql.split(quote).filter(|p| !p.is_empty());
    match (pieces.next(), pieces.next(), pieces.next(), pieces.next()) {
        (Some(_), Some("."), Some(name), None) => name.to_owned(),
        _ => COMPUTED.into(),
    }
}

impl<'a> Builder<'a> {
    fn new(tables: Tables<'a>) -> Builder<'a> {
        Builder {
            tables,
            site: None,
            aliases: 0,
            outer: Vec::new(),
            reached: usize::MAX,
            changes: false,
            folded: false,
            ctes: HashMap::new(),
            before: Vec::new(),
        }
    }
}

impl Builder<'_> {
    fn dialect(&self) -> Result<&'static dyn Dialect> {
        self.site.as_ref().map(|s| s.dialect).ok_or_else(|| "a part without a remote table".into())
    }

    fn alias(&mut self) -> Result<String> {
        self.aliases += 1;
        self.dialect()?.ident(&format!("t{}", self.aliases))
    }

    /// A scan of a foreign table.
    fn scan(&mut self, scan: &Scan) -> Result<Select> {
        let table = (self.tables)(scan).ok_or_else(|| format!("{} is not a table of a remote server", scan.name))?;
        let engine = crate::registry::by_name(table.engine).ok_or("an unknown engine")?;
        match &self.site {
            Some(site) if site.server != table.server => return Err(format!("tables of two servers, {} and {}", site.name, table.server_name)),
            Some(_) => {}
            None => self.site = Some(Site { dialect: engine.dialect_of(&table.server_options), server: table.server, name: table.server_name.clone() }),
        }
        let dialect = self.dialect()?;
        let options = Options { engine, given: &table.server_options };
        let name = dialect.table(&options, &table.table_options, &table.schema, &table.name)?;
        let by = if self.changes { dialect.changed_columns() } else { Changed::Alias };
        let alias = if by == Changed::Alias { self.alias()? } else { name.clone() };
        let mut columns = Vec::new();
        for c in &scan.columns {
            let (local, own) = table.columns.get(&c.attnum).ok_or("a column that is gone")?;
            let remote = own.iter().find(|(o, _)| o == "column_name").map_or(local.as_str(), |(_, v)| v);
            let ident = dialect.ident(remote)?;
            columns.push((c.id, dialect.column(if by == Changed::Bare { ident } else { format!("{alias}.{ident}") }, c.ty, own)));
        }
        let from = if by == Changed::Alias { format!("{name} AS {alias}") } else { name };
        Ok(Select { from, columns, ..Select::default() })
    }

    /// The SELECT with this select list.
    fn render(&self, select: &Select, list: &[String]) -> Result<String> {
        let mut sql = format!("SELECT {}{}", if select.distinct { "DISTINCT " } else { "" }, list.join(", "));
        if !select.from.is_empty() {
            sql.push_str(&format!(" FROM {}", select.from));
        }
        if !select.filter.is_empty() {
            sql.push_str(&format!(" WHERE {}", select.filter.join(" AND ")));
        }
        if select.keyed {
            sql.push_str(if select.filter.is_empty() { "\u{1}K:first\u{1}" } else { "\u{1}K:more\u{1}" });
        }
        if let Some(keys) = select.group.as_ref().filter(|k| !k.is_empty()) {
            sql.push_str(&format!(" GROUP BY {}", keys.join(", ")));
        }
        if !select.order.is_empty() {
            sql.push_str(&format!(" ORDER BY {}", select.order.join(", ")));
        }
        if select.limit.is_some() || select.offset.is_some() {
            sql.push_str(&match (number(select.limit), number(select.offset)) {
                (Some(limit), Some(offset)) => self.dialect()?.limit(limit.as_deref(), offset.as_deref()),
                _ => format!("\u{1}L:{}:{}\u{1}", mark(select.limit), mark(select.offset)),
            });
        }
        Ok(sql)
    }

    /// The SELECT as a derived table.
    fn wrap(&mut self, select: Select) -> Result<Select> {
        if select.correlated {
            return Err("a correlated subquery that would have to be a derived table".into());
        }
        let dialect = self.dialect()?;
        let alias = self.alias()?;
        let (mut list, mut columns) = (Vec::new(), Vec::new());
        for (id, term) in &select.columns {
            let name = dialect.ident(&format!("c{}", id.0))?;
            list.push(format!("{} AS {name}", term.sql));
            let there = Term { sql: format!("{alias}.{name}"), ty: term.ty, form: Form::Column, digits: term.digits, chars: term.chars };
            // A computed numeric of unknown scale does not become one with a known scale by being named.
            let form = if term.ty.base == weir_plan::types::oid::NUMERIC && term.form != Form::Column { Form::Computed } else { Form::Column };
            columns.push((*id, Term { form, ..there }));
        }
        if list.is_empty() {
            list.push("1 AS one".into());
        }
        let sql = self.render(&select, &list)?;
        Ok(Select { from: format!("({sql}) AS {alias}"), columns, ..Select::default() })
    }

    fn plain(&mut self, select: Select) -> Result<Select> {
        if select.is_plain() { Ok(select) } else { self.wrap(select) }
    }

    fn param(&self, index: u32, ty: PgType) -> Term {
        Term { sql: format!("\u{1}{index}:{}:{}:{}\u{1}", ty.oid, ty.base, ty.typmod), ty, form: Form::Computed, digits: None, chars: None }
    }
}

/// The number as text, if there is one; `None` if only the execution knows.
#[allow(clippy::option_option, reason = "not said, and not known, are two things")]
fn number(rows: Option<RowCount>) -> Option<Option<String>> {
    match rows {
        None => Some(None),
        Some(RowCount::Rows(n)) => Some(Some(n.to_string())),
        Some(RowCount::Param(_)) => None,
    }
}

fn mark(rows: Option<RowCount>) -> String {
    match rows {
        None => String::new(),
        Some(RowCount::Rows(n)) => n.to_string(),
        Some(RowCount::Param(index)) => format!("${index}"),
    }
}

fn marked(text: Option<&str>) -> Result<Option<RowCount>> {
    let lost = |_| "a LIMIT that was lost".to_string();
    Ok(match text {
        None | Some("") => None,
        Some(text) => Some(match text.strip_prefix('$') {
            Some(index) => RowCount::Param(index.parse().map_err(lost)?),
            None => RowCount::Rows(text.parse().map_err(lost)?),
        }),
    })
}

/// Cuts the text at its parameters.
fn parts(sql: &str) -> Result<Vec<SqlPart>> {
    let mut parts = Vec::new();
    for (i, piece) in sql.split('\u{1}').enumerate() {
        if i % 2 == 0 {
            if !piece.is_empty() {
                parts.push(SqlPart::Text(piece.to_owned()));
            }
            continue;
        }
        if let Some(bounds) = piece.strip_prefix("L:") {
            let mut bounds = bounds.split(':');
            parts.push(SqlPart::Limit { limit: marked(bounds.next())?, offset: marked(bounds.next())? });
            continue;
        }
        if let Some(place) = piece.strip_prefix("K:") {
            parts.push(SqlPart::Keys { first: place == "first" });
            continue;
        }
        let mut numbers = piece.split(':');
        let mut next = || numbers.next().ok_or("a parameter that was lost");
        let lost = |_| "a parameter that was lost";
        let index = next()?.parse().map_err(lost)?;
        let oid = next()?.parse().map_err(lost)?;
        let base = next()?.parse().map_err(lost)?;
        let typmod = next()?.parse().map_err(lost)?;
        parts.push(SqlPart::Param { index, ty: PgType { oid, base, typmod } });
    }
    Ok(parts)
}

/// The statement with the values of its parameters; without them, numbered placeholders (for EXPLAIN).
///
/// # Errors
/// A value that the engine cannot hold.
pub fn text(parts: &[SqlPart], params: Option<&[Scalar]>, dialect: &dyn Dialect) -> Result<String> {
    text_with(parts, params, &[], dialect)
}

/// As [`text`], with conditions on the statement's keys.
///
/// # Errors
/// As [`text`].
pub fn text_with(parts: &[SqlPart], params: Option<&[Scalar]>, conditions: &[String], dialect: &dyn Dialect) -> Result<String> {
    let mut sql = String::new();
    for part in parts {
        match (part, params) {
            (SqlPart::Text(text), _) => sql.push_str(text),
            (SqlPart::Param { index, .. }, None) => sql.push_str(&format!("${}", index + 1)),
            (SqlPart::Param { index, ty }, Some(values)) => {
                let value = values.get(*index as usize).ok_or("a parameter without a value")?;
                let literal = dialect.literal(value, ty)?;
                if dialect.marks_parameters() && !literal.contains(PARAMETER_MARK) {
                    sql.extend([PARAMETER_MARK.to_string(), literal, PARAMETER_MARK.to_string()]);
                } else {
                    sql.push_str(&literal);
                }
            }
            (SqlPart::Keys { .. }, _) if conditions.is_empty() => {}
            (SqlPart::Keys { first }, _) => {
                sql.push_str(if *first { " WHERE " } else { " AND " });
                sql.push_str(&conditions.join(" AND "));
            }
            (SqlPart::Limit { limit, offset }, _) => {
                let (limit, offset) = (rows(*limit, params)?, rows(*offset, params)?);
                sql.push_str(&dialect.limit(limit.as_deref(), offset.as_deref()));
            }
        }
    }
    Ok(sql)
}

/// LIMIT or OFFSET with the values of the parameters.
fn rows(count: Option<RowCount>, params: Option<&[Scalar]>) -> Result<Option<String>> {
    match (count, params) {
        (None, _) => Ok(None),
        (Some(RowCount::Rows(n)), _) => Ok(Some(n.to_string())),
        (Some(RowCount::Param(index)), None) => Ok(Some(format!("${}", index + 1))),
        (Some(RowCount::Param(index)), Some(values)) => match values.get(index as usize) {
            Some(Scalar::Null) => Ok(None),
            Some(Scalar::Int8(n)) if *n >= 0 => Ok(Some(n.to_string())),
            _ => Err("LIMIT or OFFSET below zero".into()),
        },
    }
}
