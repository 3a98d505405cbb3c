//! Expressions by type: each function draws one of the forms that yield its type.
//!
//! Invariant: outside `risky`, nothing here raises an error on any row of the tables, so that the answer does not
//! depend on which rows are looked at first.

use super::{Dice, select};

/// The types of expressions. `Small` is an int4 far from overflow; `Fixed` is numeric whose scale is declared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ty {
    Small,
    Int2,
    Int4,
    Int8,
    Fixed,
    Numeric,
    Float,
    Bool,
    Text,
    Char,
    Date,
    Time,
    Stamp,
    StampTz,
    Interval,
    Uuid,
    Bytes,
    /// Dates and timestamps with infinities and the ends of their ranges: compared, not computed with.
    EdgeDate,
    EdgeStamp,
    /// Labels whose order is not that of the alphabet.
    Enum,
    /// The result of array_agg.
    Array,
}

impl Ty {
    /// Equal values look equal, whatever columns they come from: such a type can be a key of grouping, DISTINCT and a total order.
    pub fn one_form(self) -> bool {
        !matches!(self, Ty::Fixed | Ty::Numeric | Ty::Interval)
    }
}

#[derive(Clone, Debug)]
pub struct Column {
    pub sql: String,
    pub ty: Ty,
}

/// What an expression may name: the columns of this level and those of the levels around it.
#[derive(Clone, Debug, Default)]
pub struct Scope {
    pub columns: Vec<Column>,
    pub outer: Vec<Column>,
}

impl Scope {
    pub fn of(&self, ty: Ty) -> Vec<&Column> {
        self.columns.iter().filter(|column| column.ty == ty).collect()
    }
}

/// A column of the type, or a literal where there is none.
pub fn leaf(dice: &mut Dice, scope: &Scope, ty: Ty) -> String {
    let own = scope.of(ty);
    if !own.is_empty() && dice.chance(82) {
        return dice.pick(&own).sql.clone();
    }
    let outer: Vec<&Column> = scope.outer.iter().filter(|column| column.ty == ty).collect();
    if !outer.is_empty() && dice.chance(50) {
        return dice.pick(&outer).sql.clone();
    }
    literal(dice, ty)
}

fn literal(dice: &mut Dice, ty: Ty) -> String {
    if dice.chance(6) {
        return format!("NULL::{}", sql_type(ty));
    }
    match ty {
        Ty::Small => dice.between(-9, 40).to_string(),
        Ty::Int2 => format!("{}::smallint", dice.pick(&["0", "1", "'-32768'", "32767"])),
        Ty::Int4 => dice.pick(&["0", "1", "(-2147483648)", "2147483647", "42"]).into(),
        Ty::Int8 => format!("{}::bigint", dice.pick(&["0", "1", "'-9223372036854775808'", "9223372036854775807"])),
        Ty::Fixed | Ty::Numeric => dice.pick(&["0.00", "1.50", "(-2.75)", "100.00", "0.1"]).into(),
        Ty::Float => format!("{}::float8", dice.pick(&["0", "1.5", "'NaN'", "'-Infinity'", "1e10"])),
        Ty::Bool => dice.pick(&["true", "false"]).into(),
        Ty::Text => dice.pick(&["''", "'a'", "'abc'", "'Ärger'", "'%'", "'10'", "'foo.bar'"]).into(),
        Ty::Char => format!("{}::char(6)", dice.pick(&["''", "'ab'", "'ab  '", "'zzzzzz'"])),
        Ty::Date => format!("date {}", dice.pick(&["'2000-02-29'", "'2024-03-31'", "'1970-01-01'"])),
        Ty::Stamp => format!("timestamp {}", dice.pick(&["'2000-02-29 12:00'", "'1999-12-31 23:59:59.5'"])),
        Ty::StampTz => format!("timestamptz {}", dice.pick(&["'2000-02-29 12:00+00'", "'2024-03-31 01:30+02'"])),
        Ty::Interval => format!("interval {}", dice.pick(&["'1 day'", "'1 month'", "'01:30:00'", "'-2 days'"])),
        Ty::Uuid => "'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11'::uuid".into(),
        Ty::Time => format!("time {}", dice.pick(&["'00:00'", "'12:34:56.789'"])),
        Ty::EdgeDate => format!("date {}", dice.pick(&["'infinity'", "'-infinity'", "'0001-01-01 BC'"])),
        Ty::EdgeStamp => format!("timestamp {}", dice.pick(&["'infinity'", "'-infinity'", "'0044-03-15 BC'"])),
        Ty::Enum => format!("{}::mood", dice.pick(&["'sad'", "'ok'", "'glad'"])),
        Ty::Array => "ARRAY[1, NULL, 3]".into(),
        Ty::Bytes => "'\\xdeadbeef'::bytea".into(),
    }
}

