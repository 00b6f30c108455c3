//! The configuration, as the parts want it.

use std::sync::Arc;

use alloy_primitives::U256;
use chain::account::Account;
use chain::follower::{ClockBounds, Finality, FollowConfig, Limits};
use chain::provider::{Endpoint, Rpc};
use chain::submitter::{Outlets, Patience, SubmitConfig, Submitter};
use metrics::Queue;
use protocol::Address;
use protocol::vnode::dispute::Policy;

use store::Store;

use super::StartError;
use super::checks::CLOCK_SKEW_MAX;
use crate::config::{Config, WEI_PER_GWEI};
use crate::driver::prove;
use crate::observe::Recorder;

/// How the chain is followed.
pub(crate) fn following(config: &Config, vipe: Address) -> FollowConfig {
    FollowConfig {
        vipe,
        start_block: config.chain.start_block.unwrap_or(0),
        finality: config.chain.finality_depth.map_or(Finality::Tag, Finality::Depth),
        verify: config.chain.verify.into(),
        poll_interval: config.chain.poll_interval,
        limits: Limits::default(),
        clock: ClockBounds {
            head_age_max: config.chain.head_age_max,
            skew_max: config.chain.head_age_max.map(|_| CLOCK_SKEW_MAX),
        },
    }
}

fn patience(config: &Config) -> Patience {
    Patience {
        lead_s: config.submit.send_lead.as_secs(),
        private_percent: config.submit.private_percent,
        ..Patience::of_blocks(config.submit.block_time.as_secs())
    }
}

pub(crate) async fn submitter(
    config: &Config,
    account: &Account,
    rpc: &Rpc,
    (chain_id, finality): (u64, Finality),
) -> Result<Submitter, StartError> {
    let balance_min = U256::from(config.account.balance_min_gwei) * U256::from(WEI_PER_GWEI);
    let sending = SubmitConfig { chain_id, finality, patience: patience(config), balance_min };
    let submitter = Submitter::new(rpc.clone(), account.clone(), sending);
    Ok(submitter.with_outlets(outlets(config).await?))
}

/// Relays and further nodes. Nothing is asked of them yet: one that is down is no reason not to start.
async fn outlets(config: &Config) -> Result<Outlets, StartError> {
    let mut outlets = Outlets::default();
    for (urls, rpcs) in [
        (&config.submit.endpoints, &mut outlets.public),
        (&config.submit.relays, &mut outlets.private),
    ] {
        for url in urls {
            let request_timeout = config.chain.request_timeout;
            let endpoint = Endpoint { request_timeout, ..Endpoint::new(url.as_str()) };
            let rpc = Rpc::connect(&endpoint).await;
            rpcs.push(rpc.map_err(|error| StartError::Rpc { error })?);
        }
    }
    Ok(outlets)
}

/// What writes figures down, told of everything but the queues between tasks.
pub(super) fn recorder(
    config: &Config,
    store: &Store,
    prover: &prove::Started,
) -> Result<Recorder, StartError> {
    let recorder = Recorder::new()?;
    recorder.watch_store(store);
    let waiting = Arc::clone(&prover.waiting);
    recorder.watch_queue(Queue::Prover, move || waiting());
    recorder.wants(config.account.balance_min_gwei);
    Ok(recorder)
}

pub(super) fn policy(config: &Config) -> Policy {
    Policy {
        min_profit: U256::from(config.decision.profit_min_gwei) * U256::from(WEI_PER_GWEI),
        count_fee: config.decision.count_fee,
        // What the submitter would not send any more is not worth proving.
        margin: config
            .decision
            .margin
            .max(config.submit.block_time + config.submit.send_lead)
            .as_secs(),
    }
}
