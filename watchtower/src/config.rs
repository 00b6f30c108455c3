//! Configuration: defaults < file < environment < flags, then [`Config::validate`].
//!
//! The closed list of keys is [`KEYS`]; `config.example.toml` has each with its default and a sentence, and a test holds
//! the two together. A file that does not parse, an unknown key and an unknown variable are errors, never ignored.
//! Secrets are no configuration: they are read from files or from the environment when they are needed.

mod chain;
mod layers;
mod network;
mod node;
mod submit;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use alloy_primitives::Address;
use serde::{Deserialize, Serialize};

pub use chain::{ChainConfig, Deployed, VerifyMode};
pub use layers::{ConfigError, KEYS, Kind, Layers, load};
pub use network::NetworkConfig;
pub use node::{NodeConfig, NodeRole};
pub use submit::SubmitConfig;

/// Everything that can be chosen about a tower.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// Where the store, the circuit and the keys live.
    pub data_dir: PathBuf,
    /// The settlement layer.
    pub chain: ChainConfig,
    /// The account that pays and is paid.
    pub account: AccountConfig,
    /// The address that clients talk to.
    pub http: HttpConfig,
    /// Which backups are taken.
    pub intake: IntakeConfig,
    /// The network between towers.
    pub network: NetworkConfig,
    /// The node beside the tower.
    pub node: NodeConfig,
    /// The store.
    pub store: StoreConfig,
    /// When an override is worth it.
    pub decision: DecisionConfig,
    /// The prover.
    pub prover: ProverConfig,
    /// What a transaction may cost.
    pub fees: FeesConfig,
    /// How transactions are sent.
    pub submit: SubmitConfig,
    /// The log.
    pub log: LogConfig,
    /// How the process stops.
    pub shutdown: ShutdownConfig,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            data_dir: "watchtower-data".into(),
            chain: ChainConfig::default(),
            account: AccountConfig::default(),
            http: HttpConfig::default(),
            intake: IntakeConfig::default(),
            network: NetworkConfig::default(),
            node: NodeConfig::default(),
            store: StoreConfig::default(),
            decision: DecisionConfig::default(),
            prover: ProverConfig::default(),
            fees: FeesConfig::default(),
            submit: SubmitConfig::default(),
            log: LogConfig::default(),
            shutdown: ShutdownConfig::default(),
        }
    }
}

/// The account that pays for gas and is the beneficiary of overrides.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct AccountConfig {
    /// The encrypted key (Web3 secret storage, version 3); relative to `data_dir`.
    pub keystore: PathBuf,
    /// A file with its password; without it the environment's `WATCHTOWER_KEYSTORE_PASSWORD` is used.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub password_file: Option<PathBuf>,
    /// Where collected ether goes; none for the account itself.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub collect_to: Option<Address>,
    /// The least balance to start with, in gwei.
    pub balance_min_gwei: u64,
    /// For nodes: another process that holds the key, spoken to by JSON-RPC over HTTP; then there is no keystore.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub signer: Option<String>,
    /// The account that the signer signs for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub address: Option<Address>,
    /// The most time for one signature: a person may have to agree.
    #[serde(with = "humantime_serde")]
    pub signer_timeout: Duration,
}

impl Default for AccountConfig {
    fn default() -> Self {
        Self {
            keystore: "account.json".into(),
            password_file: None,
            collect_to: None,
            // An override of 3.5 million gas at 10 gwei is 0.035 ETH.
            balance_min_gwei: 50_000_000,
            signer: None,
            address: None,
            signer_timeout: Duration::from_secs(30),
        }
    }
}

/// The HTTP server.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct HttpConfig {
    /// Where to listen. There is no TLS here: put a proxy before it to serve others than this machine.
    pub listen: SocketAddr,
    /// Requests at work at the same time; more wait for a place, then are refused.
    pub requests_max: usize,
    /// The most time for one request.
    #[serde(with = "humantime_serde")]
    pub request_timeout: Duration,
}

impl Default for HttpConfig {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from(([127, 0, 0, 1], 8645)),
            requests_max: 64,
            request_timeout: Duration::from_secs(10),
        }
    }
}

/// Which backups are taken.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct IntakeConfig {
    /// How far a slot's nonce may rise in an hour.
    pub jump_per_hour: u64,
    /// How long a receipt promises to hold a backup.
    #[serde(with = "humantime_serde")]
    pub receipt_validity: Duration,
}

impl Default for IntakeConfig {
    fn default() -> Self {
        Self {
            // 2,777 updates a second for an hour.
            jump_per_hour: 10_000_000,
            receipt_validity: Duration::from_secs(30 * 24 * 3_600),
        }
    }
}

/// The store.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct StoreConfig {
    /// How much of its file the database keeps in memory, in MiB.
    pub cache_mib: usize,
}

impl Default for StoreConfig {
    fn default() -> Self {
        Self { cache_mib: store::CACHE_BYTES >> 20 }
    }
}

impl StoreConfig {
    /// The same in bytes.
    #[must_use]
    pub const fn cache_bytes(&self) -> usize {
        self.cache_mib.saturating_mul(1 << 20)
    }
}

