//! The embedded settlement layer, seen through alloy's provider as any client sees it: over HTTP and WebSocket.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a failed expectation is a failed test"
)]

use alloy::{
    network::{EthereumWallet, NetworkTransactionBuilder, TransactionBuilder},
    primitives::{Address, Bytes, U256, address},
    providers::{DynProvider, Provider, ProviderBuilder},
    rpc::types::TransactionRequest,
    sol,
    transports::{RpcError, TransportError},
};
use chain::devnet::{Devnet, DevnetConfig, DevnetHandle};

mod basics;
mod control;
mod limits;
mod pool;
mod streams;

sol!(
    #[sol(rpc)]
    DevToken,
    "artifacts/DevToken.json"
);

/// An address without code or money.
const NOBODY: Address = address!("00000000000000000000000000000000deadbeef");

/// A chain that mines each transaction at once.
async fn instant() -> DevnetHandle {
    Devnet::start(DevnetConfig::instant()).await.unwrap()
}

/// A chain that mines on demand.
async fn manual() -> DevnetHandle {
    Devnet::start(DevnetConfig::manual()).await.unwrap()
}

/// A provider over HTTP that signs for dev account `index`.
fn http(devnet: &DevnetHandle, index: usize) -> DynProvider {
    let wallet = EthereumWallet::from(devnet.accounts()[index].signer());
    ProviderBuilder::new().wallet(wallet).connect_http(devnet.http_url().parse().unwrap()).erased()
}

/// A provider over WebSocket that signs for dev account `index`.
async fn websocket(devnet: &DevnetHandle, index: usize) -> DynProvider {
    let wallet = EthereumWallet::from(devnet.accounts()[index].signer());
    ProviderBuilder::new().wallet(wallet).connect(&devnet.ws_url()).await.unwrap().erased()
}

/// A signed transfer with everything given, so that nothing is asked of the node.
struct Transfer {
    from: usize,
    nonce: u64,
    gas: u64,
    fee: u128,
    tip: u128,
    value: U256,
    data: Bytes,
}

impl Default for Transfer {
    fn default() -> Self {
        Self {
            from: 0,
            nonce: 0,
            gas: 21_000,
            fee: 3_000_000_000,
            tip: 1_000_000_000,
            value: U256::ONE,
            data: Bytes::new(),
        }
    }
}

impl Transfer {
    async fn raw(self, devnet: &DevnetHandle) -> Bytes {
        let request = TransactionRequest::default()
            .with_to(NOBODY)
            .with_value(self.value)
            .with_nonce(self.nonce)
            .with_gas_limit(self.gas)
            .with_max_fee_per_gas(self.fee)
            .with_max_priority_fee_per_gas(self.tip)
            .with_input(self.data)
            .with_chain_id(devnet.chain_id());
        let wallet = EthereumWallet::from(devnet.accounts()[self.from].signer());
        let signed = request.build(&wallet).await.unwrap();
        alloy::eips::Encodable2718::encoded_2718(&signed).into()
    }

    async fn send(self, devnet: &DevnetHandle) -> Result<alloy::primitives::B256, TransportError> {
        let raw = self.raw(devnet).await;
        let sent = http(devnet, 0).send_raw_transaction(&raw).await?;
        Ok(*sent.tx_hash())
    }
}

/// The code and message of an error answer.
fn refusal<T: std::fmt::Debug>(answer: Result<T, TransportError>) -> (i64, String) {
    match answer {
        Err(RpcError::ErrorResp(payload)) => (payload.code, payload.message.to_string()),
        other => panic!("not refused: {other:?}"),
    }
}
