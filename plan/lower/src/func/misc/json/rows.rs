//! The elements of a JSON array and the keys of an object, as arrays.

use super::scan::{self, Kind, kind, text_of};
use crate::error::refused;
use crate::udf;
use crate::value::Value;
use arrow::array::{ArrayRef, AsArray, ListBuilder, StringViewBuilder};
use arrow::datatypes::{DataType, Field};
use datafusion::common::{Result, internal_err};
use std::sync::Arc;
use weir_plan::types::PgType;

/// `json(b)_array_elements(_text)`, `json(b)_object_keys`, and `json(b)_each(_text)` as arrays of a name and a value. What is no array (or object) is an error, which Postgres raises.
pub(crate) fn json_rows(func: u32, args: Vec<Value>, ty: PgType) -> Result<Value> {
    let (keys, as_text, check) = (matches!(func, 3931 | 3957), matches!(func, 3465 | 3969), matches!(func, 3955 | 3969 | 3957..=3959));
    let pairs = matches!(func, 3208 | 3932 | 3958 | 3959);
    let result = DataType::List(Arc::new(Field::new_list_field(DataType::Utf8View, true)));
    let kernel = udf::over_arrays(move |arrays| {
        let Some(documents) = arrays.first().and_then(|a| a.as_string_view_opt()) else { return internal_err!("rows of other than JSON") };
        let mut out = ListBuilder::new(StringViewBuilder::new());
        for document in documents {
            let Some(j) = document else {
                out.append_null();
                continue;
            };
            let j = if check { scan::checked(j)? } else { j };
            let wanted = if keys || pairs { Kind::Object } else { Kind::Array };
            if kind(j)? != wanted {
                return Err(refused("elements or keys of a JSON value of another kind"));
            }
            if pairs {
                for (key, value) in scan::members(j)? {
                    out.values().append_value(format!("[{key}, {value}]"));
                }
            } else if keys {
                for (key, _) in scan::members(j)? {
                    out.values().append_value(scan::unquote(key)?);
                }
            } else {
                for element in scan::elements(j)? {
                    if as_text {
                        out.values().append_option(text_of(element)?);
                    } else {
                        out.values().append_value(element);
                    }
                }
            }
            out.append(true);
        }
        Ok(Arc::new(out.finish()) as ArrayRef)
    });
    let exprs = args.into_iter().map(|v| v.expr).collect();
    Ok(Value::new(udf::call("json_rows", func.to_string(), result.clone(), exprs, kernel), result, ty))
}
