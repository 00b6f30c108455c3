//! From the store's rows to running machines.
//!
//! The order is the machines' own: records, then what the chain said, then the towers' receipts as they come, and the view of
//! the chain last. Nothing is signed before that.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Instant;

use alloy_primitives::B256;
use gossip::Peer;
use protocol::backup::DisputeKey;
use protocol::payment::hub::Hub;
use protocol::payment::wallet::Wallet;
use protocol::vnode::coverage::Coverage;
use protocol::vnode::view::ChainView;
use protocol::{ChannelId, Role};
use store::{NodeTable, Store};

use super::{Driver, Parts, Turns, hubs, leave};
use crate::book::{Book, Standing};
use crate::error::NodeError;
use crate::invite::Invitation;
use crate::rows;
use crate::sender::Errand;
use crate::towers::Names;

/// Under which notes hubs stand.
pub(super) const HUB: &[u8] = b"hub/";

fn known_hubs(store: &Store) -> Result<BTreeMap<Peer, Invitation>, NodeError> {
    let mut hubs = BTreeMap::new();
    for (_, text) in rows::all::<String>(store, NodeTable::Notes, HUB)? {
        // A hub that cannot be read is asked for again with the next opening.
        if let Ok(invitation) = text.parse::<Invitation>()
            && let Some(peer) = invitation.place.peer()
        {
            hubs.insert(peer, invitation);
        }
    }
    Ok(hubs)
}

fn asked_for(store: &Store) -> Result<BTreeMap<B256, hubs::Asked>, NodeError> {
    let mut found = BTreeMap::new();
    for (key, asked) in rows::all(store, NodeTable::Notes, hubs::ASKED)? {
        let digest: Option<[u8; 32]> =
            key.get(hubs::ASKED.len()..).and_then(|key| key.try_into().ok());
        if let Some(digest) = digest {
            found.insert(B256::new(digest), asked);
        }
    }
    Ok(found)
}

impl Driver {
    /// Reads everything that is stored and makes the machines.
    pub(crate) fn load(parts: Parts) -> Result<Self, NodeError> {
        let store = &parts.store;
        let (waiting, channels) = rows::chain(store)?;
        let who = (parts.keys.account.address(), parts.role);
        let book = Book::new((parts.site.chain_id, parts.site.vipe), who, waiting, channels);
        let hub = match parts.role {
            Role::Counterparty => {
                Some(Hub::new(parts.policy.hub_config(), rows::hub_payments(store)?))
            }
            Role::Participant => None,
        };
        let errands = rows::all::<Errand>(store, NodeTable::Orders, b"errand/")?;
        let openings = rows::all(store, NodeTable::Orders, b"open/")?;
        let exits = rows::all::<leave::Stored>(store, NodeTable::Orders, b"exit/")?;
        let hubs = known_hubs(store)?;
        let coverage = Coverage::new(parts.policy.coverage(), parts.site.chain_id, parts.site.vipe);
        let view = ChainView::new(parts.policy.view_age_max_ms, parts.policy.head_off_max());
        let mut driver = Self {
            began: Instant::now(),
            book,
            hub,
            wallets: BTreeMap::new(),
            peers: BTreeMap::new(),
            dispute_keys: BTreeMap::new(),
            coverage,
            names: Names::default(),
            view,
            view_told: None,
            protected_told: BTreeMap::new(),
            protect_next: BTreeSet::new(),
            chain_s: 0,
            final_s: 0,
            caught_up: false,
            turns: Turns::new(),
            deferred: super::deferred::Deferred::default(),
            openings: openings
                .into_iter()
                .map(|(_, one): (_, super::open::Opening)| (one.dispute_hash, one))
                .collect(),
            asked: asked_for(store)?,
            offers: VecDeque::new(),
            asked_swept_ms: 0,
            idle: None,
            base_fee: None,
            strangers: super::strangers::Strangers::new(),
            welcomes: BTreeMap::new(),
            errands: errands.into_iter().map(|(_, one)| (one.name.clone(), one)).collect(),
            consents: BTreeMap::new(),
            holds: BTreeMap::new(),
            refusals: BTreeMap::new(),
            late: Vec::new(),
            exits: BTreeMap::new(),
            signing: super::signing::Signing::new(parts.sign.clone()),
            accepting_ms: 0,
            checks: super::checks::Checks::new(parts.check.clone()),
            ordered: BTreeMap::new(),
            restores: BTreeMap::new(),
            restored_reports: BTreeMap::new(),
            checked: BTreeSet::new(),
            flushed: false,
            hubs,
            fee: parts.policy.hub.fee,
            hello_ms: 0,
            figures: super::figures::Looks::default(),
            parts,
        };
        driver.load_exits(exits);
        driver.load_consents()?;
        driver.load_holds()?;
        Ok(driver)
    }

