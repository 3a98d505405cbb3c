//! Set-returning functions: each makes an array of a row, whose elements become rows.

use super::Lowerer;
use super::expr::Scope;
use super::node::{Domain, Node, column, name_of};
use crate::error::{raise, refused};
use crate::func;
use crate::func::time::series::timestamps;
use crate::udf;
use crate::value::Value;
use arrow::array::{Array, ArrayRef, AsArray, Int32Builder, Int64Builder, ListArray, ListBuilder, PrimitiveBuilder};
use arrow::buffer::{NullBuffer, OffsetBuffer};
use arrow::datatypes::{ArrowPrimitiveType, DataType, Field, Int32Type, Int64Type};
use datafusion::common::{Column, Result, UnnestOptions, internal_err};
use datafusion::logical_expr::{Expr as DfExpr, LogicalPlanBuilder, lit};
use std::sync::Arc;
use weir_plan::ir::{Collation, Expand};
use weir_plan::types::{PgType, arrow_type, oid};

/// More rows than this are not made of one batch.
const MAX_ROWS: usize = 20_000_000;

impl Lowerer<'_> {
    pub(super) fn expand(&mut self, e: &Expand, domain: Option<&Domain>) -> Result<Node> {
        let mut node = self.rel(&e.input, domain)?;
        let (mut lists, mut exprs, mut unnested, mut added) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
        for call in &e.functions {
            let (next, args) = self.absorb(node, &call.args)?;
            node = next;
            let args = self.exprs(&args, &Scope::of(&node))?;
            let (id, ty) = call.value;
            let list = self.elements(call.func, args, ty, call.collation)?;
            // The elements of a numeric array are held as text.
            let item = if ty.base == oid::NUMERIC { Some(DataType::Utf8View) } else { arrow_type(&ty) };
            let Some(item) = item else { return Err(refused(format!("rows of type {}", ty.oid))) };
            if !matches!(&list.arrow, DataType::List(f) if f.data_type() == &item) || ty.base == oid::BPCHAR {
                return Err(refused(format!("rows of type {}", ty.oid)));
            }
            let list = if e.outer { or_null(list) } else { list };
            let name = name_of(id);
            exprs.push(list.expr.clone().alias(&name));
            unnested.push(Column::new_unqualified(name.clone()));
            let value = Value::new(column(name), item, ty);
            added.push((id, if ty.base == oid::NUMERIC { func::via_text(&Value { ty: PgType::TEXT, ..value }, ty, self.session)? } else { value }));
            lists.push(list);
        }
        if let Some(ordinal) = e.ordinal {
            let name = name_of(ordinal);
            exprs.push(ordinals(&lists).alias(&name));
            unnested.push(Column::new_unqualified(name.clone()));
            added.push((ordinal, Value::new(column(name), DataType::Int64, PgType::INT8)));
        }
        let mut node = node.extend(exprs)?;
        let options = UnnestOptions::new().with_preserve_nulls(e.outer);
        node.plan = LogicalPlanBuilder::from(node.plan).unnest_columns_with_options(unnested, options)?.build()?;
        for (id, value) in added {
            node.cols.insert(id, value);
            node.order.push(id);
        }
        Ok(node)
    }

    /// The array of which the function's rows are the elements.
    fn elements(&self, func: u32, args: Vec<Value>, ty: PgType, collation: Collation) -> Result<Value> {
        let text_array = PgType::new(1009);
        // The function that makes an array of the same.
        let call = |func: u32, args: Vec<Value>| self.call(func, args, text_array, collation);
        match func {
            2331 => match <[Value; 1]>::try_from(args) {
                Ok([array]) => Ok(array),
                Err(_) => Err(refused("unnest of several arrays")),
            },
            1066 | 1067 => series::<Int32Type>(args, ty),
            1068 | 1069 => series::<Int64Type>(args, ty),
            938 | 939 => timestamps(args, ty, (func == 939).then_some(self.session)),
            1192 => subscripts(args, ty),
            // regexp_split_to_table, string_to_table
            2765 => call(2767, args),
            2766 => call(2768, args),
            6160 => call(394, args),
            6161 => call(376, args),
            3219 | 3465 | 3955 | 3969 | 3931 | 3957 | 3208 | 3932 | 3958 | 3959 => crate::func::json_rows(func, args, ty),
            4006 => crate::func::path_rows(&args, ty),
            // Its rows are arrays themselves.
            2763 | 2764 => self.call(func, args, ty, collation),
            _ => Err(refused(format!("set-returning function {func}"))),
        }
    }
}

fn list_of(item: DataType) -> DataType {
    DataType::List(Arc::new(Field::new_list_field(item, true)))
}

/// The next number of a series; it ends where adding overflows.
trait Step: ArrowPrimitiveType {
    fn next(from: Self::Native, by: Self::Native) -> Option<Self::Native>;
    fn sign(n: Self::Native) -> i8;
}

impl Step for Int32Type {
    fn next(from: i32, by: i32) -> Option<i32> {
        from.checked_add(by)
    }
    fn sign(n: i32) -> i8 {
        n.signum() as i8
    }
}

impl Step for Int64Type {
    fn next(from: i64, by: i64) -> Option<i64> {
        from.checked_add(by)
    }
    fn sign(n: i64) -> i8 {
        n.signum() as i8
    }
}

