//! Scalar expressions.
//!
//! Expressions come const-folded (`param::fold`). Whatever depends on no row is a constant or a parameter that Postgres evaluates; the rest is
//! translated node by node.

use super::call::{self, Callee};
use super::tree::{self, list, tag};
use super::{Cx, Result, collation, columns, constant, from, json, order, param, row, sublink, types};
use pg_sys::{BoolExprType, BoolTestType, MinMaxOp, Node, NodeTag, NullTestType};
use pgrx::pg_sys;
use weir_plan::ir::{BoolTest, Collation, CtypeId, Expr, Scalar};
use weir_plan::types::{PgType, oid};

/// Translates one folded expression of the current level.
pub unsafe fn translate(cx: &mut Cx, node: *mut Node) -> Result<Expr> {
    pg_sys::check_stack_depth();
    if node.is_null() {
        return Err("an empty expression".into());
    }
    match tag(node) {
        NodeTag::T_Const => return constant(node.cast()),
        NodeTag::T_Var => return var(cx, node.cast()),
        NodeTag::T_CaseTestExpr => return case_argument(cx),
        _ => {}
    }
    if !tree::depends_on_row(node) && !tree::is_volatile(node) {
        return param::param(cx, node);
    }
    match tag(node) {
        NodeTag::T_OpExpr => operator(cx, node.cast()),
        NodeTag::T_FuncExpr => function(cx, node.cast()),
        NodeTag::T_BoolExpr => boolean(cx, node.cast()),
        NodeTag::T_DistinctExpr => {
            let (func, left, right, collation) = equality(cx, node.cast())?;
            Ok(Expr::IsDistinct { func, left, right, collation })
        }
        NodeTag::T_NullIfExpr => {
            let ty = types::type_of(node)?;
            let (func, left, right, collation) = equality(cx, node.cast())?;
            Ok(Expr::NullIf { func, ty: super::agg::result_type(ty, std::slice::from_ref(&left)), left, right, collation })
        }
        NodeTag::T_NullTest => null_test(cx, node.cast()),
        NodeTag::T_BooleanTest => boolean_test(cx, node.cast()),
        NodeTag::T_CaseExpr => case(cx, node.cast()),
        NodeTag::T_CoalesceExpr => {
            let mut args = expr_list(cx, (*node.cast::<pg_sys::CoalesceExpr>()).args)?;
            let ty = common_type(cx, node, &args)?;
            args.iter_mut().for_each(|arg| as_common(arg, ty));
            Ok(Expr::Coalesce { ty, args })
        }
        NodeTag::T_MinMaxExpr => min_max(cx, node.cast()),
        NodeTag::T_RelabelType => {
            let r = &*node.cast::<pg_sys::RelabelType>();
            let arg = translate(cx, r.arg.cast())?;
            relabel(arg, types::pg_type(r.resulttype, r.resulttypmod)?)
        }
        NodeTag::T_CollateExpr => translate(cx, (*node.cast::<pg_sys::CollateExpr>()).arg.cast()),
        NodeTag::T_CoerceViaIO => {
            let c = &*node.cast::<pg_sys::CoerceViaIO>();
            let arg = Box::new(translate(cx, c.arg.cast())?);
            let (from, ty) = (arg.ty(), types::pg_type(c.resulttype, -1)?);
            call::check_cast(&from, &ty)?;
            Ok(Expr::ViaText { arg, ty })
        }
        NodeTag::T_ArrayCoerceExpr => array_coerce(cx, node.cast()),
        NodeTag::T_ArrayExpr => array(cx, node.cast()),
        NodeTag::T_ScalarArrayOpExpr => scalar_array(cx, node.cast()),
        NodeTag::T_RowCompareExpr => row::compare(cx, node.cast()),
        NodeTag::T_SubLink => sublink::sublink(cx, node.cast()),
        NodeTag::T_SubscriptingRef => subscript(cx, node.cast()),
        _ => Err(refused(node)),
    }
}

