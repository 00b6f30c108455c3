//! Payments, by a person's order.
//!
//! **Invariant:** under one reference, an invoice's or an order's key, money is paid once, on whichever channel.

use std::collections::BTreeSet;

use alloy_primitives::{B256, keccak256};
use protocol::payment::wallet::{self, Direction, Order, Payment};
use protocol::zksc::PaymentId;
use protocol::{Amount, ChannelId, Domain};
use serde_json::{Value, json};
use store::NodeTable;

use super::Driver;
use super::api::Answer;
use crate::error::{ApiError, NodeError};
use crate::invite::Invoice;
use crate::rows;

/// Orders remembered while their notes are on their way to the disk: hundreds of times what can be.
const ORDERED_MAX: usize = 65_536;

impl Driver {
    pub(super) async fn pay(
        &mut self,
        from: Option<ChannelId>,
        to: &str,
        amount: Option<Amount>,
        key: Option<&str>,
    ) -> Result<Answer, NodeError> {
        let (channel, order) = match self.order(from, to, amount, key) {
            Ok(order) => order,
            Err(error) => return Ok(Err(error)),
        };
        if let Some(why) = self.why_held(channel) {
            return Ok(Err(ApiError::refused(why)));
        }
        if let Err(stale) = self.view_words() {
            return Ok(Err(ApiError::refused(format!("nothing is signed: {stale}"))));
        }
        let reference = order.reference;
        // What was refused was not debited, or paid back: it may be tried again under the same name.
        let before = match self.paid_before(channel, reference)? {
            Ok(before) => before,
            Err(unknown) => return Ok(Err(unknown)),
        };
        if before.iter().all(|(_, one)| one.stage == wallet::Stage::Refused) {
            if self.record(channel).is_some_and(|record| record.is_stopped()) {
                return Ok(Err(ApiError::refused(format!(
                    "channel {channel} is being left: nothing is signed on it any more"
                ))));
            }
            if let Some(place) = self.may_come_back(channel, &before) {
                return Ok(Err(ApiError::refused(format!(
                    "the attempt on channel {place} was refused, but its hub may have signed it all the same: repeat this order on that channel, or use another key if it shall be paid twice"
                ))));
            }
            let given = self.give_wallet(channel, wallet::Event::Pay(order)).await?;
            if let Some(refusal) = given.refusal() {
                return Ok(Err(refusal.into()));
            }
            self.remember(reference, channel);
        } else if let Err(other) = same_order(&before, &order) {
            return Ok(Err(other));
        }
        let paid = self.paid_before(channel, reference)?.unwrap_or_default();
        let channel = paid.last().map_or(channel, |(channel, _)| *channel);
        let payments: Vec<Value> =
            paid.iter().map(|(channel, one)| self.show_payment(*channel, one)).collect();
        Ok(Ok(json!({"channel": channel, "reference": B256::new(reference), "payments": payments})))
    }

    /// A person takes an order back, or waits no longer for a receipt.
    pub(super) async fn give_up(&mut self, id: PaymentId) -> Result<Answer, NodeError> {
        let found = self.wallets.iter().find(|(_, one)| one.book().payments.contains_key(&id));
        let Some(channel) = found.map(|(channel, _)| *channel) else {
            return Ok(Err(ApiError::missing(format!("this node has no payment {id} under way"))));
        };
        let given = self.give_wallet(channel, wallet::Event::LetGo(id)).await?;
        if let Some(refusal) = given.refusal() {
            return Ok(Err(refusal.into()));
        }
        let payments = self.wallets.get(&channel).map(|one| &one.book().payments);
        let shown =
            payments.and_then(|all| all.get(&id)).map(|one| self.show_payment(channel, one));
        Ok(Ok(json!({"channel": channel, "payments": shown.into_iter().collect::<Vec<_>>()})))
    }

    /// On which other channel one of these may still be debited: its hub said that it takes it, and refused it later. On one channel
    /// that and a repetition exclude each other.
    fn may_come_back(
        &self,
        channel: ChannelId,
        before: &[(ChannelId, Payment)],
    ) -> Option<ChannelId> {
        let signs = |place: &ChannelId| {
            let record = self.wallets.get(place).map(|wallet| wallet.handshake().record());
            record.is_some_and(|record| !record.is_stopped())
        };
        let mut all = before.iter().filter(|(_, one)| one.accepted && one.debit.is_none());
        all.find(|(place, _)| *place != channel && signs(place)).map(|(place, _)| *place)
    }

    /// Until the note of it is durable, which is with the payment itself.
    fn remember(&mut self, reference: [u8; 32], channel: ChannelId) {
        if self.turns.is_empty() || self.ordered.len() >= ORDERED_MAX {
            self.ordered.clear();
        }
        self.ordered.insert(reference, channel);
    }

