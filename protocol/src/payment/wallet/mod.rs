//! A participant's end of all its payments over one channel: payer and payee at once.
//!
//! ```text
//!   Pay --> Proposed --Accepted--> handshake: debit --> Debited --> Protected --Receipt--> Received
//!   Offer --> Protected --> handshake: credit --> Credited --own backup--> Received, Receipt to the hub
//!   PayBack --> handshake: credit on the own channel --> Refused (paid back)
//! ```
//!
//! The wallet drives the participant's end of the handshake: one update at a time, money that comes in before money that
//! goes out. What it decides and what the handshake signs are one record and become durable together.
//!
//! What the hub would simply say again to a wallet that forgot it, and a receipt, which the wallet would simply sign again, are
//! written with the next record that must be: no message waits for them.
//!
//! **Invariant:** a payment is debited at most once, and only while what is in flight with it is at most `max_in_flight`.
//!
//! **Invariant:** nothing is signed while the node's view of the chain is stale.
//!
//! **Invariant:** every effect waits until the record that it rests on is durable: the orders, every state that is signed, every
//! final state, and every word on which the hub forgets a payment.

mod messages;
pub mod record;
mod shown;
mod updates;

use std::collections::{BTreeMap, BTreeSet};

pub use record::{Batch, Book, Direction, Payment, Record, Stage};

use super::{
    ahead::Ahead,
    extend::Extended,
    message::Message,
    terms::{FeePolicy, TermsError},
    timer::Timer,
};
use crate::{
    ids::{Amount, Nonce},
    vipe::Ledger,
    zksc::{
        Change, Channel, FinalState, PaymentId, Signer, State,
        handshake::{self, Millis, Participant, Refusal},
    },
};

/// Payments asked for and not ended; more are refused with [`PayError::TooMany`].
pub const OPEN_MAX: usize = 2_048;

/// What a participant decides beforehand.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Config {
    /// The handshake's own.
    pub handshake: handshake::Config,
    /// The most that the hub may hold of payments under way, unsecured.
    pub max_in_flight: Amount,
    /// The most that the payee's channel takes in one update, as far as the payer knows; else its own `max_update`.
    pub credit_max: Amount,
    /// What the hub asks.
    pub fee: FeePolicy,
    /// After so long a debited payment shows as owed.
    pub owed_after: Millis,
    /// How long a hub that does not know the payee yet is asked again.
    pub payee_wait: Millis,
}

/// What a person asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Order {
    /// Whom to pay: its channel, as this node found it on the chain.
    pub payee: Box<Channel>,
    /// How much, in base units; split into parts where it must be.
    pub amount: Amount,
    /// The payee's reference, as its invoice gives it; 32 random bytes where there is none.
    pub reference: [u8; 32],
}

/// What can happen to a wallet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// The person pays.
    Pay(Order),
    /// The person takes an order back that is not debited yet, or waits no longer for the receipt of a payment that is.
    LetGo(PaymentId),
    /// Bring the balance to the newest version of the escrow, after a deposit.
    Rebase,
    /// A message of the handshake came; nothing about it is checked.
    Handshake(handshake::Message),
    /// A message about a payment came from the hub, on an authenticated connection.
    Payment(Message),
    /// The record with this number is durable.
    Persisted(u64),
    /// So many towers as wanted have receipted this nonce.
    Protected(Nonce),
    /// The node's view of the chain is good until then; past it, nothing is signed.
    View(Millis),
    /// The final versions of the escrow.
    Ledger(Ledger),
    /// A consent used up this state's nonce.
    Consented(State),
    /// A newer final state was found elsewhere.
    Restored(Box<FinalState>),
    /// The node decided to exit, or saw a dispute.
    Stop,
    /// Time went by.
    Tick,
}

/// What the driver must do, in order.
#[derive(Debug, Clone, PartialEq)]
pub enum Effect {
    /// Make the batch durable in one piece, in order, then answer [`Event::Persisted`] with its number.
    Persist {
        /// Which one it is.
        number: u64,
        /// What changed.
        batch: Box<Batch>,
    },
    /// Send a message of the handshake to the hub.
    Handshake(handshake::Message),
    /// Send a message about a payment to the hub.
    Payment(Message),
    /// There is a new final state: back it up. May be repeated after a restart.
    Finalized(Box<FinalState>),
    /// Tell the operator.
    Report(handshake::Report),
    /// A payment has come further: show it.
    Changed(PaymentId, Stage),
}

