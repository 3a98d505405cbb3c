//! What the server knows of the foreign table, and of the functions that may be shipped.

use crate::compare::summary;
use crate::wire::{Answer, Row, Session};
use std::collections::HashMap;
use std::rc::Rc;
use weir_fdw::ForeignTable;
use weir_plan::functions::{self, FunctionKind};
use weir_plan::ir::{ColId, Expr, Rel, Scan, ScanColumn, ServerRef, Source};
use weir_plan::types::{PgType, oid};

/// Columns of the second use of the table are counted from here.
const SECOND: u32 = 1000;

pub struct Column {
    pub name: String,
    pub attnum: i16,
    pub ty: PgType,
}

pub struct Function {
    pub oid: u32,
    pub kind: FunctionKind,
    /// As it is called.
    pub name: String,
    /// As messages call it.
    pub shown: &'static str,
    pub args: Vec<PgType>,
    pub ty: PgType,
}

pub struct Catalog {
    pub columns: Vec<Column>,
    pub functions: Vec<Function>,
    table: Rc<ForeignTable>,
}

/// The rows of a query.
pub fn rows(session: &mut Session, sql: &str) -> Result<Vec<Row>, String> {
    match session.query(sql) {
        Answer::Rows(rows) => Ok(rows.rows),
        other => Err(format!("{sql}: {}", summary(&other))),
    }
}

fn field<T: std::str::FromStr>(row: &Row, at: usize) -> Result<T, String> {
    row.get(at).and_then(|f| f.as_deref()).and_then(|text| text.parse().ok()).ok_or_else(|| format!("field {at} of {row:?}"))
}

fn pairs(rows: &[Row]) -> Result<Vec<(String, String)>, String> {
    rows.iter().map(|row| Ok((field(row, 0)?, field(row, 1)?))).collect()
}

impl Catalog {
    pub fn read(session: &mut Session, schema: &str, table: &str) -> Result<Catalog, String> {
        let relation = format!("'{schema}.{table}'::regclass");
        let of = format!(
            "pg_foreign_table t JOIN pg_foreign_server s ON s.oid = t.ftserver JOIN pg_foreign_data_wrapper w ON w.oid = s.srvfdw WHERE t.ftrelid = {relation}"
        );
        let server = rows(session, &format!("SELECT s.srvname, w.fdwname FROM {of}"))?.into_iter().next().ok_or("no foreign table")?;
        let wrapper: String = field(&server, 1)?;
        let engine = weir_fdw::registry::by_wrapper(&wrapper).ok_or("a wrapper of others")?;
        let mut columns = Vec::new();
        let mut named = HashMap::new();
        let sql = format!(
            "SELECT attname, attnum, atttypid, atttypmod FROM pg_attribute WHERE attrelid = {relation} AND attnum > 0 AND NOT attisdropped ORDER BY attnum"
        );
        for row in rows(session, &sql)? {
            let (name, attnum): (String, i16) = (field(&row, 0)?, field(&row, 1)?);
            let sql = format!(
                "SELECT (o).option_name, (o).option_value FROM (SELECT pg_options_to_table(attfdwoptions) AS o FROM pg_attribute WHERE attrelid = {relation} AND attnum = {attnum}) s"
            );
            named.insert(attnum, (name.clone(), pairs(&rows(session, &sql)?)?));
            columns.push(Column { name, attnum, ty: PgType::with_typmod(field(&row, 2)?, field(&row, 3)?) });
        }
        let option = |column: &str| format!("SELECT (o).option_name, (o).option_value FROM (SELECT pg_options_to_table({column}) AS o FROM {of}) x");
        let table = ForeignTable {
            engine: engine.name,
            server: ServerRef { server: 1, user: 0 },
            server_name: field(&server, 0)?,
            server_options: pairs(&rows(session, &option("s.srvoptions"))?)?,
            table_options: pairs(&rows(session, &option("t.ftoptions"))?)?,
            schema: schema.to_owned(),
            name: table.to_owned(),
            rows: None,
            columns: named,
        };
        let mut functions = Vec::new();
        for row in rows(
            session,
            "SELECT oid, proname, proargtypes, prorettype, provariadic FROM pg_proc WHERE oid < 16384 AND NOT proretset AND provariadic IN (0, 2276)",
        )? {
            let Some(known) = functions::row(field(&row, 0)?) else { continue };
            // Postgres is asked for it by its name.
            if known.name.split('(').next() != row.get(1).and_then(|f| f.as_deref()) {
                return Err(format!("function {} is {:?}, not {}", known.oid, row.get(1), known.name));
            }
            let args: String = field(&row, 2).unwrap_or_default();
            let mut args: Vec<PgType> = args.split_whitespace().filter_map(|a| a.parse().ok()).map(PgType::new).collect();
            // VARIADIC "any": something, and a text.
            if field::<u32>(&row, 4)? != 0 {
                args.push(PgType::TEXT);
            }
            functions.push(Function { oid: known.oid, kind: known.kind, name: field(&row, 1)?, shown: known.name, args, ty: PgType::new(field(&row, 3)?) });
        }
        Ok(Catalog { columns, functions, table: Rc::new(table) })
    }

    /// Columns whose values an argument of this type can be; all of them for a polymorphic one.
    pub fn of_type(&self, ty: PgType) -> impl Iterator<Item = &Column> {
        const POLYMORPHIC: [u32; 4] = [2276, 2283, 2776, 5077];
        self.columns.iter().filter(move |c| c.ty.base == ty.base || (ty.base == oid::TEXT && c.ty.base == oid::VARCHAR) || POLYMORPHIC.contains(&ty.base))
    }

    /// The column as an argument of this type.
    pub fn argument(column: &Column, second: bool, ty: PgType) -> Expr {
        let id = ColId(u32::try_from(column.attnum).unwrap_or_default() + if second { SECOND } else { 0 });
        let of = Expr::Column { id, ty: column.ty };
        if ty.base == oid::TEXT && column.ty.base == oid::VARCHAR { Expr::Relabel { arg: Box::new(of), ty } } else { of }
    }

    pub fn scan(&self, second: bool) -> Rel {
        let columns = self.columns.iter().map(|c| ScanColumn {
            id: ColId(u32::try_from(c.attnum).unwrap_or_default() + if second { SECOND } else { 0 }),
            attnum: c.attnum,
            ty: c.ty,
            not_null: false,
        });
        Rel::Scan(Scan { source: Source::Foreign { server: self.table.server, relid: 1 }, name: self.table.name.clone(), columns: columns.collect() })
    }

    /// Whether the dialect spells a relation with this column.
    pub fn spells(&self, rel: &Rel, column: ColId) -> bool {
        weir_fdw::statement(rel, &[column], &|_| Some(self.table.clone())).is_ok()
    }
}
