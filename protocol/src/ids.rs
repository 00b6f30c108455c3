//! Identifiers and amounts: newtypes that do not mix and that hold their bounds.
//!
//! **Invariant:** a value of one of these types is in range; only the checked constructors make one.
//!
//! Values wider than one field element become 56-bit limbs, low limb first, so every limb is a canonical element.

use core::{fmt, str::FromStr};

use alloy_primitives::{Address, U256, hex, keccak256};
use alloy_sol_types::SolValue;
use plonky2_field::types::Field;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use crate::F;

/// Bits of one limb of a value that does not fit a field element.
pub const LIMB_BITS: u32 = 56;

/// The first value that does not fit one limb; identifiers, nonces and versions are below it.
const LIMB_END: u64 = 1 << LIMB_BITS;

/// The first value that is no amount.
const AMOUNT_END: u128 = 1 << (2 * LIMB_BITS);

/// Why a value is no identifier or amount.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum IdError {
    /// Channel ids are 1 to 2^56 - 1.
    #[error("channel id {0} is not in 1 .. 2^56")]
    ChannelId(u64),
    /// Nonces are below 2^56.
    #[error("nonce {0} is not below 2^56")]
    Nonce(u64),
    /// Escrow versions are below 2^56.
    #[error("escrow version {0} is not below 2^56")]
    EscrowVersion(u64),
    /// Sequences are 1 to 2^56 - 1.
    #[error("payment sequence {0} is not in 1 .. 2^56")]
    Sequence(u64),
    /// Amounts are below 2^112.
    #[error("amount {0} is not below 2^112")]
    Amount(u128),
    /// A domain is 21 bytes.
    #[error("a domain is 21 bytes, as 42 hexadecimal digits after 0x")]
    Domain,
    /// A role is encoded as 0 or 1.
    #[error("role byte {0} is neither 0 (participant) nor 1 (counterparty)")]
    Role(u8),
    /// The text is no decimal number.
    #[error("not a decimal number that fits the type")]
    NotANumber,
}

/// One limb as a field element. Limbs are below 2^56, so the element is canonical.
fn limb(value: u64) -> F {
    F::from_canonical_u64(value)
}

/// Up to eight big-endian bytes as an integer.
fn be(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0, |value, byte| (value << 8) | u64::from(*byte))
}

macro_rules! number {
    ($name:ident, $first:literal, $error:ident, $what:literal) => {
        #[doc = $what]
        #[derive(
            Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
        )]
        #[serde(try_from = "u64", into = "u64")]
        pub struct $name(u64);

        impl $name {
            /// The smallest value.
            pub const MIN: Self = Self($first);
            /// The largest value.
            pub const MAX: Self = Self(LIMB_END - 1);

            /// The value as an integer.
            #[must_use]
            pub const fn get(self) -> u64 {
                self.0
            }

            /// The value as one field element.
            #[must_use]
            pub fn element(self) -> F {
                limb(self.0)
            }

            /// The value that follows, or none after the largest.
            #[must_use]
            pub fn next(self) -> Option<Self> {
                self.0.checked_add(1).and_then(|value| Self::try_from(value).ok())
            }
        }

        impl TryFrom<u64> for $name {
            type Error = IdError;

            fn try_from(value: u64) -> Result<Self, IdError> {
                if ($first..LIMB_END).contains(&value) {
                    Ok(Self(value))
                } else {
                    Err(IdError::$error(value))
                }
            }
        }

        impl From<$name> for u64 {
            fn from(value: $name) -> Self {
                value.0
            }
        }

        impl FromStr for $name {
            type Err = IdError;

            fn from_str(text: &str) -> Result<Self, IdError> {
                let value: u64 = text.parse().map_err(|_not_decimal| IdError::NotANumber)?;
                Self::try_from(value)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(out)
            }
        }
    };
}

number!(ChannelId, 1, ChannelId, "A channel of one vault: 1 to 2^56 - 1, given by the chain.");
number!(
    Nonce,
    0,
    Nonce,
    "The place of a state in its channel's history: below 2^56, strictly increasing."
);
number!(
    EscrowVersion,
    0,
    EscrowVersion,
    "A version of a channel's escrow ledger: below 2^56; version 0 is the empty ledger."
);
number!(Sequence, 1, Sequence, "The place of a payment among its payer's: 1 to 2^56 - 1.");

impl Nonce {
    /// The nonce of the first checkpoint; no signed state has it.
    pub const ZERO: Self = Self(0);
}

impl EscrowVersion {
    /// The empty ledger.
    pub const ZERO: Self = Self(0);
}

/// An amount of an asset in its base units: below 2^112. Text and JSON are decimal digits.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Amount(u128);

impl Amount {
    /// Nothing.
    pub const ZERO: Self = Self(0);
    /// The largest amount, 2^112 - 1.
    pub const MAX: Self = Self(AMOUNT_END - 1);

    /// The amount in base units.
    #[must_use]
    pub const fn get(self) -> u128 {
        self.0
    }

    /// The amount as the chain's word.
    #[must_use]
    pub fn to_word(self) -> U256 {
        U256::from(self.0)
    }

    /// The two 56-bit limbs, low limb first.
    #[must_use]
    pub fn limbs(self) -> [F; 2] {
        let bytes = self.0.to_be_bytes();
        let [_, _, high @ .., l0, l1, l2, l3, l4, l5, l6] = bytes;
        [limb(be(&[l0, l1, l2, l3, l4, l5, l6])), limb(be(&high))]
    }

