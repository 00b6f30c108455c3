//! What each tower spent and earned, from the chain's books alone.

use alloy_primitives::{Address, I256, U256};
use chain::provider::At;
use serde_json::{Value, json};

use super::actions::Stage;
use super::fleet::{Fleet, name};
use super::holdings::{Outcome, signed_ether};
use super::story::Ending;
use super::timeline::Fact;
use super::world::World;

/// A tower's ether and transactions before the dispute.
pub(super) struct Purse {
    account: Address,
    ether: U256,
    transactions: u64,
}

/// What a tower came to.
struct Result {
    change: I256,
    transactions: u64,
    gas: u64,
    alive: bool,
}

/// An account's ether, and what the vault owes it.
async fn wealth(world: &World, account: Address) -> eyre::Result<U256> {
    let owed = world.vipe.ether_credit(&world.chain.rpc, account, At::Latest).await?;
    Ok(world.chain.ether(account).await? + owed)
}

impl Purse {
    /// Counts what is in it.
    pub(super) async fn open(world: &World, account: Address) -> eyre::Result<Self> {
        let transactions = world.chain.rpc.transaction_count(account, At::Latest).await?;
        Ok(Self { account, ether: wealth(world, account).await?, transactions })
    }
}

async fn count(stage: &Stage<'_>, fleet: &Fleet, purses: &[Purse]) -> eyre::Result<Vec<Result>> {
    let mut results = Vec::new();
    for (purse, tower) in purses.iter().zip(&fleet.towers) {
        let signed = |wei: U256| I256::try_from(wei).unwrap_or(I256::MAX);
        let after = wealth(stage.world, purse.account).await?;
        let sent = stage.world.chain.rpc.transaction_count(purse.account, At::Latest).await?;
        let record = match tower.is_alive() {
            true => tower.dispute(stage.live.channel.id()).await.unwrap_or_default(),
            false => Value::Null,
        };
        let gas = record.pointer("/dispute/account/gas_used").and_then(Value::as_u64);
        results.push(Result {
            change: signed(after).saturating_sub(signed(purse.ether)),
            transactions: sent.saturating_sub(purse.transactions),
            gas: gas.unwrap_or(0),
            alive: tower.is_alive(),
        });
    }
    Ok(results)
}

/// Says who spent and earned what, and whether it is as it must be: the participant is whole, exactly one tower was paid,
/// and no other sent anything.
pub(super) async fn settle_up(
    stage: &Stage<'_>,
    fleet: &Fleet,
    purses: &[Purse],
    mut outcome: Outcome,
) -> eyre::Result<Ending> {
    let results = count(stage, fleet, purses).await?;
    let mut told = Vec::new();
    for (index, (result, purse)) in results.iter().zip(purses).enumerate() {
        let state = if result.alive { "alive" } else { "killed" };
        stage.timeline.step(
            &name(index),
            &format!("{state}: {} ETH", signed_ether(result.change)),
            &[
                Fact::count("transactions", result.transactions),
                Fact::count("gas", result.gas),
                Fact::amount("ether", signed_ether(result.change), &result.change),
            ],
        )?;
        outcome.table.row([
            format!("{} ({state}), ETH after gas", name(index)),
            String::new(),
            format!("{} transactions", result.transactions),
            signed_ether(result.change),
        ]);
        told.push(json!({
            "account": purse.account, "state": state, "ether_change_wei": result.change.to_string(),
            "transactions": result.transactions, "gas": result.gas,
        }));
    }
    if let Some(summary) = outcome.summary.as_object_mut() {
        summary.insert("towers".to_owned(), told.into());
    }
    let paid = results.iter().filter(|result| result.change > I256::ZERO).count();
    let idle = |result: &&Result| result.transactions == 0 && result.change.is_zero();
    let idle = results.iter().filter(idle).count();
    let ok = outcome.participant_whole && paid == 1 && paid + idle == results.len();
    let verdict = if ok {
        "The participant is whole, exactly one tower was paid, and no other spent anything."
            .to_owned()
    } else {
        format!(
            "FAILED: participant whole: {}, towers paid: {paid}, towers that sent nothing: {idle} of {}.",
            outcome.participant_whole,
            results.len()
        )
    };
    Ok(Ending { ok, verdict, outcome })
}
