//! What the chain shows and may still take back: good for what costs nothing if it does.

use chain::events::{ChannelOpened, Event};
use protocol::ChannelId;
use protocol::vipe::Ledger;
use protocol::zksc::Channel;

use super::Book;

impl Book {
    /// Channels that are open on the chain with this account as the other party, not final yet, and not taken back.
    pub(crate) fn opening(&self) -> impl Iterator<Item = (Channel, &ChannelOpened)> {
        let ours = self.waiting.iter().filter_map(|one| match &one.event {
            Event::ChannelOpened(opened) if opened.counterparty == self.account => Some(opened),
            _ => None,
        });
        ours.filter(|opened| !self.is_seen(opened.channel, is_cancelled))
            .filter_map(|opened| Some((self.channel_of(opened).ok()?, opened.as_ref())))
    }

    /// Whether such an event of a channel is on the chain, and not final yet.
    pub(crate) fn is_seen(&self, id: ChannelId, such: fn(&Event) -> bool) -> bool {
        self.waiting.iter().any(|one| one.event.channel() == Some(id) && such(&one.event))
    }

    /// The versions of a channel's escrow, also those that are not final: the vault pays by all of them.
    pub(crate) fn ledger_ahead(&self, id: ChannelId) -> Option<Ledger> {
        let mut ledger = self.channels.get(&id)?.ledger.clone();
        for one in self.waiting.iter().filter(|one| one.event.channel() == Some(id)) {
            if let Event::LedgerAppended(next) = &one.event
                && ledger.append(next.version, next.participant, next.vip).is_err()
            {
                break;
            }
        }
        Some(ledger)
    }
}

/// The participant took its deposit back.
pub(crate) const fn is_cancelled(event: &Event) -> bool {
    matches!(event, Event::Cancelled { .. })
}

/// The counterparty's pool has put its side in.
pub(crate) const fn is_accepted(event: &Event) -> bool {
    matches!(event, Event::Accepted { .. })
}
