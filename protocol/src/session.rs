//! The second lock: the session keys' secp256k1 signatures, which the vault checks beside the proof.
//!
//! A session key signs `State(uint56 channelId,uint56 nonce,uint56 version,uint112 balance)` by EIP-712 in the domain of
//! the vault, deterministically (RFC 6979). The curve is libsecp256k1's: it signs in constant time, and recovers what
//! execution clients recover with it. A signature is the 64 bytes of EIP-2098: r, then s with the parity of R on top.
//!
//! **Invariant:** a [`SessionSignature`] has r and s in 1 .. n and s at most n / 2, as the contract demands: for each
//! signature there is one encoding.
//! **Invariant:** whatever [`SessionSignature::recover`] gives, `ecrecover` gives on chain.

use core::fmt;
use std::borrow::Cow;

use alloy_primitives::aliases::{U56, U112};
use alloy_primitives::{Address, B256};
use alloy_sol_types::{Eip712Domain, SolStruct};
use k256::ecdsa::{Signature, SigningKey};
use secp256k1::ecdsa::{RecoverableSignature, RecoveryId};
use secp256k1::{Message, SECP256K1};
use zeroize::Zeroizing;

use crate::ids::{Amount, ChannelId, EscrowVersion, Nonce};

/// The name in the vault's EIP-712 domain.
const DOMAIN_NAME: &str = "VRC Vipe";
/// The version in the vault's EIP-712 domain.
const DOMAIN_VERSION: &str = "1";
/// The bit of the first byte of `vs` that holds the parity of R.
const PARITY_BIT: u8 = 0x80;

mod typed {
    //! The struct as Solidity has it: its name and its fields' names and types are part of what is signed.
    alloy_sol_types::sol! {
        /// The part of a channel state that the vault reads.
        struct State {
            uint56 channelId;
            uint56 nonce;
            uint56 version;
            uint112 balance;
        }
    }
}

/// Why a session key, address or signature is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SessionError {
    /// The secret is zero, or not below the order of secp256k1.
    #[error("secret session key is out of range")]
    SecretOutOfRange,
    /// The zero address: `ecrecover` answers with it when a signature is invalid.
    #[error("the zero address is no session address")]
    ZeroAddress,
    /// r or s is zero, or not below the order of secp256k1.
    #[error("session signature is out of range")]
    OutOfRange,
    /// s is above half the order: the same signature in its other form.
    #[error("session signature has a high s")]
    HighS,
    /// No key has made this signature.
    #[error("session signature belongs to no key")]
    Unrecoverable,
    /// Another key has made this signature, or it is of another state.
    #[error("session signature is by {found}, not by {expected}")]
    WrongSigner {
        /// The registered address.
        expected: SessionAddress,
        /// Whose signature of this state it would be.
        found: SessionAddress,
    },
    /// The signature cannot be written in 64 bytes. Nobody has ever seen one: the chance is 2^-127.
    #[error("session signature has no compact form")]
    NotCompact,
}

/// Where session signatures count: one vault on one chain.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct SessionDomain {
    /// The chain's id (EIP-155).
    pub chain_id: u64,
    /// The vault.
    pub vipe: Address,
}

impl SessionDomain {
    /// The vault's EIP-712 domain, which serves its consents as well.
    #[must_use]
    pub const fn eip712(&self) -> Eip712Domain {
        Eip712Domain::new(
            Some(Cow::Borrowed(DOMAIN_NAME)),
            Some(Cow::Borrowed(DOMAIN_VERSION)),
            Some(alloy_primitives::U256::from_limbs([self.chain_id, 0, 0, 0])),
            Some(self.vipe),
            None,
        )
    }
}

/// What a session key signs of a state.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct SessionState {
    /// The channel.
    pub channel_id: ChannelId,
    /// The state's nonce.
    pub nonce: Nonce,
    /// The escrow version that it spends from.
    pub version: EscrowVersion,
    /// The participant's balance, in base units.
    pub balance: Amount,
}

