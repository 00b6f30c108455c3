//! Field elements as bytes, and the Poseidon digest that states, keys and challenges are made of.
//!
//! A field element is 8 bytes, big endian, below the Goldilocks prime p = 2^64 - 2^32 + 1. A [`Digest`] is four of them.
//!
//! **Invariant:** whatever decodes has exactly one encoding: an element of p or more is refused, never reduced.

use core::fmt;

use plonky2::hash::hashing::hash_n_to_hash_no_pad;
use plonky2::hash::poseidon::PoseidonPermutation;
use plonky2_field::types::{Field, Field64, PrimeField64};

use crate::F;
use crate::tags::PoseidonTag;

/// Bytes of one encoded field element.
pub const ELEMENT_LEN: usize = 8;

/// Bytes that are not the encoding of any field element: the integer in them is the prime or more.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("field element {value:#018x} is not below the prime")]
pub struct NonCanonicalElement {
    /// The integer that was read.
    pub value: u64,
}

/// The element `value`.
///
/// # Errors
/// [`NonCanonicalElement`] if `value` is the prime or more.
pub fn element(value: u64) -> Result<F, NonCanonicalElement> {
    if value < F::ORDER {
        Ok(F::from_canonical_u64(value))
    } else {
        Err(NonCanonicalElement { value })
    }
}

/// Reads one element: 8 bytes, big endian.
///
/// # Errors
/// [`NonCanonicalElement`] if the integer is the prime or more.
pub fn element_from_bytes(bytes: [u8; ELEMENT_LEN]) -> Result<F, NonCanonicalElement> {
    element(u64::from_be_bytes(bytes))
}

/// Writes one element: 8 bytes, big endian, canonical.
#[must_use]
pub fn element_to_bytes(element: F) -> [u8; ELEMENT_LEN] {
    element.to_canonical_u64().to_be_bytes()
}

/// Reads `N` elements from exactly `N * 8` bytes.
///
/// # Errors
/// [`NonCanonicalElement`], of the first element that is the prime or more.
pub fn elements_from_bytes<const N: usize>(
    bytes: &[[u8; ELEMENT_LEN]; N],
) -> Result<[F; N], NonCanonicalElement> {
    let mut elements = [F::ZERO; N];
    for (element, bytes) in elements.iter_mut().zip(bytes) {
        *element = element_from_bytes(*bytes)?;
    }
    Ok(elements)
}

/// A Poseidon digest: four field elements.
#[derive(Clone, Copy, Default, PartialEq, Eq, Hash)]
pub struct Digest(pub [F; 4]);

impl Digest {
    /// Bytes of an encoded digest.
    pub const LEN: usize = 32;

    /// Four elements, each 8 bytes big endian.
    #[must_use]
    pub fn to_bytes(&self) -> [u8; Self::LEN] {
        let mut bytes = [0; Self::LEN];
        for (chunk, element) in bytes.chunks_exact_mut(ELEMENT_LEN).zip(self.0) {
            chunk.copy_from_slice(&element_to_bytes(element));
        }
        bytes
    }

    /// Reads what [`Digest::to_bytes`] writes, and nothing else.
    ///
    /// # Errors
    /// [`NonCanonicalElement`] if one of the four integers is the prime or more.
    pub fn from_bytes(bytes: &[u8; Self::LEN]) -> Result<Self, NonCanonicalElement> {
        let (chunks, _empty) = bytes.as_chunks::<ELEMENT_LEN>();
        let mut elements = [F::ZERO; 4];
        for (element, chunk) in elements.iter_mut().zip(chunks) {
            *element = element_from_bytes(*chunk)?;
        }
        Ok(Self(elements))
    }

    /// The four elements.
    #[must_use]
    pub const fn elements(&self) -> [F; 4] {
        self.0
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Digest({self})")
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("0x")?;
        self.to_bytes().iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

/// Poseidon over `tag` followed by `inputs`: Plonky2's `hash_n_to_hash_no_pad`.
///
/// The hash does not pad, so every tag MUST be used with inputs of one length only.
#[must_use]
pub fn poseidon<const N: usize>(tag: PoseidonTag, inputs: [F; N]) -> Digest {
    let mut message = Vec::with_capacity(N.saturating_add(1));
    message.push(F::from_canonical_u64(tag.get()));
    message.extend(inputs);
    Digest(hash_n_to_hash_no_pad::<F, PoseidonPermutation<F>>(&message).elements)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::tags;

    #[test]
    fn an_element_of_the_prime_or_more_is_refused() {
        assert!(element_from_bytes((F::ORDER - 1).to_be_bytes()).is_ok());
        for value in [F::ORDER, F::ORDER + 1, u64::MAX] {
            assert_eq!(element_from_bytes(value.to_be_bytes()), Err(NonCanonicalElement { value }));
        }
    }

    #[test]
    fn a_digest_with_one_non_canonical_element_is_refused() {
        for position in 0..4 {
            let mut bytes = Digest([F::ONE; 4]).to_bytes();
            bytes[position * 8..][..8].copy_from_slice(&F::ORDER.to_be_bytes());
            assert_eq!(Digest::from_bytes(&bytes), Err(NonCanonicalElement { value: F::ORDER }));
        }
    }

    #[test]
    fn an_element_held_in_redundant_form_is_written_canonically() {
        assert_eq!(
            element_to_bytes(plonky2_field::goldilocks_field::GoldilocksField(F::ORDER + 5)),
            5u64.to_be_bytes()
        );
    }

    #[test]
    fn the_tag_changes_the_digest() {
        let inputs = [F::ONE; 10];
        assert_ne!(poseidon(tags::STATE, inputs), poseidon(tags::KEYS, inputs));
    }

    proptest! {
        #[test]
        fn a_digest_survives_its_encoding(values in prop::array::uniform4(0..F::ORDER)) {
            let digest = Digest(values.map(F::from_canonical_u64));
            prop_assert_eq!(Digest::from_bytes(&digest.to_bytes()), Ok(digest));
        }
    }
}
