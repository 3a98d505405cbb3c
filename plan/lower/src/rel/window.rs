//! OVER: window functions and aggregates over windows.
//!
//! All functions of one partition and order go into one node of DataFusion, so that they see ties in one order, as in Postgres.

use super::expr::{Scope, branches, is_true};
use super::floats::FloatSum;
use super::frame::Framing;
use super::framed::{self, Inner};
use super::keys::group_key;
use super::node::{Domain, Node, column, named, physical};
use super::shift::{ntile_of_argument, shift_by, shift_by_argument};
use super::silent::silent;
use super::{Lowerer, frame};
use crate::agg::{self, AggArgs};
use crate::error::{raise, refused};
use crate::value::{DScale, Value};
use arrow::datatypes::DataType;
use datafusion::common::{Result, ScalarValue};
use datafusion::functions_aggregate::count::count_udaf;
use datafusion::functions_window::cume_dist::cume_dist_udwf;
use datafusion::functions_window::lead_lag::{lag_udwf, lead_udwf};
use datafusion::functions_window::nth_value::{first_value_udwf, last_value_udwf, nth_value_udwf};
use datafusion::functions_window::rank::{dense_rank_udwf, percent_rank_udwf, rank_udwf};
use datafusion::functions_window::row_number::row_number_udwf;
use datafusion::logical_expr::expr::{WindowFunction, WindowFunctionParams};
use datafusion::logical_expr::{Expr as DfExpr, SortExpr, WindowFrame, WindowFunctionDefinition, WindowUDF, cast, lit, when};
use std::sync::Arc;
use weir_plan::ir::{ColId, Collation, Named, Rel, WindowCall};
use weir_plan::types::PgType;

/// A call with OVER.
pub(super) fn over(
    fun: impl Into<WindowFunctionDefinition>,
    args: Vec<DfExpr>,
    partition_by: Vec<DfExpr>,
    order_by: Vec<SortExpr>,
    window_frame: WindowFrame,
    filter: Option<DfExpr>,
) -> DfExpr {
    let params = WindowFunctionParams { args, partition_by, order_by, window_frame, filter: filter.map(Box::new), null_treatment: None, distinct: false };
    DfExpr::WindowFunction(Box::new(WindowFunction { fun: fun.into(), params }))
}

/// The functions of one partition and order.
struct Group {
    partition: Vec<DfExpr>,
    order: Vec<SortExpr>,
    calls: Vec<DfExpr>,
}

/// The window functions of one node, by partition and order.
struct Windows {
    groups: Vec<Group>,
    next: u32,
}

impl Windows {
    /// The column in which the call's result will be.
    fn add(&mut self, window: &Window, fun: impl Into<WindowFunctionDefinition>, args: Vec<DfExpr>, frame: WindowFrame, filter: Option<DfExpr>) -> DfExpr {
        let call = over(silent(fun.into()), args, window.partition.clone(), window.order.clone(), frame, filter);
        self.next += 1;
        let name = format!("w{}", self.next);
        // One window function twice in a node makes DataFusion move it into a projection, which it then cannot plan.
        let known = self.groups.iter().flat_map(|g| &g.calls).find_map(|c| match c {
            DfExpr::Alias(a) if *a.expr == call => Some(a.name.clone()),
            _ => None,
        });
        if let Some(known) = known {
            return column(known);
        }
        let call = call.alias(&name);
        match self.groups.iter_mut().find(|g| g.partition == window.partition && g.order == window.order) {
            Some(group) => group.calls.push(call),
            None => self.groups.push(Group { partition: window.partition.clone(), order: window.order.clone(), calls: vec![call] }),
        }
        column(name)
    }
}

struct Window {
    partition: Vec<DfExpr>,
    order: Vec<SortExpr>,
    frame: Framing,
    filter: Option<DfExpr>,
}

impl Window {
    /// For functions that do not look at the frame. (DataFusion computes it all the same, and RANGE not over every type.)
    fn whole(&self) -> WindowFrame {
        frame::rows_so_far()
    }

    /// A function over the frame as we compute it ourselves.
    fn own(&self, inner: Inner, mut args: Vec<DfExpr>) -> (Arc<WindowUDF>, Vec<DfExpr>) {
        args.extend(self.filter.clone());
        let udf = framed::framed(inner, args.len(), self.filter.is_some(), self.frame.own.clone());
        args.extend(self.order.iter().map(|k| k.expr.clone()));
        args.extend(self.frame.columns.iter().cloned());
        (udf, args)
    }
}

/// A window function waiting for its columns.
type Pending = (ColId, PgType, Box<dyn FnOnce() -> Result<Value>>);

