//! The places of weir.max_concurrent_queries: a fair queue, and nobody who keeps a place without computing.

use crate::Check;
use crate::limits::same_as_postgres;
use crate::server::{Outcome, Server, describe, sqlstate};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

pub fn checks() -> Vec<Check> {
    vec![
        ("queries beyond weir.max_concurrent_queries wait in order".into(), Box::new(waits_in_order)),
        ("a cancelled query leaves the queue".into(), Box::new(leaves_the_queue)),
        ("who does not read leaves the place to others".into(), Box::new(idle_cursor)),
        ("a query within a loop over another one".into(), Box::new(nested)),
    ]
}

const ENDLESS: &str = "SELECT count(*) FROM big a JOIN big b ON a.v < b.v AND a.t > b.t";

/// Runs the endless query in a session of its own until it is cancelled.
fn occupy(server: &Server) -> Outcome<(i32, thread::JoinHandle<String>)> {
    let mut session = server.connect_routed()?;
    let pid = server.pid(&mut session)?;
    let handle = thread::spawn(move || session.query(ENDLESS, &[]).map_or_else(|e| sqlstate(&e), |_| "none".into()));
    Ok((pid, handle))
}

fn cancel(server: &Server, pid: i32) -> Outcome {
    let mut client = server.connect()?;
    server.batch(&mut client, &format!("SELECT pg_cancel_backend({pid})"))
}

/// A thread here may be told later than the next one, by chance and not four times; an order that is not kept is never five in a row.
fn waits_in_order(server: &Server) -> Outcome {
    server.with_settings(&[("weir.max_concurrent_queries", "1")], || {
        server.wait_for("an engine with one place", || has_one_place(server))?;
        let mut seen = Vec::new();
        for _ in 0..4 {
            let order = order_of_five(server)?;
            if order == [0, 1, 2, 3, 4] {
                return Ok(());
            }
            seen.push(order);
        }
        Err(format!("they ended in the orders {seen:?}"))
    })
}

/// Five queries come one after the other, while another one has the only place: in which order they end.
fn order_of_five(server: &Server) -> Outcome<Vec<i32>> {
    server.is_quiet()?;
    let (pid, running) = occupy(server)?;
    server.wait_for_queries(1, 0)?;
    let order: Arc<Mutex<Vec<i32>>> = Arc::default();
    let mut waiting = Vec::new();
    for n in 0..5 {
        let mut session = server.connect_routed()?;
        let order = Arc::clone(&order);
        waiting.push(thread::spawn(move || {
            // Long enough that the next one hardly overtakes by chance.
            let result = session.query("SELECT count(DISTINCT t) FROM big WHERE v < 300", &[]).map(|_| ()).map_err(|e| describe(&e));
            if let Ok(mut order) = order.lock() {
                order.push(n);
            }
            result
        }));
        server.wait_for_queries(1, n + 1)?;
    }
    cancel(server, pid)?;
    let _ = running.join();
    for session in waiting {
        session.join().map_err(|_| "a session's thread panicked".to_owned())??;
    }
    let order = order.lock().map_err(|e| e.to_string())?;
    Ok(order.clone())
}

/// Two queries at a time show how many places there are.
fn has_one_place(server: &Server) -> Outcome<bool> {
    let (first, one) = occupy(server)?;
    let (second, other) = occupy(server)?;
    let mut seen = (0, 0);
    for _ in 0..400 {
        seen = server.queries()?;
        if seen.0 + seen.1 == 2 {
            break;
        }
        thread::sleep(Duration::from_millis(5));
    }
    cancel(server, second)?;
    cancel(server, first)?;
    let _ = (one.join(), other.join());
    server.is_quiet()?;
    Ok(seen == (1, 1))
}

fn leaves_the_queue(server: &Server) -> Outcome {
    server.with_settings(&[("weir.max_concurrent_queries", "1")], || {
        server.wait_for("an engine with one place", || has_one_place(server))?;
        let (first, one) = occupy(server)?;
        server.wait_for_queries(1, 0)?;
        let (second, other) = occupy(server)?;
        server.wait_for_queries(1, 1)?;
        cancel(server, second)?;
        let told = other.join().map_err(|_| "a session's thread panicked".to_owned())?;
        server.wait_for_queries(1, 0)?;
        cancel(server, first)?;
        let _ = one.join();
        if told == "57014" { Ok(()) } else { Err(format!("the one that waited was told {told}")) }
    })
}

/// An open cursor, of which nobody takes rows, and a query of another session beside it; then all rows of the cursor.
fn idle_cursor(server: &Server) -> Outcome {
    server.with_settings(&[("weir.max_concurrent_queries", "1")], || {
        server.wait_for("an engine with one place", || has_one_place(server))?;
        server.is_quiet()?;
        let mut idle = server.connect_routed()?;
        server.batch(&mut idle, "BEGIN; DECLARE c CURSOR FOR SELECT id, t FROM big")?;
        server.text(&mut idle, "FETCH 1 FROM c")?;
        server.must_be_routed(&mut idle)?;
        server.wait_for_queries(1, 0)?;
        for _ in 0..3 {
            same_as_postgres(server, "SELECT count(*), sum(v) FROM big WHERE t > 'a'")?;
        }
        let rest = idle.execute("MOVE FORWARD ALL IN c", &[]).map_err(|e| describe(&e))?;
        server.batch(&mut idle, "COMMIT")?;
        let all: i64 = server.value(&mut idle, "SET weir.route = off", "SELECT count(*) FROM big")?;
        if i64::try_from(rest) == Ok(all - 1) { Ok(()) } else { Err(format!("the cursor had {rest} rows more, of {all}")) }
    })
}

/// The loop's query stands still while the one within runs, and there is one place.
fn nested(server: &Server) -> Outcome {
    const LOOP: &str = "DO $$ DECLARE r record; k bigint; n int := 0; BEGIN
        FOR r IN SELECT id, t FROM big LOOP
            CONTINUE WHEN r.id % 20000 <> 0;
            SELECT count(*) INTO k FROM big WHERE v = r.id % 1000;
            IF NOT (SELECT routed AND NOT fallback FROM weir.last_route()) THEN RAISE 'not routed'; END IF;
            n := n + k;
        END LOOP;
        PERFORM set_config('weir_test.counted', n::text, false);
    END $$";
    server.with_settings(&[("weir.max_concurrent_queries", "1")], || {
        server.wait_for("an engine with one place", || has_one_place(server))?;
        let mut session = server.connect_routed()?;
        server.batch(&mut session, LOOP)?;
        let counted = server.text(&mut session, "SELECT current_setting('weir_test.counted')")?;
        server.batch(&mut session, "SET weir.route = off")?;
        let wanted = server.text(&mut session, "SELECT sum(k) FROM (SELECT (SELECT count(*) FROM big WHERE v = 0) AS k FROM big WHERE id % 20000 = 0) AS s")?;
        if counted == wanted { Ok(()) } else { Err(format!("the loop counted {counted} instead of {wanted}")) }
    })
}
