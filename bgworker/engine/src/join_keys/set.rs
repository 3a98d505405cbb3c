//! A set of integer keys as an expression: whether a column's value is among the keys of a join's other side.
//!
//! Invariant: it is true of every key. It may be true of others, too, where the keys are too far apart for a bit each.

use arrow::array::{Array, ArrayRef, ArrowPrimitiveType, AsArray, BooleanArray, PrimitiveArray, RecordBatch};
use arrow::buffer::BooleanBuffer;
use arrow::datatypes::{DataType, Date32Type, Int16Type, Int32Type, Int64Type, Schema};
use datafusion::common::Result;
use datafusion::common::internal_err;
use datafusion::logical_expr::ColumnarValue;
use datafusion::physical_expr::PhysicalExpr;
use std::any::Any;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

/// Bits for a key. With as many places as that for keys that are spread by a hash, one other value in sixteen passes for a key.
const BITS_PER_KEY: usize = 16;
/// Sets of fewer bits than this are not made smaller.
const MIN_BITS: usize = 1 << 16;
/// 2^64 divided by the golden ratio: products with it spread well over their high bits.
const SPREAD: u64 = 0x9E37_79B9_7F4A_7C15;

#[derive(Debug)]
pub struct Set {
    least: i64,
    greatest: i64,
    /// A power of two of them if the keys are hashed.
    bits: Vec<u64>,
    /// By how much a hash is shifted; `None`: the bit of a key is its distance from the least one.
    shift: Option<u32>,
}

impl Set {
    /// `None` if there are no keys.
    pub fn new(keys: &[i64]) -> Option<Set> {
        let (least, greatest) = (*keys.iter().min()?, *keys.iter().max()?);
        let room = (keys.len() * BITS_PER_KEY).max(MIN_BITS).next_power_of_two();
        let range = usize::try_from(greatest.abs_diff(least)).unwrap_or(usize::MAX);
        let (places, shift) = if range < room { (range + 1, None) } else { (room, Some(64 - room.trailing_zeros())) };
        let mut set = Set { least, greatest, bits: vec![0; places.div_ceil(64)], shift };
        for key in keys {
            let at = set.place(*key);
            if let Some(word) = set.bits.get_mut(at / 64) {
                *word |= 1 << (at % 64);
            }
        }
        Some(set)
    }

    #[allow(clippy::cast_possible_truncation, reason = "smaller than the number of bits")]
    fn place(&self, key: i64) -> usize {
        match self.shift {
            None => key.abs_diff(self.least) as usize,
            Some(shift) => (key.cast_unsigned().wrapping_mul(SPREAD) >> shift) as usize,
        }
    }

    fn may_have(&self, key: i64) -> bool {
        if key < self.least || key > self.greatest {
            return false;
        }
        let at = self.place(key);
        self.bits.get(at / 64).is_some_and(|word| word >> (at % 64) & 1 == 1)
    }
}

/// Types of which there are sets.
pub fn is_integer(ty: &DataType) -> bool {
    matches!(ty, DataType::Int16 | DataType::Int32 | DataType::Int64 | DataType::Date32)
}

/// Adds the values of an array of such a type that are not NULL.
///
/// # Errors
/// An array of another type.
pub fn collect(array: &ArrayRef, keys: &mut Vec<i64>) -> Result<()> {
    fn all<T: ArrowPrimitiveType<Native: Into<i64>>>(array: &PrimitiveArray<T>, keys: &mut Vec<i64>) {
        if array.null_count() == 0 {
            keys.extend(array.values().iter().map(|v| (*v).into()));
        } else {
            keys.extend(array.iter().flatten().map(Into::into));
        }
    }
    match array.data_type() {
        DataType::Int16 => all(array.as_primitive::<Int16Type>(), keys),
        DataType::Int32 => all(array.as_primitive::<Int32Type>(), keys),
        DataType::Int64 => all(array.as_primitive::<Int64Type>(), keys),
        DataType::Date32 => all(array.as_primitive::<Date32Type>(), keys),
        other => return internal_err!("no set of {other}"),
    }
    Ok(())
}

/// Whether `of` may be in the set; of NULL, it is not.
#[derive(Debug)]
pub struct InSet {
    of: Arc<dyn PhysicalExpr>,
    set: Arc<Set>,
}

impl InSet {
    pub fn new(of: Arc<dyn PhysicalExpr>, set: Set) -> Self {
        Self { of, set: Arc::new(set) }
    }
}

impl fmt::Display for InSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} among the keys", self.of)
    }
}

