//! A tower's decision about one dispute: stale or live? exploitable? what does it earn, what does it cost, is there time?
//!
//! ```text
//!   nothing opens            -> NothingHeld
//!   not newer than W's state -> NotNewer, or Beaten when somebody else's override brought it there
//!   pays the disputer >= W   -> NotExploitable
//!   too late to be mined     -> TooLate
//!   earns less than it costs -> Unprofitable
//!   too little ether         -> Unfunded
//!   else                     -> Override
//! ```
//!
//! **Invariant:** the decision depends on its arguments alone.
//!
//! **Invariant:** what is called guaranteed is paid on inclusion and never taken back, whatever others do later.

use alloy_primitives::U256;
use serde::{Deserialize, Serialize};

use crate::{
    ids::{Amount, EscrowVersion, Nonce},
    vipe::{Ledger, LedgerError, Rate, Rules, Standing, bond, bond::share},
    zksc::{FinalState, State},
};

/// What the chain shows of a dispute and of its channel.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Facts {
    /// Where the dispute stands.
    pub standing: Standing,
    /// The nonce that the dispute was opened with.
    pub opening_nonce: Nonce,
    /// The channel's ledger; frozen while the dispute is open.
    pub ledger: Ledger,
    /// The channel's bond rate.
    pub rate: Rate,
    /// The deployment's rules.
    pub rules: Rules,
}

/// What an override would meet now.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Conditions {
    /// What a unit of gas costs, priority fee included, in wei.
    pub gas_price: u128,
    /// What an override costs, calldata floor included, in gas.
    pub override_gas: u64,
    /// What the tower's account holds, in wei.
    pub balance: U256,
    /// How long the proof still takes, in seconds; zero once it is there.
    pub proving: u64,
    /// The chain's time, in seconds.
    pub now: u64,
}

/// What a tower does by its own choice.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Policy {
    /// The least that an override must earn beyond its cost, in wei.
    pub min_profit: U256,
    /// Whether the fee counts as income. It goes to the last corrector: a tower that cannot know that its state is the
    /// newest does not own it, but without counting it no small theft is worth answering.
    pub count_fee: bool,
    /// Seconds before the deadline that the tower treats as its own deadline: mining, and a reorganisation's room.
    pub margin: u64,
}

/// The figures behind a verdict.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Evidence {
    /// The newest state held.
    pub nonce: Nonce,
    /// The version that it spends from.
    pub version: EscrowVersion,
    /// Its balance.
    pub balance: Amount,
    /// W: what the disputer would be paid as it stands.
    pub standing_claim: Amount,
    /// W': what it would be paid after the override.
    pub new_claim: Amount,
    /// The tower's share of the struck-down bond, in wei: paid on inclusion, never taken back.
    pub guaranteed: U256,
    /// F, in wei: paid at settlement if nobody corrects after.
    pub fee_hoped: U256,
    /// What the override costs at the present gas price, in wei.
    pub cost: U256,
    /// The deadline, in the chain's seconds.
    pub deadline: u64,
}

impl Evidence {
    /// What the tower counts on under `policy`, in wei.
    #[must_use]
    pub fn income(&self, policy: &Policy) -> U256 {
        let fee = if policy.count_fee { self.fee_hoped } else { U256::ZERO };
        self.guaranteed.saturating_add(fee)
    }
}

/// What a tower does about a dispute, and why.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "verdict", rename_all = "snake_case")]
pub enum Verdict {
    /// No envelope of either slot held a usable state.
    NothingHeld,
    /// The newest usable state is the one that stands, or older.
    NotNewer {
        /// The newest nonce held.
        held: Nonce,
        /// The nonce that stands.
        standing: Nonce,
    },
    /// Somebody's override already brought a state as new as the newest held.
    Beaten {
        /// The newest nonce held.
        held: Nonce,
        /// The nonce that stands.
        standing: Nonce,
    },
    /// The newer state pays the disputer as much or more: there is nothing to strike down.
    NotExploitable(Evidence),
    /// An override could not be mined in time.
    TooLate(Evidence),
    /// An override earns less than it costs and must earn.
    Unprofitable(Evidence),
    /// The tower's account cannot pay for the override.
    Unfunded(Evidence),
    /// Prove the held state and override.
    Override(Evidence),
}

impl Verdict {
    /// Whether a change of gas price, balance or time can turn it into an override.
    #[must_use]
    pub const fn may_change(&self) -> bool {
        matches!(self, Self::Unprofitable(_) | Self::Unfunded(_))
    }
}

/// The newest of `held` that the chain would accept, by the nonce inside; states that the ledger refuses are passed over.
#[must_use]
pub fn newest<'a>(
    held: impl IntoIterator<Item = &'a FinalState>,
    ledger: &Ledger,
) -> Option<&'a FinalState> {
    let usable =
        |state: &State| -> Result<_, LedgerError> { ledger.payout(state.version, state.balance) };
    held.into_iter()
        .filter(|state| usable(state.state()).is_ok())
        .max_by_key(|state| state.state().nonce)
}

/// Decides about one dispute. `held` are the states that the envelopes of both slots opened to.
#[must_use]
pub fn decide<'a>(
    facts: &Facts,
    held: impl IntoIterator<Item = &'a FinalState>,
    conditions: &Conditions,
    policy: &Policy,
) -> Verdict {
    let Some(state) = newest(held, &facts.ledger) else { return Verdict::NothingHeld };
    decide_about(facts, state.state(), conditions, policy)
}

/// Decides about one dispute and the newest state held, whose signatures were checked before.
pub(super) fn decide_about(
    facts: &Facts,
    state: &State,
    conditions: &Conditions,
    policy: &Policy,
) -> Verdict {
    let Ok(payout) = facts.ledger.payout(state.version, state.balance) else {
        return Verdict::NothingHeld;
    };
    let standing = &facts.standing;
    if state.nonce <= standing.nonce {
        let (held, standing) = (state.nonce, standing.nonce);
        return if standing > facts.opening_nonce {
            Verdict::Beaten { held, standing }
        } else {
            Verdict::NotNewer { held, standing }
        };
    }
    let evidence = weigh(facts, state, payout.of(standing.disputer), conditions);
    let landed = conditions.now.saturating_add(conditions.proving).saturating_add(policy.margin);
    let wanted = evidence.cost.saturating_add(policy.min_profit);
    if evidence.new_claim >= evidence.standing_claim {
        Verdict::NotExploitable(evidence)
    } else if landed >= evidence.deadline {
        Verdict::TooLate(evidence)
    } else if evidence.income(policy) < wanted {
        Verdict::Unprofitable(evidence)
    } else if conditions.balance < evidence.cost {
        Verdict::Unfunded(evidence)
    } else {
        Verdict::Override(evidence)
    }
}

fn weigh(facts: &Facts, state: &State, new_claim: Amount, conditions: &Conditions) -> Evidence {
    let standing = &facts.standing;
    let freed = bond(standing.claim, facts.rate).saturating_sub(bond(new_claim, facts.rate));
    let gas = U256::from(conditions.override_gas);
    Evidence {
        nonce: state.nonce,
        version: state.version,
        balance: state.balance,
        standing_claim: standing.claim,
        new_claim,
        guaranteed: share(freed, facts.rules.tower_bps),
        fee_hoped: standing.fee,
        cost: gas.saturating_mul(U256::from(conditions.gas_price)),
        deadline: standing.deadline,
    }
}