impl Lowerer<'_> {
    pub(super) fn window(&mut self, input: &Rel, functions: &[Named<WindowCall>], domain: Option<&Domain>) -> Result<Node> {
        let mut node = self.rel(input, domain)?;
        let mut calls = Vec::new();
        for n in functions {
            let c = &n.expr;
            let (next, args) = self.absorb(node, &c.args)?;
            let (next, filter) = self.absorb(next, &c.filter)?;
            let (next, partition_by) = self.absorb(next, &c.partition_by)?;
            let (next, order_by) = self.absorb_keys(next, &c.order_by)?;
            let mut within: Vec<DfExpr> = next.dom.iter().flat_map(|(_, v)| physical(v)).collect();
            for e in &partition_by {
                within.push(group_key(&self.expr(e, &Scope::of(&next))?)?.expr);
            }
            let (next, order_by) = self.with_ranks(next, order_by, within)?;
            node = next;
            calls.push((n.id, WindowCall { args, filter: filter.into_iter().next(), partition_by, order_by, ..c.clone() }));
        }
        let mut windows = Windows { groups: vec![], next: self.fresh() };
        let mut pending: Vec<Pending> = Vec::new();
        for (id, call) in &calls {
            let scope = Scope::of(&node);
            let mut partition: Vec<DfExpr> = node.dom.iter().flat_map(|(_, v)| physical(v)).collect();
            for e in &call.partition_by {
                partition.push(group_key(&self.expr(e, &scope)?)?.expr);
            }
            let values = call.order_by.iter().map(|k| self.expr(&k.expr, &scope)).collect::<Result<Vec<_>>>()?;
            // A constant orders nothing, and makes DataFusion's planner drop the sort of the next window. (An offset of RANGE counts
            // from it.)
            let (order_by, order_values): (Vec<_>, Vec<_>) = call
                .order_by
                .iter()
                .cloned()
                .zip(values)
                .filter(|(_, v)| frame::counts_from_key(&call.frame) || !matches!(v.expr, DfExpr::Literal(..)))
                .unzip();
            let order = self.sort_exprs(&order_by, &scope)?;
            let frame = self.frame(&call.frame, &order_by, &order_values)?;
            let window = Window { partition, order, frame, filter: call.filter.as_ref().map(|f| self.expr(f, &scope)).transpose()?.map(|v| is_true(v.expr)) };
            let args = self.exprs(&call.args, &scope)?;
            pending.push((*id, call.ty, self.window_call(call, args, &window, &scope, &mut windows)?));
        }
        self.next = windows.next;
        for group in windows.groups {
            node = node.map_plan(|p| p.window(group.calls))?;
        }
        let (mut exprs, mut added) = (Vec::new(), Vec::new());
        for (id, ty, finish) in pending {
            let mut value = finish()?;
            value.ty = ty;
            let (e, v) = named(&super::node::name_of(id), &value);
            exprs.extend(e);
            added.push((id, v));
        }
        let mut node = node.extend(exprs)?;
        for (id, v) in added {
            node.cols.insert(id, v);
            node.order.push(id);
        }
        Ok(node)
    }

    fn window_call(
        &self,
        call: &WindowCall,
        args: Vec<Value>,
        window: &Window,
        scope: &Scope<'_>,
        windows: &mut Windows,
    ) -> Result<Box<dyn FnOnce() -> Result<Value>>> {
        let mut args = args.into_iter();
        let (first, second, third) = (args.next(), args.next(), args.next());
        let missing = || refused(format!("window function {} with wrong arguments", call.func));
        let mut rank = |udf: Arc<WindowUDF>, arrow: DataType, ty: PgType| -> Result<Box<dyn FnOnce() -> Result<Value>>> {
            let c = windows.add(window, udf, vec![], window.whole(), None);
            let expr = cast(c, arrow.clone());
            Ok(Box::new(move || Ok(Value::new(expr, arrow, ty))))
        };
        match call.func {
            3100 => rank(row_number_udwf(), DataType::Int64, PgType::INT8),
            3101 => rank(rank_udwf(), DataType::Int64, PgType::INT8),
            3102 => rank(dense_rank_udwf(), DataType::Int64, PgType::INT8),
            3103 => rank(percent_rank_udwf(), DataType::Float64, PgType::FLOAT8),
            3104 => rank(cume_dist_udwf(), DataType::Float64, PgType::FLOAT8),
            3105 => ntile(first.ok_or_else(missing)?, window, windows),
            3106..=3111 => {
                let back = call.func < 3109;
                let by = match second {
                    None => By::Rows(if back { 1 } else { -1 }),
                    Some(v) => match integer(&v) {
                        Some(None) => return nothing(&first.ok_or_else(missing)?),
                        Some(Some(n)) => By::Rows(if back { n } else { -n }),
                        None => By::Argument { back, rows: v.expr },
                    },
                };
                shifted(first.ok_or_else(missing)?, by, third, call.ty, window, windows)
            }
            3112 => Ok(in_frame(first_value_udwf(), &Inner::First, first.ok_or_else(missing)?, None, window, windows)),
            3113 => Ok(in_frame(last_value_udwf(), &Inner::Last, first.ok_or_else(missing)?, None, window, windows)),
            3114 => {
                let (value, place) = (first.ok_or_else(missing)?, second.ok_or_else(missing)?);
                match integer(&place) {
                    None => Ok(nth_of_argument(value, &place.expr, window, windows)),
                    Some(None) => nothing(&value),
                    Some(Some(n)) if n <= 0 => Err(raise("22016", "argument of nth_value must be greater than zero")),
                    Some(Some(n)) => Ok(in_frame(nth_value_udwf(), &Inner::Nth(n.unsigned_abs()), value, Some(n), window, windows)),
                }
            }
            _ => {
                let args = [first, second, third].into_iter().flatten().chain(args).collect();
                self.aggregate_over(call, args, window, scope, windows)
            }
        }
    }

    fn aggregate_over(
        &self,
        call: &WindowCall,
        args: Vec<Value>,
        window: &Window,
        scope: &Scope<'_>,
        windows: &mut Windows,
    ) -> Result<Box<dyn FnOnce() -> Result<Value>>> {
        if let Some(sum) = float_sum(call.func) {
            let value = args.first().ok_or_else(|| refused("a sum of nothing"))?;
            let (udf, args) = window.own(Inner::Floats(sum), vec![value.cast_to(&DataType::Float64)]);
            let value = Value::new(windows.add(window, udf, args, window.whole(), None), sum.data_type(), call.ty);
            return Ok(Box::new(move || Ok(value)));
        }
        let mut args = args;
        // min and max get the labels of an enum, or the locale of text, as their last argument.
        let has_direct = matches!(call.func, 3526 | 3527) || (matches!(call.func, 2129 | 2145 | 2244 | 2245) && args.len() == 2);
        let direct = if has_direct { args.pop().into_iter().collect() } else { vec![] };
        let args = AggArgs {
            func: call.func,
            direct,
            args,
            distinct: false,
            order_by: vec![],
            windowed: true,
            ty: call.ty,
            collation: Collation::None,
            session: self.session,
        };
        let lowered = agg::lower(&args)?;
        let mut parts = Vec::new();
        for p in lowered.parts {
            if p.distinct || !p.order_by.is_empty() {
                return Err(refused(format!("aggregate {} over a window", call.func)));
            }
            let types = p.args.iter().map(|a| scope.type_of(a)).collect::<Result<Vec<_>>>()?;
            if agg::collects(&p.udf).is_some() {
                let (udf, args) = window.own(Inner::Collect(p.udf), p.args);
                parts.push(windows.add(window, udf, args, window.whole(), None));
                continue;
            }
            match &window.frame.datafusion {
                Some(frame) if !window.frame.slides() || framed::can_slide(&p.udf, &types)? => {
                    parts.push(windows.add(window, p.udf, p.args, frame.clone(), window.filter.clone()));
                }
                _ => {
                    let (udf, args) = window.own(Inner::Aggregate(p.udf), p.args);
                    parts.push(windows.add(window, udf, args, window.whole(), None));
                }
            }
        }
        let finish = lowered.finish;
        Ok(Box::new(move || finish(parts)))
    }
}

