//! The nodes of the chain, each by itself, the contracts, and the account's ether.

use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use ::chain::calls::Vipe;
use ::chain::fees::{HISTORY_BLOCKS, Market, TIP_PERCENTILES};
use ::chain::pending::PendingWatch;
use ::chain::provider::startup::{self, Expectations, StartupError};
use ::chain::provider::{At, Endpoint, Header, Rpc};
use alloy_primitives::U256;
use protocol::Address;

use super::Finding;
use crate::config::{Config, WEI_PER_GWEI};
use crate::driver::journal::ether;
use crate::service::checks::sound;

/// How old a newest block may be where the configuration does not say.
const AGE_MAX: Duration = Duration::from_secs(300);

/// How far a newest block may be ahead of this machine's clock: what the tower itself allows.
const AHEAD_MAX: Duration = Duration::from_secs(60);

/// Blocks between the nodes' heads.
const LAG_MAX: u64 = 3;

/// An answer that takes longer is slow.
const SLOW: Duration = Duration::from_millis(500);

/// How long the pool is looked at.
const POOL_LOOK: Duration = Duration::from_secs(2);

/// Overrides that the account should be able to pay for at once.
const FLOAT: u64 = 2;

/// Longer than any single check should take.
const CHECK_MAX: Duration = Duration::from_secs(20);

pub(super) async fn examine(
    config: &Config,
    account: Option<Address>,
    findings: &mut Vec<Finding>,
) {
    let mut heads = Vec::new();
    for (place, (_, url)) in config.chain.urls().enumerate() {
        let name = format!("node {place}");
        let endpoint =
            Endpoint { request_timeout: config.chain.request_timeout, ..Endpoint::new(url) };
        let rpc = match Rpc::connect_all(&[endpoint], 1) {
            Ok(rpc) => rpc,
            Err(error) => {
                findings.push(Finding::bad(name, error.to_string(), error.advice()));
                continue;
            }
        };
        if let Some(head) = node(config, &name, &rpc, findings).await {
            heads.push((name.clone(), head));
            findings.extend(rules(config, &name, &rpc).await);
            more_of_node(config, &name, &rpc, findings).await;
            if heads.len() == 1
                && let Some(account) = account
            {
                funds(config, &rpc, account, findings).await;
            }
        }
    }
    together(config, &heads, findings);
}

/// The contracts that the deployment file names, with the hashes of their code.
fn contracts(config: &Config) -> Vec<(&'static str, Address, alloy_primitives::B256)> {
    let Some(deployed) = config.chain.deployed else { return Vec::new() };
    [("the vault", deployed.vipe), ("the verifier", deployed.verifier)]
        .map(|(name, (address, code))| (name, address, code))
        .to_vec()
}

/// Chain, clock and contracts.
async fn node(
    config: &Config,
    name: &str,
    rpc: &Rpc,
    findings: &mut Vec<Finding>,
) -> Option<Header> {
    let expected = Expectations {
        chain_id: config.chain.chain_id.unwrap_or_default(),
        head_age_max: Some(config.chain.head_age_max.unwrap_or(AGE_MAX)),
        clock_skew_max: Some(AHEAD_MAX),
        contracts: contracts(config),
        account: None,
    };
    let known = expected.contracts.len();
    let checked =
        tokio::time::timeout(CHECK_MAX, startup::check(rpc, &expected, crate::clock::now_s()));
    let found = match checked.await {
        Ok(Ok(found)) => found,
        Ok(Err(error)) => {
            let check = match error {
                StartupError::ClockBehind { .. } => "clock".to_owned(),
                StartupError::WrongContract { .. } | StartupError::NoContract { .. } => {
                    format!("{name}, contracts")
                }
                _ => name.to_owned(),
            };
            let (says, fix) = (format!("{}: {error}", rpc.endpoint()), error.advice());
            findings.push(Finding::bad(check, says, fix));
            return None;
        }
        Err(_elapsed) => {
            let says = format!("{} gives no answer", rpc.endpoint());
            findings.push(Finding::bad(name, says, "check the address and the node"));
            return None;
        }
    };
    let head = found.head;
    let age = crate::clock::now_s().saturating_sub(head.timestamp);
    let says = format!(
        "{} follows chain {}; its newest block is {}, {age} s old",
        rpc.endpoint(),
        expected.chain_id,
        head.id.number
    );
    findings.push(Finding::good(name, says));
    let ahead = head.timestamp.saturating_sub(crate::clock::now_s());
    let says = match ahead {
        0 => format!("agrees with the chain's: the newest block is {age} s old by it"),
        _ => format!("is at most {ahead} s behind the chain's"),
    };
    findings.push(Finding::good("clock", says));
    let check = format!("{name}, contracts");
    findings.push(if known == 0 {
        let fix = "name the deployment file in chain.deployment: the tower then compares the code";
        Finding::warn(check, "cannot be compared: no deployment file of this vault", fix)
    } else {
        Finding::good(check, "vault and verifier have the code that the deployment file says")
    });
    Some(head)
}

