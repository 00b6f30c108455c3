//! Takes what must come to pass on chain to a final block.
//!
//! The caller makes a [`Record`] of an [`Obligation`], stores it, and gives it to the [`Submitter`]; then it calls
//! [`Submitter::round`] on every new head (and now and then without one). Each round looks at the chain and does what
//! `core` decides; every change of a record is handed to `persist` and must be durable before the round goes on. After a
//! crash the stored records are given to [`Submitter::new`] and nothing is lost or done twice.
//!
//! The account's key should serve this submitter alone. A transaction sent elsewhere with the same key is noticed and
//! survived, but costs time.

mod core;
mod message;
mod plan;
mod record;

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use alloy_primitives::{B256, Bytes, U64};

use self::{
    core::Core,
    message::{Effect, Event, SendAnswer, Simulation, View},
    plan::TRANSACTION_GAS_MAX,
};
pub use self::{
    message::{Patience, Report},
    record::{Attempt, Obligation, ObligationId, Outcome, RECORD_VERSION, Record, Stage, Standing},
};
use crate::{
    account::{Account, AccountError},
    error::RpcError,
    fees::{self, Market},
    follower::{Finality, finalized},
    provider::{At, CallError, CallRequest, Receipt, Rpc},
    refusal::Refusal,
};

/// The largest calldata of an obligation, in bytes: what nodes take into their pools, less the rest of a transaction.
pub const CALLDATA_BYTES_MAX: usize = 128 * 1024 - 1024;
/// The most obligations at once: a mass exit is worked off by deadline, the rest waits with the caller.
pub const OBLIGATIONS_MAX: usize = 1024;
/// The most effects of one round: each obligation has a handful, so more means a fault of ours.
const EFFECTS_MAX: usize = OBLIGATIONS_MAX * 16;

/// How a submitter works.
#[derive(Debug, Clone, Copy)]
pub struct SubmitConfig {
    /// The chain, as transactions are signed for it.
    pub chain_id: u64,
    /// How this chain says that a block is final.
    pub finality: Finality,
    /// When to raise bids and to send again.
    pub patience: Patience,
}

/// Why a record is not taken over.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum AddError {
    /// It would fit no pool.
    #[error("calldata of {bytes} bytes is more than the {CALLDATA_BYTES_MAX} that nodes take")]
    TooLarge {
        /// Its size.
        bytes: usize,
    },
    /// There are too many already.
    #[error("{OBLIGATIONS_MAX} obligations are open already")]
    Full,
    /// It was written by another version of this program.
    #[error("the stored record has version {found}, this program reads {RECORD_VERSION}")]
    Version {
        /// The version found.
        found: u32,
    },
}

/// Why a round ended early. Nothing is lost: the next one goes on.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RoundError<E> {
    /// The chain could not be looked at.
    #[error(transparent)]
    Rpc(RpcError),
    /// A record could not be stored, so nothing after it was done. Make a new submitter from what is stored.
    #[error("a record could not be stored: {0}")]
    Store(E),
    /// The account does not sign.
    #[error(transparent)]
    Account(AccountError),
    /// An earlier round could not store a record.
    #[error("an earlier record could not be stored: start again from what is stored")]
    Abandoned,
}

/// Sends and watches the transactions of one account.
#[derive(Debug)]
pub struct Submitter {
    rpc: Rpc,
    account: Account,
    config: SubmitConfig,
    core: Core,
    abandoned: bool,
}

impl Submitter {
    /// Goes on with the records that were stored for this account.
    ///
    /// # Errors
    /// When a record has another version, or there are too many; see [`AddError`].
    pub fn new(
        rpc: Rpc,
        account: Account,
        config: SubmitConfig,
        records: impl IntoIterator<Item = Record>,
    ) -> Result<Self, AddError> {
        let core = Core::new(account.address(), config.patience);
        let mut submitter = Self { rpc, account, config, core, abandoned: false };
        for record in records {
            submitter.add(record)?;
        }
        Ok(submitter)
    }

    /// Takes over a record that the caller has stored. One that has ended, or whose name is known, changes nothing.
    ///
    /// # Errors
    /// When it cannot be taken; see [`AddError`].
    pub fn add(&mut self, record: Record) -> Result<(), AddError> {
        let bytes = record.obligation.call.data.len();
        if record.version != RECORD_VERSION {
            return Err(AddError::Version { found: record.version });
        }
        if bytes > CALLDATA_BYTES_MAX {
            return Err(AddError::TooLarge { bytes });
        }
        if self.core.len() >= OBLIGATIONS_MAX {
            return Err(AddError::Full);
        }
        self.core.add(record);
        Ok(())
    }

    /// Sets a new deadline, such as when an override extended a window. Store the record that is returned.
    pub fn set_deadline(&mut self, id: ObligationId, deadline: Option<u64>) -> Option<Record> {
        self.core.set_deadline(id, deadline)
    }

    /// What has not ended.
    pub fn open(&self) -> impl Iterator<Item = &Record> {
        self.core.records()
    }

    /// The account that sends.
    pub const fn account(&self) -> &Account {
        &self.account
    }

