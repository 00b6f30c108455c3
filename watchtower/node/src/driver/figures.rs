//! The node's figures for Prometheus, brought up to date once a second: nothing in the node depends on them.

use std::collections::BTreeMap;

use alloy_primitives::U256;
use metrics::{ChannelState, OrderState};
use protocol::payment::hub::HubStage;
use protocol::payment::wallet::Stage;
use protocol::vnode::exit::strikes_down;
use protocol::zksc::PaymentId;
use protocol::{Amount, ChannelId, Role};

use super::end::found_nothing;
use super::leave::standing_of;
use super::{Driver, seconds};
use crate::book::{Own, Standing};
use crate::sender::State;

/// Between two updates, in milliseconds.
const EVERY: u64 = 1_000;

/// A channel in which less than this part of the escrow can be paid is dry.
const DRY_PART: u128 = 10;

/// What is remembered from one look to the next.
#[derive(Debug, Default)]
pub(crate) struct Looks {
    at_ms: Option<u64>,
    /// Since when each payment under way was seen, as many as there are.
    since: BTreeMap<PaymentId, u64>,
}

impl Looks {
    /// How many payments are under way, and for how long the oldest of them, in milliseconds.
    fn payments(&mut self, open: impl Iterator<Item = PaymentId>, now: u64) -> (usize, u64) {
        let before = std::mem::take(&mut self.since);
        self.since = open.map(|id| (id, before.get(&id).copied().unwrap_or(now))).collect();
        let oldest = self.since.values().min().map_or(0, |since| now.saturating_sub(*since));
        (self.since.len(), oldest)
    }
}

fn count(value: usize) -> u64 {
    u64::try_from(value).unwrap_or(u64::MAX)
}

#[expect(clippy::cast_precision_loss, reason = "Prometheus knows no other number")]
fn units(amount: Amount) -> f64 {
    amount.get() as f64
}

const fn label(standing: Standing) -> ChannelState {
    match standing {
        Standing::Open => ChannelState::Open,
        Standing::Live => ChannelState::Live,
        Standing::Disputed => ChannelState::Disputed,
        Standing::Over => ChannelState::Over,
        Standing::Cancelled => ChannelState::Cancelled,
    }
}

impl Driver {
    /// Once a second.
    pub(super) fn tick_figures(&mut self) {
        let now = self.now();
        if self.figures.at_ms.is_some_and(|at| now.saturating_sub(at) < EVERY) {
            return;
        }
        self.figures.at_ms = Some(now);
        self.figure_channels();
        self.figure_liquidity();
        self.figure_disputes();
        self.figure_payments(now);
        self.figure_backups();
        let figures = &self.parts.metrics.node;
        figures.round.set_count(seconds());
        figures.hub.set_flag(self.parts.role == Role::Counterparty);
        figures.signs.set_flag(self.view_words().is_ok());
        let opening = |one: &&super::open::Opening| one.is_under_way();
        figures.openings.set_count(count(self.openings.values().filter(opening).count()));
        figures.restoring.set_count(count(self.restores.len()));
        figures.turns.set_count(count(self.turns.len()));
        let running = self.errands.values().filter(|one| one.state == State::Running).count();
        let failed = self.errands.values().filter(|one| one.has_failed() && !found_nothing(one));
        figures.orders.of(OrderState::Running).set_count(count(running));
        figures.orders.of(OrderState::Failed).set_count(count(failed.count()));
    }

    fn figure_channels(&self) {
        let figures = &self.parts.metrics.node;
        let mut standings: BTreeMap<Standing, u64> = BTreeMap::new();
        let (mut connected, mut stopped, mut exits) = (0_u64, 0_u64, 0_u64);
        let (mut worth, mut in_flight) = (Amount::ZERO, Amount::ZERO);
        for (id, own) in self.book.channels() {
            let many = standings.entry(own.standing).or_default();
            *many = many.saturating_add(1);
            if matches!(own.standing, Standing::Over | Standing::Cancelled) {
                continue;
            }
            connected = connected.saturating_add(u64::from(self.peers.contains_key(id)));
            let is_stopped = self.record(*id).is_some_and(|record| record.is_stopped());
            stopped = stopped.saturating_add(u64::from(is_stopped));
            let leaves = self.exits.get(id).is_some_and(super::leave::Leaving::is_under_way);
            exits = exits.saturating_add(u64::from(leaves));
            worth = worth.checked_add(self.worth(*id)).unwrap_or(Amount::MAX);
            let flying = self.wallets.get(id).map(|wallet| wallet.book().in_flight());
            in_flight = in_flight.checked_add(flying.unwrap_or_default()).unwrap_or(Amount::MAX);
        }
        for standing in Standing::ALL {
            let many = standings.get(&standing).copied().unwrap_or(0);
            figures.channels.of(label(standing)).set_count(many);
        }
        figures.connected.set_count(connected);
        figures.stopped.set_count(stopped);
        figures.exits.set_count(exits);
        figures.worth.set(units(worth));
        figures.in_flight.set(units(in_flight));
    }