    /// All payments with this reference, on this channel or the one on which there were such before, oldest first; also those that
    /// ended so long ago that the wallet has forgotten them. Where there were such on a channel that cannot be looked at now,
    /// nothing is known of them, which is not the same as that there were none.
    fn paid_before(
        &self,
        channel: ChannelId,
        reference: [u8; 32],
    ) -> Result<Result<Vec<(ChannelId, Payment)>, ApiError>, NodeError> {
        let ours = |one: &Payment| {
            one.terms.fields().reference == reference && one.direction == Direction::Outgoing
        };
        let key = rows::reference_key(&reference);
        let noted = rows::get::<ChannelId>(&self.parts.store, NodeTable::Notes, &key)?;
        let elsewhere = self.ordered.get(&reference).copied().or(noted);
        if let Some(noted) = elsewhere.filter(|noted| !self.wallets.contains_key(noted)) {
            return Ok(Err(self.unseen(noted)));
        }
        let places: BTreeSet<ChannelId> = elsewhere.into_iter().chain([channel]).collect();
        let mut found: Vec<(ChannelId, Payment)> = Vec::new();
        for channel in places {
            let Some(wallet) = self.wallets.get(&channel) else { continue };
            let all = wallet.book().payments.values().filter(|one| ours(one));
            found.extend(all.map(|one| (channel, one.clone())));
        }
        if found.is_empty()
            && let Some(channel) = noted
        {
            let key = rows::key(channel);
            let old = rows::all::<Payment>(&self.parts.store, NodeTable::Archive, &key)?;
            found.extend(
                old.into_iter().map(|(_, one)| (channel, one)).filter(|(_, one)| ours(one)),
            );
        }
        if let (true, Some(channel)) = (found.is_empty(), elsewhere) {
            return Ok(Err(ApiError::refused(format!(
                "this key or invoice was used for a payment on channel {channel}, of which this disk no longer knows what became: it is not paid again; use another key if it was not paid"
            ))));
        }
        found.sort_by_key(|(channel, one)| (*channel, one.terms.fields().sequence));
        Ok(Ok(found))
    }

    /// There was a payment on a channel that has no wallet now.
    fn unseen(&self, channel: ChannelId) -> ApiError {
        let what = format!("this key or invoice was used for a payment on channel {channel}");
        if self.restores.contains_key(&channel) {
            return ApiError::not_now(format!(
                "{what}, which is being compared with its backups or restored: try again when that is done"
            ));
        }
        ApiError::refused(format!("{what}, which this node does not have now"))
    }

    fn order(
        &self,
        from: Option<ChannelId>,
        to: &str,
        amount: Option<Amount>,
        key: Option<&str>,
    ) -> Result<(ChannelId, Order), ApiError> {
        let channel = self.live_channel(from)?;
        let site = self.parts.site;
        let ours = Domain::derive(site.chain_id, site.vipe);
        let (payee, asked, reference) = match to.parse::<u64>() {
            Ok(number) => {
                let id = ChannelId::try_from(number).map_err(ApiError::bad)?;
                let key = key.ok_or_else(|| {
                    ApiError::bad("a payment to a channel's number needs a key, which names it: the same key is never paid twice")
                })?;
                (id, None, keccak256(key.as_bytes()))
            }
            Err(_no_number) => {
                let invoice: Invoice = to.parse().map_err(|error| {
                    ApiError::bad(format!("neither a channel's number nor an invoice: {error}"))
                })?;
                if invoice.domain != ours {
                    return Err(ApiError::bad("the invoice is of another vault or chain"));
                }
                (invoice.channel, invoice.amount, invoice.reference)
            }
        };
        if let (Some(asked), Some(amount)) = (asked, amount)
            && asked != amount
        {
            return Err(ApiError::bad(format!("the invoice is for {asked}, not for {amount}")));
        }
        let amount = amount
            .or(asked)
            .ok_or_else(|| ApiError::bad("say how much (--amount): the payer chooses here"))?;
        let known = rows::known(&self.parts.store, payee).map_err(ApiError::busy)?;
        let payee = known.ok_or_else(|| ApiError::no_payee(payee))?;
        Ok((channel, Order { payee: Box::new(payee), amount, reference: reference.0 }))
    }
}

/// Whether the newest attempt of these payments is the one that is ordered now.
fn same_order(before: &[(ChannelId, Payment)], order: &Order) -> Result<(), ApiError> {
    let first = before.iter().rposition(|(_, one)| one.terms.fields().part == 0).unwrap_or(0);
    let newest = before.get(first..).unwrap_or_default();
    let total = newest
        .iter()
        .try_fold(Amount::ZERO, |sum, (_, one)| sum.checked_add(one.terms.fields().amount));
    let payee = newest.iter().all(|(_, one)| one.terms.fields().payee == order.payee.id());
    if payee && total == Some(order.amount) {
        return Ok(());
    }
    Err(ApiError::refused(
        "another payment was made under this key or invoice: to another payee, or of another amount",
    ))
}
