//! What the node shows, as JSON. Amounts are decimal text in base units: readers of JSON round large numbers.

use alloy_primitives::B256;
use protocol::payment::wallet::{Payment, Stage};
use protocol::payment::{hub, note};
use protocol::vnode::link::Refusal;
use protocol::zksc::PaymentId;
use protocol::{Amount, ChannelId, Role};
use serde_json::{Value, json};
use store::NodeTable;

use super::open::Opening;
use super::{Driver, consent};
use crate::book::Own;
use crate::error::{ApiError, NodeError};
use crate::rows;
use crate::sender::{Errand, State};

pub(super) fn opening(opening: &Opening) -> Value {
    json!({
        "stage": opening.stage, "channel": opening.channel, "deposit": opening.deposit,
        "allocation": opening.allocation, "dispute_hash": opening.dispute_hash,
    })
}

pub(super) fn errand(errand: &Errand) -> Value {
    let (state, reason) = match &errand.state {
        State::Waiting => ("waiting", None),
        State::Running => ("running", None),
        State::Done => ("done", None),
        State::Failed(reason) => ("failed", Some(reason)),
    };
    json!({
        "name": errand.name, "state": state, "reason": reason,
        "call": errand.at.saturating_add(1).min(errand.steps.len()), "calls": errand.steps.len(),
    })
}

pub(super) fn payment(channel: ChannelId, one: &Payment, stage: Stage) -> Value {
    let fields = one.terms.fields();
    json!({
        "payment": one.terms.id(), "channel": channel, "direction": one.direction, "stage": stage,
        "payer": fields.payer, "payee": fields.payee, "amount": fields.amount, "fee": fields.fee,
        "reference": B256::new(fields.reference), "part": fields.part.saturating_add(1),
        "parts": fields.parts, "sequence": fields.sequence, "reason": one.reason,
        "why": one.reason.map(|reason| reason.to_string()),
        "receipt": one.receipt.is_some(), "has_note": one.debit.is_some(),
    })
}

impl Driver {
    pub(super) fn show_status(&self) -> Value {
        let view = self.view_words();
        let places: Vec<String> =
            self.parts.link.places().borrow().iter().map(ToString::to_string).collect();
        let total = self.book.channels().keys().fold(Amount::ZERO, |sum, channel| {
            sum.checked_add(self.worth(*channel)).unwrap_or(Amount::MAX)
        });
        let orders: Vec<Value> =
            self.errands.values().filter(|one| one.state != State::Done).map(errand).collect();
        json!({
            "role": self.parts.role.to_string(), "account": self.parts.keys.account.address(),
            "peer": self.parts.link.me().to_string(), "places": places,
            "chain_id": self.parts.site.chain_id, "vault": self.parts.site.vipe,
            "asset": self.parts.site.asset, "channels": self.book.channels().len(),
            "worth": total, "signs": view.is_ok(), "why_not": view.err(),
            "openings": self.openings.values().map(opening).collect::<Vec<_>>(),
            "pool_idle": self.idle.map(|idle| idle.to_string()),
            "restoring": self.restores.iter().filter(|(_, one)| !one.is_check()).map(|(id, _)| id).collect::<Vec<_>>(),
            "signer_trouble": self.signing.trouble,
            "orders": orders, "turns_on_their_way": self.turns.len(),
        })
    }

    pub(super) fn show_channels(&self) -> Value {
        let all: Vec<Value> =
            self.book.channels().iter().map(|(id, own)| self.show_channel(*id, own)).collect();
        json!({"channels": all})
    }

    fn show_channel(&self, id: ChannelId, own: &Own) -> Value {
        let record = self.record(id);
        let other = own.channel.party(self.parts.role.other()).account;
        json!({
            "channel": id, "standing": own.standing, "other": other,
            "connected": self.peers.contains_key(&id), "balance": self.worth(id),
            "escrow": own.ledger.newest().escrow(), "version": own.ledger.last(),
            "nonce": record.map(|record| record.base().nonce),
            "stopped": record.map(|record| record.is_stopped()),
            "restoring": self.restores.get(&id).is_some_and(|one| !one.is_check()),
            "held": self.is_held(id), "held_why": self.why_held(id),
            "in_flight": self.wallets.get(&id).map(|wallet| wallet.book().in_flight()),
            "dispute": own.dispute, "paid": own.paid, "exit": self.show_exit(id),
            "refusal": self.refusals.get(&id).map(Refusal::to_string),
            "refusal_passes": self.refusals.get(&id).map(passes),
            "hub_fee": self.welcomes.get(&id).map(|one| one.fee),
            "hub_fee_too_high":
                self.welcomes.contains_key(&id) && self.welcome_within_policy(id).is_none(),
        })
    }

