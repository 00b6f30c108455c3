//! Schnorr signatures over EcGFp5 with a Poseidon challenge, cheap to prove inside a Plonky2 circuit.
//!
//! ```text
//!   sign     R = k G,  e = first two elements of Poseidon(tag, R, PK, m),  s = k - (e0 + 2^64 e1) x mod n
//!   verify   e equals the challenge of R' = s G + e PK, computed by the acceptance chain
//! ```
//!
//! Points enter the hash by their encoding w = y / x; the hash has 15 elements: tag, R (5), PK (5), m (4).
//!
//! **Invariant:** acceptance is one predicate. What [`PublicKey::verify`] accepts is what the circuit can prove: same chain
//! of additions ([`crate::ecgfp5::chain`]), same refusals.
//! **Invariant:** a signature made under one [`Tag`] verifies under no other.

use core::fmt;

use hkdf::Hkdf;
use plonky2_field::types::{Field, PrimeField64};
use sha2::Sha256;
use zeroize::Zeroizing;

use crate::F;
use crate::ecgfp5::{EqualX, NonCanonicalScalar, Point, Scalar, chain};
use crate::hash::{
    Digest, ELEMENT_LEN, NonCanonicalElement, element_from_bytes, element_to_bytes, poseidon,
};
pub use crate::keys::{KeyError, PublicKey, SecretKey, SharedPoint, keys_digest};
use crate::tags::{self, PoseidonTag};

/// What a signature is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Tag {
    /// The participant's consent to a state.
    StateParticipant,
    /// The counterparty's consent to a state.
    StateCounterparty,
    /// The participant's proposal of a next state.
    Propose,
    /// A party's backup envelope.
    Envelope,
    /// A payee's word that a payment reached it.
    Receipt,
}

impl Tag {
    /// Every tag there is.
    pub const ALL: [Self; 5] = [
        Self::StateParticipant,
        Self::StateCounterparty,
        Self::Propose,
        Self::Envelope,
        Self::Receipt,
    ];

    /// The tag of the challenge's hash.
    #[must_use]
    pub const fn poseidon(self) -> PoseidonTag {
        match self {
            Self::StateParticipant => tags::SIGN_STATE_PARTICIPANT,
            Self::StateCounterparty => tags::SIGN_STATE_COUNTERPARTY,
            Self::Propose => tags::SIGN_PROPOSE,
            Self::Envelope => tags::SIGN_ENVELOPE,
            Self::Receipt => tags::SIGN_RECEIPT,
        }
    }
}

