//! What a node keeps to itself: its seed, its account's key, and the token of its local API.
//!
//! **Invariant:** a seed is never made where there is a store already: it would be another node's.

use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use chain::account::{Account, Typed};
use chain::deploy::Deployment;
use node::api::Token;
use protocol::seed::Seed;
use rand::RngCore as _;
use zeroize::Zeroizing;

use super::{STORE, system};
use crate::commands::say;
use crate::config::Config;
use crate::error::{CommandError, DeploymentError};
use crate::keys::{
    ACCOUNT_VARIABLE, KeysError, Password, new_seed, open_account, read_seed, store_seed,
};

/// The seed's file in the data folder.
const SEED: &str = "seed";
/// Where the API's address stands while the node runs.
pub(crate) const API_ADDRESS: &str = "api.address";
/// Where the API's token stands.
pub(crate) const API_TOKEN: &str = "api.token";

/// The account's key: from the environment where that has one, else from the encrypted file.
pub(super) fn account(
    keystore: &Path,
    password: impl FnOnce() -> Result<Password, KeysError>,
) -> Result<Account, CommandError> {
    if let Ok(text) = std::env::var(ACCOUNT_VARIABLE) {
        let text = Zeroizing::new(text);
        let digits = text.trim();
        let digits = digits.strip_prefix("0x").unwrap_or(digits);
        let key: Zeroizing<[u8; 32]> = alloy_primitives::hex::decode_to_array(digits)
            .map(Zeroizing::new)
            .map_err(|_not_hex| {
                CommandError::Node(format!(
                    "{ACCOUNT_VARIABLE} holds no key: 64 hexadecimal digits"
                ))
            })?;
        return Account::from_bytes(&key).map_err(|_no_key| {
            CommandError::Node(format!("{ACCOUNT_VARIABLE} holds no key of an account"))
        });
    }
    Ok(open_account(keystore, &password()?)?)
}

/// The seed; made at the first start, never when there is a store already.
pub(super) async fn seed(
    config: &Config,
    folder: &Path,
    (account, index): (&Account, Option<u32>),
) -> Result<Seed, CommandError> {
    let path = folder.join(SEED);
    if path.exists() {
        return Ok(Seed::from_bytes(*read_seed(&path)?));
    }
    if index.is_none() && folder.join(STORE).exists() {
        return Err(CommandError::Node(format!(
            "the store {} is there and the seed {} is not: put the seed back",
            folder.join(STORE).display(),
            path.display()
        )));
    }
    let Some(index) = index else {
        new_seed(&path)?;
        say(format_args!(
            "a new seed is in {}: back it up, with it and the chain everything else is restored",
            path.display()
        ))?;
        return Ok(Seed::from_bytes(*read_seed(&path)?));
    };
    let seed = from_account(config, account, index).await?;
    store_seed(&path, seed.as_bytes())?;
    say(format_args!(
        "the seed in {} comes from the account's signature with index {index}: the account's key restores it",
        path.display()
    ))?;
    Ok(seed)
}

/// The account signs twice, so that one that signs differently each time is found out.
async fn from_account(
    config: &Config,
    account: &Account,
    index: u32,
) -> Result<Seed, CommandError> {
    let Some(path) = &config.chain.deployment else {
        return Err(CommandError::Node("--seed-from-account needs --deployment".to_owned()));
    };
    let deployment = Deployment::load(path).map_err(DeploymentError::from)?;
    let words = Typed::of_seed(deployment.chain_id, deployment.vipe.address, index);
    let failed = |error: String| CommandError::Node(error);
    let sign = || account.sign_typed(&words);
    let first = sign().await.map_err(|error| failed(error.to_string()))?;
    let second = sign().await.map_err(|error| failed(error.to_string()))?;
    Seed::from_wallet(&first, &second).map_err(|error| failed(error.to_string()))
}

/// The API's token; made at the first start.
pub(super) fn token(folder: &Path) -> Result<Token, CommandError> {
    let path = folder.join(API_TOKEN);
    if !path.exists() {
        let mut secret = Zeroizing::new([0; 32]);
        rand::rngs::OsRng.fill_bytes(&mut *secret);
        write_private(&path, &Zeroizing::new(alloy_primitives::hex::encode(*secret)))?;
    }
    Ok(Token::new(read_token(&path)?))
}

/// Reads a token from a file that nobody else can read.
pub(crate) fn read_token(path: &Path) -> Result<Zeroizing<String>, CommandError> {
    let secret = read_seed(path).map_err(|error| match error {
        KeysError::Content { path, .. } => {
            KeysError::Content { path, wanted: "a token: 64 hexadecimal digits" }
        }
        other => other,
    })?;
    Ok(Zeroizing::new(alloy_primitives::hex::encode(*secret)))
}

/// Writes a file that only its owner can read, whole or not at all.
pub(super) fn write_private(path: &Path, text: &str) -> Result<(), CommandError> {
    let mut unfinished = path.as_os_str().to_owned();
    unfinished.push(".unfinished");
    let unfinished = PathBuf::from(unfinished);
    let write = || -> std::io::Result<()> {
        // One that a crash left behind may have other permissions than ours.
        match std::fs::remove_file(&unfinished) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        let mut file = std::fs::OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(&unfinished)?;
        file.write_all(text.as_bytes())?;
        file.sync_all()?;
        std::fs::rename(&unfinished, path)
    };
    write().map_err(system(&format!("cannot write {}", path.display())))
}
