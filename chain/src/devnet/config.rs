//! What a devnet is started with: plain data, so that it can come from code, a file or flags, and so that the same
//! chain can run in this process or in one of its own.
//!
//! Every field has a default that suits a first run: loopback, any free port, one block a second, Osaka rules.
//!
//! **Invariant:** a [`DevnetConfig`] that passed [`DevnetConfig::validate`] starts a chain, or fails only because of
//! the machine (a taken port).

use std::net::{IpAddr, Ipv4Addr};

use alloy_primitives::{Address, U256, address};
use serde::{Deserialize, Serialize};

use super::error::DevnetError;

/// Most dev accounts a devnet funds at genesis. Derivation costs about 0.2 ms each.
pub const ACCOUNTS_MAX: u16 = 200;

/// Receives the priority fees. Nobody has its key; it is above the range of precompiles.
pub const BENEFICIARY: Address = address!("00000000000000000000000000000000c0ffee00");

/// Wei in one ether.
pub(crate) const WEI_PER_ETHER: u64 = 1_000_000_000_000_000_000;

/// The rules that transactions and blocks follow.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum Hardfork {
    /// Prague: EIP-7623 and EIP-7702, but no cap on a transaction's gas.
    Prague,
    /// Osaka: also EIP-7825 (at most 16,777,216 gas in a transaction) and CLZ.
    #[default]
    Osaka,
}

/// When blocks are made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase", tag = "mode", deny_unknown_fields)]
#[non_exhaustive]
pub enum Mining {
    /// One block every `millis` milliseconds, empty or not.
    ///
    /// Timestamps count whole seconds and grow with every block, as on every post-merge chain, so a period below one
    /// second makes chain time run ahead of the wall clock.
    Every {
        /// The period in milliseconds, 1 to 3,600,000.
        millis: u64,
    },
    /// One block per executable transaction, made before `eth_sendRawTransaction` answers.
    Instant,
    /// Only on demand: [`DevnetHandle::mine`](super::DevnetHandle::mine), `evm_mine`, `anvil_mine`.
    Manual,
}

impl Mining {
    /// One block a second, the default.
    pub const SECOND: Self = Self::Every { millis: 1_000 };
}

/// The bounds of the server. At each of them a request is refused with a typed error and nothing else happens.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Limits {
    /// Bytes in one HTTP body or WebSocket message: 5 MiB, as geth.
    pub request_bytes: usize,
    /// Requests in one batch.
    pub batch: usize,
    /// HTTP requests and WebSocket connections served at once.
    pub connections: usize,
    /// Subscriptions on one WebSocket connection.
    pub subscriptions: usize,
    /// Filters that `eth_getFilterChanges` can poll.
    pub filters: usize,
    /// Seconds after which a filter that nobody polls is dropped: five minutes, as geth.
    pub filter_idle_seconds: u64,
    /// Logs in one answer.
    pub logs: usize,
    /// Transactions in the pool.
    pub pool: usize,
    /// Transactions of one sender in the pool.
    pub pool_per_sender: usize,
    /// Events that a slow subscriber or filter may lag behind before it is cut off. Above `mine`, so that no bulk of
    /// blocks can cut off a subscriber that is not slow.
    pub event_backlog: usize,
    /// Snapshots that `evm_snapshot` keeps; the oldest is dropped.
    pub snapshots: usize,
    /// Blocks that one `anvil_mine` makes.
    pub mine: u64,
    /// Gas of one `eth_call`.
    pub call_gas: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            request_bytes: 5 * 1024 * 1024,
            batch: 100,
            connections: 256,
            subscriptions: 64,
            filters: 1_024,
            filter_idle_seconds: 300,
            logs: 10_000,
            pool: 4_096,
            pool_per_sender: 1_024,
            event_backlog: 16_384,
            snapshots: 64,
            mine: 10_000,
            call_gas: 60_000_000,
        }
    }
}

/// What a devnet is started with.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct DevnetConfig {
    /// Address to listen on. Anything but loopback also needs `allow_remote`.
    pub host: IpAddr,
    /// Port to listen on, for HTTP and WebSocket alike; 0 takes a free one.
    pub port: u16,
    /// Without it only loopback addresses are accepted: the keys of the dev accounts are public.
    pub allow_remote: bool,
    /// Chain id, 1 to 2^53 - 1 (so that JavaScript clients read it exactly).
    pub chain_id: u64,
    /// When blocks are made.
    pub mining: Mining,
    /// The rules.
    pub hardfork: Hardfork,
    /// Gas limit of every block.
    pub gas_limit: u64,
    /// Base fee of the genesis block, in wei per gas. It moves by EIP-1559 from there.
    pub base_fee: u64,
    /// Priority fee that `eth_maxPriorityFeePerGas` suggests, in wei per gas.
    pub priority_fee: u64,
    /// Number of dev accounts, from the public mnemonic [`MNEMONIC`](super::MNEMONIC).
    pub accounts: u16,
    /// Ether that each dev account owns at genesis.
    pub balance_ether: u64,
    /// Timestamp of the genesis block, in seconds since 1970; none means now.
    pub genesis_time: Option<u64>,
    /// `safe` is this many blocks behind `latest`.
    pub safe_depth: u64,
    /// `finalized` is this many blocks behind `latest`; a reorganisation never reaches it.
    pub finality_depth: u64,
    /// Blocks whose state can still be read or returned to.
    pub state_history: u64,
    /// Blocks kept in memory; older ones are forgotten, as by a node with pruned history.
    pub block_history: u64,
    /// The bounds of the server.
    pub limits: Limits,
}

