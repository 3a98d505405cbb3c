//! Filters by the keys of a join: what the side that is read first holds filters the other one, before it is repartitioned, grouped or sent.
//!
//! For a remote statement they are lists of keys. DataFusion's own are for inner joins, and not while that side is empty; these are for the others
//! as well. For a mirror they are sets of integers that its scan leaves rows out by ([`crate::mirror`]), and which DataFusion has none of: a subquery
//! that was decorrelated has the groups of all keys, where Postgres would compute those that are asked for, and a join looks each row up.
//!
//! The right side may be filtered wherever a row of it without a partner is not in the result: inner joins, left joins, and semi, anti and mark
//! joins of which the left side is kept, or the right one if it matched.
//!
//! Invariants:
//! - Keys are collected as the rows go by, no more of them than are used; too many, and there is no filter.
//! - A filter says nothing until the left side has been read to its end, in all its partitions. It is not used where a plan runs again.
//! - It is true of every row that has a partner.

mod pass;
mod set;

use crate::keys::MAX_KEYS;
use crate::mirror::MirrorScan;
use arrow::array::{Array, ArrayRef, RecordBatch};
use arrow::datatypes::DataType;
use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::{Transformed, TransformedResult, TreeNode};
use datafusion::common::{JoinType, NullEquality, Result, ScalarValue};
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_expr::expressions::{DynamicFilterPhysicalExpr, InListExpr, lit};
use datafusion::physical_optimizer::PhysicalOptimizerRule;
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::joins::HashJoinExec;
use datafusion::physical_plan::repartition::RepartitionExec;
use pass::{Collect, Offer};
use std::collections::HashSet;
use std::sync::{Arc, Mutex, PoisonError};

pub use set::InSet;

type Plan = Arc<dyn ExecutionPlan>;
type Expr = Arc<dyn PhysicalExpr>;

/// Rows that are looked at for a list of keys, or for a set of integers; of more, there is no filter.
const MOST_ROWS: usize = 100_000;
const MOST_INTEGERS: usize = 1 << 20;
/// Bytes of the texts among a column's keys.
const MOST_BYTES: usize = 1 << 20;

/// Comes before the rule that brings dynamic filters to where they are used.
#[derive(Debug)]
pub struct CollectJoinKeys;

impl CollectJoinKeys {
    /// The rule before which it has its place.
    pub const BEFORE: &'static str = "FilterPushdown(Post)";
}

impl PhysicalOptimizerRule for CollectJoinKeys {
    fn optimize(&self, plan: Plan, _: &ConfigOptions) -> Result<Plan> {
        plan.transform_up(|node| {
            let Some(join) = node.as_any().downcast_ref::<HashJoinExec>().filter(|j| filters_right(j)) else { return Ok(Transformed::no(node)) };
            let lists = crate::remote::takes_keys(join.right());
            if !lists && (!reads_a_mirror(join.right()) || is_larger(join.left(), join.right())) {
                return Ok(Transformed::no(node));
            }
            // Below a repartitioning, so that all keys are known when the first partition of the join has its left side.
            let below = join.left().as_any().downcast_ref::<RepartitionExec>().map(RepartitionExec::input);
            let Some(keys) = Keys::of(join, below.unwrap_or(join.left()), lists)? else { return Ok(Transformed::no(node)) };
            let offer: Plan = Arc::new(Offer { filters: keys.on.iter().map(|key| Arc::clone(&key.filter)).collect(), input: Arc::clone(join.right()) });
            let collect = |input: &Plan| Arc::new(Collect { keys: Some(Arc::new(keys)), input: Arc::clone(input) }) as Plan;
            let left = match below {
                None => collect(join.left()),
                Some(input) => Arc::clone(join.left()).with_new_children(vec![collect(input)])?,
            };
            Arc::clone(&node).with_new_children(vec![left, offer]).map(Transformed::yes)
        })
        .data()
    }

    fn name(&self) -> &'static str {
        "CollectJoinKeys"
    }

    fn schema_check(&self) -> bool {
        true
    }
}

/// Whether this side is known to be the larger one, whose keys leave out little.
fn is_larger(this: &Plan, that: &Plan) -> bool {
    let rows = |plan: &Plan| plan.partition_statistics(None).ok().and_then(|s| s.num_rows.get_value().copied());
    matches!((rows(this), rows(that)), (Some(this), Some(that)) if this > that)
}

fn reads_a_mirror(plan: &Plan) -> bool {
    plan.as_any().is::<MirrorScan>() || plan.children().into_iter().any(reads_a_mirror)
}

