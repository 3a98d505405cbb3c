//! Expressions over the columns of one or more nodes.

use super::node::Node;
use super::{Lowerer, consts, unify};
use crate::error::refused;
use crate::func;
use crate::udf;
use crate::value::{Call, Value};
use arrow::datatypes::DataType;
use datafusion::common::tree_node::TreeNode;
use datafusion::common::{DFSchema, Result, ScalarValue, internal_datafusion_err};
use datafusion::logical_expr::expr::{Case, InList};
use datafusion::logical_expr::{BinaryExpr, Expr as DfExpr, ExprSchemable, Operator, binary_expr, lit, when};
use std::sync::Arc;
use weir_plan::ir::{BoolTest, ColId, Collation, Expr};
use weir_plan::types::{PgType, arrow_type, oid};

/// The nodes whose columns an expression may use.
pub(super) struct Scope<'a> {
    nodes: Vec<&'a Node>,
}

impl<'a> Scope<'a> {
    pub const EMPTY: Scope<'static> = Scope { nodes: Vec::new() };

    pub fn of(node: &'a Node) -> Self {
        Self { nodes: vec![node] }
    }

    pub fn both(left: &'a Node, right: &'a Node) -> Self {
        Self { nodes: vec![left, right] }
    }

    /// The Arrow type of a lowered expression.
    pub fn type_of(&self, expr: &DfExpr) -> Result<DataType> {
        let mut schema = DFSchema::empty();
        for node in &self.nodes {
            schema.merge(node.plan.schema());
        }
        expr.get_type(&schema)
    }

    /// An expression that is asked whether it is NULL. If it never is, the optimiser would not compute it, and errors would be lost.
    fn computed(&self, value: Value) -> Result<DfExpr> {
        if !can_fail(&value.expr) {
            return Ok(value.expr);
        }
        let mut schema = DFSchema::empty();
        for node in &self.nodes {
            schema.merge(node.plan.schema());
        }
        if value.expr.nullable(&schema)? { Ok(value.expr) } else { Ok(passed_on(value.expr, &value.arrow)) }
    }

    fn column(&self, id: ColId) -> Result<Value> {
        let found = self.nodes.iter().find_map(|n| n.cols.get(&id)).or_else(|| self.nodes.iter().find_map(|n| n.lookup(id)));
        found.cloned().ok_or_else(|| refused(format!("column {} is not in scope", id.0)))
    }
}

/// Whether an expression contains a subquery.
pub(super) fn has_subquery(expr: &Expr) -> bool {
    let mut found = false;
    super::walk::expr(expr, &mut |e| {
        found |= matches!(e, Expr::Exists { .. } | Expr::ScalarSubquery { .. } | Expr::AnySubquery { .. });
    });
    found
}

/// The conjuncts of a condition.
pub(super) fn conjuncts(expr: &Expr) -> Vec<&Expr> {
    match expr {
        Expr::And(args) => args.iter().flat_map(conjuncts).collect(),
        other => vec![other],
    }
}

