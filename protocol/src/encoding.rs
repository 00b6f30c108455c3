//! Strict fixed-width decoding: every byte is accounted for, and nothing is read twice or left over.
//!
//! **Invariant:** whatever decodes has exactly one encoding, the one that encodes it again.

use crate::{
    F,
    hash::{Digest, NonCanonicalElement, element_from_bytes},
    ids::{Amount, ChannelId, Domain, EscrowVersion, IdError, Nonce, Role},
    schnorr,
    session::SessionSignature,
};

/// Why bytes are not the encoding of anything.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DecodeError {
    /// Every encoding has one length.
    #[error("{got} bytes instead of {expected}")]
    Length {
        /// The one length.
        expected: usize,
        /// How many bytes there were.
        got: usize,
    },
    /// A number is out of its type's range.
    #[error(transparent)]
    Id(#[from] IdError),
    /// A field element is not canonical.
    #[error(transparent)]
    Element(#[from] NonCanonicalElement),
    /// A signature is not in its one canonical form.
    #[error("not a canonical signature")]
    Signature,
    /// The format has another version.
    #[error("format version {0} is unknown")]
    Version(u8),
    /// A byte that says what follows says nothing known.
    #[error("kind {0} is unknown")]
    Kind(u8),
    /// A field that must be empty or must not be.
    #[error("a field is set that its kind does not have, or the reverse")]
    Shape,
}

/// Takes fields off the front of a byte string of known length.
#[derive(Debug)]
pub(crate) struct Reader<'a> {
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    /// Reads `bytes`, which must be exactly `expected` long.
    pub(crate) fn new(bytes: &'a [u8], expected: usize) -> Result<Self, DecodeError> {
        if bytes.len() == expected {
            Ok(Self { rest: bytes })
        } else {
            Err(DecodeError::Length { expected, got: bytes.len() })
        }
    }

    /// The next `N` bytes.
    pub(crate) fn take<const N: usize>(&mut self) -> Result<[u8; N], DecodeError> {
        self.slice(N)?
            .try_into()
            .map_err(|_other_length| DecodeError::Length { expected: N, got: 0 })
    }

    /// The next `length` bytes.
    pub(crate) fn slice(&mut self, length: usize) -> Result<&'a [u8], DecodeError> {
        let (taken, rest) = self
            .rest
            .split_at_checked(length)
            .ok_or(DecodeError::Length { expected: length, got: self.rest.len() })?;
        self.rest = rest;
        Ok(taken)
    }

    /// All that is left, if it is at most so long.
    pub(crate) fn rest(&mut self, most: usize) -> Result<&'a [u8], DecodeError> {
        let length = self.rest.len();
        if length > most {
            return Err(DecodeError::Length { expected: most, got: length });
        }
        self.slice(length)
    }

    pub(crate) fn byte(&mut self) -> Result<u8, DecodeError> {
        self.take::<1>().map(|[byte]| byte)
    }

    pub(crate) fn role(&mut self) -> Result<Role, DecodeError> {
        Ok(Role::try_from(self.byte()?)?)
    }

    pub(crate) fn domain(&mut self) -> Result<Domain, DecodeError> {
        self.take().map(Domain::from_bytes)
    }

    pub(crate) fn channel_id(&mut self) -> Result<ChannelId, DecodeError> {
        Ok(ChannelId::try_from(u64::from_be_bytes(self.take()?))?)
    }

    pub(crate) fn nonce(&mut self) -> Result<Nonce, DecodeError> {
        Ok(Nonce::try_from(u64::from_be_bytes(self.take()?))?)
    }

    pub(crate) fn version(&mut self) -> Result<EscrowVersion, DecodeError> {
        Ok(EscrowVersion::try_from(u64::from_be_bytes(self.take()?))?)
    }

    pub(crate) fn amount(&mut self) -> Result<Amount, DecodeError> {
        Ok(Amount::try_from(u128::from_be_bytes(self.take()?))?)
    }

    pub(crate) fn digest(&mut self) -> Result<Digest, DecodeError> {
        Ok(Digest::from_bytes(&self.take()?)?)
    }

    pub(crate) fn elements<const N: usize>(&mut self) -> Result<[F; N], DecodeError> {
        let mut elements = [F::default(); N];
        for element in &mut elements {
            *element = element_from_bytes(self.take()?)?;
        }
        Ok(elements)
    }

    pub(crate) fn signature(&mut self) -> Result<schnorr::Signature, DecodeError> {
        schnorr::Signature::from_bytes(&self.take()?).map_err(|_malformed| DecodeError::Signature)
    }

    pub(crate) fn session_signature(&mut self) -> Result<SessionSignature, DecodeError> {
        SessionSignature::from_bytes(&self.take()?).map_err(|_malformed| DecodeError::Signature)
    }

    /// Everything was read.
    pub(crate) fn finish(self) -> Result<(), DecodeError> {
        if self.rest.is_empty() {
            Ok(())
        } else {
            Err(DecodeError::Length { expected: 0, got: self.rest.len() })
        }
    }
}

/// 32 bytes as five elements: four limbs of 56 bits and one of 32, from the first byte on. Injective.
pub(crate) fn bytes32_elements(bytes: &[u8; 32]) -> [F; 5] {
    let mut elements = [F::default(); 5];
    for (element, chunk) in elements.iter_mut().zip(bytes.chunks(7)) {
        let limb = chunk.iter().fold(0_u64, |value, byte| (value << 8) | u64::from(*byte));
        // Seven bytes are below the prime.
        *element = plonky2_field::types::Field::from_canonical_u64(limb);
    }
    elements
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn another_length_is_refused() {
        assert_eq!(
            Reader::new(&[0; 3], 4).unwrap_err(),
            DecodeError::Length { expected: 4, got: 3 }
        );
        let mut reader = Reader::new(&[0; 4], 4).unwrap();
        assert!(reader.take::<5>().is_err());
        assert_eq!(reader.take::<3>(), Ok([0; 3]));
        assert!(reader.finish().is_err());
    }

    #[test]
    fn every_bit_of_32_bytes_reaches_the_elements() {
        let zero = bytes32_elements(&[0; 32]);
        for bit in 0..256 {
            let mut bytes = [0; 32];
            bytes[bit / 8] = 1 << (bit % 8);
            assert_ne!(bytes32_elements(&bytes), zero);
        }
    }
}
