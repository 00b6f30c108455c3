//! The settlement layer as the rest of the system sees it.
//!
//! The only crate that knows alloy and revm. Towards the chain it has connections ([`provider`]) and reads what
//! happened there ([`follower`], [`events`]). Towards the other crates it speaks the protocol's own types, plain
//! integers, and addresses.

mod backoff;
pub(crate) mod bindings;
pub mod cursor;
pub mod error;
pub mod events;
pub mod follower;
pub mod provider;
