//! Window functions.

use super::agg::{FLOAT_SUMS, MIN_MAX_TEXT, ORDER_IS_RESULT, filter_clause, may_add_exactly, new_mark, result_type};
use super::call::{self, Callee};
use super::query::entry_of;
use super::tree::{self, list, map_children, mark_var, tag};
use super::{Cx, Result, collation, columns, expr, input_order, order, param, types, unused};
use pg_sys::{Node, NodeTag, Query, SortGroupClause, TargetEntry, WindowClause, WindowFunc};
use pgrx::pg_sys;
use weir_plan::functions::FunctionKind;
use weir_plan::ir::{Bound, Exclude, Expr, Fidelity, Frame, FrameUnits, Named, Rel, SortKey, WindowCall};
use weir_plan::types::PgType;

/// Window functions that say something definite also of rows without an order: rank, dense_rank, percent_rank, cume_dist.
const PEERS_DECIDE: &[u32] = &[3101, 3102, 3103, 3104];

/// What all functions over one window share.
#[derive(Clone)]
struct Over {
    winref: u32,
    partition_by: Vec<Expr>,
    order_by: Vec<SortKey>,
    /// Rows differ by some of `order_by`.
    is_ordered: bool,
    frame: Frame,
}

/// Puts the window functions of the current level above `input` and rewrites `exprs` (of `entries`) to use their columns.
pub unsafe fn windows(cx: &mut Cx, query: *mut Query, input: Rel, entries: &[*mut TargetEntry], exprs: &mut [*mut Node]) -> Result<Rel> {
    let mut made = Made::default();
    let mut known: Vec<(*mut Node, usize)> = Vec::new();
    let mut functions = Vec::new();
    let before = exprs.to_vec();
    for e in exprs.iter_mut() {
        let mut failed = None;
        *e = replace(*e, &mut |func| {
            if failed.is_some() {
                return func;
            }
            if let Some((_, mark)) = known.iter().find(|(n, _)| pg_sys::equal((*n).cast(), func.cast())) {
                return mark_var(*mark, func, 0);
            }
            let call = window_call(cx, query, func.cast(), entries, &before, &mut made).and_then(|call| {
                let (id, ty) = (cx.new_col(), call.ty);
                functions.push(Named { id, expr: call });
                new_mark(cx, id, ty)
            });
            match call {
                Ok(mark) => {
                    known.push((func, mark));
                    mark_var(mark, func, 0)
                }
                Err(why) => {
                    failed = Some(why);
                    func
                }
            }
        });
        if let Some(why) = failed {
            return Err(why);
        }
    }
    // The keys of a window stay where no function needs them, and conditions do not pass it.
    let mut unseen = Vec::new();
    for w in list::<WindowClause>((*query).windowClause) {
        if made.overs.iter().any(|over| over.winref == (*w).winref) {
            continue;
        }
        for c in list::<SortGroupClause>((*w).partitionClause).into_iter().chain(list::<SortGroupClause>((*w).orderClause)) {
            unseen.push(before[entry_of(c, entries)?]);
        }
    }
    let input = unused::fenced_nodes(cx, input, &unseen, false)?;
    Ok(if functions.is_empty() { input } else { Rel::Window { input: Box::new(with(input, made.beforehand)), functions } })
}

/// What the functions of one query level have made so far.
#[derive(Default)]
struct Made {
    overs: Vec<Over>,
    /// Expressions with subqueries, which are columns before the windows are made.
    beforehand: Vec<Named<Expr>>,
}

impl Made {
    fn settled(&mut self, cx: &mut Cx, e: Expr) -> Expr {
        if !columns::has_subquery(&e) {
            return e;
        }
        let (id, ty) = (cx.new_col(), e.ty());
        self.beforehand.push(Named { id, expr: e });
        Expr::Column { id, ty }
    }
}

/// The relation with further columns.
fn with(input: Rel, further: Vec<Named<Expr>>) -> Rel {
    if further.is_empty() {
        return input;
    }
    let mut own = Vec::new();
    columns::typed_columns(&input, &mut own);
    let exprs = own.into_iter().map(|(id, ty)| Named { id, expr: Expr::Column { id, ty } }).chain(further).collect();
    Rel::Project { input: Box::new(input), exprs }
}

