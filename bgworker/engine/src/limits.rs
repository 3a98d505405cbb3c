//! The number of rows of a sort is kept by a limit above it.
//!
//! DataFusion's plans have `ORDER BY … LIMIT n` as a sort that gives n rows. Its rule `EnforceSorting` (release 53) takes away a sort whose
//! order is there already, and forgets the n on its way past a merge: `LIMIT 7` over `LIMIT 9` in the same order gave 9 rows.
//!
//! Invariant: above each sort that gives only some rows stands a limit that says so, from before the first rule on. (The rule
//! `LimitPushdown` does not run here.)

use datafusion::common::Result;
use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::{Transformed, TransformedResult, TreeNode};
use datafusion::physical_optimizer::PhysicalOptimizerRule;
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::limit::GlobalLimitExec;
use datafusion::physical_plan::sorts::sort::SortExec;
use std::sync::Arc;

#[derive(Debug)]
pub struct LimitsAboveSorts;

impl PhysicalOptimizerRule for LimitsAboveSorts {
    fn optimize(&self, plan: Arc<dyn ExecutionPlan>, _: &ConfigOptions) -> Result<Arc<dyn ExecutionPlan>> {
        plan.transform_up(|node| {
            let fetch = node.as_any().downcast_ref::<SortExec>().and_then(SortExec::fetch);
            Ok(match fetch {
                Some(n) => Transformed::yes(Arc::new(GlobalLimitExec::new(node, 0, Some(n))) as Arc<dyn ExecutionPlan>),
                None => Transformed::no(node),
            })
        })
        .data()
    }

    fn name(&self) -> &'static str {
        "LimitsAboveSorts"
    }

    fn schema_check(&self) -> bool {
        true
    }
}