/// Whether disputes in this vault can be answered in time: the same question that a tower asks before it starts.
async fn rules(config: &Config, name: &str, rpc: &Rpc) -> Option<Finding> {
    let (vault, chain_id) = (config.chain.vipe?, config.chain.chain_id?);
    let check = format!("{name}, rules");
    let asked = tokio::time::timeout(CHECK_MAX, Vipe::new(vault).rules(rpc)).await;
    Some(match asked {
        Ok(Ok(rules)) => match sound(&rules, chain_id) {
            Ok(rules) => Finding::good(
                check,
                format!(
                    "{} s to answer a dispute, {} s more after a correction",
                    rules.dispute_window, rules.response_extension
                ),
            ),
            Err(error) => Finding::bad(
                check,
                error.to_string(),
                "use another vault: rules cannot be changed, and a tower refuses to start with these",
            ),
        },
        Ok(Err(error)) => {
            let says = format!("{vault} does not answer like a vault: {error}");
            Finding::bad(check, says, "check chain.vipe or the deployment file")
        }
        Err(_elapsed) => Finding::warn(check, "the node did not say", "try again"),
    })
}

/// Speed, old logs, subscriptions and the pool.
async fn more_of_node(config: &Config, name: &str, rpc: &Rpc, findings: &mut Vec<Finding>) {
    let started = Instant::now();
    let answered = rpc.head().await.is_ok();
    let took = started.elapsed();
    let says = format!("an answer takes {} ms", took.as_millis());
    findings.push(match answered && took < SLOW {
        true => Finding::good(format!("{name}, speed"), says),
        false => Finding::warn(format!("{name}, speed"), says, "use a node that is nearer"),
    });
    let Some(vault) = config.chain.vipe else { return };
    let start = config.chain.start_block.unwrap_or(0);
    let check = format!("{name}, old logs");
    findings.push(match rpc.logs_of_range(vault, start, start).await {
        Ok(_) => {
            Finding::good(check, format!("reads logs from block {start}, where the vault begins"))
        }
        Err(error) => Finding::bad(
            check,
            format!("no logs of block {start}: {error}"),
            "use a node that keeps logs from the vault's creation on, at least for the first start",
        ),
    });
    let check = format!("{name}, archive");
    findings.push(match rpc.transaction_count(vault, At::Number(start)).await {
        Ok(_) => Finding::good(check, "keeps old states as well"),
        Err(_pruned) => Finding::good(check, "keeps no old states; a tower does not need them"),
    });
    findings.push(new_blocks(config, name, rpc).await);
    if config.chain.watch_pending {
        findings.push(pool(config, name, rpc, vault).await);
    }
}