pub unsafe fn expr_list(cx: &mut Cx, nodes: *mut pg_sys::List) -> Result<Vec<Expr>> {
    let mut exprs = Vec::new();
    for node in list::<Node>(nodes) {
        exprs.push(translate(cx, node)?);
    }
    Ok(exprs)
}

unsafe fn constant(c: *mut pg_sys::Const) -> Result<Expr> {
    let c = &*c;
    if c.consttype == pg_sys::UNKNOWNOID {
        // A literal passed to a parameter of any type, `count('x')`: it is text, held as a C string.
        let value = if c.constisnull { Scalar::Null } else { Scalar::Text(tree::string(c.constvalue.cast_mut_ptr())) };
        return Ok(Expr::Const { value, ty: PgType::TEXT });
    }
    let ty = types::pg_type(c.consttype, c.consttypmod)?;
    let ty = if c.constisnull { ty } else { constant::with_length(c.constvalue, ty)? };
    Ok(Expr::Const { value: constant::datum_to_scalar(c.constvalue, c.constisnull, ty)?, ty })
}

unsafe fn var(cx: &Cx, var: *mut pg_sys::Var) -> Result<Expr> {
    let v = &*var;
    let depth = cx.levels.len().checked_sub(1 + v.varlevelsup as usize).ok_or("a column of an unknown query level")?;
    let level = &cx.levels[depth];
    let outer = v.varlevelsup > 0;
    if tree::is_mark(var) {
        let &(id, ty) = level.marks.get(v.varattno as usize - 1).ok_or("a computed column that was lost")?;
        return Ok(if outer { Expr::Outer { id, ty } } else { Expr::Column { id, ty } });
    }
    let key = (u32::try_from(tree::varno(var)).unwrap_or(0), v.varattno);
    let (id, ty) = match level.columns.get(&key) {
        Some(column) => column.clone()?,
        None => {
            let rtable = list::<pg_sys::RangeTblEntry>((*level.query).rtable);
            let name = match rtable.get((key.0 as usize).wrapping_sub(1)) {
                Some(rte) => from::alias(*rte),
                None => String::new(),
            };
            return Err(if v.varattno == 0 { format!("whole-row reference to {name}") } else { format!("a reference to {name} that is not visible here") });
        }
    };
    Ok(if outer || cx.lateral_level == Some(depth) { Expr::Outer { id, ty } } else { Expr::Column { id, ty } })
}

unsafe fn operator(cx: &mut Cx, op: *mut pg_sys::OpExpr) -> Result<Expr> {
    pg_sys::set_opfuncid(op);
    let o = &*op;
    if o.opretset {
        return Err(format!("set-returning operator {}", types::operator_name(o.opno)));
    }
    if let Some(compared) = super::range::contains(cx, o)? {
        return Ok(compared);
    }
    let args = json::arguments(cx, o.opfuncid.to_u32(), o.args)?;
    if let Some(compared) = super::labels::comparison(o.opfuncid.to_u32(), &args)? {
        return Ok(compared);
    }
    if let Some(compared) = under_locale(o.opfuncid.to_u32(), o.inputcollid, &args) {
        return Ok(compared);
    }
    let arg_types: Vec<PgType> = args.iter().map(Expr::ty).collect();
    let collation = call::check(cx, Callee::operator(o.opno, o.opfuncid, o.inputcollid), &arg_types)?;
    Ok(Expr::Call { func: o.opfuncid.to_u32(), args, ty: types::type_of(op.cast())?, collation })
}

/// `<`, `<=`, `>`, `>=` of text and of char(n). Source: `pg_proc.dat`.
const TEXT_ORDER: &[u32] = &[740, 741, 742, 743, 1049, 1050, 1051, 1052];

