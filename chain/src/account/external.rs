//! A signer elsewhere: another process, often another machine, that holds the account's key and is asked over JSON-RPC.
//!
//! ```text
//!   Clef:                  account_signTransaction   account_signTypedData
//!   web3signer, nodes:     eth_signTransaction       eth_signTypedData_v4, or eth_signTypedData
//! ```
//!
//! Nothing that it says is believed: a transaction must be, field by field, the one that was asked for, with nothing after it,
//! and every signature must recover to the account and be written in the one way that contracts take.
//!
//! **Invariant:** what is handed on was checked against what was asked; a signer that lies costs time.

use std::time::Duration;

use alloy::{
    consensus::{SignableTransaction as _, TxEip1559, TxEnvelope},
    eips::eip2718::{Decodable2718 as _, Encodable2718 as _},
    rpc::client::RpcClient,
    transports::{RpcError as Transport, TransportErrorKind},
};
use alloy_primitives::{Address, B256, Bytes, Signature, U64};
use serde_json::{Value, json};
use tokio::sync::OnceCell;

use super::typed::Typed;
use crate::provider::endpoint::{parse_url, shown};

/// What JSON-RPC says of a method that is not there.
const NO_METHOD: i64 = -32_601;
/// The longest answer's text that is kept of a refusal.
const WORDS_MAX: usize = 200;

/// Why a signer elsewhere has not signed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SignerError {
    /// The address is none.
    #[error("the signer's address cannot be used: {0}")]
    Address(String),
    /// It is not reached; it is asked again.
    #[error("the signer at {endpoint} is not reached: {reason}")]
    Unreachable {
        /// Scheme, host and port.
        endpoint: String,
        /// What happened.
        reason: String,
    },
    /// It has not answered in time; it is asked again.
    #[error("the signer at {endpoint} has not answered within {waited_s} s")]
    Late {
        /// Scheme, host and port.
        endpoint: String,
        /// How long it was waited for, in seconds.
        waited_s: u64,
    },
    /// It, or its person, refuses.
    #[error("the signer refuses ({code}): {message}")]
    Refused {
        /// Of JSON-RPC.
        code: i64,
        /// Its words, cut short.
        message: String,
    },
    /// It does not hold the account.
    #[error("the signer does not hold the account {0}")]
    NotThere(Address),
    /// The answer is no signature or no transaction.
    #[error("the signer's answer is of no use: {0}")]
    Form(&'static str),
    /// It signed another transaction than it was asked for.
    #[error("the signer signed another transaction than the one that was asked for")]
    OtherTransaction,
    /// Another key signed, or something else was signed.
    #[error("the signature is {found}'s, not {expected}'s, or not of what was asked for")]
    OtherSigner {
        /// The account.
        expected: Address,
        /// Whose signature it would be.
        found: Address,
    },
}

/// Which names its methods have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Dialect {
    Clef,
    Ethereum,
}

/// A signer elsewhere, for one account.
#[derive(Debug)]
pub(super) struct External {
    client: RpcClient,
    endpoint: String,
    address: Address,
    patience: Duration,
    /// Known once it has answered for the first time.
    dialect: OnceCell<Dialect>,
}

impl External {
    /// The signer at `url` for `address`. Nothing is asked yet.
    pub(super) fn new(
        url: &str,
        address: Address,
        patience: Duration,
    ) -> Result<Self, SignerError> {
        let url = parse_url(url).map_err(|error| SignerError::Address(error.to_string()))?;
        if !url.scheme().starts_with("http") {
            return Err(SignerError::Address("http or https are spoken to signers".to_owned()));
        }
        let endpoint = shown(&url);
        let client = RpcClient::new_http(url);
        Ok(Self { client, endpoint, address, patience, dialect: OnceCell::new() })
    }

    /// How it is spoken to; asked once, and whether it holds the account with it.
    pub(super) async fn dialect(&self) -> Result<Dialect, SignerError> {
        self.dialect.get_or_try_init(|| self.meet()).await.copied()
    }

    async fn meet(&self) -> Result<Dialect, SignerError> {
        let (dialect, held) = match self.request("eth_accounts", json!([])).await {
            Err(SignerError::Refused { code: NO_METHOD, .. }) => {
                (Dialect::Clef, self.request("account_list", json!([])).await?)
            }
            other => (Dialect::Ethereum, other?),
        };
        let held: Vec<Address> = serde_json::from_value(held)
            .map_err(|_other| SignerError::Form("no list of accounts"))?;
        if held.contains(&self.address) {
            Ok(dialect)
        } else {
            Err(SignerError::NotThere(self.address))
        }
    }

    pub(super) const fn address(&self) -> Address {
        self.address
    }

