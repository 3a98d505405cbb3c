//! Which units of a scan cannot have a row that a predicate keeps, by their statistics.
//!
//! Invariant: what is not known is kept. Predicates that grow tighter while the query runs (dynamic filters of joins and TopK) are looked at
//! again whenever they changed.

use super::scan::{Source, Unit};
use super::stats::ColumnStats;
use arrow::array::{Array, ArrayRef, UInt64Array, new_null_array};
use arrow::compute::concat;
use arrow::datatypes::SchemaRef;
use datafusion::common::pruning::PruningStatistics;
use datafusion::common::{Column, ScalarValue};
use datafusion::physical_expr::{PhysicalExpr, conjunction};
use datafusion::physical_expr_common::physical_expr::snapshot_generation;
use datafusion::physical_optimizer::pruning::PruningPredicate;
use parking_lot::Mutex;
use std::collections::{HashMap, HashSet};
use std::sync::Arc;

/// Keeps the answer for the present state of the predicate.
#[derive(Default)]
pub struct Pruner {
    state: Mutex<PrunerState>,
}

#[derive(Default)]
struct PrunerState {
    answer: Option<(u64, Option<Arc<[bool]>>)>,
    columns: HashMap<usize, Option<ColumnStats>>,
}

impl Pruner {
    /// For each unit whether it has to be read; `None` if all do.
    pub fn keep(&self, predicates: &[Arc<dyn PhysicalExpr>], schema: &SchemaRef, physical: &[usize], source: &Source) -> Option<Arc<[bool]>> {
        if predicates.is_empty() {
            return None;
        }
        let generation = predicates.iter().fold(1u64, |sum, p| sum.wrapping_add(snapshot_generation(p)));
        let mut state = self.state.lock();
        if let Some((of, answer)) = &state.answer
            && *of == generation
        {
            return answer.clone();
        }
        let PrunerState { answer, columns } = &mut *state;
        let predicate = PruningPredicate::try_new(conjunction(predicates.iter().cloned()), Arc::clone(schema)).ok().filter(|p| !p.always_true());
        let keep = predicate.and_then(|p| {
            let statistics = Units { schema, physical, source, columns: Mutex::new(columns) };
            p.prune(&statistics).ok()
        });
        let keep: Option<Arc<[bool]>> = keep.filter(|k| k.len() == source.units.len() && k.contains(&false)).map(Into::into);
        *answer = Some((generation, keep.clone()));
        keep
    }
}

struct Units<'a> {
    schema: &'a SchemaRef,
    /// The physical column of each column of `schema`.
    physical: &'a [usize],
    source: &'a Source,
    columns: Mutex<&'a mut HashMap<usize, Option<ColumnStats>>>,
}

impl Units<'_> {
    fn stats(&self, column: &Column) -> Option<ColumnStats> {
        let at = self.schema.index_of(&column.name).ok()?;
        let physical = *self.physical.get(at)?;
        self.columns.lock().entry(physical).or_insert_with(|| collect(self.source, physical)).clone()
    }
}

/// The statistics of a column over all units.
fn collect(source: &Source, physical: usize) -> Option<ColumnStats> {
    let ty = source.view.layout.schema.fields().get(physical)?.data_type();
    let unknown = new_null_array(ty, 1);
    let unknown_nulls: ArrayRef = Arc::new(UInt64Array::new_null(1));
    let (mut mins, mut maxs, mut nulls): (Vec<ArrayRef>, Vec<ArrayRef>, Vec<ArrayRef>) = Default::default();
    for Unit { part, group, .. } in &source.units {
        let footer = source.footers.get(*part)?.as_ref();
        match footer.and_then(|f| f.stats.columns.get(physical)?.as_ref()) {
            Some(stats) if *group < stats.min.len() => {
                mins.push(stats.min.slice(*group, 1));
                maxs.push(stats.max.slice(*group, 1));
                nulls.push(Arc::new(stats.nulls.slice(*group, 1)));
            }
            _ => {
                mins.push(Arc::clone(&unknown));
                maxs.push(Arc::clone(&unknown));
                nulls.push(Arc::clone(&unknown_nulls));
            }
        }
    }
    let join = |arrays: Vec<ArrayRef>| concat(&arrays.iter().map(AsRef::as_ref).collect::<Vec<_>>()).ok();
    let nulls = UInt64Array::from(join(nulls)?.to_data());
    Some(ColumnStats { min: join(mins)?, max: join(maxs)?, nulls })
}

impl PruningStatistics for Units<'_> {
    fn min_values(&self, column: &Column) -> Option<ArrayRef> {
        self.stats(column).map(|s| s.min)
    }

    fn max_values(&self, column: &Column) -> Option<ArrayRef> {
        self.stats(column).map(|s| s.max)
    }

    fn num_containers(&self) -> usize {
        self.source.units.len()
    }

    fn null_counts(&self, column: &Column) -> Option<ArrayRef> {
        self.stats(column).map(|s| Arc::new(s.nulls) as ArrayRef)
    }

    fn row_counts(&self, _column: &Column) -> Option<ArrayRef> {
        Some(Arc::new(self.source.units.iter().map(|u| Some(u64::from(u.rows))).collect::<UInt64Array>()))
    }

    fn contained(&self, _column: &Column, _values: &HashSet<ScalarValue>) -> Option<arrow::array::BooleanArray> {
        None
    }
}
