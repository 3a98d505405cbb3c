//! About how many rows a part of a plan has: enough to tell which side of a join is the small one.

use super::Tables;
use crate::meaning::{self, Cmp, Meaning};
use weir_plan::ir::{Expr, JoinKind, Rel, Scalar};

/// Shares of the rows that conditions leave, as Postgres assumes of columns that it knows nothing of: one equality, and any other condition.
const EQUAL: f64 = 0.005;
const OTHER: f64 = 0.33;
/// Groups there are for a row.
const GROUPS: f64 = 0.1;

/// `None` if nothing is known of some table.
pub fn rows(rel: &Rel, tables: Tables) -> Option<u64> {
    let n = of(rel, tables)?;
    // Bounded, so that the conversion is exact enough.
    Some(n.clamp(1.0, 1e15) as u64)
}

fn of(rel: &Rel, tables: Tables) -> Option<f64> {
    Some(match rel {
        Rel::Scan(scan) => tables(scan)?.rows?,
        Rel::Filter { input, predicate } => of(input, tables)? * share(predicate),
        Rel::Project { input, .. } | Rel::Sort { input, .. } | Rel::Window { input, .. } => of(input, tables)?,
        Rel::Distinct { input } | Rel::DistinctOn { input, .. } => of(input, tables)? * OTHER,
        Rel::Limit { input, limit, .. } => match limit {
            Some(Expr::Const { value: Scalar::Int8(n), .. }) => of(input, tables)?.min(*n as f64),
            _ => of(input, tables)?,
        },
        Rel::Join(join) => {
            let (left, right) = (of(&join.left, tables)?, of(&join.right, tables)?);
            match (join.kind, &join.on) {
                (JoinKind::Semi | JoinKind::Anti, _) => left * 0.5,
                (_, Some(_)) => left.max(right),
                (_, None) => left * right,
            }
        }
        Rel::Aggregate(a) if a.groups.is_empty() => 1.0,
        Rel::Aggregate(a) => of(&a.input, tables)? * GROUPS,
        Rel::SetOp(op) => of(&op.left, tables)? + of(&op.right, tables)?,
        _ => return None,
    })
}

fn share(predicate: &Expr) -> f64 {
    match predicate {
        Expr::And(all) => all.iter().map(share).product(),
        Expr::Or(all) => all.iter().map(share).sum::<f64>().min(1.0),
        Expr::InList { any: true, list, .. } => (EQUAL * list.len() as f64).min(1.0),
        Expr::Call { func, args, .. } => match (meaning::scalar(*func), args.as_slice()) {
            // Between columns of two tables of a list in FROM it is a join.
            (Some(Meaning::Compare(Cmp::Eq, _)), [Expr::Column { .. }, Expr::Column { .. }]) => 1.0,
            (Some(Meaning::Compare(Cmp::Eq, _)), _) => EQUAL,
            _ => OTHER,
        },
        _ => OTHER,
    }
}
