//! What the demo asks of the chain beyond what a node needs: control of time, the pending block, a higher bid.

use std::time::Duration;

use alloy_primitives::{Address, B256, Bytes, U256};
use chain::account::{Account, Transaction};
use chain::calls::Call;
use chain::fees::{Fees, HISTORY_BLOCKS, Market, Quote, TIP_PERCENTILES};
use chain::provider::{At, Receipt, Rpc};
use chain::sender::Sender;
use eyre::{WrapErr as _, bail, eyre};
use serde_json::{Value, json};

/// How long one transaction may take to be mined before the demo gives up.
const MINED_WITHIN: Duration = Duration::from_secs(60);
/// How often the demo looks.
pub(super) const LOOK_EVERY: Duration = Duration::from_millis(100);

/// A chain whose clock the demo may turn.
#[derive(Debug, Clone)]
pub(super) struct DevChain {
    pub(super) rpc: Rpc,
    pub(super) url: String,
    pub(super) chain_id: u64,
    http: reqwest::Client,
}

impl DevChain {
    pub(super) fn new(rpc: Rpc, url: String, chain_id: u64) -> Self {
        Self { rpc, url, chain_id, http: reqwest::Client::new() }
    }

    /// `account` with this node.
    pub(super) fn sender(&self, account: &Account) -> Sender {
        Sender {
            rpc: self.rpc.clone(),
            account: account.clone(),
            chain_id: self.chain_id,
            patience: MINED_WITHIN,
        }
    }

    /// Sends `call` and waits until it is in a block.
    pub(super) async fn send(
        &self,
        from: &Account,
        call: &Call,
        what: &str,
    ) -> eyre::Result<Receipt> {
        self.sender(from).send(call).await.wrap_err_with(|| what.to_owned())
    }

    /// A method that only development chains have.
    pub(super) async fn raw(&self, method: &str, params: Value) -> eyre::Result<Value> {
        let request = json!({"jsonrpc": "2.0", "id": 1, "method": method, "params": params});
        let answered =
            async { self.http.post(&self.url).json(&request).send().await?.json::<Value>().await };
        let answer = answered.await.wrap_err_with(|| format!("{method} at {}", self.url))?;
        match answer.get("error") {
            Some(error) => bail!("{method} is refused: {error}"),
            None => Ok(answer.get("result").cloned().unwrap_or(Value::Null)),
        }
    }

    /// Lets `seconds` pass on the chain.
    pub(super) async fn pass(&self, seconds: u64) -> eyre::Result<()> {
        self.raw("evm_increaseTime", json!([seconds])).await?;
        self.raw("evm_mine", json!([])).await?;
        Ok(())
    }

    /// The newest block's timestamp, in seconds since 1970.
    pub(super) async fn now(&self) -> eyre::Result<u64> {
        Ok(self.rpc.head().await?.timestamp)
    }

    /// Sends `data` to `to` at a price above everybody's, without waiting or asking whether it will succeed.
    pub(super) async fn outbid(
        &self,
        from: &Account,
        to: Address,
        data: Bytes,
        gas_limit: u64,
        extra_tip: u128,
    ) -> eyre::Result<B256> {
        let history = self.rpc.fee_history(HISTORY_BLOCKS, &TIP_PERCENTILES).await?;
        let Quote::Bid(usual) =
            Market::read(history.next_base_fee, &history.rewards).quote(0, u128::MAX, None)
        else {
            bail!("the chain asks for more than can be paid");
        };
        let fees = Fees {
            max_fee: usual.max_fee.saturating_add(extra_tip),
            priority_fee: usual.priority_fee.saturating_add(extra_tip),
        };
        let nonce = self.rpc.transaction_count(from.address(), At::Pending).await?;
        let transaction =
            Transaction { nonce, gas_limit, fees, to: Some(to), value: U256::ZERO, data };
        let (_, raw) = from.sign(self.chain_id, transaction).await?;
        Ok(self.rpc.send_raw(&raw).await?)
    }

    /// Waits until the transaction is in a block.
    pub(super) async fn mined(&self, hash: B256) -> eyre::Result<Receipt> {
        let looking = async {
            loop {
                if let Some(receipt) = self.rpc.receipt(hash).await? {
                    return Ok(receipt);
                }
                tokio::time::sleep(LOOK_EVERY).await;
            }
        };
        tokio::time::timeout(MINED_WITHIN, looking).await.map_err(|_elapsed| {
            eyre!("transaction {hash} was not mined within {} s", MINED_WITHIN.as_secs())
        })?
    }

    /// Calldata of a transaction from `from` to `to` that waits to be mined: what anybody can read in the mempool.
    pub(super) async fn pending_call(
        &self,
        from: Address,
        to: Address,
    ) -> eyre::Result<Option<Bytes>> {
        let block = self.raw("eth_getBlockByNumber", json!(["pending", true])).await?;
        let transactions =
            block.get("transactions").and_then(Value::as_array).cloned().unwrap_or_default();
        for transaction in transactions {
            let field = |name: &str| {
                transaction.get(name).and_then(Value::as_str).unwrap_or_default().to_owned()
            };
            let is = |name: &str, address: Address| {
                field(name).parse::<Address>().is_ok_and(|found| found == address)
            };
            if is("from", from) && is("to", to) {
                return Ok(Some(field("input").parse::<Bytes>()?));
            }
        }
        Ok(None)
    }

    /// An account's ether, in wei.
    pub(super) async fn ether(&self, account: Address) -> eyre::Result<U256> {
        Ok(self.rpc.balance(account).await?)
    }
}
