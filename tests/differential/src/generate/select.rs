//! Whole queries: FROM, WHERE, grouping, windows, set operations, CTEs, and the order that makes them comparable.

use super::expr::{Column, Scope, Ty, any_type, boolean, expr, leaf, risky, sql_type};
use super::windows::window;
use super::{Dice, Query};

/// How deep expressions of the select list and of WHERE go.
const DEPTH: u32 = 3;

/// A SELECT without its ORDER BY.
struct Select {
    sql: String,
    types: Vec<Ty>,
    /// Expressions that order its rows totally, if there are any that may stand in its ORDER BY.
    keys: Option<Vec<String>>,
}

/// A FROM clause.
struct From {
    sql: String,
    scope: Scope,
    /// Columns that identify a row.
    keys: Option<Vec<String>>,
}

pub fn query(dice: &mut Dice) -> Query {
    if dice.chance(8) {
        return risky_query(dice);
    }
    let mut with = String::new();
    let select = match dice.below(20) {
        0..=4 => plain(dice, 2, &[]),
        5..=9 => grouped(dice, 2, &[]),
        10 => grouping_sets(dice),
        11 | 12 => windowed(dice),
        13 => distinct(dice),
        14 => distinct_on(dice),
        15 | 16 => set_operation(dice),
        _ => {
            let (clause, select) = with_clause(dice);
            with = clause;
            select
        }
    };
    finish(dice, &with, select)
}

/// Adds the order, and a limit where the order is total.
fn finish(dice: &mut Dice, with: &str, select: Select) -> Query {
    let order = select.keys.or_else(|| {
        let total = select.types.iter().all(|ty| ty.one_form());
        total.then(|| (1..=select.types.len()).map(|n| n.to_string()).collect())
    });
    let Some(mut order) = order.filter(|_| dice.chance(85)) else {
        return Query { sql: format!("{with}{}", select.sql), ordered: false, risky: false };
    };
    if !order.is_empty() && dice.chance(40) {
        // Another column in front does not make the order less total.
        let n = dice.below(select.types.len()) + 1;
        order.insert(0, n.to_string());
    }
    let order: Vec<String> = order.into_iter().map(|key| format!("{key}{}", dice.pick(&["", "", "", " DESC", " NULLS FIRST", " DESC NULLS LAST"]))).collect();
    let mut sql = format!("{with}{} ORDER BY {}", select.sql, order.join(", "));
    if dice.chance(35) {
        sql += &format!(" LIMIT {}", dice.between(0, 25));
    }
    if dice.chance(12) {
        sql += &format!(" OFFSET {}", dice.between(0, 5));
    }
    Query { sql, ordered: true, risky: false }
}

fn columns_of(alias: &str) -> Vec<Column> {
    [
        ("id", Ty::Small),
        ("k", Ty::Small),
        ("m", Ty::Small),
        ("b", Ty::Bool),
        ("e2", Ty::Int2),
        ("e4", Ty::Int4),
        ("e8", Ty::Int8),
        ("p", Ty::Fixed),
        ("q", Ty::Fixed),
        ("nu", Ty::Numeric),
        ("f", Ty::Float),
        ("r", Ty::Float),
        ("t", Ty::Text),
        ("v", Ty::Text),
        ("c", Ty::Char),
        ("d", Ty::Date),
        ("ed", Ty::EdgeDate),
        ("tm", Ty::Time),
        ("ts", Ty::Stamp),
        ("ets", Ty::EdgeStamp),
        ("tz", Ty::StampTz),
        ("iv", Ty::Interval),
        ("u", Ty::Uuid),
        ("x", Ty::Bytes),
        ("en", Ty::Enum),
    ]
    .into_iter()
    .map(|(name, ty)| Column { sql: format!("{alias}.{name}"), ty })
    .collect()
}

fn table(dice: &mut Dice) -> &'static str {
    dice.pick(&["big", "big", "mid", "mid", "mid", "low", "low", "one", "nil"])
}