impl PartialEq for InSet {
    fn eq(&self, other: &Self) -> bool {
        self.of.eq(&other.of) && Arc::ptr_eq(&self.set, &other.set)
    }
}

impl Eq for InSet {}

impl Hash for InSet {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.of.hash(state);
        Arc::as_ptr(&self.set).hash(state);
    }
}

impl PhysicalExpr for InSet {
    fn as_any(&self) -> &dyn Any {
        self
    }

    fn data_type(&self, _: &Schema) -> Result<DataType> {
        Ok(DataType::Boolean)
    }

    fn nullable(&self, _: &Schema) -> Result<bool> {
        Ok(false)
    }

    fn evaluate(&self, batch: &RecordBatch) -> Result<ColumnarValue> {
        let array = self.of.evaluate(batch)?.into_array(batch.num_rows())?;
        let found = match array.data_type() {
            DataType::Int16 => among(&self.set, array.as_primitive::<Int16Type>()),
            DataType::Int32 => among(&self.set, array.as_primitive::<Int32Type>()),
            DataType::Int64 => among(&self.set, array.as_primitive::<Int64Type>()),
            DataType::Date32 => among(&self.set, array.as_primitive::<Date32Type>()),
            other => return internal_err!("no set of {other}"),
        };
        Ok(ColumnarValue::Array(Arc::new(BooleanArray::new(found, None))))
    }

    fn children(&self) -> Vec<&Arc<dyn PhysicalExpr>> {
        vec![&self.of]
    }

    fn with_new_children(self: Arc<Self>, children: Vec<Arc<dyn PhysicalExpr>>) -> Result<Arc<dyn PhysicalExpr>> {
        let of = children.into_iter().next().unwrap_or_else(|| Arc::clone(&self.of));
        Ok(Arc::new(Self { of, set: Arc::clone(&self.set) }))
    }

    fn fmt_sql(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

fn among<T: ArrowPrimitiveType<Native: Into<i64>>>(set: &Set, array: &PrimitiveArray<T>) -> BooleanBuffer {
    let values = array.values();
    let found = BooleanBuffer::collect_bool(values.len(), |i| values.get(i).is_some_and(|v| set.may_have((*v).into())));
    match array.nulls() {
        None => found,
        Some(valid) => &found & valid.inner(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use arrow::array::{Int32Array, Int64Array};
    use arrow::datatypes::Field;
    use datafusion::physical_expr::expressions::Column;

    #[test]
    fn near_keys_have_a_bit_each() -> Result<()> {
        let set = Set::new(&[i64::MIN, i64::MIN + 7, i64::MIN + 700]).map(|s| (s.shift, [0, 1, 7, 700, 701].map(|n| s.may_have(i64::MIN + n))));
        assert_eq!(set, Some((None, [true, false, true, true, false])));
        assert!(Set::new(&[]).is_none());
        Ok(())
    }

    #[test]
    fn keys_far_apart_are_all_found_and_few_others() {
        let keys: Vec<i64> = (0..20_000i64).map(|n| n.wrapping_mul(7_046_029_254_386_353_131)).collect();
        let Some(set) = Set::new(&keys) else { return };
        assert!(set.shift.is_some());
        assert!(keys.iter().all(|k| set.may_have(*k)));
        let others = (0..20_000i64).filter(|n| set.may_have(n.wrapping_mul(1_442_695_040_888_963_407) ^ 1)).count();
        assert!(others < 2_000, "{others} of 20000");
        let both = Set::new(&[i64::MIN, i64::MAX, 0]).map(|s| [i64::MIN, 0, i64::MAX].map(|k| s.may_have(k)));
        assert_eq!(both, Some([true; 3]));
    }

    #[test]
    fn null_is_not_among_them() -> Result<()> {
        let mut keys = Vec::new();
        collect(&(Arc::new(Int64Array::from(vec![Some(5), None, Some(-3)])) as ArrayRef), &mut keys)?;
        assert_eq!(keys, [5, -3]);
        let Some(set) = Set::new(&keys) else { return internal_err!("keys") };
        let expr = InSet::new(Arc::new(Column::new("a", 0)), set);
        let schema = Arc::new(Schema::new(vec![Field::new("a", DataType::Int32, true)]));
        let batch = RecordBatch::try_new(schema, vec![Arc::new(Int32Array::from(vec![Some(5), None, Some(0), Some(-3), Some(6), Some(-4)]))])?;
        let found = expr.evaluate(&batch)?.into_array(6)?;
        assert_eq!(found.as_boolean(), &BooleanArray::from(vec![true, false, false, true, false, false]));
        Ok(())
    }
}
