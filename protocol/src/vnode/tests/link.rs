use alloy_primitives::{Address, B256, Bytes};

use crate::{
    ids::{Amount, ChannelId, Domain, EscrowVersion},
    payment,
    testing::{HEDGE, Pair, amount, nonce},
    vipe::{Closing, Payout, Withdrawal},
    vnode::link::{Ask, CONSENT_MAX, Consent, Frame, Hello, Offer, Refusal, Welcome},
    zksc::{PaymentId, handshake},
};

fn frames() -> Vec<Frame> {
    let pair = Pair::new(1);
    let channel = pair.channel.id();
    let digest = pair.channel.keys_digest();
    let possession = Ask::possession(pair.participant.channel_key(), digest, &HEDGE);
    let paid = Payout { participant: amount(5), vip: amount(6) };
    let (seq, signature) = (7, Bytes::from(vec![9; 65]));
    let longest = Bytes::from(vec![8; CONSENT_MAX]);
    let ack = handshake::Acknowledgement { nonce: nonce(3), digest: *digest };
    let withdrawal = Withdrawal {
        nonce: nonce(4),
        version: EscrowVersion::ZERO,
        balance: amount(9),
        paid,
        deadline: 11,
    };
    let hello = hello(&pair, b"from", b"to");
    vec![
        Frame::Hello(hello),
        Frame::Handshake(channel, handshake::Message::Ack(ack)),
        Frame::Payment(channel, payment::Message::Done(PaymentId([1; 32]))),
        Frame::Ask(Box::new(Ask {
            domain: pair.channel.domain(),
            account: Address::repeat_byte(1),
            key: *pair.participant.channel_key().public_key(),
            session: Address::repeat_byte(2),
            deposit: Amount::MAX,
            possession,
        })),
        Frame::Offer(Box::new(Offer {
            keys_digest: B256::repeat_byte(3),
            possession,
            allocation: amount(1),
            max_update: amount(2),
        })),
        Frame::Refused(None, Refusal::Deposit),
        Frame::Refused(Some(channel), Refusal::Stale),
        Frame::Refused(Some(channel), Refusal::Unwilling),
        Frame::Latest(channel, None),
        Frame::Withdraw(Box::new(Consent { channel, seq, terms: withdrawal, signature })),
        Frame::Withdraw(Box::new(Consent {
            channel,
            seq,
            terms: withdrawal,
            signature: longest.clone(),
        })),
        Frame::Close(Box::new(Consent {
            channel,
            seq,
            terms: Closing { epoch: 1, paid, deadline: 12 },
            signature: longest,
        })),
        Frame::Who(channel),
        Frame::Welcome(
            channel,
            Welcome {
                fee: payment::FeePolicy { base: amount(3), millionths: 40 },
                max_update: Amount::MAX,
            },
        ),
    ]
}

fn hello(pair: &Pair, from: &[u8], to: &[u8]) -> Hello {
    Hello::sign(&pair.channel.domain(), pair.channel.id(), &pair.participant, (from, to)).unwrap()
}

#[test]
fn a_frame_is_read_back_and_nothing_else_is() {
    for frame in frames() {
        let bytes = frame.to_bytes();
        assert!(bytes.len() <= Frame::MAX_LEN);
        assert_eq!(Frame::from_bytes(&bytes), Ok(frame.clone()));
        // A consent's signature is as long as it is: with a byte less or more it is another one.
        let is_consent = matches!(frame, Frame::Withdraw(_) | Frame::Close(_));
        for other in [bytes[..bytes.len() - 1].to_vec(), [bytes.as_slice(), &[0]].concat()] {
            match Frame::from_bytes(&other) {
                Ok(read) => assert!(is_consent && read.to_bytes() == other, "{frame:?}"),
                Err(_) => assert!(!is_consent || other.len() > bytes.len(), "{frame:?}"),
            }
        }
        assert!(Frame::from_bytes(&[&[2], &bytes[1..]].concat()).is_err(), "{frame:?}");
    }
    assert!(Frame::from_bytes(&[]).is_err());
    assert!(Frame::from_bytes(&vec![1; Frame::MAX_LEN + 1]).is_err());
}

#[test]
fn a_hello_serves_one_channel_and_one_pair_of_peers() {
    let pair = Pair::new(1);
    let hello = hello(&pair, b"alice", b"hub");
    hello.verify(&pair.channel, b"alice", b"hub").unwrap();
    assert!(hello.verify(&pair.channel, b"mallory", b"hub").is_err());
    assert!(hello.verify(&pair.channel, b"alice", b"other").is_err());
    assert!(hello.verify(&Pair::new(2).channel, b"alice", b"hub").is_err());
    let moved = Hello { channel: ChannelId::try_from(77).unwrap(), ..hello };
    assert!(moved.verify(&pair.channel, b"alice", b"hub").is_err());
    let other = Hello::sign(
        &Domain::from_bytes([7; 21]),
        pair.channel.id(),
        &pair.participant,
        (b"alice", b"hub"),
    )
    .unwrap();
    assert!(other.verify(&pair.channel, b"alice", b"hub").is_err());
}
