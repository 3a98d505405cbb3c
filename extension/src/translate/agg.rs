//! GROUP BY, grouping sets, aggregates and HAVING.
//!
//! Above the aggregation the query's expressions are rewritten: what equals a group key, an aggregate or GROUPING() becomes a mark. That
//! happens before constant folding, because folding may take a group key apart.

use super::call::{self, Callee};
use super::tree::{self, int_list, list, map_children, map_query, mark_var, tag};
use super::{Cx, Result, collation, columns, expr, from, hypothetical, input_order, json, labels, order, param, pinned, types};
use pg_sys::{Aggref, GroupingFunc, GroupingSet, GroupingSetKind, Node, NodeTag, Query, SortGroupClause, TargetEntry, Var};
use pgrx::pg_sys;
use weir_plan::functions::FunctionKind;
use weir_plan::ir::{AggCall, Aggregate, BoolTest, Expr, Fidelity, Named, Rel, Scalar, SortKey};
use weir_plan::types::{PgType, oid};

/// Postgres's own bound on expanded grouping sets.
const MAX_GROUPING_SETS: usize = 4096;

/// Aggregates whose result is the order of their input: `array_agg`, `string_agg`, `json_agg`, `json_object_agg` and their jsonb forms.
pub const ORDER_IS_RESULT: &[u32] = &[2335, 4053, 3538, 3545, 3175, 3267, 3197, 3270];

/// `jsonb_object_agg("any","any")`: the order shows only if a name comes twice, which the engine refuses.
const JSONB_OBJECT_AGG: u32 = 3270;

/// sum and avg of float4 and float8.
pub const FLOAT_SUMS: &[u32] = &[2110, 2111, AVG_FLOAT4, 2105];
const AVG_FLOAT4: u32 = 2104;
/// Casts of smallint, integer, bigint to float4 and float8, and of float4 to float8.
const WIDENED: &[u32] = &[235, 316, 482, 236, 318, 652, 311];
const COUNT: u32 = 2147;

/// min and max of text and of char(n).
pub const MIN_MAX_TEXT: &[u32] = &[2145, 2129, 2245, 2244];

/// `pg_collation.dat`
const C_COLLATION: u32 = 950;

struct Stage {
    /// The expressions of the group keys as the tree has them, parallel to `aggregate.groups`.
    keys: Vec<*mut Node>,
    /// `tleSortGroupRef` of each key; 0 for columns that depend on the keys.
    refs: Vec<u32>,
    calls: Vec<(*mut Node, usize)>,
    /// Marks of the keys, by index.
    marks: Vec<usize>,
    /// Constant keys of grouping sets, by index.
    constants: Vec<usize>,
    groups: Vec<Named<Expr>>,
    agg_calls: Vec<Named<AggCall>>,
    groupings: Vec<Named<Vec<usize>>>,
    has_sets: bool,
}