    /// Signs a message: r, s (low) and v (27 or 28).
    pub(super) async fn sign_typed(&self, typed: &Typed) -> Result<Bytes, SignerError> {
        let asked = json!([self.address, typed.words()]);
        let answer = match self.dialect().await? {
            Dialect::Clef => self.request("account_signTypedData", asked).await?,
            Dialect::Ethereum => match self.request("eth_signTypedData_v4", asked.clone()).await {
                Err(SignerError::Refused { code: NO_METHOD, .. }) => {
                    self.request("eth_signTypedData", asked).await?
                }
                other => other?,
            },
        };
        let bytes: Bytes = serde_json::from_value(answer)
            .map_err(|_other| SignerError::Form("a signature is 65 bytes"))?;
        let signature = Signature::from_raw(&bytes)
            .map_err(|_other| SignerError::Form("a signature is 65 bytes"))?;
        // Written with the low s, as the vault takes it; it recovers to the same account.
        let signature = signature.normalized_s();
        let found = signature
            .recover_address_from_prehash(&typed.digest())
            .map_err(|_none| SignerError::Form("a signature of nobody"))?;
        if found != self.address {
            return Err(SignerError::OtherSigner { expected: self.address, found });
        }
        Ok(Bytes::from(signature.as_bytes().to_vec()))
    }

    /// Signs a transaction: its hash and its bytes.
    pub(super) async fn sign_transaction(
        &self,
        wanted: &TxEip1559,
    ) -> Result<(B256, Bytes), SignerError> {
        let number = |value: u64| U64::from(value);
        let mut asked = json!({
            "from": self.address,
            "type": "0x2",
            "chainId": number(wanted.chain_id),
            "nonce": number(wanted.nonce),
            "gas": number(wanted.gas_limit),
            "maxFeePerGas": format!("{:#x}", wanted.max_fee_per_gas),
            "maxPriorityFeePerGas": format!("{:#x}", wanted.max_priority_fee_per_gas),
            "value": wanted.value,
            "input": wanted.input,
            "data": wanted.input,
            "accessList": [],
        });
        if let (Some(to), Some(object)) = (wanted.to.to(), asked.as_object_mut()) {
            object.insert("to".to_owned(), json!(to));
        }
        let method = match self.dialect().await? {
            Dialect::Clef => "account_signTransaction",
            Dialect::Ethereum => "eth_signTransaction",
        };
        let answer = self.request(method, json!([asked])).await?;
        // Geth and Clef tell the transaction's fields beside its bytes, the others its bytes alone.
        let raw = answer.get("raw").cloned().unwrap_or(answer);
        let raw: Bytes = serde_json::from_value(raw)
            .map_err(|_other| SignerError::Form("a transaction is told as its bytes"))?;
        self.check(wanted, &raw)
    }

    fn check(&self, wanted: &TxEip1559, raw: &Bytes) -> Result<(B256, Bytes), SignerError> {
        let mut rest = raw.as_ref();
        let found = TxEnvelope::decode_2718(&mut rest)
            .map_err(|_other| SignerError::Form("bytes that are no transaction"))?;
        let TxEnvelope::Eip1559(signed) = &found else { return Err(SignerError::OtherTransaction) };
        if signed.tx() != wanted || !rest.is_empty() || found.encoded_2718() != raw.as_ref() {
            return Err(SignerError::OtherTransaction);
        }
        if signed.signature().normalize_s().is_some() {
            return Err(SignerError::Form("a signature with the higher s"));
        }
        let of = signed
            .signature()
            .recover_address_from_prehash(&wanted.signature_hash())
            .map_err(|_none| SignerError::Form("a signature of nobody"))?;
        if of != self.address {
            return Err(SignerError::OtherSigner { expected: self.address, found: of });
        }
        Ok((*found.tx_hash(), raw.clone()))
    }

    async fn request(&self, method: &'static str, params: Value) -> Result<Value, SignerError> {
        let endpoint = || self.endpoint.clone();
        let asked = self.client.request::<_, Value>(method, params);
        let Ok(answer) = tokio::time::timeout(self.patience, asked).await else {
            return Err(SignerError::Late {
                endpoint: endpoint(),
                waited_s: self.patience.as_secs(),
            });
        };
        answer.map_err(|error| match error {
            Transport::ErrorResp(refusal) => SignerError::Refused {
                code: refusal.code,
                message: refusal.message.chars().take(WORDS_MAX).collect(),
            },
            // Some servers answer an error with a status of its own, and the refusal in the body.
            Transport::Transport(TransportErrorKind::HttpError(http)) => refusal(&http.body)
                .unwrap_or_else(|| SignerError::Unreachable {
                    endpoint: endpoint(),
                    reason: format!("HTTP status {}", http.status),
                }),
            // The address is no part of it: it may carry a password.
            other => SignerError::Unreachable { endpoint: endpoint(), reason: kind(&other) },
        })
    }
}

fn refusal(body: &str) -> Option<SignerError> {
    let body: Value = serde_json::from_str(body).ok()?;
    let code = body.pointer("/error/code")?.as_i64()?;
    let message = body.pointer("/error/message").and_then(Value::as_str).unwrap_or_default();
    Some(SignerError::Refused { code, message: message.chars().take(WORDS_MAX).collect() })
}

fn kind(error: &Transport<TransportErrorKind>) -> String {
    match error {
        Transport::Transport(_) => "no connection".to_owned(),
        Transport::DeserError { .. } => "its answer is no JSON-RPC".to_owned(),
        _ => "it answers nothing".to_owned(),
    }
}
