//! The compiled contracts, as they are checked in: what is deployed, and what is found on a chain is compared with.

use alloy_primitives::Bytes;
use serde::Deserialize;

/// A compiled contract.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Artifact {
    /// The contract's name.
    pub contract_name: String,
    /// The code that creates it; constructor arguments follow it.
    pub bytecode: Bytes,
    /// The code that it has once it is created, with zeros where immutable values go.
    pub deployed_bytecode: Bytes,
    /// What it was compiled from.
    pub source_hash: String,
}

/// Why an artifact cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ArtifactError {
    /// It is no artifact.
    #[error("the artifact cannot be read: {0}")]
    Malformed(#[from] serde_json::Error),
}

impl Artifact {
    /// Reads an artifact.
    ///
    /// # Errors
    /// When the text is none.
    pub fn parse(text: &str) -> Result<Self, ArtifactError> {
        Ok(serde_json::from_str(text)?)
    }

    /// The vault.
    ///
    /// # Errors
    /// Never with the artifacts that are checked in, as a test shows; the same holds for the others.
    pub fn vipe() -> Result<Self, ArtifactError> {
        Self::parse(include_str!("../artifacts/Vipe.json"))
    }

    /// The counterparty's pool.
    ///
    /// # Errors
    /// See [`Self::vipe`].
    pub fn vip() -> Result<Self, ArtifactError> {
        Self::parse(include_str!("../artifacts/Vip.json"))
    }

    /// The development asset.
    ///
    /// # Errors
    /// See [`Self::vipe`].
    pub fn dev_token() -> Result<Self, ArtifactError> {
        Self::parse(include_str!("../artifacts/DevToken.json"))
    }

    /// The live-state verifier. It takes no arguments and creates its own parts.
    ///
    /// # Errors
    /// See [`Self::vipe`].
    pub fn verifier() -> Result<Self, ArtifactError> {
        Self::parse(include_str!("../artifacts/LiveStateVerifier.json"))
    }

    /// Whether `code`, found on a chain, is this contract's with some values in its immutables.
    pub fn is_code(&self, code: &[u8]) -> bool {
        same_code(&self.deployed_bytecode, code)
    }
}

/// `PUSH1`; the instruction that pushes n bytes is n - 1 above it.
const PUSH1: u8 = 0x60;
/// `PUSH32`.
const PUSH32: u8 = 0x7f;

/// Compares code instruction by instruction. The compiler writes an immutable as a `PUSH32` of zero, which it never
/// writes for anything else (a zero is `PUSH0`), so there and only there the found code may differ.
fn same_code(compiled: &[u8], found: &[u8]) -> bool {
    if compiled.len() != found.len() {
        return false;
    }
    let mut at = 0;
    while let (Some(instruction), Some(other)) = (compiled.get(at), found.get(at)) {
        if instruction != other {
            return false;
        }
        let operand = if (PUSH1..=PUSH32).contains(instruction) {
            usize::from(instruction - PUSH1) + 1
        } else {
            0
        };
        let end = (at + 1 + operand).min(compiled.len());
        let (ours, theirs) = (compiled.get(at + 1..end), found.get(at + 1..end));
        let immutable =
            *instruction == PUSH32 && ours.is_some_and(|bytes| bytes.iter().all(|byte| *byte == 0));
        if !immutable && ours != theirs {
            return false;
        }
        at = end;
    }
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_checked_in_artifacts_can_be_read() {
        for artifact in
            [Artifact::vipe(), Artifact::vip(), Artifact::dev_token(), Artifact::verifier()]
        {
            let artifact = artifact.unwrap();
            assert!(!artifact.bytecode.is_empty() && artifact.is_code(&artifact.deployed_bytecode));
        }
    }

    #[test]
    fn only_immutables_may_differ() {
        let mut compiled = vec![0x60, 0x80, PUSH32];
        compiled.extend([0; 32]);
        compiled.extend([0x01, PUSH32]);
        compiled.extend([7; 32]);
        assert!(same_code(&compiled, &compiled));
        let with = |at: usize, value: u8| {
            let mut found = compiled.clone();
            found[at] = value;
            same_code(&compiled, &found)
        };
        assert!(with(3, 9) && with(34, 9), "the immutable's bytes");
        for at in (0..3).chain(35..compiled.len()) {
            assert!(!with(at, 0x55), "byte {at}");
        }
        assert!(!same_code(&compiled, &compiled[1..]));
        assert!(!same_code(&compiled, &[]));
    }

    #[test]
    fn another_contract_is_not_the_vault() {
        let (vault, token) = (Artifact::vipe().unwrap(), Artifact::dev_token().unwrap());
        assert!(!vault.is_code(&token.deployed_bytecode));
        let mut changed = vault.deployed_bytecode.to_vec();
        changed[100] ^= 1;
        assert!(!vault.is_code(&changed));
    }
}