/// Puts the aggregation of the current level above `input` and rewrites `exprs` (of `entries`) to use its columns.
pub unsafe fn aggregate(cx: &mut Cx, query: *mut Query, input: Rel, entries: &[*mut TargetEntry], exprs: &mut [*mut Node]) -> Result<Rel> {
    let q = &*query;
    let mut stage = Stage {
        keys: Vec::new(),
        refs: Vec::new(),
        calls: Vec::new(),
        marks: Vec::new(),
        constants: Vec::new(),
        groups: Vec::new(),
        agg_calls: Vec::new(),
        groupings: Vec::new(),
        has_sets: !q.groupingSets.is_null(),
    };
    let mut clauses = Vec::new();
    for clause in list::<SortGroupClause>(q.groupClause) {
        clauses.push((clause, group_entry(query, (*clause).tleSortGroupRef)?));
    }
    // Of equal keys, which are NULL in different sets, an expression means the first one of the target list.
    clauses.sort_by_key(|(_, te)| (**te).resno);
    for (clause, te) in clauses {
        let node = (*te).expr.cast();
        order::check_grouping(clause, node, "GROUP BY")?;
        let i = add_key(cx, &mut stage, node, (*clause).tleSortGroupRef)?;
        if stage.has_sets && !tree::depends_on_row(node) {
            if !matches!(stage.groups[i].expr, Expr::Const { .. }) {
                return Err("in GROUPING SETS, a value that is constant only within one execution".into());
            }
            // Before release 18, Postgres does not know that the key is NULL in other sets where it looks at the constant once more: to sort or
            // compare the rows, or to convert them for a set operation.
            let looked_at = list::<SortGroupClause>(q.sortClause).into_iter().any(|s| (*s).tleSortGroupRef == (*clause).tleSortGroupRef);
            if looked_at || !q.distinctClause.is_null() || q.hasWindowFuncs || cx.levels.len() > 1 {
                return Err("in GROUPING SETS, a constant key of a subquery, or with DISTINCT, window functions or an order by it".into());
            }
            stage.constants.push(i);
        } else if stage.has_sets && matches!(stage.groups[i].expr, Expr::Const { .. }) {
            // Postgres folds it, and what it is part of, before it becomes NULL in sets.
            return Err("in GROUPING SETS, a key that is the same for all rows".into());
        }
    }
    if stage.has_sets {
        pinned::check(cx, query)?;
        let outputs = entries.iter().map(|te| (**te).expr.cast()).chain([q.havingQual]);
        check_folding(cx, &stage.keys, outputs)?;
    }
    for (te, e) in entries.iter().zip(exprs.iter_mut()) {
        // What is grouped by is its own key, be it equal to another one. So is a constant, which is NULL in other sets; anywhere else it
        // stays what it is.
        // Source: `set_upper_references` and `search_indexed_tlist_for_non_var` in `setrefs.c`.
        let key = stage.refs.iter().position(|group_ref| (**te).ressortgroupref != 0 && *group_ref == (**te).ressortgroupref);
        *e = match key {
            Some(i) => mark_var(stage.marks[i], *e, 0),
            None => rewrite(cx, &mut stage, *e)?,
        };
    }
    let having = if q.havingQual.is_null() { q.havingQual } else { rewrite(cx, &mut stage, q.havingQual)? };

    let sets = grouping_sets(q.groupingSets, &stage, q.groupDistinct)?;
    // Without keys and aggregates there is exactly one row, whatever the input.
    let rel = if stage.groups.is_empty() && stage.agg_calls.is_empty() && stage.groupings.is_empty() && sets.as_ref().is_none_or(|s| s.len() == 1) {
        Rel::OneRow
    } else {
        Rel::Aggregate(Box::new(Aggregate { input, groups: stage.groups, grouping_sets: sets, calls: stage.agg_calls, groupings: stage.groupings }))
    };
    from::filter(cx, rel, having)
}

/// Refuses what Postgres folds before the keys of GROUPING SETS are NULL in it: of `NOT a > 2`, where `a > 2` is one, it makes `a <= 2`.
unsafe fn check_folding(cx: &Cx, keys: &[*mut Node], outputs: impl Iterator<Item = *mut Node>) -> Result<()> {
    let folded: Vec<*mut Node> = keys.iter().map(|key| param::fold(cx, tree::copy(*key))).collect();
    for node in outputs.filter(|node| !node.is_null()) {
        let (mut before, mut after) = (vec![0; keys.len()], vec![0; keys.len()]);
        count_keys(node, keys, &mut before);
        count_keys(param::fold(cx, tree::copy(node)), &folded, &mut after);
        if before != after {
            return Err("in GROUPING SETS, an expression of keys that Postgres folds".into());
        }
    }
    Ok(())
}

/// How often each of the keys stands in an expression of the select list.
unsafe fn count_keys(node: *mut Node, keys: &[*mut Node], counts: &mut [usize]) {
    if node.is_null() || matches!(tag(node), NodeTag::T_Aggref | NodeTag::T_GroupingFunc) {
        return;
    }
    match keys.iter().position(|key| tag(*key) == tag(node) && pg_sys::equal((*key).cast(), node.cast())) {
        Some(i) => counts[i] += 1,
        None => {
            tree::any_child(node, &mut |child| {
                count_keys(child, keys, counts);
                false
            });
        }
    }
}

unsafe fn group_entry(query: *mut Query, group_ref: u32) -> Result<*mut TargetEntry> {
    list::<TargetEntry>((*query).targetList)
        .into_iter()
        .find(|te| (**te).ressortgroupref == group_ref)
        .ok_or_else(|| "a group key that is not in the target list".to_string())
}

unsafe fn add_key(cx: &mut Cx, stage: &mut Stage, node: *mut Node, group_ref: u32) -> Result<usize> {
    let folded = param::fold(cx, tree::copy(node));
    let e = expr::translate(cx, folded)?;
    let (id, ty) = (cx.new_col(), e.ty());
    stage.groups.push(Named { id, expr: e });
    stage.keys.push(node);
    stage.refs.push(group_ref);
    let mark = new_mark(cx, id, ty)?;
    stage.marks.push(mark);
    Ok(stage.keys.len() - 1)
}