pub fn sql_type(ty: Ty) -> &'static str {
    match ty {
        Ty::Small | Ty::Int4 => "int",
        Ty::Int2 => "smallint",
        Ty::Int8 => "bigint",
        Ty::Fixed | Ty::Numeric => "numeric",
        Ty::Float => "float8",
        Ty::Bool => "bool",
        Ty::Text => "text",
        Ty::Char => "char(6)",
        Ty::Date => "date",
        Ty::Stamp => "timestamp",
        Ty::StampTz => "timestamptz",
        Ty::Interval => "interval",
        Ty::Uuid => "uuid",
        Ty::Bytes => "bytea",
        Ty::Time => "time",
        Ty::EdgeDate => "date",
        Ty::EdgeStamp => "timestamp",
        Ty::Enum => "mood",
        Ty::Array => "int[]",
    }
}

pub fn any_type(dice: &mut Dice) -> Ty {
    *dice.pick(&[
        &Ty::Small,
        &Ty::Small,
        &Ty::Int4,
        &Ty::Int2,
        &Ty::Int8,
        &Ty::Fixed,
        &Ty::Numeric,
        &Ty::Numeric,
        &Ty::Float,
        &Ty::Bool,
        &Ty::Text,
        &Ty::Text,
        &Ty::Text,
        &Ty::Char,
        &Ty::Date,
        &Ty::Stamp,
        &Ty::StampTz,
        &Ty::Interval,
        &Ty::Uuid,
        &Ty::Bytes,
        &Ty::Time,
        &Ty::EdgeDate,
        &Ty::EdgeStamp,
        &Ty::Enum,
    ])
}

/// An expression of the type, `depth` operators deep at the most.
pub fn expr(dice: &mut Dice, scope: &Scope, ty: Ty, depth: u32) -> String {
    if depth == 0 || dice.chance(30) {
        return leaf(dice, scope, ty);
    }
    if dice.chance(22) {
        return conditional(dice, scope, ty, depth);
    }
    match ty {
        Ty::Small => small(dice, scope, depth),
        Ty::Numeric => numeric(dice, scope, depth),
        Ty::Float => float(dice, scope, depth),
        Ty::Bool => boolean(dice, scope, depth),
        Ty::Text => text(dice, scope, depth),
        Ty::Date => date(dice, scope, depth),
        Ty::Stamp => stamp(dice, scope, depth),
        Ty::Interval => interval(dice, scope, depth),
        _ => conditional(dice, scope, ty, depth),
    }
}

/// CASE and its relatives, for any type.
fn conditional(dice: &mut Dice, scope: &Scope, ty: Ty, depth: u32) -> String {
    let arm = |dice: &mut Dice| expr(dice, scope, ty, depth - 1);
    match dice.below(6) {
        0 => format!("coalesce({}, {})", arm(dice), arm(dice)),
        1 => format!("nullif({}, {})", arm(dice), arm(dice)),
        2 if ty.one_form() && ty != Ty::Enum => format!("greatest({}, {})", arm(dice), arm(dice)),
        3 if ty.one_form() && ty != Ty::Enum => format!("least({}, {})", arm(dice), arm(dice)),
        4 => {
            let (key, first, second) = (leaf(dice, scope, Ty::Small), arm(dice), arm(dice));
            format!("CASE {key} WHEN 1 THEN {first} WHEN {} THEN {second} END", dice.between(2, 9))
        }
        _ => {
            let (test, yes, no) = (boolean(dice, scope, depth - 1), arm(dice), arm(dice));
            format!("CASE WHEN {test} THEN {yes} ELSE {no} END")
        }
    }
}

