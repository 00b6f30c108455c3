//! Going on with a deployment that was interrupted: what it left in the pool, and the development asset that it made.

use std::time::{Duration, Instant};

use alloy_primitives::Address;

use super::{DeployError, Done, Earlier, Progress};
use crate::{
    artifact::Artifact,
    provider::{At, Rpc},
    sender::Sender,
};

/// How many of the deployer's newest transactions may have made something that is found again without a deployment file: a
/// deployment that goes on after an interruption has made fewer than ten since.
const LOOK_BACK: u64 = 64;
/// How often to look whether the account's transactions are mined.
const LOOK_INTERVAL: Duration = Duration::from_millis(200);

/// Waits for transactions of the account that are under way: a creation that is sent twice fails once, and costs gas.
pub(super) async fn settle_account(
    sender: &Sender,
    tell: &mut (dyn FnMut(Progress) + Send),
) -> Result<(), DeployError> {
    let account = sender.account.address();
    let started = Instant::now();
    let mut told = false;
    loop {
        let mined = sender.rpc.transaction_count(account, At::Latest).await?;
        let known = sender.rpc.transaction_count(account, At::Pending).await?;
        let count = known.saturating_sub(mined);
        if count == 0 {
            return Ok(());
        }
        if started.elapsed() >= sender.patience {
            return Err(DeployError::UnderWay { account, count, waited: sender.patience });
        }
        if !std::mem::replace(&mut told, true) {
            let done = Done::Awaited { count };
            tell(Progress { what: "the account's transactions", address: account, done });
        }
        tokio::time::sleep(LOOK_INTERVAL).await;
    }
}

/// What this deployer created with its newest transactions and looks as wanted, newest first.
pub(super) async fn created_lately(
    sender: &Sender,
    looks_right: impl Fn(&[u8]) -> bool,
) -> Result<Option<Address>, DeployError> {
    let account = sender.account.address();
    let used = sender.rpc.transaction_count(account, At::Latest).await?;
    for nonce in (used.saturating_sub(LOOK_BACK)..used).rev() {
        let address = account.create(nonce);
        if looks_right(&sender.rpc.code(address).await?) {
            return Ok(Some(address));
        }
    }
    Ok(None)
}

/// The development asset of an earlier run of this deployer.
pub(super) async fn asset_of(
    sender: &Sender,
    earlier: Option<&Earlier>,
    artifact: &Artifact,
) -> Result<Option<Address>, DeployError> {
    if let Some(token) = earlier.and_then(|earlier| earlier.token)
        && artifact.is_code(&sender.rpc.code(token).await?)
    {
        return Ok(Some(token));
    }
    created_lately(sender, |code| artifact.is_code(code)).await
}

/// Whether the account has nothing at all to pay with; false if the node does not say.
pub(super) async fn is_penniless(rpc: &Rpc, account: Address) -> bool {
    rpc.balance(account).await.is_ok_and(|balance| balance.is_zero())
}
