//! The remote transactions of one backend: what it does at remote servers in its local transaction.
//!
//! Invariants:
//! - They belong to the connection of the backend: when that closes, in whatever way, all are rolled back, and what runs is cancelled.
//! - A transaction that is lost stays lost until the connection closes: no statement goes to another one instead, and nothing is committed.

use crate::output::Output;
use crate::resources::Resources;
use crate::serve::Writer;
use std::collections::HashMap;
use weir_fdw::client::{QUEUED_BATCHES, Session, Wanted, schema};
use weir_plan::ir::RemoteColumn;
use weir_plan::protocol::{Endpoint, FromEngine, Isolation, Metrics, Point, Work};
use weir_plan::{Error, Kind, Result, arrow_ipc};

#[derive(Default)]
pub struct Transactions {
    /// `None`: it was lost.
    open: HashMap<Endpoint, Option<Box<dyn Session>>>,
}

impl Drop for Transactions {
    fn drop(&mut self) {
        let Ok(runtime) = tokio::runtime::Handle::try_current() else { return };
        for session in self.open.drain().filter_map(|(_, session)| session) {
            runtime.spawn(session.rollback());
        }
    }
}

fn lost(remote: &Endpoint) -> Error {
    Error { sqlstate: "08006".into(), ..Error::new(Kind::Remote, format!("server \"{}\": the transaction was lost", remote.name)) }
        .with_detail("An earlier statement broke off.")
        .with_hint("Roll back the whole transaction.")
}

fn done(rows: u64) -> FromEngine {
    FromEngine::Done { metrics: Metrics { rows, ..Metrics::default() } }
}

impl Transactions {
    /// Does something in the transaction at a server.
    pub async fn work(
        &mut self,
        resources: &Resources,
        remote: Endpoint,
        isolation: Isolation,
        points: Vec<Point>,
        work: Work,
        writer: &mut Writer,
    ) -> Result<FromEngine> {
        if !self.open.contains_key(&remote) {
            let session = resources.clients.session(&remote, isolation).await?;
            self.open.insert(remote.clone(), Some(session));
        }
        let place = self.open.entry(remote.clone()).or_default();
        let Some(session) = place.as_mut() else { return Err(lost(&remote)) };
        let result = on_session(session.as_mut(), points, work, writer).await;
        if result.as_ref().is_err_and(|e| !matches!(e.kind, Kind::Query | Kind::Refused))
            && let Some(session) = place.take()
        {
            tokio::spawn(session.rollback());
        }
        result
    }

    /// Commits them all. One that fails ends it; what was committed before stays, what comes after is rolled back.
    pub async fn commit(&mut self, points: Vec<(Endpoint, Vec<Point>)>) -> Result<FromEngine> {
        if let Some((remote, _)) = self.open.iter().find(|(_, session)| session.is_none()) {
            return Err(lost(remote));
        }
        for (remote, points) in points {
            if let Some(Some(session)) = self.open.get_mut(&remote) {
                for point in points {
                    session.point(point).await?;
                }
            }
        }
        let remotes: Vec<Endpoint> = self.open.keys().cloned().collect();
        for remote in remotes {
            if let Some(Some(session)) = self.open.remove(&remote) {
                session.commit().await?;
            }
        }
        Ok(done(0))
    }
}

async fn on_session(session: &mut dyn Session, points: Vec<Point>, work: Work, writer: &mut Writer) -> Result<FromEngine> {
    for point in points {
        session.point(point).await?;
    }
    match work {
        Work::Open => Ok(done(0)),
        Work::Execute { sql, count: None } => session.execute(&sql).await.map(done),
        Work::Execute { sql, count: Some(count) } => session.change(&count, &sql).await.map(done),
        Work::Query { sql, columns } => query(session, sql, columns, writer).await,
        Work::Write { target, ipc } => session.write(&target, &arrow_ipc::from_bytes(ipc)?).await.map(done),
    }
}

/// Sends what a query returns. The first batch is awaited before anything is said, so that an error comes as the answer.
async fn query(session: &mut dyn Session, sql: String, columns: Vec<RemoteColumn>, writer: &mut Writer) -> Result<FromEngine> {
    let (mut output, head) = Output::start(&schema(&columns)?)?;
    let physical = physical_columns(&columns);
    let (sender, receiver) = tokio::sync::mpsc::channel(QUEUED_BATCHES);
    let asking = session.query(&sql, Wanted::Columns(columns), sender);
    let sending = async {
        // Whoever sends must learn when nobody reads any more.
        let mut receiver = receiver;
        let mut rows = 0;
        let mut next = receiver.recv().await.transpose()?;
        if next.is_none() {
            // Perhaps an error, which the other half has.
            return Ok::<_, Error>(None);
        }
        writer.send(&FromEngine::Started { schema: head.clone(), columns: physical.clone(), snapshot_lsn: 0 }).await?;
        while let Some(batch) = next {
            for piece in output.encode(&batch) {
                let (piece, n) = piece?;
                rows += n;
                writer.send_batch(&piece).await?;
            }
            next = receiver.recv().await.transpose()?;
        }
        Ok(Some(rows))
    };
    let (asked, sent) = tokio::join!(asking, sending);
    asked?;
    match sent? {
        Some(rows) => Ok(done(rows)),
        None => {
            writer.send(&FromEngine::Started { schema: head, columns: physical, snapshot_lsn: 0 }).await?;
            Ok(done(0))
        }
    }
}

/// Where each column's values, and their display scales, stand among the physical ones.
fn physical_columns(columns: &[RemoteColumn]) -> Vec<(u32, Option<u32>)> {
    let mut next = 0;
    let mut places = Vec::new();
    for c in columns {
        let width = weir_plan::types::column_fields("c", &c.ty, true).map_or(1, |f| f.len());
        places.push((next, (width > 1).then_some(next + 1)));
        next += if width > 1 { 2 } else { 1 };
    }
    places
}
