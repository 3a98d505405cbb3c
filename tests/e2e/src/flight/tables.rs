//! The tables of the server, and what it understands of a statement.

use arrow::array::{ArrayRef, Int32Array, Int64Array, RecordBatch, StringArray, StringDictionaryBuilder};
use arrow::datatypes::{DataType, Field, Int32Type, Schema, SchemaRef};
use arrow_flight::error::FlightError;
use futures::StreamExt;
use futures::stream::BoxStream;
use std::sync::Arc;
use std::time::Duration;

/// The tables that GetTables lists.
pub const NAMES: &[&str] = &["numbers", "endless", "broken", "garbage", "stalled", "slow", "forbidden", "changed"];
/// `numbers` comes in so many parts, each of [`ROWS`] rows.
pub const PARTS: usize = 4;
pub const ROWS: i32 = 25_000;

pub enum Table {
    /// Rows 0 to 99,999, with a dictionary.
    Numbers,
    /// Batches without end, as fast as they are taken.
    Endless,
    /// A batch and an error.
    Broken,
    /// Messages that are none.
    Garbage,
    /// A batch, and then nothing for ever.
    Stalled,
    /// A small batch ten times a second, for a minute.
    Slow,
    /// Text where numbers were declared.
    Changed,
    Counts(usize, usize),
    Rows(Vec<RecordBatch>),
}

pub fn named(name: &str, counts: impl Fn() -> (usize, usize)) -> Option<Table> {
    Some(match name {
        "numbers" | "forbidden" => Table::Numbers,
        "endless" => Table::Endless,
        "broken" => Table::Broken,
        "garbage" => Table::Garbage,
        "stalled" => Table::Stalled,
        "slow" => Table::Slow,
        "changed" => Table::Changed,
        "parents" => Table::Rows(vec![parents()]),
        "many" => Table::Rows((0..4).map(|i| many(i * 5000, 5000)).collect()),
        "counts" => {
            let (running, cancelled) = counts();
            Table::Counts(running, cancelled)
        }
        _ => return None,
    })
}

fn numbers(from: i32, rows: i32) -> RecordBatch {
    let mut words = StringDictionaryBuilder::<Int32Type>::new();
    for i in from..from + rows {
        words.append_option(["zero", "one", "two"].get(usize::try_from(i % 4).unwrap_or(3)));
    }
    let fields =
        vec![Field::new("id", DataType::Int32, true), Field::new("word", DataType::Dictionary(Box::new(DataType::Int32), Box::new(DataType::Utf8)), true)];
    let columns: Vec<ArrayRef> = vec![Arc::new(Int32Array::from_iter_values(from..from + rows)), Arc::new(words.finish())];
    RecordBatch::try_new(Arc::new(Schema::new(fields)), columns).expect("columns of the schema")
}

/// As the tests' other counterparts have them (`broken.sh`).
fn parents() -> RecordBatch {
    let text = |prefix: &str| Arc::new(StringArray::from_iter_values((1..=5).map(|i| format!("{prefix}{i}")))) as ArrayRef;
    RecordBatch::try_from_iter([("id", Arc::new(Int32Array::from_iter_values(1..=5)) as ArrayRef), ("name", text("name ")), ("tag", text("t"))])
        .expect("columns of one length")
}

fn many(from: i32, rows: i32) -> RecordBatch {
    let text = StringArray::from_iter_values((from..from + rows).map(|i| format!("{i:08x}").repeat(16)));
    RecordBatch::try_from_iter([("id", Arc::new(Int32Array::from_iter_values(from..from + rows)) as ArrayRef), ("v", Arc::new(text) as ArrayRef)])
        .expect("columns of one length")
}

impl Table {
    fn sample(&self) -> RecordBatch {
        match self {
            Table::Changed => {
                let field = Field::new("id", DataType::Utf8, true);
                RecordBatch::try_new(Arc::new(Schema::new(vec![field])), vec![Arc::new(StringArray::from(vec!["one"]))]).expect("a column of the schema")
            }
            Table::Counts(running, cancelled) => {
                let number = |n: &usize| Arc::new(Int64Array::from(vec![i64::try_from(*n).unwrap_or(-1)])) as ArrayRef;
                RecordBatch::try_from_iter([("running", number(running)), ("cancelled", number(cancelled))]).expect("columns of one length")
            }
            Table::Rows(batches) => batches.first().cloned().unwrap_or_else(|| numbers(0, 0)),
            _ => numbers(0, 10),
        }
    }

    /// The schema of some columns, or of all if there are none; `None` if one does not exist.
    pub fn schema(&self, columns: &[String]) -> Option<SchemaRef> {
        project(&self.sample(), columns).map(|b| b.schema())
    }

    pub fn batches(&self, columns: &[String], part: usize) -> BoxStream<'static, Result<RecordBatch, FlightError>> {
        let columns = columns.to_vec();
        let only = move |b: RecordBatch| project(&b, &columns).ok_or_else(|| FlightError::protocol("no such column"));
        let sample = self.sample();
        match self {
            Table::Numbers => {
                let first = i32::try_from(part).unwrap_or(0) * ROWS;
                futures::stream::iter((0..ROWS / 5000).map(move |i| only(numbers(first + i * 5000, 5000)))).boxed()
            }
            Table::Endless => futures::stream::iter((0..).map(move |i| only(numbers(i % 1000, 8192)))).boxed(),
            Table::Broken => futures::stream::iter([only(sample), Err(FlightError::Tonic(Box::new(tonic::Status::internal("the disk is gone"))))]).boxed(),
            Table::Stalled => futures::stream::iter([only(sample)]).chain(futures::stream::pending()).boxed(),
            Table::Slow => futures::stream::iter(0..600)
                .then(move |_| {
                    let batch = only(sample.clone());
                    async move {
                        tokio::time::sleep(Duration::from_millis(100)).await;
                        batch
                    }
                })
                .boxed(),
            Table::Rows(batches) => futures::stream::iter(batches.clone().into_iter().map(only).collect::<Vec<_>>()).boxed(),
            Table::Garbage | Table::Changed | Table::Counts(..) => futures::stream::iter([only(sample)]).boxed(),
        }
    }
}

fn project(batch: &RecordBatch, columns: &[String]) -> Option<RecordBatch> {
    if columns.is_empty() {
        return Some(batch.clone());
    }
    let indices = columns.iter().map(|c| batch.schema().index_of(c).ok()).collect::<Option<Vec<_>>>()?;
    batch.project(&indices).ok()
}

/// Table and columns of a statement; no columns for `*`.
pub fn parse(sql: &str) -> Option<(String, Vec<String>)> {
    let (list, from) = sql.strip_prefix("SELECT ")?.split_once(" FROM ")?;
    let last = |s: &str| s.trim().rsplit(['"', '`']).find(|p| !p.is_empty() && *p != ".").map(str::to_owned);
    let table = from.split(" AS ").next()?.split_whitespace().next()?;
    let columns = if list.trim() == "*" { Vec::new() } else { list.split(',').map(last).collect::<Option<Vec<_>>>()? };
    Some((last(table)?, columns))
}

pub fn base64(text: &str) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut out = String::new();
    for three in text.as_bytes().chunks(3) {
        let bits = three.iter().fold(0u32, |n, b| n << 8 | u32::from(*b)) << (8 * (3 - three.len()));
        out.extend((0..4).map(|i| if i > three.len() { '=' } else { char::from(DIGITS[(bits >> (18 - 6 * i) & 63) as usize]) }));
    }
    out
}