    /// Starts every channel's machine, and dials the hubs.
    pub(super) async fn begin(&mut self) -> Result<(), NodeError> {
        self.note_ended().await?;
        let live = |standing| !matches!(standing, Standing::Open | Standing::Cancelled);
        let channels: Vec<(ChannelId, bool)> =
            self.book.channels().iter().map(|(id, own)| (*id, live(own.standing))).collect();
        for (channel, has_lived) in channels {
            if has_lived {
                self.start_channel(channel).await?;
                self.heed_end(channel).await?;
            }
            self.reconcile(channel).await?;
        }
        for invitation in self.hubs.values() {
            if let Err(error) = self.parts.link.keep(invitation.place.clone()) {
                tracing::error!(%error, place = %invitation.place, "the hub is not dialled");
            }
        }
        self.look_at_errands().await?;
        if self.parts.role == Role::Counterparty {
            // Those that were open when this node was killed before it considered them.
            let open: Vec<ChannelId> = self
                .book
                .channels()
                .iter()
                .filter(|(id, own)| {
                    own.standing == Standing::Open
                        && !self.errands.contains_key(&hubs::accept_name(**id))
                })
                .map(|(id, _)| *id)
                .collect();
            for channel in open {
                self.consider(channel).await?;
            }
        }
        Ok(())
    }

    /// Makes a live channel's machine from its record.
    pub(super) async fn start_channel(&mut self, channel: ChannelId) -> Result<(), NodeError> {
        let Some(own) = self.book.get(channel) else { return Ok(()) };
        let (role, signer) = (self.parts.role, &self.parts.keys.signer);
        let known = own.channel;
        if !signer.is_of(&known) {
            return Err(NodeError::OtherSeed(channel));
        }
        let key = DisputeKey::of(&known, role, signer.channel_key())
            .map_err(|_other_key| NodeError::OtherSeed(channel))?;
        self.dispute_keys.insert(channel, key);
        self.find_hub(channel);
        if self.begin_restore(channel)? {
            // Nothing is signed, and no machine exists, until the restore is done.
            return Ok(());
        }
        self.make_machine(channel).await
    }

    /// The machine of a channel that needs no restore, from the record on disk or from none.
    pub(super) async fn make_machine(&mut self, channel: ChannelId) -> Result<(), NodeError> {
        let Some(own) = self.book.get(channel) else { return Ok(()) };
        let (known, ledger, now) = (own.channel, own.ledger.clone(), self.now());
        let signer = self.parts.keys.signer.clone();
        self.view_told = None;
        self.protected_told.remove(&channel);
        // A machine that is made anew has been told nothing.
        self.protect_next.insert(channel);
        if let Some(hub) = &mut self.hub {
            if hub.handshake(channel).is_some() {
                return Ok(());
            }
            let record = rows::hub_lane(&self.parts.store, &known)?;
            if let Some(limits) =
                self.parts.policy.payers.get(&known.party(Role::Participant).account)
            {
                hub.set_limits(channel, *limits);
            }
            let effects = hub.open_lane(&known, signer, ledger, record, now)?;
            self.carry_hub(effects).await
        } else {
            if self.wallets.contains_key(&channel) {
                return Ok(());
            }
            let record = rows::wallet_record(&self.parts.store, &known)?;
            let config = self.parts.policy.wallet(self.fee);
            let (mut wallet, effects) = Wallet::resume(known, signer, config, ledger, record, now)?;
            if let Some(welcome) = self.welcome_within_policy(channel) {
                wallet.set_hub(welcome.fee, welcome.max_update);
            }
            self.wallets.insert(channel, wallet);
            self.carry_wallet(channel, effects).await
        }
    }

    /// Participant: which peer its hub is, by the invitation that the channel was opened with.
    pub(super) fn find_hub(&mut self, channel: ChannelId) {
        let Some(own) = self.book.get(channel) else { return };
        if self.parts.role != Role::Participant {
            return;
        }
        let theirs = own.channel.party(Role::Counterparty);
        let found = self
            .hubs
            .iter()
            .find(|(_, hub)| hub.account == theirs.account && hub.key == theirs.channel_key);
        if let Some((peer, _)) = found {
            let peer = *peer;
            self.peers.insert(channel, peer);
            self.hello(channel, peer);
        }
    }
}
