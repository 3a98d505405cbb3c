//! Gives each remote server the largest parts of a plan that it can answer exactly.
//!
//! Invariants:
//! - Afterwards no scan of a foreign table is left: what cannot be pushed with anything around it is read whole, in the columns needed.
//! - A sort stays in the plan, also where the remote has sorted for a LIMIT: nothing between promises to keep an order.

use crate::average::averages;
use crate::sql::{Tables, statement};
use std::collections::HashMap;
use weir_plan::ir::{ColId, Expr, Plan, Rel, Remote, SortKey, Source};
use weir_plan::walk::{each_expr_mut, each_input_mut, each_part_mut, output_columns, subquery_mut};

/// What became of a plan.
#[derive(Debug, Default, Clone)]
pub struct Report {
    /// What was not pushed, and why; for EXPLAIN (VERBOSE).
    pub kept: Vec<String>,
}

/// Replaces parts of the plan by [`Rel::Remote`].
///
/// # Errors
/// A foreign table that cannot even be read whole, with the reason.
pub fn push(plan: &mut Plan, tables: Tables) -> Result<Report, String> {
    sink(&mut plan.root, tables);
    let mut pass = Pass { tables, references: HashMap::new(), ids: Ids::after(&mut plan.root), report: Report::default() };
    references(&mut plan.root, &mut pass.references);
    for (id, _) in &plan.output {
        *pass.references.entry(*id).or_default() += 1;
    }
    let root = std::mem::replace(&mut plan.root, Rel::OneRow);
    plan.root = pass.rel(root)?;
    Ok(pass.report)
}

/// Moves filters down to the servers that can apply them.
pub fn sink(root: &mut Rel, tables: Tables) {
    crate::sink::sink(root, &|rel, conjunct| {
        let alone = Rel::Filter { input: Box::new(rel.clone()), predicate: conjunct.clone() };
        statement(&alone, &[], tables).is_ok()
    });
}

/// Whether the plan reads a foreign table.
pub fn has_foreign(rel: &mut Rel) -> bool {
    let mut found = matches!(rel, Rel::Scan(s) if matches!(s.source, Source::Foreign { .. }));
    each_expr_mut(rel, &mut |e| found |= expr_has_foreign(e));
    each_input_mut(rel, &mut |r| found |= has_foreign(r));
    found
}

fn expr_has_foreign(e: &mut Expr) -> bool {
    let mut found = subquery_mut(e).is_some_and(has_foreign);
    each_part_mut(e, &mut |p| found |= expr_has_foreign(p));
    found
}

/// The remote statements of a plan.
pub fn remotes(rel: &mut Rel) -> Vec<Remote> {
    fn in_expr(e: &mut Expr, out: &mut Vec<Remote>) {
        if let Some(rel) = subquery_mut(e) {
            out.extend(remotes(rel));
        }
        each_part_mut(e, &mut |p| in_expr(p, out));
    }
    let mut out = match rel {
        Rel::Remote(remote) => vec![remote.as_ref().clone()],
        _ => Vec::new(),
    };
    each_expr_mut(rel, &mut |e| in_expr(e, &mut out));
    each_input_mut(rel, &mut |r| out.extend(remotes(r)));
    out
}

/// Counts how often each column is referred to.
fn references(rel: &mut Rel, out: &mut HashMap<ColId, usize>) {
    let mut add = |id: ColId| *out.entry(id).or_default() += 1;
    match rel {
        Rel::SetOp(op) => op.columns.iter().for_each(|c| {
            add(c.1);
            add(c.2);
        }),
        Rel::CteRef { columns, .. } => columns.iter().for_each(|c| add(c.1)),
        // All columns tell rows apart.
        Rel::Distinct { input } => {
            let mut columns = Vec::new();
            output_columns(input, &mut columns);
            columns.into_iter().for_each(add);
        }
        _ => {}
    }
    each_expr_mut(rel, &mut |e| expr_references(e, out));
    each_input_mut(rel, &mut |r| references(r, out));
}