/// A comparison of them under a collation that is not that of bytes.
pub unsafe fn under_locale(func: u32, collation: pg_sys::Oid, args: &[Expr]) -> Option<Expr> {
    if !TEXT_ORDER.contains(&func) {
        return None;
    }
    let args = args.iter().cloned().chain([collation::locale(collation)?]).collect();
    Some(Expr::Call { func, args, ty: PgType::BOOL, collation: Collation::Locale(CtypeId::ASCII) })
}

unsafe fn function(cx: &mut Cx, f: *mut pg_sys::FuncExpr) -> Result<Expr> {
    let x = &*f;
    let callee = Callee::function(x.funcid, x.inputcollid);
    if x.funcretset {
        return Err(format!("set-returning function {}", types::function_name(x.funcid)));
    }
    if x.funcvariadic && pg_sys::get_func_variadictype(x.funcid) == pg_sys::ANYOID {
        return Err(format!("function {} with VARIADIC", types::function_name(x.funcid)));
    }
    if let Some(number) = number_of_bits(cx, x)? {
        return Ok(number);
    }
    // A function that is not shipped at all is the better reason than one of its arguments.
    if weir_plan::functions::row(x.funcid.to_u32()).is_none() {
        call::check(cx, callee, &[])?;
    }
    let args = json::arguments(cx, x.funcid.to_u32(), x.args)?;
    if let Some(text) = json::of_row(x.funcid.to_u32(), &args) {
        return Ok(text);
    }
    call::check_arguments(x.funcid.to_u32(), &args)?;
    let arg_types: Vec<PgType> = args.iter().map(Expr::ty).collect();
    let collation = call::check(cx, callee, &arg_types)?;
    Ok(Expr::Call { func: x.funcid.to_u32(), args, ty: types::type_of(f.cast())?, collation })
}

/// `int8(bit)`, `int4(bit)`, and their widths.
const NUMBERS_OF_BITS: [(u32, i32); 2] = [(2076, 64), (1684, 32)];
/// `bit(bit, integer, boolean)`
const TO_BITS: u32 = 1685;

/// `text::bit(n)::bigint` or `::integer`.
unsafe fn number_of_bits(cx: &mut Cx, number: &pg_sys::FuncExpr) -> Result<Option<Expr>> {
    let Some(&(func, width)) = NUMBERS_OF_BITS.iter().find(|(func, _)| *func == number.funcid.to_u32()) else { return Ok(None) };
    let refused = || format!("function {} is not shipped", types::function_name(number.funcid));
    let [bits] = list::<Node>(number.args)[..] else { return Err(refused()) };
    if tag(bits) != NodeTag::T_FuncExpr || (*bits.cast::<pg_sys::FuncExpr>()).funcid.to_u32() != TO_BITS {
        return Err(refused());
    }
    let [text, length, explicit] = list::<Node>((*bits.cast::<pg_sys::FuncExpr>()).args)[..] else { return Err(refused()) };
    if tag(text) != NodeTag::T_CoerceViaIO || tag(length) != NodeTag::T_Const || tag(explicit) != NodeTag::T_Const {
        return Err(refused());
    }
    let text = translate(cx, (*text.cast::<pg_sys::CoerceViaIO>()).arg.cast())?;
    let length = constant(length.cast())?;
    let fits = matches!(length, Expr::Const { value: Scalar::Int4(n), .. } if (0..=width).contains(&n));
    let is_cast = matches!(constant(explicit.cast())?, Expr::Const { value: Scalar::Bool(true), .. });
    if !fits || !is_cast || !matches!(text.ty().base, oid::TEXT | oid::VARCHAR) {
        return Err(refused());
    }
    Ok(Some(Expr::Call { func, args: vec![text, length], ty: types::pg_type(number.funcresulttype, -1)?, collation: Collation::None }))
}

