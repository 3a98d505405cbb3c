//! The one way to make a scalar function of our own: a name, a result type and a kernel.

use arrow::array::ArrayRef;
use arrow::datatypes::DataType;
use datafusion::common::Result;
use datafusion::logical_expr::{ColumnarValue, Expr, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility};
use std::any::Any;
use std::sync::Arc;

/// Computes a batch. Scalars may be answered by scalars.
pub type Kernel = Arc<dyn Fn(&ScalarFunctionArgs) -> Result<ColumnarValue> + Send + Sync>;

/// A function of ours. Two are equal if name, result type and `key` are; whatever else the kernel captures must be part of `key`.
struct PgFunction {
    name: &'static str,
    key: String,
    result: DataType,
    signature: Signature,
    kernel: Kernel,
}

impl std::fmt::Debug for PgFunction {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}[{}] -> {}", self.name, self.key, self.result)
    }
}

impl PartialEq for PgFunction {
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name && self.key == other.key && self.result == other.result
    }
}

impl Eq for PgFunction {}

impl std::hash::Hash for PgFunction {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        self.name.hash(state);
        self.key.hash(state);
        self.result.hash(state);
    }
}

impl ScalarUDFImpl for PgFunction {
    fn as_any(&self) -> &dyn Any {
        self
    }
    fn name(&self) -> &str {
        self.name
    }
    fn signature(&self) -> &Signature {
        &self.signature
    }
    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        Ok(self.result.clone())
    }
    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        (self.kernel)(&args)
    }
}

/// A call of a function of ours. `key` tells apart functions of one name whose kernels captured different values (`""` if none).
pub fn call(name: &'static str, key: impl Into<String>, result: DataType, args: Vec<Expr>, kernel: Kernel) -> Expr {
    with_volatility(Volatility::Immutable, name, key, result, args, kernel)
}

/// As [`call`], of a function that the optimiser leaves where it is.
pub fn call_in_place(name: &'static str, key: impl Into<String>, result: DataType, args: Vec<Expr>, kernel: Kernel) -> Expr {
    with_volatility(Volatility::Volatile, name, key, result, args, kernel)
}

fn with_volatility(volatility: Volatility, name: &'static str, key: impl Into<String>, result: DataType, args: Vec<Expr>, kernel: Kernel) -> Expr {
    let signature = if args.is_empty() { Signature::nullary(volatility) } else { Signature::any(args.len(), volatility) };
    let udf = ScalarUDF::new_from_impl(PgFunction { name, key: key.into(), result, signature, kernel });
    udf.call(args)
}

/// A kernel over whole arrays: scalars are expanded first, unless all arguments are scalars, in which case it runs on one row.
pub fn over_arrays(f: impl Fn(&[ArrayRef]) -> Result<ArrayRef> + Send + Sync + 'static) -> Kernel {
    Arc::new(move |args: &ScalarFunctionArgs| {
        let all_scalar = args.args.iter().all(|a| matches!(a, ColumnarValue::Scalar(_)));
        let rows = if all_scalar { 1 } else { args.number_rows };
        let arrays = args.args.iter().map(|a| a.to_array(rows)).collect::<Result<Vec<_>>>()?;
        let result = f(&arrays)?;
        if all_scalar { Ok(ColumnarValue::Scalar(datafusion::common::ScalarValue::try_from_array(&result, 0)?)) } else { Ok(ColumnarValue::Array(result)) }
    })
}
