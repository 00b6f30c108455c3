//! The counterparty's end of all payments: admits, takes the debit, credits once, or pays back once.
//!
//! ```text
//!   Request --admit--> Admitted --handshake--> Debited --protected--> Offer --handshake--> Credited --> Receipt
//!                                                  \-- held too long, or the payee is gone --> PayingBack --> PaidBack
//! ```
//!
//! Each channel is a lane with its own handshake. What is decided about a payment and what a lane signs for it are one
//! batch, durable together. After a start nothing is signed before the driver has told the towers' receipts, the channels'
//! endings and the view of the chain, in this order.
//!
//! **Invariant:** the hub signs a credit only for a payment in [`HubStage::Debited`] whose debit is final, durable and
//! protected, and whose payer's channel is not being disputed below it. The stage changes in the batch that holds the
//! signature, so a second credit finds another stage.
//!
//! **Invariant:** a payment that is to be paid back is never credited, and one whose credit is signed is never paid back
//! unless the payee's channel settled without that credit.
//!
//! **Invariant:** each lane's escrow holds everything that may still be credited on it.

mod admit;
mod lanes;
pub mod record;
mod timers;

use std::collections::{BTreeMap, BTreeSet};

pub use admit::PayerLimits;
use lanes::outward;
pub use record::{Batch, HubPayment, HubStage, LaneRecord, StoredLane};

use super::{
    ahead::Ahead,
    extend::Extended,
    message::{Message, Reason},
    terms::FeePolicy,
    timer::Timer,
};
use crate::{
    ids::{Amount, ChannelId, Nonce, Sequence},
    vipe::Ledger,
    zksc::{
        Channel, FinalState, PaymentId, Signer, State,
        handshake::{self, Counterparty, Millis, Refusal},
    },
};

/// What a hub decides beforehand, for every participant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Config {
    /// The handshakes' own; its `max_update` bounds every payment.
    pub handshake: handshake::Config,
    /// What a payment costs.
    pub fee: FeePolicy,
    /// The least amount of a payment.
    pub amount_min: Amount,
    /// The most that one payer may have under way.
    pub payer_max: Amount,
    /// The most payments that one payer may have under way.
    pub payments_max: usize,
    /// How long room is reserved for a debit that does not come.
    pub reserve_for: Millis,
    /// How long a debit is held for a payee that does not come, before it is paid back.
    pub hold_for: Millis,
}

/// How a channel stands on the chain. Only finalized facts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ending {
    /// It lives.
    None,
    /// It is disputed; this nonce stands.
    Disputed(Nonce),
    /// It is settled, or closed by consent, with this nonce.
    Settled(Nonce),
}

/// What can happen to a hub.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// A message of the handshake came; nothing about it is checked.
    Handshake(ChannelId, handshake::Message),
    /// A message about a payment came from a participant, on an authenticated connection.
    Payment(ChannelId, Message),
    /// The batch with this number is durable.
    Persisted(u64),
    /// So many towers as wanted have receipted this nonce of the hub's own slot.
    Protected(ChannelId, Nonce),
    /// The node's view of the chain is good until then; past it, nothing is signed.
    View(Millis),
    /// The final versions of a channel's escrow.
    Ledger(ChannelId, Ledger),
    /// A consent used up this state's nonce.
    Consented(ChannelId, State),
    /// A newer final state was found elsewhere.
    Restored(ChannelId, Box<FinalState>),
    /// How a channel stands on the chain; anything but [`Ending::None`] stops its handshake.
    Ending(ChannelId, Ending),
    /// The node decided to exit from this channel.
    Stop(ChannelId),
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
    /// Send a message of the handshake to a participant.
    Handshake(ChannelId, handshake::Message),
    /// Send a message about a payment to a participant.
    Payment(ChannelId, Message),
    /// A lane has a new final state: back it up. May be repeated after a restart.
    Finalized(ChannelId, Box<FinalState>),
    /// Tell the operator.
    Report(ChannelId, handshake::Report),
}

/// Why an event changed nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum HubError {
    /// The channel is not one of this hub's lanes.
    #[error("channel {0} is not a lane of this hub")]
    UnknownLane(ChannelId),
    /// A lane of that channel is there already.
    #[error("channel {0} has a lane already")]
    LaneExists(ChannelId),
    /// The handshake refused.
    #[error(transparent)]
    Handshake(#[from] Refusal),
    /// The view of the chain is stale: nothing is signed.
    #[error("the view of the chain is stale: nothing is signed until it is fresh")]
    Stale,
    /// The proposal is not permitted: the payment is at another stage, or the history differs.
    #[error("the proposal is not permitted: {0}")]
    NotPermitted(Reason),
}