/// Why a signature is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SignatureError {
    /// An element of the challenge is not below the prime.
    #[error("signature: {0}")]
    NonCanonicalChallenge(#[from] NonCanonicalElement),
    /// s is not below the order of the group.
    #[error("signature: {0}")]
    NonCanonicalScalar(#[from] NonCanonicalScalar),
    /// The challenge is zero: the signature would not depend on the key.
    #[error("signature has a challenge of zero")]
    ZeroChallenge,
    /// s is zero.
    #[error("signature has a scalar of zero")]
    ZeroScalar,
    /// An addition of the acceptance chain has no answer, so no proof of this signature exists. R neutral is one case.
    #[error("signature cannot be proven: {0}")]
    Unprovable(#[from] EqualX),
    /// The challenge is not that of the commitment: wrong key, tag, message or signature.
    #[error("signature does not match")]
    Mismatch,
}

/// A signature: the challenge and the response, both in range, neither zero.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Signature {
    e: [F; 2],
    s: Scalar,
}

impl Signature {
    /// Bytes of an encoded signature.
    pub const LEN: usize = 2 * ELEMENT_LEN + Scalar::LEN;

    /// The signature with challenge `e` and response `s`.
    ///
    /// # Errors
    /// [`SignatureError::ZeroChallenge`] or [`SignatureError::ZeroScalar`].
    pub fn from_parts(e: [F; 2], s: Scalar) -> Result<Self, SignatureError> {
        if e == [F::ZERO; 2] {
            return Err(SignatureError::ZeroChallenge);
        }
        if s.is_zero().into() {
            return Err(SignatureError::ZeroScalar);
        }
        Ok(Self { e, s })
    }

    /// Reads e as 2 times 8 bytes big endian, then s as 40 bytes little endian.
    ///
    /// # Errors
    /// Every [`SignatureError`] that does not need the key.
    pub fn from_bytes(bytes: &[u8; Self::LEN]) -> Result<Self, SignatureError> {
        let mut e0 = [0; ELEMENT_LEN];
        let mut e1 = [0; ELEMENT_LEN];
        let mut s = [0; Scalar::LEN];
        e0.copy_from_slice(&bytes[..ELEMENT_LEN]);
        e1.copy_from_slice(&bytes[ELEMENT_LEN..2 * ELEMENT_LEN]);
        s.copy_from_slice(&bytes[2 * ELEMENT_LEN..]);
        Self::from_parts(
            [element_from_bytes(e0)?, element_from_bytes(e1)?],
            Scalar::from_bytes(&s)?,
        )
    }

    /// Writes what [`Signature::from_bytes`] reads.
    #[must_use]
    pub fn to_bytes(&self) -> [u8; Self::LEN] {
        let mut bytes = [0; Self::LEN];
        bytes[..ELEMENT_LEN].copy_from_slice(&element_to_bytes(self.e[0]));
        bytes[ELEMENT_LEN..2 * ELEMENT_LEN].copy_from_slice(&element_to_bytes(self.e[1]));
        bytes[2 * ELEMENT_LEN..].copy_from_slice(&self.s.to_bytes());
        bytes
    }

    /// The challenge, e0 + 2^64 e1 as an integer.
    #[must_use]
    pub const fn e(&self) -> [F; 2] {
        self.e
    }

    /// The response.
    #[must_use]
    pub const fn s(&self) -> &Scalar {
        &self.s
    }
}

impl fmt::Debug for Signature {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Signature(0x")?;
        self.to_bytes().iter().try_for_each(|byte| write!(f, "{byte:02x}"))?;
        f.write_str(")")
    }
}

/// The challenge: the first two elements of Poseidon(tag, R, PK, m), with R and PK as their encodings.
#[must_use]
pub fn challenge(tag: Tag, commitment: &[F; 5], key: &[F; 5], message: &Digest) -> [F; 2] {
    let [r0, r1, r2, r3, r4] = *commitment;
    let [k0, k1, k2, k3, k4] = *key;
    let [m0, m1, m2, m3] = message.elements();
    let digest = poseidon(tag.poseidon(), [r0, r1, r2, r3, r4, k0, k1, k2, k3, k4, m0, m1, m2, m3]);
    let [e0, e1, ..] = digest.elements();
    [e0, e1]
}

/// The challenge as an integer.
fn challenge_scalar(e: &[F; 2]) -> Scalar {
    Scalar::from_words(e[0].to_canonical_u64(), e[1].to_canonical_u64())
}

impl SecretKey {
    /// Signs `message`, in constant time.
    ///
    /// The nonce is derived from the secret, the tag, the message and `hedge`. Fresh random bytes there protect against
    /// faults and side channels; a constant still never repeats a nonce for two messages.
    #[must_use]
    pub fn sign(&self, tag: Tag, message: &Digest, hedge: &[u8; 32]) -> Signature {
        let mut attempt = 0u64;
        loop {
            // A zero nonce, challenge or response has a chance of 2^-128 or less: the loop runs once.
            if let Some(signature) =
                self.sign_with_nonce(tag, message, &self.nonce(tag, message, hedge, attempt))
            {
                return signature;
            }
            attempt = attempt.wrapping_add(1);
        }
    }

    fn sign_with_nonce(&self, tag: Tag, message: &Digest, nonce: &Scalar) -> Option<Signature> {
        let commitment = Zeroizing::new(Point::multiply_generator(nonce));
        if commitment.is_neutral().into() {
            return None;
        }
        let e = challenge(tag, &commitment.encode(), &self.public_key().to_elements(), message);
        // e is public, so this product is the key: it is wiped like one.
        let product = Zeroizing::new(challenge_scalar(&e).times(self.scalar()));
        Signature::from_parts(e, nonce.minus(&product)).ok()
    }

    /// HKDF-SHA256 with the hedge as salt and the secret as input, expanded to 64 bytes and reduced modulo n.
    fn nonce(
        &self,
        tag: Tag,
        message: &Digest,
        hedge: &[u8; 32],
        attempt: u64,
    ) -> Zeroizing<Scalar> {
        let secret = Zeroizing::new(self.scalar().to_bytes());
        let mut wide = Zeroizing::new([0; 64]);
        let info: [&[u8]; 4] = [
            b"vrc schnorr nonce v1",
            &tag.poseidon().get().to_be_bytes(),
            &message.to_bytes(),
            &attempt.to_be_bytes(),
        ];
        let expanded = Hkdf::<Sha256>::new(Some(hedge), secret.as_slice())
            .expand_multi_info(&info, wide.as_mut_slice());
        debug_assert!(expanded.is_ok(), "64 bytes are within HKDF's limit of 255 blocks");
        Zeroizing::new(Scalar::from_wide_bytes(&wide))
    }
}

/// Whoever can say whether a signature is a key's: the key itself, or [`crate::known_key::KnownKey`], which is faster.
pub trait Verify {
    /// Whether `signature` is the key's, of `message`, under `tag`.
    ///
    /// # Errors
    /// [`SignatureError::Unprovable`] or [`SignatureError::Mismatch`].
    fn verify(
        &self,
        tag: Tag,
        message: &Digest,
        signature: &Signature,
    ) -> Result<(), SignatureError>;
}

impl Verify for PublicKey {
    fn verify(
        &self,
        tag: Tag,
        message: &Digest,
        signature: &Signature,
    ) -> Result<(), SignatureError> {
        // The inherent one: by the acceptance chain.
        Self::verify(self, tag, message, signature)
    }
}

impl PublicKey {
    /// Whether `signature` is this key's, of `message`, under `tag`.
    ///
    /// # Errors
    /// [`SignatureError::Unprovable`] or [`SignatureError::Mismatch`].
    pub fn verify(
        &self,
        tag: Tag,
        message: &Digest,
        signature: &Signature,
    ) -> Result<(), SignatureError> {
        let commitment = chain::commitment(self.affine(), &signature.s, &signature.e)?;
        let expected = challenge(tag, &commitment.encode(), &self.to_elements(), message);
        if expected == signature.e { Ok(()) } else { Err(SignatureError::Mismatch) }
    }
}
