//! Carries out what a dispute's machine wants.

use std::time::{Duration, Instant};

use alloy_primitives::{B256, U256};
use chain::calls::{SessionSignatures, StateClaim};
use chain::fees::{HISTORY_BLOCKS, Market, TIP_PERCENTILES};
use chain::provider::Rpc;
use protocol::vnode::dispute::Conditions;
use protocol::vnode::rescue::{Effect, Event};
use protocol::zksc::{FinalState, State};
use protocol::{Address, Nonce, Role};
use store::{Change, DisputeId, ProofRow, Store, StoreError};
use tokio_util::sync::CancellationToken;

use super::journal::Line;
use super::life::Out;
use super::node::Node;
use super::obligation::{Bounds, OutboxRow, Owner, Purpose, name, new};
use super::prove::Wanted;

/// What a job beside the node came to.
#[derive(Debug)]
pub(crate) enum Done {
    /// The chain was asked for what an override would meet.
    Look {
        /// For which dispute.
        id: DisputeId,
        /// The answer.
        result: Result<Conditions, chain::error::RpcError>,
    },
    /// A proof was made, or not.
    Proof {
        /// For which dispute.
        id: DisputeId,
        /// Of which state.
        nonce: Nonce,
        /// The proof in the chain's form.
        result: Result<Vec<u8>, String>,
        /// How long it took.
        took: Duration,
    },
    /// A proof was given up before it was made: its dispute has ended, or is answered in another way.
    GivenUp,
}

/// A proof that takes less than this was made ahead, and says nothing of the next one.
const MADE_AHEAD: Duration = Duration::from_millis(100);

/// Gas of a settlement and of a collection, with room: both write a handful of words.
const SMALL_CALL_GAS: u64 = 300_000;

/// Asks the chain what an override would meet.
async fn look(
    rpc: Rpc,
    account: Address,
    (override_gas, proving): (u64, u64),
) -> Result<Conditions, chain::error::RpcError> {
    let (head, balance, history) = futures::try_join!(
        rpc.head(),
        rpc.balance(account),
        rpc.fee_history(HISTORY_BLOCKS, &TIP_PERCENTILES)
    )?;
    let market = Market::read(history.next_base_fee, &history.rewards);
    let gas_price = market.next_base_fee.saturating_add(market.typical_tip);
    Ok(Conditions { gas_price, override_gas, balance, proving, now: head.timestamp })
}

impl Node {
    /// Does one thing; what follows from it goes to `out`.
    pub(crate) fn act(
        &mut self,
        id: DisputeId,
        effect: &Effect,
        out: &mut Out,
    ) -> Result<(), StoreError> {
        match effect {
            Effect::OpenEnvelopes => {
                if let Some(life) = self.lives.get_mut(&id) {
                    life.open_envelopes(&self.parts.store, out)?;
                }
            }
            Effect::ReadConditions => self.read_conditions(id),
            Effect::Prove(state) => self.prove(id, state, out)?,
            Effect::Submit { state, deadline, ceiling } => {
                self.submit(id, state, (*deadline, *ceiling), out)?;
            }
            Effect::Stop => {
                if let Some(life) = self.lives.get_mut(&id) {
                    life.proving = None;
                }
                self.stop_override(id)?;
            }
            Effect::Settle => self.want_settlement(id, out)?,
            Effect::Collect => self.want_collection(id, out)?,
            // Carried out where they arise: they are writes.
            Effect::Persist(_) | Effect::Report(_) => {}
        }
        Ok(())
    }

    fn read_conditions(&mut self, id: DisputeId) {
        let Some(life) = self.lives.get_mut(&id) else { return };
        if std::mem::replace(&mut life.looking, true) {
            return;
        }
        let (rpc, account) = (self.parts.rpc.clone(), self.parts.terms.beneficiary);
        let figures = (self.parts.override_gas, self.proof_time.as_secs().saturating_add(1));
        self.jobs.push(Box::pin(async move {
            Done::Look { id, result: look(rpc, account, figures).await }
        }));
    }

