//! What peers do wrong outside the gossip router: the application's part of their score, and who is banned.
//!
//! **Invariant:** the ledger is bounded; at the bound the least of the culprits is forgotten.

use std::collections::HashMap;

use libp2p::PeerId;

/// Something that a peer did and should not have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fault {
    /// Bytes that are no message, or that the rules reject.
    Malformed,
    /// More work than a peer may hand in.
    Flood,
    /// A request of a peer that is below the graylist line: none is taken.
    Insistence,
}

impl Fault {
    /// What it costs.
    fn cost(self) -> f64 {
        match self {
            // Seven in a short time end below the graylist line.
            Self::Malformed => 400.0,
            // A burst of a hundred too many is forgiven within seconds; a flood is not.
            Self::Flood => 8.0,
            // From the graylist line to a ban in three dozen requests: a peer that waits for its debt to fade makes none.
            Self::Insistence => 100.0,
        }
    }
}

/// Who costs more than this is banned.
const BAN_LINE: f64 = 6_000.0;

/// What is left of a debt after one tick of a second: half of it is gone after five minutes.
const DECAY: f64 = 0.9977;

/// Debts below it are forgotten.
const FORGET_BELOW: f64 = 1.0;

/// Debts that are remembered.
const PEERS_MAX: usize = 4_096;

/// Debts of peers.
#[derive(Debug, Default)]
pub(crate) struct Conduct {
    debts: HashMap<PeerId, f64>,
}

impl Conduct {
    /// Adds a fault. True if the peer must be banned now; its debt is cleared then.
    pub(crate) fn record(&mut self, peer: PeerId, fault: Fault) -> bool {
        let debt = self.debts.entry(peer).or_default();
        *debt += fault.cost();
        if *debt >= BAN_LINE {
            self.debts.remove(&peer);
            return true;
        }
        if self.debts.len() > PEERS_MAX {
            let least = self.debts.iter().min_by(|(_, a), (_, b)| a.total_cmp(b));
            if let Some(least) = least.map(|(peer, _)| *peer) {
                self.debts.remove(&least);
            }
        }
        false
    }

    /// A second has passed. Gives every debtor with its score.
    pub(crate) fn tick(&mut self) -> Vec<(PeerId, f64)> {
        let scores = self
            .debts
            .iter_mut()
            .map(|(peer, debt)| {
                *debt *= DECAY;
                if *debt < FORGET_BELOW {
                    *debt = 0.0;
                }
                (*peer, -*debt)
            })
            .collect();
        self.debts.retain(|_, debt| *debt > 0.0);
        scores
    }

    /// The score of a peer: zero or less.
    pub(crate) fn score(&self, peer: &PeerId) -> f64 {
        -self.debts.get(peer).copied().unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scoring::{GOSSIP_LINE, GRAYLIST_LINE};

    #[test]
    fn seven_malformed_requests_end_below_the_graylist_line_and_fifteen_ban() {
        let (mut conduct, peer) = (Conduct::default(), PeerId::random());
        for _ in 0..7 {
            assert!(!conduct.record(peer, Fault::Malformed));
        }
        assert!(conduct.score(&peer) < GRAYLIST_LINE);
        assert!((0..8).any(|_| conduct.record(peer, Fault::Malformed)));
        assert_eq!(conduct.score(&peer), 0.0);
    }

    #[test]
    fn a_burst_is_forgiven_and_everything_is_forgotten_in_the_end() {
        let (mut conduct, peer) = (Conduct::default(), PeerId::random());
        for _ in 0..60 {
            conduct.record(peer, Fault::Flood);
        }
        assert!(conduct.score(&peer) > GOSSIP_LINE);
        for _ in 0..3_600 {
            conduct.tick();
        }
        assert!(conduct.debts.is_empty());
    }

    #[test]
    fn the_ledger_is_bounded_and_keeps_the_worst() {
        let (mut conduct, worst) = (Conduct::default(), PeerId::random());
        conduct.record(worst, Fault::Malformed);
        for _ in 0..PEERS_MAX + 10 {
            conduct.record(PeerId::random(), Fault::Flood);
        }
        assert_eq!(conduct.debts.len(), PEERS_MAX);
        assert!(conduct.score(&worst) < 0.0);
    }
}