fn small(dice: &mut Dice, scope: &Scope, depth: u32) -> String {
    let a = expr(dice, scope, Ty::Small, depth.min(2) - 1);
    let b = leaf(dice, scope, Ty::Small);
    let t = expr(dice, scope, Ty::Text, depth - 1);
    let (date, stamp) = (leaf(dice, scope, Ty::Date), leaf(dice, scope, Ty::Stamp));
    match dice.below(16) {
        0 => format!("({a} + {b})"),
        1 => format!("({a} - {b})"),
        2 => format!("({b} * {})", leaf(dice, scope, Ty::Small)),
        3 => format!("({a} / nullif({b}, 0))"),
        4 => format!("({a} % nullif({b}, 0))"),
        5 => format!("abs({a})"),
        6 => format!("(- {b})"),
        7 => format!("length({t})"),
        8 => format!("strpos({t}, {})", leaf(dice, scope, Ty::Text)),
        9 => format!("extract({} from {date})::int", dice.pick(&["year", "month", "day", "dow", "doy", "week", "isodow", "quarter"])),
        10 => format!("extract({} from {stamp})::int", dice.pick(&["hour", "minute", "year", "isoyear"])),
        11 => format!("({date} - {})", leaf(dice, scope, Ty::Date)),
        12 => format!("({b} # {})", leaf(dice, scope, Ty::Small)),
        13 => format!("({b} & {})", leaf(dice, scope, Ty::Small)),
        14 => format!("mod({a}, nullif({b}, 0))"),
        _ => format!("octet_length({t})"),
    }
}

fn numeric(dice: &mut Dice, scope: &Scope, depth: u32) -> String {
    let fixed = |dice: &mut Dice| leaf(dice, scope, Ty::Fixed);
    let a = if dice.chance(50) { expr(dice, scope, Ty::Numeric, depth - 1) } else { fixed(dice) };
    let b = fixed(dice);
    match dice.below(15) {
        0 => format!("({a} + {b})"),
        1 => format!("({a} - {b})"),
        2 => format!("({} * {b})", fixed(dice)),
        3 => format!("({b} * {})", leaf(dice, scope, Ty::Small)),
        4 => format!("({} / nullif({b}, 0))", fixed(dice)),
        5 => format!("({b} / nullif({}, 0))", leaf(dice, scope, Ty::Small)),
        6 => format!("round({a}, {})", dice.between(0, 4)),
        7 => format!("trunc({a}, {})", dice.between(0, 3)),
        8 => format!("abs({a})"),
        9 => format!("ceil({a})"),
        10 => format!("floor({a})"),
        11 => format!("mod({b}, nullif({}, 0))", fixed(dice)),
        12 => format!("({}::numeric + {b})", leaf(dice, scope, Ty::Int8)),
        13 => format!("{}::numeric({}, {})", leaf(dice, scope, Ty::Small), dice.between(8, 20), dice.between(0, 4)),
        _ => format!("(- {a})"),
    }
}

fn float(dice: &mut Dice, scope: &Scope, depth: u32) -> String {
    let small = expr(dice, scope, Ty::Small, depth - 1);
    match dice.below(5) {
        0 => format!("({small}::float8 * 0.5::float8)"),
        1 => format!("({small}::float8 / 3::float8)"),
        2 => format!("{}::float8", leaf(dice, scope, Ty::Fixed)),
        3 => format!("floor({small}::float8 / 7)"),
        _ => format!("({small}::float8 + 0.25::float8)"),
    }
}

