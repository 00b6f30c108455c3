//! What both parties do by consent: this crate's digests are the vault's, and the protocol's rules are the vault's.

use alloy_primitives::{B256, Bytes};
use chain::{
    calls::{Call, ExitOrder, SessionSignatures, Status},
    consent::{Parties, close_digest, exit_digest, withdraw_digest},
    events::{self, Event},
    provider::{At, Receipt},
    sender::SendError,
};
use protocol::{
    ids::{Amount, ChannelId, EscrowVersion, Nonce},
    vipe::{Channel, Closing, Ledger, Payout, Withdrawal},
};
use rand::{Rng as _, SeedableRng as _, rngs::StdRng};

use crate::world::{PROOF, World, amount, state};

fn paid(participant: u128, vip: u128) -> Payout {
    Payout { participant: amount(participant), vip: amount(vip) }
}

fn version(value: u64) -> EscrowVersion {
    EscrowVersion::try_from(value).unwrap()
}

fn nonce(value: u64) -> Nonce {
    Nonce::try_from(value).unwrap()
}

impl World {
    fn parties(&self, channel: ChannelId) -> Parties {
        let (participant, counterparty) =
            (self.participant.account.address(), self.hub.account.address());
        Parties { channel, participant, counterparty }
    }

    fn both(&self, digest: &B256) -> (Bytes, Bytes) {
        let sign = |sender: &chain::sender::Sender| sender.account.sign_digest(digest).unwrap();
        (sign(&self.participant), sign(&self.hub))
    }

    fn withdraw_call(&self, channel: ChannelId, seq: u64, withdrawal: &Withdrawal) -> Call {
        let digest = withdraw_digest(&self.domain(), &self.parties(channel), seq, withdrawal);
        self.vipe.withdraw(channel, withdrawal, self.both(&digest))
    }

    fn close_call(&self, channel: ChannelId, seq: u64, closing: &Closing) -> Call {
        let digest = close_digest(&self.domain(), &self.parties(channel), seq, closing);
        self.vipe.close(channel, closing, self.both(&digest))
    }

    async fn events_of(&self, receipt: &Receipt) -> Vec<Event> {
        let logs = self.rpc.logs_of_block(self.vipe.address, receipt.block.hash).await.unwrap();
        logs.iter().map(|log| events::decode(self.vipe.address, log).unwrap().event).collect()
    }