    fn prove(&mut self, id: DisputeId, state: &State, out: &mut Out) -> Result<(), StoreError> {
        let beneficiary = self.parts.terms.beneficiary;
        let stored = self.parts.store.proof(id)?;
        let Some(life) = self.lives.get_mut(&id) else { return Ok(()) };
        let ready =
            stored.is_some_and(|row| row.nonce == state.nonce && row.beneficiary == beneficiary);
        if ready {
            life.handle(Event::Proved(state.nonce), out);
            return Ok(());
        }
        let Some(held) = life.held.filter(|held| held.state() == state) else {
            out.lines.push(Line::trouble(
                id,
                "proof_failed",
                "the state to prove is not held any more",
            ));
            life.handle(Event::ProofFailed, out);
            return Ok(());
        };
        let deadline = life.row.record.facts.standing.deadline;
        let wanted = Wanted { state: held, channel: life.channel, beneficiary, deadline };
        let nonce = state.nonce;
        out.lines.push(Line::step(
            id,
            "proving",
            format!("proving that both parties signed nonce {nonce}"),
        ));
        let (prove, stop) = (self.parts.prove.clone(), CancellationToken::new());
        // The one before, of another state, is given up.
        life.proving = Some(stop.clone().drop_guard());
        self.jobs.push(Box::pin(async move {
            let started = Instant::now();
            let made = stop.run_until_cancelled(prove(wanted)).await;
            made.map_or(Done::GivenUp, |result| {
                let took = started.elapsed();
                Done::Proof { id, nonce, result, took }
            })
        }));
        Ok(())
    }

    /// A job came back.
    pub(crate) fn on_done(&mut self, done: Done, out: &mut Out) {
        match done {
            Done::GivenUp => {}
            Done::Look { id, result } => {
                let Some(life) = self.lives.get_mut(&id) else { return };
                life.looking = false;
                match result {
                    Ok(conditions) => life.handle(Event::Look(conditions), out),
                    Err(error) => {
                        tracing::warn!(dispute = %id, %error, "the chain gave no answer; asking again");
                    }
                }
            }
            Done::Proof { id, nonce, result: Ok(proof), took } => {
                if took >= MADE_AHEAD {
                    self.proof_time = took;
                }
                let beneficiary = self.parts.terms.beneficiary;
                let message = format!("proof of nonce {nonce} is ready");
                out.lines.push(Line::step(id, "proved", message).took(took).bytes(proof.len()));
                let bytes = u64::try_from(proof.len()).unwrap_or(u64::MAX);
                let row = ProofRow { id, nonce, beneficiary, proof: proof.into() };
                out.changes.push(Change::Proof(Box::new(row)));
                if let Some(life) = self.lives.get_mut(&id) {
                    life.row.account.proof_bytes = bytes;
                    life.handle(Event::Proved(nonce), out);
                }
            }
            Done::Proof { id, nonce, result: Err(reason), took } => {
                let message = format!("no proof of nonce {nonce}: {reason}");
                out.lines.push(Line::trouble(id, "proof_failed", message).took(took));
                if let Some(life) = self.lives.get_mut(&id) {
                    life.handle(Event::ProofFailed, out);
                }
            }
        }
    }

    fn submit(
        &mut self,
        id: DisputeId,
        state: &State,
        (deadline, ceiling): (u64, U256),
        out: &mut Out,
    ) -> Result<(), StoreError> {
        let nonce = state.nonce;
        let proof = self.parts.store.proof(id)?.filter(|proof| proof.nonce == nonce);
        let Some(life) = self.lives.get_mut(&id) else { return Ok(()) };
        let held = life.held.filter(|held| held.state() == state);
        let (Some(proof), Some(held)) = (proof, held) else {
            out.lines.push(Line::trouble(
                id,
                "not_submitted",
                "the proof or its state is not on disk",
            ));
            life.handle(Event::ProofFailed, out);
            return Ok(());
        };
        let claim = StateClaim { nonce, version: state.version, balance: state.balance };
        let call = self.parts.vipe.override_state(
            id.channel_id,
            claim,
            proof.beneficiary,
            (&sessions(&held), proof.proof),
            U256::ZERO,
        );
        let owner = Owner { dispute: id, purpose: Purpose::Override { nonce: nonce.get() } };
        let gas = self.parts.override_gas;
        let bounds = Bounds {
            not_before: None,
            deadline: Some(deadline),
            gas,
            max_cost: self.at_most(ceiling, gas),
        };
        let wanted = new(owner, call, &bounds);
        // What is on its way goes on; what is not begun yet waits for its turn, and is asked for again with every block.
        let begun = OutboxRow::named(&self.parts.store, &OutboxRow::key(name(&owner)))?.is_some();
        if !begun && self.hold(id, out).is_some() {
            return Ok(());
        }
        self.want(&wanted, out)
    }

