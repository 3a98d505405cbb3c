//! What is no function: CASE, lists, subqueries, joins, groups, orders and set operations, of columns of each type. Whatever a dialect sends of them, the
//! answer is the same.

use super::catalog::{Catalog, Column};
use super::constants::{Constant, constants};
use super::judge::Judge;
use weir_plan::types::{PgType, oid};

/// `{c}`, `{d}`: the column in two rows; `{k}`, `{l}`, `{m}`: constants.
const VALUES: &[&str] = &[
    "{c} IS NULL",
    "{c} IS NOT NULL",
    "{c} IS DISTINCT FROM {k}",
    "{c} IS NOT DISTINCT FROM NULL",
    "{c} IN ({k}, {l})",
    "{c} IN ({k}, NULL)",
    "{c} NOT IN ({k}, {l})",
    "{c} NOT IN ({k}, NULL)",
    "{c} NOT IN ({k}, {l}, {m}, {k}, {l})",
    "{c} = ANY (ARRAY[{k}, {l}, {m}, {k}, {l}])",
    "{c} BETWEEN {k} AND {l}",
    "NOT ({c} = {k} OR {c} > {l})",
    "({c} = {k}) IS TRUE",
    "({c} = {k}) IS NOT TRUE",
    "({c} = {k}) IS FALSE",
    "({c} = {k}) IS NOT FALSE",
    "({c} = {k}) IS UNKNOWN",
    "CASE WHEN {c} = {k} THEN {l} ELSE {c} END",
    "CASE WHEN {g} = 7 THEN {c} WHEN {g} > 0 THEN {k} END",
    "CASE {c} WHEN {k} THEN 1 WHEN {l} THEN 2 ELSE 3 END",
    "coalesce({c}, {k})",
    "nullif({c}, {k})",
    "greatest({c}, {k}, {l})",
    "least({c}, {k})",
];
const PAIRS: &[&str] = &[
    "{c} IS DISTINCT FROM {d}",
    "{c} IN ({d}, {k})",
    "CASE WHEN {c} = {d} THEN {d} ELSE {c} END",
    "coalesce({c}, {d})",
    "nullif({c}, {d})",
    "greatest({c}, {d})",
    "least({c}, {d}, {k})",
];
/// Whole queries over the table `@`; the ones whose order is total begin with `=`.
const QUERIES: &[&str] = &[
    "SELECT {c} AS v, count(*) FROM @ a GROUP BY 1",
    "SELECT DISTINCT {c} AS v FROM @ a",
    "SELECT DISTINCT {c} AS v, {g} FROM @ a",
    "SELECT {c} AS v, count(*) FROM @ a GROUP BY 1 HAVING count(*) > 1 AND max(a.id) > 3",
    "SELECT {c} AS v, {g}, count(*) FROM @ a GROUP BY GROUPING SETS ((1), (2), (1, 2), ())",
    "=SELECT {c} AS v, a.id FROM @ a ORDER BY 1, 2 LIMIT 9",
    "=SELECT {c} AS v, a.id FROM @ a ORDER BY 1 DESC, 2 LIMIT 9",
    "=SELECT {c} AS v, a.id FROM @ a ORDER BY 1 NULLS FIRST, 2 LIMIT 9 OFFSET 1",
    "=SELECT {c} AS v, a.id FROM @ a ORDER BY 1 DESC NULLS LAST, 2 LIMIT 9",
    "SELECT a.id FROM @ a WHERE {c} IN (SELECT {d} FROM @ b WHERE b.id > 6)",
    "SELECT a.id FROM @ a WHERE {c} NOT IN (SELECT {d} FROM @ b WHERE b.id > 6)",
    "SELECT a.id FROM @ a WHERE {c} NOT IN (SELECT {d} FROM @ b)",
    "SELECT a.id FROM @ a WHERE EXISTS (SELECT 1 FROM @ b WHERE {c} = {d} AND b.id <> a.id)",
    "SELECT a.id FROM @ a WHERE NOT EXISTS (SELECT 1 FROM @ b WHERE {c} = {d} AND b.id <> a.id)",
    "SELECT a.id, (SELECT count(*) FROM @ b WHERE {c} = {d}) FROM @ a",
    "SELECT a.id FROM @ a WHERE {c} = (SELECT max({d}) FROM @ b)",
    "SELECT a.id, b.id AS j, {c} AS v, {d} AS w FROM @ a JOIN @ b ON {c} = {d}",
    "SELECT a.id, b.id AS j FROM @ a LEFT JOIN @ b ON {c} = {d} AND b.id > 6",
    "SELECT a.id, b.id AS j FROM @ a LEFT JOIN @ b ON a.id = b.id + 1 AND {c} < {d}",
    "SELECT a.id, b.id AS j FROM @ a RIGHT JOIN @ b ON a.id = b.id AND {c} >= {d} AND {d} <> {k}",
    "SELECT a.id, b.id AS j FROM @ a FULL JOIN @ b ON {c} = {d} AND a.id > 6",
    "SELECT {c} AS v FROM @ a WHERE a.id < 8 UNION SELECT {d} FROM @ b WHERE b.id > 6",
    "SELECT {c} AS v FROM @ a WHERE a.id < 8 EXCEPT SELECT {d} FROM @ b WHERE b.id > 6",
    "SELECT {c} AS v FROM @ a WHERE a.id < 8 INTERSECT ALL SELECT {d} FROM @ b WHERE b.id > 6",
    "WITH w AS (SELECT {c} AS v, count(*) AS n FROM @ a GROUP BY 1) SELECT x.v, y.n FROM w x JOIN w y ON x.v = y.v",
    "SELECT a.id, row_number() OVER (ORDER BY {c}, a.id), rank() OVER (ORDER BY {c}), dense_rank() OVER (ORDER BY {c} DESC) FROM @ a",
    "SELECT DISTINCT ON ({c}) {c} AS v, a.id FROM @ a ORDER BY {c}, a.id DESC",
    "SELECT sum({c}), avg({c}), max({c}), min({c}), count({c}) FROM @ a WHERE a.id IN (1, 2, 5, 7, 8, 9, 10)",
    "SELECT {g}, sum({c}), avg({c}), max({c}), min({c}), count({c}) FROM @ a GROUP BY 1",
    "SELECT sum({c}), max({c}), min({c}), count({c}) FROM @ a WHERE a.id < 0",
    "SELECT {c} AS v, a.id, row_number() OVER (ORDER BY {c}, a.id) FROM @ a",
    "SELECT {c} AS v, a.id, rank() OVER (PARTITION BY {c} ORDER BY a.id) FROM @ a",
    "SELECT count(DISTINCT {c}), count({c}), count(*) FILTER (WHERE {c} = {k}) FROM @ a",
];