impl Lowerer<'_> {
    /// Lowers an expression without subqueries.
    pub(super) fn expr(&self, expr: &Expr, scope: &Scope<'_>) -> Result<Value> {
        match expr {
            Expr::Column { id, ty } | Expr::Outer { id, ty } => {
                let mut value = scope.column(*id)?;
                value.ty = *ty;
                Ok(value)
            }
            Expr::Const { value, ty } => consts::constant(value, *ty),
            Expr::Param { index, ty } => self.param(*index, *ty),
            Expr::Call { func, args, ty, collation } => {
                let args = self.exprs(args, scope)?;
                self.call(*func, args, *ty, *collation)
            }
            Expr::And(args) => Ok(Value::bool(self.exprs(args, scope)?.into_iter().map(|v| v.expr).reduce(DfExpr::and).unwrap_or(lit(true)))),
            Expr::Or(args) => Ok(Value::bool(self.exprs(args, scope)?.into_iter().map(|v| v.expr).reduce(DfExpr::or).unwrap_or(lit(false)))),
            Expr::Not(arg) => Ok(Value::bool(negated(self.expr(arg, scope)?.expr))),
            Expr::IsNull(arg) => Ok(Value::bool(scope.computed(self.expr(arg, scope)?)?.is_null())),
            Expr::IsNotNull(arg) => Ok(Value::bool(scope.computed(self.expr(arg, scope)?)?.is_not_null())),
            Expr::BoolTest { test, arg } => {
                let e = scope.computed(self.expr(arg, scope)?)?;
                Ok(Value::bool(match test {
                    BoolTest::IsTrue => is_true(e),
                    BoolTest::IsNotTrue => binary_expr(e, Operator::IsDistinctFrom, lit(true)),
                    BoolTest::IsFalse => binary_expr(e, Operator::IsNotDistinctFrom, lit(false)),
                    BoolTest::IsNotFalse => binary_expr(e, Operator::IsDistinctFrom, lit(false)),
                    BoolTest::IsUnknown => e.is_null(),
                    BoolTest::IsNotUnknown => e.is_not_null(),
                }))
            }
            Expr::Case { whens, otherwise, ty } => self.case(whens, otherwise.as_deref(), *ty, scope),
            Expr::Coalesce { args, ty } => {
                let mut args = self.exprs(args, scope)?;
                let Some(last) = args.pop() else { return Err(refused("COALESCE without arguments")) };
                let whens = args.into_iter().map(|v| (v.expr.clone().is_not_null(), v)).collect();
                branches(whens, Some(last), *ty)
            }
            Expr::NullIf { func, left, right, ty, collation } => {
                let (l, r) = (self.expr(left, scope)?, self.expr(right, scope)?);
                let equal = self.call(*func, vec![l.clone(), r], PgType::BOOL, *collation)?;
                let mut value = super::node::only_if(equal.expr.is_not_true(), &l)?;
                value.ty = *ty;
                Ok(value)
            }
            Expr::Greatest { args, ty, collation } => self.extreme(args, *ty, *collation, true, scope),
            Expr::Least { args, ty, collation } => self.extreme(args, *ty, *collation, false, scope),
            Expr::IsDistinct { func, left, right, collation } => {
                let (l, r) = (self.expr(left, scope)?, self.expr(right, scope)?);
                self.is_distinct(*func, l, r, *collation)
            }
            Expr::InList { func, any, left, list, collation } => {
                let left = self.expr(left, scope)?;
                let list = self.exprs(list, scope)?;
                self.in_list(*func, *any, left, list, *collation)
            }
            Expr::AnyArray { func, any, left, array, collation } => self.any_array(*func, *any, left, array, *collation, scope),
            Expr::Relabel { arg, ty } => relabel(self.expr(arg, scope)?, *ty),
            Expr::ViaText { arg, ty } => func::via_text(&self.expr(arg, scope)?, *ty, self.session),
            Expr::EnumRank { arg, labels } => Ok(crate::agg::enum_rank(&self.expr(arg, scope)?, labels)),
            Expr::Array { elements, ty } => self.array(elements, *ty, scope),
            Expr::Exists { .. } | Expr::ScalarSubquery { .. } | Expr::AnySubquery { .. } => Err(refused("a subquery in this place")),
        }
    }

    pub(super) fn exprs(&self, exprs: &[Expr], scope: &Scope<'_>) -> Result<Vec<Value>> {
        exprs.iter().map(|e| self.expr(e, scope)).collect()
    }

    fn param(&self, index: u32, ty: PgType) -> Result<Value> {
        let at = usize::try_from(index).unwrap_or(usize::MAX);
        if self.param_types.get(at).is_none() {
            return Err(refused(format!("parameter {index} is not declared")));
        }
        match self.params {
            None => consts::placeholder(index, ty),
            Some(values) => match values.get(at) {
                Some(value) => consts::constant(value, ty),
                None => Err(refused(format!("parameter {index} has no value"))),
            },
        }
    }

    pub(super) fn call(&self, func: u32, args: Vec<Value>, ty: PgType, collation: Collation) -> Result<Value> {
        if collation == Collation::Nondeterministic {
            return Err(refused("a nondeterministic collation"));
        }
        func::lower(&Call { func, args, ty, collation, session: self.session })
    }

    fn case(&self, whens: &[(Expr, Expr)], otherwise: Option<&Expr>, ty: PgType, scope: &Scope<'_>) -> Result<Value> {
        let mut pairs = Vec::with_capacity(whens.len());
        for (condition, result) in whens {
            pairs.push((self.expr(condition, scope)?.expr, self.expr(result, scope)?));
        }
        let otherwise = otherwise.map(|e| self.expr(e, scope)).transpose()?;
        branches(pairs, otherwise, ty)
    }

    pub(super) fn is_distinct(&self, func: u32, left: Value, right: Value, collation: Collation) -> Result<Value> {
        let (left_null, right_null) = (left.expr.clone().is_null(), right.expr.clone().is_null());
        let equal = self.call(func, vec![left, right], PgType::BOOL, collation)?.expr;
        // Keys of a plain equality are NULL exactly if the values are.
        if let DfExpr::BinaryExpr(BinaryExpr { left, op: Operator::Eq, right }) = equal {
            return Ok(Value::bool(DfExpr::BinaryExpr(BinaryExpr { left, op: Operator::IsDistinctFrom, right })));
        }
        let either = left_null.clone().or(right_null.clone());
        Ok(Value::bool(when(either, left_null.and(right_null).is_not_true()).otherwise(equal.is_not_true())?))
    }

    pub(super) fn in_list(&self, func: u32, any: bool, mut left: Value, mut list: Vec<Value>, collation: Collation) -> Result<Value> {
        if left.ty.base == oid::NUMERIC && list.iter().all(|v| v.ty.base == oid::NUMERIC) {
            // One physical scale for all, so that the left side is cast once; display scales play no part in comparisons.
            let all: Vec<&Value> = std::iter::once(&left).chain(&list).collect();
            let form = unify::form(&all, PgType::NUMERIC)?;
            let cast = |v: &Value| Value { expr: v.cast_to(&form.arrow), arrow: form.arrow.clone(), ..v.clone() };
            list = list.iter().map(cast).collect();
            left = cast(&left);
        }
        let mut compared = Vec::with_capacity(list.len());
        for item in list {
            compared.push(self.call(func, vec![left.clone(), item], PgType::BOOL, collation)?.expr);
        }
        let operator = if any { Operator::Eq } else { Operator::NotEq };
        if let Some(in_list) = as_in_list(&compared, operator) {
            return Ok(Value::bool(in_list));
        }
        let combined = if any { compared.into_iter().reduce(DfExpr::or) } else { compared.into_iter().reduce(DfExpr::and) };
        Ok(Value::bool(combined.unwrap_or(lit(!any))))
    }

    fn array(&self, elements: &[Expr], ty: PgType, scope: &Scope<'_>) -> Result<Value> {
        let element = ty.element().ok_or_else(|| refused(format!("an array of type {}", ty.oid)))?;
        let arrow = arrow_type(&ty).ok_or_else(|| refused(format!("an array of type {}", ty.oid)))?;
        if elements.is_empty() {
            return Err(refused("an array constructor of this type"));
        }
        let elements = self.exprs(elements, scope)?;
        if element.base == oid::NUMERIC {
            // The elements of a numeric array are held as text.
            let items = elements.iter().map(|v| Ok(func::via_text(v, PgType::TEXT, self.session)?.expr)).collect::<Result<Vec<_>>>()?;
            return Ok(Value::new(datafusion::functions_nested::expr_fn::make_array(items), arrow, ty));
        }
        let form = unify::form(&elements.iter().collect::<Vec<_>>(), element)?;
        let items = elements.iter().map(|v| form.of(v).0).collect();
        Ok(Value::new(datafusion::functions_nested::expr_fn::make_array(items), arrow, ty))
    }
}