impl Default for DevnetConfig {
    fn default() -> Self {
        Self {
            host: IpAddr::V4(Ipv4Addr::LOCALHOST),
            port: 0,
            allow_remote: false,
            chain_id: 31_337,
            mining: Mining::SECOND,
            hardfork: Hardfork::Osaka,
            gas_limit: 60_000_000,
            base_fee: 1_000_000_000,
            priority_fee: 1_000_000_000,
            accounts: 10,
            balance_ether: 10_000,
            genesis_time: None,
            safe_depth: 1,
            finality_depth: 2,
            state_history: 4_096,
            block_history: 65_536,
            limits: Limits::default(),
        }
    }
}

impl DevnetConfig {
    /// The default chain, with a block per transaction: what tests want.
    pub fn instant() -> Self {
        Self { mining: Mining::Instant, ..Self::default() }
    }

    /// The default chain, with blocks on demand only.
    pub fn manual() -> Self {
        Self { mining: Mining::Manual, ..Self::default() }
    }

    /// Checks ranges and the relations between fields.
    ///
    /// # Errors
    /// [`DevnetError::Config`] with the field and what is wrong with it.
    pub fn validate(&self) -> Result<(), DevnetError> {
        let limits = &self.limits;
        let bounds = [
            limits.request_bytes,
            limits.batch,
            limits.connections,
            limits.logs,
            limits.pool,
            limits.pool_per_sender,
            limits.event_backlog,
        ];
        let rules: [(bool, &'static str, &'static str); 12] = [
            (
                self.host.is_loopback() || self.allow_remote,
                "host",
                "is not loopback; set allow_remote",
            ),
            ((1..1 << 53).contains(&self.chain_id), "chain_id", "must be 1 to 2^53 - 1"),
            (self.gas_limit >= 1_000_000, "gas_limit", "must be at least 1,000,000"),
            (self.gas_limit <= 1_000_000_000, "gas_limit", "must be at most 1,000,000,000"),
            (
                self.base_fee >= 7,
                "base_fee",
                "must be at least 7 wei, where EIP-1559 stops falling",
            ),
            (self.accounts <= ACCOUNTS_MAX, "accounts", "is above 200"),
            (self.balance_ether <= 1_000_000_000_000, "balance_ether", "is above 10^12"),
            (self.safe_depth <= self.finality_depth, "safe_depth", "is above finality_depth"),
            (self.finality_depth <= self.state_history, "finality_depth", "is above state_history"),
            (
                self.state_history < self.block_history,
                "state_history",
                "must be below block_history",
            ),
            (bounds.iter().all(|bound| *bound > 0), "limits", "must be positive"),
            (
                !matches!(self.mining, Mining::Every { millis } if !(1..=3_600_000).contains(&millis)),
                "mining",
                "must have a period of 1 to 3,600,000 ms",
            ),
        ];
        match rules.into_iter().find(|(holds, ..)| !holds) {
            Some((_, field, problem)) => Err(DevnetError::Config { field, problem }),
            None => Ok(()),
        }
    }

    /// Genesis balance of a dev account, in wei.
    pub(crate) fn balance(&self) -> U256 {
        U256::from(self.balance_ether) * U256::from(WEI_PER_ETHER)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_default_configuration_is_valid_and_survives_a_round_trip() {
        let config = DevnetConfig::default();
        config.validate().unwrap();
        let text = serde_json::to_string(&config).unwrap();
        assert_eq!(serde_json::from_str::<DevnetConfig>(&text).unwrap(), config);
    }

    #[test]
    fn a_remote_address_needs_an_explicit_permission() {
        let mut config =
            DevnetConfig { host: IpAddr::V4(Ipv4Addr::UNSPECIFIED), ..Default::default() };
        assert!(matches!(config.validate(), Err(DevnetError::Config { field: "host", .. })));
        config.allow_remote = true;
        config.validate().unwrap();
    }

    #[test]
    fn unknown_keys_and_impossible_relations_are_refused() {
        assert!(serde_json::from_str::<DevnetConfig>(r#"{"prot": 1}"#).is_err());
        let config = DevnetConfig { safe_depth: 3, finality_depth: 2, ..Default::default() };
        assert!(matches!(config.validate(), Err(DevnetError::Config { field: "safe_depth", .. })));
        let config = DevnetConfig { mining: Mining::Every { millis: 0 }, ..Default::default() };
        assert!(matches!(config.validate(), Err(DevnetError::Config { field: "mining", .. })));
    }
}
