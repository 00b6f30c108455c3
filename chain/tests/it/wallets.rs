//! Consents of contracts (ERC-1271) and of keys: what this crate finds is what the vault finds, and a silent node is no verdict.

use std::time::Duration;

use alloy_primitives::{Address, B256, Bytes, Signature, U256, bytes};
use chain::{
    account::Account,
    calls::Call,
    consent::{Parties, withdraw_digest},
    provider::{At, CallRequest, Endpoint, Receipt, Rpc},
    wallet::Question,
};
use protocol::{
    ids::{ChannelId, EscrowVersion, Nonce},
    vipe::{Payout, Withdrawal},
};

use crate::{
    proxy::{Fault, FaultProxy},
    world::{World, amount},
};

/// Each is a runtime behind nine bytes that create it. This one answers `isValidSignature` with the magic word for the digest in
/// its slot 0 and with zero for others, keeps the word behind a first word of zero in that slot, and hands everything else
/// behind its first word to the account that this names.
const WALLET: Bytes = bytes!(
    "60568060095f395ff35f3560e01c631626ba7e146039575f3515603257602036038060205f375f5f825f5f5f355af16030573d5f5f3e3d5ffd5b005b6020355f55005b6004355f541460475760205ff35b631626ba7e60e01b5f5260205ff3"
);
/// Reverts.
const REVERTS: Bytes = bytes!("60038060095f395ff35f5ffd");
/// Burns all its gas.
const BURNS: Bytes = bytes!("60018060095f395ff3fe");
/// The magic word and another word.
const LONG: Bytes = bytes!("600e8060095f395ff3631626ba7e60e01b5f5260405ff3");
/// The four bytes alone.
const SHORT: Bytes = bytes!("600e8060095f395ff3631626ba7e60e01b5f5260045ff3");
/// The magic word, if the digest is who asks.
const WHO_ASKS: Bytes =
    bytes!("601b8060095f395ff36004353314600c5760205ff35b631626ba7e60e01b5f5260205ff3");

/// The participant of a channel is a contract.
struct Story {
    world: World,
    wallet: Address,
    channel: ChannelId,
}

impl Story {
    async fn start() -> Self {
        let world = World::start().await;
        let (wallet, _) = world.tower.create(WALLET).await.unwrap();
        let much = U256::from(1_000_000);
        world.deployer.send(&world.token.mint(wallet, much)).await.unwrap();
        relay(&world, wallet, &world.token.approve(world.vipe.address, much)).await;
        let receipt = relay(&world, wallet, &world.open_call(1)).await;
        let channel = world.accept(&receipt).await;
        Self { world, wallet, channel }
    }

    /// The wallet stands behind this digest from now on, and behind no other.
    async fn approve(&self, digest: B256) {
        let data = [B256::ZERO.as_slice(), digest.as_slice()].concat().into();
        let call = Call { to: self.wallet, data, value: U256::ZERO };
        self.world.tower.send(&call).await.unwrap();
    }

    fn withdrawal(&self) -> (Withdrawal, B256) {
        let paid = Payout { participant: amount(300), vip: amount(0) };
        let terms = Withdrawal {
            nonce: Nonce::try_from(7).unwrap(),
            version: EscrowVersion::try_from(2).unwrap(),
            balance: amount(900),
            paid,
            deadline: u64::MAX,
        };
        let (participant, counterparty) = (self.wallet, self.world.hub.account.address());
        let parties = Parties { channel: self.channel, participant, counterparty };
        (terms, withdraw_digest(&self.world.domain(), &parties, 0, &terms))
    }

    /// Whether the vault takes both signatures.
    async fn vault_takes(&self, signatures: (Bytes, Bytes)) -> bool {
        let call = self.world.vipe.withdraw(self.channel, &self.withdrawal().0, signatures);
        let (from, to) = (self.world.tower.account.address(), Some(call.to));
        let request = CallRequest { from, to, data: call.data, value: U256::ZERO, gas: None };
        self.world.rpc.call(&request, At::Latest).await.is_ok()
    }

    /// What this crate finds of one side, which must be what the vault finds when the other one has signed.
    async fn stands(&self, of_hub: bool, signature: &Bytes, good: &Bytes) -> bool {
        let account = if of_hub { self.world.hub.account.address() } else { self.wallet };
        let (_, digest) = self.withdrawal();
        let question = Question { account, digest, signature: signature.clone() };
        let found = question.stands(&self.world.rpc, self.world.vipe.address).await.unwrap();
        let both = match of_hub {
            true => (good.clone(), signature.clone()),
            false => (signature.clone(), good.clone()),
        };
        assert_eq!(self.vault_takes(both).await, found, "{question:?}");
        found
    }
}

