//! Window functions, each with its partition, order and frame.
//!
//! Invariant: a function that sees the order of ties has a total order; others may stop between peers.

use super::Dice;
use super::expr::{Scope, Ty, boolean, expr, leaf};

/// A frame that ends between peers, perhaps without some of its rows, and an aggregate that does not see their order.
fn peers(dice: &mut Dice, scope: &Scope, partition: &str, keys: &str) -> (String, Ty) {
    let ty = *dice.pick(&[&Ty::Small, &Ty::Small, &Ty::Fixed, &Ty::Float, &Ty::Int8, &Ty::Date, &Ty::Stamp, &Ty::StampTz, &Ty::Interval, &Ty::Text]);
    let depth = u32::from(dice.chance(30));
    let key = expr(dice, scope, ty, depth);
    let (near, far) = match ty {
        Ty::Small | Ty::Int8 => ("1", "7"),
        Ty::Fixed => ("0.25", "250"),
        Ty::Float => ("0.5", "1e300"),
        Ty::Date | Ty::StampTz => ("interval '1 day 02:00'", "interval '30 years'"),
        Ty::Stamp => ("interval '90 minutes'", "interval '1 year 1 month'"),
        _ => ("interval '1 day'", "interval '2 months'"),
    };
    let by_value = ty != Ty::Text && dice.chance(60);
    let (units, near, far) = if by_value { ("RANGE", near, far) } else { ("GROUPS", "1", "3") };
    let bounds = dice.pick(&[
        "NEAR PRECEDING AND CURRENT ROW",
        "NEAR PRECEDING AND NEAR FOLLOWING",
        "FAR PRECEDING AND NEAR PRECEDING",
        "NEAR FOLLOWING AND FAR FOLLOWING",
        "UNBOUNDED PRECEDING AND NEAR FOLLOWING",
        "CURRENT ROW AND FAR FOLLOWING",
        "FAR PRECEDING AND UNBOUNDED FOLLOWING",
    ]);
    let bounds = bounds.replace("NEAR", near).replace("FAR", far);
    let exclude = dice.pick(&["", "", " EXCLUDE CURRENT ROW", " EXCLUDE GROUP", " EXCLUDE TIES"]);
    let direction = dice.pick(&["", "", " DESC", " NULLS FIRST", " DESC NULLS LAST"]);
    let window = if dice.chance(20) {
        format!("({partition}ORDER BY {key}{direction}, {keys} ROWS BETWEEN 3 PRECEDING AND 1 FOLLOWING{exclude})")
    } else {
        format!("({partition}ORDER BY {key}{direction} {units} BETWEEN {bounds}{exclude})")
    };
    let m = leaf(dice, scope, Ty::Small);
    let (call, ty) = match dice.below(9) {
        0 | 1 => (format!("sum({m})"), Ty::Int8),
        2 => ("count(*)".into(), Ty::Int8),
        3 => (format!("count({})", leaf(dice, scope, Ty::Text)), Ty::Int8),
        4 => (format!("{}({m})", dice.pick(&["min", "max"])), Ty::Small),
        5 => (format!("{}({})", dice.pick(&["min", "max"]), leaf(dice, scope, Ty::Date)), Ty::Date),
        6 => (format!("avg({})", leaf(dice, scope, Ty::Fixed)), Ty::Numeric),
        7 => (format!("{}({})", dice.pick(&["bool_and", "bool_or"]), leaf(dice, scope, Ty::Bool)), Ty::Bool),
        _ => (format!("sum({})", leaf(dice, scope, Ty::Interval)), Ty::Interval),
    };
    let filter = if dice.chance(15) { format!(" FILTER (WHERE {})", boolean(dice, scope, 0)) } else { String::new() };
    (format!("{call}{filter} OVER {window}"), ty)
}

pub fn window(dice: &mut Dice, scope: &Scope, keys: &str) -> (String, Ty) {
    let partition = if dice.chance(70) {
        let ty = *dice.pick(&[&Ty::Small, &Ty::Text, &Ty::Bool]);
        format!("PARTITION BY {} ", leaf(dice, scope, ty))
    } else {
        String::new()
    };
    if dice.chance(30) {
        return peers(dice, scope, &partition, keys);
    }
    let small = expr(dice, scope, Ty::Small, 1);
    let order = if dice.chance(40) { format!("{small} {}, {keys}", dice.pick(&["", "DESC", "NULLS FIRST"])) } else { keys.to_string() };
    let frame = dice.pick(&[
        "",
        "",
        " ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW",
        " ROWS BETWEEN 2 PRECEDING AND 1 FOLLOWING",
        " ROWS BETWEEN UNBOUNDED PRECEDING AND UNBOUNDED FOLLOWING",
        " ROWS 3 PRECEDING",
        " ROWS BETWEEN 1 FOLLOWING AND 3 FOLLOWING",
        " ROWS BETWEEN CURRENT ROW AND UNBOUNDED FOLLOWING",
    ]);
    let total = format!("({partition}ORDER BY {order})");
    let framed = format!("({partition}ORDER BY {order}{frame})");
    let (text, m) = (leaf(dice, scope, Ty::Text), leaf(dice, scope, Ty::Small));
    match dice.below(16) {
        0 | 1 => (format!("row_number() OVER {total}"), Ty::Int8),
        2 => (format!("rank() OVER ({partition}ORDER BY {small})"), Ty::Int8),
        3 => (format!("dense_rank() OVER ({partition}ORDER BY {text} DESC)"), Ty::Int8),
        4 => (format!("percent_rank() OVER ({partition}ORDER BY {small})"), Ty::Float),
        5 => (format!("cume_dist() OVER ({partition}ORDER BY {small})"), Ty::Float),
        6 => (format!("ntile({}) OVER {total}", dice.between(1, 5)), Ty::Small),
        7 => (format!("lag({text}::text) OVER {total}"), Ty::Text),
        8 => (format!("lead({m}, {}, -1) OVER {total}", dice.between(0, 3)), Ty::Small),
        9 => (format!("first_value({m}) OVER {framed}"), Ty::Small),
        10 => (format!("last_value({text}::text) OVER {framed}"), Ty::Text),
        11 => (format!("nth_value({m}, 2) OVER {framed}"), Ty::Small),
        12 => (format!("sum({m}) OVER {framed}"), Ty::Int8),
        13 => (format!("count({text}) OVER {framed}"), Ty::Int8),
        14 => (format!("avg({}) OVER {framed}", leaf(dice, scope, Ty::Fixed)), Ty::Numeric),
        _ => (format!("{}({m}) OVER {framed}", dice.pick(&["min", "max"])), Ty::Small),
    }
}
