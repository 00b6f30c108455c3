//! The one secret of a node that a person backs up: everything else derives from it.
//!
//! HKDF-SHA256 with the seed as input and one label for each use, so no derived key tells anything about another.
//!
//! **Invariant:** a derived key never changes for a seed: the labels and the expansion are pinned by a test.

use core::fmt;

use hkdf::Hkdf;
use rand_core::CryptoRngCore;
use sha2::Sha256;
use zeroize::{Zeroize, ZeroizeOnDrop, Zeroizing};

use crate::keys::SecretKey;
use crate::session::SessionKey;

/// The salt of every derivation from a seed.
const SALT: &[u8] = b"vrc seed v1";

/// 32 secret bytes.
#[derive(Clone, Zeroize, ZeroizeOnDrop)]
pub struct Seed([u8; Self::LEN]);

impl Seed {
    /// Bytes of a seed.
    pub const LEN: usize = 32;

    /// A fresh seed from a cryptographic source.
    #[must_use]
    pub fn generate(source: &mut impl CryptoRngCore) -> Self {
        let mut bytes = [0; Self::LEN];
        source.fill_bytes(&mut bytes);
        let seed = Self(bytes);
        bytes.zeroize();
        seed
    }

    /// The seed with these bytes. They should be uniform: nothing here stretches a weak secret.
    #[must_use]
    pub const fn from_bytes(bytes: [u8; Self::LEN]) -> Self {
        Self(bytes)
    }

    /// The bytes, for the backup.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; Self::LEN] {
        &self.0
    }

    /// The channel key: signs states, proposals and envelopes.
    #[must_use]
    pub fn channel_key(&self) -> SecretKey {
        self.first_valid(b"channel key", |bytes: &[u8; 64]| SecretKey::from_wide_bytes(bytes).ok())
    }

    /// The session key: the second lock.
    #[must_use]
    pub fn session_key(&self) -> SessionKey {
        self.first_valid(b"session key", |bytes: &[u8; 32]| SessionKey::from_bytes(bytes).ok())
    }

    /// 32 bytes for the node's identity in the network.
    #[must_use]
    pub fn identity_secret(&self) -> Zeroizing<[u8; 32]> {
        self.first_valid(b"identity key", |bytes: &[u8; 32]| Some(Zeroizing::new(*bytes)))
    }

    /// The first of the expansions under `label` that makes a key. Each is refused with a chance below 2^-127, so in
    /// practice it is the first.
    fn first_valid<const N: usize, T>(
        &self,
        label: &[u8],
        make: impl Fn(&[u8; N]) -> Option<T>,
    ) -> T {
        let derivation = Hkdf::<Sha256>::new(Some(SALT), &self.0);
        let mut attempt = 0u64;
        loop {
            let mut bytes = Zeroizing::new([0; N]);
            let expanded = derivation
                .expand_multi_info(&[label, &attempt.to_be_bytes()], bytes.as_mut_slice());
            if let (Ok(()), Some(key)) = (expanded, make(&bytes)) {
                return key;
            }
            attempt = attempt.wrapping_add(1);
        }
    }
}

impl fmt::Debug for Seed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Seed(..)")
    }
}
