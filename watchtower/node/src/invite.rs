//! What one person hands another: an invitation to a hub, and an invoice.
//!
//! An invitation (`vrc1...`) names chain, vault, asset, pool, the hub's account and keys, the bond's rate and where the hub is
//! dialled. It is not secret and not signed: who shows it is trusted for *which* hub it is, and for nothing else, because the
//! node checks everything in it against the chain, and the hub's possession of its keys.
//!
//! An invoice (`vri1...`) names the payee's channel, a reference and, where the payee fixed it, the amount.

use std::str::FromStr;

use alloy_primitives::{Address, B256};
use gossip::Place;
use protocol::keys::PublicKey;
use protocol::vipe::Rate;
use protocol::{Amount, ChannelId, Domain};
use serde::{Deserialize, Serialize};

use crate::text::{TextError, decode, encode};

const INVITATION: &str = "vrc1";
const INVOICE: &str = "vri1";
/// Longest address of a hub, in bytes of its text.
const PLACE_MAX: usize = 255;

/// How a hub is found, and what a channel with it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Invitation {
    /// The settlement layer.
    pub chain_id: u64,
    /// The vault.
    pub vipe: Address,
    /// The asset of the channel.
    pub asset: Address,
    /// The hub's account.
    pub account: Address,
    /// The hub's pool.
    pub vip: Address,
    /// The hub's channel key.
    pub key: PublicKey,
    /// The hub's session address.
    pub session: Address,
    /// The bond's rate.
    pub rate: Rate,
    /// Where it is dialled, with its name at the end.
    pub place: Place,
}

struct Fields<'a>(&'a [u8]);

impl Fields<'_> {
    fn take<const N: usize>(&mut self) -> Result<[u8; N], TextError> {
        let (field, rest) =
            self.0.split_first_chunk::<N>().ok_or_else(|| content("it is cut off"))?;
        self.0 = rest;
        Ok(*field)
    }

    fn address(&mut self) -> Result<Address, TextError> {
        self.take().map(|bytes: [u8; 20]| Address::from(bytes))
    }
}

fn content(reason: impl std::fmt::Display) -> TextError {
    TextError::Content(reason.to_string())
}

impl std::fmt::Display for Invitation {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let mut bytes = self.chain_id.to_be_bytes().to_vec();
        for address in [self.vipe, self.asset, self.account, self.vip, self.session] {
            bytes.extend(address);
        }
        bytes.extend(self.key.to_bytes());
        bytes.extend(self.rate.get().to_be_bytes());
        bytes.extend(self.place.to_string().bytes());
        f.write_str(&encode(INVITATION, &bytes))
    }
}

impl FromStr for Invitation {
    type Err = TextError;

    fn from_str(text: &str) -> Result<Self, TextError> {
        let bytes = decode(INVITATION, text)?;
        let mut fields = Fields(&bytes);
        let chain_id = u64::from_be_bytes(fields.take()?);
        let (vipe, asset) = (fields.address()?, fields.address()?);
        let (account, vip, session) = (fields.address()?, fields.address()?, fields.address()?);
        let key = PublicKey::from_bytes(&fields.take()?).map_err(content)?;
        let rate = Rate::try_from(u128::from_be_bytes(fields.take()?)).map_err(content)?;
        if fields.0.len() > PLACE_MAX {
            return Err(content("the hub's address is too long"));
        }
        let place: Place =
            std::str::from_utf8(fields.0).map_err(content)?.parse().map_err(content)?;
        if place.peer().is_none() {
            return Err(content("the hub's address does not name the hub's peer"));
        }
        Ok(Self { chain_id, vipe, asset, account, vip, key, session, rate, place })
    }
}

impl Invitation {
    /// The vault's domain.
    #[must_use]
    pub fn domain(&self) -> Domain {
        Domain::derive(self.chain_id, self.vipe)
    }
}

/// What a payee asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Invoice {
    /// The vault.
    pub domain: Domain,
    /// The payee's channel.
    pub channel: ChannelId,
    /// How much; none lets the payer choose.
    pub amount: Option<Amount>,
    /// The payee's reference: one invoice is paid once.
    pub reference: B256,
}

impl std::fmt::Display for Invoice {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let mut bytes = self.domain.as_bytes().to_vec();
        bytes.extend(self.channel.get().to_be_bytes());
        bytes.extend(self.reference);
        // Nothing is no amount: zero says that the payer chooses.
        bytes.extend(self.amount.unwrap_or(Amount::ZERO).get().to_be_bytes());
        f.write_str(&encode(INVOICE, &bytes))
    }
}

impl FromStr for Invoice {
    type Err = TextError;

    fn from_str(text: &str) -> Result<Self, TextError> {
        let bytes = decode(INVOICE, text)?;
        let mut fields = Fields(&bytes);
        let domain = Domain::from_bytes(fields.take()?);
        let channel = ChannelId::try_from(u64::from_be_bytes(fields.take()?)).map_err(content)?;
        let reference = B256::new(fields.take()?);
        let amount = Amount::try_from(u128::from_be_bytes(fields.take()?)).map_err(content)?;
        if !fields.0.is_empty() {
            return Err(content("it has more than an invoice has"));
        }
        let amount = (amount > Amount::ZERO).then_some(amount);
        Ok(Self { domain, channel, amount, reference })
    }
}

#[cfg(test)]
mod tests {
    use protocol::testing::{Pair, account, amount};

    use super::*;

    fn invitation() -> Invitation {
        let pair = Pair::new(1);
        Invitation {
            chain_id: 31_337,
            vipe: account(1, "vipe"),
            asset: account(1, "asset"),
            account: account(1, "hub"),
            vip: account(1, "vip"),
            key: *pair.counterparty.channel_key().public_key(),
            session: pair.counterparty.session_address(),
            rate: Rate::try_from(7).unwrap(),
            place: "/ip4/127.0.0.1/tcp/9/p2p/12D3KooWDpJ7As7BWAwRMfu1VU2WCqNjvq387JEYKDBj4kx6nXTN"
                .parse()
                .unwrap(),
        }
    }

    #[test]
    fn an_invitation_is_read_back_and_one_without_a_peer_is_refused() {
        let invitation = invitation();
        assert_eq!(invitation.to_string().parse(), Ok(invitation.clone()));
        let nobody = Invitation { place: "/ip4/127.0.0.1/tcp/9".parse().unwrap(), ..invitation };
        assert!(nobody.to_string().parse::<Invitation>().is_err());
    }

    #[test]
    fn an_invoice_is_read_back_with_and_without_an_amount() {
        let channel = ChannelId::try_from(9).unwrap();
        let domain = invitation().domain();
        for amount in [None, Some(amount(5)), Some(Amount::MAX)] {
            let invoice = Invoice { domain, channel, amount, reference: B256::repeat_byte(4) };
            assert_eq!(invoice.to_string().parse(), Ok(invoice));
        }
        assert!("vri1aaaa".parse::<Invoice>().is_err());
    }
}
