//! What the submitter asks of the chain, and to whom it hands its transactions.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use alloy_primitives::{B256, Bytes, U64};
use futures::{StreamExt as _, future::join_all, stream};

use super::{
    Submitter,
    message::{Effect, Event, Route, SendAnswer, Simulation, View},
    plan::TRANSACTION_GAS_MAX,
    record::ObligationId,
};
use crate::{
    account::AccountError,
    error::RpcError,
    fees::{self, Market},
    follower::finalized,
    provider::{At, CallError, CallRequest, Receipt, Rpc},
    refusal::Refusal,
};

/// To whom transactions are handed, besides the node that is asked about the chain.
#[derive(Debug, Clone, Default)]
pub struct Outlets {
    /// Further nodes: each public transaction goes to all of them.
    pub public: Vec<Rpc>,
    /// Private relays, which take `eth_sendRawTransaction` and show nothing to the public pool. While there are any, an
    /// obligation with a deadline goes to them alone for the first part of its time.
    pub private: Vec<Rpc>,
}

/// Receipts asked for at the same time.
const QUESTIONS_MAX: usize = 8;

impl Submitter {
    /// Carries out what is neither a write nor a report.
    pub(super) async fn ask(&mut self, effect: Effect) -> Result<Option<Event>, AccountError> {
        Ok(match effect {
            Effect::FindReceipts { id, hashes } => {
                self.find(&hashes).await.map(|receipts| Event::Found { id, receipts })
            }
            Effect::Simulate { id, estimate } => {
                let simulation = self.simulate(id, estimate, At::Latest).await;
                Some(Event::Simulated { id, simulation })
            }
            Effect::SimulateFinal { id, block } => {
                let simulation = self.simulate(id, false, At::Number(block)).await;
                Some(Event::SimulatedFinal { id, simulation })
            }
            Effect::Sign { id, transaction } => {
                let signed = self.signed((id, transaction), true).await?;
                signed.map(|(hash, _)| Event::Signed { id, hash })
            }
            Effect::Send { id, transaction, route } => {
                let answer = match self.signed((id, transaction), false).await? {
                    Some((hash, bytes)) => self.send((id, hash), &bytes, route).await,
                    None => SendAnswer::Failed,
                };
                Some(Event::Sent { id, answer })
            }
            Effect::Foreign(spend) => {
                self.note_foreign(spend);
                None
            }
            Effect::Persist(_) | Effect::Report { .. } => None,
        })
    }

    pub(super) async fn view(&self) -> Result<View, RpcError> {
        let account = self.account.address();
        let head = self.rpc.head().await?;
        let (finalized, nonce, balance, history) = futures::try_join!(
            finalized(&self.rpc, self.config.finality, &head),
            self.rpc.transaction_count(account, At::Latest),
            self.rpc.balance(account),
            self.rpc.fee_history(fees::HISTORY_BLOCKS, &fees::TIP_PERCENTILES),
        )?;
        // A node that keeps no state so far back only delays what waits for it; one without a pool tells nothing.
        let final_nonce = async {
            let block = finalized.as_ref()?.id.number;
            self.rpc.transaction_count(account, At::Number(block)).await.ok()
        };
        let pending = async { self.rpc.transaction_count(account, At::Pending).await.ok() };
        let (final_nonce, pending_nonce) = futures::join!(final_nonce, pending);
        let market = Market::read(history.next_base_fee, &history.rewards);
        let now_ms = now_ms();
        Ok(View { now_ms, head, finalized, nonce, final_nonce, pending_nonce, balance, market })
    }

    /// The receipts of these; none while the node cannot be asked, so that its silence is no answer.
    async fn find(&self, hashes: &[B256]) -> Option<Vec<Receipt>> {
        let asked: Vec<_> = hashes.iter().map(|hash| self.receipt_of(*hash)).collect();
        let mut answers = stream::iter(asked).buffered(QUESTIONS_MAX);
        let mut receipts = Vec::new();
        while let Some((hash, answer)) = answers.next().await {
            match answer {
                Ok(receipt) => receipts.extend(receipt),
                Err(error) => {
                    tracing::warn!(%error, %hash, "no word about a transaction");
                    return None;
                }
            }
        }
        Some(receipts)
    }

    async fn receipt_of(&self, hash: B256) -> (B256, Result<Option<Receipt>, RpcError>) {
        (hash, self.rpc.receipt(hash).await)
    }

    async fn simulate(&self, id: ObligationId, estimate: bool, at: At) -> Simulation {
        let Some(obligation) = self.core.obligation(id) else { return Simulation::Unknown };
        let call = &obligation.call;
        let request = CallRequest {
            from: self.account.address(),
            to: Some(call.to),
            data: call.data.clone(),
            value: call.value,
            gas: Some(U64::from(TRANSACTION_GAS_MAX)),
        };
        let ran = match self.rpc.call(&request, at).await {
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

    /// Hands a transaction to all that the route names, at once. One that takes it is enough.
    async fn send(
        &self,
        (id, hash): (ObligationId, B256),
        bytes: &Bytes,
        route: Route,
    ) -> SendAnswer {
        let Outlets { public, private } = &self.outlets;
        let nodes: Vec<&Rpc> = match route {
            Route::Private => private.iter().collect(),
            Route::Public => std::iter::once(&self.rpc).chain(public).chain(private).collect(),
        };
        let sending: Vec<_> =
            nodes.into_iter().map(|node| hand_to(node, bytes, (id, hash))).collect();
        let answers = join_all(sending).await;
        let any = |wanted| answers.contains(&wanted).then_some(wanted);
        any(SendAnswer::Taken).or(any(SendAnswer::Underpriced)).unwrap_or(SendAnswer::Failed)
    }
}

async fn hand_to(node: &Rpc, bytes: &Bytes, (id, hash): (ObligationId, B256)) -> SendAnswer {
    let Err(error) = node.send_raw(bytes).await else { return SendAnswer::Taken };
    let answer = read_send_error(&error);
    if answer != SendAnswer::Taken {
        tracing::warn!(node = node.endpoint(), %error, %id, %hash, ?answer, "a transaction was not taken");
    }
    answer
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
pub(super) fn now_ms() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO);
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}
