//! The tables of the generator: few rows, all types, the edges of each, and changes to them between queries.
//!
//! Columns come in two kinds. Plain ones (`k`, `m`, `q`, `d`, `ts` …) hold values on which ordinary functions cannot
//! fail. Edge ones (`e2`, `e4`, `e8`, `ed` …) hold extremes and are compared, sorted and aggregated, not computed with.
//! Invariant: within an unconstrained numeric column every value has one text form.

use super::Dice;

pub struct Table {
    pub name: &'static str,
    pub rows: usize,
}

pub const TABLES: [Table; 5] = [
    Table { name: "big", rows: 240 },
    Table { name: "mid", rows: 60 },
    Table { name: "low", rows: 14 },
    Table { name: "one", rows: 1 },
    Table { name: "nil", rows: 0 },
];

const COLUMNS: &str = "id int PRIMARY KEY, k int, m int NOT NULL, b bool, e2 smallint, e4 int, e8 bigint, \
    p numeric(12,2), q numeric(20,6), nu numeric, f float8, r real, t text, v varchar(12), c char(6), \
    d date, ed date, tm time, ts timestamp, ets timestamp, tz timestamptz, iv interval, u uuid, x bytea, en mood";

const EDGE_2: [&str; 6] = ["0", "1", "-1", "32767", "-32768", "7"];
const EDGE_4: [&str; 7] = ["0", "1", "-1", "2147483647", "-2147483648", "65536", "42"];
const EDGE_8: [&str; 7] = ["0", "1", "-1", "9223372036854775807", "-9223372036854775808", "4294967296", "1000000007"];
const NUMERIC: [&str; 10] = [
    "0",
    "1.5",
    "-1.50001",
    "12345678901234567890.123456789",
    "0.000000000001",
    "-99999999999999999999999",
    "3.14159265358979323846",
    "2.0000",
    "-0.1",
    "1000000",
];
const FLOAT: [&str; 10] = ["0", "1.5", "-1.5", "1e308", "-1e308", "1e-300", "'NaN'", "'Infinity'", "'-Infinity'", "0.1"];
const REAL: [&str; 6] = ["0", "1.25", "-3.5", "'NaN'", "16777216", "0.1"];
const TEXT: [&str; 22] = [
    "''",
    "'a'",
    "'A'",
    "'b'",
    "'abc'",
    "'ABC'",
    "' abc '",
    "'Ärger'",
    "'ß'",
    "'日本語'",
    "'%'",
    "'a_c'",
    "'a\\c'",
    "'it''s'",
    "'foo.bar.baz'",
    "'x,y,z'",
    "'10'",
    "'2'",
    "'aaaaaaaaaaaa'",
    "'\t'",
    "'Zoë'",
    "'e\u{301}'",
];
const SHORT_TEXT: [&str; 9] = ["''", "'a'", "'ab'", "'AB'", "'ab '", "' ab'", "'über'", "'%'", "'zzzzzz'"];
const DATE: [&str; 9] =
    ["'2000-02-29'", "'1999-12-31'", "'2024-03-31'", "'2024-02-29'", "'1970-01-01'", "'1900-01-01'", "'2021-11-07'", "'2023-06-15'", "'1969-12-31'"];
const EDGE_DATE: [&str; 7] = ["'infinity'", "'-infinity'", "'0001-01-01 BC'", "'9999-12-31'", "'0001-01-01'", "'2000-01-01'", "'4713-01-01 BC'"];
const TIME: [&str; 5] = ["'00:00'", "'23:59:59.999999'", "'12:34:56.789'", "'24:00:00'", "'06:00'"];
const STAMP: [&str; 7] = [
    "'2000-02-29 12:34:56.789'",
    "'1999-12-31 23:59:59.999999'",
    "'2024-03-31 02:30:00'",
    "'2024-10-27 01:30:00'",
    "'1970-01-01 00:00:00'",
    "'1969-12-31 23:59:59.5'",
    "'2023-06-15 00:00:01'",
];
const EDGE_STAMP: [&str; 5] = ["'infinity'", "'-infinity'", "'0044-03-15 12:00 BC'", "'9999-12-31 23:59:59.999999'", "'2000-01-01'"];
const INTERVAL: [&str; 8] = ["'1 day'", "'1 month'", "'-1 year 2 days'", "'00:00:00.000001'", "'25:00:00'", "'0'", "'1 mon -1 day 00:00:01'", "'100 years'"];
const UUID: [&str; 3] = ["'00000000-0000-0000-0000-000000000000'", "'ffffffff-ffff-ffff-ffff-ffffffffffff'", "'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11'"];
const BYTES: [&str; 4] = ["''", "'\\x00'", "'\\xdeadbeef'", "'\\x616263'"];

