//! A receipt in 169 bytes.

use alloy_primitives::{Address, B256, Signature};

use super::WireError;
use super::codec::{Writer, read_address, read_u64, read_word};
use crate::{
    backup::{Receipt, ReceiptError, SignedReceipt},
    encoding::Reader,
};

/// What claims to be a tower's receipt. Verifying costs a signature recovery, so it is a step of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct UnverifiedReceipt {
    receipt: Receipt,
    signature: [u8; 64],
}

impl UnverifiedReceipt {
    /// Bytes of an encoded receipt.
    pub const LEN: usize = 8 + 20 + 8 + 1 + 8 + 32 + 20 + 8 + 64;

    pub(super) fn read(reader: &mut Reader<'_>) -> Result<Self, WireError> {
        Ok(Self {
            receipt: Receipt {
                chain_id: read_u64(reader)?,
                vipe: read_address(reader)?,
                channel_id: reader.channel_id()?,
                role: reader.role()?,
                nonce: reader.nonce()?,
                envelope_id: read_word(reader)?,
                tower: read_address(reader)?,
                until: read_u64(reader)?,
            },
            signature: reader.take()?,
        })
    }

    pub(super) fn write(&self, out: Writer) -> Writer {
        let Receipt { chain_id, vipe, channel_id, role, nonce, envelope_id, tower, until } =
            self.receipt;
        out.u64(chain_id)
            .bytes(vipe.as_slice())
            .channel(channel_id)
            .role(role)
            .nonce(nonce)
            .bytes(envelope_id.as_slice())
            .bytes(tower.as_slice())
            .u64(until)
            .bytes(&self.signature)
    }

    /// What it claims.
    #[must_use]
    pub const fn claims(&self) -> &Receipt {
        &self.receipt
    }

    /// The tower that it names; nobody has checked that it signed.
    #[must_use]
    pub const fn tower(&self) -> Address {
        self.receipt.tower
    }

    /// The envelope that it names.
    #[must_use]
    pub const fn envelope_id(&self) -> B256 {
        self.receipt.envelope_id
    }

    /// Checks that the named tower signed.
    ///
    /// # Errors
    /// [`ReceiptError::Malformed`] and [`ReceiptError::OtherSigner`].
    pub fn verify(self) -> Result<SignedReceipt, ReceiptError> {
        self.receipt.signed(Signature::from_erc2098(&self.signature))
    }
}

impl From<&SignedReceipt> for UnverifiedReceipt {
    fn from(signed: &SignedReceipt) -> Self {
        Self { receipt: *signed.receipt(), signature: *signed.signature() }
    }
}
