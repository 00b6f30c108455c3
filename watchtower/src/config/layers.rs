//! From four layers to one [`Config`].

use std::path::{Path, PathBuf};

use alloy_primitives::{Address, B256};
use serde::Deserialize;
use toml::{Table, Value};

use super::{Config, Deployed};

/// How the text of a variable or a flag is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// As it stands.
    Text,
    /// A whole number.
    Number,
    /// `true` or `false`.
    Flag,
    /// Texts with commas between them; an empty text is an empty list.
    List,
}

/// Every key, by its path.
pub const KEYS: &[(&str, Kind)] = &[
    ("data_dir", Kind::Text),
    ("chain.deployment", Kind::Text),
    ("chain.rpc", Kind::Text),
    ("chain.other_rpcs", Kind::List),
    ("chain.quorum", Kind::Number),
    ("chain.verify", Kind::Text),
    ("chain.watch_pending", Kind::Flag),
    ("chain.chain_id", Kind::Number),
    ("chain.vipe", Kind::Text),
    ("chain.start_block", Kind::Number),
    ("chain.finality_depth", Kind::Number),
    ("chain.poll_interval", Kind::Text),
    ("chain.request_timeout", Kind::Text),
    ("chain.head_age_max", Kind::Text),
    ("account.keystore", Kind::Text),
    ("account.password_file", Kind::Text),
    ("account.collect_to", Kind::Text),
    ("account.balance_min_gwei", Kind::Number),
    ("account.signer", Kind::Text),
    ("account.address", Kind::Text),
    ("account.signer_timeout", Kind::Text),
    ("http.listen", Kind::Text),
    ("http.requests_max", Kind::Number),
    ("http.request_timeout", Kind::Text),
    ("intake.jump_per_hour", Kind::Number),
    ("intake.receipt_validity", Kind::Text),
    ("store.cache_mib", Kind::Number),
    ("network.enabled", Kind::Flag),
    ("network.listen", Kind::List),
    ("network.external", Kind::List),
    ("network.bootstrap", Kind::List),
    ("network.identity", Kind::Text),
    ("network.reachable", Kind::Flag),
    ("network.relay_server", Kind::Flag),
    ("network.mdns", Kind::Flag),
    ("network.peers_target", Kind::Number),
    ("network.peers_min", Kind::Number),
    ("network.connections_max", Kind::Number),
    ("network.per_ip_max", Kind::Number),
    ("network.shards", Kind::Text),
    ("network.sync_interval", Kind::Text),
    ("node.role", Kind::Text),
    ("node.folder", Kind::Text),
    ("node.keystore", Kind::Text),
    ("node.password_file", Kind::Text),
    ("node.signer", Kind::Text),
    ("node.address", Kind::Text),
    ("node.api", Kind::Text),
    ("node.link", Kind::List),
    ("node.announce", Kind::List),
    ("node.towers", Kind::List),
    ("node.policy", Kind::Text),
    ("node.asset", Kind::Text),
    ("node.vip", Kind::Text),
    ("decision.profit_min_gwei", Kind::Number),
    ("decision.count_fee", Kind::Flag),
    ("decision.override_gas", Kind::Number),
    ("decision.race_slot", Kind::Text),
    ("decision.margin", Kind::Text),
    ("prover.threads", Kind::Number),
    ("prover.artifacts", Kind::Text),
    ("fees.gas_price_max_gwei", Kind::Number),
    ("submit.block_time", Kind::Text),
    ("submit.send_lead", Kind::Text),
    ("submit.endpoints", Kind::List),
    ("submit.relays", Kind::List),
    ("submit.private_percent", Kind::Number),
    ("log.format", Kind::Text),
    ("log.filter", Kind::Text),
    ("shutdown.grace", Kind::Text),
];

/// The prefix of our variables.
const PREFIX: &str = "WATCHTOWER_";

/// Variables with our prefix that are read elsewhere: the file's path, and the secrets.
const OTHER_VARIABLES: &[&str] =
    &["WATCHTOWER_CONFIG", crate::keys::PASSWORD_VARIABLE, crate::keys::ACCOUNT_VARIABLE];

/// Why there is no configuration.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ConfigError {
    /// The file cannot be read.
    #[error("cannot read the file {path}")]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// The file does not parse, or has an unknown key or a value of the wrong kind.
    #[error("{path}, line {line}: {reason}")]
    File {
        /// The file.
        path: PathBuf,
        /// Counted from 1.
        line: usize,
        /// What the parser said.
        reason: String,
    },
    /// The deployment file does not parse.
    #[error("the deployment file {path} cannot be used")]
    Deployment {
        /// The file.
        path: PathBuf,
        /// What the parser said.
        #[source]
        source: serde_json::Error,
    },
    /// An environment variable with our prefix names no key.
    #[error(
        "the environment variable {0} names no key; `watchtower check-config --help` lists them"
    )]
    UnknownVariable(String),
    /// A flag names no key.
    #[error("--set {0}: there is no such key; `watchtower check-config --help` lists them")]
    UnknownKey(String),
    /// A variable's or flag's value does not fit its key.
    #[error("{origin} = {value:?} does not fit: {reason}")]
    Value {
        /// The variable or flag.
        origin: String,
        /// The value.
        value: String,
        /// What the parser said.
        reason: String,
    },
    /// A value that is well formed and makes no sense.
    #[error("{key} {reason}")]
    Invalid {
        /// The key.
        key: &'static str,
        /// What would fit.
        reason: String,
    },
}

