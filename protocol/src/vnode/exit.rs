//! When a node leaves a channel against the other party's will: by written policy, and never by surprise.
//!
//! ```text
//!   Live --no answer for exit_timeout, policy says so; or the person orders it--> Closing --other consents--> Closed
//!                                                          | close_for passed without consent
//!                                                          v
//!   Live, Closing --the other disputes--> Disputed    Opening --in a block--> Disputed --> Settled
//!                                            `--> Override, if this node's newest state strikes the claim down
//! ```
//!
//! That nothing new is signed after `handshake_timeout`, and the retries with growing pauses, are the handshake's; what to
//! claim is its [`ExitAdvice`]: for a counterparty the smaller of what its last final and the outstanding partial state pay.
//!
//! **Invariant:** signing stops, durably, before anything that leads out of the channel is sent.
//!
//! **Invariant:** without an order nothing is disputed unless the policy says `automatic`. That the other party's dispute was
//! reorganised away is no order.

use serde::{Deserialize, Serialize};

use crate::{
    ids::{Amount, Nonce, Role},
    vipe::{Ledger, Standing},
    vnode::close::CloseInDispute,
    zksc::{
        FinalState,
        handshake::{ExitAdvice, Millis},
    },
};

/// What the person decided beforehand. Read from a file; a word that is not known is an error, one that is missing has its
/// default.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ExitPolicy {
    /// Whether the node may dispute without an order once `exit_timeout` has passed.
    pub automatic: bool,
    /// The least claim, in base units, that an automatic dispute is opened for.
    pub claim_min: Amount,
    /// How long consent to a close is asked for before a dispute is opened, in milliseconds.
    pub close_for: Millis,
    /// Whether the node strikes down a stale dispute by itself, as a tower would.
    pub override_stale: bool,
    /// Whether the node ends a dispute by consent.
    pub close_in_dispute: CloseInDispute,
}

impl Default for ExitPolicy {
    /// Nothing is disputed without an order; a stale dispute is struck down.
    fn default() -> Self {
        Self {
            automatic: false,
            claim_min: Amount::ZERO,
            close_for: 600_000,
            override_stale: true,
            close_in_dispute: CloseInDispute::Honest,
        }
    }
}

/// How far a channel's end has come; durable.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Step {
    /// The channel lives.
    Live,
    /// The decision is made; consent to a close is asked for.
    Closing,
    /// The dispute is on its way to the chain.
    Opening,
    /// A dispute is in a finalized or at least mined block.
    Disputed,
    /// The channel is over.
    Over,
}

/// What can happen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// The handshake reports that `exit_timeout` has passed, with what a dispute would put forward.
    MayDispute(Box<ExitAdvice>),
    /// The outstanding update came to its end after all.
    Recovered,
    /// The person orders the exit.
    Order(Box<ExitAdvice>),
    /// A late final state changed what a dispute would put forward.
    Advice(Box<ExitAdvice>),
    /// The other party consented to a close.
    CloseConsented,
    /// A dispute of this channel is seen, pending or mined, or it changed.
    Disputed {
        /// Where it stands.
        standing: Standing,
        /// The channel's ledger, frozen while the dispute is open.
        ledger: Ledger,
        /// The newest final state that this node holds.
        latest: Option<Box<FinalState>>,
    },
    /// A reorganisation took the dispute back.
    Undisputed,
    /// What [`Effect::Override`] asked for did not come about: it is asked for again with the next [`Event::Disputed`].
    OverrideLost,
    /// The channel was settled or closed.
    Over,
    /// Time went by.
    Tick,
}

/// What the driver must do, in order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Effect {
    /// Make the step durable before anything that follows.
    Persist(Step),
    /// Stop the channel's handshake, durably, before anything that follows.
    StopSigning,
    /// Ask the other party for its consent to a close that pays what the advice claims. Repeated.
    AskClose(Box<ExitAdvice>),
    /// Send the close with both consents.
    SubmitClose,
    /// Open a dispute with this state and claim. Repeated until one is seen: what is on its way is not begun twice.
    OpenDispute(Box<ExitAdvice>),
    /// Prove this state and override the dispute.
    Override(Box<FinalState>),
    /// Tell the person.
    Notice(Notice),
}

/// What a person must know.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Notice {
    /// The policy lets the person decide: the other party has not answered for `exit_timeout`.
    MayDispute {
        /// What a dispute would claim.
        claim: Amount,
    },
    /// The claim is below the policy's least.
    TooSmall {
        /// What a dispute would claim.
        claim: Amount,
    },
    /// The other party disputes with an old state, and the policy leaves the answer to the towers.
    StaleDispute {
        /// The nonce that stands.
        standing: Nonce,
    },
    /// The node leaves the channel.
    Leaving,
    /// The other party's dispute was reorganised away. Nothing is signed on the channel any more; whether the node leaves it
    /// is for the person to say.
    DisputeGone,
}

/// Whether this state strikes the dispute down: it is newer than what stands, and pays the disputer less than it claims.
#[must_use]
pub fn strikes_down(state: &FinalState, standing: &Standing, ledger: &Ledger) -> bool {
    let inner = state.state();
    let pays = ledger.payout(inner.version, inner.balance).map(|p| p.of(standing.disputer));
    inner.nonce > standing.nonce && pays.is_ok_and(|pays| pays < standing.claim)
}

/// The exit of one party from one channel.
#[derive(Debug, Clone)]
pub struct Exit {
    role: Role,
    policy: ExitPolicy,
    step: Step,
    advice: Option<ExitAdvice>,
    since: Millis,
    asked: Option<Millis>,
    overriding: Option<Nonce>,
    /// The person ordered it, or the policy did.
    wanted: bool,
    /// The other party has consented to the close that was asked for.
    consented: bool,
}