pub fn new_mark(cx: &mut Cx, id: weir_plan::ir::ColId, ty: PgType) -> Result<usize> {
    let level = cx.levels.last_mut().ok_or("no query level")?;
    level.marks.push((id, ty));
    // `varattno` of a mark is a smallint.
    if level.marks.len() > i16::MAX as usize {
        return Err("too many columns".into());
    }
    Ok(level.marks.len() - 1)
}

unsafe fn rewrite(cx: &mut Cx, stage: &mut Stage, node: *mut Node) -> Result<*mut Node> {
    let mut failed = None;
    let node = replace(cx, stage, node, 0, &mut failed);
    failed.map_or(Ok(node), Err)
}

/// `levels_up`: how many queries (of sublinks) lie between the node and the aggregation's level.
unsafe fn replace(cx: &mut Cx, stage: &mut Stage, node: *mut Node, levels_up: u32, failed: &mut Option<String>) -> *mut Node {
    if node.is_null() || failed.is_some() {
        return node;
    }
    if levels_up == 0
        && tag(node) != NodeTag::T_List
        && let Some(i) = stage.keys.iter().position(|k| tag(*k) == tag(node) && pg_sys::equal((*k).cast(), node.cast()))
        && !stage.constants.contains(&i)
    {
        return mark_var(stage.marks[i], node, 0);
    }
    let result = match tag(node) {
        NodeTag::T_Var if (*node.cast::<Var>()).varlevelsup == levels_up && !tree::is_mark(node.cast()) => ungrouped(cx, stage, node.cast(), levels_up),
        NodeTag::T_Aggref if (*node.cast::<Aggref>()).agglevelsup == levels_up => match hypothetical::counted(node.cast(), stage.has_sets) {
            Ok(Some(counts)) => return replace(cx, stage, counts, levels_up, failed),
            Ok(None) => aggref(cx, stage, node, levels_up),
            Err(why) => Err(why),
        },
        NodeTag::T_GroupingFunc if (*node.cast::<GroupingFunc>()).agglevelsup == levels_up => grouping(cx, stage, node, levels_up),
        NodeTag::T_Query => {
            return map_query(node.cast(), pg_sys::QTW_IGNORE_JOINALIASES, &mut |child| replace(cx, stage, child, levels_up + 1, failed)).cast();
        }
        _ => {
            pg_sys::check_stack_depth();
            return map_children(node, &mut |child| replace(cx, stage, child, levels_up, failed));
        }
    };
    result.unwrap_or_else(|why| {
        *failed = Some(why);
        node
    })
}

/// A column of the input: a group key seen from a sublink, or one that depends on the keys (GROUP BY the primary key), which then
/// becomes a key itself without changing the groups.
unsafe fn ungrouped(cx: &mut Cx, stage: &mut Stage, var: *mut Var, levels_up: u32) -> Result<*mut Node> {
    let own = tree::copy(var);
    (*own).varlevelsup = 0;
    let i = match stage.keys.iter().position(|k| pg_sys::equal((*k).cast(), own.cast())) {
        Some(i) => i,
        None => add_key(cx, stage, own.cast(), 0)?,
    };
    Ok(mark_var(stage.marks[i], var.cast(), levels_up))
}

/// The node as it would stand in the aggregation's own level.
unsafe fn at_own_level(node: *mut Node, levels_up: u32) -> *mut Node {
    let own = tree::copy(node);
    if levels_up > 0 {
        pg_sys::IncrementVarSublevelsUp(own, -(levels_up as i32), levels_up as i32);
    }
    own
}

unsafe fn aggref(cx: &mut Cx, stage: &mut Stage, node: *mut Node, levels_up: u32) -> Result<*mut Node> {
    let own = at_own_level(node, levels_up);
    let known = stage.calls.iter().find(|(n, _)| pg_sys::equal((*n).cast(), own.cast())).map(|(_, mark)| *mark);
    let mark = match known {
        Some(mark) => mark,
        None => {
            let call = agg_call(cx, stage, own.cast())?;
            let (id, ty) = (cx.new_col(), call.ty);
            stage.agg_calls.push(Named { id, expr: call });
            let mark = new_mark(cx, id, ty)?;
            stage.calls.push((own, mark));
            mark
        }
    };
    Ok(mark_var(mark, node, levels_up))
}

