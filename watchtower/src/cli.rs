//! The command line.

mod node;

use std::path::PathBuf;

use alloy_primitives::{Address, B256};
use clap::{Args, Parser, Subcommand};

use crate::bench::BenchArgs;
use crate::config::{self, Config, ConfigError, KEYS, Layers};
use crate::demo::DemoArgs;

pub use node::{
    BackupCommand, ClientCommand, Common, HubArgs, HubCommand, NodeCommand, RunArgs, Shown,
};

/// A tower of the Virtual Rollup.
///
/// A tower holds the encrypted latest states of channels. When somebody opens a dispute with an old one, the dispute reveals
/// the key; the tower decrypts, proves the newer state, overrides the old one on chain, and is paid for it.
#[derive(Debug, Parser)]
#[command(name = "watchtower", version, about, long_about, propagate_version = true)]
pub struct Cli {
    /// Where the settings come from.
    #[command(flatten)]
    pub settings: Settings,
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// Settings, for every command.
#[derive(Debug, Args)]
#[command(next_help_heading = "Settings of every command")]
pub struct Settings {
    /// Configuration file (TOML); see config.example.toml for every key
    #[arg(long, short, global = true, env = "WATCHTOWER_CONFIG", value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Set one key of the configuration; may be repeated. Not for secrets: other users can read command lines
    #[arg(long, global = true, value_name = "KEY=VALUE", value_parser = key_value)]
    pub set: Vec<(String, String)>,
    /// Directory of the store, the circuit and the key; also how a command finds the node that it talks to [key: `data_dir`]
    #[arg(long, global = true, value_name = "DIR")]
    pub data_dir: Option<String>,
    /// The node's address: http, https, ws or wss [key: chain.rpc]
    #[arg(long, global = true, value_name = "URL")]
    pub rpc: Option<String>,
    /// The file that a deployment wrote [key: chain.deployment]
    #[arg(long, global = true, value_name = "FILE")]
    pub deployment: Option<String>,
    /// Where to listen for clients [key: http.listen]
    #[arg(long, global = true, value_name = "IP:PORT")]
    pub listen: Option<String>,
    /// Where to listen for other towers, such as /ip4/0.0.0.0/udp/9645/quic-v1; may be repeated [key: network.listen]
    #[arg(long, global = true, value_name = "MULTIADDRESS")]
    pub listen_p2p: Vec<String>,
    /// A tower to begin with, ending in /p2p/ and its name; may be repeated [key: network.bootstrap]
    #[arg(long, global = true, value_name = "MULTIADDRESS")]
    pub bootstrap: Vec<String>,
    /// Which shards to keep: all, placed, or numbers and ranges below 64 such as 0-15,20 [key: network.shards]
    #[arg(long, global = true, value_name = "SHARDS")]
    pub shards: Option<String>,
    /// Stand alone, whatever the configuration says [key: network.enabled]
    #[arg(long, global = true, conflicts_with_all = ["listen_p2p", "bootstrap"])]
    pub no_p2p: bool,
    /// Text for people or JSON for machines [key: log.format]
    #[arg(long, global = true, value_name = "text|json")]
    pub log_format: Option<String>,
    /// What to log: a level, or a list such as info,watchtower=debug [key: log.filter]
    #[arg(long, global = true, value_name = "FILTER")]
    pub log: Option<String>,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Run a tower until it is told to stop (Ctrl-C; twice to stop at once).
    ///
    /// Needs a funded account (`watchtower keys new`), a node (`--rpc`) and a vault (`--deployment`). Ready when /readyz
    /// answers 200. Killing it at any moment loses nothing: the next run goes on where this one was.
    ///
    /// With a section named node in its configuration (or --set node.role=participant, or hub) a node runs in the same process, with a
    /// folder, an account and an API of its own; either goes on when the other one fails.
    Run,
    /// Look at everything that a tower needs, and say what to mend: clock, disk, ports, nodes of the chain, contracts, gas, peers.
    ///
    /// Changes nothing; a tower may run meanwhile. The exit code is 0 only if nothing is bad.
    Doctor(DoctorArgs),
    /// Watch the vault without an account, and alarm when a dispute goes unanswered, whoever should have answered.
    ///
    /// Needs a node and a vault, like `run`; serves /metrics and /healthz at http.listen. Run it on another machine than your tower.
    Monitor(MonitorArgs),
    /// A participant's node: holds channels, pays and is paid.
    ///
    /// `node run` runs it. What talks to it while it runs, with the same --data-dir: open, fund, pay, receive, history, channels,
    /// status, costs, backup, restore, export, withdraw, close, exit, cancel. See `watchtower help open` and so on.
    #[command(subcommand)]
    Node(NodeCommand),
    /// A counterparty's node: accepts the channels of many participants, and carries their payments.
    ///
    /// `hub run` runs it; the others here, and status, channels, history, costs, backup, export and exit, talk to it while it runs,
    /// with the same --data-dir.
    #[command(subcommand)]
    Hub(HubCommand),
    /// What talks to a running node.
    #[command(flatten)]
    Client(ClientCommand),
    /// Print a script that completes this program's commands in a shell.
    Completions {
        /// The shell.
        #[arg(value_enum)]
        shell: clap_complete::Shell,
    },
    /// Print this program's manual page, or that of one of its commands (roff; `watchtower man | man -l -`).
    Man {
        /// The command, such as `pay` or `hub run`; without it the program's own page.
        command: Vec<String>,
    },
    /// Print the configuration that `run` would use, and say whether it is sound.
    ///
    /// Precedence: defaults < file < environment < flags.
    #[command(after_long_help = keys_help())]
    CheckConfig,
    /// Make or show keys. Secrets are encrypted or private on disk, and never printed.
    #[command(subcommand)]
    Keys(KeysCommand),
    /// Run an embedded chain in the foreground: for trials, needs nothing installed.
    Devnet(DevnetArgs),
    /// Show the whole story, with every part real: a stale dispute, a proof, an override, a reward. Needs nothing else.
    ///
    /// Exit code 0 only if it ended as the scenario promises: by default, if the victim is whole and the tower was paid.
    Demo(DemoArgs),
    /// Show a running tower in the terminal.
    Top(TopArgs),
    /// Ask a running tower or monitor whether it is alive, or ready: the health check of containers. The exit code is 0 only if so.
    Health(HealthArgs),
    /// Measure what everything costs on this machine, and print a table of medians.
    Bench(BenchArgs),
    /// Deploy the contracts from the tower's account to the node's chain, and write the deployment file.
    Deploy(DeployArgs),
    /// Print what the store holds. The tower must not be running; ask a running one over HTTP.
    Inspect {
        /// What to print.
        #[arg(value_enum)]
        what: Inspect,
        /// At most this many rows.
        #[arg(long, default_value_t = 1_000)]
        limit: usize,
    },
}

/// How to report.
#[derive(Debug, Args)]
pub struct DoctorArgs {
    /// One JSON object a check
    #[arg(long)]
    pub json: bool,
}

/// What to watch with.
#[derive(Debug, Args)]
pub struct MonitorArgs {
    /// A tower to fetch backups from, to tell stale disputes from honest ones; may be repeated
    #[arg(long, value_name = "URL")]
    pub tower: Vec<String>,
    /// Post each alarm to this address as JSON
    #[arg(long, value_name = "URL", env = "WEBHOOK_URL", hide_env_values = true)]
    pub webhook: Option<String>,
}

/// Which tower to show.
#[derive(Debug, Args)]
pub struct TopArgs {
    /// The tower's address; by default the one at http.listen
    #[arg(value_name = "URL")]
    pub url: Option<String>,
    /// Print one picture and end; the exit code is 0 only if the tower answered
    #[arg(long)]
    pub once: bool,
}

/// Whom to ask, and what.
#[derive(Debug, Args)]
pub struct HealthArgs {
    /// Its address; by default the one at http.listen
    #[arg(value_name = "URL")]
    pub url: Option<String>,
    /// Ask whether a dispute would be answered without delay (/readyz), not only whether the process works (/healthz)
    #[arg(long)]
    pub ready: bool,
}

/// What to deploy, and where to write it down.
#[derive(Debug, Args)]
pub struct DeployArgs {
    /// What kind of chain it is: decides the windows
    #[arg(value_enum)]
    pub kind: Kind,
    /// The deployment file to write
    #[arg(long, value_name = "FILE", default_value = "deployment.json")]
    pub out: PathBuf,
    /// The asset that the vault takes (a plain ERC-20: no fees on transfer); on a development chain one is made
    #[arg(long, value_name = "ADDRESS")]
    pub asset: Option<Address>,
    /// The most of it in one channel, in base units
    #[arg(long, default_value_t = 1_000_000_000_000)]
    pub cap_per_channel: u128,
    /// The most of it in all channels together, in base units
    #[arg(long, default_value_t = 1_000_000_000_000_000)]
    pub cap_total: u128,
    /// Deploy a pool for this counterparty as well
    #[arg(long, value_name = "ADDRESS")]
    pub operator: Option<Address>,
    /// On an L2: seconds after which a transaction gets in without the sequencer
    #[arg(long, default_value_t = 86_400)]
    pub forced_inclusion_s: u64,
    /// Seconds of a dispute's window; by default 86,400 on an L1, 259,200 on an L2, 120 on a development chain. Refused if
    /// honest parties could not answer in time: less than a day on an L1, less than 2 x forced inclusion + 12 hours on an L2
    #[arg(long, value_name = "SECONDS")]
    pub window_s: Option<u64>,
    /// Goes into every address: the same salt, code and rules give the same addresses on every chain with the same factory
    #[arg(long, value_name = "HEX", default_value_t = B256::ZERO)]
    pub salt: B256,
    /// The CREATE2 factory; by default the one that most chains have, or one of this account's own
    #[arg(long, value_name = "ADDRESS")]
    pub factory: Option<Address>,
    /// A block before the vault's creation: only for a vault that is there already, when neither --out nor the node can say
    #[arg(long, value_name = "NUMBER")]
    pub start_block: Option<u64>,
}

/// Kinds of chains.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Kind {
    /// Ethereum itself: a day to answer.
    L1,
    /// A chain with a sequencer: three days to answer.
    L2,
    /// A chain where nothing has value: seconds to answer.
    Development,
}