    pub(super) fn show_exit(&self, channel: ChannelId) -> Value {
        match self.exits.get(&channel) {
            Some(leaving) => json!({
                "channel": channel, "step": leaving.machine.step(), "notice": leaving.notice,
                "waits_for": self.opening_waits_for(channel).filter(|_| leaving.leads_out()),
            }),
            None => Value::Null,
        }
    }

    pub(super) fn show_consent(&self, channel: ChannelId) -> Value {
        let pending: Option<&consent::Pending> = self.consents.get(&channel);
        json!({
            "channel": channel, "agreed": pending.map(|one| one.terms),
            "consented": pending.map(|one| one.theirs.is_some()),
            "refusal": self.refusals.get(&channel).map(Refusal::to_string),
            "refusal_passes": self.refusals.get(&channel).map(passes),
        })
    }

    /// A withdrawal by its consent's number: done once it is final, failed once it no longer can be executed.
    pub(super) fn show_withdrawal(&self, channel: ChannelId, seq: u64) -> Value {
        let executed = self.book.get(channel).is_some_and(|own| own.seq > seq);
        let mut shown = self.show_consent(channel);
        shown["consent"] = json!(seq);
        shown["executed"] = json!(executed);
        shown
    }

    pub(super) fn show_backups(&self) -> Value {
        let (mut held, mut protected) = (Amount::ZERO, Amount::ZERO);
        let mut all = Vec::new();
        for channel in self.book.channels().keys() {
            let Some(status) = self.coverage.status(*channel) else { continue };
            held = held.checked_add(status.value_held).unwrap_or(Amount::MAX);
            protected = protected.checked_add(status.value_protected).unwrap_or(Amount::MAX);
            let is_covered = status.protected >= status.held;
            all.push(json!({"channel": channel, "status": status, "covered": is_covered}));
        }
        let covered = all.iter().all(|one| one["covered"] == true);
        let target = self.parts.policy.backup.target;
        json!({
            "target": target, "towers": self.parts.towers.count(), "covered": covered && target > 0,
            "value_held": held, "value_protected": protected, "channels": all,
            "warning": (target == 0).then_some(
                "the target is no tower at all: nothing is protected, and a lost disk loses money"
            ),
        })
    }

    /// A payment as it stands now.
    pub(super) fn show_payment(&self, channel: ChannelId, one: &Payment) -> Value {
        let wallet = self.wallets.get(&channel);
        let stage = wallet.and_then(|wallet| wallet.stage(&one.terms.id(), self.now()));
        payment(channel, one, stage.unwrap_or(one.stage))
    }

    /// The debt note of a payment, with both channels as the chain has them: all that a third party needs to verify it.
    pub(super) fn export(&self, id: PaymentId) -> Result<Result<Value, ApiError>, NodeError> {
        if self.parts.role != Role::Participant {
            return Ok(self.export_answer(id));
        }
        for (channel, wallet) in &self.wallets {
            let key = [rows::key(*channel), id.0.to_vec()].concat();
            let archived = rows::get::<Payment>(&self.parts.store, NodeTable::Archive, &key)?;
            let Some(one) = wallet.book().payments.get(&id).cloned().or(archived) else { continue };
            let payer = self.book.get(*channel).map(|own| own.channel);
            let Some(note) = one.note() else {
                return Ok(Err(ApiError::refused(
                    "nothing was debited for this payment: there is no debt",
                )));
            };
            return Ok(Ok(json!({
                "note": note, "payer_channel": payer, "payee_channel": one.payee,
                "receipt": one.receipt, "stage": one.stage,
            })));
        }
        Ok(Err(ApiError::missing(format!("this node knows no payment {id}"))))
    }

    /// A hub's answer to a note.
    fn export_answer(&self, id: PaymentId) -> Result<Value, ApiError> {
        let open = self.hub.as_ref().and_then(|hub| hub.payments().get(&id)).cloned();
        // Ended ones are archived under their id, with the next turn: the answer to a note is the hub's to give for as long as it
        // keeps its disk.
        let stored = |table| {
            rows::get::<hub::HubPayment>(&self.parts.store, table, &id.0).map_err(ApiError::busy)
        };
        let mut found = open;
        for table in [NodeTable::Archive, NodeTable::Payments] {
            found = match found {
                Some(found) => Some(found),
                None => stored(table)?,
            };
        }
        let one =
            found.ok_or_else(|| ApiError::missing(format!("this hub knows no payment {id}")))?;
        let answer: Option<note::Answer> = one.answer();
        Ok(json!({"answer": answer, "stage": one.stage}))
    }
}

/// Whether the hub's refusal passes by itself: this node asks again, and may well be answered otherwise.
fn passes(refusal: &Refusal) -> bool {
    matches!(refusal, Refusal::Busy | Refusal::Stale)
}
