//! The chain itself: state, blocks, pool and clock, changed by one writer at a time.
//!
//! ```text
//!   raw transaction -> decode -> pool -> mine: candidates -> EVM -> Changes -> World -> header -> Blocks -> Events
//!                                  ^                                                       |
//!                                  +---- transactions of removed blocks <--- unwind <------+
//! ```
//!
//! Everything here is synchronous and knows no socket. [`Node`] lives behind one lock: calls and queries share it,
//! mining and submitting take it alone.
//!
//! **Invariant:** the world is the state after the newest block, plus what control methods changed since then
//! (`manual_undo` undoes exactly that).

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
};

use alloy::eips::eip1559::BaseFeeParams;
use alloy_primitives::{Address, B256, Bytes, U256, keccak256};
use revm::{bytecode::Bytecode, context::CfgEnv, state::AccountInfo};
use tracing::{debug, info};

use super::{
    accounts::DevAccount,
    assemble::{self, Assembled},
    blocks::{Block, Blocks, SignedTx},
    clock::{self, Clock},
    config::{DevnetConfig, Mining},
    error::PoolError,
    events::{Event, Events},
    executor::{self, BlockContext},
    pool::{self, Pool, PoolBounds},
    state::{Changes, View, World},
};

mod history;

use history::Snapshot;

/// The pending block and the changes it would make.
#[derive(Clone, Debug)]
pub(crate) struct Pending {
    pub(crate) block: Arc<Block>,
    pub(crate) changes: Changes,
    pub(crate) context: BlockContext,
}

#[derive(Debug)]
struct CachedPending {
    revision: u64,
    timestamp: u64,
    pending: Arc<Pending>,
}

/// A chain.
#[derive(Debug)]
pub(crate) struct Node {
    pub(crate) config: DevnetConfig,
    pub(crate) rules: CfgEnv,
    pub(crate) accounts: Vec<DevAccount>,
    pub(crate) blocks: Blocks,
    pub(crate) pool: Pool,
    pub(crate) clock: Clock,
    pub(crate) events: Events,
    pub(crate) mining: Mining,
    world: World,
    manual_undo: Changes,
    next_base_fee: Option<u64>,
    /// The newest block that was ever final.
    finalized: u64,
    /// Replacement branches made so far; part of their headers, so that no block has its predecessor's hash.
    branch: u64,
    /// Counts every change, for the pending block's cache.
    revision: u64,
    pending: Mutex<Option<CachedPending>>,
    snapshots: BTreeMap<u64, Snapshot>,
    next_snapshot: u64,
}

impl Node {
    /// A chain with its genesis block: the dev accounts, funded.
    pub(crate) fn new(config: DevnetConfig, accounts: Vec<DevAccount>) -> Self {
        let mut world = World::default();
        let mut genesis = Changes::default();
        for account in &accounts {
            genesis.set_account(
                account.address,
                AccountInfo { balance: config.balance(), ..AccountInfo::default() },
            );
        }
        world.apply(genesis);
        let time = config.genesis_time.unwrap_or_else(clock::wall_seconds);
        let block = assemble::genesis(&config, time, world.root());
        Self {
            rules: executor::rules(&config),
            blocks: Blocks::new(block, config.state_history, config.block_history),
            events: Events::new(config.limits.event_backlog),
            clock: Clock::starting_at(time),
            mining: config.mining,
            next_base_fee: None,
            config,
            accounts,
            world,
            pool: Pool::default(),
            manual_undo: Changes::default(),
            finalized: 0,
            branch: 0,
            revision: 0,
            pending: Mutex::new(None),
            snapshots: BTreeMap::new(),
            next_snapshot: 1,
        }
    }

