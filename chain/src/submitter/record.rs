//! What is to be done, what was tried, and how it ended: the durable side of the submitter.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};

use alloy_primitives::{Address, B256, Bytes, U256};
use serde::{Deserialize, Serialize};

use crate::{
    account::Transaction,
    calls::Call,
    fees::Fees,
    provider::Receipt,
    refusal::{Refusal, RefusalKind},
};

/// The name of an obligation, chosen by the caller; the same name is the same obligation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct ObligationId(pub B256);

impl std::fmt::Display for ObligationId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.fmt(f)
    }
}

/// One thing that must come to pass on chain.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Obligation {
    /// Its name.
    pub id: ObligationId,
    /// The call.
    pub call: Call,
    /// Nothing is sent before the chain's time has reached this, in seconds.
    pub not_before: Option<u64>,
    /// Of use only in a block with a timestamp below this, in seconds.
    pub deadline: Option<u64>,
    /// Gas that it took elsewhere; used when the node does not estimate.
    pub gas_hint: Option<u64>,
    /// The most that may be spent on gas for it, in wei, failed tries included; below 2^128.
    pub max_cost: U256,
    /// Whether the contract itself refuses a second execution. If so, a try whose nonce was taken by somebody else is
    /// repeated after two blocks; if not, only once the loss is final.
    pub repeat_safe: bool,
}

/// One signed transaction. With the obligation it has all that is needed to sign it again, byte for byte.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Attempt {
    /// Its hash.
    pub hash: B256,
    /// Its nonce.
    pub nonce: u64,
    /// Its gas limit.
    pub gas_limit: u64,
    /// Its bid.
    pub fees: Fees,
    /// True for an empty transfer that only frees the nonce.
    pub cancel: bool,
    /// When it was signed, in milliseconds since 1970.
    pub signed_ms: u64,
    /// The obligation whose budget it comes from, where that is another one: an urgent obligation paid for cancelling
    /// what held it up.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub paid_by: Option<ObligationId>,
}

impl Attempt {
    /// The most that it can cost in gas, in wei.
    pub(super) fn cost_max(&self) -> U256 {
        U256::from(self.gas_limit).saturating_mul(U256::from(self.fees.max_fee))
    }
}

/// The order of obligations that wait for their first transaction, most urgent first: the nearest deadline by
/// [`RANK_SLOT_S`], then the most at stake, then the deadline itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Rank {
    slot: u64,
    at_stake: Reverse<U256>,
    deadline: u64,
    id: ObligationId,
}

impl Rank {
    /// Whose it is.
    pub const fn id(&self) -> ObligationId {
        self.id
    }
}

/// Deadlines within this many seconds of each other are ordered by value: 50 blocks of 12 s, in which the sixteen
/// transactions at a time that nodes take of an account make 800.
pub const RANK_SLOT_S: u64 = 600;

/// Where an obligation stands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "snake_case")]
pub enum Stage {
    /// Nothing of it is on its way.
    Waiting,
    /// Its attempts, all with one nonce, are in the pool or lost.
    InFlight,
    /// One of its attempts is in a block that is not final yet.
    Mined {
        /// What it did.
        receipt: Receipt,
    },
    /// Over.
    Ended(Outcome),
}

/// How an obligation ended. Only final blocks and passed deadlines end one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "snake_case")]
#[non_exhaustive]
pub enum Outcome {
    /// Done, in a final block.
    Finalized {
        /// What the transaction did.
        receipt: Receipt,
    },
    /// The contract refuses it, as of a final block: see [`Refusal::kind`] for whether it was beaten or late.
    Refused {
        /// Why.
        refusal: Refusal,
    },
    /// Its deadline passed, as of a final block.
    Expired,
    /// A gap in the nonces that was to be filled is filled otherwise.
    Superseded,
}

impl Outcome {
    /// Whether somebody else did it, or something better.
    pub const fn is_beaten(&self) -> bool {
        matches!(self, Self::Refused { refusal: Refusal { kind: RefusalKind::Beaten, .. } })
    }
}

/// A refusal that stands, and since when.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Standing {
    /// Why the contract refuses.
    pub refusal: Refusal,
    /// The block at which it was first seen, since when every look saw one.
    pub since: u64,
    /// The block of the newest look.
    #[serde(default)]
    pub last: u64,
    /// At how many blocks it was seen.
    #[serde(default)]
    pub looks: u32,
}

/// Blocks at which a refusal must have been seen without a break before an obligation is given up for it, if its kind does
/// not say that it is for good: a node that is behind says so now and then.
const LOOKS_MIN: u32 = 8;
/// The most blocks between two looks at a refusal that count as one stretch.
const LOOK_PAUSE_MAX: u64 = 4;

