//! Columns that are added to a mirrored table without a new copy.
//!
//! In the change stream the addition stands between the changes of rows without and of rows with the columns. What is there by then has the
//! value that the column was added with: segments as they are read, the delta at once.
//!
//! Invariants:
//! - The columns that were there stay where they are, and so does the key: places of rows, indexes and cached columns go on to hold.
//! - Whoever reads, or writes segments of, the content without the columns goes on; such segments get them when they are installed.

use super::layout::Layout;
use super::table::{Chunk, Mem, Rows, batch_bytes};
use super::{Applier, Event, Mirrors, Phase};
use std::sync::Arc;
use weir_plan::manifest::ColumnDef;
use weir_plan::{Error, Result};

impl Mirrors {
    /// Gives a mirror these columns: its own, and others behind them. A mirror that has them already (its definition is newer than what is
    /// decoded after a start) stays as it is; one that cannot take them is copied again.
    pub async fn add_columns(&self, relid: u32, generation: i64, columns: Vec<ColumnDef>) -> Vec<Event> {
        let mut applier = self.applier.lock().await;
        let mut events = self.overdue_events(&mut applier);
        if let Err(e) = self.try_add_columns(&mut applier, relid, generation, columns) {
            events.extend(self.fail(&mut applier, relid, &e.message));
        }
        events
    }

    fn try_add_columns(&self, applier: &mut Applier, relid: u32, generation: i64, columns: Vec<ColumnDef>) -> Result<()> {
        let Some(mirror) = applier.mirrors.get_mut(&relid).filter(|m| m.layout.generation == generation) else { return Ok(()) };
        match mirror.phase {
            _ if columns.len() <= mirror.layout.columns.len() => return Ok(()),
            Phase::Invalid => return Ok(()),
            Phase::Following => {}
            Phase::Copying(_) | Phase::Copied { .. } => return Err(Error::refused("a column was added during the initial copy")),
        }
        let layout = mirror.layout.with_columns(columns)?;
        let mut shared = self.shared.write();
        let Some(table) = shared.tables.get_mut(&relid) else { return Ok(()) };
        let rows = table.parts.iter().map(|part| widened(&part.rows, &layout)).collect::<Result<Vec<_>>>()?;
        for (part, rows) in table.parts.iter_mut().zip(rows) {
            part.rows = rows;
        }
        table.layout = Arc::clone(&layout);
        table.version += 1;
        mirror.layout = layout;
        mirror.finder.parts_changed();
        Ok(())
    }
}

fn widened(rows: &Rows, layout: &Arc<Layout>) -> Result<Rows> {
    Ok(match rows {
        Rows::File(segment) => Rows::File(segment.with_layout(layout)),
        Rows::Mem(mem) => {
            let widen = |c: &Chunk| Ok(Chunk { start: c.start, batch: layout.widen(&c.batch)? });
            let chunks = mem.chunks.iter().map(widen).collect::<Result<Vec<_>>>()?;
            Rows::Mem(Mem { bytes: chunks.iter().map(|c| batch_bytes(&c.batch)).sum(), rows: mem.rows, chunks })
        }
    })
}