/// Between two askings for a close, or two openings.
const ASK_EVERY: Millis = 30_000;

impl Exit {
    /// Goes on from the durable step. After [`Step::Closing`] or [`Step::Opening`] the driver gives [`Event::Advice`]
    /// next; until then nothing is asked for or opened.
    #[must_use]
    pub const fn resume(role: Role, policy: ExitPolicy, step: Step, now: Millis) -> Self {
        let wanted = matches!(step, Step::Closing | Step::Opening);
        Self {
            role,
            policy,
            step,
            advice: None,
            since: now,
            asked: None,
            overriding: None,
            wanted,
            consented: false,
        }
    }

    /// The same, of a node that had decided to leave before it was stopped: kept beside the durable step.
    #[must_use]
    pub const fn wanting(mut self, wanted: bool) -> Self {
        self.wanted |= wanted;
        self
    }

    /// Whether the person or the policy decided to leave.
    #[must_use]
    pub const fn is_wanted(&self) -> bool {
        self.wanted
    }

    /// How far it has come.
    #[must_use]
    pub const fn step(&self) -> Step {
        self.step
    }

    /// Takes one event.
    #[must_use]
    pub fn handle(&mut self, event: Event, now: Millis) -> Vec<Effect> {
        match event {
            Event::MayDispute(advice) => self.on_may_dispute(*advice, now),
            Event::Order(advice) if self.step == Step::Live => self.leave(*advice, now),
            Event::Order(_) if self.step == Step::Disputed && !self.wanted => {
                self.wanted = true;
                vec![Effect::Persist(Step::Disputed)]
            }
            Event::Advice(advice) => {
                self.advice = Some(*advice);
                Vec::new()
            }
            Event::CloseConsented if matches!(self.step, Step::Closing) => {
                if !self.consented {
                    // It gets the whole time to be executed; once, or the other party could put the dispute off for ever.
                    (self.consented, self.since) = (true, now);
                }
                vec![Effect::SubmitClose]
            }
            Event::Disputed { standing, ledger, latest } => {
                self.on_disputed(&standing, &ledger, latest)
            }
            Event::Undisputed if self.step == Step::Disputed => {
                self.overriding = None;
                // Signing stays stopped; what the node wanted before, it wants again, and nothing else.
                if self.wanted {
                    return self.go(Step::Closing, now);
                }
                let mut effects = self.go(Step::Live, now);
                effects.push(Effect::Notice(Notice::DisputeGone));
                effects
            }
            Event::OverrideLost => {
                self.overriding = None;
                Vec::new()
            }
            Event::Over if self.step != Step::Over => {
                let mut effects = self.go(Step::Over, now);
                effects.insert(0, Effect::StopSigning);
                effects
            }
            Event::Tick => self.on_tick(now),
            Event::Recovered
            | Event::Order(_)
            | Event::CloseConsented
            | Event::Undisputed
            | Event::Over => Vec::new(),
        }
    }

    fn go(&mut self, step: Step, now: Millis) -> Vec<Effect> {
        (self.step, self.since, self.asked) = (step, now, None);
        vec![Effect::Persist(step)]
    }

    fn on_may_dispute(&mut self, advice: ExitAdvice, now: Millis) -> Vec<Effect> {
        let claim = advice.claim;
        if self.step != Step::Live {
            return Vec::new();
        }
        if !self.policy.automatic {
            return vec![Effect::Notice(Notice::MayDispute { claim })];
        }
        if claim < self.policy.claim_min {
            return vec![Effect::Notice(Notice::TooSmall { claim })];
        }
        self.leave(advice, now)
    }

    /// The decision: from here on nothing is signed.
    fn leave(&mut self, advice: ExitAdvice, now: Millis) -> Vec<Effect> {
        self.advice = Some(advice);
        self.wanted = true;
        let mut effects = vec![Effect::StopSigning];
        effects.extend(self.go(Step::Closing, now));
        self.asked = Some(now);
        effects.push(Effect::AskClose(Box::new(advice)));
        effects.push(Effect::Notice(Notice::Leaving));
        effects
    }

    fn on_tick(&mut self, now: Millis) -> Vec<Effect> {
        let Some(advice) = self.advice else { return Vec::new() };
        let mut effects = Vec::new();
        if self.step == Step::Closing && now.saturating_sub(self.since) >= self.policy.close_for {
            effects.extend(self.go(Step::Opening, now));
        }
        if self.asked.is_some_and(|asked| now.saturating_sub(asked) < ASK_EVERY) {
            return effects;
        }
        match self.step {
            Step::Closing => effects.push(Effect::AskClose(Box::new(advice))),
            Step::Opening => effects.push(Effect::OpenDispute(Box::new(advice))),
            Step::Live | Step::Disputed | Step::Over => return effects,
        }
        self.asked = Some(now);
        effects
    }

    /// A dispute is there, whoever opened it. A stale one against this party is struck down.
    fn on_disputed(
        &mut self,
        standing: &Standing,
        ledger: &Ledger,
        latest: Option<Box<FinalState>>,
    ) -> Vec<Effect> {
        let mut effects = Vec::new();
        if self.step != Step::Disputed {
            effects.push(Effect::StopSigning);
            effects.extend(self.go(Step::Disputed, self.since));
        }
        let Some(state) = latest.filter(|_| standing.disputer != self.role) else { return effects };
        let nonce = state.state().nonce;
        if !strikes_down(&state, standing, ledger) || self.overriding >= Some(nonce) {
            return effects;
        }
        if self.policy.override_stale {
            self.overriding = Some(nonce);
            effects.push(Effect::Override(state));
        } else {
            effects.push(Effect::Notice(Notice::StaleDispute { standing: standing.nonce }));
        }
        effects
    }
}
