//! `weir-engine`: the process that holds the mirrors of one database and answers queries over them.
//!
//! Invariants:
//! - It is started, configured and fed by the background worker over the control descriptor, and ends when that closes.
//! - It never calls Postgres and is not attached to its shared memory: killing it costs the queries that run, nothing else.
//! - Sockets and the application of changes run on one small runtime, queries on another, so that a busy query never delays a cancel
//!   or a commit.
#![deny(unsafe_code)]

mod branches;
mod constants;
mod control;
mod cross_joins;
mod dependencies;
mod duck;
mod fence;
mod fenced;
mod filters;
mod foremost;
mod gathered;
mod groups;
mod join_keys;
mod kept;
mod keys;
mod limits;
mod mirror;
mod outer_joins;
mod output;
mod physical;
mod place;
mod plain_keys;
mod planner;
mod pool;
mod prepared;
mod query;
mod raising;
mod rank;
mod remote;
mod resources;
mod serve;
mod spilling;
mod stranger;
mod transact;
mod windows;

use mimalloc::MiMalloc;
use std::io::Write;
use std::path::PathBuf;
use weir_plan::greeting::{self, Peer};
use weir_plan::protocol::{FAILURE_FILE, ToEngineControl, decode_body};

/// Planning and vectorised execution allocate all the time, from all threads.
#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

/// The command line: `weir-engine --dir DIR --control-fd N`.
struct Args {
    dir: PathBuf,
    control_fd: i32,
}

fn parse_args() -> Result<Args, String> {
    let mut dir = None;
    let mut control_fd = None;
    let mut args = std::env::args().skip(1);
    while let Some(flag) = args.next() {
        let value = args.next().ok_or_else(|| format!("{flag} needs a value"))?;
        match flag.as_str() {
            "--dir" => dir = Some(PathBuf::from(value)),
            "--control-fd" => control_fd = Some(value.parse().map_err(|_| format!("{flag}: not a number: {value}"))?),
            _ => return Err(format!("unknown option {flag}")),
        }
    }
    Ok(Args { dir: dir.ok_or("--dir is missing")?, control_fd: control_fd.ok_or("--control-fd is missing")? })
}

fn main() {
    tracing_subscriber::fmt()
        .with_env_filter(tracing_subscriber::EnvFilter::try_from_env("WEIR_ENGINE_LOG").unwrap_or_else(|_| "weir_engine=info,warn".into()))
        .with_writer(std::io::stderr)
        .with_ansi(false)
        .init();
    let result = parse_args().and_then(|args| {
        run(&args).inspect_err(|message| {
            // Sessions show it to those who wonder why there is no engine.
            let _ = std::fs::write(args.dir.join(FAILURE_FILE), message);
        })
    });
    if let Err(message) = result {
        tracing::error!("{message}");
        std::process::exit(1);
    }
}

fn run(args: &Args) -> Result<(), String> {
    let mut stream = control::adopt(args.control_fd)?;
    stream.write_all(&greeting::frame()).map_err(|e| format!("control socket: {e}"))?;
    let first = control::read_blocking(&mut stream).map_err(describe)?;
    if let Err(e) = greeting::check(&first, Peer::Extension) {
        tracing::warn!("{}", describe(e));
        return stranger::run(&args.dir, stream);
    }
    let settings = match control::read_blocking(&mut stream).and_then(|body| decode_body(&body)).map_err(describe)? {
        ToEngineControl::Configure(settings) => settings,
        other => return Err(format!("the first control message must be Configure, not {other:?}")),
    };
    let io = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .thread_name("weir-io")
        .enable_all()
        .build()
        .map_err(|e| format!("could not start the runtime: {e}"))?;
    let queries = resources::query_runtime(&settings).map_err(|e| e.to_string())?;
    let result = io.block_on(async {
        let resources = resources::Resources::new(&args.dir, settings, queries.handle().clone()).await.map_err(describe)?;
        serve::run(&args.dir, resources, stream).await.map_err(describe)
    });
    // Neither waits for what still runs: the worker that wanted the answers is gone.
    queries.shutdown_background();
    io.shutdown_background();
    result
}

fn describe(e: weir_plan::Error) -> String {
    [Some(e.message), e.detail, e.hint].into_iter().flatten().collect::<Vec<_>>().join("; ")
}
