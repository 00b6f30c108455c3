//! The node beside the tower: the section `node`.

use std::net::SocketAddr;
use std::path::{Component, PathBuf};

use alloy_primitives::Address;
use protocol::Role;
use serde::{Deserialize, Serialize};

use super::{ConfigError, NetworkConfig};

/// Which node stands beside the tower.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum NodeRole {
    /// None.
    #[default]
    None,
    /// A participant's.
    Participant,
    /// A counterparty's, for many participants.
    Hub,
}

impl NodeRole {
    /// The node's role in its channels.
    #[must_use]
    pub const fn role(self) -> Option<Role> {
        match self {
            Self::None => None,
            Self::Participant => Some(Role::Participant),
            Self::Hub => Some(Role::Counterparty),
        }
    }
}

/// The node that `watchtower run` runs beside the tower, in the same process.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct NodeConfig {
    /// Whether there is one, and which.
    pub role: NodeRole,
    /// Its own folder; relative to `data_dir`.
    pub folder: PathBuf,
    /// Its account's encrypted key; relative to its folder. Not the tower's.
    pub keystore: PathBuf,
    /// A file with that key's password; without it the tower's password opens it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub password_file: Option<PathBuf>,
    /// Another process that holds its key, as `account.signer`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub signer: Option<String>,
    /// The account that this signer signs for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub address: Option<Address>,
    /// Where its local API listens.
    pub api: SocketAddr,
    /// Where other nodes dial it, as multiaddresses; a participant needs none.
    pub link: Vec<String>,
    /// Where others reach it, if not where it listens.
    pub announce: Vec<String>,
    /// Towers, not this one, that backups are handed to for receipts.
    pub towers: Vec<String>,
    /// Its policy file.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub policy: Option<PathBuf>,
    /// The asset, where the vault takes several.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub asset: Option<Address>,
    /// A hub's pool; by default the deployment file's.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub vip: Option<Address>,
}

impl Default for NodeConfig {
    fn default() -> Self {
        Self {
            role: NodeRole::None,
            folder: "node".into(),
            keystore: "account.json".into(),
            password_file: None,
            signer: None,
            address: None,
            api: SocketAddr::from(([127, 0, 0, 1], 0)),
            link: Vec::new(),
            announce: Vec::new(),
            towers: Vec::new(),
            policy: None,
            asset: None,
            vip: None,
        }
    }
}

impl NodeConfig {
    pub(super) fn validate(&self) -> Result<(), ConfigError> {
        NetworkConfig::places("node.link", &self.link)?;
        NetworkConfig::places("node.announce", &self.announce)?;
        if self.signer.is_some() != self.address.is_some() {
            return Err(ConfigError::Invalid {
                key: "node.signer",
                reason: "and node.address go together".to_owned(),
            });
        }
        if !self.folder.components().any(|part| matches!(part, Component::Normal(_))) {
            return Err(ConfigError::Invalid {
                key: "node.folder",
                reason:
                    "must name a folder of the node's own: two keys and two stores do not share one"
                        .to_owned(),
            });
        }
        Ok(())
    }
}
