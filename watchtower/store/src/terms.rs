//! A channel's row: what the chain says of it, without what the file or the row's key says already.
//!
//! | bytes | |
//! |---|---|
//! | 1 | status in the low bits; the top bit: another vault than the file's, which follows |
//! | 0 or 28 | chain id, vault |
//! | 1 to 10 each | last second to accept, opening block; seven bits a byte, lowest first, the top bit says that more follow |
//! | 80 each | participant, counterparty: account, channel key (five integers), session address |
//! | 20, 12, 32, 32 | asset, rate, dispute hash, salt |
//!
//! The digest of the keys is not kept: it was compared with the chain's when the channel was read there, and is made again.
//!
//! **Invariant:** a row that is read back is the row that was written, or an error.

use alloy_primitives::{Address, B256};
use protocol::ChannelId;
use protocol::vipe::Rate;
use protocol::zksc::Channel;
use protocol::zksc::channel::{ChannelTerms, PartyTerms};

use crate::error::StoreError;
use crate::rows::{ChannelRow, ChannelStatus};
use crate::schema::Facts;

const TABLE: &str = "channels-2";
/// The channel is of another vault than the file.
const ELSEWHERE: u8 = 0x80;
/// Bytes of a usual row.
const USUAL_LEN: usize = 280;

const fn status_byte(status: ChannelStatus) -> u8 {
    match status {
        ChannelStatus::Open => 0,
        ChannelStatus::Live => 1,
        ChannelStatus::Disputed => 2,
        ChannelStatus::Settled => 3,
        ChannelStatus::Cancelled => 4,
    }
}

fn status_of(byte: u8) -> Result<ChannelStatus, StoreError> {
    Ok(match byte {
        0 => ChannelStatus::Open,
        1 => ChannelStatus::Live,
        2 => ChannelStatus::Disputed,
        3 => ChannelStatus::Settled,
        4 => ChannelStatus::Cancelled,
        other => return Err(StoreError::row(TABLE, format!("status {other}"))),
    })
}

fn put_number(row: &mut Vec<u8>, mut number: u64) {
    while number >= 0x80 {
        let [.., low] = number.to_be_bytes();
        row.push(low | 0x80);
        number >>= 7;
    }
    let [.., low] = number.to_be_bytes();
    row.push(low);
}

fn put_party(row: &mut Vec<u8>, party: &PartyTerms) {
    row.extend_from_slice(party.account.as_slice());
    for element in party.key {
        row.extend_from_slice(&element.to_be_bytes());
    }
    row.extend_from_slice(party.session.as_slice());
}

pub(crate) fn encode(facts: &Facts, channel: &ChannelRow) -> Vec<u8> {
    let terms = channel.channel.terms();
    let mut row = Vec::with_capacity(USUAL_LEN);
    let status = status_byte(channel.status);
    if (terms.chain_id, terms.vipe) == (facts.chain_id, facts.vipe) {
        row.push(status);
    } else {
        row.push(status | ELSEWHERE);
        row.extend_from_slice(&terms.chain_id.to_be_bytes());
        row.extend_from_slice(terms.vipe.as_slice());
    }
    put_number(&mut row, channel.accept_by);
    put_number(&mut row, channel.opened_block);
    put_party(&mut row, &terms.participant);
    put_party(&mut row, &terms.counterparty);
    row.extend_from_slice(terms.asset.as_slice());
    // A rate is below 2^96.
    let [_, _, _, _, rate @ ..] = terms.rate.get().to_be_bytes();
    row.extend_from_slice(&rate);
    row.extend_from_slice(terms.dispute_hash.as_slice());
    row.extend_from_slice(terms.salt.as_slice());
    row
}

/// What is left of a row.
struct Rest<'a>(&'a [u8]);

