//! Rows that a filter made at run time excludes, left out before anything else is done with them: rows without a partner among the keys of a
//! join's other side, rows behind the last one of a top-k.
//!
//! Such a filter would be applied further up all the same. Down here it spares what lies between: a repartitioning, an aggregation of groups
//! that nobody asks for, the join's own look-up of each row.
//!
//! Invariants:
//! - Only filters over columns as they are stored: an expression could raise for a row that a condition in between keeps from it.
//! - A filter that keeps most rows costs more than it spares, and is not applied until it has changed.

use crate::join_keys::InSet;
use arrow::array::{Array, ArrayRef, AsArray, BooleanArray, NullArray, RecordBatch, RecordBatchOptions};
use arrow::buffer::BooleanBuffer;
use arrow::compute::FilterBuilder;
use arrow::datatypes::{DataType, Field, FieldRef, Schema, SchemaRef};
use datafusion::common::{Result, ScalarValue};
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_expr::expressions::{BinaryExpr, CastExpr, Column, DynamicFilterPhysicalExpr, IsNotNullExpr, IsNullExpr, Literal, NotExpr};
use datafusion::physical_expr::utils::collect_columns;
use datafusion::physical_expr_common::physical_expr::snapshot_generation;
use std::sync::Arc;

/// Rows on which a filter is tried before it is applied to more.
const SAMPLE: usize = 4096;
/// At most one row in so many may be kept by a filter worth applying.
const WORTH_WHILE: usize = 4;

type Expr = Arc<dyn PhysicalExpr>;

/// The filters of one scan that may be applied to its rows, as one of its partitions knows them.
pub struct Sieve(Vec<Filter>);

struct Filter {
    expr: Expr,
    /// The scan's, without types where the filter does not look: conditions over partitions copy what they are given.
    schema: SchemaRef,
    /// The state of the filter in which it kept most rows.
    useless: Option<u64>,
}

impl Sieve {
    pub fn new(predicates: &[Expr], schema: &SchemaRef) -> Self {
        Self(predicates.iter().filter(|p| is_of_columns(p, schema)).map(|p| Filter::new(p, schema)).collect())
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Which of the rows are kept; `None`: all of them, or so many that it is not worth while.
    ///
    /// # Errors
    /// Columns that are not those of the schema.
    pub fn keep(&mut self, columns: &[ArrayRef], rows: usize) -> Result<Option<BooleanBuffer>> {
        let mut kept: Option<BooleanBuffer> = None;
        for filter in &mut self.0 {
            let generation = snapshot_generation(&filter.expr);
            if filter.useless == Some(generation) || says_nothing(&filter.expr)? {
                continue;
            }
            // A few rows are not worth a thought.
            if rows > SAMPLE && keeps_most(&filter.passing(columns, SAMPLE)?) {
                filter.useless = Some(generation);
                continue;
            }
            let passing = filter.passing(columns, rows)?;
            if rows > SAMPLE && keeps_most(&passing) {
                filter.useless = Some(generation);
                continue;
            }
            kept = Some(kept.map_or_else(|| passing.clone(), |k| &k & &passing));
        }
        Ok(kept)
    }
}

/// The rows that are kept, of each column.
///
/// # Errors
/// A column of another length.
pub fn pick(columns: &[ArrayRef], kept: BooleanBuffer) -> Result<Vec<ArrayRef>> {
    let kept = FilterBuilder::new(&BooleanArray::new(kept, None)).optimize().build();
    Ok(columns.iter().map(|c| kept.filter(c)).collect::<arrow::error::Result<_>>()?)
}

fn keeps_most(passing: &BooleanBuffer) -> bool {
    passing.count_set_bits() * WORTH_WHILE > passing.len()
}

impl Filter {
    fn new(expr: &Expr, schema: &SchemaRef) -> Self {
        let used = collect_columns(expr);
        let of = |(i, field): (usize, &FieldRef)| {
            if used.iter().any(|c| c.index() == i) { Arc::clone(field) } else { Arc::new(Field::new(field.name(), DataType::Null, true)) }
        };
        let fields: Vec<FieldRef> = schema.fields().iter().enumerate().map(of).collect();
        Self { expr: Arc::clone(expr), schema: Arc::new(Schema::new(fields)), useless: None }
    }

