//! Transactions that wait for a block.
//!
//! A sender's transactions are kept by nonce; those that follow its state nonce without a gap are *pending*, the rest
//! are *queued* until the gap closes. What is let in follows geth: everything that could never be mined is refused at
//! once and by name, while a fee below the current base fee is fine, since the base fee may fall.
//!
//! **Invariant:** one transaction per sender and nonce, and both indexes hold the same transactions.
//!
//! **Bounds:** total and per sender. When the pool is full, a transaction that pays more evicts the cheapest
//! transaction that no other of its sender depends on; otherwise it is refused.

use std::{
    cmp::Reverse,
    collections::{BTreeMap, BinaryHeap, HashMap},
    sync::Arc,
};

use alloy::{
    consensus::{Transaction as _, TxEnvelope, TxType, transaction::SignerRecoverable},
    eips::{Decodable2718, Encodable2718},
};
use alloy_primitives::{Address, B256, U256};
use revm::{
    context::CfgEnv,
    context_interface::{Cfg, cfg::gas::InitialAndFloorGas},
};

use super::{
    blocks::SignedTx,
    error::{PoolError, Shortfall},
    executor,
    state::View,
};

/// Largest encoded transaction, as in geth.
pub(crate) const TX_BYTES_MAX: usize = 128 * 1024;

/// A replacement must raise both fees by this many percent, as in geth.
pub(crate) const PRICE_BUMP_PERCENT: u128 = 10;

/// A transaction in the pool.
#[derive(Clone, Debug)]
pub(crate) struct Pooled {
    pub(crate) tx: Arc<SignedTx>,
    /// Order of arrival, which decides between equal fees.
    arrival: u64,
}

impl Pooled {
    fn fee(&self) -> u128 {
        self.tx.inner().max_fee_per_gas()
    }

    fn tip_cap(&self) -> u128 {
        self.tx.inner().max_priority_fee_per_gas().unwrap_or_else(|| self.fee())
    }
}

/// The waiting transactions.
#[derive(Clone, Debug, Default)]
pub(crate) struct Pool {
    by_sender: BTreeMap<Address, BTreeMap<u64, Pooled>>,
    by_hash: HashMap<B256, (Address, u64)>,
    arrivals: u64,
}

/// How much of everything the pool holds.
#[derive(Clone, Copy, Debug)]
pub(crate) struct PoolBounds {
    pub(crate) total: usize,
    pub(crate) per_sender: usize,
}

/// The most a transaction can cost its sender.
pub(crate) fn cost(tx: &SignedTx) -> U256 {
    let inner = tx.inner();
    let gas = U256::from(inner.gas_limit()).saturating_mul(U256::from(inner.max_fee_per_gas()));
    gas.saturating_add(inner.value())
}

/// Decodes a raw transaction and recovers its sender.
pub(crate) fn decode(raw: &[u8], chain_id: u64) -> Result<SignedTx, PoolError> {
    if raw.len() > TX_BYTES_MAX {
        return Err(PoolError::Oversized { size: raw.len(), limit: TX_BYTES_MAX });
    }
    let envelope = TxEnvelope::decode_2718_exact(raw)
        .map_err(|error| PoolError::Undecodable { reason: error.to_string() })?;
    if envelope.tx_type() == TxType::Eip4844 {
        return Err(PoolError::TypeNotSupported);
    }
    match envelope.chain_id() {
        None => return Err(PoolError::Unprotected),
        Some(have) if have != chain_id => return Err(PoolError::ChainId { have, want: chain_id }),
        Some(_) => {}
    }
    envelope.try_into_recovered().map_err(|_invalid| PoolError::InvalidSender)
}