unsafe fn grouping(cx: &mut Cx, stage: &mut Stage, node: *mut Node, levels_up: u32) -> Result<*mut Node> {
    let own = at_own_level(node, levels_up);
    let known = stage.calls.iter().find(|(n, _)| pg_sys::equal((*n).cast(), own.cast())).map(|(_, mark)| *mark);
    let mark = match known {
        Some(mark) => mark,
        None => {
            let mut indexes = Vec::new();
            for group_ref in int_list((*own.cast::<GroupingFunc>()).refs) {
                indexes.push(key_index(stage, group_ref)?);
            }
            let id = cx.new_col();
            stage.groupings.push(Named { id, expr: indexes });
            let mark = new_mark(cx, id, PgType::INT4)?;
            stage.calls.push((own, mark));
            mark
        }
    };
    Ok(mark_var(mark, node, levels_up))
}

/// `count(ROW(…))`, where no row is NULL.
unsafe fn count_rows(cx: &mut Cx, agg: &Aggref, row: *mut pg_sys::RowExpr) -> Result<AggCall> {
    let filter = filter_clause(cx, agg.aggfilter)?;
    let distinct = !agg.aggdistinct.is_null();
    let mut args = Vec::new();
    if distinct {
        for node in list::<Node>((*row).args) {
            let e = expr::translate(cx, node)?;
            order::check_equality(&e.ty(), pg_sys::exprCollation(node), "DISTINCT in an aggregate")?;
            args.push(e);
        }
    }
    if args.len() < 2 {
        if distinct {
            return Err("count(DISTINCT) of rows of fewer than two columns".into());
        }
        args = vec![Expr::Const { value: Scalar::Bool(true), ty: PgType::BOOL }];
    }
    Ok(AggCall { func: COUNT, direct: Vec::new(), args, distinct, order_by: Vec::new(), filter, ty: PgType::INT8 })
}

fn key_index(stage: &Stage, group_ref: i32) -> Result<usize> {
    stage.refs.iter().position(|r| i64::from(*r) == i64::from(group_ref)).ok_or_else(|| "a grouping set of an unknown key".to_string())
}

/// One aggregate; its arguments are over the input of the aggregation.
unsafe fn agg_call(cx: &mut Cx, stage: &Stage, agg: *mut Aggref) -> Result<AggCall> {
    let agg = &*agg;
    let name = || types::function_name(agg.aggfnoid);
    if agg.aggvariadic {
        return Err(format!("aggregate {} with VARIADIC", name()));
    }
    let ordered_set = agg.aggkind as u8 == b'o';
    if !ordered_set && agg.aggkind as u8 != b'n' {
        return Err(format!("hypothetical-set aggregate {}", name()));
    }
    let entries = list::<TargetEntry>(agg.args);
    let mut args = Vec::new();
    let mut nodes = Vec::new();
    let mut all = Vec::new();
    for te in &entries {
        let node = param::fold(cx, (**te).expr.cast());
        if agg.aggfnoid.to_u32() == COUNT && tag(node) == NodeTag::T_RowExpr {
            return count_rows(cx, agg, node.cast());
        }
        let e = if (**te).resjunk { expr::translate(cx, node)? } else { json::argument(cx, agg.aggfnoid.to_u32(), node)? };
        if !(**te).resjunk {
            args.push(e.clone());
        }
        nodes.push(node);
        all.push(e);
    }
    let mut direct = Vec::new();
    for node in list::<Node>(agg.aggdirectargs) {
        let node = param::fold(cx, node);
        if tree::depends_on_row(node) {
            return Err(format!("direct argument of {} that is not constant", name()));
        }
        direct.push(expr::translate(cx, node)?);
    }
    // Exact aggregates do not depend on the order of their input; sums of floats do.
    let order_matters =
        ordered_set || ORDER_IS_RESULT.contains(&agg.aggfnoid.to_u32()) || args.iter().any(|a| matches!(a.ty().base, oid::FLOAT4 | oid::FLOAT8));
    let mut order_by = if order_matters { sort_keys(agg.aggorder, &entries, &nodes, &all)? } else { Vec::new() };
    for clause in list::<SortGroupClause>(agg.aggdistinct) {
        let i = entry_index(clause, &entries)?;
        order::check_grouping(clause, nodes[i], "DISTINCT in an aggregate")?;
    }
    let shows_order = ORDER_IS_RESULT.contains(&agg.aggfnoid.to_u32()) && !(agg.aggfnoid.to_u32() == JSONB_OBJECT_AGG && agg.aggdistinct.is_null());
    if shows_order && order_by.is_empty() {
        // Postgres sorts to find the distinct values, and that order is the result's; else that of the rows that it reads.
        order_by = if agg.aggdistinct.is_null() {
            match input_order::known(cx) {
                Some(keys) => keys,
                None if may_be_decided(stage, &args) => Vec::new(),
                None => return Err(format!("{} without ORDER BY", name())),
            }
        } else {
            sort_keys(agg.aggdistinct, &entries, &nodes, &all)?
        };
    }
    if FLOAT_SUMS.contains(&agg.aggfnoid.to_u32()) && cx.session.fidelity == Fidelity::Exact && !may_add_exactly(agg.aggfnoid.to_u32(), &args) {
        return Err(format!("{} is not exact (weir.fidelity = exact)", name()));
    }
    let filter = filter_clause(cx, agg.aggfilter)?;
    // What is sorted by places is not compared again.
    let collation = if ordered_set && order_by.iter().any(order::is_ranked) { pg_sys::Oid::from(C_COLLATION) } else { agg.inputcollid };
    let callee = Callee { func: agg.aggfnoid, operator: None, kind: FunctionKind::Aggregate, over: false, collation };
    let arg_types: Vec<PgType> = direct.iter().chain(&args).map(Expr::ty).collect();
    let ty = result_type(types::pg_type(agg.aggtype, -1)?, &args);
    if MIN_MAX_TEXT.contains(&agg.aggfnoid.to_u32())
        && let Some(locale) = collation::locale(agg.inputcollid)
    {
        direct.push(locale);
    } else {
        call::check(cx, callee, &arg_types)?;
    }
    direct.extend(labels::of_extreme(agg.aggfnoid.to_u32(), ty)?);
    Ok(AggCall { func: agg.aggfnoid.to_u32(), direct, args, distinct: !agg.aggdistinct.is_null(), order_by, filter, ty })
}

