//! What can go wrong with a devnet, and the refusals of its pool.
//!
//! Pool refusals carry geth's wording, since clients (ours included) recognise them by their text: JSON-RPC gives
//! every one of them the same code.

use std::{fmt, io, net::SocketAddr};

use alloy_primitives::{Address, U256};
use thiserror::Error;

/// Why a devnet could not be started or driven.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum DevnetError {
    /// A field of the configuration is out of range.
    #[error("devnet configuration: {field} {problem}")]
    Config {
        /// The field.
        field: &'static str,
        /// What is wrong with it.
        problem: &'static str,
    },
    /// The listening socket could not be opened.
    #[error("cannot listen on {address}")]
    Bind {
        /// Where.
        address: SocketAddr,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// A dev account could not be derived from the mnemonic.
    #[error("cannot derive dev account {index}")]
    Account {
        /// Index of the account.
        index: u32,
        /// Why.
        #[source]
        source: alloy::signers::local::LocalSignerError,
    },
    /// The chain stopped: an earlier operation failed half way, or the runtime is shutting down.
    #[error("the devnet has stopped")]
    Stopped,
    /// A time that is not after the newest block's.
    #[error("timestamp {requested} is not after the newest block's {latest}")]
    TimeNotAfter {
        /// The time asked for, in seconds since 1970.
        requested: u64,
        /// The newest block's timestamp.
        latest: u64,
    },
    /// More than a bound allows.
    #[error("{what} {requested} is above the bound of {bound}")]
    Bound {
        /// What was asked for.
        what: &'static str,
        /// How much of it.
        requested: u64,
        /// The most that is allowed.
        bound: u64,
    },
    /// A reorganisation that would revert a final block.
    #[error("a reorganisation of {depth} blocks reaches below finalized block {finalized}")]
    BelowFinalized {
        /// Blocks to replace.
        depth: u64,
        /// The newest final block.
        finalized: u64,
    },
    /// A snapshot that does not exist, or does no longer.
    #[error("snapshot {id} not found")]
    NoSnapshot {
        /// Its number.
        id: u64,
    },
    /// A transaction was refused.
    #[error(transparent)]
    Pool(#[from] PoolError),
}

/// Why a transaction was not accepted.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum PoolError {
    /// Not a transaction in a known encoding.
    #[error("rlp: {reason}")]
    Undecodable {
        /// The decoder's words.
        reason: String,
    },
    /// Larger than 128 KiB.
    #[error("oversized data: transaction size {size}, limit {limit}")]
    Oversized {
        /// Encoded bytes.
        size: usize,
        /// The most that is accepted.
        limit: usize,
    },
    /// The signature recovers to nothing.
    #[error("invalid sender")]
    InvalidSender,
    /// Signed for another chain.
    #[error("invalid sender: invalid chain id for signer: have {have} want {want}")]
    ChainId {
        /// In the transaction.
        have: u64,
        /// Of this chain.
        want: u64,
    },
    /// A legacy transaction without a chain id could be replayed elsewhere.
    #[error("only replay-protected (EIP-155) transactions allowed over RPC")]
    Unprotected,
    /// A type this chain has no use for (blobs).
    #[error("transaction type not supported")]
    TypeNotSupported,
    /// Over the cap of EIP-7825.
    #[error("transaction gas limit too high (cap: {cap}, tx: {gas})")]
    GasAboveCap {
        /// The cap.
        cap: u64,
        /// The transaction's gas limit.
        gas: u64,
    },
    /// Could never fit into a block.
    #[error("exceeds block gas limit")]
    GasAboveBlock,
    /// Would not pay for its own data.
    #[error("intrinsic gas too low: gas {gas}, minimum needed {needed}")]
    IntrinsicGas {
        /// The transaction's gas limit.
        gas: u64,
        /// The least it needs.
        needed: u64,
    },
    /// Below the calldata floor of EIP-7623.
    #[error("insufficient gas for floor data gas cost: gas {gas}, minimum needed {needed}")]
    FloorGas {
        /// The transaction's gas limit.
        gas: u64,
        /// The least it needs.
        needed: u64,
    },
    /// Init code over EIP-3860's limit.
    #[error("max initcode size exceeded: code size {size}, limit {limit}")]
    InitCodeSize {
        /// Bytes of init code.
        size: usize,
        /// The most that is accepted.
        limit: usize,
    },
    /// A tip above the whole fee.
    #[error(
        "max priority fee per gas higher than max fee per gas: maxPriorityFeePerGas: {tip}, maxFeePerGas: {fee}"
    )]
    TipAboveFee {
        /// Priority fee, wei per gas.
        tip: u128,
        /// Fee cap, wei per gas.
        fee: u128,
    },
    /// An EIP-7702 transaction without authorizations.
    #[error("EIP-7702 transaction with empty auth list")]
    EmptyAuthorizations,
    /// The sender has contract code (EIP-3607).
    #[error("sender not an eoa: address {sender}")]
    SenderNotEoa {
        /// Who.
        sender: Address,
    },
    /// The nonce is used.
    #[error("nonce too low: next nonce {next}, tx nonce {nonce}")]
    NonceTooLow {
        /// The sender's next nonce.
        next: u64,
        /// The transaction's.
        nonce: u64,
    },
    /// The nonce could never be followed (EIP-2681).
    #[error("nonce has max value")]
    NonceMax,
    /// The sender cannot pay for this transaction, or not for it and for what it already queued.
    #[error("insufficient funds for gas * price + value: {0}")]
    Funds(Box<Shortfall>),
    /// It is in the pool.
    #[error("already known")]
    AlreadyKnown,
    /// Fees not at least a tenth above those of the transaction it would replace.
    #[error("replacement transaction underpriced")]
    Underpriced,
    /// The pool is full of transactions that pay at least as much.
    #[error("txpool is full")]
    Full,
    /// The sender's share of the pool is used up.
    #[error("account limit exceeded: pooled {pooled} txs")]
    AccountFull {
        /// Transactions of this sender in the pool.
        pooled: usize,
    },
}

/// What a sender lacks, in wei.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shortfall {
    /// What it has.
    pub balance: U256,
    /// What its other transactions in the pool may cost.
    pub queued: U256,
    /// What the refused transaction may cost.
    pub cost: U256,
}

impl fmt::Display for Shortfall {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { balance, queued, cost } = self;
        let overshot = queued.saturating_add(*cost).saturating_sub(*balance);
        if cost > balance {
            return write!(f, "balance {balance}, tx cost {cost}, overshot {}", *cost - *balance);
        }
        write!(f, "balance {balance}, queued cost {queued}, tx cost {cost}, overshot {overshot}")
    }
}