/// The parts of `IS DISTINCT FROM` and NULLIF, which share their node's layout with operators.
unsafe fn equality(cx: &mut Cx, op: *mut pg_sys::OpExpr) -> Result<(u32, Box<Expr>, Box<Expr>, weir_plan::ir::Collation)> {
    pg_sys::set_opfuncid(op);
    let o = &*op;
    let mut args = expr_list(cx, o.args)?.into_iter();
    let (Some(left), Some(right)) = (args.next(), args.next()) else { return Err("an equality of other than two values".into()) };
    let collation = call::check(cx, Callee::operator(o.opno, o.opfuncid, o.inputcollid), &[left.ty(), right.ty()])?;
    Ok((o.opfuncid.to_u32(), Box::new(left), Box::new(right), collation))
}

unsafe fn boolean(cx: &mut Cx, b: *mut pg_sys::BoolExpr) -> Result<Expr> {
    let mut args = expr_list(cx, (*b).args)?;
    match (*b).boolop {
        BoolExprType::AND_EXPR => Ok(Expr::And(args)),
        BoolExprType::OR_EXPR => Ok(Expr::Or(args)),
        _ => args.pop().map(|arg| Expr::Not(Box::new(arg))).ok_or_else(|| "NOT of nothing".to_string()),
    }
}

unsafe fn null_test(cx: &mut Cx, n: *mut pg_sys::NullTest) -> Result<Expr> {
    let n = &*n;
    if n.argisrow || pg_sys::type_is_rowtype(pg_sys::exprType(n.arg.cast())) {
        return Err("IS NULL of a row".into());
    }
    let arg = Box::new(translate(cx, n.arg.cast())?);
    Ok(if n.nulltesttype == NullTestType::IS_NULL { Expr::IsNull(arg) } else { Expr::IsNotNull(arg) })
}

unsafe fn boolean_test(cx: &mut Cx, b: *mut pg_sys::BooleanTest) -> Result<Expr> {
    let test = match (*b).booltesttype {
        BoolTestType::IS_TRUE => BoolTest::IsTrue,
        BoolTestType::IS_NOT_TRUE => BoolTest::IsNotTrue,
        BoolTestType::IS_FALSE => BoolTest::IsFalse,
        BoolTestType::IS_NOT_FALSE => BoolTest::IsNotFalse,
        BoolTestType::IS_UNKNOWN => BoolTest::IsUnknown,
        _ => BoolTest::IsNotUnknown,
    };
    Ok(Expr::BoolTest { test, arg: Box::new(translate(cx, (*b).arg.cast())?) })
}

/// The argument of the innermost CASE; it stands outside of that CASE.
unsafe fn case_argument(cx: &mut Cx) -> Result<Expr> {
    let node = cx.case_args.pop().ok_or("a part of CASE on its own")?;
    let result = translate(cx, node);
    cx.case_args.push(node);
    result
}

unsafe fn case(cx: &mut Cx, c: *mut pg_sys::CaseExpr) -> Result<Expr> {
    let c_ref = &*c;
    let depth = cx.case_args.len();
    let mut whens = Vec::new();
    for when in list::<pg_sys::CaseWhen>(c_ref.args) {
        if !c_ref.arg.is_null() {
            cx.case_args.push(c_ref.arg.cast());
        }
        let condition = translate(cx, (*when).expr.cast());
        cx.case_args.truncate(depth);
        whens.push((condition?, translate(cx, (*when).result.cast())?));
    }
    let mut otherwise = if c_ref.defresult.is_null() { None } else { Some(Box::new(translate(cx, c_ref.defresult.cast())?)) };
    let values: Vec<Expr> = whens.iter().map(|(_, v)| v).chain(otherwise.as_deref()).cloned().collect();
    let ty = common_type(cx, c.cast(), &values)?;
    whens.iter_mut().map(|(_, v)| v).chain(otherwise.as_deref_mut()).for_each(|value| as_common(value, ty));
    Ok(Expr::Case { ty, whens, otherwise })
}