/// A copy in which each window function of this level is what `f` makes of it. (One in a sublink belongs to the sublink.)
unsafe fn replace(node: *mut Node, f: &mut dyn FnMut(*mut Node) -> *mut Node) -> *mut Node {
    if node.is_null() || tag(node) == NodeTag::T_Query {
        return node;
    }
    if tag(node) == NodeTag::T_WindowFunc {
        return f(node);
    }
    pg_sys::check_stack_depth();
    map_children(node, &mut |child| replace(child, f))
}

unsafe fn window_call(
    cx: &mut Cx,
    query: *mut Query,
    func: *mut WindowFunc,
    entries: &[*mut TargetEntry],
    exprs: &[*mut Node],
    made: &mut Made,
) -> Result<WindowCall> {
    let func = &*func;
    let mut args = Vec::new();
    for node in list::<Node>(func.args) {
        let node = param::fold(cx, node);
        let arg = expr::translate(cx, node)?;
        args.push(made.settled(cx, arg));
    }
    let filter = filter_clause(cx, func.aggfilter)?.map(|condition| made.settled(cx, condition));
    let kind = if func.winagg { FunctionKind::Aggregate } else { FunctionKind::Window };
    let callee = Callee { func: func.winfnoid, operator: None, kind, over: true, collation: func.inputcollid };
    let arg_types: Vec<PgType> = args.iter().map(Expr::ty).collect();
    let ty = result_type(types::pg_type(func.wintype, -1)?, &args);
    match collation::locale(func.inputcollid).filter(|_| MIN_MAX_TEXT.contains(&func.winfnoid.to_u32())) {
        Some(locale) => args.push(locale),
        None => {
            call::check(cx, callee, &arg_types)?;
        }
    }
    args.extend(super::labels::of_extreme(func.winfnoid.to_u32(), ty)?);
    let at = match made.overs.iter().position(|o| o.winref == func.winref) {
        Some(at) => at,
        None => {
            let clause = list::<WindowClause>((*query).windowClause)
                .into_iter()
                .find(|w| (**w).winref == func.winref)
                .ok_or("a window that is not in the WINDOW clause")?;
            let over = over(cx, clause, entries, exprs, made)?;
            made.overs.push(over);
            made.overs.len() - 1
        }
    };
    let mut over = made.overs[at].clone();
    let id = func.winfnoid.to_u32();
    let order_decides = if func.winagg { ORDER_IS_RESULT.contains(&id) || has_rows_of_its_own(&over.frame) } else { !PEERS_DECIDE.contains(&id) };
    if order_decides {
        as_read(cx, query, &mut over);
        if !over.is_ordered {
            return Err(format!("{} OVER a window without ORDER BY", types::function_name(func.winfnoid)));
        }
    }
    // With an order that decides, sums are computed as Postgres does; that it does is found out last.
    if FLOAT_SUMS.contains(&func.winfnoid.to_u32()) && cx.session.fidelity == Fidelity::Exact && !may_add_exactly(func.winfnoid.to_u32(), &args) {
        return Err(format!("{} OVER a window is not known to be exact (weir.fidelity = exact)", types::function_name(func.winfnoid)));
    }
    Ok(WindowCall { func: func.winfnoid.to_u32(), ty, args, filter, partition_by: over.partition_by, order_by: over.order_by, frame: over.frame })
}

/// Whether the frame has other rows for one row than for the next where no order tells them apart.
fn has_rows_of_its_own(frame: &Frame) -> bool {
    frame.units == FrameUnits::Rows && !(frame.start == Bound::UnboundedPreceding && frame.end == Bound::UnboundedFollowing)
}

/// A window over all rows as they come is one in the order of the rows that are read. (Not for functions that look at peers: without an
/// order all rows are.)
unsafe fn as_read(cx: &Cx, query: *mut Query, over: &mut Over) {
    let clause = list::<WindowClause>((*query).windowClause).into_iter().find(|w| (**w).winref == over.winref);
    if over.is_ordered || !clause.is_some_and(|w| input_order::is_without_order(query, w)) {
        return;
    }
    let Some(keys) = input_order::known(cx) else { return };
    if over.frame.units != FrameUnits::Rows {
        let is_whole = over.frame.start == Bound::UnboundedPreceding && matches!(over.frame.end, Bound::CurrentRow | Bound::UnboundedFollowing);
        if !is_whole || over.frame.exclude != Exclude::NoOthers {
            return;
        }
        over.frame = Frame { units: FrameUnits::Rows, start: Bound::UnboundedPreceding, end: Bound::UnboundedFollowing, exclude: Exclude::NoOthers };
    }
    over.is_ordered = !keys.is_empty();
    over.order_by = keys;
}