/// When an override is worth it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct DecisionConfig {
    /// The least profit, in gwei, that an override must be expected to leave.
    pub profit_min_gwei: u64,
    /// Whether the fee counts as income: it goes to the last corrector, and a tower cannot know that it is the last.
    pub count_fee: bool,
    /// Gas that an override is expected to take.
    pub override_gas: u64,
    /// How long towers of one network wait for each one that comes before this one in a dispute's order; whole seconds,
    /// longer than a proof and two blocks.
    #[serde(with = "humantime_serde")]
    pub race_slot: Duration,
    /// The end of a window that is left alone: an override is planned to be mined this long before the deadline.
    #[serde(with = "humantime_serde")]
    pub margin: Duration,
}

impl Default for DecisionConfig {
    fn default() -> Self {
        Self {
            profit_min_gwei: 0,
            count_fee: true,
            override_gas: 4_000_000,
            race_slot: Duration::from_secs(36),
            margin: Duration::from_secs(5),
        }
    }
}

/// The prover.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ProverConfig {
    /// Threads of a proof; zero for all cores.
    pub threads: usize,
    /// Where the built circuit is kept; relative to `data_dir`.
    pub artifacts: PathBuf,
}

impl Default for ProverConfig {
    fn default() -> Self {
        Self { threads: 0, artifacts: "circuits".into() }
    }
}

/// What a transaction may cost.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct FeesConfig {
    /// The most that is ever bid for a unit of gas, in gwei; the reward sets a lower ceiling of its own.
    pub gas_price_max_gwei: u64,
}

impl Default for FeesConfig {
    fn default() -> Self {
        Self { gas_price_max_gwei: 500 }
    }
}

/// The log.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct LogConfig {
    /// Text for people or JSON for machines.
    pub format: LogFormat,
    /// What to log: a level, or a list such as `info,watchtower=debug`.
    pub filter: String,
}

impl Default for LogConfig {
    fn default() -> Self {
        Self { format: LogFormat::Text, filter: "info".to_owned() }
    }
}

/// The form of the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    /// For people.
    Text,
    /// One JSON object a line.
    Json,
}

/// How the process stops.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ShutdownConfig {
    /// The most time from the signal to the end.
    #[serde(with = "humantime_serde")]
    pub grace: Duration,
}

impl Default for ShutdownConfig {
    fn default() -> Self {
        Self { grace: Duration::from_secs(20) }
    }
}

/// Wei in a gwei.
pub const WEI_PER_GWEI: u64 = 1_000_000_000;

impl Config {
    /// Where the store is.
    #[must_use]
    pub fn store_path(&self) -> PathBuf {
        self.data_dir.join("tower.redb")
    }

    /// Where the encrypted key is.
    #[must_use]
    pub fn keystore_path(&self) -> PathBuf {
        self.data_dir.join(&self.account.keystore)
    }

    /// The folder of the node that commands talk to: the one beside the tower where there is one.
    #[must_use]
    pub fn node_folder(&self) -> PathBuf {
        match self.node.role {
            NodeRole::None => self.data_dir.clone(),
            NodeRole::Participant | NodeRole::Hub => self.data_dir.join(&self.node.folder),
        }
    }

    /// Where the circuit is.
    #[must_use]
    pub fn artifacts_path(&self) -> PathBuf {
        self.data_dir.join(&self.prover.artifacts)
    }

    /// Checks what no single key can say by itself.
    ///
    /// # Errors
    /// The first key that does not fit, and what would.
    pub fn validate(&self) -> Result<(), ConfigError> {
        let invalid = |key: &'static str, reason: &str| {
            Err(ConfigError::Invalid { key, reason: reason.to_owned() })
        };
        self.chain.validate()?;
        if self.account.signer.is_some() != self.account.address.is_some() {
            return invalid("account.signer", "and account.address go together");
        }
        if self.account.signer_timeout < Duration::from_secs(1) {
            return invalid("account.signer_timeout", "must be at least 1s");
        }
        if !(1..=4_096).contains(&self.http.requests_max) {
            return invalid("http.requests_max", "must be between 1 and 4096");
        }
        if self.http.request_timeout.is_zero() {
            return invalid("http.request_timeout", "must be more than zero");
        }
        if self.intake.jump_per_hour == 0 {
            return invalid(
                "intake.jump_per_hour",
                "must be at least 1, or no backup is ever replaced",
            );
        }
        if self.intake.receipt_validity < Duration::from_secs(60) {
            return invalid("intake.receipt_validity", "must be at least 1m");
        }
        if !(4..=65_536).contains(&self.store.cache_mib) {
            return invalid("store.cache_mib", "must be between 4 and 65536");
        }
        if !(21_000..=16_777_216).contains(&self.decision.override_gas) {
            return invalid("decision.override_gas", "must be between 21000 and 16777216");
        }
        if self.decision.race_slot > Duration::from_secs(600) {
            return invalid("decision.race_slot", "must be at most 10m");
        }
        if self.fees.gas_price_max_gwei == 0 {
            return invalid("fees.gas_price_max_gwei", "must be at least 1");
        }
        self.submit.validate()?;
        self.network.validate()?;
        self.node.validate()?;
        if !(Duration::from_millis(100)..=Duration::from_secs(600)).contains(&self.shutdown.grace) {
            return invalid("shutdown.grace", "must be between 100ms and 10m");
        }
        Ok(())
    }
}
