//! Transactions that wait to be mined, as far as a node shows them: a dispute is known before it is in a block.
//!
//! ```text
//!   websocket: newPendingTransactions, with bodies -- refused? --> their hashes, each looked up
//!   otherwise: the pending block, every poll interval
//!        `--> calls of the vault's `dispute` --> Hint --> bounded queue (full: the new one is dropped and counted)
//! ```
//!
//! A hint is somebody's unsigned word: the transaction may never be mined, may revert, and anybody can send one. So it is
//! good for preparing and for nothing else (`protocol` section 8): nothing is stored or shown because of it.
//!
//! **Invariant:** no transaction gives two hints while it is among the last [`SEEN_MAX`]; the follower is not affected by
//! anything that happens here.

use std::{
    collections::{BTreeSet, VecDeque},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use alloy::pubsub::Subscription;
use alloy_primitives::{Address, B256, Bytes};
use alloy_sol_types::SolCall as _;
use protocol::ids::{Amount, ChannelId, Nonce};
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::sync::{broadcast::error::RecvError, mpsc};

use crate::{bindings::IVipe, error::RpcError, provider::Rpc};

/// Hints that may wait to be read.
pub const HINTS_MAX: usize = 64;
/// Transactions remembered, so that none gives two hints; a pool rarely holds more at once.
pub const SEEN_MAX: usize = 8_192;
/// Transactions of a pending block that are read; more than any block holds.
const BLOCK_TRANSACTIONS_MAX: usize = 10_000;

/// A dispute that somebody wants to open.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hint {
    /// The waiting transaction.
    pub transaction: B256,
    /// Who sent it.
    pub from: Address,
    /// The channel.
    pub channel: ChannelId,
    /// The key that opens its backups, if it is the right one: compare its Keccak-256 with the channel's.
    pub dispute_key: B256,
    /// The nonce of the state that is put forward.
    pub nonce: Nonce,
    /// What is claimed.
    pub claim: Amount,
}

/// An override that somebody wants to bring.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rival {
    /// The waiting transaction.
    pub transaction: B256,
    /// Who sent it.
    pub from: Address,
    /// The channel.
    pub channel: ChannelId,
    /// The nonce of the state that it brings.
    pub nonce: Nonce,
}

/// What the watch saw.
#[derive(Debug, Default)]
pub struct PendingCounters {
    /// Waiting transactions that were looked at.
    pub seen: AtomicU64,
    /// Hints that were handed on.
    pub hints: AtomicU64,
    /// Hints dropped because the queue was full.
    pub dropped: AtomicU64,
    /// Times that the node did not show its pool, or stopped.
    pub failures: AtomicU64,
}

/// Where transactions come from.
enum Source {
    Bodies(Subscription<Value>),
    Hashes(Subscription<Value>),
    Block,
}

/// Watches the pool of a node.
#[derive(Debug)]
pub struct PendingWatch {
    rpc: Rpc,
    vipe: Address,
    poll_interval: Duration,
    hints: mpsc::Sender<Hint>,
    rivals: Option<mpsc::Sender<Rival>>,
    counters: Arc<PendingCounters>,
    seen: Seen,
}

/// The transactions that were seen last.
#[derive(Debug, Default)]
struct Seen {
    order: VecDeque<B256>,
    all: BTreeSet<B256>,
}

impl Seen {
    /// False if it was seen before.
    fn insert(&mut self, hash: B256) -> bool {
        if !self.all.insert(hash) {
            return false;
        }
        self.order.push_back(hash);
        while self.order.len() > SEEN_MAX {
            if let Some(old) = self.order.pop_front() {
                self.all.remove(&old);
            }
        }
        true
    }
}

/// A waiting transaction, as far as we read it.
#[derive(Debug, Deserialize)]
struct RawTransaction {
    hash: B256,
    from: Address,
    to: Option<Address>,
    #[serde(alias = "data")]
    input: Bytes,
}

#[derive(Debug, Deserialize)]
struct RawBlock {
    #[serde(default)]
    transactions: Vec<RawTransaction>,
}

