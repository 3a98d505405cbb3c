//! GROUP BY, grouping sets, aggregates, DISTINCT.
//!
//! An aggregate is lowered in two steps: a node whose columns are the parts of the aggregates ([`RawAggregate`]), then a projection
//! that makes the values. In between, the node may be joined to rows that have no group, which get the values over nothing.

use super::Lowerer;
use super::expr::{Scope, can_fail, is_true, passed_on};
use super::forms;
use super::keys::group_key;
use super::node::{Domain, Node, column, named, physical, same_values};
use crate::agg::{self, AggArgs};
use crate::error::refused;
use crate::value::{DScale, Value};
use arrow::datatypes::DataType;
use datafusion::common::{Result, ScalarValue};
use datafusion::functions_aggregate::first_last::first_value_udaf;
use datafusion::functions_aggregate::min_max::{max_udaf, min_udaf};
use datafusion::logical_expr::expr::AggregateFunction;
use datafusion::logical_expr::{Aggregate as DfAggregate, AggregateUDF, Expr as DfExpr, GroupingSet, JoinType, LogicalPlanBuilder, SortExpr, cast, lit, when};
use std::sync::Arc;
use weir_plan::ir::{AggCall, Aggregate, ColId, Collation, Expr, Named};
use weir_plan::types::PgType;

// Source: `pg_proc.dat`.
const COUNT: u32 = 2147;
const COUNT_ROWS: u32 = 2803;

/// An aggregate function's result column.
struct Part {
    column: DfExpr,
    /// Its value over no rows.
    empty: ScalarValue,
}

type Finish = Box<dyn FnOnce(Vec<DfExpr>) -> Result<Value>>;

/// The parts of an aggregation, not yet put together.
pub(super) struct RawAggregate {
    /// Its `cols` are the groups.
    pub node: Node,
    calls: Vec<(ColId, PgType, Vec<Part>, Finish)>,
    /// (identity, bits that DataFusion's grouping id has for each argument, most significant first)
    groupings: Vec<(ColId, Vec<u32>)>,
    /// DataFusion's grouping id as Int64, if there are grouping sets.
    grouping_id: Option<DfExpr>,
    /// The value that the grouping id has in the empty grouping set.
    all_bits: i64,
    /// The value that it has in each set.
    set_ids: Vec<i64>,
}

impl RawAggregate {
    pub fn map_node(mut self, f: impl FnOnce(Node) -> Result<Node>) -> Result<Self> {
        self.node = f(self.node)?;
        Ok(self)
    }
}

/// The aggregate expressions of one node, each once.
struct Calls {
    exprs: Vec<DfExpr>,
    names: Vec<String>,
    /// None of them may keep DataFusion's name: the node will be joined to others that have it too.
    rename: bool,
}

impl Calls {
    /// The column in which the expression's result will be.
    fn add(&mut self, expr: DfExpr, fresh: impl FnOnce() -> u32) -> DfExpr {
        if let Some(at) = self.exprs.iter().position(|e| *e == expr) {
            return column(self.names[at].clone());
        }
        let name = expr.schema_name().to_string();
        // Functions of ours may differ in more than their name.
        let (expr, name) = if self.rename || self.names.contains(&name) {
            let name = format!("p{}", fresh());
            (expr.alias(&name), name)
        } else {
            (expr, name)
        };
        self.exprs.push(expr);
        self.names.push(name.clone());
        column(name)
    }
}

fn function(udf: Arc<AggregateUDF>, args: Vec<DfExpr>, distinct: bool, filter: Option<DfExpr>, order_by: Vec<SortExpr>) -> DfExpr {
    DfExpr::AggregateFunction(AggregateFunction::new_udf(udf, args, distinct, filter.map(Box::new), order_by, None))
}