/// Of integers: what is never NULL, but fails.
const INTEGERS: &[&str] = &[
    "SELECT count({c} * 2147483647) FROM @ a",
    "SELECT count(*) FILTER (WHERE ({c} * 2147483647) IS NULL) FROM @ a",
    "SELECT a.id FROM @ a WHERE ({c} * 2147483647 > 5) IS NOT UNKNOWN AND a.id > 1",
    "SELECT a.id FROM @ a WHERE ({c} / (a.id - 7)) IS NULL",
    "SELECT count({c} / (a.id - 7)) FROM @ a",
];

fn filled(template: &str, column: &Column, constants: &[Constant], judge: &Judge) -> Option<String> {
    let constant = |n: usize| constants.get(n % constants.len().max(1)).map(|c| c.0.clone());
    let mut sql = judge.filled(template).replace("{c}", &format!("a.{}", column.name)).replace("{d}", &format!("b.{}", column.name));
    for (n, mark) in ["{k}", "{l}", "{m}"].into_iter().enumerate() {
        if sql.contains(mark) {
            sql = sql.replace(mark, &constant(n)?);
        }
    }
    Some(sql)
}

/// # Errors
/// A connection that is lost.
pub fn run(catalog: &Catalog, judge: &mut Judge) -> Result<(), String> {
    let (mut asked, mut sent) = (0, 0);
    let integer = |c: &Column| matches!(c.ty.base, oid::INT2 | oid::INT4 | oid::INT8);
    let one_integer = catalog.columns.iter().rposition(|c| c.ty.base == oid::INT4);
    for (n, column) in catalog.columns.iter().enumerate() {
        // Integers differ in functions only, and so do numerics.
        let numerics = || catalog.columns.iter().take(n).any(|c| c.ty.base == oid::NUMERIC);
        let again = if integer(column) { one_integer != Some(n) } else { column.ty.base == oid::NUMERIC && numerics() };
        if again {
            continue;
        }
        let constants = constants(if column.ty.base == oid::VARCHAR { PgType::TEXT } else { column.ty });
        let of = |judge: &Judge, templates: &[&str]| -> Vec<String> { templates.iter().filter_map(|t| filled(t, column, &constants, judge)).collect() };
        for (pair, templates) in [(false, VALUES), (true, PAIRS)] {
            let values = of(judge, templates);
            asked += values.len();
            sent += judge.values(pair, values)?;
        }
        let mut queries = of(judge, QUERIES);
        if integer(column) {
            queries.extend(of(judge, INTEGERS));
        }
        for sql in queries {
            asked += 1;
            sent += usize::from(match sql.strip_prefix('=') {
                Some(ordered) => judge.query(ordered, true)?,
                None => judge.query(&sql, false)?,
            });
        }
    }
    println!("# {sent} of {asked} queries with other constructs are one remote statement");
    Ok(())
}
