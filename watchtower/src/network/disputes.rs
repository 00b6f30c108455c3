//! What the network does when this tower reads a dispute on its chain: tells the others at once, then asks them for
//! envelopes of the channel that it may have missed.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use alloy_primitives::{B256, Signature};
use chain::account::{Account, AccountError};
use futures::StreamExt as _;
use futures::future::BoxFuture;
use futures::stream::FuturesUnordered;
use protocol::network::wire::{Alert, SignedAlert, SignerError};
use protocol::{Amount, ChannelId, Nonce};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::alerts::Alerts;
use super::seek::Seeker;
use crate::tasks::TaskFailure;

/// Disputes that may wait to be told to others; more than a block can open. Beyond it others read the chain.
pub(crate) const NOTES_MAX: usize = 1_024;

/// Channels that are asked about at the same time.
const SEEKING_MAX: usize = 4;

/// A dispute that this tower read on its chain.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Note {
    /// The channel.
    pub(crate) channel_id: ChannelId,
    /// Which dispute of the channel.
    pub(crate) epoch: u64,
    /// The nonce that it was opened with.
    pub(crate) nonce: Nonce,
    /// What the disputer claims.
    pub(crate) claim: Amount,
    /// When the window ends, in the chain's seconds.
    pub(crate) deadline: u64,
    /// The block that opened it.
    pub(crate) block_number: u64,
    /// That block's hash.
    pub(crate) block_hash: B256,
    /// The transaction that opened it.
    pub(crate) transaction: B256,
}

#[derive(Debug, thiserror::Error)]
enum NotSigned {
    #[error(transparent)]
    Account(#[from] AccountError),
    #[error(transparent)]
    Signature(#[from] alloy_primitives::SignatureError),
    #[error(transparent)]
    Signer(#[from] SignerError),
}

/// What the task works with.
#[derive(Debug)]
pub(crate) struct Teller {
    pub(crate) seeker: Seeker,
    pub(crate) account: Account,
    pub(crate) alerts: Arc<Alerts>,
}

impl Teller {
    /// Tells and asks until told to stop.
    ///
    /// # Errors
    /// None: what fails here is logged, and the race goes on without it.
    pub(crate) async fn run(
        self,
        stop: CancellationToken,
        mut notes: mpsc::Receiver<Note>,
    ) -> Result<(), TaskFailure> {
        let mut waiting: VecDeque<ChannelId> = VecDeque::new();
        let mut seeking: FuturesUnordered<BoxFuture<'static, ()>> = FuturesUnordered::new();
        loop {
            while seeking.len() < SEEKING_MAX
                && let Some(channel) = waiting.pop_front()
            {
                let seeker = self.seeker.clone();
                seeking.push(Box::pin(async move { seeker.seek(channel).await }));
            }
            tokio::select! {
                biased;
                () = stop.cancelled() => return Ok(()),
                Some(note) = notes.recv() => {
                    self.tell(&note);
                    // At the bound the newest is not asked about: what is held is brought all the same.
                    if waiting.len() < NOTES_MAX && !waiting.contains(&note.channel_id) {
                        waiting.push_back(note.channel_id);
                    }
                }
                Some(()) = seeking.next() => {}
                else => {
                    stop.cancelled().await;
                    return Ok(());
                }
            }
        }
    }

    fn tell(&self, note: &Note) {
        let signed = match self.alert(note) {
            Ok(signed) => signed,
            Err(error) => {
                tracing::error!(%error, "an alert is not signed");
                return;
            }
        };
        match self.seeker.handle.alert(&signed) {
            Ok(()) => {
                self.alerts.counts().told.fetch_add(1, Ordering::Relaxed);
            }
            Err(error) => {
                tracing::warn!(%error, channel = %note.channel_id, "other towers are not told of a dispute");
            }
        }
    }

    fn alert(&self, note: &Note) -> Result<SignedAlert, NotSigned> {
        let alert = Alert {
            domain: self.seeker.domain,
            channel_id: note.channel_id,
            epoch: note.epoch,
            nonce: note.nonce,
            claim: note.claim,
            deadline: note.deadline,
            block_number: note.block_number,
            block_hash: note.block_hash,
            transaction: note.transaction,
            tower: self.account.address(),
            issued_at: crate::clock::now_s(),
        };
        let bytes = self.account.sign_digest(&alert.signing_hash())?;
        Ok(alert.signed(&Signature::from_raw(&bytes)?)?)
    }
}
