//! The chain watch: hands each batch to the node and goes on once it is durable.

use std::sync::Arc;

use chain::follower::{Batch, Follower};
use tokio::sync::{Notify, mpsc, oneshot};
use tokio_util::sync::CancellationToken;

use crate::tasks::TaskFailure;

/// A batch, and where to say that it is durable.
#[derive(Debug)]
pub(crate) struct Delivery {
    /// What was read.
    pub(crate) batch: Box<Batch>,
    /// Answered after the commit.
    pub(crate) durable: oneshot::Sender<()>,
}

/// Follows the chain until told to stop. `nudge` makes it look now instead of when it is time.
///
/// # Errors
/// When the follower cannot go on; trouble with the node is waited out inside.
pub(crate) async fn run(
    stop: CancellationToken,
    mut follower: Follower,
    node: mpsc::Sender<Delivery>,
    nudge: Arc<Notify>,
) -> Result<(), TaskFailure> {
    loop {
        let batch = tokio::select! {
            biased;
            () = stop.cancelled() => return Ok(()),
            batch = follower.next() => batch?,
            // A look that is given up is begun anew at once.
            () = nudge.notified() => continue,
        };
        let (durable, stored) = oneshot::channel();
        let delivery = Delivery { batch: Box::new(batch), durable };
        // A node that is gone is stopping, or has failed and says so itself.
        if node.send(delivery).await.is_err() || stored.await.is_err() {
            stop.cancelled().await;
            return Ok(());
        }
        follower.acknowledge();
    }
}