/// The type of an expression that passes one of `values` on. NULL constants have no length to forget.
unsafe fn common_type(cx: &mut Cx, node: *mut Node, values: &[Expr]) -> Result<PgType> {
    let ty = types::type_of(node)?;
    let values: Vec<Expr> = values.iter().filter(|v| !matches!(v, Expr::Const { value: Scalar::Null, .. })).cloned().collect();
    let common = super::agg::result_type(ty, &values);
    let mixes = common.base == oid::BPCHAR && common.typmod < 0 && !values.is_empty();
    cx.mixes_lengths |= mixes;
    Ok(if mixes && cx.unpadded { PgType { typmod: PgType::UNPADDED.typmod, ..common } } else { common })
}

/// Takes a value of char(n) for one of [`PgType::UNPADDED`], if that is the type. The engine refuses it if it has blanks to its length.
fn as_common(value: &mut Expr, ty: PgType) {
    if ty.base == oid::BPCHAR && ty.typmod == PgType::UNPADDED.typmod && value.ty().typmod != ty.typmod {
        let arg = std::mem::replace(value, Expr::Const { value: Scalar::Null, ty });
        if !matches!(arg, Expr::Const { value: Scalar::Null, .. }) {
            *value = Expr::Relabel { arg: Box::new(arg), ty };
        }
    }
}

unsafe fn min_max(cx: &mut Cx, m: *mut pg_sys::MinMaxExpr) -> Result<Expr> {
    let x = &*m;
    let greatest = x.op == MinMaxOp::IS_GREATEST;
    let mut args = expr_list(cx, x.args)?;
    let ty = common_type(cx, m.cast(), &args)?;
    args.iter_mut().for_each(|arg| as_common(arg, ty));
    if matches!(ty.base, oid::ENUM | oid::INET | oid::CIDR) || ty.element().is_some() {
        return Err(format!("{} on type {}", if greatest { "GREATEST" } else { "LEAST" }, types::type_name(pg_sys::Oid::from(ty.oid))));
    }
    let collation = collation::class(x.inputcollid)?;
    match collation::locale(x.inputcollid).filter(|_| ty.is_collatable()) {
        Some(locale) => args.push(locale),
        None => order::check_order(&ty, x.inputcollid, if greatest { "GREATEST" } else { "LEAST" })?,
    }
    Ok(if greatest { Expr::Greatest { args, ty, collation } } else { Expr::Least { args, ty, collation } })
}

/// A relabelling; one that changes nothing but the name of the collation is none.
pub fn relabel(arg: Expr, ty: PgType) -> Result<Expr> {
    if arg.ty() == ty {
        return Ok(arg);
    }
    Ok(Expr::Relabel { arg: Box::new(arg), ty })
}

/// Casts to int4, int8, numeric and float8 that lose nothing, or round as reading the digits does.
const WIDENING: &[u32] = &[313, 481, 754, 1740, 1781, 1782, 235, 316, 482];

unsafe fn array_coerce(cx: &mut Cx, a: *mut pg_sys::ArrayCoerceExpr) -> Result<Expr> {
    let a = &*a;
    let element = a.elemexpr.cast::<Node>();
    // Element by element through text, or to a wider type, which is the same.
    let through_text = match tag(element) {
        NodeTag::T_CoerceViaIO => tag((*element.cast::<pg_sys::CoerceViaIO>()).arg) == NodeTag::T_CaseTestExpr,
        NodeTag::T_FuncExpr => {
            let f = &*element.cast::<pg_sys::FuncExpr>();
            let args = list::<Node>(f.args);
            matches!(args.as_slice(), [arg] if tag(*arg) == NodeTag::T_CaseTestExpr) && WIDENING.contains(&f.funcid.to_u32())
        }
        _ => false,
    };
    if through_text {
        let arg = Box::new(translate(cx, a.arg.cast())?);
        return Ok(Expr::ViaText { arg, ty: types::pg_type(a.resulttype, a.resulttypmod)? });
    }
    let is_relabel = tag(element) == NodeTag::T_RelabelType && tag((*element.cast::<pg_sys::RelabelType>()).arg) == NodeTag::T_CaseTestExpr;
    if !is_relabel {
        let from = types::type_name(pg_sys::exprType(a.arg.cast()));
        return Err(format!("cast from {from} to {}", types::type_name(a.resulttype)));
    }
    let arg = translate(cx, a.arg.cast())?;
    relabel(arg, types::pg_type(a.resulttype, a.resulttypmod)?)
}

