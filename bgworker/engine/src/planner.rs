//! From the optimised logical plan to the physical one, by DataFusion's planner.
//!
//! DataFusion 53 compares the input of every aggregation in the logical plan with that in the physical one, and fails where a column may be
//! NULL only in the latter. Both are judged from expressions, by different code (CASE, IS TRUE, mark joins), and before and after
//! different simplifications, so that one query in a thousand was refused.
//!
//! Invariants:
//! - What an aggregation reads may be NULL in the logical plan, whatever is known of it. Names and types are still compared.
//! - Nothing is added to the physical plan but what stands in the logical one.

use crate::fence::FenceExec;
use crate::foremost::ForemostExec;
use crate::rank::RankExec;
use async_trait::async_trait;
use datafusion::arrow::datatypes::Field;
use datafusion::common::tree_node::{Transformed, TreeNode};
use datafusion::common::{DFSchema, DFSchemaRef, Result, internal_datafusion_err};
use datafusion::execution::SessionState;
use datafusion::execution::context::QueryPlanner;
use datafusion::logical_expr::{Aggregate, Expr, Extension, LogicalPlan, UserDefinedLogicalNode, UserDefinedLogicalNodeCore};
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_planner::{DefaultPhysicalPlanner, ExtensionPlanner, PhysicalPlanner};
use std::cmp::Ordering;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::sync::Arc;
use weir_lower::{Fence, Foremost, Rank};

#[derive(Debug)]
pub struct Planner;

#[async_trait]
impl QueryPlanner for Planner {
    async fn create_physical_plan(&self, plan: &LogicalPlan, state: &SessionState) -> Result<Arc<dyn ExecutionPlan>> {
        let plan = plan.clone().transform_up(|node| match node {
            LogicalPlan::Aggregate(a) => below(a).map(|a| Transformed::yes(LogicalPlan::Aggregate(a))),
            other => Ok(Transformed::no(other)),
        })?;
        DefaultPhysicalPlanner::with_extension_planners(vec![Arc::new(Passing)]).create_physical_plan(&plan.data, state).await
    }
}

/// The aggregation over [`Nullable`]; it keeps its schema, which those above it name.
fn below(mut aggregate: Aggregate) -> Result<Aggregate> {
    let input = Arc::unwrap_or_clone(aggregate.input);
    aggregate.input = Arc::new(match input.schema().fields().iter().all(|f| f.is_nullable()) {
        true => input,
        false => LogicalPlan::Extension(Extension { node: Arc::new(Nullable::above(input)?) }),
    });
    Ok(aggregate)
}

/// Its input, any column of which may be NULL.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Nullable {
    input: LogicalPlan,
    schema: DFSchemaRef,
}

impl Nullable {
    fn above(input: LogicalPlan) -> Result<Self> {
        let known = input.schema();
        let fields = known.iter().map(|(qualifier, field)| (qualifier.cloned(), Arc::new(Field::clone(field).with_nullable(true)))).collect();
        let schema = Arc::new(DFSchema::new_with_metadata(fields, known.metadata().clone())?);
        Ok(Self { input, schema })
    }
}

impl Hash for Nullable {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.input.hash(state);
    }
}

impl PartialOrd for Nullable {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        self.input.partial_cmp(&other.input)
    }
}

impl UserDefinedLogicalNodeCore for Nullable {
    fn name(&self) -> &str {
        "Nullable"
    }

    fn inputs(&self) -> Vec<&LogicalPlan> {
        vec![&self.input]
    }

    fn schema(&self) -> &DFSchemaRef {
        &self.schema
    }

    fn expressions(&self) -> Vec<Expr> {
        Vec::new()
    }

    fn fmt_for_explain(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Nullable")
    }

    fn with_exprs_and_inputs(&self, _: Vec<Expr>, inputs: Vec<LogicalPlan>) -> Result<Self> {
        Self::above(inputs.into_iter().next().unwrap_or_else(|| self.input.clone()))
    }
}

/// Plans [`Nullable`] as its input, the others as themselves.
struct Passing;

#[async_trait]
impl ExtensionPlanner for Passing {
    async fn plan_extension(
        &self,
        planner: &dyn PhysicalPlanner,
        node: &dyn UserDefinedLogicalNode,
        logical_inputs: &[&LogicalPlan],
        physical_inputs: &[Arc<dyn ExecutionPlan>],
        state: &SessionState,
    ) -> Result<Option<Arc<dyn ExecutionPlan>>> {
        let (Some(logical), Some(input)) = (logical_inputs.first(), physical_inputs.first()) else {
            return Err(internal_datafusion_err!("a node without its input"));
        };
        let expression = |e: &Expr| planner.create_physical_expr(e, logical.schema(), state);
        if let Some(rank) = node.as_any().downcast_ref::<Rank>() {
            return Ok(Some(Arc::new(RankExec::try_new(rank, Arc::clone(input), &expression)?)));
        }
        if let Some(foremost) = node.as_any().downcast_ref::<Foremost>() {
            return Ok(Some(Arc::new(ForemostExec::try_new(foremost, Arc::clone(input), expression(&foremost.text)?)?)));
        }
        let (nullable, fence) = (node.as_any().is::<Nullable>(), node.as_any().is::<Fence>());
        if !nullable && !fence {
            return Ok(None);
        }
        let input = Arc::clone(input);
        Ok(Some(if fence { Arc::new(FenceExec(input)) } else { input }))
    }
}
