//! Errands: begun once under their name, gone on with as the chain moves, kept for people to see.
//!
//! **Invariant:** an errand and the obligation of its step are stored in one turn.

use store::{Change, NodeChange, NodeTable};

use super::Driver;
use crate::error::NodeError;
use crate::rows;
use crate::sender::{Errand, State, begin};

/// Errands kept for people to see once they have ended.
const ENDED_MAX: usize = 200;

impl Driver {
    /// Begins an errand of a new name, in one turn with `rows`; one that is known goes on as it is.
    pub(super) async fn begin_errand(
        &mut self,
        errand: Errand,
        mut turn: Vec<NodeChange>,
    ) -> Result<(), NodeError> {
        if self.errands.contains_key(&errand.name) {
            return if turn.is_empty() { Ok(()) } else { self.store(turn).await };
        }
        tracing::info!(errand = errand.name, calls = errand.steps.len(), "to the chain");
        turn.extend(self.errand_turn(&errand)?);
        self.store(turn).await?;
        self.errands.insert(errand.name.clone(), errand);
        self.parts.outbox.send_modify(|count| *count = count.wrapping_add(1));
        Ok(())
    }

    fn errand_turn(&self, errand: &Errand) -> Result<Vec<NodeChange>, NodeError> {
        let mut turn = vec![rows::put(NodeTable::Orders, errand_key(&errand.name), errand)?];
        if errand.state == State::Running {
            if let Some(obligation) = errand.obligation(self.parts.gas_price_max) {
                turn.push(NodeChange::Tower(Box::new(begin(obligation)?)));
            }
        } else {
            let done = |name| NodeChange::Tower(Box::new(Change::OutboxDone { name }));
            turn.extend(errand.rows().map(done));
        }
        Ok(turn)
    }

    /// Something was heard of the chain: errands whose call is through go on.
    pub(super) async fn look_at_errands(&mut self) -> Result<(), NodeError> {
        let mut moved = Vec::new();
        for errand in self.errands.values_mut() {
            if errand.look(&self.parts.store)? {
                moved.push(errand.clone());
            }
        }
        for errand in moved {
            match &errand.state {
                State::Done => tracing::info!(errand = errand.name, "done, final"),
                // Of two parties and all towers that settle a dispute one is the first.
                State::Failed(reason) if errand.name.starts_with("settle ") => {
                    tracing::info!(errand = errand.name, reason, "not settled by this node");
                }
                State::Failed(reason) => tracing::error!(errand = errand.name, reason, "failed"),
                State::Running => {}
            }
            let turn = self.errand_turn(&errand)?;
            self.store(turn).await?;
            self.parts.outbox.send_modify(|count| *count = count.wrapping_add(1));
        }
        self.forget_errands().await
    }

    /// An errand's outcome is seen differently now.
    pub(super) async fn end_errand(&mut self, errand: Errand) -> Result<(), NodeError> {
        let turn = self.errand_turn(&errand)?;
        self.store(turn).await?;
        self.errands.insert(errand.name.clone(), errand);
        Ok(())
    }

    /// What ended stays for people to see, up to a bound.
    async fn forget_errands(&mut self) -> Result<(), NodeError> {
        let ended = |one: &&Errand| {
            // These two also say what this disk has witnessed.
            one.state != State::Running
                && !one.name.starts_with("accept ")
                && !one.name.starts_with("open ")
        };
        let over: Vec<String> =
            self.errands.values().filter(ended).map(|one| one.name.clone()).collect();
        let excess = over.len().saturating_sub(ENDED_MAX);
        if excess == 0 {
            return Ok(());
        }
        let gone: Vec<String> = over.into_iter().take(excess).collect();
        let turn = gone
            .iter()
            .map(|name| NodeChange::Remove(NodeTable::Orders, errand_key(name)))
            .collect();
        self.store(turn).await?;
        gone.iter().for_each(|name| {
            self.errands.remove(name);
        });
        Ok(())
    }
}

fn errand_key(name: &str) -> Vec<u8> {
    [b"errand/".as_slice(), name.as_bytes()].concat()
}
