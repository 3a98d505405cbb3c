//! Times queries on a server: medians of repeated runs, hot.

use std::path::Path;
use std::time::{Duration, Instant};

use postgres::fallible_iterator::FallibleIterator;
use postgres::{Client, NoTls, SimpleQueryMessage};

use crate::args::Args;
use crate::load::describe;

/// A query that runs longer than this is reported as an error instead of being waited for.
const STATEMENT_TIMEOUT: &str = "SET statement_timeout = '300s'";

fn connect(args: &Args) -> Result<Client, String> {
    connect_with(args, args.text("label").unwrap_or("postgres"), args.all("set").iter().map(String::as_str))
}

/// The label is the session's application name: whoever samples memory finds the backend by it.
fn connect_with<'a>(args: &Args, label: &str, settings: impl IntoIterator<Item = &'a str>) -> Result<Client, String> {
    let mut client = Client::connect(args.required("conn")?, NoTls).map_err(|e| describe(&e))?;
    client.batch_execute(&format!("{STATEMENT_TIMEOUT}; SET application_name = 'bench {}'", label.replace('\'', "''"))).map_err(|e| describe(&e))?;
    for setting in settings {
        let (name, value) = setting.split_once('=').ok_or_else(|| format!("\"{setting}\" is no setting: it has no ="))?;
        client.batch_execute(&format!("SET {name} = '{}'", value.replace('\'', "''"))).map_err(|e| format!("{setting}: {}", describe(&e)))?;
    }
    Ok(client)
}

/// The `fraction` quantile (0 to 1) of the times, in seconds.
fn quantile(times: &mut [Duration], fraction: f64) -> f64 {
    times.sort_unstable();
    let last = times.len().saturating_sub(1);
    let index = (last as f64 * fraction).round() as usize;
    times.get(index.min(last)).map_or(f64::NAN, Duration::as_secs_f64)
}

/// `routed`, `postgres`, or `-` on a server without the extension.
fn who_answered(client: &mut Client) -> String {
    let asked = client.simple_query("SELECT CASE WHEN routed AND NOT fallback THEN 'routed' ELSE 'postgres' END FROM weir.last_route()");
    let found = asked.ok().and_then(|messages| {
        messages.into_iter().find_map(|message| match message {
            SimpleQueryMessage::Row(row) => row.get(0).map(str::to_string),
            _ => None,
        })
    });
    found.unwrap_or_else(|| "-".into())
}

/// One way to run the queries, with a session of its own.
struct Way<'a> {
    label: &'a str,
    settings: Vec<&'a str>,
    client: Client,
}

/// `weir-bench tpch-run`: per query and way one line `label, query, median seconds, who answered, rows`. The ways take turns within each
/// query, so that whatever else the machine does meets all of them.
pub fn tpch_run(args: &Args) -> Result<(), String> {
    let dir = Path::new(args.required("queries")?);
    let runs: usize = args.number("runs", 5)?;
    let mut ways = Vec::new();
    for way in args.all("way") {
        let mut parts = way.split(',');
        let label = parts.next().unwrap_or_default();
        let settings: Vec<&str> = parts.collect();
        ways.push(Way { label, client: connect_with(args, label, settings.iter().copied())?, settings });
    }
    if ways.is_empty() {
        let settings: Vec<&str> = args.all("set").iter().map(String::as_str).collect();
        ways.push(Way { label: args.text("label").unwrap_or("postgres"), client: connect(args)?, settings });
    }
    let mut files: Vec<_> = std::fs::read_dir(dir)
        .map_err(|e| format!("{}: {e}", dir.display()))?
        .filter_map(|entry| entry.ok().map(|entry| entry.path()))
        .filter(|path| path.extension().is_some_and(|ext| ext == "sql"))
        .collect();
    files.sort();
    for file in files {
        let sql = std::fs::read_to_string(&file).map_err(|e| format!("{}: {e}", file.display()))?;
        let name = file.file_stem().map(|stem| stem.to_string_lossy().into_owned()).unwrap_or_default();
        let outcomes = time_query(args, &mut ways, &sql, runs)?;
        for (way, outcome) in ways.iter().zip(outcomes) {
            println!("{}\t{name}\t{outcome}", way.label);
        }
    }
    Ok(())
}