/// One item of a FROM clause.
fn item(dice: &mut Dice, depth: u32) -> From {
    let alias = dice.alias();
    if depth > 0 && dice.chance(18) {
        let inner = match dice.below(4) {
            0 => grouped(dice, depth - 1, &[]),
            1 => distinct(dice),
            _ => plain(dice, depth - 1, &[]),
        };
        let columns = inner.types.iter().enumerate();
        let columns = columns.map(|(at, ty)| Column { sql: format!("{alias}.c{}", at + 1), ty: *ty }).collect();
        let limit = match &inner.keys {
            Some(keys) if dice.chance(25) => format!(" ORDER BY {} LIMIT {}", keys.join(", "), dice.between(1, 30)),
            _ => String::new(),
        };
        let sql = format!("({}{limit}) {alias}", inner.sql);
        return From { sql, scope: Scope { columns, outer: vec![] }, keys: None };
    }
    if dice.chance(4) {
        let columns = vec![Column { sql: format!("{alias}.a"), ty: Ty::Small }, Column { sql: format!("{alias}.b"), ty: Ty::Text }];
        let sql = format!("(VALUES (1, 'a'), (2, NULL), (NULL, 'abc')) {alias} (a, b)");
        return From { sql, scope: Scope { columns, outer: vec![] }, keys: None };
    }
    if dice.chance(5) {
        return rows_of_function(dice, &alias);
    }
    let name = table(dice);
    let columns = columns_of(&alias);
    From { sql: format!("{name} {alias}"), scope: Scope { columns, outer: vec![] }, keys: Some(vec![format!("{alias}.id")]) }
}

/// A set-returning function in FROM.
fn rows_of_function(dice: &mut Dice, alias: &str) -> From {
    let from = dice.between(-3, 5);
    let (call, ty, keys) = match dice.below(4) {
        0 => (format!("generate_series({from}, {})", from + dice.between(-1, 12)), Ty::Small, true),
        1 => (format!("generate_series({}, {from}, -{})", from + dice.between(0, 9), dice.between(1, 3)), Ty::Small, true),
        2 => {
            let step = dice.pick(&["1 day", "1 month", "36 hours"]);
            (format!("generate_series(timestamp '2024-01-31', timestamp '2024-03-31 12:00', '{step}')"), Ty::Stamp, true)
        }
        _ => (format!("unnest(ARRAY[{from}, NULL, 3, {}, 3])", dice.between(0, 9)), Ty::Small, false),
    };
    let name = format!("{alias}.a");
    let columns = vec![Column { sql: name.clone(), ty }];
    From { sql: format!("{call} {alias} (a)"), scope: Scope { columns, outer: vec![] }, keys: keys.then(|| vec![name]) }
}

fn from(dice: &mut Dice, depth: u32, outer: &[Column]) -> From {
    let mut left = item(dice, depth);
    let joins = dice.pick(&[&0, &0, &0, &1, &1, &2]);
    for _ in 0..*joins {
        left = join(dice, left, depth);
    }
    left.scope.outer = outer.to_vec();
    left
}

fn join(dice: &mut Dice, left: From, depth: u32) -> From {
    if dice.chance(8) && left.scope.columns.iter().any(|column| column.ty == Ty::Small) {
        return lateral(dice, left);
    }
    let right = item(dice, depth.saturating_sub(1));
    let mut scope = left.scope.clone();
    scope.columns.extend(right.scope.columns.iter().cloned());
    let keys = left.keys.clone().zip(right.keys.clone()).map(|(l, r)| [l, r].concat());
    let equal = equality(dice, &left.scope, &right.scope);
    let sql = match (equal, dice.below(10)) {
        (Some(equal), 0..=3) => format!("{} JOIN {} ON {equal}", left.sql, right.sql),
        (Some(equal), 4 | 5) => {
            let more = if dice.chance(40) { format!(" AND {}", boolean(dice, &scope, 1)) } else { String::new() };
            format!("{} LEFT JOIN {} ON {equal}{more}", left.sql, right.sql)
        }
        (Some(equal), 6) => format!("{} RIGHT JOIN {} ON {equal}", left.sql, right.sql),
        (Some(equal), 7) => format!("{} FULL JOIN {} ON {equal}", left.sql, right.sql),
        (Some(equal), 8) => {
            let extra = boolean(dice, &scope, 1);
            format!("{} JOIN {} ON {equal} AND {extra}", left.sql, right.sql)
        }
        _ => {
            let small = "low".to_string();
            let alias = dice.alias();
            let mut scope = left.scope;
            scope.columns.extend(columns_of(&alias));
            let keys = left.keys.map(|keys| [keys, vec![format!("{alias}.id")]].concat());
            return From { sql: format!("{} CROSS JOIN {small} {alias}", left.sql), scope, keys };
        }
    };
    From { sql, scope, keys }
}