    /// The newest state.
    pub(crate) fn latest(&self) -> View<'_> {
        View::new(&self.world, &self.blocks, Changes::default())
    }

    /// The newest state with `changes` over it.
    pub(crate) fn with_changes(&self, changes: Changes) -> View<'_> {
        View::new(&self.world, &self.blocks, changes)
    }

    /// The state after block `number`; none if it is no longer known.
    pub(crate) fn at(&self, number: u64) -> Option<View<'_>> {
        if number == self.blocks.head().number() {
            return Some(self.latest());
        }
        let mut difference = self.manual_undo.clone();
        difference.absorb(&self.blocks.difference(number)?);
        Some(self.with_changes(difference))
    }

    /// What the transactions of a block on top of `parent` see.
    pub(crate) fn context_after(&self, parent: &Block, timestamp: u64) -> BlockContext {
        let number = parent.number() + 1;
        let seed =
            [parent.hash().as_slice(), &number.to_be_bytes(), &self.branch.to_be_bytes()].concat();
        BlockContext {
            number,
            timestamp,
            base_fee: self.next_base_fee(parent),
            gas_limit: self.config.gas_limit,
            prev_randao: keccak256(seed),
        }
    }

    /// Base fee of the block after `parent`, which must be the newest one.
    pub(crate) fn next_base_fee(&self, parent: &Block) -> u64 {
        self.next_base_fee.unwrap_or_else(|| {
            let header = parent.header.inner();
            BaseFeeParams::ethereum().next_block_base_fee(
                header.gas_used,
                header.gas_limit,
                parent.base_fee(),
            )
        })
    }

    /// Fixes the next block's base fee.
    pub(crate) fn set_next_base_fee(&mut self, base_fee: u64) {
        self.next_base_fee = Some(base_fee);
        self.touch();
    }

    /// The newest block that is final.
    pub(crate) fn finalized(&self) -> u64 {
        self.finalized
    }

    /// The newest block that counts as safe.
    pub(crate) fn safe(&self) -> u64 {
        self.blocks.head().number().saturating_sub(self.config.safe_depth).max(self.finalized)
    }

    /// Records a change that the pending block may show.
    pub(crate) fn touch(&mut self) {
        self.revision += 1;
    }

    /// Takes a raw transaction. In [`Mining::Instant`] mode it is mined at once if it can be.
    pub(crate) fn submit_raw(&mut self, raw: &[u8]) -> Result<B256, PoolError> {
        let tx = pool::decode(raw, self.config.chain_id)?;
        let hash = *tx.inner().tx_hash();
        self.submit(tx)?;
        if self.mining == Mining::Instant
            && self.pool.candidates(&self.latest(), self.upcoming_base_fee()).next().is_some()
        {
            self.mine();
        }
        Ok(hash)
    }

    fn upcoming_base_fee(&self) -> u64 {
        self.next_base_fee(self.blocks.head())
    }

    fn submit(&mut self, tx: SignedTx) -> Result<(), PoolError> {
        pool::check_form(&tx, &self.rules, self.config.gas_limit)?;
        let tx = Arc::new(tx);
        let bounds = PoolBounds {
            total: self.config.limits.pool,
            per_sender: self.config.limits.pool_per_sender,
        };
        let view = View::new(&self.world, &self.blocks, Changes::default());
        self.pool.insert(Arc::clone(&tx), &view, bounds)?;
        self.touch();
        self.events.publish(Event::Transaction(tx));
        Ok(())
    }

    /// Makes a block from the pool, on the clock's time.
    pub(crate) fn mine(&mut self) -> Arc<Block> {
        let timestamp = self.clock.next_timestamp(self.blocks.head().header.timestamp);
        let context = self.context_after(self.blocks.head(), timestamp);
        let assembled = assemble::from_pool(self.latest(), &self.rules, &context, &self.pool);
        self.seal(&context, assembled)
    }

    /// The block that would be made now. Its state root is zero: it is not known before the block is.
    pub(crate) fn pending(&self) -> Arc<Pending> {
        let head = self.blocks.head();
        let timestamp = self.clock.next_timestamp(head.header.timestamp);
        // A poisoned cache is still only a cache.
        let mut cache = self.pending.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(cached) = cache.as_ref()
            && cached.revision == self.revision
            && cached.timestamp == timestamp
        {
            return Arc::clone(&cached.pending);
        }
        let context = self.context_after(head, timestamp);
        let assembled = assemble::from_pool(self.latest(), &self.rules, &context, &self.pool);
        let changes = assembled.changes.clone();
        let block =
            Arc::new(assemble::seal(assembled, &context, head.hash(), B256::ZERO, self.branch));
        let pending = Arc::new(Pending { block, changes, context });
        *cache = Some(CachedPending {
            revision: self.revision,
            timestamp,
            pending: Arc::clone(&pending),
        });
        pending
    }

    fn seal(&mut self, context: &BlockContext, mut assembled: Assembled) -> Arc<Block> {
        let mut undo = self.world.apply(std::mem::take(&mut assembled.changes));
        // Back to the parent's state also means back before what control methods changed after it.
        undo.absorb(&std::mem::take(&mut self.manual_undo));
        let state_root = self.world.root();
        for (hash, refusal) in &assembled.refused {
            info!(%hash, %refusal, "transaction dropped from the pool: it cannot be executed");
            self.pool.remove(*hash);
        }
        let parent = self.blocks.head().hash();
        let block = Arc::new(assemble::seal(assembled, context, parent, state_root, self.branch));
        for tx in &block.transactions {
            self.pool.remove(*tx.inner().tx_hash());
        }
        self.blocks.push(Arc::clone(&block), undo);
        let view = View::new(&self.world, &self.blocks, Changes::default());
        self.pool.prune(&view);
        self.clock.block_made(context.timestamp);
        self.next_base_fee = None;
        self.finalized =
            self.finalized.max(block.number().saturating_sub(self.config.finality_depth));
        self.touch();
        debug!(number = block.number(), hash = %block.hash(), transactions = block.transactions.len(), "block");
        self.events.publish(Event::Block(Arc::clone(&block)));
        block
    }

    /// Changes an account by hand.
    pub(crate) fn edit_account(&mut self, address: Address, edit: impl FnOnce(&mut AccountInfo)) {
        let mut info = self.latest().account(address).unwrap_or_default();
        edit(&mut info);
        let mut changes = Changes::default();
        changes.set_account(address, info);
        self.apply_by_hand(changes);
    }

    /// Replaces an account's code by hand.
    pub(crate) fn set_code(&mut self, address: Address, code: Bytes) {
        let code = Bytecode::new_legacy(code);
        self.edit_account(address, |info| {
            info.code_hash = code.hash_slow();
            info.code = Some(code);
        });
    }

    /// Writes a slot by hand.
    pub(crate) fn set_slot(&mut self, address: Address, slot: U256, value: U256) {
        let mut changes = Changes::default();
        changes.storage.insert((address, slot), value);
        self.apply_by_hand(changes);
    }

    fn apply_by_hand(&mut self, changes: Changes) {
        let mut inverse = self.world.apply(changes);
        // The older inverse wins, since it leads further back.
        inverse.absorb(&self.manual_undo);
        self.manual_undo = inverse;
        self.touch();
    }
}
