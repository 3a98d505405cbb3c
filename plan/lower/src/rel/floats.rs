//! sum and avg of floats over frames whose rows have a known order: they are added one after another from the start of each frame, as
//! Postgres does, which takes no float back out of a sum.
//!
//! Source: `float4pl`, `float8pl`, `float4_accum` and `float8_accum` in `float.c`.

use crate::error::{raise, refused};
use arrow::array::{Array, ArrayRef, BooleanArray, Float32Array, Float64Array};
use arrow::datatypes::DataType;
use datafusion::common::{DataFusionError, Result};
use std::ops::Range;
use std::sync::Arc;

/// More values than this are not added for one partition: what Postgres would do then is no slower.
const MAX_WORK: u64 = 1 << 31;

/// What is computed of values that are held as float8.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum FloatSum {
    /// `sum(float4)`
    Single,
    /// `sum(float8)`
    Double,
    /// `avg`
    Average,
}

/// The state of one aggregate.
#[derive(Debug, Clone, Copy)]
struct State {
    count: f64,
    sum: f64,
    /// Only to know that Postgres would report an overflow of it.
    squares: f64,
}

const EMPTY: State = State { count: 0.0, sum: 0.0, squares: 0.0 };

fn overflow() -> DataFusionError {
    raise("22003", "value out of range: overflow")
}

impl FloatSum {
    pub(super) fn data_type(self) -> DataType {
        match self {
            FloatSum::Single => DataType::Float32,
            FloatSum::Double | FloatSum::Average => DataType::Float64,
        }
    }

    /// The bits of the floats in which is added.
    pub(super) fn bits(self) -> i32 {
        match self {
            FloatSum::Single => 24,
            FloatSum::Double | FloatSum::Average => 53,
        }
    }

    fn add(self, state: &mut State, v: f64) -> Result<()> {
        let before = *state;
        state.count += 1.0;
        let sum = match self {
            _ if before.count == 0.0 && self != FloatSum::Average => v,
            FloatSum::Single => f64::from(before.sum as f32 + v as f32),
            FloatSum::Double | FloatSum::Average => before.sum + v,
        };
        if sum.is_infinite() && !before.sum.is_infinite() && !v.is_infinite() {
            return Err(overflow());
        }
        state.sum = sum;
        if self == FloatSum::Average && before.count > 0.0 {
            let difference = v * state.count - sum;
            state.squares += difference * difference / (state.count * before.count);
            if state.squares.is_infinite() && !before.sum.is_infinite() && !v.is_infinite() {
                return Err(overflow());
            }
        }
        Ok(())
    }

    fn result(self, state: &State) -> Option<f64> {
        match self {
            _ if state.count == 0.0 => None,
            FloatSum::Single | FloatSum::Double => Some(state.sum),
            FloatSum::Average => Some(state.sum / state.count),
        }
    }

    /// The results of the frames.
    pub(super) fn over(self, values: &Float64Array, condition: Option<&BooleanArray>, frames: &[Vec<Range<usize>>]) -> Result<ArrayRef> {
        let mut results: Vec<Option<f64>> = Vec::with_capacity(frames.len());
        let (mut state, mut held) = (EMPTY, 0..0);
        let mut work = 0u64;
        let mut add = |state: &mut State, span: Range<usize>| -> Result<()> {
            work += span.len() as u64;
            if work > MAX_WORK {
                return Err(refused("a window frame that has to be computed anew for too many rows"));
            }
            for row in span.filter(|row| values.is_valid(*row) && condition.is_none_or(|c| c.value(*row))) {
                self.add(state, values.value(row))?;
            }
            Ok(())
        };
        for frame in frames {
            match frame.as_slice() {
                [span] if span.start == held.start && span.end >= held.end => {
                    add(&mut state, held.end..span.end)?;
                    held = span.clone();
                }
                spans => {
                    state = EMPTY;
                    held = match spans {
                        [span] => span.clone(),
                        // Not to be continued.
                        _ => usize::MAX..usize::MAX,
                    };
                    for span in spans {
                        add(&mut state, span.clone())?;
                    }
                }
            }
            results.push(self.result(&state));
        }
        Ok(match self {
            FloatSum::Single => Arc::new(results.into_iter().map(|v| v.map(|v| v as f32)).collect::<Float32Array>()),
            FloatSum::Double | FloatSum::Average => Arc::new(Float64Array::from(results)),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use arrow::array::AsArray;
    use arrow::datatypes::Float64Type;

    #[test]
    fn each_frame_is_added_from_its_start() {
        let values = Float64Array::from(vec![Some(1e16), Some(1.0), None, Some(-1e16), Some(0.25)]);
        let frames: Vec<Vec<Range<usize>>> = vec![vec![0..1], vec![0..2], vec![1..4], vec![3..5], vec![], vec![0..1, 3..5]];
        let sums = FloatSum::Double.over(&values, None, &frames).unwrap();
        let sums: Vec<Option<f64>> = sums.as_primitive::<Float64Type>().iter().collect();
        assert_eq!(sums, [Some(1e16), Some(1e16 + 1.0), Some(1.0 - 1e16), Some(-1e16 + 0.25), None, Some(0.25)]);
        let keep = BooleanArray::from(vec![false, true, true, false, true]);
        let means = FloatSum::Average.over(&values, Some(&keep), &[std::iter::once(0..5).collect(), std::iter::once(0..1).collect()]).unwrap();
        assert_eq!(means.as_primitive::<Float64Type>().iter().collect::<Vec<_>>(), [Some(0.625), None]);
        assert!(FloatSum::Double.over(&Float64Array::from(vec![1e308, 1e308]), None, &[std::iter::once(0..2).collect()]).is_err());
    }
}
