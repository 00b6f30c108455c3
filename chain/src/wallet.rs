//! Whether an account stands behind a consent, as the vault will find it: by its key (ECDSA, r, s, v, the low s), else by asking the
//! account as a contract (ERC-1271), in the newest block that enough nodes see.
//!
//! **Invariant:** what this calls a consent the vault takes as one in the same block; a contract may answer otherwise in the next.
//!
//! **Invariant:** a node that says nothing, and nodes that differ, are an error and never a verdict.

use alloy_primitives::{Address, B256, Bytes, Signature, U64, U256};
use alloy_sol_types::SolCall as _;

use crate::{
    bindings::IErc1271::isValidSignatureCall,
    error::RpcError,
    provider::{CallError, CallRequest, Rpc},
};

/// What a contract may spend on the question; what wallets need is far less.
const GAS_MAX: u64 = 1_000_000;
/// What a contract answers that stands behind it, and nothing after it.
const MAGIC: [u8; 4] = isValidSignatureCall::SELECTOR;

/// A consent, and who is said to stand behind it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Question {
    /// The account.
    pub account: Address,
    /// What is consented to.
    pub digest: B256,
    /// The signature, in whatever form the account takes.
    pub signature: Bytes,
}

impl Question {
    /// Whether the account's key signed. False says nothing about a contract.
    pub fn is_signed(&self) -> bool {
        let Ok(raw) = <[u8; 65]>::try_from(self.signature.as_ref()) else { return false };
        // Of the forms of v the vault takes these alone.
        if !matches!(raw.last(), Some(27 | 28)) {
            return false;
        }
        let Ok(signature) = Signature::from_raw_array(&raw) else { return false };
        signature.normalize_s().is_none()
            && signature
                .recover_address_from_prehash(&self.digest)
                .is_ok_and(|found| found == self.account)
    }

    /// Whether the account stands behind the consent now, asked as `vault` asks.
    ///
    /// # Errors
    /// When too few nodes answer, or not the same: ask again.
    pub async fn stands(&self, rpc: &Rpc, vault: Address) -> Result<bool, RpcError> {
        if self.is_signed() {
            return Ok(true);
        }
        let call = isValidSignatureCall { hash: self.digest, signature: self.signature.clone() };
        let request = CallRequest {
            from: vault,
            to: Some(self.account),
            data: call.abi_encode().into(),
            value: U256::ZERO,
            gas: Some(U64::from(GAS_MAX)),
        };
        match rpc.agreed_call(&request).await {
            Ok(answer) => Ok(is_magic(&answer)),
            Err(CallError::Reverted { .. }) => Ok(false),
            Err(CallError::Rpc(error)) => Err(error),
        }
    }
}

fn is_magic(answer: &[u8]) -> bool {
    let mut word = [0; 32];
    if let Some(start) = word.first_chunk_mut() {
        *start = MAGIC;
    }
    answer == word
}
