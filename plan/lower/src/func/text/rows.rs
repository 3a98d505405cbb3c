//! Row loops over typed arguments, for functions that are strict (NULL if any argument is NULL).
//!
//! Invariant: a scalar argument is never expanded to the length of the batch.

use crate::error::refused;
use arrow::array::{
    Array, ArrayRef, BinaryViewArray, BinaryViewBuilder, BooleanArray, BooleanBuilder, FixedSizeBinaryArray, Int32Array, Int64Array, ListArray,
    PrimitiveBuilder, StringViewArray, StringViewBuilder,
};
use arrow::buffer::NullBuffer;
use arrow::datatypes::ArrowPrimitiveType;
use datafusion::common::{DataFusionError, Result, ScalarValue};
use datafusion::logical_expr::{ColumnarValue, ScalarFunctionArgs};

/// The arguments of one batch.
pub(in crate::func) struct Args {
    arrays: Vec<(ArrayRef, bool)>,
    pub rows: usize,
    all_scalar: bool,
}

/// A typed argument: `one` if the array's only value stands for all rows.
pub(in crate::func) struct Col<'a, A> {
    pub array: &'a A,
    pub one: bool,
}

fn wrong_type(want: &str, got: &ArrayRef) -> DataFusionError {
    crate::error::wrap(weir_plan::Error::internal(format!("argument is {}, not {want}", got.data_type())))
}

macro_rules! accessor {
    ($name:ident, $array:ty) => {
        pub(in crate::func) fn $name(&self, i: usize) -> Result<Col<'_, $array>> {
            let (array, one) = self.arg(i)?;
            let typed = array.as_any().downcast_ref::<$array>().ok_or_else(|| wrong_type(stringify!($name), array))?;
            Ok(Col { array: typed, one: *one })
        }
    };
}

impl Args {
    pub(in crate::func) fn new(args: &ScalarFunctionArgs) -> Result<Self> {
        let all_scalar = args.args.iter().all(|a| matches!(a, ColumnarValue::Scalar(_)));
        let arrays = args
            .args
            .iter()
            .map(|a| match a {
                ColumnarValue::Array(array) => Ok((array.clone(), false)),
                ColumnarValue::Scalar(s) => Ok((s.to_array_of_size(1)?, true)),
            })
            .collect::<Result<Vec<_>>>()?;
        Ok(Self { arrays, rows: if all_scalar { 1 } else { args.number_rows }, all_scalar })
    }

    pub(in crate::func) fn len(&self) -> usize {
        self.arrays.len()
    }

    pub(in crate::func) fn arg(&self, i: usize) -> Result<&(ArrayRef, bool)> {
        self.arrays.get(i).ok_or_else(|| crate::error::wrap(weir_plan::Error::internal("too few arguments")))
    }

    accessor!(text, StringViewArray);
    accessor!(bytes, BinaryViewArray);
    accessor!(int4, Int32Array);
    accessor!(int8, Int64Array);
    accessor!(bool, BooleanArray);
    accessor!(uuid, FixedSizeBinaryArray);
    accessor!(list, ListArray);

    /// Rows in which some argument is NULL; `Err(())` if that is every row.
    pub(in crate::func) fn nulls(&self) -> std::result::Result<Option<NullBuffer>, ()> {
        let mut nulls = None;
        for (array, one) in &self.arrays {
            if *one {
                if array.is_null(0) {
                    return Err(());
                }
            } else {
                nulls = NullBuffer::union(nulls.as_ref(), array.logical_nulls().as_ref());
            }
        }
        Ok(nulls)
    }

    /// The result: a scalar if all arguments were.
    pub(in crate::func) fn finish(&self, array: ArrayRef) -> Result<ColumnarValue> {
        if self.all_scalar { Ok(ColumnarValue::Scalar(ScalarValue::try_from_array(&array, 0)?)) } else { Ok(ColumnarValue::Array(array)) }
    }
}

macro_rules! get {
    ($array:ty, $item:ty) => {
        impl<'a> Col<'a, $array> {
            #[inline]
            pub(in crate::func) fn get(&self, row: usize) -> $item {
                self.array.value(self.at(row))
            }
            /// As `get`, for functions that are not strict.
            #[inline]
            #[allow(dead_code)]
            pub(in crate::func) fn opt(&self, row: usize) -> Option<$item> {
                let row = self.at(row);
                (!self.array.is_null(row)).then(|| self.array.value(row))
            }
        }
    };
}

impl<A> Col<'_, A> {
    /// The place of a row's value in the array.
    #[inline]
    pub(in crate::func) fn at(&self, row: usize) -> usize {
        if self.one { 0 } else { row }
    }
}

get!(StringViewArray, &'a str);
get!(BinaryViewArray, &'a [u8]);
get!(Int32Array, i32);
get!(Int64Array, i64);
get!(BooleanArray, bool);
get!(FixedSizeBinaryArray, &'a [u8]);
get!(ListArray, ArrayRef);

/// What the results of one batch may take. No account knows of them before they are there, and `repeat` makes gigabytes of a few rows, which
/// Postgres has one at a time.
const MAX_RESULT_BYTES: usize = 256 << 20;

/// A builder of results, so far.
pub(in crate::func) trait Results {
    fn bytes(&self) -> usize {
        0
    }

    /// # Errors
    /// They take more than a batch may.
    #[inline]
    fn bounded(&self) -> Result<()> {
        if self.bytes() > MAX_RESULT_BYTES { Err(refused("the results of a function take more than 256 MB in one batch of rows")) } else { Ok(()) }
    }
}

impl Results for StringViewBuilder {
    #[inline]
    fn bytes(&self) -> usize {
        self.allocated_size()
    }
}

impl Results for BinaryViewBuilder {
    #[inline]
    fn bytes(&self) -> usize {
        self.allocated_size()
    }
}

impl Results for BooleanBuilder {}
impl<T: ArrowPrimitiveType> Results for PrimitiveBuilder<T> {}

/// A kernel of a strict function: `kernel!(StringViewBuilder::new(), |s: text, n: int4| expression)`, where the expression is an
/// `Option` that the builder's `append_option` takes, and `?` may raise.
macro_rules! kernel {
    ($builder:expr, |$($arg:ident : $kind:ident),+| $body:expr) => {
        std::sync::Arc::new(move |call: &datafusion::logical_expr::ScalarFunctionArgs| -> datafusion::common::Result<datafusion::logical_expr::ColumnarValue> {
            let args = $crate::func::text::rows::Args::new(call)?;
            let mut next = 0usize..;
            $(let $arg = args.$kind(next.next().unwrap_or_default())?;)+
            let mut out = $builder;
            match args.nulls() {
                Err(()) => (0..args.rows).for_each(|_| out.append_null()),
                Ok(nulls) => {
                    for row in 0..args.rows {
                        if nulls.as_ref().is_some_and(|n| n.is_null(row)) {
                            out.append_null();
                        } else {
                            $(let $arg = $arg.get(row);)+
                            out.append_option($body);
                            $crate::func::text::rows::Results::bounded(&out)?;
                        }
                    }
                }
            }
            args.finish(std::sync::Arc::new(out.finish()))
        })
    };
}
pub(in crate::func) use kernel;