    async fn status(&self, channel: ChannelId) -> Status {
        self.vipe.channel(&self.rpc, channel, At::Latest).await.unwrap().status
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_withdrawal_and_a_close_that_both_signed_are_executed() {
    let world = World::start().await;
    let channel = world.open(1).await;
    let withdrawal = Withdrawal {
        nonce: nonce(7),
        version: version(2),
        balance: amount(900),
        paid: paid(300, 50),
        deadline: u64::MAX,
    };
    let receipt = world.tower.send(&world.withdraw_call(channel, 0, &withdrawal)).await.unwrap();
    let events = world.events_of(&receipt).await;
    let Some(Event::Withdrawn(withdrawn)) = events.first() else { panic!("{events:?}") };
    assert_eq!((withdrawn.nonce, withdrawn.to_vip, withdrawn.seq), (nonce(7), amount(50), 0));
    let Some(Event::LedgerAppended(appended)) = events.get(1) else { panic!("{events:?}") };
    assert_eq!((appended.version, appended.participant, appended.vip), (version(3), 700, 450));
    let view = world.vipe.channel(&world.rpc, channel, At::Latest).await.unwrap();
    assert_eq!((view.seq, view.checkpoint.nonce), (1, nonce(7)));

    let closing = Closing { epoch: 0, paid: paid(600, 550), deadline: u64::MAX };
    let receipt = world.tower.send(&world.close_call(channel, 1, &closing)).await.unwrap();
    let events = world.events_of(&receipt).await;
    assert!(
        matches!(events.first(), Some(Event::Closed { seq: 1, to_vip, .. }) if *to_vip == amount(550)),
        "{events:?}"
    );
    assert_eq!(world.status(channel).await, Status::Settled);
    let account = world.participant.account.address();
    let credit = world.vipe.asset_credit(&world.rpc, account, world.token.address, At::Latest);
    assert_eq!(credit.await.unwrap().to::<u128>(), 900);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dispute_opened_for_a_party_is_ended_by_an_announced_close() {
    let world = World::start().await;
    let channel = world.open(1).await;
    let (party, sponsor) = (world.hub.account.address(), world.tower.account.address());
    let mut order = ExitOrder {
        party,
        cap: amount(400),
        payer: Some(sponsor),
        deadline: u64::MAX,
        signature: Bytes::new(),
    };
    let stated = state(3, 1_000);
    order.signature = world
        .hub
        .account
        .sign_digest(&exit_digest(&world.domain(), channel, stated.nonce, &order))
        .unwrap();
    let fee = world.vipe.opening_fee(&world.rpc).await.unwrap();
    let bond = world.vipe.bond(&world.rpc, channel, amount(400)).await.unwrap();
    let value = bond + fee * alloy_primitives::U256::from(4);
    let signatures: SessionSignatures = world.sign(channel, stated);
    let call = world.vipe.dispute_for(
        channel,
        stated,
        (&order, value),
        world.dispute_key(1),
        (&signatures, PROOF),
    );
    let error = world.deployer.send(&call).await.unwrap_err();
    assert!(matches!(&error, SendError::Refused(r) if r.text.contains("NotThePayer")), "{error}");
    let receipt = world.tower.send(&call).await.unwrap();
    let events = world.events_of(&receipt).await;
    assert!(
        matches!(events.first(), Some(Event::DisputeOpened(opened)) if opened.disputer == party && opened.claim == amount(400)),
        "{events:?}"
    );
    assert!(
        matches!(events.get(1), Some(Event::Sponsored { payer, .. }) if *payer == sponsor),
        "{events:?}"
    );

    let closing = Closing { epoch: 1, paid: paid(1_100, 400), deadline: u64::MAX };
    let receipt = world.deployer.send(&world.close_call(channel, 0, &closing)).await.unwrap();
    let events = world.events_of(&receipt).await;
    let Some(Event::CloseAnnounced(announced)) = events.first() else { panic!("{events:?}") };
    assert_eq!((announced.epoch, announced.to_participant), (1, amount(1_100)));
    let dispute = world.vipe.dispute_of(&world.rpc, channel, At::Latest).await.unwrap();
    assert_eq!(dispute.agreed_to_participant, Some(amount(1_100)));
    assert_eq!((dispute.deadline, dispute.payer), (announced.deadline, sponsor));
    // more than the extension: with a block for each transaction the chain is ahead of its clock
    world.pass(600).await;
    world.mine(1).await;
    let receipt = world.deployer.send(&world.vipe.settle_many(&[channel, channel])).await.unwrap();
    let events = world.events_of(&receipt).await;
    assert!(
        matches!(events.first(), Some(Event::Settled(settled)) if settled.to_vip == amount(400) && settled.slash == Amount::ZERO),
        "{events:?}"
    );
}

/// Money in and out of one channel in random order, good and bad: the protocol's rules and the vault agree on each step,
/// on every sum, and on what every state so far would pay.
#[tokio::test(flavor = "multi_thread")]
async fn the_protocols_ledger_is_the_vaults_through_a_random_life() {
    let world = World::start().await;
    let channel = world.open(1).await;
    let mut ledger = Ledger::new();
    ledger.deposit(amount(1_000)).unwrap();
    ledger.allocate(amount(500)).unwrap();
    let mut model = Channel::new(ledger);
    let mut states = vec![(EscrowVersion::ZERO, Amount::ZERO)];
    let mut random = StdRng::seed_from_u64(0x5652_4335);
    let (mut accepted, mut refused) = (0, 0);
    for _ in 0..80 {
        let size = amount(random.gen_range(1..200));
        match random.gen_range(0..4) {
            0 => {
                let call = world.vipe.deposit(channel, size);
                world.participant.send(&call).await.unwrap();
                model.ledger_mut().deposit(size).unwrap();
            }
            1 => {
                world.hub.send(&world.vip.allocate(channel, size)).await.unwrap();
                model.ledger_mut().allocate(size).unwrap();
            }
            _ => {
                let withdrawal = any_withdrawal(&mut random, &model);
                let seq = if random.gen_bool(0.1) { model.seq() + 1 } else { model.seq() };
                let sent = world.tower.send(&world.withdraw_call(channel, seq, &withdrawal)).await;
                let ours = model.withdraw(seq, &withdrawal, 0);
                assert_eq!(sent.is_ok(), ours.is_ok(), "{withdrawal:?}: {sent:?}, {ours:?}");
                if ours.is_ok() {
                    accepted += 1;
                    states.push((withdrawal.version, withdrawal.balance));
                } else {
                    refused += 1;
                }
            }
        }
        agree(&world, channel, &model, &states).await;
    }
    assert!(accepted > 10 && refused > 5, "{accepted} accepted, {refused} refused");
    let escrow = model.ledger().newest().escrow().get();
    let closing =
        Closing { epoch: 0, paid: paid(escrow / 3, escrow - escrow / 3), deadline: 1 << 40 };
    world.tower.send(&world.close_call(channel, model.seq(), &closing)).await.unwrap();
    model.close(model.seq(), &closing, None, 0).unwrap();
    assert_eq!(world.status(channel).await, Status::Settled);
}

/// Mostly possible, sometimes not: an old nonce, an unknown version, more than there is.
fn any_withdrawal(random: &mut StdRng, model: &Channel) -> Withdrawal {
    let newest = model.ledger().last().get();
    let unknown = u64::from(random.gen_bool(0.05));
    let named = version(random.gen_range(newest.saturating_sub(3)..=newest + unknown));
    let escrow = model.ledger().newest().escrow().get();
    let balance = amount(random.gen_range(0..=escrow + 1));
    let due = model.ledger().unclamped(named, balance).unwrap_or(0);
    let due = u128::try_from(due).unwrap_or(0).min(escrow);
    let at = (model.checkpoint().nonce.get() + random.gen_range(0..9)).saturating_sub(1);
    Withdrawal {
        nonce: nonce(at),
        version: named,
        balance,
        paid: paid(random.gen_range(0..=due / 3 + 1), random.gen_range(0..=(escrow - due) / 3 + 1)),
        deadline: u64::MAX,
    }
}

async fn agree(
    world: &World,
    channel: ChannelId,
    model: &Channel,
    states: &[(EscrowVersion, Amount)],
) {
    let view = world.vipe.channel(&world.rpc, channel, At::Latest).await.unwrap();
    let (ledger, checkpoint) = (model.ledger(), model.checkpoint());
    assert_eq!((view.version, view.seq), (ledger.last(), model.seq()));
    assert_eq!(
        (view.checkpoint.nonce, view.checkpoint.version, view.checkpoint.balance),
        (checkpoint.nonce, checkpoint.version, checkpoint.balance)
    );
    let sums = world.vipe.ledger(&world.rpc, channel, ledger.last(), At::Latest).await.unwrap();
    assert_eq!(sums, (ledger.newest().p(), ledger.newest().h()));
    for named in states {
        let ours = ledger.payout(named.0, named.1).unwrap();
        let theirs = world.vipe.payout(&world.rpc, channel, *named, At::Latest).await.unwrap();
        assert_eq!(theirs, (ours.participant, ours.vip));
    }
}