/// The value of the group, whose key is `key`.
fn representative(value: &Value, key: &DfExpr, is_key: bool, calls: &mut Calls, mut fresh: impl FnMut() -> u32) -> Value {
    let mut v = value.clone();
    if !is_key {
        v.expr = calls.add(function(first_value_udaf(), vec![value.expr.clone()], false, None, vec![]), &mut fresh);
    }
    let Some(form) = forms::form(value) else { return v };
    let least = calls.add(function(min_udaf(), vec![form.clone()], false, None, vec![]), &mut fresh);
    let greatest = calls.add(function(max_udaf(), vec![form], false, None, vec![]), &mut fresh);
    if let Some(DScale::Dynamic(scale)) = &mut v.dscale {
        *scale = forms::written_alike(greatest.clone(), DataType::Int16, key.clone(), least, greatest);
    } else if !is_key {
        v.expr = forms::written_alike(v.expr, v.arrow.clone(), key.clone(), least, greatest);
    }
    v
}

impl Lowerer<'_> {
    pub(super) fn aggregate(&mut self, a: &Aggregate, domain: Option<&Domain>) -> Result<Node> {
        if let Some(sets) = &a.grouping_sets {
            return self.grouping_sets(a, sets, domain);
        }
        let node = self.rel(&a.input, domain)?;
        if a.groups.is_empty() && a.calls.is_empty() {
            // Exactly one row, whatever the input.
            let node = self.one_row(domain)?;
            let zeros = a.groupings.iter().map(|g| (g.id, Value::new(lit(0i32), DataType::Int32, PgType::INT4)));
            return self.projected(node, zeros.collect::<Vec<_>>());
        }
        let raw = self.raw_aggregate(node, &a.groups, None, &a.calls, &a.groupings)?;
        match domain {
            Some(domain) if a.groups.is_empty() => {
                let rows = self.domain_rows(domain)?;
                self.finish_for_all(rows, raw)
            }
            _ => self.finish(raw, None),
        }
    }

    /// An aggregation of the node's rows by the groups (and the domain).
    pub(super) fn raw_aggregate(
        &mut self,
        node: Node,
        groups: &[Named<Expr>],
        sets: Option<&[Vec<usize>]>,
        calls: &[Named<AggCall>],
        groupings: &[Named<Vec<usize>>],
    ) -> Result<RawAggregate> {
        self.raw_aggregate_with(node, groups, sets, calls, groupings, vec![])
    }

    /// As [`Self::raw_aggregate`], with further named aggregates of DataFusion.
    pub(super) fn raw_aggregate_with(
        &mut self,
        node: Node,
        groups: &[Named<Expr>],
        sets: Option<&[Vec<usize>]>,
        calls: &[Named<AggCall>],
        groupings: &[Named<Vec<usize>>],
        extra: Vec<DfExpr>,
    ) -> Result<RawAggregate> {
        let rename = std::mem::take(&mut self.rename_calls);
        let (node, group_exprs) = self.absorb(node, groups.iter().map(|g| &g.expr))?;
        let mut within: Vec<DfExpr> = Vec::new();
        if sets.is_none() {
            within.extend(node.dom.iter().flat_map(|(_, v)| physical(v)));
            for e in &group_exprs {
                within.push(group_key(&self.expr(e, &Scope::of(&node))?)?.expr);
            }
        }
        let (node, calls) = self.absorb_calls(node, calls, &within)?;
        let scope = Scope::of(&node);
        let group_values = self.exprs(&group_exprs, &scope)?;

        // Group keys become columns first, so that every other expression can name them.
        let (mut key_columns, mut added, mut inputs) = (Vec::new(), Vec::new(), Vec::new());
        for value in &group_values {
            let key = group_key(value)?;
            let (e, there) = named(&format!("g{}", self.fresh()), value);
            if key.is_value && sets.is_none() && physical(value).iter().all(|e| matches!(e, DfExpr::Column(_))) {
                key_columns.push(value.expr.clone());
                inputs.push((value.clone(), true));
                continue;
            }
            added.extend(e);
            if key.is_value {
                key_columns.push(there.expr.clone());
                inputs.push((there, true));
            } else {
                let name = format!("k{}", self.fresh());
                added.push(key.expr.alias(&name));
                key_columns.push(column(name));
                inputs.push((there, false));
            }
        }
        let mut lowered = Vec::new();
        for call in &calls {
            lowered.push(self.agg_call(call, &scope)?);
        }
        let node = node.extend(added)?;

        let dom_columns: Vec<DfExpr> = node.dom.iter().flat_map(|(_, v)| physical(v)).collect();
        let mut aggs = Calls { exprs: Vec::new(), names: Vec::new(), rename };
        let mut next = || {
            self.next += 1;
            self.next
        };
        let mut columns = Vec::new();
        for ((g, (value, is_key)), key) in groups.iter().zip(&inputs).zip(&key_columns) {
            columns.push((g.id, representative(value, key, *is_key, &mut aggs, &mut next)));
        }
        let mut pending = Vec::new();
        for (call, (parts, finish)) in calls.iter().zip(lowered) {
            let mut done = Vec::new();
            for (expr, empty) in parts {
                done.push(Part { column: aggs.add(expr, &mut next), empty });
            }
            pending.push((call.id, call.expr.ty, done, finish));
        }

        let (mut group_by, mut grouping_id, mut all_bits, mut bits, mut set_ids) = (Vec::new(), None, 0, Vec::new(), Vec::new());
        match sets {
            None => {
                for key in key_columns.iter().chain(&dom_columns) {
                    if !group_by.contains(key) {
                        group_by.push(key.clone());
                    }
                }
            }
            Some(sets) => {
                let mut lists = Vec::new();
                for set in sets {
                    let mut list = Vec::new();
                    for i in set {
                        list.push(key_columns.get(*i).ok_or_else(|| refused("a grouping set out of range"))?.clone());
                    }
                    list.extend(dom_columns.iter().cloned());
                    lists.push(list);
                }
                // The bits of the grouping id follow the order in which the expressions first occur, the last being the lowest.
                let mut all: Vec<DfExpr> = Vec::new();
                for e in lists.iter().flatten() {
                    if !all.contains(e) {
                        all.push(e.clone());
                    }
                }
                for g in groupings {
                    let mut of = Vec::new();
                    for i in &g.expr {
                        let key = key_columns.get(*i).ok_or_else(|| refused("GROUPING of what is not a group"))?;
                        // A group in no set is never grouped by: a bit that is always set.
                        let at = all.iter().position(|e| e == key).map_or(63, |p| all.len() - 1 - p);
                        of.push(u32::try_from(at).unwrap_or(63));
                    }
                    bits.push(of);
                }
                if all.len() > 31 {
                    return Err(refused("grouping sets over more than 31 expressions"));
                }
                all_bits = (1i64 << all.len()) - 1;
                for list in &lists {
                    set_ids.push(all.iter().rev().enumerate().filter(|(_, e)| !list.contains(e)).map(|(bit, _)| 1i64 << bit).sum());
                }
                grouping_id = Some(column(DfAggregate::INTERNAL_GROUPING_ID));
                for (i, (_, value)) in columns.iter_mut().enumerate() {
                    // A group in no set is always NULL.
                    if key_columns.get(i).is_some_and(|k| !all.contains(k)) {
                        *value = nothing(value)?;
                    }
                }
                group_by.push(DfExpr::GroupingSet(GroupingSet::GroupingSets(lists)));
            }
        }
        aggs.exprs.extend(extra);
        let plan = LogicalPlanBuilder::from(node.plan).aggregate(group_by, aggs.exprs)?.build()?;
        let groupings = groupings.iter().zip(bits.into_iter().chain(std::iter::repeat(Vec::new()))).map(|(g, bits)| (g.id, bits)).collect();
        let mut node = Node::new(plan, columns, node.dom);
        if let Some(sets) = sets {
            node = self.hide_other_groups(node, sets, &key_columns, &inputs)?;
        }
        let grouping_id = grouping_id.map(|id| cast(id, DataType::Int64));
        Ok(RawAggregate { node, calls: pending, groupings, grouping_id, all_bits, set_ids })
    }

    /// Representatives are NULL where their group is not in the set.
    fn hide_other_groups(&self, mut node: Node, sets: &[Vec<usize>], keys: &[DfExpr], inputs: &[(Value, bool)]) -> Result<Node> {
        for (i, id) in node.order.clone().iter().enumerate() {
            let (Some(key), Some((_, is_key))) = (keys.get(i), inputs.get(i)) else { continue };
            if *is_key || !sets.iter().any(|s| s.contains(&i)) {
                continue;
            }
            // The key of a value is NULL only if the value is, or the set has not got it.
            let value = node.get(*id)?.clone();
            let shown = super::node::only_if(key.clone().is_not_null(), &value)?;
            node.cols.insert(*id, shown);
        }
        Ok(node)
    }

    fn absorb_calls(&mut self, mut node: Node, calls: &[Named<AggCall>], within: &[DfExpr]) -> Result<(Node, Vec<Named<AggCall>>)> {
        let mut out = Vec::new();
        for n in calls {
            let c = &n.expr;
            let (next, direct) = self.absorb(node, &c.direct)?;
            let (next, args) = self.absorb(next, &c.args)?;
            let (next, filter) = self.absorb(next, &c.filter)?;
            let (next, order_by) = self.absorb_keys(next, &c.order_by)?;
            let (next, order_by) = self.with_ranks(next, order_by, within.to_vec())?;
            node = next;
            out.push(Named { id: n.id, expr: AggCall { direct, args, filter: filter.into_iter().next(), order_by, ..c.clone() } });
        }
        Ok((node, out))
    }

    /// The parts of a call with their values over nothing, and what makes its value of them.
    #[allow(clippy::type_complexity)]
    fn agg_call(&self, call: &Named<AggCall>, scope: &Scope<'_>) -> Result<(Vec<(DfExpr, ScalarValue)>, Finish)> {
        let c = &call.expr;
        let args = AggArgs {
            func: c.func,
            direct: self.exprs(&c.direct, scope)?,
            args: self.exprs(&c.args, scope)?,
            distinct: c.distinct,
            order_by: self.sort_exprs(&c.order_by, scope)?,
            windowed: false,
            ty: c.ty,
            collation: Collation::None,
            session: self.session,
        };
        // DataFusion's count takes a NULL for true where the bit below it is set.
        let filter = c.filter.as_ref().map(|f| self.expr(f, scope)).transpose()?.map(|v| is_true(v.expr));
        let counts_what_can_fail = matches!(c.func, COUNT | COUNT_ROWS) && args.args.iter().map(|a| &a.expr).chain(&filter).any(can_fail);
        let lowered = agg::lower(&args)?;
        let mut parts = Vec::new();
        for p in lowered.parts {
            let empty = self.value_over_nothing(&p.udf, &p.args, scope)?;
            parts.push((function(p.udf, p.args, p.distinct, filter.clone(), p.order_by), empty));
        }
        if counts_what_can_fail {
            // It is never NULL, and whoever asks only that would not see the error.
            let finish: Finish = Box::new(move |columns| {
                let value = (lowered.finish)(columns)?;
                Ok(Value { expr: passed_on(value.expr, &value.arrow), ..value })
            });
            return Ok((parts, finish));
        }
        Ok((parts, lowered.finish))
    }

    fn value_over_nothing(&self, udf: &AggregateUDF, args: &[DfExpr], scope: &Scope<'_>) -> Result<ScalarValue> {
        let types = args.iter().map(|a| scope.type_of(a)).collect::<Result<Vec<_>>>()?;
        udf.default_value(&udf.return_type(&types)?)
    }

    /// The aggregation as a node.
    pub(super) fn finish(&mut self, raw: RawAggregate, missing: Option<DfExpr>) -> Result<Node> {
        let (node, values) = self.finish_values(raw, missing)?;
        self.projected(node, values)
    }

    /// The aggregation's columns as expressions over the raw node. `missing`: true for rows that have no group.
    pub(super) fn finish_values(&mut self, raw: RawAggregate, missing: Option<DfExpr>) -> Result<(Node, Vec<(ColId, Value)>)> {
        let RawAggregate { node, calls, groupings, grouping_id, all_bits, .. } = raw;
        let mut values = node.outputs()?;
        for (id, ty, parts, finish) in calls {
            let mut exprs = Vec::new();
            for p in parts {
                exprs.push(match &missing {
                    Some(missing) if !p.empty.is_null() => when(missing.clone(), DfExpr::Literal(p.empty, None)).otherwise(p.column)?,
                    _ => p.column,
                });
            }
            let mut value = finish(exprs)?;
            value.ty = ty;
            values.push((id, value));
        }
        let grouping_id = match (&missing, grouping_id) {
            (Some(missing), Some(id)) => Some(when(missing.clone(), lit(all_bits)).otherwise(id)?),
            (_, id) => id,
        };
        for (id, bits) in groupings {
            let expr = match &grouping_id {
                Some(gid) => grouping(gid, &bits),
                None => lit(0i32),
            };
            values.push((id, Value::new(expr, DataType::Int32, PgType::INT4)));
        }
        Ok((node, values))
    }

    /// An aggregation without groups has a row for each row of the domain, also for those without input.
    pub(super) fn finish_for_all(&mut self, rows: Node, mut raw: RawAggregate) -> Result<Node> {
        let marker = format!("h{}", self.fresh());
        let inner = raw.node.extend(vec![lit(true).alias(&marker)])?;
        let pairs: Vec<(Value, Value)> = rows.dom.iter().zip(&inner.dom).map(|((_, l), (_, r))| (l.clone(), r.clone())).collect();
        let on = same_values(&rows, &inner, &pairs)?;
        let plan = LogicalPlanBuilder::from(rows.plan).join_on(inner.plan.clone(), JoinType::Left, on)?.build()?;
        raw.node = Node { plan, dom: rows.dom, ..inner };
        self.finish(raw, Some(column(marker).is_null()))
    }

    fn grouping_sets(&mut self, a: &Aggregate, sets: &[Vec<usize>], domain: Option<&Domain>) -> Result<Node> {
        let mut distinct: Vec<Vec<usize>> = Vec::new();
        let mut copies: Vec<usize> = Vec::new();
        for set in sets {
            let mut set = set.clone();
            set.sort_unstable();
            set.dedup();
            match distinct.iter().position(|d| *d == set) {
                Some(at) => copies[at] += 1,
                None => {
                    distinct.push(set);
                    copies.push(1);
                }
            }
        }
        let has_empty = distinct.iter().any(Vec::is_empty);
        if has_empty && domain.is_some() {
            return Err(refused("an empty grouping set in a correlated subquery"));
        }
        let node = self.rel(&a.input, domain)?;
        if distinct.iter().all(Vec::is_empty) && copies == [1] {
            return self.only_empty_set(node, a);
        }
        let mut raw = self.raw_aggregate(node, &a.groups, Some(&distinct), &a.calls, &a.groupings)?;
        let mut missing = None;
        if has_empty {
            // The empty grouping set has a row even if there is no input.
            let one = LogicalPlanBuilder::empty(true).project(vec![lit(true).alias(format!("n{}", self.fresh()))])?.build()?;
            raw.node.plan = LogicalPlanBuilder::from(one).join_on(raw.node.plan, JoinType::Left, [lit(true)])?.build()?;
            missing = Some(column(DfAggregate::INTERNAL_GROUPING_ID).is_null());
        }
        if copies.iter().any(|c| *c > 1) {
            raw = self.repeated_sets(raw, &copies)?;
        }
        self.finish(raw, missing)
    }

    /// A grouping set given n times puts out its groups n times.
    fn repeated_sets(&mut self, raw: RawAggregate, copies: &[usize]) -> Result<RawAggregate> {
        let mut rows = Vec::new();
        for (id, n) in raw.set_ids.iter().zip(copies) {
            rows.extend(std::iter::repeat_n(vec![lit(*id)], *n));
        }
        let name = format!("n{}", self.fresh());
        let table = format!("v{}", self.fresh());
        let source = DfExpr::Column(datafusion::common::Column::new(Some(table.clone()), "column1"));
        let copies = LogicalPlanBuilder::values(rows)?.alias(table)?.project(vec![source.alias(&name)])?.build()?;
        let Some(id) = raw.grouping_id.clone() else { return Ok(raw) };
        let id = when(id.clone().is_null(), lit(raw.all_bits)).otherwise(id)?;
        raw.map_node(|n| n.map_plan(|p| p.join_on(copies, JoinType::Inner, [id.eq(column(name))])))
    }

    /// `GROUP BY GROUPING SETS (())`: one row, in which every group is NULL.
    fn only_empty_set(&mut self, node: Node, a: &Aggregate) -> Result<Node> {
        let (node, groups) = self.absorb(node, a.groups.iter().map(|g| &g.expr))?;
        let mut values = Vec::new();
        for (g, e) in a.groups.iter().zip(&groups) {
            values.push((g.id, nothing(&self.expr(e, &Scope::of(&node))?)?));
        }
        for g in &a.groupings {
            values.push((g.id, Value::new(lit((1i32 << g.expr.len().min(31)) - 1), DataType::Int32, PgType::INT4)));
        }
        let node = if a.calls.is_empty() {
            self.one_row(None)?
        } else {
            let raw = self.raw_aggregate(node, &[], None, &a.calls, &[])?;
            self.finish(raw, None)?
        };
        values.extend(node.outputs()?);
        self.projected(node, values)
    }

    /// Removes duplicate rows of the columns put out, for each row of the domain.
    pub(super) fn distinct(&mut self, node: Node) -> Result<Node> {
        let outputs = node.outputs()?;
        let plain = outputs.iter().all(|(_, v)| !matches!(v.dscale, Some(DScale::Dynamic(_))) && group_key(v).is_ok_and(|k| k.is_value));
        if outputs.is_empty() {
            return Err(refused("DISTINCT without columns"));
        }
        if plain {
            return node.narrow()?.map_plan(|p| p.distinct());
        }
        let groups: Vec<Named<Expr>> = outputs.iter().map(|(id, v)| Named { id: *id, expr: Expr::Column { id: *id, ty: v.ty } }).collect();
        let raw = self.raw_aggregate(node, &groups, None, &[], &[])?;
        self.finish(raw, None)
    }
}

/// NULL, of the value's type.
fn nothing(value: &Value) -> Result<Value> {
    let mut v = value.clone();
    v.expr = DfExpr::Literal(ScalarValue::try_from(&v.arrow)?, None);
    if let Some(DScale::Dynamic(scale)) = &mut v.dscale {
        *scale = DfExpr::Literal(ScalarValue::Int16(None), None);
    }
    Ok(v)
}

/// `GROUPING`'s integer out of DataFusion's grouping id.
fn grouping(id: &DfExpr, bits: &[u32]) -> DfExpr {
    let mut sum: Option<DfExpr> = None;
    for (i, bit) in bits.iter().rev().enumerate() {
        let value = lit(1i64 << i);
        let term = if *bit >= 63 {
            value
        } else {
            // (id >> bit) & 1, by division: every operand is a non-negative Int64.
            (id.clone() / lit(1i64 << bit)) % lit(2i64) * value
        };
        sum = Some(match sum {
            Some(s) => s + term,
            None => term,
        });
    }
    cast(sum.unwrap_or(lit(0i64)), DataType::Int32)
}
