//! What a plan computes row by row that the engine does more slowly than Postgres, for routing.
//!
//! Postgres's planner counts a logarithm of a numeric like an addition of integers, and so does the routing otherwise.

use pgrx::pg_sys;
use weir_plan::functions;
use weir_plan::ir::{Aggregate, Expr, Rel, Source};
use weir_plan::walk;

/// What is found.
#[derive(Debug, Default, Clone, Copy)]
pub struct Heavy {
    /// The engine's time for calls of such functions, all rows of the tables counted.
    pub nanoseconds: f64,
    /// Pairs of rows that the engine compares for ANY and ALL, where Postgres may stop at the first.
    pub pairs: f64,
}

/// `groups`: as many at most does the standard plan expect of any aggregation.
pub fn heavy(root: &mut Rel, groups: Option<f64>) -> Heavy {
    let mut found = Found { heavy: Heavy::default(), groups };
    found.rel(root);
    found.heavy
}

/// For one call. From EXPLAIN ANALYZE over half a million cached rows, both sides with all cores; a function that is as fast as Postgres's is
/// not here.
fn of_call(func: u32) -> f64 {
    match func {
        // numeric: / div % sqrt width_bucket
        1727 | 1980 => 110.0,
        1730 | 1731 => 500.0,
        2170 => 800.0,
        // numeric: exp ln log power
        1732..=1737 | 1741 | 1481 => 40_000.0,
        1738 | 1739 | 2169 => 20_000.0,
        // md5 encode translate
        2311 | 2321 => 700.0,
        1946 => 1500.0,
        878 => 1000.0,
        // initcap replace concat concat_ws format
        872 | 2087 | 3058 | 3059 => 150.0,
        3539 | 3540 => 300.0,
        // regexp_replace (first match) and substring from a pattern
        2284 | 2073 => 500.0,
        // json and jsonb: -> ->> #> #>>
        3214..=3217 | 3478 | 3940 | 3947..=3951 | 3953 | 3954 => 150.0,
        // jsonb: @> <@ ? ?| ?&
        4046..=4050 => 400.0,
        // jsonb: paths
        4005..=4011 => 800.0,
        _ => 0.0,
    }
}

/// For one value of an aggregate over all rows, which one thread sorts: percentile_disc, percentile_cont, mode.
fn of_aggregate(a: &Aggregate) -> f64 {
    let sorts = a.calls.iter().filter(|c| matches!(c.expr.func, 3972 | 3974 | 3976 | 3978 | 3980 | 3982 | 3984)).count();
    if a.groups.is_empty() { 400.0 * sorts as f64 } else { 0.0 }
}

/// ANY or ALL by an operator other than `=`: Postgres looks for the first row that decides, the engine at all.
fn compares_pairs(e: &Expr) -> bool {
    // int4eq, uuid_eq, nameeqtext, date_eq_timestamp
    let is_equality = |func| functions::row(func).is_some_and(|row| row.name.contains("eq"));
    match e {
        Expr::AnySubquery { any, comparisons, .. } => !*any || comparisons.iter().any(|c| !is_equality(c.func)),
        _ => false,
    }
}

struct Found {
    heavy: Heavy,
    groups: Option<f64>,
}

impl Found {
    /// Adds up what is below and of this relation; gives how many rows there may be of it.
    fn rel(&mut self, rel: &mut Rel) -> f64 {
        let (mut most, mut sum) = (1.0f64, 0.0);
        walk::each_input_mut(rel, &mut |input| {
            let rows = self.rel(input);
            most = most.max(rows);
            sum += rows;
        });
        walk::each_expr_mut(rel, &mut |e| self.expr(e, most));
        match rel {
            Rel::Scan(scan) => match scan.source {
                // SAFETY: a catalog look-up, on the main thread.
                Source::Mirror { relid, .. } => unsafe { crate::translate::table_rows(pg_sys::Oid::from(relid)) }.max(1.0),
                Source::Foreign { .. } => 1.0,
            },
            Rel::Aggregate(a) => {
                self.heavy.nanoseconds += most * of_aggregate(a);
                // Groups are fewer than rows; where Postgres does not aggregate, how many nobody knows.
                if a.groups.is_empty() { 1.0 } else { self.groups.map_or(most / 10.0, |groups| groups.min(most / 10.0)) }
            }
            Rel::SetOp(_) => sum,
            _ => most,
        }
    }

    fn expr(&mut self, e: &mut Expr, rows: f64) {
        if let Expr::Call { func, .. } = e {
            self.heavy.nanoseconds += rows * of_call(*func);
        }
        let pairs = compares_pairs(e);
        if let Some(rel) = walk::subquery_mut(e) {
            let inside = self.rel(rel);
            if pairs {
                self.heavy.pairs += rows * inside;
            }
        }
        walk::each_part_mut(e, &mut |part| self.expr(part, rows));
    }
}
