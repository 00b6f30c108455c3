//! Channel keys: secrets that do not print, public keys that are checked once, and the digest of a channel's two keys.
//!
//! ```text
//!   32 random bytes --Seed--> SecretKey --public_key--> PublicKey --keys_digest--> what `open` registers on chain
//!                                 |
//!                                 +--diffie_hellman--> SharedPoint --HKDF--> the channel's dispute key
//! ```
//!
//! **Invariant:** a [`PublicKey`] is an element of the group other than the neutral one, in its one canonical encoding.
//! **Invariant:** a [`SecretKey`] is not zero, is never printed and is overwritten when dropped.

use core::fmt;

use plonky2_field::types::{Field, PrimeField64};
use zeroize::{Zeroize, ZeroizeOnDrop, Zeroizing};

use crate::F;
use crate::ecgfp5::{AffinePoint, Point, Scalar};
use crate::hash::{
    Digest, ELEMENT_LEN, NonCanonicalElement, element_to_bytes, elements_from_bytes, poseidon,
};
use crate::tags;

/// Why bytes or elements are no channel key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum KeyError {
    /// A coefficient is not below the prime.
    #[error("channel key: {0}")]
    NonCanonical(#[from] NonCanonicalElement),
    /// No element of the group has this encoding.
    #[error("channel key is not an element of the group")]
    NotInGroup,
    /// The neutral element: everybody knows its secret.
    #[error("channel key is the neutral element")]
    Neutral,
    /// The secret scalar is zero, or not below the order of the group.
    #[error("secret channel key is out of range")]
    SecretOutOfRange,
    /// Participant and counterparty have the same key.
    #[error("both roles have the same channel key")]
    SameForBothRoles,
}

/// The secret of a channel key.
#[derive(Clone, Zeroize, ZeroizeOnDrop)]
pub struct SecretKey {
    scalar: Scalar,
    #[zeroize(skip)]
    public: PublicKey,
}

impl SecretKey {
    /// The key with this secret: 40 bytes, little endian.
    ///
    /// # Errors
    /// [`KeyError::SecretOutOfRange`] for zero, and for the order of the group or more.
    pub fn from_bytes(bytes: &[u8; Scalar::LEN]) -> Result<Self, KeyError> {
        let scalar =
            Scalar::from_bytes(bytes).map_err(|_out_of_range| KeyError::SecretOutOfRange)?;
        Self::from_scalar(scalar)
    }

    /// The key with the secret that 64 uniform bytes reduce to.
    ///
    /// # Errors
    /// [`KeyError::SecretOutOfRange`] if that is zero.
    pub fn from_wide_bytes(bytes: &[u8; 64]) -> Result<Self, KeyError> {
        Self::from_scalar(Scalar::from_wide_bytes(bytes))
    }

    fn from_scalar(scalar: Scalar) -> Result<Self, KeyError> {
        // Zero is the one scalar whose product is neutral: the group's order is prime.
        let point = Zeroizing::new(Point::multiply_generator(&scalar));
        let affine = point.to_affine().ok_or(KeyError::SecretOutOfRange)?;
        Ok(Self { scalar, public: PublicKey { encoding: point.encode(), affine } })
    }

    /// The public key.
    #[must_use]
    pub const fn public_key(&self) -> &PublicKey {
        &self.public
    }

    /// The secret itself, for the signer.
    pub(crate) const fn scalar(&self) -> &Scalar {
        &self.scalar
    }

    /// The point that only the holders of the two secrets can compute, in constant time.
    ///
    /// # Errors
    /// [`KeyError::Neutral`] if the product is the neutral element. That of two checked keys never is.
    pub fn diffie_hellman(&self, other: &PublicKey) -> Result<SharedPoint, KeyError> {
        let other = Point::decode(&other.encoding).ok_or(KeyError::NotInGroup)?;
        let shared = Zeroizing::new(other.multiply(&self.scalar));
        if shared.is_neutral().into() {
            return Err(KeyError::Neutral);
        }
        Ok(SharedPoint(Zeroizing::new(encoding_to_bytes(&shared.encode()))))
    }
}

