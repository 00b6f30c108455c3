//! What a person or a program may ask of the node.

use alloy_primitives::B256;
use protocol::zksc::PaymentId;
use protocol::{Amount, ChannelId, Domain, Role};
use serde_json::{Value, json};

use super::history::After;
use super::{Driver, Request, fresh, show};
use crate::book::{Own, Standing};
use crate::error::{ApiError, NodeError};
use crate::invite::{Invitation, Invoice};

/// What is asked for. Each may be repeated: what was done already is not done twice.
#[derive(Debug, Clone)]
pub enum Command {
    /// How the node fares.
    Status,
    /// Its channels.
    Channels,
    /// The hub's invitation.
    Invite,
    /// Open a channel.
    Open {
        /// The hub's invitation.
        invitation: String,
        /// What to put in, in base units.
        deposit: Amount,
        /// Also if a channel with this hub is there already.
        another: bool,
    },
    /// Put more in.
    Fund {
        /// The channel; none for the only one.
        channel: Option<ChannelId>,
        /// How much, in base units.
        amount: Amount,
        /// Names this order: the same key is never paid twice.
        key: String,
    },
    /// Pay.
    Pay {
        /// The channel to pay from; none for the only one.
        channel: Option<ChannelId>,
        /// An invoice, or a channel's number.
        to: String,
        /// How much, in base units; none for the invoice's.
        amount: Option<Amount>,
        /// Names this payment where the invoice does not, and is needed there: the same key is never paid twice.
        key: Option<String>,
    },
    /// Make an invoice.
    Invoice {
        /// The channel to be paid on; none for the only one.
        channel: Option<ChannelId>,
        /// How much; none lets the payer choose.
        amount: Option<Amount>,
    },
    /// Payments in this node's hands, newest last.
    History {
        /// The channel; none for all.
        channel: Option<ChannelId>,
    },
    /// A page of all payments that ever were, oldest first.
    Page {
        /// The channel; none for all, one after another.
        channel: Option<ChannelId>,
        /// Where it begins: what the page before said is next; none for the first.
        after: Option<After>,
        /// So many that have ended, at most.
        limit: usize,
    },
    /// Take an order back that is not debited yet; of a payment that is, wait for nothing more.
    GiveUp {
        /// Its id.
        payment: PaymentId,
    },
    /// A payment's proof: the debt note.
    Export {
        /// Its id.
        payment: PaymentId,
    },
    /// Take money out by consent.
    Withdraw {
        /// The channel; none for the only one.
        channel: Option<ChannelId>,
        /// How much, in base units.
        amount: Amount,
        /// Names this order: the same key is never paid out twice.
        key: Option<String>,
    },
    /// End a channel by consent.
    Close {
        /// The channel; none for the only one.
        channel: Option<ChannelId>,
    },
    /// Leave a channel, by dispute if the other party does not consent.
    Exit {
        /// The channel; none for the only one.
        channel: Option<ChannelId>,
        /// Without asking for consent first.
        now: bool,
    },
    /// How the backups stand.
    Backups,
    /// Which channels are being restored.
    Restore,
    /// Make a hub known by its invitation: where a restored channel's other end is dialled.
    Introduce {
        /// The hub's invitation.
        invitation: String,
    },
    /// Hub: put more of the pool's capital into a channel, so that more can be paid to its participant.
    Allocate {
        /// The channel.
        channel: ChannelId,
        /// How much, in base units.
        amount: Amount,
        /// Names this order: the same key is never put in twice.
        key: String,
    },
    /// What the calls cost now.
    Costs,
    /// Takes the deposit of a channel back that the hub did not accept.
    Cancel {
        /// The channel.
        channel: ChannelId,
    },
}

/// What is answered, as JSON.
pub(super) type Answer = Result<Value, ApiError>;

fn not_live(channel: ChannelId) -> ApiError {
    ApiError::refused(format!("channel {channel} is not live"))
}

impl Driver {
    pub(super) async fn on_request(&mut self, request: Request) -> Result<(), NodeError> {
        let Request { command, answer } = request;
        if let Command::Page { channel, after, limit } = command {
            let (page, store) = (self.page(channel, after, limit), self.parts.store.clone());
            // As many at a time as the API lets in; the driver goes on meanwhile, and whoever asked may be gone.
            drop(tokio::task::spawn_blocking(move || {
                let _ = answer.send(page.and_then(|page| page.read(&store)));
            }));
            return Ok(());
        }
        let outcome = self.answer(command).await;
        match outcome {
            Ok(value) => {
                // Whoever asked may be gone.
                let _ = answer.send(value);
                Ok(())
            }
            Err(error) => {
                let _ = answer.send(Err(ApiError::from(&error)));
                Err(error)
            }
        }
    }