fn series<T: Step>(args: Vec<Value>, ty: PgType) -> Result<Value>
where
    T::Native: PartialOrd + From<i8>,
{
    let result = list_of(T::DATA_TYPE);
    let mut exprs: Vec<DfExpr> = args.into_iter().map(|v| v.expr).collect();
    if exprs.len() == 2 {
        exprs.push(if T::DATA_TYPE == DataType::Int32 { lit(1i32) } else { lit(1i64) });
    }
    let kernel = udf::over_arrays(|arrays| {
        let columns = arrays.iter().map(|a| a.as_primitive_opt::<T>()).collect::<Option<Vec<_>>>();
        let Some(&[start, stop, step]) = columns.as_deref() else { return internal_err!("generate_series of other types") };
        let mut out = ListBuilder::new(PrimitiveBuilder::<T>::new());
        let mut rows = 0;
        for row in 0..start.len() {
            if start.is_null(row) || stop.is_null(row) || step.is_null(row) {
                out.append_null();
                continue;
            }
            let (stop, by) = (stop.value(row), step.value(row));
            let up = match T::sign(by) {
                0 => return Err(raise("22023", "step size cannot equal zero")),
                sign => sign > 0,
            };
            let mut current = Some(start.value(row));
            while let Some(value) = current.filter(|v| if up { *v <= stop } else { *v >= stop }) {
                rows += 1;
                if rows > MAX_ROWS {
                    return Err(refused("generate_series of too many rows"));
                }
                out.values().append_value(value);
                current = T::next(value, by);
            }
            out.append(true);
        }
        Ok(Arc::new(out.finish()) as ArrayRef)
    });
    Ok(Value::new(udf::call("pg_series", "", result.clone(), exprs, kernel), result, ty))
}

/// An array has one dimension and begins at 1.
fn subscripts(args: Vec<Value>, ty: PgType) -> Result<Value> {
    let result = list_of(DataType::Int32);
    let kernel = udf::over_arrays(|arrays| {
        let [array, dimension] = arrays else { return internal_err!("generate_subscripts takes two arguments") };
        let (Some(array), Some(dimension)) = (array.as_list_opt::<i32>(), dimension.as_primitive_opt::<Int32Type>()) else {
            return internal_err!("generate_subscripts of other types");
        };
        let mut out = ListBuilder::new(Int32Builder::new());
        for row in 0..array.len() {
            if array.is_null(row) || dimension.is_null(row) || dimension.value(row) != 1 {
                out.append_null();
                continue;
            }
            for i in 1..=array.value_length(row) {
                out.values().append_value(i);
            }
            out.append(true);
        }
        Ok(Arc::new(out.finish()) as ArrayRef)
    });
    let exprs = args.into_iter().map(|v| v.expr).collect();
    Ok(Value::new(udf::call("pg_subscripts", "", result.clone(), exprs, kernel), result, ty))
}

/// An empty array as NULL, so that its row stays.
fn or_null(list: Value) -> Value {
    let kernel = udf::over_arrays(|arrays| {
        let Some(list) = arrays.first().and_then(|a| a.as_list_opt::<i32>()) else { return internal_err!("rows of other than an array") };
        let valid = NullBuffer::from_iter((0..list.len()).map(|row| list.is_valid(row) && list.value_length(row) > 0));
        let (field, offsets, values, _) = list.clone().into_parts();
        Ok(Arc::new(ListArray::try_new(field, offsets, values, Some(valid))?) as ArrayRef)
    });
    let key = list.arrow.to_string();
    Value { expr: udf::call("pg_empty_as_null", key, list.arrow.clone(), vec![list.expr.clone()], kernel), ..list }
}

/// For the arrays of each row that of the places of the elements, as far as the longest goes.
fn ordinals(lists: &[Value]) -> DfExpr {
    let kernel = udf::over_arrays(|arrays| {
        let Some(lists) = arrays.iter().map(|a| a.as_list_opt::<i32>()).collect::<Option<Vec<_>>>() else {
            return internal_err!("rows of other than an array");
        };
        let rows = lists.first().map_or(0, |l| l.len());
        let mut places = Int64Builder::new();
        let mut lengths = Vec::with_capacity(rows);
        for row in 0..rows {
            let length = lists.iter().map(|l| if l.is_null(row) { 0 } else { l.value_length(row) }).max().unwrap_or(0);
            (1..=i64::from(length)).for_each(|i| places.append_value(i));
            lengths.push(usize::try_from(length).unwrap_or(0));
        }
        let valid = NullBuffer::from_iter((0..rows).map(|row| lists.iter().any(|l| l.is_valid(row))));
        let field = Arc::new(Field::new_list_field(DataType::Int64, true));
        Ok(Arc::new(ListArray::try_new(field, OffsetBuffer::from_lengths(lengths), Arc::new(places.finish()), Some(valid))?) as ArrayRef)
    });
    let key: Vec<String> = lists.iter().map(|l| l.arrow.to_string()).collect();
    udf::call("pg_ordinals", key.join(" "), list_of(DataType::Int64), lists.iter().map(|l| l.expr.clone()).collect(), kernel)
}
