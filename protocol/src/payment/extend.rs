//! The history after an update: computed when the update is proposed or permitted, and found again when it is final.
//!
//! **Invariant:** what is found again is what would be computed: it is kept with everything that it was computed from.

use super::history::{Entry, History, HistoryProof};
use crate::{
    hash::Digest,
    zksc::{State, Transition},
};

/// What was computed last on a channel.
#[derive(Debug, Default)]
pub(super) struct Extended(Option<Kept>);

#[derive(Debug)]
struct Kept {
    from: History,
    entry: Entry,
    content: Digest,
    next: (History, HistoryProof),
}

impl Extended {
    /// `history` with `entry`; its root is what the update shall commit to.
    pub(super) fn append(&mut self, history: &History, entry: &Entry) -> Digest {
        let next = history.append(entry);
        let content = next.0.root();
        self.0 = Some(Kept { from: history.clone(), entry: *entry, content, next });
        content
    }

    /// The history after `entry`, if `transition` commits to it: gone on with, or begun anew from `base` by a side that lost
    /// its own.
    pub(super) fn find(
        &mut self,
        history: &History,
        base: &State,
        entry: &Entry,
        transition: &Transition,
    ) -> Option<(History, HistoryProof)> {
        let kept = self.0.as_ref().filter(|kept| kept.entry == *entry && kept.from == *history);
        let content = match kept {
            Some(kept) => kept.content,
            None => self.append(history, entry),
        };
        if content == transition.content {
            return self.0.as_ref().map(|kept| kept.next.clone());
        }
        let (next, proof) = History::restarted(base.app_root).append(entry);
        (next.root() == transition.content).then_some((next, proof))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        payment::history::EntryKind,
        testing::{Pair, amount, nonce, version},
        zksc::{Change, PaymentId, Salt},
    };

    fn entry(at: u64) -> Entry {
        let payment = PaymentId([7; 32]);
        Entry { kind: EntryKind::Debit, amount: amount(5), payment, nonce: nonce(at) }
    }

    fn committed(content: Digest) -> Transition {
        let change = Change::Debit(amount(5), PaymentId([7; 32]));
        Transition { change, version: version(2), salt: Salt::new([9; 32]), content }
    }

    #[test]
    fn what_is_found_is_what_is_computed_whatever_was_kept_before() {
        let pair = Pair::new(1);
        let base = pair.state(3, 5);
        let mut kept = Extended::default();
        let mut history = History::default();
        for at in 1..20 {
            // Of another entry, and of the same one after another history.
            kept.append(&history, &entry(at + 1));
            kept.append(&History::restarted(base.app_root), &entry(at));
            let (next, proof) = history.append(&entry(at));
            let transition = committed(next.root());
            for _again in 0..2 {
                let found = kept.find(&history, &base, &entry(at), &transition);
                assert_eq!(found, Some((next.clone(), proof.clone())));
            }
            let other = committed(Digest::default());
            assert_eq!(kept.find(&history, &base, &entry(at), &other), None);
            let (anew, proof) = History::restarted(base.app_root).append(&entry(at));
            let transition = committed(anew.root());
            let found = kept.find(&history, &base, &entry(at), &transition);
            assert_eq!(found, Some((anew, proof)));
            history = next;
        }
    }
}