impl Rest<'_> {
    fn take<const N: usize>(&mut self) -> Result<[u8; N], StoreError> {
        let (taken, rest) =
            self.0.split_first_chunk().ok_or_else(|| StoreError::row(TABLE, "too short"))?;
        self.0 = rest;
        Ok(*taken)
    }

    fn number(&mut self) -> Result<u64, StoreError> {
        let mut number = 0_u64;
        for shift in (0..64).step_by(7) {
            let [byte] = self.take()?;
            let part = u64::from(byte & 0x7f);
            if part.leading_zeros() < shift {
                break;
            }
            number |= part << shift;
            if byte < 0x80 {
                return Ok(number);
            }
        }
        Err(StoreError::row(TABLE, "a number of more than 64 bits"))
    }

    fn party(&mut self) -> Result<PartyTerms, StoreError> {
        let account = Address::from(self.take::<20>()?);
        let mut key = [0; 5];
        for element in &mut key {
            *element = u64::from_be_bytes(self.take()?);
        }
        Ok(PartyTerms { account, key, session: Address::from(self.take::<20>()?) })
    }

    fn rate(&mut self) -> Result<Rate, StoreError> {
        let low = self.take::<12>()?;
        let rate = low.iter().fold(0_u128, |rate, byte| rate << 8 | u128::from(*byte));
        Rate::try_from(rate).map_err(|error| StoreError::row(TABLE, error))
    }
}

pub(crate) fn decode(
    facts: &Facts,
    channel_id: ChannelId,
    row: &[u8],
) -> Result<ChannelRow, StoreError> {
    let mut rest = Rest(row);
    let [first] = rest.take()?;
    let status = status_of(first & !ELSEWHERE)?;
    let (chain_id, vipe) = if first & ELSEWHERE == 0 {
        (facts.chain_id, facts.vipe)
    } else {
        (u64::from_be_bytes(rest.take()?), Address::from(rest.take::<20>()?))
    };
    let (accept_by, opened_block) = (rest.number()?, rest.number()?);
    let terms = ChannelTerms {
        chain_id,
        vipe,
        channel_id,
        participant: rest.party()?,
        counterparty: rest.party()?,
        keys_digest: B256::ZERO,
        asset: Address::from(rest.take::<20>()?),
        rate: rest.rate()?,
        dispute_hash: B256::from(rest.take::<32>()?),
        salt: B256::from(rest.take::<32>()?),
    };
    if !rest.0.is_empty() {
        return Err(StoreError::row(TABLE, "bytes left over"));
    }
    let channel =
        Channel::with_digest_of_keys(terms).map_err(|error| StoreError::row(TABLE, error))?;
    Ok(ChannelRow { channel, status, accept_by, opened_block })
}

#[cfg(test)]
mod tests {
    use protocol::testing::Pair;

    use super::*;

    fn facts(terms: &ChannelTerms) -> Facts {
        Facts { chain_id: terms.chain_id, vipe: terms.vipe, account: Address::repeat_byte(9) }
    }

    #[test]
    fn a_row_is_read_as_it_was_written_whatever_its_vault_and_numbers() {
        let rate = |terms: &mut ChannelTerms| terms.rate = Rate::try_from((1 << 96) - 1).unwrap();
        let numbers = [0, 1, 127, 128, 1 << 40, u64::MAX];
        for (seed, number) in (1..).zip(numbers) {
            let channel = Pair::with(seed, rate).channel;
            let own = facts(channel.terms());
            let other = Facts { chain_id: 1, ..own };
            for status in [0, 1, 2, 3, 4].map(|byte| status_of(byte).unwrap()) {
                let row = ChannelRow { channel, status, accept_by: number, opened_block: number };
                for (facts, longer) in [(own, 0), (other, 28)] {
                    let bytes = encode(&facts, &row);
                    assert_eq!(decode(&facts, channel.id(), &bytes).unwrap(), row);
                    assert!(bytes.len() <= 257 + 20 + longer, "{}", bytes.len());
                    assert!(decode(&facts, channel.id(), &bytes[..bytes.len() - 1]).is_err());
                    let longer = [bytes.as_slice(), &[0]].concat();
                    assert!(decode(&facts, channel.id(), &longer).is_err());
                }
            }
        }
    }

    #[test]
    fn a_number_of_more_than_64_bits_is_refused() {
        let mut most = Vec::new();
        put_number(&mut most, u64::MAX);
        assert_eq!(Rest(&most).number().unwrap(), u64::MAX);
        *most.last_mut().unwrap() = 2;
        assert!(Rest(&most).number().is_err());
        assert!(Rest(&[0xff; 12]).number().is_err());
    }
}