/// How new blocks are noticed.
async fn new_blocks(config: &Config, name: &str, rpc: &Rpc) -> Finding {
    let check = format!("{name}, new blocks");
    let every = humantime_words(config.chain.poll_interval);
    match tokio::time::timeout(CHECK_MAX, rpc.offers_heads()).await {
        Ok(Ok(true)) => Finding::good(check, "come by subscription"),
        Ok(Ok(false)) => {
            Finding::good(check, format!("are asked for every {every}; a ws address is quicker"))
        }
        Ok(Err(error)) => Finding::warn(
            check,
            format!("no subscription: {error}; they are asked for every {every}"),
            "use a node that offers eth_subscribe, or name its http address",
        ),
        Err(_elapsed) => Finding::warn(
            check,
            format!("no answer to a subscription; they are asked for every {every}"),
            "use a node that offers eth_subscribe, or name its http address",
        ),
    }
}

/// Whether the node shows what waits to be mined.
async fn pool(config: &Config, name: &str, rpc: &Rpc, vault: Address) -> Finding {
    let check = format!("{name}, pool");
    let (watch, hints, counters) =
        PendingWatch::new(rpc.clone(), vault, config.chain.poll_interval);
    let _looked = tokio::time::timeout(POOL_LOOK, watch.run()).await;
    drop(hints);
    if counters.failures.load(Ordering::Relaxed) == 0 {
        return Finding::good(check, "is shown: disputes are noticed before they are in a block");
    }
    Finding::warn(
        check,
        "is not shown: disputes are noticed when they are in a block",
        "use a node of your own, or set chain.watch_pending = false",
    )
}

/// The account's ether against what an answer costs now.
async fn funds(config: &Config, rpc: &Rpc, account: Address, findings: &mut Vec<Finding>) {
    let asked = futures::future::try_join(
        rpc.balance(account),
        rpc.fee_history(HISTORY_BLOCKS, &TIP_PERCENTILES),
    );
    let Ok((balance, history)) = asked.await else {
        findings.push(Finding::warn("gas float", "the node did not say", "try again"));
        return;
    };
    let market = Market::read(history.next_base_fee, &history.rewards);
    let price = market.next_base_fee.saturating_add(market.typical_tip);
    let one = U256::from(price).saturating_mul(U256::from(config.decision.override_gas));
    let least = U256::from(config.account.balance_min_gwei) * U256::from(WEI_PER_GWEI);
    let says =
        format!("{account} has {}; an override costs about {} now", ether(balance), ether(one));
    findings.push(if balance < least {
        let fix = format!("send it ether: account.balance_min_gwei asks for {}", ether(least));
        Finding::bad("gas float", says, fix)
    } else if balance < one.saturating_mul(U256::from(FLOAT)) {
        Finding::warn("gas float", says, format!("send it ether for {FLOAT} overrides at once"))
    } else {
        Finding::good("gas float", says)
    });
}

/// What several nodes say of one chain.
fn together(config: &Config, heads: &[(String, Header)], findings: &mut Vec<Finding>) {
    let quorum = config.chain.quorum;
    if heads.len() < quorum {
        let says = format!("{} of the nodes are usable, {quorum} must agree", heads.len());
        findings.push(Finding::bad("quorum", says, "mend the nodes above, or add others"));
        return;
    }
    let best = heads.iter().map(|(_, head)| head.id.number).max().unwrap_or(0);
    for (name, head) in heads {
        let lag = best.saturating_sub(head.id.number);
        if lag > LAG_MAX {
            let says = format!("is {lag} blocks behind the best");
            findings.push(Finding::warn(name.clone(), says, "let it catch up, or replace it"));
        }
    }
    if heads.len() == 1 {
        let fix = "add nodes of other operators to chain.other_rpcs, and ask for a quorum";
        findings.push(Finding::warn("quorum", "everything rests on one node", fix));
    } else {
        let says = format!("{} nodes, {quorum} must agree", heads.len());
        findings.push(Finding::good("quorum", says));
    }
}

fn humantime_words(time: Duration) -> String {
    format!("{} ms", time.as_millis())
}
