//! Keeps the books of channels and ledgers: what a batch of the chain's events changes.
//!
//! Events are applied in order and taken back in reverse, so that after a reorganisation the books say what the chain
//! says. Nothing is written here: the changes go into the commit that moves the cursor.

use std::collections::BTreeMap;

use chain::events::{ChannelOpened, Event, LedgerAppended};
use protocol::vipe::{Ledger, Rate};
use protocol::zksc::Channel;
use protocol::zksc::channel::{ChannelTerms, PartyTerms};
use protocol::{Address, ChannelId, EscrowVersion};
use store::{Change, ChannelRow, ChannelStatus, LedgerRow, Store, StoreError};

/// The vault that the books are of.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Vault {
    /// The chain's id.
    pub(crate) chain_id: u64,
    /// Its address.
    pub(crate) vipe: Address,
}

/// The books while one batch is applied.
#[derive(Debug)]
pub(crate) struct Book<'a> {
    store: &'a Store,
    vault: Vault,
    channels: BTreeMap<ChannelId, Option<ChannelRow>>,
    ledgers: BTreeMap<ChannelId, Ledger>,
    changes: Vec<Change>,
}

impl<'a> Book<'a> {
    pub(crate) fn new(store: &'a Store, vault: Vault) -> Self {
        let (channels, ledgers) = (BTreeMap::new(), BTreeMap::new());
        Self { store, vault, channels, ledgers, changes: Vec::new() }
    }

    /// The channel as the events so far leave it; none for one that is unknown or ignored.
    pub(crate) fn channel(&mut self, id: ChannelId) -> Result<Option<&ChannelRow>, StoreError> {
        if !self.channels.contains_key(&id) {
            let row = self.store.channel(id)?;
            self.channels.insert(id, row);
        }
        Ok(self.channels.get(&id).and_then(Option::as_ref))
    }

    /// The channel's ledger as the events so far leave it.
    pub(crate) fn ledger(&mut self, id: ChannelId) -> Result<Ledger, StoreError> {
        if let Some(ledger) = self.ledgers.get(&id) {
            return Ok(ledger.clone());
        }
        let mut ledger = Ledger::new();
        for row in self.store.ledger(id)? {
            append(&mut ledger, &row)?;
        }
        self.ledgers.insert(id, ledger.clone());
        Ok(ledger)
    }

    /// Applies an event that is on the chain now.
    pub(crate) fn add(&mut self, block: u64, event: &Event) -> Result<(), StoreError> {
        match event {
            Event::ChannelOpened(opened) => self.open(block, opened),
            Event::Accepted { channel, .. } => self.set_status(*channel, ChannelStatus::Live)?,
            Event::Cancelled { channel } => self.set_status(*channel, ChannelStatus::Cancelled)?,
            Event::DisputeOpened(opened) => {
                self.set_status(opened.channel, ChannelStatus::Disputed)?;
            }
            Event::Settled(settled) => self.set_status(settled.channel, ChannelStatus::Settled)?,
            Event::Closed { channel, .. } => self.set_status(*channel, ChannelStatus::Settled)?,
            Event::LedgerAppended(appended) => self.append(appended)?,
            _ => {}
        }
        Ok(())
    }

    /// Takes back an event that is no longer on the chain.
    pub(crate) fn remove(&mut self, event: &Event) -> Result<(), StoreError> {
        match event {
            Event::ChannelOpened(opened) => {
                self.channels.insert(opened.channel, None);
                self.changes.push(Change::ForgetChannel(opened.channel));
            }
            Event::Accepted { channel, .. } | Event::Cancelled { channel } => {
                self.set_status(*channel, ChannelStatus::Open)?;
            }
            Event::DisputeOpened(opened) => {
                self.set_status(opened.channel, ChannelStatus::Live)?;
            }
            Event::Closed { channel, .. } => self.set_status(*channel, ChannelStatus::Live)?,
            Event::Settled(settled) => self.set_status(settled.channel, ChannelStatus::Disputed)?,
            Event::LedgerAppended(appended) => {
                let before = EscrowVersion::try_from(appended.version.get().saturating_sub(1))
                    .unwrap_or(EscrowVersion::ZERO);
                let mut ledger = self.ledger(appended.channel)?;
                ledger.rewind(before);
                self.ledgers.insert(appended.channel, ledger);
                self.changes.push(Change::ForgetLedger(appended.channel, appended.version));
            }
            _ => {}
        }
        Ok(())
    }

