//! What the tests of the driver are about: keys, channels, states, a policy, and what a chain without contracts says.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use alloy_primitives::{Address, B256, U256};
use chain::account::Account;
use chain::cursor::{BlockId, Cursor};
use chain::events::{ChainEvent, ChannelOpened};
use chain::follower::{Batch, Tip};
use chain::provider::Header;
use protocol::backup::DisputeKey;
use protocol::seed::Seed;
use protocol::testing::{HEDGE, amount, nonce};
use protocol::vipe::{Ledger, Rate};
use protocol::vnode::view::Finalized;
use protocol::zksc::channel::{ChannelTerms, PartyTerms};
use protocol::zksc::{Channel, FinalState, PartialState, State};
use protocol::{ChannelId, EscrowVersion, Nonce, Role};
use tokio::sync::oneshot;

use crate::book::{Own, Standing};
use crate::driver::{Delivery, Site};
use crate::keys::Keys;
use crate::policy::{BackupPolicy, Policy};

/// What each side of every channel puts in.
pub(super) const SIDE: u128 = 1_000_000;

pub(super) const fn site(role: Role) -> Site {
    let vip = match role {
        Role::Counterparty => Some(Address::repeat_byte(4)),
        Role::Participant => None,
    };
    let (vipe, asset) = (Address::repeat_byte(2), Address::repeat_byte(3));
    Site { chain_id: 1, vipe, asset, vip, fee_floor: 7, fee_gas: 10 }
}

pub(super) fn keys(seed: u8, role: Role) -> Keys {
    let account = Account::from_bytes(&[seed; 32]).unwrap();
    Keys::new(account, &Seed::from_bytes([seed; 32]), role).unwrap()
}

pub(super) fn id(value: u64) -> ChannelId {
    ChannelId::try_from(value).unwrap()
}

/// A rate of the bond: one wei for each base unit.
pub(super) fn rate() -> Rate {
    Rate::try_from(1 << 64).unwrap()
}

/// The terms of channel `number` of a vault, between a participant and the hub.
pub(super) fn terms(
    site: &Site,
    (number, rate): (u64, Rate),
    participant: &Keys,
    hub: &Keys,
) -> ChannelTerms {
    let salt = B256::new(protocol::testing::derived(number, "salt").0);
    let theirs = *hub.signer.channel_key().public_key();
    let key = DisputeKey::derive(participant.signer.channel_key(), &theirs, &salt).unwrap();
    let ours = *participant.signer.channel_key().public_key();
    let digest = protocol::schnorr::keys_digest(&ours, &theirs).unwrap();
    let party = |keys: &Keys| PartyTerms {
        account: keys.account.address(),
        key: keys.signer.channel_key().public_key().to_integers(),
        session: keys.signer.session_address(),
    };
    ChannelTerms {
        chain_id: site.chain_id,
        vipe: site.vipe,
        channel_id: id(number),
        participant: party(participant),
        counterparty: party(hub),
        keys_digest: B256::new(digest.to_bytes()),
        asset: site.asset,
        rate,
        dispute_hash: key.hash(),
        salt,
    }
}

/// What the chain says when a channel of these terms is opened.
pub(super) fn opened(terms: &ChannelTerms, vip: Address) -> ChannelOpened {
    ChannelOpened {
        channel: terms.channel_id,
        participant: terms.participant.account,
        counterparty: terms.counterparty.account,
        vip,
        asset: terms.asset,
        participant_key: terms.participant.key,
        counterparty_key: terms.counterparty.key,
        keys_digest: terms.keys_digest,
        participant_session: terms.participant.session,
        counterparty_session: terms.counterparty.session,
        dispute_hash: terms.dispute_hash,
        salt: terms.salt,
        rate: U256::from(terms.rate.get()),
        deposit: amount(SIDE),
        accept_by: u64::MAX,
    }
}

/// The ledger of a channel into which both sides have put theirs.
pub(super) fn ledger() -> Ledger {
    let mut ledger = Ledger::new();
    ledger.deposit(amount(SIDE)).unwrap();
    ledger.allocate(amount(SIDE)).unwrap();
    ledger
}

/// The channel `number` between a participant and the hub, live, as the chain would show it.
pub(super) fn own(number: u64, participant: &Keys, hub: &Keys) -> Own {
    let site = site(Role::Counterparty);
    let terms = terms(&site, (number, rate()), participant, hub);
    Own {
        opened: opened(&terms, site.vip.unwrap()),
        channel: Channel::try_from(terms).unwrap(),
        standing: Standing::Live,
        ledger: ledger(),
        checkpoint: Nonce::ZERO,
        withdrawn: None,
        seq: 0,
        dispute: None,
        dispute_final: None,
        broken: false,
        settled: None,
        paid: None,
    }
}

/// A state of a channel that both have signed.
pub(super) fn signed(
    channel: &Channel,
    (alice, hub): (&Keys, &Keys),
    (at, version): (u64, u64),
    balance: u128,
) -> FinalState {
    let version = EscrowVersion::try_from(version).unwrap();
    let base = State::genesis(channel.domain(), channel.id());
    let state = State { nonce: nonce(at), version, balance: amount(balance), ..base };
    let partial = PartialState::sign(state, channel, &hub.signer, &HEDGE).unwrap();
    partial.sign_final(channel, &alice.signer, &HEDGE).unwrap()
}

/// How many blocks the test's chain has.
static HEIGHT: AtomicU64 = AtomicU64::new(1);

pub(super) fn policy() -> Policy {
    let backup = BackupPolicy { target: 0, ..BackupPolicy::default() };
    Policy { backup, view_age_max_ms: 600_000, head_off_max_s: 0, ..Policy::default() }
}

/// The next block of the test's chain, final, with these events.
pub(super) fn delivery(added: Vec<ChainEvent>) -> Delivery {
    let number = HEIGHT.fetch_add(1, Ordering::Relaxed);
    let block = BlockId { number, hash: B256::new(U256::from(number).to_be_bytes()) };
    let head = Header {
        id: block,
        parent: B256::ZERO,
        timestamp: number,
        base_fee: 1,
        gas_limit: 60_000_000,
    };
    let batch = Batch {
        from: number,
        to: number,
        removed: Vec::new(),
        added,
        timestamp: number,
        tip: Tip { head, finalized: Some(number) },
        cursor: Cursor::at(block),
    };
    let (durable, _told) = oneshot::channel();
    let finalized = Some((Finalized { number, hash: block.hash }, number));
    Delivery { batch: Box::new(batch), finalized, idle: None, durable }
}

/// Waits for something, for at most half a minute.
pub(super) async fn wait_for<F: Future<Output = bool>>(what: &str, mut done: impl FnMut() -> F) {
    for _ in 0..600 {
        if done().await {
            return;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("{what} did not happen");
}
