//! The account's signatures: at once where its key is here, later where another process holds it.
//!
//! Whatever wants one asks again until it is there; what was signed is kept until it is taken, what was refused is asked for
//! again after a pause.
//!
//! **Invariant:** a signer that is away, slow or unwilling holds up nothing but what it was asked for.

use std::collections::{BTreeMap, BTreeSet};

use alloy_primitives::{B256, Bytes};
use chain::account::Typed;
use protocol::ChannelId;
use store::NodeTable;
use tokio::sync::mpsc;

use super::Driver;
use super::consent::{Pending, consent_key, frame};
use crate::error::NodeError;
use crate::notary::Told;
use crate::rows;

/// The pause after a refusal, in milliseconds; it doubles each time.
const PAUSE_FIRST: u64 = 2_000;
/// The longest such pause: a person is not asked for the same thing more often.
const PAUSE_MOST: u64 = 60_000;
/// Between two looks at openings that wait to be accepted, in milliseconds, while nothing is told.
const ACCEPT_EVERY: u64 = 2_000;
/// Signatures that are waited for; beyond it nothing new is asked for. More than the openings of a minute on a busy hub.
const WAITING_MAX: usize = 4_096;

/// How one signature stands.
#[derive(Debug)]
enum Wanted {
    Asked,
    There(Bytes),
    Refused { again_ms: u64, pause: u64 },
}

/// Signatures that another process is asked for.
#[derive(Debug)]
pub(crate) struct Signing {
    jobs: mpsc::Sender<Typed>,
    wanted: BTreeMap<B256, Wanted>,
    /// Hub: openings whose acceptance waits: for its signature, for word of an account, for capital.
    pub(super) accepting: BTreeSet<ChannelId>,
    /// Why the newest one was refused, for people.
    pub(super) trouble: Option<String>,
}

impl Signing {
    pub(crate) const fn new(jobs: mpsc::Sender<Typed>) -> Self {
        Self { jobs, wanted: BTreeMap::new(), accepting: BTreeSet::new(), trouble: None }
    }

    fn take(&mut self, typed: &Typed, now: u64) -> Option<Bytes> {
        let digest = typed.digest();
        let pause = match self.wanted.get(&digest) {
            Some(Wanted::There(_)) => {
                return match self.wanted.remove(&digest) {
                    Some(Wanted::There(signature)) => Some(signature),
                    _ => None,
                };
            }
            Some(Wanted::Asked) => return None,
            Some(Wanted::Refused { again_ms, .. }) if now < *again_ms => return None,
            Some(Wanted::Refused { .. }) => true,
            None => false,
        };
        if self.wanted.len() >= WAITING_MAX {
            // What expired while it was refused, or before its signature was taken, is never asked for again; what is still wanted
            // is.
            self.wanted.retain(|_, one| matches!(one, Wanted::Asked));
        }
        if (pause || self.wanted.len() < WAITING_MAX) && self.jobs.try_send(typed.clone()).is_ok() {
            if !pause {
                self.wanted.insert(digest, Wanted::Asked);
            } else if let Some(Wanted::Refused { again_ms, .. }) = self.wanted.get_mut(&digest) {
                // Asked again; the pause goes on growing if it is refused again.
                *again_ms = u64::MAX;
            }
        }
        None
    }

    fn heard(&mut self, digest: B256, outcome: Result<Bytes, String>, now: u64) {
        let before = self.wanted.get(&digest);
        let wanted = match outcome {
            Ok(signature) => {
                self.trouble = None;
                Wanted::There(signature)
            }
            Err(error) => {
                let pause = match before {
                    Some(Wanted::Refused { pause, .. }) => pause.saturating_mul(2).min(PAUSE_MOST),
                    _ => PAUSE_FIRST,
                };
                tracing::error!(
                    error,
                    pause_ms = pause,
                    "a consent waits for the account's signer; it stays wanted"
                );
                self.trouble = Some(error);
                Wanted::Refused { again_ms: now.saturating_add(pause), pause }
            }
        };
        self.wanted.insert(digest, wanted);
    }

    /// Forgets a consent that nobody wants any more.
    fn forget(&mut self, digest: &B256) {
        self.wanted.remove(digest);
    }
}

impl Driver {
    /// The account's signature of a consent; none while its signer has not signed: ask again.
    pub(super) fn signature(&mut self, typed: &Typed) -> Option<Bytes> {
        if !self.parts.keys.account.is_elsewhere() {
            return self.parts.keys.account.sign_digest(&typed.digest()).ok();
        }
        let now = self.now();
        self.signing.take(typed, now)
    }

    /// A consent is of no use any more.
    pub(super) fn unwanted(&mut self, digest: &B256) {
        self.signing.forget(digest);
    }

