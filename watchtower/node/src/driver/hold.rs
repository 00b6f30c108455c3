//! The pause of a channel after a restore: what this node consented to before is forgotten, and may still be executed.
//!
//! ```text
//!   restored, or its disk was set back --durable--> paused: no new state is made, no consent given
//!       until a final block is past the last deadline that it could have signed,
//!       or the consent that was due is executed, final
//! ```
//!
//! **Invariant:** the pause is durable before the channel goes on from the state that was found.
//! **Invariant:** its end is counted from the head of the chain as this process saw it, never from an older block.

use protocol::ChannelId;
use serde::{Deserialize, Serialize};
use store::{NodeChange, NodeTable};

use super::Driver;
use super::consent::GOOD_FOR_MAX_S;
use crate::book::{Own, Standing};
use crate::error::NodeError;
use crate::rows;

/// A channel's pause after a restore.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Hold {
    /// None until this node has caught up with the chain.
    end: Option<End>,
}

/// What ends a pause.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
struct End {
    /// A final block after this, in seconds of the chain.
    until: u64,
    /// The consent with this number, executed.
    seq: u64,
}

fn hold_key(channel: ChannelId) -> Vec<u8> {
    [b"hold/".as_slice(), &channel.get().to_be_bytes()].concat()
}

impl Driver {
    pub(super) fn load_holds(&mut self) -> Result<(), NodeError> {
        for channel in self.book.channels().keys().copied().collect::<Vec<_>>() {
            let row = rows::get(&self.parts.store, NodeTable::Orders, &hold_key(channel))?;
            if let Some(hold) = row {
                self.holds.insert(channel, hold);
            }
        }
        Ok(())
    }

    /// Whether no new state may be made on the channel.
    pub(super) fn is_held(&self, channel: ChannelId) -> bool {
        self.consents.contains_key(&channel)
            || self.holds.contains_key(&channel)
            || self.announced(channel).is_some_and(|own| own.standing != Standing::Over)
    }

    /// The channel, if the close of its dispute is announced, or has taken effect: it ends with what was agreed on, and with no
    /// state that comes late.
    pub(super) fn announced(&self, channel: ChannelId) -> Option<&Own> {
        let own = self.book.get(channel)?;
        own.dispute.and_then(|dispute| dispute.agreed).map(|_agreed| own)
    }

    /// Why not, for people.
    pub(super) fn why_held(&self, channel: ChannelId) -> Option<String> {
        if self.consents.contains_key(&channel) {
            let words =
                "a consent of this channel is not executed yet: nothing is signed until it is";
            return Some(words.to_owned());
        }
        if self.is_held(channel)
            && let Some(dispute) = self.announced(channel).and_then(|own| own.dispute)
        {
            return Some(format!(
                "a close of this channel is announced: it takes effect at {} (seconds since 1970), and overrides are possible until then",
                dispute.deadline
            ));
        }
        let until = match self.holds.get(&channel)?.end {
            Some(end) => format!("the chain's final time is past {} (seconds)", end.until),
            None => "the chain was followed to its head".to_owned(),
        };
        Some(format!(
            "this channel was restored, or its disk was set back: a consent that this node has forgotten may still be executed, and nothing is signed until {until}"
        ))
    }

    /// Begins a pause, durably.
    pub(super) async fn hold(&mut self, channel: ChannelId) -> Result<(), NodeError> {
        let pause_s = self.parts.policy.backup.hold_after_restore_s;
        if pause_s < GOOD_FOR_MAX_S {
            tracing::warn!(%channel, pause_s, needed_s = GOOD_FOR_MAX_S, "hold_after_restore_s is short: a consent that this node has forgotten may contradict what it signs after the pause");
        }
        if pause_s == 0 {
            return Ok(());
        }
        self.set_hold(channel, Hold { end: None }).await
    }

    async fn set_hold(&mut self, channel: ChannelId, hold: Hold) -> Result<(), NodeError> {
        self.holds.insert(channel, hold);
        self.store(vec![rows::put(NodeTable::Orders, hold_key(channel), &hold)?]).await
    }

    pub(super) async fn tick_holds(&mut self) -> Result<(), NodeError> {
        if !self.caught_up {
            return Ok(());
        }
        let holds: Vec<(ChannelId, Hold)> =
            self.holds.iter().map(|(channel, hold)| (*channel, *hold)).collect();
        for (channel, hold) in holds {
            let Some(own) = self.book.get(channel) else { continue };
            let Some(end) = hold.end else {
                // No consent that was signed before now is good for longer.
                let until =
                    self.chain_s.saturating_add(self.parts.policy.backup.hold_after_restore_s);
                let end = End { until, seq: own.seq };
                tracing::warn!(%channel, until, "paused after the restore: a consent that this node has forgotten may still be executed");
                self.set_hold(channel, Hold { end: Some(end) }).await?;
                continue;
            };
            let over = own.standing == Standing::Over;
            if over || own.seq > end.seq || self.final_s > end.until {
                tracing::info!(%channel, "the pause after the restore is over");
                self.holds.remove(&channel);
                let gone = NodeChange::Remove(NodeTable::Orders, hold_key(channel));
                self.store(vec![gone]).await?;
            }
        }
        Ok(())
    }
}
