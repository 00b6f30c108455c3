//! The one secret of a node that a person backs up: everything else derives from it.
//!
//! HKDF-SHA256 with the seed as input and one label for each use, so no derived key tells anything about another.
//!
//! A seed may itself come from a wallet's signature over an EIP-712 message that names chain, vault and an index: then the wallet
//! is all that is backed up. Whoever gets that signature has the seed, so no page of a counterparty must ever ask for it.
//!
//! **Invariant:** a derived key never changes for a seed: the labels and the expansion are pinned by a test.

use core::fmt;

use alloy_primitives::{Address, B256, Signature, U256, keccak256};
use hkdf::Hkdf;
use rand_core::CryptoRngCore;
use sha2::Sha256;
use zeroize::{Zeroize, ZeroizeOnDrop, Zeroizing};

use crate::keys::SecretKey;
use crate::session::SessionKey;

/// The salt of every derivation from a seed.
const SALT: &[u8] = b"vrc seed v1";

/// The name of the EIP-712 domain in which a wallet signs for a seed.
pub const DOMAIN_NAME: &str = "Virtual Rollup seed";

/// What a wallet shows to the person who signs.
pub const NOTICE: &str = "This signature is the secret key of a node. Sign it in your own node and nowhere else: whoever has it has the money of its channels.";

/// Why a wallet's signatures give no seed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SeedError {
    /// Signed twice, it gave two signatures.
    #[error(
        "the wallet signs the same message differently each time: a seed from it could not be restored"
    )]
    Changing,
    /// It is no signature, or s is not the lower one of two.
    #[error("the wallet's signature is none that is written in one way only: r, low s, v")]
    Form,
}

/// What a wallet signs for the seed with this index of a node in a vault: the digest of
/// `Seed(string notice,uint32 index)` in the domain `("Virtual Rollup seed", "1", chainId, vipe)`.
#[must_use]
pub fn wallet_digest(chain_id: u64, vipe: Address, index: u32) -> B256 {
    let text = |text: &str| keccak256(text.as_bytes());
    let word = |number: u64| B256::from(U256::from(number));
    let domain = keccak256(
        [
            text("EIP712Domain(string name,string version,uint256 chainId,address verifyingContract)"),
            text(DOMAIN_NAME),
            text("1"),
            word(chain_id),
            vipe.into_word(),
        ]
        .concat(),
    );
    let message = [text("Seed(string notice,uint32 index)"), text(NOTICE), word(u64::from(index))];
    let message = keccak256(message.concat());
    keccak256([b"\x19\x01".as_slice(), domain.as_slice(), message.as_slice()].concat())
}

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

    /// The seed that a wallet's signature over [`wallet_digest`] gives; it was asked twice. Each is r, s and v.
    ///
    /// # Errors
    /// [`SeedError`].
    pub fn from_wallet(first: &[u8], second: &[u8]) -> Result<Self, SeedError> {
        if first != second {
            return Err(SeedError::Changing);
        }
        let signature = Signature::from_raw(first).map_err(|_none| SeedError::Form)?;
        let (Some(secret), None) = (first.first_chunk::<64>(), signature.normalize_s()) else {
            return Err(SeedError::Form);
        };
        let mut seed = [0; Self::LEN];
        let derivation = Hkdf::<Sha256>::new(Some(SALT), secret);
        derivation.expand(b"seed from a wallet", &mut seed).map_err(|_length| SeedError::Form)?;
        let made = Self(seed);
        seed.zeroize();
        Ok(made)
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

#[cfg(test)]
mod tests {
    use k256::ecdsa::SigningKey;

    use super::*;

    fn signed(digest: &B256) -> [u8; 65] {
        let key = SigningKey::from_slice(&[7; 32]).unwrap();
        let (signature, recovery) = key.sign_prehash_recoverable(digest.as_slice()).unwrap();
        let mut bytes = [0; 65];
        bytes[..64].copy_from_slice(&signature.to_bytes());
        bytes[64] = 27 + recovery.to_byte();
        bytes
    }

    #[test]
    fn a_wallet_gives_the_same_seed_again_and_another_one_for_every_vault_chain_and_index() {
        let vipe = Address::repeat_byte(3);
        let seed = |chain_id, vipe, index| {
            let bytes = signed(&wallet_digest(chain_id, vipe, index));
            *Seed::from_wallet(&bytes, &bytes).unwrap().as_bytes()
        };
        let first = seed(1, vipe, 0);
        assert_eq!(first, seed(1, vipe, 0));
        for other in [seed(2, vipe, 0), seed(1, Address::repeat_byte(4), 0), seed(1, vipe, 1)] {
            assert_ne!(first, other);
        }
    }

    #[test]
    fn a_wallet_that_signs_differently_each_time_or_with_a_high_s_gives_none() {
        let one = signed(&wallet_digest(1, Address::ZERO, 0));
        let other = signed(&wallet_digest(1, Address::ZERO, 1));
        let refused = |first: &[u8], second: &[u8]| Seed::from_wallet(first, second).err();
        assert_eq!(refused(&one, &other), Some(SeedError::Changing));
        assert_eq!(refused(&one[..64], &one[..64]), Some(SeedError::Form));
        let order: U256 =
            "0xfffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364141".parse().unwrap();
        let mut high = one;
        let s = order - U256::from_be_slice(&one[32..64]);
        high[32..64].copy_from_slice(&s.to_be_bytes::<32>());
        assert_eq!(refused(&high, &high), Some(SeedError::Form));
    }
}
