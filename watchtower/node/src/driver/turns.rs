//! Turns on their way to the disk: whose they are, and which channels' records are in them.

use std::pin::Pin;
use std::task::{Context, Poll};

use futures::stream::FuturesOrdered;
use protocol::ChannelId;
use store::StoreError;

/// Whose turn became durable.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Owner {
    Hub,
    Wallet(ChannelId),
    /// An offer to a participant that asked.
    Offer,
    /// Nothing waits for it.
    Nobody,
}

/// A machine's turn on its way to the disk.
#[derive(Debug)]
pub(super) struct OnItsWay {
    pub(super) owner: Owner,
    pub(super) number: u64,
    /// The channels whose records are in it.
    pub(super) lanes: Vec<ChannelId>,
    pub(super) turn: store::Turn,
}

/// A turn that arrived, or did not.
#[derive(Debug)]
pub(super) struct Arrived {
    pub(super) owner: Owner,
    pub(super) number: u64,
    pub(super) lanes: Vec<ChannelId>,
    pub(super) outcome: Result<(), StoreError>,
}

impl Future for OnItsWay {
    type Output = Arrived;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let Poll::Ready(outcome) = Pin::new(&mut self.turn).poll(context) else {
            return Poll::Pending;
        };
        let lanes = std::mem::take(&mut self.lanes);
        Poll::Ready(Arrived { owner: self.owner, number: self.number, lanes, outcome })
    }
}

pub(super) type Turns = FuturesOrdered<OnItsWay>;