fn filters_right(join: &HashJoinExec) -> bool {
    use JoinType::{Inner, Left, LeftAnti, LeftMark, LeftSemi, RightSemi};
    // NOT IN has to see the NULLs of the other side.
    !join.null_aware
        && join.null_equality() == NullEquality::NullEqualsNothing
        && matches!(join.join_type(), Inner | Left | LeftSemi | LeftAnti | LeftMark | RightSemi)
}

/// Types whose values can be keys of a remote statement, equal in Arrow exactly if they are in Postgres.
fn is_key(ty: &DataType) -> bool {
    use DataType::{Date32, Decimal128, Decimal256, FixedSizeBinary, Int16, Int32, Int64, Timestamp, Utf8View};
    matches!(ty, Int16 | Int32 | Int64 | Date32 | Timestamp(..) | Utf8View | Decimal128(..) | Decimal256(..) | FixedSizeBinary(16))
}

/// The keys of one join.
pub struct Keys {
    on: Vec<Key>,
    known: Mutex<Known>,
}

struct Key {
    /// What it is on the left, and on the right.
    left: Expr,
    right: Expr,
    filter: Arc<DynamicFilterPhysicalExpr>,
}

struct Known {
    /// For each key.
    values: Vec<Values>,
    /// Of the texts among them.
    bytes: usize,
    rows: usize,
    /// Partitions that are still being read.
    open: usize,
}

enum Values {
    List(HashSet<ScalarValue>),
    Integers(Vec<i64>),
    TooMany,
}

impl Keys {
    /// `input`: where the rows of the left side go by. `None` if the join has no such keys.
    fn of(join: &HashJoinExec, input: &Plan, lists: bool) -> Result<Option<Keys>> {
        let (left, right) = (join.left().schema(), join.right().schema());
        let (mut on, mut values) = (Vec::new(), Vec::new());
        for (l, r) in join.on() {
            let ty = l.data_type(&left)?;
            if (if lists { is_key(&ty) } else { set::is_integer(&ty) }) && ty == r.data_type(&right)? {
                let filter = Arc::new(DynamicFilterPhysicalExpr::new(vec![Arc::clone(r)], lit(true)));
                on.push(Key { left: Arc::clone(l), right: Arc::clone(r), filter });
                values.push(if lists { Values::List(HashSet::new()) } else { Values::Integers(Vec::new()) });
            }
        }
        if on.is_empty() {
            return Ok(None);
        }
        let open = input.properties().output_partitioning().partition_count();
        Ok(Some(Keys { on, known: Mutex::new(Known { values, bytes: 0, rows: 0, open }) }))
    }

    fn add(&self, batch: &RecordBatch) -> Result<()> {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        let Known { values, bytes, rows, .. } = &mut *known;
        *rows = rows.saturating_add(batch.num_rows());
        for (key, values) in self.on.iter().zip(values) {
            let array = || key.left.evaluate(batch)?.into_array(batch.num_rows());
            match values {
                Values::List(found) if *rows <= MOST_ROWS => {
                    if !list(&array()?, found, bytes)? {
                        *values = Values::TooMany;
                    }
                }
                Values::Integers(keys) if *rows <= MOST_INTEGERS => set::collect(&array()?, keys)?,
                _ => *values = Values::TooMany,
            }
        }
        Ok(())
    }

    /// One partition has been read.
    fn ended(&self) -> Result<()> {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        known.open = known.open.saturating_sub(1);
        if known.open > 0 {
            return Ok(());
        }
        for (key, values) in self.on.iter().zip(known.values.drain(..)) {
            let right = || Arc::clone(&key.right);
            let filter: Option<Expr> = match values {
                Values::TooMany => None,
                Values::List(values) if values.is_empty() => Some(lit(false)),
                Values::List(values) => Some(Arc::new(InListExpr::try_new_from_array(right(), ScalarValue::iter_to_array(values)?, false)?)),
                Values::Integers(keys) => Some(set::Set::new(&keys).map_or_else(|| lit(false), |set| Arc::new(InSet::new(right(), set)))),
            };
            if let Some(filter) = filter {
                key.filter.update(filter)?;
            }
            key.filter.mark_complete();
        }
        Ok(())
    }
}

/// Adds the keys of a batch; `false` if there are too many. What is NULL matches nothing.
fn list(array: &ArrayRef, found: &mut HashSet<ScalarValue>, bytes: &mut usize) -> Result<bool> {
    for i in (0..array.len()).filter(|i| array.is_valid(*i)) {
        let value = ScalarValue::try_from_array(array, i)?;
        let size = if let ScalarValue::Utf8View(Some(text)) = &value { text.len() } else { 0 };
        *bytes += if found.insert(value) { size } else { 0 };
        if found.len() > MAX_KEYS || *bytes > MOST_BYTES {
            return Ok(false);
        }
    }
    Ok(true)
}