fn expr_references(e: &mut Expr, out: &mut HashMap<ColId, usize>) {
    match e {
        Expr::Column { id, .. } | Expr::Outer { id, .. } | Expr::ScalarSubquery { column: id, .. } => *out.entry(*id).or_default() += 1,
        Expr::AnySubquery { comparisons, .. } => comparisons.iter().for_each(|c| *out.entry(c.column).or_default() += 1),
        _ => {}
    }
    if let Some(rel) = subquery_mut(e) {
        references(rel, out);
    }
    each_part_mut(e, &mut |p| expr_references(p, out));
}

/// New column ids.
pub struct Ids(u32);

impl Ids {
    pub fn after(root: &mut Rel) -> Ids {
        fn highest(rel: &mut Rel, max: &mut u32) {
            let mut columns = Vec::new();
            output_columns(rel, &mut columns);
            *max = columns.iter().map(|c| c.0).fold(*max, u32::max);
            each_expr_mut(rel, &mut |e| in_expr(e, max));
            each_input_mut(rel, &mut |r| highest(r, max));
        }
        fn in_expr(e: &mut Expr, max: &mut u32) {
            if let Some(rel) = subquery_mut(e) {
                highest(rel, max);
            }
            each_part_mut(e, &mut |p| in_expr(p, max));
        }
        let mut max = 0;
        highest(root, &mut max);
        Ids(max)
    }

    pub fn take(&mut self) -> ColId {
        self.0 += 1;
        ColId(self.0)
    }
}

struct Pass<'a> {
    tables: Tables<'a>,
    references: HashMap<ColId, usize>,
    ids: Ids,
    report: Report,
}