    fn want_settlement(&mut self, id: DisputeId, out: &mut Out) -> Result<(), StoreError> {
        let Some(life) = self.lives.get(&id) else { return Ok(()) };
        let standing = life.row.record.facts.standing;
        let owner = Owner { dispute: id, purpose: Purpose::Settle };
        let call = self.parts.vipe.settle(id.channel_id);
        let bounds = Bounds {
            not_before: Some(standing.deadline),
            deadline: None,
            gas: SMALL_CALL_GAS,
            max_cost: self.at_most(standing.fee, SMALL_CALL_GAS),
        };
        self.want(&new(owner, call, &bounds), out)
    }

    fn want_collection(&mut self, id: DisputeId, out: &mut Out) -> Result<(), StoreError> {
        let Some(life) = self.lives.get(&id) else { return Ok(()) };
        let record = &life.row.record;
        let earned = record.reward.saturating_add(record.fee);
        let owner = Owner { dispute: id, purpose: Purpose::Collect };
        let call = self.parts.vipe.claim_ether(self.parts.collect_to);
        let bounds = Bounds {
            not_before: None,
            deadline: None,
            gas: SMALL_CALL_GAS,
            max_cost: self.at_most(earned, SMALL_CALL_GAS),
        };
        self.want(&new(owner, call, &bounds), out)
    }

    /// What an obligation may cost: what it earns, and the operator's own limit.
    fn at_most(&self, earns: U256, gas: u64) -> U256 {
        let limit = U256::from(self.parts.gas_price_max).saturating_mul(U256::from(gas));
        earns.min(limit)
    }

    /// Puts an obligation into the outbox, unless it is there already.
    fn want(&mut self, row: &OutboxRow, out: &mut Out) -> Result<(), StoreError> {
        let id = row.record.obligation.id;
        let Some(owner) = row.owner else { return Ok(()) };
        let waiting = out.changes.iter().any(
            |change| matches!(change, Change::Outbox { name, .. } if *name == OutboxRow::key(id)),
        );
        let known = OutboxRow::named(&self.parts.store, &OutboxRow::key(id))?;
        if let Some(known) = known {
            let deadline = row.record.obligation.deadline;
            if let Some(deadline) = deadline
                && known.record.obligation.deadline != Some(deadline)
                && known.record.outcome().is_none()
            {
                // Dropped when too many wait: the vault itself refuses what is late.
                let _ = self.parts.deadlines.try_send((id, deadline));
            }
            return Ok(());
        }
        if waiting {
            return Ok(());
        }
        let bytes = row.record.obligation.call.data.len();
        let message = format!("{} is to be sent", owner.purpose);
        out.lines.push(Line::step(owner.dispute, "queued", message).bytes(bytes));
        out.changes.push(row.change()?);
        self.wake = true;
        Ok(())
    }

    /// Gives the overrides of a dispute up, as far as they are not mined.
    pub(crate) fn stop_override(&self, id: DisputeId) -> Result<(), StoreError> {
        for row in OutboxRow::all(&self.parts.store)? {
            let Some(owner) = row.owner.filter(|owner| owner.dispute == id) else { continue };
            if matches!(owner.purpose, Purpose::Override { .. }) {
                let _ = self.parts.deadlines.try_send((name(&owner), 0));
            }
        }
        Ok(())
    }
}

/// What the transaction that did this for us cost, as far as the node says; zero for one that is not ours.
pub(crate) async fn cost_of(
    store: &Store,
    rpc: &Rpc,
    owner: &Owner,
    transaction: B256,
) -> Result<U256, StoreError> {
    let row = OutboxRow::named(store, &OutboxRow::key(name(owner)))?;
    if !row.is_some_and(|row| row.sent(transaction)) {
        return Ok(U256::ZERO);
    }
    Ok(match rpc.receipt(transaction).await {
        Ok(Some(receipt)) => {
            U256::from(receipt.gas_used).saturating_mul(U256::from(receipt.gas_price))
        }
        // The journal has it from the submitter in any case.
        Ok(None) | Err(_) => U256::ZERO,
    })
}

fn sessions(state: &FinalState) -> SessionSignatures {
    let of = |role| state.signatures(role).session.to_bytes();
    SessionSignatures { participant: of(Role::Participant), counterparty: of(Role::Counterparty) }
}