/// What a transaction must satisfy by itself, whatever the state is.
pub(crate) fn check_form(
    tx: &SignedTx,
    rules: &CfgEnv,
    block_gas_limit: u64,
) -> Result<(), PoolError> {
    let inner = tx.inner();
    let size = inner.encode_2718_len();
    if size > TX_BYTES_MAX {
        return Err(PoolError::Oversized { size, limit: TX_BYTES_MAX });
    }
    let gas = inner.gas_limit();
    if gas > rules.tx_gas_limit_cap() {
        return Err(PoolError::GasAboveCap { cap: rules.tx_gas_limit_cap(), gas });
    }
    if gas > block_gas_limit {
        return Err(PoolError::GasAboveBlock);
    }
    if inner.kind().is_create() && inner.input().len() > rules.max_initcode_size() {
        return Err(PoolError::InitCodeSize {
            size: inner.input().len(),
            limit: rules.max_initcode_size(),
        });
    }
    let fee = inner.max_fee_per_gas();
    if let Some(tip) = inner.max_priority_fee_per_gas()
        && tip > fee
    {
        return Err(PoolError::TipAboveFee { tip, fee });
    }
    if inner.authorization_list().is_some_and(<[_]>::is_empty) {
        return Err(PoolError::EmptyAuthorizations);
    }
    if inner.nonce() == u64::MAX {
        return Err(PoolError::NonceMax);
    }
    let InitialAndFloorGas { initial_regular_gas, floor_gas, .. } =
        executor::intrinsic_gas(rules, tx);
    if gas < initial_regular_gas {
        return Err(PoolError::IntrinsicGas { gas, needed: initial_regular_gas });
    }
    if gas < floor_gas {
        return Err(PoolError::FloorGas { gas, needed: floor_gas });
    }
    Ok(())
}

impl Pool {
    /// Lets a well-formed transaction in, or says why not. Returns the transaction it replaced.
    pub(crate) fn insert(
        &mut self,
        tx: Arc<SignedTx>,
        view: &View<'_>,
        bounds: PoolBounds,
    ) -> Result<Option<Arc<SignedTx>>, PoolError> {
        let (sender, nonce, hash) = (tx.signer(), tx.inner().nonce(), *tx.inner().tx_hash());
        if self.by_hash.contains_key(&hash) {
            return Err(PoolError::AlreadyKnown);
        }
        if !view.may_send(sender) {
            return Err(PoolError::SenderNotEoa { sender });
        }
        let next = view.nonce(sender);
        if nonce < next {
            return Err(PoolError::NonceTooLow { next, nonce });
        }
        self.check_funds(&tx, view.balance(sender))?;
        let candidate = Pooled { tx, arrival: self.arrivals };
        let own = self.by_sender.get(&sender);
        match own.and_then(|txs| txs.get(&nonce)) {
            Some(old) if !outbids(&candidate, old) => return Err(PoolError::Underpriced),
            Some(_) => {}
            None => {
                let pooled = own.map_or(0, BTreeMap::len);
                if pooled >= bounds.per_sender {
                    return Err(PoolError::AccountFull { pooled });
                }
                if self.by_hash.len() >= bounds.total {
                    self.evict_cheaper_than(&candidate)?;
                }
            }
        }
        self.arrivals += 1;
        self.by_hash.insert(hash, (sender, nonce));
        let replaced = self.by_sender.entry(sender).or_default().insert(nonce, candidate);
        if let Some(old) = &replaced {
            self.by_hash.remove(old.tx.inner().tx_hash());
        }
        Ok(replaced.map(|old| old.tx))
    }

    fn check_funds(&self, tx: &SignedTx, balance: U256) -> Result<(), PoolError> {
        let cost = cost(tx);
        let nonce = tx.inner().nonce();
        let queued = self
            .by_sender
            .get(&tx.signer())
            .into_iter()
            .flatten()
            .filter(|(other, _)| **other != nonce)
            .fold(U256::ZERO, |sum, (_, pooled)| sum.saturating_add(self::cost(&pooled.tx)));
        if queued.saturating_add(cost) > balance {
            return Err(PoolError::Funds(Box::new(Shortfall { balance, queued, cost })));
        }
        Ok(())
    }

    /// Makes room by dropping the cheapest last transaction of a sender, if it pays less than `candidate`.
    fn evict_cheaper_than(&mut self, candidate: &Pooled) -> Result<(), PoolError> {
        let cheapest = self
            .by_sender
            .values()
            .filter_map(|txs| txs.last_key_value().map(|(_, pooled)| pooled))
            .min_by_key(|pooled| (pooled.tip_cap(), Reverse(pooled.arrival)));
        match cheapest {
            Some(victim)
                if victim.tip_cap() < candidate.tip_cap()
                    && victim.tx.signer() != candidate.tx.signer() =>
            {
                let hash = *victim.tx.inner().tx_hash();
                self.remove(hash);
                Ok(())
            }
            _ => Err(PoolError::Full),
        }
    }

