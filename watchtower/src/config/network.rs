//! The network between towers: the section `network`.

use std::path::PathBuf;
use std::time::Duration;

use gossip::Place;
use protocol::network::placement::{Selection, SelectionError};
use serde::{Deserialize, Serialize};

use super::ConfigError;

/// The network between towers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct NetworkConfig {
    /// Whether this tower meets other towers at all.
    pub enabled: bool,
    /// Where to listen, as libp2p multiaddresses.
    pub listen: Vec<String>,
    /// Addresses under which others reach this tower, when they are known.
    pub external: Vec<String>,
    /// Towers to begin with, each with its name at the end.
    pub bootstrap: Vec<String>,
    /// The key of the tower's name; relative to `data_dir`.
    pub identity: PathBuf,
    /// Whether the listening addresses are known to be reachable.
    pub reachable: bool,
    /// Carry connections for towers behind NAT.
    pub relay_server: bool,
    /// Look for towers on the local network.
    pub mdns: bool,
    /// How many peers to look for.
    pub peers_target: usize,
    /// Fewer connected towers than this, and the tower does not call itself ready.
    pub peers_min: usize,
    /// Connections in all.
    pub connections_max: u32,
    /// Inbound connections from one IP address.
    pub per_ip_max: usize,
    /// Which shards are kept: `all`, `placed`, or numbers and ranges.
    pub shards: String,
    /// How often another tower, chosen by chance, is asked for what this one does not hold.
    #[serde(with = "humantime_serde")]
    pub sync_interval: Duration,
}

impl Default for NetworkConfig {
    fn default() -> Self {
        let limits = gossip::Limits::default();
        Self {
            enabled: true,
            listen: Vec::new(),
            external: Vec::new(),
            bootstrap: Vec::new(),
            identity: "network.key".into(),
            reachable: false,
            relay_server: false,
            mdns: false,
            peers_target: limits.peers_target,
            peers_min: 0,
            connections_max: limits.connections_max,
            per_ip_max: limits.per_ip_max,
            shards: "all".to_owned(),
            sync_interval: Duration::from_secs(60),
        }
    }
}

/// More connections than a process has file descriptors for, by default.
const CONNECTIONS_MAX: u32 = 100_000;

impl NetworkConfig {
    /// Whether there is to be a network: it is not switched off, and there is a way to meet somebody.
    #[must_use]
    pub fn is_wanted(&self) -> bool {
        self.enabled && (!self.listen.is_empty() || !self.bootstrap.is_empty() || self.mdns)
    }

    /// The addresses of one key.
    ///
    /// # Errors
    /// The first one that is none.
    pub(crate) fn places(key: &'static str, texts: &[String]) -> Result<Vec<Place>, ConfigError> {
        let parse = |text: &String| {
            text.parse().map_err(|error: gossip::NameError| ConfigError::Invalid {
                key,
                reason: format!("has an entry that is no multiaddress: {error}"),
            })
        };
        texts.iter().map(parse).collect()
    }

    /// Which shards are kept.
    ///
    /// # Errors
    /// When the text chooses none.
    pub(crate) fn selection(&self) -> Result<Selection, ConfigError> {
        self.shards.parse().map_err(|error: SelectionError| ConfigError::Invalid {
            key: "network.shards",
            reason: format!("does not fit: {error}"),
        })
    }

    pub(super) fn validate(&self) -> Result<(), ConfigError> {
        let invalid = |key: &'static str, reason: &str| {
            Err(ConfigError::Invalid { key, reason: reason.to_owned() })
        };
        self.selection()?;
        Self::places("network.listen", &self.listen)?;
        Self::places("network.external", &self.external)?;
        let bootstrap = Self::places("network.bootstrap", &self.bootstrap)?;
        if bootstrap.iter().any(|place| place.peer().is_none()) {
            return invalid(
                "network.bootstrap",
                "has an entry without /p2p/ and the tower's name at its end",
            );
        }
        if !(3..=CONNECTIONS_MAX).contains(&self.connections_max) {
            return invalid("network.connections_max", "must be between 3 and 100000");
        }
        let connections = usize::try_from(self.connections_max).unwrap_or(usize::MAX);
        if !(1..=connections).contains(&self.peers_target) {
            return invalid(
                "network.peers_target",
                "must be between 1 and network.connections_max",
            );
        }
        if !(Duration::from_secs(1)..=Duration::from_secs(86_400)).contains(&self.sync_interval) {
            return invalid("network.sync_interval", "must be between 1s and 1day");
        }
        if self.per_ip_max == 0 {
            return invalid("network.per_ip_max", "must be at least 1");
        }
        Ok(())
    }
}