/// Whether an expression calls a function of ours. (Others here do not raise errors.)
pub(super) fn can_fail(expr: &DfExpr) -> bool {
    expr.exists(|e| Ok(matches!(e, DfExpr::ScalarFunction(_)))).unwrap_or(true)
}

/// The value, of which the optimiser does not know that it is never NULL.
pub(super) fn passed_on(expr: DfExpr, arrow: &DataType) -> DfExpr {
    let kernel: udf::Kernel = Arc::new(|args| args.args.first().cloned().ok_or_else(|| internal_datafusion_err!("nothing to pass on")));
    udf::call("passed_on", arrow.to_string(), arrow.clone(), vec![expr], kernel)
}

/// `IS TRUE`, spelled as DataFusion computes it: its own IS TRUE is nullable when physical and not when logical, which its planner
/// refuses below an aggregate.
pub(super) fn is_true(expr: DfExpr) -> DfExpr {
    binary_expr(expr, Operator::IsNotDistinctFrom, lit(true))
}

/// NOT, on IN lists as NOT IN so that the optimiser knows them.
fn negated(expr: DfExpr) -> DfExpr {
    match expr {
        DfExpr::InList(InList { expr, list, negated }) => DfExpr::InList(InList { expr, list, negated: !negated }),
        other => datafusion::logical_expr::not(other),
    }
}