    async fn answer(&mut self, command: Command) -> Result<Answer, NodeError> {
        Ok(match command {
            Command::Status => Ok(self.show_status()),
            Command::Channels => Ok(self.show_channels()),
            Command::Invite => self.invite(),
            Command::Backups => Ok(self.show_backups()),
            Command::Restore => Ok(self.show_restores()),
            Command::Introduce { invitation } => self.introduce(&invitation).await?,
            Command::Open { invitation, deposit, another } => self
                .open(&invitation, deposit, another)
                .await?
                .map(|opening| show::opening(&opening)),
            Command::Fund { channel, amount, key } => self.fund(channel, amount, &key).await?,
            Command::Pay { channel, to, amount, key } => {
                self.pay(channel, &to, amount, key.as_deref()).await?
            }
            Command::Invoice { channel, amount } => self.invoice(channel, amount),
            Command::History { channel } => Ok(self.show_history(channel)),
            // Answered above, elsewhere.
            Command::Page { .. } => Err(ApiError::busy("a page is read elsewhere")),
            Command::GiveUp { payment } => self.give_up(payment).await?,
            Command::Export { payment } => self.export(payment)?,
            Command::Withdraw { channel, amount, key } => match self.live_channel(channel) {
                Ok(channel) => {
                    let done = self.withdraw(channel, amount, key.as_deref()).await?;
                    done.map(|seq| self.show_withdrawal(channel, seq))
                }
                Err(error) => Err(error),
            },
            Command::Close { channel } => match self.closable_channel(channel) {
                Ok(channel) => {
                    let done = self.close(channel).await?;
                    done.map(|()| self.show_consent(channel))
                }
                Err(error) => Err(error),
            },
            Command::Exit { channel, now } => match self.one_channel(channel) {
                Ok(channel) => {
                    self.order_exit(channel, now).await?.map(|()| self.show_exit(channel))
                }
                Err(error) => Err(error),
            },
            Command::Cancel { channel } => self.cancel(channel).await?,
            Command::Costs => self.show_costs(),
            Command::Allocate { channel, amount, key } => {
                self.allocate(channel, amount, &key).await?
            }
        })
    }

    /// The channel that is meant: the one named, or the only one that is not over.
    pub(super) fn one_channel(&self, wanted: Option<ChannelId>) -> Result<ChannelId, ApiError> {
        let here = |id: &ChannelId| {
            self.book
                .get(*id)
                .is_some_and(|own| !matches!(own.standing, Standing::Over | Standing::Cancelled))
        };
        if let Some(id) = wanted {
            return match self.book.get(id) {
                Some(_) => Ok(id),
                None => Err(ApiError::missing(format!("this node has no channel {id}"))),
            };
        }
        let mut all = self.book.channels().keys().filter(|id| here(id));
        match (all.next(), all.next()) {
            (Some(id), None) => Ok(*id),
            (None, _) => Err(ApiError::missing(
                "this node has no channel: open one first, with a hub's invitation",
            )),
            (Some(_), Some(_)) => {
                Err(ApiError::bad("this node has several channels: say which one (--channel)"))
            }
        }
    }

    /// The same, and this node is its participant, and it lives.
    pub(super) fn live_channel(&self, wanted: Option<ChannelId>) -> Result<ChannelId, ApiError> {
        let id = self.closable_channel(wanted)?;
        match self.book.get(id).and_then(|own| own.dispute) {
            Some(dispute) => Err(ApiError::refused(format!(
                "a dispute of channel {id} is open until {} (seconds since 1970): nothing but a close is signed by consent meanwhile (`watchtower close`). If it is stale, this node overrides it; after the deadline it is settled, and what is due is collected by itself (see `watchtower channels`)",
                dispute.deadline
            ))),
            None if self.is_live(id) => Ok(id),
            None => Err(not_live(id)),
        }
    }

    /// The same, or a dispute of it is open: that can be ended by consent, too.
    fn closable_channel(&self, wanted: Option<ChannelId>) -> Result<ChannelId, ApiError> {
        if self.parts.role != Role::Participant {
            return Err(ApiError::role("only a participant does that; a hub answers"));
        }
        let id = self.one_channel(wanted)?;
        if self.restores.contains_key(&id) {
            return Err(ApiError::not_now(
                "the channel is being compared with its backups or restored: nothing is signed until that is done",
            ));
        }
        let in_use = |own: &Own| matches!(own.standing, Standing::Live | Standing::Disputed);
        if !self.book.get(id).is_some_and(in_use) || !self.wallets.contains_key(&id) {
            return Err(not_live(id));
        }
        Ok(id)
    }

    fn invite(&self) -> Answer {
        let Some(vip) = self.parts.site.vip.filter(|_| self.hub.is_some()) else {
            return Err(ApiError::role("only a hub invites"));
        };
        let places = self.parts.link.places();
        let listed = places.borrow().clone();
        let (site, keys) = (self.parts.site, &self.parts.keys);
        let all: Vec<String> = listed
            .into_iter()
            .map(|place| {
                Invitation {
                    chain_id: site.chain_id,
                    vipe: site.vipe,
                    asset: site.asset,
                    account: keys.account.address(),
                    vip,
                    key: *keys.signer.channel_key().public_key(),
                    session: keys.signer.session_address(),
                    rate: self.parts.policy.hub.rate,
                    place,
                }
                .to_string()
            })
            .collect();
        match all.first() {
            Some(first) => Ok(json!({"invitation": first, "all": all})),
            None => Err(ApiError::refused("this hub listens nowhere: give it --link")),
        }
    }

    fn invoice(&self, channel: Option<ChannelId>, amount: Option<Amount>) -> Answer {
        let channel = self.live_channel(channel)?;
        let site = self.parts.site;
        let domain = Domain::derive(site.chain_id, site.vipe);
        let invoice = Invoice { domain, channel, amount, reference: B256::new(fresh()) };
        Ok(json!({
            "invoice": invoice.to_string(), "channel": channel, "amount": amount,
            "reference": invoice.reference,
        }))
    }
}
