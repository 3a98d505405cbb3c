//! What tables there are. Types that pg_weir does not know have no counterpart, even where Postgres would have them.

use std::collections::BTreeMap;
use tokio_postgres::{Client, Error};
use weir_plan::protocol::{CatalogColumn, CatalogTable};

/// Tables, partitioned tables, views, materialised views and foreign tables of a schema; `None` if there is no such schema.
pub async fn tables(client: &Client, schema: &str) -> Result<Option<Vec<CatalogTable>>, Error> {
    if client.query_opt("SELECT 1 FROM pg_namespace WHERE nspname = $1", &[&schema]).await?.is_none() {
        return Ok(None);
    }
    let rows = client
        .query(
            "SELECT c.relname::text, c.reltuples::float8, a.attname::text, format_type(a.atttypid, a.atttypmod), a.attnotnull,
                    coalesce(a.attnum = ANY (i.indkey), false),
                    CASE WHEN t.typtype = 'e' THEN 'text'
                         WHEN t.typtype = 'd' THEN format_type(t.typbasetype, t.typtypmod)
                         WHEN t.typname = 'citext' THEN 'text'
                         WHEN t.typname = 'bpchar' AND a.atttypmod < 0 THEN NULL
                         WHEN a.atttypid IN (1000, 1005, 1007, 1009, 1016, 1021, 1022, 1115, 1182, 1185, 1231, 2951) THEN format_type(a.atttypid, NULL)
                         WHEN a.atttypid IN (1015) THEN 'text[]'
                         WHEN a.atttypid IN (16, 17, 20, 21, 23, 25, 114, 700, 701, 1042, 1043, 1082, 1083, 1114, 1184, 1700, 2950, 3802)
                         THEN format_type(a.atttypid, a.atttypmod) END,
                    CASE WHEN t.typtype = 'd' THEN t.typbasetype IN (16, 17, 20, 21, 23, 25, 114, 700, 701, 1043, 1082, 1083, 1114, 1184, 1700, 2950, 3802)
                         ELSE true END,
                    EXISTS (SELECT 1 FROM pg_index x JOIN pg_class ic ON ic.oid = x.indexrelid JOIN pg_am am ON am.oid = ic.relam
                             WHERE x.indrelid = c.oid AND x.indkey[0] = a.attnum AND x.indpred IS NULL AND x.indisvalid AND am.amname IN ('btree', 'hash'))
               FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
               LEFT JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
               LEFT JOIN pg_type t ON t.oid = a.atttypid
               LEFT JOIN pg_index i ON i.indrelid = c.oid AND i.indisprimary
              WHERE n.nspname = $1 AND c.relkind IN ('r', 'p', 'v', 'm', 'f') AND NOT c.relispartition
              ORDER BY c.relname, a.attnum",
            &[&schema],
        )
        .await?;
    let mut tables: BTreeMap<String, CatalogTable> = BTreeMap::new();
    for row in rows {
        let name: String = row.try_get(0)?;
        let tuples: f64 = row.try_get(1)?;
        // -1: never analysed.
        let rows = if tuples >= 0.0 { Some(tuples as u64) } else { None };
        let table = tables.entry(name.clone()).or_insert_with(|| CatalogTable { name, columns: Vec::new(), key: Vec::new(), indexed: Vec::new(), rows });
        let Some(column) = row.try_get::<_, Option<String>>(2)? else { continue };
        if row.try_get::<_, bool>(5)? {
            table.key.push(column.clone());
        }
        if row.try_get::<_, bool>(8)? {
            table.indexed.push(column.clone());
        }
        let known: bool = row.try_get::<_, Option<bool>>(7)?.unwrap_or(false);
        let pg_type: Option<String> = row.try_get(6)?;
        table.columns.push(CatalogColumn {
            name: column,
            pg_type: pg_type.filter(|_| known),
            remote_type: row.try_get::<_, Option<String>>(3)?.unwrap_or_default(),
            not_null: row.try_get::<_, Option<bool>>(4)?.unwrap_or(false),
        });
    }
    Ok(Some(tables.into_values().collect()))
}