    /// Which of the first rows the filter is true of.
    fn passing(&self, columns: &[ArrayRef], rows: usize) -> Result<BooleanBuffer> {
        let of = |(column, field): (&ArrayRef, &FieldRef)| {
            if field.data_type() == column.data_type() { column.slice(0, rows) } else { Arc::new(NullArray::new(rows)) }
        };
        let columns = columns.iter().zip(self.schema.fields()).map(of).collect();
        let batch = RecordBatch::try_new_with_options(Arc::clone(&self.schema), columns, &RecordBatchOptions::new().with_row_count(Some(rows)))?;
        let passing = self.expr.evaluate(&batch)?.into_array(rows)?;
        let passing = passing.as_boolean();
        // Neither true nor false is not true.
        Ok(match passing.nulls() {
            None => passing.values().clone(),
            Some(valid) => passing.values() & valid.inner(),
        })
    }
}

/// A filter that is not known yet, or that takes as long as what it would spare: the look-up in a hash table which a join repeats.
fn says_nothing(filter: &Expr) -> Result<bool> {
    let Some(filter) = filter.as_any().downcast_ref::<DynamicFilterPhysicalExpr>() else { return Ok(true) };
    let current = filter.current()?;
    let is_true = current.as_any().downcast_ref::<Literal>().is_some_and(|l| *l.value() == ScalarValue::Boolean(Some(true)));
    Ok(is_true || !is_quick(&current))
}

fn is_quick(filter: &Expr) -> bool {
    let any = filter.as_any();
    let is_known = any.is::<InSet>() || any.is::<BinaryExpr>() || any.is::<IsNullExpr>() || any.is::<IsNotNullExpr>() || any.is::<NotExpr>();
    any.is::<Literal>() || any.is::<Column>() || any.is::<CastExpr>() || (is_known && filter.children().into_iter().all(is_quick))
}

/// Whether it is a filter made at run time, over columns as they are or integers that are widened.
fn is_of_columns(filter: &Expr, schema: &SchemaRef) -> bool {
    use DataType::{Int16, Int32, Int64};
    let is_column = |e: &Expr| e.as_any().is::<Column>();
    let is_widened = |e: &Expr| {
        e.as_any().downcast_ref::<CastExpr>().is_some_and(|cast| {
            let from = cast.expr().data_type(schema);
            is_column(cast.expr()) && matches!((from, cast.cast_type()), (Ok(Int16), Int32 | Int64) | (Ok(Int32), Int64))
        })
    };
    filter.as_any().is::<DynamicFilterPhysicalExpr>() && filter.children().into_iter().all(|e| is_column(e) || is_widened(e))
}

#[cfg(test)]
mod tests {
    use super::*;
    use arrow::array::Int32Array;
    use datafusion::logical_expr::Operator;
    use datafusion::physical_expr::expressions::lit;

    fn column() -> Expr {
        Arc::new(Column::new("a", 0))
    }

    fn schema() -> SchemaRef {
        Arc::new(Schema::new(vec![Field::new("a", DataType::Int32, true)]))
    }

    fn below(bound: i32) -> Expr {
        Arc::new(BinaryExpr::new(column(), Operator::Lt, lit(bound)))
    }

    fn numbers(n: i32) -> Vec<ArrayRef> {
        vec![Arc::new((0..n).map(|i| (i % 10 != 9).then_some(i)).collect::<Int32Array>())]
    }

    #[test]
    fn a_filter_says_nothing_until_it_is_known() -> Result<()> {
        let filter = Arc::new(DynamicFilterPhysicalExpr::new(vec![column()], lit(true)));
        let mut sieve = Sieve::new(&[Arc::clone(&filter) as Expr], &schema());
        assert_eq!(sieve.keep(&numbers(10_000), 10_000)?, None);
        filter.update(below(15))?;
        let kept = sieve.keep(&numbers(10_000), 10_000)?;
        assert_eq!(kept.as_ref().map(BooleanBuffer::count_set_bits), Some(14), "NULL is not below");
        let picked = pick(&numbers(10_000), kept.unwrap_or_else(|| BooleanBuffer::new_unset(10_000)))?;
        assert_eq!(picked.first().map(|c| c.len()), Some(14));
        Ok(())
    }

    #[test]
    fn what_keeps_most_is_tried_again_when_it_has_changed() -> Result<()> {
        let filter = Arc::new(DynamicFilterPhysicalExpr::new(vec![column()], lit(true)));
        let mut sieve = Sieve::new(&[Arc::clone(&filter) as Expr], &schema());
        filter.update(below(9_000))?;
        assert_eq!(sieve.keep(&numbers(10_000), 10_000)?, None);
        assert!(sieve.0.iter().all(|f| f.useless.is_some()));
        filter.update(below(1))?;
        assert_eq!(sieve.keep(&numbers(10_000), 10_000)?.map(|k| k.count_set_bits()), Some(1));
        Ok(())
    }

    #[test]
    fn nothing_is_computed_that_could_raise() {
        let computed: Expr = Arc::new(BinaryExpr::new(lit(1), Operator::Divide, column()));
        let dynamic = |of: Expr| Arc::new(DynamicFilterPhysicalExpr::new(vec![of], lit(true))) as Expr;
        let widened: Expr = Arc::new(CastExpr::new(column(), DataType::Int64, None));
        let narrowed: Expr = Arc::new(CastExpr::new(column(), DataType::Int16, None));
        let taken = |of: Expr| Sieve::new(&[of], &schema()).0.len();
        assert_eq!([taken(dynamic(column())), taken(dynamic(widened))], [1, 1]);
        assert_eq!([taken(dynamic(computed)), taken(dynamic(narrowed)), taken(below(1))], [0, 0, 0]);
    }
}
