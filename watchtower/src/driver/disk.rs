//! What the node does about its disk: commits, and waits while it is full.
//!
//! **Invariant:** a full disk delays what is decided; it loses nothing and ends nothing.

use std::time::Duration;

use metrics::Task;
use store::{Store, StoreError};

use super::journal::Line;
use super::life::Out;
use super::node::Node;

/// How long to wait before asking a full disk again.
const DISK_PAUSE: Duration = Duration::from_secs(1);

/// Waits until the store can be read. One that was closed by a full disk is opened again by the next write, so it gets one.
pub(crate) async fn wait_for_disk(store: &Store) -> Result<(), StoreError> {
    while store.health().is_err() {
        match store.commit(Vec::new()).await {
            Ok(()) => return Ok(()),
            Err(error) if error.is_retryable() => {
                tracing::error!(%error, "the node waits for the disk");
                tokio::time::sleep(DISK_PAUSE).await;
            }
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

impl Node {
    /// Makes changes and lines durable; waits while the disk is full.
    pub(crate) async fn commit(&mut self, out: &mut Out) -> Result<(), StoreError> {
        self.parts.recorder.beat(Task::Node);
        let lines = std::mem::take(&mut out.lines);
        let mut changes = std::mem::take(&mut out.changes);
        changes.extend(lines.iter().map(Line::change));
        if changes.is_empty() {
            return Ok(());
        }
        loop {
            match self.parts.store.commit(changes.clone()).await {
                Ok(()) => break,
                Err(error) if error.is_retryable() => {
                    tracing::error!(%error, "the node waits for the disk");
                    tokio::time::sleep(DISK_PAUSE).await;
                }
                Err(error) => return Err(error),
            }
        }
        for line in lines {
            self.record(&line);
            line.log();
        }
        if std::mem::take(&mut self.wake) {
            self.parts.outbox.send_modify(|count| *count = count.wrapping_add(1));
        }
        Ok(())
    }
}