/// Whether it is likely that all rows of a group are the same, so that their order does not show; the engine finds out, and refuses
/// otherwise. Known if the arguments are keys of the groups; a query that is to be routed by force is tried.
fn may_be_decided(stage: &Stage, args: &[Expr]) -> bool {
    let same = |e: &Expr| matches!(e, Expr::Const { .. }) || (!stage.has_sets && stage.groups.iter().any(|g| g.expr == *e));
    args.iter().all(same) || crate::settings::route() == crate::settings::Route::force
}

/// Whether it is likely that no partial sum is rounded, which the engine finds out and refuses otherwise: sums of integers, and of float4
/// values in double precision. A query that is to be routed by force is tried.
pub fn may_add_exactly(func: u32, args: &[Expr]) -> bool {
    let widened = |e: &Expr| matches!(e, Expr::Call { func, .. } if WIDENED.contains(func));
    func == AVG_FLOAT4 || args.iter().all(widened) || crate::settings::route() == crate::settings::Route::force
}

/// A FILTER clause as a condition that is never NULL: DataFusion's `count` takes NULL for true where the bit below it is set. (Not by
/// IS TRUE: its physical form is declared nullable, which the planner refuses once it is a common subexpression.)
pub unsafe fn filter_clause(cx: &mut Cx, filter: *mut pg_sys::Expr) -> Result<Option<Expr>> {
    if filter.is_null() {
        return Ok(None);
    }
    let node = param::fold(cx, filter.cast());
    let condition = expr::translate(cx, node)?;
    if columns::has_subquery(&condition) {
        return Ok(Some(Expr::BoolTest { test: BoolTest::IsTrue, arg: Box::new(condition) }));
    }
    let known = Expr::IsNotNull(Box::new(condition.clone()));
    Ok(Some(Expr::And(vec![condition, known])))
}

/// A char(n) that a function passes on keeps its length, alone or as an element, which Postgres forgets in the type but not in the value.
pub fn result_type(ty: PgType, args: &[Expr]) -> PgType {
    let has_length = ty.base == oid::BPCHAR || ty.element().is_some_and(|element| element.base == oid::BPCHAR);
    if !has_length || ty.typmod >= 0 {
        return ty;
    }
    let mut typmods = args.iter().map(Expr::ty).filter(|a| a.base == oid::BPCHAR).map(|a| a.typmod);
    match typmods.next() {
        Some(typmod) if typmods.all(|t| t == typmod) => PgType { typmod, ..ty },
        _ => ty,
    }
}