fn equality(dice: &mut Dice, left: &Scope, right: &Scope) -> Option<String> {
    let ty = *dice.pick(&[&Ty::Small, &Ty::Small, &Ty::Small, &Ty::Text, &Ty::Fixed, &Ty::Date, &Ty::Int8, &Ty::Char, &Ty::Uuid]);
    let mut pairs = |ty| {
        let (l, r) = (left.of(ty), right.of(ty));
        (!l.is_empty() && !r.is_empty()).then(|| format!("{} = {}", dice.pick(&l).sql, dice.pick(&r).sql))
    };
    pairs(ty).or_else(|| pairs(Ty::Small))
}

fn lateral(dice: &mut Dice, left: From) -> From {
    let alias = dice.alias();
    let inner = dice.alias();
    let small: Vec<&Column> = left.scope.of(Ty::Small);
    let outer = dice.pick(&small).sql.clone();
    let name = table(dice);
    let scope = Scope { columns: columns_of(&inner), outer: left.scope.columns.clone() };
    let ty = any_type(dice);
    let value = expr(dice, &scope, ty, 1);
    let kind = dice.pick(&["CROSS JOIN", "LEFT JOIN"]);
    let on = if kind.starts_with("LEFT") { " ON true" } else { "" };
    let limit = dice.between(1, 3);
    let sql = format!(
        "{} {kind} LATERAL (SELECT {inner}.id AS c1, {value} AS c2 FROM {name} {inner} WHERE {inner}.k = {outer} \
         ORDER BY {inner}.id LIMIT {limit}) {alias}{on}",
        left.sql
    );
    let keys = left.keys.map(|keys| [keys, vec![format!("{alias}.c1")]].concat());
    let mut scope = left.scope;
    scope.columns.push(Column { sql: format!("{alias}.c1"), ty: Ty::Small });
    scope.columns.push(Column { sql: format!("{alias}.c2"), ty });
    From { sql, scope, keys }
}

fn filter(dice: &mut Dice, scope: &Scope) -> String {
    if dice.chance(65) { format!(" WHERE {}", boolean(dice, scope, DEPTH)) } else { String::new() }
}

fn select_list(outputs: &[String]) -> String {
    outputs.iter().enumerate().map(|(at, sql)| format!("{sql} AS c{}", at + 1)).collect::<Vec<_>>().join(", ")
}

fn plain(dice: &mut Dice, depth: u32, outer: &[Column]) -> Select {
    let from = from(dice, depth, outer);
    let mut types = Vec::new();
    let mut outputs = Vec::new();
    for _ in 0..dice.between(1, 5) {
        let (sql, ty) = if depth > 0 && dice.chance(8) {
            scalar_subquery(dice, &from.scope)
        } else if depth > 0 && dice.chance(8) {
            (subquery_condition(dice, &from.scope), Ty::Bool)
        } else {
            let ty = any_type(dice);
            (expr(dice, &from.scope, ty, DEPTH), ty)
        };
        types.push(ty);
        outputs.push(sql);
    }
    let filter = filter(dice, &from.scope);
    Select { sql: format!("SELECT {} FROM {}{filter}", select_list(&outputs), from.sql), types, keys: from.keys }
}

