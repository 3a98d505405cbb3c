//! Functions in FROM: SQL functions that Postgres would inline, and series and arrays of constants, which become rows of values.

use super::from::{self, set_column};
use super::tree::{self, list, tag};
use super::{Cx, Result, constant, each, expr, input_order, normalise, param, record, srf, types};
use pg_sys::{Const, Datum, FuncExpr, Node, NodeTag, Query, RTEKind, RangeTblEntry, RangeTblFunction};
use pgrx::pg_sys;
use std::collections::BTreeSet;
use weir_plan::ir::{Expand, Expr, Rel, Scalar};
use weir_plan::types::PgType;

/// A longer series is left to Postgres: its rows would travel with the plan.
const MAX_ROWS: usize = 10_000;

/// Casts that are only stable because they depend on `TimeZone`, which a plan is bound to: date and timestamp to timestamptz.
const DEPEND_ON_TIME_ZONE: &[u32] = &[1174, 2028];

pub unsafe fn function(cx: &mut Cx, rti: u32, rte: *mut RangeTblEntry, used: &BTreeSet<i16>) -> Result<Rel> {
    let functions = list::<RangeTblFunction>((*rte).functions);
    let &[function] = functions.as_slice() else { return side_by_side(cx, rti, rte, &functions) };
    let call = param::fold(cx, (*function).funcexpr);
    (*function).funcexpr = call;
    if tag(call) != NodeTag::T_FuncExpr {
        return Err("a function in FROM that is not a plain call".into());
    }
    if let Some(rel) = record::rows(cx, rti, rte, function, used)? {
        return Ok(rel);
    }
    let inlined = pg_sys::inline_set_returning_function(cx.root, rte);
    if !inlined.is_null() {
        normalise::normalise(inlined);
        (*rte).subquery = inlined;
        return from::subquery(cx, rti, rte, used);
    }
    let f = call.cast::<FuncExpr>();
    let rows = match rows(cx, f) {
        Ok(rows) => rows,
        Err(why) => return expand(cx, rti, rte, &[f]).map_err(|other| if (*f).funcretset { other } else { why }),
    };
    let element = types::pg_type((*f).funcresulttype, -1)?;
    let (value_id, ordinal_id) = (cx.new_col(), cx.new_col());
    let mut columns = vec![(value_id, element)];
    set_column(cx, rti, 1, Ok((value_id, element)));
    if (*rte).funcordinality {
        columns.push((ordinal_id, PgType::INT8));
        set_column(cx, rti, 2, Ok((ordinal_id, PgType::INT8)));
    }
    let with_ordinal = (*rte).funcordinality || input_order::is_wanted(cx);
    if with_ordinal && !(*rte).funcordinality {
        columns.push((ordinal_id, PgType::INT8));
    }
    if with_ordinal && input_order::is_wanted(cx) {
        input_order::note_numbers(cx, ordinal_id);
    }
    let rows = rows
        .into_iter()
        .enumerate()
        .map(|(i, value)| {
            let mut row = vec![Expr::Const { value, ty: element }];
            if with_ordinal {
                row.push(Expr::Const { value: Scalar::Int8(i as i64 + 1), ty: PgType::INT8 });
            }
            row
        })
        .collect();
    Ok(Rel::Values { columns, rows })
}

/// Whether a function in FROM is one that a user has made.
///
/// # Safety
/// A valid range table entry of a function.
pub unsafe fn is_user_function(rte: *mut RangeTblEntry) -> bool {
    let &[function] = list::<RangeTblFunction>((*rte).functions).as_slice() else { return false };
    let call = (*function).funcexpr;
    !call.is_null() && tag(call) == NodeTag::T_FuncExpr && (*call.cast::<FuncExpr>()).funcid.to_u32() >= pg_sys::FirstNormalObjectId
}

/// Puts the bodies of SQL functions in FROM in their places, where Postgres would do so.
///
/// # Safety
/// A valid analysed query, ours to change.
pub unsafe fn inline_functions(query: *mut Query) {
    pg_sys::check_stack_depth();
    let root = param::folding_root(std::ptr::null_mut());
    for rte in list::<RangeTblEntry>((*query).rtable) {
        if (*rte).rtekind != RTEKind::RTE_FUNCTION || !is_user_function(rte) {
            continue;
        }
        for function in list::<RangeTblFunction>((*rte).functions) {
            (*function).funcexpr = pg_sys::eval_const_expressions(root, (*function).funcexpr);
        }
        let inlined = pg_sys::inline_set_returning_function(root, rte);
        if !inlined.is_null() {
            (*rte).rtekind = RTEKind::RTE_SUBQUERY;
            (*rte).subquery = inlined;
            (*rte).functions = std::ptr::null_mut();
        }
    }
    tree::any_in_query(query, 0, &mut |node| {
        inline_below(node);
        false
    });
}

