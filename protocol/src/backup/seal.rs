//! Sealing a final state into an envelope, and opening one.
//!
//! ```text
//!   HKDF-SHA256(dispute key, salt = domain || channel, info = "vrc backup v1" || role) = k_enc || k_iv
//!   iv         = first 24 bytes of HMAC-SHA256(k_iv, header || plaintext)
//!   ciphertext = iv || XChaCha20-Poly1305(k_enc, iv, associated data = header, plaintext)
//! ```
//!
//! The vector is derived from what is encrypted, so it repeats only when everything repeats, and then the envelope is
//! the same: no clock, counter or random number can make two states share a key stream.

use chacha20poly1305::{KeyInit as _, XChaCha20Poly1305, XNonce, aead::Aead as _, aead::Payload};
use hkdf::Hkdf;
use hmac::{Hmac, Mac as _};
use sha2::Sha256;
use zeroize::Zeroizing;

use super::{
    envelope::{CIPHERTEXT_LEN, Envelope, Header, IV_LEN, PLAINTEXT_LEN},
    key::DisputeKey,
};
use crate::{
    encoding::DecodeError,
    ids::Nonce,
    zksc::{Channel, FinalState, Signer, UnverifiedFinal, VerifyError},
};

const INFO: &[u8] = b"vrc backup v1";

/// A plaintext has room for a final state.
const _: () = assert!(FinalState::LEN <= PLAINTEXT_LEN, "the plaintext is too short");

/// Why a state cannot be sealed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SealError {
    /// The channel registered the hash of another key, so nobody could open the envelope.
    #[error("the dispute key is not the one that the channel registered")]
    OtherKey,
    /// The state or the signer is of another channel.
    #[error("the state or the signer is of another channel")]
    OtherChannel,
    /// A primitive refused a fixed length; none ever does.
    #[error("a primitive refused a fixed length")]
    Primitive,
}

/// Why an envelope holds nothing of use.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum OpenError {
    /// The key is not the one that the channel registered.
    #[error("the dispute key is not the one that the channel registered")]
    OtherKey,
    /// The ciphertext was not made with this key and header.
    #[error("the ciphertext does not open")]
    Ciphertext,
    /// The plaintext is no encoded final state.
    #[error("the plaintext: {0}")]
    Plaintext(#[from] DecodeError),
    /// The padding is not zero.
    #[error("the padding is not zero")]
    Padding,
    /// The state inside is not one that both parties of this channel signed.
    #[error("the state inside: {0}")]
    State(#[from] VerifyError),
    /// The header names another nonce than the state has.
    #[error("the header says nonce {header}, the state has {state}")]
    NonceDiffers {
        /// What the header says.
        header: Nonce,
        /// What the state has.
        state: Nonce,
    },
}

/// The two keys of one slot.
struct SlotKeys {
    encryption: Zeroizing<[u8; 32]>,
    vector: Zeroizing<[u8; 32]>,
}

impl SlotKeys {
    /// None when HKDF refuses the length, which it never does for 64 bytes.
    fn derive(key: &DisputeKey, header: &Header) -> Option<Self> {
        let mut salt = header.domain.as_bytes().to_vec();
        salt.extend(header.channel_id.get().to_be_bytes());
        let mut okm = Zeroizing::new([0_u8; 64]);
        let role = [header.role.to_byte()];
        Hkdf::<Sha256>::new(Some(&salt), key.reveal())
            .expand_multi_info(&[INFO, &role], okm.as_mut_slice())
            .ok()?;
        let (encryption, vector) = okm.split_first_chunk::<32>()?;
        let vector = vector.first_chunk::<32>()?;
        Some(Self { encryption: Zeroizing::new(*encryption), vector: Zeroizing::new(*vector) })
    }

    fn iv(&self, header: &[u8], plaintext: &[u8]) -> Option<[u8; IV_LEN]> {
        let mut mac = <Hmac<Sha256> as hmac::Mac>::new_from_slice(self.vector.as_slice()).ok()?;
        mac.update(header);
        mac.update(plaintext);
        mac.finalize().into_bytes().first_chunk::<IV_LEN>().copied()
    }

    fn cipher(&self) -> XChaCha20Poly1305 {
        XChaCha20Poly1305::new(self.encryption.as_slice().into())
    }
}

/// Seals `state` into the signer's slot. The same state gives the same envelope, up to the signature; `hedge` is 32
/// fresh random bytes for that.
///
/// # Errors
/// [`SealError`].
pub fn seal(
    state: &FinalState,
    channel: &Channel,
    key: &DisputeKey,
    signer: &Signer,
    hedge: &[u8; 32],
) -> Result<Envelope, SealError> {
    let inner = state.state();
    if inner.domain != channel.domain()
        || inner.channel_id != channel.id()
        || !signer.is_of(channel)
    {
        return Err(SealError::OtherChannel);
    }
    if !key.matches(channel) {
        return Err(SealError::OtherKey);
    }
    let header = Header {
        domain: inner.domain,
        channel_id: inner.channel_id,
        role: signer.role(),
        nonce: inner.nonce,
    };
    let mut plaintext = Zeroizing::new(state.to_bytes());
    plaintext.resize(PLAINTEXT_LEN, 0);
    let ciphertext = encrypt(key, &header, &plaintext).ok_or(SealError::Primitive)?;
    Ok(Envelope::sign(header, ciphertext, signer.channel_key(), hedge))
}

pub(super) fn encrypt(
    key: &DisputeKey,
    header: &Header,
    plaintext: &[u8],
) -> Option<[u8; CIPHERTEXT_LEN]> {
    let keys = SlotKeys::derive(key, header)?;
    let aad = header.to_bytes();
    let iv = keys.iv(&aad, plaintext)?;
    let payload = Payload { msg: plaintext, aad: &aad };
    let sealed = keys.cipher().encrypt(XNonce::from_slice(&iv), payload).ok()?;
    [iv.as_slice(), &sealed].concat().try_into().ok()
}

/// Opens an envelope with a dispute key and checks everything about the state inside: who signed it, in which channel,
/// with which nonce.
///
/// # Errors
/// [`OpenError`]: the envelope is then worth nothing, whatever its header says.
pub fn open(
    envelope: &Envelope,
    channel: &Channel,
    key: &DisputeKey,
) -> Result<FinalState, OpenError> {
    if !key.matches(channel) {
        return Err(OpenError::OtherKey);
    }
    let header = envelope.header();
    let plaintext = decrypt(key, header, envelope.ciphertext()).ok_or(OpenError::Ciphertext)?;
    let (state, padding) = plaintext
        .split_at_checked(FinalState::LEN)
        .ok_or(DecodeError::Length { expected: PLAINTEXT_LEN, got: plaintext.len() })?;
    if padding.iter().any(|byte| *byte != 0) {
        return Err(OpenError::Padding);
    }
    let state = UnverifiedFinal::from_bytes(state)?.verify(channel)?;
    if state.state().nonce != header.nonce {
        return Err(OpenError::NonceDiffers { header: header.nonce, state: state.state().nonce });
    }
    Ok(state)
}

fn decrypt(
    key: &DisputeKey,
    header: &Header,
    ciphertext: &[u8; CIPHERTEXT_LEN],
) -> Option<Zeroizing<Vec<u8>>> {
    let keys = SlotKeys::derive(key, header)?;
    let (iv, sealed) = ciphertext.split_first_chunk::<IV_LEN>()?;
    let aad = header.to_bytes();
    let payload = Payload { msg: sealed, aad: &aad };
    keys.cipher().decrypt(XNonce::from_slice(iv), payload).ok().map(Zeroizing::new)
}
