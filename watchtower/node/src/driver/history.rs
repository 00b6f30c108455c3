//! Payments as they are listed: those that this node still has in its hands at once, all that ever were page by page.
//!
//! ```text
//!   a participant's page: ended payments of one channel by their places (`rows::ended_key`), and behind the last of them
//!   those that have not ended; then the next channel's.      a hub's: ended payments by their ids, then those under way.
//! ```
//!
//! **Invariant:** no page holds more than its own payments and those in the node's hands, however many there are; the driver goes
//! on while it is read.

use std::collections::BTreeSet;
use std::fmt;
use std::str::FromStr;

use protocol::payment::hub::HubPayment;
use protocol::payment::wallet::{Payment, Wallet};
use protocol::zksc::PaymentId;
use protocol::{B256, ChannelId};
use serde_json::{Value, json};
use store::{NodeTable, Store};

use super::api::Answer;
use super::{Driver, show};
use crate::error::{ApiError, NodeError};
use crate::rows;

/// Payments shown at once.
const SHOWN_MAX: usize = 10_000;
/// Payments on one page, beside those that have not ended.
pub(crate) const PAGE_MAX: usize = 1_000;
/// That every payment on this disk that has ended has its note.
const NOTED: &[u8] = b"ended-noted";

/// Behind what a page begins, as the page before it said.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum After {
    /// Participant: the payment of this channel that has this place among those that ended.
    Place(ChannelId, u64),
    /// Hub: this payment.
    Payment(PaymentId),
}

impl fmt::Display for After {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Place(channel, place) => write!(f, "{channel}.{place}"),
            Self::Payment(id) => write!(f, "{id}"),
        }
    }
}

impl FromStr for After {
    type Err = ApiError;

    fn from_str(text: &str) -> Result<Self, ApiError> {
        let wrong = || ApiError::bad(format!("{text:?} is no `next` of a page"));
        if let Some((channel, place)) = text.split_once('.') {
            let channel = channel.parse().map_err(|_no_id| wrong())?;
            return Ok(Self::Place(channel, place.parse().map_err(|_no_place| wrong())?));
        }
        let id: B256 = text.parse().map_err(|_no_id| wrong())?;
        Ok(Self::Payment(PaymentId(id.0)))
    }
}

/// A page that is still to be read.
#[derive(Debug)]
pub(super) struct Page {
    limit: usize,
    what: What,
}

#[derive(Debug)]
enum What {
    Channel {
        id: ChannelId,
        /// Behind this place.
        place: u64,
        /// Those in the node's hands, with their places: the notes of some may still be on their way to the disk.
        newest: Vec<(u64, PaymentId, Value)>,
        next: Option<ChannelId>,
    },
    Hub {
        after: Option<PaymentId>,
        channel: Option<ChannelId>,
        under_way: Vec<Value>,
    },
    Nothing,
}

impl Driver {
    /// What is in this node's hands: what has not ended, and the newest of what has. Ended ones in the order of their ends first.
    pub(super) fn show_history(&self, channel: Option<ChannelId>) -> Value {
        if self.hub.is_some() {
            return json!({"payments": self.under_way(channel)});
        }
        let mut shown = Vec::new();
        let wanted = |id: &ChannelId| channel.is_none_or(|wanted| wanted == *id);
        for (id, wallet) in self.wallets.iter().filter(|(id, _)| wanted(id)) {
            let all = wallet.book().payments.values();
            shown.extend(all.map(|one| (order(one), self.shown(*id, wallet, one))));
        }
        shown.sort_by_key(|(place, _)| *place);
        let skipped = shown.len().saturating_sub(SHOWN_MAX);
        let payments: Vec<Value> =
            shown.into_iter().skip(skipped).map(|(_, value)| value).collect();
        json!({"payments": payments})
    }

    fn shown(&self, channel: ChannelId, wallet: &Wallet, one: &Payment) -> Value {
        let stage = wallet.stage(&one.terms.id(), self.now()).unwrap_or(one.stage);
        show::payment(channel, one, stage)
    }

    /// A hub's payments that it has not forgotten.
    fn under_way(&self, channel: Option<ChannelId>) -> Vec<Value> {
        let all = self.hub.iter().flat_map(|hub| hub.payments().values());
        all.filter(|one| is_of(one, channel)).take(SHOWN_MAX).map(hubs_payment).collect()
    }

    /// One page of all payments that ever were: what is to be read, elsewhere.
    pub(super) fn page(
        &self,
        channel: Option<ChannelId>,
        after: Option<After>,
        limit: usize,
    ) -> Result<Page, ApiError> {
        let limit = limit.clamp(1, PAGE_MAX);
        let what = match (self.hub.is_some(), after) {
            (true, None) => self.hubs_page(channel, None),
            (true, Some(After::Payment(id))) => self.hubs_page(channel, Some(id)),
            (false, None) => self.channels_page(channel, None),
            (false, Some(After::Place(id, place))) => {
                self.channels_page(channel, Some((id, place)))
            }
            _ => return Err(ApiError::bad("that `after` is of a node of the other role")),
        };
        Ok(Page { limit, what })
    }

    fn hubs_page(&self, channel: Option<ChannelId>, after: Option<PaymentId>) -> What {
        What::Hub { after, channel, under_way: self.under_way(channel) }
    }