impl Standing {
    /// Takes note of one more look. After a pause it begins anew: a reorganisation may have come between.
    pub(super) const fn look(&mut self, block: u64) {
        if block > self.last.saturating_add(LOOK_PAUSE_MAX) {
            self.since = block;
            self.looks = 0;
        }
        if block > self.last || self.looks == 0 {
            self.last = block;
            self.looks = self.looks.saturating_add(1);
        }
    }

    /// Whether it was seen in more than one block, or one is enough.
    pub(super) const fn stands(&self) -> bool {
        self.looks > 1 || self.refusal.kind.is_lasting()
    }

    /// Whether an obligation may be given up for it.
    pub(super) const fn is_final(&self, finalized: u64) -> bool {
        finalized >= self.since && (self.looks >= LOOKS_MIN || self.refusal.kind.is_lasting())
    }
}

/// An obligation with its history; the caller stores it before anything that follows from it happens.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Record {
    /// Version of this form: [`RECORD_VERSION`].
    pub version: u32,
    /// What is to be done.
    pub obligation: Obligation,
    /// Where it stands.
    pub stage: Stage,
    /// The attempts with the nonce in use, oldest first.
    pub attempts: Vec<Attempt>,
    /// Earlier attempts with other nonces, oldest first. A reorganisation may bring one of them back, and then what they
    /// did is ours. Forgotten once their nonce is final.
    pub past: Vec<Attempt>,
    /// Cancelled transactions of other obligations that this one pays for, because they held it up. Forgotten once their
    /// nonce is final.
    #[serde(default)]
    pub pays_for: Vec<Attempt>,
    /// Spent on gas by attempts that failed or only freed a nonce, in wei.
    pub spent: U256,
    /// What of `spent` went with which nonce, for nonces that are not final: a reorganisation may change it.
    #[serde(default)]
    pub charged: BTreeMap<u64, U256>,
    /// The contract refuses it as things stand.
    pub refused: Option<Standing>,
    /// The chain's time when it was first looked at, in seconds.
    pub since: Option<u64>,
    /// The block at which its nonce was first seen taken by a transaction that is none of its attempts.
    pub nonce_lost: Option<u64>,
    /// For an obligation that only fills a gap: the nonce.
    pub fills: Option<u64>,
    /// The newest block when attempts were last given up for another nonce. Until it is final one of them may prove to have
    /// done the work.
    #[serde(default)]
    pub retired_at: Option<u64>,
}

/// The version of [`Record`]'s stored form.
pub const RECORD_VERSION: u32 = 1;

/// The gas of an empty transfer.
pub(super) const TRANSFER_GAS: u64 = 21_000;

impl Record {
    /// The record of a new obligation. Storing it in the same transaction as the decision that made it, and giving it to
    /// the submitter afterwards, loses nothing whenever the machine stops.
    pub fn new(obligation: Obligation) -> Self {
        Self {
            version: RECORD_VERSION,
            obligation,
            stage: Stage::Waiting,
            attempts: Vec::new(),
            past: Vec::new(),
            pays_for: Vec::new(),
            spent: U256::ZERO,
            charged: BTreeMap::new(),
            refused: None,
            since: None,
            nonce_lost: None,
            fills: None,
            retired_at: None,
        }
    }

    /// How it ended, if it did. A record that ended can be deleted.
    pub const fn outcome(&self) -> Option<&Outcome> {
        match &self.stage {
            Stage::Ended(outcome) => Some(outcome),
            Stage::Waiting | Stage::InFlight | Stage::Mined { .. } => None,
        }
    }

    /// An empty transfer of `account` to itself that frees `nonce` for what waits behind it.
    pub(super) fn filler(account: Address, nonce: u64, max_cost: U256) -> Self {
        let mut name = [0; 32];
        if let Some(tail) = name.last_chunk_mut::<8>() {
            *tail = nonce.to_be_bytes();
        }
        let call = Call { to: account, data: Bytes::new(), value: U256::ZERO };
        let obligation = Obligation {
            id: ObligationId(B256::from(name)),
            call,
            not_before: None,
            deadline: None,
            gas_hint: Some(TRANSFER_GAS),
            max_cost,
            repeat_safe: true,
        };
        Self { fills: Some(nonce), ..Self::new(obligation) }
    }

    /// The nonce in use.
    pub(super) fn nonce(&self) -> Option<u64> {
        self.attempts.last().map(|attempt| attempt.nonce)
    }

    /// The highest bid with the nonce in use. Each attempt outbids the one before.
    pub(super) fn highest(&self) -> Option<Fees> {
        self.attempts.last().map(|attempt| attempt.fees)
    }

    /// Where it stands among obligations that wait.
    pub fn rank(&self) -> Rank {
        let Obligation { id, deadline, max_cost, .. } = self.obligation;
        let deadline = deadline.unwrap_or(u64::MAX);
        Rank { slot: deadline / RANK_SLOT_S, at_stake: Reverse(max_cost), deadline, id }
    }

