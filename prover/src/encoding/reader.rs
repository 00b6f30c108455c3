//! A cursor over a proof's bytes that never reads past their end and refuses elements that are not canonical.

use plonky2::{
    field::{
        extension::FieldExtension,
        types::{Field, Field64},
    },
    hash::merkle_tree::MerkleCap,
    plonk::config::{GenericConfig, GenericHashOut, Hasher},
};
use plonky2_field::goldilocks_field::GoldilocksField as F;

use super::{D, ELEMENT_BYTES, EncodingError, Extension, HashOf, ProofShape};

/// The bytes not read yet.
pub(super) struct Reader<'a> {
    rest: &'a [u8],
    offset: usize,
    /// What to answer when the bytes run out or are left over.
    wrong_length: EncodingError,
}

impl<'a> Reader<'a> {
    pub(super) fn new(bytes: &'a [u8], wrong_length: EncodingError) -> Self {
        Self { rest: bytes, offset: 0, wrong_length }
    }

    fn take(&mut self, len: usize) -> Result<&'a [u8], EncodingError> {
        let (head, rest) = self.rest.split_at_checked(len).ok_or(self.wrong_length)?;
        self.rest = rest;
        self.offset += len;
        Ok(head)
    }

    pub(super) fn element(&mut self) -> Result<F, EncodingError> {
        let offset = self.offset;
        let mut bytes = [0; ELEMENT_BYTES];
        bytes.copy_from_slice(self.take(ELEMENT_BYTES)?);
        let value = u64::from_be_bytes(bytes);
        if value < F::ORDER {
            Ok(F::from_canonical_u64(value))
        } else {
            Err(EncodingError::NonCanonical { offset })
        }
    }

    pub(super) fn elements(&mut self, count: usize) -> Result<Vec<F>, EncodingError> {
        (0..count).map(|_| self.element()).collect()
    }

    pub(super) fn extensions(&mut self, count: usize) -> Result<Vec<Extension>, EncodingError> {
        let one = |_| Ok(Extension::from_basefield_array([self.element()?, self.element()?]));
        (0..count).map(one).collect()
    }

    pub(super) fn digests<C: GenericConfig<D, F = F>>(
        &mut self,
        count: usize,
    ) -> Result<Vec<HashOf<C>>, EncodingError> {
        let one = |_| Ok(HashOf::<C>::from_bytes(self.take(C::Hasher::HASH_SIZE)?));
        (0..count).map(one).collect()
    }

    pub(super) fn cap<C: GenericConfig<D, F = F>>(
        &mut self,
        shape: &ProofShape,
    ) -> Result<MerkleCap<F, C::Hasher>, EncodingError> {
        Ok(MerkleCap(self.digests::<C>(shape.cap_len)?))
    }

    pub(super) fn finish(self) -> Result<(), EncodingError> {
        if self.rest.is_empty() { Ok(()) } else { Err(self.wrong_length) }
    }
}