/// An integer argument that is a constant.
fn integer(value: &Value) -> Option<Option<i64>> {
    match &value.expr {
        DfExpr::Literal(v, _) if v.is_null() => Some(None),
        DfExpr::Literal(ScalarValue::Int32(Some(n)), _) => Some(Some(i64::from(*n))),
        DfExpr::Literal(ScalarValue::Int64(Some(n)), _) => Some(Some(*n)),
        _ => None,
    }
}

/// sum and avg of float4 and float8.
fn float_sum(func: u32) -> Option<FloatSum> {
    match func {
        2110 => Some(FloatSum::Single),
        2111 => Some(FloatSum::Double),
        2104 | 2105 => Some(FloatSum::Average),
        _ => None,
    }
}

fn nothing(like: &Value) -> Result<Box<dyn FnOnce() -> Result<Value>>> {
    let mut value = like.clone();
    value.expr = DfExpr::Literal(ScalarValue::try_from(&like.arrow)?, None);
    if let Some(DScale::Dynamic(scale)) = &mut value.dscale {
        *scale = DfExpr::Literal(ScalarValue::Int16(None), None);
    }
    Ok(Box::new(move || Ok(value)))
}

/// The first buckets get one row more (`window_ntile` in `windowfuncs.c`; DataFusion spreads them).
fn ntile(buckets: Value, window: &Window, windows: &mut Windows) -> Result<Box<dyn FnOnce() -> Result<Value>>> {
    let n = match integer(&buckets) {
        None => {
            let value = Value::new(windows.add(window, ntile_of_argument(), vec![buckets.expr], window.whole(), None), DataType::Int32, PgType::INT4);
            return Ok(Box::new(move || Ok(value)));
        }
        Some(None) => return nothing(&Value::new(buckets.expr, DataType::Int32, PgType::INT4)),
        Some(Some(n)) => n,
    };
    if n <= 0 {
        return Err(raise("22014", "argument of ntile must be greater than zero"));
    }
    let row = cast(windows.add(window, row_number_udwf(), vec![], window.whole(), None), DataType::Int64) - lit(1i64);
    let total = windows.add(window, count_udaf(), vec![lit(1i64)], frame::all_rows(), None);
    let (small, larger) = (total.clone() / lit(n), total % lit(n));
    let in_larger = larger.clone() * (small.clone() + lit(1i64));
    let bucket =
        when(row.clone().lt(in_larger.clone()), row.clone() / (small.clone() + lit(1i64))).otherwise((row - in_larger) / small.clone() + larger)? + lit(1i64);
    Ok(Box::new(move || Ok(Value::new(cast(bucket, DataType::Int32), DataType::Int32, PgType::INT4))))
}

