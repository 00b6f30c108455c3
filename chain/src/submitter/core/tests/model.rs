//! One chain with its pool and a store, all of which go wrong at random.

mod says;

use std::collections::{BTreeMap, BTreeSet};

use alloy_primitives::{Address, B256, U256, keccak256};
use rand::{Rng as _, SeedableRng as _, rngs::StdRng};

use self::says::what;
use super::super::Core;
use crate::{
    account::Transaction,
    cursor::BlockId,
    fees::{Fees, Market},
    provider::{Header, Receipt},
    refusal::RefusalKind,
    submitter::{
        message::{
            Effect, Event, ForeignSpend, Patience, Report, Route, SendAnswer, Simulation, View,
        },
        record::{ObligationId, Outcome, Record},
    },
};

pub(super) const ACCOUNT: Address = Address::repeat_byte(0x11);
pub(super) const CONTRACT: Address = Address::repeat_byte(0x22);
pub(super) const GWEI: u128 = 1_000_000_000;
pub(super) const GAS: u64 = 3_000_000;
pub(super) const FINAL_DEPTH: usize = 4;
pub(super) const BLOCK_S: u64 = 12;
pub(super) const PATIENCE: Patience = Patience {
    calm_s: 600,
    replace_ms: 30_000,
    replace_urgent_ms: 12_000,
    resend_ms: 24_000,
    block_s: BLOCK_S,
    lead_s: 4,
    private_percent: 0,
};

/// What a transaction is to the model: enough to know its hash and its effect.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Tx {
    pub(super) nonce: u64,
    pub(super) fees: Fees,
    gas_limit: u64,
    /// Which obligation it carries out; none for an empty transfer or a stranger's.
    pub(super) does: Option<u8>,
    /// Set for a transaction that somebody else sends with the same key.
    stranger: u64,
}

impl Tx {
    pub(super) fn read(transaction: &Transaction) -> Self {
        let does = transaction.data.first().copied();
        let (nonce, fees, gas_limit) = (transaction.nonce, transaction.fees, transaction.gas_limit);
        Self { nonce, fees, gas_limit, does, stranger: 0 }
    }

    pub(super) fn hash(&self) -> B256 {
        keccak256(format!("{self:?}"))
    }
}

#[derive(Debug, Clone)]
pub(super) struct Block {
    header: Header,
    mined: Vec<(Tx, Receipt)>,
    /// What somebody else did in this block.
    beaten: Option<u8>,
}

/// One chain with its pool.
pub(super) struct World {
    pub(super) random: StdRng,
    blocks: Vec<Block>,
    final_number: u64,
    pub(super) pool: BTreeMap<u64, Tx>,
    pub(super) now_ms: u64,
    pub(super) base_fee: u128,
    salt: u64,
    /// What the store holds.
    pub(super) persisted: BTreeMap<ObligationId, String>,
    pub(super) known_hashes: BTreeSet<B256>,
    /// What the contract would do twice.
    pub(super) twice: BTreeSet<u8>,
    /// What the node says that the contract refuses, whatever the contract says.
    pub(super) lies: BTreeMap<u8, RefusalKind>,
    /// What the node says only of the newest block.
    pub(super) lies_about_now: BTreeSet<u8>,
    /// Whether it keeps no state of older blocks.
    pub(super) forgets: bool,
    /// Who pays for a transaction.
    pub(super) payers: BTreeMap<B256, ObligationId>,
    /// What was handed on, to whom.
    pub(super) sent: Vec<(Tx, Route)>,
    pub(super) foreign: Vec<ForeignSpend>,
    pub(super) balance: U256,
    /// The base fee that the node tells, where it is not the one that blocks have.
    pub(super) market_base: Option<u128>,
    /// How many more writes succeed before the machine stops.
    pub(super) writes: Option<usize>,
}

impl World {
    pub(super) fn new(seed: u64) -> Self {
        let mut world = Self {
            random: StdRng::seed_from_u64(seed),
            blocks: Vec::new(),
            final_number: 0,
            pool: BTreeMap::new(),
            now_ms: 1_000_000_000,
            base_fee: 10 * GWEI,
            salt: 0,
            persisted: BTreeMap::new(),
            known_hashes: BTreeSet::new(),
            twice: BTreeSet::new(),
            lies: BTreeMap::new(),
            lies_about_now: BTreeSet::new(),
            forgets: false,
            payers: BTreeMap::new(),
            sent: Vec::new(),
            foreign: Vec::new(),
            balance: U256::from(10).pow(U256::from(22)),
            market_base: None,
            writes: None,
        };
        world.mine(None);
        world
    }

    pub(super) fn head(&self) -> Header {
        self.blocks.last().unwrap().header
    }

    pub(super) fn mined(&self) -> impl Iterator<Item = &(Tx, Receipt)> {
        self.blocks.iter().flat_map(|block| &block.mined)
    }