/// For each way `median seconds, who answered, rows`.
fn time_query(args: &Args, ways: &mut [Way], sql: &str, runs: usize) -> Result<Vec<String>, String> {
    let mut outcomes: Vec<Result<(Vec<Duration>, usize), String>> = ways.iter().map(|_| Ok((Vec::with_capacity(runs), 0))).collect();
    // The first run warms the caches and is not counted.
    for run in 0..=runs {
        for (way, outcome) in ways.iter_mut().zip(&mut outcomes) {
            let Ok((times, rows)) = outcome else { continue };
            let started = Instant::now();
            match way.client.simple_query(sql) {
                Ok(answer) => {
                    if run > 0 {
                        times.push(started.elapsed());
                    }
                    *rows = answer.iter().filter(|message| matches!(message, SimpleQueryMessage::Row(_))).count();
                }
                Err(e) => *outcome = Err(describe(&e)),
            }
        }
    }
    let mut lines = Vec::new();
    for (way, outcome) in ways.iter_mut().zip(outcomes) {
        lines.push(match outcome {
            Ok((mut times, rows)) => format!("{:.6}\t{}\t{rows}", quantile(&mut times, 0.5), who_answered(&mut way.client)),
            Err(message) => {
                if way.client.is_closed() {
                    way.client = connect_with(args, way.label, way.settings.iter().copied())?;
                }
                format!("nan\terror: {message}\t0")
            }
        });
    }
    Ok(lines)
}

/// `weir-bench scan`: reads a whole result row by row without keeping it. `label, median seconds, rows, rows per second`.
pub fn scan(args: &Args) -> Result<(), String> {
    let sql = args.required("sql")?;
    let runs: usize = args.number("runs", 3)?;
    let label = args.text("label").unwrap_or("postgres");
    let mut client = connect(args)?;
    let mut times = Vec::with_capacity(runs);
    let mut rows = 0u64;
    for run in 0..=runs {
        let started = Instant::now();
        let none: [&str; 0] = [];
        let mut stream = client.query_raw(sql, none).map_err(|e| describe(&e))?;
        rows = 0;
        while stream.next().map_err(|e| describe(&e))?.is_some() {
            rows += 1;
        }
        drop(stream);
        if run > 0 {
            times.push(started.elapsed());
        }
    }
    let seconds = quantile(&mut times, 0.5);
    println!("{label}\t{seconds:.3}\t{rows}\t{:.0}", rows as f64 / seconds);
    Ok(())
}

/// `weir-bench fresh`: beside whatever load runs, a small query again and again. Prints p50 and p99 in milliseconds,
/// the number of queries, and how many were routed.
pub fn fresh(args: &Args) -> Result<(), String> {
    let table = args.required("table")?;
    let seconds: u64 = args.number("seconds", 20)?;
    let label = args.text("label").unwrap_or("fresh");
    let mut client = connect(args)?;
    let sql = format!("SELECT count(*) FROM {table}");
    let mut times = Vec::new();
    let mut routed = 0usize;
    let end = Instant::now() + Duration::from_secs(seconds);
    while Instant::now() < end {
        let started = Instant::now();
        client.simple_query(&sql).map_err(|e| describe(&e))?;
        times.push(started.elapsed());
        if who_answered(&mut client) == "routed" {
            routed += 1;
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    let count = times.len();
    let p50 = quantile(&mut times, 0.5) * 1e3;
    let p99 = quantile(&mut times, 0.99) * 1e3;
    println!("{label}\t{p50:.2}\t{p99:.2}\t{count}\t{routed}");
    Ok(())
}
