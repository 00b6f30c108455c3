//! What participants wish for, and what must be true when the faults have ended.

use std::collections::BTreeMap;

use super::{Faults, World, id};
use crate::{
    Nonce,
    payment::wallet::{self, Direction, Order, Stage},
    testing::{Pair, amount},
    zksc::PaymentId,
};

impl World {
    /// One participant pays another.
    pub(in crate::payment::tests) fn pay(&mut self, from: u64, to: u64, size: u128) -> bool {
        let reference = crate::testing::derived(self.dice.roll(), "reference").0;
        self.pay_under(reference, from, to, size)
    }

    /// The same, under this reference.
    pub(in crate::payment::tests) fn pay_under(
        &mut self,
        reference: [u8; 32],
        from: u64,
        to: u64,
        size: u128,
    ) -> bool {
        let payee = Box::new(self.pairs[&id(to)].channel);
        let order = Order { payee, amount: amount(size), reference };
        self.give_wallet(id(from), wallet::Event::Pay(order))
    }

    /// Every participant brings its deposit into its balance.
    pub(in crate::payment::tests) fn fund(&mut self) {
        for channel in self.pairs.keys().copied().collect::<Vec<_>>() {
            self.give_wallet(channel, wallet::Event::Rebase);
            while self.hub.handshake(channel).unwrap().record().base().nonce == Nonce::ZERO {
                self.run(20);
            }
        }
        self.run(400);
    }

    pub(in crate::payment::tests) fn stages(
        &self,
    ) -> BTreeMap<PaymentId, BTreeMap<Direction, Stage>> {
        let mut all: BTreeMap<_, BTreeMap<_, _>> = BTreeMap::new();
        for machine in self.wallets.values() {
            for (id, one) in &machine.book().payments {
                all.entry(*id).or_default().insert(one.direction, one.stage);
            }
        }
        all
    }

    /// The faults end; then every payment ends, once and alike on both sides, and no money was made or lost.
    pub(in crate::payment::tests) fn calm_down(&mut self, steps: u64) {
        self.faults = Faults::NONE;
        self.offline.clear();
        self.run(steps);
        let mut fees = 0;
        for (id, sides) in self.stages() {
            let found = (sides.get(&Direction::Outgoing), sides.get(&Direction::Incoming));
            let sound = matches!(
                found,
                (Some(Stage::Received), Some(Stage::Received))
                    | (Some(Stage::Refused), None | Some(Stage::Refused))
            );
            assert!(sound, "seed {}: payment {id} stands {found:?}", self.seed);
            let one = self.wallets.values().find_map(|w| {
                w.book().payments.get(&id).filter(|one| one.direction == Direction::Outgoing)
            });
            if found.0 == Some(&Stage::Received) {
                fees += one.unwrap().terms.fields().fee.get();
            }
        }
        let mut total = 0;
        for (channel, machine) in &self.wallets {
            let (one, two) =
                (machine.handshake().record(), self.hub.handshake(*channel).unwrap().record());
            assert_eq!(one.base(), two.base(), "seed {}: the ends of {channel}", self.seed);
            total += machine.balance().get();
        }
        let count = u128::try_from(self.pairs.len()).unwrap();
        assert_eq!(total + fees, count * Pair::SIDE, "seed {}: money", self.seed);
        assert!(self.hub.payments().is_empty(), "seed {}: {:?}", self.seed, self.hub.payments());
    }
}