/// Why an event changed nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PayError {
    /// The handshake refused.
    #[error(transparent)]
    Handshake(#[from] Refusal),
    /// What was asked for is no payment.
    #[error(transparent)]
    Terms(#[from] TermsError),
    /// Too many payments are under way.
    #[error("too many payments are under way")]
    TooMany,
    /// The view of the chain is stale: nothing is signed.
    #[error("the view of the chain is stale: nothing is signed until it is fresh")]
    Stale,
    /// It has ended, it comes in, or it is being paid back.
    #[error("this payment waits for nothing that could be given up")]
    NothingToLetGo,
    /// The payee's channel is of another hub, vault or asset.
    #[error("the payee is not reached through this hub")]
    OtherHub,
    /// The balance does not cover the payments that are asked for.
    #[error("the balance of {balance} does not cover the payment")]
    Balance {
        /// The balance.
        balance: Amount,
    },
}

/// One event being handled.
#[derive(Debug)]
struct Turn<'a> {
    at: Millis,
    hedge: &'a [u8; 32],
    /// Leaves at once: the handshake waited for its own record.
    out: Vec<Effect>,
    /// Leaves once the records are durable.
    then: Vec<Effect>,
    /// The handshake's own record that travels with this turn's.
    inner: Option<u64>,
    /// The payments that changed.
    changed: BTreeSet<PaymentId>,
    /// The payments of which something changed that may be forgotten.
    noted: BTreeSet<PaymentId>,
    /// Whether what they have in common changed.
    dirty: bool,
}

/// A participant's wallet on one channel.
#[derive(Debug)]
pub struct Wallet {
    channel: Channel,
    signer: Signer,
    config: Config,
    /// The most that the hub moves in one update, as it says.
    hub_max: Amount,
    ledger: Ledger,
    handshake: Participant,
    book: Book,
    /// The payments of the book that have not ended: those that have are many more, and nothing looks at them.
    open: BTreeSet<PaymentId>,
    /// Those that come in and whose debits were not backed when they were proposed, and when that is tried again by itself.
    unbacked: BTreeMap<PaymentId, Millis>,
    /// Those that went out and that the hub says it credited: the receipt is what is missing.
    credited: BTreeSet<PaymentId>,
    extended: Extended,
    fresh_until: Option<Millis>,
    protected: Nonce,
    timers: BTreeMap<PaymentId, Timer>,
    ahead: Ahead<u64, Effect>,
    /// The payments of which something is not written yet that may be forgotten.
    noted: BTreeSet<PaymentId>,
    /// Those that had not ended at the start: what was merely noted of them is forgotten.
    resumed: BTreeSet<PaymentId>,
}

impl Wallet {
    /// Goes on from `record`. Nothing is signed before the first [`Event::View`].
    ///
    /// # Errors
    /// [`PayError::Handshake`] when the record or the signer is not of this channel's participant.
    pub fn resume(
        channel: Channel,
        signer: Signer,
        config: Config,
        ledger: Ledger,
        record: Record,
        now: Millis,
    ) -> Result<(Self, Vec<Effect>), PayError> {
        let (handshake, effects) = Participant::resume(
            channel,
            signer.clone(),
            config.handshake,
            ledger.clone(),
            record.handshake,
            now,
        )?;
        let open = |(id, one): (&PaymentId, &Payment)| one.closed.is_none().then_some(*id);
        let open: BTreeSet<PaymentId> = record.book.payments.iter().filter_map(open).collect();
        let wallet = Self {
            channel,
            signer,
            config,
            hub_max: Amount::MAX,
            ledger,
            handshake,
            book: record.book,
            resumed: open.clone(),
            open,
            unbacked: BTreeMap::new(),
            credited: BTreeSet::new(),
            extended: Extended::default(),
            fresh_until: None,
            protected: Nonce::ZERO,
            timers: BTreeMap::new(),
            ahead: Ahead::new(),
            noted: BTreeSet::new(),
        };
        Ok((wallet, effects.into_iter().filter_map(outward).collect()))
    }

    /// The end of the handshake.
    #[must_use]
    pub const fn handshake(&self) -> &Participant {
        &self.handshake
    }

    /// The payments.
    #[must_use]
    pub const fn book(&self) -> &Book {
        &self.book
    }

    /// The payments that have not ended.
    fn open_payments(&self) -> impl Iterator<Item = (&PaymentId, &Payment)> + Clone {
        self.open.iter().filter_map(|id| self.book.payments.get_key_value(id))
    }

    /// The first payment that is asked for and not debited: parts are paid one after another.
    fn current(&self) -> Option<&Payment> {
        let asked =
            |one: &&Payment| one.direction == Direction::Outgoing && one.stage == Stage::Proposed;
        let asked = self.open_payments().map(|(_, one)| one).filter(asked);
        asked.min_by_key(|one| one.terms.fields().sequence)
    }

