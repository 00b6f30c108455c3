//! Sends one transaction and waits until it is in a block: for tools, demonstrations and tests.
//!
//! Not for obligations: it keeps nothing over a crash and follows no reorganisation. Those go through
//! [`crate::submitter`].

use std::time::{Duration, Instant};

use alloy_primitives::{Address, B256, Bytes, U64, U256};

use crate::{
    account::{Account, AccountError, Transaction},
    calls::Call,
    error::{Retry, RpcError},
    fees::{self, Fees, Market, Quote},
    provider::{At, CallError, CallRequest, Receipt, Rpc},
    refusal::{Refusal, RefusalKind},
};

/// Why a transaction did not do what it should.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SendError {
    /// The node gave no answer, or refused.
    #[error(transparent)]
    Rpc(#[from] RpcError),
    /// The contract would refuse it, so it was not sent.
    #[error("the contract refuses: {0}")]
    Refused(Refusal),
    /// It is in a block and failed there.
    #[error("transaction {} failed in block {}", receipt.hash, receipt.block)]
    Failed {
        /// What it did.
        receipt: Box<Receipt>,
    },
    /// It was sent and is in no block yet.
    #[error("transaction {hash} is not mined after {} s", waited.as_secs())]
    NotMined {
        /// Its hash.
        hash: B256,
        /// How long we waited.
        waited: Duration,
    },
    /// Nothing was created where a contract should be.
    #[error("transaction {0} created no contract")]
    NothingCreated(B256),
    /// The account does not sign.
    #[error(transparent)]
    Account(#[from] AccountError),
}

impl SendError {
    /// Whether the same may succeed later. One that was sent may be mined all the same: look before sending again.
    pub const fn retry(&self) -> Retry {
        match self {
            Self::Rpc(error) => error.retry(),
            Self::Refused(refusal) if matches!(refusal.kind, RefusalKind::Early) => {
                Retry::Later(None)
            }
            Self::NotMined { .. } => Retry::Later(None),
            Self::Refused(_) | Self::Failed { .. } | Self::NothingCreated(_) | Self::Account(_) => {
                Retry::Never
            }
        }
    }
}

/// An account with a node.
#[derive(Debug, Clone)]
pub struct Sender {
    /// The node.
    pub rpc: Rpc,
    /// Who pays and signs.
    pub account: Account,
    /// The chain.
    pub chain_id: u64,
    /// The most time to wait for a block.
    pub patience: Duration,
}

/// Room in gas above an estimate, in percent.
const GAS_MARGIN_PERCENT: u64 = 20;
/// The most gas of one transaction (EIP-7825).
const TRANSACTION_GAS_MAX: u64 = 16_777_216;
/// How often to look for a receipt.
const LOOK_INTERVAL: Duration = Duration::from_millis(50);

impl Sender {
    /// Sends a call and waits until it is in a block.
    ///
    /// # Errors
    /// See [`SendError`]; after [`SendError::NotMined`] it may still be mined.
    pub async fn send(&self, call: &Call) -> Result<Receipt, SendError> {
        self.transact(Some(call.to), call.data.clone(), call.value).await
    }

    /// Creates a contract and waits until it is there.
    ///
    /// # Errors
    /// See [`SendError`].
    pub async fn create(&self, code: Bytes) -> Result<(Address, Receipt), SendError> {
        let receipt = self.transact(None, code, U256::ZERO).await?;
        let address = receipt.created.ok_or(SendError::NothingCreated(receipt.hash))?;
        Ok((address, receipt))
    }

    /// Signs and sends a call without waiting for a block.
    ///
    /// # Errors
    /// See [`SendError`].
    pub async fn submit(
        &self,
        to: Option<Address>,
        data: Bytes,
        value: U256,
    ) -> Result<B256, SendError> {
        let from = self.account.address();
        let request = CallRequest {
            from,
            to,
            data: data.clone(),
            value,
            gas: Some(U64::from(TRANSACTION_GAS_MAX)),
        };
        let gas = match self.rpc.estimate_gas(&request).await {
            Ok(gas) => gas,
            Err(CallError::Reverted { data }) => {
                return Err(SendError::Refused(Refusal::read(&data)));
            }
            Err(CallError::Rpc(error)) => return Err(error.into()),
        };
        let gas_limit = gas
            .saturating_add(gas.saturating_mul(GAS_MARGIN_PERCENT) / 100)
            .min(TRANSACTION_GAS_MAX);
        let fees = self.fees().await?;
        let nonce = self.rpc.transaction_count(from, At::Pending).await?;
        let transaction = Transaction { nonce, gas_limit, fees, to, value, data };
        let (hash, bytes) = self.account.sign(self.chain_id, transaction).await?;
        self.rpc.send_raw(&bytes).await?;
        Ok(hash)
    }

    async fn transact(
        &self,
        to: Option<Address>,
        data: Bytes,
        value: U256,
    ) -> Result<Receipt, SendError> {
        let hash = self.submit(to, data, value).await?;
        let start = Instant::now();
        loop {
            if let Some(receipt) = self.rpc.receipt(hash).await? {
                return if receipt.success {
                    Ok(receipt)
                } else {
                    Err(SendError::Failed { receipt: Box::new(receipt) })
                };
            }
            if start.elapsed() >= self.patience {
                return Err(SendError::NotMined { hash, waited: self.patience });
            }
            tokio::time::sleep(LOOK_INTERVAL).await;
        }
    }

    async fn fees(&self) -> Result<Fees, SendError> {
        let history = self.rpc.fee_history(fees::HISTORY_BLOCKS, &fees::TIP_PERCENTILES).await?;
        let market = Market::read(history.next_base_fee, &history.rewards);
        match market.quote(0, u128::MAX, None) {
            Quote::Bid(fees) => Ok(fees),
            Quote::TooDear { needed, .. } => {
                Ok(Fees { max_fee: needed, priority_fee: fees::TIP_MIN })
            }
        }
    }
}
