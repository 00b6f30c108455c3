//! Whether the other party stands behind a consent: at once where its account's key signed, by asking the chain where the account is
//! a contract (ERC-1271). The consent waits meanwhile: the other node says it again.
//!
//! A contract may change its mind: a consent of its is good for what the chain makes of it, and for nothing else. Nothing here is
//! believed for longer than [`FRESH`], and no machine goes on from a consent: what was executed the chain says.
//!
//! **Invariant:** a chain that gives no answer is asked again; it is neither a consent nor a refusal.

use std::collections::BTreeMap;

use chain::wallet::Question;
use protocol::ChannelId;
use tokio::sync::mpsc;

/// Between two questions about one channel, in milliseconds: whoever says false things costs no more than that.
const PAUSE: u64 = 1_500;
/// How long an answer counts, in milliseconds: the other node says its consent again within two seconds.
const FRESH: u64 = 10_000;

/// A question to the chain, and the channel that it is about.
pub(crate) type Job = (ChannelId, Question);

#[derive(Debug)]
struct Asked {
    question: Question,
    at_ms: u64,
    answer: Option<(bool, u64)>,
}

/// What the chain was asked about consents; one question for each channel.
#[derive(Debug)]
pub(super) struct Checks {
    jobs: mpsc::Sender<Job>,
    asked: BTreeMap<ChannelId, Asked>,
}

impl Checks {
    pub(super) const fn new(jobs: mpsc::Sender<Job>) -> Self {
        Self { jobs, asked: BTreeMap::new() }
    }

    /// Whether the account stands behind it; none until the chain has said so.
    pub(super) fn stands(
        &mut self,
        channel: ChannelId,
        question: &Question,
        now: u64,
    ) -> Option<bool> {
        if question.is_signed() {
            return Some(true);
        }
        if let Some(before) = self.asked.get(&channel) {
            let fresh = |(_, at): &(bool, u64)| now.saturating_sub(*at) < FRESH;
            let answer = before.answer.filter(fresh).filter(|_| before.question == *question);
            if let Some((stands, _)) = answer {
                return Some(stands);
            }
            if now.saturating_sub(before.at_ms) < PAUSE {
                return None;
            }
        }
        if self.jobs.try_send((channel, question.clone())).is_ok() {
            let asked = Asked { question: question.clone(), at_ms: now, answer: None };
            self.asked.insert(channel, asked);
        }
        None
    }

    /// The chain's answer; none where it gave none.
    pub(super) fn heard(&mut self, (channel, question): &Job, stands: Option<bool>, now: u64) {
        if let Some(asked) = self.asked.get_mut(channel).filter(|one| one.question == *question) {
            asked.answer = stands.map(|stands| (stands, now));
        }
    }

    /// The channel is over.
    pub(super) fn forget(&mut self, channel: ChannelId) {
        self.asked.remove(&channel);
    }
}

#[cfg(test)]
mod tests {
    use alloy_primitives::{Address, B256, Bytes};
    use chain::account::Account;

    use super::*;

    const CHANNEL: ChannelId = ChannelId::MIN;

    fn question(of: u8) -> Question {
        let signature = Bytes::from(vec![of]);
        Question { account: Address::repeat_byte(7), digest: B256::repeat_byte(of), signature }
    }

    #[test]
    fn a_contract_is_asked_and_what_it_said_does_not_count_for_long() {
        let (jobs, mut asked) = mpsc::channel(4);
        let (mut checks, one) = (Checks::new(jobs), question(1));
        assert_eq!(checks.stands(CHANNEL, &one, 0), None);
        assert_eq!(asked.try_recv().unwrap(), (CHANNEL, one.clone()));
        checks.heard(&(CHANNEL, one.clone()), Some(true), 100);
        assert_eq!(checks.stands(CHANNEL, &one, 200), Some(true));
        assert_eq!(checks.stands(CHANNEL, &one, 100 + FRESH), None, "it may be revoked since");
        assert_eq!(asked.try_recv().unwrap().1, one);
        checks.heard(&(CHANNEL, one.clone()), Some(false), 100 + FRESH);
        assert_eq!(checks.stands(CHANNEL, &one, 200 + FRESH), Some(false));
    }

    #[test]
    fn a_silent_chain_is_asked_again_and_false_consents_cost_no_more_than_others() {
        let (jobs, mut asked) = mpsc::channel(4);
        let mut checks = Checks::new(jobs);
        let (one, other) = (question(1), question(2));
        assert_eq!(checks.stands(CHANNEL, &one, 0), None);
        checks.heard(&(CHANNEL, one.clone()), None, 10);
        assert_eq!(checks.stands(CHANNEL, &one, 20), None);
        assert_eq!(checks.stands(CHANNEL, &other, 30), None);
        assert!(asked.try_recv().is_ok() && asked.try_recv().is_err(), "asked once in a while");
        assert_eq!(checks.stands(CHANNEL, &one, PAUSE), None);
        assert_eq!(asked.try_recv().unwrap().1, one);
        assert_eq!(checks.stands(CHANNEL, &other, 2 * PAUSE), None);
        checks.heard(&(CHANNEL, one.clone()), Some(true), 2 * PAUSE);
        assert_eq!(checks.stands(CHANNEL, &other, 2 * PAUSE), None, "an answer to another one");
    }

    #[test]
    fn what_the_accounts_key_signed_needs_nobodys_word() {
        let account = Account::from_bytes(&[7; 32]).unwrap();
        let digest = B256::repeat_byte(3);
        let signature = account.sign_digest(&digest).unwrap();
        let question = Question { account: account.address(), digest, signature };
        let (jobs, mut asked) = mpsc::channel(1);
        let mut checks = Checks::new(jobs);
        assert_eq!(checks.stands(CHANNEL, &question, 0), Some(true));
        let other = Question { digest: B256::repeat_byte(4), ..question };
        assert_eq!(checks.stands(CHANNEL, &other, 0), None);
        assert!(asked.try_recv().is_ok());
    }
}
