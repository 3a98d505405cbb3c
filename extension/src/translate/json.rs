//! Arguments of the functions that make JSON of values of any type: rows, which have a form in the plan only here, and types whose JSON
//! a cast of the user's decides. Arguments of the functions of jsonpaths, which are a text there.

use super::tree::{list, string, tag};
use super::{Cx, Result, constant, expr, types};
use pg_sys::{Node, NodeTag, RowExpr};
use pgrx::pg_sys;
use weir_plan::functions::{JSON_PATHS, MAKE_JSON};
use weir_plan::ir::{Collation, Expr, Scalar};
use weir_plan::types::{PgType, oid};

/// `row_to_json(record)`, which in a plan has the names of the row's columns and then their values.
const ROW_TO_JSON: u32 = 3155;
/// A row is its JSON text.
const ROW: PgType = PgType { oid: 2249, base: oid::JSON, typmod: -1 };

/// An argument of a call of `func`.
pub unsafe fn argument(cx: &mut Cx, func: u32, node: *mut Node) -> Result<Expr> {
    if !MAKE_JSON.contains(&func) {
        return expr::translate(cx, node);
    }
    if tag(node) == NodeTag::T_RowExpr {
        return row(cx, node.cast());
    }
    if tag(node) == NodeTag::T_CaseExpr && pg_sys::type_is_rowtype(pg_sys::exprType(node)) {
        return row_if_there(cx, node.cast());
    }
    let arg = expr::translate(cx, node)?;
    let ty = arg.ty();
    let base = pg_sys::getBaseType(pg_sys::Oid::from(ty.oid));
    // Elements are printed as values of their type are.
    for own in [base, pg_sys::get_element_type(base)].into_iter().filter(|ty| ty.to_u32() >= pg_sys::FirstNormalObjectId) {
        let mut cast = pg_sys::InvalidOid;
        let path = pg_sys::find_coercion_pathway(pg_sys::JSONOID, own, pg_sys::CoercionContext::COERCION_EXPLICIT, &mut cast);
        if path == pg_sys::CoercionPathType::COERCION_PATH_FUNC {
            return Err(format!("JSON of type {}, which has a cast to json", types::type_name(own)));
        }
    }
    Ok(arg)
}

pub unsafe fn arguments(cx: &mut Cx, func: u32, nodes: *mut pg_sys::List) -> Result<Vec<Expr>> {
    if JSON_PATHS.contains(&func) {
        return path_arguments(cx, &list::<Node>(nodes));
    }
    let mut args = Vec::new();
    for node in list::<Node>(nodes) {
        args.push(argument(cx, func, node)?);
    }
    Ok(args)
}

/// Of a function of a jsonpath: the document, the path as text, and whether errors are NULL.
unsafe fn path_arguments(cx: &mut Cx, nodes: &[*mut Node]) -> Result<Vec<Expr>> {
    let known = |i: usize| {
        let c = nodes.get(i).filter(|n| tag(**n) == NodeTag::T_Const)?.cast::<pg_sys::Const>();
        (!(*c).constisnull).then_some(c)
    };
    let (Some(&document), Some(path)) = (nodes.first(), known(1)) else { return Err("a jsonpath that is not constant".into()) };
    let silent = match nodes.len() {
        2 => true,
        4 => {
            // Variables that the path does not have (the engine refuses one that has) need only be an object.
            let vars = known(2).map(|c| constant::datum_to_scalar((*c).constvalue, false, PgType::new(oid::JSONB))).transpose()?;
            if !matches!(vars, Some(Scalar::Text(text)) if text.starts_with('{')) {
                return Err("a jsonpath with variables that are not constant".into());
            }
            known(3).map(|c| (*c).constvalue.value() & 0xff != 0).ok_or("a jsonpath function whose silence is not constant")?
        }
        _ => return Err("a jsonpath function of other arguments".into()),
    };
    let document = expr::translate(cx, document)?;
    let text = string(pg_sys::OidOutputFunctionCall(pg_sys::F_JSONPATH_OUT.into(), (*path).constvalue));
    let path = Expr::Const { value: Scalar::Text(text), ty: PgType::TEXT };
    Ok(vec![document, path, Expr::Const { value: Scalar::Bool(silent), ty: PgType::BOOL }])
}

