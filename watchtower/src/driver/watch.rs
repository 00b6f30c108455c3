//! The chain watch: hands each batch to the node and goes on once it is durable. Beside it, what waits to be mined is
//! watched, to know of a dispute early: nothing is stored or shown because of that.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use chain::follower::{Batch, Follower};
use chain::pending::{Hint, PendingCounters, PendingWatch};
use protocol::backup::DisputeKey;
use store::{ChannelStatus, Store};
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

/// Watches the pool until told to stop. What it sees is counted; a dispute of a channel that is guarded here, with the
/// key that belongs to it, is said in the log, without the key.
///
/// # Errors
/// None; a node that shows no pool is no trouble.
pub(crate) async fn run_pending(
    stop: CancellationToken,
    (watch, mut hints, counters): (PendingWatch, mpsc::Receiver<Hint>, Arc<PendingCounters>),
    store: Store,
) -> Result<(), TaskFailure> {
    let look = async {
        while let Some(hint) = hints.recv().await {
            if is_real(&store, &hint) {
                tracing::info!(
                    channel = hint.channel.get(), nonce = hint.nonce.get(), transaction = %hint.transaction,
                    hints = counters.hints.load(Ordering::Relaxed), "a dispute waits to be mined"
                );
            }
        }
    };
    let watching = async { tokio::join!(watch.run(), look) };
    tokio::select! {
        biased;
        () = stop.cancelled() => {}
        _ended = watching => stop.cancelled().await,
    }
    Ok(())
}

/// Anybody can send a transaction that looks like a dispute; only a party has the channel's dispute key.
fn is_real(store: &Store, hint: &Hint) -> bool {
    let Ok(Some(row)) = store.channel(hint.channel) else { return false };
    row.status == ChannelStatus::Live
        && DisputeKey::from_bytes(hint.dispute_key.0).matches(&row.channel)
}