pub fn text(dice: &mut Dice, scope: &Scope, depth: u32) -> String {
    let t = expr(dice, scope, Ty::Text, depth - 1);
    let s = leaf(dice, scope, Ty::Text);
    let n = dice.between(-3, 6);
    let size = dice.between(0, 8);
    match dice.below(27) {
        0 => format!("({t} || {s})"),
        1 => format!("upper({t})"),
        2 => format!("lower({t})"),
        3 => format!("substr({t}, {n}, {size})"),
        4 => format!("left({t}, {n})"),
        5 => format!("right({t}, {n})"),
        6 => format!("replace({t}, {s}, 'R')"),
        7 => format!("trim({t})"),
        8 => format!("ltrim({t}, 'ab ')"),
        9 => format!("rtrim({t}, 'c')"),
        10 => format!("lpad({t}, {size}, 'xy')"),
        11 => format!("rpad({t}, {size})"),
        12 => format!("reverse({t})"),
        13 => format!("concat({t}, {}, {s})", leaf(dice, scope, Ty::Small)),
        14 => format!("md5({t})"),
        15 => format!("({})::text", expr(dice, scope, Ty::Small, depth - 1)),
        16 => format!("({})::text", leaf(dice, scope, Ty::Fixed)),
        17 => format!("split_part({t}, '.', {})", dice.pick(&["1", "2", "-1"])),
        18 => format!("initcap({t})"),
        19 => format!("repeat({s}, {})", dice.between(0, 3)),
        20 => format!("translate({t}, 'abc', 'xy')"),
        21 => format!("({})::text", leaf(dice, scope, Ty::Int8)),
        22 => format!("to_char({}, 'YYYY-MM-DD')", leaf(dice, scope, Ty::Date)),
        23 => format!("concat_ws('-', {t}, {s})"),
        24 => format!("({})::text", leaf(dice, scope, Ty::Char)),
        25 => format!("substring({t} from {} for {size})", dice.between(1, 4)),
        _ => format!("({})::text", leaf(dice, scope, Ty::Bool)),
    }
}

fn date(dice: &mut Dice, scope: &Scope, depth: u32) -> String {
    let d = leaf(dice, scope, Ty::Date);
    match dice.below(5) {
        0 => format!("({d} + {})", dice.between(-400, 400)),
        1 => format!("({d} - {})", dice.between(0, 40)),
        2 => format!("{}::date", expr(dice, scope, Ty::Stamp, depth - 1)),
        3 => format!("date_trunc('{}', {d})::date", dice.pick(&["month", "year", "quarter", "week"])),
        _ => format!("({d} + interval '{} months')::date", dice.between(-14, 14)),
    }
}

fn stamp(dice: &mut Dice, scope: &Scope, depth: u32) -> String {
    let ts = expr(dice, scope, Ty::Stamp, depth - 1);
    match dice.below(6) {
        0 => format!("({ts} + interval '{}')", dice.pick(&["1 day", "1 month", "-90 minutes", "1 year 2 days"])),
        1 => format!("date_trunc('{}', {ts})", dice.pick(&["hour", "day", "month", "minute", "week", "year"])),
        2 => format!("{}::timestamp", leaf(dice, scope, Ty::Date)),
        3 => format!("({} AT TIME ZONE 'UTC')", leaf(dice, scope, Ty::StampTz)),
        4 => format!("({ts} - interval '{}')", dice.pick(&["1 day", "1 month", "3 hours"])),
        _ => format!("({} + interval '1 day')", leaf(dice, scope, Ty::Date)),
    }
}

fn interval(dice: &mut Dice, scope: &Scope, depth: u32) -> String {
    let ts = leaf(dice, scope, Ty::Stamp);
    match dice.below(4) {
        0 => format!("({ts} - {})", leaf(dice, scope, Ty::Stamp)),
        1 => format!("({} + interval '1 day')", expr(dice, scope, Ty::Interval, depth - 1)),
        2 => format!("(interval '1 hour' * {})", leaf(dice, scope, Ty::Small)),
        _ => format!("age({ts}, timestamp '2000-01-31')"),
    }
}

