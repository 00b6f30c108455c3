//! Who else uses the key: transactions of the account that none of our records holds.
//!
//! One process per key is what the network of nonces allows: a second one takes nonces away and both pay for it. It is
//! survived, told to a person, and never silent.

use super::Core;
use crate::submitter::{
    message::{Effect, ForeignSpend, View},
    record::Record,
};

/// What was seen of the account so far.
#[derive(Debug, Clone, Copy)]
pub(super) struct Witness {
    /// The highest next nonce of the chain so far; what is below was looked at.
    seen: Option<u64>,
    /// A nonce in the node's pool that is none of ours, seen in the round before. One look may mix two moments.
    suspect: Option<u64>,
    /// The last that was told.
    told: Option<ForeignSpend>,
}

/// The most strange nonces that are told one by one in a round.
const STRANGERS_MAX: u64 = 16;

impl Witness {
    pub(super) const fn new() -> Self {
        Self { seen: None, suspect: None, told: None }
    }
}

impl Core {
    /// Compares the account's nonces with our records. The first look only takes note of where the chain is.
    pub(super) fn look_for_strangers(&mut self, view: &View) -> Vec<Effect> {
        let from = self.witness.seen.unwrap_or(view.nonce);
        self.witness.seen = Some(from.max(view.nonce));
        let mined = (from..view.nonce).take(usize::try_from(STRANGERS_MAX).unwrap_or(usize::MAX));
        let strangers: Vec<u64> = mined.filter(|nonce| !self.is_ours(*nonce)).collect();
        let mut effects: Vec<Effect> = strangers
            .into_iter()
            .filter_map(|nonce| self.tell(ForeignSpend { nonce, mined: true }))
            .collect();
        // What nodes call pending follows the chain without a gap, so ours come first.
        let ours = (view.nonce..).take_while(|nonce| self.is_ours(*nonce)).count();
        let next = view.nonce.saturating_add(u64::try_from(ours).unwrap_or(u64::MAX));
        let suspect = view.pending_nonce.filter(|pending| *pending > next).map(|_| next);
        if suspect.is_some() && suspect == self.witness.suspect {
            effects
                .extend(suspect.and_then(|nonce| self.tell(ForeignSpend { nonce, mined: false })));
        }
        self.witness.suspect = suspect;
        effects
    }

    /// A nonce that an obligation had was certainly used by something else; by whom, if no other obligation ever had it.
    pub(super) fn nonce_was_taken(&mut self, nonce: u64) -> Option<Effect> {
        let own = |record: &&Record| {
            record.attempts.iter().chain(&record.past).any(|attempt| attempt.nonce == nonce)
        };
        if self.records.values().filter(own).count() > 1 {
            None
        } else {
            self.tell(ForeignSpend { nonce, mined: true })
        }
    }

    fn tell(&mut self, spend: ForeignSpend) -> Option<Effect> {
        (self.witness.told.replace(spend) != Some(spend)).then_some(Effect::Foreign(spend))
    }

    fn is_ours(&self, nonce: u64) -> bool {
        self.records.values().any(|record| holds(record, nonce))
    }
}

fn holds(record: &Record, nonce: u64) -> bool {
    let mut all = record.attempts.iter().chain(&record.past).chain(&record.pays_for);
    record.fills == Some(nonce) || all.any(|attempt| attempt.nonce == nonce)
}