    fn channels_page(&self, channel: Option<ChannelId>, from: Option<(ChannelId, u64)>) -> What {
        let first = from.map_or(ChannelId::MIN, |(id, _)| id);
        let wanted = |id: &&ChannelId| channel.is_none_or(|wanted| wanted == **id);
        let mut channels = self.book.channels().range(first..).map(|(id, _)| id).filter(wanted);
        let Some(id) = channels.next().copied() else { return What::Nothing };
        let place = from.filter(|(first, _)| *first == id).map_or(0, |(_, place)| place);
        let newest = self.wallets.get(&id).map_or_else(Vec::new, |wallet| {
            let newer = wallet.book().payments.iter().filter(|(_, one)| order(one) > place);
            newer.map(|(pay, one)| (order(one), *pay, self.shown(id, wallet, one))).collect()
        });
        What::Channel { id, place, newest, next: channels.next().copied() }
    }

    /// Notes that disks of old do not have: of payments that ended before there were any.
    pub(super) async fn note_ended(&self) -> Result<(), NodeError> {
        let store = &self.parts.store;
        if self.hub.is_some() || store.node_row(NodeTable::Notes, NOTED)?.is_some() {
            return Ok(());
        }
        for channel in self.book.channels().keys() {
            for table in [NodeTable::Payments, NodeTable::Archive] {
                let (prefix, mut last) = (rows::key(*channel), Vec::new());
                loop {
                    let found = store.node_rows_after(table, &prefix, &last, PAGE_MAX)?;
                    let Some((key, _)) = found.last() else { break };
                    last.clone_from(key);
                    let mut notes = Vec::new();
                    for (_, body) in &found {
                        let one: Payment =
                            serde_json::from_slice(body).map_err(rows::RowError::Json)?;
                        notes.extend(rows::ended(*channel, &one)?);
                    }
                    store.commit_node(notes).await?;
                }
            }
        }
        let noted = rows::put(NodeTable::Notes, NOTED.to_vec(), &true)?;
        Ok(store.commit_node(vec![noted]).await?)
    }
}

/// Ended ones in the order of their ends, then those that have not ended.
fn order(one: &Payment) -> u64 {
    one.closed.unwrap_or(u64::MAX)
}

fn is_of(one: &HubPayment, channel: Option<ChannelId>) -> bool {
    let fields = one.terms.fields();
    channel.is_none_or(|id| fields.payer == id || fields.payee == id)
}

fn hubs_payment(one: &HubPayment) -> Value {
    let fields = one.terms.fields();
    json!({
        "payment": one.terms.id(), "stage": one.stage, "reason": one.reason,
        "why": one.reason.map(|reason| reason.to_string()),
        "payer": fields.payer, "payee": fields.payee,
        "amount": fields.amount, "fee": fields.fee,
    })
}

impl Page {
    /// Reads it. Not in the driver: it waits for the disk.
    pub(super) fn read(self, store: &Store) -> Answer {
        let read = match self.what {
            What::Nothing => Ok((Vec::new(), None)),
            What::Channel { id, place, newest, next } => {
                of_channel(store, (id, place, self.limit), newest, next)
            }
            What::Hub { after, channel, under_way } => {
                of_hub(store, (after, channel, self.limit), under_way)
            }
        };
        let (payments, next) = read.map_err(|error| ApiError::from(&error))?;
        Ok(json!({"payments": payments, "next": next.map(|next| next.to_string())}))
    }
}

type Read = Result<(Vec<Value>, Option<After>), NodeError>;

fn of_channel(
    store: &Store,
    (channel, place, limit): (ChannelId, u64, usize),
    mut newest: Vec<(u64, PaymentId, Value)>,
    next: Option<ChannelId>,
) -> Read {
    let (prefix, from) = (rows::ended_of(channel), rows::ended_key(channel, place));
    let notes = store.node_rows_after(NodeTable::Notes, &prefix, &from, limit)?;
    let is_full = notes.len() == limit;
    let (mut last, mut shown, mut payments) = (place, BTreeSet::new(), Vec::new());
    for (key, body) in notes {
        let place = key.get(prefix.len()..).and_then(|place| place.try_into().ok());
        last = u64::from_be_bytes(place.ok_or(rows::RowError::Key)?);
        let id: PaymentId = serde_json::from_slice(&body).map_err(rows::RowError::Json)?;
        let key = rows::payment_key(channel, &id);
        // In this order: it may be archived meanwhile.
        let held = rows::get::<Payment>(store, NodeTable::Payments, &key)?;
        let one = match held {
            Some(one) => Some(one),
            None => rows::get::<Payment>(store, NodeTable::Archive, &key)?,
        };
        // One that ended a second time has another place now.
        if let Some(one) = one.filter(|one| one.closed == Some(last)) {
            shown.insert(id);
            payments.push(show::payment(channel, &one, one.stage));
        }
    }
    if is_full {
        return Ok((payments, Some(After::Place(channel, last))));
    }
    newest.retain(|(place, id, _)| *place > last && !shown.contains(id));
    newest.sort_by_key(|(place, id, _)| (*place, *id));
    payments.extend(newest.into_iter().map(|(_, _, value)| value));
    Ok((payments, next.map(|channel| After::Place(channel, 0))))
}

fn of_hub(
    store: &Store,
    (after, channel, limit): (Option<PaymentId>, Option<ChannelId>, usize),
    under_way: Vec<Value>,
) -> Read {
    let from = after.map_or_else(Vec::new, |id| id.0.to_vec());
    let ended = store.node_rows_after(NodeTable::Archive, b"", &from, limit)?;
    let is_full = ended.len() == limit;
    let (mut payments, mut last) = (Vec::new(), after);
    for (_, body) in ended {
        let one: HubPayment = serde_json::from_slice(&body).map_err(rows::RowError::Json)?;
        last = Some(one.terms.id());
        if is_of(&one, channel) {
            payments.push(hubs_payment(&one));
        }
    }
    if is_full {
        return Ok((payments, last.map(After::Payment)));
    }
    payments.extend(under_way);
    Ok((payments, None))
}