/// A row that may not be there, as the normaliser writes it.
unsafe fn row_if_there(cx: &mut Cx, case: *mut pg_sys::CaseExpr) -> Result<Expr> {
    let c = &*case;
    let (&[when], true, true) = (list::<pg_sys::CaseWhen>(c.args).as_slice(), c.arg.is_null(), c.defresult.is_null()) else {
        return Err("a choice of rows".into());
    };
    let result = (*when).result.cast::<Node>();
    if tag(result) != NodeTag::T_RowExpr {
        return Err("a choice of rows".into());
    }
    let there = expr::translate(cx, (*when).expr.cast())?;
    Ok(Expr::Case { whens: vec![(there, row(cx, result.cast())?)], otherwise: None, ty: ROW })
}

/// `row_to_json` of a row, whose text the argument is already.
pub fn of_row(func: u32, args: &[Expr]) -> Option<Expr> {
    match args {
        [Expr::Call { func: ROW_TO_JSON, args, collation, .. }] if func == ROW_TO_JSON => {
            Some(Expr::Call { func, args: args.clone(), ty: PgType::new(oid::JSON), collation: *collation })
        }
        [Expr::Case { whens, otherwise, ty }] if func == ROW_TO_JSON && *ty == ROW => {
            Some(Expr::Case { whens: whens.clone(), otherwise: otherwise.clone(), ty: PgType::new(oid::JSON) })
        }
        _ => None,
    }
}

/// `document['a'][1]`, which is `document #> ARRAY['a', '1']`.
pub unsafe fn subscript(cx: &mut Cx, document: Expr, places: *mut pg_sys::List) -> Result<Expr> {
    /// `jsonb_extract_path(jsonb,text[])`
    const EXTRACT_PATH: u32 = 3217;
    let mut elements = Vec::new();
    for node in list::<Node>(places) {
        let place = expr::translate(cx, node)?;
        elements.push(match place.ty().base {
            oid::TEXT => place,
            _ => Expr::ViaText { arg: Box::new(place), ty: PgType::TEXT },
        });
    }
    let path = Expr::Array { elements, ty: PgType::new(1009) };
    Ok(Expr::Call { func: EXTRACT_PATH, args: vec![document, path], ty: PgType::new(oid::JSONB), collation: Collation::None })
}

unsafe fn row(cx: &mut Cx, row: *mut RowExpr) -> Result<Expr> {
    pg_sys::check_stack_depth();
    let names = names(row)?;
    let (mut columns, mut values) = (Vec::new(), Vec::new());
    for (name, node) in names.into_iter().zip(list::<Node>((*row).args)) {
        // Columns that were dropped.
        let Some(name) = name else { continue };
        columns.push(Expr::Const { value: Scalar::Text(name), ty: PgType::TEXT });
        values.push(argument(cx, ROW_TO_JSON, node)?);
    }
    columns.extend(values);
    Ok(Expr::Call { func: ROW_TO_JSON, args: columns, ty: ROW, collation: Collation::None })
}

/// The names of a row's columns: those of its type if that has any, whatever they are called in the query.
unsafe fn names(row: *mut RowExpr) -> Result<Vec<Option<String>>> {
    let r = &*row;
    let count = list::<Node>(r.args).len();
    let given: Vec<String> = list::<Node>(r.colnames).into_iter().map(|n| name(n)).collect();
    if given.len() != count {
        return Err("a row without names".into());
    }
    if r.row_typeid == pg_sys::RECORDOID {
        return Ok(given.into_iter().map(Some).collect());
    }
    let relid = pg_sys::get_typ_typrelid(r.row_typeid);
    if relid == pg_sys::InvalidOid {
        return Err(format!("a row of type {}", types::type_name(r.row_typeid)));
    }
    let mut names = Vec::with_capacity(count);
    for (i, given) in given.iter().enumerate() {
        let attnum = i16::try_from(i + 1).map_err(|_| "a row of too many columns")?;
        let found = pg_sys::get_attname(relid, attnum, true);
        if found.is_null() {
            return Err("a row of an unknown column".into());
        }
        // A column that was dropped has no name in the query.
        names.push((!given.is_empty()).then(|| string(found)));
    }
    Ok(names)
}

/// The text of a string node.
pub unsafe fn name(node: *mut Node) -> String {
    #[cfg(feature = "pg14")]
    return string((*node.cast::<pg_sys::Value>()).val.str_);
    #[cfg(not(feature = "pg14"))]
    return string((*node.cast::<pg_sys::String>()).sval);
}
