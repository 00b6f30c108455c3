//! The chain watch: hands each batch to the driver, with what is final now, and goes on once it is durable.

use alloy_primitives::{Address, U256};
use chain::calls::Vip;
use chain::error::RpcError;
use chain::follower::{FollowError, Follower};
use chain::provider::{At, Rpc};
use protocol::vnode::view::Finalized;
use tokio::sync::{mpsc, oneshot};
use tokio_util::sync::CancellationToken;

use crate::driver::Delivery;

/// The task.
#[derive(Debug)]
pub struct Watch {
    pub(crate) follower: Follower,
    pub(crate) rpc: Rpc,
    /// The hub's pool.
    pub(crate) vip: Option<Address>,
    pub(crate) driver: mpsc::Sender<Delivery>,
}

impl Watch {
    /// Follows the chain until told to stop.
    ///
    /// # Errors
    /// When the follower cannot go on; trouble with the node is waited out inside.
    pub async fn run(mut self, stop: CancellationToken) -> Result<(), FollowError> {
        loop {
            let batch = tokio::select! {
                biased;
                () = stop.cancelled() => return Ok(()),
                batch = self.follower.next() => batch?,
            };
            let finalized = match batch.tip.finalized {
                Some(number) => self.finalized(number).await,
                None => None,
            };
            let idle = self.idle().await;
            let (durable, stored) = oneshot::channel();
            let delivery = Delivery { batch: Box::new(batch), finalized, idle, durable };
            if self.driver.send(delivery).await.is_err() || stored.await.is_err() {
                stop.cancelled().await;
                return Ok(());
            }
            self.follower.acknowledge();
        }
    }

    /// What the pool has in its own hands; without an answer the last one counts on.
    async fn idle(&self) -> Option<U256> {
        let pool = Vip::new(self.vip?);
        match pool.idle(&self.rpc, At::Latest).await {
            Ok(idle) => Some(idle),
            Err(error) => {
                tracing::warn!(%error, "the pool's idle capital is not shown");
                None
            }
        }
    }

    /// The final block's hash and time: the hash so that a node that changes its mind about it is noticed. Without an answer the view is not
    /// renewed: nothing is signed on what was not seen.
    async fn finalized(&self, number: u64) -> Option<(Finalized, u64)> {
        let header: Result<_, RpcError> = self.rpc.header(At::Number(number)).await;
        match header {
            Ok(Some(header)) => {
                Some((Finalized { number, hash: header.id.hash }, header.timestamp))
            }
            Ok(None) => None,
            Err(error) => {
                tracing::warn!(%error, number, "the final block is not shown: the view is not renewed");
                None
            }
        }
    }
}