unsafe fn array(cx: &mut Cx, a: *mut pg_sys::ArrayExpr) -> Result<Expr> {
    if (*a).multidims {
        return Err("an array of arrays".into());
    }
    let elements = expr_list(cx, (*a).elements)?;
    Ok(Expr::Array { elements, ty: types::pg_type((*a).array_typeid, -1)? })
}

/// `array[n]` or `array[from:to]`, as a call of the function that Postgres subscripts arrays by.
unsafe fn subscript(cx: &mut Cx, s: *mut pg_sys::SubscriptingRef) -> Result<Expr> {
    /// `array_subscript_handler`
    const HANDLER: u32 = 6179;
    let x = &*s;
    let array = translate(cx, x.refexpr.cast())?;
    if array.ty().base == oid::JSONB && x.refassgnexpr.is_null() && x.reflowerindexpr.is_null() {
        return json::subscript(cx, array, x.refupperindexpr);
    }
    if array.ty().element().is_none() || !x.refassgnexpr.is_null() {
        return Err(refused(s.cast()));
    }
    let (upper, lower) = (list::<Node>(x.refupperindexpr), list::<Node>(x.reflowerindexpr));
    let mut args = vec![array];
    match (upper.as_slice(), lower.as_slice()) {
        ([place], []) => args.push(translate(cx, *place)?),
        ([to], [from]) => {
            for (bound, whole) in [(*from, i32::MIN), (*to, i32::MAX)] {
                args.push(if bound.is_null() { Expr::Const { value: Scalar::Int4(whole), ty: PgType::INT4 } } else { translate(cx, bound)? });
            }
        }
        _ => return Err("subscripts of several dimensions".into()),
    }
    let arg_types: Vec<PgType> = args.iter().map(Expr::ty).collect();
    let collation = call::check(cx, Callee::function(pg_sys::Oid::from(HANDLER), pg_sys::InvalidOid), &arg_types)?;
    Ok(Expr::Call { func: HANDLER, args, ty: types::type_of(s.cast())?, collation })
}

unsafe fn scalar_array(cx: &mut Cx, s: *mut pg_sys::ScalarArrayOpExpr) -> Result<Expr> {
    pg_sys::set_sa_opfuncid(s);
    let x = &*s;
    let args = list::<Node>(x.args);
    let (Some(&left), Some(&right)) = (args.first(), args.get(1)) else { return Err("ANY or ALL without operands".into()) };
    if tag(right) == NodeTag::T_SubLink && (*right.cast::<pg_sys::SubLink>()).subLinkType == pg_sys::SubLinkType::ARRAY_SUBLINK {
        return sublink::any_of_array(cx, x, left, right.cast());
    }
    let items = list_items(cx, right)?;
    let left = Box::new(translate(cx, left)?);
    let callee = Callee::operator(x.opno, x.opfuncid, x.inputcollid);
    let func = x.opfuncid.to_u32();
    if let Some(list) = items {
        if TEXT_ORDER.contains(&func) && collation::locale(x.inputcollid).is_some() && !columns::has_subquery(&left) {
            let compared = list.into_iter().filter_map(|item| under_locale(func, x.inputcollid, &[left.as_ref().clone(), item])).collect();
            return Ok(if x.useOr { Expr::Or(compared) } else { Expr::And(compared) });
        }
        let element_type = list.first().map_or(left.ty(), Expr::ty);
        let collation = call::check(cx, callee, &[left.ty(), element_type])?;
        return Ok(Expr::InList { func, any: x.useOr, left, list, collation });
    }
    let array = Box::new(translate(cx, right)?);
    let element_type = array.ty().element().ok_or_else(|| format!("ANY or ALL over type {}", types::type_name(pg_sys::exprType(right))))?;
    let collation = call::check(cx, callee, &[left.ty(), element_type])?;
    Ok(Expr::AnyArray { func, any: x.useOr, left, array, collation })
}