/// An embedded chain.
#[derive(Debug, Args)]
pub struct DevnetArgs {
    /// Port of the JSON-RPC server (HTTP and WebSocket); 0 for any
    #[arg(long, default_value_t = 8_545)]
    pub port: u16,
    /// Address of the server. Whoever reaches it controls the chain and knows all keys: for containers
    #[arg(long, value_name = "IP", default_value = "127.0.0.1")]
    pub host: std::net::IpAddr,
    /// Milliseconds between blocks; below 1000 the chain's time runs ahead
    #[arg(long, default_value_t = 1_000)]
    pub block_ms: u64,
    /// Deploy the contracts, and write this deployment file
    #[arg(long, value_name = "FILE")]
    pub deploy: Option<PathBuf>,
    /// Seconds of a dispute's window
    #[arg(long, default_value_t = 120)]
    pub window_s: u64,
    /// With --deploy: give every account this many base units of the asset, and the pool ten times as many
    #[arg(long, value_name = "UNITS", default_value_t = 0)]
    pub endow: u64,
}

/// Parts of the store.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Inspect {
    /// What the file belongs to, and how far the chain was read.
    Facts,
    /// Channels as the chain has them.
    Channels,
    /// Which backups are held.
    Backups,
    /// Disputes: where they stand, what they cost and earned.
    Disputes,
    /// Every step of every dispute.
    Journal,
    /// What is still to be brought to the chain.
    Outbox,
}

