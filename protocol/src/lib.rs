//! The pure rules of the Virtual Rollup.
//!
//! What every node must agree on: the state and its signatures (VRC-1), the node's decisions (VRC-2), the escrow's
//! arithmetic and its dispute (VRC-3), and the encrypted backup of a state. No clock, no disk, no network: time and
//! randomness are inputs, what must be done is output.
//!
//! **Invariant:** the same inputs in the same order give the same outputs.
//!
//! **Invariant:** a value that has been checked has another type than one that has not, and only the check makes it.
#![cfg_attr(
    not(test),
    warn(clippy::arithmetic_side_effects, clippy::as_conversions, clippy::indexing_slicing)
)]

pub mod backup;
#[expect(
    clippy::arithmetic_side_effects,
    clippy::as_conversions,
    clippy::indexing_slicing,
    reason = "field arithmetic wraps by design, and digits below 16 index tables of 16"
)]
pub mod ecgfp5;
pub mod encoding;
pub mod hash;
pub mod ids;
pub mod keys;
pub mod known_key;
pub mod network;
pub mod payment;
pub mod schnorr;
pub mod seed;
pub mod session;
pub mod tags;
#[cfg(any(test, feature = "testing"))]
pub mod testing;
pub mod vipe;
pub mod vnode;
pub mod zksc;

pub use alloy_primitives::{Address, B256, U256};
pub use ids::{Amount, ChannelId, Domain, EscrowVersion, IdError, Nonce, Role, Sequence};

/// The field of all elements that are hashed, signed and proven: Goldilocks, p = 2^64 - 2^32 + 1.
pub type F = plonky2_field::goldilocks_field::GoldilocksField;
