//! What frames say: what is asked for, offered and consented to.

use alloy_primitives::{Address, B256, Bytes};

use crate::{
    encoding::{DecodeError, Reader},
    ids::{Amount, ChannelId, Domain, EscrowVersion, Nonce, Role},
    keys::{PublicKey, SecretKey},
    payment::FeePolicy,
    schnorr::Signature,
    vipe::{Closing, Payout, Withdrawal},
};

/// Bytes of an account's signature: r, s and v where it has a key, and whatever its wallet takes where it is a contract
/// (ERC-1271), at most so many.
pub const CONSENT_MAX: usize = 768;

/// A participant wants a channel.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ask {
    /// The vault.
    pub domain: Domain,
    /// The participant's account, which will open.
    pub account: Address,
    /// Its channel key.
    pub key: PublicKey,
    /// The address of its session key.
    pub session: Address,
    /// What it will put in.
    pub deposit: Amount,
    /// Possession of the channel key, for the pair with the hub's: see [`crate::zksc::possession`].
    pub possession: Signature,
}

/// The hub will accept the channel that was asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Offer {
    /// The digest of both channel keys: which [`Ask`] this answers.
    pub keys_digest: B256,
    /// The hub's possession of its channel key, for this pair.
    pub possession: Signature,
    /// What its pool will put in.
    pub allocation: Amount,
    /// The most that one update may move.
    pub max_update: Amount,
}

/// A hub's terms for payments.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Welcome {
    /// What a payment costs.
    pub fee: FeePolicy,
    /// The most that one update may move, in base units.
    pub max_update: Amount,
}

/// One consent, with the signature of whoever sends it; the answer is the same with the other's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Consent<T> {
    /// The channel.
    pub channel: ChannelId,
    /// The consent's number.
    pub seq: u64,
    /// What is consented to.
    pub terms: T,
    /// By the sender's account; the last field, as long as it is.
    pub signature: Bytes,
}

fn address(reader: &mut Reader<'_>) -> Result<Address, DecodeError> {
    reader.take().map(|bytes: [u8; 20]| Address::from(bytes))
}

impl Ask {
    pub(super) fn to_bytes(self) -> Vec<u8> {
        let mut out = self.domain.as_bytes().to_vec();
        out.extend(self.account);
        out.extend(self.key.to_bytes());
        out.extend(self.session);
        out.extend(self.deposit.get().to_be_bytes());
        out.extend(self.possession.to_bytes());
        out
    }

    pub(super) fn read(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Self {
            domain: reader.domain()?,
            account: address(reader)?,
            key: PublicKey::from_bytes(&reader.take()?).map_err(|_no_key| DecodeError::Shape)?,
            session: address(reader)?,
            deposit: reader.amount()?,
            possession: reader.signature()?,
        })
    }

    /// Shows possession of `key` to the hub with `digest` as the digest of both keys. `hedge` is 32 fresh random bytes.
    #[must_use]
    pub fn possession(
        key: &SecretKey,
        digest: &crate::hash::Digest,
        hedge: &[u8; 32],
    ) -> Signature {
        crate::zksc::possession::prove(Role::Participant, key, digest, hedge)
    }
}

impl Offer {
    pub(super) fn to_bytes(self) -> Vec<u8> {
        let mut out = self.keys_digest.to_vec();
        out.extend(self.possession.to_bytes());
        out.extend(self.allocation.get().to_be_bytes());
        out.extend(self.max_update.get().to_be_bytes());
        out
    }

    pub(super) fn read(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Self {
            keys_digest: B256::new(reader.take()?),
            possession: reader.signature()?,
            allocation: reader.amount()?,
            max_update: reader.amount()?,
        })
    }
}

impl Welcome {
    pub(super) fn to_bytes(self) -> Vec<u8> {
        let mut out = self.fee.base.get().to_be_bytes().to_vec();
        out.extend(self.fee.millionths.to_be_bytes());
        out.extend(self.max_update.get().to_be_bytes());
        out
    }

    pub(super) fn read(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let base = reader.amount()?;
        let millionths = u32::from_be_bytes(reader.take()?);
        Ok(Self { fee: FeePolicy { base, millionths }, max_update: reader.amount()? })
    }
}

impl<T> Consent<T> {
    pub(super) fn to_bytes(&self, terms: fn(&T) -> Vec<u8>) -> Vec<u8> {
        let mut out = self.channel.get().to_be_bytes().to_vec();
        out.extend(self.seq.to_be_bytes());
        out.extend(terms(&self.terms));
        out.extend_from_slice(&self.signature);
        out
    }

    pub(super) fn read(
        reader: &mut Reader<'_>,
        terms: fn(&mut Reader<'_>) -> Result<T, DecodeError>,
    ) -> Result<Self, DecodeError> {
        Ok(Self {
            channel: reader.channel_id()?,
            seq: u64::from_be_bytes(reader.take()?),
            terms: terms(reader)?,
            signature: Bytes::copy_from_slice(reader.rest(CONSENT_MAX)?),
        })
    }
}

fn payout_bytes(paid: &Payout) -> Vec<u8> {
    [paid.participant.get().to_be_bytes(), paid.vip.get().to_be_bytes()].concat()
}

fn read_payout(reader: &mut Reader<'_>) -> Result<Payout, DecodeError> {
    Ok(Payout { participant: reader.amount()?, vip: reader.amount()? })
}

/// Bytes of [`withdrawal_bytes`]; a close has fewer.
pub(super) const WITHDRAWAL_LEN: usize = 8 + 8 + 16 + 32 + 8;

pub(super) fn withdrawal_bytes(terms: &Withdrawal) -> Vec<u8> {
    let mut out = terms.nonce.get().to_be_bytes().to_vec();
    out.extend(terms.version.get().to_be_bytes());
    out.extend(terms.balance.get().to_be_bytes());
    out.extend(payout_bytes(&terms.paid));
    out.extend(terms.deadline.to_be_bytes());
    out
}

pub(super) fn read_withdrawal(reader: &mut Reader<'_>) -> Result<Withdrawal, DecodeError> {
    let nonce: Nonce = reader.nonce()?;
    let version: EscrowVersion = reader.version()?;
    let balance = reader.amount()?;
    let paid = read_payout(reader)?;
    Ok(Withdrawal { nonce, version, balance, paid, deadline: u64::from_be_bytes(reader.take()?) })
}

pub(super) fn closing_bytes(terms: &Closing) -> Vec<u8> {
    let mut out = terms.epoch.to_be_bytes().to_vec();
    out.extend(payout_bytes(&terms.paid));
    out.extend(terms.deadline.to_be_bytes());
    out
}

pub(super) fn read_closing(reader: &mut Reader<'_>) -> Result<Closing, DecodeError> {
    let epoch = u64::from_be_bytes(reader.take()?);
    let paid = read_payout(reader)?;
    Ok(Closing { epoch, paid, deadline: u64::from_be_bytes(reader.take()?) })
}