/// Keys.
#[derive(Debug, Subcommand)]
pub enum KeysCommand {
    /// Make the account that pays for gas and is paid, encrypted with a password; or a node's seed.
    New {
        /// Make the seed of a node (channel, session and identity keys) in this file instead.
        #[arg(long, value_name = "FILE")]
        seed: Option<PathBuf>,
        /// A file with the password, or - for standard input; else the variable `WATCHTOWER_KEYSTORE_PASSWORD`.
        #[arg(long, value_name = "FILE")]
        password_file: Option<PathBuf>,
    },
    /// Encrypt an existing account's key.
    Import {
        /// A private file (mode 600) with the key as 64 hexadecimal digits.
        file: PathBuf,
        /// A file with the password, or - for standard input; else the variable `WATCHTOWER_KEYSTORE_PASSWORD`.
        #[arg(long, value_name = "FILE")]
        password_file: Option<PathBuf>,
    },
    /// Show the public part of the account, or of a seed.
    Show {
        /// Show the public keys of the seed in this file instead.
        #[arg(long, value_name = "FILE")]
        seed: Option<PathBuf>,
        /// A file with the password, or - for standard input; else the variable `WATCHTOWER_KEYSTORE_PASSWORD`.
        #[arg(long, value_name = "FILE")]
        password_file: Option<PathBuf>,
    },
}

impl Settings {
    /// The configuration that these settings, the file and the environment make. Not validated.
    ///
    /// # Errors
    /// As [`config::load`].
    pub fn load(&self) -> Result<Config, ConfigError> {
        let shortcuts = [
            ("data_dir", &self.data_dir),
            ("chain.rpc", &self.rpc),
            ("chain.deployment", &self.deployment),
            ("http.listen", &self.listen),
            ("network.shards", &self.shards),
            ("log.format", &self.log_format),
            ("log.filter", &self.log),
        ];
        let mut flags = self.set.clone();
        for (key, value) in shortcuts {
            flags.extend(value.iter().map(|value| (key.to_owned(), value.clone())));
        }
        for (key, values) in
            [("network.listen", &self.listen_p2p), ("network.bootstrap", &self.bootstrap)]
        {
            if !values.is_empty() {
                flags.push((key.to_owned(), values.join(",")));
            }
        }
        if self.no_p2p {
            flags.push(("network.enabled".to_owned(), "false".to_owned()));
        }
        // Variables that are not text cannot be ours.
        let environment = std::env::vars_os()
            .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
            .collect();
        config::load(&Layers { file: self.config.clone(), environment, flags })
    }
}

fn key_value(text: &str) -> Result<(String, String), String> {
    let (key, value) = text.split_once('=').ok_or("give it as KEY=VALUE")?;
    Ok((key.to_owned(), value.to_owned()))
}

fn keys_help() -> String {
    let mut help = "Keys, for the file, for --set and for the environment (chain.rpc is WATCHTOWER_CHAIN_RPC):\n".to_owned();
    for (key, _) in KEYS {
        help.push_str("  ");
        help.push_str(key);
        help.push('\n');
    }
    help
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn no_flag_takes_a_secret() {
        let mut command = Cli::command();
        command.build();
        let mut waiting = vec![command];
        while let Some(command) = waiting.pop() {
            for argument in command.get_arguments() {
                let id = argument.get_id().as_str();
                assert!(
                    !["password", "key", "secret", "private_key", "mnemonic"].contains(&id),
                    "{id}"
                );
            }
            waiting.extend(command.get_subcommands().cloned());
        }
    }
}