    /// The changes, for the commit.
    pub(crate) fn into_changes(self) -> Vec<Change> {
        self.changes
    }

    fn open(&mut self, block: u64, opened: &ChannelOpened) {
        let row = match channel_of(self.vault, opened) {
            Ok(channel) => {
                // Of every channel of the vault, and of all of its history at the first start: not for a person to read.
                tracing::debug!(channel = %opened.channel, asset = %opened.asset, deposit = %opened.deposit, "channel opened; waits for the counterparty");
                let status = ChannelStatus::Open;
                Some(ChannelRow {
                    channel,
                    status,
                    accept_by: opened.accept_by,
                    opened_block: block,
                })
            }
            Err(reason) => {
                tracing::warn!(channel = %opened.channel, %reason, "channel ignored: no state of it could be proven");
                None
            }
        };
        if let Some(row) = &row {
            self.changes.push(Change::Channel(Box::new(row.clone())));
        }
        self.channels.insert(opened.channel, row);
    }

    fn set_status(&mut self, id: ChannelId, status: ChannelStatus) -> Result<(), StoreError> {
        let Some(row) = self.channel(id)? else { return Ok(()) };
        let row = ChannelRow { status, ..row.clone() };
        tracing::debug!(channel = %id, ?status, "the channel stands otherwise");
        self.changes.push(Change::Channel(Box::new(row.clone())));
        self.channels.insert(id, Some(row));
        Ok(())
    }

    fn append(&mut self, appended: &LedgerAppended) -> Result<(), StoreError> {
        let row = LedgerRow {
            channel_id: appended.channel,
            version: appended.version,
            participant: appended.participant,
            vip: appended.vip,
        };
        let mut ledger = self.ledger(appended.channel)?;
        append(&mut ledger, &row)?;
        self.ledgers.insert(appended.channel, ledger);
        self.changes.push(Change::Ledger(row));
        Ok(())
    }
}

fn append(ledger: &mut Ledger, row: &LedgerRow) -> Result<(), StoreError> {
    ledger.append(row.version, row.participant, row.vip).map_err(|error| StoreError::Row {
        table: "ledgers-1",
        detail: format!("channel {}: {error}", row.channel_id),
    })
}

/// Why a channel is ignored.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Ignored {
    #[error(transparent)]
    Channel(#[from] protocol::zksc::ChannelError),
    #[error("the bond's rate is out of range")]
    Rate,
}

/// The channel that an opening makes.
pub(crate) fn channel_of(vault: Vault, opened: &ChannelOpened) -> Result<Channel, Ignored> {
    let terms = ChannelTerms {
        chain_id: vault.chain_id,
        vipe: vault.vipe,
        channel_id: opened.channel,
        participant: PartyTerms {
            account: opened.participant,
            key: opened.participant_key,
            session: opened.participant_session,
        },
        counterparty: PartyTerms {
            account: opened.counterparty,
            key: opened.counterparty_key,
            session: opened.counterparty_session,
        },
        keys_digest: opened.keys_digest,
        asset: opened.asset,
        rate: u128::try_from(opened.rate)
            .ok()
            .and_then(|rate| Rate::try_from(rate).ok())
            .ok_or(Ignored::Rate)?,
        dispute_hash: opened.dispute_hash,
        salt: opened.salt,
    };
    Ok(Channel::try_from(terms)?)
}