/// The wallet sends a call.
async fn relay(world: &World, wallet: Address, call: &Call) -> Receipt {
    let data = [call.to.into_word().as_slice(), &call.data].concat().into();
    world.tower.send(&Call { to: wallet, data, value: U256::ZERO }).await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_stands_behind_a_consent_here_stands_behind_it_in_the_vault() {
    let story = Story::start().await;
    let (terms, digest) = story.withdrawal();
    let hub = story.world.hub.account.sign_digest(&digest).unwrap();
    let (none, long) = (Bytes::new(), Bytes::from(vec![3; 300]));
    assert!(!story.stands(false, &none, &hub).await, "not yet");
    story.approve(B256::repeat_byte(9)).await;
    assert!(!story.stands(false, &none, &hub).await, "another digest");
    story.approve(digest).await;
    for signature in [&none, &long, &hub] {
        assert!(story.stands(false, signature, &hub).await, "whatever it takes for a signature");
    }
    assert!(story.stands(true, &hub, &none).await);
    let raw = Signature::from_raw(&hub).unwrap();
    let order = U256::from_be_slice(&alloy_primitives::hex!(
        "fffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364141"
    ));
    let high = Signature::new(raw.r(), order - raw.s(), !raw.v()).as_bytes();
    let other = Account::from_bytes(&[7; 32]).unwrap().sign_digest(&digest).unwrap();
    let mut small_v = hub.to_vec();
    small_v[64] -= 27;
    for (what, signature) in [
        ("the high s", high.to_vec()),
        ("v from zero on", small_v),
        ("64 bytes", hub[..64].to_vec()),
        ("66 bytes", [hub.as_ref(), &[0]].concat()),
        ("nothing", Vec::new()),
        ("another key", other.to_vec()),
    ] {
        assert!(!story.stands(true, &signature.into(), &none).await, "{what}");
    }
    // It may be revoked at any time before it is executed; what was executed stays so.
    story.approve(B256::ZERO).await;
    assert!(!story.stands(false, &none, &hub).await, "revoked");
    story.approve(digest).await;
    let call = story.world.vipe.withdraw(story.channel, &terms, (long, hub));
    story.world.tower.send(&call).await.unwrap();
    let account = story.wallet;
    let (rpc, asset) = (&story.world.rpc, story.world.token.address);
    let credit = story.world.vipe.asset_credit(rpc, account, asset, At::Latest).await.unwrap();
    assert_eq!(credit, U256::from(300));
}

#[tokio::test(flavor = "multi_thread")]
async fn odd_contracts_stand_behind_nothing_and_are_asked_as_the_vault_asks() {
    let world = World::start().await;
    let vault = world.vipe.address;
    let digest = vault.into_word();
    for (code, stands) in
        [(REVERTS, false), (BURNS, false), (LONG, false), (SHORT, false), (WHO_ASKS, true)]
    {
        let (account, _) = world.tower.create(code.clone()).await.unwrap();
        let question = Question { account, digest, signature: Bytes::new() };
        // One that burns its gas may show as the node's trouble: then it is asked again.
        let found = question.stands(&world.rpc, vault).await;
        assert_eq!(found.as_ref().is_ok_and(|stands| *stands), stands, "{code}: {found:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn nodes_that_differ_or_say_nothing_are_no_verdict() {
    let story = Story::start().await;
    let (_, digest) = story.withdrawal();
    story.approve(digest).await;
    let vault = story.world.vipe.address;
    let question = Question { account: story.wallet, digest, signature: Bytes::new() };
    let proxy = FaultProxy::start(&story.world.http, 1).await;
    let request_timeout = Duration::from_millis(500);
    let of = |url: &str| Endpoint { request_timeout, ..Endpoint::new(url) };
    let both = [of(&story.world.http), of(&proxy.url)];
    let rpc = Rpc::connect_all(&both, 2).unwrap();
    assert_eq!(question.stands(&rpc, vault).await, Ok(true), "both say so");
    for fault in [Fault::Refuses, Fault::ServerError, Fault::TimeOut] {
        proxy.always(fault);
        let found = question.stands(&rpc, vault).await;
        assert!(found.is_err(), "{fault:?}: {found:?}");
        let alone = Rpc::connect_all(&both[1..], 1).unwrap();
        if fault != Fault::Refuses {
            let found = question.stands(&alone, vault).await;
            assert!(found.is_err(), "{fault:?}: {found:?}");
        }
    }
    proxy.heal();
    let other = Question { digest: B256::repeat_byte(1), ..question };
    let alone = Rpc::connect_all(&both[1..], 1).unwrap();
    assert_eq!(other.stands(&alone, vault).await, Ok(false));
}
