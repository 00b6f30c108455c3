//! A submitter with a store, for tests.

use std::{collections::BTreeMap, future::ready};

use alloy_primitives::{B256, U256, keccak256};
use chain::{
    calls::Call,
    submitter::{
        Obligation, ObligationId, Outcome, Outlets, Patience, Record, Report, RoundError,
        SubmitConfig, Submitter,
    },
};

use crate::world::{CHAIN_ID, FINALITY, World};

/// Bids are raised at every round, so that tests need not wait.
pub(crate) const HASTY: Patience =
    Patience { replace_ms: 0, replace_urgent_ms: 0, resend_ms: 0, ..Patience::of_blocks(1) };
pub(crate) const CALM: Patience = Patience {
    replace_ms: 600_000,
    replace_urgent_ms: 600_000,
    resend_ms: 0,
    ..Patience::of_blocks(1)
};

pub(crate) fn obligation(name: &str, call: Call) -> Obligation {
    Obligation {
        id: ObligationId(keccak256(name)),
        call,
        not_before: None,
        deadline: None,
        gas_hint: None,
        max_cost: U256::from(10).pow(U256::from(18)),
        repeat_safe: true,
    }
}

/// What a database would keep.
#[derive(Default)]
pub(crate) struct Store {
    pub(crate) records: BTreeMap<ObligationId, String>,
    pub(crate) reports: Vec<Report>,
    /// How many more writes succeed before the machine stops.
    pub(crate) writes: Option<usize>,
}

impl Store {
    pub(crate) fn with(obligation: Obligation) -> Self {
        let mut store = Self::default();
        store.put(&Record::new(obligation));
        store
    }

    pub(crate) fn put(&mut self, record: &Record) {
        self.records.insert(record.obligation.id, serde_json::to_string(record).unwrap());
    }

    pub(crate) fn submitter(&self, world: &World, patience: Patience) -> Submitter {
        self.submitter_with(world, patience, Outlets::default())
    }

    pub(crate) fn submitter_with(
        &self,
        world: &World,
        patience: Patience,
        outlets: Outlets,
    ) -> Submitter {
        let config = SubmitConfig {
            chain_id: CHAIN_ID,
            finality: FINALITY,
            patience,
            balance_min: U256::from(10).pow(U256::from(17)),
        };
        let account = world.tower.account.clone();
        let mut submitter =
            Submitter::new(world.rpc.clone(), account, config).with_outlets(outlets);
        for text in self.records.values() {
            submitter.add(serde_json::from_str(text).unwrap()).unwrap();
        }
        submitter
    }

    pub(crate) async fn round(
        &mut self,
        submitter: &mut Submitter,
    ) -> Result<(), RoundError<&'static str>> {
        let mut reports = Vec::new();
        let result = submitter
            .round(
                |record| {
                    self.records
                        .insert(record.obligation.id, serde_json::to_string(&record).unwrap());
                    if let Some(writes) = &mut self.writes {
                        if *writes == 0 {
                            return ready(Err("the machine stops"));
                        }
                        *writes -= 1;
                    }
                    ready(Ok(()))
                },
                &mut reports,
            )
            .await;
        self.reports.extend(reports.into_iter().map(|(_, report)| report));
        result
    }

    /// Rounds with a block after each, until nothing is open.
    pub(crate) async fn finish(&mut self, world: &World, submitter: &mut Submitter) -> Outcome {
        for _ in 0..40 {
            self.round(submitter).await.unwrap();
            if let Some(Report::Ended(outcome)) = self.reports.last() {
                assert_eq!(submitter.open().count(), 0);
                return outcome.clone();
            }
            world.mine(1).await;
        }
        panic!("does not end: {:?}", self.reports);
    }

    pub(crate) fn sent(&self) -> Vec<B256> {
        let hash = |report: &Report| match report {
            Report::Sending(attempt) => Some(attempt.hash),
            _ => None,
        };
        self.reports.iter().filter_map(hash).collect()
    }
}

pub(crate) fn finalized(outcome: &Outcome) -> chain::provider::Receipt {
    let Outcome::Finalized { receipt } = outcome else { panic!("{outcome:?}") };
    assert!(receipt.success);
    *receipt
}

pub(crate) async fn disputed(world: &World) -> protocol::ids::ChannelId {
    let channel = world.open(1).await;
    world.hub.send(&world.dispute_call(channel, 1, 4, 100).await).await.unwrap();
    world.stop_mining().await;
    channel
}

/// A disputed channel, and a store with the override of it.
pub(crate) async fn overriding(world: &World) -> (protocol::ids::ChannelId, Store) {
    let channel = disputed(world).await;
    (channel, Store::with(obligation("override", world.override_call(channel, 9, 900))))
}