impl SessionState {
    /// The EIP-712 digest of this state in `domain`.
    #[must_use]
    pub fn digest(&self, domain: &SessionDomain) -> B256 {
        let state = typed::State {
            channelId: U56::from(self.channel_id.get()),
            nonce: U56::from(self.nonce.get()),
            version: U56::from(self.version.get()),
            balance: U112::from(self.balance.get()),
        };
        state.eip712_signing_hash(&domain.eip712())
    }
}

/// The address of a session key: not zero.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SessionAddress(Address);

impl SessionAddress {
    /// The address itself.
    #[must_use]
    pub const fn get(self) -> Address {
        self.0
    }
}

impl TryFrom<Address> for SessionAddress {
    type Error = SessionError;

    fn try_from(address: Address) -> Result<Self, SessionError> {
        if address.is_zero() { Err(SessionError::ZeroAddress) } else { Ok(Self(address)) }
    }
}

impl From<SessionAddress> for Address {
    fn from(address: SessionAddress) -> Self {
        address.0
    }
}

impl fmt::Display for SessionAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Debug for SessionAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SessionAddress({self})")
    }
}

/// The secret of a session key. Overwritten when dropped, never printed.
#[derive(Clone)]
pub struct SessionKey(SigningKey);

impl SessionKey {
    /// Bytes of a secret.
    pub const LEN: usize = 32;

    /// The key with this secret, big endian.
    ///
    /// # Errors
    /// [`SessionError::SecretOutOfRange`] for zero, and for the order of secp256k1 or more.
    pub fn from_bytes(bytes: &[u8; Self::LEN]) -> Result<Self, SessionError> {
        SigningKey::from_bytes(bytes.into())
            .map(Self)
            .map_err(|_out_of_range| SessionError::SecretOutOfRange)
    }

    /// The address that `open` registers.
    #[must_use]
    pub fn address(&self) -> SessionAddress {
        SessionAddress(Address::from_public_key(self.0.verifying_key()))
    }

    /// Signs `state` for `domain`, deterministically.
    ///
    /// # Errors
    /// [`SessionError::NotCompact`], with a chance of 2^-127.
    pub fn sign(
        &self,
        domain: &SessionDomain,
        state: &SessionState,
    ) -> Result<SessionSignature, SessionError> {
        self.sign_digest(&state.digest(domain))
    }

    /// Signs an EIP-712 digest, deterministically.
    ///
    /// # Errors
    /// [`SessionError::NotCompact`], with a chance of 2^-127.
    pub fn sign_digest(&self, digest: &B256) -> Result<SessionSignature, SessionError> {
        let bytes = Zeroizing::new(<[u8; Self::LEN]>::from(self.0.to_bytes()));
        let mut secret = secp256k1::SecretKey::from_byte_array(*bytes)
            .map_err(|_out_of_range| SessionError::SecretOutOfRange)?;
        let signed = SECP256K1.sign_ecdsa_recoverable(Message::from_digest(digest.0), &secret);
        secret.non_secure_erase();
        let (recovery, bytes) = signed.serialize_compact();
        let is_y_odd = match recovery {
            RecoveryId::Zero => false,
            RecoveryId::One => true,
            // r is the x-coordinate less the order.
            RecoveryId::Two | RecoveryId::Three => return Err(SessionError::NotCompact),
        };
        let signature =
            Signature::from_slice(&bytes).map_err(|_out_of_range| SessionError::OutOfRange)?;
        SessionSignature::from_parts(signature, is_y_odd)
    }
}

impl fmt::Debug for SessionKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SessionKey(of {})", self.address())
    }
}

/// A session key's signature: r and s in range, s low, and the parity of R.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct SessionSignature {
    signature: Signature,
    is_y_odd: bool,
}