/// The elements of an array that is written out: a constant, or ARRAY[…] over expressions.
unsafe fn list_items(cx: &mut Cx, node: *mut Node) -> Result<Option<Vec<Expr>>> {
    match tag(node) {
        NodeTag::T_Const => {
            let c = &*node.cast::<pg_sys::Const>();
            if c.constisnull {
                return Ok(None);
            }
            // Element types without an array type in the map (enums) can be listed all the same.
            let element = pg_sys::get_element_type(c.consttype);
            if element == pg_sys::InvalidOid {
                return Ok(None);
            }
            let ty = types::pg_type(element, c.consttypmod)?;
            let Scalar::Array(values) = constant::array_elements(c.constvalue, element, ty)? else { return Ok(None) };
            Ok(Some(values.into_iter().map(|value| Expr::Const { value, ty }).collect()))
        }
        NodeTag::T_ArrayExpr if !(*node.cast::<pg_sys::ArrayExpr>()).multidims => expr_list(cx, (*node.cast::<pg_sys::ArrayExpr>()).elements).map(Some),
        // varchar[] seen as text[]: the elements are the same.
        NodeTag::T_RelabelType => {
            let r = &*node.cast::<pg_sys::RelabelType>();
            let Some(items) = list_items(cx, r.arg.cast())? else { return Ok(None) };
            let element = pg_sys::get_element_type(r.resulttype);
            if element == pg_sys::InvalidOid {
                return Ok(None);
            }
            let ty = types::pg_type(element, -1)?;
            items.into_iter().map(|e| relabel(e, ty)).collect::<Result<Vec<_>>>().map(Some)
        }
        _ => Ok(None),
    }
}

/// The refusal of a node that has no counterpart.
unsafe fn refused(node: *mut Node) -> String {
    match tag(node) {
        NodeTag::T_FieldSelect => "a field of a composite value".into(),
        NodeTag::T_FieldStore => "an assignment to a field".into(),
        NodeTag::T_SubscriptingRef => {
            format!("subscript of type {}", types::type_name(pg_sys::exprType((*node.cast::<pg_sys::SubscriptingRef>()).refexpr.cast())))
        }
        NodeTag::T_RowExpr => "a row value".into(),
        NodeTag::T_CoerceToDomain => format!("cast to domain {}", types::type_name(pg_sys::exprType(node))),
        NodeTag::T_ConvertRowtypeExpr => "a conversion of a row type".into(),
        NodeTag::T_XmlExpr => "an XML expression".into(),
        NodeTag::T_NextValueExpr => "nextval is volatile".into(),
        NodeTag::T_SetToDefault => "DEFAULT".into(),
        NodeTag::T_CurrentOfExpr => "CURRENT OF".into(),
        NodeTag::T_Aggref => format!("aggregate {} of an outer query", types::function_name((*node.cast::<pg_sys::Aggref>()).aggfnoid)),
        NodeTag::T_WindowFunc => format!("window function {} here", types::function_name((*node.cast::<pg_sys::WindowFunc>()).winfnoid)),
        NodeTag::T_GroupingFunc => "GROUPING of an outer query".into(),
        NodeTag::T_Param => "a parameter of an unknown kind".into(),
        other => {
            // T_JsonConstructorExpr → JsonConstructorExpr
            let name = format!("{other:?}");
            format!("{} is not shipped", name.trim_start_matches("T_"))
        }
    }
}