    /// The sum, or none from 2^112 on.
    #[must_use]
    pub fn checked_add(self, other: Self) -> Option<Self> {
        self.0.checked_add(other.0).and_then(|sum| Self::try_from(sum).ok())
    }

    /// The difference, or none below zero.
    #[must_use]
    pub fn checked_sub(self, other: Self) -> Option<Self> {
        self.0.checked_sub(other.0).map(Self)
    }
}

impl TryFrom<u128> for Amount {
    type Error = IdError;

    fn try_from(value: u128) -> Result<Self, IdError> {
        if value < AMOUNT_END { Ok(Self(value)) } else { Err(IdError::Amount(value)) }
    }
}

impl TryFrom<U256> for Amount {
    type Error = IdError;

    fn try_from(value: U256) -> Result<Self, IdError> {
        u128::try_from(value)
            .map_err(|_too_large| IdError::Amount(u128::MAX))
            .and_then(Self::try_from)
    }
}

impl From<Amount> for u128 {
    fn from(amount: Amount) -> Self {
        amount.0
    }
}

impl FromStr for Amount {
    type Err = IdError;

    fn from_str(text: &str) -> Result<Self, IdError> {
        let value: u128 = text.parse().map_err(|_not_decimal| IdError::NotANumber)?;
        Self::try_from(value)
    }
}

impl fmt::Display for Amount {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(out)
    }
}

/// Decimal digits, because JSON readers round large numbers.
impl Serialize for Amount {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Amount {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(de::Error::custom)
    }
}

/// Where a state is valid: the first 21 bytes of `keccak256(abi.encode("vrc5", chainId, vipe))`.
///
/// 168 bits: a second preimage is out of reach, and a collision helps only somebody who owns both vaults.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Domain([u8; 21]);

impl Domain {
    /// The domain that no vault has; states signed in it prove that a key works and can never be used on a chain.
    pub const PROOF_OF_POSSESSION: Self = Self([0; 21]);

    /// The domain of the vault `vipe` on the chain `chain_id`.
    #[must_use]
    pub fn derive(chain_id: u64, vipe: Address) -> Self {
        let encoded = ("vrc5".to_owned(), U256::from(chain_id), vipe).abi_encode_params();
        let mut domain = [0; 21];
        for (to, from) in domain.iter_mut().zip(keccak256(encoded)) {
            *to = from;
        }
        Self(domain)
    }

    /// The domain with these bytes.
    #[must_use]
    pub const fn from_bytes(bytes: [u8; 21]) -> Self {
        Self(bytes)
    }

    /// The 21 bytes.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 21] {
        &self.0
    }

    /// The three 56-bit limbs of the bytes read as a big-endian integer, low limb first.
    #[must_use]
    pub fn limbs(&self) -> [F; 3] {
        let [high @ .., m0, m1, m2, m3, m4, m5, m6, l0, l1, l2, l3, l4, l5, l6] = self.0;
        [
            limb(be(&[l0, l1, l2, l3, l4, l5, l6])),
            limb(be(&[m0, m1, m2, m3, m4, m5, m6])),
            limb(be(&high)),
        ]
    }
}

impl fmt::Display for Domain {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&hex::encode_prefixed(self.0))
    }
}

impl fmt::Debug for Domain {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "Domain({self})")
    }
}

impl FromStr for Domain {
    type Err = IdError;

    fn from_str(text: &str) -> Result<Self, IdError> {
        let digits = text.strip_prefix("0x").ok_or(IdError::Domain)?;
        hex::decode_to_array(digits).map(Self).map_err(|_not_hex| IdError::Domain)
    }
}

impl Serialize for Domain {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Domain {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(de::Error::custom)
    }
}

/// An account as three limbs of 56, 56 and 48 bits of its big-endian integer, low limb first.
#[must_use]
pub fn address_limbs(address: &Address) -> [F; 3] {
    let [high @ .., m0, m1, m2, m3, m4, m5, m6, l0, l1, l2, l3, l4, l5, l6] = address.into_array();
    [
        limb(be(&[l0, l1, l2, l3, l4, l5, l6])),
        limb(be(&[m0, m1, m2, m3, m4, m5, m6])),
        limb(be(&high)),
    ]
}

/// A side of a channel.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// Opens the channel, deposits, proposes states and signs last.
    Participant,
    /// The hub: consents to the channel and signs first.
    Counterparty,
}

impl Role {
    /// Both roles, participant first.
    pub const BOTH: [Self; 2] = [Self::Participant, Self::Counterparty];

    /// The other side.
    #[must_use]
    pub const fn other(self) -> Self {
        match self {
            Self::Participant => Self::Counterparty,
            Self::Counterparty => Self::Participant,
        }
    }

    /// The role's byte in encodings: 0 or 1.
    #[must_use]
    pub const fn to_byte(self) -> u8 {
        match self {
            Self::Participant => 0,
            Self::Counterparty => 1,
        }
    }
}

impl TryFrom<u8> for Role {
    type Error = IdError;

    fn try_from(byte: u8) -> Result<Self, IdError> {
        match byte {
            0 => Ok(Self::Participant),
            1 => Ok(Self::Counterparty),
            other => Err(IdError::Role(other)),
        }
    }
}

impl fmt::Display for Role {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(match self {
            Self::Participant => "participant",
            Self::Counterparty => "counterparty",
        })
    }
}

#[cfg(test)]
mod tests;