    pub(super) fn nonce(&self) -> u64 {
        self.mined().count() as u64
    }

    /// Whether obligation `what` is done, by whomever.
    pub(super) fn done(&self, what: u8) -> bool {
        self.blocks.iter().any(|block| block.beaten == Some(what))
            || self.mined().any(|(tx, receipt)| tx.does == Some(what) && receipt.success)
    }

    pub(super) fn mine(&mut self, beaten: Option<u8>) {
        self.salt += 1;
        let number = self.blocks.len() as u64;
        let id = BlockId { number, hash: keccak256(self.salt.to_be_bytes()) };
        let parent = self.blocks.last().map_or(B256::ZERO, |block| block.header.id.hash);
        let timestamp = 1_000 + number * BLOCK_S;
        let header = Header { id, parent, timestamp, base_fee: self.base_fee, gas_limit: 1 };
        self.blocks.push(Block { header, mined: Vec::new(), beaten });
        loop {
            let nonce = self.nonce();
            let Some(tx) =
                self.pool.get(&nonce).filter(|tx| tx.fees.max_fee >= self.base_fee).cloned()
            else {
                break;
            };
            self.pool.remove(&nonce);
            let success = tx.does.is_none_or(|what| self.twice.contains(&what) || !self.done(what));
            let gas_used = if tx.does.is_some() { GAS } else { 21_000 };
            let gas_price = tx.fees.max_fee.min(self.base_fee + tx.fees.priority_fee);
            let receipt =
                Receipt { hash: tx.hash(), block: id, success, gas_used, gas_price, created: None };
            self.blocks.last_mut().unwrap().mined.push((tx, receipt));
        }
        let final_now = self.blocks.len().saturating_sub(1 + FINAL_DEPTH) as u64;
        self.final_number = self.final_number.max(final_now);
    }

    /// Takes back the newest block; its transactions return to the pool.
    pub(super) fn take_back(&mut self) {
        let block = self.blocks.pop().unwrap();
        self.pool.extend(block.mined.into_iter().map(|(tx, _)| (tx.nonce, tx)));
    }

    /// Whether a transaction of ours did obligation `what`.
    pub(super) fn find_done(&self, what: u8) -> bool {
        self.mined().any(|(tx, receipt)| tx.does == Some(what) && receipt.success)
    }

    /// Takes back blocks that are not final; some of their transactions return to the pool.
    pub(super) fn reorganise(&mut self) {
        let most = self.blocks.len() - 1 - usize::try_from(self.final_number).unwrap();
        let depth = self.random.gen_range(0..=most);
        for _ in 0..depth {
            let block = self.blocks.pop().unwrap();
            for (tx, _) in block.mined {
                if self.random.gen_bool(0.5) {
                    self.pool.insert(tx.nonce, tx);
                }
            }
        }
        for _ in 0..=depth {
            self.mine(None);
        }
    }

    pub(super) fn take(&mut self, tx: Tx) -> SendAnswer {
        if tx.nonce < self.nonce() {
            return SendAnswer::Failed;
        }
        match self.pool.get(&tx.nonce) {
            Some(other) if *other == tx => SendAnswer::Taken,
            Some(other) if !replaces(tx.fees, other.fees) => SendAnswer::Underpriced,
            _ => {
                self.pool.insert(tx.nonce, tx);
                SendAnswer::Taken
            }
        }
    }

    pub(super) fn view(&self) -> View {
        let finalized = self.blocks[usize::try_from(self.final_number).unwrap()].header;
        let final_nonce =
            self.mined().filter(|(_, receipt)| receipt.block.number <= self.final_number).count()
                as u64;
        View {
            now_ms: self.now_ms,
            head: self.head(),
            finalized: Some(finalized),
            nonce: self.nonce(),
            final_nonce: Some(final_nonce),
            pending_nonce: Some(
                (self.nonce()..).find(|nonce| !self.pool.contains_key(nonce)).unwrap(),
            ),
            balance: self.balance,
            market: Market {
                next_base_fee: self.market_base.unwrap_or(self.base_fee),
                typical_tip: GWEI,
                urgent_tip: 2 * GWEI,
            },
        }
    }

    pub(super) fn find(&self, hashes: &[B256]) -> Option<Receipt> {
        self.mined().map(|(_, receipt)| *receipt).find(|receipt| hashes.contains(&receipt.hash))
    }

