//! The settlement layer as the rest of the system sees it.
//!
//! The only crate that knows alloy and revm. Towards the chain: connections ([`provider`]), what happened there
//! ([`follower`], [`events`]; believed as far as [`verify`] goes) or may happen soon ([`pending`]), what is to be done
//! ([`calls`], [`consent`], [`allocation`]), who stands behind what ([`wallet`]) and how it gets there ([`submitter`], [`fees`]), and the contracts themselves
//! ([`artifact`], [`deploy`]). Towards the other crates it speaks the protocol's own types, plain integers, and addresses.

pub mod account;
pub mod allocation;
pub mod artifact;
mod backoff;
pub(crate) mod bindings;
pub mod calls;
pub mod consent;
pub mod cursor;
pub mod deploy;
pub mod devnet;
pub mod error;
pub mod events;
pub mod fees;
pub mod follower;
pub mod pending;
pub mod provider;
pub mod refusal;
pub mod sender;
pub mod submitter;
pub mod verify;
pub mod wallet;