/// How far lag looks back (lead looks a negative number of rows).
enum By {
    Rows(i64),
    Argument { back: bool, rows: DfExpr },
}

/// lag and lead. The default is evaluated for the current row.
fn shifted(value: Value, by: By, default: Option<Value>, ty: PgType, window: &Window, windows: &mut Windows) -> Result<Box<dyn FnOnce() -> Result<Value>>> {
    let distance = match &by {
        By::Rows(n) => i64::try_from(n.unsigned_abs()).map_err(|_| refused("lag or lead over so many rows"))?,
        By::Argument { .. } => 0,
    };
    let mut shift = |e: DfExpr, null: ScalarValue| match &by {
        By::Argument { back, rows } => windows.add(window, shift_by_argument(*back), vec![e, rows.clone()], window.whole(), None),
        // A whole partition is held anyway.
        By::Rows(n) if !window.partition.is_empty() => windows.add(window, shift_by(*n), vec![e], window.whole(), None),
        By::Rows(n) => {
            let udf = if *n < 0 { lead_udwf() } else { lag_udwf() };
            windows.add(window, udf, vec![e, lit(distance), DfExpr::Literal(null, None)], window.whole(), None)
        }
    };
    let mut there = value.clone();
    there.expr = shift(value.expr.clone(), ScalarValue::try_from(&value.arrow)?);
    if let Some(DScale::Dynamic(scale)) = &value.dscale {
        there.dscale = Some(DScale::Dynamic(shift(scale.clone(), ScalarValue::Int16(None))));
    }
    let Some(default) = default else { return Ok(Box::new(move || Ok(there))) };
    let exists = shift(lit(true), ScalarValue::Boolean(None));
    match by {
        By::Rows(_) => Ok(Box::new(move || branches(vec![(exists, there)], Some(default), ty))),
        // The value is NULL if the number of rows is.
        By::Argument { rows, .. } => Ok(Box::new(move || branches(vec![(exists, there), (rows.is_not_null(), default)], None, ty))),
    }
}

fn nth_of_argument(value: Value, place: &DfExpr, window: &Window, windows: &mut Windows) -> Box<dyn FnOnce() -> Result<Value>> {
    let mut pick = |e: DfExpr| {
        let (udf, args) = window.own(Inner::NthOfArgument, vec![e, place.clone()]);
        windows.add(window, udf, args, window.whole(), None)
    };
    let mut there = value.clone();
    there.expr = pick(value.expr.clone());
    if let Some(DScale::Dynamic(scale)) = &value.dscale {
        there.dscale = Some(DScale::Dynamic(pick(scale.clone())));
    }
    Box::new(move || Ok(there))
}

fn in_frame(udf: Arc<WindowUDF>, own: &Inner, value: Value, n: Option<i64>, window: &Window, windows: &mut Windows) -> Box<dyn FnOnce() -> Result<Value>> {
    let mut pick = |e: DfExpr| match &window.frame.datafusion {
        Some(frame) => {
            let args = std::iter::once(e).chain(n.map(lit)).collect();
            windows.add(window, Arc::clone(&udf), args, frame.clone(), None)
        }
        None => {
            let (udf, args) = window.own(own.clone(), vec![e]);
            windows.add(window, udf, args, window.whole(), None)
        }
    };
    let mut there = value.clone();
    there.expr = pick(value.expr.clone());
    if let Some(DScale::Dynamic(scale)) = &value.dscale {
        there.dscale = Some(DScale::Dynamic(pick(scale.clone())));
    }
    Box::new(move || Ok(there))
}
