//! A channel key whose signatures are checked again and again: half of the time, the same verdict.
//!
//! [`PublicKey::verify`] follows the acceptance chain step by step and refuses where one of its additions has no answer.
//! Here R = s G + e PK is summed from tables by formulas without exceptions, and the verdict is the same:
//!
//! - The chain's R, where it has one, is this R: both are s G + e PK ([`crate::ecgfp5::chain`]).
//! - The chain has no answer for a key whose table of four has an exception. That is looked up when the tables are made; such
//!   a key is left to the chain.
//! - It has none for a neutral R. That is refused here too, with the same words.
//! - Any other exception is an equation a G + b PK + c U + d H = 0 where d is not zero: H is in every sum of the chain, times a
//!   power of four, and in no table. Who has a signature that
//!   this file accepts knows the discrete logarithm of PK (it is a Schnorr signature), and then the equation is a
//!   relation among G, U and H, which came out of a hash: finding one is finding a discrete logarithm, with which every
//!   signature of this scheme can be forged anyway.
//!
//! For the node, which checks every update of a channel against the same key. Towers, whoever restores, and whoever reads a disk
//! use the chain itself.
//!
//! **Invariant:** what is accepted here and not by [`PublicKey::verify`], nobody can find.

use core::fmt;
use std::sync::OnceLock;

use crate::ecgfp5::{EqualX, KnownPoint, Point, chain};
use crate::hash::Digest;
use crate::keys::PublicKey;
use crate::schnorr::{Signature, SignatureError, Tag, Verify, challenge};

/// A channel key and, from its first signature on, its tables: 10 KiB.
pub struct KnownKey {
    key: PublicKey,
    tables: OnceLock<Option<Box<KnownPoint>>>,
}

impl KnownKey {
    /// Costs nothing yet.
    #[must_use]
    pub const fn new(key: PublicKey) -> Self {
        Self { key, tables: OnceLock::new() }
    }

    /// The key.
    #[must_use]
    pub const fn key(&self) -> &PublicKey {
        &self.key
    }

    /// None for a key that the chain has no table for.
    fn tables(&self) -> Option<&KnownPoint> {
        let made = self.tables.get_or_init(|| {
            chain::key_table(self.key.affine()).ok()?;
            Some(Box::new(KnownPoint::new(&Point::decode(&self.key.to_elements())?)))
        });
        made.as_deref()
    }
}

impl Verify for KnownKey {
    fn verify(
        &self,
        tag: Tag,
        message: &Digest,
        signature: &Signature,
    ) -> Result<(), SignatureError> {
        let Some(tables) = self.tables() else { return self.key.verify(tag, message, signature) };
        let commitment = tables.sum(signature.s(), &signature.e());
        if commitment.is_neutral().into() {
            return Err(EqualX.into());
        }
        let expected = challenge(tag, &commitment.encode(), &self.key.to_elements(), message);
        if expected == signature.e() { Ok(()) } else { Err(SignatureError::Mismatch) }
    }
}

impl fmt::Debug for KnownKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "KnownKey({})", self.key)
    }
}
