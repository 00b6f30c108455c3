//! The deployment file: what the other commands need to know, and nothing that is secret.

use std::{
    fs::{File, rename},
    io::Write as _,
    path::{Path, PathBuf},
};

use alloy_primitives::{Address, B256};
use protocol::ids::Amount;
use serde::{Deserialize, Serialize};

use crate::calls::Rules;

/// The version of the file that this program reads and writes.
pub const DEPLOYMENT_VERSION: u32 = 2;
/// The largest file that is read: ten times what one has.
const FILE_BYTES_MAX: u64 = 64 * 1024;

/// A deployed contract.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Contract {
    /// Where it is.
    pub address: Address,
    /// Keccak-256 of its code, immutable values included.
    pub code_hash: B256,
    /// What it was compiled from; see [`crate::artifact::Artifact::source_hash`].
    pub source_hash: String,
}

/// An asset that the vault takes, and how much of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AssetCap {
    /// The asset.
    pub asset: Address,
    /// The most in one channel.
    pub per_channel: Amount,
    /// The most in all channels together.
    pub total: Amount,
}

/// One deployment of the contracts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Deployment {
    /// [`DEPLOYMENT_VERSION`].
    pub version: u32,
    /// The chain.
    pub chain_id: u64,
    /// A block before the vault's creation: where reading its history starts.
    pub start_block: u64,
    /// The factory that created it.
    pub factory: Address,
    /// The salt in its addresses.
    pub salt: B256,
    /// The vault.
    pub vipe: Contract,
    /// The live-state verifier.
    pub verifier: Contract,
    /// The contracts that the verifier's constructor created.
    pub verifier_parts: Vec<Contract>,
    /// The vault's rules.
    pub rules: Rules,
    /// The assets it takes.
    pub assets: Vec<AssetCap>,
    /// The development asset, if one was deployed.
    pub token: Option<Contract>,
    /// The counterparty's pool, if one was deployed.
    pub vip: Option<Contract>,
}

/// Why a deployment file cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FileError {
    /// The file system refuses.
    #[error("{}: {source}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// It is no deployment file.
    #[error("{}: {source}", path.display())]
    Malformed {
        /// The file.
        path: PathBuf,
        /// Why, with the line.
        source: serde_json::Error,
    },
    /// It is far larger than any deployment file.
    #[error("{} has {bytes} bytes and is no deployment file", path.display())]
    TooLarge {
        /// The file.
        path: PathBuf,
        /// Its size.
        bytes: u64,
    },
    /// It is of another version of this program.
    #[error("{} has version {found}, this program reads version {DEPLOYMENT_VERSION}", path.display())]
    Version {
        /// The file.
        path: PathBuf,
        /// The version found.
        found: u32,
    },
}

impl Deployment {
    /// Reads a deployment file.
    ///
    /// # Errors
    /// See [`FileError`].
    pub fn load(path: &Path) -> Result<Self, FileError> {
        let io = |source| FileError::Io { path: path.to_owned(), source };
        let bytes = std::fs::metadata(path).map_err(io)?.len();
        if bytes > FILE_BYTES_MAX {
            return Err(FileError::TooLarge { path: path.to_owned(), bytes });
        }
        let text = std::fs::read_to_string(path).map_err(io)?;
        let malformed = |source| FileError::Malformed { path: path.to_owned(), source };
        // The version first: a file of another version may have other fields.
        let Versioned { version } = serde_json::from_str(&text).map_err(malformed)?;
        if version != DEPLOYMENT_VERSION {
            return Err(FileError::Version { path: path.to_owned(), found: version });
        }
        serde_json::from_str(&text).map_err(malformed)
    }

    /// Writes a deployment file, whole or not at all.
    ///
    /// # Errors
    /// See [`FileError`].
    pub fn save(&self, path: &Path) -> Result<(), FileError> {
        let text = serde_json::to_string_pretty(self)
            .map_err(|source| FileError::Malformed { path: path.to_owned(), source })?;
        let beside = path.with_extension("json.new");
        let write = || {
            let mut file = File::create(&beside)?;
            file.write_all(text.as_bytes())?;
            file.write_all(b"\n")?;
            file.sync_all()?;
            rename(&beside, path)
        };
        write().map_err(|source| FileError::Io { path: path.to_owned(), source })
    }
}

/// Only the version of a file.
#[derive(Deserialize)]
struct Versioned {
    version: u32,
}

#[cfg(test)]
mod tests {
    use alloy_primitives::U256;

    use super::*;

    fn contract(byte: u8) -> Contract {
        Contract {
            address: Address::repeat_byte(byte),
            code_hash: B256::repeat_byte(byte),
            source_hash: "00".to_owned(),
        }
    }

    fn deployment() -> Deployment {
        Deployment {
            version: DEPLOYMENT_VERSION,
            chain_id: 31_337,
            start_block: 1,
            factory: Address::repeat_byte(9),
            salt: B256::repeat_byte(8),
            vipe: contract(1),
            verifier: contract(2),
            verifier_parts: vec![contract(4), contract(5)],
            rules: Rules {
                dispute_window_s: 1,
                response_extension_s: 2,
                max_extension_s: 3,
                fee_floor: U256::from(4),
                fee_gas: 5,
                tower_bps: 6,
                slash_bps: 7,
                verifier: Address::repeat_byte(2),
                verifier_code_hash: B256::repeat_byte(2),
            },
            assets: vec![AssetCap {
                asset: Address::repeat_byte(3),
                per_channel: Amount::MAX,
                total: Amount::MAX,
            }],
            token: Some(contract(3)),
            vip: None,
        }
    }

    #[test]
    fn a_deployment_survives_its_file() {
        let path = tempfile::tempdir().unwrap().keep().join("deployment.json");
        deployment().save(&path).unwrap();
        assert_eq!(Deployment::load(&path).unwrap(), deployment());
    }

    #[test]
    fn a_file_that_is_missing_damaged_of_another_version_or_has_unknown_fields_is_refused() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("deployment.json");
        assert!(matches!(Deployment::load(&path), Err(FileError::Io { .. })));
        deployment().save(&path).unwrap();
        let good = std::fs::read_to_string(&path).unwrap();
        let load = |text: &str| {
            std::fs::write(&path, text).unwrap();
            Deployment::load(&path)
        };
        assert!(matches!(load(&good[..good.len() / 2]), Err(FileError::Malformed { .. })));
        assert!(matches!(
            load(&good.replace("\"version\": 2", "\"version\": 3")),
            Err(FileError::Version { found: 3, .. })
        ));
        let unknown = good.replace("\"version\": 2", "\"version\": 2, \"owner\": 1");
        assert!(matches!(load(&unknown), Err(FileError::Malformed { .. })));
        let large = " ".repeat(usize::try_from(FILE_BYTES_MAX).unwrap() + 1);
        assert!(matches!(load(&large), Err(FileError::TooLarge { .. })));
        assert!(load(&good).is_ok());
    }
}
