//! The submitter against a chain, a pool and a store that go wrong at random.

use std::collections::{BTreeMap, BTreeSet};

use alloy_primitives::{B256, Bytes, U256, keccak256};
use proptest::prelude::*;
use rand::{Rng as _, SeedableRng as _, rngs::StdRng};

use super::*;
use crate::{
    account::Transaction,
    calls::Call,
    cursor::BlockId,
    fees::{Fees, Market},
    provider::Header,
    submitter::message::SendAnswer,
};

const ACCOUNT: Address = Address::repeat_byte(0x11);
const CONTRACT: Address = Address::repeat_byte(0x22);
const GWEI: u128 = 1_000_000_000;
const GAS: u64 = 3_000_000;
const FINAL_DEPTH: usize = 4;
const BLOCK_S: u64 = 12;
const PATIENCE: Patience =
    Patience { calm_s: 600, replace_ms: 30_000, replace_urgent_ms: 12_000, resend_ms: 24_000 };

/// What a transaction is to the model: enough to know its hash and its effect.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Tx {
    nonce: u64,
    fees: Fees,
    gas_limit: u64,
    /// Which obligation it carries out; none for an empty transfer or a stranger's.
    does: Option<u8>,
    /// Set for a transaction that somebody else sends with the same key.
    stranger: u64,
}

impl Tx {
    fn read(transaction: &Transaction) -> Self {
        let does = transaction.data.first().copied();
        let (nonce, fees, gas_limit) = (transaction.nonce, transaction.fees, transaction.gas_limit);
        Self { nonce, fees, gas_limit, does, stranger: 0 }
    }

    fn hash(&self) -> B256 {
        keccak256(format!("{self:?}"))
    }
}

#[derive(Debug, Clone)]
struct Block {
    header: Header,
    mined: Vec<(Tx, Receipt)>,
    /// What somebody else did in this block.
    beaten: Option<u8>,
}

/// One chain with its pool.
struct World {
    random: StdRng,
    blocks: Vec<Block>,
    final_number: u64,
    pool: BTreeMap<u64, Tx>,
    now_ms: u64,
    base_fee: u128,
    salt: u64,
    /// Every block that was ever final, to see that none is taken back.
    persisted: BTreeMap<ObligationId, String>,
    known_hashes: BTreeSet<B256>,
    spent: BTreeMap<u8, U256>,
}

