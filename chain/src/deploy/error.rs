//! Why a deployment failed.

use std::time::Duration;

use alloy_primitives::Address;

use super::{ExactError, resume};
use crate::{
    artifact::ArtifactError,
    calls::ReadError,
    error::{Retry, RpcError},
    sender::{SendError, Sender},
};

/// Why a deployment failed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DeployError {
    /// The dispute window leaves no time to answer.
    #[error("a dispute window of {given_s} s is too short for this chain: at least {least_s} s")]
    WindowTooShort {
        /// What was asked for, in seconds.
        given_s: u64,
        /// The least, in seconds.
        least_s: u64,
    },
    /// Who is corrected at the last moment, or reads that a close is announced, has no time to answer.
    #[error(
        "a response extension of {given_s} s: this chain needs at least {least_s} s, and it is at most the {most_s} s by which a deadline may be moved in all"
    )]
    ExtensionOutOfRange {
        /// What was asked for, in seconds.
        given_s: u64,
        /// The least, in seconds.
        least_s: u64,
        /// The most: the maximum extension that was asked for, in seconds.
        most_s: u64,
    },
    /// A worthless asset for a chain that holds value.
    #[error("the development asset is for development chains only")]
    DevelopmentAsset,
    /// Development terms for a chain that holds value.
    #[error(
        "chain {0} holds value: its windows are those of an L1 or an L2, not of a development chain"
    )]
    ChainOfValue(u64),
    /// The asset is no token.
    #[error("there is no token at {0} on this chain")]
    NoToken(Address),
    /// The account has no ether.
    #[error("the account {account} has no ether on chain {chain_id}: send it some")]
    NoEther {
        /// The account.
        account: Address,
        /// The chain.
        chain_id: u64,
    },
    /// Earlier transactions of the account are not mined.
    #[error(
        "{count} earlier transactions of {account} are still not mined after {} s: wait, or replace them, and run the same again", waited.as_secs()
    )]
    UnderWay {
        /// The account.
        account: Address,
        /// How many.
        count: u64,
        /// How long we waited.
        waited: Duration,
    },
    /// A transaction failed.
    #[error("{what}: {source}")]
    Send {
        /// What it was for.
        what: &'static str,
        /// Why.
        source: Box<SendError>,
    },
    /// The node gave no answer.
    #[error(transparent)]
    Rpc(#[from] RpcError),
    /// The new vault gave no answer.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// A checked-in artifact cannot be read.
    #[error(transparent)]
    Artifact(#[from] ArtifactError),
    /// What a creation leaves behind cannot be computed.
    #[error("{what}: {source}")]
    Exact {
        /// What was to be created.
        what: &'static str,
        /// Why.
        source: ExactError,
    },
    /// The vault was there already at the block that history should be read from.
    #[error(
        "the vault at {address} was there before block {given}: give an earlier block, or none"
    )]
    StartTooLate {
        /// The vault.
        address: Address,
        /// The block that was given.
        given: u64,
    },
    /// The vault was deployed before, and nobody said when.
    #[error(
        "the vault at {address} is there already: give a block before its creation, to read its history from"
    )]
    StartUnknown {
        /// The vault.
        address: Address,
    },
    /// The node follows another chain than the deployment is on.
    #[error("the deployment is on chain {expected}, the node on {found}")]
    WrongChain {
        /// The deployment's chain.
        expected: u64,
        /// The node's.
        found: u64,
    },
    /// What is on the chain is not what was deployed.
    #[error("{what} at {address} is not what was deployed")]
    Mismatch {
        /// What differs.
        what: &'static str,
        /// Where.
        address: Address,
    },
}

impl DeployError {
    /// Whether the same plan may succeed later, with nothing changed in it. What was deployed is found again either way.
    pub const fn retry(&self) -> Retry {
        match self {
            Self::Rpc(error) => error.retry(),
            Self::Read(error) => error.retry(),
            Self::Send { source, .. } => source.retry(),
            Self::UnderWay { .. } | Self::NoEther { .. } => Retry::Later(None),
            _ => Retry::Never,
        }
    }

    /// Names what a transaction was for, or says the plain reason why none can be sent.
    pub(super) async fn explained(sender: &Sender, what: &'static str, source: SendError) -> Self {
        let (account, chain_id) = (sender.account.address(), sender.chain_id);
        if matches!(source, SendError::Rpc(_)) && resume::is_penniless(&sender.rpc, account).await {
            return Self::NoEther { account, chain_id };
        }
        Self::Send { what, source: Box::new(source) }
    }
}