unsafe fn inline_below(node: *mut Node) {
    if tag(node) == NodeTag::T_Query {
        inline_functions(node.cast());
        return;
    }
    tree::any_child(node, &mut |child| {
        inline_below(child);
        false
    });
}

/// `ROWS FROM (f(…), g(…))`, which `unnest` of several arrays is too.
unsafe fn side_by_side(cx: &mut Cx, rti: u32, rte: *mut RangeTblEntry, functions: &[*mut RangeTblFunction]) -> Result<Rel> {
    let mut calls = Vec::new();
    for function in functions {
        let call = param::fold(cx, (**function).funcexpr);
        if tag(call) != NodeTag::T_FuncExpr || (**function).funccolcount != 1 || !(**function).funccolnames.is_null() {
            return Err("ROWS FROM other than plain calls of one column".into());
        }
        calls.push(call.cast());
    }
    expand(cx, rti, rte, &calls)
}

/// The rows of functions of columns of the items before them, or of subqueries.
unsafe fn expand(cx: &mut Cx, rti: u32, rte: *mut RangeTblEntry, functions: &[*mut FuncExpr]) -> Result<Rel> {
    if let Some(f) = functions.iter().find(|f| !(***f).funcretset) {
        return Err(format!("function {} in FROM", types::function_name((**f).funcid)));
    }
    if let &[f] = functions
        && let Some(rel) = each::pairs(cx, rti, rte, f)?
    {
        return Ok(rel);
    }
    let before = cx.lateral_level;
    cx.lateral_level = Some(cx.levels.len() - 1);
    let mut calls = Vec::new();
    for f in functions {
        calls.push(srf::set_call(cx, *f));
    }
    cx.lateral_level = before;
    let functions = calls.into_iter().collect::<Result<Vec<_>>>()?;
    let mut attno = 1;
    for call in &functions {
        set_column(cx, rti, attno, Ok(call.value));
        attno += 1;
    }
    let wanted = input_order::is_wanted(cx);
    let ordinal = ((*rte).funcordinality || wanted).then(|| cx.new_col());
    if let Some(ordinal) = ordinal.filter(|_| wanted) {
        input_order::note_numbers(cx, ordinal);
    }
    if let Some(ordinal) = ordinal.filter(|_| (*rte).funcordinality) {
        set_column(cx, rti, attno, Ok((ordinal, PgType::INT8)));
    }
    Ok(Rel::Expand(Box::new(Expand { input: Rel::OneRow, functions, ordinal, outer: false })))
}

/// The rows of a function of constants.
unsafe fn rows(cx: &mut Cx, f: *mut FuncExpr) -> Result<Vec<Scalar>> {
    let name = || types::function_name((*f).funcid);
    let series = match (*f).funcid.to_u32() {
        1066..=1069 => Some(Step { add: None, compare: 0 }),
        // numeric_add, numeric_cmp
        3259 | 3260 => Some(Step { add: Some(1724), compare: 1769 }),
        // timestamp + interval, timestamp_cmp
        938 => Some(Step { add: Some(2032), compare: 2045 }),
        // timestamptz + interval, timestamptz_cmp
        939 => Some(Step { add: Some(1189), compare: 1314 }),
        2331 => None,
        _ => return Err(format!("function {} in FROM", name())),
    };
    let mut args = Vec::new();
    for node in list::<Node>((*f).args) {
        match constant_of(node) {
            Some(c) => args.push(c),
            None if series.is_none() && tag(node) == NodeTag::T_ArrayExpr => return unnest_expressions(cx, node),
            None => return Err(format!("function {} in FROM of other than constants", name())),
        }
    }
    // The functions are strict: no rows.
    if args.iter().any(|c| (**c).constisnull) {
        return Ok(Vec::new());
    }
    match series {
        None => unnest(&args),
        Some(Step { add: None, .. }) => integers(&args),
        Some(step) => steps(&args, &step),
    }
}

/// The constant that an argument is.
unsafe fn constant_of(node: *mut Node) -> Option<*mut Const> {
    match tag(node) {
        NodeTag::T_Const => Some(node.cast()),
        NodeTag::T_FuncExpr => {
            let f = &*node.cast::<FuncExpr>();
            let &[arg] = list::<Node>(f.args).as_slice() else { return None };
            if !DEPEND_ON_TIME_ZONE.contains(&f.funcid.to_u32()) || tag(arg) != NodeTag::T_Const {
                return None;
            }
            let value = pg_sys::evaluate_expr(node.cast(), f.funcresulttype, -1, pg_sys::InvalidOid);
            Some(value.cast())
        }
        _ => None,
    }
}

unsafe fn unnest(args: &[*mut Const]) -> Result<Vec<Scalar>> {
    let Some(&array) = args.first() else { return Err("unnest of nothing".into()) };
    let element_oid = pg_sys::get_element_type((*array).consttype);
    let element = types::pg_type(element_oid, -1)?;
    match constant::array_elements((*array).constvalue, element_oid, element)? {
        Scalar::Array(values) if values.len() <= MAX_ROWS => Ok(values),
        _ => Err(format!("unnest of more than {MAX_ROWS} elements")),
    }
}