    /// Puts a new payment into the book.
    fn enter(&mut self, payment: Payment) {
        let id = payment.terms.id();
        self.book.payments.insert(id, payment);
        self.open.insert(id);
    }

    /// Takes one event. `hedge` is 32 fresh random bytes.
    ///
    /// # Errors
    /// [`PayError`]: nothing was signed; at most a retry was begun.
    pub fn handle(
        &mut self,
        event: Event,
        now: Millis,
        hedge: &[u8; 32],
    ) -> Result<Vec<Effect>, PayError> {
        let mut turn = Turn {
            at: now,
            hedge,
            out: Vec::new(),
            then: Vec::new(),
            inner: None,
            changed: BTreeSet::new(),
            noted: BTreeSet::new(),
            dirty: false,
        };
        self.dispatch(event, &mut turn)?;
        self.advance(&mut turn);
        Ok(self.finish(turn))
    }

    fn dispatch(&mut self, event: Event, turn: &mut Turn<'_>) -> Result<(), PayError> {
        match event {
            Event::Pay(order) => self.on_pay(&order, turn)?,
            Event::LetGo(id) => self.on_let_go(id, turn)?,
            Event::Rebase => self.propose(Change::Rebase, turn)?,
            Event::Handshake(message) => self.on_handshake(message, turn)?,
            Event::Payment(message) => self.on_message(message, turn),
            Event::Persisted(number) => {
                let (inner, then) = self.ahead.release(number);
                turn.out.extend(then);
                for number in inner {
                    self.feed(handshake::Event::Persisted(number), turn)?;
                }
            }
            Event::Protected(nonce) => {
                self.protected = self.protected.max(nonce);
                self.on_protected(turn);
            }
            Event::View(until) => self.fresh_until = Some(until),
            Event::Ledger(ledger) => {
                self.feed(handshake::Event::Ledger(ledger.clone()), turn)?;
                self.ledger = ledger;
            }
            Event::Consented(state) => self.feed(handshake::Event::Consented(state), turn)?,
            Event::Restored(state) => self.on_restored(state, turn)?,
            Event::Stop => self.feed(handshake::Event::Stop, turn)?,
            Event::Tick => {
                self.feed(handshake::Event::Tick, turn)?;
                self.on_tick(turn);
            }
        }
        Ok(())
    }

    fn check_fresh(&self, now: Millis) -> Result<(), PayError> {
        if self.fresh_until.is_some_and(|until| now <= until) {
            Ok(())
        } else {
            Err(PayError::Stale)
        }
    }

    /// Gives the handshake one event; its record travels with this turn's, and what needs none waits for what this turn writes.
    fn feed(&mut self, event: handshake::Event, turn: &mut Turn<'_>) -> Result<(), PayError> {
        let is_durable = matches!(event, handshake::Event::Persisted(_));
        for effect in self.handshake.handle(event, turn.at, turn.hedge)? {
            match effect {
                handshake::Effect::Persist { number, .. } => turn.inner = Some(number),
                other if is_durable => turn.out.extend(outward(other)),
                other => turn.then.extend(outward(other)),
            }
        }
        Ok(())
    }

    /// One batch for everything that changed; what follows from it waits.
    fn finish(&mut self, turn: Turn<'_>) -> Vec<Effect> {
        let Turn { mut out, then, inner, mut changed, noted, dirty, .. } = turn;
        self.noted.extend(noted);
        if inner.is_none() && changed.is_empty() && !dirty {
            out.extend(self.ahead.follow(then));
            return out;
        }
        changed.append(&mut self.noted);
        let mut dropped = BTreeSet::new();
        for old in self.book.outdated() {
            let gone = self.book.payments.remove(&old);
            dropped.extend(gone.filter(Payment::is_idle_talk).map(|_| old));
            self.open.remove(&old);
            changed.insert(old);
        }
        let payments =
            changed.into_iter().map(|id| (id, self.book.payments.get(&id).cloned())).collect();
        let handshake = self.handshake.record().to_bytes();
        let batch = Box::new(Batch { handshake, head: self.book.head.clone(), payments, dropped });
        let number = self.ahead.write(inner.into_iter().collect(), then);
        out.push(Effect::Persist { number, batch });
        out
    }
}

/// A handshake's effect as one of the wallet's; its records travel with the wallet's own.
fn outward(effect: handshake::Effect) -> Option<Effect> {
    match effect {
        handshake::Effect::Persist { .. } => None,
        handshake::Effect::Send(message) => Some(Effect::Handshake(message)),
        handshake::Effect::Finalized(state) => Some(Effect::Finalized(state)),
        handshake::Effect::Report(report) => Some(Effect::Report(report)),
    }
}