/// An aggregate call. Its arguments never come from an outer level alone: it would belong to that level.
fn aggregate(dice: &mut Dice, scope: &Scope, keys: Option<&[String]>) -> (String, Ty) {
    let own = Scope { columns: scope.columns.clone(), outer: vec![] };
    let small = |dice: &mut Dice| expr(dice, &own, Ty::Small, 2);
    let (call, ty) = match dice.below(20) {
        0 | 1 => ("count(*)".to_string(), Ty::Int8),
        2 => {
            let ty = any_type(dice);
            (format!("count({})", leaf(dice, &own, ty)), Ty::Int8)
        }
        3 => {
            let ty = *dice.pick(&[&Ty::Small, &Ty::Text, &Ty::Fixed, &Ty::Date, &Ty::Int8]);
            (format!("count(DISTINCT {})", expr(dice, &own, ty, 1)), Ty::Int8)
        }
        4 | 5 => (format!("sum({})", small(dice)), Ty::Int8),
        6 => (format!("sum({})", expr(dice, &own, Ty::Numeric, 2)), Ty::Numeric),
        7 => (format!("sum({})", leaf(dice, &own, Ty::Int8)), Ty::Numeric),
        8 => (format!("avg({})", small(dice)), Ty::Numeric),
        9 => (format!("avg({})", leaf(dice, &own, Ty::Fixed)), Ty::Numeric),
        10 | 11 => {
            let ty = *dice.pick(&[
                &Ty::Small,
                &Ty::Int4,
                &Ty::Int8,
                &Ty::Float,
                &Ty::Text,
                &Ty::Date,
                &Ty::Stamp,
                &Ty::EdgeDate,
                &Ty::EdgeStamp,
                &Ty::StampTz,
                &Ty::Time,
                &Ty::Char,
                &Ty::Enum,
            ]);
            (format!("{}({})", dice.pick(&["min", "max"]), expr(dice, &own, ty, 1)), ty)
        }
        12 => {
            let columns = own.of(Ty::Fixed);
            let column = if columns.is_empty() { "1.5".into() } else { dice.pick(&columns).sql.clone() };
            (format!("{}({column})", dice.pick(&["min", "max"])), Ty::Fixed)
        }
        13 => (format!("{}({})", dice.pick(&["bool_and", "bool_or", "every"]), boolean(dice, &own, 1)), Ty::Bool),
        14 => (format!("sum(DISTINCT {})", small(dice)), Ty::Int8),
        15 => (format!("{}({})", dice.pick(&["stddev", "variance", "var_pop", "stddev_samp"]), small(dice)), Ty::Numeric),
        16 => match keys {
            Some(keys) => (format!("string_agg({}, ',' ORDER BY {})", leaf(dice, &own, Ty::Text), keys.join(", ")), Ty::Text),
            None => ("count(*)".into(), Ty::Int8),
        },
        17 => match keys {
            Some(keys) => (format!("array_agg({} ORDER BY {})", leaf(dice, &own, Ty::Small), keys.join(", ")), Ty::Array),
            None => ("count(*)".into(), Ty::Int8),
        },
        18 => (format!("{}({})", dice.pick(&["sum", "avg", "min", "max"]), leaf(dice, &own, Ty::Interval)), Ty::Interval),
        _ => (format!("percentile_disc(0.5) WITHIN GROUP (ORDER BY {})", small(dice)), Ty::Small),
    };
    if !call.starts_with("percentile") && dice.chance(15) {
        return (format!("{call} FILTER (WHERE {})", boolean(dice, &own, 1)), ty);
    }
    (call, ty)
}

/// A grouping key: an expression whose equal values look equal. Numeric ones are bare columns of a declared scale.
fn group_key(dice: &mut Dice, scope: &Scope) -> (String, Ty) {
    if dice.chance(12) {
        let columns: Vec<&Column> = scope.of(Ty::Fixed).into_iter().filter(|column| column.sql.ends_with(".p")).collect();
        if !columns.is_empty() {
            return (dice.pick(&columns).sql.clone(), Ty::Fixed);
        }
    }
    let ty = *dice.pick(&[
        &Ty::Small,
        &Ty::Small,
        &Ty::Text,
        &Ty::Text,
        &Ty::Bool,
        &Ty::Date,
        &Ty::Char,
        &Ty::Int8,
        &Ty::Float,
        &Ty::EdgeDate,
        &Ty::Uuid,
        &Ty::Stamp,
        &Ty::Enum,
    ]);
    let own = Scope { columns: scope.columns.clone(), outer: vec![] };
    let depth = if dice.chance(60) { 0 } else { 2 };
    (format!("({})", expr(dice, &own, ty, depth)), ty)
}

