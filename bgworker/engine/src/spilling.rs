//! Plans whose aggregations spill well.
//!
//! An aggregation of DataFusion 53 writes what it spills in pieces of some thousand groups. A piece of a view array (`Utf8View`, `BinaryView`)
//! carries the buffers of all groups, so that a gigabyte of texts became hundreds of gigabytes of files, and the query failed for want of
//! disk. Pieces of plain arrays carry their own values. They are slower to make, so a query is planned with them only once memory was short.
//!
//! Invariant: the plan gives the same rows, by the same names and types.

use datafusion::arrow::datatypes::DataType;
use datafusion::common::Result;
use datafusion::common::tree_node::{Transformed, TreeNode};
use datafusion::functions_aggregate::min_max::{Max, Min};
use datafusion::logical_expr::expr::AggregateFunction;
use datafusion::logical_expr::{Aggregate, Expr, ExprSchemable, GroupingSet, LogicalPlan, Projection, cast};
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::aggregates::AggregateExec;
use std::sync::Arc;

/// The plan with plain arrays; `None`: no aggregation has others.
pub fn plain_groups(plan: LogicalPlan) -> Result<Option<LogicalPlan>> {
    let plan = plan.transform_up(|node| match node {
        LogicalPlan::Aggregate(a) => plain(a),
        other => Ok(Transformed::no(other)),
    })?;
    Ok(plan.transformed.then_some(plan.data))
}

/// Whether an aggregation of the plan has groups or values in view arrays.
pub fn spills_views(plan: &dyn ExecutionPlan) -> bool {
    let is_one = plan.as_any().is::<AggregateExec>() && plan.schema().fields().iter().any(|f| plain_type(f.data_type()).is_some());
    is_one || plan.children().into_iter().any(|child| spills_views(child.as_ref()))
}

fn plain_type(ty: &DataType) -> Option<DataType> {
    match ty {
        DataType::Utf8View => Some(DataType::LargeUtf8),
        DataType::BinaryView => Some(DataType::LargeBinary),
        _ => None,
    }
}

fn plain(aggregate: Aggregate) -> Result<Transformed<LogicalPlan>> {
    let mut keys = Vec::new();
    let mut key = |e: &Expr| {
        let Some(ty) = plain_type(&e.get_type(aggregate.input.schema())?) else { return Ok(e.clone()) };
        // One that stands in several grouping sets is one.
        let place = keys.iter().position(|k| k == e).unwrap_or_else(|| {
            keys.push(e.clone());
            keys.len() - 1
        });
        Ok(cast(e.clone().unalias(), ty).alias(format!("__weir_plain_{place}")))
    };
    let mut all = |of: &[Expr]| of.iter().map(&mut key).collect::<Result<Vec<_>>>();
    let group_expr = match aggregate.group_expr.as_slice() {
        [Expr::GroupingSet(GroupingSet::GroupingSets(sets))] => {
            vec![Expr::GroupingSet(GroupingSet::GroupingSets(sets.iter().map(|set| all(set)).collect::<Result<_>>()?))]
        }
        [Expr::GroupingSet(_)] => return Ok(Transformed::no(LogicalPlan::Aggregate(aggregate))),
        plain => all(plain)?,
    };
    let mut has_values = false;
    let mut values = Vec::with_capacity(aggregate.aggr_expr.len());
    for e in &aggregate.aggr_expr {
        let value = plain_value(e, &aggregate)?;
        has_values |= value.is_some();
        values.push(value.unwrap_or_else(|| e.clone()));
    }
    if keys.is_empty() && !has_values {
        return Ok(Transformed::no(LogicalPlan::Aggregate(aggregate)));
    }
    let schema = Arc::clone(&aggregate.schema);
    let plain = Aggregate::try_new(aggregate.input, group_expr, values)?;
    let columns = plain.schema.columns().into_iter().zip(schema.iter()).map(|(column, (qualifier, field))| {
        let value = Expr::Column(column);
        let value = if value.get_type(&plain.schema)? == *field.data_type() { value } else { cast(value, field.data_type().clone()) };
        Ok(value.alias_qualified(qualifier.cloned(), field.name()))
    });
    let columns = columns.collect::<Result<Vec<_>>>()?;
    let plan = LogicalPlan::Projection(Projection::try_new(columns, Arc::new(LogicalPlan::Aggregate(plain)))?);
    Ok(Transformed::yes(plan))
}

/// The least and the greatest of texts, which are part of the state of each group.
fn plain_value(e: &Expr, of: &Aggregate) -> Result<Option<Expr>> {
    let (f, name) = match e {
        Expr::Alias(alias) => match alias.expr.as_ref() {
            Expr::AggregateFunction(f) => (f, alias.name.clone()),
            _ => return Ok(None),
        },
        Expr::AggregateFunction(f) => (f, e.schema_name().to_string()),
        _ => return Ok(None),
    };
    let is_extreme = f.func.inner().as_any().is::<Min>() || f.func.inner().as_any().is::<Max>();
    let [arg] = f.params.args.as_slice() else { return Ok(None) };
    let Some(ty) = plain_type(&arg.get_type(of.input.schema())?).filter(|_| is_extreme) else { return Ok(None) };
    let mut params = f.params.clone();
    params.args = vec![cast(arg.clone(), ty)];
    Ok(Some(Expr::AggregateFunction(AggregateFunction { func: Arc::clone(&f.func), params }).alias(name)))
}
