//! Asks other towers for what they hold of one channel, when a dispute makes it matter.

use std::sync::Arc;

use futures::StreamExt as _;
use futures::stream::FuturesUnordered;
use gossip::{Handle, Peer};
use protocol::network::Slot;
use protocol::network::admission::{Source, Verdict};
use protocol::{ChannelId, Domain, Role};

use crate::admission::{Admission, Origin};

/// Towers that are asked: enough that one honest and well connected tower among them is likely.
const ASKED_MAX: usize = 6;

/// Asks, and hands what comes to admission.
#[derive(Debug, Clone)]
pub(crate) struct Seeker {
    pub(crate) handle: Handle,
    pub(crate) domain: Domain,
    pub(crate) admission: Arc<Admission>,
}

impl Seeker {
    /// Asks a few towers for both slots of a channel. What they hold goes through admission, which tells the node of
    /// anything newer. Ends within the network's time for a request.
    pub(crate) async fn seek(&self, channel_id: ChannelId) {
        let Ok(mut peers) = self.handle.peers().await else { return };
        peers.retain(|info| info.tower && info.score >= 0.0);
        peers.sort_by(|a, b| b.score.total_cmp(&a.score));
        let asked = peers.iter().take(ASKED_MAX).map(|info| info.peer);
        let mut asking: FuturesUnordered<_> = asked
            .flat_map(|peer| Role::BOTH.map(|role| self.ask(peer, Slot { channel_id, role })))
            .collect();
        while asking.next().await.is_some() {}
    }

    async fn ask(&self, peer: Peer, slot: Slot) {
        let raw = match self.handle.fetch(peer, self.domain, slot).await {
            Ok(Some(raw)) => raw,
            Ok(None) => return,
            Err(error) => {
                tracing::debug!(%error, %slot, "a tower does not say what it holds");
                return;
            }
        };
        match self.admission.offer(Origin::Peer(peer), Source::Sync, raw.as_bytes()).await {
            Ok(Verdict::Accept) => {
                tracing::info!(%slot, %peer, "another tower held something newer of a disputed channel");
            }
            Ok(verdict) => tracing::debug!(%slot, %peer, verdict = verdict.label(), "no news"),
            Err(error) => tracing::error!(%error, %slot, "what another tower held is not stored"),
        }
    }
}
