//! What the submitter says of a dispute's transactions.

use alloy_primitives::U256;
use chain::provider::Receipt;
use chain::submitter::{Outcome, Report};
use protocol::vnode::rescue::Event;
use store::{Change, DisputeId, StoreError};

use super::journal::{Line, ether, gas_price};
use super::life::Out;
use super::node::Node;
use super::obligation::{OutboxRow, Owner, Purpose};
use super::submit::Told;

fn cost(receipt: &Receipt) -> U256 {
    U256::from(receipt.gas_used).saturating_mul(U256::from(receipt.gas_price))
}

impl Node {
    /// Writes down what happened to a transaction, and hands on what ends it.
    pub(crate) fn on_told(&mut self, told: Told, out: &mut Out) -> Result<(), StoreError> {
        self.parts.recorder.told(&told);
        let Told { owner, id, report } = told;
        let (dispute, purpose) = (owner.dispute, owner.purpose);
        let trouble = |step: &str, message: String| Line::trouble(dispute, step, message);
        let line = match report {
            Report::Ended(outcome) => {
                // Told twice after a restart: the row says whether it was heard.
                if let Some(row) = OutboxRow::named(&self.parts.store, &OutboxRow::key(id))? {
                    self.on_ended(owner, &row, &outcome, out);
                }
                return Ok(());
            }
            Report::Sending(attempt) if attempt.paid_by.is_some() => trouble(
                "makes_way",
                format!("{purpose} is stuck and makes way for something more urgent"),
            )
            .transaction(attempt.hash),
            Report::Sending(attempt) if attempt.cancel => {
                trouble("cancelling", format!("{purpose} is called back: it would only cost gas"))
                    .transaction(attempt.hash)
            }
            Report::Sending(attempt) => {
                let bid = gas_price(attempt.fees.max_fee);
                let message = format!("{purpose} goes out, bidding up to {bid} for a unit of gas");
                Line::step(dispute, "sent", message).transaction(attempt.hash)
            }
            Report::Included(receipt) => {
                let how = if receipt.success { "is in a block" } else { "failed in a block" };
                Line::step(dispute, "included", format!("{purpose} {how}, not final yet"))
                    .block(receipt.block.number)
                    .transaction(receipt.hash)
                    .gas(receipt.gas_used)
                    .wei(cost(&receipt))
            }
            Report::Reorganised => {
                trouble("reorganised", format!("{purpose}: its block is gone; it is sent again"))
            }
            Report::Refused(refusal) => {
                trouble("refused", format!("{purpose} would be refused: {refusal}"))
            }
            Report::PossibleAgain => {
                Line::step(dispute, "possible", format!("{purpose} would be taken again"))
            }
            Report::TooDear { needed, cap } => trouble(
                "too_dear",
                format!("{purpose} waits for cheaper gas: {needed} wei needed, {cap} allowed"),
            ),
            Report::Unfunded { needed, balance } => trouble(
                "unfunded",
                format!(
                    "{purpose} needs {}, the account has {}: send it ether",
                    ether(needed),
                    ether(balance)
                ),
            ),
            Report::NonceTaken(nonce) => trouble(
                "nonce_taken",
                format!("{purpose}: somebody else used the account's nonce {nonce}"),
            ),
            other => trouble("reported", format!("{purpose}: {other:?}")),
        };
        out.lines.push(line);
        Ok(())
    }

    fn on_ended(&mut self, owner: Owner, row: &OutboxRow, outcome: &Outcome, out: &mut Out) {
        let Owner { dispute, purpose } = owner;
        out.changes.push(Change::OutboxDone { name: OutboxRow::key(row.record.obligation.id) });
        let spent = row.record.spent;
        let line = match outcome {
            Outcome::Finalized { receipt } => {
                self.account(dispute, receipt, spent);
                Line::step(dispute, "final", format!("{purpose} is final on chain"))
                    .block(receipt.block.number)
                    .transaction(receipt.hash)
                    .gas(receipt.gas_used)
                    .wei(cost(receipt))
            }
            Outcome::Refused { refusal } => {
                Line::trouble(dispute, "given_up", format!("{purpose} ended: {refusal}"))
            }
            Outcome::Expired => {
                Line::trouble(dispute, "given_up", format!("{purpose} ended: its time is over"))
            }
            other => Line::trouble(dispute, "given_up", format!("{purpose} ended: {other:?}")),
        };
        out.lines.push(line);
        let Some(life) = self.lives.get_mut(&dispute) else { return };
        let done = matches!(outcome, Outcome::Finalized { .. });
        if !done {
            life.row.account.gas_wei = life.row.account.gas_wei.saturating_add(spent);
        }
        match (purpose, outcome) {
            (Purpose::Collect, Outcome::Finalized { receipt }) => {
                let record = &life.row.record;
                life.row.account.collected_wei = record.reward.saturating_add(record.fee);
                life.handle(Event::Collected { cost: cost(receipt) }, out);
            }
            // Nothing to claim: another collection of this account took it along.
            (Purpose::Collect, _) => life.handle(Event::Collected { cost: spent }, out),
            (Purpose::Override { .. }, _) if !done => {
                life.handle(Event::Failed { cost: spent }, out);
            }
            _ => {}
        }
        life.changed(out);
    }

    fn account(&mut self, dispute: DisputeId, receipt: &Receipt, spent: U256) {
        let Some(life) = self.lives.get_mut(&dispute) else { return };
        let account = &mut life.row.account;
        account.gas_used = account.gas_used.saturating_add(receipt.gas_used);
        account.gas_wei = account.gas_wei.saturating_add(cost(receipt)).saturating_add(spent);
        account.transactions = account.transactions.saturating_add(1);
    }
}