impl PendingWatch {
    /// A watch for disputes at the vault `vipe`, and where its hints come out.
    pub fn new(
        rpc: Rpc,
        vipe: Address,
        poll_interval: Duration,
    ) -> (Self, mpsc::Receiver<Hint>, Arc<PendingCounters>) {
        let (hints, receiver) = mpsc::channel(HINTS_MAX);
        let counters = Arc::new(PendingCounters::default());
        let watch = Self {
            rpc,
            vipe,
            poll_interval,
            hints,
            rivals: None,
            counters: Arc::clone(&counters),
            seen: Seen::default(),
        };
        (watch, receiver, counters)
    }

    /// The same, and hands on overrides that wait as well. One that does not fit into the queue is dropped and counted.
    #[must_use]
    pub fn with_rivals(self, rivals: mpsc::Sender<Rival>) -> Self {
        Self { rivals: Some(rivals), ..self }
    }

    /// Watches until nobody reads the hints any more. A node that shows nothing is asked again with every poll interval.
    pub async fn run(mut self) {
        while !self.hints.is_closed() {
            let looked = match self.source().await {
                Source::Bodies(mut new) => self.follow_bodies(&mut new).await,
                Source::Hashes(mut new) => self.follow_hashes(&mut new).await,
                Source::Block => self.look_at_block().await,
            };
            if let Err(error) = looked {
                self.counters.failures.fetch_add(1, Ordering::Relaxed);
                tracing::debug!(%error, "the node does not show what waits to be mined");
            }
            tokio::time::sleep(self.poll_interval).await;
        }
    }

    async fn source(&self) -> Source {
        let topic = "newPendingTransactions";
        match self.rpc.subscribe(json!([topic, true])).await {
            Ok(Some(bodies)) => return Source::Bodies(bodies),
            Ok(None) => return Source::Block,
            Err(_refused) => {}
        }
        match self.rpc.subscribe(json!([topic])).await {
            Ok(Some(hashes)) => Source::Hashes(hashes),
            Ok(None) | Err(_) => Source::Block,
        }
    }

    async fn follow_bodies(&mut self, new: &mut Subscription<Value>) -> Result<(), RpcError> {
        loop {
            match self.next(new).await {
                Some(body) => match serde_json::from_value::<RawTransaction>(body.clone()) {
                    Ok(transaction) => self.take(&transaction),
                    // Some nodes take the flag and send hashes all the same.
                    Err(_other) => {
                        if let Ok(hash) = serde_json::from_value(body) {
                            self.look_up(hash).await?;
                        }
                    }
                },
                None => return Ok(()),
            }
        }
    }

    async fn follow_hashes(&mut self, new: &mut Subscription<Value>) -> Result<(), RpcError> {
        while let Some(hash) = self.next(new).await {
            if let Ok(hash) = serde_json::from_value(hash) {
                self.look_up(hash).await?;
            }
        }
        Ok(())
    }

    /// The next message; none when the subscription or the reader has ended. What we were too slow for is skipped.
    async fn next(&self, new: &mut Subscription<Value>) -> Option<Value> {
        loop {
            let message = tokio::select! {
                () = self.hints.closed() => return None,
                message = new.recv() => message,
            };
            match message {
                Ok(message) => return Some(message),
                Err(RecvError::Lagged(_)) => {}
                Err(RecvError::Closed) => return None,
            }
        }
    }

    async fn look_up(&mut self, hash: B256) -> Result<(), RpcError> {
        if self.seen.all.contains(&hash) {
            return Ok(());
        }
        if let Some(transaction) = self.rpc.waiting_transaction(hash).await? {
            self.take(&transaction);
        }
        Ok(())
    }

    async fn look_at_block(&mut self) -> Result<(), RpcError> {
        let Some(block) = self.rpc.pending_block().await? else { return Ok(()) };
        for transaction in block.transactions.iter().take(BLOCK_TRANSACTIONS_MAX) {
            self.take(transaction);
        }
        Ok(())
    }

    fn take(&mut self, transaction: &RawTransaction) {
        if !self.seen.insert(transaction.hash) {
            return;
        }
        self.counters.seen.fetch_add(1, Ordering::Relaxed);
        let handed_on = match read(self.vipe, transaction) {
            Some(hint) => self.hints.try_send(hint).is_ok(),
            None => {
                let Some(rivals) = &self.rivals else { return };
                let Some(rival) = read_override(self.vipe, transaction) else { return };
                rivals.try_send(rival).is_ok()
            }
        };
        let count = if handed_on { &self.counters.hints } else { &self.counters.dropped };
        count.fetch_add(1, Ordering::Relaxed);
    }
}