    /// Whether nothing of it was ever sent, as far as that can still matter: it may as well wait with the caller.
    pub fn is_idle(&self) -> bool {
        let untouched = self.attempts.is_empty() && self.past.is_empty();
        untouched && self.pays_for.is_empty() && matches!(self.stage, Stage::Waiting)
    }

    /// What may still be spent on gas, in wei, leaving aside what it pays for at the nonces `but`: not what is spent, and
    /// not what earlier transactions would cost if a reorganisation brought them back.
    pub(super) fn budget(&self, but: &BTreeSet<u64>) -> u128 {
        let nonces: BTreeSet<u64> =
            self.past.iter().chain(&self.pays_for).map(|attempt| attempt.nonce).collect();
        let open = nonces
            .difference(but)
            .fold(U256::ZERO, |sum, nonce| sum.saturating_add(self.exposure(*nonce)));
        let left = self.obligation.max_cost.saturating_sub(self.spent);
        left.saturating_sub(open).saturating_to()
    }

    /// The most that may come to be paid at a nonce of the past or of others, beyond what is charged for it already.
    pub(super) fn exposure(&self, nonce: u64) -> U256 {
        let there = self.past.iter().chain(&self.pays_for).filter(|attempt| attempt.nonce == nonce);
        let most = there.map(Attempt::cost_max).max().unwrap_or_default();
        most.saturating_sub(self.charged.get(&nonce).copied().unwrap_or_default())
    }

    /// The most that the nonce in use may cost this record.
    pub(super) fn exposure_now(&self) -> U256 {
        let own = self.attempts.iter().filter(|attempt| attempt.paid_by.is_none());
        own.map(Attempt::cost_max).max().unwrap_or_default()
    }

    /// The transaction of an attempt, as it was signed.
    pub(super) fn transaction(&self, account: Address, attempt: &Attempt) -> Transaction {
        let (to, value, data) = if attempt.cancel {
            (account, U256::ZERO, Bytes::new())
        } else {
            let call = &self.obligation.call;
            (call.to, call.value, call.data.clone())
        };
        let (nonce, gas_limit, fees) = (attempt.nonce, attempt.gas_limit, attempt.fees);
        Transaction { nonce, gas_limit, fees, to: Some(to), value, data }
    }

    /// Accounts for an attempt that was mined without doing what it should, and frees the record for another try.
    pub(super) fn write_off(&mut self, receipt: &Receipt, head: u64) {
        self.charge(receipt);
        self.retire(head);
    }

    /// Accounts for a mined attempt that is this record's to pay; for the same nonce again, instead of before. Returns
    /// whether that changed anything.
    pub(super) fn charge(&mut self, receipt: &Receipt) -> bool {
        let own =
            self.attempts.iter().chain(&self.past).filter(|attempt| attempt.paid_by.is_none());
        let mut paid = own.chain(&self.pays_for);
        let Some(nonce) = paid.find(|paid| paid.hash == receipt.hash).map(|paid| paid.nonce) else {
            return false;
        };
        let cost = U256::from(receipt.gas_used).saturating_mul(U256::from(receipt.gas_price));
        let before = self.charged.insert(nonce, cost).unwrap_or_default();
        self.spent = self.spent.saturating_sub(before).saturating_add(cost);
        before != cost
    }

    /// Takes a charge back: what was mined at this attempt's nonce did the work after all.
    pub(super) fn uncharge(&mut self, hash: &B256) {
        let Some(nonce) = self.attempt(hash).map(|attempt| attempt.nonce) else { return };
        if let Some(before) = self.charged.remove(&nonce) {
            self.spent = self.spent.saturating_sub(before);
        }
    }

    /// Whether what became of all earlier attempts is final.
    pub(super) fn is_decided(&self, finalized: u64) -> bool {
        self.retired_at.is_none_or(|block| finalized >= block)
    }

    /// Frees the record for a try with another nonce, as of the newest block.
    pub(super) fn retire(&mut self, head: u64) {
        self.retired_at = Some(head);
        self.past.append(&mut self.attempts);
        self.stage = Stage::Waiting;
        self.nonce_lost = None;
    }

    /// Forgets what is decided for good: earlier transactions whose nonce is final, but for `keep`, which did the work.
    /// Returns whether there was anything.
    pub(super) fn forget(&mut self, final_nonce: u64, keep: Option<B256>) -> bool {
        let before = self.past.len() + self.pays_for.len();
        let open = |attempt: &Attempt| attempt.nonce >= final_nonce;
        self.past.retain(|attempt| open(attempt) || Some(attempt.hash) == keep);
        self.pays_for.retain(open);
        self.charged.retain(|nonce, _| *nonce >= final_nonce);
        before != self.past.len() + self.pays_for.len()
    }

    /// The attempt with this hash, now or earlier.
    pub(super) fn attempt(&self, hash: &B256) -> Option<Attempt> {
        self.attempts.iter().chain(&self.past).find(|attempt| attempt.hash == *hash).copied()
    }
}
