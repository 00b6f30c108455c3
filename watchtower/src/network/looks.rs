//! What a tower does about an alert: it looks at its chain at once, and over other nodes while its own is behind.
//!
//! **Invariant:** what is found here is said to a person, and envelopes are fetched ahead; the node decides from its own
//! reading of the chain alone.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use chain::calls::{Status, Vipe};
use chain::follower::Health;
use chain::provider::{At, Rpc};
use protocol::ChannelId;
use protocol::network::admission::Look;
use store::{ChannelStatus, Store};
use tokio::sync::{Notify, watch};
use tokio_util::sync::CancellationToken;

use super::alerts::Alerts;
use super::seek::Seeker;
use crate::tasks::TaskFailure;

/// How long the follower has to reach the block that an alert names: a few polls.
const REACH_WITHIN: Duration = Duration::from_secs(10);

/// Channels that nodes are asked about in one round, each node by itself. More come with the follower.
const ASKED_MAX: usize = 32;

/// What the task works with.
#[derive(Debug)]
pub(crate) struct Looker {
    pub(crate) alerts: Arc<Alerts>,
    pub(crate) store: Store,
    pub(crate) rpc: Rpc,
    pub(crate) vipe: Vipe,
    pub(crate) follower: watch::Receiver<Health>,
    /// Makes the follower look now.
    pub(crate) nudge: Arc<Notify>,
    pub(crate) seeker: Seeker,
}

impl Looker {
    /// Looks until told to stop.
    ///
    /// # Errors
    /// None: what fails here is logged, and the follower reads on.
    pub(crate) async fn run(mut self, stop: CancellationToken) -> Result<(), TaskFailure> {
        let alerts = Arc::clone(&self.alerts);
        loop {
            let looks = tokio::select! {
                biased;
                () = stop.cancelled() => return Ok(()),
                looks = alerts.looks() => looks,
            };
            tokio::select! {
                biased;
                () = stop.cancelled() => return Ok(()),
                () = self.round(&looks) => {}
            }
        }
    }

    async fn round(&mut self, looks: &[Look]) {
        self.nudge.notify_one();
        let channels: Vec<(ChannelId, u64)> = looks
            .iter()
            .filter_map(|look| match look {
                Look::Channel(channel, block) => Some((*channel, *block)),
                // The follower reads everything from its cursor on: it was told to look now.
                Look::Everything => None,
            })
            .collect();
        let count = u64::try_from(channels.len()).unwrap_or(u64::MAX);
        self.alerts.counts().looked.fetch_add(count, Ordering::Relaxed);
        let Some(furthest) = channels.iter().map(|(_, block)| *block).max() else { return };
        let reached = self.follower.wait_for(|health| health.position >= furthest);
        if tokio::time::timeout(REACH_WITHIN, reached).await.is_ok() {
            return;
        }
        let read = self.follower.borrow().position;
        let behind = channels.iter().filter(|(_, block)| *block > read);
        for (channel, block) in behind.take(ASKED_MAX) {
            self.ask_others(*channel, *block).await;
        }
    }

    /// The follower did not get there. Asks each node by itself whether there is a dispute.
    async fn ask_others(&self, channel: ChannelId, block: u64) {
        let known = self.store.channel(channel).ok().flatten();
        if known.is_some_and(|row| row.status == ChannelStatus::Disputed) {
            return;
        }
        for rpc in self.rpc.each() {
            let status = match self.vipe.channel(&rpc, channel, At::Latest).await {
                Ok(view) => view.status,
                Err(error) => {
                    tracing::debug!(%error, endpoint = rpc.endpoint(), "a node says nothing of an alert");
                    continue;
                }
            };
            if status == Status::Disputed {
                self.alerts.counts().unseen.fetch_add(1, Ordering::Relaxed);
                tracing::error!(
                    %channel, block, read = self.follower.borrow().position, endpoint = rpc.endpoint(),
                    "a dispute is open that this tower has not read: its node is behind or cut off; check chain.rpc now"
                );
                self.seeker.seek(channel).await;
                return;
            }
        }
        tracing::info!(%channel, block, "no node shows the dispute that an alert told of");
    }
}
