//! The pause of a channel after a restore, or after an absence that may hide one: what this node consented to before is forgotten,
//! and may still be executed.
//!
//! ```text
//!   restored, or its disk was set back --durable--> paused: no new state is made, no consent given
//!       until a final block is past the last deadline that it could have signed,
//!       or the consent that was due is executed, final
//! ```
//!
//! Consents are in no backup. So a disk that was set back past a consent and past no state looks sound to everybody, and only says
//! that it has not seen the chain for a while: after that, and unless the node had stopped in order, its channels pause, too.
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

/// Since a disk saw the chain last, in seconds: beyond it what it has consented to may not be all that was.
const ABSENT_MAX_S: u64 = 300;
/// Under which note stands when this disk saw the chain's head last, in seconds of the chain.
const SEEN: &[u8] = b"seen";
/// And that the node stopped in order after that.
const STOPPED: &[u8] = b"stopped";

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
            "this channel was restored, or its disk was set back or ended without notice: a consent that this node has forgotten may still be executed, and nothing is signed until {until}"
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
        let row = self.put_hold(channel, Hold { end: None })?;
        self.store(vec![row]).await
    }

    pub(super) async fn tick_holds(&mut self) -> Result<(), NodeError> {
        if !self.caught_up {
            return Ok(());
        }
        let holds: Vec<(ChannelId, Hold)> =
            self.holds.iter().map(|(channel, hold)| (*channel, *hold)).collect();
        let mut turn = Vec::new();
        for (channel, hold) in holds {
            let Some(own) = self.book.get(channel) else { continue };
            let Some(end) = hold.end else {
                let end = self.end_of_hold(own.seq);
                tracing::warn!(%channel, until = end.until, "paused after the restore: a consent that this node has forgotten may still be executed");
                turn.push(self.put_hold(channel, Hold { end: Some(end) })?);
                continue;
            };
            let over = own.standing == Standing::Over;
            if over || own.seq > end.seq || self.final_s > end.until {
                tracing::info!(%channel, "the pause after the restore is over");
                self.holds.remove(&channel);
                turn.push(NodeChange::Remove(NodeTable::Orders, hold_key(channel)));
            }
        }
        if turn.is_empty() { Ok(()) } else { self.store(turn).await }
    }

    /// No consent that was signed before now is good for longer.
    fn end_of_hold(&self, seq: u64) -> End {
        let pause_s = self.parts.policy.backup.hold_after_restore_s;
        End { until: self.chain_s.saturating_add(pause_s), seq }
    }

    fn put_hold(&mut self, channel: ChannelId, hold: Hold) -> Result<NodeChange, NodeError> {
        self.holds.insert(channel, hold);
        Ok(rows::put(NodeTable::Orders, hold_key(channel), &hold)?)
    }

    /// The head was reached for the first time since the start, and nothing was signed yet. A disk that has not seen the chain for
    /// a while, and was not stopped in order, may be older than what this node consented to.
    pub(super) async fn after_absence(&mut self) -> Result<(), NodeError> {
        let store = &self.parts.store;
        let seen = rows::get::<u64>(store, NodeTable::Notes, SEEN)?;
        let stopped = rows::get::<u64>(store, NodeTable::Notes, STOPPED)?.is_some();
        let mut turn = Vec::new();
        if stopped {
            turn.push(NodeChange::Remove(NodeTable::Notes, STOPPED.to_vec()));
        }
        let absent_s = seen.map_or(0, |seen| self.chain_s.saturating_sub(seen));
        let pauses = self.parts.policy.backup.hold_after_restore_s > 0;
        if pauses && !stopped && absent_s > ABSENT_MAX_S {
            let lives = |(id, own): &(&ChannelId, &Own)| {
                own.standing == Standing::Live && !self.holds.contains_key(*id)
            };
            let all = self.book.channels().iter().filter(lives);
            let all: Vec<(ChannelId, u64)> = all.map(|(id, own)| (*id, own.seq)).collect();
            tracing::warn!(
                absent_s,
                channels = all.len(),
                "this node ended without notice, and its disk has not seen the chain since: what it has signed for withdrawals and closes may be more than it knows, so its channels pause"
            );
            for (channel, seq) in all {
                let end = Some(self.end_of_hold(seq));
                turn.push(self.put_hold(channel, Hold { end })?);
            }
        }
        if turn.is_empty() { Ok(()) } else { self.store(turn).await }
    }

    /// The row that says when this disk saw the chain's head last: only once what it had missed before was looked at.
    pub(super) fn seen_row(&self, time_s: u64) -> Result<Option<NodeChange>, NodeError> {
        let row = self.caught_up.then(|| rows::put(NodeTable::Notes, SEEN.to_vec(), &time_s));
        Ok(row.transpose()?)
    }

    /// The node stops, and everything that it signed is on its disk.
    pub(super) async fn stopped_in_order(&self) -> Result<(), NodeError> {
        if !self.caught_up {
            return Ok(());
        }
        let row = rows::put(NodeTable::Notes, STOPPED.to_vec(), &self.chain_s)?;
        self.store(vec![row]).await
    }
}
