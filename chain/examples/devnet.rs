//! Runs the embedded settlement layer as a process of its own, until Ctrl-C.
//!
//! The optional argument is the configuration as JSON, every field optional:
//! `cargo run --release -p chain --example devnet -- '{"port": 8545, "mining": {"mode": "instant"}}'`

#![allow(clippy::print_stdout, reason = "a program for a person at a terminal")]

use std::error::Error;

use chain::devnet::{Devnet, DevnetConfig, MNEMONIC};

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let config: DevnetConfig = match std::env::args().nth(1) {
        Some(json) => serde_json::from_str(&json)?,
        None => DevnetConfig::default(),
    };
    let devnet = Devnet::start(config).await?;
    println!("chain {} at {} and {}", devnet.chain_id(), devnet.http_url(), devnet.ws_url());
    println!("accounts of the public mnemonic \"{MNEMONIC}\", for development only:");
    for account in devnet.accounts() {
        println!("  {} {}", account.address, account.private_key);
    }
    tokio::signal::ctrl_c().await?;
    devnet.shutdown().await;
    Ok(())
}
