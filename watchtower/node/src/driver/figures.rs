//! The node's figures for Prometheus, brought up to date once a second: nothing in the node depends on them.

use std::collections::BTreeMap;

use metrics::{ChannelState, OrderState};
use protocol::{Amount, Role};

use super::Driver;
use crate::book::Standing;
use crate::sender::State;

/// Between two updates, in milliseconds.
const EVERY: u64 = 1_000;

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
        if self.figures_ms.is_some_and(|at| now.saturating_sub(at) < EVERY) {
            return;
        }
        self.figures_ms = Some(now);
        self.figure_channels();
        self.figure_backups();
        let figures = &self.parts.metrics.node;
        figures.hub.set_flag(self.parts.role == Role::Counterparty);
        figures.signs.set_flag(self.view_words().is_ok());
        let opening = |one: &&super::open::Opening| one.is_under_way();
        figures.openings.set_count(count(self.openings.values().filter(opening).count()));
        figures.restoring.set_count(count(self.restores.len()));
        figures.turns.set_count(count(self.turns.len()));
        let running = self.errands.values().filter(|one| one.state == State::Running).count();
        let failed = self.errands.values().filter(|one| matches!(one.state, State::Failed(_)));
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