fn grouped(dice: &mut Dice, depth: u32, outer: &[Column]) -> Select {
    let from = from(dice, depth, outer);
    let mut outputs = Vec::new();
    let mut types = Vec::new();
    let groups = dice.between(0, 3) as usize;
    for _ in 0..groups {
        let (sql, ty) = group_key(dice, &from.scope);
        outputs.push(sql);
        types.push(ty);
    }
    let keys = from.keys.as_deref();
    for _ in 0..dice.between(1, 4) {
        let (sql, ty) = aggregate(dice, &from.scope, keys);
        outputs.push(sql);
        types.push(ty);
    }
    let mut sql = format!("SELECT {} FROM {}{}", select_list(&outputs), from.sql, filter(dice, &from.scope));
    let positions: Vec<String> = (1..=groups).map(|n| n.to_string()).collect();
    if groups > 0 {
        sql += &format!(" GROUP BY {}", positions.join(", "));
    }
    if dice.chance(20) {
        sql += &format!(" HAVING count(*) {} {}", dice.pick(&[">", "<=", "<>"]), dice.between(0, 6));
    }
    // Without groups there is one row at the most, and every order of it is total.
    let keys = if groups > 0 { Some(positions) } else { Some(vec!["1".into()]) };
    Select { sql, types, keys }
}

fn grouping_sets(dice: &mut Dice) -> Select {
    let from = from(dice, 1, &[]);
    let mut columns = Vec::new();
    for ty in [Ty::Small, Ty::Text, Ty::Bool, Ty::Date] {
        let found = from.scope.of(ty);
        if let Some(column) = (!found.is_empty()).then(|| dice.pick(&found)) {
            columns.push((*column).clone());
        }
    }
    if columns.len() < 2 {
        return grouped(dice, 1, &[]);
    }
    columns.truncate(if dice.chance(50) { 2 } else { 3 });
    let names: Vec<&str> = columns.iter().map(|column| column.sql.as_str()).collect();
    let list = names.join(", ");
    let first = names.first().copied().unwrap_or_default();
    let clause = match dice.below(4) {
        0 => format!("ROLLUP ({list})"),
        1 => format!("CUBE ({list})"),
        2 => format!("GROUPING SETS (({list}), ({first}), ())"),
        _ => format!("{first}, ROLLUP ({})", names.get(1..).unwrap_or(&[]).join(", ")),
    };
    let mut outputs: Vec<String> = names.iter().map(|name| name.to_string()).collect();
    let mut types: Vec<Ty> = columns.iter().map(|column| column.ty).collect();
    outputs.push(format!("grouping({list})"));
    types.push(Ty::Small);
    let positions = (1..=outputs.len()).map(|n| n.to_string()).collect();
    for _ in 0..dice.between(1, 3) {
        let (sql, ty) = aggregate(dice, &from.scope, from.keys.as_deref());
        outputs.push(sql);
        types.push(ty);
    }
    let filter = filter(dice, &from.scope);
    let sql = format!("SELECT {} FROM {}{filter} GROUP BY {clause}", select_list(&outputs), from.sql);
    Select { sql, types, keys: Some(positions) }
}

fn windowed(dice: &mut Dice) -> Select {
    let from = from(dice, 1, &[]);
    let Some(keys) = from.keys.clone() else { return plain(dice, 1, &[]) };
    let mut outputs = keys.clone();
    let mut types = vec![Ty::Small; keys.len()];
    for _ in 0..dice.between(1, 3) {
        let (sql, ty) = window(dice, &from.scope, &keys.join(", "));
        outputs.push(sql);
        types.push(ty);
    }
    let filter = filter(dice, &from.scope);
    Select { sql: format!("SELECT {} FROM {}{filter}", select_list(&outputs), from.sql), types, keys: Some(keys) }
}

fn distinct(dice: &mut Dice) -> Select {
    let from = from(dice, 1, &[]);
    let mut outputs = Vec::new();
    let mut types = Vec::new();
    for _ in 0..dice.between(1, 3) {
        let (sql, ty) = group_key(dice, &from.scope);
        outputs.push(sql);
        types.push(ty);
    }
    let filter = filter(dice, &from.scope);
    let sql = format!("SELECT DISTINCT {} FROM {}{filter}", select_list(&outputs), from.sql);
    let keys = (1..=outputs.len()).map(|n| n.to_string()).collect();
    Select { sql, types, keys: Some(keys) }
}

