//! A finished proof, as it is sent.

use alloy_primitives::U256;
use plonky2::field::types::PrimeField64;
use protocol::zksc::Statement;

use crate::config::F;

/// A live-state proof: the statement, and the bytes that prove it.
///
/// Whether it is valid, [`super::LiveStateCircuit::verify`] says. Those that a circuit or the service hands out are.
#[derive(Clone, PartialEq, Eq)]
pub struct LiveStateProof {
    /// The public inputs, as `protocol::zksc::Statement::to_elements` orders them.
    pub statement: [F; Statement::LEN],
    /// The proof in the encoding of [`crate::encoding`], which the contract reads.
    pub bytes: Vec<u8>,
}

impl LiveStateProof {
    /// The statement as the words that the contract passes to its verifier.
    #[must_use]
    pub fn statement_words(&self) -> [U256; Statement::LEN] {
        self.statement.map(|element| U256::from(element.to_canonical_u64()))
    }
}

impl core::fmt::Debug for LiveStateProof {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("LiveStateProof")
            .field("statement", &self.statement)
            .field("bytes", &self.bytes.len())
            .finish()
    }
}