const ENUM: [&str; 3] = ["'sad'", "'ok'", "'glad'"];

fn or_null(dice: &mut Dice, choices: &[&str]) -> String {
    if dice.chance(15) { "NULL".into() } else { dice.pick(choices).to_string() }
}

fn row(dice: &mut Dice, id: i64) -> String {
    let k = if dice.chance(12) { "NULL".into() } else { dice.between(0, 9).to_string() };
    let m = dice.between(-20, 100);
    let b = or_null(dice, &["true", "false"]);
    let cents = dice.between(-100_000, 100_000);
    let p = if dice.chance(10) { "NULL".into() } else { format!("{cents} / 100.0") };
    let q = if dice.chance(10) { "NULL".into() } else { format!("{} / 1000000.0", dice.between(-9_999_999, 9_999_999)) };
    let rest: Vec<String> =
        [&NUMERIC[..], &FLOAT, &REAL, &TEXT, &SHORT_TEXT, &SHORT_TEXT, &DATE, &EDGE_DATE, &TIME, &STAMP, &EDGE_STAMP, &STAMP, &INTERVAL, &UUID, &BYTES, &ENUM]
            .iter()
            .map(|choices| or_null(dice, choices))
            .collect();
    let (e2, e4, e8) = (or_null(dice, &EDGE_2), or_null(dice, &EDGE_4), or_null(dice, &EDGE_8));
    format!("({id}, {k}, {m}, {b}, {e2}, {e4}, {e8}, {p}, {q}, {})", rest.join(", "))
}

fn insert(dice: &mut Dice, table: &str, ids: impl Iterator<Item = i64>) -> String {
    let rows: Vec<String> = ids.map(|id| row(dice, id)).collect();
    // Each row is its own branch, so that a literal's type comes from the column and not from the other rows.
    let values: String = rows.iter().map(|row| format!("INSERT INTO {table} VALUES {row} ON CONFLICT DO NOTHING;\n")).collect();
    format!("BEGIN;\n{values}COMMIT")
}

/// The statements that make the tables and fill them.
pub fn create(dice: &mut Dice) -> Vec<String> {
    // Not in the order of the alphabet, and not in the order in which the labels came.
    let mut statements = vec!["CREATE TYPE mood AS ENUM ('sad', 'glad')".into(), "ALTER TYPE mood ADD VALUE 'ok' BEFORE 'glad'".into()];
    for table in &TABLES {
        statements.push(format!("CREATE TABLE {} ({COLUMNS})", table.name));
        if table.rows > 0 {
            statements.push(insert(dice, table.name, 1..=table.rows as i64));
        }
    }
    statements.push("ANALYZE big, mid, low, one, nil".into());
    statements
}

/// A round of changes: what change capture must follow for the next queries to agree.
pub fn change(dice: &mut Dice) -> Vec<String> {
    let mut statements = Vec::new();
    for _ in 0..dice.between(1, 4) {
        let table = *dice.pick(&[&"big", &"mid", &"low"]);
        let from = dice.between(1, 300);
        statements.push(match dice.below(8) {
            0 | 1 => insert(dice, table, from..from + 12),
            2 => format!("UPDATE {table} SET m = m + 1, t = t || 'u' WHERE id % 7 = {} AND length(t) < 30", dice.below(7)),
            3 => format!("UPDATE {table} SET k = NULL, p = -p, ts = ts + interval '1 hour' WHERE id % 11 = {}", dice.below(11)),
            4 => format!("DELETE FROM {table} WHERE id % 13 = {} AND id > 3", dice.below(13)),
            5 => format!("UPDATE {table} SET id = id + 1000 WHERE id = {from}"),
            6 => format!("BEGIN; DELETE FROM {table} WHERE id < 20; SAVEPOINT s; UPDATE {table} SET m = 0; ROLLBACK TO s; COMMIT"),
            _ => format!("BEGIN; UPDATE {table} SET m = m - 5; DELETE FROM {table}; ROLLBACK"),
        });
    }
    if dice.chance(15) {
        statements.push("TRUNCATE low".into());
        statements.push(insert(dice, "low", 1..=14));
    }
    statements
}