fn distinct_on(dice: &mut Dice) -> Select {
    let from = from(dice, 1, &[]);
    let Some(keys) = from.keys.clone() else { return distinct(dice) };
    let ty = *dice.pick(&[&Ty::Small, &Ty::Text, &Ty::Date]);
    let columns = from.scope.of(ty);
    if columns.is_empty() {
        return distinct(dice);
    }
    let on = dice.pick(&columns).sql.clone();
    let value = any_type(dice);
    let value_sql = expr(dice, &from.scope, value, 2);
    let filter = filter(dice, &from.scope);
    let order = keys.join(", ");
    let desc = dice.pick(&["", " DESC"]);
    let sql = format!("SELECT * FROM (SELECT DISTINCT ON ({on}) {on} AS c1, {value_sql} AS c2 FROM {}{filter} ORDER BY {on}{desc}, {order}) y", from.sql);
    Select { sql, types: vec![ty, value], keys: Some(vec!["c1".into()]) }
}

fn set_operation(dice: &mut Dice) -> Select {
    let operator = *dice.pick(&[&"UNION", &"UNION ALL", &"UNION ALL", &"INTERSECT", &"EXCEPT", &"EXCEPT ALL", &"INTERSECT ALL"]);
    let mut types = Vec::new();
    while types.len() < dice.between(1, 3) as usize {
        let ty = any_type(dice);
        if ty.one_form() || operator == "UNION ALL" {
            types.push(ty);
        }
    }
    let sides = dice.between(2, 3);
    let parts: Vec<String> = (0..sides).map(|_| side(dice, &types)).collect();
    let sql = format!("SELECT * FROM ({}) y", parts.join(&format!(" {operator} ")));
    Select { sql, types, keys: None }
}

fn side(dice: &mut Dice, types: &[Ty]) -> String {
    let from = from(dice, 1, &[]);
    // The cast gives both sides one type: int and real columns stand for several.
    let outputs: Vec<String> = types.iter().map(|ty| format!("({})::{}", expr(dice, &from.scope, *ty, 2), sql_type(*ty))).collect();
    format!("SELECT {} FROM {}{}", select_list(&outputs), from.sql, filter(dice, &from.scope))
}

fn with_clause(dice: &mut Dice) -> (String, Select) {
    let inner = if dice.chance(50) { grouped(dice, 1, &[]) } else { plain(dice, 1, &[]) };
    let kind = dice.pick(&["AS", "AS", "AS MATERIALIZED", "AS NOT MATERIALIZED"]);
    let (a, b) = (dice.alias(), dice.alias());
    let columns = |alias: &str| -> Vec<Column> {
        let named = inner.types.iter().enumerate();
        named.map(|(at, ty)| Column { sql: format!("{alias}.c{}", at + 1), ty: *ty }).collect()
    };
    let clause = format!("WITH w {kind} ({}) ", inner.sql);
    let mut scope = Scope { columns: columns(&a), outer: vec![] };
    let mut source = format!("w {a}");
    if dice.chance(50) {
        let other = dice.pick(&["low", "mid"]);
        let right = Scope { columns: columns_of(&b), outer: vec![] };
        if let Some(equal) = equality(dice, &scope, &right) {
            source = format!("{other} {b} LEFT JOIN w {a} ON {equal}");
            scope.columns.extend(right.columns);
        }
    }
    let filter = filter(dice, &scope);
    let mut outputs = Vec::new();
    let mut types = Vec::new();
    for _ in 0..dice.between(1, 3) {
        let (sql, ty) = if dice.chance(50) { group_key(dice, &scope) } else { aggregate(dice, &scope, None) };
        outputs.push((sql, ty));
    }
    // Keys first, then aggregates: the positions of GROUP BY.
    outputs.sort_by_key(|(sql, _)| !sql.starts_with('(') && !is_bare_column(sql));
    let groups = outputs.iter().filter(|(sql, _)| sql.starts_with('(') || is_bare_column(sql)).count();
    types.extend(outputs.iter().map(|(_, ty)| *ty));
    let list: Vec<String> = outputs.into_iter().map(|(sql, _)| sql).collect();
    let positions: Vec<String> = (1..=groups).map(|n| n.to_string()).collect();
    let group = if groups > 0 { format!(" GROUP BY {}", positions.join(", ")) } else { String::new() };
    let sql = format!("SELECT {} FROM {source}{filter}{group}", select_list(&list));
    let keys = if groups > 0 { positions } else { vec!["1".into()] };
    (clause, Select { sql, types, keys: Some(keys) })
}