/// What lies above the defaults, lowest first.
#[derive(Debug, Clone, Default)]
pub struct Layers {
    /// The file, if there is one.
    pub file: Option<PathBuf>,
    /// The environment: all of it, other variables are left alone.
    pub environment: Vec<(String, String)>,
    /// Key and value, the later one wins.
    pub flags: Vec<(String, String)>,
}

/// The part of a deployment file that a tower needs. Other fields are for others.
#[derive(Debug, Deserialize)]
struct DeploymentFile {
    chain_id: u64,
    start_block: u64,
    vipe: DeployedContract,
    verifier: DeployedContract,
}

#[derive(Debug, Deserialize)]
struct DeployedContract {
    address: Address,
    code_hash: B256,
}

impl DeployedContract {
    const fn pair(&self) -> (Address, B256) {
        (self.address, self.code_hash)
    }
}

/// Puts the layers on top of each other. The result is not validated yet.
///
/// # Errors
/// When a file cannot be read or does not parse, with its line; when a variable or flag names no key or does not fit.
pub fn load(layers: &Layers) -> Result<Config, ConfigError> {
    let mut table = match &layers.file {
        Some(path) => read_file(path)?,
        None => Table::new(),
    };
    for (name, value) in &layers.environment {
        if !name.starts_with(PREFIX) || OTHER_VARIABLES.contains(&name.as_str()) {
            continue;
        }
        let key = KEYS.iter().find(|(key, _)| variable(key) == *name);
        let Some((key, kind)) = key else {
            return Err(ConfigError::UnknownVariable(name.clone()));
        };
        put(&mut table, key, *kind, name, value)?;
    }
    for (name, value) in &layers.flags {
        let Some((key, kind)) = KEYS.iter().find(|(key, _)| key == name) else {
            return Err(ConfigError::UnknownKey(name.clone()));
        };
        put(&mut table, key, *kind, &format!("--set {name}"), value)?;
    }
    let mut config = Config::deserialize(table).map_err(|error| ConfigError::Value {
        origin: "the configuration".to_owned(),
        value: String::new(),
        reason: error.to_string(),
    })?;
    if let Some(path) = config.chain.deployment.clone() {
        let deployment = read_deployment(&path)?;
        config.chain.chain_id.get_or_insert(deployment.chain_id);
        config.chain.vipe.get_or_insert(deployment.vipe.address);
        config.chain.start_block.get_or_insert(deployment.start_block);
        let (vipe, verifier) = (deployment.vipe.pair(), deployment.verifier.pair());
        config.chain.deployed = Some(Deployed { vipe, verifier });
    }
    Ok(config)
}

/// The variable of a key: `chain.rpc` is `WATCHTOWER_CHAIN_RPC`.
fn variable(key: &str) -> String {
    format!("{PREFIX}{}", key.to_ascii_uppercase().replace('.', "_"))
}

fn read_file(path: &Path) -> Result<Table, ConfigError> {
    let text = read(path)?;
    let refused = |error: &toml::de::Error| ConfigError::File {
        path: path.to_owned(),
        line: error.span().map_or(1, |span| line_of(&text, span.start)),
        reason: error.message().to_owned(),
    };
    // Twice: as a configuration, so that a wrong key is reported with its line; as a table, to put layers on top.
    toml::from_str::<Config>(&text).map_err(|error| refused(&error))?;
    toml::from_str::<Table>(&text).map_err(|error| refused(&error))
}

fn read(path: &Path) -> Result<String, ConfigError> {
    std::fs::read_to_string(path)
        .map_err(|source| ConfigError::Unreadable { path: path.to_owned(), source })
}

fn read_deployment(path: &Path) -> Result<DeploymentFile, ConfigError> {
    serde_json::from_str(&read(path)?)
        .map_err(|source| ConfigError::Deployment { path: path.to_owned(), source })
}

fn line_of(text: &str, offset: usize) -> usize {
    text.bytes().take(offset).filter(|byte| *byte == b'\n').count() + 1
}

/// Sets one key and checks at once that its value fits, so that the error names where it came from.
fn put(
    table: &mut Table,
    key: &str,
    kind: Kind,
    origin: &str,
    text: &str,
) -> Result<(), ConfigError> {
    let refused = |reason: String| ConfigError::Value {
        origin: origin.to_owned(),
        value: text.to_owned(),
        reason,
    };
    let value = match kind {
        Kind::Text => Value::String(text.to_owned()),
        Kind::List => {
            let parts = text.split(',').map(str::trim).filter(|part| !part.is_empty());
            Value::Array(parts.map(|part| Value::String(part.to_owned())).collect())
        }
        Kind::Flag => Value::Boolean(text.parse().map_err(|error| refused(format!("{error}")))?),
        Kind::Number => Value::Integer(text.parse().map_err(|error| refused(format!("{error}")))?),
    };
    let mut alone = Table::new();
    insert(&mut alone, key, value.clone());
    Config::deserialize(alone).map_err(|error| refused(error.message().to_owned()))?;
    insert(table, key, value);
    Ok(())
}

fn insert(table: &mut Table, key: &str, value: Value) {
    match key.split_once('.') {
        None => {
            table.insert(key.to_owned(), value);
        }
        Some((section, rest)) => {
            let inner = table.entry(section).or_insert_with(|| Value::Table(Table::new()));
            if let Value::Table(inner) = inner {
                insert(inner, rest, value);
            }
        }
    }
}

#[cfg(test)]
mod tests;