impl fmt::Debug for SecretKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SecretKey(of {})", self.public)
    }
}

/// A Diffie-Hellman point: the 40 bytes of its encoding, laid out like a public key's.
#[derive(Clone)]
pub struct SharedPoint(Zeroizing<[u8; PublicKey::LEN]>);

impl SharedPoint {
    /// The bytes. Input for a key derivation, never a key itself.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8; PublicKey::LEN] {
        &self.0
    }
}

impl fmt::Debug for SharedPoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SharedPoint(..)")
    }
}

/// A channel key: an element of the group, not neutral.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct PublicKey {
    encoding: [F; 5],
    affine: AffinePoint,
}

impl PublicKey {
    /// Bytes of an encoded key.
    pub const LEN: usize = 40;

    /// Reads five elements, 8 bytes big endian each, lowest power of z first.
    ///
    /// # Errors
    /// [`KeyError::NonCanonical`], [`KeyError::NotInGroup`] or [`KeyError::Neutral`]. Everything else is a key.
    pub fn from_bytes(bytes: &[u8; Self::LEN]) -> Result<Self, KeyError> {
        let (chunks, _empty) = bytes.as_chunks::<ELEMENT_LEN>();
        let mut encoding = [[0; ELEMENT_LEN]; 5];
        encoding.copy_from_slice(chunks);
        Self::from_elements(elements_from_bytes(&encoding)?)
    }

    /// The key with the encoding w = y / x, as the chain emits it.
    ///
    /// # Errors
    /// [`KeyError::NotInGroup`] or [`KeyError::Neutral`].
    pub fn from_elements(encoding: [F; 5]) -> Result<Self, KeyError> {
        if encoding == [F::ZERO; 5] {
            return Err(KeyError::Neutral);
        }
        let affine = AffinePoint::decode(&encoding).ok_or(KeyError::NotInGroup)?;
        Ok(Self {
            encoding: encoding.map(|element| F::from_canonical_u64(element.to_canonical_u64())),
            affine,
        })
    }

    /// Five elements, 8 bytes big endian each, lowest power of z first.
    #[must_use]
    pub fn to_bytes(&self) -> [u8; Self::LEN] {
        encoding_to_bytes(&self.encoding)
    }

    /// The same five elements as integers: how the vault takes and emits a key.
    #[must_use]
    pub fn to_integers(&self) -> [u64; 5] {
        self.encoding.map(|element| element.to_canonical_u64())
    }

    /// The encoding w = y / x.
    #[must_use]
    pub const fn to_elements(&self) -> [F; 5] {
        self.encoding
    }

    /// The point of order n with the same w: what the circuit computes with.
    #[must_use]
    pub const fn affine(&self) -> &AffinePoint {
        &self.affine
    }
}

fn encoding_to_bytes(encoding: &[F; 5]) -> [u8; PublicKey::LEN] {
    let mut bytes = [0; PublicKey::LEN];
    for (chunk, element) in bytes.chunks_exact_mut(ELEMENT_LEN).zip(encoding) {
        chunk.copy_from_slice(&element_to_bytes(*element));
    }
    bytes
}

impl fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PublicKey({self})")
    }
}

impl fmt::Display for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("0x")?;
        self.to_bytes().iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

/// Poseidon(KEYS, participant's key, counterparty's key): what `open` registers, and what a proof is about.
///
/// # Errors
/// [`KeyError::SameForBothRoles`]: with one key for both, one party's signatures would be the other's.
pub fn keys_digest(participant: &PublicKey, counterparty: &PublicKey) -> Result<Digest, KeyError> {
    if participant == counterparty {
        return Err(KeyError::SameForBothRoles);
    }
    let [p0, p1, p2, p3, p4] = participant.encoding;
    let [c0, c1, c2, c3, c4] = counterparty.encoding;
    Ok(poseidon(tags::KEYS, [p0, p1, p2, p3, p4, c0, c1, c2, c3, c4]))
}