/// A condition.
pub fn boolean(dice: &mut Dice, scope: &Scope, depth: u32) -> String {
    let deeper = depth.saturating_sub(1);
    if depth > 0 && dice.chance(35) {
        let (a, b) = (boolean(dice, scope, deeper), boolean(dice, scope, deeper));
        return match dice.below(5) {
            0 | 1 => format!("({a} AND {b})"),
            2 => format!("({a} OR {b})"),
            3 => format!("(NOT {a})"),
            _ => format!("({a}) IS {}TRUE", if dice.chance(50) { "NOT " } else { "" }),
        };
    }
    if depth > 0 && dice.chance(12) {
        return select::subquery_condition(dice, scope);
    }
    match dice.below(12) {
        0..=3 => comparison(dice, scope, deeper),
        4 => format!("{} IS {}NULL", any_leaf(dice, scope), if dice.chance(50) { "NOT " } else { "" }),
        5 => {
            let a = expr(dice, scope, Ty::Small, deeper);
            let null = if dice.chance(15) { ", NULL" } else { "" };
            format!("{a} {}IN ({}, {}, {}{null})", not(dice), dice.between(0, 4), dice.between(5, 9), dice.between(-5, 60))
        }
        6 => {
            let low = dice.between(-10, 10);
            format!("{} {}BETWEEN {low} AND {}", leaf(dice, scope, Ty::Small), not(dice), low + dice.between(0, 40))
        }
        7 => {
            let pattern = dice.pick(&["'a%'", "'%b%'", "'_b%'", "'%'", "'a\\_c'", "'%c'", "''", "'Ä%'"]);
            format!("{} {}{} {pattern}", leaf(dice, scope, Ty::Text), not(dice), dice.pick(&["LIKE", "LIKE", "ILIKE"]))
        }
        8 => {
            let ty = any_type(dice);
            format!("{} IS {}DISTINCT FROM {}", leaf(dice, scope, ty), not(dice), leaf(dice, scope, ty))
        }
        9 => {
            let pattern = dice.pick(&["'^a'", "'b+'", "'[[:alpha:]]+$'", "'a.c'", "'^.?$'", "'[0-9]'"]);
            format!("{} {} {pattern}", leaf(dice, scope, Ty::Text), dice.pick(&["~", "!~", "~*"]))
        }
        10 => format!("{} = ANY (ARRAY[{}, {}, {}])", leaf(dice, scope, Ty::Small), dice.between(0, 3), dice.between(4, 6), dice.between(7, 9)),
        _ => leaf(dice, scope, Ty::Bool),
    }
}

fn not(dice: &mut Dice) -> &'static str {
    if dice.chance(35) { "NOT " } else { "" }
}

fn any_leaf(dice: &mut Dice, scope: &Scope) -> String {
    let ty = any_type(dice);
    leaf(dice, scope, ty)
}

fn comparison(dice: &mut Dice, scope: &Scope, depth: u32) -> String {
    let (left, right) = match dice.below(6) {
        0 => *dice.pick(&[
            &(Ty::Small, Ty::Int8),
            &(Ty::Int2, Ty::Int4),
            &(Ty::Small, Ty::Numeric),
            &(Ty::Fixed, Ty::Int4),
            &(Ty::Float, Ty::Small),
            &(Ty::Date, Ty::Stamp),
            &(Ty::Fixed, Ty::Float),
        ]),
        _ => {
            let ty = any_type(dice);
            (ty, ty)
        }
    };
    let operator = if matches!(left, Ty::Bool) { *dice.pick(&[&"=", &"<>"]) } else { *dice.pick(&[&"=", &"<>", &"<", &"<=", &">", &">="]) };
    format!("(({}) {operator} ({}))", expr(dice, scope, left, depth), leaf(dice, scope, right))
}

/// An expression that may raise an error on some row: overflow, division by zero, a bad cast, a domain.
pub fn risky(dice: &mut Dice, scope: &Scope) -> String {
    let (i4, i8, small) = (leaf(dice, scope, Ty::Int4), leaf(dice, scope, Ty::Int8), leaf(dice, scope, Ty::Small));
    let (float, fixed, text) = (leaf(dice, scope, Ty::Float), leaf(dice, scope, Ty::Fixed), leaf(dice, scope, Ty::Text));
    match dice.below(16) {
        0 => format!("{i4} + {small}"),
        1 => format!("{i4} * {small}"),
        2 => format!("{small} / {}", leaf(dice, scope, Ty::Small)),
        3 => format!("{i8} - {small}"),
        4 => format!("{i8}::int"),
        5 => format!("{i4}::smallint"),
        6 => format!("{text}::int"),
        7 => format!("{fixed} / {small}"),
        8 => format!("{float} * 10"),
        9 => format!("sqrt({small}::float8)"),
        10 => format!("{float}::int"),
        11 => format!("{fixed} % {small}"),
        12 => format!("abs({i4})"),
        13 => format!("ln({fixed})"),
        14 => format!("{i8} * {i8}"),
        _ => format!("{fixed}::numeric(4,1)"),
    }
}
