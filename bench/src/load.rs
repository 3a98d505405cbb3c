//! Generates TPC-H in this process and loads it through COPY, several connections at a time.
//!
//! Invariant: the same scale gives the same rows, however many threads load them (their order in the heap differs).

use std::collections::VecDeque;
use std::io::Write;
use std::sync::Mutex;
use std::time::Instant;

use postgres::{Client, NoTls};
use tpchgen::csv::{CustomerCsv, LineItemCsv, NationCsv, OrderCsv, PartCsv, PartSuppCsv, RegionCsv, SupplierCsv};
use tpchgen::generators::{
    CustomerGenerator, LineItemGenerator, NationGenerator, OrderGenerator, PartGenerator, PartSuppGenerator, RegionGenerator, SupplierGenerator,
};

use crate::args::Args;
use crate::schema::TABLES;

/// Below this scale a table is loaded in one piece.
const SPLIT_FROM_SCALE: f64 = 0.05;
const PARTS: i32 = 8;
const COPY_BUFFER_BYTES: usize = 1 << 20;

struct Job {
    table: &'static str,
    part: i32,
    parts: i32,
}

/// `weir-bench tpch-load`.
pub fn tpch_load(args: &Args) -> Result<(), String> {
    let conn = args.required("conn")?;
    let scale: f64 = args.number("scale", 0.1)?;
    let threads: usize = args.number("threads", 2)?;
    let schema = args.text("schema").unwrap_or("public");
    if scale <= 0.0 || threads == 0 {
        return Err("--scale and --threads must be positive".into());
    }
    if !schema.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_') {
        return Err(format!("--schema: \"{schema}\" is not a plain name"));
    }
    let started = Instant::now();
    let mut client = connect(conn, schema)?;
    create(&mut client, schema, args.flag("unlogged"))?;

    let jobs = Mutex::new(jobs(scale));
    std::thread::scope(|scope| {
        let workers: Vec<_> = (0..threads).map(|_| scope.spawn(|| load_until_empty(conn, schema, scale, &jobs))).collect();
        workers.into_iter().try_for_each(|worker| worker.join().map_err(|_| "a loader panicked".to_string())?)
    })?;
    eprintln!("TPC-H {scale} loaded in {:.1} s", started.elapsed().as_secs_f64());

    finish(&mut client, args.flag("fk-indexes"))?;
    eprintln!("keys and statistics ready after {:.1} s", started.elapsed().as_secs_f64());
    Ok(())
}

fn connect(conn: &str, schema: &str) -> Result<Client, String> {
    let mut client = Client::connect(conn, NoTls).map_err(|e| describe(&e))?;
    client.batch_execute(&format!("SET search_path = {schema}")).map_err(|e| describe(&e))?;
    Ok(client)
}

/// The server's message when there is one: the Display of the client's error alone says only "db error".
pub fn describe(error: &postgres::Error) -> String {
    match error.as_db_error() {
        Some(db) => format!("{} ({})", db.message(), db.code().code()),
        None => error.to_string(),
    }
}

fn create(client: &mut Client, schema: &str, unlogged: bool) -> Result<(), String> {
    let mut sql = format!("CREATE SCHEMA IF NOT EXISTS {schema};\n");
    let kind = if unlogged { "UNLOGGED TABLE" } else { "TABLE" };
    for table in &TABLES {
        sql += &format!("DROP TABLE IF EXISTS {0};\nCREATE {kind} {0} ({1});\n", table.name, table.columns);
    }
    client.batch_execute(&sql).map_err(|e| describe(&e))
}

fn jobs(scale: f64) -> VecDeque<Job> {
    let parts = if scale < SPLIT_FROM_SCALE { 1 } else { PARTS };
    // The largest first, so that no thread is left with a large one at the end.
    TABLES
        .iter()
        .rev()
        .flat_map(|table| {
            let parts = if matches!(table.name, "region" | "nation") { 1 } else { parts };
            (1..=parts).map(move |part| Job { table: table.name, part, parts })
        })
        .collect()
}

fn load_until_empty(conn: &str, schema: &str, scale: f64, jobs: &Mutex<VecDeque<Job>>) -> Result<(), String> {
    let mut client = connect(conn, schema)?;
    loop {
        let next = jobs.lock().map_err(|_| "another loader panicked")?.pop_front();
        let Some(job) = next else { return Ok(()) };
        copy(&mut client, scale, &job).map_err(|e| format!("{}: {e}", job.table))?;
    }
}

fn copy(client: &mut Client, scale: f64, job: &Job) -> Result<(), String> {
    let statement = format!("COPY {} FROM STDIN (FORMAT csv)", job.table);
    let writer = client.copy_in(&statement).map_err(|e| describe(&e))?;
    let mut out = std::io::BufWriter::with_capacity(COPY_BUFFER_BYTES, writer);
    let (part, parts) = (job.part, job.parts);
    macro_rules! write_rows {
        ($generator:ident, $format:ident) => {
            $generator::new(scale, part, parts).iter().try_for_each(|row| writeln!(out, "{}", $format::new(row)))
        };
    }
    match job.table {
        "region" => write_rows!(RegionGenerator, RegionCsv),
        "nation" => write_rows!(NationGenerator, NationCsv),
        "part" => write_rows!(PartGenerator, PartCsv),
        "supplier" => write_rows!(SupplierGenerator, SupplierCsv),
        "partsupp" => write_rows!(PartSuppGenerator, PartSuppCsv),
        "customer" => write_rows!(CustomerGenerator, CustomerCsv),
        "orders" => write_rows!(OrderGenerator, OrderCsv),
        "lineitem" => write_rows!(LineItemGenerator, LineItemCsv),
        other => return Err(format!("no generator for table {other}")),
    }
    .map_err(|e| e.to_string())?;
    let writer = out.into_inner().map_err(|e| e.to_string())?;
    writer.finish().map_err(|e| describe(&e))?;
    Ok(())
}

fn finish(client: &mut Client, fk_indexes: bool) -> Result<(), String> {
    let mut sql = String::from("SET maintenance_work_mem = '512MB';\n");
    for table in &TABLES {
        sql += &format!("ALTER TABLE {} ADD PRIMARY KEY ({});\n", table.name, table.key);
        if fk_indexes {
            for columns in table.foreign_keys {
                sql += &format!("CREATE INDEX ON {} ({columns});\n", table.name);
            }
        }
    }
    client.batch_execute(&sql).map_err(|e| describe(&e))?;
    for table in &TABLES {
        // VACUUM sets the visibility map: without it Postgres would be measured slower than it is.
        client.batch_execute(&format!("VACUUM (ANALYZE) {}", table.name)).map_err(|e| describe(&e))?;
    }
    Ok(())
}
