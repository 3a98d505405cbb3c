//! min and max of text under the collation of a locale, which the translator names as the direct argument.

use super::single;
use crate::agg::{AggArgs, AggLowered};
use crate::error::refused;
use crate::func::collator;
use arrow::array::{ArrayRef, AsArray};
use arrow::datatypes::{DataType, FieldRef};
use datafusion::common::{Result, ScalarValue, internal_err};
use datafusion::logical_expr::function::{AccumulatorArgs, StateFieldsArgs};
use datafusion::logical_expr::utils::format_state_name;
use datafusion::logical_expr::{Accumulator, AggregateUDF, AggregateUDFImpl, Signature, Volatility};
use std::any::Any;
use std::cmp::Ordering;
use std::hash::{Hash, Hasher};
use std::sync::Arc;
use weir_collate::Collator;

pub(super) fn extreme(args: &AggArgs<'_>, wanted: Ordering) -> Result<AggLowered> {
    let ([arg], [locale]) = (args.args.as_slice(), args.direct.as_slice()) else { return Err(refused("min or max of text of no locale")) };
    if arg.arrow != DataType::Utf8View {
        return Err(refused(format!("min or max of {} under a locale", arg.arrow)));
    }
    let (name, collator) = collator(locale)?;
    let signature = Signature::any(1, Volatility::Immutable);
    let udf = AggregateUDF::new_from_impl(Extreme { wanted, name, collator, signature });
    single(args, Arc::new(udf), vec![arg.expr.clone()], arg.clone())
}

struct Extreme {
    /// How the value that is kept compares with others.
    wanted: Ordering,
    name: String,
    collator: Arc<Collator>,
    signature: Signature,
}

impl std::fmt::Debug for Extreme {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Extreme {:?} {}", self.wanted, self.name)
    }
}

impl PartialEq for Extreme {
    fn eq(&self, other: &Self) -> bool {
        self.wanted == other.wanted && self.name == other.name
    }
}

impl Eq for Extreme {}

impl Hash for Extreme {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.wanted.hash(state);
        self.name.hash(state);
    }
}

impl AggregateUDFImpl for Extreme {
    fn as_any(&self) -> &dyn Any {
        self
    }

    fn name(&self) -> &str {
        "pg_collated_extreme"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        Ok(DataType::Utf8View)
    }

    fn accumulator(&self, _: AccumulatorArgs) -> Result<Box<dyn Accumulator>> {
        Ok(Box::new(Kept { wanted: self.wanted, collator: Arc::clone(&self.collator), value: None }))
    }

    fn state_fields(&self, args: StateFieldsArgs) -> Result<Vec<FieldRef>> {
        Ok(vec![Arc::new(arrow::datatypes::Field::new(format_state_name(args.name, "kept"), DataType::Utf8View, true))])
    }
}

struct Kept {
    wanted: Ordering,
    collator: Arc<Collator>,
    value: Option<String>,
}

impl std::fmt::Debug for Kept {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Kept {:?} {:?}", self.wanted, self.value)
    }
}

impl Accumulator for Kept {
    fn update_batch(&mut self, values: &[ArrayRef]) -> Result<()> {
        let Some(texts) = values.first().and_then(|a| a.as_string_view_opt()) else { return internal_err!("min or max of something that is no text") };
        let mut best: Option<&str> = self.value.as_deref();
        for text in texts.iter().flatten() {
            let better = match best {
                Some(best) => self.collator.compare(text, best).map_err(refused)? == self.wanted,
                None => true,
            };
            if better {
                best = Some(text);
            }
        }
        if best != self.value.as_deref() {
            self.value = best.map(str::to_owned);
        }
        Ok(())
    }

    fn evaluate(&mut self) -> Result<ScalarValue> {
        Ok(ScalarValue::Utf8View(self.value.clone()))
    }

    fn size(&self) -> usize {
        size_of_val(self) + self.value.as_ref().map_or(0, String::capacity)
    }

    fn state(&mut self) -> Result<Vec<ScalarValue>> {
        Ok(vec![self.evaluate()?])
    }

    fn merge_batch(&mut self, states: &[ArrayRef]) -> Result<()> {
        self.update_batch(states)
    }
}
