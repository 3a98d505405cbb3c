//! UNION ALL at the top of a query: its branches come one after the other, as from Postgres. Nothing promises it, but a report whose last branch is
//! the total relies on it.
//!
//! Invariant: all branches are computed at the same time, as any partitions are; those whose turn has not come wait with a few batches.

use datafusion::common::Result;
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::physical_plan::common::spawn_buffered;
use datafusion::physical_plan::coop::CooperativeExec;
use datafusion::physical_plan::projection::ProjectionExec;
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::union::UnionExec;
use datafusion::physical_plan::{ExecutionPlan, execute_stream};
use futures::StreamExt;
use std::sync::Arc;

/// Batches of a branch that wait for their turn.
const WAITING: usize = 2;

/// Starts the plan.
///
/// # Errors
/// It cannot start.
pub fn start(plan: &Arc<dyn ExecutionPlan>, task: &Arc<TaskContext>) -> Result<SendableRecordBatchStream> {
    let Some(branches) = branches(plan)? else { return execute_stream(Arc::clone(plan), Arc::clone(task)) };
    let streams = branches.into_iter().map(|branch| Ok(spawn_buffered(execute_stream(branch, Arc::clone(task))?, WAITING)));
    let rows = futures::stream::iter(streams.collect::<Result<Vec<_>>>()?).flatten();
    Ok(Box::pin(RecordBatchStreamAdapter::new(plan.schema(), rows)))
}

/// The plan as one for each branch.
fn branches(plan: &Arc<dyn ExecutionPlan>) -> Result<Option<Vec<Arc<dyn ExecutionPlan>>>> {
    let any = plan.as_any();
    if let Some(union) = any.downcast_ref::<UnionExec>() {
        let mut all = Vec::new();
        for branch in union.inputs() {
            match branches(branch)? {
                Some(inner) => all.extend(inner),
                None => all.push(Arc::clone(branch)),
            }
        }
        return Ok(Some(all));
    }
    if !any.is::<ProjectionExec>() && !any.is::<CooperativeExec>() {
        return Ok(None);
    }
    let [below] = plan.children()[..] else { return Ok(None) };
    let Some(below) = branches(below)? else { return Ok(None) };
    below.into_iter().map(|branch| Arc::clone(plan).with_new_children(vec![branch])).collect::<Result<_>>().map(Some)
}
