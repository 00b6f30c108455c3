//! Accounts, storage and code: the newest state in full, and older states as differences.
//!
//! ```text
//!   World (newest)  <- Changes of block n+1 applied;   the inverse Changes are kept with block n+1
//!   state at n      =  World + inverse of n+1
//!   state at n-1    =  World + inverse of n+1 + inverse of n     (the older one wins)
//! ```
//!
//! One type, [`Changes`], is the effect of a transaction, the effect of a block, its inverse, and the difference to an
//! older state. A [`View`] is a world seen through changes, and is what the EVM reads and writes.
//!
//! **Invariant:** `world.apply(c)` returns the `Changes` that undo it exactly, root included.

use std::{
    collections::{BTreeMap, HashMap},
    convert::Infallible,
    sync::Arc,
};

use alloy_primitives::{Address, B256, U256};
use alloy_trie::{TrieAccount, root};
use revm::{
    Database,
    bytecode::Bytecode,
    primitives::{KECCAK_EMPTY, StorageKey, StorageValue},
    state::{AccountInfo, EvmState},
};

/// A set of new values for accounts and slots. `None` for an account means that it does not exist.
#[derive(Clone, Debug, Default)]
pub(crate) struct Changes {
    pub(crate) accounts: BTreeMap<Address, Option<AccountInfo>>,
    pub(crate) storage: BTreeMap<(Address, U256), U256>,
    pub(crate) codes: HashMap<B256, Bytecode>,
}

impl Changes {
    /// Lays `newer` over these changes.
    pub(crate) fn absorb(&mut self, newer: &Self) {
        self.accounts.extend(newer.accounts.iter().map(|(address, info)| (*address, info.clone())));
        self.storage.extend(newer.storage.iter().map(|(slot, value)| (*slot, *value)));
        self.codes.extend(newer.codes.iter().map(|(hash, code)| (*hash, code.clone())));
    }

    /// Sets an account, and remembers its code if it brings any.
    pub(crate) fn set_account(&mut self, address: Address, mut info: AccountInfo) {
        if let Some(code) = info.code.take()
            && info.code_hash != KECCAK_EMPTY
        {
            self.codes.insert(info.code_hash, code);
        }
        // EIP-161: an empty account does not exist.
        self.accounts.insert(address, (!info.is_empty()).then_some(info));
    }

    /// Adds what a transaction did.
    ///
    /// Since EIP-6780 an account is destroyed only by the transaction that created it, so no storage of older
    /// transactions ever has to be wiped.
    pub(crate) fn commit(&mut self, state: EvmState) {
        for (address, account) in state {
            if !account.is_touched() {
                continue;
            }
            if account.is_selfdestructed() {
                self.accounts.insert(address, None);
                continue;
            }
            for (slot, value) in account.changed_storage_slots() {
                self.storage.insert((address, *slot), value.present_value());
            }
            self.set_account(address, account.info);
        }
    }
}

#[derive(Clone, Debug, Default)]
struct Record {
    info: AccountInfo,
    storage: BTreeMap<U256, U256>,
    /// Known until a slot changes.
    storage_root: Option<B256>,
}

/// The newest state. Cloning is shallow: records are shared until one side writes.
#[derive(Clone, Debug, Default)]
pub(crate) struct World {
    records: HashMap<Address, Arc<Record>>,
    codes: HashMap<B256, Bytecode>,
    /// Known until anything changes.
    root: Option<B256>,
}

impl World {
    /// Makes the changes, and returns the ones that undo them.
    pub(crate) fn apply(&mut self, changes: Changes) -> Changes {
        let mut inverse = Changes::default();
        if !changes.accounts.is_empty() || !changes.storage.is_empty() {
            self.root = None;
        }
        self.codes.extend(changes.codes);
        for ((address, slot), value) in changes.storage {
            let record = Arc::make_mut(self.records.entry(address).or_default());
            let old = if value.is_zero() {
                record.storage.remove(&slot)
            } else {
                record.storage.insert(slot, value)
            };
            inverse.storage.insert((address, slot), old.unwrap_or_default());
            record.storage_root = None;
        }
        for (address, info) in changes.accounts {
            let old = match info {
                Some(mut info) => {
                    info.code = None;
                    let existed = self.records.get(&address).map(|record| record.info.clone());
                    Arc::make_mut(self.records.entry(address).or_default()).info = info;
                    existed.filter(|info| !info.is_empty())
                }
                None => self.records.remove(&address).and_then(|record| {
                    for (slot, value) in &record.storage {
                        inverse.storage.entry((address, *slot)).or_insert(*value);
                    }
                    (!record.info.is_empty()).then(|| record.info.clone())
                }),
            };
            inverse.accounts.insert(address, old);
        }
        inverse
    }