impl Pass<'_> {
    fn rel(&mut self, mut rel: Rel) -> Result<Rel, String> {
        if !has_foreign(&mut rel) {
            return Ok(rel);
        }
        let why = match self.whole(&mut rel) {
            Ok(remote) => return Ok(remote),
            Err(why) => why,
        };
        match rel {
            Rel::Scan(scan) => return Err(format!("foreign table \"{}\": {why}", scan.name)),
            Rel::Aggregate(aggregate) => {
                if let Some((new, exprs)) = averages(&aggregate, &mut self.ids) {
                    let mut trial = Rel::Project { input: Box::new(Rel::Aggregate(Box::new(new))), exprs };
                    // Its new columns are referred to from now on.
                    references(&mut trial, &mut self.references);
                    if let Rel::Project { input, .. } = &mut trial
                        && let Ok(pushed) = self.whole(input)
                    {
                        **input = pushed;
                        return Ok(trial);
                    }
                }
                rel = Rel::Aggregate(aggregate);
            }
            Rel::Filter { input, predicate: Expr::And(conjuncts) } if conjuncts.len() > 1 => {
                // Those conjuncts that can be pushed go down by themselves.
                let (mut down, mut stay) = (Vec::new(), Vec::new());
                for c in conjuncts {
                    let mut alone = Rel::Filter { input: input.clone(), predicate: c.clone() };
                    if self.whole(&mut alone).is_ok() { down.push(c) } else { stay.push(c) }
                }
                if !down.is_empty() && !stay.is_empty() {
                    self.report.kept.push(format!("filter: {why}"));
                    let below = Rel::Filter { input, predicate: Expr::And(down) };
                    let mut outside = Rel::Filter { input: Box::new(Rel::OneRow), predicate: Expr::And(stay) };
                    self.subqueries(&mut outside)?;
                    if let Rel::Filter { input, .. } = &mut outside {
                        **input = self.rel(below)?;
                    }
                    return Ok(outside);
                }
                let all = if down.is_empty() { stay } else { down };
                rel = Rel::Filter { input, predicate: Expr::And(all) };
            }
            other => rel = other,
        }
        self.report.kept.push(format!("{}: {why}", noun(&rel)));
        self.subqueries(&mut rel)?;
        let mut failed = None;
        each_input_mut(&mut rel, &mut |input| {
            let inner = std::mem::replace(input, Rel::OneRow);
            match self.rel(inner) {
                Ok(pushed) => *input = pushed,
                Err(e) => failed = Some(e),
            }
        });
        failed.map_or(Ok(rel), Err)
    }

    /// The relation as one remote statement.
    fn whole(&mut self, rel: &mut Rel) -> Result<Rel, String> {
        let mut own = HashMap::new();
        references(rel, &mut own);
        let mut columns = Vec::new();
        output_columns(rel, &mut columns);
        let all = |id: &ColId| self.references.get(id).copied().unwrap_or(0);
        let needed: Vec<ColId> = columns.iter().copied().filter(|id| all(id) > own.get(id).copied().unwrap_or(0)).collect();
        match rel {
            // Every combination of rows would have to travel.
            Rel::Join(join) if join.on.is_none() && matches!(join.kind, weir_plan::ir::JoinKind::Inner) => Err("a join without a condition".into()),
            // The remote's order would be lost on the way up: it may sort only to cut off.
            Rel::Sort { .. } => Err("a sort without a limit".into()),
            Rel::DistinctOn { keys, .. } => {
                let keys = keys.clone();
                self.sorted(rel, needed, &columns, keys)
            }
            Rel::Project { input, .. } | Rel::Filter { input, .. } | Rel::Window { input, .. } | Rel::Limit { input, .. } if is_distinct_on(input) => {
                Err("rows that have the order of DISTINCT ON".into())
            }
            Rel::Limit { input, .. } if matches!(input.as_ref(), Rel::Sort { .. }) => {
                let Rel::Sort { keys, .. } = input.as_ref() else { return Err("no sort".into()) };
                let keys = keys.clone();
                self.sorted(rel, needed, &columns, keys)
            }
            Rel::Distinct { .. } => Ok(Rel::Remote(Box::new(statement(rel, &columns, self.tables)?))),
            _ => Ok(Rel::Remote(Box::new(statement(rel, &needed, self.tables)?))),
        }
    }

    /// The relation as one remote statement, sorted again by these keys.
    fn sorted(&self, rel: &Rel, needed: Vec<ColId>, columns: &[ColId], keys: Vec<SortKey>) -> Result<Rel, String> {
        // The sort above looks at its keys, too.
        let mut wanted = needed;
        for key in &keys {
            let mut used = HashMap::new();
            expr_references(&mut key.expr.clone(), &mut used);
            wanted.extend(used.into_keys().filter(|id| columns.contains(id)));
        }
        wanted.sort_unstable();
        wanted.dedup();
        let remote = statement(rel, &wanted, self.tables)?;
        Ok(Rel::Sort { input: Box::new(Rel::Remote(Box::new(remote))), keys })
    }

    /// The relations of subqueries in the expressions of one relation.
    fn subqueries(&mut self, rel: &mut Rel) -> Result<(), String> {
        let mut failed = None;
        each_expr_mut(rel, &mut |e| {
            if let Err(why) = self.in_expr(e) {
                failed = Some(why);
            }
        });
        failed.map_or(Ok(()), Err)
    }

    fn in_expr(&mut self, e: &mut Expr) -> Result<(), String> {
        if let Some(rel) = subquery_mut(e) {
            let inner = std::mem::replace(rel, Rel::OneRow);
            *rel = self.rel(inner)?;
        }
        let mut failed = None;
        each_part_mut(e, &mut |p| {
            if let Err(why) = self.in_expr(p) {
                failed = Some(why);
            }
        });
        failed.map_or(Ok(()), Err)
    }
}

/// Whether the order of the relation is that of DISTINCT ON.
fn is_distinct_on(rel: &Rel) -> bool {
    match rel {
        Rel::DistinctOn { .. } => true,
        Rel::Project { input, .. } | Rel::Filter { input, .. } | Rel::Window { input, .. } | Rel::Limit { input, .. } => is_distinct_on(input),
        _ => false,
    }
}

fn noun(rel: &Rel) -> &'static str {
    match rel {
        Rel::Filter { .. } => "filter",
        Rel::Project { .. } => "projection",
        Rel::Join(_) => "join",
        Rel::Aggregate(_) => "aggregate",
        Rel::Window { .. } => "window functions",
        Rel::Sort { .. } => "sort",
        Rel::Limit { .. } => "limit",
        Rel::Distinct { .. } | Rel::DistinctOn { .. } => "distinct",
        Rel::Expand(_) => "set-returning function",
        Rel::SetOp(_) => "set operation",
        Rel::With { .. } => "common table expressions",
        _ => "query",
    }
}