unsafe fn entry_index(clause: *mut SortGroupClause, entries: &[*mut TargetEntry]) -> Result<usize> {
    entries
        .iter()
        .position(|te| (**te).ressortgroupref == (*clause).tleSortGroupRef)
        .ok_or_else(|| "a sort key that is not an argument of the aggregate".to_string())
}

unsafe fn sort_keys(clauses: *mut pg_sys::List, entries: &[*mut TargetEntry], nodes: &[*mut Node], exprs: &[Expr]) -> Result<Vec<SortKey>> {
    let mut keys = Vec::new();
    for clause in list::<SortGroupClause>(clauses) {
        let i = entry_index(clause, entries)?;
        if columns::has_subquery(&exprs[i]) {
            return Err("ORDER BY a subquery in an aggregate".into());
        }
        keys.push(order::sort_key(clause, nodes[i], exprs[i].clone(), "ORDER BY in an aggregate")?);
    }
    Ok(keys)
}

/// The grouping sets as indexes of the keys; `None` for plain GROUP BY.
unsafe fn grouping_sets(sets: *mut pg_sys::List, stage: &Stage, distinct: bool) -> Result<Option<Vec<Vec<usize>>>> {
    if sets.is_null() {
        return Ok(None);
    }
    // The cross product of what each element of the list expands to.
    let mut product: Vec<Vec<i32>> = vec![Vec::new()];
    for set in list::<GroupingSet>(sets) {
        let expanded = expand(set)?;
        if product.len().saturating_mul(expanded.len()) > MAX_GROUPING_SETS {
            return Err("too many grouping sets".into());
        }
        product = product.iter().flat_map(|left| expanded.iter().map(move |right| union(left, right))).collect();
    }
    if distinct {
        let mut seen = std::collections::HashSet::new();
        product.retain(|set| {
            let mut sorted = set.clone();
            sorted.sort_unstable();
            seen.insert(sorted)
        });
    }
    let dependent: Vec<usize> = (0..stage.refs.len()).filter(|i| stage.refs[*i] == 0).collect();
    let mut result = Vec::new();
    for set in product {
        let mut indexes = set.into_iter().map(|r| key_index(stage, r)).collect::<Result<Vec<_>>>()?;
        indexes.extend(&dependent);
        result.push(indexes);
    }
    if let [only] = result.as_slice()
        && only.len() == stage.keys.len()
    {
        return Ok(None);
    }
    Ok(Some(result))
}

fn union(left: &[i32], right: &[i32]) -> Vec<i32> {
    let mut all = left.to_vec();
    for r in right {
        if !all.contains(r) {
            all.push(*r);
        }
    }
    all
}

/// Source: `expand_groupingset_node` in `parse_agg.c`.
unsafe fn expand(set: *mut GroupingSet) -> Result<Vec<Vec<i32>>> {
    pg_sys::check_stack_depth();
    let content = (*set).content;
    match (*set).kind {
        GroupingSetKind::GROUPING_SET_EMPTY => Ok(vec![Vec::new()]),
        GroupingSetKind::GROUPING_SET_SIMPLE => Ok(vec![int_list(content)]),
        GroupingSetKind::GROUPING_SET_ROLLUP => {
            let parts: Vec<Vec<i32>> = list::<GroupingSet>(content).iter().map(|s| int_list((**s).content)).collect();
            Ok((0..=parts.len()).rev().map(|n| parts[..n].iter().fold(Vec::new(), |acc, p| union(&acc, p))).collect())
        }
        GroupingSetKind::GROUPING_SET_CUBE => {
            let parts: Vec<Vec<i32>> = list::<GroupingSet>(content).iter().map(|s| int_list((**s).content)).collect();
            if parts.len() > 12 {
                return Err("CUBE with more than 12 elements".into());
            }
            Ok((0..1u32 << parts.len())
                .map(|mask| parts.iter().enumerate().filter(|(i, _)| mask >> i & 1 == 1).fold(Vec::new(), |acc, (_, p)| union(&acc, p)))
                .collect())
        }
        GroupingSetKind::GROUPING_SET_SETS => {
            let mut all = Vec::new();
            for inner in list::<GroupingSet>(content) {
                all.extend(expand(inner)?);
            }
            Ok(all)
        }
        other => Err(format!("grouping set of kind {other}")),
    }
}
