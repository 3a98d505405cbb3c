//! Segments that no manifest names: what a crash left between writing a file and committing the manifest, or between committing the manifest
//! without it and deleting it.
//!
//! Invariant: only files below our own home are looked at. Another server with the same location (also one that was copied from this one, so
//! that its manifests name files of ours) has another home.

use super::Mirrors;
use super::table::Rows;
use futures::TryStreamExt;
use object_store::path::Path;
use std::collections::HashSet;
use weir_plan::{Error, Result};

impl Mirrors {
    /// Deletes the files in our home that belong to no mirror. To be called when all mirrors are loaded.
    ///
    /// # Errors
    /// The location cannot be listed.
    pub async fn collect_orphans(&self) -> Result<usize> {
        // Nothing may be written or become garbage meanwhile.
        let _flushing = self.flushing.lock().await;
        let failed = |e: object_store::Error| Error::internal(format!("segment storage: {e}"));
        let home = self.io.location(&self.io.home);
        let files: Vec<_> = self.io.store.list(Some(&home)).try_collect().await.map_err(failed)?;
        let known: HashSet<Path> = {
            let applier = self.applier.lock().await;
            let shared = self.shared.read();
            let durable = applier.mirrors.values().flat_map(|m| m.durable.values().map(|(s, _)| s.path.clone()));
            let parts = shared.tables.values().flat_map(|t| &t.parts).filter_map(|p| match &p.rows {
                Rows::File(segment) => Some(segment.path.clone()),
                Rows::Mem(_) => None,
            });
            durable.chain(parts).map(|path| self.io.location(&path)).collect()
        };
        let mut removed = 0;
        for file in files {
            // Files of copies that run are newer than this engine.
            if self.io.is_of_earlier_engine(&file.location) && !known.contains(&file.location) {
                let _ = self.io.garbage.send(file.location);
                removed += 1;
            }
        }
        Ok(removed)
    }
}