#[derive(Debug)]
struct Lane {
    channel: Channel,
    ledger: Ledger,
    handshake: Counterparty,
    history: super::History,
    extended: Extended,
    last: Option<Sequence>,
    protected: Nonce,
    ending: Ending,
}

/// One event being handled.
#[derive(Debug)]
struct Turn<'a> {
    at: Millis,
    hedge: &'a [u8; 32],
    out: Vec<Effect>,
    then: Vec<Effect>,
    inner: Vec<(ChannelId, u64)>,
    lanes: BTreeSet<ChannelId>,
    payments: BTreeSet<PaymentId>,
    /// The payments that their payers are done with: if that is forgotten, they say so again.
    ended: BTreeSet<PaymentId>,
    /// Of those that are forgotten, the ones that moved nothing.
    dropped: BTreeSet<PaymentId>,
}

impl<'a> Turn<'a> {
    const fn new(at: Millis, hedge: &'a [u8; 32]) -> Self {
        Self {
            at,
            hedge,
            out: Vec::new(),
            then: Vec::new(),
            inner: Vec::new(),
            lanes: BTreeSet::new(),
            payments: BTreeSet::new(),
            ended: BTreeSet::new(),
            dropped: BTreeSet::new(),
        }
    }
}

/// The hub's end of all its channels in one vault and one asset.
#[derive(Debug)]
pub struct Hub {
    config: Config,
    lanes: BTreeMap<ChannelId, Lane>,
    payments: BTreeMap<PaymentId, HubPayment>,
    /// The payments that each channel pays or is paid: what one participant has under way is found without all others'.
    of: BTreeMap<ChannelId, BTreeSet<PaymentId>>,
    timers: BTreeMap<PaymentId, Timer>,
    limits: BTreeMap<ChannelId, PayerLimits>,
    fresh_until: Option<Millis>,
    ahead: Ahead<(ChannelId, u64), Effect>,
    /// Forgotten, and not taken off the disk yet: with the next batch, at the latest with the clock.
    ended: BTreeSet<PaymentId>,
}

impl Hub {
    /// A hub that goes on with these payments. Its lanes follow by [`Hub::open_lane`].
    #[must_use]
    pub fn new(config: Config, payments: BTreeMap<PaymentId, HubPayment>) -> Self {
        let mut of: BTreeMap<ChannelId, BTreeSet<PaymentId>> = BTreeMap::new();
        for (id, one) in &payments {
            let fields = one.terms.fields();
            of.entry(fields.payer).or_default().insert(*id);
            of.entry(fields.payee).or_default().insert(*id);
        }
        Self {
            config,
            lanes: BTreeMap::new(),
            payments,
            of,
            timers: BTreeMap::new(),
            limits: BTreeMap::new(),
            fresh_until: None,
            ahead: Ahead::new(),
            ended: BTreeSet::new(),
        }
    }

    /// Opens a lane, or goes on with it from its record.
    ///
    /// # Errors
    /// [`HubError::LaneExists`], and [`HubError::Handshake`] when record or signer are not of this channel's counterparty.
    pub fn open_lane(
        &mut self,
        channel: &Channel,
        signer: Signer,
        ledger: Ledger,
        record: LaneRecord,
        now: Millis,
    ) -> Result<Vec<Effect>, HubError> {
        let id = channel.id();
        if self.lanes.contains_key(&id) {
            return Err(HubError::LaneExists(id));
        }
        let LaneRecord { handshake, history, last } = record;
        let config = self.config.handshake;
        let (handshake, effects) =
            Counterparty::resume(*channel, signer, config, ledger.clone(), handshake, now)?;
        let (channel, extended, protected, ending) =
            (*channel, Extended::default(), Nonce::ZERO, Ending::None);
        let lane = Lane { channel, ledger, handshake, history, extended, last, protected, ending };
        self.lanes.insert(id, lane);
        Ok(effects.into_iter().filter_map(|effect| outward(id, effect)).collect())
    }

    /// The payments that are not forgotten yet.
    #[must_use]
    pub const fn payments(&self) -> &BTreeMap<PaymentId, HubPayment> {
        &self.payments
    }

    /// The end of one channel's handshake.
    #[must_use]
    pub fn handshake(&self, channel: ChannelId) -> Option<&Counterparty> {
        self.lanes.get(&channel).map(|lane| &lane.handshake)
    }