/// `unnest(ARRAY[…])` whose elements did not fold to constants.
unsafe fn unnest_expressions(cx: &mut Cx, node: *mut Node) -> Result<Vec<Scalar>> {
    let mut values = Vec::new();
    for element in list::<Node>((*node.cast::<pg_sys::ArrayExpr>()).elements) {
        match expr::translate(cx, element)? {
            Expr::Const { value, .. } => values.push(value),
            _ => return Err("unnest of other than constants".into()),
        }
    }
    Ok(values)
}

struct Step {
    /// The function that adds the step; `None` for integers.
    add: Option<u32>,
    compare: u32,
}

/// Source: `generate_series_step_int4`: the series ends where adding overflows.
unsafe fn integers(args: &[*mut Const]) -> Result<Vec<Scalar>> {
    let wide = args.first().is_some_and(|c| (**c).consttype == pg_sys::INT8OID);
    let at = |i: usize| args.get(i).map(|c| if wide { (**c).constvalue.value() as i64 } else { i64::from((**c).constvalue.value() as i32) });
    let (Some(start), Some(finish)) = (at(0), at(1)) else { return Err("generate_series without bounds".into()) };
    let step = at(2).unwrap_or(1);
    if step == 0 {
        return Err("generate_series with step zero".into());
    }
    let mut values = Vec::new();
    let mut current = Some(start);
    while let Some(value) = current.filter(|v| if step > 0 { *v <= finish } else { *v >= finish }) {
        if values.len() == MAX_ROWS {
            return Err(format!("generate_series of more than {MAX_ROWS} rows"));
        }
        values.push(if wide { Scalar::Int8(value) } else { Scalar::Int4(value as i32) });
        current = value.checked_add(step).filter(|v| wide || i32::try_from(*v).is_ok());
    }
    Ok(values)
}

/// A series by the type's own addition and comparison.
unsafe fn steps(args: &[*mut Const], step: &Step) -> Result<Vec<Scalar>> {
    /// `interval_cmp`
    const INTERVAL_CMP: u32 = 1315;
    let (Some(&start), Some(&finish), Some(add)) = (args.first(), args.get(1), step.add) else { return Err("generate_series without bounds".into()) };
    let ty = types::pg_type((*start).consttype, -1)?;
    let call = |func: u32, a: Datum, b: Datum| pg_sys::OidFunctionCall2Coll(pg_sys::Oid::from(func), pg_sys::InvalidOid, a, b);
    let by = match args.get(2) {
        Some(c) => (**c).constvalue,
        // Only numeric has a form without a step.
        None => number("1"),
    };
    let is_interval = args.get(2).is_some_and(|c| (**c).consttype == pg_sys::INTERVALOID);
    let zero = if is_interval { zero_interval() } else { number("0") };
    let sign = call(if is_interval { INTERVAL_CMP } else { step.compare }, by, zero).value() as i32;
    if sign == 0 {
        return Err("generate_series with step zero".into());
    }
    for c in args {
        // NaN and the infinities raise errors of their own.
        if let Scalar::Numeric(digits) = constant::datum_to_scalar((**c).constvalue, false, types::pg_type((**c).consttype, -1)?)?
            && !digits.ends_with(|d: char| d.is_ascii_digit())
        {
            return Err(format!("generate_series with {digits}"));
        }
    }
    let mut values = Vec::new();
    let mut current = (*start).constvalue;
    loop {
        let order = call(step.compare, current, (*finish).constvalue).value() as i32;
        if (sign > 0 && order > 0) || (sign < 0 && order < 0) {
            return Ok(values);
        }
        if values.len() == MAX_ROWS {
            return Err(format!("generate_series of more than {MAX_ROWS} rows"));
        }
        values.push(constant::datum_to_scalar(current, false, ty)?);
        current = call(add, current, by);
    }
}

unsafe fn number(digits: &str) -> Datum {
    let text = std::ffi::CString::new(digits).unwrap_or_default();
    let (mut input, mut parameter) = (pg_sys::InvalidOid, pg_sys::InvalidOid);
    pg_sys::getTypeInputInfo(pg_sys::NUMERICOID, &mut input, &mut parameter);
    pg_sys::OidInputFunctionCall(input, text.as_ptr().cast_mut(), parameter, -1)
}

unsafe fn zero_interval() -> Datum {
    Datum::from(pg_sys::palloc0(size_of::<pg_sys::Interval>()).cast::<pg_sys::Interval>())
}

/// A column that nobody looks at, where a relation of values would have none.
pub fn some_column(cx: &mut Cx) -> ((weir_plan::ir::ColId, PgType), Expr) {
    ((cx.new_col(), PgType::BOOL), Expr::Const { value: Scalar::Bool(true), ty: PgType::BOOL })
}