    /// The state root: a Merkle Patricia trie as on mainnet, rebuilt from the accounts when they changed.
    ///
    /// Cost grows with the state (about 1 us per account and per slot of a changed account).
    pub(crate) fn root(&mut self) -> B256 {
        if let Some(known) = self.root {
            return known;
        }
        let leaves: Vec<(Address, TrieAccount)> = self
            .records
            .iter_mut()
            .map(|(address, record)| {
                let storage_root = record.storage_root.unwrap_or_else(|| {
                    let slots =
                        record.storage.iter().map(|(slot, value)| (B256::from(*slot), *value));
                    let root = root::storage_root_unhashed(slots);
                    Arc::make_mut(record).storage_root = Some(root);
                    root
                });
                let info = &record.info;
                (*address, TrieAccount::new(info.nonce, info.balance, storage_root, info.code_hash))
            })
            .collect();
        let computed = root::state_root_unhashed(leaves);
        self.root = Some(computed);
        computed
    }
}

/// Answers `BLOCKHASH`.
pub(crate) trait BlockHashes {
    /// The hash of a block, if it is known.
    fn block_hash(&self, number: u64) -> Option<B256>;
}

/// A world seen through changes: what the EVM executes on.
#[derive(Clone)]
pub(crate) struct View<'a> {
    world: &'a World,
    hashes: &'a (dyn BlockHashes + Sync),
    pub(crate) changes: Changes,
}

impl<'a> View<'a> {
    pub(crate) fn new(
        world: &'a World,
        hashes: &'a (dyn BlockHashes + Sync),
        changes: Changes,
    ) -> Self {
        Self { world, hashes, changes }
    }

    /// An account without its code, if it exists.
    pub(crate) fn account(&self, address: Address) -> Option<AccountInfo> {
        match self.changes.accounts.get(&address) {
            Some(changed) => changed.clone(),
            None => self.world.records.get(&address).map(|record| record.info.clone()),
        }
    }

    /// Balance in wei.
    pub(crate) fn balance(&self, address: Address) -> U256 {
        self.account(address).map_or(U256::ZERO, |info| info.balance)
    }

    /// Next nonce.
    pub(crate) fn nonce(&self, address: Address) -> u64 {
        self.account(address).map_or(0, |info| info.nonce)
    }

    /// Code; empty if there is none.
    pub(crate) fn code(&self, address: Address) -> Bytecode {
        self.account(address).map_or_else(Bytecode::default, |info| self.code_of(info.code_hash))
    }

    /// A storage slot; zero if it was never written.
    pub(crate) fn slot(&self, address: Address, slot: U256) -> U256 {
        if let Some(value) = self.changes.storage.get(&(address, slot)) {
            return *value;
        }
        self.world
            .records
            .get(&address)
            .and_then(|record| record.storage.get(&slot))
            .copied()
            .unwrap_or_default()
    }

    /// Whether the account is one that may send: no code, or an EIP-7702 delegation (EIP-3607).
    pub(crate) fn may_send(&self, address: Address) -> bool {
        let code = self.code(address);
        code.is_empty() || code.is_eip7702()
    }

    fn code_of(&self, hash: B256) -> Bytecode {
        self.changes
            .codes
            .get(&hash)
            .or_else(|| self.world.codes.get(&hash))
            .cloned()
            .unwrap_or_default()
    }
}

impl Database for View<'_> {
    type Error = Infallible;

    fn basic(&mut self, address: Address) -> Result<Option<AccountInfo>, Infallible> {
        Ok(self.account(address))
    }

    fn code_by_hash(&mut self, code_hash: B256) -> Result<Bytecode, Infallible> {
        Ok(self.code_of(code_hash))
    }

    fn storage(&mut self, address: Address, index: StorageKey) -> Result<StorageValue, Infallible> {
        Ok(self.slot(address, index))
    }

    fn block_hash(&mut self, number: u64) -> Result<B256, Infallible> {
        Ok(self.hashes.block_hash(number).unwrap_or_default())
    }
}