/// `left = literal` for every item as one IN list, which has the same three-valued logic.
fn as_in_list(compared: &[DfExpr], operator: Operator) -> Option<DfExpr> {
    let mut first: Option<&DfExpr> = None;
    let mut list = Vec::with_capacity(compared.len());
    for c in compared {
        let DfExpr::BinaryExpr(BinaryExpr { left, op, right }) = c else { return None };
        let same = first.is_none_or(|f| f == left.as_ref());
        if *op != operator || !same || !matches!(right.as_ref(), DfExpr::Literal(..)) {
            return None;
        }
        first = Some(left);
        list.push(right.as_ref().clone());
    }
    if list.len() < 2 {
        return None;
    }
    Some(first?.clone().in_list(list, operator == Operator::NotEq))
}

/// CASE over values that are brought to one form.
pub(super) fn branches(whens: Vec<(DfExpr, Value)>, otherwise: Option<Value>, ty: PgType) -> Result<Value> {
    let all: Vec<&Value> = whens.iter().map(|(_, v)| v).chain(&otherwise).collect();
    let form = unify::form(&all, ty)?;
    let dynamic = form.scale == Some(None);
    let (mut values, mut scales) = (Vec::new(), Vec::new());
    for (condition, value) in &whens {
        let (v, s) = form.of(value);
        values.push((condition.clone(), v));
        scales.extend(s.map(|s| (condition.clone(), s)));
    }
    let (else_value, else_scale) = match &otherwise {
        Some(v) => {
            let (v, s) = form.of(v);
            (Some(v), s)
        }
        None => (None, None),
    };
    let scale = dynamic.then(|| case_of(scales, else_scale, ScalarValue::Int16(None)));
    Ok(form.value(case_of(values, else_value, ScalarValue::try_from(&form.arrow)?), scale))
}

fn case_of(whens: Vec<(DfExpr, DfExpr)>, otherwise: Option<DfExpr>, null: ScalarValue) -> DfExpr {
    if whens.is_empty() {
        return otherwise.unwrap_or(DfExpr::Literal(null, None));
    }
    let whens = whens.into_iter().map(|(c, v)| (Box::new(c), Box::new(v))).collect();
    let otherwise = otherwise.unwrap_or(DfExpr::Literal(null, None));
    DfExpr::Case(Case::new(None, whens, Some(Box::new(otherwise))))
}

/// Binary-compatible types differ in Postgres only by name; text taken as char(n) is held without its trailing blanks.
fn relabel(value: Value, ty: PgType) -> Result<Value> {
    if ty.base != oid::NUMERIC && arrow_type(&ty).as_ref() != Some(&value.arrow) {
        return Err(refused(format!("type {} taken as type {}", value.ty.oid, ty.oid)));
    }
    if value.ty.base == oid::BPCHAR && ty.base != oid::BPCHAR {
        return Err(refused("char(n) taken as another text type"));
    }
    if ty.base == oid::BPCHAR && ty.typmod == PgType::UNPADDED.typmod && value.ty.typmod != ty.typmod {
        return func::unpadded(value, ty);
    }
    if value.ty.base == oid::CIDR && ty.base == oid::INET {
        return Ok(Value { expr: crate::func::cidr_as_inet(value.expr), ty, ..value });
    }
    if value.ty.is_held_as_printed() && ty.base != value.ty.base {
        return Err(refused(format!("type {} taken as type {}", value.ty.oid, ty.oid)));
    }
    Ok(func::relabel(value, ty))
}