    /// What can still be paid, and what leaving costs.
    fn figure_liquidity(&self) {
        let figures = &self.parts.metrics.node;
        let (mut escrow, mut dry, mut bond) = (Amount::ZERO, 0_u64, U256::ZERO);
        for (id, own) in self.book.channels() {
            if own.standing != Standing::Live {
                continue;
            }
            let whole = own.ledger.newest().escrow();
            escrow = escrow.checked_add(whole).unwrap_or(Amount::MAX);
            dry = dry.saturating_add(u64::from(self.worth(*id).get() < whole.get() / DRY_PART));
            bond = bond.max(self.bond(*id, own));
        }
        figures.escrow.set(units(escrow));
        figures.dry.set_count(dry);
        figures.pool_idle.set(self.idle.unwrap_or_default().into());
        let leaving = self.exit_gas_and_fee().filter(|_| escrow > Amount::ZERO);
        let cost = leaving.map_or(U256::ZERO, |leaving| leaving.saturating_add(bond));
        figures.exit_cost.set(cost.into());
    }

    /// Disputes by the other party that this node's newest state strikes down, while somebody can.
    fn figure_disputes(&self) {
        let figures = &self.parts.metrics.node;
        let left = self.book.channels().iter().filter_map(|(id, own)| self.waits_for(*id, own));
        let (many, least) = left.fold((0_u64, None::<u64>), |(many, least), left| {
            (many.saturating_add(1), Some(least.map_or(left, |least| least.min(left))))
        });
        figures.disputes_unanswered.set_count(many);
        figures.disputes_left.set_count(least.unwrap_or(0));
    }

    /// Seconds that are left to answer the dispute of this channel; none where there is nothing to answer.
    fn waits_for(&self, id: ChannelId, own: &Own) -> Option<u64> {
        let standing = standing_of(own).filter(|one| one.disputer != self.parts.role)?;
        let left = standing.deadline.checked_sub(self.chain_s).filter(|left| *left > 0)?;
        let latest = self.record(id)?.latest().copied()?;
        strikes_down(&latest, &standing, &own.ledger).then_some(left)
    }

    fn figure_payments(&mut self, now: u64) {
        let (mut open, mut unsettled) = (Vec::new(), 0_u64);
        if let Some(hub) = &self.hub {
            for (id, one) in hub.payments() {
                open.extend((!one.stage.is_over()).then_some(*id));
                unsettled = unsettled.saturating_add(u64::from(one.stage == HubStage::Unclear));
            }
        }
        for wallet in self.wallets.values() {
            for (id, one) in &wallet.book().payments {
                if one.closed.is_some() {
                    continue;
                }
                open.push(*id);
                let stage = wallet.stage(id, now).unwrap_or(one.stage);
                let waits = matches!(stage, Stage::Owed | Stage::Unclear);
                unsettled = unsettled.saturating_add(u64::from(waits));
            }
        }
        let (many, oldest_ms) = self.figures.payments(open.into_iter(), now);
        let figures = &self.parts.metrics.node;
        figures.payments_open.set_count(count(many));
        figures.payments_oldest.set_count(oldest_ms / 1_000);
        figures.payments_unsettled.set_count(unsettled);
    }

    fn figure_backups(&self) {
        let figures = &self.parts.metrics.node;
        let (mut held, mut protected) = (Amount::ZERO, Amount::ZERO);
        let mut covered = true;
        for channel in self.book.channels().keys() {
            let Some(status) = self.coverage.status(*channel) else { continue };
            held = held.checked_add(status.value_held).unwrap_or(Amount::MAX);
            protected = protected.checked_add(status.value_protected).unwrap_or(Amount::MAX);
            covered &= status.protected >= status.held;
        }
        let target = self.parts.policy.backup.target;
        figures.held.set(units(held));
        figures.protected.set(units(protected));
        figures.covered.set_flag(covered && target > 0);
        figures.towers.set_count(count(self.parts.towers.count()));
        figures.target.set_count(count(target));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_age_of_the_oldest_payment_counts_from_when_it_was_seen_and_ends_with_it() {
        let id = |byte: u8| PaymentId([byte; 32]);
        let mut looks = Looks::default();
        assert_eq!(looks.payments([].into_iter(), 5), (0, 0));
        assert_eq!(looks.payments([id(1)].into_iter(), 1_000), (1, 0));
        assert_eq!(looks.payments([id(1), id(2)].into_iter(), 4_000), (2, 3_000));
        assert_eq!(looks.payments([id(2)].into_iter(), 9_000), (1, 5_000));
        assert_eq!(looks.payments([].into_iter(), 9_500), (0, 0));
        assert!(looks.since.is_empty());
    }
}