    /// An answer from outside: whatever waited for it is looked at again.
    pub(super) async fn on_told(&mut self, told: Told) -> Result<(), NodeError> {
        let now = self.now();
        match told {
            Told::Signed { digest, outcome } => self.signing.heard(digest, outcome, now),
            Told::Checked { job, stands } => self.checks.heard(&job, stands, now),
        }
        self.accepting_ms = 0;
        self.tick_signing().await
    }

    /// Looks again at what waits for a signature.
    pub(super) async fn tick_signing(&mut self) -> Result<(), NodeError> {
        let now = self.now();
        if now.saturating_sub(self.accepting_ms) >= ACCEPT_EVERY || self.accepting_ms == 0 {
            self.accepting_ms = now;
            for channel in std::mem::take(&mut self.signing.accepting) {
                self.consider(channel).await?;
            }
        }
        self.sign_consents().await
    }

    /// To the other party with it, once it is signed.
    pub(super) fn tell_consent(&self, channel: ChannelId, pending: &Pending) {
        if !pending.mine.is_empty() {
            self.tell(channel, &frame(channel, pending));
        }
    }

    /// Whether a consent may be signed now: on a live channel, where a dispute may have come since it was agreed on, or in the
    /// very dispute that it ends.
    fn may_sign(&self, channel: ChannelId, one: &Pending) -> bool {
        let Some(dispute) = self.book.get(channel).and_then(|own| own.dispute) else {
            return one.terms.epoch() == 0 && self.is_live(channel);
        };
        one.terms.epoch() == dispute.epoch && self.chain_s < dispute.deadline
    }

    /// Consents whose signature another process gives: asked for, and once there, durable and told.
    pub(super) async fn sign_consents(&mut self) -> Result<(), NodeError> {
        let unsigned: Vec<(ChannelId, Pending)> = self
            .consents
            .iter()
            .filter(|(channel, one)| one.mine.is_empty() && self.may_sign(**channel, one))
            .map(|(channel, one)| (*channel, one.clone()))
            .collect();
        for (channel, mut pending) in unsigned {
            let words = self.words(channel, pending.seq, &pending.terms);
            let Some(mine) = words.and_then(|words| self.signature(&words)) else { continue };
            pending.mine = mine;
            self.consents.insert(channel, pending.clone());
            self.store(vec![rows::put(NodeTable::Orders, consent_key(channel), &pending)?]).await?;
            self.tell_consent(channel, &pending);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn typed(index: u32) -> Typed {
        Typed::of_seed(1, alloy_primitives::Address::ZERO, index)
    }

    #[test]
    fn a_refused_signature_is_asked_for_again_with_growing_pauses_and_taken_once() {
        let (jobs, mut asked) = mpsc::channel(4);
        let (mut signing, one) = (Signing::new(jobs), typed(1));
        assert_eq!(signing.take(&one, 0), None);
        assert_eq!(signing.take(&one, 1), None, "it is under way");
        assert!(asked.try_recv().is_ok() && asked.try_recv().is_err(), "it is asked for once");
        let refuse = || Err("away".to_owned());
        signing.heard(one.digest(), refuse(), 10);
        assert_eq!(signing.take(&one, 11), None);
        assert!(asked.try_recv().is_err(), "not at once");
        assert_eq!(signing.take(&one, 10 + PAUSE_FIRST), None);
        assert!(asked.try_recv().is_ok());
        signing.heard(one.digest(), refuse(), 20_000);
        assert_eq!(signing.take(&one, 20_000 + PAUSE_FIRST), None);
        assert!(asked.try_recv().is_err(), "its pause has grown");
        let signature = Bytes::from_static(&[7; 65]);
        signing.heard(one.digest(), Ok(signature.clone()), 30_000);
        assert_eq!(signing.take(&one, 30_000), Some(signature));
        assert_eq!(signing.take(&one, 30_001), None, "it is taken once, and then asked for anew");
        assert!(asked.try_recv().is_ok());
    }
    #[test]
    fn signatures_that_nobody_takes_any_more_leave_their_room_to_others() {
        let (jobs, mut asked) = mpsc::channel(WAITING_MAX + 1);
        let mut signing = Signing::new(jobs);
        let most = u32::try_from(WAITING_MAX).unwrap();
        for index in 0..most {
            let one = typed(index);
            assert_eq!(signing.take(&one, 0), None);
            // Half of them are signed, the others refused.
            let outcome = if index % 2 == 0 { Ok(Bytes::new()) } else { Err("no".to_owned()) };
            signing.heard(one.digest(), outcome, 0);
        }
        while asked.try_recv().is_ok() {}
        let next = typed(most);
        assert_eq!(signing.take(&next, 1), None);
        assert_eq!(asked.try_recv().unwrap().digest(), next.digest());
    }
}
