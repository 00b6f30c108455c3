//! Links without sockets: a frame is in the other node's queue at once, or lost with it. Everything that is said is read here.
//!
//! **Invariant:** what a party signed of a channel's nonce is one state, whoever was told, before and after every crash.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};

use gossip::Peer;
use gossip::link::testing::{Asked, Wire};
use gossip::link::{LinkEvent, LinkHandle};
use protocol::vipe::{Closing, Withdrawal};
use protocol::vnode::link::Frame;
use protocol::zksc::State;
use protocol::zksc::handshake::Message;
use protocol::{ChannelId, Nonce, Role};
use tokio::sync::mpsc;

/// Events that may wait for one node; a test has fewer.
const EVENTS_MAX: usize = 65_536;

#[derive(Debug, Default)]
struct Inner {
    members: BTreeMap<Peer, mpsc::Sender<LinkEvent>>,
    kept: BTreeSet<(Peer, Peer)>,
    up: BTreeSet<(Peer, Peer)>,
    signed: BTreeMap<(ChannelId, Nonce, bool), State>,
    consents: BTreeMap<(ChannelId, u64), Withdrawal>,
    closes: BTreeMap<(ChannelId, u64), Closing>,
    states: usize,
}

/// Where all nodes of a test meet.
#[derive(Debug, Clone, Default)]
pub(super) struct Hall(Arc<Mutex<Inner>>);

impl Inner {
    fn tell(&self, to: Peer, event: LinkEvent) -> bool {
        self.members.get(&to).is_some_and(|events| events.try_send(event).is_ok())
    }

    fn meet(&mut self) {
        let here = |peer: &Peer| self.members.contains_key(peer);
        let met: Vec<_> = self
            .kept
            .iter()
            .filter(|pair| here(&pair.0) && here(&pair.1) && !self.up.contains(pair))
            .copied()
            .collect();
        for (one, other) in met {
            self.up.insert((one, other));
            self.tell(one, LinkEvent::Up(other));
            self.tell(other, LinkEvent::Up(one));
        }
    }

    fn are_linked(&self, one: Peer, other: Peer) -> bool {
        self.up.contains(&(one, other)) || self.up.contains(&(other, one))
    }

    /// The one place where a second signature at one nonce cannot hide.
    fn witness(&mut self, bytes: &[u8]) {
        let mut saw = |role: Role, state: &State| {
            let key = (state.channel_id, state.nonce, role == Role::Participant);
            let first = *self.signed.entry(key).or_insert(*state);
            assert_eq!(first, *state, "the {role} signed two states at one nonce");
            self.states += 1;
        };
        match Frame::from_bytes(bytes).unwrap() {
            Frame::Handshake(_, Message::Partial(partial) | Message::Outstanding(_, partial)) => {
                saw(Role::Counterparty, &partial.state);
            }
            Frame::Handshake(_, Message::Final(state)) | Frame::Latest(_, Some(state)) => {
                saw(Role::Counterparty, &state.state);
                saw(Role::Participant, &state.state);
            }
            Frame::Withdraw(consent) => {
                let key = (consent.channel, consent.seq);
                let first = *self.consents.entry(key).or_insert(consent.terms);
                assert_eq!(first, consent.terms, "two consents under one number");
            }
            Frame::Close(consent) => {
                let key = (consent.channel, consent.seq);
                let first = *self.closes.entry(key).or_insert(consent.terms);
                assert_eq!(first, consent.terms, "two closes under one number");
            }
            _ => {}
        }
    }

    fn carry(&mut self, from: Peer, asked: Asked) {
        match asked {
            Asked::Send(to, bytes) => {
                self.witness(&bytes);
                if self.are_linked(from, to) {
                    self.tell(to, LinkEvent::Frame(from, bytes));
                }
            }
            Asked::Leave(_) => {}
            Asked::Keep(place) => {
                self.kept.insert((from, place.peer().unwrap()));
                self.meet();
            }
        }
    }
}

impl Hall {
    fn inner(&self) -> std::sync::MutexGuard<'_, Inner> {
        // A node's task that panicked has failed the test already.
        self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    /// A node comes in.
    pub(super) fn join(&self, me: Peer) -> (LinkHandle, mpsc::Receiver<LinkEvent>, Wire) {
        let place = format!("/ip4/127.0.0.1/tcp/1/p2p/{me}").parse().unwrap();
        let (handle, wire) = gossip::link::testing::handle(me, vec![place]);
        let (events, heard) = mpsc::channel(EVENTS_MAX);
        let mut inner = self.inner();
        inner.members.insert(me, events);
        inner.meet();
        (handle, heard, wire)
    }

    /// Carries out what a node asks for, until it is gone.
    pub(super) async fn serve(self, me: Peer, mut wire: Wire) {
        while let Some(asked) = wire.next().await {
            self.inner().carry(me, asked);
        }
    }

    /// A node is gone, and what was on its way to it is lost.
    pub(super) fn leave(&self, me: Peer) {
        let mut inner = self.inner();
        inner.members.remove(&me);
        let gone: Vec<_> =
            inner.up.iter().filter(|pair| pair.0 == me || pair.1 == me).copied().collect();
        for pair in gone {
            inner.up.remove(&pair);
            let other = if pair.0 == me { pair.1 } else { pair.0 };
            inner.tell(other, LinkEvent::Down(me));
        }
    }

    /// The nonces of a channel of which signed states were said.
    pub(super) fn nonces(&self, channel: ChannelId) -> BTreeSet<u64> {
        let inner = self.inner();
        let all = inner.signed.keys().filter(|(of, ..)| *of == channel);
        all.map(|(_, nonce, _)| nonce.get()).collect()
    }

    /// The terms of the closes that were said.
    pub(super) fn closes(&self) -> Vec<Closing> {
        self.inner().closes.values().copied().collect()
    }

    /// How many signed states were said.
    pub(super) fn states(&self) -> usize {
        self.inner().states
    }
}
