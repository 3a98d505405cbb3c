//! What a server under fault and load must still do: `weir-faults --conn CONNINFO`.
//!
//! Queries are cancelled, terminated and timed out at every stage of their life, the engine is killed under them, memory and disk run out,
//! the queue fills. Each check prints one line, `ok` or `not ok`; the last line is `faults: N passed, M failed`.
//!
//! Invariants: the database belongs to this program; settings it changes are reset; every process it stops goes on afterwards.

mod cancel;
mod engine;
mod limits;
mod places;
mod proxy;
mod server;

use server::{Outcome, Server};
use std::process::ExitCode;

/// Rows of the table most checks use.
const ROWS: u32 = 1_000_000;

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    if let [command, port, to, file] = args.as_slice()
        && command == "proxy"
    {
        let port = port.parse().unwrap_or(0);
        let Err(e) = proxy::run(port, to.clone(), file.into()) else { return ExitCode::SUCCESS };
        eprintln!("proxy: {e}");
        return ExitCode::FAILURE;
    }
    let mut args = args.into_iter();
    let conn = match (args.next().as_deref(), args.next()) {
        (Some("--conn"), Some(conn)) => conn,
        _ => {
            eprintln!("usage: weir-faults --conn CONNINFO | proxy PORT HOST:PORT FAULT_FILE");
            return ExitCode::from(2);
        }
    };
    let server = match Server::new(&conn).and_then(|s| prepare(&s).map(|()| s)) {
        Ok(server) => server,
        Err(e) => {
            eprintln!("faults: {e}");
            println!("faults: 0 passed, 1 failed");
            return ExitCode::FAILURE;
        }
    };
    let checks = cancel::checks().into_iter().chain(limits::checks()).chain(places::checks()).chain(engine::checks());
    let (mut passed, mut failed) = (0, 0);
    for (name, check) in checks {
        match check(&server).and_then(|()| server.is_quiet()) {
            Ok(()) => {
                passed += 1;
                println!("ok - {name}");
            }
            Err(why) => {
                failed += 1;
                println!("not ok - {name}: {why}");
                server.recover();
            }
        }
    }
    println!("faults: {passed} passed, {failed} failed");
    if failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// A check and what it shows.
type Check = (String, Box<dyn Fn(&Server) -> Outcome>);

fn prepare(server: &Server) -> Outcome {
    let mut client = server.connect()?;
    server.batch(
        &mut client,
        &format!(
            "CREATE TABLE big (id int PRIMARY KEY, v int NOT NULL, t text NOT NULL);
             INSERT INTO big SELECT i, i % 1000, md5(i::text) || md5((-i)::text) FROM generate_series(1, {ROWS}) i;
             CREATE TABLE small (id int PRIMARY KEY, v int NOT NULL);
             INSERT INTO small SELECT i, i FROM generate_series(1, 1000) i;
             ANALYZE"
        ),
    )?;
    server.batch(&mut client, "SELECT weir.mirror('big'), weir.mirror('small')")?;
    server.batch(&mut client, "SELECT weir.sync()")?;
    let total: i64 = server.value(&mut client, "SET weir.route = force", "SELECT count(*) FROM big")?;
    if total != i64::from(ROWS) {
        return Err(format!("the mirror has {total} rows"));
    }
    server.must_be_routed(&mut client)
}