fn is_bare_column(sql: &str) -> bool {
    sql.chars().all(|c| c.is_ascii_alphanumeric() || c == '.')
}

/// A subquery that yields one value, usually correlated.
fn scalar_subquery(dice: &mut Dice, scope: &Scope) -> (String, Ty) {
    let alias = dice.alias();
    let name = table(dice);
    let inner = Scope { columns: columns_of(&alias), outer: scope.columns.clone() };
    let (call, ty) = aggregate(dice, &inner, Some(&[format!("{alias}.id")]));
    let condition = correlation(dice, &inner, &alias);
    (format!("(SELECT {call} FROM {name} {alias} WHERE {condition})"), ty)
}

fn correlation(dice: &mut Dice, inner: &Scope, alias: &str) -> String {
    let outer: Vec<&Column> = inner.outer.iter().filter(|column| column.ty == Ty::Small).collect();
    let link = if outer.is_empty() || dice.chance(15) {
        "true".into()
    } else {
        let column = dice.pick(&["k", "k", "id", "m"]);
        format!("{alias}.{column} {} {}", dice.pick(&["=", "=", "=", "<"]), dice.pick(&outer).sql)
    };
    let own = Scope { columns: inner.columns.clone(), outer: vec![] };
    if dice.chance(50) { format!("{link} AND {}", boolean(dice, &own, 1)) } else { link }
}

/// EXISTS, IN, or a comparison with a subquery.
pub fn subquery_condition(dice: &mut Dice, scope: &Scope) -> String {
    let alias = dice.alias();
    let name = table(dice);
    let inner = Scope { columns: columns_of(&alias), outer: scope.columns.clone() };
    let not = if dice.chance(35) { "NOT " } else { "" };
    match dice.below(5) {
        0 | 1 => format!("{not}EXISTS (SELECT 1 FROM {name} {alias} WHERE {})", correlation(dice, &inner, &alias)),
        2 => {
            let column = dice.pick(&["k", "id", "m"]);
            let filter = if dice.chance(60) { format!(" WHERE {}", correlation(dice, &inner, &alias)) } else { String::new() };
            format!("{} {not}IN (SELECT {alias}.{column} FROM {name} {alias}{filter})", leaf(dice, scope, Ty::Small))
        }
        3 => {
            let (operator, which) = (dice.pick(&["=", "<>", "<", ">="]), dice.pick(&["ANY", "ALL"]));
            let own = Scope { columns: inner.columns.clone(), outer: vec![] };
            let filter = boolean(dice, &own, 1);
            format!("{} {operator} {which} (SELECT {alias}.k FROM {name} {alias} WHERE {filter})", leaf(dice, scope, Ty::Small))
        }
        _ => {
            let condition = correlation(dice, &inner, &alias);
            let call = dice.pick(&["max", "min", "count"]);
            format!("{} > (SELECT {call}({alias}.m) FROM {name} {alias} WHERE {condition})", leaf(dice, scope, Ty::Small))
        }
    }
}

/// A query that may end in an error, of a shape in which every row is looked at whatever the plan.
fn risky_query(dice: &mut Dice) -> Query {
    let alias = dice.alias();
    let name = dice.pick(&["big", "mid", "low"]);
    let scope = Scope { columns: columns_of(&alias), outer: vec![] };
    let value = risky(dice, &scope);
    let sql = if dice.chance(60) {
        format!("SELECT {alias}.id AS c1, {value} AS c2 FROM {name} {alias}")
    } else {
        format!("SELECT count({value}) AS c1 FROM {name} {alias}")
    };
    Query { sql, ordered: false, risky: true }
}