    /// Takes a transaction out.
    pub(crate) fn remove(&mut self, hash: B256) -> Option<Arc<SignedTx>> {
        let (sender, nonce) = self.by_hash.remove(&hash)?;
        let txs = self.by_sender.get_mut(&sender)?;
        let pooled = txs.remove(&nonce)?;
        if txs.is_empty() {
            self.by_sender.remove(&sender);
        }
        Some(pooled.tx)
    }

    /// Drops what can no longer be mined because its nonce is used.
    pub(crate) fn prune(&mut self, view: &View<'_>) {
        let stale: Vec<B256> = self
            .by_sender
            .iter()
            .flat_map(|(sender, txs)| {
                let next = view.nonce(*sender);
                txs.range(..next).map(|(_, pooled)| *pooled.tx.inner().tx_hash())
            })
            .collect();
        for hash in stale {
            self.remove(hash);
        }
    }

    pub(crate) fn get(&self, hash: B256) -> Option<&Arc<SignedTx>> {
        let (sender, nonce) = self.by_hash.get(&hash)?;
        self.by_sender.get(sender)?.get(nonce).map(|pooled| &pooled.tx)
    }

    /// The nonce after a sender's last pending transaction.
    pub(crate) fn next_nonce(&self, sender: Address, state_nonce: u64) -> u64 {
        self.pending_of(sender, state_nonce).last().map_or(state_nonce, |tx| tx.inner().nonce() + 1)
    }

    /// A sender's transactions that follow its state nonce without a gap.
    pub(crate) fn pending_of(
        &self,
        sender: Address,
        state_nonce: u64,
    ) -> impl Iterator<Item = &Arc<SignedTx>> {
        self.by_sender
            .get(&sender)
            .into_iter()
            .flat_map(move |txs| txs.range(state_nonce..))
            .zip(state_nonce..)
            .take_while(|((nonce, _), expected)| *nonce == expected)
            .map(|((_, pooled), _)| &pooled.tx)
    }

    /// Everything, by sender and nonce.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (Address, u64, &Arc<SignedTx>)> {
        self.by_sender.iter().flat_map(|(sender, txs)| {
            txs.iter().map(|(nonce, pooled)| (*sender, *nonce, &pooled.tx))
        })
    }

    /// The executable transactions in the order a block takes them: highest tip first, nonces in order.
    pub(crate) fn candidates<'a>(&'a self, view: &View<'_>, base_fee: u64) -> Candidates<'a> {
        let mut candidates = Candidates { pool: self, base_fee, heap: BinaryHeap::new() };
        for sender in self.by_sender.keys() {
            candidates.offer(*sender, view.nonce(*sender));
        }
        candidates
    }
}

/// Whether `new` raises both fees of `old` by the required tenth.
fn outbids(new: &Pooled, old: &Pooled) -> bool {
    let raised = |fee: u128| fee.saturating_mul(100 + PRICE_BUMP_PERCENT).div_ceil(100);
    new.fee() >= raised(old.fee()).max(old.fee() + 1) && new.tip_cap() >= raised(old.tip_cap())
}

/// Iterates over the transactions a block could take next.
#[derive(Debug)]
pub(crate) struct Candidates<'a> {
    pool: &'a Pool,
    base_fee: u64,
    /// Tip, earlier arrival, sender, nonce: one entry per sender.
    heap: BinaryHeap<(u128, Reverse<u64>, Address, u64)>,
}

impl<'a> Candidates<'a> {
    fn offer(&mut self, sender: Address, nonce: u64) {
        let pooled = self.pool.by_sender.get(&sender).and_then(|txs| txs.get(&nonce));
        if let Some(pooled) = pooled
            && let Some(tip) = pooled.tx.inner().effective_tip_per_gas(self.base_fee)
        {
            self.heap.push((tip, Reverse(pooled.arrival), sender, nonce));
        }
    }

    /// The best one. Its sender comes back only through [`Self::included`].
    pub(crate) fn next(&mut self) -> Option<&'a Arc<SignedTx>> {
        let (.., sender, nonce) = self.heap.pop()?;
        self.pool.by_sender.get(&sender)?.get(&nonce).map(|pooled| &pooled.tx)
    }

    /// Offers the sender's next transaction, now that this one is in the block.
    pub(crate) fn included(&mut self, tx: &SignedTx) {
        self.offer(tx.signer(), tx.inner().nonce() + 1);
    }
}
