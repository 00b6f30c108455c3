//! Logs that the vault writes, and logs that it does not.

use alloy_primitives::{
    Bytes, address,
    aliases::{U56, U112},
    b256,
};
use alloy_sol_types::SolEvent;

use super::*;
use crate::{bindings::IVipe, provider::Log};

const VIPE: Address = address!("00000000000000000000000000000000000000aa");

fn block() -> BlockId {
    BlockId {
        number: 9,
        hash: b256!("00000000000000000000000000000000000000000000000000000000000000bb"),
    }
}

fn log(event: &impl SolEvent) -> Log {
    let data = event.encode_log_data();
    Log {
        address: VIPE,
        topics: data.topics().to_vec(),
        data: data.data.clone(),
        block: block(),
        transaction: B256::repeat_byte(7),
        index: 3,
    }
}

fn dispute() -> IVipe::DisputeOpened {
    IVipe::DisputeOpened {
        channelId: U56::from(5),
        disputer: Address::repeat_byte(1),
        epoch: 1,
        nonce: U56::from(400),
        version: U56::from(2),
        balance: U112::from(1_000_000),
        claim: U112::from(999),
        deadline: 1_700_000_000,
        fee: U256::from(10),
        bond: U256::from(20),
        disputeKey: B256::repeat_byte(9),
    }
}

#[test]
fn a_dispute_is_read_field_by_field() {
    let read = decode(VIPE, &log(&dispute())).unwrap();
    assert_eq!((read.block, read.index), (block(), 3));
    let Event::DisputeOpened(read) = read.event else {
        panic!("a dispute is read as something else")
    };
    assert_eq!(read.channel.get(), 5);
    assert_eq!(read.nonce.get(), 400);
    assert_eq!(read.claim.get(), 999);
    assert_eq!(read.dispute_key, B256::repeat_byte(9));
}

#[test]
fn an_override_names_its_kind() {
    let read = decode(
        VIPE,
        &log(&IVipe::Overridden {
            channelId: U56::from(5),
            beneficiary: Address::repeat_byte(4),
            kind: IVipe::OverrideKind::Raise,
            nonce: U56::from(401),
            version: U56::from(2),
            balance: U112::from(1),
            claim: U112::from(2),
            deadline: 3,
            reward: U256::from(4),
        }),
    );
    assert!(matches!(
        read.unwrap().event,
        Event::Overridden(Overridden { kind: OverrideKind::Raise, .. })
    ));
}

#[test]
fn a_settlement_without_a_corrector_has_none() {
    let settled = IVipe::Settled {
        channelId: U56::from(5),
        toParticipant: U112::from(1),
        toVip: U112::from(2),
        slash: U112::from(0),
        corrector: Address::ZERO,
        fee: U256::ZERO,
        bondReturned: U256::ZERO,
    };
    let read = decode(VIPE, &log(&settled)).unwrap();
    assert!(matches!(read.event, Event::Settled(Settled { corrector: None, .. })));
}

#[test]
fn what_both_parties_agreed_on_is_read_field_by_field() {
    let withdrawn = IVipe::Withdrawn {
        channelId: U56::from(5),
        seq: 1,
        nonce: U56::from(2),
        version: U56::from(3),
        balance: U112::from(4),
        toParticipant: U112::from(6),
        toVip: U112::from(7),
    };
    let Event::Withdrawn(read) = decode(VIPE, &log(&withdrawn)).unwrap().event else { panic!() };
    assert_eq!((read.channel.get(), read.seq, read.nonce.get()), (5, 1, 2));
    assert_eq!((read.version.get(), read.balance.get()), (3, 4));
    assert_eq!((read.to_participant.get(), read.to_vip.get()), (6, 7));

    let announced = IVipe::CloseAnnounced {
        channelId: U56::from(5),
        seq: 1,
        epoch: 2,
        toParticipant: U112::from(3),
        toVip: U112::from(4),
        deadline: 6,
    };
    let read = decode(VIPE, &log(&announced)).unwrap().event;
    assert_eq!(read.channel().unwrap().get(), 5);
    let Event::CloseAnnounced(read) = read else { panic!() };
    assert_eq!((read.seq, read.epoch, read.deadline), (1, 2, 6));
    assert_eq!((read.to_participant.get(), read.to_vip.get()), (3, 4));

    let closed = IVipe::Closed {
        channelId: U56::from(5),
        seq: 1,
        toParticipant: U112::from(3),
        toVip: U112::from(4),
    };
    let read = decode(VIPE, &log(&closed)).unwrap().event;
    assert!(
        matches!(read, Event::Closed { seq: 1, to_participant, .. } if to_participant.get() == 3)
    );
    let sponsored = IVipe::Sponsored { channelId: U56::from(5), payer: Address::repeat_byte(6) };
    let read = decode(VIPE, &log(&sponsored)).unwrap().event;
    assert_eq!(read.channel().unwrap().get(), 5);
    assert!(matches!(read, Event::Sponsored { payer, .. } if payer == Address::repeat_byte(6)));
}

#[test]
fn events_survive_being_stored() {
    let appended = IVipe::LedgerAppended {
        channelId: U56::from(5),
        version: U56::from(1),
        p: -7,
        h: i128::MAX,
    };
    for read in [decode(VIPE, &log(&dispute())).unwrap(), decode(VIPE, &log(&appended)).unwrap()] {
        let text = serde_json::to_string(&read).unwrap();
        assert_eq!(serde_json::from_str::<ChainEvent>(&text).unwrap(), read);
    }
}

#[test]
fn a_log_of_another_contract_is_refused() {
    let mut log = log(&dispute());
    log.address = Address::ZERO;
    assert!(matches!(decode(VIPE, &log), Err(DecodeError::Address { index: 3, .. })));
}

#[test]
fn an_unknown_event_is_refused() {
    let mut unknown = log(&dispute());
    unknown.topics[0] = B256::repeat_byte(1);
    assert!(matches!(decode(VIPE, &unknown), Err(DecodeError::Unknown { .. })));
    unknown.topics.clear();
    assert!(matches!(decode(VIPE, &unknown), Err(DecodeError::Unknown { .. })));
}

#[test]
fn a_log_that_is_too_short_padded_wrongly_or_out_of_range_is_refused() {
    let good = log(&dispute());
    let refused = |change: fn(&mut Log)| {
        let mut bad = good.clone();
        change(&mut bad);
        assert!(matches!(decode(VIPE, &bad), Err(DecodeError::Fields { .. })), "{bad:?}");
    };
    refused(|log| log.data = log.data.slice(..log.data.len() - 1));
    refused(|log| log.data = Bytes::new());
    // A uint64 with a bit above its width.
    refused(|log| {
        let mut data = log.data.to_vec();
        data[0] = 1;
        log.data = data.into();
    });
    // A channel id of zero.
    refused(|log| log.topics[1] = B256::ZERO);
    // An address topic with dirty padding.
    refused(|log| log.topics[2] = B256::repeat_byte(1));
    refused(|log| {
        log.topics.pop();
    });
}