    /// Takes one event. `hedge` is 32 fresh random bytes.
    ///
    /// # Errors
    /// [`HubError`]: nothing was signed.
    pub fn handle(
        &mut self,
        event: Event,
        now: Millis,
        hedge: &[u8; 32],
    ) -> Result<Vec<Effect>, HubError> {
        let mut turn = Turn::new(now, hedge);
        match event {
            Event::Handshake(id, message) => self.on_handshake(id, message, &mut turn)?,
            Event::Payment(id, message) => self.on_message(id, message, &mut turn)?,
            Event::Persisted(number) => {
                let (inner, then) = self.ahead.release(number);
                turn.out.extend(then);
                inner.into_iter().try_for_each(|(id, number)| {
                    self.feed(id, handshake::Event::Persisted(number), &mut turn)
                })?;
            }
            Event::Protected(id, nonce) => {
                let lane = self.lane_mut(id)?;
                let before = lane.protected;
                lane.protected = before.max(nonce);
                let new = |one: &HubPayment| {
                    one.terms.fields().payer == id && one.debit.is_some_and(|debit| debit > before)
                };
                self.offer(id, new, &mut turn);
            }
            Event::View(until) => self.fresh_until = Some(until),
            Event::Ledger(id, ledger) => {
                self.feed(id, handshake::Event::Ledger(ledger.clone()), &mut turn)?;
                self.lane_mut(id)?.ledger = ledger;
            }
            Event::Consented(id, state) => {
                self.feed(id, handshake::Event::Consented(state), &mut turn)?;
            }
            Event::Restored(id, state) => {
                self.follow(id, handshake::Event::Restored(state), &mut turn)?;
            }
            Event::Ending(id, ending) => self.on_ending(id, ending, &mut turn)?,
            Event::Stop(id) => self.feed(id, handshake::Event::Stop, &mut turn)?,
            Event::Tick => {
                self.on_tick(&mut turn)?;
                turn.payments.append(&mut self.ended);
            }
        }
        Ok(self.finish(turn))
    }

    fn lane(&self, id: ChannelId) -> Result<&Lane, HubError> {
        self.lanes.get(&id).ok_or(HubError::UnknownLane(id))
    }

    fn lane_mut(&mut self, id: ChannelId) -> Result<&mut Lane, HubError> {
        self.lanes.get_mut(&id).ok_or(HubError::UnknownLane(id))
    }

    fn check_fresh(&self, now: Millis) -> Result<(), HubError> {
        if self.fresh_until.is_some_and(|until| now <= until) {
            Ok(())
        } else {
            Err(HubError::Stale)
        }
    }

    /// Gives a lane's handshake one event; its record travels with this turn's batch.
    fn feed(
        &mut self,
        id: ChannelId,
        event: handshake::Event,
        turn: &mut Turn<'_>,
    ) -> Result<(), HubError> {
        let lane = self.lane_mut(id)?;
        for effect in lane.handshake.handle(event, turn.at, turn.hedge)? {
            match effect {
                handshake::Effect::Persist { number, .. } => {
                    turn.inner.push((id, number));
                    turn.lanes.insert(id);
                }
                other => turn.out.extend(outward(id, other)),
            }
        }
        Ok(())
    }

    /// One batch for everything that changed; what follows from it waits.
    fn finish(&mut self, turn: Turn<'_>) -> Vec<Effect> {
        let Turn { mut out, then, inner, lanes, mut payments, ended, dropped, .. } = turn;
        self.ended.extend(ended);
        if lanes.is_empty() && payments.is_empty() {
            out.extend(self.ahead.follow(then));
            return out;
        }
        payments.append(&mut self.ended);
        let stored = |lane: &Lane| {
            let handshake = *lane.handshake.record();
            LaneRecord { handshake, history: lane.history.clone(), last: lane.last }.stored()
        };
        let batch = Batch {
            lanes: lanes
                .into_iter()
                .filter_map(|id| Some((id, stored(self.lanes.get(&id)?))))
                .collect(),
            payments: payments
                .into_iter()
                .map(|id| (id, self.payments.get(&id).cloned()))
                .collect(),
            dropped,
        };
        let number = self.ahead.write(inner, then);
        out.push(Effect::Persist { number, batch: Box::new(batch) });
        out
    }

    fn go(&mut self, id: PaymentId, stage: HubStage, turn: &mut Turn<'_>) {
        if let Some(payment) = self.payments.get_mut(&id) {
            payment.stage = stage;
            turn.payments.insert(id);
        }
        self.start_timer(id, turn.at);
    }

    /// The payments that this channel pays or is paid.
    fn payments_of(&self, channel: ChannelId) -> impl Iterator<Item = &HubPayment> + Clone {
        self.of.get(&channel).into_iter().flatten().filter_map(|id| self.payments.get(id))
    }
}