impl SessionSignature {
    /// Bytes of an encoded signature.
    pub const LEN: usize = 64;

    fn from_parts(signature: Signature, is_y_odd: bool) -> Result<Self, SessionError> {
        if signature.normalize_s().is_some() {
            return Err(SessionError::HighS);
        }
        Ok(Self { signature, is_y_odd })
    }

    /// Reads EIP-2098: r, then the parity of R in the top bit and s below it, all big endian.
    ///
    /// # Errors
    /// [`SessionError::OutOfRange`] or [`SessionError::HighS`].
    pub fn from_bytes(bytes: &[u8; Self::LEN]) -> Result<Self, SessionError> {
        let (mut r, mut s) = ([0; 32], [0; 32]);
        r.copy_from_slice(&bytes[..32]);
        s.copy_from_slice(&bytes[32..]);
        let [first, ..] = &mut s;
        let is_y_odd = *first & PARITY_BIT != 0;
        *first &= !PARITY_BIT;
        let signature =
            Signature::from_scalars(r, s).map_err(|_out_of_range| SessionError::OutOfRange)?;
        Self::from_parts(signature, is_y_odd)
    }

    /// Writes what [`SessionSignature::from_bytes`] reads.
    #[must_use]
    pub fn to_bytes(&self) -> [u8; Self::LEN] {
        let mut bytes = [0; Self::LEN];
        bytes[..32].copy_from_slice(self.r().as_slice());
        bytes[32..].copy_from_slice(self.vs().as_slice());
        bytes
    }

    /// r, as the contract takes it.
    #[must_use]
    pub fn r(&self) -> B256 {
        B256::new(self.signature.r().to_bytes().into())
    }

    /// s with the parity of R in its top bit, as the contract takes it.
    #[must_use]
    pub fn vs(&self) -> B256 {
        let mut vs: [u8; 32] = self.signature.s().to_bytes().into();
        if self.is_y_odd {
            let [first, ..] = &mut vs;
            *first |= PARITY_BIT;
        }
        B256::new(vs)
    }

    /// Whose signature of `state` this is.
    ///
    /// # Errors
    /// [`SessionError::Unrecoverable`] if r is the x-coordinate of no point.
    pub fn recover(
        &self,
        domain: &SessionDomain,
        state: &SessionState,
    ) -> Result<SessionAddress, SessionError> {
        self.recover_digest(&state.digest(domain))
    }

    /// Checks that this is `signer`'s signature of `state`.
    ///
    /// # Errors
    /// [`SessionError::Unrecoverable`] or [`SessionError::WrongSigner`].
    pub fn verify(
        &self,
        domain: &SessionDomain,
        state: &SessionState,
        signer: SessionAddress,
    ) -> Result<(), SessionError> {
        let found = self.recover(domain, state)?;
        if found == signer {
            Ok(())
        } else {
            Err(SessionError::WrongSigner { expected: signer, found })
        }
    }

    /// Whose signature of an EIP-712 digest this is: (s R - z G) / r.
    ///
    /// # Errors
    /// [`SessionError::Unrecoverable`] if r is the x-coordinate of no point, or the key would be the point at infinity.
    pub fn recover_digest(&self, digest: &B256) -> Result<SessionAddress, SessionError> {
        let recovery = if self.is_y_odd { RecoveryId::One } else { RecoveryId::Zero };
        let signature = RecoverableSignature::from_compact(&self.signature.to_bytes(), recovery);
        let key = signature
            .and_then(|signed| SECP256K1.recover_ecdsa(Message::from_digest(digest.0), &signed))
            .map_err(|_no_key| SessionError::Unrecoverable)?;
        let [_uncompressed, key @ ..] = key.serialize_uncompressed();
        SessionAddress::try_from(Address::from_raw_public_key(&key))
    }
}

impl fmt::Debug for SessionSignature {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SessionSignature({}, {})", self.r(), self.vs())
    }
}
