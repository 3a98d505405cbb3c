//! A consistent view of all mirrors, and the tables that a plan gets from it.

use super::scan::{Bindings, MirrorTable};
use super::table::{Shared, Status, TableView};
use datafusion::catalog::TableProvider;
use datafusion::error::{DataFusionError, Result};
use std::collections::HashMap;
use std::sync::Arc;
use weir_lower::rel::TableSource;
use weir_plan::Error;
use weir_plan::ir::{Scan, Source};
use weir_plan::manifest::Lsn;
use weir_plan::types::arrow_type;

/// All mirrors at one point in the commit order. What it holds is not changed and not deleted while it lives.
pub struct Snapshot {
    tables: HashMap<u32, weir_plan::Result<Arc<TableView>>>,
    lsn: Lsn,
    /// The scans of plans made over it.
    bindings: Bindings,
}

fn refused(message: String) -> DataFusionError {
    DataFusionError::External(Box::new(Error::refused(message)))
}

impl Snapshot {
    pub(super) fn take(shared: &Shared) -> Self {
        let tables = shared.tables.iter().map(|(&relid, table)| (relid, table.view())).collect();
        Snapshot { tables, lsn: shared.decoded, bindings: Bindings::default() }
    }

    /// Every commit that begins before this position is contained.
    pub fn lsn(&self) -> Lsn {
        self.lsn
    }

    /// The scans of the plans made over it so far.
    pub fn bindings(&self) -> Bindings {
        Arc::clone(&self.bindings)
    }

    /// Lets the scans of a plan that was made over an earlier snapshot read this one. `false`: it has to be made again.
    ///
    /// # Errors
    /// A segment that can't be read.
    pub async fn rebind(&self, bindings: &Bindings) -> weir_plan::Result<bool> {
        let scans = bindings.lock().clone();
        for scan in scans {
            let (old, new) = match self.tables.get(&scan.relid) {
                Some(Ok(new)) => (scan.view(), new),
                _ => return Ok(false),
            };
            if Arc::ptr_eq(&old, new) {
                continue;
            }
            let usable = matches!(&new.status, Status::Active { from } if *from <= self.lsn);
            if !usable || !Arc::ptr_eq(&old.layout, &new.layout) || old.poisoned != new.poisoned {
                return Ok(false);
            }
            scan.rebind(Arc::clone(new)).await?;
        }
        Ok(true)
    }

    /// The content of a mirror.
    #[cfg(test)]
    pub(super) fn view(&self, relid: u32) -> Option<Arc<TableView>> {
        self.tables.get(&relid)?.as_ref().ok().cloned()
    }
}

impl TableSource for Snapshot {
    fn provider(&self, scan: &Scan) -> Result<Arc<dyn TableProvider>> {
        let Source::Mirror { relid, generation } = scan.source else {
            return Err(refused(format!("\"{}\" is not a mirrored table", scan.name)));
        };
        let view = match self.tables.get(&relid) {
            Some(Ok(view)) if view.layout.generation == generation => view,
            Some(Err(e)) => return Err(DataFusionError::External(Box::new(e.clone()))),
            _ => return Err(refused(format!("the engine does not hold a mirror of \"{}\" in this generation", scan.name))),
        };
        match &view.status {
            Status::Active { from } if *from <= self.lsn => {}
            Status::Active { .. } => return Err(refused(format!("the mirror of \"{}\" is catching up", scan.name))),
            Status::Copying => return Err(refused(format!("the mirror of \"{}\" is being copied", scan.name))),
            Status::Invalid(reason) => return Err(refused(format!("the mirror of \"{}\" is not exact: {reason}", scan.name))),
        }
        let mut columns = Vec::with_capacity(scan.columns.len());
        for column in &scan.columns {
            let missing = || refused(format!("the mirror of \"{}\" does not have column {} in this form", scan.name, column.attnum));
            let at = view.layout.column(column.attnum).ok_or_else(missing)?;
            if arrow_type(&view.layout.columns[at].ty) != arrow_type(&column.ty) {
                return Err(missing());
            }
            if view.poisoned.contains(&column.attnum) {
                let name = &view.layout.columns[at].name;
                return Err(refused(format!("column \"{name}\" of \"{}\" holds a value that the mirror cannot hold", scan.name)));
            }
            if !columns.contains(&at) {
                columns.push(at);
            }
        }
        Ok(Arc::new(MirrorTable::new(relid, Arc::clone(view), &columns, self.bindings())))
    }
}