impl World {
    fn new(seed: u64) -> Self {
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
            spent: BTreeMap::new(),
        };
        world.mine(None);
        world
    }

    fn head(&self) -> Header {
        self.blocks.last().unwrap().header
    }

    fn mined(&self) -> impl Iterator<Item = &(Tx, Receipt)> {
        self.blocks.iter().flat_map(|block| &block.mined)
    }

    fn nonce(&self) -> u64 {
        self.mined().count() as u64
    }

    /// Whether obligation `what` is done, by whomever.
    fn done(&self, what: u8) -> bool {
        self.blocks.iter().any(|block| block.beaten == Some(what))
            || self.mined().any(|(tx, receipt)| tx.does == Some(what) && receipt.success)
    }

    fn mine(&mut self, beaten: Option<u8>) {
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
            let success = tx.does.is_none_or(|what| !self.done(what));
            let gas_used = if tx.does.is_some() { GAS } else { 21_000 };
            let gas_price = tx.fees.max_fee;
            let receipt =
                Receipt { hash: tx.hash(), block: id, success, gas_used, gas_price, created: None };
            self.blocks.last_mut().unwrap().mined.push((tx, receipt));
        }
        let final_now = self.blocks.len().saturating_sub(1 + FINAL_DEPTH) as u64;
        self.final_number = self.final_number.max(final_now);
    }

    /// Takes back blocks that are not final; some of their transactions return to the pool.
    fn reorganise(&mut self) {
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

    fn take(&mut self, tx: Tx) -> SendAnswer {
        if tx.nonce < self.nonce() {
            return SendAnswer::Failed;
        }
        match self.pool.get(&tx.nonce) {
            Some(other) if *other == tx => SendAnswer::Taken,
            Some(other) if tx.fees.max_fee * 10 < other.fees.max_fee * 11 => {
                SendAnswer::Underpriced
            }
            _ => {
                self.pool.insert(tx.nonce, tx);
                SendAnswer::Taken
            }
        }
    }

    fn view(&self) -> View {
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
            balance: U256::from(10).pow(U256::from(22)),
            market: Market {
                next_base_fee: self.base_fee,
                typical_tip: GWEI,
                urgent_tip: 2 * GWEI,
            },
        }
    }

    fn find(&self, hashes: &[B256]) -> Option<Receipt> {
        self.mined().map(|(_, receipt)| *receipt).find(|receipt| hashes.contains(&receipt.hash))
    }

    /// One round of the submitter; false if it crashed in the middle.
    fn round(
        &mut self,
        core: &mut Core,
        trouble: bool,
        outcomes: &mut BTreeMap<ObligationId, Outcome>,
    ) -> bool {
        let mut todo = core.handle(Event::Round(self.view()));
        todo.reverse();
        for _ in 0..1_000 {
            let Some(effect) = todo.pop() else { return true };
            if trouble && self.random.gen_bool(0.01) {
                return false;
            }
            let silent = trouble && self.random.gen_bool(0.1);
            let event = match effect {
                Effect::Persist(record) => {
                    self.known_hashes.extend(record.attempts.iter().map(|attempt| attempt.hash));
                    let id = record.obligation.id;
                    self.persisted.insert(id, serde_json::to_string(&record).unwrap());
                    None
                }
                Effect::Report { id, report } => {
                    if let Report::Ended(outcome) = report {
                        assert!(
                            outcomes.insert(id, outcome).is_none() || core.obligation(id).is_none()
                        );
                    }
                    None
                }
                Effect::FindReceipt { id, hashes } if !silent => {
                    Some(Event::Found { id, receipt: self.find(&hashes) })
                }
                Effect::FindReceipt { .. } => None,
                Effect::Simulate { id, .. } if !silent => {
                    let what = core.obligation(id).unwrap().call.data.first().copied();
                    let simulation = match what {
                        Some(what) if self.done(what) => Simulation::Refused(beaten()),
                        Some(_) => Simulation::Fits { gas: Some(GAS) },
                        None => Simulation::Fits { gas: Some(21_000) },
                    };
                    Some(Event::Simulated { id, simulation })
                }
                Effect::Simulate { id, .. } => {
                    Some(Event::Simulated { id, simulation: Simulation::Unknown })
                }
                Effect::Sign { id, transaction } => {
                    Some(Event::Signed { id, hash: Tx::read(&transaction).hash() })
                }
                Effect::Send { id, transaction } => {
                    let tx = Tx::read(&transaction);
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

    fn restart(&self) -> Core {
        let mut core = Core::new(ACCOUNT, PATIENCE);
        for record in self.persisted.values() {
            core.add(serde_json::from_str(record).unwrap());
        }
        core
    }

    fn trouble(&mut self, obligations: u8) {
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
            23 => self.base_fee = self.random.gen_range(1..60) * GWEI,
            24 => {
                // Somebody else uses the key.
                self.salt += 1;
                let fees = Fees { max_fee: 500 * GWEI, priority_fee: GWEI };
                let nonce = self.nonce();
                self.pool.insert(
                    nonce,
                    Tx { nonce, fees, gas_limit: 21_000, does: None, stranger: self.salt },
                );
            }
            _ => {}
        }
        self.now_ms += BLOCK_S * 500;
    }
}

fn beaten() -> Refusal {
    Refusal { kind: RefusalKind::Beaten, text: "done".to_owned(), data: Bytes::new() }
}

fn obligation(what: u8, repeat_safe: bool) -> Obligation {
    Obligation {
        id: ObligationId(keccak256([what])),
        call: Call { to: CONTRACT, data: Bytes::from(vec![what]), value: U256::ZERO },
        not_before: None,
        deadline: None,
        gas_hint: None,
        max_cost: U256::from(GAS) * U256::from(400 * GWEI),
        repeat_safe,
    }
}

/// Some obligations through random trouble, then through calm until all have ended.
fn run(seed: u64) {
    let mut world = World::new(seed);
    let obligations = world.random.gen_range(1..5);
    for what in 0..obligations {
        let record = Record::new(obligation(what, world.random.gen_bool(0.5)));
        let text = serde_json::to_string(&record).unwrap();
        world.persisted.insert(record.obligation.id, text);
    }
    let mut core = world.restart();
    let mut outcomes = BTreeMap::new();
    for look in 0..600 {
        let trouble = look < 300;
        if trouble {
            world.trouble(obligations);
        } else {
            world.base_fee = 5 * GWEI;
            world.mine(None);
            world.now_ms += BLOCK_S * 1_000;
        }
        if !world.round(&mut core, trouble, &mut outcomes) {
            core = world.restart();
        }
    }
    assert_eq!(core.len(), 0, "seed {seed}: {:?}", core.records().collect::<Vec<_>>());
    for what in 0..obligations {
        let id = ObligationId(keccak256([what]));
        let stored: Record = serde_json::from_str(&world.persisted[&id]).unwrap();
        let ours =
            world.mined().filter(|(tx, receipt)| tx.does == Some(what) && receipt.success).count();
        match stored.outcome().unwrap() {
            Outcome::Finalized { receipt } => {
                assert_eq!(ours, 1, "seed {seed}");
                assert!(
                    world.find(&[receipt.hash]).is_some(),
                    "seed {seed}: final and not on the chain"
                );
            }
            Outcome::Refused { .. } => {
                assert_eq!(ours, 0, "seed {seed}: gave up what it had done itself");
                assert!(world.done(what), "seed {seed}: gave up what nobody did");
            }
            other => panic!("seed {seed}: {other:?}"),
        }
        let paid: U256 = world
            .mined()
            .filter(|(tx, _)| tx.does == Some(what))
            .map(|(_, receipt)| U256::from(receipt.gas_used) * U256::from(receipt.gas_price))
            .sum();
        assert!(paid <= stored.obligation.max_cost, "seed {seed}: paid more than it may cost");
        world.spent.insert(what, paid);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn an_obligation_is_never_lost_and_never_done_twice_whatever_happens(seed in any::<u64>()) {
        run(seed);
    }
}

/// Rounds without trouble, one block before each.
fn calm(world: &mut World, core: &mut Core, rounds: usize) -> BTreeMap<ObligationId, Outcome> {
    let mut outcomes = BTreeMap::new();
    for _ in 0..rounds {
        world.round(core, false, &mut outcomes);
        world.mine(None);
        world.now_ms += BLOCK_S * 1_000;
    }
    outcomes
}

fn core_with(obligation: Obligation) -> Core {
    let mut core = Core::new(ACCOUNT, PATIENCE);
    core.add(Record::new(obligation));
    core
}

#[test]
fn done_means_final_and_not_only_mined() {
    let mut world = World::new(1);
    let mut core = core_with(obligation(1, false));
    let early = calm(&mut world, &mut core, FINAL_DEPTH);
    assert_eq!(early.len(), 0);
    assert!(world.done(1), "mined at once");
    let later = calm(&mut world, &mut core, 3);
    assert!(matches!(later.values().next(), Some(Outcome::Finalized { .. })));
}

#[test]
fn an_unmined_transaction_is_outbid_by_an_eighth() {
    let mut world = World::new(1);
    let mut core = core_with(obligation(1, false));
    // A base fee that the first bid did not foresee.
    world.round(&mut core, false, &mut BTreeMap::new());
    let first = world.pool[&0].fees;
    world.base_fee = first.max_fee + 1;
    calm(&mut world, &mut core, 4);
    assert!(world.done(1));
    let mined = world.mined().next().unwrap().0.fees;
    assert!(mined.max_fee >= first.max_fee + first.max_fee / 8);
    assert!(mined.priority_fee >= first.priority_fee + first.priority_fee / 8);
}

#[test]
fn what_somebody_else_did_is_cancelled_and_ends_beaten_once_that_is_final() {
    let mut world = World::new(1);
    let mut core = core_with(obligation(1, true));
    world.round(&mut core, false, &mut BTreeMap::new());
    world.base_fee = 60 * GWEI;
    world.mine(Some(1));
    world.base_fee = 5 * GWEI;
    world.round(&mut core, false, &mut BTreeMap::new());
    assert_eq!(world.pool[&0].does, None, "the transaction is replaced by an empty transfer");
    let outcomes = calm(&mut world, &mut core, 8);
    assert!(outcomes.values().all(Outcome::is_beaten) && outcomes.len() == 1, "{outcomes:?}");
}

#[test]
fn a_passed_deadline_cancels_and_ends_expired() {
    let mut world = World::new(1);
    let deadline = world.head().timestamp + 3 * BLOCK_S;
    let mut core = core_with(Obligation { deadline: Some(deadline), ..obligation(1, true) });
    world.base_fee = 10_000 * GWEI;
    let outcomes = calm(&mut world, &mut core, 9);
    assert_eq!(outcomes.into_values().collect::<Vec<_>>(), [Outcome::Expired]);
    assert!(!world.done(1));
}

#[test]
fn nothing_is_sent_before_its_time() {
    let mut world = World::new(1);
    let start = world.head().timestamp + 3 * BLOCK_S;
    let mut core = core_with(Obligation { not_before: Some(start), ..obligation(1, true) });
    calm(&mut world, &mut core, 3);
    assert_eq!(world.nonce(), 0);
    calm(&mut world, &mut core, 3);
    assert!(world.done(1));
}

#[test]
fn an_account_without_money_is_reported_once_and_loses_nothing() {
    let mut world = World::new(1);
    let mut core = core_with(obligation(1, true));
    let poor = View { balance: U256::from(5), ..world.view() };
    let mut reports = 0;
    for _ in 0..5 {
        for effect in core.handle(Event::Round(poor)) {
            let Effect::Simulate { id, .. } = effect else { panic!("{effect:?}") };
            let fits = Event::Simulated { id, simulation: Simulation::Fits { gas: Some(GAS) } };
            for effect in core.handle(fits) {
                assert!(
                    matches!(effect, Effect::Report { report: Report::Unfunded { .. }, .. }),
                    "{effect:?}"
                );
                reports += 1;
            }
        }
    }
    assert_eq!(reports, 1);
    calm(&mut world, &mut core, 2);
    assert!(world.done(1), "goes on once there is money");
}

#[test]
fn fees_above_what_is_at_stake_are_waited_out() {
    let mut world = World::new(1);
    let mut core = core_with(Obligation {
        max_cost: U256::from(GAS) * U256::from(20 * GWEI),
        ..obligation(1, true)
    });
    world.base_fee = 30 * GWEI;
    calm(&mut world, &mut core, 5);
    assert!(!world.done(1) && world.pool.is_empty());
    world.base_fee = 8 * GWEI;
    calm(&mut world, &mut core, 2);
    assert!(world.done(1));
}