impl Rpc {
    async fn waiting_transaction(&self, hash: B256) -> Result<Option<RawTransaction>, RpcError> {
        self.ask("eth_getTransactionByHash", (hash,)).await
    }

    async fn pending_block(&self) -> Result<Option<RawBlock>, RpcError> {
        self.ask("eth_getBlockByNumber", ("pending", true)).await
    }
}

/// The dispute that a transaction would open; none if it is something else.
fn read(vipe: Address, transaction: &RawTransaction) -> Option<Hint> {
    if transaction.to != Some(vipe) {
        return None;
    }
    let call = IVipe::disputeCall::abi_decode(&transaction.input).ok()?;
    Some(Hint {
        transaction: transaction.hash,
        from: transaction.from,
        channel: ChannelId::try_from(call.channelId.to::<u64>()).ok()?,
        dispute_key: call.disputeKey,
        nonce: Nonce::try_from(call.state.nonce.to::<u64>()).ok()?,
        claim: Amount::try_from(call.claim.to::<u128>()).ok()?,
    })
}

/// The override that a transaction would bring; none if it is something else.
fn read_override(vipe: Address, transaction: &RawTransaction) -> Option<Rival> {
    if transaction.to != Some(vipe) {
        return None;
    }
    let call = IVipe::overrideStateCall::abi_decode(&transaction.input).ok()?;
    Some(Rival {
        transaction: transaction.hash,
        from: transaction.from,
        channel: ChannelId::try_from(call.channelId.to::<u64>()).ok()?,
        nonce: Nonce::try_from(call.state.nonce.to::<u64>()).ok()?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_disputes_at_the_vault_are_hints_and_garbage_is_nothing() {
        let vipe = Address::repeat_byte(0xaa);
        let call = IVipe::disputeCall {
            channelId: alloy_primitives::aliases::U56::from(5),
            state: IVipe::StateClaim {
                nonce: alloy_primitives::aliases::U56::from(6),
                version: alloy_primitives::aliases::U56::from(1),
                balance: alloy_primitives::aliases::U112::from(7),
            },
            claim: alloy_primitives::aliases::U112::from(8),
            disputeKey: B256::repeat_byte(9),
            signatures: IVipe::SessionSignatures {
                participant: IVipe::CompactSignature { r: B256::ZERO, vs: B256::ZERO },
                counterparty: IVipe::CompactSignature { r: B256::ZERO, vs: B256::ZERO },
            },
            proof: Bytes::from_static(&[1, 2, 3]),
        };
        let good = RawTransaction {
            hash: B256::repeat_byte(1),
            from: Address::repeat_byte(2),
            to: Some(vipe),
            input: call.abi_encode().into(),
        };
        let hint = read(vipe, &good).unwrap();
        assert_eq!((hint.channel.get(), hint.nonce.get(), hint.claim.get()), (5, 6, 8));
        assert_eq!(hint.dispute_key, B256::repeat_byte(9));
        assert_eq!(read(Address::ZERO, &good), None);
        for cut in 0..good.input.len() - 32 {
            let input = good.input.slice(..cut);
            assert_eq!(read(vipe, &RawTransaction { input, ..good_copy(&good) }), None, "{cut}");
        }
    }

    fn good_copy(of: &RawTransaction) -> RawTransaction {
        RawTransaction { hash: of.hash, from: of.from, to: of.to, input: of.input.clone() }
    }

    #[test]
    fn what_was_seen_is_remembered_up_to_the_bound() {
        let mut seen = Seen::default();
        let hash = |number: usize| B256::left_padding_from(&number.to_be_bytes());
        assert!(seen.insert(hash(0)) && !seen.insert(hash(0)));
        (1..=SEEN_MAX).for_each(|number| assert!(seen.insert(hash(number))));
        assert_eq!((seen.order.len(), seen.all.len()), (SEEN_MAX, SEEN_MAX));
        assert!(seen.insert(hash(0)), "the oldest one is forgotten");
    }
}
