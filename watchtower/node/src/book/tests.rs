use alloy_primitives::{B256, U256};
use chain::cursor::BlockId;
use chain::events::{
    ChainEvent, CloseAnnounced, DisputeOpened, Event, LedgerAppended, Overridden, OverrideKind,
    Settled,
};
use protocol::testing::{Pair, amount, nonce};
use protocol::{Amount, ChannelId, EscrowVersion};

use super::*;

struct Story {
    book: Book,
    pair: Pair,
    index: u64,
}

fn block(number: u64) -> BlockId {
    BlockId { number, hash: B256::new(U256::from(number).to_be_bytes()) }
}

impl Story {
    fn new() -> Self {
        let pair = Pair::new(1);
        let terms = *pair.channel.terms();
        let site = (terms.chain_id, terms.vipe);
        let hub = (terms.counterparty.account, Role::Counterparty);
        let book = Book::new(site, hub, VecDeque::new(), BTreeMap::new());
        Self { book, pair, index: 0 }
    }

    fn event(&mut self, number: u64, event: Event) -> ChainEvent {
        self.index += 1;
        ChainEvent { block: block(number), transaction: B256::ZERO, index: self.index, event }
    }

    fn opened(&mut self, number: u64) -> ChainEvent {
        let terms = *self.pair.channel.terms();
        let opened = ChannelOpened {
            channel: terms.channel_id,
            participant: terms.participant.account,
            counterparty: terms.counterparty.account,
            vip: Address::ZERO,
            asset: terms.asset,
            participant_key: terms.participant.key,
            counterparty_key: terms.counterparty.key,
            keys_digest: terms.keys_digest,
            participant_session: terms.participant.session,
            counterparty_session: terms.counterparty.session,
            dispute_hash: terms.dispute_hash,
            salt: terms.salt,
            rate: U256::from(terms.rate.get()),
            deposit: amount(5),
            accept_by: 1,
        };
        self.event(number, Event::ChannelOpened(Box::new(opened)))
    }

    fn live(&mut self) -> Vec<Fact> {
        let channel = ChannelId::MIN;
        let opened = self.opened(1);
        let accepted = self.event(2, Event::Accepted { channel, allocation: Amount::ZERO });
        let deposit = LedgerAppended {
            channel,
            version: EscrowVersion::try_from(1).unwrap(),
            participant: 5,
            vip: 0,
        };
        let deposit = self.event(2, Event::LedgerAppended(deposit));
        self.book.apply(&[], &[opened, accepted, deposit], Some(2))
    }

    fn dispute(&mut self, number: u64) -> ChainEvent {
        let disputer = self.pair.channel.terms().participant.account;
        self.event(
            number,
            Event::DisputeOpened(DisputeOpened {
                channel: ChannelId::MIN,
                disputer,
                epoch: 1,
                nonce: nonce(3),
                version: EscrowVersion::ZERO,
                balance: Amount::ZERO,
                claim: amount(4),
                deadline: 9,
                fee: U256::ZERO,
                bond: U256::ZERO,
                dispute_key: B256::ZERO,
            }),
        )
    }

    fn own(&self) -> &Own {
        self.book.get(ChannelId::MIN).unwrap()
    }
}

#[test]
fn what_is_not_final_counts_for_nothing() {
    let mut story = Story::new();
    let opened = story.opened(5);
    assert_eq!(story.book.apply(&[], std::slice::from_ref(&opened), Some(4)), []);
    assert!(story.book.channels().is_empty());
    // It leaves the chain before it is final: it never was.
    assert_eq!(story.book.apply(std::slice::from_ref(&opened), &[], Some(5)), []);
    assert!(story.book.channels().is_empty() && story.book.waiting().is_empty());
    let facts = story.book.apply(&[], &[opened], Some(5));
    assert!(matches!(facts[..], [Fact::Known(_), Fact::Opened(ChannelId::MIN)]), "{facts:?}");
    assert_eq!(story.own().standing, Standing::Open);
}

#[test]
fn a_channel_lives_with_the_ledger_that_is_final() {
    let mut story = Story::new();
    let facts = story.live();
    assert!(
        facts.contains(&Fact::Live(ChannelId::MIN))
            && facts.contains(&Fact::Ledger(ChannelId::MIN))
    );
    assert_eq!(story.own().ledger.newest().escrow(), amount(5));
    assert!(story.book.take_touched().contains(&ChannelId::MIN));
    assert!(story.book.take_touched().is_empty());
}

#[test]
fn a_dispute_is_heeded_at_once_and_forgotten_when_the_chain_forgets_it() {
    let mut story = Story::new();
    story.live();
    let dispute = story.dispute(7);
    assert_eq!(
        story.book.apply(&[], std::slice::from_ref(&dispute), Some(2)),
        [Fact::Disputed(ChannelId::MIN)]
    );
    assert_eq!(
        (story.own().standing, story.own().dispute.unwrap().nonce),
        (Standing::Live, nonce(3))
    );
    assert_eq!(
        story.book.apply(std::slice::from_ref(&dispute), &[], Some(2)),
        [Fact::Undisputed(ChannelId::MIN)]
    );
    assert_eq!(story.own().dispute, None);
    story.book.apply(&[], &[dispute], Some(7));
    assert_eq!(story.own().standing, Standing::Disputed);
    let settled = Settled {
        channel: ChannelId::MIN,
        to_participant: amount(4),
        to_vip: amount(1),
        slash: Amount::ZERO,
        corrector: None,
        fee: U256::ZERO,
        bond_returned: U256::ZERO,
    };
    let settled = story.event(8, Event::Settled(settled));
    assert_eq!(story.book.apply(&[], &[settled], Some(8)), [Fact::Over(ChannelId::MIN)]);
    assert_eq!(
        (story.own().settled, story.own().paid),
        (Some(nonce(3)), Some((amount(4), amount(1))))
    );
}

