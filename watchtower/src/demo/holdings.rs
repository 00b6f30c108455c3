//! Who has what: taken before the dispute and after, and shown as a table.

use alloy_primitives::{I256, U256};
use chain::provider::At;
use eyre::eyre;
use protocol::zksc::FinalState;
use protocol::{Amount, Role};
use serde_json::{Value, json};

use super::actions::{Opening, Stage};
use super::plan::TOKEN_DECIMALS;
use super::timeline::{Table, decimal};
use super::world::World;

/// What everybody owns outside the channel, credits that only need collecting included.
#[derive(Debug, Clone)]
pub(super) struct Holdings {
    participant_tokens: u128,
    pool_tokens: u128,
    ether: [U256; 5],
}

/// The accounts whose ether is told, in the order of [`Holdings`].
const ACCOUNTS: [&str; 5] = ["participant", "counterparty", "tower", "attacker's friend", "thief"];

impl Holdings {
    pub(super) async fn take(world: &World) -> eyre::Result<Self> {
        let (rpc, accounts) = (&world.chain.rpc, &world.accounts);
        let owners = [
            &accounts.participant,
            &accounts.counterparty,
            &accounts.tower,
            &accounts.friend,
            &accounts.thief,
        ];
        let mut ether = [U256::ZERO; 5];
        for (sum, owner) in ether.iter_mut().zip(owners) {
            *sum = world.chain.ether(owner.address()).await?
                + world.vipe.ether_credit(rpc, owner.address(), At::Latest).await?;
        }
        let token = world.token.address;
        let participant = accounts.participant.address();
        let participant_tokens = world.token.balance_of(rpc, participant, At::Latest).await?
            + world.vipe.asset_credit(rpc, participant, token, At::Latest).await?;
        let pool_tokens = world.pool.idle(rpc, At::Latest).await?
            + world.vipe.asset_credit(rpc, world.pool.address, token, At::Latest).await?;
        let narrow =
            |sum: U256| u128::try_from(sum).map_err(|_wide| eyre!("a balance beyond all money"));
        Ok(Self {
            participant_tokens: narrow(participant_tokens)?,
            pool_tokens: narrow(pool_tokens)?,
            ether,
        })
    }

    /// How an account's ether changed since `before`, in wei.
    fn ether_change(&self, before: &Self, index: usize) -> I256 {
        let signed = |wei: U256| I256::try_from(wei).unwrap_or(I256::MAX);
        signed(self.ether[index]).saturating_sub(signed(before.ether[index]))
    }
}

/// The end of the story in numbers.
#[derive(Debug)]
pub(super) struct Outcome {
    /// The participant has at least what its live state gives it.
    pub(super) participant_whole: bool,
    /// The participant has exactly that.
    pub(super) exact: bool,
    /// The tower has more ether than before, gas paid.
    pub(super) tower_paid: bool,
    /// The thief has no more ether than before.
    pub(super) thief_empty: bool,
    /// The tower's profit, in wei.
    pub(super) tower_profit: I256,
    pub(super) table: Table,
    pub(super) summary: Value,
}

impl Outcome {
    /// Compares `before` (taken when the channel's money was in escrow) with now.
    pub(super) async fn take(
        stage: &Stage<'_>,
        before: &Holdings,
        live: &FinalState,
        stale: Option<&FinalState>,
        opening: Opening,
    ) -> eyre::Result<Self> {
        let after = Holdings::take(stage.world).await?;
        let due = stage_pay(stage, live).await?;
        let under_stale = match stale {
            Some(stale) => Some(stage_pay(stage, stale).await?),
            None => None,
        };
        let (got_participant, got_pool) = (
            after.participant_tokens - before.participant_tokens,
            after.pool_tokens - before.pool_tokens,
        );
        let tower_profit = after.ether_change(before, 2);
        let shown = |amount: u128| decimal(amount, TOKEN_DECIMALS, 2);
        let mut table = Table::new(["", "true claim", "under the stale state", "got"]);
        let stale_cell = |side: fn(&(Amount, Amount)) -> Amount| {
            under_stale.as_ref().map_or_else(|| "-".to_owned(), |pay| shown(side(pay).get()))
        };
        table.row([
            "participant, DEMO".to_owned(),
            shown(due.0.get()),
            stale_cell(|pay| pay.0),
            shown(got_participant),
        ]);
        table.row([
            "counterparty's pool, DEMO".to_owned(),
            shown(due.1.get()),
            stale_cell(|pay| pay.1),
            shown(got_pool),
        ]);
        let mut changes = serde_json::Map::new();
        for (index, name) in ACCOUNTS.iter().enumerate() {
            let change = after.ether_change(before, index);
            changes.insert((*name).to_owned(), change.to_string().into());
            if !change.is_zero() {
                table.row([
                    format!("{name}, ETH after gas"),
                    String::new(),
                    String::new(),
                    signed_ether(change),
                ]);
            }
        }
        let summary = json!({
            "true_claim": {"participant": due.0.get().to_string(), "pool": due.1.get().to_string()},
            "got": {"participant": got_participant.to_string(), "pool": got_pool.to_string()},
            "ether_change_wei": changes,
            "opening": {"claim": opening.claim.get().to_string(), "bond_wei": opening.bond.to_string(), "fee_wei": opening.fee.to_string()},
        });
        Ok(Self {
            participant_whole: got_participant >= due.0.get(),
            exact: got_participant == due.0.get() && got_pool == due.1.get(),
            tower_paid: tower_profit > I256::ZERO,
            thief_empty: after.ether_change(before, 4) <= I256::ZERO,
            tower_profit,
            table,
            summary,
        })
    }
}

async fn stage_pay(stage: &Stage<'_>, state: &FinalState) -> eyre::Result<(Amount, Amount)> {
    Ok((stage.pay(state, Role::Participant).await?, stage.pay(state, Role::Counterparty).await?))
}

/// A change of ether with its sign, six places.
pub(super) fn signed_ether(wei: I256) -> String {
    let size = u128::try_from(wei.unsigned_abs()).unwrap_or(u128::MAX);
    let sign = if wei < I256::ZERO { "-" } else { "+" };
    format!("{sign}{}", decimal(size, 18, 6))
}