    /// Looks at the chain once and does what follows. `persist` must return after the record is durable: only then the
    /// transaction in it is sent. What happened is added to `reports`, also when the round ends early.
    ///
    /// Not cancel-safe in the middle of `persist`: drop it only to stop, and start again from what is stored.
    ///
    /// # Errors
    /// See [`RoundError`].
    pub async fn round<E, F: Future<Output = Result<(), E>>>(
        &mut self,
        mut persist: impl FnMut(Record) -> F,
        reports: &mut Vec<(ObligationId, Report)>,
    ) -> Result<(), RoundError<E>> {
        if self.abandoned {
            return Err(RoundError::Abandoned);
        }
        if self.core.len() == 0 {
            return Ok(());
        }
        let view = self.view().await.map_err(RoundError::Rpc)?;
        let mut todo: std::collections::VecDeque<Effect> =
            self.core.handle(Event::Round(Box::new(view))).into();
        for _ in 0..EFFECTS_MAX {
            let Some(effect) = todo.pop_front() else { break };
            let event = match effect {
                Effect::Persist(record) => {
                    if let Err(error) = persist(*record).await {
                        self.abandoned = true;
                        return Err(RoundError::Store(error));
                    }
                    None
                }
                Effect::Report { id, report } => {
                    tracing::info!(%id, ?report, "obligation");
                    reports.push((id, report));
                    None
                }
                Effect::FindReceipts { id, hashes } => {
                    self.find(&hashes).await.map(|receipts| Event::Found { id, receipts })
                }
                Effect::Simulate { id, estimate } => {
                    Some(Event::Simulated { id, simulation: self.simulate(id, estimate).await })
                }
                Effect::Sign { id, transaction } => {
                    let (hash, _) = self
                        .account
                        .sign(self.config.chain_id, transaction)
                        .map_err(RoundError::Account)?;
                    Some(Event::Signed { id, hash })
                }
                Effect::Send { id, transaction } => {
                    let (hash, bytes) = self
                        .account
                        .sign(self.config.chain_id, transaction)
                        .map_err(RoundError::Account)?;
                    Some(Event::Sent { id, answer: self.send(id, hash, &bytes).await })
                }
            };
            for effect in
                event.map(|event| self.core.handle(event)).unwrap_or_default().into_iter().rev()
            {
                todo.push_front(effect);
            }
        }
        Ok(())
    }

    async fn view(&self) -> Result<View, RpcError> {
        let account = self.account.address();
        let head = self.rpc.head().await?;
        let (finalized, nonce, balance, history) = futures::try_join!(
            finalized(&self.rpc, self.config.finality, &head),
            self.rpc.transaction_count(account, At::Latest),
            self.rpc.balance(account),
            self.rpc.fee_history(fees::HISTORY_BLOCKS, &fees::TIP_PERCENTILES),
        )?;
        let final_nonce = match finalized {
            // A node that keeps no state so far back only delays what waits for it.
            Some(block) => {
                self.rpc.transaction_count(account, At::Number(block.id.number)).await.ok()
            }
            None => None,
        };
        let market = Market::read(history.next_base_fee, &history.rewards);
        Ok(View { now_ms: now_ms(), head, finalized, nonce, final_nonce, balance, market })
    }

    /// The receipts of these; none while the node cannot be asked, so that its silence is no answer.
    async fn find(&self, hashes: &[B256]) -> Option<Vec<Receipt>> {
        let mut receipts = Vec::new();
        for hash in hashes {
            match self.rpc.receipt(*hash).await {
                Ok(receipt) => receipts.extend(receipt),
                Err(error) => {
                    tracing::warn!(%error, %hash, "no word about a transaction");
                    return None;
                }
            }
        }
        Some(receipts)
    }

    async fn simulate(&self, id: ObligationId, estimate: bool) -> Simulation {
        let Some(obligation) = self.core.obligation(id) else { return Simulation::Unknown };
        let call = &obligation.call;
        let request = CallRequest {
            from: self.account.address(),
            to: Some(call.to),
            data: call.data.clone(),
            value: call.value,
            gas: Some(U64::from(TRANSACTION_GAS_MAX)),
        };
        let ran = match self.rpc.call(&request, At::Latest).await {
            Ok(_) if estimate => self.rpc.estimate_gas(&request).await.map(Some),
            Ok(_) => Ok(None),
            Err(error) => Err(error),
        };
        match ran {
            Ok(gas) => Simulation::Fits { gas },
            Err(CallError::Reverted { data }) => Simulation::Refused(Refusal::read(&data)),
            Err(CallError::Rpc(error)) => {
                tracing::warn!(%error, %id, "no word about what a call would do");
                Simulation::Unknown
            }
        }
    }

    async fn send(&self, id: ObligationId, hash: B256, bytes: &Bytes) -> SendAnswer {
        match self.rpc.send_raw(bytes).await {
            Ok(_) => SendAnswer::Taken,
            Err(error) => {
                let answer = read_send_error(&error);
                tracing::warn!(%error, %id, %hash, ?answer, "the node did not take a transaction");
                answer
            }
        }
    }
}

/// Clients word these the same way for want of codes. A misreading costs time, never an obligation.
fn read_send_error(error: &RpcError) -> SendAnswer {
    let RpcError::Refused { message, .. } = error else { return SendAnswer::Failed };
    let message = message.to_ascii_lowercase();
    if message.contains("already known")
        || message.contains("already imported")
        || message.contains("known transaction")
    {
        SendAnswer::Taken
    } else if message.contains("underpriced") {
        SendAnswer::Underpriced
    } else {
        SendAnswer::Failed
    }
}

/// Our clock, in milliseconds since 1970.
fn now_ms() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO);
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}