    /// One round of the submitter; false if it crashed in the middle.
    pub(super) fn round(
        &mut self,
        core: &mut Core,
        trouble: bool,
        outcomes: &mut BTreeMap<ObligationId, Outcome>,
    ) -> bool {
        let mut todo = core.handle(Event::Round(Box::new(self.view())));
        todo.reverse();
        for _ in 0..1_000 {
            let Some(effect) = todo.pop() else { return true };
            if trouble && self.random.gen_bool(0.01) {
                return false;
            }
            let silent = trouble && self.random.gen_bool(0.1);
            let event = match effect {
                Effect::Persist(record) => {
                    self.persist(&record);
                    if self.is_the_last_write() {
                        return false;
                    }
                    None
                }
                Effect::Report { id, report } => {
                    if let Report::Ended(outcome) = report {
                        let first = outcomes.insert(id, outcome).is_none();
                        assert!(first || core.obligation(id).is_none());
                    }
                    None
                }
                Effect::Foreign(spend) => {
                    self.foreign.push(spend);
                    None
                }
                Effect::FindReceipts { id, hashes } if !silent => {
                    // The index of receipts may follow the newest block with a delay.
                    let behind = trouble && self.random.gen_bool(0.2);
                    let newest = self.head().id;
                    let known = |receipt: &&Receipt| {
                        hashes.contains(&receipt.hash) && (!behind || receipt.block != newest)
                    };
                    let receipts = self.mined().map(|(_, receipt)| receipt).filter(known).copied();
                    Some(Event::Found { id, receipts: receipts.collect() })
                }
                Effect::FindReceipts { .. } => None,
                Effect::Simulate { id, .. } if !silent => {
                    let behind = trouble && self.random.gen_bool(0.03);
                    let simulation = self.simulate(what(core, id), behind);
                    Some(Event::Simulated { id, simulation })
                }
                Effect::Simulate { id, .. } => {
                    Some(Event::Simulated { id, simulation: Simulation::Unknown })
                }
                Effect::SimulateFinal { id, block } => {
                    let simulation = self.simulate_final(what(core, id), block, silent);
                    Some(Event::SimulatedFinal { id, simulation })
                }
                Effect::Sign { id, transaction } => {
                    Some(Event::Signed { id, hash: Tx::read(&transaction).hash() })
                }
                Effect::Send { id, transaction, route } => {
                    let tx = Tx::read(&transaction);
                    self.sent.push((tx.clone(), route));
                    assert!(
                        self.known_hashes.contains(&tx.hash()),
                        "sent before it was stored: {tx:?}"
                    );
                    let answer = if silent { SendAnswer::Failed } else { self.take(tx) };
                    Some(Event::Sent { id, answer })
                }
            };
            if let Some(event) = event {
                let mut effects = core.handle(event);
                effects.reverse();
                todo.extend(effects);
            }
        }
        panic!("a round without end");
    }

    pub(super) fn persist(&mut self, record: &Record) {
        let id = record.obligation.id;
        for attempt in record.attempts.iter().chain(&record.past).chain(&record.pays_for) {
            self.known_hashes.insert(attempt.hash);
            self.payers.insert(attempt.hash, attempt.paid_by.unwrap_or(id));
        }
        self.persisted.insert(id, serde_json::to_string(&record).unwrap());
    }

    fn is_the_last_write(&mut self) -> bool {
        let left = self.writes;
        self.writes = left.and_then(|left| left.checked_sub(1));
        left == Some(0)
    }

    /// What was paid on the chain as it is, by who pays.
    pub(super) fn paid(&self, id: ObligationId) -> U256 {
        self.mined()
            .filter(|(tx, _)| self.payers.get(&tx.hash()) == Some(&id))
            .map(|(_, receipt)| U256::from(receipt.gas_used) * U256::from(receipt.gas_price))
            .sum()
    }

    pub(super) fn restart(&self) -> Core {
        let mut core = Core::new(ACCOUNT, PATIENCE);
        for record in self.persisted.values() {
            core.add(serde_json::from_str(record).unwrap());
        }
        core
    }

    /// Somebody else uses the key.
    pub(super) fn stranger(&mut self) {
        self.salt += 1;
        let fees = Fees { max_fee: 500 * GWEI, priority_fee: GWEI };
        let (nonce, stranger) = (self.nonce(), self.salt);
        self.pool.insert(nonce, Tx { nonce, fees, gas_limit: 21_000, does: None, stranger });
    }

    pub(super) fn trouble(&mut self, obligations: u8) {
        match self.random.gen_range(0..40) {
            0..20 => {
                let beaten =
                    self.random.gen_bool(0.02).then(|| self.random.gen_range(0..obligations));
                self.mine(beaten);
            }
            20..22 => self.reorganise(),
            22 => {
                let nonces: Vec<u64> = self.pool.keys().copied().collect();
                if let Some(nonce) = nonces.first() {
                    self.pool.remove(nonce);
                }
            }
            23 => {
                let top = if self.random.gen_bool(0.2) { 600 } else { 60 };
                self.base_fee = self.random.gen_range(1..top) * GWEI;
            }
            24 => {
                self.stranger();
            }
            _ => {}
        }
        self.now_ms += BLOCK_S * 500;
    }
}

/// What nodes ask of a replacement: a tenth more of both.
fn replaces(new: Fees, old: Fees) -> bool {
    new.max_fee * 10 >= old.max_fee * 11 && new.priority_fee * 10 >= old.priority_fee * 11
}
