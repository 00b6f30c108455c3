//! The money of the story: who puts in what, and how the participant's balance moves from update to update.

use clap::ValueEnum;

/// Which story is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Scenario {
    /// The counterparty disputes with an old state while the participant is offline; the tower overrides it.
    Stale,
    /// The participant leaves by a dispute with its live state; nobody corrects it and everything returns.
    HonestExit,
    /// The attacker overrides itself with a state in between, for a friend; the tower is still paid.
    SelfOverride,
    /// The attacker's friend lowers the claim and the attacker raises it again; the tower is still paid.
    DipAndRaise,
    /// A thief copies the tower's transaction out of the mempool; it earns nothing.
    CopiedProof,
    /// Nobody answers in time; an override after the deadline is refused.
    LateOverride,
}

impl Scenario {
    /// The name on the command line.
    #[must_use]
    pub fn name(self) -> String {
        self.to_possible_value().map(|value| value.get_name().to_owned()).unwrap_or_default()
    }

    /// What is about to be shown.
    #[must_use]
    pub const fn title(self) -> &'static str {
        match self {
            Self::Stale => "A stale dispute is overridden by a tower",
            Self::HonestExit => "An honest exit: everything returns",
            Self::SelfOverride => "The attacker overrides itself first: the tower is still paid",
            Self::DipAndRaise => "The attacker dips and raises: the tower is still paid",
            Self::CopiedProof => "A thief copies the proof from the mempool: it earns nothing",
            Self::LateOverride => "An override after the deadline is refused",
        }
    }
}

/// What each side puts into escrow, in whole tokens.
pub(super) const SIDE_TOKENS: u128 = 1_000;
/// Decimals of the token.
pub(super) const TOKEN_DECIMALS: u32 = 6;
/// One token, in base units.
pub(super) const TOKEN: u128 = 1_000_000;
/// The bond: wei per base unit of claim, times 2^64. One token counts as 0.0005 ether and the bond is 2 % of it.
pub(super) const RATE: u128 = 10_u128.pow(13) * (1 << 64) / TOKEN;

/// The participant's balance after update `n` of `total`, in base units: it starts with its deposit, falls (twice, so that a claim can
/// dip and rise), recovers, and ends well above where it began.
pub(super) fn balance_after(n: u64, total: u64) -> u128 {
    /// (thousandths of the way, balance in tokens)
    const PATH: [(u128, u128); 5] =
        [(0, 1_000), (300, 100), (500, 900), (700, 150), (1_000, 1_400)];
    let way = u128::from(n.min(total)) * 1_000_000 / u128::from(total.max(1));
    let mut from = PATH[0];
    for to in PATH {
        if way <= to.0 * 1_000 {
            let (span, done) = ((to.0 - from.0) * 1_000, way.saturating_sub(from.0 * 1_000));
            let (a, b) = (from.1 * TOKEN, to.1 * TOKEN);
            return match span {
                0 => b,
                _ if b >= a => a + (b - a) * done / span,
                _ => a - (a - b) * done / span,
            };
        }
        from = to;
    }
    PATH[4].1 * TOKEN
}

/// Nonces of the states that play a part.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Cast {
    /// The lowest balance: the best state for the counterparty to put forward.
    pub(super) stale: u64,
    /// In between, better for the participant.
    pub(super) dip: u64,
    /// The second low: newer than the dip and better for the counterparty.
    pub(super) raise: u64,
    /// The newest.
    pub(super) live: u64,
}

impl Cast {
    pub(super) const fn of(updates: u64) -> Self {
        Self { stale: updates * 3 / 10, dip: updates / 2, raise: updates * 7 / 10, live: updates }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_balance_falls_twice_and_recovers() {
        for updates in [20, 100, 1_000, 1_234] {
            let cast = Cast::of(updates);
            let at = |n| balance_after(n, updates);
            assert_eq!(at(0), 1_000 * TOKEN);
            assert!(at(cast.stale) < at(cast.raise) && at(cast.raise) < at(cast.dip));
            assert!(at(cast.dip) < at(cast.live));
            assert_eq!(at(cast.live), 1_400 * TOKEN);
        }
    }

    #[test]
    fn every_update_moves_money_and_none_moves_more_than_the_escrow() {
        for n in 1..=1_000 {
            let (before, after) = (balance_after(n - 1, 1_000), balance_after(n, 1_000));
            assert_ne!(before, after, "update {n} changes nothing");
            assert!(after <= 2 * SIDE_TOKENS * TOKEN);
        }
    }

    #[test]
    fn the_bond_is_two_per_cent_of_the_claim() {
        // A claim of 1,000 tokens, worth 0.5 ether, bonds 0.01 ether.
        let bond = (1_000 * TOKEN * RATE).div_ceil(1 << 64);
        assert_eq!(bond, 10_u128.pow(16));
    }
}