fn overridden(story: &mut Story, number: u64) -> ChainEvent {
    let by = Overridden {
        channel: ChannelId::MIN,
        nonce: nonce(8),
        version: EscrowVersion::ZERO,
        balance: Amount::ZERO,
        claim: amount(1),
        beneficiary: Address::ZERO,
        deadline: 12,
        kind: OverrideKind::Lower,
        reward: U256::ZERO,
    };
    story.event(number, Event::Overridden(by))
}

fn settled(story: &mut Story, number: u64) -> ChainEvent {
    let settled = Settled {
        channel: ChannelId::MIN,
        to_participant: amount(4),
        to_vip: amount(1),
        slash: Amount::ZERO,
        corrector: None,
        fee: U256::ZERO,
        bond_returned: U256::ZERO,
    };
    story.event(number, Event::Settled(settled))
}

#[test]
fn an_override_that_the_chain_takes_back_leaves_the_dispute_as_stale_as_it_was() {
    let mut story = Story::new();
    story.live();
    let (dispute, by) = (story.dispute(7), overridden(&mut story, 8));
    story.book.apply(&[], &[dispute], Some(7));
    let facts = story.book.apply(&[], std::slice::from_ref(&by), Some(7));
    assert_eq!(facts, [Fact::Disputed(ChannelId::MIN)]);
    assert_eq!(story.own().dispute.unwrap().nonce, nonce(8));
    let facts = story.book.apply(&[by], &[], Some(7));
    assert_eq!(facts, [Fact::Disputed(ChannelId::MIN)]);
    assert_eq!(story.own().dispute.unwrap().nonce, nonce(3));
    let settled = settled(&mut story, 9);
    story.book.apply(&[], &[settled], Some(9));
    assert_eq!(story.own().settled, Some(nonce(3)), "what was never final settles nothing");
}

#[test]
fn a_settlement_is_with_the_last_override_that_is_final() {
    let mut story = Story::new();
    story.live();
    let all = [story.dispute(7), overridden(&mut story, 8), settled(&mut story, 9)];
    story.book.apply(&[], &all, Some(9));
    assert_eq!(story.own().settled, Some(nonce(8)));
}

#[test]
fn a_close_that_is_announced_brings_the_deadline_nearer_and_ends_the_channel_with_what_was_agreed()
{
    let mut story = Story::new();
    story.live();
    let dispute = story.dispute(7);
    story.book.apply(&[], &[dispute], Some(7));
    let (participant, vip) = (amount(2), amount(3));
    let close = |epoch| {
        let (channel, seq, deadline) = (ChannelId::MIN, 4, 8);
        let (to_participant, to_vip) = (participant, vip);
        let announced = CloseAnnounced { channel, seq, epoch, to_participant, to_vip, deadline };
        Event::CloseAnnounced(announced)
    };
    let (other, announced) = (story.event(8, close(2)), story.event(8, close(1)));
    let before = story.own().dispute;
    assert_eq!(story.book.apply(&[], std::slice::from_ref(&other), Some(7)), []);
    assert_eq!((story.own().dispute, story.book.apply(&[other], &[], Some(7))), (before, vec![]));
    let facts = story.book.apply(&[], std::slice::from_ref(&announced), Some(7));
    assert_eq!(facts, [Fact::Disputed(ChannelId::MIN)]);
    let now = story.own().dispute.unwrap();
    assert_eq!((now.deadline, now.agreed), (8, Some(Payout { participant, vip })));
    assert_eq!(story.own().seq, 0, "not final");
    let facts = story.book.apply(std::slice::from_ref(&announced), &[], Some(7));
    assert_eq!((facts, story.own().dispute), (vec![Fact::Disputed(ChannelId::MIN)], before));
    let facts = story.book.apply(&[], &[announced], Some(8));
    assert!(facts.contains(&Fact::Announced(ChannelId::MIN)), "{facts:?}");
    assert_eq!(story.own().seq, 5);
    let all = [overridden(&mut story, 9), settled(&mut story, 10)];
    story.book.apply(&[], &all, Some(10));
    let own = story.own();
    assert_eq!((own.dispute.unwrap().peak, own.dispute.unwrap().claim), (amount(4), amount(1)));
    assert_eq!(own.settled, None, "what stood is not what was paid");
}

#[test]
fn a_channel_that_names_this_account_in_another_role_is_none_of_its_own() {
    let mut story = Story::new();
    let terms = *story.pair.channel.terms();
    let participant = (terms.counterparty.account, Role::Participant);
    let site = (terms.chain_id, terms.vipe);
    story.book = Book::new(site, participant, VecDeque::new(), BTreeMap::new());
    let opened = story.opened(5);
    let facts = story.book.apply(&[], &[opened], Some(5));
    assert!(matches!(facts[..], [Fact::Known(_)]), "{facts:?}");
    assert!(story.book.channels().is_empty());
}

#[test]
fn a_channel_whose_ledger_does_not_follow_is_marked() {
    let mut story = Story::new();
    story.live();
    let gap = LedgerAppended {
        channel: ChannelId::MIN,
        version: EscrowVersion::try_from(7).unwrap(),
        participant: 5,
        vip: 0,
    };
    let gap = story.event(4, Event::LedgerAppended(gap));
    assert_eq!(story.book.apply(&[], &[gap], Some(4)), [Fact::Broken(ChannelId::MIN)]);
    assert!(story.own().broken);
}