unsafe fn over(cx: &mut Cx, clause: *mut WindowClause, entries: &[*mut TargetEntry], exprs: &[*mut Node], made: &mut Made) -> Result<Over> {
    let w = &*clause;
    let mut partition_by = Vec::new();
    for c in list::<SortGroupClause>(w.partitionClause) {
        let i = entry_of(c, entries)?;
        let node = param::fold(cx, exprs[i]);
        order::check_grouping(c, node, "PARTITION BY")?;
        if !input_order::is_same_for_all((*entries[i]).expr.cast()) {
            let key = expr::translate(cx, node)?;
            partition_by.push(made.settled(cx, key));
        }
    }
    let mut order_by = Vec::new();
    let mut is_ordered = false;
    // Distances are those of a key, though all rows have the same.
    let needs_keys = w.frameOptions as u32 & (pg_sys::FRAMEOPTION_GROUPS | pg_sys::FRAMEOPTION_START_OFFSET | pg_sys::FRAMEOPTION_END_OFFSET) != 0;
    for c in list::<SortGroupClause>(w.orderClause) {
        let i = entry_of(c, entries)?;
        let node = param::fold(cx, exprs[i]);
        if !input_order::is_same_for_all((*entries[i]).expr.cast()) {
            is_ordered = true;
        } else if !needs_keys {
            continue;
        }
        let e = expr::translate(cx, node)?;
        let e = made.settled(cx, e);
        order_by.push(order::sort_key(c, node, e, "ORDER BY in a window")?);
    }
    let frame = frame(cx, w, &order_by)?;
    Ok(Over { winref: w.winref, partition_by, order_by, is_ordered, frame })
}

unsafe fn frame(cx: &mut Cx, w: &WindowClause, order_by: &[SortKey]) -> Result<Frame> {
    let has = |option: u32| w.frameOptions as u32 & option != 0;
    let units = if has(pg_sys::FRAMEOPTION_ROWS) {
        FrameUnits::Rows
    } else if has(pg_sys::FRAMEOPTION_GROUPS) {
        FrameUnits::Groups
    } else {
        FrameUnits::Range
    };
    let start = if has(pg_sys::FRAMEOPTION_START_UNBOUNDED_PRECEDING) {
        Bound::UnboundedPreceding
    } else if has(pg_sys::FRAMEOPTION_START_CURRENT_ROW) {
        Bound::CurrentRow
    } else if has(pg_sys::FRAMEOPTION_START_OFFSET_PRECEDING) {
        Bound::Preceding(offset(cx, w.startOffset)?)
    } else if has(pg_sys::FRAMEOPTION_START_OFFSET_FOLLOWING) {
        Bound::Following(offset(cx, w.startOffset)?)
    } else {
        return Err("a window frame of an unknown kind".into());
    };
    let end = if has(pg_sys::FRAMEOPTION_END_UNBOUNDED_FOLLOWING) {
        Bound::UnboundedFollowing
    } else if has(pg_sys::FRAMEOPTION_END_CURRENT_ROW) {
        Bound::CurrentRow
    } else if has(pg_sys::FRAMEOPTION_END_OFFSET_PRECEDING) {
        Bound::Preceding(offset(cx, w.endOffset)?)
    } else if has(pg_sys::FRAMEOPTION_END_OFFSET_FOLLOWING) {
        Bound::Following(offset(cx, w.endOffset)?)
    } else {
        return Err("a window frame of an unknown kind".into());
    };
    if units == FrameUnits::Range && has(pg_sys::FRAMEOPTION_START_OFFSET | pg_sys::FRAMEOPTION_END_OFFSET) && order_by.len() != 1 {
        return Err("RANGE with an offset over other than one column".into());
    }
    let exclude = if has(pg_sys::FRAMEOPTION_EXCLUDE_CURRENT_ROW) {
        Exclude::CurrentRow
    } else if has(pg_sys::FRAMEOPTION_EXCLUDE_GROUP) {
        Exclude::Group
    } else if has(pg_sys::FRAMEOPTION_EXCLUDE_TIES) {
        Exclude::Ties
    } else {
        Exclude::NoOthers
    };
    Ok(Frame { units, start, end, exclude })
}

unsafe fn offset(cx: &mut Cx, node: *mut Node) -> Result<Expr> {
    let node = param::fold(cx, node);
    if tree::depends_on_row(node) {
        return Err("a frame offset with a subquery".into());
    }
    expr::translate(cx, node)
}
